//! Objects as the engine describes them.

use core::net::IpAddr;

use ipnet::IpNet;

use crate::endpoint::ObjectKind;
use crate::guard::{Json, MalformedJson};

/// The identifier of Podman's default network: the SHA-256 of its name.
const PODMAN_DEFAULT_NETWORK: &str =
    "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";

/// A snapshot of an object, read from the engine's own answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The full identifier; of a volume, which has none, its name.
    pub id: String,
    /// The name, without a slash.
    pub name: String,
    /// The labels. Those of a container include those of its image.
    pub labels: Vec<(String, String)>,
    /// The facts that only objects of its kind have.
    pub detail: Detail,
}

/// The facts that only objects of one kind have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// None that a decision needs.
    #[default]
    Plain,
    /// A container.
    Container(Box<Traits>),
    /// A command in a container.
    Exec {
        /// The identifier of the container.
        container: String,
        /// `true` if it runs with every capability.
        privileged: bool,
        /// The user that it runs as.
        user: String,
        /// Its words.
        command: Vec<String>,
    },
    /// A volume.
    Volume {
        /// Its driver.
        driver: String,
        /// Its options.
        options: Vec<(String, String)>,
    },
    /// A network.
    Network {
        /// Its driver.
        driver: String,
        /// The ranges from which its containers get their addresses.
        subnets: Vec<IpNet>,
    },
    /// A node of a swarm.
    Node {
        /// `true` if it is a manager.
        is_manager: bool,
    },
    /// An image.
    Image {
        /// The user that its containers run as, unless they are given another.
        user: String,
        /// Its tags and digests.
        names: Vec<String>,
    },
    /// A task of a service.
    Task {
        /// The identifier of the service.
        service: String,
    },
    /// A pod, with the identifiers of its containers.
    Pod {
        /// The identifiers of its containers.
        containers: Vec<String>,
    },
}

