//! Containers in Podman's own words: the body of `POST /libpod/containers/create` (Podman
//! `pkg/specgen.SpecGenerator`).
//!
//! Fields without an entry here must be empty: root file systems, overlays and secrets of the host,
//! hooks, files that Podman writes.

use super::container::HEALTH;
use super::form::{Field, Form, field, judged};
use super::host_config::{
    annotation_allowed, capabilities, cgroup_parent, must_be, oom_score, privileged, realtime,
    runtime, security_option,
};
use super::json::Json;
use super::kernel::sysctls;
use super::mount::{access, bind_words, host_path, propagation, tmpfs_word, volume_name};
use super::namespace::namespace_pair;
use super::subject::Role;
use super::surroundings::Newcomer;
use super::target::Use;
use super::{Judge, Step};
use super::{allow, container, image, log, network, restricted};

/// The whole body.
pub(super) static CREATE: Form = Form::Parts(&[BASIC, STORAGE, SECURITY, NETWORK, RESOURCES]);

const BASIC: &[Field] = &[
    judged("name", Form::Text, |judge, value| {
        container::name(judge, value.text())
    }),
    field("entrypoint", Form::Words),
    field("command", Form::List(&Form::Text)),
    judged("env_host", Form::Bool, host_env),
    field("httpproxy", Form::Bool),
    field("env", Form::Map(&Form::Text)),
    field("unsetenv", Form::List(&Form::Text)),
    field("unsetenvall", Form::Bool),
    field("envmerge", Form::List(&Form::Text)),
    field("terminal", Form::Bool),
    field("stdin", Form::Bool),
    field("labels", Form::Map(&Form::Text)),
    judged(
        "annotations",
        Form::MapWithout(&Form::Text, repeats_a_field),
        annotations,
    ),
    field("stop_signal", Form::Number),
    field("stop_timeout", Form::Number),
    field("timeout", Form::Number),
    field("log_configuration", Form::Struct(LOG)),
    judged("raw_image_name", Form::Text, |judge, value| {
        image::reference(judge, value.text())
    }),
    field("restart_policy", Form::Text),
    field("restart_tries", Form::Number),
    judged("oci_runtime", Form::Text, runtime),
    judged("systemd", Form::Text, systemd_mode),
    judged("sdnotifyMode", Form::Text, |judge, value| {
        must_be(
            judge,
            value,
            &["", "container", "ignore"],
            "tells the host's systemd",
        )
    }),
    judged("pidns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "pid")
    }),
    judged("utsns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "uts")
    }),
    judged("hostname", Form::Text, |judge, value| {
        judge.claim_name(value.text())
    }),
    judged("sysctl", Form::Map(&Form::Text), sysctls),
    field("remove", Form::Bool),
    judged("removeImage", Form::Bool, |judge, value| {
        if judge.is_scoped() && *value == Json::Bool(true) {
            judge.refuse(
                "removes the image, which is judged in a call of its own; remove it by that"
                    .to_owned(),
                None,
            );
        }
    }),
    // Podman's client sends its command line; inspect shows it, and nothing runs it.
    field("containerCreateCommand", Form::List(&Form::Text)),
    judged("timezone", Form::Text, timezone),
    field("manage_password", Form::Bool),
    field("passwd_entry", Form::Text),
    field("group_entry", Form::Text),
    field("healthconfig", Form::Struct(HEALTH)),
    field("health_check_on_failure_action", Form::Number),
    judged("healthLogDestination", Form::Text, health_log),
    field("healthMaxLogCount", Form::Number),
    field("healthMaxLogSize", Form::Number),
];

const LOG: &[Field] = &[
    judged("driver", Form::Text, log::driver),
    judged("path", Form::Text, |judge, value| {
        must_be(judge, value, &[""], "names a file of the host")
    }),
    field("size", Form::Number),
    judged("options", Form::Map(&Form::Text), |judge, value| {
        for (name, _) in value.map() {
            if !matches!(name.as_ref(), "tag" | "max-size") {
                judge.within(Step::Key(name), |judge| {
                    judge.refuse("is neither tag nor max-size".to_owned(), None)
                });
            }
        }
    }),
];

const NAMESPACE: Form = Form::Struct(&[field("nsmode", Form::Text), field("value", Form::Text)]);

