//! Accepting connections, and giving each a place among those of its client and of all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_policy::Principal;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Pending;
use super::open::{canonical, shown};
use super::sockets::{Bound, Socket};
use crate::flow::{Proxy, serve};
use crate::log::Level;
use crate::shares::{ClientBound, Told};

/// After an accept that failed for want of descriptors or memory, others get time to give some
/// back.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Every socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listeners {
    sockets: Vec<Bound>,
}

/// The stream of a connection that was accepted, not yet registered with the event loop that will
/// serve it.
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listeners {
    /// Sockets that are listened on.
    pub(crate) fn new(sockets: Vec<Bound>) -> Self {
        Self { sockets }
    }

    /// Accepts connections until the program is asked to stop. Every connection holds `alive` until
    /// it ends.
    pub(crate) fn run(self, proxy: &Arc<Proxy>, alive: &mpsc::Sender<()>) {
        for bound in self.sockets {
            let (proxy, alive) = (Arc::clone(proxy), alive.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = accept(&bound, &proxy, &alive) => {}
                    () = proxy.stop() => {}
                }
                // Its socket's file goes with it.
                drop(bound);
            });
        }
    }
}

/// Accepts every connection at once: one without a place gets a short answer, and waits in nobody's
/// way.
async fn accept(bound: &Bound, proxy: &Arc<Proxy>, alive: &mpsc::Sender<()>) {
    let mut failing = false;
    // The connections that wait in the kernel's queue now have all come since.
    let mut seen_empty = bound.opened;
    loop {
        // The kernel is asked, since a listener that is not ready in the event loop may have a
        // connection that waits.
        let was_empty = bound.socket.is_queue_empty();
        let accepted = accept_one(bound).await;
        // The time is taken before this connection waits for its place. A container that gets a
        // dead one's address later than that does not get the rights to its requests.
        if was_empty {
            seen_empty = SystemTime::now();
        }
        match accepted {
            Ok((stream, principal, peer)) => {
                failing = false;
                begin(
                    bound,
                    stream,
                    principal,
                    peer.into(),
                    seen_empty,
                    proxy,
                    alive,
                )
                .await;
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if !failing {
                    let line = proxy.log.line(
                        Level::Error,
                        "cannot accept connections; raise the limit of open files if it says so",
                    );
                    proxy.log.send(
                        line.text("address", &bound.name)
                            .text("detail", &error.to_string()),
                    );
                }
                failing = true;
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Accepts the next connection, with what the kernel knows of its client.
async fn accept_one(bound: &Bound) -> io::Result<(Accepted, Principal, String)> {
    let mut principal = Principal {
        frontend: bound.frontend,
        ..Principal::default()
    };
    match &bound.socket {
        Socket::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let peer = canonical(peer);
            principal.address = Some(peer.ip());
            Ok((
                Accepted::Tcp(stream.into_std()?),
                principal,
                peer.to_string(),
            ))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = stream.peer_cred().ok();
            principal.peer = peer.map(|peer| (peer.uid(), peer.gid()));
            Ok((Accepted::Unix(stream.into_std()?), principal, shown(peer)))
        }
    }
}

/// Serves a connection in a task of its own. A refused one stays on this event loop.
async fn begin(
    bound: &Bound,
    accepted: Accepted,
    principal: Principal,
    peer: Arc<str>,
    arrived: SystemTime,
    proxy: &Arc<Proxy>,
    alive: &mpsc::Sender<()>,
) {
    let settings = proxy.settings();
    let tls = settings
        .tls
        .get(bound.frontend)
        .cloned()
        .flatten()
        .filter(|_| matches!(accepted, Accepted::Tcp(_)));
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
    // TCP clients count by their address whatever finds their profile, so that a client counts once
    // on all frontends.
    let found_by = known
        .and_then(|(_, found_by)| found_by)
        .filter(|_| matches!(accepted, Accepted::Unix(_)));
    let admission = proxy.shares.admit(principal.subject(found_by), bound_by);
    let (is_refused, is_local) = (admission.is_refused(), is_local(&principal));
    if is_refused && let Some(told) = proxy.shares.note_refusal(&admission, &peer) {
        tell_refused(&told, proxy);
    }
    if is_refused && tls.is_some() && !is_local {
        // A handshake costs more than an answer is worth.
        return;
    }
    let seat = (!is_refused).then(|| proxy.loops.seat());
    let handle = seat
        .as_ref()
        .map_or_else(Handle::current, |seat| seat.handle().clone());
    let pending = Pending {
        accepted,
        principal,
        peer,
        tls,
        arrived,
        admission,
        seat,
        alive: alive.clone(),
    };
    let task = handle.spawn(serve(pending, Arc::clone(proxy)));
    if is_refused {
        proxy.shares.keep_unplaced(is_local, task.abort_handle());
        // Its predecessor, on this loop, closes its descriptor before the next connection takes
        // one.
        tokio::task::yield_now().await;
    }
}

/// Writes the line about refused connections of a client.
pub(crate) fn tell_refused(told: &Told, proxy: &Proxy) {
    let message = "connections refused: this client, or all together, have as many as they may; \
        see max-connections-per-client";
    let line = proxy
        .log
        .line(Level::Warning, message)
        .text("client", &told.peer);
    proxy.log.send(line.number("refused", told.refused));
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

/// The client that was about to be accepted is gone; the next one is not affected.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
