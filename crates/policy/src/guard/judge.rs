//! The judgement of one call: the findings so far, the current place, and the objects that the
//! engine has yet to describe.

use super::allow::{Exception, KINDS};
use super::objection::{Finding, Objection};
use super::subject::{Role, Slot, Subject};
use super::surroundings::Newcomer;
use super::{Guard, GuardLevel, Surroundings};
use crate::advice::buildkit::{self, BUILD_RULES};
use crate::endpoint::ObjectKind;
use crate::identity::target::Targets;
use crate::request::call::Version;
use crate::text::list::list_value;

/// The most findings of a judgement, which then ends: more would help no reader.
const FINDINGS: usize = 64;
/// The most comparisons of a part of the call with a field or an exception. Reading a body bounds
/// its parts; this bounds their product with the exceptions, to some tens of milliseconds.
const STEPS: usize = 8 << 20;
/// The most objects that a call may have looked up.
const SUBJECTS: usize = 64;

/// The exception that would allow a finding. [`Judge::hint`] alone makes one, since it must fit the
/// value that was found and no other.
pub(super) struct Hint(String);

/// A step from a value into it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'s> {
    /// `.name`.
    Field(&'static str),
    /// `.name`, as the client has written it.
    Unknown(&'s str),
    /// `["key"]`.
    Key(&'s str),
    /// `[0]`.
    Index(usize),
    /// `?name`, a parameter of the query.
    Parameter(&'s str),
}

/// A [`Step`] that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TakenStep {
    Field(&'static str),
    Unknown(String),
    Key(String),
    Index(usize),
    Parameter(String),
}

impl From<Step<'_>> for TakenStep {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::Field(name) => Self::Field(name),
            Step::Unknown(name) => Self::Unknown(name.to_owned()),
            Step::Key(key) => Self::Key(key.to_owned()),
            Step::Index(index) => Self::Index(index),
            Step::Parameter(name) => Self::Parameter(name.to_owned()),
        }
    }
}

/// Writes a place as findings show it: `HostConfig.Binds[0]`.
pub(super) fn place_text(place: &[TakenStep]) -> String {
    let mut text = String::new();
    for step in place {
        match step {
            TakenStep::Field(name) if text.is_empty() => text.push_str(name),
            TakenStep::Field(name) => text.extend([".", name]),
            TakenStep::Unknown(name) if text.is_empty() => text.push_str(shortened(name)),
            TakenStep::Unknown(name) => text.extend([".", shortened(name)]),
            TakenStep::Key(key) => text.push_str(&format!("[{:?}]", shortened(key))),
            TakenStep::Index(index) => text.push_str(&format!("[{index}]")),
            TakenStep::Parameter(name) => text.extend(["?", shortened(name)]),
        }
    }
    text
}

/// The judgement of one call.
pub(crate) struct Judge<'g> {
    pub(super) guard: &'g Guard,
    pub(super) targets: &'g Targets,
    pub(super) surroundings: Surroundings<'g>,
    /// The version of the API that the call asks for.
    pub(super) version: Option<Version>,
    /// `true` if the call is one of Podman's own API.
    pub(super) is_libpod: bool,
    pub(super) findings: Vec<Finding>,
    /// The images of the body that the profile calls by other names, each with the new name.
    pub(super) rewritten: Vec<(String, String)>,
    /// The comparisons so far: see [`STEPS`].
    pub(super) steps: usize,
    /// The paths of the host that were resolved so far.
    pub(super) resolved: usize,
    /// The current place: `HostConfig.Binds[0]`.
    place: Vec<TakenStep>,
    /// Objects that the engine has to describe.
    pub(super) subjects: Vec<Subject>,
    /// The reason to look up the object of the path, if a place of the body sets it.
    pub(super) path_role: Option<(Role, Vec<TakenStep>)>,
    /// The container that the call would create, as a client of the proxy, until the labels of its
    /// image are known.
    pub(super) newcomer: Option<Newcomer>,
    /// The name that a container gets.
    pub(super) name: Option<String>,
    /// Binds that are allowed for reading only, by place and path: the engine must keep all below
    /// them from being written.
    pub(super) read_only: Vec<(Vec<TakenStep>, String)>,
    /// Variables without a value, by place: Podman takes them from its own environment.
    pub(super) copied: Vec<Vec<TakenStep>>,
    /// Names of images without a registry, by place, which Podman gets with the registry that was
    /// judged.
    pub(super) short_images: Vec<(Vec<TakenStep>, String)>,
    /// A removal that takes containers along if the engine is Podman: the place of its force, and
    /// the kind of the object.
    pub(super) forced_removal: Option<(Vec<TakenStep>, &'static str)>,
    /// New limits of a container, by place, which Podman would not report to the quota of this key.
    pub(super) uncounted: Vec<(Vec<TakenStep>, &'static str)>,
    /// The names that the call gives to objects, with their kinds.
    pub(super) given_names: Vec<(ObjectKind, String)>,
    /// `true` if the call creates or updates a service.
    pub(super) is_service: bool,
    /// `true` if the call runs the steps of a Dockerfile.
    pub(super) builds: bool,
    /// `true` for a builder that buildx creates if it cannot reach the engine's own.
    pub(super) is_builder: bool,
    /// `true` if missing objects are allowed, because a client that creates a container again names
    /// others.
    pub(super) omits_missing: bool,
    /// The user of a container that will be created again, until its image's own is known.
    pub(super) image_user: Option<String>,
    /// `true` if the call changes the object that it names.
    pub(super) changes_target: bool,
    /// The kind of objects of a prune that is narrowed by labels, which Podman may read in another
    /// way.
    pub(super) narrowed_prune: Option<&'static str>,
    /// `true` if the call creates a secret whose owner stands in its labels.
    pub(super) labels_secret: bool,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("findings", &self.findings)
            .field("subjects", &self.subjects)
            .finish()
    }
}

