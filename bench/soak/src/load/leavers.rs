//! Clients that leave at every point of an exchange. Nothing of it may stay, which the end of the
//! run shows.

use std::time::Duration;

use super::tunnels;
use crate::client::{Client, Via, head, order};
use crate::payload::Payload;
use crate::trouble::Trouble;
use crate::wire::Wire;

/// So that those which the proxy has not noticed yet do not use up their client's share of
/// connections.
const PACE: Duration = Duration::from_millis(5);

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    client.world.pause(PACE);
    match client.random.within(0, 7) {
        0 => client.connect().map(drop),
        1 => in_head(client),
        2 => in_request_body(client),
        3 => before_answer(client),
        4 => in_answer(client),
        5 => in_tunnel(client),
        6 => in_stream(client),
        _ => in_handshake(client),
    }
}

fn in_head(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let whole = head(&client.ticket(), "GET /containers/json", "Accept: */*\r\n");
    wire.send(&whole[..client.random.size(1, whole.len() - 1)])
}

fn in_request_body(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let ticket = client.ticket();
    let (seed, length) = (client.random.next(), client.random.within(2, 1 << 20));
    let more = format!(
        "Content-Length: {length}\r\n{}",
        order(seed, length, 0, "left")
    );
    wire.send(head(&ticket, "POST /images/load", &more))?;
    let part = client
        .random
        .size(0, usize::try_from(length).unwrap_or(2) - 1);
    wire.send(Payload::new(seed, length).make(part))
}

fn before_answer(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let ticket = client.ticket();
    wire.send(head(
        &ticket,
        "GET /containers/json",
        &order(client.random.next(), 500, 0, "chunked"),
    ))
}

fn in_answer(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    wire.send(head(
        &ticket,
        "GET /images/soak/get",
        &order(client.random.next(), 8 << 20, 0, "length"),
    ))?;
    let mut body = client.head(&mut wire, &mut ticket, 200)?.body();
    for _ in 0..client.random.within(0, 50) {
        wire.read_body(&mut body)?;
    }
    Ok(())
}

fn in_tunnel(client: &mut Client) -> Result<(), Trouble> {
    let mut tunnel = tunnels::open(client, "left")?;
    for _ in 0..client.random.within(0, 20) {
        tunnels::step(client, &mut tunnel, 0)?;
    }
    Ok(())
}

fn in_stream(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    wire.send(head(&ticket, "GET /events", ""))?;
    let mut body = client.head(&mut wire, &mut ticket, 200)?.body();
    for _ in 0..client.random.within(0, 5) {
        wire.read_body(&mut body)?;
    }
    Ok(())
}

/// Begins to speak TLS where that is spoken, and elsewhere sends nothing.
fn in_handshake(client: &mut Client) -> Result<(), Trouble> {
    if client.via != Via::Tls {
        return client.connect().map(drop);
    }
    let mut wire = Wire::tcp(client.source, client.site.tls, None, client.world.patience)?;
    wire.send(&[0x16, 3, 1, 2, 0, 1, 0][..client.random.size(1, 7)])
}
