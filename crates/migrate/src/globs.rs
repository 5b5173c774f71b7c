//! Ordered rules with globs, of which the first that matches decides, as sockguard has them.

use std::collections::BTreeSet;
use std::rc::Rc;

use cetusguard_policy::endpoint::{Endpoint, EndpointId};
use cetusguard_policy::rule::parse;
use cetusguard_policy::{Call, Method, Profile};

use super::compare::is_matched;
use super::lines::Lines;
use super::note::{Note, NoteKind};
use super::patterns::unguarded;
use super::plan::{PeerDecisions, Rights};

/// The methods that `*` stands for.
const METHODS: [Method; 5] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
];

/// A name that only globs for any name match.
const ANY: &str = "0zq9";

/// One rule.
#[derive(Debug)]
pub(super) struct Ordered {
    methods: Vec<Method>,
    glob: String,
    allows: bool,
    /// A profile with a rule for the same paths.
    profile: Profile,
}

impl Ordered {
    /// Reads a rule: methods with commas between them, and a glob.
    pub(super) fn new(methods: &str, glob: &str, allows: bool) -> Self {
        let names: Vec<_> = methods
            .split(',')
            .map(|method| method.trim().to_uppercase())
            .collect();
        let is_meant = |method: &Method| {
            names
                .iter()
                .any(|name| name == "*" || name == method.as_str())
        };
        let methods: Vec<_> = METHODS.into_iter().filter(is_meant).collect();
        let mut rule = Self {
            methods,
            glob: glob.to_owned(),
            allows,
            profile: unguarded(Vec::new()),
        };
        rule.profile = unguarded(parse("", &rule.as_rule()).unwrap_or_default());
        rule
    }

    /// Returns a rule of Cetusguard for the same calls.
    fn as_rule(&self) -> String {
        let methods: Vec<_> = self.methods.iter().map(|method| method.as_str()).collect();
        format!(
            "{} %API_PREFIX%{}",
            methods.join(","),
            glob_expression(&self.glob)
        )
    }

    /// Returns whether it matches a call. Podman's own API has to be named.
    fn matches(&self, method: Method, path: &str) -> bool {
        let is_libpod = Call::from_path(method, path)
            .is_ok_and(|call| call.unversioned_path().starts_with("/libpod/"));
        self.methods.contains(&method)
            && (!is_libpod || self.glob.starts_with("/libpod"))
            && is_matched(&self.profile, method, path)
    }

    /// Returns whether some call could match both rules.
    fn meets(&self, other: &Self) -> bool {
        self.methods
            .iter()
            .any(|method| other.methods.contains(method))
            && can_meet(&self.glob, &other.glob)
    }

    fn text(&self) -> String {
        let methods: Vec<_> = self.methods.iter().map(|method| method.as_str()).collect();
        format!("{} {}", methods.join(","), self.glob)
    }
}

/// Returns rights with the intent of these rules, and notes on denials that no rule can express.
/// `reads_contents` tells whether the proxy accepts rules that hand over contents.
pub(super) fn rights_of_rules(rules: Vec<Ordered>, reads_contents: bool) -> (Rights, Vec<Note>) {
    let (mut rights, mut notes, mut closed) = (Rights::default(), Vec::new(), BTreeSet::new());
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.allows) {
        let denials: Vec<_> = rules[..at]
            .iter()
            .filter(|denial| !denial.allows && denial.meets(rule))
            .collect();
        if denials.is_empty() {
            rights.rules.push((rule.as_rule(), String::new()));
            continue;
        }
        let mut lines = Lines::default();
        let mut count = 0_usize;
        for endpoint in Endpoint::all().filter(|endpoint| decides_for_any(&rules, at, endpoint)) {
            if let Some(denial) = denials.iter().find(|denial| is_about(denial, endpoint)) {
                closed.insert(endpoint.id);
                let what = format!(
                    "the denial of {} is of some objects alone, which no rule here can be, so this \
                    is closed for all: add rules for the names that clients need",
                    denial.text()
                );
                notes.push(Note {
                    endpoints: vec![endpoint.id],
                    ..Note::new(NoteKind::Missing, what)
                });
                continue;
            }
            count += 1;
            if !endpoint.is_named_only() {
                lines.add(endpoint);
            }
        }
        if count == 0 {
            let what = format!(
                "{} is left out: a denial before it is of some of the same calls",
                rule.text()
            );
            notes.push(Note::new(NoteKind::Missing, what));
        }
        rights
            .rules
            .extend(lines.into_rules().map(|line| (line, rule.text())));
    }
    rights.peer = peer_of_rules(rules, closed, reads_contents);
    (rights, notes)
}

