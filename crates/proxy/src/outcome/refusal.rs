//! Refusals: the ways in which a request ends with an error of the proxy's own, and the one place
//! that writes the response.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Excess, Objection};
use cetusguard_policy::{Ambiguous, Call, Denial, Malformed, Profile, Unfilterable};

use crate::engine::backend::Unreachable;
use crate::engine::{EngineError, MissingAnswer, Unknown};
use crate::limits::limiter::Reached;
use crate::limits::shares::Full;
use crate::outcome::Reason;
use crate::telemetry::request_id::RequestId;
use cetusguard_http1::HeadError;

/// Why a request ends without the engine's answer.
#[derive(Debug)]
pub enum Refusal {
    /// The head cannot be read in one way only.
    Head(HeadError),
    /// The head took longer than its limit.
    HeadTimeout,
    /// The body did not arrive in time, while the guard waited for it or before a short answer was
    /// due.
    BodyTimeout,
    /// The connection has no place among those of its client, or of all.
    Connections(Full),
    /// As many exchanges are under way as fit into the memory.
    MemoryLimit,
    /// The request is one of this proxy's own, come back through a frontend.
    ProxyLoop,
    /// The request line cannot be read the way the engine reads it.
    Target(Malformed),
    /// The body's chunked coding cannot be read in one way only.
    MalformedBody,
    /// The container that is calling is unknown.
    UnknownClient(Unknown),
    /// Two profiles are for this client.
    AmbiguousClient(Ambiguous),
    /// The client has reached a limit of its profile.
    Limited(Limited),
    /// The rules do not allow it.
    Denied(Box<Denial>),
    /// The guard refuses the query or the body.
    Guarded(Box<Guarded>),
    /// A body that has to be judged is too large for that.
    BodyTooLarge,
    /// The engine did not describe an object that the decision depends on.
    EngineLookupFailed(LookupFailure),
    /// The engine has no object of the name that the call is about; its own answer.
    NoSuchObject(Arc<MissingAnswer>),
    /// The call names an object that its client does not see; the engine's answer for a missing one.
    NotVisible(Arc<MissingAnswer>),
    /// The profile of this name needs the name of a session, and the request has none.
    NoSession(String),
    /// The quota of the profile of this name has no room.
    OverQuota(String, Box<Excess>),
    /// A call of another owner is giving this name to an object of this kind.
    NameInUse(ObjectKind, String),
    /// The client has left many calls that give names, which the engine may still carry out.
    AbandonedNames,
    /// The engine's answer cannot be filtered.
    UnfilterableAnswer(Unfilterable),
    /// The engine cannot be reached.
    EngineUnreachable(Unreachable),
    /// The engine closed the connection instead of answering.
    EngineClosed,
    /// The engine's response is not valid HTTP/1.1, or does not belong to the request.
    EngineProtocolError,
    /// The engine accepted the request and stayed silent.
    EngineTimeout,
}

/// The reason why the engine did not describe an object.
#[derive(Debug)]
pub struct LookupFailure {
    /// The whole reason, with the object.
    why: String,
    /// The same without the object, for clients that may not see it.
    summary: &'static str,
}

impl LookupFailure {
    /// Returns the message of the refusal with this reason.
    fn message(why: &str) -> String {
        format!("the engine does not say what this call is about: {why}; try again")
    }
}

/// The guard's objection, with the call.
#[derive(Debug)]
pub struct Guarded {
    objection: Objection,
    call: Call,
    profile: String,
    level: &'static str,
}

impl From<&EngineError> for Refusal {
    fn from(trouble: &EngineError) -> Self {
        match trouble {
            EngineError::Unreachable(unreachable) => Self::EngineUnreachable(unreachable.clone()),
            trouble => Self::EngineLookupFailed(LookupFailure {
                why: trouble.to_string(),
                summary: trouble.summary(),
            }),
        }
    }
}

