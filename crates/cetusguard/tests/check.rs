//! What check finds, by its codes; and that nothing is wrong with what we ship.

use std::path::Path;

use cetusguard_policy::Preset;
use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// The codes that a configuration is told, and the exit code with `--strict`.
fn codes(config: &str, strict: bool) -> (Vec<String>, Option<i32>) {
    let folder = TempDir::new();
    let file = folder.write("cetusguard.yaml", config);
    let check = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &file)
        .arg("--format", "json");
    let (code, out, errors) = if strict {
        check.word("--strict").run()
    } else {
        check.run()
    };
    assert_eq!(errors, "", "{config}");
    let found = out
        .split("\"code\": \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    (found.map(str::to_owned).collect(), code)
}

#[test]
fn each_code_has_its_cause() {
    for (config, want) in [
        ("rules: GET %API_PREFIX_EVENTS%", &[][..]),
        ("rules: GET /containers/jsn", &["idle-rule"]),
        (
            "rules: |\n  GET %API_PREFIX_EVENTS%\n  GET %API_PREFIX%/e.*",
            &["covered-rule"],
        ),
        ("rules: GET /containers/json", &["bare-path"]),
        (
            "rules: |\n  GET %API_PREFIX_EVENTS%\n  POST %API_PREFIX%/swarm/unlock\nvisible: \
            name=web",
            &["beyond-view"],
        ),
        // The wildcard opens others as well.
        (
            "rules: POST %API_PREFIX%/s.*\nvisible: name=web",
            &["half-allowed"],
        ),
        (
            "rules: GET %API_PREFIX_EVENTS%\ndefault-memory: 512MiB\nmax-memory-swap: 768MiB",
            &["swap-below-default"],
        ),
        (
            "rules: GET %API_PREFIX_EVENTS%\ndefault-memory: 512MiB\nmax-memory-swap: 1GiB",
            &[],
        ),
        (
            "rules: GET %API_PREFIX_EVENTS%\nadmin-addr: unix:///run/admin.sock\n\
            admin-socket-mode: '0666'",
            &["admin-open"],
        ),
        (
            "rules: GET %API_PREFIX_EVENTS%\nadmin-addr: tcp://127.0.0.1:9100",
            &[],
        ),
        ("rules: GET .*", &["catch-all"]),
        (
            "no-builtin-rules: true\nrules: GET %API_PREFIX_EVENTS%",
            &["no-ping"],
        ),
        ("no-builtin-rules: true", &["no-rules"]),
        ("log-level: 7", &["no-rules"]),
        ("guard: privileged", &["no-rules"]),
        (
            "profiles:\n  web: {rules: GET %API_PREFIX_EVENTS%, clients: [{address: \
            10.0.0.1}]}\nfrontend-addr: tcp://:1",
            &[],
        ),
        (
            "rules: POST %API_PREFIX_CONTAINERS%/create",
            &["half-allowed"],
        ),
        (
            "rules: POST %API_PREFIX_CONTAINERS%/.+/exec",
            &["half-allowed"],
        ),
        ("rules: POST %API_PREFIX_EXEC%(/.*)?", &[]),
        (
            "rules: POST %API_PREFIX%/(session|grpc)",
            &["unread-body", "unread-body"],
        ),
        (
            "rules: POST %API_PREFIX_VOLUMES%/create\nguard: privileged",
            &["guard-off"],
        ),
        ("rules: GET %API_PREFIX_VOLUMES%\nguard: privileged", &[]),
        (
            "rules: POST %API_PREFIX_VOLUMES%/create\nguard-allow: [privileged, bind=/srv/x]",
            &["gives-host"],
        ),
        (
            "rules: GET %API_PREFIX_VOLUMES%\nguard-allow: [privileged]",
            &[],
        ),
        ("rules: GET %API_PREFIX_CONTAINERS%/*/json", &["glob"]),
        ("rules: GET %API_PREFIX_CONTAINERS%/**/nothing", &["glob"]),
        ("rules: GET /v1\\.43/containers/json", &["pinned-version"]),
        (
            "rules: |\n  DENY POST %API_PREFIX_CONTAINERS%/web*/stop\n  DENY GET /v1.43/info",
            &["glob", "pinned-version"],
        ),
        (
            "rules: |\n  ALLOW container.stop\n  DENY change",
            &["denied-rule"],
        ),
        (
            "rules: |\n  ALLOW container.stop, container.start\n  DENY container.stop(db)",
            &[],
        ),
        (
            "rules: |\n  GET %API_PREFIX_EVENTS%\n  DENY POST /containers/db/stop",
            &["bare-path"],
        ),
        (
            "rules: |\n  GET %API_PREFIX_EVENTS%\n  DENY POST %API_PREFIX_CONTAINERS%/db/stopp",
            &["idle-rule"],
        ),
        ("rules: ALLOW look", &["display-secrets", "display-secrets"]),
        ("rules: ALLOW look\nredact: commands", &["display-secrets"]),
        ("rules: ALLOW look\nredact: secrets", &[]),
        (
            "rules: ALLOW look, service.inspect, service.update\nredact: env",
            &["redacted-copies"],
        ),
        ("rules: ALLOW look, service.inspect\nredact: env", &[]),
        (
            "rules: |\n  ALLOW look\n  DENY system.events, volume.list, volume.inspect, \
            libpod.system.events, libpod.volume.list, libpod.volume.inspect",
            &[],
        ),
        // Who reads logs or settings sees as much.
        ("rules: ALLOW look, container.inspect", &[]),
        ("rules: ALLOW container.list, system.events", &[]),
        (
            "rules: |\n  ALLOW look\n  DENY system.ping, system.events, volume.list, \
            volume.inspect, libpod.system.events, libpod.volume.list, libpod.volume.inspect",
            &["no-ping"],
        ),
        (
            "rules: |\n  ALLOW exec.create, exec.start\n  DENY exec.start",
            &["half-allowed"],
        ),
        ("rules: ALLOW container.lst", &["wrong-rule"]),
        ("rules: ALLOW container.list, container.inspect", &[]),
        // A client that replaces containers, and a profile whose clients are containers.
        (
            "presets: watchtower\nprofiles:\n  web: {clients: [{container: web}]}",
            &["other-clients"],
        ),
        (
            "presets: watchtower\nguard-allow: profile=w*\nprofiles:\n  web: {clients: \
            [{compose-service: web}]}",
            &[],
        ),
        (
            "presets: watchtower\nprofiles:\n  web: {clients: [{user: 1}]}\nfrontend-addr: \
            unix:///run/x.sock",
            &[],
        ),
        (
            "presets: watchtower\ntargets: name=app-*\nprofiles:\n  web: {clients: \
            [{container: web}]}",
            &[],
        ),
        (
            "presets: watchtower\ntargets: name=w*\nprofiles:\n  web: {clients: \
            [{container: web}]}",
            &["other-clients"],
        ),
        (
            "presets: portainer\nprofiles:\n  web: {clients: [{container: web}]}",
            &["other-clients"],
        ),
        (
            "presets: gitlab-runner\nprofiles:\n  web: {clients: [{container: web}]}",
            &[],
        ),
        (
            "presets: watchtower\nguard: privileged\nguard-recreation: off\nprofiles:\n  web: \
            {clients: [{container: web}]}",
            &["guard-off"],
        ),
        ("mode: audit", &["not-enforced"]),
        ("guard-allow: profile=nothing", &["wrong-option"]),
        ("mode: adit", &["wrong-option"]),
        ("mde: audit", &["wrong-file"]),
        ("rules: GET %API_PREFIX_CONTAINER%", &["wrong-rule"]),
    ] {
        let (found, code) = codes(config, false);
        let is_wrong = found.iter().any(|code| code.starts_with("wrong-"));
        // The file is what is wrong with a value in it as well.
        assert!(
            found == want || (is_wrong && want[0].starts_with("wrong-")),
            "{config}: {found:?}"
        );
        assert_eq!(code, Some(if is_wrong { 2 } else { 0 }), "{config}");
        let strict = if is_wrong {
            2
        } else {
            i32::from(!found.is_empty())
        };
        assert_eq!(codes(config, true).1, Some(strict), "{config}");
    }
    for (rule, want) in [
        (
            "GET %API_PREFIX_CONTAINERS%/jsn",
            "did you mean GET %API_PREFIX_CONTAINERS%/json?",
        ),
        (
            "GET %API_PREFIX_CONTAINERS%/json\\?all=1",
            "rules never see the query: write GET %API_PREFIX_CONTAINERS%/json",
        ),
        (
            "GET %API_PREFIX_CONTAINERS/json",
            "a variable stands between two %",
        ),
        (
            "GET %API_PREFIX_CONTAINERS%/create",
            "its endpoint takes POST, not GET",
        ),
        (
            "GET container.list",
            "names stand behind ALLOW or DENY, without methods: ALLOW container.list",
        ),
        (
            "GET %API_PREFIX_CONTAINERS%/*/json",
            "/* is any number of slashes = write GET %API_PREFIX_CONTAINERS%/[^/]+/json",
        ),
        (
            "GET /v1\\.41/info",
            "is about v1.41 alone, and clients ask for the version that they know = write GET \
            %API_PREFIX%/info",
        ),
        (
            "ALLOW exec.create, exec.start\nDENY exec.start",
            "narrow the denial: --rules:2: DENY exec.start",
        ),
        (
            "GET %API_PREFIX_CONTAINERS%/**",
            "write GET %API_PREFIX_CONTAINERS%(/.*)?",
        ),
    ] {
        let (_, out, _) = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--rules", rule)
            .run();
        let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(out.contains(want), "{rule}: {out}");
    }
    let stranger = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .env("CETUSGUARD_NOTHING_LIKE_IT", "1")
        .run();
    assert!(
        stranger.1.contains("warning[unknown-option]"),
        "{}",
        stranger.1
    );
}

