//! Requirements on single values: names, the read-only root, restart policies, additional groups
//! and hosts.

use std::fmt;

use super::fields::{Api, Fields};
use super::{Allowed, Creation, allows, allows_patterns, find};
use crate::guard::json::Json;
use crate::guard::query::Pairs;
use crate::guard::{Judge, Step};
use crate::text::pattern::Pattern;

/// A restart policy of a container. Services have three of them under names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// It is not started again.
    No,
    /// It is started again if it fails.
    OnFailure,
    /// It is started again until it is stopped.
    UnlessStopped,
    /// It is always started again.
    Always,
}

impl RestartPolicy {
    const ALL: [Self; 4] = [Self::No, Self::OnFailure, Self::UnlessStopped, Self::Always];

    /// Reads a policy as a container names it.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| "expected no, on-failure, unless-stopped or always".to_owned())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure => "on-failure",
            Self::UnlessStopped => "unless-stopped",
            Self::Always => "always",
        }
    }

    /// Returns the policy that a container or a service means by a word; a missing word is empty.
    fn of_word(api: Api, word: &str) -> Option<Self> {
        match (api, word) {
            (Api::Service, "" | "any") => Some(Self::Always),
            (Api::Service, "none") => Some(Self::No),
            (Api::Service, "on-failure") => Some(Self::OnFailure),
            (Api::Service, _) => None,
            (_, "") => Some(Self::No),
            (_, word) => Self::read(word).ok(),
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn one_restart(judge: &mut Judge<'_>, allowed: &[RestartPolicy], api: Api, word: &str) {
    let is_allowed =
        RestartPolicy::of_word(api, word).is_some_and(|policy| allowed.contains(&policy));
    if !is_allowed {
        let what = match word {
            "" if api == Api::Service => "is always restarted, for want of a condition".to_owned(),
            word => format!("{:?} is not allowed", crate::guard::shortened(word)),
        };
        judge.unmet("allow-restart", what, allows(allowed));
    }
}

/// Judges the restart policy of a new container.
pub(super) fn restart(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    fields: &Fields,
) {
    if let Some(allowed) = &creation.restart {
        let word = find(body, fields.restart)
            .map(Json::text)
            .unwrap_or_default();
        judge.within(Step::Field(fields.restart), |judge| {
            one_restart(judge, allowed, fields.api, word)
        });
    }
}

/// Judges a new restart policy of a container; a missing one changes nothing. Podman's own API has
/// it in the query.
pub(super) fn restart_update(
    judge: &mut Judge<'_>,
    creation: &Creation,
    pairs: &Pairs,
    body: &Json<'_>,
) {
    let Some(allowed) = &creation.restart else {
        return;
    };
    let word = find(body, "RestartPolicy.Name")
        .map(Json::text)
        .unwrap_or_default();
    if !word.is_empty() {
        judge.within(Step::Field("RestartPolicy.Name"), |judge| {
            one_restart(judge, allowed, Api::Docker, word)
        });
    }
    for (name, word) in pairs.iter().filter(|(name, _)| name == "restartPolicy") {
        judge.within(Step::Parameter(name), |judge| {
            one_restart(judge, allowed, Api::Libpod, word)
        });
    }
}

/// Judges the name in the query of a create or of a rename.
pub(super) fn query_name(judge: &mut Judge<'_>, creation: &Creation, pairs: &Pairs) {
    if let Some(allowed) = &creation.names {
        let named = pairs.iter().find(|(key, _)| key == "name");
        let name = named.map_or("", |(_, name)| name.as_str());
        judge.within(Step::Parameter("name"), |judge| {
            one_name(judge, allowed, name)
        });
    }
}

/// Judges the name in a body.
pub(super) fn body_name(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    if let Some(allowed) = &creation.names {
        let name = find(body, path).map(Json::text).unwrap_or_default();
        judge.within(Step::Field(path), |judge| one_name(judge, allowed, name));
    }
}

fn one_name(judge: &mut Judge<'_>, allowed: &[Pattern], name: &str) {
    // Engines take a slash before a container's name.
    let name = name.strip_prefix('/').unwrap_or(name);
    if name.is_empty() {
        let what = "is missing, so that the engine chooses a name";
        judge.unmet("allow-names", what, allows_patterns(allowed));
    } else if !allowed.iter().any(|pattern| pattern.fits(name)) {
        let what = format!("{:?} is not among the names", crate::guard::shortened(name));
        judge.unmet("allow-names", what, allows_patterns(allowed));
    }
}

/// Judges whether the root file system is read-only.
pub(super) fn read_only(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    if creation.read_only && find(body, path) != Some(&Json::Bool(true)) {
        judge.unmet_at(
            path,
            "require-read-only",
            "the root file system can be written",
            "asks for true",
        );
    }
}

/// Judges additional groups.
pub(super) fn groups(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    each_word(
        judge,
        ("allow-group-add", &creation.group_add),
        (path, find(body, path)),
        |word| vec![word.to_owned()],
    );
}

/// Judges additional lines of `/etc/hosts`.
pub(super) fn hosts(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>, fields: &Fields) {
    let as_pairs: fn(&str) -> Vec<String> = match fields.api {
        Api::Docker | Api::Libpod => names_before_address,
        Api::Service => names_behind_address,
    };
    each_word(
        judge,
        ("allow-extra-hosts", &creation.extra_hosts),
        (fields.hosts, find(body, fields.hosts)),
        as_pairs,
    );
}

/// Splits `NAME:ADDRESS` or Podman's `NAME;NAME:ADDRESS`. The Docker CLI's `=` in place of the
/// colon is split as well.
fn names_before_address(line: &str) -> Vec<String> {
    let at = line.find([':', '=']).unwrap_or(line.len());
    let address = line.get(at + 1..).unwrap_or_default();
    let names = line[..at].split(';');
    names.map(|name| format!("{name}:{address}")).collect()
}

/// Splits `ADDRESS NAME NAME`, as `/etc/hosts` has it.
fn names_behind_address(line: &str) -> Vec<String> {
    let mut words = line.split_whitespace();
    let address = words.next().unwrap_or_default();
    let mut pairs: Vec<_> = words.map(|name| format!("{name}:{address}")).collect();
    if pairs.is_empty() {
        pairs.push(format!(":{address}"));
    }
    pairs
}

fn each_word(
    judge: &mut Judge<'_>,
    (key, allowed): (&str, &Allowed<Pattern>),
    (path, list): (&'static str, Option<&Json<'_>>),
    as_values: impl Fn(&str) -> Vec<String>,
) {
    let Some(allowed) = allowed else { return };
    for (index, word) in list.map(Json::list).unwrap_or_default().iter().enumerate() {
        let values = as_values(word.text());
        let is_allowed =
            |value: &String| allowed.iter().any(|pattern: &Pattern| pattern.fits(value));
        if let Some(value) = values.iter().find(|value| !is_allowed(value)) {
            let what = format!("{:?} is not allowed", crate::guard::shortened(value));
            judge.within(Step::Field(path), |judge| {
                judge.within(Step::Index(index), |judge| {
                    judge.unmet(key, what, allows_patterns(allowed))
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_hosts_become_pairs() {
        for (split, line, want) in [
            (
                names_before_address as fn(&str) -> Vec<String>,
                "a:1.2.3.4",
                "a:1.2.3.4",
            ),
            (names_before_address, "a=1.2.3.4", "a:1.2.3.4"),
            (names_before_address, "a;b:::1", "a:::1 b:::1"),
            (names_before_address, "a", "a:"),
            (names_behind_address, "1.2.3.4 a b", "a:1.2.3.4 b:1.2.3.4"),
            (names_behind_address, "::1\ta", "a:::1"),
            (names_behind_address, "1.2.3.4", ":1.2.3.4"),
        ] {
            assert_eq!(split(line).join(" "), want, "{line}");
        }
    }

    #[test]
    fn services_name_restart_policies_their_own_way() {
        for (api, word, want) in [
            (Api::Docker, "", Some(RestartPolicy::No)),
            (Api::Docker, "always", Some(RestartPolicy::Always)),
            (Api::Docker, "any", None),
            (Api::Docker, "Always", None),
            (
                Api::Libpod,
                "unless-stopped",
                Some(RestartPolicy::UnlessStopped),
            ),
            (Api::Service, "", Some(RestartPolicy::Always)),
            (Api::Service, "none", Some(RestartPolicy::No)),
            (Api::Service, "on-failure", Some(RestartPolicy::OnFailure)),
            (Api::Service, "always", None),
        ] {
            assert_eq!(RestartPolicy::of_word(api, word), want, "{api:?} {word}");
        }
    }
}
