//! What is learned from clients is what they need: served with it, they work; without any one line
//! of it, they do not.

use cetusguard_testkit::{
    Engine, Proxy, ProxyBuilder, TempDir, eventually, program_without_environment,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// What a client does, and with which body.
const SESSION: &[(&str, &str)] = &[
    ("HEAD /_ping", ""),
    ("GET /v1.43/version", ""),
    ("GET /v1.43/containers/json?all=1", ""),
    ("GET /v1.43/containers/web/json", ""),
    ("GET /v1.43/containers/0123abcdef/json", ""),
    (
        "POST /v1.43/containers/create?name=x",
        "{\"Image\":\"x\",\"HostConfig\":{\"Binds\":[\"/srv/app:/a:ro\"],\"CapAdd\":[\"NET_ADMIN\"]}}",
    ),
    ("POST /v1.43/containers/web/start", ""),
    ("GET /v1.43/images/ghcr.io/a/b:1.2/json", ""),
    ("DELETE /v1.43/networks/front", ""),
    ("GET /v1.43/networks/front", ""),
    ("GET /v1.43/containers/web/archive?path=/etc", ""),
    ("GET /v1.43/volumes/an%20odd%23name", ""),
];

fn learner(engine: &Engine) -> ProxyBuilder {
    let builder = ProxyBuilder::bare(PROGRAM)
        .word("learn")
        .arg("--backend-addr", &engine.address());
    builder
        .arg("--log-level", "7")
        .frontend("tcp://127.0.0.1:0")
}

/// The statuses of a session.
fn perform(proxy: &Proxy) -> Vec<u16> {
    let call = |(line, body): &(&str, &str)| match body.is_empty() {
        true => proxy.client().request(line).status,
        false => proxy.client().request_with(line, body).status,
    };
    SESSION.iter().map(call).collect()
}

fn stop(mut proxy: Proxy) {
    proxy.signal("INT");
    assert!(proxy.wait().success());
}

/// Ends a learner that has learned nothing, and returns what it says.
fn stop_without_policy(mut proxy: Proxy) -> String {
    proxy.signal("INT");
    assert_eq!(proxy.wait().code(), Some(1));
    proxy.log().join("\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read what was written for it"
)]
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn serve(engine: &Engine, policy: &str) -> Proxy {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", policy)
        .arg("--backend-addr", &engine.address());
    proxy.frontend("tcp://127.0.0.1:0").start()
}

/// Lines that do something.
fn lines(policy: &str) -> Vec<&str> {
    let is_rule = |line: &&str| {
        line.trim_start()
            .starts_with(|c: char| c.is_ascii_uppercase() || c == '-')
    };
    policy.lines().filter(is_rule).collect()
}

#[test]
fn a_session_is_learned_and_nothing_more() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let out = folder.file("learned.yaml");
    let proxy = learner(&engine).arg("--out", &out).word("--risky").start();
    assert_eq!(
        perform(&proxy),
        [200; SESSION.len()],
        "nothing is refused while it is learned"
    );
    stop(proxy);
    let policy = read(&out);
    let learned = serve(&engine, &out);
    assert_eq!(perform(&learned), [200; SESSION.len()], "{policy}");
    assert_eq!(
        learned
            .client()
            .request("GET /v1.43/containers/web/logs")
            .status,
        403
    );
    let lines = lines(&policy);
    assert_eq!(
        lines.len(),
        10,
        "one line for each thing that was asked for: {policy}"
    );
    for line in &lines {
        let less: Vec<_> = policy.lines().filter(|other| other != line).collect();
        let less = serve(&engine, &folder.write("less.yaml", &less.join("\n")));
        assert!(perform(&less).contains(&403), "nobody misses {line}");
    }
    let (code, told, errors) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &out)
        .run();
    assert_eq!(code, Some(0), "{told}{errors}");
}

