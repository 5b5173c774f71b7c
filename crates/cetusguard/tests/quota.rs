//! Quotas: what the clients of a profile may own at a time, all of them together.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use cetusguard_testkit::{Engine, Exchange, Link, Proxy, ProxyBuilder, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST,DELETE .*";

/// The containers and commands of a simulated engine.
#[derive(Debug, Default)]
struct State {
    /// The memory limits of the containers, which are numbered.
    containers: Vec<u64>,
    /// The commands in the first container: whether each runs, and its exit code.
    execs: Vec<(bool, Option<u8>)>,
    /// The engine does not answer creates.
    is_stuck: bool,
    /// The engine does not list containers.
    is_held: bool,
    /// The number of lists that the engine has not answered at once.
    lists_held: usize,
    /// Clients hold the locks of the first containers, so many, so that the engine does not describe
    /// them.
    locked: usize,
    /// The length of another label that each container has, in bytes; the first one has it five times.
    other_label: usize,
}

/// An engine that keeps what clients create. Every container belongs to the profile `default`.
fn engine(state: &Arc<Mutex<State>>) -> Engine {
    let state = Arc::clone(state);
    Engine::scripted(move |exchange, link| answer(&state, exchange, link))
}

fn answer(shared: &Mutex<State>, exchange: &Exchange, link: &mut Link) {
    let mut words = exchange.line.split([' ', '?']);
    let (method, path) = (words.next(), words.next().unwrap_or_default());
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut state = shared.lock().expect("a state");
    match (method, segments.as_slice()) {
        (_, ["events"]) => {
            drop(state);
            link.drain();
        }
        (Some("GET"), ["containers", "json"]) if state.is_held => {
            state.lists_held += 1;
            drop(state);
            eventually("the lists are released", || {
                !shared.lock().expect("a state").is_held
            });
            answer(shared, exchange, link);
        }
        (Some("GET"), ["containers", "json"]) => {
            let created = SystemTime::now().duration_since(UNIX_EPOCH);
            let created = created.expect("a time after 1970").as_secs();
            let row = |id: usize| {
                let other = "x".repeat(state.other_label * if id == 0 { 5 } else { 1 });
                format!(
                    r#"{{"Id":"c{id}","State":"running","Created":{created},"Labels":{{"a":"{other}","cetusguard.owner":"default"}}}}"#
                )
            };
            let rows: Vec<_> = (0..state.containers.len()).map(row).collect();
            link.answer(200, &format!("[{}]", rows.join(",")));
        }
        (Some("POST"), ["containers", "create"]) => {
            let body: serde_json::Value =
                serde_json::from_slice(exchange.body.as_ref()).expect("JSON");
            let memory = body["HostConfig"]["Memory"].as_u64().unwrap_or_default();
            let id = state.containers.len();
            state.containers.push(memory);
            let is_stuck = state.is_stuck;
            drop(state);
            if is_stuck {
                link.wait_for_close();
            } else {
                link.answer(201, &format!(r#"{{"Id":"c{id}"}}"#));
            }
        }
        (Some("GET"), ["containers", id, "json"]) => {
            let number: Option<usize> = id.strip_prefix('c').and_then(|id| id.parse().ok());
            let memory = number.and_then(|number| state.containers.get(number));
            let Some(memory) = memory else {
                return link.answer(404, r#"{"message":"No such container"}"#);
            };
            if number.is_some_and(|number| number < state.locked) {
                drop(state);
                link.wait_for_close();
                return;
            }
            let times = if number == Some(0) { 5 } else { 1 };
            let other = "x".repeat(state.other_label * times);
            let execs: Vec<_> = (0..state.execs.len())
                .map(|n| format!("\"e{n}\""))
                .collect();
            let execs = match number {
                Some(0) => execs.join(","),
                _ => String::new(),
            };
            link.answer(
                200,
                &format!(
                    r#"{{"Id":"{id}","Name":"/{id}","Config":{{"Labels":{{"a":"{other}","cetusguard.owner":"default"}}}},
                    "HostConfig":{{"Memory":{memory},"NanoCpus":0}},"ExecIDs":[{execs}]}}"#
                ),
            );
        }
        (Some("GET"), ["exec", id, "json"]) => {
            let number: usize = id.trim_start_matches('e').parse().expect("a number");
            let (running, code) = state.execs[number];
            let code = code.map_or("null".to_owned(), |code| code.to_string());
            link.answer(
                200,
                &format!(
                    r#"{{"ID":"{id}","ContainerID":"c0","Running":{running},"ExitCode":{code},
                    "ProcessConfig":{{}}}}"#
                ),
            );
        }
        (Some("POST"), ["containers", _, "update"]) => link.answer(200, "{}"),
        (Some("GET"), ["version"]) => {
            link.answer(200, r#"{"Version":"28.5.2","ApiVersion":"1.51"}"#);
        }
        _ => link.answer(200, "{}"),
    }
}

