//! Clients told by the container behind their address: the engine is asked, and followed.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cetusguard_testkit::{
    Client, Docker, Engine, Proxy, ProxyBuilder, Response, TempDir, eventually,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

const FILE: &str = "rules: GET /events
log-level: 7
frontend-addr: tcp://127.0.0.1:0
profiles:
  a: {rules: GET /a, clients: [{container: a-*}]}
  b: {rules: GET /b, clients: [{container: b-*}]}
  chosen: {rules: GET /chosen, clients: [{label: cetusguard.profile=chosen}]}
  stack: {rules: GET /stack, clients: [{compose-project: shop, compose-service: web}]}
  net: {rules: GET /net, clients: [{address: 127.0.9.0/24}]}
";

/// The profile that each path of [`FILE`] belongs to.
const PATHS: [&str; 6] = ["/a", "/b", "/chosen", "/stack", "/net", "/events"];

fn start(engine: &Engine, folder: &TempDir) -> Proxy {
    let path = folder.write("config.yaml", FILE);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    proxy.expect_frontend().start()
}

/// An engine with one container, `a-1` at 127.0.0.11, and the proxy before it; both last as long as
/// the third.
fn with_one() -> (Docker, Proxy, (Engine, TempDir)) {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    (docker, proxy, (engine, folder))
}

fn ask(proxy: &Proxy, source: &str, path: &str) -> Response {
    Client::connect_from(source, proxy.address()).request(&format!("GET {path}"))
}

/// A connection from this address that the proxy has accepted: it accepts them in their order, and
/// answers the next one.
fn accepted(proxy: &Proxy, source: &str) -> Client {
    let client = Client::connect_from(source, proxy.address());
    assert_eq!(ask(proxy, "127.0.0.1", "/events").status, 200);
    client
}

/// The time for which the proxy waits until a starting container is listed.
const GRACE: Duration = Duration::from_secs(2);

/// Plays a scene in which a container is listed while the proxy waits for it, and expects status
/// 200. Where this machine was too slow to list it within the grace, the proxy has to refuse, and
/// the scene is played again.
fn served_within_grace(scene: impl Fn() -> u16) {
    eventually("the machine is fast enough for the scene", || {
        let started = Instant::now();
        let status = scene();
        let was_slow = status == 502 && started.elapsed() >= GRACE;
        assert!(status == 200 || was_slow, "{status}");
        status == 200
    });
}

/// What a client at this address may call.
fn rights(proxy: &Proxy, source: &str) -> Vec<&'static str> {
    PATHS
        .into_iter()
        .filter(|path| ask(proxy, source, path).status == 200)
        .collect()
}

#[test]
fn a_container_is_told_by_name_label_and_stack() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    let stack = |service| {
        [
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", service),
        ]
    };
    docker.list("1", "a-1", "127.0.0.11", &[]);
    docker.list("2", "xa-1", "127.0.0.12", &[]);
    docker.list("3", "c", "127.0.0.13", &[("cetusguard.profile", "chosen")]);
    docker.list("4", "c", "127.0.0.14", &[("cetusguard.profile", "a")]);
    docker.list("5", "s", "127.0.0.15", &stack("web"));
    docker.list("6", "s", "127.0.0.16", &stack("db"));
    docker.list("7", "a-7", "127.0.9.17", &[]);
    docker.list("8", "other", "127.0.9.18", &[]);
    docker.list(
        "9",
        "a-9",
        "127.0.0.19",
        &[("cetusguard.profile", "chosen")],
    );
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    for (source, want) in [
        ("127.0.0.11", "/a"),
        // A pattern speaks of whole names.
        ("127.0.0.12", "/events"),
        ("127.0.0.13", "/chosen"),
        // A label chooses only where the file lets it.
        ("127.0.0.14", "/events"),
        ("127.0.0.15", "/stack"),
        // Both conditions of an entry must hold.
        ("127.0.0.16", "/events"),
        // The container goes before its address.
        ("127.0.9.17", "/a"),
        ("127.0.9.18", "/net"),
        ("127.0.9.20", "/net"),
        ("127.0.0.1", "/events"),
    ] {
        assert_eq!(rights(&proxy, source), [want], "{source}");
    }
    let line = proxy.logged(&["request allowed", "path=/a ", "client=127.0.0.11:"]);
    assert!(line.contains(" container=a-1 profile=a "), "{line}");
    // Two profiles claim this one, and neither goes before the other.
    let refused = ask(&proxy, "127.0.0.19", "/a");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("one of profile a and of profile chosen"),
        "{}",
        refused.body
    );
}

