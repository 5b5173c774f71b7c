//! Finds the rules that match a call, at a cost that does not grow with the number of rules that have nothing to do with it.
//!
//! Nearly every rule starts, behind an optional version, with a literal first segment: those are kept in one automaton per
//! segment, the few others in one that is always asked. What a rule starts with is read off its syntax tree, so it holds for
//! every way of writing it.

use std::collections::HashMap;
use std::sync::Arc;

use regex::{RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::{Rule, dialect, variable};
use crate::call::{Call, Method};

/// Bounds for one rule's and one automaton's compiled size and for the cache of a search, in bytes.
const RULE_SIZE: usize = 256 << 10;
const SET_SIZE: usize = 16 << 20;
const CACHE_SIZE: usize = 2 << 20;

/// The rules of a profile, in the order in which they were written.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    by_segment: HashMap<String, Bucket>,
    others: Bucket,
}

/// An automaton, and the index of the rule behind each of its expressions.
#[derive(Debug)]
struct Bucket {
    expressions: RegexSet,
    indices: Vec<usize>,
}

impl RuleSet {
    /// Compiles rules into automata.
    ///
    /// # Errors
    /// The reason, where the rules together are larger than the bounds allow.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, String> {
        let mut segments: HashMap<String, Vec<usize>> = HashMap::new();
        let mut others = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match first_segment(&rule.expression) {
                Some(segment) => segments.entry(segment).or_default().push(index),
                None => others.push(index),
            }
        }
        let by_segment = segments
            .into_iter()
            .map(|(segment, indices)| Ok((segment, Bucket::compile(&rules, indices)?)))
            .collect::<Result<_, String>>()?;
        let others = Bucket::compile(&rules, others)?;
        Ok(Self { rules: rules.into_iter().map(Arc::new).collect(), by_segment, others })
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that allow this method on the call's path, in their order.
    pub(crate) fn matching(&self, call: &Call) -> impl Iterator<Item = &Arc<Rule>> + use<'_> {
        let segment = call.unversioned_path()[1..].split('/').next().unwrap_or_default();
        let mut indices: Vec<usize> = Vec::new();
        for bucket in self.by_segment.get(segment).into_iter().chain([&self.others]) {
            let matched = bucket.expressions.matches(call.path());
            indices
                .extend(matched.iter().map(|at| bucket.indices[at]).filter(|at| self.rules[*at].allows(call.method())));
        }
        indices.sort_unstable();
        indices.into_iter().map(|index| &self.rules[index])
    }
}

impl Rule {
    fn allows(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }

    /// Whether this rule's expression matches the whole path, whatever the method. One that does not compile alone covers
    /// everything: it then grants by wildcard, which is less.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let compile = || build([self.expression.as_str()], RULE_SIZE).ok();
        self.alone.get_or_init(compile).as_ref().is_none_or(|expression| expression.is_match(path))
    }
}

impl Bucket {
    fn compile(rules: &[Rule], indices: Vec<usize>) -> Result<Self, String> {
        let expressions = build(indices.iter().map(|index| rules[*index].expression.as_str()), SET_SIZE)?;
        Ok(Self { expressions, indices })
    }
}

/// Groups before it anchors, so that `a|b` never matches by half.
fn anchored(expression: &str) -> String {
    format!(r"\A(?:{expression})\z")
}

fn build<'a>(expressions: impl IntoIterator<Item = &'a str>, limit: usize) -> Result<RegexSet, String> {
    RegexSetBuilder::new(expressions.into_iter().map(anchored))
        .size_limit(limit)
        .dfa_size_limit(CACHE_SIZE)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the expression is too large once compiled".to_owned(),
            // The last line of the crate's report is the reason; the lines before it draw the expanded expression.
            error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })
}

/// Whether one rule's expression compiles within the bounds.
pub(super) fn check(expression: &str) -> Result<(), String> {
    build([expression], RULE_SIZE).map(|_| ())
}