fn proxy(engine: &Engine, quotas: &[(&str, &str)]) -> Proxy {
    let builder = ProxyBuilder::new(PROGRAM, engine, RULES).arg("--own", "true");
    quotas
        .iter()
        .fold(builder, |builder, (name, value)| builder.arg(name, value))
        .start()
}

fn create(proxy: &Proxy, body: &str) -> (u16, String) {
    let answer = proxy.client().request_with("POST /containers/create", body);
    (answer.status, answer.body)
}

#[test]
fn containers_are_counted_before_one_more_is_created() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "2")]);
    for _ in 0..2 {
        assert_eq!(create(&proxy, "{}").0, 201);
    }
    let (status, body) = create(&proxy, "{}");
    assert_eq!(status, 403, "{body}");
    for part in [
        "the quota of profile default has no room: quota-containers is 2, and 2 containers are there",
        "remove those that are no longer needed, or raise quota-containers",
    ] {
        assert!(body.contains(part), "{body}");
    }
    let _ = proxy.logged(&["reason=over_quota"]);
    assert_eq!(state.lock().expect("a state").containers.len(), 2);
    // Room that the client makes is room.
    state.lock().expect("a state").containers.pop();
    assert_eq!(create(&proxy, "{}").0, 201);
}

/// Without turns, each of these would be counted while the others are not in the engine's list.
#[test]
fn calls_at_the_same_time_do_not_take_the_same_room() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "3")]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| create(&proxy, "{}").0))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().expect("an answer"))
            .collect()
    });
    let created = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(created, 3, "{statuses:?}");
    assert_eq!(state.lock().expect("a state").containers.len(), 3);
}

#[test]
fn limits_of_memory_are_added_up() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-memory", "100m")]);
    let of = |mebibytes: u64| format!(r#"{{"HostConfig":{{"Memory":{}}}}}"#, mebibytes << 20);
    let (status, body) = create(&proxy, "{}");
    assert_eq!(status, 403);
    assert!(body.contains("has no limit; quota-memory"), "{body}");
    assert_eq!(create(&proxy, &of(101)).0, 403);
    assert_eq!(create(&proxy, &of(60)).0, 201);
    let (status, body) = create(&proxy, &of(60));
    assert_eq!(status, 403);
    assert!(body.contains("add up to 62914560 bytes"), "{body}");
    assert_eq!(create(&proxy, &of(40)).0, 201);
    // The limit that an update replaces does not count beside the new one.
    let update = |mebibytes: u64| {
        let body = format!(r#"{{"Memory":{}}}"#, mebibytes << 20);
        proxy
            .client()
            .request_with("POST /containers/c0/update", &body)
            .status
    };
    assert_eq!((update(60), update(30), update(61)), (200, 200, 403));
}

#[test]
fn running_commands_are_counted() {
    let state = Arc::new(Mutex::new(State {
        containers: vec![0],
        execs: vec![(false, None), (false, Some(0)), (true, None), (false, None)],
        ..State::default()
    }));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-execs", "2")]);
    let start = |id: &str| {
        let line = format!("POST /exec/{id}/start");
        proxy
            .client()
            .request_with(&line, r#"{"Detach":true}"#)
            .status
    };
    assert_eq!(start("e0"), 200);
    // The engine does not report yet that the first one runs.
    assert_eq!(start("e3"), 403);
    state.lock().expect("a state").execs[0] = (false, Some(1));
    assert_eq!(start("e3"), 200);
}

/// The engine may create the container of a client that has left.
#[test]
fn a_create_without_an_answer_counts() {
    let state = Arc::new(Mutex::new(State {
        is_stuck: true,
        ..State::default()
    }));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "1")]);
    let mut leaving = proxy.client();
    leaving.send(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 2\r\n\r\n{}",
    );
    eventually("the create is at the engine", || {
        !state.lock().expect("a state").containers.is_empty()
    });
    drop(leaving);
    let _ = proxy.logged(&["reason=client_disconnected"]);
    // As an engine that has not listed it yet.
    state.lock().expect("a state").containers.clear();
    state.lock().expect("a state").is_stuck = false;
    assert_eq!(create(&proxy, "{}").0, 403);
}

