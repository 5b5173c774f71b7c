//! Settings of other proxies, as their documentation shows them, become configurations that start
//! and mean the same.

use std::process::Command;

use cetusguard_testkit::{ProxyBuilder, TempDir};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// The result of migrate for one instance.
struct Migrated {
    code: i32,
    config: String,
    compose: String,
    /// Every note, a line each.
    notes: String,
    files: Vec<(String, String)>,
}

/// Migrates the settings in a file, with these arguments more.
fn migrate_file(proxy: &str, file: &str, more: &[(&str, &str)]) -> Migrated {
    let migrate = ProxyBuilder::bare(PROGRAM)
        .word("migrate")
        .word(proxy)
        .word(file)
        .arg("--format", "json");
    let (code, out, errors) = more
        .iter()
        .fold(migrate, |migrate, (name, value)| migrate.arg(name, value))
        .run();
    assert!(matches!(code, Some(0 | 1)) && errors.is_empty(), "{errors}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let files = answer["files"].as_array().expect("files").iter();
    let files: Vec<_> = files
        .map(|file| (text(&file["path"]), text(&file["text"])))
        .collect();
    let of = |name: &str| {
        files
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .expect(name)
            .1
            .clone()
    };
    let notes = answer["notes"]
        .as_array()
        .expect("notes")
        .iter()
        .map(|note| text(&note["what"]) + "\n")
        .collect();
    let (config, compose) = (of("cetusguard.yaml"), of("compose.yaml"));
    Migrated {
        code: code.expect("a code"),
        config,
        compose,
        notes,
        files,
    }
}

/// Migrates settings from standard input, which has no folder, and returns the exit code and the
/// output.
fn migrate_piped(proxy: &str, settings: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new();
    let file = std::fs::File::open(folder.write("settings", settings)).expect("a file");
    let output = Command::new(PROGRAM)
        .args(["migrate", proxy, "-"])
        .args(more)
        .stdin(file)
        .output()
        .expect("an output");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

fn migrate(proxy: &str, settings: &str) -> Migrated {
    let folder = TempDir::new();
    migrate_file(proxy, &folder.write("settings", settings), &[])
}

/// Explains the decision of a configuration about a call.
fn explain(config: &str, call: &str, more: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = TempDir::new();
    let file = folder.write("cetusguard.yaml", config);
    let (method, path) = call.split_once(' ').expect("METHOD PATH");
    let explain = ProxyBuilder::bare(PROGRAM)
        .word("explain")
        .word(method)
        .word(path)
        .arg("--config", &file);
    let (code, out, errors) = more
        .iter()
        .fold(explain, |explain, (name, value)| explain.arg(name, value))
        .run();
    assert!(matches!(code, Some(0 | 1)), "{config}\n{out}{errors}");
    (code, out, errors)
}

/// Whether a call is allowed by a configuration, for a client.
fn allows(config: &str, call: &str, client: Option<&str>) -> bool {
    let more: Vec<_> = client
        .iter()
        .flat_map(|client| client.split(' '))
        .map(|one| ("--client", one))
        .collect();
    explain(config, call, &more).0 == Some(0)
}

/// Settings, then calls: `+` is allowed, `-` is not.
fn hold(proxy: &str, settings: &str, calls: &[&str], notes: &[&str]) {
    let Migrated {
        config,
        compose,
        notes: told,
        ..
    } = migrate(proxy, settings);
    for call in calls {
        let (want, call) = call.split_at(1);
        assert_eq!(
            allows(&config, call, None),
            want == "+",
            "{proxy}: {call}\n{settings}\n{config}"
        );
    }
    for note in notes {
        assert!(told.contains(note), "{note} in {told}");
    }
    assert!(compose.contains(
        "CETUSGUARD_CONFIG: /config/cetusguard.yaml\n      CETUSGUARD_FRONTEND_ADDR: \"\"\n"
    ));
}

/// A service with an image of Tecnativa's proxy and these variables, one a line.
fn tecnativa(tag: &str, variables: &str) -> String {
    let image = "services:\n  p:\n    image: tecnativa/docker-socket-proxy";
    let variables: String = variables
        .lines()
        .map(|line| format!("      - {line}\n"))
        .collect();
    format!("{image}{tag}\n    environment:\n{variables}")
}

#[test]
fn switches_of_tecnativas_releases() {
    let listed = "+GET /containers/json";
    let hold = |proxy: &str, variables: &str, calls: &[&str], notes: &[&str]| {
        hold(proxy, &tecnativa(":v0.4.2", variables), calls, notes);
    };
    hold(
        "tecnativa",
        "POST=0",
        &[
            "+GET /_ping",
            "+HEAD /_ping",
            "+GET /version",
            "+GET /events",
            "-GET /info",
            "-GET /containers/json",
        ],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1",
        &[
            listed,
            "+GET /v1.43/containers/web/logs",
            "-POST /containers/web/restart",
            "-GET /containers/web/archive",
        ],
        &[
            "clients could read files out of containers and volumes there, which no wildcard opens \
            here",
        ],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1\nPOST=1\nIMAGES=1",
        &[
            "+POST /containers/create",
            "+DELETE /containers/web",
            "+POST /images/create",
            "-POST /images/x/push",
            "-POST /volumes/create",
        ],
        &["the guard judges what these calls ask for"],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1\nEXEC=1\nPOST=1",
        &["+POST /containers/web/exec", "+POST /exec/x/start"],
        &[],
    );
    hold(
        "tecnativa",
        "EXEC=1\nPOST=1",
        &["-POST /containers/web/exec", "+POST /exec/x/start"],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=true\nALLOW_START=1\nBUILD=1",
        &[
            "-GET /containers/json",
            "-POST /containers/web/start",
            "-POST /build",
        ],
        &[
            "CONTAINERS=true was off there",
            "ALLOW_START=1 did nothing there without POST=1",
            "BUILD=1 opens nothing without POST=1",
        ],
    );
    hold(
        "tecnativa",
        "POST=1\nALLOW_RESTARTS=1",
        &[
            "+POST /containers/web/kill",
            "-POST /containers/web/start",
            "-GET /containers/json",
        ],
        &[],
    );
}

/// The main branch closes parts of a section that releases open. The image's tag tells which one
/// it is; without one, what either refuses is closed.
#[test]
fn versions_of_tecnativa() {
    let listed = "+GET /containers/json";
    let switches = "CONTAINERS=1\nPOST=1";
    for (tag, closed, note) in [
        (":v0.4.2", false, "Tecnativa's proxy, 0.4 and older"),
        (":0.3.0", false, "Tecnativa's proxy, 0.4 and older"),
        (":edge", true, "its main branch of September 2026"),
        (":latest", true, "is not certain"),
        ("", true, "is not certain"),
        (":3.2latest", true, "is not certain"),
        ("@sha256:00", true, "is not certain"),
        (
            ":0.4.2@sha256:00",
            false,
            "Tecnativa's proxy, 0.4 and older",
        ),
    ] {
        let calls: &[&str] = if closed {
            &[
                listed,
                "+POST /containers/web/stop",
                "-GET /containers/web/logs",
                "-POST /containers/web/exec",
                "-POST /containers/web/kill",
                "-POST /containers/web/attach",
                "-DELETE /containers/web",
            ]
        } else {
            &[
                listed,
                "+GET /containers/web/logs",
                "+POST /containers/web/exec",
                "+DELETE /containers/web",
            ]
        };
        hold("tecnativa", &tecnativa(tag, switches), calls, &[note]);
    }
    hold(
        "tecnativa",
        switches,
        &["-GET /containers/web/logs"],
        &["is not certain"],
    );
    // A release knows none of these switches, but the user wants them closed.
    hold(
        "tecnativa",
        &tecnativa(":v0.4.2", "CONTAINERS=1\nALLOW_LOGS=0"),
        &[listed, "-GET /containers/web/logs"],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1\nALLOW_LOGS=1",
        &[
            listed,
            "+GET /containers/web/logs",
            "-GET /containers/web/export",
        ],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1\nALLOW_EXPORT=1",
        &["+GET /containers/web/export", "-GET /containers/web/logs"],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1\nPOST=1\nALLOW_EXEC=0",
        &[
            "-POST /containers/web/exec",
            "-DELETE /containers/web",
            "+POST /containers/web/stop",
        ],
        &[],
    );
    hold(
        "tecnativa",
        "NETWORKS=1\nPOST=1\nDELETE=1",
        &["+DELETE /networks/front", "+POST /networks/create"],
        &[],
    );
}

#[test]
fn a_compose_file_of_tecnativa() {
    let Migrated {
        config, compose, ..
    } = migrate(
        "tecnativa",
        "services:\n  web:\n    image: nginx\n  dockerproxy:\n    image: \
        ghcr.io/tecnativa/docker-socket-proxy:v0.4.2\n    environment:\n      - CONTAINERS=1 # \
        list\n      - DISABLE_IPV6=true\n      - LOG_LEVEL=${LEVEL:-debug}\n      - \
        SOCKET_PATH=/run/podman/podman.sock\n    networks:\n      socket: {}\n    ports: \
        [\"127.0.0.1:2375:2375\"]\n",
    );
    for want in [
        "frontend-addr: \"tcp://0.0.0.0:2375\"",
        "log-level: debug",
        "unix:///run/podman/podman.sock",
    ] {
        assert!(config.contains(want), "{want} in {config}");
    }
    for want in [
        "  dockerproxy:\n",
        "- \"/run/podman/podman.sock:/run/podman/podman.sock:ro\"",
        "    networks:\n      socket: {}\n    ports:\n      - \"127.0.0.1:2375:2375\"\n",
    ] {
        assert!(compose.contains(want), "{want} in {compose}");
    }
}

#[test]
fn switches_of_linuxserver() {
    hold(
        "linuxserver",
        "ALLOW_START=1 #optional\nALLOW_STOP=1\nALLOW_RESTARTS=1\nCONTAINERS=1\nPOST=0\n\
        TZ=Etc/UTC\nALLOW_RESUME=0\nVERSION=0",
        &[
            "+POST /containers/web/start",
            "+POST /containers/web/kill",
            "-POST /containers/create",
            "-GET /version",
        ],
        &[
            "TZ: the log is in UTC",
            "ALLOW_RESUME is no variable of that proxy",
        ],
    );
    hold(
        "linuxserver",
        "LIBPOD_CONTAINERS=1\nLIBPOD_ALLOW_POD_STOP=1",
        &[
            "+GET /v5.0.0/libpod/containers/json",
            "+POST /v5.0.0/libpod/pods/x/stop",
            "-POST /v5.0.0/libpod/pods/x/start",
            "+GET /v5.0.0/libpod/_ping",
        ],
        &[],
    );
}

#[test]
fn expressions_of_wollomatic() {
    let compose = "name: shop\nservices:\n  proxy:\n    image: wollomatic/socket-proxy:1\n    \
        command:\n      - '-loglevel=warn' # less\n      - '-listenip=0.0.0.0'\n      - \
        '-allowfrom=traefik'\n      - '-proxycontainername=proxy'\n      - \
        '-allowGET=/v1\\..{1,2}/(version|containers/.*|events.*)'\n      - \
        '-allowHEAD=/_ping'\n      - '-allowbindmountfrom=/var/log,/tmp'\n      - \
        '-stoponwatchdog'\n      - '-shutdowngracetime=5'\n  other:\n    image: x\n    \
        labels:\n      socket-proxy.allow.get: /info\n      socket-proxy.allow.head.1: /_ping\n";
    let Migrated { config, notes, .. } = migrate("wollomatic", compose);
    for (client, call, want) in [
        (
            "compose-service=traefik",
            "GET /v1.43/containers/json",
            true,
        ),
        ("compose-service=traefik", "GET /v1.43/events", true),
        ("compose-service=traefik", "HEAD /_ping", true),
        ("compose-service=traefik", "GET /containers/json", false),
        ("compose-service=traefik", "GET /info", false),
        (
            "compose-service=other compose-project=shop",
            "GET /info",
            true,
        ),
        (
            "compose-service=other compose-project=shop",
            "HEAD /_ping",
            true,
        ),
        // A service of that name in another project is another client.
        (
            "compose-service=other compose-project=stranger",
            "GET /info",
            false,
        ),
        ("compose-service=other", "GET /info", false),
        ("compose-service=other", "GET /v1.43/events", false),
        ("compose-service=web", "HEAD /_ping", false),
        ("compose-service=web", "GET /info", false),
    ] {
        assert_eq!(
            allows(&config, call, Some(client)),
            want,
            "{client} {call}\n{config}"
        );
    }
    for want in [
        "log-level: warn",
        "drain-timeout: \"5s\"",
        "\"bind=/var/log/**\"",
        "- addr: \"tcp://0.0.0.0:2375\"",
    ] {
        assert!(config.contains(want), "{want} in {config}");
    }
    assert!(
        notes.contains("the watchdog")
            && notes.contains("clients are found by compose-service=traefik or container=traefik"),
        "{notes}"
    );
    // Variables, a socket instead of addresses, and an alternation that was anchored by half.
    hold(
        "wollomatic",
        "SP_ALLOW_GET=/version\nSP_ALLOW_GET_2=/v1\\..{2}/(containers/.*|events)|/_ping\n\
        SP_PROXYSOCKETENDPOINT=/socket/proxy.sock\nSP_ALLOW_FROM=x",
        &[
            "+GET /version",
            "+GET /_ping",
            "+GET /v1.43/events",
            "-GET /v1.43/events/x",
            "-HEAD /_ping",
        ],
        &[
            "each alternative has to match the whole path",
            "SP_ALLOW_FROM: FROM never reaches an engine here",
        ],
    );
    hold(
        "wollomatic",
        "SP_ALLOWFROM=10.0.0.0/8\nSP_LISTENIP=0.0.0.0\nSP_ALLOW_GET=.*",
        &["-GET /version"],
        &[],
    );
}

#[test]
fn versions_of_wollomatic() {
    let service = |tag: &str, more: &str| {
        format!(
            "name: shop\nservices:\n  p:\n    image: wollomatic/socket-proxy{tag}\n    command: \
            [-listenip=0.0.0.0, -allowfrom=0.0.0.0/0, -proxycontainername=p{more}]\n    \
            environment: {{SP_ALLOW_HEAD: /_ping, SP_ALLOW_HEAD_2: /version}}\n  web:\n    image: \
            x\n    labels: {{socket-proxy.allow.get: /info, socket-proxy.allow.get.1: /events}}\n"
        )
    };
    let twice = ", -allowGET=/version, -allowGET=/info";
    for (tag, joins) in [
        (":1.11.4", false),
        (":v1.9", false),
        (":1.12.0", true),
        (":1", true),
        ("", true),
    ] {
        let sign = if joins { "+" } else { "-" };
        let calls = [
            "+GET /info",
            "+HEAD /_ping",
            &format!("{sign}GET /version"),
            &format!("{sign}HEAD /version"),
        ];
        let note = if joins {
            "are joined, as version 1.12"
        } else {
            "had no effect and are left out: -allowGET=/version, SP_ALLOW_HEAD_2=/version"
        };
        hold("wollomatic", &service(tag, twice), &calls, &[note]);
        let config = migrate("wollomatic", &service(tag, twice)).config;
        let web = Some("compose-service=web compose-project=shop");
        assert!(allows(&config, "GET /info", web), "{config}");
        assert_eq!(allows(&config, "GET /events", web), joins, "{config}");
    }
    let once = migrate(
        "wollomatic",
        "command: [-allowGET=/version, -allowHEAD=/_ping]\n",
    );
    assert!(!once.notes.contains("1.12"), "{}", once.notes);
}

#[test]
fn rules_of_the_go_program() {
    hold(
        "cetusguard",
        "services:\n  cetusguard:\n    image: docker.io/hectorm/cetusguard:v1\n    \
        environment:\n      CETUSGUARD_FRONTEND_ADDR: tcp://:2375\n      CETUSGUARD_LOG_LEVEL: \
        \"7\"\n      CETUSGUARD_NOTHING: 1\n      CETUSGUARD_RULES: |\n        ! Monitor \
        events\n        GET %API_PREFIX_EVENTS%\n        GET \
        %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\n        GET %NO_SUCH%/x\n        GET \
        /a|/info\n",
        &[
            "+GET /_ping",
            "+GET /info",
            "+GET /v1.43/events",
            "+GET /containers/web/json",
            "-GET /containers/json",
        ],
        &[
            "unknown variable %NO_SUCH%",
            "each alternative has to match the whole path",
            "CETUSGUARD_NOTHING is no option",
        ],
    );
    hold(
        "cetusguard",
        "command: [-backend-addr, unix:///x.sock, -no-builtin-rules, \"-rules=GET \
        %API_PREFIX_INFO%\"]",
        &["-GET /_ping", "+GET /info"],
        &[],
    );
}

#[test]
fn rules_of_sockguard() {
    let yaml = |rules: &str| {
        format!(
            "listen:\n  address: 127.0.0.1:2375\nrequest_body:\n  container_create:\n    \
            allowed_bind_mounts: [/srv]\n    require_memory_limit: true\nmetrics:\n  enabled: \
            true\nrules:\n{rules}  - match: {{ method: \"*\", path: \"/**\" }}\n    action: deny\n"
        )
    };
    let allow = |method: &str, path: &str, action: &str| {
        format!("  - match: {{ method: \"{method}\", path: \"{path}\" }}\n    action: {action}\n")
    };
    hold(
        "sockguard",
        &yaml(
            &(allow("GET", "/_ping", "allow")
                + &allow("GET", "/containers/*/json", "allow")
                + &allow("POST", "/containers/create", "allow")
                + &allow("*", "/images/**", "allow")),
        ),
        &[
            "+GET /v1.43/containers/web/json",
            // No container is called so: the engine answers 404, as it does to `docker inspect
            // a/b`.
            "+GET /containers/a/b/json",
            "-GET /containers/a/b/logs",
            "+DELETE /images/x",
            "-GET /info",
            "-GET /images/get",
        ],
        &[
            "request_body.container_create limits these calls, and the guard does not",
            "require_memory_limit",
            "metrics have no counterpart: metrics.enabled",
        ],
    );
    hold(
        "sockguard",
        &yaml(
            &(allow("GET", "/containers/*/export", "deny")
                + &allow("GET", "/secrets/**", "deny")
                + &allow("GET", "/**", "allow")),
        ),
        &[
            "+GET /containers/json",
            "-GET /containers/web/archive",
            "-GET /containers/web/export",
            "-GET /secrets",
            "+GET /info",
        ],
        &["redact stands for response.redact_container_env"],
    );
    hold(
        "sockguard",
        "SOCKGUARD_LISTEN_ADDRESS=:2375\nSOCKGUARD_LOG_LEVEL=warn\nCONTAINERS=1\nALLOW_START=yes",
        &[
            "+GET /containers/json",
            "+POST /containers/web/start",
            "-POST /containers/web/stop",
            "+GET /events",
            "-GET /info",
        ],
        &[],
    );
}

/// Keys of the service that are not about the proxy itself stay, in any form. Notes name others.
#[test]
fn the_rest_of_the_service_stays() {
    let Migrated {
        code,
        compose,
        notes,
        ..
    } = migrate(
        "tecnativa",
        "services:\n  one:\n    image: tecnativa/docker-socket-proxy\n    container_name: \
        socket\n    restart: always\n    env_file: missing.env\n    user: \"0:998\"\n    \
        privileged: true\n    networks:\n      back:\n        aliases: [docker]\n    ports:\n      \
        - target: 2375\n        published: \"2375\"\n    volumes:\n      - \
        /run/user/1000/docker.sock:/var/run/docker.sock:ro\n      - data:/data\n    \
        environment:\n      - CONTAINERS=${C}\nnetworks:\n  back: {external: true}\nvolumes:\n  \
        data: {name: d}\n",
    );
    for want in [
        "    container_name: socket\n    restart: always\n    networks:\n      back:\n        \
        aliases:\n          - docker\n",
        "    ports:\n      - target: 2375\n        published: \"2375\"\n",
        "- \"/run/user/1000/docker.sock:/var/run/docker.sock:ro\"\n      - \"data:/data\"\n",
        "    user: \"0:998\"\n",
        "networks:\n  back:\n    external: true\nvolumes:\n  data:\n    name: d\n",
    ] {
        assert!(compose.contains(want), "{want} in {compose}");
    }
    assert!(!compose.contains("privileged: true"), "{compose}");
    for want in [
        "env_file missing.env cannot be read",
        "CONTAINERS depends on C",
        "privileged; where SELinux keeps",
    ] {
        assert!(notes.contains(want), "{want} in {notes}");
    }
    assert_eq!(code, 1, "variables are missing");
}

/// Anchors, merge keys, folded commands, variables, environment files and `extends` are resolved as
/// Compose does, and other services do not matter.
#[test]
fn compose_files_as_people_write_them() {
    let folder = TempDir::new();
    folder.write(".env", "LEVEL=debug\nTAG=v1\n");
    folder.write("proxy.env", "IMAGES=1\nVOLUMES=1\n");
    let file = folder.write(
        "compose.yaml",
        "x-env: &env\n  CONTAINERS: 1\n  VOLUMES: 0\nx-all: &all\n  restart: always\nservices:\n  \
        other:\n    image: x\n    command: >\n      a\n      b\n  base:\n    image: \
        tecnativa/other\n    environment: [INFO=1]\n  proxy:\n    <<: *all\n    extends: base\n    \
        image: ghcr.io/tecnativa/docker-socket-proxy:${TAG}\n    env_file: [proxy.env]\n    \
        environment:\n      <<: *env\n      LOG_LEVEL: ${LEVEL}\n",
    );
    let Migrated {
        code,
        config,
        compose,
        notes,
        ..
    } = migrate_file("tecnativa", &file, &[]);
    for (call, want) in [
        ("GET /containers/json", true),
        ("GET /images/json", true),
        ("GET /info", true),
        ("GET /volumes", false),
    ] {
        assert_eq!(allows(&config, call, None), want, "{call}\n{config}");
    }
    assert!(
        config.contains("log-level: debug")
            && compose.contains("    restart: always\n")
            && code == 0,
        "{compose}{notes}"
    );
    let folded =
        "command: >\n  -listenip=0.0.0.0\n  -allowfrom=0.0.0.0/0\n  '-allowGET=/v1\\..{2}/info'\n";
    hold(
        "wollomatic",
        folded,
        &["+GET /v1.43/info", "-GET /info"],
        &[],
    );
    hold(
        "wollomatic",
        "SP_ALLOW_GET: /version\nSP_LISTENIP: 127.0.0.1\n",
        &["+GET /version", "-GET /info"],
        &[],
    );
    let run = "docker run -d --name proxy \\\n  -e CONTAINERS=1 `#optional` -v \
        /run/d.sock:/var/run/docker.sock:ro \\\n  tecnativa/docker-socket-proxy\n";
    let Migrated {
        config, compose, ..
    } = migrate("tecnativa", run);
    assert!(
        allows(&config, "GET /containers/json", None) && !allows(&config, "GET /images/json", None)
    );
    assert!(
        compose.contains("  proxy:\n")
            && compose.contains("\"/run/d.sock:/var/run/docker.sock:ro\""),
        "{compose}"
    );
}

/// Mounts for sockets, rules and certificates stay where they were, and the engine's socket is
/// found where it lies.
#[test]
fn mounts_lead_where_they_led() {
    let socket = "services:\n  p:\n    image: wollomatic/socket-proxy:1\n    user: \
        \"65534:998\"\n    command: [-proxysocketendpoint=/s/p.sock, \
        -proxysocketendpointfilemode=432, -socketpath=/run/docker.sock, -allowGET=/version]\n    \
        volumes: [\"/var/run:/var/run:ro\", \"s:/s\"]\n";
    let Migrated {
        config, compose, ..
    } = migrate("wollomatic", socket);
    for want in [
        "unix:///s/p.sock",
        "backend-addr: \"unix:///var/run/docker.sock\"",
        "socket-mode: \"0660\"",
    ] {
        assert!(config.contains(want), "{want} in {config}");
    }
    assert!(
        compose.contains("      - \"/var/run:/var/run:ro\"\n      - \"s:/s\"\n    restart"),
        "{compose}"
    );
    assert!(
        compose.contains("user: \"65534:998\"") && compose.contains("volumes:\n  s:\n"),
        "{compose}"
    );
    for (mode, want) in [
        ("0640", "0640"),
        ("0x1b0", "0660"),
        ("384", "0600"),
        ("9999", "0600"),
    ] {
        let config = migrate(
            "wollomatic",
            &format!("command: [-proxysocketendpoint=/s, -proxysocketendpointfilemode={mode}]\n"),
        )
        .config;
        assert!(
            config.contains(&format!("socket-mode: \"{want}\"")),
            "{mode}: {config}"
        );
    }
    // The variable is octal there.
    let config = migrate(
        "wollomatic",
        "SP_PROXYSOCKETENDPOINT=/s/x\nSP_PROXYSOCKETENDPOINTFILEMODE=660\n",
    )
    .config;
    assert!(config.contains("socket-mode: \"0660\""), "{config}");
    let remote = "services:\n  p:\n    image: hectorm/cetusguard\n    volumes: \
        [\"/var/run/docker.sock:/var/run/docker.sock\", \"./c:/certs\"]\n    environment:\n      \
        CETUSGUARD_BACKEND_ADDR: tcp://engine:2376\n      CETUSGUARD_FRONTEND_TLS_CERT: \
        /certs/c.pem\n      CETUSGUARD_FRONTEND_TLS_KEY: /certs/k.pem\n";
    let Migrated {
        config, compose, ..
    } = migrate("cetusguard", remote);
    assert!(
        config.contains("frontend-tls-cert: /certs/c.pem") && config.contains("tcp://engine:2376"),
        "{config}"
    );
    assert!(
        compose.contains("\"./c:/certs\"") && !compose.contains("docker.sock"),
        "{compose}"
    );
}

/// Rules in a mounted file are read from there; where they cannot be, nothing is opened in their
/// place.
#[test]
fn rules_in_files() {
    let folder = TempDir::new();
    folder.write(
        "sg.yaml",
        "response: {redact_container_env: false, redact_mount_paths: false, \
        redact_network_topology: false, redact_sensitive_data: false}\nrules:\n  - match: {method: \
        GET, path: /info}\n    action: allow\n",
    );
    folder.write(
        "rules.list",
        "! comment\nGET %API_PREFIX_EXEC%/.+/json\nGET %API_PREFIX_EVENTS%\n",
    );
    let compose = |image: &str, mount: &str, more: &str| {
        format!("services:\n  p:\n    image: {image}\n    volumes: [\"{mount}\"]\n{more}")
    };
    let text = compose(
        "codeswhat/sockguard:2",
        "./sg.yaml:/etc/sockguard/sockguard.yaml:ro",
        "",
    );
    let there = migrate_file("sockguard", &folder.write("a.yaml", &text), &[]);
    assert!(
        there.code == 0
            && allows(&there.config, "GET /info", None)
            && !allows(&there.config, "GET /version", None),
        "{}",
        there.config
    );
    assert!(
        !there.notes.contains("redact") && !there.compose.contains("sg.yaml"),
        "{}",
        there.notes
    );
    let text = compose(
        "codeswhat/sockguard:2",
        "./missing.yaml:/etc/sockguard/sockguard.yaml:ro",
        "",
    );
    let missing = migrate_file("sockguard", &folder.write("b.yaml", &text), &[]);
    assert!(
        missing.code == 1
            && missing
                .notes
                .contains("its rules stand in /etc/sockguard/sockguard.yaml, which cannot be read"),
        "{}",
        missing.notes
    );
    let more = "    environment: {CETUSGUARD_RULES_FILE: /rules.list}\n";
    let text = compose("hectorm/cetusguard", "./rules.list:/rules.list:ro", more);
    let there = migrate_file("cetusguard", &folder.write("c.yaml", &text), &[]);
    assert!(
        there.code == 0 && allows(&there.config, "GET /events", None),
        "{}",
        there.config
    );
    assert!(
        there.config.contains("GET %API_PREFIX%/exec/.+/json")
            && !there.compose.contains("rules.list"),
        "{}",
        there.config
    );
    let text = compose("hectorm/cetusguard", "rules:/rules.list:ro", more);
    let missing = migrate_file("cetusguard", &folder.write("d.yaml", &text), &[]);
    assert!(
        missing.code == 1 && !allows(&missing.config, "GET /events", None),
        "{}",
        missing.config
    );
}

/// Restrictions that cannot be carried over are told, and end the program with 1; rights of clients
/// of their own open nothing.
#[test]
fn what_restricted_more_is_told() {
    for (settings, want) in [
        (
            "rules:\n  - match: {method: GET, path: /info}\n    action: allow\nownership: {owner: \
            me}\n",
            "ownership lets clients act",
        ),
        (
            "rules: []\nresponse: {name_patterns: [a]}\n",
            "response.name_patterns hides other objects",
        ),
        (
            "rules: []\nclients: {profiles: [{name: a}]}\n",
            "clients have rights of their own there",
        ),
        (
            "rules:\n  - match: {method: POST, path: '/containers/*/exec'}\n    action: \
            allow\nrequest_body: {exec: {allowed_commands: [ls], allow_root_user: true}}\n",
            "the guard does not (allowed_commands):",
        ),
        // These hold there by themselves.
        (
            "rules:\n  - match: {method: POST, path: '/images/create'}\n    action: allow\n",
            "request_body.image_pull limits these calls, and the guard does not \
            (allowed_registries, allow_imports):",
        ),
        (
            "rules:\n  - match: {method: POST, path: /services/create}\n    action: \
            allow\nrequest_body: {container_create: {allow_host_network: true}}\n",
            "hold for other calls as well (host-namespace=network)",
        ),
        (
            "SOCKGUARD_NEW_LIMIT=1\n",
            "SOCKGUARD_NEW_LIMIT has no counterpart",
        ),
        (
            "rules: []\nnew_limits: {a: 1}\n",
            "new_limits has no counterpart",
        ),
        (
            "rules: []\nclients: {global_concurrency: {max_inflight: 4}}\n",
            "clients.global_concurrency limits all requests together",
        ),
        (
            "rules: []\nmutations: {rules: [{id: a}]}\n",
            "mutations changes what clients ask for",
        ),
        (
            "rules: []\nrequest_body: {container_create: {require_new: true}}\n",
            "these limits have no counterpart: request_body.container_create.require_new",
        ),
        (
            "rules: []\nrequest_body: {volume: {allow_custom_drivers: true}}\n",
            "these permissions are not carried over: request_body.volume.allow_custom_drivers",
        ),
    ] {
        let Migrated { code, notes, .. } = migrate("sockguard", settings);
        assert!(code == 1 && notes.contains(want), "{settings}: {notes}");
    }
    // Redaction is carried over.
    for (settings, redact) in [
        (
            "redact_container_env: false",
            "host-paths, addresses, secrets",
        ),
        (
            "redact_host_topology: true, redact_sensitive_data: false",
            "env, host-paths, addresses, host",
        ),
    ] {
        let settings = format!(
            "rules:\n  - match: {{method: GET, path: '/containers/json'}}\n    action: \
            allow\nresponse: {{{settings}}}\n"
        );
        let Migrated {
            code,
            notes,
            config,
            ..
        } = migrate("sockguard", &settings);
        assert_eq!(code, 0, "{notes}");
        assert!(notes.contains("redact stands for response."), "{notes}");
        let lines: String = config
            .lines()
            .map(|line| line.trim().to_owned() + " ")
            .collect();
        let values: Vec<_> = redact.split(", ").collect();
        let is_there = lines.contains(&format!("redact: {redact}"))
            || lines.contains(&format!("redact: [{redact}]"))
            || lines.contains(&format!("redact: \"{redact}\""))
            || lines.contains(&format!("redact: - {}", values.join(" - ")));
        assert!(is_there, "{redact}: {config}");
    }
    let own = "clients: {profiles: [{name: a}]}\nrules:\n  - match: {method: GET, path: \
        /info}\n    action: allow\n";
    let config = migrate("sockguard", own).config;
    assert!(
        !allows(&config, "GET /info", None) && config.contains("# GET %API_PREFIX%/info"),
        "{config}"
    );
    let networks = "clients: {allowed_cidrs: [10.0.0.0/8]}\nlisten: {address: \
        \":2375\"}\nrules:\n  - match: {method: GET, path: /info}\n    action: allow\n";
    let config = migrate("sockguard", networks).config;
    assert!(
        allows(&config, "GET /info", Some("address=10.1.1.1"))
            && !allows(&config, "GET /info", Some("address=11.1.1.1")),
        "{config}"
    );
}

/// Several proxies become one instance that tells their clients apart; a proxy whose clients are
/// not known stays by itself.
#[test]
fn several_proxies_of_one_file() {
    let proxy = |name: &str, more: &str| {
        format!(
            "  {name}:\n    image: tecnativa/docker-socket-proxy\n    networks: [{name}]\n{more}"
        )
    };
    let text = format!(
        "name: home\nservices:\n{}{}{}  traefik:\n    image: traefik\n    command: \
        --endpoint=tcp://sp-a:2375\n    networks: [sp-a]\n  watch:\n    image: w\n    networks: \
        [sp-b]\n    environment: {{DOCKER_HOST: \"tcp://spb:2375\"}}\n  both:\n    image: b\n    \
        networks: [sp-a, sp-b]\n    environment: {{A: \"tcp://sp-a:2375\", B: \
        \"tcp://sp-b\"}}\n  aliased:\n    image: x\n    networks: [sp-b]\n    environment: {{H: \
        \"engine:2375\"}}\n  linked:\n    image: x\n    networks: [sp-a]\n    links: \
        [\"sp-a:x\"]\n  outside:\n    image: x\n    environment: {{H: \
        \"tcp://sp-a:2375\"}}\nnetworks: {{sp-a: {{internal: true}}, sp-b: , sp-c: }}\n",
        proxy("sp-a", "    environment: {CONTAINERS: 1}\n"),
        proxy(
            "sp-b",
            "    container_name: spb\n    environment: {IMAGES: 1, POST: 1}\n"
        )
        .replace("[sp-b]", "{sp-b: {aliases: [engine]}}"),
        proxy(
            "sp-c",
            "    environment: {SECRETS: 1}\n    ports: [\"127.0.0.1:2375:2375\"]\n"
        ),
    );
    let Migrated {
        files,
        compose,
        notes,
        ..
    } = migrate("tecnativa", &text);
    let of = |name: &str| {
        files
            .iter()
            .find(|(path, _)| path == name)
            .expect(name)
            .1
            .clone()
    };
    let config = of("cetusguard-sp-a/cetusguard.yaml");
    for (client, call, want) in [
        ("traefik", "GET /containers/json", true),
        ("traefik", "GET /images/json", false),
        ("watch", "POST /images/create", true),
        ("watch", "GET /containers/json", false),
        ("both", "GET /images/json", true),
        ("both", "GET /containers/json", true),
        ("aliased", "GET /images/json", true),
        ("aliased", "GET /containers/json", false),
        ("linked", "GET /containers/json", true),
        // It shares no network with the proxy that it names.
        ("outside", "GET /containers/json", false),
        ("sp-a", "GET /_ping", false),
        ("stranger", "GET /containers/json", false),
    ] {
        let (code, out, _) = explain(
            &config,
            call,
            &[
                ("--client", "compose-project=home"),
                ("--client", &format!("compose-service={client}")),
            ],
        );
        assert_eq!(code == Some(0), want, "{client} {call}\n{out}{config}");
    }
    assert!(of("cetusguard-sp-c/cetusguard.yaml").contains("GET,HEAD %API_PREFIX_SECRETS%"));
    for want in [
        "  sp-a:\n    image: ",
        "  sp-c:\n    image: ",
        "      sp-b:\n        aliases:\n          - sp-b\n          - spb\n",
        "networks:\n  sp-a:\n    internal: true\n",
    ] {
        assert!(compose.contains(want), "{want} in {compose}");
    }
    assert!(
        !compose.contains("  sp-b:\n    image: ")
            && notes.contains("sp-a, sp-b become one instance"),
        "{compose}{notes}"
    );
}

/// The folder has everything to start from, under the name of the old project, and nothing in it is
/// ever replaced.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read what the program has written"
)]
fn a_folder_that_is_ready_to_start() {
    let folder = TempDir::new();
    let text = "name: home\nservices:\n  p:\n    image: tecnativa/docker-socket-proxy\n    \
        depends_on: [x]\n    networks: [n]\n    environment: {CONTAINERS: 1}\n    volumes: \
        [\"./s/docker.sock:/var/run/docker.sock\"]\nnetworks: {n: {internal: true}}\n";
    let file = folder.write("compose.yaml", text);
    let out = folder.file("new");
    let run = || {
        ProxyBuilder::bare(PROGRAM)
            .word("migrate")
            .word("tecnativa")
            .word(&file)
            .arg("--out", &out)
            .run()
    };
    let (code, notes, errors) = run();
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(
        notes.contains("docker compose up -d") && !notes.contains("services:"),
        "{notes}"
    );
    let read = |name: &str| std::fs::read_to_string(format!("{out}/{name}")).expect(name);
    assert!(read("cetusguard/cetusguard.yaml").contains("CONTAINERS=1"));
    let compose = read("compose.yaml");
    for want in [
        "name: home\n",
        "./cetusguard:/config:ro",
        "networks:\n  n:\n    internal: true\n",
        "/s/docker.sock:/var/run/docker.sock\"",
    ] {
        assert!(compose.contains(want), "{want} in {compose}");
    }
    assert!(
        !compose.contains("depends_on") && !compose.contains("\"./s/"),
        "{compose}"
    );
    let (code, _, errors) = run();
    assert!(
        code == Some(1) && errors.contains("is there already, so nothing was written"),
        "{errors}"
    );
}

