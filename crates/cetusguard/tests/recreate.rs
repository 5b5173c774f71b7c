//! No container is lost: what its client could not create again is neither deleted nor, by an
//! updater, stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use cetusguard_testkit::{Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

/// What the engine tells of a container by the name of its only particular setting.
fn inspected(name: &str) -> Option<String> {
    let host = match name {
        "plain" => String::new(),
        "bound" => "\"Binds\":[\"/srv/app:/app\"]".to_owned(),
        "old" => "\"CgroupnsMode\":\"host\"".to_owned(),
        // The engine's default.
        "logged" => "\"LogConfig\":{\"Type\":\"gelf\",\"Config\":{\"gelf-address\":\"udp://x:1\"}}"
            .to_owned(),
        "removed" => "\"AutoRemove\":true,\"Binds\":[\"/srv/app:/app\"]".to_owned(),
        "powerful" => "\"Privileged\":true,\"PidMode\":\"host\"".to_owned(),
        "hopeless" => "\"Binds\":[\"/var/run/docker.sock:/var/run/docker.sock\"]".to_owned(),
        _ => return None,
    };
    Some(format!(
        "{{\"Id\":\"{name}-{ID}\",\"Name\":\"/{name}\",\"Config\":{{\"Image\":\"busybox\"}},\"HostConfig\":{{{host}}},\
         \"NetworkSettings\":{{\"Networks\":{{\"bridge\":{{}}}}}}}}"
    ))
}

const NAMES: [&str; 6] = ["plain", "bound", "old", "removed", "powerful", "hopeless"];

/// An engine with these containers, and one that answers nonsense or nothing about others.
fn engine() -> Engine {
    Engine::scripted(|exchange, link| {
        let path = exchange.line.split(' ').nth(1).unwrap_or_default();
        let word = path
            .strip_prefix("/containers/")
            .and_then(|rest| rest.strip_suffix("/json"));
        match (exchange.line.as_str(), word) {
            ("GET /version", _) => link.answer(
                200,
                "{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.24\"}",
            ),
            ("GET /info", _) => link.answer(
                200,
                "{\"LoggingDriver\":\"gelf\",\"DefaultRuntime\":\"runc\"}",
            ),
            (line, _) if line.starts_with("GET /containers/json?all=1") => {
                let list: Vec<_> = NAMES
                    .iter()
                    .map(|name| format!("{{\"Id\":\"{name}-{ID}\"}}"))
                    .collect();
                link.answer(200, &format!("[{}]", list.join(",")));
            }
            (_, Some("broken")) => link.answer(500, "{\"message\":\"it fails\"}"),
            (_, Some("odd")) => link.answer(200, "{\"Id\":\"a\",\"Id\":\"b\"}"),
            (_, Some("bare")) => {
                link.answer(200, &format!("{{\"Id\":\"{ID}\",\"Name\":\"/bare\"}}"))
            }
            (_, Some("silent")) => {
                link.wait_for_close();
            }
            (line, Some(word)) if line.starts_with("GET ") => {
                match inspected(word.trim_end_matches(ID).trim_end_matches('-')) {
                    Some(answer) => link.answer(200, &answer),
                    None => link.answer(
                        404,
                        &format!("{{\"message\":\"No such container: {word}\"}}"),
                    ),
                }
            }
            (line, _) if line.starts_with("GET /events") => {
                link.drain();
            }
            _ => link.answer(204, ""),
        }
    })
}

fn preset(engine: &Engine, name: &str) -> ProxyBuilder {
    let builder = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .arg("--log-level", "7");
    builder.arg("--presets", name).frontend("tcp://127.0.0.1:0")
}

fn status(proxy: &Proxy, request: &str) -> (u16, String) {
    let answer = proxy.client().request(request);
    (answer.status, answer.body)
}