/// The parts of the host and of the network that a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The image, as it was named when the container was created.
    pub image: String,
    /// The host name that the container sees.
    pub hostname: String,
    /// `true` if it has every right on the host (`--privileged`).
    pub privileged: bool,
    /// The modes of its network, pid and ipc namespaces.
    pub namespaces: Vec<(&'static str, String)>,
    /// Capabilities that it has beside the default ones.
    pub capabilities: Vec<String>,
    /// Devices of the host.
    pub devices: Vec<String>,
    /// Rules by which it may make devices.
    pub device_rules: Vec<String>,
    /// `true` if it sees the files below `/proc` and `/sys` that are hidden by default.
    pub unmasked: bool,
    /// Paths of the host that are mounted.
    pub host_paths: Vec<String>,
    /// Volumes that are mounted, and where the engine keeps them on the host.
    pub volumes: Vec<(String, String)>,
    /// The names of the container on its networks.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Object {
    /// Reads the engine's answer to an inspection.
    ///
    /// # Errors
    /// The answer is not JSON that all readers read alike.
    pub fn read(kind: ObjectKind, answer: &[u8]) -> Result<Self, MalformedJson> {
        Json::read(answer).map(|answer| Self::from_json(kind, &answer))
    }

    /// Reads the engine's answer to an inspection.
    pub(crate) fn from_json(kind: ObjectKind, answer: &Json<'_>) -> Self {
        // The keys that lead to the properties; objects of some kinds have no name or no labels.
        let (id, name, labels): (&str, &[&str], &[&str]) = match kind {
            ObjectKind::Image => {
                let labels = pairs(at(answer, &["Config", "Labels"]));
                return Self::read_image(answer, labels, &["RepoTags", "RepoDigests"]);
            }
            ObjectKind::Container => ("Id", &["Name"], &["Config", "Labels"]),
            ObjectKind::Volume => ("Name", &["Name"], &["Labels"]),
            ObjectKind::Network | ObjectKind::Pod => ("Id", &["Name"], &["Labels"]),
            ObjectKind::Node => ("ID", &["Description", "Hostname"], &["Spec", "Labels"]),
            ObjectKind::Service | ObjectKind::Secret | ObjectKind::Config => {
                ("ID", &["Spec", "Name"], &["Spec", "Labels"])
            }
            ObjectKind::Plugin => ("Id", &["Name"], &[]),
            ObjectKind::Exec | ObjectKind::Task => ("ID", &[], &[]),
        };
        let name = text(answer, name);
        let name = match kind {
            ObjectKind::Container => name.trim_start_matches('/').to_owned(),
            _ => name,
        };
        Self {
            id: text(answer, &[id]),
            name,
            labels: pairs(at(answer, labels)),
            detail: Detail::read(kind, answer),
        }
    }

    /// Describes an image by its name alone.
    pub(crate) fn image_of_name(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            detail: Detail::Image {
                user: String::new(),
                names: vec![name.to_owned()],
            },
            ..Self::default()
        }
    }

    /// Reads an image, whose names are in the lists of these keys.
    pub(crate) fn read_image(
        image: &Json<'_>,
        labels: Vec<(String, String)>,
        keys: &[&str],
    ) -> Self {
        let texts = |key: &&str| image.get(key).map(Json::list).unwrap_or_default();
        let names: Vec<String> = keys
            .iter()
            .flat_map(texts)
            .map(|name| name.text().to_owned())
            .filter(|name| !name.is_empty() && !name.starts_with("<none>"))
            .collect();
        let user = image.get("Config").and_then(|config| config.get("User"));
        Self {
            id: image
                .get("Id")
                .map(Json::text)
                .unwrap_or_default()
                .to_owned(),
            name: names.first().cloned().unwrap_or_default(),
            labels,
            detail: Detail::Image {
                user: user.map(Json::text).unwrap_or_default().to_owned(),
                names,
            },
        }
    }

    /// Returns the facts of a container; `None` for any other object.
    #[must_use]
    pub fn traits(&self) -> Option<&Traits> {
        if let Detail::Container(traits) = &self.detail {
            Some(traits)
        } else {
            None
        }
    }

    /// Returns the tags and digests of an image; none for any other object.
    pub(crate) fn image_names(&self) -> &[String] {
        if let Detail::Image { names, .. } = &self.detail {
            names
        } else {
            &[]
        }
    }

    /// Returns the other name that a network may have: Podman's default network is `podman` in its
    /// own API, and `bridge` in Docker's, which finds it by both (`normalizeNetworkName` in Podman's
    /// `pkg/api/handlers/compat/networks.go`).
    pub(crate) fn possible_alias(&self) -> Option<&'static str> {
        match (&self.detail, self.name.as_str()) {
            (Detail::Network { .. }, "bridge") => Some("podman"),
            (Detail::Network { .. }, "podman") => Some("bridge"),
            _ => None,
        }
    }

    /// Returns the other name of Podman's default network, which has one identifier on every host.
    /// A network of one of the two names on Docker is another one, and has no alias.
    pub(crate) fn alias(&self) -> Option<&'static str> {
        self.possible_alias()
            .filter(|_| self.id == PODMAN_DEFAULT_NETWORK)
    }

    /// Returns the size of its text, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let pairs = |pairs: &[(String, String)]| {
            pairs
                .iter()
                .map(|(one, other)| one.len() + other.len())
                .sum::<usize>()
        };
        let texts = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let detail = self.traits().map_or(0, |traits| {
            texts(&traits.capabilities)
                + texts(&traits.devices)
                + texts(&traits.host_paths)
                + texts(&traits.dns_names)
                + pairs(&traits.volumes)
                + 16 * traits.addresses.len()
        });
        self.id.len() + self.name.len() + pairs(&self.labels) + detail
    }

    /// Returns the value of a label; empty if there is no such label.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.labels
            .iter()
            .find(|(known, _)| known == key)
            .map_or("", |(_, value)| value)
    }
}

impl Detail {
    /// Reads the facts that objects of a kind have.
    fn read(kind: ObjectKind, answer: &Json<'_>) -> Self {
        match kind {
            ObjectKind::Container => Self::Container(Box::new(Traits::read(answer))),
            ObjectKind::Exec => Self::read_exec(answer),
            ObjectKind::Volume => Self::Volume {
                driver: text(answer, &["Driver"]),
                options: pairs(at(answer, &["Options"])),
            },
            ObjectKind::Network => Self::Network {
                driver: text(answer, &["Driver"]),
                subnets: subnets(at(answer, &["IPAM", "Config"])),
            },
            ObjectKind::Node => Self::Node {
                is_manager: text(answer, &["Spec", "Role"]) == "manager",
            },
            ObjectKind::Pod => Self::Pod {
                containers: list(answer, &["Containers"])
                    .iter()
                    .filter_map(|one| one.get("Id"))
                    .map(|id| id.text().to_owned())
                    .collect(),
            },
            ObjectKind::Task => Self::Task {
                service: text(answer, &["ServiceID"]),
            },
            ObjectKind::Image
            | ObjectKind::Plugin
            | ObjectKind::Service
            | ObjectKind::Secret
            | ObjectKind::Config => Self::Plain,
        }
    }

