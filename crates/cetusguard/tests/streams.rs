//! Streams pass at once, in both directions, without limit in time and within bounds in memory.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, eventually, patience};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST,PUT %API_PREFIX%/(events|build|containers/.*|images/.*)\nGET,PUT \
    %API_PREFIX_CONTAINERS%/[^/]+/archive\nGET %API_PREFIX_IMAGES%/get";
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
const GIB: u64 = 1 << 30;

fn proxy(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, RULES).start()
}

/// `docker run` waits for the head of `/wait`, and each event must arrive when it happens.
#[test]
fn heads_and_chunks_go_out_when_the_engine_sends_them() {
    for line in [
        "GET /events",
        "POST /containers/c/wait",
        "GET /containers/c/logs?follow=1",
        "GET /containers/c/stats",
        "POST /images/create?fromImage=x",
    ] {
        let (step, steps) = channel::<()>();
        let steps = Mutex::new(steps);
        let engine = Engine::start(move |_, link| {
            let wait = || {
                steps
                    .lock()
                    .expect("one user")
                    .recv_timeout(patience())
                    .expect("the test goes on")
            };
            link.write(CHUNKED);
            wait();
            link.write("3\r\none\r\n");
            wait();
            link.write("3\r\ntwo\r\n0\r\n\r\n");
        });
        let proxy = proxy(&engine);
        let mut client = proxy.client();
        client.send(format!("{line} HTTP/1.1\r\n\r\n"));
        assert_eq!(
            client.read_head().status,
            200,
            "{line}: the head comes before any byte of the body"
        );
        step.send(()).expect("the engine waits");
        assert_eq!(client.read_chunk(), "one", "{line}");
        step.send(()).expect("the engine waits");
        assert_eq!(client.read_chunk(), "two", "{line}");
        assert_eq!(client.read_chunk(), "", "{line}");
        // The exchange is complete: the connection serves the next one.
        assert_eq!(client.request("DELETE /events").status, 403);
    }
}

/// No limit on what may be silent: limits that are shorter than the silence do not apply.
#[test]
fn silence_does_not_end_a_stream() {
    let engine = Engine::start(|exchange, link| {
        let begins = !exchange.line.contains("wait") && !exchange.line.contains("stop");
        if begins {
            link.write(CHUNKED);
        }
        // The silence that this is about. A slow machine makes it longer, and no limit may end it.
        std::thread::park_timeout(Duration::from_millis(900));
        if !begins {
            link.answer(200, "late");
        } else {
            link.write("4\r\nlate\r\n0\r\n\r\n");
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--answer-timeout", "200ms")
        .arg("--idle-timeout", "300ms")
        .arg("--head-timeout", "300ms")
        .start();
    for line in [
        "GET /events",
        "POST /containers/c/wait",
        "POST /containers/c/stop?t=300",
        "GET /containers/c/logs?follow=1",
    ] {
        // The limits hold for the head: it is there when the proxy accepts the connection.
        let mut client = proxy.while_stopped(|| {
            let mut client = proxy.client();
            client.send(format!("{line} HTTP/1.1\r\nConnection: close\r\n\r\n"));
            client
        });
        assert_eq!(client.read_response().body, "late", "{line}");
    }
}

/// A client that leaves takes its upstream request with it, at once.
#[test]
fn a_client_that_leaves_cancels_its_request() {
    for line in [
        "GET /events",
        "GET /containers/c/logs?follow=1",
        "GET /containers/json",
        "POST /containers/c/wait",
        "POST /images/create?fromImage=x",
    ] {
        let (sender, closed) = channel();
        let sender = Mutex::new(sender);
        let silent = line.contains("json") || line.contains("wait");
        let engine = Engine::start(move |_, link| {
            if !silent {
                link.write(format!("{CHUNKED}3\r\none\r\n"));
            }
            let _ = sender.lock().expect("one user").send(link.wait_for_close());
        });
        let proxy = proxy(&engine);
        let before = proxy.descriptors_at_rest();
        let mut client = proxy.client();
        client.send(format!("{line} HTTP/1.1\r\n\r\n"));
        if !silent {
            assert_eq!(client.read_head().status, 200);
        } else {
            eventually("the engine has the request", || {
                !engine.received().concat().is_empty()
            });
        }
        drop(client);
        assert_eq!(closed.recv_timeout(patience()), Ok(true), "{line}");
        let _ = proxy.logged(&["reason=client_disconnected"]);
        eventually("the descriptors are back", || proxy.descriptors() <= before);
        assert!(
            !proxy.log().iter().any(|log| log.contains("level=err")),
            "a client that leaves is no error"
        );
    }
}

/// A client that leaves in the middle of a body never leaves the rest of it to somebody else.
#[test]
fn an_unfinished_connection_is_never_used_again() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("images") {
            link.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\npart");
            link.wait_for_close();
        } else {
            link.answer(200, "mine");
        }
    });
    let proxy = proxy(&engine);
    for _ in 0..10 {
        let mut client = proxy.client();
        client.send("GET /images/json HTTP/1.1\r\n\r\n");
        assert_eq!(client.read_head().status, 200);
        drop(client);
        assert_eq!(proxy.client().request("GET /containers/json").body, "mine");
    }
}

