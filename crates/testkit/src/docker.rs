//! An engine whose containers come and go as a test says: lists and events, and 200 for everything else.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Engine, Exchange, Link};

/// The containers, and who follows what happens to them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Docker(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// By identifier, as they are listed.
    containers: Mutex<Vec<(String, Value)>>,
    followers: Mutex<Vec<UnixStream>>,
    lists: AtomicUsize,
    streams: AtomicUsize,
    is_silent: AtomicBool,
    never_lists: AtomicBool,
    never_streams: AtomicBool,
    /// How long a list takes, in milliseconds.
    delay: AtomicUsize,
}

impl Docker {
    /// An engine that has these containers.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let docker = self.clone();
        Engine::start(move |exchange, link| docker.answer(exchange, link))
    }

    fn answer(&self, exchange: &Exchange, link: &mut Link) {
        if exchange.line == "GET /containers/json" {
            self.0.lists.fetch_add(1, SeqCst);
            if self.0.never_lists.load(SeqCst) {
                link.drain();
                return;
            }
            std::thread::park_timeout(Duration::from_millis(self.0.delay.load(SeqCst) as u64));
            let list: Vec<Value> = self.containers().iter().map(|(_, container)| container.clone()).collect();
            link.answer(200, &Value::from(list).to_string());
        } else if exchange.line.starts_with("GET /events?filters=")
            && exchange.header("user-agent") == Some("cetusguard")
        {
            if self.0.is_silent.load(SeqCst) {
                link.answer(500, "{}");
                return;
            }
            if !self.0.never_streams.load(SeqCst) {
                link.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
                self.followers().push(link.writer());
            }
            self.0.streams.fetch_add(1, SeqCst);
            link.drain();
        } else if let Some(id) =
            exchange.line.strip_prefix("GET /containers/").and_then(|rest| rest.strip_suffix("/json"))
            && exchange.header("user-agent") == Some("cetusguard")
        {
            let found = self.containers().iter().find(|(known, _)| known == id).map(|(_, container)| container.clone());
            match found {
                Some(mut container) => {
                    container["State"] = json!({ "Running": true });
                    link.answer(200, &container.to_string());
                }
                None => link.answer(404, "{\"message\":\"No such container\"}"),
            }
        } else {
            link.answer(200, "OK");
        }
    }

    fn containers(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.0.containers.lock().expect("no test panics here")
    }

    fn followers(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.0.followers.lock().expect("no test panics here")
    }

    /// Starts a container, as far as lists and events tell.
    pub fn start(&self, id: &str, name: &str, address: &str, labels: &[(&str, &str)]) {
        self.connect(id);
        self.list(id, name, address, labels);
        self.tell("container", "start", id);
    }

    /// Tells that a container is given an address.
    pub fn connect(&self, id: &str) {
        self.tell("network", "connect", id);
    }

    /// Lists a container from now on.
    pub fn list(&self, id: &str, name: &str, address: &str, labels: &[(&str, &str)]) {
        let labels: Value = labels.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        let networks = json!({ "bridge": { "IPAddress": address, "GlobalIPv6Address": "" } });
        let container = json!({ "Id": id, "Names": [format!("/{name}")], "Labels": labels, "NetworkSettings": { "Networks": networks } });
        let mut containers = self.containers();
        containers.retain(|(known, _)| known != id);
        containers.push((id.to_owned(), container));
    }

    /// Stops a container.
    pub fn stop(&self, id: &str) {
        self.unlist(id);
        self.tell("network", "disconnect", id);
        self.tell("container", "die", id);
    }

    /// Lists a container no more.
    pub fn unlist(&self, id: &str) {
        self.containers().retain(|(known, _)| known != id);
    }

    /// Writes an event, to be read by every follower before anything that happens later.
    pub fn tell(&self, kind: &str, action: &str, id: &str) {
        let actor = match kind {
            "network" => json!({ "ID": "n", "Attributes": { "container": id, "name": "bridge", "type": "bridge" } }),
            _ => json!({ "ID": id, "Attributes": { "image": "busybox" } }),
        };
        let event =
            format!("{}\n", json!({ "Type": kind, "Action": action, "Actor": actor, "time": 1, "timeNano": 1 }));
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        self.followers().retain_mut(|follower| follower.write_all(chunk.as_bytes()).is_ok());
    }

    /// Ends every stream of events.
    pub fn cut(&self) {
        for follower in self.followers().drain(..) {
            let _ = follower.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Lists take this many milliseconds from now on.
    pub fn set_delay(&self, milliseconds: usize) {
        self.0.delay.store(milliseconds, SeqCst);
    }

    /// Whether lists that are asked for from now on are never answered.
    pub fn never_list(&self, never: bool) {
        self.0.never_lists.store(never, SeqCst);
    }

    /// Whether streams of events that are asked for from now on never begin.
    pub fn never_stream(&self, never: bool) {
        self.0.never_streams.store(never, SeqCst);
    }

    /// Whether events are refused from now on.
    pub fn set_silent(&self, is_silent: bool) {
        self.0.is_silent.store(is_silent, SeqCst);
    }

    /// How many lists were asked for.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.0.lists.load(SeqCst)
    }

    /// How many streams of events were asked for.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(SeqCst)
    }
}
