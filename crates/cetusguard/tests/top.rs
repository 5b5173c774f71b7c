//! `cetusguard top`: it shows a running proxy, and says what is wrong where it cannot.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(events|containers/.*)";
const TOKEN: &str = "correct-horse-battery";

/// A proxy with this admin listener.
fn with_admin(engine: &Engine, address: &str) -> ProxyBuilder {
    ProxyBuilder::new(PROGRAM, engine, RULES).arg("--admin-addr", address)
}

fn socket(folder: &TempDir) -> String {
    format!("unix://{}", folder.file("admin.sock"))
}

/// Runs the command: the exit code, standard output and standard error.
fn top(words: &[&str]) -> (Option<i32>, String, String) {
    let start = ProxyBuilder::bare(PROGRAM).word("top");
    words
        .iter()
        .fold(start, |command, word| command.word(word))
        .run()
}

/// Runs the command while a client is refused again and again.
fn top_while_refused(proxy: &Proxy, target: &str, words: &[&str]) -> String {
    let is_over = AtomicBool::new(false);
    let mut text = String::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = proxy.client();
            while !is_over.load(Relaxed) {
                assert_eq!(client.request(&format!("GET {target}")).status, 403);
            }
        });
        // A machine may be too slow for two refusals in the second that is watched.
        eventually("refusals are shown", || {
            let (code, shown, error) = top(words);
            assert_eq!((code, error.as_str()), (Some(0), ""), "{shown}");
            text = shown;
            text.contains(" times) GET")
        });
        is_over.store(true, Relaxed);
    });
    text
}

#[test]
fn a_refused_call_is_shown_with_the_rule_that_would_allow_it() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_admin(&engine, &socket(&folder)).start();
    let text = top_while_refused(&proxy, "/images/json", &[&socket(&folder), "--once"]);
    for part in [
        &format!("cetusguard {} at unix:///", env!("CARGO_PKG_VERSION"))[..],
        ", generation ",
        "engine    ready\n",
        "requests  ",
        "refusals  ",
        " a second: no_rule ",
        "open      1 of ",
        " times) GET /images/json\n",
        "  = rules: GET %API_PREFIX_IMAGES%/json\n",
        "Clients",
        "127.0.0.1  default  1            0\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// Without a terminal, the command prints once as well.
#[test]
fn what_clients_write_controls_no_terminal() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_admin(&engine, &socket(&folder)).start();
    let text = top_while_refused(&proxy, "/x%e2%80%ae%5b2Jy", &[&socket(&folder)]);
    assert!(text.contains("GET /x\u{fffd}[2Jy\n"), "{text}");
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control), "{text:?}");
}

#[test]
fn the_configured_listener_is_asked_with_its_token() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = folder.write("token", &format!("{TOKEN}\n"));
    let other = folder.write("other", "another-horse-battery");
    let proxy = with_admin(&engine, "tcp://127.0.0.1:0")
        .arg("--admin-token-file", &file)
        .start();
    let address = proxy.admin_address();
    for words in [
        &["--admin-addr", &address, "--admin-token-file", &file][..],
        &[&address, "--token-file", &file],
        // The flag wins over the configuration.
        &[
            "--admin-addr",
            &address,
            "--admin-token-file",
            &other,
            "--token-file",
            &file,
        ],
    ] {
        let (code, text, error) = top(words);
        assert_eq!((code, error.as_str()), (Some(0), ""), "{words:?}");
        assert!(text.contains("engine    ready\n"), "{text}");
    }
    for (words, why) in [
        (&[&address[..]][..], "needs a token; give the one of its"),
        (
            &[&address, "--token-file", &other],
            "refuses the token; give the one of its admin-token-file: --token-file FILE",
        ),
        // The token of the configuration is not for another listener.
        (
            &[
                &address,
                "--admin-addr",
                "tcp://127.0.0.1:1",
                "--admin-token-file",
                &file,
            ],
            "needs a token",
        ),
    ] {
        let (code, text, error) = top(words);
        assert_eq!((code, text.as_str()), (Some(1), ""), "{words:?}");
        assert!(error.contains(why), "{why:?} is missing in: {error}");
        assert!(!error.contains("horse"), "{error}");
    }
}

#[test]
fn a_listener_that_cannot_be_asked_is_told_with_advice() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_admin(&engine, &socket(&folder)).start();
    let missing = format!("unix://{}", folder.file("missing.sock"));
    let (no_token, empty) = (folder.file("no-token"), folder.write("empty", "\n"));
    let socket = socket(&folder);
    for (words, parts) in [
        (
            &[&missing[..]][..],
            &["no such socket", "start the proxy with admin-addr"][..],
        ),
        (
            &["tcp://127.0.0.1:1"],
            &["nothing listens there", "name the address that it has"],
        ),
        (&[], &["has no admin-addr", "cetusguard top unix:///PATH"]),
        (&["/run/x"], &["\"/run/x\"", "unix:///run/x"]),
        (&["fd://"], &["expected unix:///PATH or tcp://HOST:PORT"]),
        (
            &[proxy.address()],
            &["answered 403 to /metrics", "and not of a frontend?"],
        ),
        (
            &[&socket, "--token-file", &no_token],
            &["cannot be read from", "no-token"],
        ),
        (
            &[&socket, "--token-file", &empty],
            &["does not hold one token"],
        ),
    ] {
        let (code, text, error) = top(words);
        assert_eq!((code, text.as_str()), (Some(1), ""), "{words:?}: {error}");
        for part in parts {
            assert!(error.contains(part), "{part:?} is missing in: {error}");
        }
    }
}

