//! Work that takes long for one client is not done where the others wait.

use cetusguard_testkit::{Engine, Proxy, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Whether the proxy has a thread of this name.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel")]
fn has_thread(proxy: &Proxy, name: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.pid())).expect("/proc").map_while(Result::ok);
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).any(|own| own.trim_end() == name)
}

/// An object with this many keys, all of which are fields of no container and have this value.
fn unknown_fields(count: usize, value: &str) -> String {
    let fields: String = (0..count).map(|at| format!("\"K{at}\":{value},")).collect();
    format!("{{\"HostConfig\":{{{fields}\"Memory\":7,\"Binds\":[\"data:/data\"]}}}}")
}

#[test]
fn large_bodies_are_judged_on_the_worker() {
    let engine = Engine::start(|_, link| link.answer(201, "{\"Id\":\"x\"}"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST .*").start();
    let create = |body: &str| proxy.client().request_with("POST /v1.43/containers/create", body);
    assert_eq!(create(&unknown_fields(100, "[]")).status, 201);
    assert!(!has_thread(&proxy, "worker"), "small bodies need none");
    // As hostile as a body can be, with a volume that the engine is asked about.
    assert_eq!(create(&unknown_fields(60_000, "[]")).status, 201);
    assert!(has_thread(&proxy, "worker"));
    let refused = create(&unknown_fields(60_000, "1"));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("HostConfig.K0: the guard does not know this field"), "{}", refused.body);
    assert!(refused.body.contains(" | and 56 more"), "{}", refused.body);
    let judged = "\r\n\r\n{\"HostConfig\":{\"Memory\":7,\"Binds\":[\"data:/data\"]}}";
    assert!(engine.received().iter().all(|one| one.ends_with(judged)), "{:?}", engine.received());
    assert_eq!(engine.received().len(), 2);
    let broken = create(&unknown_fields(60_000, "]"));
    assert_eq!(broken.status, 400, "{}", broken.body);
}

#[test]
fn a_long_query_is_judged_on_the_worker() {
    let engine = Engine::start(|_, link| link.answer(200, "OK"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET .*").start();
    let words = "f,".repeat(20_000);
    assert_eq!(proxy.client().request(&format!("GET /containers/web/top?ps_args=-o%20{words}pid")).status, 200);
    assert!(has_thread(&proxy, "worker"));
}

/// What is asked about an object by a small call may be large: a client can give a container a megabyte of labels.
#[test]
fn large_answers_about_objects_are_read_on_the_worker() {
    let label = "x".repeat(100 << 10);
    let engine = Engine::scripted(move |exchange, link| match exchange.line.as_str() {
        "GET /containers/web/json" => link.answer(
            200,
            &format!("{{\"Id\":\"c0ffee\",\"Name\":\"/web\",\"Config\":{{\"Labels\":{{\"a\":\"{label}\"}}}}}}"),
        ),
        line if line.starts_with("GET /") => assert!(link.tell(exchange)),
        _ => link.answer(201, "{\"Id\":\"x\"}"),
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST .*").start();
    assert_eq!(proxy.client().request_with("POST /containers/web/exec", "{\"Cmd\":[\"ls\"]}").status, 201);
    assert!(has_thread(&proxy, "worker"));
    assert!(engine.received().concat().contains("POST /containers/c0ffee/exec"));
}
