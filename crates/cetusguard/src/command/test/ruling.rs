//! The ruling on a call: the steps of the journey that decide about it, in their order. The
//! decisions are those of the functions that `serve` calls; the objects of the test file stand for
//! those of an engine.

use std::sync::Arc;

use bytes::Bytes;
use cetusguard_http1::{Framing, Headers, Known, parse_request_head};
use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Cleared, Defaults, Missing, Objection, Question, Surroundings};
use cetusguard_policy::{
    Call, Denial, Ground, Permit, Principal, Profile, Profiles, Verdict, Viewer, decide,
};

use super::file::Expectation;
use super::objects::{FoundObject, World};
use cetusguard_proxy::{
    BODY_LIMIT, Guarded, MissingAnswer, Refusal, admit_headers, error_body, owner_of,
    viewer_by_header,
};

/// A client of a test file, with its profile.
#[derive(Debug)]
pub(super) struct TestClient {
    pub(super) profile: Arc<Profile>,
    viewer: Arc<Viewer>,
    /// No selector matches the client, although some profiles have selectors.
    is_unmatched: bool,
    is_loopback: bool,
}

impl TestClient {
    /// Finds the profile of a client as the step *identify* does.
    ///
    /// # Errors
    /// Two profiles match it.
    pub(super) fn identify(principal: &Principal, profiles: &Profiles) -> Result<Self, Refusal> {
        let (profile, found_by) = profiles.of(principal).map_err(Refusal::AmbiguousClient)?;
        let name = || principal.subject(found_by).session_name();
        Ok(Self {
            viewer: Arc::new(viewer_of_profile(profile, name)),
            is_unmatched: found_by.is_none() && profiles.has_others(),
            is_loopback: principal
                .address
                .is_some_and(|address| address.is_loopback()),
            profile: Arc::clone(profile),
        })
    }

    /// Makes a client of a profile of which nothing else is known.
    pub(super) fn of_profile(profile: &Arc<Profile>) -> Self {
        Self {
            viewer: Arc::new(viewer_of_profile(profile, || "any".to_owned())),
            is_unmatched: false,
            is_loopback: false,
            profile: Arc::clone(profile),
        }
    }
}

fn viewer_of_profile(profile: &Profile, session: impl FnOnce() -> String) -> Viewer {
    let ownership = profile.view.ownership.as_ref();
    Viewer {
        view: Arc::clone(&profile.view),
        owner: ownership.and_then(|ownership| owner_of(ownership, session)),
    }
}

/// The ruling on a call.
#[derive(Debug)]
pub(super) enum Ruling {
    /// The rule of this label allows it, at this position and with this text.
    Allowed { position: String, rule: String },
    /// The proxy refuses it.
    Refused(Refusal),
    /// The engine would decide, for this reason.
    Undecided(String),
}

/// The end of the steps before a call is allowed.
enum Halt {
    Refused(Refusal),
    Undecided(String),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The facts by which calls are ruled on.
#[derive(Clone, Copy)]
pub(super) struct Court<'c> {
    pub(super) client: &'c TestClient,
    pub(super) profiles: &'c Profiles,
    pub(super) world: &'c World,
}

