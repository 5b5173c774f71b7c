//! Volumes.

use super::Judge;
use super::form::{Form, Step, field, judged};
use super::json::Json;

/// moby `api/types/volume.CreateRequest`. A cluster volume may be a raw device: it has no form, so it must be empty.
pub(super) static CREATE: Form = Form::Struct(&[
    field("Name", Form::Text),
    judged("Driver", Form::Text, |judge, value| driver(judge, value.text())),
    judged("DriverOpts", Form::Map(&Form::Text), options),
    field("Labels", Form::Map(&Form::Text)),
]);

/// Podman `entities.VolumeCreateOptions`.
pub(super) static LIBPOD_CREATE: Form = Form::Struct(&[
    field("Name", Form::Text),
    judged("Driver", Form::Text, |judge, value| driver(judge, value.text())),
    judged("Options", Form::Map(&Form::Text), options),
    field("Label", Form::Map(&Form::Text)),
    field("Labels", Form::Map(&Form::Text)),
    field("IgnoreIfExists", Form::Bool),
]);

/// A driver is a program with rights on the host.
pub(super) fn driver(judge: &mut Judge<'_>, name: &str) {
    if !matches!(name, "" | "local") {
        judge.unless_allowed("volume-driver", name, || {
            format!("the volume driver {:?} is not local", super::shown(name))
        });
    }
}

/// Options of a volume go to mount(2), as root: `o=bind` and `device` make any path of the host a volume.
pub(super) fn options(judge: &mut Judge<'_>, options: &Json<'_>) {
    for (name, value) in options.map() {
        if *name != "size" {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("volume-option", &format!("{name}={}", value.text()), || {
                    "options of volumes are mounted by the engine as root on the host".to_owned()
                });
            });
        }
    }
}
