//! Inspect: the content of an allowed call. Bodies and queries that carry power are read, judged by
//! the guard, and go on as they were judged; everything else goes on as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cetusguard_policy::endpoint::{Answer, EndpointId, ObjectKind};
use cetusguard_policy::guard::{Cleared, Json};
use cetusguard_policy::{AnswerFilter, Call};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::Proxy;
use super::admit::Admitted;
use super::audit::Record;
use super::connection::Connection;
use super::identify::Client;
use super::normalise::Message;
use super::resolve::{self, Facts};
use crate::engine::create_volume;
use crate::limits::budget::{BODY_LIMIT, BodyBudget};
use crate::limits::name_holds::{NameHold, NotHeld};
use crate::limits::quotas::{NoRoom, QuotaHold};
use crate::outcome::Outcome;
use crate::outcome::refusal::{Guarded, Refusal};
use cetusguard_http1::{Framing, Input, Known, Output, PumpError, read_content};

/// Bodies up to this size, in bytes, need no budget: nearly all bodies are smaller, and a client
/// has at most one per connection.
const SMALL: usize = 8 << 10;
/// The time between two looks at a body that does not arrive, to decide whether its client may
/// still wait.
const LOOK: Duration = Duration::from_millis(500);

/// The interval in which a client whose call is judged is checked for having left, and the time that
/// a judgement may still take for one that sends no more.
const FAREWELL: Duration = Duration::from_millis(250);

/// The time that the end of a complete body may take.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A call that may go to the engine: every obligation of its permit is discharged, or waived by
/// audit mode.
#[derive(Debug)]
pub(super) struct Approved {
    admitted: Arc<Admitted>,
    cleared: Cleared,
    body: Option<JudgedBody>,
    /// The part of the profile's quota that the call takes, until the engine has answered.
    quota: Option<Box<QuotaHold>>,
    /// The names that the call gives to objects of an owner, until its answer has ended.
    names: Option<Box<NameHold>>,
    /// The filter for the answer, if the client does not see all of it.
    filter: Option<Box<AnswerFilter>>,
}

/// A body that is judged, with the memory that it takes: until it is sent.
#[derive(Debug, Default)]
pub(super) struct JudgedBody {
    /// The body that replaces the client's body.
    pub(super) body: Vec<u8>,
    _budget: Option<BodyBudget>,
}

impl Approved {
    fn new(admitted: Arc<Admitted>, cleared: Cleared, body: Option<JudgedBody>) -> Self {
        let filter = admitted.permit().answer_filter(admitted.viewer());
        Self {
            admitted,
            cleared,
            body,
            quota: None,
            names: None,
            filter: filter.map(Box::new),
        }
    }

    fn with_holds(self, holds: CallHolds) -> Self {
        Self {
            quota: holds.quota,
            names: holds.names,
            ..self
        }
    }

    /// Takes the hold on the names that the call gives; once.
    pub(super) fn take_names(&mut self) -> Option<Box<NameHold>> {
        self.names.take()
    }

    /// Takes the hold on the profile's quota; once.
    pub(super) fn take_quota(&mut self) -> Option<Box<QuotaHold>> {
        self.quota.take()
    }

    /// Takes the filter for the answer; once.
    pub(super) fn take_filter(&mut self) -> Option<Box<AnswerFilter>> {
        self.filter.take()
    }

    /// The call as it goes to the engine.
    pub(super) fn call(&self) -> &Call {
        self.cleared.call(self.admitted.call())
    }

    /// Returns whether the client's credentials for a registry are withheld: the new name of an image
    /// is in another registry.
    pub(super) fn hides_registry_credentials(&self) -> bool {
        self.cleared.changes_registry(self.admitted.call())
    }

    /// Takes the body that replaces the client's body, if that was judged; once.
    pub(super) fn take_body(&mut self) -> Option<JudgedBody> {
        self.body.take()
    }
}

/// Discharges the obligations of a permit.
pub(super) async fn inspect_call(
    admitted: Arc<Admitted>,
    message: &Message,
    client: &Arc<Client>,
    conn: &mut Connection,
    proxy: &Arc<Proxy>,
    record: &mut Record<'_>,
) -> Result<Approved, Outcome> {
    match admitted.permit().cleared() {
        Some(cleared) => Ok(Approved::new(admitted, cleared, None)),
        // Apart, so that a connection does not carry the state of a judgement while it waits or
        // streams.
        None => {
            Box::pin(discharge_obligations(
                admitted, message, client, conn, proxy, record,
            ))
            .await
        }
    }
}