const STORAGE: &[Field] = &[
    judged("image", Form::Text, |judge, value| {
        image::reference(judge, value.text())
    }),
    field("image_os", Form::Text),
    field("image_arch", Form::Text),
    field("image_variant", Form::Text),
    field("image_volume_mode", Form::Text),
    field("init", Form::Bool),
    judged("mounts", Form::List(&Form::Struct(MOUNT)), mounts),
    judged("volumes", Form::List(&Form::Struct(VOLUME)), volumes),
    judged("devices", Form::List(&Form::Struct(DEVICE)), devices),
    judged("ipcns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "ipc")
    }),
    field("shm_size", Form::Number),
    judged("gpus", Form::List(&Form::Text), |judge, value| {
        if !value.list().is_empty() {
            judge.unless_allowed("gpus", "", || "hands over GPUs".to_owned());
        }
    }),
    field("shm_size_systemd", Form::Number),
    field("work_dir", Form::Text),
    field("create_working_dir", Form::Bool),
    judged("rootfs_propagation", Form::Text, |judge, value| {
        propagation(judge, value.text())
    }),
    field("volatile", Form::Bool),
];

/// OCI's mount, which is passed to the runtime unchanged.
const MOUNT: &[Field] = &[
    field("destination", Form::Text),
    field("type", Form::Text),
    field("source", Form::Text),
    field("options", Form::List(&Form::Text)),
];

const VOLUME: &[Field] = &[
    field("Name", Form::Text),
    field("Dest", Form::Text),
    field("Options", Form::List(&Form::Text)),
    field("IsAnonymous", Form::Bool),
];

const DEVICE: &[Field] = &[
    field("path", Form::Text),
    field("type", Form::Text),
    field("major", Form::Number),
    field("minor", Form::Number),
    field("fileMode", Form::Number),
    field("uid", Form::Number),
    field("gid", Form::Number),
];

const SECURITY: &[Field] = &[
    judged("privileged", Form::Bool, privileged),
    field("user", Form::Text),
    field("groups", Form::List(&Form::Text)),
    judged("cap_add", Form::Words, capabilities),
    field("cap_drop", Form::Words),
    judged("selinux_opts", Form::List(&Form::Text), |judge, value| {
        judge.each(value.list(), |judge, option| {
            security_option(judge, &format!("label={}", option.text()))
        });
    }),
    judged("apparmor_profile", Form::Text, |judge, value| {
        profile(judge, "apparmor", value.text())
    }),
    judged("seccomp_policy", Form::Text, |judge, value| {
        must_be(
            judge,
            value,
            &["", "default"],
            "takes the profile from the image",
        )
    }),
    judged("seccomp_profile_path", Form::Text, |judge, value| {
        profile(judge, "seccomp", value.text())
    }),
    field("no_new_privileges", Form::Bool),
    judged("userns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "user")
    }),
    field("idmappings", Form::Struct(MAPPINGS)),
    field("read_only_filesystem", Form::Bool),
    field("read_write_tmpfs", Form::Bool),
    field("umask", Form::Text),
    field("mask", Form::List(&Form::Text)),
];

/// The mapping of users: the host's, or one that Podman chooses; any other must be empty.
const MAPPINGS: &[Field] = &[
    field("HostUIDMapping", Form::Bool),
    field("HostGIDMapping", Form::Bool),
    field("AutoUserNs", Form::Bool),
    field(
        "AutoUserNsOpts",
        Form::Struct(&[
            field("Size", Form::Number),
            field("InitialSize", Form::Number),
        ]),
    ),
];

const NETWORK: &[Field] = &[
    judged("netns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "network")
    }),
    field("portmappings", Form::List(&Form::Struct(PORT))),
    field("publish_image_ports", Form::Bool),
    field("expose", Form::Map(&Form::Text)),
    // The container as a whole judges them, once the network of the profile is filled in.
    field("Networks", Form::Map(&Form::Struct(NETWORK_OPTIONS))),
    judged("cni_networks", Form::List(&Form::Text), network::listed),
    judged("networkOrder", Form::List(&Form::Text), network::listed),
    field("use_image_resolve_conf", Form::Bool),
    field("dns_server", Form::List(&Form::Text)),
    field("dns_search", Form::List(&Form::Text)),
    field("dns_option", Form::List(&Form::Text)),
    field("use_image_hosts", Form::Bool),
    field("use_image_hostname", Form::Bool),
    judged("base_hosts_file", Form::Text, |judge, value| {
        must_be(
            judge,
            value,
            &["", "image", "none"],
            "names a file of the host",
        )
    }),
    field("hostadd", Form::List(&Form::Text)),
];

const PORT: &[Field] = &[
    field("host_ip", Form::Text),
    field("container_port", Form::Number),
    field("host_port", Form::Number),
    field("range", Form::Number),
    field("protocol", Form::Text),
];

