//! The report about a profile, ready to be printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cetusguard_policy::endpoint::{Power, Risk, says};
use cetusguard_policy::guard::GuardLevel;
use cetusguard_policy::rule::{BUILT_IN_ORIGIN, Position, Rule};
use cetusguard_policy::{Care, Denied, Mode, Open, Profile, Profiles, Selector, Survey};
use serde::Serialize;

use super::problem::Problem;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    pub(super) profiles: Vec<ProfileReport>,
    /// The admin listener and its protection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin: Option<String>,
    pub(super) problems: Vec<Problem>,
}

/// One profile.
#[derive(Debug, Serialize)]
pub(super) struct ProfileReport {
    pub(super) name: String,
    pub(super) enforced: bool,
    pub(super) guard: &'static str,
    pub(super) guard_allow: Vec<String>,
    /// The objects that its calls may be about; empty where any object may be a target.
    pub(super) targets: Vec<String>,
    /// The part of the engine that its clients see and own; empty if they see all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) view: Vec<String>,
    /// The values that its clients do not see in answers.
    pub(super) redact: Vec<String>,
    /// The requirements on objects that its clients create.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) creation: Vec<String>,
    /// The clients of the profile; those of the default profile are all others as well.
    pub(super) clients: Vec<String>,
    pub(super) rules: usize,
    pub(super) can: Vec<Ability>,
    pub(super) to_host: Vec<Barrier>,
    pub(super) wildcards_closed: Vec<ClosedReport>,
    pub(super) denied: Vec<DeniedReport>,
}

/// An ability of the profile's clients.
#[derive(Debug, Serialize)]
pub(super) struct Ability {
    pub(super) what: String,
    #[serde(serialize_with = "risk_name")]
    pub(super) risk: Risk,
    pub(super) endpoints: Vec<String>,
    pub(super) rules: Vec<String>,
    /// A path, where it is open for some objects alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) only: Option<String>,
    /// The places of the rules that deny it for some objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) except: Vec<String>,
}

/// A barrier between the clients of a profile and root on the host, or the lack of one.
#[derive(Debug, Serialize)]
pub(super) struct Barrier {
    pub(super) holds: BarrierStrength,
    pub(super) what: String,
}

impl Barrier {
    fn new(holds: BarrierStrength, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { holds, what }
    }
}

/// The strength of a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BarrierStrength {
    Yes,
    Partly,
    No,
}

/// An endpoint that a wildcard matches and does not open.
#[derive(Debug, Serialize)]
pub(super) struct ClosedReport {
    pub(super) endpoint: String,
    pub(super) what: String,
    pub(super) rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_to_add: Option<String>,
}

/// An endpoint that one rule opens and another rule denies.
#[derive(Debug, Serialize)]
pub(super) struct DeniedReport {
    pub(super) endpoint: String,
    pub(super) what: String,
    pub(super) rule: String,
    pub(super) denied_by: String,
}

fn risk_name<S: serde::Serializer>(risk: &Risk, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(risk.name())
}

impl ProfileReport {
    /// Returns the name, and what is equal in profiles that are alike: all but the clients.
    pub(super) fn split(&self) -> (&str, impl Serialize) {
        let head = (self.enforced, self.guard, &self.guard_allow, &self.targets);
        let view = (&self.view, &self.redact, &self.creation);
        let rules = (self.rules, &self.can, &self.to_host);
        (
            &self.name,
            (head, view, rules, &self.wildcards_closed, &self.denied),
        )
    }

    /// Reports the survey of a profile.
    pub(super) fn new(profile: &Arc<Profile>, survey: &Survey, profiles: &Profiles) -> Self {
        let closed = survey.closed.iter().map(|closed| ClosedReport {
            endpoint: format!("{} {}", closed.endpoint.method, closed.endpoint.shape),
            what: closed.endpoint.says(),
            rule: closed.rule.label().to_owned(),
            rule_to_add: closed.rule_to_add(),
        });
        Self {
            name: profile.name.clone(),
            enforced: profile.mode == Mode::Enforce,
            guard: profile.guard.level.name(),
            guard_allow: profile
                .guard
                .allow
                .iter()
                .map(ToString::to_string)
                .collect(),
            targets: profile.targets.entries().collect(),
            view: profile.view.sentences(),
            redact: profile.view.redaction.values().collect(),
            creation: profile.guard.requirements().to_vec(),
            clients: profiles
                .selectors_of(profile)
                .map(Selector::written)
                .collect(),
            rules: profile.rules.rules().len(),
            can: abilities(survey),
            to_host: barriers(profile, survey),
            wildcards_closed: closed.collect(),
            denied: survey.denied.iter().map(DeniedReport::new).collect(),
        }
    }
}

