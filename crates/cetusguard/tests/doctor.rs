//! What the doctor finds, and what it says to do about it.

use cetusguard_testkit::{Certs, Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn engine(version: &'static str, time: &'static str) -> Engine {
    Engine::scripted(move |exchange, link| match exchange.line.as_str() {
        "GET /_ping" => link.answer(200, "OK"),
        "GET /version" => link.answer(200, version),
        "GET /info" => link.answer(200, &format!("{{\"SystemTime\":{time:?}}}")),
        _ => link.answer(404, "{}"),
    })
}

const MODERN: &str = "{\"Version\":\"28.2.2\",\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.24\"}";

/// A doctor for whom nothing is wrong but what is added: its frontend is a socket that can be made.
fn doctor(backend: &str, folder: &TempDir) -> ProxyBuilder {
    let socket = format!("unix://{}", folder.file("proxy.sock"));
    let doctor = ProxyBuilder::bare(PROGRAM)
        .word("doctor")
        .arg("--backend-addr", backend)
        .arg("--frontend-addr", &socket);
    doctor
        .arg("--presets", "homepage")
        .arg("--max-connections", "64")
}

/// The exit code, and all that is told, in one line.
fn told(doctor: ProxyBuilder) -> (Option<i32>, String) {
    let (code, out, errors) = doctor.run();
    assert_eq!(errors, "");
    assert!(
        out.lines()
            .all(|line| line.chars().count() <= 100 || !line.trim().contains(' ')),
        "{out}"
    );
    (code, out.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn nothing_is_wrong() {
    let (engine, folder) = (engine(MODERN, "2000-01-01T00:00:00Z"), TempDir::new());
    let (code, out) = told(doctor(&engine.address(), &folder));
    assert_eq!(code, Some(0), "{out}");
    for want in [
        "ok engine: version 28.2.2 answers at",
        "API 1.24 to 1.50",
        "ok rules: give no host away",
        "proxy.sock can be made",
        "warning clock: the engine's differs by",
        "No problem keeps it from starting; 1 warning to read before you rely on it.",
    ] {
        assert!(out.contains(want), "{want} in {out}");
    }
}

#[test]
fn engines_that_do_not_answer() {
    let folder = TempDir::new();
    let plain = folder.write("plain", "");
    let backend = |path: &str| format!("unix://{path}");
    let old = engine("{\"Version\":\"1.7.1\",\"ApiVersion\":\"1.19\"}", "");
    let odd = engine("{}", "");
    let gone = Engine::scripted(|_, link| link.close());
    let silent = Engine::scripted(|_, link| {
        link.wait_for_close();
    });
    let stranger = Engine::scripted(|_, link| link.answer(404, "{}"));
    for (backend, want, fix) in [
        (
            backend(&folder.file("none.sock")),
            "none.sock is not there",
            "mount its socket: -v",
        ),
        (
            backend(&folder.path().display().to_string()),
            "is a folder",
            "mounting a socket that was not there",
        ),
        (backend(&plain), "is no socket", "correct backend-addr"),
        (
            "tcp://127.0.0.1:1".to_owned(),
            "nothing listens there",
            "start the engine with that address",
        ),
        (
            old.address(),
            "version 1.7.1 speaks the API up to 1.19 only",
            "upgrade the engine",
        ),
        (
            odd.address(),
            "does not say which API it speaks",
            "point to an engine?",
        ),
        (
            gone.address(),
            "the engine did not answer to /version",
            "start the engine",
        ),
        (
            silent.address(),
            "accepted the request and did not answer",
            "the engine's own log",
        ),
        (
            stranger.address(),
            "is no engine: it has no /version",
            "correct backend-addr",
        ),
    ] {
        // Only the silent one is waited for in vain.
        let limit = if backend == silent.address() {
            "300ms"
        } else {
            "1h"
        };
        let (code, out) = told(doctor(&backend, &folder).arg("--answer-timeout", limit));
        assert!(
            code == Some(1)
                && out.contains("PROBLEM engine: ")
                && out.contains(want)
                && out.contains(fix),
            "{want}: {out}"
        );
    }
}

/// Root may open anything: somebody else has to try.
#[test]
fn a_socket_that_may_not_be_opened() {
    let (engine, folder) = (engine(MODERN, ""), TempDir::new());
    let is_root = std::process::Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    let close = format!(
        "chmod 0600 {} && chmod 0755 {}",
        engine.path(),
        folder.path().display()
    );
    assert!(
        std::process::Command::new("sh")
            .args(["-c", &close])
            .status()
            .expect("a shell")
            .success()
    );
    if !is_root {
        return;
    }
    // The program lies in a folder that others may not enter.
    let copy = folder.file("cetusguard");
    std::fs::copy(PROGRAM, &copy).expect("a copy");
    let folder_of = std::path::Path::new(&engine.path())
        .parent()
        .expect("a folder")
        .display()
        .to_string();
    let open = std::process::Command::new("chmod")
        .args(["0755", &folder_of])
        .status();
    assert!(open.expect("chmod").success());
    let as_nobody = std::process::Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            &copy,
            "doctor",
            "--backend-addr",
            &engine.address(),
        ])
        .output()
        .expect("setpriv");
    let out = String::from_utf8_lossy(&as_nobody.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for want in [
        "belongs to user 0 and group 0, and user 65534 may not open it",
        "group_add: [\"0\"], or user: \"0:0\"",
    ] {
        assert!(out.contains(want), "{want} in {out}");
    }
}

#[test]
fn addresses_that_nobody_gets() {
    let (engine, folder) = (engine(MODERN, ""), TempDir::new());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("tcp://{}", taken.local_addr().expect("an address"));
    let ask = |address: &str| {
        let doctor = ProxyBuilder::bare(PROGRAM)
            .word("doctor")
            .arg("--backend-addr", &engine.address());
        told(
            doctor
                .arg("--frontend-addr", address)
                .arg("--presets", "homepage"),
        )
    };
    for (address, want) in [
        (taken.as_str(), "is free"),
        (
            "unix:///no/such/folder/x.sock",
            "PROBLEM frontend: the folder /no/such/folder is not there",
        ),
        (
            "tcp://192.0.2.1:2375",
            "PROBLEM frontend: this machine has no address tcp://192.0.2.1:2375",
        ),
    ] {
        let (code, out) = ask(address);
        assert!(
            out.contains(want) && code == Some(i32::from(want.contains("PROBLEM")))
                || want == "is free",
            "{address}: {out}"
        );
    }
    // Held by a program that is no proxy, then by one.
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (code, out) = ask(&format!(
        "tcp://{}",
        stranger.local_addr().expect("an address")
    ));
    let own = format!(
        "(process {}) = end that program, or choose another address",
        std::process::id()
    );
    assert!(
        code == Some(1) && out.contains("is taken by ") && out.contains(&own),
        "{out}"
    );
    let full = Engine::scripted(|_, link| link.answer(200, "OK"));
    let proxy = ProxyBuilder::new(PROGRAM, &full, "GET /x").start();
    let (_, out) = ask(proxy.address());
    let served = format!(
        "is served already by cetusguard (process {}), and answers /_ping",
        proxy.pid()
    );
    assert!(out.contains(&served), "{out}");
    let (_, out) = told(doctor(&engine.address(), &folder).env("container", "docker"));
    assert!(!out.contains("loopback"), "{out}");
    let doctor = ProxyBuilder::bare(PROGRAM)
        .word("doctor")
        .arg("--backend-addr", &engine.address())
        .env("container", "docker");
    let (_, out) = told(doctor);
    assert!(
        out.contains(
            "every address is on loopback, which no other container reaches = set \
            CETUSGUARD_FRONTEND_ADDR=tcp://:2375"
        ),
        "{out}"
    );
}

/// `docker exec … doctor` runs beside the proxy: what that one refuses to the doctor's own checks
/// is no fault of it.
#[test]
fn a_healthy_proxy_is_not_blamed() {
    let (engine, certs) = (engine(MODERN, ""), Certs::make());
    let (cert, key, ca) = (
        certs.file("server.pem"),
        certs.file("server.key"),
        certs.file("ca.pem"),
    );
    let mutual = [
        ("--frontend-tls-cert", cert.as_str()),
        ("--frontend-tls-key", key.as_str()),
        ("--frontend-tls-cacert", ca.as_str()),
    ];
    let one_way = [mutual[0], mutual[1]];
    /// Options with values, options without, and what the doctor has to say.
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str], &'c str);
    let cases: [Case<'_>; 3] = [
        (&mutual, &[], "and asks clients for a certificate"),
        (&one_way, &[], "and answers /_ping"),
        (
            &[],
            &["--no-builtin-rules"],
            "Cetusguard answers this check with 403: no rule of profile default allows GET /_ping",
        ),
    ];
    for (options, words, want) in cases {
        let serve = |program: ProxyBuilder| {
            let program = options
                .iter()
                .fold(program, |program, (name, value)| program.arg(name, value));
            let program = words
                .iter()
                .fold(program, |program, word| program.word(word));
            program
                .arg("--backend-addr", &engine.address())
                .arg("--rules", "GET %API_PREFIX_EVENTS%")
                .arg("--max-connections", "64")
        };
        let proxy = serve(ProxyBuilder::bare(PROGRAM))
            .frontend("tcp://127.0.0.1:0")
            .start();
        let doctor = serve(ProxyBuilder::bare(PROGRAM).word("doctor"))
            .arg("--frontend-addr", proxy.address());
        let (code, out) = told(doctor);
        let served = format!(
            "{} is served already by cetusguard (process {})",
            proxy.address(),
            proxy.pid()
        );
        assert!(
            code == Some(0) && out.contains(&served) && out.contains(want),
            "{want}: {out}"
        );
        assert!(
            !out.contains("PROBLEM") && !out.contains("end that program"),
            "{out}"
        );
    }
}

/// Another instance may have the address, and speak otherwise than this configuration says.
#[test]
fn a_second_proxy_is_recognised() {
    let (engine, certs, folder) = (engine(MODERN, ""), Certs::make(), TempDir::new());
    let (cert, key) = (certs.file("server.pem"), certs.file("server.key"));
    let with_tls = |program: ProxyBuilder| {
        program
            .arg("--frontend-tls-cert", &cert)
            .arg("--frontend-tls-key", &key)
    };
    let ask = |address: &str| doctor(&engine.address(), &folder).arg("--frontend-addr", address);
    let other = with_tls(ProxyBuilder::new(PROGRAM, &engine, "GET /x")).start();
    let (code, out) = told(ask(other.address()));
    let by = format!("is served already by cetusguard (process {})", other.pid());
    assert!(
        code == Some(0)
            && out.contains(&by)
            && out.contains("run doctor with the flags, the environment"),
        "{out}"
    );
    let plain = ProxyBuilder::new(PROGRAM, &engine, "GET /x").start();
    let (code, out) = told(with_tls(ask(plain.address())));
    assert!(
        code == Some(0) && out.contains("and this check got no answer"),
        "{out}"
    );

    // A Unix socket that is served, one that was left behind, and a file that is none.
    let path = folder.file("served.sock");
    let served = ProxyBuilder::new(PROGRAM, &engine, "")
        .frontend(&format!("unix://{path}"))
        .start();
    let (code, out) = told(ask(&format!("unix://{path}")));
    assert!(
        code == Some(0) && out.contains("is served already, and answers /_ping"),
        "{out}"
    );
    drop(served);
    drop(std::os::unix::net::UnixListener::bind(folder.file("old.sock")).expect("a socket"));
    let (code, out) = told(ask(&format!("unix://{}", folder.file("old.sock"))));
    assert!(
        code == Some(0) && out.contains("old.sock can be made"),
        "{out}"
    );
    let (code, out) = told(ask(&format!("unix://{}", folder.write("file", ""))));
    assert!(
        code == Some(1) && out.contains("another file or a folder has the path"),
        "{out}"
    );
}

#[test]
fn certificates_and_rules_are_looked_at() {
    let (engine, folder, certs) = (engine(MODERN, ""), TempDir::new(), Certs::make());
    let doctor = doctor(&engine.address(), &folder)
        .arg("--frontend-addr", "tcp://127.0.0.1:0")
        .arg("--frontend-tls-cert", &certs.file("server.pem"))
        .arg("--frontend-tls-key", &certs.file("server.key"))
        .arg("--guard", "privileged")
        .arg("--rules", "POST %API_PREFIX_CONTAINERS%/create");
    let (_, out) = told(doctor);
    for want in [
        "certificate: ",
        "is valid until",
        "warning rules: profile default: bodies are not judged (guard: privileged)",
    ] {
        assert!(out.contains(want), "{want} in {out}");
    }
}

#[test]
fn mistakes_are_problems_too() {
    let (code, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("doctor")
        .arg("--rules", "GET /(")
        .arg("--format", "json")
        .run();
    assert!(
        code == Some(1) && out.contains("\"state\": \"bad\"") && out.contains("unclosed group"),
        "{out}"
    );
}
