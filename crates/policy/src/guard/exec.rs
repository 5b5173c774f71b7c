//! Commands in running containers.

use super::container::environment;
use super::form::{Form, field, judged};
use super::json::Json;
use super::restricted;
use super::{Judge, Step, creation};

/// moby `api/types/container.ExecCreateRequest`.
pub(super) static CREATE: Form = Form::Struct(&[
    field("User", Form::Text),
    judged("Privileged", Form::Bool, privileged),
    field("Tty", Form::Bool),
    field("ConsoleSize", Form::List(&Form::Number)),
    field("AttachStdin", Form::Bool),
    field("AttachStderr", Form::Bool),
    field("AttachStdout", Form::Bool),
    field("DetachKeys", Form::Text),
    // docker-py's spelling.
    field("detachKeys", Form::Text),
    field("Detach", Form::Bool),
    judged("Env", Form::List(&Form::Text), environment),
    field("WorkingDir", Form::Text),
    field("Cmd", Form::Words),
    // docker-py repeats the container here; the engine reads it in the path.
    field("Container", Form::Text),
]);

/// moby `api/types/container.ExecStartRequest`; Podman has the size in `h` and `w`.
pub(super) static START: Form = Form::Struct(&[
    field("Detach", Form::Bool),
    field("Tty", Form::Bool),
    field("ConsoleSize", Form::List(&Form::Number)),
    field("h", Form::Number),
    field("w", Form::Number),
    // docker-modem sends these options of its own along.
    field("hijack", Form::Bool),
    field("stdin", Form::Bool),
]);

/// Podman `handlers.ExecRemoveConfig`.
pub(super) static LIBPOD_REMOVE: Form = Form::Struct(&[field("Force", Form::Bool)]);

fn privileged(judge: &mut Judge<'_>, value: &Json<'_>) {
    if *value == Json::Bool(true) {
        judge.unless_allowed("exec-privileged", "", || {
            "gives the command every capability".to_owned()
        });
    }
}

/// Judges the user of a command: under `restricted`, it is not root. A command without a user runs
/// as the container does, which the guard cannot see.
pub(super) fn whole(judge: &mut Judge<'_>, exec: &Json<'_>) {
    if judge.is_restricted() {
        restricted::user(judge, "User", exec.get("User"));
    }
}

/// Judges a command that is stored in the engine: another client may have made it.
pub(super) fn stored(judge: &mut Judge<'_>, is_privileged: bool, user: &str, command: &[String]) {
    judge.within(Step::Field("ProcessConfig"), |judge| {
        judge.within(Step::Field("privileged"), |judge| {
            privileged(judge, &Json::Bool(is_privileged))
        });
        if judge.is_restricted() {
            restricted::user(judge, "user", Some(&Json::Text(user.into())));
        }
        creation::stored_command(judge, user, command);
    });
}
