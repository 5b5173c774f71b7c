//! The log: one line a request, at the level that it deserves, and no way to forge one.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use cetusguard_testkit::{
    Client, Engine, Proxy, ProxyBuilder, Running, TempDir, eventually, patience,
    program_without_environment,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST %API_PREFIX_CONTAINERS%(/.*)?";

fn proxy(engine: &Engine, level: &str, format: &str) -> Proxy {
    let builder = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--rules", RULES);
    builder
        .arg("--log-level", level)
        .arg("--log-format", format)
        .frontend("tcp://127.0.0.1:0")
        .start()
}

fn lines(proxy: &Proxy) -> Vec<String> {
    proxy
        .log()
        .into_iter()
        .filter(|line| line.contains("request"))
        .collect()
}

#[test]
fn a_record_has_all_its_fields() {
    let engine = Engine::ok();
    let proxy = proxy(&engine, "7", "logfmt");
    let mut client = proxy.client();
    client.send(
        "POST /v1.43/containers/c/start?detachKeys=secret HTTP/1.1\r\nUser-Agent: \
        docker/28.2\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert_eq!(client.read_response().status, 200);
    // The documentation's own way to look at writes.
    let line = proxy.logged(&["method=POST"]);
    for want in [
        "level=debug msg=\"request allowed\" method=POST path=/v1.43/containers/c/start status=200 \
        frontend=tcp://127.0.0.1:",
        " client=127.0.0.1:",
        " profile=default endpoint=container.start rule=\"--rules:1: GET,POST \
        %API_PREFIX_CONTAINERS%(/.*)?\" bytes_in=",
        " bytes_out=2 duration_ms=",
        " user_agent=docker/28.2 request_id=",
    ] {
        assert!(line.contains(want), "{want} in {line}");
    }
    assert!(
        line.starts_with("time=20") && !line.contains("secret"),
        "{line}"
    );
    assert!(line.ends_with("-1"), "{line}");
}

/// The identifier in the answer to a refused request is that of its line, and no other request has
/// it, in this process or in another one.
#[test]
fn a_refusal_has_the_identifier_of_its_line() {
    let engine = Engine::ok();
    let mut known = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let proxy = proxy(&engine, "6", "json");
        let mut client = proxy.client();
        for path in ["/images/json", "/images/json?all=1"] {
            let refused = client.request(&format!("GET {path}"));
            assert_eq!(refused.status, 403);
            let id = refused
                .header("x-request-id")
                .expect("an identifier")
                .to_owned();
            let line = proxy.logged(&[&format!("\"request_id\":\"{id}\"")]);
            assert!(line.contains("/images/json"), "{line}");
            assert!(known.insert(id), "{known:?}");
        }
        let mut garbage = proxy.client();
        garbage.send("no request\r\n\r\n");
        let id = garbage.read_response();
        let id = id.header("x-request-id").expect("an identifier").to_owned();
        let _ = proxy.logged(&["malformed_head", &id]);
        assert!(known.insert(id), "{known:?}");
        // The engine's own answers are passed on as they are.
        let served = client.request("GET /containers/json");
        assert_eq!((served.status, served.header("x-request-id")), (200, None));
    }
}

#[test]
fn json_lines_are_json() {
    let engine = Engine::ok();
    let proxy = proxy(&engine, "debug", "json");
    assert_eq!(
        proxy.client().request("DELETE /containers/%22%7B").status,
        403
    );
    let _ = proxy.logged(&["request refused"]);
    for line in proxy.log() {
        assert!(
            line.starts_with("{\"time\":\"20") && line.ends_with('}'),
            "{line}"
        );
    }
    let refused = proxy.logged(&["request refused"]);
    let refused: serde_json::Value = serde_json::from_str(&refused).expect("JSON");
    assert_eq!(refused["path"], "/containers/\"{");
    assert_eq!(refused["status"], 403);
    assert_eq!(refused["frontend"], proxy.address());
    for number in ["status", "bytes_in", "bytes_out", "duration_ms"] {
        assert!(refused[number].is_number(), "{refused}");
    }
    let host = refused["host"].as_str().expect("a host");
    let uname = Command::new("uname").arg("-n").output().expect("uname");
    assert_eq!(host, String::from_utf8_lossy(&uname.stdout).trim());
    let listening: serde_json::Value =
        serde_json::from_str(&proxy.logged(&["listening"])).expect("JSON");
    assert_eq!(listening["tls"], false);
}

