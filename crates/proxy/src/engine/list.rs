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

use super::arriving::{Elements, Single, fetch_json};
use super::{AGENT, DEADLINE, EngineError};
use crate::engine::backend::Backend;

/// The request for a list.
const TARGET: &str = "/containers/json";

/// The number of containers from which on a list costs the engine more than the few inspections
/// that it would save.
const LONG: usize = 250;

/// A list of the running containers.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The container of each address; `None` if several claim it.
    addresses: HashMap<IpAddr, Option<Arc<Container>>>,
    /// Every container, by its identifier.
    members: HashMap<String, ContainerPlaces>,
    /// The addresses of containers that an event was about since the list was asked for.
    doubted: HashSet<IpAddr>,
}

/// The places of a container.
#[derive(Debug, Default)]
struct ContainerPlaces {
    /// The identifiers of its networks.
    networks: Vec<Arc<str>>,
    addresses: Vec<IpAddr>,
}

/// The entry of an address in a list.
pub(super) enum AddressEntry {
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
    pub(super) fn entry(&self, address: IpAddr) -> AddressEntry {
        match self.addresses.get(&address) {
            _ if self.doubted.contains(&address) => AddressEntry::Doubted,
            Some(Some(container)) => AddressEntry::Is(Arc::clone(container)),
            Some(None) => AddressEntry::Contested,
            None => AddressEntry::Nobody,
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
) -> Result<Listed, EngineError> {
    let elements = elements(labels);
    match fetch_json(AGENT, backend, TARGET, DEADLINE, elements).await? {
        Some(lister) => Ok(lister.listed),
        None => Err(EngineError::Status(404, TARGET.to_owned())),
    }
}

/// Returns the seed that reads a list.
fn elements(labels: &Arc<BTreeSet<String>>) -> Elements<Summary, Lister> {
    let lister = Lister {
        labels: Arc::clone(labels),
        networks: HashSet::new(),
        listed: Listed::default(),
    };
    Elements {
        member: None,
        sum: lister,
        add: Lister::add,
    }
}

/// The fields of one container that are read (moby `api/types/container.InspectResponse`; Podman's
/// answer has the same fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    name: String,
    state: RunningContainer,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunningContainer {
    running: bool,
}

/// Asks whether a container runs now, and still has its name and this address.
pub(super) async fn is_still(
    container: &Container,
    address: IpAddr,
    backend: &Backend,
) -> Result<bool, EngineError> {
    let target = format!("/containers/{}/json", container.id);
    let details = Single::<Details>::new();
    let Some(details) = fetch_json(AGENT, backend, &target, DEADLINE, details).await? else {
        return Ok(false);
    };
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

/// The reader of a list, which keeps the needed fields of each container.
struct Lister {
    labels: Arc<BTreeSet<String>>,
    /// The identifiers of networks, each of which many containers share.
    networks: HashSet<Arc<str>>,
    listed: Listed,
}

impl Lister {
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
        let mut member = ContainerPlaces::default();
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
pub(super) fn own_name(names: Vec<String>) -> String {
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
            ContainerPlaces {
                networks: vec![(*network).into()],
                ..ContainerPlaces::default()
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
    use super::super::arriving::read_in_parts;
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
        let labels = Arc::new(BTreeSet::from(["x".to_owned()]));
        let read = |text: &str| read_in_parts(text, || elements(&labels)).map(|read| read.listed);
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
            "{}",
            "[{}]",
            "[{\"Id\": 1}]",
            "[{\"Id\": \"a\", \"Labels\": 1}]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
