//! Turns: limits what runs at a time for all clients together. A free turn goes to the waiting client
//! that holds the fewest.
//!
//! In the order of their arrival, a question of a client that asks one would wait behind all those
//! of clients that ask as many as they may, each until its deadline.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::shares::ClientShare;

/// The turns of all clients.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<TurnsState>,
    /// The turns among all that are left for clients that hold none.
    reserved: usize,
}

#[derive(Debug)]
struct TurnsState {
    free: usize,
    /// The number of turns that each client holds, if it holds any.
    held: HashMap<Holder, usize>,
    waiting: VecDeque<(Holder, oneshot::Sender<Turn>)>,
}

/// A client, by the address of its share, which lives as long as the client has a connection.
type Holder = usize;

/// A client's turn. It is given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    holder: Holder,
}

impl Turns {
    /// Makes turns, some of which are left for clients that hold none.
    pub(crate) fn new(all: usize, reserved: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(TurnsState {
                free: all,
                held: HashMap::new(),
                waiting: VecDeque::new(),
            }),
            reserved,
        })
    }

    /// Waits for a turn of a client. Safe to cancel.
    pub(crate) async fn take(self: &Arc<Self>, client: &ClientShare) -> Turn {
        let holder = std::ptr::from_ref(client).addr();
        loop {
            let waiting = {
                let mut state = self.lock();
                if state.has_room(holder, self.reserved) {
                    return state.give(holder, self);
                }
                let (sender, waiting) = oneshot::channel();
                state.waiting.push_back((holder, sender));
                waiting
            };
            // No sender is dropped without a turn. If one were, the client would wait again.
            if let Ok(turn) = waiting.await {
                return turn;
            }
        }
    }

    /// Takes a turn back, and gives it to the client that holds the fewest of those that wait.
    fn take_back(self: &Arc<Self>, holder: Holder) {
        let mut state = self.lock();
        state.free += 1;
        if let Some(count) = state.held.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&holder);
            }
        }
        let given = state.give_to_waiting(self);
        drop(state);
        // Clients that no longer wait give theirs back, which needs the lock.
        drop(given);
    }

    fn lock(&self) -> MutexGuard<'_, TurnsState> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnsState {
    fn held_by(&self, holder: Holder) -> usize {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    /// Returns whether a client may take a turn now.
    fn has_room(&self, holder: Holder, reserved: usize) -> bool {
        let left = match self.held_by(holder) {
            0 => 0,
            _ => reserved,
        };
        self.free > left
    }

    fn give(&mut self, holder: Holder, turns: &Arc<Turns>) -> Turn {
        self.free -= 1;
        *self.held.entry(holder).or_default() += 1;
        Turn {
            turns: Arc::clone(turns),
            holder,
        }
    }

    /// Gives a turn to the client that waits for one and holds the fewest. Returns the turn if that
    /// client waits no longer.
    fn give_to_waiting(&mut self, turns: &Arc<Turns>) -> Option<Turn> {
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        let fewest = (0..self.waiting.len()).min_by_key(|at| self.held_by(self.waiting[*at].0))?;
        if !self.has_room(self.waiting[fewest].0, turns.reserved) {
            return None;
        }
        let (holder, sender) = self.waiting.remove(fewest)?;
        let turn = self.give(holder, turns);
        sender.send(turn).err()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.take_back(self.holder);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting<'t> = Pin<Box<dyn Future<Output = Turn> + 't>>;

    fn poll(waiting: &mut Waiting<'_>) -> Option<Turn> {
        match pin!(waiting).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn greedy_clients_leave_turns_for_others() {
        let turns = Turns::new(32, 8);
        let greedy: Vec<ClientShare> = (0..8).map(|_| ClientShare::default()).collect();
        let mut waiting: Vec<Waiting<'_>> = (0..64)
            .map(|at| Box::pin(turns.take(&greedy[at % 8])) as Waiting<'_>)
            .collect();
        let held: Vec<Option<Turn>> = waiting.iter_mut().map(poll).collect();
        assert_eq!(held.iter().flatten().count(), 24);
        let modest = ClientShare::default();
        let mut asked = [
            Box::pin(turns.take(&modest)) as Waiting<'_>,
            Box::pin(turns.take(&modest)),
        ];
        let first = poll(&mut asked[0]);
        assert!(first.is_some(), "one of those that are left");
        assert!(poll(&mut asked[1]).is_none(), "it holds one");
        // It comes before all that waited longer and hold more.
        drop(first);
        assert!(poll(&mut asked[1]).is_some());
    }

    #[test]
    fn a_turn_goes_to_the_client_that_holds_the_fewest() {
        let turns = Turns::new(3, 0);
        let (greedy, modest) = (ClientShare::default(), ClientShare::default());
        let mut all: Vec<Waiting<'_>> = [&greedy, &greedy, &greedy, &greedy, &modest, &modest]
            .map(|client| Box::pin(turns.take(client)) as Waiting<'_>)
            .into();
        let mut held: Vec<Option<Turn>> = all.iter_mut().map(poll).collect();
        // Of the two that hold as many, the one that waits longer comes first.
        for (gives_back, want) in [(0, 4), (1, 3), (2, 5)] {
            held[gives_back] = None;
            let mut got = Vec::new();
            for at in (3..6).filter(|at| held[*at].is_none()).collect::<Vec<_>>() {
                held[at] = poll(&mut all[at]);
                got.extend(held[at].as_ref().map(|_| at));
            }
            assert_eq!(got, [want]);
        }
    }

    #[test]
    fn clients_that_no_longer_wait_keep_no_turn() {
        let turns = Turns::new(1, 0);
        let clients = [(); 3].map(|()| ClientShare::default());
        let mut all: Vec<Waiting<'_>> = (clients.iter())
            .map(|client| Box::pin(turns.take(client)) as Waiting<'_>)
            .collect();
        let held = poll(&mut all[0]).expect("a turn");
        assert!(poll(&mut all[1]).is_none() && poll(&mut all[2]).is_none());
        drop(all.remove(1));
        drop(held);
        // It was given its turn, and leaves before it takes it.
        drop(all.remove(1));
        let mut last = Box::pin(turns.take(&clients[0])) as Waiting<'_>;
        assert!(poll(&mut last).is_some());
        assert!(turns.lock().held.is_empty() && turns.lock().waiting.is_empty());
    }
}
