//! From lessons to the policy that covers them.

use std::collections::BTreeMap;

use cetusguard_config::Mistakes;
use cetusguard_policy::endpoint::{Power, says};
use cetusguard_policy::guard::{Exception, GuardLevel};
use cetusguard_policy::rule::{BUILT_IN_ORIGIN, Effect};
use cetusguard_policy::{Care, Pattern, Profile};
use serde::Serialize;

use cetusguard_proxy::Config;
use cetusguard_proxy::Seen;

/// A profile that is learned, with its settings that do not change.
#[derive(Debug)]
pub(super) struct LearnedProfile {
    pub(super) name: String,
    /// The conditions of each entry of `clients`.
    clients: Vec<Vec<(&'static str, String)>>,
    level: GuardLevel,
    /// Exceptions that bind it to images.
    bounds: Vec<String>,
    /// The deny rules, which stay: a call of a client is no reason to remove one.
    denials: Vec<String>,
    built_in: bool,
}

impl LearnedProfile {
    /// Returns the profiles of these names, or all profiles.
    ///
    /// # Errors
    /// Returns a mistake if there is no such profile.
    pub(super) fn all(config: &Config, names: &[String]) -> Result<Vec<Self>, Mistakes> {
        for name in names {
            config.profile(name)?;
        }
        let chosen = config
            .profiles
            .all()
            .filter(|profile| names.is_empty() || names.contains(&profile.name));
        let subject = |profile| {
            let selectors = config.profiles.selectors_of(profile);
            let clients =
                selectors.map(|one| one.conditions().iter().map(|one| one.written()).collect());
            Self {
                name: profile.name.clone(),
                clients: clients.collect(),
                level: profile.guard.level.max(GuardLevel::Baseline),
                bounds: profile
                    .guard
                    .allow
                    .iter()
                    .filter(|one| one.is_bound())
                    .map(ToString::to_string)
                    .collect(),
                denials: denials(profile),
                built_in: profile
                    .rules
                    .rules()
                    .iter()
                    .any(|rule| &*rule.position.origin == BUILT_IN_ORIGIN),
            }
        };
        Ok(chosen.map(subject).collect())
    }
}

fn denials(profile: &Profile) -> Vec<String> {
    let rules = profile.rules.rules().iter();
    rules
        .filter(|rule| rule.effect() == Effect::Deny)
        .map(|rule| rule.text().to_owned())
        .collect()
}

/// Everything that was learned.
#[derive(Debug, Serialize)]
pub(super) struct LearnedPolicy {
    pub(super) profiles: Vec<Learned>,
    pub(super) requests: u64,
    /// Requests that were too different from each other to be kept.
    pub(super) lost: u64,
}

/// The policy of a profile.
#[derive(Debug, Serialize)]
pub(super) struct Learned {
    pub(super) name: String,
    #[serde(skip)]
    pub(super) clients: Vec<Vec<(&'static str, String)>>,
    pub(super) guard: &'static str,
    pub(super) guard_allow: Vec<Allowed>,
    pub(super) no_builtin_rules: bool,
    /// Rules of the profile that deny, as they are.
    pub(super) denials: Vec<String>,
    pub(super) rules: Vec<LearnedRule>,
}

/// An exception of the guard.
#[derive(Debug, Serialize)]
pub(super) struct Allowed {
    pub(super) exception: String,
    /// The number of calls that needed it; zero if the profile had it before.
    pub(super) count: u64,
    /// The reason why an operator should read it before allowing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) risky: Option<&'static str>,
}

/// A rule.
#[derive(Debug, Serialize)]
pub(super) struct LearnedRule {
    pub(super) rule: String,
    pub(super) count: u64,
    pub(super) first: String,
    pub(super) can: String,
    pub(super) risk: &'static str,
    /// The reason why an operator should read it before allowing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) risky: Option<String>,
    /// The part of it that the guard refuses under any rules and exceptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
}

impl LearnedPolicy {
    /// Gathers the lessons of these profiles.
    pub(super) fn new(subjects: &[LearnedProfile], seen: Vec<Seen>, lost: u64) -> Self {
        let is_learned = |seen: &&Seen| subjects.iter().any(|subject| subject.name == seen.profile);
        let requests = seen.iter().filter(is_learned).map(|seen| seen.count).sum();
        let learned = |subject: &LearnedProfile| {
            let is_own = |seen: &&Seen| {
                seen.profile == subject.name && !(subject.built_in && seen.lesson.is_built_in)
            };
            let own: Vec<&Seen> = seen.iter().filter(is_own).collect();
            let mut exceptions: BTreeMap<&str, u64> = BTreeMap::new();
            for (exception, count) in own.iter().flat_map(|seen| &seen.exceptions) {
                *exceptions.entry(exception).or_default() += count;
            }
            let kept = subject.bounds.iter().map(|bound| Allowed {
                exception: bound.clone(),
                count: 0,
                risky: None,
            });
            let needed = exceptions.into_iter().map(|(one, count)| {
                let risky = Exception::read(one)
                    .ok()
                    .and_then(|exception| risky_exception(&exception, subjects));
                Allowed {
                    exception: one.to_owned(),
                    count,
                    risky,
                }
            });
            Learned {
                name: subject.name.clone(),
                clients: subject.clients.clone(),
                guard: subject.level.name(),
                guard_allow: kept.chain(needed).collect(),
                no_builtin_rules: !subject.built_in,
                denials: subject.denials.clone(),
                rules: merge_lines(&own),
            }
        };
        Self {
            profiles: subjects.iter().map(learned).collect(),
            requests,
            lost,
        }
    }
}

/// Returns why an exception should not be allowed without a thought. One for a profile that the
/// policy does not have is a mistake where the policy stands alone.
fn risky_exception(exception: &Exception, subjects: &[LearnedProfile]) -> Option<&'static str> {
    let is_known = |pattern: &Pattern| subjects.iter().any(|one| pattern.fits(&one.name));
    match exception.profile_pattern() {
        Some(pattern) if !is_known(pattern) => {
            Some("it names a profile that this policy does not have")
        }
        _ => exception.gives_host(),
    }
}

/// Returns one line for each pattern and risk, with all methods that were used.
fn merge_lines(seen: &[&Seen]) -> Vec<LearnedRule> {
    let mut lines: BTreeMap<(&str, bool), Vec<&Seen>> = BTreeMap::new();
    for one in seen {
        lines
            .entry((&one.lesson.pattern, why_risky(one).is_some()))
            .or_default()
            .push(one);
    }
    let line = |((pattern, _), all): ((&str, bool), Vec<&Seen>)| {
        let mut methods: Vec<_> = all.iter().map(|seen| seen.lesson.method).collect();
        methods.sort_by_key(|method| *method as u8);
        let methods: Vec<_> = methods.into_iter().map(|method| method.as_str()).collect();
        // The description is that of the riskiest call.
        let power = all.iter().filter_map(|seen| seen.lesson.power).max();
        LearnedRule {
            rule: format!("{} {pattern}", methods.join(",")),
            count: all.iter().map(|seen| seen.count).sum(),
            first: all
                .iter()
                .map(|seen| seen.first.clone())
                .min()
                .unwrap_or_default(),
            can: power.map_or_else(
                || "no engine known here has it".to_owned(),
                |power| describe_calls(power, &all),
            ),
            risk: power.map_or("unknown", |power| power.risk().name()),
            risky: all.iter().find_map(|seen| why_risky(seen)),
            refused: all.iter().find_map(|seen| seen.hopeless.clone()),
        }
    };
    lines.into_iter().map(line).collect()
}

/// Describes the actions that calls of one power allow.
fn describe_calls(power: Power, seen: &[&Seen]) -> String {
    let of_power = seen.iter().filter(|seen| seen.lesson.power == Some(power));
    says(
        power,
        &of_power
            .filter_map(|seen| Some(seen.lesson.endpoint?.id))
            .collect::<Vec<_>>(),
    )
}

/// Returns why an operator should read a rule before allowing it: the guard cannot judge the call,
/// or the call hands over contents.
fn why_risky(seen: &Seen) -> Option<String> {
    if let Some(why) = &seen.lesson.closed {
        return Some(why.clone());
    }
    let Some(endpoint) = seen.lesson.endpoint else {
        return Some("no engine known here has it".to_owned());
    };
    match (endpoint.power.way_to_host(), seen.lesson.care) {
        (Some(way), Care::Unread) => Some(format!("the guard cannot judge it, and {way}")),
        _ if endpoint.is_named_only() || seen.lesson.power != Some(endpoint.power) => {
            Some("it hands over contents, or is a channel that the guard cannot read".to_owned())
        }
        _ => None,
    }
}
