//! The memory of judged bodies: a share for each client, and a total.
//!
//! A body takes memory as its bytes arrive, and waits while other bodies hold the memory. Two
//! incomplete bodies could wait for each other for ever. Therefore one body at a time, of each
//! client and of all clients, may exceed the limit: it ends, and gives its memory back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body that is judged, in KiB.
pub const BODY_LIMIT: usize = 1 << 10;
/// The number of copies of a body in memory at the most: the received one, the judged one, and the
/// one behind its head.
const COPIES: usize = 3;
/// The memory of all judged bodies together, in KiB.
const TOTAL: usize = 16 << 10;
/// The memory of the judged bodies of one client, in KiB.
const OF_CLIENT: usize = TOTAL / 4;
/// While others wait for memory, a body that holds some may wait this long for its client, and
/// longer the more has arrived.
const GRACE: Duration = Duration::from_secs(1);
/// The speed, in KiB a second, that keeps a body while others wait.
const SPEED: u32 = 512;

/// Memory for bodies, in KiB.
#[derive(Debug)]
struct Pool {
    room: Arc<Semaphore>,
    /// The right to take more than there is, up to the largest body.
    excess: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// The part of a pool that one body holds.
#[derive(Debug, Default)]
struct HeldMemory {
    room: Option<OwnedSemaphorePermit>,
    excess: Option<OwnedSemaphorePermit>,
}

/// The bodies of all clients.
#[derive(Debug)]
pub(crate) struct AllBodies(Pool);

/// The bodies of one client.
#[derive(Debug)]
pub(crate) struct ClientBodies(Pool);

/// The memory of one body; given back when dropped.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    all: Arc<AllBodies>,
    client: Arc<ClientBodies>,
    of_all: HeldMemory,
    of_client: HeldMemory,
    /// The size when memory was last taken, in KiB; a body with the excess takes no more.
    size: usize,
}

impl Pool {
    /// Builds a pool of memory in KiB, of which the largest body is set aside for the one body that
    /// takes the excess.
    fn new(size: usize) -> Self {
        let room = Arc::new(Semaphore::new(size - COPIES * BODY_LIMIT));
        Self {
            room,
            excess: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Returns the memory that bodies hold, in bytes, of a pool of this size in KiB. The body that
    /// may take more counts as one of the largest.
    fn in_use(&self, size: usize) -> usize {
        let largest = COPIES * BODY_LIMIT;
        let held = size - largest - self.room.available_permits();
        (held + largest * (1 - self.excess.available_permits())) << 10
    }

    /// Takes so much for a body, once it is there or the body is the one that may take more.
    async fn take(&self, held: &mut HeldMemory, kib: u32) {
        let _waiting = WaitingBody::new(&self.waiting);
        tokio::select! {
            biased;
            Ok(taken) = Arc::clone(&self.room).acquire_many_owned(kib) => match &mut held.room {
                Some(room) => room.merge(taken),
                none => *none = Some(taken),
            },
            Ok(excess) = Arc::clone(&self.excess).acquire_owned() => held.excess = Some(excess),
            // The semaphores are never closed.
            else => {}
        }
    }
}

/// A body that is counted while it waits.
struct WaitingBody<'p>(&'p AtomicUsize);

impl<'p> WaitingBody<'p> {
    fn new(count: &'p AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for WaitingBody<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl AllBodies {
    /// The most memory that all bodies may hold, in bytes.
    pub(crate) const LIMIT: usize = TOTAL << 10;

    /// Returns the memory that bodies hold, in bytes. The body that may take more counts as one of
    /// the largest.
    pub(crate) fn in_use(&self) -> usize {
        self.0.in_use(TOTAL)
    }
}

impl ClientBodies {
    /// The most memory that the bodies of one client may hold, in bytes.
    pub(crate) const LIMIT: usize = OF_CLIENT << 10;

    /// Returns the memory that the client's bodies hold, in bytes.
    pub(crate) fn in_use(&self) -> usize {
        self.0.in_use(OF_CLIENT)
    }
}

impl Default for AllBodies {
    fn default() -> Self {
        Self(Pool::new(TOTAL))
    }
}

impl Default for ClientBodies {
    fn default() -> Self {
        Self(Pool::new(OF_CLIENT))
    }
}

impl BodyBudget {
    /// A body of a client that holds nothing yet.
    pub(crate) fn new(all: Arc<AllBodies>, client: Arc<ClientBodies>) -> Self {
        Self {
            all,
            client,
            of_all: HeldMemory::default(),
            of_client: HeldMemory::default(),
            size: 0,
        }
    }

