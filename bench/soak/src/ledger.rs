//! Compares the answers that clients got with the records in the proxy's log: one record for each
//! answered request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Requests, by the number that each carries in its user agent.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    /// The number of the last request.
    last: u64,
    /// Requests of which the client or the log has still to tell.
    open: HashMap<u64, Entry>,
    /// Requests that both have told of, one bit each.
    closed: Vec<u64>,
    /// Records that the proxy says it has lost.
    lost: u64,
    /// Records of each outcome.
    outcomes: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Entry {
    client: Option<Seen>,
    record: Option<(u16, String)>,
}

/// The answer that a client received to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An answer of this status, of which everything has come.
    Whole(u16),
    /// The head of an answer of this status, and not all of its body.
    Part(u16),
    /// Nothing: it has left, or the connection was closed.
    Nothing,
}

impl Ledger {
    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a request, and returns its number.
    pub(crate) fn open(&self) -> u64 {
        let mut pages = self.pages();
        pages.last += 1;
        let number = pages.last;
        pages.open.insert(number, Entry::default());
        number
    }

    /// Notes what the client of a request got.
    pub(crate) fn seen(&self, number: u64, seen: Seen) -> Result<(), String> {
        let mut pages = self.pages();
        let entry = pages.open.entry(number).or_default();
        entry.client = Some(seen);
        pages.settle(number)
    }

    /// Notes a record of the log: status and reason.
    pub(crate) fn recorded(&self, number: u64, status: u16, reason: &str) -> Result<(), String> {
        let mut pages = self.pages();
        let outcome = if reason.is_empty() {
            "complete"
        } else {
            reason
        };
        *pages.outcomes.entry(outcome.to_owned()).or_default() += 1;
        if pages.is_closed(number) {
            return Err(format!("request {number} has two records"));
        }
        if number == 0 || number > pages.last {
            return Err(format!(
                "a record is about request {number}, which no client has made"
            ));
        }
        let entry = pages.open.entry(number).or_default();
        if entry.record.replace((status, reason.to_owned())).is_some() {
            return Err(format!("request {number} has two records"));
        }
        pages.settle(number)
    }

    /// Notes records that the proxy says it has lost.
    pub(crate) fn lost(&self, count: u64) {
        self.pages().lost += count;
    }

    /// The reason in the record of a request, once it is there and before its client has told what
    /// it got.
    pub(crate) fn reason(&self, number: u64) -> Option<String> {
        Some(self.pages().open.get(&number)?.record.as_ref()?.1.clone())
    }

    /// The records that the proxy says it has lost.
    pub(crate) fn lost_records(&self) -> u64 {
        self.pages().lost
    }

    /// The number of requests.
    pub(crate) fn requests(&self) -> u64 {
        self.pages().last
    }

    /// The number of records of each outcome, the most frequent first.
    pub(crate) fn outcomes(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.pages().outcomes.clone().into_iter().collect();
        all.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        all
    }

    /// Checks, once the log has ended, that each request that was answered has its record.
    pub(crate) fn close(&self) -> Result<(), String> {
        let pages = self.pages();
        let missing = |entry: &&Entry| {
            matches!(entry.client, Some(Seen::Whole(_) | Seen::Part(_))) && entry.record.is_none()
        };
        let count = pages.open.values().filter(missing).count() as u64;
        let first = pages
            .open
            .iter()
            .find(|(_, entry)| missing(entry))
            .map(|(number, _)| *number);
        match first {
            Some(number) if count > pages.lost => Err(format!(
                "{count} requests that were answered have no record, such as request {number}"
            )),
            _ => Ok(()),
        }
    }
}

impl Pages {
    fn is_closed(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64)
            .ok()
            .and_then(|at| self.closed.get(at));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Compares the two sides of a request once both are there.
    fn settle(&mut self, number: u64) -> Result<(), String> {
        let Some(Entry {
            client: Some(seen),
            record: Some((status, reason)),
        }) = self.open.get(&number)
        else {
            return Ok(());
        };
        let verdict = match *seen {
            Seen::Whole(got) if got != *status => Err(format!(
                "request {number} got {got}, and its record says {status}"
            )),
            Seen::Whole(got) if got < 400 && !reason.is_empty() => Err(format!(
                "request {number} was answered whole with {got}, and its record says {reason}"
            )),
            Seen::Part(got) if got != *status => Err(format!(
                "request {number} got {got}, and its record says {status}"
            )),
            _ => Ok(()),
        };
        self.open.remove(&number);
        let at = usize::try_from(number / 64).unwrap_or(0);
        if self.closed.len() <= at {
            self.closed.resize(at + 1, 0);
        }
        self.closed[at] |= 1 << (number % 64);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(seen: Seen, records: &[(u16, &str)]) -> Result<(), String> {
        let ledger = Ledger::default();
        let number = ledger.open();
        ledger.seen(number, seen)?;
        records
            .iter()
            .try_for_each(|(status, reason)| ledger.recorded(number, *status, reason))?;
        ledger.close()
    }

    #[test]
    fn an_answer_has_one_record_that_says_the_same() {
        assert_eq!(judge(Seen::Whole(200), &[(200, "")]), Ok(()));
        assert_eq!(judge(Seen::Whole(403), &[(403, "no_rule")]), Ok(()));
        assert_eq!(
            judge(Seen::Part(200), &[(200, "engine_disconnected")]),
            Ok(())
        );
        assert_eq!(judge(Seen::Nothing, &[]), Ok(()));
        assert_eq!(
            judge(Seen::Nothing, &[(200, "client_disconnected")]),
            Ok(())
        );
        for (seen, records) in [
            (Seen::Whole(200), &[][..]),
            (Seen::Part(200), &[][..]),
            (Seen::Whole(200), &[(403, "no_rule")][..]),
            (Seen::Whole(200), &[(200, "engine_disconnected")][..]),
            (Seen::Whole(200), &[(200, ""), (200, "")][..]),
            (Seen::Nothing, &[(200, ""), (200, "")][..]),
        ] {
            assert!(judge(seen, records).is_err(), "{seen:?} {records:?}");
        }
        assert!(Ledger::default().recorded(1, 200, "").is_err());
    }

    #[test]
    fn records_that_the_log_says_it_lost_are_not_missed() {
        let ledger = Ledger::default();
        ledger.lost(1);
        let number = ledger.open();
        assert_eq!(
            ledger
                .seen(number, Seen::Whole(200))
                .and_then(|()| ledger.close()),
            Ok(())
        );
    }
}
