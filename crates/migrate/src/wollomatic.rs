//! wollomatic/socket-proxy: a regular expression for each method, and the addresses and names of
//! clients.
//!
//! Facts: `internal/config/config.go`, `env.go`, `dockerlabels.go` and
//! `cmd/socket-proxy/handlehttprequest.go` of its versions up to 1.13.

use cetusguard_config::address::Address;
use cetusguard_policy::Method;

use super::note::NoteKind;
use super::patterns;
use super::plan::{ClientClass, Plan, PlannedFrontend, Rights, profile_name};
use super::settings::PeerSettings;
use cetusguard_config::log::Level;

/// The options beside `allow` with a method.
const OPTIONS: &[&str] = &[
    "allowbindmountfrom",
    "allowfrom",
    "allowhealthcheck",
    "listenip",
    "logjson",
    "loglevel",
    "proxycontainername",
    "proxyport",
    "proxysocketendpoint",
    "proxysocketendpointfilemode",
    "shutdowngracetime",
    "socketpath",
    "stoponwatchdog",
    "watchdoginterval",
];

/// Options that are on without a value.
const SWITCHES: &[&str] = &["allowhealthcheck", "logjson", "stoponwatchdog"];

/// Labels of clients' containers begin with this.
const LABELS: &str = "socket-proxy.allow.";

/// An option as it was written.
struct WrittenOption {
    name: String,
    value: String,
    /// `-name` or `SP_NAME`.
    from: String,
    is_flag: bool,
}

struct Options(Vec<WrittenOption>);

impl Options {
    fn get(&self, name: &str) -> Option<&WrittenOption> {
        self.0.iter().rev().find(|written| written.name == name)
    }

    /// Returns the options with expressions that have an effect. Versions that do not join them
    /// take the last flag of a method, and know no numbered variables.
    fn rules(&self, joins: bool, plan: &mut Plan) -> Vec<&WrittenOption> {
        let rules = self
            .0
            .iter()
            .filter(|written| !OPTIONS.contains(&written.name.as_str()));
        let (used, unused): (Vec<_>, Vec<_>) = rules.partition(|written| {
            let is_numbered = written.from.matches('_').count() > 2;
            let is_last = self
                .get(&written.name)
                .is_some_and(|last| std::ptr::eq(last, *written));
            joins
                || (if written.is_flag {
                    is_last
                } else {
                    !is_numbered
                })
        });
        let mut names: Vec<_> = used.iter().map(|written| &written.name).collect();
        names.sort_unstable();
        names.dedup();
        if !unused.is_empty() {
            let unused: Vec<_> = unused
                .iter()
                .map(|written| format!("{}={}", written.from, written.value))
                .collect();
            let what = format!(
                "the image's tag names a version before 1.12, which takes the last flag for a \
                method and no numbered variables, so these had no effect and are left out: {}",
                unused.join(", ")
            );
            plan.note(NoteKind::Hint, what);
        } else if names.len() < used.len() {
            let what = "several expressions for one method are joined, as version 1.12 and newer \
                ones do; an older one took the last";
            plan.note(NoteKind::Hint, what);
        }
        used
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|written| written.value.as_str())
    }

    fn is_on(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| ["1", "t", "T", "true", "TRUE", "True"].contains(&value))
    }
}

/// Plans for its flags and variables.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    let options = read_options(settings, plan);
    let joins = joins_expressions(settings);
    let mut rights = Rights::default();
    for written in &options.rules(joins, plan) {
        let method = written.name.trim_start_matches("allow");
        match Method::parse(method) {
            Some(method) => add_rule(method, &written.value, &written.from, &mut rights, plan),
            None => plan.note(
                NoteKind::Different,
                format!("{}: {method} never reaches an engine here", written.from),
            ),
        }
    }
    rights.guard_allow.extend(bind_exceptions(
        options.value("allowbindmountfrom").unwrap_or_default(),
    ));
    set_addresses(&options, plan);
    set_other_options(&options, plan);
    assign_clients(&options, rights, settings, plan);
    if options
        .value("proxycontainername")
        .is_some_and(|name| !name.is_empty())
    {
        add_labelled_profiles(settings, joins, plan);
    }
}

/// Returns whether the proxy's version joins several expressions for one method. Version 1.12 and
/// newer ones do, and all tags but those of an older version are read as a newer one.
fn joins_expressions(settings: &PeerSettings) -> bool {
    !matches!(settings.image_version(), Some((0, _) | (1, Some(0..=11))))
}