impl From<EngineError> for Refusal {
    fn from(trouble: EngineError) -> Self {
        Self::from(&trouble)
    }
}

/// Requests that ask about the same object share the answer, and its failure.
impl From<Arc<EngineError>> for Refusal {
    fn from(trouble: Arc<EngineError>) -> Self {
        Self::from(&*trouble)
    }
}

impl Guarded {
    /// An objection of the guard of a profile.
    pub fn new(objection: Objection, call: &Call, profile: &Profile) -> Self {
        Self {
            objection,
            call: call.clone(),
            profile: profile.name.clone(),
            level: profile.guard.level.name(),
        }
    }

    fn with_profile(&self, findings: &str) -> String {
        format!(
            "the guard of profile {} ({}): {findings}",
            self.profile, self.level
        )
    }

    fn reason(&self) -> Reason {
        match self.objection {
            Objection::Malformed(_) => Reason::MalformedJson,
            Objection::ContentType(_) => Reason::ContentType,
            Objection::Findings(_) => Reason::Guard,
            Objection::Unrecreatable { .. } => Reason::NotRecreatable,
        }
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.objection {
            Objection::Findings(_) | Objection::Unrecreatable { .. } => {
                f.write_str(&self.with_profile(&self.objection.to_string()))
            }
            objection @ (Objection::Malformed(_) | Objection::ContentType(_)) => objection.fmt(f),
        }
    }
}

impl std::error::Error for Guarded {}

/// A limit that a client has reached, with the name of its profile.
#[derive(Debug)]
pub struct Limited {
    profile: String,
    limit: ReachedLimit,
}

#[derive(Debug)]
enum ReachedLimit {
    Page(String),
    Agent(String),
    Count(Reached),
}

impl Limited {
    /// A user agent that is not let in.
    pub(crate) fn by_user_agent(agent: &str, profile: &Profile) -> Self {
        // A reader of the log needs no more of it.
        let agent = agent[..agent.floor_char_boundary(128)].to_owned();
        Self {
            profile: profile.name.clone(),
            limit: ReachedLimit::Agent(agent),
        }
    }

    /// A web page that is not let in.
    pub(crate) fn by_origin(why: String, profile: &Profile) -> Self {
        Self {
            profile: profile.name.clone(),
            limit: ReachedLimit::Page(why),
        }
    }

    /// Returns whether it is a web page that is not let in.
    pub(crate) fn is_by_origin(&self) -> bool {
        matches!(self.limit, ReachedLimit::Page(_))
    }

    /// Too many requests.
    pub(crate) fn by_count(reached: Reached, profile: &Profile) -> Self {
        Self {
            profile: profile.name.clone(),
            limit: ReachedLimit::Count(reached),
        }
    }

    fn reason(&self) -> Reason {
        match self.limit {
            ReachedLimit::Page(_) => Reason::BrowserOrigin,
            ReachedLimit::Agent(_) => Reason::UserAgent,
            ReachedLimit::Count(Reached::Rate(_)) => Reason::RateLimit,
            ReachedLimit::Count(Reached::Requests(_)) => Reason::MaxRequests,
            ReachedLimit::Count(Reached::Streams(_)) => Reason::MaxStreams,
        }
    }

