//! The result of migrate is started with the environment of the image, and compared with the
//! decisions of the other proxies. These are modelled here from their public files (see each
//! model), for every switch and for all pairs of them: no call is allowed that was refused, and a
//! note names each call that is refused although it was allowed.

use std::collections::BTreeMap;

use cetusguard_policy::guard::{Guard, GuardLevel};
use cetusguard_policy::rule::{RuleSet, parse};
use cetusguard_policy::{Call, ClientLimits, Mode, Profile, Verdict, decide};
use cetusguard_testkit::{Engine, Proxy, ProxyBuilder, TempDir};
use regex::Regex;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// Calls that clients make.
const CALLS: &[&str] = &[
    "GET /_ping",
    "HEAD /_ping",
    "GET /v1.43/_ping",
    "GET /version",
    "GET /v1.43/version",
    "GET /info",
    "GET /v1.43/info",
    "GET /events",
    "GET /v1.43/events?since=1",
    "GET /system/df",
    "GET /v1.43/system/df",
    "POST /auth",
    "GET /containers/json",
    "GET /v1.43/containers/json?all=1",
    "HEAD /v1.43/containers/json",
    "GET /containers/web/json",
    "GET /v1.43/containers/web/json",
    "GET /v1.43/containers/web/logs?stdout=1",
    "GET /containers/web/logs",
    "GET /v1.43/containers/web/top",
    "GET /v1.43/containers/web/stats",
    "GET /v1.43/containers/web/changes",
    "GET /v1.43/containers/web/export",
    "GET /v1.43/containers/web/archive?path=/etc",
    "HEAD /v1.43/containers/web/archive?path=/etc",
    "PUT /v1.43/containers/web/archive?path=/etc",
    "GET /v1.43/containers/web/attach/ws?stream=1",
    "POST /v1.43/containers/web/attach?stream=1",
    "POST /v1.43/containers/create",
    "POST /v1.43/containers/web/start",
    "POST /containers/web/start",
    "POST /v1.43/containers/web/stop",
    "POST /v1.43/containers/web/restart",
    "POST /v1.43/containers/web/kill",
    "POST /v1.43/containers/web/pause",
    "POST /v1.43/containers/web/unpause",
    "POST /v1.43/containers/web/rename?name=x2",
    "POST /v1.43/containers/web/update",
    "POST /v1.43/containers/web/wait",
    "POST /v1.43/containers/web/resize?h=1&w=1",
    "POST /v1.43/containers/web/exec",
    "POST /v1.43/containers/prune",
    "POST /v1.43/containers/web/checkpoints",
    "GET /v1.43/containers/web/checkpoints",
    "POST /v1.43/containers/web/copy",
    "DELETE /v1.43/containers/web",
    "DELETE /containers/web",
    "GET /v1.43/exec/abc1/json",
    "POST /v1.43/exec/abc1/start",
    "POST /v1.43/commit?container=web",
    "GET /v1.43/images/json",
    "GET /v1.43/images/nginx/json",
    "GET /v1.43/images/nginx/history",
    "GET /v1.43/images/nginx/get",
    "GET /v1.43/images/get?names=nginx",
    "GET /v1.43/images/search?term=x",
    "POST /v1.43/images/create?fromImage=nginx",
    "POST /v1.43/images/load",
    "POST /v1.43/images/nginx/push",
    "POST /v1.43/images/nginx/tag?repo=x",
    "POST /v1.43/images/prune",
    "DELETE /v1.43/images/nginx",
    "POST /v1.43/build",
    "POST /v1.43/build/prune",
    "POST /v1.43/session",
    "POST /v1.43/grpc",
    "GET /v1.43/networks",
    "GET /v1.43/networks/front",
    "POST /v1.43/networks/create",
    "POST /v1.43/networks/front/connect",
    "DELETE /v1.43/networks/front",
    "GET /v1.43/volumes",
    "GET /v1.43/volumes/data",
    "POST /v1.43/volumes/create",
    "DELETE /v1.43/volumes/data",
    "PUT /v1.43/volumes/data?version=1",
    "GET /v1.43/plugins",
    "POST /v1.43/plugins/x/enable",
    "GET /v1.43/swarm",
    "GET /v1.43/swarm/unlockkey",
    "POST /v1.43/swarm/init",
    "GET /v1.43/nodes",
    "GET /v1.43/nodes/n1",
    "GET /v1.43/services",
    "GET /v1.43/services/web/logs?stdout=1",
    "POST /v1.43/services/create",
    "DELETE /v1.43/services/web",
    "GET /v1.43/tasks",
    "GET /v1.43/secrets",
    "POST /v1.43/secrets/create",
    "GET /v1.43/configs",
    "GET /v1.43/distribution/nginx/json",
    "GET /v5.0.0/libpod/containers/json",
    "GET /v5.0.0/libpod/_ping",
    "POST /v5.0.0/libpod/containers/web/start",
];

