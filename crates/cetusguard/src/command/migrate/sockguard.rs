//! CodesWhat/sockguard: ordered rules with globs, of which the first that matches decides.
//!
//! Facts: its `app/internal/glob/glob.go`, `app/internal/config/compat.go` and configuration page (2.2).

use cetusguard_policy::endpoint::Endpoint;

use super::plan::{Kind, Plan};
use super::sections::SECTIONS;
use super::settings::{Settings, get, plain, words};
use crate::config::yaml::{Node, Value};

/// One of its rules.
struct Rule {
    methods: Vec<String>,
    glob: String,
    allows: bool,
}

/// Plans for its file, its variables, and those that it takes over from another proxy.
pub(super) fn plan(settings: &Settings, plan: &mut Plan) {
    let own = settings.own.as_ref();
    let value = |key: &str| {
        let name = format!("SOCKGUARD_{}", key.replace('.', "_").to_uppercase());
        let var = settings.var(&name);
        let node = own.and_then(|root| key.split('.').try_fold(root, |node, key| get(node, key)));
        if var.is_empty() { node.map(plain).unwrap_or_default() } else { var.to_owned() }
    };
    addresses(&value, plan);
    match value("log.level").as_str() {
        "" => {}
        "warn" => plan.option("log-level", "warning"),
        "error" => plan.option("log-level", "err"),
        level => plan.option("log-level", level),
    }
    if value("log.format") == "json" {
        plan.option("log-format", "json");
    }
    let rules = own.and_then(|root| get(root, "rules")).map(rules).unwrap_or_default();
    if rules.is_empty() {
        switches(settings, plan);
    } else {
        ordered(&rules, value("insecure_allow_read_exfiltration") == "true", plan);
    }
    if let Some(body) = own.and_then(|root| get(root, "request_body")) {
        bodies(body, plan);
    }
    let silent = ["listen", "upstream", "log", "rules", "request_body", "health", "reload"];
    for key in own.map(keys).unwrap_or_default().into_iter().filter(|key| !silent.contains(&key.as_str())) {
        let what = match key.as_str() {
            "clients" => "clients: write them as profiles: docs/profiles.md".to_owned(),
            key if key.starts_with("insecure_") => {
                format!("{key}: guard-allow and rules that name an endpoint take its place")
            }
            key => format!("{key} has no counterpart here"),
        };
        plan.note(Kind::Missing, what);
    }
}

fn addresses(value: &impl Fn(&str) -> String, plan: &mut Plan) {
    let (socket, address) = (value("listen.socket"), value("listen.address"));
    plan.option(
        "frontend-addr",
        match (socket.as_str(), address.as_str()) {
            ("", "") => "tcp://127.0.0.1:2375".to_owned(),
            ("", address) => format!("tcp://{address}"),
            (socket, _) => format!("unix://{socket}"),
        },
    );
    let mode = value("listen.socket_mode");
    if !mode.is_empty() {
        plan.option("frontend-socket-mode", mode);
    }
    for (key, option) in [
        ("listen.tls.cert_file", "frontend-tls-cert"),
        ("listen.tls.key_file", "frontend-tls-key"),
        ("listen.tls.client_ca_file", "frontend-tls-cacert"),
    ] {
        let file = value(key);
        if !file.is_empty() {
            plan.note(Kind::Different, format!("{key} names a file: mount it into the container as before"));
            plan.option(option, file);
        }
    }
    let upstream = value("upstream.socket");
    if !upstream.is_empty() {
        plan.socket = upstream;
    }
    plan.option("backend-addr", format!("unix://{}", plan.socket));
}

fn keys(node: &Node) -> Vec<String> {
    if let Value::Map(pairs) = &node.value { pairs.iter().map(|(key, ..)| key.clone()).collect() } else { Vec::new() }
}

fn rules(node: &Node) -> Vec<Rule> {
    let Value::List(items) = &node.value else { return Vec::new() };
    let read = |item: &Node| {
        let found = get(item, "match")?;
        let method = get(found, "method").map(plain).unwrap_or_default().to_uppercase();
        let methods = method.split(',').map(|method| method.trim().to_owned()).collect();
        let allows = get(item, "action").map(plain).unwrap_or_default() == "allow";
        Some(Rule { methods, glob: get(found, "path").map(plain)?, allows })
    };
    items.iter().filter_map(read).collect()
}