/// The literal first segment that every path of the expression has behind an optional version, if it has one.
fn first_segment(expression: &str) -> Option<String> {
    let version = regex_syntax::parse(&dialect::from_go(&variable::expand("%API_PREFIX%"))).ok()?;
    let whole = regex_syntax::parse(expression).ok()?;
    let mut parts: Vec<&Hir> = Vec::new();
    flatten(&whole, &mut parts);
    parts.retain(|part| !matches!(part.kind(), HirKind::Look(Look::Start)));
    let (first, rest) = parts.split_first()?;
    let rest = if **first == version { rest } else { &parts[..] };
    let (literal, behind) = rest.split_first()?;
    let HirKind::Literal(literal) = literal.kind() else { return None };
    let path = std::str::from_utf8(&literal.0).ok()?.strip_prefix('/')?;
    match path.split_once('/') {
        Some((segment, _)) if !is_version(segment) => Some(segment.to_owned()),
        // The literal ends inside the segment: the end of the expression makes it whole, or a last `(/…)?`.
        None if behind.iter().all(|part| behind.len() == 1 && is_optional_subpath(part)) && !is_version(path) => {
            Some(path.to_owned())
        }
        _ => None,
    }
}

/// `(/.*)?` and its kind: nothing at all, or a slash first.
fn is_optional_subpath(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let mut parts = Vec::new();
    flatten(&repetition.sub, &mut parts);
    matches!(parts.first().map(|part| part.kind()), Some(HirKind::Literal(literal)) if literal.0.starts_with(b"/"))
}

/// A path's first segment behind the version is what buckets are named by, so a literal version names none.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty => {}
        _ => parts.push(hir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{VARIABLES, parse};

    #[test]
    fn the_first_segment_is_read_off_any_way_of_writing() {
        for (pattern, want) in [
            ("%API_PREFIX_CONTAINERS%/json", Some("containers")),
            ("%API_PREFIX_CONTAINERS%(/.*)?", Some("containers")),
            ("%API_PREFIX_CONTAINERS%(/.*)?x", None),
            ("%API_PREFIX_CONTAINERS%(x/.*)?", None),
            ("%API_PREFIX_INFO%", Some("info")),
            ("/containers/json", Some("containers")),
            ("^/containers/json$", Some("containers")),
            ("(/containers/)json", Some("containers")),
            ("%API_PREFIX_EXEC%/x", None),
            ("/contain.*", None),
            ("/v1.43/containers/json", None),
            (r"/v1\.43/containers/json", None),
            ("/containers/json|/info", None),
            ("/(containers|images)/json", None),
            (".*", None),
        ] {
            let rule = parse("t", &format!("GET {pattern}")).expect(pattern).remove(0);
            assert_eq!(first_segment(&rule.expression).as_deref(), want, "{pattern}");
        }
    }

    /// The fast way and the naive way must agree on every rule and path.
    #[test]
    fn buckets_agree_with_one_expression_after_the_other() {
        let mut text = String::from(
            "GET .*\nGET /v1.43/containers/.*\nGET /containers/json|/info\nGET %API_PREFIX%/(containers|images)/json\nGET /conta.*\n\
             POST %API_PREFIX_EXEC%(/.*)?\nGET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET ^/containers/json$\nGET /containers\nGET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\n",
        );
        for (name, _) in VARIABLES {
            text.push_str(&format!("GET %{name}%\nGET %{name}%/json\nGET /images/%{name}%/json\n"));
        }
        let rules = parse("t", &text).expect("valid");
        let set = RuleSet::compile(rules.clone()).expect("small");
        for target in [
            "/containers/json",
            "/v1.43/containers/json",
            "/v1.44/containers/web/json",
            "/info",
            "/v1.43/info",
            "/images/json",
            "/images/a/b:c/json",
            "/containers",
            "/containers/web/exec",
            "/exec/1/start",
            "/v4.0.0/libpod/containers/json",
            "/a",
            "/",
            "/v1.43/containers/",
            "/images/docker.io/library/x@sha256:09c731d73926315908778730f9e60686/json",
        ] {
            for method in [Method::Get, Method::Post] {
                let call = Call::read(method.as_str(), target).expect(target);
                let naive: Vec<_> = rules
                    .iter()
                    .filter(|rule| {
                        rule.allows(method)
                            && regex::Regex::new(&anchored(&rule.expression)).expect("checked").is_match(call.path())
                    })
                    .map(|rule| rule.position.line)
                    .collect();
                let fast: Vec<_> = set.matching(&call).map(|rule| rule.position.line).collect();
                assert_eq!(fast, naive, "{method} {target}");
            }
        }
    }
}
