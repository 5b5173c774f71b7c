//! wollomatic/socket-proxy: a regular expression for each method, and who may come from where.
//!
//! Facts: its `internal/config/config.go` and README up to 1.13.

use cetusguard_policy::Method;

use super::plan::{Class, Kind, Plan, Rights};
use super::settings::Settings;

/// Plans for its flags and variables.
pub(super) fn plan(settings: &Settings, plan: &mut Plan) {
    let mut all = flags(&settings.args);
    let flagged: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in &settings.vars {
        let Some(name) = name.strip_prefix("SP_") else {
            plan.note(Kind::Different, format!("{name} is no variable of that proxy: left out"));
            continue;
        };
        let name = match name.strip_prefix("ALLOW_") {
            Some(rest) => format!("allow{}", rest.split('_').next().unwrap_or_default()),
            None => name.to_lowercase(),
        };
        // A flag goes before the variable; an empty value is none.
        if !flagged.contains(&name) && !value.is_empty() {
            all.push((name, value.clone()));
        }
    }
    let get = |name: &str| all.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut rights = Rights::default();
    for (name, value) in &all {
        match name.strip_prefix("allow").map(|method| (method, Method::parse(method))) {
            Some((_, Some(method))) => rule(method, value, &format!("-{name}"), &mut rights, plan),
            Some(("from" | "bindmountfrom" | "healthcheck", None)) => {}
            Some((method, None)) => {
                plan.note(Kind::Missing, format!("-allow{method}: {method} never reaches an engine here"))
            }
            None => {}
        }
    }
    rights.guard_allow.extend(binds(get("allowbindmountfrom").unwrap_or_default()));
    addresses(&get, plan);
    others(&get, plan);
    who(get("allowfrom").unwrap_or("127.0.0.1/32"), rights, &get, plan);
    if get("proxycontainername").is_some() {
        labels(settings, get("dockerlabelprefix").unwrap_or("socket-proxy"), plan);
    }
    let ours = [
        "listenip",
        "proxyport",
        "proxysocketendpoint",
        "proxysocketendpointfilemode",
        "socketpath",
        "loglevel",
        "logjson",
    ];
    let told = ["shutdowngracetime", "watchdoginterval", "stoponwatchdog", "proxycontainername", "dockerlabelprefix"];
    for (name, _) in all.iter().filter(|(name, _)| !name.starts_with("allow")) {
        if !ours.contains(&&**name) && !told.contains(&&**name) {
            plan.note(Kind::Different, format!("-{name} is no option of that proxy: left out"));
        }
    }
}

/// `-name=value`, `-name value`; a switch has no value.
fn flags(args: &[String]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else { continue };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if ["stoponwatchdog", "logjson", "allowhealthcheck"].contains(&name) => (name, "true".to_owned()),
            None => (name, args.next().cloned().unwrap_or_default()),
        };
        flags.push((name.to_owned(), value));
    }
    flags
}

fn rule(method: Method, pattern: &str, from: &str, rights: &mut Rights, plan: &mut Plan) {
    if has_bare_alternation(pattern) {
        let what = format!("{from}={pattern}: each alternative has to match the whole path here, not one end of it");
        plan.note(Kind::Stricter, what);
    }
    // A blank would end the pattern where a comment seems to begin.
    let pattern = pattern.replace(" #", "[ ]#").replace('%', "\\x25");
    rights.rules.push((format!("{method} {pattern}"), from.to_owned()));
}

/// Whether an expression has a `|` outside of all groups and classes.
pub(super) fn has_bare_alternation(pattern: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0_i32, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' if class => class = false,
            _ if class => {}
            '[' => class = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

fn addresses<'v>(get: &impl Fn(&str) -> Option<&'v str>, plan: &mut Plan) {
    let frontend = match get("proxysocketendpoint") {
        Some(path) => {
            plan.option("frontend-socket-mode", get("proxysocketendpointfilemode").unwrap_or("0600"));
            format!("unix://{path}")
        }
        None => {
            let ip = get("listenip").unwrap_or("127.0.0.1");
            let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
            format!("tcp://{ip}:{}", get("proxyport").unwrap_or("2375"))
        }
    };
    plan.option("frontend-addr", frontend);
    if let Some(path) = get("socketpath") {
        plan.socket = path.to_owned();
    }
    plan.option("backend-addr", format!("unix://{}", plan.socket));
}

