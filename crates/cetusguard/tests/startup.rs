//! Configurations that the program refuses at its start, and loops that it finds at run time.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET %API_PREFIX_CONTAINERS%/json";

/// The exit codes of `serve`, `check` and `doctor`, and whether each of them names the frontend as
/// the proxy's own.
fn verdicts(backend: &str, frontend: &str) -> [(Option<i32>, bool); 3] {
    ["serve", "check", "doctor"].map(|command| {
        let program = ProxyBuilder::bare(PROGRAM)
            .word(command)
            .env("DOCKER_HOST", backend);
        let (code, out, errors) = program.arg("--frontend-addr", frontend).run();
        let told: String = format!("{out}{errors}")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        (
            code,
            told.contains(&format!("the proxy's own frontend {frontend}")),
        )
    })
}

#[test]
fn a_backend_that_is_a_frontend_is_refused() {
    let folder = TempDir::new();
    let path = |name: &str| format!("unix://{}", folder.file(name));
    std::fs::create_dir(folder.file("real")).expect("a folder");
    for (target, link) in [
        ("real", "linked"),
        ("linked/proxy.sock", "proxy.link"),
        ("proxy.link", "again.link"),
    ] {
        std::os::unix::fs::symlink(target, folder.file(link)).expect("a link");
    }
    let _left_behind = UnixListener::bind(folder.file("old.sock")).expect("a socket");
    std::fs::hard_link(folder.file("old.sock"), folder.file("same.sock")).expect("a second name");
    let mut cases = vec![
        (
            "tcp://127.0.0.1:2399".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        (
            "tcp://localhost:2399".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        (
            "tcp://0.0.0.0:2399".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        (
            "tcp://127.0.0.2:2399".to_owned(),
            "tcp://0.0.0.0:2399".to_owned(),
        ),
        ("tcp://127.0.0.2:2399".to_owned(), "tcp://:2399".to_owned()),
        ("tcp://[::1]:2399".to_owned(), "tcp://[::]:2399".to_owned()),
        (
            "tcp://[::ffff:127.0.0.1]:2399".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        (path("proxy.sock"), path("proxy.sock")),
        (path("real/../proxy.sock"), path("proxy.sock")),
        (path("linked/proxy.sock"), path("real/proxy.sock")),
        (path("again.link"), path("real/proxy.sock")),
        (path("same.sock"), path("old.sock")),
    ];
    // The address under which other machines know this one, if there is one: asking for the way
    // sends nothing.
    let way = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    cases.extend(way.map(|own| (format!("tcp://{}:2399", own.ip()), "tcp://:2399".to_owned())));
    for (backend, frontend) in &cases {
        let refused = [(Some(2), true), (Some(2), true), (Some(1), true)];
        assert_eq!(
            verdicts(backend, frontend),
            refused,
            "{backend} behind {frontend}"
        );
    }
}

#[test]
fn another_backend_is_not() {
    let folder = TempDir::new();
    let path = |name: &str| format!("unix://{}", folder.file(name));
    for (backend, frontend) in [
        (
            "tcp://127.0.0.1:2398".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        (
            "tcp://127.0.0.2:2399".to_owned(),
            "tcp://127.0.0.1:2399".to_owned(),
        ),
        ("tcp://192.0.2.1:2399".to_owned(), "tcp://:2399".to_owned()),
        (
            "tcp://[::1]:2399".to_owned(),
            "tcp://0.0.0.0:2399".to_owned(),
        ),
        (path("engine.sock"), path("proxy.sock")),
    ] {
        let check = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--backend-addr", &backend);
        let (code, out, _) = check.arg("--frontend-addr", &frontend).run();
        assert_eq!(code, Some(0), "{backend} behind {frontend}: {out}");
    }
}

/// Nobody knows the addresses of sockets that systemd passes before they are there.
#[test]
fn a_backend_that_is_a_socket_of_systemd_is_refused() {
    let passed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp://{}", passed.local_addr().expect("bound"));
    let program = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"",
            "sh",
            PROGRAM,
        ])
        .args(["--frontend-addr", "fd://", "--backend-addr", &address])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(passed)))
        .output()
        .expect("a shell");
    let errors = String::from_utf8_lossy(&program.stderr);
    assert!(
        program.status.code() == Some(1) && errors.contains("is the proxy's own frontend"),
        "{errors}"
    );
}

fn between(frontend: &str, backend: &str) -> Proxy {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", backend)
        .arg("--rules", RULES);
    proxy.arg("--log-level", "7").frontend(frontend).start()
}

#[test]
fn a_ring_of_proxies_is_noticed_by_the_first_request() {
    let folder = TempDir::new();
    let [one, other] =
        ["one.sock", "other.sock"].map(|name| format!("unix://{}", folder.file(name)));
    let (first, second) = (between(&one, &other), between(&other, &one));
    let answer = Client::connect(&one).request("GET /containers/json");
    assert_eq!(answer.status, 508, "{answer:?}");
    assert!(
        answer
            .body
            .contains("the way to the engine leads back to the proxy"),
        "{answer:?}"
    );
    let _ = first.logged(&[
        "level=err",
        "path=/containers/json",
        "status=508",
        "reason=proxy_loop",
    ]);
    // Its own request has come through the other proxy, and was sent no further.
    let _ = first.logged(&[
        "msg=\"request allowed\"",
        "path=/containers/json",
        "status=508",
    ]);
    let _ = second.logged(&["path=/containers/json", "status=508"]);
    // The probes of the start go in the circle as well.
    let is_of_client =
        |line: &&String| line.contains("status=508") && line.contains("path=/containers/json");
    let records = |proxy: &Proxy| proxy.log().iter().filter(is_of_client).count();
    assert_eq!((records(&first), records(&second)), (2, 1));
}

/// A proxy may be the engine of another one. Names of others in `Via` go on, and the own one ends a
/// request.
#[test]
fn a_chain_of_proxies_is_no_ring() {
    let folder = TempDir::new();
    // It records the probes of both starts as well.
    let engine = Engine::probed(|_, link| link.answer(200, "OK"));
    let front = format!("unix://{}", folder.file("front.sock"));
    let far = between("tcp://127.0.0.1:0", &engine.address());
    let _near = between(&front, far.address());
    let mut client = Client::connect(&front);
    client.send("GET /containers/json HTTP/1.1\r\nHost: x\r\nVia: 1.1 somebody\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    let received = engine.received().concat();
    let is_of_client = |request: &&str| request.contains("GET /containers/json ");
    let request = received
        .split("\r\n\r\n")
        .find(is_of_client)
        .expect("the client's");
    let names: Vec<_> = request
        .lines()
        .filter_map(|line| line.strip_prefix("Via: "))
        .collect();
    assert!(
        names.len() == 3 && names[0] == "1.1 somebody" && names[1] != names[2],
        "{received}"
    );

    for own in [
        names[2].to_owned(),
        names[2].to_uppercase(),
        format!("1.0 a, {} ,1.1 b", names[2]),
    ] {
        let mut forged = far.client();
        forged.send(format!(
            "GET /containers/json HTTP/1.1\r\nHost: x\r\nVia: {own}\r\n\r\n"
        ));
        assert_eq!(forged.read_response().status, 508, "{own}");
        assert_eq!(
            forged.request("GET /_ping").status,
            200,
            "the connection goes on"
        );
    }
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("/containers/json")
            .count(),
        1
    );
}

/// The proxy's own requests are marked as well: with profiles by container, each of them would
/// cause another one.
#[test]
fn its_own_requests_are_marked() {
    let engine = Engine::scripted(|exchange, link| {
        let is_marked = exchange
            .header("via")
            .is_some_and(|via| via.starts_with("1.1 cetusguard-"));
        if !(is_marked && link.tell(exchange)) {
            link.answer(500, "{\"message\":\"a request without a mark\"}");
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST %API_PREFIX_CONTAINERS%/.+/exec").start();
    let answer = proxy
        .client()
        .request_with("POST /containers/c0ffee/exec", "{\"Cmd\":[\"id\"]}");
    assert_eq!(
        answer.status, 500,
        "the engine has no such call: {answer:?}"
    );
    assert!(
        engine
            .received()
            .concat()
            .contains("GET /containers/c0ffee/json"),
        "{:?}",
        engine.received()
    );
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("engine_lookup_failed")),
        "{:?}",
        proxy.log()
    );
}

/// `serve`, `check` and `healthcheck` agree on what a frontend is, whatever stands in its entry and
/// what in the options.
#[test]
fn the_health_check_finds_what_serve_uses() {
    let (engine, certs, folder) = (Engine::ok(), Certs::make(), TempDir::new());
    let (cert, key) = (certs.file("server.pem"), certs.file("server.key"));
    let [own_cert, own_key] = [("own.pem", &cert), ("own.key", &key)].map(|(name, file)| {
        std::fs::copy(file, folder.file(name)).expect("a copy");
        folder.file(name)
    });
    let options = format!("frontend-tls-cert: {cert}\nfrontend-tls-key: {key}\n");
    for entry in [
        String::new(),
        format!("  tls-cert: {own_cert}\n"),
        format!("  tls-key: {own_key}\n"),
        format!("  tls-cert: {own_cert}\n  tls-key: {own_key}\n"),
    ] {
        let config = |addr: &str| {
            folder.write(
                "config.yaml",
                &format!("{options}frontends:\n{addr}{entry}"),
            )
        };
        let path = config("- addr: tcp://:0\n");
        let proxy = ProxyBuilder::bare(PROGRAM)
            .arg("--config", &path)
            .arg("--backend-addr", &engine.address());
        let proxy = proxy.expect_frontend().start();
        let port = proxy
            .address()
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        let path = config(&format!("- addr: fd://\n- addr: tcp://:{port}\n"));
        let run = |words: &[&str]| {
            let program = ProxyBuilder::bare(PROGRAM)
                .arg("--config", &path)
                .env("DOCKER_HOST", &engine.address());
            words
                .iter()
                .fold(program, |program, word| program.word(word))
                .run()
        };
        // Sockets of systemd have no address that could be asked; one that listens everywhere has
        // many.
        let named = format!("tcp://127.0.0.1:{port}");
        for words in [&["healthcheck"][..], &["healthcheck", &named]] {
            assert_eq!(
                run(words),
                (Some(0), String::new(), String::new()),
                "{words:?} with {entry}"
            );
        }
        assert_eq!(run(&["check"]).0, Some(0), "{entry}");
    }
}
