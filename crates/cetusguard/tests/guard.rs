//! What allowed calls may ask for, through the whole program: what was judged is what the engine
//! gets.

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "POST,PUT .*\nDELETE %API_PREFIX_CONTAINERS%/.+/checkpoints/.+";

fn engine() -> Engine {
    Engine::scripted(|exchange, link| {
        match exchange.line.as_str() {
        "GET /exec/bad/json" => link.answer(
            200,
            "{\"ID\":\"bad\",\"ContainerID\":\"web\",\"ProcessConfig\":{\"privileged\":true,\"user\":\"\"}}",
        ),
        "GET /exec/gone/json" => link.answer(404, "{\"message\":\"No such exec instance\"}"),
        "GET /exec/odd/json" => link.answer(500, "{}"),
        "GET /networks/72cqyr8je5drixrhn2m10r5t9" => link.answer(
            200,
            "{\"Id\":\"72cqyr8je5drixrhn2m10r5t9\",\"Name\":\"host\",\"Driver\":\"host\",\"Scope\":\"swarm\"}",
        ),
        line if line.starts_with("GET /networks/absent") => {
            link.answer(404, "{\"message\":\"network absent not found\"}")
        }
        line if line.starts_with("GET /") => {
            if !link.tell(exchange) {
                link.answer(200, "OK");
            }
        }
        line if line.ends_with("/exec/tunnel/start") => {
            link.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
            let raw = link.read(3).unwrap_or_default();
            link.write(raw);
            link.close();
        }
        line if line.contains("/exec/gone/start") => link.answer(404, "{\"message\":\"No such exec \
            instance\"}"),
        _ => link.answer(201, "{\"Id\":\"x\"}"),
    }
    })
}

fn proxy(engine: &Engine, options: &[(&str, &str)]) -> Proxy {
    let proxy = ProxyBuilder::new(PROGRAM, engine, RULES);
    options
        .iter()
        .fold(proxy, |proxy, (name, value)| proxy.arg(name, value))
        .start()
}

#[test]
fn the_engine_gets_what_was_judged() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    let body = "{\"Image\" : \"x\", \"Later\":[], \
        \"HostConfig\":{\"Memory\":9007199254740993,\"Binds\":null}}";
    let judged = "{\"Image\":\"x\",\"HostConfig\":{\"Memory\":9007199254740993}}";
    let mut client = proxy.client();
    assert_eq!(
        client
            .request_with("POST /v1.43/containers/create?name=%77eb", body)
            .status,
        201
    );
    // However it is framed, it goes on with a length of its own, and the connection is good for
    // another request.
    let (first, rest) = body.split_at(20);
    client.send(format!(
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json; \
        charset=utf-8\r\nX-Mine: 1\r\nTransfer-Encoding: \
        chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
        first.len(),
        rest.len()
    ));
    assert_eq!(client.read_response().status, 201);
    assert_eq!(
        client.request_with("POST /containers/create", "").status,
        201
    );
    let received = engine.received();
    assert!(
        received[0].starts_with("POST /v1.43/containers/create?name=web HTTP/1.1\r\n"),
        "{received:?}"
    );
    for one in &received[..2] {
        let want = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{judged}",
            judged.len()
        );
        assert!(
            one.ends_with(&want) && one.matches("Content-").count() == 2,
            "{one}"
        );
    }
    assert!(
        received[1].contains("\r\nX-Mine: 1\r\n") && !received[1].contains("chunked"),
        "{}",
        received[1]
    );
    assert!(
        received[2].ends_with("Content-Length: 0\r\n\r\n"),
        "{}",
        received[2]
    );
}

