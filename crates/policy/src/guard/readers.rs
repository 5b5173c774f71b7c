//! The reader of query and body for each judged endpoint.

use super::form::{Field, Form, field, judged};
use super::json::Json;
use super::query::{self, Parameter, many, plain};
use super::subject::Role;
use super::{
    BodyKind, EndpointReader, Judge, build, container, exec, host_config, image, network, process,
    service, specgen, volume,
};

const fn json(parameters: &'static [Parameter], form: &'static Form) -> EndpointReader {
    EndpointReader {
        parameters,
        body: BodyKind::Json(form),
        whole: None,
        pairs: None,
    }
}

const fn stream(
    parameters: &'static [Parameter],
    whole: fn(&mut Judge<'_>, &Json<'_>),
) -> EndpointReader {
    EndpointReader {
        parameters,
        body: BodyKind::Stream,
        whole: Some(whole),
        pairs: None,
    }
}

pub(super) static CONTAINER_CREATE: EndpointReader = EndpointReader {
    whole: Some(container::whole),
    ..json(
        &[query::judged("name", container::name), plain("platform")],
        &container::CREATE,
    )
};
pub(super) static LIBPOD_CREATE: EndpointReader = EndpointReader {
    whole: Some(specgen::whole),
    ..json(&[], &specgen::CREATE)
};
pub(super) static LIBPOD_START: EndpointReader = EndpointReader {
    parameters: &[plain("detachkeys"), plain("recursive")],
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
pub(super) static SERVICE_CREATE: EndpointReader = EndpointReader {
    whole: Some(service::whole),
    ..json(&[], &service::SPEC)
};
pub(super) static SERVICE_UPDATE: EndpointReader = EndpointReader {
    whole: Some(service::whole),
    ..json(service::UPDATE_PARAMETERS, &service::SPEC)
};
pub(super) static CONTAINER_UPDATE: EndpointReader = json(&[], &host_config::UPDATE);
pub(super) static LIBPOD_UPDATE: EndpointReader = json(
    &[plain("restartPolicy"), plain("restartRetries")],
    &specgen::UPDATE,
);
pub(super) static CONTAINER_START: EndpointReader = EndpointReader {
    parameters: START_PARAMETERS,
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
/// Podman before version 5 restarts all containers by `all`, whichever the path names.
pub(super) static CONTAINER_RESTART: EndpointReader = EndpointReader {
    parameters: &[plain("t"), plain("timeout"), plain("signal")],
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
const START_PARAMETERS: &[Parameter] = &[
    plain("detachKeys"),
    query::judged("checkpoint", checkpoint),
    query::judged("checkpoint-dir", host_folder),
];
/// The list of checkpoints, and their removal.
pub(super) static CHECKPOINTS: EndpointReader = EndpointReader {
    parameters: &[query::judged("dir", host_folder)],
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
pub(super) static EXEC_CREATE: EndpointReader = EndpointReader {
    whole: Some(exec::whole),
    ..json(&[], &exec::CREATE)
};
pub(super) static EXEC_START: EndpointReader = json(&[], &exec::START);
pub(super) static COMMIT: EndpointReader = EndpointReader {
    pairs: Some(image::made),
    ..json(image::COMMIT, &container::COMMIT)
};
pub(super) static PULL_OR_IMPORT: EndpointReader = EndpointReader {
    parameters: image::CREATE,
    body: BodyKind::Stream,
    whole: None,
    pairs: Some(image::made),
};
pub(super) static TAG: EndpointReader = EndpointReader {
    parameters: image::TAG,
    body: BodyKind::Nothing,
    whole: None,
    pairs: Some(image::tagged),
};
pub(super) static PUSH: EndpointReader = json(image::PUSH, &PUSH_FORM);
pub(super) static LIBPOD_PUSH: EndpointReader = EndpointReader {
    pairs: Some(image::pushed_to_own_name),
    ..json(image::LIBPOD_PUSH, &PUSH_FORM)
};
pub(super) static TOP: EndpointReader = EndpointReader {
    parameters: process::TOP,
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
pub(super) static RENAME: EndpointReader =
    json(&[query::judged("name", container::name)], &RENAME_FORM);
pub(super) static LIBPOD_CONNECT: EndpointReader = json(&[], &network::LIBPOD_CONNECT);
pub(super) static LIBPOD_DISCONNECT: EndpointReader = json(&[], &network::LIBPOD_DISCONNECT);
pub(super) static LIBPOD_EXEC_REMOVE: EndpointReader = json(&[], &exec::LIBPOD_REMOVE);
pub(super) static LIBPOD_PULL: EndpointReader = EndpointReader {
    parameters: image::LIBPOD_PULL,
    body: BodyKind::Stream,
    whole: None,
    pairs: None,
};
pub(super) static LOAD: EndpointReader = stream(&[plain("quiet"), many("platform")], image::loaded);
pub(super) static MANIFEST: EndpointReader = EndpointReader {
    pairs: Some(image::listed_under),
    ..json(image::MANIFEST, &image::MANIFEST_FORM)
};
pub(super) static BUILD: EndpointReader = EndpointReader {
    pairs: Some(build::steps),
    ..stream(build::PARAMETERS, build::whole)
};
pub(super) static VOLUME_CREATE: EndpointReader = json(&[], &volume::CREATE);
pub(super) static LIBPOD_VOLUME_CREATE: EndpointReader = json(&[], &volume::LIBPOD_CREATE);
pub(super) static NETWORK_CREATE: EndpointReader = json(&[], &network::CREATE);
pub(super) static NETWORK_CONNECT: EndpointReader = json(&[], &network::CONNECT);
pub(super) static NETWORK_DISCONNECT: EndpointReader = json(&[], &network::DISCONNECT);
/// Its force is judged together with that of other removals.
pub(super) static NETWORK_REMOVE: EndpointReader = EndpointReader {
    parameters: &[plain("force"), plain("timeout")],
    body: BodyKind::Nothing,
    whole: None,
    pairs: None,
};
pub(super) static LOGIN: EndpointReader = json(&[], &LOGIN_FORM);
pub(super) static SECRET: EndpointReader = json(&[plain("version")], &SECRET_FORM);
pub(super) static NODE_UPDATE: EndpointReader = json(&[plain("version")], &NODE_FORM);

/// moby `api/types/registry.AuthConfig`. The engine connects to the address that it names.
static LOGIN_FORM: Form = Form::Struct(LOGIN_FIELDS);

const LOGIN_FIELDS: &[Field] = &[
    field("username", Form::Text),
    field("password", Form::Text),
    field("auth", Form::Text),
    field("email", Form::Text),
    judged("serveraddress", Form::Text, |judge, value| {
        image::server(judge, value.text())
    }),
    field("identitytoken", Form::Text),
    field("registrytoken", Form::Text),
];

/// Engines before 24 take credentials from the body of a push that has none in a header.
/// docker-modem repeats the query.
static PUSH_FORM: Form = Form::Parts(&[
    LOGIN_FIELDS,
    &[
        field("tag", Form::Dropped),
        field("authconfig", Form::Dropped),
    ],
]);

/// docker-modem repeats the query in the body, which no engine reads.
static RENAME_FORM: Form = Form::Struct(&[field("name", Form::Dropped)]);

/// moby `api/types/swarm.SecretSpec` and `ConfigSpec`. Drivers are not in it; a template could read
/// other secrets, so it must be empty.
static SECRET_FORM: Form = Form::Struct(&[
    field("Name", Form::Text),
    field("Labels", Form::Map(&Form::Text)),
    field("Data", Form::Text),
    field(
        "Templating",
        Form::Struct(&[judged("Name", Form::Text, template)]),
    ),
]);

fn template(judge: &mut Judge<'_>, name: &Json<'_>) {
    if !name.is_empty() {
        judge.refuse("a template can read other secrets".to_owned(), None);
    }
}

/// moby `api/types/swarm.NodeSpec`.
static NODE_FORM: Form = Form::Struct(&[
    field("Name", Form::Text),
    field("Labels", Form::Map(&Form::Text)),
    judged("Role", Form::Text, role),
    field("Availability", Form::Text),
]);

/// Judges the role of a node. A manager controls the whole cluster: a node that is one already
/// stays one, and no other becomes one. The client sends the whole specification of a node, even to
/// change a label.
fn role(judge: &mut Judge<'_>, value: &Json<'_>) {
    match value.text() {
        "worker" => {}
        "manager" => judge.path_role = Some((Role::Manager, judge.place().to_vec())),
        _ => judge.malformed("expected worker or manager".to_owned()),
    }
}

fn host_folder(judge: &mut Judge<'_>, folder: &str) {
    if !folder.is_empty() {
        judge.refuse("names a folder of the host".to_owned(), None);
    }
}

/// Judges the name of a checkpoint, which the engine joins to its own folder. Names that the engine
/// takes when it makes one (moby `names.RestrictedNamePattern`) lead nowhere else.
fn checkpoint(judge: &mut Judge<'_>, name: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.starts_with('.') || !name.chars().all(is_plain) {
        judge.refuse("is no name of a checkpoint".to_owned(), None);
    }
}
