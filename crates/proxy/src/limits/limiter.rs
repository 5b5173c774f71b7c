//! The limiter: counts the recent and the concurrent requests of each client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cetusguard_policy::{ClientLimits, LimitSubject, Rate};

/// The number of clients from which on those without a connection are forgotten.
const ROOM: usize = 8 << 10;

/// Health checks that a client may make beside its other requests: more than any engine makes of a
/// container, and too few to be of use to a client that forges them.
const CHECKS: Rate = Rate {
    interval: Duration::from_secs(1),
    burst: 5,
};

/// Every client with limits.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// The moment from which times count.
    started: Instant,
    clients: Mutex<ClientTable>,
}

#[derive(Debug)]
struct ClientTable {
    /// By profile: one client may have two, through two frontends.
    known: HashMap<(String, LimitSubject), Arc<ClientUsage>>,
    /// The size at which clients are forgotten.
    full: usize,
}

/// The counts of one client. A reference to it keeps it from being forgotten.
#[derive(Debug, Default)]
pub(crate) struct ClientUsage(Mutex<RequestCounts>);

#[derive(Debug, Default)]
struct RequestCounts {
    paid: Duration,
    /// The same time for health checks.
    checked: Duration,
    requests: u32,
    streams: u32,
}

/// The kind of request for which a place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A request that ends by itself.
    Request,
    /// One that may go on for days.
    Stream,
}

/// Which limit a client has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// `rate-limit`; how long until another request may come.
    Rate(Duration),
    /// `max-requests`, and its value.
    Requests(u32),
    /// `max-streams`, and its value.
    Streams(u32),
}

/// A place among the concurrent requests of a client; it becomes free when this is dropped.
#[derive(Debug)]
pub(crate) struct RequestPlace {
    usage: Arc<ClientUsage>,
    what: RequestKind,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            clients: Mutex::new(ClientTable {
                known: HashMap::new(),
                full: ROOM,
            }),
        }
    }
}

impl Limiter {
    /// The counts of a client of a profile.
    pub(crate) fn usage(&self, profile: &str, subject: LimitSubject) -> Arc<ClientUsage> {
        let now = self.started.elapsed();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.known.len() >= clients.full {
            clients.forget(now);
        }
        Arc::clone(
            clients
                .known
                .entry((profile.to_owned(), subject))
                .or_default(),
        )
    }

    /// Takes a place for a request, within the limits of its profile.
    ///
    /// # Errors
    /// The limit that is reached; then nothing was taken.
    pub(crate) fn enter(
        &self,
        usage: &Arc<ClientUsage>,
        limits: &ClientLimits,
        what: RequestKind,
    ) -> Result<RequestPlace, Reached> {
        let mut counts = usage.counts();
        match (what, limits.requests, limits.streams) {
            (RequestKind::Request, Some(limit), _) if counts.requests >= limit => {
                return Err(Reached::Requests(limit));
            }
            (RequestKind::Stream, _, Some(limit)) if counts.streams >= limit => {
                return Err(Reached::Streams(limit));
            }
            _ => {}
        }
        if let Some(rate) = limits.rate {
            rate.take(&mut counts.paid, self.started.elapsed())
                .map_err(Reached::Rate)?;
        }
        *counts.of(what) += 1;
        drop(counts);
        Ok(RequestPlace {
            usage: Arc::clone(usage),
            what,
        })
    }

    /// Returns whether a health check is exempt from the client's limits. If not, it counts like
    /// any other request.
    pub(crate) fn let_check(&self, usage: &ClientUsage) -> bool {
        CHECKS
            .take(&mut usage.counts().checked, self.started.elapsed())
            .is_ok()
    }
}

impl ClientTable {
    /// Forgets clients whose rate has recovered. If too many are left, forgets all without a
    /// connection, at the cost of a second burst for them.
    fn forget(&mut self, now: Duration) {
        self.known
            .retain(|_, usage| Arc::strong_count(usage) > 1 || usage.counts().paid > now);
        if self.known.len() >= ROOM / 2 {
            self.known.retain(|_, usage| Arc::strong_count(usage) > 1);
        }
        self.full = ROOM.max(2 * self.known.len());
    }
}

