//! `cetusguard test` decides as `serve` does, and says why an expectation does not hold.

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const EXAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/tiers/tests.yaml"
);
const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

/// Runs the tests of a file with these options.
fn test(text: &str, options: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = TempDir::new();
    folder.write(
        "policy.yaml",
        "rules: |\n  GET %API_PREFIX_CONTAINERS%/json\n",
    );
    let file = folder.write("tests.yaml", text);
    let test = ProxyBuilder::bare(PROGRAM).word("test").word(&file);
    let test = options
        .iter()
        .fold(test, |test, (name, value)| test.arg(name, value));
    let (code, out, errors) = test.run();
    let place = format!("{}/", folder.path().display());
    (code, (out + &errors).replace(&place, ""))
}

#[test]
fn the_example_holds() {
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM).word("test").word(EXAMPLE).run();
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(out.ends_with(", all as expected.\n"), "{out}");
}

#[test]
fn a_failure_is_one_line_with_its_cause_and_the_next_step() {
    let rules = "GET %API_PREFIX_CONTAINERS%/json\nDENY container.logs\nPOST \
        %API_PREFIX_CONTAINERS%/create\nPOST %API_PREFIX_CONTAINERS%/%CONTAINER_NAME%/exec";
    let line = |list: &str| format!("tests:\n- {list}\n");
    for (tests, want) in [
        (
            "refused: [GET /containers/json]",
            "tests.yaml:2:13: GET /containers/json (profile default): expected refused, but \
            allowed: --rules:1: GET %API_PREFIX_CONTAINERS%/json; to refuse it, narrow the rule \
            `GET %API_PREFIX_CONTAINERS%/json`, or add the rule: DENY container.list",
        ),
        (
            "allowed: [GET /containers/web/json]",
            "expected allowed, but refused (no_rule): no rule of profile default allows GET \
            /containers/web/json; to allow it, add the rule",
        ),
        (
            "refused: [{call: GET /containers/web/logs, reason: no_rule}]",
            "expected refused (no_rule), but refused (deny_rule): --rules:2: the rule `DENY \
            container.logs`",
        ),
        (
            "refused: [{call: GET /containers/web/logs, rule: 'DENY container.list'}]",
            "another rule refuses it",
        ),
        (
            "allowed: [{call: GET /_ping, rule: 'GET /x'}]",
            "expected allowed by GET /x, but allowed: built-in:",
        ),
        (
            "refused: [{call: POST /containers/create, body: {HostConfig: {Privileged: true}}, \
            field: HostConfig.PidMode}]",
            "the guard has no objection to HostConfig.PidMode",
        ),
        (
            "allowed: [{call: POST /containers/create, body: {HostConfig: {Privileged: true}}}]",
            "allow it with guard-allow privileged",
        ),
        (
            "allowed: [{call: POST /containers/web/exec, body: {Cmd: [ls]}}]",
            "expected allowed, but the engine would decide: it depends on the container web, which \
            the file does not declare; add it to objects: - container: web",
        ),
        (
            "profile: default\n  client: {address: 10.0.0.1}\n  refused: [{call: GET \
            /containers/%00/json, reason: no_rule}]",
            "expected refused (no_rule), but refused (malformed_target)",
        ),
    ] {
        let (code, out) = test(&line(tests), &[("--rules", rules)]);
        assert_eq!(code, Some(1), "{tests}: {out}");
        assert!(out.contains(want), "{tests}: {out}");
        assert_eq!(out.lines().count(), 2, "{tests}: {out}");
        assert!(
            out.ends_with("1 expectation, 1 not as expected.\n"),
            "{out}"
        );
    }
}

