//! The live pages of the admin listener: decisions while they are made, and the clients that are
//! connected.

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(events|containers/.*)";

/// A proxy whose admin listener has a Unix socket in this folder.
fn with_socket(engine: &Engine, folder: &TempDir) -> ProxyBuilder {
    ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", RULES)
        .arg("--admin-addr", &socket(folder))
        .frontend("tcp://127.0.0.1:0")
}

fn socket(folder: &TempDir) -> String {
    format!("unix://{}", folder.file("admin.sock"))
}

/// A reader of decisions.
struct Reader {
    client: Client,
    text: String,
}

impl Reader {
    /// Begins to read. Decisions that are made after this are sent.
    fn begin(address: &str, query: &str) -> Self {
        Self::begin_with(address, query, "")
    }

    fn begin_with(address: &str, query: &str, headers: &str) -> Self {
        Self::begin_on(Client::connect(address), query, headers)
    }

    fn begin_on(mut client: Client, query: &str, headers: &str) -> Self {
        client.send(format!(
            "GET /decisions{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        ));
        let head = client.read_head();
        assert_eq!(head.status, 200, "{}", head.head);
        assert_eq!(
            head.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
        assert_eq!(client.read_chunk(), ": decisions from now on\n\n");
        Self {
            client,
            text: String::new(),
        }
    }

    /// Returns the next event as its lines; `None` at the end of the stream.
    fn event(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with(':') {
                    continue;
                }
                return Some(event);
            }
            let chunk = self.client.read_chunk();
            if chunk.is_empty() {
                assert_eq!(self.text, "", "no event is cut");
                return None;
            }
            self.text.push_str(&chunk);
        }
    }

    /// Returns the next decision.
    fn decision(&mut self) -> Value {
        let event = self.event().expect("an event");
        let data = event.strip_prefix("data: ").expect(&event);
        serde_json::from_str(data).expect("JSON")
    }
}

fn clients(address: &str) -> Value {
    let mut client = Client::connect(address);
    client.send("GET /clients HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = client.read_response();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).expect("JSON")
}

/// An engine whose events stay open, which answers everything else.
fn engine_with_streams() -> Engine {
    Engine::start(|exchange, link| {
        if exchange.line.contains("events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            link.wait_for_close();
        } else {
            link.answer(200, "OK");
        }
    })
}

fn open_stream(proxy: &Proxy) -> Client {
    let mut stream = proxy.client();
    stream.send("GET /events?filters=secret HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    assert_eq!(stream.read_chunk(), "one");
    stream
}

/// The keys of a JSON object in the order of its text: no key is written twice, and none of the
/// values of these tests has braces.
fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[test]
fn every_decision_arrives_whatever_the_log_level_is() {
    let (engine, folder) = (engine_with_streams(), TempDir::new());
    let proxy = with_socket(&engine, &folder)
        .arg("--log-level", "6")
        .start();
    let mut reader = Reader::begin(&socket(&folder), "");
    let mut client = proxy.client();
    assert_eq!(client.request("GET /containers/json").status, 200);
    let refused = client.request("GET /images/json");
    assert_eq!(refused.status, 403);
    let stream = open_stream(&proxy);

    let allowed = reader.decision();
    assert_eq!(
        (&allowed["msg"], &allowed["path"], &allowed["status"]),
        (
            &"request allowed".into(),
            &"/containers/json".into(),
            &200.into()
        )
    );
    let denied = reader.decision();
    assert_eq!(
        (&denied["msg"], &denied["reason"], &denied["profile"]),
        (
            &"request refused".into(),
            &"no_rule".into(),
            &"default".into()
        )
    );
    // The line that would allow it, and the identifier that the client has.
    assert_eq!(denied["add_rules"], "GET %API_PREFIX_IMAGES%/json");
    assert_eq!(
        denied["request_id"].as_str(),
        refused.header("x-request-id")
    );
    let started = reader.decision();
    assert_eq!(
        (&started["msg"], &started["path"]),
        (&"stream started".into(), &"/events".into())
    );
    drop(stream);
    let ended = reader.decision();
    assert_eq!(ended["request_id"], started["request_id"]);
    assert_eq!(ended["reason"], "client_disconnected");
    let is_allowed = |line: &String| line.contains("request allowed");
    assert!(!proxy.log().iter().any(is_allowed));
}

/// An event has the same text as the line of the log, but for the time at which it was written.
#[test]
fn an_event_is_the_line_of_the_log() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_socket(&engine, &folder)
        .arg("--log-level", "7")
        .arg("--log-format", "json")
        .arg("--mode", "audit")
        .start();
    let mut reader = Reader::begin(&socket(&folder), "");
    for line in ["GET /containers/json", "GET /images/json"] {
        assert_eq!(proxy.client().request(line).status, 200);
        let event = reader.decision();
        let id = event["request_id"].as_str().expect("an identifier");
        let logged = proxy.logged(&[&format!("\"request_id\":\"{id}\"")]);
        let logged: Value = serde_json::from_str(&logged).expect("JSON");
        assert_eq!(keys(&event), keys(&logged));
        for key in ["msg", "path", "decision", "reason", "add_rules", "client"] {
            assert_eq!(event[key], logged[key], "{key}");
        }
    }
    let would_deny = proxy.logged(&[r#""decision":"would_deny""#]);
    assert!(would_deny.contains("add_rules"), "{would_deny}");
}

#[test]
fn readers_get_the_decisions_that_they_ask_for() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write(
        "config.yaml",
        "profiles:\n  audited:\n    clients:\n      - address: 127.0.0.9\n    mode: audit\n    \
        rules: GET /info\n",
    );
    let proxy = with_socket(&engine, &folder)
        .arg("--config", &config)
        .start();
    let admin = socket(&folder);
    let mut readers: Vec<_> = [
        "?decision=refused",
        "?decision=allowed&client=127.0.0.1",
        "?profile=audited&decision=would_deny",
        "?reason=no_rule&client=127.0.0.1",
    ]
    .map(|query| Reader::begin(&admin, query))
    .into();
    // As many as may read at a time.
    let mut one_more = Client::connect(&admin);
    one_more.send("GET /decisions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = one_more.read_response();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("10"))
    );

    let mut audited = Client::connect_from("127.0.0.9", proxy.address());
    assert_eq!(audited.request("GET /volumes").status, 200);
    let mut other = proxy.client();
    assert_eq!(other.request("GET /containers/json").status, 200);
    assert_eq!(other.request("GET /images/json").status, 403);
    let paths: Vec<_> = readers
        .iter_mut()
        .map(|reader| reader.decision()["path"].clone())
        .collect();
    assert_eq!(
        paths,
        [
            "/images/json",
            "/containers/json",
            "/volumes",
            "/images/json"
        ]
    );
    // Places are given back.
    drop(readers);
    eventually("a place is free", || {
        let mut client = Client::connect(&admin);
        client.send("GET /decisions HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.read_head().status == 200
    });
}

#[test]
fn mistakes_in_a_filter_are_told() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let _proxy = with_socket(&engine, &folder).start();
    for (query, want) in [
        ("?decision=denied", "decision is one of allowed"),
        ("?reason=because", "reason is a word"),
        ("?user=x", "the parameters are profile, client, decision"),
    ] {
        let mut client = Client::connect(&socket(&folder));
        client.send(format!(
            "GET /decisions{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ));
        let answer = client.read_response();
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains(want), "{}", answer.body);
    }
    let mut client = Client::connect(&socket(&folder));
    client.send("HEAD /decisions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.read_head().status, 200);
    assert!(client.is_closed());
}

/// A reader that does not read holds up no client. It learns how many decisions it has lost, and
/// the two numbers together are all decisions.
#[test]
fn a_slow_reader_loses_decisions_and_holds_up_no_client() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_socket(&engine, &folder).start();
    let mut slow = Reader::begin(&socket(&folder), "?decision=refused");
    let mut fast = Reader::begin(&socket(&folder), "?decision=allowed");
    // More than the queue and the buffers of the socket hold together.
    let (mut client, mut sent) = (proxy.client(), 0_u64);
    let long = "x".repeat(800);
    while sent < 4000 {
        let refused = client.request(&format!("GET /images/{long}/json"));
        assert_eq!(refused.status, 403);
        sent += 1;
    }
    assert_eq!(client.request("GET /containers/json").status, 200);
    assert_eq!(fast.decision()["path"], "/containers/json");
    let (mut read, mut lost) = (0, 0);
    while read + lost < sent {
        let event = slow.event().expect("an event");
        match event.strip_prefix("event: lost\ndata: ") {
            Some(data) => {
                let data: Value = serde_json::from_str(data).expect("JSON");
                lost += data["count"].as_u64().expect("a number");
            }
            None => read += 1,
        }
    }
    assert_eq!(read + lost, sent);
    assert!(lost > 0 && read > 100, "{read} read and {lost} lost");
    // The stream goes on with the next decision.
    assert_eq!(client.request("GET /images/last/json").status, 403);
    assert_eq!(slow.decision()["path"], "/images/last/json");
}

/// Streams take no place of scrapers, and outlive the ten seconds of other connections.
#[test]
fn streams_and_scrapers_leave_each_other_alone() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_socket(&engine, &folder).start();
    let admin = socket(&folder);
    let mut readers: Vec<_> = (0..4).map(|_| Reader::begin(&admin, "")).collect();
    // More connections than there are places; the oldest ones are ended.
    let mut silent: Vec<_> = (0..40).map(|_| Client::connect(&admin)).collect();
    assert!(clients(&admin)["clients"].is_array());
    assert!(silent[0].is_closed());
    assert_eq!(proxy.client().request("GET /containers/json").status, 200);
    for reader in &mut readers {
        assert_eq!(reader.decision()["path"], "/containers/json");
    }
}

#[test]
fn a_new_token_ends_the_streams_of_the_old_one() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = folder.write("token", "correct-horse-battery");
    let proxy = with_socket(&engine, &folder)
        .arg("--admin-token-file", &file)
        .start();
    let admin = socket(&folder);
    let with = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mut reader = Reader::begin_with(&admin, "", &with("correct-horse-battery"));
    // A reload that leaves the token as it is ends nothing.
    proxy.signal("HUP");
    let _ = proxy.logged(&["configuration reloaded"]);
    assert_eq!(proxy.client().request("GET /containers/json").status, 200);
    assert_eq!(reader.decision()["path"], "/containers/json");

    folder.write("token", "another-horse-battery");
    proxy.signal("HUP");
    assert_eq!(reader.event(), None);
    eventually("the new token is used", || {
        let mut client = Client::connect(&admin);
        let header = with("another-horse-battery");
        client.send(format!(
            "GET /decisions HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
        ));
        client.read_head().status == 200
    });
    let mut client = Client::connect(&admin);
    let header = with("correct-horse-battery");
    client.send(format!(
        "GET /decisions HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
    ));
    assert_eq!(client.read_head().status, 401);
}

/// The stream ends with the proxy, behind the last decision and with the end of its coding.
#[test]
fn a_stream_ends_cleanly_when_the_proxy_stops() {
    let (engine, folder) = (engine_with_streams(), TempDir::new());
    let mut proxy = with_socket(&engine, &folder).start();
    let mut reader = Reader::begin(&socket(&folder), "");
    let _stream = open_stream(&proxy);
    assert_eq!(reader.decision()["msg"], "stream started");
    proxy.signal("TERM");
    let ended = reader.decision();
    assert_eq!(ended["reason"], "shutting_down");
    assert_eq!(reader.event(), None);
    assert!(reader.client.is_closed());
    assert!(proxy.wait().success());
}

#[test]
fn clients_are_shown_with_their_streams_and_shares() {
    let (engine, folder) = (engine_with_streams(), TempDir::new());
    let config = folder.write(
        "config.yaml",
        "profiles:\n  watcher:\n    clients:\n      - address: 127.0.0.9\n    max-streams: 3\n    \
        max-connections-per-client: 7\n    rules: GET %API_PREFIX%/events\n",
    );
    let proxy = with_socket(&engine, &folder)
        .arg("--config", &config)
        .arg("--memory-limit", "256MiB")
        .start();
    let admin = socket(&folder);
    assert_eq!(clients(&admin)["clients"], Value::Array(vec![]));

    let mut stream = Client::connect_from("127.0.0.9", proxy.address());
    stream.send("GET /v1.43/events?filters=secret HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    let mut other = proxy.client();
    assert_eq!(other.request("GET /containers/json").status, 200);
    let _silent = proxy.client();
    eventually("all are connected", || {
        clients(&admin)["clients"].as_array().map(Vec::len) == Some(3)
    });
    let shown = clients(&admin);
    let watcher = &shown["clients"][0];
    assert_eq!(
        (
            &watcher["client"],
            &watcher["profile"],
            &watcher["connections"]
        ),
        (&"127.0.0.9".into(), &"watcher".into(), &1.into())
    );
    assert_eq!(watcher["frontend"].as_str(), Some(proxy.address()));
    assert_eq!(
        watcher["shares"]["streams"],
        serde_json::json!({ "used": 1, "limit": 3 })
    );
    assert_eq!(
        watcher["shares"]["connections"],
        serde_json::json!({ "used": 1, "limit": 7 })
    );
    let open = &watcher["streams"][0];
    assert_eq!(
        (&open["method"], &open["path"], &open["endpoint"]),
        (
            &"GET".into(),
            &"/v1.43/events".into(),
            &"system.events".into()
        )
    );
    assert!(open["seconds"].as_f64().is_some_and(|time| time >= 0.0));
    assert_eq!(watcher["shares"]["exchanges"]["used"], 1);
    assert!(!shown.to_string().contains("secret"));
    let profiles: Vec<_> = shown["clients"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|client| client["profile"].clone())
        .collect();
    assert_eq!(
        profiles,
        [Value::from("watcher"), "default".into(), Value::Null]
    );
    assert_eq!(shown["shares"]["connections"]["used"], 3);

    drop((stream, other));
    eventually("they have left", || {
        clients(&admin)["clients"].as_array().map(Vec::len) == Some(1)
    });
}

#[test]
fn more_clients_than_are_shown_are_counted() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_socket(&engine, &folder).start();
    let connected: Vec<_> = (0..210)
        .map(|number| {
            let source = format!("127.0.1.{}", number + 1);
            let mut client = Client::connect_from(&source, proxy.address());
            assert_eq!(client.request("GET /containers/json").status, 200);
            client
        })
        .collect();
    let shown = clients(&socket(&folder));
    assert_eq!(shown["clients"].as_array().map(Vec::len), Some(200));
    assert_eq!(shown["clients_left_out"], 10);
    drop(connected);
}

/// The page has no data and needs no token; nothing but its own script and style runs in it.
#[test]
fn the_page_is_locked_down() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = folder.write("token", "correct-horse-battery");
    let _proxy = with_socket(&engine, &folder)
        .arg("--admin-token-file", &file)
        .start();
    let get = |line: &str| {
        let mut client = Client::connect(&socket(&folder));
        client.send(format!("{line} HTTP/1.1\r\nHost: admin.example\r\n\r\n"));
        client.read_response()
    };
    let page = get("GET /");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(!policy.contains("unsafe") && policy.matches("'sha256-").count() == 2);
    for part in [
        "default-src 'none'; script-src 'sha256-",
        "connect-src 'self';",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert_eq!(page.body, include_str!("../../proxy/src/admin/page.html"));
    // Nothing else is there without the token.
    for path in [
        "/clients",
        "/decisions",
        "/policy",
        "//",
        "/?x",
        "/index.html",
    ] {
        let status = get(&format!("GET {path}")).status;
        assert_eq!(status, if path == "/?x" { 200 } else { 401 }, "{path}");
    }
    assert_eq!(get("POST /").status, 405);
}

fn with_tls(engine: &Engine, cert: &str, key: &str, cacert: &str) -> ProxyBuilder {
    ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", RULES)
        .arg("--admin-addr", "tcp://127.0.0.1:0")
        .arg("--admin-tls-cert", cert)
        .arg("--admin-tls-key", key)
        .arg("--admin-tls-cacert", cacert)
        .frontend("tcp://127.0.0.1:0")
}

#[test]
fn mutual_tls_admits_only_certificates_of_its_ca() {
    let (engine, certs) = (Engine::ok(), Certs::make());
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| certs.file(name));
    let proxy = with_tls(&engine, &cert, &key, &ca).start();
    let admin = proxy.admin_address();
    let ask = |own: Option<&str>| {
        let mut client = Client::connect_tls(&admin, certs.client(own));
        // Certificates have a name: any other one is free.
        client.send("GET /metrics HTTP/1.1\r\nHost: admin.example\r\n\r\n");
        client.read_response()
    };
    let answer = ask(Some("client"));
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .body
            .contains("cetusguard_admin_certificate_expiry_timestamp_seconds ")
    );
    for own in [None, Some("stranger")] {
        assert_eq!(ask(own).status, 0, "{own:?}");
    }
    let _ = proxy.logged(&["TLS handshake failed"]);
    let mut plain = Client::connect(&admin);
    plain.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_ne!(plain.read_head().status, 200);
    // A page of another site in a browser that has the certificate gets nothing.
    let mut page = Client::connect_tls(&admin, certs.client(Some("client")));
    page.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n");
    assert_eq!(page.read_head().status, 403);
}

