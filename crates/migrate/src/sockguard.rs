//! CodesWhat/sockguard: its own YAML file, its variables, and the switches of another proxy that it
//! takes over.
//!
//! Facts: `app/internal/glob/glob.go`, `app/internal/config/compat.go`, `config.go` and `load.go`,
//! its Dockerfile, and its configuration page (2.2).

use cetusguard_config::address::Address;

use super::bodies;
use super::globs::{self, Ordered};
use super::losses;
use super::note::NoteKind;
use super::plan::{ClientClass, Plan, PlannedFrontend, Rights};
use super::settings::PeerSettings;
use super::words;
use super::yaml::{self, ComposeValue};
use cetusguard_config::log::Level;

/// The path of the configuration file in the image.
const FILE: &str = "/etc/sockguard/sockguard.yaml";

/// The keys at the top of its file that tell it from other files.
pub(super) const KEYS: &[&str] = &[
    "admin",
    "clients",
    "health",
    "listen",
    "listeners",
    "log",
    "metrics",
    "mutations",
    "ownership",
    "reload",
    "request_body",
    "response",
    "rules",
    "upstream",
];

/// The rules that hold where none are written.
const DEFAULT: &[(&str, &str)] = &[
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("GET", "/version"),
    ("GET", "/events"),
];

/// The switches of another proxy that it accepts, with the paths that they open.
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

/// The settings of sockguard: a variable takes the place of its key in the file.
pub(super) struct SockguardSettings<'s> {
    pub(super) settings: &'s PeerSettings,
    pub(super) file: Option<ComposeValue>,
}

impl SockguardSettings<'_> {
    fn variable(&self, key: &str) -> &str {
        let name = key.replace('.', "_").to_uppercase();
        self.settings.var(&format!("SOCKGUARD_{name}"))
    }

    /// Returns the text of a key; empty where there is none.
    pub(super) fn value(&self, key: &str) -> String {
        match self.variable(key) {
            "" => self
                .node(key)
                .map(ComposeValue::plain)
                .unwrap_or_default()
                .to_owned(),
            variable => variable.to_owned(),
        }
    }

    /// Returns whether a switch is on.
    pub(super) fn is_on(&self, key: &str) -> bool {
        ["1", "t", "true", "yes", "on"].contains(&self.value(key).to_ascii_lowercase().as_str())
    }

    /// Returns the entries of a key.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let of_file = || self.node(key).map(ComposeValue::texts).unwrap_or_default();
        let texts = match self.variable(key) {
            "" => of_file().into_iter().map(str::to_owned).collect(),
            variable => words::split(&variable.replace(',', " ")),
        };
        texts.into_iter().filter(|text| !text.is_empty()).collect()
    }

    /// Returns whether a key has an entry that turns something on.
    pub(super) fn restricts(&self, key: &str) -> bool {
        let texts = self.texts(key);
        texts.iter().any(|text| text != "false" && text != "off")
    }

    /// Returns the value at a path of keys in the file.
    pub(super) fn node(&self, key: &str) -> Option<&ComposeValue> {
        key.split('.').try_fold(self.file.as_ref()?, |node, key| {
            let item = || node.items().get(key.parse::<usize>().ok()?);
            node.get(key).or_else(item)
        })
    }
}

/// Plans for its file, its variables, and those that it takes over from another proxy.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    let file = settings
        .own
        .clone()
        .or_else(|| read_mounted_file(settings, plan));
    let written = SockguardSettings { settings, file };
    set_addresses(&written, plan);
    set_log_options(&written, plan);
    let reads_contents = written.value("insecure_allow_read_exfiltration") == "true";
    let rules = match written
        .node("rules")
        .map(ordered_rules)
        .filter(|rules| !rules.is_empty())
    {
        Some(rules) => rules,
        None => rules_of_switches(settings),
    };
    let (mut rights, notes) = globs::rights_of_rules(rules, reads_contents);
    plan.notes.extend(notes);
    bodies::carry_over(&written, &mut rights, plan);
    losses::note_losses(&written, &rights, plan);
    assign_clients(&written, rights, plan);
    // Its image runs as this user, and has the engine's socket by a group.
    plan.user = Some("65532:65532");
    plan.unneeded.push(FILE.to_owned());
}

/// Reads the file that is mounted into the container; the one of the image has the default rules.
fn read_mounted_file(settings: &PeerSettings, plan: &mut Plan) -> Option<ComposeValue> {
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
        Ok(text) => match yaml::parse_document(&text) {
            Ok(file) => Some(file),
            Err(mistakes) => {
                plan.lost(format!(
                    "{path} cannot be read: {}",
                    mistakes.0[0].in_one_line()
                ));
                None
            }
        },
        Err(_) if is_of_image && path == FILE => None,
        Err(_) if is_of_image => {
            plan.lost(format!(
                "{path} is a file of its image: give migrate that file"
            ));
            None
        }
        Err(why) => {
            plan.lost(format!(
                "its rules stand in {path}, which cannot be read ({why}): run migrate on the \
                compose file beside it, or on that file"
            ));
            None
        }
    }
}

fn set_addresses(written: &SockguardSettings<'_>, plan: &mut Plan) {
    let count = written
        .node("listeners")
        .map_or(0, |listeners| listeners.items().len());
    match count {
        0 => add_listener(written, "listen", plan),
        count => (0..count).for_each(|at| add_listener(written, &format!("listeners.{at}"), plan)),
    }
    set_backend(written, plan);
}

