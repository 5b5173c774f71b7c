//! `cetusguard check`: what each client can do, what stands between it and root on the host, and what may be a mistake.

mod glob;
mod problem;
mod report;
mod text;

use super::page::Page;
use super::{Answer, Asked};
pub use problem::CODES;
use problem::Problem;
pub(super) use problem::problems;
use report::{ProfileReport, Report};

/// Reads everything as `serve` would, and says what it comes to.
pub(super) fn run(asked: &Asked) -> Answer {
    let report = match asked.sources.load().1 {
        Ok(loaded) => {
            let profiles: Vec<_> = loaded.config.profiles.all().collect();
            let surveys: Vec<_> = profiles.iter().map(|profile| cetusguard_policy::survey(profile)).collect();
            let mut found: Vec<Problem> =
                loaded.warnings.iter().map(|warning| Problem::unknown_option(warning)).collect();
            for (profile, survey) in profiles.iter().zip(&surveys) {
                found.extend(problems(profile, survey));
            }
            let reports = profiles
                .iter()
                .zip(&surveys)
                .map(|(profile, survey)| ProfileReport::new(profile, survey, &loaded.config.profiles));
            Report { profiles: reports.collect(), problems: found }
        }
        Err(mistakes) => Report { profiles: Vec::new(), problems: mistakes.0.iter().map(Problem::mistake).collect() },
    };
    let is_strict = asked.flag("strict");
    let code = match report.problems.iter().map(|problem| problem.severity).max() {
        Some(problem::Severity::Error) => 2,
        Some(problem::Severity::Warning) if is_strict => 1,
        _ => 0,
    };
    let text = match asked.wants_json() {
        true => super::json(&report),
        false => {
            let mut page = Page::new(&asked.sources.env);
            text::write(&report, is_strict, &mut page);
            page.into_text()
        }
    };
    Answer { text, code }
}
