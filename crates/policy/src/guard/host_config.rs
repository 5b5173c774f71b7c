//! `HostConfig`: the parts of the host that a container gets.

use super::allow::capability;
use super::form::{Field, Form, field, judged};
use super::json::Json;
use super::kernel::{MASKED, READ_ONLY, hidden, sysctls};
use super::log;
use super::mount::{self, MOUNT};
use super::namespace::namespace_word;
use super::subject::Role;
use super::{Judge, Step};
use super::{restricted, volume};
use crate::endpoint::ObjectKind;

/// moby `api/types/container.HostConfig`.
pub(super) const HOST_CONFIG: Form = Form::Parts(&[OWN, RESOURCES]);

const OWN: &[Field] = &[
    judged("Binds", Form::List(&Form::Text), mount::binds),
    // Docker does not read it, and Podman removes this file of the host with the container.
    field("ContainerIDFile", Form::Dropped),
    judged(
        "LogConfig",
        Form::Struct(&[
            field("Type", Form::Text),
            field("Config", Form::Map(&Form::Text)),
        ]),
        |judge, value| log::config(judge, value, "Type", "Config"),
    ),
    // The container as a whole judges it, once the network of the profile is filled in.
    field("NetworkMode", Form::Text),
    field(
        "PortBindings",
        Form::Map(&Form::List(&Form::Struct(&[
            field("HostIp", Form::Text),
            field("HostPort", Form::Text),
        ]))),
    ),
    RESTART_POLICY,
    field("AutoRemove", Form::Bool),
    judged("VolumeDriver", Form::Text, |judge, value| {
        volume::driver(judge, value.text())
    }),
    judged("VolumesFrom", Form::List(&Form::Text), volumes_from),
    field("ConsoleSize", Form::List(&Form::Number)),
    judged("Annotations", Form::Map(&Form::Text), annotations),
    judged("CapAdd", Form::Words, capabilities),
    field("CapDrop", Form::Words),
    judged("Capabilities", Form::List(&Form::Text), capabilities),
    judged("CgroupnsMode", Form::Text, |judge, value| {
        namespace_word(judge, value.text(), "cgroup", &["", "private"])
    }),
    field("Dns", Form::List(&Form::Text)),
    field("DnsOptions", Form::List(&Form::Text)),
    field("DnsSearch", Form::List(&Form::Text)),
    field("ExtraHosts", Form::List(&Form::Text)),
    field("GroupAdd", Form::List(&Form::Text)),
    judged("IpcMode", Form::Text, |judge, value| {
        namespace_word(
            judge,
            value.text(),
            "ipc",
            &["", "none", "private", "shareable"],
        )
    }),
    judged("Cgroup", Form::Text, |judge, value| {
        must_be(judge, value, &[""], "joins another container's cgroup")
    }),
    judged("Links", Form::List(&Form::Text), links),
    judged("OomScoreAdj", Form::Number, oom_score),
    judged("PidMode", Form::Text, |judge, value| {
        namespace_word(judge, value.text(), "pid", &["", "private"])
    }),
    judged("Privileged", Form::Bool, privileged),
    field("PublishAllPorts", Form::Bool),
    field("ReadonlyRootfs", Form::Bool),
    judged("SecurityOpt", Form::List(&Form::Text), security_options),
    judged("StorageOpt", Form::Map(&Form::Text), storage_options),
    judged("Tmpfs", Form::Map(&Form::Text), mount::tmpfs_paths),
    judged("UTSMode", Form::Text, |judge, value| {
        namespace_word(judge, value.text(), "uts", &["", "private"])
    }),
    judged("UsernsMode", Form::Text, |judge, value| {
        namespace_word(judge, value.text(), "user", &["", "private"])
    }),
    field("ShmSize", Form::Number),
    judged("Sysctls", Form::Map(&Form::Text), sysctls),
    judged("Runtime", Form::Text, runtime),
    judged("Isolation", Form::Text, |judge, value| {
        must_be(judge, value, &["", "default"], "is for Windows")
    }),
    judged("Mounts", Form::List(&Form::Struct(MOUNT)), mount::mounts),
    judged("MaskedPaths", Form::List(&Form::Text), |judge, value| {
        hidden(judge, value, MASKED)
    }),
    judged("ReadonlyPaths", Form::List(&Form::Text), |judge, value| {
        hidden(judge, value, READ_ONLY)
    }),
    field("Init", Form::Bool),
];

