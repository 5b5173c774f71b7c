//! The header lines of a message.
//!
//! A name is compared once, when the head is read; every later question is about a [`Known`] one.
//! Names and values stay where they arrived and are never changed.

use std::ops::Range;

use bytes::Bytes;

/// The headers that mean something to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the headers'")]
pub enum Known {
    AcceptEncoding,
    AcceptLanguage,
    Authorization,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Expect,
    Host,
    Origin,
    SecFetchSite,
    Traceparent,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    /// The session of a client of this proxy: `X-Cetusguard-Session`.
    Session,
    /// Any other that is about one connection alone (RFC 9110 §7.6.1).
    HopByHop,
    /// Passes through.
    Other,
}

impl Known {
    /// Case does not matter (RFC 9110 §5.1).
    fn of(name: &[u8]) -> Self {
        let (text, known): (&[u8], _) = match name.len() {
            2 => (b"te", Self::HopByHop),
            3 => (b"via", Self::Via),
            4 => (b"host", Self::Host),
            6 if name[0] | 0x20 == b'o' => (b"origin", Self::Origin),
            6 => (b"expect", Self::Expect),
            7 if name[0] | 0x20 == b't' => (b"trailer", Self::HopByHop),
            7 => (b"upgrade", Self::Upgrade),
            10 if name[0] | 0x20 == b'k' => (b"keep-alive", Self::HopByHop),
            10 if name[0] | 0x20 == b'u' => (b"user-agent", Self::UserAgent),
            10 => (b"connection", Self::Connection),
            11 => (b"traceparent", Self::Traceparent),
            12 => (b"content-type", Self::ContentType),
            13 => (b"authorization", Self::Authorization),
            14 if name[0] | 0x20 == b'h' => (b"http2-settings", Self::HopByHop),
            14 if name[0] | 0x20 == b's' => (b"sec-fetch-site", Self::SecFetchSite),
            14 => (b"content-length", Self::ContentLength),
            15 if name[7] | 0x20 == b'e' => (b"accept-encoding", Self::AcceptEncoding),
            15 => (b"accept-language", Self::AcceptLanguage),
            16 if name[0] | 0x20 == b'c' => (b"content-encoding", Self::ContentEncoding),
            16 => (b"proxy-connection", Self::HopByHop),
            17 => (b"transfer-encoding", Self::TransferEncoding),
            18 => (b"proxy-authenticate", Self::HopByHop),
            19 => (b"proxy-authorization", Self::HopByHop),
            20 => (b"x-cetusguard-session", Self::Session),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(text) {
            known
        } else {
            Self::Other
        }
    }

    /// Returns whether the header is about this connection alone. Body lengths are among them: a
    /// proxy writes the framing of a forwarded message anew.
    fn is_hop_by_hop(self) -> bool {
        use Known::{Connection, ContentLength, HopByHop, TransferEncoding, Upgrade};
        matches!(
            self,
            Connection | ContentLength | HopByHop | TransferEncoding | Upgrade
        )
    }
}

/// Header lines, in their order and spelling.
#[derive(Debug)]
pub struct Headers {
    raw: Bytes,
    fields: Vec<HeaderField>,
}

#[derive(Debug)]
struct HeaderField {
    known: Known,
    name: Range<u32>,
    value: Range<u32>,
}

impl Headers {
    /// The headers that were found in a head.
    pub(super) fn new(raw: Bytes, parsed: &[httparse::Header<'_>]) -> Self {
        let field = |header: &httparse::Header<'_>| HeaderField {
            known: Known::of(header.name.as_bytes()),
            name: short(place(&raw, header.name.as_bytes())),
            value: short(place(&raw, header.value)),
        };
        Self {
            fields: parsed.iter().map(field).collect(),
            raw,
        }
    }

    fn at(&self, place: &Range<u32>) -> &[u8] {
        &self.raw[place.start as usize..place.end as usize]
    }

    /// Returns every header: its kind, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        self.fields
            .iter()
            .map(|field| (field.known, self.at(&field.name), self.at(&field.value)))
    }

    /// Returns whether any of these is there.
    pub fn has_any(&self, known: &[Known]) -> bool {
        self.fields.iter().any(|field| known.contains(&field.known))
    }

    /// Every value of a header.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| self.at(&field.value))
    }

    /// The first value of a header, where it is text.
    pub fn get(&self, known: Known) -> Option<&str> {
        self.all(known)
            .next()
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of a header as it came, kept beyond the headers' life.
    pub fn share(&self, known: Known) -> Option<Bytes> {
        let field = self.fields.iter().find(|field| field.known == known)?;
        Some(
            self.raw
                .slice(field.value.start as usize..field.value.end as usize),
        )
    }

    /// The only value of a header as it came, kept beyond the headers' life; `None` if there are
    /// several.
    pub fn share_only(&self, known: Known) -> Option<Bytes> {
        let value = self.share(known)?;
        self.all(known).nth(1).is_none().then_some(value)
    }

    /// The elements of a comma-separated header.
    pub(super) fn tokens(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        let elements = self
            .all(known)
            .flat_map(|value| value.split(|byte| *byte == b','));
        elements
            .map(<[u8]>::trim_ascii)
            .filter(|token| !token.is_empty())
    }

    /// Returns whether a comma-separated header holds a token.
    pub fn has_token(&self, known: Known, token: &str) -> bool {
        self.tokens(known)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The headers that are not about this connection alone (RFC 9110 §7.6.1): their kinds, names
    /// and values.
    pub fn end_to_end(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        let named: Vec<&[u8]> = self.tokens(Known::Connection).collect();
        self.iter().filter(move |(known, name, _)| {
            !known.is_hop_by_hop() && !named.iter().any(|token| token.eq_ignore_ascii_case(name))
        })
    }
}

/// A head has 64 KiB at most.
#[expect(
    clippy::cast_possible_truncation,
    reason = "bounded by the size of a head"
)]
fn short(place: Range<usize>) -> Range<u32> {
    place.start as u32..place.end as u32
}

/// Returns the place of a part of the head, as numbers: a [`Bytes`] for each name and value would
/// cost two reference counts a header. An empty part may point anywhere.
fn place(raw: &Bytes, part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize)
        .saturating_sub(raw.as_ptr() as usize)
        .min(raw.len());
    start..(start + part.len()).min(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_whole() {
        for (name, want) in [
            ("Host", Known::Host),
            ("TE", Known::HopByHop),
            ("tE", Known::HopByHop),
            ("Trailer", Known::HopByHop),
            ("uPGRADE", Known::Upgrade),
            ("Keep-Alive", Known::HopByHop),
            ("User-Agent", Known::UserAgent),
            ("CONNECTION", Known::Connection),
            ("Expect", Known::Expect),
            ("Content-Type", Known::ContentType),
            ("Authorization", Known::Authorization),
            ("HTTP2-Settings", Known::HopByHop),
            ("content-LENGTH", Known::ContentLength),
            ("Proxy-Connection", Known::HopByHop),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Proxy-Authenticate", Known::HopByHop),
            ("Proxy-Authorization", Known::HopByHop),
            ("Transfer-Encodinh", Known::Other),
            ("Transfer_Encoding", Known::Other),
            ("ontent-Length", Known::Other),
            ("TraceParent", Known::Traceparent),
            ("tracestate", Known::Other),
            ("VIA", Known::Via),
            ("X", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), want, "{name}");
        }
    }
}
