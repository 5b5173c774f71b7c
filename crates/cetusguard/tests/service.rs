//! Cetusguard as a service of systemd: its messages to the manager, its watchdog, the sockets that
//! it gets by name, and its replacement while clients connect.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use cetusguard_testkit::{
    Certs, Client, Engine, ProxyBuilder, Running, TempDir, eventually, patience,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET %API_PREFIX_CONTAINERS%/.*";

/// The service manager of a test.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn start(folder: &TempDir, name: &str) -> Self {
        let path = folder.file(name);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket
            .set_read_timeout(Some(patience()))
            .expect("a timeout");
        Self { socket, path }
    }

    /// Returns the next message that begins with a word.
    fn expect(&self, start: &str) -> String {
        let mut message = [0; 4096];
        loop {
            let length = self.socket.recv(&mut message).expect(start);
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }
}

#[test]
fn the_manager_hears_of_start_reload_and_stop() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let manager = Manager::start(&folder, "notify.sock");
    let rules = format!("rules: {RULES}\n");
    let config = folder.write("config.yaml", &rules);
    let mut proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &config)
        .arg("--backend-addr", &engine.address())
        .env("NOTIFY_SOCKET", &manager.path)
        .frontend("tcp://127.0.0.1:0")
        .start();
    let ready = manager.expect("READY=1");
    assert_eq!(
        ready,
        format!("READY=1\nSTATUS=serving on {}", proxy.address())
    );

    proxy.signal("HUP");
    let reloading = manager.expect("RELOADING=1");
    let time = reloading.split_once("\nMONOTONIC_USEC=").expect("a time").1;
    let micros: u64 = time.parse().expect("a number");
    assert!(micros > 0);
    assert!(
        manager
            .expect("READY=1")
            .contains("STATUS=serving the configuration reloaded by SIGHUP")
    );

    let _ = folder.write("config.yaml", "rules: GET /no %SUCH%\n");
    proxy.signal("HUP");
    let _ = manager.expect("RELOADING=1");
    assert!(
        manager
            .expect("READY=1")
            .contains("STATUS=serving the old configuration")
    );

    proxy.signal("TERM");
    let _ = manager.expect("STOPPING=1\nSTATUS=stopping");
    assert!(proxy.wait().success());
}

#[test]
fn the_watchdog_hears_of_a_process_that_makes_progress() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let manager = Manager::start(&folder, "notify.sock");
    let start = |builder: ProxyBuilder| {
        builder
            .arg("--backend-addr", &engine.address())
            .env("NOTIFY_SOCKET", &manager.path)
            .frontend("tcp://127.0.0.1:0")
            .start()
    };
    let proxy = start(
        ProxyBuilder::bare(PROGRAM)
            .arg("--workers", "3")
            .env("WATCHDOG_USEC", "40000"),
    );
    let _ = manager.expect("READY=1");
    // Connections have every event loop start.
    let _clients: Vec<Client> = (0..4).map(|_| proxy.client()).collect();
    assert!(proxy.serves());
    for _ in 0..5 {
        let _ = manager.expect("WATCHDOG=1");
    }
    drop(proxy);

    // A watchdog that watches another process gets nothing, and neither does one that is not there.
    for (name, value) in [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "0")] {
        while manager.socket.set_nonblocking(true).is_ok()
            && manager.socket.recv(&mut [0; 4096]).is_ok()
        {}
        manager.socket.set_nonblocking(false).expect("a socket");
        let builder = ProxyBuilder::bare(PROGRAM).env("WATCHDOG_USEC", "2");
        let mut proxy = start(builder.env(name, value));
        let _ = manager.expect("READY=1");
        assert!(proxy.serves());
        proxy.signal("TERM");
        let mut message = [0; 4096];
        let length = manager.socket.recv(&mut message).expect("a message");
        assert!(message[..length].starts_with(b"STOPPING=1"));
        assert!(proxy.wait().success());
    }
}

/// Starts the program with two listening sockets as systemd passes them.
fn spawn(
    tcp: &TcpListener,
    unix: &UnixListener,
    names: &str,
    words: &[&str],
    manager: &Manager,
) -> Running {
    let script = format!(
        "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names} \
        exec \"$@\""
    );
    let (tcp, unix) = (
        tcp.try_clone().expect("a socket"),
        unix.try_clone().expect("a socket"),
    );
    Running(
        Command::new("sh")
            .args(["-c", &script, "sh", PROGRAM])
            .args(words)
            .env("NOTIFY_SOCKET", &manager.path)
            .stdin(Stdio::from(OwnedFd::from(tcp)))
            .stdout(Stdio::from(OwnedFd::from(unix)))
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell"),
    )
}