/// A proxy's own decision: method, and path without its query.
type Decision<'d> = &'d dyn Fn(&str, &str) -> bool;

/// The result of migrate.
struct Migrated {
    /// Each file, by its path.
    files: BTreeMap<String, String>,
    /// The endpoints that some note says are stricter.
    noted: Vec<String>,
    settings: String,
}

fn migrate(proxy: &str, settings: &str) -> Migrated {
    let (files, notes) = answer(proxy, settings);
    let stricter = notes.iter().filter(|note| note["kind"] != "different");
    Migrated {
        files,
        noted: stricter.flat_map(endpoints).collect(),
        settings: format!("{proxy}: {settings}"),
    }
}

/// Migrates a compose file with several proxies, p0 and others, that stay by themselves.
fn migrate_all(proxy: &str, settings: &str, count: usize) -> Vec<Migrated> {
    let (files, notes) = answer(proxy, settings);
    let one = |index: usize| {
        let config = files[&format!("cetusguard-p{index}/cetusguard.yaml")].clone();
        let own = notes.iter().filter(|note| {
            note["what"]
                .as_str()
                .is_some_and(|what| what.starts_with(&format!("p{index}: ")))
        });
        let stricter = own.filter(|note| note["kind"] != "different");
        let files = BTreeMap::from([("cetusguard/cetusguard.yaml".to_owned(), config)]);
        Migrated {
            files,
            noted: stricter.flat_map(endpoints).collect(),
            settings: format!("{proxy}, p{index} of {settings}"),
        }
    };
    (0..count).map(one).collect()
}

/// The files and the notes that migrate answers with.
fn answer(proxy: &str, settings: &str) -> (BTreeMap<String, String>, Vec<Value>) {
    let folder = TempDir::new();
    let file = folder.write("settings", settings);
    let migrate = ProxyBuilder::bare(PROGRAM)
        .word("migrate")
        .word(proxy)
        .word(&file)
        .arg("--format", "json");
    let (code, out, errors) = migrate.run();
    assert!(
        matches!(code, Some(0 | 1)) && errors.is_empty(),
        "{settings}\n{errors}"
    );
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let files = answer["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| (text(&file["path"]), text(&file["text"])));
    (
        files.collect(),
        answer["notes"].as_array().expect("notes").clone(),
    )
}

/// The names of the endpoints that a note is about.
fn endpoints(note: &Value) -> Vec<String> {
    let names = note["endpoints"].as_array().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// The environment that the image sets.
#[expect(
    clippy::disallowed_methods,
    reason = "a test may read the image's file"
)]
fn image_environment() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Dockerfile");
    let text = std::fs::read_to_string(path)
        .expect("the Dockerfile")
        .replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.split_once('='));
    let env: Vec<_> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(
        env.iter()
            .any(|(name, _)| name == "CETUSGUARD_FRONTEND_ADDR"),
        "the image has an address of its own"
    );
    env
}

impl Migrated {
    fn config(&self) -> &str {
        &self.files["cetusguard/cetusguard.yaml"]
    }

