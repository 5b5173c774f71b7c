//! Containers as a list shows them, for the views of clients.
//!
//! Docker inspects a container under the container's lock, which a client holds for as long as it
//! likes by reading an archive of the container slowly. It lists containers without that lock, and
//! a list has the name, the labels and the image, which is all that a view depends on.

use std::collections::HashMap;
use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::{Detail, Object, Traits, Viewer};
use serde::Deserialize;

use super::arriving::{Elements, fetch_json};
use super::list::own_name;
use super::owned::escape_filters;
use super::{AGENT, DEADLINE, EngineError};
use crate::engine::backend::Backend;

/// The most containers of one list: the identifiers stand in its target.
pub(super) const MOST: usize = 64;

/// The length of a full identifier.
const FULL_ID: usize = 64;

/// The knowledge that a list gives about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListedVisibility {
    /// `true` if the client sees the container.
    Seen(bool),
    /// The client may see the container by the name of its image, which the list does not have.
    Unclear,
    /// The engine has no such container.
    Missing,
}

/// The fields of a container that are read (moby `api/types/container.Summary`; Podman's answer has
/// the same fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    id: String,
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    labels: Option<HashMap<String, String>>,
}

/// The reader of a list, which judges each container as it arrives: a client may write megabytes of
/// labels.
struct Judged {
    viewer: Arc<Viewer>,
    found: HashMap<String, ListedVisibility>,
}

impl Judged {
    fn add(&mut self, row: Row) {
        // An engine may ignore a filter that it does not know.
        if let Some(found) = self.found.get_mut(&row.id) {
            let container = Object {
                id: row.id,
                name: own_name(row.names.unwrap_or_default()),
                labels: row.labels.unwrap_or_default().into_iter().collect(),
                detail: Detail::Container(Box::new(Traits {
                    image: row.image,
                    ..Traits::default()
                })),
            };
            *found = if self.viewer.needs_image_name(&container) {
                ListedVisibility::Unclear
            } else {
                ListedVisibility::Seen(self.viewer.shows(ObjectKind::Container, &container))
            };
        }
    }
}

/// Returns whether a list finds the container of this word: by its full identifier alone.
pub(crate) fn is_listed_by(word: &str) -> bool {
    word.len() == FULL_ID && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the target of the list of these containers.
pub(super) fn listing_target(ids: &[&str]) -> String {
    let filters = serde_json::json!({ "id": ids }).to_string();
    format!(
        "/containers/json?all=true&filters={}",
        escape_filters(&filters)
    )
}

/// Lists these containers, and judges each by the view of a client.
pub(super) async fn judge_listed(
    ids: &[&str],
    viewer: &Arc<Viewer>,
    backend: &Backend,
) -> Result<HashMap<String, ListedVisibility>, EngineError> {
    let target = listing_target(ids);
    let missing = |id: &&str| ((*id).to_owned(), ListedVisibility::Missing);
    let judged = Elements {
        member: None,
        sum: Judged {
            viewer: Arc::clone(viewer),
            found: ids.iter().map(missing).collect(),
        },
        add: Judged::add,
    };
    let judged = fetch_json(AGENT, backend, &target, DEADLINE, judged).await?;
    let judged = judged.ok_or(EngineError::Status(404, target))?;
    Ok(judged.found)
}