/// The one list that was asked for first serves everybody, and events tell when it is not good any
/// more.
#[test]
fn the_engine_is_asked_no_more_than_it_takes() {
    let (docker, proxy, _last) = with_one();
    for _ in 0..50 {
        assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
    }
    assert_eq!(
        (docker.lists(), docker.queries(), docker.streams()),
        (1, 1, 1)
    );
    docker.tell("container", "exec_create: sh", "1");
    assert_eq!(
        (ask(&proxy, "127.0.0.11", "/a").status, docker.lists()),
        (200, 1)
    );
    docker.tell("container", "pause", "1");
    eventually("a new list", || {
        ask(&proxy, "127.0.0.11", "/a").status == 200 && docker.lists() > 1
    });
    assert_eq!(
        (
            ask(&proxy, "127.0.0.11", "/a").status,
            docker.lists(),
            docker.queries()
        ),
        (200, 2, 2)
    );
    // Who has no container is looked for in a new list at each connection, and nowhere on this
    // machine's own address.
    let mut stranger = Client::connect_from("127.0.0.99", proxy.address());
    for _ in 0..5 {
        assert_eq!(stranger.request("GET /events").status, 200);
    }
    assert_eq!(ask(&proxy, "127.0.0.1", "/events").status, 200);
    assert_eq!((docker.lists(), docker.queries()), (3, 3));
    // A connection does not change its owner: what happens to others takes a list, and no look into
    // the buffer.
    docker.tell("container", "pause", "1");
    eventually("a new list", || {
        stranger.request("GET /events").status == 200 && docker.lists() > 3
    });
    assert_eq!((docker.lists(), docker.queries()), (4, 3));
}

/// Each new connection is looked up anew, whether or not the events of its container have arrived.
#[test]
fn who_is_given_a_dead_ones_address_does_not_inherit_its_rights() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("0", "a-0", "127.0.0.11", &[]);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    for round in 0..200 {
        let (old, new) = (round.to_string(), (round + 1).to_string());
        let (name, own, other) = if round % 2 == 0 {
            ("b", "/b", "/a")
        } else {
            ("a", "/a", "/b")
        };
        docker.stop(&old);
        docker.start(&new, &format!("{name}-{new}"), "127.0.0.11", &[]);
        assert_eq!(
            ask(&proxy, "127.0.0.11", other).status,
            403,
            "round {round}"
        );
        assert_eq!(ask(&proxy, "127.0.0.11", own).status, 200, "round {round}");
    }
}

/// A busy engine tells late of what happens: what it says when it is asked counts.
#[test]
fn a_late_event_gives_nobody_a_dead_ones_rights() {
    let (docker, proxy, _kept) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    docker.unlist("1");
    docker.list("2", "b-1", "127.0.0.11", &[]);
    assert_eq!(
        rights(&proxy, "127.0.0.11"),
        ["/b"],
        "though nothing was told"
    );
    docker.unlist("2");
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/events"]);
}

/// A connection belongs to the container that opened it.
#[test]
fn an_open_connection_dies_with_its_container() {
    let (docker, proxy, _last) = with_one();
    let mut client = Client::connect_from("127.0.0.11", proxy.address());
    assert_eq!(client.request("GET /a").status, 200);
    docker.start("2", "b-2", "127.0.0.12", &[]);
    assert_eq!(client.request("GET /a").status, 200, "others come and go");
    docker.stop("1");
    docker.start("3", "b-3", "127.0.0.11", &[]);
    let mut refused = client.request("GET /b");
    eventually("the connection ends", || {
        let is_over = refused
            .body
            .contains("no longer has its address; connect again");
        // Before the events arrive, the client has the rights of the container that opened the
        // connection.
        assert_eq!(refused.status, 403, "{}", refused.body);
        if !is_over {
            refused = client.request("GET /b");
        }
        is_over
    });
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(ask(&proxy, "127.0.0.11", "/b").status, 200);
    // A dead one has no rights, nor has what was left of its connections.
    docker.stop("3");
    let refused = ask(&proxy, "127.0.0.11", "/b");
    assert_eq!(refused.status, 403);
    assert!(
        refused.body.contains("no rule of profile default"),
        "{}",
        refused.body
    );
}

