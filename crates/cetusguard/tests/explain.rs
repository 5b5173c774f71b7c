//! What explain says is what serve does.

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?\nPOST \
    %API_PREFIX_EXEC%(/.*)?\nPOST %API_PREFIX%/(session|build)\nGET \
    %API_PREFIX_SECRETS%(/.*)?\nPOST %API_PREFIX_SWARM%(/.*)?\nPOST %API_PREFIX_LIBPOD%(/.*)?";

/// The exit code and what is printed.
fn explain(line: &str, body: Option<&str>, options: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = TempDir::new();
    let (method, path) = line.split_once(' ').expect("METHOD PATH");
    let explain = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .word(method)
        .word(path);
    let explain = options
        .iter()
        .fold(explain, |explain, (name, value)| explain.arg(name, value));
    let explain = match body {
        Some(body) => explain.arg("--body", &folder.write("body", body)),
        None => explain,
    };
    let (code, out, errors) = explain.run();
    (code, out + &errors)
}

#[test]
fn the_verdict_is_that_of_serve() {
    let engine = Engine::start(|exchange, link| match exchange.line.contains("/exec/") {
        true => link.answer(200, "{\"ProcessConfig\":{}}"),
        false => link.answer(200, "{}"),
    });
    for guard in ["baseline", "privileged", "restricted"] {
        let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
            .arg("--guard", guard)
            .start();
        for (line, body) in [
            ("GET /v1.43/containers/json?all=1", None),
            ("GET /containers/web/archive?path=/", None),
            ("DELETE /containers/web", None),
            ("HEAD /containers/json", None),
            ("GET /containers/web/future", None),
            ("GET /secrets/db?showsecret=1", None),
            ("POST /session", None),
            ("POST /build?networkmode=host", None),
            ("POST /build?remote=http%3A%2F%2Fx", None),
            ("POST /swarm/init", Some("{}")),
            ("POST /v5.0.0/libpod/pods/create", Some("{}")),
            ("POST /containers/create", Some("{\"Image\":\"x\"}")),
            (
                "POST /containers/create",
                Some("{\"HostConfig\":{\"Privileged\":true}}"),
            ),
            (
                "POST /containers/create",
                Some("{\"image\":\"x\",\"IMAGE\":\"y\"}"),
            ),
            ("POST /containers/create", Some("no JSON")),
            ("POST /containers/create?name=x&NAME=y", Some("{}")),
            ("POST /containers/web/exec", Some("{\"Privileged\":true}")),
            ("POST /containers/web/exec", Some("{\"Cmd\":[\"ls\"]}")),
        ] {
            let served = match body {
                Some(body) => proxy.client().request_with(line, body).status,
                None => proxy.client().request(line).status,
            };
            let (code, out) = explain(
                line,
                body.or(Some("")),
                &[("--rules", RULES), ("--guard", guard)],
            );
            assert_eq!(
                code,
                Some(i32::from(served != 200)),
                "{guard}: {line} {body:?}: {served} {out}"
            );
        }
    }
}

/// A call that a rule allows may still be about an object that is not among the targets: the page
/// says which objects are.
#[test]
fn the_targets_are_printed() {
    let targets = [
        ("--rules", "POST .*"),
        ("--targets", "name=web-* label=tier=low"),
        ("--targets", "image=busybox"),
    ];
    let (code, page) = explain("POST /containers/web-1/stop", None, &targets);
    assert_eq!(code, Some(0), "{page}");
    let want =
        "objects with name=web-* label=tier=low, or image=docker.io/library/busybox:latest alone";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&page).contains(want), "{page}");
    let (_, checked, _) = targets
        .iter()
        .fold(
            ProxyBuilder::bare(PROGRAM).word("check"),
            |check, (name, value)| check.arg(name, value),
        )
        .run();
    assert!(
        words(&checked).contains("about objects with name=web-* label=tier=low alone"),
        "{checked}"
    );
}