    /// Starts it as its compose file does: in the image's environment and the service's, with the
    /// folder of the configuration. Ports are others, and the engine is the test's.
    fn start(&self, engine: &Engine) -> (Proxy, TempDir) {
        let folder = TempDir::new();
        let mut config = String::new();
        let mut frontends = 0;
        for line in self.config().lines() {
            let line = match line.split_once("addr: ") {
                Some((key, _)) if key.ends_with("backend-") => {
                    format!("backend-addr: \"{}\"", engine.address())
                }
                Some((key, address)) => {
                    frontends += 1;
                    let address = address
                        .trim_matches('"')
                        .strip_prefix("unix:/")
                        .map_or_else(
                            || "tcp://127.0.0.1:0".to_owned(),
                            |path| format!("unix://{}", folder.file(&path.replace('/', "_"))),
                        );
                    format!("{key}addr: \"{address}\"")
                }
                None => line.to_owned(),
            };
            config += &(line + "\n");
        }
        // The test is not root.
        let config: String = config
            .lines()
            .filter(|line| !line.contains("socket-owner") && !line.contains("socket-group"))
            .fold(String::new(), |text, line| text + line + "\n");
        folder.write("cetusguard.yaml", &config);
        let compose = &self.files["compose.yaml"];
        assert!(compose.contains("\"./cetusguard:/config:ro\""), "{compose}");
        let mut builder = ProxyBuilder::bare(PROGRAM);
        for (name, value) in image_environment() {
            builder = builder.env(&name, &value);
        }
        let environment = compose
            .split_once("    environment:\n")
            .expect("an environment")
            .1;
        for line in environment
            .lines()
            .map_while(|line| line.strip_prefix("      "))
        {
            let (name, value) = line.split_once(": ").expect("NAME: VALUE");
            let value = value
                .trim_matches('"')
                .replace("/config", &folder.path().to_string_lossy());
            builder = builder.env(name, &value);
        }
        for _ in 0..frontends {
            builder = builder.expect_frontend();
        }
        (builder.start(), folder)
    }

    /// Compares with the decisions of a proxy, of which some versions may allow more than others.
    fn compare(
        &self,
        allowed_here: impl Fn(&str) -> bool,
        strictest: Decision<'_>,
        loosest: Decision<'_>,
    ) {
        for call in CALLS {
            let (method, target) = call.split_once(' ').expect("METHOD PATH");
            let path = target.split('?').next().expect("a path");
            let here = allowed_here(call);
            // The answer to HEAD is a part of the answer to GET.
            let is_head = method == "HEAD" && strictest("GET", path);
            assert!(
                !here || is_head || strictest(method, path),
                "{call} is allowed here alone: {}\n{}",
                self.settings,
                self.config()
            );
            if !here && loosest(method, path) {
                let call = Call::read(method, target).expect(call);
                let name = call.endpoint().expect("an endpoint").id.name();
                assert!(
                    self.noted.iter().any(|noted| noted == name),
                    "no note says why {name} is refused: {}\n{}",
                    self.settings,
                    self.config()
                );
            }
        }
    }

    /// Compares the decisions of the running program.
    fn hold(&self, engine: &Engine, strictest: Decision<'_>, loosest: Decision<'_>) {
        let (proxy, _folder) = self.start(engine);
        self.compare(|call| passes(&proxy, call), strictest, loosest);
    }

    /// Compares the decisions of the rules for clients without a profile, without a program.
    fn hold_rules(&self, strictest: Decision<'_>, loosest: Decision<'_>) {
        let profile = profile(self.config());
        self.compare(|call| is_allowed(&profile, call), strictest, loosest);
    }
}

/// Whether the engine gets a call. One that cannot be answered without knowing more of the engine
/// is not refused.
fn passes(proxy: &Proxy, call: &str) -> bool {
    let body = match call.split('?').next().expect("a path") {
        path if path.ends_with("/create") && path.starts_with("POST") => {
            "{\"Image\":\"nginx\",\"Name\":\"x\"}"
        }
        path if path.ends_with("/exec") => "{\"Cmd\":[\"ls\"]}",
        _ => "{}",
    };
    let mut client = proxy.client();
    let has_body = call.starts_with("POST") || call.starts_with("PUT");
    let status = if has_body {
        client.request_with(call, body).status
    } else {
        client.request(call).status
    };
    assert_ne!(status, 0, "{call}");
    status != 403
}

