//! Published ports, and the host's addresses at which they are published.

use core::net::IpAddr;
use std::fmt;

use super::fields::Api;
use super::{Creation, allows, find};
use crate::guard::json::Json;
use crate::guard::{Judge, Step};

/// The first and the last port of a range.
type Range = (u16, u16);

/// A pattern for a published port: `HOST[:CONTAINER][/PROTOCOL]`, where `HOST` is a port or a range
/// of the host, or `auto` for a port that the engine chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPattern {
    /// `None` for a port that the engine chooses.
    host: Option<Range>,
    container: Option<Range>,
    protocol: Option<&'static str>,
    text: String,
}

const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

impl PortPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let expected = "expected HOST[:CONTAINER][/PROTOCOL], as in 8000-8999, 8080:80/tcp or auto";
        let (ports, protocol) = text
            .split_once('/')
            .map_or((text, None), |(ports, protocol)| (ports, Some(protocol)));
        let (host, container) = ports
            .split_once(':')
            .map_or((ports, None), |(host, container)| (host, Some(container)));
        let protocol = match protocol {
            None => None,
            Some(word) => Some(
                PROTOCOLS
                    .into_iter()
                    .find(|known| *known == word)
                    .ok_or(expected)?,
            ),
        };
        let host = match host {
            "auto" => None,
            host => Some(range(host).ok_or(expected)?),
        };
        let container = match container {
            None => None,
            Some(container) => Some(range(container).ok_or(expected)?),
        };
        Ok(Self {
            host,
            container,
            protocol,
            text: text.to_owned(),
        })
    }

    fn fits(&self, port: &Port<'_>) -> bool {
        let is_host = match (self.host, port.host) {
            (Some(allowed), Some(host)) => contains(allowed, host),
            (None, None) => true,
            _ => false,
        };
        is_host
            && self
                .container
                .is_none_or(|allowed| contains(allowed, port.container))
            && self
                .protocol
                .is_none_or(|protocol| protocol == port.protocol)
    }
}

impl fmt::Display for PortPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn contains((first, last): Range, (from, to): Range) -> bool {
    first <= from && to <= last
}

/// Reads `N` or `N-M`, ports from 1 on.
fn range(text: &str) -> Option<Range> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|port| is_plain && *port > 0)
    };
    let range = (port(first)?, port(last)?);
    (range.0 <= range.1).then_some(range)
}

/// A port that a body publishes.
#[derive(Clone, Copy, Debug)]
struct Port<'j> {
    /// `None` for a port that the engine chooses.
    host: Option<Range>,
    container: Range,
    protocol: &'j str,
    /// The host's address; empty for all of them.
    address: &'j str,
}

/// Judges the ports that a container or a service publishes.
pub(super) fn published(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>, api: Api) {
    if creation.ports.is_none() && creation.port_addresses.is_none() {
        return;
    }
    match api {
        Api::Docker => {
            all_ports(judge, creation, body, "HostConfig.PublishAllPorts");
            bindings(judge, creation, body);
        }
        Api::Libpod => {
            all_ports(judge, creation, body, "publish_image_ports");
            mappings(judge, creation, body);
        }
        Api::Service => service_ports(judge, creation, body),
    }
}

/// Refuses the switch that publishes every port that the image names, at every address of the host.
fn all_ports(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>, path: &'static str) {
    if find(body, path) == Some(&Json::Bool(true)) {
        let key = match creation.ports {
            Some(_) => "allow-ports",
            None => "allow-port-addresses",
        };
        let what = "publishes every port that the image names, at every address of the host";
        judge.unmet_at(path, key, what, "asks for each port by itself");
    }
}

/// Judges Docker's `PortBindings`: lists of bindings by `PORT[/PROTOCOL]`.
fn bindings(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>) {
    let ports = find(body, "HostConfig.PortBindings")
        .map(Json::map)
        .unwrap_or_default();
    for (key, bindings) in ports {
        let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        // Later engines take a port without a binding for one with an empty binding.
        let empty = [Json::Null];
        let bindings = match bindings.list() {
            [] => &empty[..],
            bindings => bindings,
        };
        for (index, binding) in bindings.iter().enumerate() {
            let text = |name| binding.get(name).map(Json::text).unwrap_or_default();
            let host = match text("HostPort") {
                "" | "0" => Some(None),
                host => range(host).map(Some),
            };
            judge.within(Step::Field("HostConfig.PortBindings"), |judge| {
                judge.within(Step::Key(key), |judge| {
                    judge.within(Step::Index(index), |judge| {
                        let (Some(host), Some(container)) = (host, range(number)) else {
                            let what = "expected a port, or a range of ports, from 1 to 65535";
                            return judge.malformed(what.to_owned());
                        };
                        let address = text("HostIp");
                        one(
                            judge,
                            creation,
                            Port {
                                host,
                                container,
                                protocol,
                                address,
                            },
                        );
                    });
                });
            });
        }
    }
}

