//! A call under judgement: opened with its query and body, settled with the engine's descriptions
//! of its subjects, and closed as a call that may be sent.

mod cleared;
mod named;

pub use cleared::Cleared;

use super::creation;
use super::engine::Engine;
use super::json::Json;
use super::judge::Judge;
use super::reading::{at_mut, check_form};
use super::recreation::{Lost, Replacement};
use super::subject::{Role, Slot, Subject};
use super::visibility::Visibility;
use super::{EndpointReader, Guard, Objection, Surroundings, network};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::identity::target::Targets;
use crate::object::{Detail, Object};
use crate::request::call::{Call, Version};

/// The checks that a permitted call must pass before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Obligation {
    /// The reader that judges query and body; `None` if they are forwarded as they are.
    pub(crate) reader: Option<&'static EndpointReader>,
    pub(crate) guard: std::sync::Arc<Guard>,
    pub(crate) targets: std::sync::Arc<Targets>,
    /// The replacement of the container that the call loses, if its client will create it again.
    pub(crate) replacement: Option<Box<Replacement>>,
}

/// A question that only the engine can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question<'c> {
    /// The description of an object.
    Object {
        /// The kind of the object.
        kind: ObjectKind,
        /// The client's word for it.
        word: &'c str,
    },
    /// The settings of a container, for the judgement of its re-creation.
    /// [`Case::answer_inspection`] takes the answer.
    Inspection {
        /// The client's word for it.
        word: &'c str,
        /// `true` if the answer depends on the engine's defaults.
        wants_defaults: bool,
    },
    /// The kind and version of the engine.
    Engine,
}

/// The object that the call names does not exist, or not for the client. The client gets the
/// engine's own answer for a missing object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The kind of the object that the call names.
    pub kind: ObjectKind,
    /// The client's word for it.
    pub word: String,
}

/// A call under judgement.
#[derive(Debug)]
pub struct Case<'a> {
    pub(super) judge: Judge<'a>,
    pub(super) call: Call,
    pub(super) content: Content<'a>,
    /// The first subject that has no answer yet.
    pub(super) next: usize,
    pub(super) replacement: Option<&'a Replacement>,
    /// The container whose re-creation is judged.
    pub(super) lost: Option<Lost>,
    /// The object that the path names, in the client's word.
    named: Option<(ObjectKind, String)>,
    /// The volumes that a container mounts and that do not exist, if its client owns its objects.
    new_volumes: Vec<String>,
}

/// The body that goes to the engine.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// The client's own body.
    Own,
    /// No body.
    Nothing,
    /// A body written from this value.
    Json(Json<'a>),
}

impl Obligation {
    /// Opens the case of a call: judges its query and its body, and lists the objects that the
    /// decision needs to know.
    ///
    /// # Errors
    /// The guard's objection to query or body.
    pub(crate) fn open<'a>(
        &'a self,
        call: &Call,
        content_type: Option<&str>,
        body: &'a [u8],
        surroundings: Surroundings<'a>,
    ) -> Result<Case<'a>, Objection> {
        let mut judge = Judge::new(&self.guard, &self.targets, surroundings);
        // Podman counts the versions of its own API differently, and never makes binds read-only
        // all the way down.
        judge.is_libpod = call
            .endpoint()
            .is_some_and(crate::endpoint::Endpoint::is_libpod);
        judge.version = if judge.is_libpod {
            Version::parse("1.0")
        } else {
            call.version()
        };
        judge.builds = call
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == EndpointId::BuildStart);
        judge.is_service = call.endpoint().is_some_and(|endpoint| {
            matches!(
                endpoint.id,
                EndpointId::ServiceCreate | EndpointId::ServiceUpdate
            )
        });
        let (call, content) = match self.reader {
            Some(reader) => reader.read(&mut judge, call, content_type, body)?,
            None => {
                check_form(content_type)?;
                (call.clone(), Content::Own)
            }
        };
        let call = judge.judge_exposure(judge.ask_for_image_alone(call));
        // Go prefers the fields of a form to the query that was narrowed.
        let content = if judge.narrows(&call) {
            Content::Nothing
        } else {
            content
        };
        let replacement = self.replacement.as_deref();
        judge.add_target(&call, replacement.is_some());
        let captured = call.captured();
        let named = captured.map(|captured| (captured.kind, captured.word.to_owned()));
        let mut case = Case {
            judge,
            call,
            content,
            next: 0,
            replacement,
            lost: None,
            named,
            new_volumes: Vec::new(),
        };
        match case.judge.objection() {
            None => Ok(case),
            Some(objection) => Err(objection),
        }
    }
}