/// The identifiers of a valid `traceparent` are in the line. The engine gets the header as it came,
/// valid or not, and `tracestate` with it.
#[test]
fn the_trace_is_logged_and_passed_on() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let engine = Engine::ok();
    let proxy = proxy(&engine, "7", "logfmt");
    let long = "x".repeat(2_000);
    for (number, headers, is_valid) in [
        (
            1,
            format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01"),
            true,
        ),
        (
            2,
            format!("TraceParent: cc-{TRACE}-00f067aa0ba902b7-00-x\r\nX: {long}"),
            true,
        ),
        (
            3,
            format!("Traceparent: 00-{TRACE}-00f067aa0ba902b7-01-x"),
            false,
        ),
        (
            4,
            format!("Traceparent: 00-{TRACE}-00f067aa0ba902b7-01{long}"),
            false,
        ),
        (
            5,
            format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ntraceparent: 00-{TRACE}-1-01"),
            false,
        ),
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "GET /containers/t{number}/json HTTP/1.1\r\n{headers}\r\ntracestate: a=1,b=2\r\n\r\n"
        ));
        assert_eq!(client.read_response().status, 200);
        let line = proxy.logged(&["request allowed", &format!("/t{number}/")]);
        let trace = format!(" trace_id={TRACE} parent_span_id=00f067aa0ba902b7 request_id=");
        assert_eq!(line.contains(&trace), is_valid, "{line}");
        assert_eq!(line.contains("trace_id"), is_valid, "{line}");
        let received = engine.received().concat();
        assert!(received.contains(&format!("{headers}\r\n")), "{received}");
    }
    let received = engine.received().concat();
    assert_eq!(received.matches("tracestate: a=1,b=2\r\n").count(), 5);
}

/// Lines begin with their priority if the log goes to journald, and `log-priority` decides.
#[test]
fn lines_for_journald_begin_with_their_priority() {
    let engine = Engine::ok();
    let address = format!("unix://{}.front", engine.path());
    for (choice, is_journal, want) in [
        ("auto", true, true),
        ("auto", false, false),
        ("always", false, true),
        ("never", true, false),
    ] {
        let (log, output) = std::io::pipe().expect("a pipe");
        let stat = std::fs::File::from(std::os::fd::OwnedFd::from(output));
        let metadata = stat.metadata().expect("a pipe");
        let (device, inode) = (metadata.dev(), metadata.ino() + u64::from(!is_journal));
        let mut child = Running(
            program_without_environment(PROGRAM)
                .env("JOURNAL_STREAM", format!("{device}:{inode}"))
                .args([
                    "--backend-addr",
                    &engine.address(),
                    "--log-priority",
                    choice,
                ])
                .args(["--rules", RULES, "--frontend-addr", &address])
                .stdout(Stdio::from(stat))
                .spawn()
                .expect("the program"),
        );
        eventually("it listens", || {
            std::os::unix::net::UnixStream::connect(&address[7..]).is_ok()
        });
        assert_eq!(
            Client::connect(&address).request("GET /images/json").status,
            403
        );
        let status = Command::new("sh")
            .args(["-c", &format!("kill {}", child.0.id())])
            .status();
        assert!(status.expect("a shell").success());
        let lines: Vec<String> = BufReader::new(log).lines().map_while(Result::ok).collect();
        assert!(child.0.wait().expect("a child").success());
        let line = |part: &str| lines.iter().find(|line| line.contains(part)).expect(part);
        assert_eq!(
            line("msg=starting").starts_with("<6>time="),
            want,
            "{lines:?}"
        );
        assert_eq!(
            line("request refused").starts_with("<4>time="),
            want,
            "{lines:?}"
        );
        assert!(
            want || lines.iter().all(|line| line.starts_with("time=")),
            "{lines:?}"
        );
    }
}

