//! CodesWhat/sockguard: its own YAML file, its variables, and the switches of another proxy that it
//! takes over.
//!
//! Facts: `app/internal/glob/glob.go`, `app/internal/config/compat.go`, `config.go` and `load.go`,
//! its Dockerfile, and its configuration page (2.2).

use super::globs::{self, Ordered};
use super::note::Kind;
use super::plan::{Class, Frontend, Plan, Rights};
use super::settings::Settings;
use super::words;
use super::yaml::{self, Value};
use crate::config::address::Address;
use crate::log::Level;

/// Where its image has its file.
const FILE: &str = "/etc/sockguard/sockguard.yaml";

/// What its file may hold at the top.
pub(super) const KEYS: &[&str] = &[
    "admin",
    "clients",
    "health",
    "listen",
    "log",
    "metrics",
    "ownership",
    "reload",
    "request_body",
    "response",
    "rules",
    "upstream",
];

/// What it allows without any rules.
const DEFAULT: &[(&str, &str)] = &[
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("GET", "/version"),
    ("GET", "/events"),
];

/// Switches of another proxy that it takes over, with what they open.
const SECTIONS: &[(&str, &str)] = &[
    ("PING", "/_ping"),
    ("VERSION", "/version"),
    ("EVENTS", "/events"),
    ("AUTH", "/auth/**"),
    ("BUILD", "/build/**"),
    ("COMMIT", "/commit/**"),
    ("CONFIGS", "/configs/**"),
    ("CONTAINERS", "/containers/**"),
    ("DISTRIBUTION", "/distribution/**"),
    ("EXEC", "/exec/**"),
    ("EXEC", "/containers/*/exec"),
    ("GRPC", "/grpc/**"),
    ("IMAGES", "/images/**"),
    ("INFO", "/info"),
    ("NETWORKS", "/networks/**"),
    ("NODES", "/nodes/**"),
    ("PLUGINS", "/plugins/**"),
    ("SECRETS", "/secrets/**"),
    ("SERVICES", "/services/**"),
    ("SESSION", "/session/**"),
    ("SWARM", "/swarm/**"),
    ("SYSTEM", "/system/**"),
    ("TASKS", "/tasks/**"),
    ("VOLUMES", "/volumes/**"),
];

/// The same for actions, which need no `POST`.
const ACTIONS: &[(&[&str], &str, &str)] = &[
    (&["ALLOW_CREATE"], "POST", "/containers/create"),
    (&["ALLOW_DELETE"], "DELETE", "/containers/*"),
    (&["ALLOW_EXEC"], "POST", "/containers/*/exec"),
    (
        &["ALLOW_KILL", "ALLOW_RESTARTS", "ALLOW_RESTART"],
        "POST",
        "/containers/*/kill",
    ),
    (&["ALLOW_PAUSE"], "POST", "/containers/*/pause"),
    (&["ALLOW_PRUNE"], "POST", "/containers/prune"),
    (
        &["ALLOW_RESTARTS", "ALLOW_RESTART"],
        "POST",
        "/containers/*/restart",
    ),
    (&["ALLOW_START"], "POST", "/containers/*/start"),
    (
        &["ALLOW_STOP", "ALLOW_RESTARTS", "ALLOW_RESTART"],
        "POST",
        "/containers/*/stop",
    ),
    (&["ALLOW_UNPAUSE"], "POST", "/containers/*/unpause"),
];

/// Its settings: variables go before the file.
struct Written<'s> {
    settings: &'s Settings,
    file: Option<Value>,
}

impl Written<'_> {
    fn value(&self, key: &str) -> String {
        match self.settings.var(&format!(
            "SOCKGUARD_{}",
            key.replace('.', "_").to_uppercase()
        )) {
            "" => self
                .node(key)
                .map(Value::plain)
                .unwrap_or_default()
                .to_owned(),
            var => var.to_owned(),
        }
    }

    fn node(&self, key: &str) -> Option<&Value> {
        key.split('.')
            .try_fold(self.file.as_ref()?, |node, key| node.get(key))
    }
}

/// Plans for its file, its variables, and those that it takes over from another proxy.
pub(super) fn plan(settings: &Settings, plan: &mut Plan) {
    let file = settings.own.clone().or_else(|| mounted(settings, plan));
    let written = Written { settings, file };
    addresses(&written, plan);
    log(&written, plan);
    let reads_contents = written.value("insecure_allow_read_exfiltration") == "true";
    let rules = match written
        .node("rules")
        .map(ordered)
        .filter(|rules| !rules.is_empty())
    {
        Some(rules) => rules,
        None => switches(settings),
    };
    let (mut rights, notes) = globs::rights(rules, reads_contents);
    plan.notes.extend(notes);
    if let Some(body) = written.node("request_body") {
        rights.guard_allow = super::bodies::exceptions(body, plan);
    }
    clients(&written, rights, plan);
    losses(&written, plan);
    // Its image runs as this user, and has the engine's socket by a group.
    plan.user = Some("65532:65532");
    plan.unneeded.push(FILE.to_owned());
}

