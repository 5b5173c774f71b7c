//! Every documented call of every client passes a proxy that has its preset alone, and the engine
//! gets it; the optional ones do so once their lines are uncommented. The real clients that can be
//! had are tried in `tests/engine/test_presets.py`.

use std::path::Path;

use cetusguard_policy::Preset;
use cetusguard_testkit::{Engine, Exchange, Link, Proxy, ProxyBuilder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const CALLS: &str = include_str!("../../policy/tests/presets/calls.tsv");

/// The query and the body that go with a call, where it takes some.
fn content(method: &str, path: &str) -> (&'static str, &'static str) {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "create") if path.starts_with("/images") => ("?fromImage=busybox&tag=latest", ""),
        ("POST", "create") if path.starts_with("/containers") => {
            ("?name=web", "{\"Image\":\"busybox\",\"HostConfig\":{}}")
        }
        ("POST", "create" | "update") if path.starts_with("/services") => (
            "?version=1",
            "{\"Name\":\"made\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"busybox\"}}}",
        ),
        ("POST", "update") if path.starts_with("/nodes") => (
            "?version=1",
            "{\"Role\":\"worker\",\"Availability\":\"active\"}",
        ),
        ("POST", "create") => ("", "{\"Name\":\"made\"}"),
        ("POST", "exec") => ("", "{\"Cmd\":[\"true\"],\"AttachStdout\":true}"),
        ("POST", "start") if path.starts_with("/exec") => ("", "{\"Detach\":true}"),
        ("POST", "connect" | "disconnect") => ("", "{\"Container\":\"web\"}"),
        ("POST", "update") => ("", "{\"RestartPolicy\":{\"Name\":\"always\"}}"),
        ("POST", "tag") => ("?repo=busybox&tag=new", ""),
        ("POST", "commit") => ("?container=web", "{}"),
        ("POST", "auth") => ("", "{\"username\":\"x\",\"password\":\"y\"}"),
        ("POST", "build") => ("?t=made", "tar"),
        ("POST", "load") => ("", "tar"),
        _ => ("", ""),
    }
}

const ID: &str = "4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e6c2b9d7a4f1e";

