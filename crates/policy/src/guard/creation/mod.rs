//! Creation: the requirements of a profile on what its clients create.
//!
//! The guard's level closes the ways to the host. These requirements bound what is left: memory and
//! processors, users, names, labels, ports, networks, volumes, commands. They are judged on the
//! value that is sent on, after the walk over its form: keys have the engine's spelling, values the
//! engine's types, and `null` is gone.

mod command;
mod defaults;
mod fields;
mod gpus;
mod image;
mod object;
mod ports;
mod quota;
mod resources;
mod rewrite;
mod texts;
mod user;

pub use command::CommandPattern;
pub use image::ImageDenial;
use ipnet::IpNet;
pub use object::{LabelPattern, ObjectPattern};
pub use ports::PortPattern;
pub use quota::{Claim, Excess, Quota, Usage};
pub(super) use quota::{claim, uncounted_limit};
pub use resources::{Amount, Unit, share_of};
pub use rewrite::ImageRewrite;
pub use texts::RestartPolicy;
pub use user::UserPattern;

use fields::{DOCKER, DOCKER_UPDATE, Fields, LIBPOD, LIBPOD_UPDATE, SERVICE};

use super::json::Json;
use super::query::Pairs;
use super::{Judge, Step};
use crate::endpoint::EndpointId;
use crate::text::pattern::Pattern;

/// The values that are allowed; `None` allows every value, an empty list none.
type Allowed<T> = Option<Vec<T>>;

/// The requirements of a profile on what its clients create; by default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// The requirements as they are written, for reports.
    pub written: Vec<String>,
    /// Labels that containers, services, volumes and networks must have.
    pub labels: Vec<LabelPattern>,
    /// The largest memory limit of a container.
    pub max_memory: Option<Amount>,
    /// The largest limit of memory and swap together.
    pub max_memory_swap: Option<Amount>,
    /// The largest processor limit.
    pub max_cpus: Option<Amount>,
    /// The largest number of processes.
    pub max_pids: Option<Amount>,
    /// The largest number of GPUs.
    pub max_gpus: Option<u64>,
    /// The drivers of GPUs.
    pub gpu_drivers: Allowed<Pattern>,
    /// Whether the root file system must be read-only.
    pub read_only: bool,
    /// The users of containers, and of commands that name one.
    pub users: Allowed<UserPattern>,
    /// The names of containers and services.
    pub names: Allowed<Pattern>,
    /// Published ports.
    pub ports: Allowed<PortPattern>,
    /// The host's addresses at which ports are published.
    pub port_addresses: Allowed<IpNet>,
    /// Restart policies.
    pub restart: Allowed<RestartPolicy>,
    /// Commands in running containers, and those of health checks.
    pub exec: Allowed<CommandPattern>,
    /// The names of variables of commands in running containers.
    pub exec_env: Allowed<Pattern>,
    /// The users of commands in running containers.
    pub exec_users: Allowed<UserPattern>,
    /// Additional lines of `/etc/hosts`, as `NAME:ADDRESS`.
    pub extra_hosts: Allowed<Pattern>,
    /// Additional groups.
    pub group_add: Allowed<Pattern>,
    /// Volumes that are mounted or created.
    pub volumes: Allowed<ObjectPattern>,
    /// Networks that are joined or created.
    pub networks: Allowed<ObjectPattern>,
    /// Whether images must be named by their digest.
    pub image_digest: bool,
    /// Images that are not allowed.
    pub denied_images: Vec<ImageDenial>,
    /// The images that the profile calls by other names; the first that fits counts.
    pub image_rewrites: Vec<ImageRewrite>,
    /// The memory limit of a container whose client sets none.
    pub default_memory: Option<Amount>,
    /// The processor limit of a container whose client sets none.
    pub default_cpus: Option<Amount>,
    /// The limit of processes of a container whose client sets none.
    pub default_pids: Option<Amount>,
    /// The user of a container whose client sets none.
    pub default_user: Option<String>,
    /// The host's address of published ports whose client sets none.
    pub default_port_address: Option<core::net::IpAddr>,
    /// The network of a container or service whose client names none.
    pub default_network: Option<String>,
    /// Labels that containers, services, volumes and networks get.
    pub added_labels: Vec<(String, String)>,
    /// The cgroup below which containers run.
    pub cgroup_parent: Option<String>,
    /// The most that the clients may own, all of them together.
    pub quota: Quota,
}

