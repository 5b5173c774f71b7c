//! Requests that a web page in a browser can have sent.

use cetusguard_testkit::{Engine, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

#[test]
fn requests_of_web_pages_are_refused() {
    let engine = Engine::ok();
    let open = ProxyBuilder::new(PROGRAM, &engine, "GET,POST .*")
        .arg("--origins", "https://portal.example")
        .start();
    let ask = |headers: &str| {
        let mut client = open.client();
        client.send(format!("GET /info HTTP/1.1\r\n{headers}\r\n"));
        client.read_response()
    };
    for headers in [
        "Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n",
        "Host: 127.0.0.1\r\nOrigin: null\r\n",
        "Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:2\r\n",
        "Host: 127.0.0.1\r\nOrigin: https://portal.example\r\nOrigin: http://evil.example\r\n",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: same-site\r\n",
        "Host: evil.example\r\n",
        "Host: evil.example:2375\r\nUser-Agent: Mozilla/5.0\r\n",
        "Host: evil.example:2375\r\nUser-Agent: docker\r\nAccept-Language: de\r\n",
        "Host: evil.example:2375\r\nOrigin: http://evil.example:2375\r\nSec-Fetch-Site: \
        same-origin\r\n",
    ] {
        let answer = ask(headers);
        assert_eq!(answer.status, 403, "{headers}");
        assert!(
            answer.body.contains("requests of web pages are refused"),
            "{}",
            answer.body
        );
    }
    assert!(engine.received().is_empty(), "nothing was forwarded");
    for headers in [
        "Host: docker\r\n",
        "Host: 127.0.0.1:2375\r\n",
        "Host: localhost\r\nOrigin: http://localhost\r\n",
        "Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\n",
        "Host: 127.0.0.1\r\nOrigin: https://portal.example\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(ask(headers).status, 200, "{headers}");
    }
    let line = open.logged(&["reason=browser_origin"]);
    assert!(line.contains("level=warning"), "{line}");
}

/// What a page can send without asking first has no content type, or that of a form.
#[test]
fn a_body_without_a_type_is_refused() {
    let engine = Engine::ok();
    let open = ProxyBuilder::new(PROGRAM, &engine, "POST .*").start();
    let send = |path: &str, kind: &str| {
        let mut client = open.client();
        client.send(format!(
            "POST {path} HTTP/1.1\r\n{kind}Content-Length: 13\r\n\r\n{{\"Image\":\"x\"}}"
        ));
        client.read_response().status
    };
    assert_eq!(send("/containers/create", ""), 400);
    assert_eq!(
        send("/containers/create", "Content-Type: text/plain\r\n"),
        400
    );
    assert_eq!(
        send(
            "/containers/prune",
            "Content-Type: application/x-www-form-urlencoded\r\n"
        ),
        400
    );
    assert!(engine.received().is_empty(), "nothing was forwarded");
    assert_eq!(
        send("/containers/create", "Content-Type: application/json\r\n"),
        200
    );
}
