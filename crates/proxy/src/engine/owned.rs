//! The objects that the clients of a profile own: found by their labels, and removed.

use std::time::{Duration, SystemTime};

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{Object, Owner};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::arriving::{Elements, Single, fetch_json};
use super::{AGENT, EngineError, send, with_deadline};
use crate::engine::backend::Backend;

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
pub struct Owned {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its identifier, or the name of an object that has none.
    pub id: String,
    /// Its name; an image's first tag.
    pub name: String,
    /// The session within the profile; empty if the profile has none.
    pub session: String,
    /// When it was created; `None` if the engine does not tell.
    pub created: Option<SystemTime>,
}

/// Lists the objects of an owner, in the order in which they can be removed.
///
/// # Errors
/// The engine cannot be reached, or answers a list in a form that cannot be read.
pub async fn list_owned(owner: &Owner, backend: &Backend) -> Result<Vec<Owned>, EngineError> {
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
) -> Result<Vec<Owned>, EngineError> {
    let target = list_target(kind, owner);
    let list = elements(kind, owner);
    let mut fetched = fetch_json(AGENT, backend, &target, LIST_DEADLINE, list).await;
    // Podman knows no filter of secrets by label.
    if matches!(fetched, Err(EngineError::Status(500, _))) && kind == ObjectKind::Secret {
        let list = elements(kind, owner);
        fetched = fetch_json(AGENT, backend, section(kind), LIST_DEADLINE, list).await;
    }
    match fetched {
        Ok(Some(listing)) => Ok(listing.owned),
        // Podman has no services, and Docker none outside of a swarm.
        Ok(None) | Err(EngineError::Status(400..=599, _)) if is_of_swarm(kind) => Ok(Vec::new()),
        Ok(None) => Err(EngineError::Status(404, target)),
        Err(trouble) => Err(trouble),
    }
}

/// Removes an object. An object that is gone already is removed as well.
///
/// # Errors
/// The engine cannot be reached, or refuses.
pub async fn remove_owned(owned: &Owned, backend: &Backend) -> Result<(), EngineError> {
    let id = Object::escaped(&owned.id);
    let target = match owned.kind {
        ObjectKind::Container => format!("/containers/{id}?force=true&v=true"),
        kind => format!("{}/{id}", section(kind)),
    };
    let remove = async |target: &str| {
        let (status, mut stream, _) = send("DELETE", AGENT, backend, target, "").await?;
        let _ = stream.output.shutdown().await;
        Ok(status)
    };
    let exchange = async {
        let mut status = remove(&target).await?;
        // Podman removes secrets only by a path with a version.
        if status == 503 && owned.kind == ObjectKind::Secret {
            status = remove(&format!("/v1.40{target}")).await?;
        }
        match status {
            200..=299 | 404 => Ok(()),
            status => Err(EngineError::Status(status, format!("DELETE {target}"))),
        }
    };
    with_deadline(REMOVAL_DEADLINE, &target, exchange).await
}

/// Creates a volume with the labels of its owner. The engine would create it without any, if the
/// container that mounts it did not find it. Returns whether the volume is the owner's: for one that
/// another client has created meanwhile, the engine answers with that.
///
/// # Errors
/// The engine cannot be reached, or refuses.
pub(crate) async fn create_volume(
    name: &str,
    owner: &Owner,
    backend: &Backend,
) -> Result<bool, EngineError> {
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
            status => Err(EngineError::Status(status, format!("POST {TARGET}"))),
        }
    };
    with_deadline(LIST_DEADLINE, TARGET, exchange).await?;
    let target = format!("{}/{}", section(ObjectKind::Volume), Object::escaped(name));
    let volume = Single::<Element>::new();
    let volume = fetch_json(AGENT, backend, &target, LIST_DEADLINE, volume).await?;
    let labels = volume.and_then(|volume| volume.labels);
    Ok(labels.is_some_and(|labels| labels.are_of(owner, ObjectKind::Volume)))
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
    let filters = serde_json::json!({ "label": owner.list_filters(kind) }).to_string();
    let escaped = escape_filters(&filters);
    match kind {
        ObjectKind::Container => format!("/containers/json?all=true&filters={escaped}"),
        ObjectKind::Image => format!("/images/json?filters={escaped}"),
        kind => format!("{}?filters={escaped}", section(kind)),
    }
}

