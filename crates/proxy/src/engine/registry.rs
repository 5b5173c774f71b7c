//! The registry of the containers, which finds the container behind a connection.
//!
//! A list of the running containers serves all clients until an event may have changed one. Both
//! lists and events may be late:
//! - A container that was found in an older list is inspected. Otherwise, a container with the
//!   address of a removed one would pass for that one, and a renamed one would keep the rights of
//!   its old name.
//! - A list that is younger than the connection is settled with the engine's own buffer of events.
//!   It tells whether the container joined its network after the connection was there, in which
//!   case another one opened the connection; and whether a container that is not listed yet has an
//!   address, in which case the list says nothing of addresses that it does not know.
//!
//! Each answer follows from the times of the connection, of the list and of the joins; none depends
//! on when an event arrives.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use cetusguard_policy::{Container, Profiles};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::EngineError;
use super::events::{self, News};
use super::joins::Joins;
use super::list::{self, AddressEntry, Listed};
use crate::engine::backend::Backend;

/// The time that finding the container behind a connection may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The time that a client waits while a container that may be the client is not listed yet.
const GRACE: Duration = Duration::from_secs(2);
/// The time between two lists in the meantime; an event brings the next one forward.
const LOOK: Duration = Duration::from_millis(50);
/// The age from which on a list is asked for again without an event, since one may be lost.
const AGE: Duration = Duration::from_secs(10);

/// The time before a connection from which on the engine's buffer of events is asked as well, so
/// that the answer serves the connections that were opened a little earlier.
const SHARED: Duration = Duration::from_secs(1);

/// The containers, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    state: Mutex<RegistryState>,
    /// Counts the changes after which an address may have another owner.
    epoch: watch::Sender<u64>,
    wanted: watch::Sender<bool>,
    /// `true` if decisions about objects need events as well.
    objects: AtomicBool,
    asked: Notify,
    /// The labels that lists keep: all that selectors ever asked for, so that a request that began
    /// before the configuration was read again still finds those of its time.
    labels: Mutex<Arc<BTreeSet<String>>>,
    /// Held while a list is asked for: the others wait for that one.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// The last answer from the engine's buffer of events. Held while the next one is asked for:
    /// the others wait for that one.
    buffered: tokio::sync::Mutex<Option<Buffered>>,
}

#[derive(Debug, Default)]
struct RegistryState {
    /// The time from which on the engine's events are followed. Without them no list is valid.
    in_step: Option<SystemTime>,
    /// The reason why events are not followed, and its time.
    trouble: Option<(Instant, String)>,
    last: Option<Last>,
    /// The number of lists that were asked for.
    asked_for: u64,
    /// The containers that events were about while a list is under way.
    heard: Option<HashSet<String>>,
    /// The joins of running containers, as far as events reported them.
    joins: Joins,
}

/// The last list.
#[derive(Debug)]
struct Last {
    listed: Listed,
    /// The number of the list among all that were asked for.
    number: u64,
    /// The time at which the list arrived.
    at: SystemTime,
    /// `true` if no event came after the request for the list: later clients can use it, too.
    is_whole: bool,
}

/// The joins in the engine's own buffer of events.
#[derive(Clone, Debug)]
struct Buffered {
    /// The number of a list that had arrived when the buffer was asked.
    number: u64,
    /// The moment around which the buffer was asked.
    moment: SystemTime,
    joins: Arc<Joins>,
}

/// The facts about a connection that decide which container opened it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The address of the client.
    pub(crate) address: IpAddr,
    /// A time at which the connection was not there yet, or had just come.
    pub(crate) arrived: SystemTime,
    /// `true` if this is the first answer about the connection. A connection never changes its
    /// owner: a later answer that differs ends the connection, so that one check is enough.
    pub(crate) is_new: bool,
}

/// The answer to a request for the owner of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionOwner {
    /// The container that opened the connection, if one did.
    pub(crate) container: Option<Arc<Container>>,
    /// The epoch in which this was found.
    pub(crate) epoch: u64,
    /// Another container may have opened the connection and died since, in which case the
    /// connection has ended.
    pub(crate) is_doubtful: bool,
}

