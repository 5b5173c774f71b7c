//! Requests that two readers could read in two ways: refused, with nothing forwarded.

use cetusguard_testkit::{Engine, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const ALL: &str = "GET,HEAD,POST,PUT,DELETE,OPTIONS,PATCH .*";

#[test]
fn ambiguous_requests_are_refused_and_nothing_is_forwarded() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, ALL).start();
    let descriptors = proxy.descriptors_at_rest();
    for (name, request, status) in BAD {
        let mut client = proxy.client();
        client.send(request);
        let response = client.read_response();
        assert_eq!(response.status, *status, "{name}: {response:?}");
        assert!(
            response.body.starts_with("{\"message\":\"cetusguard: "),
            "{name}: {response:?}"
        );
        assert_eq!(response.header("connection"), Some("close"), "{name}");
        assert!(client.is_closed(), "{name}: the connection is at its end");
        assert!(
            engine.received().is_empty(),
            "{name}: {:?}",
            engine.received()
        );
    }
    assert!(proxy.serves());
    cetusguard_testkit::eventually("the descriptors are back", || {
        proxy.descriptors() <= descriptors + 1
    });
}

/// A request behind a refused one is never read as one.
const TAIL: &str = "GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n";

const BAD: &[(&str, &str, u16)] = &[
    (
        "length and encoding",
        "POST /build HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: \
        chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "encoding and length",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "two lengths",
        "POST /build HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
    (
        "the same length twice",
        "POST /build HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
    (
        "a list of lengths",
        "POST /build HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
        400,
    ),
    (
        "a signed length",
        "POST /build HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
        400,
    ),
    (
        "a negative length",
        "POST /build HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello",
        400,
    ),
    (
        "a hexadecimal length",
        "POST /build HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello",
        400,
    ),
    (
        "an empty length",
        "POST /build HTTP/1.1\r\nContent-Length: \r\n\r\nhello",
        400,
    ),
    (
        "a length beyond every integer",
        "POST /build HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        400,
    ),
    (
        "two encodings",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: \
        chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "a list of encodings",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "identity",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\nhello",
        400,
    ),
    (
        "a decorated encoding",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "blank before the colon",
        "POST /build HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello",
        400,
    ),
    (
        "obs-fold",
        "POST /build HTTP/1.1\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("bare LF", "GET /containers/json HTTP/1.1\nHost: x\n\n", 400),
    (
        "bare LF within",
        "GET /containers/json HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        400,
    ),
    (
        "bare CR",
        "GET /containers/json HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
        400,
    ),
    (
        "NUL in a header",
        "GET /containers/json HTTP/1.1\r\nX: a\0b\r\n\r\n",
        400,
    ),
    (
        "two hosts",
        "GET /containers/json HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
    ),
    (
        "two content types",
        "POST /build HTTP/1.1\r\nContent-Type: application/json\r\ncontent-type: text/plain\r\n\r\n",
        400,
    ),
    (
        "gRPC by content type",
        "POST /containers/json HTTP/1.1\r\nContent-Type: x; application/GRPC+proto\r\n\r\n",
        400,
    ),
    (
        "absolute-form",
        "GET http://libpod/v1.41/build HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "authority-form",
        "GET localhost:2375 HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "asterisk-form",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "CONNECT",
        "CONNECT docker:2375 HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "TRACE",
        "TRACE /containers/json HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "a method in lower case",
        "get /containers/json HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    (
        "a method that nobody knows",
        "FETCH /containers/json HTTP/1.1\r\nHost: x\r\n\r\n",
        400,
    ),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/1.0", "GET /containers/json HTTP/1.0\r\n\r\n", 400),
    ("HTTP/0.9", "GET /containers/json\r\n\r\n", 400),
    ("HTTP/9.9", "GET /containers/json HTTP/9.9\r\n\r\n", 400),
    ("TLS to a plain port", "\u{16}\u{3}\u{1}", 400),
    (
        "two blanks in the line",
        "GET  /containers/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a tab in the line",
        "GET\t/containers/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "NUL in the path",
        "GET /containers/%00/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a raw NUL in the path",
        "GET /containers/\0/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "CRLF in the path",
        "GET /containers/a%0d%0aX:%20y/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a tab in the path",
        "GET /containers/%09 HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a backslash in the path",
        "GET /containers/..%5c..%5ccreate HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a raw fragment",
        "GET /containers/json#/x HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a broken escape",
        "GET /containers/%zz HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a broken escape in the query",
        "GET /containers/json?x=%z HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a semicolon in the query",
        "GET /containers/json?all=0;all=1 HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "an overlong slash",
        "GET /containers%c0%afjson HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "an old version",
        "POST /v1.23/containers/x/start HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        400,
    ),
    (
        "a version of four parts",
        "GET /v1.2.3.4/containers/json HTTP/1.1\r\n\r\n",
        400,
    ),
    (
        "a colon without a name",
        "GET /containers/json HTTP/1.1\r\n: x\r\n\r\n",
        400,
    ),
    (
        "a line that is no header",
        "GET /containers/json HTTP/1.1\r\nnonsense\r\n\r\n",
        400,
    ),
];

/// Traversals are resolved before they are judged: what comes out is not allowed.
#[test]
fn traversals_do_not_escape_a_rule() {
    let engine = Engine::ok();
    let rules = "GET,POST %API_PREFIX_IMAGES%/.*";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    for target in [
        "/images/../containers/create",
        "/images/%2e%2e/containers/create",
        "/images/..%2fcontainers/create",
        "/images/%2e%2e%2fcontainers%2fcreate",
        "/images/x/../../containers/create",
        "//containers/create",
        "/images/./../containers/create",
        "/v1.43/images/../containers/create",
    ] {
        let response = proxy.client().request(&format!("POST {target}"));
        assert_eq!(response.status, 403, "{target}");
        assert!(
            response.body.contains("/containers/create"),
            "the message names the path that was judged: {}",
            response.body
        );
    }
    // Decoded once: this is an image of a strange name, for the rule and for the engine.
    let response = proxy
        .client()
        .request("GET /images/%252e%252e%252fcontainers/json");
    assert_eq!(response.status, 200);
    assert!(
        engine
            .received()
            .concat()
            .starts_with("GET /images/%252e%252e%252fcontainers/json HTTP/1.1\r\n")
    );
}

/// The body of a request may not hide another one (CVE-2024-41110 was such a disagreement).
#[test]
fn bytes_behind_a_body_are_the_next_request_and_nothing_else() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST %API_PREFIX_CONTAINERS%/create").start();
    let mut client = proxy.client();
    client.send(
        "POST /containers/create HTTP/1.1\r\nContent-Length: \
        0\r\n\r\n{\"HostConfig\":{\"Privileged\":true}}",
    );
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 400);
    assert!(!engine.received().concat().contains("Privileged"));

    let mut client = proxy.client();
    client.send(format!(
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: \
        2\r\n\r\n{{}}{TAIL}"
    ));
    assert_eq!(client.read_response().status, 200);
    assert_eq!(client.read_response().status, 403);
    assert!(!engine.received().concat().contains("/containers/json"));
}

/// Once a chunk is malformed, nothing behind it goes on, and the engine's connection is not used
/// again.
#[test]
fn malformed_chunks_end_the_exchange() {
    for body in [
        "5;ext=1\r\nhello\r\n",
        "5\nhello\n",
        "zz\r\n",
        "5\r\nhelloX",
        "0\r\nTrailer: x\r\n\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        " 5\r\nhello\r\n",
    ] {
        let engine = Engine::start(|_, link| {
            link.drain();
        });
        let proxy = ProxyBuilder::new(PROGRAM, &engine, ALL).start();
        let mut client = proxy.client();
        client.send(format!(
            "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n{body}{TAIL}"
        ));
        let response = client.read_response();
        assert_eq!(response.status, 400, "{body:?}");
        assert!(client.is_closed(), "{body:?}");
        cetusguard_testkit::eventually("the engine's connection ends", || engine.open() == 0);
        let received = engine.received().concat();
        assert!(
            !received.contains("/containers/json"),
            "{body:?}: {received}"
        );
    }
}

/// Engines of 29.2 and later take HTTP/2 with prior knowledge on the same socket. A client's
/// preface is no request here.
#[test]
fn http2_is_not_spoken() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET,POST .*").start();
    let mut client = proxy.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert_eq!(client.read_response().status, 400);
    assert!(engine.received().is_empty() && proxy.serves());
}
