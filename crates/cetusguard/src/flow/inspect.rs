//! Inspect: what an allowed call asks for. Bodies and queries that carry power are read, judged by the guard, and go on as they
//! were judged; everything else goes on as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use cetusguard_policy::Call;
use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::guard::{Cleared, Json};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::admit::Admitted;
use super::audit::{Ended, Record};
use super::identify::Client;
use super::listen::Conn;
use super::normalise::Message;
use super::resolve::{self, Facts};
use super::{End, Proxy};
use crate::refusal::{Guarded, Refusal};
use crate::wire::{Framing, Known, PumpError, read_content};

/// The largest body that is judged, in KiB.
const BODY_LIMIT: usize = 1 << 10;
/// Bodies of this size, in bytes, every client may have: nearly all are.
const SMALL: usize = 8 << 10;
/// What all bodies that are judged at a time may have together, in KiB: others wait.
static TOGETHER: Semaphore = Semaphore::const_new(16 << 10);
/// How often a body is in memory at the most: as it came, as it was judged, and behind the head that it is sent with.
const COPIES: u32 = 3;

/// How long the end of a body may take that is there as a whole.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// A call that may go to the engine: every obligation of its permit is discharged.
#[derive(Debug)]
pub(super) struct Approved {
    admitted: Arc<Admitted>,
    cleared: Cleared,
    body: Option<Share>,
}

/// A body that was judged, with its share of what all of them may have: until it is sent.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What goes on in the place of the client's body.
    pub(super) body: Vec<u8>,
    permit: Option<SemaphorePermit<'static>>,
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
    client: &Arc<Client>,
    conn: &mut Conn,
    proxy: &Arc<Proxy>,
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
    client: &Arc<Client>,
    conn: &mut Conn,
    proxy: &Arc<Proxy>,
    record: &mut Record<'_>,
) -> Result<Approved, End> {
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
    match proxy.worker.run(judgement.size(), judgement.reach()).await {
        (Ok(cleared), body) => Ok(Approved { admitted, cleared, body }),
        (Err(refusal), body) => {
            let Some(cleared) = admitted.permit().waived() else { return Err(refusal.into()) };
            record.would_refuse(&refusal);
            Ok(Approved { admitted, cleared, body })
        }
    }
}

/// All that a judgement takes, apart from the connection: a large one is reached elsewhere.
struct Judgement {
    admitted: Arc<Admitted>,
    client: Arc<Client>,
    content_type: Option<Bytes>,
    /// The client's body, where that is judged.
    body: Option<Share>,
    proxy: Arc<Proxy>,
}

impl Judgement {
    /// The number of bytes that are judged.
    fn size(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |share| share.body.len());
        body + self.admitted.call().query().map_or(0, str::len)
    }

    /// Judges the call. The body that goes on comes with the judgement: the client's own, if the call is refused.
    async fn reach(mut self) -> (Result<Cleared, Refusal>, Option<Share>) {
        let mut cleared = self.clear().await;
        if let (Ok(cleared), Some(share)) = (&mut cleared, &mut self.body)
            && let Some(text) = cleared.take_body()
        {
            share.body = text.into_bytes();
        }
        (cleared, self.body)
    }

    /// Discharges every obligation of the permit: judges query and body, and asks the engine about the objects that the call is
    /// about.
    async fn clear(&self) -> Result<Cleared, Refusal> {
        let permit = self.admitted.permit();
        // No body is judged by a content type that is not UTF-8: `?` is none that a reader knows.
        let content_type = self.content_type.as_ref().map(|value| std::str::from_utf8(value).unwrap_or("?"));
        let body = self.body.as_ref().map(|share| share.body.as_slice()).unwrap_or_default();
        let facts = Facts::gather(permit, &self.client, &self.proxy).await?;
        let judged = match permit.open(content_type, body, facts.around()) {
            Ok(mut case) => {
                resolve::settle(&mut case, &self.proxy).await?;
                case.close()
            }
            Err(objection) => Err(objection),
        };
        let refused = |objection| Guarded::new(objection, self.admitted.call(), &self.client.profile);
        judged.map_err(|objection| Refusal::Guarded(Box::new(refused(objection))))
    }
}

/// Reads the whole body, if it is not larger than what is judged, within the time that a head may take.
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
    // come is not waited for long. The tunnel leaves it out. What comes behind it is meant for the tunnel, and the connection is never used for anything else.
    let opens_tunnel = message.framing == Framing::Chunked
        && message.headers.all(Known::Upgrade).next().is_some()
        && admitted.call().endpoint().is_some_and(|endpoint| matches!(endpoint.answer, Answer::Tunnel(_)));
    let read = async {
        let (client, body) = conn.parts();
        if message.expects_continue {
            let sent = async {
                client.output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.and(client.output.flush().await)
            };
            sent.await.map_err(|_| End::Cut(Ended::ClientGone))?;
        }
        let mut share = Share::default();
        loop {
            // Small ones need no share, so that nobody waits for somebody who sends nothing.
            if share.body.len() > SMALL && share.permit.is_none() {
                // It lives as long as the program.
                share.permit = TOGETHER.acquire_many(COPIES * kib(known)).await.ok();
                share.body.reserve(known.saturating_sub(share.body.len()));
            }
            let read = read_content(&mut client.input, body, &mut share.body);
            // Safe to give up: what was read is in the body.
            let more = match timeout(if opens_tunnel { END_OF_BODY } else { Duration::MAX }, read).await {
                Ok(more) => more,
                Err(_) if Json::read(&share.body).is_ok() && body.close_early() => return Ok(share),
                Err(_) => continue,
            };
            match more {
                Ok(true) if share.body.len() > limit => return Err(Refusal::LargeBody.into()),
                Ok(true) => {}
                Ok(false) => return Ok(share),
                Err(PumpError::Garbage) => return Err(Refusal::Body.into()),
                Err(_) => return Err(End::Cut(Ended::ClientGone)),
            }
        }
    };
    let share = match timeout(proxy.limits().head, read).await {
        Ok(read) => read?,
        Err(_) => return Err(Refusal::SlowBody.into()),
    };
    record.bytes_in.fetch_add(share.body.len() as u64, Relaxed);
    Ok(share)
}

/// A size in KiB, rounded up.
fn kib(size: usize) -> u32 {
    u32::try_from(size.div_ceil(1 << 10)).unwrap_or(u32::MAX / COPIES)
}
