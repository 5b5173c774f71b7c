//! Namespaces of the kernel that a container has: its own, the host's, or another container's.
//!
//! Docker's API names one with a word, Podman's with a pair of a mode and a value. Both are read
//! into a [`Namespace`], which is judged in one place.

use super::json::Json;
use super::subject::Role;
use super::{Judge, Step};
use crate::endpoint::ObjectKind;

/// The namespace of one kind that a container asks for.
enum Namespace<'b> {
    /// A new one.
    Own,
    /// The host's.
    Host,
    /// That of another container, which the body names behind `before`.
    Container {
        kind: &'static str,
        container: &'b str,
        before: &'static str,
    },
    /// A mode that the guard does not know.
    Unknown(&'b str),
}

/// Judges one word: `host`, `container:NAME`, or a mode that stands for a new namespace. The engine
/// compares exactly, and Podman knows more words.
pub(super) fn namespace_word(judge: &mut Judge<'_>, word: &str, kind: &str, own: &[&str]) {
    let namespace = match (sharable(kind), word.strip_prefix("container:")) {
        _ if own.contains(&word) => Namespace::Own,
        _ if word.trim().eq_ignore_ascii_case("host") => Namespace::Host,
        (Some(kind), Some(container)) => Namespace::Container {
            kind,
            container,
            before: "container:",
        },
        _ => Namespace::Unknown(word),
    };
    judge_namespace(judge, kind, &namespace);
}

/// Judges `{nsmode, value}` of Podman's API: the value is a container, or options.
pub(super) fn namespace_pair(judge: &mut Judge<'_>, pair: &Json<'_>, kind: &str) {
    let text = |key| pair.get(key).map(Json::text).unwrap_or_default();
    let (mode, value) = (text("nsmode"), text("value"));
    match (mode, sharable(kind)) {
        ("host", _) => judge_namespace(judge, kind, &Namespace::Host),
        ("container", Some(shared)) => judge.within(Step::Field("value"), |judge| {
            let namespace = Namespace::Container {
                kind: shared,
                container: value,
                before: "",
            };
            judge_namespace(judge, kind, &namespace);
        }),
        _ if !own_modes(kind).contains(&mode) => {
            judge_namespace(judge, kind, &Namespace::Unknown(mode));
        }
        _ if !value.is_empty() => {
            judge.refuse("options of a namespace are not judged".to_owned(), None);
        }
        _ => judge_namespace(judge, kind, &Namespace::Own),
    }
}

/// Returns the modes of Podman's API that stand for a new namespace.
fn own_modes(kind: &str) -> &'static [&'static str] {
    match kind {
        "network" => &[
            "",
            "default",
            "private",
            "bridge",
            "none",
            "slirp4netns",
            "pasta",
        ],
        "user" => &[
            "", "default", "private", "auto", "keep-id", "nomap", "no-map",
        ],
        "ipc" => &["", "default", "private", "shareable", "none"],
        _ => &["", "default", "private"],
    }
}

/// Returns the kind, if a container can join a namespace of this kind of another container.
fn sharable(kind: &str) -> Option<&'static str> {
    ["network", "pid", "ipc"]
        .into_iter()
        .find(|known| *known == kind)
}

fn judge_namespace(judge: &mut Judge<'_>, kind: &str, namespace: &Namespace<'_>) {
    match *namespace {
        Namespace::Own => {}
        Namespace::Host => judge.unless_allowed("host-namespace", kind, || {
            format!("shares the host's {kind} namespace")
        }),
        Namespace::Container {
            kind,
            container,
            before,
        } => join_container(judge, kind, container, before),
        Namespace::Unknown(mode) => {
            let mode = super::shortened(mode);
            judge.refuse(format!("the guard does not know the mode {mode:?}"), None);
        }
    }
}

/// Judges a namespace of another container, whose settings decide which rights come with it. A
/// shared network is ordinary; processes and memory are another container's own.
fn join_container(judge: &mut Judge<'_>, kind: &'static str, container: &str, before: &str) {
    if kind != "network" {
        judge.unless_allowed("container-namespace", kind, || {
            format!("joins another container's {kind} namespace")
        });
    }
    judge.look_up(
        ObjectKind::Container,
        container,
        Role::Namespace(kind),
        (before, ""),
    );
}
