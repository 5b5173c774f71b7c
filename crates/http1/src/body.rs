//! Where a body ends, and moving it from one connection to the other.
//!
//! A body is passed on with the framing it came with: the walker checks every byte of the chunked
//! coding and accepts it only in the one unambiguous form, so that the bytes that were checked are
//! the bytes that are sent.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use tokio::io::AsyncWriteExt;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::stream::{Input, Output};

/// The way in which a message marks the end of its body (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body and no header about one.
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection. Answers only.
    UntilClose,
}

/// A body in transfer: the rest that is still to come, and the part of the input's buffer that
/// belongs to it.
#[derive(Debug)]
pub struct Body {
    left: Remaining,
    /// Bytes at the front of the input's buffer that were checked and not yet sent.
    checked: usize,
    /// The framing bytes that may still come of a body that was closed early.
    late_end: &'static [u8],
}

#[derive(Debug)]
enum Remaining {
    Bytes(u64),
    Chunks(Chunks),
    Anything,
}

/// The fault that kept a body from arriving whole.
#[derive(Debug)]
pub enum PumpError {
    /// The sender left before the end of its body.
    Short,
    /// The chunked coding is not in its one strict form.
    Garbage,
    /// The sender's connection broke.
    Read,
    /// The receiver's connection broke.
    Write,
    /// The receiver took nothing for too long.
    Stalled,
}

impl fmt::Display for PumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the sender closed the connection before the end of the body",
            Self::Garbage => "the chunked coding of the body is malformed",
            Self::Read => "the connection of the sender broke",
            Self::Write => "the connection of the receiver broke",
            Self::Stalled => "the receiver read nothing for too long",
        })
    }
}

impl std::error::Error for PumpError {}

impl Body {
    /// A body of which nothing has arrived.
    pub fn new(framing: Framing) -> Self {
        let left = match framing {
            Framing::None => Remaining::Bytes(0),
            Framing::Length(length) => Remaining::Bytes(length),
            Framing::Chunked => Remaining::Chunks(Chunks::default()),
            Framing::UntilClose => Remaining::Anything,
        };
        Self {
            left,
            checked: 0,
            late_end: &[],
        }
    }

    /// Declares the body complete if only the end of its chunked coding is missing. Remembers that
    /// end, so that it does not end up in the tunnel.
    pub fn close_early(&mut self) -> bool {
        let Remaining::Chunks(chunks) = &self.left else {
            return self.is_done();
        };
        match chunks.end().filter(|_| self.checked == 0) {
            Some(end) => {
                *self = Self {
                    late_end: end,
                    ..Self::new(Framing::None)
                };
                true
            }
            None => false,
        }
    }

    /// The end of the chunked coding that may still come, if the body was closed early.
    pub fn late_end(&self) -> &'static [u8] {
        self.late_end
    }

    /// Returns whether all of it has arrived and was sent on.
    pub fn is_done(&self) -> bool {
        self.checked == 0 && self.is_checked()
    }

    fn is_checked(&self) -> bool {
        match &self.left {
            Remaining::Bytes(left) => *left == 0,
            Remaining::Chunks(chunks) => chunks.state == BodyState::Done,
            Remaining::Anything => false,
        }
    }

    /// Looks at the unchecked bytes of the buffer and takes those that belong to the body. Returns
    /// how many may be sent now.
    pub fn check(&mut self, buffer: &[u8]) -> Result<usize, PumpError> {
        let fresh = &buffer[self.checked..];
        let taken = match &mut self.left {
            Remaining::Bytes(left) => {
                let taken = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(fresh.len());
                *left -= taken as u64;
                taken
            }
            Remaining::Chunks(chunks) => chunks
                .walk(fresh, &mut |_| {})
                .map_err(|Garbage| PumpError::Garbage)?,
            Remaining::Anything => fresh.len(),
        };
        self.checked += taken;
        Ok(self.checked)
    }

    /// Takes the bytes of the buffer that belong to the body, and appends their content without the
    /// framing. Returns the number of bytes.
    pub fn take(&mut self, buffer: &[u8], content: &mut Vec<u8>) -> Result<usize, PumpError> {
        if let Remaining::Chunks(chunks) = &mut self.left {
            let taken = chunks.walk(buffer, &mut |data| content.extend_from_slice(data));
            return taken.map_err(|Garbage| PumpError::Garbage);
        }
        let taken = self.check(buffer)?;
        self.sent(taken);
        content.extend_from_slice(&buffer[..taken]);
        Ok(taken)
    }

    /// Notes that bytes from the front of the buffer were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.checked -= bytes;
    }
}

/// Bytes that a body may move in one turn of the event loop, so that a sender and a receiver that
/// never make it wait do not hold up the other connections.
const TURN: usize = 256 << 10;

