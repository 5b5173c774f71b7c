//! The limits of one client.

use core::time::Duration;

use crate::text::pattern::Pattern;

/// The limits of each client of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// The rate of requests.
    pub rate: Option<Rate>,
    /// Concurrent requests, without streams.
    pub requests: Option<u32>,
    /// Concurrent streams: logs, events, statistics, waits, terminals.
    pub streams: Option<u32>,
    /// Concurrent connections; `None` is no limit.
    pub connections: Option<usize>,
    /// Origins of web pages whose scripts may call, as `Origin` has them; without any, no page may.
    pub origins: Vec<Pattern>,
    /// Patterns of user agents, one of which has to match; without any, all may call.
    pub agents: Vec<Pattern>,
    /// Patterns of user agents, none of which may match.
    pub agents_denied: Vec<Pattern>,
}

impl ClientLimits {
    /// Returns whether anything has to be counted.
    #[must_use]
    pub fn count(&self) -> bool {
        self.rate.is_some() || self.requests.is_some() || self.streams.is_some()
    }

    /// Returns whether a web page of this origin may call.
    #[must_use]
    pub fn admits_origin(&self, origin: &[u8]) -> bool {
        std::str::from_utf8(origin)
            .is_ok_and(|origin| self.origins.iter().any(|pattern| pattern.fits(origin)))
    }

    /// Returns whether the limits restrict user agents.
    #[must_use]
    pub fn names_agents(&self) -> bool {
        !self.agents.is_empty() || !self.agents_denied.is_empty()
    }

    /// Returns whether a client with this user agent may call.
    #[must_use]
    pub fn admit(&self, agent: &str) -> bool {
        let fits = |pattern: &Pattern| pattern.fits(agent);
        (self.agents.is_empty() || self.agents.iter().any(fits))
            && !self.agents_denied.iter().any(fits)
    }
}

/// A rate: one event each interval, and a burst at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time that pays for one event.
    pub interval: Duration,
    /// The number of events that may come at once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// Takes one, or says how long to wait. Times count from any one moment in the past.
    ///
    /// `paid` is the time up to which the past has been paid for; it starts at zero. This is the
    /// generic cell rate algorithm (ITU-T I.371, annex A), which behaves as a bucket of `burst`
    /// tokens does, and needs one number for it.
    ///
    /// # Errors
    /// The time until there is one.
    pub fn take(&self, paid: &mut Duration, now: Duration) -> Result<(), Duration> {
        let credit = self.interval.saturating_mul(self.burst.max(1));
        // Requests that were counted at another rate, before a reload, weigh at most as much as the
        // burst of this rate.
        *paid = (*paid).min(now.saturating_add(credit));
        let due = (*paid).max(now).saturating_add(self.interval);
        if due > now.saturating_add(credit) {
            return Err(due.saturating_sub(credit).saturating_sub(now));
        }
        *paid = due;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_each_interval() {
        let rate = Rate {
            interval: Duration::from_millis(100),
            burst: 3,
        };
        let at = Duration::from_millis;
        let mut paid = Duration::ZERO;
        for (now, want) in [
            (1000, Ok(())),
            (1000, Ok(())),
            (1000, Ok(())),
            (1000, Err(at(100))),
            (1060, Err(at(40))),
            (1100, Ok(())),
            (1100, Err(at(100))),
            (1350, Ok(())),
            (1350, Ok(())),
            (1350, Err(at(50))),
            // A long rest pays for the burst, and no more.
            (9000, Ok(())),
            (9000, Ok(())),
            (9000, Ok(())),
            (9000, Err(at(100))),
        ] {
            assert_eq!(rate.take(&mut paid, at(now)), want, "{now}");
        }
    }

    /// A client that has reached one rate need not wait for it once it has another.
    #[test]
    fn another_rate_holds_at_once() {
        let at = Duration::from_secs;
        let mut paid = Duration::ZERO;
        let slow = Rate {
            interval: at(3600),
            burst: 3,
        };
        for _ in 0..3 {
            assert_eq!(slow.take(&mut paid, at(5)), Ok(()));
        }
        let fast = Rate {
            interval: Duration::from_millis(10),
            burst: 1,
        };
        assert_eq!(fast.take(&mut paid, at(6)), Err(Duration::from_millis(10)));
        assert_eq!(fast.take(&mut paid, at(7)), Ok(()));
    }

    #[test]
    fn user_agents_are_let_in_by_name() {
        let patterns = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Pattern::new(*text))
                .collect::<Vec<_>>()
        };
        for (allowed, denied, agent, want) in [
            (&[][..], &[][..], "", true),
            (&["docker-py/*"], &[], "docker-py/7.1", true),
            (&["docker-py/*"], &[], "", false),
            (
                &["docker-py/*", "Go-http-client/*"],
                &[],
                "Go-http-client/1.1",
                true,
            ),
            (&[], &["curl/*"], "curl/8", false),
            (&[], &["curl/*"], "Docker-Client/28", true),
            (&["*"], &["curl/*"], "curl/8", false),
        ] {
            let limits = ClientLimits {
                agents: patterns(allowed),
                agents_denied: patterns(denied),
                ..ClientLimits::default()
            };
            assert_eq!(limits.admit(agent), want, "{allowed:?} {denied:?} {agent}");
        }
    }
}
