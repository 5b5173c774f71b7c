//! The running containers and their addresses, as the engine lists them.
//!
//! The list of ten thousand containers has some 20 MiB. Of that, addresses, names, networks and the
//! labels that selectors ask for are kept: some 700 bytes per container, twice while the next list
//! is read. The rest is dropped as it arrives.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use cetusguard_policy::Container;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Asked, DEADLINE, LARGE, Trouble, fetch, read_apart, request_ok, with_deadline};
use crate::backend::Backend;
use cetusguard_http1::read_content;

/// The request for a list.
const TARGET: &str = "/containers/json";

/// The longest list that is read, in bytes.
const LIST_LIMIT: usize = 64 << 20;

/// The number of containers from which on a list costs the engine more than the few inspections
/// that it would save.
const LONG: usize = 250;

/// The parts of a large list, of up to 64 KiB each, that wait to be read.
const WAITING: usize = 4;

/// A list of the running containers.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The container of each address; `None` if several claim it.
    addresses: HashMap<IpAddr, Option<Arc<Container>>>,
    /// Every container, by its identifier.
    members: HashMap<String, Member>,
    /// The addresses of containers that an event was about since the list was asked for.
    doubted: HashSet<IpAddr>,
}

/// The places of a container.
#[derive(Debug, Default)]
struct Member {
    /// The identifiers of its networks.
    networks: Vec<Arc<str>>,
    addresses: Vec<IpAddr>,
}

/// The entry of an address in a list.
pub(super) enum Entry {
    /// One container has the address.
    Is(Arc<Container>),
    /// Several containers claim it.
    Contested,
    /// No container has it.
    Nobody,
    /// A container had it, and an event was about that container since.
    Doubted,
}

impl Listed {
    /// Returns the entry of an address.
    pub(super) fn entry(&self, address: IpAddr) -> Entry {
        match self.addresses.get(&address) {
            _ if self.doubted.contains(&address) => Entry::Doubted,
            Some(Some(container)) => Entry::Is(Arc::clone(container)),
            Some(None) => Entry::Contested,
            None => Entry::Nobody,
        }
    }

    /// Returns whether the list is too long to be asked for again at every event.
    pub(super) fn is_long(&self) -> bool {
        self.members.len() >= LONG
    }

    /// Doubts everything about a container.
    pub(super) fn doubt(&mut self, id: &str) {
        self.doubted.extend(
            self.members
                .get(id)
                .iter()
                .flat_map(|member| &member.addresses),
        );
    }

    /// Returns whether the list shows a container, and shows it in a network if one is given.
    pub(super) fn has_member(&self, container: &str, network: Option<&str>) -> bool {
        let member = self.members.get(container);
        member.is_some_and(|member| {
            network.is_none_or(|network| member.networks.iter().any(|one| **one == *network))
        })
    }
}

/// The fields of a container that are read (moby `api/types/container.Summary`; Podman's answer has
/// the same fields). Empty lists may be `null`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    id: String,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(rename = "NetworkID", default)]
    id: String,
    #[serde(rename = "IPAddress", default)]
    four: String,
    #[serde(rename = "GlobalIPv6Address", default)]
    six: String,
}

/// Asks for the running containers, and keeps these of their labels.
pub(super) async fn fetch_list(
    backend: &Backend,
    labels: &Arc<BTreeSet<String>>,
) -> Result<Listed, Trouble> {
    let exchange = async {
        let (mut stream, mut body) = request_ok(backend, TARGET).await?;
        let broken = |_| Trouble::Answer(format!("the engine broke off its answer to {TARGET}"));
        let mut part = Vec::new();
        while part.len() <= LARGE {
            if !read_content(&mut stream.input, &mut body, &mut part)
                .await
                .map_err(broken)?
            {
                return read([part], labels);
            }
        }
        // Lists are asked for one after the other: there is one such thread at a time.
        let (parts, mut waiting) = mpsc::channel(WAITING);
        let labels = Arc::clone(labels);
        let reading =
            spawn_blocking(move || read(std::iter::from_fn(|| waiting.blocking_recv()), &labels));
        let mut size = 0;
        loop {
            size += part.len();
            if size > LIST_LIMIT {
                let limit = LIST_LIMIT >> 20;
                return Err(Trouble::Answer(format!(
                    "the engine's answer to {TARGET} is larger than {limit} MiB"
                )));
            }
            // The receiver is gone if an earlier part could not be read.
            if parts.send(std::mem::take(&mut part)).await.is_err()
                || !read_content(&mut stream.input, &mut body, &mut part)
                    .await
                    .map_err(broken)?
            {
                break;
            }
        }
        drop(parts);
        reading
            .await
            .unwrap_or_else(|error| Err(Trouble::Answer(error.to_string())))
    };
    with_deadline(DEADLINE, TARGET, exchange).await
}

