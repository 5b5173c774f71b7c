//! The keys of the configuration file beside the options, each defined once: those of `frontends`
//! and of `profiles`.

/// A key and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The word for its value: it says of which form that is, as with the options.
    pub value: &'static str,
    /// Set if it takes several values.
    pub many: bool,
    /// One sentence or two.
    pub help: &'static str,
}

const fn key(name: &'static str, value: &'static str, help: &'static str) -> Key {
    Key {
        name,
        value,
        many: false,
        help,
    }
}

const fn list(name: &'static str, value: &'static str, help: &'static str) -> Key {
    Key {
        many: true,
        ..key(name, value, help)
    }
}

/// The keys of an entry of `frontends`.
pub(crate) const FRONTEND_KEYS: &[Key] = &[
    key(
        "addr",
        "ADDR",
        "Address to listen on, as frontend-addr has it.",
    ),
    key(
        "profile",
        "PROFILE",
        "Every client of this frontend has this profile.",
    ),
    key(
        "socket-group",
        "GROUP",
        "As frontend-socket-group, for this one.",
    ),
    key(
        "socket-mode",
        "BITS",
        "As frontend-socket-mode, for this one.",
    ),
    key(
        "socket-owner",
        "USER",
        "As frontend-socket-owner, for this one.",
    ),
    key(
        "tls-cacert",
        "FILE",
        "As frontend-tls-cacert, for this one.",
    ),
    key("tls-cert", "FILE", "As frontend-tls-cert, for this one."),
    key("tls-key", "FILE", "As frontend-tls-key, for this one."),
];

/// The keys of an entry of `profiles` beside `clients`.
pub(crate) const PROFILE_KEYS: &[Key] =
    &joined::<{ OWN_KEYS.len() + CREATION_KEYS.len() }>(OWN_KEYS, CREATION_KEYS);

/// Returns two lists of keys as one.
const fn joined<const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    let mut all = [key("", "", ""); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}

const OWN_KEYS: &[Key] = &[
    key(
        "guard",
        "privileged|baseline|restricted",
        "For this profile; what the option says where it is missing.",
    ),
    list(
        "guard-allow",
        "EXCEPTION",
        "For this profile, in the place of what the option says.",
    ),
    key(
        "guard-recreation",
        "MODE",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "head-follows-get",
        "BOOL",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "max-connections-per-client",
        "N",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "max-requests",
        "N",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "max-streams",
        "N",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "mode",
        "enforce|audit",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "no-builtin-rules",
        "BOOL",
        "For this profile; what the option says where it is missing.",
    ),
    list(
        "origins",
        "PATTERN",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "own",
        "OWN",
        "Its clients own what they create, and see and change nothing else: true, or \
        session=header or session=client for an owner within the profile, and lifetime=TIME.",
    ),
    list(
        "presets",
        "PRESET",
        "Rules for well-known clients, beside those of rules and rules-file.",
    ),
    key(
        "rate-burst",
        "N",
        "For this profile; what the option says where it is missing.",
    ),
    key(
        "rate-limit",
        "RATE",
        "For this profile; what the option says where it is missing.",
    ),
    list(
        "redact",
        "CLASS",
        "Values that its answers do not show, in the place of what the option says; none shows \
        all of them.",
    ),
    list(
        "rules",
        "RULES",
        "What these clients may call, one rule a line.",
    ),
    list("rules-file", "FILE", "Files with rules, one a line."),
    list(
        "targets",
        "TARGET",
        "The objects that its calls may be about, in the place of what the option says: name, \
        label, compose-project, compose-service and image, each with = and a pattern; those on one \
        line must all hold.",
    ),
    list(
        "user-agents",
        "PATTERN",
        "For this profile; what the option says where it is missing.",
    ),
    list(
        "user-agents-denied",
        "PATTERN",
        "For this profile; what the option says where it is missing.",
    ),
    list(
        "visible",
        "SCOPE",
        "The objects that exist for its clients, in the place of what the option says: kind, name, \
        label, compose-project, compose-service and image, each with = and a pattern, and ! before \
        it for not; those on one line must all hold.",
    ),
];