#[test]
fn sockets_are_matched_by_name() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let manager = Manager::start(&folder, "notify.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let unix = UnixListener::bind(folder.file("passed.sock")).expect("a socket");
    let tcp_address = format!("tcp://{}", tcp.local_addr().expect("an address"));
    let unix_address = format!("unix://{}", folder.file("passed.sock"));
    let backend = engine.address();
    let config =
        |text: &str| folder.write("config.yaml", &format!("backend-addr: {backend}\n{text}"));

    // A frontend each, with a profile of its own.
    let path = config(&format!(
        "frontends:\n- addr: fd://first\n- addr: fd://second\n  profile: wide\n\
        profiles:\n  wide:\n    rules: {RULES}\n"
    ));
    let words = ["serve", "--config", &path];
    let child = spawn(&tcp, &unix, "first:second", &words, &manager);
    let _ = manager.expect("READY=1");
    let status = |address: &str, path: &str| {
        Client::connect(address)
            .request(&format!("GET {path}"))
            .status
    };
    assert_eq!(status(&tcp_address, "/containers/json"), 403);
    assert_eq!(status(&unix_address, "/containers/json"), 200);
    drop(child);

    // One is the admin listener's, whatever the order, and `fd://` takes the other one.
    let path = config("frontend-addr: fd://\nadmin-addr: fd://admin\n");
    let words = ["serve", "--config", &path];
    let child = spawn(&tcp, &unix, "main.socket:admin", &words, &manager);
    let _ = manager.expect("READY=1");
    assert_eq!(status(&unix_address, "/healthz"), 200);
    assert_eq!(status(&tcp_address, "/healthz"), 403);
    assert_eq!(status(&tcp_address, "/_ping"), 200);
    drop(child);

    let certs = Certs::make();
    let tls = format!(
        "frontend-addr: fd://first\nadmin-addr: fd://second\nadmin-tls-cert: {}\nadmin-tls-key: {}\n",
        certs.file("server.pem"),
        certs.file("server.key")
    );
    for (names, config, want) in [
        (
            "first:second",
            tls.as_str(),
            "admin-tls-cert is for TCP: let systemd pass a TCP socket",
        ),
        (
            "first:second",
            "frontend-addr: fd://first\n",
            "named \"second\" that no frontend uses",
        ),
        (
            "first:second",
            "frontend-addr: tcp://127.0.0.1:0\n",
            "named \"first\" that no frontend uses",
        ),
        (
            "first:second",
            "frontend-addr: fd://third\n",
            "LISTEN_FDNAMES has \"first:second\"",
        ),
        (
            "first:first",
            "frontend-addr: fd://first\nadmin-addr: fd://first\n",
            "expected an address that is no frontend",
        ),
    ] {
        let config = format!("backend-addr: {backend}\n{config}");
        let words = ["serve", "--config-data", &config];
        let mut child = spawn(&tcp, &unix, names, &words, &manager);
        let mut errors = String::new();
        let stderr = child.0.stderr.take().expect("piped");
        let _ = std::io::Read::read_to_string(&mut { stderr }, &mut errors);
        let code = child.0.wait().expect("a child").code();
        assert!(code != Some(0) && errors.contains(want), "{want}: {errors}");
    }
}

#[test]
fn an_admin_socket_of_systemd_is_not_for_every_user() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let manager = Manager::start(&folder, "notify.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let path = folder.file("admin.sock");
    let plain = UnixListener::bind(&path).expect("a socket");
    let name = format!("cetusguard-{}", std::process::id());
    let name = SocketAddr::from_abstract_name(name.as_bytes()).expect("a name");
    let unnamed = UnixListener::bind_addr(&name).expect("a socket");
    let token = folder.write("token", "0123456789abcdef0123456789abcdef");
    let config = format!(
        "backend-addr: {}\nfrontend-addr: fd://first\nadmin-addr: fd://second\n",
        engine.address()
    );
    let with_token = format!("{config}admin-token-file: {token}\n");
    let open = |mode| {
        let rights = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, rights).expect("the socket");
    };
    for (socket, mode, config, want) in [
        (
            &plain,
            0o666,
            &config,
            "(mode 0666), and requests need no token; set SocketMode=0600",
        ),
        (&plain, 0o602, &config, "(mode 0602)"),
        (&unnamed, 0o600, &config, "has an abstract name"),
        (&plain, 0o600, &config, ""),
        (&plain, 0o660, &config, ""),
        (&plain, 0o666, &with_token, ""),
        (&unnamed, 0o600, &with_token, ""),
    ] {
        open(mode);
        let words = ["serve", "--config-data", config];
        let mut child = spawn(&tcp, socket, "first:second", &words, &manager);
        if want.is_empty() {
            let _ = manager.expect("READY=1");
            continue;
        }
        let mut errors = String::new();
        let stderr = child.0.stderr.take().expect("piped");
        let _ = std::io::Read::read_to_string(&mut { stderr }, &mut errors);
        let code = child.0.wait().expect("a child").code();
        assert!(code != Some(0) && errors.contains(want), "{want}: {errors}");
    }
}

