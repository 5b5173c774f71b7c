//! The switches of Tecnativa's proxy and of LinuxServer's, and the calls that they let pass.

use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Endpoint;

use super::settings::PeerSettings;

/// The two families of switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SwitchFamily {
    /// Switches for actions come behind that for methods.
    Tecnativa,
    /// Switches for actions work by themselves.
    LinuxServer,
}

/// A version of the proxy, by the switches that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// Sections, actions and `POST`.
    Sections,
    /// Also parts of `CONTAINERS`; Tecnativa's also methods.
    Parts,
}

/// Every section, as the switches call it.
pub(super) const SECTIONS: &[&str] = &[
    "AUTH",
    "BUILD",
    "COMMIT",
    "CONFIGS",
    "CONTAINERS",
    "DISTRIBUTION",
    "EVENTS",
    "EXEC",
    "GRPC",
    "IMAGES",
    "INFO",
    "NETWORKS",
    "NODES",
    "PING",
    "PLUGINS",
    "SECRETS",
    "SERVICES",
    "SESSION",
    "SWARM",
    "SYSTEM",
    "TASKS",
    "VERSION",
    "VOLUMES",
];

/// Podman's own sections, behind `LIBPOD_`.
pub(super) const LIBPOD_SECTIONS: &[&str] = &[
    "CONTAINERS",
    "EVENTS",
    "EXEC",
    "GENERATE",
    "IMAGES",
    "INFO",
    "MANIFESTS",
    "NETWORKS",
    "PING",
    "PLAY",
    "PODS",
    "SECRETS",
    "SYSTEM",
    "VERSION",
    "VOLUMES",
];

/// Sections that are open unless they are closed.
const OPEN: &[&str] = &["EVENTS", "PING", "VERSION", "LIBPOD_PING", "LIBPOD_VERSION"];

/// Switches that open actions, with the last segments of their paths.
pub(super) const ACTIONS: &[(&str, &[&str])] = &[
    ("ALLOW_START", &["start"]),
    ("ALLOW_STOP", &["stop"]),
    ("ALLOW_RESTARTS", &["stop", "restart", "kill"]),
    ("ALLOW_PAUSE", &["pause"]),
    ("ALLOW_UNPAUSE", &["unpause"]),
];

/// A part of `CONTAINERS` that stays closed without a switch of its own.
#[derive(Debug)]
pub(super) struct ClosedPart {
    pub(super) switch: &'static str,
    /// The part of its paths behind the container's name.
    pub(super) word: &'static str,
    pub(super) method: &'static str,
}

const fn part(switch: &'static str, word: &'static str, method: &'static str) -> ClosedPart {
    ClosedPart {
        switch,
        word,
        method,
    }
}

const TECNATIVA_PARTS: &[ClosedPart] = &[
    part("ALLOW_EXEC", "exec", "POST"),
    part("ALLOW_KILL", "kill", "POST"),
    part("ALLOW_ATTACH", "attach", "POST"),
    part("ALLOW_ARCHIVE", "archive", "GET"),
    part("ALLOW_EXPORT", "export", "GET"),
    part("ALLOW_LOGS", "logs", "GET"),
];

const LINUXSERVER_PARTS: &[ClosedPart] = &[
    part("ALLOW_LOGS", "logs", "GET"),
    part("ALLOW_TOP", "top", "GET"),
    part("ALLOW_CHANGES", "changes", "GET"),
    part("ALLOW_EXPORT", "export", "GET"),
    part("ALLOW_ARCHIVE", "archive", "GET"),
];

/// Tecnativa's switches for methods beside `POST`.
const METHODS: &[(&str, Method)] = &[("DELETE", Method::Delete), ("PUT", Method::Put)];

/// The part of a version that the image's tag tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    /// A release of Tecnativa's proxy before the switches for methods and parts.
    Released,
    /// The current state of the main branch.
    Edge,
    /// `latest`, a number that is not known here, or none.
    Open,
}

/// The switches as they were written.
#[derive(Clone, Debug)]
pub(super) struct Switches {
    vars: Vec<(String, String)>,
    gate: SwitchFamily,
    tag: Tag,
}

impl Switches {
    /// Takes the variables of the settings.
    pub(super) fn new(settings: &PeerSettings, gate: SwitchFamily) -> Self {
        let tag = match (settings.image_tag().as_deref(), settings.image_version()) {
            (_, Some((0, Some(0..=4)))) => Tag::Released,
            (Some("edge" | "master" | "main"), _) => Tag::Edge,
            _ => Tag::Open,
        };
        Self {
            vars: settings.vars.clone(),
            gate,
            tag,
        }
    }