/// moby `api/types/container.Resources`: the limits of the container, and its devices.
const RESOURCES: &[Field] = &[
    field("CpuShares", Form::Number),
    field("Memory", Form::Number),
    field("NanoCpus", Form::Number),
    CGROUP_PARENT,
    field("BlkioWeight", Form::Number),
    field(
        "BlkioWeightDevice",
        Form::List(&Form::Struct(&[
            judged("Path", Form::Text, device_path),
            field("Weight", Form::Number),
        ])),
    ),
    field("BlkioDeviceReadBps", RATES),
    field("BlkioDeviceWriteBps", RATES),
    field("BlkioDeviceReadIOps", RATES),
    field("BlkioDeviceWriteIOps", RATES),
    field("CpuPeriod", Form::Number),
    field("CpuQuota", Form::Number),
    REALTIME_PERIOD,
    REALTIME_RUNTIME,
    field("CpusetCpus", Form::Text),
    field("CpusetMems", Form::Text),
    DEVICES,
    DEVICE_RULES,
    DEVICE_REQUESTS,
    field("KernelMemory", Form::Number),
    field("KernelMemoryTCP", Form::Number),
    field("MemoryReservation", Form::Number),
    field("MemorySwap", Form::Number),
    field("MemorySwappiness", Form::Number),
    field("OomKillDisable", Form::Bool),
    field("PidsLimit", Form::Number),
    ULIMITS,
    field("CpuCount", Form::Number),
    field("CpuPercent", Form::Number),
    field("IOMaximumIOps", Form::Number),
    field("IOMaximumBandwidth", Form::Number),
];

/// moby `api/types/container.UpdateConfig`: the limits, and the restart policy.
pub(super) static UPDATE: Form = Form::Parts(&[RESOURCES, &[RESTART_POLICY]]);

const RESTART_POLICY: Field = field(
    "RestartPolicy",
    Form::Struct(&[
        field("Name", Form::Text),
        field("MaximumRetryCount", Form::Number),
    ]),
);
const CGROUP_PARENT: Field = judged("CgroupParent", Form::Text, cgroup_parent);
const RATES: Form = Form::List(&Form::Struct(&[
    judged("Path", Form::Text, device_path),
    field("Rate", Form::Number),
]));
const REALTIME_PERIOD: Field = judged("CpuRealtimePeriod", Form::Number, realtime);
const REALTIME_RUNTIME: Field = judged("CpuRealtimeRuntime", Form::Number, realtime);
const DEVICES: Field = judged("Devices", Form::List(&Form::Struct(DEVICE)), devices);
const DEVICE: &[Field] = &[
    field("PathOnHost", Form::Text),
    field("PathInContainer", Form::Text),
    field("CgroupPermissions", Form::Text),
];
const DEVICE_RULES: Field = judged("DeviceCgroupRules", Form::List(&Form::Text), device_rules);
const DEVICE_REQUESTS: Field = judged(
    "DeviceRequests",
    Form::List(&Form::Struct(DEVICE_REQUEST)),
    device_requests,
);
const DEVICE_REQUEST: &[Field] = &[
    field("Driver", Form::Text),
    field("Count", Form::Number),
    field("DeviceIDs", Form::List(&Form::Text)),
    field("Capabilities", Form::List(&Form::List(&Form::Text))),
    field("Options", Form::Map(&Form::Text)),
];
pub(super) const ULIMITS: Field = field(
    "Ulimits",
    Form::List(&Form::Struct(&[
        field("Name", Form::Text),
        field("Hard", Form::Number),
        field("Soft", Form::Number),
    ])),
);

pub(super) fn must_be(judge: &mut Judge<'_>, value: &Json<'_>, known: &[&str], what: &str) {
    if !known.contains(&value.text()) {
        judge.refuse(format!("{:?} {what}", super::shortened(value.text())), None);
    }
}

