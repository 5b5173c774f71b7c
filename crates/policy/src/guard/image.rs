//! Images: their sources, and the ones that may be used.

use super::{Judge, Step, creation};

use super::form::{Form, field, judged as judged_field};
use super::json::Json;
use super::query::{Pairs, Parameter, judged, many, many_judged, plain};
use super::visibility::Overwriting;
use crate::request::call::Call;
use crate::request::transport::transport;

/// Podman takes such an image from a path of the host, which it opens as root.
const OF_HOST: &str =
    "takes an image from the host, not from a registry; write it with its registry";

/// The place of an image that the path names.
pub(super) const IN_PATH: &str = "the image";

/// Of `POST /images/create`: a pull, or an import.
pub(super) const CREATE: &[Parameter] = &[
    plain("fromImage"),
    judged("fromSrc", source),
    plain("repo"),
    plain("tag"),
    plain("message"),
    many_judged("changes", super::stamp::change),
    plain("platform"),
];

/// Of `POST /libpod/images/pull`.
pub(super) const LIBPOD_PULL: &[Parameter] = &[
    judged("reference", |judge, text| {
        pulled(judge, text);
        judge.claim_image(text.strip_prefix("docker://").unwrap_or(text));
    }),
    judged("alltags", |judge, value| {
        if judge.guard.binds_images() && is_on(value) {
            let what = "pulls images by names that are not judged; pull them one by one";
            judge.refuse(what.to_owned(), None);
        }
    }),
    plain("arch"),
    plain("os"),
    plain("variant"),
    judged("authfile", |judge, file| {
        if !file.is_empty() {
            judge.refuse("names a file of the host".to_owned(), None);
        }
    }),
    plain("username"),
    plain("password"),
    plain("policy"),
    plain("quiet"),
    plain("skiptlsverify"),
    plain("tlsVerify"),
    plain("compatMode"),
    plain("pullProgress"),
    plain("retry"),
    plain("retrydelay"),
];

/// Returns whether a switch of a query is on.
pub(super) fn is_on(value: &str) -> bool {
    !matches!(value, "" | "0" | "false" | "False")
}

/// Judges a reference without regard to the engine: Podman also takes images from files, folders
/// and other stores of the host, by a transport before the name (containers/image `transports`).
fn pulled(judge: &mut Judge<'_>, text: &str) {
    let name = text.strip_prefix("docker://").unwrap_or(text);
    let has_transport = transport(name).is_some();
    if has_transport || name.starts_with(['/', '.']) || name.contains("://") {
        judge.refuse(OF_HOST.to_owned(), None);
    }
    // Podman takes such a name for one of Docker Hub, whatever its settings (`libimage` `Pull`).
    match name == text {
        true => new_reference(judge, name),
        false => of_registry(judge, name),
    }
}

/// Judges an image about which the engine asks its registry.
pub(super) fn asked_for(judge: &mut Judge<'_>, text: &str) {
    pulled(judge, text);
}

/// Of `POST /images/{name}/push`. Podman writes the image to the host where the destination has a
/// transport.
pub(super) const PUSH: &[Parameter] = &[
    plain("tag"),
    plain("platform"),
    judged("destination", pushed),
    plain("all"),
    plain("compress"),
    plain("format"),
    plain("tlsVerify"),
];

/// Of `POST /libpod/images/{name}/push`.
pub(super) const LIBPOD_PUSH: &[Parameter] = &[
    judged("destination", pushed),
    plain("all"),
    plain("compressionFormat"),
    plain("compressionLevel"),
    plain("forceCompressionFormat"),
    plain("format"),
    plain("quiet"),
    plain("removeSignatures"),
    plain("retry"),
    plain("retryDelay"),
    plain("tlsVerify"),
];

fn pushed(judge: &mut Judge<'_>, text: &str) {
    if !text.is_empty() {
        pulled(judge, text);
    }
}

