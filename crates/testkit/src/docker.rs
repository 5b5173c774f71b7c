//! An engine whose containers come and go as a test says: lists and events, and 200 for everything
//! else.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{Engine, Exchange, Link};

/// The containers, with the followers of their events. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Docker(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// By identifier, as they are listed.
    containers: Mutex<Vec<(String, Value)>>,
    events: Mutex<Events>,
    lists: AtomicUsize,
    streams: AtomicUsize,
    queries: AtomicUsize,
    is_silent: AtomicBool,
    is_forgetful: AtomicBool,
    never_lists: AtomicBool,
    never_streams: AtomicBool,
    /// The length of a label that containers have in their events, in bytes.
    label_length: AtomicUsize,
    /// The container that pauses whenever a list is made.
    restless: Mutex<Option<String>>,
    /// Lists that are made are not sent.
    holds_lists: Mutex<bool>,
    lists_released: Condvar,
}

#[derive(Debug, Default)]
struct Events {
    /// Every event with its time in nanoseconds: the engine's own buffer.
    told: Vec<(u128, String)>,
    /// The number of those that were delivered.
    delivered: usize,
    is_late: bool,
    followers: Vec<UnixStream>,
}

impl Events {
    fn deliver(&mut self) {
        for (_, event) in &self.told[self.delivered..] {
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            self.followers
                .retain_mut(|follower| follower.write_all(chunk.as_bytes()).is_ok());
        }
        self.delivered = self.told.len();
    }
}

