//! Quotas: the turns in which calls are counted against the quota of their profile.
//!
//! Only the engine knows what the clients of a profile own. So it is asked before each call that
//! adds to that, and no other such call of the profile is sent until the engine has answered this
//! one: two calls would otherwise take the same room.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Owner;
use cetusguard_policy::guard::{Claim, Excess, Usage};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::backend::Backend;
use crate::engine::{Trouble, count_usage};

/// The time that a call may wait for its turn.
const TURN_DEADLINE: Duration = Duration::from_secs(60);

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
    turn: Arc<AsyncMutex<()>>,
    unsettled: Mutex<Vec<Unsettled>>,
}

/// A call whose effect may not be in the engine's answers yet.
#[derive(Debug)]
struct Unsettled {
    usage: Usage,
    /// The command that it started. Such a call counts while the engine reports no end of it.
    starts: Option<String>,
    until: Instant,
}

/// The reason why a call cannot be sent.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// The quota has no room.
    Excess(Excess),
    /// The engine did not tell what is used.
    Unknown(Trouble),
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

/// The right to send a call that takes a part of a quota. No other call of the profile is counted
/// while it lasts.
#[derive(Debug)]
pub(crate) struct QuotaHold {
    ledger: Arc<Ledger>,
    /// The part that the call takes; `None` once it is settled.
    taken: Option<(Usage, Option<String>)>,
    is_sent: bool,
    _turn: OwnedMutexGuard<()>,
}

impl Quotas {
    /// Waits for the profile's turn, and checks that its quota has room for a claim.
    ///
    /// # Errors
    /// The quota has no room, or what is used cannot be counted.
    pub(crate) async fn hold(
        &self,
        claim: &Claim,
        profile: &str,
        backend: &Backend,
    ) -> Result<Box<QuotaHold>, NoRoom> {
        let ledger = self.ledger(profile);
        let turn = timeout(TURN_DEADLINE, Arc::clone(&ledger.turn).lock_owned())
            .await
            .map_err(|_| NoRoom::Unknown(Trouble::Busy("the count of the quota".to_owned())))?;
        let (unsettled, started) = ledger.unsettled();
        let used = count_usage(claim, &Owner::profile(profile), &started, backend)
            .await
            .map_err(NoRoom::Unknown)?;
        claim.check(&(used + unsettled)).map_err(NoRoom::Excess)?;
        Ok(Box::new(QuotaHold {
            ledger,
            taken: Some((claim.usage, claim.starts.clone())),
            is_sent: false,
            _turn: turn,
        }))
    }

    /// Returns the ledger of a profile. Ledgers of profiles that no longer exist are forgotten.
    fn ledger(&self, profile: &str) -> Arc<Ledger> {
        let mut ledgers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.retain(|_, ledger| Arc::strong_count(ledger) > 1 || ledger.remembers());
        Arc::clone(ledgers.entry(profile.to_owned()).or_default())
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Vec<Unsettled>> {
        let mut unsettled = self
            .unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        unsettled.retain(|one| one.until > now);
        unsettled
    }

    fn remembers(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Returns the usage of unsettled calls, and the commands that calls have started lately.
    fn unsettled(&self) -> (Usage, Vec<String>) {
        let unsettled = self.lock();
        let usage = unsettled
            .iter()
            .fold(Usage::default(), |sum, one| sum + one.usage);
        let started = unsettled.iter().filter_map(|one| one.starts.clone());
        (usage, started.collect())
    }

    fn remember(&self, usage: Usage, starts: Option<String>) {
        let mut unsettled = self.lock();
        if unsettled.len() >= REMEMBERED {
            unsettled.remove(0);
        }
        // The engine is asked about a command by its identifier.
        let usage = match starts {
            Some(_) => Usage::default(),
            None => usage,
        };
        unsettled.push(Unsettled {
            usage,
            starts,
            until: Instant::now() + UNSETTLED,
        });
    }
}

impl QuotaHold {
    /// Notes that the engine may do what the call asks for from now on.
    pub(crate) fn note_sent(&mut self) {
        self.is_sent = true;
    }

    /// Ends the hold with the engine's answer: what the call takes is in the engine's lists now. A
    /// command may be reported as running a moment later.
    pub(crate) fn settle(mut self, is_done: bool) {
        if let Some((usage, starts @ Some(_))) = self.taken.take()
            && is_done
        {
            self.ledger.remember(usage, starts);
        }
    }
}

impl Drop for QuotaHold {
    fn drop(&mut self) {
        if let Some((usage, starts)) = self.taken.take()
            && self.is_sent
        {
            self.ledger.remember(usage, starts);
        }
    }
}
