//! Forward: to the engine, and as far as the head of its answer.
//!
//! The request for the engine is written from the approved call; only the end-to-end headers and
//! the body of the client go with it, or the body that was judged in its place. While the engine
//! thinks, the rest of the body goes up and the client is watched: one that leaves takes its
//! request with it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cetusguard_config::meant::Limits;
use cetusguard_policy::endpoint::{Answer, EndpointId, Protocol};
use cetusguard_policy::{AnswerFilter, Call, Method};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::Proxy;
use super::admit::is_ping;
use super::audit::Record;
use super::connection::Connection;
use super::inspect::{Approved, JudgedBody, ask_for_body};
use super::normalise::Message;
use crate::limits::quotas::QuotaHold;
use crate::limits::shares::ExchangeSlot;
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;
use cetusguard_http1::{
    Body, Duplex, Framing, HeadError, Input, Known, Output, PumpError, ResponseHead, pump,
    read_response_head, response_framing, send_head,
};

/// The engine's answer up to its head, and the connection on which the rest of it comes.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) engine: Duplex,
    pub(super) head: ResponseHead,
    pub(super) framing: Framing,
    /// The endpoint may stay open and silent for ever.
    pub(super) follows: bool,
    /// The client asked for an upgrade where the endpoint has one.
    pub(super) upgrade: bool,
    /// The engine's connection may be kept: only for requests that may themselves use a kept one.
    reusable: bool,
    /// The number of the certificates that it was made with.
    pub(super) generation: u64,
    /// The filter for the answer, if the client does not see all of it.
    filter: Option<Box<AnswerFilter>>,
    /// `true` if the client does not get the length of the answer.
    pub(super) hides_length: bool,
    /// The endpoint leaves HTTP once it has answered.
    hijacks: bool,
    /// Free again once the exchange has ended.
    _slot: Option<ExchangeSlot>,
}

impl Answered {
    /// Takes the filter for the answer; once.
    pub(super) fn take_filter(&mut self) -> Option<Box<AnswerFilter>> {
        self.filter.take()
    }

    /// Returns the answer without a header about its length.
    pub(super) fn without_length(self) -> Self {
        Self {
            hides_length: true,
            ..self
        }
    }

    /// Returns whether the engine's connection may serve another request after this answer.
    pub(super) fn may_keep_connection(&self) -> bool {
        self.reusable && self.head.keep_alive && self.framing != Framing::UntilClose
    }

    /// Returns whether the connection is raw bytes from here on: after a 101, or, for clients that
    /// attach or exec without an upgrade, after a 200 with a raw stream that has no framing (moby
    /// `postContainersAttach`).
    pub(super) fn is_tunnel(&self) -> bool {
        if !self.hijacks {
            return false;
        }
        let kind = self
            .head
            .headers
            .get(Known::ContentType)
            .unwrap_or_default();
        let raw = [
            "application/vnd.docker.raw-stream",
            "application/vnd.docker.multiplexed-stream",
        ]
        .contains(&kind);
        self.head.status == 101
            || (self.head.status == 200 && self.framing == Framing::UntilClose && raw)
    }

    /// Returns whether the endpoint answered like any other, so that the next bytes are the next
    /// request: `Detach: true`.
    pub(super) fn is_detached(&self) -> bool {
        self.hijacks
            && !self.upgrade
            && self.head.status == 200
            && matches!(self.framing, Framing::Length(_))
    }
}

