//! The guard passes a body, then passes what it made of it unchanged, and what it passes holds
//! nothing that it refuses when the engine reads it.
#![no_main]

use std::sync::{Arc, LazyLock};

use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, ClientLimits, Mode, Permit, Profile, Verdict, decide};
use libfuzzer_sys::fuzz_target;
use world::reading::{as_go_reads, dangers};

#[path = "../../crates/policy/tests/world/mod.rs"]
mod world;

const CREATE: &str = "/containers/create";
const TARGETS: [&str; 7] = [
    CREATE,
    "/v5.0.0/libpod/containers/create",
    "/services/create",
    "/networks/create",
    "/volumes/create",
    "/containers/web/exec",
    "/containers/web/update",
];

static PERMITS: LazyLock<Vec<Permit>> = LazyLock::new(|| {
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("fuzz", "POST .*").expect("a rule")),
        limits: ClientLimits::default(),
        guard: Arc::default(),
        targets: Arc::default(),
        view: Default::default(),
        mode: Mode::Enforce,
        recreation: None,
    };
    let permits =
        TARGETS.map(
            |target| match decide(Call::read("POST", target).expect("plain"), &profile) {
                Verdict::Allow(permit) => permit,
                Verdict::Deny(denial) => panic!("{denial}"),
            },
        );
    permits.into()
});

fuzz_target!(|body: &[u8]| {
    for (permit, target) in PERMITS.iter().zip(TARGETS) {
        let settle = |body| world::settle(permit, Some("application/json"), body);
        match settle(body) {
            Ok(judged) => {
                let sent = judged.body().unwrap_or_default();
                if sent.is_empty() {
                    continue;
                }
                assert_eq!(
                    settle(sent.as_bytes()).expect("it passes again").body(),
                    Some(sent),
                    "{target}"
                );
                let read = as_go_reads(&serde_json::from_str(sent).expect("JSON"));
                if target == CREATE {
                    assert_eq!(
                        dangers(&read).or_else(|| dangers(&read["hostconfig"])),
                        None,
                        "{sent}"
                    );
                }
            }
            Err(objection) => assert!(objection.to_string().len() < 32 << 10),
        }
    }
});
