//! The answer of `check` for people.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, Severity};
use super::report::{
    Ability, BarrierStrength, CheckReport, ClosedReport, DeniedReport, ProfileReport,
};
use crate::command::alike::{Alike, describe_others, group_alike};
use crate::command::page::{Emphasis, TextPage, count};

/// Writes all of it.
pub(super) fn write(report: &CheckReport, is_strict: bool, page: &mut TextPage) {
    for Alike { first, others } in group_alike(&report.profiles, ProfileReport::split) {
        write_profile(first, page);
        let names = others.iter().map(|other| other.name.as_str());
        if let Some(more) = describe_others("the same for {} more profiles", names) {
            page.say(2, Emphasis::Faint, &more);
        }
        page.gap();
    }
    if let Some(admin) = &report.admin {
        page.item(0, "admin listener: ", Emphasis::Plain, admin);
        page.gap();
    }
    for Alike { first, others } in group_alike(&report.problems, Problem::split) {
        write_problem(first, page);
        let (where_else, others): (&str, Vec<&str>) = match first.profile {
            Some(_) => {
                let names = others.iter().filter_map(|other| other.profile.as_deref());
                ("in {} more profiles", names.collect())
            }
            None => {
                let places = others.iter().map(|other| other.place());
                ("at {} more places", places.collect())
            }
        };
        if let Some(more) = describe_others(where_else, others.into_iter()) {
            page.say(2, Emphasis::Faint, &more);
        }
        page.gap();
    }
    let count_of = |severity| {
        report
            .problems
            .iter()
            .filter(|problem| problem.severity == severity)
            .count()
    };
    match (count_of(Severity::Error), count_of(Severity::Warning)) {
        (0, 0) => page.say(0, Emphasis::Good, "No mistakes and no warnings."),
        (0, warnings) if is_strict => {
            page.say(
                0,
                Emphasis::Bad,
                &format!(
                    "{}, which --strict takes for mistakes.",
                    count(warnings, "warning")
                ),
            );
        }
        (0, warnings) => page.say(
            0,
            Emphasis::Warning,
            &format!("{}; serve would start.", count(warnings, "warning")),
        ),
        (errors, _) => page.say(
            0,
            Emphasis::Bad,
            &format!("{}; serve would not start.", count(errors, "mistake")),
        ),
    }
}

fn write_profile(profile: &ProfileReport, page: &mut TextPage) {
    let mode = if profile.enforced {
        "enforced"
    } else {
        "NOT enforced"
    };
    let heading = format!(
        "profile {}: {mode}, guard {}, {}",
        profile.name,
        profile.guard,
        count(profile.rules, "rule")
    );
    page.say(0, Emphasis::Heading, &heading);
    for client in &profile.clients {
        page.item(2, "for ", Emphasis::Faint, client);
    }
    if profile.name == "default" {
        page.say(
            2,
            Emphasis::Faint,
            "for every client that no other profile matches",
        );
    }
    for exception in &profile.guard_allow {
        page.item(
            2,
            "with ",
            Emphasis::Faint,
            &format!("guard-allow {exception}"),
        );
    }
    for target in &profile.targets {
        page.item(
            2,
            "about ",
            Emphasis::Faint,
            &format!("objects with {target} alone"),
        );
    }
    for sentence in &profile.view {
        page.item(2, "view ", Emphasis::Faint, sentence);
    }
    if !profile.redact.is_empty() {
        let values = profile.redact.join(", ");
        page.item(
            2,
            "redacts ",
            Emphasis::Faint,
            &format!("{values} in answers"),
        );
    }
    for requirement in &profile.creation {
        page.item(2, "with ", Emphasis::Faint, requirement);
    }
    let mut risk = None;
    for ability in &profile.can {
        if risk.replace(ability.risk) != Some(ability.risk) {
            page.say(2, Emphasis::Heading, ability.risk.heading());
        }
        write_ability(ability, page);
    }
    if profile.can.is_empty() {
        page.say(2, Emphasis::Plain, "It can do nothing.");
    }
    page.say(2, Emphasis::Heading, "between it and root on the host:");
    for barrier in &profile.to_host {
        let look = match barrier.holds {
            BarrierStrength::Yes => Emphasis::Good,
            BarrierStrength::Partly => Emphasis::Warning,
            BarrierStrength::No => Emphasis::Bad,
        };
        page.item(4, "- ", look, &barrier.what);
    }
    write_closed(&profile.wildcards_closed, page);
    write_denied(&profile.denied, page);
}

/// Lists the endpoints that a rule denies although another allows them, by power.
fn write_denied(denied: &[DeniedReport], page: &mut TextPage) {
    let mut by_power: BTreeMap<&str, Vec<&DeniedReport>> = BTreeMap::new();
    for one in denied {
        by_power.entry(&one.what).or_default().push(one);
    }
    if !by_power.is_empty() {
        page.line(
            2,
            Emphasis::Heading,
            "its rules deny, whatever others allow",
        );
    }
    for (what, all) in by_power {
        let endpoints: Vec<_> = all.iter().map(|one| one.endpoint.as_str()).collect();
        let rules: BTreeSet<&str> = all.iter().map(|one| one.denied_by.as_str()).collect();
        let rules: Vec<_> = rules.into_iter().collect();
        page.item(
            4,
            "- ",
            Emphasis::Plain,
            &format!("{what}: {} [{}]", endpoints.join(", "), rules.join(", ")),
        );
    }
}

/// Lists the endpoints that wildcards match and do not open, by power.
fn write_closed(closed: &[ClosedReport], page: &mut TextPage) {
    let mut by_power: BTreeMap<&str, Vec<&ClosedReport>> = BTreeMap::new();
    for one in closed {
        by_power.entry(&one.what).or_default().push(one);
    }
    if !by_power.is_empty() {
        page.say(2, Emphasis::Heading, "its wildcards do not open");
    }
    for (what, all) in by_power {
        let endpoints: Vec<_> = all.iter().map(|one| one.endpoint.as_str()).collect();
        page.item(
            4,
            "- ",
            Emphasis::Plain,
            &format!("{what}: {}", endpoints.join(", ")),
        );
    }
    if let Some(rule) = closed.iter().find_map(|one| one.rule_to_add.as_deref()) {
        page.say(
            4,
            Emphasis::Faint,
            "= a rule that names one opens it, as in:",
        );
        page.line(6, Emphasis::Faint, rule);
    }
}

fn write_ability(ability: &Ability, page: &mut TextPage) {
    let only = ability
        .only
        .as_ref()
        .map(|path| format!(", some only, as in {path}"))
        .unwrap_or_default();
    let except = match ability.except.as_slice() {
        [] => String::new(),
        rules => format!(", but not what is denied [{}]", rules.join(", ")),
    };
    page.item(
        4,
        "- ",
        Emphasis::Plain,
        &format!(
            "{}{only} [{}]{except}",
            ability.what,
            ability.rules.join(", ")
        ),
    );
}

fn write_problem(problem: &Problem, page: &mut TextPage) {
    let (word, look) = match problem.severity {
        Severity::Error => ("error", Emphasis::Bad),
        Severity::Warning => ("warning", Emphasis::Warning),
    };
    let profile = problem
        .profile
        .as_ref()
        .map(|profile| format!("profile {profile}: "))
        .unwrap_or_default();
    page.item(
        0,
        "",
        look,
        &format!("{word}[{}]: {profile}{}", problem.code, problem.what),
    );
    page.item(2, "= ", Emphasis::Plain, &problem.fix);
}
