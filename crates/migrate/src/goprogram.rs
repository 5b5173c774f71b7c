//! CetusGuard, the Go program, which has the same variables and flags.
//!
//! Facts: `cmd/cetusguard/main.go` and `cetusguard/rule.go` of hectorm/cetusguard.

use cetusguard_config::OPTIONS;
use cetusguard_config::address::Address;

use super::note::NoteKind;
use super::patterns;
use super::plan::{Plan, PlannedFrontend, Rights};
use super::settings::PeerSettings;
use cetusguard_config::log::Level;

/// The rules that hold unless `no-builtin-rules` is set.
const BUILT_IN: &[&str] = &[
    "GET,HEAD %API_PREFIX_PING%",
    "GET %API_PREFIX_VERSION%",
    "GET %API_PREFIX_INFO%",
];

/// The options of the Go program. Others that Cetusguard has as well had no effect there.
const KNOWN: &[&str] = &[
    "backend-addr",
    "backend-tls-cacert",
    "backend-tls-cert",
    "backend-tls-key",
    "frontend-addr",
    "frontend-tls-cacert",
    "frontend-tls-cert",
    "frontend-tls-key",
    "rules",
    "rules-file",
    "no-builtin-rules",
    "log-level",
];

/// Plans for its settings.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    let flags = parse_flags(&settings.args);
    // A flag takes the place of its variable.
    let is_flagged =
        |option: &Option<String>| flags.iter().any(|(name, _)| Some(name) == option.as_ref());
    let env = settings
        .vars
        .iter()
        .map(|(name, value)| (option_of(name), name.clone(), value.clone()));
    let env: Vec<_> = env.filter(|(option, ..)| !is_flagged(option)).collect();
    let all = env.into_iter().chain(
        flags
            .into_iter()
            .map(|(name, value)| (Some(name.clone()), format!("-{name}"), value)),
    );
    let mut read = ReadSettings {
        has_built_in: true,
        ..ReadSettings::default()
    };
    for (option, written, value) in all {
        let option = option.as_deref().filter(|option| KNOWN.contains(option));
        read.has_frontend |= option == Some("frontend-addr") && !value.is_empty();
        match option {
            _ if value.is_empty() => {}
            Some(option) => read.set(option, &written, value, settings, plan),
            None => plan.note(
                NoteKind::Different,
                format!("{written} is no option of that program: left out"),
            ),
        }
    }
    if read.has_built_in {
        for line in BUILT_IN {
            add_rule(line, "built in there", &mut read.rights, plan);
        }
    }
    plan.default = read.rights;
    if plan.frontends.is_empty() {
        // Every other address could be wider than one that cannot be read.
        let address = if read.has_frontend {
            "tcp://127.0.0.1:2375"
        } else {
            "tcp://:2375"
        };
        plan.frontends.push(PlannedFrontend::at(address));
    }
    if plan.backend.is_empty() {
        plan.backend = "unix:///var/run/docker.sock".to_owned();
    }
    for frontend in &mut plan.frontends {
        if frontend.port().is_some() {
            frontend.keys.extend(read.tls.clone());
        }
    }
}

