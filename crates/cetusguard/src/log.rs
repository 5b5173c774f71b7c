//! The log: one line a record on standard output, as logfmt or JSON.
//!
//! A thread of its own writes, so that a slow reader of the log never stops a request. Between them is a bounded queue; what
//! does not fit is counted, and a line says how many records were lost. Records that come close together are written together.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How important a record is: syslog's numbers (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are syslog's")]
pub(crate) enum Level {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

impl Level {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// Reads a number from 0 to 7, or a name.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let name = match lower.as_str() {
            "error" => "err",
            "warn" => "warning",
            "critical" => "crit",
            "emergency" => "emerg",
            other => other,
        };
        let index = NAMES.iter().position(|known| *known == name).or_else(|| name.parse().ok());
        let level = index.and_then(|index| Self::ALL.get(index)).copied();
        level.ok_or_else(|| {
            "expected a number from 0 to 7, or one of emerg, alert, crit, err, warning, notice, info, debug".to_owned()
        })
    }

    /// The name as it stands in the log.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `key=value key="a value"`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Reads the name of a format.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err("expected logfmt or json".to_owned()),
        }
    }
}

/// What to log and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The least important level that is written.
    pub(crate) level: Level,
    /// The shape of a line.
    pub(crate) format: Format,
    /// Standard output is for something else: lines go to standard error.
    pub(crate) aside: bool,
}

/// Bytes of records that may wait for the writer.
const QUEUE: usize = 1 << 20;
/// A record waits this long for others, unless so many bytes have come together: they cost one write.
const GATHER: Duration = Duration::from_millis(20);
const BATCH: usize = 64 << 10;

/// Where records go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    format: Format,
    queue: Arc<Queue>,
}

/// What lies between those who log and the writer.
#[derive(Debug)]
struct Queue {
    /// The least important level that is written: a [`Level`] as its number.
    level: AtomicU8,
    waiting: Mutex<Waiting>,
    /// Told of the first record that waits, of a full batch, and of the end.
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Records, one behind the other.
    bytes: Vec<u8>,
    /// Records that found no place.
    lost: u64,
    closed: bool,
}

/// The writer's thread.
#[derive(Debug)]
pub(crate) struct Writer {
    thread: JoinHandle<()>,
    queue: Arc<Queue>,
}

impl Writer {
    /// Waits until everything is written, but not for a reader that does not read.
    pub(crate) fn join(self) {
        self.queue.lock().closed = true;
        self.queue.news.notify_one();
        let started = Instant::now();
        while !self.thread.is_finished() && started.elapsed() < Duration::from_secs(1) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

impl Log {
    /// Starts the writer's thread.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(settings: Settings) -> std::io::Result<(Self, Writer)> {
        let (level, waiting, news) = (AtomicU8::new(settings.level as u8), Mutex::default(), Condvar::new());
        let queue = Arc::new(Queue { level, waiting, news });
        let own = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .stack_size(64 << 10)
            .spawn(move || own.write_out(settings))?;
        Ok((Self { format: settings.format, queue: Arc::clone(&queue) }, Writer { thread, queue }))
    }

    /// Whether a record of this level would be written.
    #[must_use]
    pub(crate) fn takes(&self, level: Level) -> bool {
        level as u8 <= self.queue.level.load(Relaxed)
    }

    /// Changes the least important level that is written.
    pub(crate) fn set_level(&self, level: Level) {
        self.queue.level.store(level as u8, Relaxed);
    }

    /// Begins a record.
    #[must_use]
    pub(crate) fn line(&self, level: Level, message: &str) -> Line {
        Line::new(self.format, level, message)
    }

    /// Hands a record to the writer, unless its level is not wanted.
    pub(crate) fn send(&self, line: Line) {
        if self.takes(line.level) {
            self.queue.put(line.finish().as_bytes());
        }
    }

    /// A record that is nothing but its message.
    pub(crate) fn say(&self, level: Level, message: &str) {
        self.send(self.line(level, message));
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is done under the lock that could leave half a record.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, record: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + record.len() > QUEUE {
            waiting.lost += 1;
            return;
        }
        let before = waiting.bytes.len();
        waiting.bytes.extend_from_slice(record);
        let is_news = before == 0 || (before < BATCH && waiting.bytes.len() >= BATCH);
        drop(waiting);
        if is_news {
            self.news.notify_one();
        }
    }

    /// Writes until the end is told and nothing is left.
    fn write_out(&self, Settings { format, aside, .. }: Settings) {
        let mut batch = Vec::new();
        loop {
            let idle = self.news.wait_while(self.lock(), |waiting| waiting.bytes.is_empty() && !waiting.closed);
            let gathering = idle.unwrap_or_else(PoisonError::into_inner);
            let is_open = |waiting: &mut Waiting| waiting.bytes.len() < BATCH && !waiting.closed;
            let gathered = self.news.wait_timeout_while(gathering, GATHER, is_open);
            let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
            if waiting.bytes.is_empty() {
                return;
            }
            std::mem::swap(&mut waiting.bytes, &mut batch);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                let line = Line::new(format, Level::Warning, "log records lost: the reader of the log is too slow");
                batch.extend_from_slice(line.number("count", lost).finish().as_bytes());
            }
            // Nobody is left to tell when the output is gone; requests go on.
            let _ = match aside {
                true => std::io::stderr().write_all(&batch),
                false => std::io::stdout().write_all(&batch).and_then(|()| std::io::stdout().flush()),
            };
            batch.clear();
            batch.shrink_to(BATCH);
        }
    }
}