/// The reason why the owner of an address is unknown.
#[derive(Debug)]
pub enum Unknown {
    /// Several containers claim the address.
    Contested,
    /// Another container than the one that has the address now opened the connection.
    Other,
    /// A link-local address does not identify a container.
    LinkLocal,
    /// The engine did not answer, for this reason.
    Untold(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contested => f.write_str(
                "several containers claim this client's address; give it a socket of \
                    its own",
            ),
            Self::Other => f.write_str(
                "the container that opened this connection no longer has its address; \
                    connect again",
            ),
            Self::LinkLocal => f.write_str(
                "a link-local address does not tell which container is calling; \
                    connect to another address",
            ),
            Self::Untold(why) => write!(
                f,
                "the engine does not say which container is calling: \
                {why}; try again"
            ),
        }
    }
}

impl std::error::Error for Unknown {}

impl Containers {
    /// Starts to follow the containers if a profile selects by container. Until then the engine is
    /// not asked.
    pub(crate) fn want(&self, profiles: &Profiles) {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let added: Vec<&str> = profiles
            .selecting_labels()
            .filter(|key| !labels.contains(*key))
            .collect();
        if !added.is_empty() {
            *labels = Arc::new(
                labels
                    .iter()
                    .map(String::as_str)
                    .chain(added)
                    .map(str::to_owned)
                    .collect(),
            );
            // The list was kept without the new labels.
            self.change_state(|state| state.last = None);
        }
        self.wanted
            .send_replace(profiles.by_container() || self.objects.load(Relaxed));
    }

    /// Asks for events for the sake of decisions about objects, from now on.
    pub(super) fn want_for_objects(&self) {
        if !self.objects.swap(true, Relaxed) {
            self.wanted.send_replace(true);
        }
    }

    /// Returns whether the engine's events are followed: earlier answers are valid until an event
    /// is about their object.
    pub(super) fn is_in_step(&self) -> bool {
        self.lock().in_step.is_some()
    }

    /// Returns the reason why the engine's events are not followed although profiles or decisions
    /// need them.
    pub(crate) fn missing_events(&self) -> Option<String> {
        let state = self.lock();
        if !*self.wanted.borrow() || state.in_step.is_some() {
            return None;
        }
        let why = state.trouble.as_ref().map(|(_, why)| why.clone());
        Some(why.unwrap_or_else(|| "they are not followed yet".to_owned()))
    }

    /// Waits until a profile or a decision needs events.
    pub(super) async fn wait_until_wanted(&self) {
        // The sender lives as long as `self`.
        let _ = self.wanted.subscribe().wait_for(|wanted| *wanted).await;
    }

    /// Waits until a client asks while no events are followed.
    pub(super) async fn wait_until_asked(&self) {
        self.asked.notified().await;
    }

    /// Returns the number of changes so far: answers from before the last one are in doubt.
    pub(crate) fn epoch(&self) -> u64 {
        *self.epoch.borrow()
    }

    /// Finds the container that has the address of a connection, and had it when the connection was
    /// opened.
    ///
    /// # Errors
    /// The owner is unknown.
    pub(crate) async fn behind(
        self: &Arc<Self>,
        origin: Origin,
        backend: &Arc<Backend>,
    ) -> Result<ConnectionOwner, Unknown> {
        match timeout(LIMIT, self.find(origin, backend)).await {
            Ok(found) => found,
            Err(_) => {
                let why = self.lock().trouble.as_ref().map(|(_, why)| why.clone());
                Err(Unknown::Untold(
                    why.unwrap_or_else(|| "it did not answer in time".to_owned()),
                ))
            }
        }
    }

    async fn find(
        self: &Arc<Self>,
        origin: Origin,
        backend: &Arc<Backend>,
    ) -> Result<ConnectionOwner, Unknown> {
        let untold = |trouble: EngineError| Unknown::Untold(trouble.to_string());
        let mut epoch = self.epoch.subscribe();
        let mut asked = OwnerRequest {
            origin,
            called: SystemTime::now(),
            fresh: self.lock().asked_for + 1,
            buffered: None,
        };
        let came = Instant::now();
        loop {
            let seen = *epoch.borrow_and_update();
            let look = self.lock().look(&asked, came);
            match look {
                AddressAnswer::Found(container) => return Ok(self.owner(container, seen, &asked)),
                AddressAnswer::Failed(unknown) => return Err(unknown),
                AddressAnswer::Inspect(container) => {
                    if list::is_still(&container, origin.address, backend)
                        .await
                        .map_err(untold)?
                    {
                        return Ok(self.owner(Some(container), seen, &asked));
                    }
                    self.lock().doubt(&container.id);
                }
                AddressAnswer::Settle(number) => {
                    let buffered = self.ask_buffer(number, origin.arrived, backend);
                    asked.buffered = Some(buffered.await.map_err(untold)?);
                }
                AddressAnswer::Missing if came.elapsed() < GRACE => {
                    let _ = timeout(LOOK, epoch.changed()).await;
                    asked.fresh = self.lock().asked_for + 1;
                    asked.buffered = None;
                }
                // A refusal is safer than the rights of another client.
                AddressAnswer::Missing => {
                    return Err(Unknown::Untold(
                        "a container is starting and is not listed yet".to_owned(),
                    ));
                }
                AddressAnswer::OutOfStep => {
                    self.asked.notify_one();
                    let _ = epoch.changed().await;
                }
                AddressAnswer::Ask(number) => {
                    asked.fresh = number;
                    self.ask(number, backend).await.map_err(untold)?;
                }
            }
        }
    }

