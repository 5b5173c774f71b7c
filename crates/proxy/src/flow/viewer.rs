//! The view of a request's client: the objects that exist for it, and the owner of the objects that
//! it creates.

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{Call, Owner, Ownership, SessionSource, Viewer};

use super::Proxy;
use super::identify::Client;
use super::normalise::Message;
use crate::engine::MissingAnswer;
use crate::outcome::refusal::Refusal;
use cetusguard_http1::{Headers, Known};

/// Returns the owner of the objects that a client creates, if that is known from the connection.
/// `name` is the name of the session that the client is by itself.
pub fn owner_of(ownership: &Ownership, name: impl FnOnce() -> String) -> Option<Owner> {
    match ownership.session {
        SessionSource::Profile => Some(Owner::profile(&ownership.owner)),
        SessionSource::Client => Owner::session(&ownership.owner, &name()),
        SessionSource::Header => None,
    }
}

/// Returns the view of a request's client. If a header names the session, each request may belong
/// to another one.
///
/// # Errors
/// The header is missing, stands twice, or does not hold the name of a session.
pub(super) fn viewer_of(
    client: &Client,
    call: &Call,
    message: &Message,
) -> Result<Arc<Viewer>, Refusal> {
    viewer_by_header(&client.viewer, &client.profile.name, call, &message.headers)
}

/// Returns the view of a request by the session that its header names, if the profile has a header
/// name it.
///
/// # Errors
/// The header is needed and missing, or names no session that can be used.
pub fn viewer_by_header(
    viewer: &Arc<Viewer>,
    profile: &str,
    call: &Call,
    headers: &Headers,
) -> Result<Arc<Viewer>, Refusal> {
    let view = &viewer.view;
    let Some(ownership) = view
        .ownership
        .as_ref()
        .filter(|ownership| ownership.session == SessionSource::Header)
    else {
        return Ok(Arc::clone(viewer));
    };
    // Pings and versions belong to no session, and clients send them before anything else.
    if !view.concerns(call) {
        return Ok(Arc::clone(viewer));
    }
    let mut values = headers.all(Known::Session);
    let name = match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value).ok(),
        _ => None,
    };
    let owner = name.and_then(|name| Owner::session(&ownership.owner, name));
    match owner {
        Some(owner) => Ok(Arc::new(Viewer {
            view: Arc::clone(view),
            owner: Some(owner),
        })),
        None => Err(Refusal::NoSession(profile.to_owned())),
    }
}

/// Returns the refusal of a call about an object that its client does not see: the engine's answer
/// to this call about a missing object, with the client's word.
///
/// The engine is asked about a name that no object has. It is asked each time, so that the answer
/// takes as long as that for a missing object.
pub(super) async fn not_visible(
    kind: ObjectKind,
    word: &str,
    call: &Call,
    client: &Client,
    proxy: &Proxy,
) -> Refusal {
    match missing_answer(kind, word, call, client, proxy).await {
        Ok(answer) => Refusal::NotVisible(answer),
        Err(refusal) => refusal,
    }
}

/// Returns the refusal of a call about an object that does not exist at all, for a client that does
/// not see all objects. The engine is asked once more, so that the answer is that for a hidden
/// object, and takes as long.
pub(super) async fn missing(
    kind: ObjectKind,
    word: &str,
    call: &Call,
    client: &Client,
    proxy: &Proxy,
) -> Refusal {
    match missing_answer(kind, word, call, client, proxy).await {
        Ok(answer) => Refusal::NoSuchObject(answer),
        Err(refusal) => refusal,
    }
}

async fn missing_answer(
    kind: ObjectKind,
    word: &str,
    call: &Call,
    client: &Client,
    proxy: &Proxy,
) -> Result<Arc<MissingAnswer>, Refusal> {
    proxy
        .objects
        .answer_for_missing(kind, word, call, &client.share, &proxy.backend)
        .await
        .map_err(Refusal::from)
}
