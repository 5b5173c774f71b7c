//! One record as a line, in either format. No value can forge a key or a line.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::{Format, Level};

/// A record in the making.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) level: Level,
    format: Format,
    text: String,
}

impl Line {
    /// Begins a record.
    pub(crate) fn new(format: Format, level: Level, message: &str) -> Self {
        let mut line = Self {
            level,
            format,
            text: String::with_capacity(512),
        };
        if line.format == Format::Json {
            line.text.push('{');
        }
        line.key("time");
        // Writing to a string cannot fail.
        line.quoted_in_json(|text| {
            let _ = write!(
                text,
                "{}",
                humantime::format_rfc3339_millis(SystemTime::now())
            );
        });
        line.text("level", level.name()).text("msg", message)
    }

    /// Adds a text. No value can forge a key or a line: see [`push_quoted`].
    #[must_use]
    pub(crate) fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        match self.format {
            Format::Json => push_json(&mut self.text, value),
            Format::Logfmt if is_plain(value) => self.text.push_str(value),
            Format::Logfmt => push_quoted(&mut self.text, value),
        }
        self
    }

    /// Adds a time in milliseconds.
    #[must_use]
    pub(crate) fn duration(mut self, key: &str, value: Duration) -> Self {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let (mut whole, mut part) = (itoa::Buffer::new(), itoa::Buffer::new());
        // Adding 1000 keeps leading zeros.
        let parts = [
            whole.format(micros / 1000),
            ".",
            &part.format(1000 + micros % 1000)[1..],
            "ms",
        ];
        self.key(key);
        self.quoted_in_json(|text| text.extend(parts));
        self
    }

    /// Adds a text that needs no escape, in quotes if the format puts them around every text.
    fn quoted_in_json(&mut self, put: impl FnOnce(&mut String)) {
        let quote = if self.format == Format::Json {
            "\""
        } else {
            ""
        };
        self.text.push_str(quote);
        put(&mut self.text);
        self.text.push_str(quote);
    }

    /// Adds a text where there is one.
    #[must_use]
    pub(crate) fn maybe(self, key: &str, value: &str) -> Self {
        if value.is_empty() {
            self
        } else {
            self.text(key, value)
        }
    }

    /// Adds a number.
    #[must_use]
    pub(crate) fn number(mut self, key: &str, value: u64) -> Self {
        self.key(key);
        self.text.push_str(itoa::Buffer::new().format(value));
        self
    }

    fn key(&mut self, key: &str) {
        match self.format {
            Format::Json => {
                if self.text.len() > 1 {
                    self.text.push(',');
                }
                self.text.push('"');
                self.text.push_str(key);
                self.text.push_str("\":");
            }
            Format::Logfmt => {
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                self.text.push_str(key);
                self.text.push('=');
            }
        }
    }

    /// Ends the record and its line.
    pub(crate) fn finish(mut self) -> String {
        if self.format == Format::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

/// Returns whether a character ends lines somewhere, or makes a terminal do things.
pub(crate) fn draws(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_json(out: &mut String, value: &str) {
    for c in serde_json::Value::from(value).to_string().chars() {
        if draws(c) {
            out.push_str(&format!("\\u{:04x}", c as u32))
        } else {
            out.push(c)
        }
    }
}

/// The class of each byte: printed as it is, printed within quotes, or needing a closer look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Quoted,
    Special,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Special; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        kinds[byte as usize] = match byte {
            b'"' | b'\\' => Kind::Special,
            b' ' | b'=' | b'`' => Kind::Quoted,
            _ => Kind::Plain,
        };
        byte += 1;
    }
    kinds
};

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| KINDS[byte as usize] == Kind::Plain)
}

/// Quotes a value and escapes every character that could end the quotes or the line, or control a
/// terminal.
fn push_quoted(out: &mut String, value: &str) {
    // Most values hold printable characters only.
    let special = value
        .bytes()
        .position(|byte| KINDS[byte as usize] == Kind::Special);
    let (plain, rest) = value.split_at(special.unwrap_or(value.len()));
    out.push('"');
    out.push_str(plain);
    for c in rest.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if draws(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, value: &str) -> String {
        let line = Line {
            level: Level::Info,
            format,
            text: if format == Format::Json {
                "{".into()
            } else {
                String::new()
            },
        };
        line.text("path", value).number("status", 200).finish()
    }

    #[test]
    fn no_value_forges_a_line_or_a_key() {
        for (value, want) in [
            ("/containers/json", "path=/containers/json status=200\n"),
            ("", "path=\"\" status=200\n"),
            ("a b", "path=\"a b\" status=200\n"),
            ("x level=info", "path=\"x level=info\" status=200\n"),
            ("a\nlevel=info", "path=\"a\\nlevel=info\" status=200\n"),
            ("a\"b\\", "path=\"a\\\"b\\\\\" status=200\n"),
            (
                "\u{1b}[31m\u{2028}\u{202e}",
                "path=\"\\u{1b}[31m\\u{2028}\\u{202e}\" status=200\n",
            ),
            ("café", "path=\"café\" status=200\n"),
        ] {
            assert_eq!(line(Format::Logfmt, value), want);
            let json: serde_json::Value =
                serde_json::from_str(&line(Format::Json, value)).expect("JSON");
            assert_eq!(json["path"], value);
            assert!(!line(Format::Json, value).trim_end().chars().any(draws));
        }
    }

    #[test]
    fn durations_keep_their_zeros() {
        for (micros, want) in [
            (0, "0.000ms"),
            (7, "0.007ms"),
            (1_040, "1.040ms"),
            (61_000_123, "61000.123ms"),
        ] {
            let line = Line {
                level: Level::Info,
                format: Format::Logfmt,
                text: String::new(),
            };
            assert_eq!(
                line.duration("d", Duration::from_micros(micros)).finish(),
                format!("d={want}\n")
            );
        }
    }
}
