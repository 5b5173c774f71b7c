//! Flags, environment, defaults: who wins, what is wrong, and that help and documentation say the
//! same.

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

#[test]
fn an_exception_for_a_profile_names_one_that_exists() {
    for (allowed, want) in [
        (
            "profile=homepge",
            Some("guard-allow is \"profile=homepge\"\n"),
        ),
        (
            "profile=homepge",
            Some("= there is no such profile; did you mean profile=homepage?"),
        ),
        (
            "profile=x-*",
            Some("= there is no such profile; expected one of: homepage, updates, default"),
        ),
        ("profile=homepage", None),
        ("profile=home*", None),
        ("profile=default", None),
    ] {
        let config = |place: &str| {
            format!(
                "{place}profiles:\n  homepage: {{clients: [{{container: homepage}}]}}\n  updates: \
                {{clients: [{{container: watchtower}}], presets: watchtower{}}}\n",
                if place.is_empty() {
                    format!(", guard-allow: [{allowed}]")
                } else {
                    String::new()
                }
            )
        };
        for text in [config(""), config(&format!("guard-allow: [{allowed}]\n"))] {
            let folder = TempDir::new();
            let file = folder.write("cetusguard.yaml", &text);
            let (code, out, _) = ProxyBuilder::bare(PROGRAM)
                .word("check")
                .arg("--config", &file)
                .run();
            assert_eq!(
                code,
                Some(if want.is_some() { 2 } else { 0 }),
                "{text}{out}"
            );
            let Some(want) = want else { continue };
            let (code, _, errors) = ProxyBuilder::bare(PROGRAM).arg("--config", &file).run();
            assert_eq!(code, Some(2), "{errors}");
            assert!(errors.contains(want), "{want} in {errors}");
            assert_eq!(
                errors.matches("there is no such profile").count(),
                1,
                "{errors}"
            );
        }
    }
}

#[test]
fn every_mistake_is_told_in_one_run() {
    let folder = TempDir::new();
    let rules = folder.write(
        "my.rules",
        "GET %API_PREFIX_CONTAINER%/json\nGET /ok\nget /x",
    );
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM)
        .arg("--rules-file", &rules)
        .arg("--rules-file", &folder.file("missing.rules"))
        .arg("--rules-file", &folder.path().display().to_string())
        .arg("--rules", "GET /(")
        .arg("--frontend-addr", "http://x")
        .arg("--log-lvel", "9")
        .arg("--log-level", "9")
        .arg("--idle-timeout", "90")
        .arg("--frontend-socket-mode", "999")
        .arg("--frontend-socket-group", "no-such-group")
        .arg("--max-connections", "0")
        .env("CETUSGUARD_LOG_FORMAT", "xml")
        .env("CETUSGUARD_FRONTEND_ADR", "tcp://:1")
        .env("CETUSGUARD_BACKEND_ADDR", "npipe:////./pipe/docker_engine")
        .run();
    assert_eq!((code, out.as_str()), (Some(2), ""));
    for want in [
        format!("unknown variable %API_PREFIX_CONTAINER%\n --> {rules}:1:5\n"),
        "= the nearest variable is %API_PREFIX_CONTAINERS%".to_owned(),
        format!("{rules}:3:1"),
        "missing.rules\"\n  = expected a readable file of rules: there is no such file; name a \
        file that is there"
            .to_owned(),
        "expected a readable file of rules: it is a folder; name a file".to_owned(),
        "--> --rules:1:6".to_owned(),
        "--frontend-addr is \"http://x\"\n  = did you mean tcp://x:2375?".to_owned(),
        "unknown option --log-lvel\n  = did you mean --log-level?".to_owned(),
        "--log-level is \"9\"".to_owned(),
        "--idle-timeout is \"90\"\n  = expected a time with its unit, as in 500ms, 10s or 2m"
            .to_owned(),
        "--frontend-socket-mode is \"999\"".to_owned(),
        "--frontend-socket-group is \"no-such-group\"".to_owned(),
        "--max-connections is \"0\"".to_owned(),
        "CETUSGUARD_LOG_FORMAT is \"xml\"\n  = expected logfmt or json".to_owned(),
        "unknown environment variable CETUSGUARD_FRONTEND_ADR\n  = did you mean \
        CETUSGUARD_FRONTEND_ADDR?"
            .to_owned(),
        "CETUSGUARD_BACKEND_ADDR is \"npipe:////./pipe/docker_engine\"\n  = named pipes are for \
        programs on Windows"
            .to_owned(),
        "15 mistakes in the configuration; nothing was started".to_owned(),
    ] {
        assert!(errors.contains(&want), "{want}\n in\n{errors}");
    }
    for (name, value) in [
        ("CETUSGUARD_FRONTEND_ADDR", " , "),
        ("CETUSGUARD_LOG_LEVEL", " "),
    ] {
        let (code, _, errors) = ProxyBuilder::bare(PROGRAM).env(name, value).run();
        assert!(
            code == Some(2)
                && errors.contains(&format!("{name} is {value:?}, which holds no value")),
            "{errors}"
        );
    }
    let (_, _, errors) = ProxyBuilder::bare(PROGRAM)
        .env("CETUSGUARD_NO_BUILTIN_RULES", "maybe")
        .run();
    assert!(
        errors.contains("CETUSGUARD_NO_BUILTIN_RULES is \"maybe\"\n  = expected true or false"),
        "{errors}"
    );
}

