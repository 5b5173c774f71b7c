//! The running containers and their addresses, as the engine lists them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use cetusguard_policy::Container;
use serde::Deserialize;

use super::{Asked, DEADLINE, Trouble, fetch, fetch_up_to};
use crate::backend::Backend;

/// A longer list is not read. Ten thousand containers have one of some 20 MiB.
const LIST_LIMIT: usize = 64 << 20;

/// A list that was read.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Who has which address; `None` where several containers claim it.
    addresses: HashMap<IpAddr, Option<Arc<Container>>>,
    /// The networks of every container, by identifiers.
    networks: HashMap<String, Vec<String>>,
    /// Addresses of containers of which something was heard since the list was asked for.
    doubted: HashSet<IpAddr>,
}

/// What a list says of an address.
pub(super) enum Entry {
    /// This container has it.
    Is(Arc<Container>),
    /// Several have it.
    Contested,
    /// Nobody has it.
    Nobody,
    /// Somebody had it of whom something was heard since.
    Doubted,
}

impl Listed {
    /// Looks an address up.
    pub(super) fn entry(&self, address: IpAddr) -> Entry {
        match self.addresses.get(&address) {
            _ if self.doubted.contains(&address) => Entry::Doubted,
            Some(Some(container)) => Entry::Is(Arc::clone(container)),
            Some(None) => Entry::Contested,
            None => Entry::Nobody,
        }
    }

    /// Doubts everything about a container.
    pub(super) fn doubt(&mut self, id: &str) {
        let of_it = |owner: &Option<Arc<Container>>| owner.as_ref().is_none_or(|container| container.id == id);
        self.doubted.extend(self.addresses.iter().filter(|(_, owner)| of_it(owner)).map(|(address, _)| *address));
    }

    /// Returns whether the list shows a container, and shows it in a network if one is given.
    pub(super) fn has_member(&self, container: &str, network: Option<&str>) -> bool {
        let networks = self.networks.get(container);
        networks.is_some_and(|shown| network.is_none_or(|network| shown.iter().any(|one| one == network)))
    }
}

/// What is read of a container (moby `api/types/container.Summary`; Podman's answer has the same fields). Lists that are empty
/// may be `null`.
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

/// Asks for the containers that run now.
pub(super) async fn ask(backend: &Backend) -> Result<Listed, Trouble> {
    let text = fetch_up_to(LIST_LIMIT, backend, "/containers/json", DEADLINE).await?;
    read(&text).map_err(|error| Trouble::Answer(format!("the engine's list of containers cannot be read: {error}")))
}

/// What is read of one container (moby `api/types/container.InspectResponse`; Podman's answer has the same fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    state: Running,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Running {
    running: bool,
}

/// Asks whether a container runs now, and has this address.
pub(super) async fn still_has(backend: &Backend, id: &str, address: IpAddr) -> Result<bool, Trouble> {
    let Asked::Answer(answer) = fetch(backend, &format!("/containers/{id}/json"), DEADLINE).await? else {
        return Ok(false);
    };
    let details: Details = serde_json::from_slice(&answer)
        .map_err(|error| Trouble::Answer(format!("the engine's answer about a container cannot be read: {error}")))?;
    let networks = details.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mut addresses = networks.values().flatten().flat_map(|network| [&network.four, &network.six]);
    Ok(details.state.running && addresses.any(|text| text.parse() == Ok(address)))
}

fn read(text: &[u8]) -> serde_json::Result<Listed> {
    let mut listed = Listed::default();
    for summary in serde_json::from_slice::<Vec<Summary>>(text)? {
        let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let container = Arc::new(Container {
            id: summary.id,
            name: own_name(summary.names.unwrap_or_default()),
            labels: summary.labels.unwrap_or_default().into_iter().collect(),
        });
        let shown = listed.networks.entry(container.id.clone()).or_default();
        for network in networks.into_values().flatten() {
            for address in [&network.four, &network.six].into_iter().filter_map(|text| text.parse().ok()) {
                let entry = listed.addresses.entry(address).or_insert_with(|| Some(Arc::clone(&container)));
                if entry.as_ref().is_some_and(|known| known.id != container.id) {
                    *entry = None;
                }
            }
            shown.push(network.id);
        }
    }
    Ok(listed)
}

/// A container has one name; the others, with more than one slash, are what its links call it.
fn own_name(names: Vec<String>) -> String {
    let plain = |name: &String| name.trim_start_matches('/').to_owned();
    names.iter().map(plain).find(|name| !name.contains('/')).unwrap_or_default()
}

/// A list of containers without addresses, each in one network.
#[cfg(test)]
pub(super) fn listed_for_tests(members: &[(&str, &str)]) -> Listed {
    let own = |(container, network): &(&str, &str)| ((*container).to_owned(), vec![(*network).to_owned()]);
    Listed { networks: members.iter().map(own).collect(), ..Listed::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_every_network() {
        let text = r#"[
            {"Id": "a", "Names": ["/web/db", "/db"], "Labels": {"x": "y"}, "State": "running", "NetworkSettings": {"Networks": {
                "one": {"NetworkID": "n1", "IPAddress": "10.0.0.2", "GlobalIPv6Address": ""}, "two": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"}}}},
            {"Id": "b", "Names": null, "Labels": null, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}, "none": null}}},
            {"Id": "c", "Names": ["c"], "NetworkSettings": {"Networks": {"three": {"IPAddress": "10.1.0.2"}}}},
            {"Id": "d", "NetworkSettings": null}
        ]"#;
        let found = read(text.as_bytes()).expect("a list");
        let members = [("a", None), ("a", Some("n1")), ("a", Some("n2")), ("d", None), ("e", None)];
        let shown = members.map(|(container, network)| found.has_member(container, network));
        assert_eq!(shown, [true, true, false, true, false]);
        let at = |address: &str| found.addresses.get(&address.parse().expect(address)).cloned();
        let db = at("10.0.0.2").flatten().expect("a container");
        assert_eq!((db.id.as_str(), db.name.as_str()), ("a", "db"));
        assert_eq!(db.labels, [("x".to_owned(), "y".to_owned())]);
        assert_eq!(at("fd00::2").flatten(), Some(db));
        assert_eq!(at("10.1.0.2"), Some(None), "two containers claim it");
        assert_eq!((at("10.0.0.3"), found.addresses.len()), (None, 3));
        assert!(read(b"[]").expect("a list").addresses.is_empty());
        for text in ["", "{}", "[{}]", "[{\"Id\": 1}]", "[{\"Id\": \"a\", \"Labels\": 1}]"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
