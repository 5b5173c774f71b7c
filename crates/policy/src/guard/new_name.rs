//! Names that a call gives to objects: the engine must not take them for something else, and no
//! other client may get the same name meanwhile.

use super::judge::Judge;
use super::reference;
use crate::endpoint::ObjectKind;

/// The fewest digits of an identifier that clients print and use. Engines take a name for the
/// object before they take it for the beginning of an identifier.
const SHORT_ID: usize = 12;

impl Judge<'_> {
    /// Judges a name that an object gets: as the identifier of another client's object, it would
    /// hide that object, or take its place.
    pub(super) fn judge_new_name(&mut self, name: &str) {
        if self.is_scoped() && is_like_identifier(name.trim_start_matches('/'), SHORT_ID) {
            self.refuse(
                "has only hexadecimal digits, as an identifier: it could stand for another object; \
                write a name with another letter in it"
                    .to_owned(),
                None,
            );
        }
    }

    /// Judges a name that an image gets. Docker takes `0123abcd` for the image of that name before
    /// it takes it for an identifier.
    pub(super) fn judge_new_image_name(&mut self, name: &str) {
        let full = reference::named(name);
        let repository = reference::without_version(&full);
        if let Some(short) = repository.strip_prefix("docker.io/library/")
            && (short == "sha256" || is_like_identifier(short, SHORT_ID))
        {
            self.judge_new_name(short);
            if short == "sha256" {
                self.refuse("is the beginning of a digest".to_owned(), None);
            }
        }
    }

    /// Notes that the call gives this name to an object, if clients own objects: the name is judged
    /// before the engine has given it.
    pub(super) fn gives_name(&mut self, kind: ObjectKind, name: &str) {
        if self.owns() && !name.is_empty() {
            let name = match kind {
                ObjectKind::Image => reference::normalised(name),
                _ => name.to_owned(),
            };
            self.given_names.push((kind, name));
        }
    }
}

/// Returns whether a name could be the beginning of an identifier with so many digits.
fn is_like_identifier(name: &str, digits: usize) -> bool {
    name.len() >= digits && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
