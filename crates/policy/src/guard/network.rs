//! Networks, and how containers join them.

use core::net::IpAddr;

use ipnet::IpNet;

use super::form::{Field, Form, field, judged};
use super::json::Json;
use super::namespace::namespace_word;
use super::subject::{Role, Slot, Subject};
use super::target::Use;
use super::{Judge, Step};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::request::call::{Call, Version};

/// moby `api/types/network.CreateRequest`.
pub(super) static CREATE: Form = Form::Struct(&[
    judged("Name", Form::Text, new_name),
    field("CheckDuplicate", Form::Bool),
    judged("Driver", Form::Text, driver),
    field("Scope", Form::Text),
    field("EnableIPv4", Form::Bool),
    field("EnableIPv6", Form::Bool),
    field("IPAM", Form::Struct(IPAM)),
    field("Internal", Form::Bool),
    field("Attachable", Form::Bool),
    field("Ingress", Form::Bool),
    field("ConfigOnly", Form::Bool),
    // Takes the parent interface of another network, which the guard cannot see.
    field(
        "ConfigFrom",
        Form::Struct(&[judged("Network", Form::Text, config_from)]),
    ),
    judged("Options", Form::Map(&Form::Text), options),
    field("Labels", Form::Map(&Form::Text)),
]);

const IPAM: &[Field] = &[
    judged("Driver", Form::Text, ipam_driver),
    judged("Options", Form::Map(&Form::Text), options),
    field("Config", Form::List(&Form::Struct(POOL))),
];

const POOL: &[Field] = &[
    judged("Subnet", Form::Text, subnet),
    field("IPRange", Form::Text),
    field("Gateway", Form::Text),
    field("AuxiliaryAddresses", Form::Map(&Form::Text)),
    field("AuxAddress", Form::Map(&Form::Text)),
];

/// moby `api/types/network.EndpointSettings`, with the fields that the engine fills in.
pub(super) const ENDPOINT: &[Field] = &[
    field(
        "IPAMConfig",
        Form::Struct(&[
            judged("IPv4Address", Form::Text, address),
            judged("IPv6Address", Form::Text, address),
            judged("LinkLocalIPs", Form::List(&Form::Text), addresses),
        ]),
    ),
    field("Links", Form::List(&Form::Text)),
    judged("Aliases", Form::List(&Form::Text), names),
    field("MacAddress", Form::Text),
    judged("DriverOpts", Form::Map(&Form::Text), options),
    field("GwPriority", Form::Number),
    // Docker prefers it to the name that is judged (moby `getNetworkID`).
    field("NetworkID", Form::Dropped),
    field("EndpointID", Form::Dropped),
    field("Gateway", Form::Text),
    // Podman takes these two for requested addresses.
    judged("IPAddress", Form::Text, address),
    field("IPPrefixLen", Form::Number),
    field("IPv6Gateway", Form::Text),
    judged("GlobalIPv6Address", Form::Text, address),
    field("GlobalIPv6PrefixLen", Form::Number),
    judged("DNSNames", Form::List(&Form::Text), names),
];

/// The body of a connect.
pub(super) static CONNECT: Form = Form::Struct(&[
    judged("Container", Form::Text, container),
    field("EndpointConfig", Form::Struct(ENDPOINT)),
]);

/// Podman `entities.NetworkConnectOptions`.
pub(super) static LIBPOD_CONNECT: Form = Form::Struct(&[
    judged("container", Form::Text, container),
    judged("static_ips", Form::List(&Form::Text), addresses),
    judged("aliases", Form::List(&Form::Text), names),
    field("static_mac", Form::Text),
    field("interface_name", Form::Text),
    judged("options", Form::Map(&Form::Text), options),
]);

/// Podman `entities.NetworkDisconnectOptions`.
pub(super) static LIBPOD_DISCONNECT: Form = Form::Struct(&[
    judged("Container", Form::Text, container),
    field("Force", Form::Bool),
]);

/// The body of a disconnect.
pub(super) static DISCONNECT: Form = Form::Struct(&[
    judged("Container", Form::Text, container),
    field("Force", Form::Bool),
]);

/// Judges a container that joins or leaves a network.
fn container(judge: &mut Judge<'_>, value: &Json<'_>) {
    if judge.surroundings.proxy_id.is_some() || judge.bounds_objects() {
        judge.look_up(
            ObjectKind::Container,
            value.text(),
            Role::Target(Use::Control),
            ("", ""),
        );
    }
}

/// Judges the names of a container on a network.
pub(super) fn names(judge: &mut Judge<'_>, names: &Json<'_>) {
    for (index, name) in names.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| judge.claim_name(name.text()));
    }
}

/// Judges an address that a container asks for.
pub(super) fn address(judge: &mut Judge<'_>, value: &Json<'_>) {
    match value.text().parse::<IpAddr>() {
        Ok(address) => judge.claim_network(IpNet::from(address)),
        Err(_) if value.text().is_empty() => {}
        Err(_) => judge.malformed("expected an IP address".to_owned()),
    }
}

/// Judges addresses that a container asks for.
pub(super) fn addresses(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, one) in value.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| address(judge, one));
    }
}

/// Private ranges, which no machine on the Internet has (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// Judges the addresses of a network. The engine routes them to it, so that the host no longer
/// reaches other machines with these addresses.
fn subnet(judge: &mut Judge<'_>, value: &Json<'_>) {
    if value.text().is_empty() {
        return;
    }
    let Ok(subnet) = value.text().parse::<IpNet>() else {
        return judge.malformed("expected a network, as in 10.1.0.0/24".to_owned());
    };
    let subnet = subnet.trunc();
    judge.claim_network(subnet);
    let is_private = PRIVATE
        .iter()
        .filter_map(|range| range.parse::<IpNet>().ok())
        .any(|range| range.contains(&subnet));
    if !is_private && !judge.allows_network("subnet", subnet) {
        let hint = judge.hint("subnet", &subnet.to_string());
        judge.refuse(
            "is no private range: the host would reach others of these addresses no more"
                .to_owned(),
            hint,
        );
    }
}

