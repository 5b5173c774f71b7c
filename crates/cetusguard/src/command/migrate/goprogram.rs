//! CetusGuard, the Go program: its variables and flags are ours.
//!
//! Facts: `cmd/cetusguard/main.go` and `cetusguard/rule.go` of hectorm/cetusguard.

use super::note::Kind;
use super::patterns;
use super::plan::{Frontend, Plan, Rights};
use super::settings::Settings;
use crate::config::OPTIONS;
use crate::config::address::Address;
use crate::log::Level;

/// What it allows unless it is told not to.
const BUILT_IN: &[&str] = &[
    "GET,HEAD %API_PREFIX_PING%",
    "GET %API_PREFIX_VERSION%",
    "GET %API_PREFIX_INFO%",
];

/// The options of the Go program: what else ours has would be something new.
const THEIRS: &[&str] = &[
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
pub(super) fn plan(settings: &Settings, plan: &mut Plan) {
    let flags = flags(&settings.args);
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
    let (mut rights, mut tls, mut has_built_in) = (Rights::default(), Vec::new(), true);
    for (option, written, value) in all {
        match option.as_deref().filter(|option| THEIRS.contains(option)) {
            _ if value.is_empty() => {}
            Some("rules") => value
                .lines()
                .for_each(|line| rule(line, &written, &mut rights, plan)),
            Some("rules-file") => files(&value, &written, settings, &mut rights, plan),
            Some("no-builtin-rules") => {
                has_built_in = !["1", "t", "T", "true", "TRUE", "True"].contains(&value.as_str())
            }
            Some("frontend-addr") => frontends(&value, &written, plan),
            Some("backend-addr") => match Address::backend(&value) {
                Ok(_) => plan.backend = value,
                Err(expected) => plan.note(
                    Kind::Missing,
                    format!("{written}={value} is no address here: {expected}"),
                ),
            },
            Some("log-level") => match Level::parse(&value) {
                Ok(_) => plan.option("log-level", value),
                Err(_) => plan.note(
                    Kind::Different,
                    format!("{written}={value} is no level: the log has the default one"),
                ),
            },
            Some(name) => match name.strip_prefix("frontend-tls-") {
                Some("cacert") => tls.push(("tls-cacert", value)),
                Some("cert") => tls.push(("tls-cert", value)),
                Some(_) => tls.push(("tls-key", value)),
                None => {
                    if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
                        plan.option(option.name, value);
                    }
                }
            },
            None => plan.note(
                Kind::Different,
                format!("{written} is no option of that program: left out"),
            ),
        }
    }
    if has_built_in {
        BUILT_IN
            .iter()
            .for_each(|line| rule(line, "built in there", &mut rights, plan));
    }
    plan.default = rights;
    if plan.frontends.is_empty() {
        plan.frontends.push(Frontend::at("tcp://:2375"));
    }
    if plan.backend.is_empty() {
        plan.backend = "unix:///var/run/docker.sock".to_owned();
    }
    let is_tcp = |frontend: &&mut Frontend| frontend.port().is_some();
    plan.frontends
        .iter_mut()
        .filter(is_tcp)
        .for_each(|frontend| frontend.keys.extend(tls.clone()));
}

/// The option that a variable sets.
fn option_of(name: &str) -> Option<String> {
    match name {
        "CONTAINER_HOST" | "DOCKER_HOST" => Some("backend-addr".to_owned()),
        name => name
            .strip_prefix("CETUSGUARD_")
            .map(|rest| rest.to_lowercase().replace('_', "-")),
    }
}

/// `-name=value`, `-name value`, and switches.
fn flags(args: &[String]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
            continue;
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

fn frontends(value: &str, written: &str, plan: &mut Plan) {
    for address in value
        .split([',', ' ', '\n'])
        .map(str::trim)
        .filter(|address| !address.is_empty())
    {
        match Address::frontend(address) {
            Ok(_) => plan.frontends.push(Frontend::at(address)),
            Err(expected) => plan.note(
                Kind::Missing,
                format!("{written}={address} is no address here: {expected}"),
            ),
        }
    }
}

/// Takes the rules out of files: some lines have another meaning there.
fn files(value: &str, written: &str, settings: &Settings, rights: &mut Rights, plan: &mut Plan) {
    for path in value
        .split([',', '\n'])
        .map(str::trim)
        .filter(|path| !path.is_empty())
    {
        match settings.file_in_container(path) {
            Ok(text) => {
                text.lines().for_each(|line| rule(line, path, rights, plan));
                plan.unneeded.push(path.to_owned());
            }
            Err(why) => plan.lack(format!(
                "{written}: the rules of {path} cannot be read ({why}), so none of them is here: \
                run migrate on the compose file where it lies beside them, or add its lines to \
                rules, with %API_PREFIX%/exec for %API_PREFIX_EXEC%"
            )),
        }
    }
}

/// Adds a line of rules as the Go program reads it: only `!` begins a comment there.
fn rule(line: &str, from: &str, rights: &mut Rights, plan: &mut Plan) {
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('!') {
        return;
    }
    if line.contains(" #") || line.contains("\t#") || line.starts_with('#') {
        plan.note(
            Kind::Different,
            format!("{line:?}: # begins a comment here, and was a part of the pattern there"),
        );
    }
    let Some((methods, pattern)) = line.split_once([' ', '\t']) else {
        plan.note(Kind::Missing, format!("{line:?} is no rule: left out"));
        return;
    };
    // Ours covers the exec endpoints of containers as well.
    let pattern = pattern
        .trim_start()
        .replace("%API_PREFIX_EXEC%", "%API_PREFIX%/exec");
    let from = if from.starts_with("CETUSGUARD_") {
        ""
    } else {
        from
    };
    patterns::add(methods, &pattern, from, rights, plan);
}
