//! The rule matcher once more, without its shortcuts: each rule is one expression, and each is
//! asked; and an endpoint is found by asking all of them. Tests and fuzz targets compare the rule
//! set with it.

use std::sync::LazyLock;

use regex_automata::meta::Regex;

use super::{Body, Rule, RuleSet, dialect, variable};
use crate::call::Call;
use crate::endpoint::{Endpoint, ObjectKind};
use crate::method::Method;

/// A rule set, and the same rules as the expressions that they are.
#[derive(Debug)]
pub struct Compared {
    set: RuleSet,
    /// `None` for rules by name.
    expressions: Vec<Option<Regex>>,
}

impl Compared {
    /// Compiles rules in both ways; `None` where a whole expression is too large to be compared.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        let compile = |rule: &Rule| match &rule.body {
            Body::Names(_) => Some(None),
            Body::Pattern { .. } => {
                let expression = dialect::from_go(&variable::expand(rule.pattern()));
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

    /// Returns the lines of the rules that match a call, of those that allow it and of the first
    /// that denies it: those that the rule set finds, and those that match one by one.
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
        let endpoint = endpoint(call);
        let asked = self.set.rules().iter().zip(&self.expressions);
        let matching = asked.filter(|(rule, whole)| match (&rule.body, whole) {
            (Body::Pattern { methods, .. }, Some(whole)) => {
                let by_get =
                    rule.denies() && call.method() == Method::Head && methods.contain(Method::Get);
                (by_get || methods.contain(call.method())) && whole.is_match(call.path())
            }
            (Body::Names(scopes), _) => scopes.iter().any(|scope| {
                let by_method = rule.denies() || scope.endpoint.method == call.method();
                by_method && endpoint.is_some_and(|found| found.id == scope.endpoint.id) && {
                    let object = call.object().filter(|(kind, _)| *kind != ObjectKind::Exec);
                    let is_about = object.map_or(!rule.denies(), |(_, word)| scope.is_about(&word));
                    scope.objects.is_empty() || is_about
                }
            }),
            (Body::Pattern { .. }, None) => false,
        });
        let matching: Vec<_> = matching.map(|(rule, _)| rule).collect();
        let lines = |denies: bool| {
            let own = matching.iter().filter(move |rule| rule.denies() == denies);
            own.map(|rule| rule.position.line)
        };
        [found, (lines(false).collect(), lines(true).next())]
    }
}

/// Every endpoint, and an expression for its paths without a version.
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

/// Finds the endpoint of a call: of all that have its path, the one with the most literal words.
fn endpoint(call: &Call) -> Option<&'static Endpoint> {
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
        // Of several, the first in the table.
        fitting.rev().max_by_key(literals)
    };
    of(call.method()).or_else(|| of(Method::Get).filter(|_| call.method() == Method::Head))
}
