//! Request and response heads.
//!
//! `httparse` reads the tokens; this module rejects every head that `httparse` accepts and other
//! parsers read differently.

use std::fmt;
use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};

use super::body::Framing;
use super::headers::{Headers, Known};
use super::stream::Input;

/// The most that a head may measure, in bytes, and in lines.
const HEAD_LIMIT: usize = 64 << 10;
const HEADER_LIMIT: usize = 128;

/// The part of an unfinished head that every connection may hold, in bytes. [`ReadBudget`] bounds
/// the number of those that have more at the same time.
///
/// [`ReadBudget`]: super::ReadBudget
const COMMON_HEAD: usize = 8 << 10;

/// The reason why a head is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The peer closed or broke the connection within or before the head.
    Closed,
    /// More than 64 KiB, or more than 128 headers.
    TooLarge,
    /// More than 8 KiB, while too many others are as large.
    TooManyLarge,
    /// The preface of HTTP/2.
    Http2,
    /// HTTP/1.0 or older.
    Version,
    /// A line that ends without CR.
    BareLf,
    /// A first byte that starts no method; TLS sent to a plain port looks like it.
    NotHttp,
    /// Anything else that is no head.
    Garbage,
    /// `Content-Length` together with `Transfer-Encoding`.
    LengthAndEncoding,
    /// A `Content-Length` that stands twice or is no plain number.
    Length,
    /// A `Transfer-Encoding` that is not one `chunked`.
    Encoding,
    /// A header that must stand once and stands twice.
    Repeated(&'static str),
    /// A gRPC call: some engines route it past every path.
    Grpc,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection ended within the head",
            Self::TooLarge => "the head is larger than 64 KiB or has more than 128 headers",
            Self::TooManyLarge => {
                "too many requests with heads above 8 KiB arrive at the same \
                time; try again"
            }
            Self::Http2 => "HTTP/2 is not spoken here; use HTTP/1.1",
            Self::Version => "only HTTP/1.1 is spoken here",
            Self::BareLf => "a line of the head ends with LF alone; send CR LF",
            Self::NotHttp => "this is not HTTP; a TLS client must use a TLS frontend",
            Self::Garbage => "the head is not valid HTTP/1.1",
            Self::LengthAndEncoding => {
                "Content-Length and Transfer-Encoding together leave two \
                ways to read the body"
            }
            Self::Length => "Content-Length must occur once and be a plain number",
            Self::Encoding => "the only accepted Transfer-Encoding is a single 'chunked'",
            Self::Repeated(name) => return write!(f, "the header {name} occurs more than once"),
            Self::Grpc => {
                "gRPC is not spoken here; Docker's clients fall back to /session and \
                /grpc with an upgrade"
            }
        })
    }
}

impl std::error::Error for HeadError {}

/// No real client names more headers in `Connection`, and each costs a comparison with every
/// header.
const NAMED_LIMIT: usize = 32;

/// A request's head, tokens checked, meaning not.
#[derive(Debug)]
pub struct RequestHead {
    /// The size of the head in bytes.
    pub length: usize,
    /// The method, byte for byte.
    pub method: Bytes,
    /// The target, byte for byte.
    pub target: Bytes,
    /// Its headers.
    pub headers: Headers,
}

/// A response's head.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The engine's own words for it.
    pub reason: Bytes,
    /// The connection stays open after the answer.
    pub keep_alive: bool,
    /// Its headers.
    pub headers: Headers,
}

/// Reads the next request's head. Bytes behind it stay in the buffer.
pub async fn read_request_head(input: &mut Input) -> Result<RequestHead, HeadError> {
    parse_request_head(next_head(input, true).await?)
}

/// Reads a response's head. Bytes behind it stay in the buffer.
pub async fn read_response_head(input: &mut Input) -> Result<ResponseHead, HeadError> {
    parse_response_head(next_head(input, false).await?)
}

/// Takes a request's head apart, its empty line included.
pub fn parse_request_head(raw: Bytes) -> Result<RequestHead, HeadError> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADER_LIMIT];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&raw, &mut lines) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HeadError::Garbage),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Err(_) => return Err(HeadError::Garbage),
    }
    if parsed.version != Some(1) {
        return Err(HeadError::Version);
    }
    let [method, target] =
        [parsed.method, parsed.path].map(|part| raw.slice_ref(part.unwrap_or_default().as_bytes()));
    let length = raw.len();
    let headers = Headers::new(raw.clone(), parsed.headers);
    Ok(RequestHead {
        length,
        method,
        target,
        headers,
    })
}

/// Takes a response's head apart, its empty line included.
pub fn parse_response_head(raw: Bytes) -> Result<ResponseHead, HeadError> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADER_LIMIT];
    let mut parsed = httparse::Response::new(&mut []);
    let done = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &raw,
        &mut lines,
    );
    let (Ok(httparse::Status::Complete(_)), Some(status), Some(minor)) =
        (done, parsed.code, parsed.version)
    else {
        return Err(HeadError::Garbage);
    };
    // RFC 9110 §15: three digits from 100 on. A lower number would pass for an interim answer, and
    // the bytes behind it for the real one.
    if status < 100 {
        return Err(HeadError::Garbage);
    }
    let reason = raw.slice_ref(parsed.reason.unwrap_or_default().as_bytes());
    let headers = Headers::new(raw.clone(), parsed.headers);
    let keep_alive = minor == 1 && !headers.has_token(Known::Connection, "close");
    Ok(ResponseHead {
        status,
        reason,
        keep_alive,
        headers,
    })
}

