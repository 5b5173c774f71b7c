//! Labels of the owner, in the objects that a client creates.

use std::borrow::Cow;

use super::Json;
use super::judge::{Judge, Step};
use super::query::Pairs;
use super::subject::Role;
use crate::endpoint::{EndpointId, ObjectKind};
use crate::request::call::Call;
use crate::view::{IMAGE_OWNER_LABEL, OWNER_LABEL, Owner, SESSION_LABEL};

/// The places of labels in the body of a call that creates an object.
type Places = &'static [&'static [&'static str]];

/// Returns the places of labels in the bodies of an endpoint; `None` if it creates nothing that can
/// have any.
fn label_places(id: EndpointId) -> Option<Places> {
    use EndpointId::*;
    Some(match id {
        ContainerCreate | NetworkCreate | VolumeCreate | SecretCreate | SecretUpdate
        | ConfigCreate | ConfigUpdate => &[&["Labels"]],
        LibpodContainerCreate => &[&["labels"]],
        // Podman reads both.
        LibpodVolumeCreate => &[&["Label"], &["Labels"]],
        // The second are the labels of its containers.
        ServiceCreate | ServiceUpdate => {
            &[&["Labels"], &["TaskTemplate", "ContainerSpec", "Labels"]]
        }
        _ => return None,
    })
}

/// Returns the place of the labels of a container that a call creates.
fn container_labels(id: EndpointId) -> Option<&'static [&'static str]> {
    use EndpointId::*;
    match id {
        ContainerCreate => Some(&["Labels"]),
        LibpodContainerCreate => Some(&["labels"]),
        ServiceCreate | ServiceUpdate => Some(&["TaskTemplate", "ContainerSpec", "Labels"]),
        _ => None,
    }
}

/// The parameter with the labels of an image that is built, as a JSON object.
const BUILD_LABELS: &str = "labels";
/// The parameters that have the engine remove the containers of the steps of a build. They have the
/// labels that the Dockerfile says, and would belong to any client.
const REMOVAL: [&str; 2] = ["rm", "forcerm"];
/// The parameter that has the engine run every step of a build. Its cache would give a client the
/// steps of others: the key of a step contains neither the hosts nor the network that a client chose
/// for it, so that the step may have taken another server's files.
const NO_CACHE: &str = "nocache";
/// The parameter with instructions of a Dockerfile for an image that is committed.
const CHANGES: &str = "changes";

