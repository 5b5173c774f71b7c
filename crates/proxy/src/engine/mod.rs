//! The requests that the proxy itself makes to the engine: lists of containers, events, and details
//! of one object.
//!
//! Requests of clients take another way: of their bytes, only the escaped word for an object
//! reaches the engine through here. Every request has a deadline, so that an engine that never
//! answers cannot hold a client or a lock for ever.

mod arriving;
pub(crate) mod backend;
mod events;
mod joins;
mod list;
mod listed;
mod missing;
mod objects;
mod own;
mod owned;
mod probe;
pub(crate) mod reaper;
mod registry;
mod usage;

pub(crate) use events::follow;
pub(crate) use listed::{ListedVisibility, is_listed_by};
pub use missing::MissingAnswer;
pub use objects::inspection_target;
pub(crate) use objects::{InspectedContainer, ObjectLookup, Objects};
pub use own::Own;
pub(crate) use owned::{KINDS, create_volume, list_owned_kind};
pub use owned::{Owned, list_owned, remove_owned};
pub use probe::{EngineVersion, PROBE_PATIENCE, UnusableEngine, probe_engine};
pub(crate) use registry::{Containers, Origin, Unknown};
pub(crate) use usage::count_usage;

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::engine::backend::{Backend, Unreachable};
use cetusguard_http1::{
    Body, Duplex, HeadError, ResponseHead, read_content, read_response_head, response_framing,
};

/// The user agent of the proxy's own requests.
const AGENT: &str = "cetusguard";

/// The time in which the engine has to answer a request for containers, events or other objects.
const DEADLINE: Duration = Duration::from_secs(5);

/// The reason why there is no usable answer of the engine.
#[derive(Debug)]
pub enum EngineError {
    /// The engine cannot be reached.
    Unreachable(Unreachable),
    /// The engine answers this target with another status than 200.
    Status(u16, String),
    /// The engine does not answer this target before the deadline.
    Late(String),
    /// Too many other requests to the engine were under way for this target to get its turn.
    Busy(String),
    /// The answer cannot be used, for this reason.
    Answer(String),
}

impl EngineError {
    /// Returns the reason without the target, which may name an object that a client does not see.
    pub(crate) fn summary(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "it cannot be reached",
            Self::Status(..) => "it answered a question about an object with an error",
            Self::Late(_) => "it did not answer a question about an object in time",
            Self::Busy(_) => "too many requests wait for its answers",
            Self::Answer(_) => "its answer about an object cannot be used",
        }
    }
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::Status(status, target) => write!(f, "the engine answered {status} to {target}"),
            Self::Late(target) => write!(f, "the engine did not answer to {target} in time"),
            Self::Busy(target) => write!(
                f,
                "{target} is not requested from the engine, since too many requests wait for the \
                engine's answers"
            ),
            Self::Answer(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for EngineError {}

/// Runs an exchange with the engine under a deadline.
async fn with_deadline<T>(
    deadline: Duration,
    target: &str,
    exchange: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    timeout(deadline, exchange)
        .await
        .unwrap_or_else(|_| Err(EngineError::Late(target.to_owned())))
}

/// Sends a request and reads the head of the answer. The caller reads the body and sets the
/// deadline.
async fn request_ok(backend: &Backend, target: &str) -> Result<(Duplex, Body), EngineError> {
    match request(AGENT, backend, target).await? {
        (200, stream, body) => Ok((stream, body)),
        (status, ..) => Err(EngineError::Status(status, target.to_owned())),
    }
}

/// Sends a request and reads the head of an answer of any status.
async fn request(
    agent: &str,
    backend: &Backend,
    target: &str,
) -> Result<(u16, Duplex, Body), EngineError> {
    send("GET", agent, backend, target, "").await
}

/// A request of the proxy's own.
#[derive(Clone, Debug)]
struct OwnCall<'c> {
    agent: &'c str,
    method: &'c str,
    target: String,
    /// More lines of the head, each with its end.
    lines: &'c str,
    /// The body; empty if there is none.
    json: &'c str,
}

impl Default for OwnCall<'_> {
    fn default() -> Self {
        Self {
            agent: AGENT,
            method: "GET",
            target: String::new(),
            lines: "",
            json: "",
        }
    }
}

/// Sends a request of any method, with this JSON or without a body, and reads the head of its
/// answer.
async fn send(
    method: &str,
    agent: &str,
    backend: &Backend,
    target: &str,
    json: &str,
) -> Result<(u16, Duplex, Body), EngineError> {
    let call = OwnCall {
        agent,
        method,
        target: target.to_owned(),
        json,
        ..OwnCall::default()
    };
    let (head, stream, body) = send_call(backend, &call).await?;
    Ok((head.status, stream, body))
}

