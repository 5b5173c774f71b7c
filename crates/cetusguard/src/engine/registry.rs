//! Who is behind an address.
//!
//! A list of the running containers is good for all until the engine tells of anything that may change one; then the next who
//! asks gets a new one. A busy engine tells late: so whoever is found in a list that was there before is asked for once more. So a
//! container that is given a dead one's address is never taken for it. Nobody is held for unknown on
//! the word of an older list: a container calls as soon as it lives, and the engine may list it a moment later. And a connection
//! that was there before its address had its owner is not this owner's.

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
use super::list::{self, Entry, Listed};
use crate::backend::Backend;

/// How long finding out who calls may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a client that no list knows waits while containers start: one lives for a moment before it is listed.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked for in the meantime, beside whenever the engine tells of something.
const LOOK: Duration = Duration::from_millis(50);
/// A container that was given an address starts within this time, or not at all.
const START: Duration = Duration::from_secs(30);
/// One that had an address before it was given another is listed with that one within this time.
const JOIN: Duration = Duration::from_secs(1);
/// After this time a list is asked for again, though nothing was heard: an event may be lost.
const AGE: Duration = Duration::from_secs(10);

/// The containers, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    state: Mutex<State>,
    /// Counts everything that may have changed who has which address.
    epoch: watch::Sender<u64>,
    wanted: watch::Sender<bool>,
    asked: Notify,
    /// Held while a list is asked for: the others wait for that one.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Since which epoch the engine's events are followed. Without them no list is good.
    in_step: Option<u64>,
    /// Why they are not, and since when.
    trouble: Option<(Instant, String)>,
    last: Option<Last>,
    /// How many lists were asked for.
    asked_for: u64,
    /// Of whom something was heard while a list is under way.
    heard: Option<HashSet<String>>,
    /// Containers that were given an address, and when, and of which nothing was heard since.
    starting: HashMap<String, Instant>,
    /// When running containers were given an address last, by epoch.
    joined: HashMap<String, u64>,
}

/// The last list.
#[derive(Debug)]
struct Last {
    listed: Listed,
    /// Its number among all that were asked for.
    number: u64,
    at: Instant,
    /// Nothing was heard since it was asked for: it is good for those who come later, too.
    is_whole: bool,
}

