//! Engines that are absent, silent, broken or restarted.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cetusguard_testkit::{Certs, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(events|containers/.*)";

fn in_front_of(address: &str) -> Proxy {
    ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", address)
        .arg("--rules", RULES)
        .frontend("tcp://127.0.0.1:0")
        .start()
}

fn message(proxy: &Proxy, status: u16) -> String {
    let response = proxy.client().request("GET /containers/json");
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.body
}

#[test]
fn an_absent_engine_is_named_with_the_reason() {
    let folder = TempDir::new();
    let address = format!("unix://{}", folder.file("none.sock"));
    let body = message(&in_front_of(&address), 502);
    assert!(
        body.contains(&address) && body.contains("no such socket; is the engine running"),
        "{body}"
    );

    drop(UnixListener::bind(folder.file("stale.sock")).expect("a socket"));
    let body = message(
        &in_front_of(&format!("unix://{}", folder.file("stale.sock"))),
        502,
    );
    assert!(body.contains("nothing listens there"), "{body}");

    let body = message(&in_front_of("tcp://127.0.0.1:1"), 502);
    assert!(
        body.contains("tcp://127.0.0.1:1 cannot be reached: nothing listens there"),
        "{body}"
    );
}

/// The line that a user of a container without root needs, with this host's own group.
#[test]
fn a_forbidden_socket_is_answered_with_the_group_to_add() {
    let folder = TempDir::new();
    let socket = folder.file("engine.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).expect("mine");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("mine");
    if std::fs::metadata("/proc/self")
        .map(|me| std::os::unix::fs::MetadataExt::uid(&me))
        .unwrap_or(1)
        != 0
    {
        return eprintln!("skipped: only root can become the stranger whom this is about");
    }
    let copy = folder.file("cetusguard");
    // By another process: a file that this one had open for writing could not be run while it forks
    // elsewhere.
    assert!(
        Command::new("cp")
            .args([PROGRAM, &copy])
            .status()
            .expect("cp")
            .success()
    );
    let stranger = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let builder = stranger
        .iter()
        .fold(ProxyBuilder::bare("/usr/bin/setpriv"), |builder, word| {
            builder.word(word)
        })
        .word(&copy);
    let builder = builder
        .arg("--backend-addr", &format!("unix://{socket}"))
        .arg("--rules", RULES);
    let body = message(&builder.frontend("tcp://127.0.0.1:0").start(), 502);
    let want =
        "permission denied; run as its owner (user 0), or add its group: group_add: [\\\"0\\\"]";
    assert!(body.contains(want), "{body}");
}

#[test]
fn a_silent_engine_is_given_up_on() {
    let engine = Engine::start(|_, link| {
        link.drain();
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--answer-timeout", "200ms")
        .start();
    let response = proxy.client().request("GET /containers/c/json");
    assert_eq!(response.status, 504);
    assert!(
        response
            .body
            .contains("the engine accepted the request and did not answer in time"),
        "{}",
        response.body
    );
    eventually("the engine is rid of it", || engine.open() == 0);
    assert!(
        proxy
            .logged(&["reason=engine_timeout"])
            .contains("level=err")
    );
}

#[test]
fn an_engine_that_accepts_nothing_is_given_up_on() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // A TLS backend that never shakes hands: connecting is what takes too long.
    let certs = Certs::make();
    let address = socket.local_addr().expect("bound");
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg(
            "--backend-addr",
            &format!("tcp://localhost:{}", address.port()),
        )
        .arg("--backend-tls-cacert", &certs.file("ca.pem"))
        .arg("--connect-timeout", "200ms")
        .arg("--rules", RULES)
        .frontend("tcp://127.0.0.1:0")
        .start();
    let body = message(&proxy, 502);
    assert!(body.contains("no connection within 200ms"), "{body}");
}

#[test]
fn garbage_from_the_engine_is_not_passed_on() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "\u{15}\u{3}\u{1}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxxx",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nOK",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
    ] {
        let engine = Engine::start(move |_, link| {
            link.write(garbage);
            link.close();
        });
        let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES).start();
        let body = message(&proxy, 502);
        assert!(
            body.contains("the engine's answer is not valid HTTP/1.1"),
            "{garbage:?}: {body}"
        );
    }
    let engine = Engine::start(|_, link| link.close());
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES).start();
    assert!(message(&proxy, 502).contains("closed the connection without an answer"));
}