/// Readings of the settings that would allow more than the old proxy did.
#[test]
fn nothing_more_is_allowed_than_was() {
    hold(
        "tecnativa",
        "POST=1\nCONTAINERS=1\nPOST=0",
        &["-POST /containers/create", "+GET /containers/json"],
        &[],
    );
    hold(
        "tecnativa",
        "POST=1\nALLOW_RESTARTS=1\nALLOW_KILL=0",
        &["-POST /containers/web/kill", "+POST /containers/web/stop"],
        &[],
    );
    hold(
        "linuxserver",
        "POST=1\nLIBPOD_EXEC=1",
        &[
            "-POST /v5.0.0/libpod/containers/web/exec",
            "+POST /v5.0.0/libpod/exec/x/start",
        ],
        &[],
    );
    let service = |more: &str| {
        format!(
            "name: shop\nservices:\n  proxy:\n    image: wollomatic/socket-proxy\n    command: \
            [-listenip=0.0.0.0, -allowfrom=web, -allowGET=/info{more}]\n  web:\n    image: x\n    \
            labels:\n      socket-proxy.allow.get: /version\n      \
            socket-proxy.allow.bindmountfrom: \"/srv,\"\n"
        )
    };
    let config = migrate("wollomatic", &service("")).config;
    assert!(
        !config.contains("/version"),
        "labels count where they are turned on: {config}"
    );
    let config = migrate("wollomatic", &service(", -proxycontainername=proxy")).config;
    assert!(
        config.contains("bind=/srv/**") && !config.contains("bind=/**"),
        "{config}"
    );
    let web = Some("compose-service=web compose-project=shop");
    assert!(
        allows(&config, "GET /version", web) && !allows(&config, "GET /info", web),
        "{config}"
    );
    // The end of a line is a part of the pattern there, and begins another rule here.
    let lines = "command: [-listenip=127.0.0.1, \"-allowGET=/version\\nGET /info\"]\n";
    hold(
        "wollomatic",
        lines,
        &["-GET /info", "-GET /version"],
        &["it is not one line"],
    );
    let globs = "rules:\n  - match: {method: GET, path: /secrets}\n    action: deny\n  - match: \
        {method: '*', path: '/containers/c*/start'}\n    action: allow\n  - match: {method: GET, \
        path: '/containers/*/archive'}\n    action: allow\n";
    hold(
        "sockguard",
        globs,
        &[
            "-POST /containers/web/start",
            "-GET /containers/web/archive",
        ],
        &["clients could read files out of containers and volumes"],
    );
    let single = "rules:\n  - match: {method: GET, path: /containers/secret/json}\n    action: \
        deny\n  - match: {method: GET, path: '/containers/*/json'}\n    action: allow\n";
    hold(
        "sockguard",
        single,
        &["-GET /containers/web/json"],
        &["the denial of GET /containers/secret/json is of some objects alone"],
    );
    let flagged = "environment: {CETUSGUARD_RULES: GET /a, CETUSGUARD_GUARD: privileged}\ncommand: \
        [\"-rules=GET %API_PREFIX_EVENTS%\"]";
    hold(
        "cetusguard",
        flagged,
        &["+GET /events", "-GET /a"],
        &["CETUSGUARD_GUARD is no option"],
    );
    let folder = TempDir::new();
    let hostile = "services:\n  p:\n    image: tecnativa/docker-socket-proxy\n    \
        environment:\n      SOCKET_PATH: \"/a\\n    privileged: true\"\n";
    let file = folder.write("compose.yaml", hostile);
    let (_, compose, _) = ProxyBuilder::bare(PROGRAM)
        .word("migrate")
        .word("tecnativa")
        .word(&file)
        .run();
    assert!(!compose.contains("\n    privileged"), "{compose}");
}

