//! Judges the names of images that a call gives to other images, and the images that it brings in,
//! for a client that does not see or own all of them.

use super::super::fold;
use super::super::judge::{Judge, Step, shortened};
use super::super::reference;
use super::super::subject::{Role, Slot, Subject};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::object::Object;
use crate::request::call::Call;
use crate::view::IMAGE_OWNER_LABEL;

/// The way in which a call gives the name of an image to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::guard) enum Overwriting {
    /// A build, a commit, an import or a tag gives the name to an image of the client's choice.
    Name,
    /// A pull gives the name to the image that the registry has.
    Pull,
    /// A task of a service has the node pull its image.
    Task,
}

impl Judge<'_> {
    /// Judges a call that brings in images.
    pub(super) fn judge_images(&mut self, call: &Call, id: EndpointId) {
        self.look_up_overwritten(call, id);
        let loads = matches!(
            id,
            EndpointId::ImageLoad | EndpointId::LibpodImageLoad | EndpointId::LibpodImageImport
        );
        if loads && self.owns() {
            self.refuse(
                "the archive may replace images of other clients, and its names are not known; \
                build the image or pull it"
                    .to_owned(),
                None,
            );
        } else if self.sees_some(ObjectKind::Image) {
            self.judge_image_source(call, id);
        }
    }

    /// Adds as subjects the images whose names the call gives to other images.
    pub(super) fn look_up_overwritten(&mut self, call: &Call, id: EndpointId) {
        use EndpointId::*;
        let pairs = call.parameters().unwrap_or_default();
        let all = |wanted: &str| {
            let values = pairs
                .iter()
                .filter(|(name, _)| fold(name) == wanted)
                .map(|(_, value)| value.clone());
            values.filter(|value| !value.is_empty()).collect::<Vec<_>>()
        };
        let (parameter, mut names) = match id {
            ImageTag | LibpodImageTag | ContainerCommit | ImageCreate => ("repo", all("repo")),
            BuildStart => ("t", all("t")),
            LibpodImagePull => return self.look_up_pulled(call, id),
            _ => return,
        };
        if id != BuildStart
            && let [tag] = all("tag").as_slice()
        {
            names = names
                .into_iter()
                .map(|name| format!("{name}:{tag}"))
                .collect();
        }
        for word in names {
            self.within(Step::Parameter(parameter), |judge| {
                judge.look_up_name(word, Overwriting::Name);
            });
        }
        if id == ImageCreate {
            self.look_up_pulled(call, id);
        }
    }

    /// Adds the image as a subject whose name a pull may give to another one. A pull by digest gives
    /// no name.
    fn look_up_pulled(&mut self, call: &Call, id: EndpointId) {
        let (parameter, name) = pulled_name(call, id);
        let Some(name) = name.filter(|name| self.owns() && !name.is_empty()) else {
            return;
        };
        let name = name.strip_prefix("docker://").unwrap_or(&name).to_owned();
        let is_docker = id == EndpointId::ImageCreate;
        let pulls_all = (is_docker && !reference::has_tag(&name)) || call.turns_on("alltags");
        self.within(Step::Parameter(parameter), |judge| {
            if pulls_all {
                let what = "names no tag, by which the engine would pull all tags, also those that \
                    are images of other clients; name one";
                judge.refuse(what.to_owned(), None);
            }
            if name.contains('@') {
                return;
            }
            // Podman finds an image of its own by a short name, and pulls that of a registry.
            let full = reference::normalised(&name);
            if !is_docker && full != name {
                judge.look_up_name(full, Overwriting::Pull);
            }
            judge.look_up_name(name, Overwriting::Pull);
        });
    }

    /// Adds the image as a subject whose name the call gives to another one.
    pub(in crate::guard) fn look_up_name(&mut self, word: String, how: Overwriting) {
        self.judge_new_image_name(&word);
        self.gives_name(ObjectKind::Image, &word);
        if self.owns() || self.sees_some(ObjectKind::Image) {
            let place = self.place().to_vec();
            self.add_subject(Subject {
                kind: ObjectKind::Image,
                word,
                role: Role::Overwritten(how),
                place,
                slot: Slot::Nowhere,
            });
        }
    }

    /// Judges an image whose name the call gives to another one.
    pub(in crate::guard) fn overwrites(
        &mut self,
        subject: &Subject,
        image: &Object,
        how: Overwriting,
    ) {
        let Some(viewer) = self.surroundings.viewer else {
            return;
        };
        let may = match viewer.owner {
            Some(_) if how == Overwriting::Task && image.label(IMAGE_OWNER_LABEL).is_empty() => {
                true
            }
            // A pulled image has no mark, and every client may pull it again. One that was built
            // and never pulled or pushed has no digest of its repository, unless the engine gives
            // digests to all of its images.
            Some(_) if how == Overwriting::Pull && image.label(IMAGE_OWNER_LABEL).is_empty() => {
                is_of_registry(&subject.word, image)
            }
            Some(_) => viewer.owns_image(image),
            None => viewer.shows_image(&subject.word, image, true),
        };
        if !may {
            let name = shortened(&subject.word);
            self.refuse(
                format!("the name {name} is taken by an image that this client cannot replace"),
                None,
            );
        }
    }

    /// Judges a call that brings in images, for a client that sees only some images: it may pull
    /// those that it will see.
    fn judge_image_source(&mut self, call: &Call, id: EndpointId) {
        let (parameter, name) = pulled_name(call, id);
        let mut has_registry = true;
        // A guard that names images has judged the name already.
        if !(self.is_guarded() && self.guard.binds_images()) {
            let name = name.as_deref().unwrap_or_default();
            self.within(Step::Parameter(parameter), |judge| {
                has_registry = judge.has_registry(name);
            });
        }
        if !has_registry {
            return;
        }
        let is_visible = name
            .filter(|name| !name.is_empty())
            .is_some_and(|name| self.shows_image_name(&name));
        if !is_visible {
            self.refuse(
                "this profile sees some images, and this call may bring in others; pull an image \
                that the profile sees by its name"
                    .to_owned(),
                None,
            );
        }
    }

    /// Returns whether the client will see an image of this name once it is pulled.
    pub(in crate::guard) fn shows_image_name(&self, name: &str) -> bool {
        let image = Object::image_of_name(name);
        let viewer = self.surroundings.viewer;
        viewer.is_some_and(|viewer| viewer.shows(ObjectKind::Image, &image))
    }
}