/// The fields of one container that are read (moby `api/types/container.InspectResponse`; Podman's
/// answer has the same fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    name: String,
    state: Running,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Running {
    running: bool,
}

/// Asks whether a container runs now, and still has its name and this address.
pub(super) async fn is_still(
    container: &Container,
    address: IpAddr,
    backend: &Backend,
) -> Result<bool, Trouble> {
    let Asked::Answer(answer) = fetch(
        backend,
        &format!("/containers/{}/json", container.id),
        DEADLINE,
    )
    .await?
    else {
        return Ok(false);
    };
    let details = read_apart(answer, |answer| serde_json::from_slice::<Details>(answer)).await?;
    let details = details.map_err(|error| {
        Trouble::Answer(format!(
            "the engine's answer about a container cannot be read: {error}"
        ))
    })?;
    let networks = details
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default();
    let mut addresses = networks
        .values()
        .flatten()
        .flat_map(|network| [&network.four, &network.six]);
    let is_named_so = details.name.trim_start_matches('/') == container.name;
    Ok(is_named_so && details.state.running && addresses.any(|text| text.parse() == Ok(address)))
}

/// Reads a list from its parts, one container after the other.
fn read(
    parts: impl IntoIterator<Item = Vec<u8>>,
    labels: &BTreeSet<String>,
) -> Result<Listed, Trouble> {
    let unreadable = |why: String| {
        Trouble::Answer(format!(
            "the engine's list of containers cannot be read: {why}"
        ))
    };
    let mut lister = Lister {
        labels,
        networks: HashSet::new(),
        listed: Listed::default(),
        next: Next::Start,
    };
    let (mut text, mut enough) = (Vec::new(), 0);
    for part in parts {
        text.extend(part);
        // An incomplete element is parsed again once twice as many bytes are there, so that no
        // container takes long.
        if text.len() >= enough {
            let taken = lister.take(&text).map_err(unreadable)?;
            text.drain(..taken);
            enough = 2 * text.len();
        }
    }
    let taken = lister.take(&text).map_err(unreadable)?;
    match lister.next {
        Next::Nothing if taken == text.len() => Ok(lister.listed),
        _ => Err(unreadable("it ends early".to_owned())),
    }
}

/// The reader of a list, which keeps the needed fields of each container.
struct Lister<'l> {
    labels: &'l BTreeSet<String>,
    /// The identifiers of networks, each of which many containers share.
    networks: HashSet<Arc<str>>,
    listed: Listed,
    next: Next,
}

/// The next element that the reader expects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// `[`.
    Start,
    /// A container, or the end if there is none at all.
    FirstOrEnd,
    /// A container.
    Container,
    /// A comma, or the end.
    CommaOrEnd,
    /// Blanks.
    Nothing,
}

impl Lister<'_> {
    /// Reads the complete elements, and returns the number of bytes that they took.
    fn take(&mut self, text: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let next = match (self.next, byte) {
                (next, byte) if byte.is_ascii_whitespace() => next,
                (Next::Start, b'[') => Next::FirstOrEnd,
                (Next::FirstOrEnd | Next::CommaOrEnd, b']') => Next::Nothing,
                (Next::CommaOrEnd, b',') => Next::Container,
                (Next::FirstOrEnd | Next::Container, _) => {
                    let mut rest = serde_json::Deserializer::from_slice(&text[at..]).into_iter();
                    match rest.next() {
                        Some(Ok(summary)) => self.add(summary),
                        Some(Err(error)) if !error.is_eof() => return Err(error.to_string()),
                        _ => return Ok(at),
                    }
                    // The last byte of the container is this one.
                    at += rest.byte_offset() - 1;
                    Next::CommaOrEnd
                }
                (Next::Start | Next::CommaOrEnd | Next::Nothing, _) => {
                    return Err("it is no list".to_owned());
                }
            };
            self.next = next;
            at += 1;
        }
        Ok(at)
    }

    fn add(&mut self, summary: Summary) {
        let networks = summary
            .network_settings
            .and_then(|settings| settings.networks)
            .unwrap_or_default();
        let labels = summary
            .labels
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| self.labels.contains(key));
        let container = Arc::new(Container {
            id: summary.id,
            name: own_name(summary.names.unwrap_or_default()),
            labels: labels.collect(),
        });
        let mut member = Member::default();
        for network in networks.into_values().flatten() {
            for address in [&network.four, &network.six]
                .into_iter()
                .filter_map(|text| text.parse().ok())
            {
                let entry = self
                    .listed
                    .addresses
                    .entry(address)
                    .or_insert_with(|| Some(Arc::clone(&container)));
                if entry.as_ref().is_some_and(|known| known.id != container.id) {
                    *entry = None;
                }
                member.addresses.push(address);
            }
            member.networks.push(self.shared(network.id));
        }
        self.listed.members.insert(container.id.clone(), member);
    }

    /// Returns the same identifier, which all containers share.
    fn shared(&mut self, network: String) -> Arc<str> {
        if let Some(known) = self.networks.get(network.as_str()) {
            return Arc::clone(known);
        }
        let network: Arc<str> = network.into();
        self.networks.insert(Arc::clone(&network));
        network
    }
}

