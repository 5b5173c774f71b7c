//! Networks, and how containers join them.

use super::Judge;
use super::form::{Field, Form, Step, field, judged};
use super::host_config::namespace;
use super::json::Json;

/// moby `api/types/network.CreateRequest`.
pub(super) static CREATE: Form = Form::Struct(&[
    field("Name", Form::Text),
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
    // It takes another network's parent interface, which nobody sees here.
    field("ConfigFrom", Form::Struct(&[judged("Network", Form::Text, config_from)])),
    judged("Options", Form::Map(&Form::Text), options),
    field("Labels", Form::Map(&Form::Text)),
]);

const IPAM: &[Field] = &[
    judged("Driver", Form::Text, ipam_driver),
    judged("Options", Form::Map(&Form::Text), options),
    field("Config", Form::List(&Form::Struct(POOL))),
];

const POOL: &[Field] = &[
    field("Subnet", Form::Text),
    field("IPRange", Form::Text),
    field("Gateway", Form::Text),
    field("AuxiliaryAddresses", Form::Map(&Form::Text)),
    field("AuxAddress", Form::Map(&Form::Text)),
];

/// moby `api/types/network.EndpointSettings`; what the engine found out about an endpoint comes back with it.
pub(super) const ENDPOINT: &[Field] = &[
    field(
        "IPAMConfig",
        Form::Struct(&[
            field("IPv4Address", Form::Text),
            field("IPv6Address", Form::Text),
            field("LinkLocalIPs", Form::List(&Form::Text)),
        ]),
    ),
    field("Links", Form::List(&Form::Text)),
    field("Aliases", Form::List(&Form::Text)),
    field("MacAddress", Form::Text),
    judged("DriverOpts", Form::Map(&Form::Text), options),
    field("GwPriority", Form::Number),
    field("NetworkID", Form::Text),
    field("EndpointID", Form::Text),
    field("Gateway", Form::Text),
    field("IPAddress", Form::Text),
    field("IPPrefixLen", Form::Number),
    field("IPv6Gateway", Form::Text),
    field("GlobalIPv6Address", Form::Text),
    field("GlobalIPv6PrefixLen", Form::Number),
    field("DNSNames", Form::List(&Form::Text)),
];

/// The body of a connect.
pub(super) static CONNECT: Form =
    Form::Struct(&[field("Container", Form::Text), field("EndpointConfig", Form::Struct(ENDPOINT))]);

/// The body of a disconnect.
pub(super) static DISCONNECT: Form = Form::Struct(&[field("Container", Form::Text), field("Force", Form::Bool)]);

/// Those whose interfaces are the engine's own; others reach into the host's.
fn driver(judge: &mut Judge<'_>, value: &Json<'_>) {
    let driver = value.text();
    if !matches!(driver, "" | "default" | "bridge" | "overlay") {
        judge.unless_allowed("network-driver", driver, || {
            format!("the driver {:?} may reach the host's interfaces", super::shown(driver))
        });
    }
}

fn ipam_driver(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !matches!(value.text(), "" | "default") {
        judge.refuse(format!("{:?} is not the default IPAM driver", super::shown(value.text())), None);
    }
}

fn config_from(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.is_empty() {
        judge.refuse("takes another network's settings, which are not judged".to_owned(), None);
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
        if !HARMLESS.contains(&name.as_ref()) {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("network-option", &format!("{name}={}", value.text()), || {
                    "options of networks may reach the host's interfaces".to_owned()
                });
            });
        }
    }
}

/// The network that a container, or a step of a build, gets: any by its name, the host's or another container's only where it is allowed.
pub(super) fn mode(judge: &mut Judge<'_>, mode: &str) {
    let is_name = !mode.contains([':', '/']) && !mode.trim().eq_ignore_ascii_case("host");
    if !is_name {
        namespace(judge, mode, "network", &[]);
    }
}

/// The networks that a container joins, by name.
pub(super) fn endpoints(judge: &mut Judge<'_>, endpoints: &Json<'_>) {
    for (name, _) in endpoints.map() {
        judge.within(Step::Key(name), |judge| mode(judge, name));
    }
}
