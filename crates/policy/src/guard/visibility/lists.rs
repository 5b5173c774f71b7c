//! Judges the filters of lists and prunes, for a client that does not see all objects.

use super::super::judge::Judge;
use super::super::subject::{Role, Slot, Subject};
use super::super::target::Use;
use super::super::{Json, fold};
use crate::endpoint::ObjectKind;
use crate::request::call::Call;
use crate::view::{Exposure, exposure};

/// The keys of filters whose values name other containers or images: the engine's answer tells
/// whether these exist.
const RELATIVE_FILTERS: [&str; 7] = [
    "before",
    "since",
    "after",
    "ctr-ids",
    "ctr-names",
    "pod",
    "reference!",
];

impl Judge<'_> {
    /// Returns whether the call is a prune whose query is narrowed.
    pub(in crate::guard) fn narrows(&self, call: &Call) -> bool {
        let is_prune = call
            .endpoint()
            .is_some_and(|endpoint| matches!(exposure(endpoint.id), Exposure::Prune(_)));
        self.is_scoped() && is_prune
    }

    /// Narrows a prune to the objects that the client may remove.
    pub(super) fn narrow_prune(&mut self, call: Call, kind: ObjectKind) -> Call {
        let labels = self
            .surroundings
            .viewer
            .and_then(|viewer| viewer.narrowing_labels(kind));
        let Some(labels) = labels else {
            self.refuse(
                format!(
                    "the engine cannot prune those {}s alone that this profile sees; let the \
                    profile own its objects, or remove them one by one",
                    kind.name()
                ),
                None,
            );
            return call;
        };
        // Podman 4 combines labels of volumes and images by OR.
        if matches!(kind, ObjectKind::Volume | ObjectKind::Image) {
            self.narrowed_prune = Some(kind.name());
        }
        match narrowed(&call, &labels, kind) {
            Ok(narrowed) => narrowed,
            Err(why) => {
                self.refuse(why.to_owned(), None);
                call
            }
        }
    }

    /// Adds the services and nodes as subjects by which a list of tasks is filtered, and the images
    /// by which one of containers is: the engine tells whether they exist.
    fn look_up_filters(&mut self, listed: ObjectKind, filters: &Json<'_>) {
        for (key, values) in filters.map() {
            let kind = match (listed, fold(key).as_ref()) {
                (ObjectKind::Task, "service") => ObjectKind::Service,
                (ObjectKind::Task, "node") => ObjectKind::Node,
                (ObjectKind::Container, "ancestor") if self.sees_some(ObjectKind::Image) => {
                    ObjectKind::Image
                }
                _ => continue,
            };
            let listed = values.list().iter().map(|value| value.text().to_owned());
            let keyed = values.map().iter().map(|(value, _)| value.to_string());
            for word in listed.chain(keyed) {
                self.add_subject(Subject {
                    kind,
                    word,
                    role: Role::Target(Use::Look),
                    place: Vec::new(),
                    slot: Slot::Nowhere,
                });
            }
        }
    }

    /// Judges the filters of a list, and takes out the limit: the engine counts objects that the
    /// client does not see.
    pub(super) fn judge_list(&mut self, call: Call, kind: ObjectKind) -> Call {
        let Some(pairs) = call.parameters() else {
            self.malformed("the query is not UTF-8".to_owned());
            return call;
        };
        let is = |name: &str, known: &str| fold(name) == known;
        for (_, value) in pairs.iter().filter(|(name, _)| is(name, "filters")) {
            let text = if value.trim().is_empty() { "{}" } else { value };
            let Ok(filters) = Json::read(text.as_bytes()) else {
                self.malformed("its filters cannot be read in one way alone".to_owned());
                return call;
            };
            self.look_up_filters(kind, &filters);
            let keys = filters.map();
            let relative = keys
                .iter()
                .find(|(key, _)| RELATIVE_FILTERS.contains(&fold(key).as_ref()));
            if let Some((key, _)) = relative {
                self.refuse(
                    format!(
                        "the filter {key} compares with an object that this profile may not see; \
                        filter by another key"
                    ),
                    None,
                );
            }
        }
        let counts = |name: &str| is(name, "limit") || is(name, "last");
        let limits = pairs.iter().filter(|(name, _)| counts(name)).count();
        if kind != ObjectKind::Container || limits == 0 {
            return call;
        }
        if limits > 1 {
            self.malformed("names more than one limit in its query".to_owned());
            return call;
        }
        // A limit lists containers that do not run as well.
        let is_positive = |value: &str| value.parse::<i64>().is_ok_and(|limit| limit > 0);
        let lists_all = pairs
            .iter()
            .any(|(name, value)| counts(name) && is_positive(value));
        let is_replaced = |name: &str| counts(name) || (lists_all && is(name, "all"));
        let mut pairs: Vec<_> = pairs
            .into_iter()
            .filter(|(name, _)| !is_replaced(name))
            .collect();
        if lists_all {
            pairs.push(("all".to_owned(), "true".to_owned()));
        }
        call.with_parameters(&pairs)
    }
}

