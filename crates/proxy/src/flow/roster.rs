//! The roster: the connections of clients, for the admin listener.
//!
//! A connection enters the roster when it opens, tells it when its client is identified anew, and
//! when it begins and ends a stream. Other requests never come here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::Profile;

use super::admit::Admitted;
use super::connection::Peer;
use super::identify::Client;
use crate::limits::limiter::ClientUsage;
use crate::limits::shares::ClientShare;
use crate::telemetry::request_id::RequestId;

/// The longest path of a stream that is kept, in bytes.
const PATH: usize = 1024;

/// The connections of clients that are open.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Mutex<HashMap<u64, Arc<ConnectionEntry>>>,
    /// The number of connections so far.
    count: AtomicU64,
}

/// A connection in the roster.
#[derive(Debug)]
pub(crate) struct ConnectionEntry {
    peer: Arc<Peer>,
    since: Instant,
    share: Arc<ClientShare>,
    state: Mutex<EntryState>,
}

/// The part of an entry that changes.
#[derive(Debug, Default)]
struct EntryState {
    /// The client as it was identified last.
    client: Option<Arc<Client>>,
    stream: Option<OpenStream>,
}

/// A stream or tunnel that is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenStream {
    pub(crate) id: RequestId,
    pub(crate) method: &'static str,
    /// The path as it was judged. It has no query, which may hold secrets.
    pub(crate) path: String,
    /// The name of the endpoint, if the table has it.
    pub(crate) endpoint: Option<&'static str>,
    since: Instant,
}

/// The presence of a connection in the roster; ends when dropped.
#[derive(Debug)]
pub(super) struct RosterPlace {
    roster: Arc<Roster>,
    number: u64,
    pub(super) entry: Arc<ConnectionEntry>,
}

/// A connection as it is at one moment.
#[derive(Debug)]
pub(crate) struct ConnectionSnapshot {
    /// The client's address without its port, or its Unix user and group.
    pub(crate) address: String,
    /// The address of the frontend.
    pub(crate) frontend: Arc<str>,
    pub(crate) age: Duration,
    pub(crate) share: Arc<ClientShare>,
    /// The identified client; `None` before its first request.
    pub(crate) client: Option<ClientSnapshot>,
    pub(crate) stream: Option<OpenStream>,
}

/// The properties of an identified client.
#[derive(Debug)]
pub(crate) struct ClientSnapshot {
    pub(crate) profile: Arc<Profile>,
    /// The name of its container; empty if it is not known.
    pub(crate) container: String,
    /// The common name of its certificate; empty if there is none.
    pub(crate) certificate: String,
    /// Its requests under way, if its profile limits them.
    pub(crate) usage: Option<Arc<ClientUsage>>,
}

impl Roster {
    /// Enters a connection.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        share: &Arc<ClientShare>,
    ) -> RosterPlace {
        let entry = Arc::new(ConnectionEntry {
            peer: Arc::clone(peer),
            since: Instant::now(),
            share: Arc::clone(share),
            state: Mutex::default(),
        });
        let number = self.count.fetch_add(1, Relaxed);
        self.lock().insert(number, Arc::clone(&entry));
        RosterPlace {
            roster: Arc::clone(self),
            number,
            entry,
        }
    }

    /// Returns every connection, the oldest first.
    pub(crate) fn snapshot(&self) -> Vec<ConnectionSnapshot> {
        let mut entries: Vec<_> = self
            .lock()
            .iter()
            .map(|(number, entry)| (*number, Arc::clone(entry)))
            .collect();
        entries.sort_unstable_by_key(|(number, _)| *number);
        entries.iter().map(|(_, entry)| entry.snapshot()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<ConnectionEntry>>> {
        // Nothing is done under the lock that could leave half a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RosterPlace {
    fn drop(&mut self) {
        self.roster.lock().remove(&self.number);
    }
}

impl ConnectionEntry {
    /// Notes the client.
    pub(super) fn note_client(&self, client: &Arc<Client>) {
        self.lock().client = Some(Arc::clone(client));
    }

    /// Notes that the current request is a stream, or opens a tunnel.
    pub(super) fn begin_stream(&self, id: RequestId, admitted: &Admitted) {
        let call = admitted.call();
        let path = call.path();
        self.lock().stream = Some(OpenStream {
            id,
            method: call.method().as_str(),
            path: path[..path.floor_char_boundary(PATH)].to_owned(),
            endpoint: call.endpoint().map(|endpoint| endpoint.id.name()),
            since: Instant::now(),
        });
    }

    /// Notes that the stream or tunnel has ended.
    pub(super) fn end_stream(&self) {
        self.lock().stream = None;
    }

    fn snapshot(&self) -> ConnectionSnapshot {
        let state = self.lock();
        let client = state.client.as_ref().map(|client| ClientSnapshot {
            profile: Arc::clone(&client.profile),
            container: client.container().to_owned(),
            certificate: client.certificate().to_owned(),
            usage: client.usage.clone(),
        });
        ConnectionSnapshot {
            address: without_port(&self.peer.client).to_owned(),
            frontend: Arc::clone(&self.peer.frontend),
            age: self.since.elapsed(),
            share: Arc::clone(&self.share),
            client,
            stream: state.stream.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, EntryState> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStream {
    /// Returns the time since it began.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Returns the part of a peer's description that all its connections share: the address without
/// the port, or the Unix user and group without the process.
fn without_port(peer: &str) -> &str {
    if peer.starts_with("unix") {
        return peer.split_once(",pid=").map_or(peer, |(user, _)| user);
    }
    let (address, _) = peer.rsplit_once(':').unwrap_or((peer, ""));
    address.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_client_have_one_address() {
        for (peer, want) in [
            ("127.0.0.1:4000", "127.0.0.1"),
            ("[fd00::1]:4000", "fd00::1"),
            ("unix:uid=1,gid=2,pid=3", "unix:uid=1,gid=2"),
            ("unix:uid=1,gid=2", "unix:uid=1,gid=2"),
            ("unix", "unix"),
        ] {
            assert_eq!(without_port(peer), want);
        }
    }

    #[test]
    fn a_connection_is_in_the_roster_until_it_is_dropped() {
        let roster = Arc::new(Roster::default());
        let share = Arc::new(ClientShare::default());
        let enter = |client: &str, frontend: &str| {
            let peer = Arc::new(Peer {
                client: client.into(),
                frontend: frontend.into(),
            });
            roster.enter(&peer, &share)
        };
        let one = enter("127.0.0.1:1", "tcp://a:1");
        let two = enter("127.0.0.2:1", "tcp://b:2");
        let snapshot = roster.snapshot();
        let addresses: Vec<_> = snapshot.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(addresses, ["127.0.0.1", "127.0.0.2"]);
        drop(one);
        assert_eq!(&*roster.snapshot()[0].frontend, "tcp://b:2");
        drop(two);
        assert!(roster.snapshot().is_empty());
    }
}