#[test]
fn what_is_risky_is_left_to_its_reader() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let out = folder.file("learned.yaml");
    let proxy = learner(&engine).arg("--out", &out).start();
    for line in [
        "GET /containers/web/archive",
        "POST /session",
        "POST /swarm/init",
        "GET /future/thing",
        "GET /events",
    ] {
        assert_eq!(proxy.client().request(line).status, 200, "{line}");
    }
    proxy.signal("USR1");
    eventually("it is written while it learns", || {
        read(&out).contains("_EVENTS%")
    });
    let policy = read(&out);
    for want in [
        "  # risky: it hands over contents, or is a channel that the guard cannot read\n  # GET \
        %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive  # once, first 20",
        "  # risky: the guard cannot judge it, and a build can ask for the host's network, and the \
        guard cannot see it\n  # POST %API_PREFIX_SESSION%  # once",
        "a client that can change the cluster controls every node of it",
        "  # risky: no engine known here has it\n  # GET %API_PREFIX%/future/thing",
        "  GET %API_PREFIX_EVENTS%  # once, first 20",
    ] {
        assert!(policy.contains(want), "{want} in {policy}");
    }
    let told = proxy.logged(&[
        "1×",
        "[look] default: GET %API_PREFIX_EVENTS%",
        "(follow events with the command lines of exec)",
    ]);
    assert!(!told.contains("level="), "{told}");
    (0..9).for_each(|_| assert_eq!(proxy.client().request("GET /events").status, 200));
    let _ = proxy.logged(&["10×", "%API_PREFIX_EVENTS%"]);
    stop(proxy);
    assert!(
        read(&out).contains("GET %API_PREFIX_EVENTS%  # 10 times"),
        "and once more at the end"
    );
}

/// Takes the mark of a comment from each line that is policy: rules, exceptions and the keys above
/// them, but no remarks.
fn uncommented(policy: &str) -> String {
    let is_policy = |text: &str| {
        let is_rule = text
            .split(' ')
            .next()
            .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
            && text
                .split(' ')
                .nth(1)
                .is_some_and(|word| word.starts_with('%'));
        is_rule || text.starts_with("- ") || ["rules: |", "guard-allow:"].contains(&text)
    };
    let line = |line: &str| match line.split_once("# ") {
        Some((indent, text)) if indent.trim().is_empty() && is_policy(text) => {
            format!("{indent}{text}\n")
        }
        _ => format!("{line}\n"),
    };
    policy.lines().map(line).collect()
}

/// What is written as a comment is in its place: without the mark it is the policy that covers what
/// was asked for.
#[test]
fn comments_are_valid_where_they_stand() {
    const BUILD: &[(&str, &str)] = &[("POST /session", ""), ("POST /grpc", "")];
    const PRIVILEGED: &[(&str, &str)] = &[(
        "POST /containers/create",
        "{\"Image\":\"x\",\"HostConfig\":{\"Privileged\":true}}",
    )];
    const LOOK: &[(&str, &str)] = &[
        ("GET /events", ""),
        ("GET /containers/web/archive?path=/", ""),
    ];
    const OPEN: &[(&str, &str)] = &[(
        "POST /volumes/create",
        "{\"Name\":\"x\",\"DriverOpts\":{\"type\":\"cifs\",\"o\":\"password=x\",\"device\":\"//y/z\"}}",
    )];
    for calls in [
        BUILD,
        PRIVILEGED,
        LOOK,
        &[BUILD, PRIVILEGED, LOOK].concat(),
        &[BUILD, OPEN].concat(),
    ] {
        let (engine, folder) = (Engine::ok(), TempDir::new());
        let named = folder.write(
            "named.yaml",
            "profiles:\n  own:\n    clients: [{address: 127.0.0.1}]\n",
        );
        let plain = folder.write("plain.yaml", "log-level: 7\n");
        for config in [plain, named] {
            let out = folder.file("learned.yaml");
            let proxy = learner(&engine)
                .arg("--config", &config)
                .arg("--out", &out)
                .start();
            let ask = |proxy: &Proxy, (line, body): &(&str, &str)| match body.is_empty() {
                true => proxy.client().request(line).status,
                false => proxy.client().request_with(line, body).status,
            };
            calls
                .iter()
                .for_each(|call| assert_eq!(ask(&proxy, call), 200, "{call:?}"));
            stop(proxy);
            let policy = read(&out);
            let whole = uncommented(&policy);
            assert_ne!(policy, whole, "something risky was learned");
            let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
                .word("check")
                .arg("--config", &out)
                .run();
            assert_ne!(code, Some(2), "as it was written: {errors}\n{policy}");
            let learned = serve(&engine, &folder.write("whole.yaml", &whole));
            for call in calls.iter().filter(|(_, body)| !body.contains("password")) {
                assert_eq!(ask(&learned, call), 200, "{call:?} with\n{whole}");
            }
        }
    }
}