impl DeniedReport {
    fn new(denied: &Denied) -> Self {
        Self {
            endpoint: format!("{} {}", denied.endpoint.method, denied.endpoint.shape),
            what: denied.endpoint.says(),
            rule: denied.rule.label().to_owned(),
            denied_by: denied.by.label().to_owned(),
        }
    }
}

/// Groups open endpoints by power, the least risky first.
fn by_power(survey: &Survey) -> BTreeMap<(Risk, Power), Vec<&Open>> {
    let mut powers: BTreeMap<_, Vec<&Open>> = BTreeMap::new();
    for open in &survey.open {
        let power = open.power;
        powers.entry((power.risk(), power)).or_default().push(open);
    }
    powers
}

fn abilities(survey: &Survey) -> Vec<Ability> {
    let ability = |((risk, power), opens): ((Risk, Power), Vec<&Open>)| Ability {
        what: describe_endpoints(power, &opens),
        risk,
        endpoints: opens
            .iter()
            .map(|open| format!("{} {}", open.endpoint.method, open.endpoint.shape))
            .collect(),
        rules: places(opens.iter().map(|open| &open.rule)),
        except: places(opens.iter().flat_map(|open| &open.except)),
        only: opens
            .iter()
            .all(|open| open.partly)
            .then(|| opens[0].example.clone()),
    };
    by_power(survey).into_iter().map(ability).collect()
}

/// Describes the actions that open endpoints of a power allow.
fn describe_endpoints(power: Power, opens: &[&Open]) -> String {
    says(
        power,
        &opens
            .iter()
            .map(|open| open.endpoint.id)
            .collect::<Vec<_>>(),
    )
}

/// Returns the places of some rules: each origin once, with its lines. The built-in rules are in no
/// file, so they have no lines.
fn places<'r>(rules: impl Iterator<Item = &'r Arc<Rule>>) -> Vec<String> {
    let mut lines: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for Position { origin, line } in rules.map(|rule| &rule.position) {
        lines.entry(origin).or_default().insert(*line);
    }
    let place = |(origin, lines): (&str, BTreeSet<usize>)| match origin {
        BUILT_IN_ORIGIN => origin.to_owned(),
        origin => format!(
            "{origin}:{}",
            lines
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        ),
    };
    lines.into_iter().map(place).collect()
}

/// Returns the barriers between a profile and root on the host, those that hold first.
fn barriers(profile: &Profile, survey: &Survey) -> Vec<Barrier> {
    let powers = by_power(survey);
    let level = profile.guard.level;
    let is_judged = |opens: &[&Open]| opens.iter().any(|open| open.care == Care::Judged);
    let judged: Vec<_> = powers
        .iter()
        .filter(|(_, opens)| is_judged(opens))
        .map(|((_, power), opens)| describe_endpoints(*power, opens))
        .collect();
    let mut gaps: Vec<_> = powers
        .iter()
        .flat_map(|((_, power), opens)| gaps_of_power(*power, opens))
        .collect();
    if !judged.is_empty() {
        gaps.extend(gaps_of_exceptions(profile));
    }
    let mut barriers = Vec::new();
    if !judged.is_empty() {
        let (level, judged) = (level.name(), judged.join("; "));
        let what = format!("the guard ({level}), which judges calls to {judged}");
        barriers.push(Barrier::new(BarrierStrength::Yes, what));
    } else if gaps.is_empty() {
        let what = "the rules: no call that they allow is a known way there";
        barriers.push(Barrier::new(BarrierStrength::Yes, what));
    }
    gaps.sort_by_key(|barrier| barrier.holds == BarrierStrength::No);
    barriers.extend(gaps);
    if level != GuardLevel::Privileged && profile.mode == Mode::Audit {
        let what = "nothing at all: the profile is not enforced";
        barriers.push(Barrier::new(BarrierStrength::No, what));
    }
    barriers
}

/// Returns the ways to the host that the calls of a power leave open.
fn gaps_of_power(power: Power, opens: &[&Open]) -> Vec<Barrier> {
    let is_unread = opens.iter().any(|open| open.care == Care::Unread);
    let can = describe_endpoints(power, opens);
    let mut gaps = Vec::new();
    if let Some(way) = power.way_to_host().filter(|_| is_unread) {
        let what = format!("nothing, where the client can {can}: {way}");
        gaps.push(Barrier::new(BarrierStrength::No, what));
    }
    if let Some(way) = power.remains() {
        let what = format!("trust, where the client can {can}: {way}");
        gaps.push(Barrier::new(BarrierStrength::Partly, what));
    }
    gaps
}

/// Returns the ways to the host that the exceptions of the guard open.
fn gaps_of_exceptions(profile: &Profile) -> impl Iterator<Item = Barrier> {
    let exceptions = profile.guard.allow.iter();
    exceptions.filter_map(|exception| {
        let way = exception.gives_host()?;
        let what = format!("nothing, by guard-allow {exception}: {way}");
        Some(Barrier::new(BarrierStrength::No, what))
    })
}
