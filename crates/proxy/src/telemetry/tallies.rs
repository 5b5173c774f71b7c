//! Tallies: what one client can cause again and again gets one line of the log in a minute, with its
//! number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time between two lines about a client.
const LINE_INTERVAL: Duration = Duration::from_secs(60);
/// The number of clients that are remembered for their line; events of further clients are not
/// logged.
const TALLIES: usize = 1 << 10;

/// The events of each client since its last line, by the key of the client.
#[derive(Debug)]
pub(crate) struct Tallies<K>(Mutex<HashMap<K, Tally>>);

/// Events since the last line about a client.
#[derive(Debug)]
struct Tally {
    last: Occurrence,
    count: u64,
    told: Instant,
}

/// One event, as the log shows it.
#[derive(Clone, Debug)]
pub(crate) struct Occurrence {
    /// The client's address with its port, or its Unix process.
    pub(crate) peer: Arc<str>,
    /// The reason, if events have different ones.
    pub(crate) detail: String,
}

/// Events of a client that the log should tell of.
#[derive(Debug)]
pub(crate) struct DueTally<K> {
    /// The client.
    pub(crate) key: K,
    /// The last event.
    pub(crate) last: Occurrence,
    /// Events since the last line, this one included.
    pub(crate) count: u64,
}

impl<K> Default for Tallies<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Tallies<K> {
    /// Counts an event of a client. Returns the record for the log, if one is due.
    pub(crate) fn note(&self, key: K, event: Occurrence) -> Option<DueTally<K>> {
        let mut tallies = self.lock();
        let (now, is_full) = (Instant::now(), tallies.len() >= TALLIES);
        match tallies.get_mut(&key) {
            Some(tally) => {
                tally.last = event;
                tally.count += 1;
                tally.tell(&key, now)
            }
            None if is_full => None,
            None => {
                let tally = Tally {
                    last: event.clone(),
                    count: 0,
                    told: now,
                };
                tallies.insert(key.clone(), tally);
                Some(DueTally {
                    key,
                    last: event,
                    count: 1,
                })
            }
        }
    }

    /// Returns the events that were not logged for a while, and forgets clients without new ones.
    pub(crate) fn unlogged(&self) -> Vec<DueTally<K>> {
        let now = Instant::now();
        let mut told = Vec::new();
        self.lock().retain(|key, tally| {
            let is_quiet = tally.count == 0 && now.duration_since(tally.told) >= LINE_INTERVAL;
            told.extend(tally.tell(key, now));
            !is_quiet
        });
        told
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn tell<K: Clone>(&mut self, key: &K, now: Instant) -> Option<DueTally<K>> {
        if self.count == 0 || now.duration_since(self.told) < LINE_INTERVAL {
            return None;
        }
        self.told = now;
        Some(DueTally {
            key: key.clone(),
            last: self.last.clone(),
            count: std::mem::take(&mut self.count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_one_line_a_minute() {
        let tallies = Tallies::default();
        let event = |detail: &str| Occurrence {
            peer: "peer".into(),
            detail: detail.to_owned(),
        };
        let a_minute_later = |tallies: &Tallies<u32>| {
            for tally in tallies.lock().values_mut() {
                tally.told -= LINE_INTERVAL;
            }
        };
        let told = tallies.note(1, event("first")).expect("a line");
        assert_eq!((told.key, told.count, &*told.last.detail), (1, 1, "first"));
        for _ in 0..10 {
            assert!(tallies.note(1, event("again")).is_none());
        }
        assert!(tallies.unlogged().is_empty());
        a_minute_later(&tallies);
        let told = tallies.note(1, event("last")).expect("a line");
        assert_eq!((told.count, &*told.last.detail), (11, "last"));
        assert!(tallies.note(1, event("rest")).is_none());
        a_minute_later(&tallies);
        let rest = tallies.unlogged();
        assert_eq!((rest.len(), rest[0].count), (1, 1));
        for client in 2..5000 {
            let _ = tallies.note(client, event(""));
        }
        assert_eq!(tallies.lock().len(), TALLIES);
        a_minute_later(&tallies);
        assert!(tallies.unlogged().is_empty());
        assert!(tallies.lock().is_empty());
    }
}