/// The settings that are not a part of the plan by themselves.
#[derive(Default)]
struct ReadSettings {
    rights: Rights,
    /// Keys of frontends with a port.
    tls: Vec<(&'static str, String)>,
    has_built_in: bool,
    has_frontend: bool,
}

impl ReadSettings {
    /// Sets an option of the Go program.
    fn set(
        &mut self,
        option: &str,
        written: &str,
        value: String,
        settings: &PeerSettings,
        plan: &mut Plan,
    ) {
        match option {
            "rules" => {
                for line in value.lines() {
                    add_rule(line, written, &mut self.rights, plan);
                }
            }
            "rules-file" => add_rule_files(&value, written, settings, &mut self.rights, plan),
            "no-builtin-rules" => {
                let is_on = ["1", "t", "T", "true", "TRUE", "True"].contains(&value.as_str());
                self.has_built_in = !is_on;
            }
            "frontend-addr" => add_frontends(&value, written, plan),
            "frontend-tls-cacert" => self.tls.push(("tls-cacert", value)),
            "frontend-tls-cert" => self.tls.push(("tls-cert", value)),
            "frontend-tls-key" => self.tls.push(("tls-key", value)),
            "backend-addr" => match Address::backend(&value) {
                Ok(_) => plan.backend = value,
                Err(expected) => plan.note(
                    NoteKind::Missing,
                    format!("{written}={value} is no address here: {expected}"),
                ),
            },
            "log-level" => match Level::parse(&value) {
                Ok(_) => plan.option("log-level", value),
                Err(_) => plan.note(
                    NoteKind::Different,
                    format!("{written}={value} is no level: the log has the default one"),
                ),
            },
            name => {
                if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
                    plan.option(option.name, value);
                }
            }
        }
    }
}

/// Returns the option that a variable sets.
fn option_of(name: &str) -> Option<String> {
    match name {
        "CONTAINER_HOST" | "DOCKER_HOST" => Some("backend-addr".to_owned()),
        name => name
            .strip_prefix("CETUSGUARD_")
            .map(|rest| rest.to_lowercase().replace('_', "-")),
    }
}

/// Reads flags: `-name=value`, `-name value`, and switches.
fn parse_flags(args: &[String]) -> Vec<(String, String)> {
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
            None if ["no-builtin-rules", "version"].contains(&name) => (name, "true".to_owned()),
            None => (name, args.next().cloned().unwrap_or_default()),
        };
        flags.push((name.to_owned(), value));
    }
    flags
}

fn add_frontends(value: &str, written: &str, plan: &mut Plan) {
    for address in value
        .split([',', ' ', '\n'])
        .map(str::trim)
        .filter(|address| !address.is_empty())
    {
        match Address::frontend(address) {
            Ok(_) => plan.frontends.push(PlannedFrontend::at(address)),
            Err(expected) => plan.note(
                NoteKind::Missing,
                format!("{written}={address} is no address here: {expected}"),
            ),
        }
    }
}

/// Adds the rules in files, since some lines have another meaning there.
fn add_rule_files(
    value: &str,
    written: &str,
    settings: &PeerSettings,
    rights: &mut Rights,
    plan: &mut Plan,
) {
    for path in value
        .split([',', '\n'])
        .map(str::trim)
        .filter(|path| !path.is_empty())
    {
        match settings.file_in_container(path) {
            Ok(text) => {
                text.lines()
                    .for_each(|line| add_rule(line, path, rights, plan));
                plan.unneeded.push(path.to_owned());
            }
            Err(why) => plan.note(
                NoteKind::Missing,
                format!(
                    "{written}: the rules of {path} cannot be read ({why}), so none of them is \
                    here: run migrate on the compose file where it lies beside them, or add its \
                    lines to rules, with %API_PREFIX%/exec for %API_PREFIX_EXEC%"
                ),
            ),
        }
    }
}

/// Adds a line of rules as the Go program reads it: only `!` begins a comment there.
fn add_rule(line: &str, from: &str, rights: &mut Rights, plan: &mut Plan) {
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('!') {
        return;
    }
    if line.contains(" #") || line.contains("\t#") || line.starts_with('#') {
        plan.note(
            NoteKind::Different,
            format!("{line:?}: # begins a comment here, and was a part of the pattern there"),
        );
    }
    let Some((methods, pattern)) = line.split_once([' ', '\t']) else {
        plan.note(NoteKind::Missing, format!("{line:?} is no rule: left out"));
        return;
    };
    // Here, the variable covers the exec endpoints of containers as well.
    let pattern = pattern
        .trim_start()
        .replace("%API_PREFIX_EXEC%", "%API_PREFIX%/exec");
    let from = if from.starts_with("CETUSGUARD_") {
        ""
    } else {
        from
    };
    patterns::add_pattern(methods, &pattern, from, rights, plan);
}
