//! The audit log: every decision as JSON, whatever the log shows, in a file or a socket that may
//! fail.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, TempDir, eventually, patience};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET %API_PREFIX_CONTAINERS%/.*";

fn builder(engine: &Engine, level: &str, place: &str) -> ProxyBuilder {
    ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", RULES)
        .arg("--log-level", level)
        .arg("--audit-log", place)
        .frontend("tcp://127.0.0.1:0")
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect(line)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the file that it is about"
)]
fn lines(file: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).expect("the audit log");
    text.lines().map(json).collect()
}

fn ask(proxy: &Proxy, name: &str) {
    assert_eq!(
        proxy
            .client()
            .request(&format!("GET /containers/{name}/json"))
            .status,
        200
    );
}

/// The records in a file that are about a container.
fn records(file: &str, name: &str) -> usize {
    let path = format!("/containers/{name}/json");
    lines(file)
        .iter()
        .filter(|line| line["path"] == *path)
        .count()
}

#[test]
fn a_file_gets_every_decision_and_can_be_rotated() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (file, old) = (folder.file("audit.json"), folder.file("audit.json.1"));
    let proxy = builder(&engine, "6", &file).start();
    ask(&proxy, "one");
    assert_eq!(proxy.client().request("DELETE /containers/one").status, 403);
    eventually("both records", || lines(&file).len() == 2);
    let all = lines(&file);
    let (allowed, refused) = (&all[0], &all[1]);
    assert_eq!(
        (&allowed["msg"], &allowed["level"]),
        (&"request allowed".into(), &"debug".into())
    );
    assert_eq!(
        (&refused["msg"], &refused["reason"], &refused["status"]),
        (&"request refused".into(), &"no_rule".into(), &403.into())
    );
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|text| text.contains("no rule of profile"))
    );
    assert!(refused["host"].is_string() && refused["duration_ms"].is_number());
    let mode = std::fs::metadata(&file)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The log keeps its level and its format.
    let line = proxy.logged(&["time=", "msg=\"request refused\""]);
    let id = refused["request_id"].as_str().expect("an identifier");
    assert!(line.ends_with(id), "{line}");
    assert!(
        !proxy
            .log()
            .iter()
            .any(|line| line.contains("request allowed"))
    );

    std::fs::rename(&file, &old).expect("a rotation");
    proxy.signal("USR1");
    let _ = proxy.logged(&["level=notice", "the audit log was opened again"]);
    ask(&proxy, "two");
    eventually("the record in the new file", || records(&file, "two") == 1);
    assert_eq!((records(&old, "one"), records(&old, "two")), (1, 0));
    assert_eq!(lines(&file).len(), 1);

    // Another file that is in the way leaves the old one in use.
    std::fs::rename(&file, &old).expect("a rotation");
    std::os::unix::fs::symlink(&old, &file).expect("a link");
    proxy.signal("USR1");
    let _ = proxy.logged(&["level=err", "the audit log cannot be opened again"]);
    ask(&proxy, "three");
    eventually("the record in the old file", || records(&old, "three") == 1);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_at_the_start() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let [link, fifo, dead, open] =
        ["link", "fifo", "dead.sock", "open"].map(|name| folder.file(name));
    std::os::unix::fs::symlink(&open, &link).expect("a link");
    drop(UnixListener::bind(&dead).expect("a socket"));
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    for (place, want) in [
        (folder.file("no/audit.json"), "make its folder first"),
        (link, "name the file itself, not a symbolic link to it"),
        (fifo, "cannot write the audit log"),
        ("/dev/null".to_owned(), "it is not a regular file"),
        (
            format!("unix://{dead}"),
            "start the program that listens there first",
        ),
        (
            format!("unix://{}", folder.file("none")),
            "start the program that listens there first",
        ),
    ] {
        let (code, _, errors) = builder(&engine, "6", &place).run();
        assert!(
            code == Some(1) && errors.contains(want),
            "{place}: {errors}"
        );
        assert!(errors.contains(&place), "{errors}");
    }
    assert!(
        !std::path::Path::new(&open).exists(),
        "the link was not followed"
    );
    let (code, _, errors) = builder(&engine, "6", "stderr").run();
    assert!(
        code == Some(2) && errors.contains("expected stdout"),
        "{errors}"
    );
}

#[test]
fn standard_output_gets_every_decision_once() {
    let engine = Engine::ok();
    let proxy = builder(&engine, "6", "stdout").start();
    ask(&proxy, "one");
    assert_eq!(proxy.client().request("DELETE /containers/one").status, 403);
    let allowed = json(&proxy.logged(&["request allowed"]));
    let refused = json(&proxy.logged(&["request refused"]));
    assert_eq!(
        (&allowed["status"], &refused["status"]),
        (&200.into(), &403.into())
    );
    let log = proxy.log();
    assert_eq!(
        log.iter().filter(|line| line.contains("request ")).count(),
        2,
        "{log:?}"
    );
    assert!(
        log.iter()
            .any(|line| line.starts_with("time=") && line.contains("listening"))
    );
}

/// The lines that come to a collector's next connection.
fn collect(listener: &UnixListener) -> (Receiver<String>, UnixStream) {
    let (stream, _) = listener.accept().expect("a connection");
    let (found, lines) = channel();
    let reader = BufReader::new(stream.try_clone().expect("a descriptor"));
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            let _ = found.send(line);
        }
    });
    (lines, stream)
}