    /// When it may be worth another try.
    fn retry_after(&self) -> Option<Duration> {
        match self.limit {
            ReachedLimit::Page(_) | ReachedLimit::Agent(_) => None,
            ReachedLimit::Count(Reached::Rate(wait)) => Some(wait),
            ReachedLimit::Count(Reached::Requests(_) | Reached::Streams(_)) => {
                Some(Duration::from_secs(1))
            }
        }
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, limit } = self;
        match limit {
            ReachedLimit::Page(why) => write!(
                f,
                "requests of web pages are refused: {why}; if profile {profile} is meant to serve \
                that page, add its origin to origins"
            ),
            ReachedLimit::Agent(agent) => write!(
                f,
                "profile {profile} does not let the user agent {agent:?} in; see its user-agents \
                and user-agents-denied"
            ),
            ReachedLimit::Count(Reached::Rate(wait)) => {
                let wait = whole_seconds(*wait);
                write!(
                    f,
                    "this client exceeds the request rate of profile {profile}; try again in \
                    {wait} s, or raise its rate-limit"
                )
            }
            ReachedLimit::Count(Reached::Requests(limit)) => write!(
                f,
                "this client has {limit} requests under way, as many as profile {profile} allows; \
                wait for one, or raise its max-requests"
            ),
            ReachedLimit::Count(Reached::Streams(limit)) => write!(
                f,
                "this client has {limit} streams open, as many as profile {profile} allows; end \
                one, or raise its max-streams"
            ),
        }
    }
}

impl std::error::Error for Limited {}

