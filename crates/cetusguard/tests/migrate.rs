//! Settings of other proxies, as their documentation shows them, become configurations that start and mean the same.

use cetusguard_testkit::{ProxyBuilder, TempDir};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Migrates, and gives the configuration, the compose file and the notes.
fn migrate(proxy: &str, settings: &str) -> [String; 3] {
    let folder = TempDir::new();
    let file = folder.write("settings", settings);
    let migrate = ProxyBuilder::bare(PROGRAM).word("migrate").word(proxy).word(&file).arg("--format", "json");
    let (code, out, errors) = migrate.run();
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{settings}");
    let field = |name: &str| -> String {
        let rest = out.split_once(&format!("\"{name}\": ")).expect(name).1;
        let end = if name == "notes" { rest.len() } else { rest.find("\",\n").expect("an end") };
        rest[..end].replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\")
    };
    ["config", "compose", "notes"].map(field)
}

/// Whether a call is allowed by a configuration, for a client.
fn allows(config: &str, call: &str, client: Option<&str>) -> bool {
    let folder = TempDir::new();
    let file = folder.write("cetusguard.yaml", config.trim_start_matches('"'));
    let (method, path) = call.split_once(' ').expect("METHOD PATH");
    let explain = ProxyBuilder::bare(PROGRAM).word("explain").word(method).word(path).arg("--config", &file);
    let explain = if let Some(client) = client { explain.arg("--client", client) } else { explain };
    let (code, out, errors) = explain.run();
    assert!(matches!(code, Some(0 | 1)), "{config}\n{out}{errors}");
    code == Some(0)
}

/// Settings, then calls: `+` is allowed, `-` is not.
fn hold(proxy: &str, settings: &str, calls: &[&str], notes: &[&str]) {
    let [config, compose, told] = migrate(proxy, settings);
    for call in calls {
        let (want, call) = call.split_at(1);
        assert_eq!(allows(&config, call, None), want == "+", "{proxy}: {call}\n{settings}\n{config}");
    }
    for note in notes {
        assert!(told.contains(note), "{note} in {told}");
    }
    assert!(compose.contains("CETUSGUARD_CONFIG: /etc/cetusguard.yaml"));
}

#[test]
fn switches_of_tecnativa() {
    let listed = "+GET /containers/json";
    hold(
        "tecnativa",
        "POST=0",
        &["+GET /_ping", "+HEAD /_ping", "+GET /version", "+GET /events", "-GET /info", "-GET /containers/json"],
        &[],
    );
    hold(
        "tecnativa",
        "CONTAINERS=1",
        &[listed, "+GET /v1.43/containers/web/logs", "-POST /containers/web/restart", "-GET /containers/web/archive"],
        &["a wildcard does not let clients read files out of containers"],
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
        &["the guard judges whoever would create containers"],
    );
    hold("tecnativa", "CONTAINERS=1\nEXEC=1\nPOST=1", &["+POST /containers/web/exec", "+POST /exec/x/start"], &[]);
    hold("tecnativa", "EXEC=1\nPOST=1", &["-POST /containers/web/exec", "+POST /exec/x/start"], &[]);
    hold(
        "tecnativa",
        "CONTAINERS=true\nALLOW_START=1\nBUILD=1",
        &["-GET /containers/json", "-POST /containers/web/start", "-POST /build"],
        &[
            "CONTAINERS=true was off there",
            "ALLOW_START=1 did nothing there without POST=1",
            "BUILD=1 opens nothing without POST=1",
        ],
    );
    hold(
        "tecnativa",
        "POST=1\nALLOW_RESTARTS=1",
        &["+POST /containers/web/kill", "-POST /containers/web/start", "-GET /containers/json"],
        &[],
    );
    // The newer generation, told by its own switches.
    hold(
        "tecnativa",
        "CONTAINERS=1\nALLOW_LOGS=1",
        &[listed, "+GET /containers/web/logs", "-GET /containers/web/export"],
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
        &["-POST /containers/web/exec", "-DELETE /containers/web", "+POST /containers/web/stop"],
        &[],
    );
    hold("tecnativa", "NETWORKS=1\nPOST=1\nDELETE=1", &["+DELETE /networks/front", "+POST /networks/create"], &[]);
}

