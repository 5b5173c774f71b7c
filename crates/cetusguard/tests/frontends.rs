//! Where clients connect: TCP, Unix sockets, systemd's sockets, TLS.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use cetusguard_testkit::{Certs, Client, Engine, ProxyBuilder, Running, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn several_frontends_serve_at_once() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "")
        .frontend("tcp://localhost:0")
        .frontend("tcp://0.0.0.0:0")
        .frontend("tcp://:0")
        .frontend(&format!("unix://{}", folder.file("front.sock")))
        .start();
    assert_eq!(proxy.addresses().len(), 5);
    for address in proxy.addresses() {
        let address = address
            .replace("0.0.0.0", "127.0.0.1")
            .replace("[::]", "127.0.0.1");
        assert_eq!(
            Client::connect(&address).request("GET /_ping").status,
            200,
            "{address}"
        );
    }
    // An IPv4 client of the socket for both families is logged as what it is.
    assert!(proxy.log().iter().all(|line| !line.contains("::ffff:")));
    let everywhere = &proxy.addresses()[3];
    if has_ipv6() {
        assert_eq!(
            Client::connect(&everywhere.replace("[::]", "[::1]"))
                .request("GET /_ping")
                .status,
            200
        );
        let six = ProxyBuilder::new(PROGRAM, &engine, "")
            .frontend("tcp://[::1]:0")
            .start();
        assert!(six.addresses()[1].starts_with("tcp://[::1]:"));
        assert_eq!(
            Client::connect(&six.addresses()[1])
                .request("GET /_ping")
                .status,
            200
        );
    }
}

/// A network namespace whose loopback device is down has no ::1, as a host without IPv6 has none.
#[test]
fn a_host_without_ipv6_still_starts() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    if !Command::new("unshare")
        .args(["--net", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return eprintln!("skipped: only root can make a host without IPv6");
    }
    let without = |address: &str| {
        let builder = ProxyBuilder::bare("/usr/bin/unshare")
            .word("--net")
            .word(PROGRAM);
        builder
            .arg("--backend-addr", &engine.address())
            .frontend(address)
    };
    let socket = format!("unix://{}", folder.file("front.sock"));
    let proxy = without("tcp://[::1]:0")
        .frontend(&socket)
        .frontend("tcp://:0")
        .spawn();
    assert!(
        proxy
            .logged(&["level=warning", "no IPv6"])
            .contains("tcp://[::1]:0")
    );
    let _ = proxy.logged(&["msg=listening", "address=tcp://"]);
    let _ = proxy.logged(&["msg=listening", &socket]);
    assert_eq!(Client::connect(&socket).request("GET /_ping").status, 200);
    // Alone, it is an error.
    let (code, _, errors) = without("tcp://[::1]:0").run();
    assert!(
        code == Some(1) && errors.contains("tcp://[::1]:0: this host has no IPv6"),
        "{errors}"
    );
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("tcp://{}", taken.local_addr().expect("bound"));
    let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
        .frontend(&address)
        .frontend("tcp://192.0.2.1:1")
        .run();
    assert_eq!(code, Some(1));
    assert!(
        errors.contains(&format!("cannot listen on {address}"))
            && errors.contains("another program listens there"),
        "{errors}"
    );
    assert!(
        errors.contains("cannot listen on tcp://192.0.2.1:1"),
        "both are told: {errors}"
    );
}

#[test]
fn unix_sockets_have_mode_and_group_and_go_away() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let path = folder.file("front.sock");
    let group = std::fs::metadata(folder.path()).expect("a folder").gid();
    for (mode, want) in [(None, 0o660), (Some("0600"), 0o600), (Some("666"), 0o666)] {
        let mut builder = ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &engine.address())
            .frontend(&format!("unix://{path}"));
        builder = builder.arg("--frontend-socket-group", &group.to_string());
        if let Some(mode) = mode {
            builder = builder.arg("--frontend-socket-mode", mode);
        }
        let mut proxy = builder.start();
        let meta = std::fs::metadata(&path).expect("the socket");
        assert_eq!((meta.mode() & 0o777, meta.gid()), (want, group));
        assert_eq!(proxy.client().request("GET /_ping").status, 200);
        proxy.signal("TERM");
        assert!(proxy.wait().success());
        assert!(
            std::fs::metadata(&path).is_err(),
            "the socket's file is gone"
        );
    }
}