impl<'g> Judge<'g> {
    pub(super) fn new(
        guard: &'g Guard,
        targets: &'g Targets,
        surroundings: Surroundings<'g>,
    ) -> Self {
        Self {
            guard,
            targets,
            surroundings,
            version: None,
            is_libpod: false,
            findings: Vec::new(),
            rewritten: Vec::new(),
            steps: 0,
            resolved: 0,
            place: Vec::new(),
            subjects: Vec::new(),
            path_role: None,
            newcomer: None,
            name: None,
            read_only: Vec::new(),
            copied: Vec::new(),
            short_images: Vec::new(),
            forced_removal: None,
            uncounted: Vec::new(),
            given_names: Vec::new(),
            is_service: false,
            builds: false,
            is_builder: false,
            omits_missing: false,
            image_user: None,
            changes_target: false,
            narrowed_prune: None,
            labels_secret: false,
        }
    }

    /// Returns the current place.
    pub(super) fn place(&self) -> &[TakenStep] {
        &self.place
    }

    /// Judges within a value, unless the judgement has ended.
    pub(super) fn within(&mut self, step: Step<'_>, judge: impl FnOnce(&mut Self)) {
        if self.is_full() {
            return;
        }
        self.step(self.guard.allow.len());
        self.place.push(step.into());
        judge(self);
        self.place.pop();
    }

    /// Judges the parts of a value at the same place, until the judgement ends.
    pub(super) fn each<T>(
        &mut self,
        parts: impl IntoIterator<Item = T>,
        judge: impl Fn(&mut Self, T),
    ) {
        for part in parts {
            if self.is_full() {
                return;
            }
            self.step(self.guard.allow.len());
            judge(self, part);
        }
    }

    /// Counts a part of the call, and its comparisons with fields or exceptions.
    pub(super) fn step(&mut self, comparisons: usize) {
        self.steps += 1 + comparisons;
        if self.steps > STEPS && self.findings.is_empty() {
            self.refuse("has more to judge than any client needs".to_owned(), None);
        }
    }

