//! The comparison of an expectation with the ruling on its call.

use cetusguard_policy::guard::Objection;
use cetusguard_policy::{Call, Denial, DenialReason, Mode, Profile};
use serde::Serialize;

use super::file::Expectation;
use super::ruling::Ruling;
use cetusguard_proxy::Refusal;

/// A call of a test file, with its expected and its actual decision.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// File, line and column.
    place: String,
    call: String,
    /// The profile that decided; empty if two claim the client.
    #[serde(skip_serializing_if = "String::is_empty")]
    profile: String,
    expected: String,
    actual: String,
    pub(super) passed: bool,
    /// The reason of the actual decision.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// The change by which the expectation would hold.
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
}

/// The actual decision in words.
struct Actual {
    /// `allowed`, or `refused (guard)`.
    what: String,
    why: String,
}

impl Checked {
    /// Compares an expectation with the ruling of a profile; `None` if two profiles claim the
    /// client.
    pub(super) fn new(expected: &Expectation, profile: Option<&Profile>, ruling: &Ruling) -> Self {
        let actual = describe(ruling);
        let failure = find_failure(expected, profile, ruling);
        Self {
            place: expected.spot.place(),
            call: format!("{} {}", expected.method, expected.target),
            profile: profile.map_or_else(String::new, |profile| profile.name.clone()),
            expected: describe_expected(expected),
            actual: actual.what,
            passed: failure.is_none(),
            why: actual.why,
            fix: failure.unwrap_or_default(),
        }
    }

    /// Makes the failure of a client that gets another profile than it should.
    pub(super) fn wrong_profile(expected: &Expectation, wanted: &str, actual: &str) -> Self {
        Self {
            place: expected.spot.place(),
            call: format!("{} {}", expected.method, expected.target),
            profile: actual.to_owned(),
            expected: format!("profile {wanted}"),
            actual: format!("profile {actual}"),
            passed: false,
            why: String::new(),
            fix: "compare the client with the clients of the profile: cetusguard explain --client \
                shows which condition does not hold"
                .to_owned(),
        }
    }

    /// Writes a failure in one line.
    pub(super) fn line(&self) -> String {
        let Self {
            place,
            call,
            profile,
            expected,
            actual,
            why,
            fix,
            ..
        } = self;
        let profile = match profile.as_str() {
            "" => String::new(),
            name => format!(" (profile {name})"),
        };
        let why = [why, fix].map(String::as_str).into_iter();
        let why: Vec<_> = why.filter(|text| !text.is_empty()).collect();
        let why = match why.is_empty() {
            true => String::new(),
            false => format!(": {}", why.join("; ")),
        };
        format!("{place}: {call}{profile}: expected {expected}, but {actual}{why}")
    }
}

fn describe_expected(expected: &Expectation) -> String {
    if expected.is_allowed {
        return match &expected.rule {
            Some(rule) => format!("allowed by {rule}"),
            None => "allowed".to_owned(),
        };
    }
    let mut text = "refused".to_owned();
    if let Some(reason) = expected.reason {
        text.push_str(&format!(" ({})", reason.word()));
    }
    if let Some(rule) = &expected.rule {
        text.push_str(&format!(" by {rule}"));
    }
    if let Some(field) = &expected.field {
        text.push_str(&format!(" for {field}"));
    }
    text
}

fn describe(ruling: &Ruling) -> Actual {
    match ruling {
        Ruling::Allowed { position, rule } => Actual {
            what: "allowed".to_owned(),
            why: format!("{position}: {rule}"),
        },
        Ruling::Refused(refusal) => Actual {
            what: format!("refused ({})", refusal.reason().word()),
            why: match deciding_rule(refusal) {
                Some((position, _)) => format!("{position}: {refusal}"),
                None => refusal.to_string(),
            },
        },
        Ruling::Undecided(why) => Actual {
            what: "the engine would decide".to_owned(),
            why: why.clone(),
        },
    }
}

/// Returns the change by which an expectation would hold; `None` if it holds.
fn find_failure(
    expected: &Expectation,
    profile: Option<&Profile>,
    ruling: &Ruling,
) -> Option<String> {
    match ruling {
        Ruling::Undecided(_) => Some(String::new()),
        Ruling::Allowed { position, rule } if expected.is_allowed => {
            let wanted = expected.rule.as_ref()?;
            (wanted != rule && wanted != position).then(|| {
                "several rules allow it: the first one decides; name that one, or take it out"
                    .to_owned()
            })
        }
        Ruling::Allowed { rule, .. } => Some(how_to_refuse(expected, rule)),
        // The message of the refusal contains the rule or exception that would allow it.
        Ruling::Refused(_) if expected.is_allowed => Some(String::new()),
        Ruling::Refused(refusal) => find_wrong_refusal(expected, profile, refusal),
    }
}

fn how_to_refuse(expected: &Expectation, rule: &str) -> String {
    let call = Call::read(&expected.method, &expected.target);
    let endpoint = call.ok().and_then(|call| call.endpoint());
    match endpoint {
        Some(endpoint) => format!(
            "to refuse it, narrow the rule `{rule}`, or add the rule: DENY {}",
            endpoint.id.name()
        ),
        None => format!("to refuse it, narrow the rule `{rule}`"),
    }
}

fn find_wrong_refusal(
    expected: &Expectation,
    profile: Option<&Profile>,
    refusal: &Refusal,
) -> Option<String> {
    if profile.is_some_and(|profile| profile.mode == Mode::Audit) {
        return Some(
            "the profile is in audit mode, so that the call is forwarded all the same: set mode \
            to enforce, or run the test with --as-enforced"
                .to_owned(),
        );
    }
    if expected
        .reason
        .is_some_and(|reason| reason != refusal.reason())
    {
        return Some("correct the expectation, or the policy".to_owned());
    }
    if let Some(wanted) = &expected.rule {
        let found = deciding_rule(refusal);
        let is_it = found.is_some_and(|(position, text)| *wanted == position || *wanted == text);
        if !is_it {
            return Some("another rule refuses it, or none does".to_owned());
        }
    }
    if let Some(field) = &expected.field {
        let objection = refusal.objection();
        let mut findings = objection.map(Objection::findings).into_iter().flatten();
        if !findings.any(|finding| finding.field == *field) {
            return Some(format!("the guard has no objection to {field}"));
        }
    }
    let is_exact = expected.reason.is_some() || expected.field.is_some();
    (!is_exact && expected.body.is_none() && is_about_body(refusal)).then(|| {
        "the call has no body, and that is why the guard refuses it: give it a body, or name the \
        reason"
            .to_owned()
    })
}

/// Returns whether the guard objects to the body alone: a call without one tells nothing then.
fn is_about_body(refusal: &Refusal) -> bool {
    match refusal.objection() {
        Some(Objection::Malformed(_) | Objection::ContentType(_)) => true,
        Some(Objection::Findings(findings)) => findings
            .iter()
            .all(|finding| !finding.field.is_empty() && !finding.field.starts_with('?')),
        Some(Objection::Unrecreatable { .. }) | None => false,
    }
}

/// Returns the position and the text of the rule that refuses a call.
fn deciding_rule(refusal: &Refusal) -> Option<(String, String)> {
    let Refusal::Denied(denial) = refusal else {
        return None;
    };
    let Denial { reason, .. } = &**denial;
    let (DenialReason::Denied { rule }
    | DenialReason::Vault { rule }
    | DenialReason::Unknown { rule }
    | DenialReason::Unread { rule }) = reason
    else {
        return None;
    };
    Some((rule.position.to_string(), rule.text().to_owned()))
}
