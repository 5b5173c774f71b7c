//! One instance, many clients, each with its own rights; and the file that says so.

use std::os::unix::fs::MetadataExt;

use cetusguard_testkit::{Certs, Client, Engine, Proxy, ProxyBuilder, TempDir, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

fn start(engine: &Engine, folder: &TempDir, file: &str) -> ProxyBuilder {
    let file = file.replace("DIR", &folder.path().display().to_string());
    let path = folder.write("config.yaml", &file);
    ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .arg("--backend-addr", &engine.address())
        .arg("--log-level", "7")
}

fn status(proxy: &Proxy, address: &str, request: &str) -> u16 {
    let address = proxy
        .addresses()
        .iter()
        .find(|known| known.contains(address))
        .expect(address);
    Client::connect(address).request(request).status
}

fn mistakes(file: &str) -> String {
    let folder = TempDir::new();
    let path = folder.write("config.yaml", file);
    let (code, out, errors) = ProxyBuilder::bare(PROGRAM).arg("--config", &path).run();
    assert_eq!((code, out.as_str()), (Some(2), ""), "{errors}");
    errors.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_frontend_decides_first() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let user = folder.path().metadata().expect("a folder").uid();
    let file = format!(
        "rules: GET /events
frontends:
- {{addr: 'unix://DIR/a.sock', profile: lists}}
- {{addr: 'unix://DIR/b.sock'}}
- {{addr: 'tcp://127.0.0.1:0'}}
profiles:
  lists: {{rules: GET /containers/json}}
  user: {{rules: GET /images/json, clients: [{{user: {user}}}], no-builtin-rules: on}}
  net: {{rules: GET /networks, clients: [{{address: 127.0.0.0/8}}]}}
"
    );
    let mut proxy = start(&engine, &folder, &file);
    for _ in 0..3 {
        proxy = proxy.expect_frontend();
    }
    let proxy = proxy.start();
    for (address, want) in [
        ("a.sock", [200, 200, 403, 403, 403]),
        ("b.sock", [403, 403, 200, 403, 403]),
        ("tcp://", [200, 403, 403, 200, 403]),
    ] {
        let calls = [
            "/_ping",
            "/containers/json",
            "/images/json",
            "/networks",
            "/events",
        ];
        let got = calls.map(|path| status(&proxy, address, &format!("GET {path}")));
        assert_eq!(got, want, "{address}");
    }
    for (path, profile) in [
        ("/containers/json", "lists"),
        ("/images/json", "user"),
        ("/networks", "net"),
    ] {
        eventually("the log names the profile", || {
            let names = |line: &String| {
                line.contains("request allowed")
                    && line.contains(path)
                    && line.contains(&format!("profile={profile} "))
            };
            proxy.log().iter().any(names)
        });
    }
}

#[test]
fn nobody_has_more_than_the_default_by_accident() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = "rules: GET /events
profiles:
  net: {rules: GET /networks, clients: [{address: 10.0.0.0/8}, {user: 4000000000}, {group: 4000000000}]}
frontend-addr: [tcp://127.0.0.1:0, 'unix://DIR/a.sock']
";
    let proxy = start(&engine, &folder, file)
        .expect_frontend()
        .expect_frontend()
        .start();
    for address in ["tcp://", "a.sock"] {
        let refused = status(&proxy, address, "GET /networks");
        assert_eq!(
            (refused, status(&proxy, address, "GET /events")),
            (403, 200),
            "{address}"
        );
    }
    let body = Client::connect(&proxy.addresses()[0])
        .request("GET /networks")
        .body;
    assert!(
        body.contains("no rule of profile default allows GET /networks"),
        "{body}"
    );
}

#[test]
fn each_frontend_has_its_own_tls_and_rights() {
    let (engine, folder, certs) = (Engine::ok(), TempDir::new(), Certs::make());
    let user = folder.path().metadata().expect("a folder").uid();
    // Only root may give a file away.
    let owner = if user == 0 { 12345 } else { user };
    let file = format!(
        "frontend-socket-mode: '0600'
frontends:
- {{addr: 'tcp://127.0.0.1:0', tls-cert: {}, tls-key: {}}}
- {{addr: 'tcp://127.0.0.2:0'}}
- {{addr: 'unix://DIR/a.sock'}}
- {{addr: 'unix://DIR/b.sock', socket-mode: '0666', socket-owner: {owner}}}
",
        certs.file("server.pem"),
        certs.file("server.key")
    );
    let mut proxy = start(&engine, &folder, &file);
    for _ in 0..4 {
        proxy = proxy.expect_frontend();
    }
    let proxy = proxy.start();
    assert!(
        proxy
            .logged(&["listening", "127.0.0.1"])
            .contains("tls=true")
    );
    assert!(
        proxy
            .logged(&["listening", "127.0.0.2"])
            .contains("tls=false")
    );
    assert_eq!(status(&proxy, "127.0.0.2", "GET /_ping"), 200);
    for (name, mode, uid) in [("a.sock", 0o600, user), ("b.sock", 0o666, owner)] {
        let meta = folder.path().join(name).metadata().expect(name);
        assert_eq!((meta.mode() & 0o777, meta.uid()), (mode, uid), "{name}");
    }
    // The health check asks the first frontend, with its certificate.
    let path = folder.file("config.yaml");
    let check = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .word("healthcheck")
        .word(proxy.address());
    assert_eq!(check.run(), (Some(0), String::new(), String::new()));
}

#[test]
fn flag_environment_file_default() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = "log-format: json\nidle-timeout: 1h\nrules:\n- GET /events\n- GET \
        /networks\nfrontend-addr: tcp://127.0.0.1:0\n";
    let proxy = start(&engine, &folder, file).expect_frontend().start();
    assert!(proxy.log().iter().all(|line| line.starts_with('{')));
    assert_eq!(status(&proxy, "tcp://", "GET /networks"), 200);
    let proxy = start(&engine, &folder, file)
        .env("CETUSGUARD_RULES", "GET /images/json")
        .env("CETUSGUARD_LOG_FORMAT", "json")
        .arg("--log-format", "logfmt")
        .expect_frontend()
        .start();
    assert!(proxy.log().iter().all(|line| line.starts_with("time=")));
    assert_eq!(
        [
            status(&proxy, "tcp://", "GET /networks"),
            status(&proxy, "tcp://", "GET /images/json")
        ],
        [403, 200]
    );
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let told = mistakes(
        "log-levl: 7
idle-timeout: soon
frontends:
- {profile: lists}
- {addr: 'tcp://127.0.0.1:1', profile: list}
- {addr: 'tcp://127.0.0.1:1', port: 1}
- {addr: 'unix:///x'}
profiles:
  nobody: {rules: GET /events}
  one: {clients: [{user: 1}, {address: 10.0.0.0/8}]}
  two: {clients: [{user: 1}, {address: 10.1.0.0/16}, {user: x}, {address: 10.0.0.1/8}, {user: 2, container: x}]}
  default: {clients: [{user: 3}]}
  rules:
    clients: [{user: 4}]
    rules: |
      GET /events

      GET %API_PREFIX_CONTAINER%
",
    );
    for (place, what, fix) in [
        ("1:1", "unknown key log-levl", "did you mean log-level?"),
        ("2:15", "idle-timeout is \"soon\"", "expected a time"),
        ("4:3", "a frontend without addr", "say where it listens"),
        (
            "5:40",
            "profile is \"list\"",
            "expected one of: nobody, one, two",
        ),
        ("6:10", "addr is \"tcp://127.0.0.1:1\"", "each address once"),
        ("6:31", "unknown key port", "expected one of: addr"),
        (
            "9:3",
            "nothing reaches the profile nobody",
            "give it clients",
        ),
        (
            "11:26",
            "these clients are the profile one's as well",
            "each client has one profile",
        ),
        (
            "11:40",
            "these clients are the profile one's as well",
            "each client has one profile",
        ),
        ("11:61", "user is \"x\"", "expected a number"),
        (
            "11:75",
            "address is \"10.0.0.1/8\"",
            "without bits behind its prefix",
        ),
        (
            "11:88",
            "conditions that are about different things",
            "behind a dash of their own",
        ),
        (
            "12:3",
            "the profile default is made by the options",
            "rules and rules-file",
        ),
        (
            "18:11",
            "unknown variable %API_PREFIX_CONTAINER%",
            "%API_PREFIX_CONTAINERS%",
        ),
    ] {
        let found = told.split("error: ").any(|one| {
            one.starts_with(what)
                && one.contains(&format!("config.yaml:{place}\n"))
                && one.contains(fix)
        });
        assert!(found, "{place} {what}\n{told}");
    }
    assert!(
        told.contains("2 | idle-timeout: soon\n  |               ^\n"),
        "{told}"
    );
    assert!(
        told.contains("14 mistakes in the configuration; nothing was started"),
        "{told}"
    );
    for (file, what, fix) in [
        (
            "frontends: [{addr: 'unix:///x', tls-cert: y}]\n",
            "tls-cert is \"y\"",
            "expected none here",
        ),
        (
            "frontends: [{addr: 'fd://', tls-key: y}]\n",
            "tls-key is \"y\"",
            "expected none here",
        ),
        (
            "frontends: [{addr: 'tcp://:1', socket-mode: '0666'}]\n",
            "socket-mode is \"0666\"",
            "it is for unix://",
        ),
        (
            "frontends: [{addr: 'tcp://:1', profile: }]\n",
            "profile has no value",
            "leave it out",
        ),
        (
            "rules:\nlog-level: 7\n",
            "rules has no value",
            "leave it out",
        ),
        (
            "frontend-addr: []\n",
            "frontend-addr has no value",
            "leave it out",
        ),
        (
            "profiles: {a: {clients: [{}]}}\n",
            "a client without a condition",
            "expected one of: address",
        ),
        // Nobody could be such a client, and those who were meant would have other rights.
        (
            "profiles: {a: {clients: [{user: 1}]}}\n",
            "user is \"1\"",
            "a Unix frontend without a profile",
        ),
        (
            "frontends: [{addr: 'tcp://:1', profile: a}]\nprofiles: {a: {clients: [{address: \
            ::1}]}}\n",
            "address is \"::1\"",
            "a TCP frontend without a profile",
        ),
        (
            "frontends: [{addr: 'unix:///x'}]\nprofiles: {a: {clients: [{user: 65534}]}}\n",
            "user is \"65534\"",
            "another number",
        ),
        (
            "profiles: {a: {clients: [{address: '::ffff:10.0.0.0/104'}]}}\n",
            "address is",
            "expected it as IPv4",
        ),
        (
            "profiles: {a: {clients: [{cert-cn: x}]}}\n",
            "cert-cn is \"x\"",
            "a TLS frontend with tls-cacert",
        ),
        (
            "profiles: {a: {clients: [{label: x}]}}\n",
            "label is \"x\"",
            "KEY=PATTERN",
        ),
        (
            "profiles: {a: {clients: [{container: web-*}]}, b: {clients: [{container: '*-1'}]}}\n",
            "these clients are the profile a's as well",
            "make them distinct",
        ),
        (
            "profiles: {a: {clients: [{user: 1}], mode: on}}\n",
            "mode is \"on\"",
            "enforce or audit",
        ),
        (
            "profiles: {a: {clients: [{address: ::1}], rate-limit: 5}}\n",
            "rate-limit is \"5\"",
            "as in 20/s",
        ),
        (
            "max-streams: 0\n",
            "max-streams is \"0\"",
            "from 1 to 1000000, or none",
        ),
        // Two lists of doors: one that was forgotten would stay open.
        (
            "frontend-addr: tcp://:1\nfrontends: [{addr: 'tcp://:2'}]\n",
            "frontend-addr is",
            "as an entry of frontends",
        ),
    ] {
        let told = mistakes(file);
        assert!(told.contains(what) && told.contains(fix), "{file}: {told}");
    }
    // A wrong switch hides no wrong rule, and is told once.
    let told = mistakes(
        "no-builtin-rules: maybe\nrules: GET %NO%\nprofiles: {a: {clients: [{address: ::1}]}}\n",
    );
    assert!(
        told.contains("no-builtin-rules is")
            && told.contains("unknown variable")
            && told.contains("2 mistakes"),
        "{told}"
    );
    assert!(mistakes("a: [1\n").contains("this is not YAML"));
    assert!(mistakes("- a\n").contains("this is no mapping"));
    assert!(mistakes("profiles: [a]\n").contains("profiles is no mapping"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let (code, _, errors) = ProxyBuilder::bare(PROGRAM)
        .arg("--config", "/nowhere.yaml")
        .run();
    assert!(
        code == Some(2)
            && errors.contains("--config is \"/nowhere.yaml\"")
            && errors.contains("there is no such file"),
        "{errors}"
    );
}

/// An image says where to listen; a file that says something else must not be added to it in
/// silence.
#[test]
fn what_the_environment_opens_stays_no_secret() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    for file in [
        "frontends: [{addr: 'unix://DIR/a.sock'}]\n",
        "frontend-addr: unix://DIR/a.sock\n",
    ] {
        let (code, _, told) = start(&engine, &folder, file)
            .env("CETUSGUARD_FRONTEND_ADDR", "tcp://:2375")
            .run();
        assert!(
            code == Some(2)
                && told.contains("frontend-addr is") | told.contains("FRONTEND_ADDR is")
                && told.contains("CETUSGUARD_FRONTEND_ADDR= takes that back"),
            "{told}"
        );
        let proxy = start(&engine, &folder, file)
            .env("CETUSGUARD_FRONTEND_ADDR", "")
            .expect_frontend()
            .start();
        assert_eq!(proxy.addresses().len(), 1);
    }
}

#[test]
fn a_frontend_can_name_the_default_profile() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let file = "frontends:
- {addr: 'tcp://127.0.0.1:0', profile: default}
- {addr: 'tcp://127.0.0.2:0'}
profiles: {net: {clients: [{address: 127.0.0.0/8}], rules: GET /networks}}
";
    let proxy = start(&engine, &folder, file)
        .expect_frontend()
        .expect_frontend()
        .start();
    let got = ["127.0.0.1", "127.0.0.2"].map(|address| status(&proxy, address, "GET /networks"));
    assert_eq!(got, [403, 200]);
}