/// Chosen profiles are learned with their clients; the others are held to what they have.
#[test]
fn a_profile_among_others_is_learned() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write(
        "config.yaml",
        "rules: GET /info\nprofiles:\n  here:\n    guard-allow: [image=x*, privileged]\n    \
        no-builtin-rules: true\n    clients:\n      - address: 127.0.0.1\n",
    );
    let out = folder.file("learned.yaml");
    let start = |profile: &str| {
        learner(&engine)
            .arg("--config", &config)
            .arg("--profile", profile)
            .arg("--out", &out)
            .start()
    };
    let proxy = start("default");
    assert_eq!(
        proxy.client().request("GET /events").status,
        403,
        "this client's profile is another one"
    );
    let errors = stop_without_policy(proxy);
    assert!(
        errors.contains(
            "no client of profile default asked for anything, so no policy is written; clients of \
            profile here did: learn for these with --profile"
        ),
        "{errors}"
    );
    assert!(!std::path::Path::new(&out).exists());
    let proxy = start("here");
    let mut page = proxy.client();
    page.send("GET /_ping HTTP/1.1\r\nHost: x\r\nOrigin: http://page.example\r\n\r\n");
    assert_eq!(page.read_response().status, 403);
    let errors = stop_without_policy(proxy);
    assert!(
        errors.contains("every request of profile here was refused"),
        "{errors}"
    );
    let proxy = start("here");
    assert_eq!(proxy.client().request("GET /_ping").status, 200);
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/create", "{\"Image\":\"x\"}")
            .status,
        200
    );
    stop(proxy);
    let policy = read(&out);
    let want = "profiles:\n  here:\n    clients:\n      - address: \"127.0.0.1/32\"\n    guard: \
        baseline\n    no-builtin-rules: true\n    guard-allow:\n      - image=x*\n    rules: |\n";
    assert!(
        policy.contains(&want.replace("image=x*", "\"image=x*\"")),
        "{policy}"
    );
    let proxy = serve(&engine, &out);
    assert_eq!(proxy.client().request("GET /_ping").status, 200);
    assert_eq!(proxy.client().request("GET /version").status, 403);
    let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
        .word("learn")
        .arg("--profile", "none")
        .run();
    assert!(
        code == Some(2) && errors.contains("there is no profile none"),
        "{errors}"
    );
    let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
        .word("learn")
        .arg("--config", &config)
        .arg("--format", "rules")
        .run();
    assert!(
        code == Some(1) && errors.contains("choose it with --profile"),
        "{errors}"
    );
}

