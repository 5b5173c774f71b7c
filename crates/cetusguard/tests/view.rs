//! Clients that see a part of the engine: what leaves the proxy, whole or not, and what it costs.

use cetusguard_testkit::{Engine, Exchange, Link, Proxy, ProxyBuilder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const LOOK: &str = "GET,HEAD,POST,DELETE .*";

/// An element of a list of containers with a name, about as large as a real one.
fn container(name: &str) -> String {
    let padding = "x".repeat(500);
    format!(r#"{{"Id":"{name}-id","Names":["/{name}"],"Labels":{{"padding":"{padding}"}}}}"#)
}

fn list(names: &[&str]) -> String {
    let containers: Vec<_> = names.iter().map(|name| container(name)).collect();
    format!("[{}]", containers.join(","))
}

/// An engine that has the containers `seen` and `hidden`, and that answers lists with this text.
fn engine(answer: impl Fn(&Exchange, &mut Link) -> bool + Send + Sync + 'static) -> Engine {
    Engine::scripted(move |exchange, link| {
        let path = exchange.line.split(' ').nth(1).unwrap_or_default();
        let segments: Vec<&str> = path
            .split('?')
            .next()
            .unwrap_or_default()
            .split('/')
            .collect();
        match segments.as_slice() {
            ["", "containers", name @ ("seen" | "hidden"), "json"]
                if exchange.header("user-agent") == Some("cetusguard") =>
            {
                link.answer(200, &format!(r#"{{"Id":"{name}-id","Name":"/{name}"}}"#));
            }
            ["", "containers", name, "json"] if exchange.line.starts_with("GET") => link.answer(
                404,
                &format!(r#"{{"message":"No such container: {name}"}}"#),
            ),
            ["", "networks", name] => {
                link.answer(200, &format!(r#"{{"Id":"{name}-id","Name":"{name}"}}"#));
            }
            ["", "events"] if exchange.header("user-agent") == Some("cetusguard") => {
                link.drain();
            }
            _ if answer(exchange, link) => {}
            _ => link.answer(200, "OK"),
        }
    })
}

fn scoped(engine: &Engine) -> Proxy {
    ProxyBuilder::new(PROGRAM, engine, LOOK)
        .arg("--visible", "name=seen*")
        .start()
}

#[test]
fn a_short_list_has_its_length_and_the_connection_stays() {
    let engine = engine(|exchange, link| {
        exchange.line.starts_with("GET /containers/json") && {
            assert_eq!(exchange.header("accept-encoding"), None);
            link.answer(200, &list(&["seen", "hidden"]));
            true
        }
    });
    let proxy = scoped(&engine);
    let mut client = proxy.client();
    for _ in 0..2 {
        client.send("GET /containers/json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
        let answer = client.read_response();
        let want = list(&["seen"]);
        assert_eq!(answer.body, want);
        assert_eq!(
            answer.header("content-length"),
            Some(want.len().to_string().as_str())
        );
    }
}

#[test]
fn a_long_list_comes_in_chunks() {
    let names: Vec<String> = (0..2000)
        .map(|n| format!("{}-{n}", if n % 2 == 0 { "seen" } else { "hidden" }))
        .collect();
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let (all, even) = (
        list(&refs),
        refs.iter().copied().step_by(2).collect::<Vec<_>>(),
    );
    let want = list(&even);
    let engine = engine(move |exchange, link| {
        exchange.line.starts_with("GET /containers/json") && {
            link.answer(200, &all);
            true
        }
    });
    let proxy = scoped(&engine);
    let mut client = proxy.client();
    let answer = client.request("GET /containers/json?all=1");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.body, want);
    assert_eq!(client.request("GET /_ping").status, 200);
}

/// The length of the whole list would tell how many containers there are.
#[test]
fn a_head_request_gets_no_length() {
    let engine = engine(|exchange, link| {
        exchange.line.starts_with("HEAD /containers/json") && {
            link.write(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1234\r\n\r\n",
            );
            true
        }
    });
    let proxy = scoped(&engine);
    let answer = proxy.client().request("HEAD /containers/json");
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, None)
    );
}

/// An answer that cannot be read is not passed on: the client gets 502, or a cut answer if a part
/// of it was sent.
#[test]
fn answers_that_cannot_be_filtered_are_not_passed_on() {
    let long = format!("[{},{{", vec![container("seen"); 200].join(","));
    let cases = [
        (
            "GET /containers/json?case=0",
            r#"{"Names":["/hidden"]}"#.to_owned(),
        ),
        (
            "GET /containers/json?case=1",
            r#"[{"Names":["/hidden"]}"#.to_owned(),
        ),
        ("GET /containers/json?case=2", "hidden".to_owned()),
        (
            "GET /containers/json?case=4",
            format!("[{}]", "[".repeat(100)),
        ),
    ];
    let (answers, tail) = (cases.clone(), long.clone());
    let engine = engine(move |exchange, link| {
        let found = answers.iter().find(|(line, _)| *line == exchange.line);
        match found {
            Some((_, answer)) => link.answer(200, answer),
            None if exchange.line.ends_with("case=long") => link.answer(200, &tail),
            None if exchange.line.ends_with("case=gzip") => {
                let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n";
                link.write(format!("{head}[]"));
            }
            None => return false,
        }
        true
    });
    let proxy = scoped(&engine);
    for line in cases
        .iter()
        .map(|(line, _)| *line)
        .chain(["GET /containers/json?case=gzip"])
    {
        let answer = proxy.client().request(line);
        assert_eq!(answer.status, 502, "{line}: {}", answer.body);
        assert!(!answer.body.contains("/hidden"), "{line}: {}", answer.body);
    }
    let _ = proxy.logged(&["reason=unfilterable_answer"]);
    let mut client = proxy.client();
    client.send("GET /containers/json?case=long HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = client.read_to_end();
    assert!(
        text.contains("seen-id") && !text.ends_with("0\r\n\r\n"),
        "the answer is cut"
    );
    let _ = proxy.logged(&["msg=\"answer cut\"", "reason=unfilterable_answer"]);
}

/// A hidden object and a missing one get the engine's own answer to the call about a missing one, of
/// any status, and no call about the hidden one reaches the engine.
#[test]
fn hidden_and_missing_look_alike() {
    let engine = engine(|exchange, link| {
        let mut words = exchange.line.split(['/', '?']);
        let Some(name) = words.find(|word| word.contains("no-such-object")) else {
            return false;
        };
        let is_forced = exchange.line.contains("force=1");
        if is_forced {
            link.write("HTTP/1.1 204 No Content\r\nServer: Engine/1\r\n\r\n");
        } else {
            let body = format!(r#"{{"cause":"gone","message":"{name} is \"gone\""}}"#);
            link.write(format!(
                "HTTP/1.1 500 Odd\r\nServer: Engine/1\r\nContent-Type: application/x\r\n\
                Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ));
        }
        true
    });
    let proxy = scoped(&engine);
    let ask = |line: &str| {
        let answer = proxy.client().request(line);
        // Each refusal has an identifier of its own.
        let lines = answer
            .head
            .lines()
            .filter(|line| !line.starts_with("X-Request-Id:"));
        (answer.status, lines.collect::<String>(), answer.body)
    };
    for (line, status) in [
        ("GET /containers/{}/json", 404),
        ("GET /containers/{}/changes", 500),
        ("HEAD /containers/{}/top", 500),
        ("POST /containers/{}/stop?t=1", 500),
        ("DELETE /containers/{}", 500),
        ("DELETE /containers/{}?force=1&x=y", 204),
    ] {
        let (hidden, missing) = (
            ask(&line.replace("{}", "hidden")),
            ask(&line.replace("{}", "lacked")),
        );
        assert_eq!(hidden.0, status, "{line}");
        assert_eq!(hidden.1, missing.1, "{line}");
        assert_eq!(hidden.2, missing.2.replace("lacked", "hidden"), "{line}");
        match status {
            404 => assert!(hidden.2.contains("No such container: hidden"), "{hidden:?}"),
            _ => assert!(hidden.1.contains("Server: Engine/1"), "{hidden:?}"),
        }
        if status == 500 {
            assert!(
                hidden.1.contains("Content-Type: application/x"),
                "{hidden:?}"
            );
            let body = r#"{"cause":"gone","message":"hidden is \"gone\""}"#;
            let body = if line.starts_with("HEAD") { "" } else { body };
            assert_eq!(hidden.2, body, "{line}");
        }
    }
    let _ = proxy.logged(&["reason=not_visible", "/containers/hidden/stop"]);
    for line in engine.received().join("").lines() {
        let is_change = line.starts_with("POST ") || line.starts_with("DELETE ");
        assert!(!is_change || line.contains("no-such-object"), "{line}");
        assert!(!line.contains("x=y"), "{line}");
    }
    assert_eq!(ask("POST /containers/seen/stop").0, 200);
}

/// An error of the engine tells the identifiers of other containers.
#[test]
fn errors_lose_the_identifiers_of_others() {
    const OTHER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let engine = engine(|exchange, link| {
        exchange.line.starts_with("POST /containers/create") && {
            let message =
                format!("The name \\\"/x\\\" is already in use by container \\\"{OTHER}\\\".");
            link.answer(409, &format!("{{\"message\":\"Conflict. {message}\"}}"));
            true
        }
    });
    let proxy = scoped(&engine);
    let answer = proxy
        .client()
        .request_with("POST /containers/create?name=x", "{\"Image\":\"busybox\"}");
    assert_eq!(answer.status, 409);
    assert!(
        answer.body.contains("(hidden)") && !answer.body.contains(&OTHER[..12]),
        "{}",
        answer.body
    );
}

/// A client that stops reading a filtered answer does not hold up others, and its answer ends.
#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    let names = vec!["seen"; 20_000];
    let all = list(&names);
    let engine = engine(move |exchange, link| {
        exchange.line.starts_with("GET /containers/json") && {
            link.answer(200, &all);
            true
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, LOOK)
        .arg("--visible", "name=seen*")
        .arg("--progress-timeout", "1s")
        .start();
    let mut stalled = proxy.client();
    stalled.send("GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("the list begins", || {
        engine.received().join("").contains("/containers/json")
    });
    assert_eq!(
        proxy.client().request("GET /containers/seen/json").status,
        404
    );
    let _ = proxy.logged(&["reason=client_stalled"]);
}

#[test]
fn sessions_come_from_one_header() {
    let engine = engine(|_, _| false);
    let proxy = ProxyBuilder::new(PROGRAM, &engine, LOOK)
        .arg("--own", "session=header")
        .start();
    for (headers, want) in [
        ("", 400),
        ("X-Cetusguard-Session: \r\n", 400),
        ("X-Cetusguard-Session: a b\r\n", 400),
        (
            "X-Cetusguard-Session: a\r\nX-Cetusguard-Session: a\r\n",
            400,
        ),
        ("x-cetusguard-session: job-1\r\n", 404),
    ] {
        let mut client = proxy.client();
        client.send(format!(
            "GET /containers/seen/json HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
        ));
        assert_eq!(client.read_response().status, want, "{headers:?}");
    }
    let _ = proxy.logged(&["reason=no_session"]);
    assert_eq!(proxy.client().request("GET /_ping").status, 200);
    let received = engine.received().join("").to_lowercase();
    assert!(!received.contains("x-cetusguard-session"), "{received}");
}

/// A profile without a view sends answers as they come.
#[test]
fn a_profile_without_a_view_filters_nothing() {
    let engine = engine(|exchange, link| {
        exchange.line.starts_with("GET /containers/json") && {
            assert_eq!(exchange.header("accept-encoding"), Some("gzip"));
            link.answer(200, "not JSON");
            true
        }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, LOOK).start();
    let mut client = proxy.client();
    client.send("GET /containers/json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!(client.read_response().body, "not JSON");
}

/// The identifiers of a container that the client sees, and of one that it does not see and whose
/// lock another client holds.
const SEEN: &str = "5ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee05ee0";
const LOCKED: &str = "10c4ed10c4ed10c4ed10c4ed10c4ed10c4ed10c4ed10c4ed10c4ed10c4ed10c4";

/// An engine with these containers on a network. It describes neither of them in time, and lists
/// them if `lists`.
fn locked(lists: bool) -> Engine {
    Engine::scripted(move |exchange, link| {
        let path = exchange.line.split(' ').nth(1).unwrap_or_default();
        let is_own = exchange.header("user-agent") == Some("cetusguard");
        let segments: Vec<&str> = path.split(['?', '/']).collect();
        match segments.as_slice() {
            ["", "containers", "json", ..] if lists => {
                let row = |id, name| format!(r#"{{"Id":"{id}","Names":["/{name}"],"Labels":null}}"#);
                let rows = [row(SEEN, "seen"), row(LOCKED, "other")].join(",");
                link.answer(200, &format!("[{rows}]"));
            }
            ["", "containers", ..] => {
                link.wait_for_close();
            }
            ["", "events", ..] if is_own => {
                link.drain();
            }
            ["", "events", ..] => {
                let connect = |id| {
                    format!(
                        r#"{{"Type":"network","Action":"connect","Actor":{{"ID":"bridge","Attributes":{{"container":"{id}"}}}}}}"#
                    )
                };
                link.answer(200, &format!("{}\n{}\n", connect(LOCKED), connect(SEEN)));
            }
            ["", "networks", ..] => link.answer(
                200,
                &format!(
                    r#"{{"Id":"bridge","Name":"bridge","Containers":{{"{LOCKED}":{{}},"{SEEN}":{{}}}}}}"#
                ),
            ),
            ["", "exec", id, "json"] => link.answer(
                200,
                &format!(
                    r#"{{"ID":"{id}","ContainerID":"{LOCKED}","Running":false,"ProcessConfig":{{}}}}"#
                ),
            ),
            _ => link.answer(200, "{}"),
        }
    })
}

/// Docker describes a container under its lock, which a client holds by reading an archive of it
/// slowly.
#[test]
fn answers_do_not_depend_on_the_lock_of_one_container() {
    let engine = locked(true);
    let proxy = scoped(&engine);
    for line in ["GET /networks/bridge", "GET /events?until=1"] {
        let answer = proxy.client().request(line);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            answer.body.contains(SEEN) && !answer.body.contains(LOCKED),
            "{}",
            answer.body
        );
    }
    let received = engine.received().join("");
    assert!(!received.contains(&format!("/containers/{LOCKED}/json")));
    assert!(received.contains("GET /containers/json?all=true&filters=%7B%22id%22"));
}

#[test]
fn containers_that_are_not_listed_in_time_count_as_hidden() {
    let engine = locked(false);
    let proxy = scoped(&engine);
    let answer = proxy.client().request("GET /networks/bridge");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains(r#""Name":"bridge""#)
            && !answer.body.contains(SEEN)
            && !answer.body.contains(LOCKED),
        "{}",
        answer.body
    );
}

#[test]
fn errors_name_no_object_that_the_client_did_not_name() {
    let engine = locked(true);
    let proxy = scoped(&engine);
    let answer = proxy
        .client()
        .request_with("POST /exec/c0ffee/start", "{\"Detach\":true}");
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(
        answer
            .body
            .contains("did not answer a question about an object in time")
            && !answer.body.contains(&LOCKED[..12]),
        "{}",
        answer.body
    );
    // The log has it.
    let _ = proxy.logged(&["reason=engine_lookup_failed", LOCKED]);
}