#[test]
fn a_mistake_has_its_place_and_a_suggestion() {
    for (text, want) in [
        ("tets: []\n", "tests.yaml:1:1"),
        ("tets: []\n", "did you mean tests?"),
        ("tests: []\n", "the file tests nothing"),
        (
            "tests:\n- client: {adress: 1.2.3.4}\n  allowed: [GET /x]\n",
            "did you mean address?",
        ),
        (
            "tests:\n- client: {address: x}\n  allowed: [GET /x]\n",
            "address is \"x\"",
        ),
        (
            "tests:\n- allowed: [containers]\n",
            "\"containers\" is no call",
        ),
        (
            "tests:\n- profile: defalt\n  allowed: [GET /x]\n",
            "did you mean default?",
        ),
        (
            "tests:\n- refused: [{call: GET /x, reason: no_rul}]\n",
            "did you mean no_rule?",
        ),
        (
            "tests:\n- refused: [{call: GET /x, reason: engine_timeout}]\n",
            "expected one of: no_rule",
        ),
        (
            "tests:\n- allowed: [{call: GET /x, reason: guard}]\n",
            "is about a refusal",
        ),
        (
            "tests:\n- refused: [{call: GET /x, body: a, body-file: b}]\n",
            "a second body",
        ),
        (
            "tests:\n- refused: [{call: GET /x, body-file: none.json}]\n",
            "there is no such file",
        ),
        ("tests:\n- refused: []\n", "this entry tests nothing"),
        (
            "objects:\n- {exec: e, container: wep}\n- container: web\ntests:\n- allowed: [GET /x]\n",
            "did you mean web?",
        ),
        (
            "objects:\n- {exec: e}\ntests:\n- allowed: [GET /x]\n",
            "has no container",
        ),
        (
            "objects:\n- {id: e}\ntests:\n- allowed: [GET /x]\n",
            "needs one kind and name",
        ),
        (
            "proxy: own\ntests:\n- allowed: [GET /x]\n",
            "the container own is not declared",
        ),
        (
            "config: none.yaml\ntests:\n- allowed: [GET /x]\n",
            "none.yaml cannot be read",
        ),
    ] {
        let (code, out) = test(text, &[]);
        assert_eq!(code, Some(2), "{text}: {out}");
        assert!(out.contains(want), "{text}: {out}");
    }
}

#[test]
fn the_file_names_the_configuration_unless_a_flag_does() {
    let text = "config: policy.yaml\ntests:\n- allowed: [GET /containers/json]\n";
    assert_eq!(test(text, &[]).0, Some(0));
    let folder = TempDir::new();
    let other = folder.write("other.yaml", "rules: GET /info\n");
    let (code, out) = test(text, &[("--config", &other)]);
    assert_eq!(code, Some(1), "{out}");
}