impl Judge<'_> {
    /// Puts the labels of the owner into the body of a call that creates an object. Refuses the
    /// labels of owners everywhere else: they would give an object to another client.
    pub(super) fn stamp_body(&mut self, call: &Call, body: &mut Json<'_>) {
        let id = call.endpoint().map(|endpoint| endpoint.id);
        let places = id.and_then(label_places).unwrap_or_default();
        let owner = self.owner().cloned();
        for place in places.iter().filter(|_| owner.is_some()) {
            clear(body, place);
        }
        if let Some(key) = find_owner_label(body) {
            refuse_owner_label(self, &key);
        }
        self.labels_secret = owner.is_some() && id == Some(EndpointId::SecretCreate);
        match &owner {
            Some(owner) => {
                for place in places {
                    stamp(body, place, &owner.labels());
                }
            }
            // The labels of an image may name an owner, and its container would get them.
            None if self.surroundings.some_client_owns() => {
                if let Some(place) = id.and_then(container_labels) {
                    stamp(body, place, &[(OWNER_LABEL, ""), (SESSION_LABEL, "")]);
                }
            }
            None => {}
        }
    }

    /// Sets the labels that select a profile to nothing in the body of a call whose image is not the
    /// one that is looked up: an image may have other labels for another platform. Labels of the
    /// body replace those of the image.
    pub(super) fn clear_labels_of_platforms(
        &self,
        call: &Call,
        pairs: &Pairs,
        body: &mut Json<'_>,
    ) {
        let Some((profiles, id)) = self.surroundings.profiles.zip(call.endpoint()) else {
            return;
        };
        let id = id.id;
        let is_set = |key: &str| body.get(key).is_some_and(|value| !value.is_empty());
        let names_platform = match id {
            EndpointId::ContainerCreate => pairs
                .iter()
                .any(|(name, value)| name == "platform" && !value.is_empty()),
            EndpointId::LibpodContainerCreate => ["image_os", "image_arch", "image_variant"]
                .into_iter()
                .any(is_set),
            // Tasks run on any node.
            EndpointId::ServiceCreate | EndpointId::ServiceUpdate => true,
            _ => false,
        };
        let Some(place) = container_labels(id).filter(|_| names_platform) else {
            return;
        };
        let Some(holder) = labels_at(body, place) else {
            return;
        };
        for key in profiles.selecting_labels() {
            if !holder.iter().any(|(known, _)| known == key) {
                holder.push((key.to_owned().into(), Json::Text("".into())));
            }
        }
    }

    /// Returns whether the call creates an object whose labels stand in its body.
    pub(super) fn stamps_body(&self, call: &Call) -> bool {
        let id = call.endpoint().map(|endpoint| endpoint.id);
        self.owner().is_some() && id.and_then(label_places).is_some()
    }

    /// Has the engine refuse a second network of one name: clients would take one for the other.
    pub(super) fn forbid_duplicate(&self, call: &Call, body: &mut Json<'_>) {
        let creates = call
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == EndpointId::NetworkCreate);
        if let Json::Map(map) = body
            && creates
            && self.is_scoped()
        {
            map.retain(|(key, _)| key != "CheckDuplicate");
            map.push(("CheckDuplicate".into(), Json::Bool(true)));
        }
    }

    /// Adds the volume that a call creates as a subject: the engine answers a create of a volume
    /// that exists with that volume.
    pub(super) fn look_up_created_volume(&mut self, call: &Call, body: &Json<'_>) {
        let creates = call.endpoint().is_some_and(|endpoint| {
            matches!(
                endpoint.id,
                EndpointId::VolumeCreate | EndpointId::LibpodVolumeCreate
            )
        });
        let name = body.get("Name").map(Json::text).unwrap_or_default();
        if creates {
            self.gives_name(ObjectKind::Volume, name);
        }
        if creates && self.sees_some(ObjectKind::Volume) && !name.is_empty() {
            self.within(Step::Field("Name"), |judge| {
                judge.look_up(ObjectKind::Volume, name, Role::Mounted, ("", ""));
            });
        }
    }

    /// Marks the image that a call makes as the owner's, and takes the marks off that its containers
    /// would inherit. A client that owns nothing makes an image of no owner, whatever a Dockerfile
    /// or an instruction says: a variable or quotes can hide the key of a label from a reader.
    pub(super) fn stamp_query(&mut self, call: Call) -> Call {
        if !self.stamps_images() {
            return call;
        }
        let mark = self.owner().map(Owner::image_mark).unwrap_or_default();
        let labels = [
            (OWNER_LABEL, ""),
            (SESSION_LABEL, ""),
            (IMAGE_OWNER_LABEL, mark.as_str()),
        ];
        match call.endpoint().map(|endpoint| endpoint.id) {
            Some(EndpointId::BuildStart) => self.stamp_build(call, &labels),
            Some(EndpointId::ImageCreate) if !imports(&call) => call,
            Some(EndpointId::ContainerCommit | EndpointId::ImageCreate) => {
                let mut pairs = call.parameters().unwrap_or_default();
                // Behind those of the client, which they replace.
                pairs.extend(
                    labels.iter().map(|(key, value)| {
                        (CHANGES.to_owned(), format!("LABEL {key}=\"{value}\""))
                    }),
                );
                call.with_parameters(&pairs)
            }
            _ => call,
        }
    }

    fn stamp_build(&mut self, call: Call, marks: &[(&str, &str)]) -> Call {
        let mut pairs = call.parameters().unwrap_or_default();
        let own = pairs.iter().filter(|(name, _)| name == BUILD_LABELS);
        let texts: Vec<String> = own.map(|(_, value)| value.clone()).collect();
        let text = match texts.as_slice() {
            [] => "{}",
            [one] if one.trim().is_empty() => "{}",
            [one] => one.as_str(),
            _ => {
                self.malformed("names its labels more than once".to_owned());
                return call;
            }
        };
        let labels = Json::read(text.as_bytes());
        let Ok(mut labels) = labels.map(|labels| match labels {
            Json::Null => Json::Map(Vec::new()),
            labels => labels,
        }) else {
            self.malformed("its labels are not JSON".to_owned());
            return call;
        };
        stamp(&mut labels, &[], marks);
        pairs.retain(|(name, _)| {
            let is_forced = REMOVAL.contains(&name.as_str()) || name == NO_CACHE;
            name != BUILD_LABELS && !(self.owns() && is_forced)
        });
        pairs.push((BUILD_LABELS.to_owned(), labels.to_string()));
        if self.owns() {
            let forced = REMOVAL.into_iter().chain([NO_CACHE]);
            pairs.extend(forced.map(|name| (name.to_owned(), "1".to_owned())));
        }
        call.with_parameters(&pairs)
    }

    /// Returns whether the images that this client makes get labels: some client owns objects.
    fn stamps_images(&self) -> bool {
        self.owner().is_some() || self.surroundings.some_client_owns()
    }

    fn owner(&self) -> Option<&Owner> {
        self.surroundings
            .viewer
            .and_then(|viewer| viewer.owner.as_ref())
    }
}