/// Sends the request and waits for the head of the answer.
pub(super) async fn forward_request(
    mut approved: Approved,
    message: &Message,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Answered, Outcome> {
    let slot = take_exchange_slot(&approved, message, conn, proxy)?;
    let upgrade = upgrade_of(approved.call(), message);
    let judged = approved.take_body();
    let filter = approved.take_filter();
    let mut quota = approved.take_quota();
    let via = proxy.backend.via();
    let head = request_head(
        approved.call(),
        message,
        upgrade,
        via,
        judged.as_ref().map(|judged| judged.body.as_slice()),
        Withheld {
            encodings: filter.is_some(),
            registry_credentials: approved.hides_registry_credentials(),
        },
    );
    let request = Request {
        head,
        generation: proxy.backend.generation(),
        _judged: judged,
    };
    let mut exchange = Exchange {
        approved: &approved,
        message,
        conn,
        proxy,
        record,
    };
    let answered = match exchange.on_kept_connection(&request).await {
        Some(answered) => answered?,
        None => {
            exchange
                .on_new_connection(request, quota.as_deref_mut())
                .await?
        }
    };
    if let Some(hold) = quota {
        hold.settle(answered.head.status < 400);
    }
    Ok(Answered {
        upgrade: upgrade.is_some(),
        filter,
        _slot: slot,
        ..answered
    })
}

/// Takes the right to an exchange, whose sockets' buffers take memory. The health check's ping
/// needs none: it is small.
fn take_exchange_slot(
    approved: &Approved,
    message: &Message,
    conn: &Connection,
    proxy: &Proxy,
) -> Result<Option<ExchangeSlot>, Refusal> {
    if is_ping(approved.call(), message) {
        return Ok(None);
    }
    proxy
        .shares
        .begin_exchange(conn.admission().client())
        .map(Some)
        .ok_or(Refusal::MemoryLimit)
}

/// A request's head with the body that was judged; gone once it is sent.
struct Request {
    head: Vec<u8>,
    /// The number of the backend's certificates when it was begun.
    generation: u64,
    _judged: Option<JudgedBody>,
}

impl Request {
    /// Returns a copy of the request for a second attempt. Only requests without a body get one.
    fn repeat(&self) -> Self {
        Self {
            head: self.head.clone(),
            generation: self.generation,
            _judged: None,
        }
    }
}

/// The exchange of a request and the head of its answer.
struct Exchange<'e, 'r> {
    approved: &'e Approved,
    message: &'e Message,
    conn: &'e mut Connection,
    proxy: &'e Proxy,
    record: &'e mut Record<'r>,
}

impl Exchange<'_, '_> {
    /// Asks on a kept connection; `None` if there is none, or if the engine has closed it.
    ///
    /// A kept connection may have died in silence. A safe request without a body can be asked again;
    /// nothing else can, so nothing else is sent on one.
    async fn on_kept_connection(&mut self, request: &Request) -> Option<Result<Answered, Outcome>> {
        let may_repeat =
            self.approved.call().method().is_safe() && self.message.framing == Framing::None;
        let engine = may_repeat
            .then(|| self.proxy.backend.take_kept())
            .flatten()?;
        match self.run(engine, request.repeat()).await {
            Err(Outcome::Refused(Refusal::EngineClosed)) => None,
            result => Some(result),
        }
    }

    async fn on_new_connection(
        &mut self,
        request: Request,
        quota: Option<&mut QuotaHold>,
    ) -> Result<Answered, Outcome> {
        let engine = self.proxy.backend.connect().await;
        let engine = engine.map_err(Refusal::EngineUnreachable)?;
        if let Some(hold) = quota {
            hold.note_sent();
        }
        match self.run(engine, request).await {
            // An engine that was told that the client sends no more has ended the request.
            Err(Outcome::Refused(Refusal::EngineClosed)) if self.conn.is_ended() => {
                Err(Outcome::ClientDisconnected)
            }
            result => result,
        }
    }

    async fn run(&mut self, mut engine: Duplex, request: Request) -> Result<Answered, Outcome> {
        // The number was read before the connection was made: if the certificates changed in
        // between, a new connection is dropped too early instead of an old one being kept too long.
        let generation = request.generation;
        self.send(&mut engine.output, request).await?;
        let call = self.approved.call();
        let expected = call
            .endpoint()
            .map_or(Answer::Follow, |endpoint| endpoint.answer);
        let head = self.wait_for_head(&mut engine, expected).await?;
        let framing = response_framing(&head, call.method() == Method::Head)
            .map_err(|_| Refusal::EngineProtocolError)?;
        let hijacks = matches!(expected, Answer::Tunnel(_));
        if head.status == 101 && !hijacks {
            return Err(Refusal::EngineProtocolError.into());
        }
        self.record.note_answer(head.status);
        Ok(Answered {
            engine,
            head,
            framing,
            follows: expected == Answer::Follow,
            upgrade: false,
            reusable: call.method().is_safe(),
            generation,
            filter: None,
            hides_length: false,
            hijacks,
            _slot: None,
        })
    }

    /// Sends the head of the request, and the part of the body that has arrived with it.
    async fn send(&mut self, engine: &mut Output, request: Request) -> Result<(), Outcome> {
        let limits = self.conn.limits(self.proxy);
        let (client, body) = self.conn.stream_and_body();
        let sent = send_head(
            &request.head,
            &mut client.input,
            body,
            engine,
            &self.record.bytes_in,
            limits.answer,
        );
        let sent = sent.await;
        let method = self.approved.call().method();
        match sent {
            // An engine that refuses early may answer and close before it has read everything.
            Ok(()) | Err(PumpError::Write) => self.record.note_sent_head(method),
            Err(PumpError::Stalled) => {
                self.record.note_sent_head(method);
                return Err(Refusal::EngineTimeout.into());
            }
            // Nothing was sent.
            Err(_) => return Err(Refusal::MalformedBody.into()),
        }
        if self.message.expects_continue && !body.is_done() {
            ask_for_body(&mut client.output, limits.progress).await?;
        }
        Ok(())
    }

    /// Waits for the head of the answer, while the rest of the body goes up and the client is
    /// watched.
    async fn wait_for_head(
        &mut self,
        engine: &mut Duplex,
        expected: Answer,
    ) -> Result<ResponseHead, Outcome> {
        let limits = self.conn.limits(self.proxy);
        let limit = match expected {
            Answer::Quick if is_ping(self.approved.call(), self.message) => {
                limits.answer.min(PING_LIMIT)
            }
            Answer::Quick => limits.answer,
            _ => Duration::MAX,
        };
        let follows = expected == Answer::Follow;
        let (client, body) = self.conn.stream_and_body();
        let (client_side, patience) = (
            (&mut client.input, body),
            half_close_patience(follows, &limits),
        );
        let answer = tokio::select! {
            biased;
            answer = timeout(limit, final_head(&mut engine.input)) => answer,
            left = watch_client(client_side, &mut engine.output, self.record, patience) => {
                return Err(left.before_answer());
            }
            () = self.proxy.stop(), if follows => return Err(Outcome::ShuttingDown),
        };
        match answer {
            Ok(Ok(head)) => Ok(head),
            Ok(Err(HeadError::Closed)) if engine.input.buffer.is_empty() => {
                Err(Refusal::EngineClosed.into())
            }
            Ok(Err(_)) => Err(Refusal::EngineProtocolError.into()),
            Err(_) if !self.conn.stream_and_body().1.is_done() => Err(Refusal::BodyTimeout.into()),
            Err(_) => Err(Refusal::EngineTimeout.into()),
        }
    }
}

/// The head of the final answer. Interim ones are between the engine and us: we have answered
/// `Expect` already.
async fn final_head(input: &mut Input) -> Result<ResponseHead, HeadError> {
    loop {
        let head = read_response_head(input).await?;
        if head.status == 101 || head.status >= 200 {
            return Ok(head);
        }
    }
}

/// The upgrade to pass on: only where the endpoint hijacks, and only the protocol that it hijacks
/// for.
pub(super) fn upgrade_of(call: &Call, message: &Message) -> Option<Protocol> {
    let Answer::Tunnel(protocol) = call.endpoint()?.answer else {
        return None;
    };
    let asked = message.headers.get(Known::Upgrade)?;
    // Engines do not look at the value for attach and exec, and clients differ in it.
    (protocol == Protocol::Tcp || asked.eq_ignore_ascii_case(protocol.token())).then_some(protocol)
}

/// The headers of the client that the engine does not get.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withheld {
    /// The encodings that the client takes: an answer that is filtered must not be compressed.
    encodings: bool,
    /// The credentials for a registry other than that of the image's new name.
    registry_credentials: bool,
}