/// Returns the call of a prune with these label filters beside those that it has: the engine
/// combines labels by AND (moby `daemon/prune.go`, Podman `pkg/domain/filters`).
fn narrowed(call: &Call, labels: &[String], kind: ObjectKind) -> Result<Call, &'static str> {
    const UNCLEAR: &str = "its filters cannot be read in one way alone";
    let mut pairs = call.parameters().ok_or(UNCLEAR)?;
    let mut own = pairs.iter_mut().filter(|(name, _)| fold(name) == "filters");
    let (first, second) = (own.next(), own.next());
    if second.is_some() || first.as_ref().is_some_and(|(name, _)| name != "filters") {
        return Err(UNCLEAR);
    }
    let text = first
        .as_ref()
        .map_or("", |(_, value)| value.as_str())
        .to_owned();
    let mut filters = match text.trim() {
        "" => Json::Map(Vec::new()),
        text => Json::read(text.as_bytes()).map_err(|_| UNCLEAR)?,
    };
    let Json::Map(map) = &mut filters else {
        return Err(UNCLEAR);
    };
    // Podman drops every other filter of volumes beside this one (`NormalizeVolumePruneFilters`).
    if kind == ObjectKind::Volume && map.iter().any(|(key, _)| fold(key) == "all") {
        return Err(
            "Podman ignores other filters beside all; remove volumes with names one by one",
        );
    }
    // Values stand in lists, or are the keys of objects; the two are never mixed.
    let in_lists = map.iter().any(|(_, value)| matches!(value, Json::List(_)));
    let added = labels.iter().map(|label| label.clone().into());
    let slot = map.iter_mut().find(|(key, _)| key == "label");
    match slot.map(|(_, value)| value) {
        Some(Json::List(values)) => values.extend(added.map(Json::Text)),
        Some(Json::Map(values)) => {
            let wanted: Vec<_> = added.collect();
            values.retain(|(known, _)| !wanted.contains(known));
            values.extend(wanted.into_iter().map(|label| (label, Json::Bool(true))));
        }
        Some(_) => return Err(UNCLEAR),
        None => {
            let value = if in_lists {
                Json::List(added.map(Json::Text).collect())
            } else {
                Json::Map(added.map(|label| (label, Json::Bool(true))).collect())
            };
            map.push(("label".into(), value));
        }
    }
    let text = filters.to_string();
    match pairs.iter_mut().find(|(name, _)| name == "filters") {
        Some((_, value)) => *value = text,
        None => pairs.push(("filters".to_owned(), text)),
    }
    Ok(call.with_parameters(&pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prune_is_narrowed_in_the_form_of_its_own_filters() {
        let labels = ["cetusguard.owner=ci".to_owned()];
        for (filters, want) in [
            ("", r#"{"label":{"cetusguard.owner=ci":true}}"#),
            ("{}", r#"{"label":{"cetusguard.owner=ci":true}}"#),
            (
                r#"{"until":["1h"]}"#,
                r#"{"until":["1h"],"label":["cetusguard.owner=ci"]}"#,
            ),
            (
                r#"{"label":["a","b=c"]}"#,
                r#"{"label":["a","b=c","cetusguard.owner=ci"]}"#,
            ),
            (
                r#"{"label":{"cetusguard.owner=ci":false}}"#,
                r#"{"label":{"cetusguard.owner=ci":true}}"#,
            ),
            (r#"{"label":"x"}"#, ""),
            ("[]", ""),
            ("{", ""),
        ] {
            let call = Call::read("POST", "/v1.43/containers/prune").expect("a call");
            let call = call.with_parameters(&[("filters".to_owned(), filters.to_owned())]);
            let found = narrowed(&call, &labels, ObjectKind::Container);
            let found = found.ok().and_then(|call| call.only_parameter("filters"));
            assert_eq!(found.unwrap_or_default(), want, "{filters}");
        }
        for target in [
            "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D",
            "/volumes/prune?filters=%7B%7D&filters=%7B%7D",
            "/volumes/prune?Filters=%7B%7D",
        ] {
            let call = Call::read("POST", target).expect("a call");
            assert!(
                narrowed(&call, &labels, ObjectKind::Volume).is_err(),
                "{target}"
            );
        }
    }
}
