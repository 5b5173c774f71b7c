//! `cetusguard diff`: the calls that one configuration allows and another does not, and the
//! settings that differ.

mod settings;

use std::sync::Arc;

use cetusguard_config::{Mistake, Mistakes};
use cetusguard_policy::{CallChange, Difference, Profiles, Surveyor};
use serde::Serialize;

use super::alike::{Alike, describe_others, group_alike};
use super::page::{Emphasis, TextPage, count};
use super::{CommandFailure, CommandOutput, Invocation};
use cetusguard_proxy::Config;

/// The effect of a difference for the clients of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DifferenceEffect {
    /// They can do more.
    Wider,
    /// They can do less.
    Narrower,
    /// The comparison cannot tell.
    Unknown,
}

impl DifferenceEffect {
    const fn mark(self) -> (&'static str, Emphasis) {
        match self {
            Self::Wider => ("wider     ", Emphasis::Bad),
            Self::Narrower => ("narrower  ", Emphasis::Good),
            Self::Unknown => ("unclear   ", Emphasis::Warning),
        }
    }
}

/// A difference.
#[derive(Debug, Serialize)]
struct Change {
    effect: DifferenceEffect,
    what: String,
    /// The endpoint, if it is about calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'static str>,
    /// A call that one of the two configurations allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    /// The rule that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

impl Change {
    /// Makes a difference between settings.
    fn setting(effect: DifferenceEffect, what: String) -> Self {
        Self {
            effect,
            what,
            endpoint: None,
            example: None,
            rule: None,
        }
    }

    fn of_call(change: &CallChange) -> Self {
        let (endpoint, method) = (change.endpoint, change.method);
        let call = format!("{method} {}", endpoint.shape);
        let says = endpoint.says();
        let (effect, witness) = match &change.difference {
            Difference::Wider(witness) => (DifferenceEffect::Wider, Some(witness)),
            Difference::Narrower(witness) => (DifferenceEffect::Narrower, Some(witness)),
            Difference::Unknown => (DifferenceEffect::Unknown, None),
        };
        let what = match (effect, witness.is_some_and(|witness| witness.is_part)) {
            (DifferenceEffect::Wider, false) => format!("newly allowed: {call}: {says}"),
            (DifferenceEffect::Wider, true) => format!("allowed for more objects: {call}: {says}"),
            (DifferenceEffect::Narrower, false) => format!("no longer allowed: {call}: {says}"),
            (DifferenceEffect::Narrower, true) => {
                format!("allowed for fewer objects: {call}: {says}")
            }
            (DifferenceEffect::Unknown, _) => {
                format!("the rules for {call} differ, and cannot be compared: {says}")
            }
        };
        Self {
            effect,
            what,
            endpoint: Some(endpoint.id.name()),
            example: witness.map(|witness| format!("{method} {}", witness.path)),
            rule: witness.map(|witness| witness.rule.label().to_owned()),
        }
    }
}

/// The differences of a profile.
#[derive(Debug, Serialize)]
struct ProfileChanges {
    profile: String,
    /// The profile that stands for it in the other configuration, if that does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared_with: Option<String>,
    changes: Vec<Change>,
}

impl ProfileChanges {
    /// Returns the name, and what is equal in profiles that differ in the same way.
    fn split(&self) -> (&str, impl Serialize) {
        (&self.profile, (&self.compared_with, &self.changes))
    }
}

/// The result of the comparison.
#[derive(Debug, Serialize)]
struct DiffReport {
    wider: usize,
    narrower: usize,
    unclear: usize,
    /// The differences in the addresses on which clients are served.
    frontends: Vec<Change>,
    profiles: Vec<ProfileChanges>,
}

/// Compares two configurations. Exits with 1 if the second allows more, or may.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    if asked.sources.has_source_flag() {
        let mistake = Mistake::Option {
            what: "diff takes two files".to_owned(),
            fix: "write: cetusguard diff OLD NEW, without --config".to_owned(),
        };
        return Err(Mistakes(vec![mistake]).into());
    }
    let (mut configs, mut mistakes) = (Vec::new(), Vec::new());
    for name in ["OLD", "NEW"] {
        match asked
            .sources
            .load_file(asked.value(name).unwrap_or_default())
        {
            Ok(loaded) => configs.push(loaded.config),
            Err(Mistakes(found)) => mistakes.extend(found),
        }
    }
    let [old, new] = configs.as_slice() else {
        return Err(Mistakes(mistakes).into());
    };
    let report = compare(old, new);
    let code = u8::from(report.wider + report.unclear > 0);
    let text = asked.write_report(&report, |page| write(&report, page));
    Ok(CommandOutput { text, code })
}

