//! Fair shares: a client that takes all it can leaves the others what they need.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cetusguard_testkit::{
    Certs, Client, Docker, Engine, Proxy, ProxyBuilder, Response, TempDir, eventually,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Connections from one address that say nothing.
fn crowd(from: &str, proxy: &Proxy, count: usize) -> Vec<Client> {
    (0..count)
        .map(|_| Client::connect_from(from, proxy.address()))
        .collect()
}

fn is_healthy(address: &str) -> bool {
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM)
        .word("healthcheck")
        .word(address)
        .run();
    assert_eq!(code, Some(0), "{out}{errors}");
    true
}

/// The number of connections of which the log says that they were refused, by line.
fn refused_in_log(proxy: &Proxy) -> Vec<String> {
    proxy
        .log()
        .into_iter()
        .filter(|line| line.contains("connections refused"))
        .collect()
}

#[test]
fn a_crowd_from_one_address_leaves_places_for_others() {
    let (engine, started) = (Engine::ok(), Instant::now());
    // The crowd says nothing for longer than this test lasts.
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--max-connections", "200")
        .arg("--head-timeout", "1h")
        .start();
    let _crowd = crowd("127.0.0.2", &proxy, 300);
    assert_eq!(
        Client::connect_from("127.0.0.3", proxy.address())
            .request("GET /info")
            .status,
        200
    );

    let mut refused = Client::connect_from("127.0.0.2", proxy.address());
    let answer = refused.request("GET /info");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("1"))
    );
    assert!(
        answer.body.contains("this client has 64 connections"),
        "{}",
        answer.body
    );
    assert!(refused.is_closed());
    // More than 200 were refused by now, in one line a minute.
    let line = proxy.logged(&["connections refused", "client=127.0.0.2:"]);
    assert!(
        line.contains("level=warning") && line.contains("refused=1"),
        "{line}"
    );
    let lines = refused_in_log(&proxy).len() as u64;
    assert!(
        lines <= 1 + started.elapsed().as_secs() / 60,
        "{lines} lines"
    );
}

#[test]
fn a_share_is_free_again_when_its_connections_are_gone() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--max-connections-per-client", "2")
        .start();
    let mut held: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut held {
        assert_eq!(client.request("GET /info").status, 200);
    }
    assert_eq!(proxy.client().request("GET /info").status, 429);
    drop(held);
    eventually("places are free", || {
        proxy.client().request("GET /info").status == 200
    });

    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--max-connections-per-client", "none")
        .start();
    let _crowd = crowd("127.0.0.2", &proxy, 600);
    assert_eq!(
        Client::connect_from("127.0.0.2", proxy.address())
            .request("GET /info")
            .status,
        200
    );
}

/// A profile has a share of its own, also where it takes a request to know it: here, a container's
/// label.
#[test]
fn a_profile_sets_the_share_of_its_clients() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.start("1", "one", "127.0.0.11", &[("access", "narrow")]);
    let engine = docker.engine();
    let config = "frontend-addr: tcp://127.0.0.1:0\nmax-connections-per-client: 2\nrules: GET \
        /a\nprofiles:\n  wide:\n    clients:\n      - address: 127.0.0.12\n    \
        max-connections-per-client: 4\n    rules: GET /a\n  narrow:\n    clients:\n      - label: \
        access=narrow\n    max-connections-per-client: 1\n    rules: GET /a\n";
    let config = folder.write("config.yaml", config);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--config", &config);
    let proxy = proxy.expect_frontend().start();
    for (address, share) in [("127.0.0.11", 1), ("127.0.0.12", 4), ("127.0.0.13", 2)] {
        let begin = |_| {
            let mut client = Client::connect_from(address, proxy.address());
            assert_eq!(client.request("GET /a").status, 200, "{address}");
            client
        };
        let clients: Vec<Client> = (0..share).map(begin).collect();
        let mut next = Client::connect_from(address, proxy.address());
        let answer = next.request("GET /a");
        assert_eq!(answer.status, 429, "{address}: {}", answer.body);
        assert!(
            answer
                .body
                .contains(&format!("this client has {share} connections")),
            "{}",
            answer.body
        );
        assert!(next.is_closed());
        drop(clients);
        let free = || {
            Client::connect_from(address, proxy.address())
                .request("GET /a")
                .status
                == 200
        };
        eventually("its places are free again", free);
    }
}

