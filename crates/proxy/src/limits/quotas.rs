//! Quotas: the calls that are counted against the quota of their profile.
//!
//! Only the engine knows what the clients of a profile own. So it is asked before each call that
//! adds to that. One call of a profile is counted at a time, and one that has room is reserved until
//! the engine has answered it: two calls would otherwise take the same room. A reservation is no
//! turn, so that an engine that is slow to answer one call does not hold up the others. Clients take
//! turns, so that the calls of one do not all come before a call of another.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Owner;
use cetusguard_policy::guard::{Claim, Excess, Usage};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify, SemaphorePermit};
use tokio::time::{timeout, timeout_at};

use crate::engine::backend::Backend;
use crate::engine::{EngineError, count_usage};
use crate::limits::known_limits::{KnownLimits, changes_limits};
use crate::limits::shares::ClientShare;

/// The time that a call may wait for its turn to be counted.
const TURN_DEADLINE: Duration = Duration::from_secs(60);

/// The time that a call without room waits for reserved calls to end: until then, what they take
/// may be counted twice.
const RECOUNT_DEADLINE: Duration = Duration::from_secs(5);

/// The time for which a call counts whose client left before the engine had answered: the engine
/// may still do what the call asks for. A command that was started counts as running for as long,
/// unless the engine reports its end.
const UNSETTLED: Duration = Duration::from_secs(60);

/// The most unsettled calls of a profile that are remembered. The oldest are forgotten.
const REMEMBERED: usize = 1024;

/// The quotas of all profiles with one.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<String, Arc<Ledger>>>);

/// The calls of one profile that are counted.
#[derive(Debug, Default)]
struct Ledger {
    /// Held while a call is counted.
    turn: AsyncMutex<()>,
    entries: Mutex<Entries>,
    /// Told of each reservation that ends.
    settled: Notify,
    /// The limits of the containers that are counted.
    known: KnownLimits,
}

/// The right to count the usage of a profile. It is given back when dropped.
#[derive(Debug)]
struct QuotaTurn<'l> {
    _of_client: Option<SemaphorePermit<'l>>,
    _of_profile: AsyncMutexGuard<'l, ()>,
}

#[derive(Debug, Default)]
struct Entries {
    list: Vec<PendingCall>,
    /// The number of the next entry.
    next: u64,
}

/// A call whose effect may not be in the engine's answers yet.
#[derive(Debug)]
struct PendingCall {
    number: u64,
    usage: Usage,
    /// The command that it starts. Such a call counts while the engine reports no end of it.
    starts: Option<String>,
    /// The container whose limits it replaces.
    replaces: Option<String>,
    /// `true` if the call may change the sum of limits.
    changes_limits: bool,
    /// The container in which the call creates a command.
    prepares: Option<String>,
    /// The time until which it counts; `None` while it is under way.
    until: Option<Instant>,
}

/// The reason why a call cannot be sent.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// The quota has no room.
    Excess(Excess),
    /// The engine did not tell what is used.
    Unknown(EngineError),
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excess(excess) => excess.fmt(f),
            Self::Unknown(trouble) => trouble.fmt(f),
        }
    }
}

impl std::error::Error for NoRoom {}

/// The part of a quota that is reserved for a call.
#[derive(Debug)]
pub(crate) struct QuotaHold {
    ledger: Arc<Ledger>,
    number: u64,
    is_sent: bool,
    is_settled: bool,
}

impl Quotas {
    /// Reserves a part of the quota of a profile, if there is room for the claim of a client.
    /// `container` is the identifier of the one in which the call creates a command.
    ///
    /// # Errors
    /// The quota has no room, or what is used cannot be counted.
    pub(crate) async fn hold(
        &self,
        claim: &Claim,
        container: Option<&str>,
        profile: &str,
        client: &ClientShare,
        backend: &Backend,
    ) -> Result<Box<QuotaHold>, NoRoom> {
        let ledger = self.ledger(profile);
        let turn = timeout(TURN_DEADLINE, ledger.turn(client))
            .await
            .map_err(|_| NoRoom::Unknown(EngineError::Busy("the count of the quota".to_owned())))?;
        let owner = Owner::profile(profile);
        let patience = tokio::time::Instant::now() + RECOUNT_DEADLINE;
        loop {
            // Before the engine is asked: what is settled then is in its answer.
            let settled = ledger.settled.notified();
            let (unsettled, started, under_way) = ledger.unsettled();
            let used = count_usage(claim, &owner, &started, &ledger.known, backend)
                .await
                .map_err(NoRoom::Unknown)?;
            let Err(excess) = claim.check(&(used + unsettled)) else {
                break;
            };
            if under_way == 0 || timeout_at(patience, settled).await.is_err() {
                return Err(NoRoom::Excess(excess));
            }
        }
        let number = ledger.reserve(claim, container);
        drop(turn);
        Ok(Box::new(QuotaHold {
            ledger,
            number,
            is_sent: false,
            is_settled: false,
        }))
    }

    /// Returns the ledger of a profile. Ledgers of profiles that no longer exist are forgotten.
    fn ledger(&self, profile: &str) -> Arc<Ledger> {
        let mut ledgers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.retain(|_, ledger| Arc::strong_count(ledger) > 1 || !ledger.is_empty());
        Arc::clone(ledgers.entry(profile.to_owned()).or_default())
    }
}

