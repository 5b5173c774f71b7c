//! The state that is shown: the last poll, and the refusals that were followed.

use std::collections::VecDeque;

use cetusguard_config::address::Address;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::events::{ShownDecision, StreamEvent};
use super::figures::{Rates, ShownFigures};

/// Refusals that are kept. Equal ones share a place.
const KEPT: usize = 200;

/// News about the proxy.
#[derive(Debug)]
pub(super) enum ProxyNews {
    /// A poll was answered.
    Poll(Box<Poll>),
    /// A poll was not answered, for this reason.
    NoPoll(String),
    /// The stream of decisions has begun.
    Following,
    /// The stream of decisions has ended, or did not begin, for this reason.
    NotFollowing(String),
    /// The stream has sent this.
    Event(StreamEvent),
}

/// The answers to one poll.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) figures: ShownFigures,
    pub(super) clients: ClientsAnswer,
    pub(super) policy: Policy,
    /// The reason why the proxy is not ready, if it is not.
    pub(super) unready: Option<String>,
}

/// The answer of `/clients`, as far as it is shown.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ClientsAnswer {
    pub(super) clients: Vec<ShownClient>,
    pub(super) clients_left_out: usize,
}

/// A client that is connected.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ShownClient {
    pub(super) client: String,
    pub(super) container: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) connections: usize,
    streams: Vec<IgnoredAny>,
    streams_left_out: usize,
}

impl ShownClient {
    pub(super) fn streams(&self) -> usize {
        self.streams.len() + self.streams_left_out
    }
}

/// The answer of `/policy`, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) version: String,
    pub(super) hash: String,
    pub(super) generation: u64,
    pub(super) last_reload: Option<ShownReload>,
    /// The warnings of `check`; `None` before they are known.
    pub(super) warnings: Option<Vec<Warning>>,
}

/// The last reload.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ShownReload {
    pub(super) time: String,
    pub(super) result: String,
    pub(super) mistakes: Vec<String>,
}

/// A warning of `check`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Warning {
    pub(super) profile: Option<String>,
    pub(super) detail: String,
    pub(super) hint: String,
}

/// A refused call, and how often it was refused.
#[derive(Clone, Debug)]
pub(super) struct RefusedCall {
    /// The last one of them.
    pub(super) decision: Box<ShownDecision>,
    pub(super) count: u64,
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(super) struct Top {
    pub(super) address: String,
    pub(super) poll: Option<Box<Poll>>,
    pub(super) rates: Option<Rates>,
    /// The newest first.
    pub(super) refusals: VecDeque<RefusedCall>,
    /// Decisions that were lost.
    pub(super) lost: u64,
    /// The reason why the figures are those of an earlier time.
    pub(super) no_poll: Option<String>,
    /// The reason why refusals are not followed.
    pub(super) not_following: Option<String>,
}

impl Top {
    pub(super) fn new(address: &Address) -> Self {
        Self {
            address: address.to_string(),
            poll: None,
            rates: None,
            refusals: VecDeque::new(),
            lost: 0,
            no_poll: None,
            not_following: None,
        }
    }

    pub(super) fn note(&mut self, report: ProxyNews) {
        match report {
            ProxyNews::Poll(poll) => self.note_poll(poll),
            ProxyNews::NoPoll(why) => {
                self.rates = None;
                self.no_poll = Some(why);
            }
            ProxyNews::Following => self.not_following = None,
            ProxyNews::NotFollowing(why) => self.not_following = Some(why),
            ProxyNews::Event(StreamEvent::Lost(count)) => {
                self.lost = self.lost.saturating_add(count)
            }
            ProxyNews::Event(StreamEvent::Refused(decision)) => self.note_refusal(decision),
        }
    }

    pub(super) fn note_poll(&mut self, poll: Box<Poll>) {
        let earlier = self.poll.as_ref().map(|earlier| &earlier.figures);
        self.rates = earlier.map(|earlier| poll.figures.since(earlier));
        self.poll = Some(poll);
        self.no_poll = None;
    }

    /// Returns the state with those refusals and clients alone that contain a text.
    pub(super) fn filtered(&self, text: &str) -> Self {
        let text = text.to_lowercase();
        let has_text =
            |parts: &[&str]| parts.iter().any(|part| part.to_lowercase().contains(&text));
        let mut top = self.clone();
        top.refusals.retain(|refused| {
            let call = format!("{} {}", refused.decision.method, refused.decision.path);
            let decision = &refused.decision;
            has_text(&[
                &call,
                &decision.reason,
                &decision.profile,
                client_name(&decision.container, &decision.certificate, &decision.client),
            ])
        });
        if let Some(poll) = &mut top.poll {
            poll.clients.clients.retain(|client| {
                let [container, certificate, profile] =
                    [&client.container, &client.certificate, &client.profile]
                        .map(|name| name.as_deref().unwrap_or_default());
                has_text(&[client_name(container, certificate, &client.client), profile])
            });
        }
        top
    }

