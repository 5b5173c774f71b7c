//! The gate between the listeners and the proxy: each connection gets a place, or is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use cetusguard_config::meant::ClientBound;
use cetusguard_policy::{LimitSubject, Principal};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Bound;
use super::accept::{AcceptedStream, Arrival, Handler};
use crate::flow::connection::PendingConnection;
use crate::flow::{Proxy, serve};
use crate::telemetry::log::Level;
use crate::telemetry::tallies::DueTally;

/// The handler of the frontends: gives each connection a place among those of its client and of
/// all, and an event loop that serves it.
#[derive(Debug)]
pub(crate) struct Gate {
    proxy: Arc<Proxy>,
    /// Every connection holds a clone until it ends.
    alive: mpsc::Sender<()>,
}

impl Gate {
    /// Returns the handler that serves connections by way of the proxy.
    pub(crate) fn new(proxy: Arc<Proxy>, alive: mpsc::Sender<()>) -> Self {
        Self { proxy, alive }
    }
}

impl Handler for Gate {
    /// Serves a connection in a task of its own. A refused one stays on this event loop.
    async fn begin(&self, bound: &Bound, arrival: Arrival) {
        let Arrival {
            stream,
            principal,
            peer,
            at: arrived,
        } = arrival;
        let proxy = &self.proxy;
        let settings = proxy.settings();
        let tls = settings
            .tls
            .get(bound.frontend)
            .cloned()
            .flatten()
            .filter(|_| matches!(stream, AcceptedStream::Tcp(_)));
        // Certificates and containers are not known yet.
        let is_known = tls.is_none() && !settings.profiles.depends_on_container(&principal);
        let known = if is_known {
            settings.profiles.of(&principal).ok()
        } else {
            None
        };
        let bound_by = known.map_or(settings.limits.per_client, |(profile, _)| {
            ClientBound::of(profile.limits.connections)
        });
        // TCP clients count by their address, regardless of the selector that found their profile,
        // so that a client counts once on all frontends.
        let found_by = known
            .and_then(|(_, found_by)| found_by)
            .filter(|_| matches!(stream, AcceptedStream::Unix(_)));
        let admission = proxy.shares.admit(principal.subject(found_by), bound_by);
        let (is_refused, is_local) = (admission.is_refused(), is_local(&principal));
        if is_refused && let Some(told) = proxy.shares.note_refusal(&admission, &peer.client) {
            log_refused_connections(&told, proxy);
        }
        if is_refused && tls.is_some() && !is_local {
            // A handshake costs more than an answer is worth.
            return;
        }
        let seat = (!is_refused).then(|| proxy.loops.seat());
        let handle = seat
            .as_ref()
            .map_or_else(Handle::current, |seat| seat.handle().clone());
        let pending = PendingConnection {
            stream,
            principal,
            peer,
            tls,
            arrived,
            admission,
            seat,
            alive: self.alive.clone(),
        };
        let task = handle.spawn(serve(pending, Arc::clone(proxy)));
        if is_refused {
            proxy.shares.keep_unplaced(is_local, task.abort_handle());
            // Its predecessor, on this loop, closes its descriptor before the next connection takes
            // one.
            tokio::task::yield_now().await;
        }
    }
}

/// Writes the line about refused connections of a client.
pub(crate) fn log_refused_connections(told: &DueTally<LimitSubject>, proxy: &Proxy) {
    let message = "connections refused: this client, or all clients together, reached the limit; \
        see max-connections-per-client and max-connections";
    let line = proxy
        .log
        .line(Level::Warning, message)
        .text("client", &told.last.peer);
    proxy.log.send(line.number("refused", told.count));
}

/// Returns whether the client may be a health check: it comes from this machine, or from the
/// proxy's own user.
fn is_local(principal: &Principal) -> bool {
    match principal.address {
        Some(address) => [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ]
        .contains(&address),
        None => principal
            .peer
            .is_some_and(|(user, _)| user == rustix::process::geteuid().as_raw()),
    }
}
