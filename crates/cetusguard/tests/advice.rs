//! A start, and a reload, say what `check` and `doctor` know.

use std::collections::BTreeSet;

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Something wrong of many kinds.
const CONFIG: &str = "\
rules: |
  GET %API_PREFIX_CONTAINERS%/jsn
  GET /images/json
  POST %API_PREFIX_CONTAINERS%/create
guard-allow: bind=/var/run/**
profiles:
  all: {rules: GET .*, mode: audit, clients: [{address: 10.0.0.1}]}
  open: {rules: POST %API_PREFIX_CONTAINERS%/create, guard: privileged, clients: [{address: 10.0.0.2}]}
";

/// A warning: its code, its profile, its text and its hint.
type Warning = [String; 4];

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// What `check` warns of.
fn checked(config: &str) -> BTreeSet<Warning> {
    let check = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", config)
        .arg("--format", "json");
    let (code, out, _) = check.env("CETUSGUARD_NOTHING_LIKE_IT", "1").run();
    assert_eq!(code, Some(0), "{out}");
    let field = |problem: &str, key: &str| {
        let rest = problem
            .split_once(&format!("\"{key}\": \""))
            .map(|(_, rest)| rest);
        text(rest.and_then(|rest| rest.split("\",\n").next()?.split("\"\n").next()))
    };
    let problems = out.split("\"severity\"").skip(1);
    problems
        .map(|problem| ["code", "profile", "what", "fix"].map(|key| field(problem, key)))
        .collect()
}

/// What the log says of `check`, line by line.
fn logged(proxy: &Proxy) -> Vec<Warning> {
    let field = |line: &str, key: &str| {
        let rest = line
            .split_once(&format!("\"{key}\":\""))
            .map(|(_, rest)| rest);
        text(rest.and_then(|rest| rest.split("\",\"").next()?.split("\"}").next()))
    };
    let log = proxy.log();
    let lines = log
        .iter()
        .filter(|line| line.contains("\"msg\":\"check warns of this configuration\""));
    lines
        .map(|line| ["warning", "profile", "detail", "hint"].map(|key| field(line, key)))
        .collect()
}

fn start(config: &str, engine: &Engine) -> Proxy {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", config)
        .env("DOCKER_HOST", &engine.address());
    proxy
        .env("CETUSGUARD_NOTHING_LIKE_IT", "1")
        .arg("--log-format", "json")
        .frontend("tcp://127.0.0.1:0")
        .start()
}

#[test]
fn a_start_says_what_check_warns_of() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("cetusguard.yaml", CONFIG);
    let want = checked(&config);
    let codes: BTreeSet<&str> = want.iter().map(|[code, ..]| code.as_str()).collect();
    for code in [
        "unknown-option",
        "idle-rule",
        "bare-path",
        "half-allowed",
        "gives-host",
        "catch-all",
        "not-enforced",
        "guard-off",
    ] {
        assert!(codes.contains(code), "{code} in {codes:?}");
    }
    let proxy = start(&config, &engine);
    eventually("every warning is logged", || {
        logged(&proxy).len() >= want.len()
    });
    assert_eq!(logged(&proxy).len(), want.len(), "each once");
    assert_eq!(logged(&proxy).into_iter().collect::<BTreeSet<_>>(), want);
    assert!(
        proxy
            .log()
            .iter()
            .filter(|line| line.contains("\"warning\":"))
            .all(|line| line.contains("\"level\":\"warning\""))
    );

    // A reload says what is new, and only that.
    folder.write("cetusguard.yaml", &CONFIG.replace("/var/run/**", "/etc/**"));
    proxy.signal("HUP");
    let news: BTreeSet<Warning> = checked(&config).difference(&want).cloned().collect();
    assert!(!news.is_empty() && news.len() < want.len(), "{news:?}");
    eventually("the new warnings are logged", || {
        logged(&proxy).len() >= want.len() + news.len()
    });
    let told: Vec<_> = logged(&proxy).into_iter().skip(want.len()).collect();
    assert_eq!(told.len(), news.len(), "{told:?}");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), news);
}

#[test]
fn a_start_without_rules_says_what_passes() {
    let engine = Engine::ok();
    for (more, want) in [
        ("", "only _ping, version and info pass: there are no rules"),
        ("--no-builtin-rules", "nothing passes: there are no rules"),
    ] {
        let proxy = ProxyBuilder::bare(PROGRAM)
            .env("DOCKER_HOST", &engine.address())
            .frontend("tcp://127.0.0.1:0");
        let proxy = if more.is_empty() {
            proxy.start()
        } else {
            proxy.word(more).start()
        };
        let line = proxy.logged(&["warning=no-rules"]);
        assert!(
            line.contains(want) && line.contains("hint=\"set rules, rules-file or presets"),
            "{line}"
        );
    }
}

/// The proxy starts in any case: the engine may come later.
#[test]
fn an_engine_that_cannot_be_used_is_told() {
    let folder = TempDir::new();
    let plain = folder.write("plain", "");
    let stranger = Engine::probed(|_, link| link.answer(404, "{}"));
    let odd = Engine::probed(|_, link| link.answer(200, "{}"));
    let gone = Engine::probed(|_, link| link.close());
    let unix = |path: &str| format!("unix://{path}");
    for (backend, detail, hint) in [
        (
            unix(&folder.file("none.sock")),
            "none.sock is not there",
            "start the engine, or mount its socket",
        ),
        (
            unix(&folder.path().display().to_string()),
            "is a folder",
            "it was made by mounting a socket that was not there",
        ),
        (unix(&plain), "is no socket", "correct backend-addr"),
        (
            "tcp://127.0.0.1:1".to_owned(),
            "nothing listens there",
            "start the engine with that address",
        ),
        (
            stranger.address(),
            "is no engine: it has no /version",
            "correct backend-addr",
        ),
        (
            odd.address(),
            "does not say which API it speaks",
            "point to an engine?",
        ),
        (
            gone.address(),
            "the engine did not answer to /version",
            "start the engine",
        ),
    ] {
        let proxy = ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &backend)
            .arg("--presets", "homepage");
        let proxy = proxy.frontend("tcp://127.0.0.1:0").start();
        let line = proxy.logged(&[
            "level=warning",
            "the engine cannot be reached, or answers as no engine does",
            &format!("backend={backend}"),
        ]);
        assert!(
            line.contains(detail) && line.contains(hint),
            "{detail}: {line}"
        );
        assert_eq!(
            proxy
                .log()
                .iter()
                .filter(|line| line
                    .contains("the engine cannot be reached, or answers as no engine does"))
                .count(),
            1
        );
    }
    let well = Engine::ok();
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &well.address())
        .frontend("tcp://127.0.0.1:0")
        .start();
    let _ = proxy.logged(&["warning=no-rules"]);
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("the engine cannot be reached, or answers as no engine does")),
        "{:?}",
        proxy.log()
    );
}
