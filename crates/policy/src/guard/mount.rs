//! Paths of the host and volumes in containers: binds, mounts, tmpfs.

use super::allow::clean;
use super::engine::Engine;
use super::form::{Field, Form, field, judged};
use super::host_config::must_be;
use super::json::Json;
use super::subject::Role;
use super::surroundings::HostPath;
use super::{Judge, Step};
use super::{image, volume};
use crate::endpoint::ObjectKind;
use crate::request::call::Version;

/// moby `api/types/mount.Mount`.
pub(super) const MOUNT: &[Field] = &[
    field("Type", Form::Text),
    judged("Source", Form::Text, no_separators),
    judged("Target", Form::Text, no_separators),
    field("ReadOnly", Form::Bool),
    judged("Consistency", Form::Text, |judge, value| {
        must_be(
            judge,
            value,
            &["", "default", "consistent", "cached", "delegated"],
            "is no consistency",
        );
    }),
    field("BindOptions", Form::Struct(BIND_OPTIONS)),
    field("VolumeOptions", Form::Struct(VOLUME_OPTIONS)),
    field(
        "ImageOptions",
        Form::Struct(&[judged("Subpath", Form::Text, subpath)]),
    ),
    field("TmpfsOptions", Form::Struct(TMPFS_OPTIONS)),
];

const BIND_OPTIONS: &[Field] = &[
    judged("Propagation", Form::Text, |judge, value| {
        propagation(judge, value.text())
    }),
    field("NonRecursive", Form::Bool),
    field("CreateMountpoint", Form::Bool),
    field("ReadOnlyNonRecursive", Form::Bool),
    field("ReadOnlyForceRecursive", Form::Bool),
];

const VOLUME_OPTIONS: &[Field] = &[
    field("NoCopy", Form::Bool),
    field("Labels", Form::Map(&Form::Text)),
    judged("Subpath", Form::Text, subpath),
    field("DriverConfig", Form::Struct(DRIVER)),
];

const DRIVER: &[Field] = &[
    judged("Name", Form::Text, |judge, value| {
        volume::driver(judge, value.text())
    }),
    judged("Options", Form::Map(&Form::Text), volume::options),
];

const TMPFS_OPTIONS: &[Field] = &[
    field("SizeBytes", Form::Number),
    field("Mode", Form::Number),
    judged("Options", Form::List(&Form::List(&Form::Text)), tmpfs),
];

/// Judges an entry of `Mounts`, once its fields have their forms.
pub(super) fn mounts(judge: &mut Judge<'_>, mounts: &Json<'_>) {
    for (index, mount) in mounts.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| one(judge, mount));
    }
}

fn one(judge: &mut Judge<'_>, mount: &Json<'_>) {
    let text = |key| mount.get(key).map(Json::text).unwrap_or_default();
    let source = text("Source");
    match text("Type") {
        "bind" => {
            let is_set = |key| {
                mount
                    .get("BindOptions")
                    .and_then(|options| options.get(key))
                    == Some(&Json::Bool(true))
            };
            let access = match mount.get("ReadOnly") {
                // Nothing below the folder is mounted.
                Some(Json::Bool(true))
                    if is_set("NonRecursive")
                        && judge.version.is_none_or(|it| it >= Version::NON_RECURSIVE) =>
                {
                    Access::ReadAlone
                }
                // Mounts below the folder stay writable.
                Some(Json::Bool(true)) if is_set("ReadOnlyNonRecursive") => Access::Write,
                Some(Json::Bool(true)) => Access::Read,
                _ => Access::Write,
            };
            judge.within(Step::Field("Source"), |judge| {
                host_path(judge, source, access)
            });
        }
        "volume" => {
            let access = match mount.get("ReadOnly") {
                Some(Json::Bool(true)) => Access::Read,
                _ => Access::Write,
            };
            judge.within(Step::Field("Source"), |judge| {
                volume_name(judge, source, access, "");
            });
        }
        // Docker refuses another source, and it means nothing to Podman.
        "tmpfs" => judge.within(Step::Field("Source"), |judge| {
            if !matches!(source, "" | "tmpfs" | "none") {
                judge.refuse("is the source of a tmpfs, which has none".to_owned(), None);
            }
        }),
        "image" => judge.within(Step::Field("Source"), |judge| {
            image::reference(judge, source);
            judge.look_up_image(source);
        }),
        kind => judge.within(Step::Field("Type"), |judge| {
            judge.refuse(
                format!(
                    "{:?} is none of bind, volume, tmpfs and image",
                    super::shortened(kind)
                ),
                None,
            );
        }),
    }
}

/// Splits an entry of `Binds` as the engine does: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:MODE`
/// (moby `linux_parser.go`).
pub(super) fn binds(judge: &mut Judge<'_>, binds: &Json<'_>) {
    for (index, bind) in binds.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| bind_of(judge, bind.text()));
    }
}

