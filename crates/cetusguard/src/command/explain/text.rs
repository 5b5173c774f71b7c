//! The decision about one call for people.

use cetusguard_policy::{Denial, carets_below};

use super::client::Mismatch;
use super::decision::{Attempt, Decision, Endpoint, Outcome};
use crate::command::page::{Look, Page, count, harmless};

/// Writes all of it.
pub(super) fn write(decision: &Decision, page: &mut Page) {
    page.line(
        0,
        Look::Heading,
        &format!("{} {}", decision.method, decision.path),
    );
    match &decision.endpoint {
        Some(Endpoint { name, shape, lets }) => {
            page.item(
                2,
                "endpoint  ",
                Look::Plain,
                &format!("{name}, {shape}: {lets}"),
            );
        }
        None => page.item(
            2,
            "endpoint  ",
            Look::Warning,
            "none that a known engine has",
        ),
    }
    for image in &decision.rewritten_images {
        page.item(2, "rewrites  ", Look::Plain, image);
    }
    let mode = if decision.enforced {
        "enforced"
    } else {
        "NOT enforced"
    };
    page.item(
        2,
        "profile   ",
        Look::Plain,
        &format!("{}: {mode}", decision.profile),
    );
    write_mismatches(&decision.mismatches, page);
    if !decision.targets.is_empty() {
        let targets = decision.targets.join(", or ");
        page.item(
            2,
            "targets   ",
            Look::Plain,
            &format!("objects with {targets} alone"),
        );
    }
    for sentence in &decision.view {
        page.item(2, "view      ", Look::Plain, sentence);
    }
    if !decision.redact.is_empty() {
        let values = decision.redact.join(", ");
        page.item(
            2,
            "redacts   ",
            Look::Plain,
            &format!("{values} in the answer"),
        );
    }
    for requirement in &decision.creation {
        page.item(2, "requires  ", Look::Plain, requirement);
    }
    for limit in &decision.limits {
        page.item(2, "limit     ", Look::Plain, limit);
    }
    let shown = worth_showing(decision);
    let is_denied = shown
        .iter()
        .any(|attempt| attempt.result == Outcome::Denies);
    shown
        .iter()
        .for_each(|attempt| write_attempt(attempt, is_denied, page));
    let others = decision.rules.len() - shown.len();
    if others > 0 {
        page.item(
            2,
            "rules     ",
            Look::Faint,
            &format!("{} about other calls", count(others, "rule")),
        );
    }
    page.item(
        2,
        "guard     ",
        Look::Plain,
        &format!("({}) {}", decision.guard.level, decision.guard.says),
    );
    for found in &decision.guard.findings {
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
        page.item(10, "- ", Look::Bad, &format!("{field}{}{hint}", found.what));
    }
    if decision.allowed {
        page.item(2, "answer    ", Look::Plain, decision.answer);
    }
    page.gap();
    write_verdict(decision, page);
    if !decision.allowed && !decision.enforced {
        page.say(
            0,
            Look::Warning,
            "It is forwarded all the same, and logged: the profile is not enforced (mode audit).",
        );
    }
    if let Some((first, more)) = decision.to_allow.split_first() {
        page.line(2, Look::Plain, &format!("to allow it: {first}"));
        more.iter()
            .for_each(|allow| page.line(15, Look::Plain, allow));
    }
}

/// Names the other profiles and the conditions that keep the client from having them.
fn write_mismatches(mismatches: &[Mismatch], page: &mut Page) {
    const SHOWN: usize = 8;
    if !mismatches.is_empty() {
        let what = "because no other profile matches what is given of this client:";
        page.item(12, "", Look::Faint, what);
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
        page.item(12, "- ", Look::Plain, &what);
    }
    if let Some(more @ 1..) = mismatches.len().checked_sub(SHOWN) {
        page.item(12, "- ", Look::Faint, &format!("and {more} more"));
    }
}

