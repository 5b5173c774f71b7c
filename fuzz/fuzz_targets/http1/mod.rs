//! Drives the HTTP/1.1 crate with input that arrives in pieces.
#![allow(dead_code, reason = "each target uses a part")]

use bytes::{Buf, Bytes, BytesMut};
use cetusguard_http1::{
    Body, Framing, Headers, cut_head, parse_request_head, parse_response_head, request_framing,
    response_framing,
};

/// A head as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Method and target of a request, status and reason of an answer.
    pub start: [Vec<u8>; 2],
    /// Names and values in their order.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The framing of the body, or the error that makes it uncertain.
    pub framing: Result<String, String>,
    /// The bytes behind the head.
    pub rest: Vec<u8>,
}

impl Head {
    fn new(
        start: [Vec<u8>; 2],
        headers: &Headers,
        framing: Result<Framing, impl ToString>,
        rest: &[u8],
    ) -> Self {
        let fields = headers
            .iter()
            .map(|(_, name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        let framing = framing
            .map(|framing| format!("{framing:?}"))
            .map_err(|error| error.to_string());
        Self {
            start,
            fields,
            framing,
            rest: rest.to_vec(),
        }
    }
}

/// Reads a request's head that arrives in pieces of a size; `None` where it is refused or not
/// complete.
pub fn read_request(bytes: &[u8], piece: usize) -> Option<Head> {
    let (raw, rest) = cut(bytes, piece, true)?;
    let head = parse_request_head(raw).ok()?;
    let start = [head.method.to_vec(), head.target.to_vec()];
    Some(Head::new(
        start,
        &head.headers,
        request_framing(&head.headers),
        &rest,
    ))
}

/// Reads the head of an answer that arrives in pieces of a size; `None` where it is garbage or not
/// complete.
pub fn read_response(bytes: &[u8], piece: usize, to_head: bool) -> Option<Head> {
    let (raw, rest) = cut(bytes, piece, false)?;
    let head = parse_response_head(raw).ok()?;
    let start = [head.status.to_string().into_bytes(), head.reason.to_vec()];
    Some(Head::new(
        start,
        &head.headers,
        response_framing(&head, to_head),
        &rest,
    ))
}

/// Cuts off the head at the front of bytes that arrive in pieces of a size; returns the bytes
/// behind it as well.
fn cut(bytes: &[u8], piece: usize, request: bool) -> Option<(Bytes, Vec<u8>)> {
    let (mut buffer, mut scanned, mut ahead) = (BytesMut::new(), 0, bytes);
    while !ahead.is_empty() {
        let (arrived, later) = ahead.split_at(piece.clamp(1, ahead.len()));
        buffer.extend_from_slice(arrived);
        ahead = later;
        if let Some(raw) = cut_head(&mut buffer, &mut scanned, request).ok()? {
            return Some((raw, [&buffer, ahead].concat()));
        }
    }
    None
}

/// A chunked body as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    /// The content, without the framing.
    pub content: Vec<u8>,
    /// The bytes that belong to it.
    pub length: usize,
    /// Its end has arrived.
    pub is_done: bool,
    /// The coding is not in the one strict form.
    pub is_garbage: bool,
}

/// Decodes a chunked body that arrives in pieces.
pub fn decode_chunked<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Chunked {
    let (mut body, mut read) = (Body::new(Framing::Chunked), Chunked::default());
    for piece in pieces {
        let Ok(taken) = body.take(piece, &mut read.content) else {
            return Chunked {
                is_garbage: true,
                ..read
            };
        };
        read.length += taken;
    }
    Chunked {
        is_done: body.is_done(),
        ..read
    }
}

/// Passes a chunked body on that arrives in pieces, of which the receiver takes so many bytes at a
/// time. The content is then everything that was sent, framing included.
pub fn pass_chunked<'p>(pieces: impl Iterator<Item = &'p [u8]>, at_a_time: usize) -> Chunked {
    let (mut body, mut passed, mut buffer) = (
        Body::new(Framing::Chunked),
        Chunked::default(),
        BytesMut::new(),
    );
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let Ok(ready) = body.check(&buffer) else {
                return Chunked {
                    is_garbage: true,
                    ..passed
                };
            };
            if ready == 0 {
                break;
            }
            let sent = ready.min(at_a_time.max(1));
            passed.content.extend_from_slice(&buffer[..sent]);
            passed.length += sent;
            buffer.advance(sent);
            body.sent(sent);
        }
    }
    Chunked {
        is_done: body.is_done(),
        ..passed
    }
}