/// A handshake that a client does not finish holds its own connection, and neither its neighbours
/// nor its descriptor for long.
#[test]
fn unfinished_handshakes_hold_nobody_up() {
    let (engine, certs) = (Engine::ok(), Certs::make());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections-per-client", "32");
    let proxy = proxy
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--head-timeout", "1h");
    let proxy = proxy
        .arg("--frontend-tls-key", &certs.file("server.key"))
        .start();
    let before = proxy.descriptors();
    let mut stalled = crowd("127.0.0.1", &proxy, 30);
    for client in &mut stalled {
        client.send([22]);
    }
    let ask = || {
        Client::connect_tls(proxy.address(), certs.client(None))
            .request("GET /info")
            .status
    };
    assert_eq!(ask(), 200);
    // Beyond its share, the newest are told so, and the others are let go.
    let mut more = crowd("127.0.0.1", &proxy, 200);
    for client in &mut more {
        client.send([22]);
    }
    eventually("only a few are kept", || {
        proxy.descriptors() <= before + 32 + 2 * 16 + 12
    });
    drop((stalled, more));
    eventually("places are free", || ask() == 200);
}

#[test]
fn clients_of_a_unix_socket_share_its_places() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let socket = format!("unix://{}", folder.file("front.sock"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .frontend(&socket)
        .arg("--max-connections", "200");
    let proxy = proxy.arg("--head-timeout", "1h").start();
    let _crowd: Vec<Client> = (0..300).map(|_| Client::connect(&socket)).collect();
    assert_eq!(proxy.client().request("GET /info").status, 200);
    assert_eq!(Client::connect(&socket).request("GET /info").status, 429);
    assert!(is_healthy(&socket));
}

#[test]
fn the_health_check_has_places_of_its_own() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--max-connections", "4")
        .arg("--head-timeout", "1h")
        .start();
    // All places, and those in which others wait for one.
    let mut held = crowd("127.0.0.2", &proxy, 4);
    for client in &mut held {
        assert_eq!(client.request("GET /info").status, 200);
    }
    let _waiting = crowd("127.0.0.3", &proxy, 40);
    assert!(is_healthy(proxy.address()));
    // Also where those who are in the way come from the same address.
    let _crowd = crowd("127.0.0.1", &proxy, 300);
    assert!(is_healthy(proxy.address()));
    assert_eq!(held[0].request("GET /info").status, 200);
}

#[test]
fn a_client_beyond_its_share_gets_no_handshake() {
    let (engine, certs) = (Engine::ok(), Certs::make());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections-per-client", "2");
    let proxy = proxy
        .arg("--head-timeout", "1h")
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--frontend-tls-key", &certs.file("server.key"))
        .start();
    let _held = crowd("127.0.0.2", &proxy, 2);
    assert!(Client::connect_from("127.0.0.2", proxy.address()).is_closed());
    let _ = proxy.logged(&["connections refused", "client=127.0.0.2:"]);
}

#[test]
fn places_fit_the_open_files_that_are_allowed() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::bare("sh")
        .word("-c")
        .word("ulimit -n 256; exec \"$0\" \"$@\"")
        .word(PROGRAM);
    let proxy = proxy
        .arg("--backend-addr", &engine.address())
        .frontend("tcp://127.0.0.1:0");
    let proxy = proxy
        .arg("--max-connections-per-client", "none")
        .arg("--head-timeout", "1h")
        .start();
    let line = proxy.logged(&["few open files are allowed", "level=warning"]);
    assert!(
        line.contains("allowed=256 needed=16576 connections=16"),
        "{line}"
    );
    let mut client = proxy.client();
    assert_eq!(client.request("GET /info").status, 200);
    let _crowd = crowd("127.0.0.2", &proxy, 300);
    // One that has a place also gets a connection to the engine.
    assert_eq!(client.request("GET /info").status, 200);
    assert!(is_healthy(proxy.address()));
    assert!(proxy.descriptors() < 256);
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("cannot accept")),
        "{:?}",
        proxy.log()
    );
}