/// A guard and targets that restrict nothing.
static OPEN: (Guard, std::sync::LazyLock<Targets>) = (
    Guard {
        level: super::GuardLevel::Privileged,
        allow: Vec::new(),
        creation: None,
    },
    std::sync::LazyLock::new(Targets::default),
);

impl Case<'_> {
    /// Returns a case without anything to judge.
    pub(crate) fn nothing_to_judge(call: Call) -> Self {
        let judge = Judge::new(&OPEN.0, &OPEN.1, Surroundings::default());
        Self {
            judge,
            call,
            content: Content::Own,
            next: 0,
            replacement: None,
            lost: None,
            named: None,
            new_volumes: Vec::new(),
        }
    }

    /// Returns the next question for the engine; `None` if all are answered.
    #[must_use]
    pub fn question(&self) -> Option<Question<'_>> {
        // The engine decides which image a name means, and the image is looked up by that name.
        if !self.judge.short_images.is_empty() {
            return Some(Question::Engine);
        }
        match self.judge.subjects.get(self.next) {
            Some(Subject {
                role: Role::Replaced,
                word,
                ..
            }) => Some(self.inspection(word)),
            Some(subject) => Some(Question::Object {
                kind: subject.kind,
                word: &subject.word,
            }),
            None if self.asks_engine() => Some(Question::Engine),
            None => None,
        }
    }

    /// Returns the names that the call gives to objects of an owner, with their kinds. No other
    /// client may give them while the call is judged and under way.
    #[must_use]
    pub fn given_names(&self) -> &[(ObjectKind, String)] {
        &self.judge.given_names
    }

    /// Returns all questions that are known so far, in words.
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        let subjects = self.judge.subjects.iter();
        let mut questions: Vec<_> = subjects
            .map(|one| {
                format!(
                    "the {} {}",
                    one.kind.name(),
                    super::judge::shortened(&one.word)
                )
            })
            .collect();
        if self.replacement.is_some() {
            questions.push("its settings, with which it would be created again".to_owned());
        }
        if self.asks_engine() {
            questions.push("its version".to_owned());
        }
        questions
    }

    /// Takes the answer to a question about an object; `None` stands for an object that the engine
    /// does not have.
    ///
    /// # Errors
    /// The call is about an object that is missing, or that the client does not see.
    pub fn answer(&mut self, object: Option<&Object>) -> Result<(), Missing> {
        let Some(subject) = self.judge.subjects.get(self.next).cloned() else {
            return Ok(());
        };
        self.next += 1;
        let is_hidden = object
            .is_some_and(|object| self.judge.visibility_of(&subject, object) == Visibility::Hidden);
        let is_essential = matches!(
            subject.role,
            Role::Target(_) | Role::Replaced | Role::Started | Role::Manager
        ) || (subject.role == Role::Run
            && (is_hidden || self.lacks_image(&subject.word)));
        if is_essential && (is_hidden || object.is_none()) {
            return Err(self.missing(&subject));
        }
        if is_hidden {
            self.judge.judge_hidden(&subject);
            return Ok(());
        }
        let is_mounted = matches!(subject.role, Role::Mounted | Role::MountedToWrite);
        if is_mounted && object.is_none() && self.mounts_volumes() {
            self.new_volumes.push(subject.word.clone());
        }
        self.judge.judge_subject(&subject, object);
        if let Some(object) = object {
            self.replace(&subject, &object.id);
            // A command has the rights of its container, and a task those of its service.
            let leads_to = match &object.detail {
                Detail::Exec { container, .. } => Some((ObjectKind::Container, container)),
                Detail::Task { service } => Some((ObjectKind::Service, service)),
                _ => None,
            };
            if let (Role::Target(how), Some((kind, word))) = (subject.role, leads_to) {
                self.judge.add_subject(Subject {
                    kind,
                    word: word.clone(),
                    role: Role::Target(how),
                    place: Vec::new(),
                    slot: Slot::Nowhere,
                });
            }
        }
        Ok(())
    }

    /// Returns whether a missing image is answered as a hidden one is: the engine's own answer to
    /// a create would differ. For a service, nodes pull the image.
    fn lacks_image(&self, name: &str) -> bool {
        let is_service = self.call.endpoint().is_some_and(|endpoint| {
            matches!(
                endpoint.id,
                EndpointId::ServiceCreate | EndpointId::ServiceUpdate
            )
        });
        self.replacement.is_none() && !(is_service && self.judge.shows_image_name(name))
    }

    /// Returns whether the call creates a container for a client that owns its objects.
    fn mounts_volumes(&self) -> bool {
        let creates = self.call.endpoint().is_some_and(|endpoint| {
            matches!(
                endpoint.id,
                EndpointId::ContainerCreate | EndpointId::LibpodContainerCreate
            )
        });
        creates && self.judge.owns()
    }

    /// Returns the object that the client has named, which is missing for it. An object that the
    /// engine has led to is part of that of the path.
    pub(super) fn missing(&self, subject: &Subject) -> Missing {
        let (kind, word) = self
            .named
            .clone()
            .filter(|_| matches!(subject.slot, Slot::Nowhere) && subject.role != Role::Run)
            .unwrap_or_else(|| (subject.kind, subject.word.clone()));
        Missing { kind, word }
    }

    /// Returns whether the decision depends on the kind and version of the engine.
    fn asks_engine(&self) -> bool {
        !self.judge.read_only.is_empty()
            || !self.judge.copied.is_empty()
            || self.judge.forced_removal.is_some()
            || self.judge.builds
            || self.judge.narrowed_prune.is_some()
            || self.judge.labels_secret
            || !self.judge.uncounted.is_empty()
            || !self.judge.short_images.is_empty()
    }

    /// Takes the kind and version of the engine.
    pub fn answer_engine(&mut self, engine: &Engine) {
        self.complete_images(engine);
        if std::mem::take(&mut self.judge.builds) && engine.is_podman {
            self.judge.builds_on_podman();
        }
        for place in std::mem::take(&mut self.judge.copied) {
            self.judge.copies_no_environment(&place, engine);
        }
        if let Some((place, kind)) = self.judge.forced_removal.take()
            && engine.is_podman
        {
            self.judge
                .back_at(&place, |judge| judge.takes_containers_along(kind));
        }
        if let Some(kind) = self.judge.narrowed_prune.take()
            && engine.is_podman
        {
            self.judge.refuse(
                format!(
                    "Podman cannot prune those {kind}s alone that this client owns; remove them \
                    one by one"
                ),
                None,
            );
        }
        if std::mem::take(&mut self.judge.labels_secret) && !engine.labels_secrets() {
            let what = "Podman before version 5 keeps no labels of secrets, so that this client \
                would not own the secret";
            self.judge.refuse(what.to_owned(), None);
        }
        for (place, key) in std::mem::take(&mut self.judge.uncounted) {
            if engine.is_podman {
                self.judge
                    .back_at(&place, |judge| creation::uncounted_limit(judge, key));
            }
        }
        for (place, path) in std::mem::take(&mut self.judge.read_only) {
            self.judge.reads_only_below(&place, &path, engine);
        }
    }

    /// Closes the case once every question is answered.
    ///
    /// # Errors
    /// The guard's objection.
    pub fn close(mut self) -> Result<Cleared, Objection> {
        if self.question().is_some() {
            self.judge
                .refuse("what this call is about is not known".to_owned(), None);
        }
        if let Some(objection) = self.judge.objection() {
            return Err(match self.lost {
                Some(lost) => lost.kept_by(objection),
                None => objection,
            });
        }
        let creation = self.judge.guard.creation.as_deref();
        let json = match &self.content {
            Content::Json(json) => Some(json),
            Content::Own | Content::Nothing => None,
        };
        let claim = creation
            .filter(|_| self.judge.owns())
            .and_then(|creation| creation::claim(creation, &self.call, json));
        let body = match self.content {
            Content::Own => None,
            Content::Nothing => Some(String::new()),
            Content::Json(json) => Some(json.to_string()),
        };
        Ok(Cleared {
            call: Some(self.call),
            body,
            new_volumes: self.new_volumes,
            claim: claim.map(Box::new),
            rewritten: self.judge.rewritten,
        })
    }

    /// Writes the engine's identifier in place of the client's word, so that the engine acts on the
    /// object that was judged.
    pub(super) fn replace(&mut self, subject: &Subject, id: &str) {
        if id.is_empty() {
            let what = format!(
                "the engine does not tell the identifier of this {}",
                subject.kind.name()
            );
            return self
                .judge
                .back_at(&subject.place, |judge| judge.refuse(what, None));
        }
        match &subject.slot {
            // A link is removed by its own name, and only its container has an identifier.
            Slot::Path if self.call.removes_a_link() => {}
            Slot::Path => self.call = self.call.with_captured(id),
            Slot::Parameter { name, before } => {
                self.call = self.call.with_parameter(name, &format!("{before}{id}"))
            }
            Slot::Body { before, after } => {
                if let (Content::Json(json), place) = (&mut self.content, subject.place.as_slice())
                    && let Some(text) = at_mut(json, place)
                {
                    *text = Json::Text(format!("{before}{id}{after}").into());
                }
            }
            Slot::Joined => {
                if let Content::Json(body) = &mut self.content {
                    network::pin(&self.call, body, &subject.word, id);
                }
            }
            Slot::Nowhere => {}
        }
    }
}
