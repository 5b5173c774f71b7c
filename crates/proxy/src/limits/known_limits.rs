//! The limits and commands of a profile's containers, as far as they were seen.
//!
//! Docker tells those of a container under the container's lock, which a client holds for as long as
//! it likes by reading an archive of the container slowly. The quota of a profile must not depend on
//! that: its other clients would be refused, or the one that holds the lock would have its container
//! not counted. Where the engine is late, a container counts with what the engine told before, and
//! what the proxy let through since.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cetusguard_policy::guard::{Claim, Usage};

/// The time for which the engine is not asked for what is known, after it was late once.
const LATE: Duration = Duration::from_secs(60);

/// The limits and commands of the containers of one profile.
#[derive(Debug)]
pub(crate) struct KnownLimits {
    /// The time from which on calls are noted.
    started: SystemTime,
    state: Mutex<KnownState>,
}

#[derive(Debug, Default)]
struct KnownState {
    /// By identifier.
    containers: HashMap<String, (ContainerClaim, Instant)>,
    /// The largest limits of all calls that were let through: no container that was created since
    /// the start has larger ones.
    largest: Option<Usage>,
    /// The number of calls that may have changed what is known.
    changes: u64,
    /// The time until which the engine is taken for late.
    late_until: Option<Instant>,
}

/// The limits and commands of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContainerClaim {
    /// Its memory and processor limits.
    pub(crate) limits: Usage,
    /// The identifiers of its commands, running or not.
    pub(crate) execs: Vec<String>,
    /// The number of its other commands: their clients left before the engine told the identifiers.
    pub(crate) unnamed: u64,
}

impl Default for KnownLimits {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            state: Mutex::default(),
        }
    }
}

