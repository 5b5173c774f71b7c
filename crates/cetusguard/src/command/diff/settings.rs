//! The differences between the settings of two profiles, beside their rules.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use cetusguard_config::address::Address;
use cetusguard_config::meant::SocketRights;
use cetusguard_policy::guard::{Amount, Recreation, Unit};
use cetusguard_policy::{Mode, Pattern, Profile};

use super::{Change, DifferenceEffect};
use crate::command::explain::client::write_condition;
use cetusguard_proxy::Config;

/// The meaning of a list for the clients of a profile.
#[derive(Clone, Copy)]
enum List {
    /// Each entry allows more.
    Grants,
    /// Each entry takes away.
    Restricts,
    /// Each entry allows more, but an empty list allows everything.
    Bounds,
}

/// Compares the clients of a profile.
pub(super) fn compare_clients(
    old: (&Arc<Profile>, &Config),
    new: (&Arc<Profile>, &Config),
) -> Vec<Change> {
    let [before, after] = [old, new].map(|(profile, config)| selectors(profile, config));
    let change = |text: &String, what: &str| {
        Change::setting(DifferenceEffect::Unknown, format!("clients: {text} {what}"))
    };
    let gone = before.difference(&after);
    let gone = gone.map(|text| change(text, "is gone: these clients get another profile"));
    let added = after.difference(&before);
    let added = added.map(|text| change(text, "is new: these clients had another profile"));
    gone.chain(added).collect()
}

/// Compares the addresses on which clients are served, and the certificates or the rights on the
/// socket that they need there.
pub(super) fn compare_frontends(old: &Config, new: &Config) -> Vec<Change> {
    let described = |config: &Config| -> BTreeSet<String> {
        let frontends = config.frontends.iter().map(|frontend| {
            let by_certificate = frontend.tls.as_ref().map(|tls| tls.clients.is_some());
            match by_certificate {
                Some(true) => format!("{} with client certificates", frontend.address),
                Some(false) => format!("{} with TLS", frontend.address),
                None if matches!(frontend.address, Address::Unix(_)) => {
                    let SocketRights { mode, owner, group } = frontend.rights;
                    let id = |id: Option<u32>| match id {
                        Some(id) => id.to_string(),
                        None => "the proxy's".to_owned(),
                    };
                    let (owner, group) = (id(owner), id(group));
                    format!(
                        "{} (mode {mode:04o}, owner {owner}, group {group})",
                        frontend.address
                    )
                }
                None => frontend.address.to_string(),
            }
        });
        frontends.collect()
    };
    let (before, after) = (described(old), described(new));
    compare_list("frontends", &before, &after, List::Grants)
}

/// Compares everything of two profiles but their rules and their clients.
pub(super) fn compare(old: &Profile, new: &Profile) -> Vec<Change> {
    let mut changes = Vec::new();
    let strictness = |mode: Mode| u8::from(mode == Mode::Enforce);
    changes.extend(compare_order(
        "mode",
        (strictness(old.mode), describe_mode(old.mode)),
        (strictness(new.mode), describe_mode(new.mode)),
    ));
    changes.extend(compare_order(
        "guard",
        (old.guard.level, old.guard.level.name()),
        (new.guard.level, new.guard.level.name()),
    ));
    let recreation = |profile: &Profile| {
        let how = profile.recreation.unwrap_or(Recreation::Off);
        (how, profile.recreation.map_or("not set", Recreation::name))
    };
    if recreation(old).0 != recreation(new).0 {
        changes.extend(compare_order(
            "guard-recreation",
            recreation(old),
            recreation(new),
        ));
    }
    let exceptions = |profile: &Profile| texts(profile.guard.allow.iter().map(ToString::to_string));
    let scope = |profile: &Profile| texts(profile.view.scope.entries());
    let own = |profile: &Profile| texts(profile.view.ownership.iter().map(ToString::to_string));
    let redaction = |profile: &Profile| texts(profile.view.redaction.values());
    let targets = |profile: &Profile| texts(profile.targets.entries());
    for (key, before, after, list) in [
        (
            "guard-allow",
            exceptions(old),
            exceptions(new),
            List::Grants,
        ),
        ("targets", targets(old), targets(new), List::Bounds),
        ("visible", scope(old), scope(new), List::Bounds),
        ("own", own(old), own(new), List::Restricts),
        ("redact", redaction(old), redaction(new), List::Restricts),
    ] {
        changes.extend(compare_list(key, &before, &after, list));
    }
    changes.extend(compare_creation(old, new));
    changes.extend(compare_limits(old, new));
    changes
}

