//! The places of an answer that hold values of a class, as one table of names and a few of objects.
//!
//! A name that means the same wherever an engine uses it stands in [`NAMES`], and counts at every
//! depth of every answer. So second copies of an object (`PreviousSpec`, `ContainerConfig`) and
//! objects of newer engines are covered without a row of their own. A name with several meanings
//! (`Path`, `Name`, `Status`) stands in the table of its object, which comes first.
//!
//! Sources: moby `api/types` and `api/swagger.yaml` of API 1.41 to 1.56; containers/podman
//! `libpod/define`, `pkg/domain/entities` and `pkg/api/handlers` of 4.3 to 6.0-dev.

use std::sync::LazyLock;

use super::class::{
    ADDRESSES, COMMANDS, Classes, ENV, HOST, HOST_PATHS, LABELS, PROXIES, REGISTRIES, TOKENS, USERS,
};
use super::replace::ValueForm::{self, *};
use super::{Redaction, event, processes};
use crate::guard::Json;

/// The description of a value.
pub(super) enum ValueShape {
    /// A value of one of these classes, which this form replaces.
    Replace(Classes, ValueForm),
    /// Labels by their keys, or annotations.
    Labels,
    /// An object with these members.
    Object(&'static [Member]),
    /// An object whose keys are free: names of networks, identifiers of containers.
    Each(&'static ValueShape),
    /// An object that a function redacts, since its members depend on each other. The members are
    /// for those that come one by one, and for those that the function leaves to them.
    Whole(Rewrite, &'static [Member]),
    /// A value without a class of its own.
    Plain,
}

/// A function that redacts an object as a whole.
pub(super) type Rewrite = fn(&Redaction, &ValueShape, &mut Json<'_>);

/// The name of a member of an object, and its description.
type Member = (&'static str, ValueShape);

impl ValueShape {
    /// Returns the description of a member.
    pub(super) fn member(&self, key: &str) -> &Self {
        let own: &[Member] = match self {
            Self::Object(members) | Self::Whole(_, members) => members,
            Self::Each(part) => return part,
            _ => &[],
        };
        own.iter()
            .find(|(name, _)| *name == key)
            .map(|(_, part)| part)
            .or_else(|| by_name(key))
            .unwrap_or(&Self::Plain)
    }

    /// Returns the description of the elements, if the value turns out to be a list. Lists are
    /// described by their elements; an object with free keys inside a list has keys of its own.
    pub(super) fn element(&self) -> &Self {
        match self {
            Self::Each(_) => &Self::Plain,
            _ => self,
        }
    }
}

/// Returns the description that a name has at any depth. Engines write some names in two ways
/// (`Labels`, `labels`), so the case of ASCII letters does not count.
fn by_name(key: &str) -> Option<&'static ValueShape> {
    /// The names of each length, by their first letter: most keys meet one name or none.
    static BY_START: LazyLock<Vec<[Vec<&'static Member>; FIRST_LETTERS]>> = LazyLock::new(|| {
        let longest = NAMES.iter().map(|(name, _)| name.len()).max();
        let mut names = Vec::new();
        names.resize_with(longest.unwrap_or_default() + 1, Default::default);
        for member in NAMES {
            let of_length: &mut [Vec<_>; FIRST_LETTERS] = &mut names[member.0.len()];
            of_length[first_letter(member.0)].push(member);
        }
        names
    });
    let candidates = &BY_START.get(key.len())?[first_letter(key)];
    candidates
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, part)| part)
}

/// The number of values of [`first_letter`].
const FIRST_LETTERS: usize = 32;

/// Returns the place of a key's first letter in the alphabet. It is the same in both cases.
fn first_letter(key: &str) -> usize {
    let first = key.bytes().next().unwrap_or_default();
    usize::from(first) % FIRST_LETTERS
}

/// The classes of the options of a driver: addresses, paths and credentials.
const DRIVER: Classes = TOKENS.and(HOST_PATHS).and(ADDRESSES);
/// A command that creates a container, with all of its settings.
const CREATION: Classes = COMMANDS
    .and(ENV)
    .and(LABELS)
    .and(HOST_PATHS)
    .and(ADDRESSES)
    .and(PROXIES)
    .and(TOKENS)
    .and(USERS);
/// A step of a build: `RUN`, but `ENV` and `LABEL` as well, and its arguments.
const BUILD_STEP: Classes = COMMANDS.and(ENV).and(LABELS).and(PROXIES).and(TOKENS);
/// The classes that the reason for a failed container can repeat.
const FAILURE: Classes = COMMANDS.and(ENV).and(HOST_PATHS).and(ADDRESSES).and(TOKENS);
/// The classes that a warning can repeat.
const WARNING: Classes = HOST_PATHS.and(ADDRESSES).and(REGISTRIES);

const DEVICE: &[Member] = &[
    ("Path", ValueShape::Replace(HOST_PATHS, Path)),
    ("PathOnHost", ValueShape::Replace(HOST_PATHS, Path)),
];

/// The names that mean the same in every answer.
static NAMES: &[Member] = &[
    // Environment.
    ("Env", ValueShape::Replace(ENV.and(PROXIES), Env)),
    ("Environment", ValueShape::Replace(ENV.and(PROXIES), Env)),
    // Commands.
    ("Args", ValueShape::Replace(COMMANDS, Text)),
    ("Arguments", ValueShape::Replace(COMMANDS, Text)),
    ("Cmd", ValueShape::Replace(COMMANDS, Text)),
    ("cmdline", ValueShape::Replace(COMMANDS, Text)),
    ("Command", ValueShape::Replace(COMMANDS, Text)),
    ("CreateCommand", ValueShape::Replace(CREATION, Text)),
    ("CreatedBy", ValueShape::Replace(BUILD_STEP, Text)),
    ("created_by", ValueShape::Replace(BUILD_STEP, Text)),
    ("Entrypoint", ValueShape::Replace(COMMANDS, Text)),
    ("OnBuild", ValueShape::Replace(BUILD_STEP, Text)),
    ("Output", ValueShape::Replace(COMMANDS, Text)),
    ("RunLabel", ValueShape::Replace(COMMANDS, Text)),
    ("runtimeArgs", ValueShape::Replace(COMMANDS, Text)),
    ("Shell", ValueShape::Replace(COMMANDS, Text)),
    ("Test", ValueShape::Replace(COMMANDS, Test)),
    // Labels.
    ("Annotations", ValueShape::Labels),
    ("Labels", ValueShape::Labels),
    ("Segments", ValueShape::Labels),
    // Paths of the host.
    ("Binds", ValueShape::Replace(HOST_PATHS, Bind)),
    ("BlkioDeviceReadBps", ValueShape::Object(DEVICE)),
    ("BlkioDeviceReadIOps", ValueShape::Object(DEVICE)),
    ("BlkioDeviceWriteBps", ValueShape::Object(DEVICE)),
    ("BlkioDeviceWriteIOps", ValueShape::Object(DEVICE)),
    ("BlkioWeightDevice", ValueShape::Object(DEVICE)),
    ("CDISpecDirs", ValueShape::Replace(HOST_PATHS, Path)),
    ("CgroupParent", ValueShape::Replace(HOST_PATHS, Path)),
    ("CgroupPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("CheckpointLog", ValueShape::Replace(HOST_PATHS, Path)),
    ("CheckpointPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("ChrootDirs", ValueShape::Replace(HOST_PATHS, Path)),
    ("CIDFile", ValueShape::Replace(HOST_PATHS, Path)),
    ("configFile", ValueShape::Replace(HOST_PATHS, Path)),
    ("ConmonPidFile", ValueShape::Replace(HOST_PATHS, Path)),
    ("ContainerIDFile", ValueShape::Replace(HOST_PATHS, Path)),
    (
        "CredentialSpec",
        ValueShape::Object(&[
            ("File", ValueShape::Replace(HOST_PATHS, Path)),
            ("Registry", ValueShape::Replace(HOST_PATHS, Path)),
        ]),
    ),
    ("Devices", ValueShape::Object(DEVICE)),
    ("DockerRootDir", ValueShape::Replace(HOST_PATHS, Path)),
    ("executable", ValueShape::Replace(HOST_PATHS, Path)),
    (
        "GraphDriver",
        ValueShape::Object(&[("Data", ValueShape::Replace(HOST_PATHS, Path))]),
    ),
    ("graphRoot", ValueShape::Replace(HOST_PATHS, Path)),
    (
        "HealthLogDestination",
        ValueShape::Replace(HOST_PATHS, Path),
    ),
    ("HostnamePath", ValueShape::Replace(HOST_PATHS, Path)),
    ("HostsFile", ValueShape::Replace(HOST_PATHS, Path)),
    ("HostsPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("imageCopyTmpDir", ValueShape::Replace(HOST_PATHS, Path)),
    ("InitBinary", ValueShape::Replace(HOST_PATHS, Path)),
    ("LogPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("Mountpoint", ValueShape::Replace(HOST_PATHS, Path)),
    ("OCIConfigPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("PathOnHost", ValueShape::Replace(HOST_PATHS, Path)),
    ("PidFile", ValueShape::Replace(HOST_PATHS, Path)),
    ("PropagatedMount", ValueShape::Replace(HOST_PATHS, Path)),
    ("ResolvConfPath", ValueShape::Replace(HOST_PATHS, Path)),
    ("RestoreLog", ValueShape::Replace(HOST_PATHS, Path)),
    ("runRoot", ValueShape::Replace(HOST_PATHS, Path)),
    ("SandboxKey", ValueShape::Replace(HOST_PATHS, Path)),
    ("sdNotifySocket", ValueShape::Replace(HOST_PATHS, Path)),
    ("seccompProfilePath", ValueShape::Replace(HOST_PATHS, Path)),
    ("SecurityOpt", ValueShape::Replace(HOST_PATHS, PathOption)),
    ("security_opt", ValueShape::Replace(HOST_PATHS, PathOption)),
    ("Source", ValueShape::Replace(HOST_PATHS, Source)),
    ("StaticDir", ValueShape::Replace(HOST_PATHS, Path)),
    ("volumePath", ValueShape::Replace(HOST_PATHS, Path)),
    // Addresses and names in networks.
    (
        "AdditionalMACAddresses",
        ValueShape::Replace(ADDRESSES, Mac),
    ),
    ("Addr", ValueShape::Replace(ADDRESSES, Address)),
    ("Address", ValueShape::Replace(ADDRESSES, Address)),
    ("Addresses", ValueShape::Replace(ADDRESSES, Address)),
    ("Aliases", ValueShape::Replace(ADDRESSES, Text)),
    ("AuxAddress", ValueShape::Replace(ADDRESSES, Address)),
    (
        "AuxiliaryAddresses",
        ValueShape::Replace(ADDRESSES, Address),
    ),
    ("Base", ValueShape::Replace(ADDRESSES, Address)),
    ("ClusterAdvertise", ValueShape::Replace(ADDRESSES, Address)),
    ("ClusterStore", ValueShape::Replace(ADDRESSES, Address)),
    ("DefaultAddrPool", ValueShape::Replace(ADDRESSES, Address)),
    ("Dns", ValueShape::Replace(ADDRESSES, Address)),
    ("DNSNames", ValueShape::Replace(ADDRESSES, Text)),
    (
        "DNSConfig",
        ValueShape::Object(&[("Options", ValueShape::Replace(ADDRESSES, Text))]),
    ),
    ("DnsOptions", ValueShape::Replace(ADDRESSES, Text)),
    ("DNSOption", ValueShape::Replace(ADDRESSES, Text)),
    ("DnsSearch", ValueShape::Replace(ADDRESSES, Text)),
    ("DNSServer", ValueShape::Replace(ADDRESSES, Address)),
    ("Domainname", ValueShape::Replace(ADDRESSES, Text)),
    ("end_ip", ValueShape::Replace(ADDRESSES, Address)),
    ("EndpointIP", ValueShape::Replace(ADDRESSES, Address)),
    ("ExtraHosts", ValueShape::Replace(ADDRESSES, HostEntry)),
    ("Gateway", ValueShape::Replace(ADDRESSES, Address)),
    ("GlobalIPv6Address", ValueShape::Replace(ADDRESSES, Address)),
    ("HostAdd", ValueShape::Replace(ADDRESSES, HostEntry)),
    ("HostIp", ValueShape::Replace(ADDRESSES, Address)),
    ("host_ip", ValueShape::Replace(ADDRESSES, Address)),
    ("Hostname", ValueShape::Replace(ADDRESSES, Text)),
    ("Hosts", ValueShape::Replace(ADDRESSES, HostEntry)),
    ("IP", ValueShape::Replace(ADDRESSES, Address)),
    ("IPAddress", ValueShape::Replace(ADDRESSES, Address)),
    ("IPAMConfig", ValueShape::Replace(ADDRESSES, Address)),
    ("ipnet", ValueShape::Replace(ADDRESSES, Address)),
    ("IPRange", ValueShape::Replace(ADDRESSES, Address)),
    ("IPv4Address", ValueShape::Replace(ADDRESSES, Address)),
    ("IPv6Address", ValueShape::Replace(ADDRESSES, Address)),
    ("IPv6Gateway", ValueShape::Replace(ADDRESSES, Address)),
    ("LinkLocalIPs", ValueShape::Replace(ADDRESSES, Address)),
    (
        "LinkLocalIPv6Address",
        ValueShape::Replace(ADDRESSES, Address),
    ),
    ("MacAddress", ValueShape::Replace(ADDRESSES, Mac)),
    ("mac_address", ValueShape::Replace(ADDRESSES, Mac)),
    ("Nameservers", ValueShape::Replace(ADDRESSES, Address)),
    (
        "network_dns_servers",
        ValueShape::Replace(ADDRESSES, Address),
    ),
    ("NodeAddr", ValueShape::Replace(ADDRESSES, Address)),
    ("Range", ValueShape::Replace(ADDRESSES, Address)),
    ("Search", ValueShape::Replace(ADDRESSES, Text)),
    ("start_ip", ValueShape::Replace(ADDRESSES, Address)),
    ("StaticIP", ValueShape::Replace(ADDRESSES, Address)),
    ("StaticMAC", ValueShape::Replace(ADDRESSES, Mac)),
    ("Subnet", ValueShape::Replace(ADDRESSES, Address)),
    ("Subnets", ValueShape::Replace(ADDRESSES, AddressKeys)),
    ("VIP", ValueShape::Replace(ADDRESSES, Address)),
    // Settings of the engine.
    ("HttpProxy", ValueShape::Replace(PROXIES, Text)),
    ("HttpsProxy", ValueShape::Replace(PROXIES, Text)),
    ("NoProxy", ValueShape::Replace(PROXIES, Text)),
    (
        "IndexServerAddress",
        ValueShape::Replace(REGISTRIES, Registry),
    ),
    ("RegistryConfig", ValueShape::Object(REGISTRY_CONFIG)),
    // Credentials, and options of drivers that can hold some.
    ("Auth", ValueShape::Replace(TOKENS, Text)),
    ("CACert", ValueShape::Replace(TOKENS, Text)),
    ("CertIssuerPublicKey", ValueShape::Replace(TOKENS, Base64)),
    ("CertIssuerSubject", ValueShape::Replace(TOKENS, Base64)),
    ("Data", ValueShape::Replace(TOKENS, Base64)),
    ("DriverOpts", ValueShape::Replace(DRIVER, Options)),
    (
        "ExternalCAs",
        ValueShape::Object(&[("URL", ValueShape::Replace(TOKENS.and(ADDRESSES), Text))]),
    ),
    ("graphOptions", ValueShape::Replace(HOST_PATHS, Options)),
    ("graphStatus", ValueShape::Replace(HOST_PATHS, Options)),
    ("IdentityToken", ValueShape::Replace(TOKENS, Text)),
    ("ipam_options", ValueShape::Replace(DRIVER, Options)),
    ("JoinTokens", ValueShape::Replace(TOKENS, Text)),
    (
        "LogConfig",
        ValueShape::Object(&[
            ("Config", ValueShape::Replace(DRIVER, Options)),
            ("Path", ValueShape::Replace(HOST_PATHS, Path)),
        ]),
    ),
    ("NetworkOptions", ValueShape::Replace(DRIVER, Options)),
    ("Options", ValueShape::Replace(DRIVER, Options)),
    ("Password", ValueShape::Replace(TOKENS, Text)),
    ("PublishContext", ValueShape::Replace(DRIVER, Options)),
    ("RegistryToken", ValueShape::Replace(TOKENS, Text)),
    ("SecretData", ValueShape::Replace(TOKENS, Text)),
    ("SigningCACert", ValueShape::Replace(TOKENS, Text)),
    ("SigningCAKey", ValueShape::Replace(TOKENS, Text)),
    ("TrustRoot", ValueShape::Replace(TOKENS, Text)),
    ("UnlockKey", ValueShape::Replace(TOKENS, Text)),
    ("VolumeContext", ValueShape::Replace(DRIVER, Options)),
    // The host.
    (
        "Constraints",
        ValueShape::Replace(HOST.and(ADDRESSES).and(LABELS), Constraint),
    ),
    (
        "AssignedGenericResources",
        ValueShape::Replace(HOST, Figure),
    ),
    (
        "DeviceRequests",
        ValueShape::Object(&[
            ("DeviceIDs", ValueShape::Replace(HOST, Text)),
            ("Options", ValueShape::Replace(HOST.and(TOKENS), Options)),
        ]),
    ),
    ("GenericResources", ValueShape::Replace(HOST, Figure)),
    ("KernelVersion", ValueShape::Replace(HOST, Text)),
    // Users.
    ("Author", ValueShape::Replace(USERS, Text)),
    ("GroupAdd", ValueShape::Replace(USERS, Text)),
    ("Groups", ValueShape::Replace(USERS, Text)),
    ("User", ValueShape::Replace(USERS, Figure)),
    // Sentences of the engine, which repeat the value that they are about.
    ("Err", ValueShape::Replace(FAILURE, Text)),
    ("Error", ValueShape::Replace(FAILURE, Text)),
    ("Warnings", ValueShape::Replace(WARNING, Text)),
    // Objects whose keys are names that users gave. A network can have the name `Gateway`.
    ("Containers", ValueShape::Each(&ValueShape::Plain)),
    ("ExposedPorts", ValueShape::Each(&ValueShape::Plain)),
    ("interfaces", ValueShape::Each(&ValueShape::Plain)),
    ("Networks", ValueShape::Each(&ValueShape::Plain)),
    ("PortBindings", ValueShape::Each(&ValueShape::Plain)),
    ("Ports", ValueShape::Each(&ValueShape::Plain)),
    (
        "Runtimes",
        ValueShape::Each(&ValueShape::Object(&[(
            "path",
            ValueShape::Replace(HOST_PATHS, Path),
        )])),
    ),
    ("Services", ValueShape::Each(&ValueShape::Plain)),
    ("Sysctls", ValueShape::Each(&ValueShape::Plain)),
    ("Tmpfs", ValueShape::Each(&ValueShape::Plain)),
    ("Volumes", ValueShape::Each(&ValueShape::Plain)),
    // The kinds of namespaces, which have names of classes.
    ("Namespaces", ValueShape::Each(&ValueShape::Plain)),
];

const REGISTRY_CONFIG: &[Member] = &[
    (
        "AllowNondistributableArtifactsCIDRs",
        ValueShape::Replace(REGISTRIES, Registry),
    ),
    (
        "AllowNondistributableArtifactsHostnames",
        ValueShape::Replace(REGISTRIES, Registry),
    ),
    (
        "IndexConfigs",
        ValueShape::Replace(REGISTRIES, RegistryKeys),
    ),
    (
        "InsecureRegistryCIDRs",
        ValueShape::Replace(REGISTRIES, Registry),
    ),
    ("Mirrors", ValueShape::Replace(REGISTRIES, Registry)),
];

/// A container as its inspection shows it, in both APIs.
pub(super) static CONTAINER: ValueShape = ValueShape::Object(&[
    ("Path", ValueShape::Replace(COMMANDS, Text)),
    ("Rootfs", ValueShape::Replace(HOST_PATHS, Path)),
]);

/// A volume.
pub(super) static VOLUME: ValueShape = ValueShape::Object(VOLUME_MEMBERS);

const VOLUME_MEMBERS: &[Member] = &[("Status", ValueShape::Replace(DRIVER, Options))];

/// The volumes of Docker's list.
pub(super) static VOLUME_LIST: ValueShape =
    ValueShape::Object(&[("Volumes", ValueShape::Object(VOLUME_MEMBERS))]);

/// A network, in both APIs.
pub(super) static NETWORK: ValueShape = ValueShape::Object(&[
    (
        "routes",
        ValueShape::Object(&[("destination", ValueShape::Replace(ADDRESSES, Address))]),
    ),
    (
        "Services",
        ValueShape::Each(&ValueShape::Object(NETWORK_SERVICE)),
    ),
    // The identifier of a peer ends in the address of its host.
    (
        "Peers",
        ValueShape::Object(&[("Name", ValueShape::Replace(ADDRESSES, Text))]),
    ),
]);

const NETWORK_SERVICE: &[Member] = &[(
    "Tasks",
    ValueShape::Object(&[("Info", ValueShape::Replace(ADDRESSES, Address))]),
)];

/// A plugin.
pub(super) static PLUGIN: ValueShape = ValueShape::Object(&[(
    "Config",
    ValueShape::Object(&[
        (
            "Args",
            ValueShape::Object(&[("Value", ValueShape::Replace(COMMANDS, Text))]),
        ),
        (
            "Interface",
            ValueShape::Object(&[("Socket", ValueShape::Replace(HOST_PATHS, Path))]),
        ),
    ]),
)]);

/// A privilege that a plugin asks for.
pub(super) static PLUGIN_PRIVILEGE: ValueShape =
    ValueShape::Object(&[("Value", ValueShape::Replace(HOST_PATHS, Path))]);

/// A node of a swarm.
pub(super) static NODE: ValueShape = ValueShape::Object(&[(
    "Description",
    ValueShape::Object(&[
        ("Hostname", ValueShape::Replace(HOST, Text)),
        (
            "Resources",
            ValueShape::Object(&[
                ("MemoryBytes", ValueShape::Replace(HOST, Figure)),
                ("NanoCPUs", ValueShape::Replace(HOST, Figure)),
            ]),
        ),
        (
            "CSIInfo",
            ValueShape::Object(&[("NodeID", ValueShape::Replace(HOST, Text))]),
        ),
    ]),
)]);

const BUILD_RECORD: &[Member] = &[("Description", ValueShape::Replace(BUILD_STEP, Text))];

/// The disk usage, in the form of all versions.
pub(super) static DISK_USAGE: ValueShape = ValueShape::Object(&[
    ("BuildCache", ValueShape::Object(BUILD_RECORD)),
    (
        "BuildCacheUsage",
        ValueShape::Object(&[("Items", ValueShape::Object(BUILD_RECORD))]),
    ),
    // Lists here, and objects with free keys elsewhere.
    ("Containers", ValueShape::Plain),
    ("Volumes", ValueShape::Object(VOLUME_MEMBERS)),
    (
        "VolumeUsage",
        ValueShape::Object(&[("Items", ValueShape::Object(VOLUME_MEMBERS))]),
    ),
]);

/// The engine's description of itself, in Docker's form.
pub(super) static INFO: ValueShape = ValueShape::Object(&[
    (
        "Containerd",
        ValueShape::Object(&[("Address", ValueShape::Replace(HOST_PATHS, Path))]),
    ),
    (
        "DiscoveredDevices",
        ValueShape::Object(&[("ID", ValueShape::Replace(HOST, Text))]),
    ),
    ("DriverStatus", ValueShape::Replace(HOST_PATHS, Rows)),
    (
        "FirewallBackend",
        ValueShape::Object(&[("Info", ValueShape::Replace(HOST, Rows))]),
    ),
    ("ID", ValueShape::Replace(HOST, Text)),
    ("MemTotal", ValueShape::Replace(HOST, Figure)),
    ("Name", ValueShape::Replace(HOST, Text)),
    ("NCPU", ValueShape::Replace(HOST, Count)),
    (
        "NRI",
        ValueShape::Object(&[("Info", ValueShape::Replace(HOST.and(HOST_PATHS), Rows))]),
    ),
    ("OperatingSystem", ValueShape::Replace(HOST, Text)),
    ("OSVersion", ValueShape::Replace(HOST, Text)),
    ("ProductLicense", ValueShape::Replace(HOST, Text)),
    (
        "SystemStatus",
        ValueShape::Replace(HOST.and(HOST_PATHS).and(ADDRESSES), Rows),
    ),
]);

const HAS_PATH: &[Member] = &[("path", ValueShape::Replace(HOST_PATHS, Path))];

/// The engine's description of itself, in Podman's form.
pub(super) static LIBPOD_INFO: ValueShape = ValueShape::Object(&[
    (
        "host",
        ValueShape::Object(&[
            ("conmon", ValueShape::Object(HAS_PATH)),
            ("cpus", ValueShape::Replace(HOST, Count)),
            ("distribution", ValueShape::Replace(HOST, Text)),
            ("hostname", ValueShape::Replace(HOST, Text)),
            ("idMappings", ValueShape::Replace(HOST.and(USERS), Figure)),
            ("kernel", ValueShape::Replace(HOST, Text)),
            ("memFree", ValueShape::Replace(HOST, Figure)),
            ("memTotal", ValueShape::Replace(HOST, Figure)),
            (
                "networkBackendInfo",
                ValueShape::Object(&[
                    ("path", ValueShape::Replace(HOST_PATHS, Path)),
                    ("dns", ValueShape::Object(HAS_PATH)),
                ]),
            ),
            ("ociRuntime", ValueShape::Object(HAS_PATH)),
            ("remoteSocket", ValueShape::Object(HAS_PATH)),
            ("swapFree", ValueShape::Replace(HOST, Figure)),
            ("swapTotal", ValueShape::Replace(HOST, Figure)),
            ("uptime", ValueShape::Replace(HOST, Text)),
        ]),
    ),
    ("registries", ValueShape::Replace(REGISTRIES, RegistryKeys)),
]);

/// An event.
pub(super) static EVENT: ValueShape = ValueShape::Whole(
    event::redact_event,
    &[
        ("Action", ValueShape::Replace(COMMANDS, Action)),
        ("status", ValueShape::Replace(COMMANDS, Action)),
    ],
);

/// The processes of a container or pod.
pub(super) static PROCESSES: ValueShape = ValueShape::Whole(
    processes::redact_rows,
    // Without the titles, no column can be told from another.
    &[("Processes", ValueShape::Replace(COMMANDS, Text))],
);

/// Files of Quadlets.
pub(super) static QUADLET: ValueShape = ValueShape::Object(&[
    ("Path", ValueShape::Replace(HOST_PATHS, Path)),
    ("InstalledQuadlets", ValueShape::Replace(HOST_PATHS, Path)),
]);

/// Paths of mounted file systems, by container or alone.
pub(super) static HOST_PATH: ValueShape = ValueShape::Replace(HOST_PATHS, Path);

/// Any other object: its members are known by their names.
pub(super) static PLAIN: ValueShape = ValueShape::Plain;
