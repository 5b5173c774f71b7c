//! The admin listener: what operators see is what the log says, whatever clients do, and nobody
//! else sees it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use cetusguard_testkit::{
    Certs, Client, Docker, Engine, Proxy, ProxyBuilder, Response, TempDir, eventually,
};
use regex::Regex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX%/(events|containers/.*)";
const OPEN_METRICS: &str = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

/// A proxy whose admin listener has a Unix socket in this folder.
fn with_socket(engine: &Engine, folder: &TempDir) -> ProxyBuilder {
    ProxyBuilder::new(PROGRAM, engine, RULES).arg("--admin-addr", &socket(folder))
}

fn socket(folder: &TempDir) -> String {
    format!("unix://{}", folder.file("admin.sock"))
}

/// Asks the admin listener, with more header lines.
fn ask_with(address: &str, line: &str, headers: &[&str]) -> Response {
    let mut client = Client::connect(address);
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    client.send(format!("{line} HTTP/1.1\r\n{headers}\r\n"));
    client.read_response()
}

fn ask(address: &str, path: &str) -> Response {
    ask_with(address, &format!("GET {path}"), &["Host: localhost"])
}

/// The samples of a scrape, by name with labels.
fn samples(address: &str) -> BTreeMap<String, f64> {
    let answer = ask(address, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

fn value(address: &str, sample: &str) -> f64 {
    samples(address).get(sample).copied().unwrap_or(f64::NAN)
}

fn policy(address: &str) -> serde_json::Value {
    let answer = ask(address, "/policy");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).expect("JSON")
}

/// The requests of the log by profile and outcome, in the words of the metric.
fn outcomes_in_log(proxy: &Proxy) -> BTreeMap<String, f64> {
    let field = |line: &str, key: &str| {
        let (_, rest) = line.split_once(&format!(" {key}="))?;
        Some(rest.split(' ').next()?.to_owned())
    };
    let mut counts = BTreeMap::new();
    for line in proxy.log() {
        // A stream has one more line at its beginning, without a duration.
        if field(&line, "request_id").is_none() || field(&line, "duration_ms").is_none() {
            continue;
        }
        let profile = field(&line, "profile").unwrap_or_default();
        let outcome = field(&line, "reason").unwrap_or_else(|| "served".to_owned());
        let name =
            format!("cetusguard_requests_total{{profile=\"{profile}\",outcome=\"{outcome}\"}}");
        *counts.entry(name).or_insert(0.0) += 1.0;
    }
    counts
}

fn outcomes_in_scrape(address: &str) -> BTreeMap<String, f64> {
    let mut counts = samples(address);
    counts.retain(|name, count| name.starts_with("cetusguard_requests_total{") && *count > 0.0);
    counts
}

/// An engine whose events stay open, which answers everything else but `/containers/broken/json`.
fn engine_with_streams() -> Engine {
    Engine::start(|exchange, link| {
        if exchange.line.contains("events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            link.wait_for_close();
        } else if exchange.line.contains("broken") {
            link.close();
        } else {
            link.answer(200, "OK");
        }
    })
}

#[test]
fn counters_equal_the_log() {
    let (engine, folder) = (engine_with_streams(), TempDir::new());
    let proxy = with_socket(&engine, &folder).start();
    let admin = socket(&folder);
    for _ in 0..3 {
        assert_eq!(proxy.client().request("GET /containers/json").status, 200);
    }
    for (line, status) in [
        ("GET /images/json", 403),
        ("GET /images/json", 403),
        ("GET /nothing/there", 403),
        ("GET /containers/broken/json", 502),
        ("GET /containers/%zz/json", 400),
    ] {
        assert_eq!(proxy.client().request(line).status, status, "{line}");
    }
    let mut garbage = proxy.client();
    garbage.send("no request\r\n\r\n");
    assert_eq!(garbage.read_response().status, 400);
    let mut stream = proxy.client();
    stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    assert_eq!(stream.read_chunk(), "one");

    let of_default = |name: &str| value(&admin, &format!("{name}{{profile=\"default\"}}"));
    eventually("the stream is open", || {
        (of_default("cetusguard_streams") - 1.0).abs() < 0.1
    });
    assert!(value(&admin, "cetusguard_connections") >= 1.0);
    let refusals = "cetusguard_refusals_total{profile=\"default\",reason=\"no_rule\"}";
    assert!(value(&admin, refusals) >= 2.0);
    drop(stream);
    eventually("the stream has ended", || {
        of_default("cetusguard_streams") < 0.5
    });
    eventually("the counters equal the log", || {
        let log = outcomes_in_log(&proxy);
        log.len() >= 5 && log == outcomes_in_scrape(&admin)
    });
    assert!(
        (value(
            &admin,
            "cetusguard_engine_errors_total{reason=\"engine_closed\"}"
        ) - 1.0)
            .abs()
            < 0.1
    );
    // Streams are not timed.
    let timed = of_default("cetusguard_request_duration_seconds_count");
    assert!((timed - 3.0).abs() < 0.1, "{timed}");
    assert!(of_default("cetusguard_sent_bytes_total") >= 9.0);
    assert!(of_default("cetusguard_received_bytes_total") > 300.0);
}

#[test]
fn counters_do_not_depend_on_the_log_level() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", RULES)
        .arg("--mode", "audit")
        .arg("--log-level", "6")
        .arg("--admin-addr", &socket(&folder))
        .frontend("tcp://127.0.0.1:0")
        .start();
    assert_eq!(proxy.client().request("GET /containers/json").status, 200);
    assert_eq!(proxy.client().request("GET /images/json").status, 200);
    let admin = socket(&folder);
    let served = "cetusguard_requests_total{profile=\"default\",outcome=\"served\"}";
    eventually("both are counted", || {
        (value(&admin, served) - 2.0).abs() < 0.1
    });
    let unenforced = "cetusguard_unenforced_refusals_total{profile=\"default\",reason=\"no_rule\"}";
    assert!((value(&admin, unenforced) - 1.0).abs() < 0.1);
}