    /// Returns whether the judgement has ended: the call is refused already, and the rest of it
    /// cannot change that.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS || self.steps > STEPS
    }

    /// Judges at an earlier place, unless the judgement has ended.
    pub(super) fn back_at(&mut self, place: &[TakenStep], judge: impl FnOnce(&mut Self)) {
        if self.is_full() {
            return;
        }
        let here = std::mem::replace(&mut self.place, place.to_vec());
        judge(self);
        self.place = here;
    }

    /// Returns the number of findings so far.
    pub(super) fn count(&self) -> usize {
        self.findings.len()
    }

    /// Notes a value whose meaning for the engine is not certain.
    pub(super) fn malformed(&mut self, what: String) {
        self.refuse(what, None);
    }

    /// Notes a value that is not allowed, and the exception that would allow it.
    pub(super) fn refuse(&mut self, what: String, allow: Option<Hint>) {
        if self.findings.len() < FINDINGS {
            let allow = allow.map(|Hint(allow)| allow);
            self.findings.push(Finding {
                field: place_text(&self.place),
                what,
                allow,
                instead: &[],
            });
        }
    }

    /// Makes an objection of the findings, if there are any. For a builder of buildx, it begins
    /// with the rules for builds: without these, a user would open the host for a container that no
    /// build needs.
    pub(super) fn objection(&mut self) -> Option<Objection> {
        let mut findings: Vec<Finding> = Vec::new();
        // A field that is judged in two ways may be found wrong twice for the same reason.
        for finding in std::mem::take(&mut self.findings) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        if findings.is_empty() {
            return None;
        }
        if self.is_builder && buildkit::can_be_opened(self.guard) {
            let what = "buildx asks for this builder where POST /grpc or POST /session is refused, \
                and needs none where both are allowed";
            let (field, instead) = (String::new(), BUILD_RULES);
            findings.insert(
                0,
                Finding {
                    field,
                    what: what.to_owned(),
                    allow: None,
                    instead,
                },
            );
        }
        Some(Objection::Findings(findings))
    }

    /// Adds an object for the engine to describe, which the text at this place names. In the
    /// engine's copy of the call, the full identifier replaces the word, between `before` and
    /// `after`.
    pub(super) fn look_up(
        &mut self,
        kind: ObjectKind,
        word: &str,
        role: Role,
        (before, after): (&str, &str),
    ) {
        let place = self.place.clone();
        // Engines take a slash before a container's name.
        let word = if kind == ObjectKind::Container {
            word.trim_start_matches('/')
        } else {
            word
        };
        let slot = match place.as_slice() {
            [TakenStep::Parameter(name)] => Slot::Parameter {
                name: name.clone(),
                before: before.to_owned(),
            },
            _ => Slot::Body {
                before: before.to_owned(),
                after: after.to_owned(),
            },
        };
        self.add_subject(Subject {
            kind,
            word: word.to_owned(),
            role,
            place,
            slot,
        });
    }

    /// Adds an object for the engine to describe, to which another one has led.
    pub(super) fn add_subject(&mut self, subject: Subject) {
        // The word becomes a part of a path: it must not lead to another one.
        let is_plain = subject
            .word
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
        let is_word =
            is_plain && subject.word.len() <= 512 && !subject.word.contains(char::is_control);
        match (is_word, self.subjects.len() < SUBJECTS) {
            (true, true) => self.subjects.push(subject),
            (true, false) => self.refuse(
                format!("names more than {SUBJECTS} objects to look up"),
                None,
            ),
            (false, _) => self.refuse(format!("names no {}", subject.kind.name()), None),
        }
    }

    /// Returns whether an exception of this kind covers the value.
    pub(super) fn allows(&self, kind: &str, value: &str) -> bool {
        self.guard
            .allow
            .iter()
            .any(|exception| exception.covers(kind, value))
    }

    /// Returns whether an exception of this kind covers the path.
    pub(super) fn allows_path(&self, kind: &str, path: &str, is_read_only: bool) -> bool {
        self.guard
            .allow
            .iter()
            .any(|exception| exception.covers_path(kind, path, is_read_only))
    }

    /// Returns whether an exception of this kind covers the network.
    pub(super) fn allows_network(&self, kind: &str, network: ipnet::IpNet) -> bool {
        self.guard
            .allow
            .iter()
            .any(|exception| exception.covers_network(kind, network))
    }

    /// Returns whether there is any exception of this kind.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.guard.allow.iter().any(|exception| exception.is(kind))
    }

    /// Notes the value, unless an exception of this kind covers it.
    pub(super) fn unless_allowed(
        &mut self,
        kind: &str,
        value: &str,
        what: impl FnOnce() -> String,
    ) {
        if !self.is_full() && !self.allows(kind, value) {
            let allow = self.hint(kind, value);
            self.refuse(what(), allow);
        }
    }

    /// Returns the exception that would open a value; `None` if it cannot be written down. Values
    /// that may hold a secret are left out: options of volumes and URLs can hold passwords.
    pub(super) fn hint(&self, kind: &str, value: &str) -> Option<Hint> {
        if self.is_full() {
            return None;
        }
        let known = KINDS.iter().find(|known| known.name == kind)?;
        // A star in the client's value would be a pattern in the exception.
        if value.contains('*') {
            return None;
        }
        let hint = match (known.value, value.split_once('=')) {
            ("", _) => kind.to_owned(),
            ("NAME=PATTERN", Some((name, _))) => format!("{kind}={}=…", shortened(name)),
            _ if matches!(kind, "build-remote" | "import-url") => format!("{kind}=…"),
            _ if kind == "security-opt" && value.contains('{') => return None,
            _ => format!("{kind}={value}"),
        };
        let is_whole = hint.len() <= 160 && !hint.contains(char::is_control);
        (is_whole && (hint.ends_with('…') || Exception::read(&hint).is_ok()))
            .then(|| Hint(list_value(&hint)))
    }

    /// Returns whether the networks matter that a container joins: other profiles find clients by
    /// their address, or targets bound the networks.
    pub(super) fn bounds_networks(&self) -> bool {
        self.bounds_objects()
            || (self.is_guarded()
                && (self.surroundings.claims_networks() || self.allows_networks()))
    }

    /// Returns whether the profile allows only some networks.
    pub(super) fn allows_networks(&self) -> bool {
        let creation = self.guard.creation.as_deref();
        creation.is_some_and(|creation| creation.networks.is_some())
    }

    /// Returns whether the guard judges at all.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.level != GuardLevel::Privileged
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.guard.level >= GuardLevel::Restricted
    }
}

/// Returns a client's word, cut to a length that a message can show.
pub(super) fn shortened(word: &str) -> &str {
    &word[..word.floor_char_boundary(96)]
}