/// Sends a request and reads the head of its answer.
async fn send_call(
    backend: &Backend,
    call: &OwnCall<'_>,
) -> Result<(ResponseHead, Duplex, Body), EngineError> {
    let OwnCall {
        agent,
        method,
        target,
        lines,
        json,
    } = call;
    let counted = backend.begin_own_request();
    let mut stream = backend.connect().await.map_err(EngineError::Unreachable)?;
    let via = backend.via();
    let about_body = match json.len() {
        0 => String::new(),
        length => {
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
        }
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: docker\r\nUser-Agent: {agent}\r\nVia: \
        {via}\r\n{lines}{about_body}\r\n{json}"
    );
    let sent = async {
        stream
            .output
            .write_all(request.as_bytes())
            .await
            .and(stream.output.flush().await)
    };
    sent.await
        .map_err(|error| EngineError::Answer(format!("the engine's connection broke: {error}")))?;
    let garbage = |error: HeadError| {
        EngineError::Answer(format!("the engine did not answer to {target}: {error}"))
    };
    let head = read_response_head(&mut stream.input)
        .await
        .map_err(garbage)?;
    let framing = response_framing(&head, false).map_err(garbage)?;
    counted.note_answer();
    Ok((head, stream, Body::new(framing)))
}

/// The largest answer about a single object.
const ANSWER_LIMIT: usize = 4 << 20;

/// The engine's answer about one object.
#[derive(Debug)]
pub enum ObjectAnswer {
    /// The description of the object.
    Answer(Vec<u8>),
    /// The body of the answer that the object does not exist.
    Missing(Vec<u8>),
}

/// Fetches a small answer before the deadline.
///
/// # Errors
/// The engine cannot be reached, is late, or answers with another status than 200 and 404.
pub async fn fetch(
    backend: &Backend,
    target: &str,
    deadline: Duration,
) -> Result<ObjectAnswer, EngineError> {
    fetch_as(AGENT, backend, target, deadline).await
}

/// Fetches a small answer before the deadline, with a user agent that tells the engine's log which
/// part of the program asks.
pub(crate) async fn fetch_as(
    agent: &str,
    backend: &Backend,
    target: &str,
    deadline: Duration,
) -> Result<ObjectAnswer, EngineError> {
    let exchange = async {
        match request(agent, backend, target).await? {
            (200, stream, body) => read_answer(stream, body, ANSWER_LIMIT, target)
                .await
                .map(ObjectAnswer::Answer),
            (404, stream, body) => read_answer(stream, body, ANSWER_LIMIT, target)
                .await
                .map(ObjectAnswer::Missing),
            (status, ..) => Err(EngineError::Status(status, target.to_owned())),
        }
    };
    with_deadline(deadline, target, exchange).await
}

/// Fetches an answer of any status, of at most `limit` bytes, before the deadline.
async fn fetch_any(
    backend: &Backend,
    call: &OwnCall<'_>,
    limit: usize,
    deadline: Duration,
) -> Result<(ResponseHead, Vec<u8>), EngineError> {
    let exchange = async {
        let (head, stream, body) = send_call(backend, call).await?;
        let body = read_answer(stream, body, limit, &call.target).await?;
        Ok((head, body))
    };
    with_deadline(deadline, &call.target, exchange).await
}

/// The size, in bytes, from which on an answer is read on another thread: a client can give a
/// container a megabyte of labels.
const LARGE: usize = 32 << 10;
/// The turns for large answers that are read. One bound for the whole process, since it limits the
/// memory of the process; a proxy has one engine, so a field would hold the same.
static READING: Semaphore = Semaphore::const_new(2);

/// Reads a complete answer, on another thread if it is large.
async fn read_apart<T: Send + 'static>(
    answer: Vec<u8>,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, EngineError> {
    if answer.len() <= LARGE {
        return Ok(read(&answer));
    }
    // The semaphore lives as long as the program.
    let _turn = READING.acquire().await;
    spawn_blocking(move || read(&answer))
        .await
        .map_err(|error| EngineError::Answer(error.to_string()))
}

async fn read_answer(
    mut stream: Duplex,
    mut body: Body,
    limit: usize,
    target: &str,
) -> Result<Vec<u8>, EngineError> {
    let mut answer = Vec::new();
    let broken = |_| EngineError::Answer(format!("the engine broke off its answer to {target}"));
    while read_content(&mut stream.input, &mut body, &mut answer)
        .await
        .map_err(broken)?
    {
        if answer.len() > limit {
            let size = limit >> 20;
            return Err(EngineError::Answer(format!(
                "the engine's answer to {target} is larger than {size} MiB"
            )));
        }
    }
    Ok(answer)
}
