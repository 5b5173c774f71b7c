//! Reads the lines that the program logs, in both of its formats. Prefixes, such as those of
//! `docker compose logs`, and lines of other programs are skipped.

use std::collections::HashMap;

use cetusguard_config::{Mistake, Mistakes};

use cetusguard_proxy::{Reason, RecordMessage, WOULD_DENY};

/// The fields of a line.
#[derive(Debug, Default)]
pub(crate) struct LogLine(HashMap<String, String>);

impl LogLine {
    /// Returns the value of a field; empty if there is none.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    /// Returns the message; `None` for one of another version.
    pub(crate) fn message(&self) -> Option<RecordMessage> {
        RecordMessage::parse(self.get("msg"))
    }

    /// Returns the reason; `None` where the request has none, or one of another version.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Reason::parse(self.get("reason"))
    }

    /// Returns whether audit mode forwarded a request that the profile refuses.
    pub(crate) fn is_unenforced(&self) -> bool {
        self.get("decision") == WOULD_DENY
    }
}

/// Returns every line about a request in a log.
///
/// # Errors
/// Returns a mistake if no line is one that this program logs.
pub(crate) fn requests(path: &str, text: &str) -> Result<Vec<LogLine>, Mistakes> {
    let mut lines: Vec<_> = text
        .lines()
        .filter_map(read_line)
        .filter(|line| !line.get("msg").is_empty())
        .collect();
    if lines.is_empty() && !text.trim().is_empty() {
        let what = format!("{path} has no line that Cetusguard logs");
        return Err(Mistakes(vec![Mistake::new(
            what,
            "give it the output of serve, as docker logs has it",
        )]));
    }
    lines.retain(|line| !line.get("method").is_empty() && !line.get("path").is_empty());
    Ok(lines)
}

fn read_line(line: &str) -> Option<LogLine> {
    match (line.find("{\"time\":"), line.find("time=")) {
        (Some(at), _) => {
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&line[at..]).ok()?;
            let text = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Some(LogLine(
                fields
                    .into_iter()
                    .map(|(key, value)| (key, text(value)))
                    .collect(),
            ))
        }
        (None, Some(at)) => read_logfmt(&line[at..]),
        (None, None) => None,
    }
}

/// Reads `key=value key="a value"`, with the escapes that the log writes.
fn read_logfmt(line: &str) -> Option<LogLine> {
    let (mut fields, mut rest) = (HashMap::new(), line.trim_end());
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=')?;
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => behind
                .split_once(' ')
                .map_or((behind.to_owned(), ""), |(value, rest)| {
                    (value.to_owned(), rest)
                }),
        };
        // The first field of a name counts: a client cannot add a second one behind it.
        fields.entry(key.to_owned()).or_insert(value);
        rest = behind.trim_start();
    }
    Some(LogLine(fields))
}

/// Returns the text up to the closing quote, and the text behind it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let (mut text, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'u' => {
                    let code: String = chars
                        .by_ref()
                        .skip(1)
                        .map(|(_, c)| c)
                        .take_while(|c| *c != '}')
                        .collect();
                    text.push(
                        u32::from_str_radix(&code, 16)
                            .ok()
                            .and_then(char::from_u32)?,
                    );
                }
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let text = "some other program's line\ncetusguard  | time=2026-01-02T03:04:05.678Z \
            level=warning msg=\"request refused\" method=GET path=\"/a b\\\"=\\u{7f}\\\\\" \
            status=403\n<7>{\"time\":\"t\",\"level\":\"debug\",\"msg\":\"request \
            allowed\",\"method\":\"HEAD\",\"path\":\"/_ping\",\"status\":200}\ntime=t level=info \
            msg=starting\ntime=t method=GET path=\"/unfinished\n";
        let lines = requests("log", text).expect("ours");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].get("path"), "/a b\"=\u{7f}\\");
        assert_eq!(
            (
                lines[0].get("msg"),
                lines[0].get("status"),
                lines[0].get("none")
            ),
            ("request refused", "403", "")
        );
        assert!(
            requests("log", "GET / 200\n").is_err()
                && requests("log", "\n").is_ok_and(|lines| lines.is_empty())
        );
        assert_eq!(
            (lines[1].get("path"), lines[1].get("status")),
            ("/_ping", "200")
        );
    }
}
