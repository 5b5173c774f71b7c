//! A second rule matcher without shortcuts, for tests and fuzz targets: each rule is one
//! expression, each is tested, and an endpoint is found by a test of every row of the table.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

use super::{Rule, RuleBody, RuleSet, to_regex_syntax};
use crate::endpoint::{Endpoint, ObjectKind};
use crate::request::call::Call;
use crate::request::method::Method;

/// A rule set, with the same rules as whole expressions.
#[derive(Debug)]
pub struct Compared {
    set: RuleSet,
    /// The expression of each rule; `None` for a rule by name.
    expressions: Vec<Option<Regex>>,
}

impl Compared {
    /// Compiles rules in both ways; `None` if a whole expression is too large.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        let compile = |rule: &Rule| match &rule.body {
            RuleBody::Names(_) => Some(None),
            RuleBody::Pattern { .. } => {
                let expression = to_regex_syntax(rule.pattern());
                let config = Regex::config().nfa_size_limit(Some(1 << 20));
                Regex::builder()
                    .configure(config)
                    .build(&format!(r"\A(?:{expression})\z"))
                    .ok()
                    .map(Some)
            }
        };
        let expressions = rules.iter().map(compile).collect::<Option<_>>()?;
        Some(Self {
            set: RuleSet::new(rules),
            expressions,
        })
    }

    /// Returns the lines of all rules that allow a call and of the first rule that denies it,
    /// twice: as the rule set finds them, and by a test of each rule.
    #[must_use]
    pub fn matching_lines(&self, call: &Call) -> [(Vec<usize>, Option<usize>); 2] {
        let allowing = self
            .set
            .matching(call)
            .map(|rule| rule.position.line)
            .collect();
        let found = (
            allowing,
            self.set.denial(call).map(|rule| rule.position.line),
        );
        let endpoint = find_endpoint(call);
        let asked = self.set.rules().iter().zip(&self.expressions);
        let matching = asked.filter(|(rule, whole)| match (&rule.body, whole) {
            (RuleBody::Pattern { methods, .. }, Some(whole)) => {
                let by_get =
                    rule.denies() && call.method() == Method::Head && methods.contain(Method::Get);
                (by_get || methods.contain(call.method())) && whole.is_match(call.path())
            }
            (RuleBody::Names(names), _) => names.iter().any(|named| {
                let by_method = rule.denies() || named.endpoint.method == call.method();
                by_method && endpoint.is_some_and(|found| found.id == named.endpoint.id) && {
                    let object = call.object().filter(|(kind, _)| *kind != ObjectKind::Exec);
                    let is_about = object.map_or(!rule.denies(), |(_, word)| named.is_about(&word));
                    named.objects.is_empty() || is_about
                }
            }),
            (RuleBody::Pattern { .. }, None) => false,
        });
        let matching: Vec<_> = matching.map(|(rule, _)| rule).collect();
        let lines = |denies: bool| {
            let own = matching.iter().filter(move |rule| rule.denies() == denies);
            own.map(|rule| rule.position.line)
        };
        [found, (lines(false).collect(), lines(true).next())]
    }
}

/// Every endpoint, with an expression for its paths without a version.
static ENDPOINTS: LazyLock<Vec<(&'static Endpoint, Regex)>> = LazyLock::new(|| {
    let compiled = |endpoint: &'static Endpoint| {
        let segments = endpoint.shape[1..].split('/').map(|segment| match segment {
            many if many.ends_with("*}") => "/[^/]*(?:/[^/]*)*".to_owned(),
            one if one.starts_with('{') => "/[^/]+".to_owned(),
            word => format!("/{}", regex_syntax::escape(word)),
        });
        let whole = format!(r"\A(?:{})\z", segments.collect::<String>());
        Some((endpoint, Regex::new(&whole).ok()?))
    };
    Endpoint::all().filter_map(compiled).collect()
});

/// Returns the endpoint of a call: of all that match its path, the one with the most literal words.
fn find_endpoint(call: &Call) -> Option<&'static Endpoint> {
    let of = |method: Method| {
        let fitting = ENDPOINTS
            .iter()
            .filter(|(endpoint, _)| endpoint.method == method);
        let fitting = fitting
            .filter(|(_, whole)| whole.is_match(call.unversioned_path()))
            .map(|(endpoint, _)| *endpoint);
        let literals = |endpoint: &&Endpoint| {
            endpoint
                .shape
                .split('/')
                .filter(|word| !word.starts_with('{'))
                .count()
        };
        // The first row of the table wins, and `max_by_key` returns the last maximum.
        fitting.rev().max_by_key(literals)
    };
    of(call.method()).or_else(|| of(Method::Get).filter(|_| call.method() == Method::Head))
}
