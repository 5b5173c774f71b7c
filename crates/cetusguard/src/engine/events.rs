//! The engine's events, as far as they may change who has which address.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::registry::Containers;
use super::{DEADLINE, Trouble, get, within};
use crate::backend::Backend;
use crate::log::{Level, Log};
use crate::wire::read_content;

/// `filters={"type":["container","network"]}`.
const TARGET: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

/// The engine answers before it listens to itself: what happened so shortly before is told once more.
const BEFORE: Duration = Duration::from_secs(10);

/// An event with its attributes is a few KiB; what is longer is none.
const EVENT_LIMIT: usize = 1 << 20;

/// How soon a lost stream is asked for again.
const BACK_OFF: Duration = Duration::from_millis(200);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// One event (moby `api/types/events.Message`).
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
struct Attributes {
    /// Of a network's events: the container that it is about.
    #[serde(default)]
    container: String,
}

/// What an event means for the addresses of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing: what goes on inside a container.
    Nothing,
    /// This container has been given an address and does not run yet, as far as lists say.
    Starts(String),
    /// Something about this container has changed.
    Changed(String),
    /// This container runs no more.
    Ended(String),
}

impl Event {
    fn news(self) -> News {
        let id = if self.kind == "network" { self.actor.attributes.container } else { self.actor.id };
        match (self.kind.as_str(), self.action.as_str()) {
            // The engine joins networks before it lets the container's process run, and lists it after that.
            ("network", "connect") if !id.is_empty() => News::Starts(id),
            ("network" | "container", action) if is_inner(action) => News::Nothing,
            ("container", "die") => News::Ended(id),
            // Any other, known or not: to doubt once too often costs one list.
            _ => News::Changed(id),
        }
    }
}

/// What happens in a container, and does not change its address, name, or whether it runs.
fn is_inner(action: &str) -> bool {
    let action = action.split(':').next().unwrap_or_default();
    let inner = [
        "archive-path",
        "attach",
        "commit",
        "copy",
        "create",
        "destroy",
        "detach",
        "exec_create",
        "exec_detach",
        "exec_die",
        "exec_start",
        "export",
        "extract-to-dir",
        "health_status",
        "kill",
        "oom",
        "prune",
        "remove",
        "resize",
        "top",
    ];
    inner.contains(&action)
}

/// Follows the engine's events for as long as somebody wants to know, and asks for them again where the stream ends.
pub(crate) async fn follow(containers: Arc<Containers>, backend: Arc<Backend>, log: Log) {
    let mut back_off = BACK_OFF;
    let mut told = false;
    loop {
        containers.wanted().await;
        let Err(trouble) = read_on(&containers, &backend, || {
            if std::mem::take(&mut told) {
                log.say(Level::Notice, "following the engine's events again");
            }
            back_off = BACK_OFF;
        })
        .await;
        containers.lost(&trouble);
        if !std::mem::replace(&mut told, true) {
            let line = log.line(
                Level::Warning,
                "the engine's events are lost: clients told by container wait until they are back",
            );
            log.send(line.text("detail", &trouble.to_string()));
        }
        // Who waits for it need not wait for the longest pause.
        sleep(BACK_OFF).await;
        let _ = timeout(back_off - BACK_OFF, containers.asked()).await;
        back_off = (back_off * 2).min(LONGEST_BACK_OFF);
    }
}

/// Reads one stream of events to its end, which is always trouble.
async fn read_on(
    containers: &Containers,
    backend: &Backend,
    begun: impl FnOnce(),
) -> Result<std::convert::Infallible, Trouble> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(BEFORE);
    let target = format!("{TARGET}&since={}", since.as_secs());
    let (mut stream, mut body) = within(DEADLINE, &target, get(backend, &target)).await?;
    begun();
    containers.found();
    let mut text = Vec::new();
    let broken = |_| Trouble::Answer("the engine broke off its events".to_owned());
    while read_content(&mut stream.input, &mut body, &mut text).await.map_err(broken)? {
        // One behind the other; what is not there as a whole waits for the rest.
        let mut events = serde_json::Deserializer::from_slice(&text).into_iter::<Event>();
        for event in &mut events {
            match event {
                Ok(event) => containers.happened(event.news()),
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(Trouble::Answer(format!("the engine's events cannot be read: {error}"))),
            }
        }
        let taken = events.byte_offset();
        text.drain(..taken);
        if text.len() > EVENT_LIMIT {
            return Err(Trouble::Answer("an event of the engine is larger than 1 MiB".to_owned()));
        }
    }
    Err(Trouble::Answer("the engine ended its events".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_move_an_address_is_news() {
        let changed = |id: &str| News::Changed(id.to_owned());
        for (text, want) in [
            (
                r#"{"Type":"container","Action":"start","Actor":{"ID":"a","Attributes":{"name":"web"}},"time":1}"#,
                changed("a"),
            ),
            (r#"{"Type":"container","Action":"die","Actor":{"ID":"a"}}"#, News::Ended("a".to_owned())),
            (r#"{"Type":"container","Action":"rename","Actor":{"ID":"a"}}"#, changed("a")),
            (r#"{"Type":"container","Action":"never heard of","Actor":{"ID":"a"}}"#, changed("a")),
            (
                r#"{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":{"container":"a"}}}"#,
                News::Starts("a".into()),
            ),
            (
                r#"{"Type":"network","Action":"disconnect","Actor":{"ID":"n","Attributes":{"container":"a"}}}"#,
                changed("a"),
            ),
            (r#"{"Type":"container","Action":"exec_create: sh -c x","Actor":{"ID":"a"}}"#, News::Nothing),
            (r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"a"}}"#, News::Nothing),
            (r#"{}"#, changed("")),
        ] {
            let event: Event = serde_json::from_str(text).expect(text);
            assert_eq!(event.news(), want, "{text}");
        }
    }
}
