//! Exec and attach: random bytes both ways, and either side may end first.

use crate::client::{Client, Ticket, head, order};
use crate::payload::Payload;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::Wire;

/// A tunnel that has opened.
pub(super) struct Tunnel {
    pub(super) wire: Wire,
    pub(super) ticket: Ticket,
    pub(super) up: Payload,
    pub(super) down: Payload,
}

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    let epoch = client.world.epoch();
    let mode = *client.random.pick(&["client-first", "engine-first"]);
    let mut tunnel = open(client, mode)?;
    // The half of it, where the engine ends first: the rest goes up after that.
    let held_back = if mode == "engine-first" {
        tunnel.up.left() / 2
    } else {
        0
    };
    while tunnel.up.left() > held_back || tunnel.down.left() > 0 {
        step(client, &mut tunnel, held_back)?;
    }
    if mode == "engine-first" {
        ended(&mut tunnel.wire)?;
        while tunnel.up.left() > 0 {
            step(client, &mut tunnel, 0)?;
        }
        tunnel.wire.finish()?;
    } else {
        tunnel.wire.finish()?;
        ended(&mut tunnel.wire)?;
    }
    if !client.world.has_arrived(tunnel.ticket.number, epoch) {
        return Err(Trouble::Cut(format!(
            "the engine did not get all of tunnel {}, {mode}",
            tunnel.ticket.number
        )));
    }
    // The engine ends without a word as well if it goes down.
    if !client.world.was_down_since(epoch) {
        tunnel.ticket.whole(101);
    }
    Ok(())
}

/// Opens a tunnel of random length.
pub(super) fn open(client: &mut Client, mode: &str) -> Result<Tunnel, Trouble> {
    let (seed, up, down) = (
        client.random.next(),
        client.random.within(0, 2 << 20),
        client.random.within(0, 2 << 20),
    );
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    let (line, body) = match client.random.one_in(2) {
        true => (
            format!(
                "POST /containers/soak-{}/attach?stream=1&stdin=1&stdout=1",
                ticket.number
            ),
            "",
        ),
        false => (
            format!("POST /exec/soak-{}/start", ticket.number),
            "{\"Detach\":false,\"Tty\":true}",
        ),
    };
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n";
    let more = format!(
        "{upgrade}Content-Length: {}\r\n{}",
        body.len(),
        order(seed, up, down, mode)
    );
    wire.send(head(&ticket, &line, &more) + body)?;
    client
        .head(&mut wire, &mut ticket, 101)
        .map_err(|trouble| trouble.at(&line))?;
    Ok(Tunnel {
        wire,
        ticket,
        up: Payload::new(seed, up),
        down: Payload::new(!seed, down),
    })
}

/// Sends some bytes and receives some.
pub(super) fn step(
    client: &mut Client,
    tunnel: &mut Tunnel,
    held_back: u64,
) -> Result<(), Trouble> {
    let most = usize::try_from(tunnel.up.left().saturating_sub(held_back)).unwrap_or(usize::MAX);
    if most > 0 {
        let piece = tunnel.up.make(most.min(client.random.size(1, 32 << 10)));
        tunnel.wire.send(&piece)?;
        client.count(Count::Bytes, piece.len() as u64);
    }
    if tunnel.down.left() > 0 {
        let some = tunnel.wire.read_some(client.random.size(1, 32 << 10))?;
        if some.is_empty() {
            return Err(Trouble::Cut(format!(
                "tunnel {} ended {} bytes too early",
                tunnel.ticket.number,
                tunnel.down.left()
            )));
        }
        tunnel.down.check(&some)?;
        client.count(Count::Bytes, some.len() as u64);
    }
    Ok(())
}

fn ended(wire: &mut Wire) -> Result<(), Trouble> {
    match wire.read_some(64)?.len() {
        0 => Ok(()),
        more => Err(Trouble::Wrong(format!(
            "{more} bytes came behind the end of a tunnel"
        ))),
    }
}
