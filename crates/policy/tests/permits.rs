//! A permit says what is left to do before its call may be sent.

use std::sync::Arc;

use cetusguard_policy::guard::{Guard, GuardLevel};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, Mode, Permit, Profile, Verdict, decide};

fn profile(level: GuardLevel, mode: Mode) -> Profile {
    let rules = "GET,POST %API_PREFIX%/.*\nALLOW container.archive_get";
    Profile {
        rules: RuleSet::new(parse("test", rules).expect("rules")),
        guard: Arc::new(Guard {
            level,
            ..Guard::default()
        }),
        mode,
        ..Profile::default()
    }
}

fn permit(request: &str, profile: &Profile) -> Permit {
    let (method, target) = request.split_once(' ').expect("METHOD TARGET");
    match decide(Call::read(method, target).expect(request), profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(_) => unreachable!("the rules allow all of it"),
    }
}

#[test]
fn a_permit_lists_its_obligations() {
    use GuardLevel::{Baseline, Privileged};
    for (level, request, [is_judged, reads_body, needs_proxy]) in [
        (Baseline, "GET /containers/json", [false, false, false]),
        (Baseline, "POST /containers/create", [true, true, true]),
        (Baseline, "POST /containers/web/exec", [true, true, true]),
        (Baseline, "POST /auth", [true, true, false]),
        (
            Baseline,
            "POST /images/create?fromImage=a",
            [true, false, true],
        ),
        (Privileged, "POST /containers/create", [false, false, false]),
        (
            Privileged,
            "POST /containers/web/exec",
            [false, false, false],
        ),
    ] {
        let permit = permit(request, &profile(level, Mode::Enforce));
        let found = [
            permit.is_judged(),
            permit.reads_body(),
            permit.needs_proxy(),
        ];
        assert_eq!(
            found,
            [is_judged, reads_body, needs_proxy],
            "{level:?} {request}"
        );
        // A call that is judged can be sent only by way of its judgement.
        assert_eq!(permit.cleared().is_none(), is_judged, "{level:?} {request}");
        assert!(permit.waived(b"").is_none(), "{level:?} {request}");
        let audited = self::permit(request, &profile(level, Mode::Audit));
        assert!(audited.waived(b"").is_some(), "{level:?} {request}");
    }
}

#[test]
fn only_audit_mode_lets_a_denied_call_pass() {
    let denied = || {
        let call = Call::read("DELETE", "/containers/web").expect("a call");
        decide(call, &profile(GuardLevel::Baseline, Mode::Enforce))
    };
    for (mode, passes) in [(Mode::Enforce, false), (Mode::Audit, true)] {
        let verdict = denied().unless_enforced(&profile(GuardLevel::Baseline, mode));
        assert_eq!(matches!(verdict, Verdict::Allow(_)), passes, "{mode:?}");
    }
}

/// A rule by name opens the endpoint that it names, and no other one that wants a name.
#[test]
fn a_rule_by_name_opens_its_endpoint_alone() {
    for (request, is_open) in [
        ("GET /containers/web/archive?path=/", true),
        ("HEAD /containers/web/archive?path=/", true),
        ("GET /containers/web/export", false),
        ("GET /images/web/get", false),
    ] {
        let (method, target) = request.split_once(' ').expect("METHOD TARGET");
        let call = Call::read(method, target).expect(request);
        let verdict = decide(call, &profile(GuardLevel::Baseline, Mode::Enforce));
        assert_eq!(matches!(verdict, Verdict::Allow(_)), is_open, "{request}");
    }
}
