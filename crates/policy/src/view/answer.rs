//! Filters an answer while it passes: leaves out objects that its client does not see.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Viewer;
use super::exposure::{Exposure, exposure, shape_of_values};
use super::identifier::{IDENTIFIER, hide_identifiers};
use super::listed::{listed, of_event};
use super::splitter::{ELEMENT_LIMIT, Shape, Splitter, Stop};
use crate::call::Call;
use crate::endpoint::{EndpointId, ObjectKind};
use crate::guard::Json;
use crate::object::{Detail, Object};

/// The most objects whose visibility one answer remembers. A stream that has seen more forgets them
/// all, and asks again.
const KNOWN: usize = 4096;

/// The reason why an answer cannot be filtered. Nothing more of it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfilterable {
    /// The answer is not JSON, or does not have the shape of the endpoint's answers.
    Malformed,
    /// The answer ends too early.
    Cut,
    /// One element of it is too large to be judged.
    TooLarge,
    /// The engine did not describe an object in it.
    Undescribed,
    /// Too many answers with large objects are under way.
    Busy,
}

impl fmt::Display for Unfilterable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not the JSON that this endpoint answers with",
            Self::Cut => "it ends too early",
            Self::TooLarge => "one object in it is larger than 2 MiB",
            Self::Busy => "too many answers with large objects are under way; try again",
            Self::Undescribed => "the engine did not describe an object in it",
        })
    }
}

impl std::error::Error for Unfilterable {}

/// An object that the engine has to describe before the filter can go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The kind of the object.
    pub kind: ObjectKind,
    /// Its identifier, or its name.
    pub id: String,
}

/// Filters one answer.
#[derive(Debug)]
pub struct AnswerFilter {
    endpoint: EndpointId,
    exposure: Exposure,
    /// `true` if the client does not see all objects.
    is_scoped: bool,
    viewer: Arc<Viewer>,
    /// `None` if an answer of success is passed on as it comes.
    splitter: Option<Splitter>,
    /// The path of the call: an error may repeat its words.
    path: String,
    /// Objects that the engine has described, and whether the client sees them.
    known: HashMap<Lookup, bool>,
    /// The objects that the current element waits for.
    waiting: Vec<Lookup>,
    /// The input behind the current element.
    rest: Vec<u8>,
    /// The number of elements that may still be listed: the client's `limit`.
    remaining: Option<usize>,
}

/// The decision about one element.
enum Decision {
    Keep,
    Drop,
    /// The decision depends on these objects.
    Ask(Vec<Lookup>),
}

/// The decision about one element, and the text that replaces it, if it changes.
type Decided = Result<(Decision, Option<String>), Unfilterable>;

impl AnswerFilter {
    /// Returns the filter for the answer to a call; `None` if it is passed on as it comes.
    pub(crate) fn for_call(call: &Call, viewer: &Arc<Viewer>) -> Option<Self> {
        let endpoint = call.endpoint()?.id;
        let exposure = exposure(endpoint);
        let is_scoped = viewer.is_scoped() && exposure != Exposure::Nothing;
        let is_redacted = viewer.view.redaction.concerns(endpoint);
        let shape = match (is_scoped, is_redacted) {
            (false, false) => return None,
            (true, false) => exposure.shape(),
            (_, true) => Some(shape_of_values(endpoint)),
        };
        let limit = call.only_parameter("limit");
        let remaining = match exposure {
            Exposure::List(ObjectKind::Container) if is_scoped => limit
                .and_then(|limit| limit.parse().ok())
                .filter(|limit| *limit > 0),
            _ => None,
        };
        Some(Self {
            endpoint,
            exposure,
            is_scoped,
            viewer: Arc::clone(viewer),
            splitter: shape.map(Splitter::new),
            path: call.path().to_owned(),
            known: HashMap::new(),
            waiting: Vec::new(),
            rest: Vec::new(),
            remaining,
        })
    }

    /// Returns whether answers of success are judged; errors always are.
    #[must_use]
    pub fn judges_elements(&self) -> bool {
        self.splitter.is_some()
    }