/// The table of the documentation has the families of a scrape, with their types and labels.
#[test]
fn every_family_is_in_the_table_and_in_the_scrape() {
    let (engine, folder, certs) = (Engine::ok(), TempDir::new(), Certs::make());
    let proxy = with_socket(&engine, &folder)
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--frontend-tls-key", &certs.file("server.key"))
        .arg("--memory-limit", "256MiB")
        .start();
    let admin = socket(&folder);
    let plain = ask(&admin, "/metrics");
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let open = ask_with(&admin, "GET /metrics", &["Host: x", OPEN_METRICS]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.body.ends_with("# EOF\n"));
    let table = cetusguard_proxy::metrics_reference();
    let rows = table.lines().skip(2).map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let kind = cells[1].replace("info", "gauge");
        format!("# TYPE {} {kind}", cells[0].trim_matches('`'))
    });
    let types = plain.body.lines().filter(|line| line.starts_with("# TYPE"));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        types.map(str::to_owned).collect::<Vec<_>>()
    );
    let label = Regex::new(r#"([a-z]+)=""#).expect("an expression");
    for (name, _) in samples(&admin) {
        let (family, labels) = name.split_once('{').unwrap_or((name.as_str(), ""));
        let family = ["_sum", "_count", "_bucket"]
            .iter()
            .find_map(|suffix| family.strip_suffix(suffix))
            .unwrap_or(family);
        let row = table
            .lines()
            .find(|row| row.starts_with(&format!("| `{family}` |")))
            .unwrap_or_else(|| panic!("no row for {name}"));
        for found in label.captures_iter(labels) {
            let known = &found[1] == "le" || row.contains(&format!("`{}`", &found[1]));
            assert!(known, "{name} in {row}");
        }
    }
    let expiry = samples(&admin)
        .into_iter()
        .find(|(name, _)| name.starts_with("cetusguard_certificate_expiry_timestamp_seconds{"));
    assert!(expiry.expect("an expiry").1 > 1e9);
    drop(proxy);
}

