//! A container that the client could not create again is not lost: one line a fact.

#![allow(clippy::panic, reason = "a failed expectation ends a test")]

mod world;

use std::sync::Arc;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{
    Cleared, Defaults, Engine, Exception, Guard, GuardLevel, Inspection, Missing, Objection,
    Question, Recreation, Surroundings,
};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{
    Call, ClientLimits, Condition, Mode, Object, Pattern, Permit, Profile, Profiles, Verdict,
    decide,
};
use serde_json::{Value, json};
use world::RECENT;

const RULES: &str = "GET,POST,DELETE .*\nPOST %API_PREFIX_LIBPOD%/.+";
const DELETE: &str = "DELETE /v1.44/containers/web?force=1";
const STOP: &str = "POST /v1.44/containers/web/stop";

fn profile(how: Option<Recreation>, level: GuardLevel, allow: &[&str], rules: &str) -> Profile {
    Profile {
        name: "updates".to_owned(),
        rules: RuleSet::new(parse("test", rules).expect("rules")),
        limits: ClientLimits::default(),
        guard: Arc::new(Guard {
            level,
            allow: allow
                .iter()
                .map(|text| Exception::read(text).expect(text))
                .collect(),
            ..Guard::default()
        }),
        targets: Arc::default(),
        view: Arc::default(),
        mode: Mode::Enforce,
        recreation: how,
    }
}

fn permit(request: &str, profile: &Profile) -> Permit {
    let (method, target) = request.split_once(' ').expect("a request line");
    match decide(Call::read(method, target).expect(request), profile) {
        Verdict::Allow(permit) => permit,
        Verdict::Deny(denial) => panic!("{request}: {denial}"),
    }
}

/// What an engine with cgroup version 2 tells of a container that was created with an image and a
/// name alone, with these settings of the host in place of its own.
fn inspected(host: &Value) -> Value {
    let mut answer = json!({
        "Id": "c0ffee", "Name": "/web", "Image": "sha256:1", "State": { "Running": true },
        "Config": {
            "Hostname": "c0ffee", "Domainname": "", "User": "1000", "AttachStdin": false, "Env": ["PATH=/bin"],
            "Cmd": ["sleep", "600"], "Image": "busybox", "Volumes": null, "Entrypoint": null, "OnBuild": null,
            "Labels": { "tier": "front" },
        },
        "HostConfig": {
            "Binds": null, "ContainerIDFile": "", "LogConfig": { "Type": "json-file", "Config": {} }, "NetworkMode": "default",
            "PortBindings": {}, "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 }, "AutoRemove": false,
            "CgroupnsMode": "private", "IpcMode": "private", "Privileged": false, "SecurityOpt": null, "Runtime": "runc",
            "MaskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "ShmSize": 67_108_864, "ConsoleSize": [0, 0],
        },
        "NetworkSettings": { "Networks": { "bridge": {
            "IPAMConfig": null, "Links": null, "Aliases": null, "IPAddress": "172.17.0.2", "Gateway": "172.17.0.1",
            "MacAddress": "02:42:ac:11:00:02", "NetworkID": "f00d", "EndpointID": "beef", "IPPrefixLen": 16,
        } } },
    });
    for (key, value) in host.as_object().expect("settings") {
        answer["HostConfig"][key] = value.clone();
    }
    answer
}

/// The other objects of the engine.
fn object(kind: ObjectKind, word: &str) -> Option<Object> {
    let answer = match (kind, word) {
        (ObjectKind::Volume, "of-the-host") => {
            json!({ "Name": word, "Driver": "local", "Options": { "type": "none", "o": "bind", "device": "/etc" } })
        }
        (ObjectKind::Image, _) => json!({ "Id": word, "Config": { "User": "1000" } }),
        (ObjectKind::Container, "gone") => return None,
        (ObjectKind::Container, _) => json!({ "Id": word, "Name": word, "HostConfig": {} }),
        (ObjectKind::Network, _) => json!({ "Id": word, "Name": word }),
        _ => return None,
    };
    Some(Object::read(kind, answer.to_string().as_bytes()).expect("JSON"))
}