/// Returns whether an image is known by a digest of the repository of a name.
fn is_of_registry(name: &str, image: &Object) -> bool {
    let repository = |name: &str| reference::named(reference::without_version(name));
    let wanted = repository(name);
    let mut digests = image
        .image_names()
        .iter()
        .filter(|known| known.contains('@'));
    digests.any(|known| repository(known) == wanted)
}

/// Returns the name of the image that a call pulls, and the parameter with it.
fn pulled_name(call: &Call, id: EndpointId) -> (&'static str, Option<String>) {
    let (parameter, reference) = match id {
        EndpointId::LibpodImagePull => ("reference", call.only_parameter("reference")),
        EndpointId::ImageCreate => {
            // The engine takes the parameter in this spelling alone.
            let exact = || {
                let mut pairs = call.parameters()?.into_iter();
                pairs.find_map(|(name, value)| (name == "fromImage").then_some(value))
            };
            let reference = call.only_parameter("fromimage").or_else(exact);
            ("fromImage", reference)
        }
        _ => ("fromImage", None),
    };
    let tag = call.only_parameter("tag").filter(|tag| !tag.is_empty());
    let name = match (reference, tag) {
        (Some(name), Some(tag)) => Some(reference::joined(&name, &tag)),
        (name, None) => name,
        (None, Some(_)) => None,
    };
    (parameter, name)
}
