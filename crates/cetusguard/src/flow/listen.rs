//! Listen: sockets, connections, and what a connection does between requests.

mod open;
mod sockets;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_policy::Principal;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::audit::{Ended, Record};
use super::identify::Identity;
use super::{End, Next, Proxy, serve};
use crate::config::meant::Limits;
use crate::log::Level;
use crate::refusal::Refusal;
use crate::tls;
use crate::wire::{Body, Duplex, Framing, HeadError, RequestHead, read_request_head};
pub(crate) use sockets::{Bound, bind};

/// After an accept that failed for want of descriptors or memory, others get time to give some back.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Every socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listeners {
    sockets: Vec<Bound>,
}

/// The listening end of a socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP, with TLS where the frontend has it.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listeners {
    /// Sockets that are listened on.
    pub(crate) fn new(sockets: Vec<Bound>) -> Self {
        Self { sockets }
    }

    /// Accepts connections until the program is asked to stop. Every connection holds `alive` until it ends.
    pub(crate) fn run(self, proxy: &Arc<Proxy>, alive: &mpsc::Sender<()>) {
        let permits = Arc::new(Semaphore::new(proxy.limits().connections));
        for bound in self.sockets {
            let (proxy, alive, permits) = (Arc::clone(proxy), alive.clone(), Arc::clone(&permits));
            tokio::spawn(async move {
                tokio::select! {
                    () = accept(&bound, &proxy, &permits, &alive) => {}
                    () = proxy.stop() => {}
                }
                // Its socket's file goes with it.
                drop(bound);
            });
        }
    }
}

