//! The facts that a call does not contain: the proxy's own container, and the other clients.

use core::net::IpAddr;

use ipnet::IpNet;

use super::judge::Judge;
use super::subject::{Role, Slot, Subject};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::identity::client::{Condition, Container, FactKind, Selector};
use crate::identity::profile::Profiles;
use crate::object::{Object, Traits};
use crate::request::call::Call;
use crate::text::pattern::Pattern;
use crate::view::Viewer;

/// The destination of a path of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPath {
    /// The path without symbolic links.
    LeadsTo(String),
    /// Nothing is there: the engine may make a folder.
    Missing,
    /// The host does not answer, or its answer cannot be read.
    Unknown,
}

/// Finds the destinations of paths of the host.
pub trait PathResolver {
    /// Returns where a path leads.
    fn resolve(&self, path: &str) -> HostPath;
}

impl<F: Fn(&str) -> HostPath> PathResolver for F {
    fn resolve(&self, path: &str) -> HostPath {
        self(path)
    }
}

/// The facts around a call.
#[derive(Clone, Copy, Default)]
pub struct Surroundings<'s> {
    /// The name of the client's profile.
    pub profile: &'s str,
    /// Every profile, if there are several.
    pub profiles: Option<&'s Profiles>,
    /// The full identifier of the proxy's own container; `None` outside of a container, or if the
    /// engine does not know it.
    pub proxy_id: Option<&'s str>,
    /// The proxy's own container, if the call may name something that belongs to it.
    pub proxy: Option<&'s Object>,
    /// Resolves a path of the host, if the proxy sees the same files as the engine.
    pub resolve_path: Option<&'s (dyn PathResolver + Sync)>,
    /// The client's view; `None` if it sees every object.
    pub viewer: Option<&'s Viewer>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("profile", &self.profile)
            .field("proxy_id", &self.proxy_id)
            .finish()
    }
}

impl<'s> Surroundings<'s> {
    /// Returns whether the clients of any profile own the objects that they create.
    pub(super) fn some_client_owns(&self) -> bool {
        self.profiles
            .is_some_and(|profiles| profiles.all().any(|one| one.view.ownership.is_some()))
    }

    /// Returns whether this identifier is that of the proxy's own container.
    pub(super) fn is_proxy(&self, id: &str) -> bool {
        !id.is_empty() && self.proxy_id == Some(id)
    }

