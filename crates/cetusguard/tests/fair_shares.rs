//! Fair shares: a client that takes all it can leaves the others what they need.

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Connections from one address that say nothing.
fn crowd(from: &str, proxy: &Proxy, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect_from(from, proxy.address())).collect()
}

fn is_healthy(address: &str) -> bool {
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM).word("healthcheck").word(address).run();
    assert_eq!(code, Some(0), "{out}{errors}");
    true
}

/// The number of connections of which the log says that they were refused, by line.
fn refused_in_log(proxy: &Proxy) -> Vec<String> {
    proxy.log().into_iter().filter(|line| line.contains("connections refused")).collect()
}

#[test]
fn a_crowd_from_one_address_leaves_places_for_others() {
    let engine = Engine::ok();
    // The crowd says nothing for longer than anybody here waits.
    let proxy =
        ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections", "200").arg("--head-timeout", "1m").start();
    let _crowd = crowd("127.0.0.2", &proxy, 300);
    assert_eq!(Client::connect_from("127.0.0.3", proxy.address()).request("GET /info").status, 200);

    let mut refused = Client::connect_from("127.0.0.2", proxy.address());
    let answer = refused.request("GET /info");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert!(answer.body.contains("this client has 64 connections"), "{}", answer.body);
    assert!(refused.is_closed());
    // More than 200 were refused by now, in one line.
    let line = proxy.logged(&["connections refused", "client=127.0.0.2:"]);
    assert!(line.contains("level=warning") && line.contains("refused=1"), "{line}");
    assert_eq!(refused_in_log(&proxy).len(), 1);
}

#[test]
fn a_share_is_free_again_when_its_connections_are_gone() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections-per-client", "2").start();
    let mut held: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut held {
        assert_eq!(client.request("GET /info").status, 200);
    }
    assert_eq!(proxy.client().request("GET /info").status, 429);
    drop(held);
    cetusguard_testkit::eventually("places are free", || proxy.client().request("GET /info").status == 200);

    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections-per-client", "none").start();
    let _crowd = crowd("127.0.0.2", &proxy, 600);
    assert_eq!(Client::connect_from("127.0.0.2", proxy.address()).request("GET /info").status, 200);
}

#[test]
fn clients_of_a_unix_socket_share_its_places() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let socket = format!("unix://{}", folder.file("front.sock"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "").frontend(&socket).arg("--max-connections", "200");
    let proxy = proxy.arg("--head-timeout", "1m").start();
    let _crowd: Vec<Client> = (0..300).map(|_| Client::connect(&socket)).collect();
    assert_eq!(proxy.client().request("GET /info").status, 200);
    assert_eq!(Client::connect(&socket).request("GET /info").status, 429);
    assert!(is_healthy(&socket));
}

#[test]
fn the_health_check_has_places_of_its_own() {
    let engine = Engine::ok();
    let proxy =
        ProxyBuilder::new(PROGRAM, &engine, "").arg("--max-connections", "4").arg("--head-timeout", "1m").start();
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
        .arg("--head-timeout", "1m")
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
    let proxy = ProxyBuilder::bare("sh").word("-c").word("ulimit -n 256; exec \"$0\" \"$@\"").word(PROGRAM);
    let proxy = proxy.arg("--backend-addr", &engine.address()).frontend("tcp://127.0.0.1:0");
    let proxy = proxy.arg("--max-connections-per-client", "none").arg("--head-timeout", "1m").start();
    let line = proxy.logged(&["few open files are allowed", "level=warning"]);
    assert!(line.contains("allowed=256 needed=8384 connections=32"), "{line}");
    let mut client = proxy.client();
    assert_eq!(client.request("GET /info").status, 200);
    let _crowd = crowd("127.0.0.2", &proxy, 300);
    // One that has a place also gets a connection to the engine.
    assert_eq!(client.request("GET /info").status, 200);
    assert!(is_healthy(proxy.address()));
    assert!(proxy.descriptors() < 256);
    assert!(!proxy.log().iter().any(|line| line.contains("cannot accept")), "{:?}", proxy.log());
}