/// Reads flags and variables. A flag goes before its variable; an empty value is none.
fn read_options(settings: &PeerSettings, plan: &mut Plan) -> Options {
    let mut all = parse_flags(&settings.args);
    let flagged: Vec<String> = all.iter().map(|written| written.name.clone()).collect();
    for (from, value) in &settings.vars {
        let Some(name) = from.strip_prefix("SP_") else {
            plan.note(
                NoteKind::Different,
                format!("{from} is no variable of that proxy: left out"),
            );
            continue;
        };
        let name = match name.strip_prefix("ALLOW_") {
            Some(rest) => format!("allow{}", rest.split('_').next().unwrap_or_default()),
            None => name.to_lowercase(),
        };
        if !flagged.contains(&name) && !value.is_empty() {
            all.push(WrittenOption {
                name,
                value: value.clone(),
                from: from.clone(),
                is_flag: false,
            });
        }
    }
    let known = |name: &str| {
        OPTIONS.contains(&name)
            || (name.starts_with("allow") && name[5..].chars().all(char::is_uppercase))
    };
    for written in all.iter().filter(|written| !known(&written.name)) {
        plan.note(
            NoteKind::Different,
            format!("{} is no option of that proxy: left out", written.from),
        );
    }
    all.retain(|written| known(&written.name));
    Options(all)
}

/// `-name=value`, `-name value`; a switch has its value behind an equals sign, if any.
fn parse_flags(args: &[String]) -> Vec<WrittenOption> {
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            // Go stops at the first word that is no flag. The program itself may come before.
            if flags.is_empty() {
                continue;
            }
            break;
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if SWITCHES.contains(&name) => (name, "true".to_owned()),
            None => (name, args.next().cloned().unwrap_or_default()),
        };
        flags.push(WrittenOption {
            name: name.to_owned(),
            value,
            from: format!("-{name}"),
            is_flag: true,
        });
    }
    flags
}

fn add_rule(method: Method, pattern: &str, from: &str, rights: &mut Rights, plan: &mut Plan) {
    // A blank would end the pattern where a comment seems to begin, and a percent sign begins a
    // variable.
    let pattern = pattern.replace(" #", "\\x20#").replace('%', "\\x25");
    patterns::add_pattern(method.as_str(), &pattern, from, rights, plan);
}

fn set_addresses(options: &Options, plan: &mut Plan) {
    let frontend = match options
        .value("proxysocketendpoint")
        .filter(|path| !path.is_empty())
    {
        Some(path) => {
            let mode = options
                .get("proxysocketendpointfilemode")
                .map_or(Some(0o600), parse_mode);
            if mode.is_none() {
                plan.note(
                    NoteKind::Different,
                    "-proxysocketendpointfilemode is no mode from 0 to 0777: the socket has 0600",
                );
            }
            let keys = vec![("socket-mode", format!("{:04o}", mode.unwrap_or(0o600)))];
            PlannedFrontend {
                keys,
                ..PlannedFrontend::at(format!("unix://{path}"))
            }
        }
        None => {
            let ip = options.value("listenip").unwrap_or("127.0.0.1");
            let ip = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.to_owned()
            };
            PlannedFrontend::at(format!(
                "tcp://{ip}:{}",
                options.value("proxyport").unwrap_or("2375")
            ))
        }
    };
    match Address::frontend(&frontend.addr) {
        Ok(_) => plan.frontends.push(frontend),
        Err(expected) => {
            plan.note(
                NoteKind::Missing,
                format!("{} is no address here: {expected}", frontend.addr),
            );
            plan.frontends
                .push(PlannedFrontend::at("tcp://127.0.0.1:2375"));
        }
    }
    plan.backend = format!(
        "unix://{}",
        options
            .value("socketpath")
            .unwrap_or("/var/run/docker.sock")
    );
}

/// Reads a mode as that proxy does: the flag as a number of Go, which is decimal unless it begins
/// with 0, 0o, 0x or 0b; the variable as an octal number.
fn parse_mode(written: &WrittenOption) -> Option<u32> {
    let text = written.value.replace('_', "");
    let (digits, radix) = match text.as_str() {
        text if !written.is_flag => (text, 8),
        text => match text.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&text[2..], 16),
            [b'0', b'b' | b'B', ..] => (&text[2..], 2),
            [b'0', b'o' | b'O', ..] => (&text[2..], 8),
            [b'0', _, ..] => (&text[1..], 8),
            _ => (text, 10),
        },
    };
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|mode| *mode <= 0o777)
}

fn set_other_options(options: &Options, plan: &mut Plan) {
    if let Some(level) = options.value("loglevel") {
        match Level::parse(level) {
            Ok(_) => plan.option("log-level", level.to_ascii_lowercase()),
            Err(_) => plan.note(
                NoteKind::Different,
                format!("-loglevel={level} is no level: the log has the default one"),
            ),
        }
    }
    if options.is_on("logjson") {
        plan.option("log-format", "json");
    }
    match options.value("shutdowngracetime").map(str::parse::<u32>) {
        Some(Ok(seconds)) => plan.option("drain-timeout", format!("{seconds}s")),
        Some(Err(_)) => plan.note(
            NoteKind::Different,
            "-shutdowngracetime is no number of seconds: left out",
        ),
        None => {}
    }
    if options.value("watchdoginterval").is_some() || options.value("stoponwatchdog").is_some() {
        let what = "the watchdog: an engine that comes back is found again by itself; the \
            healthcheck tells while it is away";
        plan.note(NoteKind::Different, what);
    }
    if options.is_on("allowhealthcheck") {
        plan.note(
            NoteKind::Different,
            "the health check is cetusguard healthcheck, which needs no port of its own",
        );
    }
}

