//! The engine's events, as far as they may change which container has which address.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::Objects;
use super::arriving::{Series, fetch_and_read, follow_values};
use super::joins::Joins;
use super::registry::Containers;
use super::{AGENT, DEADLINE, EngineError, request_ok, with_deadline};
use crate::engine::backend::Backend;
use crate::telemetry::log::{Level, Log};

/// `filters={"type":["container","network"]}`.
const TARGET: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

/// The same request, restricted to events about joins: commands and health checks of a busy
/// container would fill the answer.
const JOINS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C%22event%22%3A%5B%22connect%22%2C%22disconnect%22%2C%22start%22%2C%22restart%22%2C%22die%22%5D%7D";

/// The time before a moment for which events are asked as well, since the engine delivers them
/// late.
const BEFORE: Duration = Duration::from_secs(10);

/// The pause before a lost stream is asked for again.
const BACK_OFF: Duration = Duration::from_millis(200);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// One event (moby `api/types/events.Message`).
#[derive(Debug, Deserialize)]
struct EngineEvent {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    /// Seconds since 1970.
    #[serde(default)]
    time: u64,
    /// Nanoseconds since 1970.
    #[serde(rename = "timeNano", default)]
    nanoseconds: u64,
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

/// The meaning of an event for the addresses of containers. Times are those of the engine's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The event changes no address.
    Nothing,
    /// The engine gave a container an address in a network.
    Joined {
        container: String,
        network: String,
        at: SystemTime,
    },
    /// The engine took a container's address in a network away.
    Left {
        container: String,
        network: String,
        at: SystemTime,
    },
    /// The process of a container runs.
    Started { container: String, at: SystemTime },
    /// Another property of a container changed; the identifier may be empty.
    Changed(String),
    /// The process of a container ended.
    Ended { container: String, at: SystemTime },
}

impl News {
    /// Returns the identifier of the container; empty if the event does not name it, `None` if
    /// nothing changed.
    pub(super) fn container(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Joined { container, .. }
            | Self::Left { container, .. }
            | Self::Started { container, .. }
            | Self::Ended { container, .. }
            | Self::Changed(container) => Some(container),
        }
    }
}

impl EngineEvent {
    /// Returns the identifier of the container that the event is about; empty if it names none.
    fn container(&self) -> &str {
        if self.kind == "network" {
            &self.actor.attributes.container
        } else {
            &self.actor.id
        }
    }

    fn meaning(self) -> News {
        let at = self.at();
        let Actor {
            id,
            attributes: Attributes { container },
        } = self.actor;
        match (self.kind.as_str(), self.action.as_str()) {
            ("network", "connect") if !container.is_empty() => News::Joined {
                container,
                network: id,
                at,
            },
            ("network", "disconnect") if !container.is_empty() => News::Left {
                container,
                network: id,
                at,
            },
            ("network" | "container", action) if is_inner(action) => News::Nothing,
            ("container", "die") => News::Ended { container: id, at },
            ("container", "start" | "restart") if !id.is_empty() => {
                News::Started { container: id, at }
            }
            // Any other action, known or not: one doubt too many costs one list.
            ("network", _) => News::Changed(container),
            _ => News::Changed(id),
        }
    }

    /// Returns the time of the event. An event without a time counts as one that happens now, which
    /// never gives a connection an owner.
    fn at(&self) -> SystemTime {
        let since_1970 = match (self.nanoseconds, self.time) {
            (0, 0) => return SystemTime::now(),
            (0, seconds) => Duration::from_secs(seconds),
            (nanoseconds, _) => Duration::from_nanos(nanoseconds),
        };
        UNIX_EPOCH
            .checked_add(since_1970)
            .unwrap_or_else(SystemTime::now)
    }
}

/// Returns whether the action happens inside a container, and changes neither its address and name
/// nor whether it runs.
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

/// Follows the engine's events while clients need them, and reconnects when the stream ends.
pub(crate) async fn follow(
    containers: Arc<Containers>,
    objects: Arc<Objects>,
    backend: Arc<Backend>,
    log: Log,
) {
    let mut back_off = BACK_OFF;
    let mut told = false;
    loop {
        containers.wait_until_wanted().await;
        let Err(trouble) = read_on(&containers, &objects, &backend, || {
            if std::mem::take(&mut told) {
                log.say(Level::Notice, "following the engine's events again");
            }
            back_off = BACK_OFF;
        })
        .await;
        containers.note_events_lost(&trouble);
        if !std::mem::replace(&mut told, true) {
            let line = log.line(
                Level::Warning,
                "the engine's events are lost: clients that are identified by container wait until they are back",
            );
            log.send(line.text("detail", &trouble.to_string()));
        }
        // A client that waits for the stream does not wait for the longest pause.
        sleep(BACK_OFF).await;
        let _ = timeout(back_off - BACK_OFF, containers.wait_until_asked()).await;
        back_off = (back_off * 2).min(LONGEST_BACK_OFF);
    }
}