    /// Waits until there is memory for a body that has grown to this size, in bytes.
    pub(crate) async fn grow(&mut self, size: usize) {
        let size = size.div_ceil(1 << 10);
        let more = u32::try_from(COPIES * size.saturating_sub(self.size)).unwrap_or(u32::MAX);
        // The one body that may exceed the total must not wait for another of its client, which may
        // wait for it.
        if more == 0 || self.of_all.excess.is_some() {
            return;
        }
        if self.of_client.excess.is_none() {
            self.client.0.take(&mut self.of_client, more).await;
        }
        self.all.0.take(&mut self.of_all, more).await;
        self.size = size;
    }

    /// The total time in which the client may keep the body waiting: less where others wait for the
    /// memory that the body holds.
    pub(crate) fn patience(&self, limit: Duration) -> Duration {
        let waiting = self.all.0.waiting.load(Relaxed) + self.client.0.waiting.load(Relaxed);
        if self.size == 0 || waiting == 0 {
            return limit;
        }
        let earned = Duration::from_secs(1) * u32::try_from(self.size).unwrap_or(u32::MAX) / SPEED;
        limit.min(GRACE + earned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn poll(budget: &mut BodyBudget, size: usize) -> Poll<()> {
        std::pin::pin!(budget.grow(size)).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_body_at_a_time_always_goes_on() {
        let (all, client) = (Arc::<AllBodies>::default(), Arc::<ClientBodies>::default());
        let body = || BodyBudget::new(Arc::clone(&all), Arc::clone(&client));
        let (mut first, mut second, mut third) = (body(), body(), body());
        assert_eq!(poll(&mut first, 300 << 10), Poll::Ready(()));
        assert_eq!(
            poll(&mut second, 300 << 10),
            Poll::Ready(()),
            "it exceeds the client's share"
        );
        assert_eq!(poll(&mut third, 300 << 10), Poll::Pending);
        assert_eq!(poll(&mut first, 600 << 10), Poll::Pending);
        assert_eq!(poll(&mut second, 1 << 20), Poll::Ready(()));
        drop(second);
        assert_eq!(poll(&mut first, 600 << 10), Poll::Ready(()));
        drop(first);
        assert_eq!(poll(&mut third, 300 << 10), Poll::Ready(()));
        drop(third);
        assert_eq!(
            client.0.room.available_permits(),
            OF_CLIENT - COPIES * BODY_LIMIT
        );
        assert_eq!(all.0.room.available_permits(), TOTAL - COPIES * BODY_LIMIT);
    }

    #[test]
    fn bodies_of_many_clients_stay_within_the_total_and_all_end() {
        let all = Arc::<AllBodies>::default();
        let mut bodies: Vec<BodyBudget> = (0..40)
            .map(|_| BodyBudget::new(Arc::clone(&all), Arc::default()))
            .collect();
        for size in [100 << 10, 300 << 10, 1 << 20] {
            for body in &mut bodies {
                let _ = poll(body, size);
            }
            let held: usize = bodies.iter().map(|body| COPIES * body.size).sum();
            assert!(held <= TOTAL, "{held} KiB");
        }
        while !bodies.is_empty() {
            let before = bodies.len();
            bodies.retain_mut(|body| poll(body, 1 << 20).is_pending());
            assert!(bodies.len() < before, "all wait for each other");
        }
    }

    #[test]
    fn a_client_is_hurried_only_while_others_wait() {
        let (all, client) = (Arc::<AllBodies>::default(), Arc::<ClientBodies>::default());
        let mut body = BodyBudget::new(Arc::clone(&all), Arc::clone(&client));
        let limit = Duration::from_secs(10);
        assert_eq!(body.patience(limit), limit);
        assert_eq!(poll(&mut body, 512 << 10), Poll::Ready(()));
        assert_eq!(body.patience(limit), limit);
        let _other = WaitingBody::new(&all.0.waiting);
        assert_eq!(body.patience(limit), Duration::from_secs(2));
    }
}
