//! Subjects: the objects that a call is about, why each matters, and what the guard says once the engine has described it.

use super::host::{gives_host_path, is_powerful};
use super::judge::{Judge, Place};
use super::target::Use;
use super::volume;
use crate::call::Version;
use crate::endpoint::ObjectKind;
use crate::object::{Detail, Object, Traits};

/// An object that a decision needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(super) kind: ObjectKind,
    /// What the client calls it.
    pub(super) word: String,
    pub(super) role: Role,
    /// Where the client names it.
    pub(super) place: Vec<Place>,
    pub(super) slot: Slot,
}

/// Why an object matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The call does this to it.
    Target(Use),
    /// It is a command that is started.
    Started,
    /// A container joins its namespace of this kind.
    Namespace(&'static str),
    /// A container is linked to it, and gets its environment.
    Link,
    /// A container gets all of its volumes.
    VolumesFrom,
    /// It is mounted.
    Mounted,
    /// A service joins it.
    Joined,
    /// A service gets its content.
    Content,
    /// It is a node that the body calls a manager.
    Manager,
    /// It shares this namespace with a container that is entered.
    Shared(&'static str),
    /// It is mounted by a container that is entered.
    Held,
    /// It is the image of a container that is created, and brings its labels along.
    Labels,
}

/// Where the full identifier goes in place of the client's word.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// The object of the path.
    Path,
    /// This parameter of the query.
    Parameter { name: String, before: String },
    /// The text at the subject's place in the body, between these.
    Body { before: String, after: String },
    /// Nowhere: the client did not name it.
    Nowhere,
}