/// What would allow it does.
#[test]
fn what_it_says_to_add_helps() {
    let create = "{\"Image\":\"x\",\"HostConfig\":{\"Binds\":[\"/etc:/a:ro\"],\"CapAdd\":[\"SYS_ADMIN\"],\"PidMode\":\"host\"}}";
    for (line, body) in [
        ("GET /v1.43/containers/web/archive?path=/", None),
        ("POST /images/ghcr.io/a/b/push", None),
        ("GET /secrets/db?showsecret=1", None),
        ("POST /containers/create", Some(create)),
    ] {
        let (mut rules, mut exceptions) = ("GET .*".to_owned(), Vec::new());
        for _ in 0..2 {
            let mut options = vec![("--rules", rules.as_str())];
            options.extend(
                exceptions
                    .iter()
                    .map(|one: &String| ("--guard-allow", one.as_str())),
            );
            let (code, out) = explain(line, body, &options);
            if code == Some(0) {
                break;
            }
            let added = out
                .split_once("to allow it: ")
                .expect(&out)
                .1
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty());
            let (guard, more): (Vec<_>, Vec<_>) =
                added.partition(|line| line.starts_with("guard-allow "));
            let exceptions_now: Vec<_> = guard
                .iter()
                .map(|line| line.trim_start_matches("guard-allow ").to_owned())
                .collect();
            rules = more
                .iter()
                .fold(rules.clone(), |rules, rule| format!("{rules}\n{rule}"));
            exceptions.extend(exceptions_now);
        }
        let mut options = vec![("--rules", rules.as_str())];
        options.extend(exceptions.iter().map(|one| ("--guard-allow", one.as_str())));
        let (code, out) = explain(line, body, &options);
        assert_eq!(code, Some(0), "{line}: {out}");
    }
}

#[test]
fn whose_call_it_is() {
    let folder = TempDir::new();
    let config = folder.write(
        "cetusguard.yaml",
        "frontends:\n  - addr: tcp://127.0.0.1:1\n  - addr: unix:///x.sock\n  - {addr: \
        'tcp://127.0.0.1:2', profile: door}\nprofiles:\n  web:\n    rules: GET /events\n    mode: \
        audit\n    clients: [{container: web-*}, {label: a=b}, {user: 7}, {address: \
        10.0.0.0/8}, {container: x, label: e=f}]\n  door:\n    rules: GET /events\n  both:\n    rules: GET /events\n    \
        clients: [{label: c=d}]\n",
    );
    for (client, want) in [
        ("container=web-1", "profile   web: NOT enforced"),
        ("label=a=b", "profile   web"),
        ("user=7", "profile   web"),
        ("address=10.1.2.3", "profile   web"),
        ("frontend=tcp://127.0.0.1:2", "profile   door: enforced"),
        ("container=db", "profile   default"),
        ("address=10.0.0.0/8", "expected one address"),
        ("colour=red", "expected one of: address, cert-cn"),
        ("container", "expected KEY=VALUE"),
        ("frontend=tcp://:9", "expected an address of frontend-addr"),
    ] {
        let (_, out) = explain(
            "GET /events",
            None,
            &[("--config", &config), ("--client", client)],
        );
        assert!(out.contains(want), "{client}: {want} in {out}");
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, out) = explain(
        "GET /events",
        None,
        &[("--config", &config), ("--client", "label=a=c")],
    );
    for want in [
        "profile default: enforced because no other profile matches what is given of this client:",
        "- web is for container=web-*, which does not hold",
        "- web is for label=a=b, which does not hold",
        "- web is for container=x and label=e=f, none of which holds",
        "- door is for frontend=tcp://127.0.0.1:2, which does not hold",
    ] {
        assert!(words(&out).contains(want), "{want} in {out}");
    }
    let (_, out) = explain("GET /events", None, &[("--config", &config)]);
    assert!(!out.contains("does not hold"), "{out}");
    let both = [
        ("--config", config.as_str()),
        ("--client", "label=a=b"),
        ("--client", "label=c=d"),
    ];
    let (code, out) = explain("GET /events", None, &both);
    assert!(
        code == Some(2) && out.contains("is one of profile web and of profile both"),
        "{out}"
    );
    let (code, out) = explain(
        "GET /info",
        None,
        &[("--config", &config), ("--profile", "nobody")],
    );
    assert!(
        code == Some(2) && out.contains("there is no profile nobody"),
        "{out}"
    );
    let (code, out) = explain(
        "GET /images/json",
        None,
        &[("--config", &config), ("--profile", "web")],
    );
    assert!(
        code == Some(1) && out.contains("forwarded all the same"),
        "{out}"
    );
}