fn others<'v>(get: &impl Fn(&str) -> Option<&'v str>, plan: &mut Plan) {
    match get("loglevel").map(str::to_ascii_lowercase).as_deref() {
        Some("warn") => plan.option("log-level", "warning"),
        Some("error") => plan.option("log-level", "err"),
        Some(level) => plan.option("log-level", level),
        None => {}
    }
    if get("logjson").is_some_and(|value| value != "false") {
        plan.option("log-format", "json");
    }
    if let Some(seconds) = get("shutdowngracetime") {
        plan.option("drain-timeout", format!("{seconds}s"));
    }
    if get("watchdoginterval").is_some() || get("stoponwatchdog").is_some() {
        let what =
            "the watchdog: an engine that comes back is found again by itself; the healthcheck tells while it is away";
        plan.note(Kind::Different, what);
    }
    if get("allowhealthcheck").is_some() {
        plan.note(Kind::Different, "the health check is cetusguard healthcheck, which needs no address of its own");
    }
}

/// Addresses become clients of a profile; everybody else has nothing.
fn who<'v>(allowed: &str, rights: Rights, get: &impl Fn(&str) -> Option<&'v str>, plan: &mut Plan) {
    let sources: Vec<&str> = allowed.split(',').map(str::trim).filter(|source| !source.is_empty()).collect();
    let is_anybody = sources.contains(&"0.0.0.0/0");
    let is_local = get("listenip").unwrap_or("127.0.0.1") == "127.0.0.1" && allowed == "127.0.0.1/32";
    if is_anybody || is_local || get("proxysocketendpoint").is_some() {
        plan.default = rights;
        return;
    }
    let mut clients = Vec::new();
    for source in sources {
        let is_network = source.parse::<std::net::IpAddr>().is_ok() || source.contains('/');
        match is_network {
            true => clients.push(("address", source.to_owned())),
            false => {
                clients.push(("compose-service", source.to_owned()));
                let what = format!(
                    "-allowfrom={source}: a name is taken for the Compose service of that name, which the engine is asked for; \
                     DNS is not"
                );
                plan.note(Kind::Different, what);
            }
        }
    }
    plan.profiles.push(Class { name: "allowed".to_owned(), clients, rights });
    plan.rule("GET,HEAD %API_PREFIX_PING%", "the healthcheck asks for it");
    plan.note(Kind::Different, "everybody may ask for /_ping, as the healthcheck does; it tells nothing else");
}

/// Folders below which host paths may be mounted.
pub(super) fn binds(folders: &str) -> impl Iterator<Item = String> {
    let folders = folders.split(',').map(str::trim).filter(|folder| folder.starts_with('/'));
    folders.map(|folder| format!("bind={}/**", folder.trim_end_matches('/')))
}

/// Rights that other services carry as labels become profiles of these services.
fn labels(settings: &Settings, prefix: &str, plan: &mut Plan) {
    let mut services: Vec<(&str, Rights)> = Vec::new();
    for (service, key, value) in &settings.labels {
        let Some(rest) = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(".allow.")) else { continue };
        let at = services.iter().position(|(known, _)| known == service).unwrap_or_else(|| {
            services.push((service, Rights::default()));
            services.len() - 1
        });
        let rights = &mut services[at].1;
        let word = rest.split('.').next().unwrap_or_default();
        if word == "bindmountfrom" {
            rights.guard_allow.extend(binds(value));
        } else if let Some(method) = Method::parse(&word.to_uppercase()) {
            rule(method, value, &format!("label {key}"), rights, plan);
        }
    }
    for (service, rights) in services {
        // A label takes the place of what everybody else has.
        plan.profiles.iter_mut().for_each(|class| class.clients.retain(|(_, name)| name != service));
        plan.profiles.retain(|class| !class.clients.is_empty());
        let clients = vec![("compose-service", service.to_owned())];
        plan.profiles.push(Class { name: service.to_owned(), clients, rights });
    }
}
