//! Judges calls of clients that do not see all objects of the engine.

use super::Json;
use super::judge::{Judge, Step};
use super::network::is_predefined;
use super::subject::{Role, Slot, Subject};
use super::target::Use;
use crate::call::Call;
use crate::endpoint::{Endpoint, EndpointId, ObjectKind};
use crate::object::Object;
use crate::view::{Exposure, IMAGE_OWNER_LABEL, exposure};

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

/// The way in which a call gives the name of an image to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overwriting {
    /// A build, a commit, an import or a tag gives the name to an image of the client's choice.
    Name,
    /// A pull gives the name to the image that the registry has.
    Pull,
}

/// The visibility of an object for the client of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    /// The client sees it, or the object was not named by the client.
    Visible,
    /// The object does not exist for the client.
    Hidden,
}

impl Judge<'_> {
    /// Returns whether the decision depends on the objects that a call names: because of targets,
    /// or because the client does not see all objects.
    pub(super) fn bounds_objects(&self) -> bool {
        !self.targets.is_empty() || self.is_scoped()
    }

    /// Returns whether the client does not see all objects.
    pub(super) fn is_scoped(&self) -> bool {
        self.surroundings
            .viewer
            .is_some_and(crate::Viewer::is_scoped)
    }

    /// Returns whether the client can change only objects that it owns.
    pub(super) fn owns(&self) -> bool {
        self.surroundings
            .viewer
            .is_some_and(|viewer| viewer.owner.is_some())
    }

    /// Returns whether the client sees some objects of this kind only.
    pub(super) fn sees_some(&self, kind: ObjectKind) -> bool {
        self.surroundings
            .viewer
            .is_some_and(|viewer| viewer.bounds(kind))
    }

    /// Returns the visibility of an object to which the call has led.
    pub(super) fn visibility_of(&self, subject: &Subject, object: &Object) -> Visibility {
        let Some(viewer) = self.surroundings.viewer else {
            return Visibility::Visible;
        };
        let is_named = match subject.role {
            // The object leads to another one, which decides.
            _ if matches!(subject.kind, ObjectKind::Exec | ObjectKind::Task) => false,
            Role::Shared(_) | Role::Held | Role::Labels | Role::Defaults => false,
            Role::Target(_)
            | Role::Replaced
            | Role::Started
            | Role::Namespace(_)
            | Role::Link
            | Role::VolumesFrom
            | Role::Mounted
            | Role::MountedToWrite
            | Role::Joined
            | Role::Network
            | Role::Content
            | Role::Run
            | Role::Manager => true,
            // Its name is taken, whether the client sees it or not.
            Role::Overwritten(_) | Role::Digest => false,
        };
        let is_visible = match subject.kind {
            ObjectKind::Image => {
                let acts = self.changes_target && matches!(subject.role, Role::Target(_));
                viewer.shows_image(&subject.word, object, acts)
            }
            kind => viewer.shows(kind, object),
        };
        if is_named && !is_visible {
            Visibility::Hidden
        } else {
            Visibility::Visible
        }
    }

    /// Refuses a change of an object that the client sees and does not own, by the call or by a
    /// container that the call creates.
    pub(super) fn refuse_unowned(&mut self, subject: &Subject, object: &Object) {
        let Some(viewer) = self.surroundings.viewer else {
            return;
        };
        let is_change = match subject.role {
            // The new container would change what the other one has.
            Role::Namespace(_) | Role::VolumesFrom | Role::MountedToWrite => true,
            Role::Target(Use::Join) => false,
            Role::Target(_) | Role::Replaced | Role::Started => {
                self.changes_target && !matches!(subject.kind, ObjectKind::Exec | ObjectKind::Task)
            }
            _ => false,
        };
        let is_shared = subject.kind == ObjectKind::Network && is_predefined(&object.name);
        if is_change && self.is_scoped() && is_shared {
            let name = &object.name;
            self.refuse(format!("the network {name} belongs to all clients"), None);
        } else if is_change && viewer.owner.is_some() && !viewer.owns(object) {
            let (kind, name) = (subject.kind.name(), &object.name);
            let may = match subject.role {
                Role::MountedToWrite => "can mount it for reading only; add :ro or ReadOnly",
                Role::Namespace(_) => "can share namespaces only with what it has created",
                Role::VolumesFrom => "can take volumes only from what it has created",
                _ => "can change only what it has created",
            };
            self.refuse(
                format!("the {kind} {name} does not belong to this client, which {may}"),
                None,
            );
        }
    }

    /// Judges a call of a client that does not see all objects, by its endpoint. Returns the call
    /// whose query reaches no other objects.
    pub(super) fn judge_exposure(&mut self, call: Call) -> Call {
        if let Some((why, name)) = self
            .surroundings
            .viewer
            .and_then(|viewer| viewer.view.closed_parameter(&call))
        {
            self.within(Step::Parameter(&name), |judge| {
                judge.refuse(format!("the redact of this profile closes it: {why}"), None);
            });
        }
        if !self.is_scoped() {
            return call;
        }
        let Some(endpoint) = call.endpoint() else {
            return call;
        };
        self.changes_target = changes(endpoint);
        self.refuse_shared_builder(&call, endpoint.id);
        match exposure(endpoint.id) {
            Exposure::Images => {
                self.judge_images(&call, endpoint.id);
                call
            }
            Exposure::Volumes => self.judge_list(call, ObjectKind::Volume),
            Exposure::Named | Exposure::Container => {
                self.refuse_links(&call);
                self.look_up_overwritten(&call, endpoint.id);
                call
            }
            Exposure::Prune(kind) => self.narrow_prune(call, kind),
            Exposure::List(kind) => self.judge_list(call, kind),
            Exposure::Nothing
            | Exposure::Networks
            | Exposure::Image
            | Exposure::ImageHistory
            | Exposure::ImageTree
            | Exposure::Task
            | Exposure::Events
            | Exposure::DiskUsage
            // The rules have refused it, or an exception allows it.
            | Exposure::Builder
            | Exposure::Closed(_) => call,
        }
    }

    /// Refuses a build by BuildKit, whose caches (`RUN --mount=type=cache`) other clients fill, as
    /// the channels to it are closed.
    fn refuse_shared_builder(&mut self, call: &Call, id: EndpointId) {
        let versions = call.parameters().unwrap_or_default().into_iter();
        let is_other = versions
            .filter(|(name, _)| super::fold(name) == "version")
            .any(|(_, version)| !matches!(version.as_str(), "" | "1"));
        if id == EndpointId::BuildStart && is_other {
            self.within(Step::Parameter("version"), |judge| {
                judge.unless_allowed("shared-builder", "", || {
                    "asks for BuildKit, whose builds and cache are those of all clients; the \
                    classic builder is version 1"
                        .to_owned()
                });
            });
        }
    }

    /// Judges a call that brings in images.
    fn judge_images(&mut self, call: &Call, id: EndpointId) {
        self.look_up_overwritten(call, id);
        let loads = matches!(
            id,
            EndpointId::ImageLoad | EndpointId::LibpodImageLoad | EndpointId::LibpodImageImport
        );
        if loads && self.owns() {
            self.refuse(
                "the archive may replace images of other clients, and its names are not known; \
                build the image or pull it"
                    .to_owned(),
                None,
            );
        } else if self.sees_some(ObjectKind::Image) {
            self.judge_image_source(call, id);
        }
    }

    /// Refuses the names of links: the container to which a link leads may be hidden.
    fn refuse_links(&mut self, call: &Call) {
        let names_link = call.captured().is_some_and(|captured| {
            captured.kind == ObjectKind::Container && captured.word.trim_matches('/').contains('/')
        });
        let removes_link = call.endpoint().is_some_and(|endpoint| {
            endpoint.id == EndpointId::ContainerRemove && call.turns_on("link")
        });
        if names_link || removes_link {
            self.refuse(
                "a link leads to a container by way of another one; name the container itself"
                    .to_owned(),
                None,
            );
        }
    }

    /// Adds as subjects the images whose names the call gives to other images.
    fn look_up_overwritten(&mut self, call: &Call, id: EndpointId) {
        use EndpointId::*;
        let pairs = call.parameters().unwrap_or_default();
        let all = |wanted: &str| {
            let values = pairs
                .iter()
                .filter(|(name, _)| super::fold(name) == wanted)
                .map(|(_, value)| value.clone());
            values.filter(|value| !value.is_empty()).collect::<Vec<_>>()
        };
        let (parameter, mut names) = match id {
            ImageTag | LibpodImageTag | ContainerCommit | ImageCreate => ("repo", all("repo")),
            BuildStart => ("t", all("t")),
            LibpodImagePull => return self.look_up_pulled(call, id),
            _ => return,
        };
        if id != BuildStart
            && let [tag] = all("tag").as_slice()
        {
            names = names
                .into_iter()
                .map(|name| format!("{name}:{tag}"))
                .collect();
        }
        for word in names {
            self.within(Step::Parameter(parameter), |judge| {
                judge.look_up_name(word, Overwriting::Name);
            });
        }
        if id == ImageCreate {
            self.look_up_pulled(call, id);
        }
    }

    /// Adds the image as a subject whose name a pull may give to another one. A pull by digest gives
    /// no name.
    fn look_up_pulled(&mut self, call: &Call, id: EndpointId) {
        let (parameter, name) = pulled_name(call, id);
        let Some(name) = name.filter(|name| self.owns() && !name.is_empty()) else {
            return;
        };
        let name = name.strip_prefix("docker://").unwrap_or(&name).to_owned();
        let is_docker = id == EndpointId::ImageCreate;
        let pulls_all =
            (is_docker && !super::reference::has_tag(&name)) || call.turns_on("alltags");
        self.within(Step::Parameter(parameter), |judge| {
            if pulls_all {
                let what = "names no tag, by which the engine would pull all tags, also those that \
                    are images of other clients; name one";
                judge.refuse(what.to_owned(), None);
            }
            if name.contains('@') {
                return;
            }
            // Podman finds an image of its own by a short name, and pulls that of a registry.
            let full = super::reference::normalised(&name);
            if !is_docker && full != name {
                judge.look_up_name(full, Overwriting::Pull);
            }
            judge.look_up_name(name, Overwriting::Pull);
        });
    }

    /// Adds the image as a subject whose name the call gives to another one.
    pub(super) fn look_up_name(&mut self, word: String, how: Overwriting) {
        if self.owns() || self.sees_some(ObjectKind::Image) {
            let place = self.place().to_vec();
            self.add_subject(Subject {
                kind: ObjectKind::Image,
                word,
                role: Role::Overwritten(how),
                place,
                slot: Slot::Nowhere,
            });
        }
    }

    /// Judges an image whose name the call gives to another one.
    pub(super) fn overwrites(&mut self, subject: &Subject, image: &Object, how: Overwriting) {
        let Some(viewer) = self.surroundings.viewer else {
            return;
        };
        let may = match viewer.owner {
            // A pulled image has no mark, and every client may pull it again.
            Some(_) if how == Overwriting::Pull && image.label(IMAGE_OWNER_LABEL).is_empty() => {
                true
            }
            Some(_) => viewer.owns_image(image),
            None => viewer.shows_image(&subject.word, image, true),
        };
        if !may {
            let name = super::judge::shortened(&subject.word);
            self.refuse(
                format!("the name {name} is taken by an image that this client cannot replace"),
                None,
            );
        }
    }

    /// Judges a call that brings in images, for a client that sees only some images: it may pull
    /// those that it will see.
    fn judge_image_source(&mut self, call: &Call, id: EndpointId) {
        let (parameter, name) = pulled_name(call, id);
        let mut has_registry = true;
        // A guard that names images has judged the name already.
        if !(self.is_guarded() && self.guard.binds_images()) {
            let name = name.as_deref().unwrap_or_default();
            self.within(Step::Parameter(parameter), |judge| {
                has_registry = judge.has_registry(name);
            });
        }
        if !has_registry {
            return;
        }
        let is_visible = name
            .filter(|name| !name.is_empty())
            .is_some_and(|name| self.shows_image_name(&name));
        if !is_visible {
            self.refuse(
                "this profile sees some images, and this call may bring in others; pull an image \
                that the profile sees by its name"
                    .to_owned(),
                None,
            );
        }
    }

    /// Returns whether the client will see an image of this name once it is pulled.
    pub(super) fn shows_image_name(&self, name: &str) -> bool {
        let image = Object::image_of_name(name);
        let viewer = self.surroundings.viewer;
        viewer.is_some_and(|viewer| viewer.shows(ObjectKind::Image, &image))
    }

    /// Returns whether the call is a prune whose query is narrowed.
    pub(super) fn narrows(&self, call: &Call) -> bool {
        let is_prune = call
            .endpoint()
            .is_some_and(|endpoint| matches!(exposure(endpoint.id), Exposure::Prune(_)));
        self.is_scoped() && is_prune
    }

    /// Narrows a prune to the objects that the client may remove.
    fn narrow_prune(&mut self, call: Call, kind: ObjectKind) -> Call {
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
            let kind = match (listed, super::fold(key).as_ref()) {
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
    fn judge_list(&mut self, call: Call, kind: ObjectKind) -> Call {
        let Some(pairs) = call.parameters() else {
            self.malformed("the query is not UTF-8".to_owned());
            return call;
        };
        let is = |name: &str, known: &str| super::fold(name) == known;
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
                .find(|(key, _)| RELATIVE_FILTERS.contains(&super::fold(key).as_ref()));
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

/// Returns the name of the image that a call pulls, and the parameter with it.
fn pulled_name(call: &Call, id: EndpointId) -> (&'static str, Option<String>) {
    let (parameter, reference) = match id {
        EndpointId::LibpodImagePull => ("reference", call.only_parameter("reference")),
        EndpointId::ImageCreate => {
            // The engine takes the parameter in this spelling alone.
            let exact = || {
                let mut pairs = call.parameters()?.into_iter();
                pairs.find_map(|(name, value)| (name == "fromImage").then_some(value))
            };
            let reference = call.only_parameter("fromimage").or_else(exact);
            ("fromImage", reference)
        }
        _ => ("fromImage", None),
    };
    let tag = call.only_parameter("tag").filter(|tag| !tag.is_empty());
    let name = match (reference, tag) {
        (Some(name), Some(tag)) => Some(super::reference::joined(&name, &tag)),
        (name, None) => name,
        (None, Some(_)) => None,
    };
    (parameter, name)
}

/// Returns whether calls of an endpoint change the object that they name.
fn changes(endpoint: &Endpoint) -> bool {
    use EndpointId::*;
    match endpoint.id {
        // They look, although their method is that of a change, or give an image one more name.
        ContainerWait | LibpodContainerWait | ImageTag | LibpodImageTag | ImagePush
        | LibpodImagePush => false,
        LibpodContainerHealthcheck => true,
        ContainerAttachWs => true,
        _ => !endpoint.method.is_safe(),
    }
}

/// Returns the call of a prune with these label filters beside those that it has: the engine
/// combines labels by AND (moby `daemon/prune.go`, Podman `pkg/domain/filters`).
fn narrowed(call: &Call, labels: &[String], kind: ObjectKind) -> Result<Call, &'static str> {
    const UNCLEAR: &str = "its filters cannot be read in one way alone";
    let mut pairs = call.parameters().ok_or(UNCLEAR)?;
    let mut own = pairs
        .iter_mut()
        .filter(|(name, _)| super::fold(name) == "filters");
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
    if kind == ObjectKind::Volume && map.iter().any(|(key, _)| super::fold(key) == "all") {
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
