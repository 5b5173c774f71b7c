//! Finds the rules that match a call, at a cost that hardly grows with the number of rules.
//!
//! Nearly every form of a rule knows the first segment of its paths: those are kept by that segment, the few others are always
//! asked.

use std::collections::HashMap;
use std::sync::Arc;

use super::Rule;
use super::form::Form;
use crate::call::Call;
use crate::method::Methods;

/// The rules of a profile, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    by_segment: HashMap<Box<str>, Vec<Entry>>,
    others: Vec<Entry>,
    names_objects: bool,
}

/// A form, what it needs to be asked, and the index of its rule.
#[derive(Clone, Debug)]
struct Entry {
    rule: usize,
    methods: Methods,
    form: Form,
}

impl RuleSet {
    /// Sorts rules into their places.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut set = Self { rules: rules.into_iter().map(Arc::new).collect(), ..Self::default() };
        set.names_objects = set.rules.iter().any(|rule| names_a_container(rule.pattern()));
        for (index, rule) in set.rules.iter().enumerate() {
            for form in &rule.forms {
                let entry = Entry { rule: index, methods: rule.methods, form: form.clone() };
                match form.segment() {
                    Some(segment) => set.by_segment.entry(segment.into()).or_default().push(entry),
                    None => set.others.push(entry),
                }
            }
        }
        set
    }

    /// Whether any of these rules may be about containers of some names alone: then a container that is called by its identifier
    /// is worth a question to the engine.
    #[must_use]
    pub fn name_objects(&self) -> bool {
        self.names_objects
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that allow this method on the call's path, in their order.
    pub(crate) fn matching(&self, call: &Call) -> impl Iterator<Item = &Arc<Rule>> {
        let segment = call.unversioned_path()[1..].split('/').next().unwrap_or_default();
        let known = self.by_segment.get(segment).map(Vec::as_slice).unwrap_or_default();
        let (path, unversioned, method) = (call.path(), call.version_prefix().len(), call.method());
        let mut last = None;
        merged(known, &self.others)
            .filter(move |entry| entry.methods.contain(method) && entry.form.matches(path, unversioned))
            // A rule that matches in two ways is still one rule.
            .filter(move |entry| last.replace(entry.rule) != Some(entry.rule))
            .map(|entry| &self.rules[entry.rule])
    }
}

/// Whether a pattern has something else than a variable or a wildcard where the name of a container stands. A pattern that is
/// taken for such a one costs a question, and grants nothing by itself.
fn names_a_container(pattern: &str) -> bool {
    let behind = ["CONTAINERS%/", "containers/"].iter().find_map(|section| pattern.split_once(section));
    let Some((_, rest)) = behind else { return false };
    let is_list =
        ["json", "create", "prune", "%CONTAINER", "%_OBJECT", ".*", "[^/]"].iter().any(|word| rest.starts_with(word));
    !is_list
}

/// Two lists, each in order, as one in order.
fn merged<'a>(mut one: &'a [Entry], mut other: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
    std::iter::from_fn(move || {
        let from_one = match (one.first(), other.first()) {
            (Some(one), Some(other)) => one.rule < other.rule,
            (one, _) => one.is_some(),
        };
        let (entry, rest) = (if from_one { one } else { other }).split_first()?;
        *(if from_one { &mut one } else { &mut other }) = rest;
        Some(entry)
    })
}

