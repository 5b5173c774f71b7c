//! `cetusguard check`: the rights of each client, the barriers between it and root on the host, and
//! possible mistakes.

mod admin;
mod certificates;
mod glob;
mod other_clients;
mod problem;
mod recreation;
mod redaction;
mod report;
mod text;

use std::sync::Arc;
use std::time::SystemTime;

use cetusguard_config::Sources;
use cetusguard_policy::{Profile, Survey, Surveyor};

use super::{CommandFailure, CommandOutput, Invocation};
pub(super) use certificates::SOON;
pub use problem::CODES;
pub(super) use problem::Problem;

use cetusguard_proxy::AdminSettings;
use cetusguard_proxy::CheckInput;
use cetusguard_proxy::hash_policy;
use report::{CheckReport, ProfileReport};

/// Surveys profiles.
pub(super) fn surveyed<'p>(
    profiles: impl Iterator<Item = &'p Arc<Profile>>,
) -> Vec<(Arc<Profile>, Survey)> {
    let surveyor = Surveyor::default();
    profiles
        .map(|profile| (Arc::clone(profile), surveyor.survey(profile)))
        .collect()
}

/// Returns every warning about a valid configuration: about unknown options, about the admin
/// listener, about its certificates, about all profiles together, and about each that is surveyed.
/// `check` prints them, `serve` logs them, and `doctor` lists them.
pub(super) fn warnings(input: &CheckInput, surveyed: &[(Arc<Profile>, Survey)]) -> Vec<Problem> {
    let mut found: Vec<Problem> = input
        .unknown_variables
        .iter()
        .map(|stranger| Problem::unknown_option(stranger))
        .collect();
    found.extend(input.admin.iter().flat_map(admin::problems));
    found.extend(certificates::problems(
        &input.shown_certificates,
        SystemTime::now(),
    ));
    found.extend(problem::without_rules(
        surveyed.iter().map(|(profile, _)| &**profile),
    ));
    for (profile, survey) in surveyed {
        found.extend(problem::problems(profile, survey));
        found.extend(other_clients::problem(profile, survey, &input.profiles));
    }
    found
}

/// Returns the mistakes of a configuration, or the warnings about it.
pub(super) fn problems(sources: &Sources) -> Vec<Problem> {
    match sources.load().1 {
        Ok(loaded) => {
            let input = CheckInput::new(&loaded.config, loaded.warnings);
            warnings(&input, &surveyed(input.profiles.all()))
        }
        Err(mistakes) => mistakes.0.iter().map(Problem::mistake).collect(),
    }
}

/// Reads the configuration as `serve` would, and reports on it, or prints the hash of its policy.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    if asked.flag("hash") {
        let profiles = asked.load().1?.config.profiles;
        return Ok(format!("{}\n", hash_policy(&profiles)).into());
    }
    let report = match asked.load().1 {
        Ok(loaded) => {
            let input = CheckInput::new(&loaded.config, loaded.warnings);
            let surveyed = surveyed(input.profiles.all());
            let reports = surveyed
                .iter()
                .map(|(profile, survey)| ProfileReport::new(profile, survey, &input.profiles));
            CheckReport {
                profiles: reports.collect(),
                admin: input.admin.as_ref().map(AdminSettings::sentence),
                problems: warnings(&input, &surveyed),
            }
        }
        Err(mistakes) => CheckReport {
            profiles: Vec::new(),
            admin: None,
            problems: mistakes.0.iter().map(Problem::mistake).collect(),
        },
    };
    let is_strict = asked.flag("strict");
    let code = match report.problems.iter().map(|problem| problem.severity).max() {
        Some(problem::Severity::Error) => 2,
        Some(problem::Severity::Warning) if is_strict => 1,
        _ => 0,
    };
    let text = asked.write_report(&report, |page| text::write(&report, is_strict, page));
    Ok(CommandOutput { text, code })
}