#[test]
fn an_updater_neither_stops_nor_deletes_what_it_could_not_create_again() {
    let engine = engine();
    let proxy = preset(&engine, "watchtower").start();
    for name in ["bound", "old", "powerful", "hopeless", "removed"] {
        for request in [
            format!("POST /v1.50/containers/{name}/stop?t=10"),
            format!("POST /v1.25/containers/{name}/kill?signal=SIGTERM"),
            format!("DELETE /v1.50/containers/{name}?force=1"),
            format!("DELETE /containers/{name}-{ID}"),
        ] {
            let (status, body) = status(&proxy, &request);
            assert_eq!(status, 403, "{request}: {body}");
            assert!(body.contains(&format!(
                "cetusguard: the guard of profile default (baseline): the container {name} is not "
            )));
            assert!(
                body.contains("because this client could not create it again: HostConfig."),
                "{body}"
            );
            assert!(body.contains("set guard-recreation to off"), "{body}");
        }
    }
    let received = engine.received().concat();
    assert!(
        !received.contains("DELETE ") && !received.contains("POST "),
        "{received}"
    );
    let _ = proxy.logged(&[
        "reason=not_recreatable",
        "status=403",
        "path=/v1.50/containers/bound",
    ]);
    for request in [
        "POST /v1.50/containers/plain/stop",
        "DELETE /v1.50/containers/plain?force=1",
    ] {
        assert_eq!(status(&proxy, request).0, 204, "{request}");
    }
    // The engine acts on what was judged.
    let deleted = format!("DELETE /v1.50/containers/plain-{ID}?force=1 HTTP/1.1");
    assert!(engine.received().concat().contains(&deleted));
}

#[test]
fn exceptions_let_a_container_be_replaced() {
    let engine = engine();
    let proxy = preset(&engine, "watchtower")
        .arg("--guard-allow", "bind=/srv/app")
        .start();
    assert_eq!(status(&proxy, "DELETE /v1.50/containers/bound").0, 204);
    assert_eq!(status(&proxy, "DELETE /v1.50/containers/old").0, 403);
}

#[test]
fn each_client_is_judged_by_what_it_sends() {
    let engine = engine();
    let dozzle = "DELETE %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%\nPOST \
        %API_PREFIX_CONTAINERS%/create\nPOST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/stop";
    let compose = preset(&engine, "compose").start();
    let dozzle = preset(&engine, "dozzle").arg("--rules", dozzle).start();
    let off = preset(&engine, "watchtower")
        .arg("--guard-recreation", "off")
        .start();
    let portainer = preset(&engine, "portainer").start();
    for (request, statuses) in [
        ("DELETE /v1.50/containers/bound", [403, 403, 204, 204]),
        // Compose declares no namespace that the engine fills in, and Dozzle sends it as it is.
        ("DELETE /v1.50/containers/old", [204, 403, 204, 204]),
        ("DELETE /v1.50/containers/logged", [204, 403, 204, 204]),
        ("POST /v1.50/containers/bound/stop", [204, 204, 204, 204]),
        ("POST /v1.50/containers/removed/stop", [403, 403, 204, 204]),
    ] {
        let got = [&compose, &dozzle, &off, &portainer].map(|proxy| status(proxy, request).0);
        assert_eq!(got, statuses, "{request}");
    }
}

/// A profile has its own clients, and so its own way.
#[test]
fn a_profile_says_how_its_clients_create_again() {
    let (engine, folder) = (engine(), TempDir::new());
    let rules = "      GET,POST,DELETE %API_PREFIX_CONTAINERS%(/.*)?";
    let socket = |name: &str| format!("unix://{}", folder.file(name));
    let (first, second) = (socket("a.sock"), socket("b.sock"));
    let config = format!(
        "frontends:\n  - {{addr: \"{first}\", profile: kept}}\n  - {{addr: \"{second}\", profile: \
        lost}}\nguard-recreation: copied\nprofiles:\n  kept:\n    rules: |\n{rules}\n  lost:\n    \
        guard-recreation: off\n    rules: |\n{rules}\n"
    );
    let path = folder.write("cetusguard.yaml", &config);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    let _proxy = proxy.expect_frontend().expect_frontend().start();
    let asked = |address: &str| {
        Client::connect(address)
            .request("DELETE /v1.50/containers/bound")
            .status
    };
    assert_eq!([asked(&first), asked(&second)], [403, 204]);
}

