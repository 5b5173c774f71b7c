//! Answer: the engine's answer to the client, as it comes, and the end of the exchange.

use std::time::Duration;

use super::audit::Record;
use super::client_watch::{half_close_patience, watch_client};
use super::connection::Connection;
use super::forward::Answered;
use super::{Next, Proxy};
use crate::outcome::Outcome;
use cetusguard_http1::{
    Body, Duplex, Framing, Known, Output, PumpError, ResponseHead, pump, send_head,
};

/// Passes the answer on: the head as soon as it has arrived, and each part of the body at once.
pub(super) async fn relay_answer(
    answered: Answered,
    conn: &mut Connection,
    proxy: &Proxy,
    record: &mut Record<'_>,
) -> Result<Next, Outcome> {
    // Early bytes were meant for the tunnel that did not open.
    let spoiled = conn.may_tunnel() && !answered.is_detached();
    let may_be_kept = answered.may_keep_connection();
    let Answered {
        mut engine,
        head,
        framing,
        follows,
        generation,
        hides_length,
        ..
    } = answered;
    let close = conn.closes() || framing == Framing::UntilClose || *proxy.stopping.borrow();
    let limits = conn.limits(proxy);
    let progress = limits.progress;
    let entry = if follows { conn.roster_entry() } else { None };
    let (client, body) = conn.stream_and_body();
    let mut down = Body::new(framing);
    let lines = if hides_length {
        Vec::new()
    } else {
        framing_lines(&head)
    };
    let bytes = response_head(&head, &lines, close);
    let sent = send_head(
        &bytes,
        &mut engine.input,
        &mut down,
        &mut client.output,
        &record.bytes_out,
        progress,
    )
    .await;
    sent.map_err(|error| broken_answer(error, &client.output))?;
    if !down.is_done() {
        if follows {
            record.begin_stream(entry);
        }
        // A client that follows a stream may read nothing for hours.
        let limit = if follows { Duration::MAX } else { progress };
        tokio::select! {
            biased;
            done = pump(&mut engine.input, &mut down, &mut client.output, &record.bytes_out, limit) => match done {
                // An engine that was told that the client sends no more has ended the request.
                Err(PumpError::Short | PumpError::Read) if client.input.is_ended() => return Err(Outcome::ClientDisconnected),
                done => done.map_err(|error| broken_answer(error, &client.output))?,
            },
            left = watch_client((&mut client.input, &mut *body), &mut engine.output, record, half_close_patience(follows, &limits)) => {
                return Err(left.within_answer());
            }
            () = proxy.stop(), if follows => return Err(Outcome::ShuttingDown),
        }
    }
    record.end(&Outcome::Served);
    let engine = EngineConnection {
        stream: engine,
        may_be_kept,
        generation,
    };
    Ok(end_exchange(conn, engine, close || spoiled, proxy).await)
}

/// The engine's connection after its answer.
pub(super) struct EngineConnection {
    pub(super) stream: Duplex,
    /// `true` if the answer allows another request on it.
    pub(super) may_be_kept: bool,
    /// The number of the certificates that it was made with.
    pub(super) generation: u64,
}

/// Ends an exchange whose answer was sent: keeps the connections that can serve another one.
pub(super) async fn end_exchange(
    conn: &mut Connection,
    engine: EngineConnection,
    closes: bool,
    proxy: &Proxy,
) -> Next {
    // A connection with an unfinished exchange never serves another one, on either side.
    if !conn.has_whole_request() {
        return conn.linger().await;
    }
    // A client that sends no more has ended the engine's connection with its own.
    if engine.may_be_kept && !conn.is_ended() {
        proxy
            .backend
            .keep_connection(engine.stream, engine.generation);
    }
    if closes {
        conn.linger().await
    } else {
        Next::KeepAlive
    }
}

/// Ends an answer that cannot go on.
pub(super) fn broken_answer(error: PumpError, client: &Output) -> Outcome {
    match error {
        PumpError::Write => Outcome::ClientDisconnected,
        PumpError::Stalled => {
            client.forget_unsent();
            Outcome::ClientStalled
        }
        PumpError::Short | PumpError::Garbage | PumpError::Read => Outcome::EngineDisconnected,
    }
}

/// Writes the engine's response head, without the headers about its connection with the proxy.
pub(super) fn response_head(head: &ResponseHead, more: &[(&str, &[u8])], close: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
    put(&[
        b"HTTP/1.1 ",
        head.status.to_string().as_bytes(),
        b" ",
        &head.reason,
        b"\r\n",
    ]);
    for (_, name, value) in head.headers.end_to_end() {
        put(&[name, b": ", value, b"\r\n"]);
    }
    for (name, value) in more {
        put(&[name.as_bytes(), b": ", value, b"\r\n"]);
    }
    if close {
        put(&[b"Connection: close\r\n"]);
    }
    put(&[b"\r\n"]);
    bytes
}

/// The body is passed on with its framing, so the headers about it stay; an answer to `HEAD` has
/// them without a body.
pub(super) fn framing_lines(head: &ResponseHead) -> Vec<(&'static str, &[u8])> {
    let names = [
        ("Content-Length", Known::ContentLength),
        ("Transfer-Encoding", Known::TransferEncoding),
    ];
    names
        .into_iter()
        .filter_map(|(name, known)| Some((name, head.headers.all(known).next()?)))
        .collect()
}