/// Returns filters as they stand in a target.
pub(super) fn escape_filters(filters: &str) -> String {
    let escaped = filters.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// Returns the seed that reads a list of objects.
fn elements(kind: ObjectKind, owner: &Owner) -> Elements<Element, Listing> {
    Elements {
        member: (kind == ObjectKind::Volume).then_some("Volumes"),
        sum: Listing {
            kind,
            owner: owner.clone(),
            owned: Vec::new(),
        },
        add: Listing::add,
    }
}

/// The objects of one kind that an owner has, while their list arrives.
struct Listing {
    kind: ObjectKind,
    owner: Owner,
    owned: Vec<Owned>,
}

impl Listing {
    /// Adds an element if its labels are those of the owner: an engine may ignore a filter that it
    /// does not know.
    fn add(&mut self, element: Element) {
        let (spec_name, spec_labels) = element.spec.map(|spec| (spec.name, spec.labels)).unzip();
        let labels = element.labels.or(spec_labels.flatten()).unwrap_or_default();
        if !labels.are_of(&self.owner, self.kind) {
            return;
        }
        let own_name = element.names.into_iter().flatten().next();
        // Podman has an empty name beside the names of a container.
        let name = element.name.filter(|name| !name.is_empty());
        let name = name.or(own_name).or(spec_name).unwrap_or_default();
        let name = name.trim_start_matches('/').to_owned();
        let owned = |id: String, name: String| Owned {
            kind: self.kind,
            id,
            name,
            session: labels.session(self.kind).to_owned(),
            created: read_time(&element.created).or_else(|| read_time(&element.created_at)),
        };
        match (self.kind, element.tags) {
            // An engine removes an image with several names by each of them alone.
            (ObjectKind::Image, Some(tags)) if tags.iter().any(|tag| tag != UNTAGGED) => {
                let tags = tags.into_iter().filter(|tag| tag != UNTAGGED);
                self.owned.extend(tags.map(|tag| owned(tag.clone(), tag)));
            }
            // A volume has no identifier but its name.
            _ => {
                let id = element.id.or(element.swarm_id);
                let id = id.unwrap_or_else(|| name.clone());
                // An image may have no name.
                let name = if name.is_empty() { id.clone() } else { name };
                self.owned.push(owned(id, name));
            }
        }
    }
}

/// The name of an image without one, in lists of Docker before version 25.
const UNTAGGED: &str = "<none>:<none>";

/// An element of a list. Each kind of object has some of the fields.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Element {
    id: Option<String>,
    #[serde(rename = "ID")]
    swarm_id: Option<String>,
    name: Option<String>,
    names: Option<Vec<String>>,
    #[serde(rename = "RepoTags")]
    tags: Option<Vec<String>>,
    /// A number or a text, or nothing that is a time.
    created: Value,
    created_at: Value,
    labels: Option<OwnerLabels>,
    spec: Option<Spec>,
}

/// The part of an object of a swarm that its creator has written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    name: String,
    #[serde(default)]
    labels: Option<OwnerLabels>,
}

/// The labels of an object that name its owner. Clients choose the number and the length of all
/// others, so that these alone are kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OwnerLabels {
    #[serde(rename = "cetusguard.owner")]
    owner: String,
    #[serde(rename = "cetusguard.session")]
    session: String,
    #[serde(rename = "cetusguard.image-owner")]
    image_owner: String,
}

impl OwnerLabels {
    /// Returns whether the labels of an object of a kind are those of an owner.
    pub(super) fn are_of(&self, owner: &Owner, kind: ObjectKind) -> bool {
        match kind {
            ObjectKind::Image => owner.has_image_mark(&self.image_owner),
            _ => owner.has_labels(&self.owner, &self.session),
        }
    }

    /// Returns the session that an object of a kind belongs to; empty if it belongs to none.
    fn session(&self, kind: ObjectKind) -> &str {
        match kind {
            ObjectKind::Image => self.image_owner.split_once('/').map_or("", |mark| mark.1),
            _ => &self.session,
        }
    }
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

    use super::super::arriving::read_in_parts;
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
    #[test]
    fn owned_objects_are_read_from_lists_of_every_kind() {
        let owned = |kind, owner: &Owner, text: &str| {
            let read = read_in_parts(text, || elements(kind, owner)).expect(text);
            let show = |one: &Owned| format!("{} {} {:?}", one.id, one.name, one.session);
            read.owned.iter().map(show).collect::<Vec<_>>()
        };
        let (ci, job) = (
            Owner::profile("ci"),
            Owner::session("ci", "job-1").expect("a session"),
        );
        let labels = r#"{"a":"b","cetusguard.owner":"ci","cetusguard.session":"job-1"}"#;
        for (kind, element, want) in [
            (
                ObjectKind::Container,
                r#""Id":"1","Names":["/web","/x/web"]"#,
                "1 web",
            ),
            (
                ObjectKind::Network,
                r#""Id":"1","Name":"web","Created":"2023-11-14T22:13:20Z""#,
                "1 web",
            ),
            (
                ObjectKind::Volume,
                r#""Name":"web","CreatedAt":"2023-11-14T22:13:20Z""#,
                "web web",
            ),
        ] {
            let element = format!(r#"{{{element},"Labels":{labels}}}"#);
            let others =
                r#"{"Id":"2","Labels":null},{"Id":"3","Labels":{"cetusguard.owner":"cd"}}"#;
            let list = format!("[{others},{element}]");
            let list = match kind {
                ObjectKind::Volume => format!(r#"{{"Volumes":{list},"Warnings":null}}"#),
                _ => list,
            };
            assert_eq!(owned(kind, &ci, &list), [format!("{want} \"job-1\"")]);
            assert_eq!(owned(kind, &job, &list), [format!("{want} \"job-1\"")]);
            let other = Owner::session("ci", "job-2").expect("a session");
            assert!(owned(kind, &other, &list).is_empty());
        }
        let secret =
            format!(r#"[{{"ID":"1","CreatedAt":"x","Spec":{{"Name":"key","Labels":{labels}}}}}]"#);
        assert_eq!(owned(ObjectKind::Secret, &ci, &secret), ["1 key \"job-1\""]);
        // A container's owner is not that of its image, and an image has a name in each of its tags.
        let images = r#"[
            {"Id":"sha256:1","RepoTags":["a:1","b:2"],"Created":-62135596800,"Labels":{"cetusguard.image-owner":"ci"}},
            {"Id":"sha256:2","RepoTags":["<none>:<none>"],"Labels":{"cetusguard.image-owner":"ci/job-1"}},
            {"Id":"sha256:3","RepoTags":null,"Labels":{"cetusguard.image-owner":"cicada"}},
            {"Id":"sha256:4","RepoTags":[],"Labels":{"cetusguard.owner":"ci"}}
        ]"#;
        let want = [
            "a:1 a:1 \"\"",
            "b:2 b:2 \"\"",
            "sha256:2 sha256:2 \"job-1\"",
        ];
        assert_eq!(owned(ObjectKind::Image, &ci, images), want);
        assert_eq!(owned(ObjectKind::Image, &job, images), want[2..]);
    }
}
