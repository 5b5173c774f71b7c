//! How much one client may ask for, and what a profile that is not enforced lets pass.

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn start(engine: &Engine, options: &[(&str, &str)]) -> Proxy {
    let proxy = ProxyBuilder::new(
        PROGRAM,
        engine,
        "GET %API_PREFIX_CONTAINERS%(/.*)?\nGET %API_PREFIX_EVENTS%",
    );
    options
        .iter()
        .fold(proxy, |proxy, (name, value)| proxy.arg(name, value))
        .start()
}

/// An engine whose lists wait until they are told to go on, and whose events never end.
fn slow_engine() -> Engine {
    Engine::start(|exchange, link| {
        if exchange.line.contains("/events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n");
            link.drain();
        } else if exchange.line.contains("slow") {
            link.wait_for_close();
        } else {
            link.answer(200, "OK");
        }
    })
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let engine = Engine::ok();
    // No token comes back while this test lasts.
    let proxy = start(&engine, &[("--rate-limit", "1/h"), ("--rate-burst", "3")]);
    let mut client = proxy.client();
    for _ in 0..3 {
        assert_eq!(client.request("GET /containers/json").status, 200);
    }
    let refused = client.request("GET /containers/json");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused
        .header("retry-after")
        .and_then(|wait| wait.parse().ok())
        .expect("a time to wait");
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert!(
        refused.body.starts_with(&format!(
            "{{\"message\":\"cetusguard: this client exceeds the request rate of profile default; try again \
            in {wait} s"
        )),
        "{}",
        refused.body
    );
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("GET /containers")
            .count(),
        3
    );
    // Another client is not held to it, and what is refused by the rules counts as well.
    let mut other = Client::connect_from("127.0.0.2", proxy.address());
    let got: Vec<_> = (0..4)
        .map(|_| other.request("DELETE /containers/x").status)
        .collect();
    assert_eq!(got, [403, 403, 403, 429]);
    let _ = proxy.logged(&[
        "level=warning",
        "request refused",
        "status=429",
        "reason=rate_limit",
    ]);
}

#[test]
fn a_client_that_has_waited_may_ask_again() {
    let engine = Engine::ok();
    let proxy = start(&engine, &[("--rate-limit", "1/s"), ("--rate-burst", "1")]);
    let mut client = proxy.client();
    // A token may come back between two requests, and sooner or later one asks before it does.
    eventually("a request comes too early", || {
        client.request("GET /containers/json").status == 429
    });
    eventually("a token comes back", || {
        client.request("GET /containers/json").status == 200
    });
}

#[test]
fn requests_and_streams_are_counted_by_themselves() {
    let engine = slow_engine();
    let proxy = start(&engine, &[("--max-requests", "2"), ("--max-streams", "1")]);
    let mut waiting: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut waiting {
        client.send("GET /containers/slow/json HTTP/1.1\r\n\r\n");
    }
    eventually("both are under way", || {
        engine.received().concat().matches("slow").count() == 2
    });
    let refused = proxy.client().request("GET /containers/json");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    assert!(
        refused.body.contains("2 requests under way"),
        "{}",
        refused.body
    );

    // A stream takes no place of a request, and keeps its own as long as it lasts.
    let mut stream = proxy.client();
    stream.send("GET /events HTTP/1.1\r\n\r\n");
    assert_eq!(stream.read_head().status, 200);
    let refused = proxy.client().request("GET /v1.43/events");
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("1 streams open"), "{}", refused.body);
    assert_eq!(
        Client::connect_from("127.0.0.2", proxy.address())
            .request("GET /containers/json")
            .status,
        200
    );

    drop(waiting);
    eventually("a place is free", || {
        proxy.client().request("GET /containers/json").status == 200
    });
    drop(stream);
    eventually("a stream may begin", || {
        let mut client = proxy.client();
        client.send("GET /events HTTP/1.1\r\n\r\n");
        client.read_head().status == 200
    });
    for reason in ["max_requests", "max_streams"] {
        let _ = proxy.logged(&["request refused", &format!("reason={reason}")]);
    }
}

#[test]
fn user_agents_are_let_in_by_name() {
    let engine = Engine::ok();
    let proxy = start(
        &engine,
        &[
            ("--user-agents", "docker-py/*"),
            ("--user-agents", "Go-http-client/*"),
        ],
    );
    let ask = |head: &str| {
        let mut client = proxy.client();
        client.send(format!("GET /containers/json HTTP/1.1\r\n{head}\r\n"));
        client.read_response()
    };
    assert_eq!(ask("User-Agent: docker-py/7.1\r\n").status, 200);
    assert_eq!(ask("user-agent: Go-http-client/1.1\r\n").status, 200);
    for head in [
        "",
        "User-Agent: curl/8\r\n",
        "User-Agent: xdocker-py/7\r\n",
        "User-Agent: docker-py/7\r\nUser-Agent: curl/8\r\n",
    ] {
        let refused = ask(head);
        assert_eq!(refused.status, 403, "{head}");
        assert!(
            refused.body.contains("does not let the user agent"),
            "{}",
            refused.body
        );
    }
    let _ = proxy.logged(&["request refused", "reason=user_agent"]);
    let proxy = start(&engine, &[("--user-agents-denied", "curl/*")]);
    assert_eq!(proxy.client().request("GET /containers/json").status, 200);
}

#[test]
fn what_is_not_enforced_passes_and_is_told() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = "log-level: 4
frontends: [{addr: 'tcp://127.0.0.1:0', profile: learning}, {addr: 'tcp://127.0.0.2:0'}]
profiles:
  learning: {mode: audit, rules: GET /events, rate-limit: 1/h, rate-burst: 3, user-agents: [x]}
