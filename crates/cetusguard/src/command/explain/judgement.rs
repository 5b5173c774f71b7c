//! The guard's judgement of a call, as `serve` makes it before it asks the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use cetusguard_policy::guard::{Finding, Objection, Surroundings};
use cetusguard_policy::{Denial, Owner, Permit, Profile, Profiles, Viewer};
use serde::Serialize;

/// The part of the guard in a decision.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedGuard {
    pub(super) level: &'static str,
    /// The judgement in words.
    pub(super) says: String,
    pub(super) findings: Vec<ExplainedFinding>,
    /// The engine's descriptions of objects decide.
    #[serde(skip)]
    pub(super) asks_engine: bool,
}

/// A finding of the guard.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedFinding {
    pub(super) field: String,
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allow: Option<String>,
    /// Rules with which the client does not need the call at all.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) instead: &'static [&'static str],
}

impl From<Finding> for ExplainedFinding {
    fn from(finding: Finding) -> Self {
        let Finding {
            field,
            what,
            allow,
            instead,
        } = finding;
        Self {
            field,
            what,
            allow,
            instead,
        }
    }
}

/// The result of the rules and the guard for one call.
pub(super) struct ExplainedJudgement {
    pub(super) guard: ExplainedGuard,
    pub(super) allowed: bool,
    /// The rule that allows the call, or the text of the refusal.
    pub(super) because: String,
    /// Rules or exceptions that would allow the call.
    pub(super) to_allow: Vec<String>,
    /// The guard judges the body, and it is not given.
    pub(super) is_blind: bool,
}

impl ExplainedJudgement {
    /// Returns the judgement of a call that the rules deny.
    pub(super) fn without_guard(denial: &Denial, profile: &Profile) -> Self {
        let to_add = denial
            .rules_to_add()
            .into_iter()
            .chain(denial.name_to_add());
        Self {
            guard: guard(profile, "is not asked: the rules refuse it before"),
            allowed: false,
            because: denial.to_string(),
            to_allow: to_add.collect(),
            is_blind: false,
        }
    }

    /// Judges a call that a rule allows.
    pub(super) fn of(
        permit: &Permit,
        profile: &Profile,
        body: Option<&str>,
        profiles: &Profiles,
        rule: String,
    ) -> Self {
        let is_blind = permit.is_judged() && permit.reads_body() && body.is_none();
        let allowed = |guard| Self {
            guard,
            allowed: true,
            because: rule,
            to_allow: vec![],
            is_blind,
        };
        if let Some((kind, word)) = permit.question() {
            let says = format!(
                "is asked once the engine has told the name of the {} {word}, by which rules decide",
                kind.name()
            );
            return allowed(guard(profile, &says));
        }
        if !permit.is_judged() {
            return allowed(guard(profile, "has nothing to judge here"));
        }
        let (findings, questions) = match judge(permit, profile, body, profiles) {
            Ok(questions) => (vec![], questions),
            Err(Objection::Findings(findings)) => (findings, vec![]),
            Err(objection) if !is_blind => {
                return Self {
                    guard: guard(profile, &objection.to_string()),
                    allowed: false,
                    because: objection.to_string(),
                    to_allow: vec![],
                    is_blind,
                };
            }
            Err(_) => (vec![], vec![]),
        };
        // Without its body, only the query can be judged.
        let findings: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| !is_blind || finding.field.starts_with('?'))
            .collect();
        if findings.is_empty() {
            return allowed(ExplainedGuard {
                asks_engine: !questions.is_empty(),
                ..guard(profile, &describe_pass(is_blind, &questions))
            });
        }
        let findings_guard = ExplainedGuard {
            findings: findings
                .iter()
                .cloned()
                .map(ExplainedFinding::from)
                .collect(),
            ..guard(profile, "refuses what it asks for")
        };
        let objection = Objection::Findings(findings);
        Self {
            guard: findings_guard,
            allowed: false,
            because: objection.to_string(),
            to_allow: rules_and_exceptions(&objection),
            is_blind,
        }
    }
}

/// Returns a guard without findings.
fn guard(profile: &Profile, says: &str) -> ExplainedGuard {
    ExplainedGuard {
        level: profile.guard.level.name(),
        says: says.to_owned(),
        findings: vec![],
        asks_engine: false,
    }
}

/// Has the guard judge the query and the body. Returns the questions that it would ask the engine.
fn judge(
    permit: &Permit,
    profile: &Profile,
    body: Option<&str>,
    profiles: &Profiles,
) -> Result<Vec<String>, Objection> {
    // All sessions of a profile have the same rights, so that the call needs none here.
    let owner = profile.view.ownership.as_ref();
    let viewer = Viewer {
        view: Arc::clone(&profile.view),
        owner: owner.map(|ownership| Owner::profile(&ownership.owner)),
    };
    let surroundings = Surroundings {
        profile: &profile.name,
        profiles: Some(profiles),
        viewer: Some(&viewer),
        ..Surroundings::default()
    };
    let body = body.unwrap_or_default().as_bytes();
    let case = permit.open(Some("application/json"), body, surroundings)?;
    Ok(case.questions())
}

/// Describes the guard's judgement of a call in which it finds nothing to refuse so far.
fn describe_pass(is_blind: bool, questions: &[String]) -> String {
    let asks = questions.join(", ");
    match (is_blind, asks.is_empty()) {
        (true, true) => "judges the body: give it with --body FILE".to_owned(),
        (true, false) => {
            format!("judges the body (give it with --body FILE), and asks the engine about {asks}")
        }
        (false, true) => "has judged query and body, and lets them pass".to_owned(),
        (false, false) => format!("asks the engine about {asks}, and decides by what they are"),
    }
}

/// Returns the rules that would make the call unnecessary, and the exceptions that would allow it.
/// Rules come first: with them, the client does not need the call.
fn rules_and_exceptions(objection: &Objection) -> Vec<String> {
    let mut found: Vec<String> = objection
        .instead()
        .iter()
        .map(ToString::to_string)
        .collect();
    let Objection::Findings(findings) = objection else {
        return found;
    };
    let mut known = BTreeSet::new();
    let exceptions = findings.iter().filter_map(|finding| finding.allow.as_ref());
    found.extend(
        exceptions
            .filter(|allow| known.insert(*allow))
            .map(|allow| format!("guard-allow {allow}")),
    );
    found
}