    /// Reads a command in a container.
    fn read_exec(answer: &Json<'_>) -> Self {
        let entrypoint = text(answer, &["ProcessConfig", "entrypoint"]);
        let arguments = list(answer, &["ProcessConfig", "arguments"]).iter();
        let arguments = arguments.map(|word| word.text().to_owned());
        let privileged = at(answer, &["ProcessConfig", "privileged"]);
        Self::Exec {
            container: text(answer, &["ContainerID"]),
            privileged: privileged == Some(&Json::Bool(true)),
            user: text(answer, &["ProcessConfig", "user"]),
            command: std::iter::once(entrypoint).chain(arguments).collect(),
        }
    }
}

/// Returns the value to which keys lead; none without keys.
fn at<'j, 'a>(answer: &'j Json<'a>, keys: &[&str]) -> Option<&'j Json<'a>> {
    let (first, further) = keys.split_first()?;
    further
        .iter()
        .try_fold(answer.get(first)?, |value, key| value.get(key))
}

/// Returns the text to which keys lead; empty if there is none.
fn text(answer: &Json<'_>, keys: &[&str]) -> String {
    at(answer, keys)
        .map(Json::text)
        .unwrap_or_default()
        .to_owned()
}

/// Returns the list to which keys lead; empty if there is none.
fn list<'j, 'a>(answer: &'j Json<'a>, keys: &[&str]) -> &'j [Json<'a>] {
    at(answer, keys).map(Json::list).unwrap_or_default()
}

impl Traits {
    /// Reads moby's `api/types/container.InspectResponse`; Podman's answer has the same fields.
    fn read(answer: &Json<'_>) -> Self {
        let texts = |keys: &[&str]| {
            let list = list(answer, keys).iter();
            list.map(|one| one.text().to_owned()).collect::<Vec<_>>()
        };
        let devices = list(answer, &["HostConfig", "Devices"]).iter();
        let shows_all = |key| {
            let hidden = at(answer, &["HostConfig", key]);
            matches!(hidden, Some(Json::List(list)) if list.is_empty())
        };
        let namespaces = [
            ("network", "NetworkMode"),
            ("pid", "PidMode"),
            ("ipc", "IpcMode"),
        ];
        let mut traits = Self {
            image: text(answer, &["Config", "Image"]),
            hostname: text(answer, &["Config", "Hostname"]),
            privileged: at(answer, &["HostConfig", "Privileged"]) == Some(&Json::Bool(true)),
            namespaces: namespaces
                .map(|(kind, key)| (kind, text(answer, &["HostConfig", key])))
                .to_vec(),
            capabilities: texts(&["HostConfig", "CapAdd"]),
            devices: devices
                .map(|device| text(device, &["PathOnHost"]))
                .collect(),
            device_rules: texts(&["HostConfig", "DeviceCgroupRules"]),
            unmasked: ["MaskedPaths", "ReadonlyPaths"].into_iter().any(shows_all),
            ..Self::default()
        };
        for mount in list(answer, &["Mounts"]) {
            let source = text(mount, &["Source"]);
            match text(mount, &["Type"]).as_str() {
                "volume" => traits.volumes.push((text(mount, &["Name"]), source)),
                "bind" => traits.host_paths.push(source),
                _ => {}
            }
        }
        traits.read_networks(at(answer, &["NetworkSettings", "Networks"]));
        traits
    }

    /// Reads the names and addresses of a container from the map of its networks.
    fn read_networks(&mut self, networks: Option<&Json<'_>>) {
        for (_, network) in networks.map(Json::map).unwrap_or_default() {
            for key in ["Aliases", "DNSNames"] {
                let names = list(network, &[key]).iter();
                self.dns_names
                    .extend(names.map(|name| name.text().to_owned()));
            }
            let addresses = ["IPAddress", "GlobalIPv6Address"].map(|key| text(network, &[key]));
            self.addresses.extend(
                addresses
                    .iter()
                    .filter_map(|text| text.parse::<IpAddr>().ok()),
            );
        }
        self.dns_names.sort_unstable();
        self.dns_names.dedup();
    }

