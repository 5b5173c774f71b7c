//! Edits an element that its client gets: leaves out the hidden objects that it names.

use std::borrow::Cow;

use super::super::exposure::Exposure;
use super::super::identifier::is_identifier;
use super::super::listed::listed;
use super::companion::hide_companions;
use super::{AnswerFilter, Lookup};
use crate::endpoint::ObjectKind;
use crate::guard::Json;
use crate::object::Object;

/// The members of an object.
pub(super) type Members<'j> = Vec<(Cow<'j, str>, Json<'j>)>;

/// The members of an image that list names of it. Podman's history has them in lower case.
const NAMES: [&str; 7] = [
    "RepoTags",
    "RepoDigests",
    "Names",
    "History",
    "NamesHistory",
    "Tags",
    "tags",
];

/// The annotations of a descriptor that are names of its image.
const NAME_ANNOTATIONS: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

const CONTAINERS: &str = "Containers";
const LIBPOD_CONTAINERS: &str = "containers";

impl AnswerFilter {
    /// Removes the hidden objects from an element. Returns whether the element changed.
    pub(super) fn edit(&self, section: &str, value: &mut Json<'_>) -> bool {
        let Json::Map(map) = value else { return false };
        if !self.is_scoped {
            return false;
        }
        match (self.exposure, section) {
            (Exposure::Networks | Exposure::List(ObjectKind::Network), _) => self.edit_network(map),
            (Exposure::Container, _) => self.edit_companions(map),
            (Exposure::Pod | Exposure::List(ObjectKind::Pod), _) => self.edit_pod(map),
            (Exposure::List(ObjectKind::Container), _)
            | (_, "Containers" | "ContainerUsage.Items") => {
                let has_changed = self.edit_companions(map);
                edit_names(map) || has_changed
            }
            (Exposure::Image | Exposure::List(ObjectKind::Image), _)
            | (_, "Images" | "ImageUsage.Items") => {
                let has_changed = self.edit_users(map);
                self.edit_image(map) || has_changed
            }
            (Exposure::ImageHistory, _) => self.edit_image(map),
            (Exposure::Task | Exposure::List(ObjectKind::Task), _) => self.edit_task(map),
            _ => false,
        }
    }

    /// Leaves the hidden objects out that a container was created with.
    fn edit_companions(&self, container: &mut Members<'_>) -> bool {
        hide_companions(container, &|lookup| {
            !self.viewer.bounds(lookup.kind) || self.known.get(lookup) == Some(&true)
        })
    }

    /// Leaves hidden containers out of a network, and its services and nodes.
    fn edit_network(&self, network: &mut Members<'_>) -> bool {
        let before = network.len();
        network.retain(|(key, _)| !matches!(key.as_ref(), "Services" | "Peers"));
        let mut has_changed = network.len() < before;
        for (key, containers) in network {
            if let (CONTAINERS | LIBPOD_CONTAINERS, Json::Map(map)) = (key.as_ref(), containers) {
                let before = map.len();
                map.retain(|(id, _)| self.knows_container(id));
                has_changed |= map.len() < before;
            }
        }
        has_changed
    }

    /// Leaves hidden containers out of a pod, and the number of all of them.
    fn edit_pod(&self, pod: &mut Members<'_>) -> bool {
        let mut has_changed = false;
        for (key, containers) in pod.iter_mut() {
            if let (CONTAINERS, Json::List(list)) = (key.as_ref(), containers) {
                let before = list.len();
                list.retain(|one| self.knows_container(identifier_in_pod(one)));
                has_changed |= list.len() < before;
            }
        }
        if has_changed {
            pod.retain(|(key, _)| key != "NumContainers");
        }
        has_changed
    }

    /// Leaves the hidden containers out that use an image, and the one that it was made from.
    fn edit_users(&self, image: &mut Members<'_>) -> bool {
        let mut has_changed = false;
        for (key, value) in image {
            match (key.as_ref(), value) {
                ("Container", Json::Text(id)) => has_changed |= blank(id),
                // By default, the host name is the beginning of the identifier.
                ("Config" | "ContainerConfig", Json::Map(config)) => {
                    for (key, value) in config {
                        if let ("Hostname", Json::Text(name)) = (key.as_ref(), value) {
                            has_changed |= blank(name);
                        }
                    }
                }
                ("Manifests", Json::List(manifests)) => {
                    for manifest in manifests {
                        let users = manifest
                            .get_mut("ImageData")
                            .and_then(|data| data.get_mut(CONTAINERS));
                        if let Some(Json::List(users)) = users {
                            let before = users.len();
                            users.retain(|id| self.knows_container(id.text()));
                            has_changed |= users.len() < before;
                        }
                    }
                }
                _ => {}
            }
        }
        has_changed
    }

    /// Leaves the names of an image out that its client does not see.
    fn edit_image(&self, image: &mut Members<'_>) -> bool {
        if !self.viewer.bounds(ObjectKind::Image) {
            return false;
        }
        let object = described(image);
        if self.viewer.owns(&object) {
            return false;
        }
        let before = image.len();
        // Where it was pulled from, and built as.
        image.retain(|(key, _)| key != "Identity");
        let mut has_changed = image.len() < before;
        for (key, value) in image {
            match (key.as_ref(), value) {
                (key, Json::List(names)) if NAMES.contains(&key) => {
                    let before = names.len();
                    names.retain(|name| self.viewer.shows_image_name(name.text(), &object));
                    has_changed |= names.len() < before;
                }
                ("Descriptor", descriptor) => has_changed |= edit_annotations(descriptor),
                ("Manifests", Json::List(manifests)) => {
                    for descriptor in manifests.iter_mut() {
                        let descriptor = descriptor.get_mut("Descriptor");
                        has_changed |= descriptor.is_some_and(edit_annotations);
                    }
                }
                _ => {}
            }
        }
        has_changed
    }

