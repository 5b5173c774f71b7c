//! The engine's answers about objects that do not exist.
//!
//! A hidden object and a missing one must look alike: both are answered with the engine's answer
//! about a name that no object has, with the client's word in its place.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use cetusguard_http1::ResponseHead;
use cetusguard_policy::endpoint::ObjectKind;

/// The largest answer about a missing object, in bytes.
pub(super) const LIMIT: usize = 64 << 10;

/// The engine's answer about an object that does not exist.
#[derive(Clone, Debug)]
pub struct MissingAnswer {
    /// The status code.
    pub(crate) status: u16,
    /// The engine's words for it; empty for the usual ones.
    pub(crate) reason: Bytes,
    /// The lines of its head, without those about the connection and the length of the body.
    pub(crate) lines: Vec<u8>,
    /// The body; `None` if the answer has none, and no length either.
    pub(crate) body: Option<Vec<u8>>,
}

impl MissingAnswer {
    /// An answer of status 404 with this body, in JSON.
    pub fn not_found(body: &[u8]) -> Self {
        Self {
            status: 404,
            reason: Bytes::new(),
            lines: b"Content-Type: application/json\r\n".to_vec(),
            body: Some(body.to_vec()),
        }
    }

    /// The answer to a question about a stand-in, with the client's word.
    pub(super) fn read(head: &ResponseHead, body: &[u8], stand_in: &StandIn) -> Self {
        let mut lines = Vec::new();
        for (_, name, value) in head.headers.end_to_end() {
            for part in [name, b": ", value, b"\r\n"] {
                lines.extend_from_slice(part);
            }
        }
        let has_body = !matches!(head.status, 204 | 304);
        Self {
            status: head.status,
            reason: head.reason.clone(),
            lines,
            body: has_body.then(|| stand_in.with_word(&String::from_utf8_lossy(body))),
        }
    }
}

/// The image identifier and the digest that no image has.
const NO_DIGEST: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// A name that no object has, of the same form as the client's word: engines answer about each form
/// in its own way.
#[derive(Debug)]
pub(super) struct StandIn {
    /// The name.
    pub(super) name: String,
    /// The parts of the name that stand for parts of the client's word.
    parts: Vec<(String, String)>,
}

impl StandIn {
    /// Makes a name for an object that the client calls by this word.
    pub(super) fn of(kind: ObjectKind, word: &str) -> Self {
        let unknown = unknown_name();
        let image = (kind == ObjectKind::Image)
            .then(|| image_parts(word))
            .filter(|(_, name, _, digest)| !name.is_empty() || !digest.is_empty());
        let Some((registry, name, tag, digest)) = image else {
            let parts = vec![(unknown.clone(), word.to_owned())];
            return Self {
                name: unknown,
                parts,
            };
        };
        let mut made = registry.to_owned();
        let mut parts = Vec::new();
        if !name.is_empty() {
            made.push_str(&unknown);
            parts.push((unknown, name.to_owned()));
        }
        made.push_str(tag);
        if !digest.is_empty() {
            made.push_str(NO_DIGEST);
            parts.push((NO_DIGEST.to_owned(), digest.to_owned()));
        }
        Self { name: made, parts }
    }

    /// Returns a text of the engine with the client's word in place of the name.
    fn with_word(&self, text: &str) -> Vec<u8> {
        let mut text = text.to_owned();
        for (stand_in, word) in &self.parts {
            // The word stands within a JSON text.
            let word = serde_json::Value::from(word.as_str()).to_string();
            text = text.replace(stand_in, &word[1..word.len() - 1]);
        }
        text.into_bytes()
    }
}

/// Returns a name that no client can guess, so that none can give it to an object, which a call
/// about a missing object would change.
fn unknown_name() -> String {
    let mut name = String::from("cetusguard-no-such-object-");
    // The standard library seeds them with random keys.
    for _ in 0..2 {
        let random: u64 = RandomState::new().hash_one(());
        // Writing to a text never fails.
        let _ = write!(name, "{random:016x}");
    }
    name
}

/// Splits the name of an image into its registry and path, its last name, its tag or the word before
/// its digest, and the digits of a digest or of a whole identifier.
fn image_parts(word: &str) -> (&str, &str, &str, &str) {
    let is_digest = |text: &str| {
        text.len() == NO_DIGEST.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let (rest, digest) = match word.rsplit_once("sha256:") {
        Some((rest, digest)) if is_digest(digest) => (rest, digest),
        None if is_digest(word) => ("", word),
        _ => (word, ""),
    };
    let prefix = &word[rest.len()..word.len() - digest.len()];
    let start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let last = &rest[start..];
    let end = last.find([':', '@']).unwrap_or(last.len());
    // Only a digest has a word before it: the tag ends where the digest begins.
    let tag = &word[start + end..rest.len() + prefix.len()];
    (&rest[..start], &last[..end], tag, digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_the_form_of_the_word() {
        for (word, want) in [
            ("web", "NAME"),
            ("web:1", "NAME:1"),
            ("ghcr.io:5000/a/web", "ghcr.io:5000/a/NAME"),
            ("a/web:1@sha256:DIGEST", "a/NAME:1@sha256:NONE"),
            ("web@sha256:DIGEST", "NAME@sha256:NONE"),
            ("sha256:DIGEST", "sha256:NONE"),
            ("DIGEST", "NONE"),
            ("sha256:abc", "NAME:abc"),
            ("a/", "NAME"),
        ] {
            let word = word.replace("DIGEST", &"1a".repeat(32));
            let made = StandIn::of(ObjectKind::Image, &word);
            let unknown = made
                .name
                .find("cetusguard-")
                .map(|at| &made.name[at..at + 58]);
            let form = made.name.replace(NO_DIGEST, "NONE");
            let form = unknown.map_or(form.clone(), |unknown| form.replace(unknown, "NAME"));
            assert_eq!(form, want, "{word}");
            let answer = format!("no such image: {}", made.name);
            let text = String::from_utf8(made.with_word(&answer)).expect("UTF-8");
            assert_eq!(text, format!("no such image: {word}"));
        }
    }

    #[test]
    fn no_name_is_made_twice_and_words_are_escaped() {
        let [one, two] = [(); 2].map(|()| StandIn::of(ObjectKind::Volume, "a\"b"));
        assert_ne!(one.name, two.name);
        let answer = one.with_word(&format!("{{\"message\":\"get {}\"}}", one.name));
        assert_eq!(answer, br#"{"message":"get a\"b"}"#);
    }
}
