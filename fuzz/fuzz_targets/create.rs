//! What the guard passes of a container's body, it passes again, unchanged; whatever the bytes, it ends.
#![no_main]

use std::sync::{Arc, LazyLock};

use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Limits, Mode, Permit, Profile, Verdict, decide};
use libfuzzer_sys::fuzz_target;

static PERMITS: LazyLock<Vec<Permit>> = LazyLock::new(|| {
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("fuzz", "POST .*").expect("a rule")),
        limits: Limits::default(),
        guard: Arc::default(),
        mode: Mode::Enforce,
    };
    let targets = ["/containers/create", "/v5.0.0/libpod/containers/create", "/services/create", "/networks/create"];
    let permits = targets.map(|target| match decide(Call::read("POST", target).expect("plain"), &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{denial}"),
    });
    permits.into()
});

fuzz_target!(|body: &[u8]| {
    for permit in PERMITS.iter() {
        match permit.judge(None, body) {
            Ok(judged) => {
                let sent = judged.body.unwrap_or_default();
                let again = permit.judge(None, sent.as_bytes()).expect("it passes again");
                assert_eq!(again.body.unwrap_or_default(), sent);
                assert!(!sent.contains("\"Privileged\":true") && !sent.contains("\"privileged\":true") || sent.contains("\\\""), "{sent}");
            }
            Err(objection) => assert!(objection.to_string().len() < 16 << 10),
        }
    }
});
