//! The decision about one call, in the order of the journey. The verdict is that of the same
//! functions that `serve` calls.

use std::ops::Range;

use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::rule::{Miss, Rule};
use cetusguard_policy::{
    Call, ClientLimits, Ground, Mode, Profile, Profiles, Tried, Verdict, decide, trace,
};
use serde::Serialize;

use super::client::Mismatch;
use super::judgement::{ExplainedGuard, ExplainedJudgement};

/// The decision about a call, with its steps.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedDecision {
    pub(super) method: String,
    /// As rules see it.
    pub(super) path: String,
    /// The images of path and query that have other names in the profile, as `FROM=TO`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rewritten_images: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<ExplainedEndpoint>,
    pub(super) profile: String,
    pub(super) enforced: bool,
    /// The conditions of the other profiles that the client does not meet, if no profile matches
    /// it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) rules: Vec<RuleAttempt>,
    pub(super) guard: ExplainedGuard,
    /// The objects that calls of this profile may be about; empty where any object may be a target.
    pub(super) targets: Vec<String>,
    /// The part of the engine that the clients of this profile see and own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) view: Vec<String>,
    /// The values that are replaced in the answer.
    pub(super) redact: Vec<String>,
    /// The requirements on objects that clients of this profile create.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) creation: Vec<String>,
    pub(super) limits: Vec<String>,
    /// The way in which the answer is sent back.
    pub(super) answer: &'static str,
    pub(super) allowed: bool,
    /// The rule that allows it, or the text of the refusal.
    pub(super) because: String,
    /// Set if the guard still has to inspect the body.
    pub(super) body_missing: bool,
    /// The object that the engine has to describe before the rules can decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) depends_on: Option<String>,
    /// Rules or exceptions that would allow it.
    pub(super) to_allow: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ExplainedEndpoint {
    /// Its stable name, such as `container.list`.
    pub(super) name: &'static str,
    pub(super) shape: String,
    pub(super) lets: String,
}

/// The result of comparing a rule with the call.
#[derive(Debug, Serialize)]
pub(super) struct RuleAttempt {
    pub(super) position: String,
    pub(super) rule: String,
    pub(super) result: ExplainedOutcome,
    /// The part of the rule that does not fit, in bytes from its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) misfit: Option<Range<usize>>,
    /// The rest of the path, at which that part of the rule stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rest: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExplainedOutcome {
    Allows,
    /// The rule would allow the call if no earlier rule did.
    WouldAllow,
    Denies,
    /// The rule denies the call if the engine knows the object by a name in the rule.
    MayDeny,
    Wildcard,
    OtherMethod,
    OtherVersion,
    OtherPath,
    Elsewhere,
}

impl ExplainedDecision {
    /// Decides about a call of a client of this profile; the body is the request's, where it is
    /// known.
    pub(super) fn of(
        call: &Call,
        profile: &Profile,
        profiles: &Profiles,
        body: Option<&str>,
    ) -> Self {
        let call = &profile.rewrite_images(call.clone());
        let (mut by_rules, mut depends_on) = (false, None);
        let judgement = match decide(call.clone(), profile) {
            Verdict::Allow(permit) => {
                by_rules = true;
                depends_on = permit
                    .question()
                    .map(|(kind, word)| format!("the {} {word}", kind.name()));
                let because = match permit.ground() {
                    Ground::Rule(rule) => rule.label().to_owned(),
                    Ground::Unenforced { text, .. } => text.clone(),
                };
                ExplainedJudgement::of(&permit, profile, body, profiles, because)
            }
            Verdict::Deny(denial) => ExplainedJudgement::without_guard(&denial, profile),
        };
        Self {
            method: call.method().to_string(),
            path: call.path().to_owned(),
            rewritten_images: rewritten_images(call),
            endpoint: call.endpoint().map(|endpoint| ExplainedEndpoint {
                name: endpoint.id.name(),
                shape: format!("{} {}", endpoint.method, endpoint.shape),
                lets: endpoint.says(),
            }),
            profile: profile.name.clone(),
            enforced: profile.mode == Mode::Enforce,
            mismatches: Vec::new(),
            rules: trace_rules(call, profile, by_rules),
            targets: profile.targets.entries().collect(),
            view: profile.view.sentences(),
            redact: redacted_values(call, profile),
            creation: profile.guard.requirements().to_vec(),
            limits: describe_limits(&profile.limits),
            answer: describe_answer(call, profile),
            allowed: judgement.allowed,
            body_missing: judgement.is_blind && judgement.allowed,
            depends_on,
            guard: judgement.guard,
            because: judgement.because,
            to_allow: judgement.to_allow,
        }
    }
}

