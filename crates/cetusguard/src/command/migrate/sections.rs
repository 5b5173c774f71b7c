//! Proxies with a switch for each section of the API: Tecnativa's, and LinuxServer's, which is made after it.
//!
//! Facts: `haproxy.cfg` and `Dockerfile` of Tecnativa/docker-socket-proxy (0.4 and what is to follow it) and of
//! linuxserver/docker-socket-proxy (2026).

use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Endpoint;

use super::plan::{Kind, Plan};
use super::settings::Settings;

/// Whose switches they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Switches for actions come behind that for methods.
    Tecnativa,
    /// Switches for actions work by themselves.
    LinuxServer,
}

/// Every section, as the switches call it.
pub(super) const SECTIONS: &[&str] = &[
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

const LIBPOD_SECTIONS: &[&str] = &[
    "CONTAINERS",
    "EVENTS",
    "EXEC",
    "GENERATE",
    "IMAGES",
    "INFO",
    "MANIFESTS",
    "NETWORKS",
    "PING",
    "PLAY",
    "PODS",
    "SECRETS",
    "SYSTEM",
    "VERSION",
    "VOLUMES",
];

/// Sections that are open unless they are closed.
const OPEN: &[&str] = &["EVENTS", "PING", "VERSION", "LIBPOD_PING", "LIBPOD_VERSION"];

/// Switches that open actions, with the last segments of their paths.
const ACTIONS: &[(&str, &str)] = &[
    ("ALLOW_START", "start"),
    ("ALLOW_STOP", "stop"),
    ("ALLOW_RESTARTS", "(stop|restart|kill)"),
    ("ALLOW_PAUSE", "pause"),
    ("ALLOW_UNPAUSE", "unpause"),
];

/// Switches of the newer generation, without which a part of `CONTAINERS` stays closed.
const PARTS: &[(&str, &str)] = &[
    ("ALLOW_EXEC", "exec"),
    ("ALLOW_KILL", "kill"),
    ("ALLOW_ATTACH", "attach"),
    ("ALLOW_ARCHIVE", "archive"),
    ("ALLOW_EXPORT", "export"),
    ("ALLOW_LOGS", "logs"),
];

/// Settings that are not about what may be called.
const OTHERS: &[&str] =
    &["POST", "PUT", "PATCH", "DELETE", "SOCKET_PATH", "LOG_LEVEL", "DISABLE_IPV6", "BIND_CONFIG", "TZ"];

/// Plans for switches.
pub(super) fn plan(settings: &Settings, gate: Gate, plan: &mut Plan) {
    let switches = Switches(settings);
    let is_newer = gate == Gate::Tecnativa
        && settings.vars.iter().any(|(name, _)| {
            PARTS.iter().any(|(part, _)| part == name) || matches!(name.as_str(), "PUT" | "PATCH" | "DELETE")
        });
    let mut methods = vec![Method::Get, Method::Head];
    if switches.is_on("POST") {
        methods.push(Method::Post);
    }
    for (name, method) in [("DELETE", Method::Delete), ("PUT", Method::Put)] {
        if if is_newer { switches.is_on(name) } else { switches.is_on("POST") } {
            methods.push(method);
        }
    }
    for section in SECTIONS.iter().filter(|section| switches.is_on(section)) {
        match *section {
            "CONTAINERS" if is_newer => containers_in_parts(&switches, &methods, plan),
            section => open(section, &format!("API_PREFIX_{section}"), &methods, plan),
        }
    }
    if gate == Gate::LinuxServer {
        for section in LIBPOD_SECTIONS {
            let name = format!("LIBPOD_{section}");
            if settings.vars.iter().any(|(known, _)| known.starts_with("LIBPOD_")) && switches.is_on(&name) {
                open(&name, &format!("API_PREFIX_{name}"), &methods, plan);
            }
        }
    }
    let keeps_kill = !is_newer || switches.is_on("ALLOW_KILL");
    actions(&switches, gate, keeps_kill, plan);
    strangers(settings, gate, plan);
    others(settings, plan);
    plan.note(
        Kind::Different,
        "paths are compared whole and in their own case; there, by their beginning and in any case",
    );
}

struct Switches<'s>(&'s Settings);

impl Switches<'_> {
    /// HAProxy takes the number that a value begins with, and anything but 0 for true (`env(X) -m bool`).
    fn is_on(&self, name: &str) -> bool {
        match self.0.vars.iter().find(|(known, _)| known == name) {
            Some((_, value)) => number(value) != 0,
            None => OPEN.contains(&name),
        }
    }
}

fn number(value: &str) -> u64 {
    let digits = value.trim_start_matches(['+', '-']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    // Any digit but a zero makes it something else than 0, however long it is.
    u64::from(digits[..end].contains(|c| c != '0'))
}

/// The methods that some endpoint below a word of the path has, of those that may be used.
fn useful(word: &str, methods: &[Method]) -> Vec<&'static str> {
    let has = |method: Method| {
        let asked = if method == Method::Head { Method::Get } else { method };
        Endpoint::all().any(|endpoint| endpoint.method == asked && starts_with(endpoint.shape, word))
    };
    methods.iter().filter(|method| has(**method)).map(|method| method.as_str()).collect()
}

