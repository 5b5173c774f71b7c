//! What every rule of a profile says to a call: the decision, told step by step.

use std::sync::Arc;

use crate::call::Call;
use crate::decide::{ToName, names, to_name};
use crate::profile::Profile;
use crate::rule::{Miss, Rule};

/// A rule, and what it says to a call.
#[derive(Debug)]
pub struct Attempt {
    /// The rule.
    pub rule: Arc<Rule>,
    /// What it says.
    pub tried: Tried,
}

/// What a rule says to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It matches, and that is enough.
    Grants,
    /// It matches by a wildcard, which opens nothing of this kind.
    Wildcard,
    /// It does not match.
    Misses(Miss),
}

/// Asks each rule of the profile, in the order of writing. The verdict is that of [`decide()`](crate::decide()).
#[must_use]
pub fn trace(call: &Call, profile: &Profile) -> Vec<Attempt> {
    let to_name = to_name(call);
    let rules = profile.rules.rules().iter();
    let tried = |rule: &Rule| match (rule.miss(call), &to_name) {
        (Some(miss), _) => Tried::Misses(miss),
        (None, ToName::Nothing) => Tried::Grants,
        (None, ToName::Word(word)) if names(rule, call, word) => Tried::Grants,
        (None, _) => Tried::Wildcard,
    };
    rules.map(|rule| Attempt { tried: tried(rule), rule: Arc::clone(rule) }).collect()
}