#[test]
fn what_the_guard_refuses_reaches_nobody() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    let mut client = proxy.client();
    let refused = client.request_with(
        "POST /containers/create",
        "{\"HostConfig\":{\"Privileged\":true,\"Binds\":[\"/etc:/x\"]}}",
    );
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (403, Some("application/json"))
    );
    for want in [
        "cetusguard: the guard of profile default (baseline): ",
        "HostConfig.Privileged: gives the container every right on the host; allow it with \
        guard-allow privileged",
        "HostConfig.Binds[0]: mounts the host path /etc; use a named volume instead; allow it with \
        guard-allow bind=/etc",
    ] {
        assert!(refused.body.contains(want), "{want} in {}", refused.body);
    }
    let line = proxy.logged(&["request refused", "reason=guard"]);
    assert!(
        line.contains("level=warning") && line.contains("path=/containers/create status=403"),
        "{line}"
    );
    assert!(
        line.contains("HostConfig.Privileged")
            && line.contains(" | and 1 more")
            && !line.contains("Binds"),
        "{line}"
    );
    let line = proxy.logged(&["level=debug", "refusal in full"]);
    assert!(
        line.contains("HostConfig.Privileged") && line.contains("HostConfig.Binds[0]"),
        "{line}"
    );
    for (request, body, status) in [
        ("POST /containers/create", "{\"a\":1,\"a\":2}", 400),
        ("POST /containers/web/exec", "{\"Privileged\":true}", 403),
        ("POST /networks/create", "{\"Driver\":\"host\"}", 403),
        (
            "POST /volumes/create",
            "{\"DriverOpts\":{\"o\":\"bind\"}}",
            403,
        ),
        ("POST /build?networkmode=host", "", 403),
        ("POST /v5.0.0/libpod/pods/create", "{}", 403),
        (
            "POST /services/create",
            "{\"TaskTemplate\":{\"ContainerSpec\":{\"CapabilityAdd\":[\"ALL\"]}}}",
            403,
        ),
        ("POST /plugins/pull?remote=x", "[]", 403),
        ("POST /swarm/join", "{}", 403),
        ("POST /containers/web/start", "{\"Binds\":[\"/:/x\"]}", 403),
        ("DELETE /containers/web/checkpoints/etc?dir=/", "", 403),
        (
            "DELETE /containers/web/checkpoints/x",
            "{\"dir\":\"/\"}",
            403,
        ),
    ] {
        // A refusal of a body that was read leaves the connection as it was; behind one that was
        // not, it is closed.
        let answer = proxy.client().request_with(request, body);
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
    }
    assert_eq!(
        client.request("POST /containers/web/stop").status,
        201,
        "the connection goes on"
    );
    let received = engine.received().concat();
    assert!(
        received.starts_with("POST /containers/web/stop ")
            && received.matches("HTTP/1.1").count() == 1,
        "{received}"
    );
}

#[test]
fn bodies_that_are_judged_are_bounded_in_size_and_time() {
    let engine = engine();
    let hasty = proxy(&engine, &[("--head-timeout", "300ms")]);
    let proxy = proxy(&engine, &[]);
    let mut client = proxy.client();
    client.send(
        "POST /containers/create HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: \
        1048577\r\n\r\n",
    );
    let refused = client.read_response();
    assert_eq!(refused.status, 413, "without asking for it");
    assert!(
        refused.body.contains("larger than the 1 MiB"),
        "{}",
        refused.body
    );
    let mut client = proxy.client();
    client.send(
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: \
        chunked\r\n\r\n",
    );
    for _ in 0..40 {
        if !client.send(format!("10000\r\n{}\r\n", " ".repeat(65536))) {
            break;
        }
    }
    assert_eq!(client.read_response().status, 413);
    let mut client = hasty.client();
    client.send("POST /containers/create HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
    assert_eq!(client.read_response().status, 408);
    // As large as it may be.
    let body = format!("{{\"Image\":\"{}\"}}", "x".repeat((1 << 20) - 12));
    assert_eq!(
        (
            body.len(),
            proxy
                .client()
                .request_with("POST /containers/create", &body)
                .status
        ),
        (1 << 20, 201)
    );
    assert!(proxy.serves());
}

/// What is there of the body is a whole value and harmless, but it is not what the client meant to
/// say.
#[test]
fn half_a_body_reaches_nobody() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    let cases = [
        ("Content-Length: 100", "{\"Image\":\"x\"}"),
        ("Content-Length: 100", ""),
        ("Transfer-Encoding: chunked", "d\r\n{\"Image\":\"x\"}\r\n"),
        ("Transfer-Encoding: chunked", "64\r\n{\"Image\":\"x\"}"),
        (
            "Connection: Upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked",
            "d\r\n{\"Image\":\"x\"}\r\n",
        ),
    ];
    for (index, (framing, part)) in cases.into_iter().enumerate() {
        let mut client = proxy.client();
        client.send(format!(
            "POST /containers/create HTTP/1.1\r\nUser-Agent: \
            half-{index}\r\n{framing}\r\n\r\n{part}"
        ));
        client.finish();
        assert_eq!(client.read_to_end(), "", "{framing}");
        let line = proxy.logged(&["request abandoned", &format!("user_agent=half-{index}")]);
        assert!(line.contains("reason=client_disconnected"), "{line}");
    }
    assert!(engine.received().is_empty(), "{:?}", engine.received());
    assert!(proxy.serves());
}