fn settle_around(
    permit: &Permit,
    answer: &Value,
    around: Surroundings<'_>,
) -> Result<Cleared, Objection> {
    let inspection = Inspection::read(answer.to_string().as_bytes()).expect("JSON");
    let info = br#"{"LoggingDriver":"gelf","DefaultRuntime":"nvidia"}"#;
    let defaults = Defaults::read(info).expect("JSON");
    let mut case = permit.open(None, b"", around)?;
    while let Some(question) = case.question() {
        match question {
            Question::Inspection { .. } => case
                .answer_inspection(Some(&inspection), &defaults)
                .expect("a container"),
            Question::Object { kind, word } => {
                let object = object(kind, word);
                case.answer(object.as_ref())
                    .expect("an object that may be missing");
            }
            Question::Engine => case.answer_engine(&Engine::read(RECENT.as_bytes()).expect("JSON")),
        }
    }
    case.close()
}

fn settle(permit: &Permit, answer: &Value) -> Result<Cleared, Objection> {
    settle_around(permit, answer, Surroundings::default())
}

/// The first field that stands in the way of a re-creation; nothing where the call passes.
fn field(permit: &Permit, answer: &Value) -> String {
    match settle(permit, answer) {
        Ok(_) => String::new(),
        Err(objection @ Objection::Unrecreatable { .. }) => objection.findings()[0].field.clone(),
        Err(objection) => panic!("{objection}"),
    }
}

fn deleted(how: Recreation, allow: &[&str], host: &Value) -> String {
    field(
        &permit(
            DELETE,
            &profile(Some(how), GuardLevel::Baseline, allow, RULES),
        ),
        &inspected(host),
    )
}

#[test]
fn a_container_is_judged_by_the_settings_with_which_it_would_be_created_again() {
    use Recreation::{Copied, Declared, Updater};
    let bind = json!({ "Binds": ["/srv/app:/app"] });
    let cgroup = json!({ "CgroupnsMode": "host" });
    let unconfined = json!({ "PidMode": "host", "SecurityOpt": ["label=disable"] });
    let orphan = json!({ "NetworkMode": "container:gone" });
    let of_podman = json!({ "Annotations": { "io.podman.annotations.autoremove": "FALSE" } });
    for (how, allow, host, want) in [
        (Copied, "", &json!({}), ""),
        (Declared, "", &json!({}), ""),
        (Updater, "", &json!({}), ""),
        (Copied, "", &bind, "HostConfig.Binds[0]"),
        (Declared, "", &bind, "HostConfig.Binds[0]"),
        (Updater, "", &bind, "HostConfig.Binds[0]"),
        (Copied, "bind=/srv/app", &bind, ""),
        (Declared, "bind=/srv/app", &bind, ""),
        (Declared, "bind=/srv/other", &bind, "HostConfig.Binds[0]"),
        (
            Copied,
            "",
            &json!({ "Privileged": true, "MaskedPaths": null, "ReadonlyPaths": null }),
            "HostConfig.Privileged",
        ),
        (
            Declared,
            "",
            &json!({ "Devices": [{ "PathOnHost": "/dev/sda" }] }),
            "HostConfig.Devices[0]",
        ),
        // A volume is named, and only the engine knows what it is.
        (
            Declared,
            "",
            &json!({ "Binds": ["of-the-host:/x"] }),
            "HostConfig.Binds[0]",
        ),
        (Declared, "", &json!({ "Binds": ["new:/x"] }), ""),
        // The engine fills these in: a client that copies sends them, one with a file of its own
        // does not.
        (Copied, "", &cgroup, "HostConfig.CgroupnsMode"),
        (Updater, "", &cgroup, "HostConfig.CgroupnsMode"),
        (Copied, "host-namespace=cgroup", &cgroup, ""),
        (Declared, "", &cgroup, ""),
        (
            Copied,
            "host-namespace=pid",
            &unconfined,
            "HostConfig.SecurityOpt[0]",
        ),
        (Declared, "host-namespace=pid", &unconfined, ""),
        (
            Declared,
            "",
            &json!({ "SecurityOpt": ["label=disable"] }),
            "HostConfig.SecurityOpt[0]",
        ),
        (
            Copied,
            "",
            &of_podman,
            "HostConfig.Annotations[\"io.podman.annotations.autoremove\"]",
        ),
        (Declared, "", &of_podman, ""),
        (
            Copied,
            "",
            &json!({ "OfTheFuture": 1 }),
            "HostConfig.OfTheFuture",
        ),
        (Declared, "", &json!({ "OfTheFuture": 1 }), ""),
        // It joins a container that is gone: a copy cannot, and a declaration will name another
        // one.
        (Copied, "", &orphan, "HostConfig.NetworkMode"),
        (Declared, "", &orphan, ""),
        (
            Declared,
            "",
            &json!({ "NetworkMode": "container:other" }),
            "",
        ),
        // What is the engine's default need not have been declared.
        (
            Declared,
            "",
            &json!({ "Runtime": "nvidia", "LogConfig": { "Type": "gelf", "Config": { "gelf-address": "x" } } }),
            "",
        ),
        (
            Copied,
            "log-driver=gelf",
            &json!({ "Runtime": "nvidia" }),
            "HostConfig.Runtime",
        ),
        (
            Copied,
            "",
            &json!({ "LogConfig": { "Type": "gelf", "Config": {} } }),
            "HostConfig.LogConfig.Type",
        ),
        (
            Declared,
            "",
            &json!({ "Runtime": "kata" }),
            "HostConfig.Runtime",
        ),
        (
            Declared,
            "",
            &json!({ "LogConfig": { "Type": "syslog", "Config": {} } }),
            "HostConfig.LogConfig.Type",
        ),
    ] {
        let allow: &[&str] = if allow.is_empty() { &[] } else { &[allow] };
        assert_eq!(deleted(how, allow, host), want, "{how:?} {allow:?} {host}");
    }
}