/// A container of which the engine does not tell the settings is not deleted.
#[test]
fn what_is_not_known_is_not_lost() {
    let engine = engine();
    let proxy = preset(&engine, "watchtower").start();
    for (word, code, want) in [
        ("broken", 502, "the engine answered 500"),
        ("odd", 502, "cannot be read"),
        (
            "silent",
            502,
            "did not answer to /containers/silent/json in time",
        ),
        ("bare", 403, "the engine does not tell its settings"),
        ("gone", 404, "No such container: gone"),
    ] {
        let (status, body) = status(&proxy, &format!("DELETE /v1.50/containers/{word}"));
        assert_eq!(status, code, "{word}: {body}");
        assert!(body.contains(want), "{body}");
    }
    assert!(!engine.received().concat().contains("DELETE "));
}

/// Large settings are judged where they hold no other client up, and settings that are too large
/// are not judged at all.
#[test]
fn settings_of_any_size_end_the_request_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let engine = Engine::scripted(move |exchange, link| {
        let label = |size: usize| format!("\"Labels\":{{\"a\":\"{}\"}}", "x".repeat(size));
        let answer = |size| {
            format!(
                "{{\"Id\":\"{ID}\",\"Name\":\"/web\",\"Config\":{{{}}},\"HostConfig\":{{}}}}",
                label(size)
            )
        };
        match exchange.line.as_str() {
            "GET /containers/large/json" => link.answer(200, &answer(900 << 10)),
            "GET /containers/huge/json" => link.answer(200, &answer(2 << 20)),
            "GET /containers/monstrous/json" => link.answer(200, &answer(5 << 20)),
            line if line.starts_with("DELETE ") => {
                counted.fetch_add(1, SeqCst);
                link.answer(204, "");
            }
            _ => link.answer(404, "{}"),
        }
    });
    let proxy = preset(&engine, "watchtower").start();
    for (word, code, want) in [
        ("large", 204, ""),
        ("huge", 403, "larger than the 1 MiB that the guard judges"),
        ("monstrous", 502, "is larger than 4 MiB"),
    ] {
        let (status, body) = status(&proxy, &format!("DELETE /v1.50/containers/{word}"));
        assert!(
            status == code && body.contains(want),
            "{word}: {status} {body}"
        );
    }
    eventually("one container is deleted", || asked.load(SeqCst) == 1);
}

/// An engine that counts the inspections under way and in all, and holds them back until it is told
/// to let them go.
#[derive(Default)]
struct Inspections {
    held: AtomicBool,
    under_way: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
    infos: AtomicUsize,
}

fn holding_engine(inspections: &Arc<Inspections>) -> Engine {
    let seen = Arc::clone(inspections);
    Engine::scripted(move |exchange, link| {
        let path = exchange.line.split(' ').nth(1).unwrap_or_default();
        let word = path
            .strip_prefix("/containers/")
            .and_then(|rest| rest.strip_suffix("/json"));
        match (exchange.line.as_str(), word) {
            (line, Some(word)) if line.starts_with("GET ") => {
                let now = seen.under_way.fetch_add(1, SeqCst) + 1;
                seen.most.fetch_max(now, SeqCst);
                seen.all.fetch_add(1, SeqCst);
                if word != "free" {
                    eventually("answers are let go", || !seen.held.load(SeqCst));
                }
                seen.under_way.fetch_sub(1, SeqCst);
                link.answer(
                    200,
                    &inspected("plain")
                        .unwrap_or_default()
                        .replace("plain", word),
                );
            }
            ("GET /info", _) => {
                seen.infos.fetch_add(1, SeqCst);
                link.answer(200, "{\"DefaultRuntime\":\"runc\"}");
            }
            (line, _) if line.starts_with("GET /events") => {
                link.drain();
            }
            _ => link.answer(204, ""),
        }
    })
}

