//! The objects that the clients of a profile own: found by their labels, and removed.

use std::time::{Duration, SystemTime};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{Object, Owner};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::{Asked, Trouble, fetch_as, send, with_deadline};
use crate::backend::Backend;

/// The user agent of these requests.
const AGENT: &str = "cetusguard";

/// The time that a list of objects may take.
const LIST_DEADLINE: Duration = Duration::from_secs(30);

/// The time that the removal of one object may take: a container gets ten seconds to stop, and its
/// files may be many.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(60);

/// The kinds of objects that have owners, in the order in which they can be removed: each before
/// those that it may use.
pub(crate) const KINDS: [ObjectKind; 7] = [
    ObjectKind::Service,
    ObjectKind::Container,
    ObjectKind::Network,
    ObjectKind::Volume,
    ObjectKind::Secret,
    ObjectKind::Config,
    ObjectKind::Image,
];

/// An object with the labels of an owner.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) kind: ObjectKind,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The session within the profile; empty if the profile has none.
    pub(crate) session: String,
    /// When it was created; `None` if the engine does not tell.
    pub(crate) created: Option<SystemTime>,
}

/// Lists the objects of an owner, in the order in which they can be removed.
///
/// # Errors
/// The engine cannot be reached, or answers a list in a form that cannot be read.
pub(crate) async fn list_owned(owner: &Owner, backend: &Backend) -> Result<Vec<Owned>, Trouble> {
    let mut owned = Vec::new();
    for kind in KINDS {
        owned.extend(list_owned_kind(kind, owner, backend).await?);
    }
    Ok(owned)
}

/// Lists the objects of one kind that an owner has.
///
/// # Errors
/// As for [`list_owned`].
pub(crate) async fn list_owned_kind(
    kind: ObjectKind,
    owner: &Owner,
    backend: &Backend,
) -> Result<Vec<Owned>, Trouble> {
    let target = list_target(kind, owner);
    let answer = match fetch_as(AGENT, backend, &target, LIST_DEADLINE).await {
        Ok(Asked::Answer(answer)) => answer,
        // Podman has no services, and Docker none outside of a swarm.
        Ok(Asked::Missing(_)) | Err(Trouble::Status(400..=599, _)) if is_of_swarm(kind) => {
            return Ok(Vec::new());
        }
        Ok(Asked::Missing(_)) => return Err(Trouble::Status(404, target)),
        Err(trouble) => return Err(trouble),
    };
    let answer: Value = serde_json::from_slice(&answer)
        .map_err(|error| Trouble::Answer(format!("{target}: {error}")))?;
    let list = match kind {
        ObjectKind::Volume => &answer["Volumes"],
        _ => &answer,
    };
    let elements = list.as_array().map(Vec::as_slice).unwrap_or_default();
    // The labels are compared once more: an engine may ignore a filter that it does not know.
    let owned = elements
        .iter()
        .map(|element| read_owned(kind, element))
        .filter(|(labels, _)| owner.has_stamped(labels))
        .map(|(_, owned)| owned);
    Ok(owned.collect())
}

/// Removes an object. An object that is gone already is removed as well.
///
/// # Errors
/// The engine cannot be reached, or refuses.
pub(crate) async fn remove_owned(owned: &Owned, backend: &Backend) -> Result<(), Trouble> {
    let id = Object::escaped(&owned.id);
    let target = match owned.kind {
        ObjectKind::Container => format!("/containers/{id}?force=true&v=true"),
        kind => format!("{}/{id}", section(kind)),
    };
    let exchange = async {
        let (status, mut stream, _) = send("DELETE", AGENT, backend, &target, "").await?;
        let _ = stream.output.shutdown().await;
        match status {
            200..=299 | 404 => Ok(()),
            status => Err(Trouble::Status(status, format!("DELETE {target}"))),
        }
    };
    with_deadline(REMOVAL_DEADLINE, &target, exchange).await
}

/// Creates a volume with the labels of its owner. The engine would create it without any, if the
/// container that mounts it did not find it.
///
/// # Errors
/// The engine cannot be reached, or refuses.
pub(crate) async fn create_volume(
    name: &str,
    owner: &Owner,
    backend: &Backend,
) -> Result<(), Trouble> {
    const TARGET: &str = "/volumes/create";
    let labels: serde_json::Map<String, Value> = owner
        .labels()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let body = serde_json::json!({ "Name": name, "Labels": labels }).to_string();
    let exchange = async {
        let (status, mut stream, _) = send("POST", AGENT, backend, TARGET, &body).await?;
        let _ = stream.output.shutdown().await;
        match status {
            200..=299 => Ok(()),
            status => Err(Trouble::Status(status, format!("POST {TARGET}"))),
        }
    };
    with_deadline(LIST_DEADLINE, TARGET, exchange).await
}

