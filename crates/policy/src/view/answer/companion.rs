//! The companions of a container: the containers whose namespaces, volumes or names it was created
//! with, and its pod. A client may see the container and not its companions.

use std::borrow::Cow;

use super::Lookup;
use super::edit::{Members, blank, container};
use crate::endpoint::ObjectKind;
use crate::guard::Json;

/// The mode of a namespace that is another container's, before its identifier.
const JOINED: &str = "container:";

/// The modes of namespaces in `HostConfig`.
const MODES: [&str; 5] = ["NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode"];

/// The lists in `HostConfig` whose entries begin with a container, and have a colon behind it.
const LISTS: [&str; 2] = ["Links", "VolumesFrom"];

/// Paths with the identifier of the container whose network is used (moby
/// `daemon/container_operations_unix.go`).
const NETWORK_PATHS: [&str; 3] = ["ResolvConfPath", "HostnamePath", "HostsPath"];

/// The most companions of one container that are looked up. Further ones count as hidden.
const MOST: usize = 64;

/// The annotation in which Podman repeats the identifier of the pod.
const POD_ANNOTATION: &str = "io.kubernetes.cri-o.SandboxID";

/// The text in the place of a hidden container.
const HIDDEN: &str = "container:(hidden)";

/// Returns the companions of a container, as it is listed or inspected by Docker or Podman.
pub(super) fn companions(value: &Json<'_>) -> Vec<Lookup> {
    let mut found = Vec::new();
    let mut note = |lookup: Option<Lookup>| {
        if let Some(lookup) = lookup
            && !found.contains(&lookup)
            && found.len() < MOST
        {
            found.push(lookup);
        }
    };
    if let Some(host) = value.get("HostConfig") {
        for mode in MODES {
            note(host.get(mode).and_then(|mode| joined(mode.text())));
        }
        for key in LISTS {
            for entry in host.get(key).map(Json::list).unwrap_or_default() {
                note(first_of(entry.text()));
            }
        }
    }
    for (_, network) in networks(value) {
        for entry in network.get("Links").map(Json::list).unwrap_or_default() {
            note(first_of(entry.text()));
        }
    }
    for entry in value
        .get("Dependencies")
        .map(Json::list)
        .unwrap_or_default()
    {
        note(called(entry.text()));
    }
    note(value.get("Pod").and_then(|pod| of_pod(pod.text())));
    found
}

/// Leaves the companions out that the client does not see. Returns whether anything changed.
pub(super) fn hide_companions(value: &mut Members<'_>, shows: &dyn Fn(&Lookup) -> bool) -> bool {
    let hides = |lookup: Option<Lookup>| lookup.is_none_or(|lookup| !shows(&lookup));
    let mut has_changed = false;
    let mut network_is_hidden = false;
    for (key, part) in value.iter_mut() {
        match (key.as_ref(), part) {
            ("HostConfig", host) => {
                for mode in MODES {
                    if let Some(Json::Text(text)) = host.get_mut(mode)
                        && text.starts_with(JOINED)
                        && hides(joined(text))
                    {
                        *text = Cow::Borrowed(HIDDEN);
                        network_is_hidden |= mode == "NetworkMode";
                        has_changed = true;
                    }
                }
                for key in LISTS {
                    has_changed |= retain(host.get_mut(key), |text| !hides(first_of(text)));
                }
            }
            ("NetworkSettings", settings) => {
                if let Some(Json::Map(networks)) = settings.get_mut("Networks") {
                    for (_, network) in networks {
                        let links = network.get_mut("Links");
                        has_changed |= retain(links, |text| !hides(first_of(text)));
                    }
                }
            }
            ("Dependencies", list) => {
                has_changed |= retain(Some(list), |text| !hides(called(text)));
            }
            _ => {}
        }
    }
    has_changed |= network_is_hidden && hide_network_owner(value);
    let pod = value.iter().find(|(key, _)| key == "Pod");
    let pod = pod
        .map(|(_, pod)| pod.text().to_owned())
        .unwrap_or_default();
    if !pod.is_empty() && hides(of_pod(&pod)) {
        for (_, text) in value
            .iter_mut()
            .filter(|(key, _)| matches!(key.as_ref(), "Pod" | "PodName"))
        {
            if let Json::Text(text) = text {
                has_changed |= blank(text);
            }
        }
        let config = value.iter_mut().find(|(key, _)| key == "Config");
        let annotations = config.and_then(|(_, config)| config.get_mut("Annotations"));
        if let Some(Json::Map(annotations)) = annotations {
            let before = annotations.len();
            annotations.retain(|(key, _)| key != POD_ANNOTATION);
            has_changed |= annotations.len() < before;
        }
    }
    has_changed
}

/// Empties the texts that a container has from the one whose network it uses: the host name is by
/// default the beginning of its identifier.
fn hide_network_owner(value: &mut Members<'_>) -> bool {
    let mut has_changed = false;
    for (key, part) in value {
        match (key.as_ref(), part) {
            (key, Json::Text(path)) if NETWORK_PATHS.contains(&key) => has_changed |= blank(path),
            ("Config", config) => {
                if let Some(Json::Text(name)) = config.get_mut("Hostname") {
                    has_changed |= blank(name);
                }
            }
            _ => {}
        }
    }
    has_changed
}

/// Removes the texts of a list that are not kept. Returns whether there were any.
fn retain(list: Option<&mut Json<'_>>, keeps: impl Fn(&str) -> bool) -> bool {
    let Some(Json::List(list)) = list else {
        return false;
    };
    let before = list.len();
    list.retain(|text| keeps(text.text()));
    list.len() < before
}

fn networks<'v, 'j>(value: &'v Json<'j>) -> &'v [(Cow<'j, str>, Json<'j>)] {
    let settings = value.get("NetworkSettings");
    let networks = settings.and_then(|settings| settings.get("Networks"));
    networks.map(Json::map).unwrap_or_default()
}

/// Returns the container of a mode such as `container:3eb3eb`.
fn joined(mode: &str) -> Option<Lookup> {
    called(mode.strip_prefix(JOINED)?)
}

/// Returns the container before the first colon, as in `/db:/web/db` and `data:ro`.
fn first_of(entry: &str) -> Option<Lookup> {
    called(entry.split(':').next()?)
}

/// Returns the container of a name or identifier; `None` if a word can be neither.
fn called(word: &str) -> Option<Lookup> {
    let word = word.trim_start_matches('/');
    is_word(word).then(|| container(word))
}

fn of_pod(word: &str) -> Option<Lookup> {
    is_word(word).then(|| Lookup {
        kind: ObjectKind::Pod,
        id: word.to_owned(),
    })
}

/// Returns whether an object can have this name or identifier (moby `names.RestrictedNameChars`).
fn is_word(word: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    word.len() <= 255
        && word.bytes().all(may_stand)
        && word.starts_with(|first: char| first.is_ascii_alphanumeric())
}
