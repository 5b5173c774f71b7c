//! The reference page, made from the table of options.

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
    page
}

fn row(option: &Opt) -> String {
    let value = option.value.map(|value| format!(" {value}")).unwrap_or_default();
    let env = option.env().map(|env| format!("`{env}`")).collect::<Vec<_>>().join(", ");
    let default = if option.default.is_empty() { "none".to_owned() } else { format!("`{}`", option.default) };
    format!("| `--{}{value}` | {env} | {default} | {} |\n", option.name, option.help)
}