/// One implementation judges both: a client that copies gets the same findings for its create,
/// which ends before the engine is asked about links where something else is refused already.
#[test]
fn the_findings_are_those_of_the_create() {
    for host in [
        json!({ "Binds": ["/etc:/x", "/srv:/y:ro"], "CapAdd": ["SYS_ADMIN"], "PidMode": "host" }),
        json!({ "CgroupnsMode": "host", "Devices": [{ "PathOnHost": "/dev/kvm" }], "Sysctls": { "kernel.msgmax": "1" } }),
        json!({ "VolumesFrom": ["other"], "OomScoreAdj": -5 }),
        json!({ "Links": ["/other:/web/other"], "Binds": ["of-the-host:/x"] }),
    ] {
        let answer = inspected(&host);
        let profile = profile(Some(Recreation::Copied), GuardLevel::Baseline, &[], RULES);
        let mut body = answer["Config"].clone();
        body["HostConfig"] = answer["HostConfig"].clone();
        body["NetworkingConfig"] =
            json!({ "EndpointsConfig": answer["NetworkSettings"]["Networks"] });
        let create = permit("POST /v1.44/containers/create?name=web", &profile);
        let of_create = world::settle_in(
            &create,
            Some("application/json"),
            body.to_string().as_bytes(),
            Surroundings::default(),
            &object,
            RECENT,
        );
        let of_create = of_create.expect_err("findings");
        let of_delete = settle(&permit(DELETE, &profile), &answer).expect_err("findings");
        assert!(
            of_delete.findings().starts_with(of_create.findings()),
            "{host}: {of_delete} / {of_create}"
        );
    }
}