/// An engine that creates containers and knows all of them, but is silent about those of `stuck`
/// until the flag is set.
fn creator() -> (Engine, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let free = Arc::clone(&flag);
    let engine = Engine::scripted(move |exchange, link| {
        let path = exchange.line.strip_prefix("GET ").unwrap_or_default();
        if path.starts_with("/containers/stuck") {
            eventually("the engine is free", || free.load(SeqCst));
        }
        if exchange.line.starts_with("POST") {
            link.answer(201, "{\"Id\":\"x\"}");
        } else if !link.tell(exchange) {
            link.answer(200, "OK");
        }
    });
    (engine, flag)
}

/// The body of a new container that shares the network of another, with a label of this size in
/// KiB.
fn create(other: &str, kib: usize) -> String {
    let label = "x".repeat(kib << 10);
    format!(
        "{{\"Image\":\"x\",\"Labels\":{{\"x\":\"{label}\"}},\"HostConfig\":{{\"NetworkMode\":\"container:{other}\"}}}}"
    )
}

const CREATE: &str = "POST /v1.43/containers/create HTTP/1.1\r\nContent-Type: application/json\r\n";

/// Sends a request with a body of which the last byte is missing.
fn send_unfinished(client: &mut Client, body: &str) {
    client.send(format!(
        "{CREATE}Content-Length: {}\r\n\r\n{body}",
        body.len() + 1
    ));
}

fn creating(engine: &Engine, more: &[(&str, &str)]) -> Proxy {
    let builder = ProxyBuilder::new(
        PROGRAM,
        engine,
        "POST %API_PREFIX_CONTAINERS%/create\nPOST %API_PREFIX_CONTAINERS%/.*/exec",
    );
    more.iter()
        .fold(builder, |builder, (name, value)| builder.arg(name, value))
        .start()
}

