//! Shares: the part of each common resource that one client may hold, so that no client keeps the
//! others out.
//!
//! A client here is the principal at the time of the accept: the subject of its profile's selector
//! on a Unix socket, else its address.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cetusguard_config::meant::ClientBound;
use cetusguard_policy::LimitSubject;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use crate::limits::budget::{AllBodies, BodyBudget, ClientBodies};
use crate::telemetry::tallies::{DueTally, Occurrence, Tallies};

/// Connections within their client's share that may wait for a place at a time.
pub(crate) const WAITING: usize = 32;
/// Connections without a place that are answered at a time: from this machine, and from others. One
/// more ends the oldest.
pub(crate) const UNPLACED: usize = 16;
/// Questions to the engine about objects that one client may cause at a time: a quarter of all.
const LOOKUPS: usize = 8;
/// Containers whose whole settings may be in memory for one client at a time: half of all.
const INSPECTIONS: usize = 2;
/// A quarter (1/`RESERVED`) of the exchanges is reserved for clients with fewer than `FEW`.
const RESERVED: usize = 4;
const FEW: usize = 4;
/// Descriptors of a connection with a place: the client's socket and the engine's, and a duplicate
/// of each that is a Unix socket on which a write has to wait (`unix.rs` of `cetusguard-http1`).
const FILES_PER_CONNECTION: usize = 4;
/// Descriptors beside those of connections with a place: connections without one, kept connections
/// to the engine, the proxy's own requests, and the files of any program.
const OTHER_FILES: usize = WAITING + 2 * UNPLACED + 128;

/// Returns the number of open files that so many connections need.
pub fn open_files(connections: usize) -> u64 {
    (FILES_PER_CONNECTION * connections + OTHER_FILES) as u64
}

/// Returns the number of connections that so many open files allow; at least one.
pub(crate) fn fitting(connections: usize, open_files: u64) -> usize {
    let files = usize::try_from(open_files).unwrap_or(usize::MAX);
    connections
        .min(files.saturating_sub(OTHER_FILES) / FILES_PER_CONNECTION)
        .max(1)
}

/// The places of all clients, with the share of each.
#[derive(Debug)]
pub(crate) struct Shares {
    /// The number of all places, taken or not.
    connections: usize,
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Every client that has a connection.
    clients: Mutex<HashMap<LimitSubject, Arc<ClientShare>>>,
    unplaced: Mutex<[VecDeque<AbortHandle>; 2]>,
    tallies: Tallies<LimitSubject>,
    /// Connections that were refused since the start.
    refused: AtomicU64,
    bodies: Arc<AllBodies>,
    /// Exchanges with the engine that fit into the memory, if that is bounded.
    exchanges: Option<usize>,
    exchanges_left: Arc<Semaphore>,
}

/// The right to an exchange with the engine; given back when dropped.
#[derive(Debug)]
pub(crate) struct ExchangeSlot {
    /// Its client, and its place among all; none where memory is not bounded.
    _counted: Option<(CountedExchange, OwnedSemaphorePermit)>,
}

#[derive(Debug)]
struct CountedExchange(Arc<ClientShare>);

/// The share of one client, for as long as it has a connection.
#[derive(Debug)]
pub(crate) struct ClientShare {
    counts: Mutex<ShareCounts>,
    bodies: Arc<ClientBodies>,
    lookups: Semaphore,
    inspections: Arc<Semaphore>,
    large_answers: Semaphore,
    quota_turns: Semaphore,
}

impl Default for ClientShare {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            bodies: Arc::default(),
            lookups: Semaphore::new(LOOKUPS),
            inspections: Arc::new(Semaphore::new(INSPECTIONS)),
            large_answers: Semaphore::new(1),
            quota_turns: Semaphore::new(1),
        }
    }
}

/// The use of a client's share at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShareInUse {
    /// Connections that have a place or wait for one.
    pub(crate) connections: usize,
    /// Exchanges with the engine; not counted where memory is not bounded.
    pub(crate) exchanges: usize,
    /// Memory that bodies hold, in bytes, and the most that they may hold.
    pub(crate) body_bytes: usize,
    pub(crate) body_bytes_limit: usize,
}

impl ClientShare {
    /// Returns how much of the share is in use.
    pub(crate) fn in_use(&self) -> ShareInUse {
        let counts = lock(&self.counts);
        ShareInUse {
            connections: counts.connections,
            exchanges: counts.exchanges,
            body_bytes: self.bodies.in_use(),
            body_bytes_limit: ClientBodies::LIMIT,
        }
    }

