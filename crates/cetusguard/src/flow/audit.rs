//! Audit: one record a request, opened first and closed last, whatever happens in between.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use cetusguard_policy::Method;
use cetusguard_policy::guard::Objection;

use super::admit::Admitted;
use super::identify::Client;
use crate::lessons::Lessons;
use crate::log::{Level, Log};
use crate::refusal::Refusal;
use crate::wire::{Known, RequestHead};

/// How a request ended without a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The answer is complete.
    Complete,
    /// The client left.
    ClientGone,
    /// The client took nothing of the answer for too long.
    ClientStalled,
    /// The request's body went wrong after the answer had begun.
    BadBody,
    /// The engine broke its answer off, or its framing.
    EngineGone,
    /// The program stops.
    Stopped,
    /// The client has to show its certificate again: others may sign them now.
    Outdated,
}

impl Ended {
    const fn reason(self) -> &'static str {
        match self {
            Self::Complete => "",
            Self::ClientGone => "client_gone",
            Self::ClientStalled => "client_stalled",
            Self::BadBody => "malformed_body",
            Self::EngineGone => "engine_gone",
            Self::Stopped => "stopped",
            Self::Outdated => "outdated_certificate",
        }
    }

    /// A client that leaves a stream is nothing special; an engine that does is.
    const fn level(self) -> Level {
        match self {
            Self::Complete | Self::ClientGone | Self::Stopped => Level::Debug,
            Self::ClientStalled | Self::BadBody | Self::Outdated => Level::Warning,
            Self::EngineGone => Level::Error,
        }
    }
}

/// What became of one request. Nothing is copied or formatted before it is sure that a line is
/// wanted.
///
/// Dropped without an end, it tells of a request that outlived the program's drain, or of a panic.
#[derive(Debug)]
pub(super) struct Record<'c> {
    log: &'c Log,
    peer: Arc<str>,
    client: Option<Arc<Client>>,
    id: u64,
    started: Instant,
    method: Bytes,
    target: Bytes,
    user_agent: Bytes,
    admitted: Option<Arc<Admitted>>,
    /// Whether what it asks for was judged as well: only then it is the engine's.
    approved: bool,
    /// Whether the engine has got the head of a request that may change something, and not
    /// answered.
    uncertain: bool,
    /// The word and the text of a refusal that was not enforced.
    unenforced: Option<(&'static str, String)>,
    /// What the guard has against it.
    objection: Option<Box<Objection>>,
    /// The rules for builds, where it is a refused step of one.
    build_rules: &'static [&'static str],
    /// Where it is written down what clients need, if it is.
    lessons: Option<&'c Lessons>,
    status: u16,
    ended: Option<End>,
    /// Bytes of the request: head and body.
    pub(super) bytes_in: AtomicU64,
    /// Bytes of the answer's body.
    pub(super) bytes_out: AtomicU64,
}

/// How the record ends, in the log's words.
#[derive(Debug)]
struct End {
    level: Level,
    message: &'static str,
    reason: &'static str,
    detail: String,
    /// The path as it was judged, where that ended the request.
    path: Option<String>,
}

impl End {
    fn new(level: Level, message: &'static str, reason: &'static str, detail: &str) -> Self {
        Self {
            level,
            message,
            reason,
            detail: detail.to_owned(),
            path: None,
        }
    }
}

/// What a client sends may be long, and is kept until somebody reads the log.
fn cut(text: &[u8], length: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&text[..text.len().min(length)])
}

/// The exceptions that the guard's objection names, as a list.
fn exceptions(objection: &Objection) -> String {
    objection
        .exceptions()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}

/// A head up to this size is kept with its record, in bytes; of a larger one, only what a line may
/// show.
const SHARED: usize = 1 << 10;

