//! The identity and the description of the policy in force, for `/policy`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use cetusguard_policy::{Mode, Profile, Profiles, Selector};
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::status::LastReload;
use crate::advice::CheckWarning;
use crate::flow::Proxy;

/// The hash of the policy in force, made again when the generation of the settings changes.
#[derive(Debug, Default)]
pub(super) struct PolicyIdentity {
    known: Mutex<Option<(u64, String)>>,
}

impl PolicyIdentity {
    /// Returns the hash and the generation of the policy in force.
    pub(super) fn of(&self, proxy: &Proxy) -> (String, u64) {
        // Read before the settings: they are then of this generation or of a later one, in which
        // case the next call makes the hash again.
        let generation = proxy.settings.generation();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, hash)) = &*known
            && *of == generation
        {
            return (hash.clone(), generation);
        }
        let hash = hash_policy(&proxy.settings.get().profiles);
        *known = Some((generation, hash.clone()));
        (hash, generation)
    }
}

/// Describes the policy in force as JSON.
pub(super) fn describe_policy(identity: &PolicyIdentity, proxy: &Proxy) -> Value {
    let (hash, generation) = identity.of(proxy);
    let status = proxy.status.read();
    let settings = proxy.settings.get();
    let profiles: Vec<Value> = settings
        .profiles
        .all()
        .enumerate()
        .map(|(place, profile)| describe_profile(profile, place == 0, &settings.profiles))
        .collect();
    let warnings = status
        .warnings
        .as_ref()
        .map(|warnings| warnings.iter().map(describe_warning).collect::<Vec<_>>());
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "hash": hash,
        "generation": generation,
        "loaded": write_time(status.loaded),
        "last_reload": status.last_reload.as_ref().map(describe_reload),
        "profiles": profiles,
        "warnings": warnings,
    })
}

fn describe_profile(profile: &Arc<Profile>, is_default: bool, profiles: &Profiles) -> Value {
    let clients: Vec<String> = profiles
        .selectors_of(profile)
        .map(Selector::written)
        .collect();
    json!({
        "name": profile.name,
        "mode": mode_name(profile.mode),
        "guard": profile.guard.level.name(),
        "guard_allow": profile.guard.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "targets": profile.targets.entries().collect::<Vec<_>>(),
        "rules": profile.rules.rules().len(),
        "clients": clients,
        "unmatched_clients": is_default,
    })
}

fn describe_reload(reload: &LastReload) -> Value {
    json!({
        "time": write_time(reload.at),
        "cause": reload.cause,
        "result": if reload.is_success() { "success" } else { "failure" },
        "mistakes": reload.mistakes,
    })
}

fn describe_warning(warning: &CheckWarning) -> Value {
    json!({
        "code": warning.code,
        "profile": warning.profile,
        "detail": warning.detail,
        "hint": warning.hint,
    })
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    }
}

fn write_time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Returns the SHA-256 of a canonical form of the policy, in hexadecimal digits. Two hosts with the
/// same policy and the same version of the program have the same hash, wherever their files are.
pub fn hash_policy(profiles: &Profiles) -> String {
    let mut form = String::new();
    for profile in profiles.all() {
        write_profile(profile, &mut form);
        for selector in profiles.selectors_of(profile) {
            let _ = writeln!(form, "client {:?}", selector.written());
        }
    }
    HEXLOWER.encode(digest(&SHA256, form.as_bytes()).as_ref())
}

/// Writes everything about a profile that decides about requests. Every text is quoted, so that
/// none can imitate another line; a new field of a profile does not compile until it is here.
fn write_profile(profile: &Profile, form: &mut String) {
    let Profile {
        name,
        rules,
        limits,
        guard,
        targets,
        view,
        mode,
        recreation,
    } = profile;
    let _ = writeln!(form, "profile {name:?} {}", mode_name(*mode));
    let _ = writeln!(form, "head_follows_get {}", rules.head_follows_get());
    // The order of rules has no meaning.
    let mut texts: Vec<&str> = rules.rules().iter().map(|rule| rule.text()).collect();
    texts.sort_unstable();
    for text in texts {
        let _ = writeln!(form, "rule {text:?}");
    }
    let _ = writeln!(form, "limits {limits:?}");
    let _ = writeln!(form, "guard {guard:?}");
    let _ = writeln!(form, "targets {targets:?}");
    let _ = writeln!(form, "view {view:?}");
    let _ = writeln!(form, "recreation {recreation:?}");
}

#[cfg(test)]
mod tests {
    use cetusguard_policy::guard::{Exception, Guard};
    use cetusguard_policy::rule::{RuleSet, parse};

    use super::*;

    fn profiles(rules: &str, origin: &str, allow: &[&str]) -> Profiles {
        let rules = parse(origin, rules).expect(rules);
        let allow = allow.iter().map(|text| Exception::read(text).expect(text));
        let profile = Profile {
            name: "default".to_owned(),
            rules: RuleSet::new(rules),
            guard: Arc::new(Guard {
                allow: allow.collect(),
                ..Guard::default()
            }),
            ..Profile::default()
        };
        Profiles::new(profile, Vec::new(), Vec::new())
    }

    #[test]
    fn equal_policies_have_equal_hashes_and_others_have_not() {
        let (one, two) = ("GET /info", "POST /build");
        let hash = |rules: &str, origin: &str, allow: &[&str]| {
            hash_policy(&profiles(rules, origin, allow))
        };
        let first = hash(&format!("{one}\n{two}\n"), "a", &[]);
        assert_eq!(first.len(), 64);
        assert_eq!(first, hash(&format!("# x\n{two}\n{one}\n"), "b", &[]));
        for other in [
            hash(one, "a", &[]),
            hash(&format!("{one}\n{two}\nGET /x"), "a", &[]),
            hash(&format!("{one}\n{two}\n"), "a", &["privileged"]),
        ] {
            assert_ne!(first, other);
        }
    }
}
