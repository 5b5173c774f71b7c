//! The decision about one call for people.

use cetusguard_policy::{Denial, carets_below};

use super::client::Mismatch;
use super::decision::{ExplainedDecision, ExplainedEndpoint, ExplainedOutcome, RuleAttempt};
use crate::command::page::{Emphasis, TextPage, count};
use cetusguard_config::printed::harmless;

/// Writes the whole decision: the call, the profile, its rules, the guard, and the verdict.
pub(super) fn write(decision: &ExplainedDecision, page: &mut TextPage) {
    write_call(decision, page);
    write_profile(decision, page);
    write_rules(decision, page);
    write_guard(decision, page);
    if decision.allowed {
        row("answer", Emphasis::Plain, decision.answer, page);
    }
    page.gap();
    write_verdict(decision, page);
    if !decision.allowed && !decision.enforced {
        let what =
            "It is forwarded all the same, and logged: the profile is not enforced (mode audit).";
        page.say(0, Emphasis::Warning, what);
    }
    if let Some((first, more)) = decision.to_allow.split_first() {
        page.line(2, Emphasis::Plain, &format!("to allow it: {first}"));
        more.iter()
            .for_each(|allow| page.line(15, Emphasis::Plain, allow));
    }
}

/// Writes a text behind its title.
fn row(title: &str, look: Emphasis, text: &str, page: &mut TextPage) {
    page.item(2, &format!("{title:<10}"), look, text);
}

/// Writes the call as the policy sees it.
fn write_call(decision: &ExplainedDecision, page: &mut TextPage) {
    let call = format!("{} {}", decision.method, decision.path);
    page.line(0, Emphasis::Heading, &call);
    match &decision.endpoint {
        Some(ExplainedEndpoint { name, shape, lets }) => {
            let endpoint = format!("{name}, {shape}: {lets}");
            row("endpoint", Emphasis::Plain, &endpoint, page);
        }
        None => row(
            "endpoint",
            Emphasis::Warning,
            "none that a known engine has",
            page,
        ),
    }
    for image in &decision.rewritten_images {
        row("rewrites", Emphasis::Plain, image, page);
    }
}

/// Writes the profile with everything in it that bounds the call, except its rules.
fn write_profile(decision: &ExplainedDecision, page: &mut TextPage) {
    let mode = if decision.enforced {
        "enforced"
    } else {
        "NOT enforced"
    };
    let profile = format!("{}: {mode}", decision.profile);
    row("profile", Emphasis::Plain, &profile, page);
    write_mismatches(&decision.mismatches, page);
    if !decision.targets.is_empty() {
        let targets = format!("objects with {} alone", decision.targets.join(", or "));
        row("targets", Emphasis::Plain, &targets, page);
    }
    for sentence in &decision.view {
        row("view", Emphasis::Plain, sentence, page);
    }
    if !decision.redact.is_empty() {
        let values = format!("{} in the answer", decision.redact.join(", "));
        row("redacts", Emphasis::Plain, &values, page);
    }
    for requirement in &decision.creation {
        row("requires", Emphasis::Plain, requirement, page);
    }
    for limit in &decision.limits {
        row("limit", Emphasis::Plain, limit, page);
    }
}

/// Writes the rules that match or nearly match, and the number of the others.
fn write_rules(decision: &ExplainedDecision, page: &mut TextPage) {
    let shown = worth_showing(decision);
    let is_denied = shown
        .iter()
        .any(|attempt| attempt.result == ExplainedOutcome::Denies);
    for attempt in &shown {
        write_attempt(attempt, is_denied, page);
    }
    let others = decision.rules.len() - shown.len();
    if others > 0 {
        let others = format!("{} about other calls", count(others, "rule"));
        row("rules", Emphasis::Faint, &others, page);
    }
}

/// Writes the guard's judgement with its findings.
fn write_guard(decision: &ExplainedDecision, page: &mut TextPage) {
    let guard = &decision.guard;
    let says = format!("({}) {}", guard.level, guard.says);
    row("guard", Emphasis::Plain, &says, page);
    for found in &guard.findings {
        let field = if found.field.is_empty() {
            String::new()
        } else {
            format!("{}: ", found.field)
        };
        let is_without_hint = found.allow.is_none() && found.instead.is_empty();
        let hint = if is_without_hint {
            " (no exception is suggested)"
        } else {
            ""
        };
        page.item(
            10,
            "- ",
            Emphasis::Bad,
            &format!("{field}{}{hint}", found.what),
        );
    }
}

/// Names the other profiles and the conditions that keep the client from having them.
fn write_mismatches(mismatches: &[Mismatch], page: &mut TextPage) {
    const SHOWN: usize = 8;
    if !mismatches.is_empty() {
        let what = "because no other profile matches what is given of this client:";
        page.item(12, "", Emphasis::Faint, what);
    }
    for mismatch in mismatches.iter().take(SHOWN) {
        let (conditions, unmet) = (mismatch.conditions.join(" and "), &mismatch.unmet);
        let misses = match (unmet.len(), mismatch.conditions.len()) {
            (1, 1) => ", which does not hold".to_owned(),
            (missed, all) if missed == all => ", none of which holds".to_owned(),
            (1, _) => format!("; {} does not hold", unmet[0]),
            _ => format!("; {} do not hold", unmet.join(" and ")),
        };
        let what = format!("{} is for {conditions}{misses}", mismatch.profile);
        page.item(12, "- ", Emphasis::Plain, &what);
    }
    if let Some(more @ 1..) = mismatches.len().checked_sub(SHOWN) {
        page.item(12, "- ", Emphasis::Faint, &format!("and {more} more"));
    }
}

