//! Heads read in the plainest way: what the targets about heads compare the program with.

/// A name and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// The most header lines that a head may have.
pub const HEADER_LIMIT: usize = 128;

/// Headers about one connection alone (RFC 9110 §7.6.1), and those about the body, which are
/// written anew.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Returns the start line and the fields of a head whose lines all end with CR LF, and the bytes
/// behind it.
pub fn read(bytes: &[u8]) -> Option<(&[u8], Vec<Field>, &[u8])> {
    let (start, mut rest) = line(bytes)?;
    let mut fields = Vec::new();
    loop {
        let (field, behind) = line(rest)?;
        if field.is_empty() {
            return Some((start, fields, behind));
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        fields.push((field[..colon].to_vec(), trim(&field[colon + 1..]).to_vec()));
        rest = behind;
    }
}

/// Returns a line without its CR LF, and the bytes behind it; nothing where another CR or LF comes
/// first.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))?;
    Some((&bytes[..end], bytes[end..].strip_prefix(b"\r\n")?))
}

fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(start, |last| last + 1);
    &value[start..end]
}

/// Returns whether a field has this name (lower case).
pub fn is(name: &str, field: &Field) -> bool {
    field.0.to_ascii_lowercase() == name.as_bytes()
}

/// Returns the fields that go on to the other side, in their order.
pub fn end_to_end(fields: &[Field]) -> Vec<Field> {
    let mut dropped: Vec<Vec<u8>> = HOP_BY_HOP
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    for (_, value) in fields.iter().filter(|field| is("connection", field)) {
        dropped.extend(
            value
                .split(|byte| *byte == b',')
                .map(|token| token.trim_ascii().to_ascii_lowercase()),
        );
    }
    fields
        .iter()
        .filter(|(name, _)| !dropped.contains(&name.to_ascii_lowercase()))
        .cloned()
        .collect()
}
