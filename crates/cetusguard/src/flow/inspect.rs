//! Inspect: what an allowed call asks for. Bodies and queries that carry power are read, judged by the guard, and go on as they
//! were judged; everything else goes on as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use cetusguard_policy::Call;
use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::guard::{Cleared, Json};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::admit::Admitted;
use super::audit::{Ended, Record};
use super::identify::Client;
use super::listen::Conn;
use super::normalise::Message;
use super::resolve::{self, Facts};
use super::{End, Proxy};
use crate::budget::{BODY_LIMIT, BodyBudget};
use crate::refusal::{Guarded, Refusal};
use crate::wire::{Body, Framing, Known, Output, PumpError, read_content};

/// Bodies of this size, in bytes, take nothing of the budget: nearly all are as small, and a client has no more of them than
/// connections.
const SMALL: usize = 8 << 10;
/// How often a body that does not come is asked whether it may go on waiting.
const LOOK: Duration = Duration::from_millis(500);

/// How long the end of a body may take that is there as a whole.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A call that may go to the engine: every obligation of its permit is discharged.
#[derive(Debug)]
pub(super) struct Approved {
    admitted: Arc<Admitted>,
    cleared: Cleared,
    body: Option<Share>,
}

/// A body that is judged, with the memory that it takes: until it is sent.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What goes on in the place of the client's body.
    pub(super) body: Vec<u8>,
    _budget: Option<BodyBudget>,
}

impl Approved {
    /// The call as it goes to the engine.
    pub(super) fn call(&self) -> &Call {
        self.cleared.call(self.admitted.call())
    }

    /// What goes on in the place of the client's body, where that was judged; once.
    pub(super) fn take_body(&mut self) -> Option<Share> {
        self.body.take()
    }
}

/// Judges what is to be judged of a call.
pub(super) async fn inspect(
    admitted: Arc<Admitted>,
    message: &Message,
    client: &Client,
    conn: &mut Conn,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Approved, End> {
    match admitted.permit().cleared() {
        Some(cleared) => Ok(Approved { admitted, cleared, body: None }),
        // Apart, so that a connection does not carry the state of a judgement while it waits or streams.
        None => Box::pin(judge(admitted, message, client, conn, proxy, record)).await,
    }
}

async fn judge(
    admitted: Arc<Admitted>,
    message: &Message,
    client: &Client,
    conn: &mut Conn,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Approved, End> {
    let permit = admitted.permit();
    let body = match permit.reads_body() {
        true => Some(read_body(&admitted, message, conn, proxy, record).await?),
        false => None,
    };
    let kinds = message.headers.all(Known::ContentType).next();
    // A value that is no text is no content type that a body is judged by.
    let kind = kinds.map(|kind| std::str::from_utf8(kind).unwrap_or("?"));
    let read = body.as_ref().map(|share| share.body.as_slice()).unwrap_or_default();
    let facts = Facts::gather(permit, client, proxy).await?;
    let judged = match permit.open(kind, read, facts.around(client)) {
        Ok(mut case) => {
            resolve::settle(&mut case, client, proxy).await?;
            case.close()
        }
        Err(objection) => Err(objection),
    };
    match judged {
        Ok(mut cleared) => {
            let judged = cleared.take_body();
            let body = body.zip(judged).map(|(share, judged)| Share { body: judged.into_bytes(), ..share });
            Ok(Approved { admitted, cleared, body })
        }
        Err(objection) => {
            let refusal = Refusal::Guarded(Box::new(Guarded::new(objection, admitted.call(), &client.profile)));
            let Some(cleared) = permit.waived() else { return Err(refusal.into()) };
            record.would_refuse(&refusal);
            Ok(Approved { admitted, cleared, body })
        }
    }
}

/// Reads the whole body, if it is not larger than what is judged. The client may keep it waiting for as long as for a head;
/// waiting for memory that others hold does not count.
async fn read_body(
    admitted: &Admitted,
    message: &Message,
    conn: &mut Conn,
    proxy: &Proxy,
    record: &Record<'_>,
) -> Result<Share, End> {
    let limit = BODY_LIMIT << 10;
    let known = match message.framing {
        Framing::Length(length) if length > limit as u64 => return Err(Refusal::LargeBody.into()),
        Framing::Length(length) => usize::try_from(length).unwrap_or(limit),
        Framing::Chunked | Framing::UntilClose => limit,
        Framing::None => return Ok(Share::default()),
    };
    // docker-modem does not end its body before it has its tunnel: then a whole value is the body, and the end that may still
    // come is not waited for long. What comes later is meant for the tunnel, and the connection is never used for anything else.
    let opens_tunnel = message.framing == Framing::Chunked
        && message.headers.all(Known::Upgrade).next().is_some()
        && admitted.call().endpoint().is_some_and(|endpoint| matches!(endpoint.answer, Answer::Tunnel(_)));
    let patience = proxy.limits().head;
    let mut budget = conn.admission().body_budget();
    let (client, body) = conn.parts();
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
        let look = if opens_tunnel { END_OF_BODY } else { LOOK.min(patience.saturating_sub(late)) };
        let asked = Instant::now();
        // Safe to give up: what was read is in the content.
        let read = timeout(look, read_content(&mut client.input, body, &mut content)).await;
        late += asked.elapsed();
        match read {
            Ok(Ok(true)) if content.len() > limit => return Err(Refusal::LargeBody.into()),
            Ok(Ok(false)) => break,
            Err(_) if opens_tunnel && Json::read(&content).is_ok() => {
                *body = Body::new(Framing::None);
                break;
            }
            Ok(Err(PumpError::Garbage)) => return Err(Refusal::Body.into()),
            Ok(Err(_)) => return Err(End::Cut(Ended::ClientGone)),
            Ok(Ok(true)) | Err(_) if late >= budget.patience(patience) => return Err(Refusal::SlowBody.into()),
            Ok(Ok(true)) | Err(_) => {}
        }
    }
    record.bytes_in.fetch_add(content.len() as u64, Relaxed);
    Ok(Share { body: content, _budget: Some(budget) })
}

/// Asks a client for its body that waits to be asked.
async fn ask_for_body(client: &mut Output, limit: Duration) -> Result<(), End> {
    let sent = async { client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.and(client.flush().await) };
    match timeout(limit, sent).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Cut(Ended::ClientGone)),
    }
}