#[test]
fn what_cannot_be_read_is_told() {
    for (settings, want) in [
        (
            "services:\n  web:\n    image: nginx\n",
            "name its service with --service, one of: web",
        ),
        ("services: [a\n", "this is not YAML"),
        (
            "x: {a: b}\n",
            "this holds no settings of tecnativa/docker-socket-proxy",
        ),
        ("rules: []\n", "this holds no settings"),
        ("a: 1\na: 2\n", "the key a stands twice"),
        ("just words", "this holds no settings"),
    ] {
        let folder = TempDir::new();
        let file = folder.write("settings", settings);
        let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
            .word("migrate")
            .word("tecnativa")
            .word(&file)
            .run();
        assert!(code == Some(2) && errors.contains(want), "{errors}");
    }
}

/// Kept keys of the service have the values of `.env`, which does not lie beside the result. A
/// variable without a value refuses to start: as an empty address, it would publish the port at
/// every address of the host.
#[test]
fn variables_never_widen_what_is_kept() {
    let compose = "services:\n  p:\n    image: tecnativa/docker-socket-proxy:0.4.2\n    user: \
        \"${UID_}:$GID_\"\n    ports: [\"${BIND}:2375:2375\", \"${LOST}:2376:2375\", \
        \"${SET:-127.0.0.1}:2377:2375\"]\n    networks: [back]\n    volumes: \
        [\"${SOCK:-/var/run/docker.sock}:/var/run/docker.sock:ro\", \"${DATA}:/data\"]\n    \
        labels: {cost: \"5$$\"}\nnetworks:\n  back: {name: \"${NET}\"}\nvolumes:\n  \
        data:\n";
    let folder = TempDir::new();
    folder.write(".env", "BIND=127.0.0.1\nUID_=1000\nGID_='9$9'\nDATA=data\n");
    let file = folder.write("compose.yaml", compose);
    let Migrated {
        code,
        compose: kept,
        notes,
        ..
    } = migrate_file("tecnativa", &file, &[]);
    for want in [
        "user: \"1000:9$$9\"",
        "- \"127.0.0.1:2375:2375\"",
        "- \"${LOST:?migrate did not know its value}:2376:2375\"",
        "- \"${SET:-127.0.0.1}:2377:2375\"",
        "- \"${SOCK:-/var/run/docker.sock}:/var/run/docker.sock:ro\"",
        "- \"data:/data\"",
        "cost: \"5$$\"",
        "  back:\n    name: \"${NET:?migrate did not know its value}\"",
        "volumes:\n  data:\n",
    ] {
        assert!(kept.contains(want), "{want} in {kept}");
    }
    assert!(
        code == 1
            && notes.contains("the values of LOST, NET are not known")
            && notes.contains("compose.yaml has defaults for SET, SOCK,"),
        "{notes}"
    );
    // Another file takes the place of `.env`.
    let other = folder.write(
        "other",
        "BIND=10.0.0.1\nLOST=10.0.0.2\nNET=net1\nUID_=1\nGID_=2\n",
    );
    let resolved = migrate_file("tecnativa", &file, &[("--env-file", &other)]);
    for want in [
        "10.0.0.1:2375:2375",
        "10.0.0.2:2376:2375",
        "name: net1\n",
        "\"1:2\"",
    ] {
        assert!(
            resolved.compose.contains(want),
            "{want} in {}",
            resolved.compose
        );
    }
    // Without the folder, a default may not be what the variable is.
    let (_, piped) = migrate_piped("tecnativa", compose, &[]);
    for name in ["BIND", "LOST", "SET"] {
        let want = format!("\"${{{name}:?migrate did not know its value}}:237");
        assert!(piped.contains(&want), "{want} in {piped}");
    }
    // So may a default in the settings of the proxy itself.
    let open = "services:\n  p:\n    image: tecnativa/docker-socket-proxy:0.4\n    environment: \
        {POST: \"${POST:-1}\"}\n";
    let (code, piped) = migrate_piped("tecnativa", open, &[]);
    assert!(
        code == Some(1) && piped.contains("POST depends on POST, of which only the default"),
        "{piped}"
    );
    let known = migrate("tecnativa", open);
    assert_eq!(known.code, 0, "{}", known.notes);
    folder.write(".env", "no assignment\n");
    let unread = migrate_file("tecnativa", &file, &[]);
    assert!(
        unread.notes.contains("since line 1 is not NAME=VALUE")
            && unread.compose.contains("${SET:?migrate did not"),
        "{}",
        unread.notes
    );
    let run = "docker run -p $BIND:2375:2375 -v state:/state tecnativa/docker-socket-proxy\n";
    let run = migrate("tecnativa", run).compose;
    assert!(
        run.contains("${BIND:?migrate did not know its value}:2375:2375")
            && run.contains("  state:\n    external: true\n"),
        "{run}"
    );
}

