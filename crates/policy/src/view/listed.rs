//! Reads objects from the elements of lists, and from events.

use crate::endpoint::ObjectKind;
use crate::guard::Json;
use crate::object::{Detail, Object, Traits};

/// Reads an object from its element in a list of either API.
pub(super) fn listed(kind: ObjectKind, element: &Json<'_>) -> Object {
    match kind {
        ObjectKind::Container => Object {
            id: text(element, &["Id", "ID"]),
            name: own_name(element.get("Names").map(Json::list).unwrap_or_default()),
            labels: labels(element, &["Labels"]),
            detail: Detail::Container(Box::new(Traits {
                image: text(element, &["Image"]),
                ..Traits::default()
            })),
        },
        ObjectKind::Image => Object::read_image(
            element,
            labels(element, &["Labels"]),
            &["RepoTags", "RepoDigests", "Names"],
        ),
        // Podman's own API writes them in lower case.
        ObjectKind::Network => Object {
            id: text(element, &["Id", "id"]),
            name: text(element, &["Name", "name"]),
            labels: labels(element, &["Labels", "labels"]),
            detail: Detail::Network {
                driver: text(element, &["Driver", "driver"]),
                subnets: Vec::new(),
            },
        },
        kind => Object::from_json(kind, element),
    }
}

/// Reads the object of an event. Attributes of a container's event are its labels, its name and its
/// image; those of other objects have no labels.
pub(super) fn of_event(kind: ObjectKind, event: &Json<'_>) -> Object {
    let actor = event.get("Actor");
    let attributes = actor.and_then(|actor| actor.get("Attributes"));
    let attribute = |key| {
        let value = attributes.and_then(|attributes| attributes.get(key));
        value.map(Json::text).unwrap_or_default().to_owned()
    };
    let pairs = attributes.map(Json::map).unwrap_or_default();
    let id = actor.and_then(|actor| actor.get("ID")).map(Json::text);
    let name = attribute("name");
    Object {
        id: match id {
            // Events of Podman's volumes have a name alone.
            None | Some("") => name.clone(),
            Some(id) => id.to_owned(),
        },
        name,
        labels: pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.text().to_owned()))
            .collect(),
        detail: match kind {
            ObjectKind::Container => Detail::Container(Box::new(Traits {
                image: attribute("image"),
                ..Traits::default()
            })),
            _ => Detail::Plain,
        },
    }
}

/// Returns the name of a container among its names: a link gives it others, which begin with the
/// name of another container.
fn own_name(names: &[Json<'_>]) -> String {
    let mut names = names.iter().map(|name| name.text().trim_start_matches('/'));
    let own = names.clone().find(|name| !name.contains('/'));
    own.or_else(|| names.next()).unwrap_or_default().to_owned()
}

fn text(element: &Json<'_>, keys: &[&str]) -> String {
    let value = keys.iter().find_map(|key| element.get(key));
    value.map(Json::text).unwrap_or_default().to_owned()
}

fn labels(element: &Json<'_>, keys: &[&str]) -> Vec<(String, String)> {
    let labels = keys.iter().find_map(|key| element.get(key));
    crate::object::pairs(labels)
}
