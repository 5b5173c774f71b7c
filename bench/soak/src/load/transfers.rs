//! Uploads and downloads of up to 64 MiB, compared byte for byte where they arrive.

use std::time::Duration;

use crate::client::{Client, head, order};
use crate::payload::Payload;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::{Wire, chunk};

const MIB: u64 = 1 << 20;

fn length(client: &mut Client) -> u64 {
    // Most are small, so that the large ones leave room for others.
    let largest = *client.random.pick(&[4, 4, 16, 64]);
    client.random.within(MIB, largest * MIB)
}

pub(super) fn upload(client: &mut Client) -> Result<(), Trouble> {
    let length = length(client);
    let mut wire = client.connect()?;
    send(client, &mut wire, length, |_| {})?;
    rest(client);
    Ok(())
}

/// Sends an upload, and does something between its pieces.
pub(super) fn send(
    client: &mut Client,
    wire: &mut Wire,
    length: u64,
    mut between: impl FnMut(&mut Client),
) -> Result<(), Trouble> {
    let seed = client.random.next();
    let mut ticket = client.ticket();
    let line = match client.random.within(0, 2) {
        0 => "POST /build?t=soak".to_owned(),
        1 => "POST /v1.43/images/load?quiet=1".to_owned(),
        _ => format!("PUT /containers/soak-{}/archive?path=/tmp", ticket.number),
    };
    let is_chunked = client.random.one_in(2);
    let framing = if is_chunked {
        "Transfer-Encoding: chunked\r\n".to_owned()
    } else {
        format!("Content-Length: {length}\r\n")
    };
    let more = format!(
        "Content-Type: application/x-tar\r\n{framing}{}",
        order(seed, length, 0, "upload")
    );
    wire.send(head(&ticket, &line, &more))?;
    let mut payload = Payload::new(seed, length);
    while payload.left() > 0 {
        let piece = payload.make(client.random.size(1, 64 << 10));
        let sent = if is_chunked {
            wire.send(chunk(&piece))
        } else {
            wire.send(&piece)
        };
        client.count(Count::Bytes, piece.len() as u64);
        if let Err(trouble) = sent {
            // The answer may be there already, and say why.
            return client
                .own_answer(wire, &mut ticket, 200)
                .and(Err(trouble))
                .map_err(|trouble| trouble.at(&line));
        }
        between(client);
    }
    if is_chunked {
        wire.send(chunk(b""))?;
    }
    client
        .own_answer(wire, &mut ticket, 200)
        .map_err(|trouble| trouble.at(&line))
}

pub(super) fn download(client: &mut Client) -> Result<(), Trouble> {
    let length = length(client);
    receive(client, length, |_, _| {})?;
    rest(client);
    Ok(())
}

/// Leaves the processor to smaller requests for a while.
fn rest(client: &mut Client) {
    let time = client.random.within(0, 300);
    client.world.pause(Duration::from_millis(time));
}

/// Receives a download, and does something between its pieces.
pub(super) fn receive(
    client: &mut Client,
    length: u64,
    mut between: impl FnMut(&mut Client, u64),
) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let seed = client.random.next();
    let mut ticket = client.ticket();
    let line = match client.random.one_in(2) {
        true => format!("GET /containers/soak-{}/export", ticket.number),
        false => format!("GET /images/soak-{}/get", ticket.number),
    };
    let mode = *client.random.pick(&["length", "chunked"]);
    wire.send(head(&ticket, &line, &order(seed, length, 0, mode)))?;
    let answer = client
        .head(&mut wire, &mut ticket, 200)
        .map_err(|trouble| trouble.at(&line))?;
    let (mut body, mut payload) = (answer.body(), Payload::new(seed, length));
    loop {
        let some = wire
            .read_body(&mut body)
            .map_err(|trouble| trouble.at(&line))?;
        if some.is_empty() {
            break;
        }
        client.count(Count::Bytes, some.len() as u64);
        payload.check(&some)?;
        between(client, payload.left());
    }
    payload.finish()?;
    ticket.whole(200);
    Ok(())
}