/// Makes a frontend of a listener, by the path of its keys.
fn add_listener(written: &SockguardSettings<'_>, path: &str, plan: &mut Plan) {
    let key = |key: &str| format!("{path}.{key}");
    let (socket, address) = (
        written.value(&key("socket")),
        written.value(&key("address")),
    );
    let addr = match (socket.as_str(), address.as_str()) {
        ("", "") => "tcp://127.0.0.1:2375".to_owned(),
        ("", address) => format!("tcp://{address}"),
        (socket, _) => format!("unix://{socket}"),
    };
    let mut frontend = PlannedFrontend::at("tcp://127.0.0.1:2375");
    match Address::frontend(&addr) {
        Ok(_) => frontend.addr = addr,
        Err(expected) => plan.note(
            NoteKind::Missing,
            format!("{path}: {addr} is no address here: {expected}"),
        ),
    }
    let is_socket = frontend.socket().is_some();
    for (name, option) in [
        ("socket_mode", "socket-mode"),
        ("socket_uid", "socket-owner"),
        ("socket_gid", "socket-group"),
        ("tls.cert_file", "tls-cert"),
        ("tls.key_file", "tls-key"),
        ("tls.client_ca_file", "tls-cacert"),
    ] {
        let value = written.value(&key(name));
        if !value.is_empty() && is_socket == option.starts_with("socket-") {
            frontend.keys.push((option, value));
        }
    }
    if is_socket && !frontend.keys.iter().any(|(key, _)| *key == "socket-mode") {
        frontend.keys.push(("socket-mode", "0600".to_owned()));
    }
    plan.frontends.push(frontend);
    let names = [
        "common_names",
        "dns_names",
        "ip_addresses",
        "uri_sans",
        "public_key_sha256_pins",
    ];
    for name in names.map(|name| key(&format!("tls.{name}"))) {
        if !written.texts(&name).is_empty() {
            plan.lost(format!(
                "{name} lets in some certificates alone, and is not carried over: write profiles \
                with cert-cn, cert-dns and the like (docs/profiles.md)"
            ));
        }
    }
}

fn set_backend(written: &SockguardSettings<'_>, plan: &mut Plan) {
    let endpoints = written.node("upstream.endpoints").map(ComposeValue::items);
    if let Some([first, others @ ..]) = endpoints {
        let text = |key: &str| {
            let node = key.split('.').try_fold(first, |node, key| node.get(key));
            node.map(ComposeValue::plain).unwrap_or_default().to_owned()
        };
        let address = match text("address") {
            path if path.starts_with('/') => format!("unix://{path}"),
            address => address,
        };
        match Address::backend(&address) {
            Ok(_) => plan.backend = address,
            Err(expected) => plan.note(
                NoteKind::Missing,
                format!("upstream.endpoints: {address} is no address here: {expected}"),
            ),
        }
        for (key, option) in [
            ("tls.ca_file", "backend-tls-cacert"),
            ("tls.cert_file", "backend-tls-cert"),
            ("tls.key_file", "backend-tls-key"),
        ] {
            if !text(key).is_empty() {
                plan.option(option, text(key));
            }
        }
        if !others.is_empty() {
            let what = "upstream.endpoints: the first engine alone is used, since there is no \
                other to fail over to here";
            plan.note(NoteKind::Missing, what);
        }
        if !plan.backend.is_empty() {
            return;
        }
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

fn set_log_options(written: &SockguardSettings<'_>, plan: &mut Plan) {
    let level = match written.value("log.level") {
        level if level.is_empty() => written.settings.var("LOG_LEVEL").to_owned(),
        level => level,
    };
    match Level::parse(&level) {
        _ if level.is_empty() => {}
        Ok(_) => plan.option("log-level", level.to_lowercase()),
        Err(_) => plan.note(
            NoteKind::Different,
            format!("log.level {level} is no level: the log has the default one"),
        ),
    }
    if written.value("log.format") == "json" {
        plan.option("log-format", "json");
    }
}

/// Reads a list of its rules.
fn ordered_rules(node: &ComposeValue) -> Vec<Ordered> {
    let read = |item: &ComposeValue| {
        let found = item.get("match")?;
        let method = found.get("method").map_or("*", ComposeValue::plain);
        let allows = item
            .get("action")
            .map(ComposeValue::plain)
            .unwrap_or_default()
            == "allow";
        Some(Ordered::new(method, found.get("path")?.plain(), allows))
    };
    node.items().iter().filter_map(read).collect()
}

/// The rules that it makes of another proxy's switches; its own where there are none.
fn rules_of_switches(settings: &PeerSettings) -> Vec<Ordered> {
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

/// Gives the rights to all clients, or to some addresses. Settings that give some clients other
/// rights are not read, so that no client has any then.
fn assign_clients(written: &SockguardSettings<'_>, mut rights: Rights, plan: &mut Plan) {
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
    let has_labels = written.is_on("clients.container_labels.enabled");
    if has_profiles || has_labels {
        rights.closed = rights.rules.drain(..).map(|(rule, _)| rule).collect();
        plan.lost(
            "clients: clients have rights of their own there, which are not read, so that all \
            rules are comments in cetusguard.yaml: write them as profiles (docs/profiles.md)",
        );
    }
    let networks = written.texts("clients.allowed_cidrs");
    let has_ports = plan
        .frontends
        .iter()
        .any(|frontend| frontend.socket().is_none());
    if networks.is_empty() || !has_ports {
        plan.default = rights;
        return;
    }
    // Clients of a socket have no address.
    for frontend in &mut plan.frontends {
        if frontend.socket().is_some() {
            frontend.profile = Some("allowed".to_owned());
        }
    }
    let clients = networks
        .into_iter()
        .map(|network| vec![("address", network)])
        .collect();
    plan.profiles.push(ClientClass {
        name: "allowed".to_owned(),
        clients,
        rights,
    });
}
