//! Marks what a client creates with the labels of its owner.

use std::borrow::Cow;

use super::Json;
use super::judge::{Judge, Step};
use super::subject::Role;
use crate::call::Call;
use crate::endpoint::{EndpointId, ObjectKind};
use crate::view::{OWNER_LABEL, Owner, SESSION_LABEL};

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

/// The parameter with the labels of an image that is built, as a JSON object.
const BUILD_LABELS: &str = "labels";

impl Judge<'_> {
    /// Refuses the labels of owners in the body of a client that owns nothing: they would give the
    /// object to another client.
    pub(super) fn refuse_owner_labels(&mut self, call: &Call, body: &Json<'_>) {
        let places = call
            .endpoint()
            .and_then(|endpoint| label_places(endpoint.id));
        if self.owner().is_some() {
            return;
        }
        for place in places.unwrap_or_default() {
            let labels = place.iter().try_fold(body, |value, key| value.get(key));
            for (key, _) in labels.map(Json::map).unwrap_or_default() {
                if is_owner_label(key) {
                    self.within(Step::Unknown(&place.join(".")), |judge| {
                        judge.refuse(
                            format!("only a profile with own can give objects the label {key}"),
                            None,
                        );
                    });
                }
            }
        }
    }

    /// Puts the labels of the owner into the body of a call that creates an object.
    pub(super) fn stamp_body(&mut self, call: &Call, body: &mut Json<'_>) {
        let places = call
            .endpoint()
            .and_then(|endpoint| label_places(endpoint.id));
        if let (Some(owner), Some(places)) = (self.owner(), places) {
            for place in places {
                stamp(body, place, owner);
            }
        }
    }

    /// Returns whether the call creates an object whose labels stand in its body.
    pub(super) fn stamps_body(&self, call: &Call) -> bool {
        let id = call.endpoint().map(|endpoint| endpoint.id);
        self.owner().is_some() && id.and_then(label_places).is_some()
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
        if creates && self.sees_some(ObjectKind::Volume) && !name.is_empty() {
            self.within(Step::Field("Name"), |judge| {
                judge.look_up(ObjectKind::Volume, name, Role::Mounted, ("", ""));
            });
        }
    }

    /// Puts the labels of the owner into the query of a build.
    pub(super) fn stamp_query(&mut self, call: Call) -> Call {
        let is_build = call
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == EndpointId::BuildStart);
        if !is_build {
            return call;
        }
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
        match self.owner() {
            Some(owner) => stamp(&mut labels, &[], owner),
            None => {
                if let Some((key, _)) = labels.map().iter().find(|(key, _)| is_owner_label(key)) {
                    let what = format!("only a profile with own can give images the label {key}");
                    self.within(Step::Parameter(BUILD_LABELS), |judge| {
                        judge.refuse(what, None);
                    });
                }
                return call;
            }
        }
        pairs.retain(|(name, _)| name != BUILD_LABELS);
        pairs.push((BUILD_LABELS.to_owned(), labels.to_string()));
        call.with_parameters(&pairs)
    }

    fn owner(&self) -> Option<&Owner> {
        self.surroundings
            .viewer
            .and_then(|viewer| viewer.owner.as_ref())
    }
}

fn is_owner_label(key: &str) -> bool {
    [OWNER_LABEL, SESSION_LABEL].contains(&key)
}

/// Sets the labels of an owner in the object at a place. Its last key is added if it is missing.
fn stamp(body: &mut Json<'_>, place: &[&'static str], owner: &Owner) {
    let mut labels = body;
    for (depth, key) in place.iter().enumerate() {
        let Json::Map(map) = labels else { return };
        let at = match map.iter().position(|(known, _)| known == key) {
            Some(at) => at,
            None if depth + 1 < place.len() => return,
            None => {
                map.push((Cow::Borrowed(*key), Json::Null));
                map.len() - 1
            }
        };
        labels = &mut map[at].1;
    }
    if !matches!(labels, Json::Map(_)) {
        *labels = Json::Map(Vec::new());
    }
    let Json::Map(map) = labels else { return };
    // A session of the client's own choice goes as well, if its profile has none.
    map.retain(|(key, _)| !is_owner_label(key));
    for (key, value) in owner.labels() {
        map.push((key.into(), Json::Text(value.to_owned().into())));
    }
}
