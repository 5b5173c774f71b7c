//! Requirements on what clients create, through the whole program: their keys, what is sent, and
//! what is not.

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "POST .*";

fn engine() -> Engine {
    Engine::scripted(|exchange, link| {
        if exchange.line.starts_with("GET /") && link.tell(exchange) {
            return;
        }
        link.answer(201, "{\"Id\":\"x\"}");
    })
}

fn proxy(engine: &Engine, options: &[(&str, &str)]) -> Proxy {
    let proxy = ProxyBuilder::new(PROGRAM, engine, RULES);
    options
        .iter()
        .fold(proxy, |proxy, (name, value)| proxy.arg(name, value))
        .start()
}

/// The bodies of the calls by POST that the engine got.
fn posted(engine: &Engine) -> Vec<String> {
    let received = engine.received();
    let posts = received.iter().filter(|one| one.starts_with("POST "));
    posts
        .filter_map(|one| one.split_once("\r\n\r\n"))
        .map(|(_, body)| body.to_owned())
        .collect()
}

#[test]
fn what_does_not_meet_a_requirement_is_not_sent() {
    let engine = engine();
    let proxy = proxy(
        &engine,
        &[
            ("--max-memory", "1k"),
            ("--require-labels", "team=*"),
            ("--allow-exec", "ls **"),
        ],
    );
    let allowed = "{\"Labels\":{\"team\":\"a\"},\"HostConfig\":{\"Memory\":1024}}";
    for (line, body, status) in [
        ("POST /containers/create", allowed, 201),
        (
            "POST /containers/create",
            "{\"Labels\":{\"team\":\"a\"},\"HostConfig\":{\"Memory\":1025}}",
            403,
        ),
        (
            "POST /containers/create",
            "{\"Labels\":{\"team\":\"a\"}}",
            403,
        ),
        (
            "POST /v1.41/containers/create",
            "{\"HostConfig\":{\"Memory\":1024}}",
            403,
        ),
        ("POST /v5.0.0/libpod/containers/create", "{}", 403),
        ("POST /services/create", "{\"Name\":\"s\"}", 403),
        ("POST /containers/web/update", "{\"Memory\":-1}", 403),
        ("POST /containers/web/update", "{\"Memory\":512}", 201),
        (
            "POST /v5.0.0/libpod/containers/web/update",
            "{\"memory\":{\"limit\":0}}",
            403,
        ),
        ("POST /v5.0.0/libpod/pods/create", "{}", 403),
        ("POST /containers/web/exec", "{\"Cmd\":[\"sh\"]}", 403),
    ] {
        let answer = proxy.client().request_with(line, body);
        assert_eq!(answer.status, status, "{line} {body}: {}", answer.body);
    }
    assert_eq!(posted(&engine), [allowed, "{\"Memory\":512}"]);
}

#[test]
fn a_refusal_says_what_is_wrong_and_which_key_asks_for_it() {
    let engine = engine();
    let proxy = proxy(
        &engine,
        &[("--max-memory", "2GiB"), ("--log-format", "json")],
    );
    let answer = proxy.client().request_with(
        "POST /containers/create",
        "{\"HostConfig\":{\"Memory\":4294967296}}",
    );
    let want = "the guard of profile default (baseline): HostConfig.Memory: 4294967296 is too \
        large; max-memory of this profile asks for a limit of at most 2GiB (2147483648)";
    assert!(answer.body.contains(want), "{}", answer.body);
    let line = proxy.logged(&["max-memory of this profile"]);
    assert!(line.contains("HostConfig.Memory"), "{line}");
}