/// Numbers requests; with the start of the program it names one in all logs.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl<'c> Record<'c> {
    /// Opens the record of the next request.
    pub(super) fn open(peer: &Arc<str>, log: &'c Log, lessons: Option<&'c Lessons>) -> Self {
        Self {
            log,
            peer: Arc::clone(peer),
            client: None,
            id: REQUESTS.fetch_add(1, Relaxed) + 1,
            started: Instant::now(),
            method: Bytes::new(),
            target: Bytes::new(),
            user_agent: Bytes::new(),
            admitted: None,
            approved: false,
            uncertain: false,
            unenforced: None,
            objection: None,
            build_rules: &[],
            lessons,
            status: 0,
            ended: None,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// Notes the head as it came.
    pub(super) fn received(&mut self, head: &RequestHead) {
        self.bytes_in.fetch_add(head.length as u64, Relaxed);
        self.method = head.method.clone();
        self.target = head.target.clone();
        self.user_agent = head.headers.share(Known::UserAgent).unwrap_or_default();
        if head.length > SHARED {
            for (part, length) in [
                (&mut self.method, 32),
                (&mut self.target, 1024),
                (&mut self.user_agent, 256),
            ] {
                *part = Bytes::copy_from_slice(&part[..part.len().min(length)]);
            }
        }
    }

    /// Notes who makes it.
    pub(super) fn identified(&mut self, client: &Arc<Client>) {
        self.client = Some(Arc::clone(client));
    }

    /// Notes what allows it, and the path as it was judged.
    pub(super) fn admitted(&mut self, admitted: &Arc<Admitted>) {
        self.admitted = Some(Arc::clone(admitted));
        self.unenforced = admitted
            .unenforced()
            .map(|(code, text)| (code, text.to_owned()));
    }

    /// Notes that it goes to the engine.
    pub(super) fn approved(&mut self) {
        self.approved = true;
        if let (Some(lessons), Some(client), Some(admitted)) =
            (self.lessons, &self.client, &self.admitted)
        {
            lessons.note(
                &client.profile.name,
                admitted.permit(),
                self.objection.as_deref(),
            );
        }
    }

    /// Notes a refusal that is not enforced.
    pub(super) fn would_refuse(&mut self, refusal: &Refusal) {
        self.build_rules = refusal.build_rules();
        self.objection = refusal.objection().cloned().map(Box::new);
        self.unenforced
            .get_or_insert_with(|| (refusal.code(), refusal.to_string()));
    }

    /// What is not enforced is told as loudly as a refusal.
    fn level(&self, level: Level) -> Level {
        if self.unenforced.is_some() {
            level.min(Level::Warning)
        } else {
            level
        }
    }

    /// Notes that the engine has got the head of the request: whatever happens now, it may act on
    /// one that may change something.
    pub(super) fn sent(&mut self, method: Method) {
        self.uncertain = !method.is_safe();
    }

    /// Returns whether the engine may have acted without saying so.
    pub(super) fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// Notes the engine's status.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
        self.uncertain = false;
    }

    /// A stream or tunnel begins: it gets a line now, since its other one may come in days.
    pub(super) fn streams(&self) {
        let level = self.level(Level::Debug);
        if self.log.takes(level) {
            self.write(&End::new(level, "stream started", "", ""), false);
        }
    }

    /// Notes the end.
    pub(super) fn end(&mut self, ended: Ended) {
        let message = match ended {
            Ended::EngineGone | Ended::ClientStalled => "answer cut",
            Ended::BadBody | Ended::Outdated => "request cut",
            Ended::Complete | Ended::ClientGone | Ended::Stopped if !self.approved => {
                "request abandoned"
            }
            Ended::Complete | Ended::ClientGone | Ended::Stopped => "request allowed",
        };
        self.ended = Some(End::new(
            self.level(ended.level()),
            message,
            ended.reason(),
            "",
        ));
    }

    /// Notes a refusal with its text.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let level = refusal.level();
        let message = match level {
            Level::Error => "request failed",
            _ if self.uncertain => "request cut",
            _ => "request refused",
        };
        self.status = refusal.status();
        self.build_rules = refusal.build_rules();
        self.objection = refusal.objection().cloned().map(Box::new);
        let mut end = End::new(level, message, refusal.code(), "");
        if self.log.takes(level) {
            let brief = refusal.brief();
            if brief.is_some() && self.log.takes(Level::Debug) {
                let line = self
                    .log
                    .line(Level::Debug, "refusal in full")
                    .text("detail", &refusal.to_string());
                self.log.send(line.number("request_id", self.id));
            }
            end.detail = brief.unwrap_or_else(|| refusal.to_string());
            end.path = refusal.call().map(|call| call.path().to_owned());
        }
        self.ended = Some(end);
    }

    /// The path as it was judged; before that, as it came, without the query: it may hold secrets.
    fn path<'r>(&'r self, end: &'r End) -> &'r [u8] {
        match (&end.path, &self.admitted) {
            (Some(path), _) => path.as_bytes(),
            (None, Some(admitted)) => admitted.call().path().as_bytes(),
            (None, None) => self
                .target
                .split(|byte| *byte == b'?')
                .next()
                .unwrap_or_default(),
        }
    }

    fn write(&self, end: &End, ended: bool) {
        let mut line = self
            .log
            .line(end.level, end.message)
            .maybe("method", &cut(&self.method, 32))
            .maybe("path", &cut(self.path(end), 1024))
            .number("status", u64::from(self.status))
            .text("client", &self.peer);
        if let Some(client) = &self.client {
            line = line
                .maybe("container", client.container())
                .maybe("certificate", client.certificate());
            line = line.text("profile", &client.profile.name);
        }
        if let Some(admitted) = &self.admitted {
            let endpoint = admitted
                .call()
                .endpoint()
                .map_or("", |endpoint| endpoint.id.name());
            line = line
                .maybe("endpoint", endpoint)
                .maybe("rule", admitted.rule());
        }
        line = match &self.unenforced {
            // How it ended is told by its status; why it should not have begun is what this profile
            // is watched for.
            Some((code, text)) => line
                .text("decision", "would_deny")
                .text("reason", code)
                .text("detail", text),
            None => line
                .maybe("reason", end.reason)
                .maybe("detail", &end.detail),
        };
        line = line.maybe("add_rules", &self.build_rules.join(", "));
        if let Some(objection) = &self.objection {
            line = line.maybe("guard_allow", &exceptions(objection));
        }
        if ended && self.uncertain {
            line = line.text("outcome", "unknown");
        }
        if ended {
            line = line
                .number("bytes_in", self.bytes_in.load(Relaxed))
                .number("bytes_out", self.bytes_out.load(Relaxed))
                .duration("duration", self.started.elapsed());
        }
        self.log.send(
            line.maybe("user_agent", &cut(&self.user_agent, 256))
                .number("request_id", self.id),
        );
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.ended.is_none() && std::thread::panicking() {
            let detail = "a bug in Cetusguard: please report it";
            self.ended = Some(End::new(Level::Error, "request failed", "internal", detail));
        } else if self.ended.is_none() {
            self.end(Ended::Stopped);
        }
        let Some(end) = self.ended.take() else { return };
        if self.log.takes(end.level) {
            self.write(&end, true);
        }
    }
}
