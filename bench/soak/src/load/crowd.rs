//! A client with more connections than its share: those beyond it are refused, and other clients
//! are served as before.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::client::{Client, head};
use crate::policy::SHARE;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::Wire;

/// Connections beyond the share.
const MORE: usize = 60;

pub(crate) fn round(client: &mut Client) -> Result<(), Trouble> {
    // Another address each time: the connections of the last round may not all be gone.
    let step = u8::try_from(client.random.within(1, 100)).unwrap_or(1);
    if let IpAddr::V4(before) = client.source {
        client.source = IpAddr::V4(Ipv4Addr::new(127, 0, 2, (before.octets()[3] % 150) + step));
    }
    let mut placed = Vec::with_capacity(SHARE);
    for _ in 0..SHARE {
        let mut wire = client.connect()?;
        ask(client, &mut wire)?;
        placed.push(wire);
    }
    let refused = (0..MORE).filter(|_| {
        is_refused(client).unwrap_or_else(|why| {
            client.world.fail(why);
            false
        })
    });
    if refused.count() == 0 {
        return Err(Trouble::Wrong(format!(
            "none of {MORE} connections beyond a share of {SHARE} got 429"
        )));
    }
    // Those with a place still have it.
    let last = placed.len() - 1;
    ask(client, &mut placed[last])?;
    drop(placed);
    client.world.pause(Duration::from_secs(2));
    Ok(())
}

fn ask(client: &Client, wire: &mut Wire) -> Result<(), Trouble> {
    let mut ticket = client.ticket();
    wire.send(head(&ticket, "GET /version", ""))?;
    client.own_answer(wire, &mut ticket, 200)
}

/// Returns whether the answer says that there are too many; the connection may also be closed
/// without a word.
fn is_refused(client: &Client) -> Result<bool, String> {
    let Ok(mut wire) = client.connect() else {
        return Ok(false);
    };
    let mut ticket = client.ticket();
    if wire.send(head(&ticket, "GET /version", "")).is_err() {
        return Ok(false);
    }
    let Ok(Some(answer)) = wire.read_head() else {
        return Ok(false);
    };
    if answer.status() != 429 {
        return Err(format!(
            "a connection beyond its client's share got {}",
            answer.line
        ));
    }
    if wire.read_whole(answer.body()).is_ok() {
        ticket.whole(429);
    }
    client.count(Count::Refused, 1);
    Ok(true)
}