pub(super) fn privileged(judge: &mut Judge<'_>, value: &Json<'_>) {
    if *value == Json::Bool(true) {
        judge.unless_allowed("privileged", "", || {
            "gives the container every right on the host".to_owned()
        });
    }
}

/// Judges the path of a device whose use is limited. The errors of the engine tell whether a path of
/// the host exists.
fn device_path(judge: &mut Judge<'_>, path: &Json<'_>) {
    let name = path.text().strip_prefix("/dev/").unwrap_or_default();
    let is_plain = !name.is_empty() && name.split('/').all(|word| !matches!(word, "" | "." | ".."));
    if !is_plain {
        judge.malformed("expected the path of a device, as in /dev/sda".to_owned());
    }
}

/// Judges `CONTAINER[:ALIAS]`: on the default network, the engine copies the other's environment
/// into this container.
fn links(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, link) in value.list().iter().enumerate() {
        let (container, alias) = link
            .text()
            .split_once(':')
            .unwrap_or((link.text(), link.text()));
        let after = format!(":{}", alias.trim_start_matches('/'));
        judge.within(Step::Index(index), |judge| {
            judge.look_up(ObjectKind::Container, container, Role::Link, ("", &after));
        });
    }
}

/// Returns the texts of a list, or one text as a list of one.
pub(super) fn words<'j>(value: &'j Json<'_>) -> impl Iterator<Item = &'j str> {
    let one = if let Json::Text(text) = value {
        Some(text.as_ref())
    } else {
        None
    };
    one.into_iter().chain(value.list().iter().map(Json::text))
}

/// The capabilities that Docker gives every container by default (moby `oci/caps/defaults.go`).
const DEFAULT_CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) fn capabilities(judge: &mut Judge<'_>, value: &Json<'_>) {
    let plain: &[&str] = if judge.is_restricted() {
        &["NET_BIND_SERVICE"]
    } else {
        DEFAULT_CAPABILITIES
    };
    judge.each(words(value).map(capability), |judge, name| {
        // Locked memory counts against the container's own limit.
        let is_lock = name == "IPC_LOCK" && !judge.is_restricted();
        if !is_lock && !plain.contains(&name.as_str()) {
            judge.unless_allowed("capability", &name, || {
                format!("adds the capability {}", super::shortened(&name))
            });
        }
    });
}

fn volumes_from(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.list().is_empty() {
        judge.unless_allowed("volumes-from", "", || {
            "takes all volumes of another container, host paths too".to_owned()
        });
    }
    for (index, from) in value.list().iter().enumerate() {
        let (container, mode) = from
            .text()
            .split_at(from.text().find(':').unwrap_or(from.text().len()));
        // By a mode, Podman makes a volume writable that the other container can only read.
        let mode = match mode {
            ":rw" if judge.owns() => "",
            mode => mode,
        };
        judge.within(Step::Index(index), |judge| {
            if judge.owns() && !matches!(mode, "" | ":ro") {
                judge.refuse("the mode of these volumes can only be ro".to_owned(), None);
            }
            judge.look_up(
                ObjectKind::Container,
                container,
                Role::VolumesFrom,
                ("", mode),
            );
        });
    }
}

fn annotations(judge: &mut Judge<'_>, value: &Json<'_>) {
    value
        .map()
        .iter()
        .for_each(|(name, _)| annotation_allowed(judge, name));
}

/// Judges an annotation, which has to be allowed.
pub(super) fn annotation_allowed(judge: &mut Judge<'_>, name: &str) {
    judge.within(Step::Key(name), |judge| {
        judge.unless_allowed("annotation", name, || {
            "runtimes and Podman take commands from annotations".to_owned()
        });
    });
}

pub(super) fn oom_score(judge: &mut Judge<'_>, value: &Json<'_>) {
    if matches!(value, Json::Number(digits) if digits.starts_with('-')) {
        judge.unless_allowed("oom-score", "", || {
            "a negative score outlives the host's own processes".to_owned()
        });
    }
}

fn security_options(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, option) in value.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| {
            security_option(judge, option.text())
        });
    }
}