#[test]
fn the_admin_listener_and_its_token_are_told() {
    let folder = TempDir::new();
    let token = folder.write("token", "0123456789abcdef");
    let check = |address: &str| {
        let check = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--rules", "GET %API_PREFIX_EVENTS%")
            .arg("--admin-addr", address);
        let (_, out, _) = check.arg("--admin-token-file", &token).run();
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mode = |mode| {
        let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&token, rights).expect("a file of our own");
    };
    mode(0o644);
    let out = check("tcp://127.0.0.1:9100");
    assert!(out.contains("warning[admin-token]"), "{out}");
    assert!(!out.contains("warning[admin-plain]"), "{out}");
    mode(0o600);
    let out = check("tcp://0.0.0.0:9100");
    assert!(!out.contains("warning[admin-token]"), "{out}");
    assert!(out.contains("warning[admin-plain]"), "{out}");
    let want = "admin listener: tcp://0.0.0.0:9100, for every host that can reach it; requests need \
        the token of admin-token-file";
    assert!(out.contains(want), "{out}");
}

/// A power covers several endpoints; the text names those that are open.
#[test]
fn what_is_open_is_named_exactly() {
    for (rules, want, other) in [
        (
            "POST %API_PREFIX_CONTAINERS%/.+/restart",
            "- restart containers [",
            "kill",
        ),
        (
            "POST %API_PREFIX_CONTAINERS%/.+/(stop|kill)",
            "- stop and kill containers [",
            "pause",
        ),
        (
            "POST %API_PREFIX_CONTAINERS%/.+/(stop|restart|kill|pause|unpause)",
            "- stop, restart, kill and pause containers [",
            "unpause containers",
        ),
        (
            "POST %API_PREFIX_CONTAINERS%/prune",
            "- remove stopped containers [",
            "everything",
        ),
        (
            "POST %API_PREFIX%/(images|volumes)/prune",
            "- remove unused images and unused volumes [",
            "everything",
        ),
        (
            "POST %API_PREFIX_BUILD%/cancel",
            "- cancel builds [",
            "unused",
        ),
        (
            "GET %API_PREFIX_VOLUMES%",
            "- list volumes with their options [",
            "inspect volumes",
        ),
        (
            "GET %API_PREFIX_SERVICES%",
            "- list services with their environment variables [",
            "tasks",
        ),
        (
            "POST %API_PREFIX_NETWORKS%/.+/disconnect",
            "- take containers off networks [",
            "connect containers",
        ),
    ] {
        let (_, out, _) = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--rules", rules)
            .run();
        let out = out
            .split("between it")
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(out.contains(want) && !out.contains(other), "{rules}: {out}");
    }
}