/// A client that leaves while it waits for its turn takes no turn, and its container is not created.
#[test]
fn a_client_that_leaves_while_it_waits_creates_nothing() {
    let state = Arc::new(Mutex::new(State {
        is_held: true,
        ..State::default()
    }));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "5")]);
    let ask = |memory: u64| {
        let mut client = proxy.client();
        let body = format!(r#"{{"HostConfig":{{"Memory":{memory}}}}}"#);
        client.send(format!(
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
            Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        client
    };
    let mut first = ask(10_000_001);
    eventually("the first is counted", || {
        state.lock().expect("a state").lists_held == 1
    });
    let leaving = ask(10_000_002);
    let mut last = ask(10_000_003);
    drop(leaving);
    let _ = proxy.logged(&["reason=client_disconnected"]);
    state.lock().expect("a state").is_held = false;
    assert_eq!(first.read_response().status, 201);
    assert_eq!(last.read_response().status, 201);
    // The engine may begin with either.
    let mut created = state.lock().expect("a state").containers.clone();
    created.sort_unstable();
    assert_eq!(created, [10_000_001, 10_000_003]);
}

/// A client can make its own call last, by pausing the container for example.
#[test]
fn a_call_that_the_engine_does_not_answer_holds_up_no_other() {
    let state = Arc::new(Mutex::new(State {
        is_stuck: true,
        ..State::default()
    }));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "3")]);
    let mut waiting = proxy.client();
    waiting.send(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 2\r\n\r\n{}",
    );
    eventually("the create is at the engine", || {
        !state.lock().expect("a state").containers.is_empty()
    });
    state.lock().expect("a state").is_stuck = false;
    // The call under way is in the list already, and counts once more until it has ended.
    assert_eq!(create(&proxy, "{}").0, 201);
    assert_eq!(create(&proxy, "{}").0, 403);
}