/// Its file as it is mounted; that of the image has the default rules.
fn mounted(settings: &Settings, plan: &mut Plan) -> Option<Value> {
    let mut args = settings.args.iter();
    let flag = args.find_map(|arg| match arg.trim_start_matches('-').split_once('=') {
        Some(("config", path)) => Some(path.to_owned()),
        _ => None,
    });
    let after = settings
        .args
        .iter()
        .position(|arg| arg == "--config" || arg == "-c");
    let flag = flag.or_else(|| settings.args.get(after? + 1).cloned());
    let named = match settings.var("SOCKGUARD_CONFIG") {
        "" => flag,
        path => Some(path.to_owned()),
    };
    let path = named.as_deref().unwrap_or(FILE);
    let is_of_image = path.starts_with("/etc/sockguard/")
        && !settings
            .mounts
            .iter()
            .any(|mount| mount.path_of(path).is_some());
    match settings.file_in_container(path) {
        Ok(text) => match yaml::read(&text) {
            Ok(file) => Some(file),
            Err(mistakes) => {
                plan.lack(format!(
                    "{path} cannot be read: {}",
                    mistakes.0[0].in_one_line()
                ));
                None
            }
        },
        Err(_) if is_of_image && path == FILE => None,
        Err(_) if is_of_image => {
            plan.lack(format!(
                "{path} is a file of its image: give migrate that file"
            ));
            None
        }
        Err(why) => {
            plan.lack(format!(
                "its rules stand in {path}, which cannot be read ({why}): run migrate on the \
                compose file beside it, or on that file"
            ));
            None
        }
    }
}

fn addresses(written: &Written<'_>, plan: &mut Plan) {
    let (socket, address) = (
        written.value("listen.socket"),
        written.value("listen.address"),
    );
    let addr = match (socket.as_str(), address.as_str()) {
        ("", "") => "tcp://127.0.0.1:2375".to_owned(),
        ("", address) => format!("tcp://{address}"),
        (socket, _) => format!("unix://{socket}"),
    };
    let mut frontend = Frontend::at("tcp://127.0.0.1:2375");
    match Address::frontend(&addr) {
        Ok(_) => frontend.addr = addr,
        Err(expected) => plan.note(
            Kind::Missing,
            format!("listen: {addr} is no address here: {expected}"),
        ),
    }
    let is_socket = frontend.socket().is_some();
    for (key, option) in [
        ("listen.socket_mode", "socket-mode"),
        ("listen.tls.cert_file", "tls-cert"),
        ("listen.tls.key_file", "tls-key"),
        ("listen.tls.client_ca_file", "tls-cacert"),
    ] {
        let value = written.value(key);
        if !value.is_empty() && is_socket == (option == "socket-mode") {
            frontend.keys.push((option, value));
        }
    }
    plan.frontends.push(frontend);
    let names = [
        "common_names",
        "dns_names",
        "ip_addresses",
        "uri_sans",
        "public_key_sha256_pins",
    ];
    for name in names.iter().filter(|name| {
        written
            .node(&format!("listen.tls.{name}"))
            .is_some_and(|node| !node.items().is_empty())
    }) {
        plan.lack(format!(
            "listen.tls.{name} let in some certificates alone, and is not here: write profiles \
            with cert-cn, cert-dns and their kind: docs/profiles.md"
        ));
    }
    let upstream = match written.value("upstream.socket") {
        path if path.is_empty() => written.settings.var("SOCKET_PATH").trim().to_owned(),
        path => path,
    };
    plan.backend = format!(
        "unix://{}",
        if upstream.is_empty() {
            "/var/run/docker.sock"
        } else {
            &upstream
        }
    );
}

fn log(written: &Written<'_>, plan: &mut Plan) {
    let level = match written.value("log.level") {
        level if level.is_empty() => written.settings.var("LOG_LEVEL").to_owned(),
        level => level,
    };
    match Level::parse(&level) {
        _ if level.is_empty() => {}
        Ok(_) => plan.option("log-level", level.to_lowercase()),
        Err(_) => plan.note(
            Kind::Different,
            format!("log.level {level} is no level: the log has the default one"),
        ),
    }
    if written.value("log.format") == "json" {
        plan.option("log-format", "json");
    }
}

/// Reads a list of its rules.
fn ordered(node: &Value) -> Vec<Ordered> {
    let read = |item: &Value| {
        let found = item.get("match")?;
        let method = found.get("method").map_or("*", Value::plain);
        let allows = item.get("action").map(Value::plain).unwrap_or_default() == "allow";
        Some(Ordered::new(method, found.get("path")?.plain(), allows))
    };
    node.items().iter().filter_map(read).collect()
}

