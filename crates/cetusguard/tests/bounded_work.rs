//! Work that takes long for one client is not done where the others wait.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use cetusguard_testkit::{Client, Docker, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Whether the proxy has a thread of this name.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel")]
fn has_thread(proxy: &Proxy, name: &str) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.pid()))
        .expect("/proc")
        .map_while(Result::ok);
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok())
        .any(|own| own.trim_end() == name)
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
    let create = |body: &str| {
        proxy
            .client()
            .request_with("POST /v1.43/containers/create", body)
    };
    assert_eq!(create(&unknown_fields(100, "[]")).status, 201);
    assert!(!has_thread(&proxy, "worker"), "small bodies need none");
    // As hostile as a body can be, with a volume that the engine is asked about.
    assert_eq!(create(&unknown_fields(60_000, "[]")).status, 201);
    assert!(has_thread(&proxy, "worker"));
    let refused = create(&unknown_fields(60_000, "1"));
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("HostConfig.K0: the guard does not know this field"),
        "{}",
        refused.body
    );
    assert!(refused.body.contains(" | and 56 more"), "{}", refused.body);
    let judged = "\r\n\r\n{\"HostConfig\":{\"Memory\":7,\"Binds\":[\"data:/data\"]}}";
    assert!(
        engine.received().iter().all(|one| one.ends_with(judged)),
        "{:?}",
        engine.received()
    );
    assert_eq!(engine.received().len(), 2);
    let broken = create(&unknown_fields(60_000, "]"));
    assert_eq!(broken.status, 400, "{}", broken.body);
}

#[test]
fn a_long_query_is_judged_on_the_worker() {
    let engine = Engine::start(|_, link| link.answer(200, "OK"));
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "GET .*").start();
    let words = "f,".repeat(20_000);
    assert_eq!(
        proxy
            .client()
            .request(&format!("GET /containers/web/top?ps_args=-o%20{words}pid"))
            .status,
        200
    );
    assert!(has_thread(&proxy, "worker"));
}

/// What is asked about an object by a small call may be large: a client can give a container a
/// megabyte of labels.
#[test]
fn large_answers_about_objects_are_read_on_another_thread() {
    let label = "x".repeat(100 << 10);
    let engine = Engine::scripted(move |exchange, link| {
        match exchange.line.as_str() {
        "GET /containers/web/json" => link.answer(
            200,
            &format!("{{\"Id\":\"c0ffee\",\"Name\":\"/web\",\"Config\":{{\"Labels\":{{\"a\":\"{label}\"}}}}}}"),
        ),
        line if line.starts_with("GET /") => assert!(link.tell(exchange)),
        _ => link.answer(201, "{\"Id\":\"x\"}"),
    }
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, "POST .*").start();
    assert_eq!(
        proxy
            .client()
            .request_with("POST /containers/web/exec", "{\"Cmd\":[\"ls\"]}")
            .status,
        201
    );
    assert!(has_thread(&proxy, "blocking"));
    assert!(
        engine
            .received()
            .concat()
            .contains("POST /containers/c0ffee/exec")
    );
}

const FILE: &str = "rules: GET /events
log-level: 7
frontend-addr: tcp://127.0.0.1:0
profiles:
  a: {rules: GET /a, clients: [{container: a-*}]}
";

fn start(engine: &Engine, path: &str) -> Proxy {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", path)
        .arg("--backend-addr", &engine.address());
    proxy.expect_frontend().start()
}

/// A container as it stands in a list, with labels of two kilobytes.
fn listed(number: usize, name: &str, address: &str) -> String {
    let (id, text) = (format!("{number:064x}"), "x".repeat(200));
    let labels: Vec<String> = (0..10)
        .map(|label| format!("\"label-{label}\":\"{text}\""))
        .collect();
    format!(
        "{{\"Id\":\"{id}\",\"Names\":[\"/{name}\"],\"Labels\":{{{}}},\"NetworkSettings\":{{\"Networks\":\
         {{\"bridge\":{{\"NetworkID\":\"n\",\"IPAddress\":\"{address}\"}}}}}}}}",
        labels.join(",")
    )
}

/// The engine sends a list of 10,000 containers, 20 MiB in all, and after each part waits until the
/// proxy has answered another client.
#[test]
fn a_long_list_of_containers_holds_nobody_up() {
    const CONTAINERS: usize = 10_000;
    const PART: usize = 500;
    // Made beforehand: the proxy does not wait for ever for the end of a list.
    let one = |at: usize| match at {
        0 => listed(at, "a-1", "127.0.0.11"),
        at => listed(
            at,
            &format!("c-{at}"),
            &format!("10.0.{}.{}", at / 250, at % 250),
        ),
    };
    let part = |part: usize| {
        let containers: Vec<String> = (part * PART..(part + 1) * PART).map(one).collect();
        let (start, end) = (
            if part == 0 { "[" } else { "," },
            if (part + 1) * PART == CONTAINERS {
                "]"
            } else {
                ""
            },
        );
        let text = format!("{start}{}{end}", containers.join(","));
        format!("{:x}\r\n{text}\r\n", text.len())
    };
    let parts: Vec<String> = (0..CONTAINERS / PART).map(part).collect();
    let (docker, folder) = (Docker::default(), TempDir::new());
    let address: Arc<OnceLock<String>> = Arc::default();
    let answered: Arc<AtomicUsize> = Arc::default();
    let (proxys, count) = (Arc::clone(&address), Arc::clone(&answered));
    let engine = Engine::scripted(move |exchange, link| {
        if exchange.line != "GET /containers/json" {
            return docker.answer(exchange, link);
        }
        link.write(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: \
            chunked\r\n\r\n",
        );
        let mut answers = 0;
        let mut other = Client::connect(proxys.get().expect("the proxy listens"));
        for part in &parts {
            if !link.write(part) {
                return;
            }
            answers += usize::from(other.request("GET /events").status == 200);
        }
        count.store(answers, SeqCst);
        link.write("0\r\n\r\n");
    });
    let proxy = start(&engine, &folder.write("config.yaml", FILE));
    address.set(proxy.address().to_owned()).expect("once");
    proxy.settle();
    let before = proxy.memory("VmRSS");
    let of_container = |path: &str| {
        Client::connect_from("127.0.0.11", proxy.address())
            .request(path)
            .status
    };
    // On a slow machine a list may take longer than the proxy waits; it is then asked for again.
    eventually("a list is read to its end", || {
        of_container("GET /a") == 200
    });
    assert_eq!(answered.load(SeqCst), CONTAINERS / PART);
    assert_eq!(of_container("GET /events"), 403);
    // The list is never in memory as a whole, nor are labels that no profile asks for.
    let taken = proxy.memory("VmHWM").saturating_sub(before);
    assert!(taken < 16 << 10, "{taken} KiB");
}

/// Labels that profiles begin to ask for are found where the list was read without them.
#[test]
fn labels_that_are_asked_for_later_are_found() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[("role", "builder")]);
    let engine = docker.engine();
    let path = folder.write("config.yaml", FILE);
    let proxy = start(&engine, &path);
    let mut client = Client::connect_from("127.0.0.11", proxy.address());
    assert_eq!(client.request("GET /a").status, 200);
    folder.write(
        "config.yaml",
        &format!(
            "{FILE}  b: {{rules: GET /b, clients: [{{container: a-*, label: role=builder}}]}}\n"
        ),
    );
    proxy.signal("HUP");
    let _ = proxy.logged(&["configuration reloaded"]);
    assert_eq!(
        [
            client.request("GET /a").status,
            client.request("GET /b").status
        ],
        [403, 200]
    );
}