    fn proxy_traits(&self) -> Option<&'s Traits> {
        self.proxy.and_then(Object::traits)
    }

    /// Returns whether the proxy mounts this volume.
    pub(super) fn is_proxy_volume(&self, name: &str) -> bool {
        self.proxy_traits()
            .is_some_and(|traits| traits.volumes.iter().any(|(own, _)| own == name))
    }

    /// Returns whether a clean path of the host holds something that the proxy mounts, or lies in
    /// it. The root of the host holds everything: an exception for it gives the host away in any
    /// case.
    fn is_proxy_path(&self, path: &str) -> bool {
        let Some(traits) = self.proxy_traits().filter(|_| path != "/") else {
            return false;
        };
        let lies_in = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let own = traits
            .host_paths
            .iter()
            .chain(traits.volumes.iter().map(|(_, source)| source));
        own.filter(|own| !own.is_empty())
            .any(|own| lies_in(path, own) || lies_in(own, path))
    }

    /// Returns whether other clients could take a container of this name for the proxy on a
    /// network.
    fn is_proxy_name(&self, name: &str) -> bool {
        let (Some(proxy), Some(traits)) = (self.proxy, self.proxy_traits()) else {
            return false;
        };
        let name = name.trim_start_matches('/').as_bytes();
        let service = proxy.label("com.docker.swarm.service.name");
        let tasks = if service.is_empty() {
            String::new()
        } else {
            format!("tasks.{service}")
        };
        let own = [proxy.name.as_str(), &traits.hostname, service, &tasks].into_iter();
        let own = own
            .chain(traits.dns_names.iter().map(String::as_str))
            .map(str::as_bytes);
        own.filter(|own| !own.is_empty()).any(|own| {
            let (start, rest) = name.split_at(own.len().min(name.len()));
            // Engines also resolve `name.network`.
            start.eq_ignore_ascii_case(own) && matches!(rest, [] | [b'.', ..])
        })
    }

    /// Returns the image of the proxy's own container.
    fn proxy_image(&self) -> Option<&'s str> {
        self.proxy_traits()
            .map(|traits| traits.image.as_str())
            .filter(|image| !image.is_empty())
    }

    /// Returns whether selectors ask for a label: containers can have many thousands of others,
    /// which are skipped.
    pub(super) fn selects_by_label(&self, key: &str) -> bool {
        self.profiles
            .is_some_and(|profiles| profiles.selecting_labels().any(|known| known == key))
    }

    /// Describes an object of the engine as a client of the proxy, with the labels that selectors
    /// ask for.
    pub(super) fn as_client(&self, object: &Object) -> Container {
        let labels = object
            .labels
            .iter()
            .filter(|(key, _)| self.selects_by_label(key))
            .cloned()
            .collect();
        Container {
            id: object.id.clone(),
            name: object.name.clone(),
            labels,
        }
    }

    /// Returns the name of the profile, other than the client's own, that a container with these
    /// addresses has.
    pub(super) fn claimed(&self, container: &Container, addresses: &[IpAddr]) -> Option<&'s str> {
        self.profiles?
            .of_container(container, addresses)
            .into_iter()
            .find(|found| *found != self.profile)
    }

    /// Returns the name of the profile, other than the client's own, that a task of a service of
    /// this name and with these labels may have. The engine gives tasks the name
    /// `SERVICE.SLOT.TASK`, and labels of its own (moby `daemon/cluster/executor`).
    fn claimed_by_task(&self, service: &str, labels: &[(String, String)]) -> Option<&'s str> {
        let tasks = Pattern::new(format!("{}.*", super::judge::shortened(service)));
        let may_hold = |condition: &Condition| match condition {
            Condition::Name(name) => name.meets(&tasks),
            Condition::Label(key, value) => match key.strip_prefix("com.docker.swarm.") {
                Some("service.name") => value.fits(service),
                Some("task.name") => value.meets(&tasks),
                Some("service.id" | "task" | "task.id" | "node.id") => true,
                _ => labels
                    .iter()
                    .any(|(known, own)| known == key && value.fits(own)),
            },
            _ => false,
        };
        let known = self
            .container_selectors()
            .filter(|(selector, _)| selector.conditions().iter().all(may_hold));
        known.map(|(_, name)| name).next()
    }

    /// Returns the selectors by which other profiles find containers.
    fn container_selectors(&self) -> impl Iterator<Item = (&'s Selector, &'s str)> {
        let own = self.profile;
        let all = self.profiles.into_iter().flat_map(Profiles::selected);
        all.filter(move |(selector, name)| selector.kind() == FactKind::Container && *name != own)
    }

    /// Returns the profiles that find their clients by labels alone, which the steps of a build
    /// take from the Dockerfile.
    pub(super) fn known_by_labels(&self) -> impl Iterator<Item = &'s str> {
        let is_label = |condition: &Condition| matches!(condition, Condition::Label(..));
        self.container_selectors()
            .filter(move |(selector, _)| selector.conditions().iter().all(is_label))
            .map(|(_, name)| name)
    }

    /// Returns whether other profiles find their clients by address.
    pub(super) fn claims_networks(&self) -> bool {
        self.claimed_networks().next().is_some()
    }

    /// Returns the networks and addresses by which other profiles find their clients.
    fn claimed_networks(&self) -> impl Iterator<Item = (&'s str, IpNet)> {
        let own = self.profile;
        let all = self.profiles.into_iter().flat_map(Profiles::selected);
        all.filter(move |(_, name)| *name != own)
            .flat_map(|(selector, name)| {
                selector
                    .conditions()
                    .iter()
                    .filter_map(move |condition| match condition {
                        Condition::Network(network) => Some((name, *network)),
                        _ => None,
                    })
            })
    }
}

/// A container that a call would create, as far as profiles may find it.
#[derive(Clone, Debug)]
pub(super) enum Newcomer {
    /// One container.
    Container(Container),
    /// The tasks of a service.
    Task {
        /// The name of the service.
        service: String,
        /// The labels of its containers.
        labels: Vec<(String, String)>,
    },
}

impl Newcomer {
    /// Adds the labels of its image.
    pub(super) fn extend(&mut self, more: Vec<(String, String)>) {
        self.labels().extend(more);
    }

    /// Drops the labels that no profile asks for.
    fn keep_labels(&mut self, is_asked_for: impl Fn(&str) -> bool) {
        self.labels().retain(|(key, _)| is_asked_for(key));
    }

    fn labels(&mut self) -> &mut Vec<(String, String)> {
        match self {
            Self::Container(Container { labels, .. }) | Self::Task { labels, .. } => labels,
        }
    }
}