impl Judge<'_> {
    /// Judges an object that was looked up. `None` stands for an object that the engine does not have.
    pub(super) fn settle(&mut self, subject: &Subject, object: Option<&Object>) {
        self.back_at(&subject.place, |judge| match object {
            None => judge.missing(subject),
            Some(object) => {
                judge.bounded(subject, object);
                judge.found(subject, object);
            }
        });
    }

    fn missing(&mut self, subject: &Subject) {
        match subject.role {
            // A volume that is missing is created. The container that is entered keeps the other's namespace while it runs.
            Role::Mounted | Role::Shared(_) | Role::Held | Role::Labels => {}
            // The engine's own answer is passed on before: see `Case::answer`.
            Role::Target(_) | Role::Started | Role::Manager => {}
            Role::Namespace(_) | Role::Link | Role::VolumesFrom | Role::Joined | Role::Content => {
                let what = format!(
                    "the engine has no {} {:?}; it must exist, since what it is decides",
                    subject.kind.name(),
                    super::judge::shown(&subject.word)
                );
                self.refuse(what, None);
            }
        }
    }

    fn found(&mut self, subject: &Subject, object: &Object) {
        match subject.role {
            Role::Target(how) => self.target(how, subject.kind, object),
            Role::Started => self.started(subject, object),
            Role::Namespace(kind) => self.joins_namespace(kind, subject, object),
            Role::Shared(kind) => self.shares_namespace(kind, subject, object),
            Role::Link => {
                self.not_the_proxy(&object.id);
                let what = || format!("a link hands over the environment of the container {}", object.name);
                self.unless_allowed("link", &object.name, what);
            }
            Role::VolumesFrom => self.not_the_proxy(&object.id),
            Role::Mounted => self.mounts_volume(object),
            Role::Held => self.holds_volume(object),
            Role::Labels => {
                if let Some(mut container) = self.identity.clone() {
                    container.labels.extend(self.surroundings.as_client(object).labels);
                    self.claim_identity(|| container);
                }
            }
            Role::Joined => {
                let Detail::Network { driver } = &object.detail else { return };
                if driver == "host" || object.name == "host" {
                    self.unless_allowed("host-namespace", "network", || {
                        "shares the host's network namespace".to_owned()
                    });
                }
            }
            Role::Content => {
                let kind = subject.kind.name();
                let what = || format!("the {kind} {} is not among those that guard-allow names", object.name);
                self.unless_allowed(kind, &object.name, what);
            }
            Role::Manager => match object.detail {
                Detail::Node { is_manager: true } => {
                    self.unless_allowed("manager-node", "", || "changes a node that manages the cluster".to_owned())
                }
                _ => {
                    self.refuse("only the role worker can be given: a manager has all of the cluster".to_owned(), None)
                }
            },
        }
    }

    /// Refuses an object that the profile's targets do not include.
    fn bounded(&mut self, subject: &Subject, object: &Object) {
        let is_about = match subject.role {
            Role::Target(_) | Role::Namespace(_) | Role::Link | Role::VolumesFrom => subject.kind.has_labels(),
            Role::Started | Role::Mounted | Role::Joined | Role::Content | Role::Manager | Role::Shared(_) => false,
            Role::Held | Role::Labels => false,
        };
        if is_about && !self.targets.include(object) {
            let (kind, name) = (subject.kind.name(), &object.name);
            self.refuse(format!("the {kind} {name} is not among the targets of this profile"), None);
        }
    }

    pub(super) fn not_the_proxy(&mut self, id: &str) {
        if self.surroundings.is_proxy(id) {
            self.unless_allowed("proxy", "", || "is the proxy's own container".to_owned());
        }
    }

    fn target(&mut self, how: Use, kind: ObjectKind, object: &Object) {
        if !self.is_guarded() || how == Use::Look {
            return;
        }
        match (kind, &object.detail) {
            (ObjectKind::Container, Detail::Container(traits)) => {
                self.not_the_proxy(&object.id);
                match how {
                    Use::Enter | Use::Files => self.enters(how, object, traits),
                    Use::Rename => {
                        let client = self.surroundings.as_client(object);
                        // Without its name, it may not be known as the client that it is.
                        self.claim_identity(|| client.clone());
                        let mut renamed = client.clone();
                        renamed.name = self.name.take().unwrap_or_default().trim_start_matches('/').to_owned();
                        let before = self.surroundings.claimed(&client, &[]);
                        if before != self.surroundings.claimed(&renamed, &[]) {
                            self.claim_identity(|| renamed);
                        }
                    }
                    Use::Control | Use::Look => {}
                }
            }
            (ObjectKind::Pod, Detail::Pod { containers }) => {
                let own = containers.iter().find(|id| self.surroundings.is_proxy(id)).cloned();
                self.not_the_proxy(&own.unwrap_or_default());
            }
            (ObjectKind::Volume, _) => self.claim_volume(&object.name),
            (ObjectKind::Service, _) => {
                let own = self.surroundings.proxy.map(|proxy| proxy.label("com.docker.swarm.service.id"));
                if own.is_some_and(|own| !own.is_empty() && own == object.id) {
                    self.unless_allowed("proxy", "", || "is the service of the proxy itself".to_owned());
                }
            }
            _ => {}
        }
    }

    fn started(&mut self, subject: &Subject, object: &Object) {
        let Detail::Exec { container, privileged, user } = &object.detail else { return };
        super::exec::stored(self, *privileged, user);
        self.add(Subject {
            kind: ObjectKind::Container,
            word: container.clone(),
            role: Role::Target(Use::Enter),
            place: subject.place.clone(),
            slot: Slot::Nowhere,
        });
    }

    /// Judges a container that a client runs commands in, types into, or takes files from and puts them into.
    fn enters(&mut self, how: Use, object: &Object, traits: &Traits) {
        if let Some(profile) = self.surroundings.claimed(&self.surroundings.as_client(object), &traits.addresses)
            && how == Use::Enter
        {
            let what = format!("the container {} calls with the rights of the profile {profile}", object.name);
            self.unless_allowed("profile", profile, || what);
        }
        let is_excepted = self.allows("target", &object.name)
            || self.has("target-label")
                && object.labels.iter().any(|(key, value)| self.allows("target-label", &format!("{key}={value}")));
        if is_excepted {
            return;
        }
        let mut reasons = Vec::new();
        if how == Use::Enter {
            self.powers_of(traits, &mut reasons);
            for (kind, mode) in &traits.namespaces {
                if let Some(other) = mode.strip_prefix("container:") {
                    let slot = Slot::Nowhere;
                    let (kind, word, place) = (*kind, other.to_owned(), self.place().to_vec());
                    self.add(Subject { kind: ObjectKind::Container, word, role: Role::Shared(kind), place, slot });
                }
            }
        }
        for (word, _) in &traits.volumes {
            let (word, place, slot) = (word.clone(), self.place().to_vec(), Slot::Nowhere);
            self.add(Subject { kind: ObjectKind::Volume, word, role: Role::Held, place, slot });
        }
        let paths =
            traits.host_paths.iter().filter(|path| gives_host_path(path) && !self.allows_path("bind", path, true));
        reasons.extend(paths.map(|path| format!("it mounts {} of the host", super::judge::shown(path))));
        if !reasons.is_empty() {
            let hint = self.hint("target", &object.name);
            self.refuse(format!("the container {} gives the host away: {}", object.name, reasons.join(", ")), hint);
        }
    }

    /// The powers over the host that a container has and that the exceptions do not cover.
    fn powers_of(&self, traits: &Traits, reasons: &mut Vec<String>) {
        if traits.privileged && !self.allows("privileged", "") {
            reasons.push("it is privileged".to_owned());
        }
        let shared =
            traits.namespaces.iter().filter(|(kind, mode)| mode == "host" && !self.allows("host-namespace", kind));
        reasons.extend(shared.map(|(kind, _)| format!("it shares the host's {kind} namespace")));
        let names = traits.capabilities.iter().map(|name| super::allow::capability(name));
        let powerful = names.filter(|name| is_powerful(name) && !self.allows("capability", name));
        reasons.extend(powerful.map(|name| format!("it has the capability {name}")));
        let rules = traits.device_rules.iter().filter(|rule| !self.allows("device-cgroup-rule", rule));
        reasons.extend(rules.map(|rule| format!("it makes devices by the rule {}", super::judge::shown(rule))));
        if traits.unmasked && !self.allows("masked-paths", "") {
            reasons.push("it sees what /proc and /sys hide".to_owned());
        }
        let devices = traits
            .devices
            .iter()
            .filter(|path| !super::host_config::is_harmless_device(path) && !self.allows_path("device", path, false));
        reasons.extend(devices.map(|path| format!("it has the device {}", super::judge::shown(path))));
    }

    /// Judges a volume of a container that is entered.
    fn holds_volume(&mut self, object: &Object) {
        let Detail::Volume { driver, options } = &object.detail else { return };
        let is_local = matches!(driver.as_str(), "" | "local");
        if is_local && !self.allows("volume", &object.name) && !volume::is_harmless(self, options) {
            let hint = self.hint("volume", &object.name);
            self.refuse(
                format!("the container mounts the volume {}, which is a path or a device of the host", object.name),
                hint,
            );
        }
    }

    fn shares_namespace(&mut self, kind: &'static str, subject: &Subject, object: &Object) {
        if subject.role == Role::Shared("network") {
            self.not_the_proxy(&object.id);
            let addresses = object.traits().map(|traits| traits.addresses.as_slice()).unwrap_or_default();
            if let Some(profile) = self.surroundings.claimed(&self.surroundings.as_client(object), addresses) {
                let what = format!("in the network of {}, it has the rights of the profile {profile}", object.name);
                self.unless_allowed("profile", profile, || what);
            }
        }
        let mode = object.traits().map_or("", |traits| traits.namespace(kind));
        if mode == "host" {
            let what = || format!("the container shares the host's {kind} namespace by way of {}", object.name);
            self.unless_allowed("host-namespace", kind, what);
        } else if let Some(other) = mode.strip_prefix("container:") {
            self.add(Subject { word: other.to_owned(), slot: Slot::Nowhere, ..subject.clone() });
        }
    }

    fn joins_namespace(&mut self, kind: &'static str, subject: &Subject, object: &Object) {
        self.not_the_proxy(&object.id);
        let addresses = object.traits().map(|traits| traits.addresses.as_slice()).unwrap_or_default();
        if let Some(profile) = self.surroundings.claimed(&self.surroundings.as_client(object), addresses)
            && kind == "network"
        {
            let what = format!("in the network of {}, it would have the rights of the profile {profile}", object.name);
            self.unless_allowed("profile", profile, || what);
        }
        self.shares_namespace(kind, &Subject { role: Role::Namespace(kind), ..subject.clone() }, object);
    }

    fn mounts_volume(&mut self, object: &Object) {
        self.claim_volume(&object.name);
        let Detail::Volume { driver, options } = &object.detail else { return };
        // Volumes of other drivers than these are no paths of the host; whoever created one had the right to.
        let is_local = matches!(driver.as_str(), "" | "local");
        if is_local && !self.allows("volume", &object.name) && !volume::is_harmless(self, options) {
            let what = format!("the volume {} is a path or a device of the host", object.name);
            let hint = self.hint("volume", &object.name);
            self.refuse(what, hint);
        }
    }

    /// Judges whether a bind that is allowed for reading only can be kept from being written to below.
    pub(super) fn reads_only_below(&mut self, place: &[Place], path: &str, engine: &Engine) {
        if engine.mounts_read_only_recursively(self.version) {
            return;
        }
        self.back_at(place, |judge| {
            let what = format!(
                "what is mounted below {path} on the host would stay writable: {}; mount it with BindOptions.NonRecursive, \
                 or allow it for writing",
                engine.why_not(judge.version)
            );
            let hint = judge.hint("bind", path);
            judge.refuse(what, hint);
        });
    }
}