/// The requirements on objects that clients create: options, and keys of a profile. A key that is
/// missing in a profile has the value of the option.
pub(crate) const CREATION_KEYS: &[Key] = &[
    list(
        "require-labels",
        "LABEL",
        "Labels that new containers, services, volumes and networks must have, as in team=web-* \
        or cost-center; those of the image do not count.",
    ),
    key(
        "require-read-only",
        "BOOL",
        "Whether the root file system of new containers must be read-only.",
    ),
    key(
        "require-image-digest",
        "BOOL",
        "Whether new containers must name their image by its digest.",
    ),
    key(
        "max-memory",
        "SIZE",
        "The largest memory limit of a container, as in 512MiB; one without a limit is refused.",
    ),
    key(
        "max-memory-swap",
        "SIZE",
        "The largest limit of memory and swap together; without it, max-memory allows as much \
        swap as memory.",
    ),
    key(
        "max-cpus",
        "CPUS",
        "The largest processor limit of a container, as in 1.5; one without a limit is refused.",
    ),
    key(
        "max-pids",
        "N",
        "The largest limit of processes in a container; one without a limit is refused.",
    ),
    key(
        "max-gpus",
        "N",
        "The largest number of GPUs of a container, which needs guard-allow gpus as well.",
    ),
    list(
        "allow-names",
        "PATTERN",
        "Names of new and renamed containers, and of services.",
    ),
    list(
        "allow-users",
        "USER[:GROUP]",
        "Users of new containers, and of commands that name one; a star stands for numbers other \
        than root's.",
    ),
    list(
        "allow-ports",
        "HOST[:CONTAINER][/PROTOCOL]",
        "Published ports, as in 8000-8999, 8080:80/tcp, or auto for a port that the engine \
        chooses.",
    ),
    list(
        "allow-port-addresses",
        "IP|NETWORK",
        "Addresses of the host at which ports may be published, as in 127.0.0.1.",
    ),
    list(
        "allow-restart",
        "POLICY",
        "Restart policies: no, on-failure, unless-stopped, always.",
    ),
    list(
        "allow-exec",
        "COMMAND",
        "Commands in running containers, word by word, as in ls /data/*; ** at the end stands \
        for further words.",
    ),
    list(
        "allow-exec-env",
        "PATTERN",
        "Names of variables of such commands; with allow-exec, none without this.",
    ),
    list(
        "allow-exec-users",
        "USER[:GROUP]",
        "Users of such commands; a command without a user is refused.",
    ),
    list(
        "allow-extra-hosts",
        "PATTERN",
        "Additional hosts of new containers, as in db:10.* for NAME:ADDRESS.",
    ),
    list(
        "allow-group-add",
        "PATTERN",
        "Additional groups of new containers.",
    ),
    list(
        "allow-volumes",
        "PATTERN",
        "Volumes that are mounted and created, by name or by label=KEY=PATTERN.",
    ),
    list(
        "allow-networks",
        "PATTERN",
        "Networks that are joined and created, by name or by label=KEY=PATTERN; bridge is one of \
        them.",
    ),
    list(
        "allow-gpu-drivers",
        "PATTERN",
        "Drivers of GPUs, which need guard-allow gpus as well.",
    ),
    list(
        "deny-images",
        "PATTERN",
        "Images that may not be used, pulled or made; builds are refused then, as with \
        guard-allow image.",
    ),
    list(
        "rewrite-images",
        "FROM=TO",
        "Images that are replaced before they are judged, as in \
        docker.io/*=registry.example/hub/*; builds are refused then, as with guard-allow image.",
    ),
    key(
        "default-memory",
        "SIZE",
        "The memory limit of a new container whose client sets none.",
    ),
    key(
        "default-cpus",
        "CPUS",
        "The processor limit of a new container whose client sets none.",
    ),
    key(
        "default-pids",
        "N",
        "The limit of processes of a new container whose client sets none.",
    ),
    key(
        "default-user",
        "USER[:GROUP]",
        "The user of a new container whose client sets none.",
    ),
    key(
        "default-network",
        "NAME",
        "The network that a new container or service joins whose client names none.",
    ),
    key(
        "default-port-address",
        "IP",
        "The host's address of published ports whose client sets none.",
    ),
    key(
        "quota-containers",
        "N",
        "The most containers that the clients own at a time, running or not, which needs own.",
    ),
    key(
        "quota-execs",
        "N",
        "The most commands that run at a time in containers that the clients own.",
    ),
    key(
        "quota-memory",
        "SIZE",
        "The largest sum of the memory limits of containers that the clients own; a container \
        without a limit is refused.",
    ),
    key(
        "quota-cpus",
        "CPUS",
        "The largest sum of the processor limits of containers that the clients own; a container \
        without a limit is refused.",
    ),
    list(
        "add-labels",
        "KEY=VALUE",
        "Labels that new containers, services, volumes and networks get, in place of the \
        client's of the same names.",
    ),
    key(
        "set-cgroup-parent",
        "CGROUP",
        "The cgroup below which new containers run, as in clients.slice.",
    ),
];

/// The help of `clients`.
pub(crate) const CLIENTS: &str =
    "The clients of the profile: a list of conditions, of which one has to hold.";

/// The conditions of an entry of `clients`. All of one entry must hold, and be of one kind.
pub const CLIENT_KEYS: &[Key] = &[
    key(
        "address",
        "NETWORK",
        "An IPv4 or IPv6 address, or a network as in 172.28.0.0/16.",
    ),
    key(
        "cert-cn",
        "PATTERN",
        "The common name of its verified certificate.",
    ),
    key(
        "cert-dns",
        "PATTERN",
        "A DNS name among the alternative names of its verified certificate.",
    ),
    key(
        "cert-ip",
        "IP",
        "An IP address among the alternative names of its verified certificate.",
    ),
    key(
        "cert-sha256",
        "HASH",
        "The SHA-256 of its certificate's public key (SPKI), in hexadecimal digits or in base64.",
    ),
    key(
        "cert-uri",
        "PATTERN",
        "A URI among the alternative names of its verified certificate.",
    ),
    key(
        "compose-project",
        "PATTERN",
        "The Compose project of its container.",
    ),
    key(
        "compose-service",
        "PATTERN",
        "The Compose service of its container.",
    ),
    key("container", "PATTERN", "The name of its container."),
    key(
        "group",
        "N",
        "The group of the process at the other end of a Unix socket, a number.",
    ),
    key(
        "label",
        "KEY=PATTERN",
        "A label of its container, and the value of that.",
    ),
    key(
        "user",
        "N",
        "The user of the process at the other end of a Unix socket, a number.",
    ),
];