/// A kept connection that died is replaced for a request that may be repeated; a write is sent once
/// and once only.
#[test]
fn stale_connections_are_retried_once_and_only_where_nothing_can_happen_twice() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    // Every connection answers one request and dies on the second, without a word: the race that no
    // check can see.
    let engine = Engine::start(move |_, link| {
        let nth = counted.fetch_add(1, SeqCst);
        if nth.is_multiple_of(2) {
            link.answer(200, "OK")
        } else {
            link.close()
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES).start();
    // One client, since each event loop keeps connections of its own.
    let mut client = proxy.client();
    assert_eq!(client.request("GET /containers/json").body, "OK");
    // Second request on the kept connection: closed without an answer, asked again on a new one.
    assert_eq!(client.request("GET /containers/json").body, "OK");
    assert_eq!(count.load(SeqCst), 3);
    // Now one is kept again. A write must not ride on it: it gets a connection of its own, whose
    // first request dies.
    let response = proxy.client().request("POST /containers/c/start");
    assert_eq!(response.status, 502);
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("POST /containers/c/start")
            .count(),
        1
    );
}

/// Restarting the engine costs at most the requests in flight: its socket is opened by path each
/// time.
#[test]
fn an_engine_that_restarts_is_found_again() {
    let folder = TempDir::new();
    let path = folder.file("engine.sock");
    let proxy = in_front_of(&format!("unix://{path}"));
    for _ in 0..3 {
        let engine = Engine::ok();
        std::os::unix::fs::symlink(engine.path(), &path).expect("a link");
        for _ in 0..5 {
            assert_eq!(message(&proxy, 200), "OK");
        }
        let mut stream = proxy.client();
        drop(engine);
        std::fs::remove_file(&path).expect("a link");
        stream.send("GET /_ping HTTP/1.1\r\n\r\n");
        assert!([200, 502].contains(&stream.read_response().status));
    }
}

#[test]
fn a_tls_engine_is_checked_and_gets_our_certificate() {
    let engine = Engine::ok();
    let certs = Certs::make();
    // The proxy itself is the TLS engine here: its frontend asks for client certificates.
    let far = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--frontend-tls-cacert", &certs.file("ca.pem"))
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--frontend-tls-key", &certs.file("server.key"))
        .start();
    let port = far.address().rsplit(':').next().expect("a port").to_owned();
    let near = |cacert: &str, own: &str, host: &str| {
        ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &format!("tcp://{host}:{port}"))
            .arg("--backend-tls-cacert", &certs.file(cacert))
            .arg("--backend-tls-cert", &certs.file(&format!("{own}.pem")))
            .arg("--backend-tls-key", &certs.file(&format!("{own}.key")))
            .arg("--rules", RULES)
            .frontend("tcp://127.0.0.1:0")
            .start()
    };
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(message(&near("ca.pem", "client", host), 200), "OK");
    }
    // A TLS connection is kept and used again, as a plain one is.
    let kept = near("ca.pem", "client", "localhost");
    let before = far.log().len();
    let mut client = kept.client();
    for _ in 0..5 {
        assert_eq!(client.request("GET /containers/json").status, 200);
    }
    let requests = || {
        far.log()[before..]
            .iter()
            .filter(|line| {
                line.contains("request allowed") && line.contains("path=/containers/json")
            })
            .cloned()
            .collect::<Vec<_>>()
    };
    eventually("all five are logged", || requests().len() >= 5);
    let clients: std::collections::HashSet<String> = requests()
        .iter()
        .filter_map(|line| Some(line.split("client=").nth(1)?.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(clients.len(), 1, "{clients:?}");
    message(&near("ca.pem", "stranger", "localhost"), 502);
    let body = message(&near("stranger.pem", "client", "localhost"), 502);
    assert!(body.contains("certificate"), "{body}");
}
