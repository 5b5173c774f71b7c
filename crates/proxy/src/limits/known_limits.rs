//! The limits of a profile's containers, as far as they were seen.
//!
//! Docker tells the limits of a container under the container's lock, which a client holds for as
//! long as it likes by reading an archive of the container slowly. The quota of a profile must not
//! depend on that: its other clients would be refused, or the one that holds the lock would have
//! its container not counted. Where the engine is late, the limits count that the engine told
//! before, or that the proxy let through since.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::guard::{Claim, Usage};

/// The time for which the engine is not asked for limits that are known, after it was late once.
const LATE: Duration = Duration::from_secs(60);

/// The limits of the containers of one profile.
#[derive(Debug, Default)]
pub(crate) struct KnownLimits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By identifier.
    containers: HashMap<String, Known>,
    /// The largest limits of all calls that were let through: no container that was created since
    /// the proxy has started has larger ones.
    largest: Option<Usage>,
    /// The number of calls that may have changed the limits of a container.
    changes: u64,
    /// The time until which the engine is taken for late.
    late_until: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    limits: Usage,
    since: Instant,
}

impl KnownLimits {
    /// Returns whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.containers.is_empty() && state.largest.is_none()
    }

    /// Notes that a call may have its effect from now on.
    pub(crate) fn note_claim(&self, usage: Usage, replaces: Option<&str>) {
        let mut state = self.lock();
        state.changes += 1;
        let largest = state.largest.unwrap_or_default();
        state.largest = Some(larger(largest, usage));
        // A limit that an update leaves out is zero.
        if let Some(known) = replaces.and_then(|id| state.containers.get_mut(id)) {
            known.limits = larger(known.limits, usage);
        }
    }

    /// Notes that a call has created a container.
    pub(crate) fn note_created(&self, id: String, claim: Usage) {
        let limit = |number| if number == 0 { u64::MAX } else { number };
        let limits = Usage {
            memory: limit(claim.memory),
            cpus: limit(claim.cpus),
            ..Usage::default()
        };
        // Whatever the engine has told meanwhile is at least as good.
        let mut state = self.lock();
        state.containers.entry(id).or_insert_with(|| Known {
            limits,
            since: Instant::now(),
        });
    }

    /// Returns the number of changes so far, before the engine is asked for limits.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Notes the limits that the engine tells, which was asked after so many changes.
    pub(crate) fn note_told(&self, id: &str, told: Usage, changes: u64) {
        let mut state = self.lock();
        let is_current = state.changes == changes;
        let known = state.containers.entry(id.to_owned()).or_insert(Known {
            limits: told,
            since: Instant::now(),
        });
        // A change since may not be in the answer.
        known.limits = match is_current {
            true => told,
            false => larger(known.limits, told),
        };
    }

    /// Returns the limits of a container, if they are known.
    pub(crate) fn get(&self, id: &str) -> Option<Usage> {
        self.lock().containers.get(id).map(|known| known.limits)
    }

    /// Returns the limits of a container, if they are known and the engine was late a short time
    /// ago.
    pub(crate) fn while_late(&self, id: &str) -> Option<Usage> {
        let state = self.lock();
        let is_late = state.late_until.is_some_and(|until| until > Instant::now());
        let known = state.containers.get(id).filter(|_| is_late)?;
        Some(known.limits)
    }

    /// Notes that the engine does not tell the limits of a container in time. Returns those that
    /// count instead, which are no smaller than the container's; `None` if nothing is known.
    pub(crate) fn note_late(&self, id: &str) -> Option<Usage> {
        let mut state = self.lock();
        let now = Instant::now();
        state.late_until = Some(now + LATE);
        if let Some(known) = state.containers.get(id) {
            return Some(known.limits);
        }
        // Not kept: the next call may have larger ones.
        state.largest
    }

    /// Forgets the containers that a list does not have, which was asked for at this time.
    pub(crate) fn keep_listed<'i>(&self, ids: impl Iterator<Item = &'i str>, asked: Instant) {
        let listed: HashSet<&str> = ids.collect();
        let mut state = self.lock();
        state
            .containers
            .retain(|id, known| listed.contains(id.as_str()) || known.since >= asked);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave half a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a call may change the sum of limits that a quota bounds.
pub(crate) fn changes_limits(claim: &Claim) -> bool {
    claim.quota.counts_limits() && (claim.usage.containers > 0 || claim.replaces.is_some())
}

/// Returns the larger one of each limit.
fn larger(one: Usage, other: Usage) -> Usage {
    Usage {
        memory: one.memory.max(other.memory),
        cpus: one.cpus.max(other.cpus),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: u64) -> Usage {
        Usage {
            memory,
            cpus: 1,
            ..Usage::default()
        }
    }

    #[test]
    fn a_container_counts_as_it_was_created() {
        let known = KnownLimits::default();
        assert_eq!(known.note_late("a"), None, "from before the start");
        known.note_claim(limits(7), None);
        known.note_created("a".to_owned(), limits(7));
        known.note_claim(limits(100), None);
        assert_eq!(known.note_late("a"), Some(limits(7)));
        // The call of a client that has left before the answer.
        assert_eq!(known.note_late("b"), Some(limits(100)));
        known.note_created("c".to_owned(), Usage::default());
        let none = Usage {
            cpus: u64::MAX,
            ..limits(u64::MAX)
        };
        assert_eq!(known.get("c"), Some(none), "no limit");
    }

    #[test]
    fn a_change_counts_until_the_engine_tells_more() {
        let known = KnownLimits::default();
        known.note_created("a".to_owned(), limits(7));
        let before = known.changes();
        known.note_claim(limits(50), Some("a"));
        assert_eq!(known.get("a"), Some(limits(50)));
        // The engine was asked before the change.
        known.note_told("a", limits(7), before);
        assert_eq!(known.get("a"), Some(limits(50)));
        known.note_told("a", limits(9), known.changes());
        assert_eq!(known.get("a"), Some(limits(9)));
    }

    #[test]
    fn an_engine_that_was_late_is_not_asked_for_known_limits() {
        let known = KnownLimits::default();
        known.note_told("a", limits(7), known.changes());
        assert_eq!(known.while_late("a"), None);
        known.note_late("b");
        assert_eq!(known.while_late("a"), Some(limits(7)));
        assert_eq!(known.while_late("b"), None);
    }

    #[test]
    fn containers_that_are_gone_are_forgotten() {
        let known = KnownLimits::default();
        known.note_created("a".to_owned(), limits(1));
        known.note_created("b".to_owned(), limits(1));
        let asked = Instant::now();
        known.note_created("c".to_owned(), limits(1));
        known.keep_listed(["b"].into_iter(), asked);
        assert!(known.get("b").is_some() && known.get("c").is_some());
        assert_eq!(known.get("a"), None);
    }
}
