//! Objects are looked up once, named to the engine by their identifiers, and never guessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

/// An engine with the container `web`, and how often it was asked about containers.
fn engine() -> (Engine, Arc<AtomicUsize>) {
    let (engine, asked, _) = holding_engine();
    (engine, asked)
}

/// The same, and whether its answers about containers are held back.
fn holding_engine() -> (Engine, Arc<AtomicUsize>, Arc<AtomicBool>) {
    let (asked, held) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (counter, holds) = (Arc::clone(&asked), Arc::clone(&held));
    let engine = Engine::scripted(move |exchange, link| {
        let inspects =
            exchange.line.starts_with("GET /containers/") && exchange.line.ends_with("/json");
        if inspects {
            counter.fetch_add(1, SeqCst);
        }
        match exchange.line.as_str() {
            "GET /containers/gone/json" => {
                link.answer(404, "{\"message\":\"No such container: gone\"}")
            }
            "GET /containers/silent/json" => {
                link.drain();
            }
            "GET /containers/odd/json" => link.answer(200, "{\"Id\":1,\"Id\":2}"),
            "GET /containers/nameless/json" => link.answer(200, "{}"),
            "GET /containers/broken/json" => link.answer(500, "{}"),
            _ if inspects => {
                eventually("answers are let go", || !holds.load(SeqCst));
                link.answer(200, &format!("{{\"Id\":\"{ID}\",\"Name\":\"/web\"}}"));
            }
            line if line.starts_with("GET /events") => assert!(link.tell(exchange)),
            _ => link.answer(201, "{\"Id\":\"x\"}"),
        }
    });
    (engine, asked, held)
}

fn proxy(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, "GET,POST .*").start()
}

fn exec(proxy: &Proxy, word: &str) -> (u16, String) {
    let answer = proxy.client().request_with(
        &format!("POST /v1.43/containers/{word}/exec"),
        "{\"Cmd\":[\"ls\"]}",
    );
    (answer.status, answer.body)
}

#[test]
fn the_engine_gets_the_identifier() {
    let (engine, _) = engine();
    let proxy = proxy(&engine);
    for word in ["web", "4f1e", ID] {
        assert_eq!(exec(&proxy, word).0, 201);
    }
    let received = engine.received().concat();
    assert_eq!(
        received
            .matches(&format!("POST /v1.43/containers/{ID}/exec HTTP/1.1"))
            .count(),
        3,
        "{received}"
    );
    assert!(
        !received.contains("POST /v1.43/containers/web/"),
        "{received}"
    );
}

#[test]
fn an_answer_is_shared_and_kept() {
    let (engine, asked, held) = holding_engine();
    let proxy = proxy(&engine);
    // The first one has the engine's events followed.
    assert_eq!(exec(&proxy, "web").0, 201);
    eventually("the engine's events are followed", || {
        engine.received().concat().contains("GET /events")
    });
    let open = proxy.descriptors();
    held.store(true, SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(exec(&proxy, ID).0, 201));
        }
        // The first answer comes when the others have come as well.
        eventually("all of them are connected", || {
            proxy.descriptors() >= open + 50
        });
        held.store(false, SeqCst);
    });
    let before = asked.load(SeqCst);
    assert!(before <= 3, "{before} questions for 51 calls");
    for _ in 0..10 {
        assert_eq!(exec(&proxy, ID).0, 201);
    }
    assert_eq!(
        asked.load(SeqCst),
        before,
        "a fresh answer costs no question"
    );
}

#[test]
fn calls_that_need_no_object_ask_nothing() {
    let (engine, asked) = engine();
    let proxy = proxy(&engine);
    for request in [
        "GET /v1.43/images/json",
        "POST /v1.43/containers/web/stop",
        "GET /v1.43/containers/json?all=1",
    ] {
        assert!(proxy.client().request(request).status < 300, "{request}");
    }
    assert!(
        !engine
            .received()
            .concat()
            .contains("User-Agent: cetusguard")
    );
    assert_eq!(asked.load(SeqCst), 0);
}

#[test]
fn what_is_not_known_is_not_forwarded() {
    let (engine, _) = engine();
    let proxy = proxy(&engine);
    // The engine's own answer, word by word; a container that gets this name a moment later was not
    // judged.
    assert_eq!(
        exec(&proxy, "gone"),
        (404, "{\"message\":\"No such container: gone\"}".to_owned())
    );
    for (word, status, want) in [
        ("odd", 502, "cannot be read"),
        ("broken", 502, "the engine answered 500"),
        (
            "silent",
            502,
            "did not answer to /containers/silent/json in time",
        ),
        ("nameless", 403, "does not tell the identifier"),
    ] {
        let (got, body) = exec(&proxy, word);
        assert_eq!(got, status, "{word}: {body}");
        assert!(body.contains(want), "{body}");
    }
    assert!(
        !engine.received().concat().contains("POST /"),
        "{:?}",
        engine.received()
    );
    let _ = proxy.logged(&["reason=engine_lookup_failed", "status=502"]);
    let _ = proxy.logged(&["reason=no_such_object", "status=404"]);
}

#[test]
fn the_own_container_can_be_named() {
    let (engine, _) = engine();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET,POST .*")
        .arg("--proxy-container", "web")
        .start();
    for word in ["web", "4f1e", ID] {
        let (status, body) = exec(&proxy, word);
        assert_eq!(status, 403, "{body}");
        assert!(
            body.contains("is the proxy's own container; allow it with guard-allow proxy"),
            "{body}"
        );
    }
    assert_eq!(
        proxy.client().request("POST /containers/web/stop").status,
        403
    );
    assert_eq!(
        proxy.client().request("POST /containers/gone/stop").status,
        404
    );
}

/// A profile in audit mode refuses nothing, and its log tells what would be refused: a rule by name
/// allows the identifier.
#[test]
fn an_audit_is_about_objects_too() {
    let (engine, _) = engine();
    let rules = "POST %API_PREFIX_CONTAINERS%/(web|silent)/(restart|exec)";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules)
        .arg("--mode", "audit")
        .start();
    assert_eq!(
        proxy
            .client()
            .request("POST /containers/4f1e/restart")
            .status,
        201
    );
    let line = proxy.logged(&["/restart status=201", "rule=\"--rules:1"]);
    assert!(!line.contains("no_rule"), "{line}");
    assert!(
        engine
            .received()
            .concat()
            .contains(&format!("POST /containers/{ID}/restart"))
    );
    // A rule names another container, or the engine does not describe the one that it names: both
    // are forwarded.
    assert_eq!(
        proxy.client().request("POST /containers/4f1e/stop").status,
        201
    );
    let _ = proxy.logged(&["path=/containers/4f1e/stop", "no_rule"]);
    assert_eq!(exec(&proxy, "silent").0, 201);
    let _ = proxy.logged(&["path=/v1.43/containers/silent/exec", "engine_lookup_failed"]);
}