#[test]
fn a_socket_gets_every_decision_and_losses_are_reported() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (path, admin) = (folder.file("collector.sock"), folder.file("admin.sock"));
    let listener = UnixListener::bind(&path).expect("a socket");
    let proxy = builder(&engine, "6", &format!("unix://{path}"))
        .arg("--admin-addr", &format!("unix://{admin}"))
        .start();
    let (first, stream) = collect(&listener);
    ask(&proxy, "one");
    let line = first.recv_timeout(patience()).expect("a record");
    assert_eq!(json(&line)["path"], "/containers/one/json");

    // The collector goes, and comes back.
    stream
        .shutdown(std::net::Shutdown::Both)
        .expect("a shutdown");
    drop(listener);
    std::fs::remove_file(&path).expect("the socket's file");
    let mut asked = 0;
    let mut is_reported = || {
        ask(&proxy, "lost");
        asked += 1;
        let log = proxy.log();
        log.iter().any(|line| {
            line.contains("level=err") && line.contains("the audit log cannot be written")
        })
    };
    eventually("the loss is reported", &mut is_reported);
    let listener = UnixListener::bind(&path).expect("a socket");
    listener.set_nonblocking(true).expect("a socket");
    let mut kept = None;
    let mut asked_later = 0;
    eventually("it connects again", || {
        ask(&proxy, "later");
        asked_later += 1;
        kept = listener.accept().ok();
        kept.is_some()
    });
    let (stream, _) = kept.expect("a connection");
    stream.set_nonblocking(false).expect("a stream");
    let mut reader = BufReader::new(stream).lines().map_while(Result::ok);
    let gap = json(&reader.next().expect("a line"));
    assert_eq!(gap["msg"], "log records lost: they could not be written");
    let lost = gap["count"].as_u64().expect("a number");
    assert!(
        lost >= 1 && lost <= asked + asked_later,
        "{lost} of {asked} and {asked_later}"
    );
    // The last record of before may still have waited.
    let path = json(&reader.next().expect("a record"))["path"].to_string();
    assert!(path.contains("later") || path.contains("lost"), "{path}");
    let warning = proxy.logged(&["level=warning", "records of the audit log were lost"]);
    assert!(warning.ends_with(&format!("count={lost}")), "{warning}");
    let metrics = cetusguard_testkit::Client::connect(&format!("unix://{admin}"))
        .request("GET /metrics")
        .body;
    assert!(
        metrics.contains(&format!("cetusguard_audit_records_lost_total {lost}")),
        "{metrics}"
    );
}

/// A collector that reads nothing holds up no request.
#[test]
fn a_stuck_collector_stops_no_request() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let path = folder.file("collector.sock");
    let _listener = UnixListener::bind(&path).expect("a socket");
    let proxy = builder(&engine, "6", &format!("unix://{path}")).start();
    let mut client = proxy.client();
    // More than the socket and the queue hold together.
    for _ in 0..9_000 {
        assert_eq!(client.request("GET /containers/one/json").status, 200);
    }
    let _ = proxy.logged(&["level=err", "records of the audit log are lost"]);
}

/// A place that stops to take records is reported before any is lost. It does not delay the end, and
/// the log tells how many records that costs.
#[test]
fn a_stuck_place_is_reported_and_costs_counted_records_at_the_end() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let path = folder.file("collector.sock");
    let _listener = UnixListener::bind(&path).expect("a socket");
    let mut proxy = builder(&engine, "6", &format!("unix://{path}")).start();
    let mut client = proxy.client();
    // More than the socket holds, and less than the socket and the queue hold together.
    for _ in 0..1_500 {
        assert_eq!(client.request("GET /containers/one/json").status, 200);
    }
    let has_logged = |text: &str| proxy.log().iter().any(|line| line.contains(text));
    eventually("the log reports the stall", || {
        assert_eq!(client.request("GET /containers/two/json").status, 200);
        has_logged("a write to the audit log does not return")
    });
    assert!(!has_logged("records of the audit log"));
    proxy.signal("TERM");
    let lost = proxy.logged(&["level=err", "the audit log takes nothing at the end"]);
    let count = lost.rsplit_once("count=").expect("a number").1;
    assert!(count.parse().is_ok_and(|count: u64| count > 0), "{lost}");
    assert!(proxy.wait().success());
}

/// A collector that is replaced gets the records, although the old one is stuck with a full socket.
#[test]
fn a_stuck_collector_does_not_hold_up_its_successor() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (path, admin) = (folder.file("collector.sock"), folder.file("admin.sock"));
    let stuck = UnixListener::bind(&path).expect("a socket");
    let proxy = builder(&engine, "6", &format!("unix://{path}"))
        .arg("--admin-addr", &format!("unix://{admin}"))
        .start();
    let mut client = proxy.client();
    for _ in 0..9_000 {
        assert_eq!(client.request("GET /containers/one/json").status, 200);
    }
    let _ = proxy.logged(&["level=err", "records of the audit log are lost"]);
    // It stays open, and reads nothing.
    std::fs::remove_file(&path).expect("the socket's file");
    let successor = UnixListener::bind(&path).expect("a socket");
    proxy.signal("USR1");
    let (lines, _stream) = collect(&successor);
    let gap = json(&lines.recv_timeout(patience()).expect("a line"));
    assert_eq!(gap["msg"], "log records lost: they could not be written");
    let _ = proxy.logged(&["level=notice", "the audit log was opened again"]);
    ask(&proxy, "two");
    eventually("the new record", || {
        let line = lines.recv_timeout(patience()).expect("a record");
        json(&line)["path"] == "/containers/two/json"
    });
    // All that is neither in the old socket nor here is counted.
    let metrics = cetusguard_testkit::Client::connect(&format!("unix://{admin}"))
        .request("GET /metrics")
        .body;
    let lost = metrics
        .lines()
        .find_map(|line| line.strip_prefix("cetusguard_audit_records_lost_total "))
        .expect("a metric");
    assert!(lost.parse().is_ok_and(|lost: u64| lost > 0), "{lost}");
    drop(stuck);
}
