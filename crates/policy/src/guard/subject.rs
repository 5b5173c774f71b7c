//! Subjects: the objects that a decision depends on, why each matters, and the judgement once the
//! engine has described it.

mod entered;

use super::judge::{Judge, TakenStep, shortened};
use super::network::is_predefined;
use super::target::Use;
use super::visibility::Overwriting;
use super::volume;
use crate::endpoint::ObjectKind;
use crate::object::{Detail, Object};

/// An object that a decision depends on.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(super) kind: ObjectKind,
    /// The client's word for it.
    pub(super) word: String,
    pub(super) role: Role,
    /// The place at which the client names it.
    pub(super) place: Vec<TakenStep>,
    pub(super) slot: Slot,
}

/// The reason why an object matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The call uses it in this way.
    Target(Use),
    /// The call may lose it, and its client will create it again.
    Replaced,
    /// The call starts this command.
    Started,
    /// A container joins its namespace of this kind.
    Namespace(&'static str),
    /// A container is linked to it, and gets its environment.
    Link,
    /// A container gets all of its volumes.
    VolumesFrom,
    /// A container mounts it for reading, or it is there already when the call creates it.
    Mounted,
    /// A container mounts it for writing.
    MountedToWrite,
    /// A service joins it.
    Joined,
    /// A container joins this network.
    Network,
    /// A service gets its content.
    Content,
    /// The image of a container that is created.
    Run,
    /// The image that a call names by a digest.
    Digest,
    /// The image that has a name which the call gives to another one.
    Overwritten(Overwriting),
    /// The body calls this node a manager.
    Manager,
    /// The entered container shares this namespace with it.
    Shared(&'static str),
    /// The entered container mounts it.
    Held,
    /// The image of a container that is created; the container gets its labels.
    Labels,
    /// The image of a container that will be created again; clients leave out the image's own
    /// settings.
    Defaults,
}

/// The part of the call in which the full identifier replaces the client's word.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// The object of the path.
    Path,
    /// This parameter of the query.
    Parameter { name: String, before: String },
    /// The text at the subject's place in the body, between these.
    Body { before: String, after: String },
    /// The identifier of a network that a new container joins, beside the client's word.
    Joined,
    /// None: the client did not name the object.
    Nowhere,
}

