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
use super::replace::Form::{self, *};
use super::{Redaction, event, processes};
use crate::guard::Json;

/// The description of a value.
pub(super) enum Part {
    /// A value of one of these classes, which this form replaces.
    Replace(Classes, Form),
    /// Labels by their keys, or annotations.
    Labels,
    /// An object with these members.
    Object(&'static [Member]),
    /// An object whose keys are free: names of networks, identifiers of containers.
    Each(&'static Part),
    /// An object that a function redacts, since its members depend on each other. The members are
    /// for those that come one by one, and for those that the function leaves to them.
    Whole(Rewrite, &'static [Member]),
    /// A value without a class of its own.
    Plain,
}

/// A function that redacts an object as a whole.
pub(super) type Rewrite = fn(&Redaction, &Part, &mut Json<'_>);

/// The name of a member of an object, and its description.
type Member = (&'static str, Part);

impl Part {
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
fn by_name(key: &str) -> Option<&'static Part> {
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
    ("Path", Part::Replace(HOST_PATHS, Path)),
    ("PathOnHost", Part::Replace(HOST_PATHS, Path)),
];

/// The names that mean the same in every answer.
static NAMES: &[Member] = &[
    // Environment.
    ("Env", Part::Replace(ENV.and(PROXIES), Env)),
    ("Environment", Part::Replace(ENV.and(PROXIES), Env)),
    // Commands.
    ("Args", Part::Replace(COMMANDS, Text)),
    ("Arguments", Part::Replace(COMMANDS, Text)),
    ("Cmd", Part::Replace(COMMANDS, Text)),
    ("cmdline", Part::Replace(COMMANDS, Text)),
    ("Command", Part::Replace(COMMANDS, Text)),
    ("CreateCommand", Part::Replace(CREATION, Text)),
    ("CreatedBy", Part::Replace(BUILD_STEP, Text)),
    ("created_by", Part::Replace(BUILD_STEP, Text)),
    ("Entrypoint", Part::Replace(COMMANDS, Text)),
    ("OnBuild", Part::Replace(BUILD_STEP, Text)),
    ("Output", Part::Replace(COMMANDS, Text)),
    ("RunLabel", Part::Replace(COMMANDS, Text)),
    ("runtimeArgs", Part::Replace(COMMANDS, Text)),
    ("Shell", Part::Replace(COMMANDS, Text)),
    ("Test", Part::Replace(COMMANDS, Test)),
    // Labels.
    ("Annotations", Part::Labels),
    ("Labels", Part::Labels),
    ("Segments", Part::Labels),
    // Paths of the host.
    ("Binds", Part::Replace(HOST_PATHS, Bind)),
    ("BlkioDeviceReadBps", Part::Object(DEVICE)),
    ("BlkioDeviceReadIOps", Part::Object(DEVICE)),
    ("BlkioDeviceWriteBps", Part::Object(DEVICE)),
    ("BlkioDeviceWriteIOps", Part::Object(DEVICE)),
    ("BlkioWeightDevice", Part::Object(DEVICE)),
    ("CDISpecDirs", Part::Replace(HOST_PATHS, Path)),
    ("CgroupParent", Part::Replace(HOST_PATHS, Path)),
    ("CgroupPath", Part::Replace(HOST_PATHS, Path)),
    ("CheckpointLog", Part::Replace(HOST_PATHS, Path)),
    ("CheckpointPath", Part::Replace(HOST_PATHS, Path)),
    ("ChrootDirs", Part::Replace(HOST_PATHS, Path)),
    ("CIDFile", Part::Replace(HOST_PATHS, Path)),
    ("configFile", Part::Replace(HOST_PATHS, Path)),
    ("ConmonPidFile", Part::Replace(HOST_PATHS, Path)),
    ("ContainerIDFile", Part::Replace(HOST_PATHS, Path)),
    (
        "CredentialSpec",
        Part::Object(&[
            ("File", Part::Replace(HOST_PATHS, Path)),
            ("Registry", Part::Replace(HOST_PATHS, Path)),
        ]),
    ),
    ("Devices", Part::Object(DEVICE)),
    ("DockerRootDir", Part::Replace(HOST_PATHS, Path)),
    ("executable", Part::Replace(HOST_PATHS, Path)),
    (
        "GraphDriver",
        Part::Object(&[("Data", Part::Replace(HOST_PATHS, Path))]),
    ),
    ("graphRoot", Part::Replace(HOST_PATHS, Path)),
    ("HealthLogDestination", Part::Replace(HOST_PATHS, Path)),
    ("HostnamePath", Part::Replace(HOST_PATHS, Path)),
    ("HostsFile", Part::Replace(HOST_PATHS, Path)),
    ("HostsPath", Part::Replace(HOST_PATHS, Path)),
    ("imageCopyTmpDir", Part::Replace(HOST_PATHS, Path)),
    ("InitBinary", Part::Replace(HOST_PATHS, Path)),
    ("LogPath", Part::Replace(HOST_PATHS, Path)),
    ("Mountpoint", Part::Replace(HOST_PATHS, Path)),
    ("OCIConfigPath", Part::Replace(HOST_PATHS, Path)),
    ("PathOnHost", Part::Replace(HOST_PATHS, Path)),
    ("PidFile", Part::Replace(HOST_PATHS, Path)),
    ("PropagatedMount", Part::Replace(HOST_PATHS, Path)),
    ("ResolvConfPath", Part::Replace(HOST_PATHS, Path)),
    ("RestoreLog", Part::Replace(HOST_PATHS, Path)),
    ("runRoot", Part::Replace(HOST_PATHS, Path)),
    ("SandboxKey", Part::Replace(HOST_PATHS, Path)),
    ("sdNotifySocket", Part::Replace(HOST_PATHS, Path)),
    ("seccompProfilePath", Part::Replace(HOST_PATHS, Path)),
    ("SecurityOpt", Part::Replace(HOST_PATHS, PathOption)),
    ("security_opt", Part::Replace(HOST_PATHS, PathOption)),
    ("Source", Part::Replace(HOST_PATHS, Source)),
    ("StaticDir", Part::Replace(HOST_PATHS, Path)),
    ("volumePath", Part::Replace(HOST_PATHS, Path)),
    // Addresses and names in networks.
    ("AdditionalMACAddresses", Part::Replace(ADDRESSES, Mac)),
    ("Addr", Part::Replace(ADDRESSES, Address)),
    ("Address", Part::Replace(ADDRESSES, Address)),
    ("Addresses", Part::Replace(ADDRESSES, Address)),
    ("Aliases", Part::Replace(ADDRESSES, Text)),
    ("AuxAddress", Part::Replace(ADDRESSES, Address)),
    ("AuxiliaryAddresses", Part::Replace(ADDRESSES, Address)),
    ("Base", Part::Replace(ADDRESSES, Address)),
    ("ClusterAdvertise", Part::Replace(ADDRESSES, Address)),
    ("ClusterStore", Part::Replace(ADDRESSES, Address)),
    ("DefaultAddrPool", Part::Replace(ADDRESSES, Address)),
    ("Dns", Part::Replace(ADDRESSES, Address)),
    ("DNSNames", Part::Replace(ADDRESSES, Text)),
    (
        "DNSConfig",
        Part::Object(&[("Options", Part::Replace(ADDRESSES, Text))]),
    ),
    ("DnsOptions", Part::Replace(ADDRESSES, Text)),
    ("DNSOption", Part::Replace(ADDRESSES, Text)),
    ("DnsSearch", Part::Replace(ADDRESSES, Text)),
    ("DNSServer", Part::Replace(ADDRESSES, Address)),
    ("Domainname", Part::Replace(ADDRESSES, Text)),
    ("end_ip", Part::Replace(ADDRESSES, Address)),
    ("EndpointIP", Part::Replace(ADDRESSES, Address)),
    ("ExtraHosts", Part::Replace(ADDRESSES, HostEntry)),
    ("Gateway", Part::Replace(ADDRESSES, Address)),
    ("GlobalIPv6Address", Part::Replace(ADDRESSES, Address)),
    ("HostAdd", Part::Replace(ADDRESSES, HostEntry)),
    ("HostIp", Part::Replace(ADDRESSES, Address)),
    ("host_ip", Part::Replace(ADDRESSES, Address)),
    ("Hostname", Part::Replace(ADDRESSES, Text)),
    ("Hosts", Part::Replace(ADDRESSES, HostEntry)),
    ("IP", Part::Replace(ADDRESSES, Address)),
    ("IPAddress", Part::Replace(ADDRESSES, Address)),
    ("IPAMConfig", Part::Replace(ADDRESSES, Address)),
    ("ipnet", Part::Replace(ADDRESSES, Address)),
    ("IPRange", Part::Replace(ADDRESSES, Address)),
    ("IPv4Address", Part::Replace(ADDRESSES, Address)),
    ("IPv6Address", Part::Replace(ADDRESSES, Address)),
    ("IPv6Gateway", Part::Replace(ADDRESSES, Address)),
    ("LinkLocalIPs", Part::Replace(ADDRESSES, Address)),
    ("LinkLocalIPv6Address", Part::Replace(ADDRESSES, Address)),
    ("MacAddress", Part::Replace(ADDRESSES, Mac)),
    ("mac_address", Part::Replace(ADDRESSES, Mac)),
    ("Nameservers", Part::Replace(ADDRESSES, Address)),
    ("network_dns_servers", Part::Replace(ADDRESSES, Address)),
    ("NodeAddr", Part::Replace(ADDRESSES, Address)),
    ("Range", Part::Replace(ADDRESSES, Address)),
    ("Search", Part::Replace(ADDRESSES, Text)),
    ("start_ip", Part::Replace(ADDRESSES, Address)),
    ("StaticIP", Part::Replace(ADDRESSES, Address)),
    ("StaticMAC", Part::Replace(ADDRESSES, Mac)),
    ("Subnet", Part::Replace(ADDRESSES, Address)),
    ("Subnets", Part::Replace(ADDRESSES, AddressKeys)),
    ("VIP", Part::Replace(ADDRESSES, Address)),
    // Settings of the engine.
    ("HttpProxy", Part::Replace(PROXIES, Text)),
    ("HttpsProxy", Part::Replace(PROXIES, Text)),
    ("NoProxy", Part::Replace(PROXIES, Text)),
    ("IndexServerAddress", Part::Replace(REGISTRIES, Registry)),
    ("RegistryConfig", Part::Object(REGISTRY_CONFIG)),
    // Credentials, and options of drivers that can hold some.
    ("Auth", Part::Replace(TOKENS, Text)),
    ("CACert", Part::Replace(TOKENS, Text)),
    ("CertIssuerPublicKey", Part::Replace(TOKENS, Base64)),
    ("CertIssuerSubject", Part::Replace(TOKENS, Base64)),
    ("Data", Part::Replace(TOKENS, Base64)),
    ("DriverOpts", Part::Replace(DRIVER, Options)),
    (
        "ExternalCAs",
        Part::Object(&[("URL", Part::Replace(TOKENS.and(ADDRESSES), Text))]),
    ),
    ("graphOptions", Part::Replace(HOST_PATHS, Options)),
    ("graphStatus", Part::Replace(HOST_PATHS, Options)),
    ("IdentityToken", Part::Replace(TOKENS, Text)),
    ("ipam_options", Part::Replace(DRIVER, Options)),
    ("JoinTokens", Part::Replace(TOKENS, Text)),
    (
        "LogConfig",
        Part::Object(&[
            ("Config", Part::Replace(DRIVER, Options)),
            ("Path", Part::Replace(HOST_PATHS, Path)),
        ]),
    ),
    ("NetworkOptions", Part::Replace(DRIVER, Options)),
    ("Options", Part::Replace(DRIVER, Options)),
    ("Password", Part::Replace(TOKENS, Text)),
    ("PublishContext", Part::Replace(DRIVER, Options)),
    ("RegistryToken", Part::Replace(TOKENS, Text)),
    ("SecretData", Part::Replace(TOKENS, Text)),
    ("SigningCACert", Part::Replace(TOKENS, Text)),
    ("SigningCAKey", Part::Replace(TOKENS, Text)),
    ("TrustRoot", Part::Replace(TOKENS, Text)),
    ("UnlockKey", Part::Replace(TOKENS, Text)),
    ("VolumeContext", Part::Replace(DRIVER, Options)),
    // The host.
    (
        "Constraints",
        Part::Replace(HOST.and(ADDRESSES).and(LABELS), Constraint),
    ),
    ("AssignedGenericResources", Part::Replace(HOST, Figure)),
    (
        "DeviceRequests",
        Part::Object(&[
            ("DeviceIDs", Part::Replace(HOST, Text)),
            ("Options", Part::Replace(HOST.and(TOKENS), Options)),
        ]),
    ),
    ("GenericResources", Part::Replace(HOST, Figure)),
    ("KernelVersion", Part::Replace(HOST, Text)),
    // Users.
    ("Author", Part::Replace(USERS, Text)),
    ("GroupAdd", Part::Replace(USERS, Text)),
    ("Groups", Part::Replace(USERS, Text)),
    ("User", Part::Replace(USERS, Figure)),
    // Sentences of the engine, which repeat the value that they are about.
    ("Err", Part::Replace(FAILURE, Text)),
    ("Error", Part::Replace(FAILURE, Text)),
    ("Warnings", Part::Replace(WARNING, Text)),
    // Objects whose keys are names that users gave. A network can have the name `Gateway`.
    ("Containers", Part::Each(&Part::Plain)),
    ("ExposedPorts", Part::Each(&Part::Plain)),
    ("interfaces", Part::Each(&Part::Plain)),
    ("Networks", Part::Each(&Part::Plain)),
    ("PortBindings", Part::Each(&Part::Plain)),
    ("Ports", Part::Each(&Part::Plain)),
    (
        "Runtimes",
        Part::Each(&Part::Object(&[("path", Part::Replace(HOST_PATHS, Path))])),
    ),
    ("Services", Part::Each(&Part::Plain)),
    ("Sysctls", Part::Each(&Part::Plain)),
    ("Tmpfs", Part::Each(&Part::Plain)),
    ("Volumes", Part::Each(&Part::Plain)),
    // The kinds of namespaces, which have names of classes.
    ("Namespaces", Part::Each(&Part::Plain)),
];

const REGISTRY_CONFIG: &[Member] = &[
    (
        "AllowNondistributableArtifactsCIDRs",
        Part::Replace(REGISTRIES, Registry),
    ),
    (
        "AllowNondistributableArtifactsHostnames",
        Part::Replace(REGISTRIES, Registry),
    ),
    ("IndexConfigs", Part::Replace(REGISTRIES, RegistryKeys)),
    ("InsecureRegistryCIDRs", Part::Replace(REGISTRIES, Registry)),
    ("Mirrors", Part::Replace(REGISTRIES, Registry)),
];

/// A container as its inspection shows it, in both APIs.
pub(super) static CONTAINER: Part = Part::Object(&[
    ("Path", Part::Replace(COMMANDS, Text)),
    ("Rootfs", Part::Replace(HOST_PATHS, Path)),
]);

/// A volume.
pub(super) static VOLUME: Part = Part::Object(VOLUME_MEMBERS);

const VOLUME_MEMBERS: &[Member] = &[("Status", Part::Replace(DRIVER, Options))];

/// The volumes of Docker's list.
pub(super) static VOLUME_LIST: Part = Part::Object(&[("Volumes", Part::Object(VOLUME_MEMBERS))]);

/// A network, in both APIs.
pub(super) static NETWORK: Part = Part::Object(&[
    (
        "routes",
        Part::Object(&[("destination", Part::Replace(ADDRESSES, Address))]),
    ),
    ("Services", Part::Each(&Part::Object(NETWORK_SERVICE))),
    // The identifier of a peer ends in the address of its host.
    (
        "Peers",
        Part::Object(&[("Name", Part::Replace(ADDRESSES, Text))]),
    ),
]);

const NETWORK_SERVICE: &[Member] = &[(
    "Tasks",
    Part::Object(&[("Info", Part::Replace(ADDRESSES, Address))]),
)];

/// A plugin.
pub(super) static PLUGIN: Part = Part::Object(&[(
    "Config",
    Part::Object(&[
        (
            "Args",
            Part::Object(&[("Value", Part::Replace(COMMANDS, Text))]),
        ),
        (
            "Interface",
            Part::Object(&[("Socket", Part::Replace(HOST_PATHS, Path))]),
        ),
    ]),
)]);

/// A privilege that a plugin asks for.
pub(super) static PLUGIN_PRIVILEGE: Part =
    Part::Object(&[("Value", Part::Replace(HOST_PATHS, Path))]);

/// A node of a swarm.
pub(super) static NODE: Part = Part::Object(&[(
    "Description",
    Part::Object(&[
        ("Hostname", Part::Replace(HOST, Text)),
        (
            "Resources",
            Part::Object(&[
                ("MemoryBytes", Part::Replace(HOST, Figure)),
                ("NanoCPUs", Part::Replace(HOST, Figure)),
            ]),
        ),
        (
            "CSIInfo",
            Part::Object(&[("NodeID", Part::Replace(HOST, Text))]),
        ),
    ]),
)]);

const BUILD_RECORD: &[Member] = &[("Description", Part::Replace(BUILD_STEP, Text))];

/// The disk usage, in the form of all versions.
pub(super) static DISK_USAGE: Part = Part::Object(&[
    ("BuildCache", Part::Object(BUILD_RECORD)),
    (
        "BuildCacheUsage",
        Part::Object(&[("Items", Part::Object(BUILD_RECORD))]),
    ),
    // Lists here, and objects with free keys elsewhere.
    ("Containers", Part::Plain),
    ("Volumes", Part::Object(VOLUME_MEMBERS)),
    (
        "VolumeUsage",
        Part::Object(&[("Items", Part::Object(VOLUME_MEMBERS))]),
    ),
]);

/// The engine's description of itself, in Docker's form.
pub(super) static INFO: Part = Part::Object(&[
    (
        "Containerd",
        Part::Object(&[("Address", Part::Replace(HOST_PATHS, Path))]),
    ),
    (
        "DiscoveredDevices",
        Part::Object(&[("ID", Part::Replace(HOST, Text))]),
    ),
    ("DriverStatus", Part::Replace(HOST_PATHS, Rows)),
    (
        "FirewallBackend",
        Part::Object(&[("Info", Part::Replace(HOST, Rows))]),
    ),
    ("ID", Part::Replace(HOST, Text)),
    ("MemTotal", Part::Replace(HOST, Figure)),
    ("Name", Part::Replace(HOST, Text)),
    ("NCPU", Part::Replace(HOST, Count)),
    (
        "NRI",
        Part::Object(&[("Info", Part::Replace(HOST.and(HOST_PATHS), Rows))]),
    ),
    ("OperatingSystem", Part::Replace(HOST, Text)),
    ("OSVersion", Part::Replace(HOST, Text)),
    ("ProductLicense", Part::Replace(HOST, Text)),
    (
        "SystemStatus",
        Part::Replace(HOST.and(HOST_PATHS).and(ADDRESSES), Rows),
    ),
]);

const HAS_PATH: &[Member] = &[("path", Part::Replace(HOST_PATHS, Path))];

/// The engine's description of itself, in Podman's form.
pub(super) static LIBPOD_INFO: Part = Part::Object(&[
    (
        "host",
        Part::Object(&[
            ("conmon", Part::Object(HAS_PATH)),
            ("cpus", Part::Replace(HOST, Count)),
            ("distribution", Part::Replace(HOST, Text)),
            ("hostname", Part::Replace(HOST, Text)),
            ("idMappings", Part::Replace(HOST.and(USERS), Figure)),
            ("kernel", Part::Replace(HOST, Text)),
            ("memFree", Part::Replace(HOST, Figure)),
            ("memTotal", Part::Replace(HOST, Figure)),
            (
                "networkBackendInfo",
                Part::Object(&[
                    ("path", Part::Replace(HOST_PATHS, Path)),
                    ("dns", Part::Object(HAS_PATH)),
                ]),
            ),
            ("ociRuntime", Part::Object(HAS_PATH)),
            ("remoteSocket", Part::Object(HAS_PATH)),
            ("swapFree", Part::Replace(HOST, Figure)),
            ("swapTotal", Part::Replace(HOST, Figure)),
            ("uptime", Part::Replace(HOST, Text)),
        ]),
    ),
    ("registries", Part::Replace(REGISTRIES, RegistryKeys)),
]);

/// An event.
pub(super) static EVENT: Part = Part::Whole(
    event::redact_event,
    &[
        ("Action", Part::Replace(COMMANDS, Action)),
        ("status", Part::Replace(COMMANDS, Action)),
    ],
);

/// The processes of a container or pod.
pub(super) static PROCESSES: Part = Part::Whole(
    processes::redact_rows,
    // Without the titles, no column can be told from another.
    &[("Processes", Part::Replace(COMMANDS, Text))],
);

/// Files of Quadlets.
pub(super) static QUADLET: Part = Part::Object(&[
    ("Path", Part::Replace(HOST_PATHS, Path)),
    ("InstalledQuadlets", Part::Replace(HOST_PATHS, Path)),
]);

/// Paths of mounted file systems, by container or alone.
pub(super) static HOST_PATH: Part = Part::Replace(HOST_PATHS, Path);

/// Any other object: its members are known by their names.
pub(super) static PLAIN: Part = Part::Plain;
