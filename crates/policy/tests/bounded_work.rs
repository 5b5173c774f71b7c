//! The bounds of a judgement: bodies that are made to be costly end early.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cetusguard_policy::guard::{Exception, Guard, HostPath, Objection, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, ClientLimits, Mode, Permit, Profile, Verdict, decide};

/// A permit to create containers that mount `/srv`.
fn permit() -> Permit {
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("test", "POST .*").expect("a rule")),
        limits: ClientLimits::default(),
        guard: Arc::new(Guard {
            allow: vec![Exception::read("bind=/srv/**").expect("one")],
            ..Guard::default()
        }),
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    };
    match decide(
        Call::read("POST", "/containers/create").expect("plain"),
        &profile,
    ) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{denial}"),
    }
}

static RESOLVED: AtomicUsize = AtomicUsize::new(0);

fn resolve(path: &str) -> HostPath {
    RESOLVED.fetch_add(1, SeqCst);
    HostPath::LeadsTo(path.to_owned())
}

/// The findings about a body, and how many paths of the host were looked at.
fn judge(body: &str) -> (usize, usize) {
    let permit = permit();
    RESOLVED.store(0, SeqCst);
    let around = Surroundings {
        resolve_path: Some(&resolve),
        ..Surroundings::default()
    };
    let found = match permit.open(Some("application/json"), body.as_bytes(), around) {
        Ok(_) => 0,
        Err(Objection::Findings(findings)) => findings.len(),
        Err(objection) => panic!("{objection}"),
    };
    (found, RESOLVED.load(SeqCst))
}

/// `RESOLVED` is one for all: so these are one test.
#[test]
fn paths_of_the_host_are_looked_at_only_while_it_matters() {
    let unknown = |count: usize| {
        (0..count)
            .map(|at| format!("\"{at}\":1,"))
            .collect::<String>()
    };
    let binds = |count: usize| {
        (0..count)
            .map(|at| format!("\"/srv/{at}:/{at}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (fields, paths, want) in [
        (0, 64, (0, 64)),
        (63, 2, (63, 2)),
        // Nothing is looked at once no finding more is taken.
        (64, 2, (64, 0)),
        (60_000, 2, (64, 0)),
        // No container mounts as many, and each path takes system calls.
        (0, 65, (1, 64)),
        (0, 10_000, (64, 64)),
    ] {
        let body = format!(
            "{{\"HostConfig\":{{{}\"Binds\":[{}]}}}}",
            unknown(fields),
            binds(paths)
        );
        assert_eq!(judge(&body), want, "{fields} unknown fields, {paths} paths");
    }
}

/// 60,000 keys that are no fields of a container and say nothing: there is nothing to refuse, and
/// nothing of them goes on.
#[test]
fn empty_unknown_fields_are_dropped() {
    let unknown: String = (0..60_000).map(|at| format!("\"K{at}\":[],")).collect();
    let body = format!("{{\"HostConfig\":{{{unknown}\"Memory\":1}}}}");
    let sent = world::settle(&permit(), Some("application/json"), body.as_bytes())
        .expect("nothing is refused");
    assert_eq!(sent.body(), Some("{\"HostConfig\":{\"Memory\":1}}"));
}