#[test]
fn a_refusal_says_what_happened_why_and_what_to_do() {
    let profile = profile(Some(Recreation::Updater), GuardLevel::Baseline, &[], RULES);
    let answer = inspected(&json!({ "Binds": ["/srv/app:/app"] }));
    let why = " because this client could not create it again: HostConfig.Binds[0]: mounts the \
        host path /srv/app; use a named volume instead; allow it with guard-allow bind=/srv/app | \
        to lose it all the same, set guard-recreation to off";
    for (request, prevented) in [(DELETE, "is not deleted"), (STOP, "is not stopped")] {
        let objection = settle(&permit(request, &profile), &answer).expect_err(request);
        assert_eq!(
            objection.to_string(),
            format!("the container web {prevented},{why}")
        );
        assert_eq!(
            objection.exceptions().into_iter().collect::<Vec<_>>(),
            ["bind=/srv/app"]
        );
        assert_eq!((objection.hopeless(), objection.first()), (None, None));
    }
}

#[test]
fn calls_that_lose_a_container_are_judged() {
    use Recreation::{Copied, Declared, Updater};
    let plain = inspected(&json!({ "Binds": ["/srv:/x"] }));
    let removed = inspected(&json!({ "Binds": ["/srv:/x"], "AutoRemove": true }));
    for (request, how, answer, is_kept) in [
        ("DELETE /containers/web", Copied, &plain, true),
        ("DELETE /v1.25/containers/web?v=1", Declared, &plain, true),
        ("DELETE /containers/a/b?link=1", Copied, &plain, true),
        ("DELETE /v5.0.0/libpod/containers/web", Copied, &plain, true),
        ("POST /containers/web/stop", Copied, &plain, false),
        ("POST /containers/web/stop", Declared, &plain, false),
        ("POST /containers/web/stop", Updater, &plain, true),
        (
            "POST /containers/web/kill?signal=SIGTERM",
            Updater,
            &plain,
            true,
        ),
        (
            "POST /v5.0.0/libpod/containers/web/stop",
            Updater,
            &plain,
            true,
        ),
        // The engine deletes it once it has ended.
        ("POST /containers/web/stop", Copied, &removed, true),
        ("POST /containers/web/kill", Declared, &removed, true),
        (
            "POST /v5.0.0/libpod/containers/web/kill",
            Copied,
            &removed,
            true,
        ),
    ] {
        let profile = profile(Some(how), GuardLevel::Baseline, &[], RULES);
        let permit = permit(request, &profile);
        assert!(
            permit.judges_recreation() && permit.needs_proxy(),
            "{request}"
        );
        assert_eq!(
            !field(&permit, answer).is_empty(),
            is_kept,
            "{request} {how:?}"
        );
    }
    let profile = profile(Some(Updater), GuardLevel::Baseline, &[], RULES);
    for request in [
        "POST /containers/web/restart",
        "POST /containers/web/rename?name=old",
        "POST /containers/prune",
        "POST /containers/web/start",
        "GET /containers/web/json",
        "DELETE /images/web",
    ] {
        assert!(!permit(request, &profile).judges_recreation(), "{request}");
    }
    let depending = permit("DELETE /v5.0.0/libpod/containers/web?depend=1", &profile);
    let objection =
        settle(&depending, &inspected(&json!({}))).expect_err("more than one container");
    assert!(
        objection
            .to_string()
            .contains("?depend: also removes containers"),
        "{objection}"
    );
}

/// Nothing is judged for a client that may not create containers, or whose creates the guard does
/// not judge.
#[test]
fn where_nothing_would_be_created_again_nothing_is_judged() {
    let copied = Some(Recreation::Copied);
    for (how, level, rules, is_judged) in [
        (copied, GuardLevel::Baseline, RULES, true),
        (copied, GuardLevel::Restricted, RULES, true),
        (copied, GuardLevel::Privileged, RULES, false),
        (None, GuardLevel::Baseline, RULES, false),
        (Some(Recreation::Off), GuardLevel::Baseline, RULES, false),
        (copied, GuardLevel::Baseline, "DELETE .*", false),
        (
            copied,
            GuardLevel::Baseline,
            "DELETE .*\nPOST /v1.30/containers/create",
            false,
        ),
        (
            copied,
            GuardLevel::Baseline,
            "DELETE .*\nPOST /v1.44/containers/create",
            true,
        ),
    ] {
        let profile = profile(how, level, &[], rules);
        assert_eq!(
            permit(DELETE, &profile).judges_recreation(),
            is_judged,
            "{how:?} {level:?} {rules}"
        );
    }
    let libpod = profile(
        copied,
        GuardLevel::Baseline,
        &[],
        "DELETE .*\nPOST %API_PREFIX_LIBPOD%/containers/create",
    );
    assert!(permit("DELETE /v5.0.0/libpod/containers/web", &libpod).judges_recreation());
}