/// Judges a security option. The engine splits at `=`, and for old clients at `:` (moby
/// `parseSecurityOpt`).
pub(super) fn security_option(judge: &mut Judge<'_>, option: &str) {
    let (name, value) = option
        .split_once('=')
        .or_else(|| option.split_once(':'))
        .unwrap_or((option, ""));
    let is_harmless = match (name, value) {
        ("no-new-privileges", value) => matches!(value, "" | "true" | "false" | "1" | "0"),
        ("seccomp", value) => value == "builtin",
        ("apparmor", value) => value == "docker-default" || value == "containers-default",
        ("label", value) => {
            value.starts_with("level:")
                || matches!(
                    value,
                    "type:container_t" | "type:container_init_t" | "type:container_kvm_t"
                )
        }
        _ => false,
    };
    if !is_harmless {
        let text = super::shortened(option);
        // A profile may be a whole file, of which the message shows the kind alone.
        let shown = if text.contains('{') {
            format!("{name}=…")
        } else {
            text.to_owned()
        };
        judge.unless_allowed("security-opt", option, || {
            format!("{shown} weakens what keeps the container in")
        });
    }
}

fn storage_options(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (name, _) in value.map() {
        if *name != "size" {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("storage-opt", name, || "is not the size".to_owned());
            });
        }
    }
}

pub(super) fn runtime(judge: &mut Judge<'_>, value: &Json<'_>) {
    let runtime = value.text();
    if !matches!(runtime, "" | "runc" | "io.containerd.runc.v2" | "oci") {
        judge.unless_allowed("runtime", runtime, || {
            format!("the runtime {:?} is not runc", super::shortened(runtime))
        });
    }
}

pub(super) fn cgroup_parent(judge: &mut Judge<'_>, value: &Json<'_>) {
    let parent = value.text();
    if !parent.is_empty() {
        judge.unless_allowed("cgroup-parent", parent, || {
            "names a cgroup of the host".to_owned()
        });
    }
}

pub(super) fn realtime(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.is_empty() {
        judge.unless_allowed("realtime", "", || {
            "runs before the host's own processes".to_owned()
        });
    }
}

fn devices(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, entry) in value.list().iter().enumerate() {
        let path = entry.get("PathOnHost").map(Json::text).unwrap_or_default();
        judge.within(Step::Index(index), |judge| {
            device(judge, &super::allow::clean(path))
        });
    }
}

/// Devices that every container has.
pub(super) fn is_harmless_device(path: &str) -> bool {
    matches!(
        path,
        "/dev/null" | "/dev/zero" | "/dev/full" | "/dev/random" | "/dev/urandom"
    )
}

/// Judges a device of the host by its clean path.
pub(super) fn device(judge: &mut Judge<'_>, path: &str) {
    if !is_harmless_device(path) && !judge.allows_path("device", path, false) {
        let path = super::shortened(path);
        let allow = judge.hint("device", path);
        judge.refuse(format!("hands over the device {path}"), allow);
    }
}

fn device_rules(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, rule) in value.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| {
            judge.unless_allowed("device-cgroup-rule", rule.text(), || {
                "opens devices of the host".to_owned()
            });
        });
    }
}

fn device_requests(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.list().is_empty() {
        judge.unless_allowed("gpus", "", || "hands over GPUs or other devices".to_owned());
    }
}

/// Judges the demands of `restricted`: all capabilities dropped, and none to be gained.
pub(super) fn restricted_host_config(judge: &mut Judge<'_>, host_config: Option<&Json<'_>>) {
    let field = |name| host_config.and_then(|host_config| host_config.get(name));
    restricted::dropped(judge, "CapDrop", field("CapDrop"));
    let options = field("SecurityOpt").map(Json::list).unwrap_or_default();
    // The last one counts for the engine.
    let last = options
        .iter()
        .map(Json::text)
        .rfind(|option| option.starts_with("no-new-privileges"));
    restricted::no_new_privileges(
        judge,
        "SecurityOpt",
        last.is_some_and(|option| !option.ends_with("false") && !option.ends_with('0')),
    );
}