#[test]
fn a_new_name_is_a_new_client() {
    let (docker, proxy, _last) = with_one();
    let mut client = Client::connect_from("127.0.0.11", proxy.address());
    assert_eq!(client.request("GET /a").status, 200);
    docker.list("1", "b-1", "127.0.0.11", &[]);
    docker.tell("container", "rename", "1");
    eventually("the new name counts", || {
        client.request("GET /b").status == 200
    });
    assert_eq!(client.request("GET /a").status, 403);
}

/// With hundreds of containers a list is dear: what happens to others takes no new one, and the
/// container is inspected.
#[test]
fn events_of_others_take_no_long_list() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    for other in 0..300 {
        docker.list(
            &format!("other-{other}"),
            &format!("x-{other}"),
            &format!("10.0.{}.{}", other / 200, other % 200),
            &[],
        );
    }
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    let mut client = Client::connect_from("127.0.0.11", proxy.address());
    assert_eq!(client.request("GET /a").status, 200);
    let first = docker.lists();
    let inspections = || {
        engine
            .received()
            .concat()
            .matches("GET /containers/1/json HTTP")
            .count()
    };
    docker.tell("container", "pause", "other-7");
    eventually("the event arrives", || {
        client.request("GET /a").status == 200 && inspections() > 0
    });
    assert_eq!(
        (ask(&proxy, "127.0.0.11", "/a").status, docker.lists()),
        (200, first)
    );
    // The engine may lose an event of its own container.
    docker.list("1", "b-1", "127.0.0.11", &[]);
    docker.tell("container", "pause", "other-8");
    eventually("the new name counts", || {
        client.request("GET /b").status == 200
    });
    assert_eq!(
        (client.request("GET /a").status, docker.lists()),
        (403, first + 1)
    );
    docker.tell("container", "pause", "1");
    eventually("an event of its own takes a new list", || {
        client.request("GET /b").status == 200 && docker.lists() > first + 1
    });
}

/// Its process runs a moment before the engine lists it: it has joined its network, and that is all
/// there is to see.
#[test]
fn who_calls_in_the_first_millisecond_is_not_refused_for_being_new() {
    served_within_grace(|| {
        let (docker, proxy, _last) = with_one();
        assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
        docker.connect("2");
        let lists = docker.lists();
        let status = std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(&proxy, "127.0.0.12", "/b").status);
            eventually("it is looked for, and looked for again", || {
                docker.lists() > lists + 1 || first.is_finished()
            });
            if first.is_finished() {
                let status = first.join().expect("an answer");
                assert_ne!(status, 200, "it is not listed yet");
                return status;
            }
            docker.list("2", "b-2", "127.0.0.12", &[]);
            docker.tell("container", "start", "2");
            first.join().expect("an answer")
        });
        // Others need not wait for it.
        docker.connect("3");
        assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
        status
    });
}

#[test]
fn without_events_no_list_is_trusted() {
    let (docker, proxy, _last) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    let mut kept = Client::connect_from("127.0.0.11", proxy.address());
    assert_eq!(kept.request("GET /a").status, 200);
    // Nobody tells of this change.
    docker.cut();
    docker.unlist("1");
    docker.list("2", "b-2", "127.0.0.11", &[]);
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/b"]);
    assert_eq!(kept.request("GET /a").status, 403);
    assert!(docker.streams() > 1);
    // While they cannot be followed, nobody is taken for anybody.
    docker.set_silent(true);
    docker.cut();
    let refused = ask(&proxy, "127.0.0.11", "/b");
    assert_eq!(refused.status, 502);
    assert!(
        refused
            .body
            .contains("the engine does not say which container is calling"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains("answered 500 to /events"),
        "{}",
        refused.body
    );
    let _ = proxy.logged(&["level=warning", "the engine's events are lost"]);
    docker.set_silent(false);
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/b"]);
    let _ = proxy.logged(&["following the engine's events again"]);
}

#[test]
fn an_address_of_two_containers_is_nobodys() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    docker.list("2", "a-2", "127.0.0.11", &[]);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    let refused = ask(&proxy, "127.0.0.11", "/a");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("several containers claim this client's address"),
        "{}",
        refused.body
    );
}