/// A certificate of its own does not take back that clients have to show one, nor a profile the
/// built-in rules that are off.
#[test]
fn what_is_not_said_is_as_the_options_have_it() {
    let (engine, folder, certs) = (Engine::ok(), TempDir::new(), Certs::make());
    let file = format!(
        "no-builtin-rules: on
frontend-tls-cacert: {}
frontends: [{{addr: 'tcp://127.0.0.1:0', tls-cert: {cert}, tls-key: {key}}}, {{addr: 'unix://DIR/a.sock', profile: few}}]
profiles: {{few: {{rules: GET /events}}}}
frontend-tls-cert: {cert}
frontend-tls-key: {key}
",
        certs.file("ca.pem"),
        cert = certs.file("server.pem"),
        key = certs.file("server.key")
    );
    let proxy = start(&engine, &folder, &file)
        .expect_frontend()
        .expect_frontend()
        .start();
    let path = folder.file("config.yaml");
    let check = ProxyBuilder::bare(PROGRAM)
        .arg("--config", &path)
        .word("healthcheck")
        .word(&proxy.addresses()[0]);
    let (code, _, why) = check.run();
    assert!(code == Some(1) && why.contains("certificate"), "{why}");
    assert_eq!(status(&proxy, "a.sock", "GET /_ping"), 403);
}

