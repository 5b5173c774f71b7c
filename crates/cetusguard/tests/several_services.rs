//! The page about several services that mount the socket: its first file gives each of them the
//! socket, its second takes it away and gives each what it calls.

use cetusguard_policy::Preset;
use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");
const CLIENTS: [&str; 5] = ["portainer", "homepage", "dozzle", "traefik", "watchtower"];
const SOCKET: &str = "- /var/run/docker.sock:/var/run/docker.sock";

/// The files of the section, before and after.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the page that it is about"
)]
fn files() -> [String; 2] {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/getting-started.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("Several services that mount the socket"))
        .expect("the section");
    let mut blocks = section
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| Some(rest.split("```").next()?.to_owned()));
    [(); 2].map(|()| blocks.next().expect("a file"))
}

/// The lines of a service.
fn service<'f>(file: &'f str, name: &str) -> Vec<&'f str> {
    file.lines()
        .skip_while(|line| *line != format!("  {name}:"))
        .skip(1)
        .take_while(|line| line.starts_with("    ") || line.is_empty())
        .map(str::trim)
        .collect()
}

/// The program with the environment that the second file gives the proxy.
fn with_environment(program: ProxyBuilder) -> ProxyBuilder {
    let [_, after] = files();
    let settings = service(&after, "cetusguard")
        .into_iter()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.starts_with("CETUSGUARD_"));
    settings.fold(program, |program, (name, value)| program.env(name, value))
}

#[test]
fn the_socket_is_the_proxys_alone() {
    let [before, after] = files();
    for client in CLIENTS {
        let has_socket = |file: &str| {
            let lines = service(file, client);
            assert!(lines.len() > 2, "{client} in {file}");
            lines.iter().any(|line| line.starts_with(SOCKET))
        };
        assert!(has_socket(&before) && !has_socket(&after), "{client}");
        let lines = service(&after, client);
        assert!(
            lines.contains(&"networks: [default, vnet-socket]"),
            "{client}"
        );
        assert!(lines.iter().any(|line| line.contains("cetusguard:2375")) || client == "homepage");
    }
    assert_eq!(after.matches(SOCKET).count(), 1);
}

#[test]
fn each_service_has_what_it_calls_and_nothing_is_wrong() {
    let check = with_environment(ProxyBuilder::bare(PROGRAM).word("check").word("--strict"));
    let (code, out, errors) = check.run();
    let warnings: Vec<_> = out
        .lines()
        .filter(|line| line.contains("warning["))
        .collect();
    // Portainer and Watchtower have no exceptions for each other, on purpose.
    assert_eq!(code, Some(1), "{out}{errors}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (profile, other) in [("portainer", "watchtower"), ("watchtower", "portainer")] {
        assert!(
            warnings
                .iter()
                .any(|line| line
                    .starts_with(&format!("warning[other-clients]: profile {profile}: "))),
            "{profile} and {other}: {warnings:?}"
        );
    }
    for client in CLIENTS {
        assert!(Preset::find(client).is_some());
        for (call, want) in [
            ("GET /v1.44/containers/json", true),
            ("GET /v1.44/containers/web/json", true),
            (
                "GET /v1.44/containers/web/logs",
                ["portainer", "dozzle"].contains(&client),
            ),
            (
                "POST /v1.44/containers/create",
                ["portainer", "watchtower"].contains(&client),
            ),
            (
                "DELETE /v1.44/containers/web",
                ["portainer", "watchtower"].contains(&client),
            ),
            ("POST /v1.44/containers/web/exec", client == "portainer"),
            ("GET /v1.44/secrets", false),
        ] {
            let (method, path) = call.split_once(' ').expect(call);
            let explain = ProxyBuilder::bare(PROGRAM)
                .word("explain")
                .word(method)
                .word(path)
                .arg("--client", &format!("compose-service={client}"));
            let (code, out, errors) = with_environment(explain).run();
            assert_eq!(
                code,
                Some(i32::from(!want)),
                "{client}: {call}: {out}{errors}"
            );
        }
    }
}

/// An updater may give a container the rights of a profile that it has an exception for.
#[test]
fn updaters_replace_the_clients_that_they_may_replace() {
    let folder = TempDir::new();
    for (client, replaced, want) in [
        ("watchtower", "dozzle", true),
        ("watchtower", "traefik", true),
        ("watchtower", "portainer", false),
        ("portainer", "homepage", true),
        ("portainer", "watchtower", false),
    ] {
        let body = folder.write(
            "create.json",
            &format!(
                "{{\"Image\":\"x\",\"Labels\":{{\"com.docker.compose.service\":\"{replaced}\"}}}}"
            ),
        );
        let explain = ProxyBuilder::bare(PROGRAM)
            .word("explain")
            .word("POST")
            .word("/v1.44/containers/create")
            .arg("--client", &format!("compose-service={client}"))
            .arg("--body", &body);
        let (code, out, _) = with_environment(explain).run();
        assert_eq!(code, Some(i32::from(!want)), "{client}, {replaced}: {out}");
    }
}
