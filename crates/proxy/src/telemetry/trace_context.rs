//! W3C Trace Context: the header `traceparent`, by which a request belongs to a trace.
//!
//! The proxy takes no part in the trace: it logs the identifiers and passes the header on as it
//! came, like every header that it does not know. <https://www.w3.org/TR/trace-context/>

/// The identifiers of a `traceparent` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext<'h> {
    /// The identifier of the trace: 32 hexadecimal digits.
    pub(crate) trace_id: &'h str,
    /// The identifier of the client's span: 16 hexadecimal digits.
    pub(crate) parent_span_id: &'h str,
}

/// The length of version 00, and the least of later ones: version, trace, span and flags, with
/// their dashes.
const LENGTH: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

impl<'h> TraceContext<'h> {
    /// Reads the value of a header; `None` if it is invalid.
    ///
    /// Version 00 has exactly four fields. A later version may have more behind another dash, and
    /// the first four keep their meaning. Digits are in lower case, and an identifier of zeros is
    /// invalid (§3.2).
    pub(crate) fn parse(value: &'h [u8]) -> Option<Self> {
        let (known, more) = value.split_at_checked(LENGTH)?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_dash = |place: usize| matches!(place, 2 | 35 | 52);
        let has_shape = known
            .iter()
            .enumerate()
            .all(|(place, byte)| match is_dash(place) {
                true => *byte == b'-',
                false => is_digit(byte),
            });
        let has_end = match &known[..2] {
            b"ff" => false,
            b"00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let known = std::str::from_utf8(known).ok()?;
        let (trace_id, parent_span_id) = (&known[3..35], &known[36..52]);
        let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
        let is_valid = has_shape && has_end && !is_zero(trace_id) && !is_zero(parent_span_id);
        is_valid.then_some(Self {
            trace_id,
            parent_span_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn valid_headers_are_read() {
        for text in [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-00"),
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
        ] {
            let want = TraceContext {
                trace_id: TRACE,
                parent_span_id: SPAN,
            };
            assert_eq!(TraceContext::parse(text.as_bytes()), Some(want), "{text}");
        }
    }

    #[test]
    fn invalid_headers_are_not() {
        let upper = TRACE.to_uppercase();
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{upper}-{SPAN}-01"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0g-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01x"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", "é".repeat(16)),
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }
}