/// Only those whose profile depends on it wait for an engine that does not answer.
#[test]
fn other_clients_need_no_list() {
    let folder = TempDir::new();
    let engine = Engine::scripted(|exchange, link| match exchange.line.as_str() {
        "GET /b" => link.answer(200, "OK"),
        _ => {
            link.drain();
        }
    });
    let file = "frontends: [{addr: 'tcp://127.0.0.1:0', profile: b}, {addr: 'tcp://127.0.0.2:0'}]
profiles: {a: {clients: [{container: a}]}, b: {rules: GET /b}}
";
    let path = folder.write("config.yaml", file);
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    let proxy = proxy.expect_frontend().expect_frontend().start();
    assert_eq!(ask(&proxy, "127.0.0.11", "/b").status, 200);
    let other = Client::connect_from("127.0.0.11", &proxy.addresses()[1]).request("GET /b");
    assert_eq!(other.status, 502);
    assert!(
        other.body.contains("did not answer to /events"),
        "{}",
        other.body
    );
}

/// A container that has called and died must not have its request answered for the next one at its
/// address.
#[test]
fn a_dead_ones_request_is_not_the_next_ones() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "x", "127.0.0.10", &[]);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    assert_eq!(rights(&proxy, "127.0.0.10"), ["/events"]);
    // It has joined its network and calls, and is never listed.
    docker.connect("2");
    let lists = docker.lists();
    let mut dead = Client::connect_from("127.0.0.11", proxy.address());
    dead.send("GET /b HTTP/1.1\r\n\r\n");
    eventually("it is looked for", || docker.lists() > lists);
    docker.stop("2");
    dead.finish();
    docker.start("3", "b-3", "127.0.0.11", &[]);
    assert_ne!(dead.read_response().status, 200);
    assert_eq!(ask(&proxy, "127.0.0.11", "/b").status, 200);
    assert_eq!(engine.received().concat().matches("GET /b HTTP").count(), 1);
}

/// The same where it had to wait, because others held all the places.
#[test]
fn a_dead_ones_request_is_not_the_next_ones_after_a_queue() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    let engine = docker.engine();
    let path = folder.write("config.yaml", &format!("{FILE}max-connections: 2\n"));
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address());
    let proxy = proxy.expect_frontend().start();
    assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
    let mut held: Vec<Client> = (0..2)
        .map(|_| Client::connect_from("127.0.0.1", proxy.address()))
        .collect();
    for client in &mut held {
        assert_eq!(client.request("GET /events").status, 200);
    }
    let open = proxy.descriptors();
    let mut dead: Vec<Client> = (0..2)
        .map(|_| Client::connect_from("127.0.0.11", proxy.address()))
        .collect();
    for client in &mut dead {
        client.send("GET /b HTTP/1.1\r\n\r\n");
        client.finish();
    }
    eventually("they are accepted", || proxy.descriptors() >= open + 2);
    docker.stop("1");
    docker.start("2", "b-2", "127.0.0.11", &[]);
    drop(held);
    for client in &mut dead {
        assert_ne!(client.read_response().status, 200);
    }
    assert_eq!(ask(&proxy, "127.0.0.11", "/b").status, 200);
    assert_eq!(engine.received().concat().matches("GET /b HTTP").count(), 1);
}

