//! The plan as files: our configuration, and a compose service that uses it.

use std::fmt::Write as _;

use serde::Serialize;

use super::plan::{Class, Kind, Note, Plan, Rights};
use crate::command::learn::quoted;
use crate::command::page::harmless;
use crate::config::yaml::{Node, Value};

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
    let mut out = format!(
        "# Cetusguard with the intent of this {proxy} proxy. Read the notes; then save cetusguard.yaml,\n# and put the service in the place of the one that you have.\n#\n"
    );
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
    harmless(text)
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
    let host = plan.host_socket.as_deref().unwrap_or(&plan.socket);
    let _ = writeln!(out, "      - {}", quoted(&format!("{host}:{}:ro", plan.socket)));
    for (key, value) in &plan.kept {
        let _ = write!(out, "    {}:", scalar(key));
        write_node(&mut out, value, 6);
    }
    if !plan.kept.iter().any(|(key, _)| key == "restart") {
        out.push_str("    restart: unless-stopped\n");
    }
    out.push_str("    healthcheck:\n      test: [\"CMD\", \"/cetusguard\", \"healthcheck\"]\n");
    out
}

/// Writes a value behind its key or its dash, in block style.
fn write_node(out: &mut String, node: &Node, indent: usize) {
    match &node.value {
        Value::Nothing => out.push('\n'),
        Value::Text(text, _) => {
            let _ = writeln!(out, " {}", scalar(text));
        }
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(pairs) if pairs.is_empty() => out.push_str(" {}\n"),
        Value::List(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                write_node(out, item, indent + 2);
            }
        }
        Value::Map(pairs) => {
            out.push('\n');
            for (key, _, value) in pairs {
                let _ = write!(out, "{:indent$}{}:", "", scalar(key));
                write_node(out, value, indent + 2);
            }
        }
    }
}

/// Numbers stay numbers; whatever else is not plain stands in quotes.
fn scalar(text: &str) -> String {
    let is_number = !text.is_empty() && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.to_owned() } else { quoted(text) }
}
