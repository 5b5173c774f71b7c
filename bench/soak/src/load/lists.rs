//! Lists of up to 2,000 containers, with a length and chunked.

use std::time::Duration;

use crate::client::{Client, head, order};
use crate::engine::list;
use crate::tally::Count;
use crate::trouble::Trouble;

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    for _ in 0..client.random.within(1, 5) {
        let (seed, rows) = (client.random.next(), client.random.within(10, 2_000));
        let mode = *client.random.pick(&["length", "chunked"]);
        let mut ticket = client.ticket();
        wire.send(head(
            &ticket,
            "GET /containers/json?all=1",
            &order(seed, rows, 0, mode),
        ))?;
        let body = client.answer(&mut wire, &mut ticket, 200)?;
        client.count(Count::Bytes, body.len() as u64);
        if body != list(seed, rows).as_bytes() {
            return Err(Trouble::Wrong(format!(
                "the list of request {} is another one than the engine's",
                ticket.number
            )));
        }
    }
    client.world.pause(Duration::from_millis(20));
    Ok(())
}