/// The rules of clients without a profile.
fn profile(config: &str) -> Profile {
    let rules = config
        .split_once("\nrules: |\n")
        .map_or("", |(_, rest)| rest);
    let rules: String = rules
        .lines()
        .map_while(|line| line.strip_prefix("  "))
        .fold(String::new(), |text, line| text + line + "\n");
    let guard = Guard {
        level: GuardLevel::Baseline,
        ..Guard::default()
    };
    Profile {
        name: "default".to_owned(),
        rules: RuleSet::new(parse("rules", &rules).expect("rules")).with_exact_methods(),
        limits: ClientLimits::default(),
        guard: guard.into(),
        targets: Default::default(),
        view: Default::default(),
        mode: Mode::Enforce,
        recreation: None,
    }
}

fn is_allowed(profile: &Profile, call: &str) -> bool {
    let (method, target) = call.split_once(' ').expect("METHOD PATH");
    matches!(
        decide(Call::read(method, target).expect(call), profile),
        Verdict::Allow(_)
    )
}

const SECTIONS: &[&str] = &[
    "AUTH",
    "BUILD",
    "COMMIT",
    "CONFIGS",
    "CONTAINERS",
    "DISTRIBUTION",
    "EVENTS",
    "EXEC",
    "GRPC",
    "IMAGES",
    "INFO",
    "NETWORKS",
    "NODES",
    "PING",
    "PLUGINS",
    "SECRETS",
    "SERVICES",
    "SESSION",
    "SWARM",
    "SYSTEM",
    "TASKS",
    "VERSION",
    "VOLUMES",
];
const ACTIONS: &[(&str, &str)] = &[
    ("ALLOW_RESTARTS", "((stop)|(restart)|(kill))"),
    ("ALLOW_START", "start"),
    ("ALLOW_STOP", "stop"),
    ("ALLOW_PAUSE", "pause"),
    ("ALLOW_UNPAUSE", "unpause"),
];
const TECNATIVA_PARTS: &[(&str, &str)] = &[
    ("ALLOW_EXEC", "exec"),
    ("ALLOW_KILL", "kill"),
    ("ALLOW_ATTACH", "attach"),
    ("ALLOW_ARCHIVE", "archive"),
    ("ALLOW_EXPORT", "export"),
    ("ALLOW_LOGS", "logs"),
];
const LINUXSERVER_PARTS: &[(&str, &str)] = &[
    ("ALLOW_LOGS", "logs"),
    ("ALLOW_TOP", "top"),
    ("ALLOW_CHANGES", "changes"),
    ("ALLOW_EXPORT", "export"),
    ("ALLOW_ARCHIVE", "archive"),
];

/// The lines of a HAProxy frontend in their order, of which the first that holds decides. Facts:
/// `haproxy.cfg` of Tecnativa's proxy, 0.4 (`Tecnativa(false)`) and its main branch of September
/// 2026 (`Tecnativa(true)`), and of LinuxServer's, before 18 August 2026 (`LinuxServer(false)`) and
/// since.
#[derive(Clone, Copy)]
enum Haproxy {
    Tecnativa(bool),
    LinuxServer(bool),
}

struct Frontend {
    container: Vec<(String, Regex)>,
    sections: Vec<(String, Regex)>,
}

impl Frontend {
    fn new() -> Self {
        let line = |name: &str, rest: &str| {
            (
                name.to_owned(),
                Regex::new(&format!(r"(?i)^(/v[0-9.]+)?{rest}")).expect("a pattern"),
            )
        };
        let parts = ACTIONS
            .iter()
            .chain(TECNATIVA_PARTS)
            .chain(LINUXSERVER_PARTS);
        let container = parts
            .map(|(name, part)| line(name, &format!("/containers/[a-zA-Z0-9_.-]+/{part}")))
            .collect();
        let sections = SECTIONS.iter().map(|name| {
            let word = if *name == "PING" {
                "_ping".to_owned()
            } else {
                name.to_lowercase()
            };
            line(name, &format!("/{word}"))
        });
        Self {
            container,
            sections: sections.collect(),
        }
    }