/// Why nobody can say who is behind an address.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// Several containers claim it.
    Contested,
    /// Whoever opened the connection is not who has the address now.
    Other,
    /// An address that says nothing of whose it is.
    LinkLocal,
    /// The engine does not tell.
    Untold(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contested => {
                f.write_str("several containers claim this client's address; give it a socket of its own")
            }
            Self::Other => {
                f.write_str("the container that opened this connection no longer has its address; connect again")
            }
            Self::LinkLocal => {
                f.write_str("a link-local address does not tell which container is calling; connect to another address")
            }
            Self::Untold(why) => write!(f, "the engine does not say which container is calling: {why}; try again"),
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

    /// Takes in what the engine has told so far, and counts it.
    ///
    /// A yielding task runs again after the event loop has looked at every socket, and after the tasks that were woken by it.
    pub(crate) async fn catch_up(&self) -> u64 {
        if *self.wanted.borrow() {
            yield_now().await;
        }
        self.epoch()
    }

    /// The container that has this address and had it when the connection was there, which was by epoch `since`. The second is
    /// whether nobody was watching at that time: then who has ended its connection may be another one.
    ///
    /// # Errors
    /// Nobody can say.
    pub(crate) async fn behind(
        self: &Arc<Self>,
        address: IpAddr,
        since: u64,
        backend: &Arc<Backend>,
    ) -> Result<(Option<Arc<Container>>, bool), Unknown> {
        let found = match timeout(LIMIT, self.find(address, backend)).await {
            Ok(found) => found?,
            Err(_) => {
                let why = self.lock().trouble.as_ref().map(|(_, why)| why.clone());
                return Err(Unknown::Untold(why.unwrap_or_else(|| "it did not answer in time".to_owned())));
            }
        };
        let state = self.lock();
        let is_younger =
            found.as_ref().and_then(|container| state.joined.get(&container.id)).is_some_and(|at| *at > since);
        let is_unwatched = state.in_step.is_none_or(|at| at > since);
        if is_younger { Err(Unknown::Other) } else { Ok((found, is_unwatched)) }
    }

    async fn find(
        self: &Arc<Self>,
        address: IpAddr,
        backend: &Arc<Backend>,
    ) -> Result<Option<Arc<Container>>, Unknown> {
        self.catch_up().await;
        let came = Instant::now();
        let mut epoch = self.epoch.subscribe();
        let mut fresh = self.lock().asked_for + 1;
        let (mut is_own_list, mut is_late) = (false, false);
        loop {
            epoch.mark_unchanged();
            let found = self.lock().look(address, fresh, came);
            match found {
                Look::Found(Some(container)) if !is_own_list => {
                    let still = list::still_has(backend, &container.id, address).await;
                    if still.map_err(|trouble| Unknown::Untold(trouble.to_string()))? {
                        return Ok(Some(container));
                    }
                    // Somebody else may have the address already, and not be listed yet.
                    is_late = true;
                    self.lock().doubt(&container.id);
                }
                Look::Found(None) if is_late && came.elapsed() < GRACE => {
                    let _ = timeout(LOOK, epoch.changed()).await;
                    fresh = self.lock().asked_for + 1;
                    self.ask(fresh, backend).await.map_err(|trouble| Unknown::Untold(trouble.to_string()))?;
                }
                Look::Found(container) => return Ok(container),
                Look::Failed(unknown) => return Err(unknown),
                Look::OutOfStep => {
                    self.asked.notify_one();
                    let _ = epoch.changed().await;
                }
                Look::Starting => {
                    let _ = timeout(LOOK, epoch.changed()).await;
                    fresh = self.lock().asked_for + 1;
                }
                Look::Ask(number) => {
                    is_own_list = true;
                    fresh = number;
                    self.ask(fresh, backend).await.map_err(|trouble| Unknown::Untold(trouble.to_string()))?;
                }
            }
        }
    }

    /// Asks for a list, or waits for one that another client has asked for since. The list is read to its end also where its
    /// client is gone, for the next one to use. Its deadline ends the wait for an engine that never answers.
    async fn ask(self: &Arc<Self>, fresh: u64, backend: &Arc<Backend>) -> Result<(), Trouble> {
        let turn = Arc::clone(&self.asking).lock_owned().await;
        let number = {
            let mut state = self.lock();
            if state.last.as_ref().is_some_and(|last| last.number >= fresh) {
                return Ok(());
            }
            state.asked_for += 1;
            state.asked_for
        };
        let (own, backend) = (Arc::clone(self), Arc::clone(backend));
        let asking = tokio::spawn(async move {
            own.lock().heard = Some(HashSet::new());
            let listed = list::ask(&backend).await?;
            own.lock().take(listed, number);
            drop(turn);
            Ok(())
        });
        asking.await.unwrap_or_else(|error| Err(Trouble::Answer(error.to_string())))
    }

    /// The engine's events are followed from here on.
    pub(super) fn found(&self) {
        self.changed(|state, epoch| {
            *state = State { in_step: Some(epoch), asked_for: state.asked_for, ..State::default() };
        });
    }

    /// The engine's events are not followed any more.
    pub(super) fn lost(&self, why: &Trouble) {
        let trouble = Some((Instant::now(), why.to_string()));
        self.changed(|state, _| *state = State { trouble, asked_for: state.asked_for, ..State::default() });
    }

    /// The engine tells of something.
    pub(super) fn happened(&self, news: News) {
        let (id, change): (_, fn(&mut State, &str, u64)) = match news {
            News::Nothing => return,
            News::Starts(id) => (id, |state, id, epoch| {
                state.starting.retain(|_, since| since.elapsed() < START);
                state.starting.insert(id.to_owned(), Instant::now());
                state.joined.insert(id.to_owned(), epoch);
            }),
            News::Changed(id) => (id, |state, id, _| {
                state.starting.remove(id);
            }),
            News::Ended(id) => (id, |state, id, _| {
                state.starting.remove(id);
                state.joined.remove(id);
            }),
        };
        self.changed(|state, epoch| {
            change(state, &id, epoch);
            state.doubt(&id);
        });
    }

    /// Changes the state, and tells everybody who waits for that. The change gets the number of its epoch.
    fn changed(&self, change: impl FnOnce(&mut State, u64)) {
        let mut state = self.lock();
        change(&mut state, self.epoch() + 1);
        // Under the lock: who sees the change sees its epoch.
        self.epoch.send_modify(|epoch| *epoch += 1);
        drop(state);
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
    /// Only a list of this number or a later one can tell.
    Ask(u64),
    /// Nobody has it, and some container is about to be listed.
    Starting,
    /// No list is good before the engine's events are followed.
    OutOfStep,
    /// Nobody can tell.
    Failed(Unknown),
}

impl State {
    /// Looks an address up. A list answers for those whom it does not know only if it was asked for since they came, and for all
    /// others only while nothing was heard since.
    fn look(&self, address: IpAddr, fresh: u64, came: Instant) -> Look {
        if self.in_step.is_none() {
            return match &self.trouble {
                Some((since, why)) if *since > came => Look::Failed(Unknown::Untold(why.clone())),
                _ => Look::OutOfStep,
            };
        }
        let Some(last) = &self.last else { return Look::Ask(fresh) };
        let is_own = last.number >= fresh;
        let is_for_all = last.is_whole && last.at.elapsed() < AGE;
        if !(is_own || is_for_all) {
            return Look::Ask(fresh);
        }
        match last.listed.entry(address) {
            Entry::Is(container) => Look::Found(Some(container)),
            Entry::Contested => Look::Failed(Unknown::Contested),
            Entry::Doubted => Look::Ask(self.asked_for + 1),
            Entry::Nobody if !is_own => Look::Ask(fresh),
            Entry::Nobody if !self.is_any_starting(&last.listed.addressed) => Look::Found(None),
            Entry::Nobody if came.elapsed() < GRACE => Look::Starting,
            // Rather nobody than somebody with other rights.
            Entry::Nobody => Look::Failed(Unknown::Untold("a container is starting and is not listed yet".to_owned())),
        }
    }

    fn is_any_starting(&self, addressed: &HashSet<String>) -> bool {
        let is_late =
            |id: &String, since: &Instant| since.elapsed() > if addressed.contains(id) { JOIN } else { START };
        self.starting.iter().any(|(id, since)| !is_late(id, since))
    }

    /// Something was heard of this container, or of nobody knows whom.
    fn doubt(&mut self, id: &str) {
        if let Some(heard) = &mut self.heard {
            heard.insert(id.to_owned());
        }
        match &mut self.last {
            Some(last) if !id.is_empty() => {
                last.is_whole = false;
                last.listed.doubt(id);
            }
            last => *last = None,
        }
    }

    /// Takes a list that was asked for, but for what was heard in the meantime: that may be in it or not.
    fn take(&mut self, mut listed: Listed, number: u64) {
        // Without that set, the events were lost while it was under way.
        let Some(heard) = self.heard.take().filter(|heard| !heard.contains("")) else { return };
        heard.iter().for_each(|id| listed.doubt(id));
        self.last = Some(Last { listed, number, at: Instant::now(), is_whole: heard.is_empty() });
    }
}
