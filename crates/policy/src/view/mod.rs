//! Views: the part of the engine that the clients of a profile see.
//!
//! Rules and guard decide about calls; a view decides about objects. Objects outside of the view do
//! not exist for its clients: lists leave them out, and calls that name one get the engine's own
//! answer for a missing object.

mod answer;
mod exposure;
mod identifier;
mod listed;
mod ownership;
mod redaction;
mod reference_filter;
mod scope;
mod splitter;

use crate::endpoint::ObjectKind;
use crate::guard::Guard;
use crate::object::{Detail, Object};
use crate::request::call::Call;
pub use answer::{AnswerFilter, Lookup, Unfilterable};
pub(crate) use exposure::{Exposure, exposure};
pub(crate) use ownership::{IMAGE_OWNER_LABEL, OWNER_LABEL, SESSION_LABEL};
pub use ownership::{Owner, Ownership, SessionSource};
pub use scope::{Scope, ScopeCondition};

pub use redaction::Redaction;

/// The part of the engine that the clients of a profile see, and the form in which they see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The objects that exist for the clients.
    pub scope: Scope,
    /// The ownership of the objects that the clients create; `None` if they own nothing.
    pub ownership: Option<Ownership>,
    /// The values that the clients do not see.
    pub redaction: Redaction,
}

impl View {
    /// Returns whether its clients do not see all objects, or own some.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        !self.scope.is_empty() || self.ownership.is_some()
    }

    /// Returns whether a call may be about objects that its client does not see.
    #[must_use]
    pub fn concerns(&self, call: &Call) -> bool {
        let is_about_objects = || {
            call.endpoint()
                .is_none_or(|endpoint| exposure(endpoint.id) != Exposure::Nothing)
        };
        (self.is_bounded() && is_about_objects()) || self.closed_parameter(call).is_some()
    }

    /// Returns the reason why a call goes beyond the view, whichever objects it is about.
    pub(crate) fn closes(&self, call: &Call, guard: &Guard) -> Option<&'static str> {
        let shares_builder = || guard.allow.iter().any(|one| one.is("shared-builder"));
        let by_scope = || match call.endpoint().map(|endpoint| exposure(endpoint.id)) {
            Some(Exposure::Closed(why)) => Some(why),
            Some(Exposure::ImageTree) if self.scope.bounds_images() => Some(TREE),
            Some(Exposure::Builder) if !shares_builder() => Some(BUILDER),
            Some(_) => None,
            None => Some(UNKNOWN),
        };
        let by_redaction = || self.redaction.closes(call.endpoint()?.id);
        self.is_bounded()
            .then(by_scope)
            .flatten()
            .or_else(by_redaction)
    }

    /// Returns a parameter of the query that moves a value to a place where it cannot be redacted,
    /// and the reason.
    pub(crate) fn closed_parameter(&self, call: &Call) -> Option<(&'static str, String)> {
        if self.redaction.is_empty() {
            return None;
        }
        let endpoint = call.endpoint()?.id;
        let names = call.parameters().unwrap_or_default().into_iter();
        names
            .map(|(name, _)| crate::guard::fold(&name).into_owned())
            .find_map(|name| {
                let why = self.redaction.closes_parameter(endpoint, &name)?;
                Some((why, name))
            })
    }

    /// Returns sentences for users about the objects that the clients see and own.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.scope.is_empty() {
            let entries: Vec<_> = self.scope.entries().collect();
            let images = match self.scope.bounds_images() {
                true => "",
                false => ", all images",
            };
            let entries = entries.join(", or ");
            sentences.push(format!(
                "sees objects with {entries}{images}, and the engine's own networks"
            ));
        }
        sentences.extend(self.ownership.as_ref().map(ToString::to_string));
        sentences
    }
}

/// The reason why the channels to BuildKit are closed.
const BUILDER: &str = "its builds and its cache are those of all clients, which guard-allow \
    shared-builder accepts";