/// The engine, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// The newest version of the API that it speaks.
    pub api: Option<Version>,
    /// Major and minor version of its kernel.
    pub kernel: (u32, u32),
    /// Whether it is Podman.
    pub is_podman: bool,
}

impl Engine {
    /// Since this version of the API, read-only binds are read-only all the way down (moby 25, `ReadOnlyNonRecursive`).
    const RECURSIVE: &'static str = "1.44";
    /// Since this kernel, mounts can be made read-only recursively (`mount_setattr(2)`).
    const RECURSIVE_KERNEL: (u32, u32) = (5, 12);

    /// Reads the engine's answer to `GET /version`.
    ///
    /// # Errors
    /// The answer is not JSON that all readers read alike.
    pub fn read(answer: &[u8]) -> Result<Self, super::Malformed> {
        let answer = super::Json::read(answer)?;
        let text = |key: &str| answer.get(key).map(super::Json::text).unwrap_or_default();
        let components = answer.get("Components").map(super::Json::list).unwrap_or_default();
        let mut kernel = text("KernelVersion").split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        Ok(Self {
            api: Version::parse(text("ApiVersion")),
            kernel: (kernel.next().unwrap_or(0), kernel.next().unwrap_or(0)),
            is_podman: components
                .iter()
                .any(|one| one.get("Name").map(super::Json::text).unwrap_or_default().starts_with("Podman")),
        })
    }

    /// Whether a call of this version of the API, or of the engine's own, can have read-only binds that are so all the way down.
    pub(super) fn takes_recursive(asked: Option<Version>) -> bool {
        asked.is_none_or(|asked| Some(asked) >= Version::parse(Self::RECURSIVE))
    }

    fn is_recent(&self, asked: Option<Version>) -> bool {
        self.api >= Version::parse(Self::RECURSIVE) && Self::takes_recursive(asked)
    }

    fn mounts_read_only_recursively(&self, asked: Option<Version>) -> bool {
        !self.is_podman && self.is_recent(asked) && self.kernel >= Self::RECURSIVE_KERNEL
    }

    fn why_not(&self, asked: Option<Version>) -> String {
        if self.is_podman {
            "Podman makes only the folder itself read-only".to_owned()
        } else if !self.is_recent(asked) {
            format!("before API version {}, the engine makes only the folder itself read-only", Self::RECURSIVE)
        } else {
            "its kernel is older than 5.12".to_owned()
        }
    }
}