/// However much happens to others, and though each list is out of date when it arrives.
#[test]
fn events_of_others_keep_nobody_waiting() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    docker.list("9", "x", "127.0.0.99", &[]);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
    docker.set_restless("9");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                docker.tell("container", "pause", "9");
                // The pace of what happens beside; nothing waits for it.
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        let mut kept = Client::connect_from("127.0.0.11", proxy.address());
        for _ in 0..5 {
            assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
            assert_eq!(kept.request("GET /a").status, 200);
            // Nor one that is no container.
            assert_eq!(ask(&proxy, "127.0.0.50", "/events").status, 200);
        }
        done.store(true, SeqCst);
    });
}

/// One that has joined its network and is not listed for long is refused, rather than given
/// somebody else's rights.
#[test]
fn who_starts_for_too_long_is_nobody() {
    let (docker, proxy, _last) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    docker.connect("2");
    let refused = ask(&proxy, "127.0.9.12", "/net");
    assert_eq!(
        (refused.status, refused.header("connection")),
        (502, Some("close"))
    );
    assert!(
        refused
            .body
            .contains("is starting and is not listed yet; try again"),
        "{}",
        refused.body
    );
    docker.tell("container", "die", "2");
    assert_eq!(ask(&proxy, "127.0.9.12", "/net").status, 200);
}

/// A list may be made before a container is listed, and arrive after the engine has told that the
/// container runs.
#[test]
fn a_list_answers_nothing_about_a_container_that_started_while_it_was_under_way() {
    for joins in [true, false] {
        let (docker, proxy, _last) = with_one();
        assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
        if joins {
            docker.connect("2");
        }
        let lists = docker.lists();
        docker.hold_lists(true);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(&proxy, "127.0.0.12", "/b").status);
            eventually("a list is made", || docker.lists() > lists);
            docker.list("2", "b-2", "127.0.0.12", &[]);
            docker.tell("container", "start", "2");
            docker.hold_lists(false);
            assert_eq!(first.join().expect("an answer"), 200, "joins: {joins}");
        });
    }
}

/// Before the proxy answers that no container has an address, it asks the engine's own buffer,
/// which is never late.
#[test]
fn a_first_call_has_its_rights_though_events_are_late() {
    served_within_grace(|| {
        let (docker, proxy, _last) = with_one();
        assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
        docker.set_late(true);
        docker.connect("2");
        let lists = docker.lists();
        let status = std::thread::scope(|scope| {
            let first = scope.spawn(|| ask(&proxy, "127.0.0.12", "/b").status);
            eventually("it is looked for", || docker.lists() > lists);
            docker.list("2", "b-2", "127.0.0.12", &[]);
            docker.tell("container", "start", "2");
            first.join().expect("an answer")
        });
        // A client that is no container is answered after one look into the buffer.
        let queries = docker.queries();
        assert_eq!(ask(&proxy, "127.0.0.99", "/events").status, 200);
        assert_eq!(docker.queries(), queries + 1);
        status
    });
}

/// The time of the join counts, and not the time at which its event arrives.
#[test]
fn an_event_that_arrives_after_the_connection_takes_no_rights_away() {
    let (docker, proxy, _last) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    docker.set_late(true);
    docker.start("2", "b-2", "127.0.0.12", &[]);
    let mut early = accepted(&proxy, "127.0.0.12");
    docker.set_late(false);
    assert_eq!(early.request("GET /b").status, 200);
}

/// A request of a dead container may still be on its way when the next one has its address, and its
/// events may be late.
#[test]
fn a_dead_ones_request_is_not_the_next_ones_though_events_are_late() {
    let (docker, proxy, (engine, _folder)) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    docker.set_late(true);
    docker.connect("2");
    let mut dead = accepted(&proxy, "127.0.0.12");
    docker.stop("2");
    docker.start("3", "b-3", "127.0.0.12", &[]);
    let refused = dead.request("GET /b");
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .body
            .contains("no longer has its address; connect again"),
        "{}",
        refused.body
    );
    assert_eq!(ask(&proxy, "127.0.0.12", "/b").status, 200);
    assert_eq!(engine.received().concat().matches("GET /b HTTP").count(), 1);
}

