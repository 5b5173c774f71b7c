//! Tunnel, instead of answer where the endpoint hijacks the connection: raw bytes both ways after the engine has agreed.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::answer::response_head;
use super::audit::{Ended, Record};
use super::forward::Answered;
use super::listen::Conn;
use super::{End, Next, Proxy};
use crate::wire::{Body, Duplex, Framing, Input, Known, Output, PumpError, pump};

/// How often a silent direction is asked whether its receiver is still there: while both are open, and after one has ended.
const PATIENT: Duration = Duration::from_secs(10);
const ALERT: Duration = Duration::from_secs(1);

/// Carries bytes both ways until both directions have ended; each ends on its own.
pub(super) async fn tunnel(
    answered: Answered,
    conn: &mut Conn,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Next, End> {
    let upgrade = answered.head.headers.all(Known::Upgrade).next().unwrap_or(b"tcp");
    let more: &[(&str, &[u8])] = match answered.head.status {
        101 => &[("Connection", b"Upgrade"), ("Upgrade", upgrade)],
        _ => &[],
    };
    let head = response_head(&answered.head, more, false);
    let mut engine = answered.engine;
    let (client, _) = conn.parts();
    // Alone and first: several clients lose what arrives together with the head.
    let sent = async { client.output.write_all(&head).await.and(client.output.flush().await) };
    match timeout(proxy.limits().progress, sent).await {
        Ok(sent) => sent.map_err(|_| End::Cut(Ended::ClientGone))?,
        Err(_) => return Err(End::Cut(Ended::ClientStalled)),
    }
    record.streams();

    let ended = both_ways(client, &mut engine, proxy, record).await;
    record.end(ended);
    Ok(Next::Close)
}

/// Runs both directions side by side, then the one that is left; says how the exchange ended.
async fn both_ways(client: &mut Duplex, engine: &mut Duplex, proxy: &Proxy, record: &Record<'_>) -> Ended {
    let (bytes_in, bytes_out) = (&record.bytes_in, &record.bytes_out);
    let first = tokio::select! {
        down = carry(&mut engine.input, &mut client.output, bytes_out, PATIENT) => Direction::Down(down),
        up = carry(&mut client.input, &mut engine.output, bytes_in, PATIENT) => Direction::Up(up),
        () = proxy.stop() => return Ended::Stopped,
    };
    match first {
        // The engine is done speaking. It may go on reading; where it has left, the alert carrier notices.
        Direction::Down(Ok(())) => tokio::select! {
            _ = carry(&mut client.input, &mut engine.output, bytes_in, ALERT) => Ended::Complete,
            () = proxy.stop() => Ended::Stopped,
        },
        Direction::Down(Err(PumpError::Write)) => Ended::ClientGone,
        Direction::Down(Err(_)) => Ended::EngineGone,
        // The client is done sending, or the engine done reading; what the engine still says counts.
        Direction::Up(Ok(()) | Err(PumpError::Write)) => tokio::select! {
            down = carry(&mut engine.input, &mut client.output, bytes_out, ALERT) => match down {
                Ok(()) => Ended::Complete,
                Err(PumpError::Write) => Ended::ClientGone,
                Err(_) => Ended::EngineGone,
            },
            () = proxy.stop() => Ended::Stopped,
        },
        Direction::Up(Err(_)) => Ended::ClientGone,
    }
}

enum Direction {
    Up(Result<(), PumpError>),
    Down(Result<(), PumpError>),
}

/// Copies until the end of the stream, then says so to the other side. Every now and then it looks whether the receiver has
/// left: without a byte to write, nothing else would tell. Safe to cancel.
async fn carry(input: &mut Input, output: &mut Output, count: &AtomicU64, look: Duration) -> Result<(), PumpError> {
    let mut body = Body::new(Framing::UntilClose);
    loop {
        match timeout(look, pump(input, &mut body, output, count, Duration::MAX)).await {
            Ok(done) => break done?,
            Err(_) if output.is_hung_up() => return Err(PumpError::Write),
            Err(_) => {}
        }
    }
    output.shutdown().await.map_err(|_| PumpError::Write)
}
