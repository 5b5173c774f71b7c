//! Accepts connections and hands each to the handler of its listener.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_policy::{LimitSubject, Principal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::sockets::{Bound, Socket};
use crate::flow::connection::{Peer, canonical_address, describe_peer};
use crate::telemetry::log::{Level, Log};

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
pub(crate) enum AcceptedStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that was accepted, with the kernel's knowledge of its client.
pub(crate) struct Arrival {
    pub(crate) stream: AcceptedStream,
    pub(super) principal: Principal,
    pub(super) peer: Arc<Peer>,
    /// The time of the accept, or a time before the connection arrived if it waited in the kernel's
    /// queue.
    pub(super) at: SystemTime,
}

impl Arrival {
    /// Returns the client as the kernel knows it: its address, or the user behind a Unix socket.
    pub(crate) fn client(&self) -> LimitSubject {
        match self.principal.peer {
            Some((user, _)) => LimitSubject::User(user),
            None => self.principal.subject(None),
        }
    }

    /// Returns the client's address with its port, or its Unix process, for the log.
    pub(crate) fn peer(&self) -> Arc<str> {
        Arc::clone(&self.peer.client)
    }
}

/// Takes over the connections that arrive at a listener.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Begins to serve a connection. The listener accepts the next one when this returns, so it
    /// must serve the connection in a separate task.
    fn begin(&self, bound: &Bound, arrival: Arrival) -> impl Future<Output = ()> + Send;
}

impl Listeners {
    /// Sockets that are listened on.
    pub(crate) fn new(sockets: Vec<Bound>) -> Self {
        Self { sockets }
    }

    /// Accepts connections for a handler until the program is asked to stop.
    pub(crate) fn run<H: Handler>(
        self,
        handler: &Arc<H>,
        log: &Log,
        stopping: &watch::Receiver<bool>,
    ) {
        for bound in self.sockets {
            let (handler, log) = (Arc::clone(handler), log.clone());
            let mut stopping = stopping.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = accept(&bound, &*handler, &log) => {}
                    // The sender lives as long as the program: an error is a stop as well.
                    _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
                }
                // The file of its socket goes with it.
                drop(bound);
            });
        }
    }
}

/// Accepts every connection at once. A handler that refuses one answers it, so that it does not
/// wait in the kernel's queue before others.
async fn accept<H: Handler>(bound: &Bound, handler: &H, log: &Log) {
    let mut failing = false;
    // A time at which the queue was empty: every connection in it arrived later.
    let mut seen_empty = bound.opened;
    loop {
        // The kernel is asked, since a listener that is not ready in the event loop may have a
        // connection that waits.
        let was_empty = bound.socket.is_queue_empty();
        let accepted = accept_one(bound).await;
        // The time is taken now, before this connection waits for a place: a container that takes
        // over the address later gets no rights to its requests.
        if was_empty {
            seen_empty = SystemTime::now();
        }
        match accepted {
            Ok((stream, principal, peer)) => {
                failing = false;
                let arrival = Arrival {
                    stream,
                    principal,
                    peer: Arc::new(Peer {
                        client: peer.into(),
                        frontend: Arc::clone(&bound.name),
                    }),
                    at: seen_empty,
                };
                handler.begin(bound, arrival).await;
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if !failing {
                    let line = log.line(
                        Level::Error,
                        "cannot accept connections; raise the limit of open files if it says so",
                    );
                    log.send(
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

/// Accepts the next connection, with the kernel's knowledge of its client.
async fn accept_one(bound: &Bound) -> io::Result<(AcceptedStream, Principal, String)> {
    let mut principal = Principal {
        frontend: bound.frontend,
        ..Principal::default()
    };
    match &bound.socket {
        Socket::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let peer = canonical_address(peer);
            principal.address = Some(peer.ip());
            Ok((
                AcceptedStream::Tcp(stream.into_std()?),
                principal,
                peer.to_string(),
            ))
        }
        Socket::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = stream.peer_cred().ok();
            principal.peer = peer.map(|peer| (peer.uid(), peer.gid()));
            Ok((
                AcceptedStream::Unix(stream.into_std()?),
                principal,
                describe_peer(peer),
            ))
        }
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
