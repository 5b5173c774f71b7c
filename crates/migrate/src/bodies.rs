//! The limits that sockguard puts on bodies and queries, compared with those of the guard.
//!
//! Facts: `RequestBodyConfig` and `Defaults` in `app/internal/config/config.go` of sockguard 2.2.
//! Most limits hold unless they are lifted, so that a file without them restricts as well.

use std::collections::BTreeSet;

use cetusguard_policy::endpoint::EndpointId::{self, *};

use super::note::{Note, NoteKind};
use super::plan::{Plan, Rights};
use super::sockguard::SockguardSettings;

/// A block of `request_body`, with the limits in it that the guard does not have.
struct Block {
    name: &'static str,
    endpoints: &'static [EndpointId],
    limits: &'static [BodyLimit],
}

/// A limit, by its key.
enum BodyLimit {
    /// Refuses something unless the key is true.
    Unless(&'static str),
    /// Refuses everything but the entries of the key, unless the second key is true.
    Listed(&'static str, &'static str),
    /// Refuses something if the key is true or has entries.
    If(&'static str),
}

use BodyLimit::{If, Listed, Unless};

const BLOCKS: &[Block] = &[
    Block {
        name: "container_create",
        endpoints: &[ContainerCreate],
        limits: &[
            If("require_no_new_privileges"),
            If("require_non_root_user"),
            If("require_readonly_rootfs"),
            If("require_drop_all_capabilities"),
            If("require_memory_limit"),
            If("require_cpu_limit"),
            If("require_cpu_limit_hard"),
            If("require_pids_limit"),
            If("required_labels"),
            If("allowed_seccomp_profiles"),
            If("allowed_apparmor_profiles"),
            If("restrict_namespace_sharing"),
            If("deny_selinux_label_override"),
            If("image_trust"),
            Unless("allow_sysctls"),
            Unless("allow_tmpfs_privileged_options"),
        ],
    },
    Block {
        name: "exec",
        endpoints: &[ExecCreate, ExecStart],
        limits: &[
            Listed("allowed_commands", ""),
            Unless("allow_root_user"),
            If("allowed_env_vars"),
            If("denied_env_vars"),
            If("allowed_env_values"),
        ],
    },
    Block {
        name: "image_pull",
        endpoints: &[ImageCreate],
        limits: &[
            Listed("allowed_registries", "allow_all_registries"),
            Unless("allow_imports"),
        ],
    },
    Block {
        name: "build",
        endpoints: &[BuildStart],
        limits: &[Unless("allow_run_instructions")],
    },
    Block {
        name: "container_update",
        endpoints: &[ContainerUpdate],
        limits: &[
            Unless("allow_resource_updates"),
            Unless("allow_restart_policy"),
            If("require_memory_limit"),
            If("require_cpu_limit"),
            If("require_cpu_limit_hard"),
            If("require_pids_limit"),
        ],
    },
    Block {
        name: "container_archive",
        endpoints: &[ContainerArchivePut],
        limits: &[
            Listed("allowed_paths", ""),
            Unless("allow_setid"),
            Unless("allow_device_nodes"),
            Unless("allow_escaping_links"),
        ],
    },
    Block {
        name: "image_load",
        endpoints: &[ImageLoad],
        limits: &[
            Listed("allowed_registries", "allow_all_registries"),
            Unless("allow_untagged"),
        ],
    },
    Block {
        name: "volume",
        endpoints: &[VolumeCreate],
        limits: &[Unless("allow_driver_opts")],
    },
    Block {
        name: "network",
        endpoints: &[
            NetworkCreate,
            NetworkConnect,
            NetworkDisconnect,
            ContainerCreate,
        ],
        limits: &[
            Unless("allow_swarm_scope"),
            Unless("allow_ingress"),
            Unless("allow_attachable"),
            Unless("allow_config_only"),
            Unless("allow_config_from"),
            Unless("allow_custom_ipam_drivers"),
            Unless("allow_custom_ipam_config"),
            Unless("allow_ipam_options"),
            Unless("allow_endpoint_config"),
            Unless("allow_disconnect_force"),
            Unless("allow_disable_ipv4"),
        ],
    },
    Block {
        name: "secret",
        endpoints: &[SecretCreate],
        limits: &[
            Unless("allow_custom_drivers"),
            Unless("allow_template_drivers"),
        ],
    },
    Block {
        name: "config",
        endpoints: &[ConfigCreate],
        limits: &[
            Unless("allow_custom_drivers"),
            Unless("allow_template_drivers"),
        ],
    },
    Block {
        name: "service",
        endpoints: &[ServiceCreate, ServiceUpdate],
        limits: &[
            Listed("allowed_registries", "allow_all_registries"),
            Unless("allow_sysctls"),
            If("require_no_new_privileges"),
            If("require_non_root_user"),
            If("require_readonly_rootfs"),
            If("require_drop_all_capabilities"),
            If("require_cpu_limit"),
            If("require_cpu_limit_hard"),
            If("deny_custom_seccomp_profiles"),
            If("deny_selinux_label_override"),
            If("image_trust"),
        ],
    },
    Block {
        name: "swarm",
        endpoints: &[SwarmInit, SwarmJoin, SwarmUpdate, SwarmUnlock],
        limits: &[
            Unless("allow_force_new_cluster"),
            Unless("allow_external_ca"),
            Listed("allowed_join_remote_addrs", ""),
            Unless("allow_token_rotation"),
            Unless("allow_manager_unlock_key_rotation"),
            Unless("allow_auto_lock_managers"),
            Unless("allow_signing_ca_update"),
            Unless("allow_unlock"),
        ],
    },
    Block {
        name: "node",
        endpoints: &[NodeUpdate],
        limits: &[
            Unless("allow_name_change"),
            Unless("allow_role_change"),
            Unless("allow_availability_change"),
            Listed("allowed_label_keys", "allow_label_mutation"),
        ],
    },
    Block {
        name: "plugin",
        endpoints: &[PluginPull, PluginUpgrade, PluginSet, PluginCreate],
        limits: &[
            Listed("allowed_registries", "allow_all_registries"),
            Listed("allowed_set_env_prefixes", ""),
        ],
    },
    Block {
        name: "buildkit",
        endpoints: &[BuildSession, BuildGrpc, BuildkitControl],
        limits: &[Listed("control", ""), Listed("session", "")],
    },
];

/// The permissions that become exceptions of the guard: block, key, exception and the end of its
/// value. An exception that ends with `=` is added for each entry.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    ("container_create", "allow_privileged", "privileged", ""),
    (
        "container_create",
        "allow_host_network",
        "host-namespace=network",
        "",
    ),
    (
        "container_create",
        "allow_host_pid",
        "host-namespace=pid",
        "",
    ),
    (
        "container_create",
        "allow_host_ipc",
        "host-namespace=ipc",
        "",
    ),
    (
        "container_create",
        "allow_host_userns",
        "host-namespace=user",
        "",
    ),
    (
        "container_create",
        "allow_host_cgroupns",
        "host-namespace=cgroup",
        "",
    ),
    (
        "container_create",
        "allow_all_devices",
        "device=/dev/**",
        "",
    ),
    ("container_create", "allow_device_requests", "gpus", ""),
    (
        "container_create",
        "allow_all_capabilities",
        "capability=ALL",
        "",
    ),
    ("container_create", "allow_sysctls", "sysctl=*", ""),
    ("container_create", "allowed_bind_mounts", "bind=", "/**"),
    ("container_create", "allowed_devices", "device=", ""),
    (
        "container_create",
        "allowed_device_cgroup_rules",
        "device-cgroup-rule=",
        "",
    ),
    (
        "container_create",
        "allowed_capabilities",
        "capability=",
        "",
    ),
    ("container_create", "allowed_runtimes", "runtime=", ""),
    ("exec", "allow_privileged", "exec-privileged", ""),
];

/// Adds the exceptions that the settings come to, and notes the limits that the guard does not have
/// and the permissions that it does not give.
pub(super) fn carry_over(written: &SockguardSettings<'_>, rights: &mut Rights, plan: &mut Plan) {
    for (block, key, exception, tail) in EXCEPTIONS {
        let key = format!("request_body.{block}.{key}");
        if exception.ends_with('=') {
            let entries = written.texts(&key).into_iter();
            rights.guard_allow.extend(
                entries.map(|entry| format!("{exception}{}{tail}", entry.trim_end_matches('/'))),
            );
        } else if written.is_on(&key) {
            rights.guard_allow.push((*exception).to_owned());
        }
    }
    let open = rights.open_endpoints();
    for block in BLOCKS {
        note_lost_limits(block, written, &open, plan);
    }
    note_wider_exceptions(rights, &open, plan);
    note_other_keys(written, plan);
}

/// Notes the calls for which the exceptions of containers hold as well: a profile has one list of
/// exceptions, and sockguard has one for each kind of call.
fn note_wider_exceptions(rights: &Rights, open: &BTreeSet<EndpointId>, plan: &mut Plan) {
    let others = [ServiceCreate, ServiceUpdate, ContainerUpdate, BuildStart];
    let endpoints: Vec<_> = others.into_iter().filter(|id| open.contains(id)).collect();
    if endpoints.is_empty() || rights.guard_allow.is_empty() {
        return;
    }
    let what = format!(
        "these exceptions are meant for new containers and hold for other calls as well ({}): take \
        out the rules for those, or the exceptions from guard-allow",
        rights.guard_allow.join(", ")
    );
    plan.notes.push(Note {
        endpoints,
        ..Note::new(NoteKind::Lost, what)
    });
}

fn note_lost_limits(
    block: &Block,
    written: &SockguardSettings<'_>,
    open: &BTreeSet<EndpointId>,
    plan: &mut Plan,
) {
    let open: Vec<_> = block
        .endpoints
        .iter()
        .copied()
        .filter(|id| open.contains(id))
        .collect();
    if open.is_empty() {
        return;
    }
    let path = |key: &str| format!("request_body.{}.{key}", block.name);
    let lost = block.limits.iter().filter_map(|limit| {
        let (key, holds) = match limit {
            Unless(key) => (key, !written.is_on(&path(key))),
            Listed(key, lifted) => (key, lifted.is_empty() || !written.is_on(&path(lifted))),
            If(key) => (key, written.restricts(&path(key))),
        };
        holds.then_some(*key)
    });
    let lost: Vec<_> = lost.collect();
    if lost.is_empty() {
        return;
    }
    let what = format!(
        "request_body.{} limits these calls, and the guard does not ({}): take out their rules if \
        clients must keep to the limits",
        block.name,
        lost.join(", ")
    );
    plan.notes.push(Note {
        endpoints: open,
        ..Note::new(NoteKind::Lost, what)
    });
}

/// Notes the keys of `request_body` that the tables above do not have.
fn note_other_keys(written: &SockguardSettings<'_>, plan: &mut Plan) {
    let body = written.node("request_body");
    let (mut lost, mut missing) = (Vec::new(), Vec::new());
    for (block, options) in body.into_iter().flat_map(|body| body.pairs()) {
        let known = BLOCKS.iter().find(|known| known.name == block);
        for (key, _) in options.pairs() {
            let is_limit = known.is_some_and(|known| {
                known.limits.iter().any(|limit| match limit {
                    Unless(name) | If(name) => name == key,
                    Listed(name, lifted) => name == key || lifted == key,
                })
            });
            let is_exception = EXCEPTIONS
                .iter()
                .any(|(of_block, name, ..)| of_block == block && name == key);
            let path = format!("request_body.{block}.{key}");
            let is_official = key == "allow_official";
            if is_limit || is_exception || is_official || !written.restricts(&path) {
                continue;
            }
            // The guard holds the limits that this permission lifts.
            if key.starts_with("allow") {
                missing.push(path);
            } else if known.is_none() || !key.starts_with("deny_") {
                lost.push(path);
            }
        }
    }
    if !lost.is_empty() {
        plan.lost(format!(
            "these limits have no counterpart: {}",
            lost.join(", ")
        ));
    }
    if !missing.is_empty() {
        let what = format!(
            "these permissions are not carried over: {}; if clients need them, add exceptions to \
            guard-allow (docs/guard.md)",
            missing.join(", ")
        );
        plan.note(NoteKind::Missing, what);
    }
}
