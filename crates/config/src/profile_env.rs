//! Profiles in the environment: `CETUSGUARD_PROFILE_<NAME>_<KEY>` for every key of a profile.
//!
//! A variable ends with a key, of which the longest known one counts; the part before it is the
//! name. The profile has that name in lower case with dashes for underscores, so that
//! `CETUSGUARD_PROFILE_HOME_PAGE_RULES` is about `home-page`. A profile of the file matches in any
//! case, and with dots or underscores.

use std::collections::HashMap;
use std::ffi::OsString;

use super::Mistake;
use super::file::{Client, FileEntry};
use super::keys::{CLIENT_KEYS, PROFILE_KEYS};
use super::option::{Many, nearest};
use super::written::Source;

const PREFIX: &str = "CETUSGUARD_PROFILE_";
const CLIENTS: &str = "clients";

/// Returns the end of a variable behind the prefix of those that set keys of profiles.
fn suffix_of(variable: &str) -> Option<&str> {
    variable.strip_prefix(PREFIX)
}

/// Returns whether a variable sets a key of a profile.
pub(super) fn is_one(variable: &str) -> bool {
    // Kubernetes sets such variables for a service whose name begins with cetusguard-profile.
    suffix_of(variable)
        .is_some_and(|rest| split_name_and_key(rest).is_some() || !is_kubernetes_variable(rest))
}

/// Returns whether a name ends like the variables that Kubernetes sets for a service:
/// `_SERVICE_HOST`, `_SERVICE_PORT` with or without the name of a port, `_PORT`, and `_PORT_80_TCP`
/// with or without a part of the address.
fn is_kubernetes_variable(rest: &str) -> bool {
    let rest = format!("_{rest}");
    let is_of_port = |tail: &str| {
        let mut words = tail.split('_');
        let is_number = words
            .next()
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()));
        let is_protocol = words
            .next()
            .is_some_and(|word| ["TCP", "UDP", "SCTP"].contains(&word));
        let is_part = words
            .next()
            .is_none_or(|word| ["PROTO", "PORT", "ADDR"].contains(&word));
        is_number && is_protocol && is_part && words.next().is_none()
    };
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_PORT")
        || rest.contains("_SERVICE_PORT_")
        || rest
            .match_indices("_PORT_")
            .any(|(at, word)| is_of_port(&rest[at + word.len()..]))
}

/// Returns the keys of a profile, in the form in which variables end.
fn keys() -> impl Iterator<Item = (&'static str, String)> {
    let keys = PROFILE_KEYS.iter().map(|key| key.name).chain([CLIENTS]);
    keys.map(|key| (key, key.to_uppercase().replace('-', "_")))
}

/// Splits the text behind the prefix into the name of a profile and its key.
fn split_name_and_key(rest: &str) -> Option<(&str, &'static str)> {
    let ends = keys().filter_map(|(key, end)| {
        let name = rest.strip_suffix(&end)?.strip_suffix('_')?;
        (!name.is_empty()).then_some((name, key))
    });
    ends.max_by_key(|(_, key)| key.len())
}

/// Returns the name of a profile, and its spelling in variables.
fn name_of(spelt: &str) -> String {
    spelt.to_lowercase().replace('_', "-")
}

fn spelling_of(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}

