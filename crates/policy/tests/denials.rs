//! Denials and the ways around them, one line a fact: a call that does what is denied as a part of
//! something else, or to an object that it names in its query or by another name.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Guard, GuardLevel};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, ClientLimits, Mode, Object, Pattern, Profile, TargetCondition, Targets, Tried, Verdict,
    decide, trace,
};

/// Every call, those that a wildcard does not open included.
const ALL: &str = "GET,HEAD,POST,PUT,DELETE .*\nALLOW look, secrets, change, run, host, \
    build.session, build.grpc, libpod.kube.play, libpod.quadlet.install, image.save_many, \
    container.export";

/// The identifier of Podman's default network.
const PODMAN: &str = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";

fn profile(rules: &str, level: GuardLevel) -> Profile {
    let rules = parse("test", rules).unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
    let allow = Vec::new();
    Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(rules),
        limits: ClientLimits::default(),
        guard: Arc::new(Guard {
            level,
            allow,
            ..Guard::default()
        }),
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    }
}

/// The engine's objects: Podman finds its default network by two names, and inspects volumes by
/// their whole names alone.
fn object(kind: ObjectKind, word: &str) -> Option<Object> {
    let answer = match (kind, word) {
        (ObjectKind::Network, "bridge") => {
            format!("{{\"Id\":\"{PODMAN}\",\"Name\":\"bridge\",\"Driver\":\"bridge\"}}")
        }
        (ObjectKind::Network, "podman" | PODMAN) => {
            format!("{{\"Id\":\"{PODMAN}\",\"Name\":\"podman\",\"Driver\":\"bridge\"}}")
        }
        (ObjectKind::Volume, "data" | "web-data") => format!("{{\"Name\":\"{word}\"}}"),
        (ObjectKind::Volume, _) => return None,
        (ObjectKind::Container, _) => format!("{{\"Id\":\"{word}-id\",\"Name\":\"/{word}\"}}"),
        _ => format!("{{\"Id\":\"{word}-id\",\"ID\":\"{word}-id\",\"Name\":\"{word}\"}}"),
    };
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

/// The target that is sent, or why nothing is: the reason of the refusal, or `404`.
fn outcome(request: &str, profile: &Profile) -> String {
    let (method, target) = request.split_once(' ').expect("METHOD TARGET");
    let mut verdict = decide(Call::read(method, target).expect(target), profile);
    loop {
        let permit = match verdict {
            Verdict::Deny(denial) => return denial.reason.kind().word().to_owned(),
            Verdict::Allow(permit) => permit,
        };
        let Some((kind, word)) = permit.question() else {
            return permit.call().target();
        };
        let Some(object) = object(kind, word) else {
            return "404".to_owned();
        };
        verdict = permit.answer(&object, profile);
    }
}

fn is_denied(denial: &str, request: &str, level: GuardLevel) -> bool {
    let rules = format!("{ALL}\n{denial}");
    outcome(request, &profile(&rules, level)) == "deny_rule"
}

#[test]
fn a_denial_of_a_part_denies_the_whole() {
    const PRUNES: &str = "DENY volume.prune, container.prune, image.prune, network.prune";
    for (denial, denied, allowed) in [
        (
            PRUNES,
            &[
                "POST /v5.0.0/libpod/system/prune",
                "POST /v5.0.0/libpod/pods/prune",
            ][..],
            &["DELETE /containers/web"][..],
        ),
        (
            "DENY container.prune",
            &["POST /v5.0.0/libpod/system/prune?volumes=true"],
            &["POST /volumes/prune", "POST /v5.0.0/libpod/images/prune"],
        ),
        // What the query leaves out is not done.
        (
            "DENY volume.prune",
            &[
                "POST /v5.0.0/libpod/system/prune?volumes=true",
                "POST /v5.0.0/libpod/system/prune?Volumes=1",
                "POST /v5.0.0/libpod/system/prune?volumes=false&volumes=true",
            ],
            &[
                "POST /v5.0.0/libpod/system/prune",
                "POST /v5.0.0/libpod/system/prune?volumes=false&all=true",
            ],
        ),
        (
            "DENY build.prune",
            &[
                "POST /build/prune",
                "POST /v5.0.0/libpod/system/prune",
                "POST /v5.0.0/libpod/images/prune?external=true",
                "POST /grpc",
            ],
            &["POST /v5.0.0/libpod/images/prune?all=true", "POST /build"],
        ),
        (
            "DENY build.start",
            &["POST /build", "POST /grpc", "POST /session"],
            &["POST /images/create?fromImage=x"],
        ),
        (
            "DENY container.remove(db)",
            &[
                "POST /containers/prune",
                "POST /v5.0.0/libpod/containers/prune",
                "POST /v5.0.0/libpod/system/prune",
                "POST /v5.0.0/libpod/pods/prune",
                "DELETE /v5.0.0/libpod/pods/p",
                "DELETE /v5.0.0/libpod/kube/play",
                "DELETE /v5.0.0/libpod/play/kube",
                "POST /v5.0.0/libpod/kube/play?replace=true",
                "DELETE /v5.0.0/libpod/volumes/web-data?force=true",
                "DELETE /v5.0.0/libpod/images/busybox?force=true",
                "DELETE /v5.0.0/libpod/images/remove?images=busybox&force=true",
                "DELETE /v5.0.0/libpod/networks/n?force=true",
                "DELETE /networks/n?Force=true",
                "DELETE /v5.0.0/libpod/quadlets/web.container?force=true",
            ],
            &[
                "DELETE /v5.0.0/libpod/volumes/web-data",
                "DELETE /v5.0.0/libpod/images/busybox?force=false",
                "DELETE /v5.0.0/libpod/images/remove?images=enforced",
                "POST /v5.0.0/libpod/pods/p/stop",
                "POST /v5.0.0/libpod/kube/play",
                "DELETE /containers/web",
            ],
        ),
        (
            "DENY libpod.container.stop(db)",
            &[
                "POST /v5.0.0/libpod/pods/p/stop",
                "POST /containers/db/stop",
            ],
            &["POST /v5.0.0/libpod/pods/p/start"],
        ),
        (
            "DENY container.inspect(db)",
            &[
                "GET /v5.0.0/libpod/generate/kube?names=db",
                "GET /v5.0.0/libpod/kube/generate?names=web",
                "GET /v5.0.0/libpod/generate/db/systemd",
            ],
            &["GET /containers/json"],
        ),
        (
            "DENY container.create",
            &[
                "POST /services/create",
                "POST /v5.0.0/libpod/pods/create",
                "POST /v5.0.0/libpod/kube/play",
                "POST /v5.0.0/libpod/quadlets",
            ],
            &["POST /volumes/create"],
        ),
        (
            "DENY container.*(db)",
            &[
                "GET /v5.0.0/libpod/containers/db/healthcheck",
                "POST /v5.0.0/libpod/containers/db/mount",
            ],
            &["GET /v5.0.0/libpod/containers/web/healthcheck"],
        ),
        (
            "DENY container.logs(db)",
            &[
                "POST /containers/db/attach?logs=1&stdout=1",
                "GET /services/web/logs",
            ],
            &["POST /containers/web/attach?stdout=1"],
        ),
        (
            "DENY container.stop(db), container.kill(db)",
            &[
                "DELETE /containers/db?force=1",
                "DELETE /v5.0.0/libpod/containers/web?depend=1",
                "DELETE /services/web",
            ],
            &["DELETE /containers/db", "DELETE /containers/web?force=1"],
        ),
        (
            "DENY image.remove",
            &["POST /v5.0.0/libpod/system/check?repair=true"],
            &["POST /v5.0.0/libpod/system/check"],
        ),
        (
            "DENY image.create",
            &["POST /build", "POST /grpc", "POST /services/create"],
            &["POST /volumes/create"],
        ),
        (
            "DENY secret.remove",
            &["POST /v5.0.0/libpod/secrets/create?name=x&replace=true"],
            &["POST /v5.0.0/libpod/secrets/create?name=x"],
        ),
        // They name the object themselves.
        (
            "DENY container.start(db)",
            &[
                "POST /containers/db/restart",
                "POST /v5.0.0/libpod/pods/p/restart",
            ],
            &["POST /containers/web/restart"],
        ),
        (
            "DENY container.archive_get",
            &["GET /containers/web/export"],
            &["GET /containers/web/logs"],
        ),
        (
            "DENY network.remove",
            &["POST /networks/prune"],
            &["POST /volumes/prune"],
        ),
        (
            "DENY volume.remove(data)",
            &["POST /volumes/prune"],
            &["POST /networks/prune"],
        ),
    ] {
        for request in denied {
            assert!(
                is_denied(denial, request, GuardLevel::Baseline),
                "{denial} ← {request}"
            );
        }
        for request in allowed {
            assert!(
                !is_denied(denial, request, GuardLevel::Baseline),
                "{denial} ← {request}"
            );
        }
    }
}

/// Docker keeps the containers of an image, and the guard asks which engine it is. Without a guard
/// the denial has to hold on both.
#[test]
fn a_denial_holds_for_what_podman_does_on_dockers_paths() {
    let request = "DELETE /images/busybox?force=1";
    let denial = "DENY container.remove(db)";
    assert!(is_denied(denial, request, GuardLevel::Privileged));
    assert!(!is_denied(denial, request, GuardLevel::Baseline));
    assert!(!is_denied(
        denial,
        "DELETE /images/busybox",
        GuardLevel::Privileged
    ));
    assert!(!is_denied(
        "DENY container.start(db)",
        request,
        GuardLevel::Privileged
    ));
    let call = Call::read("DELETE", "/images/busybox?force=1").expect("plain");
    for (level, want) in [
        (GuardLevel::Privileged, true),
        (GuardLevel::Baseline, false),
    ] {
        let attempts = trace(&call, &profile(denial, level));
        assert_eq!(attempts[0].tried == Tried::Denies, want, "{level:?}");
    }
}

#[test]
fn a_denial_of_objects_denies_calls_that_name_them_in_the_query() {
    for (denial, request) in [
        (
            "DENY libpod.pod.*(db)",
            "GET /v5.0.0/libpod/pods/stats?namesOrIDs=db",
        ),
        (
            "DENY libpod.pod.*(db)",
            "GET /v5.0.0/libpod/pods/stats?all=true",
        ),
        ("DENY libpod.pod.top(db)", "GET /v5.0.0/libpod/pods/db/top"),
        (
            "DENY libpod.container.*(db)",
            "GET /v5.0.0/libpod/containers/stats?containers=d",
        ),
        (
            "DENY container.*(db)",
            "GET /v5.0.0/libpod/containers/stats",
        ),
        (
            "DENY container.*(db)",
            "GET /v5.0.0/libpod/generate/kube?names=db",
        ),
        (
            "DENY libpod.pod.*(db)",
            "GET /v5.0.0/libpod/generate/kube?names=db",
        ),
        (
            "DENY container.*(db)",
            "GET /v5.0.0/libpod/generate/db/systemd",
        ),
    ] {
        assert!(
            is_denied(denial, request, GuardLevel::Baseline),
            "{denial} ← {request}"
        );
    }
    let other = "GET /v5.0.0/libpod/pods/json";
    assert!(!is_denied(
        "DENY libpod.pod.*(db)",
        other,
        GuardLevel::Baseline
    ));
}

#[test]
fn the_refusal_names_the_part_that_is_denied() {
    let profile = profile(
        &format!("{ALL}\nDENY container.remove(db)"),
        GuardLevel::Baseline,
    );
    let call = Call::read("POST", "/containers/prune").expect("plain");
    let Verdict::Deny(denial) = decide(call, &profile) else {
        panic!("allowed")
    };
    assert_eq!(
        denial.to_string(),
        "the rule `DENY container.remove(db)` of profile default denies container.remove, which \
        POST /containers/prune does as well, whatever other rules say; to allow it, take that rule \
        out or narrow it"
    );
}

#[test]
fn the_default_network_of_podman_is_one_by_both_names() {
    for denial in [
        "DENY network.connect(podman)",
        "DENY network.connect(bridge)",
        "DENY POST %API_PREFIX_NETWORKS%/podman/connect",
        "DENY POST %API_PREFIX_NETWORKS%/bridge/connect",
    ] {
        for word in ["podman", "bridge", PODMAN] {
            let request = format!("POST /networks/{word}/connect");
            assert!(
                is_denied(denial, &request, GuardLevel::Baseline),
                "{denial} ← {request}"
            );
        }
        assert!(!is_denied(
            denial,
            "POST /networks/front/connect",
            GuardLevel::Baseline
        ));
    }
    for name in ["podman", "bridge"] {
        let granting = profile(
            &format!("ALLOW network.connect({name})"),
            GuardLevel::Privileged,
        );
        let targets = Targets::new(vec![vec![TargetCondition::Name(Pattern::new(name))]]);
        for word in ["podman", "bridge", PODMAN] {
            let network = object(ObjectKind::Network, word).expect("a network");
            assert!(targets.include(&network), "{name} ← {word}");
            // A rule that allows is found by the client's word for the object.
            if word == name {
                let sent = outcome(&format!("POST /networks/{word}/connect"), &granting);
                assert_eq!(sent, format!("/networks/{PODMAN}/connect"));
            }
        }
        // On Docker, a network of the other name is another network.
        let id = "0".repeat(64);
        let answer = format!("{{\"Id\":\"{id}\",\"Name\":\"podman\",\"Driver\":\"bridge\"}}");
        let docker = Object::read(ObjectKind::Network, answer.as_bytes()).expect("JSON");
        assert_eq!(targets.include(&docker), name == "podman");
    }
}

/// Podman removes the volume whose name begins with the client's word.
#[test]
fn a_rule_for_a_volume_opens_no_volume_whose_name_begins_so() {
    for rules in [
        "DELETE %API_PREFIX_VOLUMES%/(web|web-data)",
        "DELETE %API_PREFIX_VOLUMES%/web.*\nDELETE %API_PREFIX_LIBPOD_VOLUMES%/web.*",
        "ALLOW volume.remove(web*)",
    ] {
        let profile = profile(rules, GuardLevel::Privileged);
        for (request, want) in [
            ("DELETE /volumes/web", "404"),
            ("DELETE /volumes/web-data", "/volumes/web-data"),
            (
                "DELETE /v1.43/volumes/web-data?force=1",
                "/v1.43/volumes/web-data?force=1",
            ),
        ] {
            assert_eq!(outcome(request, &profile), want, "{rules} ← {request}");
        }
    }
    // A rule about every volume needs no question.
    let all = profile("DELETE %API_PREFIX_VOLUMES%/.+", GuardLevel::Privileged);
    assert_eq!(outcome("DELETE /volumes/web", &all), "/volumes/web");
}

/// The image of a commit has the settings and the files of its container, and Podman takes the name
/// off an image in several ways.
#[test]
fn a_denial_holds_for_calls_that_give_the_same() {
    for (rule, request, is_denied) in [
        (
            "container.inspect(sec*)",
            "POST /commit?container=sec&repo=x",
            true,
        ),
        (
            "container.export(sec*)",
            "POST /v5.0.0/libpod/commit?container=sec&repo=x",
            true,
        ),
        (
            "container.archive_get(sec*)",
            "POST /commit?container=sec&repo=x",
            true,
        ),
        (
            "container.inspect(sec*)",
            "POST /commit?container=web&repo=x",
            false,
        ),
        (
            "container.logs(sec*)",
            "POST /commit?container=sec&repo=x",
            false,
        ),
        (
            "image.remove",
            "POST /v5.0.0/libpod/images/x/untag?repo=x",
            true,
        ),
        ("image.remove", "DELETE /v5.0.0/libpod/manifests/x", true),
    ] {
        let rules = format!("{ALL}\nALLOW libpod.container.commit\nDENY {rule}");
        let outcome = outcome(request, &profile(&rules, GuardLevel::Privileged));
        assert_eq!(
            !outcome.starts_with('/'),
            is_denied,
            "{rule}: {request}: {outcome}"
        );
    }
}
