//! The configuration is read again while the program runs: whole or not at all, and nobody notices
//! but those it is about.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn file(rules: &str) -> String {
    format!("log-level: 6\nfrontend-addr: tcp://127.0.0.1:0\nrules: |\n  {rules}\n")
}

fn start(engine: &Engine, config: &str) -> Proxy {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--config", config)
        .arg("--backend-addr", &engine.address());
    proxy.expect_frontend().start()
}

fn reloads(proxy: &Proxy) -> usize {
    proxy
        .log()
        .iter()
        .filter(|line| line.contains("configuration reloaded"))
        .count()
}

/// Does something, and waits until the configuration was read once more.
fn then_reloaded(proxy: &Proxy, change: impl FnOnce()) {
    let before = reloads(proxy);
    change();
    eventually("the configuration is read again", || {
        reloads(proxy) > before
    });
}

/// Writes a file in place with one call, over a text of the same length: nobody ever finds it
/// half-written or empty.
fn overwrite(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file");
    assert_eq!(file.metadata().expect("a file").len(), text.len() as u64);
    file.write_all(text.as_bytes()).expect("a file");
}

fn allows(proxy: &Proxy, path: &str) -> bool {
    proxy.client().request(&format!("GET {path}")).status == 200
}

#[test]
fn a_signal_has_it_read_again() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("config.yaml", &file("GET /a"));
    let proxy = start(&engine, &config);
    let mut kept = proxy.client();
    assert_eq!(
        [kept.request("GET /a").status, kept.request("GET /b").status],
        [200, 403]
    );
    then_reloaded(&proxy, || {
        folder.write("config.yaml", &file("GET /b"));
        proxy.signal("HUP");
    });
    assert_eq!(
        [kept.request("GET /a").status, kept.request("GET /b").status],
        [403, 200]
    );
    let _ = proxy.logged(&["configuration reloaded", "cause=SIGHUP"]);
}

/// In place, by a rename as editors do it, in another file that is named, and by a symbolic link as
/// Kubernetes does it.
#[test]
fn files_that_change_are_noticed() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let [first, second] = ["..one", "..two"].map(|name| folder.path().join(name));
    for (data, rules) in [(&first, "GET /a"), (&second, "GET /d")] {
        std::fs::create_dir(data).expect("a folder");
        let more = folder.file("more.rules");
        std::fs::write(
            data.join("config.yaml"),
            file(rules) + &format!("rules-file: {more}\n"),
        )
        .expect("a file");
    }
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, folder.path().join(name)).expect("a link")
    };
    link("..one", "..data");
    link("..data/config.yaml", "config.yaml");
    folder.write("more.rules", "GET /m\n");
    let proxy = start(&engine, &folder.file("config.yaml"));
    assert!(allows(&proxy, "/a") && allows(&proxy, "/m"));

    // The real file is in another folder than its name.
    let real = first.join("config.yaml");
    let more = format!("rules-file: {}\n", folder.file("more.rules"));
    then_reloaded(&proxy, || overwrite(&real, &(file("GET /b") + &more)));
    assert!(allows(&proxy, "/b") && !allows(&proxy, "/a"));

    let new = first.join("config.yaml~");
    std::fs::write(&new, file("GET /c") + &more).expect("a file");
    then_reloaded(&proxy, || std::fs::rename(&new, &real).expect("a rename"));
    assert!(allows(&proxy, "/c") && !allows(&proxy, "/b"));

    then_reloaded(&proxy, || {
        overwrite(&folder.path().join("more.rules"), "GET /n\n")
    });
    assert!(allows(&proxy, "/n") && !allows(&proxy, "/m"));

    link("..two", "..new");
    then_reloaded(&proxy, || {
        std::fs::rename(folder.path().join("..new"), folder.path().join("..data"))
            .expect("a rename");
    });
    assert!(allows(&proxy, "/d") && !allows(&proxy, "/c"));
    // Where the link leads now is watched as well.
    then_reloaded(&proxy, || {
        overwrite(&second.join("config.yaml"), &(file("GET /e") + &more))
    });
    assert!(allows(&proxy, "/e"));
    let _ = proxy.logged(&["configuration reloaded", "cause=\"file change\""]);
    assert_eq!(
        reloads(&proxy),
        5,
        "a file that is no other is not read again"
    );
}