/// The reason why the tree of an image is closed.
const TREE: &str = "its text has names of images that this profile may not see";

/// The reason why a path that the endpoint table does not have is closed.
const UNKNOWN: &str = "which objects it is about is not known";

/// A view as one client has it.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// The view of its profile.
    pub view: std::sync::Arc<View>,
    /// The owner of the objects that it creates; `None` if its profile owns nothing.
    pub owner: Option<Owner>,
}

impl Viewer {
    /// Returns whether some objects may not exist for the client.
    #[must_use]
    pub fn is_scoped(&self) -> bool {
        !self.view.scope.is_empty() || self.owner.is_some()
    }

    /// Returns whether answers about objects of this kind depend on the objects.
    pub(crate) fn bounds(&self, kind: ObjectKind) -> bool {
        self.is_scoped() && (kind != ObjectKind::Image || self.view.scope.bounds_images())
    }

    /// Returns whether an object exists for the client.
    #[must_use]
    pub fn shows(&self, kind: ObjectKind, object: &Object) -> bool {
        // Docker has no network of the name `podman` by itself, and Podman's has a fixed identifier.
        let is_predefined = || {
            crate::guard::is_predefined(&object.name)
                && (object.name != "podman" || object.alias().is_some())
        };
        !self.bounds(kind)
            || self.owns(object)
            || (kind == ObjectKind::Network && is_predefined())
            || self.view.scope.names(kind, object)
    }

    /// Returns whether a container in a list has an identifier in place of the name of its image,
    /// and the name decides: the name has gone to another image.
    #[must_use]
    pub fn needs_image_name(&self, container: &Object) -> bool {
        let image = container.traits().map_or("", |traits| &traits.image);
        let digits = image.strip_prefix("sha256:").unwrap_or(image);
        identifier::is_identifier(digits) && self.view.scope.tests_images()
    }

    /// Returns whether an image exists for the client under this word. By one of its names, an
    /// image is visible if that name is; by its identifier, if one of its names is. A change by the
    /// identifier concerns all names.
    pub(crate) fn shows_image(&self, word: &str, image: &Object, is_change: bool) -> bool {
        let names = image.image_names();
        let full = crate::guard::normalised(word);
        let is_name = names
            .iter()
            .any(|name| crate::guard::normalised(name) == full);
        if is_name {
            return self.shows_image_name(word, image);
        }
        if is_change && !names.is_empty() {
            return names.iter().all(|name| self.shows_image_name(name, image));
        }
        self.shows(ObjectKind::Image, image)
    }

    /// Returns whether one name of an image is visible.
    pub(crate) fn shows_image_name(&self, name: &str, image: &Object) -> bool {
        let alone = Object {
            labels: image.labels.clone(),
            ..Object::image_of_name(name)
        };
        self.shows(ObjectKind::Image, &alone)
    }

    /// Returns whether the client owns an image, which has a label of its own for that.
    pub(crate) fn owns_image(&self, image: &Object) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.has_stamped_image(image))
    }

    /// Returns whether the client owns an object.
    #[must_use]
    pub fn owns(&self, object: &Object) -> bool {
        if matches!(object.detail, Detail::Image { .. }) {
            return self.owns_image(object);
        }
        self.owner
            .as_ref()
            .is_some_and(|owner| owner.has_stamped(object))
    }

    /// Returns the labels, as `KEY=VALUE`, of the objects that a prune may remove: those that the
    /// client owns, or all that it sees. `None` if no labels select these alone.
    pub(crate) fn narrowing_labels(&self, kind: ObjectKind) -> Option<Vec<String>> {
        match &self.owner {
            Some(owner) if kind == ObjectKind::Image => Some(vec![owner.image_filter()]),
            Some(owner) => Some(owner.filters()),
            None => self.view.scope.only_label().map(|label| vec![label]),
        }
    }
}