#[test]
fn a_stale_socket_is_replaced_and_nothing_else_is() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let start = |path: &str| {
        ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &engine.address())
            .frontend(&format!("unix://{path}"))
    };
    let stale = folder.file("stale.sock");
    drop(UnixListener::bind(&stale).expect("a socket"));
    assert_eq!(
        start(&stale).start().client().request("GET /_ping").status,
        200
    );

    let live = folder.file("live.sock");
    let _listener = UnixListener::bind(&live).expect("a socket");
    let (code, _, errors) = start(&live).run();
    assert!(
        code == Some(1) && errors.contains("another program listens there"),
        "{errors}"
    );

    let file = folder.write("precious.txt", "data");
    std::os::unix::fs::symlink(&file, folder.file("link.sock")).expect("a link");
    for path in [
        file.as_str(),
        &folder.file("link.sock"),
        &folder.path().display().to_string(),
    ] {
        let (code, _, errors) = start(path).run();
        assert!(
            code == Some(1) && errors.contains("it was left as it is"),
            "{errors}"
        );
    }
    assert_eq!(std::fs::metadata(&file).expect("the file").len(), 4);
    assert!(
        std::fs::symlink_metadata(&live)
            .expect("the socket")
            .file_type()
            .is_socket()
    );
}

/// A socket that somebody else has put in the place of ours is not ours to remove.
#[test]
fn only_our_own_socket_is_removed() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let path = folder.file("front.sock");
    let mut proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .frontend(&format!("unix://{path}"))
        .start();
    std::fs::remove_file(&path).expect("the socket");
    let _other = UnixListener::bind(&path).expect("another socket");
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    assert!(std::fs::metadata(&path).is_ok());
}

/// systemd passes listening sockets from descriptor 3 on, and says so in the environment
/// (sd_listen_fds(3)).
#[test]
fn sockets_from_systemd_are_served() {
    let engine = Engine::ok();
    let folder = TempDir::new();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = tcp.local_addr().expect("bound").to_string();
    let unix = UnixListener::bind(folder.file("passed.sock")).expect("a socket");
    let _child = Running(
        Command::new("sh")
            .args([
                "-c",
                "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$@\"",
                "sh",
                PROGRAM,
            ])
            .args([
                "--frontend-addr",
                "fd://",
                "--backend-addr",
                &engine.address(),
            ])
            .stdin(Stdio::from(OwnedFd::from(tcp)))
            .stdout(Stdio::from(OwnedFd::from(unix)))
            .spawn()
            .expect("a shell"),
    );
    eventually("the engine hears of both", || {
        let answers = |address: &str| Client::connect(address).request("GET /_ping").status == 200;
        answers(&address) && answers(&format!("unix://{}", folder.file("passed.sock")))
    });
    let (code, _, errors) = ProxyBuilder::bare(PROGRAM).frontend("fd://").run();
    assert!(
        code == Some(1) && errors.contains("systemd passed no listening socket"),
        "{errors}"
    );
}

fn tls(engine: &Engine, certs: &Certs, mutual: bool) -> ProxyBuilder {
    let builder = ProxyBuilder::new(PROGRAM, engine, "GET %API_PREFIX_EVENTS%")
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--frontend-tls-key", &certs.file("server.key"));
    if mutual {
        builder.arg("--frontend-tls-cacert", &certs.file("ca.pem"))
    } else {
        builder
    }
}

