//! The counts that the summary shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// Rounds, requests and bytes of each kind of load.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<&'static str, Counts>>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    bytes: u64,
    refused: u64,
    cut: u64,
    failed: u64,
}

/// A count of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Requests,
    Bytes,
    /// Requests that were refused, and had to be.
    Refused,
    /// Rounds that a restart of the engine has cut.
    Cut,
    Failed,
}

impl Tally {
    /// Adds to a count.
    pub(crate) fn add(&self, kind: &'static str, count: Count, number: u64) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = kinds.entry(kind).or_default();
        *match count {
            Count::Requests => &mut counts.requests,
            Count::Bytes => &mut counts.bytes,
            Count::Refused => &mut counts.refused,
            Count::Cut => &mut counts.cut,
            Count::Failed => &mut counts.failed,
        } += number;
    }

    /// Draws the table.
    pub(crate) fn table(&self) -> String {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!(
            "{:<22}{:>12}{:>12}{:>10}{:>16}{:>8}\n",
            "load", "requests", "MiB", "refused", "cut by restart", "failed"
        );
        let mut total = Counts::default();
        let mut row = |name: &str, counts: &Counts| {
            let Counts {
                requests,
                bytes,
                refused,
                cut,
                failed,
            } = counts;
            let mib = bytes >> 20;
            let _ = writeln!(
                text,
                "{name:<22}{requests:>12}{mib:>12}{refused:>10}{cut:>16}{failed:>8}"
            );
        };
        for (name, counts) in kinds.iter() {
            row(name, counts);
            total.requests += counts.requests;
            total.bytes += counts.bytes;
            total.refused += counts.refused;
            total.cut += counts.cut;
            total.failed += counts.failed;
        }
        row("together", &total);
        text
    }
}
