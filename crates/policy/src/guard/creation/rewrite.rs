//! Images under other names: references of clients that the profile replaces before they are judged.
//!
//! The same reference means the same image wherever a client writes it: in a body, a path, or a
//! query, and also where it gives an image a name. Identifiers are not rewritten, because they name
//! an image that the engine has.

use std::borrow::Cow;

use crate::endpoint::{EndpointId, ObjectKind};
use crate::guard::json::{Json, fold};
use crate::guard::{Guard, reference};
use crate::request::call::Call;
use crate::request::transport::transport;

/// A rule that replaces references of images: `FROM=TO`, with at most one star on each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRewrite {
    from: RewriteSide,
    to: RewriteSide,
}

/// One side of a rule: a whole reference, or the parts around its star.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RewriteSide {
    Whole(String),
    Around(String, String),
}

impl RewriteSide {
    fn read(text: &str) -> Option<Self> {
        let text = reference::with_registry(text);
        match text.split_once('*') {
            None => Some(Self::Whole(text)),
            Some((before, after)) if !after.contains('*') => {
                Some(Self::Around(before.to_owned(), after.to_owned()))
            }
            Some(_) => None,
        }
    }

    /// Returns the text behind the star of a full reference that fits; empty if there is no star.
    /// Without a tag, a rule fits every tag and digest, which are behind a star at its end.
    fn fit<'r>(&self, full: &'r str) -> Option<&'r str> {
        let is_open = matches!(self, Self::Around(_, after) if after.is_empty());
        let compared = match is_open || reference::has_tag(&self.fill("x")) {
            true => full,
            false => reference::without_version(full),
        };
        match self {
            Self::Whole(own) => (own == compared).then_some(""),
            Self::Around(before, after) => {
                let rest = compared.strip_prefix(before.as_str())?;
                rest.strip_suffix(after.as_str())
            }
        }
    }

    fn fill(&self, star: &str) -> String {
        match self {
            Self::Whole(own) => own.clone(),
            Self::Around(before, after) => format!("{before}{star}{after}"),
        }
    }
}

