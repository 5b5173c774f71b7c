//! Forward: to the engine, and as far as the head of its answer.
//!
//! The request for the engine is written from the approved call (`request_head.rs`). While the
//! engine thinks, the rest of the body is sent and the client is watched (`client_watch.rs`).

use std::time::Duration;

use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::{AnswerFilter, Method};
use tokio::time::timeout;

use super::Proxy;
use super::admit::is_ping;
use super::audit::Record;
use super::client_watch::{half_close_patience, watch_client};
use super::connection::Connection;
use super::inspect::{Approved, JudgedBody, ask_for_body};
use super::normalise::Message;
use super::request_head::{Withheld, request_head, upgrade_of};
use crate::limits::name_holds::NameHold;
use crate::limits::quotas::QuotaHold;
use crate::limits::shares::ExchangeSlot;
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;
use cetusguard_http1::{
    Duplex, Framing, HeadError, Input, Known, Output, PumpError, ResponseHead, read_response_head,
    response_framing, send_head,
};

/// The time in which an engine has to answer a ping. The health check waits for five seconds: if it
/// gave up first, the record would say that the client left, and nothing would report an engine that
/// hangs.
const PING_LIMIT: Duration = Duration::from_secs(4);

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

/// Sends the request and waits for the head of the answer. Marks the names that the call gives as
/// sent, once there is a connection to the engine.
pub(super) async fn forward_request(
    mut approved: Approved,
    names: Option<&mut NameHold>,
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
    let request = EngineRequest {
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
    let mut answered = match exchange.on_kept_connection(&request).await {
        Some(answered) => answered?,
        None => {
            exchange
                .on_new_connection(request, quota.as_deref_mut(), names)
                .await?
        }
    };
    if let Some(hold) = quota {
        if hold.creates_object()
            && let Some(id) = created_object(&mut answered).await
        {
            hold.note_created(id);
        }
        hold.settle(answered.head.status < 400);
    }
    Ok(Answered {
        upgrade: upgrade.is_some(),
        filter,
        _slot: slot,
        ..answered
    })
}

/// The largest answer to a creation that is read for the identifier, in bytes.
const CREATED_LIMIT: u64 = 4 << 10;

/// The time in which such an answer has to arrive whole.
const CREATED_DEADLINE: Duration = Duration::from_secs(5);

/// Returns the identifier of an object that the engine has created. The answer stays as it
/// arrived, for the client. `None` if the answer does not tell the identifier.
async fn created_object(answered: &mut Answered) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Created {
        #[serde(rename = "Id")]
        id: String,
    }
    let Framing::Length(length @ 1..=CREATED_LIMIT) = answered.framing else {
        return None;
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|_| answered.head.status == 201)?;
    let input = &mut answered.engine.input;
    let arrival = async {
        while input.buffer.len() < length && input.fill().await? > 0 {}
        std::io::Result::Ok(())
    };
    timeout(CREATED_DEADLINE, arrival).await.ok()?.ok()?;
    let created: Created = serde_json::from_slice(input.buffer.get(..length)?).ok()?;
    Some(created.id)
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
struct EngineRequest {
    head: Vec<u8>,
    /// The number of the backend's certificates when it was begun.
    generation: u64,
    _judged: Option<JudgedBody>,
}

impl EngineRequest {
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
    async fn on_kept_connection(
        &mut self,
        request: &EngineRequest,
    ) -> Option<Result<Answered, Outcome>> {
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
        request: EngineRequest,
        quota: Option<&mut QuotaHold>,
        names: Option<&mut NameHold>,
    ) -> Result<Answered, Outcome> {
        let engine = self.proxy.backend.connect().await;
        let engine = engine.map_err(Refusal::EngineUnreachable)?;
        if let Some(hold) = quota {
            hold.note_sent();
        }
        if let Some(names) = names {
            names.note_sent();
        }
        match self.run(engine, request).await {
            // An engine that was told that the client sends no more has ended the request.
            Err(Outcome::Refused(Refusal::EngineClosed)) if self.conn.is_ended() => {
                Err(Outcome::ClientDisconnected)
            }
            result => result,
        }
    }

    async fn run(
        &mut self,
        mut engine: Duplex,
        request: EngineRequest,
    ) -> Result<Answered, Outcome> {
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
    async fn send(&mut self, engine: &mut Output, request: EngineRequest) -> Result<(), Outcome> {
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