#[test]
fn a_log_teaches_the_same() {
    for format in ["logfmt", "json"] {
        let (engine, folder) = (Engine::ok(), TempDir::new());
        let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_CONTAINERS%/json")
            .arg("--mode", "audit");
        let proxy = proxy.arg("--log-format", format).start();
        assert_eq!(perform(&proxy), [200; SESSION.len()]);
        let _ = proxy.logged(&["odd", "would_deny"]);
        let log = folder.write(
            "log",
            &proxy
                .log()
                .iter()
                .map(|line| format!("cetusguard | {line}\n"))
                .collect::<String>(),
        );
        let learn = |format: &str| {
            let learn = ProxyBuilder::bare(PROGRAM)
                .word("learn")
                .arg("--from", &log)
                .arg("--format", format)
                .word("--risky");
            let (code, out, errors) = learn.run();
            assert_eq!((code, errors.as_str()), (Some(0), ""));
            out
        };
        let out = learn("rules");
        // No rule allowed any of it, and the guard has judged it all the same.
        assert!(
            out.contains("--guard-allow bind=/srv/app")
                && out.contains("--guard-allow capability=NET_ADMIN"),
            "{out}"
        );
        let rules: Vec<_> = out.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rules.len(), 8, "{out}");
        let learned = ProxyBuilder::new(PROGRAM, &engine, &out)
            .arg("--guard", "privileged")
            .start();
        assert_eq!(perform(&learned), [200; SESSION.len()], "{out}");
        assert!(
            learn("json")
                .contains("\"rule\": \"GET,DELETE %API_PREFIX_NETWORKS%/%NETWORK_ID_OR_NAME%\"")
        );
    }
}

/// Whatever a client writes into its requests, the policy covers what was asked for and nothing
/// more, and can be read.
#[test]
fn a_client_cannot_write_its_own_policy() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let out = folder.file("learned.yaml");
    let proxy = learner(&engine).arg("--out", &out).word("--risky").start();
    let hostile = "{\"HostConfig\":{\"CapAdd\":[\"*\"],\"SecurityOpt\":[\"*\"],\"Runtime\":\"*\",\"LogConfig\":{\"Type\":\"\",\"Config\":{\"a\":\"b\"}},\
                   \"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/**\",\"Target\":\"/a\"},{\"Type\":\"bind\",\"Source\":\"/etc:ro\",\"Target\":\"/b\"}],\
                   \"Binds\":[\"/srv/\\u001b]0;x\\u0007\\n  - privileged:/c\"],\"Devices\":[{\"PathOnHost\":\"/dev/**\",\"PathInContainer\":\"/dev/x\"}]}}";
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/create", hostile)
            .status,
        200
    );
    for line in [
        "POST /volumes/%25API_PREFIX_EXEC%25",
        "GET /volumes/a%20%20%23%0a".trim_end_matches("%0a"),
        "GET /volumes/x%20",
        "GET /volumes/x%EF%BB%BF%E2%80%AE%C2%9B",
        "GET /volumes/%E2%80%A8%20%20DELETE%20.*",
        "GET /secrets/db?showsecret=1",
    ] {
        assert_eq!(proxy.client().request(line).status, 200, "{line}");
    }
    for index in 0..2_100 {
        assert_eq!(
            proxy
                .client()
                .request(&format!(
                    "GET /none/{index}/{}",
                    "x".repeat(600 * (index % 2))
                ))
                .status,
            200
        );
    }
    stop(proxy);
    let policy = read(&out);
    assert!(
        !policy
            .chars()
            .any(|c| (c.is_control() && c != '\n') || "\u{feff}\u{202e}\u{2028}".contains(c)),
        "{policy}"
    );
    assert!(
        policy.len() < 1 << 20 && policy.contains("requests more were too different"),
        "{}",
        policy.len()
    );
    let live: Vec<_> = policy
        .lines()
        .filter(|line| line.trim_start().starts_with("- "))
        .collect();
    assert!(
        live.is_empty(),
        "no exception fits a star or a sentence: {live:?}"
    );
    assert!(
        policy.contains("# risky: it hands over contents")
            && policy.contains("read the contents of secrets")
    );
    let learned = serve(&engine, &out);
    for (line, want) in [
        ("POST /exec", 403),
        ("POST /volumes/%25API_PREFIX_EXEC%25", 200),
        ("GET /volumes/x%20", 200),
        ("GET /volumes/x", 403),
        ("DELETE /volumes/x", 403),
        ("GET /volumes/x%EF%BB%BF%E2%80%AE%C2%9B", 200),
    ] {
        assert_eq!(learned.client().request(line).status, want, "{line}");
    }
    assert_eq!(
        learned
            .client()
            .request_with("POST /containers/create", hostile)
            .status,
        403
    );
}