    /// Returns whether the client waits for each element of the answer, so that none is held back.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        shape_of_values(self.endpoint) == Shape::Lines
    }

    /// Returns an error of the engine without the identifiers of objects that the call does not
    /// name: a conflict tells which container has a name, and which ones use a volume.
    #[must_use]
    pub fn edit_error(&self, text: &[u8]) -> Vec<u8> {
        if self.is_scoped {
            hide_identifiers(text, &self.path)
        } else {
            text.to_vec()
        }
    }

    /// Returns the memory that it holds, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        let held = self.splitter.as_ref().map_or(0, Splitter::held);
        held + self.rest.capacity()
    }

    /// Takes a piece of an answer of success, and writes the part of it that the client gets to
    /// `out`. Then [`AnswerFilter::lookup`] may have questions, which come before the next piece.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        let text = valid_beginning(piece);
        let mut at = 0;
        while at < piece.len() {
            let splitter = self.splitter.as_mut().ok_or(Unfilterable::Malformed)?;
            let (taken, stop) = splitter.take(&piece[at..], out)?;
            at += taken;
            match stop {
                Stop::AllTaken => {}
                // The splitter looks for the end of an element only if it cannot be read at once.
                Stop::ElementBegins => match text.get(at..).and_then(Json::read_first) {
                    Some((value, length)) if length <= ELEMENT_LIMIT => {
                        self.decide_value(value, &text[at..at + length], out)?;
                        at += length;
                    }
                    _ => {}
                },
                Stop::ElementEnds => self.decide_element(out, false)?,
            }
            if !self.waiting.is_empty() {
                self.rest = piece[at..].to_vec();
                return Ok(());
            }
        }
        Ok(())
    }

    /// Returns the next object that the engine has to describe before the filter can go on.
    #[must_use]
    pub fn lookup(&self) -> Option<&Lookup> {
        self.waiting.last()
    }

    /// Takes the engine's description of the object of [`AnswerFilter::lookup`]; `None` stands for
    /// one that it does not have. Goes on once it was the last.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn answer(
        &mut self,
        object: Option<&Object>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let Some(lookup) = self.waiting.pop() else {
            return Ok(());
        };
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let is_visible = object.is_some_and(|object| self.viewer.shows(lookup.kind, object));
        // An object that is gone was visible if it was so before.
        if object.is_some() || !self.known.contains_key(&lookup) {
            self.known.insert(lookup, is_visible);
        }
        if !self.waiting.is_empty() {
            return Ok(());
        }
        self.decide_element(out, true)?;
        let rest = std::mem::take(&mut self.rest);
        self.take(&rest, out)
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// The answer is cut.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unfilterable> {
        let splitter = self.splitter.as_mut().ok_or(Unfilterable::Malformed)?;
        if splitter.finish()? {
            self.decide_element(out, false)?;
        }
        Ok(())
    }

    /// Writes the current element, leaves it out, or notes the objects that it waits for. These
    /// have been described if `is_described`.
    fn decide_element(
        &mut self,
        out: &mut Vec<u8>,
        is_described: bool,
    ) -> Result<(), Unfilterable> {
        // Taken out for as long as it is judged.
        let splitter = self.splitter.take().ok_or(Unfilterable::Malformed)?;
        let place = (splitter.section(), splitter.is_listed());
        let text = splitter.element().unwrap_or_default();
        let decided = match splitter.element().map(Json::read) {
            Some(Ok(value)) => self.decide_text(&place, value, text.len(), is_described),
            // One object that cannot be read must not take all others from the client.
            _ if place.1 => Ok((Decision::Drop, None)),
            _ => Err(Unfilterable::Malformed),
        };
        self.settle(splitter, decided, None, out)
    }

    /// Does the same with an element that was read where it begins, from this text.
    fn decide_value(
        &mut self,
        value: Json<'_>,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let mut splitter = self.splitter.take().ok_or(Unfilterable::Malformed)?;
        splitter.end_element();
        let place = (splitter.section(), splitter.is_listed());
        let decided = self.decide_text(&place, value, text.len(), false);
        self.settle(splitter, decided, Some(text), out)
    }

    /// Carries out a decision about the current element. Its text is given if the splitter does not
    /// have it.
    fn settle(
        &mut self,
        mut splitter: Splitter,
        decided: Decided,
        text: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        match (&decided, text) {
            (Ok((Decision::Keep, replacement)), _) => {
                splitter.keep(replacement.as_deref().or(text), out);
            }
            (Ok((Decision::Drop, _)), _) => splitter.forget(),
            (Ok((Decision::Ask(_), _)), Some(text)) => splitter.hold_element(text),
            (Ok((Decision::Ask(_), _)), None) | (Err(_), _) => {}
        }
        self.splitter = Some(splitter);
        if let (Decision::Ask(lookups), _) = decided? {
            self.waiting = lookups;
        }
        Ok(())
    }

    /// Decides about an element of such a length. Returns the text that replaces it, if it changes.
    fn decide_text(
        &mut self,
        place: &(String, bool),
        mut value: Json<'_>,
        length: usize,
        is_described: bool,
    ) -> Decided {
        let decision = self.decide(place, &value, is_described)?;
        if !matches!(decision, Decision::Keep) {
            return Ok((decision, None));
        }
        let redaction = &self.viewer.view.redaction;
        let is_redacted = redaction.concerns(self.endpoint);
        let is_changed = self.edit(&place.0, &mut value) || is_redacted;
        if is_redacted {
            redaction.apply(self.endpoint, &place.0, &mut value);
        }
        Ok((decision, is_changed.then(|| value.to_text(length))))
    }

    fn decide(
        &mut self,
        (section, is_listed): &(String, bool),
        value: &Json<'_>,
        is_described: bool,
    ) -> Result<Decision, Unfilterable> {
        if !self.is_scoped {
            return Ok(Decision::Keep);
        }
        if self.exposure == Exposure::Image {
            return Ok(Decision::Keep);
        }
        if self.exposure == Exposure::Networks {
            return Ok(self.ask_for(containers_on(value), is_described));
        }
        if self.exposure == Exposure::Events {
            return Ok(self.decide_event(value, is_described));
        }
        let kind = match (self.exposure, section.as_str(), *is_listed) {
            // A list that is empty may be `null`. Objects in the place of a list or a figure would
            // pass unseen.
            (_, _, false) if matches!(value, Json::Map(_) | Json::List(_)) => {
                return Err(Unfilterable::Malformed);
            }
            (Exposure::List(_), _, false) if *value != Json::Null => {
                return Err(Unfilterable::Malformed);
            }
            (_, _, false) => return Ok(Decision::Keep),
            (Exposure::List(kind), _, true) => kind,
            (_, "Volumes" | "VolumeUsage.Items", true) => ObjectKind::Volume,
            (_, "Containers" | "ContainerUsage.Items", true) => ObjectKind::Container,
            (_, "Images" | "ImageUsage.Items", true) => ObjectKind::Image,
            (Exposure::Volumes, "Warnings", true) => return Ok(Decision::Keep),
            // The cache of builds has no owner; other lists are unknown.
            _ => return Ok(Decision::Drop),
        };
        Ok(self.decide_listed(kind, value, is_described))
    }

    /// Returns whether an element of a list has an identifier in place of the name of its image,
    /// and the name decides: the name has gone to another image.
    fn needs_image_name(&self, image: &str) -> bool {
        let digits = image.strip_prefix("sha256:").unwrap_or(image);
        let is_identifier =
            digits.len() >= IDENTIFIER && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_identifier && self.viewer.view.scope.tests_images()
    }

    fn decide_listed(
        &mut self,
        kind: ObjectKind,
        value: &Json<'_>,
        is_described: bool,
    ) -> Decision {
        let object = listed(kind, value);
        let is_visible = match &object.detail {
            Detail::Container(traits) if self.needs_image_name(&traits.image) => {
                let container = Lookup {
                    kind,
                    id: object.id.clone(),
                };
                match self.known.get(&container) {
                    Some(is_visible) => *is_visible,
                    None => return Decision::Ask(vec![container]),
                }
            }
            Detail::Task { service } => {
                let service = Lookup {
                    kind: ObjectKind::Service,
                    id: service.clone(),
                };
                match self.known.get(&service) {
                    Some(is_visible) => *is_visible,
                    None => return Decision::Ask(vec![service]),
                }
            }
            _ => self.viewer.shows(kind, &object),
        };
        if is_visible && kind == ObjectKind::Network {
            // Old versions of the API list the containers of each network.
            return self.ask_for(containers_on(value), is_described);
        }
        match (&mut self.remaining, is_visible) {
            (Some(0), true) | (_, false) => Decision::Drop,
            (Some(remaining), true) => {
                *remaining -= 1;
                Decision::Keep
            }
            (None, true) => Decision::Keep,
        }
    }

    /// Asks for those of the objects that are not known yet.
    fn ask_for(&self, lookups: Vec<Lookup>, is_described: bool) -> Decision {
        let unknown: Vec<_> = lookups
            .into_iter()
            .filter(|lookup| !is_described && !self.known.contains_key(lookup))
            .collect();
        if unknown.is_empty() {
            Decision::Keep
        } else {
            Decision::Ask(unknown)
        }
    }

    fn decide_event(&mut self, event: &Json<'_>, is_described: bool) -> Decision {
        let word = event.get("Type").map(Json::text).unwrap_or_default();
        let Some(kind) = ObjectKind::named(word) else {
            // Events of the engine itself, of builds and of prunes name no object.
            return Decision::Drop;
        };
        let object = of_event(kind, event);
        if object.id.is_empty() || object.id.len() > LONGEST_ID {
            return Decision::Drop;
        }
        let own = Lookup {
            kind,
            id: object.id.clone(),
        };
        if kind == ObjectKind::Container {
            let is_visible = self.viewer.shows(kind, &object);
            if is_visible && self.known.len() < KNOWN {
                // Events of its networks may come when it is gone.
                self.known.insert(own, true);
            }
            return if is_visible {
                Decision::Keep
            } else {
                Decision::Drop
            };
        }
        // Events of other objects do not tell their labels, and name a container by its identifier.
        let mut needed = Vec::new();
        if self.viewer.bounds(kind) {
            needed.push(own);
        }
        // Attributes of other events may be labels.
        let names_container = matches!(kind, ObjectKind::Network | ObjectKind::Volume);
        let container = object.label("container");
        if names_container && !container.is_empty() {
            if container.len() != FULL_ID || !container.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                return Decision::Drop;
            }
            needed.push(Lookup {
                kind: ObjectKind::Container,
                id: container.to_owned(),
            });
        }
        if !is_described {
            return if needed.is_empty() {
                Decision::Keep
            } else {
                Decision::Ask(needed)
            };
        }
        let is_visible = |lookup: &Lookup| self.known.get(lookup) == Some(&true);
        if needed.iter().all(is_visible) {
            Decision::Keep
        } else {
            Decision::Drop
        }
    }

    /// Removes the hidden objects from an element. Returns whether the element changed.
    fn edit(&self, section: &str, value: &mut Json<'_>) -> bool {
        let Json::Map(map) = value else { return false };
        if !self.is_scoped {
            return false;
        }
        match (self.exposure, section) {
            (Exposure::Networks | Exposure::List(ObjectKind::Network), _) => self.edit_network(map),
            (Exposure::List(ObjectKind::Container), _)
            | (_, "Containers" | "ContainerUsage.Items") => edit_names(map),
            (Exposure::Image | Exposure::List(ObjectKind::Image), _)
            | (_, "Images" | "ImageUsage.Items") => self.edit_image(map),
            _ => false,
        }
    }

    /// Leaves hidden containers out of a network, and its services and nodes.
    fn edit_network(&self, network: &mut Vec<(Cow<'_, str>, Json<'_>)>) -> bool {
        let before = network.len();
        network.retain(|(key, _)| !matches!(key.as_ref(), "Services" | "Peers"));
        let mut has_changed = network.len() < before;
        for (key, containers) in network {
            if let (CONTAINERS | LIBPOD_CONTAINERS, Json::Map(map)) = (key.as_ref(), containers) {
                let before = map.len();
                map.retain(|(id, _)| {
                    let container = Lookup {
                        kind: ObjectKind::Container,
                        id: id.to_string(),
                    };
                    self.known.get(&container) == Some(&true)
                });
                has_changed |= map.len() < before;
            }
        }
        has_changed
    }

    /// Leaves the names of an image out that its client does not see.
    fn edit_image(&self, image: &mut Vec<(Cow<'_, str>, Json<'_>)>) -> bool {
        if !self.viewer.bounds(ObjectKind::Image) {
            return false;
        }
        let object = listed(ObjectKind::Image, &Json::Map(image.clone()));
        if self.viewer.owns(&object) {
            return false;
        }
        let mut has_changed = false;
        for (key, names) in image {
            if let ("RepoTags" | "RepoDigests" | "Names" | "History", Json::List(names)) =
                (key.as_ref(), names)
            {
                let before = names.len();
                names.retain(|name| self.viewer.shows_image_name(name.text(), &object));
                has_changed |= names.len() < before;
            }
        }
        has_changed
    }
}

