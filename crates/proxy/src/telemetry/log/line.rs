//! One record as a line, in either format. No value can forge a key or a line.

use cetusguard_config::printed::draws;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Format, Level};

/// The form of the lines of one stream: the log, the audit log, or a client of the admin listener.
#[derive(Clone, Debug)]
pub(crate) struct LineForm {
    format: Format,
    /// The key `host` of a line in JSON, with its value and a comma.
    host: Arc<str>,
}

impl LineForm {
    /// The form of lines that a host of this name writes. Only JSON names the host: logfmt is for
    /// terminals and for journald, which know it.
    pub(crate) fn new(format: Format, host: &str) -> Self {
        let mut member = String::new();
        if format == Format::Json && !host.is_empty() {
            member.push_str("\"host\":");
            push_json(&mut member, host);
            member.push(',');
        }
        Self {
            format,
            host: member.into(),
        }
    }

    /// Returns the format.
    pub(crate) fn format(&self) -> Format {
        self.format
    }
}

/// A record in the making.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) level: Level,
    format: Format,
    text: String,
}

impl Line {
    /// Begins a record.
    pub(crate) fn new(form: &LineForm, level: Level, message: &str) -> Self {
        let mut text = String::with_capacity(512);
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        // Writing to a string cannot fail.
        let _ = match form.format {
            Format::Json => write!(text, "{{\"time\":\"{now}\",{}", form.host),
            Format::Logfmt => write!(text, "time={now} "),
        };
        let mut line = Self {
            level,
            format: form.format,
            text,
        };
        line.name_key("level");
        line.push_text(level.name());
        line.text("msg", message)
    }

    /// Adds a text. No value can forge a key or a line: see [`push_quoted`].
    #[must_use]
    pub(crate) fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.push_text(value);
        self
    }

    fn push_text(&mut self, value: &str) {
        match self.format {
            Format::Json => push_json(&mut self.text, value),
            Format::Logfmt if is_plain(value) => self.text.push_str(value),
            Format::Logfmt => push_quoted(&mut self.text, value),
        }
    }

    /// Adds a time as a number of milliseconds, with three decimals. The key names the unit.
    #[must_use]
    pub(crate) fn milliseconds(mut self, key: &str, value: Duration) -> Self {
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        let (mut whole, mut part) = (itoa::Buffer::new(), itoa::Buffer::new());
        self.key(key);
        self.text.push_str(whole.format(micros / 1000));
        self.text.push('.');
        // Adding 1000 keeps leading zeros.
        self.text.push_str(&part.format(1000 + micros % 1000)[1..]);
        self
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

    /// Adds a truth value.
    #[must_use]
    pub(crate) fn flag(mut self, key: &str, value: bool) -> Self {
        self.key(key);
        self.text.push_str(if value { "true" } else { "false" });
        self
    }

    /// Adds a key behind another one.
    fn key(&mut self, key: &str) {
        self.text.push(match self.format {
            Format::Json => ',',
            Format::Logfmt => ' ',
        });
        self.name_key(key);
    }

    fn name_key(&mut self, key: &str) {
        match self.format {
            Format::Json => {
                self.text.push('"');
                self.text.push_str(key);
                self.text.push_str("\":");
            }
            Format::Logfmt => {
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

fn push_json(out: &mut String, value: &str) {
    // Most values hold printable characters only.
    if !value
        .bytes()
        .any(|byte| KINDS[byte as usize] == ByteClass::Special)
    {
        out.extend(["\"", value, "\""]);
        return;
    }
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
enum ByteClass {
    Plain,
    Quoted,
    Special,
}

const KINDS: [ByteClass; 256] = {
    let mut kinds = [ByteClass::Special; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        kinds[byte as usize] = match byte {
            b'"' | b'\\' => ByteClass::Special,
            b' ' | b'=' | b'`' => ByteClass::Quoted,
            _ => ByteClass::Plain,
        };
        byte += 1;
    }
    kinds
};

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .bytes()
            .all(|byte| KINDS[byte as usize] == ByteClass::Plain)
}

/// Quotes a value and escapes every character that could end the quotes or the line, or control a
/// terminal.
fn push_quoted(out: &mut String, value: &str) {
    // Most values hold printable characters only.
    let special = value
        .bytes()
        .position(|byte| KINDS[byte as usize] == ByteClass::Special);
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

    /// The keys behind the message, with the blank or the comma before them.
    fn fields(format: Format, add: impl FnOnce(Line) -> Line) -> String {
        let form = LineForm::new(format, "");
        let line = add(Line::new(&form, Level::Info, "m")).finish();
        let message = match format {
            Format::Json => "\"msg\":\"m\"",
            Format::Logfmt => "msg=m",
        };
        line.split_once(message).expect("a message").1.to_owned()
    }

    fn line(format: Format, value: &str) -> String {
        let text = fields(format, |line| {
            line.text("path", value).number("status", 200)
        });
        match format {
            Format::Json => format!("{{{}", &text[1..]),
            Format::Logfmt => text[1..].to_owned(),
        }
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
    fn times_are_numbers_and_keep_their_zeros() {
        for (micros, want) in [
            (0, "0.000"),
            (7, "0.007"),
            (1_040, "1.040"),
            (61_000_123, "61000.123"),
        ] {
            let add = |line: Line| line.milliseconds("d", Duration::from_micros(micros));
            assert_eq!(fields(Format::Logfmt, add), format!(" d={want}\n"));
            assert_eq!(fields(Format::Json, add), format!(",\"d\":{want}}}\n"));
        }
    }

    #[test]
    fn json_names_the_host_and_logfmt_does_not() {
        let line = |format, host| {
            Line::new(&LineForm::new(format, host), Level::Warning, "m")
                .flag("tls", true)
                .finish()
        };
        let text = line(Format::Json, "a\"\n\u{2028}");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["host"], "a\"\n\u{2028}");
        assert_eq!(json["tls"], true);
        assert!(
            text.starts_with("{\"time\":\"20") && !text.trim_end().chars().any(draws),
            "{text}"
        );
        assert!(!line(Format::Json, "").contains("host"));
        assert!(!line(Format::Logfmt, "a").contains("host"));
    }
}