#[test]
fn the_flag_wins_over_the_environment_and_that_over_the_default() {
    let engine = Engine::ok();
    let starting = |builder: ProxyBuilder| {
        builder
            .frontend("tcp://127.0.0.1:0")
            .start()
            .logged(&["msg=starting"])
    };
    let backend = |name: &str| format!("backend=unix:///{name} ");
    let all = || ProxyBuilder::bare(PROGRAM).env("DOCKER_HOST", "unix:///docker");
    assert!(starting(ProxyBuilder::bare(PROGRAM)).contains(&backend("var/run/docker.sock")));
    assert!(starting(all()).contains(&backend("docker")));
    assert!(starting(all().env("CONTAINER_HOST", "unix:///podman")).contains(&backend("podman")));
    let own = || {
        all()
            .env("CONTAINER_HOST", "unix:///podman")
            .env("CETUSGUARD_BACKEND_ADDR", "unix:///own")
    };
    assert!(starting(own()).contains(&backend("own")));
    assert!(starting(own().arg("--backend-addr", &engine.address())).contains(&engine.address()));
    // Empty is unset, as compose files leave it.
    assert!(starting(all().env("CETUSGUARD_BACKEND_ADDR", "")).contains(&backend("docker")));
}

/// Go's flags have one dash; files of other deployments use them.
#[test]
fn single_dashes_and_equals_signs_are_understood() {
    for args in [
        &[
            "-backend-addr",
            "unix:///x",
            "-log-level=7",
            "-no-builtin-rules",
        ][..],
        &[
            "--backend-addr=unix:///x",
            "--log-level",
            "7",
            "--no-builtin-rules=true",
        ],
        &[
            "serve",
            "-backend-addr=unix:///x",
            "-log-level",
            "debug",
            "-no-builtin-rules=1",
        ],
    ] {
        let mut builder = ProxyBuilder::bare(PROGRAM).frontend("tcp://127.0.0.1:0");
        for arg in args {
            builder = builder.word(arg);
        }
        let proxy = builder.start();
        let line = proxy.logged(&["msg=starting"]);
        assert!(line.contains("backend=unix:///x rules=0"), "{line}");
    }
}