const NETWORK_OPTIONS: &[Field] = &[
    judged("static_ips", Form::List(&Form::Text), network::addresses),
    judged("aliases", Form::List(&Form::Text), network::names),
    field("static_mac", Form::Text),
    field("interface_name", Form::Text),
    judged("options", Form::Map(&Form::Text), network::options),
];

const RESOURCES: &[Field] = &[
    judged("cgroupns", NAMESPACE, |judge, value| {
        namespace_pair(judge, value, "cgroup")
    }),
    judged("cgroups_mode", Form::Text, |judge, value| {
        must_be(
            judge,
            value,
            &["", "default", "enabled"],
            "runs outside its cgroup",
        )
    }),
    judged("cgroup_parent", Form::Text, cgroup_parent),
    field("resource_limits", Form::Struct(LIMITS)),
    ULIMITS,
    judged("oom_score_adj", Form::Number, oom_score),
];

/// OCI's resources; rules for devices, and cgroup files by name, are not among them.
const LIMITS: &[Field] = &[
    field(
        "memory",
        Form::Struct(&[
            field("limit", Form::Number),
            field("reservation", Form::Number),
            field("swap", Form::Number),
            field("kernel", Form::Number),
            field("kernelTCP", Form::Number),
            field("swappiness", Form::Number),
            field("disableOOMKiller", Form::Bool),
        ]),
    ),
    field(
        "cpu",
        Form::Struct(&[
            field("shares", Form::Number),
            field("quota", Form::Number),
            field("burst", Form::Number),
            field("period", Form::Number),
            judged("realtimeRuntime", Form::Number, realtime),
            judged("realtimePeriod", Form::Number, realtime),
            field("cpus", Form::Text),
            field("mems", Form::Text),
        ]),
    ),
    field("pids", Form::Struct(&[field("limit", Form::Number)])),
    field("blockIO", Form::Struct(&[field("weight", Form::Number)])),
];

/// OCI's limits of processes.
const ULIMITS: Field = field(
    "r_limits",
    Form::List(&Form::Struct(&[
        field("type", Form::Text),
        field("hard", Form::Number),
        field("soft", Form::Number),
    ])),
);

/// Podman `types.UpdateEntities`: limits, the environment and health checks. Rules for devices,
/// cgroup files by name and paths of the host are not among them.
pub(super) static UPDATE: Form = Form::Parts(&[LIMITS, UPDATED]);

/// Podman 5.4 and later. A health check runs in the container as an exec does, and variables such as
/// `LD_PRELOAD` change what it runs at its next start: the container is judged as one that is
/// entered.
const UPDATED: &[Field] = &[
    ULIMITS,
    judged("Env", Form::List(&Form::Text), |judge, value| {
        container::environment(judge, value);
        enters(judge, value);
    }),
    judged("UnsetEnv", Form::List(&Form::Text), enters),
    judged("health_cmd", Form::Text, enters),
    judged("health_startup_cmd", Form::Text, enters),
    judged("health_log_destination", Form::Text, health_log),
    field("health_max_log_size", Form::Number),
    field("health_max_log_count", Form::Number),
    field("health_on_failure", Form::Text),
    field("no_healthcheck", Form::Bool),
    field("health_interval", Form::Text),
    field("health_retries", Form::Number),
    field("health_timeout", Form::Text),
    field("health_start_period", Form::Text),
    field("health_startup_interval", Form::Text),
    field("health_startup_retries", Form::Number),
    field("health_startup_timeout", Form::Text),
    field("health_startup_success", Form::Number),
];

fn health_log(judge: &mut Judge<'_>, value: &Json<'_>) {
    must_be(
        judge,
        value,
        &["", "local", "events_logger"],
        "names a folder of the host",
    );
}

/// Has the container of the path judged as one that is entered.
fn enters(judge: &mut Judge<'_>, _: &Json<'_>) {
    judge.path_role = Some((Role::Target(Use::Enter), judge.place().to_vec()));
}

/// Judges how Podman prepares a container for systemd. For commands that it knows as systemd, and
/// with `always` for any command, Podman mounts the cgroup hierarchy of systemd for writing. With
/// cgroup version 1 that is the host's.
fn systemd_mode(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !matches!(value.text(), "" | "true" | "false") {
        judge.unless_allowed("host-namespace", "cgroup", || {
            "lets any command write the host's cgroups, on hosts with cgroup version 1".to_owned()
        });
    }
}

fn host_env(judge: &mut Judge<'_>, value: &Json<'_>) {
    if *value == Json::Bool(true) {
        judge.refuse(
            "copies the environment of the engine, secrets too".to_owned(),
            None,
        );
    }
}

