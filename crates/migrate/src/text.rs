//! The texts of the files: the configuration of each instance, and the compose file.

use std::fmt::Write as _;

use cetusguard_config::printed::{harmless, quoted};
use cetusguard_policy::list_value;

use super::compose::Compose;
use super::note::Note;
use super::plan::{ClientClass, Plan, PlannedFrontend, Rights};
use super::yaml;

/// Returns the notes as comments, after a heading.
pub(super) fn note_comments(notes: &[Note], head: &str) -> String {
    let mut out = format!("# {head}\n#\n");
    for note in notes {
        let mark = format!("{}:", note.kind.word());
        let options = textwrap::Options::new(100)
            .subsequent_indent("#            ")
            .break_words(false);
        let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
        out.push_str(&textwrap::fill(
            &format!("# {mark:10} {}", harmless(&note.text())),
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
pub(super) fn configuration(plan: &Plan) -> String {
    let mut out = String::new();
    write_frontends(&mut out, &plan.frontends);
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
    for class in &plan.profiles {
        write_profile(&mut out, class);
    }
    out
}

fn write_frontends(out: &mut String, frontends: &[PlannedFrontend]) {
    match frontends {
        [
            PlannedFrontend {
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
            for PlannedFrontend {
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
}

fn write_profile(out: &mut String, class: &ClientClass) {
    let ClientClass {
        name,
        clients,
        rights,
    } = class;
    let _ = writeln!(out, "  {}:", quoted(name));
    if !clients.is_empty() {
        out.push_str("    clients:\n");
    }
    for conditions in clients {
        for (at, (key, value)) in conditions.iter().enumerate() {
            let dash = if at == 0 { "-" } else { " " };
            let _ = writeln!(out, "      {dash} {key}: {}", quoted(value));
        }
    }
    write_rights(out, rights, "    ");
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

/// Returns the compose file.
pub(super) fn compose_file(compose: &Compose) -> String {
    let mut text = String::new();
    if let Some(name) = &compose.name {
        let _ = writeln!(text, "name: {}", quoted(name));
    }
    for (section, pairs) in &compose.sections {
        let _ = writeln!(text, "{section}:");
        yaml::write_pairs(&mut text, pairs, 2);
    }
    text
}
