//! Audit: one record per request, opened before everything else and closed after it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Answer;
use cetusguard_policy::guard::Objection;

use super::admit::Admitted;
use super::connection::Peer;
use super::identify::Client;
use super::roster::ConnectionEntry;
use crate::outcome::refusal::Refusal;
use crate::outcome::{Outcome, Progress, Reason, RecordMessage, WOULD_DENY};
use crate::telemetry::lessons::Lessons;
use crate::telemetry::live::{DecisionKind, FilteredDecision, Live};
use crate::telemetry::log::{Level, Line, Log};
use crate::telemetry::metrics::{Metrics, RequestCounters};
use crate::telemetry::request_id::RequestId;
use crate::telemetry::trace_context::TraceContext;
use cetusguard_http1::{Known, RequestHead};

/// The record of one request. Nothing is copied or formatted before a line is certain to be
/// written.
///
/// Dropped without an end, it tells of a request that outlived the program's drain, or of a panic.
#[derive(Debug)]
pub(super) struct Record<'c> {
    log: &'c Log,
    peer: Arc<Peer>,
    client: Option<Arc<Client>>,
    id: RequestId,
    started: Instant,
    method: Bytes,
    target: Bytes,
    user_agent: Bytes,
    /// The header `traceparent`, valid or not; empty if there is none.
    traceparent: Bytes,
    admitted: Option<Arc<Admitted>>,
    /// The inspection is done as well: the request may go to the engine.
    approved: bool,
    /// The engine has received the head of a request that can change something, and has not
    /// answered.
    uncertain: bool,
    /// The reason and the message of a refusal that audit mode did not enforce.
    unenforced: Option<(Reason, String)>,
    /// The objection of the guard.
    objection: Option<Box<Objection>>,
    /// The rules that would allow it, where it is refused.
    rules_to_add: Vec<String>,
    /// The images of the body that the profile calls by other names, each with the new name.
    rewritten: Vec<(String, String)>,
    /// The calls that clients need, under `cetusguard learn`.
    lessons: Option<&'c Lessons>,
    /// The counters of all requests; `None` if nothing shows them.
    metrics: Option<&'c Metrics>,
    /// The readers of decisions; `None` if there can be none.
    live: Option<&'c Live>,
    /// A stream or tunnel has begun, and counts as open until the request ends.
    is_stream: bool,
    /// The connection that shows the stream, if the admin listener shows connections.
    entry: Option<Arc<ConnectionEntry>>,
    status: u16,
    ended: Option<RecordEnd>,
    /// Bytes from the client: head, body, and those of a tunnel.
    pub(super) bytes_in: AtomicU64,
    /// Bytes to the client: the body of the answer, or those of a tunnel.
    pub(super) bytes_out: AtomicU64,
}

/// The fields of the last record of a request.
#[derive(Debug)]
struct RecordEnd {
    level: Level,
    message: RecordMessage,
    reason: Option<Reason>,
    decision: DecisionKind,
    detail: String,
    /// The path as it was judged, where the decision ended the request.
    path: Option<String>,
}

impl RecordEnd {
    fn new(
        level: Level,
        message: RecordMessage,
        reason: Option<Reason>,
        decision: DecisionKind,
    ) -> Self {
        Self {
            level,
            message,
            reason,
            decision,
            detail: String::new(),
            path: None,
        }
    }
}

/// Cuts a text of the client: it may be long, and the log keeps it.
fn truncate(text: &[u8], length: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&text[..text.len().min(length)])
}

/// The exceptions that the guard's objection names, as a list.
fn list_exceptions(objection: &Objection) -> String {
    objection
        .exceptions()
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ")
}

/// A head up to this size is kept with its record, in bytes; of a larger one, only the part that a
/// line may show.
const SHARED: usize = 1 << 10;

