//! Patterns that match other paths than their authors expect: globs of a shell, and patterns with
//! one version of the API. A pattern is suggested only if it matches an endpoint.

use std::ops::Range;

use cetusguard_policy::rule::{Rule, parse};
use cetusguard_policy::rule_reaches;

/// The difference between a pattern and its intended meaning, and the pattern to write.
#[derive(Debug)]
pub(super) struct GlobHint {
    pub(super) why: String,
    pub(super) fix: String,
}

/// Finds a glob: `/*/`, `/**`, a `/*` at the end, or a star behind a letter.
pub(super) fn of_shell(rule: &Rule) -> Option<GlobHint> {
    let (_, pattern) = rule.methods_and_pattern()?;
    let found = find_stars(pattern);
    let first = found.first()?;
    // The character before a star is one byte long.
    let what = if pattern[..first.start].ends_with('/') {
        "slashes"
    } else {
        "that letter"
    };
    let why = format!(
        "{} is any number of {what}",
        &pattern[first.start - 1..first.end]
    );
    let one_part = if_it_reaches(rule, &replace_stars(pattern, &found));
    let below = pattern
        .strip_suffix("/*")
        .map(|folder| format!("{}(/.*)?", replace_stars(folder, &find_stars(folder))));
    let fix = match (
        one_part,
        below.and_then(|pattern| if_it_reaches(rule, &pattern)),
    ) {
        (Some(rule), None) => format!("write {rule}"),
        (Some(rule), Some(below)) => {
            format!("write {rule} for one part of the path, or {below} for all below it")
        }
        (None, Some(below)) => format!("write {below}"),
        (None, None) => {
            "write [^/]+ for one part of the path, and .* for any number of them".to_owned()
        }
    };
    Some(GlobHint { why, fix })
}