    /// Waits for a turn to ask the engine about an object.
    pub(crate) async fn lookup_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.lookups.acquire().await.ok()
    }

    /// Waits until an answer with large elements may be in memory for the client.
    pub(crate) async fn large_answer_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.large_answers.acquire().await.ok()
    }

    /// Waits for the client's turn to be counted against the quota of its profile. Of each client, one
    /// call waits for the turn of the profile.
    pub(crate) async fn quota_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.quota_turns.acquire().await.ok()
    }

    /// Waits until the whole settings of a container may be in memory for the client.
    pub(crate) async fn inspection_turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.inspections).acquire_owned().await.ok()
    }
}

#[derive(Debug, Default)]
struct ShareCounts {
    /// All connections, also those that are only told that they are too many.
    members: usize,
    /// Connections that have a place or wait for one.
    connections: usize,
    /// Connections among these whose profile is known and has room for them.
    confirmed: usize,
    exchanges: usize,
}

/// Returns the bound that leaves no room for another connection.
fn reached(bound: ClientBound, counts: &ShareCounts) -> Option<usize> {
    let unconfirmed = counts.connections - counts.confirmed;
    bound
        .total
        .filter(|total| counts.connections >= *total)
        .or(bound.unconfirmed.filter(|bound| unconfirmed >= *bound))
}

/// The bound that keeps a connection from getting a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Its client has as many connections as this.
    Client(usize),
    /// All clients together have as many as they may.
    Total,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(limit) => write!(
                f,
                "this client has {limit} connections, as many as it may; close one, or raise \
                max-connections-per-client"
            ),
            Self::Total => f.write_str(
                "the proxy has as many connections as it may; try again, or raise max-connections \
                and the limit of open files",
            ),
        }
    }
}

impl std::error::Error for Full {}

/// A connection's place among all others, or its substitute for one.
#[derive(Debug)]
pub(crate) struct Admission {
    standing: Standing,
    member: CountedConnection,
}

#[derive(Debug)]
enum Standing {
    Placed { _place: OwnedSemaphorePermit },
    Waiting { _turn: OwnedSemaphorePermit },
    Refused(Full),
}

/// A connection that counts for its client until it is dropped.
#[derive(Debug)]
struct CountedConnection {
    shares: Arc<Shares>,
    subject: LimitSubject,
    client: Arc<ClientShare>,
    has_share: bool,
    /// The connection counts among those whose profile is known.
    is_confirmed: bool,
}

/// The use of the shared resources at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharesInUse {
    /// Connections that have a place.
    pub(crate) connections: usize,
    /// Places.
    pub(crate) connections_limit: usize,
    /// Connections that wait for a place.
    pub(crate) waiting: usize,
    /// Connections that were refused since the start.
    pub(crate) refused: u64,
    /// Exchanges with the engine that are under way, and their limit; `None` without a limit, in
    /// which case they are not counted.
    pub(crate) exchanges: Option<(usize, usize)>,
    /// Memory that bodies hold, in bytes.
    pub(crate) body_bytes: usize,
    /// The most memory that bodies may hold, in bytes.
    pub(crate) body_bytes_limit: usize,
}

impl Shares {
    /// Places for so many connections, and for so many exchanges with the engine.
    pub(crate) fn new(places: usize, exchanges: Option<usize>) -> Self {
        Self {
            connections: places,
            places: Arc::new(Semaphore::new(places)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            clients: Mutex::default(),
            unplaced: Mutex::default(),
            tallies: Tallies::default(),
            refused: AtomicU64::new(0),
            bodies: Arc::default(),
            exchanges,
            exchanges_left: Arc::new(Semaphore::new(exchanges.unwrap_or_default())),
        }
    }

    /// Returns how much of the shared resources is in use.
    pub(crate) fn in_use(&self) -> SharesInUse {
        let exchanges = self
            .exchanges
            .map(|total| (total - self.exchanges_left.available_permits(), total));
        SharesInUse {
            connections: self.connections - self.places.available_permits(),
            connections_limit: self.connections,
            waiting: WAITING - self.waiting.available_permits(),
            refused: self.refused.load(Relaxed),
            exchanges,
            body_bytes: self.bodies.in_use(),
            body_bytes_limit: AllBodies::LIMIT,
        }
    }

    /// Returns the most exchanges that one client may have; `None` without a limit.
    pub(crate) fn exchanges_of_client(&self) -> Option<usize> {
        self.exchanges.map(|total| (total / 2).max(1))
    }

    /// Takes the right to one more exchange of a client. Returns `None` if all are taken, if the
    /// client has half of all, or if only the reserved ones are left and it has `FEW` or more.
    pub(crate) fn begin_exchange(&self, client: &Arc<ClientShare>) -> Option<ExchangeSlot> {
        let (Some(total), Some(most)) = (self.exchanges, self.exchanges_of_client()) else {
            return Some(ExchangeSlot { _counted: None });
        };
        let mut counts = lock(&client.counts);
        let is_reserved =
            counts.exchanges >= FEW && self.exchanges_left.available_permits() <= total / RESERVED;
        if is_reserved || counts.exchanges >= most {
            return None;
        }
        let place = Arc::clone(&self.exchanges_left).try_acquire_owned().ok()?;
        counts.exchanges += 1;
        drop(counts);
        Some(ExchangeSlot {
            _counted: Some((CountedExchange(Arc::clone(client)), place)),
        })
    }

    /// Finds a place for a new connection of a client. Never waits.
    pub(crate) fn admit(self: &Arc<Self>, subject: LimitSubject, bound: ClientBound) -> Admission {
        let mut clients = lock(&self.clients);
        let client = Arc::clone(clients.entry(subject.clone()).or_default());
        let mut counts = lock(&client.counts);
        counts.members += 1;
        let standing = match reached(bound, &counts) {
            Some(limit) => Standing::Refused(Full::Client(limit)),
            None => match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => Standing::Placed { _place: place },
                Err(_) => match Arc::clone(&self.waiting).try_acquire_owned() {
                    Ok(turn) => Standing::Waiting { _turn: turn },
                    Err(_) => Standing::Refused(Full::Total),
                },
            },
        };
        let has_share = !matches!(standing, Standing::Refused(_));
        counts.connections += usize::from(has_share);
        drop(counts);
        drop(clients);
        Admission {
            standing,
            member: CountedConnection {
                shares: Arc::clone(self),
                subject,
                client,
                has_share,
                is_confirmed: false,
            },
        }
    }