/// Returns whether this rule decides about an endpoint for any object.
fn decides_for_any(rules: &[Ordered], at: usize, endpoint: &Endpoint) -> bool {
    let path = path_of(endpoint);
    endpoint.shape != "/{path*}"
        && rules
            .iter()
            .position(|rule| rule.matches(endpoint.method, &path))
            == Some(at)
}

/// Returns whether a denial may be of some calls of an endpoint.
fn is_about(denial: &Ordered, endpoint: &Endpoint) -> bool {
    let shape = endpoint.shape.split('/').map(|segment| match segment {
        segment if segment.ends_with("*}") => "**",
        segment if segment.starts_with('{') => "*",
        segment => segment,
    });
    denial.methods.contains(&endpoint.method)
        && can_meet(&denial.glob, &shape.collect::<Vec<_>>().join("/"))
}

fn path_of(endpoint: &Endpoint) -> String {
    let segments = endpoint.shape.split('/').map(|segment| {
        if segment.starts_with('{') {
            ANY
        } else {
            segment
        }
    });
    let version = if endpoint.is_libpod() { "/v5.0.0" } else { "" };
    format!("{version}{}", segments.collect::<Vec<_>>().join("/"))
}

fn peer_of_rules(
    rules: Vec<Ordered>,
    closed: BTreeSet<EndpointId>,
    reads_contents: bool,
) -> PeerDecisions {
    let rules = Rc::new(rules);
    let decide = |rules: &[Ordered], method: Method, path: &str| {
        rules
            .iter()
            .find(|rule| rule.matches(method, path))
            .is_some_and(|rule| rule.allows)
    };
    let strict = Rc::clone(&rules);
    PeerDecisions::with_older(
        move |method, path| {
            let endpoint = Call::from_path(method, path)
                .ok()
                .and_then(|call| call.endpoint());
            let is_held = |endpoint: &Endpoint| {
                closed.contains(&endpoint.id)
                    || (endpoint.is_named_only() && method.is_safe() && !reads_contents)
            };
            !endpoint.is_some_and(is_held) && decide(&strict, method, path)
        },
        move |method, path| decide(&rules, method, path),
    )
}

/// A glob as an expression: `/**` is anything below, `**` anything, `*` a part of a segment.
fn glob_expression(glob: &str) -> String {
    let mut out = String::new();
    let mut rest = glob;
    while !rest.is_empty() {
        let (piece, length) = if rest.starts_with("/**") {
            ("(/.*)?".to_owned(), 3)
        } else if rest.starts_with("**") {
            (".*".to_owned(), 2)
        } else if rest.starts_with('*') {
            ("[^/]*".to_owned(), 1)
        } else {
            let c = rest.chars().next().unwrap_or_default();
            let piece = match c {
                '%' | '#' | ' ' => format!("\\x{:02x}", u32::from(c)),
                c if ".+?()[]{}|^$\\".contains(c) => format!("\\{c}"),
                c => c.to_string(),
            };
            (piece, c.len_utf8())
        };
        out.push_str(&piece);
        rest = &rest[length..];
    }
    out
}

/// Returns whether a path could match both globs; it may say so where none does, but never the
/// other way round.
fn can_meet(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.contains("**") || b.contains("**") => return true,
            (Some(a), Some(b)) if a.contains('*') || b.contains('*') || a == b => {}
            // `/**` may stand for nothing at all.
            (Some(rest), None) | (None, Some(rest)) => return rest.contains("**"),
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_meet_where_a_path_could_match_both() {
        for (one, other, want) in [
            ("/containers/*/json", "/containers/web/json", true),
            ("/containers/web/*", "/containers/*/json", true),
            ("/containers/*/json", "/containers/*/logs", false),
            ("/secrets/**", "/containers/*", false),
            ("/containers/**", "/containers", true),
            ("/**", "/info", true),
            ("/info", "/info/x", false),
        ] {
            assert_eq!(
                (can_meet(one, other), can_meet(other, one)),
                (want, want),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn the_first_rule_decides() {
        let rules = || {
            vec![
                Ordered::new("GET", "/containers/secret/json", false),
                Ordered::new("GET", "/containers/*/logs", false),
                Ordered::new("*", "/containers/**", true),
            ]
        };
        let (rights, notes) = rights_of_rules(rules(), false);
        let text: String = rights
            .rules
            .iter()
            .map(|(rule, _)| format!("{rule}\n"))
            .collect();
        assert!(
            text.contains("/(") && !text.contains("logs") && !text.contains("json|"),
            "{text}"
        );
        assert!(
            notes
                .iter()
                .any(|note| note.what.contains("/containers/secret/json")),
            "{notes:?}"
        );
        assert!(!rights.peer.allows(Method::Get, "/containers/web/json"));
        assert!(rights.peer.may_allow(Method::Get, "/containers/web/json"));
        assert!(
            rights
                .peer
                .allows(Method::Post, "/v1.43/containers/web/stop")
        );
    }
}