/// A service's name is not enough to tell a client from a service of the same name in another
/// project.
#[test]
fn the_project_is_a_part_of_a_clients_name() {
    let compose = "services:\n  p:\n    image: wollomatic/socket-proxy:1\n    command: \
        [-listenip=0.0.0.0, -allowfrom=web, '-allowGET=/info']\n  web: {image: x}\n  other:\n    \
        image: y\n    command: [\"--host\", \"tcp://p:2375\"]\n";
    let (code, out) = migrate_piped("wollomatic", compose, &[]);
    assert!(
        code == Some(1)
            && out.contains("# lost:      services called web have rights in every Compose")
            && out.contains("--project NAME"),
        "{out}"
    );
    let (_, out) = migrate_piped("wollomatic", compose, &["--project", "shop"]);
    assert!(
        out.contains("compose-project: shop") && !out.contains("in every Compose"),
        "{out}"
    );
    assert!(
        out.contains("name this proxy in their settings: other;"),
        "{out}"
    );
}

/// Proxies on external networks stay apart, as their clients may be services of other files, and
/// the networks stay what they are.
#[test]
fn external_networks_are_not_joined() {
    let text = "name: home\nservices:\n  a:\n    image: tecnativa/docker-socket-proxy:0.4\n    \
        networks: [front]\n    environment: {CONTAINERS: 1}\n  b:\n    image: \
        tecnativa/docker-socket-proxy:0.4\n    networks: [back]\n    environment: {SECRETS: 1}\n  \
        web:\n    image: x\n    environment: {H: \"tcp://a:2375\"}\n    networks: [front]\n  \
        job:\n    image: x\n    environment: {H: \"b:2375\"}\n    networks: [back]\nnetworks:\n  \
        front: {external: true, name: f}\n  back: {external: true}\n";
    let apart = migrate("tecnativa", text);
    for want in [
        "  a:\n    image: ",
        "  b:\n    image: ",
        "    networks:\n      - front\n",
        "    networks:\n      - back\n",
        "networks:\n  back:\n    external: true\n  front:\n    external: true\n    name: f\n",
    ] {
        assert!(apart.compose.contains(want), "{want} in {}", apart.compose);
    }
    assert_eq!(apart.files.len(), 3);
    let internal = text.replace("external: true", "internal: true");
    let joined = migrate("tecnativa", &internal);
    assert_eq!(joined.files.len(), 2, "{}", joined.compose);
    // So does a network that a service has from another one.
    let extended = text.replace(
        "  a:\n    image: tecnativa/docker-socket-proxy:0.4\n    networks: [front]\n",
        "  base:\n    image: y\n    networks: [front]\n  a:\n    extends: base\n    image: \
        tecnativa/docker-socket-proxy:0.4\n",
    );
    assert_ne!(extended, text);
    let extended = migrate("tecnativa", &extended);
    assert_eq!(extended.files.len(), 3, "{}", extended.compose);
    // A part of a file does not tell which networks are external.
    let part = "image: tecnativa/docker-socket-proxy\nnetworks: [back]\n";
    let part = migrate("tecnativa", part);
    assert!(
        part.code == 1 && part.notes.contains("does not define the networks back"),
        "{}",
        part.notes
    );
}

