//! The counters of requests, which the record of each request adds to when it ends.
//!
//! A request finds the counters of its profile together with its client, so that counting it costs
//! a few additions and no look-up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cetusguard_policy::Profiles;

use crate::outcome::Reason;

/// The upper bounds of the buckets of a histogram of durations, in microseconds.
pub(crate) const BUCKETS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// The counters of all requests, by profile.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Profiles keep their counters after a reload that removes them: a counter never goes back.
    profiles: RwLock<BTreeMap<String, Arc<RequestCounters>>>,
    /// The requests that ended before their client was known.
    unidentified: RequestCounters,
}

/// The counters of the requests of one profile.
#[derive(Debug)]
pub(crate) struct RequestCounters {
    served: AtomicU64,
    /// Requests with a complete answer of the proxy's own.
    refused: [AtomicU64; Reason::COUNT],
    /// Requests that ended in another way.
    ended: [AtomicU64; Reason::COUNT],
    /// Refusals that audit mode did not enforce.
    unenforced: [AtomicU64; Reason::COUNT],
    /// Streams and tunnels that are open.
    streams: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    durations: Histogram,
}

/// A histogram of durations.
#[derive(Debug, Default)]
struct Histogram {
    /// The durations up to each bound, and those beyond the last.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

/// A histogram as it was at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    /// The number of durations up to each bound in seconds, those up to the bound before excluded.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// The sum in seconds.
    pub(crate) sum: f64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            profiles: RwLock::default(),
            unidentified: RequestCounters::new(),
        }
    }
}

impl Metrics {
    /// Returns the counters of a profile.
    pub(crate) fn of_profile(&self, name: &str) -> Arc<RequestCounters> {
        let known = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.get(name) {
            return Arc::clone(counters);
        }
        drop(known);
        let mut known = self
            .profiles
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let counters = known
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(RequestCounters::new()));
        Arc::clone(counters)
    }

    /// Begins the counters of profiles at zero, so that their first request shows as an increase.
    pub(crate) fn expect_profiles(&self, profiles: &Profiles) {
        for profile in profiles.all() {
            let _ = self.of_profile(&profile.name);
        }
    }

    /// Returns the counters of the requests that ended before their client was known.
    pub(crate) fn unidentified(&self) -> &RequestCounters {
        &self.unidentified
    }

    /// Calls a function with the counters of each profile and its name, and with those of
    /// unidentified clients under an empty name.
    pub(crate) fn for_each<E>(
        &self,
        mut show: impl FnMut(&str, &RequestCounters) -> Result<(), E>,
    ) -> Result<(), E> {
        show("", &self.unidentified)?;
        let known = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .try_for_each(|(name, counters)| show(name, counters))
    }

    /// Returns how many requests ended for a reason, of all profiles together.
    pub(crate) fn total(&self, reason: Reason) -> u64 {
        let mut total = 0;
        let add = |_: &str, counters: &RequestCounters| {
            total += counters.ended(reason);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = self.for_each(add);
        total
    }
}

impl RequestCounters {
    fn new() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            served: AtomicU64::new(0),
            refused: zeros(),
            ended: zeros(),
            unenforced: zeros(),
            streams: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            durations: Histogram::default(),
        }
    }

    /// Counts a request whose client received the complete answer, with its duration if it is to be
    /// compared with those of others.
    pub(crate) fn count_served(&self, duration: Option<Duration>) {
        self.served.fetch_add(1, Relaxed);
        if let Some(duration) = duration {
            self.durations.observe(duration);
        }
    }

    /// Counts a request that got an answer of the proxy's own.
    pub(crate) fn count_refused(&self, reason: Reason) {
        self.refused[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts a request that got neither a complete answer nor a refusal.
    pub(crate) fn count_ended(&self, reason: Reason) {
        self.ended[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts a refusal that audit mode did not enforce.
    pub(crate) fn count_unenforced(&self, reason: Reason) {
        self.unenforced[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts the bytes of a request that has ended.
    pub(crate) fn count_bytes(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Relaxed);
        self.bytes_out.fetch_add(bytes_out, Relaxed);
    }

    /// Counts a stream as open.
    pub(crate) fn begin_stream(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// Counts a stream as ended.
    pub(crate) fn end_stream(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    /// Returns the requests whose clients received the complete answer.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// Returns the refusals for a reason.
    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason.index()].load(Relaxed)
    }

    /// Returns the requests that ended for a reason, refused or not.
    pub(crate) fn ended(&self, reason: Reason) -> u64 {
        self.refused(reason) + self.ended[reason.index()].load(Relaxed)
    }

    /// Returns the refusals for a reason that audit mode did not enforce.
    pub(crate) fn unenforced(&self, reason: Reason) -> u64 {
        self.unenforced[reason.index()].load(Relaxed)
    }

    /// Returns the streams and tunnels that are open.
    pub(crate) fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Returns the bytes from clients.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// Returns the bytes to clients.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Relaxed)
    }

    /// Returns the histogram of durations.
    pub(crate) fn durations(&self) -> Durations {
        self.durations.read()
    }
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < microseconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(microseconds, Relaxed);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a float holds the microseconds of 285 years exactly"
    )]
    fn read(&self) -> Durations {
        let seconds = |microseconds: u64| microseconds as f64 / 1e6;
        let bounds = BUCKETS.iter().map(|bound| seconds(*bound));
        // The encoder writes the largest number as `+Inf`.
        let bounds = bounds.chain([f64::MAX]);
        let counts = self.buckets.iter().map(|count| count.load(Relaxed));
        Durations {
            buckets: bounds.zip(counts).collect(),
            sum: seconds(self.microseconds.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for microseconds in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let read = histogram.read();
        let counts: Vec<_> = read
            .buckets
            .iter()
            .filter(|(_, count)| *count > 0)
            .copied()
            .collect();
        assert_eq!(counts, [(0.0005, 2), (0.001, 1), (10.0, 1), (f64::MAX, 1)]);
        assert!((read.sum - 20.001_002).abs() < 1e-9, "{}", read.sum);
    }

    #[test]
    fn the_total_of_a_reason_is_over_all_profiles_and_all_ends() {
        let metrics = Metrics::default();
        metrics.unidentified().count_refused(Reason::EngineTimeout);
        metrics
            .of_profile("one")
            .count_refused(Reason::EngineTimeout);
        metrics.of_profile("one").count_ended(Reason::EngineTimeout);
        metrics
            .of_profile("two")
            .count_ended(Reason::ClientDisconnected);
        assert_eq!(metrics.total(Reason::EngineTimeout), 3);
        assert_eq!(metrics.of_profile("one").refused(Reason::EngineTimeout), 1);
        assert_eq!(metrics.of_profile("one").ended(Reason::EngineTimeout), 2);
    }
}
