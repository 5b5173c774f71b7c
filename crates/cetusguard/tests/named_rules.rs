//! Rules by name and denials, as a client meets them: whatever it calls an endpoint or a container.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const WEB: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";
const DB: &str = "a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c3e5b1d02a97c";

/// An engine with the containers `web` and `db`, and how often it was asked about containers.
fn engine() -> (Engine, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let engine = Engine::scripted(move |exchange, link| {
        let word = exchange
            .line
            .strip_prefix("GET /containers/")
            .and_then(|rest| rest.strip_suffix("/json"));
        match (exchange.line.as_str(), word) {
            ("GET /exec/e1/json", _) => {
                link.answer(200, &format!("{{\"ID\":\"e1\",\"ContainerID\":\"{DB}\"}}"))
            }
            (_, Some("broken")) => link.answer(500, "{}"),
            (_, Some("nameless")) => link.answer(200, "{\"Name\":\"/nameless\"}"),
            (_, Some(word)) => {
                counter.fetch_add(1, SeqCst);
                let found = [("web", WEB), ("db", DB)]
                    .into_iter()
                    .find(|(name, id)| word == *name || id.starts_with(word));
                match found {
                    Some((name, id)) => {
                        link.answer(200, &format!("{{\"Id\":\"{id}\",\"Name\":\"/{name}\"}}"))
                    }
                    None => link.answer(404, "{\"message\":\"No such container\"}"),
                }
            }
            (line, None) if line.starts_with("GET /events") => assert!(link.tell(exchange)),
            _ => link.answer(204, ""),
        }
    });
    (engine, asked)
}

#[test]
fn names_open_what_they_name() {
    let (engine, asked) = engine();
    let proxy = ProxyBuilder::new(
        PROGRAM,
        &engine,
        "ALLOW container.list, container.stop # why\nALLOW container.kill(web)",
    )
    .start();
    for (request, want) in [
        ("GET /v1.43/containers/json?all=1", 204),
        ("HEAD /containers/json", 204),
        ("POST /v1.43/containers/anything/stop", 204),
        ("POST /v1.43/containers/anything/start", 403),
        ("POST /v5.0.0/libpod/containers/anything/stop", 403),
        ("GET /containers/web/logs", 403),
    ] {
        assert_eq!(proxy.client().request(request).status, want, "{request}");
    }
    assert_eq!(
        asked.load(SeqCst),
        0,
        "no rule about an object, no question"
    );
    for (word, want) in [
        ("web", 204),
        (&WEB[..6], 204),
        (WEB, 204),
        ("db", 403),
        (DB, 403),
        ("gone", 403),
    ] {
        assert_eq!(
            proxy
                .client()
                .request(&format!("POST /containers/{word}/kill"))
                .status,
            want,
            "{word}"
        );
    }
    let sent = engine.received().concat();
    assert_eq!(
        sent.matches(&format!("POST /containers/{WEB}/kill"))
            .count(),
        3,
        "the identifier is sent: {sent}"
    );
    assert!(!sent.contains(&format!("POST /containers/{DB}")), "{sent}");
}

/// The clients of one host call a container by anything that the engine takes.
#[test]
fn a_denial_holds_whatever_the_client_calls_it() {
    let (engine, _) = engine();
    for denial in [
        "DENY container.stop(db)",
        "DENY POST %API_PREFIX%(/libpod)?/containers/db/stop",
    ] {
        let proxy =
            ProxyBuilder::new(PROGRAM, &engine, &format!("GET,POST,DELETE .*\n{denial}")).start();
        for word in ["db", DB, &DB[..12], "a97", "%64%62", "/db", "web/../db"] {
            for path in [
                "/containers",
                "/v1.43/containers",
                "/v5.0.0/libpod/containers",
            ] {
                let answer = proxy.client().request(&format!("POST {path}/{word}/stop"));
                assert_eq!(
                    answer.status, 403,
                    "{denial}: {path}/{word}: {}",
                    answer.body
                );
                assert!(
                    answer.body.contains(&format!(
                        "the rule `{denial}` of profile default denies POST"
                    )),
                    "{}",
                    answer.body
                );
            }
        }
        assert!(
            proxy
                .logged(&["msg=\"request refused\"", "reason=deny_rule"])
                .contains("/stop")
        );
        for (request, want) in [
            ("POST /containers/web/stop", 204),
            (&*format!("POST /containers/{WEB}/stop"), 204),
            ("POST /containers/db/restart", 204),
            ("POST /containers/gone/stop", 404),
            // What the engine does not tell is not let through.
            ("POST /containers/broken/stop", 502),
            ("POST /containers/nameless/stop", 403),
        ] {
            assert_eq!(
                proxy.client().request(request).status,
                want,
                "{denial}: {request}"
            );
        }
    }
    let sent = engine.received().concat();
    assert!(
        sent.contains(&format!("POST /containers/{WEB}/stop")),
        "{sent}"
    );
    for word in [
        "db/stop",
        "broken/stop",
        "nameless/stop",
        &format!("{DB}/stop"),
    ] {
        assert!(!sent.contains(&format!("/{word} ")), "{word}: {sent}");
    }
}

