//! The log: one line per record on standard output, as logfmt or JSON; and the audit log, which
//! gets the record of every request, of any level, in JSON.
//!
//! A thread of its own writes, so that a slow reader of the log never stops a request. A bounded
//! queue lies between the requests and the thread. Records that do not fit are counted, and a line
//! reports the number of lost records. Records that come close together are written together.

mod line;
mod output;
mod queue;
mod sink;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use line::{Line, LineForm, draws};
pub(crate) use output::AuditTarget;
use output::Output;
use queue::{Queue, Trouble};
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
    /// Returns the values that were expected.
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

    /// Returns the beginning of a line of this level, as journald reads it (sd-daemon(3)).
    const fn priority(self) -> &'static str {
        match self {
            Self::Emergency => "<0>",
            Self::Alert => "<1>",
            Self::Critical => "<2>",
            Self::Error => "<3>",
            Self::Warning => "<4>",
            Self::Notice => "<5>",
            Self::Info => "<6>",
            Self::Debug => "<7>",
        }
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
    /// Returns the values that were expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err("expected logfmt or json".to_owned()),
        }
    }
}

/// The lines that begin with their priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriorityPrefix {
    /// If the log goes to journald.
    Auto,
    Always,
    Never,
}

impl PriorityPrefix {
    /// Reads the word of an option.
    ///
    /// # Errors
    /// Returns the values that were expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("expected auto, always or never".to_owned()),
        }
    }

    /// Returns whether lines to a descriptor begin with their priority. systemd names the device
    /// and the inode of its stream, so that a descriptor that was redirected since is told from it
    /// (systemd.exec(5), `JOURNAL_STREAM`).
    fn applies_to(self, descriptor: Option<BorrowedFd<'_>>, journal: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let stat = descriptor.and_then(|descriptor| rustix::fs::fstat(descriptor).ok());
                stat.is_some_and(|stat| {
                    journal.is_some_and(|known| known == format!("{}:{}", stat.st_dev, stat.st_ino))
                })
            }
        }
    }
}

/// The settings of the log.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The least important level that is written.
    pub(crate) level: Level,
    /// The shape of a line.
    pub(crate) format: Format,
    /// The lines that begin with their priority.
    pub(crate) priority: PriorityPrefix,
    /// The place of the audit log, if there is one.
    pub(crate) audit: Option<AuditTarget>,
    /// Standard output is for something else: lines go to standard error.
    pub(crate) aside: bool,
}

/// Where records go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    form: LineForm,
    /// The form of records for readers of decisions.
    json_form: LineForm,
    queue: Arc<Queue>,
    audit: Option<AuditLog>,
}

/// The second destination of the records of requests: all of them, as JSON.
#[derive(Clone, Debug)]
struct AuditLog {
    form: LineForm,
    /// A queue of its own; `None` if the lines go among those of the log.
    queue: Option<Arc<Queue>>,
}

/// The threads that write, the log's last.
#[derive(Debug)]
pub(crate) struct Writer {
    threads: Vec<(JoinHandle<()>, Arc<Queue>)>,
    log: Log,
}

impl Writer {
    /// Waits until everything is written, but not for a reader that does not read, nor for a file
    /// system that hangs. The log tells how many records of the audit log that costs.
    pub(crate) fn join(self) {
        for (thread, queue) in self.threads {
            queue.close();
            let started = Instant::now();
            while !thread.is_finished() && started.elapsed() < Duration::from_secs(1) {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            // For the log's own queue, this line has no reader either.
            let outstanding = queue.outstanding();
            if outstanding > 0 && !Arc::ptr_eq(&queue, &self.log.queue) {
                self.log.send(
                    self.log
                        .line(
                            Level::Error,
                            "the audit log takes nothing at the end: up to so many of its records \
                            are lost",
                        )
                        .number("count", outstanding),
                );
            }
        }
    }
}

impl Log {
    /// Starts the writers' threads.
    ///
    /// # Errors
    /// Returns a message if the audit log cannot be opened, or if the system has no thread left.
    pub(crate) fn start(settings: &Settings) -> Result<(Self, Writer), String> {
        let no_thread = |error| format!("cannot start the log's thread: {error}");
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let audit_output = match &settings.audit {
            Some(target) => target.open()?,
            None => None,
        };
        let output = Output::standard(settings.aside).map_err(no_thread)?;
        let journal = std::env::var("JOURNAL_STREAM").ok();
        let has_priority = settings
            .priority
            .applies_to(output.descriptor(), journal.as_deref());
        let form = LineForm::new(settings.format, &host);
        let queue = Arc::new(Queue::new(settings.level, has_priority));
        let sink = Sink::new(output, form.clone(), has_priority);
        let thread = queue.start_writer("log", sink, None).map_err(no_thread)?;
        let mut log = Self {
            form,
            json_form: LineForm::new(Format::Json, &host),
            queue: Arc::clone(&queue),
            audit: None,
        };
        let mut writers = vec![(thread, queue)];
        if settings.audit.is_some() {
            let form = log.json_form.clone();
            let mut audit = AuditLog { form, queue: None };
            if let Some(output) = audit_output {
                let queue = Arc::new(Queue::new(Level::Debug, false));
                let sink = Sink::new(output, audit.form.clone(), false);
                let thread = queue
                    .start_writer("audit", sink, Some(log.clone()))
                    .map_err(no_thread)?;
                audit.queue = Some(Arc::clone(&queue));
                writers.insert(0, (thread, queue));
            }
            log.audit = Some(audit);
        }
        let writer = Writer {
            threads: writers,
            log: log.clone(),
        };
        Ok((log, writer))
    }