impl<'c> Record<'c> {
    /// Opens the record of the next request.
    pub(super) fn open(
        peer: &Arc<Peer>,
        log: &'c Log,
        lessons: Option<&'c Lessons>,
        metrics: Option<&'c Metrics>,
        live: Option<&'c Live>,
    ) -> Self {
        Self {
            log,
            peer: Arc::clone(peer),
            client: None,
            id: RequestId::next(),
            started: Instant::now(),
            method: Bytes::new(),
            target: Bytes::new(),
            user_agent: Bytes::new(),
            traceparent: Bytes::new(),
            admitted: None,
            approved: false,
            uncertain: false,
            unenforced: None,
            objection: None,
            rules_to_add: Vec::new(),
            rewritten: Vec::new(),
            lessons,
            metrics,
            live,
            is_stream: false,
            entry: None,
            status: 0,
            ended: None,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// Notes the head as it came.
    pub(super) fn note_head(&mut self, head: &RequestHead) {
        self.bytes_in.fetch_add(head.length as u64, Relaxed);
        self.method = head.method.clone();
        self.target = head.target.clone();
        self.user_agent = head.headers.share(Known::UserAgent).unwrap_or_default();
        self.traceparent = head
            .headers
            .share_only(Known::Traceparent)
            .unwrap_or_default();
        if head.length > SHARED {
            for (part, length) in [
                (&mut self.method, 32),
                (&mut self.target, 1024),
                (&mut self.user_agent, 256),
                // Longer than its longest part that is read.
                (&mut self.traceparent, 64),
            ] {
                *part = Bytes::copy_from_slice(&part[..part.len().min(length)]);
            }
        }
    }

    /// Notes who makes it.
    pub(super) fn note_client(&mut self, client: &Arc<Client>) {
        self.client = Some(Arc::clone(client));
        if let Some(lessons) = self.lessons {
            lessons.note_caller(&client.profile.name);
        }
    }

    /// Notes the permit, with the path as it was judged.
    pub(super) fn note_permit(&mut self, admitted: &Arc<Admitted>) {
        self.admitted = Some(Arc::clone(admitted));
        self.unenforced = admitted
            .unenforced()
            .map(|(reason, text)| (reason, text.to_owned()));
        self.rules_to_add = admitted.rules_to_add().to_vec();
    }

    /// Notes the images of the body that go to the engine under other names.
    pub(super) fn note_rewritten_images(&mut self, images: &[(String, String)]) {
        self.rewritten = images.to_vec();
    }

    /// The images that go to the engine under other names, as `FROM=TO`.
    fn rewritten_images(&self) -> String {
        let call = self.admitted.as_ref().map(|admitted| admitted.call());
        let of_call = call.map_or(&[][..], |call| call.rewritten_images());
        let images = of_call.iter().chain(&self.rewritten);
        let pairs: Vec<_> = images.map(|(from, to)| format!("{from}={to}")).collect();
        pairs.join(", ")
    }

    /// Notes that it goes to the engine.
    pub(super) fn note_approval(&mut self) {
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
    pub(super) fn note_unenforced(&mut self, refusal: &Refusal) {
        self.rules_to_add.extend(refusal.rules_to_add());
        self.objection = refusal.objection().cloned().map(Box::new);
        self.unenforced
            .get_or_insert_with(|| (refusal.reason(), refusal.to_string()));
    }

    /// Returns the level of a record: audit mode logs a would-be refusal at the level of a refusal.
    fn level(&self, level: Level) -> Level {
        if self.unenforced.is_some() {
            level.min(Level::Warning)
        } else {
            level
        }
    }

    /// Notes that the engine has received the head of the request: from now on it may act on one
    /// that can change something.
    pub(super) fn note_sent_head(&mut self, method: Method) {
        self.uncertain = !method.is_safe();
    }

    /// Returns the identifier of the request.
    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    /// Returns whether the engine may have acted without saying so.
    pub(super) fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// Notes the engine's status.
    pub(super) fn note_answer(&mut self, status: u16) {
        self.status = status;
        self.uncertain = false;
    }

    /// A stream or tunnel begins: it gets a line now, since its other one may come in days. Its
    /// connection shows it, if the admin listener shows connections.
    pub(super) fn begin_stream(&mut self, entry: Option<Arc<ConnectionEntry>>) {
        if let Some((entry, admitted)) = entry.zip(self.admitted.as_ref()) {
            entry.begin_stream(self.id, admitted);
            self.entry = Some(Arc::clone(&entry));
        }
        if let Some(counters) = self.counters() {
            counters.begin_stream();
            self.is_stream = true;
        }
        let end = RecordEnd::new(
            self.level(Level::Debug),
            RecordMessage::StreamStarted,
            None,
            self.decision_so_far(),
        );
        self.tell(&end, false);
    }

    /// Returns the decision about a request that is not refused.
    fn decision_so_far(&self) -> DecisionKind {
        match (&self.unenforced, self.approved) {
            (Some(_), true) => DecisionKind::WouldDeny,
            (None, true) => DecisionKind::Allowed,
            (_, false) => DecisionKind::Undecided,
        }
    }

    /// Returns the counters of the client's profile; `None` if nothing is counted.
    fn counters(&self) -> Option<&RequestCounters> {
        match &self.client {
            Some(client) => client.counters.as_deref(),
            None => self.metrics.map(Metrics::unidentified),
        }
    }

    /// Counts the outcome. Every request comes here once, whether or not the log shows it.
    fn count(&self, outcome: &Outcome) {
        let Some(counters) = self.counters() else {
            return;
        };
        if self.is_stream {
            counters.end_stream();
        }
        if let Some((reason, _)) = &self.unenforced {
            counters.count_unenforced(*reason);
        }
        let (bytes_in, bytes_out) = (self.bytes_in.load(Relaxed), self.bytes_out.load(Relaxed));
        counters.count_bytes(bytes_in, bytes_out);
        match outcome {
            Outcome::Served => {
                // Streams and transfers take as long as their clients want.
                let is_timed = self
                    .admitted
                    .as_ref()
                    .and_then(|admitted| admitted.call().endpoint())
                    .is_some_and(|endpoint| {
                        matches!(endpoint.answer, Answer::Quick | Answer::Slow)
                    });
                counters.count_served(is_timed.then(|| self.started.elapsed()));
            }
            Outcome::Refused(refusal) => counters.count_refused(refusal.reason()),
            Outcome::ClientDisconnected
            | Outcome::ClientStalled
            | Outcome::MalformedBody
            | Outcome::EngineDisconnected
            | Outcome::UnfilterableAnswer(_)
            | Outcome::ShuttingDown
            | Outcome::OutdatedCertificate
            | Outcome::Panicked => {
                if let Some(reason) = outcome.reason() {
                    counters.count_ended(reason);
                }
            }
        }
    }

    /// Notes the outcome, and counts it.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        if self.ended.is_none() {
            self.count(outcome);
            if let Some(entry) = self.entry.take() {
                entry.end_stream();
            }
        }
        let progress = match (self.uncertain, self.approved) {
            (true, _) => Progress::Uncertain,
            (false, true) => Progress::Allowed,
            (false, false) => Progress::Undecided,
        };
        let mut end = RecordEnd::new(
            outcome.level(),
            outcome.record_message(progress),
            outcome.reason(),
            match outcome {
                Outcome::Refused(_) => DecisionKind::Refused,
                _ => self.decision_so_far(),
            },
        );
        match outcome {
            Outcome::Refused(refusal) => self.describe_refusal(refusal, &mut end),
            Outcome::Panicked => {
                "a bug in Cetusguard: please report it".clone_into(&mut end.detail)
            }
            Outcome::UnfilterableAnswer(why) => end.detail = why.to_string(),
            Outcome::Served
            | Outcome::ClientDisconnected
            | Outcome::ClientStalled
            | Outcome::MalformedBody
            | Outcome::EngineDisconnected
            | Outcome::ShuttingDown
            | Outcome::OutdatedCertificate => end.level = self.level(end.level),
        }
        self.ended = Some(end);
    }

    /// Adds the fields of a refusal.
    fn describe_refusal(&mut self, refusal: &Refusal, end: &mut RecordEnd) {
        self.status = refusal.status();
        self.objection = refusal.objection().cloned().map(Box::new);
        if !self.log.wants_request(end.level) && !self.is_watched() {
            return;
        }
        self.rules_to_add = refusal.rules_to_add();
        let brief = refusal.brief_message();
        if brief.is_some() && self.log.is_enabled(Level::Debug) {
            let line = self
                .log
                .line(Level::Debug, "refusal in full")
                .text("detail", &refusal.to_string());
            self.log.send(line.text("request_id", &self.id.to_string()));
        }
        end.detail = brief.unwrap_or_else(|| refusal.to_string());
        end.path = refusal.call().map(|call| call.path().to_owned());
    }

    /// The path as it was judged; before that, as it came, without the query: it may hold secrets.
    fn path<'r>(&'r self, end: &'r RecordEnd) -> &'r [u8] {
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

    /// Returns whether there are readers of decisions.
    fn is_watched(&self) -> bool {
        self.live.is_some_and(|live| live.decisions.are_watched())
    }

    /// Writes a record to the log, if its level is wanted, and to the readers of decisions.
    fn tell(&self, end: &RecordEnd, ended: bool) {
        let message = end.message.text();
        let wants_request = self.log.wants_request(end.level);
        let live = self.live.filter(|live| live.decisions.are_watched());
        if !wants_request && live.is_none() {
            return;
        }
        let duration = ended.then(|| self.started.elapsed());
        if wants_request {
            self.log
                .send_request(end.level, message, |line| self.compose(line, end, duration));
        }
        if let Some(live) = live {
            let client = self.client.as_deref();
            let decision = FilteredDecision {
                kind: end.decision,
                reason: self
                    .unenforced
                    .as_ref()
                    .map_or(end.reason, |(reason, _)| Some(*reason)),
                profile: client.map_or("", |client| &client.profile.name),
                peer: &self.peer.client,
                container: client.map_or("", Client::container),
                certificate: client.map_or("", Client::certificate),
            };
            live.decisions.tell(&decision, || {
                let line = self.log.json_line(end.level, message);
                self.compose(line, end, duration).finish()
            });
        }
    }

    /// Adds the fields of a record to a line, in whichever format it has. A record without a
    /// duration is about a request that goes on.
    fn compose(&self, line: Line, end: &RecordEnd, duration: Option<Duration>) -> Line {
        let line = line
            .maybe("method", &truncate(&self.method, 32))
            .maybe("path", &truncate(self.path(end), 1024))
            .number("status", u64::from(self.status));
        let line = self.add_decision(self.add_client(line), end);
        let line = self.add_result(line, duration);
        let line = line.maybe("user_agent", &truncate(&self.user_agent, 256));
        let line = match TraceContext::parse(&self.traceparent) {
            Some(trace) => line
                .text("trace_id", trace.trace_id)
                .text("parent_span_id", trace.parent_span_id),
            None => line,
        };
        line.text("request_id", &self.id.to_string())
    }

    /// Adds the client, as far as it is known.
    fn add_client(&self, line: Line) -> Line {
        let line = line
            .text("frontend", &self.peer.frontend)
            .text("client", &self.peer.client);
        match &self.client {
            Some(client) => line
                .maybe("container", client.container())
                .maybe("certificate", client.certificate())
                .text("profile", &client.profile.name),
            None => line,
        }
    }

    /// Adds the decision and its reasons.
    fn add_decision(&self, mut line: Line, end: &RecordEnd) -> Line {
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
            // The status tells how the request ended. The reason tells why the profile would refuse
            // it.
            Some((reason, text)) => line
                .text("decision", WOULD_DENY)
                .text("reason", reason.word())
                .text("detail", text),
            None => line
                .maybe("reason", end.reason.map_or("", Reason::word))
                .maybe("detail", &end.detail),
        };
        line = line
            .maybe(
                "rewritten_images",
                &truncate(self.rewritten_images().as_bytes(), 1024),
            )
            .maybe("add_rules", &self.rules_to_add.join(", "));
        match &self.objection {
            Some(objection) => line.maybe("guard_allow", &list_exceptions(objection)),
            None => line,
        }
    }

    /// Adds the figures of a request that has ended.
    fn add_result(&self, mut line: Line, duration: Option<Duration>) -> Line {
        let Some(duration) = duration else {
            return line;
        };
        if self.uncertain {
            line = line.text("outcome", "unknown");
        }
        line.number("bytes_in", self.bytes_in.load(Relaxed))
            .number("bytes_out", self.bytes_out.load(Relaxed))
            .milliseconds("duration_ms", duration)
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let outcome = match std::thread::panicking() {
                true => Outcome::Panicked,
                false => Outcome::ShuttingDown,
            };
            self.end(&outcome);
        }
        let Some(end) = self.ended.take() else { return };
        self.tell(&end, true);
    }
}
