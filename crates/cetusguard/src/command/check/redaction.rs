//! The warning about profiles whose clients can write redacted values back.

use cetusguard_policy::endpoint::EndpointId;
use cetusguard_policy::{Profile, Survey};

use super::problem::{Problem, Severity};

/// The calls that show an object, and the call that creates or replaces one of its kind.
const COPIES: &[(EndpointId, EndpointId)] = &[
    (EndpointId::ContainerInspect, EndpointId::ContainerCreate),
    (
        EndpointId::LibpodContainerInspect,
        EndpointId::LibpodContainerCreate,
    ),
    (EndpointId::ServiceInspect, EndpointId::ServiceUpdate),
];

/// Warns if clients of a profile see redacted objects that they can replace by copies.
pub(super) fn problem(profile: &Profile, survey: &Survey) -> Option<Problem> {
    if profile.view.redaction.is_empty() {
        return None;
    }
    let is_open = |id| survey.open.iter().any(|open| open.endpoint.id == id);
    let (shown, written) = COPIES
        .iter()
        .find(|(shown, written)| is_open(*shown) && is_open(*written))?;
    Some(Problem {
        severity: Severity::Warning,
        code: "redacted-copies",
        profile: Some(profile.name.clone()),
        what: format!(
            "clients get redacted values from {} and can write them back with {}: a copy would \
            have the word redacted for its passwords",
            shown.name(),
            written.name()
        ),
        fix: "for a client that copies what it inspects, such as an updater, set redact: none"
            .to_owned(),
    })
}
