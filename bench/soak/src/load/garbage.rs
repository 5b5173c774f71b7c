//! Requests that must not pass: random bytes, heads that can be read in two ways, bodies with a
//! request in them, and calls that no rule allows. They are answered with 4xx, or the connection is
//! closed.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::client::{Client, Ticket, head, order};
use crate::payload::Payload;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::{Wire, chunk};
use crate::world::FORBIDDEN;

/// So that the ports of connections that have ended do not run out.
const PACE: Duration = Duration::from_millis(5);

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    client.world.pause(PACE);
    match client.random.within(0, 3) {
        0 => random_bytes(client),
        1 => malformed(client),
        2 => refused(client),
        _ => broken_body(client),
    }
}

fn random_bytes(client: &mut Client) -> Result<(), Trouble> {
    let mut bytes = Payload::new(client.random.next(), 4096).make(client.random.size(1, 4096));
    bytes.extend_from_slice(format!("\r\nGET /{FORBIDDEN} HTTP/1.1\r\n\r\n").as_bytes());
    nameless(client, &bytes)
}

/// Heads that two readers could read in two ways, each with a request behind it that one of them
/// would find.
fn malformed(client: &mut Client) -> Result<(), Trouble> {
    let smuggled = format!("0\r\n\r\nGET /{FORBIDDEN} HTTP/1.1\r\nHost: x\r\n\r\n");
    let lines = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 50",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5, 5",
        "Content-Length : 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Host: x\r\nHost: y",
        "X: y\r\n folded: z",
        "X: y\nZ: w",
        "X\u{0}: y",
    ];
    let line = *client.random.pick(&lines);
    let request = *client
        .random
        .pick(&["POST /build HTTP/1.1", "GET /_ping HTTP/1.1"]);
    nameless(
        client,
        format!("{request}\r\n{line}\r\nX-Mark: {FORBIDDEN}\r\n\r\n{smuggled}").as_bytes(),
    )
}

/// Sends bytes in which the proxy finds no head, so that the record has no name of a client.
fn nameless(client: &mut Client, bytes: &[u8]) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    client.count(Count::Requests, 1);
    // The proxy may have closed before all of it was sent, which is as good as an answer.
    if wire.send(bytes).is_err() || wire.finish().is_err() {
        return Ok(());
    }
    match wire.read_head() {
        Ok(Some(head)) if (400..500).contains(&head.status()) => {
            client.count(Count::Refused, 1);
            client.world.nameless.fetch_add(1, SeqCst);
        }
        Ok(Some(head)) => {
            return Err(Trouble::Wrong(format!(
                "garbage got {}: {}",
                head.line,
                String::from_utf8_lossy(bytes)
            )));
        }
        Ok(None) | Err(Trouble::Cut(_)) => {}
        Err(wrong) => return Err(wrong),
    }
    Ok(())
}

/// Calls that are read in one way, and that no rule allows.
fn refused(client: &mut Client) -> Result<(), Trouble> {
    let lines = [
        format!("GET /{FORBIDDEN}"),
        format!("GET /containers/../{FORBIDDEN}"),
        format!("GET /containers/%2e%2e/{FORBIDDEN}"),
        format!("GET //{FORBIDDEN}"),
        format!("GET /containers/json/..%2f..%2f..%2f{FORBIDDEN}"),
        format!("GET http://elsewhere/{FORBIDDEN}"),
        format!("DELETE /containers/{FORBIDDEN}"),
        format!("POST /images/create?fromImage={FORBIDDEN}"),
        format!("GET /containers/{FORBIDDEN}/attach/ws"),
        format!("get /containers/{FORBIDDEN}/json"),
    ];
    let mut wire = client.connect()?;
    for _ in 0..client.random.within(1, 4) {
        let line = client.random.pick(&lines).clone();
        let mut ticket = client.ticket();
        wire.send(head(&ticket, &line, ""))?;
        let closes =
            refusal(client, &mut wire, &mut ticket).map_err(|trouble| trouble.at(&line))?;
        // Behind a tunnel that was refused the connection is closed as well, without a word.
        if closes || line.contains("attach") {
            return Ok(());
        }
    }
    Ok(())
}

/// A body that turns to garbage after its head and its first chunk went to the engine.
fn broken_body(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    let seed = client.random.next();
    let more = format!(
        "Transfer-Encoding: chunked\r\n{}",
        order(seed, 2000, 0, "doomed")
    );
    let first = chunk(&Payload::new(seed, 2000).make(1000));
    let behind = *client.random.pick(&[
        "zz\r\n",
        "-1\r\n",
        "5;a=b\r\n",
        " 5\r\n",
        "5\n",
        "ffffffffffffffffff\r\n",
        "0\r\nX: y\r\n\r\n",
    ]);
    let smuggled = format!("{behind}GET /{FORBIDDEN} HTTP/1.1\r\nHost: x\r\n\r\n");
    wire.send(
        [
            head(&ticket, "POST /build", &more).as_bytes(),
            &first,
            smuggled.as_bytes(),
        ]
        .concat(),
    )?;
    refusal(client, &mut wire, &mut ticket)
        .map(drop)
        .map_err(|trouble| trouble.at(behind))
}

/// Reads a refusal; returns whether the connection is closed behind it.
fn refusal(client: &Client, wire: &mut Wire, ticket: &mut Ticket) -> Result<bool, Trouble> {
    let head = wire
        .read_head()?
        .ok_or_else(|| Trouble::Cut("closed without an answer".to_owned()))?;
    let body = wire.read_whole(head.body())?;
    ticket.whole(head.status());
    match head.status() {
        400..500 => client.count(Count::Refused, 1),
        502 | 504 => return Err(Trouble::Cut("the engine is away".to_owned())),
        status => {
            return Err(Trouble::Wrong(format!(
                "got {status}: {}",
                String::from_utf8_lossy(&body)
            )));
        }
    }
    Ok(head
        .header("connection")
        .is_some_and(|value| value.contains("close"))
        || head.status() == 400)
}
