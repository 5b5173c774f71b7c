//! Attach, exec and sessions: raw bytes both ways, after the engine has agreed and not before.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use cetusguard_testkit::{
    Client, Engine, Exchange, Link, Proxy, ProxyBuilder, eventually, patience,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "POST %API_PREFIX_EXEC%(/.*)?\nPOST %API_PREFIX_CONTAINERS%/[^/]+/attach\nPOST \
    %API_PREFIX_SESSION%\nPOST %API_PREFIX_GRPC%\nGET %API_PREFIX_CONTAINERS%/[^/]+/attach/ws\nGET \
    %API_PREFIX_CONTAINERS%/json";
const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: \
    application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
const RAW: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";
const ATTACH: &str = "POST /containers/c/attach?stdin=1 HTTP/1.1\r\nHost: \r\nConnection: \
    Upgrade\r\nUpgrade: tcp\r\n\r\n";

fn proxy(engine: &Engine) -> Proxy {
    // What starts of a command may ask for is another test's business.
    let proxy = ProxyBuilder::new(PROGRAM, engine, RULES).arg("--guard", "privileged");
    proxy
        .frontend(&format!("unix://{}.front", engine.path()))
        .start()
}

/// A script that upgrades and then leaves the link to the test's own steps.
fn upgrading(then: impl Fn(&mut Link) + Send + Sync + 'static) -> Engine {
    Engine::start(move |_: &Exchange, link| {
        link.write(UPGRADED);
        then(link);
    })
}

fn attach(proxy: &Proxy, frontend: usize) -> Client {
    let mut client = Client::connect(&proxy.addresses()[frontend]);
    client.send(ATTACH);
    let head = client.read_head();
    assert_eq!(
        head.head,
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: \
        Upgrade\r\nUpgrade: tcp"
    );
    client
}

/// Half-close in both directions: `echo x | docker exec -i c cat` prints x and ends.
#[test]
fn each_direction_ends_on_its_own() {
    // The client stops sending; the engine sees the end and still answers.
    let engine = upgrading(|link| {
        let sent = link.drain();
        link.write(format!("got {sent}"));
        link.close();
    });
    let one = proxy(&engine);
    for frontend in [0, 1] {
        let mut client = attach(&one, frontend);
        client.send("x\n");
        client.finish();
        assert_eq!(client.read_to_end(), "got 2");
    }
    // The engine stops sending; what the client still sends arrives.
    let (sender, heard) = channel();
    let sender = Mutex::new(sender);
    let engine = upgrading(move |link| {
        link.write("bye");
        link.finish();
        let _ = sender.lock().expect("one user").send(link.drain());
    });
    let two = proxy(&engine);
    for frontend in [0, 1] {
        let mut client = attach(&two, frontend);
        assert_eq!(client.read_to_end(), "bye");
        client.send("late");
        client.finish();
        assert_eq!(heard.recv_timeout(patience()), Ok(4));
    }
}

/// Several clients lose what comes together with the head: the head goes out alone.
#[test]
fn early_bytes_are_kept_on_both_sides() {
    let engine = Engine::start(|_, link| {
        // Head and first output in one write, as dockerd may do; then what the client sent before
        // it had the head.
        link.write(format!("{UPGRADED}first"));
        let early = link.read(5).unwrap_or_default();
        link.write(early);
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send(format!("{ATTACH}early"));
    assert_eq!(client.read_head().status, 101);
    assert_eq!(client.read_to_end(), "firstearly");
}

#[test]
fn protocols_upgrade_only_where_the_endpoint_hijacks_for_them() {
    let engine = Engine::start(|exchange, link| {
        let upgrade = exchange.header("upgrade").unwrap_or("none").to_owned();
        link.answer(200, &upgrade);
    });
    let proxy = proxy(&engine);
    for (line, upgrade, want) in [
        ("POST /containers/c/attach", "tcp", "tcp"),
        ("POST /exec/1/start", "TCP", "tcp"),
        ("POST /session", "h2c", "h2c"),
        ("POST /grpc", "h2c", "h2c"),
        ("POST /grpc", "tcp", "none"),
        ("GET /containers/c/attach/ws", "websocket", "websocket"),
        ("GET /containers/json", "h2c", "none"),
        ("GET /_ping", "websocket", "none"),
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "{line} HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: {upgrade}\r\n\r\n"
        ));
        assert_eq!(client.read_response().body, want, "{line} {upgrade}");
    }
}