#[test]
fn a_full_proxy_still_answers_its_operator() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let proxy = with_socket(&engine, &folder)
        .arg("--max-connections", "1")
        .arg("--max-connections-per-client", "none")
        .arg("--head-timeout", "1h")
        .start();
    let _silent: Vec<Client> = (0..64).map(|_| proxy.client()).collect();
    let admin = socket(&folder);
    eventually("the proxy is full", || {
        let now = samples(&admin);
        now["cetusguard_connections"] >= now["cetusguard_connections_limit"]
            && now["cetusguard_connections_waiting"] > 1.0
            && now["cetusguard_connections_refused_total"] > 1.0
    });
    assert_eq!(ask(&admin, "/healthz").status, 200);
}

/// Clients of the admin listener that say nothing, that send a head byte by byte or too large, or
/// that read nothing, keep nobody out.
#[test]
fn silent_admin_clients_make_way_for_new_ones() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--admin-addr", "tcp://127.0.0.1:0")
        .start();
    let admin = proxy.admin_address();
    let mut oldest = Client::connect(&admin);
    oldest.send("GET /metrics HT");
    let mut others: Vec<Client> = (0..40).map(|_| Client::connect(&admin)).collect();
    for (place, client) in others.iter_mut().enumerate() {
        if place % 2 == 0 {
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ");
        }
    }
    assert_eq!(oldest.read_response().status, 0);
    assert_eq!(ask(&admin, "/healthz").status, 200);
    assert!(samples(&admin).len() > 20);
    assert_eq!(proxy.client().request("GET /info").status, 200);

    let mut large = Client::connect(&admin);
    large.send(format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(64 << 10)
    ));
    assert_ne!(large.read_response().status, 200);
    // Each connection serves one request, and then ends.
    let mut one = Client::connect(&admin);
    assert_eq!(
        one.request("GET /healthz").header("connection"),
        Some("close")
    );
    assert!(one.is_closed());
    // A silent connection does not last, even if no other one comes.
    assert!(others.pop().expect("the newest").is_closed());
}

/// Connections of one client take no place from another client's, which may be in its handshake.
#[test]
fn a_crowd_of_one_client_ends_no_connection_of_an_operator() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--admin-addr", "tcp://127.0.0.1:0")
        .start();
    let admin = proxy.admin_address();
    let mut operator = Client::connect(&admin);
    operator.send("GET /healthz HT");
    let mut crowd: Vec<Client> = (0..40)
        .map(|_| Client::connect_from("127.0.0.2", &admin))
        .collect();
    // The crowd's own first connections have made way.
    assert!(crowd[0].is_closed());
    operator.send("TP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(operator.read_response().status, 200);
}

#[test]
fn requests_need_the_token_where_there_is_one() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let token = "correct-horse-battery";
    let file = folder.write("token", &format!("{token}\n"));
    let config = folder.write("config.yaml", "admin-addr: tcp://127.0.0.1:0\n");
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--config", &config)
        .arg("--admin-token-file", &file)
        .start();
    let admin = proxy.admin_address();
    let with = |authorization: &[&str]| {
        let mut headers = vec!["Host: proxy.example"];
        headers.extend(authorization);
        ask_with(&admin, "GET /metrics", &headers)
    };
    for wrong in [
        &[][..],
        &["Authorization: Bearer"],
        &["Authorization: Bearer "],
        &["Authorization: Bearer wrong-horse-battery"],
        &["Authorization: Bearer correct-horse-batter"],
        &["Authorization: Bearer correct-horse-battery2"],
        &["Authorization: Basic correct-horse-battery"],
        &["Authorization: correct-horse-battery"],
        &[
            "Authorization: Bearer correct-horse-battery",
            "Authorization: Bearer x",
        ],
    ] {
        let answer = with(wrong);
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert!(!answer.body.contains("cetusguard_"), "{}", answer.body);
    }
    assert_eq!(
        with(&["Authorization: Bearer correct-horse-battery"]).status,
        200
    );
    assert_eq!(
        with(&["authorization: bearer correct-horse-battery"]).status,
        200
    );
    // The token is in no line of the log.
    assert!(!proxy.log().iter().any(|line| line.contains(token)));

    // A new token is used without a restart.
    folder.write("token", "another-horse-battery");
    proxy.signal("HUP");
    let _ = proxy.logged(&["configuration reloaded"]);
    eventually("the new token is used", || {
        with(&["Authorization: Bearer another-horse-battery"]).status == 200
    });
    assert_eq!(
        with(&["Authorization: Bearer correct-horse-battery"]).status,
        401
    );
}