impl Creation {
    /// Returns whether nothing is required or set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) use command::stored as stored_command;
pub(super) use image::denied as denied_image;
pub(super) use rewrite::changes_registry;

/// The kind of object that a call creates or changes, as far as requirements are about it.
enum RequirementSubject {
    Container(&'static Fields),
    Update(&'static fields::ResourceFields),
    Rename,
    Exec,
    Volume(&'static [&'static str]),
    Network,
}

impl RequirementSubject {
    fn of_endpoint(id: EndpointId) -> Option<Self> {
        use EndpointId::*;
        Some(match id {
            ContainerCreate => Self::Container(&DOCKER),
            LibpodContainerCreate => Self::Container(&LIBPOD),
            ServiceCreate | ServiceUpdate => Self::Container(&SERVICE),
            ContainerUpdate => Self::Update(&DOCKER_UPDATE),
            LibpodContainerUpdate => Self::Update(&LIBPOD_UPDATE),
            ContainerRename | LibpodContainerRename => Self::Rename,
            ExecCreate | LibpodExecCreate => Self::Exec,
            VolumeCreate => Self::Volume(&["Labels"]),
            // Podman takes both spellings, and joins them.
            LibpodVolumeCreate => Self::Volume(&["Label", "Labels"]),
            NetworkCreate => Self::Network,
            _ => return None,
        })
    }
}

/// Returns whether an endpoint whose body is not judged creates containers or networks.
pub(super) fn creates_unseen(id: EndpointId) -> bool {
    use EndpointId::*;
    matches!(
        id,
        LibpodPodCreate
            | LibpodKubeApply
            | LibpodKubePlay
            | LibpodKubePlayOld
            | LibpodQuadletInstall
            | LibpodContainerRestore
            | LibpodNetworkCreate
    )
}

/// Returns whether an endpoint creates containers that no quota can count: the tasks of a service run
/// on any node.
pub(super) fn creates_uncounted(id: EndpointId) -> bool {
    matches!(id, EndpointId::ServiceCreate | EndpointId::ServiceUpdate)
}

/// Sets the values that the profile gives to what is created, in the body that is sent on.
pub(super) fn fill<'b, 'g: 'b>(creation: &'g Creation, id: EndpointId, body: &mut Json<'b>) {
    match RequirementSubject::of_endpoint(id) {
        Some(RequirementSubject::Container(fields)) => {
            defaults::of_container(creation, body, fields)
        }
        Some(RequirementSubject::Volume(_) | RequirementSubject::Network) => {
            defaults::labels(creation, body, &["Labels"]);
        }
        Some(
            RequirementSubject::Update(_) | RequirementSubject::Rename | RequirementSubject::Exec,
        )
        | None => {}
    }
}

/// Judges what a call creates or changes.
pub(super) fn judge(
    judge: &mut Judge<'_>,
    creation: &Creation,
    id: EndpointId,
    pairs: &Pairs,
    body: &Json<'_>,
) {
    match RequirementSubject::of_endpoint(id) {
        Some(RequirementSubject::Container(fields)) => {
            container(judge, creation, fields, pairs, body)
        }
        Some(RequirementSubject::Update(fields)) => {
            resources::update(judge, creation, body, fields);
            quota::update(judge, creation, body, fields);
            texts::restart_update(judge, creation, pairs, body);
        }
        Some(RequirementSubject::Rename) => texts::query_name(judge, creation, pairs),
        Some(RequirementSubject::Exec) => command::exec(judge, creation, body),
        Some(RequirementSubject::Volume(labels)) => {
            object::labels(judge, &creation.labels, body, labels);
            object::created(judge, "allow-volumes", &creation.volumes, body, labels);
        }
        Some(RequirementSubject::Network) => {
            object::labels(judge, &creation.labels, body, &["Labels"]);
            object::created(
                judge,
                "allow-networks",
                &creation.networks,
                body,
                &["Labels"],
            );
        }
        None => {}
    }
}

fn container(
    judge: &mut Judge<'_>,
    creation: &Creation,
    fields: &'static Fields,
    pairs: &Pairs,
    body: &Json<'_>,
) {
    match fields.name {
        Some(name) => texts::body_name(judge, creation, body, name),
        None => texts::query_name(judge, creation, pairs),
    }
    object::labels(judge, &creation.labels, body, fields.labels);
    image::digest(judge, creation, body, fields.image);
    user::container(judge, creation, body, fields.user);
    texts::read_only(judge, creation, body, fields.read_only);
    texts::groups(judge, creation, body, fields.groups);
    texts::hosts(judge, creation, body, fields);
    texts::restart(judge, creation, body, fields);
    resources::create(judge, creation, body, &fields.resources);
    ports::published(judge, creation, body, fields.api);
    gpus::requested(judge, creation, body, fields.api);
    command::health(judge, creation, body, fields.health);
    object::own_network(judge, creation, body, fields.api);
}

/// Returns the value at a path of field names, separated by dots.
fn find<'j, 'b>(body: &'j Json<'b>, path: &str) -> Option<&'j Json<'b>> {
    path.split('.').try_fold(body, |value, key| value.get(key))
}

impl Judge<'_> {
    /// Notes a value that does not meet a requirement: what is wrong with it, the key of the
    /// requirement, and the demand.
    fn unmet(&mut self, key: &str, what: impl std::fmt::Display, demand: impl std::fmt::Display) {
        self.refuse(format!("{what}; {key} of this profile {demand}"), None);
    }

    /// Notes a missing or wrong value of a field.
    fn unmet_at(
        &mut self,
        path: &'static str,
        key: &str,
        what: impl std::fmt::Display,
        demand: impl std::fmt::Display,
    ) {
        self.within(Step::Field(path), |judge| judge.unmet(key, what, demand));
    }
}

/// Returns allowed values as a demand: `allows a, b`, or `allows none`.
fn allows<T: std::fmt::Display>(allowed: &[T]) -> String {
    if allowed.is_empty() {
        return "allows none".to_owned();
    }
    let words: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    format!("allows {}", words.join(", "))
}

/// Returns patterns as a demand.
fn allows_patterns(allowed: &[Pattern]) -> String {
    allows(&allowed.iter().map(Pattern::as_str).collect::<Vec<_>>())
}
