//! What the guard passes of a container's body, it passes again, unchanged; whatever the bytes, it ends.
#![no_main]

use std::sync::{Arc, LazyLock};

use cetusguard_policy::guard::{Engine, Objection, Question, Surroundings};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Limits, Mode, Object, Permit, Profile, Verdict, decide};
use libfuzzer_sys::fuzz_target;

static PERMITS: LazyLock<Vec<Permit>> = LazyLock::new(|| {
    let profile = Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("fuzz", "POST .*").expect("a rule")),
        limits: Limits::default(),
        guard: Arc::default(),
        targets: Arc::default(),
        mode: Mode::Enforce,
    };
    let targets = ["/containers/create", "/v5.0.0/libpod/containers/create", "/services/create", "/networks/create"];
    let permits = targets.map(|target| match decide(Call::read("POST", target).expect("plain"), &profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{denial}"),
    });
    permits.into()
});

/// What is sent in a world in which every object that is named exists under that name and is harmless.
fn sent(permit: &Permit, body: &[u8]) -> Result<String, Objection> {
    let mut case = permit.open(Some("application/json"), body, Surroundings::default())?;
    while let Some(question) = case.question() {
        match question {
            Question::Object { word, .. } => {
                let object = Object { id: word.to_owned(), name: word.to_owned(), ..Object::default() };
                case.answer(Some(&object)).expect("it is there");
            }
            Question::Engine => case.answer_engine(&Engine::default()),
        }
    }
    Ok(case.close()?.body().unwrap_or_default().to_owned())
}

fuzz_target!(|body: &[u8]| {
    for permit in PERMITS.iter() {
        match sent(permit, body) {
            Ok(first) => {
                assert_eq!(sent(permit, first.as_bytes()).expect("it passes again"), first);
                assert!(!first.contains("\"Privileged\":true") && !first.contains("\"privileged\":true") || first.contains("\\\""), "{first}");
            }
            Err(objection) => assert!(objection.to_string().len() < 32 << 10),
        }
    }
});