impl Docker {
    /// An engine that has these containers.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let docker = self.clone();
        Engine::scripted(move |exchange, link| docker.answer(exchange, link))
    }

    /// Answers one request, for a script that answers others itself.
    pub fn answer(&self, exchange: &Exchange, link: &mut Link) {
        let is_own = exchange.header("user-agent") == Some("cetusguard");
        if exchange.line == "GET /containers/json" {
            self.answer_list(link);
        } else if is_own && let Some(query) = exchange.line.strip_prefix("GET /events?filters=") {
            match query
                .split_once("&since=")
                .and_then(|(_, times)| times.split_once("&until="))
            {
                Some((since, until)) => {
                    self.answer_query(nanoseconds(since), nanoseconds(until), link)
                }
                None => self.stream_events(link),
            }
        } else if let Some(id) = exchange
            .line
            .strip_prefix("GET /containers/")
            .and_then(|rest| rest.strip_suffix("/json"))
            && is_own
        {
            let found = self
                .containers()
                .iter()
                .find(|(known, _)| known == id)
                .map(|(_, container)| container.clone());
            match found {
                Some(mut container) => {
                    container["State"] = json!({ "Running": true });
                    container["Name"] = container["Names"][0].clone();
                    link.answer(200, &container.to_string());
                }
                None => link.answer(404, "{\"message\":\"No such container\"}"),
            }
        } else {
            link.answer(200, "OK");
        }
    }

    fn answer_list(&self, link: &mut Link) {
        let list: Vec<Value> = self
            .containers()
            .iter()
            .map(|(_, container)| container.clone())
            .collect();
        self.0.lists.fetch_add(1, SeqCst);
        if self.0.never_lists.load(SeqCst) {
            link.drain();
            return;
        }
        if let Some(id) = self
            .0
            .restless
            .lock()
            .expect("no test panics here")
            .as_deref()
        {
            self.tell("container", "pause", id);
        }
        let held = self.0.holds_lists.lock().expect("no test panics here");
        drop(self.0.lists_released.wait_while(held, |held| *held));
        link.answer(200, &Value::from(list).to_string());
    }

    fn answer_query(&self, since: u128, until: u128, link: &mut Link) {
        self.0.queries.fetch_add(1, SeqCst);
        if self.0.is_forgetful.load(SeqCst) {
            link.answer(500, "{}");
            return;
        }
        let events = self.events();
        let within = events
            .told
            .iter()
            .filter(|(time, _)| (since..=until).contains(time));
        let answer: String = within.map(|(_, event)| event.as_str()).collect();
        drop(events);
        link.answer(200, &answer);
    }

    fn stream_events(&self, link: &mut Link) {
        if self.0.is_silent.load(SeqCst) {
            link.answer(500, "{}");
            return;
        }
        if !self.0.never_streams.load(SeqCst) {
            link.write(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: \
                chunked\r\n\r\n",
            );
            self.events().followers.push(link.writer());
        }
        self.0.streams.fetch_add(1, SeqCst);
        link.drain();
    }

    fn containers(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.0.containers.lock().expect("no test panics here")
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.0.events.lock().expect("no test panics here")
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
        let labels: Value = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
            .collect();
        let networks = json!({ "bridge": { "NetworkID": "n", "IPAddress": address, "GlobalIPv6Address": "" } });
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

    /// Writes an event into the buffer, and delivers it to every follower unless events are late.
    pub fn tell(&self, kind: &str, action: &str, id: &str) {
        let actor = match kind {
            "network" => {
                json!({ "ID": "n", "Attributes": { "container": id, "name": "bridge", "type": "bridge" } })
            }
            _ => {
                let label = "x".repeat(self.0.label_length.load(SeqCst));
                json!({ "ID": id, "Attributes": { "image": "busybox", "label": label } })
            }
        };
        let mut events = self.events();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time after 1970");
        let (seconds, nanoseconds) = (now.as_secs(), now.as_nanos());
        let event = format!(
            r#"{{"Type":"{kind}","Action":"{action}","Actor":{actor},"time":{seconds},"timeNano":{nanoseconds}}}"#
        );
        events.told.push((nanoseconds, event + "\n"));
        if !events.is_late {
            events.deliver();
        }
    }

    /// Returns whether events are delivered later than they happen; those that wait are delivered
    /// with the end of it.
    pub fn set_late(&self, is_late: bool) {
        let mut events = self.events();
        events.is_late = is_late;
        if !is_late {
            events.deliver();
        }
    }

    /// Ends every stream of events.
    pub fn cut(&self) {
        for follower in self.events().followers.drain(..) {
            let _ = follower.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Returns whether lists are made from now on and not sent before the end of it.
    pub fn hold_lists(&self, held: bool) {
        *self.0.holds_lists.lock().expect("no test panics here") = held;
        self.0.lists_released.notify_all();
    }

    /// Returns whether lists that are asked for from now on are never answered.
    pub fn never_list(&self, never: bool) {
        self.0.never_lists.store(never, SeqCst);
    }

    /// Returns whether streams of events that are asked for from now on never begin.
    pub fn never_stream(&self, never: bool) {
        self.0.never_streams.store(never, SeqCst);
    }

    /// Returns whether the buffer of events is refused from now on.
    pub fn set_forgetful(&self, is_forgetful: bool) {
        self.0.is_forgetful.store(is_forgetful, SeqCst);
    }

    /// Has this container pause whenever a list is made from now on, before the list is sent: each
    /// list is out of date when it arrives.
    ///
    /// # Panics
    /// Never in a passing test.
    pub fn set_restless(&self, id: &str) {
        *self.0.restless.lock().expect("no test panics here") = Some(id.to_owned());
    }

    /// Gives containers a label of this length in the events that are told from now on, in bytes.
    pub fn set_label_length(&self, length: usize) {
        self.0.label_length.store(length, SeqCst);
    }

    /// Returns whether events are refused from now on.
    pub fn set_silent(&self, is_silent: bool) {
        self.0.is_silent.store(is_silent, SeqCst);
    }

    /// Returns the number of lists that were requested.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.0.lists.load(SeqCst)
    }

    /// Returns the number of requests for the buffer of events.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.0.queries.load(SeqCst)
    }

    /// Returns the number of streams of events that were requested.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.0.streams.load(SeqCst)
    }
}

/// Reads a time such as `12.000000034`: seconds, and nanoseconds in nine digits.
fn nanoseconds(text: &str) -> u128 {
    text.replace('.', "")
        .parse()
        .expect("seconds and nanoseconds")
}