    /// Bounds the connections without a place: keeps the newest ones, and ends the task of the
    /// oldest. A health check sends its request at once, and so is answered before others can end
    /// it.
    pub(crate) fn keep_unplaced(&self, is_local: bool, task: AbortHandle) {
        let mut unplaced = lock(&self.unplaced);
        let tasks = &mut unplaced[usize::from(is_local)];
        tasks.retain(|task| !task.is_finished());
        if tasks.len() >= UNPLACED
            && let Some(oldest) = tasks.pop_front()
        {
            oldest.abort();
        }
        tasks.push_back(task);
    }

    /// Counts a refused connection. Returns the record for the log, if one is due.
    pub(crate) fn note_refusal(
        &self,
        admission: &Admission,
        peer: &Arc<str>,
    ) -> Option<DueTally<LimitSubject>> {
        self.refused.fetch_add(1, Relaxed);
        let event = Occurrence {
            peer: Arc::clone(peer),
            detail: String::new(),
        };
        self.tallies.note(admission.member.subject.clone(), event)
    }

    /// Returns the refusals that were not logged for a while.
    pub(crate) fn unlogged_refusals(&self) -> Vec<DueTally<LimitSubject>> {
        self.tallies.unlogged()
    }
}

impl Admission {
    /// Returns whether the connection has a place.
    pub(crate) fn has_place(&self) -> bool {
        matches!(self.standing, Standing::Placed { .. })
    }

    /// The client of the connection, as limits tell clients apart.
    pub(crate) fn subject(&self) -> &LimitSubject {
        &self.member.subject
    }

    /// The share of the connection's client.
    pub(crate) fn client(&self) -> &Arc<ClientShare> {
        &self.member.client
    }

    /// The memory for a body that the connection's client sends.
    pub(crate) fn body_budget(&self) -> BodyBudget {
        BodyBudget::new(
            Arc::clone(&self.member.shares.bodies),
            Arc::clone(&self.member.client.bodies),
        )
    }

    /// Returns whether the connection may not even wait for a place.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.standing, Standing::Refused(_))
    }

    /// Counts the connection among those of its client whose profile is known, unless that profile
    /// allows no more than there are. A connection is counted once: a limit that is lowered later
    /// is for new connections.
    ///
    /// # Errors
    /// The bound that is in the way.
    pub(crate) fn confirm(&mut self, limit: Option<usize>) -> Result<(), Full> {
        if self.member.is_confirmed {
            return Ok(());
        }
        let mut counts = lock(&self.member.client.counts);
        match limit {
            Some(limit) if counts.confirmed >= limit => return Err(Full::Client(limit)),
            _ => counts.confirmed += 1,
        }
        drop(counts);
        self.member.is_confirmed = true;
        Ok(())
    }

    /// Waits for a place where one may come, no longer than `limit`.
    ///
    /// # Errors
    /// The bound that is in the way.
    pub(crate) async fn take_place(&mut self, limit: Duration) -> Result<(), Full> {
        match self.standing {
            Standing::Placed { .. } => return Ok(()),
            Standing::Refused(full) => return Err(full),
            Standing::Waiting { .. } => {}
        }
        let place = tokio::time::timeout(
            limit,
            Arc::clone(&self.member.shares.places).acquire_owned(),
        )
        .await;
        // The semaphore is never closed.
        let place = place.ok().and_then(Result::ok).ok_or(Full::Total)?;
        self.standing = Standing::Placed { _place: place };
        Ok(())
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut clients = lock(&self.shares.clients);
        let mut counts = lock(&self.client.counts);
        counts.members -= 1;
        counts.connections -= usize::from(self.has_share);
        counts.confirmed -= usize::from(self.is_confirmed);
        if counts.members == 0 {
            clients.remove(&self.subject);
        }
    }
}

