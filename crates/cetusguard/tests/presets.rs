//! Every documented call of every client passes a proxy that has its preset alone, and the engine gets it; the optional ones do
//! not. The real clients that can be had are tried in `tests/engine/test_presets.py`.

use cetusguard_policy::Preset;
use cetusguard_testkit::{Engine, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const CALLS: &str = include_str!("../../policy/tests/presets/calls.tsv");

/// The query and the body that go with a call, where it takes some.
fn content(method: &str, path: &str) -> (&'static str, &'static str) {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "create") if path.starts_with("/images") => ("?fromImage=busybox&tag=latest", ""),
        ("POST", "create") if path.starts_with("/containers") => {
            ("?name=web", "{\"Image\":\"busybox\",\"HostConfig\":{}}")
        }
        ("POST", "create") => ("", "{\"Name\":\"made\"}"),
        ("POST", "exec") => ("", "{\"Cmd\":[\"true\"],\"AttachStdout\":true}"),
        ("POST", "start") if path.starts_with("/exec") => ("", "{\"Detach\":true}"),
        ("POST", "connect" | "disconnect") => ("", "{\"Container\":\"web\"}"),
        ("POST", "update") => ("", "{\"RestartPolicy\":{\"Name\":\"always\"}}"),
        ("POST", "tag") => ("?repo=busybox&tag=new", ""),
        ("POST", "commit") => ("?container=web", "{}"),
        _ => ("", ""),
    }
}

#[test]
fn documented_calls_reach_the_engine() {
    let engine = Engine::start(|exchange, link| match exchange.line.starts_with("HEAD") {
        true => {
            link.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        false => link.answer(200, "{}"),
    });
    for preset in Preset::ALL {
        let proxy =
            ProxyBuilder::bare(PROGRAM).arg("--backend-addr", &engine.address()).env("CETUSGUARD_PRESETS", preset.name);
        let proxy = proxy.frontend("tcp://127.0.0.1:0").start();
        let mut asked = 0;
        for line in CALLS.lines().skip(1).filter(|line| line.split('\t').next() == Some(preset.name)) {
            let mut cells = line.split('\t').skip(1);
            let [need, method, path] = [(); 3].map(|()| cells.next().expect(line));
            let (query, body) = content(method, path);
            let name = if path.starts_with("/images") { "ghcr.io/a/b:1" } else { "some-name" };
            let target =
                format!("{method} /v1.43{}{query}", path.replace("{id}", "0123456789ab").replace("{name}", name));
            let mut client = proxy.client();
            let response = if body.is_empty() { client.request(&target) } else { client.request_with(&target, body) };
            // Nobody but the engine answers 200.
            let wanted = if need == "optional" { 403 } else { 200 };
            assert_eq!(response.status, wanted, "{}: {need} {target}", preset.name);
            asked += 1;
        }
        assert!(asked > 2, "{}", preset.name);
    }
}