/// A terminal that takes nothing does not keep the policy from being written.
#[test]
fn nobody_has_to_read_what_it_tells() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let out = folder.file("learned.yaml");
    let socket = folder.file("proxy.sock");
    let mut child = program_without_environment(PROGRAM)
        .args([
            "learn",
            "--log-level",
            "7",
            "--backend-addr",
            &engine.address(),
            "--out",
            &out,
        ])
        .args(["--frontend-addr", &format!("unix://{socket}")])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the program");
    // The file is there before the socket listens.
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    eventually("it listens", listens);
    let ask = |line: &str| {
        cetusguard_testkit::Client::connect(&format!("unix://{socket}"))
            .request(line)
            .status
    };
    // More than a pipe takes.
    for index in 0..1_500 {
        assert_eq!(ask(&format!("GET /none/{index}/{}", "x".repeat(90))), 200);
    }
    let interrupted = std::process::Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status();
    assert!(interrupted.expect("a shell").success());
    eventually("it ends", || child.try_wait().expect("a child").is_some());
    assert!(read(&out).contains("/none/1499"));
}

/// Lines that other requests' paths and bodies imitate.
#[test]
fn advice_is_not_a_clients_word() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST %API_PREFIX_CONTAINERS%/create").start();
    let wish =
        "/zz;%20to%20allow%20it,%20add%20the%20rule:%20POST%20%25API_PREFIX_CONTAINERS%25/kill";
    assert_eq!(proxy.client().request(&format!("GET {wish}")).status, 403);
    let body = "{\"y; to allow it, add the rule: POST .*  \
        #\":1,\"HostConfig\":{\"Privileged\":true,\"CapAdd\":[\"*\"]}}";
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/create", body)
            .status,
        403
    );
    let _ = proxy.logged(&["reason=guard"]);
    let log = folder.write("log", &proxy.log().join("\n"));
    let (_, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .arg("--log", &log)
        .run();
    let advice: Vec<_> = out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("to allow it: "))
        .collect();
    let [rule, exception] = advice[..] else {
        panic!("{out}")
    };
    assert!(
        rule.starts_with("GET %API_PREFIX%/zz;\\x20to") && exception == "guard-allow privileged",
        "{advice:?}"
    );
}

/// An empty policy is worse than none: it refuses everything.
#[test]
fn no_policy_is_written_where_other_profiles_alone_have_called() {
    let folder = TempDir::new();
    let log = folder.write(
        "log",
        "time=2026-01-01T00:00:00Z level=debug msg=request method=GET path=/v1.43/images/json \
        status=200 profile=web\ntime=2026-01-01T00:00:00Z level=debug msg=request method=GET \
        path=/v1.43/images/json status=200 profile=gone\n",
    );
    let config = folder.write(
        "config.yaml",
        "profiles:\n  web: {clients: [{container: web}]}\n  job: {clients: [{container: job}]}\n",
    );
    let learn = |profile: &str| {
        ProxyBuilder::bare(PROGRAM)
            .word("learn")
            .arg("--from", &log)
            .arg("--config", &config)
            .arg("--profile", profile)
    };
    let (code, out, errors) = learn("job").run();
    assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
    assert!(
        errors.contains(
            "no client of profile job asked for anything, so no policy is written; clients of \
            profile web did"
        ),
        "{errors}"
    );
    let kept = folder.write("kept.yaml", "rules: GET /x\n");
    let (code, _, errors) = learn("job").arg("--out", &kept).run();
    assert!(
        code == Some(1) && errors.contains("kept.yaml stays as it is"),
        "{errors}"
    );
    assert_eq!(read(&kept), "rules: GET /x\n");
    let (code, out, errors) = learn("web").run();
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.contains("GET %API_PREFIX_IMAGES%/json"), "{out}");
}