/// Returns the name of a container; its other names have more than one slash and are those of its
/// links.
fn own_name(names: Vec<String>) -> String {
    let plain = |name: &String| name.trim_start_matches('/').to_owned();
    names
        .iter()
        .map(plain)
        .find(|name| !name.contains('/'))
        .unwrap_or_default()
}

/// A list of containers without addresses, each in one network.
#[cfg(test)]
pub(super) fn listed_for_tests(members: &[(&str, &str)]) -> Listed {
    let own = |(container, network): &(&str, &str)| {
        (
            (*container).to_owned(),
            Member {
                networks: vec![(*network).into()],
                ..Member::default()
            },
        )
    };
    Listed {
        members: members.iter().map(own).collect(),
        ..Listed::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_every_network() {
        let text = r#"[
            {"Id": "a", "Names": ["/web/db", "/db"], "Labels": {"x": "y", "z": "y"}, "State": "running", "NetworkSettings": {"Networks": {
                "one": {"NetworkID": "n1", "IPAddress": "10.0.0.2", "GlobalIPv6Address": ""}, "two": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"}}}},
            {"Id": "b", "Names": null, "Labels": null, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}, "none": null}}},
            {"Id": "c", "Names": ["c"], "NetworkSettings": {"Networks": {"three": {"IPAddress": "10.1.0.2"}}}},
            {"Id": "d", "NetworkSettings": null}
        ]"#;
        let labels = BTreeSet::from(["x".to_owned()]);
        let read = |text: &str| {
            // The parts in which a list arrives make no difference.
            let of_parts =
                |size: usize| read(text.as_bytes().chunks(size).map(<[u8]>::to_vec), &labels);
            let whole = of_parts(text.len().max(1));
            for size in 1..9 {
                let parts = of_parts(size).map(|listed| listed.addresses);
                assert_eq!(
                    parts.ok(),
                    whole.as_ref().ok().map(|whole| whole.addresses.clone()),
                    "{text}"
                );
            }
            whole
        };
        let found = read(text).expect("a list");
        let members = [
            ("a", None),
            ("a", Some("n1")),
            ("a", Some("n2")),
            ("d", None),
            ("e", None),
        ];
        let shown = members.map(|(container, network)| found.has_member(container, network));
        assert_eq!(shown, [true, true, false, true, false]);
        let at = |address: &str| {
            found
                .addresses
                .get(&address.parse().expect(address))
                .cloned()
        };
        let db = at("10.0.0.2").flatten().expect("a container");
        assert_eq!((db.id.as_str(), db.name.as_str()), ("a", "db"));
        assert_eq!(db.labels, [("x".to_owned(), "y".to_owned())]);
        assert_eq!(at("fd00::2").flatten(), Some(db));
        assert_eq!(at("10.1.0.2"), Some(None), "two containers claim it");
        assert_eq!((at("10.0.0.3"), found.addresses.len()), (None, 3));
        assert!(read("[]").expect("a list").addresses.is_empty());
        for text in [
            "",
            "{}",
            "[]]",
            "[] x",
            "[,]",
            "[{\"Id\": \"a\"},]",
            "[{\"Id\": \"a\"} {\"Id\": \"b\"}]",
            "[{\"Id\": \"a\"}",
            "[{}]",
            "[{\"Id\": 1}]",
            "[{\"Id\": \"a\", \"Labels\": 1}]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