/// The configuration does not tell where a socket of systemd leads.
#[test]
fn an_admin_port_of_systemd_is_not_for_other_hosts() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let manager = Manager::start(&folder, "notify.sock");
    let unix = UnixListener::bind(folder.file("front.sock")).expect("a socket");
    let token = folder.write("token", "0123456789abcdef0123456789abcdef");
    let config = format!(
        "backend-addr: {}\nfrontend-addr: fd://second\nadmin-addr: fd://first\n",
        engine.address()
    );
    let with_token = format!("{config}admin-token-file: {token}\n");
    for (address, config, is_refused) in [
        ("127.0.0.1:0", &config, false),
        ("0.0.0.0:0", &config, true),
        ("0.0.0.0:0", &with_token, false),
    ] {
        let tcp = TcpListener::bind(address).expect("a port");
        let words = ["serve", "--config-data", config];
        let mut child = spawn(&tcp, &unix, "first:second", &words, &manager);
        if !is_refused {
            let _ = manager.expect("READY=1");
            continue;
        }
        let mut errors = String::new();
        let stderr = child.0.stderr.take().expect("piped");
        let _ = std::io::Read::read_to_string(&mut { stderr }, &mut errors);
        let want = "which other hosts may reach";
        assert!(errors.contains(want), "{address}: {errors}");
        assert_ne!(child.0.wait().expect("a child").code(), Some(0));
    }
}

fn stop(child: &Running) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill {}", child.0.id())])
        .status();
    assert!(status.expect("a shell").success());
}

/// Connects again and again until told to stop. Every connection is accepted, and every request
/// that was sent at once is answered.
fn keep_connecting(address: String, is_over: Arc<AtomicBool>, answered: mpsc::Sender<()>) {
    while !is_over.load(SeqCst) {
        let connected = Instant::now();
        let mut client = Client::connect(&address);
        let is_sent = client.send("GET /containers/one/json HTTP/1.1\r\n\r\n");
        // A process that stops waits a moment for a request on a connection that it has accepted.
        // If this thread had to wait longer than that for a processor, nothing is promised.
        if is_sent && connected.elapsed() < Duration::from_millis(100) {
            assert_eq!(client.read_response().status, 200, "{address}");
            let _ = answered.send(());
        }
    }
}

/// The new process takes the sockets while the old one finishes its requests.
#[test]
fn a_new_process_takes_over_without_a_refused_connection() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let engine = Engine::start(move |exchange, link| {
        if exchange.line.contains("/slow/") {
            let _ = held.lock().expect("the only user").recv_timeout(patience());
        }
        link.answer(200, "{}");
    });
    let folder = TempDir::new();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let unix = UnixListener::bind(folder.file("passed.sock")).expect("a socket");
    let addresses = [
        format!("tcp://{}", tcp.local_addr().expect("an address")),
        format!("unix://{}", folder.file("passed.sock")),
    ];
    let drain = format!("{}s", patience().as_secs());
    let backend = engine.address();
    let words = [
        "serve",
        "--frontend-addr",
        "fd://",
        "--backend-addr",
        &backend,
        "--rules",
        RULES,
        "--drain-timeout",
        &drain,
        "--log-level",
        "0",
    ];
    let start = |name: &str| {
        let manager = Manager::start(&folder, name);
        let child = spawn(&tcp, &unix, "a:b", &words, &manager);
        let _ = manager.expect("READY=1");
        (child, manager)
    };
    let (mut old, old_manager) = start("old.sock");
    let is_over = Arc::new(AtomicBool::new(false));
    let (answered, answers) = mpsc::channel();
    let clients = addresses.clone().map(|address| {
        let (is_over, answered) = (Arc::clone(&is_over), answered.clone());
        std::thread::spawn(move || keep_connecting(address, is_over, answered))
    });
    let await_answers = |count: usize| {
        for _ in 0..count {
            answers.recv_timeout(patience()).expect("an answer");
        }
    };
    await_answers(20);
    let mut slow = Client::connect(&addresses[0]);
    assert!(slow.send("GET /containers/slow/json HTTP/1.1\r\n\r\n"));
    eventually("the engine has it", || {
        engine.received().concat().contains("/containers/slow/")
    });

    let (mut new, _new_manager) = start("new.sock");
    stop(&old);
    let _ = old_manager.expect("STOPPING=1");
    while answers.try_recv().is_ok() {}
    await_answers(50);
    assert!(old.0.try_wait().expect("a child").is_none(), "it drains");
    release.send(()).expect("the engine waits");
    assert_eq!(
        slow.read_response().status,
        200,
        "the old one finishes its request"
    );
    assert!(old.0.wait().expect("a child").success());

    // As in `systemctl restart`: the old one has ended before the new one starts. Clients wait in
    // the queue of the socket.
    stop(&new);
    assert!(new.0.wait().expect("a child").success());
    let mut early: Vec<Client> = addresses.iter().map(|one| Client::connect(one)).collect();
    for client in &mut early {
        assert!(client.send("GET /containers/early/json HTTP/1.1\r\n\r\n"));
    }
    let (_last, _last_manager) = start("last.sock");
    for client in &mut early {
        assert_eq!(client.read_response().status, 200);
    }
    while answers.try_recv().is_ok() {}
    await_answers(20);
    is_over.store(true, SeqCst);
    for client in clients {
        client.join().expect("no connection was refused");
    }
}
