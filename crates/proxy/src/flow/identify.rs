//! Identify: the client of a request, and its profile.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::SystemTime;

use cetusguard_policy::{Certificate, Container, LimitSubject, Principal, Profile, Viewer};

use super::connection::Connection;
use super::viewer::owner_of;
use super::{Proxy, Settings};
use crate::engine::{Origin, Unknown};
use crate::limits::limiter::ClientUsage;
use crate::limits::shares::ClientShare;
use crate::outcome::refusal::Refusal;
use crate::telemetry::metrics::RequestCounters;

/// The client of a request.
#[derive(Debug)]
pub(super) struct Client {
    /// The profile that it has.
    pub(super) profile: Arc<Profile>,
    /// Its view of the engine. If a header names its session, each request has a view of its own.
    pub(super) viewer: Arc<Viewer>,
    /// `true` if it has that profile because no other profile matches it.
    pub(super) is_unmatched: bool,
    /// The requests and streams that it has open, if its profile limits them.
    pub(super) usage: Option<Arc<ClientUsage>>,
    /// Its share of the connections, the memory for bodies and the lookups.
    pub(super) share: Arc<ClientShare>,
    /// The client, as limits tell clients apart.
    pub(super) subject: LimitSubject,
    /// The counters of its profile, if requests are counted.
    pub(super) counters: Option<Arc<RequestCounters>>,
    /// The container of the client, if a profile depends on it.
    container: Option<Arc<Container>>,
    certificate: Option<Arc<Certificate>>,
}

impl Client {
    /// The name of its container, for the log.
    pub(super) fn container(&self) -> &str {
        self.container
            .as_ref()
            .map_or("", |container| &container.name)
    }

    /// The common name of its certificate, for the log.
    pub(super) fn certificate(&self) -> &str {
        self.certificate
            .as_ref()
            .and_then(|certificate| certificate.common_name.as_deref())
            .unwrap_or_default()
    }
}

/// The result of an identification, with the conditions under which it still holds.
#[derive(Debug)]
pub(super) struct Identity {
    client: Arc<Client>,
    /// The generation of the settings by which it was found.
    generation: u64,
    /// If the engine was asked: the identifier of the container behind the address, if there was
    /// one, and the epoch in which it was found.
    container: Option<(Option<String>, u64)>,
}

impl Identity {
    /// Returns the client.
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    fn holds(&self, proxy: &Proxy) -> bool {
        let is_in_step = self
            .container
            .as_ref()
            .is_none_or(|(_, epoch)| *epoch == proxy.containers.epoch());
        self.generation == proxy.settings.generation() && is_in_step
    }
}

/// Finds the client of a request and its profile. The connection remembers the result until the
/// configuration or the containers change.
pub(super) async fn identify_client(
    conn: &mut Connection,
    proxy: &Proxy,
) -> Result<Arc<Client>, Refusal> {
    if let Some(known) = conn.identity().filter(|known| known.holds(proxy)) {
        return Ok(Arc::clone(&known.client));
    }
    let (generation, settings) = (proxy.settings.generation(), proxy.settings());
    let mut principal = conn.principal().clone();
    let is_new = conn
        .identity()
        .is_none_or(|known| known.container.is_none());
    let container = container_of(conn.arrived(), is_new, &mut principal, &settings, proxy).await;
    let container =
        container.and_then(
            |(container, is_doubtful)| match is_doubtful && conn.is_ended() {
                true => Err(Unknown::Other),
                false => Ok(container),
            },
        );
    let container = container.map_err(Refusal::UnknownClient)?;
    if let (
        Some(Identity {
            container: Some((before, _)),
            ..
        }),
        Some((now, _)),
    ) = (conn.identity(), &container)
        && before != now
    {
        // The container that opened this connection is gone, and another one has its address.
        return Err(Refusal::UnknownClient(Unknown::Other));
    }
    let (profile, found_by) = settings
        .profiles
        .of(&principal)
        .map_err(Refusal::AmbiguousClient)?;
    let usage = profile.limits.count().then(|| {
        proxy
            .limiter
            .usage(&profile.name, principal.subject(found_by))
    });
    let is_unmatched = found_by.is_none() && settings.profiles.has_others();
    let profile = Arc::clone(profile);
    let ownership = profile.view.ownership.as_ref();
    let viewer = Arc::new(Viewer {
        view: Arc::clone(&profile.view),
        owner: ownership.and_then(|ownership| {
            owner_of(ownership, || principal.subject(found_by).session_name())
        }),
    });
    let share = Arc::clone(conn.admission().client());
    let subject = conn.admission().subject().clone();
    let counters = proxy
        .metrics
        .as_ref()
        .map(|metrics| metrics.of_profile(&profile.name));
    let client = Arc::new(Client {
        profile,
        viewer,
        is_unmatched,
        usage,
        share,
        subject,
        counters,
        container: principal.container,
        certificate: principal.certificate,
    });
    conn.remember(Identity {
        client: Arc::clone(&client),
        generation,
        container,
    });
    Ok(client)
}

/// Adds the container to the principal, if the profile depends on it. A client with an address of
/// this machine has no container: it runs on the host, or in the host's network. The second value
/// is `true` if a container that has ended since may have opened the connection.
async fn container_of(
    arrived: SystemTime,
    is_new: bool,
    principal: &mut Principal,
    settings: &Settings,
    proxy: &Proxy,
) -> Result<(Option<(Option<String>, u64)>, bool), Unknown> {
    let own = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let Some(address) = principal.address.filter(|address| !own.contains(address)) else {
        return Ok((None, false));
    };
    if !settings.profiles.depends_on_container(principal) {
        return Ok((None, false));
    }
    if matches!(address, IpAddr::V6(six) if six.is_unicast_link_local()) {
        return Err(Unknown::LinkLocal);
    }
    let owner = Box::pin(proxy.containers.behind(
        Origin {
            address,
            arrived,
            is_new,
        },
        &proxy.backend,
    ))
    .await?;
    let known = (
        owner
            .container
            .as_ref()
            .map(|container| container.id.clone()),
        owner.epoch,
    );
    principal.container = owner.container;
    Ok((Some(known), owner.is_doubtful))
}
