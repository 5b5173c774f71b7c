//! Access for fuzz targets to private parts of the program. Fuzz builds alone have it:
//! `cfg(fuzzing)`.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use clap::ArgMatches;

use crate::command::log_lines::requests;
use crate::config::file::File;
use crate::config::meant::Config;
use crate::config::written::Written;
use crate::config::{Mistake, grammar};
use crate::flow::fuzzing::{forwarded_request, forwarded_response};
use crate::log::{Format, Level, Line};
use crate::wire::{
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
    /// Returns the framing of the body, or the error that makes it uncertain.
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
#[must_use]
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

/// Writes the head of the engine's request for a client's, and the judged body behind it; `None`
/// where that is refused.
#[must_use]
pub fn forward_request(bytes: &[u8], via: &str, judged: Option<&[u8]>) -> Option<Vec<u8>> {
    let (raw, _) = cut(bytes, bytes.len(), true)?;
    forwarded_request(parse_request_head(raw).ok()?, via, judged)
}

/// Reads the head of an answer that arrives in pieces of a size; `None` where it is garbage or not
/// complete.
#[must_use]
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

/// Writes the head of the client's answer for the engine's; `None` where that is not passed on.
#[must_use]
pub fn forward_response(bytes: &[u8], to_head: bool, close: bool) -> Option<Vec<u8>> {
    let (raw, _) = cut(bytes, bytes.len(), false)?;
    forwarded_response(&parse_response_head(raw).ok()?, to_head, close)
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
#[must_use]
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
#[must_use]
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

/// A fault of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationMistake {
    /// The line of the file, where the mistake is at one place.
    pub line: Option<usize>,
    /// The message for the user.
    pub message: String,
}

static NO_FLAGS: LazyLock<ArgMatches> =
    LazyLock::new(|| grammar().get_matches_from(["cetusguard"]));

/// Reads a configuration file of this text, and its meaning unless other files or the network would
/// have to be asked: returns the mistakes of the file itself, and those of its meaning.
#[must_use]
pub fn read_configuration(text: &str) -> [Vec<ConfigurationMistake>; 2] {
    let mut in_file = Vec::new();
    let file = File::read("fuzz", text, &mut in_file);
    let mut mistakes = Vec::new();
    let written = Written::beside(Some(file), &NO_FLAGS, &HashMap::new(), &mut mistakes);
    let asks_network = written
        .all("backend-addr")
        .iter()
        .any(|(address, _)| address.starts_with("tcp"));
    if written.files().is_empty() && !asks_network {
        mistakes = Config::mean(&written, mistakes)
            .err()
            .map(|all| all.0)
            .unwrap_or_default();
    }
    [in_file, mistakes].map(|mistakes| mistakes.iter().map(told).collect())
}

fn told(mistake: &Mistake) -> ConfigurationMistake {
    let place = match mistake {
        Mistake::Option { .. } => None,
        Mistake::File { spot, .. } => Some(spot.place()),
        Mistake::Rule(wrong) => Some(wrong.in_one_line()),
    };
    let line = place.and_then(|place| place.strip_prefix("fuzz:")?.split(':').next()?.parse().ok());
    ConfigurationMistake {
        line,
        message: mistake.to_string(),
    }
}

/// Writes a record as the log does, as JSON or as logfmt.
#[must_use]
pub fn write_log(json: bool, message: &str, fields: &[(&str, &str)]) -> String {
    let format = if json { Format::Json } else { Format::Logfmt };
    let line = Line::new(format, Level::Info, message);
    fields
        .iter()
        .fold(line, |line, (key, value)| line.text(key, value))
        .finish()
}

/// Reads the records about requests in a log: these fields of each.
#[must_use]
pub fn read_log(text: &str, keys: &[&str]) -> Vec<Vec<String>> {
    let lines = requests("fuzz", text).unwrap_or_default();
    lines
        .iter()
        .map(|line| keys.iter().map(|key| line.get(key).to_owned()).collect())
        .collect()
}