fn starts_with(shape: &str, word: &str) -> bool {
    shape.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Opens a section with everything below it.
fn open(switch: &str, variable: &str, methods: &[Method], plan: &mut Plan) {
    let word = match switch.strip_prefix("LIBPOD_") {
        Some("PING") => "/libpod/_ping".to_owned(),
        Some(section) => format!("/libpod/{}", section.to_lowercase()),
        None if switch == "PING" => "/_ping".to_owned(),
        None => format!("/{}", switch.to_lowercase()),
    };
    let useful = useful(&word, methods);
    if useful.is_empty() {
        plan.note(Kind::Different, format!("{switch}=1 opens nothing without POST=1"));
        return;
    }
    let is_deep =
        Endpoint::all().any(|endpoint| endpoint.shape.strip_prefix(&*word).is_some_and(|rest| rest.starts_with('/')));
    // Our variable for exec covers more than theirs.
    let start = match switch {
        "EXEC" => "%API_PREFIX%/exec".to_owned(),
        "LIBPOD_EXEC" => "%API_PREFIX_LIBPOD%/exec".to_owned(),
        _ => format!("%{variable}%"),
    };
    plan.rule(format!("{} {start}{}", useful.join(","), if is_deep { "(/.*)?" } else { "" }), format!("{switch}=1"));
}

/// `CONTAINERS` of the newer generation: everything but the parts that have switches of their own.
fn containers_in_parts(switches: &Switches<'_>, methods: &[Method], plan: &mut Plan) {
    let closed: Vec<&str> = PARTS.iter().filter(|(name, _)| !switches.is_on(name)).map(|(_, part)| *part).collect();
    let mut patterns: Vec<(String, Vec<&str>)> = Vec::new();
    for endpoint in Endpoint::all().filter(|endpoint| starts_with(endpoint.shape, "/containers")) {
        let part = endpoint.id.name().split('.').nth(1).unwrap_or_default();
        let is_closed = closed.iter().any(|closed| part == *closed || part.starts_with(&format!("{closed}_")));
        let is_exec = endpoint.id.name().starts_with("exec.") && closed.contains(&"exec");
        if is_closed || is_exec || !methods.contains(&endpoint.method) {
            continue;
        }
        let pattern = endpoint.pattern();
        match patterns.iter_mut().find(|(known, _)| *known == pattern) {
            Some((_, methods)) => methods.push(endpoint.method.as_str()),
            None => patterns.push((pattern, vec![endpoint.method.as_str()])),
        }
    }
    for (pattern, methods) in patterns {
        plan.rule(format!("{} {pattern}", methods.join(",")), "CONTAINERS=1");
    }
}

fn actions(switches: &Switches<'_>, gate: Gate, keeps_kill: bool, plan: &mut Plan) {
    let works = gate == Gate::LinuxServer || switches.is_on("POST");
    for prefix in ["", "LIBPOD_"] {
        for (name, action) in ACTIONS {
            let name = format!("{prefix}{name}");
            if !switches.is_on(&name) {
                continue;
            }
            let action = if keeps_kill { *action } else { &action.replace("|kill", "") };
            let rule = format!("POST %API_PREFIX_{prefix}CONTAINERS%/%CONTAINER_ID_OR_NAME%/{action}");
            match works {
                true => plan.rule(rule, format!("{name}=1")),
                false => plan.note(
                    Kind::Different,
                    format!("{name}=1 did nothing there without POST=1; if it was meant to work, add the rule: {rule}"),
                ),
            }
        }
    }
    for (name, action) in ACTIONS {
        let name = name.replace("ALLOW_", "LIBPOD_ALLOW_POD_");
        if gate == Gate::LinuxServer && switches.is_on(&name) {
            plan.rule(format!("POST %API_PREFIX_LIBPOD_PODS%/[^/]+/{action}"), format!("{name}=1"));
        }
    }
}

/// Variables that the proxy does not read, and values that it does not take for what they look like.
fn strangers(settings: &Settings, gate: Gate, plan: &mut Plan) {
    for (name, value) in &settings.vars {
        let bare = name.strip_prefix("LIBPOD_").unwrap_or(name);
        let known = SECTIONS.contains(&bare)
            || LIBPOD_SECTIONS.contains(&bare)
            || ACTIONS.iter().any(|(known, _)| *known == bare || known.replace("ALLOW_", "ALLOW_POD_") == bare)
            || OTHERS.contains(&bare)
            || (gate == Gate::Tecnativa && PARTS.iter().any(|(known, _)| *known == bare));
        let is_switch = known && !["SOCKET_PATH", "LOG_LEVEL", "DISABLE_IPV6", "BIND_CONFIG", "TZ"].contains(&bare);
        let looks_on = ["true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str());
        if !known {
            plan.note(Kind::Different, format!("{name} is no variable of that proxy: left out"));
        } else if is_switch && looks_on {
            plan.note(
                Kind::Different,
                format!("{name}={value} was off there, where only numbers are on: left off; 1 is on"),
            );
        }
    }
}

/// Socket, addresses and log.
fn others(settings: &Settings, plan: &mut Plan) {
    let address = match (settings.var("BIND_CONFIG"), settings.var("DISABLE_IPV6").to_ascii_lowercase().as_str()) {
        ("", "1" | "true" | "yes") => "tcp://0.0.0.0:2375".to_owned(),
        ("", _) => "tcp://:2375".to_owned(),
        (bind, _) => match bind.split_whitespace().next().unwrap_or_default() {
            path if path.starts_with('/') => format!("unix://{path}"),
            bind if bind.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
                format!("tcp://{bind}")
            }
            bind => {
                plan.note(Kind::Missing, format!("BIND_CONFIG {bind:?} cannot be said as an address: frontend-addr"));
                "tcp://:2375".to_owned()
            }
        },
    };
    plan.option("frontend-addr", address);
    let socket = settings.var("SOCKET_PATH");
    if !socket.is_empty() {
        plan.socket = socket.to_owned();
    }
    plan.option("backend-addr", format!("unix://{}", plan.socket));
    let level = settings.var("LOG_LEVEL");
    if !level.is_empty() {
        plan.option("log-level", level);
    }
    if !settings.var("TZ").is_empty() {
        plan.note(Kind::Missing, "TZ: the log is in UTC");
    }
}