/// Returns whether an annotation repeats a field of the body, as Podman's client does for inspect.
/// The fields are judged; one annotation (`cid-file`) names a file of the host that is removed with
/// the container, so all of them are dropped.
fn repeats_a_field(name: &str) -> bool {
    name.starts_with("io.podman.annotations.")
}

/// Judges annotations. Podman writes this one itself.
fn annotations(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (name, _) in value
        .map()
        .iter()
        .filter(|(name, _)| name != "io.kubernetes.cri-o.TTY")
    {
        annotation_allowed(judge, name);
    }
}

fn mounts(judge: &mut Judge<'_>, mounts: &Json<'_>) {
    for (index, mount) in mounts.list().iter().enumerate() {
        let text = |key| mount.get(key).map(Json::text).unwrap_or_default();
        let options: Vec<&str> = mount
            .get("options")
            .map(Json::list)
            .unwrap_or_default()
            .iter()
            .map(Json::text)
            .collect();
        judge.within(Step::Index(index), |judge| match text("type") {
            "bind" => {
                judge.within(Step::Field("source"), |judge| {
                    host_path(judge, text("source"), access(options.iter().copied()))
                });
                bind_words(
                    judge,
                    options
                        .into_iter()
                        .filter(|word| !matches!(*word, "bind" | "rbind")),
                );
            }
            // An option could make it a bind: only harmless ones pass.
            "tmpfs" => {
                let words = options
                    .into_iter()
                    .filter(|word| !matches!(*word, "tmpcopyup" | "notmpcopyup"));
                judge.each(words, tmpfs_word);
            }
            kind => judge.refuse(
                format!("{:?} is neither bind nor tmpfs", super::shortened(kind)),
                None,
            ),
        });
    }
}

/// Judges a time zone, which Podman looks for as a file below the zones of the host: its errors tell
/// whether a path exists.
fn timezone(judge: &mut Judge<'_>, zone: &Json<'_>) {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if !zone.text().is_empty() && !zone.text().split('/').all(is_word) {
        judge.malformed("expected a time zone, as in Europe/Berlin".to_owned());
    }
}

fn volumes(judge: &mut Judge<'_>, volumes: &Json<'_>) {
    for (index, volume) in volumes.list().iter().enumerate() {
        let name = volume.get("Name").map(Json::text).unwrap_or_default();
        let options = volume.get("Options").map(Json::list).unwrap_or_default();
        let words = || options.iter().map(Json::text);
        judge.within(Step::Index(index), |judge| {
            judge.within(Step::Field("Name"), |judge| {
                volume_name(judge, name, access(words()), "");
            });
            bind_words(judge, words());
        });
    }
}

fn devices(judge: &mut Judge<'_>, devices: &Json<'_>) {
    for (index, device) in devices.list().iter().enumerate() {
        // `/dev/x:/dev/y:rwm`, in the syntax of the command line.
        let path = device
            .get("path")
            .map(Json::text)
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default();
        judge.within(Step::Index(index), |judge| {
            super::host_config::device(judge, &allow::clean(path))
        });
    }
}

/// Judges a security profile by name, or by a file of the host.
fn profile(judge: &mut Judge<'_>, kind: &str, profile: &str) {
    if !profile.is_empty() {
        security_option(judge, &format!("{kind}={profile}"));
    }
}

/// Judges a container as a whole: the client that it would be, and the demands of the level
/// `restricted`.
pub(super) fn whole(judge: &mut Judge<'_>, container: &Json<'_>) {
    let name = judge.name.take().unwrap_or_default();
    let image = container.get("image").map(Json::text).unwrap_or_default();
    judge.claim_created(
        || Newcomer::Container(container::as_client(name, container.get("labels"))),
        image,
    );
    if let Some(networks) = container.get("Networks") {
        judge.within(Step::Field("Networks"), |judge| {
            network::endpoints(judge, networks)
        });
    }
    let names_network = ["Networks", "cni_networks"]
        .iter()
        .any(|key| container.get(key).is_some_and(|it| !it.is_empty()));
    let mode = container
        .get("netns")
        .and_then(|netns| netns.get("nsmode"))
        .map(Json::text)
        .unwrap_or_default();
    if !names_network && matches!(mode, "" | "default" | "private" | "bridge") {
        judge.within(Step::Field("netns"), |judge| {
            network::joins(judge, "podman")
        });
    }
    if judge.is_restricted() {
        restricted::user(judge, "user", container.get("user"));
        restricted::dropped(judge, "cap_drop", container.get("cap_drop"));
        let is_set = container.get("no_new_privileges") == Some(&Json::Bool(true));
        restricted::no_new_privileges(judge, "no_new_privileges", is_set);
    }
}
