//! `cetusguard doctor`: the reasons why the proxy does not work here. It checks the configuration,
//! the engine, the addresses, the certificates, the clock and the rules, and advises on each
//! problem.

mod certificates;
mod engine;
mod engine_socket;
mod frontends;
mod holder;
mod recreation;

use std::collections::HashMap;
use std::ffi::OsString;

use cetusguard_config::written::Written;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use super::check::{surveyed, warnings};
use super::page::{Emphasis, TextPage, count};
use super::{CommandOutput, Invocation};
use cetusguard_proxy::CheckInput;
use cetusguard_proxy::Loaded;
use cetusguard_proxy::open_files;

/// A finding about one thing that the program needs.
#[derive(Debug, Serialize)]
struct Diagnosis {
    state: DiagnosisState,
    /// The subject in a word.
    about: &'static str,
    what: String,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum DiagnosisState {
    Good,
    Warning,
    Bad,
}

impl Diagnosis {
    fn good(about: &'static str, what: impl Into<String>) -> Self {
        Self {
            state: DiagnosisState::Good,
            about,
            what: what.into(),
            fix: None,
        }
    }

    fn warning(about: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: DiagnosisState::Warning,
            about,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }

    fn bad(about: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: DiagnosisState::Bad,
            about,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Examines everything that the program needs, as far as the configuration can be read.
pub(super) fn run(asked: &Invocation) -> CommandOutput {
    let (written, _, _) = asked.sources.read();
    let findings = match asked.load().1 {
        Ok(loaded) => examine_all(&loaded, &written, &asked.sources.env),
        Err(mistakes) => {
            let mistake = |mistake: &cetusguard_config::Mistake| {
                Diagnosis::bad(
                    "configuration",
                    mistake.in_one_line(),
                    "cetusguard check shows where",
                )
            };
            mistakes.0.iter().map(mistake).collect()
        }
    };
    let code = u8::from(
        findings
            .iter()
            .any(|finding| finding.state == DiagnosisState::Bad),
    );
    let text = asked.write_report(&findings, |page| write_findings(&findings, page));
    CommandOutput { text, code }
}

fn examine_all(
    loaded: &Loaded,
    written: &Written,
    env: &HashMap<String, OsString>,
) -> Vec<Diagnosis> {
    let config = &loaded.config;
    let mut findings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|what| Diagnosis::warning("configuration", what, "see docs/configuration.md"))
        .collect();
    if findings.is_empty() {
        findings.push(Diagnosis::good("configuration", "can be read"));
    }
    let of_engine = engine::examine(config);
    let is_reachable = of_engine
        .iter()
        .all(|finding| finding.state != DiagnosisState::Bad);
    findings.extend(of_engine);
    findings.extend(frontends::examine(
        config,
        written,
        frontends::is_in_container(env),
    ));
    findings.extend(certificates::examine(written));
    findings.extend(examine_rules(loaded));
    if is_reachable {
        findings.extend(recreation::examine(config));
    }
    findings.extend(examine_open_files(config.limits.connections));
    findings
}

/// Repeats the warnings of `check`, except those about variables and certificates, which other parts
/// examine.
fn examine_rules(loaded: &Loaded) -> Vec<Diagnosis> {
    let mut findings = Vec::new();
    let input = CheckInput {
        profiles: loaded.config.profiles.clone(),
        unknown_variables: Vec::new(),
        admin: loaded.config.admin.clone(),
        shown_certificates: Vec::new(),
    };
    for problem in warnings(&input, &surveyed(input.profiles.all())) {
        let subject = match problem.code.starts_with("admin-") {
            true => "admin",
            false => "rules",
        };
        let profile = problem
            .profile
            .map(|profile| format!("profile {profile}: "))
            .unwrap_or_default();
        findings.push(Diagnosis::warning(
            subject,
            format!("{profile}{}", problem.what),
            problem.fix,
        ));
    }
    if findings.is_empty() {
        findings.push(Diagnosis::good("rules", "give no host away"));
    }
    findings
}

/// Compares the descriptors that connections need with those that the system allows.
fn examine_open_files(connections: usize) -> Option<Diagnosis> {
    let needed = open_files(connections);
    let allowed = getrlimit(Resource::Nofile)
        .maximum
        .filter(|maximum| *maximum < needed)?;
    let what = format!("{allowed} open files are allowed, {connections} connections need {needed}");
    Some(Diagnosis::warning(
        "open files",
        what,
        "raise the limit (ulimit -n, or ulimits in compose), or lower max-connections",
    ))
}

fn write_findings(findings: &[Diagnosis], page: &mut TextPage) {
    for finding in findings {
        let (mark, look) = match finding.state {
            DiagnosisState::Good => ("ok       ", Emphasis::Good),
            DiagnosisState::Warning => ("warning  ", Emphasis::Warning),
            DiagnosisState::Bad => ("PROBLEM  ", Emphasis::Bad),
        };
        page.item(
            0,
            mark,
            look,
            &format!("{}: {}", finding.about, finding.what),
        );
        if let Some(fix) = &finding.fix {
            page.item(9, "= ", Emphasis::Plain, fix);
        }
    }
    page.gap();
    let count_of = |state| {
        findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    };
    let (look, text) = match (
        count_of(DiagnosisState::Bad),
        count_of(DiagnosisState::Warning),
    ) {
        (0, 0) => (
            Emphasis::Good,
            "Nothing keeps it from working here.".to_owned(),
        ),
        (0, warnings) => (
            Emphasis::Warning,
            format!(
                "No problem keeps it from starting; {} to read before you rely on it.",
                count(warnings, "warning")
            ),
        ),
        (problems, 0) => (
            Emphasis::Bad,
            format!("{} to solve.", count(problems, "problem")),
        ),
        (problems, warnings) => (
            Emphasis::Bad,
            format!(
                "{} to solve, and {} to read.",
                count(problems, "problem"),
                count(warnings, "warning")
            ),
        ),
    };
    page.say(0, look, &text);
}