/// The rules that it makes of another proxy's switches; its own where there are none.
fn switches(settings: &Settings) -> Vec<Ordered> {
    let is_on = |name: &str, default: bool| match settings.var(name).to_ascii_lowercase().as_str() {
        "" => default,
        value => matches!(value, "1" | "true" | "yes"),
    };
    let is_switch = |name: &str| {
        name == "POST"
            || SECTIONS.iter().any(|(known, _)| *known == name)
            || ACTIONS.iter().any(|(known, ..)| known.contains(&name))
    };
    if !settings.vars.iter().any(|(name, _)| is_switch(name)) {
        return DEFAULT
            .iter()
            .map(|(method, path)| Ordered::new(method, path, true))
            .collect();
    }
    let methods = if is_on("POST", false) {
        "*"
    } else {
        "GET,HEAD"
    };
    let sections = SECTIONS
        .iter()
        .filter(|(name, _)| is_on(name, ["PING", "VERSION", "EVENTS"].contains(name)));
    let actions = ACTIONS
        .iter()
        .filter(|(names, ..)| names.iter().any(|name| is_on(name, false)));
    sections
        .map(|(_, path)| Ordered::new(methods, path, true))
        .chain(actions.map(|(_, method, path)| Ordered::new(method, path, true)))
        .collect()
}

/// Who has the rights: everybody, or some addresses. What gives some clients other rights is not
/// read, so nobody has any then.
fn clients(written: &Written<'_>, mut rights: Rights, plan: &mut Plan) {
    let of_var = |name: &str| {
        written
            .settings
            .vars
            .iter()
            .any(|(known, _)| known.starts_with(name))
    };
    let is_written = |key: &str| {
        written
            .node(&format!("clients.{key}"))
            .is_some_and(|node| !node.texts().is_empty())
    };
    let has_profiles = is_written("profiles") || of_var("SOCKGUARD_CLIENTS_PROFILES");
    let has_labels = written.value("clients.container_labels.enabled") == "true";
    if has_profiles || has_labels {
        rights.closed = rights.rules.drain(..).map(|(rule, _)| rule).collect();
        plan.lack(
            "clients: clients have rights of their own there, which are not read; so the rules \
            stand in cetusguard.yaml as comments: write them as profiles: docs/profiles.md",
        );
    }
    let var = words::split(
        &written
            .settings
            .var("SOCKGUARD_CLIENTS_ALLOWED_CIDRS")
            .replace(',', " "),
    );
    let of_file = written
        .node("clients.allowed_cidrs")
        .map(Value::texts)
        .unwrap_or_default();
    let networks: Vec<_> = if var.is_empty() {
        of_file.into_iter().map(str::to_owned).collect()
    } else {
        var
    };
    if networks.is_empty()
        || plan
            .frontends
            .iter()
            .any(|frontend| frontend.socket().is_some())
    {
        plan.default = rights;
        return;
    }
    let clients = networks
        .into_iter()
        .map(|network| vec![("address", network)])
        .collect();
    plan.profiles.push(Class {
        name: "allowed".to_owned(),
        clients,
        rights,
    });
}

/// What it does beside judging calls, and is not done here.
fn losses(written: &Written<'_>, plan: &mut Plan) {
    let redacts = [
        "redact_container_env",
        "redact_mount_paths",
        "redact_network_topology",
        "redact_sensitive_data",
    ];
    let is_off = |key: &&&str| written.value(&format!("response.{key}")) == "false";
    if redacts.iter().filter(is_off).count() < redacts.len() {
        plan.note(
            Kind::Missing,
            "answers are not redacted here: clients that may inspect containers, services, volumes \
            and networks see their environment variables, host paths and addresses; take the rules \
            for inspecting away from those that must not",
        );
    }
    for key in ["visible_resource_labels", "name_patterns", "image_patterns"] {
        if written
            .node(&format!("response.{key}"))
            .is_some_and(|node| !node.texts().is_empty())
        {
            plan.lack(format!(
                "response.{key} hid objects from clients, which see all of them \
                here: bound the calls with targets: docs/guard.md"
            ));
        }
    }
    if !written.value("ownership.owner").is_empty() {
        plan.lack(
            "ownership let clients act on their own objects alone; here they may act on all: \
            bound the calls with targets: docs/guard.md",
        );
    }
    let silent = [
        "clients",
        "health",
        "listen",
        "log",
        "ownership",
        "reload",
        "request_body",
        "response",
        "rules",
        "upstream",
    ];
    for (key, _) in written
        .file
        .iter()
        .flat_map(Value::pairs)
        .filter(|(key, _)| !silent.contains(&key.as_str()))
    {
        let what = match key.as_str() {
            key if key.starts_with("insecure_") => {
                format!("{key}: guard-allow and rules that name an endpoint take its place")
            }
            key => format!("{key} has no counterpart here"),
        };
        plan.note(Kind::Missing, what);
    }
}