fn bind_of(judge: &mut Judge<'_>, bind: &str) {
    let parts: Vec<&str> = bind.split(':').collect();
    let (source, mode) = match parts.as_slice() {
        // An anonymous volume.
        [_] => return,
        [source, _] => (*source, ""),
        [source, _, mode] => (*source, *mode),
        _ => return judge.malformed("expected SOURCE:TARGET[:MODE]".to_owned()),
    };
    if source.starts_with('/') {
        host_path(judge, source, access(mode.split(',')));
    } else {
        let access = access(mode.split(','));
        volume_name(judge, source, access, &bind[source.len()..]);
    }
    bind_words(judge, mode.split(','));
}

/// The access of a mount to a path of the host or a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Writing.
    Write,
    /// Reading, and mounts below the path on the host are mounted too.
    Read,
    /// Reading, and nothing below the path is mounted.
    ReadAlone,
}

/// Returns the access that the words of a mount's mode give. Another label for SELinux is written to
/// every file, and of `ro` and `rw` engines may take the last.
pub(super) fn access<'w>(words: impl Iterator<Item = &'w str>) -> Access {
    let words: Vec<_> = words.collect();
    let has = |word| words.contains(&word);
    match has("ro") && !["rw", "z", "Z"].into_iter().any(has) {
        true if has("bind") && !has("rbind") => Access::ReadAlone,
        true => Access::Read,
        false => Access::Write,
    }
}

/// Judges paths in the container, by which volumes and file systems are named: Podman takes one
/// with a colon for a bind.
pub(super) fn targets(judge: &mut Judge<'_>, paths: &Json<'_>) {
    for (path, _) in paths.map() {
        if !path.starts_with('/') || path.contains([':', ',']) {
            judge.within(Step::Key(path), |judge| {
                judge.refuse(
                    "is no absolute path, or has a colon or a comma in it".to_owned(),
                    None,
                );
            });
        }
    }
}

/// Judges the modes of a bind or a volume.
pub(super) fn bind_words<'w>(judge: &mut Judge<'_>, words: impl Iterator<Item = &'w str>) {
    judge.each(words, |judge, word| match word {
        "" | "ro" | "rw" | "z" | "Z" | "nocopy" | "copy" | "consistent" | "cached"
        | "delegated" => {}
        "nosuid" | "nodev" | "noexec" | "exec" | "rbind" => {}
        "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
            propagation(judge, word)
        }
        word => judge.refuse(
            format!(
                "the guard does not know the mode {:?}",
                super::shortened(word)
            ),
            None,
        ),
    });
}

/// The most paths of the host that are resolved for one call: each takes system calls, and no
/// container mounts as many.
const PATHS: usize = 64;

/// Judges a path of the host. The engine cleans it before it mounts; a link on the host is followed
/// after that.
pub(super) fn host_path(judge: &mut Judge<'_>, source: &str, access: Access) {
    if !source.starts_with('/') || source.contains("{{") {
        return judge.refuse(
            "a bind needs an absolute path, without templates".to_owned(),
            None,
        );
    }
    let path = clean(source);
    let before = judge.count();
    judge.claim_path(&path);
    bind(judge, &path, access);
    // If the proxy sees the host's files, a link is judged by its destination. Refused paths are
    // not resolved: a client must not have the proxy wait for a file system that it names.
    if judge.count() > before {
        return;
    }
    let Some(resolver) = judge.surroundings.resolve_path else {
        return;
    };
    judge.resolved += 1;
    if judge.resolved > PATHS {
        return judge.refuse(
            format!("is one of more than {PATHS} paths of the host"),
            None,
        );
    }
    match resolver.resolve(&path) {
        HostPath::LeadsTo(led_to) if led_to != path => {
            judge.claim_path(&led_to);
            bind(judge, &led_to, access);
        }
        HostPath::LeadsTo(_) | HostPath::Missing => {}
        HostPath::Unknown => judge.refuse(
            "is on a file system that does not answer, so that a link cannot be judged; try again \
            when it does"
                .to_owned(),
            None,
        ),
    }
}

/// Files of the host that hold its time zone alone; nothing can be mounted below a file.
pub(super) fn is_harmless_file(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-');
    matches!(path, "/etc/localtime" | "/etc/timezone")
        || (path.starts_with("/usr/share/zoneinfo/") && path.chars().all(is_plain))
}

