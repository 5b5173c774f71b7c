//! Hands decisions to their readers while they are made.
//!
//! A request writes its record into the queue of each reader that wants it, and never waits: a
//! queue that is full loses records, and its reader learns how many. Without readers, a request
//! pays for one load of an atomic number.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::filter::{DecisionFilter, FilteredDecision};

/// The most readers at a time.
pub(crate) const READERS: usize = 4;
/// The bytes that may wait for one reader.
const QUEUE: usize = 512 << 10;
/// The time in which events come together before they are sent: one write for all of them.
const GATHER: Duration = Duration::from_millis(20);
/// A reader that leaves its events waiting for so long gives its place to a new one.
const STALLED: Duration = Duration::from_secs(10);

/// The readers of decisions.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    /// The number of readers. Requests look at nothing else while it is zero.
    count: AtomicUsize,
    readers: Mutex<Vec<Arc<DecisionReader>>>,
}

/// A reader with the events that wait for it.
#[derive(Debug)]
struct DecisionReader {
    filter: DecisionFilter,
    queue: Mutex<DecisionQueue>,
    /// Told of the first event that waits, and of the end.
    news: Notify,
    /// Told of the end, for the connection that does not ask for events while its peer reads none.
    ended: Notify,
}

#[derive(Debug)]
struct DecisionQueue {
    /// Events, one behind the other, as they are sent.
    events: Vec<u8>,
    /// Decisions that found no room behind them.
    lost: u64,
    /// The time at which the reader last took its events, or had none.
    taken: Instant,
    /// The reader has lost its place to another one.
    is_ended: bool,
}

/// The place of a reader; given back when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    decisions: Arc<Decisions>,
    reader: Arc<DecisionReader>,
}

/// The end of a [`Subscription`].
#[derive(Debug)]
pub(crate) struct SubscriptionEnd(Arc<DecisionReader>);