/// Judges the image of the path as the destination of a push that names none: Podman finds an image
/// of any registry by a short name, and pushes it to Docker Hub under that name.
pub(super) fn pushed_to_own_name(judge: &mut Judge<'_>, call: &Call, pairs: &Pairs) {
    let has_destination = pairs
        .iter()
        .any(|(name, value)| name == "destination" && !value.is_empty());
    if let Some(captured) = call.captured().filter(|_| !has_destination) {
        judge.within(Step::Field(IN_PATH), |judge| pushed(judge, captured.word));
    }
}

/// Of the calls that make or change a list of manifests.
pub(super) const MANIFEST: &[Parameter] = &[
    plain("name"),
    many_judged("images", pulled),
    plain("all"),
    plain("amend"),
    many("annotation"),
    many("annotations"),
    plain("tlsVerify"),
];

/// Judges the name that a list of manifests has or gets.
pub(super) fn listed_under(judge: &mut Judge<'_>, call: &Call, pairs: &Pairs) {
    let in_path = call.unversioned_path().strip_prefix("/libpod/manifests/");
    let in_query = pairs.iter().filter(|(name, _)| name == "name");
    let names = in_query.map(|(_, name)| name.as_str()).chain(in_path);
    for name in names {
        judge.claim_image(name.strip_suffix("/add").unwrap_or(name));
    }
}

/// Podman `entities.ManifestModifyOptions`.
pub(super) static MANIFEST_FORM: Form = Form::Struct(&[
    field("operation", Form::Text),
    judged_field("images", Form::List(&Form::Text), |judge, images| {
        let images = images.list().iter().map(Json::text);
        judge.each(images, |judge, image| pulled(judge, image));
    }),
    field("all", Form::Bool),
    field("annotation", Form::List(&Form::Text)),
    field("annotations", Form::Map(&Form::Text)),
    field("index_annotations", Form::Map(&Form::Text)),
    field("arch", Form::Text),
    field("features", Form::List(&Form::Text)),
    field("os", Form::Text),
    field("os_features", Form::List(&Form::Text)),
    field("os_version", Form::Text),
    field("variant", Form::Text),
]);

/// Of `POST /images/{name}/tag`.
pub(super) const TAG: &[Parameter] = &[plain("repo"), plain("tag"), plain("force")];

/// Judges the image that a call makes or pulls with its tag, as one reference, as a container will
/// name it.
pub(super) fn made(judge: &mut Judge<'_>, _: &Call, pairs: &Pairs) {
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    for name in ["fromImage", "repo"] {
        if !value(name).is_empty() {
            let whole = super::reference::joined(value(name), value("tag"));
            if !value("tag").is_empty() && super::reference::has_tag(value(name)) {
                judge.within(Step::Parameter(name), |judge| {
                    judge.malformed("has a tag already, beside the tag".to_owned())
                });
            }
            judge.within(Step::Parameter(name), |judge| match name {
                "fromImage" => {
                    pulled(judge, &whole);
                    judge.claim_image(&whole);
                    // Docker pulls all tags of a name without one.
                    judge.claim_repository(&whole);
                }
                _ => {
                    named(judge, &whole);
                }
            });
        }
    }
}

/// Judges the name that an image gets. A rule of the profile may have put a digest in its place.
fn named(judge: &mut Judge<'_>, name: &str) {
    if judge.guard.rewrites_images() && name.contains('@') {
        let what = "is a digest, which no image can be given; give it another name";
        judge.refuse(what.to_owned(), None);
    }
    new_reference(judge, name);
    judge.claim_image(name);
}

/// Judges an image that gets another name, and that name: a client that can give an allowed name to
/// any image could use any image.
pub(super) fn tagged(judge: &mut Judge<'_>, call: &Call, pairs: &Pairs) {
    let source = call.captured().map_or("", |captured| captured.word);
    judge.within(Step::Field(IN_PATH), |judge| reference(judge, source));
    made(judge, call, pairs);
}

/// Of `POST /commit`.
pub(super) const COMMIT: &[Parameter] = &[
    plain("container"),
    plain("repo"),
    plain("tag"),
    plain("comment"),
    plain("author"),
    plain("pause"),
    many_judged("changes", super::stamp::change),
];