/// Level → which of an allowed, a refused and a failed request are in the log.
#[test]
fn levels_choose_what_is_written() {
    for (level, allowed, refused, failed) in [
        ("7", true, true, true),
        ("6", false, true, true),
        ("4", false, true, true),
        ("3", false, false, true),
        ("2", false, false, false),
        ("0", false, false, false),
    ] {
        let engine = Engine::start(|exchange, link| {
            if exchange.line.contains("broken") {
                link.close()
            } else {
                link.answer(200, "OK")
            }
        });
        let mut proxy = ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &engine.address())
            .arg("--rules", RULES)
            .arg("--log-level", level)
            .arg(
                "--frontend-addr",
                &format!("unix://{}.front", engine.path()),
            )
            .spawn();
        let address = format!("unix://{}.front", engine.path());
        eventually("it listens", || {
            std::path::Path::new(&address[7..]).exists()
                && std::os::unix::net::UnixStream::connect(&address[7..]).is_ok()
        });
        let mut client = Client::connect(&address);
        assert_eq!(client.request("GET /containers/json").status, 200);
        assert_eq!(client.request("DELETE /containers/c").status, 403);
        assert_eq!(client.request("GET /containers/broken/json").status, 502);
        proxy.signal("TERM");
        assert!(proxy.wait().success());
        let has = |part: &str| proxy.log().iter().any(|line| line.contains(part));
        let found = || {
            (
                has("request allowed"),
                has("request refused"),
                has("request failed"),
            )
        };
        if level == "0" || level == "2" {
            assert_eq!(found(), (allowed, refused, failed), "level {level}");
        } else {
            eventually(&format!("level {level}"), || {
                found() == (allowed, refused, failed)
            });
        }
    }
}

#[test]
fn no_request_forges_a_line() {
    let engine = Engine::ok();
    let proxy = proxy(&engine, "7", "logfmt");
    for request in [
        "GET /containers/x%20level=info%20msg=%22forged%22 HTTP/1.1\r\n\r\n",
        "GET /containers/json HTTP/1.1\r\nUser-Agent: x level=emerg msg=\"forged\"\r\n\r\n",
        "GET /containers/%E2%80%A8forged/json HTTP/1.1\r\n\r\n",
        "GET /containers/a%0aforged HTTP/1.1\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.send(request);
        assert_ne!(client.read_response().status, 0);
    }
    let _ = proxy.logged(&["request_id=", "-4"]);
    for line in lines(&proxy) {
        assert_eq!(
            line.matches(" level=").count() - line.matches("x level=").count(),
            1,
            "{line}"
        );
        assert!(
            !line.contains("msg=\"forged\"") && !line.contains('\u{2028}'),
            "{line}"
        );
    }
}