    fn allows(&self, kind: Haproxy, on: &[&str], method: &str, path: &str) -> bool {
        // EVENTS, PING and VERSION are on unless they are turned off, which `!NAME` stands for
        // here.
        let is_on = |name: &str| {
            let is_open = ["EVENTS", "PING", "VERSION"].contains(&name)
                && !on.contains(&format!("!{name}").as_str());
            is_open || on.contains(&name)
        };
        let is_read = ["GET", "HEAD"].contains(&method);
        let matches = |names: &[(&str, &str)], wanted: bool| {
            let known = names.iter().filter(|(name, _)| is_on(name) == wanted);
            known.into_iter().any(|(name, _)| {
                self.container
                    .iter()
                    .any(|(known, regex)| known == name && regex.is_match(path))
            })
        };
        let section = || {
            self.sections
                .iter()
                .any(|(name, regex)| is_on(name) && regex.is_match(path))
        };
        match kind {
            Haproxy::Tecnativa(false) => {
                (is_read || is_on("POST")) && (matches(ACTIONS, true) || section())
            }
            Haproxy::Tecnativa(true) => {
                (is_read || is_on(method))
                    && !matches(TECNATIVA_PARTS, false)
                    && (matches(ACTIONS, true) || section())
            }
            Haproxy::LinuxServer(is_new) => {
                matches(ACTIONS, true)
                    || ((is_read || is_on("POST"))
                        && !(is_new && matches(LINUXSERVER_PARTS, false))
                        && section())
            }
        }
    }
}

/// Lines of an environment file for switches.
fn lines(on: &[&str]) -> String {
    let line = |name: &&str| {
        name.strip_prefix('!')
            .map_or_else(|| format!("{name}=1\n"), |name| format!("{name}=0\n"))
    };
    let text: String = on.iter().map(line).collect();
    if text.is_empty() {
        "POST=0\n".to_owned()
    } else {
        text
    }
}

/// Returns the versions that settings without a tag may have been written for: a switch that only
/// the newer one has names it.
fn tecnativa_versions(on: &[&str]) -> &'static [Haproxy] {
    let names_parts = TECNATIVA_PARTS.iter().any(|(name, _)| on.contains(name));
    if names_parts {
        &[Haproxy::Tecnativa(true)]
    } else {
        &[Haproxy::Tecnativa(false), Haproxy::Tecnativa(true)]
    }
}

fn linuxserver_versions(_: &[&str]) -> &'static [Haproxy] {
    &[Haproxy::LinuxServer(false), Haproxy::LinuxServer(true)]
}

/// One family of switches.
struct Switches {
    proxy: &'static str,
    image: &'static str,
    names: Vec<&'static str>,
    versions: fn(&[&str]) -> &'static [Haproxy],
    frontend: Frontend,
}

/// Whether every pair of switches is compared, as `CETUSGUARD_ALL_PAIRS=1 cargo test --test
/// migrate_peers` asks for.
fn every_pair() -> bool {
    std::env::var_os("CETUSGUARD_ALL_PAIRS").is_some()
}

impl Switches {
    fn tecnativa() -> Self {
        let more = [
            "POST", "DELETE", "PUT", "PATCH", "!EVENTS", "!PING", "!VERSION",
        ];
        let names = SECTIONS.iter().chain(&more).copied();
        let parts = ACTIONS.iter().chain(TECNATIVA_PARTS).map(|(name, _)| *name);
        Self {
            proxy: "tecnativa",
            image: "tecnativa/docker-socket-proxy",
            names: names.chain(parts).collect(),
            versions: tecnativa_versions,
            frontend: Frontend::new(),
        }
    }

    fn linuxserver() -> Self {
        let names = SECTIONS
            .iter()
            .chain(&["POST", "!EVENTS", "!PING", "!VERSION"])
            .copied();
        let parts = ACTIONS
            .iter()
            .chain(LINUXSERVER_PARTS)
            .map(|(name, _)| *name);
        Self {
            proxy: "linuxserver",
            image: "linuxserver/socket-proxy",
            names: names.chain(parts).collect(),
            versions: linuxserver_versions,
            frontend: Frontend::new(),
        }
    }

    fn hold(&self, on: &[&str], engine: &Engine) {
        self.compare(on, &migrate(self.proxy, &lines(on)), Some(engine));
    }

