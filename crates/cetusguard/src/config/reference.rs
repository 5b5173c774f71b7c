//! The reference page, made from the tables of options and of the file's keys.

use super::file::{CLIENT_KEYS, FRONTEND_KEYS, PROFILE_KEYS};
use super::option::{OPTIONS, Opt};

/// The options as Markdown tables, one a section: the body of `docs/configuration.md`.
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
        page.push_str(&row(option));
    }
    for (heading, keys) in [
        ("An entry of `frontends`", &FRONTEND_KEYS[..]),
        ("A profile of `profiles`", &PROFILE_KEYS),
        ("A client of `clients`", &CLIENT_KEYS),
    ] {
        page.push_str(&format!("\n## {heading}\n\n| key | meaning |\n|---|---|\n"));
        page.extend(keys.iter().map(|(key, meaning)| format!("| `{key}` | {meaning} |\n")));
    }
    page
}

fn row(option: &Opt) -> String {
    let value = option.value.map(|value| format!(" {value}")).unwrap_or_default();
    let env = option.env().map(|env| format!("`{env}`")).collect::<Vec<_>>().join(", ");
    let default = if option.default.is_empty() { "none".to_owned() } else { format!("`{}`", option.default) };
    format!("| `--{}{value}` | {env} | {default} | {} |\n", option.name, option.help)
}
