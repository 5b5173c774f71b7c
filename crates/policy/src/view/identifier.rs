//! Identifiers of objects in the errors of an engine.

/// The length from which on a word of hexadecimal digits may be an identifier: clients show the
/// first twelve digits.
const IDENTIFIER: usize = 12;

/// The text in place of an identifier.
const HIDDEN: &[u8] = b"(hidden)";

/// The words before a list of the containers on a network (moby `libnetwork/network.go`).
const ENDPOINTS: &str = "has active endpoints (";

/// Returns whether a word may be the identifier of an object, or the beginning of one.
pub(super) fn is_identifier(word: &str) -> bool {
    word.len() >= IDENTIFIER && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns an error of the engine without the identifiers of objects that the path does not have.
pub(super) fn hide_identifiers(text: &[u8], path: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(byte) = rest.first() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let length = digits.count();
        if length == 0 {
            out.push(*byte);
            rest = &rest[1..];
            if out.ends_with(ENDPOINTS.as_bytes()) {
                out.extend_from_slice(HIDDEN);
                let end = rest.iter().position(|byte| *byte == b')');
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            continue;
        }
        let (word, behind) = rest.split_at(length);
        let is_own = || std::str::from_utf8(word).is_ok_and(|word| path.contains(word));
        if length >= IDENTIFIER && !is_own() {
            out.extend_from_slice(HIDDEN);
        } else {
            out.extend_from_slice(word);
        }
        rest = behind;
    }
    out
}