#[test]
fn a_start_that_would_show_it_to_others_is_refused() {
    let folder = TempDir::new();
    let token = |name: &str, text: &str| folder.write(name, text);
    let short = token("short", "secret");
    let two = token("two", "0123456789abcdef 0123456789abcdef");
    let good = token("good", "0123456789abcdef");
    let missing = folder.file("missing");
    for (options, want) in [
        (
            vec![("--admin-addr", "tcp://0.0.0.0:9100")],
            "set admin-token-file to a file with a token; make one: openssl rand -hex 32",
        ),
        (
            vec![("--admin-addr", "tcp://:9100")],
            "set admin-token-file",
        ),
        (
            vec![("--admin-addr", "tcp://192.0.2.1:9100")],
            "expected unix:///PATH or a loopback address",
        ),
        (
            vec![("--admin-addr", "fd://")],
            "expected unix:///PATH, tcp://HOST:PORT or fd://NAME",
        ),
        (
            vec![("--admin-addr", "tcp://127.0.0.1:2399")],
            "expected an address that is no frontend",
        ),
        (
            vec![("--admin-addr", "unix:///run/engine.sock")],
            "expected an address that is not the engine's",
        ),
        (
            vec![("--admin-token-file", &short)],
            "one token of at least 16 letters, digits and signs",
        ),
        (
            vec![("--admin-token-file", &two)],
            "expected a file with one token",
        ),
        (
            vec![("--admin-token-file", &missing)],
            "expected a readable file",
        ),
        (
            vec![
                ("--admin-addr", "tcp://0.0.0.0:9100"),
                ("--admin-token-file", &missing),
            ],
            "expected a readable file",
        ),
        (
            vec![
                ("--admin-addr", "unix:///tmp/x.sock"),
                ("--admin-socket-mode", "rw"),
            ],
            "expected permission bits in octal",
        ),
    ] {
        let mut program = ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", "unix:///run/engine.sock")
            .arg("--frontend-addr", "tcp://127.0.0.1:2399");
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
        .arg("--admin-addr", "tcp://0.0.0.0:9100")
        .arg("--admin-token-file", &good)
        .run();
    assert_eq!(code, Some(0), "{out}{errors}");
}

#[test]
fn the_socket_is_for_its_owner_unless_its_mode_says_more() {
    let engine = Engine::ok();
    for (mode, want) in [(None, 0o600), (Some("0660"), 0o660)] {
        let folder = TempDir::new();
        let mut builder = with_socket(&engine, &folder);
        if let Some(mode) = mode {
            builder = builder.arg("--admin-socket-mode", mode);
        }
        let mut proxy = builder.start();
        let path = folder.file("admin.sock");
        let meta = std::fs::metadata(&path).expect("a socket");
        assert_eq!(meta.permissions().mode() & 0o777, want);
        proxy.signal("TERM");
        assert!(proxy.wait().success());
        assert!(!Path::new(&path).exists(), "the socket goes with the proxy");
    }
}

#[test]
fn only_plain_questions_of_no_web_page_are_answered() {
    let engine = Engine::ok();
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--admin-addr", "tcp://127.0.0.1:0")
        .start();
    let admin = proxy.admin_address();
    let local = "Host: localhost";
    for (line, headers, want) in [
        ("GET /healthz", &[local][..], 200),
        ("HEAD /metrics", &[local], 200),
        ("GET /healthz?x=1", &[local], 200),
        ("POST /healthz", &[local, "Content-Length: 0"], 405),
        ("DELETE /policy", &[local], 405),
        ("GET /healthz", &[local, "Content-Length: 4"], 400),
        ("GET /healthz", &[local, "Transfer-Encoding: chunked"], 400),
        ("GET /", &[local], 200),
        ("GET /", &[local, "Sec-Fetch-Site: cross-site"], 403),
        ("GET /", &["Host: evil.example"], 403),
        ("GET /index.html", &[local], 404),
        ("GET /metrics/", &[local], 404),
        ("GET /containers/json", &[local], 404),
        ("GET /healthz", &["Host: evil.example"], 403),
        ("GET /healthz", &["Host: 127.0.0.1.evil.example"], 403),
        ("GET /healthz", &[], 403),
        ("GET /healthz", &[local, "Host: evil.example"], 403),
        ("GET /healthz", &[local, "Origin: http://evil.example"], 403),
        ("GET /healthz", &[local, "Origin: null"], 403),
        ("GET /healthz", &[local, "Sec-Fetch-Site: cross-site"], 403),
        ("GET /healthz", &[local, "Sec-Fetch-Site: none"], 200),
    ] {
        let mut client = Client::connect(&admin);
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        client.send(format!("{line} HTTP/1.1\r\n{lines}\r\n"));
        let answer = client.read_head();
        assert_eq!(answer.status, want, "{line} {headers:?} {}", answer.head);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // A URL in the request line names another host as well.
    let answer = ask_with(&admin, "GET http://evil.example/healthz", &[local]);
    assert_ne!(answer.status, 200);
    // None of these has reached the engine.
    assert_eq!(engine.received().len(), 0);
}

#[test]
fn readiness_follows_the_engine() {
    let folder = TempDir::new();
    let absent = Engine::absent();
    let proxy = with_socket(&absent, &folder).start();
    let admin = socket(&folder);
    let answer = ask(&admin, "/readyz");
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("not ready: the engine at") && answer.body.contains("no such socket"),
        "{}",
        answer.body
    );
    assert_eq!(ask(&admin, "/healthz").body, "ok\n");
    drop(proxy);

    // An engine that accepts the question and never answers it.
    let silent = Engine::probed(|_, link| {
        link.wait_for_close();
    });
    let folder = TempDir::new();
    let _proxy = with_socket(&silent, &folder).start();
    let admin = socket(&folder);
    let answer = ask(&admin, "/readyz");
    assert_eq!(answer.status, 503);
    assert!(
        answer.body.contains("did not answer to /_ping in time"),
        "{}",
        answer.body
    );
    assert_eq!(ask(&admin, "/healthz").status, 200);

    let engine = Engine::scripted(|_, link| link.answer(200, "OK"));
    let folder = TempDir::new();
    let _proxy = with_socket(&engine, &folder).start();
    let admin = socket(&folder);
    let (asked, mut answers) = (Instant::now(), 0);
    while answers < 20 {
        assert_eq!(ask(&admin, "/readyz").body, "ok\n");
        answers += 1;
    }
    let pings = engine
        .received()
        .iter()
        .filter(|request| request.starts_with("GET /_ping"))
        .count() as u64;
    assert!(
        (1..=1 + asked.elapsed().as_secs()).contains(&pings),
        "{pings} pings for {answers} answers"
    );
}

#[test]
fn readiness_needs_events_where_profiles_do() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    let engine = docker.engine();
    docker.never_stream(true);
    let config = folder.write(
        "config.yaml",
        "profiles:\n  web:\n    clients:\n      - container: web\n    rules: GET /info\n",
    );
    let _proxy = with_socket(&engine, &folder)
        .arg("--config", &config)
        .start();
    let admin = socket(&folder);
    let answer = ask(&admin, "/readyz");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer
            .body
            .contains("events are needed to tell containers apart"),
        "{}",
        answer.body
    );
    docker.never_stream(false);
    eventually("the events are followed", || {
        ask(&admin, "/readyz").status == 200
    });
}

