//! The comparison of two profiles misses no call about which they decide differently.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

use cetusguard_policy::endpoint::Endpoint;
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Difference, Preset, Profile, Surveyor, Verdict, decide};

fn profile(rules: &str) -> Profile {
    let rules = parse("t", rules).unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
    Profile {
        name: "p".to_owned(),
        rules: RuleSet::new(rules),
        ..Profile::default()
    }
}

/// Returns a path of an endpoint, with this word for each placeholder.
fn path(endpoint: &Endpoint, word: &str) -> String {
    let prefix = if endpoint.is_libpod() {
        "/v5.0.0"
    } else {
        "/v1.43"
    };
    let segments = endpoint.shape.split('/').map(|segment| {
        if segment.starts_with('{') {
            word
        } else {
            segment
        }
    });
    format!("{prefix}{}", segments.collect::<Vec<_>>().join("/"))
}

fn allows(profile: &Profile, endpoint: &Endpoint, path: &str) -> bool {
    let call = Call::from_path(endpoint.method, path).expect(path);
    matches!(decide(call, profile), Verdict::Allow(_))
}

/// Checks that each call about which the profiles differ is one of an endpoint that the comparison
/// reports, in this direction, and that each reported call is one.
fn check(surveyor: &Surveyor, old: &str, new: &str) {
    let [old, new] = [old, new].map(profile);
    let changes = surveyor.compare_rules(&old, &new);
    for change in &changes {
        let (witness, is_wider) = match &change.difference {
            Difference::Wider(witness) => (witness, true),
            Difference::Narrower(witness) => (witness, false),
            Difference::Unknown => continue,
        };
        let call = |profile| {
            let call = Call::from_path(change.method, &witness.path).expect("a path");
            matches!(decide(call, profile), Verdict::Allow(_))
        };
        assert_eq!(
            (call(&new), call(&old)),
            (is_wider, !is_wider),
            "{change:?}"
        );
    }
    // OPTIONS is not compared.
    for endpoint in Endpoint::all().filter(|endpoint| endpoint.method.as_str() != "OPTIONS") {
        for word in ["some-name", "0123456789ab", "web"] {
            let path = path(endpoint, word);
            let (before, after) = (allows(&old, endpoint, &path), allows(&new, endpoint, &path));
            let is_told = changes.iter().any(|change| {
                let is_own = change.endpoint.id == endpoint.id;
                is_own
                    && match change.difference {
                        Difference::Wider(_) => after,
                        Difference::Narrower(_) => before,
                        Difference::Unknown => true,
                    }
            });
            assert!(before == after || is_told, "{} {path}", endpoint.method);
        }
    }
}

#[test]
fn presets_are_compared_without_a_gap() {
    let surveyor = Surveyor::default();
    let text = |name: &str| Preset::find(name).expect(name).text;
    for (old, new) in [
        ("homepage", "portainer-readonly"),
        ("compose", "testcontainers"),
        ("dozzle", "watchtower"),
        ("traefik", "traefik-swarm"),
    ] {
        check(&surveyor, text(old), text(new));
        check(&surveyor, text(new), text(old));
    }
}

#[test]
fn rules_by_name_and_by_pattern_are_compared_without_a_gap() {
    let surveyor = Surveyor::default();
    for (old, new) in [
        ("GET .*", "ALLOW look"),
        (
            "ALLOW container.*",
            "GET,POST %API_PREFIX_CONTAINERS%(/.*)?",
        ),
        ("GET,POST .*", "GET,POST .*\nDENY container.*(web)"),
        ("ALLOW container.stop(web)", "ALLOW container.stop(some-*)"),
        (
            "GET /v1\\.4[0-9]/containers/json",
            "GET %API_PREFIX_CONTAINERS%/json",
        ),
    ] {
        check(&surveyor, old, new);
        check(&surveyor, new, old);
        check(&surveyor, old, old);
    }
}
