//! The warning about profiles whose clients delete containers that the guard may not let them
//! create again.

use cetusguard_policy::endpoint::EndpointId;
use cetusguard_policy::guard::GuardLevel;
use cetusguard_policy::{Care, Profile, Survey};

use super::problem::{Problem, Severity};

/// Warns if clients can delete and create containers under a guard, and no setting decides about
/// the containers that the guard would not let them create again.
pub(super) fn problem(profile: &Profile, survey: &Survey) -> Option<Problem> {
    let is_open = |ids: [EndpointId; 2], care: Care| {
        survey
            .open
            .iter()
            .any(|open| ids.contains(&open.endpoint.id) && open.care == care)
    };
    let deletes = is_open(
        [
            EndpointId::ContainerRemove,
            EndpointId::LibpodContainerRemove,
        ],
        Care::Nothing,
    );
    let creates = is_open(
        [
            EndpointId::ContainerCreate,
            EndpointId::LibpodContainerCreate,
        ],
        Care::Judged,
    );
    let is_decided = profile.recreation.is_some() || profile.guard.level == GuardLevel::Privileged;
    (deletes && creates && !is_decided).then(|| Problem {
        severity: Severity::Warning,
        code: "unprotected-recreation",
        profile: Some(profile.name.clone()),
        what: "containers can be deleted and created, and the guard may refuse to create one \
            again: a client that replaces a container would lose it"
            .to_owned(),
        fix:
            "set guard-recreation to copied for a client that copies what it inspects, to updater \
            for one that also stops them, such as Watchtower, to declared for one with a file of \
            its own, such as Ansible, or to off; cetusguard doctor lists the containers in question"
                .to_owned(),
    })
}
