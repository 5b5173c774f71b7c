//! References of images, in the one form in which the engine compares them
//! (`distribution/reference`).

use crate::text::pattern::Pattern;

/// Returns the full form of a reference: `busybox` becomes `docker.io/library/busybox:latest`.
#[must_use]
pub fn normalised(reference: &str) -> String {
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

/// Returns whether engines look for an image on the host itself, where a client can serve it on a
/// published port.
pub(super) fn is_of_this_host(reference: &str) -> bool {
    let registry = comparable_host(&registry(reference));
    let name = registry
        .rsplit_once(':')
        .map_or(registry.as_str(), |(name, _)| name);
    let is_loopback = |address: &str| {
        let address = address.trim_start_matches('[').trim_end_matches(']');
        address
            .parse()
            .is_ok_and(|address: core::net::IpAddr| address.is_loopback())
    };
    name == "localhost" || is_loopback(name) || is_loopback(&registry)
}

/// Returns the reference with its registry, and with `library/` if the engine adds it.
pub(super) fn named(reference: &str) -> String {
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

/// Returns the full form of a reference in which spellings of one registry are equal: host names
/// have no letter case, `:443` is the port of every registry, and Docker Hub has several names.
pub(super) fn comparable(reference: &str) -> String {
    match reference.split_once('/') {
        Some((host, rest)) if is_host(host) => {
            normalised(&format!("{}/{rest}", comparable_host(host)))
        }
        _ => normalised(reference),
    }
}

fn comparable_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    // Zeros before a port mean nothing to Go (`net.parsePort`).
    let host = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            match port.trim_start_matches('0') {
                "443" => name.to_owned(),
                port => format!("{name}:{port}"),
            }
        }
        _ => host,
    };
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            "docker.io".to_owned()
        }
        _ => host,
    }
}

/// Returns whether the first word of a reference is a registry (`distribution/reference`
/// `splitDockerDomain`).
fn is_host(word: &str) -> bool {
    word.contains(['.', ':'])
        || word == "localhost"
        || word.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Returns whether Podman completes a name by its own settings: by its aliases, `localhost/`, and
/// the registries that it searches (containers/image `pkg/shortnames` `parseUnnormalizedShortName`).
/// Docker reads such a name as one of Docker Hub.
pub(super) fn is_short(reference: &str) -> bool {
    match reference.split_once('/') {
        Some((host, _)) => !host.contains(['.', ':']) && host != "localhost",
        None => true,
    }
}

/// Returns a pattern of references with its registry, in lower case. `docker.io/*` is every image
/// of Docker Hub, and `ngin*` is below `docker.io/library/`.
pub(super) fn with_registry(pattern: &str) -> String {
    if pattern.starts_with('*') {
        return pattern.to_owned();
    }
    let before_star = pattern.split('*').next().unwrap_or_default();
    let (host, rest) = match pattern.split_once('/') {
        Some((host, rest)) if is_host(host) => (host, rest),
        _ => return named(pattern),
    };
    // The first word behind the registry is a whole name if its tag follows.
    let is_name = pattern == before_star
        || before_star
            .get(host.len()..)
            .is_some_and(|rest| rest.contains([':', '@']));
    let full = comparable_host(host);
    match is_name {
        true => named(&format!("{full}/{rest}")),
        false => format!("{full}/{rest}"),
    }
}

/// Joins a name with a tag or a digest that stands in a parameter of its own.
pub(super) fn joined(name: &str, version: &str) -> String {
    match version {
        "" => name.to_owned(),
        digest if digest.contains(':') => format!("{name}@{digest}"),
        tag => format!("{name}:{tag}"),
    }
}

/// Divides a reference into its name, and its tag or digest for a parameter of its own. If it has
/// both, the tag stays with the name.
pub(super) fn divided(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    let name = without_version(reference);
    (name, reference[name.len()..].trim_start_matches(':'))
}

/// Returns a reference without its tag and its digest.
pub(super) fn without_version(reference: &str) -> &str {
    let tagged = reference.split('@').next().unwrap_or_default();
    match tagged.rfind([':', '/']) {
        Some(at) if tagged[at..].starts_with(':') => &tagged[..at],
        _ => tagged,
    }
}

/// Returns whether engines can read a reference with its registry (`distribution/reference`).
pub(super) fn is_valid(reference: &str) -> bool {
    let tagged = reference.split('@').next().unwrap_or_default();
    let name = without_version(reference);
    let is_digest = |text: &str| {
        text.split_once(':').is_some_and(|(kind, hex)| {
            !kind.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let is_tag = |text: &str| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.len() <= 128
            && text.starts_with(is_word)
            && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
    };
    let is_part = |part: &str| {
        let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(is_edge)
            && part.ends_with(is_edge)
            && part
                .chars()
                .all(|c| is_edge(c) || matches!(c, '.' | '_' | '-'))
    };
    let is_registry = |host: &str| {
        let is_ip = host.starts_with('[') && (host.ends_with(']') || host.contains("]:"));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let is_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        !name.is_empty() && (is_ip || name.chars().all(is_char)) && port.is_none_or(is_port)
    };
    let digest = reference.split_once('@').map(|(_, digest)| digest);
    let tag = &tagged[name.len()..];
    name.len() <= 255
        && digest.is_none_or(is_digest)
        && (tag.is_empty() || is_tag(&tag[1..]))
        && name
            .split_once('/')
            .is_some_and(|(host, path)| is_registry(host) && path.split('/').all(is_part))
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