#[test]
fn what_is_wrong_changes_nothing_and_is_told_with_its_place() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("config.yaml", &file("GET /a"));
    let proxy = start(&engine, &config);
    for (text, told) in [
        (
            file("GET %NO%").replace("6", "loud"),
            &[
                ":4:7: unknown variable %NO%",
                ":1:12: log-level is \\\"loud\\\"; expected",
            ][..],
        ),
        ("rules: [\n".to_owned(), &["this is not YAML"]),
        (
            file("GET /b").replace(":0", ":1"),
            &["frontends cannot change while the program runs; restart the program"],
        ),
        (
            file("GET /b") + "max-connections: 7\nlog-format: json\n",
            &["max-connections cannot change", "log-format cannot change"],
        ),
    ] {
        folder.write("config.yaml", &text);
        proxy.signal("HUP");
        let _ = proxy.logged(&["level=err", "configuration not reloaded: the old one stays"]);
        for told in told {
            let _ = proxy.logged(&["level=err", "msg=mistake", told]);
        }
        assert!(allows(&proxy, "/a") && !allows(&proxy, "/b"), "{text}");
    }
    std::fs::remove_file(&config).expect("the file");
    proxy.signal("HUP");
    let _ = proxy.logged(&["msg=mistake", "--config is", "expected a readable file"]);
    assert!(allows(&proxy, "/a"));
    // And back again.
    then_reloaded(&proxy, || {
        drop(folder.write("config.yaml", &file("GET /b")))
    });
    assert!(allows(&proxy, "/b") && !allows(&proxy, "/a"));
}

#[test]
fn streams_end_under_the_rules_under_which_they_began() {
    let engine = Engine::start(|exchange, link| {
        if exchange.line.contains("/events") {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
            // The end of the test is told by the next request.
            while let Some(byte) = link.read(1) {
                link.write(format!("1\r\n{byte}\r\n"));
            }
        } else {
            link.answer(200, "OK");
        }
    });
    let folder = TempDir::new();
    let config = folder.write("config.yaml", &file("GET /events"));
    let proxy = start(&engine, &config);
    let mut stream = proxy.client();
    stream.send("GET /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(
        (stream.read_head().status, stream.read_chunk().as_str()),
        (200, "one")
    );
    then_reloaded(&proxy, || {
        drop(folder.write("config.yaml", &file("GET /a")))
    });
    assert!(!allows(&proxy, "/events"));
    // The stream still goes both ways.
    stream.send("0\r\n\r\n");
    assert_eq!(
        (0..3).map(|_| stream.read_chunk()).collect::<String>(),
        "0\r\n"
    );
}

#[test]
fn no_request_fails_while_it_is_read_again() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let rules = |round: usize| {
        file(&format!(
            "GET %API_PREFIX_CONTAINERS%/json\n  GET %API_PREFIX%/round{round}.*"
        ))
    };
    let config = folder.write("config.yaml", &rules(0));
    let proxy = start(&engine, &config);
    let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for kept in [true, true, false, false] {
            let (proxy, done, count) = (&proxy, &done, &count);
            scope.spawn(move || {
                let mut client = proxy.client();
                while !done.load(SeqCst) {
                    if !kept {
                        client = proxy.client();
                    }
                    let answer = client.request("GET /v1.43/containers/json");
                    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
                    count.fetch_add(1, SeqCst);
                }
            });
        }
        for round in 1..=20 {
            then_reloaded(&proxy, || {
                folder.write("config.yaml", &rules(round));
                proxy.signal("HUP");
            });
        }
        done.store(true, SeqCst);
    });
    assert!(count.load(SeqCst) > 100, "{count:?}");
}

fn copy(from: &Certs, names: &[(&str, &str)], to: &Path) {
    for (name, own) in names {
        std::fs::copy(from.folder.path().join(name), to.join(own)).expect("a copy");
    }
}