/// The result is read as the program will read it, and notes come in the order of their weight.
#[test]
fn the_result_is_checked() {
    let folder = TempDir::new();
    let text = "rules:\n  - match: {method: GET, path: /_ping}\n    action: allow\n  - match: \
        {method: POST, path: '/containers/*/exec'}\n    action: allow\nmetrics: {enabled: \
        true}\nlisten: {socket: /s/p.sock}\n";
    let file = folder.write("sockguard.yaml", text);
    let (code, out, _) = ProxyBuilder::bare(PROGRAM)
        .word("migrate")
        .word("sockguard")
        .word(&file)
        .run();
    let kinds: Vec<_> = out
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once(": "))
        .map(|(kind, _)| kind)
        .filter(|kind| ["lost", "missing", "stricter", "different", "hint"].contains(kind))
        .collect();
    let mut weights = kinds.clone();
    let order = ["lost", "missing", "stricter", "different", "hint"];
    weights.sort_by_key(|kind| order.iter().position(|known| known == kind));
    assert!(code == Some(1) && kinds == weights, "{out}");
    assert!(
        kinds.contains(&"lost") && kinds.contains(&"missing") && kinds.contains(&"hint"),
        "{out}"
    );
    assert!(out.contains("check warns (half-allowed)"), "{out}");
    assert!(out.contains("frontend-socket-mode: \"0600\"\n"), "{out}");
    let duty = migrate("cetusguard", "CETUSGUARD_RULES=GET /a|\n");
    assert!(!duty.notes.contains("does not start"), "{}", duty.notes);
    let broken = migrate(
        "sockguard",
        "listen: {socket: /s/p.sock, socket_mode: rw}\nrules: []\n",
    );
    assert!(
        broken.code == 1 && broken.notes.contains("the result does not start:"),
        "{}",
        broken.notes
    );
}

