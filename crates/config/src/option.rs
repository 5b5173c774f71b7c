//! Every option, defined once: the parser, `--help`, the environment and `docs/configuration.md`
//! are made from this table.

use super::keys::{CREATION_KEYS, Key};
pub(crate) use super::many::Many;

/// One option of the program.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The long flag without its dashes.
    pub name: &'static str,
    /// Environment variables in the order in which they are asked, beside the one that is made from
    /// the name.
    pub(crate) also_env: &'static [&'static str],
    /// The placeholder for its value in the help; a switch has none.
    pub value: Option<&'static str>,
    /// The number of values that it takes, and their separators in the environment.
    pub many: Many,
    /// The default value as text; empty is no value.
    pub default: &'static str,
    /// One sentence or two.
    pub help: &'static str,
    /// The heading it stands under.
    pub section: &'static str,
}

impl Opt {
    /// Returns whether the option says where the configuration is: such an option cannot be in the
    /// file.
    pub(crate) fn is_source(&self) -> bool {
        self.section == FILE
    }

    /// Returns the environment variables that set it; the first one found counts.
    pub fn env(&self) -> impl Iterator<Item = String> {
        let own = format!("CETUSGUARD_{}", self.name.to_uppercase().replace('-', "_"));
        std::iter::once(own).chain(self.also_env.iter().map(ToString::to_string))
    }
}

const FILE: &str = "Configuration file";
const FRONTEND: &str = "Frontend: where clients connect";
const BACKEND: &str = "Backend: the engine";
const RULES: &str = "Rules: what clients may call";
const GUARD: &str = "Guard: what allowed calls may ask for";
const CLIENTS: &str = "Clients: how much each may ask for";
const LOG: &str = "Log";
const CREATION: &str = "Creation: what clients may create";
const ADMIN: &str = "Admin listener: metrics and health for operators";

