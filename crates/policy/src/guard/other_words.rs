//! Calls that only look, and yet reach further than the object of their path: another object that
//! their query names, or a registry to which the engine connects.

use super::judge::{Judge, Step};
use super::{Guard, GuardLevel, image};
use crate::endpoint::EndpointId;
use crate::request::call::Call;

/// The parameter by which Podman compares a container or an image with another one, whose files it
/// then lists (Podman `pkg/api/handlers/compat/changes.go`).
const PARENT: &str = "parent";

/// Returns whether a call compares two objects.
fn compares(call: &Call) -> bool {
    use EndpointId::*;
    let id = call.endpoint().map(|endpoint| endpoint.id);
    let has_changes = matches!(
        id,
        Some(ContainerChanges | LibpodContainerChanges | LibpodImageChanges)
    );
    has_changes && call.may_ask_for(PARENT)
}

/// The parameter by which Podman looks for an image alone. Without it, a container of that name
/// comes first (Podman `libpod/diff.go`).
const KIND: &str = "diffType";

/// Returns whether a call asks for the files of an image.
fn asks_for_image_changes(call: &Call) -> bool {
    call.endpoint()
        .is_some_and(|endpoint| endpoint.id == EndpointId::LibpodImageChanges)
}

/// Returns whether the engine connects to a registry that a call names, for a call that pulls and
/// pushes nothing.
fn asks_registry(id: EndpointId) -> bool {
    use EndpointId::*;
    matches!(
        id,
        ImageSearch
            | LibpodImageSearch
            | DistributionInspect
            | LibpodManifestInspect
            | PluginPrivileges
    )
}

impl Guard {
    /// Returns whether a call that only looks has to be judged.
    pub(crate) fn judges_look(&self, call: &Call) -> bool {
        let asks = call
            .endpoint()
            .is_some_and(|endpoint| asks_registry(endpoint.id));
        self.level != GuardLevel::Privileged
            && (compares(call) || asks_for_image_changes(call) || asks && self.needs_image_names())
    }
}

/// Returns the image in a path of a call that asks a registry about it.
fn asked_image(path: &str) -> &str {
    let behind = ["/distribution/", "/libpod/manifests/"]
        .into_iter()
        .find_map(|start| path.strip_prefix(start));
    let image = behind.unwrap_or(path);
    image.strip_suffix("/json").unwrap_or(image)
}

impl Judge<'_> {
    /// Has Podman look for an image where the path names one: a container of the same name would be
    /// another object than the one that is judged.
    pub(super) fn ask_for_image_alone(&self, call: Call) -> Call {
        if !asks_for_image_changes(&call) {
            return call;
        }
        let mut pairs = call.parameters().unwrap_or_default();
        pairs.retain(|(name, _)| !super::fold(name).eq_ignore_ascii_case(KIND));
        pairs.push((KIND.to_owned(), "image".to_owned()));
        call.with_parameters(&pairs)
    }

    /// Judges the words of a call that only looks, other than the object of its path.
    pub(super) fn judge_other_words(&mut self, call: &Call, id: EndpointId) {
        if compares(call) && (self.is_guarded() || self.bounds_objects()) {
            self.within(Step::Parameter(PARENT), |judge| {
                let what = "lists the files of another object, which is not judged; leave it out";
                judge.refuse(what.to_owned(), None);
            });
        }
        if !(self.is_guarded() && asks_registry(id) && self.guard.needs_image_names()) {
            return;
        }
        match id {
            EndpointId::ImageSearch | EndpointId::LibpodImageSearch => self.judge_search(call),
            EndpointId::PluginPrivileges => self.judge_plugin(call),
            _ => self.within(Step::Field(image::IN_PATH), |judge| {
                image::asked_for(judge, asked_image(call.unversioned_path()))
            }),
        }
    }

    /// Judges the registry of a plugin, which the engine asks for the rights that it wants.
    fn judge_plugin(&mut self, call: &Call) {
        const REMOTE: &str = "remote";
        let pairs = call.parameters().unwrap_or_default();
        for (_, plugin) in pairs.iter().filter(|(name, _)| super::fold(name) == REMOTE) {
            self.within(Step::Parameter(REMOTE), |judge| {
                image::asked_for(judge, plugin)
            });
        }
    }

    /// Judges the word of a search: what stands before its first slash is the registry.
    fn judge_search(&mut self, call: &Call) {
        const TERM: &str = "term";
        let pairs = call.parameters().unwrap_or_default();
        let terms = pairs
            .iter()
            .filter(|(name, _)| super::fold(name) == TERM)
            .map(|(_, value)| value.as_str());
        for term in terms {
            let has_registry = term.contains('/');
            self.within(Step::Parameter(TERM), |judge| match has_registry {
                true => image::server(judge, &super::reference::registry(term)),
                false => image::server(judge, ""),
            });
        }
    }
}
