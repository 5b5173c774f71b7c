//! Events: the attributes of an object, and its labels among them.

use super::Redaction;
use super::class::{ADDRESSES, COMMANDS, Class, Classes, HOST_PATHS, LABELS, PROXIES, REGISTRIES};
use super::label;
use super::replace::{REDACTED, each_text};
use super::shape::ValueShape;
use crate::guard::Json;

/// The kinds of objects whose events have attributes of the engine alone. The events of other kinds
/// carry all labels of the object beside them, in the same map.
const WITHOUT_LABELS: &[&str] = &[
    "builder", "config", "daemon", "machine", "network", "node", "plugin", "secret", "service",
    "system", "volume",
];

/// A test of the form of a value.
type Fits = fn(&str) -> bool;

/// The attributes of objects with labels, with the form of their values. A label can have the name
/// of an attribute and takes its place then, so a value of another form is treated as a label.
const ATTRIBUTES: &[(&str, Fits)] = &[
    ("container", is_identifier),
    ("containerExitCode", is_number),
    ("execDuration", is_number),
    ("execID", is_identifier),
    ("exitCode", is_number),
    ("imageID", is_identifier),
    ("podId", is_identifier),
    ("reclaimed", is_number),
    ("signal", is_number),
    // The engine writes these last, so that no label takes their place.
    ("image", |_| true),
    ("name", |_| true),
];

/// Attributes that hold values of a class.
const OF_CLASS: &[(&str, Classes)] = &[
    ("allow-nondistributable-artifacts", REGISTRIES),
    ("cluster-advertise", ADDRESSES),
    ("cluster-store", ADDRESSES),
    ("cluster-store-opts", ADDRESSES),
    ("error", COMMANDS.and(HOST_PATHS)),
    ("health_log", COMMANDS),
    ("hosts", ADDRESSES),
    ("http-proxy", PROXIES),
    ("https-proxy", PROXIES),
    ("insecure-registries", REGISTRIES),
    ("labels", LABELS),
    ("no-proxy", PROXIES),
    ("registry-mirrors", REGISTRIES),
    ("runtimes", HOST_PATHS),
];

fn is_identifier(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    matches!(digits.len(), 12 | 64) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_number(text: &str) -> bool {
    text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

/// Redacts an event. The type of the event decides about the attributes of its actor.
pub(super) fn redact_event(redaction: &Redaction, part: &ValueShape, event: &mut Json<'_>) {
    let kind = event
        .get("Type")
        .map(Json::text)
        .unwrap_or_default()
        .to_owned();
    let Json::Map(members) = event else { return };
    for (key, value) in members {
        match value {
            Json::Map(actor) if key == "Actor" => {
                for (key, value) in actor {
                    if key == "Attributes" {
                        redact_attributes(redaction, &kind, value);
                    } else {
                        redaction.walk(&super::shape::PLAIN, value);
                    }
                }
            }
            value => redaction.walk(part.member(key), value),
        }
    }
}

fn redact_attributes(redaction: &Redaction, kind: &str, attributes: &mut Json<'_>) {
    let Json::Map(map) = attributes else {
        return label::redact_labels(redaction, attributes);
    };
    let has_labels = !WITHOUT_LABELS.contains(&kind);
    for (key, value) in map {
        let is_attribute = !has_labels
            || ATTRIBUTES
                .iter()
                .any(|(known, fits)| key == *known && fits(value.text()));
        let is_of_class = OF_CLASS
            .iter()
            .any(|(known, classes)| key == *known && redaction.asks_for(*classes));
        let is_host =
            matches!(kind, "daemon" | "node") && key == "name" && redaction.has(Class::Host);
        let new = match label::replacement(redaction, key) {
            _ if is_of_class || is_host => Some(REDACTED),
            Some(new) if !is_attribute => Some(new),
            _ => None,
        };
        if let Some(new) = new {
            each_text(value, &|_| new.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::redaction::shape::EVENT;

    fn redacted(value: &str, kind: &str, attributes: &str) -> String {
        let redaction = Redaction::read([value]).expect("a value");
        let json = format!(r#"{{"Type":"{kind}","Actor":{{"ID":"a","Attributes":{attributes}}}}}"#);
        let mut event = Json::read(json.as_bytes()).expect("JSON");
        redact_event(&redaction, &EVENT, &mut event);
        let actor = event.get("Actor").expect("an actor");
        actor.get("Attributes").expect("attributes").to_string()
    }

    #[test]
    fn labels_are_told_from_attributes() {
        for (value, kind, attributes, want) in [
            (
                "labels",
                "container",
                r#"{"exitCode":"0","image":"a","name":"b","key":"c"}"#,
                r#"{"exitCode":"0","image":"a","name":"b","key":"redacted"}"#,
            ),
            // Labels with the name of an attribute.
            (
                "labels",
                "container",
                r#"{"exitCode":"secret","execID":"secret"}"#,
                r#"{"exitCode":"redacted","execID":"redacted"}"#,
            ),
            (
                "labels",
                "a new kind",
                r#"{"key":"a"}"#,
                r#"{"key":"redacted"}"#,
            ),
            (
                "labels",
                "volume",
                r#"{"driver":"local"}"#,
                r#"{"driver":"local"}"#,
            ),
            (
                "labels",
                "daemon",
                r#"{"labels":"[\"a=b\"]","name":"host"}"#,
                r#"{"labels":"redacted","name":"host"}"#,
            ),
            (
                "host",
                "daemon",
                r#"{"name":"host"}"#,
                r#"{"name":"redacted"}"#,
            ),
            (
                "host",
                "container",
                r#"{"name":"web"}"#,
                r#"{"name":"web"}"#,
            ),
        ] {
            assert_eq!(redacted(value, kind, attributes), want, "{value} {kind}");
        }
    }
}
