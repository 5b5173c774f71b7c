//! Step 8: one record a request, opened first and closed last, whatever happens in between.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use cetusguard_policy::{Call, Permit};

use super::identify::Client;
use crate::log::{Level, Log};
use crate::refusal::Refusal;
use crate::wire::RequestHead;

/// How a request ended without a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The answer is complete.
    Complete,
    /// The client left.
    ClientGone,
    /// The request's body went wrong after the answer had begun.
    BadBody,
    /// The engine broke its answer off, or its framing.
    EngineGone,
    /// The program stops.
    Stopped,
}

impl Ended {
    const fn reason(self) -> &'static str {
        match self {
            Self::Complete => "",
            Self::ClientGone => "client_gone",
            Self::BadBody => "malformed_body",
            Self::EngineGone => "engine_gone",
            Self::Stopped => "stopped",
        }
    }

    /// A client that leaves a stream is nothing special; an engine that does is.
    const fn level(self) -> Level {
        match self {
            Self::Complete | Self::ClientGone | Self::Stopped => Level::Debug,
            Self::BadBody => Level::Warning,
            Self::EngineGone => Level::Error,
        }
    }
}

/// What became of one request.
///
/// Dropped without an end, it tells of a request that outlived the program's drain, or of a panic.
#[derive(Debug)]
pub(super) struct Record {
    log: Log,
    id: u64,
    started: Instant,
    client: String,
    profile: String,
    method: String,
    path: String,
    user_agent: String,
    rule: String,
    status: u16,
    ended: Option<(Level, &'static str, &'static str, String)>,
    /// Bytes of the request: head and body.
    pub(super) bytes_in: AtomicU64,
    /// Bytes of the answer's body.
    pub(super) bytes_out: AtomicU64,
}

/// What a client sends may be long, and is kept until somebody reads the log.
fn cut(text: &str, length: usize) -> String {
    text[..text.floor_char_boundary(length)].to_owned()
}

/// Numbers requests; with the start of the program it names one in all logs.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl Record {
    /// Opens the record of the next request.
    pub(super) fn open(client: &Client, log: &Log) -> Self {
        Self {
            log: log.clone(),
            id: REQUESTS.fetch_add(1, Relaxed) + 1,
            started: Instant::now(),
            client: client.name.clone(),
            profile: client.profile.name.clone(),
            method: String::new(),
            path: String::new(),
            user_agent: String::new(),
            rule: String::new(),
            status: 0,
            ended: None,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// Notes the head as it came. The target's query stays out: it may hold secrets.
    pub(super) fn received(&mut self, head: &RequestHead) {
        self.bytes_in.fetch_add(head.len() as u64, Relaxed);
        self.method = cut(head.method(), 32);
        self.path = cut(head.target().split('?').next().unwrap_or_default(), 1024);
        self.user_agent = cut(head.headers.get("user-agent").unwrap_or_default(), 256);
    }

    /// Notes the path as it is judged.
    pub(super) fn read(&mut self, call: &Call) {
        self.path = cut(call.path(), 1024);
    }

    /// Notes the rule that allows it.
    pub(super) fn permitted(&mut self, permit: &Permit) {
        self.rule = format!("{}: {}", permit.rule().position, permit.rule());
    }

    /// Notes the engine's status.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// A stream or tunnel begins: it gets a line now, since its other one may come in days.
    pub(super) fn streams(&self) {
        if self.log.takes(Level::Debug) {
            self.write(Level::Debug, "stream started", "", "", false);
        }
    }

    /// Notes the end.
    pub(super) fn end(&mut self, ended: Ended) {
        let message = match ended {
            Ended::EngineGone => "answer cut",
            Ended::BadBody => "request cut",
            Ended::Complete | Ended::ClientGone | Ended::Stopped if self.rule.is_empty() => "request abandoned",
            Ended::Complete | Ended::ClientGone | Ended::Stopped => "request allowed",
        };
        self.ended = Some((ended.level(), message, ended.reason(), String::new()));
    }

    /// Notes a refusal with its text.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let message = if refusal.level() == Level::Error { "request failed" } else { "request refused" };
        self.status = refusal.status();
        self.ended = Some((refusal.level(), message, refusal.code(), refusal.to_string()));
    }

    fn write(&self, level: Level, message: &str, reason: &str, detail: &str, ended: bool) {
        let mut line = self
            .log
            .line(level, message)
            .maybe("method", &self.method)
            .maybe("path", &self.path)
            .number("status", u64::from(self.status))
            .text("client", &self.client)
            .text("profile", &self.profile)
            .maybe("rule", &self.rule)
            .maybe("reason", reason)
            .maybe("detail", detail);
        if ended {
            let duration = self.started.elapsed();
            line = line
                .number("bytes_in", self.bytes_in.load(Relaxed))
                .number("bytes_out", self.bytes_out.load(Relaxed))
                .text("duration", &format!("{}.{:03}ms", duration.as_millis(), duration.subsec_micros() % 1000));
        }
        self.log.send(line.maybe("user_agent", &self.user_agent).number("request_id", self.id));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended.is_none() && std::thread::panicking() {
            self.ended =
                Some((Level::Error, "request failed", "internal", "a bug in Cetusguard: please report it".to_owned()));
        } else if self.ended.is_none() {
            self.end(Ended::Stopped);
        }
        let Some((level, message, reason, detail)) = self.ended.take() else { return };
        if self.log.takes(level) {
            self.write(level, message, reason, &detail, true);
        }
    }
}