/// A hundred services with twenty rules each, which differ in what they are about.
#[test]
fn a_hundred_profiles_are_small() {
    use std::fmt::Write as _;
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let mut file = "frontend-addr: tcp://127.0.0.1:0\nprofiles:\n".to_owned();
    for profile in 0..100 {
        let _ = writeln!(
            file,
            "  p{profile}:\n    clients: [{{address: 127.0.{profile}.2}}]\n    rules: |"
        );
        for (rule, word) in ["json", "logs", "top", "stats", "changes"]
            .iter()
            .cycle()
            .take(20)
            .enumerate()
        {
            let _ = writeln!(
                file,
                "      GET %API_PREFIX_CONTAINERS%/app-{profile}-{rule}[a-z0-9_.-]*/{word}"
            );
        }
    }
    let proxy = start(&engine, &folder, &file).expect_frontend().start();
    for profile in [0, 50, 99] {
        let ask = |path: &str| {
            Client::connect_from(&format!("127.0.{profile}.2"), proxy.address())
                .request(path)
                .status
        };
        let own = ask(&format!("GET /v1.43/containers/app-{profile}-2-x/top"));
        let other = ask(&format!(
            "GET /v1.43/containers/app-{}-2-x/top",
            profile + 1
        ));
        assert_eq!((own, other), (200, 403), "{profile}");
    }
    // Two that an idle one may have, and sixteen for the profiles. The pages of the program itself
    // do not count: they grow with its code.
    proxy.settle();
    let own = proxy.memory("RssAnon");
    assert!(own < (2 + 16) << 10, "{own} KiB");
}

/// What the page shows can be started as it stands.
#[test]
fn the_example_of_the_documentation_starts() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let page = include_str!("../../../docs/profiles.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let example = example
        .replace("/run/cetusguard/homepage/docker.sock", "DIR/homepage.sock")
        .replace(
            "/run/cetusguard/monitoring/docker.sock",
            "DIR/monitoring.sock",
        )
        .replace(":2375", ":0");
    let proxy = start(&engine, &folder, &example)
        .expect_frontend()
        .expect_frontend()
        .expect_frontend()
        .start();
    let inspect = "GET /v1.43/containers/web/json";
    assert_eq!(
        [
            status(&proxy, "homepage.sock", inspect),
            status(&proxy, "monitoring.sock", inspect)
        ],
        [200, 403]
    );
}