/// Says whether the call is allowed, and why.
fn write_verdict(decision: &ExplainedDecision, page: &mut TextPage) {
    let refused = !decision.guard.findings.is_empty();
    match decision.allowed {
        true if let Some(object) = &decision.depends_on => {
            let what = format!(
                "ALLOWED by {}, unless rules say otherwise of what the engine calls {object}",
                decision.because
            );
            page.say(0, Emphasis::Warning, &what);
        }
        true if decision.guard.asks_engine && !decision.body_missing => {
            let what = format!(
                "ALLOWED by {}, unless the engine describes its objects otherwise",
                decision.because
            );
            page.say(0, Emphasis::Warning, &what);
        }
        true if decision.body_missing => {
            let what = format!("ALLOWED by {}", decision.because);
            page.say(0, Emphasis::Warning, &what);
            let what = "NOT YET JUDGED: the body, for which the guard may refuse the call; give it \
                with --body FILE";
            page.say(0, Emphasis::Warning, what);
        }
        true => page.say(
            0,
            Emphasis::Good,
            &format!("ALLOWED by {}", decision.because),
        ),
        false if refused => page.say(0, Emphasis::Bad, "REFUSED by the guard"),
        // The rules to add stand on lines of their own, to be copied.
        false => {
            // The refusal names all rules that are needed together, or the first of several ways to
            // write one rule.
            let mut ends = (1..=decision.to_allow.len())
                .rev()
                .filter_map(|count| decision.to_allow.get(..count).map(Denial::advice));
            let why = ends
                .find_map(|end| decision.because.strip_suffix(&end))
                .unwrap_or(&decision.because);
            page.say(0, Emphasis::Bad, &format!("REFUSED: {why}"));
        }
    }
}

/// The most rules that nearly match to show.
const NEAR: usize = 5;

/// Rules that match; and where none does, those that come nearest: they take the most of the path.
fn worth_showing(decision: &ExplainedDecision) -> Vec<&RuleAttempt> {
    use ExplainedOutcome::{Allows, Denies, MayDeny, Wildcard, WouldAllow};
    let matches = |result| matches!(result, Allows | WouldAllow | Wildcard | Denies | MayDeny);
    let matching: Vec<_> = decision
        .rules
        .iter()
        .filter(|attempt| matches(attempt.result))
        .collect();
    if !matching.is_empty() {
        return matching;
    }
    let left = |attempt: &&RuleAttempt| attempt.rest.as_ref().map_or(0, String::len);
    let near = decision
        .rules
        .iter()
        .filter(|attempt| attempt.result != ExplainedOutcome::Elsewhere);
    let least = near
        .clone()
        .filter(|attempt| attempt.result == ExplainedOutcome::OtherPath)
        .map(|attempt| left(&attempt))
        .min();
    let is_near = |result| {
        matches!(
            result,
            ExplainedOutcome::OtherMethod | ExplainedOutcome::OtherVersion
        )
    };
    near.filter(|attempt| is_near(attempt.result) || Some(left(attempt)) == least)
        .take(NEAR)
        .collect()
}

/// Writes a rule that matches, or nearly matches, with carets under the part that does not.
fn write_attempt(attempt: &RuleAttempt, is_denied: bool, page: &mut TextPage) {
    let (says, look) = match attempt.result {
        ExplainedOutcome::Allows => ("allows it", Emphasis::Good),
        ExplainedOutcome::WouldAllow if is_denied => {
            ("would allow it, were it not denied", Emphasis::Plain)
        }
        ExplainedOutcome::WouldAllow => ("would allow it too", Emphasis::Plain),
        ExplainedOutcome::Denies => ("denies it, whatever other rules say", Emphasis::Bad),
        ExplainedOutcome::MayDeny => (
            "denies it if the engine calls its object so",
            Emphasis::Warning,
        ),
        ExplainedOutcome::Wildcard => (
            "matches by a wildcard, which does not open this endpoint",
            Emphasis::Warning,
        ),
        ExplainedOutcome::OtherMethod => ("fits the path, not the method", Emphasis::Plain),
        ExplainedOutcome::OtherVersion => (
            "fits the path without its version only: begin it with %API_PREFIX%",
            Emphasis::Warning,
        ),
        ExplainedOutcome::OtherPath => ("fits the path up to here", Emphasis::Plain),
        ExplainedOutcome::Elsewhere => return,
    };
    let position_and_result = format!("{} {says}", attempt.position);
    row("rule", look, &position_and_result, page);
    page.line(12, Emphasis::Plain, &attempt.rule);
    if let Some(misfit) = &attempt.misfit {
        // A page shows tabs as other characters, so that the carets must not contain any.
        let before = harmless(&attempt.rule[..misfit.start]);
        let carets = carets_below(&before, &attempt.rule[misfit.clone()]);
        let rest = match attempt.rest.as_deref() {
            None => String::new(),
            Some("") => " the path ends here".to_owned(),
            Some(rest) => format!(" the path goes on with {rest}"),
        };
        page.line(12, Emphasis::Warning, &format!("{carets}{rest}"));
    }
}
