//! `cetusguard diff` tells wider from narrower, and shows nothing where two files mean the same.

use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Compares two files.
fn diff(old: &str, new: &str) -> (Option<i32>, String) {
    let folder = TempDir::new();
    let (old, new) = (folder.write("old.yaml", old), folder.write("new.yaml", new));
    let diff = ProxyBuilder::bare(PROGRAM)
        .word("diff")
        .word(&old)
        .word(&new);
    let (code, out, errors) = diff.arg("--format", "text").env("COLUMNS", "120").run();
    (code, out + &errors)
}

#[test]
fn files_that_mean_the_same_show_nothing() {
    let ci = "profiles:\n  ci:\n    clients: [{address: 10.0.0.7}]\n";
    for (old, new) in [
        (
            "rules: GET %API_PREFIX%/info",
            "rules: GET,HEAD %API_PREFIX%/info",
        ),
        ("rules: ALLOW system.info", "rules: GET %API_PREFIX%/info"),
        (
            "guard-allow: [bind=/a, bind=/b]",
            "guard-allow: bind=/b,bind=/a",
        ),
        ("max-memory: 1GiB", "max-memory: 1024MiB"),
        (
            ci,
            "profiles:\n  ci:\n    clients:\n    - address: 10.0.0.7/32\n",
        ),
        ("log-level: 6", "log-level: 4\nanswer-timeout: 1m"),
    ] {
        let (code, out) = diff(old, new);
        assert_eq!(
            (code, out.lines().count()),
            (Some(0), 1),
            "{old} | {new}: {out}"
        );
    }
}

#[test]
fn each_difference_has_its_direction() {
    // Each file pair, with the line for the change, and that for the change back.
    for (old, new, there, back) in [
        (
            "rules: GET %API_PREFIX%/events",
            "rules: |\n  GET %API_PREFIX%/events\n  ALLOW container.restart",
            "wider     newly allowed: POST /containers/{container*}/restart",
            "narrower  no longer allowed: POST /containers/{container*}/restart",
        ),
        (
            "rules: ALLOW container.restart(web)",
            "rules: ALLOW container.restart(web, db)",
            "wider     allowed for more objects: POST /containers/{container*}/restart",
            "narrower  allowed for fewer objects: POST /containers/{container*}/restart",
        ),
        (
            "rules: GET %API_PREFIX%/events\n",
            "rules: |\n  GET %API_PREFIX%/events\n  DENY system.events",
            "narrower  no longer allowed: GET /events",
            "wider     newly allowed: GET /events",
        ),
        (
            "mode: audit",
            "mode: enforce",
            "narrower  mode: audit became enforce",
            "wider     mode",
        ),
        (
            "guard: baseline",
            "guard: restricted",
            "narrower  guard: baseline became restricted",
            "wider     guard: restricted became baseline",
        ),
        (
            "guard: baseline",
            "guard-allow: bind=/srv",
            "wider     guard-allow: bind=/srv is new",
            "narrower  guard-allow: bind=/srv is gone",
        ),
        (
            "guard: baseline",
            "targets: name=a",
            "narrower  targets: name=a is new",
            "wider     targets: name=a is gone",
        ),
        (
            "targets: name=a",
            "targets: [name=a, name=b]",
            "wider     targets: name=b is new",
            "narrower  targets: name=b is gone",
        ),
        (
            "guard: baseline",
            "visible: name=a",
            "narrower  visible: name=a is new",
            "wider     visible: name=a is gone",
        ),
        (
            "guard: baseline",
            "redact: env",
            "narrower  redact: env is new",
            "wider     redact: env is gone",
        ),
        (
            "max-memory: 1GiB",
            "max-memory: 2GiB",
            "wider     max-memory: 1GiB became 2GiB",
            "narrower  max-memory: 2GiB became 1GiB",
        ),
        (
            "guard: baseline",
            "require-labels: team",
            "narrower  require-labels: not set became team",
            "wider     require-labels: team became not set",
        ),
        (
            "guard: baseline",
            "max-requests: 5",
            "narrower  max-requests: no limit became 5",
            "wider     max-requests: 5 became no limit",
        ),
        (
            "frontend-addr: tcp://127.0.0.1:2375",
            "frontend-addr: tcp://127.0.0.1:2375,tcp://127.0.0.1:2376",
            "wider     frontends: tcp://127.0.0.1:2376 is new",
            "narrower  frontends: tcp://127.0.0.1:2376 is gone",
        ),
    ] {
        for (old, new, want) in [(old, new, there), (new, old, back)] {
            let (code, out) = diff(old, new);
            assert!(out.contains(&format!("  {want}")), "{old} | {new}: {out}");
            let is_wider = want.starts_with("wider");
            assert_eq!(code, Some(i32::from(is_wider)), "{old} | {new}: {out}");
            assert!(out.contains(", 0 unclear."), "{old} | {new}: {out}");
        }
    }
}

#[test]
fn what_cannot_be_compared_is_unclear() {
    let profile = |clients: &str| format!("profiles:\n  ci:\n    clients: [{clients}]\n");
    let one = profile("{address: 10.0.0.7}");
    for (old, new, want) in [
        (
            "guard: baseline",
            one.as_str(),
            "unclear   the profile is new",
        ),
        (
            one.as_str(),
            "guard: baseline",
            "unclear   the profile is gone",
        ),
        (
            one.as_str(),
            &profile("{address: 10.0.0.8}"),
            "unclear   clients: address=10.0.0.8",
        ),
        (
            "guard: baseline",
            "default-memory: 1GiB",
            "unclear   default-memory: not set became 1GiB",
        ),
    ] {
        let (code, out) = diff(old, new);
        assert_eq!(code, Some(1), "{old} | {new}: {out}");
        assert!(out.contains(want), "{old} | {new}: {out}");
    }
}

#[test]
fn mistakes_in_either_file_are_told() {
    for (old, new) in [("ruls: x", "rules: GET /x"), ("rules: GET /x", "ruls: x")] {
        let (code, out) = diff(old, new);
        assert!(
            code == Some(2) && out.contains("did you mean rules?"),
            "{out}"
        );
    }
}