/// Where nothing but the end is denied, each rule is one of ours. Otherwise what remains is listed, endpoint by endpoint.
fn ordered(rules: &[Rule], reads_contents: bool, plan: &mut Plan) {
    let first_denied = rules.iter().position(|rule| !rule.allows).unwrap_or(rules.len());
    if rules[first_denied..].iter().all(|rule| !rule.allows) {
        for rule in &rules[..first_denied] {
            let useful: Vec<_> = METHODS.iter().filter(|method| rule.is_for(method)).copied().collect();
            plan.rule(format!("{} %API_PREFIX%{}", useful.join(","), expression(&rule.glob)), "");
        }
        return;
    }
    let mut closed = Vec::new();
    let mut decided = vec![false; rules.len()];
    for endpoint in
        Endpoint::all().filter(|endpoint| !endpoint.shape.starts_with("/libpod/") && endpoint.shape != "/{path*}")
    {
        // A name that no glob means, but those for any name.
        let segments = endpoint.shape.split('/').map(|segment| if segment.starts_with('{') { "0zq9" } else { segment });
        let path = segments.collect::<Vec<_>>().join("/");
        let first = rules.iter().position(|rule| rule.is_for(endpoint.method.as_str()) && fits(&rule.glob, &path));
        let Some(first) = first else { continue };
        decided[first] = true;
        let rule = &rules[first];
        if !rule.allows {
            continue;
        }
        // A wildcard is not taken for a name: what hands over contents stays closed.
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let line = format!("{} {}", endpoint.method, endpoint.pattern());
        match endpoint.is_named_only() && (!reads_contents || last(&rule.glob) != last(endpoint.shape)) {
            true => closed.push((line, endpoint.power)),
            false => plan.rule(line, ""),
        }
    }
    for (line, power) in &closed {
        plan.note(Kind::Stricter, format!("a wildcard does not let clients {}; add the rule: {line}", power.says()));
    }
    let lost = rules.iter().zip(decided).filter(|(rule, decided)| !rule.allows && !decided).map(|(rule, _)| rule);
    for rule in lost {
        let what = format!(
            "the denial of {} {} is lost: rules here only allow, for any object",
            rule.methods.join(","),
            rule.glob
        );
        plan.note(Kind::Missing, what);
    }
    plan.note(Kind::Different, "rules that deny came before rules that allow: what remains allowed is listed");
}

const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "DELETE"];

impl Rule {
    fn is_for(&self, method: &str) -> bool {
        self.methods.iter().any(|own| own == "*" || own == method)
    }
}

/// A glob as an expression: `/**` is anything below, `**` anything, `*` a part of a segment.
fn expression(glob: &str) -> String {
    let mut out = String::new();
    let mut rest = glob;
    while !rest.is_empty() {
        let (piece, length) = if rest.starts_with("/**") {
            ("(/.*)?".to_owned(), 3)
        } else if rest.starts_with("**") {
            (".*".to_owned(), 2)
        } else if rest.starts_with('*') {
            ("[^/]*".to_owned(), 1)
        } else {
            let c = rest.chars().next().unwrap_or_default();
            (if ".+?()[]{}|^$\\".contains(c) { format!("\\{c}") } else { c.to_string() }, c.len_utf8())
        };
        out.push_str(&piece);
        rest = &rest[length..];
    }
    out
}

/// Whether a glob matches a path.
fn fits(glob: &str, path: &str) -> bool {
    let rule = cetusguard_policy::rule::parse("", &format!("GET {}", expression(glob))).unwrap_or_default();
    let call = cetusguard_policy::Call::read("GET", path);
    call.is_ok_and(|call| rule.iter().any(|rule| rule.miss(&call).is_none()))
}

