//! CetusGuard, the Go program: its variables and flags are ours.

use super::plan::{Kind, Plan};
use super::settings::Settings;
use crate::config::OPTIONS;

/// Plans for its settings.
pub(super) fn plan(settings: &Settings, plan: &mut Plan) {
    plan.built_in = true;
    plan.option("frontend-addr", "tcp://:2375");
    plan.option("backend-addr", "unix:///var/run/docker.sock");
    let flags = flags(&settings.args);
    // A flag takes the place of its variable.
    let is_flagged = |option: &Option<String>| flags.iter().any(|(name, _)| Some(name) == option.as_ref());
    let env = settings.vars.iter().map(|(name, value)| (option_of(name), name.clone(), value.clone()));
    let env: Vec<_> = env.filter(|(option, ..)| !is_flagged(option)).collect();
    let all =
        env.into_iter().chain(flags.into_iter().map(|(name, value)| (Some(name.clone()), format!("-{name}"), value)));
    for (option, written, value) in all {
        let known = option
            .as_deref()
            .and_then(|option| OPTIONS.iter().find(|known| known.name == option && THEIRS.contains(&option)));
        match known.map(|known| known.name) {
            Some("rules") => value.lines().for_each(|line| rule(line, &written, plan)),
            Some("no-builtin-rules") => plan.built_in = !matches!(&*value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
            Some(name) => {
                if let ("backend-addr", Some(path)) = (name, value.strip_prefix("unix://")) {
                    plan.socket = path.to_owned();
                }
                if name.ends_with("-file") || name.contains("-tls-") {
                    plan.note(
                        Kind::Different,
                        format!("{written} names a file: mount it into the container as before"),
                    );
                }
                plan.option(name, value);
            }
            None => plan.note(Kind::Different, format!("{written} is no option: left out")),
        }
    }
    plan.note(Kind::Different, "%API_PREFIX_EXEC% covers /containers/{id}/exec too: docs/migration.md");
}

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

/// The option that a variable sets.
fn option_of(name: &str) -> Option<String> {
    match name {
        "CONTAINER_HOST" | "DOCKER_HOST" => Some("backend-addr".to_owned()),
        name => name.strip_prefix("CETUSGUARD_").map(|rest| rest.to_lowercase().replace('_', "-")),
    }
}

/// `-name=value`, `-name value`, and switches.
fn flags(args: &[String]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else { continue };
        let is_switch = OPTIONS.iter().any(|option| option.name == name && option.value.is_none());
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if is_switch => (name, "true".to_owned()),
            None => (name, args.next().cloned().unwrap_or_default()),
        };
        flags.push((name.to_owned(), value));
    }
    flags
}

/// A line of rules as the Go program reads it: only `!` begins a comment there, and an alternation is anchored by half.
fn rule(line: &str, from: &str, plan: &mut Plan) {
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('!') {
        return;
    }
    if line.contains(" #") || line.contains("\t#") || line.starts_with('#') {
        plan.note(Kind::Different, format!("{line:?}: # begins a comment here, and was a part of the pattern there"));
    }
    if super::wollomatic::has_bare_alternation(line) {
        plan.note(
            Kind::Stricter,
            format!("{line:?}: each alternative has to match the whole path here, not one end of it"),
        );
    }
    plan.rule(line, if from.starts_with("CETUSGUARD_") { "" } else { from });
}