fn selectors(profile: &Arc<Profile>, config: &Config) -> BTreeSet<String> {
    let written = config.profiles.selectors_of(profile).map(|selector| {
        let conditions = selector.conditions().iter();
        let conditions: Vec<_> = conditions.map(|one| write_condition(one, config)).collect();
        conditions.join(" and ")
    });
    written.collect()
}

const fn describe_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    }
}

fn texts(texts: impl Iterator<Item = String>) -> BTreeSet<String> {
    texts.collect()
}

/// Compares values of which the larger ones allow less.
fn compare_order<T: PartialOrd>(key: &str, old: (T, &str), new: (T, &str)) -> Option<Change> {
    if old.0 == new.0 {
        return None;
    }
    let effect = match new.0 > old.0 {
        true => DifferenceEffect::Narrower,
        false => DifferenceEffect::Wider,
    };
    let what = format!("{key}: {} became {}", old.1, new.1);
    Some(Change::setting(effect, what))
}

fn compare_list(
    key: &str,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
    list: List,
) -> Vec<Change> {
    let bound = |is_added: bool| match list {
        List::Grants => is_added,
        List::Restricts => !is_added,
        List::Bounds if old.is_empty() || new.is_empty() => !is_added,
        List::Bounds => is_added,
    };
    let effect = |is_added: bool| match bound(is_added) {
        true => DifferenceEffect::Wider,
        false => DifferenceEffect::Narrower,
    };
    let change = |text: &String, is_added: bool| {
        let what = if is_added { "is new" } else { "is gone" };
        Change::setting(effect(is_added), format!("{key}: {text} {what}"))
    };
    let gone = old.difference(new).map(|text| change(text, false));
    let added = new.difference(old).map(|text| change(text, true));
    gone.chain(added).collect()
}

