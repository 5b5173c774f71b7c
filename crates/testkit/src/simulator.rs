//! A small Docker engine made of nothing but memory: enough for a demonstration where no engine
//! runs.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::{Exchange, Link};

/// The version of the API that it claims to speak.
const API: &str = "1.43";

/// The containers and whether they run.
#[derive(Debug)]
pub struct Simulator {
    running: Mutex<[bool; 2]>,
}

const NAMES: [&str; 2] = ["web", "db"];
const IDS: [&str; 2] = [
    "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e",
    "a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c",
];

impl Default for Simulator {
    fn default() -> Self {
        Self {
            running: Mutex::new([true, false]),
        }
    }
}

impl Simulator {
    /// Answers a request as Docker would, with 404 for what it does not know.
    pub fn answer(&self, exchange: &Exchange, link: &mut Link) {
        let (method, target) = exchange.line.split_once(' ').unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let path = path
            .strip_prefix("/v")
            .and_then(|rest| rest.find('/').map(|at| &rest[at..]))
            .unwrap_or(path);
        let segments: Vec<&str> = path[1..].split('/').collect();
        match (method, segments.as_slice()) {
            ("GET" | "HEAD", ["_ping"]) => ping(method, link),
            ("GET", ["version"]) => reply(
                link,
                200,
                &json!({ "Version": "simulated", "ApiVersion": API, "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64" }),
            ),
            ("GET", ["info"]) => reply(
                link,
                200,
                &json!({ "ID": "simulated", "Name": "simulator", "Containers": 2, "OSType": "linux" }),
            ),
            ("GET", ["containers", "json"]) => reply(
                link,
                200,
                &self.list(target.contains("all=1") || target.contains("all=true")),
            ),
            ("GET", ["containers", name, "json"]) => self.with(name, link, |this, at, link| {
                reply(link, 200, &this.inspect(at))
            }),
            ("POST", ["containers", name, "start"]) => {
                self.with(name, link, |this, at, link| this.turn(at, true, link))
            }
            ("POST", ["containers", name, "stop"]) => {
                self.with(name, link, |this, at, link| this.turn(at, false, link))
            }
            ("GET", ["images", "json"] | ["networks"]) => reply(link, 200, &json!([])),
            ("GET", ["volumes"]) => reply(link, 200, &json!({ "Volumes": [] })),
            ("GET", ["events"]) => {
                link.write(
                    "HTTP/1.1 200 OK\r\nContent-Type: \
                    application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                link.drain();
            }
            _ => reply(link, 404, &json!({ "message": "page not found" })),
        }
    }

    fn state(&self, at: usize) -> &'static str {
        let running = self
            .running
            .lock()
            .map(|running| running[at])
            .unwrap_or_default();
        if running { "running" } else { "exited" }
    }

    fn list(&self, all: bool) -> Value {
        let rows = (0..NAMES.len()).filter(|at| all || self.state(*at) == "running").map(|at| {
            let state = self.state(at);
            json!({ "Id": IDS[at], "Names": [format!("/{}", NAMES[at])], "Image": "busybox", "Command": "sleep", "Created": 1_700_000_000,
                    "State": state, "Status": state, "Ports": [], "Labels": {} })
        });
        rows.collect()
    }

    fn inspect(&self, at: usize) -> Value {
        let state = self.state(at);
        json!({ "Id": IDS[at], "Name": format!("/{}", NAMES[at]), "State": { "Status": state, "Running": state == "running" },
                "Config": { "Image": "busybox", "Labels": {} } })
    }

    fn with(&self, name: &str, link: &mut Link, then: impl Fn(&Self, usize, &mut Link)) {
        match (0..NAMES.len())
            .find(|at| NAMES[*at] == name || (name.len() > 3 && IDS[*at].starts_with(name)))
        {
            Some(at) => then(self, at, link),
            None => reply(
                link,
                404,
                &json!({ "message": format!("No such container: {name}") }),
            ),
        }
    }

    fn turn(&self, at: usize, on: bool, link: &mut Link) {
        let changed = self
            .running
            .lock()
            .map(|mut running| std::mem::replace(&mut running[at], on) != on)
            .unwrap_or_default();
        link.write(format!(
            "HTTP/1.1 {}\r\n\r\n",
            if changed {
                "204 No Content"
            } else {
                "304 Not Modified"
            }
        ));
    }
}

fn ping(method: &str, link: &mut Link) {
    let body = if method == "GET" { "OK" } else { "" };
    link.write(format!(
        "HTTP/1.1 200 OK\r\nApi-Version: {API}\r\nOstype: linux\r\nBuilder-Version: 1\r\nSwarm: \
        inactive\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{body}"
    ));
}

fn reply(link: &mut Link, status: u16, body: &Value) {
    link.answer(status, &format!("{body}\n"));
}
