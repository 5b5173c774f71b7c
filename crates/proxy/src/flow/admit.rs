//! Admit: refuses web pages, unwanted user agents, and clients that have reached a limit.

use std::sync::Arc;

use cetusguard_policy::endpoint::{Answer, EndpointId};
use cetusguard_policy::{Call, Ground, Method, Mode, Permit, Profile, Viewer};

use super::Proxy;
use super::identify::Client;
use super::normalise::Message;
use crate::browser::foreign_page;
use crate::limits::limiter::{RequestKind, RequestPlace};
use crate::outcome::Reason;
use crate::outcome::refusal::{Limited, Refusal};
use cetusguard_http1::{Framing, Headers, Known};

/// The user agent of `cetusguard healthcheck`.
pub const HEALTH_CHECK: &str = "cetusguard-healthcheck";

/// Proof that the limits were asked.
#[derive(Debug)]
pub(super) struct Entry {
    /// Free again once the request has ended.
    _place: Option<RequestPlace>,
    /// The reason and the message of a refusal that audit mode did not enforce.
    unenforced: Option<(Reason, String)>,
}

/// A call that the limits and the rules let pass; its obligations are still to be discharged.
#[derive(Debug)]
pub(super) struct Admitted {
    permit: Permit,
    entry: Entry,
    viewer: Arc<Viewer>,
}

impl Admitted {
    /// Joins the permit of the rules, the entry of the limits, and the view of the client.
    pub(super) fn new(permit: Permit, entry: Entry, viewer: Arc<Viewer>) -> Self {
        Self {
            permit,
            entry,
            viewer,
        }
    }

    /// Returns the view of the client.
    pub(super) fn viewer(&self) -> &Arc<Viewer> {
        &self.viewer
    }

    /// The call.
    pub(super) fn call(&self) -> &Call {
        self.permit.call()
    }

    /// Returns the permit of the rules.
    pub(super) fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The rule that permits it, as the log shows it; nothing where none does.
    pub(super) fn rule(&self) -> &str {
        match self.permit.ground() {
            Ground::Rule(rule) => rule.label(),
            Ground::Unenforced { .. } => "",
        }
    }

    /// Returns the reason and the message of the refusal that audit mode did not enforce.
    pub(super) fn unenforced(&self) -> Option<(Reason, &str)> {
        match (&self.entry.unenforced, self.permit.ground()) {
            (Some((reason, text)), _) => Some((*reason, text)),
            (None, Ground::Unenforced { kind, text, .. }) => Some((Reason::Denied(*kind), text)),
            (None, Ground::Rule(_)) => None,
        }
    }

    /// Returns the rules that would allow a call that audit mode let pass against the rules.
    pub(super) fn rules_to_add(&self) -> &[String] {
        match self.permit.ground() {
            Ground::Unenforced { rules, .. } => rules,
            Ground::Rule(_) => &[],
        }
    }
}

/// Takes a place for the request, to be held until its end.
pub(super) fn admit_request(
    call: &Call,
    message: &Message,
    client: &Client,
    is_loopback: bool,
    proxy: &Proxy,
) -> Result<Entry, Refusal> {
    match try_admit(call, message, client, is_loopback, proxy) {
        Ok(place) => Ok(Entry {
            _place: place,
            unenforced: None,
        }),
        // Audit mode refuses web pages, too.
        Err(limited) if client.profile.mode == Mode::Audit && !limited.is_by_origin() => {
            let refusal = Refusal::Limited(limited);
            Ok(Entry {
                _place: None,
                unenforced: Some((refusal.reason(), refusal.to_string())),
            })
        }
        Err(limited) => Err(Refusal::Limited(limited)),
    }
}

fn try_admit(
    call: &Call,
    message: &Message,
    client: &Client,
    is_loopback: bool,
    proxy: &Proxy,
) -> Result<Option<RequestPlace>, Limited> {
    let (profile, limits) = (&client.profile, &client.profile.limits);
    let (headers, framing) = (&message.headers, message.framing);
    admit_headers(call, headers, framing, profile, is_loopback)?;
    let Some(usage) = &client.usage else {
        return Ok(None);
    };
    if is_health_check(call, headers, framing) && proxy.limiter.let_check(usage) {
        return Ok(None);
    }
    let what = match call
        .endpoint()
        .map_or(Answer::Follow, |endpoint| endpoint.answer)
    {
        Answer::Quick | Answer::Slow | Answer::Transfer => RequestKind::Request,
        Answer::Follow | Answer::Tunnel(_) => RequestKind::Stream,
    };
    let place = proxy
        .limiter
        .enter(usage, limits, what)
        .map_err(|reached| Limited::by_count(reached, profile))?;
    Ok(Some(place))
}

/// Refuses web pages and user agents that the profile does not let in.
///
/// # Errors
/// Returns why the request is refused.
pub fn admit_headers(
    call: &Call,
    headers: &Headers,
    framing: Framing,
    profile: &Profile,
    is_loopback: bool,
) -> Result<(), Limited> {
    let limits = &profile.limits;
    if let Some(why) = foreign_page(headers, limits, is_loopback) {
        return Err(Limited::by_origin(why, profile));
    }
    if limits.names_agents() && !is_health_check(call, headers, framing) {
        let agent = headers.get(Known::UserAgent).unwrap_or_default();
        // Two of them could be read as either.
        if headers.all(Known::UserAgent).nth(1).is_some() || !limits.admit(agent) {
            return Err(Limited::by_user_agent(agent, profile));
        }
    }
    Ok(())
}

/// Returns whether the call is a ping, which takes next to nothing: it has no body.
pub(super) fn is_ping(call: &Call, message: &Message) -> bool {
    call.method().is_safe() && call.path() == "/_ping" && message.framing == Framing::None
}

/// Returns whether this is the call of `cetusguard healthcheck`, or of a client that says so.
/// Neither user agents nor limits of its profile may make a healthy proxy look sick; and a client
/// that forges the name gets a ping now and then, which tells it nothing.
fn is_health_check(call: &Call, headers: &Headers, framing: Framing) -> bool {
    let is_ping = call.method() == Method::Get
        && call
            .endpoint()
            .is_some_and(|one| one.id == EndpointId::SystemPing);
    is_ping
        && framing == Framing::None
        && headers.all(Known::UserAgent).eq([HEALTH_CHECK.as_bytes()])
}
