//! The state that all parts of the soak share: the time to stop, the engine's restarts, and the
//! failures so far.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::tally::Tally;

/// Stands in every request that must not reach the engine.
pub(crate) const FORBIDDEN: &str = "must-not-pass";

/// Failures beyond so many are only counted.
const SHOWN: usize = 25;

/// The state of a run.
#[derive(Debug)]
pub(crate) struct World {
    /// The seed of the schedule.
    pub(crate) seed: u64,
    /// How long anything may take before it counts as not happening.
    pub(crate) patience: Duration,
    fault: Option<Fault>,
    /// No new rounds begin, and streams come to their end.
    pub(crate) stopping: AtomicBool,
    /// Requests that the engine holds may be answered.
    pub(crate) released: AtomicBool,
    /// Answers to requests whose head could not be read.
    pub(crate) nameless: AtomicU64,
    /// Odd while the engine is down; two more after each restart.
    epoch: AtomicU64,
    failures: Mutex<(Vec<String>, u64)>,
    /// Requests and their records.
    pub(crate) ledger: Ledger,
    /// The counts for the summary.
    pub(crate) tally: Tally,
    arrived: Mutex<HashSet<u64>>,
    arrival: Condvar,
}

impl World {
    pub(crate) fn new(seed: u64, patience: Duration, fault: Option<Fault>) -> Self {
        Self {
            seed,
            patience,
            fault,
            stopping: AtomicBool::new(false),
            released: AtomicBool::new(false),
            nameless: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            failures: Mutex::default(),
            ledger: Ledger::default(),
            tally: Tally::default(),
            arrived: Mutex::default(),
            arrival: Condvar::new(),
        }
    }

    /// Returns whether this fault is to be made.
    pub(crate) fn makes(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Notes something that is wrong.
    pub(crate) fn fail(&self, what: impl Into<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.1 += 1;
        if failures.0.len() < SHOWN {
            failures.0.push(what.into());
        }
    }

    /// Notes what is wrong, if anything is.
    pub(crate) fn judge(&self, verdict: Result<(), String>) {
        if let Err(why) = verdict {
            self.fail(why);
        }
    }

    /// The first failures, and the number of all.
    pub(crate) fn failures(&self) -> (Vec<String>, u64) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// The number that changes whenever the engine goes down or comes back.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// Notes that the engine goes down, or is back.
    pub(crate) fn turn(&self) {
        self.epoch.fetch_add(1, SeqCst);
    }

    /// Returns whether the engine was down at some time since this epoch.
    pub(crate) fn was_down_since(&self, epoch: u64) -> bool {
        epoch % 2 == 1 || self.epoch() != epoch
    }

    /// Notes that the engine has got all of a request's bytes, and all were right.
    pub(crate) fn arrive(&self, number: u64) {
        self.arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number);
        self.arrival.notify_all();
    }

    /// Waits until the engine has got all of a request's bytes.
    pub(crate) fn has_arrived(&self, number: u64, epoch: u64) -> bool {
        let deadline = Instant::now() + self.patience;
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        while !arrived.remove(&number) {
            if Instant::now() >= deadline || self.was_down_since(epoch) {
                return false;
            }
            let waited = self
                .arrival
                .wait_timeout(arrived, Duration::from_millis(50));
            arrived = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Asks again and again until the answer is yes; `false` where it never is.
    pub(crate) fn eventually(&self, patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while !is_so() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        true
    }

    /// Waits, at the most until the run ends.
    pub(crate) fn pause(&self, time: Duration) {
        self.eventually(time, || self.is_stopping());
    }
}
