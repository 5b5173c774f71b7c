//! Images: where they come from, and which may be used.

use super::Judge;
use super::form::Step;
use super::json::Json;
use super::query::{Pairs, Parameter, judged, many, plain};
use crate::call::Call;

/// Of `POST /images/create`: a pull, or an import.
pub(super) const CREATE: &[Parameter] = &[
    plain("fromImage"),
    judged("fromSrc", source),
    plain("repo"),
    plain("tag"),
    plain("message"),
    many("changes"),
    plain("platform"),
];

/// Of `POST /libpod/images/pull`.
pub(super) const LIBPOD_PULL: &[Parameter] = &[
    judged("reference", pulled),
    plain("alltags"),
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

/// Podman also takes images from files, folders and other stores of the host: those have a transport before the name
/// (containers/image `transports`).
fn pulled(judge: &mut Judge<'_>, text: &str) {
    let name = text.strip_prefix("docker://").unwrap_or(text);
    let transport = name.split(':').next().unwrap_or_default();
    let transports = [
        "atomic",
        "containers-storage",
        "dir",
        "docker-archive",
        "docker-daemon",
        "oci",
        "oci-archive",
        "ostree",
        "sif",
        "tarball",
    ];
    if transports.contains(&transport) && name.contains(':') || name.starts_with(['/', '.']) {
        judge.refuse("takes an image from the host, not from a registry".to_owned(), None);
    }
    reference(judge, name);
}

/// Of `POST /images/{name}/tag`.
pub(super) const TAG: &[Parameter] = &[plain("repo"), plain("tag"), plain("force")];

/// The image that a call makes or pulls, with its tag: judged as one reference, as a container will name it.
pub(super) fn made(judge: &mut Judge<'_>, _: &Call, pairs: &Pairs) {
    let value =
        |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    let tag = match value("tag") {
        "" => String::new(),
        digest if digest.contains(':') => format!("@{digest}"),
        tag => format!(":{tag}"),
    };
    for name in ["fromImage", "repo"] {
        if !value(name).is_empty() {
            judge.within(Step::Field(&format!("?{name}")), |judge| reference(judge, &format!("{}{tag}", value(name))));
        }
    }
}

/// The image that gets another name, and that name: whoever could give a name that is allowed to any image could use any.
pub(super) fn tagged(judge: &mut Judge<'_>, call: &Call, pairs: &Pairs) {
    let path = call.unversioned_path();
    let source = path.strip_prefix("/libpod").unwrap_or(path).strip_prefix("/images/");
    let source = source.and_then(|source| source.strip_suffix("/tag")).unwrap_or(path);
    judge.within(Step::Field("the image"), |judge| reference(judge, source));
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
    many("changes"),
];

/// An image that is used, pulled or made.
pub(super) fn reference(judge: &mut Judge<'_>, reference: &str) {
    if reference.is_empty() {
        return;
    }
    if judge.has("image") && !judge.allows("image", reference) {
        judge.unless_allowed("image", reference, || "is not among the images that guard-allow names".to_owned());
    }
    // An image by its identifier may be of any registry, and one digit of it is enough for an engine.
    let is_id = reference.starts_with("sha256:") || reference.bytes().all(|b| b.is_ascii_hexdigit());
    if judge.has("registry") && is_id {
        judge.refuse(
            "may be an identifier, whose registry nobody can tell; write the image with its registry or its tag"
                .to_owned(),
            None,
        );
    } else if judge.has("registry") && !judge.allows("registry", registry(reference)) {
        judge.unless_allowed("registry", registry(reference), || "is of no registry that guard-allow names".to_owned());
    }
}

/// An image that cannot be seen: in an archive, or made by a build.
pub(super) fn unseen(judge: &mut Judge<'_>, _: &Json<'_>) {
    if judge.has("image") || judge.has("registry") {
        judge
            .refuse("guard-allow names images or registries, and those of this call cannot be judged".to_owned(), None);
    }
}

/// A registry that the engine connects to.
pub(super) fn server(judge: &mut Judge<'_>, address: &str) {
    let host =
        address.trim_start_matches("https://").trim_start_matches("http://").split('/').next().unwrap_or_default();
    let host = if matches!(host, "" | "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    if judge.has("registry") && !judge.allows("registry", host) {
        judge.unless_allowed("registry", host, || "is no registry that guard-allow names".to_owned());
    }
}

/// The registry in a reference, as the engine reads it (`distribution/reference`): the part before the first slash, if it looks
/// like a host.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _))
            if host.contains(['.', ':']) || host == "localhost" || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            host
        }
        _ => "docker.io",
    }
}

/// `-` is the body; anything else is fetched by the engine, or read from the host by Podman.
fn source(judge: &mut Judge<'_>, source: &str) {
    if !matches!(source, "" | "-") {
        judge.unless_allowed("import-url", source, || "has the engine fetch a URL".to_owned());
    }
    if !source.is_empty() {
        unseen(judge, &Json::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_read_as_the_engine_does() {
        for (reference, want) in [
            ("busybox", "docker.io"),
            ("library/busybox:1", "docker.io"),
            ("ghcr.io/me/x@sha256:0", "ghcr.io"),
            ("localhost/x", "localhost"),
            ("host:5000/x", "host:5000"),
            ("busybox:1.2", "docker.io"),
            ("docker.io/x", "docker.io"),
        ] {
            assert_eq!(registry(reference), want, "{reference}");
        }
    }
}