/// An address that cannot be read becomes no wider one, and words about TLS are not forgotten.
#[test]
fn addresses_that_cannot_be_read() {
    for (proxy, settings) in [
        ("cetusguard", "CETUSGUARD_FRONTEND_ADDR=tcp://10.0.0.1:x\n"),
        ("tecnativa", "BIND_CONFIG=10.0.0.1:x\n"),
        ("linuxserver", "BIND_CONFIG=10.0.0.1:x\n"),
        ("wollomatic", "SP_LISTENIP=0.0.0.0\nSP_PROXYPORT=x\n"),
        ("sockguard", "SOCKGUARD_LISTEN_ADDRESS=0.0.0.0:x\n"),
    ] {
        let Migrated {
            code,
            config,
            notes,
            ..
        } = migrate(proxy, settings);
        assert!(
            code == 1 && notes.contains("is no address here"),
            "{proxy}: {notes}"
        );
        assert!(
            config.contains("addr: \"tcp://127.0.0.1:2375\"") && !config.contains("tcp://:"),
            "{proxy}: {config}"
        );
    }
    let tls = "BIND_CONFIG=*:2376 ssl crt /c.pem ca-file /ca.pem verify required\n";
    let tls = migrate("tecnativa", tls);
    assert!(
        tls.code == 1 && tls.notes.contains("BIND_CONFIG has ssl, which is left out"),
        "{}",
        tls.notes
    );
}