/// The value of `X-Registry-Auth` for no credentials: `{}`, in base64.
const NO_CREDENTIALS: &[u8] = b"e30=";

/// Returns whether a header holds credentials for registries. Podman reads both for every call, and
/// prefers the second (Podman `pkg/auth`).
fn is_registry_credential(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"x-registry-auth") || name.eq_ignore_ascii_case(b"x-registry-config")
}

/// The time in which an engine has to answer a ping. The health check waits for five seconds: its
/// end would look like that of a client that has left, and an engine that hangs be seen nowhere.
const PING_LIMIT: Duration = Duration::from_secs(4);

/// The request's head, from the judged call, with the body that was judged.
pub(super) fn request_head(
    call: &Call,
    message: &Message,
    upgrade: Option<Protocol>,
    via: &str,
    judged: Option<&[u8]>,
    withheld: Withheld,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(512 + judged.map_or(0, <[u8]>::len));
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| head.extend_from_slice(part));
    put(&[
        call.method().as_str().as_bytes(),
        b" ",
        call.target().as_bytes(),
        b" HTTP/1.1\r\nHost: docker\r\n",
    ]);
    for (known, name, value) in message.headers.end_to_end() {
        // Credentials for a proxy on the way must not reach the engine; Expect is answered here.
        let is_replaced = judged.is_some() && known == Known::ContentType;
        let is_unwanted = withheld.encodings && known == Known::AcceptEncoding
            || withheld.registry_credentials && is_registry_credential(name);
        let is_ours = matches!(
            known,
            Known::Host | Known::Expect | Known::Authorization | Known::Session
        );
        if !is_replaced && !is_unwanted && !is_ours {
            put(&[name, b": ", value, b"\r\n"]);
        }
    }
    // Without the header, a service keeps the credentials that it was given for its former image.
    let keeps_credentials = call
        .endpoint()
        .is_some_and(|endpoint| endpoint.id == EndpointId::ServiceUpdate);
    if withheld.registry_credentials && keeps_credentials {
        put(&[b"X-Registry-Auth: ", NO_CREDENTIALS, b"\r\n"]);
    }
    // Behind the names of those through whom the request has come.
    put(&[b"Via: ", via.as_bytes(), b"\r\n"]);
    match judged {
        Some(body) if !body.is_empty() => put(&[b"Content-Type: application/json\r\n"]),
        _ => {}
    }
    match judged.map_or(message.framing, |body| {
        judged_framing(body, message.framing)
    }) {
        Framing::Length(length) => {
            put(&[b"Content-Length: ", length.to_string().as_bytes(), b"\r\n"])
        }
        Framing::Chunked => put(&[b"Transfer-Encoding: chunked\r\n"]),
        Framing::None | Framing::UntilClose => {}
    }
    if let Some(protocol) = upgrade {
        put(&[
            b"Connection: Upgrade\r\nUpgrade: ",
            protocol.token().as_bytes(),
            b"\r\n",
        ]);
    }
    put(&[b"\r\n", judged.unwrap_or_default()]);
    head
}

