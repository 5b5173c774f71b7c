//! The parts of the journey that fuzz targets drive: from a head that was read to the one that goes
//! on.

use cetusguard_policy::Call;

use super::answer::{framing_lines, response_head};
use super::normalise::Message;
use super::request_head::{Withheld, request_head, upgrade_of};
use cetusguard_http1::{RequestHead, ResponseHead, request_framing, response_framing};

/// Writes the head that the engine gets for a request, as if its rules allowed it; `None` where the
/// request is refused. A `judged` body follows it.
pub(crate) fn forwarded_request(
    head: RequestHead,
    via: &str,
    judged: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let framing = request_framing(&head.headers).ok()?;
    let [method, target] = [&head.method, &head.target].map(|part| std::str::from_utf8(part));
    let call = Call::read(method.ok()?, target.ok()?).ok()?;
    let message = Message {
        headers: head.headers,
        framing,
        expects_continue: false,
    };
    Some(request_head(
        &call,
        &message,
        upgrade_of(&call, &message),
        via,
        judged,
        Withheld::default(),
    ))
}

/// Writes the head that the client gets of an answer; `None` where the answer is not passed on.
pub(crate) fn forwarded_response(
    head: &ResponseHead,
    to_head: bool,
    close: bool,
) -> Option<Vec<u8>> {
    response_framing(head, to_head).ok()?;
    Some(response_head(head, &framing_lines(head), close))
}
