//! Targets: the objects that the calls of a profile may be about.

use std::fmt;

use crate::identity::client::{Condition, Selector};
use crate::object::Object;
use crate::text::pattern::Pattern;

/// A condition on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetCondition {
    /// Its name.
    Name(Pattern),
    /// A label, and the value of it.
    Label(String, Pattern),
    /// The image of a container, as it was named when the container was created; in its full form.
    Image(Pattern),
}

impl TargetCondition {
    /// Returns whether no container can meet both this condition and the condition of a client.
    fn excludes(&self, client: &Condition) -> bool {
        match (self, client) {
            (Self::Name(own), Condition::Name(other)) => !own.meets(other),
            (Self::Label(key, own), Condition::Label(other_key, other)) => {
                key == other_key && !own.meets(other)
            }
            _ => false,
        }
    }

    /// Builds a condition on the image of a container, with the full form of the pattern: `busybox`
    /// is `docker.io/library/busybox:latest`.
    #[must_use]
    pub fn image(pattern: &str) -> Self {
        Self::Image(crate::guard::image_pattern(pattern))
    }

    pub(crate) fn holds_for(&self, object: &Object) -> bool {
        match self {
            Self::Name(name) => {
                name.fits(&object.name)
                    || object.alias().is_some_and(|alias| name.fits(alias))
                    || object.image_names().iter().any(|known| name.fits(known))
            }
            Self::Label(key, value) => object
                .labels
                .iter()
                .any(|(known, own)| known == key && value.fits(own)),
            Self::Image(image) => {
                let fits = |name: &str| image.fits(&crate::guard::normalised(name));
                object.traits().is_some_and(|traits| fits(&traits.image))
                    || object.image_names().iter().any(|name| fits(name))
            }
        }
    }
}

/// The condition as a configuration holds it, such as `name=web-*`.
impl fmt::Display for TargetCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "name={}", name.as_str()),
            Self::Label(key, value) => write!(f, "label={key}={}", value.as_str()),
            Self::Image(image) => write!(f, "image={}", image.as_str()),
        }
    }
}

/// The objects that the calls of a profile may be about: one entry is enough, and all conditions of
/// it must hold. Without entries, the calls may be about any object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets(Vec<Vec<TargetCondition>>);

impl Targets {
    /// Builds targets of these entries.
    #[must_use]
    pub fn new(entries: Vec<Vec<TargetCondition>>) -> Self {
        Self(entries)
    }

    /// Returns whether any object may be a target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns each entry as a configuration holds it, such as `name=web-* label=tier=low`.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let entry = |conditions: &Vec<TargetCondition>| {
            conditions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.0.iter().map(entry)
    }

    /// Returns whether a call may be about the container of a client that this selector matches,
    /// as far as the conditions of both tell.
    #[must_use]
    pub fn may_include_client(&self, client: &Selector) -> bool {
        let may_meet = |entry: &Vec<TargetCondition>| {
            let conditions = client.conditions();
            !entry
                .iter()
                .any(|own| conditions.iter().any(|other| own.excludes(other)))
        };
        self.is_empty() || self.0.iter().any(may_meet)
    }

    /// Returns whether a call may be about this object.
    #[must_use]
    pub fn include(&self, object: &Object) -> bool {
        let fits = |entry: &Vec<TargetCondition>| {
            entry.iter().all(|condition| condition.holds_for(object))
        };
        self.is_empty() || self.0.iter().any(fits)
    }
}
