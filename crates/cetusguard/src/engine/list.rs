//! The running containers and their addresses, as the engine lists them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use cetusguard_policy::Container;
use serde::Deserialize;

use super::{Trouble, get};
use crate::backend::Backend;
use crate::wire::read_content;

/// A longer list is not read. Ten thousand containers have one of some 20 MiB.
const LIST_LIMIT: usize = 64 << 20;

/// A list that was read.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Its number among all that were asked for.
    pub(super) number: u64,
    /// Who has which address; `None` where several containers claim it.
    pub(super) addresses: HashMap<IpAddr, Option<Arc<Container>>>,
    /// Everything that runs, by identifier.
    pub(super) running: HashSet<String>,
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
    #[serde(rename = "IPAddress", default)]
    four: String,
    #[serde(rename = "GlobalIPv6Address", default)]
    six: String,
}

/// Asks for the containers that run now.
pub(super) async fn ask(backend: &Backend) -> Result<Listed, Trouble> {
    let (mut stream, mut body) = get(backend, "/containers/json").await?;
    let mut text = Vec::new();
    let broken = |_| Trouble::Answer("the engine broke off its list of containers".to_owned());
    while read_content(&mut stream.input, &mut body, &mut text).await.map_err(broken)? {
        if text.len() > LIST_LIMIT {
            return Err(Trouble::Answer("the engine's list of containers is larger than 64 MiB".to_owned()));
        }
    }
    read(&text).map_err(|error| Trouble::Answer(format!("the engine's list of containers cannot be read: {error}")))
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
        listed.running.insert(container.id.clone());
        for network in networks.into_values().flatten() {
            for address in [&network.four, &network.six].into_iter().filter_map(|text| text.parse().ok()) {
                let entry = listed.addresses.entry(address).or_insert_with(|| Some(Arc::clone(&container)));
                if entry.as_ref().is_some_and(|known| known.id != container.id) {
                    *entry = None;
                }
            }
        }
    }
    Ok(listed)
}

/// A container has one name; the others, with more than one slash, are what its links call it.
fn own_name(names: Vec<String>) -> String {
    let plain = |name: &String| name.trim_start_matches('/').to_owned();
    names.iter().map(plain).find(|name| !name.contains('/')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_every_network() {
        let text = r#"[
            {"Id": "a", "Names": ["/web/db", "/db"], "Labels": {"x": "y"}, "State": "running", "NetworkSettings": {"Networks": {
                "one": {"IPAddress": "10.0.0.2", "GlobalIPv6Address": ""}, "two": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"}}}},
            {"Id": "b", "Names": null, "Labels": null, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}, "none": null}}},
            {"Id": "c", "Names": ["c"], "NetworkSettings": {"Networks": {"three": {"IPAddress": "10.1.0.2"}}}},
            {"Id": "d", "NetworkSettings": null}
        ]"#;
        let found = read(text.as_bytes()).expect("a list");
        assert_eq!(found.running.len(), 4);
        let at = |address: &str| found.addresses.get(&address.parse().expect(address)).cloned();
        let db = at("10.0.0.2").flatten().expect("a container");
        assert_eq!((db.id.as_str(), db.name.as_str()), ("a", "db"));
        assert_eq!(db.labels, [("x".to_owned(), "y".to_owned())]);
        assert_eq!(at("fd00::2").flatten(), Some(db));
        assert_eq!(at("10.1.0.2"), Some(None), "two containers claim it");
        assert_eq!((at("10.0.0.3"), found.addresses.len()), (None, 3));
        assert!(read(b"[]").expect("a list").running.is_empty());
        for text in ["", "{}", "[{}]", "[{\"Id\": 1}]", "[{\"Id\": \"a\", \"Labels\": 1}]"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