fn bind(judge: &mut Judge<'_>, path: &str, access: Access) {
    let is_read_only = access != Access::Write;
    if is_read_only && is_harmless_file(path) {
        return;
    }
    if judge.allows_path("bind", path, is_read_only) {
        if access == Access::Read && !judge.allows_path("bind", path, false) {
            judge
                .read_only
                .push((judge.place().to_vec(), path.to_owned()));
        }
        return;
    }
    // A colon of the path would be read as `:ro`.
    let allow = match path.contains(':') {
        true => None,
        false => {
            let is_enough = match access {
                Access::Write => false,
                Access::Read => Engine::takes_recursive(judge.version),
                Access::ReadAlone => true,
            };
            judge.hint(
                "bind",
                &format!("{path}{}", if is_enough { ":ro" } else { "" }),
            )
        }
    };
    let shown = super::shortened(path);
    if ["docker.sock", "podman.sock", "containerd.sock"]
        .iter()
        .any(|socket| path.ends_with(socket))
    {
        let what = format!("mounts the engine's own socket, {shown}, which goes around every rule");
        return judge.refuse(what, None);
    }
    let what = match judge.allows_path("bind", path, true) {
        true => format!(
            "mounts the host path {shown} for writing; it is allowed for reading only (:ro)"
        ),
        false => format!("mounts the host path {shown}; use a named volume instead"),
    };
    judge.refuse(what, allow);
}

/// Judges the name of a volume, which must be no path for any engine: Podman takes sources that
/// start with a dot for paths of the host.
///
/// The volume may exist, and hold more than the client could ask for, so the engine is asked.
/// `after` is the text behind the name.
pub(super) fn volume_name(judge: &mut Judge<'_>, name: &str, access: Access, after: &str) {
    let mut chars = name.chars();
    let is_name = chars.next().is_none_or(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !is_name {
        judge.refuse(
            format!("{:?} is no name of a volume", super::shortened(name)),
            None,
        );
    } else if !name.is_empty() {
        let bounds_volumes =
            !judge.targets.is_empty() || judge.owns() || judge.sees_some(ObjectKind::Volume);
        // Tasks start later than the call ends.
        if judge.is_service && bounds_volumes {
            judge.unless_allowed("volume", name, || {
                format!(
                    "the engine looks for the volume {} when a task starts, and it may be another \
                    client's by then",
                    super::shortened(name)
                )
            });
        }
        let role = match access {
            Access::Write => Role::MountedToWrite,
            Access::Read | Access::ReadAlone => Role::Mounted,
        };
        judge.look_up(ObjectKind::Volume, name, role, ("", after));
    }
}

/// Refuses commas, since Podman joins these words to a line of comma-separated ones.
///
/// Swarm expands Go's templates in them, with functions that make any text.
fn no_separators(judge: &mut Judge<'_>, value: &Json<'_>) {
    if value.text().contains("{{") {
        judge.refuse("a template can become any path".to_owned(), None);
    }
    if value.text().contains([',', '"', '\r', '\n']) {
        judge.refuse(
            "a comma, a quote or a line end can be read as another option".to_owned(),
            None,
        );
    }
}

/// Judges a path within a volume or an image.
fn subpath(judge: &mut Judge<'_>, value: &Json<'_>) {
    no_separators(judge, value);
    let path = value.text();
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        judge.refuse(
            "a subpath must stay within its volume: relative, and without ..".to_owned(),
            None,
        );
    }
}

pub(super) fn propagation(judge: &mut Judge<'_>, word: &str) {
    match word {
        "" | "private" | "rprivate" | "slave" | "rslave" => {}
        "shared" | "rshared" => judge.unless_allowed("mount-propagation", word, || {
            format!("{word} makes what the container mounts appear on the host")
        }),
        word => judge.refuse(
            format!(
                "the guard does not know the propagation {:?}",
                super::shortened(word)
            ),
            None,
        ),
    }
}

/// Judges the options of a tmpfs, as pairs or single words. Those that would make devices and
/// set-user-ID programs work are refused; the engine's own defaults leave them out.
fn tmpfs(judge: &mut Judge<'_>, options: &Json<'_>) {
    for (index, option) in options.list().iter().enumerate() {
        judge.within(Step::Index(index), |judge| match option.list() {
            [word] => tmpfs_word(judge, word.text()),
            [name, value] => tmpfs_word(judge, &format!("{}={}", name.text(), value.text())),
            _ => judge.refuse("expected a word, or a name and a value".to_owned(), None),
        });
    }
}

/// Judges `Tmpfs`: options by path, separated by commas.
pub(super) fn tmpfs_paths(judge: &mut Judge<'_>, paths: &Json<'_>) {
    targets(judge, paths);
    for (path, options) in paths.map() {
        judge.within(Step::Key(path), |judge| {
            judge.each(options.text().split(','), tmpfs_word)
        });
    }
}

pub(super) fn tmpfs_word(judge: &mut Judge<'_>, word: &str) {
    let name = word.split('=').next().unwrap_or_default();
    let harmless = [
        "",
        "rw",
        "ro",
        "exec",
        "noexec",
        "nosuid",
        "nodev",
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "noatime",
        "nodiratime",
        "relatime",
        "strictatime",
        "sync",
        "async",
        "dirsync",
        "huge",
        "private",
        "rprivate",
        "slave",
        "rslave",
    ];
    if !harmless.contains(&name) {
        judge.refuse(
            format!(
                "the option {:?} of a tmpfs is not among the harmless ones",
                super::shortened(word)
            ),
            None,
        );
    }
}
