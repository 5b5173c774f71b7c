//! The log: one line per record on standard output, as logfmt or JSON.
//!
//! A thread of its own writes, so that a slow reader of the log never stops a request. A bounded
//! queue lies between the requests and the thread. Records that do not fit are counted, and a line
//! reports the number of lost records. Records that come close together are written together.

mod line;
mod sink;

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use line::{Line, draws};
use sink::Sink;

/// The severity of a record: syslog's numbers (RFC 5424 §6.2.1).
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

const NAMES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

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
        let index = NAMES
            .iter()
            .position(|known| *known == name)
            .or_else(|| name.parse().ok());
        let level = index.and_then(|index| Self::ALL.get(index)).copied();
        level.ok_or_else(|| {
            "expected a number from 0 to 7, or one of emerg, alert, crit, err, warning, notice, \
            info, debug"
                .to_owned()
        })
    }

    /// The name as it stands in the log.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// The format of a line.
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

/// The settings of the log.
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
/// A record waits this long for others, unless so many bytes have come together: they cost one
/// write.
const GATHER: Duration = Duration::from_millis(20);
const BATCH: usize = 64 << 10;

/// Where records go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    format: Format,
    queue: Arc<Queue>,
}

/// The queue between the threads that log and the writer.
#[derive(Debug)]
struct Queue {
    /// The least important level that is written: a [`Level`] as its number.
    level: AtomicU8,
    waiting: Mutex<Waiting>,
    /// Told of the first record that waits, of a full batch, and of the end.
    news: Condvar,
    /// Records that were lost since the start, for want of room or of a reader.
    lost: AtomicU64,
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
    pub(crate) fn start(settings: Settings) -> io::Result<(Self, Writer)> {
        let (level, waiting, news) = (
            AtomicU8::new(settings.level as u8),
            Mutex::default(),
            Condvar::new(),
        );
        let queue = Arc::new(Queue {
            level,
            waiting,
            news,
            lost: AtomicU64::new(0),
        });
        let own = Arc::clone(&queue);
        let mut sink = Sink::new(settings)?;
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .stack_size(64 << 10)
            .spawn(move || own.write_out(&mut sink))?;
        Ok((
            Self {
                format: settings.format,
                queue: Arc::clone(&queue),
            },
            Writer { thread, queue },
        ))
    }

    /// Returns whether a record of this level would be written.
    #[must_use]
    pub(crate) fn is_enabled(&self, level: Level) -> bool {
        level as u8 <= self.queue.level.load(Relaxed)
    }

    /// Changes the least important level that is written.
    pub(crate) fn set_level(&self, level: Level) {
        self.queue.level.store(level as u8, Relaxed);
    }

    /// Returns the number of records that were lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lost.load(Relaxed)
    }

    /// Begins a record.
    #[must_use]
    pub(crate) fn line(&self, level: Level, message: &str) -> Line {
        Line::new(self.format, level, message)
    }

    /// Hands a record to the writer, unless its level is not wanted.
    pub(crate) fn send(&self, line: Line) {
        if self.is_enabled(line.level) {
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
            self.lost.fetch_add(1, Relaxed);
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
    fn write_out(&self, sink: &mut Sink) {
        let mut batch = Vec::new();
        loop {
            let idle = self.news.wait_while(self.lock(), |waiting| {
                waiting.bytes.is_empty() && !waiting.closed
            });
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
            self.lost.fetch_add(sink.write(&batch, lost), Relaxed);
            batch.clear();
            batch.shrink_to(BATCH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
