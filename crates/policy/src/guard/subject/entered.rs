//! Judges the containers that a call enters, by exec or by their files, and those whose namespaces
//! are joined: the client gets their powers.

use super::super::allow::capability;
use super::super::host::{gives_host_path, is_powerful};
use super::super::host_config::is_harmless_device;
use super::super::judge::{Judge, shortened};
use super::super::target::Use;
use super::super::volume;
use super::{Role, Slot, Subject};
use crate::endpoint::ObjectKind;
use crate::object::{Detail, Object, Traits};

impl<'g> Judge<'g> {
    /// Judges a container in which a client runs commands, types, or takes and puts files.
    pub(super) fn judge_entered_container(&mut self, how: Use, object: &Object, traits: &Traits) {
        if how == Use::Enter
            && let Some(profile) = self.profile_of(object)
        {
            let what = format!(
                "the container {} calls with the rights of the profile {profile}",
                object.name
            );
            self.unless_allowed("profile", profile, || what);
        }
        let is_excepted = self.allows("target", &object.name)
            || self.has("target-label")
                && object
                    .labels
                    .iter()
                    .any(|(key, value)| self.allows("target-label", &format!("{key}={value}")));
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
                    self.add_subject(Subject {
                        kind: ObjectKind::Container,
                        word,
                        role: Role::Shared(kind),
                        place,
                        slot,
                    });
                }
            }
        }
        for (word, _) in &traits.volumes {
            let (word, place, slot) = (word.clone(), self.place().to_vec(), Slot::Nowhere);
            self.add_subject(Subject {
                kind: ObjectKind::Volume,
                word,
                role: Role::Held,
                place,
                slot,
            });
        }
        let paths = traits
            .host_paths
            .iter()
            .filter(|path| gives_host_path(path) && !self.allows_path("bind", path, true));
        reasons.extend(paths.map(|path| format!("it mounts {} of the host", shortened(path))));
        if !self.allows("proxy", "") {
            let own = self.mounts_of_the_proxy(traits).map(shortened);
            reasons.extend(
                own.map(|mount| {
                    format!("it mounts {mount}, which the proxy's own container mounts")
                }),
            );
        }
        if !reasons.is_empty() {
            let hint = self.hint("target", &object.name);
            let what = format!(
                "the container {} gives the host, or other clients' rights, away",
                object.name
            );
            self.refuse(format!("{what}: {}", reasons.join(", ")), hint);
        }
    }

    /// Returns the profile whose client a container is, if it is another one than the caller's.
    fn profile_of(&self, container: &Object) -> Option<&'g str> {
        let traits = container.traits();
        let addresses = traits.map(|traits| traits.addresses.as_slice());
        let client = self.surroundings.as_client(container);
        self.surroundings
            .claimed(&client, addresses.unwrap_or_default())
    }

    /// Lists the powers over the host that a container has and that the exceptions do not cover.
    fn powers_of(&self, traits: &Traits, reasons: &mut Vec<String>) {
        if traits.privileged && !self.allows("privileged", "") {
            reasons.push("it is privileged".to_owned());
        }
        let shared = traits
            .namespaces
            .iter()
            .filter(|(kind, mode)| mode == "host" && !self.allows("host-namespace", kind));
        reasons.extend(shared.map(|(kind, _)| format!("it shares the host's {kind} namespace")));
        let names = traits.capabilities.iter().map(|name| capability(name));
        let powerful = names.filter(|name| is_powerful(name) && !self.allows("capability", name));
        reasons.extend(powerful.map(|name| format!("it has the capability {name}")));
        let rules = traits
            .device_rules
            .iter()
            .filter(|rule| !self.allows("device-cgroup-rule", rule));
        reasons
            .extend(rules.map(|rule| format!("it makes devices by the rule {}", shortened(rule))));
        if traits.unmasked && !self.allows("masked-paths", "") {
            reasons.push("it sees what /proc and /sys hide".to_owned());
        }
        let devices = traits
            .devices
            .iter()
            .filter(|path| !is_harmless_device(path) && !self.allows_path("device", path, false));
        reasons.extend(devices.map(|path| format!("it has the device {}", shortened(path))));
    }

    /// Judges a volume of a container that is entered.
    pub(super) fn holds_volume(&mut self, object: &Object) {
        let Detail::Volume { driver, options } = &object.detail else {
            return;
        };
        let is_local = matches!(driver.as_str(), "" | "local");
        if is_local && !self.allows("volume", &object.name) && !volume::is_harmless(self, options) {
            let hint = self.hint("volume", &object.name);
            self.refuse(
                format!(
                    "the container mounts the volume {}, which is a path or a device of the host",
                    object.name
                ),
                hint,
            );
        }
    }

    pub(super) fn shares_namespace(
        &mut self,
        kind: &'static str,
        subject: &Subject,
        object: &Object,
    ) {
        if subject.role == Role::Shared("network") {
            self.not_the_proxy(&object.id);
            if let Some(profile) = self.profile_of(object) {
                let what = format!(
                    "in the network of {}, it has the rights of the profile {profile}",
                    object.name
                );
                self.unless_allowed("profile", profile, || what);
            }
        }
        let mode = object.traits().map_or("", |traits| traits.namespace(kind));
        if mode == "host" {
            let what = || {
                format!(
                    "the container shares the host's {kind} namespace by way of {}",
                    object.name
                )
            };
            self.unless_allowed("host-namespace", kind, what);
        } else if let Some(other) = mode.strip_prefix("container:") {
            self.add_subject(Subject {
                word: other.to_owned(),
                slot: Slot::Nowhere,
                ..subject.clone()
            });
        }
    }

    pub(super) fn joins_namespace(
        &mut self,
        kind: &'static str,
        subject: &Subject,
        object: &Object,
    ) {
        self.not_the_proxy(&object.id);
        if kind == "network"
            && let Some(profile) = self.profile_of(object)
        {
            let what = format!(
                "in the network of {}, it would have the rights of the profile {profile}",
                object.name
            );
            self.unless_allowed("profile", profile, || what);
        }
        self.shares_namespace(
            kind,
            &Subject {
                role: Role::Namespace(kind),
                ..subject.clone()
            },
            object,
        );
    }
}
