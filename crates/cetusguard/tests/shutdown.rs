//! SIGTERM and SIGINT: requests finish, streams end, the program ends with 0.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use cetusguard_testkit::{Engine, ProxyBuilder, eventually, patience};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(events|containers/.*)";

#[test]
fn requests_finish_and_streams_end() {
    let (finish, finished) = channel::<()>();
    let finished = Mutex::new(finished);
    let engine = Engine::start(move |exchange, link| {
        if exchange.line.contains("events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            link.wait_for_close();
        } else {
            finished
                .lock()
                .expect("one user")
                .recv_timeout(patience())
                .expect("the test goes on");
            link.answer(200, "done");
        }
    });
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--drain-timeout", "1h")
        .start();
    let mut stream = proxy.client();
    stream.send("GET /events HTTP/1.1\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    assert_eq!(stream.read_chunk(), "one");
    let mut request = proxy.client();
    request.send("POST /containers/c/stop HTTP/1.1\r\n\r\n");
    let mut idle = proxy.client();
    eventually("the engine has both", || engine.received().len() == 2);

    proxy.signal("TERM");
    assert!(stream.is_closed(), "the stream ends, without a final chunk");
    assert!(idle.is_closed());
    let address = proxy.address().trim_start_matches("tcp://").to_owned();
    eventually("nobody listens any more", || {
        TcpStream::connect(&address).is_err()
    });
    finish.send(()).expect("the engine waits");
    let response = request.read_response();
    assert_eq!(
        (response.body.as_str(), response.header("connection")),
        ("done", Some("close"))
    );
    assert!(proxy.wait().success());
    assert!(
        proxy
            .logged(&["reason=shutting_down"])
            .contains("path=/events")
    );
    let _ = proxy.logged(&["msg=stopped"]);
}

#[test]
fn a_request_that_does_not_finish_is_cut_after_the_drain() {
    let engine = Engine::start(|_, link| {
        link.drain();
    });
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--drain-timeout", "200ms")
        .start();
    let mut client = proxy.client();
    client.send("POST /containers/c/stop HTTP/1.1\r\n\r\n");
    eventually("the engine has it", || engine.received().len() == 1);
    proxy.signal("INT");
    assert!(proxy.wait().success());
    let _ = proxy.logged(&["drain-timeout is over"]);
    let _ = proxy.logged(&["path=/containers/c/stop", "reason=shutting_down"]);
}

#[test]
fn half_a_head_does_not_delay_the_end() {
    let engine = Engine::ok();
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, RULES).start();
    let mut client = proxy.client();
    client.send("GET /containers/json HT");
    assert!(proxy.serves());
    proxy.signal("TERM");
    assert!(client.is_closed());
    assert!(proxy.wait().success());
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("drain-timeout is over"))
    );
}

/// A client on a kept connection cannot know that the program is about to stop when it sends its
/// next request.
#[test]
fn a_request_that_was_just_sent_gets_its_answer() {
    let (finish, finished) = channel::<()>();
    let finished = Mutex::new(finished);
    let engine = Engine::start(move |exchange, link| {
        if exchange.line.contains("slow") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            finished
                .lock()
                .expect("one user")
                .recv_timeout(patience())
                .expect("the test goes on");
            link.write("0\r\n\r\n");
        } else {
            link.answer(200, "next");
        }
    });
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, RULES).start();
    let mut kept: Vec<_> = (0..16).map(|_| proxy.client()).collect();
    for client in &mut kept {
        assert_eq!(client.request("GET /containers/json").body, "next");
    }
    // This one's answer began before the signal, and says nothing of an end.
    let mut client = proxy.client();
    client.send("GET /containers/slow/json HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_head().header("connection"), None);
    assert_eq!(client.read_chunk(), "one");

    proxy.signal("STOP");
    kept.iter_mut()
        .for_each(|client| assert!(client.send("GET /containers/json HTTP/1.1\r\n\r\n")));
    proxy.signal("TERM");
    proxy.signal("CONT");
    let _ = proxy.logged(&["stopping"]);
    for client in &mut kept {
        // An event loop may have answered before the signal is handled: then the answer says
        // nothing of an end.
        let answer = client.read_response();
        assert_eq!(answer.body, "next", "{answer:?}");
        assert!(client.is_closed());
    }
    client.send("DELETE /containers/c HTTP/1.1\r\n\r\nGET /containers/json HTTP/1.1\r\n\r\n");
    finish.send(()).expect("the engine waits");
    assert_eq!(client.read_chunk(), "");
    let refused = client.read_response();
    assert_eq!(
        (refused.status, refused.header("connection")),
        (403, Some("close")),
        "{refused:?}"
    );
    assert!(client.is_closed(), "and nothing after that");
    assert!(proxy.wait().success());
}

#[test]
fn asked_twice_it_stops_at_once() {
    let engine = Engine::start(|_, link| {
        link.drain();
    });
    let mut proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--drain-timeout", "1h")
        .start();
    let mut client = proxy.client();
    client.send("POST /containers/c/stop HTTP/1.1\r\n\r\n");
    eventually("the engine has it", || engine.received().len() == 1);
    proxy.signal("TERM");
    let _ = proxy.logged(&["stopping"]);
    proxy.signal("TERM");
    assert!(proxy.wait().success());
}
