//! The parts of the host that give it away: paths that it depends on, and capabilities that lead
//! out of a container.

/// Returns whether a container that mounts this path can take the host over, or read its keys. A
/// plain folder in a home is data; a name that begins with a dot there may be keys.
pub(super) fn gives_host_path(path: &str) -> bool {
    let lies_in = |inner: &str, outer: &str| {
        inner == outer || outer == "/" || inner.starts_with(&format!("{outer}/"))
    };
    let in_home = path
        .strip_prefix("/home/")
        .and_then(|rest| rest.split_once('/').map(|(_, rest)| rest));
    let in_home = in_home.or_else(|| path.strip_prefix("/root/"));
    if in_home.is_some_and(|rest| {
        !rest.is_empty()
            && !rest
                .split('/')
                .any(|part| part == "bin" || part.starts_with('.'))
    }) {
        return false;
    }
    if super::mount::is_harmless_file(path) {
        return false;
    }
    path == "/"
        || SYSTEM_FOLDERS
            .iter()
            .any(|folder| lies_in(path, folder) || lies_in(folder, path))
}

/// Returns whether a capability leads out of a container.
pub(super) fn is_powerful(name: &str) -> bool {
    POWERFUL.contains(&name)
}

/// Capabilities that lead out of a container, or to the host's memory, disks or network.
pub(super) const POWERFUL: &[&str] = &[
    "ALL",
    "BPF",
    "DAC_READ_SEARCH",
    "NET_ADMIN",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
];

/// Folders with the host's programs, its keys, or sockets of programs that run as root.
const SYSTEM_FOLDERS: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix",
    "/opt/cni",
    "/ostree",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/snap",
    "/sys",
    "/usr",
    "/var/lib/apt",
    "/var/lib/cloud",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/kubelet",
    "/var/lib/rancher",
    "/var/lib/rpm",
    "/var/lib/snapd",
    "/var/lib/systemd",
    "/var/run",
    "/var/spool/cron",
];