/// A record in the making.
#[derive(Debug)]
pub(crate) struct Line {
    level: Level,
    format: Format,
    text: String,
}

impl Line {
    fn new(format: Format, level: Level, message: &str) -> Self {
        let mut line = Self { level, format, text: String::with_capacity(512) };
        if line.format == Format::Json {
            line.text.push('{');
        }
        line.key("time");
        // Writing to a string cannot fail.
        line.quoted_in_json(|text| {
            let _ = write!(text, "{}", humantime::format_rfc3339_millis(SystemTime::now()));
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
        // A thousand more keeps the zeros in front.
        let parts = [whole.format(micros / 1000), ".", &part.format(1000 + micros % 1000)[1..], "ms"];
        self.key(key);
        self.quoted_in_json(|text| text.extend(parts));
        self
    }

    /// What needs no escape, in quotes where the format wants them around everything.
    fn quoted_in_json(&mut self, put: impl FnOnce(&mut String)) {
        let quote = if self.format == Format::Json { "\"" } else { "" };
        self.text.push_str(quote);
        put(&mut self.text);
        self.text.push_str(quote);
    }

    /// Adds a text where there is one.
    #[must_use]
    pub(crate) fn maybe(self, key: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.text(key, value) }
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

    fn finish(mut self) -> String {
        if self.format == Format::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

/// Whether a character ends lines somewhere, or makes a terminal do things.
fn draws(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_json(out: &mut String, value: &str) {
    for c in serde_json::Value::from(value).to_string().chars() {
        if draws(c) { out.push_str(&format!("\\u{:04x}", c as u32)) } else { out.push(c) }
    }
}

/// What every byte may be: as it is, within quotes only, or nothing without a closer look.
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
    !value.is_empty() && value.bytes().all(|byte| KINDS[byte as usize] == Kind::Plain)
}

/// Quotes a value and escapes what could end the quotes or the line, or draw something else on a terminal.
fn push_quoted(out: &mut String, value: &str) {
    // Most values hold nothing but what can be printed as it is.
    let special = value.bytes().position(|byte| KINDS[byte as usize] == Kind::Special);
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
        let line =
            Line { level: Level::Info, format, text: if format == Format::Json { "{".into() } else { String::new() } };
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
            ("\u{1b}[31m\u{2028}\u{202e}", "path=\"\\u{1b}[31m\\u{2028}\\u{202e}\" status=200\n"),
            ("café", "path=\"café\" status=200\n"),
        ] {
            assert_eq!(line(Format::Logfmt, value), want);
            let json: serde_json::Value = serde_json::from_str(&line(Format::Json, value)).expect("JSON");
            assert_eq!(json["path"], value);
            assert!(!line(Format::Json, value).trim_end().chars().any(draws));
        }
    }

    #[test]
    fn durations_keep_their_zeros() {
        for (micros, want) in [(0, "0.000ms"), (7, "0.007ms"), (1_040, "1.040ms"), (61_000_123, "61000.123ms")] {
            let line = Line { level: Level::Info, format: Format::Logfmt, text: String::new() };
            assert_eq!(line.duration("d", Duration::from_micros(micros)).finish(), format!("d={want}\n"));
        }
    }

    #[test]
    fn levels_are_read_by_number_and_name() {
        for (text, want) in [
            ("0", Level::Emergency),
            ("7", Level::Debug),
            ("warning", Level::Warning),
            ("WARN", Level::Warning),
            ("error", Level::Error),
        ] {
            assert_eq!(Level::parse(text), Ok(want));
        }
        for text in ["8", "-1", "", "loud"] {
            assert!(Level::parse(text).is_err(), "{text}");
        }
    }
}
