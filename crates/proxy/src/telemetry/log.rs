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

pub(crate) use cetusguard_config::log::{Format, Level};
use cetusguard_config::log::{LogSettings, PriorityPrefix};
pub(crate) use line::{Line, LineForm};
use output::{LogOutput, open_audit};
use queue::{LogQueue, QueueNews};
use sink::Sink;

/// Where records go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    form: LineForm,
    /// The form of records for readers of decisions.
    json_form: LineForm,
    queue: Arc<LogQueue>,
    audit: Option<AuditLog>,
}

/// The second destination of the records of requests: all of them, as JSON.
#[derive(Clone, Debug)]
struct AuditLog {
    form: LineForm,
    /// A queue of its own; `None` if the lines go among those of the log.
    queue: Option<Arc<LogQueue>>,
}

/// The threads that write, the log's last.
#[derive(Debug)]
pub(crate) struct Writer {
    threads: Vec<(JoinHandle<()>, Arc<LogQueue>)>,
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
    pub(crate) fn start(settings: &LogSettings) -> Result<(Self, Writer), String> {
        let no_thread = |error| format!("cannot start the log's thread: {error}");
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let audit_output = match &settings.audit {
            Some(target) => open_audit(target)?,
            None => None,
        };
        let output = LogOutput::standard(settings.aside).map_err(no_thread)?;
        let journal = std::env::var("JOURNAL_STREAM").ok();
        let has_priority =
            begins_with_priority(settings.priority, output.descriptor(), journal.as_deref());
        let form = LineForm::new(settings.format, &host);
        let queue = Arc::new(LogQueue::new(settings.level, has_priority));
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
                let queue = Arc::new(LogQueue::new(Level::Debug, false));
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
            Some(QueueNews::Full) => self.say(
                Level::Error,
                "records of the audit log are lost: its file or its reader is too slow",
            ),
            Some(QueueNews::Stalled) => self.say(
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

/// Returns whether lines to a descriptor begin with their priority. systemd names the device
/// and the inode of its stream, so that a descriptor that was redirected since is told from it
/// (systemd.exec(5), `JOURNAL_STREAM`).
fn begins_with_priority(
    prefix: PriorityPrefix,
    descriptor: Option<BorrowedFd<'_>>,
    journal: Option<&str>,
) -> bool {
    match prefix {
        PriorityPrefix::Always => true,
        PriorityPrefix::Never => false,
        PriorityPrefix::Auto => {
            let stat = descriptor.and_then(|descriptor| rustix::fs::fstat(descriptor).ok());
            stat.is_some_and(|stat| {
                journal.is_some_and(|known| known == format!("{}:{}", stat.st_dev, stat.st_ino))
            })
        }
    }
}
