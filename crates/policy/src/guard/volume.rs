//! Volumes.

use super::form::{Form, field, judged};
use super::json::Json;
use super::{Judge, Step};

/// moby `api/types/volume.CreateRequest`. A cluster volume may be a raw device: it has no form, so
/// it must be empty.
pub(super) static CREATE: Form = Form::Struct(&[
    field("Name", Form::Text),
    judged("Driver", Form::Text, |judge, value| {
        driver(judge, value.text())
    }),
    judged("DriverOpts", Form::Map(&Form::Text), options),
    field("Labels", Form::Map(&Form::Text)),
]);

/// Podman `entities.VolumeCreateOptions`.
pub(super) static LIBPOD_CREATE: Form = Form::Struct(&[
    field("Name", Form::Text),
    judged("Driver", Form::Text, |judge, value| {
        driver(judge, value.text())
    }),
    judged("Options", Form::Map(&Form::Text), options),
    field("Label", Form::Map(&Form::Text)),
    field("Labels", Form::Map(&Form::Text)),
    field("IgnoreIfExists", Form::Bool),
]);

/// Judges a driver: a program with rights on the host.
pub(super) fn driver(judge: &mut Judge<'_>, name: &str) {
    if !matches!(name, "" | "local") {
        judge.unless_allowed("volume-driver", name, || {
            format!(
                "the volume driver {:?} is not local",
                super::shortened(name)
            )
        });
    }
}

/// Judges the options of a volume, which go to mount(2) as root: `o=bind` and `device` make any
/// path of the host a volume.
pub(super) fn options(judge: &mut Judge<'_>, options: &Json<'_>) {
    let pairs: Vec<(String, String)> = options
        .map()
        .iter()
        .map(|(name, value)| (name.to_string(), value.text().to_owned()))
        .collect();
    let is_tmpfs = is_tmpfs(&pairs);
    for (name, value) in options.map() {
        if value.text().contains("{{") {
            judge.within(Step::Key(name), |judge| {
                judge.refuse("a template can become any path".to_owned(), None)
            });
        }
        if *name == "device" {
            judge.within(Step::Key(name), |judge| {
                judge.claim_path(&super::allow::clean(value.text()))
            });
        }
        if *name != "size" && !is_tmpfs {
            judge.within(Step::Key(name), |judge| {
                judge.unless_allowed("volume-option", &format!("{name}={}", value.text()), || {
                    "options of volumes are mounted by the engine as root on the host".to_owned()
                });
            });
        }
    }
}

/// Returns whether these are the options of a file system in memory, which is the container's own.
fn is_tmpfs(options: &[(String, String)]) -> bool {
    let value = |key: &str| {
        options
            .iter()
            .find(|(known, _)| known == key)
            .map_or("", |(_, value)| value.as_str())
    };
    let is_plain = |word: &str| {
        let name = word.split('=').next().unwrap_or_default();
        [
            "",
            "size",
            "mode",
            "uid",
            "gid",
            "nosuid",
            "nodev",
            "noexec",
            "noatime",
            "nr_inodes",
        ]
        .contains(&name)
    };
    value("type") == "tmpfs"
        && matches!(value("device"), "" | "tmpfs")
        && value("o").split(',').all(is_plain)
        && options
            .iter()
            .all(|(key, _)| matches!(key.as_str(), "type" | "device" | "o" | "size"))
}

/// Types of file systems that are not on the host's own disks or in its folders.
const REMOTE: &[&str] = &["nfs", "nfs4", "cifs", "smb3"];

/// Returns whether a volume with these options holds nothing of the host, so that clients may mount
/// it that could not have created it. A bind of a path is judged as a bind in a container is.
pub(super) fn is_harmless(judge: &Judge<'_>, options: &[(String, String)]) -> bool {
    let value = |key: &str| {
        options
            .iter()
            .find(|(known, _)| known == key)
            .map_or("", |(_, value)| value.as_str())
    };
    let words: Vec<&str> = value("o").split(',').collect();
    let names_nothing = value("device").is_empty() && value("o").is_empty();
    let is_bind = words.iter().any(|word| matches!(*word, "bind" | "rbind"));
    let path = super::allow::clean(value("device"));
    let is_allowed_bind = is_bind
        && value("device").starts_with('/')
        && words
            .iter()
            .all(|word| matches!(*word, "" | "bind" | "rbind" | "rw" | "ro"))
        && judge.allows_path("bind", &path, false);
    let is_allowed = || {
        options.iter().all(|(key, value)| {
            key == "size" || judge.allows("volume-option", &format!("{key}={value}"))
        })
    };
    names_nothing
        || is_tmpfs(options)
        || (REMOTE.contains(&value("type")) && !is_bind)
        || is_allowed_bind
        || is_allowed()
}