fn is_of_swarm(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config
    )
}

fn section(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "/containers",
        ObjectKind::Network => "/networks",
        ObjectKind::Volume => "/volumes",
        ObjectKind::Service => "/services",
        ObjectKind::Secret => "/secrets",
        ObjectKind::Config => "/configs",
        _ => "/images",
    }
}

pub(super) fn list_target(kind: ObjectKind, owner: &Owner) -> String {
    let filters = serde_json::json!({ "label": owner.filters() }).to_string();
    let escaped: String = filters
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    match kind {
        ObjectKind::Container => format!("/containers/json?all=true&filters={escaped}"),
        ObjectKind::Image => format!("/images/json?filters={escaped}"),
        kind => format!("{}?filters={escaped}", section(kind)),
    }
}

/// Reads an element of a list: its labels, and the object.
fn read_owned(kind: ObjectKind, element: &Value) -> (Object, Owned) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = if is_of_swarm(kind) {
        &element["Spec"]["Labels"]
    } else {
        &element["Labels"]
    };
    let labels: Vec<(String, String)> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect();
    let (id, name, created) = match kind {
        ObjectKind::Container => (
            text(&element["Id"]),
            text(&element["Names"][0])
                .trim_start_matches('/')
                .to_owned(),
            &element["Created"],
        ),
        ObjectKind::Image => (
            text(&element["Id"]),
            text(&element["RepoTags"][0]),
            &element["Created"],
        ),
        ObjectKind::Network => (
            text(&element["Id"]),
            text(&element["Name"]),
            &element["Created"],
        ),
        ObjectKind::Volume => (
            text(&element["Name"]),
            text(&element["Name"]),
            &element["CreatedAt"],
        ),
        _ => (
            text(&element["ID"]),
            text(&element["Spec"]["Name"]),
            &element["CreatedAt"],
        ),
    };
    let object = Object {
        id: id.clone(),
        name: name.clone(),
        labels,
        ..Object::default()
    };
    let owned = Owned {
        kind,
        id,
        name,
        session: Owner::session_of(&object).to_owned(),
        created: read_time(created),
    };
    (object, owned)
}

/// Reads a time: seconds since 1970, or RFC 3339 with any offset.
fn read_time(value: &Value) -> Option<SystemTime> {
    if let Some(seconds) = value.as_u64() {
        return SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    }
    let text = value.as_str()?;
    let (date, offset) = text.split_at(text.find('T')? + 1);
    let at = offset.find(['Z', '+', '-'])?;
    let (time, offset) = offset.split_at(at);
    let utc = humantime::parse_rfc3339(&format!("{date}{time}Z")).ok()?;
    let (sign, offset) = match offset.split_at_checked(1)? {
        ("Z", _) => return Some(utc),
        (sign, offset) => (sign, offset),
    };
    let (hours, minutes) = offset.split_once(':')?;
    let seconds = 3600 * hours.parse::<u64>().ok()? + 60 * minutes.parse::<u64>().ok()?;
    let by = Duration::from_secs(seconds);
    // East of Greenwich, the clock is ahead of UTC.
    if sign == "+" {
        utc.checked_sub(by)
    } else {
        utc.checked_add(by)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_in_every_form_of_engines() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for (value, want) in [
            (json!(1_700_000_000), at(1_700_000_000)),
            (json!("2023-11-14T22:13:20Z"), at(1_700_000_000)),
            (json!("2023-11-14T23:13:20+01:00"), at(1_700_000_000)),
            (json!("2023-11-14T17:43:20-04:30"), at(1_700_000_000)),
            (json!(""), None),
            (json!("yesterday"), None),
            (json!(null), None),
        ] {
            assert_eq!(read_time(&value), want, "{value}");
        }
        assert!(read_time(&json!("2023-11-14T22:13:20.123456789Z")).is_some());
    }

    #[test]
    fn filters_name_the_owner() {
        let owner = Owner::session("ci", "job-1").expect("a session");
        assert_eq!(
            list_target(ObjectKind::Network, &owner),
            "/networks?filters=%7B%22label%22%3A%5B%22cetusguard.owner%3Dci%22%2C%22cetusguard.session\
            %3Djob-1%22%5D%7D"
        );
    }
}