/// A container that calls and dies before it is listed leaves no trace but its events; its request
/// is not the default profile's.
#[test]
fn a_request_of_a_container_that_was_never_listed_dies_with_it() {
    let (docker, proxy, (engine, _folder)) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    let before = engine
        .received()
        .concat()
        .matches("GET /events HTTP")
        .count();
    docker.set_late(true);
    docker.connect("2");
    let lists = docker.lists();
    docker.hold_lists(true);
    let mut dead = Client::connect_from("127.0.0.12", proxy.address());
    dead.send("GET /events HTTP/1.1\r\n\r\n");
    dead.finish();
    eventually("a list is made", || docker.lists() > lists);
    docker.stop("2");
    docker.hold_lists(false);
    assert_eq!(dead.read_response().status, 403);
    assert_eq!(
        engine
            .received()
            .concat()
            .matches("GET /events HTTP")
            .count(),
        before
    );
}

#[test]
fn a_list_that_is_never_answered_holds_up_its_client_alone() {
    let (docker, proxy, _last) = with_one();
    docker.never_list(true);
    let refused = ask(&proxy, "127.0.0.11", "/a");
    assert_eq!(refused.status, 502);
    assert!(refused.body.contains("did not answer"), "{}", refused.body);
    docker.never_list(false);
    assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
}

#[test]
fn a_stream_of_events_that_never_begins_is_asked_for_again() {
    let (docker, folder) = (Docker::default(), TempDir::new());
    docker.list("1", "a-1", "127.0.0.11", &[]);
    docker.never_stream(true);
    let engine = docker.engine();
    let proxy = start(&engine, &folder);
    let refused = ask(&proxy, "127.0.0.11", "/a");
    assert_eq!(refused.status, 502);
    assert!(refused.body.contains("did not answer"), "{}", refused.body);
    docker.never_stream(false);
    eventually("it is asked for again", || {
        ask(&proxy, "127.0.0.11", "/a").status == 200
    });
}

/// Without the buffer, nothing tells a client that is no container from a container that is not
/// listed yet.
#[test]
fn without_the_buffer_no_client_is_taken_for_none() {
    let (docker, proxy, _last) = with_one();
    assert_eq!(rights(&proxy, "127.0.0.11"), ["/a"]);
    docker.set_forgetful(true);
    let refused = ask(&proxy, "127.0.9.12", "/net");
    assert_eq!(
        (refused.status, refused.header("connection")),
        (502, Some("close"))
    );
    assert!(
        refused.body.contains("answered 500 to /events"),
        "{}",
        refused.body
    );
    // A container that was listed before it called is known.
    assert_eq!(ask(&proxy, "127.0.0.11", "/a").status, 200);
    docker.set_forgetful(false);
    assert_eq!(ask(&proxy, "127.0.9.12", "/net").status, 200);
}

/// Each event of a container repeats its labels, of which a client may write megabytes.
#[test]
fn long_labels_in_events_keep_nobody_out() {
    let (docker, proxy, _kept) = with_one();
    docker.set_label_length(1 << 20);
    for _ in 0..6 {
        docker.tell("container", "die", "2");
    }
    let answer = ask(&proxy, "127.0.0.11", "/a");
    assert_eq!(answer.status, 200, "{}", answer.body);
    // One event of any size does not end the stream. It is in the buffer as well.
    docker.set_label_length(9 << 20);
    docker.tell("container", "pause", "1");
    docker.set_label_length(0);
    eventually("the event was read", || {
        ask(&proxy, "127.0.0.11", "/a").status == 200
    });
    assert_eq!(docker.streams(), 1);
}

/// The answer may be long, so that clients that come together share it.
#[test]
fn clients_that_come_together_share_one_look_at_the_buffer() {
    let (docker, proxy, _kept) = with_one();
    docker.hold_lists(true);
    let mut clients: Vec<Client> = (0..16)
        .map(|_| {
            let mut client = Client::connect_from("127.0.0.11", proxy.address());
            client.send("GET /a HTTP/1.1\r\n\r\n");
            client
        })
        .collect();
    eventually("a list is asked for", || docker.lists() == 1);
    docker.hold_lists(false);
    for client in &mut clients {
        assert_eq!(client.read_response().status, 200);
    }
    assert!(docker.queries() <= 2, "{}", docker.queries());
}
