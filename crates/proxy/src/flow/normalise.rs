//! Normalise: from a head to the canonical call, and to the message around it.

use cetusguard_policy::Call;

use super::Proxy;
use crate::outcome::refusal::Refusal;
use cetusguard_http1::{Framing, HeadError, Headers, Known, RequestHead, request_framing};

/// The facts in a head that decide where the request ends, and about the connection after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The framing of the body.
    pub(super) framing: Framing,
    /// The client closes the connection after the answer.
    pub(super) closes: bool,
    /// The client asks to upgrade the connection.
    pub(super) asks_for_upgrade: bool,
    /// The client asks for a head alone.
    pub(super) is_head: bool,
}

impl Default for Frame {
    /// Returns the frame of a request without a body.
    fn default() -> Self {
        Self {
            framing: Framing::None,
            closes: false,
            asks_for_upgrade: false,
            is_head: false,
        }
    }
}

/// A request without its request line: the part that is forwarded beside the judged call.
#[derive(Debug)]
pub(super) struct Message {
    /// The headers as the client sent them.
    pub(super) headers: Headers,
    /// The framing of the body, with which it is passed on.
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// Reads the frame of a request. A head without an unambiguous frame is refused, and the connection
/// cannot be used again.
pub(super) fn read_frame(head: &RequestHead) -> Result<Frame, Refusal> {
    Ok(Frame {
        framing: request_framing(&head.headers).map_err(Refusal::Head)?,
        closes: head.headers.has_token(Known::Connection, "close"),
        asks_for_upgrade: head.headers.all(Known::Upgrade).next().is_some(),
        is_head: head.method == "HEAD",
    })
}

/// Reads the call. Refuses a request that the engine could read differently.
pub(super) fn read_call(head: &RequestHead, proxy: &Proxy) -> Result<Call, Refusal> {
    if head.headers.has_token(Known::Via, proxy.backend.via()) {
        return Err(Refusal::ProxyLoop);
    }
    let text = |part| std::str::from_utf8(part).map_err(|_| Refusal::Head(HeadError::Garbage));
    Call::read(text(&head.method)?, text(&head.target)?).map_err(Refusal::Target)
}

impl Message {
    /// Takes the headers out of a head.
    pub(super) fn new(head: RequestHead, framing: Framing) -> Self {
        let headers = head.headers;
        let expects_continue =
            framing != Framing::None && headers.has_token(Known::Expect, "100-continue");
        Self {
            headers,
            framing,
            expects_continue,
        }
    }
}