    /// Returns whether a filter of the list finds an image by what its client sees of it: the
    /// engine also compares hidden names.
    pub(super) fn finds(&self, image: &Json<'_>) -> bool {
        let Some(filter) = &self.references else {
            return true;
        };
        let object = listed(ObjectKind::Image, image);
        let is_own = self.viewer.owns(&object);
        let mut names = object.image_names().iter();
        is_own
            || filter.fits_identifier(&object.id)
            || names
                .any(|name| self.viewer.shows_image_name(name, &object) && filter.fits_name(name))
    }

    /// Leaves all but the name of hidden networks out of a task.
    fn edit_task(&self, task: &mut Members<'_>) -> bool {
        let attachments = task
            .iter_mut()
            .find(|(key, _)| key == "NetworksAttachments");
        let Some((_, Json::List(attachments))) = attachments else {
            return false;
        };
        let mut has_changed = false;
        for attachment in attachments {
            let Some(network) = attachment.get_mut("Network") else {
                continue;
            };
            // It is described as a service is.
            let object = Object::from_json(ObjectKind::Service, network);
            if self.viewer.shows(ObjectKind::Network, &object) {
                continue;
            }
            has_changed = true;
            if let Json::Map(network) = network {
                network.retain(|(key, _)| matches!(key.as_ref(), "ID" | "Spec"));
            }
            if let Some(Json::Map(spec)) = network.get_mut("Spec") {
                spec.retain(|(key, _)| key == "Name");
            }
        }
        has_changed
    }

    /// Returns whether a container has been described, and its client sees it.
    fn knows_container(&self, id: &str) -> bool {
        self.known.get(&container(id)) == Some(&true)
    }
}

/// Returns the containers on a network.
pub(super) fn containers_on(network: &Json<'_>) -> Vec<Lookup> {
    let containers = network
        .get(CONTAINERS)
        .or_else(|| network.get(LIBPOD_CONTAINERS));
    let containers = containers.map(Json::map).unwrap_or_default();
    containers.iter().map(|(id, _)| container(id)).collect()
}

/// Returns the containers in a pod.
pub(super) fn containers_in(pod: &Json<'_>) -> Vec<Lookup> {
    let containers = pod.get(CONTAINERS).map(Json::list).unwrap_or_default();
    let mut ids: Vec<_> = containers.iter().map(identifier_in_pod).collect();
    // Others are no identifiers, and would lead to another path.
    ids.retain(|id| is_identifier(id));
    ids.into_iter().map(container).collect()
}

fn identifier_in_pod<'v>(container: &'v Json<'_>) -> &'v str {
    container.get("Id").map(Json::text).unwrap_or_default()
}

/// Returns the containers that use an image, as its manifests name them.
pub(super) fn containers_of(image: &Json<'_>) -> Vec<Lookup> {
    let manifests = image.get("Manifests").map(Json::list).unwrap_or_default();
    let users = manifests
        .iter()
        .filter_map(|manifest| manifest.get("ImageData")?.get(CONTAINERS))
        .flat_map(Json::list)
        .map(Json::text);
    // Others are no identifiers, and would lead to another path.
    let mut ids: Vec<_> = users.filter(|id| is_identifier(id)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(container).collect()
}

pub(super) fn container(id: &str) -> Lookup {
    Lookup {
        kind: ObjectKind::Container,
        id: id.to_owned(),
    }
}

/// Reads an image from a list, or from its inspection, which has the labels in its configuration.
fn described(image: &Members<'_>) -> Object {
    let image = Json::Map(image.clone());
    let mut object = listed(ObjectKind::Image, &image);
    if object.labels.is_empty() {
        let config = image.get("Config");
        object.labels = crate::object::pairs(config.and_then(|config| config.get("Labels")));
    }
    object
}

/// Leaves the names out that a container has by links: they begin with the names of others.
fn edit_names(container: &mut Members<'_>) -> bool {
    let names = container.iter_mut().find(|(key, _)| key == "Names");
    let Some((_, Json::List(names))) = names else {
        return false;
    };
    let before = names.len();
    names.retain(|name| !name.text().trim_start_matches('/').contains('/'));
    names.len() < before
}

/// Leaves the names of an image out of one of its descriptors.
fn edit_annotations(descriptor: &mut Json<'_>) -> bool {
    let Some(Json::Map(annotations)) = descriptor.get_mut("annotations") else {
        return false;
    };
    let before = annotations.len();
    annotations.retain(|(key, _)| !NAME_ANNOTATIONS.contains(&key.as_ref()));
    annotations.len() < before
}

/// Empties a text. Returns whether it was not empty.
pub(super) fn blank(text: &mut Cow<'_, str>) -> bool {
    let has_changed = !text.is_empty();
    *text = Cow::Borrowed("");
    has_changed
}