/// Judges Podman's `portmappings`, each of which may be a range.
fn mappings(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>) {
    let ports = find(body, "portmappings")
        .map(Json::list)
        .unwrap_or_default();
    for (index, mapping) in ports.iter().enumerate() {
        let number = |name| whole(mapping, name);
        let range = number("range").map(|count| count.max(1) - 1);
        let from = |first: Option<u16>| Some((first?, first?.checked_add(range?)?));
        let host = match number("host_port") {
            Some(0) => Some(None),
            first => from(first).map(Some),
        };
        let container = from(number("container_port").filter(|port| *port > 0));
        let text = |name| mapping.get(name).map(Json::text).unwrap_or_default();
        judge.within(Step::Field("portmappings"), |judge| {
            judge.within(Step::Index(index), |judge| {
                let (Some(host), Some(container)) = (host, container) else {
                    let what = "expected ports from 1 to 65535";
                    return judge.malformed(what.to_owned());
                };
                let protocols = match text("protocol") {
                    "" => "tcp",
                    protocols => protocols,
                };
                for protocol in protocols.split(',') {
                    let address = text("host_ip");
                    one(
                        judge,
                        creation,
                        Port {
                            host,
                            container,
                            protocol,
                            address,
                        },
                    );
                }
            });
        });
    }
}

/// Judges the ports of a service, which every node of the swarm publishes at all of its addresses.
fn service_ports(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>) {
    let ports = find(body, "EndpointSpec.Ports")
        .map(Json::list)
        .unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        let host = whole(port, "PublishedPort");
        let container = whole(port, "TargetPort").filter(|port| *port > 0);
        judge.within(Step::Field("EndpointSpec.Ports"), |judge| {
            judge.within(Step::Index(index), |judge| {
                let (Some(host), Some(container)) = (host, container) else {
                    let what = "expected ports from 1 to 65535";
                    return judge.malformed(what.to_owned());
                };
                let protocol = match port.get("Protocol").map(Json::text).unwrap_or_default() {
                    "" => "tcp",
                    protocol => protocol,
                };
                let port = Port {
                    host: (host > 0).then_some((host, host)),
                    container: (container, container),
                    protocol,
                    address: "",
                };
                one(judge, creation, port);
            });
        });
    }
}

/// Returns the port at a field; zero if it is missing.
fn whole(value: &Json<'_>, name: &str) -> Option<u16> {
    match value.get(name) {
        None => Some(0),
        Some(Json::Number(digits)) => digits.parse().ok(),
        Some(_) => None,
    }
}

fn one(judge: &mut Judge<'_>, creation: &Creation, port: Port<'_>) {
    // Engines compare protocols in lower case.
    let protocol = port.protocol.to_ascii_lowercase();
    let port = Port {
        protocol: &protocol,
        ..port
    };
    if let Some(allowed) = &creation.ports
        && !allowed.iter().any(|pattern| pattern.fits(&port))
    {
        let host = match port.host {
            None => "a port of the engine's choice".to_owned(),
            Some((first, last)) if first == last => format!("the host's port {first}"),
            Some((first, last)) => format!("the host's ports {first}-{last}"),
        };
        let (protocol, container) = (crate::guard::shortened(port.protocol), port.container.0);
        let what = format!("publishes {container}/{protocol} at {host}");
        judge.unmet("allow-ports", what, allows(allowed));
    }
    if let Some(allowed) = &creation.port_addresses {
        let address = port.address;
        let is_allowed = address.parse::<IpAddr>().is_ok_and(|address| {
            let address = address.to_canonical();
            allowed.iter().any(|network| network.contains(&address))
        });
        if !is_allowed {
            let what = match address {
                "" => "publishes a port at every address of the host".to_owned(),
                address => format!("publishes a port at {:?}", crate::guard::shortened(address)),
            };
            judge.unmet("allow-port-addresses", what, allows(allowed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_fits_as_a_whole() {
        let port = |host, container, protocol| Port {
            host,
            container,
            protocol,
            address: "",
        };
        for (pattern, port, want) in [
            ("8080", port(Some((8080, 8080)), (80, 80), "tcp"), true),
            ("8080", port(Some((8080, 8081)), (80, 80), "tcp"), false),
            ("8080", port(None, (80, 80), "tcp"), false),
            ("8000-8999", port(Some((8080, 8090)), (80, 80), "udp"), true),
            (
                "8000-8999",
                port(Some((7999, 8000)), (80, 80), "udp"),
                false,
            ),
            ("auto", port(None, (80, 80), "tcp"), true),
            ("auto", port(Some((80, 80)), (80, 80), "tcp"), false),
            ("auto:80/tcp", port(None, (80, 80), "tcp"), true),
            ("auto:80/tcp", port(None, (81, 81), "tcp"), false),
            (
                "8080:80/tcp",
                port(Some((8080, 8080)), (80, 80), "udp"),
                false,
            ),
            (
                "8080:80-90",
                port(Some((8080, 8080)), (85, 85), "udp"),
                true,
            ),
        ] {
            let read = PortPattern::read(pattern).expect(pattern);
            assert_eq!(read.fits(&port), want, "{pattern}: {port:?}");
        }
        for text in [
            "",
            "0",
            "65536",
            "9-8",
            "80:",
            "80/icmp",
            "+80",
            "127.0.0.1:80",
            "a",
        ] {
            assert!(PortPattern::read(text).is_err(), "{text}");
        }
    }
}