/// Each listener of sockguard is a frontend, with the owner of its socket; addresses let in clients
/// of ports alone, and a remote engine keeps its certificates.
#[test]
fn listeners_of_sockguard() {
    let text = "listeners:\n  - {name: a, socket: /s/a.sock, socket_mode: \"0660\", socket_gid: \
        998, allowed_profiles: [\"*\"]}\n  - {name: b, address: \"0.0.0.0:2375\", \
        allowed_profiles: [\"*\"]}\nclients: {allowed_cidrs: [10.0.0.0/8]}\nupstream: {endpoints: \
        [{address: \"tcp://engine:2376\", tls: {ca_file: /ca.pem}}, {address: \
        \"tcp://other:2376\"}]}\nrules:\n  - match: {method: GET, path: /info}\n    action: \
        allow\n";
    let Migrated { config, notes, .. } = migrate("sockguard", text);
    for want in [
        "  - addr: \"unix:///s/a.sock\"\n    profile: allowed\n    socket-mode: \
        \"0660\"\n    socket-group: \"998\"\n",
        "  - addr: \"tcp://0.0.0.0:2375\"\n",
        "backend-addr: \"tcp://engine:2376\"\nbackend-tls-cacert: /ca.pem\n",
        "      - address: \"10.0.0.0/8\"\n",
    ] {
        assert!(config.contains(want), "{want} in {config}");
    }
    assert!(
        notes.contains("the first engine alone is used") && !notes.contains("does not start"),
        "{notes}"
    );
}