impl Rule {
    /// Whether this rule's pattern matches the path, whatever the method; `unversioned` is where it starts behind its version.
    pub(crate) fn covers(&self, path: &str, unversioned: usize) -> bool {
        self.forms.iter().any(|form| form.matches(path, unversioned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;
    use crate::rule::{Compared, VARIABLES, parse};

    /// Rules of every kind, and what users write around variables.
    fn rules() -> String {
        let mut text = String::from(
            "GET .*\nGET /v1.43/containers/.*\nGET /containers/json|/info\nGET %API_PREFIX%/(containers|images)/json\nGET /conta.*\n\
             POST %API_PREFIX_EXEC%(/.*)?\nGET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET ^/containers/json$\nGET /containers\n\
             GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\nGET %API_PREFIX%.*json\nGET %API_PREFIX%/v1\nGET %API_PREFIX%/v?1\n\
             GET %API_PREFIX%/(v|w)(1|2)/.*\nGET (/v1.43)?(/a|/b)?/?\nGET (%API_PREFIX%)?/info\nGET %_API_VERSION%/(a|info)?\nGET /.*\\bjson\n\
             GET (?i)/INFO\nGET /(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)\nGET /a(/a)*\nGET /a/.*a/a\nGET (|/a|/a/)\nGET /é.?/a\n",
        );
        for (name, _) in VARIABLES {
            text.push_str(&format!(
                "GET %{name}%\nGET %{name}%/json\nGET /images/%{name}%/json\nGET %API_PREFIX%/a/%{name}%(/a)?\n"
            ));
        }
        text
    }

    /// The fast way and the naive way must agree on every rule and path.
    #[test]
    fn parts_agree_with_the_whole_expression() {
        let rules = parse("t", &rules()).expect("valid");
        let rules = Compared::new(rules).expect("small");
        let words = [
            "",
            "/",
            "/v1.43",
            "/v1",
            "/v",
            "/w1",
            "/containers",
            "/json",
            "/info",
            "/a",
            "/aa",
            "/images",
            "/exec",
            "/libpod",
            "/0123abcdef",
            "/a:b",
            "/é",
            "/INFO",
            "a",
        ];
        let mut targets: Vec<String> =
            vec!["/images/docker.io/library/x@sha256:09c731d73926315908778730f9e60686/json".to_owned()];
        for one in words {
            for two in words {
                for three in words {
                    targets.extend(["", "/json"].map(|four| format!("{one}{two}{three}{four}")));
                }
            }
        }
        let mut asked = 0;
        for target in targets.iter().map(|target| target.replace('é', "%C3%A9")) {
            for method in [Method::Get, Method::Post] {
                let Ok(call) = Call::read(method.as_str(), &target) else { continue };
                let [parts, whole] = rules.matching_lines(&call);
                assert_eq!(parts, whole, "{method} {target}");
                asked += 1;
            }
        }
        assert!(asked > 5_000, "{asked}");
    }

    /// The same for patterns that nobody would write: pieces put together at random, the same ones in every run.
    #[test]
    fn parts_agree_with_the_whole_expression_for_any_pattern() {
        const PIECES: [&str; 24] = [
            "/a",
            "/aa",
            "a",
            "/",
            "/v",
            "1",
            ".43",
            "/v1.43",
            "%API_PREFIX%",
            "%_API_VERSION%",
            "/libpod",
            "/é",
            "(/.*)?",
            ".*",
            "[a-z]+",
            "[^/]+",
            "(?i)A",
            "\\b",
            "^",
            "$",
            "?",
            "+",
            "{2}",
            "%CONTAINER_ID_OR_NAME%",
        ];
        const WORDS: [&str; 12] =
            ["/a", "/aa", "/a/a", "a", "/", "/v1.43", "/v1", "/libpod", "/%C3%A9", "1", "A", "/ab.c"];
        // Knuth's MMIX generator.
        let mut state: u64 = 42;
        let mut any = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut matched, mut asked) = (0, 0);
        for _ in 0..4_000 {
            let mut pattern = String::new();
            for _ in 0..1 + any(6) {
                match any(5) {
                    0 => pattern = format!("({pattern}|{})", PIECES[any(PIECES.len())]),
                    1 => pattern = format!("({pattern})?{}", PIECES[any(PIECES.len())]),
                    _ => pattern.push_str(PIECES[any(PIECES.len())]),
                }
            }
            let Ok(rules) = parse("t", &format!("GET {pattern}")) else { continue };
            let rules = Compared::new(rules).expect(&pattern);
            for _ in 0..30 {
                let target: String = (0..1 + any(4)).map(|_| WORDS[any(WORDS.len())]).collect();
                let Ok(call) = Call::read("GET", &target) else { continue };
                let [parts, whole] = rules.matching_lines(&call);
                assert_eq!(parts, whole, "{pattern} ← {}", call.path());
                (matched, asked) = (matched + parts.len(), asked + 1);
            }
        }
        assert!(asked > 20_000 && matched > 1_000, "{matched} of {asked}");
    }
}