impl ClientUsage {
    /// Returns the requests and the streams that are under way.
    pub(crate) fn in_use(&self) -> (u32, u32) {
        let counts = self.counts();
        (counts.requests, counts.streams)
    }

    fn counts(&self) -> MutexGuard<'_, RequestCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestCounts {
    fn of(&mut self, what: RequestKind) -> &mut u32 {
        match what {
            RequestKind::Request => &mut self.requests,
            RequestKind::Stream => &mut self.streams,
        }
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        *self.usage.counts().of(self.what) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cetusguard_policy::Rate;
    use std::net::{IpAddr, Ipv4Addr};

    fn address(number: u32) -> LimitSubject {
        LimitSubject::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let limiter = Limiter::default();
        let limits = ClientLimits {
            requests: Some(2),
            streams: Some(1),
            ..ClientLimits::default()
        };
        let usage = limiter.usage("p", address(1));
        let enter = |what| limiter.enter(&usage, &limits, what);
        let (one, _two) = (
            enter(RequestKind::Request).expect("a place"),
            enter(RequestKind::Request).expect("a place"),
        );
        assert_eq!(
            enter(RequestKind::Request).err(),
            Some(Reached::Requests(2))
        );
        let stream = enter(RequestKind::Stream).expect("streams are counted by themselves");
        assert_eq!(enter(RequestKind::Stream).err(), Some(Reached::Streams(1)));
        drop((one, stream));
        assert!(enter(RequestKind::Request).is_ok() && enter(RequestKind::Stream).is_ok());
        let other = limiter.usage("p", address(2));
        assert!(limiter.enter(&other, &limits, RequestKind::Stream).is_ok());
        assert!(Arc::ptr_eq(&usage, &limiter.usage("p", address(1))));
        assert!(!Arc::ptr_eq(&usage, &limiter.usage("q", address(1))));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let limiter = Limiter::default();
        let rate = Rate {
            interval: Duration::from_secs(3600),
            burst: 2,
        };
        let limits = ClientLimits {
            rate: Some(rate),
            requests: Some(1),
            ..ClientLimits::default()
        };
        let usage = limiter.usage("p", address(1));
        let place = limiter
            .enter(&usage, &limits, RequestKind::Request)
            .expect("a place");
        for _ in 0..5 {
            assert_eq!(
                limiter.enter(&usage, &limits, RequestKind::Request).err(),
                Some(Reached::Requests(1))
            );
        }
        drop(place);
        assert!(
            limiter.enter(&usage, &limits, RequestKind::Request).is_ok(),
            "the burst is two"
        );
        assert!(matches!(
            limiter.enter(&usage, &limits, RequestKind::Request),
            Err(Reached::Rate(_))
        ));
    }

    #[test]
    fn a_million_addresses_leave_little_behind() {
        let limiter = Limiter::default();
        let limits = ClientLimits {
            rate: Some(Rate {
                interval: Duration::from_secs(3600),
                burst: 1,
            }),
            ..ClientLimits::default()
        };
        let held = limiter.usage("p", address(0));
        assert!(limiter.enter(&held, &limits, RequestKind::Request).is_ok());
        for number in 1..1_000_000 {
            assert!(
                limiter
                    .enter(
                        &limiter.usage("p", address(number)),
                        &limits,
                        RequestKind::Request
                    )
                    .is_ok()
            );
        }
        let clients = limiter.clients.lock().expect("not poisoned");
        assert!(clients.known.len() <= ROOM, "{}", clients.known.len());
        drop(clients);
        assert!(
            matches!(
                limiter.enter(
                    &limiter.usage("p", address(0)),
                    &limits,
                    RequestKind::Request
                ),
                Err(Reached::Rate(_))
            ),
            "one that is connected is remembered"
        );
    }
}
