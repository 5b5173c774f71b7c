//! The kinds of exceptions, each with its syntax and its help.

use std::fmt;

/// A kind of exception: the words of its syntax, and a help text about the calls that it allows.
#[derive(Debug, PartialEq, Eq)]
pub struct ExceptionKind {
    /// The word before the `=`.
    pub name: &'static str,
    /// The form of the value behind it; empty if there is no value.
    pub value: &'static str,
    /// The help text: one sentence.
    pub help: &'static str,
}

const fn kind(name: &'static str, value: &'static str, help: &'static str) -> ExceptionKind {
    ExceptionKind { name, value, help }
}

/// Every kind of exception of `guard-allow`, in the order of the documentation.
pub const KINDS: &[ExceptionKind] = &[
    kind(
        "annotation",
        "PATTERN",
        "Annotations of this name: runtimes take commands from some.",
    ),
    kind(
        "bind",
        "/PATH[/**][:ro]",
        "Mounting this path of the host; with /** what is below it too, with :ro only for reading. \
        A writable /** gives the host away to a client that also runs containers: it can make a \
        link there.",
    ),
    kind(
        "build",
        "",
        "Builds under restricted: their commands run as root, with the default capabilities.",
    ),
    kind(
        "build-remote",
        "PATTERN",
        "Builds whose context the engine fetches from such a URL.",
    ),
    kind(
        "build-frontend",
        "PATTERN",
        "Builds by such a frontend image (BUILDKIT_SYNTAX).",
    ),
    kind("capability", "NAME", "Adding this capability, or ALL."),
    kind(
        "cgroup-parent",
        "PATTERN",
        "Running below this cgroup of the host.",
    ),
    kind(
        "config",
        "PATTERN",
        "Services get only such configs; given once, no others.",
    ),
    kind(
        "container-namespace",
        "network|pid|ipc",
        "Joining a namespace of another container; its network needs none.",
    ),
    kind(
        "device",
        "/PATH[/**]",
        "This device of the host; with /** what is below it too.",
    ),
    kind(
        "device-cgroup-rule",
        "PATTERN",
        "This rule for devices, as in c 188:* rmw.",
    ),
    kind(
        "exec-privileged",
        "",
        "Commands with every capability in a container.",
    ),
    kind(
        "gpus",
        "",
        "GPUs and other devices that a driver finds (DeviceRequests).",
    ),
    kind(
        "host-namespace",
        "network|pid|ipc|uts|user|cgroup",
        "Sharing this namespace with the host.",
    ),
    kind(
        "image",
        "PATTERN",
        "Only such images may be used, pulled or made; given once, no other may, and builds may \
        not.",
    ),
    kind(
        "image-load",
        "",
        "Archives of images, which may give the name of the proxy's own image to another one.",
    ),
    kind(
        "import-url",
        "PATTERN",
        "Images that the engine fetches from such a URL.",
    ),
    kind(
        "link",
        "PATTERN",
        "Links to a container of this name: they hand over its environment.",
    ),
    kind("log-driver", "NAME", "This log driver, with any options."),
    kind(
        "manager-node",
        "",
        "Changing labels and availability of a node that manages the cluster.",
    ),
    kind(
        "masked-paths",
        "",
        "Showing the container what /proc and /sys hide by default.",
    ),
    kind(
        "mount-propagation",
        "",
        "Mounts that appear on the host as well (shared, rshared).",
    ),
    kind(
        "network-driver",
        "NAME",
        "Networks of this driver, such as macvlan.",
    ),
    kind(
        "network-option",
        "NAME=PATTERN",
        "This option of a network or of an endpoint.",
    ),
    kind(
        "oom-score",
        "",
        "Containers that outlive the host's own processes when memory runs out.",
    ),
    kind(
        "podman-build",
        "",
        "Builds on Podman, whose Dockerfiles can read and write files of the host.",
    ),
    kind("privileged", "", "Containers with every right on the host."),
    kind(
        "profile",
        "PATTERN",
        "Creating, renaming and entering containers that have the rights of this profile, and \
        taking its addresses.",
    ),
    kind(
        "proxy",
        "",
        "Acting on the proxy's own container, its names, its image, and what it mounts.",
    ),
    kind(
        "realtime",
        "",
        "Processor time before the host's own processes (CpuRealtimeRuntime).",
    ),
    kind(
        "registry",
        "PATTERN",
        "Only images of such registries may be used, pulled or made; given once, no other may.",
    ),
    kind("runtime", "NAME", "This runtime beside runc."),
    kind(
        "secret",
        "PATTERN",
        "Services get only such secrets; given once, no others.",
    ),
    kind(
        "security-opt",
        "PATTERN",
        "This security option, as in seccomp=unconfined.",
    ),
    kind(
        "service-rollback",
        "",
        "Going back to the former specification of a service, which is not judged again.",
    ),
    kind("storage-opt", "NAME", "This storage option beside size."),
    kind(
        "subnet",
        "CIDR",
        "Networks of these addresses beside the private ranges.",
    ),
    kind("sysctl", "PATTERN", "This sysctl beside the safe ones."),
    kind(
        "target",
        "PATTERN",
        "Commands, attaching and files in a container of this name although it gives the host away.",
    ),
    kind(
        "target-label",
        "NAME=PATTERN",
        "The same for containers with such a label.",
    ),
    kind(
        "volume",
        "PATTERN",
        "Mounting an existing volume of this name although it is a path or a device of the host.",
    ),
    kind(
        "volume-driver",
        "NAME",
        "Volumes of this driver beside local.",
    ),
    kind(
        "volume-option",
        "NAME=PATTERN",
        "This option of a volume: with some, local volumes are paths of the host.",
    ),
    kind(
        "shared-builder",
        "",
        "The channels to BuildKit for clients with visible or own: its builds and its cache are \
        those of all clients.",
    ),
    kind("volumes-from", "", "All volumes of another container."),
];

impl fmt::Display for ExceptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, .. } = self;
        if value.is_empty() {
            f.write_str(name)
        } else {
            write!(f, "{name}={value}")
        }
    }
}

/// Every capability of Linux, and the word for all of them.
pub(super) const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
