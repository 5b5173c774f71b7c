//! Creations of containers, whose bodies are judged: allowed ones arrive unchanged in meaning, and
//! refused ones never arrive.

use serde_json::{Value, json};

use crate::client::{Client, head, order};
use crate::engine::environment;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::chunk;

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    for _ in 0..client.random.within(1, 5) {
        let mut ticket = client.ticket();
        let (seed, largest) = (
            client.random.next(),
            *client.random.pick(&[100, 10_000, 200_000]),
        );
        let length = client.random.within(0, largest);
        let (host, wanted) = client.random.pick(&hosts()).clone();
        let mut body = json!({
            "Image": "busybox",
            "Env": environment(seed, length),
            "Labels": { "soak.number": ticket.number.to_string() },
            "HostConfig": host,
        })
        .to_string();
        if wanted == 400 {
            body.pop();
        }
        let mode = if wanted == 201 { "allowed" } else { "refused" };
        let is_chunked = client.random.one_in(2);
        let framing = if is_chunked {
            "Transfer-Encoding: chunked\r\n".to_owned()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let more = format!(
            "Content-Type: application/json\r\n{framing}{}",
            order(seed, length, 0, mode)
        );
        let body = if is_chunked {
            [chunk(body.as_bytes()), chunk(b"")].concat()
        } else {
            body.into_bytes()
        };
        client.count(Count::Bytes, body.len() as u64);
        wire.send(head(
            &ticket,
            &format!("POST /containers/create?name=soak-{}", ticket.number),
            &more,
        ))?;
        wire.send(&body)?;
        if wanted == 201 {
            client.own_answer(&mut wire, &mut ticket, 201)?;
            continue;
        }
        client.answer(&mut wire, &mut ticket, wanted)?;
        client.count(Count::Refused, 1);
        if wanted == 400 {
            return Ok(());
        }
    }
    Ok(())
}

/// Settings of the host, and the status with which the guard answers. With 400, the body is cut
/// short.
fn hosts() -> [(Value, u16); 5] {
    [
        (
            json!({ "Memory": 64 << 20, "RestartPolicy": { "Name": "always" } }),
            201,
        ),
        (json!({ "Binds": ["data:/data"] }), 201),
        (json!({ "Privileged": true }), 403),
        (json!({ "Binds": ["/etc:/host"] }), 403),
        (json!({}), 400),
    ]
}
