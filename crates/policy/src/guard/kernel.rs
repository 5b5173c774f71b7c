//! Settings of the kernel that a container may have, and the parts of `/proc` and `/sys` that are
//! hidden from it.

use super::json::Json;
use super::{Judge, Step};

/// Those that the Pod Security Standards call safe, and others of a container's own network
/// namespace alone: the runtime refuses all `net.*` sysctls where a container shares the host's.
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.core.somaxconn",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// Returns whether a sysctl is of the container alone. Slashes separate names as dots do, and could
/// lead elsewhere.
fn is_safe_sysctl(name: &str) -> bool {
    let of_interface = |prefix: &str, setting: &str| {
        let interface = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(setting));
        interface.is_some_and(|one| {
            !one.is_empty()
                && one
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    SAFE_SYSCTLS.contains(&name)
        || of_interface("net.ipv4.conf.", ".src_valid_mark")
        || of_interface("net.ipv6.conf.", ".disable_ipv6")
}

pub(super) fn sysctls(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (name, _) in value.map() {
        if !is_safe_sysctl(name) {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("sysctl", name, || {
                    "is not among the safe sysctls".to_owned()
                });
            });
        }
    }
}

/// The paths that containers must not see. An inspected container lists them, so clients that
/// create one again send them.
pub(super) const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
pub(super) const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Judges a list that replaces the engine's own; without one, the engine's own holds.
pub(super) fn hidden(judge: &mut Judge<'_>, value: &Json<'_>, needed: &[&str]) {
    let missing = needed
        .iter()
        .find(|path| !value.list().iter().any(|own| own.text() == **path));
    if let Some(path) = missing {
        judge.unless_allowed("masked-paths", "", || {
            format!("a list without {path} shows the container what is hidden by default")
        });
    }
}
