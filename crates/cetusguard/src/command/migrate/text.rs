//! The plan as files: our configuration, and a compose service that uses it.

use std::fmt::Write as _;

use serde::Serialize;

use super::plan::{Class, Kind, Note, Plan, Rights};
use crate::command::learn::quoted;

/// The answer for programs.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'p> {
    /// `cetusguard.yaml`.
    config: String,
    /// `compose.yaml`.
    compose: String,
    notes: &'p [Note],
}

impl<'p> Shown<'p> {
    /// The files of a plan.
    pub(super) fn of(plan: &'p Plan) -> Self {
        Self { config: config(plan), compose: compose(plan), notes: &plan.notes }
    }
}

/// The answer for people: both files, with the notes as comments before them.
pub(super) fn page(plan: &Plan, proxy: &str) -> String {
    let mut out =
        format!("# Cetusguard with the intent of this {proxy} proxy. Read the notes, then save the two files.\n#\n");
    for note in &plan.notes {
        let mark = match note.kind {
            Kind::Stricter => "stricter:  ",
            Kind::Missing => "missing:   ",
            Kind::Different => "different: ",
        };
        let options = textwrap::Options::new(100).subsequent_indent("#            ").break_words(false);
        let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
        out.push_str(&textwrap::fill(&format!("# {mark}{}", one_line(&note.what)), options));
        out.push('\n');
    }
    if plan.notes.is_empty() {
        out.push_str("# Nothing differs.\n");
    }
    let _ = write!(out, "\n# ---- cetusguard.yaml\n{}\n# ---- compose.yaml\n{}", config(plan), compose(plan));
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn config(plan: &Plan) -> String {
    let mut out = String::new();
    for (name, value) in &plan.options {
        let _ = writeln!(out, "{name}: {}", quoted(value));
    }
    if !plan.built_in {
        out.push_str("no-builtin-rules: true\n");
    }
    write_rights(&mut out, &plan.default, "");
    if !plan.profiles.is_empty() {
        out.push_str("profiles:\n");
    }
    for Class { name, clients, rights } in &plan.profiles {
        let _ = writeln!(out, "  {}:\n    clients:", quoted(name));
        for (key, value) in clients {
            let _ = writeln!(out, "      - {key}: {}", quoted(value));
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
        let _ = writeln!(out, "{indent}  - {}", quoted(exception));
    }
    if !rights.rules.is_empty() {
        let _ = writeln!(out, "{indent}rules: |");
    }
    for (rule, from) in &rights.rules {
        let from = if from.is_empty() { String::new() } else { format!("  # {}", one_line(from)) };
        let _ = writeln!(out, "{indent}  {}{from}", one_line(rule));
    }
    for rule in rights.closed.iter().filter(|_| !rights.rules.is_empty()) {
        let _ = writeln!(out, "{indent}  # {rule}");
    }
}

fn compose(plan: &Plan) -> String {
    let mut out = String::from("services:\n");
    let _ = writeln!(out, "  {}:", quoted(&plan.service));
    out.push_str(
        "    image: docker.io/cetusguard/cetusguard:latest
    restart: unless-stopped
    read_only: true
    cap_drop:
      - ALL
    security_opt:
      - no-new-privileges:true
    mem_limit: 64M
    environment:
      CETUSGUARD_CONFIG: /etc/cetusguard.yaml
    volumes:
      - ./cetusguard.yaml:/etc/cetusguard.yaml:ro
",
    );
    let _ = writeln!(out, "      - {0}:{0}:ro", plan.socket);
    for (key, values) in &plan.copied {
        let _ = writeln!(out, "    {key}:");
        out.extend(values.iter().map(|value| format!("      - {}\n", quoted(value))));
    }
    out.push_str("    healthcheck:\n      test: [\"CMD\", \"/cetusguard\", \"healthcheck\"]\n");
    out
}