/// Moves a body until its end and adds the bytes that were sent to `count`. Fails if the receiver
/// takes no byte for `limit`; a silent sender has no deadline. Safe to cancel and to go on with:
/// `body` holds the place.
pub async fn pump(
    input: &mut Input,
    body: &mut Body,
    output: &mut Output,
    count: &AtomicU64,
    limit: Duration,
) -> Result<(), PumpError> {
    let mut in_turn = 0;
    loop {
        let ready = body.check(&input.buffer)?;
        if ready > 0 {
            if in_turn >= TURN {
                yield_now().await;
                in_turn = 0;
            }
            let sent = in_time(limit, output.write(&input.buffer[..ready])).await?;
            if sent == 0 {
                return Err(PumpError::Write);
            }
            input.buffer.advance(sent);
            body.sent(sent);
            count.fetch_add(sent as u64, Relaxed);
            in_turn += sent;
            continue;
        }
        // TLS gathers records: nothing may stay behind while we wait, or once we are done.
        in_time(limit, output.flush()).await?;
        if body.is_done() {
            return Ok(());
        }
        match input.fill().await {
            Ok(0) if matches!(body.left, Remaining::Anything) => return Ok(()),
            Ok(0) => return Err(PumpError::Short),
            Ok(_) => {}
            Err(error)
                if matches!(body.left, Remaining::Anything)
                    && error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                return Ok(());
            }
            Err(_) => return Err(PumpError::Read),
        }
    }
}

/// Appends the content of a body that has arrived, at least one byte; returns false at its end.
/// Safe to cancel.
pub async fn read_content(
    input: &mut Input,
    body: &mut Body,
    content: &mut Vec<u8>,
) -> Result<bool, PumpError> {
    loop {
        let before = content.len();
        let taken = body.take(&input.buffer, content)?;
        input.buffer.advance(taken);
        if content.len() > before {
            return Ok(true);
        }
        if body.is_done() {
            return Ok(false);
        }
        match input.fill().await {
            Ok(0) if matches!(body.left, Remaining::Anything) => return Ok(false),
            Ok(0) => return Err(PumpError::Short),
            Ok(_) => {}
            Err(_) => return Err(PumpError::Read),
        }
    }
}

/// Sends a head together with the bytes of its body that are already there, in one call if the
/// socket takes them.
///
/// The head of a stream must leave at once, and a small answer should cost one write. The receiver
/// may take nothing for as long as `limit`.
pub async fn send_head(
    head: &[u8],
    input: &mut Input,
    body: &mut Body,
    output: &mut Output,
    count: &AtomicU64,
    limit: Duration,
) -> Result<(), PumpError> {
    let ready = body.check(&input.buffer)?;
    let parts = [IoSlice::new(head), IoSlice::new(&input.buffer[..ready])];
    let sent = in_time(limit, output.write_vectored(&parts)).await?;
    let of_body = sent.saturating_sub(head.len());
    input.buffer.advance(of_body);
    body.sent(of_body);
    count.fetch_add(of_body as u64, Relaxed);
    if sent < head.len() {
        in_time(limit, output.write_all(&head[sent..])).await?;
    }
    in_time(limit, output.flush()).await
}

/// Bounds the time in which a receiver takes something.
async fn in_time<T>(
    limit: Duration,
    write: impl Future<Output = io::Result<T>>,
) -> Result<T, PumpError> {
    let mut write = pin!(write);
    // Most writes are taken at once: only one that is not needs to know of clocks.
    if let Poll::Ready(written) = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
        return written.map_err(|_| PumpError::Write);
    }
    match timeout(limit, write).await {
        Ok(written) => written.map_err(|_| PumpError::Write),
        Err(_) => Err(PumpError::Stalled),
    }
}

/// Walks over a chunked body (RFC 9112 §7.1). Extensions and trailers, which no engine and no
/// client sends, are garbage.
#[derive(Debug, Default)]
struct Chunks {
    state: BodyState,
    /// The rest of the chunk, or its size while that is being read.
    left: u64,
    digits: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum BodyState {
    #[default]
    Size,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    EndCr,
    EndLf,
    Done,
}

#[derive(Debug)]
struct Garbage;

/// The bytes behind the content of the last chunk.
const END: &[u8] = b"\r\n0\r\n\r\n";

impl Chunks {
    /// Returns the framing that is missing if no more content comes; `None` if content is missing.
    fn end(&self) -> Option<&'static [u8]> {
        let passed = match self.state {
            BodyState::DataCr => 0,
            BodyState::DataLf => 1,
            BodyState::Size if self.digits == 0 => 2,
            BodyState::Size if self.left == 0 => 3,
            BodyState::SizeLf if self.left == 0 => 4,
            BodyState::EndCr => 5,
            BodyState::EndLf => 6,
            BodyState::Done => 7,
            BodyState::Size | BodyState::SizeLf | BodyState::Data => return None,
        };
        Some(&END[passed..])
    }

