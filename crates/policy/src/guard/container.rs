//! Containers: what they are made of and what they may do on the host.

use super::Judge;
use super::form::{Field, Form, Step, field, judged};
use super::host_config::{HOST_CONFIG, restricted_host_config};
use super::json::Json;
use super::network::ENDPOINT;
use super::{image, mount, network, restricted};

/// moby `api/types/container.CreateRequest`: the configuration with what the host gives and which networks it joins.
///
/// Engines before 27 take the fields of `HostConfig` at this level too; they are no fields here, so they must be empty.
pub(super) static CREATE: Form = Form::Parts(&[CONFIG, HOST, ALSO_CREATE]);

/// moby `api/types/container.Config`.
const CONFIG: &[Field] = &[
    field("Hostname", Form::Text),
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
    judged("Image", Form::Text, |judge, value| image::reference(judge, value.text())),
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

/// What docker-modem, which sends a query's parameters in the body too, sends of a create and of a commit.
const ALSO_CREATE: &[Field] = &[field("name", Form::Dropped), field("platform", Form::Dropped)];
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

/// Podman fills what has no value from its own environment, and all of it for a star.
pub(super) fn environment(judge: &mut Judge<'_>, value: &Json<'_>) {
    for (index, entry) in value.list().iter().enumerate() {
        if !entry.text().contains('=') && entry.text().ends_with('*') {
            judge.within(Step::Index(index), |judge| {
                judge.refuse("copies the environment of the engine".to_owned(), None)
            });
        }
    }
}

const HOST: &[Field] = &[
    field("HostConfig", HOST_CONFIG),
    field(
        "NetworkingConfig",
        Form::Struct(&[judged("EndpointsConfig", Form::Map(&Form::Struct(ENDPOINT)), network::endpoints)]),
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

/// What `restricted` asks of a container beside what `baseline` refuses.
pub(super) fn whole(judge: &mut Judge<'_>, container: &Json<'_>) {
    if judge.is_restricted() {
        restricted::user(judge, "User", container.get("User"));
        let host_config = container.get("HostConfig");
        judge.within(Step::Field("HostConfig"), |judge| restricted_host_config(judge, host_config));
    }
}
