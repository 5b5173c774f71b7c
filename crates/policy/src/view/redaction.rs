//! Redaction: replaces the values of some classes in an answer of the engine.
//!
//! The tables in [`shape`] describe where an answer holds a value of a class, [`replace`] writes
//! the value that takes its place, and [`answer`] gives each endpoint its table. An answer keeps
//! its shape: keys, types and the number of elements stay, so that clients can still parse it.

mod answer;
mod class;
mod event;
mod label;
mod processes;
mod registry;
mod replace;
mod shape;

use std::fmt;

use crate::endpoint::EndpointId;
use crate::guard::Json;
use crate::text::pattern::Pattern;

use class::{Class, Classes};
use shape::ValueShape;

/// The classes of values that clients of a profile do not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    classes: Classes,
    /// The keys of further labels whose values are replaced.
    labels: Vec<Pattern>,
}

impl Redaction {
    /// The values of `redact` with their meaning, in the order in which the documentation lists
    /// them.
    pub const VALUES: &'static [(&'static str, &'static str)] = class::VALUES;

    /// Reads the values of one `redact`. `None` stands for "nothing" in so many words: `none`.
    ///
    /// # Errors
    /// Returns the values that cannot be read, each with a sentence about the expected values.
    pub fn read<'t>(
        values: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, Vec<(&'t str, String)>> {
        let (mut redaction, mut wrong) = (Self::default(), Vec::new());
        let mut none = None;
        for value in values {
            if value == "none" {
                none = Some(value);
            } else if let Some(pattern) = value.strip_prefix("labels=").filter(|p| !p.is_empty()) {
                redaction.labels.push(Pattern::new(pattern));
            } else if let Some(classes) = Classes::named(value) {
                redaction.classes = redaction.classes.and(classes);
            } else {
                wrong.push((value, class::expected(value)));
            }
        }
        if let Some(none) = none.filter(|_| !redaction.is_empty()) {
            let expected = "expected none alone: other values ask for a redaction".to_owned();
            wrong.push((none, expected));
        }
        if wrong.is_empty() {
            Ok(redaction)
        } else {
            Err(wrong)
        }
    }

    /// Returns the values of `redact` that make this redaction.
    pub fn values(&self) -> impl Iterator<Item = String> {
        let patterns = self.labels.iter().map(|p| format!("labels={}", p.as_str()));
        self.classes.names().map(str::to_owned).chain(patterns)
    }

    /// Returns the redaction of the values that both replace.
    #[must_use]
    pub fn in_common(&self, other: &Self) -> Self {
        let is_common = |pattern: &&Pattern| other.labels.contains(pattern);
        Self {
            classes: self.classes.in_common(other.classes),
            labels: self.labels.iter().filter(is_common).cloned().collect(),
        }
    }

    /// Returns whether nothing is replaced in any answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty() && self.labels.is_empty()
    }

    /// Returns whether answers of this endpoint can have values that the redaction replaces.
    #[must_use]
    pub fn concerns(&self, endpoint: EndpointId) -> bool {
        !self.is_empty() && answer::part(endpoint).is_some()
    }

    /// Returns the reason why the endpoint is closed under this redaction: its answer holds a value
    /// of a class in a form that cannot be rewritten, such as a unit file or an archive.
    #[must_use]
    pub fn closes(&self, endpoint: EndpointId) -> Option<&'static str> {
        let (classes, reason) = answer::unreadable(endpoint)?;
        self.asks_for(classes).then_some(reason)
    }

    /// Returns the reason why this parameter of the endpoint's query is refused under this
    /// redaction: it moves a value of a class to a place where it cannot be recognised.
    #[must_use]
    pub fn closes_parameter(&self, endpoint: EndpointId, parameter: &str) -> Option<&'static str> {
        let (classes, reason) = answer::moving_parameter(endpoint, parameter)?;
        self.asks_for(classes).then_some(reason)
    }

    /// Replaces the values of the redacted classes in one value of an answer.
    ///
    /// `section` is the place of the value in the answer: empty for the whole answer, an element of
    /// a list, or a line of a stream; otherwise the keys that lead to it, with dots between them.
    pub fn apply(&self, endpoint: EndpointId, section: &str, value: &mut Json<'_>) {
        if self.is_empty() {
            return;
        }
        let Some(mut part) = answer::part(endpoint) else {
            return;
        };
        for key in section.split('.').filter(|key| !key.is_empty()) {
            part = part.member(key);
        }
        self.walk(part, value);
    }

    /// Returns whether one of these classes is redacted; labels by pattern count as labels.
    fn asks_for(&self, classes: Classes) -> bool {
        self.classes.meets(classes)
            || (!self.labels.is_empty() && classes.meets(Class::Labels.alone()))
    }

    /// Returns whether values of this class are replaced.
    fn has(&self, class: Class) -> bool {
        self.classes.meets(class.alone())
    }

    fn walk(&self, part: &ValueShape, value: &mut Json<'_>) {
        if let ValueShape::Replace(classes, form) = part
            && self.asks_for(*classes)
        {
            replace::replace(self, *form, value);
            return;
        }
        if let ValueShape::Labels = part {
            label::redact_labels(self, value);
            return;
        }
        match (value, part) {
            (Json::List(list), _) => {
                let element = part.element();
                for value in list {
                    self.walk(element, value);
                }
            }
            (value @ Json::Map(_), ValueShape::Whole(rewrite, _)) => rewrite(self, part, value),
            (Json::Map(map), _) => {
                for (key, value) in map {
                    self.walk(part.member(key), value);
                }
            }
            _ => {}
        }
    }
}

impl fmt::Display for Redaction {
    /// Writes the values of `redact` that make this redaction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let all: Vec<_> = self.values().collect();
        f.write_str(&all.join(", "))
    }
}
