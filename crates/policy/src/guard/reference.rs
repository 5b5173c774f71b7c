//! References of images, in the one form in which the engine compares them
//! (`distribution/reference`).

use crate::pattern::Pattern;

/// Returns the full form of a reference: `busybox` becomes `docker.io/library/busybox:latest`.
pub(crate) fn normalised(reference: &str) -> String {
    let name = named(reference);
    match has_tag(&name) {
        true => name,
        false => format!("{name}:latest"),
    }
}

/// Returns the pattern for full forms that a pattern as users write it means. A pattern that begins
/// with a star stays as it is.
pub(crate) fn pattern(text: &str) -> Pattern {
    let is_open = text.starts_with('*') || text.ends_with('*');
    let name = if text.starts_with('*') {
        text.to_owned()
    } else {
        named(text)
    };
    Pattern::new(if is_open || has_tag(&name) {
        name
    } else {
        format!("{name}:latest")
    })
}

/// Returns the registry of a reference.
pub(super) fn registry(reference: &str) -> String {
    named(reference)
        .split('/')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Returns the reference with its registry, and with `library/` if the engine adds it.
pub(super) fn named(reference: &str) -> String {
    let is_host = |host: &str| {
        host.contains(['.', ':'])
            || host == "localhost"
            || host.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let (host, rest) = match reference.split_once('/') {
        Some((host, rest)) if is_host(host) => (host, rest),
        _ => ("docker.io", reference),
    };
    let host = if host == "index.docker.io" {
        "docker.io"
    } else {
        host
    };
    match host == "docker.io" && !rest.contains('/') {
        true => format!("{host}/library/{rest}"),
        false => format!("{host}/{rest}"),
    }
}

/// Returns whether a reference has a tag or a digest.
pub(super) fn has_tag(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .unwrap_or_default()
        .contains([':', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_the_engine_does() {
        for (reference, want) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            (
                "index.docker.io/library/busybox:1",
                "docker.io/library/busybox:1",
            ),
            ("me/x", "docker.io/me/x:latest"),
            ("ghcr.io/me/x@sha256:0", "ghcr.io/me/x@sha256:0"),
            ("localhost/x", "localhost/x:latest"),
            ("host:5000/x", "host:5000/x:latest"),
            ("Host/x", "Host/x:latest"),
        ] {
            assert_eq!(normalised(reference), want, "{reference}");
        }
    }

    #[test]
    fn patterns_fit_whatever_the_client_calls_the_image() {
        for (text, reference, want) in [
            ("busybox", "busybox", true),
            ("busybox", "docker.io/library/busybox:latest", true),
            ("busybox", "busybox:1", false),
            ("busybox:*", "docker.io/library/busybox", true),
            ("busybox:*", "busybox:1", true),
            ("busybox:*", "evil/busybox:1", false),
            ("busybox:*", "busybox.evil.example/x:1", false),
            ("ghcr.io/me/*", "ghcr.io/me/app", true),
            ("ghcr.io/me/*", "ghcr.io/you/app", false),
            ("me/*", "docker.io/me/app:2", true),
            ("me/*", "me.example/app:2", false),
            ("*", "x", true),
            ("busybox@*", "busybox@sha256:00", true),
        ] {
            assert_eq!(
                pattern(text).fits(&normalised(reference)),
                want,
                "{text} ← {reference}"
            );
        }
    }

    #[test]
    fn registries_are_found() {
        for (reference, want) in [
            ("busybox", "docker.io"),
            ("library/busybox:1", "docker.io"),
            ("ghcr.io/me/x@sha256:0", "ghcr.io"),
            ("localhost/x", "localhost"),
            ("host:5000/x", "host:5000"),
            ("busybox:1.2", "docker.io"),
            ("docker.io/x", "docker.io"),
            ("index.docker.io/x", "docker.io"),
        ] {
            assert_eq!(registry(reference), want, "{reference}");
        }
    }
}
