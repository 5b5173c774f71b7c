//! Containers that hold the engine's socket, or something of the proxy's own container. A client
//! that can create such a container goes around every rule, so no exception is proposed for it.

use cetusguard_config::address::Address;
use cetusguard_policy::guard::Objection;
use cetusguard_policy::{Detail, Object};

/// The paths of engines' sockets on the host.
const KNOWN: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/var/run/containerd/containerd.sock",
    "/var/run/docker.sock",
    "/var/run/podman/podman.sock",
];

/// The advice for such a container.
const LEAVE_ALONE: &str =
    "have the client leave this container alone, and update it at the engine itself";

/// The paths of engines' sockets on the host.
#[derive(Debug)]
pub(super) struct EngineSockets(Vec<String>);

impl EngineSockets {
    /// Returns the known paths, and the path of the backend.
    pub(super) fn new(backend: &Address) -> Self {
        let known = KNOWN.iter().map(|path| (*path).to_owned());
        let own = match backend {
            Address::Unix(path) => Some(path.display().to_string()),
            Address::Tcp { .. } | Address::Inherited(_) => None,
        };
        Self(known.chain(own).collect())
    }

    /// Returns whether a path of the host is a socket of an engine, or a folder that holds one.
    fn are_below(&self, path: &str) -> bool {
        let is_below = |socket: &String| {
            let rest = socket.strip_prefix(path.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().any(is_below)
    }

    /// Returns whether a volume is a path of the host that holds a socket of an engine.
    pub(super) fn are_in_volume(&self, volume: &Object) -> bool {
        let Detail::Volume { options, .. } = &volume.detail else {
            return false;
        };
        options
            .iter()
            .any(|(name, value)| name == "device" && self.are_below(value))
    }

    /// Returns why no exception should let clients create this container, if the guard objects to
    /// the engine's socket or to something of the proxy's own container. `volumes` are the volumes
    /// that hold a socket.
    pub(super) fn warning(
        &self,
        container: &Object,
        objection: &Objection,
        volumes: &[String],
    ) -> Option<String> {
        let findings = objection.findings();
        let exceptions: Vec<(&str, &str)> = findings
            .iter()
            .filter_map(|finding| finding.allow.as_deref())
            .map(|allow| allow.split_once('=').unwrap_or((allow, "")))
            .collect();
        // The guard has no exception for the socket itself.
        let is_final = findings.iter().any(|finding| finding.allow.is_none());
        let is_of_proxy = exceptions.iter().any(|(kind, _)| *kind == "proxy");
        let offered = exceptions.iter().find_map(|(kind, value)| match *kind {
            "bind" => {
                let path = value.strip_suffix(":ro").unwrap_or(value);
                self.are_below(path).then_some(path)
            }
            "volume" => volumes
                .iter()
                .find(|name| name == value)
                .map(String::as_str),
            _ => None,
        });
        let mounted = container
            .traits()
            .into_iter()
            .flat_map(|traits| &traits.host_paths)
            .find(|path| (is_final || is_of_proxy) && self.are_below(path));
        if let Some(source) = offered.or(mounted.map(String::as_str)) {
            return Some(format!(
                "no exception should allow it: it mounts {source}, and with it the engine's socket, \
                so a client that can create it goes around every rule; {LEAVE_ALONE}"
            ));
        }
        is_of_proxy.then(|| {
            format!(
                "no exception should allow it: it has something of the proxy's own container, so a \
                client that can create it can take the proxy over; {LEAVE_ALONE}"
            )
        })
    }
}
