//! Images: those that are denied, and the digest that names one for good.

use super::{Creation, find};
use crate::guard::json::Json;
use crate::guard::{Judge, reference};
use crate::text::pattern::Pattern;

/// A pattern for images that are not allowed. Without a tag, it holds for every tag and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDenial {
    pattern: Pattern,
    text: String,
}

impl ImageDenial {
    /// Makes a denial of a pattern as users write it: `nginx` is `docker.io/library/nginx`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            pattern: Pattern::new(reference::with_registry(text)),
            text: text.to_owned(),
        }
    }

    fn denies(&self, image: &str) -> bool {
        let full = reference::comparable(image);
        let (tagged, digest) = full
            .split_once('@')
            .map_or((full.as_str(), None), |(tagged, digest)| {
                (tagged, Some(digest))
            });
        let name = reference::without_version(tagged);
        // A digest hides the tag, so that a denied tag may be behind it.
        let is_hidden = digest.is_some() && name == tagged;
        let denied_name = Pattern::new(reference::without_version(self.pattern.as_str()));
        [full.as_str(), tagged, name]
            .iter()
            .any(|form| self.pattern.fits(form))
            || is_hidden && denied_name.fits(name)
    }
}

/// Judges an image that is used, pulled, tagged or made.
pub(in crate::guard) fn denied(judge: &mut Judge<'_>, image: &str) {
    let Some(creation) = judge.guard.creation.as_deref() else {
        return;
    };
    if let Some(denial) = creation.denied_images.iter().find(|one| one.denies(image)) {
        let what = format!("the image {:?} is denied", crate::guard::shortened(image));
        let demand = format!("names {}", denial.text);
        judge.unmet("deny-images", what, demand);
    }
}

/// Judges whether a container's image is named by its digest, or by its own identifier, which is
/// one too.
pub(super) fn digest(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    let image = find(body, path).map(Json::text).unwrap_or_default();
    let digest = image
        .rsplit_once('@')
        .map_or(image, |(_, digest)| digest)
        .strip_prefix("sha256:");
    let is_digest = digest.is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    if creation.image_digest && !is_digest {
        let what = "the image is named by a tag, which can come to mean another image";
        let demand = "asks for a digest, as in nginx@sha256:…";
        judge.unmet_at(path, "require-image-digest", what, demand);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_holds_for_every_spelling() {
        for (denial, image, want) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx:1.27", true),
            ("nginx", "docker.io/library/nginx:1", true),
            ("nginx", "index.docker.io/library/nginx", true),
            ("nginx", "nginx@sha256:00", true),
            ("nginx", "nginx:1@sha256:00", true),
            ("nginx", "nginx2", false),
            ("nginx", "ghcr.io/library/nginx", false),
            ("nginx:1.2", "nginx:1.2", true),
            ("nginx:1.2", "nginx:1.2@sha256:00", true),
            ("nginx:1.2", "nginx:1.3", false),
            ("nginx:1.2", "nginx@sha256:00", true),
            ("nginx:1.2", "nginx:1.3@sha256:00", false),
            ("nginx:latest", "nginx", true),
            ("ghcr.io/evil/*", "ghcr.io/evil/a:1", true),
            ("ghcr.io/evil/*", "ghcr.io/good/a:1", false),
            ("ghcr.io/evil/*", "GHCR.io:443/evil/a:1", true),
            ("docker.io/*", "evil/a", true),
            ("docker.io/*", "nginx", true),
            ("docker.io/nginx:*", "nginx", true),
            ("nginx", "registry-1.docker.io/library/nginx", true),
            ("nginx", "registry-1.docker.io:0443/library/nginx", true),
            ("nginx", "registry.hub.docker.com/library/nginx:1", true),
            ("*:latest", "a/b", true),
            ("*:latest", "a/b:1", false),
            ("localhost:5000/a", "localhost:5000/a:1", true),
        ] {
            assert_eq!(
                ImageDenial::new(denial).denies(image),
                want,
                "{denial}: {image}"
            );
        }
    }
}