/// A client that deletes many containers at once, or one many times, has the settings of one in
/// memory at a time, and other clients do not wait for it.
#[test]
fn many_inspections_of_one_client_take_the_memory_of_one() {
    let seen = Arc::new(Inspections::default());
    let engine = holding_engine(&seen);
    let proxy = preset(&engine, "compose").start();
    let open = proxy.descriptors();
    let delete = |word: &str| status(&proxy, &format!("DELETE /v1.50/containers/{word}")).0;
    seen.held.store(true, SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert_eq!(delete("same"), 204));
        }
        eventually("all of them are connected", || {
            proxy.descriptors() >= open + 40
        });
        eventually("one of them asks", || seen.all.load(SeqCst) > 0);
        let mut other = Client::connect_from("127.0.0.3", proxy.address());
        let answer = other.request("DELETE /v1.50/containers/free");
        assert_eq!(answer.status, 204, "{}", answer.body);
        seen.held.store(false, SeqCst);
    });
    let all = seen.all.load(SeqCst);
    assert!(
        all <= 4,
        "{all} inspections for 41 calls about 2 containers"
    );
    assert!(seen.most.load(SeqCst) <= 2);
    std::thread::scope(|scope| {
        let delete = &delete;
        for index in 0..20 {
            scope.spawn(move || assert_eq!(delete(&format!("other-{index}")), 204));
        }
    });
    assert_eq!(seen.all.load(SeqCst), all + 20);
    assert!(seen.most.load(SeqCst) <= 2, "one at a time for each client");
    let infos = seen.infos.load(SeqCst);
    assert!(
        infos <= 2,
        "{infos} questions for the defaults: one for each client"
    );
}

#[test]
fn an_audit_deletes_and_tells() {
    let engine = engine();
    let proxy = preset(&engine, "watchtower").arg("--mode", "audit").start();
    assert_eq!(status(&proxy, "DELETE /v1.50/containers/bound").0, 204);
    let _ = proxy.logged(&["not_recreatable", "decision=would_deny"]);
}

