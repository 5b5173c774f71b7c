//! Services of a swarm: containers on any of its nodes (moby `api/types/swarm.ServiceSpec`).

use super::container::HEALTH;
use super::container::as_client;
use super::form::{Field, Form, field, judged};
use super::host_config::{ULIMITS, capabilities, must_be, oom_score};
use super::json::Json;
use super::kernel::sysctls;
use super::mount::{MOUNT, mounts};
use super::query::{self, Parameter, plain};
use super::subject::Role;
use super::surroundings::Newcomer;
use super::{Judge, Step};
use super::{image, log, network, restricted};
use crate::endpoint::ObjectKind;
use crate::request::call::Version;

/// Of `POST /services/{id}/update`.
pub(super) const UPDATE_PARAMETERS: &[Parameter] = &[
    plain("version"),
    plain("registryAuthFrom"),
    query::judged("rollback", rollback),
];

/// The body of a create and of an update.
pub(super) static SPEC: Form = Form::Struct(&[
    judged("Name", Form::Text, |judge, value| {
        judge.claim_name(value.text())
    }),
    field("Labels", Form::Map(&Form::Text)),
    field("TaskTemplate", Form::Struct(TASK)),
    field("Mode", Form::Struct(MODE)),
    field("UpdateConfig", Form::Struct(UPDATE)),
    field("RollbackConfig", Form::Struct(UPDATE)),
    // The service as a whole judges them, once the network of the profile is filled in.
    field("Networks", Form::List(&Form::Struct(NETWORK))),
    field(
        "EndpointSpec",
        Form::Struct(&[
            field("Mode", Form::Text),
            field("Ports", Form::List(&Form::Struct(PORT))),
        ]),
    ),
]);

/// Plugins and attachments are no fields here: they must be empty.
const TASK: &[Field] = &[
    field("ContainerSpec", Form::Struct(CONTAINER)),
    field("Resources", Form::Struct(RESOURCES)),
    field(
        "RestartPolicy",
        Form::Struct(&[
            field("Condition", Form::Text),
            field("Delay", Form::Number),
            field("MaxAttempts", Form::Number),
            field("Window", Form::Number),
        ]),
    ),
    field("Placement", Form::Struct(PLACEMENT)),
    field("Networks", Form::List(&Form::Struct(NETWORK))),
    judged(
        "LogDriver",
        Form::Struct(&[
            field("Name", Form::Text),
            field("Options", Form::Map(&Form::Text)),
        ]),
        |judge, value| log::config(judge, value, "Name", "Options"),
    ),
    field("ForceUpdate", Form::Number),
    judged("Runtime", Form::Text, |judge, value| {
        must_be(judge, value, &["", "container"], "is no container")
    }),
];

const CONTAINER: &[Field] = &[
    judged("Image", Form::Text, |judge, value| {
        image::of_service(judge, value.text())
    }),
    field("Labels", Form::Map(&Form::Text)),
    field("Command", Form::List(&Form::Text)),
    field("Args", Form::List(&Form::Text)),
    judged("Hostname", Form::Text, hostname),
    field("Env", Form::List(&Form::Text)),
    field("Dir", Form::Text),
    field("User", Form::Text),
    field("Groups", Form::List(&Form::Text)),
    field("Privileges", Form::Struct(PRIVILEGES)),
    field("Init", Form::Bool),
    field("StopSignal", Form::Text),
    field("TTY", Form::Bool),
    field("OpenStdin", Form::Bool),
    field("ReadOnly", Form::Bool),
    judged("Mounts", Form::List(&Form::Struct(MOUNT)), mounts),
    field("StopGracePeriod", Form::Number),
    field("Healthcheck", Form::Struct(HEALTH)),
    field("Hosts", Form::List(&Form::Text)),
    field(
        "DNSConfig",
        Form::Struct(&[
            field("Nameservers", Form::List(&Form::Text)),
            field("Search", Form::List(&Form::Text)),
            field("Options", Form::List(&Form::Text)),
        ]),
    ),
    field(
        "Secrets",
        Form::List(&Form::Struct(&[
            FILE,
            judged("SecretID", Form::Text, |judge, value| {
                content(judge, value, ObjectKind::Secret)
            }),
            field("SecretName", Form::Text),
        ])),
    ),
    field(
        "Configs",
        Form::List(&Form::Struct(&[
            FILE,
            judged("ConfigID", Form::Text, |judge, value| {
                content(judge, value, ObjectKind::Config)
            }),
            field("ConfigName", Form::Text),
        ])),
    ),
    judged("Isolation", Form::Text, |judge, value| {
        must_be(judge, value, &["", "default"], "is for Windows")
    }),
    judged("Sysctls", Form::Map(&Form::Text), sysctls),
    judged("CapabilityAdd", Form::List(&Form::Text), capabilities),
    field("CapabilityDrop", Form::List(&Form::Text)),
    ULIMITS,
    judged("OomScoreAdj", Form::Number, oom_score),
];

