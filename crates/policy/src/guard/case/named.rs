//! The object that a call names in its path or query, as a subject of the decision.

use super::super::Step;
use super::super::judge::Judge;
use super::super::subject::{Role, Slot, Subject};
use super::super::target::{self, Use};
use crate::endpoint::{Endpoint, EndpointId, ObjectKind};
use crate::request::call::Call;

impl Judge<'_> {
    /// Adds the object that the path names, or the query of a commit, as a subject if the decision
    /// depends on it.
    pub(super) fn add_target(&mut self, call: &Call, is_replaced: bool) {
        let Some(endpoint) = call.endpoint() else {
            return;
        };
        self.refuse_further_objects(call, endpoint, is_replaced);
        let how = Use::of_call(call);
        let (kind, word, slot) = match call.captured() {
            // A tag is one of several names of an image: removing it is not removing the image.
            Some(captured) if captured.kind == ObjectKind::Image => {
                (captured.kind, captured.word.to_owned(), Slot::Nowhere)
            }
            Some(captured) => (captured.kind, captured.word.to_owned(), Slot::Path),
            None if endpoint.id.is_commit() => match call.only_parameter("container") {
                Some(container) => (
                    ObjectKind::Container,
                    container,
                    Slot::Parameter {
                        name: "container".to_owned(),
                        before: String::new(),
                    },
                ),
                None => {
                    return self.malformed(
                        "names no container, or more than one, in its query".to_owned(),
                    );
                }
            },
            None => return,
        };
        let (role, place) = self
            .path_role
            .take()
            .unwrap_or_else(|| match (kind, endpoint.id) {
                (ObjectKind::Exec, EndpointId::ExecStart | EndpointId::LibpodExecStart) => {
                    (Role::Started, Vec::new())
                }
                (ObjectKind::Container, _) if is_replaced => (Role::Replaced, Vec::new()),
                _ => (Role::Target(how), Vec::new()),
            });
        if self.depends_on(kind, role) {
            self.add_subject(Subject {
                kind,
                word,
                role,
                place,
                slot,
            });
        }
    }

    /// Refuses a call that reaches objects other than the one that it names, as far as those cannot be
    /// judged.
    fn refuse_further_objects(&mut self, call: &Call, endpoint: &Endpoint, is_replaced: bool) {
        if !self.targets.is_empty() && target::is_bulk(endpoint.id) {
            self.refuse(
                "this call is about more objects than the targets of this profile can bound"
                    .to_owned(),
                None,
            );
        }
        self.refuse_forced_removal(call, endpoint);
        if self.is_guarded() {
            self.keep_proxy_image(call, endpoint.id);
        }
        self.judge_other_words(call, endpoint.id);
        let removes_dependents =
            endpoint.id == EndpointId::LibpodContainerRemove && call.turns_on("depend");
        if removes_dependents
            && (is_replaced || self.bounds_objects() || self.surroundings.proxy_id.is_some())
        {
            let what = "also removes containers that depend on this one, which are not judged; \
                remove those first";
            self.within(Step::Parameter("depend"), |judge| {
                judge.refuse(what.to_owned(), None)
            });
        }
    }

    /// Returns whether a decision depends on the description of an object.
    fn depends_on(&self, kind: ObjectKind, role: Role) -> bool {
        let is_bounded = self.sees_some(kind)
            || !self.targets.is_empty() && (kind.has_labels() || kind == ObjectKind::Exec)
            || self.changes_target && self.owns();
        let knows_proxy = self.surroundings.proxy_id.is_some();
        is_bounded
            || self.is_guarded()
                && match role {
                    Role::Target(Use::Enter | Use::Files) => kind == ObjectKind::Container,
                    Role::Target(Use::Rename) => {
                        let goes_by_name = self.has("target") || self.has("link");
                        knows_proxy
                            || goes_by_name
                            || self
                                .surroundings
                                .profiles
                                .is_some_and(crate::Profiles::by_container)
                    }
                    Role::Target(Use::Join) => {
                        self.surroundings.claims_networks() || self.allows_networks()
                    }
                    Role::Target(Use::Control) => {
                        knows_proxy
                            && !matches!(
                                kind,
                                ObjectKind::Network | ObjectKind::Image | ObjectKind::Exec
                            )
                    }
                    Role::Target(Use::Look) => false,
                    _ => true,
                }
    }
}
