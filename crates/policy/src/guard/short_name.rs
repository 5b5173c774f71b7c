//! Names of images without a registry: Docker reads them as names of Docker Hub, and so does the
//! policy, while Podman may take another image.
//!
//! In its own API, Podman completes such a name by its aliases, by `localhost/`, and by the
//! registries that it searches (`registries.conf`). In Docker's API it asks Docker Hub, but takes an
//! image that it has for it first, of any registry (`NormalizeToDockerHub`), and `containers.conf`
//! can turn that off (`compat_api_enforce_docker_hub`).

use super::case::{Case, Content};
use super::engine::Engine;
use super::json::Json;
use super::judge::{Judge, TakenStep};
use super::reading::at_mut;
use super::subject::{Role, Slot, Subject};
use super::{image, reference};
use crate::endpoint::ObjectKind;
use crate::object::Object;

impl Judge<'_> {
    /// Returns whether it is certain which registry a name means, and notes what is wrong otherwise.
    /// In Podman's own API, a name without a registry is refused; in Docker's, Podman gets the name
    /// that was judged.
    pub(super) fn has_registry(&mut self, name: &str) -> bool {
        if name.is_empty() || !reference::is_short(name) {
            return true;
        }
        if self.is_libpod {
            let what = format!(
                "has no registry: Podman would complete it by its own settings (registries.conf), \
                and this profile decides by the whole name; write the registry, as in {}",
                super::shortened(&reference::named(name))
            );
            self.refuse(what, None);
            return false;
        }
        let place = self.place().to_vec();
        self.short_images.push((place, name.to_owned()));
        true
    }
}

impl Judge<'_> {
    /// Has an image looked up that is named by a digest: Podman finds an image of any name by the
    /// digest alone (`libimage` `lookupImageInDigestsAndRepoTags`).
    pub(super) fn look_up_digest(&mut self, name: &str) {
        if name.contains('@') && self.guard.needs_image_names() {
            let (word, place) = (name.to_owned(), self.place().to_vec());
            self.add_subject(Subject {
                kind: ObjectKind::Image,
                word,
                role: Role::Digest,
                place,
                slot: Slot::Nowhere,
            });
        }
    }

    /// Judges whether an image that was found by its digest has the name that was judged.
    pub(super) fn has_judged_name(&mut self, subject: &Subject, image: &Object) {
        let repository = |name: &str| {
            let full = reference::named(name);
            reference::without_version(&full).to_owned()
        };
        let judged = repository(&subject.word);
        let mut names = image.image_names().iter();
        if !names.any(|name| repository(name) == judged) {
            let what = "is the digest of an image that the engine has under other names alone; \
                write one of those, or pull it by this name first";
            self.refuse(what.to_owned(), None);
        }
    }
}

impl Case<'_> {
    /// Writes the registry that was judged before every name without one, if the engine is Podman.
    pub(super) fn complete_images(&mut self, engine: &Engine) {
        for (place, name) in std::mem::take(&mut self.judge.short_images) {
            if engine.is_podman {
                self.complete_image(&place, &name);
            }
        }
    }

    fn complete_image(&mut self, place: &[TakenStep], name: &str) {
        let full = reference::named(name);
        // The image is looked up by the name that is sent.
        for subject in &mut self.judge.subjects {
            if subject.kind == ObjectKind::Image && subject.word == name {
                subject.word.clone_from(&full);
            }
        }
        match place {
            [TakenStep::Parameter(parameter)] => self.complete_parameter(parameter),
            [TakenStep::Field(image::IN_PATH)] => self.call = self.call.with_named_object(&full),
            _ => {
                if let Content::Json(json) = &mut self.content
                    && let Some(text) = at_mut(json, place)
                {
                    *text = Json::Text(full.into());
                }
            }
        }
    }

    /// Completes the name in a parameter. Its tag may stand in a parameter of its own.
    fn complete_parameter(&mut self, parameter: &str) {
        let pairs = self.call.parameters().unwrap_or_default();
        if let Some((_, own)) = pairs.iter().find(|(known, _)| known == parameter) {
            self.call = self.call.with_parameter(parameter, &reference::named(own));
        }
    }
}