/// Adds the keys in the environment to the profiles of the file, and the profiles that are in the
/// environment alone.
pub(super) fn complete(
    mut profiles: Vec<FileEntry>,
    env: &HashMap<String, OsString>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<FileEntry> {
    // An empty variable counts as unset.
    let mut variables: Vec<_> = env
        .iter()
        .filter(|(name, value)| !value.is_empty() && is_one(name))
        .collect();
    variables.sort();
    for (variable, value) in variables {
        let Some(rest) = suffix_of(variable) else {
            continue;
        };
        let Some((spelt, key)) = split_name_and_key(rest) else {
            mistakes.push(unknown_variable(variable, rest));
            continue;
        };
        if !spelt
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        {
            let fix = "expected capital letters, digits and underscores between \
                CETUSGUARD_PROFILE_ and the key";
            mistakes.push(Mistake::new(
                format!("{variable} has no name of a profile"),
                fix,
            ));
            continue;
        }
        let Some(value) = value.to_str() else {
            mistakes.push(Mistake::new(
                format!("{variable} is not valid UTF-8"),
                "write it in UTF-8",
            ));
            continue;
        };
        let source = Source::Env(variable.clone());
        match find_or_add_profile(&mut profiles, spelt, &source) {
            Ok(entry) => set_key(entry, key, value, &source, mistakes),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    profiles
}

/// Returns the profile whose name a variable spells; a new one if there is none.
fn find_or_add_profile<'p>(
    profiles: &'p mut Vec<FileEntry>,
    spelt: &str,
    source: &Source,
) -> Result<&'p mut FileEntry, Mistake> {
    let meant = |entry: &FileEntry| spelling_of(&entry.name) == spelt;
    let mut found = profiles
        .iter()
        .enumerate()
        .filter(|(_, entry)| meant(entry));
    let at = match (found.next(), found.next()) {
        (Some((_, entry)), Some((_, other))) => {
            let (entry, other) = (&entry.name, &other.name);
            return Err(Mistake::new(
                format!("{source} is about the profiles {entry} and {other}"),
                "give them names that differ in more than case, dashes and dots",
            ));
        }
        (Some((at, _)), None) => at,
        (None, _) => {
            profiles.push(FileEntry {
                name: name_of(spelt),
                begins: source.clone(),
                values: Vec::new(),
                clients: Vec::new(),
                is_flawed: false,
            });
            profiles.len() - 1
        }
    };
    Ok(&mut profiles[at])
}

/// Warns of a variable that ends with no key of a profile.
fn unknown_variable(variable: &str, rest: &str) -> Mistake {
    let ends: Vec<_> = keys().map(|(_, end)| end).collect();
    // The name may have any number of words.
    let candidates = rest
        .match_indices('_')
        .filter(|(at, _)| *at > 0)
        .map(|(at, _)| rest.split_at(at + 1));
    let near = candidates
        .filter_map(|(name, end)| Some((name, nearest(end, ends.iter().map(String::as_str))?)))
        .next();
    let fix = match near {
        Some((name, near)) => format!("did you mean {PREFIX}{name}{near}?"),
        None => format!(
            "expected {PREFIX}NAME_KEY, where KEY is one of {}",
            ends.join(", ")
        ),
    };
    Mistake::new(format!("unknown environment variable {variable}"), fix)
}

/// Takes the value of a variable for a key of a profile.
fn set_key(
    entry: &mut FileEntry,
    key: &'static str,
    value: &str,
    source: &Source,
    mistakes: &mut Vec<Mistake>,
) {
    let is_written = if key == CLIENTS {
        !entry.clients.is_empty()
    } else {
        entry.values.iter().any(|(known, _)| *known == key)
    };
    if is_written {
        let what = format!(
            "{source} says what the file says already: {key} of the profile {}",
            entry.name
        );
        mistakes.push(Mistake::new(what, "write it in one of the two"));
        return;
    }
    if key == CLIENTS {
        entry.clients = read_clients(value, source, mistakes);
        return;
    }
    let many = PROFILE_KEYS
        .iter()
        .any(|known| known.name == key && known.many);
    let values: Vec<_> = match many {
        true => Many::of_key(key)
            .split(value)
            .into_iter()
            .map(|part| (part, source.clone()))
            .collect(),
        false => vec![(value.trim().to_owned(), source.clone())],
    };
    if values.iter().all(|(value, _)| value.is_empty()) {
        let fix = "give it one, or leave it empty";
        mistakes.push(Mistake::new(
            format!("{source} is {value:?}, which holds no value"),
            fix,
        ));
        return;
    }
    entry.values.push((key, values));
}

/// Reads clients, which commas and line ends separate; the conditions of one are separated by
/// blanks.
fn read_clients(value: &str, source: &Source, mistakes: &mut Vec<Mistake>) -> Vec<Client> {
    let mut clients = Vec::new();
    for client in Many::Paths.split(value) {
        let mut conditions = Vec::new();
        for condition in client.split_whitespace() {
            let known = condition.split_once('=').and_then(|(key, value)| {
                let known = CLIENT_KEYS.iter().find(|known| known.name == key)?;
                Some((known.name, (value.to_owned(), source.clone())))
            });
            let Some(known) = known else {
                let names: Vec<_> = CLIENT_KEYS.iter().map(|key| key.name).collect();
                let fix = format!(
                    "expected conditions such as compose-service=web, with one of: {}",
                    names.join(", ")
                );
                mistakes.push(Mistake::new(
                    format!("{source} has the condition {condition:?}"),
                    fix,
                ));
                continue;
            };
            conditions.push(known);
        }
        clients.push((source.clone(), conditions));
    }
    if clients.is_empty() {
        let fix = "give it one, or leave it empty";
        mistakes.push(Mistake::new(
            format!("{source} is {value:?}, which holds no value"),
            fix,
        ));
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_keys_begin() {
        for (rest, want) in [
            ("CI_RULES", Some(("CI", "rules"))),
            ("CI_RULES_FILE", Some(("CI", "rules-file"))),
            ("HOME_PAGE_GUARD_ALLOW", Some(("HOME_PAGE", "guard-allow"))),
            ("A_NO_BUILTIN_RULES", Some(("A", "no-builtin-rules"))),
            ("A_USER_AGENTS_DENIED", Some(("A", "user-agents-denied"))),
            ("CI_CLIENTS", Some(("CI", "clients"))),
            ("MODE_MODE", Some(("MODE", "mode"))),
            ("RULES", None),
            ("_RULES", None),
            ("CI", None),
        ] {
            assert_eq!(split_name_and_key(rest), want, "{rest}");
        }
        for key in PROFILE_KEYS {
            let rest = format!("X_{}", key.name.to_uppercase().replace('-', "_"));
            assert_eq!(split_name_and_key(&rest), Some(("X", key.name)));
        }
    }

    #[test]
    fn services_of_kubernetes_are_none() {
        for (name, want) in [
            ("CETUSGUARD_PROFILE_CI_RULES", true),
            ("CETUSGUARD_PROFILE_CI_RULE", true),
            ("CETUSGUARD_PROFILE_SERVICE_HOST", false),
            ("CETUSGUARD_PROFILE_CI_PORT_80_TCP", false),
            ("CETUSGUARD_PROFILE_CI_PORT", false),
            ("CETUSGUARD_PROFILE_CI_PORT_80_TCP_ADDR", false),
            ("CETUSGUARD_PROFILE_CI_SERVICE_PORT_HTTP", false),
            ("CETUSGUARD_PROFILE_SERVICE_CI_TARGET", true),
            ("CETUSGUARD_PROFILE_SERVICE_CI_GUARDS", true),
            ("CETUSGUARD_PROFILE_CI_PORT_TARGET", true),
            ("CETUSGUARD_RULES", false),
        ] {
            assert_eq!(is_one(name), want, "{name}");
        }
    }
}
