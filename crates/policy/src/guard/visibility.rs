//! Judges calls of clients that do not see all objects of the engine.

mod images;
mod lists;

pub(super) use images::Overwriting;

use super::judge::{Judge, Step};
use super::network::is_predefined;
use super::subject::{Role, Subject};
use super::target::Use;
use crate::endpoint::{Endpoint, EndpointId, ObjectKind};
use crate::object::Object;
use crate::request::call::Call;
use crate::view::{Exposure, exposure};

/// The visibility of an object for the client of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// The client sees it, or the object was not named by the client.
    Visible,
    /// The object does not exist for the client.
    Hidden,
}

impl Judge<'_> {
    /// Returns whether the decision depends on the objects that a call names: because of targets,
    /// or because the client does not see all objects.
    pub(super) fn bounds_objects(&self) -> bool {
        !self.targets.is_empty() || self.is_scoped()
    }

    /// Returns whether the client does not see all objects.
    pub(super) fn is_scoped(&self) -> bool {
        self.surroundings
            .viewer
            .is_some_and(crate::Viewer::is_scoped)
    }

    /// Returns whether the client can change only objects that it owns.
    pub(super) fn owns(&self) -> bool {
        self.surroundings
            .viewer
            .is_some_and(|viewer| viewer.owner.is_some())
    }

    /// Returns whether the client sees some objects of this kind only.
    pub(super) fn sees_some(&self, kind: ObjectKind) -> bool {
        self.surroundings
            .viewer
            .is_some_and(|viewer| viewer.bounds(kind))
    }

    /// Returns the visibility of an object to which the call has led.
    pub(super) fn visibility_of(&self, subject: &Subject, object: &Object) -> Visibility {
        let Some(viewer) = self.surroundings.viewer else {
            return Visibility::Visible;
        };
        let is_named = match subject.role {
            // The object leads to another one, which decides.
            _ if matches!(subject.kind, ObjectKind::Exec | ObjectKind::Task) => false,
            Role::Shared(_) | Role::Held | Role::Labels | Role::Defaults => false,
            Role::Target(_)
            | Role::Replaced
            | Role::Started
            | Role::Namespace(_)
            | Role::Link
            | Role::VolumesFrom
            | Role::Mounted
            | Role::MountedToWrite
            | Role::Joined
            | Role::Network
            | Role::Content
            | Role::Run
            | Role::Manager => true,
            // Its name is taken, whether the client sees it or not.
            Role::Overwritten(_) | Role::Digest => false,
        };
        let is_visible = match subject.kind {
            ObjectKind::Image => {
                let acts = self.changes_target && matches!(subject.role, Role::Target(_));
                viewer.shows_image(&subject.word, object, acts)
            }
            kind => viewer.shows(kind, object),
        };
        if is_named && !is_visible {
            Visibility::Hidden
        } else {
            Visibility::Visible
        }
    }

    /// Refuses a change of an object that the client sees and does not own, by the call or by a
    /// container that the call creates.
    pub(super) fn refuse_unowned(&mut self, subject: &Subject, object: &Object) {
        let Some(viewer) = self.surroundings.viewer else {
            return;
        };
        let is_change = match subject.role {
            // The new container would change what the other one has.
            Role::Namespace(_) | Role::VolumesFrom | Role::MountedToWrite => true,
            Role::Target(Use::Join) => false,
            Role::Target(_) | Role::Replaced | Role::Started => {
                self.changes_target && !matches!(subject.kind, ObjectKind::Exec | ObjectKind::Task)
            }
            _ => false,
        };
        let is_shared = subject.kind == ObjectKind::Network && is_predefined(&object.name);
        if is_change && self.is_scoped() && is_shared {
            let name = &object.name;
            self.refuse(format!("the network {name} belongs to all clients"), None);
        } else if is_change && viewer.owner.is_some() && !viewer.owns(object) {
            let (kind, name) = (subject.kind.name(), &object.name);
            let may = match subject.role {
                Role::MountedToWrite => "can mount it for reading only; add :ro or ReadOnly",
                Role::Namespace(_) => "can share namespaces only with what it has created",
                Role::VolumesFrom => "can take volumes only from what it has created",
                _ => "can change only what it has created",
            };
            self.refuse(
                format!("the {kind} {name} does not belong to this client, which {may}"),
                None,
            );
        }
    }

    /// Judges a call of a client that does not see all objects, by its endpoint. Returns the call
    /// whose query reaches no other objects.
    pub(super) fn judge_exposure(&mut self, call: Call) -> Call {
        if let Some((why, name)) = self
            .surroundings
            .viewer
            .and_then(|viewer| viewer.view.closed_parameter(&call))
        {
            self.within(Step::Parameter(&name), |judge| {
                judge.refuse(format!("the redact of this profile closes it: {why}"), None);
            });
        }
        if !self.is_scoped() {
            return call;
        }
        let Some(endpoint) = call.endpoint() else {
            return call;
        };
        self.changes_target = changes(endpoint);
        self.refuse_shared_builder(&call, endpoint.id);
        match exposure(endpoint.id) {
            Exposure::Images => {
                self.judge_images(&call, endpoint.id);
                call
            }
            Exposure::Volumes => self.judge_list(call, ObjectKind::Volume),
            Exposure::Named | Exposure::Container => {
                self.refuse_links(&call);
                self.look_up_overwritten(&call, endpoint.id);
                self.remove_volumes_along(call, endpoint.id)
            }
            Exposure::Prune(kind) => self.narrow_prune(call, kind),
            Exposure::List(kind) => self.judge_list(call, kind),
            Exposure::Nothing
            | Exposure::Networks
            | Exposure::Pod
            | Exposure::Image
            | Exposure::ImageHistory
            | Exposure::ImageTree
            | Exposure::Task
            | Exposure::Events
            | Exposure::DiskUsage
            // The rules have refused it, or an exception allows it.
            | Exposure::Builder
            | Exposure::Closed(_) => call,
        }
    }

    /// Refuses a build by BuildKit, whose caches (`RUN --mount=type=cache`) other clients fill, as
    /// the channels to it are closed.
    fn refuse_shared_builder(&mut self, call: &Call, id: EndpointId) {
        let versions = call.parameters().unwrap_or_default().into_iter();
        let is_other = versions
            .filter(|(name, _)| super::fold(name) == "version")
            .any(|(_, version)| !matches!(version.as_str(), "" | "1"));
        if id == EndpointId::BuildStart && is_other {
            self.within(Step::Parameter("version"), |judge| {
                judge.unless_allowed("shared-builder", "", || {
                    "asks for BuildKit, whose builds and cache are those of all clients; the \
                    classic builder is version 1"
                        .to_owned()
                });
            });
        }
    }

    /// Has the engine remove the anonymous volumes of a container with it, if its client owns objects:
    /// they have no labels, so that nobody could find them later.
    fn remove_volumes_along(&self, call: Call, id: EndpointId) -> Call {
        let removes = matches!(
            id,
            EndpointId::ContainerRemove | EndpointId::LibpodContainerRemove
        );
        if !removes || !self.owns() {
            return call;
        }
        // Podman's own path reads another name.
        let switch = match id {
            EndpointId::LibpodContainerRemove => "volumes",
            _ => "v",
        };
        let mut pairs = call.parameters().unwrap_or_default();
        pairs.retain(|(name, _)| !matches!(&*super::fold(name), "v" | "volumes"));
        pairs.push((switch.to_owned(), "1".to_owned()));
        call.with_parameters(&pairs)
    }

    /// Refuses the names of links: the container to which a link leads may be hidden.
    fn refuse_links(&mut self, call: &Call) {
        let names_link = call.captured().is_some_and(|captured| {
            captured.kind == ObjectKind::Container && captured.word.trim_matches('/').contains('/')
        });
        let removes_link = call.endpoint().is_some_and(|endpoint| {
            endpoint.id == EndpointId::ContainerRemove && call.turns_on("link")
        });
        if names_link || removes_link {
            self.refuse(
                "a link leads to a container by way of another one; name the container itself"
                    .to_owned(),
                None,
            );
        }
    }
}

/// Returns whether calls of an endpoint change the object that they name.
fn changes(endpoint: &Endpoint) -> bool {
    use EndpointId::*;
    match endpoint.id {
        // They look, although their method is that of a change, or give an image one more name.
        ContainerWait | LibpodContainerWait | ImageTag | LibpodImageTag | ImagePush
        | LibpodImagePush => false,
        LibpodContainerHealthcheck => true,
        ContainerAttachWs => true,
        _ => !endpoint.method.is_safe(),
    }
}