impl ImageRewrite {
    /// Reads `FROM=TO`.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected FROM=TO, two images with at most one star each, as in \
            docker.io/*=registry.example/hub/*"
                .to_owned()
        };
        let (from, to) = text.split_once('=').ok_or_else(expected)?;
        let is_text = |side: &str| !side.is_empty() && !side.contains(char::is_whitespace);
        let has_registry = !to.starts_with('*');
        let stars = |side: &str| side.matches('*').count();
        if !is_text(from) || !is_text(to) || !has_registry || stars(to) > stars(from) {
            return Err(expected());
        }
        let (from, to) = (RewriteSide::read(from), RewriteSide::read(to));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(expected());
        };
        if !reference::is_valid(&to.fill("x")) {
            return Err(expected());
        }
        Ok(Self { from, to })
    }

    /// Returns the reference in place of a full one; `None` if the rule does not fit. A reference
    /// that is already as the rule writes it stays: clients repeat the names that the engine shows.
    fn apply(&self, full: &str) -> Option<String> {
        let star = self.from.fit(full)?;
        if self.to.fit(full).is_some() {
            return Some(full.to_owned());
        }
        let replaced = self.to.fill(star);
        Some(match reference::has_tag(&replaced) {
            true => replaced,
            // The tag or the digest is the client's.
            false => format!(
                "{replaced}{}",
                &full[reference::without_version(full).len()..]
            ),
        })
    }
}

/// The words that are identifiers and not names, which depends on the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamePlace {
    /// Every word is a name: the engine asks a registry for it, or gives it to an image.
    Named,
    /// Full identifiers alone are no names: a service whose image has a short one asks a registry
    /// (moby `daemon/cluster`).
    Service,
    /// The engine looks for an image that it has. It takes a word of hexadecimal digits for a name,
    /// if there is an image of that name, or else for an identifier or its first digits.
    Local,
}

impl NamePlace {
    fn is_id(self, word: &str) -> bool {
        let digits = word.strip_prefix("sha256:").unwrap_or(word);
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match self {
            Self::Named => false,
            Self::Service => is_hex && digits.len() == 64,
            Self::Local => is_hex,
        }
    }
}

/// Returns whether any of the replaced references is in another registry than the client's, for which
/// the client's credentials are not meant.
pub(in crate::guard) fn changes_registry<'i>(
    mut images: impl Iterator<Item = &'i (String, String)>,
) -> bool {
    images.any(|(from, to)| reference::registry(from) != reference::registry(to))
}

/// The rules of a profile, and the references that they have replaced.
struct Rewriter<'g> {
    rules: &'g [ImageRewrite],
    replaced: Vec<(String, String)>,
}

impl Rewriter<'_> {
    /// Returns the reference in place of a client's; `None` if it stays.
    fn rewritten(&mut self, word: &str, place: NamePlace) -> Option<String> {
        // The guard refuses a transport, which is no name.
        if word.is_empty() || place.is_id(word) || transport(word).is_some() {
            return None;
        }
        let full = reference::comparable(word);
        let image = self.rules.iter().find_map(|rule| rule.apply(&full))?;
        if image == full {
            return None;
        }
        self.replaced.push((word.to_owned(), image.clone()));
        Some(image)
    }

    fn text(&mut self, value: &mut Json<'_>, place: NamePlace) {
        if let Json::Text(text) = value
            && let Some(image) = self.rewritten(text, place)
        {
            *text = Cow::Owned(image);
        }
    }

    fn body(&mut self, id: EndpointId, body: &mut Json<'_>) {
        match id {
            EndpointId::ContainerCreate => {
                each(body, &["image"], &mut |image| {
                    self.text(image, NamePlace::Local)
                });
                self.mounts(body, &["hostconfig", "mounts"]);
            }
            EndpointId::LibpodContainerCreate => {
                for name in ["image", "raw_image_name"] {
                    each(body, &[name], &mut |image| {
                        self.text(image, NamePlace::Local)
                    });
                }
            }
            EndpointId::ServiceCreate | EndpointId::ServiceUpdate => {
                let path = ["tasktemplate", "containerspec", "image"];
                each(body, &path, &mut |image| {
                    self.text(image, NamePlace::Service)
                });
                self.mounts(body, &["tasktemplate", "containerspec", "mounts"]);
            }
            _ => {}
        }
    }

    /// Rewrites the images that are mounted.
    fn mounts(&mut self, body: &mut Json<'_>, path: &[&str]) {
        each(body, path, &mut |mounts| {
            let Json::List(mounts) = mounts else { return };
            for mount in mounts {
                let mut is_image = false;
                each(mount, &["type"], &mut |kind| {
                    is_image |= kind.text().eq_ignore_ascii_case("image");
                });
                if is_image {
                    each(mount, &["source"], &mut |image| {
                        self.text(image, NamePlace::Local)
                    });
                }
            }
        });
    }

    fn call(&mut self, call: Call, id: EndpointId) -> Call {
        use EndpointId::*;
        match id {
            ImagePush => self.pushed(call),
            // The tag belongs to the image that is pulled, if there is one.
            ImageCreate if call.may_ask_for("fromimage") => self.with_tag(call, "fromImage", true),
            ImageCreate => self.with_tag(call, "repo", false),
            LibpodImagePull => self.parameter(call, "reference", NamePlace::Named),
            ContainerCommit => self.with_tag(call, "repo", false),
            ImageTag | LibpodImageTag | LibpodImageUntag => {
                let call = self.path(call, NamePlace::Local);
                self.with_tag(call, "repo", false)
            }
            LibpodImagePush => {
                let call = self.path(call, NamePlace::Local);
                self.parameter(call, "destination", NamePlace::Named)
            }
            DistributionInspect => self.path(call, NamePlace::Named),
            ImageSaveMany => self.parameter(call, "names", NamePlace::Local),
            LibpodImageSaveMany => self.parameter(call, "references", NamePlace::Local),
            LibpodImageRemoveMany => self.parameter(call, "images", NamePlace::Local),
            _ => self.path(call, NamePlace::Local),
        }
    }

    /// Rewrites the image that the path names.
    fn path(&mut self, call: Call, place: NamePlace) -> Call {
        let word = call
            .captured()
            .filter(|captured| captured.kind == ObjectKind::Image)
            .map(|captured| captured.word.to_owned());
        match word.and_then(|word| self.rewritten(&word, place)) {
            Some(image) => call.with_named_object(&image),
            None => call,
        }
    }

    /// Rewrites the image of a push, whose tag stands in the query.
    fn pushed(&mut self, call: Call) -> Call {
        let call = self.parameter(call, "destination", NamePlace::Named);
        let tag = call.only_parameter("tag").unwrap_or_default();
        let Some(word) = call.captured().map(|captured| captured.word.to_owned()) else {
            return call;
        };
        if tag.is_empty() || reference::has_tag(&word) {
            return self.path(call, NamePlace::Named);
        }
        match self.rewritten(&reference::joined(&word, &tag), NamePlace::Named) {
            Some(image) => {
                let (name, version) = reference::divided(&image);
                call.with_named_object(name).with_parameter("tag", version)
            }
            None => call,
        }
    }

    /// Rewrites every value of a parameter, in any spelling of its name.
    fn parameter(&mut self, call: Call, name: &str, place: NamePlace) -> Call {
        let Some(mut pairs) = call.parameters() else {
            return call;
        };
        let mut has_changed = false;
        let values = pairs.iter_mut().filter(|(known, _)| fold(known) == name);
        for (_, value) in values {
            let word = value.strip_prefix("docker://").unwrap_or(value);
            if let Some(image) = self.rewritten(word, place) {
                *value = image;
                has_changed = true;
            }
        }
        match has_changed {
            true => call.with_parameters(&pairs),
            false => call,
        }
    }

    /// Rewrites a reference whose tag may stand in a parameter of its own. A query that two readers
    /// could read in two ways stays, and the guard refuses it.
    ///
    /// Docker pulls every tag of a name without one (moby `PullImage`), so that a pull gets the tag
    /// that is judged.
    fn with_tag(&mut self, call: Call, name: &str, is_pull: bool) -> Call {
        let Some(mut pairs) = call.parameters() else {
            return call;
        };
        let is = |known: &str, wanted: &str| fold(known) == fold(wanted);
        let count = |wanted: &str| pairs.iter().filter(|(known, _)| is(known, wanted)).count();
        let at = |wanted: &str| pairs.iter().position(|(known, _)| known == wanted);
        let (Some(place), 1, 0..=1) = (at(name), count(name), count("tag")) else {
            return call;
        };
        let tag_place = at("tag");
        let tag = tag_place.map(|at| pairs[at].1.clone()).unwrap_or_default();
        let own = pairs[place].1.clone();
        let word = own.strip_prefix("docker://").unwrap_or(&own);
        if word.is_empty() || !tag.is_empty() && reference::has_tag(word) {
            return call;
        }
        let whole = reference::joined(word, &tag);
        let is_untagged = is_pull && !reference::has_tag(&whole);
        let image = match self.rewritten(&whole, NamePlace::Named) {
            Some(image) => image,
            None if is_untagged => format!("{whole}:latest"),
            None => return call,
        };
        let (image, version) = reference::divided(&image);
        // Docker reads an empty tag as every tag; the guard refuses the client's own.
        if version.is_empty() {
            return call;
        }
        image.clone_into(&mut pairs[place].1);
        match tag_place {
            Some(at) => version.clone_into(&mut pairs[at].1),
            None => pairs.push(("tag".to_owned(), version.to_owned())),
        }
        call.with_parameters(&pairs)
    }
}

/// Returns the call without the credentials of its query, which Podman's client repeats there.
fn without_credentials(call: Call) -> Call {
    let Some(mut pairs) = call.parameters() else {
        return call;
    };
    let count = pairs.len();
    pairs.retain(|(name, _)| !matches!(fold(name).as_ref(), "username" | "password"));
    match pairs.len() < count {
        true => call.with_parameters(&pairs),
        false => call,
    }
}

/// Calls a function with every value at a path of names in lower case, whatever their spelling in
/// the body: the engine takes any, and the walk over the body refuses two.
fn each(value: &mut Json<'_>, path: &[&str], act: &mut dyn FnMut(&mut Json<'_>)) {
    match path.split_first() {
        None => act(value),
        Some((name, rest)) => {
            if let Json::Map(map) = value {
                for (_, value) in map.iter_mut().filter(|(key, _)| fold(key) == *name) {
                    each(value, rest, act);
                }
            }
        }
    }
}

impl Guard {
    /// Returns whether the profile calls some images by other names.
    pub(crate) fn rewrites_images(&self) -> bool {
        !self.image_rewrites().is_empty()
    }

    fn image_rewrites(&self) -> &[ImageRewrite] {
        let creation = self.creation.as_deref();
        creation.map_or(&[], |creation| creation.image_rewrites.as_slice())
    }

    /// Returns the call with the images in path and query by the names that the profile gives them.
    /// A call is rewritten once.
    pub(crate) fn rewrite_images_of_call(&self, call: Call) -> Call {
        let Some(endpoint) = call.endpoint() else {
            return call;
        };
        if !self.rewrites_images() || !call.rewritten_images().is_empty() {
            return call;
        }
        let mut rewriter = Rewriter {
            rules: self.image_rewrites(),
            replaced: Vec::new(),
        };
        let call = rewriter.call(call, endpoint.id);
        let call = match changes_registry(rewriter.replaced.iter()) {
            true => without_credentials(call),
            false => call,
        };
        call.with_rewritten_images(rewriter.replaced)
    }

    /// Returns whether the body of a call holds credentials for another registry than that of the
    /// image's new name: engines before 24 take those of a push from its body, if it has no header.
    pub(crate) fn withholds_body(&self, call: &Call) -> bool {
        let is_push = call.endpoint().is_some_and(|endpoint| {
            matches!(
                endpoint.id,
                EndpointId::ImagePush | EndpointId::LibpodImagePush
            )
        });
        is_push && changes_registry(call.rewritten_images().iter())
    }

    /// Rewrites the images of a body. Returns the replaced references, each with the new one.
    pub(crate) fn rewrite_images_of_body(
        &self,
        id: EndpointId,
        body: &mut Json<'_>,
    ) -> Vec<(String, String)> {
        let mut rewriter = Rewriter {
            rules: self.image_rewrites(),
            replaced: Vec::new(),
        };
        if self.rewrites_images() {
            rewriter.body(id, body);
        }
        rewriter.replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rules: &str, word: &str, place: NamePlace) -> String {
        let rules: Vec<_> = rules
            .split_whitespace()
            .map(|rule| ImageRewrite::read(rule).unwrap_or_else(|why| panic!("{rule}: {why}")))
            .collect();
        let mut rewriter = Rewriter {
            rules: &rules,
            replaced: Vec::new(),
        };
        rewriter.rewritten(word, place).unwrap_or_default()
    }

    #[test]
    fn the_first_rule_that_fits_replaces_a_reference_once() {
        const HUB: &str = "docker.io/*=r.example/hub/*";
        const PINNED: &str = "nginx:1.25=r.example/nginx@sha256:00112233445566778899aabbccddeeff";
        for (rules, word, want) in [
            (HUB, "nginx", "r.example/hub/library/nginx:latest"),
            (HUB, "nginx:1", "r.example/hub/library/nginx:1"),
            (HUB, "me/x@sha256:00", "r.example/hub/me/x@sha256:00"),
            (HUB, "docker.io/nginx", "r.example/hub/library/nginx:latest"),
            (HUB, "index.docker.io/me/x", "r.example/hub/me/x:latest"),
            (HUB, "DOCKER.IO/me/x", "r.example/hub/me/x:latest"),
            (HUB, "docker.io:443/me/x", "r.example/hub/me/x:latest"),
            (
                HUB,
                "registry-1.docker.io/me/x",
                "r.example/hub/me/x:latest",
            ),
            (HUB, "ghcr.io/me/x", ""),
            (HUB, "docker.io.example/me/x", ""),
            (HUB, "localhost:5000/x", ""),
            (HUB, "r.example/hub/me/x", ""),
            (
                PINNED,
                "nginx:1.25",
                "r.example/nginx@sha256:00112233445566778899aabbccddeeff",
            ),
            (PINNED, "nginx:1.26", ""),
            (PINNED, "nginx", ""),
            (
                "nginx=r.example/n",
                "nginx:1@sha256:00",
                "r.example/n:1@sha256:00",
            ),
            ("nginx=r.example/n", "nginx2", ""),
            ("nginx=r.example/n:2", "nginx:1", "r.example/n:2"),
            ("nginx:*=r.example/n:x-*", "nginx:1", "r.example/n:x-1"),
            ("docker.io/*:1=r.example/*", "me/x:1", "r.example/me/x:1"),
            ("*=r.example/*", "ghcr.io/a/b:1", "r.example/ghcr.io/a/b:1"),
            ("*=r.example/*", "r.example/ghcr.io/a/b:1", ""),
            (
                "r.example:5000/*=s.example/*",
                "r.example:5000/x:1",
                "s.example/x:1",
            ),
            ("r.example:5000/*=s.example/*", "r.example/x:1", ""),
            ("r*.io/x=s.io/*/x", "r1.io/x:1", "s.io/1/x:1"),
            ("r*.io/x=s.io/*/x", "r1.io/x/y:1", ""),
            ("a.io/*=b.io/* b.io/*=c.io/*", "a.io/x:1", "b.io/x:1"),
            ("a.io/x=b.io/y a.io/*=c.io/*", "a.io/x:1", "b.io/y:1"),
            ("a.io/x=b.io/y a.io/*=c.io/*", "a.io/z:1", "c.io/z:1"),
        ] {
            assert_eq!(
                rewritten(rules, word, NamePlace::Local),
                want,
                "{rules}: {word}"
            );
        }
    }

    #[test]
    fn identifiers_are_no_names_where_the_engine_looks_for_an_image() {
        let full = "0a".repeat(32);
        let named = |word: &str| format!("r.io/library/{word}");
        for (word, place, want) in [
            ("deadbeef", NamePlace::Local, String::new()),
            ("deadbeef:1", NamePlace::Local, named("deadbeef:1")),
            ("deadbeef", NamePlace::Service, named("deadbeef:latest")),
            ("deadbeef", NamePlace::Named, named("deadbeef:latest")),
            (&full, NamePlace::Service, String::new()),
            (&format!("sha256:{full}"), NamePlace::Service, String::new()),
            // The name sha256 with a tag, for a registry.
            (
                &format!("sha256:{full}"),
                NamePlace::Named,
                named(&format!("sha256:{full}")),
            ),
            ("sha256:0a", NamePlace::Local, String::new()),
            ("nginx", NamePlace::Local, named("nginx:latest")),
        ] {
            assert_eq!(rewritten("docker.io/*=r.io/*", word, place), want, "{word}");
        }
    }

    #[test]
    fn rules_have_two_images() {
        for text in [
            "",
            "nginx",
            "=r.io/x",
            "nginx=",
            "nginx=*",
            "nginx=r.io/*",
            "docker.io/*/*=r.io/*",
            "docker.io/*=*",
            "docker.io/*=r.io/ *",
            "docker.io/*=r.io/X/*",
            "nginx=r.io/x@sha256:1",
            "nginx=r.io/x:",
        ] {
            assert!(ImageRewrite::read(text).is_err(), "{text}");
        }
    }
}