/// Whole seconds, as `Retry-After` has them (RFC 9110 §10.2.3).
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Refusal {
    /// Returns the reason, which fixes the status, the word in the log and the level.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Head(HeadError::TooLarge | HeadError::TooManyLarge) => Reason::HeadTooLarge,
            Self::Head(_) => Reason::MalformedHead,
            Self::HeadTimeout => Reason::HeadTimeout,
            Self::BodyTimeout => Reason::BodyTimeout,
            Self::ProxyLoop => Reason::ProxyLoop,
            Self::Target(Malformed::TooLong) => Reason::TargetTooLong,
            Self::Target(_) => Reason::MalformedTarget,
            Self::MalformedBody => Reason::MalformedBody,
            Self::Connections(Full::Client(_)) => Reason::MaxConnectionsPerClient,
            Self::Connections(Full::Total) => Reason::MaxConnections,
            Self::MemoryLimit => Reason::MemoryLimit,
            Self::UnknownClient(Unknown::Contested) | Self::AmbiguousClient(_) => {
                Reason::AmbiguousClient
            }
            Self::UnknownClient(Unknown::Other) => Reason::ClientReplaced,
            Self::UnknownClient(Unknown::LinkLocal) => Reason::LinkLocalAddress,
            Self::UnknownClient(Unknown::Untold(_)) => Reason::ClientLookupFailed,
            Self::Limited(limited) => limited.reason(),
            Self::Denied(denial) => Reason::Denied(denial.reason.kind()),
            Self::Guarded(guarded) => guarded.reason(),
            Self::BodyTooLarge => Reason::BodyTooLarge,
            Self::EngineLookupFailed(_) => Reason::EngineLookupFailed,
            Self::NoSuchObject(_) => Reason::NoSuchObject,
            Self::NotVisible(_) => Reason::NotVisible,
            Self::NoSession(_) => Reason::NoSession,
            Self::OverQuota(..) => Reason::OverQuota,
            Self::NameInUse(..) | Self::AbandonedNames => Reason::NameInUse,
            Self::UnfilterableAnswer(_) => Reason::UnfilterableAnswer,
            Self::EngineUnreachable(_) => Reason::EngineUnreachable,
            Self::EngineClosed => Reason::EngineClosed,
            Self::EngineProtocolError => Reason::EngineProtocolError,
            Self::EngineTimeout => Reason::EngineTimeout,
        }
    }

    /// Returns the status code of the response.
    pub(crate) fn status(&self) -> u16 {
        match self.engine_answer() {
            Some(answer) => answer.status,
            // Every reason of a refusal has a status; a test fails otherwise.
            None => self.reason().status().unwrap_or(500),
        }
    }

    /// The engine's answer about a missing object, if that is the response.
    fn engine_answer(&self) -> Option<&MissingAnswer> {
        match self {
            Self::NoSuchObject(answer) | Self::NotVisible(answer) => Some(answer),
            _ => None,
        }
    }

    /// Returns whether the connection ends with the response: it has no place, or its client is
    /// not known, so that the next request would be refused too.
    pub(crate) fn ends_connection(&self) -> bool {
        matches!(self, Self::Connections(_) | Self::UnknownClient(_))
    }

    /// The call, where it was read and judged.
    pub(crate) fn call(&self) -> Option<&Call> {
        match self {
            Self::Denied(denial) => Some(&denial.call),
            Self::Guarded(guarded) => Some(&guarded.call),
            _ => None,
        }
    }

    /// Returns a shorter message for the log, which has the full one in a debug line; `None` if the
    /// message is short.
    pub(crate) fn brief_message(&self) -> Option<String> {
        match self {
            Self::Guarded(guarded) => guarded
                .objection
                .first()
                .map(|first| guarded.with_profile(&first)),
            _ => None,
        }
    }

    /// Returns the guard's objection, if the guard refused.
    pub fn objection(&self) -> Option<&Objection> {
        match self {
            Self::Guarded(guarded) => Some(&guarded.objection),
            _ => None,
        }
    }

    /// Returns the rules that would let the client do its work.
    pub(crate) fn rules_to_add(&self) -> Vec<String> {
        match self {
            Self::Denied(denial) => denial.rules_to_add(),
            Self::Guarded(guarded) => {
                let rules = guarded.objection.instead().iter();
                rules.map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The response in the shape of the engine's own errors, which every client prints. If the
    /// effect on the engine is `uncertain`, the text says so.
    ///
    /// The content type is exactly `application/json`: Go clients compare it. `HEAD` gets no body.
    /// `X-Request-Id` leads to the record in the log.
    ///
    /// With `hides_objects`, which is set for a client that sees a part of the engine, the text names
    /// no object that only the proxy has asked about.
    pub(crate) fn response(
        &self,
        to_head: bool,
        hides_objects: bool,
        close: bool,
        uncertain: bool,
        id: RequestId,
    ) -> Vec<u8> {
        if let Some(answer) = self.engine_answer() {
            return response_for_missing(answer, to_head, close, id);
        }
        let status = self.status();
        let body = match to_head {
            true => String::new(),
            false => {
                let end = if uncertain { UNCERTAIN } else { "" };
                let text = match self {
                    Self::EngineLookupFailed(failure) if hides_objects => {
                        LookupFailure::message(failure.summary)
                    }
                    refusal => refusal.to_string(),
                };
                error_body(&format!("{SIGNATURE}{text}{end}"))
            }
        };
        let connection = if close { "Connection: close\r\n" } else { "" };
        let retry = match self {
            Self::Limited(limited) => limited.retry_after(),
            Self::Connections(_) | Self::MemoryLimit => Some(Duration::from_secs(1)),
            _ => None,
        };
        let retry = retry
            .map(|wait| format!("Retry-After: {}\r\n", whole_seconds(wait)))
            .unwrap_or_default();
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: \
            {}\r\nX-Request-Id: {id}\r\n{retry}{connection}\r\n{body}",
            reason_phrase(status),
            body.len()
        )
        .into_bytes()
    }
}

/// Writes the engine's answer about a missing object.
fn response_for_missing(
    answer: &MissingAnswer,
    to_head: bool,
    close: bool,
    id: RequestId,
) -> Vec<u8> {
    let status = answer.status;
    let reason = match answer.reason.as_ref() {
        b"" => reason_phrase(status).as_bytes(),
        own => own,
    };
    let length = answer.body.as_ref().map_or(String::new(), |body| {
        format!("Content-Length: {}\r\n", body.len())
    });
    let connection = if close { "Connection: close\r\n" } else { "" };
    let body = answer.body.as_deref().filter(|_| !to_head);
    [
        format!("HTTP/1.1 {status} ").as_bytes(),
        reason,
        b"\r\n",
        &answer.lines,
        format!("{length}X-Request-Id: {id}\r\n{connection}\r\n").as_bytes(),
        body.unwrap_or_default(),
    ]
    .concat()
}

/// Writes the body of an error as engines do.
pub fn error_body(message: &str) -> String {
    format!("{}\n", serde_json::json!({ "message": message }))
}

/// The beginning of the message of every refusal. The health check knows the proxy by it.
pub const SIGNATURE: &str = "cetusguard: ";

/// The end of a message about a request of which the engine may have acted on a part.
const UNCERTAIN: &str =
    "; the engine had received the beginning of this request, and may have acted on it";

const fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        408 => "Request Timeout",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        508 => "Loop Detected",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

impl fmt::Display for Refusal {
    /// Writes the message: the event, the reason, and the next step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::HeadTimeout => f.write_str("the request's head did not arrive in time"),
            Self::BodyTimeout => f.write_str("the request's body did not arrive in time"),
            Self::ProxyLoop => f.write_str(
                "this request is one of the proxy's own: the way to the engine leads back to the \
                proxy; set backend-addr to the engine's address",
            ),
            Self::Target(malformed) => malformed.fmt(f),
            Self::MalformedBody => f.write_str(
                "the request's chunked body is malformed, or has extensions \
                or trailers",
            ),
            Self::Connections(full) => full.fmt(f),
            Self::MemoryLimit => f.write_str(
                "no memory is left for another request: this client, or all clients together, have too \
                many under way; try again, or raise the memory limit of the proxy's container",
            ),
            Self::UnknownClient(unknown) => unknown.fmt(f),
            Self::AmbiguousClient(ambiguous) => ambiguous.fmt(f),
            Self::Limited(limited) => limited.fmt(f),
            Self::Denied(denial) => denial.fmt(f),
            Self::Guarded(guarded) => guarded.fmt(f),
            Self::BodyTooLarge => f.write_str(
                "the body is larger than the 1 MiB that the guard judges; ask for less \
                    at a time",
            ),
            Self::EngineLookupFailed(failure) => {
                f.write_str(&LookupFailure::message(&failure.why))
            }
            Self::NoSuchObject(_) => f.write_str("the engine has no object of that name"),
            Self::NotVisible(_) => f.write_str(
                "the object of that name is outside of what the profile sees, so that the client is \
                told that it does not exist; see visible and own of the profile",
            ),
            Self::NoSession(profile) => write!(
                f,
                "profile {profile} needs the header X-Cetusguard-Session with the name of a \
                session: 1 to 63 letters, digits, dashes, dots and underscores"
            ),
            Self::OverQuota(profile, excess) => {
                write!(f, "the quota of profile {profile} has no room: {excess}")
            }
            Self::NameInUse(kind, name) => write!(
                f,
                "a call of another client is giving the name {name} to {} {}; use another name, or \
                try again when that call has ended",
                if *kind == ObjectKind::Image { "an" } else { "a" },
                kind.name()
            ),
            Self::AbandonedNames => f.write_str(
                "this client has left many calls that give names to objects, and the engine may \
                still carry them out; try again in a minute, and wait for the answers",
            ),
            Self::UnfilterableAnswer(why) => write!(
                f,
                "this profile sees a part of the engine's answer, and the answer cannot be \
                filtered: {why}"
            ),
            Self::EngineUnreachable(unreachable) => unreachable.fmt(f),
            Self::EngineClosed => f.write_str(
                "the engine closed the connection without an answer; it may be \
                    restarting: try again",
            ),
            Self::EngineProtocolError => f.write_str(
                "the engine's answer is not valid HTTP/1.1; does backend-addr point to an engine, \
                and is it TLS?",
            ),
            Self::EngineTimeout => f.write_str(
                "the engine accepted the request and did not answer in time; see its \
                    own log",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_phrase() {
        for status in Reason::all().filter_map(Reason::status) {
            assert_ne!(reason_phrase(status), "Error", "{status}");
        }
    }
}