#[test]
fn a_compose_file_of_tecnativa() {
    let [config, compose, _] = migrate(
        "tecnativa",
        "services:\n  web:\n    image: nginx\n  dockerproxy:\n    image: ghcr.io/tecnativa/docker-socket-proxy:v0.4.2\n    environment:\n      \
         - CONTAINERS=1 # list\n      - DISABLE_IPV6=true\n      - LOG_LEVEL=${LEVEL:-debug}\n      - SOCKET_PATH=/run/podman/podman.sock\n    \
         networks:\n      socket: {}\n    ports: [\"127.0.0.1:2375:2375\"]\n",
    );
    for want in ["frontend-addr: \"tcp://0.0.0.0:2375\"", "log-level: debug", "unix:///run/podman/podman.sock"] {
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
        "ALLOW_START=1 #optional\nALLOW_STOP=1\nALLOW_RESTARTS=1\nCONTAINERS=1\nPOST=0\nTZ=Etc/UTC\nALLOW_RESUME=0\nVERSION=0",
        &["+POST /containers/web/start", "+POST /containers/web/kill", "-POST /containers/create", "-GET /version"],
        &["TZ: the log is in UTC", "ALLOW_RESUME is no variable of that proxy"],
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
    let compose = "services:\n  proxy:\n    image: wollomatic/socket-proxy:1\n    command:\n      - '-loglevel=warn' # less\n      - '-listenip=0.0.0.0'\n      \
                   - '-allowfrom=traefik'\n      - '-proxycontainername=proxy'\n      - '-allowGET=/v1\\..{1,2}/(version|containers/.*|events.*)'\n      - '-allowHEAD=/_ping'\n      \
                   - '-allowbindmountfrom=/var/log,/tmp'\n      - '-stoponwatchdog'\n      - '-shutdowngracetime=5'\n  other:\n    image: x\n    labels:\n      \
                   socket-proxy.allow.get: /info\n      socket-proxy.allow.head.1: /_ping\n";
    let [config, _, notes] = migrate("wollomatic", compose);
    for (client, call, want) in [
        ("compose-service=traefik", "GET /v1.43/containers/json", true),
        ("compose-service=traefik", "GET /v1.43/events", true),
        ("compose-service=traefik", "HEAD /_ping", true),
        ("compose-service=traefik", "GET /containers/json", false),
        ("compose-service=traefik", "GET /info", false),
        ("compose-service=other", "GET /info", true),
        ("compose-service=other", "HEAD /_ping", true),
        ("compose-service=other", "GET /v1.43/events", false),
        ("compose-service=web", "HEAD /_ping", true),
        ("compose-service=web", "GET /info", false),
    ] {
        assert_eq!(allows(&config, call, Some(client)), want, "{client} {call}\n{config}");
    }
    for want in
        ["log-level: warning", "drain-timeout: \"5s\"", "\"bind=/var/log/**\"", "frontend-addr: \"tcp://0.0.0.0:2375\""]
    {
        assert!(config.contains(want), "{want} in {config}");
    }
    assert!(notes.contains("the watchdog") && notes.contains("taken for the Compose service"), "{notes}");
    // Variables, a socket instead of addresses, and an alternation that was anchored by half.
    hold(
        "wollomatic",
        "SP_ALLOW_GET=/version\nSP_ALLOW_GET_2=/v1\\..{2}/(containers/.*|events)|/_ping\nSP_PROXYSOCKETENDPOINT=/socket/proxy.sock\nSP_ALLOW_FROM=x",
        &["+GET /version", "+GET /_ping", "+GET /v1.43/events", "-GET /v1.43/events/x", "-HEAD /_ping"],
        &["each alternative has to match the whole path", "-allowFROM: FROM never reaches an engine here"],
    );
    hold("wollomatic", "SP_ALLOWFROM=10.0.0.0/8\nSP_LISTENIP=0.0.0.0\nSP_ALLOW_GET=.*", &["-GET /version"], &[]);
}

#[test]
fn rules_of_the_go_program() {
    hold(
        "cetusguard",
        "services:\n  cetusguard:\n    image: docker.io/hectorm/cetusguard:v1\n    environment:\n      CETUSGUARD_FRONTEND_ADDR: tcp://:2375\n      \
         CETUSGUARD_LOG_LEVEL: \"7\"\n      CETUSGUARD_NOTHING: 1\n      CETUSGUARD_RULES: |\n        ! Monitor events\n        GET %API_PREFIX_EVENTS%\n        \
         GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\n        GET %NO_SUCH%/x\n        GET /a|/info\n",
        &["+GET /_ping", "+GET /info", "+GET /v1.43/events", "+GET /containers/web/json", "-GET /containers/json"],
        &[
            "unknown variable %NO_SUCH%",
            "each alternative has to match the whole path",
            "CETUSGUARD_NOTHING is no option",
        ],
    );
    hold(
        "cetusguard",
        "command: [-backend-addr, unix:///x.sock, -no-builtin-rules, \"-rules=GET %API_PREFIX_INFO%\"]",
        &["-GET /_ping", "+GET /info"],
        &[],
    );
}

#[test]
fn rules_of_sockguard() {
    let yaml = |rules: &str| {
        format!(
            "listen:\n  address: 127.0.0.1:2375\nrequest_body:\n  container_create:\n    allowed_bind_mounts: [/srv]\n    require_memory_limit: true\n\
             metrics:\n  enabled: true\nrules:\n{rules}  - match: {{ method: \"*\", path: \"/**\" }}\n    action: deny\n"
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
                + &allow("*", "/images/**", "allow")),
        ),
        &[
            "+GET /v1.43/containers/web/json",
            // No container is called so: the engine answers 404, as it does to `docker inspect a/b`.
            "+GET /containers/a/b/json",
            "-GET /containers/a/b/logs",
            "+DELETE /images/x",
            "-GET /info",
            "-GET /images/get",
        ],
        &["request_body.container_create.require_memory_limit has no counterpart", "metrics has no counterpart"],
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
        &["what remains allowed is listed"],
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

/// What is not about the proxy itself stays in the service, in any form; what cannot stay is told.
#[test]
fn the_rest_of_the_service_stays() {
    let [_, compose, notes] = migrate(
        "tecnativa",
        "services:\n  one:\n    image: tecnativa/docker-socket-proxy\n    container_name: socket\n    restart: always\n    env_file: .env\n    \
         networks:\n      back:\n        aliases: [docker]\n    ports:\n      - target: 2375\n        published: \"2375\"\n    volumes:\n      \
         - /run/user/1000/docker.sock:/var/run/docker.sock:ro\n      - data:/data\n    environment:\n      - CONTAINERS=${C}\n  \
         two:\n    image: tecnativa/docker-socket-proxy\n",
    );
    for want in [
        "    container_name: socket\n    restart: always\n    networks:\n      back:\n        aliases:\n          - docker\n",
        "    ports:\n      -\n        target: 2375\n        published: 2375\n",
        "- \"/run/user/1000/docker.sock:/var/run/docker.sock:ro\"",
    ] {
        assert!(compose.contains(want), "{want} in {compose}");
    }
    for want in [
        "env_file is not read",
        "the volume data is left out",
        "CONTAINERS depends on C",
        "only one was read; --service reads two",
    ] {
        assert!(notes.contains(want), "{want} in {notes}");
    }
}

/// What an attentive reader of the settings could get out of them, and should not.
#[test]
fn nothing_more_is_allowed_than_was() {
    hold("tecnativa", "POST=1\nCONTAINERS=1\nPOST=0", &["-POST /containers/create", "+GET /containers/json"], &[]);
    hold(
        "tecnativa",
        "POST=1\nALLOW_RESTARTS=1\nALLOW_KILL=0",
        &["-POST /containers/web/kill", "+POST /containers/web/stop"],
        &[],
    );
    hold(
        "linuxserver",
        "POST=1\nLIBPOD_EXEC=1",
        &["-POST /v5.0.0/libpod/containers/web/exec", "+POST /v5.0.0/libpod/exec/x/start"],
        &[],
    );
    let service = |more: &str| {
        format!(
            "services:\n  proxy:\n    image: wollomatic/socket-proxy\n    command: [-listenip=0.0.0.0, -allowfrom=web, -allowGET=/info{more}]\n  \
             web:\n    image: x\n    labels:\n      socket-proxy.allow.get: /version\n      socket-proxy.allow.bindmountfrom: \"/srv,\"\n"
        )
    };
    let [config, ..] = migrate("wollomatic", &service(""));
    assert!(!config.contains("/version"), "labels count where they are turned on: {config}");
    let [config, ..] = migrate("wollomatic", &service(", -proxycontainername=proxy"));
    assert!(config.contains("bind=/srv/**") && !config.contains("bind=/**"), "{config}");
    let web = Some("compose-service=web");
    assert!(allows(&config, "GET /version", web) && !allows(&config, "GET /info", web), "{config}");
    let globs = "rules:\n  - match: {method: GET, path: /secrets}\n    action: deny\n  - match: {method: '*', path: '/containers/c*/start'}\n    \
                 action: allow\n  - match: {method: GET, path: '/containers/*/archive'}\n    action: allow\n";
    hold(
        "sockguard",
        globs,
        &["-POST /containers/web/start", "-GET /containers/web/archive"],
        &["a wildcard does not let clients read files"],
    );
    let single = "rules:\n  - match: {method: GET, path: /containers/secret/json}\n    action: deny\n  - match: {method: GET, path: '/containers/*/json'}\n    \
                  action: allow\n";
    hold("sockguard", single, &["+GET /containers/web/json"], &["the denial of GET /containers/secret/json is lost"]);
    let flagged = "environment: {CETUSGUARD_RULES: GET /a, CETUSGUARD_GUARD: privileged}\ncommand: [\"-rules=GET %API_PREFIX_EVENTS%\"]";
    hold("cetusguard", flagged, &["+GET /events", "-GET /a"], &["CETUSGUARD_GUARD is no option"]);
    let folder = TempDir::new();
    let hostile = "services:\n  p:\n    image: tecnativa/docker-socket-proxy\n    environment:\n      SOCKET_PATH: \"/a\\n    privileged: true\"\n";
    let file = folder.write("compose.yaml", hostile);
    let (_, compose, _) = ProxyBuilder::bare(PROGRAM).word("migrate").word("tecnativa").word(&file).run();
    assert!(!compose.contains("\n    privileged"), "{compose}");
}

#[test]
fn what_cannot_be_read_is_told() {
    for (settings, want) in [
        ("services:\n  web:\n    image: nginx\n", "name its service with --service, one of: web"),
        ("services: [a\n", "this is not YAML"),
        ("x: &x {a: b}\nservices: {}\n", "docker compose config | cetusguard migrate"),
        ("just words", "this holds no settings"),
    ] {
        let folder = TempDir::new();
        let file = folder.write("settings", settings);
        let (code, _, errors) = ProxyBuilder::bare(PROGRAM).word("migrate").word("tecnativa").word(&file).run();
        assert!(code == Some(2) && errors.contains(want), "{errors}");
    }
}