/// Compares the requirements on objects that clients create.
fn compare_creation(old: &Profile, new: &Profile) -> Vec<Change> {
    let split = |profile: &Profile| -> Vec<(String, String)> {
        let all = profile.guard.requirements().iter();
        all.map(|text| {
            let (key, value) = text.split_once(' ').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect()
    };
    let (before, after) = (split(old), split(new));
    let keys: BTreeSet<&String> = before.iter().chain(&after).map(|(key, _)| key).collect();
    let value = |all: &[(String, String)], key: &str| {
        let found = all.iter().find(|(own, _)| own == key);
        found.map(|(_, value)| value.clone())
    };
    let mut changes = Vec::new();
    for key in keys {
        let both = (value(&before, key), value(&after, key));
        if both.0 == both.1 {
            continue;
        }
        let list = list_of_requirement(key);
        let effect = match (&both, both_amounts(key, &both)) {
            ((Some(_), Some(_)), Some((old, new))) if new.exceeds(&old) => DifferenceEffect::Wider,
            ((Some(_), Some(_)), Some((old, new))) if old.exceeds(&new) => {
                DifferenceEffect::Narrower
            }
            ((Some(before), Some(after)), None) if let Some(list) = list => {
                let split = |text: &str| texts(text.split(", ").map(str::to_owned));
                changes.extend(compare_list(key, &split(before), &split(after), list));
                continue;
            }
            // The same amount, written in another way.
            ((Some(_), Some(_)), Some(_)) => continue,
            // Values that the proxy sets leave clients less choice, and may be the values that they
            // want.
            _ if sets_values(key) => DifferenceEffect::Unknown,
            ((None, Some(_)), _) => DifferenceEffect::Narrower,
            ((Some(_), None), _) => DifferenceEffect::Wider,
            _ => DifferenceEffect::Unknown,
        };
        let shown = |value: Option<String>| match value {
            None => "not set".to_owned(),
            Some(value) => value,
        };
        let what = format!("{key}: {} became {}", shown(both.0), shown(both.1));
        changes.push(Change::setting(effect, what));
    }
    changes
}

fn sets_values(key: &str) -> bool {
    ["default-", "add-", "set-", "rewrite-"]
        .iter()
        .any(|start| key.starts_with(start))
}

/// Returns the meaning of a requirement that is a list.
fn list_of_requirement(key: &str) -> Option<List> {
    match key {
        "require-labels" | "deny-images" => Some(List::Restricts),
        key if key.starts_with("allow-") => Some(List::Grants),
        _ => None,
    }
}

/// Returns the amounts of a requirement in both profiles, if it is one that has them.
fn both_amounts(
    key: &str,
    (old, new): &(Option<String>, Option<String>),
) -> Option<(Amount, Amount)> {
    amounts(key, old.as_deref()?, new.as_deref()?)
}

/// Reads two largest amounts: of bytes, of processors, or numbers.
fn amounts(key: &str, old: &str, new: &str) -> Option<(Amount, Amount)> {
    let read = |unit| {
        let amount = |text| Amount::read(text, unit).ok();
        amount(old).zip(amount(new))
    };
    let is_largest = key.starts_with("max-") || key.starts_with("quota-");
    is_largest
        .then(|| read(Unit::Bytes).or_else(|| read(Unit::Cpus)))
        .flatten()
}

/// Compares the limits of each client.
fn compare_limits(old: &Profile, new: &Profile) -> Vec<Change> {
    let (old, new) = (&old.limits, &new.limits);
    let mut changes = Vec::new();
    changes.extend(compare_bound("max-requests", old.requests, new.requests));
    changes.extend(compare_bound("max-streams", old.streams, new.streams));
    let connections = (old.connections, new.connections);
    let key = "max-connections-per-client";
    changes.extend(compare_bound(key, connections.0, connections.1));
    if old.rate != new.rate {
        let effect = match (old.rate, new.rate) {
            (None, _) => DifferenceEffect::Narrower,
            (_, None) => DifferenceEffect::Wider,
            (Some(old), Some(new)) if new.interval >= old.interval && new.burst <= old.burst => {
                DifferenceEffect::Narrower
            }
            _ => DifferenceEffect::Wider,
        };
        let what = "rate-limit and rate-burst differ".to_owned();
        changes.push(Change::setting(effect, what));
    }
    let patterns = |patterns: &[Pattern]| -> BTreeSet<String> {
        texts(patterns.iter().map(|pattern| pattern.as_str().to_owned()))
    };
    for (key, before, after, list) in [
        ("user-agents", &old.agents, &new.agents, List::Bounds),
        (
            "user-agents-denied",
            &old.agents_denied,
            &new.agents_denied,
            List::Restricts,
        ),
        ("origins", &old.origins, &new.origins, List::Grants),
    ] {
        changes.extend(compare_list(key, &patterns(before), &patterns(after), list));
    }
    changes
}

/// Compares the upper bounds of a number; without one, any number is allowed.
fn compare_bound<T: PartialOrd + Debug>(
    key: &str,
    old: Option<T>,
    new: Option<T>,
) -> Option<Change> {
    if old == new {
        return None;
    }
    let effect = match (&old, &new) {
        (Some(old), Some(new)) if new < old => DifferenceEffect::Narrower,
        (None, Some(_)) => DifferenceEffect::Narrower,
        _ => DifferenceEffect::Wider,
    };
    let shown = |value: &Option<T>| match value {
        Some(value) => format!("{value:?}"),
        None => "no limit".to_owned(),
    };
    let what = format!("{key}: {} became {}", shown(&old), shown(&new));
    Some(Change::setting(effect, what))
}
