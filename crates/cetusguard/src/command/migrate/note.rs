//! What a reader of the result has to know: each difference, and what to do about it.

use cetusguard_policy::endpoint::{Endpoint, EndpointId};
use serde::{Serialize, Serializer};

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A call that was allowed is refused or judged now.
    Stricter,
    /// Something that cannot be carried over, or that could not be read.
    Missing,
    /// Something that works in another way, or was not clear.
    Different,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Note {
    pub(super) kind: Kind,
    pub(super) what: String,
    /// The endpoints that it is about; programs get their names in log and documentation.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "names")]
    pub(super) endpoints: Vec<EndpointId>,
}

impl Note {
    /// A note about settings.
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            endpoints: Vec::new(),
        }
    }

    /// Returns the note with the endpoints that it is about.
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