#[test]
fn what_stands_between_is_told() {
    let told = |args: &[(&str, &str)]| {
        let check = ProxyBuilder::bare(PROGRAM).word("check");
        let (_, out, _) = args
            .iter()
            .fold(check, |check, (name, value)| check.arg(name, value))
            .run();
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (args, want) in [
        (
            &[("--presets", "homepage")][..],
            "the rules: no call that they allow is a known way there",
        ),
        (
            &[("--presets", "compose")],
            "the guard (baseline), which judges calls to list processes",
        ),
        (
            &[("--presets", "compose")],
            "run commands inside containers; attach to containers",
        ),
        (
            &[("--presets", "compose"), ("--guard", "privileged")],
            "nothing, where the client can create containers: a new container may be privileged",
        ),
        (
            &[
                ("--presets", "compose"),
                ("--guard-allow", "bind=/var/run/docker.sock"),
            ],
            "nothing, by guard-allow bind=/var/run/docker.sock",
        ),
        (
            &[("--presets", "compose"), ("--mode", "audit")],
            "nothing at all: the profile is not enforced",
        ),
        (
            &[("--rules", "GET %API_PREFIX_CONTAINERS%/web/logs")],
            "read and follow logs of containers, some only, as in /containers/web/logs [--rules:1]",
        ),
        (
            &[("--rules", "GET .*")],
            "read the contents of configs [--rules:1]",
        ),
        (
            &[("--rules", "ALLOW container.logs(web)")],
            "read and follow logs of containers, some only, as in /containers/web/logs [--rules:1]",
        ),
        (
            &[("--rules", "ALLOW container.logs\nDENY container.logs(db)")],
            "read and follow logs of containers [--rules:1], but not what is denied [--rules:2]",
        ),
        (
            &[("--rules", "ALLOW look, secrets\nDENY container.logs")],
            "its rules deny, whatever others allow - read and follow logs of containers: GET \
            /containers/{container*}/logs, GET /libpod/containers/{container}/logs [--rules:2: \
            DENY container.logs]",
        ),
    ] {
        assert!(told(args).contains(want), "{want} in {}", told(args));
    }
}

/// Files of a folder and below that are named so.
fn files(folder: &Path, names: &[&str], found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder)
        .expect("a folder")
        .map_while(Result::ok)
    {
        let path = entry.path();
        if path.is_dir() {
            files(&path, names, found);
        } else if path
            .file_name()
            .is_some_and(|name| names.iter().any(|known| *known == name))
        {
            found.push(path);
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the files that it is about"
)]
fn nothing_is_wrong_with_what_is_shipped() {
    for preset in Preset::ALL {
        let check = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .word("--strict")
            .arg("--presets", preset.name);
        let check = if preset.needs_targets() {
            check.arg("--targets", "name=agent-*")
        } else {
            check
        };
        let (code, out, _) = check.run();
        // Their clients do nothing without a body or a channel that is not judged, and `check` has
        // to say so.
        if ["docker-build", "forgejo-runner"].contains(&preset.name) {
            assert_eq!(
                out.matches("warning[").count(),
                out.matches("warning[unread-body]").count(),
                "{out}"
            );
            assert_ne!(code, Some(0), "{}: {out}", preset.name);
        } else {
            assert_eq!(code, Some(0), "{}: {out}", preset.name);
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    files(
        &root.join("examples"),
        &["compose.yaml", "cetusguard.yaml"],
        &mut found,
    );
    files(&root.join("compose"), &["compose.yaml"], &mut found);
    let mut checked = 0;
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a text");
        let check = ProxyBuilder::bare(PROGRAM).word("check");
        let check = if path.ends_with("cetusguard.yaml") {
            check.arg("--config", &path.display().to_string())
        } else if let Some((_, block)) = text.split_once("CETUSGUARD_RULES: |\n") {
            let indent = block.len() - block.trim_start().len();
            let lines = block.lines().take_while(|line| {
                line.trim().is_empty() || line.len() - line.trim_start().len() >= indent
            });
            check.arg("--rules", &lines.collect::<Vec<_>>().join("\n"))
        } else {
            continue;
        };
        let (code, out, errors) = check.run();
        assert_eq!(
            (code, errors.as_str()),
            (Some(0), ""),
            "{}: {out}",
            path.display()
        );
        // One rule of the documented configuration is for what no engine has; it does no harm.
        let warnings = out.matches("warning[").count()
            - out.matches("%API_PREFIX_BUILD%(/.*)? matches no").count();
        assert_eq!(warnings, 0, "{}: {out}", path.display());
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}

/// The configuration of so many profiles with the same rules, one of which matches nothing.
fn many_profiles(count: usize, more: &str) -> String {
    let profile = |number| {
        format!(
            "  team-{number}:\n    clients: [{{compose-service: svc-{number}}}]\n    rules: GET \
            /containers/jsn\n{more}"
        )
    };
    format!("profiles:\n{}", (0..count).map(profile).collect::<String>())
}

/// Text prints a finding that hundreds of profiles share once; JSON has all of them.
#[test]
fn equal_findings_of_many_profiles_are_summarised() {
    let folder = TempDir::new();
    let file = folder.write("many.yaml", &many_profiles(9, ""));
    let check = || {
        ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--config", &file)
    };
    let (_, out, errors) = check().run();
    let text = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "… and the same for 8 more profiles: team-1, team-2, team-3, …",
        "… and in 8 more profiles: team-1, team-2, team-3, …",
        "9 warnings",
    ] {
        assert!(text.contains(part), "{part:?}: {out}{errors}");
    }
    assert_eq!(text.matches("warning[idle-rule]").count(), 1, "{out}");
    assert_eq!(codes(&many_profiles(9, ""), false).0, ["idle-rule"; 9]);
    // A few are printed as they are.
    let few = folder.write("few.yaml", &many_profiles(3, ""));
    let (_, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &few)
        .run();
    assert_eq!(out.matches("warning[idle-rule]").count(), 3, "{out}");
    // So are mistakes, and differences.
    let wrong = folder.write("wrong.yaml", &many_profiles(9, "    gard: baseline\n"));
    let (code, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &wrong)
        .run();
    assert!(
        code == Some(2) && out.contains("… and at 8 more places"),
        "{out}"
    );
    let other = folder.write("other.yaml", &many_profiles(9, "    max-memory: 1GiB\n"));
    let diff = ProxyBuilder::bare(PROGRAM).word("diff");
    let (_, out, errors) = diff.word(&file).word(&other).run();
    assert!(
        out.contains("… and the same in 8 more profiles") && out.contains("9 differences"),
        "{out}{errors}"
    );
}