/// Says whether the call is allowed, and why.
fn write_verdict(decision: &Decision, page: &mut Page) {
    let refused = !decision.guard.findings.is_empty();
    match decision.allowed {
        true if let Some(object) = &decision.depends_on => {
            let what = format!(
                "ALLOWED by {}, unless rules say otherwise of what the engine calls {object}",
                decision.because
            );
            page.say(0, Look::Warning, &what);
        }
        true if decision.guard.asks_engine && !decision.body_missing => {
            let what = format!(
                "ALLOWED by {}, unless the engine describes its objects otherwise",
                decision.because
            );
            page.say(0, Look::Warning, &what);
        }
        true if decision.body_missing => {
            page.say(
                0,
                Look::Warning,
                &format!(
                    "ALLOWED by {}; the guard has still to judge the body",
                    decision.because
                ),
            );
        }
        true => page.say(0, Look::Good, &format!("ALLOWED by {}", decision.because)),
        false if refused => page.say(0, Look::Bad, "REFUSED by the guard"),
        // The rules to add stand on lines of their own, to be copied.
        false => {
            // The refusal names the rules of a build, or the first of several ways to write one
            // rule.
            let ends = [decision.to_allow.len(), 1]
                .map(|count| decision.to_allow.get(..count).map(Denial::advice));
            let mut ends = ends
                .into_iter()
                .flatten()
                .filter(|_| !decision.to_allow.is_empty());
            let why = ends
                .find_map(|end| decision.because.strip_suffix(&end))
                .unwrap_or(&decision.because);
            page.say(0, Look::Bad, &format!("REFUSED: {why}"));
        }
    }
}

/// The most rules that nearly match to show.
const NEAR: usize = 5;

/// Rules that match; and where none does, those that come nearest: they take the most of the path.
fn worth_showing(decision: &Decision) -> Vec<&Attempt> {
    use Outcome::{Allows, Denies, MayDeny, Wildcard, WouldAllow};
    let matches = |result| matches!(result, Allows | WouldAllow | Wildcard | Denies | MayDeny);
    let matching: Vec<_> = decision
        .rules
        .iter()
        .filter(|attempt| matches(attempt.result))
        .collect();
    if !matching.is_empty() {
        return matching;
    }
    let left = |attempt: &&Attempt| attempt.rest.as_ref().map_or(0, String::len);
    let near = decision
        .rules
        .iter()
        .filter(|attempt| attempt.result != Outcome::Elsewhere);
    let least = near
        .clone()
        .filter(|attempt| attempt.result == Outcome::OtherPath)
        .map(|attempt| left(&attempt))
        .min();
    let is_near = |result| matches!(result, Outcome::OtherMethod | Outcome::OtherVersion);
    near.filter(|attempt| is_near(attempt.result) || Some(left(attempt)) == least)
        .take(NEAR)
        .collect()
}

/// Writes a rule that matches, or nearly matches, with carets under the part that does not.
fn write_attempt(attempt: &Attempt, is_denied: bool, page: &mut Page) {
    let (says, look) = match attempt.result {
        Outcome::Allows => ("allows it", Look::Good),
        Outcome::WouldAllow if is_denied => ("would allow it, were it not denied", Look::Plain),
        Outcome::WouldAllow => ("would allow it too", Look::Plain),
        Outcome::Denies => ("denies it, whatever other rules say", Look::Bad),
        Outcome::MayDeny => ("denies it if the engine calls its object so", Look::Warning),
        Outcome::Wildcard => (
            "matches by a wildcard, which does not open this endpoint",
            Look::Warning,
        ),
        Outcome::OtherMethod => ("fits the path, not the method", Look::Plain),
        Outcome::OtherVersion => (
            "fits the path without its version only: begin it with %API_PREFIX%",
            Look::Warning,
        ),
        Outcome::OtherPath => ("fits the path up to here", Look::Plain),
        Outcome::Elsewhere => return,
    };
    page.item(
        2,
        "rule      ",
        look,
        &format!("{} {says}", attempt.position),
    );
    page.line(12, Look::Plain, &attempt.rule);
    if let Some(misfit) = &attempt.misfit {
        // A page shows tabs as other characters, so that the carets must not contain any.
        let before = harmless(&attempt.rule[..misfit.start]);
        let carets = carets_below(&before, &attempt.rule[misfit.clone()]);
        let rest = match attempt.rest.as_deref() {
            None => String::new(),
            Some("") => " the path ends here".to_owned(),
            Some(rest) => format!(" the path goes on with {rest}"),
        };
        page.line(12, Look::Warning, &format!("{carets}{rest}"));
    }
}