/// An engine that has the containers `agent-1` and `db`, and answers anything else with 200.
fn answer(exchange: &Exchange, link: &mut Link) {
    let settings = "\"Config\":{\"Image\":\"busybox\"},\"HostConfig\":{},\"NetworkSettings\":{\"Networks\":{}}";
    let container = |name: &str| format!("{{\"Id\":\"{ID}\",\"Name\":\"/{name}\",{settings}}}");
    let is_own = exchange.header("user-agent") == Some("cetusguard");
    match exchange.line.as_str() {
        line if line.starts_with("HEAD") => {
            link.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        "GET /containers/db/json" if is_own => link.answer(200, &container("db")),
        line if is_own && line.starts_with("GET /containers/") => {
            link.answer(200, &container("agent-1"))
        }
        _ if is_own && link.tell(exchange) => {}
        _ => link.answer(200, "{}"),
    }
}

/// A proxy with one preset, and with the targets that it needs. Its clients may use objects that
/// others have made: the simulated engine knows no owners.
fn with_preset(engine: &Engine, preset: &Preset) -> ProxyBuilder {
    let proxy = ProxyBuilder::bare(PROGRAM)
        .arg("--backend-addr", &engine.address())
        .frontend("tcp://127.0.0.1:0");
    let proxy = proxy
        .env("CETUSGUARD_PRESETS", preset.name)
        .env("CETUSGUARD_OWN", "false");
    if preset.needs_targets() {
        proxy.env("CETUSGUARD_TARGETS", "name=agent-*")
    } else {
        proxy
    }
}

/// Asks for each call of a preset's table, and compares the status with what its need calls for.
fn ask_for_all(proxy: &Proxy, preset: &Preset, wanted: impl Fn(&str) -> u16) {
    let mut asked = 0;
    for line in CALLS
        .lines()
        .skip(1)
        .filter(|line| line.split('\t').next() == Some(preset.name))
    {
        let mut cells = line.split('\t').skip(1);
        let [need, method, path] = [(); 3].map(|()| cells.next().expect(line));
        let (query, body) = content(method, path);
        let name = if path.contains("/images") {
            "ghcr.io/a/b:1"
        } else {
            "some-name"
        };
        let version = if path.starts_with("/libpod/") {
            "/v5.0.0"
        } else {
            "/v1.43"
        };
        let target = format!("{method} {version}{path}{query}");
        let target = target
            .replace("{id}", "0123456789ab")
            .replace("{name}", name);
        let mut client = proxy.client();
        let response = if body.is_empty() {
            client.request(&target)
        } else {
            client.request_with(&target, body)
        };
        // Only the engine answers 200.
        assert_eq!(
            response.status,
            wanted(need),
            "{}: {need} {target}: {}",
            preset.name,
            response.body
        );
        asked += 1;
    }
    assert!(asked > 2, "{}", preset.name);
}

#[test]
fn documented_calls_reach_the_engine() {
    let engine = Engine::scripted(answer);
    for preset in Preset::ALL {
        let proxy = with_preset(&engine, preset).start();
        ask_for_all(
            &proxy,
            preset,
            |need| if need == "optional" { 403 } else { 200 },
        );
    }
}

#[test]
fn optional_lines_can_be_uncommented_where_they_stand() {
    let engine = Engine::scripted(answer);
    for preset in Preset::ALL {
        let is_rule =
            |line: &&str| line.starts_with(|c: char| c.is_ascii_uppercase()) && line.contains(" %");
        let lines = preset
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(is_rule);
        let options = lines.collect::<Vec<_>>().join("\n");
        let proxy = with_preset(&engine, preset)
            .env("CETUSGUARD_RULES", &options)
            // An archive of an image cannot be redacted: a comment before such a line says so.
            .arg("--redact", "none")
            .start();
        ask_for_all(&proxy, preset, |_| 200);
    }
}

#[test]
fn an_agent_has_the_targets_of_its_profile_or_does_not_start() {
    let engine = Engine::scripted(answer);
    let preset = Preset::find("ai-agent").expect("a preset");
    let bare = || {
        ProxyBuilder::bare(PROGRAM)
            .arg("--backend-addr", &engine.address())
            .frontend("tcp://127.0.0.1:0")
    };
    let (code, _, errors) = bare().env("CETUSGUARD_PRESETS", "dozzle,ai-agent").run();
    assert_eq!(code, Some(2), "{errors}");
    assert!(
        errors.contains("add targets to the profile default, such as name=agent-*"),
        "{errors}"
    );
    let proxy = with_preset(&engine, preset).start();
    let exec = |name: &str| {
        let target = format!("POST /v1.43/containers/{name}/exec");
        proxy
            .client()
            .request_with(&target, "{\"Cmd\":[\"ls\"]}")
            .status
    };
    assert_eq!((exec("agent-1"), exec("db")), (200, 403));
    for verb in [
        "POST /containers/db/start",
        "POST /containers/db/stop",
        "GET /containers/db/logs",
        "DELETE /containers/db",
    ] {
        assert_eq!(proxy.client().request(verb).status, 403, "{verb}");
    }
    for host_config in [
        "\"Privileged\":true",
        "\"Binds\":[\"/:/host\"]",
        "\"NetworkMode\":\"container:db\"",
        "\"PidMode\":\"container:db\"",
        "\"VolumesFrom\":[\"db\"]",
        "\"Binds\":[\"/var/run/docker.sock:/var/run/docker.sock\"]",
    ] {
        let body = format!("{{\"Image\":\"busybox\",\"HostConfig\":{{{host_config}}}}}");
        let answer = proxy
            .client()
            .request_with("POST /v1.43/containers/create?name=agent-2", &body);
        assert_eq!(answer.status, 403, "{host_config}: {}", answer.body);
    }
}

/// `docs/presets.md` has how each client is pointed at the proxy: `UPDATE_DOCS=1` writes the table.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the documentation that it is about"
)]
fn the_page_says_how_each_client_is_connected() {
    const HEAD: &str = "| preset | how its client is pointed at the proxy |\n|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/presets.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let row = |preset: &Preset| {
        format!(
            "| `{}` | {} |\n",
            preset.name,
            preset.field("Connect").replace('|', "\\|")
        )
    };
    let rows: String = Preset::ALL.iter().map(row).collect();
    let start = page.find(HEAD).expect("the table") + HEAD.len();
    // The head ends with a line end: a table without rows ends where it starts.
    let end = page[start - 1..]
        .find("\n\n")
        .map_or(page.len(), |at| start + at);
    if std::env::var_os("UPDATE_DOCS").is_some() && page[start..end] != rows {
        std::fs::write(&path, format!("{}{rows}{}", &page[..start], &page[end..]))
            .expect("the page");
    } else {
        assert_eq!(
            page[start..end],
            rows,
            "docs/presets.md: run the tests with UPDATE_DOCS=1"
        );
    }
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))
            .expect("the README");
    assert!(
        readme.contains(&format!("There are {}, each", Preset::ALL.len())),
        "README.md counts the presets"
    );
}