/// The certificate of the configuration is the only one that is accepted.
#[test]
fn a_listener_with_tls_is_asked_with_its_certificate() {
    let (engine, certs, others) = (Engine::ok(), Certs::make(), Certs::make());
    let [cert, key] = ["server.pem", "server.key"].map(|name| certs.file(name));
    let [other_cert, other_key] = ["server.pem", "server.key"].map(|name| others.file(name));
    let proxy = with_admin(&engine, "tcp://127.0.0.1:0")
        .arg("--admin-tls-cert", &cert)
        .arg("--admin-tls-key", &key)
        .start();
    let address = proxy.admin_address();
    let with_files = |cert, key| {
        top(&[
            "--admin-addr",
            &address,
            "--admin-tls-cert",
            cert,
            "--admin-tls-key",
            key,
        ])
    };
    let (code, text, error) = with_files(&cert, &key);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(text.contains("engine    ready\n"), "{text}");
    for ((code, _, error), why) in [
        (
            with_files(&other_cert, &other_key),
            "the certificate of the configuration has to be the one that the proxy has read",
        ),
        (
            top(&[&address]),
            "if it has TLS, name the file of its CA: --tls-cacert FILE",
        ),
    ] {
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(why), "{why:?} is missing in: {error}");
    }
}

/// The listener of another host is known by its CA, and the command by its own certificate.
#[test]
fn a_listener_that_wants_certificates_is_shown_one() {
    let (engine, certs, folder) = (Engine::ok(), Certs::make(), TempDir::new());
    let file = |name: &str| certs.file(name);
    let [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map(file);
    let proxy = with_admin(&engine, "tcp://127.0.0.1:0")
        .arg("--admin-tls-cert", &cert)
        .arg("--admin-tls-key", &key)
        .arg("--admin-tls-cacert", &ca)
        .start();
    let address = proxy.admin_address();
    let own = |name: &str| {
        let pair = [".pem", ".key"].map(|end| certs.file(&format!("{name}{end}")));
        [
            "--tls-cert".to_owned(),
            pair[0].clone(),
            "--tls-key".to_owned(),
            pair[1].clone(),
        ]
    };
    let asked = |first: &[&str], own: &[String]| {
        let own = own.iter().map(String::as_str);
        top(&first.iter().copied().chain(own).collect::<Vec<_>>())
    };
    let by_ca = [&address[..], "--tls-cacert", &ca];
    let by_configuration = ["--admin-addr", &address, "--admin-tls-cert", &cert];
    for first in [&by_ca[..], &by_configuration] {
        let (code, text, error) = asked(first, &own("client"));
        assert_eq!((code, error.as_str()), (Some(0), ""), "{first:?}");
        assert!(text.contains("engine    ready\n"), "{text}");
    }
    let missing = "give one that admin-tls-cacert has signed: --tls-cert FILE --tls-key FILE";
    let socket = socket(&folder);
    for (first, own, why) in [
        (&by_ca[..], &[][..], missing),
        (&by_ca, &own("stranger"), missing),
        (
            &[&address],
            &own("client"),
            "name the file of its CA: --tls-cacert FILE",
        ),
        (
            &[&socket, "--tls-cacert", &ca],
            &[],
            "is a Unix socket; leave --tls-cacert",
        ),
    ] {
        let (code, _, error) = asked(first, own);
        assert_eq!(code, Some(1), "{first:?}: {error}");
        assert!(error.contains(why), "{why:?} is missing in: {error}");
    }
    let (code, _, error) = top(&[&address, "--tls-cert", &cert]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--tls-key"), "{error}");
}

/// Root may open every socket.
#[test]
fn a_socket_that_others_may_not_open_is_told_with_its_option() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let _proxy = with_admin(&engine, &socket(&folder))
        .arg("--admin-socket-mode", "0000")
        .start();
    let mode = std::fs::metadata(folder.file("admin.sock"))
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0);
    let is_root = std::os::unix::net::UnixStream::connect(folder.file("admin.sock")).is_ok();
    let (code, _, error) = top(&[&socket(&folder)]);
    if is_root {
        assert_eq!(code, Some(0), "{error}");
        return;
    }
    assert_eq!(code, Some(1));
    assert!(error.contains("permission denied"), "{error}");
    assert!(error.contains("admin-socket-mode"), "{error}");
}

/// A stream that is open, and the connection that holds it.
#[test]
fn open_streams_are_counted() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            link.wait_for_close();
        } else {
            link.answer(200, "OK");
        }
    });
    let folder = TempDir::new();
    let proxy = with_admin(&engine, &socket(&folder)).start();
    let mut stream: Client = proxy.client();
    stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    let (code, text, error) = top(&[&socket(&folder), "--once"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        text.contains(", 1 stream,") || text.contains(", 1 stream\n"),
        "{text}"
    );
    assert!(
        text.contains("127.0.0.1  default  1            1\n"),
        "{text}"
    );
    assert!(text.contains("none since this view began"), "{text}");
}