/// Many clients with the largest and most broken bodies at once.
#[test]
fn many_large_bodies_stay_within_bounds() {
    let engine = engine();
    // How long they wait for each other depends on the machine; what they take together does not.
    let proxy = proxy(&engine, &[("--head-timeout", "10m")]);
    proxy.settle();
    let rest = proxy.memory("VmRSS");
    let deep = format!(
        "{{\"Labels\":{{{}\"z\":\"\"}}}}",
        (0..60_000)
            .map(|n| format!("\"{n}\":\"\","))
            .collect::<String>()
    );
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                let answer = proxy
                    .client()
                    .request_with("POST /containers/create", &deep);
                assert_eq!(answer.status, 201, "{}", answer.body);
            });
        }
    });
    // The pages of the program itself do not count: they grow with its code.
    let taken = proxy.memory("VmHWM").saturating_sub(rest);
    assert!(taken < 36 << 10, "{taken} KiB above {rest}");
}

#[test]
fn a_command_is_judged_again_when_it_is_started() {
    let engine = engine();
    let one = proxy(&engine, &[]);
    let start = |proxy: &Proxy, id: &str| {
        proxy
            .client()
            .request_with(&format!("POST /v1.43/exec/{id}/start"), "{\"Detach\":true}")
    };
    assert_eq!(start(&one, "good").status, 201);
    let refused = start(&one, "bad");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("ProcessConfig.privileged: gives the command every capability"),
        "{}",
        refused.body
    );
    assert_eq!(start(&one, "gone").status, 404, "the engine's own answer");
    let refused = start(&one, "odd");
    assert_eq!(refused.status, 502);
    assert!(
        refused
            .body
            .contains("the engine does not say what this call is about"),
        "{}",
        refused.body
    );
    assert!(!engine.received().concat().contains("POST /v1.43/exec/bad"));
    let other = proxy(&engine, &[("--guard-allow", "exec-privileged")]);
    assert_eq!(start(&other, "bad").status, 201);
}

/// docker-modem does not end its body before it has its tunnel; others end it and go on at once.
#[test]
fn a_tunnel_opens_behind_a_body_without_its_end() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    let head = "POST /v1.43/exec/tunnel/start HTTP/1.1\r\nContent-Type: \
        application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n";
    for (body, raw) in [
        (
            "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"Detach\":false}\r\n",
            "raw",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"Detach\":false}\r\n0\r\n\r\nraw",
            "",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"Detach\r\n8\r\n\":false}\r\n",
            "raw",
        ),
        ("Content-Length: 16\r\n\r\n{\"Detach\":false}raw", ""),
    ] {
        let mut client = proxy.client();
        client.send(format!("{head}{body}"));
        assert_eq!(client.read_head().status, 101, "{body}");
        client.send(raw);
        assert_eq!(client.read_to_end(), "raw", "{body}");
    }
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("Content-Length: 16\r\n\r\n{\"Detach\":false}")
            .count()
            + engine
                .received()
                .concat()
                .matches(
                    "Content-Length: 16\r\nConnection: Upgrade\r\nUpgrade: \
                    tcp\r\n\r\n{\"Detach\":false}"
                )
                .count(),
        4
    );
}