/// Judges an image that is used. A word that an engine may take for an identifier is no short name.
pub(super) fn reference(judge: &mut Judge<'_>, reference: &str) {
    let has_registry =
        !judge.guard.binds_images() || is_id(reference) || judge.has_registry(reference);
    if has_registry {
        of_registry(judge, reference);
        judge.look_up_digest(reference);
    }
}

/// Judges the image of a service. The node that runs a task pulls the image by its tag, and gives
/// the name to what the registry has.
pub(super) fn of_service(judge: &mut Judge<'_>, image: &str) {
    reference(judge, image);
    if !image.contains('@') && !image.is_empty() {
        judge.claim_image(image);
        if judge.owns() {
            judge.look_up_name(super::reference::normalised(image), Overwriting::Task);
        }
    }
}

/// Judges an image that is pulled, pushed or made: every word but a full identifier is a name.
fn new_reference(judge: &mut Judge<'_>, reference: &str) {
    let is_full_id = is_id(reference) && (reference.contains(':') || reference.len() == 64);
    let is_refused_id = is_id(reference) && judge.guard.needs_image_names();
    let has_registry =
        !judge.guard.binds_images() || is_full_id || is_refused_id || judge.has_registry(reference);
    if has_registry {
        of_registry(judge, reference);
    }
}

/// Returns whether an engine may take the word for the identifier of an image: it finds one by a
/// single digit.
pub(super) fn is_id(word: &str) -> bool {
    word.starts_with("sha256:") || word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Judges an image by its full name, in Docker's meaning.
fn of_registry(judge: &mut Judge<'_>, reference: &str) {
    if reference.is_empty() {
        return;
    }
    let is_id = is_id(reference);
    if is_id && judge.guard.needs_image_names() {
        let what = "may be an identifier, which does not tell what image it is; write the image \
            with its registry or its tag";
        return judge.refuse(what.to_owned(), None);
    }
    if transport(reference).is_some() {
        return judge.refuse(OF_HOST.to_owned(), None);
    }
    let full = super::reference::normalised(reference);
    let is_strange = judge.guard.rewrites_images() && !is_id && !super::reference::is_valid(&full);
    if is_strange || reference.contains("://") && judge.guard.binds_images() {
        let what = "is no image that can be judged; write it as REGISTRY/NAME:TAG";
        return judge.refuse(what.to_owned(), None);
    }
    creation::denied_image(judge, reference);
    if judge.has("image") {
        judge.unless_allowed("image", reference, || {
            "is not among the images that guard-allow names".to_owned()
        });
    }
    if judge.has("registry") {
        let registry = super::reference::registry(reference);
        judge.unless_allowed("registry", &registry, || {
            "is of no registry that guard-allow names".to_owned()
        });
    }
}

/// Judges an image that cannot be seen: in an archive, or made by a build.
pub(super) fn unseen(judge: &mut Judge<'_>, _: &Json<'_>) {
    if judge.guard.binds_images() {
        judge.refuse(
            "guard-allow, deny-images or rewrite-images names images or registries, and those of \
            this call cannot be judged"
                .to_owned(),
            None,
        );
    }
}

/// Judges an archive of images: it gives them the names that it says.
pub(super) fn loaded(judge: &mut Judge<'_>, archive: &Json<'_>) {
    unseen(judge, archive);
    judge.claim_loaded();
}

/// Judges a registry that the engine connects to.
pub(super) fn server(judge: &mut Judge<'_>, address: &str) {
    let host = address
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    let host = if matches!(host, "" | "index.docker.io" | "registry-1.docker.io") {
        "docker.io"
    } else {
        host
    };
    if judge.has("registry") && !judge.allows("registry", host) {
        judge.unless_allowed("registry", host, || {
            "is no registry that guard-allow names".to_owned()
        });
    }
}

/// Judges the source of an import: `-` is the body; anything else is fetched by the engine, or read
/// from the host by Podman.
fn source(judge: &mut Judge<'_>, source: &str) {
    if !matches!(source, "" | "-") {
        judge.unless_allowed("import-url", source, || {
            "has the engine fetch a URL".to_owned()
        });
    }
    if !source.is_empty() {
        unseen(judge, &Json::Null);
    }
}
