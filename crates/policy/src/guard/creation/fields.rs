//! The fields that hold one and the same setting in the three forms of a container: Docker's,
//! Podman's, and a service's.

/// The form of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Docker,
    Libpod,
    Service,
}

/// The paths of settings in a body that creates a container.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) api: Api,
    /// `None` if the name is a parameter of the query.
    pub(super) name: Option<&'static str>,
    pub(super) labels: &'static [&'static str],
    pub(super) image: &'static str,
    pub(super) user: &'static str,
    pub(super) read_only: &'static str,
    pub(super) groups: &'static str,
    pub(super) hosts: &'static str,
    pub(super) restart: &'static str,
    pub(super) health: &'static str,
    pub(super) cgroup_parent: Option<&'static str>,
    pub(super) resources: ResourceFields,
}

/// The paths of resource limits.
#[derive(Debug)]
pub(super) struct ResourceFields {
    pub(super) memory: &'static str,
    pub(super) swap: &'static str,
    pub(super) swap_is: Swap,
    pub(super) nano_cpus: Option<&'static str>,
    /// Quota and period.
    pub(super) quota: Option<[&'static str; 2]>,
    pub(super) pids: &'static str,
    /// Whether a zero leaves memory and processors as they are, as a missing field does. The number
    /// of processes is a pointer in every API, so that its zero is a value.
    pub(super) zero_is_missing: bool,
}

/// The meaning of a swap limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swap {
    /// Memory and swap together; without it, the engine allows twice the memory.
    TotalOrDouble,
    /// Memory and swap together; without it, the runtime sets no limit.
    Total,
    /// Swap beside memory; without it, the engine allows as much as there is memory.
    Beside,
}

pub(super) static DOCKER: Fields = Fields {
    api: Api::Docker,
    name: None,
    labels: &["Labels"],
    image: "Image",
    user: "User",
    read_only: "HostConfig.ReadonlyRootfs",
    groups: "HostConfig.GroupAdd",
    hosts: "HostConfig.ExtraHosts",
    restart: "HostConfig.RestartPolicy.Name",
    health: "Healthcheck.Test",
    cgroup_parent: Some("HostConfig.CgroupParent"),
    resources: ResourceFields {
        memory: "HostConfig.Memory",
        swap: "HostConfig.MemorySwap",
        swap_is: Swap::TotalOrDouble,
        nano_cpus: Some("HostConfig.NanoCpus"),
        quota: Some(["HostConfig.CpuQuota", "HostConfig.CpuPeriod"]),
        pids: "HostConfig.PidsLimit",
        zero_is_missing: true,
    },
};

pub(super) static LIBPOD: Fields = Fields {
    api: Api::Libpod,
    name: Some("name"),
    labels: &["labels"],
    image: "image",
    user: "user",
    read_only: "read_only_filesystem",
    groups: "groups",
    hosts: "hostadd",
    restart: "restart_policy",
    health: "healthconfig.Test",
    cgroup_parent: Some("cgroup_parent"),
    resources: ResourceFields {
        memory: "resource_limits.memory.limit",
        swap: "resource_limits.memory.swap",
        swap_is: Swap::Total,
        nano_cpus: None,
        quota: Some(["resource_limits.cpu.quota", "resource_limits.cpu.period"]),
        pids: "resource_limits.pids.limit",
        zero_is_missing: true,
    },
};

pub(super) static SERVICE: Fields = Fields {
    api: Api::Service,
    name: Some("Name"),
    labels: &["Labels", "TaskTemplate.ContainerSpec.Labels"],
    image: "TaskTemplate.ContainerSpec.Image",
    user: "TaskTemplate.ContainerSpec.User",
    read_only: "TaskTemplate.ContainerSpec.ReadOnly",
    groups: "TaskTemplate.ContainerSpec.Groups",
    hosts: "TaskTemplate.ContainerSpec.Hosts",
    restart: "TaskTemplate.RestartPolicy.Condition",
    health: "TaskTemplate.ContainerSpec.Healthcheck.Test",
    cgroup_parent: None,
    resources: ResourceFields {
        memory: "TaskTemplate.Resources.Limits.MemoryBytes",
        swap: "TaskTemplate.Resources.SwapBytes",
        swap_is: Swap::Beside,
        nano_cpus: Some("TaskTemplate.Resources.Limits.NanoCPUs"),
        quota: None,
        pids: "TaskTemplate.Resources.Limits.Pids",
        zero_is_missing: true,
    },
};

pub(super) static DOCKER_UPDATE: ResourceFields = ResourceFields {
    memory: "Memory",
    swap: "MemorySwap",
    swap_is: Swap::TotalOrDouble,
    nano_cpus: Some("NanoCpus"),
    quota: Some(["CpuQuota", "CpuPeriod"]),
    pids: "PidsLimit",
    zero_is_missing: true,
};

pub(super) static LIBPOD_UPDATE: ResourceFields = ResourceFields {
    memory: "memory.limit",
    swap: "memory.swap",
    swap_is: Swap::Total,
    nano_cpus: None,
    quota: Some(["cpu.quota", "cpu.period"]),
    pids: "pids.limit",
    zero_is_missing: false,
};