#[test]
fn a_star_stands_for_every_object_that_is_not_declared() {
    let text = "objects:\n- container: '*'\n- {container: db, labels: {team: red}}\ntests:\n\
        - allowed: [POST /containers/web-1/stop, POST /containers/web-2/kill]\n\
        \x20 refused:\n  - {call: [POST /containers/db/stop, POST /containers/a/stop], reason: guard}\n";
    let options = [
        ("--rules", "ALLOW container.stop, container.kill"),
        ("--targets", "name=web-*"),
    ];
    let (code, out) = test(text, &options);
    assert_eq!(code, Some(0), "{out}");
    let options = [
        ("--rules", "ALLOW container.stop(web-*), container.kill"),
        ("--targets", "name=web-*"),
    ];
    let text = text.replace("guard", "no_rule");
    let (code, out) = test(&text, &options);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn a_profile_in_audit_mode_refuses_nothing() {
    let text = "tests:\n- refused: [{call: DELETE /containers/web, reason: no_rule}]\n";
    let (code, out) = test(text, &[("--mode", "audit")]);
    assert!(code == Some(1) && out.contains("is in audit mode"), "{out}");
    let folder = TempDir::new();
    let file = folder.write("tests.yaml", text);
    let test = ProxyBuilder::bare(PROGRAM).word("test").word(&file);
    let (code, out, errors) = test.word("--as-enforced").arg("--mode", "audit").run();
    assert_eq!(code, Some(0), "{out}{errors}");
}

/// An engine with the container `web`, of the team `blue`, and the command `e1` in it.
fn engine() -> Engine {
    Engine::scripted(|exchange, link| {
        let mut words = exchange.line.split(' ');
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let word = path.strip_prefix("/containers/").unwrap_or_default();
        let word = word.strip_suffix("/json").unwrap_or_default();
        let web = format!(
            "{{\"Id\":\"{ID}\",\"Name\":\"/web\",\"Config\":{{\"Labels\":{{\"team\":\"blue\"}}}},\
            \"HostConfig\":{{}}}}"
        );
        match (method, path) {
            _ if matches!(word, "web" | ID) || word == &ID[..4] => link.answer(200, &web),
            (Some("GET"), "/exec/e1/json") => {
                link.answer(200, &format!("{{\"ID\":\"e1\",\"ContainerID\":\"{ID}\"}}"));
            }
            (Some("GET"), path) if path.ends_with("/json") || path.starts_with("/volumes/") => {
                link.answer(404, "{\"message\":\"No such object\"}");
            }
            (Some("GET"), "/events") => {
                link.drain();
            }
            _ => link.answer(200, "{}"),
        }
    })
}

const WORLD: &str = "objects:\n- container: web\n  id: 4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b\
    9d7a4f1e6c2b9d7a4f1e\n  labels: {team: blue}\n- {exec: e1, container: web}\n- {container: gone, \
    missing: true}\n- {volume: '*', missing: true}\n";

/// Options with their values, or calls with their bodies.
type Pairs = &'static [(&'static str, &'static str)];

/// Each policy, with calls.
const POLICIES: &[(Pairs, Pairs)] = &[
    (
        &[(
            "--rules",
            "ALLOW container.stop(web), container.list\nDENY container.kill(web)\nPOST \
            %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/kill",
        )],
        &[
            ("GET /v1.43/containers/json", ""),
            ("POST /containers/web/stop", ""),
            ("POST /containers/4f1e/stop", ""),
            ("POST /containers/gone/stop", ""),
            ("POST /containers/4f1e/kill", ""),
            ("POST /containers/web/kill", ""),
            ("POST /containers/gone/kill", ""),
            ("DELETE /containers/web", ""),
        ],
    ),
    (
        &[
            ("--rules", "GET,POST,DELETE .*"),
            ("--targets", "label=team=blue"),
        ],
        &[
            ("POST /containers/web/stop", ""),
            ("POST /containers/prune", ""),
            (
                "POST /containers/web/exec",
                "{\"Cmd\":[\"ls\"],\"Privileged\":true}",
            ),
            ("POST /containers/web/exec", "{\"Cmd\":[\"ls\"]}"),
            (
                "POST /containers/create",
                "{\"HostConfig\":{\"Binds\":[\"/etc:/etc\"]}}",
            ),
            (
                "POST /containers/create",
                "{\"HostConfig\":1,\"HostConfig\":2}",
            ),
            ("GET /containers/web/archive?path=/", ""),
        ],
    ),
    (
        &[
            ("--rules", "GET,POST,DELETE .*"),
            ("--targets", "label=team=red"),
        ],
        &[
            ("POST /containers/web/stop", ""),
            ("POST /exec/e1/start", "{}"),
        ],
    ),
    (
        &[
            ("--rules", "GET,POST,DELETE .*"),
            ("--visible", "label=team=red"),
        ],
        &[
            ("POST /containers/web/stop", ""),
            ("POST /exec/e1/start", "{}"),
            ("POST /containers/gone/stop", ""),
            ("GET /containers/web/json", ""),
        ],
    ),
    (
        &[
            ("--rules", "GET,POST,DELETE .*"),
            ("--visible", "label=team=blue"),
            ("--user-agents", "x*"),
        ],
        &[("POST /containers/web/stop", ""), ("GET /_ping", "")],
    ),
];

/// Returns the decision of a running proxy about each call: `allowed`, or the reason of the refusal.
fn served(options: &[(&str, &str)], calls: &[(&str, &str)]) -> Vec<String> {
    let engine = engine();
    let builder = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--log-level", "7")
        .arg("--workers", "1");
    let builder = options
        .iter()
        .fold(builder, |builder, (name, value)| builder.arg(name, value));
    let proxy = builder.frontend("tcp://127.0.0.1:0").start();
    let mut found = Vec::new();
    for (line, body) in calls {
        let answer = match *body {
            "" => proxy.client().request(line),
            body => proxy.client().request_with(line, body),
        };
        let id = answer.header("x-request-id").unwrap_or_default().to_owned();
        found.push(match id.is_empty() {
            true => "allowed".to_owned(),
            false => {
                let record = proxy.logged(&[&format!("request_id={id}"), "method="]);
                match record.split_once("reason=") {
                    Some((_, reason)) => reason.split(' ').next().unwrap_or_default().to_owned(),
                    None => "allowed".to_owned(),
                }
            }
        });
    }
    found
}

#[test]
fn it_decides_as_a_running_proxy_does() {
    for (options, calls) in POLICIES {
        let actual = served(options, calls);
        for ((call, body), actual) in calls.iter().zip(actual) {
            let body = match *body {
                "" => String::new(),
                body => format!(", body: '{body}'"),
            };
            let (list, reason) = match actual.as_str() {
                "allowed" => ("allowed", String::new()),
                reason => ("refused", format!(", reason: {reason}")),
            };
            let text = format!("{WORLD}tests:\n- {list}:\n  - {{call: '{call}'{body}{reason}}}\n");
            let (code, out) = test(&text, options);
            assert_eq!(code, Some(0), "{options:?} {call}: {actual}: {out}");
        }
    }
}