    /// Puts a refusal before the others. An equal one gives it its count.
    fn note_refusal(&mut self, decision: Box<ShownDecision>) {
        let is_equal = |other: &RefusedCall| is_same_call(&other.decision, &decision);
        let place = self.refusals.iter().position(is_equal);
        let before = place
            .and_then(|place| self.refusals.remove(place))
            .map_or(0, |refused| refused.count);
        self.refusals.push_front(RefusedCall {
            decision,
            count: before + 1,
        });
        self.refusals.truncate(KEPT);
    }
}

/// Returns whether two refusals are of equal calls of one client, for the same reason.
fn is_same_call(one: &ShownDecision, other: &ShownDecision) -> bool {
    let key = |decision: &ShownDecision| {
        [
            decision.decision.clone(),
            decision.method.clone(),
            decision.path.clone(),
            decision.profile.clone(),
            decision.reason.clone(),
            client_name(&decision.container, &decision.certificate, &decision.client).to_owned(),
        ]
    };
    key(one) == key(other)
}

/// Returns the name of a client that is hardest to change: its container, its certificate, or its
/// address without the port.
pub(super) fn client_name<'n>(
    container: &'n str,
    certificate: &'n str,
    address: &'n str,
) -> &'n str {
    if !container.is_empty() {
        return container;
    }
    if !certificate.is_empty() {
        return certificate;
    }
    if address.starts_with("unix") {
        return address.split(",pid=").next().unwrap_or_default();
    }
    match address.parse::<std::net::SocketAddr>() {
        Ok(_) => address.rsplit_once(':').map_or(address, |(host, _)| host),
        Err(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str, client: &str) -> ProxyNews {
        ProxyNews::Event(StreamEvent::Refused(Box::new(ShownDecision {
            path: path.to_owned(),
            client: client.to_owned(),
            ..ShownDecision::default()
        })))
    }

    #[test]
    fn equal_refusals_share_a_place_and_old_ones_are_forgotten() {
        let mut top = Top::new(&Address::Inherited(None));
        for (path, client) in [
            ("/a", "10.0.0.1:5"),
            ("/b", "10.0.0.1:6"),
            ("/a", "10.0.0.1:7"),
            ("/a", "10.0.0.2:7"),
        ] {
            top.note(refusal(path, client));
        }
        let shown = |top: &Top| -> Vec<(String, u64)> {
            top.refusals
                .iter()
                .map(|refused| (refused.decision.path.clone(), refused.count))
                .collect()
        };
        let row = |path: &str, count| (path.to_owned(), count);
        assert_eq!(shown(&top), [row("/a", 1), row("/a", 2), row("/b", 1)]);
        for number in 0..2 * KEPT {
            top.note(refusal(&format!("/{number}"), "x"));
        }
        assert_eq!(top.refusals.len(), KEPT);
        assert_eq!(shown(&top)[0], row("/399", 1));
    }

    #[test]
    fn a_filter_keeps_what_contains_its_text() {
        let mut top = Top::new(&Address::Inherited(None));
        for (path, client) in [("/images/json", "10.0.0.1:5"), ("/info", "10.0.0.2:5")] {
            top.note(refusal(path, client));
        }
        for (text, paths) in [
            ("", &["/info", "/images/json"][..]),
            ("IMAGES", &["/images/json"]),
            ("0.0.2", &["/info"]),
            ("nothing", &[]),
        ] {
            let kept: Vec<_> = top
                .filtered(text)
                .refusals
                .iter()
                .map(|refused| refused.decision.path.clone())
                .collect();
            assert_eq!(kept, paths, "{text}");
        }
    }

    #[test]
    fn clients_have_their_most_lasting_name() {
        for (container, certificate, address, name) in [
            ("web", "cn", "10.0.0.1:5", "web"),
            ("", "cn", "10.0.0.1:5", "cn"),
            ("", "", "10.0.0.1:5", "10.0.0.1"),
            ("", "", "[fe80::1]:5", "[fe80::1]"),
            ("", "", "10.0.0.1", "10.0.0.1"),
            ("", "", "fe80::1", "fe80::1"),
            ("", "", "unix:uid=1,pid=7", "unix:uid=1"),
        ] {
            assert_eq!(client_name(container, certificate, address), name);
        }
    }

    #[test]
    fn lost_decisions_are_added_up() {
        let mut top = Top::new(&Address::Inherited(None));
        for count in [3, 4, u64::MAX] {
            top.note(ProxyNews::Event(StreamEvent::Lost(count)));
        }
        assert_eq!(top.lost, u64::MAX);
    }
}