#[test]
fn bodies_that_never_end_hold_up_their_own_client_alone() {
    let (engine, _) = creator();
    let proxy = creating(
        &engine,
        &[("--head-timeout", "1h"), ("--guard-allow", "target=*")],
    );
    let mut slow = crowd("127.0.0.2", &proxy, 40);
    for client in &mut slow {
        client.send(format!(
            "{CREATE}Transfer-Encoding: chunked\r\n\r\n2400\r\n{}",
            "x".repeat(0x2400)
        ));
    }
    let mut other = Client::connect_from("127.0.0.3", proxy.address());
    let answer = other.request_with("POST /v1.43/containers/create", &create("other", 20));
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// Five clients hold all the memory that there is for bodies: the slow ones among them go first.
#[test]
fn bodies_that_never_end_give_way_to_others() {
    let (engine, _) = creator();
    let proxy = creating(
        &engine,
        &[("--head-timeout", "1h"), ("--guard-allow", "target=*")],
    );
    let mut slow = Vec::new();
    for from in 2..8 {
        for kib in [340, 1000] {
            let mut client = Client::connect_from(&format!("127.0.0.{from}"), proxy.address());
            send_unfinished(&mut client, &create("other", kib));
            slow.push(client);
        }
    }
    let mut other = Client::connect_from("127.0.0.9", proxy.address());
    let answer = other.request_with("POST /v1.43/containers/create", &create("other", 700));
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(proxy.memory("VmHWM") < 48 << 10);
}

/// Begins a large request. What the proxy does not take yet waits in the kernel, and then in a
/// thread.
fn begin_large(proxy: &Proxy, other: &str) -> Client {
    let (mut client, body) = (proxy.client(), create(other, 900));
    client.send(format!("{CREATE}Content-Length: {}\r\n\r\n", body.len()));
    let mut writer = client.writer();
    std::thread::spawn(move || writer.write_all(body.as_bytes()));
    client
}

#[test]
fn waiting_for_memory_is_not_the_clients_delay() {
    let (engine, free) = creator();
    let proxy = creating(
        &engine,
        &[("--head-timeout", "3s"), ("--guard-allow", "target=*")],
    );
    let (mut clients, mut slow) = proxy.while_stopped(|| {
        let clients: Vec<Client> = (0..12)
            .map(|index| begin_large(&proxy, &format!("stuck-{index}")))
            .collect();
        let mut slow = Client::connect_from("127.0.0.2", proxy.address());
        send_unfinished(&mut slow, &create("other", 1));
        (clients, slow)
    });
    // A client that is slow itself has used up its time since the others have sent all that they
    // have.
    assert_eq!(slow.read_response().status, 408);
    free.store(true, SeqCst);
    for client in &mut clients {
        let answer = client.read_response();
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
}

#[test]
fn lookups_that_are_never_answered_hold_up_their_own_client_alone() {
    let (engine, _) = creator();
    let proxy = creating(&engine, &[("--guard-allow", "target=*")]);
    let mut stuck = crowd("127.0.0.2", &proxy, 200);
    for (index, client) in stuck.iter_mut().enumerate() {
        client.send(format!(
            "POST /v1.43/containers/stuck-{index}/exec HTTP/1.1\r\nContent-Type: \
            application/json\r\nContent-Length: 14\r\n\r\n{{\"Cmd\":[\"ls\"]}}"
        ));
    }
    let mut other = Client::connect_from("127.0.0.3", proxy.address());
    let answer = other.request_with("POST /v1.43/containers/good/exec", "{\"Cmd\":[\"ls\"]}");
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// Eight clients ask as many questions as they may, each of which lasts until its deadline. One that
/// asks a single question does not wait behind all of them.
#[test]
fn lookups_of_many_greedy_clients_leave_turns_for_others() {
    let (seen, before_good) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counters = (Arc::clone(&seen), Arc::clone(&before_good));
    let engine = Engine::scripted(move |exchange, link| {
        let path = exchange.line.strip_prefix("GET ").unwrap_or_default();
        if path.starts_with("/containers/stuck") {
            counters.0.fetch_add(1, SeqCst);
            link.wait_for_close();
        } else if path.starts_with("/containers/good") {
            counters.1.store(counters.0.load(SeqCst), SeqCst);
            let _ = link.tell(exchange);
        } else if exchange.line.starts_with("POST") {
            link.answer(201, "{\"Id\":\"x\"}");
        } else if !link.tell(exchange) {
            link.answer(200, "OK");
        }
    });
    let proxy = creating(&engine, &[("--guard-allow", "target=*")]);
    let mut stuck = Vec::new();
    for from in 2..10 {
        stuck.extend(crowd(&format!("127.0.0.{from}"), &proxy, 12));
    }
    for (index, client) in stuck.iter_mut().enumerate() {
        client.send(format!(
            "POST /v1.43/containers/stuck-{index}/exec HTTP/1.1\r\nContent-Type: \
            application/json\r\nContent-Length: 14\r\n\r\n{{\"Cmd\":[\"ls\"]}}"
        ));
    }
    eventually("they ask what they may", || seen.load(SeqCst) >= 24);
    let mut other = Client::connect_from("127.0.0.11", proxy.address());
    let answer = other.request_with("POST /v1.43/containers/good/exec", "{\"Cmd\":[\"ls\"]}");
    assert_eq!(answer.status, 201, "{}", answer.body);
    // In the order of their arrival, sixty-four would have been asked before.
    let before = before_good.load(SeqCst);
    assert!(before < 64, "{before}");
}

/// What is asked for and never read must hold no connection for ever; whoever follows a stream may
/// look away.
#[test]
fn an_answer_that_nobody_takes_ends() {
    let engine = Engine::start(|_, link| {
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while link.write(&chunk) {}
    });
    let rules = "GET %API_PREFIX_EVENTS%\nGET %API_PREFIX_IMAGES%/.*/get";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules)
        .arg("--progress-timeout", "300ms")
        .start();
    let ask = |path: &str| {
        let mut client = proxy.client();
        client.send(format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert_eq!(client.read_head().status, 200);
        client
    };
    let mut follower = ask("/events");
    let _taker = ask("/images/x/get");
    let line = proxy.logged(&["answer cut", "reason=client_stalled"]);
    assert!(
        line.contains("level=warning") && line.contains("path=/images/x/get"),
        "{line}"
    );
    eventually("the engine is rid of it", || engine.open() == 1);
    assert_eq!(follower.read_chunk().len(), 0x10000);
}

fn stream(from: &str, proxy: &Proxy) -> (Client, Response) {
    let mut client = Client::connect_from(from, proxy.address());
    client.send("GET /events HTTP/1.1\r\n\r\n");
    let head = client.read_head();
    (client, head)
}

#[test]
fn streams_beyond_the_memory_are_refused() {
    let engine = Engine::start(|exchange, link| {
        if !exchange.line.contains("/events") {
            return link.answer(200, "OK");
        }
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        link.wait_for_close();
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_EVENTS%")
        .arg("--memory-limit", "32MiB")
        .start();
    let line = proxy.logged(&["memory is limited"]);
    assert!(
        line.contains("limit=33554432 requests=36 socket_buffer=16384"),
        "{line}"
    );
    let mut streams: Vec<_> = (0..40).map(|_| stream("127.0.0.2", &proxy)).collect();
    assert_eq!(
        streams
            .iter()
            .filter(|(_, head)| head.status == 200)
            .count(),
        18,
        "half of all are for one client"
    );
    let (client, refused) = &mut streams[39];
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    let length = refused
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    assert!(
        client
            .read(length)
            .contains("no memory is left for another request")
    );
    let line = proxy.logged(&["request refused", "reason=memory_limit"]);
    assert!(line.contains("level=warning"), "{line}");

    // Others have what is left, and a health check needs none of it.
    assert_eq!(
        Client::connect_from("127.0.0.3", proxy.address())
            .request("GET /info")
            .status,
        200
    );
    let more: Vec<_> = (0..40)
        .map(|at| stream(&format!("127.0.0.{}", 3 + at % 10), &proxy))
        .collect();
    assert_eq!(
        more.iter().filter(|(_, head)| head.status == 200).count(),
        18
    );
    assert!(is_healthy(proxy.address()));
    drop((streams, more));
    eventually("places are free", || {
        stream("127.0.0.2", &proxy).1.status == 200
    });

    let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
        .arg("--memory-limit", "1MiB")
        .run();
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("--memory-limit is \"1MiB\"\n  = expected a size of 16MiB or more"),
        "{errors}"
    );
}

/// A ping with a body takes what any other request takes; only one without goes beside the bound.
#[test]
fn pings_with_bodies_beyond_the_memory_are_refused() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("/_ping") && exchange.header("content-length").is_some() {
            link.wait_for_close();
        } else {
            link.answer(200, "OK");
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .arg("--memory-limit", "32MiB")
        .start();
    let ping = || {
        let mut client = Client::connect_from("127.0.0.2", proxy.address());
        client.send("GET /_ping HTTP/1.1\r\nContent-Length: 9\r\n\r\nx");
        client
    };
    let _waiting: Vec<_> = (0..18).map(|_| ping()).collect();
    eventually("all of its share is taken", || engine.open() == 18);
    assert_eq!(ping().read_head().status, 503);
    assert!(is_healthy(proxy.address()));
}

/// What the kernel keeps for a peer that reads nothing is charged to the proxy's container.
#[test]
fn a_stalled_stream_holds_little_memory_of_the_kernel() {
    let (written, taken) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (count, is_over) = (Arc::clone(&written), Arc::clone(&taken));
    let engine = Engine::start(move |_, link| {
        // On a slow machine it may give up too early, when less has been taken.
        link.set_write_limit(Duration::from_millis(500));
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while link.write(&chunk) {
            count.fetch_add(0x1000, SeqCst);
        }
        is_over.store(true, SeqCst);
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET %API_PREFIX_EVENTS%")
        .arg("--memory-limit", "64MiB")
        .start();
    let (_client, head) = stream("127.0.0.2", &proxy);
    assert_eq!(head.status, 200);
    eventually("nothing moves", || taken.load(SeqCst));
    let written = written.load(SeqCst);
    assert!(written < 1 << 20, "{written} bytes wait");
}