    /// Compares, in a running program where there is an engine.
    fn compare(&self, on: &[&str], migrated: &Migrated, engine: Option<&Engine>) {
        let versions = (self.versions)(on);
        let strictest = |method: &str, path: &str| {
            versions
                .iter()
                .all(|kind| self.frontend.allows(*kind, on, method, path))
        };
        let loosest = |method: &str, path: &str| {
            versions
                .iter()
                .any(|kind| self.frontend.allows(*kind, on, method, path))
        };
        match engine {
            Some(engine) => migrated.hold(engine, &strictest, &loosest),
            None => migrated.hold_rules(&strictest, &loosest),
        }
    }

    /// Nothing, each switch alone, each with the methods and sections that it may depend on, and
    /// all.
    fn hold_all_started(&self) {
        let engine = Engine::ok();
        let all: Vec<_> = self
            .names
            .iter()
            .filter(|name| !name.starts_with('!'))
            .copied()
            .collect();
        self.hold(&[], &engine);
        self.hold(&all, &engine);
        for name in &self.names {
            self.hold(&[name], &engine);
            let others = all
                .iter()
                .filter(|other| *other != name && format!("!{other}") != **name)
                .copied();
            let others: Vec<_> = others
                .chain(name.starts_with('!').then_some(*name))
                .collect();
            self.hold(&others, &engine);
        }
    }

    /// One compose file for each switch, with a service for each other one. Clients on the host
    /// keep them apart.
    fn hold_all_pairs(&self) {
        for (at, one) in self.names.iter().enumerate() {
            let name = |name: &str| name.trim_start_matches('!').to_owned();
            let others = self.names[at + 1..]
                .iter()
                .filter(|other| name(other) != name(one));
            // All of them take minutes: by default each switch meets a sixth of the others.
            let is_chosen = |other: usize| every_pair() || (at + other).is_multiple_of(6);
            let chosen = others.enumerate().filter(|(other, _)| is_chosen(*other));
            let pairs: Vec<_> = chosen.map(|(_, other)| [*one, *other]).collect();
            let service = |(index, on): (usize, &[&str; 2])| {
                let env = lines(on)
                    .lines()
                    .map(|line| format!("\"{line}\""))
                    .collect::<Vec<_>>()
                    .join(", ");
                format!(
                    "  p{index}:\n    image: x/{}\n    ports: [\"2375\"]\n    environment: \
                    [{env}]\n",
                    self.image
                )
            };
            let services: String = pairs.iter().enumerate().map(service).collect();
            // One service alone would have the folder of a single instance.
            let text = format!(
                "services:\n{services}  last:\n    image: {}\n    ports: [\"2375\"]\n",
                self.image
            );
            for (index, migrated) in migrate_all(self.proxy, &text, pairs.len())
                .into_iter()
                .enumerate()
            {
                self.compare(&pairs[index], &migrated, None);
            }
        }
    }
}

#[test]
fn switches_of_tecnativa_mean_the_same_in_the_image() {
    Switches::tecnativa().hold_all_started();
}

/// A release's tag tells that its switches open whole sections, and the tag of the main branch that
/// they do not.
#[test]
fn tags_of_tecnativa_tell_the_version() {
    let frontend = Frontend::new();
    let sections = [
        "CONTAINERS",
        "EXEC",
        "IMAGES",
        "POST",
        "ALLOW_RESTARTS",
        "ALLOW_START",
    ];
    for count in 1..=sections.len() {
        let on = &sections[..count];
        for (tag, kind) in [
            ("v0.4.2", Haproxy::Tecnativa(false)),
            ("edge", Haproxy::Tecnativa(true)),
        ] {
            let variables: String = on.iter().map(|name| format!("      {name}: 1\n")).collect();
            let text = format!(
                "services:\n  p:\n    image: tecnativa/docker-socket-proxy:{tag}\n    \
                environment:\n{variables}"
            );
            let decide = |method: &str, path: &str| frontend.allows(kind, on, method, path);
            migrate("tecnativa", &text).hold_rules(&decide, &decide);
        }
    }
}

#[test]
fn switches_of_linuxserver_mean_the_same_in_the_image() {
    Switches::linuxserver().hold_all_started();
}

#[test]
fn pairs_of_switches_of_tecnativa_mean_the_same() {
    Switches::tecnativa().hold_all_pairs();
}

