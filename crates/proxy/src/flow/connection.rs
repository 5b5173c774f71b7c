//! Connections: the state of a client's connection, and its work between requests.

mod open;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cetusguard_config::meant::Limits;
use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::{Call, Principal};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::identify::{Client, Identity};
use super::listen::{AcceptedStream, log_refused_connections};
use super::normalise::Frame;
use super::roster::{ConnectionEntry, RosterPlace};
use super::{Next, Proxy};
use crate::limits::shares::Admission;
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;
use crate::runtime::event_loops::LoopSeat;
use crate::tls;
use cetusguard_http1::{Body, Duplex, HeadError, RequestHead, read_request_head};
pub(super) use open::{canonical_address, describe_peer};

/// The other end of a client's connection, for the log.
#[derive(Debug)]
pub(super) struct Peer {
    /// The client's address, or its Unix user.
    pub(super) client: Arc<str>,
    /// The address of the frontend on which it arrived.
    pub(super) frontend: Arc<str>,
}

/// A connection that was accepted, before its TLS handshake.
pub(super) struct PendingConnection {
    pub(super) stream: AcceptedStream,
    pub(super) principal: Principal,
    pub(super) peer: Arc<Peer>,
    /// The TLS settings of the frontend, if it has TLS.
    pub(super) tls: Option<tls::FrontendTls>,
    /// The time of the accept, or a time before the connection arrived if it waited in the kernel's
    /// queue.
    pub(super) arrived: SystemTime,
    pub(super) admission: Admission,
    /// Its part of the event loop that serves it; none if it is refused.
    pub(super) seat: Option<LoopSeat>,
    /// The program does not end before it does.
    pub(super) alive: mpsc::Sender<()>,
}

/// A client's connection.
pub(super) struct Connection {
    stream: Duplex,
    peer: Arc<Peer>,
    principal: Principal,
    /// The result of the last identification of the client.
    identity: Option<Identity>,
    /// The authorities that may have signed the client's certificate, where it had to show one.
    signers: Option<Arc<Vec<CertificateDer<'static>>>>,
    /// The time limits of the settings that were in force at the last check, and the generation of
    /// those settings; `None` before the first.
    seen: Option<(u64, Limits)>,
    /// The time of the accept, or a time before the connection arrived if it waited in the kernel's
    /// queue.
    arrived: SystemTime,
    /// Set after the first request.
    served: bool,
    /// Ready when the connection must not wait for more requests, because the program is asked to
    /// stop; one future for all requests, since each new one would have to be registered.
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The request that is being served; `None` while the end of its body is unknown.
    request: Option<CurrentRequest>,
    /// The connection has no place, so that it closes after the next answer.
    is_last: bool,
    /// Its place among the connections. It becomes free after the socket is closed, since fields
    /// are dropped in their order.
    admission: Admission,
    /// Its place in the roster, if the admin listener shows connections.
    roster_place: Option<RosterPlace>,
    _seat: Option<LoopSeat>,
    _alive: mpsc::Sender<()>,
}

/// The part of a request that decides about the connection after it.
struct CurrentRequest {
    /// The state of the request body.
    body: Body,
    /// The client closes the connection after the answer.
    closes: bool,
    /// The request may open a tunnel: the bytes behind it are not another request unless the engine
    /// says that it is done. The connection then closes without `Connection: close`: Go clients up
    /// to 2022 mistake an answer with that header for the stream.
    may_tunnel: bool,
    /// The request asks for a head alone.
    is_head: bool,
}

/// The bytes that a refused client may still send before the connection closes, and the time that
/// it has for them.
const LINGER_BYTES: usize = 1 << 20;
const LINGER_TIME: Duration = Duration::from_secs(1);

impl Connection {
    /// Returns the properties of the client that the connection proves.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns whether the client is on this machine, over TCP.
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

    /// Returns whether its peer sends no more.
    pub(super) fn is_ended(&self) -> bool {
        self.stream.input.is_ended()
    }

    /// Returns the description of the client for the log.
    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Returns its place among the connections, with the share of its client.
    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Returns the connection and the body of the current request.
    pub(super) fn stream_and_body(&mut self) -> (&mut Duplex, &mut Body) {
        let request = self
            .request
            .get_or_insert_with(|| CurrentRequest::new(&Frame::default()));
        (&mut self.stream, &mut request.body)
    }

    /// Begins a request whose framing is known: from here on the end of its body can be found.
    pub(super) fn begin_request(&mut self, frame: &Frame) {
        self.request = Some(CurrentRequest::new(frame));
    }

    /// Notes that the endpoint of a call may open a tunnel, whether or not the client asked for an
    /// upgrade.
    pub(super) fn expect_tunnel_of(&mut self, call: &Call) {
        let may_tunnel = call
            .endpoint()
            .is_some_and(|endpoint| matches!(endpoint.answer, Answer::Tunnel(_)));
        if let Some(request) = &mut self.request {
            request.may_tunnel |= may_tunnel;
        }
    }

    /// Returns whether the connection closes after the current answer.
    pub(super) fn closes(&self) -> bool {
        self.is_last || self.request.as_ref().is_some_and(|request| request.closes)
    }

    /// Returns whether the current request may open a tunnel.
    pub(super) fn may_tunnel(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.may_tunnel)
    }

    /// Returns whether the current request asks for a head alone.
    pub(super) fn is_head_request(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.is_head)
    }

    /// Returns whether the client sees a part of the engine alone.
    pub(super) fn sees_part(&self) -> bool {
        let viewer = self.identity.as_ref().map(|known| &known.client().viewer);
        viewer.is_some_and(|viewer| viewer.view.is_bounded())
    }

    /// Returns whether the whole current request has arrived.
    pub(super) fn has_whole_request(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.body.is_done())
    }

    /// Returns the result of the last identification of the client.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Keeps the result of an identification for the next requests.
    pub(super) fn remember(&mut self, identity: Identity) {
        if let Some(place) = &self.roster_place {
            place.entry.note_client(identity.client());
        }
        self.identity = Some(identity);
    }

    /// Returns its entry in the roster, if the admin listener shows connections.
    pub(super) fn roster_entry(&self) -> Option<Arc<ConnectionEntry>> {
        let place = self.roster_place.as_ref()?;
        Some(Arc::clone(&place.entry))
    }

    /// Waits for the first byte of the next request. Returns false if none comes; there is no
    /// request to answer then.
    pub(super) async fn wait_for_request(&mut self, proxy: &Proxy) -> bool {
        self.request = None;
        self.stream.input.release_memory();
        self.stream.output.release_memory();
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

    /// Returns whether the frontend now asks for certificates of other signers than when this
    /// client connected: it has to show its own again, on a new connection.
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
            self.is_last = true;
            return Ok(());
        }
        let taken = tokio::select! {
            taken = self.admission.take_place(proxy.limits().head) => taken,
            () = proxy.stop() => return Err(Outcome::ShuttingDown),
        };
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
        if is_ping {
            self.is_last = true;
            return Ok(());
        }
        if let Some(told) = proxy
            .shares
            .note_refusal(&self.admission, &self.peer.client)
        {
            log_refused_connections(&told, proxy);
        }
        Err(Refusal::Connections(full))
    }

    /// Closes without losing the last answer: the kernel discards it if the socket is closed with
    /// unread bytes.
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

impl CurrentRequest {
    fn new(frame: &Frame) -> Self {
        Self {
            body: Body::new(frame.framing),
            closes: frame.closes,
            may_tunnel: frame.asks_for_upgrade,
            is_head: frame.is_head,
        }
    }
}