async fn discharge_obligations(
    admitted: Arc<Admitted>,
    message: &Message,
    client: &Arc<Client>,
    conn: &mut Connection,
    proxy: &Arc<Proxy>,
    record: &mut Record<'_>,
) -> Result<Approved, Outcome> {
    let body = match admitted.permit().reads_body() {
        true => Some(read_body(&admitted, message, conn, proxy, record).await?),
        false => None,
    };
    let judgement = Judgement {
        content_type: message.headers.share(Known::ContentType),
        admitted: Arc::clone(&admitted),
        client: Arc::clone(client),
        body,
        proxy: Arc::clone(proxy),
    };
    let (worker, size) = (&proxy.worker, judgement.size());
    let judging = async {
        match admitted.permit().judges_recreation() {
            // The settings of a container, which come from the engine, may be a body of any size.
            true => worker.run_apart(judgement.decide()).await,
            false => worker.run(size, judgement.decide()).await,
        }
    };
    let client_input = &conn.stream_and_body().0.input;
    let reached = tokio::select! {
        biased;
        reached = judging => reached,
        // Its turn, and what is reserved for it, are free again.
        () = wait_for_departure(client_input) => return Err(Outcome::ClientDisconnected),
    };
    match reached {
        (Ok((cleared, holds)), body) => {
            record.note_rewritten_images(cleared.rewritten_images());
            Ok(Approved::new(admitted, cleared, body).with_holds(holds))
        }
        (Err(refusal), mut body) => {
            let own = body.as_ref().map_or(&[][..], |judged| &judged.body);
            let Some(mut cleared) = admitted.permit().waived(own) else {
                return Err(refusal.into());
            };
            if let (Some(judged), Some(text)) = (&mut body, cleared.take_body()) {
                judged.body = text.into_bytes();
            }
            record.note_unenforced(&refusal);
            record.note_rewritten_images(cleared.rewritten_images());
            Ok(Approved::new(admitted, cleared, body))
        }
    }
}

/// Returns once the client has left, or has sent no more for a while: over TCP, a client that has
/// left looks like one that waits for its answer with its own direction closed.
async fn wait_for_departure(client: &Input) {
    loop {
        sleep(FAREWELL).await;
        if client.is_hung_up() {
            return;
        }
        if client.is_ended() {
            return sleep(FAREWELL).await;
        }
    }
}

/// The part of a quota and the names that are reserved for a call until the engine has answered it.
#[derive(Debug, Default)]
struct CallHolds {
    /// A part of the quota of the profile.
    quota: Option<Box<QuotaHold>>,
    /// The names that the call gives to objects of an owner.
    names: Option<Box<NameHold>>,
}

/// A call that may go to the engine, with its holds.
type WithHolds = (Cleared, CallHolds);

/// The input of a judgement, without the connection, so that a large body can be judged on the
/// worker's thread.
struct Judgement {
    admitted: Arc<Admitted>,
    client: Arc<Client>,
    content_type: Option<Bytes>,
    /// The client's body, where that is judged.
    body: Option<JudgedBody>,
    proxy: Arc<Proxy>,
}

impl Judgement {
    /// The number of bytes that are judged.
    fn size(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |judged| judged.body.len());
        body + self.admitted.call().query().map_or(0, str::len)
    }

    /// Judges the call. The body that goes on comes with the judgement: the client's own, if the
    /// call is refused.
    async fn decide(mut self) -> (Result<WithHolds, Refusal>, Option<JudgedBody>) {
        let mut cleared = self.clear_call().await;
        if let (Ok((cleared, _)), Some(judged)) = (&mut cleared, &mut self.body)
            && let Some(text) = cleared.take_body()
        {
            judged.body = text.into_bytes();
        }
        (cleared, self.body)
    }

    /// Discharges every obligation of the permit: judges query and body, and asks the engine about
    /// the objects that the call is about.
    async fn clear_call(&self) -> Result<WithHolds, Refusal> {
        let permit = self.admitted.permit();
        // Go ignores a parameter that it cannot read, and takes the type before it.
        let content_type = self
            .content_type
            .as_ref()
            .map(|value| String::from_utf8_lossy(value));
        let body = self
            .body
            .as_ref()
            .map(|judged| judged.body.as_slice())
            .unwrap_or_default();
        let facts =
            Facts::gather(permit, self.admitted.viewer(), &self.client, &self.proxy).await?;
        let mut names = None;
        let judged = match permit.open(content_type.as_deref(), body, facts.around()) {
            Ok(mut case) => {
                // Before the engine is asked who has these names.
                names = self.hold_names(case.given_names())?;
                let is_scoped = self.admitted.viewer().is_scoped();
                let call = self.admitted.call();
                resolve::settle(&mut case, call, is_scoped, &self.client, &self.proxy).await?;
                case.close()
            }
            Err(objection) => Err(objection),
        };
        let refused =
            |objection| Guarded::new(objection, self.admitted.call(), &self.client.profile);
        let cleared = judged.map_err(|objection| Refusal::Guarded(Box::new(refused(objection))))?;
        let quota = self.hold_quota(&cleared).await?;
        if let Some(owner) = &self.admitted.viewer().owner {
            for name in cleared.new_volumes() {
                let created = create_volume(name, owner, &self.proxy.backend).await;
                if !created? {
                    return Err(Refusal::NameInUse(ObjectKind::Volume, name.clone()));
                }
            }
        }
        Ok((cleared, CallHolds { quota, names }))
    }

    /// Holds the names that a call gives to objects of an owner.
    fn hold_names(&self, names: &[(ObjectKind, String)]) -> Result<Option<Box<NameHold>>, Refusal> {
        let owner = self.admitted.viewer().owner.as_ref();
        let Some(owner) = owner.filter(|_| !names.is_empty()) else {
            return Ok(None);
        };
        let endpoint = self.admitted.call().endpoint();
        let is_commit = endpoint.is_some_and(|endpoint| endpoint.id == EndpointId::ContainerCommit);
        let subject = &self.client.subject;
        match self.proxy.name_holds.hold(names, owner, subject, is_commit) {
            Ok(hold) => Ok(Some(Box::new(hold))),
            Err(NotHeld::Taken((kind, name))) => Err(Refusal::NameInUse(kind, name)),
            Err(NotHeld::TooMany) => Err(Refusal::AbandonedNames),
        }
    }

    /// Takes the part of the profile's quota that a call needs.
    async fn hold_quota(&self, cleared: &Cleared) -> Result<Option<Box<QuotaHold>>, Refusal> {
        let ownership = self.admitted.viewer().view.ownership.as_ref();
        let (Some(claim), Some(ownership)) = (cleared.claim(), ownership) else {
            return Ok(None);
        };
        let (quotas, backend) = (&self.proxy.quotas, &self.proxy.backend);
        let share = &self.client.share;
        let call = cleared.call(self.admitted.call());
        let container = call.captured().filter(|_| claim.usage.prepared > 0);
        let container = container.map(|captured| captured.word.to_owned());
        let held = quotas.hold(
            claim,
            container.as_deref(),
            &ownership.owner,
            share,
            backend,
        );
        match held.await {
            Ok(hold) => Ok(Some(hold)),
            Err(NoRoom::Excess(excess)) => {
                let profile = self.client.profile.name.clone();
                Err(Refusal::OverQuota(profile, Box::new(excess)))
            }
            Err(NoRoom::Unknown(trouble)) => Err(trouble.into()),
        }
    }
}