/// A client that fails again and again does not fill the log.
#[test]
fn failed_handshakes_get_one_line() {
    let (engine, certs) = (Engine::ok(), Certs::make());
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| certs.file(name));
    let proxy = with_tls(&engine, &cert, &key, &ca)
        .arg("--frontend-tls-cert", &cert)
        .arg("--frontend-tls-key", &key)
        .start();
    let fail = |address: &str, from: &str| {
        let mut plain = Client::connect_from(from, address);
        plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let _ = plain.read_response();
    };
    let addresses = [proxy.admin_address(), proxy.address().to_owned()];
    for address in &addresses {
        (0..5).for_each(|_| fail(address, "127.0.0.1"));
        fail(address, "127.0.0.2");
    }
    let lines = || -> Vec<String> {
        let log = proxy.log().into_iter();
        log.filter(|line| line.contains("TLS handshake failed"))
            .collect()
    };
    // What came before has been noted when these lines are there.
    for address in &addresses {
        let before = lines().len();
        fail(address, "127.0.0.3");
        eventually("a line", || lines().len() > before);
    }
    let lines = lines();
    assert_eq!(lines.len(), 6, "{lines:?}");
    for client in [1, 2, 3].map(|host| format!("client=127.0.0.{host}:")) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(&client)).collect();
        assert_eq!(found.len(), 2, "{lines:?}");
        assert!(
            found.iter().all(|line| line.ends_with(" failed=1")),
            "{lines:?}"
        );
    }
}