/// Reads one stream of events to its end, which is always an error.
async fn read_on(
    containers: &Containers,
    objects: &Objects,
    backend: &Backend,
    begun: impl FnOnce(),
) -> Result<std::convert::Infallible, EngineError> {
    let from = SystemTime::now() - BEFORE;
    let target = format!("{TARGET}&since={}", since_1970(from).as_secs());
    let (stream, body) = with_deadline(DEADLINE, &target, request_ok(backend, &target)).await?;
    begun();
    objects.forget_after_event("");
    containers.note_events_followed(from);
    let take = |event: EngineEvent| {
        objects.forget_after_event(event.container());
        containers.apply_event(&event.meaning());
    };
    Err(follow_values(stream, body, take).await)
}

/// Asks the engine's own buffer for the joins from shortly before a moment until now.
///
/// The engine writes an event into its buffer before it goes on, and delivers it to followers some
/// time later: the buffer knows the join of every container that runs. Docker's buffer holds 256
/// events, so that of a busy engine may not reach back far.
pub(super) async fn joins_around(
    moment: SystemTime,
    backend: &Backend,
) -> Result<Joins, EngineError> {
    let [since, until] = [
        moment.checked_sub(BEFORE).unwrap_or(UNIX_EPOCH),
        SystemTime::now(),
    ]
    .map(since_1970);
    let stamp = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    // With an end that has passed, the engine answers at once and ends its answer.
    let target = format!("{JOINS}&since={}&until={}", stamp(since), stamp(until));
    // Each event repeats the labels of its container, of which a client may write megabytes.
    let reader = Series {
        sum: Joins::default(),
        add: |joins: &mut Joins, event: EngineEvent| joins.fold(&event.meaning()),
    };
    fetch_and_read(AGENT, backend, &target, DEADLINE, reader)
        .await?
        .ok_or(EngineError::Status(404, target))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_move_an_address_is_news() {
        let changed = |id: &str| News::Changed(id.to_owned());
        let at = |nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        for (text, want) in [
            (
                r#"{"Type":"container","Action":"start","Actor":{"ID":"a","Attributes":{"name":"web"}},"time":1}"#,
                News::Started {
                    container: "a".to_owned(),
                    at: at(1_000_000_000),
                },
            ),
            (
                r#"{"Type":"container","Action":"pause","Actor":{"ID":"a"}}"#,
                changed("a"),
            ),
            (
                r#"{"Type":"container","Action":"die","Actor":{"ID":"a"},"time":2}"#,
                News::Ended {
                    container: "a".to_owned(),
                    at: at(2_000_000_000),
                },
            ),
            (
                r#"{"Type":"container","Action":"rename","Actor":{"ID":"a"}}"#,
                changed("a"),
            ),
            (
                r#"{"Type":"container","Action":"never heard of","Actor":{"ID":"a"}}"#,
                changed("a"),
            ),
            (
                r#"{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":{"container":"a"}},"time":1,"timeNano":1000000002}"#,
                News::Joined {
                    container: "a".to_owned(),
                    network: "n".to_owned(),
                    at: at(1_000_000_002),
                },
            ),
            (
                r#"{"Type":"network","Action":"disconnect","Actor":{"ID":"n","Attributes":{"container":"a"}},"time":3}"#,
                News::Left {
                    container: "a".to_owned(),
                    network: "n".to_owned(),
                    at: at(3_000_000_000),
                },
            ),
            (
                r#"{"Type":"network","Action":"connect","Actor":{"ID":"a"}}"#,
                changed(""),
            ),
            (
                r#"{"Type":"container","Action":"exec_create: sh -c x","Actor":{"ID":"a"}}"#,
                News::Nothing,
            ),
            (
                r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"a"}}"#,
                News::Nothing,
            ),
            (r#"{}"#, changed("")),
        ] {
            let event: EngineEvent = serde_json::from_str(text).expect(text);
            assert_eq!(event.meaning(), want, "{text}");
        }
    }
}