/// Reads the whole body, up to the size that the guard inspects. The client may keep it waiting for
/// as long as for a head; waiting for memory that others hold does not count.
async fn read_body(
    admitted: &Admitted,
    message: &Message,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &Record<'_>,
) -> Result<JudgedBody, Outcome> {
    let limit = BODY_LIMIT << 10;
    let known = match message.framing {
        Framing::Length(length) if length > limit as u64 => {
            return Err(Refusal::BodyTooLarge.into());
        }
        Framing::Length(length) => usize::try_from(length).unwrap_or(limit),
        Framing::Chunked | Framing::UntilClose => limit,
        Framing::None => return Ok(JudgedBody::default()),
    };
    // docker-modem does not end its body before it has its tunnel: then a whole value is the body,
    // and the end that may still come is not waited for long. The tunnel leaves it out. What comes
    // behind it is meant for the tunnel, and the connection is never used for anything else.
    let opens_tunnel = message.framing == Framing::Chunked
        && message.headers.all(Known::Upgrade).next().is_some()
        && admitted
            .call()
            .endpoint()
            .is_some_and(|endpoint| matches!(endpoint.answer, Answer::Tunnel(_)));
    let patience = proxy.limits().head;
    let mut budget = conn.admission().body_budget();
    let (client, body) = conn.stream_and_body();
    if message.expects_continue {
        ask_for_body(&mut client.output, patience).await?;
    }
    let mut content = Vec::new();
    let mut late = Duration::ZERO;
    loop {
        if content.len() > SMALL {
            budget.grow(content.len()).await;
            content.reserve(known.saturating_sub(content.len()));
        }
        let look = if opens_tunnel {
            END_OF_BODY
        } else {
            LOOK.min(patience.saturating_sub(late))
        };
        let asked = Instant::now();
        // Safe to cancel: the bytes that were read are in the content.
        let read = timeout(look, read_content(&mut client.input, body, &mut content)).await;
        late += asked.elapsed();
        match read {
            Ok(Ok(true)) if content.len() > limit => return Err(Refusal::BodyTooLarge.into()),
            Ok(Ok(false)) => break,
            Err(_) if opens_tunnel && Json::read(&content).is_ok() && body.close_early() => {
                break;
            }
            Ok(Err(PumpError::Garbage)) => return Err(Refusal::MalformedBody.into()),
            Ok(Err(_)) => return Err(Outcome::ClientDisconnected),
            Ok(Ok(true)) | Err(_) if late >= budget.patience(patience) => {
                return Err(Refusal::BodyTimeout.into());
            }
            Ok(Ok(true)) | Err(_) => {}
        }
    }
    record.bytes_in.fetch_add(content.len() as u64, Relaxed);
    Ok(JudgedBody {
        body: content,
        _budget: Some(budget),
    })
}

/// Tells a client to send the body that it holds back until it is asked (RFC 9110 §10.1.1).
pub(super) async fn ask_for_body(client: &mut Output, limit: Duration) -> Result<(), Outcome> {
    let sent = async {
        client
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .and(client.flush().await)
    };
    match timeout(limit, sent).await {
        Ok(sent) => sent.map_err(|_| Outcome::ClientDisconnected),
        Err(_) => Err(Outcome::ClientStalled),
    }
}