#[test]
fn pairs_of_switches_of_linuxserver_mean_the_same() {
    Switches::linuxserver().hold_all_pairs();
}

/// Facts: `compileRegexp` and `handleHTTPRequest` of wollomatic/socket-proxy 1.13: each expression
/// between `^` and `$`, compared with the decoded path; one match is enough.
#[test]
fn expressions_of_wollomatic_mean_the_same_in_the_image() {
    let engine = Engine::ok();
    for rules in [
        &[
            ("GET", "/v1\\..{1,2}/(version|containers/.*|events.*)"),
            ("HEAD", "/_ping"),
        ] as &[_],
        &[
            ("GET", ".*"),
            ("HEAD", ".*"),
            ("POST", ".*"),
            ("PUT", ".*"),
            ("DELETE", ".*"),
            ("PATCH", ".*"),
        ],
        &[
            ("GET", "/version"),
            ("GET", "/_ping"),
            ("GET", "/v1\\.[0-9]+/containers/(json|web/json)"),
            ("POST", "/v1\\..+/containers/web/(start|stop)"),
        ],
        &[
            ("GET", "/containers/json|/v1.43/info"),
            ("POST", "/v1.43/containers/.*/start|/v1.43/auth"),
        ],
        &[
            ("GET", "(/v1\\.[0-9]+)?/(images|networks|volumes)(/.*)?"),
            ("POST", "(/v1\\.[0-9]+)?/images/.*"),
            ("DELETE", ".*/images/.+"),
        ],
        &[],
    ] {
        let regexes: Vec<_> = rules
            .iter()
            .map(|(method, text)| (*method, Regex::new(&format!("^{text}$")).expect(text)))
            .collect();
        let decide = |method: &str, path: &str| {
            regexes
                .iter()
                .any(|(known, regex)| *known == method && regex.is_match(path))
        };
        let flags: Vec<_> = rules
            .iter()
            .map(|(method, text)| format!("\"-allow{method}={}\"", text.replace('\\', "\\\\")))
            .collect();
        let flags = ["-listenip=0.0.0.0", "-allowfrom=0.0.0.0/0"]
            .into_iter()
            .map(str::to_owned)
            .chain(flags)
            .collect::<Vec<_>>()
            .join(", ");
        migrate("wollomatic", &format!("command: [{flags}]\n")).hold(&engine, &decide, &decide);
    }
}

/// Facts: `cetusguard/rule.go` of the Go program: as above, with variables.
#[test]
fn rules_of_the_go_program_mean_the_same_in_the_image() {
    let engine = Engine::ok();
    let prefix = r"(?:/v[0-9]+(?:\.[0-9]+)*)?";
    for lines in [
        &[
            "GET %API_PREFIX%/events",
            "GET,POST %API_PREFIX_EXEC%(/.*)?",
        ] as &[_],
        &["GET,HEAD,POST,PUT,DELETE .*"],
        &[
            "GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?",
            "POST %API_PREFIX_CONTAINERS%/web/(start|stop)",
            "! DELETE .*",
        ],
        &["GET %API_PREFIX%/info|%API_PREFIX%/containers/web/top"],
    ] {
        let built_in = [
            "GET,HEAD %API_PREFIX%/_ping",
            "GET %API_PREFIX%/version",
            "GET %API_PREFIX%/info",
        ];
        let all: Vec<_> = lines
            .iter()
            .chain(&built_in)
            .filter(|line| !line.starts_with('!'))
            .map(|line| {
                let (methods, pattern) = line.split_once(' ').expect("METHODS PATTERN");
                let pattern = pattern
                    .replace("%API_PREFIX_EXEC%", "%API_PREFIX%/exec")
                    .replace("%API_PREFIX_CONTAINERS%", "%API_PREFIX%/containers");
                (
                    methods,
                    Regex::new(&format!("^{}$", pattern.replace("%API_PREFIX%", prefix)))
                        .expect(line),
                )
            })
            .collect();
        let decide = |method: &str, path: &str| {
            all.iter().any(|(methods, regex)| {
                methods.split(',').any(|known| known == method) && regex.is_match(path)
            })
        };
        let rules: String = lines
            .iter()
            .map(|line| format!("        {line}\n"))
            .collect();
        let compose = format!(
            "services:\n  p:\n    image: hectorm/cetusguard:v1\n    environment:\n      \
            CETUSGUARD_RULES: |\n{rules}"
        );
        migrate("cetusguard", &compose).hold(&engine, &decide, &decide);
    }
}