fn compare(old: &Config, new: &Config) -> DiffReport {
    let frontends = settings::compare_frontends(old, new);
    let profiles = compare_profiles(old, new);
    let total = |effect| {
        let of_profiles = profiles.iter().flat_map(|found| &found.changes);
        let all = frontends.iter().chain(of_profiles);
        all.filter(|change| change.effect == effect).count()
    };
    DiffReport {
        wider: total(DifferenceEffect::Wider),
        narrower: total(DifferenceEffect::Narrower),
        unclear: total(DifferenceEffect::Unknown),
        frontends,
        profiles,
    }
}

fn compare_profiles(old_config: &Config, new_config: &Config) -> Vec<ProfileChanges> {
    let (old, new) = (&old_config.profiles, &new_config.profiles);
    let surveyor = Surveyor::default();
    let named = |profiles: &Profiles, name: &str| {
        profiles.all().find(|profile| profile.name == name).cloned()
    };
    let default = |profiles: &Profiles| profiles.all().next().cloned();
    let mut compared = Vec::new();
    for profile in new.all() {
        let other = named(old, &profile.name);
        let stand_in = other.is_none();
        let other = other.or_else(|| default(old));
        compared.extend(other.map(|other| (other, Arc::clone(profile), stand_in)));
    }
    for profile in old.all() {
        if named(new, &profile.name).is_none() {
            compared.extend(default(new).map(|other| (Arc::clone(profile), other, true)));
        }
    }
    compared
        .into_iter()
        .map(|(before, after, has_stand_in)| {
            let is_gone = has_stand_in && named(new, &before.name).is_none();
            let (profile, other) = if is_gone {
                (&before, &after)
            } else {
                (&after, &before)
            };
            let mut changes = Vec::new();
            if has_stand_in {
                changes.push(stand_in_change(is_gone));
            } else {
                changes.extend(settings::compare_clients(
                    (&before, old_config),
                    (&after, new_config),
                ));
            }
            let rules = surveyor.compare_rules(&before, &after);
            changes.extend(rules.iter().map(Change::of_call));
            changes.extend(settings::compare(&before, &after));
            ProfileChanges {
                profile: profile.name.clone(),
                compared_with: has_stand_in.then(|| other.name.clone()),
                changes,
            }
        })
        .filter(|found| !found.changes.is_empty())
        .collect()
}

/// Makes the difference of a profile that only one of the two configurations has.
fn stand_in_change(is_gone: bool) -> Change {
    let what = match is_gone {
        true => {
            "the profile is gone: its clients get another one, which is taken to be the default"
        }
        false => {
            "the profile is new: its clients had another one, which is taken to be the default"
        }
    };
    Change::setting(DifferenceEffect::Unknown, what.to_owned())
}

fn write(report: &DiffReport, page: &mut TextPage) {
    if !report.frontends.is_empty() {
        page.say(0, Emphasis::Heading, "frontends");
        report
            .frontends
            .iter()
            .for_each(|change| write_change(change, page));
        page.gap();
    }
    for Alike {
        first: found,
        others,
    } in group_alike(&report.profiles, ProfileChanges::split)
    {
        let other = match &found.compared_with {
            Some(other) => format!(", compared with profile {other}"),
            None => String::new(),
        };
        page.say(
            0,
            Emphasis::Heading,
            &format!("profile {}{other}", found.profile),
        );
        for change in &found.changes {
            write_change(change, page);
        }
        let names = others.iter().map(|other| other.profile.as_str());
        if let Some(more) = describe_others("the same in {} more profiles", names) {
            page.say(2, Emphasis::Faint, &more);
        }
        page.gap();
    }
    let DiffReport {
        wider,
        narrower,
        unclear,
        ..
    } = report;
    let total = wider + narrower + unclear;
    match total {
        0 => page.say(0, Emphasis::Good, "No difference in what clients can do."),
        total => page.say(
            0,
            Emphasis::Plain,
            &format!(
                "{}: {wider} wider, {narrower} narrower, {unclear} unclear.",
                count(total, "difference")
            ),
        ),
    }
}

fn write_change(change: &Change, page: &mut TextPage) {
    let (mark, look) = change.effect.mark();
    page.item(2, mark, look, &change.what);
    if let Some(example) = &change.example {
        page.line(12, Emphasis::Plain, &format!("as in {example}"));
    }
    if let Some(rule) = &change.rule {
        page.line(12, Emphasis::Faint, &format!("by {rule}"));
    }
}
