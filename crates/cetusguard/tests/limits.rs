//! Time and size: slow, oversized and idle clients, and very many of them.

use std::io::Write as _;
use std::sync::mpsc::channel;
use std::time::Duration;

use cetusguard_testkit::{Client, Engine, ProxyBuilder, eventually, patience};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

#[test]
fn oversized_heads_are_refused() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").start();
    let long = "x".repeat(70 << 10);
    let many = "X: y\r\n".repeat(200);
    for head in [
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET /_ping HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!("GET /_ping HTTP/1.1\r\n{many}\r\n"),
        long.clone(),
    ] {
        let mut client = proxy.client();
        client.send(&head);
        assert_eq!(client.read_response().status, 431);
        assert!(client.is_closed());
    }
    assert!(engine.received().is_empty());
    // Just below the limit it passes.
    let mut client = proxy.client();
    client.send(format!(
        "GET /_ping HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(60 << 10)
    ));
    assert_eq!(client.read_response().status, 200);
}

#[test]
fn slow_heads_are_given_up_on() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--head-timeout", "300ms")
        .start();
    let mut client = proxy.client();
    let mut writer = client.writer();
    let (answered, is_answered) = channel::<()>();
    std::thread::scope(|scope| {
        // A byte every now and then does not buy time. They go on until the answer is there; on a
        // slow machine they are fewer.
        scope.spawn(move || {
            let _ = writer.write_all(b"GET /_ping HTTP/1.1\r\nX: ");
            while is_answered.recv_timeout(Duration::from_millis(30)).is_err()
                && writer.write_all(b"x").is_ok()
            {}
        });
        assert_eq!(client.read_response().status, 408);
        answered.send(()).expect("one waits");
    });
    assert!(engine.received().is_empty());
}

#[test]
fn slow_bodies_of_short_requests_are_given_up_on() {
    let engine = Engine::start(|_, link| {
        link.drain();
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST %API_PREFIX_CONTAINERS%/.*")
        .arg("--head-timeout", "200ms")
        .start();
    let mut client = proxy.client();
    client.send("POST /containers/c/update HTTP/1.1\r\nContent-Length: 2000\r\n\r\n{");
    assert_eq!(client.read_response().status, 408);
    eventually("the engine is rid of it", || engine.open() == 0);
}

#[test]
fn idle_connections_are_closed() {
    let engine = Engine::ok();
    // One that never said a word, and one that has been served.
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--head-timeout", "200ms")
        .start();
    assert!(proxy.client().is_closed());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--idle-timeout", "200ms")
        .start();
    let mut served = proxy.client();
    assert_eq!(served.request("GET /_ping").status, 200);
    assert!(served.is_closed());
}

/// 10,000 connections that are opened and left, 500 at a time: bounded, and gone when they are
/// gone.
#[test]
fn ten_thousand_idle_connections_do_no_harm() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections", "100");
    let proxy = proxy.arg("--max-connections-per-client", "none").start();
    assert!(proxy.serves());
    let before = proxy.descriptors_at_rest();
    proxy.settle();
    let rest = proxy.memory("VmRSS");
    for _ in 0..20 {
        let clients: Vec<Client> = (0..500).map(|_| proxy.client()).collect();
        eventually("as many as may are served", || {
            proxy.descriptors() > before + 90
        });
        // Those that wait, and those that are told that they are too many, are few.
        assert!(proxy.descriptors() <= before + 180, "and no more");
        drop(clients);
    }
    assert!(proxy.serves());
    eventually("the descriptors are back", || {
        proxy.descriptors() <= before + 1
    });
    let grown = proxy.memory("VmRSS").saturating_sub(rest);
    assert!(grown < 6 << 10, "{grown} KiB");
}

/// Beyond the limit clients wait; they are served when another one leaves.
#[test]
fn clients_beyond_the_limit_wait() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--max-connections", "4")
        .start();
    let mut clients: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = proxy.client();
            assert_eq!(client.request("GET /_ping").status, 200);
            client
        })
        .collect();
    let mut waiting = proxy.client();
    waiting.send("GET /info HTTP/1.1\r\n\r\n");
    // Those who are in are served again and again, while the one at the door is not.
    for client in &mut clients {
        assert_eq!(client.request("GET /_ping").status, 200);
    }
    assert!(!engine.received().concat().contains("GET /info"));
    drop(clients);
    assert_eq!(waiting.read_response().status, 200);
}

fn raw(proxy: &cetusguard_testkit::Proxy) -> Client {
    Client::connect(proxy.address())
}

/// A follower that sends more than is read must not keep its place once it has left.
#[test]
fn clients_that_left_give_their_places_back() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("/info") {
            return link.answer(200, "OK");
        }
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // Longer than the test waits for a place: the engine does not end this.
        std::thread::park_timeout(2 * patience());
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_EVENTS%")
        .arg("--max-connections", "4")
        .start();
    for _ in 0..12 {
        let mut client = raw(&proxy);
        client.send("GET /events HTTP/1.1\r\n\r\n");
        assert_eq!(client.read_head().status, 200);
        client.send(vec![b'x'; 100_000]);
    }
    eventually("a place is free", || {
        proxy.client().request("GET /info").status == 200
    });
}

/// Refusals that nobody reads must not be a multiple of what asked for them, and unfinished heads
/// must not add up.
#[test]
fn unread_refusals_and_unfinished_heads_stay_small() {
    let engine = Engine::ok();
    let folder = cetusguard_testkit::TempDir::new();
    let socket = format!("unix://{}", folder.file("front.sock"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .frontend(&socket)
        .start();
    proxy.settle();
    let request = format!("GET /containers/{} HTTP/1.1\r\n\r\n", ".x".repeat(2000));
    let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(&socket)).collect();
    for client in &mut clients {
        client.send(request.repeat(10));
    }
    let mut heads: Vec<Client> = (0..300).map(|_| Client::connect(&socket)).collect();
    for client in &mut heads {
        client.send(format!("GET /_ping HTTP/1.1\r\nX: {}", "x".repeat(60_000)));
    }
    assert!(proxy.serves());
    let peak = proxy.memory("VmHWM");
    assert!(peak < 48 << 10, "{peak} KiB at the most");
}

/// The head of a stream is needed for a moment, and the stream may last for days.
#[test]
fn streams_do_not_keep_their_heads() {
    let engine = Engine::start(|_, link| {
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        link.wait_for_close();
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET /events").start();
    let open = || {
        let mut client = proxy.client();
        client.send(format!(
            "GET /events HTTP/1.1\r\nX: {}\r\n\r\n",
            "x".repeat(60_000)
        ));
        assert_eq!(client.read_head().status, 200);
        client
    };
    let _first = open();
    proxy.settle();
    let before = proxy.memory("VmRSS");
    let _streams: Vec<Client> = (0..100).map(|_| open()).collect();
    let grown = proxy.memory("VmRSS") - before;
    assert!(grown < 3 << 10, "{grown} KiB for 100 streams");
}

/// Each name in Connection is compared with every header: there may be few.
#[test]
fn connection_names_few_headers() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").start();
    let mut client = proxy.client();
    client.send(format!(
        "GET /_ping HTTP/1.1\r\nConnection: {}\r\n\r\n",
        "x,".repeat(40)
    ));
    assert_eq!(client.read_response().status, 400);
    let mut client = proxy.client();
    client.send(format!(
        "GET /_ping HTTP/1.1\r\nConnection: keep-alive{}\r\n\r\n",
        ",".repeat(30_000)
    ));
    assert_eq!(client.read_response().status, 200);
}
