//! Listen: sockets, connections, and what a connection does between requests.

mod accept;
mod open;
mod sockets;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_policy::Principal;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::audit::Record;
use super::identify::{Client, Identity};
use super::{Next, Proxy};
use crate::config::meant::Limits;
use crate::event_loops::LoopSeat;
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::shares::Admission;
use crate::tls;
use crate::wire::{Body, Duplex, Framing, HeadError, RequestHead, read_request_head};
use accept::Accepted;
pub(crate) use accept::{Listeners, tell_refused};
pub(crate) use sockets::{Bound, bind};

/// A connection that was accepted; TLS may still have to be spoken.
pub(super) struct Pending {
    accepted: Accepted,
    principal: Principal,
    peer: Arc<str>,
    tls: Option<tls::Server>,
    /// The time at which it was accepted, or a time before it if it waited in the queue.
    arrived: SystemTime,
    admission: Admission,
    /// Its part of the event loop that serves it; none if it is refused.
    seat: Option<LoopSeat>,
    /// The program does not end before it does.
    alive: mpsc::Sender<()>,
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
    /// The bounds in time of the settings that were in force at the last look, and their
    /// generation; `None` before the first.
    seen: Option<(u64, Limits)>,
    /// The time at which it was accepted, or a time before it if it waited in the queue.
    arrived: SystemTime,
    served: bool,
    /// Ready when no more requests are waited for, because the program is asked to stop; one for
    /// all requests, since each new one has to be made known.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The body of the request that is being served; `None` while it is not known where that
    /// request ends.
    pub(super) body: Option<Body>,
    /// The client closes the connection after this request's answer.
    pub(super) closes: bool,
    /// The request may open a tunnel: what comes behind it is not another request, unless the
    /// engine says that it is done. The connection is then closed without a word of it: Go clients
    /// of 2022 and before take an answer that says so for the stream.
    pub(super) tunnels: bool,
    /// The request asks for a head alone.
    pub(super) to_head: bool,
    /// Its place among the connections. Free again after the socket is closed, as fields are
    /// dropped in their order.
    admission: Admission,
    _seat: Option<LoopSeat>,
    _alive: mpsc::Sender<()>,
}

/// What a client that is refused may still send before the connection is closed under it, and for
/// how long.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

impl Conn {
    /// What is proven of who is at the other end.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the client is on this machine, over TCP.
    pub(super) fn is_loopback(&self) -> bool {
        self.principal
            .address
            .is_some_and(|address| address.is_loopback())
    }

    /// The time at which the connection was accepted, or a time before it if it waited in the
    /// queue.
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

    /// Its place among the connections, and what its client holds.
    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The connection and the body that is on its way.
    pub(super) fn parts(&mut self) -> (&mut Duplex, &mut Body) {
        (
            &mut self.stream,
            self.body.get_or_insert_with(|| Body::new(Framing::None)),
        )
    }