#[test]
fn what_is_no_call_is_told() {
    for line in ["get /info", "GET info", "GET /v1.2/info", "GET /%zz"] {
        let (code, out) = explain(line, None, &[]);
        assert!(
            code == Some(2) && out.contains("would be refused before anything else"),
            "{line}: {out}"
        );
    }
}

/// Each cause of a refusal has a group, and only the exceptions that it needs.
#[test]
fn refusals_for_different_causes_are_told_apart() {
    let folder = TempDir::new();
    let refused = |reason: &str, allow: &str, detail: &str| {
        format!(
            "time=2026-01-01T00:00:00Z level=warning msg=\"request refused\" method=POST \
            client=10.0.0.7:1 path=/containers/create status=403 profile=default reason={reason} \
            guard_allow=\"{allow}\" detail=\"{detail}\"\n"
        )
    };
    let lines = [
        refused("guard", "bind=/etc", "Binds"),
        refused("guard", "privileged", "Privileged"),
        refused("guard", "bind=/etc", "Binds"),
        refused("guard", "bind=/etc,privileged", "Binds | and 1 more"),
        refused("guard", "", "no exception helps"),
        refused(
            "not_recreatable",
            "bind=/srv",
            "the container web is not deleted",
        ),
        refused(
            "not_recreatable",
            "bind=/srv",
            "the container db is not deleted",
        ),
    ];
    let log = folder.write("log", &lines.concat());
    let (code, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .arg("--log", &log)
        .run();
    assert_eq!(code, Some(0));
    let advice = |group: &str| {
        let lines = group.lines().map(str::trim);
        let advice: Vec<_> = lines
            .filter_map(|line| line.strip_prefix("to allow it: guard-allow "))
            .collect();
        advice.join(" ")
    };
    let mut groups: Vec<_> = out
        .split("\n\n")
        .filter(|group| group.contains("POST /containers/create refused"))
        .map(|group| (group.chars().next().unwrap_or_default(), advice(group)))
        .collect();
    groups.sort();
    let want = [
        ('1', ""),
        ('1', "bind=/etc privileged"),
        ('1', "bind=/srv"),
        ('1', "bind=/srv"),
        ('1', "privileged"),
        ('2', "bind=/etc"),
    ];
    assert_eq!(
        groups,
        want.map(|(count, advice)| (count, advice.to_owned())),
        "{out}"
    );
}

/// Two parts of a body that need the same exception name it once.
#[test]
fn advice_is_given_once() {
    let create = "{\"Image\":\"x\",\"HostConfig\":{\"Binds\":[\"/etc:/a\",\"/etc:/b\"],\"Mounts\":\
        [{\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/c\"}]}}";
    let (code, out) = explain(
        "POST /containers/create",
        Some(create),
        &[("--rules", RULES)],
    );
    assert_eq!(code, Some(1), "{out}");
    assert_eq!(out.matches("guard-allow bind=/etc").count(), 1, "{out}");
}

/// A line of its own tells that the guard has not judged the body.
#[test]
fn a_missing_body_is_told_in_the_verdict() {
    let line = "POST /containers/create";
    for (body, is_told) in [(None, true), (Some("{\"Image\":\"x\"}"), false)] {
        let (code, out) = explain(line, body, &[("--rules", RULES)]);
        assert_eq!(code, Some(0), "{out}");
        assert!(out.contains("\nALLOWED by "), "{out}");
        assert_eq!(out.contains("\nNOT YET JUDGED: the body"), is_told, "{out}");
    }
}

/// The two rules of an exec stand on lines of their own, and not in the verdict.
#[test]
fn both_rules_of_an_exec_are_told() {
    let (code, out) = explain(
        "POST /containers/web/exec",
        None,
        &[("--rules", "GET /info")],
    );
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "to allow it: POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/exec\n",
        "POST %API_PREFIX_EXEC%/[^/]+/start\n",
    ] {
        assert_eq!(out.matches(part).count(), 1, "{part:?}: {out}");
    }
}
