//! The times at which containers joined their networks.
//!
//! The engine connects a container to its networks before it lets the container's process run, and
//! lists the container only after that. The event of the connection is therefore the first sign of
//! a container that may call.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::events::News;
use super::list::Listed;

/// The time after which a container that joined a network and was never listed is taken for one
/// that failed to start.
const START: Duration = Duration::from_secs(30);

/// The latest join of each container to each network, by the engine's clock.
///
/// These times are compared with the times of connections, so the proxy and the engine have to
/// share a clock, as they do on one host. If the engine's clock is ahead, a container that calls
/// within that time of its start is refused, or taken for no container as long as it is not listed.
/// If the engine's clock is behind, a connection of a dead container may be taken for one of a
/// container that got its address within that time.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// The times by container and network.
    by_container: HashMap<String, HashMap<String, SystemTime>>,
    /// The time at which a container ended or left a network last.
    last_end: Option<SystemTime>,
}

/// The network of a container that is known to run, and whose networks are not known.
const ANY: &str = "";

impl Joins {
    /// Takes in one event. Events have to come in the order in which they happened.
    pub(super) fn fold(&mut self, news: &News) {
        match news {
            News::Nothing | News::Changed(_) => {}
            News::Joined {
                container,
                network,
                at,
            } => {
                let networks = self.by_container.entry(container.clone()).or_default();
                networks.remove(ANY);
                networks.insert(network.clone(), *at);
            }
            News::Left {
                container,
                network,
                at,
            } => {
                self.last_end = Some(*at);
                if let Some(networks) = self.by_container.get_mut(container) {
                    networks.remove(network);
                }
            }
            // Podman tells of no join, and a container in another one's network namespace has none.
            News::Started { container, at } => {
                self.by_container
                    .entry(container.clone())
                    .or_insert_with(|| HashMap::from([(ANY.to_owned(), *at)]));
            }
            News::Ended { container, at } => {
                self.last_end = Some(*at);
                self.by_container.remove(container);
            }
        }
    }

    /// Returns whether a container joined a network later than the given time.
    pub(super) fn has_joined_since(&self, container: &str, time: SystemTime) -> bool {
        let networks = self.by_container.get(container);
        networks.is_some_and(|networks| {
            networks
                .iter()
                .any(|(network, at)| network != ANY && *at > time)
        })
    }

    /// Returns whether any container lost an address later than the given time.
    pub(super) fn has_any_ended_since(&self, time: SystemTime) -> bool {
        self.last_end.is_some_and(|end| end > time)
    }

    /// Returns whether a container that may have called by the given time is missing in a list.
    pub(super) fn is_any_missing(&self, listed: &Listed, called: SystemTime) -> bool {
        let has_failed = |at: SystemTime| at.elapsed().is_ok_and(|age| age > START);
        // The start is told after the process runs: a container may have called before.
        let may_have_called = |network: &str, at: SystemTime| network == ANY || at <= called;
        self.by_container.iter().any(|(container, networks)| {
            networks.iter().any(|(network, at)| {
                may_have_called(network, *at)
                    && !has_failed(*at)
                    && !listed.has_member(container, (network != ANY).then_some(network))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::engine::list::listed_for_tests;

    /// A time within the last twenty seconds: the same for the same second, however long a test
    /// takes.
    fn at(second: u64) -> SystemTime {
        static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
        *NOW - Duration::from_secs(20) + Duration::from_secs(second)
    }

    fn joined(network: &str, second: u64) -> News {
        News::Joined {
            container: "a".to_owned(),
            network: network.to_owned(),
            at: at(second),
        }
    }

    #[test]
    fn a_container_is_missing_until_it_is_listed_or_gone() {
        let left = |network: &str| News::Left {
            container: "a".to_owned(),
            network: network.to_owned(),
            at: at(1),
        };
        let started = || News::Started {
            container: "a".to_owned(),
            at: at(1),
        };
        let ended = || News::Ended {
            container: "a".to_owned(),
            at: at(1),
        };
        let (nobody, listed) = (listed_for_tests(&[]), listed_for_tests(&[("a", "one")]));
        for (news, missing_in_none, missing_in_one) in [
            (vec![], false, false),
            (vec![joined("one", 0)], true, false),
            (vec![joined("one", 0), started()], true, false),
            (vec![started()], true, false),
            (vec![started(), ended()], false, false),
            (vec![joined("one", 0), joined("two", 1)], true, true),
            (vec![joined("two", 0), left("two")], false, false),
            (
                vec![joined("two", 0), ended(), left("two"), joined("one", 2)],
                true,
                false,
            ),
            // It joined later than the client called.
            (vec![joined("one", 9)], false, false),
        ] {
            let mut joins = Joins::default();
            news.iter().for_each(|news| joins.fold(news));
            let missing = [&nobody, &listed].map(|listed| joins.is_any_missing(listed, at(5)));
            assert_eq!(missing, [missing_in_none, missing_in_one], "{news:?}");
        }
        let mut joins = Joins::default();
        let long_ago = SystemTime::now() - START - Duration::from_secs(1);
        joins.fold(&News::Joined {
            container: "a".to_owned(),
            network: "one".to_owned(),
            at: long_ago,
        });
        assert!(!joins.is_any_missing(&nobody, at(5)), "it failed to start");
    }

    #[test]
    fn the_latest_join_counts() {
        let mut joins = Joins::default();
        joins.fold(&joined("one", 2));
        assert_eq!(
            [1, 3].map(|second| joins.has_joined_since("a", at(second))),
            [true, false]
        );
        joins.fold(&joined("two", 4));
        assert!(joins.has_joined_since("a", at(3)));
        assert!(!joins.has_joined_since("b", at(0)));
        joins.fold(&News::Ended {
            container: "a".to_owned(),
            at: at(6),
        });
        assert!(!joins.has_joined_since("a", at(0)));
        assert_eq!(
            [5, 7].map(|second| joins.has_any_ended_since(at(second))),
            [true, false]
        );
    }
}