impl Judge<'_> {
    /// Judges a name that a container gets on its networks.
    pub(super) fn claim_name(&mut self, name: &str) {
        if self.surroundings.is_proxy_name(name) {
            self.unless_allowed("proxy", "", || {
                "is a name of the proxy, for which other clients would take it".to_owned()
            });
        }
    }

    /// Judges a path of the host that a container or a volume gets.
    pub(super) fn claim_path(&mut self, path: &str) {
        if self.surroundings.is_proxy_path(path) {
            self.unless_allowed("proxy", "", || {
                "is or holds what the proxy's own container mounts".to_owned()
            });
        }
    }

    /// Judges a volume that is mounted, changed or removed.
    pub(super) fn claim_volume(&mut self, name: &str) {
        if self.surroundings.is_proxy_volume(name) {
            self.unless_allowed("proxy", "", || {
                "is a volume of the proxy's own container".to_owned()
            });
        }
    }

    /// Judges a reference that an image gets.
    pub(super) fn claim_image(&mut self, reference: &str) {
        let own = self
            .surroundings
            .proxy_image()
            .map(super::reference::normalised);
        // Podman takes a short name for an image of its own before it takes it for one of a
        // registry.
        let local = super::reference::normalised(&format!("localhost/{reference}"));
        if own.is_some_and(|own| own == super::reference::normalised(reference) || own == local) {
            self.unless_allowed("proxy", "", || {
                "is the image from which the proxy is started".to_owned()
            });
        }
    }

    /// Judges a pull of all tags of a repository: one of them may be the image of the proxy.
    pub(super) fn claim_repository(&mut self, reference: &str) {
        let repository = super::reference::without_version;
        let own = self.surroundings.proxy_image().map(repository);
        let is_own =
            |own| super::reference::named(own) == super::reference::named(repository(reference));
        if !super::reference::has_tag(reference) && own.is_some_and(is_own) {
            self.unless_allowed("proxy", "", || {
                "brings in all tags of the image from which the proxy is started; name a tag"
                    .to_owned()
            });
        }
    }

    /// Judges a build that pulls the images which its Dockerfile names: the Dockerfile is not read,
    /// and the engine would give their names to what the registry has.
    pub(super) fn claim_pulled_by_build(&mut self) {
        if self.owns() {
            let what = "replaces the images that the Dockerfile names, also those of other clients; \
                pull them by their names before the build";
            self.refuse(what.to_owned(), None);
        }
        let is_served_here = |own: &str| super::reference::is_of_this_host(own);
        if self.surroundings.proxy_image().is_some_and(is_served_here) {
            self.unless_allowed("proxy", "", || {
                "may replace the image from which the proxy is started: the engine looks for its \
                name on this host, where a client can serve another one"
                    .to_owned()
            });
        }
    }

    /// Judges an archive of images, whose names are not known: one may be that of the proxy's image.
    pub(super) fn claim_loaded(&mut self) {
        if self.surroundings.proxy_image().is_some() {
            self.unless_allowed("image-load", "", || {
                "brings in images under names that are not read, and one may be that of the image \
                from which the proxy is started"
                    .to_owned()
            });
        }
    }

    /// Judges the names that a call gives to images, or takes off them, where no reader does: without
    /// its name, the engine would pull the image from which the proxy is started.
    pub(super) fn keep_proxy_image(&mut self, call: &Call, id: EndpointId) {
        use EndpointId::*;
        let Some(own) = self.surroundings.proxy_image() else {
            return;
        };
        let parameters = call.parameters().unwrap_or_default();
        let values = |wanted: &str| {
            let named = parameters
                .iter()
                .filter(|(name, _)| super::fold(name) == wanted);
            named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        // Engines differ in which of several values they take, so that each name is judged with each
        // tag.
        let tagged = || {
            let (mut tags, names) = (values("tag"), values("repo"));
            if tags.is_empty() {
                tags.push(String::new());
            }
            let with_tags = |name: &String| {
                let join = |tag: &String| super::reference::joined(name, tag);
                tags.iter().map(join).collect::<Vec<_>>()
            };
            names.iter().flat_map(with_tags).collect::<Vec<_>>()
        };
        let captured = || call.captured().map(|captured| captured.word.to_owned());
        let words = match id {
            ImageRemove | LibpodImageRemove => captured().into_iter().collect(),
            LibpodImageRemoveMany => values("images"),
            LibpodManifestRemove => {
                let name = call.unversioned_path().strip_prefix("/libpod/manifests/");
                name.map(str::to_owned).into_iter().collect()
            }
            // Without a name, Podman takes all names off the image.
            LibpodImageUntag if tagged().is_empty() => return self.claim_all_names(),
            LibpodImageUntag | LibpodContainerCommit => tagged(),
            LibpodImageImport => values("reference"),
            LibpodBuildStart | LibpodBuildStartLocal => values("t"),
            LibpodImageLoad | LibpodImageLoadLocal => return self.claim_loaded(),
            _ => return,
        };
        let repository = super::reference::without_version;
        for word in words {
            let is_digest_of = word.contains('@')
                && super::reference::named(repository(&word))
                    == super::reference::named(repository(own));
            match is_digest_of {
                true => self.claim_all_names(),
                false => self.claim_image(&word),
            }
        }
    }

    fn claim_all_names(&mut self) {
        self.unless_allowed("proxy", "", || {
            "may take the name off the image from which the proxy is started".to_owned()
        });
    }

    /// Lists the mounts of the proxy that are also those of a container which is entered, or whose
    /// volumes are taken.
    pub(super) fn mounts_of_the_proxy<'t>(
        &self,
        traits: &'t Traits,
    ) -> impl Iterator<Item = &'t str> {
        let surroundings = self.surroundings;
        let volumes = traits.volumes.iter().map(|(name, _)| name.as_str());
        let volumes = volumes.filter(move |name| surroundings.is_proxy_volume(name));
        let paths = traits.host_paths.iter().map(String::as_str);
        let paths = paths.filter(move |path| {
            surroundings.is_proxy_path(path) && !super::mount::is_harmless_file(path)
        });
        volumes.chain(paths)
    }

    /// Judges the name and the labels that a container would get, since other profiles may find
    /// their clients by them.
    pub(super) fn claim_identity(&mut self, container: impl FnOnce() -> Container) {
        if self
            .surroundings
            .profiles
            .is_some_and(Profiles::by_container)
        {
            self.claim_newcomer(&Newcomer::Container(container()));
        }
    }

    /// Judges the name and the labels of a container or a task that would be created.
    pub(super) fn claim_newcomer(&mut self, newcomer: &Newcomer) {
        let claimed = match newcomer {
            Newcomer::Container(container) => self.surroundings.claimed(container, &[]),
            Newcomer::Task { service, labels } => {
                self.surroundings.claimed_by_task(service, labels)
            }
        };
        if let Some(profile) = claimed {
            let what = format!(
                "by its name and labels, this container would have the rights of the profile \
                {profile}"
            );
            self.unless_allowed("profile", profile, || what);
        }
    }

    /// Adds the image of a container that would be created, or one that it would mount, as a
    /// subject if the client does not see all images.
    pub(super) fn look_up_image(&mut self, image: &str) {
        if self.sees_some(ObjectKind::Image) && !image.is_empty() {
            let (word, place, slot) = (image.to_owned(), self.place().to_vec(), Slot::Nowhere);
            self.add_subject(Subject {
                kind: ObjectKind::Image,
                word,
                role: Role::Run,
                place,
                slot,
            });
        }
    }

    /// Judges the name and the labels of a container that would be created. The labels of its image
    /// are its own as well.
    pub(super) fn claim_created(&mut self, newcomer: impl FnOnce() -> Newcomer, image: &str) {
        self.look_up_image(image);
        if !self
            .surroundings
            .profiles
            .is_some_and(Profiles::by_container)
        {
            return;
        }
        let mut newcomer = newcomer();
        newcomer.keep_labels(|key| self.surroundings.selects_by_label(key));
        self.claim_newcomer(&newcomer);
        self.newcomer = Some(newcomer);
        if !image.is_empty() {
            let (word, place, slot) = (image.to_owned(), self.place().to_vec(), Slot::Nowhere);
            self.add_subject(Subject {
                kind: ObjectKind::Image,
                word,
                role: Role::Labels,
                place,
                slot,
            });
        }
    }

    /// Judges addresses that a network or a container gets.
    pub(super) fn claim_network(&mut self, network: IpNet) {
        let overlaps = |other: &IpNet| network.contains(other) || other.contains(&network);
        let claimed = self
            .surroundings
            .claimed_networks()
            .find(|(_, other)| overlaps(other));
        if let Some((profile, _)) = claimed {
            let what = format!(
                "by such an address, a container would have the rights of the profile {profile}"
            );
            self.unless_allowed("profile", profile, || what);
        }
    }
}