#[test]
fn tls_frontends_serve_those_who_speak_it() {
    let engine = Engine::ok();
    let certs = Certs::make();
    let proxy = tls(&engine, &certs, false).start();
    let mut client = Client::connect_tls(proxy.address(), certs.client(None));
    for _ in 0..3 {
        assert_eq!(client.request("GET /_ping").body, "OK");
    }
    client.finish();
    assert_eq!(client.read_to_end(), "");
    // Plain HTTP to a TLS port gets no HTTP answer, and harms nobody.
    assert_ne!(proxy.client().request("GET /_ping").status, 200);
    let _ = proxy.logged(&["TLS handshake failed"]);
    assert_eq!(
        Client::connect_tls(proxy.address(), certs.client(None))
            .request("GET /_ping")
            .status,
        200
    );
}

#[test]
fn mutual_tls_serves_only_certificates_of_its_ca() {
    let engine = Engine::ok();
    let certs = Certs::make();
    let proxy = tls(&engine, &certs, true).start();
    assert_eq!(
        Client::connect_tls(proxy.address(), certs.client(Some("client")))
            .request("GET /_ping")
            .status,
        200
    );
    for own in [None, Some("stranger"), Some("server")] {
        let response =
            Client::connect_tls(proxy.address(), certs.client(own)).request("GET /_ping");
        assert_eq!(response.status, 0, "{own:?}");
    }
    assert_eq!(engine.received().len(), 1, "nothing was forwarded for them");
}

/// Streams flush over TLS as they do without, and half-close is close_notify.
#[test]
fn streams_pass_over_tls() {
    let engine = Engine::start(|_, link| {
        link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        link.write("3\r\none\r\n");
        link.wait_for_close();
    });
    let certs = Certs::make();
    let proxy = tls(&engine, &certs, true).start();
    let mut client = Client::connect_tls(proxy.address(), certs.client(Some("client")));
    client.send("GET /events HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_head().status, 200);
    assert_eq!(client.read_chunk(), "one");
    drop(client);
    eventually("the engine is rid of it", || engine.open() == 0);
}

#[test]
fn bad_tls_files_are_named_at_start() {
    let engine = Engine::ok();
    let certs = Certs::make();
    let garbage = certs.folder.write("garbage.pem", "not a certificate");
    let mut cases = Vec::new();
    for (cert, key, want) in [
        (
            "server.pem",
            "client.key",
            "client.key is not the key of the first certificate in ",
        ),
        (
            "missing.pem",
            "server.key",
            "missing.pem cannot be read: there is no such file",
        ),
        (
            "garbage.pem",
            "server.key",
            "garbage.pem: no certificate (PEM) in it",
        ),
        (
            "server.pem",
            "garbage.pem",
            "garbage.pem: no private key (PEM) in it",
        ),
    ] {
        cases.push((
            vec![
                ("--frontend-tls-cert", certs.file(cert)),
                ("--frontend-tls-key", certs.file(key)),
            ],
            want,
        ));
    }
    cases.push((
        vec![("--frontend-tls-cert", certs.file("server.pem"))],
        "the TLS files of the frontend are incomplete",
    ));
    cases.push((
        vec![("--frontend-tls-cacert", certs.file("ca.pem"))],
        "the TLS files of the frontend are incomplete",
    ));
    cases.push((
        vec![("--backend-tls-cert", garbage.clone())],
        "the TLS files of the backend are incomplete",
    ));
    cases.push((
        vec![("--backend-tls-cacert", certs.file("ca.pem"))],
        "the backend is a Unix socket",
    ));
    for (flags, want) in cases {
        let mut builder = ProxyBuilder::bare(PROGRAM).arg("--backend-addr", &engine.address());
        for (name, value) in flags {
            builder = builder.arg(name, &value);
        }
        let (code, _, errors) = builder.run();
        assert!(code == Some(2) && errors.contains(want), "{want}: {errors}");
    }
}
