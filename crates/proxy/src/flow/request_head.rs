//! The head of the engine's request. It is written from the judged call: only the end-to-end headers
//! of the client go with it, and the body that was judged in place of the client's.

use cetusguard_http1::{Framing, Known};
use cetusguard_policy::Call;
use cetusguard_policy::endpoint::{Answer, EndpointId, Protocol};

use super::normalise::Message;

/// The upgrade to pass on: only where the endpoint hijacks, and only the protocol that it hijacks
/// for.
pub(super) fn upgrade_of(call: &Call, message: &Message) -> Option<Protocol> {
    let Answer::Tunnel(protocol) = call.endpoint()?.answer else {
        return None;
    };
    let asked = message.headers.get(Known::Upgrade)?;
    // Engines do not look at the value for attach and exec, and clients differ in it.
    (protocol == Protocol::Tcp || asked.eq_ignore_ascii_case(protocol.token())).then_some(protocol)
}

/// The headers of the client that the engine does not get.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withheld {
    /// The encodings that the client takes: an answer that is filtered must not be compressed.
    pub(super) encodings: bool,
    /// The credentials for a registry other than that of the image's new name.
    pub(super) registry_credentials: bool,
}

/// The value of `X-Registry-Auth` for no credentials: `{}`, in base64.
const NO_CREDENTIALS: &[u8] = b"e30=";

/// Returns whether a header holds credentials for registries. Podman reads both for every call, and
/// prefers the second (Podman `pkg/auth`).
fn is_registry_credential(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"x-registry-auth") || name.eq_ignore_ascii_case(b"x-registry-config")
}

/// The request's head, from the judged call, with the body that was judged.
pub(super) fn request_head(
    call: &Call,
    message: &Message,
    upgrade: Option<Protocol>,
    via: &str,
    judged: Option<&[u8]>,
    withheld: Withheld,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(512 + judged.map_or(0, <[u8]>::len));
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| head.extend_from_slice(part));
    put(&[
        call.method().as_str().as_bytes(),
        b" ",
        call.target().as_bytes(),
        b" HTTP/1.1\r\nHost: docker\r\n",
    ]);
    for (known, name, value) in message.headers.end_to_end() {
        let is_replaced = judged.is_some() && known == Known::ContentType;
        let is_unwanted = withheld.encodings && known == Known::AcceptEncoding
            || withheld.registry_credentials && is_registry_credential(name);
        // Credentials for a proxy on the way must not reach the engine; Expect is answered here.
        let is_for_proxy = matches!(
            known,
            Known::Host | Known::Expect | Known::Authorization | Known::Session
        );
        if !is_replaced && !is_unwanted && !is_for_proxy {
            put(&[name, b": ", value, b"\r\n"]);
        }
    }
    // Without the header, a service keeps the credentials that it was given for its former image.
    let keeps_credentials = call
        .endpoint()
        .is_some_and(|endpoint| endpoint.id == EndpointId::ServiceUpdate);
    if withheld.registry_credentials && keeps_credentials {
        put(&[b"X-Registry-Auth: ", NO_CREDENTIALS, b"\r\n"]);
    }
    // After the `Via` headers of other proxies.
    put(&[b"Via: ", via.as_bytes(), b"\r\n"]);
    match judged {
        Some(body) if !body.is_empty() => put(&[b"Content-Type: application/json\r\n"]),
        _ => {}
    }
    match judged.map_or(message.framing, |body| {
        judged_framing(body, message.framing)
    }) {
        Framing::Length(length) => {
            put(&[b"Content-Length: ", length.to_string().as_bytes(), b"\r\n"])
        }
        Framing::Chunked => put(&[b"Transfer-Encoding: chunked\r\n"]),
        Framing::None | Framing::UntilClose => {}
    }
    if let Some(protocol) = upgrade {
        put(&[
            b"Connection: Upgrade\r\nUpgrade: ",
            protocol.token().as_bytes(),
            b"\r\n",
        ]);
    }
    put(&[b"\r\n", judged.unwrap_or_default()]);
    head
}

/// A body that was judged is there as a whole; where the client has sent none, none is sent.
fn judged_framing(body: &[u8], own: Framing) -> Framing {
    if own == Framing::None && body.is_empty() {
        Framing::None
    } else {
        Framing::Length(body.len() as u64)
    }
}