    /// Returns the mode of a namespace.
    pub(crate) fn namespace(&self, kind: &str) -> &str {
        self.namespaces
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or("", |(_, mode)| mode)
    }
}

fn subnets(pools: Option<&Json<'_>>) -> Vec<IpNet> {
    let pools = pools.map(Json::list).unwrap_or_default().iter();
    pools
        .filter_map(|pool| pool.get("Subnet")?.text().parse::<IpNet>().ok())
        .map(|subnet| subnet.trunc())
        .collect()
}

pub(crate) fn pairs(value: Option<&Json<'_>>) -> Vec<(String, String)> {
    let pairs = value.map(Json::map).unwrap_or_default();
    pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.text().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_read_with_what_it_has_of_the_host() {
        let answer = br#"{"Id": "abc", "Name": "/web", "Config": {"Image": "busybox", "Hostname": "h", "Labels": {"a": "b"}},
            "HostConfig": {"Privileged": true, "NetworkMode": "host", "PidMode": "", "CapAdd": ["SYS_ADMIN"],
                "Devices": [{"PathOnHost": "/dev/sda"}]},
            "Mounts": [{"Type": "bind", "Source": "/etc"}, {"Type": "volume", "Name": "v", "Source": "/var/lib/docker/volumes/v/_data"}],
            "NetworkSettings": {"Networks": {"n": {"Aliases": ["web", "abc"], "DNSNames": ["web"], "IPAddress": "10.0.0.2"}}}}"#;
        let object = Object::read(ObjectKind::Container, answer).expect("JSON");
        let traits = object.traits().expect("a container");
        assert_eq!(
            (object.id.as_str(), object.name.as_str(), object.label("a")),
            ("abc", "web", "b")
        );
        assert!(
            traits.privileged
                && traits.namespace("network") == "host"
                && traits.namespace("pid").is_empty()
        );
        assert_eq!(traits.capabilities, ["SYS_ADMIN"]);
        assert_eq!(
            (traits.devices.as_slice(), traits.host_paths.as_slice()),
            (&["/dev/sda".to_owned()][..], &["/etc".to_owned()][..])
        );
        assert_eq!(
            traits.volumes,
            [("v".to_owned(), "/var/lib/docker/volumes/v/_data".to_owned())]
        );
        assert_eq!(traits.dns_names, ["abc", "web"]);
        assert_eq!(
            traits.addresses,
            ["10.0.0.2".parse::<IpAddr>().expect("an address")]
        );
    }

    #[test]
    fn every_kind_is_read() {
        for (kind, answer, id, name) in [
            (
                ObjectKind::Volume,
                r#"{"Name": "v", "Driver": "local", "Options": null}"#,
                "v",
                "v",
            ),
            (
                ObjectKind::Network,
                r#"{"Id": "n1", "Name": "front", "Driver": "bridge"}"#,
                "n1",
                "front",
            ),
            (
                ObjectKind::Service,
                r#"{"ID": "s1", "Spec": {"Name": "web"}}"#,
                "s1",
                "web",
            ),
            (
                ObjectKind::Node,
                r#"{"ID": "d1", "Spec": {"Role": "manager"}, "Description": {"Hostname": "h"}}"#,
                "d1",
                "h",
            ),
            (
                ObjectKind::Image,
                r#"{"Id": "sha256:1", "RepoTags": ["busybox:latest"]}"#,
                "sha256:1",
                "busybox:latest",
            ),
            (
                ObjectKind::Exec,
                r#"{"ID": "e1", "ContainerID": "c1"}"#,
                "e1",
                "",
            ),
            (
                ObjectKind::Pod,
                r#"{"Id": "p1", "Name": "p", "Containers": [{"Id": "c1"}]}"#,
                "p1",
                "p",
            ),
        ] {
            let object = Object::read(kind, answer.as_bytes()).expect("JSON");
            assert_eq!(
                (object.id.as_str(), object.name.as_str()),
                (id, name),
                "{answer}"
            );
        }
        assert!(
            Object::read(
                ObjectKind::Volume,
                b"{\"Name\":\"a\",\"name\":1,\"Name\":2}"
            )
            .is_err()
        );
    }
}
