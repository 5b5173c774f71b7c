//! Commands that need a few settings alone work while other settings are wrong, and say so.

use cetusguard_testkit::{Engine, ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Settings of which the last are wrong: an unknown key, and a rule that cannot be read.
fn flawed(folder: &TempDir, settings: &str) -> String {
    let text = format!(
        "{settings}\nprofiles:\n  ci:\n    clients: [{{frontend: \"tcp://127.0.0.1:0\"}}]\n    own: \
        true\n    rules: GET /(\nlog-levle: 7\n"
    );
    folder.write("flawed.yaml", &text)
}

/// An engine without objects.
fn empty_engine() -> Engine {
    Engine::start(|exchange, link| match exchange.line.contains("/volumes") {
        true => link.answer(200, "{\"Volumes\":[]}"),
        false => link.answer(200, "[]"),
    })
}

fn own(action: &str, config: &str) -> ProxyBuilder {
    let program = ProxyBuilder::bare(PROGRAM).word("own").word(action);
    program.word("ci").arg("--config", config)
}

#[test]
fn own_needs_the_engine_and_the_profile_alone() {
    let (engine, folder) = (empty_engine(), TempDir::new());
    let config = flawed(&folder, &format!("backend-addr: {}", engine.address()));
    let (code, out, errors) = own("list", &config).run();
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.contains("0 objects"), "{out}");
    for part in ["the configuration has a mistake", "log-levle"] {
        assert!(errors.contains(part), "{part:?}: {errors}");
    }
    // A misspelt key could be that of the engine.
    let (code, _, errors) = own("remove", &config).run();
    assert!(code == Some(2) && errors.contains("log-levle"), "{errors}");
    // The settings that are needed have to be right.
    let config = flawed(&folder, "backend-addr: ssh://engine");
    let (code, _, errors) = own("list", &config).run();
    assert!(code == Some(2) && errors.contains("SSH"), "{errors}");
}

#[test]
fn own_says_what_it_waits_for() {
    let engine = Engine::start(|_, link| {
        link.wait_for_close();
    });
    let folder = TempDir::new();
    let config = flawed(&folder, &format!("backend-addr: {}", engine.address()));
    let waiting = own("list", &config).spawn();
    let _ = waiting.logged(&["waiting for the engine at", &engine.address()]);
}

#[test]
fn top_needs_the_admin_listener_alone() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let address = format!("unix://{}", folder.file("admin.sock"));
    let _proxy = ProxyBuilder::new(PROGRAM, &engine, "GET /x")
        .arg("--admin-addr", &address)
        .start();
    let config = flawed(&folder, &format!("admin-addr: {address}"));
    let top = || ProxyBuilder::bare(PROGRAM).word("top").word("--once");
    let (code, out, errors) = top().arg("--config", &config).run();
    assert_eq!(code, Some(0), "{errors}");
    assert!(out.contains("engine    ready"), "{out}");
    for part in ["the configuration has a mistake", "log-levle"] {
        assert!(errors.contains(part), "{part:?}: {errors}");
    }
    let (code, _, errors) = top().word("foo").arg("--config", &config).run();
    assert_eq!(code, Some(1), "{errors}");
    for part in [
        "expected the address of an admin listener",
        &format!("that of the configuration is {address}"),
    ] {
        assert!(errors.contains(part), "{part:?}: {errors}");
    }
    assert!(!errors.contains("2375"), "{errors}");
}