/// Returns whether a call imports an image, to which its changes apply.
fn imports(call: &Call) -> bool {
    let pairs = call.parameters().unwrap_or_default();
    pairs
        .iter()
        .any(|(name, value)| super::fold(name) == "fromsrc" && !value.is_empty())
}

/// Judges an instruction for an image that is committed or imported. The engine joins all of them
/// to one Dockerfile, in which one could take those of the proxy behind it for a part of itself.
pub(super) fn change(judge: &mut Judge<'_>, text: &str) {
    let is_open = text.trim_end().ends_with(['\\', '`']) || text.contains("<<");
    if judge.stamps_images() && (is_open || text.contains(['\n', '\r'])) {
        judge.malformed(
            "is not one whole instruction: write each in a parameter of its own, on one line, \
            without << and without an escape at its end"
                .to_owned(),
        );
    }
    let text = text.to_ascii_lowercase();
    let labels = [OWNER_LABEL, SESSION_LABEL, IMAGE_OWNER_LABEL];
    if let Some(key) = labels.into_iter().find(|label| text.contains(label)) {
        refuse_owner_label(judge, key);
    }
}

/// Judges the labels of a build. Those of a client that owns objects are replaced.
pub(super) fn labels(judge: &mut Judge<'_>, text: &str) {
    let labels = Json::read(text.as_bytes()).unwrap_or(Json::Null);
    if let Some(key) = find_owner_label(&labels).filter(|_| judge.owner().is_none()) {
        refuse_owner_label(judge, &key);
    }
}

fn refuse_owner_label(judge: &mut Judge<'_>, key: &str) {
    judge.refuse(
        format!("only the proxy gives objects the label {key}, by own of a profile"),
        None,
    );
}

fn is_owner_label(key: &str) -> bool {
    [OWNER_LABEL, SESSION_LABEL, IMAGE_OWNER_LABEL].contains(&key)
}

/// Finds the label of an owner anywhere in a body. No field of an engine has such a name. An empty
/// label names no owner: clients that copy a container have it from the proxy.
fn find_owner_label(body: &Json<'_>) -> Option<String> {
    match body {
        Json::Map(map) => map
            .iter()
            .find_map(|(key, value)| match is_owner_label(key) {
                true => (*value != Json::Text("".into())).then(|| key.to_string()),
                false => find_owner_label(value),
            }),
        Json::List(list) => list.iter().find_map(find_owner_label),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => None,
    }
}

/// Takes the labels of owners out of the object at a place.
fn clear(body: &mut Json<'_>, place: &[&'static str]) {
    if let Some(Json::Map(map)) = body.at_path_mut(place.iter().copied()) {
        map.retain(|(key, _)| !is_owner_label(key));
    }
}

/// Sets labels in the object at a place, whose last key is added if it is missing.
fn stamp(body: &mut Json<'_>, place: &[&'static str], labels: &[(&str, &str)]) {
    let Some(map) = labels_at(body, place) else {
        return;
    };
    map.retain(|(key, _)| !is_owner_label(key));
    for (key, value) in labels {
        let (key, value) = ((*key).to_owned(), (*value).to_owned());
        map.push((key.into(), Json::Text(value.into())));
    }
}

/// Returns the object at a place, whose last key is added if it is missing.
fn labels_at<'j, 'b>(
    body: &'j mut Json<'b>,
    place: &[&'static str],
) -> Option<&'j mut Vec<(Cow<'b, str>, Json<'b>)>> {
    let holder = match place.split_last() {
        Some((last, path)) => body
            .at_path_mut(path.iter().copied())
            .filter(|holder| matches!(holder, Json::Map(_)))
            .and_then(|holder| holder.make_path([Cow::Borrowed(*last)]))?,
        None => body,
    };
    if !matches!(holder, Json::Map(_)) {
        *holder = Json::Map(Vec::new());
    }
    match holder {
        Json::Map(map) => Some(map),
        _ => None,
    }
}