#[test]
fn a_profile_has_its_own_level_and_exceptions() {
    let (engine, folder) = (engine(), TempDir::new());
    let file = "rules: POST .*
guard-allow: [gpus]
frontends:
- {addr: 'tcp://127.0.0.1:0'}
- {addr: 'tcp://127.0.0.2:0', profile: open}
- {addr: 'tcp://127.0.0.3:0', profile: some}
- {addr: 'tcp://127.0.0.4:0', profile: strict}
- {addr: 'tcp://127.0.0.5:0', profile: watched}
profiles:
  open: {rules: 'POST .*', guard: privileged}
  some: {rules: 'POST .*', guard-allow: ['bind=/srv/**:ro', 'capability=NET_ADMIN']}
  strict: {rules: 'POST .*', guard: restricted}
  watched: {rules: 'POST %API_PREFIX_CONTAINERS%/create', mode: audit}
";
    let path = folder.write("config.yaml", file);
    let mut proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    for _ in 0..5 {
        proxy = proxy.expect_frontend();
    }
    let proxy = proxy.start();
    for (body, want) in [
        ("{\"Image\":\"x\"}", [201, 201, 201, 403, 201]),
        (
            "{\"HostConfig\":{\"DeviceRequests\":[{\"Count\":1}]}}",
            [201, 201, 403, 403, 201],
        ),
        (
            "{\"HostConfig\":{\"Binds\":[\"/srv/x:/x:ro\"]}}",
            [403, 201, 201, 403, 201],
        ),
        (
            "{\"HostConfig\":{\"Binds\":[\"/srv/x:/x\"]}}",
            [403, 201, 403, 403, 201],
        ),
        (
            "{\"User\":\"1000\",\"HostConfig\":{\"CapDrop\":[\"ALL\"],\"SecurityOpt\":[\"no-new-privileges\"]}}",
            [201, 201, 201, 201, 201],
        ),
        (
            "{\"HostConfig\":{\"Privileged\":true,\"Privileged\":null}}",
            [400, 201, 400, 400, 201],
        ),
    ] {
        let got = [0, 1, 2, 3, 4].map(|at| {
            Client::connect(&proxy.addresses()[at])
                .request_with("POST /v1.44/containers/create", body)
                .status
        });
        assert_eq!(got, want, "{body}");
    }
    // What is not enforced goes on as it came, and is told.
    let received = engine.received().concat();
    assert!(
        received.contains("{\"HostConfig\":{\"Privileged\":true,\"Privileged\":null}}"),
        "{received}"
    );
    let line = proxy.logged(&["profile=watched", "would_deny", "reason=guard", "Binds[0]"]);
    assert!(
        line.contains("msg=\"request allowed\"") && line.contains("status=201"),
        "{line}"
    );
    let _ = proxy.logged(&["profile=watched", "would_deny", "reason=malformed_json"]);
}

#[test]
fn exceptions_that_are_none_are_mistakes() {
    let run = |options: &[(&str, &str)]| {
        options
            .iter()
            .fold(ProxyBuilder::bare(PROGRAM), |proxy, (name, value)| {
                proxy.arg(name, value)
            })
            .run()
    };
    for (name, value, told) in [
        ("--guard-allow", "gpu", "did you mean gpus?"),
        (
            "--guard-allow",
            "everything",
            "expected one of: annotation, bind",
        ),
        (
            "--guard-allow",
            "capability=SYSADMIN",
            "expected a capability, as in NET_ADMIN",
        ),
        ("--guard-allow", "bind=srv", "expected bind=/PATH[/**][:ro]"),
        (
            "--guard-allow",
            "host-namespace=all",
            "expected host-namespace=network|pid|ipc|uts|user|cgroup",
        ),
        (
            "--guard",
            "strict",
            "expected privileged, baseline or restricted",
        ),
    ] {
        let (code, _, errors) = run(&[(name, value)]);
        assert!(
            code == Some(2) && errors.contains(told) && errors.contains("1 mistake "),
            "{errors}"
        );
    }
}