#[test]
fn certificates_are_read_again() {
    let (engine, folder, old, new) = (Engine::ok(), TempDir::new(), Certs::make(), Certs::make());
    let own = [("server.pem", "server.pem"), ("server.key", "server.key")];
    copy(&old, &own, folder.path());
    copy(&old, &[("ca.pem", "ca.pem")], folder.path());
    let text = file("GET /a")
        + &["cacert: ca.pem", "cert: server.pem", "key: server.key"]
            .map(|pair| {
                format!(
                    "frontend-tls-{}\n",
                    pair.replace(": ", &format!(": {}/", folder.path().display()))
                )
            })
            .concat();
    let proxy = start(&engine, &folder.write("config.yaml", &text));
    let mut kept = Client::connect_tls(proxy.address(), old.client(Some("client")));
    assert_eq!(kept.request("GET /a").status, 200);

    // Another certificate of the server's: those who are connected stay.
    then_reloaded(&proxy, || copy(&new, &own, folder.path()));
    assert_eq!(kept.request("GET /a").status, 200);
    let ask = |certs: &Certs| {
        Client::connect_tls(proxy.address(), certs.client(Some("client")))
            .request("GET /a")
            .status
    };
    assert_eq!(ask(&old), 0, "it does not trust the new one");
    assert_eq!(ask(&new), 0, "it is not trusted yet");

    // Other signers of clients' certificates: who was trusted for the old ones' sake has to show
    // one again.
    then_reloaded(&proxy, || {
        copy(&new, &[("ca.pem", "ca.pem")], folder.path())
    });
    assert_eq!(ask(&new), 200);
    assert_eq!(kept.request("GET /a").status, 0);

    // A certificate without its key changes nothing.
    let reloaded = reloads(&proxy);
    copy(&old, &own[..1], folder.path());
    let _ = proxy.logged(&["configuration not reloaded"]);
    let _ = proxy.logged(&[
        "msg=mistake",
        "server.key is not the key of the first certificate",
    ]);
    assert_eq!((reloads(&proxy), ask(&new)), (reloaded, 200));
}

#[test]
fn the_log_level_changes_too() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("config.yaml", &file("GET /a"));
    let proxy = start(&engine, &config);
    assert!(allows(&proxy, "/a"));
    then_reloaded(&proxy, || {
        drop(folder.write("config.yaml", &file("GET /a").replace('6', "7")))
    });
    assert!(allows(&proxy, "/a"));
    let _ = proxy.logged(&["request allowed", "path=/a"]);
    assert_eq!(
        proxy
            .log()
            .iter()
            .filter(|line| line.contains("request allowed"))
            .count(),
        1
    );
}

/// Two changes close together, the second while the first is read: what is in force in the end is
/// what is there.
#[test]
fn the_last_of_several_changes_counts() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    // Enough rules for the first to take a while.
    let many = |last: &str| {
        let rules: String = (0..1500)
            .map(|rule| format!("  GET /never/{rule}/[a-z]+{rule}/.*\n"))
            .collect();
        format!("frontend-addr: tcp://127.0.0.1:0\nrules: |\n{rules}  GET {last}\n")
    };
    let config = folder.write("config.yaml", &many("/a"));
    let proxy = start(&engine, &config);
    for round in 0..5 {
        let replace = |last: &str| {
            let new = folder.write("new.yaml", &many(last));
            std::fs::rename(new, &config).expect("a rename");
        };
        let before = reloads(&proxy);
        replace(&format!("/first{round}"));
        // The second change may come before, while and after the first is read: each of them has to
        // end the same.
        std::thread::park_timeout(std::time::Duration::from_millis(190 + 20 * round));
        replace(&format!("/last{round}"));
        eventually("the last one is in force", || {
            allows(&proxy, &format!("/last{round}"))
        });
        eventually("it is told", || reloads(&proxy) > before);
    }
}

/// A link on the way, a folder that is taken away and made again, a neighbour that is written all
/// the time.
#[test]
fn changes_that_no_event_of_the_file_tells_of_are_noticed() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let place = |name: &str| folder.path().join(name);
    for (version, rules) in [("v1", "GET /a"), ("v2", "GET /b")] {
        std::fs::create_dir(place(version)).expect("a folder");
        std::fs::write(place(version).join("c.yaml"), file(rules)).expect("a file");
    }
    std::os::unix::fs::symlink("v1", place("current")).expect("a link");
    let proxy = start(&engine, &place("current/c.yaml").display().to_string());
    assert!(allows(&proxy, "/a"));
    std::os::unix::fs::symlink("v2", place("next")).expect("a link");
    then_reloaded(&proxy, || {
        std::fs::rename(place("next"), place("current")).expect("a rename")
    });
    assert!(allows(&proxy, "/b"));

    std::fs::remove_dir_all(place("v2")).expect("a folder");
    let _ = proxy.logged(&["configuration not reloaded"]);
    std::fs::create_dir(place("v2")).expect("a folder");
    then_reloaded(&proxy, || {
        std::fs::write(place("v2/c.yaml"), file("GET /c")).expect("a file")
    });
    assert!(allows(&proxy, "/c"));

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                std::fs::write(place("v2/noise"), "x").expect("a file");
                // The pace of the noise; nothing waits for it.
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
        });
        then_reloaded(&proxy, || {
            std::fs::write(place("v2/c.yaml"), file("GET /d")).expect("a file")
        });
        done.store(true, SeqCst);
    });
    assert!(allows(&proxy, "/d"));
}