/// A body that was judged is there as a whole; where the client has sent none, none is sent.
fn judged_framing(body: &[u8], own: Framing) -> Framing {
    if own == Framing::None && body.is_empty() {
        Framing::None
    } else {
        Framing::Length(body.len() as u64)
    }
}

/// Why the client's side of an exchange ended first.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientEnd {
    /// The client closed the connection, or the connection broke.
    Gone,
    /// Its body cannot be passed on.
    BadBody,
}

impl ClientEnd {
    fn before_answer(self) -> Outcome {
        match self {
            Self::Gone => Outcome::ClientDisconnected,
            Self::BadBody => Refusal::MalformedBody.into(),
        }
    }

    /// The end of an exchange whose answer has begun.
    pub(super) fn within_answer(self) -> Outcome {
        match self {
            Self::Gone => Outcome::ClientDisconnected,
            Self::BadBody => Outcome::MalformedBody,
        }
    }
}

/// Returns the time in which an exchange goes on although its client sends no more and no byte of
/// the answer comes. A client that has shut down its writing half may still read, and over TCP one
/// that has left looks the same.
pub(super) fn half_close_patience(follows: bool, limits: &Limits) -> Duration {
    if follows {
        Duration::ZERO
    } else {
        limits.answer
    }
}

/// The time that a short answer may take before the engine learns that the client sends no more:
/// some engines end requests then.
const FAREWELL: Duration = Duration::from_millis(250);