/// BuildKit's channels are opaque: HTTP/2 in clear passes as it is.
#[test]
fn sessions_are_opaque_tunnels() {
    for path in ["/session", "/grpc", "/v1.43/session"] {
        let engine = Engine::start(|exchange, link| {
            assert_eq!(exchange.header("x-docker-expose-session-uuid"), Some("u"));
            link.write(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            );
            let preface = link.read(24).unwrap_or_default();
            link.write(preface);
            link.close();
        });
        let proxy = proxy(&engine);
        let mut client = proxy.client();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: \
            h2c\r\nX-Docker-Expose-Session-Uuid: u\r\n\r\n"
        ));
        assert!(client.read_head().head.ends_with("Upgrade: h2c"));
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(client.read_to_end(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    }
}

/// Clients that attach or exec without `Upgrade` get 200 and a stream both ways.
#[test]
fn a_200_without_an_upgrade_is_a_stream_both_ways() {
    let engine = Engine::start(|exchange, link| {
        assert_eq!(exchange.header("upgrade"), None);
        assert_eq!(exchange.body, b"{\"Detach\":false}");
        link.write(RAW);
        let line = link.read(6).unwrap_or_default();
        link.write(format!("echo {line}"));
        link.drain();
        link.write("end");
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send(
        "POST /exec/1/start HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: \
        16\r\n\r\n{\"Detach\":false}",
    );
    let head = client.read_head();
    assert_eq!(
        (
            head.status,
            head.header("transfer-encoding"),
            head.header("content-length")
        ),
        (200, None, None)
    );
    client.send("hello\n");
    assert_eq!(client.read(11), "echo hello\n");
    client.finish();
    assert_eq!(client.read_to_end(), "end");
}

/// docker-modem does not end its request body before it has its 101.
#[test]
fn an_upgrade_does_not_wait_for_the_end_of_the_body() {
    let engine = Engine::start(|_, link| {
        let chunk = link.read(9).unwrap_or_default();
        link.write(format!("{UPGRADED}{chunk}"));
        let raw = link.read(3).unwrap_or_default();
        link.write(raw);
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send(
        "POST /exec/1/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: \
        tcp\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{  }\r\n",
    );
    assert_eq!(client.read_head().status, 101);
    client.send("raw");
    assert_eq!(client.read_to_end(), "4\r\n{  }\r\nraw");
}

/// Where the end of the body comes after the tunnel has opened, it is no input of the command:
/// once, and nothing else.
#[test]
fn the_late_end_of_a_body_does_not_reach_the_command() {
    for (guard, body, sent, input) in [
        (
            "privileged",
            "{  }\r\n",
            &["0\r\n\r\n", "hello\n"][..],
            "hello\n",
        ),
        ("baseline", "{  }\r\n", &["0\r\n\r\n", "hello\n"], "hello\n"),
        ("baseline", "{  }\r\n", &["0\r\n\r\nhello\n"], "hello\n"),
        ("baseline", "{  }", &["\r\n0\r\n\r\nhello\n"], "hello\n"),
        ("baseline", "{  }\r\n0\r\n", &["\r\nhello\n"], "hello\n"),
        (
            "baseline",
            "{  }\r\n0\r\n\r\n",
            &["0\r\n\r\nhello\n"],
            "0\r\n\r\nhello\n",
        ),
        ("baseline", "{  }\r\n", &["0\r\n\r\n0\r\n\r\n"], "0\r\n\r\n"),
        ("baseline", "{  }\r\n", &["0\r\nhello\n"], "0\r\nhello\n"),
        ("baseline", "{  }\r\n", &["0"], "0"),
        ("baseline", "{  }\r\n", &["\r\n0\r\n\r\n"], "\r\n0\r\n\r\n"),
        (
            "baseline",
            "{  }\r\n",
            &["hello\n", "0\r\n\r\n"],
            "hello\n0\r\n\r\n",
        ),
    ] {
        let engine = Engine::start(move |exchange, link| {
            if exchange.header("transfer-encoding").is_some() {
                let _chunk = link.read(9);
            }
            link.write(UPGRADED);
            let input = link.read(input.len()).unwrap_or_default();
            let more = link.drain();
            link.write(format!("{input}|{more}"));
            link.close();
        });
        let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
            .arg("--guard", guard)
            .start();
        let mut client = proxy.client();
        let head = "POST /exec/1/start HTTP/1.1\r\nContent-Type: application/json\r\nConnection: \
            Upgrade\r\nUpgrade: tcp";
        client.send(format!(
            "{head}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{body}"
        ));
        assert_eq!(client.read_head().status, 101, "{sent:?}");
        sent.iter().for_each(|part| assert!(client.send(part)));
        client.finish();
        assert_eq!(
            client.read_to_end(),
            format!("{input}|0"),
            "{body:?} then {sent:?} with guard {guard}"
        );
    }
}

/// `Detach: true` is an ordinary request on the same path.
#[test]
fn a_detached_exec_keeps_the_connection() {
    let engine = Engine::ok();
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    for _ in 0..2 {
        assert_eq!(
            client
                .request_with("POST /exec/1/start", "{\"Detach\":true}")
                .status,
            200
        );
    }
}

/// What was meant for a tunnel that did not open must not be read as requests, by anybody.
#[test]
fn nothing_passes_behind_a_refused_upgrade() {
    for refusal in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let engine = Engine::start(move |exchange, link| {
            if exchange.line.contains("attach") {
                link.write(refusal);
            } else {
                link.answer(200, "smuggled");
            }
        });
        let proxy = proxy(&engine);
        let mut client = proxy.client();
        client.send(format!(
            "{ATTACH}POST /containers/create HTTP/1.1\r\n\r\nGET /containers/json HTTP/1.1\r\n\r\n"
        ));
        let response = client.read_response();
        // Docker's CLI of 2022 takes an answer that announces the close for the stream.
        assert_eq!(
            (response.body.as_str(), response.header("connection")),
            ("{}", None)
        );
        assert_eq!(client.read_to_end(), "");
        let received = engine.received().concat();
        assert!(
            !received.contains("containers/create") && !received.contains("containers/json"),
            "{received}"
        );
        assert!(proxy.serves());
    }
}

/// The same where the rules refuse it: early bytes are not requests, with `Upgrade` and without.
#[test]
fn nothing_passes_behind_an_upgrade_that_the_rules_refuse() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").start();
    for upgrade in ["Connection: Upgrade\r\nUpgrade: tcp\r\n", ""] {
        let mut client = proxy.client();
        client.send(format!(
            "POST /containers/c/attach HTTP/1.1\r\n{upgrade}\r\nGET /info HTTP/1.1\r\n\r\n"
        ));
        let response = client.read_response();
        assert_eq!(
            (response.status, response.header("connection")),
            (403, None)
        );
        assert_eq!(client.read_to_end(), "");
    }
    assert!(engine.received().is_empty());
}

/// And where the engine is absent, closes, or answers late: bytes for a tunnel are not requests,
/// without `Upgrade` either.
#[test]
fn nothing_passes_behind_a_tunnel_that_did_not_open() {
    let tail = "GET /containers/json HTTP/1.1\r\n\r\n";
    for (engine, status) in [
        (Engine::absent(), 502),
        (Engine::start(|_, link| link.close()), 502),
        (Engine::start(|_, link| link.answer(409, "{}")), 409),
    ] {
        let proxy = proxy(&engine);
        let mut client = proxy.client();
        client.send("POST /containers/c/attach?stdin=1 HTTP/1.1\r\n\r\n");
        let response = client.read_response();
        assert_eq!(
            (response.status, response.header("connection")),
            (status, None)
        );
        client.send(tail);
        assert_eq!(client.read_to_end(), "");
        assert!(!engine.received().concat().contains("/containers/json"));
    }
}

/// A 101 that nobody asked for would make the engine's connection a tunnel under a rule that allows
/// a list.
#[test]
fn an_unasked_101_is_refused() {
    let engine = Engine::start(|_, link| {
        link.write(UPGRADED);
        link.drain();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send(
        "GET /containers/json HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw bytes",
    );
    assert_eq!(client.read_response().status, 502);
    assert!(!engine.received().concat().contains("raw bytes"));
}

/// Whoever leaves, both sides are closed and forgotten.
#[test]
fn a_side_that_leaves_takes_the_tunnel_with_it() {
    let (engine, closed) = until_closed();
    let proxy = proxy(&engine);
    let before = proxy.descriptors_at_rest();
    for frontend in [0, 1] {
        let mut client = attach(&proxy, frontend);
        assert_eq!(client.read(5), "hello");
        drop(client);
        assert_eq!(
            closed.recv_timeout(patience()),
            Ok(true),
            "the engine sees the client leave"
        );
    }
    // The engine leaves for good while the client has nothing to say.
    let engine = upgrading(Link::close);
    let other = self::proxy(&engine);
    let client = attach(&other, 0);
    eventually("the tunnel is forgotten", || {
        other
            .log()
            .iter()
            .any(|line| line.contains("request allowed") && line.contains("/attach"))
    });
    eventually("the descriptors are back", || proxy.descriptors() <= before);
    let with_client = other.descriptors();
    drop(client);
    eventually("the client's is back as well", || {
        other.descriptors() <= with_client
    });
}

/// Neither side reads: the engine sends what fits and leaves, and the client sends all that it has
/// before it reads.
#[test]
fn a_client_that_sends_to_an_engine_that_left_is_not_stuck() {
    let engine = upgrading(|link| {
        link.set_write_limit(Duration::from_millis(300));
        link.write(vec![b'x'; 16 << 20]);
        link.close();
    });
    let proxy = proxy(&engine);
    for frontend in [0, 1] {
        let mut client = attach(&proxy, frontend);
        let (told, outcome) = channel();
        std::thread::spawn(move || {
            let is_sent = client.send(vec![b'y'; 16 << 20]);
            client.drain();
            told.send(is_sent)
        });
        assert_eq!(
            outcome.recv_timeout(patience()),
            Ok(true),
            "frontend {frontend}"
        );
    }
}

fn until_closed() -> (Engine, Receiver<bool>) {
    let (sender, receiver): (Sender<bool>, _) = channel();
    let sender = Mutex::new(sender);
    let engine = upgrading(move |link| {
        link.write("hello");
        let _ = sender.lock().expect("one user").send(link.wait_for_close());
    });
    (engine, receiver)
}

#[test]
fn a_tunnel_has_a_line_when_it_starts_and_one_when_it_ends() {
    let engine = upgrading(|link| {
        link.write("hello");
        link.drain();
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = attach(&proxy, 0);
    assert_eq!(client.read(5), "hello");
    let started = proxy.logged(&["msg=\"stream started\""]);
    assert!(
        started.contains("method=POST path=/containers/c/attach status=101"),
        "{started}"
    );
    client.send("123");
    client.finish();
    client.drain();
    let ended = proxy.logged(&["msg=\"request allowed\""]);
    assert!(ended.contains("bytes_out=5"), "{ended}");
}
