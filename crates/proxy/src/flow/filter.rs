//! Filter: the engine's answer to a client that does not see all of it. The answer is judged object
//! by object while it passes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cetusguard_policy::{AnswerFilter, Unfilterable};
use tokio::io::AsyncWriteExt;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::answer::{EngineConnection, broken_answer, end_exchange, relay_answer, response_head};
use super::audit::Record;
use super::client_watch::{half_close_patience, watch_client};
use super::connection::Connection;
use super::describe::Describer;
use super::forward::Answered;
use super::identify::Client;
use super::{Next, Proxy};
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;
use cetusguard_http1::{
    Body, Framing, Input, Known, Output, PumpError, ResponseHead, read_content,
};

/// The size up to which an answer is sent in one piece, with its length, in bytes.
const WHOLE: usize = 32 << 10;

/// The size from which on an element of an answer takes one of the turns for large ones, in bytes.
const LARGE: usize = 64 << 10;

/// The number of such answers at a time, for all clients together: with its parsed form and its
/// copy, an element may take some ten times its size.
pub(crate) const LARGE_ANSWERS: usize = 4;

/// The time in which a client has to take a large element: others wait for its turn.
const LARGE_LIMIT: Duration = Duration::from_secs(5);

/// The time for which an answer with a large element waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// The largest error of an engine, in bytes.
const ERROR_LIMIT: usize = 64 << 10;