    /// Returns how many bytes from the start belong to the body: all of them, unless it ends
    /// earlier. `data` receives their content.
    fn walk(&mut self, bytes: &[u8], data: &mut impl FnMut(&[u8])) -> Result<usize, Garbage> {
        let mut at = 0;
        while at < bytes.len() && self.state != BodyState::Done {
            if self.state == BodyState::Data {
                let taken = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                self.left -= taken as u64;
                data(&bytes[at..at + taken]);
                at += taken;
                if self.left == 0 {
                    self.state = BodyState::DataCr;
                }
                continue;
            }
            self.state = self.step(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<BodyState, Garbage> {
        match (self.state, byte) {
            // Fifteen digits are the most that cannot overflow anywhere.
            (BodyState::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < 15 => {
                self.left = self.left << 4 | u64::from((byte as char).to_digit(16).unwrap_or(0));
                self.digits += 1;
                Ok(BodyState::Size)
            }
            (BodyState::Size, b'\r') if self.digits > 0 => Ok(BodyState::SizeLf),
            (BodyState::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 {
                    BodyState::EndCr
                } else {
                    BodyState::Data
                })
            }
            (BodyState::DataCr, b'\r') => Ok(BodyState::DataLf),
            (BodyState::DataLf, b'\n') => Ok(BodyState::Size),
            (BodyState::EndCr, b'\r') => Ok(BodyState::EndLf),
            (BodyState::EndLf, b'\n') => Ok(BodyState::Done),
            _ => Err(Garbage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str, step: usize) -> Result<usize, ()> {
        let mut chunks = Chunks::default();
        let mut taken = 0;
        for piece in text.as_bytes().chunks(step) {
            taken += chunks.walk(piece, &mut |_| {}).map_err(|_| ())?;
        }
        if chunks.state == BodyState::Done {
            Ok(taken)
        } else {
            Err(())
        }
    }

    #[test]
    fn chunked_bodies_are_taken_in_one_form_only() {
        for step in [1, 2, 3, 7, 100] {
            for (text, want) in [
                ("0\r\n\r\n", Ok(5)),
                ("5\r\nhello\r\n0\r\n\r\n", Ok(15)),
                ("00A\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1", Ok(22)),
                ("a\r\n01\r\n345\r\n9\r\n0\r\n\r\n", Ok(20)),
                ("5;x=y\r\nhello\r\n0\r\n\r\n", Err(())),
                ("5\nhello\n0\n\n", Err(())),
                ("5 \r\nhello\r\n0\r\n\r\n", Err(())),
                (" 5\r\nhello\r\n0\r\n\r\n", Err(())),
                ("+5\r\nhello\r\n0\r\n\r\n", Err(())),
                ("0x5\r\nhello\r\n0\r\n\r\n", Err(())),
                ("5\r\nhelloX\r\n0\r\n\r\n", Err(())),
                ("\r\n\r\n", Err(())),
                ("0\r\nX: y\r\n\r\n", Err(())),
                ("-1\r\n\r\n", Err(())),
                ("fffffffffffffffff\r\n", Err(())),
                ("5\r\nhel", Err(())),
            ] {
                assert_eq!(walk(text, step), want, "{text:?} by {step}");
            }
        }
    }

    #[test]
    fn content_is_what_stands_between_the_framing() {
        let chunked = "5\r\nhello\r\n1\r\n \r\n0000a\r\n0123456789\r\n0\r\n\r\nGET";
        for (framing, text, want, left) in [
            (Framing::Chunked, chunked, "hello 0123456789", 3),
            (Framing::Length(5), "helloGET", "hello", 3),
            (Framing::UntilClose, "hello", "hello", 0),
            (Framing::None, "GET", "", 3),
        ] {
            for step in [1, 2, 3, 100] {
                let (mut body, mut content, mut taken) = (Body::new(framing), Vec::new(), 0);
                for piece in text.as_bytes().chunks(step) {
                    taken += body.take(piece, &mut content).expect("well-formed");
                }
                assert_eq!(
                    (
                        String::from_utf8_lossy(&content).as_ref(),
                        text.len() - taken
                    ),
                    (want, left),
                    "{text} by {step}"
                );
            }
        }
    }

    /// A body can be closed early behind each byte from the end of its content on, and what is
    /// remembered is the rest of it.
    #[test]
    fn the_end_of_a_chunked_body_may_be_missing() {
        let whole = "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        for cut in 0..=whole.len() {
            let (mut body, mut content) = (Body::new(Framing::Chunked), Vec::new());
            body.take(&whole.as_bytes()[..cut], &mut content)
                .expect("well-formed");
            let (can_close, rest) = (body.close_early(), &whole[cut..]);
            match cut {
                // Nothing, or one chunk of two: the content may end here.
                0 | 5..=7 => assert!(can_close && END.ends_with(body.late_end()), "{cut}"),
                13.. => assert_eq!(
                    (can_close, body.late_end()),
                    (true, rest.as_bytes()),
                    "{cut}"
                ),
                _ => assert!(!can_close && body.late_end().is_empty(), "{cut}"),
            }
            assert_eq!(body.is_done(), can_close, "{cut}");
        }
    }

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let mut body = Body::new(Framing::Length(5));
        assert_eq!(body.check(b"hel").ok(), Some(3));
        assert_eq!(body.check(b"helloGET").ok(), Some(5));
        assert!(!body.is_done());
        body.sent(5);
        assert!(body.is_done());
    }
}