/// Whatever a reader of the file could take for more rights than it gave is not given, or noted.
#[test]
fn nothing_is_looser_by_a_second_reading() {
    let folder = TempDir::new();
    // A service that is in no network of the proxy did not reach it.
    let compose = folder.write(
        "compose.yaml",
        "services:\n  proxy-a:\n    image: tecnativa/docker-socket-proxy:0.3.0\n    environment: \
        {CONTAINERS: 1, POST: 1}\n    networks: [a]\n  proxy-b:\n    image: \
        tecnativa/docker-socket-proxy:0.3.0\n    environment: {INFO: 1}\n    networks: [b]\n  \
        deployer:\n    image: x\n    networks: [a]\n    environment: {DOCKER_HOST: \
        'tcp://proxy-a:2375'}\n  web:\n    image: y\n    networks: [b]\n    depends_on: \
        [proxy-a]\n    environment: {DOCKER_HOST: 'tcp://proxy-b:2375'}\nnetworks: {a: {}, b: {}}\n",
    );
    let joined = migrate_file("tecnativa", &compose, &[]);
    let web = joined
        .config
        .split("\n  ")
        .skip_while(|part| !part.contains("compose-service: web"))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        !web.is_empty() && !web.contains("containers"),
        "{}",
        joined.config
    );
    // Compose merges a file that is not read.
    folder.write(
        "compose.override.yaml",
        "services: {proxy-a: {environment: {POST: 0}}}\n",
    );
    let overridden = migrate_file("tecnativa", &compose, &[]);
    assert_eq!(overridden.code, 1);
    assert!(
        overridden
            .notes
            .contains("compose.override.yaml may change")
    );
    // The command line keeps the quotes of its file, and a quoted 1 turns nothing on.
    folder.write("proxy.env", "CONTAINERS=\"1\"\nPOST=\"1\"\n");
    let line = folder.write(
        "run.sh",
        "docker run -d --env-file proxy.env -v /var/run/docker.sock:/var/run/docker.sock \
        tecnativa/docker-socket-proxy:0.3.0\n",
    );
    let quoted = migrate_file("tecnativa", &line, &[]);
    assert!(!quoted.config.contains("CONTAINERS"), "{}", quoted.config);
    // IPv4 networks hold no IPv6 client, and words that are no flags end the flags.
    let both = migrate(
        "wollomatic",
        "services:\n  proxy:\n    image: wollomatic/socket-proxy:1.12\n    command: \
        ['-listenip=::', '-allowfrom=0.0.0.0/0', '-allowGET=/info']\n",
    );
    assert!(
        both.config.contains("address: \"0.0.0.0/0\""),
        "{}",
        both.config
    );
    let ended = migrate(
        "wollomatic",
        "services:\n  proxy:\n    image: wollomatic/socket-proxy:1.12\n    command: \
        ['-logjson', 'true', '-listenip=0.0.0.0', '-allowfrom=0.0.0.0/0', '-allowGET=/info']\n",
    );
    assert!(!ended.config.contains("/info"), "{}", ended.config);
    // HAProxy's words hold for every address of the line.
    let bound = |bind: &str| {
        migrate(
            "tecnativa",
            &format!(
                "services:\n  proxy:\n    image: tecnativa/docker-socket-proxy:0.3.0\n    \
                environment: {{INFO: 1, BIND_CONFIG: '{bind}'}}\n"
            ),
        )
    };
    let sockets = bound("/run/a.sock,/run/b.sock mode 600");
    assert_eq!(
        sockets.config.matches("socket-mode").count(),
        2,
        "{}",
        sockets.config
    );
    let only = bound("[::]:2375 v6only");
    assert!(
        only.code == 1 && only.notes.contains("v6only"),
        "{}",
        only.notes
    );
}
