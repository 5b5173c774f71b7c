//! What the proxy itself asks the engine: which containers there are, and what happens to them.
//!
//! Clients' requests take another way; nothing that a client sends reaches the engine through here.

mod events;
mod list;
mod objects;
mod own;
mod registry;

pub(crate) use events::follow;
pub(crate) use objects::{Found, Objects};
pub(crate) use own::Own;
pub(crate) use registry::{Containers, Unknown};

use crate::backend::{Backend, Unreachable};
use crate::wire::{Body, Duplex, HeadError, read_content, read_response_head, response_framing};
use tokio::io::AsyncWriteExt;

/// Why the engine's answer is of no use.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It cannot be reached.
    Unreachable(Unreachable),
    /// It answers with another status than 200.
    Status(u16, String),
    /// It does not answer with 200 and what was asked for; what happened instead.
    Answer(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::Status(status, target) => write!(f, "the engine answered {status} to {target}"),
            Self::Answer(what) => f.write_str(what),
        }
    }
}

/// Asks for a target, and waits for the head of the answer. The body is still to be read.
async fn get(backend: &Backend, target: &str) -> Result<(Duplex, Body), Trouble> {
    match request(backend, target).await? {
        (200, stream, body) if !body.is_done() => Ok((stream, body)),
        (status, ..) => Err(Trouble::Status(status, target.to_owned())),
    }
}

/// Asks for a target, and waits for the head of an answer of any status.
async fn request(backend: &Backend, target: &str) -> Result<(u16, Duplex, Body), Trouble> {
    let mut stream = backend.connect().await.map_err(Trouble::Unreachable)?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: docker\r\nUser-Agent: cetusguard\r\n\r\n");
    let sent = async { stream.output.write_all(request.as_bytes()).await.and(stream.output.flush().await) };
    sent.await.map_err(|error| Trouble::Answer(format!("the engine's connection broke: {error}")))?;
    let garbage = |error: HeadError| Trouble::Answer(format!("the engine did not answer to {target}: {error}"));
    let head = read_response_head(&mut stream.input).await.map_err(garbage)?;
    let framing = response_framing(&head, false).map_err(garbage)?;
    Ok((head.status, stream, Body::new(framing)))
}

/// The answer to one request of ours is not longer.
const ANSWER_LIMIT: usize = 4 << 20;

/// The engine's answer to a question about one thing.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The thing.
    Answer(Vec<u8>),
    /// There is no such thing; the body of the answer says so.
    Missing(Vec<u8>),
}

/// Asks for something small.
pub(crate) async fn fetch(backend: &Backend, target: &str) -> Result<Asked, Trouble> {
    let (status, mut stream, mut body) = request(backend, target).await?;
    if !matches!(status, 200 | 404) {
        return Err(Trouble::Status(status, target.to_owned()));
    }
    let mut answer = Vec::new();
    let broken = |_| Trouble::Answer(format!("the engine broke off its answer to {target}"));
    while read_content(&mut stream.input, &mut body, &mut answer).await.map_err(broken)? {
        if answer.len() > ANSWER_LIMIT {
            return Err(Trouble::Answer(format!("the engine's answer to {target} is larger than 4 MiB")));
        }
    }
    Ok(if status == 404 { Asked::Missing(answer) } else { Asked::Answer(answer) })
}
