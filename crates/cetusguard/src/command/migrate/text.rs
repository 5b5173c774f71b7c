//! The result as files: our configuration for each instance, and a compose file with their
//! services.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use cetusguard_policy::list_value;

use super::container::Container;
use super::note::{Kind, Note};
use super::plan::{Class, Frontend, Plan, Rights};
use super::project::Project;
use super::yaml::{self, Value};
use crate::command::learn::quoted;
use crate::command::page::harmless;

/// Returns the notes as comments, after a line that says what this is.
pub(super) fn notes(notes: &[Note], head: &str) -> String {
    let mut out = format!("# {head}\n#\n");
    for note in notes {
        let mark = match note.kind {
            Kind::Stricter => "stricter:  ",
            Kind::Missing => "missing:   ",
            Kind::Different => "different: ",
        };
        let options = textwrap::Options::new(100)
            .subsequent_indent("#            ")
            .break_words(false);
        let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
        out.push_str(&textwrap::fill(
            &format!("# {mark}{}", harmless(&note.text())),
            options,
        ));
        out.push('\n');
    }
    if notes.is_empty() {
        out.push_str("# Nothing differs.\n");
    }
    out
}

/// Returns the configuration of an instance.
pub(super) fn config(plan: &Plan) -> String {
    let mut out = String::new();
    match plan.frontends.as_slice() {
        [
            Frontend {
                addr,
                profile: None,
                keys,
            },
        ] => {
            let _ = writeln!(out, "frontend-addr: {}", quoted(addr));
            for (key, value) in keys {
                let _ = writeln!(out, "frontend-{key}: {}", quoted(value));
            }
        }
        frontends => {
            out.push_str("frontends:\n");
            for Frontend {
                addr,
                profile,
                keys,
            } in frontends
            {
                let _ = writeln!(out, "  - addr: {}", quoted(addr));
                for (key, value) in profile
                    .iter()
                    .map(|profile| ("profile", profile))
                    .chain(keys.iter().map(|(key, value)| (*key, value)))
                {
                    let _ = writeln!(out, "    {key}: {}", quoted(value));
                }
            }
        }
    }
    let _ = writeln!(out, "backend-addr: {}", quoted(&plan.backend));
    for (name, value) in &plan.options {
        let _ = writeln!(out, "{name}: {}", quoted(value));
    }
    // Rules are about the methods that the other proxy lets pass, and no others.
    out.push_str("no-builtin-rules: true\nhead-follows-get: false\n");
    write_rights(&mut out, &plan.default, "");
    if !plan.profiles.is_empty() {
        out.push_str("profiles:\n");
    }
    for Class {
        name,
        clients,
        rights,
    } in &plan.profiles
    {
        let _ = writeln!(out, "  {}:", quoted(name));
        if !clients.is_empty() {
            out.push_str("    clients:\n");
        }
        for conditions in clients {
            for (at, (key, value)) in conditions.iter().enumerate() {
                let _ = writeln!(
                    out,
                    "      {} {key}: {}",
                    if at == 0 { "-" } else { " " },
                    quoted(value)
                );
            }
        }
        write_rights(&mut out, rights, "    ");
    }
    out
}

fn write_rights(out: &mut String, rights: &Rights, indent: &str) {
    if !rights.guard_allow.is_empty() {
        let _ = writeln!(out, "{indent}guard-allow:");
    }
    for exception in &rights.guard_allow {
        let _ = writeln!(out, "{indent}  - {}", quoted(&list_value(exception)));
    }
    if rights.rules.is_empty() {
        // A key without a value is a mistake, so that it is a comment as well.
        let head = if rights.closed.is_empty() {
            ""
        } else {
            "# rules: |\n"
        };
        let _ = write!(out, "{}{head}", if head.is_empty() { "" } else { indent });
    } else {
        let _ = writeln!(out, "{indent}rules: |");
    }
    for (rule, from) in &rights.rules {
        let from = if from.is_empty() {
            String::new()
        } else {
            format!("  # {}", harmless(from))
        };
        let _ = writeln!(out, "{indent}  {}{from}", harmless(rule));
    }
    for rule in &rights.closed {
        let _ = writeln!(out, "{indent}  # {}", harmless(rule));
    }
}

/// Returns the compose file: the services, and what they use of the project.
pub(super) fn compose(containers: &[Container], project: &Project, out: Option<&Path>) -> String {
    let mut text = String::new();
    if let Some(name) = project.name.as_deref().filter(|_| out.is_some()) {
        let _ = writeln!(text, "name: {}", quoted(name));
    }
    let services = containers
        .iter()
        .map(|container| (container.name.clone(), Value::Map(container.keys.clone())));
    text.push_str("services:\n");
    yaml::write_pairs(&mut text, &services.collect::<Vec<_>>(), 2);
    for section in ["networks", "volumes", "secrets", "configs"] {
        let used: BTreeSet<String> = containers
            .iter()
            .flat_map(|container| used(container, section))
            .collect();
        if used.is_empty() {
            continue;
        }
        let all = project
            .top
            .iter()
            .find(|(key, _)| key == section)
            .map(|(_, all)| all);
        let definition = |name: &str| {
            all.and_then(|all| all.get(name))
                .map_or(Value::Null, |value| moved(value, project, out))
        };
        let pairs: Vec<_> = used
            .iter()
            .map(|name| (name.clone(), definition(name)))
            .collect();
        let _ = writeln!(text, "{section}:");
        yaml::write_pairs(&mut text, &pairs, 2);
    }
    text
}

/// The names that a service uses of a section of the compose file.
fn used(container: &Container, section: &str) -> Vec<String> {
    let Some((_, value)) = container.keys.iter().find(|(key, _)| key == section) else {
        return Vec::new();
    };
    if section != "volumes" {
        let names = value
            .items()
            .iter()
            .map(|item| item.get("source").unwrap_or(item).plain());
        let names: Vec<&str> = if matches!(value, Value::Map(_)) {
            value.names()
        } else {
            names.collect()
        };
        return names.into_iter().map(str::to_owned).collect();
    }
    let sources = value
        .items()
        .iter()
        .filter_map(|item| super::mount::read(item, &Default::default()));
    sources
        .filter(|mount| !mount.is_bind() && !mount.source.is_empty() && !mount.source.contains('$'))
        .map(|mount| mount.source)
        .collect()
}

/// A definition whose files are found from another folder.
fn moved(value: &Value, project: &Project, out: Option<&Path>) -> Value {
    let Value::Map(pairs) = value else {
        return value.clone();
    };
    let is_file =
        |key: &str, value: &Value| key == "file" && value.plain().starts_with('.') && out.is_some();
    let pairs = pairs
        .iter()
        .map(|(key, value)| match project.path(value.plain()) {
            Some(path) if is_file(key, value) => (key.clone(), Value::text(path.to_string_lossy())),
            _ => (key.clone(), value.clone()),
        });
    Value::Map(pairs.collect())
}
