//! The warning about profiles whose clients replace containers, where the guard refuses to create
//! the containers of other profiles.

use std::sync::Arc;

use cetusguard_policy::endpoint::EndpointId;
use cetusguard_policy::guard::Recreation;
use cetusguard_policy::{Care, FactKind, Profile, Profiles, Survey};

use super::problem::{Problem, Severity};

/// Warns if clients of a profile can replace containers, and the guard would refuse to create the
/// container of another profile's client for want of an exception.
pub(super) fn problem(
    profile: &Arc<Profile>,
    survey: &Survey,
    profiles: &Profiles,
) -> Option<Problem> {
    if !replaces_containers(profile, survey) {
        return None;
    }
    let refused: Vec<&str> = profiles
        .all()
        .filter(|other| !Arc::ptr_eq(other, profile))
        .filter(|other| has_refused_containers(profile, other, profiles))
        .map(|other| other.name.as_str())
        .collect();
    if refused.is_empty() {
        return None;
    }
    let (whose, exceptions) = describe(&refused);
    Some(Problem {
        severity: Severity::Warning,
        code: "other-clients",
        profile: Some(profile.name.clone()),
        what: format!(
            "clients can replace containers, and the guard refuses to create the containers of \
            {whose}: those would have the rights of another profile"
        ),
        fix: format!(
            "for a client that replaces them, such as an updater, add {exceptions}; otherwise set \
            targets that leave them out"
        ),
    })
}

/// Profiles that are named in one warning. Each of hundreds of profiles may have the warning.
const NAMED: usize = 8;

/// Names the profiles, and the exceptions for them.
fn describe(refused: &[&str]) -> (String, String) {
    match refused {
        [name] => (
            format!("the profile {name}"),
            format!("guard-allow profile={name}"),
        ),
        names if names.len() <= NAMED => {
            let exceptions = names
                .iter()
                .map(|name| format!("guard-allow profile={name}"));
            let exceptions: Vec<_> = exceptions.collect();
            (
                format!("the profiles {}", names.join(", ")),
                exceptions.join(", "),
            )
        }
        names => (
            format!("{} other profiles", names.len()),
            "guard-allow profile=NAME for each of them".to_owned(),
        ),
    }
}

/// Returns whether clients can delete containers and create them again under the guard. Clients
/// that are said to create nothing again delete their own containers, unless they can rename: then
/// they replace a container by a copy, as Portainer does.
fn replaces_containers(profile: &Profile, survey: &Survey) -> bool {
    let is_open = |ids: &[EndpointId], is_judged: bool| {
        survey.open.iter().any(|open| {
            ids.contains(&open.endpoint.id) && (!is_judged || open.care == Care::Judged)
        })
    };
    let deletes = is_open(
        &[
            EndpointId::ContainerRemove,
            EndpointId::LibpodContainerRemove,
        ],
        false,
    );
    let creates = is_open(
        &[
            EndpointId::ContainerCreate,
            EndpointId::LibpodContainerCreate,
        ],
        true,
    );
    let renames = is_open(
        &[
            EndpointId::ContainerRename,
            EndpointId::LibpodContainerRename,
        ],
        false,
    );
    deletes && creates && (renames || profile.recreation != Some(Recreation::Off))
}

/// Returns whether another profile recognises its clients by their containers, and these are
/// among the targets of the profile and no exception allows them.
fn has_refused_containers(profile: &Profile, other: &Arc<Profile>, profiles: &Profiles) -> bool {
    let is_allowed = profile
        .guard
        .allow
        .iter()
        .filter_map(|exception| exception.profile_pattern())
        .any(|pattern| pattern.fits(&other.name));
    let is_reached = profiles
        .selectors_of(other)
        .filter(|selector| selector.kind() == FactKind::Container)
        .any(|selector| profile.targets.may_include_client(selector));
    is_reached && !is_allowed
}