const fn one(
    section: &'static str,
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Opt {
    Opt {
        name,
        also_env: &[],
        value: Some(value),
        many: Many::No,
        default,
        help,
        section,
    }
}

/// All options, in the order in which help and documentation list them.
pub const OPTIONS: &[Opt] =
    &with_creation::<{ OWN_OPTIONS.len() + CREATION_KEYS.len() }>(OWN_OPTIONS, CREATION_KEYS);

/// Returns options, and behind them those that are keys of a profile under the same names.
const fn with_creation<const N: usize>(options: &[Opt], keys: &[Key]) -> [Opt; N] {
    let mut all = [options[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < options.len() {
            options[at]
        } else {
            let key = keys[at - options.len()];
            let many = if key.many { Many::Paths } else { Many::No };
            Opt {
                many,
                ..one(CREATION, key.name, key.value, "", key.help)
            }
        };
        at += 1;
    }
    all
}

const OWN_OPTIONS: &[Opt] = &[
    one(
        FILE,
        "config",
        "FILE",
        "",
        "YAML file with the options under their names, and frontends and profiles beside them.",
    ),
    Opt {
        many: Many::Texts,
        ..one(
            FILE,
            "config-data",
            "YAML",
            "",
            "The text of such a file, in place of one: all of it in one variable.",
        )
    },
    Opt {
        many: Many::Words,
        ..one(
            FRONTEND,
            "frontend-addr",
            "ADDR",
            "tcp://127.0.0.1:2375",
            "Address to listen on: tcp://HOST:PORT (no HOST: all addresses), unix:///PATH, or \
            fd:// for the sockets that systemd passes, fd://NAME for those of one name.",
        )
    },
    one(
        FRONTEND,
        "frontend-tls-cacert",
        "FILE",
        "",
        "CA certificates (PEM); clients of the TCP frontends must then show a certificate signed \
        by one.",
    ),
    one(
        FRONTEND,
        "frontend-tls-cert",
        "FILE",
        "",
        "Certificate chain (PEM) of the TCP frontends; turns on TLS.",
    ),
    one(
        FRONTEND,
        "frontend-tls-key",
        "FILE",
        "",
        "Private key (PEM) of frontend-tls-cert.",
    ),
    one(
        FRONTEND,
        "frontend-socket-mode",
        "BITS",
        "0660",
        "Mode of Unix sockets, in octal.",
    ),
    one(
        FRONTEND,
        "frontend-socket-group",
        "GROUP",
        "",
        "Group of Unix sockets, a name or a number.",
    ),
    one(
        FRONTEND,
        "frontend-socket-owner",
        "USER",
        "",
        "Owner of Unix sockets, a name or a number.",
    ),
    one(
        FRONTEND,
        "max-connections",
        "N",
        "4096",
        "Connections at the same time; a few more wait for head-timeout at the most, and others \
        are refused (503).",
    ),
    one(
        FRONTEND,
        "workers",
        "N",
        "auto",
        "Event loops, each with a thread, that serve connections: auto is one for each processor, \
        four at the most.",
    ),
    one(
        FRONTEND,
        "memory-limit",
        "SIZE",
        "auto",
        "Memory for requests under way and their sockets' buffers, as in 64MiB: auto is the limit \
        of the container (cgroup), and none is no limit; more requests are refused (503).",
    ),
    one(
        FRONTEND,
        "head-timeout",
        "TIME",
        "10s",
        "How long a client may take for a TLS handshake or for the head of a request.",
    ),
    one(
        FRONTEND,
        "idle-timeout",
        "TIME",
        "90s",
        "How long a connection may wait for its next request.",
    ),
    one(
        FRONTEND,
        "progress-timeout",
        "TIME",
        "60s",
        "How long a client may take nothing of an answer that waits for it. Logs, events, \
        statistics and terminals have no limit.",
    ),
    one(
        FRONTEND,
        "drain-timeout",
        "TIME",
        "10s",
        "How long requests may go on after SIGTERM; logs, events and terminals end at once.",
    ),
    Opt {
        also_env: &["CONTAINER_HOST", "DOCKER_HOST"],
        ..one(
            BACKEND,
            "backend-addr",
            "ADDR",
            "unix:///var/run/docker.sock",
            "The engine: unix:///PATH or tcp://HOST:PORT.",
        )
    },
    one(
        BACKEND,
        "backend-tls-cacert",
        "FILE",
        "",
        "CA certificates (PEM) that the engine's certificate is checked with; turns on TLS.",
    ),
    one(
        BACKEND,
        "backend-tls-cert",
        "FILE",
        "",
        "Certificate chain (PEM) to show to the engine.",
    ),
    one(
        BACKEND,
        "backend-tls-key",
        "FILE",
        "",
        "Private key (PEM) of backend-tls-cert.",
    ),
    one(
        BACKEND,
        "connect-timeout",
        "TIME",
        "5s",
        "How long connecting to the engine may take.",
    ),
    one(
        BACKEND,
        "answer-timeout",
        "TIME",
        "60s",
        "How long the engine may take for an answer that should come at once. Streams, builds, \
        copies, waits and stops have no limit.",
    ),
    one(
        BACKEND,
        "proxy-container",
        "NAME",
        "auto",
        "The proxy's own container, which the guard protects: auto finds it, a name or an \
        identifier names it, none is none.",
    ),
    Opt {
        many: Many::Texts,
        ..one(RULES, "rules", "RULES", "", "Rules, one a line.")
    },
    Opt {
        many: Many::Paths,
        ..one(
            RULES,
            "rules-file",
            "FILE",
            "",
            "File with rules, one a line.",
        )
    },
    Opt {
        many: Many::Words,
        ..one(
            RULES,
            "presets",
            "PRESET",
            "",
            "Rules for well-known clients, as in homepage,dozzle; cetusguard preset list shows \
            them.",
        )
    },
    Opt {
        value: None,
        ..one(
            RULES,
            "no-builtin-rules",
            "",
            "false",
            "Leave out the built-in rules for _ping, version and info.",
        )
    },
    Opt {
        value: None,
        ..one(
            RULES,
            "head-follows-get",
            "",
            "true",
            "Allow HEAD where a rule allows GET: the engine answers with the head of the same \
            answer; false wants HEAD in the rule.",
        )
    },
    one(
        RULES,
        "mode",
        "enforce|audit",
        "enforce",
        "enforce; or audit, which forwards what should be refused, and logs decision=would_deny \
        with the reason.",
    ),
    one(
        GUARD,
        "guard",
        "privileged|baseline|restricted",
        "baseline",
        "How closely the guard judges what allowed calls ask for: not at all, what gives the host \
        away, or also what runs as root.",
    ),
    Opt {
        many: Many::Paths,
        ..one(
            GUARD,
            "guard-allow",
            "EXCEPTION",
            "",
            "What the guard lets pass all the same, as in bind=/srv/**:ro.",
        )
    },
    one(
        GUARD,
        "guard-recreation",
        "MODE",
        "auto",
        "Keep a container whose re-creation the guard would refuse from being deleted: declared \
        for clients with a file of their own, copied for those that copy what they inspect, \
        updater to keep it from being stopped too; off, or auto for what the presets say.",
    ),
    Opt {
        many: Many::Paths,
        ..one(
            GUARD,
            "targets",
            "TARGET",
            "",
            "The objects that calls may be about, whatever the client calls them, as in \
            compose-project=shop; without any, all.",
        )
    },
    Opt {
        many: Many::Paths,
        ..one(
            GUARD,
            "visible",
            "SCOPE",
            "",
            "The objects that exist for clients, as in compose-project=shop; without any, all.",
        )
    },
    one(
        GUARD,
        "own",
        "OWN",
        "",
        "Clients own what they create, and see and change nothing else: true or false, or \
        session=header or session=client for owners of their own, and lifetime=TIME. Without it, \
        the presets decide.",
    ),
    Opt {
        many: Many::Paths,
        ..one(
            GUARD,
            "redact",
            "CLASS",
            "",
            "Values that answers do not show, as in secrets,labels=traefik.*: env, commands, \
            labels, labels=PATTERN, host-paths, addresses, registries, proxies, tokens, host, \
            users, secrets, all, or none; without any, what the presets say.",
        )
    },
    Opt {
        many: Many::Paths,
        ..one(
            CLIENTS,
            "origins",
            "PATTERN",
            "",
            "Origins of web pages whose scripts may call, as in https://portal.example.com; \
            without any, browsers are refused.",
        )
    },
    one(
        CLIENTS,
        "rate-limit",
        "RATE",
        "none",
        "Requests that a client may make in the long run: 20/s, 600/m, 5000/h, or none for no \
        limit.",
    ),
    one(
        CLIENTS,
        "rate-burst",
        "N",
        "20",
        "Requests that a client may make at once, after a rest.",
    ),
    one(
        CLIENTS,
        "max-connections-per-client",
        "N",
        "auto",
        "Connections of one client at the same time: auto is an eighth of max-connections, at \
        least 64, and none is no limit; more are refused (429).",
    ),
    one(
        CLIENTS,
        "max-requests",
        "N",
        "none",
        "Requests of a client that may be under way at the same time, streams not counted; or none \
        for no limit.",
    ),
    one(
        CLIENTS,
        "max-streams",
        "N",
        "none",
        "Events, logs, statistics, waits and terminals of a client at the same time; or none for \
        no limit.",
    ),
    Opt {
        many: Many::Paths,
        ..one(
            CLIENTS,
            "user-agents",
            "PATTERN",
            "",
            "User agents that are let in, and no others; * stands for any characters.",
        )
    },
    Opt {
        many: Many::Paths,
        ..one(
            CLIENTS,
            "user-agents-denied",
            "PATTERN",
            "",
            "User agents that are refused; * stands for any characters.",
        )
    },
    one(
        LOG,
        "log-level",
        "LEVEL",
        "6",
        "0 emerg, 1 alert, 2 crit, 3 err, 4 warning (refused requests), 5 notice, 6 info, 7 debug \
        (every request).",
    ),
    one(LOG, "log-format", "FORMAT", "logfmt", "logfmt or json."),
    one(
        LOG,
        "log-priority",
        "WHEN",
        "auto",
        "Begin lines with their priority, as in <6>, for journald: always, never, or auto if the \
        log goes there.",
    ),
    one(
        LOG,
        "audit-log",
        "PLACE",
        "",
        "Where every decision goes in JSON, whatever log-level is: stdout, the path of a file \
        (SIGUSR1 opens it again), or unix:///PATH of a stream socket.",
    ),
    one(
        ADMIN,
        "admin-addr",
        "ADDR",
        "",
        "Address of the admin listener, with a page for browsers at /, and /metrics, /healthz, \
        /readyz, /policy, /decisions and /clients: unix:///PATH, tcp://HOST:PORT, or fd://NAME for \
        a socket of systemd; without it, there is none.",
    ),
    one(
        ADMIN,
        "admin-socket-mode",
        "BITS",
        "0600",
        "Mode of the admin listener's Unix socket, in octal.",
    ),
    one(
        ADMIN,
        "admin-token-file",
        "FILE",
        "",
        "File with the bearer token that every request to the admin listener must carry; \
        addresses that other hosts can reach need it, or admin-tls-cacert.",
    ),
    one(
        ADMIN,
        "admin-tls-cacert",
        "FILE",
        "",
        "CA certificates (PEM); clients of the admin listener must then show a certificate signed \
        by one.",
    ),
    one(
        ADMIN,
        "admin-tls-cert",
        "FILE",
        "",
        "Certificate chain (PEM) of the admin listener on TCP; turns on TLS.",
    ),
    one(
        ADMIN,
        "admin-tls-key",
        "FILE",
        "",
        "Private key (PEM) of admin-tls-cert.",
    ),
];

/// Returns the known name that is nearest to a mistyped one, if one is near.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + typed.len() / 6;
    known
        .map(|name| (strsim::levenshtein(typed, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}