/// Changes are noticed whatever else the program does at that time: it looks after its memory every
/// ten seconds.
#[test]
fn no_change_is_forgotten() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let config = folder.write("config.yaml", &file("GET /a"));
    let proxy = start(&engine, &config);
    // Signals interrupt the wait as the clock does.
    let new = folder.write("new.yaml", &file("GET /b"));
    std::fs::rename(new, &config).expect("a rename");
    // The signal is to come while the proxy waits for more changes; the end is the same at any
    // other time.
    std::thread::park_timeout(std::time::Duration::from_millis(50));
    proxy.signal("HUP");
    eventually("it is in force", || allows(&proxy, "/b"));
    let new = folder.write("new.yaml", &file("GET /c"));
    std::fs::rename(new, &config).expect("a rename");
    eventually("it is in force", || allows(&proxy, "/c"));
}

#[test]
fn the_time_to_drain_can_change() {
    let engine = Engine::start(|exchange, link| match exchange.line.contains("slow") {
        true => drop(link.wait_for_close()),
        false => link.answer(200, "OK"),
    });
    let folder = TempDir::new();
    let rules = "GET %API_PREFIX_CONTAINERS%/[a-z]+/json";
    let config = folder.write("config.yaml", &(file(rules) + "drain-timeout: 1h\n"));
    let mut proxy = start(&engine, &config);
    then_reloaded(&proxy, || {
        drop(folder.write("config.yaml", &(file(rules) + "drain-timeout: 100ms\n")))
    });
    let mut waiting = proxy.client();
    waiting.send("GET /containers/slow/json HTTP/1.1\r\n\r\n");
    eventually("it is under way", || {
        engine.received().concat().contains("slow")
    });
    proxy.signal("TERM");
    assert!(proxy.wait().success());
}

/// A file that waits for a writer keeps nobody from asking again, and from stopping the program.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let rules = folder.write("more.rules", "GET /m\n");
    let named = |rules: &str| file("GET /a") + &format!("rules-file: {rules}\n");
    let config = folder.write("config.yaml", &named(&rules));
    let mut proxy = start(&engine, &config);
    let fifo = folder.file("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo")
            .success()
    );
    let told = || {
        proxy
            .log()
            .iter()
            .filter(|line| line.contains("fifo") && line.contains("it is not a regular file"))
            .count()
    };
    folder.write("config.yaml", &named(&fifo));
    proxy.signal("HUP");
    eventually("the reason is told", || told() > 0);
    assert!(allows(&proxy, "/a") && allows(&proxy, "/m"));
    then_reloaded(&proxy, || {
        folder.write("config.yaml", &file("GET /b"));
        proxy.signal("HUP");
    });
    assert!(allows(&proxy, "/b") && !allows(&proxy, "/m"));
    // The same with the configuration file itself; then the end.
    std::fs::rename(&fifo, &config).expect("a rename");
    proxy.signal("HUP");
    let _ = proxy.logged(&["expected a readable file: it is not a regular file"]);
    assert!(allows(&proxy, "/b"));
    proxy.signal("TERM");
    assert!(proxy.wait().success());
}

/// At the start as well.
#[test]
fn what_is_no_file_does_not_delay_the_start() {
    let folder = TempDir::new();
    let fifo = folder.file("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .expect("mkfifo")
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(folder.file("socket")).expect("a socket");
    for option in ["--config", "--rules-file", "--frontend-tls-cacert"] {
        for path in [
            fifo.clone(),
            folder.file("socket"),
            folder.file("."),
            "/dev/null".to_owned(),
        ] {
            let program = ProxyBuilder::bare(PROGRAM).word("check").arg(option, &path);
            let program = program
                .arg("--frontend-tls-cert", &path)
                .arg("--frontend-tls-key", &path);
            let (code, out, _) = program.run();
            let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
            let says = ["it is not a regular file", "it is a folder"]
                .iter()
                .any(|why| out.contains(why));
            assert!(code == Some(2) && says, "{option} {path}: {out}");
        }
    }
}