/// Returns the beginning of a piece that is UTF-8.
fn valid_beginning(piece: &[u8]) -> &str {
    std::str::from_utf8(piece)
        .or_else(|error| std::str::from_utf8(&piece[..error.valid_up_to()]))
        .unwrap_or_default()
}

/// Leaves the names out that a container has by links: they begin with the names of others.
fn edit_names(container: &mut [(Cow<'_, str>, Json<'_>)]) -> bool {
    let names = container.iter_mut().find(|(key, _)| key == "Names");
    let Some((_, Json::List(names))) = names else {
        return false;
    };
    let before = names.len();
    names.retain(|name| !name.text().trim_start_matches('/').contains('/'));
    names.len() < before
}

/// The length of a full identifier.
const FULL_ID: usize = 64;
/// The longest identifier or name of an object that a filter remembers, in bytes.
const LONGEST_ID: usize = 256;

const CONTAINERS: &str = "Containers";
const LIBPOD_CONTAINERS: &str = "containers";

/// Returns the containers on a network.
fn containers_on(network: &Json<'_>) -> Vec<Lookup> {
    let containers = network
        .get(CONTAINERS)
        .or_else(|| network.get(LIBPOD_CONTAINERS));
    let containers = containers.map(Json::map).unwrap_or_default();
    containers
        .iter()
        .map(|(id, _)| Lookup {
            kind: ObjectKind::Container,
            id: id.to_string(),
        })
        .collect()
}