/// The maintained Watchtower creates the new container without a name, renames it, and deletes it
/// where that is refused.
#[test]
fn an_updater_needs_the_old_name() {
    use Recreation::{Copied, Updater};
    let bare = "DELETE .*\nPOST %API_PREFIX_CONTAINERS%/create";
    let renaming = "DELETE .*\nPOST %API_PREFIX_CONTAINERS%/create\nPOST \
        %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/rename";
    for (how, rules, allow, want) in [
        (Updater, renaming, "", ""),
        (Updater, bare, "", "?name"),
        (Copied, bare, "", ""),
        (Updater, renaming, "target=web", "?name"),
        (Updater, renaming, "link=w*", "?name"),
        (Updater, renaming, "target=*", ""),
        (Updater, renaming, "target=db", ""),
        (Copied, renaming, "target=web", ""),
    ] {
        let allow: &[&str] = if allow.is_empty() { &[] } else { &[allow] };
        let permit = permit(
            DELETE,
            &profile(Some(how), GuardLevel::Baseline, allow, rules),
        );
        assert_eq!(
            field(&permit, &inspected(&json!({}))),
            want,
            "{how:?} {rules} {allow:?}"
        );
    }
    let objection = settle(
        &permit(
            DELETE,
            &profile(Some(Updater), GuardLevel::Baseline, &[], bare),
        ),
        &inspected(&json!({})),
    );
    let text = objection.expect_err("no rule").to_string();
    assert!(
        text.contains("add the rule: POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/rename"),
        "{text}"
    );
}

/// What the image says itself is not sent, and the level `restricted` asks for a user in the body.
#[test]
fn a_user_of_the_image_is_not_sent_again() {
    use Recreation::{Copied, Declared, Updater};
    let host = json!({ "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"] });
    let mut other = inspected(&host);
    other["Config"]["User"] = "1001".into();
    let of_image = inspected(&host);
    for (how, answer, want) in [
        (Copied, &of_image, ""),
        (Declared, &of_image, "User"),
        (Updater, &of_image, "User"),
        (Declared, &other, ""),
        (Updater, &other, ""),
    ] {
        let permit = permit(
            DELETE,
            &profile(Some(how), GuardLevel::Restricted, &[], RULES),
        );
        assert_eq!(field(&permit, answer), want, "{how:?}");
    }
    let bare = inspected(&json!({}));
    let permit = permit(
        DELETE,
        &profile(Some(Copied), GuardLevel::Restricted, &[], RULES),
    );
    assert_eq!(field(&permit, &bare), "HostConfig.CapDrop");
}