/// A proxy whose log nobody reads, after more records than the pipe and the queue hold together.
fn stuck(engine: &Engine) -> Running {
    let address = format!("unix://{}.front", engine.path());
    let child = Running(
        Command::new(PROGRAM)
            .args([
                "--backend-addr",
                &engine.address(),
                "--log-level",
                "7",
                "--rules",
                RULES,
                "--frontend-addr",
                &address,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program"),
    );
    eventually("it listens", || {
        std::os::unix::net::UnixStream::connect(&address[7..]).is_ok()
    });
    let mut client = Client::connect(&address);
    for _ in 0..12_000 {
        assert_eq!(client.request("GET /containers/json").status, 200);
    }
    child
}

/// A reader that does not read stops no request; what was lost is counted.
#[test]
fn lost_records_are_counted() {
    let engine = Engine::ok();
    let mut child = stuck(&engine);
    let log = BufReader::new(child.0.stdout.take().expect("piped"));
    let (found, lost) = channel();
    std::thread::spawn(move || {
        for line in log
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.contains("log records lost"))
        {
            let _ = found.send(line);
        }
    });
    let line = lost
        .recv_timeout(patience())
        .expect("a line says how many records were lost");
    assert!(
        line.contains("level=warning") && line.contains("count="),
        "{line}"
    );
}

/// The end does not wait for a log that nobody reads.
#[test]
fn a_stuck_log_does_not_delay_the_end() {
    let engine = Engine::ok();
    let mut child = stuck(&engine);
    let status = Command::new("sh")
        .args(["-c", &format!("kill {}", child.0.id())])
        .status();
    assert!(status.expect("a shell").success());
    eventually("it ends", || child.0.try_wait().expect("a child").is_some());
}

/// A log on a full disk: what could not be written is counted once there is room again, and the
/// line that was cut stays alone.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the log that it is about"
)]
fn records_that_cannot_be_written_are_counted() {
    const LIMIT: u64 = 16 << 10;
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = folder.file("log");
    let [address, admin] =
        ["front.sock", "admin.sock"].map(|name| format!("unix://{}", folder.file(name)));
    // A limit on the size of files stands for the full disk: the write that reaches it is cut, and
    // those behind it fail.
    let script = format!("trap '' XFSZ; exec prlimit --fsize={LIMIT}: \"$@\" >>{file}");
    let child = Running(
        Command::new("sh")
            .args([
                "-c",
                &script,
                "sh",
                PROGRAM,
                "--backend-addr",
                &engine.address(),
                "--log-level",
                "7",
            ])
            .args(["--rules", RULES, "--frontend-addr", &address])
            .args(["--admin-addr", &admin])
            .spawn()
            .expect("a shell"),
    );
    eventually("it listens", || {
        std::os::unix::net::UnixStream::connect(&address[7..]).is_ok()
    });
    let text = || String::from_utf8_lossy(&std::fs::read(&file).expect("the log")).into_owned();
    let mut client = Client::connect(&address);
    let mut sent = 0;
    let mut ask = || {
        assert_eq!(client.request("GET /containers/json").status, 200);
        sent += 1;
        sent
    };
    // The write that reaches the limit may be a whole record: then, the next one is lost.
    let is_lost = || {
        let metrics = Client::connect(&admin).request("GET /metrics").body;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("cetusguard_log_records_lost_total "));
        count.expect("a metric") != "0"
    };
    eventually("a record is lost", || {
        ask();
        is_lost()
    });
    let status = Command::new("prlimit")
        .args(["--fsize=unlimited:", "--pid", &child.0.id().to_string()])
        .status();
    assert!(status.expect("prlimit").success());
    let mut last = 0;
    eventually("a line tells of it", || {
        last = ask();
        text().contains("log records lost: they could not be written")
    });
    let last = format!("-{last}\n");
    eventually("the last record", || text().contains(&last));
    let text = text();
    let lost = text
        .lines()
        .find_map(|line| line.split_once("written\" count="))
        .expect("a count")
        .1;
    let lost: u64 = lost
        .split(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a number");
    // The number that ends each line. Of a number that was cut, what is left stood in an earlier
    // line.
    let number = |line: &str| {
        line.rsplit_once("request_id=")?
            .1
            .split_once('-')?
            .1
            .parse()
            .ok()
    };
    let whole: std::collections::BTreeSet<u64> = text
        .lines()
        .filter(|line| line.starts_with("time="))
        .filter_map(number)
        .collect();
    let whole = whole.len() as u64;
    assert_eq!(whole + lost, sent, "{text}");
    let odd = text
        .lines()
        .filter(|line| line.matches("level=").count() != 1 || !line.starts_with("time=20"))
        .count();
    assert!(odd <= 1, "one line was cut, and no other: {text}");
    assert!(text.contains("detail=\"File too large"), "{text}");
}