impl Ledger {
    /// Waits for a client's turn to be counted.
    async fn turn<'l>(&'l self, client: &'l ClientShare) -> QuotaTurn<'l> {
        QuotaTurn {
            _of_client: client.quota_turn().await,
            _of_profile: self.turn.lock().await,
        }
    }

    /// Returns whether nothing is remembered.
    fn is_empty(&self) -> bool {
        self.lock().list.is_empty() && self.known.is_empty()
    }

    /// Returns the entries that count now.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries
            .list
            .retain(|one| one.until.is_none_or(|until| until > now));
        entries
    }

    /// Returns the usage of unsettled calls, the commands that calls have started lately, and the
    /// number of calls under way.
    fn unsettled(&self) -> (Usage, Vec<String>, usize) {
        let entries = self.lock();
        // The engine is asked about a command by its identifier.
        let uncounted = entries.list.iter().filter(|one| one.starts.is_none());
        let usage = uncounted.fold(Usage::default(), |sum, one| sum + one.usage);
        let started = entries.list.iter().filter_map(|one| one.starts.clone());
        let under_way = entries.list.iter().filter(|one| one.until.is_none());
        (usage, started.collect(), under_way.count())
    }

    fn reserve(&self, claim: &Claim, container: Option<&str>) -> u64 {
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        entries.list.push(PendingCall {
            number,
            usage: claim.usage,
            starts: claim.starts.clone(),
            replaces: claim.replaces.clone(),
            changes_limits: changes_limits(claim),
            prepares: container.map(str::to_owned),
            until: None,
        });
        drop(entries);
        if changes_limits(claim) {
            self.known
                .note_claim(claim.usage, claim.replaces.as_deref());
        }
        number
    }

    /// Ends a reservation; `remembers` whether its call counts for a while, given the entry. The
    /// engine may have done what the call asks for if `may_be_done`.
    fn end(&self, number: u64, may_be_done: bool, remembers: impl Fn(&PendingCall) -> bool) {
        let mut entries = self.lock();
        let Some(at) = entries.list.iter().position(|one| one.number == number) else {
            return;
        };
        let entry = &entries.list[at];
        if entry.changes_limits {
            // The engine may have told the limits from before the call in the meantime.
            self.known
                .note_claim(entry.usage, entry.replaces.as_deref());
        }
        if let Some(container) = entry.prepares.as_deref().filter(|_| may_be_done) {
            self.known.note_command(container, None);
        }
        if remembers(entry) {
            entries.list[at].until = Some(Instant::now() + UNSETTLED);
            let is_remembered = |one: &PendingCall| one.until.is_some();
            if entries.list.iter().filter(|one| is_remembered(one)).count() > REMEMBERED
                && let Some(oldest) = entries.list.iter().position(is_remembered)
            {
                entries.list.remove(oldest);
            }
        } else {
            entries.list.remove(at);
        }
        drop(entries);
        self.settled.notify_waiters();
    }
}

impl QuotaHold {
    /// Notes that the engine may do what the call asks for from now on.
    pub(crate) fn note_sent(&mut self) {
        self.is_sent = true;
    }

    /// Returns whether the call creates a container or a command whose identifier is needed.
    pub(crate) fn creates_object(&self) -> bool {
        let entries = self.ledger.lock();
        let mut own = entries.list.iter().filter(|one| one.number == self.number);
        own.any(|one| one.prepares.is_some() || one.changes_limits && one.usage.containers > 0)
    }

    /// Notes the identifier of the object that the call has created.
    pub(crate) fn note_created(&self, id: String) {
        let mut entries = self.ledger.lock();
        let mut own = (entries.list.iter_mut()).filter(|one| one.number == self.number);
        let Some(own) = own.next() else { return };
        match own.prepares.take() {
            Some(container) => self.ledger.known.note_command(&container, Some(id)),
            None => self.ledger.known.note_created(id, own.usage),
        }
    }

    /// Ends the hold with the engine's answer: what the call takes is in the engine's lists now. A
    /// command may be reported as running a moment later.
    pub(crate) fn settle(mut self, is_done: bool) {
        self.is_settled = true;
        self.ledger.end(self.number, is_done, |entry| {
            entry.starts.is_some() && is_done
        });
    }
}

impl Drop for QuotaHold {
    fn drop(&mut self) {
        if !self.is_settled {
            let is_sent = self.is_sent;
            self.ledger.end(self.number, is_sent, |_| is_sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Otherwise, a client with many connections would keep the others of its profile waiting.
    #[test]
    fn the_calls_of_one_client_do_not_all_come_before_that_of_another() {
        let (ledger, one, other) = (
            Ledger::default(),
            ClientShare::default(),
            ClientShare::default(),
        );
        let mut context = Context::from_waker(Waker::noop());
        let mut calls: Vec<_> = [&one, &one, &one, &other]
            .map(|client| Box::pin(ledger.turn(client)))
            .into();
        let mut order = Vec::new();
        let mut held = None;
        while order.len() < calls.len() {
            drop(held.take());
            for (at, call) in calls.iter_mut().enumerate() {
                if order.contains(&at) {
                    continue;
                }
                if let Poll::Ready(turn) = pin!(call).poll(&mut context) {
                    assert!(held.is_none(), "two turns at a time");
                    held = Some(turn);
                    order.push(at);
                }
            }
        }
        assert_eq!(order, [0, 3, 1, 2]);
    }
}
