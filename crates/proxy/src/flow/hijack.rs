//! Tunnel, instead of answer where the endpoint hijacks the connection: raw bytes both ways after
//! the engine has agreed.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::answer::response_head;
use super::audit::Record;
use super::connection::Connection;
use super::forward::Answered;
use super::{Next, Proxy};
use crate::outcome::Outcome;
use cetusguard_http1::{Body, Duplex, Framing, Input, Known, Output, PumpError, pump};

/// The interval in which a silent direction checks whether its receiver is still there: while both
/// directions are open, and after one has ended.
const PATIENT: Duration = Duration::from_secs(10);
const ALERT: Duration = Duration::from_secs(1);

/// Carries bytes both ways until both directions have ended; each ends on its own.
pub(super) async fn run_tunnel(
    answered: Answered,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Next, Outcome> {
    let upgrade = answered
        .head
        .headers
        .all(Known::Upgrade)
        .next()
        .unwrap_or(b"tcp");
    let more: &[(&str, &[u8])] = match answered.head.status {
        101 => &[("Connection", b"Upgrade"), ("Upgrade", upgrade)],
        _ => &[],
    };
    let head = response_head(&answered.head, more, false);
    let mut engine = answered.engine;
    let entry = conn.roster_entry();
    let (client, body) = conn.stream_and_body();
    // A body that was not judged is sent as it comes, and its end may not have arrived yet.
    body.close_early();
    let late_end = body.late_end();
    // The head goes alone: several clients lose bytes that arrive together with it.
    let sent = async {
        client
            .output
            .write_all(&head)
            .await
            .and(client.output.flush().await)
    };
    match timeout(proxy.limits().progress, sent).await {
        Ok(sent) => sent.map_err(|_| Outcome::ClientDisconnected)?,
        Err(_) => return Err(Outcome::ClientStalled),
    }
    record.begin_stream(entry);

    let ended = copy_both_ways(client, &mut engine, late_end, proxy, record).await;
    record.end(&ended);
    Ok(Next::Close)
}

/// Runs both directions until one ends, then the other alone. Returns how the exchange ended.
async fn copy_both_ways(
    client: &mut Duplex,
    engine: &mut Duplex,
    mut late_end: &'static [u8],
    proxy: &Proxy,
    record: &Record<'_>,
) -> Outcome {
    let (bytes_in, bytes_out) = (&record.bytes_in, &record.bytes_out);
    let mut no_end: &'static [u8] = &[];
    let first = tokio::select! {
        down = copy_direction(&mut engine.input, &mut no_end, &mut client.output, bytes_out, PATIENT) => Direction::Down(down),
        up = copy_direction(&mut client.input, &mut late_end, &mut engine.output, bytes_in, PATIENT) => Direction::Up(up),
        () = proxy.stop() => return Outcome::ShuttingDown,
    };
    match first {
        // The engine is done speaking. It may go on reading; if it has left, the check every second
        // (`ALERT`) notices.
        Direction::Down(Ok(())) => tokio::select! {
            _ = copy_direction(&mut client.input, &mut late_end, &mut engine.output, bytes_in, ALERT) => Outcome::Served,
            () = proxy.stop() => Outcome::ShuttingDown,
        },
        Direction::Down(Err(PumpError::Write)) => Outcome::ClientDisconnected,
        Direction::Down(Err(_)) => Outcome::EngineDisconnected,
        // The client has stopped sending, or the engine has stopped reading; the rest of the
        // engine's output counts.
        Direction::Up(sent @ (Ok(()) | Err(PumpError::Write))) => tokio::select! {
            down = copy_direction(&mut engine.input, &mut no_end, &mut client.output, bytes_out, ALERT) => match down {
                Ok(()) => Outcome::Served,
                Err(PumpError::Write) => Outcome::ClientDisconnected,
                Err(_) => Outcome::EngineDisconnected,
            },
            never = discard_input(&mut client.input), if sent.is_err() => match never {},
            () = proxy.stop() => Outcome::ShuttingDown,
        },
        Direction::Up(Err(_)) => Outcome::ClientDisconnected,
    }
}

enum Direction {
    Up(Result<(), PumpError>),
    Down(Result<(), PumpError>),
}

/// Reads a client's bytes that the engine does not take any more. A client that sends before it
/// reads would otherwise wait for ever, and never read the engine's output.
async fn discard_input(input: &mut Input) -> Infallible {
    loop {
        input.buffer.clear();
        if !matches!(input.fill().await, Ok(1..)) {
            return pending().await;
        }
    }
}

/// Copies until the end of the stream, then ends the other side's stream. While there is no byte to
/// write, it checks at intervals whether the receiver has left, since no write would fail.
/// `late_end` is left out if it comes first. Safe to cancel.
async fn copy_direction(
    input: &mut Input,
    late_end: &mut &'static [u8],
    output: &mut Output,
    count: &AtomicU64,
    look: Duration,
) -> Result<(), PumpError> {
    let mut body = Body::new(Framing::UntilClose);
    loop {
        let carried = async {
            drop_late_end(input, late_end).await;
            pump(input, &mut body, output, count, Duration::MAX).await
        };
        match timeout(look, carried).await {
            Ok(done) => break done?,
            Err(_) if output.is_hung_up() => return Err(PumpError::Write),
            Err(_) => {}
        }
    }
    output.shutdown().await.map_err(|_| PumpError::Write)
}

/// The time that the rest of a late end may take after its beginning. The same bytes may also be
/// typed by a user.
const REST_OF_END: Duration = Duration::from_millis(50);

/// Drops the late end of the request's body, if it is the next that comes: it belongs to the
/// request, and not to the tunnel. Safe to cancel.
async fn drop_late_end(input: &mut Input, end: &mut &'static [u8]) {
    while !end.is_empty() {
        let there = input.buffer.len().min(end.len());
        if input.buffer[..there] != end[..there] {
            break;
        }
        if there == end.len() {
            input.buffer.advance(there);
            break;
        }
        let patience = if there == 0 {
            Duration::MAX
        } else {
            REST_OF_END
        };
        if !matches!(timeout(patience, input.fill()).await, Ok(Ok(1..))) {
            break;
        }
    }
    *end = &[];
}
