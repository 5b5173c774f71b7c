//! Small requests: kept and closed connections, several requests at once, heads in pieces. Each
//! answer carries its request's number.

use crate::client::{Client, Ticket, head};
use crate::trouble::Trouble;
use crate::wire::Wire;

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    for _ in 0..client.random.within(1, 20) {
        if client.random.one_in(3) {
            several(client, &mut wire)?;
        } else {
            one(client, &mut wire, "")?;
        }
    }
    if client.random.one_in(2) {
        one(client, &mut wire, "Connection: close\r\n").and_then(|()| closed(&mut wire))
    } else {
        Ok(())
    }
}

fn line(client: &mut Client, ticket: &Ticket) -> String {
    let number = ticket.number;
    let lines = [
        format!("GET /containers/soak-{number}/json"),
        format!("GET /v1.43/containers/soak-{number}/top"),
        "GET /version".to_owned(),
        "GET /info?a=b".to_owned(),
        "GET /_ping".to_owned(),
    ];
    client.random.pick(&lines).clone()
}

fn one(client: &mut Client, wire: &mut Wire, more: &str) -> Result<(), Trouble> {
    let mut ticket = client.ticket();
    let line = line(client, &ticket);
    send_in_pieces(client, wire, head(&ticket, &line, more).as_bytes())?;
    client
        .own_answer(wire, &mut ticket, 200)
        .map_err(|trouble| trouble.at(&line))
}

/// Sends several requests at once; the answers come in their order.
fn several(client: &mut Client, wire: &mut Wire) -> Result<(), Trouble> {
    let mut tickets: Vec<Ticket> = (0..client.random.within(2, 6))
        .map(|_| client.ticket())
        .collect();
    let lines: Vec<String> = tickets.iter().map(|ticket| line(client, ticket)).collect();
    let heads: String = tickets
        .iter()
        .zip(&lines)
        .map(|(ticket, line)| head(ticket, line, ""))
        .collect();
    send_in_pieces(client, wire, heads.as_bytes())?;
    for (ticket, line) in tickets.iter_mut().zip(&lines) {
        client
            .own_answer(wire, ticket, 200)
            .map_err(|trouble| trouble.at(line))?;
    }
    Ok(())
}

/// Sends bytes as one piece, or in several.
pub(super) fn send_in_pieces(
    client: &mut Client,
    wire: &mut Wire,
    bytes: &[u8],
) -> Result<(), Trouble> {
    if !client.random.one_in(3) {
        return wire.send(bytes);
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(client.random.size(1, rest.len()));
        wire.send(piece)?;
        std::thread::yield_now();
        rest = behind;
    }
    Ok(())
}

fn closed(wire: &mut Wire) -> Result<(), Trouble> {
    match wire.read_some(1)?.as_slice() {
        [] => Ok(()),
        _ => Err(Trouble::Wrong(
            "something came behind the last answer".to_owned(),
        )),
    }
}
