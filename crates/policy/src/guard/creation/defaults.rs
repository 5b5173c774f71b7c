//! Values that the profile sets in what is created: defaults where the client sets none, labels,
//! and the cgroup.

use std::borrow::Cow;

use super::fields::{Api, Fields};
use super::resources::Amount;
use super::{Creation, find};
use crate::guard::json::Json;

/// Sets the values of a new container or service.
pub(super) fn of_container<'b, 'g: 'b>(
    creation: &'g Creation,
    body: &mut Json<'b>,
    fields: &Fields,
) {
    labels(creation, body, fields.labels);
    if let Some(user) = &creation.default_user {
        set_missing(body, fields.user, Json::Text(user.into()));
    }
    if let (Some(parent), Some(path)) = (&creation.cgroup_parent, fields.cgroup_parent) {
        set(body, path, Json::Text(parent.into()));
    }
    let limits = &fields.resources;
    if let Some(memory) = &creation.default_memory {
        set_missing(body, limits.memory, number(memory));
    }
    if let Some(pids) = &creation.default_pids {
        set_missing(body, limits.pids, number(pids));
    }
    if let Some(cpus) = &creation.default_cpus {
        default_cpus(body, fields, cpus);
    }
    if let Some(address) = creation.default_port_address {
        default_address(body, fields.api, &address.to_string());
    }
    if let Some(network) = &creation.default_network {
        default_network(body, fields.api, network);
    }
}

/// Sets the network of a container or service whose client names none.
///
/// Clients name none by a missing mode, by `default`, and in Podman's own API by a network of the
/// container's own kind (`bridge`, `private`) without a name. Settings for the endpoint stand below
/// the key `default` then, which the engine takes for the name of its default network (moby
/// `daemon.updateContainerNetworkSettings`, Podman `specgen/generate/namespaces.go`).
fn default_network<'b, 'g: 'b>(body: &mut Json<'b>, api: Api, network: &'g str) {
    let (mode, endpoints, unnamed): (_, _, &[&str]) = match api {
        Api::Docker => (
            "HostConfig.NetworkMode",
            "NetworkingConfig.EndpointsConfig",
            &["", DEFAULT_NETWORK],
        ),
        Api::Libpod => (
            "netns.nsmode",
            "Networks",
            &["", DEFAULT_NETWORK, "private", "bridge"],
        ),
        Api::Service => {
            if !is_set(body, "TaskTemplate.Networks") && !is_set(body, "Networks") {
                let target = (Cow::Borrowed("Target"), Json::Text(network.into()));
                let networks = Json::List(vec![Json::Map(vec![target])]);
                set(body, "TaskTemplate.Networks", networks);
            }
            return;
        }
    };
    let has_mode = |name: &&str| *name == find(body, mode).map(Json::text).unwrap_or_default();
    let is_named = !unnamed.iter().any(has_mode)
        || is_set(body, "cni_networks")
        || find(body, endpoints)
            .map(Json::map)
            .unwrap_or_default()
            .iter()
            .any(|(name, _)| name != DEFAULT_NETWORK);
    if is_named {
        return;
    }
    if let Some(Json::Map(map)) = place_of(body, endpoints) {
        for (name, _) in map.iter_mut() {
            *name = Cow::Borrowed(network);
        }
    }
    match api {
        Api::Libpod => {
            set(body, mode, Json::Text("bridge".into()));
            let joined = Json::Map(vec![(Cow::Borrowed(network), Json::Map(Vec::new()))]);
            set_missing(body, endpoints, joined);
        }
        Api::Docker | Api::Service => set(body, mode, Json::Text(network.into())),
    }
}

/// The word for the engine's default network.
const DEFAULT_NETWORK: &str = "default";

fn number<'b, 'g: 'b>(amount: &'g Amount) -> Json<'b> {
    Json::Number(amount.digits())
}

/// Adds the labels of the profile, in place of those of the client that have the same names.
pub(super) fn labels<'b, 'g: 'b>(
    creation: &'g Creation,
    body: &mut Json<'b>,
    paths: &[&'static str],
) {
    for (path, (key, value)) in paths
        .iter()
        .flat_map(|path| creation.added_labels.iter().map(move |label| (path, label)))
    {
        let path = path.split('.').map(Cow::Borrowed);
        if let Some(label) = body.make_path(path.chain([Cow::Borrowed(key.as_str())])) {
            *label = Json::Text(value.into());
        }
    }
}

/// Sets a limit of processors, unless the client sets one in either way.
fn default_cpus<'b, 'g: 'b>(body: &mut Json<'b>, fields: &Fields, cpus: &'g Amount) {
    let limits = &fields.resources;
    let own = limits.nano_cpus.iter().chain(limits.quota.iter().flatten());
    if own.into_iter().any(|path| is_set(body, path)) {
        return;
    }
    match (limits.nano_cpus, limits.quota) {
        (Some(nano), _) => set(body, nano, number(cpus)),
        (None, Some([quota, period])) => {
            set(body, quota, Json::Number(cpus.quota()));
            set(body, period, Json::Number(Amount::PERIOD));
        }
        (None, None) => {}
    }
}

/// Sets the host's address of published ports that have none.
fn default_address(body: &mut Json<'_>, api: Api, address: &str) {
    let bindings: Vec<&mut Json<'_>> = match api {
        Api::Docker => {
            let Some(Json::Map(ports)) = place_of(body, "HostConfig.PortBindings") else {
                return;
            };
            for (_, bindings) in ports.iter_mut() {
                // An empty list is one binding with an empty address for some engines.
                if bindings.list().is_empty() {
                    *bindings = Json::List(vec![Json::Map(Vec::new())]);
                }
            }
            ports
                .iter_mut()
                .filter_map(|(_, bindings)| match bindings {
                    Json::List(bindings) => Some(bindings),
                    _ => None,
                })
                .flatten()
                .collect()
        }
        Api::Libpod => match place_of(body, "portmappings") {
            Some(Json::List(mappings)) => mappings.iter_mut().collect(),
            _ => return,
        },
        // A service publishes its ports at every address of every node.
        Api::Service => return,
    };
    let name = match api {
        Api::Libpod => "host_ip",
        Api::Docker | Api::Service => "HostIp",
    };
    for binding in bindings {
        if matches!(binding, Json::Null) {
            *binding = Json::Map(Vec::new());
        }
        set_missing(binding, name, Json::Text(address.to_owned().into()));
    }
}

/// Returns whether a value is there and not empty.
fn is_set(body: &Json<'_>, path: &str) -> bool {
    find(body, path).is_some_and(|value| !value.is_empty())
}

fn set_missing<'b>(body: &mut Json<'b>, path: &'static str, value: Json<'b>) {
    if !is_set(body, path) {
        set(body, path, value);
    }
}

fn set<'b>(body: &mut Json<'b>, path: &'static str, value: Json<'b>) {
    if let Some(old) = make(body, path) {
        *old = value;
    }
}

/// Returns the value at a path, which is made if it is missing.
fn make<'j, 'b>(body: &'j mut Json<'b>, path: &'static str) -> Option<&'j mut Json<'b>> {
    body.make_path(path.split('.').map(Cow::Borrowed))
}

/// Returns the value at a path; `None` if there is none.
fn place_of<'j, 'b>(body: &'j mut Json<'b>, path: &str) -> Option<&'j mut Json<'b>> {
    body.at_path_mut(path.split('.'))
}