    /// Returns whether a record of this level would be written.
    #[must_use]
    pub(crate) fn is_enabled(&self, level: Level) -> bool {
        self.queue.takes(level)
    }

    /// Changes the least important level that is written.
    pub(crate) fn set_level(&self, level: Level) {
        self.queue.set_level(level);
    }

    /// Returns the number of records that were lost since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Returns the number of records that the audit log lost since the start; `None` if it has no
    /// place of its own.
    pub(crate) fn lost_by_audit(&self) -> Option<u64> {
        let audit = self.audit.as_ref()?.queue.as_ref()?;
        Some(audit.lost())
    }

    /// Has the audit log's writer open its file again, since the old one was moved away. Without a
    /// file or a socket, there is nothing to do.
    pub(crate) fn reopen_audit(&self) {
        if let Some(queue) = self.audit.as_ref().and_then(|audit| audit.queue.as_ref()) {
            queue.reopen();
        }
    }

    /// Begins a record.
    #[must_use]
    pub(crate) fn line(&self, level: Level, message: &str) -> Line {
        Line::new(&self.form, level, message)
    }

    /// Begins a record in JSON, for a reader other than the log's.
    #[must_use]
    pub(crate) fn json_line(&self, level: Level, message: &str) -> Line {
        Line::new(&self.json_form, level, message)
    }

    /// Hands a record to the writer, unless its level is not wanted.
    pub(crate) fn send(&self, line: Line) {
        let level = line.level;
        if self.is_enabled(level) {
            self.queue.put(level, line.finish().as_bytes());
        }
    }

    /// A record that is nothing but its message.
    pub(crate) fn say(&self, level: Level, message: &str) {
        self.send(self.line(level, message));
    }

    /// Returns whether the record of a request is written anywhere: a record of this level to the
    /// log, and every record to the audit log.
    #[must_use]
    pub(crate) fn wants_request(&self, level: Level) -> bool {
        self.is_enabled(level) || self.audit.is_some()
    }

    /// Writes the record of a request to the log, unless its level is not wanted, and to the audit
    /// log. `compose` adds the fields; every reader of records in JSON gets the same text.
    pub(crate) fn send_request(&self, level: Level, message: &str, compose: impl Fn(Line) -> Line) {
        let Some(audit) = &self.audit else {
            return self.send(compose(self.line(level, message)));
        };
        let json = compose(Line::new(&audit.form, level, message)).finish();
        let Some(queue) = &audit.queue else {
            self.queue.put(level, json.as_bytes());
            return;
        };
        match queue.put(level, json.as_bytes()) {
            Some(Trouble::Full) => self.say(
                Level::Error,
                "records of the audit log are lost: its file or its reader is too slow",
            ),
            Some(Trouble::Stalled) => self.say(
                Level::Error,
                "a write to the audit log does not return: records wait, and are lost if there \
                are too many; check its file system or its collector",
            ),
            None => {}
        }
        match self.form.format() {
            _ if !self.is_enabled(level) => {}
            Format::Json => {
                self.queue.put(level, json.as_bytes());
            }
            Format::Logfmt => self.send(compose(self.line(level, message))),
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