/// An exception for a profile that the policy does not have is a comment: the file is valid.
#[test]
fn an_exception_for_another_profile_is_a_comment() {
    let folder = TempDir::new();
    let log = folder.write(
        "log",
        "time=2026-01-01T00:00:00Z level=warning msg=\"request refused\" method=POST \
        path=/v1.43/containers/create status=403 reason=guard guard_allow=profile=web profile=job\n",
    );
    let config = folder.write(
        "config.yaml",
        "profiles:\n  web: {clients: [{container: web}]}\n  job: {clients: [{container: job}], \
        mode: audit}\n",
    );
    for (profiles, want) in [
        (&["job"][..], "# - profile=web"),
        (&["job", "web"], "      - profile=web"),
    ] {
        let learn = ProxyBuilder::bare(PROGRAM)
            .word("learn")
            .arg("--from", &log)
            .arg("--config", &config);
        let learn = profiles
            .iter()
            .fold(learn, |learn, profile| learn.arg("--profile", profile));
        let (code, out, errors) = learn.run();
        assert_eq!(code, Some(0), "{errors}");
        assert!(out.contains(want), "{out}");
        let policy = folder.write("learned.yaml", &out);
        let (code, out, _) = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--config", &policy)
            .run();
        assert_eq!(code, Some(0), "{out}");
    }
}

/// What clients ask for says nothing against a rule that denies: it stays.
#[test]
fn denials_stay() {
    let folder = TempDir::new();
    let log = folder.write(
        "log",
        "time=2026-01-01T00:00:00Z level=debug msg=request method=GET path=/v1.43/images/json \
        status=200 profile=default\n",
    );
    let learn = ProxyBuilder::bare(PROGRAM)
        .word("learn")
        .arg("--from", &log)
        .arg("--format", "rules");
    let (code, out, errors) = learn
        .arg("--rules", "GET /events\nDENY container.stop(db) # why")
        .run();
    assert_eq!(code, Some(0), "{errors}");
    let rules: Vec<_> = out.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        rules[0],
        "DENY container.stop(db)  # from the profile as it is"
    );
    assert!(
        rules.len() == 2 && rules[1].starts_with("GET %API_PREFIX_IMAGES%/json  # once"),
        "{out}"
    );
}

/// A log without its configuration says which profiles are missing, instead of nothing.
#[test]
fn a_log_of_unknown_profiles_says_what_to_add() {
    let folder = TempDir::new();
    let line = |profile: &str| {
        format!(
            "time=2026-11-28T08:00:00.000Z level=warning msg=\"request refused\" \
            profile={profile} method=GET path=/containers/json reason=no_rule client=10.0.0.1:5\n"
        )
    };
    let learn = |text: &str| {
        let learn = ProxyBuilder::bare(PROGRAM).word("learn");
        learn.arg("--from", &folder.write("log", text)).run()
    };
    let (code, out, errors) = learn(&(line("web") + &line("db")));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
    for part in ["the profiles db, web,", "--config FILE"] {
        assert!(errors.contains(part), "{part:?}: {errors}");
    }
    // What belongs to the default profile is learned, whose denials are none without settings.
    let unenforced = line("default").replace("profile=", "decision=would_deny profile=");
    let (code, out, errors) = learn(&(line("web") + &unenforced));
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.contains("GET %API_PREFIX_CONTAINERS%/json"), "{out}");
    assert!(errors.contains("of profile web,"), "{errors}");
    let (code, _, errors) = learn("time=2026-11-28T08:00:00.000Z level=info msg=listening\n");
    assert_eq!(code, Some(1), "{errors}");
    for part in ["has no line about a request", "log-level 7"] {
        assert!(errors.contains(part), "{part:?}: {errors}");
    }
}