/// Waits for the empty line that ends a head and cuts the head off.
async fn next_head(input: &mut Input, request: bool) -> Result<Bytes, HeadError> {
    let mut scanned = 0;
    let mut large = None;
    loop {
        if request && input.buffer.len() > COMMON_HEAD && large.is_none() {
            large = Some(
                input
                    .budget()
                    .take_large_head()
                    .ok_or(HeadError::TooManyLarge)?,
            );
        }
        if let Some(raw) = cut_head(&mut input.buffer, &mut scanned, request)? {
            return Ok(raw);
        }
        if input.fill().await.map_err(|_| HeadError::Closed)? == 0 {
            return Err(HeadError::Closed);
        }
    }
}

/// Cuts a head off the front of the buffer once all of it is there; `scanned` is kept from one call
/// to the next and starts at 0.
pub fn cut_head(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    request: bool,
) -> Result<Option<Bytes>, HeadError> {
    if request && *scanned == 0 {
        // RFC 9112 §2.2: an empty line before a request is to be ignored.
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        if buffer
            .first()
            .is_some_and(|first| *first != b'\r' && !first.is_ascii_alphabetic())
        {
            return Err(HeadError::NotHttp);
        }
    }
    if let Some(end) = find_end(buffer, scanned)? {
        // A copy of the very size: a stream must not keep a mostly empty buffer for days.
        let raw = Bytes::copy_from_slice(&buffer[..end]);
        buffer.advance(end);
        return if raw.starts_with(b"PRI * HTTP/2") {
            Err(HeadError::Http2)
        } else {
            Ok(Some(raw))
        };
    }
    if buffer.len() > HEAD_LIMIT {
        Err(HeadError::TooLarge)
    } else {
        Ok(None)
    }
}

/// Looks at every line once: `scanned` is where the line starts that is not complete yet.
fn find_end(buffer: &[u8], scanned: &mut usize) -> Result<Option<usize>, HeadError> {
    let from = *scanned;
    for end in memchr::memchr_iter(b'\n', &buffer[from..]).map(|at| from + at) {
        let length = end - *scanned;
        if length == 0 || buffer[end - 1] != b'\r' {
            return Err(HeadError::BareLf);
        }
        *scanned = end + 1;
        if end + 1 > HEAD_LIMIT {
            return Err(HeadError::TooLarge);
        }
        if length == 1 {
            return Ok(Some(end + 1));
        }
    }
    Ok(None)
}

/// Returns the framing of the request body, and rejects every head whose framing two readers could
/// read differently.
pub fn request_framing(headers: &Headers) -> Result<Framing, HeadError> {
    for (known, name) in [
        (Known::Host, "Host"),
        (Known::ContentType, "Content-Type"),
        (Known::Expect, "Expect"),
        (Known::Upgrade, "Upgrade"),
    ] {
        if headers.all(known).nth(1).is_some() {
            return Err(HeadError::Repeated(name));
        }
    }
    if headers.tokens(Known::Connection).nth(NAMED_LIMIT).is_some() {
        return Err(HeadError::Garbage);
    }
    let is_grpc = |value: &[u8]| {
        value
            .to_ascii_lowercase()
            .windows(16)
            .any(|part| part == b"application/grpc")
    };
    if headers.all(Known::ContentType).any(is_grpc) {
        return Err(HeadError::Grpc);
    }
    framing(headers).map(|framing| framing.unwrap_or(Framing::None))
}

/// Returns the framing of the response body (RFC 9112 §6.3).
pub fn response_framing(head: &ResponseHead, to_head: bool) -> Result<Framing, HeadError> {
    let declared = framing(&head.headers)?;
    if to_head || head.status == 204 || head.status == 304 {
        return Ok(Framing::None);
    }
    Ok(declared.unwrap_or(Framing::UntilClose))
}

fn framing(headers: &Headers) -> Result<Option<Framing>, HeadError> {
    let mut lengths = headers.all(Known::ContentLength);
    let mut encodings = headers.all(Known::TransferEncoding);
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(HeadError::LengthAndEncoding),
        (Some(length), None) => {
            // Eighteen digits are the most that cannot overflow anywhere.
            let plain =
                !length.is_empty() && length.len() <= 18 && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length)
                .ok()
                .filter(|_| plain && lengths.next().is_none());
            length
                .and_then(|length| length.parse().ok())
                .map(|length| Some(Framing::Length(length)))
                .ok_or(HeadError::Length)
        }
        (None, Some(encoding)) => {
            let once = encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none();
            if once {
                Ok(Some(Framing::Chunked))
            } else {
                Err(HeadError::Encoding)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_that_http_has() {
        for (status, want) in [
            ("100", Some(100)),
            ("200", Some(200)),
            ("599", Some(599)),
            ("050", None),
            ("000", None),
        ] {
            let head = parse_response_head(format!("HTTP/1.1 {status} OK\r\n\r\n").into());
            assert_eq!(head.ok().map(|head| head.status), want, "{status}");
        }
    }
}