impl Drop for CountedExchange {
    fn drop(&mut self) {
        lock(&self.0.counts).exchanges -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is done under these locks that could leave half a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_leaves_the_places_of_others_alone() {
        let shares = Arc::new(Shares::new(3, None));
        let admit = |client| shares.admit(LimitSubject::User(client), ClientBound::of(Some(2)));
        let (one, two) = (admit(1), admit(1));
        assert!(one.has_place() && two.has_place());
        let three = admit(1);
        assert!(three.is_refused());
        let other = admit(2);
        assert!(other.has_place());
        drop(one);
        assert!(admit(1).has_place());
        drop((two, three, other));
        assert!(
            lock(&shares.clients).is_empty(),
            "nothing is left of clients that left"
        );
    }

    #[test]
    fn some_exchanges_are_left_for_clients_that_have_few() {
        let shares = Shares::new(1, Some(32));
        let client = || Arc::new(ClientShare::default());
        let mut held = Vec::new();
        for greedy in [client(), client()] {
            held.extend(std::iter::from_fn(|| shares.begin_exchange(&greedy)));
        }
        assert_eq!(held.len(), 24, "a quarter is left");
        let modest = client();
        held.extend(std::iter::from_fn(|| shares.begin_exchange(&modest)));
        assert_eq!(held.len(), 24 + FEW);
        held.extend(std::iter::from_fn(|| shares.begin_exchange(&client())));
        assert_eq!(held.len(), 32);
    }

    #[test]
    fn exchanges_are_bounded_for_each_client_and_for_all() {
        let shares = Arc::new(Shares::new(1, Some(4)));
        let client = || Arc::new(ClientShare::default());
        let (one, two, three) = (client(), client(), client());
        let mut held: Vec<_> = [&one, &one, &two]
            .map(|client| shares.begin_exchange(client).expect("a place"))
            .into();
        assert!(shares.begin_exchange(&one).is_none(), "half are the most");
        held.extend(shares.begin_exchange(&two));
        assert!(shares.begin_exchange(&three).is_none(), "all are taken");
        held.remove(0);
        assert!(shares.begin_exchange(&three).is_some());
    }

    #[test]
    fn connections_without_a_known_profile_have_a_bound_of_their_own() {
        let shares = Arc::new(Shares::new(100, None));
        let bound = ClientBound {
            total: Some(5),
            unconfirmed: Some(2),
        };
        let admit = || shares.admit(LimitSubject::User(1), bound);
        let mut silent = vec![admit(), admit()];
        assert!(admit().is_refused());
        for one in &mut silent {
            one.confirm(Some(5)).expect("room");
        }
        silent.extend([admit(), admit()]);
        assert!(admit().is_refused());
        silent[2].confirm(Some(5)).expect("room");
        silent.push(admit());
        assert!(admit().is_refused(), "five are the most");
        assert_eq!(silent[3].confirm(Some(3)), Err(Full::Client(3)));
    }

    #[test]
    fn connections_beyond_the_total_wait_in_a_bounded_number() {
        let shares = Arc::new(Shares::new(1, None));
        let held: Vec<_> = (0..=WAITING)
            .map(|_| shares.admit(LimitSubject::User(1), ClientBound::of(None)))
            .collect();
        assert!(held[0].has_place());
        assert!(
            held[1..]
                .iter()
                .all(|one| !one.has_place() && !one.is_refused())
        );
        assert!(
            shares
                .admit(LimitSubject::User(2), ClientBound::of(None))
                .is_refused()
        );
        drop(held);
        assert!(
            shares
                .admit(LimitSubject::User(2), ClientBound::of(None))
                .has_place()
        );
    }

    #[test]
    fn refusals_are_counted_and_get_one_line() {
        let shares = Arc::new(Shares::new(1, None));
        let _held = shares.admit(LimitSubject::User(1), ClientBound::of(Some(1)));
        let refused = shares.admit(LimitSubject::User(1), ClientBound::of(Some(1)));
        let peer = Arc::from("peer");
        let told = shares.note_refusal(&refused, &peer).expect("a line");
        assert_eq!((told.count, &told.last.peer), (1, &peer));
        assert!(shares.note_refusal(&refused, &peer).is_none());
        assert!(shares.unlogged_refusals().is_empty());
        assert_eq!(shares.in_use().refused, 2);
    }
}