#[test]
fn a_denial_finds_the_container_of_a_command() {
    let (engine, _) = engine();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET,POST .*\nDENY exec.*(db)")
        .arg("--guard", "privileged")
        .start();
    assert_eq!(
        proxy
            .client()
            .request_with("POST /exec/e1/start", "{}")
            .status,
        403
    );
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/a97c/exec", "{}")
            .status,
        403
    );
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/web/exec", "{}")
            .status,
        204
    );
}

/// A denial in one source wins over built-in rules, presets and files.
#[test]
fn a_denial_wins_over_every_source() {
    let (engine, _) = engine();
    let folder = TempDir::new();
    let file = folder.write(
        "more.rules",
        "POST %API_PREFIX_CONTAINERS%/[^/]+/stop\nDENY system.info",
    );
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "DENY container.stop, container.list")
        .arg("--presets", "homepage")
        .arg("--rules-file", &file)
        .start();
    for (request, want) in [
        ("GET /v1.43/info", 403),
        ("GET /version", 204),
        ("GET /containers/json", 403),
        ("GET /containers/web/stats", 204),
        ("POST /containers/web/stop", 403),
    ] {
        assert_eq!(proxy.client().request(request).status, want, "{request}");
    }
}

#[test]
fn an_audit_forwards_what_is_denied() {
    let (engine, _) = engine();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST .*\nDENY container.stop(db)")
        .arg("--mode", "audit")
        .start();
    for word in ["a97c", "broken"] {
        assert_eq!(
            proxy
                .client()
                .request(&format!("POST /containers/{word}/stop"))
                .status,
            204,
            "{word}"
        );
    }
    let _ = proxy.logged(&[
        "path=/containers/a97c/stop",
        "decision=would_deny reason=deny_rule",
    ]);
    let _ = proxy.logged(&["path=/containers/broken/stop", "decision=would_deny"]);
}

#[test]
fn head_follows_get_unless_it_should_not() {
    let (engine, _) = engine();
    let rules = "GET %API_PREFIX_CONTAINERS%/json\nGET %API_PREFIX_CONTAINERS%/[^/]+/archive";
    let folder = TempDir::new();
    let config = folder.write(
        "c.yaml",
        &format!(
            "head-follows-get: false\nrules: |\n  {}",
            rules.replace('\n', "\n  ")
        ),
    );
    let follows = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    let exact = ProxyBuilder::new(PROGRAM, &engine, rules)
        .word("--head-follows-get=false")
        .start();
    let by_env = ProxyBuilder::new(PROGRAM, &engine, rules)
        .env("CETUSGUARD_HEAD_FOLLOWS_GET", "no")
        .start();
    let by_file = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &config)
        .arg("--backend-addr", &engine.address())
        .frontend("tcp://127.0.0.1:0")
        .start();
    for request in ["HEAD /v1.43/containers/json", "HEAD /version"] {
        assert_eq!(follows.client().request(request).status, 204, "{request}");
        for proxy in [&exact, &by_env, &by_file] {
            assert_eq!(proxy.client().request(request).status, 403, "{request}");
            assert_eq!(proxy.client().request("HEAD /_ping").status, 204);
        }
    }
    for request in ["HEAD /containers/web/logs", "HEAD /containers/create"] {
        assert_eq!(follows.client().request(request).status, 403, "{request}");
    }
}

/// What `explain` says of names and denials.
#[test]
fn explain_reads_names_and_denials() {
    let explain = |rules: &str, call: &str| {
        let (method, path) = call.split_once(' ').expect("METHOD PATH");
        let explain = ProxyBuilder::bare(PROGRAM)
            .word("explain")
            .word(method)
            .word(path)
            .arg("--rules", rules);
        let (code, out, errors) = explain.run();
        (
            code,
            (out + &errors)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    for (rules, call, code, want) in [
        (
            "ALLOW container.list",
            "GET /containers/json",
            0,
            "--rules:1 allows it ALLOW container.list",
        ),
        (
            "ALLOW container.logs(web)",
            "GET /containers/db/logs",
            1,
            "^^^^^^^^^^^^^^^^^^^ the path goes on with db/logs",
        ),
        (
            "POST .*\nDENY container.stop",
            "POST /containers/web/stop",
            1,
            "--rules:2 denies it, whatever other rules say DENY container.stop",
        ),
        (
            "POST .*\nDENY container.stop",
            "POST /containers/web/stop",
            1,
            "REFUSED: the rule `DENY container.stop` of profile default denies POST",
        ),
        (
            "POST .*\nDENY container.stop(db)",
            "POST /containers/web/stop",
            0,
            "--rules:2 denies it if the engine calls its object so",
        ),
        (
            "POST .*\nDENY container.stop(db)",
            "POST /containers/web/stop",
            0,
            "unless rules say otherwise of what the engine calls the container web",
        ),
        (
            "",
            "GET /containers/web/logs",
            1,
            "to allow it: GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/logs ALLOW \
            container.logs",
        ),
        (
            "",
            "GET /containers/web/logs",
            1,
            "endpoint container.logs, GET /containers/{container*}/logs: read and follow logs",
        ),
    ] {
        let (got, out) = explain(rules, call);
        assert_eq!(got, Some(code), "{rules}: {out}");
        assert!(out.contains(want), "{rules}: {want} in {out}");
    }
}