/// Output may come before the body is sent (build is full duplex).
#[test]
fn a_build_answers_while_it_is_sent() {
    let engine = Engine::start(|_, link| {
        link.write(CHUNKED);
        for _ in 0..3 {
            let chunk = link.read(8).unwrap_or_default();
            link.write(chunk);
        }
        link.write("0\r\n\r\n");
        link.read(5);
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send("POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.read_head().status, 200);
    for word in ["one", "two", "six"] {
        client.send(format!("3\r\n{word}\r\n"));
        assert_eq!(client.read_chunk(), word);
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.read_chunk(), "");
}

/// An engine that refuses an upload early and closes: its answer arrives.
#[test]
fn an_early_answer_to_an_upload_arrives() {
    let engine = Engine::start(|_, link| {
        link.write(
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope",
        );
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send("PUT /containers/c/archive?path=/ HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n");
    client.send(vec![b'x'; 1 << 20]);
    let response = client.read_response();
    assert_eq!((response.status, response.body.as_str()), (400, "nope"));
}

/// Neither side reads: the engine sends what fits and leaves, and the client sends its whole body
/// before it reads.
#[test]
fn an_upload_to_an_engine_that_left_is_not_stuck() {
    let engine = Engine::start(|_, link| {
        link.set_write_limit(Duration::from_millis(300));
        link.write("HTTP/1.1 200 OK\r\n\r\n");
        link.write(vec![b'x'; 16 << 20]);
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    let (told, outcome) = channel();
    std::thread::spawn(move || {
        client.send(format!(
            "POST /images/load HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
            16 << 20
        ));
        client.send(vec![b'y'; 16 << 20]);
        told.send(client.read_head().status)
    });
    assert_eq!(outcome.recv_timeout(patience()), Ok(200));
}

#[test]
fn gigabytes_pass_in_bounded_memory() {
    let engine = Engine::start(|exchange, link| {
        let block = vec![b'x'; 1 << 20];
        if exchange.line.starts_with("GET") {
            link.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n"));
            for _ in 0..GIB >> 20 {
                link.write(&block);
            }
        } else {
            let mut left = GIB;
            while left > 0 {
                link.read(1 << 20).expect("the whole body");
                left -= 1 << 20;
            }
            link.answer(200, "all");
        }
    });
    let proxy = proxy(&engine);
    proxy.settle();
    let rest = proxy.memory("VmRSS");
    let mut client = proxy.client();
    client.send("GET /images/get?names=x HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(client.read_head().status, 200);
    assert_eq!(client.drain(), GIB);
    let mut client = proxy.client();
    client.send(format!(
        "PUT /containers/c/archive?path=/ HTTP/1.1\r\nContent-Length: {GIB}\r\n\r\n"
    ));
    let block = vec![b'x'; 1 << 20];
    for _ in 0..GIB >> 20 {
        assert!(client.send(&block));
    }
    assert_eq!(client.read_response().body, "all");
    let grown = proxy.memory("VmHWM").saturating_sub(rest);
    assert!(grown < 8 << 10, "{grown} KiB at the most");
}

/// Back-pressure: a client that stops reading stops the engine, and nothing piles up in between.
#[test]
fn a_client_that_stops_reading_stops_the_engine() {
    let (sender, sent) = channel();
    let sender = Mutex::new(sender);
    let engine = Engine::start(move |exchange, link| {
        if exchange.line.contains("_ping") {
            return link.answer(200, "OK");
        }
        link.write(CHUNKED);
        // Nothing is taken for so long: it all stands still. On a slow machine that may be said too
        // early, and less was taken.
        link.set_write_limit(Duration::from_millis(500));
        let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
        let count = (0..512).take_while(|_| link.write(&chunk)).count();
        let _ = sender.lock().expect("one user").send(count);
        link.close();
    });
    let proxy = proxy(&engine);
    let before = proxy.descriptors_at_rest();
    proxy.settle();
    let rest = proxy.memory("VmRSS");
    let mut client = proxy.client();
    client.send("GET /containers/c/logs?follow=1 HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_head().status, 200);
    let chunks = sent.recv_timeout(patience()).expect("the engine gives up");
    assert!(chunks < 64, "{chunks} MiB were taken from the engine");
    let grown = proxy.memory("VmHWM").saturating_sub(rest);
    assert!(grown < 8 << 10, "{grown} KiB at the most");
    assert!(proxy.serves());
    drop(client);
    eventually("the descriptors are back", || proxy.descriptors() <= before);
}

/// A body that is shorter than announced is cut, and the engine sees that it is.
#[test]
fn a_short_body_is_not_completed() {
    let (sender, read) = channel();
    let sender = Mutex::new(sender);
    let engine = Engine::start(move |exchange, link| {
        if exchange.line.contains("_ping") {
            return link.answer(200, "OK");
        }
        let _ = sender
            .lock()
            .expect("one user")
            .send(link.read(2 << 20).is_some());
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send("PUT /containers/c/archive HTTP/1.1\r\nContent-Length: 2097152\r\n\r\nonly this");
    client.finish();
    assert_eq!(
        read.recv_timeout(patience()),
        Ok(false),
        "the engine must not take it for whole"
    );
    eventually("the engine's connection ends", || engine.open() == 0);
    assert!(proxy.serves());
}

/// The engine breaks an answer off: the client must see that it is not complete.
#[test]
fn a_broken_answer_is_not_completed() {
    let engine = Engine::start(|_, link| {
        link.write(format!("{CHUNKED}3\r\none\r\n"));
        link.close();
    });
    let proxy = proxy(&engine);
    let mut client = proxy.client();
    client.send("GET /events HTTP/1.1\r\n\r\n");
    client.read_head();
    assert_eq!(
        client.read_to_end(),
        "3\r\none\r\n",
        "no final chunk was invented"
    );
    assert!(
        proxy
            .logged(&["reason=engine_disconnected"])
            .contains("level=err")
    );
}

/// A client that has sent everything may say so, and still gets what it has asked for; the engine
/// hears of it, as it would without a proxy.
#[test]
fn a_client_that_sends_no_more_gets_its_answer() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("_ping") {
            return link.answer(200, "OK");
        }
        // Whatever has begun goes on after the end of the client's half.
        let begins = exchange.line.contains("begins");
        if begins {
            link.write(format!("{CHUNKED}3\r\none\r\n"));
        }
        assert!(link.wait_for_close());
        let head = if begins { "" } else { CHUNKED };
        link.write(format!("{head}3\r\ntwo\r\n0\r\n\r\n"));
    });
    let socket = format!("unix://{}.front", engine.path());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .frontend(&socket)
        .start();
    for address in proxy.addresses() {
        for (line, want) in [
            ("GET /containers/begins/json", "onetwo"),
            ("GET /containers/waits/json", "two"),
            ("POST /containers/waits/stop", "two"),
        ] {
            let mut client = Client::connect(address);
            client.send(format!("{line} HTTP/1.1\r\n\r\n"));
            client.finish();
            assert_eq!(client.read_response().body, want, "{line} at {address}");
            assert!(client.is_closed());
        }
        // The engine's connection has ended with the client's half, and serves nobody else.
        assert_eq!(Client::connect(address).request("GET /_ping").status, 200);
    }
}

/// Over TCP, one that has left looks the same; it is not waited for longer than for the engine.
#[test]
fn a_client_that_left_is_not_waited_for_long() {
    let engine = Engine::start(|_, link| {
        link.drain();
        // It takes no notice: only the proxy can end this.
        std::thread::park_timeout(patience());
    });
    let socket = format!("unix://{}.front", engine.path());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--answer-timeout", "300ms")
        .frontend(&socket)
        .start();
    let before = proxy.descriptors_at_rest();
    for (index, address) in proxy.addresses().iter().enumerate() {
        let mut client = Client::connect(address);
        client.send(format!(
            "POST /containers/c/stop HTTP/1.1\r\nUser-Agent: number-{index}\r\n\r\n"
        ));
        eventually("the engine has it", || engine.received().len() == index + 1);
        drop(client);
        let _ = proxy.logged(&[
            "path=/containers/c/stop",
            "reason=client_disconnected",
            &format!("user_agent=number-{index}"),
        ]);
    }
    eventually("the descriptors are back", || proxy.descriptors() <= before);
}