/// What is not known is not lost.
#[test]
fn an_engine_that_does_not_tell_has_nothing_deleted() {
    let profile = profile(Some(Recreation::Copied), GuardLevel::Baseline, &[], RULES);
    let deletion = permit(DELETE, &profile);
    let without = |key: &str| {
        let mut answer = inspected(&json!({}));
        answer.as_object_mut().expect("an object").remove(key);
        answer
    };
    for (key, want) in [
        ("HostConfig", "does not tell its settings"),
        ("Config", "does not tell its settings"),
    ] {
        let objection = settle(&deletion, &without(key)).expect_err(key);
        assert!(objection.to_string().contains(want), "{objection}");
    }
    let objection = settle(&deletion, &without("Id")).expect_err("no identifier");
    assert!(
        objection
            .to_string()
            .contains("does not tell the identifier"),
        "{objection}"
    );
    let mut large = inspected(&json!({}));
    large["Config"]["Labels"] = json!({ "a": "x".repeat(1 << 20) });
    let objection = settle(&deletion, &large).expect_err("large settings");
    assert!(
        objection.to_string().contains("larger than the 1 MiB"),
        "{objection}"
    );
    assert!(Inspection::read(b"{\"Id\":\"a\",\"Id\":\"b\"}").is_err());

    let open = || {
        deletion
            .open(None, b"", Surroundings::default())
            .expect("a case")
    };
    assert!(open().close().is_err(), "no answer");
    let mut case = open();
    assert_eq!(
        case.answer_inspection(None, &Defaults::default()),
        Err(Missing {
            kind: ObjectKind::Container,
            word: "web".to_owned()
        }),
        "the engine's own 404 is the answer"
    );
    let mut case = open();
    let container = object(ObjectKind::Container, "c0ffee");
    assert_eq!(case.answer(container.as_ref()), Ok(()));
    assert!(case.close().is_err(), "an answer without the settings");
}

#[test]
fn what_was_judged_is_what_is_deleted() {
    let profile = profile(Some(Recreation::Copied), GuardLevel::Baseline, &[], RULES);
    let permit = permit(DELETE, &profile);
    let cleared =
        settle(&permit, &inspected(&json!({}))).expect("a container that could be created again");
    assert_eq!(
        cleared.call(permit.call()).target(),
        "/v1.44/containers/c0ffee?force=1"
    );
    assert_eq!(cleared.body(), None);
}

#[test]
fn the_proxy_and_other_profiles_count() {
    let own = profile(Some(Recreation::Copied), GuardLevel::Baseline, &[], RULES);
    let other = Profile {
        name: "high".to_owned(),
        ..own.clone()
    };
    let label = Condition::Label("tier".to_owned(), Pattern::new("front")).into();
    let profiles = Profiles::new(own.clone(), vec![], vec![(other, vec![label])]);
    let proxy = Object::read(
        ObjectKind::Container,
        br#"{"Id":"99","Name":"/guard","HostConfig":{},"Mounts":[{"Type":"bind","Source":"/srv/guard"}]}"#,
    );
    let proxy = proxy.expect("JSON");
    let permit = permit(DELETE, &own);
    let around = Surroundings {
        profile: "updates",
        profiles: Some(&profiles),
        ..Surroundings::default()
    };
    let objection = settle_around(&permit, &inspected(&json!({})), around)
        .expect_err("another profile's client");
    assert!(
        matches!(objection, Objection::Unrecreatable { .. }),
        "{objection}"
    );
    assert!(
        objection
            .to_string()
            .contains("the rights of the profile high"),
        "{objection}"
    );
    let around = Surroundings {
        proxy_id: Some("99"),
        proxy: Some(&proxy),
        ..Surroundings::default()
    };
    let mounts = inspected(&json!({ "Binds": ["/srv/guard:/x"] }));
    let objection = settle_around(&permit, &mounts, around).expect_err("a path of the proxy");
    assert!(
        objection
            .to_string()
            .contains("is or holds what the proxy's own container mounts"),
        "{objection}"
    );
    // The proxy's own container is refused as such, whatever its settings.
    let around = Surroundings {
        proxy_id: Some("c0ffee"),
        ..Surroundings::default()
    };
    let objection = settle_around(&permit, &inspected(&json!({})), around).expect_err("the proxy");
    assert!(matches!(objection, Objection::Findings(_)), "{objection}");
}

#[test]
fn a_profile_in_audit_mode_loses_what_it_would_keep() {
    let audit = Profile {
        mode: Mode::Audit,
        ..profile(Some(Recreation::Copied), GuardLevel::Baseline, &[], RULES)
    };
    let permit = permit(DELETE, &audit);
    assert!(settle(&permit, &inspected(&json!({ "Privileged": true }))).is_err());
    assert!(permit.waived(b"").is_some());
}