";
    let path = folder.write("config.yaml", file);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    // At this level nobody says where it listens.
    let proxy = proxy
        .arg("--log-level", "6")
        .expect_frontend()
        .expect_frontend()
        .start();
    let line = proxy.logged(&["warning=not-enforced"]);
    assert!(
        line.contains("level=warning") && line.contains("profile=learning"),
        "{line}"
    );

    let mut client = proxy.client();
    client.send("DELETE /containers/x?secret=1 HTTP/1.1\r\nUser-Agent: x\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    let line = proxy.logged(&["method=DELETE"]);
    for want in [
        "level=warning msg=\"request allowed\"",
        " path=/containers/x status=200 ",
        " profile=learning endpoint=container.remove decision=would_deny reason=no_rule \
        detail=\"no rule of profile learning allows DELETE /containers/x; to allow it, add",
    ] {
        assert!(line.contains(want), "{want} in {line}");
    }
    assert!(!line.contains("secret"), "{line}");
    // Limits are no more enforced than rules.
    assert_eq!(client.request("GET /events").status, 200);
    let line = proxy.logged(&["path=/events", "would_deny"]);
    assert!(line.contains("reason=user_agent"), "{line}");
    for _ in 0..3 {
        client.send("GET /_ping HTTP/1.1\r\nUser-Agent: x\r\n\r\n");
        assert_eq!(client.read_response().status, 200);
    }
    let _ = proxy.logged(&["path=/_ping", "decision=would_deny", "reason=rate_limit"]);
    // What nobody can read in one way only is refused all the same, and other profiles are
    // enforced.
    assert_eq!(proxy.client().request("GET /a\\b").status, 400);
    assert_eq!(
        Client::connect(&proxy.addresses()[1])
            .request("DELETE /containers/x")
            .status,
        403
    );
}

/// Root in a container is any user that it likes: on a socket of its own it is one client all the
/// same.
#[test]
fn a_socket_counts_as_one_client() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file =
        "frontends: [{addr: 'unix://DIR/a.sock', profile: one, socket-mode: '0666'}, {addr: 'tcp://127.0.0.1:0'}]
profiles: {one: {rules: GET /events, rate-limit: 1/h, rate-burst: 2}}
";
    let path = folder.write(
        "config.yaml",
        &file.replace("DIR", &folder.path().display().to_string()),
    );
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    let _proxy = proxy.expect_frontend().expect_frontend().start();
    let socket = folder.file("a.sock");
    let as_user = |user: u32| {
        let request = format!(
            "printf 'GET /events HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n' | curl --silent \
            --output /dev/null --write-out '%{{http_code}}' --unix-socket {socket} http://x/events"
        );
        let output = std::process::Command::new("setpriv")
            .args([
                "--reuid",
                &user.to_string(),
                "--regid",
                &user.to_string(),
                "--clear-groups",
                "sh",
                "-c",
                &request,
            ])
            .output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    };
    let mut statuses: Vec<u16> = (0..3)
        .map(|_| {
            Client::connect(&format!("unix://{socket}"))
                .request("GET /events")
                .status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429]);
    // Only root can be others; whoever cannot has shown what it can above.
    statuses.extend((2000..2003).filter_map(|user| as_user(user).parse::<u16>().ok()));
    assert!(
        statuses[3..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
}

/// A profile's limits do not make a healthy proxy look sick; and whoever takes the health check's
/// name gets little by it.
#[test]
fn the_health_check_goes_beside_the_limits() {
    let engine = slow_engine();
    let limits = [
        ("--rate-limit", "1/h"),
        ("--rate-burst", "1"),
        ("--max-requests", "1"),
        ("--user-agents", "app/*"),
    ];
    let proxy = start(&engine, &limits);
    let mut ask = proxy.client();
    let mut ask = |line: &str, agent: &str| {
        ask.send(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n"
        ));
        ask.read_response().status
    };
    let mut waiting = proxy.client();
    waiting.send("GET /containers/slow/json HTTP/1.1\r\nUser-Agent: app/1\r\n\r\n");
    eventually("it is under way", || {
        engine.received().concat().contains("slow")
    });
    assert_eq!(
        [ask("GET /_ping", "app/1"), ask("GET /_ping", "curl")],
        [429, 403]
    );
    let check = ProxyBuilder::bare(PROGRAM)
        .word("healthcheck")
        .word(proxy.address());
    assert_eq!(check.run(), (Some(0), String::new(), String::new()));

    // An impostor may do nothing but what the check does, and that seldom.
    let name = "cetusguard-healthcheck";
    for line in ["GET /containers/json", "HEAD /_ping", "GET /info"] {
        assert_eq!(
            proxy
                .client()
                .request(&format!("{line} HTTP/1.1\r\nUser-Agent: {name}\r\nX:"))
                .status,
            403,
            "{line}"
        );
    }
    let twice = format!("{name}\r\nUser-Agent: {name}");
    assert_eq!(ask("GET /_ping", &twice), 403);
    let refused = (0..1000).find(|_| ask("GET /_ping", name) == 429);
    assert!(refused.is_some(), "a flood of health checks is let in");
    let other = Client::connect_from("127.0.0.2", proxy.address())
        .request(&format!("GET /_ping HTTP/1.1\r\nUser-Agent: {name}\r\nX:"));
    assert_eq!(
        other.status, 200,
        "another client's checks are counted by themselves"
    );
}
