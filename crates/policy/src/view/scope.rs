//! Scopes: the objects that exist for the clients of a profile.

use std::fmt;

use crate::endpoint::ObjectKind;
use crate::identity::target::TargetCondition;
use crate::object::Object;

/// A condition on a visible object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCondition {
    test: Test,
    /// `true` if the object must fail the test.
    is_negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Kind(ObjectKind),
    Object(TargetCondition),
}

impl ScopeCondition {
    /// Builds a condition on the kind of an object.
    #[must_use]
    pub fn kind(kind: ObjectKind, is_negated: bool) -> Self {
        Self {
            test: Test::Kind(kind),
            is_negated,
        }
    }

    /// Builds a condition on the name, a label or the image of an object.
    #[must_use]
    pub fn object(condition: TargetCondition, is_negated: bool) -> Self {
        Self {
            test: Test::Object(condition),
            is_negated,
        }
    }

    fn holds_for(&self, kind: ObjectKind, object: &Object) -> bool {
        let passes = match &self.test {
            Test::Kind(own) => *own == kind,
            Test::Object(condition) => condition.holds_for(object),
        };
        passes != self.is_negated
    }

    /// Returns whether the condition selects objects of one kind.
    fn is_kind(&self, kind: ObjectKind) -> bool {
        !self.is_negated && self.test == Test::Kind(kind)
    }
}

/// The condition as a configuration holds it, such as `!name=db-*`.
impl fmt::Display for ScopeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negated {
            f.write_str("!")?;
        }
        match &self.test {
            Test::Kind(kind) => write!(f, "kind={}", kind.name()),
            Test::Object(condition) => condition.fmt(f),
        }
    }
}

/// The objects that exist for the clients of a profile: one entry is enough, and all conditions of
/// it must hold. Without entries, all objects exist.
///
/// Images are shared by containers of all owners, and a pulled image cannot be given a label. They
/// are bounded by entries with `kind=image` alone; without such an entry, all of them exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<Vec<ScopeCondition>>);

impl Scope {
    /// Builds a scope of these entries.
    #[must_use]
    pub fn new(entries: Vec<Vec<ScopeCondition>>) -> Self {
        Self(entries)
    }

    /// Returns whether every object exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether an entry names the images that exist.
    #[must_use]
    pub fn bounds_images(&self) -> bool {
        self.0.iter().any(|entry| is_about_images(entry))
    }

    /// Returns whether a condition tests the image of a container.
    pub(super) fn tests_images(&self) -> bool {
        let tests = |condition: &ScopeCondition| {
            matches!(&condition.test, Test::Object(TargetCondition::Image(_)))
        };
        self.0.iter().flatten().any(tests)
    }

    /// Returns each entry as a configuration holds it, such as `kind=volume name=web-*`.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|entry| {
            let conditions: Vec<_> = entry.iter().map(ToString::to_string).collect();
            conditions.join(" ")
        })
    }

    /// Returns whether an entry names the object.
    pub(super) fn names(&self, kind: ObjectKind, object: &Object) -> bool {
        self.0.iter().any(|entry| {
            (kind != ObjectKind::Image || is_about_images(entry))
                && entry
                    .iter()
                    .all(|condition| condition.holds_for(kind, object))
        })
    }

    /// Returns the label, as `KEY=VALUE`, if the scope is one entry with this label alone.
    pub(super) fn only_label(&self) -> Option<String> {
        let [entry] = self.0.as_slice() else {
            return None;
        };
        match entry.as_slice() {
            [
                ScopeCondition {
                    test: Test::Object(TargetCondition::Label(key, value)),
                    is_negated: false,
                },
            ] if !value.as_str().contains('*') && !key.contains('=') => {
                Some(format!("{key}={}", value.as_str()))
            }
            _ => None,
        }
    }
}

fn is_about_images(entry: &[ScopeCondition]) -> bool {
    entry
        .iter()
        .any(|condition| condition.is_kind(ObjectKind::Image))
}