/// Several addresses in one variable, separated by blanks, commas or line ends; rules keep their
/// lines, files their blanks.
#[test]
fn lists_in_the_environment_are_split() {
    let folder = TempDir::new();
    let (one, two) = (
        folder.write("one file.rules", "GET /a"),
        folder.write("two.rules", "! c\nGET /b # d\nPOST /c"),
    );
    let proxy = ProxyBuilder::bare(PROGRAM)
        .env(
            "CETUSGUARD_FRONTEND_ADDR",
            &format!(
                "tcp://127.0.0.1:0, tcp://127.0.0.1:0\nunix://{}",
                folder.file("f.sock")
            ),
        )
        .env(
            "CETUSGUARD_RULES",
            "\n  GET /x  # comment\n\n  # another\n  POST,PUT /y\n",
        )
        .env("CETUSGUARD_RULES_FILE", &format!("{one},{two}"))
        .env("CETUSGUARD_LOG_LEVEL", "7")
        .env("CETUSGUARD_SERVICE_HOST", "10.0.0.1")
        .env("CETUSGUARD_PORT_2375_TCP", "tcp://10.0.0.1:2375")
        .env("CETUSGUARD_WHATEVER", "1")
        .spawn();
    assert!(proxy.logged(&["address=unix://"]).contains("f.sock"));
    assert_eq!(
        proxy
            .log()
            .iter()
            .filter(|line| line.contains("msg=listening"))
            .count(),
        3
    );
    for (position, rule) in [
        ("CETUSGUARD_RULES:2", "GET /x"),
        ("CETUSGUARD_RULES:5", "POST,PUT /y"),
        ("one file.rules:1", "GET /a"),
        ("two.rules:2", "GET /b"),
        ("two.rules:3", "POST /c"),
    ] {
        assert!(proxy.logged(&[position, rule]).contains("level=debug"));
    }
    // A stranger is warned of; what Kubernetes sets is not.
    assert!(
        proxy
            .logged(&["level=warning", "warning=unknown-option"])
            .contains("CETUSGUARD_WHATEVER")
    );
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("SERVICE_HOST") || line.contains("PORT_2375"))
    );
}

