//! The client while its request is under way: sends the rest of its body to the engine, and cancels
//! the request if the client disconnects.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cetusguard_config::meant::Limits;
use cetusguard_http1::{Body, Input, Output, PumpError, pump};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::audit::Record;
use crate::outcome::Outcome;
use crate::outcome::refusal::Refusal;

/// Why the client's side of an exchange ended first.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientEnd {
    /// The client closed the connection, or the connection broke.
    Gone,
    /// Its body cannot be passed on.
    BadBody,
}

impl ClientEnd {
    pub(super) fn before_answer(self) -> Outcome {
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
