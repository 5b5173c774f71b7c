//! Reads the written configuration as the program will, so that the user sees the problems that
//! `check` would find.

use std::collections::HashMap;

use cetusguard_config::{Sources, grammar};

use super::note::NoteKind;
use super::plan::Plan;
use super::text;
use crate::Problem;

/// The variable that holds a whole configuration file.
const VARIABLE: &str = "CETUSGUARD_CONFIG_DATA";

/// Notes the mistakes and warnings of the configuration that a plan comes to.
///
/// Certificates are left out, since their paths are those of the container. Their lines stay, so
/// that the numbers of lines are right.
pub(super) fn note_problems(plan: &mut Plan, check: &dyn Fn(&Sources) -> Vec<Problem>) {
    let is_tls = |line: &str| {
        ["tls-", "frontend-tls-", "backend-tls-"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    };
    let readable = text::configuration(plan)
        .lines()
        .map(|line| if is_tls(line) { "#" } else { line })
        .fold(String::new(), |text, line| text + line + "\n");
    let Ok(flags) = grammar().try_get_matches_from(["cetusguard"]) else {
        return;
    };
    let env = HashMap::from([(VARIABLE.to_owned(), readable.into())]);
    let sources = Sources {
        flags,
        stray: Vec::new(),
        env,
        learned: None,
    };
    for problem in check(&sources) {
        let of_profile = problem
            .profile
            .as_ref()
            .filter(|profile| *profile != "default")
            .map(|profile| format!("profile {profile}: "))
            .unwrap_or_default();
        let what = format!("{of_profile}{}; {}", problem.what, problem.fix)
            .replace(VARIABLE, "cetusguard.yaml");
        if problem.is_error {
            plan.note(
                NoteKind::Missing,
                format!("the result does not start: {what}"),
            );
        } else {
            plan.note(
                NoteKind::Hint,
                format!("check warns ({}): {what}", problem.code),
            );
        }
    }
}