/// Beyond the limit, clients wait in the kernel's queue, and one at each door.
async fn accept(bound: &Bound, proxy: &Arc<Proxy>, permits: &Arc<Semaphore>, alive: &mpsc::Sender<()>) {
    let mut failing = false;
    // The connections that wait in the kernel's queue now have all come since.
    let mut seen_empty = bound.opened;
    loop {
        // The kernel is asked, since a listener that is not ready in the event loop may have a connection that waits.
        let was_empty = bound.socket.is_queue_empty();
        let accepted = match &bound.socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| Accepted::Tcp(stream)),
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        };
        // The time is taken before this connection waits for its place. A container that gets a dead one's address later than
        // that does not get the rights to its requests.
        if was_empty {
            seen_empty = SystemTime::now();
        }
        let arrived = seen_empty;
        match accepted {
            Ok(accepted) => {
                failing = false;
                let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return };
                let held = Held { _permit: permit, _alive: alive.clone() };
                let tls = proxy.settings().tls.get(bound.frontend).cloned().flatten();
                let pending = Pending { accepted, frontend: bound.frontend, tls, arrived, held };
                tokio::spawn(serve(pending, Arc::clone(proxy)));
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if !failing {
                    let line = proxy
                        .log
                        .line(Level::Error, "cannot accept connections; raise the limit of open files if it says so");
                    proxy.log.send(line.text("address", &bound.name).text("detail", &error.to_string()));
                }
                failing = true;
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// The client that was about to be accepted is gone; the next one is not affected.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// A connection that was accepted; TLS may still have to be spoken.
pub(super) struct Pending {
    accepted: Accepted,
    frontend: usize,
    tls: Option<tls::Server>,
    /// The time at which it was accepted, or a time before it if it waited in the queue.
    arrived: SystemTime,
    held: Held,
}

/// What a connection holds as long as it lives: its place among the connections, and the program's end.
struct Held {
    _permit: OwnedSemaphorePermit,
    _alive: mpsc::Sender<()>,
}

/// A client's connection.
pub(super) struct Conn {
    stream: Duplex,
    peer: Arc<str>,
    principal: Principal,
    /// Who the client was at the last request; [`identify`](super::identify) keeps it here.
    pub(super) identity: Option<Identity>,
    /// Those who may have signed the client's certificate, where it had to show one.
    signers: Option<Arc<Vec<CertificateDer<'static>>>>,
    /// The bounds in time of the settings that were in force at the last look, and their generation; `None` before the first.
    seen: Option<(u64, Limits)>,
    /// The time at which it was accepted, or a time before it if it waited in the queue.
    arrived: SystemTime,
    served: bool,
    /// Ready when no more requests are waited for, because the program is asked to stop; one for all requests, since each new one
    /// has to be made known.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The body of the request that is being served; `None` while it is not known where that request ends.
    pub(super) body: Option<Body>,
    /// The client closes the connection after this request's answer.
    pub(super) closes: bool,
    /// The request may open a tunnel: what comes behind it is not another request, unless the engine says that it is done. The
    /// connection is then closed without a word of it: Go clients of 2022 and before take an answer that says so for the stream.
    pub(super) tunnels: bool,
    /// The request asks for a head alone.
    pub(super) to_head: bool,
    _held: Held,
}

/// What a client that is refused may still send before the connection is closed under it, and for how long.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

impl Conn {
    /// What is proven of who is at the other end.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the client is on this machine, over TCP.
    pub(super) fn is_loopback(&self) -> bool {
        self.principal.address.is_some_and(|address| address.is_loopback())
    }

    /// The time at which the connection was accepted, or a time before it if it waited in the queue.
    pub(super) fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// Whether its peer sends no more.
    pub(super) fn is_ended(&self) -> bool {
        self.stream.input.is_ended()
    }

    /// Who is at the other end, for the log.
    pub(super) fn peer(&self) -> &Arc<str> {
        &self.peer
    }

    /// The connection and the body that is on its way.
    pub(super) fn parts(&mut self) -> (&mut Duplex, &mut Body) {
        (&mut self.stream, self.body.get_or_insert_with(|| Body::new(Framing::None)))
    }

    /// Waits for the first byte of the next request. `false` where none comes: there is nobody to tell.
    pub(super) async fn wait_for_request(&mut self, proxy: &Proxy) -> bool {
        (self.body, self.closes, self.tunnels, self.to_head) = (None, false, false, false);
        self.stream.input.rest();
        if self.is_outdated(proxy) {
            return false;
        }
        let limits = self.limits(proxy);
        let limit = if std::mem::replace(&mut self.served, true) { limits.idle } else { limits.head };
        let input = &mut self.stream.input;
        if !input.buffer.is_empty() {
            return true;
        }
        let has_come = tokio::select! {
            biased;
            filled = timeout(limit, input.fill()) => matches!(filled, Ok(Ok(1..))),
            () = &mut self.stop => false,
        };
        has_come && !self.is_outdated(proxy)
    }

    /// Whether the frontend now asks for certificates of other signers than when this client connected: it has to show its own
    /// again, on a new connection.
    fn is_outdated(&mut self, proxy: &Proxy) -> bool {
        let generation = proxy.settings.generation();
        if self.seen.is_some_and(|(seen, _)| seen == generation) {
            return false;
        }
        let settings = proxy.settings();
        let now =
            settings.tls.get(self.principal.frontend).and_then(Option::as_ref).and_then(|tls| tls.clients.as_ref());
        let is_outdated = match (&self.signers, now) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, now) && then != now,
            (None, Some(_)) => self.principal.address.is_some(),
            (_, None) => false,
        };
        self.seen = (!is_outdated).then_some((generation, settings.limits));
        is_outdated
    }

    /// The bounds of the settings that were seen last.
    fn limits(&self, proxy: &Proxy) -> Limits {
        self.seen.map_or_else(|| proxy.limits(), |(_, limits)| limits)
    }

    /// Reads the head of a request whose first byte is there.
    pub(super) async fn read_head(&mut self, proxy: &Proxy) -> Result<RequestHead, End> {
        let limit = self.limits(proxy).head;
        let read = tokio::select! {
            // Most heads are there as a whole: only one that is not needs to know of clocks.
            biased;
            read = timeout(limit, read_request_head(&mut self.stream.input)) => read,
            () = &mut self.stop => return Err(End::Cut(Ended::Stopped)),
        };
        match read {
            // A head may come in parts, and the first of them before the signers have changed.
            Ok(Ok(_)) if self.is_outdated(proxy) => Err(End::Cut(Ended::Outdated)),
            Ok(Ok(head)) => Ok(head),
            Ok(Err(HeadError::Closed)) => Err(End::Cut(Ended::ClientGone)),
            Ok(Err(error)) => Err(Refusal::Head(error).into()),
            Err(_) => Err(Refusal::SlowHead.into()),
        }
    }

    /// Closes without losing what was just written: a socket that is closed with unread bytes takes back its last answer.
    pub(super) async fn linger(&mut self) -> Next {
        let Duplex { input, output } = &mut self.stream;
        let read_on = async {
            let mut left = LINGER_BYTES;
            if output.shutdown().await.is_err() {
                return;
            }
            while let Ok(read @ 1..) = input.fill().await {
                input.buffer.clear();
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = timeout(LINGER_TIME, read_on).await;
        Next::Close
    }
}

/// Answers with the refusal. The connection goes on only if the request was well-formed and nothing of it is left: behind one
/// that was not, nobody can say where the next one starts.
pub(super) async fn refuse(conn: &mut Conn, refusal: &Refusal, proxy: &Proxy, record: &mut Record<'_>) -> Next {
    let known_end = refusal.status() != 400 && conn.body.as_ref().is_some_and(Body::is_done);
    let close = conn.closes || conn.tunnels || !known_end || *proxy.stopping.borrow();
    record.refused(refusal);
    // Not for ever: a client that reads none of its refusals must not pile them up here.
    let announced = close && !conn.tunnels;
    let response = refusal.response(conn.to_head, announced, record.is_uncertain());
    let output = &mut conn.stream.output;
    let sending = async { output.write_all(response.as_bytes()).await.and(output.flush().await) };
    let sent = timeout(proxy.limits().head, sending).await;
    match sent {
        Ok(Ok(())) if close => conn.linger().await,
        Ok(Ok(())) => Next::KeepAlive,
        _ => Next::Close,
    }
}
