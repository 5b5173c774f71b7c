//! The places of the admin listener's connections: clients that have not shown that they may ask
//! take none from those that have, and one of them takes none from another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cetusguard_policy::LimitSubject;
use tokio::task::AbortHandle;

/// Connections in each stage at the same time. One more ends the oldest one of the client that has
/// the most of them: connections that say nothing keep no operator out.
const CONNECTIONS: usize = 16;

/// A connection of the admin listener.
#[derive(Debug)]
pub(super) struct AdminConnection {
    pub(super) client: LimitSubject,
    pub(super) task: AbortHandle,
    pub(super) standing: Arc<ConnectionStanding>,
}

/// The progress of a connection, which decides about its place.
#[derive(Debug, Default)]
pub(super) struct ConnectionStanding {
    /// A request has come that is entitled to an answer.
    pub(super) is_entitled: AtomicBool,
    /// The connection streams decisions. It then has a place among the readers of decisions, and
    /// none among the connections.
    pub(super) is_stream: AtomicBool,
}

/// The part of the places that a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its request has not arrived, or lacks the token: also during the handshake.
    Unproven,
    Entitled,
    Stream,
}

impl ConnectionStanding {
    fn stage(&self) -> Stage {
        match (self.is_stream.load(Relaxed), self.is_entitled.load(Relaxed)) {
            (true, _) => Stage::Stream,
            (false, true) => Stage::Entitled,
            (false, false) => Stage::Unproven,
        }
    }
}

/// The connections, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Places(VecDeque<AdminConnection>);

impl Places {
    /// Gives a place to a new connection, and ends those that are too many.
    pub(super) fn give(&mut self, connection: AdminConnection) {
        self.0.retain(|one| !one.task.is_finished());
        self.0.push_back(connection);
        for stage in [Stage::Unproven, Stage::Entitled] {
            self.end_surplus(stage);
        }
    }

    fn end_surplus(&mut self, stage: Stage) {
        while let Some(place) = self.surplus(stage) {
            if let Some(ended) = self.0.remove(place) {
                ended.task.abort();
            }
        }
    }

    /// Returns the place of a connection that has to end, if there are too many in this stage.
    fn surplus(&self, stage: Stage) -> Option<usize> {
        let mut counts = HashMap::<&LimitSubject, usize>::new();
        let is_in_stage = |one: &&AdminConnection| one.standing.stage() == stage;
        for one in self.0.iter().filter(is_in_stage) {
            *counts.entry(&one.client).or_default() += 1;
        }
        if counts.values().sum::<usize>() <= CONNECTIONS {
            return None;
        }
        let most = counts.values().max()?;
        let is_of_busiest =
            |one: &AdminConnection| is_in_stage(&one) && counts.get(&one.client) == Some(most);
        self.0.iter().position(is_of_busiest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a connection, and returns its standing.
    fn connect(places: &mut Places, user: u32) -> Arc<ConnectionStanding> {
        let standing = Arc::<ConnectionStanding>::default();
        places.give(AdminConnection {
            client: LimitSubject::User(user),
            task: tokio::spawn(std::future::pending::<()>()).abort_handle(),
            standing: Arc::clone(&standing),
        });
        standing
    }

    fn of(places: &Places, user: u32) -> usize {
        let client = LimitSubject::User(user);
        places.0.iter().filter(|one| one.client == client).count()
    }

    #[tokio::test]
    async fn a_client_with_many_connections_takes_none_from_another() {
        let mut places = Places::default();
        connect(&mut places, 1);
        for _ in 0..3 * CONNECTIONS {
            connect(&mut places, 2);
        }
        assert_eq!((of(&places, 1), of(&places, 2)), (1, CONNECTIONS - 1));
        // Where every client has one, the newest have the places.
        for user in 3..40 {
            connect(&mut places, user);
        }
        assert_eq!((of(&places, 2), of(&places, 3)), (0, 0));
        assert_eq!((of(&places, 39), places.0.len()), (1, CONNECTIONS));
    }

    #[tokio::test]
    async fn stages_have_places_of_their_own() {
        let mut places = Places::default();
        for _ in 0..CONNECTIONS {
            connect(&mut places, 1).is_entitled.store(true, Relaxed);
        }
        connect(&mut places, 1).is_stream.store(true, Relaxed);
        for _ in 0..2 * CONNECTIONS {
            connect(&mut places, 2);
        }
        assert_eq!(
            (of(&places, 1), of(&places, 2)),
            (CONNECTIONS + 1, CONNECTIONS)
        );
        // Those that are entitled make way for each other alone.
        for _ in 0..3 {
            connect(&mut places, 3).is_entitled.store(true, Relaxed);
        }
        connect(&mut places, 4);
        assert_eq!((of(&places, 1), of(&places, 3)), (CONNECTIONS - 2, 3));
    }
}