impl Judge<'_> {
    /// Judges an object that was looked up. `None` stands for an object that the engine does not
    /// have.
    pub(super) fn judge_subject(&mut self, subject: &Subject, object: Option<&Object>) {
        self.back_at(&subject.place, |judge| match object {
            None => {
                judge.judge_missing(subject);
                judge.uses_allowed(subject, None);
            }
            Some(object) => {
                judge.uses_allowed(subject, Some(object));
                judge.refuse_beyond_targets(subject, object);
                judge.refuse_unowned(subject, object);
                judge.judge_found(subject, object);
            }
        });
    }

    /// Judges an object that exists, and not for the client. The finding is that for a missing
    /// object, but for a volume: a missing one would be created.
    pub(super) fn judge_hidden(&mut self, subject: &Subject) {
        self.back_at(&subject.place, |judge| match subject.role {
            Role::Mounted | Role::MountedToWrite => {
                let name = shortened(&subject.word);
                judge.refuse(
                    format!("the volume {name} is not one that this client can use"),
                    None,
                );
            }
            _ => judge.judge_missing(subject),
        });
    }

    fn judge_missing(&mut self, subject: &Subject) {
        match subject.role {
            // A missing volume is created. An entered container keeps the other's namespace while
            // it runs.
            Role::Mounted | Role::MountedToWrite => {}
            Role::Shared(_) | Role::Held | Role::Labels | Role::Defaults => {}
            // The engine says that it has no such image, and the client pulls it.
            Role::Run | Role::Overwritten(_) | Role::Digest => {}
            // The engine's own answer is passed on before: see `Case::answer`.
            Role::Target(_) | Role::Replaced | Role::Started | Role::Manager => {}
            // A client that declares the networks of its containers will name those that exist
            // then.
            _ if self.omits_missing => {}
            // Podman has another name for its default network.
            Role::Network if is_predefined(&subject.word) => {}
            Role::Network
            | Role::Namespace(_)
            | Role::Link
            | Role::VolumesFrom
            | Role::Joined
            | Role::Content => {
                let what = format!(
                    "the engine has no {} {:?}; it must exist, since what it is decides",
                    subject.kind.name(),
                    shortened(&subject.word)
                );
                self.refuse(what, None);
            }
        }
    }

    fn judge_found(&mut self, subject: &Subject, object: &Object) {
        match subject.role {
            Role::Target(how) => self.judge_use(how, subject.kind, object),
            // `Case::answer_inspection` judges it by its settings, which this answer does not have.
            Role::Replaced => self.refuse(
                "whether it could be created again is not known".to_owned(),
                None,
            ),
            Role::Defaults => self.omits_user_of(object),
            Role::Overwritten(how) => self.overwrites(subject, object, how),
            Role::Run => {}
            Role::Digest => self.has_judged_name(subject, object),
            Role::Started => self.judge_stored_command(subject, object),
            Role::Namespace(kind) => self.joins_namespace(kind, subject, object),
            Role::Shared(kind) => self.shares_namespace(kind, subject, object),
            Role::Link => self.links_to(object),
            Role::VolumesFrom => self.takes_volumes_of(object),
            Role::Mounted | Role::MountedToWrite => self.mounts_volume(object),
            Role::Held => self.holds_volume(object),
            Role::Labels => self.takes_labels_of(object),
            Role::Joined => self.joins_from_service(object),
            Role::Network => self.joins_network(object),
            Role::Content => self.reads_content(subject.kind.name(), object),
            Role::Manager => self.keeps_manager(object),
        }
    }

    /// Judges a link to a container, which hands over its environment.
    fn links_to(&mut self, object: &Object) {
        self.not_the_proxy(&object.id);
        let what = || {
            format!(
                "a link hands over the environment of the container {}",
                object.name
            )
        };
        self.unless_allowed("link", &object.name, what);
    }

    /// Judges a container all of whose volumes another one gets.
    fn takes_volumes_of(&mut self, object: &Object) {
        self.not_the_proxy(&object.id);
        let mounts = object
            .traits()
            .and_then(|traits| self.mounts_of_the_proxy(traits).next());
        if let Some(mount) = mounts {
            let what = format!(
                "it mounts {}, which the proxy's own container mounts",
                shortened(mount)
            );
            self.unless_allowed("proxy", "", || what);
        }
    }

    /// Judges the identity that a new container gets by the labels of its image.
    fn takes_labels_of(&mut self, image: &Object) {
        if let Some(mut newcomer) = self.newcomer.clone() {
            newcomer.extend(self.surroundings.as_client(image).labels);
            self.claim_newcomer(&newcomer);
        }
    }

    /// Judges a network that a service joins.
    fn joins_from_service(&mut self, network: &Object) {
        let Detail::Network { driver, .. } = &network.detail else {
            return;
        };
        self.joins_network(network);
        if driver == "host" || network.name == "host" {
            self.unless_allowed("host-namespace", "network", || {
                "shares the host's network namespace".to_owned()
            });
        }
    }

    /// Judges a secret or a config that a service reads, if exceptions say which ones may be.
    fn reads_content(&mut self, kind: &'static str, object: &Object) {
        if self.has(kind) {
            let what = || {
                format!(
                    "the {kind} {} is not among those that guard-allow names",
                    object.name
                )
            };
            self.unless_allowed(kind, &object.name, what);
        }
    }

    /// Judges a node that a call makes a manager, or leaves as one.
    fn keeps_manager(&mut self, node: &Object) {
        if node.detail == (Detail::Node { is_manager: true }) {
            self.unless_allowed("manager-node", "", || {
                "changes a node that manages the cluster".to_owned()
            });
        } else {
            self.refuse(
                "only the role worker can be given: a manager has all of the cluster".to_owned(),
                None,
            );
        }
    }

    /// Refuses an object that the profile's targets do not include.
    fn refuse_beyond_targets(&mut self, subject: &Subject, object: &Object) {
        let is_about = match subject.role {
            Role::Target(_)
            | Role::Replaced
            | Role::Namespace(_)
            | Role::Link
            | Role::VolumesFrom => subject.kind.has_labels(),
            Role::Mounted | Role::MountedToWrite | Role::Content | Role::Manager => true,
            Role::Joined | Role::Network => !is_predefined(&object.name),
            Role::Started
            | Role::Shared(_)
            | Role::Held
            | Role::Labels
            | Role::Defaults
            | Role::Run
            | Role::Digest
            | Role::Overwritten(_) => false,
        };
        if is_about && !self.targets.include(object) {
            let (kind, name) = (subject.kind.name(), &object.name);
            self.refuse(
                format!("the {kind} {name} is not among the targets of this profile"),
                None,
            );
        }
    }

    pub(super) fn not_the_proxy(&mut self, id: &str) {
        if self.surroundings.is_proxy(id) {
            self.unless_allowed("proxy", "", || "is the proxy's own container".to_owned());
        }
    }

    fn judge_use(&mut self, how: Use, kind: ObjectKind, object: &Object) {
        if !self.is_guarded() || how == Use::Look {
            return;
        }
        match (kind, &object.detail) {
            (ObjectKind::Container, Detail::Container(traits)) => {
                self.not_the_proxy(&object.id);
                match how {
                    Use::Enter | Use::Files => self.judge_entered_container(how, object, traits),
                    Use::Rename => {
                        self.gains_no_exception(&object.name);
                        let client = self.surroundings.as_client(object);
                        // Without its name, the container may no longer be known as the client that
                        // it is.
                        self.claim_identity(|| client.clone());
                        let mut renamed = client.clone();
                        renamed.name = self
                            .name
                            .take()
                            .unwrap_or_default()
                            .trim_start_matches('/')
                            .to_owned();
                        let before = self.surroundings.claimed(&client, &[]);
                        if before != self.surroundings.claimed(&renamed, &[]) {
                            self.claim_identity(|| renamed);
                        }
                    }
                    Use::Control | Use::Join | Use::Look => {}
                }
            }
            (ObjectKind::Network, _) if how == Use::Join => self.joins_network(object),
            (ObjectKind::Pod, Detail::Pod { containers }) => {
                let own = containers
                    .iter()
                    .find(|id| self.surroundings.is_proxy(id))
                    .cloned();
                self.not_the_proxy(&own.unwrap_or_default());
            }
            (ObjectKind::Volume, _) => self.claim_volume(&object.name),
            (ObjectKind::Service, _) => {
                let own = self
                    .surroundings
                    .proxy
                    .map(|proxy| proxy.label("com.docker.swarm.service.id"));
                if own.is_some_and(|own| !own.is_empty() && own == object.id) {
                    self.unless_allowed("proxy", "", || {
                        "is the service of the proxy itself".to_owned()
                    });
                }
            }
            _ => {}
        }
    }

    /// Judges the addresses that a container gets on a network: other profiles may know their
    /// clients by them.
    fn joins_network(&mut self, network: &Object) {
        let Detail::Network { subnets, .. } = &network.detail else {
            return;
        };
        subnets
            .iter()
            .for_each(|subnet| self.claim_network(*subnet));
    }

    /// Judges the new name of a container, since exceptions go by names.
    fn gains_no_exception(&mut self, before: &str) {
        let name = self.name.as_deref().unwrap_or_default();
        let gained = ["target", "link"]
            .into_iter()
            .find(|kind| self.allows(kind, name) && !self.allows(kind, before));
        if let Some(kind) = gained {
            self.refuse(
                format!("guard-allow {kind} covers the new name, and does not cover the old one"),
                None,
            );
        }
    }

    fn judge_stored_command(&mut self, subject: &Subject, object: &Object) {
        let Detail::Exec {
            container,
            privileged,
            user,
            command,
        } = &object.detail
        else {
            return;
        };
        super::exec::stored(self, *privileged, user, command);
        self.add_subject(Subject {
            kind: ObjectKind::Container,
            word: container.clone(),
            role: Role::Target(Use::Enter),
            place: subject.place.clone(),
            slot: Slot::Nowhere,
        });
    }

    fn mounts_volume(&mut self, object: &Object) {
        self.claim_volume(&object.name);
        let Detail::Volume { driver, options } = &object.detail else {
            return;
        };
        // Volumes of other drivers are no paths of the host; the right to create them was judged.
        let is_local = matches!(driver.as_str(), "" | "local");
        if is_local && !self.allows("volume", &object.name) && !volume::is_harmless(self, options) {
            let what = format!(
                "the volume {} is a path or a device of the host",
                object.name
            );
            let hint = self.hint("volume", &object.name);
            self.refuse(what, hint);
        }
    }
}