impl Court<'_> {
    /// Rules on a call.
    pub(super) fn rule_on(&self, request: &Expectation) -> Ruling {
        match self.steps(request) {
            Ok(permit) => match permit.ground() {
                Ground::Rule(rule) => Ruling::Allowed {
                    position: rule.position.to_string(),
                    rule: rule.text().to_owned(),
                },
                // Profiles are ruled on as if they were enforced.
                Ground::Unenforced { text, .. } => Ruling::Undecided(text.clone()),
            },
            Err(Halt::Refused(refusal)) => Ruling::Refused(refusal),
            Err(Halt::Undecided(why)) => Ruling::Undecided(why),
        }
    }

    fn steps(&self, request: &Expectation) -> Result<Permit, Halt> {
        let profile = &self.client.profile;
        let headers = headers_of(request)?;
        let call = Call::read(&request.method, &request.target).map_err(Refusal::Target)?;
        let framing = match &request.body {
            Some(body) => Framing::Length(body.len() as u64),
            None => Framing::None,
        };
        admit_headers(&call, &headers, framing, profile, self.client.is_loopback)
            .map_err(Refusal::Limited)?;
        let viewer = viewer_by_header(&self.client.viewer, &profile.name, &call, &headers)?;
        let verdict = match decide(call, profile) {
            Verdict::Deny(denial) => self.decide_by_name(denial, &viewer)?,
            Verdict::Allow(permit) => self.decide_by_object(permit, &viewer)?,
        };
        let permit = match verdict {
            Verdict::Allow(permit) => permit,
            Verdict::Deny(denial) => {
                let denial = denial.of_unmatched_client(self.client.is_unmatched);
                return Err(Refusal::Denied(Box::new(denial)).into());
            }
        };
        if permit.cleared().is_none() {
            self.clear_call(&permit, request, &headers, &viewer)?;
        }
        Ok(permit)
    }

    /// Decides once more about a call that no rule allows, by the name of its container.
    fn decide_by_name(&self, denial: Denial, viewer: &Viewer) -> Result<Verdict, Halt> {
        let profile = &self.client.profile;
        let Some(word) = denial.identifier().filter(|_| profile.rules.name_objects()) else {
            return Ok(Verdict::Deny(denial));
        };
        let found = self.world.find(ObjectKind::Container, word);
        match found.map_err(Halt::Undecided)? {
            FoundObject::Object(container, _)
                if viewer.shows(ObjectKind::Container, &container) =>
            {
                Ok(denial.decide_by_name(&container, profile))
            }
            FoundObject::Object(..) | FoundObject::Missing => Ok(Verdict::Deny(denial)),
        }
    }

    /// Decides once more about a call that a rule allows or denies for some objects by name.
    fn decide_by_object(&self, permit: Permit, viewer: &Viewer) -> Result<Verdict, Halt> {
        let mut permit = permit;
        while let Some((kind, word)) = permit.question() {
            let found = self.world.find(kind, word).map_err(Halt::Undecided)?;
            let FoundObject::Object(object, _) = found else {
                return Err(no_such_object(kind, word).into());
            };
            // The container of a command, and the service of a task, are checked when the call is
            // judged.
            let decides = !matches!(kind, ObjectKind::Exec | ObjectKind::Task);
            if decides && !viewer.shows(kind, &object) {
                return Err(not_visible(kind, word).into());
            }
            match permit.answer(&object, &self.client.profile) {
                Verdict::Allow(next) => permit = next,
                denied @ Verdict::Deny(_) => return Ok(denied),
            }
        }
        Ok(Verdict::Allow(permit))
    }

    /// Discharges every obligation of a permit: judges query and body, and the objects that the
    /// call is about.
    fn clear_call(
        &self,
        permit: &Permit,
        request: &Expectation,
        headers: &Headers,
        viewer: &Viewer,
    ) -> Result<Cleared, Halt> {
        let proxy = match &self.world.proxy {
            Some((name, _)) => match self.world.find(ObjectKind::Container, name) {
                Ok(FoundObject::Object(object, _)) => Some(object),
                Ok(FoundObject::Missing) | Err(_) => None,
            },
            None => None,
        };
        let surroundings = Surroundings {
            profile: &self.client.profile.name,
            profiles: Some(self.profiles),
            proxy_id: proxy.as_ref().map(|proxy| proxy.id.as_str()),
            proxy: proxy.as_deref(),
            resolve_path: None,
            viewer: Some(viewer),
        };
        let body = request.body.as_deref().filter(|_| permit.reads_body());
        let body = body.unwrap_or_default();
        if body.len() > BODY_LIMIT << 10 {
            return Err(Refusal::BodyTooLarge.into());
        }
        let content_type = headers.get(Known::ContentType);
        let guarded = |objection: Objection| {
            let guarded = Guarded::new(objection, permit.call(), &self.client.profile);
            Refusal::Guarded(Box::new(guarded))
        };
        let mut case = permit
            .open(content_type, body, surroundings)
            .map_err(guarded)?;
        while let Some(question) = case.question() {
            let (found, inspection) = match question {
                Question::Object { kind, word } => {
                    let found = self.world.find(kind, word).map_err(Halt::Undecided)?;
                    (Some(found), None)
                }
                Question::Inspection { word, .. } => {
                    let found = self.world.inspect(word).map_err(Halt::Undecided)?;
                    (None, Some(found))
                }
                Question::Engine => (None, None),
            };
            let (is_there, answered) = match (&found, &inspection) {
                (Some(FoundObject::Object(object, _)), _) => (true, case.answer(Some(object))),
                (Some(FoundObject::Missing), _) => (false, case.answer(None)),
                (None, Some(inspection)) => {
                    let answered = case.answer_inspection(inspection.as_ref(), &engine_defaults());
                    (inspection.is_some(), answered)
                }
                (None, None) => {
                    case.answer_engine(self.world.engine.as_ref().ok_or_else(undeclared_engine)?);
                    (true, Ok(()))
                }
            };
            if let Err(Missing { kind, word }) = answered {
                return Err(match is_there {
                    true => not_visible(kind, &word).into(),
                    false => no_such_object(kind, &word).into(),
                });
            }
        }
        Ok(case.close().map_err(guarded)?)
    }
}

fn undeclared_engine() -> Halt {
    let why = "it depends on the version of the engine, which the file does not declare; add \
        engine: {name: docker, api-version: 1.51, kernel: 6.1.0}";
    Halt::Undecided(why.to_owned())
}

/// Returns the settings that engines give containers by themselves.
fn engine_defaults() -> Defaults {
    let info = br#"{"LoggingDriver":"json-file","DefaultRuntime":"runc"}"#;
    Defaults::read(info).unwrap_or_default()
}

fn no_such_object(kind: ObjectKind, word: &str) -> Refusal {
    Refusal::NoSuchObject(engine_error(kind, word))
}

fn not_visible(kind: ObjectKind, word: &str) -> Refusal {
    Refusal::NotVisible(engine_error(kind, word))
}

fn engine_error(kind: ObjectKind, word: &str) -> Arc<MissingAnswer> {
    let message = format!("{} {word} not found", kind.name());
    Arc::new(MissingAnswer::not_found(error_body(&message).as_bytes()))
}

/// Reads the headers of a request as they would arrive. A body is JSON unless a header says
/// otherwise.
fn headers_of(request: &Expectation) -> Result<Headers, Refusal> {
    let mut lines: Vec<String> = Vec::new();
    let has = |name: &str| {
        let mut names = request.headers.iter().map(|(own, _)| own);
        names.any(|own| own.eq_ignore_ascii_case(name))
    };
    if !has("host") {
        lines.push("Host: docker".to_owned());
    }
    if request.body.is_some() && !has("content-type") {
        lines.push("Content-Type: application/json".to_owned());
    }
    let own = request.headers.iter();
    lines.extend(own.map(|(name, value)| format!("{name}: {value}")));
    let head = format!("GET / HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
    let head = parse_request_head(Bytes::from(head)).map_err(Refusal::Head)?;
    Ok(head.headers)
}
