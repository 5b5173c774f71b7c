//! Exchanges that break half-way: the log and the client are told what is known, and nothing more.

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(containers|images)/.*\nGET %API_PREFIX_EVENTS%";
const UPLOAD: &str = "POST /images/load HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
const ACTED: &str =
    "the engine had received the beginning of this request, and may have acted on it";

fn start(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, RULES).start()
}

/// A proxy that soon gives up on an engine and on a client: for a test in which nothing else comes.
fn start_hasty(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, RULES)
        .arg("--answer-timeout", "300ms")
        .start()
}

/// The engine may act on a request before it has the end of it.
#[test]
fn a_request_that_breaks_behind_its_head_is_no_refused_one() {
    let engine = Engine::start(|_, link| _ = link.drain());
    let proxy = start(&engine);
    let mut client = proxy.client();
    client.send(format!("{UPLOAD}5\r\nhello\r\n"));
    eventually("the engine has it", || {
        engine.received().concat().contains("hello")
    });
    client.send("nonsense\r\n");
    let answer = client.read_response();
    assert!(
        answer.status == 400 && answer.body.contains(ACTED),
        "{answer:?}"
    );
    let _ = proxy.logged(&[
        "msg=\"request cut\"",
        "status=400",
        "reason=malformed_body",
        "outcome=unknown",
    ]);

    let hasty = start_hasty(&engine);
    let mut client = hasty.client();
    client.send("POST /containers/c/unpause HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe");
    let answer = client.read_response();
    assert!(
        answer.status == 408 && answer.body.contains(ACTED),
        "{answer:?}"
    );
    let _ = hasty.logged(&[
        "msg=\"request cut\"",
        "status=408",
        "reason=body_timeout",
        "outcome=unknown",
    ]);
    for proxy in [&proxy, &hasty] {
        assert!(
            !proxy
                .log()
                .iter()
                .any(|line| line.contains("request refused")),
            "{:?}",
            proxy.log()
        );
    }

    // What came before the head went out was really refused.
    let before = engine.received().concat();
    let mut client = proxy.client();
    client.send(format!("{UPLOAD}nonsense\r\n"));
    let answer = client.read_response();
    assert!(
        answer.status == 400 && !answer.body.contains("acted"),
        "{answer:?}"
    );
    let line = proxy.logged(&["msg=\"request refused\"", "reason=malformed_body"]);
    assert!(
        !line.contains("outcome") && engine.received().concat() == before,
        "{line}"
    );
}

/// Every other end without an answer is as uncertain, unless the request could change nothing.
#[test]
fn an_end_without_an_answer_is_uncertain() {
    let engine = Engine::start(|exchange, link| match exchange.line.as_str() {
        line if line.contains("silent") => _ = link.drain(),
        line if line.contains("garbage") => _ = link.write("nonsense\r\n\r\n"),
        _ => link.close(),
    });
    let (mut proxy, hasty) = (start(&engine), start_hasty(&engine));
    for (name, code) in [
        ("silent", "engine_timeout"),
        ("garbage", "engine_protocol_error"),
        ("closing", "engine_closed"),
    ] {
        let proxy = if name == "silent" { &hasty } else { &proxy };
        let mut client = proxy.client();
        let changed = client.request(&format!("POST /containers/{name}/unpause"));
        let looked = client.request(&format!("GET /containers/{name}/json"));
        assert_eq!(
            [changed.body.contains(ACTED), looked.body.contains(ACTED)],
            [true, false],
            "{changed:?} {looked:?}"
        );
        let reason = format!("reason={code}");
        let _ = proxy.logged(&[
            "msg=\"request failed\"",
            "method=POST",
            &reason,
            "outcome=unknown",
        ]);
        assert!(
            !proxy
                .logged(&["msg=\"request failed\"", "method=GET", &reason])
                .contains("outcome")
        );
    }
    let mut client = proxy.client();
    client.send("POST /containers/silent/stop HTTP/1.1\r\n\r\n");
    eventually("the engine has it", || {
        engine.received().concat().contains("silent/stop")
    });
    proxy.signal("TERM");
    let _ = proxy.logged(&["stopping"]);
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    let _ = proxy.logged(&[
        "path=/containers/silent/stop",
        "reason=shutting_down",
        "outcome=unknown",
    ]);
}

/// The health check shows that the engine hangs, and so does the log: a check that gave up first
/// would look like a client that has left.
#[test]
fn an_engine_that_hangs_fails_the_health_check() {
    let engine = Engine::start(|_, link| _ = link.drain());
    let proxy = start(&engine);
    let check = ProxyBuilder::bare(PROGRAM)
        .word("healthcheck")
        .word(proxy.address());
    let (code, _, why) = check.run();
    assert!(
        code == Some(1) && why.contains("504") && why.contains("did not answer in time"),
        "{why}"
    );
    let _ = proxy.logged(&["path=/_ping", "status=504", "reason=engine_timeout"]);
}