impl KnownLimits {
    /// Returns whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.containers.is_empty() && state.largest.is_none()
    }

    /// Notes that a call may change limits from now on.
    pub(crate) fn note_claim(&self, usage: Usage, replaces: Option<&str>) {
        let mut state = self.lock();
        state.changes += 1;
        let largest = state.largest.unwrap_or_default();
        state.largest = Some(larger(largest, usage));
        // A limit that an update leaves out is zero.
        if let Some((known, _)) = replaces.and_then(|id| state.containers.get_mut(id)) {
            known.limits = larger(known.limits, usage);
        }
    }

    /// Notes that a call has created a container.
    pub(crate) fn note_created(&self, id: String, claim: Usage) {
        let limit = |number| if number == 0 { u64::MAX } else { number };
        let known = ContainerClaim {
            limits: Usage {
                memory: limit(claim.memory),
                cpus: limit(claim.cpus),
                ..Usage::default()
            },
            ..ContainerClaim::default()
        };
        // Whatever the engine has told meanwhile is at least as good.
        let mut state = self.lock();
        let entry = state.containers.entry(id);
        entry.or_insert_with(|| (known, Instant::now()));
    }

    /// Notes that a call has created a command in a container, or may have done so if the identifier
    /// is not known.
    pub(crate) fn note_command(&self, container: &str, exec: Option<String>) {
        let mut state = self.lock();
        state.changes += 1;
        // Without an entry, the container is gone.
        if let Some((known, _)) = state.containers.get_mut(container) {
            match exec {
                Some(exec) if known.execs.contains(&exec) => {}
                Some(exec) => known.execs.push(exec),
                None => known.unnamed += 1,
            }
        }
    }

    /// Returns the number of changes so far, before the engine is asked.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Notes what the engine tells about a container, which was asked after so many changes.
    pub(crate) fn note_told(&self, id: &str, mut told: ContainerClaim, changes: u64) {
        let mut state = self.lock();
        let is_current = state.changes == changes;
        let (known, _) = state
            .containers
            .entry(id.to_owned())
            .or_insert_with(|| (ContainerClaim::default(), Instant::now()));
        // A change since may not be in the answer.
        if !is_current {
            told.limits = larger(known.limits, told.limits);
            told.unnamed = known.unnamed;
            let others = known.execs.iter().filter(|exec| !told.execs.contains(exec));
            let others: Vec<_> = others.cloned().collect();
            told.execs.extend(others);
        }
        *known = told;
    }

    /// Returns whether anything is known about a container.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.lock().containers.contains_key(id)
    }

    /// Returns what is known about a container, if the engine was late a short time ago.
    pub(crate) fn while_late(&self, id: &str) -> Option<ContainerClaim> {
        let state = self.lock();
        let is_late = state.late_until.is_some_and(|until| until > Instant::now());
        let (known, _) = state.containers.get(id).filter(|_| is_late)?;
        Some(known.clone())
    }

    /// Notes that the engine does not describe a container in time, which was created at this time,
    /// in seconds since 1970. Returns what counts instead, which is no less than the container has;
    /// `None` if nothing is known.
    pub(crate) fn note_late(&self, id: &str, created: u64) -> Option<ContainerClaim> {
        let mut state = self.lock();
        state.late_until = Some(Instant::now() + LATE);
        if let Some((known, _)) = state.containers.get(id) {
            return Some(known.clone());
        }
        // Its client has left before the engine told its identifier. It has no commands: before one
        // is created, the engine is asked about all containers that run. This is not kept, since
        // the next call may have larger limits.
        let started = self.started.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let limits = state.largest.filter(|_| created >= started)?;
        Some(ContainerClaim {
            limits,
            ..ContainerClaim::default()
        })
    }

    /// Forgets the containers that a list does not have, which was asked for at this time.
    pub(crate) fn keep_listed<'i>(&self, ids: impl Iterator<Item = &'i str>, asked: Instant) {
        let listed: HashSet<&str> = ids.collect();
        let mut state = self.lock();
        state
            .containers
            .retain(|id, (_, since)| listed.contains(id.as_str()) || *since >= asked);
    }

    fn lock(&self) -> MutexGuard<'_, KnownState> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// A container with this memory limit and these commands.
    fn known(memory: u64, execs: &[&str], unnamed: u64) -> ContainerClaim {
        ContainerClaim {
            limits: limits(memory),
            execs: execs.iter().map(|exec| (*exec).to_owned()).collect(),
            unnamed,
        }
    }

    #[test]
    fn a_container_counts_as_it_was_created() {
        let (all, now) = (KnownLimits::default(), u64::MAX);
        assert_eq!(all.note_late("a", now), None);
        all.note_claim(limits(7), None);
        all.note_created("a".to_owned(), limits(7));
        all.note_claim(limits(100), None);
        assert_eq!(all.note_late("a", now), Some(known(7, &[], 0)));
        // The call of a client that has left before the answer.
        assert_eq!(all.note_late("b", now), Some(known(100, &[], 0)));
        assert_eq!(all.note_late("b", 1), None, "from before the start");
        all.note_created("c".to_owned(), Usage::default());
        let none = Usage {
            memory: u64::MAX,
            cpus: u64::MAX,
            ..Usage::default()
        };
        let late = all.note_late("c", now);
        assert_eq!(late.map(|known| known.limits), Some(none), "no limit");
    }

    #[test]
    fn a_change_counts_until_the_engine_tells_more() {
        let all = KnownLimits::default();
        all.note_created("a".to_owned(), limits(7));
        let before = all.changes();
        all.note_claim(limits(50), Some("a"));
        all.note_command("a", Some("e1".to_owned()));
        all.note_command("a", None);
        assert_eq!(all.note_late("a", 0), Some(known(50, &["e1"], 1)));
        // The engine was asked before the changes.
        all.note_told("a", known(7, &["e0"], 0), before);
        assert_eq!(all.note_late("a", 0), Some(known(50, &["e0", "e1"], 1)));
        all.note_told("a", known(9, &["e1", "e2"], 0), all.changes());
        assert_eq!(all.note_late("a", 0), Some(known(9, &["e1", "e2"], 0)));
    }

    #[test]
    fn an_engine_that_was_late_is_not_asked_for_what_is_known() {
        let all = KnownLimits::default();
        all.note_told("a", known(7, &[], 0), all.changes());
        assert_eq!(all.while_late("a"), None);
        all.note_late("b", 0);
        assert_eq!(all.while_late("a"), Some(known(7, &[], 0)));
        assert_eq!(all.while_late("b"), None);
    }

    #[test]
    fn containers_that_are_gone_are_forgotten() {
        let all = KnownLimits::default();
        all.note_created("a".to_owned(), limits(1));
        all.note_created("b".to_owned(), limits(1));
        let asked = Instant::now();
        all.note_created("c".to_owned(), limits(1));
        all.keep_listed(["b"].into_iter(), asked);
        assert_eq!(["a", "b", "c"].map(|id| all.knows(id)), [false, true, true]);
    }
}
