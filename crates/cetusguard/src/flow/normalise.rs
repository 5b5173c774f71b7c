//! Normalise: from a head to the canonical call, and to what has to be known of the message around
//! it.

use cetusguard_policy::Call;
use cetusguard_policy::endpoint::Answer;

use super::Proxy;
use super::listen::Conn;
use crate::refusal::Refusal;
use crate::wire::{Body, Framing, HeadError, Headers, Known, RequestHead, request_framing};

/// A request without its request line: what goes on beside the judged call.
#[derive(Debug)]
pub(super) struct Message {
    /// The headers as the client sent them.
    pub(super) headers: Headers,
    /// How the body is framed; it is passed on with this framing.
    pub(super) framing: Framing,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// Reads a head in the one way that the engine reads it, or refuses it.
///
/// From here on the connection knows where this request's body ends; before that it must not be
/// used again.
pub(super) fn normalise(
    head: RequestHead,
    conn: &mut Conn,
    proxy: &Proxy,
) -> Result<(Call, Message), Refusal> {
    let framing = request_framing(&head.headers).map_err(Refusal::Head)?;
    conn.body = Some(Body::new(framing));
    conn.closes = head.headers.has_token(Known::Connection, "close");
    conn.tunnels = head.headers.all(Known::Upgrade).next().is_some();
    conn.to_head = head.method == "HEAD";
    if head.headers.has_token(Known::Via, proxy.backend.via()) {
        return Err(Refusal::ProxyLoop);
    }
    let call = Call::read(text(&head.method)?, text(&head.target)?).map_err(Refusal::Target)?;
    conn.tunnels |= call
        .endpoint()
        .is_some_and(|endpoint| matches!(endpoint.answer, Answer::Tunnel(_)));
    let headers = head.headers;
    let expects_continue =
        framing != Framing::None && headers.has_token(Known::Expect, "100-continue");
    Ok((
        call,
        Message {
            headers,
            framing,
            expects_continue,
        },
    ))
}

fn text(part: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(part).map_err(|_| Refusal::Head(HeadError::Garbage))
}
