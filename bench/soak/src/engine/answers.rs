//! The engine's side of one connection.

use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::payload::Payload;
use crate::random::{Random, mix};
use crate::trouble::Trouble;
use crate::wire::{Body, Head, Wire, chunk};
use crate::world::{FORBIDDEN, World};

/// A connection of the proxy's.
pub(super) struct Link<'w> {
    pub(super) wire: Wire,
    /// The same connection, for a thread that writes while another one reads.
    pub(super) second: UnixStream,
    pub(super) world: &'w World,
}

/// The order of a soak client: the number of its request, and the contents of its `X-Soak` header.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) seed: u64,
    pub(super) length: u64,
    pub(super) back: u64,
    pub(super) mode: String,
}

impl Order {
    fn read(head: &Head) -> Self {
        let number = head
            .header("user-agent")
            .and_then(|agent| agent.strip_prefix("soak/")?.parse().ok());
        let mut words = head.header("x-soak").unwrap_or_default().split(' ');
        let mut figure = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let (seed, length, back) = (figure(), figure(), figure());
        let mode = words.next().unwrap_or_default().to_owned();
        Self {
            number: number.unwrap_or(0),
            seed,
            length,
            back,
            mode,
        }
    }
}

impl Link<'_> {
    /// Answers requests until the connection ends.
    pub(super) fn serve(&mut self) {
        while let Ok(Some(head)) = self.wire.read_head() {
            if head.contains(FORBIDDEN) {
                self.world.fail(format!(
                    "a request that had to be refused has reached the engine: {}",
                    head.line
                ));
            }
            let order = Order::read(&head);
            let done = match head.header("user-agent") {
                Some("cetusguard") => self.tell(&head),
                _ => self.answer(&head, &order),
            };
            match done {
                Ok(true) => {}
                Ok(false) | Err(Trouble::Cut(_)) => return,
                Err(Trouble::Wrong(why)) => {
                    return self.world.fail(format!(
                        "at the engine, request {}, {}: {why}",
                        order.number, head.line
                    ));
                }
            }
        }
    }

    /// Answers a request of a client. Returns whether the connection goes on.
    fn answer(&mut self, head: &Head, order: &Order) -> Result<bool, Trouble> {
        let mut words = head.line.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let path = target.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/v1.43").unwrap_or(path);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method, segments.as_slice()) {
            (_, ["containers", _, "attach"] | ["exec", _, "start"]) => {
                self.wire.read_whole(head.body())?;
                return self.tunnel(order).map(|()| false);
            }
            ("GET", ["events"] | ["containers", _, "logs"]) => {
                return self.follow(order).map(|()| false);
            }
            ("GET", ["containers", "json"]) => self.send_list(order)?,
            ("GET", ["containers", _, "export"] | ["images", _, "get"]) => self.download(order)?,
            ("POST", ["containers", "create"]) => self.create(head, order)?,
            ("POST" | "PUT", ["build"] | ["images", "load"] | ["containers", _, "archive"]) => {
                self.upload(head.body(), order)?
            }
            ("GET", ["containers", "held", "json"]) => {
                self.world.arrive(order.number);
                self.world
                    .eventually(self.world.patience, || self.world.released.load(SeqCst));
                self.reply(200, &json!({ "number": order.number }))?;
            }
            _ => {
                self.wire.read_whole(head.body())?;
                let number = if self.world.makes(Fault::ForeignAnswer) {
                    order.number + 1
                } else {
                    order.number
                };
                self.reply(200, &json!({ "number": number, "path": path }))?;
            }
        }
        Ok(true)
    }

    /// Answers what the proxy itself asks about an object.
    fn tell(&mut self, head: &Head) -> Result<bool, Trouble> {
        let path = head.line.split([' ', '?']).nth(1).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let plain = |id: &str| json!({ "Id": id, "Name": id, "Config": {}, "HostConfig": {} });
        match segments.as_slice() {
            ["containers", id, "json"] | ["images", id, "json"] => self.reply(200, &plain(id))?,
            ["exec", id, "json"] => self.reply(
                200,
                &json!({ "ID": id, "ContainerID": "c0ffee", "ProcessConfig": {} }),
            )?,
            ["version"] => self.reply(
                200,
                &json!({ "ApiVersion": "1.51", "KernelVersion": "6.1.0" }),
            )?,
            _ => self.reply(404, &json!({ "message": "no such object" }))?,
        }
        Ok(true)
    }

    fn reply(&mut self, status: u16, body: &Value) -> Result<(), Trouble> {
        let body = body.to_string();
        self.wire.send(format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: \
            {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn send_list(&mut self, order: &Order) -> Result<(), Trouble> {
        let list = list(order.seed, order.length).into_bytes();
        self.send_body(&order.mode, list.len() as u64, |most, at| {
            let end = list.len().min(at + most);
            list[at..end].to_vec()
        })
    }

    fn download(&mut self, order: &Order) -> Result<(), Trouble> {
        let mut payload = Payload::new(order.seed, order.length);
        let spoils = self.world.makes(Fault::WrongByte);
        self.send_body(&order.mode, order.length, |most, at| {
            let mut piece = payload.make(most);
            if spoils
                && at == 0
                && let Some(first) = piece.first_mut()
            {
                *first ^= 1;
            }
            piece
        })
    }

    /// Sends a body in pieces, with its length or chunked.
    fn send_body(
        &mut self,
        mode: &str,
        length: u64,
        mut piece: impl FnMut(usize, usize) -> Vec<u8>,
    ) -> Result<(), Trouble> {
        let is_chunked = mode == "chunked";
        let framing = if is_chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {length}")
        };
        self.wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n{framing}\r\n\r\n"
        ))?;
        let mut sizes = Random::new(length, mode);
        let mut at = 0;
        loop {
            let piece = piece(sizes.size(1, 64 << 10), at);
            at += piece.len();
            match (piece.is_empty(), is_chunked) {
                (true, true) => return self.wire.send(chunk(b"")),
                (true, false) => return Ok(()),
                (false, true) => self.wire.send(chunk(&piece))?,
                (false, false) => self.wire.send(&piece)?,
            }
        }
    }

    fn upload(&mut self, mut body: Body, order: &Order) -> Result<(), Trouble> {
        let mut payload = Payload::new(order.seed, order.length);
        loop {
            let some = self.wire.read_body(&mut body)?;
            if some.is_empty() {
                break;
            }
            payload.check(&some)?;
        }
        payload.finish()?;
        if order.mode == "doomed" {
            return Err(Trouble::Wrong(
                "a body that breaks off has arrived as if it were whole".to_owned(),
            ));
        }
        self.reply(
            200,
            &json!({ "number": order.number, "received": order.length }),
        )
    }

    fn create(&mut self, head: &Head, order: &Order) -> Result<(), Trouble> {
        let body = self.wire.read_whole(head.body())?;
        let body: Value = serde_json::from_slice(&body)
            .map_err(|error| format!("the body is not JSON: {error}"))?;
        let wanted = environment(order.seed, order.length);
        if body["Env"] != json!(wanted)
            || body["Labels"]["soak.number"] != json!(order.number.to_string())
        {
            return Err(Trouble::Wrong(
                "the body of a creation is another one than its client sent".to_owned(),
            ));
        }
        if body["HostConfig"]["Privileged"] == json!(true) || order.mode == "refused" {
            return Err(Trouble::Wrong(
                "a creation that had to be refused has reached the engine".to_owned(),
            ));
        }
        // As long as pulling an image may take: others must not wait for it.
        std::thread::park_timeout(Duration::from_millis(mix(order.seed) % 20));
        self.reply(201, &json!({ "Id": format!("{:064x}", order.number), "number": order.number, "Warnings": [] }))
    }
}

/// The list of so many containers that belongs to a seed.
pub(crate) fn list(seed: u64, length: u64) -> String {
    let rows = (0..length).map(|at| {
        let id = mix(seed ^ at.wrapping_mul(31));
        format!(
            "{{\"Id\":\"{id:064x}\",\"Names\":[\"/soak-{at}\"],\"Image\":\"busybox\",\"Labels\":{{\"seed\":\"{seed}\"}},\"State\":\"running\"}}"
        )
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

/// The environment of a container that belongs to a seed: so many bytes in variables of a hundred
/// or so.
pub(crate) fn environment(seed: u64, length: u64) -> Vec<String> {
    (0..length / 100)
        .map(|at| format!("SOAK_{at}={:080x}", mix(seed ^ at)))
        .collect()
}