/// Facts: `glob.go` and `compat.go` of CodesWhat/sockguard 2.2: the first rule that matches
/// decides. It refuses to start with rules that hand over contents, unless it is told that this is
/// meant, so these are not compared.
#[test]
fn rules_of_sockguard_mean_the_same_in_the_image() {
    let version = Regex::new(r"^/v[0-9.]+/").expect("a pattern");
    let engine = Engine::ok();
    for rules in [
        &[
            ("GET", "/_ping", true),
            ("GET", "/containers/*/json", true),
            ("*", "/images/**", true),
        ] as &[_],
        &[
            ("GET", "/containers/*/logs", false),
            ("GET", "/secrets/**", false),
            ("GET", "/**", true),
        ],
        &[
            ("GET", "/containers/web/json", false),
            ("GET", "/containers/*/json", true),
            ("POST", "/containers/web/start", true),
        ],
        &[
            ("POST", "/containers/w*/stop", false),
            ("*", "/containers/**", true),
        ],
        &[("*", "/**", true)],
        &[("*", "/**", false), ("GET", "/info", true)],
        &[
            ("POST,DELETE", "/volumes/**", true),
            ("GET", "/volumes", true),
        ],
    ] {
        let globs: Vec<_> = rules
            .iter()
            .map(|(methods, glob, allows)| {
                let regex = regex::escape(glob)
                    .replace("/\\*\\*", "(/.*)?")
                    .replace("\\*\\*", ".*")
                    .replace("\\*", "[^/]*");
                (
                    *methods,
                    Regex::new(&format!("^{regex}$")).expect(glob),
                    *allows,
                )
            })
            .collect();
        let decide = |method: &str, path: &str| {
            let path = version.replace(path, "/");
            let found = globs.iter().find(|(methods, regex, _)| {
                (*methods == "*" || methods.split(',').any(|known| known == method))
                    && regex.is_match(&path)
            });
            found.is_some_and(|(.., allows)| *allows) && !path.starts_with("/libpod/")
        };
        let text: String = rules
            .iter()
            .map(|(methods, glob, allows)| {
                format!(
                    "  - match: {{ method: \"{methods}\", path: \"{glob}\" }}\n    action: {}\n",
                    if *allows { "allow" } else { "deny" }
                )
            })
            .collect();
        migrate(
            "sockguard",
            &format!("listen: {{address: \":2375\"}}\nrules:\n{text}"),
        )
        .hold(&engine, &decide, &decide);
    }
}

/// Facts: `go/socket-proxy/main.go` of 11notes/docker-socket-proxy 2.1.
#[test]
fn what_11notes_lets_pass_means_the_same_in_the_image() {
    let closed = [
        r"containers/[^ ]+/attach/ws.*",
        r"containers/[^ ]+/export.*",
        r"containers/[^ ]+/archive.*",
        "secrets.*",
        "configs.*",
        "swarm/unlockkey.*",
        "images/get.*",
    ];
    let closed: Vec<_> = closed
        .iter()
        .map(|text| Regex::new(&format!("(?i){text}")).expect(text))
        .collect();
    let decide = |method: &str, path: &str| {
        ["GET", "HEAD"].contains(&method) && !closed.iter().any(|regex| regex.is_match(path))
    };
    let migrated = migrate(
        "11notes",
        "services:\n  p:\n    image: 11notes/socket-proxy:2.1.3\n    volumes: \
        [\"/run/docker.sock:/run/docker.sock:ro\", \"socket:/run/proxy\"]\n",
    );
    // Docker has none of Podman's own endpoints, so no note is made of them.
    let of_docker = |method: &str, path: &str| decide(method, path) && !path.contains("/libpod/");
    migrated.hold_rules(&decide, &of_docker);
    let (proxy, _folder) = migrated.start(&Engine::ok());
    assert_eq!(proxy.addresses().len(), 2);
}