    fn owner(
        &self,
        container: Option<Arc<Container>>,
        epoch: u64,
        asked: &OwnerRequest,
    ) -> ConnectionOwner {
        let arrived = asked.origin.arrived;
        let is_unwatched = self.lock().in_step.is_none_or(|from| from > arrived);
        // A container that was never listed leaves no other trace.
        let has_any_ended = asked
            .buffered
            .as_ref()
            .is_some_and(|buffered| buffered.joins.has_any_ended_since(arrived));
        ConnectionOwner {
            is_doubtful: is_unwatched || container.is_none() && has_any_ended,
            container,
            epoch,
        }
    }

    /// Asks for a list, or waits for one that another client has asked for since. The list is read
    /// to its end even if its client is gone, for the next one to use. Its deadline ends the wait
    /// for an engine that never answers.
    async fn ask(self: &Arc<Self>, fresh: u64, backend: &Arc<Backend>) -> Result<(), EngineError> {
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
            let labels = Arc::clone(&own.labels.lock().unwrap_or_else(PoisonError::into_inner));
            let listed = list::fetch_list(&backend, &labels).await?;
            // Checked under both locks, because a list without labels that are needed by now is
            // invalid.
            let wanted = own.labels.lock().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&labels, &wanted) {
                own.lock().take(listed, number);
            }
            drop(wanted);
            drop(turn);
            Ok(())
        });
        asking
            .await
            .unwrap_or_else(|error| Err(EngineError::Answer(error.to_string())))
    }

    /// Asks for the joins around a moment in the engine's own buffer of events, after the list of
    /// this number has arrived; or waits for an answer that another client has asked for since. The
    /// answer has the labels of every container that started or ended, of which a client may write
    /// megabytes.
    async fn ask_buffer(
        &self,
        number: u64,
        moment: SystemTime,
        backend: &Backend,
    ) -> Result<Buffered, EngineError> {
        let mut last = self.buffered.lock().await;
        if let Some(known) = &*last
            && known.number >= number
            && known.moment <= moment
        {
            return Ok(known.clone());
        }
        let arrived = self.lock().last.as_ref().map(|list| list.number);
        let moment = moment.checked_sub(SHARED).unwrap_or(moment);
        let joins = Arc::new(events::joins_around(moment, backend).await?);
        let buffered = Buffered {
            number: arrived.unwrap_or_default().max(number),
            moment,
            joins,
        };
        *last = Some(buffered.clone());
        Ok(buffered)
    }

    /// Notes that the engine's events are followed from this time on.
    pub(super) fn note_events_followed(&self, from: SystemTime) {
        self.change_state(|state| {
            *state = RegistryState {
                in_step: Some(from),
                asked_for: state.asked_for,
                ..RegistryState::default()
            };
        });
    }

    /// Notes that the engine's events are not followed any more.
    pub(super) fn note_events_lost(&self, why: &EngineError) {
        let trouble = Some((Instant::now(), why.to_string()));
        self.change_state(|state| {
            *state = RegistryState {
                trouble,
                asked_for: state.asked_for,
                ..RegistryState::default()
            }
        });
    }

    /// Takes in an event that the engine delivers.
    pub(super) fn apply_event(&self, news: &News) {
        let Some(container) = news.container() else {
            return;
        };
        self.change_state(|state| {
            state.joins.fold(news);
            state.doubt(container);
        });
    }

    /// Changes the state, and wakes all clients that wait for that.
    fn change_state(&self, change: impl FnOnce(&mut RegistryState)) {
        let mut state = self.lock();
        change(&mut state);
        // Sent under the lock, so that a reader of the change sees its epoch.
        self.epoch.send_modify(|epoch| *epoch += 1);
        drop(state);
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request for the owner of a connection.
struct OwnerRequest {
    origin: Origin,
    /// A time before which the client had called.
    called: SystemTime,
    /// The number of the first list that was requested after that.
    fresh: u64,
    /// The joins in the engine's own buffer.
    buffered: Option<Buffered>,
}

/// The answer about an address at one moment.
enum AddressAnswer {
    /// This container has the address, or none.
    Found(Option<Arc<Container>>),
    /// This container has the address by an older list: only the engine can confirm it.
    Inspect(Arc<Container>),
    /// A list of this number or a later one is needed.
    Ask(u64),
    /// The engine's own buffer of events is needed, asked after the list of this number.
    Settle(u64),
    /// The list has no container with the address, and it lacks a container that may have
    /// connected.
    Missing,
    /// No list is valid before the engine's events are followed.
    OutOfStep,
    /// The owner is unknown.
    Failed(Unknown),
}

impl RegistryState {
    /// Looks an address up. For an address without an entry, a list is valid only if it was
    /// requested after the client connected. For other addresses, a list is valid until the next
    /// event; a long list is valid until the next event about their container.
    fn look(&self, asked: &OwnerRequest, came: Instant) -> AddressAnswer {
        let OwnerRequest {
            origin,
            called,
            fresh,
            buffered,
        } = asked;
        if self.in_step.is_none() {
            return match &self.trouble {
                Some((since, why)) if *since > came => {
                    AddressAnswer::Failed(Unknown::Untold(why.clone()))
                }
                _ => AddressAnswer::OutOfStep,
            };
        }
        let Some(last) = &self.last else {
            return AddressAnswer::Ask(*fresh);
        };
        let is_own = last.number >= *fresh;
        let is_for_others = last.is_whole || last.listed.is_long();
        let is_for_all = is_for_others && last.at.elapsed().is_ok_and(|age| age < AGE);
        if !(is_own || is_for_all) {
            return AddressAnswer::Ask(*fresh);
        }
        // The owner by a list from before the connection did not join after it.
        let is_older = !is_own && last.at <= origin.arrived;
        // A buffer that was asked before the list lacks the joins in between.
        let is_buffered = buffered
            .as_ref()
            .is_some_and(|buffered| buffered.number >= last.number);
        let is_settled = !origin.is_new || is_older || is_buffered;
        let of_buffer = buffered.as_ref().map(|buffered| &*buffered.joins);
        let mut joins = [Some(&self.joins), of_buffer].into_iter().flatten();
        match last.listed.entry(origin.address) {
            AddressEntry::Doubted => AddressAnswer::Ask(self.asked_for + 1),
            AddressEntry::Contested => AddressAnswer::Failed(Unknown::Contested),
            AddressEntry::Nobody if !is_own => AddressAnswer::Ask(*fresh),
            AddressEntry::Nobody if !origin.is_new => AddressAnswer::Found(None),
            _ if !is_settled => AddressAnswer::Settle(last.number),
            AddressEntry::Nobody
                if joins.any(|joins| joins.is_any_missing(&last.listed, *called)) =>
            {
                AddressAnswer::Missing
            }
            AddressEntry::Nobody => AddressAnswer::Found(None),
            AddressEntry::Is(container)
                if origin.is_new
                    && joins.any(|joins| joins.has_joined_since(&container.id, origin.arrived)) =>
            {
                AddressAnswer::Failed(Unknown::Other)
            }
            AddressEntry::Is(container) if is_own => AddressAnswer::Found(Some(container)),
            AddressEntry::Is(container) => AddressAnswer::Inspect(container),
        }
    }

    /// Marks everything that lists say of a container as doubtful, or of all containers if the
    /// identifier is empty.
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

    /// Takes a list that was asked for, without the containers that events were about in the
    /// meantime: the list may be older or newer than those events.
    fn take(&mut self, mut listed: Listed, number: u64) {
        // Without that set, the events were lost while the list was under way.
        let Some(heard) = self.heard.take().filter(|heard| !heard.contains("")) else {
            return;
        };
        heard.iter().for_each(|id| listed.doubt(id));
        self.last = Some(Last {
            listed,
            number,
            at: SystemTime::now(),
            is_whole: heard.is_empty(),
        });
    }
}
