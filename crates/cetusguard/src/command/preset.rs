//! `cetusguard preset`: rules for well-known clients, to look at before they are used.

use cetusguard_policy::Preset;
use serde::Serialize;

use super::page::{Emphasis, TextPage};
use super::{CommandOutput, Invocation};

#[derive(Debug, Serialize)]
struct Shown {
    name: &'static str,
    title: &'static str,
    client: String,
    checked: String,
    connect: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    needs: String,
    can: String,
    redact: Vec<String>,
    refused: String,
    source: String,
    rules: &'static str,
}

/// Lists them, or shows one.
pub(super) fn run(asked: &Invocation) -> CommandOutput {
    match asked.args.subcommand() {
        Some(("show", args)) => {
            let name = args
                .get_one::<String>("NAME")
                .map(String::as_str)
                .unwrap_or_default();
            Preset::find(name)
                .map(|preset| preset.text)
                .unwrap_or_default()
                .to_owned()
                .into()
        }
        Some((_, args))
            if args
                .get_one::<String>("format")
                .is_some_and(|format| format == "json") =>
        {
            let shown = |preset: &'static Preset| Shown {
                name: preset.name,
                title: preset.title(),
                client: preset.field("Client"),
                checked: preset.field("Checked"),
                connect: preset.field("Connect"),
                needs: preset.field("Needs"),
                can: preset.field("Can"),
                redact: preset.redaction().values().collect(),
                refused: preset.field("Refused"),
                source: preset.field("Source"),
                rules: preset.text,
            };
            super::json(&Preset::ALL.iter().map(shown).collect::<Vec<_>>()).into()
        }
        _ => list_presets(TextPage::new(&asked.sources.env)).into(),
    }
}

fn list_presets(mut page: TextPage) -> String {
    let width = Preset::ALL
        .iter()
        .map(|preset| preset.name.len())
        .max()
        .unwrap_or_default();
    for preset in Preset::ALL {
        page.item(
            0,
            &format!("{:width$}  ", preset.name),
            Emphasis::Plain,
            preset.title(),
        );
    }
    page.gap();
    page.say(
        0,
        Emphasis::Faint,
        "cetusguard preset show NAME prints the rules; presets, or CETUSGUARD_PRESETS, uses them.",
    );
    page.into_text()
}
