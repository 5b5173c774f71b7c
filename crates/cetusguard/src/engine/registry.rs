//! Who is behind an address.
//!
//! A list of the running containers is good until the engine tells of anything that may change one; then the next who asks
//! gets a new one. So a container that is given a dead one's address is never taken for it. Nobody is held for unknown on the
//! word of an older list: a container calls as soon as it lives, and the engine may list it a moment later.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Container;
use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Trouble;
use super::events::News;
use super::list::{self, Listed};
use crate::backend::Backend;

/// How long finding out who calls may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a client that no list knows waits while containers start: one lives for a moment before it is listed.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked for in the meantime, beside whenever the engine tells of something.
const LOOK: Duration = Duration::from_millis(50);
/// A container that was given an address starts within this time, or not at all.
const START: Duration = Duration::from_secs(60);
/// One that ran before it was given another address is listed with that one within this time.
const JOIN: Duration = Duration::from_secs(1);

/// The containers, as far as they are known.
#[derive(Debug)]
pub(crate) struct Containers {
    state: Mutex<State>,
    /// Counts everything that may have changed who has which address.
    epoch: watch::Sender<u64>,
    wanted: watch::Sender<bool>,
    asked: Notify,
    /// Held by whoever asks for a list: the others wait for that one.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the engine's events are followed. Without them no list is good.
    in_step: bool,
    /// Why they are not, and since when.
    trouble: Option<(Instant, String)>,
    /// The last list, unless something has happened since.
    listed: Option<Listed>,
    /// How many lists were asked for.
    asked_for: u64,
    /// Containers that were given an address, and when, and of which nothing was heard since.
    starting: HashMap<String, Instant>,
}

/// Why nobody can say who is behind an address.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// Several containers claim it.
    Contested,
    /// The engine does not tell.
    Untold(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contested => {
                f.write_str("several containers claim this client's address; give it a socket of its own")
            }
            Self::Untold(why) => write!(f, "the engine does not say which container is calling: {why}; try again"),
        }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            epoch: watch::Sender::new(0),
            wanted: watch::Sender::new(false),
            asked: Notify::new(),
            asking: tokio::sync::Mutex::default(),
        }
    }
}

impl Containers {
    /// Whether anybody needs to know. Nothing is asked of the engine before.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.send_replace(wanted);
    }

    /// Waits until somebody needs to know.
    pub(super) async fn wanted(&self) {
        // The sender is ours: it lives as long as we do.
        let _ = self.wanted.subscribe().wait_for(|wanted| *wanted).await;
    }

    /// Waits until somebody asks while nothing is known.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The number of changes so far: what was found out before the last one is in doubt.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// The container that has this address, if any has.
    ///
    /// # Errors
    /// Nobody can say.
    pub(crate) async fn behind(&self, address: IpAddr, backend: &Backend) -> Result<Option<Arc<Container>>, Unknown> {
        match timeout(LIMIT, self.find(address, backend)).await {
            Ok(found) => found,
            Err(_) => {
                let why = self.lock().trouble.as_ref().map(|(_, why)| why.clone());
                Err(Unknown::Untold(why.unwrap_or_else(|| "it did not answer in time".to_owned())))
            }
        }
    }

    async fn find(&self, address: IpAddr, backend: &Backend) -> Result<Option<Arc<Container>>, Unknown> {
        // Events that have arrived before the request come first: a yielding task runs again after the event loop has looked at
        // every socket, and after the tasks that were woken by it.
        yield_now().await;
        let came = Instant::now();
        let mut epoch = self.epoch.subscribe();
        let mut fresh = self.lock().asked_for + 1;
        loop {
            epoch.mark_unchanged();
            let found = self.lock().look(address, fresh, came);
            match found {
                Look::Found(container) => return Ok(container),
                Look::Contested => return Err(Unknown::Contested),
                Look::Failed(why) => return Err(Unknown::Untold(why)),
                Look::OutOfStep => {
                    self.asked.notify_one();
                    let _ = epoch.changed().await;
                }
                Look::Starting => {
                    let _ = timeout(LOOK, epoch.changed()).await;
                    fresh = self.lock().asked_for + 1;
                }
                Look::Ask => self.ask(fresh, backend).await.map_err(|trouble| Unknown::Untold(trouble.to_string()))?,
            }
        }
    }

    /// Asks for a list, or waits for one that somebody else has asked for since.
    async fn ask(&self, fresh: u64, backend: &Backend) -> Result<(), Trouble> {
        let _turn = self.asking.lock().await;
        let (number, epoch) = {
            let mut state = self.lock();
            if state.listed.as_ref().is_some_and(|listed| listed.number >= fresh) {
                return Ok(());
            }
            state.asked_for += 1;
            (state.asked_for, self.epoch())
        };
        let listed = Listed { number, ..list::ask(backend).await? };
        let mut state = self.lock();
        // What has happened in the meantime may be in it or not.
        if state.in_step && self.epoch() == epoch {
            state.listed = Some(listed);
        }
        Ok(())
    }

    /// The engine's events are followed from here on.
    pub(super) fn found(&self) {
        let mut state = self.lock();
        *state = State { in_step: true, asked_for: state.asked_for, ..State::default() };
        drop(state);
        self.changed();
    }

    /// The engine's events are not followed any more.
    pub(super) fn lost(&self, why: &Trouble) {
        let mut state = self.lock();
        let trouble = Some((Instant::now(), why.to_string()));
        *state = State { trouble, asked_for: state.asked_for, ..State::default() };
        drop(state);
        self.changed();
    }

    /// The engine tells of something.
    pub(super) fn happened(&self, news: News) {
        let mut state = self.lock();
        match news {
            News::Nothing => return,
            News::Starts(id) => {
                state.starting.retain(|_, since| since.elapsed() < START);
                state.starting.insert(id, Instant::now());
            }
            News::Changed(id) => {
                state.starting.remove(&id);
            }
        }
        state.listed = None;
        drop(state);
        self.changed();
    }

    fn changed(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of an address at this moment.
enum Look {
    /// Who has it.
    Found(Option<Arc<Container>>),
    /// Several have it.
    Contested,
    /// Only a new list can tell.
    Ask,
    /// Nobody has it, and some container is about to be listed.
    Starting,
    /// No list is good before the engine's events are followed.
    OutOfStep,
    /// They cannot be followed.
    Failed(String),
}

impl State {
    /// Looks an address up. A list answers for those whom it does not know only if it was asked for since they came.
    fn look(&self, address: IpAddr, fresh: u64, came: Instant) -> Look {
        if !self.in_step {
            return match &self.trouble {
                Some((since, why)) if *since > came => Look::Failed(why.clone()),
                _ => Look::OutOfStep,
            };
        }
        let Some(listed) = &self.listed else { return Look::Ask };
        match listed.addresses.get(&address) {
            Some(Some(container)) => Look::Found(Some(Arc::clone(container))),
            Some(None) => Look::Contested,
            None if listed.number < fresh => Look::Ask,
            None if came.elapsed() < GRACE && self.is_any_starting(&listed.running) => Look::Starting,
            None => Look::Found(None),
        }
    }

    fn is_any_starting(&self, running: &HashSet<String>) -> bool {
        let is_late = |id: &String, since: &Instant| since.elapsed() > if running.contains(id) { JOIN } else { START };
        self.starting.iter().any(|(id, since)| !is_late(id, since))
    }
}
