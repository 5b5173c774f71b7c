//! Texts as they are printed: without characters that control a terminal, as YAML, and as JSON.

/// Returns whether a character ends lines somewhere, or makes a terminal do things.
pub fn draws(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Replaces characters that end a line or control a terminal: clients choose much of the printed
/// text.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if draws(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Returns a text as YAML writes it, in double quotes as in JSON where needed.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.=-".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    match starts_well && text.chars().all(is_plain) {
        true => text.to_owned(),
        // YAML takes more for the end of a line than JSON does.
        false => serde_json::Value::from(text)
            .to_string()
            .chars()
            .map(escaped)
            .collect(),
    }
}

fn escaped(c: char) -> String {
    if draws(c) || c == '\u{feff}' {
        format!("\\u{:04x}", c as u32)
    } else {
        c.to_string()
    }
}

/// Writes a value as indented JSON.
pub fn json(value: &impl serde::Serialize) -> String {
    // Serialization fails only for maps whose keys are not strings, and there are none.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
