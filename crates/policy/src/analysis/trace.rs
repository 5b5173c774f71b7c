//! The trace of a decision: the part of every rule of a profile in it.

use std::sync::Arc;

use crate::decide::{find_denying_rule, opens, to_name};
use crate::identity::profile::Profile;
use crate::request::call::Call;
use crate::request::method::Method;
use crate::rule::{Miss, Rule, RuleSet};

/// A rule, and its part in a decision.
#[derive(Debug)]
pub struct Attempt {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The part.
    pub tried: Tried,
}

/// The part of a rule in the decision about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The rule matches, and that is enough.
    Grants,
    /// The rule matches by a wildcard, which opens nothing of this kind.
    Wildcard,
    /// The rule matches, and denies the call against any allow rule.
    Denies,
    /// The rule denies the call if the engine's name for the object is one that it is about.
    MayDeny,
    /// The rule does not match.
    Misses(Miss),
}

/// Traces each rule of the profile, in the order of writing. The verdict is that of
/// [`decide()`](crate::decide()).
#[must_use]
pub fn trace(call: &Call, profile: &Profile) -> Vec<Attempt> {
    let to_name = to_name(call);
    let as_get =
        (call.method() == Method::Head && profile.rules.head_follows_get()).then(|| call.as_get());
    let tried = |rule: &Rule| {
        if rule.denies() {
            let alone = RuleSet::new(vec![rule.clone()]);
            return match rule.miss(call) {
                _ if find_denying_rule(&alone, call, &profile.guard).is_some() => Tried::Denies,
                _ if alone.may_deny_object(call) => Tried::MayDeny,
                miss => Tried::Misses(miss.unwrap_or(Miss::Elsewhere)),
            };
        }
        match (rule.miss(call), &as_get) {
            (None, _) if opens(rule, call, &to_name) => Tried::Grants,
            (_, Some(get)) if rule.miss(get).is_none() && opens(rule, get, &self::to_name(get)) => {
                Tried::Grants
            }
            (Some(miss), _) => Tried::Misses(miss),
            (None, _) => Tried::Wildcard,
        }
    };
    profile
        .rules
        .rules()
        .iter()
        .map(|rule| Attempt {
            tried: tried(rule),
            rule: Arc::clone(rule),
        })
        .collect()
}
