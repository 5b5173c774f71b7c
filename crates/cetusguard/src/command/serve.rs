//! `cetusguard serve`: the proxy, with the warnings of `check` in its log.

use cetusguard_config::{ReadFiles, Sources};

use super::check;
use cetusguard_proxy::Learning;
use cetusguard_proxy::Loaded;
use cetusguard_proxy::{CheckInput, CheckWarning};

/// Serves until SIGTERM or SIGINT, then drains.
pub(super) fn run(
    loaded: Loaded,
    read: &ReadFiles,
    sources: Sources,
    learning: Option<Learning<'_>>,
) -> Result<(), String> {
    cetusguard_proxy::serve(loaded, read, sources, learning, check_enforced)
}

/// Returns the warnings about a configuration. A profile that is being learned has no rights of its
/// own yet.
fn check_enforced(input: &CheckInput) -> Vec<CheckWarning> {
    let enforced = input.profiles.all();
    let surveyed = check::surveyed(enforced.filter(|profile| !profile.is_learner()));
    let problems = check::warnings(input, &surveyed);
    problems
        .into_iter()
        .map(|problem| CheckWarning {
            code: problem.code,
            profile: problem.profile,
            detail: problem.what,
            hint: problem.fix,
        })
        .collect()
}