/// Makes a profile for the addresses and names that may connect; other clients have no rights.
fn assign_clients(options: &Options, rights: Rights, settings: &PeerSettings, plan: &mut Plan) {
    let allowed = options.value("allowfrom").unwrap_or("127.0.0.1/32");
    let mut sources: Vec<&str> = allowed
        .split(',')
        .map(str::trim)
        .filter(|source| !source.is_empty())
        .collect();
    // The first network decides there: entries behind it are never compared.
    if let Some(network) = sources.iter().position(|source| source.contains('/')) {
        let unused = sources.split_off(network + 1);
        if !unused.is_empty() {
            let what = format!(
                "-allowfrom: {} did nothing there, since a network stands before it; if it was \
                meant to work, add it to clients",
                unused.join(",")
            );
            plan.note(NoteKind::Different, what);
        }
    }
    let is_local = options.value("listenip").unwrap_or("127.0.0.1") == "127.0.0.1"
        && allowed == "127.0.0.1/32";
    let is_socket = plan
        .frontends
        .iter()
        .any(|frontend| frontend.socket().is_some());
    // The network of all IPv4 addresses has no client over IPv6.
    let listens_on_ipv4 = options
        .value("listenip")
        .is_none_or(|address| address.parse::<std::net::Ipv4Addr>().is_ok());
    let takes_all = listens_on_ipv4 && sources.contains(&"0.0.0.0/0");
    if takes_all || is_local || is_socket {
        plan.default = rights;
        return;
    }
    let mut clients = Vec::new();
    for source in sources {
        if source.contains('/') || source.parse::<std::net::IpAddr>().is_ok() {
            clients.push(vec![("address", source.to_owned())]);
            continue;
        }
        let found = settings.project.clients(source);
        let pair = |(key, value): &(&str, String)| format!("{key}={value}");
        let keys: Vec<_> = found
            .iter()
            .map(|one| one.iter().map(pair).collect::<Vec<_>>().join(" and "))
            .collect();
        let what = format!(
            "-allowfrom={source}: clients are found by {} in the engine's answers, not in DNS",
            keys.join(" or ")
        );
        plan.note(NoteKind::Different, what);
        clients.extend(found);
    }
    plan.profiles.push(ClientClass {
        name: "allowed".to_owned(),
        clients,
        rights,
    });
}

/// Folders below which host paths may be mounted.
pub(super) fn bind_exceptions(folders: &str) -> impl Iterator<Item = String> {
    let folders = folders
        .split(',')
        .map(str::trim)
        .filter(|folder| folder.starts_with('/'));
    folders.map(|folder| format!("bind={}/**", folder.trim_end_matches('/')))
}

/// Makes profiles of the rights that other services have as labels.
fn add_labelled_profiles(settings: &PeerSettings, joins: bool, plan: &mut Plan) {
    for (service, node) in &settings.project.services {
        let mut rights = Rights::default();
        for (key, value) in settings.project.labels(node) {
            let Some(rest) = key.strip_prefix(LABELS).filter(|_| !value.is_empty()) else {
                continue;
            };
            let (word, number) = rest.split_once('.').unwrap_or((rest, ""));
            if !joins && !number.is_empty() {
                continue;
            }
            if rest.eq_ignore_ascii_case("bindmountfrom") {
                rights.guard_allow.extend(bind_exceptions(&value));
            } else if let Some(method) = Method::parse(&word.to_uppercase()) {
                add_rule(method, &value, &format!("label {key}"), &mut rights, plan);
            }
        }
        if rights.rules.is_empty() && rights.guard_allow.is_empty() {
            continue;
        }
        // A label takes the place of the common rights.
        let is_other = |(key, name): &(&str, String)| *key != "compose-service" || name != service;
        plan.profiles
            .iter_mut()
            .for_each(|class| class.clients.retain(|entry| entry.iter().all(is_other)));
        let clients = vec![settings.project.service(service)];
        plan.profiles.push(ClientClass {
            name: profile_name(service),
            clients,
            rights,
        });
    }
    for class in plan
        .profiles
        .extract_if(.., |class| class.clients.is_empty())
        .collect::<Vec<_>>()
    {
        plan.note(
            NoteKind::Different,
            format!(
                "the rules of {} are left out: no client has them",
                class.name
            ),
        );
    }
}
