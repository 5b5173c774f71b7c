//! What was judged is what is sent, and what the engine answers is what the client gets.

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const ALL: &str = "GET,HEAD,POST,PUT,DELETE,OPTIONS,PATCH .*";

fn proxy(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, ALL).start()
}

/// The request line and headers that the engine gets for a request.
fn forwarded(request: &str) -> String {
    let engine = Engine::ok();
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send(request);
    assert_eq!(client.read_response().status, 200, "{request}");
    engine.received().concat()
}

#[test]
fn the_engine_gets_the_judged_path() {
    for (target, want) in [
        (
            "/v1.43/containers/json?all=1",
            "/v1.43/containers/json?all=1",
        ),
        ("//containers/./x/../json", "/containers/json"),
        ("/%63ontainers/json", "/containers/json"),
        (
            "/images/ghcr.io%2Fa%2Fb%3Atag/json",
            "/images/ghcr.io/a/b:tag/json",
        ),
        ("/volumes/a%20b%25", "/volumes/a%20b%25"),
        ("/containers/json?", "/containers/json?"),
    ] {
        let received = forwarded(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(
            received.lines().next(),
            Some(format!("GET {want} HTTP/1.1").as_str()),
            "{target}"
        );
    }
}

/// Autoheal sends its filter raw, which strict parsers refuse.
#[test]
fn raw_json_in_a_query_arrives_encoded() {
    let request = "GET /containers/json?filters={\"health\":[\"unhealthy\"],\"label\":[\"a=<b>\"]} \
        HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let received = forwarded(request);
    let want = "GET /containers/json?filters=%7B%22health%22:%5B%22unhealthy%22%5D,%22label%22:%5B%22a=%3Cb%3E%22%5D%7D HTTP/1.1";
    assert_eq!(received.lines().next(), Some(want));
}

/// The request without the proxy's own name in it, and that name.
fn without_via(received: &str) -> (String, &str) {
    let (before, rest) = received.split_once("Via: ").expect("a Via");
    let (via, behind) = rest.split_once("\r\n").expect("a line");
    (format!("{before}{behind}"), via)
}

#[test]
fn only_end_to_end_headers_go_with_the_request() {
    let received = forwarded(
        "GET /containers/json HTTP/1.1\r\nHost: evil\r\nUser-Agent: u\r\nX-Registry-Auth: \
        secret\r\nX-Docker-Expose-Session-Grpc-Method: /a\r\nx-docker-expose-session-grpc-method: \
        /b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: \
        trailers\r\nAuthorization: Basic x\r\nProxy-Authorization: Basic y\r\nUpgrade: \
        h2c\r\nHTTP2-Settings: z\r\n\r\n",
    );
    let (received, via) = without_via(&received);
    assert!(via.starts_with("1.1 cetusguard-"), "{via}");
    let want = "GET /containers/json HTTP/1.1\r\nHost: docker\r\nUser-Agent: u\r\nX-Registry-Auth: \
        secret\r\nX-Docker-Expose-Session-Grpc-Method: /a\r\nx-docker-expose-session-grpc-method: \
        /b\r\n\r\n";
    assert_eq!(received, want);
}

/// Any Host will do, also none and an empty one; bodies go with DELETE, and POST needs no length.
#[test]
fn real_clients_are_read_leniently() {
    for request in [
        "GET /containers/json HTTP/1.1\r\nHost: \r\n\r\n",
        "GET /containers/json HTTP/1.1\r\n\r\n",
        "GET /containers/json HTTP/1.1\r\nhOST: api.moby.localhost:1234\r\n\r\n",
        "\r\nGET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /containers/x/start HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /containers/x/start HTTP/1.1\r\nHost: x\r\nContent-Type: \
        application/json\r\nContent-Length: 0\r\n\r\n",
        "GET /_ping HTTP/1.1\r\nHost: x\r\nX-Any: caf\u{e9}\r\n\r\n",
    ] {
        forwarded(request);
    }
    let received = forwarded(
        "DELETE /volumes/x HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"Force\":true}",
    );
    assert!(
        received.ends_with("Content-Length: 14\r\n\r\n{\"Force\":true}"),
        "{received}"
    );
}

#[test]
fn the_answer_passes_through_untouched() {
    let engine = Engine::start(|exchange, link| {
        let body = if exchange.line.starts_with("HEAD") {
            ""
        } else {
            "OK"
        };
        link.write(format!(
            "HTTP/1.1 200 Fine\r\nApi-Version: 1.43\r\nOstype: linux\r\nDocker-Experimental: \
            false\r\nBuilder-Version: 2\r\nSwarm: inactive\r\nServer: Libpod/5.0\r\nConnection: \
            keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n{body}"
        ));
    });
    let proxy = proxy(&engine);
    let want = "HTTP/1.1 200 Fine\r\nApi-Version: 1.43\r\nOstype: linux\r\nDocker-Experimental: \
        false\r\nBuilder-Version: 2\r\nSwarm: inactive\r\nServer: Libpod/5.0\r\nContent-Length: 2";
    let mut client = proxy.client();
    for method in ["GET", "HEAD", "GET"] {
        let response = client.request(&format!("{method} /_ping"));
        assert_eq!(response.head, want, "{method}");
        assert_eq!(response.body, if method == "GET" { "OK" } else { "" });
    }
}

#[test]
fn answers_without_a_body_end_where_they_end() {
    for status in ["204 No Content", "304 Not Modified"] {
        let engine = Engine::start(move |_, link| {
            link.write(format!("HTTP/1.1 {status}\r\n\r\n"));
        });
        let proxy = proxy(&engine);
        let mut client = proxy.client();
        for _ in 0..3 {
            client.send("POST /containers/x/start HTTP/1.1\r\nHost: x\r\n\r\n");
            assert!(client.read_head().head.contains(status));
        }
    }
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection() {
    let engine = Engine::start(|_, link| {
        link.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
        link.close();
    });
    let proxy = proxy(&engine);
    let response = proxy.client().request("GET /containers/json");
    assert_eq!(
        (response.body.as_str(), response.header("connection")),
        ("until the end", Some("close"))
    );
}

/// Interim answers are between the engine and the proxy (RFC 9110 §15.2).
#[test]
fn interim_answers_are_not_the_answer() {
    let engine = Engine::start(|_, link| {
        link.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        link.answer(200, "OK");
    });
    let proxy = proxy(&engine);
    assert_eq!(proxy.client().request("GET /info").body, "OK");
}

#[test]
fn bodies_arrive_whole_whatever_their_framing() {
    let engine = Engine::start(|exchange, link| {
        let body = match exchange.header("transfer-encoding") {
            Some(_) => link.read(22).unwrap_or_default(),
            None => String::from_utf8_lossy(&exchange.body).into_owned(),
        };
        link.answer(200, &body);
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    assert_eq!(
        client
            .request_with("POST /containers/create", "{\"Image\":\"x\"}")
            .body,
        "{\"Image\":\"x\"}"
    );
    let chunked = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    client.send(format!(
        "POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
    ));
    assert_eq!(client.read_response().body, chunked[..22]);
    // The same connection again, byte by byte.
    for byte in
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: \
        2\r\n\r\n{}"
            .bytes()
    {
        client.send([byte]);
    }
    assert_eq!(client.read_response().body, "{}");
}

/// A second request that is already there is judged on its own.
#[test]
fn pipelined_requests_are_judged_one_by_one() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_CONTAINERS%/json").start();
    let mut client = proxy.client();
    client.send(
        "GET /containers/json HTTP/1.1\r\n\r\nDELETE /containers/x HTTP/1.1\r\n\r\nGET /info \
        HTTP/1.1\r\n\r\nPOST /build HTTP/1.1\r\n\r\n",
    );
    let statuses: Vec<_> = (0..4).map(|_| client.read_response().status).collect();
    assert_eq!(statuses, [200, 403, 200, 403]);
    assert!(
        !engine.received().concat().contains("DELETE"),
        "{:?}",
        engine.received()
    );
}

#[test]
fn expect_is_answered_after_the_decision() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST %API_PREFIX_CONTAINERS%/create").start();
    let mut client = proxy.client();
    client.send(
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nExpect: \
        100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert_eq!(client.read_head().status, 100);
    client.send("{}");
    assert_eq!(client.read_response().status, 200);
    assert!(!engine.received().concat().contains("Expect"));

    client.send("POST /build HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    let response = client.read_response();
    assert_eq!(
        (response.status, response.header("connection")),
        (403, Some("close"))
    );
    assert!(client.is_closed());
}

/// Every client prints this shape.
#[test]
fn refusals_have_the_shape_of_the_engines_errors() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").start();
    let mut client = proxy.client();
    let response = client.request("GET /v1.43/containers/web/logs?token=secret");
    assert_eq!(response.status, 403);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(
        response.body,
        "{\"message\":\"cetusguard: no rule of profile default allows GET \
        /v1.43/containers/web/logs; to allow it, add the rule: GET \
        %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/logs\"}\n"
    );
    // The connection goes on, and HEAD has no body.
    let response = client.request("HEAD /v1.43/containers/web/json");
    assert_eq!(
        (response.status, response.header("content-length")),
        (403, Some("0"))
    );
    assert_eq!(client.request("GET /_ping").status, 200);
    assert!(engine.received().concat().starts_with("GET /_ping"));
}

#[test]
fn a_wildcard_does_not_open_the_vault() {
    let engine = Engine::ok();
    let rules = "GET,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET %API_PREFIX_IMAGES%/get";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    let mut client = proxy.client();
    let response = client.request("GET /containers/web/archive?path=/etc/shadow");
    assert_eq!(response.status, 403);
    assert!(response.body.contains(
        "the wildcard of the rule `GET,POST %API_PREFIX_CONTAINERS%(/.*)?` does not open"
    ));
    assert!(
        response
            .body
            .contains("add the rule: GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive")
    );
    assert_eq!(client.request("GET /images/get?names=x").status, 200);
    assert_eq!(engine.received().len(), 1);
    assert!(proxy.logged(&["reason=wildcard"]).contains("level=warning"));
}

#[test]
fn connections_to_the_engine_are_reused() {
    let engine = Engine::ok();
    // Each event loop keeps its own.
    let proxy = ProxyBuilder::new(PROGRAM, &engine, ALL)
        .arg("--workers", "1")
        .start();
    for _ in 0..5 {
        let mut client = proxy.client();
        for _ in 0..100 {
            assert_eq!(client.request("GET /containers/json").status, 200);
        }
    }
    assert_eq!(engine.received().len(), 1);
    // A write has a connection of its own, which goes with it.
    for _ in 0..5 {
        assert_eq!(
            proxy
                .client()
                .request_with("POST /containers/c/update", "{}")
                .status,
            200
        );
    }
    eventually("only the kept one stays", || engine.open() == 1);
    assert_eq!(engine.received().len(), 6);
    let before = proxy.descriptors_at_rest();
    let clients: Vec<Client> = (0..20).map(|_| proxy.client()).collect();
    drop(clients);
    eventually("the descriptors are back", || proxy.descriptors() <= before);
}
