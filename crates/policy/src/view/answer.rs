//! Filters an answer while it passes: leaves out objects that its client does not see.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

mod companion;
mod edit;

use companion::companions;
use edit::{containers_in, containers_of, containers_on};

use super::Viewer;
use super::exposure::{Exposure, exposure, shape_of_values};
use super::identifier::{hide_identifiers, is_identifier};
use super::listed::{listed, of_event};
use super::reference_filter::ReferenceFilter;
use super::splitter::{ELEMENT_LIMIT, Shape, Splitter, Stop};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::guard::Json;
use crate::object::{Detail, Object};
use crate::request::call::Call;

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
    /// The names by which the client filters a list of images, if it does not see all of them.
    references: Option<ReferenceFilter>,
}

/// The decision about one element.
enum ElementDecision {
    Keep,
    Drop,
    /// The decision depends on these objects.
    Ask(Vec<Lookup>),
}

/// The decision about one element, and the text that replaces it, if it changes.
type Decided = Result<(ElementDecision, Option<String>), Unfilterable>;

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
        let references = match exposure {
            Exposure::List(ObjectKind::Image) if viewer.bounds(ObjectKind::Image) => {
                ReferenceFilter::of_call(call)
            }
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
            references,
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

    /// Returns the view of the client that gets the answer.
    #[must_use]
    pub fn viewer(&self) -> &Arc<Viewer> {
        &self.viewer
    }

    /// Returns the next object that the engine has to describe before the filter can go on.
    #[must_use]
    pub fn lookup(&self) -> Option<&Lookup> {
        self.waiting.last()
    }

    /// Returns all objects that the engine has to describe before the filter can go on; the next
    /// one is the last.
    #[must_use]
    pub fn lookups(&self) -> &[Lookup] {
        &self.waiting
    }

    /// Takes whether the client sees the object of [`AnswerFilter::lookup`]; `None` stands for one
    /// that the engine does not have. Goes on once it was the last.
    ///
    /// # Errors
    /// The answer cannot be read.
    pub fn answer(
        &mut self,
        is_visible: Option<bool>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unfilterable> {
        let Some(lookup) = self.waiting.pop() else {
            return Ok(());
        };
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        // An object that is gone was visible if it was so before.
        if is_visible.is_some() || !self.known.contains_key(&lookup) {
            self.known.insert(lookup, is_visible.unwrap_or_default());
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
            _ if place.1 => Ok((ElementDecision::Drop, None)),
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
            (Ok((ElementDecision::Keep, replacement)), _) => {
                splitter.keep(replacement.as_deref().or(text), out);
            }
            (Ok((ElementDecision::Drop, _)), _) => splitter.forget(),
            (Ok((ElementDecision::Ask(_), _)), Some(text)) => splitter.hold_element(text),
            (Ok((ElementDecision::Ask(_), _)), None) | (Err(_), _) => {}
        }
        self.splitter = Some(splitter);
        if let (ElementDecision::Ask(lookups), _) = decided? {
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
        if !matches!(decision, ElementDecision::Keep) {
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
    ) -> Result<ElementDecision, Unfilterable> {
        // Other answers are about the object of the call alone, and may be redacted.
        if !self.is_scoped || self.exposure.shape().is_none() {
            return Ok(ElementDecision::Keep);
        }
        match self.exposure {
            Exposure::Container => return Ok(self.ask_for(self.companions_of(value), false)),
            Exposure::Image => return Ok(self.ask_for(containers_of(value), is_described)),
            Exposure::Networks => return Ok(self.ask_for(containers_on(value), is_described)),
            Exposure::Pod => return Ok(self.ask_for(containers_in(value), is_described)),
            Exposure::Events => return Ok(self.decide_event(value, is_described)),
            Exposure::Task => return Ok(ElementDecision::Keep),
            Exposure::ImageHistory if *is_listed => return Ok(ElementDecision::Keep),
            _ => {}
        }
        let kind = match (self.exposure, section.as_str(), *is_listed) {
            // A list that is empty may be `null`. Objects in the place of a list or a figure would
            // pass unseen.
            (_, _, false) if matches!(value, Json::Map(_) | Json::List(_)) => {
                return Err(Unfilterable::Malformed);
            }
            (Exposure::List(_) | Exposure::ImageHistory, _, false) if *value != Json::Null => {
                return Err(Unfilterable::Malformed);
            }
            (_, _, false) => return Ok(ElementDecision::Keep),
            (Exposure::List(kind), _, true) => kind,
            (_, "Volumes" | "VolumeUsage.Items", true) => ObjectKind::Volume,
            (_, "Containers" | "ContainerUsage.Items", true) => ObjectKind::Container,
            (_, "Images" | "ImageUsage.Items", true) => ObjectKind::Image,
            (Exposure::Volumes, "Warnings", true) => return Ok(ElementDecision::Keep),
            // The cache of builds has no owner; other lists are unknown.
            _ => return Ok(ElementDecision::Drop),
        };
        Ok(self.decide_listed(kind, value, is_described))
    }

    fn decide_listed(
        &mut self,
        kind: ObjectKind,
        value: &Json<'_>,
        is_described: bool,
    ) -> ElementDecision {
        let object = listed(kind, value);
        let is_visible = match &object.detail {
            Detail::Container(_) if self.viewer.needs_image_name(&object) => {
                let container = Lookup {
                    kind,
                    id: object.id.clone(),
                };
                match self.known.get(&container) {
                    Some(is_visible) => *is_visible,
                    None => return ElementDecision::Ask(vec![container]),
                }
            }
            Detail::Task { service } => {
                let service = Lookup {
                    kind: ObjectKind::Service,
                    id: service.clone(),
                };
                match self.known.get(&service) {
                    Some(is_visible) => *is_visible,
                    None => return ElementDecision::Ask(vec![service]),
                }
            }
            _ => self.viewer.shows(kind, &object),
        };
        if is_visible && kind == ObjectKind::Network {
            // Old versions of the API list the containers of each network.
            return self.ask_for(containers_on(value), is_described);
        }
        if is_visible && kind == ObjectKind::Pod {
            return self.ask_for(containers_in(value), is_described);
        }
        if is_visible && kind == ObjectKind::Image {
            return match self.finds(value) {
                true => self.ask_for(containers_of(value), is_described),
                false => ElementDecision::Drop,
            };
        }
        if is_visible && kind == ObjectKind::Container {
            // These are known once they have been described.
            let asked = self.ask_for(self.companions_of(value), false);
            if !matches!(asked, ElementDecision::Keep) {
                return asked;
            }
        }
        match (&mut self.remaining, is_visible) {
            (Some(0), true) | (_, false) => ElementDecision::Drop,
            (Some(remaining), true) => {
                *remaining -= 1;
                ElementDecision::Keep
            }
            (None, true) => ElementDecision::Keep,
        }
    }

    /// Returns the objects that a container was created with and that the client may not see.
    fn companions_of(&self, container: &Json<'_>) -> Vec<Lookup> {
        let mut found = companions(container);
        found.retain(|lookup| self.viewer.bounds(lookup.kind));
        found
    }

    /// Asks for those of the objects that are not known yet.
    fn ask_for(&self, lookups: Vec<Lookup>, is_described: bool) -> ElementDecision {
        let unknown: Vec<_> = lookups
            .into_iter()
            .filter(|lookup| !is_described && !self.known.contains_key(lookup))
            .collect();
        if unknown.is_empty() {
            ElementDecision::Keep
        } else {
            ElementDecision::Ask(unknown)
        }
    }

    fn decide_event(&mut self, event: &Json<'_>, is_described: bool) -> ElementDecision {
        let word = event.get("Type").map(Json::text).unwrap_or_default();
        let Some(kind) = ObjectKind::named(word) else {
            // Events of the engine itself, of builds and of prunes name no object.
            return ElementDecision::Drop;
        };
        let object = of_event(kind, event);
        if object.id.is_empty() || object.id.len() > LONGEST_ID {
            return ElementDecision::Drop;
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
                ElementDecision::Keep
            } else {
                ElementDecision::Drop
            };
        }
        if kind == ObjectKind::Image && !self.shows_image_event(&object) {
            return ElementDecision::Drop;
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
                return ElementDecision::Drop;
            }
            needed.push(Lookup {
                kind: ObjectKind::Container,
                id: container.to_owned(),
            });
        }
        if !is_described {
            return if needed.is_empty() {
                ElementDecision::Keep
            } else {
                ElementDecision::Ask(needed)
            };
        }
        let is_visible = |lookup: &Lookup| self.known.get(lookup) == Some(&true);
        if needed.iter().all(is_visible) {
            ElementDecision::Keep
        } else {
            ElementDecision::Drop
        }
    }

    /// Returns whether an event of an image has no hidden name of it. Its attributes are the labels
    /// of the image, and the name.
    fn shows_image_event(&self, event: &Object) -> bool {
        if !self.viewer.bounds(ObjectKind::Image) || self.viewer.owns_image(event) {
            return true;
        }
        let digits = |word: &str| word.strip_prefix("sha256:").unwrap_or(word).to_owned();
        let id = digits(&event.id);
        let has_name = id.len() != FULL_ID || !is_identifier(&id);
        let shows = |name: &str| self.viewer.shows_image_name(name, event);
        // A pull has the whole name in place of the identifier, and the name without its tag.
        let repeats_id = |name: &str| match has_name {
            true => (event.id.strip_prefix(name)).is_some_and(|tag| tag.starts_with([':', '@'])),
            false => is_identifier(&digits(name)) && id.starts_with(&digits(name)),
        };
        (!has_name || shows(&event.id))
            && [event.name.as_str(), event.label("image")]
                .into_iter()
                .all(|name| name.is_empty() || repeats_id(name) || shows(name))
    }
}

/// Returns the beginning of a piece that is UTF-8.
fn valid_beginning(piece: &[u8]) -> &str {
    std::str::from_utf8(piece)
        .or_else(|error| std::str::from_utf8(&piece[..error.valid_up_to()]))
        .unwrap_or_default()
}

/// The length of a full identifier.
const FULL_ID: usize = 64;
/// The longest identifier or name of an object that a filter remembers, in bytes.
const LONGEST_ID: usize = 256;