/// A client can give each container megabytes of labels. What it owns is counted still, for the other
/// clients of the profile as well.
#[test]
fn containers_with_large_labels_are_counted() {
    let state = Arc::new(Mutex::new(State {
        containers: vec![1 << 20; 20],
        other_label: 1 << 20,
        ..State::default()
    }));
    let engine = engine(&state);
    let quotas = [("--quota-containers", "21"), ("--quota-memory", "21m")];
    let proxy = proxy(&engine, &quotas);
    let body = format!(r#"{{"HostConfig":{{"Memory":{}}}}}"#, 1 << 20);
    assert_eq!(create(&proxy, &body), (201, r#"{"Id":"c20"}"#.to_owned()));
    let (status, body) = create(&proxy, &body);
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("quota-containers is 21"), "{body}");
}

#[test]
fn services_and_pods_are_closed_where_containers_are_counted() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-containers", "2")]);
    for (line, part) in [
        (
            "POST /services/create",
            "the tasks of a service run on any node",
        ),
        (
            "POST /services/x/update?version=1",
            "the tasks of a service",
        ),
        ("POST /v5.0.0/libpod/pods/create", ""),
        ("POST /v5.0.0/libpod/kube/play", ""),
    ] {
        let answer = proxy.client().request_with(line, "{}");
        assert_eq!(answer.status, 403, "{line}: {}", answer.body);
        assert!(answer.body.contains(part), "{line}: {}", answer.body);
    }
}

#[test]
fn a_quota_needs_an_owner() {
    let folder = cetusguard_testkit::TempDir::new();
    for (config, want) in [
        (
            "quota-containers: 2\n",
            Some("add own: true to the profile default"),
        ),
        (
            "profiles:\n  ci:\n    clients: [{address: 10.0.0.1}]\n    quota-execs: 2\n",
            Some("add own: true to the profile ci"),
        ),
        // One of the options is for the profiles that own.
        (
            "quota-cpus: 2\nprofiles:\n  ci:\n    clients: [{address: 10.0.0.1}]\n    own: true\n",
            None,
        ),
        ("quota-memory: none\n", None),
        ("quota-memory: 1x\nown: true\n", Some("expected a size")),
        (
            "quota-containers: -1\nown: true\n",
            Some("expected a number"),
        ),
    ] {
        let file = folder.write("cetusguard.yaml", config);
        let (status, out, errors) = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--config", &file)
            .run();
        match want {
            Some(want) => {
                assert_eq!(status, Some(2), "{config}: {out}{errors}");
                assert!((out + &errors).contains(want), "{config}: {errors}");
            }
            None => assert_ne!(status, Some(2), "{config}: {out}{errors}"),
        }
    }
}

/// CI runners, test libraries and agents use what they create.
#[test]
fn a_profile_of_owning_presets_owns_unless_it_says_otherwise() {
    let folder = cetusguard_testkit::TempDir::new();
    for (config, owns) in [
        ("presets: testcontainers\n", true),
        ("presets: [gitlab-runner, woodpecker]\n", true),
        ("presets: [gitlab-runner, docker-build]\n", false),
        ("presets: portainer\n", false),
        ("presets: testcontainers\nown: false\n", false),
        ("presets: portainer\nown: true\n", true),
        ("presets: testcontainers\nguard: privileged\n", false),
        (
            "own: false\nprofiles:\n  ci: {clients: [{address: 10.0.0.1}], presets: [drone]}\n",
            false,
        ),
        (
            "rules: GET /info\nprofiles:\n  ci: {clients: [{address: 10.0.0.1}], presets: [drone]}\n",
            true,
        ),
    ] {
        let file = folder.write("cetusguard.yaml", config);
        let (_, out, errors) = ProxyBuilder::bare(PROGRAM)
            .word("check")
            .arg("--config", &file)
            .run();
        assert_eq!(
            out.contains("owns what it creates"),
            owns,
            "{config}: {out}{errors}"
        );
    }
}

/// Docker describes a container under its lock, which a client holds by reading an archive of it
/// slowly. Its container counts, and others are served.
#[test]
fn containers_count_though_their_locks_are_held() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-memory", "100")]);
    let sized = |memory| format!(r#"{{"HostConfig":{{"Memory":{memory}}}}}"#);
    assert_eq!(create(&proxy, &sized(10)).0, 201);
    // This engine goes on telling the old limit.
    let update = proxy
        .client()
        .request_with("POST /containers/c0/update", r#"{"Memory":40}"#);
    assert_eq!(update.status, 200, "{}", update.body);
    state.lock().expect("a state").locked = 1;
    let (status, body) = create(&proxy, &sized(30));
    assert_eq!(status, 201, "{body}");
    let (status, body) = create(&proxy, &sized(31));
    assert_eq!(status, 403, "{body}");
    assert!(body.contains("add up to 70 bytes"), "{body}");
    assert_eq!(create(&proxy, &sized(30)).0, 201);
}

/// The client leaves before the engine answers its call: no container has more than the largest call
/// asked for. What was created before the proxy started is not known, and no error names it.
#[test]
fn a_container_of_a_client_that_has_left_counts_though_its_lock_is_held() {
    let state = Arc::new(Mutex::new(State::default()));
    let engine = engine(&state);
    let quota = [("--quota-memory", "100")];
    let first = proxy(&engine, &quota);
    let body = r#"{"HostConfig":{"Memory":30}}"#;
    state.lock().expect("a state").is_stuck = true;
    let mut leaving = first.client();
    leaving.send(format!(
        "POST /containers/create HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: \
        {}\r\n\r\n{body}",
        body.len()
    ));
    eventually("the engine has the container", || {
        state.lock().expect("a state").containers.len() == 1
    });
    drop(leaving);
    {
        let mut state = state.lock().expect("a state");
        (state.is_stuck, state.locked) = (false, 1);
    }
    let (status, text) = create(&first, body);
    assert_eq!(status, 201, "{text}");
    let second = proxy(&engine, &quota);
    let (status, text) = create(&second, body);
    assert_eq!(status, 502, "{text}");
    assert!(
        text.contains("did not answer a question about an object in time") && !text.contains("c0"),
        "{text}"
    );
}

#[test]
fn commands_are_counted_though_the_lock_of_a_container_is_held() {
    let state = Arc::new(Mutex::new(State {
        containers: vec![0, 0],
        execs: vec![(true, None), (true, None)],
        ..State::default()
    }));
    let engine = engine(&state);
    let proxy = proxy(&engine, &[("--quota-execs", "3")]);
    let prepare = || {
        let body = r#"{"Cmd":["ls"]}"#;
        let mut client = proxy.client();
        let answer = client.request_with("POST /containers/c1/exec", body);
        (answer.status, answer.body)
    };
    assert_eq!(prepare().0, 200);
    {
        let mut state = state.lock().expect("a state");
        state.locked = 1;
        // The engine does not tell of these.
        state.execs = vec![(true, None); 300];
    }
    let (status, body) = prepare();
    assert_eq!(status, 200, "{body}");
}