#[test]
fn an_audited_profile_forwards_and_logs() {
    let engine = engine();
    let options = [("--max-pids", "9"), ("--mode", "audit")];
    let proxy = proxy(&engine, &options);
    let body = "{\"HostConfig\":{\"PidsLimit\":0}}";
    let answer = proxy.client().request_with("POST /containers/create", body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(posted(&engine), [body]);
    let line = proxy.logged(&["would_deny", "max-pids"]);
    assert!(line.contains("HostConfig.PidsLimit"), "{line}");
}

#[test]
fn what_the_profile_sets_is_sent() {
    let engine = engine();
    let proxy = proxy(
        &engine,
        &[
            ("--default-memory", "1k"),
            ("--add-labels", "team=ci"),
            ("--set-cgroup-parent", "ci.slice"),
        ],
    );
    let answer = proxy
        .client()
        .request_with("POST /containers/create", "{\"Image\":\"x\"}");
    assert_eq!(answer.status, 201, "{}", answer.body);
    let want = "{\"Image\":\"x\",\"Labels\":{\"team\":\"ci\"},\
        \"HostConfig\":{\"CgroupParent\":\"ci.slice\",\"Memory\":1024}}";
    assert_eq!(posted(&engine), [want]);
}

const HUB: &str = "docker.io/*=r.example/hub/*";

#[test]
fn a_container_without_a_network_joins_that_of_the_profile() {
    let engine = engine();
    let proxy = proxy(&engine, &[("--default-network", "clients")]);
    for (line, body) in [
        ("POST /containers/create", "{}"),
        ("POST /v5.0.0/libpod/containers/create", "{}"),
        ("POST /services/create", "{\"Name\":\"s\"}"),
        (
            "POST /containers/create",
            "{\"HostConfig\":{\"NetworkMode\":\"none\"}}",
        ),
    ] {
        let answer = proxy.client().request_with(line, body);
        assert_eq!(answer.status, 201, "{line} {body}: {}", answer.body);
    }
    let want = [
        "{\"HostConfig\":{\"NetworkMode\":\"clients\"}}",
        "{\"netns\":{\"nsmode\":\"bridge\"},\"Networks\":{\"clients\":{}}}",
        "{\"Name\":\"s\",\"TaskTemplate\":{\"Networks\":[{\"Target\":\"clients\"}]}}",
        "{\"HostConfig\":{\"NetworkMode\":\"none\"}}",
    ];
    assert_eq!(posted(&engine), want);
}

#[test]
fn the_engine_gets_images_by_the_names_of_the_profile() {
    let engine = engine();
    let proxy = proxy(
        &engine,
        &[("--rewrite-images", HUB), ("--log-format", "json")],
    );
    let head = "Host: x\r\nX-Registry-Auth: c2VjcmV0\r\nContent-Length: 0";
    for (name, sends_credentials) in [("nginx", false), ("ghcr.io%2Fx", true)] {
        let line = format!("POST /images/create?fromImage={name}&tag=1 HTTP/1.1");
        let mut client = proxy.client();
        assert!(client.send(format!("{line}\r\n{head}\r\n\r\n")));
        let answer = client.read_response();
        assert_eq!(answer.status, 201, "{name}: {}", answer.body);
        let received = engine.received();
        let pull = received.iter().rfind(|one| one.contains("/images/create"));
        let has_credentials = pull.is_some_and(|pull| pull.contains("c2VjcmV0"));
        assert_eq!(has_credentials, sends_credentials, "{pull:?}");
    }
    let answer = proxy
        .client()
        .request_with("POST /containers/create", "{\"Image\":\"nginx:1\"}");
    assert_eq!(answer.status, 201, "{}", answer.body);
    let received = engine.received();
    let lines: Vec<_> = received
        .iter()
        .filter(|one| one.starts_with("POST "))
        .filter_map(|one| one.split_once(" HTTP/1.1"))
        .map(|(line, _)| line)
        .collect();
    let want = [
        "POST /images/create?fromImage=r.example%2Fhub%2Flibrary%2Fnginx&tag=1",
        "POST /images/create?fromImage=ghcr.io%2Fx&tag=1",
        "POST /containers/create",
    ];
    assert_eq!(lines, want);
    let bodies = posted(&engine);
    let want = "{\"Image\":\"r.example/hub/library/nginx:1\"}";
    assert_eq!(bodies.last().map(String::as_str), Some(want));
    let _ = proxy.logged(&["container.create", "nginx:1=r.example/hub/library/nginx:1"]);
}

#[test]
fn no_other_registry_gets_the_clients_credentials() {
    let engine = engine();
    let service = |image: &str| {
        format!("{{\"TaskTemplate\":{{\"ContainerSpec\":{{\"Image\":\"{image}\"}}}}}}")
    };
    let login = "{\"username\":\"me\",\"password\":\"c2VjcmV0\"}";
    let update = "POST /services/s/update?version=1&registryAuthFrom=previous-spec";
    let mirrored = [
        ("POST /images/create?fromImage=nginx&tag=1", String::new()),
        ("POST /images/nginx/push", String::new()),
        ("POST /images/nginx/push", login.to_owned()),
        ("POST /services/create", service("nginx")),
        (update, service("nginx")),
        (
            "POST /v5.0.0/libpod/images/pull?reference=nginx&username=me&password=c2VjcmV0",
            String::new(),
        ),
    ];
    let own = [
        ("POST /images/ghcr.io/x/push", login.to_owned()),
        (update, service("ghcr.io/x")),
    ];
    for options in [
        &[("--rewrite-images", HUB)][..],
        &[
            ("--rewrite-images", HUB),
            ("--mode", "audit"),
            ("--deny-images", "r.example/*"),
        ],
    ] {
        let rules = format!("{RULES}\nALLOW image.push");
        let proxy = options
            .iter()
            .fold(
                ProxyBuilder::new(PROGRAM, &engine, &rules),
                |proxy, (name, value)| proxy.arg(name, value),
            )
            .start();
        for (at, (line, body)) in mirrored.iter().chain(&own).enumerate() {
            let length = body.len();
            let mut client = proxy.client();
            assert!(client.send(format!(
                "{line} HTTP/1.1\r\nHost: x\r\nX-Registry-Auth: c2VjcmV0\r\nx-registry-config: \
                c2VjcmV0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            )));
            let answer = client.read_response();
            assert_eq!(answer.status, 201, "{line}: {}", answer.body);
            let received = engine.received();
            let sent = received.iter().rfind(|one| one.starts_with("POST "));
            let sent = sent.map(String::as_str).unwrap_or_default();
            let is_mirrored = at < mirrored.len();
            assert_eq!(sent.contains("c2VjcmV0"), !is_mirrored, "{sent}");
            // A service would keep the credentials for its former image.
            let is_update = line.contains("/update");
            assert_eq!(
                sent.contains("X-Registry-Auth: e30="),
                is_mirrored && is_update,
                "{sent}"
            );
            if is_mirrored && line.ends_with("/push") {
                assert!(sent.contains("Content-Length: 2\r\n"), "{sent}");
                assert!(sent.ends_with("\r\n\r\n{}"), "{sent}");
            }
        }
    }
}

#[test]
fn an_audited_profile_rewrites_images_as_well() {
    let engine = engine();
    let options = [
        ("--rewrite-images", HUB),
        ("--max-pids", "9"),
        ("--mode", "audit"),
    ];
    let proxy = proxy(&engine, &options);
    let answer = proxy
        .client()
        .request_with("POST /containers/create", "{\"Image\":\"nginx\"}");
    assert_eq!(answer.status, 201, "{}", answer.body);
    let want = "{\"Image\":\"r.example/hub/library/nginx:latest\"}";
    assert_eq!(posted(&engine), [want]);
}

#[test]
fn explain_shows_the_new_name_of_an_image() {
    let (_, page, errors) = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .arg("--rules", "GET .*")
        .arg("--rewrite-images", HUB)
        .word("GET")
        .word("/images/nginx/json")
        .run();
    let want = "nginx=r.example/hub/library/nginx:latest";
    assert!(page.contains(want), "{page}{errors}");
}

#[test]
fn a_profile_takes_back_what_the_options_require() {
    const PROFILES: &str = "max-memory: 1k\nallow-extra-hosts: none\nprofiles:\n  free: {clients: \
        [{address: 127.0.0.2}], rules: POST .*, max-memory: none, allow-extra-hosts: any}\n";
    let folder = TempDir::new();
    let file = folder.write("cetusguard.yaml", PROFILES);
    let (code, page, _) = ProxyBuilder::bare(PROGRAM)
        .word("check")
        .arg("--config", &file)
        .run();
    assert_eq!(code, Some(0), "{page}");
    let (default, free) = page.split_once("profile free").unwrap_or_default();
    for requirement in ["with max-memory 1k", "with allow-extra-hosts none"] {
        assert!(default.contains(requirement), "{page}");
    }
    assert!(!free.contains("with "), "{page}");
}

#[test]
fn mistakes_say_what_was_expected() {
    for (config, want) in [
        (
            "max-memory: lots",
            "expected a size, as in 512MiB or 2GiB, or none",
        ),
        ("max-memory: 0", "expected a size"),
        ("max-cpus: 1e3", "expected a number of processors"),
        ("max-pids: -1", "expected a number, as in 200, or none"),
        (
            "allow-ports: 0-70000",
            "expected HOST[:CONTAINER][/PROTOCOL]",
        ),
        ("allow-ports: [none, 80]", "expected none alone"),
        ("allow-port-addresses: localhost", "expected an IP address"),
        ("allow-restart: sometimes", "expected no, on-failure"),
        ("allow-users: \"a:b:c\"", "expected USER or USER:GROUP"),
        ("allow-exec: \"ls ** x\"", "expected a command"),
        ("allow-volumes: label=", "expected a name, or label=KEY"),
        ("require-labels: =x", "expected a label"),
        ("require-read-only: maybe", "expected true or false"),
        ("add-labels: team", "expected KEY=VALUE"),
        ("default-user: 10*", "expected USER or USER:GROUP"),
        ("rewrite-images: nginx", "expected FROM=TO"),
        ("rewrite-images: docker.io/*=*", "expected FROM=TO"),
        ("default-network: host", "expected the name of a network"),
        ("default-network: a:b", "expected the name of a network"),
        ("set-cgroup-parent: ../x", "expected a cgroup"),
        (
            "max-memory: 1k\ndefault-memory: 1m",
            "default-memory is \"1m\"",
        ),
        (
            "max-memory: 1k\nguard: privileged",
            "expected baseline or restricted, because the profile default has max-memory 1k",
        ),
        (
            "max-pids: 5\nprofiles:\n  a: {clients: [{address: 127.0.0.2}], guard: privileged}",
            "expected baseline or restricted, because the profile a has max-pids 5",
        ),
        (
            "profiles:\n  a: {clients: [{address: 127.0.0.2}], max-memory: x}",
            "expected a size",
        ),
    ] {
        let folder = TempDir::new();
        let file = folder.write("cetusguard.yaml", &format!("{config}\n"));
        let (code, _, errors) = ProxyBuilder::bare(PROGRAM).arg("--config", &file).run();
        assert_eq!(code, Some(2), "{config}: {errors}");
        assert_eq!(errors.matches(want).count(), 1, "{config}: {errors}");
    }
}

#[test]
fn explain_judges_the_requirements() {
    let folder = TempDir::new();
    let body = folder.write("body.json", "{\"HostConfig\":{\"Memory\":2048}}");
    let (code, page, errors) = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .word("POST")
        .word("/containers/create")
        .arg("--body", &body)
        .arg("--rules", RULES)
        .arg("--max-memory", "1k")
        .run();
    assert_eq!(code, Some(1), "{page}{errors}");
    for want in ["max-memory 1k", "HostConfig.Memory", "is too large"] {
        assert!(page.contains(want), "{want}: {page}");
    }
}