impl Decisions {
    /// Returns whether decisions have to be told.
    pub(crate) fn are_watched(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Hands a decision to the readers that want it. `write` returns its record as one line of
    /// JSON, and is called only if there is such a reader.
    pub(crate) fn tell(&self, decision: &FilteredDecision<'_>, write: impl FnOnce() -> String) {
        let mut readers = self.lock().clone();
        readers.retain(|reader| reader.filter.admits(decision));
        if readers.is_empty() {
            return;
        }
        let line = write();
        for reader in readers {
            reader.put(&line);
        }
    }

    /// Takes a place for a reader. If all are taken, a reader that does not read loses its own.
    /// Returns `None` if there is no such reader.
    pub(crate) fn subscribe(self: &Arc<Self>, filter: DecisionFilter) -> Option<Subscription> {
        let mut readers = self.lock();
        if readers.len() >= READERS {
            let stalled = readers.iter().position(|reader| reader.is_stalled())?;
            readers.remove(stalled).end();
        }
        let reader = Arc::new(DecisionReader {
            filter,
            queue: Mutex::new(DecisionQueue {
                events: Vec::new(),
                lost: 0,
                taken: Instant::now(),
                is_ended: false,
            }),
            news: Notify::new(),
            ended: Notify::new(),
        });
        readers.push(Arc::clone(&reader));
        self.count.store(readers.len(), Relaxed);
        Some(Subscription {
            decisions: Arc::clone(self),
            reader,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<DecisionReader>>> {
        // Nothing is done under the lock that could leave half a change.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DecisionReader {
    /// Adds a line to the queue, or counts it as lost. Once one is lost, all are until the reader
    /// takes its events: the message about the loss then stands where they would.
    fn put(&self, line: &str) {
        let mut queue = self.lock();
        if queue.is_ended {
            return;
        }
        let line = line.trim_end();
        if queue.is_empty() {
            queue.taken = Instant::now();
            self.news.notify_one();
        }
        if queue.lost > 0 || queue.events.len() + line.len() > QUEUE {
            queue.lost += 1;
            return;
        }
        for part in ["data: ", line, "\n\n"] {
            queue.events.extend_from_slice(part.as_bytes());
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut queue = self.lock();
        queue.taken = Instant::now();
        let mut events = std::mem::take(&mut queue.events);
        let lost = std::mem::take(&mut queue.lost);
        drop(queue);
        if lost > 0 {
            let event = format!("event: lost\ndata: {{\"count\":{lost}}}\n\n");
            events.extend_from_slice(event.as_bytes());
        }
        events
    }

    fn is_stalled(&self) -> bool {
        let queue = self.lock();
        !queue.is_empty() && queue.taken.elapsed() >= STALLED
    }

    /// Ends the reader, and frees the memory of its events.
    fn end(&self) {
        let mut queue = self.lock();
        queue.is_ended = true;
        queue.events = Vec::new();
        drop(queue);
        self.news.notify_one();
        self.ended.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, DecisionQueue> {
        // Nothing is done under the lock that could leave half an event.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DecisionQueue {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.lost == 0
    }
}

impl SubscriptionEnd {
    /// Waits until the reader has lost its place.
    pub(crate) async fn wait(&self) {
        self.0.ended.notified().await;
    }
}

impl Subscription {
    /// Returns the end of the subscription, for the connection that carries the events.
    pub(crate) fn end(&self) -> SubscriptionEnd {
        SubscriptionEnd(Arc::clone(&self.reader))
    }

    /// Waits for events, and returns those that have come together. Returns `None` if the place is
    /// lost. Safe to cancel.
    pub(crate) async fn next_events(&self) -> Option<Vec<u8>> {
        loop {
            let (is_ended, is_empty) = {
                let queue = self.reader.lock();
                (queue.is_ended, queue.is_empty())
            };
            if is_ended {
                return None;
            }
            if !is_empty {
                sleep(GATHER).await;
                return Some(self.reader.take());
            }
            self.reader.news.notified().await;
        }
    }

    /// Returns the events that wait now.
    pub(crate) fn waiting_events(&self) -> Vec<u8> {
        self.reader.take()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.reader.end();
        let mut readers = self.decisions.lock();
        readers.retain(|reader| !Arc::ptr_eq(reader, &self.reader));
        self.decisions.count.store(readers.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::DecisionKind;
    use super::*;

    const ALLOWED: FilteredDecision<'_> = FilteredDecision {
        kind: DecisionKind::Allowed,
        reason: None,
        profile: "default",
        peer: "unix",
        container: "",
        certificate: "",
    };

    fn all() -> DecisionFilter {
        DecisionFilter::default()
    }

    fn text(subscription: &Subscription) -> String {
        String::from_utf8(subscription.waiting_events()).expect("UTF-8")
    }

    #[test]
    fn a_decision_is_written_only_for_readers_that_want_it() {
        let decisions = Arc::new(Decisions::default());
        assert!(!decisions.are_watched());
        decisions.tell(&ALLOWED, || panic!("there is no reader"));
        let other = DecisionFilter::parse("decision=refused").expect("a filter");
        let other = decisions.subscribe(other).expect("a place");
        decisions.tell(&ALLOWED, || panic!("no reader wants it"));
        let reader = decisions.subscribe(all()).expect("a place");
        decisions.tell(&ALLOWED, || "{\"a\":1}\n".to_owned());
        assert_eq!(text(&reader), "data: {\"a\":1}\n\n");
        assert_eq!(
            (text(&reader), text(&other)),
            (String::new(), String::new())
        );
        drop((reader, other));
        assert!(!decisions.are_watched());
    }

    #[test]
    fn a_full_queue_loses_decisions_and_says_so_in_their_place() {
        let decisions = Arc::new(Decisions::default());
        let reader = decisions.subscribe(all()).expect("a place");
        let half = "x".repeat(QUEUE / 2);
        for line in [&half, &half, "short", &half] {
            decisions.tell(&ALLOWED, || line.to_owned());
        }
        let events = text(&reader);
        assert!(events.ends_with("x\n\nevent: lost\ndata: {\"count\":3}\n\n"));
        assert!(events.len() < QUEUE);
        decisions.tell(&ALLOWED, || "next".to_owned());
        assert_eq!(text(&reader), "data: next\n\n");
    }

    #[test]
    fn a_new_reader_gets_the_place_of_one_that_does_not_read() {
        let decisions = Arc::new(Decisions::default());
        let readers: Vec<_> = (0..READERS)
            .map(|_| decisions.subscribe(all()).expect("a place"))
            .collect();
        assert!(decisions.subscribe(all()).is_none());
        decisions.tell(&ALLOWED, || "line".to_owned());
        let _ = readers[0].waiting_events();
        // The first reader has just taken its events.
        assert!(decisions.subscribe(all()).is_none());
        readers[0].reader.lock().taken -= STALLED;
        assert!(decisions.subscribe(all()).is_none(), "it has no events");
        readers[2].reader.lock().taken -= STALLED;
        let new = decisions.subscribe(all()).expect("a place");
        assert!(readers[2].reader.lock().is_ended);
        drop(readers);
        assert!(decisions.are_watched());
        drop(new);
        assert!(!decisions.are_watched());
    }
}
