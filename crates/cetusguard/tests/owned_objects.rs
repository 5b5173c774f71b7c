//! Objects that clients own: listed and removed by hand or when their lifetime is over, and never
//! those of others, whatever the engine lists.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};

use cetusguard_testkit::{Engine, Exchange, Link, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const RULES: &str = "GET,POST,DELETE .*";
/// 2023, and a time that has not come yet.
const OLD: u64 = 1_700_000_000;
const FUTURE: u64 = 32_000_000_000;

/// The removals that an engine was asked for.
type Removals = Arc<Mutex<Vec<String>>>;

/// Returns the labels of an owner; those of a session if there is one.
fn labels(owner: &str, session: &str) -> String {
    match session {
        "" => format!(r#"{{"cetusguard.owner":"{owner}"}}"#),
        session => {
            format!(r#"{{"cetusguard.owner":"{owner}","cetusguard.session":"{session}"}}"#)
        }
    }
}

/// An engine that ignores the filters of lists, so that it lists the objects of all owners. It is no
/// manager of a swarm, and keeps the container `busy`.
fn engine(removals: &Removals) -> Engine {
    let removals = Arc::clone(removals);
    Engine::scripted(move |exchange, link| answer(&removals, exchange, link))
}

fn answer(removals: &Removals, exchange: &Exchange, link: &mut Link) {
    let (method, target) = exchange.line.split_once(' ').unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    if method == "DELETE" {
        removals.lock().expect("no panic").push(target.to_owned());
        return match path {
            "/containers/busy-id" => link.answer(409, r#"{"message":"it is busy"}"#),
            "/containers/gone-id" => link.answer(404, r#"{"message":"no such container"}"#),
            _ => link.answer(200, "{}"),
        };
    }
    let container = |name: &str, labels: &str, created: u64| {
        format!(r#"{{"Id":"{name}-id","Names":["/{name}"],"Created":{created},"Labels":{labels}}}"#)
    };
    let (own, other) = (labels("default", ""), labels("other", ""));
    match path {
        "/events" => drop(link.drain()),
        "/containers/json" => {
            let containers = [
                container("web", &own, OLD),
                container("busy", &own, OLD),
                container("gone", &own, OLD),
                container("young", &own, FUTURE),
                container("job", &labels("default", "job-1"), OLD),
                container("theirs", &other, OLD),
                container("nobodys", "null", OLD),
            ];
            link.answer(200, &format!("[{}]", containers.join(",")));
        }
        "/networks" => {
            let created = "2023-11-14T22:13:20.5+01:00";
            let network = |name: &str, labels: &str| {
                format!(
                    r#"{{"Id":"{name}-id","Name":"{name}","Created":"{created}","Labels":{labels}}}"#
                )
            };
            let networks = [network("net", &own), network("their-net", &other)];
            link.answer(200, &format!("[{}]", networks.join(",")));
        }
        "/volumes" => {
            let volume = |name: &str, labels: &str| {
                format!(
                    r#"{{"Name":"{name}","CreatedAt":"2023-11-14T22:13:20Z","Labels":{labels}}}"#
                )
            };
            let volumes = [volume("data", &own), volume("their-data", &other)];
            link.answer(200, &format!(r#"{{"Volumes":[{}]}}"#, volumes.join(",")));
        }
        "/images/json" => {
            let image = |id: &str, tags: &str, owner: &str| {
                format!(
                    r#"{{"Id":"{id}","RepoTags":{tags},"Created":{OLD},"Labels":{{"cetusguard.image-owner":"{owner}"}}}}"#
                )
            };
            let images = [
                image("sha256:aa", r#"["app:1","app:2"]"#, "default"),
                image("sha256:bb", r#"["<none>:<none>"]"#, "default"),
                image("sha256:cc", r#"["their:1"]"#, "other"),
            ];
            link.answer(200, &format!("[{}]", images.join(",")));
        }
        "/services" | "/secrets" | "/configs" => {
            link.answer(503, r#"{"message":"this node is not a swarm manager"}"#);
        }
        _ => link.answer(200, "OK"),
    }
}

fn own(engine: &Engine, words: &[&str]) -> (Option<i32>, String, String) {
    let program = ["own"].iter().chain(words);
    let command = program.fold(ProxyBuilder::bare(PROGRAM), |command, word| {
        command.word(word)
    });
    let command = command.arg("--backend-addr", &engine.address());
    command.arg("--own", "true").run()
}

/// The removals of the old objects of the profile without a session, in their order.
const OLD_OBJECTS: [&str; 8] = [
    "/containers/web-id?force=true&v=true",
    "/containers/busy-id?force=true&v=true",
    "/containers/gone-id?force=true&v=true",
    "/networks/net-id",
    "/volumes/data",
    "/images/app:1",
    "/images/app:2",
    "/images/sha256:bb",
];

#[test]
fn objects_are_listed_and_removed_by_their_owner_alone() {
    let removals = Removals::default();
    let engine = engine(&removals);
    let (code, listed, _) = own(&engine, &["list", "default"]);
    assert_eq!(code, Some(0), "{listed}");
    for line in [
        "container web, created at 2023-11-14T22:13:20Z",
        "network net, created at 2023-11-14T21:13:20Z",
        "volume data, created at 2023-11-14T22:13:20Z",
        "image app:1, created at",
        "image app:2, created at",
    ] {
        assert!(listed.contains(line), "{line} in {listed}");
    }
    assert!(
        !listed.contains("their") && !listed.contains("nobody"),
        "{listed}"
    );
    let (_, json, _) = own(&engine, &["list", "default", "--format", "json"]);
    assert!(json.contains(r#""name": "data""#), "{json}");
    assert!(removals.lock().expect("no panic").is_empty());

    let (code, removed, _) = own(&engine, &["remove", "default"]);
    assert_eq!(code, Some(1), "one of them stays: {removed}");
    for line in [
        "removed  container web, ",
        "KEPT     container busy, ",
        "DELETE",
        "removed  container gone, ",
        "removed  container young, ",
        "removed  container job of session job-1, ",
        "removed  image sha256:bb, ",
        "10 objects",
    ] {
        assert!(removed.contains(line), "{line} in {removed}");
    }
    let asked = removals.lock().expect("no panic").clone();
    let sorted = |mut targets: Vec<String>| {
        targets.sort_unstable();
        targets
    };
    let more = ["/containers/young-id", "/containers/job-id"];
    let more = more.map(|target| format!("{target}?force=true&v=true"));
    let all = OLD_OBJECTS.map(str::to_owned).into_iter().chain(more);
    assert_eq!(sorted(asked), sorted(all.collect()));
}

#[test]
fn objects_of_one_session_are_removed_alone() {
    let removals = Removals::default();
    let engine = engine(&removals);
    let (code, removed, _) = own(&engine, &["remove", "default", "job-1"]);
    assert_eq!(code, Some(0), "{removed}");
    let asked = removals.lock().expect("no panic").clone();
    assert_eq!(asked, ["/containers/job-id?force=true&v=true"]);
}

#[test]
fn own_names_its_mistakes() {
    let (engine, absent) = (Engine::ok(), Engine::absent());
    for (engine, words, want) in [
        (
            &engine,
            &["list", "nosuch"][..],
            "there is no profile \"nosuch\"",
        ),
        (
            &engine,
            &["list", "default", "not a session"],
            "is no name of a session",
        ),
        (&absent, &["list", "default"], "cannot be reached"),
    ] {
        let (code, _, why) = own(engine, words);
        assert_eq!(code, Some(1), "{words:?}: {why}");
        assert!(why.contains(want), "{words:?}: {why}");
    }
    let words = ["own", "remove", "default"].into_iter();
    let owns_nothing = words.fold(ProxyBuilder::bare(PROGRAM), ProxyBuilder::word);
    let (code, _, why) = owns_nothing.arg("--backend-addr", &engine.address()).run();
    assert_eq!(code, Some(1), "{why}");
    assert!(why.contains("own nothing"), "{why}");
}

/// A list that cannot be read, such as those of a swarm here, keeps no other objects.
#[test]
fn old_objects_of_owners_are_removed() {
    let removals = Removals::default();
    let engine = engine(&removals);
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--own", "lifetime=1h")
        .start();
    let removed = "removed an object whose lifetime is over";
    let _last = proxy.logged(&[removed, "kind=image", "name=sha256:bb"]);
    let _session = proxy.logged(&[removed, "name=job session=job-1"]);
    let _kept = proxy.logged(&[
        "cannot remove an object whose lifetime is over",
        "name=busy",
    ]);
    let mut asked = removals.lock().expect("no panic").clone();
    asked.retain(|target| !target.contains("job-id"));
    assert_eq!(asked, OLD_OBJECTS);
}

/// Between the judgement of a container and its creation, another client may create the volume that
/// it mounts: the engine then keeps the labels of the other one.
#[test]
fn a_volume_that_another_client_has_created_meanwhile_is_not_mounted() {
    for (owner, want) in [("default", 201), ("other", 409)] {
        let is_created = AtomicBool::new(false);
        let engine = Engine::scripted(move |exchange, link| match exchange.line.as_str() {
            "POST /volumes/create" => {
                is_created.store(true, SeqCst);
                link.answer(201, "{}");
            }
            "GET /volumes/data" if is_created.load(SeqCst) => {
                let labels = labels(owner, "");
                link.answer(200, &format!(r#"{{"Name":"data","Labels":{labels}}}"#));
            }
            "GET /volumes/data" => link.answer(404, r#"{"message":"no such volume"}"#),
            "POST /containers/create" => link.answer(201, r#"{"Id":"c"}"#),
            _ if link.tell(exchange) => {}
            _ => link.answer(200, "{}"),
        });
        let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
            .arg("--own", "true")
            .start();
        let body = r#"{"Image":"app","HostConfig":{"Binds":["data:/data"]}}"#;
        let answer = proxy.client().request_with("POST /containers/create", body);
        assert_eq!(answer.status, want, "{owner}: {answer:?}");
        let received = engine.received().join("");
        let has_labels = received
            .contains(r#"{"Name":"data","Labels":{"cetusguard.owner":"default"}"#)
            || received.contains(r#"{"Labels":{"cetusguard.owner":"default"},"Name":"data"}"#);
        assert!(has_labels, "{received}");
        assert_eq!(received.contains("POST /containers/create"), want == 201);
    }
}

/// While a client creates a network, no other owner creates one of the same name: the engine would
/// have two, and a container could join the wrong one.
#[test]
fn a_name_that_another_owner_is_giving_is_not_given() {
    let (begun, is_begun) = mpsc::channel::<()>();
    let (end, is_ended) = mpsc::channel::<()>();
    let held = Mutex::new((begun, is_ended));
    let is_first = AtomicBool::new(true);
    let engine = Engine::scripted(move |exchange, link| match exchange.line.as_str() {
        "POST /networks/create" => {
            if is_first.swap(false, SeqCst) {
                let (begun, is_ended) = &*held.lock().expect("no panic");
                begun.send(()).expect("the test");
                is_ended.recv().expect("the test");
            }
            link.answer(201, r#"{"Id":"n"}"#);
        }
        line if line.starts_with("GET /networks/") => {
            link.answer(404, r#"{"message":"no such network"}"#);
        }
        _ if link.tell(exchange) => {}
        _ => link.answer(200, "{}"),
    });
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--own", "session=header")
        .start();
    let create = |session: &str, name: &str| {
        let body = format!(r#"{{"Name":"{name}"}}"#);
        let length = body.len();
        let mut client = proxy.client();
        client.send(format!(
            "POST /networks/create HTTP/1.1\r\nHost: x\r\nX-Cetusguard-Session: {session}\r\n\
            Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        client
    };
    let mut first = create("job-1", "net");
    is_begun.recv().expect("the first create");
    assert_eq!(create("job-2", "net").read_response().status, 409);
    let _refused = proxy.logged(&["reason=name_in_use", "net"]);
    assert_eq!(create("job-2", "other").read_response().status, 201);
    end.send(()).expect("the engine");
    assert_eq!(first.read_response().status, 201);
    // The call is over: from now on, the engine tells who has the name.
    assert_eq!(create("job-2", "net").read_response().status, 201);
}

/// A call that has never reached the engine gives no name.
#[test]
fn a_name_is_free_if_the_engine_could_not_be_reached() {
    let socket = Arc::new(OnceLock::<String>::new());
    let (is_first, path) = (AtomicBool::new(true), Arc::clone(&socket));
    let engine = Engine::scripted(move |exchange, link| match exchange.line.as_str() {
        "POST /volumes/create" => link.answer(201, r#"{"Name":"data"}"#),
        line if line.starts_with("GET /volumes/") => {
            // From the judgement on, nobody can connect.
            if is_first.swap(false, SeqCst) {
                let path = path.get().expect("a path");
                std::fs::rename(path, format!("{path}.away")).expect("a socket");
            }
            link.answer(404, r#"{"message":"no such volume"}"#);
        }
        _ if link.tell(exchange) => {}
        _ => link.answer(200, "{}"),
    });
    socket.set(engine.path()).expect("once");
    let proxy = ProxyBuilder::new(PROGRAM, &engine, RULES)
        .arg("--own", "session=header")
        .start();
    let create = |session: &str| {
        let body = r#"{"Name":"data"}"#;
        let length = body.len();
        let mut client = proxy.client();
        client.send(format!(
            "POST /volumes/create HTTP/1.1\r\nHost: x\r\nX-Cetusguard-Session: {session}\r\n\
            Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        client.read_response().status
    };
    assert_eq!(create("job-1"), 502);
    let _refused = proxy.logged(&["reason=engine_unreachable", "/volumes/create"]);
    std::fs::rename(format!("{}.away", engine.path()), engine.path()).expect("a socket");
    assert_eq!(create("job-2"), 201);
}