#[test]
fn a_draining_proxy_is_alive_and_not_ready() {
    let folder = TempDir::new();
    let slow = Engine::start(|exchange, link| {
        if exchange.line.contains("stop") {
            link.wait_for_close();
        } else {
            link.answer(200, "OK");
        }
    });
    let proxy = with_socket(&slow, &folder)
        .arg("--drain-timeout", "1h")
        .start();
    let admin = socket(&folder);
    assert_eq!(ask(&admin, "/readyz").status, 200);
    let mut request = proxy.client();
    request.send("POST /containers/c/stop HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the engine has it", || !slow.received().is_empty());
    proxy.signal("TERM");
    eventually("the proxy is not ready", || {
        let answer = ask(&admin, "/readyz");
        answer.status == 503 && answer.body.contains("shutting down")
    });
    assert_eq!(ask(&admin, "/healthz").status, 200);
}

#[test]
fn reloads_and_their_mistakes_are_shown() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("config.yaml", "rules: GET /info\n");
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--config", &config)
        .arg("--admin-addr", &socket(&folder))
        .frontend("tcp://127.0.0.1:0")
        .start();
    let admin = socket(&folder);
    let first = policy(&admin);
    assert_eq!(first["last_reload"], serde_json::Value::Null);
    assert_eq!(
        (&first["generation"], &first["version"]),
        (&0.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(first["hash"].as_str().map(str::len), Some(64));
    let successful = "cetusguard_config_last_reload_successful";
    assert!(value(&admin, successful) > 0.5);

    // By a rename, so that no reload finds half of it.
    let replace = |text: &str| {
        std::fs::rename(folder.write("new.yaml", text), &config).expect("a file");
        proxy.signal("HUP");
    };
    replace("rules: NONSENSE /info\n");
    eventually("the failure is shown", || {
        policy(&admin)["last_reload"]["result"] == "failure"
    });
    let failed = policy(&admin);
    let mistake = failed["last_reload"]["mistakes"][0]
        .as_str()
        .unwrap_or_default();
    assert!(mistake.contains("NONSENSE"), "{failed}");
    assert_eq!(
        (&failed["hash"], &failed["generation"]),
        (&first["hash"], &0.into())
    );
    assert!(value(&admin, successful) < 0.5);
    assert!(
        value(
            &admin,
            "cetusguard_config_reloads_total{result=\"failure\"}"
        ) >= 1.0
    );

    replace("rules: GET,POST /.*\n");
    eventually("the success is shown", || {
        policy(&admin)["last_reload"]["result"] == "success"
    });
    let reloaded = policy(&admin);
    assert_ne!(reloaded["hash"], first["hash"]);
    assert_ne!(reloaded["loaded"], first["loaded"]);
    // After a reload of the same policy, the one of another host would seem to be old.
    replace("# The same rule.\nrules: GET,POST /.*\n");
    eventually("the second success is shown", || {
        let now = policy(&admin);
        now["last_reload"]["result"] == "success"
            && now["last_reload"]["time"] != reloaded["last_reload"]["time"]
    });
    assert_eq!(policy(&admin)["loaded"], reloaded["loaded"]);
    assert!(value(&admin, successful) > 0.5);
    assert!(
        value(
            &admin,
            "cetusguard_config_reloads_total{result=\"success\"}"
        ) >= 1.0
    );
    let hash = reloaded["hash"].as_str().unwrap_or_default();
    let info = samples(&admin)
        .into_keys()
        .find(|name| name.starts_with("cetusguard_policy_info{"));
    assert!(
        info.unwrap_or_default()
            .contains(&format!("hash=\"{hash}\""))
    );
    eventually("the warnings of check are there", || {
        policy(&admin)["warnings"]
            .as_array()
            .is_some_and(|warnings| !warnings.is_empty())
    });
}

/// Two proxies with the same policy, from other files and to another engine, have the same hash.
#[test]
fn the_hash_tells_whether_two_hosts_have_the_same_policy() {
    let text = "rules: GET /info\nprofiles:\n  net:\n    clients:\n      - address: 10.0.0.0/8\n    \
        guard: restricted\n    rules: GET /version\n";
    let describe = |text: &str| {
        let (engine, folder) = (Engine::ok(), TempDir::new());
        let config = folder.write("config.yaml", text);
        let _proxy = ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &engine.address())
            .arg("--config", &config)
            .arg("--admin-addr", &socket(&folder))
            .frontend("tcp://127.0.0.1:0")
            .start();
        policy(&socket(&folder))
    };
    let (one, two) = (describe(text), describe(text));
    assert_eq!(one["hash"], two["hash"]);
    let other = describe(&text.replace("restricted", "baseline"));
    assert_ne!(one["hash"], other["hash"]);
    let net = &one["profiles"][1];
    assert_eq!(
        (
            &net["name"],
            &net["guard"],
            &net["mode"],
            &net["clients"][0]
        ),
        (
            &"net".into(),
            &"restricted".into(),
            &"enforce".into(),
            &"address 10.0.0.0/8".into()
        )
    );
    assert_eq!(one["profiles"][0]["unmatched_clients"], true);
}