/// Returns the places of stars that a shell would take for any name.
fn find_stars(pattern: &str) -> Vec<Range<usize>> {
    let bytes = pattern.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    let mut class = false;
    while at < bytes.len() {
        match bytes[at] {
            // Escaped stars, and stars in brackets, are no wildcards.
            b'\\' => {
                at += 2;
                continue;
            }
            b'[' => class = true,
            b']' => class = false,
            b'*' if !class && at > 0 => {
                let length = bytes[at..].iter().take_while(|byte| **byte == b'*').count();
                let before = bytes[at - 1];
                let is_name = before == b'/'
                    || before.is_ascii_alphanumeric()
                    || matches!(before, b'-' | b'_');
                let is_end = matches!(
                    bytes.get(at + length),
                    None | Some(b'/' | b')' | b'|' | b'.' | b'-' | b'_')
                );
                let is_escaped = pattern[..at - 1].ends_with('\\');
                // A dot behind it could be the one of `.*`.
                let is_glob =
                    is_name && is_end && !is_escaped && !pattern[at + length..].starts_with(".*");
                if is_glob {
                    found.push(at..at + length);
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Returns the pattern with an expression in place of each of these stars.
fn replace_stars(pattern: &str, stars: &[Range<usize>]) -> String {
    let (mut written, mut from) = (String::new(), 0);
    for star in stars {
        let is_last = star.end == pattern.len();
        let before = &pattern[from..star.start];
        match (before.strip_suffix('/'), star.len() > 1) {
            // The folder and all below it.
            (Some(folder), true) if is_last => written.push_str(&format!("{folder}(/.*)?")),
            (Some(folder), true) => written.push_str(&format!("{folder}/.*")),
            (Some(folder), false) => written.push_str(&format!("{folder}/[^/]+")),
            (None, _) => written.push_str(&format!("{before}[^/]*")),
        }
        from = star.end;
    }
    written + &pattern[from..]
}

/// Finds a version that is written out at the beginning of a pattern.
pub(super) fn with_version(rule: &Rule) -> Option<GlobHint> {
    let (_, pattern) = rule.methods_and_pattern()?;
    let start = pattern
        .find("/v")
        .filter(|at| pattern[..*at].chars().all(|c| "^(?:".contains(c)))?;
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = start + 2;
    let major = digits(&pattern[end..]);
    if major == 0 {
        return None;
    }
    end += major;
    while let Some(rest) = pattern[end..]
        .strip_prefix("\\.")
        .or_else(|| pattern[end..].strip_prefix('.'))
    {
        let length = digits(rest);
        if length == 0 {
            break;
        }
        end = pattern.len() - rest.len() + length;
    }
    let why = pattern[start + 1..end].replace('\\', "");
    // A class of digits or other versions may follow.
    let rest = pattern[end..].find('/').map(|at| &pattern[end + at..]);
    let has_version = |text: &str| {
        text.match_indices("/v")
            .any(|(at, _)| digits(&text[at + 2..]) > 0)
    };
    let written = rest
        .filter(|rest| !has_version(rest))
        .map(|rest| format!("%API_PREFIX%{rest}"));
    let fix = match written.and_then(|written| if_it_reaches(rule, &written)) {
        Some(rule) => format!("write {rule}"),
        None => {
            "begin the pattern with %API_PREFIX%, as in %API_PREFIX_CONTAINERS%/json".to_owned()
        }
    };
    Some(GlobHint { why, fix })
}

/// Returns the rule with another pattern, if it then matches an endpoint of a known engine.
fn if_it_reaches(rule: &Rule, pattern: &str) -> Option<String> {
    let (_, own) = rule.methods_and_pattern()?;
    let text = format!("{}{pattern}", &rule.text()[..rule.text().len() - own.len()]);
    let found = parse("suggestion", &text).ok()?.pop()?;
    rule_reaches(&found).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        parse("t", text)
            .unwrap_or_else(|mistakes| panic!("{}", mistakes[0]))
            .pop()
            .expect(text)
    }

    #[test]
    fn globs_are_told_with_what_to_write() {
        for (text, want) in [
            (
                "GET %API_PREFIX_CONTAINERS%/*/json",
                Some("write GET %API_PREFIX_CONTAINERS%/[^/]+/json"),
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/**",
                Some("write GET %API_PREFIX_CONTAINERS%(/.*)?"),
            ),
            (
                "GET %API_PREFIX_VOLUMES%/*",
                Some(
                    "write GET %API_PREFIX_VOLUMES%/[^/]+ for one part of the path, or GET \
                    %API_PREFIX_VOLUMES%(/.*)? for all",
                ),
            ),
            (
                "POST %API_PREFIX%/exec/*",
                Some("write POST %API_PREFIX%/exec(/.*)?"),
            ),
            (
                "DENY POST %API_PREFIX_CONTAINERS%/web-*/stop",
                Some("write DENY POST %API_PREFIX_CONTAINERS%/web-[^/]*/stop"),
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/web*/(json|logs)",
                Some("write GET %API_PREFIX_CONTAINERS%/web[^/]*/(json|logs)"),
            ),
            (
                "GET %API_PREFIX%/*/*/json",
                Some("write GET %API_PREFIX%/[^/]+/[^/]+/json"),
            ),
            (
                "GET %API_PREFIX%/**/json",
                Some("write GET %API_PREFIX%/.*/json"),
            ),
            ("GET %API_PREFIX_CONTAINERS%(/.*)?", None),
            ("GET %API_PREFIX_CONTAINERS%/[a-z]*/json", None),
            ("GET %API_PREFIX_CONTAINERS%/[a/*]+/json", None),
            ("GET %API_PREFIX_CONTAINERS%/\\w*/json", None),
            ("GET %API_PREFIX_CONTAINERS%/(a|b)*/json", None),
            ("GET %API_PREFIX_CONTAINERS%/.*/json", None),
            ("GET .*", None),
            ("ALLOW container.*", None),
        ] {
            let found = of_shell(&rule(text));
            assert_eq!(found.is_some(), want.is_some(), "{text}: {found:?}");
            if let (Some(found), Some(want)) = (found, want) {
                assert!(found.fix.starts_with(want), "{text}: {}", found.fix);
            }
        }
    }

    #[test]
    fn versions_are_told_with_what_to_write() {
        for (text, want) in [
            (
                "GET /v1\\.41/containers/json",
                Some(("v1.41", "write GET %API_PREFIX%/containers/json")),
            ),
            (
                "GET /v1.41/containers/json",
                Some(("v1.41", "write GET %API_PREFIX%/containers/json")),
            ),
            (
                "DENY POST ^/v1\\.43/containers/db/stop$",
                Some(("v1.43", "write DENY POST %API_PREFIX%/containers/db/stop$")),
            ),
            (
                "GET (/v1\\.41)?/info",
                Some(("v1.41", "write GET %API_PREFIX%/info")),
            ),
            (
                "GET /v1\\.4[0-9]/images/json",
                Some(("v1.4", "write GET %API_PREFIX%/images/json")),
            ),
            ("GET /(v1.41|v1.43)/info", None),
            ("GET /v[0-9.]+/info", None),
            ("GET /volumes", None),
            ("GET %API_PREFIX%/info", None),
            ("ALLOW system.info", None),
        ] {
            let found = with_version(&rule(text));
            let shown = found
                .as_ref()
                .map(|hint| (hint.why.as_str(), hint.fix.as_str()));
            assert_eq!(shown, want, "{text}");
        }
    }
}
