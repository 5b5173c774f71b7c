//! Images that Podman takes from the host: a name with a transport before it stands for a file, a
//! folder or a store of images at a path that the name tells (containers/image `transports`).
//!
//! Podman reads the transport wherever it looks an image up, not only where it pulls or pushes. It
//! opens a store as root and creates it if it is missing; the options of the store even name a
//! program of the host, which Podman runs. So requests with such names are rejected before any rule
//! is asked.

use std::borrow::Cow;

/// The transports other than `docker`, which stands for a registry.
const TRANSPORTS: &[&str] = &[
    "atomic",
    STORE,
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];

/// The transport of stores of images.
const STORE: &str = "containers-storage";

/// Returns the transport that stands before a name.
pub(crate) fn transport(name: &str) -> Option<&'static str> {
    let (word, _) = name.split_once(':')?;
    TRANSPORTS.iter().copied().find(|known| *known == word)
}

/// Returns the transport before a name that Docker cannot take for an image: what follows is a path,
/// and neither a tag nor the port of a registry.
pub(crate) fn to_a_path(name: &str) -> Option<&'static str> {
    let found = transport(name)?;
    let rest = &name[found.len() + 1..];
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_path = match rest.split_once('/') {
        Some((first, _)) => !is_port(first),
        None => rest.starts_with(['.', '~']) || rest.is_empty(),
    };
    is_path.then_some(found)
}

/// Returns the transport in a decoded path. Docker knows none, and may have an image that is called
/// `dir`: in paths of its API, only a store is looked for here; [`to_a_path`] finds the others.
pub(crate) fn in_path(path: &str) -> Option<&'static str> {
    // Most paths have no colon.
    if !path.as_bytes().contains(&b':') {
        return None;
    }
    if has_store(path) {
        return Some(STORE);
    }
    match is_libpod(path) {
        true => path.split('/').find_map(transport),
        false => None,
    }
}

/// Returns the transport in a query of a path, which is decoded once and twice, and has these values:
/// a store anywhere, since lists take names of images in filters, and any other at the beginning of a
/// value for Podman's own API.
pub(crate) fn in_query<'v>(
    path: &str,
    decoded: [&str; 2],
    mut values: impl Iterator<Item = Cow<'v, str>>,
) -> Option<&'static str> {
    let has_store = |text: &str| has_store(&without_json_escapes(text));
    if decoded.into_iter().any(has_store) {
        return Some(STORE);
    }
    match is_libpod(path) {
        true => values.find_map(|value| transport(&value)),
        false => None,
    }
}

fn is_libpod(path: &str) -> bool {
    path.split('/').any(|segment| segment == "libpod")
}

fn has_store(text: &str) -> bool {
    text.match_indices(STORE)
        .any(|(at, _)| text[at + STORE.len()..].starts_with(':'))
}

/// Returns a text with its JSON escapes of the form `\u0061` resolved, wherever they stand.
fn without_json_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("\\u");
    let mut resolved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let character = part
            .get(..4)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        match character {
            Some(character) => {
                resolved.push(character);
                resolved.push_str(&part[4..]);
            }
            None => resolved.push_str(part),
        }
    }
    Cow::Owned(resolved)
}

#[cfg(test)]
mod tests {
    use crate::{Call, Malformed};

    #[test]
    fn images_of_the_host_are_rejected() {
        let store = "containers-storage:[vfs@/a+/b]docker.io/library/x:1";
        let escaped = "containers-storage%3A%5Bvfs%40%2Fa%2B%2Fb%5Dx%3A1";
        let filter =
            "%7B%22since%22%3A%5B%22\\u0063ontainers-storage\\u003A%5Bvfs%40%2Fa%5Dx%22%5D%7D";
        for (target, transport) in [
            (format!("/images/{store}/json"), "containers-storage"),
            (
                format!("/v4.0.0/libpod/images/{escaped}/exists"),
                "containers-storage",
            ),
            (
                format!("/libpod/manifests/{escaped}/json"),
                "containers-storage",
            ),
            (
                format!("/libpod/containers/a/changes?parent={escaped}"),
                "containers-storage",
            ),
            (
                format!("/libpod/images/remove?images={escaped}"),
                "containers-storage",
            ),
            (
                format!(
                    "/libpod/images/remove?images={}",
                    escaped.replace('%', "%25")
                ),
                "containers-storage",
            ),
            (
                format!("/images/json?filters={filter}"),
                "containers-storage",
            ),
            (
                "/libpod/images/containers-storage:x/json".to_owned(),
                "containers-storage",
            ),
            ("/libpod/manifests/dir:%2Fetc/json".to_owned(), "dir"),
            (
                "/libpod/manifests/a/registry/dir:%2Fetc%2Fcron.d".to_owned(),
                "dir",
            ),
            (
                "/libpod/manifests/a/push?destination=oci-archive%3A%2Fa".to_owned(),
                "oci-archive",
            ),
            ("/images/tarball:%2Fetc%2Fpasswd/json".to_owned(), "tarball"),
            (
                "/images/oci-archive:etc/shadow/json".to_owned(),
                "oci-archive",
            ),
            ("/v1.41/images/dir:.x/json".to_owned(), "dir"),
            ("/libpod/images/oci:a/json".to_owned(), "oci"),
            (
                "/libpod/images/export?references=a&references=tarball:a".to_owned(),
                "tarball",
            ),
        ] {
            let read = Call::read("GET", &target).map(|call| call.path().to_owned());
            assert_eq!(read, Err(Malformed::ImageOfHost(transport)), "{target}");
        }
    }

    #[test]
    fn other_images_pass() {
        for target in [
            "/images/dir:latest/json",
            "/images/oci:5000/me/app:1/json",
            "/images/containers-storage/json",
            "/images/localhost:5000/oci:1/json",
            "/libpod/images/localhost:5000/x/oci/json",
            "/libpod/images/quay.io/me/dir@sha256:00/json",
            "/libpod/manifests/docker:%2F%2Fquay.io%2Fa/json",
            "/libpod/containers/a/exec?x=containers-storage",
            "/libpod/images/json?filters=%7B%22reference%22%3A%5B%22dir:a%22%5D%7D",
        ] {
            let read = Call::read("GET", target);
            assert!(read.is_ok(), "{target}: {read:?}");
        }
    }
}