/// The bytes that may arrive from a client while its request is answered: the next requests, or
/// early bytes for a tunnel. More bytes wait in the kernel.
const EARLY_LIMIT: usize = 8 << 10;

/// The interval in which a client that cannot be read is checked for having left, and the time that
/// a stalled upload may last after that: the engine may be busy with the bytes that it has.
const LOOK: Duration = Duration::from_secs(1);
const STALLED: Duration = Duration::from_secs(30);

/// Sends the rest of the body, then watches the client. Returns only when the client's side is
/// over. Safe to cancel.
pub(super) async fn watch_client(
    (input, body): (&mut Input, &mut Body),
    engine: &mut Output,
    record: &Record<'_>,
    patience: Duration,
) -> ClientEnd {
    let discards = match send_body(input, body, engine, &record.bytes_in).await {
        Ok(()) | Err(PumpError::Stalled) => false,
        // An engine that takes no more may still answer, and the client may send its whole body
        // before it reads.
        Err(PumpError::Write) => true,
        Err(PumpError::Garbage) => return ClientEnd::BadBody,
        Err(PumpError::Short | PumpError::Read) => return ClientEnd::Gone,
    };
    let ended = loop {
        if discards {
            input.buffer.clear();
        }
        if input.buffer.len() >= EARLY_LIMIT {
            break false;
        }
        match input.fill().await {
            Ok(0) => break true,
            Ok(_) => {}
            Err(_) => return ClientEnd::Gone,
        }
    };
    // The client's input is full, so it is not read: the event loop reports when the client leaves.
    while !ended && !input.is_ended() {
        sleep(LOOK).await;
    }
    if !patience.is_zero() && !input.is_hung_up() {
        sleep(FAREWELL).await;
        // The engine now sees the half-close that it would see without a proxy, and ends the
        // request or goes on.
        if engine.shutdown().await.is_ok() {
            wait_for_departure(input, &record.bytes_out, patience).await;
        }
    }
    ClientEnd::Gone
}

/// Returns once a client that sends no more has left, or once its answer has stood still for so
/// long.
async fn wait_for_departure(input: &Input, answered: &AtomicU64, patience: Duration) {
    let (mut before, mut since) = (answered.load(Relaxed), Instant::now());
    while !input.is_hung_up() && since.elapsed() < patience {
        sleep(LOOK.min(patience)).await;
        let now = answered.load(Relaxed);
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
}

/// Pumps the body. An engine that takes nothing of it must not keep a client's place once that
/// client has left.
async fn send_body(
    input: &mut Input,
    body: &mut Body,
    engine: &mut Output,
    count: &AtomicU64,
) -> Result<(), PumpError> {
    while !body.is_done() {
        let before = count.load(Relaxed);
        match timeout(STALLED, pump(input, body, engine, count, Duration::MAX)).await {
            Ok(done) => return done,
            Err(_) if input.is_ended() && count.load(Relaxed) == before => {
                return Err(PumpError::Short);
            }
            Err(_) => {}
        }
    }
    Ok(())
}