fn rewritten_images(call: &Call) -> Vec<String> {
    let images = call.rewritten_images().iter();
    images.map(|(from, to)| format!("{from}={to}")).collect()
}

/// Returns the values that a redaction replaces in the answer to a call.
fn redacted_values(call: &Call, profile: &Profile) -> Vec<String> {
    let redaction = &profile.view.redaction;
    let is_concerned = call
        .endpoint()
        .is_some_and(|endpoint| redaction.concerns(endpoint.id));
    redaction.values().filter(|_| is_concerned).collect()
}

fn trace_rules(call: &Call, profile: &Profile, granted: bool) -> Vec<RuleAttempt> {
    let mut first = true;
    let attempt = |cetusguard_policy::Attempt { rule, tried }: cetusguard_policy::Attempt| {
        let rest = |taken: usize| Some(call.path()[taken..].to_owned());
        let (result, misfit, rest) = match tried {
            Tried::Grants if std::mem::take(&mut first) && granted => {
                (ExplainedOutcome::Allows, None, None)
            }
            Tried::Grants => (ExplainedOutcome::WouldAllow, None, None),
            Tried::Wildcard => (ExplainedOutcome::Wildcard, None, None),
            Tried::Denies => (ExplainedOutcome::Denies, None, None),
            Tried::MayDeny => (ExplainedOutcome::MayDeny, None, None),
            Tried::Misses(Miss::Method) => (ExplainedOutcome::OtherMethod, methods_of(&rule), None),
            Tried::Misses(Miss::Version) => (ExplainedOutcome::OtherVersion, None, None),
            Tried::Misses(Miss::Path { at, taken }) => {
                (ExplainedOutcome::OtherPath, Some(at), rest(taken))
            }
            Tried::Misses(Miss::Elsewhere) => (ExplainedOutcome::Elsewhere, None, None),
        };
        RuleAttempt {
            position: rule.position.to_string(),
            rule: rule.text().to_owned(),
            result,
            misfit,
            rest,
        }
    };
    trace(call, profile).into_iter().map(attempt).collect()
}

/// Returns the range of the methods in the text of a rule.
fn methods_of(rule: &Rule) -> Option<Range<usize>> {
    let (methods, pattern) = rule.methods_and_pattern()?;
    let end = rule.text().len() - pattern.len() - 1;
    Some(end - methods.len()..end)
}

fn describe_limits(limits: &ClientLimits) -> Vec<String> {
    let mut shown = Vec::new();
    if let Some(rate) = limits.rate {
        shown.push(format!(
            "one request each {:?}, {} at once after a rest",
            rate.interval, rate.burst
        ));
    }
    shown.extend(
        limits
            .requests
            .map(|requests| format!("{requests} requests at the same time")),
    );
    shown.extend(
        limits
            .streams
            .map(|streams| format!("{streams} streams at the same time")),
    );
    let names = |patterns: &[cetusguard_policy::Pattern]| {
        patterns
            .iter()
            .map(cetusguard_policy::Pattern::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !limits.agents.is_empty() {
        shown.push(format!("user agents: {}", names(&limits.agents)));
    }
    if !limits.agents_denied.is_empty() {
        shown.push(format!("no user agents: {}", names(&limits.agents_denied)));
    }
    shown
}

fn describe_answer(call: &Call, profile: &Profile) -> &'static str {
    let redacts = call
        .endpoint()
        .is_some_and(|endpoint| profile.view.redaction.concerns(endpoint.id));
    if profile.mode == Mode::Enforce && (profile.view.is_bounded() || redacts) {
        return "is judged while it passes: hidden objects are left out, and values are redacted";
    }
    match call
        .endpoint()
        .map_or(Answer::Follow, |endpoint| endpoint.answer)
    {
        Answer::Quick => "goes back as it comes; the engine has answer-timeout for its first byte",
        Answer::Slow => "goes back as it comes; the engine may work on it for as long as it takes",
        Answer::Transfer => "goes back as it comes, of any size",
        Answer::Follow => "is a stream that may be silent for days; it goes back as it comes",
        Answer::Tunnel(_) => {
            "is a connection in both directions, open until both sides have closed it"
        }
    }
}
