//! Labels: their class depends on their keys.

use std::borrow::Cow;

use super::Redaction;
use super::class::{COMMANDS, Class, Classes, ENV, HOST_PATHS};
use super::replace::{PATH, REDACTED, each_text};
use crate::guard::Json;

/// The labels that clients group containers by. Their values are names, which the lists of objects
/// show as well: without them, a dashboard shows no project and no stack.
const GROUPING: &[&str] = &[
    "com.docker.compose.container-number",
    "com.docker.compose.network",
    "com.docker.compose.oneoff",
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.volume",
    "com.docker.stack.namespace",
    "com.docker.swarm.node.id",
    "com.docker.swarm.service.id",
    "com.docker.swarm.service.name",
    "com.docker.swarm.task.id",
    "com.docker.swarm.task.name",
    "io.podman.compose.project",
    "io.podman.compose.service",
];

/// Labels that hold values of another class; a key that ends in a slash is the start of one.
const OF_CLASS: &[(&str, Classes)] = &[
    ("com.docker.compose.project.config_files", HOST_PATHS),
    ("com.docker.compose.project.environment_file", HOST_PATHS),
    ("com.docker.compose.project.working_dir", HOST_PATHS),
    ("desktop.docker.io/binds/", HOST_PATHS),
    ("devcontainer.config_file", HOST_PATHS),
    ("devcontainer.local_folder", HOST_PATHS),
    ("devcontainer.metadata", ENV.and(COMMANDS).and(HOST_PATHS)),
    ("io.podman.annotations.cid-file", HOST_PATHS),
    ("io.podman.annotations.seccomp", HOST_PATHS),
    ("io.podman.compose.project.working_dir", HOST_PATHS),
];

/// Returns the value that takes the place of this label's, if the label is redacted.
pub(super) fn replacement(redaction: &Redaction, key: &str) -> Option<&'static str> {
    let other = OF_CLASS
        .iter()
        .find(|(known, _)| key == *known || (known.ends_with('/') && key.starts_with(known)));
    match other {
        Some((_, classes)) if redaction.classes.meets(*classes) => {
            return Some(if *classes == HOST_PATHS {
                PATH
            } else {
                REDACTED
            });
        }
        _ => {}
    }
    let is_redacted = redaction.has(Class::Labels) && !GROUPING.contains(&key)
        || redaction.labels.iter().any(|pattern| pattern.fits(key));
    is_redacted.then_some(REDACTED)
}

/// Replaces the values of labels: an object, a list of `KEY=value`, or one text.
pub(super) fn redact_labels(redaction: &Redaction, value: &mut Json<'_>) {
    match value {
        Json::Map(map) => {
            for (key, value) in map {
                if let Some(new) = replacement(redaction, key) {
                    each_text(value, &|_| new.into());
                }
            }
        }
        Json::List(list) => {
            for value in list {
                redact_labels(redaction, value);
            }
        }
        value => each_text(value, &|text| redact_pair(redaction, text)),
    }
}

fn redact_pair(redaction: &Redaction, text: &str) -> Cow<'static, str> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match replacement(redaction, key) {
        // A text in another form, such as several labels in JSON.
        Some(_)
            if !key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b)) =>
        {
            REDACTED.into()
        }
        Some(new) if !value.is_empty() => format!("{key}={new}").into(),
        _ => text.to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_redacted_by_their_keys() {
        for (value, key, want) in [
            ("labels", "a.b", Some(REDACTED)),
            ("labels", "com.docker.compose.project", None),
            (
                "labels",
                "com.docker.compose.project.working_dir",
                Some(REDACTED),
            ),
            (
                "labels=com.docker.*",
                "com.docker.compose.project",
                Some(REDACTED),
            ),
            ("labels=*password*", "app.password.hash", Some(REDACTED)),
            ("labels=*password*", "app.user", None),
            (
                "host-paths",
                "com.docker.compose.project.working_dir",
                Some(PATH),
            ),
            ("host-paths", "desktop.docker.io/binds/0/Source", Some(PATH)),
            ("host-paths", "a.b", None),
            ("env", "devcontainer.metadata", Some(REDACTED)),
            (
                "secrets",
                "traefik.http.middlewares.a.basicauth.users",
                None,
            ),
        ] {
            let redaction = Redaction::read([value]).expect("a value");
            assert_eq!(replacement(&redaction, key), want, "{value} {key}");
        }
    }

    #[test]
    fn labels_come_in_three_forms() {
        for (json, want) in [
            (r#"{"a":"b","c":""}"#, r#"{"a":"redacted","c":""}"#),
            (r#"["a=b","c"]"#, r#"["a=redacted","c"]"#),
            (r#""{\"a\":\"b=c\"}""#, r#""redacted""#),
        ] {
            let redaction = Redaction::read(["labels"]).expect("a value");
            let mut value = Json::read(json.as_bytes()).expect("JSON");
            redact_labels(&redaction, &mut value);
            assert_eq!(value.to_string(), want);
        }
    }
}