const FILE: Field = field(
    "File",
    Form::Struct(&[
        field("Name", Form::Text),
        field("UID", Form::Text),
        field("GID", Form::Text),
        field("Mode", Form::Number),
    ]),
);

const PRIVILEGES: &[Field] = &[
    field("SELinuxContext", Form::Struct(SELINUX)),
    field(
        "Seccomp",
        Form::Struct(&[judged("Mode", Form::Text, confinement)]),
    ),
    field(
        "AppArmor",
        Form::Struct(&[judged("Mode", Form::Text, confinement)]),
    ),
    field("NoNewPrivileges", Form::Bool),
];

/// The level of SELinux. User, role, type and `Disable` have no field, so they must be empty.
const SELINUX: &[Field] = &[field("Level", Form::Text)];

const RESOURCES: &[Field] = &[
    field(
        "Limits",
        Form::Struct(&[
            field("NanoCPUs", Form::Number),
            field("MemoryBytes", Form::Number),
            field("Pids", Form::Number),
        ]),
    ),
    field(
        "Reservations",
        Form::Struct(&[
            field("NanoCPUs", Form::Number),
            field("MemoryBytes", Form::Number),
            judged(
                "GenericResources",
                Form::List(&Form::Map(&Form::Struct(GENERIC))),
                generic,
            ),
        ]),
    ),
    field("SwapBytes", Form::Number),
    field("MemorySwappiness", Form::Number),
];

/// A generic resource: named ones have a text for a value, and others a number.
const GENERIC: &[Field] = &[field("Kind", Form::Text), field("Value", Form::Number)];

const PLACEMENT: &[Field] = &[
    field("Constraints", Form::List(&Form::Text)),
    field(
        "Preferences",
        Form::List(&Form::Struct(&[field(
            "Spread",
            Form::Struct(&[field("SpreadDescriptor", Form::Text)]),
        )])),
    ),
    field("MaxReplicas", Form::Number),
    field(
        "Platforms",
        Form::List(&Form::Struct(&[
            field("Architecture", Form::Text),
            field("OS", Form::Text),
        ])),
    ),
];

const NETWORK: &[Field] = &[
    field("Target", Form::Text),
    judged("Aliases", Form::List(&Form::Text), network::names),
    judged("DriverOpts", Form::Map(&Form::Text), network::options),
];

const MODE: &[Field] = &[
    field(
        "Replicated",
        Form::Struct(&[field("Replicas", Form::Number)]),
    ),
    field("Global", Form::Struct(&[])),
    field(
        "ReplicatedJob",
        Form::Struct(&[
            field("MaxConcurrent", Form::Number),
            field("TotalCompletions", Form::Number),
        ]),
    ),
    field("GlobalJob", Form::Struct(&[])),
];

const UPDATE: &[Field] = &[
    field("Parallelism", Form::Number),
    field("Delay", Form::Number),
    field("FailureAction", Form::Text),
    field("Monitor", Form::Number),
    field("MaxFailureRatio", Form::Number),
    field("Order", Form::Text),
];

const PORT: &[Field] = &[
    field("Name", Form::Text),
    field("Protocol", Form::Text),
    field("TargetPort", Form::Number),
    field("PublishedPort", Form::Number),
    field("PublishMode", Form::Text),
];