#[test]
fn what_cannot_be_judged_passes_by_name_and_is_told_at_the_start() {
    let engine = engine();
    let rules = "POST .*\nPOST %API_PREFIX_LIBPOD%/pods/create";
    let proxy = ProxyBuilder::new(PROGRAM, &engine, rules).start();
    assert_eq!(
        proxy
            .client()
            .request_with("POST /v5.0.0/libpod/pods/create", "{}")
            .status,
        201
    );
    let refused = proxy
        .client()
        .request_with("POST /v5.0.0/libpod/kube/play", "{}");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("cannot judge the body of POST /v5.0.0/libpod/kube/play"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains("add the rule: POST "),
        "{}",
        refused.body
    );
    let line = proxy.logged(&["level=warning", "warning=unread-body"]);
    assert!(
        line.contains("POST /libpod/pods/create is open, and the guard cannot judge it"),
        "{line}"
    );
    eventually("it is told once", || {
        proxy
            .log()
            .iter()
            .filter(|line| line.contains("unread-body"))
            .count()
            == 1
    });
}

/// Whoever sends nothing, or a little of something large, keeps nobody from being judged.
#[test]
fn idle_bodies_stall_nobody() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    let head = "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\n";
    let idle: Vec<Client> = (0..20)
        .map(|at| {
            let mut client = proxy.client();
            let length = if at % 2 == 0 {
                "Transfer-Encoding: chunked"
            } else {
                "Content-Length: 1000000"
            };
            client.send(format!("{head}{length}\r\n\r\n"));
            client
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(
            proxy
                .client()
                .request_with("POST /containers/create", "{\"Image\":\"x\"}")
                .status,
            201
        );
    }
    drop(idle);
}

/// Bytes that are no text in a content type are no way around what is asked of it.
#[test]
fn odd_content_types_are_no_way_around() {
    let engine = engine();
    let proxy = proxy(&engine, &[]);
    for kind in [
        &b"application/x-www-form-urlencoded; a=\xff"[..],
        b"mult\xc4\xb0part/form-data; boundary=x",
        b"\xff",
    ] {
        let mut client = proxy.client();
        client.send(
            [
                b"POST /images/create?fromImage=a HTTP/1.1\r\nContent-Type: ",
                kind,
                b"\r\nContent-Length: 11\r\n\r\nfromImage=b",
            ]
            .concat(),
        );
        assert_eq!(client.read_response().status, 400);
    }
    assert!(engine.received().is_empty());
}

/// Clients put the identifier of a network in the place of its name: only the engine can tell the
/// host's.
#[test]
fn the_hosts_network_is_told_by_the_engine() {
    let engine = engine();
    let one = proxy(&engine, &[]);
    let create = |proxy: &Proxy, target: &str| {
        let body = format!("{{\"TaskTemplate\":{{\"Networks\":[{{\"Target\":\"{target}\"}}]}}}}");
        proxy
            .client()
            .request_with("POST /v1.43/services/create", &body)
    };
    for target in ["1hcbwpvpagbounehbl8y9czcw", "front", "shop_front", "0f3a"] {
        assert_eq!(create(&one, target).status, 201, "{target}");
    }
    // What is judged is what is sent: a name that is free when it is looked up may be taken a
    // moment later.
    assert_eq!(create(&one, "absent").status, 403);
    let refused = create(&one, "72cqyr8je5drixrhn2m10r5t9");
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains(
            "TaskTemplate.Networks[0].Target: shares the host's network namespace; allow it with \
            guard-allow host-namespace=network"
        ),
        "{}",
        refused.body
    );
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("POST /v1.43/services/create")
            .count(),
        4
    );
    let other = proxy(&engine, &[("--guard-allow", "host-namespace=network")]);
    assert_eq!(create(&other, "72cqyr8je5drixrhn2m10r5t9").status, 201);
}
