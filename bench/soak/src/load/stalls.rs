//! Clients that pause, and clients that stop for good.

use std::time::Duration;

use super::transfers;
use crate::client::{Client, head, order};
use crate::tally::Count;
use crate::trouble::Trouble;

const LARGEST: u64 = 16 << 20;

/// Pauses now and then, at the most two seconds in all.
fn pause(client: &mut Client, rest: &mut u64) {
    if client.random.one_in(100) && *rest > 0 {
        let time = client.random.within(1, 500).min(*rest);
        *rest -= time;
        client.world.pause(Duration::from_millis(time));
    }
}

/// Reads a download with pauses.
pub(super) fn reader(client: &mut Client) -> Result<(), Trouble> {
    let (length, mut rest) = (client.random.within(1, LARGEST), 2000);
    transfers::receive(client, length, |client, _| pause(client, &mut rest))
}

/// Writes an upload with pauses.
pub(super) fn writer(client: &mut Client) -> Result<(), Trouble> {
    let (length, mut rest) = (client.random.within(1, LARGEST), 2000);
    let mut wire = client.connect()?;
    transfers::send(client, &mut wire, length, |client| pause(client, &mut rest))
}

/// Sends a part of a head and no more: the answer is 408.
pub(super) fn slow_head(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    client.count(Count::Requests, 1);
    wire.send("GET /containers/json HTTP/1.1\r\nX: ")?;
    match wire.read_head()?.map(|head| head.status()) {
        Some(408) => {
            client.count(Count::Refused, 1);
            Ok(())
        }
        other => Err(Trouble::Wrong(format!(
            "a head that does not end got {other:?} instead of 408"
        ))),
    }
}

/// Reads nothing of a download behind its head, until the proxy has given up.
pub(super) fn for_good(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    wire.send(head(
        &ticket,
        "GET /images/soak/get",
        &order(client.random.next(), 256 << 20, 0, "length"),
    ))?;
    client.head(&mut wire, &mut ticket, 200)?;
    let world = &client.world;
    let mut reason = None;
    world.eventually(world.patience, || {
        reason = world.ledger.reason(ticket.number);
        reason.is_some()
    });
    match reason.as_deref() {
        Some("client_stalled") => {
            client.count(Count::Refused, 1);
            Ok(())
        }
        Some("engine_disconnected") => Err(Trouble::Cut("the engine went down".to_owned())),
        other => Err(Trouble::Wrong(format!(
            "a client that reads nothing ended with {other:?} instead of client_stalled"
        ))),
    }
}