/// Before a policy is rolled out, its hash is known.
#[test]
fn check_prints_the_hash_that_the_running_proxy_shows() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let text = "rules: GET /info\nredact: secrets\nprofiles:\n  ci:\n    clients:\n      - \
        address: 10.0.0.0/8\n    own: true\n    max-memory: 1g\n    presets: homepage\n";
    let config = folder.write("config.yaml", text);
    let hash = |words: &[&str]| {
        let check = ProxyBuilder::bare(PROGRAM).word("check").word("--hash");
        words
            .iter()
            .fold(check, |check, word| check.word(word))
            .run()
    };
    // The addresses and the files of a host do not matter.
    let _proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--config", &config)
        .arg("--admin-addr", &socket(&folder))
        .frontend("tcp://127.0.0.1:0")
        .start();
    let shown = policy(&socket(&folder))["hash"]
        .as_str()
        .expect("a hash")
        .to_owned();
    let (code, printed, error) = hash(&["--config", &config]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(printed, format!("{shown}\n"));
    let (code, other, _) = hash(&["--config", &config, "--rules", "GET /version"]);
    assert_eq!(code, Some(0));
    assert_ne!(other, printed);
    // A mistake has no hash, and a script notices.
    let (code, printed, error) = hash(&["--rules", "GET /("]);
    assert_eq!((code, printed.as_str()), (Some(2), ""), "{error}");
    assert!(error.contains("GET /("), "{error}");
}

#[test]
fn an_engine_that_hangs_does_not_hold_up_the_metrics() {
    let silent = Engine::probed(|_, link| {
        link.wait_for_close();
    });
    let folder = TempDir::new();
    let _proxy = with_socket(&silent, &folder).start();
    let admin = socket(&folder);
    // More questions than there are connections, each of which waits for the engine.
    let mut asking: Vec<Client> = (0..20).map(|_| Client::connect(&admin)).collect();
    for client in &mut asking {
        client.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assert!(samples(&admin).len() > 20);
    let newest = asking.last_mut().expect("a client");
    assert_eq!(newest.read_response().status, 503);
    eventually("the failed question is counted", || {
        value(&admin, "cetusguard_engine_lookup_failures_total") >= 1.0
    });
}
