//! The rule matcher once more, without its shortcuts: each rule is one expression, and each is asked. Tests and fuzz targets
//! compare the rule set with it.

use regex_automata::meta::Regex;

use super::{Rule, RuleSet, dialect, variable};
use crate::call::Call;

/// A rule set, and the same rules as the expressions that they are.
#[derive(Debug)]
pub struct Compared {
    set: RuleSet,
    expressions: Vec<Regex>,
}

impl Compared {
    /// Compiles rules in both ways; `None` where a whole expression is too large to be compared.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        let compile = |rule: &Rule| {
            let expression = dialect::from_go(&variable::expand(rule.pattern()));
            let config = Regex::config().nfa_size_limit(Some(1 << 20));
            Regex::builder().configure(config).build(&format!(r"\A(?:{expression})\z")).ok()
        };
        let expressions = rules.iter().map(compile).collect::<Option<_>>()?;
        Some(Self { set: RuleSet::new(rules), expressions })
    }

    /// Returns the lines of the rules that match a call: those that the rule set finds, and those whose whole expression matches.
    #[must_use]
    pub fn matching_lines(&self, call: &Call) -> [Vec<usize>; 2] {
        let found = self.set.matching(call).map(|rule| rule.position.line).collect();
        let asked = self.set.rules().iter().zip(&self.expressions);
        let matching = asked.filter(|(rule, whole)| rule.methods.contain(call.method()) && whole.is_match(call.path()));
        [found, matching.map(|(rule, _)| rule.position.line).collect()]
    }
}
