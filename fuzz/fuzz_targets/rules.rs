//! The rule set finds the rules whose whole expression matches, and can say of every other why it
//! does not match. Mistakes in rules are told with their place.
//!
//! The first line of the input is a call, `METHOD TARGET`; rules follow.
#![no_main]

use cetusguard_policy::Call;
use cetusguard_policy::rule::{Compared, Effect, Miss, parse};
use libfuzzer_sys::fuzz_target;

/// Longer rules take long to compile, and find no more.
const LIMIT: usize = 512;

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else {
        return;
    };
    let Some((call, text)) = input.split_once('\n').filter(|_| input.len() <= LIMIT) else {
        return;
    };
    let lines = text.split('\n').count();
    let rules = match parse("fuzz", text) {
        Ok(rules) => rules,
        Err(mistakes) => {
            for mistake in mistakes {
                assert!((1..=lines).contains(&mistake.position.line), "{mistake}");
                let line = text
                    .split('\n')
                    .nth(mistake.position.line - 1)
                    .unwrap_or_default();
                assert!(mistake.column() <= line.chars().count() + 1, "{mistake}");
                assert!(mistake.to_string().contains(&format!(
                    "--> {}:{}",
                    mistake.position,
                    mistake.column()
                )));
            }
            return;
        }
    };
    let Some(Ok(call)) = call
        .split_once(' ')
        .map(|(method, target)| Call::read(method, target))
    else {
        return;
    };
    let Some(compared) = Compared::new(rules.clone()) else {
        return;
    };
    let [found, matching] = compared.matching_lines(&call);
    assert_eq!(found, matching, "{}", call.path());
    for rule in rules {
        let miss = rule.miss(&call);
        // A denial also holds for other methods than it says.
        if rule.effect() == Effect::Allow {
            assert_eq!(
                miss.is_none(),
                matching.0.contains(&rule.position.line),
                "{rule}: {miss:?}"
            );
        }
        if let Some(Miss::Path { at, taken }) = miss {
            // Both are shown to users as parts of texts.
            assert!(
                rule.text().get(at).is_some() && call.path().get(..taken).is_some(),
                "{rule}"
            );
        }
    }
});
