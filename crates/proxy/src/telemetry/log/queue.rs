//! The queue between the threads that log and the thread that writes.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::sink::{Sink, count_lines};
use super::{Level, Log};

/// Bytes of records that may wait for the writer.
const QUEUE: usize = 1 << 20;
/// A record waits this long for others, unless so many bytes have come together: they cost one
/// write.
const GATHER: Duration = Duration::from_millis(20);
const BATCH: usize = 64 << 10;
/// A destination that has taken nothing for so long is reported before records are lost.
const STALLED: Duration = Duration::from_secs(5);

/// The queue between the threads that log and the writer.
#[derive(Debug)]
pub(super) struct LogQueue {
    /// The least important level that is written: a [`Level`] as its number.
    level: AtomicU8,
    /// Lines begin with their priority.
    has_priority: bool,
    waiting: Mutex<WaitingLines>,
    /// Told of the first record that waits, of a full batch, and of the end.
    news: Condvar,
    /// Records that were lost since the start, for want of room or of a reader.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct WaitingLines {
    /// Records, one behind the other.
    bytes: Vec<u8>,
    /// Records that found no place.
    lost: u64,
    /// The batch that the writer is writing.
    writing: Option<Writing>,
    /// The writer must open its file again.
    reopen: bool,
    closed: bool,
}

/// A batch of records on its way to the destination.
#[derive(Debug)]
struct Writing {
    records: u64,
    since: Instant,
    /// The stall was reported.
    is_reported: bool,
}

/// The news that a new record brings to light, each reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueNews {
    /// Records are lost, for want of room.
    Full,
    /// The writer has been writing one batch for [`STALLED`].
    Stalled,
}

impl LogQueue {
    pub(super) fn new(level: Level, has_priority: bool) -> Self {
        Self {
            level: AtomicU8::new(level as u8),
            has_priority,
            waiting: Mutex::default(),
            news: Condvar::new(),
            lost: AtomicU64::new(0),
        }
    }

    /// Returns whether records of this level are wanted.
    pub(super) fn takes(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Relaxed)
    }

    /// Changes the least important level that is wanted.
    pub(super) fn set_level(&self, level: Level) {
        self.level.store(level as u8, Relaxed);
    }

    /// Returns the number of records that were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Has the writer open its file again.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.news.notify_one();
    }

    /// Has the writer end when everything is written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Starts the thread that writes. The writer of the audit log reports its trouble in the log.
    pub(super) fn start_writer(
        self: &Arc<Self>,
        name: &str,
        mut sink: Sink,
        log: Option<Log>,
    ) -> io::Result<JoinHandle<()>> {
        let own = Arc::clone(self);
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(64 << 10)
            .spawn(move || own.write_out(&mut sink, log.as_ref()))
    }

    fn lock(&self) -> MutexGuard<'_, WaitingLines> {
        // Nothing is done under the lock that could leave half a record.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of records that were handed to this queue and are neither written nor
    /// reported as lost. Part of the batch that is being written may have been taken.
    pub(super) fn outstanding(&self) -> u64 {
        let waiting = self.lock();
        let writing = waiting.writing.as_ref().map_or(0, |batch| batch.records);
        waiting.lost + count_lines(&waiting.bytes) + writing
    }

    /// Adds a record. Returns trouble that was not reported since the writer last took records.
    pub(super) fn put(&self, level: Level, record: &[u8]) -> Option<QueueNews> {
        let mut waiting = self.lock();
        if waiting.bytes.len() + record.len() > QUEUE {
            waiting.lost += 1;
            self.lost.fetch_add(1, Relaxed);
            return (waiting.lost == 1).then_some(QueueNews::Full);
        }
        let stalled = waiting
            .writing
            .as_mut()
            .filter(|batch| !batch.is_reported && batch.since.elapsed() >= STALLED);
        let trouble = stalled.map(|batch| {
            batch.is_reported = true;
            QueueNews::Stalled
        });
        let before = waiting.bytes.len();
        if self.has_priority {
            waiting.bytes.extend_from_slice(level.priority().as_bytes());
        }
        waiting.bytes.extend_from_slice(record);
        let is_news = before == 0 || (before < BATCH && waiting.bytes.len() >= BATCH);
        drop(waiting);
        if is_news {
            self.news.notify_one();
        }
        trouble
    }

    /// Writes until the end is told and nothing is left.
    fn write_out(&self, sink: &mut Sink, log: Option<&Log>) {
        let mut batch = Vec::new();
        loop {
            let idle = self.news.wait_while(self.lock(), |waiting| {
                waiting.bytes.is_empty() && !waiting.closed && !waiting.reopen
            });
            let gathering = idle.unwrap_or_else(PoisonError::into_inner);
            let is_open = |waiting: &mut WaitingLines| {
                waiting.bytes.len() < BATCH && !waiting.closed && !waiting.reopen
            };
            let gathered = self.news.wait_timeout_while(gathering, GATHER, is_open);
            let mut waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
            let reopen = std::mem::take(&mut waiting.reopen);
            if waiting.bytes.is_empty() && !reopen {
                break;
            }
            std::mem::swap(&mut waiting.bytes, &mut batch);
            let lost = std::mem::take(&mut waiting.lost);
            waiting.writing = Some(Writing {
                records: count_lines(&batch) + lost,
                since: Instant::now(),
                is_reported: false,
            });
            drop(waiting);
            if reopen {
                report_reopened(sink.reopen(), log);
            }
            let failed_before = sink.failure().map(|(count, _)| count);
            // A collector that is stuck does not keep its successor waiting.
            let may_wait = || !self.lock().reopen;
            self.lost
                .fetch_add(sink.write(&batch, lost, &may_wait), Relaxed);
            let written = self.lock().writing.take();
            if let Some(log) = log {
                if written.is_some_and(|batch| batch.is_reported) {
                    log.say(
                        Level::Notice,
                        "a write to the audit log has returned at last",
                    );
                }
                report_losses(failed_before, lost, sink, log);
            }
            batch.clear();
            batch.shrink_to(BATCH);
        }
        if let (Some(log), Some((lost, _))) = (log, sink.failure()) {
            report_lost(log, lost);
        }
    }
}

/// Reports in the log whether the audit log's file was opened again.
fn report_reopened(result: io::Result<()>, log: Option<&Log>) {
    let Some(log) = log else { return };
    match result {
        Ok(()) => log.say(Level::Notice, "the audit log was opened again"),
        Err(error) => log.send(
            log.line(
                Level::Error,
                "the audit log cannot be opened again: its lines go on to the old file",
            )
            .text("detail", &error.to_string()),
        ),
    }
}

/// Reports in the log the records that the audit log has lost, once when they begin to be lost, and
/// with their number when they can be written again.
fn report_losses(failed_before: Option<u64>, dropped: u64, sink: &Sink, log: &Log) {
    match (failed_before, sink.failure()) {
        (None, Some((_, error))) => log.send(
            log.line(
                Level::Error,
                "the audit log cannot be written: its records are lost until it can",
            )
            .text("detail", error),
        ),
        (Some(lost), None) => report_lost(log, lost),
        (None, None) if dropped > 0 => report_lost(log, dropped),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

fn report_lost(log: &Log, count: u64) {
    let line = log.line(Level::Warning, "records of the audit log were lost");
    log.send(line.number("count", count));
}