    /// Returns the sentence that says which version the settings are read for.
    pub(super) fn assumption(&self) -> &'static str {
        let mut generations = self.generations();
        match (self.gate, generations.next(), generations.next()) {
            (SwitchFamily::Tecnativa, Some(Generation::Sections), None) => {
                "the settings are read for Tecnativa's proxy, 0.4 and older"
            }
            (SwitchFamily::Tecnativa, _, None) => {
                "the settings are read for Tecnativa's proxy, its main branch of September 2026 \
                (tag edge)"
            }
            (SwitchFamily::Tecnativa, _, Some(_)) => {
                "the version of Tecnativa's proxy is not certain, so calls that 0.4 or its main \
                branch of September 2026 (tag edge) refuses are closed"
            }
            (SwitchFamily::LinuxServer, ..) => {
                "the version of LinuxServer's proxy is not certain, so calls that its versions \
                since 18 August 2026 refuse are closed"
            }
        }
    }

    /// Returns the variables as they were written.
    pub(super) fn written(&self) -> &[(String, String)] {
        &self.vars
    }

    /// Returns whether a switch is on. HAProxy takes the number that a value begins with, and
    /// anything but 0 for true (`env(X) -m bool`).
    pub(super) fn is_on(&self, name: &str) -> bool {
        match self.vars.iter().find(|(known, _)| known == name) {
            Some((_, value)) => is_true(value),
            None => OPEN.contains(&name),
        }
    }

    fn is_written(&self, name: &str) -> bool {
        self.vars.iter().any(|(known, _)| known == name)
    }

    /// Returns the parts that some version of this proxy has switches for.
    pub(super) fn parts(&self) -> &'static [ClosedPart] {
        if self.gate == SwitchFamily::Tecnativa {
            TECNATIVA_PARTS
        } else {
            LINUXSERVER_PARTS
        }
    }

    /// Returns the versions that the settings may have been written for. The image's tag tells
    /// Tecnativa's releases, which know no parts, from its main branch; a switch that only one of
    /// the two knows tells which one was meant. LinuxServer's tags say nothing about it.
    pub(super) fn generations(&self) -> impl Iterator<Item = Generation> + use<> {
        let names_parts = self.parts().iter().any(|part| self.is_written(part.switch));
        let names_methods = ["DELETE", "PUT", "PATCH"]
            .iter()
            .any(|name| self.is_written(name));
        let known: &[Generation] = match (self.gate, self.tag) {
            (SwitchFamily::Tecnativa, Tag::Edge) => &[Generation::Parts],
            (SwitchFamily::Tecnativa, Tag::Open) if names_parts => &[Generation::Parts],
            (SwitchFamily::Tecnativa, Tag::Released) if !names_parts && !names_methods => {
                &[Generation::Sections]
            }
            (SwitchFamily::Tecnativa | SwitchFamily::LinuxServer, _) => {
                &[Generation::Sections, Generation::Parts]
            }
        };
        known.iter().copied()
    }

    fn has_parts(&self) -> bool {
        self.generations()
            .any(|generation| generation == Generation::Parts)
    }

    /// Returns the part of `CONTAINERS` that an endpoint belongs to, in a version that knows parts.
    pub(super) fn part_of(&self, endpoint: &Endpoint) -> Option<&'static ClosedPart> {
        let word = behind_container(
            endpoint
                .shape
                .strip_prefix("/libpod")
                .unwrap_or(endpoint.shape),
        )?;
        self.part_at(word).filter(|_| self.has_parts())
    }

    fn part_at(&self, word: &str) -> Option<&'static ClosedPart> {
        self.parts().iter().find(|part| word.starts_with(part.word))
    }

    /// Returns whether an action stays closed although its switch is on.
    pub(super) fn denies_action(&self, action: &str) -> bool {
        self.has_parts()
            && self
                .part_at(action)
                .is_some_and(|part| !self.is_on(part.switch))
    }

    /// Returns whether the switches of actions do anything.
    pub(super) fn actions_work(&self) -> bool {
        self.gate == SwitchFamily::LinuxServer || self.is_on("POST")
    }

    /// Returns whether the proxy has switches for Podman's own API, and some are written.
    pub(super) fn knows_libpod(&self) -> bool {
        self.gate == SwitchFamily::LinuxServer
            && self
                .vars
                .iter()
                .any(|(name, _)| name.starts_with("LIBPOD_"))
    }

    /// Returns whether a section of Podman's own API is open.
    pub(super) fn opens_libpod(&self, section: &str) -> bool {
        self.knows_libpod() && self.is_on(&format!("LIBPOD_{section}"))
    }

    /// Returns the methods that every version lets pass.
    pub(super) fn methods(&self) -> Vec<Method> {
        let all = [
            Method::Get,
            Method::Head,
            Method::Post,
            Method::Delete,
            Method::Put,
        ];
        all.into_iter()
            .filter(|method| {
                self.generations()
                    .all(|generation| self.allows_method(generation, *method))
            })
            .collect()
    }

    fn allows_method(&self, generation: Generation, method: Method) -> bool {
        let own = METHODS
            .iter()
            .find(|(_, own)| *own == method)
            .map(|(name, _)| *name);
        match (generation, self.gate, own) {
            _ if matches!(method, Method::Get | Method::Head) => true,
            (Generation::Parts, SwitchFamily::Tecnativa, Some(name)) => self.is_on(name),
            (Generation::Parts, SwitchFamily::Tecnativa, None) if method != Method::Post => false,
            _ => self.is_on("POST"),
        }
    }

    /// Returns whether a version of the proxy lets a call pass.
    pub(super) fn allows(&self, generation: Generation, method: Method, path: &str) -> bool {
        let path = without_version(path);
        let (engine, path) = match path.strip_prefix("/libpod") {
            Some(rest) if rest.starts_with('/') => ("LIBPOD_", rest),
            _ => ("", path),
        };
        if !engine.is_empty() && !self.knows_libpod() {
            return false;
        }
        let is_on = |name: &str| self.is_on(&format!("{engine}{name}"));
        let allows_method = self.allows_method(generation, method);
        let word = behind_container(path);
        let is_closed = generation == Generation::Parts
            && word
                .and_then(|word| self.part_at(word))
                .is_some_and(|part| !self.is_on(part.switch));
        let acts = ACTIONS.iter().any(|(name, actions)| {
            let starts = |action: &str| word.is_some_and(|word| word.starts_with(action));
            (is_on(name) && actions.iter().any(|action| starts(action)))
                || (is_on(&name.replace("ALLOW_", "ALLOW_POD_"))
                    && !engine.is_empty()
                    && is_pod_action(path, actions))
        });
        let sections = if engine.is_empty() {
            SECTIONS
        } else {
            LIBPOD_SECTIONS
        };
        let is_open = || {
            sections.iter().any(|section| {
                let word = if *section == "PING" {
                    "_ping".to_owned()
                } else {
                    section.to_lowercase()
                };
                is_on(section) && path[1..].starts_with(&word)
            })
        };
        match self.gate {
            SwitchFamily::LinuxServer => {
                (acts && !is_closed) || (allows_method && !is_closed && is_open())
            }
            SwitchFamily::Tecnativa => allows_method && !is_closed && (acts || is_open()),
        }
    }

    /// Returns whether some version of the proxy reads a variable of this name as a switch.
    pub(super) fn knows(&self, name: &str) -> bool {
        let bare = name
            .strip_prefix("LIBPOD_")
            .filter(|_| self.gate == SwitchFamily::LinuxServer);
        let is_libpod = bare.is_some();
        let bare = bare.unwrap_or(name);
        let is_method = ["POST", "DELETE", "PUT", "PATCH"].contains(&bare);
        let sections = if is_libpod { LIBPOD_SECTIONS } else { SECTIONS };
        let is_action = |known: &str| {
            known == bare || (is_libpod && known.replace("ALLOW_", "ALLOW_POD_") == bare)
        };
        sections.contains(&bare)
            || ACTIONS.iter().any(|(known, _)| is_action(known))
            || (is_method && !is_libpod)
            || self.parts().iter().any(|part| part.switch == bare)
            || (self.gate == SwitchFamily::Tecnativa && bare == "ALLOW_DELETE")
    }
}

fn is_true(value: &str) -> bool {
    let digits = value.trim_start_matches(['+', '-']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    // Any digit but a zero makes it something else than 0, however long it is.
    digits[..end].contains(|c| c != '0')
}

fn without_version(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/v") else {
        return path;
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    if end > 0 && rest[end..].starts_with('/') {
        &rest[end..]
    } else {
        path
    }
}

/// Returns the part of a path behind the container's name.
fn behind_container(path: &str) -> Option<&str> {
    path.strip_prefix("/containers/")?
        .split_once('/')
        .map(|(_, rest)| rest)
}

fn is_pod_action(path: &str, actions: &[&str]) -> bool {
    let word = path
        .strip_prefix("/pods/")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, word)| word);
    word.is_some_and(|word| actions.contains(&word))
}