/// Judges the name of a network that a client with a view creates. One that every engine has, which
/// are `ingress` and `docker_gwbridge` in a swarm alone, would be visible to all clients.
fn new_name(judge: &mut Judge<'_>, name: &Json<'_>) {
    judge.judge_new_name(name.text());
    judge.gives_name(ObjectKind::Network, name.text());
    let has_view = judge.owns() || judge.sees_some(ObjectKind::Network);
    if has_view && is_predefined(name.text()) {
        judge.refuse(
            "is the name of a network that belongs to the engine; write another one".to_owned(),
            None,
        );
    }
}

/// Judges the driver: some reach into the host's interfaces.
fn driver(judge: &mut Judge<'_>, value: &Json<'_>) {
    let driver = value.text();
    if !matches!(driver, "" | "default" | "bridge" | "overlay") {
        judge.unless_allowed("network-driver", driver, || {
            format!(
                "the driver {:?} may reach the host's interfaces",
                super::shortened(driver)
            )
        });
    }
}

fn ipam_driver(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !matches!(value.text(), "" | "default") {
        judge.refuse(
            format!(
                "{:?} is not the default IPAM driver",
                super::shortened(value.text())
            ),
            None,
        );
    }
}

fn config_from(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.is_empty() {
        judge.refuse(
            "takes another network's settings, which are not judged".to_owned(),
            None,
        );
    }
}

/// Options that stay within the network.
const HARMLESS: &[&str] = &[
    "com.docker.network.driver.mtu",
    "com.docker.network.container_iface_prefix",
    "com.docker.network.endpoint.ifname",
];

pub(super) fn options(judge: &mut Judge<'_>, options: &Json<'_>) {
    for (name, value) in options.map() {
        let is_stricter = matches!(
            (name.as_ref(), value.text()),
            ("com.docker.network.bridge.enable_icc", "false") | ("encrypted", "" | "true")
        );
        if !is_stricter && !HARMLESS.contains(&name.as_ref()) {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed(
                    "network-option",
                    &format!("{name}={}", value.text()),
                    || "options of networks may reach the host's interfaces".to_owned(),
                );
            });
        }
    }
}

/// Judges the network of a container or of a step of a build: any network by its name, the host's
/// or another container's only if an exception allows it.
pub(super) fn mode(judge: &mut Judge<'_>, mode: &str) {
    if named(judge, mode) {
        joins(judge, mode);
    }
}

/// Returns whether a mode is the name of a network. Judges it if it is a namespace of the host or
/// of another container.
pub(super) fn named(judge: &mut Judge<'_>, mode: &str) -> bool {
    let is_name = !mode.contains([':', '/']) && !mode.trim().eq_ignore_ascii_case("host");
    if !is_name {
        namespace_word(judge, mode, "network", &[]);
    }
    is_name
}

/// Judges the network that a container joins. Its name stays as it is, since other fields of the
/// body refer to it; Docker gets its identifier beside the name.
pub(super) fn joins(judge: &mut Judge<'_>, name: &str) {
    let name = match name {
        "" | "default" | "private" => "bridge",
        name => name,
    };
    let is_network = !matches!(name, "none" | "slirp4netns" | "pasta");
    if is_network && judge.bounds_networks() {
        let (word, place, slot) = (name.to_owned(), judge.place().to_vec(), Slot::Joined);
        judge.add_subject(Subject {
            kind: ObjectKind::Network,
            word,
            role: Role::Network,
            place,
            slot,
        });
    }
}

/// Writes the identifier of a network that a new container joins beside its name.
///
/// Docker looks a network up when the container starts: by its name, it would find another network
/// that has taken the name since the container was created. Podman looks it up at once, and removes
/// no network that a container uses.
pub(super) fn pin(call: &Call, body: &mut Json<'_>, name: &str, id: &str) {
    let creates = call
        .endpoint()
        .is_some_and(|endpoint| endpoint.id == EndpointId::ContainerCreate);
    let endpoints = body
        .get("NetworkingConfig")
        .and_then(|config| config.get("EndpointsConfig"))
        .map_or(&[][..], Json::map);
    // An engine that has one network here ignores a mode beside it, and refuses two.
    let is_ignored = call
        .version()
        .is_some_and(|version| version < Version::SEVERAL_NETWORKS)
        && !endpoints.is_empty()
        && endpoints.iter().all(|(known, _)| known != name);
    if !creates || is_predefined(name) || is_ignored {
        return;
    }
    let path = ["NetworkingConfig", "EndpointsConfig", name, "NetworkID"];
    if let Some(value) = body.make_path(path.map(|key| key.to_owned().into())) {
        *value = Json::Text(id.to_owned().into());
    }
}

/// Judges the networks that a container joins, in a list.
pub(super) fn listed(judge: &mut Judge<'_>, networks: &Json<'_>) {
    for (index, network) in networks.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| mode(judge, network.text()));
    }
}

/// Judges the networks that a container joins, by name.
pub(super) fn endpoints(judge: &mut Judge<'_>, endpoints: &Json<'_>) {
    for (name, _) in endpoints.map() {
        judge.within(Step::Key(name), |judge| mode(judge, name));
    }
}

/// Returns whether every engine has this network, so that it belongs to no client.
pub(crate) fn is_predefined(network: &str) -> bool {
    matches!(
        network,
        "bridge" | "host" | "none" | "ingress" | "docker_gwbridge" | "podman"
    )
}
