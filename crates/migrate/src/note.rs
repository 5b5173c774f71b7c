//! Notes on the differences between the two proxies, each with advice.

use cetusguard_policy::endpoint::{Endpoint, EndpointId};
use serde::{Serialize, Serializer};

/// The kinds of differences, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NoteKind {
    /// A restriction of the other proxy that the result does not have.
    Lost,
    /// A setting that clients need and that could not be carried over.
    Missing,
    /// A call that was allowed is refused or judged now.
    Stricter,
    /// A setting that works in another way.
    Different,
    /// An assumption, or advice that changes nothing by itself.
    Hint,
}

impl NoteKind {
    /// Returns the word that stands before a note of this kind.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Missing => "missing",
            Self::Stricter => "stricter",
            Self::Different => "different",
            Self::Hint => "hint",
        }
    }
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    pub(super) kind: NoteKind,
    pub(super) what: String,
    /// The endpoints that the note is about; JSON has their names.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "names")]
    pub(super) endpoints: Vec<EndpointId>,
}

impl Note {
    /// Makes a note about settings.
    pub(super) fn new(kind: NoteKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            endpoints: Vec::new(),
        }
    }

    /// Returns whether the result cannot be used before the reader has decided about the note.
    pub(super) fn needs_decision(&self) -> bool {
        self.kind <= NoteKind::Missing
    }

    /// Returns the sentence followed by the endpoints that it is about.
    pub(super) fn text(&self) -> String {
        let shown = self.endpoints.iter().map(|id| {
            let endpoint = Endpoint::of(*id);
            format!("{} {}", endpoint.method, endpoint.shape.replace("*}", "}"))
        });
        let shown: Vec<_> = shown.collect();
        if shown.is_empty() {
            self.what.clone()
        } else {
            format!("{}: {}", self.what, shown.join(", "))
        }
    }
}

fn names<S: Serializer>(endpoints: &[EndpointId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(endpoints.iter().map(|id| id.name()))
}
