//! Containers: their configuration, and their rights on the host.

use super::form::{Field, Form, field, judged};
use super::host_config::{HOST_CONFIG, restricted_host_config};
use super::json::Json;
use super::network::ENDPOINT;
use super::surroundings::Newcomer;
use super::{Judge, Step};
use super::{image, mount, network, restricted};
use crate::advice::buildkit;
use crate::identity::client::Container;

/// moby `api/types/container.CreateRequest`: the configuration, the host's part of it, and the
/// networks.
///
/// Engines before 27 take the fields of `HostConfig` at this level too; they are no fields here, so
/// they must be empty.
pub(super) static CREATE: Form = Form::Parts(&[CONFIG, HOST, ALSO_CREATE]);

/// moby `api/types/container.Config`.
const CONFIG: &[Field] = &[
    judged("Hostname", Form::Text, |judge, value| {
        judge.claim_name(value.text())
    }),
    field("Domainname", Form::Text),
    field("User", Form::Text),
    field("AttachStdin", Form::Bool),
    field("AttachStdout", Form::Bool),
    field("AttachStderr", Form::Bool),
    field("ExposedPorts", EMPTY_OBJECTS),
    field("Tty", Form::Bool),
    field("OpenStdin", Form::Bool),
    field("StdinOnce", Form::Bool),
    judged("Env", Form::List(&Form::Text), environment),
    field("Cmd", Form::Words),
    field("Healthcheck", Form::Struct(HEALTH)),
    field("ArgsEscaped", Form::Bool),
    judged("Image", Form::Text, |judge, value| {
        image::reference(judge, value.text())
    }),
    judged("Volumes", EMPTY_OBJECTS, mount::targets),
    field("WorkingDir", Form::Text),
    field("Entrypoint", Form::Words),
    field("NetworkDisabled", Form::Bool),
    field("MacAddress", Form::Text),
    field("OnBuild", Form::List(&Form::Text)),
    field("Labels", Form::Map(&Form::Text)),
    field("StopSignal", Form::Text),
    field("StopTimeout", Form::Number),
    field("Shell", Form::Words),
];

/// The fields of a query that docker-modem repeats in the body of a create and of a commit.
const ALSO_CREATE: &[Field] = &[
    field("name", Form::Dropped),
    field("platform", Form::Dropped),
];
const ALSO_COMMIT: &[Field] = &[
    field("container", Form::Dropped),
    field("repo", Form::Dropped),
    field("tag", Form::Dropped),
    field("comment", Form::Dropped),
    field("author", Form::Dropped),
    field("pause", Form::Dropped),
    field("changes", Form::Dropped),
];

/// The body of a commit.
pub(super) static COMMIT: Form = Form::Parts(&[CONFIG, ALSO_COMMIT]);

/// Judges variables: Podman fills one without a value from its own environment, and all of them for
/// a star.
pub(super) fn environment(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, entry) in value.list().iter().enumerate() {
        if entry.text().contains('=') {
            continue;
        }
        judge.within(Step::Index(index), |judge| {
            match entry.text().ends_with('*') {
                true => judge.refuse("copies the environment of the engine".to_owned(), None),
                // Docker takes it for a variable of the image that the container does not get.
                false => judge.copied.push(judge.place().to_vec()),
            }
        });
    }
}

const HOST: &[Field] = &[
    field("HostConfig", HOST_CONFIG),
    field(
        "NetworkingConfig",
        Form::Struct(&[field("EndpointsConfig", Form::Map(&Form::Struct(ENDPOINT)))]),
    ),
];

const EMPTY_OBJECTS: Form = Form::Map(&Form::Struct(&[]));

pub(super) const HEALTH: &[Field] = &[
    field("Test", Form::Words),
    field("Interval", Form::Number),
    field("Timeout", Form::Number),
    field("StartPeriod", Form::Number),
    field("StartInterval", Form::Number),
    field("Retries", Form::Number),
];

/// Judges the name of a container that is created or renamed.
pub(super) fn name(judge: &mut Judge<'_>, name: &str) {
    judge.claim_name(name);
    judge.judge_new_name(name);
    judge.name = Some(name.trim_start_matches('/').to_owned());
}

/// Describes a container that would be created, as a client of the proxy.
pub(super) fn as_client(name: String, labels: Option<&Json<'_>>) -> Container {
    let labels = labels.map(Json::map).unwrap_or_default().iter();
    let labels = labels
        .map(|(key, value)| (key.to_string(), value.text().to_owned()))
        .collect();
    Container {
        id: String::new(),
        name,
        labels,
    }
}

/// Judges the networks that a container joins. Without a mode, that is the engine's default.
fn networks(judge: &mut Judge<'_>, host_config: Option<&Json<'_>>, config: Option<&Json<'_>>) {
    let mode = host_config.and_then(|host_config| host_config.get("NetworkMode"));
    judge.within(Step::Field("HostConfig"), |judge| {
        judge.within(Step::Field("NetworkMode"), |judge| {
            network::mode(judge, mode.map(Json::text).unwrap_or_default())
        });
    });
    if let Some(endpoints) = config.and_then(|config| config.get("EndpointsConfig")) {
        judge.within(Step::Field("NetworkingConfig"), |judge| {
            judge.within(Step::Field("EndpointsConfig"), |judge| {
                network::endpoints(judge, endpoints)
            });
        });
    }
}

/// Judges a container as a whole: the client that it would be, and the demands of the level
/// `restricted`.
pub(super) fn whole(judge: &mut Judge<'_>, container: &Json<'_>) {
    let name = judge.name.take().unwrap_or_default();
    let image = container.get("Image").map(Json::text).unwrap_or_default();
    judge.is_builder = buildkit::is_builder_name(&name) || buildkit::is_builder_image(image);
    judge.claim_created(
        || Newcomer::Container(as_client(name, container.get("Labels"))),
        image,
    );
    let host_config = container.get("HostConfig");
    networks(judge, host_config, container.get("NetworkingConfig"));
    if judge.is_restricted() {
        restricted::user(judge, "User", container.get("User"));
        judge.within(Step::Field("HostConfig"), |judge| {
            restricted_host_config(judge, host_config)
        });
    }
}