/// Passes on the part of an answer that the client sees.
pub(super) async fn relay_filtered_answer(
    answered: Answered,
    filter: AnswerFilter,
    client: &Client,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Next, Outcome> {
    let is_empty = matches!(answered.framing, Framing::None | Framing::Length(0));
    let passes_whole = is_empty && !conn.is_head_request();
    if passes_whole || (is_success(&answered) && !filter.judges_elements()) {
        return relay_answer(answered, conn, proxy, record).await;
    }
    if conn.is_head_request() {
        // The length of the whole answer would tell how much of it the client does not see.
        return relay_answer(answered.without_length(), conn, proxy, record).await;
    }
    if answered.head.headers.has_any(&[Known::ContentEncoding]) {
        return Err(Refusal::UnfilterableAnswer(Unfilterable::Malformed).into());
    }
    relay_edited_answer(answered, filter, client, conn, proxy, record).await
}

/// Returns whether the engine has carried the request out.
fn is_success(answered: &Answered) -> bool {
    (200..300).contains(&answered.head.status)
}

/// Passes on an answer whose body has to be read: its elements, or an error of the engine.
async fn relay_edited_answer(
    answered: Answered,
    filter: AnswerFilter,
    client: &Client,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Next, Outcome> {
    let is_success = is_success(&answered);
    // Early bytes were meant for the tunnel that did not open.
    let spoiled = conn.may_tunnel();
    let close = conn.closes() || *proxy.stopping.borrow();
    let limits = conn.limits(proxy);
    let may_be_kept = answered.may_keep_connection();
    let Answered {
        mut engine,
        head,
        framing,
        follows,
        generation,
        ..
    } = answered;
    if follows {
        record.begin_stream(conn.roster_entry());
    }
    let record_of_bytes: &Record<'_> = record;
    let (stream, body) = conn.stream_and_body();
    let mut sender = Sender {
        output: &mut stream.output,
        head: &head,
        close,
        has_begun: false,
        // A client that follows a stream may read nothing for hours.
        limit: if follows {
            Duration::MAX
        } else {
            limits.progress
        },
        sent: &record_of_bytes.bytes_out,
    };
    let mut up = Body::new(framing);
    let passing = async {
        if is_success {
            pass_elements(
                &mut engine.input,
                &mut up,
                filter,
                &mut sender,
                client,
                proxy,
            )
            .await
        } else {
            pass_error(&mut engine.input, &mut up, &filter, &mut sender).await
        }
    };
    let patience = half_close_patience(follows, &limits);
    let watching = watch_client(
        (&mut stream.input, &mut *body),
        &mut engine.output,
        record_of_bytes,
        patience,
    );
    tokio::select! {
        biased;
        done = passing => done?,
        left = watching => return Err(left.within_answer()),
        () = proxy.stop(), if follows => return Err(Outcome::ShuttingDown),
    }
    record.end(&Outcome::Served);
    let engine = EngineConnection {
        stream: engine,
        may_be_kept,
        generation,
    };
    Ok(end_exchange(conn, engine, close || spoiled, proxy).await)
}

/// Passes on the elements of an answer that the client sees.
async fn pass_elements(
    input: &mut Input,
    body: &mut Body,
    mut filter: AnswerFilter,
    sender: &mut Sender<'_>,
    client: &Client,
    proxy: &Proxy,
) -> Result<(), Outcome> {
    let (mut piece, mut out) = (Vec::new(), Vec::new());
    let mut turn = None;
    let mut describer = Describer::new(client, proxy);
    if filter.is_stream() {
        sender.send(&[]).await?;
    }
    loop {
        piece.clear();
        let is_over = !read_content(input, body, &mut piece)
            .await
            .map_err(|error| sender.broken(error))?;
        let taken = if is_over {
            filter.finish(&mut out)
        } else {
            filter.take(&piece, &mut out)
        };
        taken.map_err(|why| sender.unfilterable(why))?;
        if filter.is_stream() {
            describer.begin_piece();
        }
        while let Some(lookup) = filter.lookup() {
            let is_visible = match describer.is_visible(lookup, &filter).await {
                Ok(is_visible) => is_visible,
                // An event about an object that the engine does not describe is left out: one
                // object must not end the streams of others.
                Err(_) if filter.is_stream() => None,
                Err(refusal) => return Err(sender.refused(refusal)),
            };
            filter
                .answer(is_visible, &mut out)
                .map_err(|why| sender.unfilterable(why))?;
        }
        if turn.is_none() && filter.held() + out.capacity() > LARGE {
            let turns = async {
                // The turns are never closed.
                let of_client = client.share.large_answer_turn().await;
                (of_client, proxy.large_answers.acquire().await.ok())
            };
            let turns = timeout(TURN_LIMIT, turns).await;
            turn = Some(turns.map_err(|_| sender.unfilterable(Unfilterable::Busy))?);
        }
        let limit = sender.limit;
        if turn.is_some() {
            sender.limit = limit.min(LARGE_LIMIT);
        }
        if is_over {
            return sender.finish(&out).await;
        }
        if !out.is_empty() && (filter.is_stream() || sender.has_begun || out.len() > WHOLE) {
            sender.send(&out).await?;
            out.clear();
            out.shrink_to(LARGE);
        }
        sender.limit = limit;
        if filter.held() + out.capacity() <= LARGE {
            turn = None;
        }
        // Other connections get their turn between two pieces.
        yield_now().await;
    }
}

/// Passes on an error of the engine without the identifiers of other objects.
async fn pass_error(
    input: &mut Input,
    body: &mut Body,
    filter: &AnswerFilter,
    sender: &mut Sender<'_>,
) -> Result<(), Outcome> {
    let mut error = Vec::new();
    while read_content(input, body, &mut error)
        .await
        .map_err(|error| sender.broken(error))?
    {
        if error.len() > ERROR_LIMIT {
            return Err(sender.unfilterable(Unfilterable::TooLarge));
        }
    }
    sender.finish(&filter.edit_error(&error)).await
}

/// Sends an answer of a length that is not known when it begins.
struct Sender<'a> {
    output: &'a mut Output,
    /// The head of the engine's answer.
    head: &'a ResponseHead,
    /// `true` if the client's connection ends with the answer.
    close: bool,
    /// `true` if a part of the answer was sent.
    has_begun: bool,
    /// The time in which the client has to take something.
    limit: Duration,
    /// The number of bytes that were sent.
    sent: &'a AtomicU64,
}

impl Sender<'_> {
    /// Sends a part of the answer, in a chunk.
    async fn send(&mut self, part: &[u8]) -> Result<(), Outcome> {
        let mut bytes = Vec::with_capacity(part.len() + 32);
        if !self.has_begun {
            bytes = response_head(self.head, &[("Transfer-Encoding", b"chunked")], self.close);
            self.has_begun = true;
        }
        if !part.is_empty() {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        self.write(&bytes).await
    }

    /// Sends the last part of the answer. An answer that has not begun is sent with its length.
    async fn finish(&mut self, part: &[u8]) -> Result<(), Outcome> {
        if self.has_begun {
            if !part.is_empty() {
                self.send(part).await?;
            }
            return self.write(b"0\r\n\r\n").await;
        }
        let length = part.len().to_string();
        let lines: [(&str, &[u8]); 1] = [("Content-Length", length.as_bytes())];
        let mut bytes = response_head(self.head, &lines, self.close);
        bytes.extend_from_slice(part);
        self.has_begun = true;
        self.write(&bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = match timeout(self.limit, self.output.write(rest)).await {
                Ok(Ok(0) | Err(_)) => return Err(Outcome::ClientDisconnected),
                Ok(Ok(written)) => written,
                Err(_) => return Err(broken_answer(PumpError::Stalled, self.output)),
            };
            self.sent.fetch_add(written as u64, Relaxed);
            rest = &rest[written..];
        }
        match timeout(self.limit, self.output.flush()).await {
            Ok(flushed) => flushed.map_err(|_| Outcome::ClientDisconnected),
            Err(_) => Err(broken_answer(PumpError::Stalled, self.output)),
        }
    }

    /// Returns the outcome of an answer that the engine broke off.
    fn broken(&self, error: PumpError) -> Outcome {
        if self.has_begun {
            broken_answer(error, self.output)
        } else {
            Refusal::EngineClosed.into()
        }
    }

    /// Returns the outcome of an answer that cannot be filtered. If a part of it was sent, the
    /// connection ends, so that the client sees that the rest is missing.
    fn unfilterable(&self, why: Unfilterable) -> Outcome {
        if self.has_begun {
            Outcome::UnfilterableAnswer(why)
        } else {
            Refusal::UnfilterableAnswer(why).into()
        }
    }

    /// Returns the outcome of an answer about an object that the engine did not describe.
    fn refused(&self, refusal: Refusal) -> Outcome {
        if self.has_begun {
            Outcome::UnfilterableAnswer(Unfilterable::Undescribed)
        } else {
            refusal.into()
        }
    }
}
