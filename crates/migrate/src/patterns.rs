//! Go's regular expressions between `^` and `$`, as both proxies in Go write their rules.

use std::rc::Rc;

use cetusguard_policy::Profile;
use cetusguard_policy::guard::{Guard, GuardLevel};
use cetusguard_policy::rule::parse;

use super::compare::{is_matched, profile_of};
use super::note::NoteKind;
use super::plan::{PeerDecisions, Plan, Rights};

/// Adds a rule for methods and an expression, which the peer reads as `^EXPRESSION$`.
pub(super) fn add_pattern(
    methods: &str,
    pattern: &str,
    from: &str,
    rights: &mut Rights,
    plan: &mut Plan,
) {
    let there = as_read_there(pattern);
    if there.len() > 1 {
        let what = format!(
            "{from}: {methods} {pattern}: each alternative has to match the whole path here; \
            there, the first one had to match its beginning and the last one its end"
        );
        plan.note(NoteKind::Stricter, what);
    }
    rights
        .rules
        .push((format!("{methods} {pattern}"), from.to_owned()));
    let rules: Vec<_> = there
        .iter()
        .flat_map(|pattern| parse("", &format!("{methods} {pattern}")).unwrap_or_default())
        .collect();
    let profile = Rc::new(unguarded(rules));
    let peer = PeerDecisions::new(move |method, path| is_matched(&profile, method, path));
    rights.peer = rights.peer.or(&peer);
}

/// Makes a profile whose rules alone decide.
pub(super) fn unguarded(rules: Vec<cetusguard_policy::rule::Rule>) -> Profile {
    profile_of(
        rules,
        Guard {
            level: GuardLevel::Privileged,
            ..Guard::default()
        },
    )
}

/// Returns expressions for whole paths that match the same as `^EXPRESSION$`, whose anchors hold
/// for the first and the last alternative alone: `^a|b$` matches `a.*` and `.*b`.
fn as_read_there(pattern: &str) -> Vec<String> {
    let alternatives = split_alternatives(pattern);
    let last = alternatives.len() - 1;
    let read = alternatives.iter().enumerate().map(|(at, alternative)| {
        let before = if at == 0 { "" } else { ".*" };
        let behind = if at == last { "" } else { ".*" };
        format!("{before}(?:{alternative}){behind}")
    });
    if last == 0 {
        vec![pattern.to_owned()]
    } else {
        read.collect()
    }
}

/// Splits an expression at each `|` outside of all groups and classes.
fn split_alternatives(pattern: &str) -> Vec<&str> {
    let (mut depth, mut class, mut escaped, mut start) = (0_i32, false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if class => class = false,
            _ if class => {}
            '[' => class = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_anchored_alternatives() {
        assert_eq!(as_read_there("/a(b|c)[|]\\|"), ["/a(b|c)[|]\\|"]);
        assert_eq!(
            as_read_there("/a|/b|/c"),
            ["(?:/a).*", ".*(?:/b).*", ".*(?:/c)"]
        );
    }
}