/// A renewed certificate is used for new connections, and another CA ends the streams of clients of
/// the old one.
#[test]
fn certificates_of_the_admin_listener_are_reloaded() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (old, new) = (Certs::make(), Certs::make());
    let copy = |certs: &Certs, name: &str| {
        std::fs::copy(certs.file(name), folder.file(name)).expect("a copy");
    };
    let names = ["server.pem", "server.key", "ca.pem"];
    names.iter().for_each(|name| copy(&old, name));
    let [cert, key, ca] = names.map(|name| folder.file(name));
    let proxy = with_tls(&engine, &cert, &key, &ca).start();
    let admin = proxy.admin_address();
    let connect = |certs: &Certs| Client::connect_tls(&admin, certs.client(Some("client")));
    let mut reader = Reader::begin_on(connect(&old), "", "");
    assert_eq!(proxy.client().request("GET /containers/json").status, 200);
    assert_eq!(reader.decision()["path"], "/containers/json");

    names.iter().for_each(|name| copy(&new, name));
    proxy.signal("HUP");
    assert_eq!(reader.event(), None);
    eventually("the new certificates are used", || {
        let mut client = connect(&new);
        client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.read_head().status == 200
    });
    let mut client = connect(&old);
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.read_head().status, 0);
}

#[test]
fn tls_settings_that_do_not_fit_are_refused() {
    let certs = Certs::make();
    let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| certs.file(name));
    for (options, want) in [
        (
            vec![
                ("--admin-addr", "tcp://127.0.0.1:0"),
                ("--admin-tls-cert", &*cert),
            ],
            "the TLS files of the admin listener are incomplete",
        ),
        (
            vec![
                ("--admin-addr", "tcp://0.0.0.0:0"),
                ("--admin-tls-cert", &cert),
                ("--admin-tls-key", &key),
            ],
            "expected unix:///PATH or a loopback address",
        ),
        (
            vec![
                ("--admin-addr", "unix:///tmp/x.sock"),
                ("--admin-tls-cert", &cert),
                ("--admin-tls-key", &key),
            ],
            "expected tcp://HOST:PORT, since admin-tls-cert is set",
        ),
        (
            vec![
                ("--admin-addr", "tcp://0.0.0.0:0"),
                ("--admin-tls-cacert", &ca),
            ],
            "the TLS files of the admin listener are incomplete",
        ),
    ] {
        let mut program = ProxyBuilder::bare(PROGRAM).word("check");
        for (name, value) in &options {
            program = program.arg(name, value);
        }
        let (code, out, errors) = program.run();
        let told = format!("{out}{errors}");
        let words: Vec<_> = told.split_whitespace().collect();
        assert_eq!(code, Some(2), "{options:?} {told}");
        assert!(words.join(" ").contains(want), "{want} in {told}");
    }
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--admin-addr", "tcp://0.0.0.0:9375")
        .arg("--admin-tls-cert", &cert)
        .arg("--admin-tls-key", &key)
        .arg("--admin-tls-cacert", &ca)
        .run();
    assert_eq!(code, Some(0), "{out}{errors}");
}