/// Judges a text in which Swarm expands Go's templates: plain fields such as `{{.Task.Slot}}` are
/// ordinary, functions and labels make any name.
fn hostname(judge: &mut Judge<'_>, value: &Json<'_>) {
    judge.claim_name(value.text());
    let templates = value
        .text()
        .split("{{")
        .skip(1)
        .map(|rest| rest.split("}}").next().unwrap_or_default().trim());
    let is_plain = |field: &str| {
        field.starts_with('.')
            && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
            && !field.contains("Labels")
    };
    if !templates.clone().all(is_plain) {
        judge.refuse(
            "a template with functions or labels can become any name".to_owned(),
            None,
        );
    }
}

/// Judges a rollback: the engine then does not read the body and takes the earlier specification,
/// which is not judged.
fn rollback(judge: &mut Judge<'_>, to: &str) {
    if !matches!(to, "" | "none") {
        judge.unless_allowed("service-rollback", "", || {
            "goes back to a specification that is not judged; send it as an update".to_owned()
        });
    }
}

fn confinement(judge: &mut Judge<'_>, value: &Json<'_>) {
    must_be(
        judge,
        value,
        &["", "default"],
        "weakens what keeps the container in",
    );
}

fn generic(judge: &mut Judge<'_>, value: &Json<'_>) {
    if !value.list().is_empty() {
        judge.unless_allowed("gpus", "", || "reserves devices".to_owned());
    }
}

/// Judges a network by name, or by an identifier that clients put in place of the name: then the
/// engine has to tell whether it is the host's network.
fn networks(judge: &mut Judge<'_>, networks: &Json<'_>) {
    for (index, network) in networks.list().iter().enumerate() {
        let target = network.get("Target").map(Json::text).unwrap_or_default();
        judge.within(Step::Index(index), |judge| {
            judge.within(Step::Field("Target"), |judge| {
                network::named(judge, target);
                // All letters for a swarm's, hexadecimal digits, or the first of them, for the
                // engine's own.
                let is_id = target
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
                if is_id || judge.bounds_networks() {
                    judge.look_up(ObjectKind::Network, target, Role::Joined, ("", ""));
                }
            });
        });
    }
}

/// Judges a secret or a config: once the exceptions name some, a service gets no others. The engine
/// uses the identifier, and ignores the name beside it.
fn content(judge: &mut Judge<'_>, value: &Json<'_>, kind: ObjectKind) {
    if judge.has(kind.name()) || judge.bounds_objects() {
        judge.look_up(kind, value.text(), Role::Content, ("", ""));
    }
}

/// Judges a service as a whole: the clients that its containers would be, and the demands of the
/// level `restricted`.
pub(super) fn whole(judge: &mut Judge<'_>, service: &Json<'_>) {
    let container = service
        .get("TaskTemplate")
        .and_then(|task| task.get("ContainerSpec"));
    let name = service.get("Name").map(Json::text).unwrap_or_default();
    let image = container
        .and_then(|container| container.get("Image"))
        .map(Json::text)
        .unwrap_or_default();
    let labels = container.and_then(|container| container.get("Labels"));
    let tasks = || Newcomer::Task {
        service: name.to_owned(),
        labels: as_client(String::new(), labels).labels,
    };
    judge.claim_created(tasks, image);
    if let Some(listed) = service
        .get("TaskTemplate")
        .and_then(|task| task.get("Networks"))
    {
        judge.within(Step::Field("TaskTemplate"), |judge| {
            judge.within(Step::Field("Networks"), |judge| networks(judge, listed));
        });
    }
    if let Some(listed) = service.get("Networks") {
        judge.within(Step::Field("Networks"), |judge| networks(judge, listed));
    }
    if !judge.is_restricted() {
        return;
    }
    let field = |name| container.and_then(|container| container.get(name));
    let flag = field("Privileges").and_then(|privileges| privileges.get("NoNewPrivileges"));
    judge.within(Step::Field("TaskTemplate.ContainerSpec"), |judge| {
        restricted::user(judge, "User", field("User"));
        restricted::dropped(judge, "CapabilityDrop", field("CapabilityDrop"));
        restricted::no_new_privileges(
            judge,
            "Privileges.NoNewPrivileges",
            flag == Some(&Json::Bool(true)),
        );
        // The engine drops these fields without a word.
        if judge
            .version
            .is_none_or(|version| version < Version::SERVICE_PRIVILEGES)
        {
            judge.refuse(
                "the level restricted needs no-new-privileges, which engines drop from services \
                before API version 1.44; ask for /v1.44 or later"
                    .to_owned(),
                None,
            );
        }
    });
}
