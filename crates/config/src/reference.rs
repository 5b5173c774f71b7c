//! The reference page, made from the tables of options and of the file's keys.

use cetusguard_policy::Redaction;
use cetusguard_policy::guard::KINDS;

use super::keys::{CLIENT_KEYS, CLIENTS, FRONTEND_KEYS, Key, PROFILE_KEYS};
use super::option::{OPTIONS, Opt};

/// Returns the options as Markdown tables, one a section: the body of `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::new();
    let mut section = "";
    for option in OPTIONS {
        if option.section != section {
            section = option.section;
            page.push_str(&format!(
                "\n## {section}\n\n| flag | environment | default | meaning |\n|---|---|---|---|\n"
            ));
        }
        page.push_str(&option_row(option));
    }
    let clients = Key {
        name: "clients",
        value: "",
        many: true,
        help: CLIENTS,
    };
    let profile: Vec<&Key> = std::iter::once(&clients).chain(PROFILE_KEYS).collect();
    let all: [(&str, Vec<&Key>); 3] = [
        ("An entry of `frontends`", FRONTEND_KEYS.iter().collect()),
        ("A profile of `profiles`", profile),
        ("A client of `clients`", CLIENT_KEYS.iter().collect()),
    ];
    for (heading, keys) in all {
        page.push_str(&format!("\n## {heading}\n\n| key | meaning |\n|---|---|\n"));
        page.extend(
            keys.into_iter()
                .map(|key| format!("| {} | {} |\n", key_with_value(key), key.help)),
        );
    }
    page.push_str(
        "\n## An exception of `guard-allow`\n\n| exception | what it opens |\n|---|---|\n",
    );
    page.extend(KINDS.iter().map(|kind| {
        format!(
            "| `{}` | {} |\n",
            kind.to_string().replace('|', "\\|"),
            kind.help
        )
    }));
    page.push_str("\n## A value of `redact`\n\n| value | what is replaced |\n|---|---|\n");
    page.extend(
        Redaction::VALUES
            .iter()
            .map(|(value, help)| format!("| `{value}` | {help} |\n")),
    );
    page
}

fn option_row(option: &Opt) -> String {
    let value = option
        .value
        .map(|value| format!(" {}", value.replace('|', "\\|")))
        .unwrap_or_default();
    let env = option
        .env()
        .map(|env| format!("`{env}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let default = if option.default.is_empty() {
        "none".to_owned()
    } else {
        format!("`{}`", option.default)
    };
    format!(
        "| `--{}{value}` | {env} | {default} | {} |\n",
        option.name, option.help
    )
}

/// Returns the key with the form of its value; a `|` in it would end the cell.
fn key_with_value(key: &Key) -> String {
    let value = key.value.replace('|', "\\|");
    if value.is_empty() {
        format!("`{}`", key.name)
    } else {
        format!("`{}: {value}`", key.name)
    }
}