#[test]
fn version_and_help_are_told() {
    let (code, out, _) = run_words(&["version"]);
    assert_eq!(
        (code, out),
        (
            Some(0),
            format!("cetusguard {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
    for args in [["--version"], ["-version"]] {
        assert!(run_words(&args).1.contains(env!("CARGO_PKG_VERSION")));
    }
    for (args, words) in [
        (
            &["--help"][..],
            &[
                "serve",
                "healthcheck",
                "cetusguard serve --help describes the options",
            ][..],
        ),
        (
            &["serve", "--help"],
            &[
                "--frontend-addr <ADDR>",
                "[env: CETUSGUARD_BACKEND_ADDR, CONTAINER_HOST, DOCKER_HOST]",
                "[default: 90s]",
            ],
        ),
        (
            &["serve", "-h"],
            &[
                "--frontend-addr <ADDR>",
                "Guard: what allowed calls may ask for",
            ],
        ),
        (
            &["check", "-h"],
            &[
                "--strict",
                "--format <FORMAT>",
                "It takes the options of serve as well",
            ],
        ),
    ] {
        let (code, help, _) = run_words(args);
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, Some(0));
        words
            .iter()
            .for_each(|word| assert!(help.contains(word), "{args:?}: {word} in {help}"));
    }
    let (code, _, errors) = run_words(&["sevre"]);
    assert!(code == Some(2) && errors.contains("sevre"), "{errors}");
}

/// The help names what a command takes, the short one in a few lines, and fits the terminal.
#[test]
fn help_is_short_and_fits() {
    let commands: Vec<String> = cetusguard_config::grammar()
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    for command in commands.iter().map(String::as_str).chain([""]) {
        for (flag, columns) in [("-h", "60"), ("--help", "60"), ("-h", ""), ("--help", "")] {
            let program = if command.is_empty() {
                ProxyBuilder::bare(PROGRAM)
            } else {
                ProxyBuilder::bare(PROGRAM).word(command)
            };
            let (code, help, _) = program.word(flag).env("COLUMNS", columns).run();
            assert_eq!(code, Some(0), "{command} {flag}");
            let width = if columns.is_empty() { 100 } else { 60 };
            // A word that is longer than a line cannot be wrapped.
            let is_too_long = |line: &&str| {
                line.chars().count() > width
                    && line.trim().contains(' ')
                    && !line.starts_with("Usage:")
            };
            assert_eq!(help.lines().find(is_too_long), None, "{command} {flag}");
            assert_eq!(
                help.contains("--frontend-addr"),
                command == "serve",
                "{command} {flag}: {help}"
            );
            let is_short = flag == "-h" && columns.is_empty() && command != "serve";
            assert!(!is_short || help.lines().count() <= 32, "{command}: {help}");
        }
    }
}

/// What commands print fits a narrow terminal.
#[test]
fn pages_fit_the_terminal() {
    let folder = TempDir::new();
    let socket = format!("unix://{}", folder.file("none.sock"));
    for words in [
        &[
            "check",
            "--presets",
            "compose",
            "--guard-allow",
            "bind=/srv/**",
        ][..],
        &[
            "explain",
            "DELETE",
            "/containers/web",
            "--presets",
            "homepage",
        ],
        &["doctor", "--presets", "compose"],
        &["preset", "list"],
    ] {
        for columns in [50, 80] {
            let program = words
                .iter()
                .fold(ProxyBuilder::bare(PROGRAM), |program, word| {
                    program.word(word)
                });
            let (_, out, _) = program
                .env("DOCKER_HOST", &socket)
                .env("COLUMNS", &columns.to_string())
                .run();
            assert!(out.lines().count() > 3, "{words:?}: {out}");
            for line in out.lines().filter(|line| line.chars().count() > columns) {
                // Words, and rules that are to be copied, stay whole.
                let rest = line.trim_start_matches([' ', '-', '=']);
                let is_rule = rest.starts_with("GET ")
                    || rest.starts_with("to allow it: ")
                    || rest.starts_with("DELETE ");
                assert!(
                    is_rule || !rest.contains(' '),
                    "{words:?} at {columns}: {line}"
                );
            }
        }
    }
}

fn run_words(words: &[&str]) -> (Option<i32>, String, String) {
    words
        .iter()
        .fold(ProxyBuilder::bare(PROGRAM), |builder, word| {
            builder.word(word)
        })
        .run()
}

#[test]
fn the_health_check_tells_why() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let socket = format!("unix://{}", folder.file("front.sock"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .frontend(&socket)
        .start();
    let check = |words: &[&str], env: &[(&str, &str)]| {
        let builder = words.iter().fold(
            ProxyBuilder::bare(PROGRAM).word("healthcheck"),
            |builder, word| builder.word(word),
        );
        let (code, _, errors) = env
            .iter()
            .fold(builder, |builder, (name, value)| builder.env(name, value))
            .run();
        (code, errors)
    };
    let port = proxy.address().rsplit(':').next().expect("a port");
    assert_eq!(check(&[proxy.address()], &[]), (Some(0), String::new()));
    assert_eq!(check(&[&socket], &[]), (Some(0), String::new()));
    assert_eq!(
        check(&["--frontend-addr", proxy.address()], &[]),
        (Some(0), String::new())
    );
    assert_eq!(
        check(
            &[],
            &[(
                "CETUSGUARD_FRONTEND_ADDR",
                &format!("tcp://:{port} {socket}")
            )]
        ),
        (Some(0), String::new())
    );
    // The proxy goes on with its policy while a file that is to replace it has mistakes.
    for text in [
        format!("frontend-addr: {}\npresetz: x\n", proxy.address()),
        format!("frontend-addr: {}\nrules: GET (\n", proxy.address()),
    ] {
        let file = folder.write("wrong.yaml", &text);
        let sources = ["--config", file.as_str()];
        assert_eq!(check(&sources, &[]), (Some(0), String::new()), "{text}");
    }
    let unreadable = folder.write("unreadable.yaml", "a:\n\tb: c\n");
    let sources = ["--config", unreadable.as_str(), proxy.address()];
    assert_eq!(check(&sources, &[]), (Some(0), String::new()));
    let (code, why) = check(&["--config", &unreadable, "tcp://127.0.0.1:1"], &[]);
    assert!(
        code == Some(1) && why.contains("the configuration has a mistake"),
        "{why}"
    );
    let (code, why) = check(&["--frontend-adr", "x"], &[]);
    assert!(code == Some(2), "{why}");
    let (code, why) = check(&["tcp://127.0.0.1:1"], &[]);
    assert!(
        code == Some(1) && why.contains("the proxy at tcp://127.0.0.1:1 cannot be reached"),
        "{why}"
    );

    // Its own mistakes are told, not dropped: another address would be asked.
    let (code, why) = check(&["--frontend-adr", "tcp://127.0.0.1:1"], &[]);
    assert!(
        code == Some(2) && why.contains("did you mean --frontend-addr?"),
        "{why}"
    );

    let absent = Engine::absent();
    let sick = ProxyBuilder::new(PROGRAM, &absent, "").start();
    let (code, why) = check(&[sick.address()], &[]);
    assert!(
        code == Some(1)
            && why.contains("/_ping was answered with 502")
            && why.contains("is the engine running"),
        "{why}"
    );

    let strict = ProxyBuilder::new(PROGRAM, &engine, "")
        .word("--no-builtin-rules")
        .start();
    let (code, why) = check(&[strict.address()], &[]);
    assert!(
        code == Some(1) && why.contains("add the rule: GET %API_PREFIX_PING%"),
        "{why}"
    );
}

#[test]
fn the_health_check_knows_its_own_tls_frontend() {
    let engine = Engine::ok();
    let certs = cetusguard_testkit::Certs::make();
    let with_tls = |builder: ProxyBuilder| {
        builder
            .arg("--frontend-tls-cert", &certs.file("server.pem"))
            .arg("--frontend-tls-key", &certs.file("server.key"))
    };
    let proxy = with_tls(ProxyBuilder::new(PROGRAM, &engine, "")).start();
    let check = || {
        ProxyBuilder::bare(PROGRAM)
            .word("healthcheck")
            .word(proxy.address())
    };
    assert_eq!(
        with_tls(check()).run(),
        (Some(0), String::new(), String::new())
    );
    let (code, _, why) = check().run();
    assert!(
        code == Some(1) && why.contains("give the check its frontend-tls-cert"),
        "{why}"
    );
    // It has no client certificate to show, and says what to do.
    let mutual = with_tls(ProxyBuilder::new(PROGRAM, &engine, ""))
        .arg("--frontend-tls-cacert", &certs.file("ca.pem"))
        .start();
    let (code, _, why) = with_tls(
        ProxyBuilder::bare(PROGRAM)
            .word("healthcheck")
            .word(mutual.address()),
    )
    .run();
    assert!(
        code == Some(1) && why.contains("add a unix:// frontend and name it"),
        "{why}"
    );
}

/// The reference page is made from the same tables as the parser, the help and the schema.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read and write the documentation that it is about"
)]
fn the_documentation_lists_every_option() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (first, last) = ("\n## Configuration file\n", "\n## Fixed bounds\n");
    let (begin, end) = (page.find(first).expect(first), page.find(last).expect(last));
    let reference = cetusguard_config::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = format!("{}{reference}{}", &page[..begin], &page[end..]);
        return std::fs::write(path, page).expect("a page that can be written");
    }
    assert_eq!(
        &page[begin..end],
        reference,
        "run: UPDATE_DOCS=1 cargo test --test configuration"
    );
}