    /// Waits for the first byte of the next request. `false` where none comes: there is nobody to
    /// tell.
    pub(super) async fn wait_for_request(&mut self, proxy: &Proxy) -> bool {
        (self.body, self.closes, self.tunnels, self.to_head) = (None, false, false, false);
        self.stream.input.rest();
        self.stream.output.rest();
        if self.is_outdated(proxy) {
            return false;
        }
        let limits = self.limits(proxy);
        let limit = if std::mem::replace(&mut self.served, true) {
            limits.idle
        } else {
            limits.head
        };
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

    /// Whether the frontend now asks for certificates of other signers than when this client
    /// connected: it has to show its own again, on a new connection.
    fn is_outdated(&mut self, proxy: &Proxy) -> bool {
        let generation = proxy.settings.generation();
        if self.seen.is_some_and(|(seen, _)| seen == generation) {
            return false;
        }
        let settings = proxy.settings();
        let now = settings
            .tls
            .get(self.principal.frontend)
            .and_then(Option::as_ref)
            .and_then(|tls| tls.clients.as_ref());
        let is_outdated = match (&self.signers, now) {
            (Some(then), Some(now)) => !Arc::ptr_eq(then, now) && then != now,
            (None, Some(_)) => self.principal.address.is_some(),
            (_, None) => false,
        };
        self.seen = (!is_outdated).then_some((generation, settings.limits));
        is_outdated
    }

    /// The bounds of the settings that were seen last.
    pub(super) fn limits(&self, proxy: &Proxy) -> Limits {
        self.seen
            .map_or_else(|| proxy.limits(), |(_, limits)| limits)
    }

    /// Reads the head of a request whose first byte is there.
    pub(super) async fn read_head(&mut self, proxy: &Proxy) -> Result<RequestHead, Outcome> {
        let limit = self.limits(proxy).head;
        let read = tokio::select! {
            // Most heads are there as a whole: only one that is not needs to know of clocks.
            biased;
            read = timeout(limit, read_request_head(&mut self.stream.input)) => read,
            () = &mut self.stop => return Err(Outcome::ShuttingDown),
        };
        match read {
            // A head may come in parts, and the first of them before the signers have changed.
            Ok(Ok(_)) if self.is_outdated(proxy) => Err(Outcome::OutdatedCertificate),
            Ok(Ok(head)) => Ok(head),
            Ok(Err(HeadError::Closed)) => Err(Outcome::ClientDisconnected),
            Ok(Err(error)) => Err(Refusal::Head(error).into()),
            Err(_) => Err(Refusal::HeadTimeout.into()),
        }
    }

    /// Waits for the place that the connection did not get when it was accepted, or refuses its
    /// request. A health check's ping needs no place: the connection is closed behind its answer.
    pub(super) async fn take_place(&mut self, is_ping: bool, proxy: &Proxy) -> Result<(), Outcome> {
        if self.admission.has_place() {
            return Ok(());
        }
        if is_ping {
            self.closes = true;
            return Ok(());
        }
        let taken = tokio::select! {
            taken = self.admission.take_place(proxy.limits().head) => taken,
            () = proxy.stop() => return Err(Outcome::ShuttingDown),
        };
        self.closes |= taken.is_err();
        taken.map_err(|full| Refusal::Connections(full).into())
    }

    /// Holds the connection to the number that the client's profile allows, which may not have been
    /// known when it was accepted. A health check's ping is answered all the same.
    pub(super) fn confirm_place(
        &mut self,
        client: &Client,
        is_ping: bool,
        proxy: &Proxy,
    ) -> Result<(), Refusal> {
        let confirmed = self.admission.confirm(client.profile.limits.connections);
        let Err(full) = confirmed else { return Ok(()) };
        self.closes = true;
        if is_ping {
            return Ok(());
        }
        if let Some(told) = proxy.shares.note_refusal(&self.admission, &self.peer) {
            tell_refused(&told, proxy);
        }
        Err(Refusal::Connections(full))
    }

    /// Closes without losing what was just written: a socket that is closed with unread bytes takes
    /// back its last answer.
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

/// Answers with the refusal. The connection goes on only if the request was well-formed and nothing
/// of it is left: behind one that was not, nobody can say where the next one starts.
pub(super) async fn refuse(
    conn: &mut Conn,
    refusal: &Refusal,
    proxy: &Proxy,
    record: &Record<'_>,
) -> Next {
    let known_end = refusal.status() != 400 && conn.body.as_ref().is_some_and(Body::is_done);
    let close = conn.closes || conn.tunnels || !known_end || *proxy.stopping.borrow();
    // Not for ever: a client that reads none of its refusals must not pile them up here.
    let announced = close && !conn.tunnels;
    let response = refusal.response(conn.to_head, announced, record.is_uncertain());
    let output = &mut conn.stream.output;
    let sending = async {
        output
            .write_all(response.as_bytes())
            .await
            .and(output.flush().await)
    };
    let sent = timeout(proxy.limits().head, sending).await;
    match sent {
        Ok(Ok(())) if close => conn.linger().await,
        Ok(Ok(())) => Next::KeepAlive,
        _ => Next::Close,
    }
}