/// The switches that it takes over. Those for actions work without `POST`.
fn switches(settings: &Settings, plan: &mut Plan) {
    let is_on = |name: &str, default: bool| match settings.var(name).to_ascii_lowercase().as_str() {
        "" => default,
        value => matches!(value, "1" | "true" | "yes"),
    };
    let methods = if is_on("POST", false) { "GET,HEAD,POST,PUT,DELETE" } else { "GET,HEAD" };
    for (name, word) in [("PING", "_ping"), ("VERSION", "version"), ("EVENTS", "events"), ("INFO", "info")] {
        if is_on(name, name != "INFO") {
            plan.rule(format!("GET,HEAD %API_PREFIX%/{word}"), format!("{name}=1"));
        }
    }
    // These are written above and below, in ways of their own.
    let others = ["PING", "VERSION", "EVENTS", "INFO", "EXEC"];
    for section in SECTIONS.iter().filter(|section| !others.contains(section)) {
        if is_on(section, false) {
            plan.rule(format!("{methods} %API_PREFIX_{section}%(/.*)?"), format!("{section}=1"));
        }
    }
    if is_on("EXEC", false) {
        plan.rule(format!("{methods} %API_PREFIX_EXEC%(/.*)?"), "EXEC=1");
    }
    for (name, rule) in [
        ("ALLOW_CREATE", "POST %API_PREFIX_CONTAINERS%/create"),
        ("ALLOW_DELETE", "DELETE %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%"),
        ("ALLOW_EXEC", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/exec"),
        ("ALLOW_KILL", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/kill"),
        ("ALLOW_PAUSE", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/pause"),
        ("ALLOW_PRUNE", "POST %API_PREFIX_CONTAINERS%/prune"),
        ("ALLOW_RESTART", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/(kill|restart|stop)"),
        ("ALLOW_RESTARTS", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/(kill|restart|stop)"),
        ("ALLOW_START", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/start"),
        ("ALLOW_STOP", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/stop"),
        ("ALLOW_UNPAUSE", "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/unpause"),
    ] {
        if is_on(name, false) {
            plan.rule(rule, format!("{name}=1"));
        }
    }
    for (name, _) in settings.vars.iter().filter(|(name, _)| name.starts_with("SOCKGUARD_CLIENTS_")) {
        plan.note(Kind::Missing, format!("{name}: write clients as profiles: docs/profiles.md"));
    }
}

/// What bodies may ask for, as far as the guard has an exception for it.
fn bodies(body: &Node, plan: &mut Plan) {
    for group in keys(body) {
        let Some(options) = get(body, &group) else { continue };
        for key in keys(options) {
            let Some(option) = get(options, &key) else { continue };
            let is_on = plain(option) == "true";
            let list = |kind: &str, tail: &str| {
                words(option)
                    .into_iter()
                    .filter(|one| !one.is_empty())
                    .map(|one| format!("{kind}={}{tail}", one.trim_end_matches('/')))
                    .collect()
            };
            let exceptions: Vec<String> = match (group.as_str(), key.as_str()) {
                ("container_create", "allow_privileged") if is_on => vec!["privileged".to_owned()],
                ("container_create", "allow_host_network") if is_on => vec!["host-namespace=network".to_owned()],
                ("container_create", "allow_host_pid") if is_on => vec!["host-namespace=pid".to_owned()],
                ("container_create", "allow_host_ipc") if is_on => vec!["host-namespace=ipc".to_owned()],
                ("container_create", "allowed_bind_mounts") => list("bind", "/**"),
                ("container_create", "allowed_devices") => list("device", ""),
                ("container_create", "allowed_capabilities") => list("capability", ""),
                ("container_create", "allow_all_capabilities") if is_on => vec!["capability=ALL".to_owned()],
                ("container_create", "allowed_runtimes") => list("runtime", ""),
                ("exec", "allow_privileged") if is_on => vec!["exec-privileged".to_owned()],
                (_, key) if key.starts_with("allow_") && !is_on => continue,
                (group, key) => {
                    plan.note(Kind::Missing, format!("request_body.{group}.{key} has no counterpart in guard-allow"));
                    continue;
                }
            };
            plan.default.guard_allow.extend(exceptions);
        }
    }
}
