//! The classes of values that a redaction can replace.

/// A class of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Env,
    Commands,
    Labels,
    HostPaths,
    Addresses,
    Registries,
    Proxies,
    Tokens,
    Host,
    Users,
}

impl Class {
    pub(super) const fn alone(self) -> Classes {
        Classes(1 << self as u16)
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes(u16);

impl Classes {
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn in_common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the classes that a value of `redact` names; `None` for other words.
    pub(super) fn named(value: &str) -> Option<Self> {
        match value {
            "all" => Some(Self(
                CLASSES
                    .iter()
                    .fold(0, |all, (class, _)| all | class.alone().0),
            )),
            "secrets" => Some(SECRETS),
            _ => CLASSES
                .iter()
                .find(|(_, name)| *name == value)
                .map(|(class, _)| class.alone()),
        }
    }

    /// Returns the names of the classes.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        CLASSES
            .iter()
            .filter(move |(class, _)| self.meets(class.alone()))
            .map(|(_, name)| *name)
    }
}

/// The classes that hold credentials in most set-ups.
const SECRETS: Classes = ENV.and(COMMANDS).and(PROXIES).and(TOKENS);

pub(super) const ENV: Classes = Class::Env.alone();
pub(super) const COMMANDS: Classes = Class::Commands.alone();
pub(super) const LABELS: Classes = Class::Labels.alone();
pub(super) const HOST_PATHS: Classes = Class::HostPaths.alone();
pub(super) const ADDRESSES: Classes = Class::Addresses.alone();
pub(super) const REGISTRIES: Classes = Class::Registries.alone();
pub(super) const PROXIES: Classes = Class::Proxies.alone();
pub(super) const TOKENS: Classes = Class::Tokens.alone();
pub(super) const HOST: Classes = Class::Host.alone();
pub(super) const USERS: Classes = Class::Users.alone();

const CLASSES: &[(Class, &str)] = &[
    (Class::Env, "env"),
    (Class::Commands, "commands"),
    (Class::Labels, "labels"),
    (Class::HostPaths, "host-paths"),
    (Class::Addresses, "addresses"),
    (Class::Registries, "registries"),
    (Class::Proxies, "proxies"),
    (Class::Tokens, "tokens"),
    (Class::Host, "host"),
    (Class::Users, "users"),
];

/// The values of `redact` with their meaning.
pub(super) const VALUES: &[(&str, &str)] = &[
    ("env", "Values of environment variables; their names stay."),
    (
        "commands",
        "Command lines: entrypoints, arguments, health checks and their output, exec, processes, \
        image history.",
    ),
    (
        "labels",
        "Values of labels and annotations, but for those that group containers.",
    ),
    (
        "labels=PATTERN",
        "Values of the labels whose key matches, those that group containers too.",
    ),
    (
        "host-paths",
        "Paths of the host: sources of mounts, folders of the engine, devices.",
    ),
    (
        "addresses",
        "IP and MAC addresses, subnets, gateways, name servers and host names of containers.",
    ),
    (
        "registries",
        "Registries, mirrors and insecure registries of the engine's settings.",
    ),
    ("proxies", "HTTP proxies of the engine and of containers."),
    (
        "tokens",
        "Join tokens, unlock keys, CA material, data of secrets and configs, options of drivers.",
    ),
    (
        "host",
        "Name, identifier, kernel, system and hardware of the host and of nodes.",
    ),
    (
        "users",
        "Users and groups of processes, and authors of images.",
    ),
    ("secrets", "env, commands, proxies and tokens."),
    ("all", "All classes."),
    ("none", "Nothing, also where a preset redacts."),
];

/// Returns the description of the expected values, for a word that is none of them.
pub(super) fn expected(value: &str) -> String {
    let names = || VALUES.iter().map(|(name, _)| *name);
    let near = names()
        .map(|name| (strsim::damerau_levenshtein(name, value), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 3);
    match near {
        Some((_, near)) => format!("did you mean {near}?"),
        None => format!(
            "expected one of: {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    }
}