fn told(command: ProxyBuilder) -> (Option<i32>, String) {
    let (code, out, errors) = command.run();
    assert_eq!(errors, "");
    (code, out.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn check_warns_where_a_container_could_be_lost() {
    let check = |rules: &str| {
        ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--rules", rules)
    };
    let both = "GET,HEAD %API_PREFIX_PING%\nPOST %API_PREFIX_CONTAINERS%/create\nPOST \
        %API_PREFIX_CONTAINERS%/[^/]+/start\nDELETE %API_PREFIX_CONTAINERS%/[^/]+";
    let warning = "warning[unprotected-recreation]: profile default: containers can be deleted and \
        created, and the guard may refuse to create one again: a client that replaces a container \
        would lose it";
    let (code, out) = told(check(both));
    assert!(
        code == Some(0) && out.contains(warning) && out.contains("set guard-recreation to copied"),
        "{out}"
    );
    for (option, value) in [
        ("--guard-recreation", "copied"),
        ("--guard-recreation", "off"),
        ("--guard", "privileged"),
    ] {
        let (_, out) = told(check(both).arg(option, value));
        assert!(
            !out.contains("unprotected-recreation"),
            "{option} {value}: {out}"
        );
    }
    let (_, out) = told(check("DELETE %API_PREFIX_CONTAINERS%/[^/]+"));
    assert!(!out.contains("unprotected-recreation"), "{out}");
    for preset in ["watchtower", "compose", "portainer"] {
        let (_, out) = told(
            ProxyBuilder::bare(PROGRAM)
                .word("check")
                .arg("--presets", preset),
        );
        assert!(!out.contains("unprotected-recreation"), "{preset}: {out}");
    }
    let (code, out) = told(check(both).arg("--guard-recreation", "copy"));
    assert!(
        code == Some(2) && out.contains("expected auto, off, declared, copied or updater"),
        "{out}"
    );
}

#[test]
fn doctor_lists_what_could_not_be_created_again() {
    let (engine, folder) = (engine(), TempDir::new());
    let doctor = |preset: &str| {
        let doctor = ProxyBuilder::bare(PROGRAM)
            .word("doctor")
            .arg("--backend-addr", &engine.address());
        let doctor = doctor.arg(
            "--frontend-addr",
            &format!("unix://{}", folder.file("proxy.sock")),
        );
        doctor
            .arg("--presets", preset)
            .arg("--max-connections", "64")
    };
    let (code, out) = told(doctor("watchtower"));
    assert_eq!(code, Some(0), "{out}");
    for want in [
        "warning re-creation: profile default could not create bound again, so it is neither \
        stopped nor deleted: HostConfig.Binds[0]: mounts the host path /srv/app; use a named \
        volume instead = guard-allow bind=/srv/app",
        "could not create old again, so it is neither stopped nor deleted: \
        HostConfig.CgroupnsMode: shares the host's cgroup namespace = guard-allow \
        host-namespace=cgroup",
        "could not create powerful again",
        "(and 1 more) = guard-allow host-namespace=pid, guard-allow privileged",
        "could not create hopeless again",
        "= no exception helps: have the client leave this container alone",
    ] {
        assert!(out.contains(want), "{want} in {out}");
    }
    assert!(!out.contains("create plain again"), "{out}");
    let (_, out) = told(doctor("compose"));
    assert!(
        !out.contains("create old again")
            && out.contains("could not create bound again, so it is not deleted"),
        "{out}"
    );
    let (_, out) = told(doctor("portainer"));
    assert!(!out.contains("re-creation"), "{out}");
    let (_, out) = told(doctor("homepage"));
    assert!(!out.contains("re-creation"), "{out}");
    let rules = "GET,POST,DELETE %API_PREFIX_CONTAINERS%(/.*)?";
    let (_, out) = told(doctor("homepage").arg("--rules", rules));
    let want = "could not create bound again, so a client that replaces it loses it \
        (guard-recreation is not set)";
    assert!(out.contains(want), "{out}");
    let all = [
        "bind=/srv/app",
        "host-namespace=cgroup",
        "host-namespace=pid",
        "privileged",
    ];
    let allowed = all.iter().fold(doctor("watchtower"), |doctor, exception| {
        doctor.arg("--guard-allow", exception)
    });
    let (_, out) = told(allowed);
    assert_eq!(out.matches("re-creation").count(), 1, "{out}");
}

/// The list is bounded, and so is what is told of it.
#[test]
fn doctor_looks_at_the_first_hundred_containers() {
    let engine = Engine::scripted(|exchange, link| {
        match exchange.line.as_str() {
        "GET /version" => link.answer(200, "{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\"}"),
        "GET /containers/json?all=1&limit=101" => {
            let list: Vec<_> = (0..101).map(|number| format!("{{\"Id\":\"c{number}\"}}")).collect();
            link.answer(200, &format!("[{}]", list.join(",")));
        }
        line => match line.strip_prefix("GET /containers/c").and_then(|rest| rest.strip_suffix("/json")) {
            Some(number) => link.answer(
                200,
                &format!(
                    "{{\"Id\":\"c{number}\",\"Name\":\"/n{number}\",\"Config\":{{}},\"HostConfig\":{{\"Binds\":[\"/srv/{number}:/x\"]}}}}"
                ),
            ),
            None => link.answer(404, "{}"),
        },
    }
    });
    let folder = TempDir::new();
    let doctor = ProxyBuilder::bare(PROGRAM)
        .word("doctor")
        .arg("--backend-addr", &engine.address());
    let doctor = doctor.arg(
        "--frontend-addr",
        &format!("unix://{}", folder.file("proxy.sock")),
    );
    let (_, out) = told(
        doctor
            .arg("--presets", "watchtower")
            .arg("--max-connections", "64"),
    );
    assert_eq!(out.matches("warning re-creation").count(), 11, "{out}");
    assert!(
        out.contains("could not create 90 more containers of the 100 that were looked at again"),
        "{out}"
    );
    assert!(
        out.contains("guard-allow bind=/srv/99") && !out.contains("/srv/100"),
        "{out}"
    );
}

/// Neither the engine's socket nor what belongs to the proxy is ever offered.
#[test]
fn doctor_offers_no_exception_that_defeats_the_rules() {
    let containers = [
        ("socket", "\"Binds\":[\"/var/run/docker.sock:/s\"]"),
        ("folder", "\"Binds\":[\"/run:/r:ro\"]"),
        ("root", "\"Binds\":[\"/:/host:ro\"]"),
        (
            "volume",
            "\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"runs\",\"Target\":\"/r\"}]",
        ),
        ("sibling", "\"Binds\":[\"/srv/proxy:/p\"]"),
        ("both", "\"Binds\":[\"/srv/proxy:/p\",\"/run/podman:/r\"]"),
        ("plain", "\"Binds\":[\"/srv/app:/a\"]"),
        ("proxy", "\"Binds\":[\"/srv/proxy:/p\"]"),
    ];
    let engine = Engine::scripted(move |exchange, link| {
        let path = exchange.line.split(' ').nth(1).unwrap_or_default();
        let name = path
            .strip_prefix("/containers/")
            .and_then(|rest| rest.strip_suffix("/json"));
        match (path, name) {
            ("/version", _) => link.answer(200, "{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\"}"),
            ("/volumes/runs", _) => link.answer(
                200,
                "{\"Name\":\"runs\",\"Driver\":\"local\",\"Options\":{\"device\":\"/var/run\",\
                \"o\":\"bind\",\"type\":\"none\"}}",
            ),
            (_, Some(name)) => {
                let known = containers.iter().find(|(known, _)| name.starts_with(known));
                match known {
                    Some((name, host)) => {
                        let binds = host.split('"').find(|part| part.starts_with('/'));
                        let source = binds.and_then(|bind| bind.split(':').next());
                        let mounts = source
                            .filter(|_| host.contains("Binds"))
                            .map(|source| format!("{{\"Type\":\"bind\",\"Source\":\"{source}\"}}"));
                        link.answer(
                            200,
                            &format!(
                                "{{\"Id\":\"{name}-{ID}\",\"Name\":\"/{name}\",\"Mounts\":[{}],\
                                \"Config\":{{\"Image\":\"busybox\"}},\"HostConfig\":{{{host}}},\
                                \"NetworkSettings\":{{\"Networks\":{{\"bridge\":{{}}}}}}}}",
                                mounts.unwrap_or_default()
                            ),
                        );
                    }
                    None => link.answer(404, "{}"),
                }
            }
            _ if path.starts_with("/containers/json") => {
                let list: Vec<_> = containers
                    .iter()
                    .map(|(name, _)| format!("{{\"Id\":\"{name}-{ID}\"}}"))
                    .collect();
                link.answer(200, &format!("[{}]", list.join(",")));
            }
            _ => link.answer(404, "{}"),
        }
    });
    let folder = TempDir::new();
    let doctor = ProxyBuilder::bare(PROGRAM)
        .word("doctor")
        .arg("--backend-addr", &engine.address())
        .arg("--proxy-container", "proxy")
        .arg(
            "--frontend-addr",
            &format!("unix://{}", folder.file("proxy.sock")),
        )
        .arg("--presets", "watchtower")
        .arg("--max-connections", "64");
    let (_, out) = told(doctor);
    for (name, want) in [
        (
            "socket",
            "no exception should allow it: it mounts /var/run/docker.sock, and with it the",
        ),
        (
            "folder",
            "no exception should allow it: it mounts /run, and with it the engine's socket",
        ),
        (
            "root",
            "no exception should allow it: it mounts /, and with it the engine's socket",
        ),
        (
            "volume",
            "no exception should allow it: it mounts runs, and with it the engine's socket",
        ),
        (
            "sibling",
            "no exception should allow it: it has something of the proxy's own container",
        ),
        (
            "both",
            "no exception should allow it: it mounts /run/podman, and with it the engine's",
        ),
        ("plain", "guard-allow bind=/srv/app"),
    ] {
        let told = out
            .split("warning re-creation: ")
            .find(|part| part.contains(&format!("could not create {name} again")));
        let told = told.unwrap_or_else(|| panic!("{name} in {out}"));
        assert!(told.contains(want), "{name}: {told}");
        assert_eq!(
            told.contains("guard-allow"),
            name == "plain",
            "{name}: {told}"
        );
    }
    assert!(!out.contains("create proxy again"), "{out}");
    assert!(
        out.ends_with(
            "No problem keeps it from starting; 7 warnings to read before you rely on it."
        ),
        "{out}"
    );
}
