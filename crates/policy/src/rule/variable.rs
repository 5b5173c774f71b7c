//! The variables of the rule language.
//!
//! Names and values are those that existing rule files rely on. One differs: `%API_PREFIX_EXEC%`
//! also covers the creation of an exec (`/containers/{id}/exec`), as the documentation that those
//! users follow promises.

use strsim::levenshtein;

/// Every variable with its value; values may name other variables.
pub const VARIABLES: &[(&str, &str)] = &[
    ("DOMAIN", r"(?:%_DOMAIN_LABEL%(?:\.%_DOMAIN_LABEL%)*)"),
    ("IPV4", r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})"),
    (
        "IPV6",
        r"(?:\[[a-fA-F0-9]{0,4}(?::[a-fA-F0-9]{0,4}){2,7}(?:%[a-zA-Z0-9_]+)?\])",
    ),
    ("IP", r"(?:%IPV4%|%IPV6%)"),
    ("DOMAIN_OR_IP", r"(?:%DOMAIN%|%IP%)"),
    ("HOST", r"(?:%DOMAIN_OR_IP%(?::[0-9]+)?)"),
    ("IMAGE_ID", r"%_OBJECT_ID%"),
    (
        "IMAGE_COMPONENT",
        r"(?:[a-zA-Z0-9]+(?:(?:\.|_{1,2}|-+)[a-zA-Z0-9]+)*)",
    ),
    ("IMAGE_TAG", r"(?:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})"),
    (
        "IMAGE_DIGEST",
        r"(?:[a-zA-Z][a-zA-Z0-9]*(?:[_.+-][a-zA-Z][a-zA-Z0-9]*)*:[a-fA-F0-9]{32,})",
    ),
    (
        "IMAGE_NAME",
        r"(?:(?:%HOST%/)?%IMAGE_COMPONENT%(?:/%IMAGE_COMPONENT%)*)",
    ),
    (
        "IMAGE_REFERENCE",
        r"(?:%IMAGE_NAME%(?::%IMAGE_TAG%)?(?:@%IMAGE_DIGEST%)?)",
    ),
    ("IMAGE_ID_OR_REFERENCE", r"(?:%IMAGE_ID%|%IMAGE_REFERENCE%)"),
    ("CONTAINER_ID", r"%_OBJECT_ID%"),
    ("CONTAINER_NAME", r"%_OBJECT_NAME%"),
    (
        "CONTAINER_ID_OR_NAME",
        r"(?:%CONTAINER_ID%|%CONTAINER_NAME%)",
    ),
    ("VOLUME_ID", r"%_OBJECT_ID%"),
    ("VOLUME_NAME", r"%_OBJECT_NAME%"),
    ("VOLUME_ID_OR_NAME", r"(?:%VOLUME_ID%|%VOLUME_NAME%)"),
    ("NETWORK_ID", r"%_OBJECT_ID%"),
    ("NETWORK_NAME", r"(?:[^/]+)"),
    ("NETWORK_ID_OR_NAME", r"(?:%NETWORK_ID%|%NETWORK_NAME%)"),
    ("PLUGIN_ID", r"%_OBJECT_ID%"),
    ("PLUGIN_NAME", r"%IMAGE_NAME%"),
    ("PLUGIN_ID_OR_NAME", r"(?:%PLUGIN_ID%|%PLUGIN_NAME%)"),
    ("API_PREFIX", r"%_API_VERSION%?"),
    ("API_PREFIX_AUTH", r"%API_PREFIX%/auth"),
    ("API_PREFIX_BUILD", r"%API_PREFIX%/build"),
    ("API_PREFIX_COMMIT", r"%API_PREFIX%/commit"),
    ("API_PREFIX_CONFIGS", r"%API_PREFIX%/configs"),
    ("API_PREFIX_CONTAINERS", r"%API_PREFIX%/containers"),
    ("API_PREFIX_DEBUG", r"%API_PREFIX%/debug"),
    ("API_PREFIX_DISTRIBUTION", r"%API_PREFIX%/distribution"),
    ("API_PREFIX_EVENTS", r"%API_PREFIX%/events"),
    (
        "API_PREFIX_EXEC",
        r"%API_PREFIX%(?:/containers/[^/]+)?/exec",
    ),
    ("API_PREFIX_GRPC", r"%API_PREFIX%/grpc"),
    ("API_PREFIX_IMAGES", r"%API_PREFIX%/images"),
    ("API_PREFIX_INFO", r"%API_PREFIX%/info"),
    ("API_PREFIX_NETWORKS", r"%API_PREFIX%/networks"),
    ("API_PREFIX_NODES", r"%API_PREFIX%/nodes"),
    ("API_PREFIX_PING", r"%API_PREFIX%/_ping"),
    ("API_PREFIX_PLUGINS", r"%API_PREFIX%/plugins"),
    ("API_PREFIX_SECRETS", r"%API_PREFIX%/secrets"),
    ("API_PREFIX_SERVICES", r"%API_PREFIX%/services"),
    ("API_PREFIX_SESSION", r"%API_PREFIX%/session"),
    ("API_PREFIX_SWARM", r"%API_PREFIX%/swarm"),
    ("API_PREFIX_SYSTEM", r"%API_PREFIX%/system"),
    ("API_PREFIX_TASKS", r"%API_PREFIX%/tasks"),
    ("API_PREFIX_VERSION", r"%API_PREFIX%/version"),
    ("API_PREFIX_VOLUMES", r"%API_PREFIX%/volumes"),
    ("API_PREFIX_LIBPOD", r"%_API_VERSION%/libpod"),
    ("API_PREFIX_LIBPOD_BUILD", r"%API_PREFIX_LIBPOD%/build"),
    ("API_PREFIX_LIBPOD_COMMIT", r"%API_PREFIX_LIBPOD%/commit"),
    (
        "API_PREFIX_LIBPOD_CONTAINERS",
        r"%API_PREFIX_LIBPOD%/containers",
    ),
    ("API_PREFIX_LIBPOD_EVENTS", r"%API_PREFIX_LIBPOD%/events"),
    (
        "API_PREFIX_LIBPOD_EXEC",
        r"%API_PREFIX_LIBPOD%(?:/containers/[^/]+)?/exec",
    ),
    (
        "API_PREFIX_LIBPOD_GENERATE",
        r"%API_PREFIX_LIBPOD%/generate",
    ),
    ("API_PREFIX_LIBPOD_IMAGES", r"%API_PREFIX_LIBPOD%/images"),
    ("API_PREFIX_LIBPOD_INFO", r"%API_PREFIX_LIBPOD%/info"),
    ("API_PREFIX_LIBPOD_KUBE", r"%API_PREFIX_LIBPOD%/kube"),
    (
        "API_PREFIX_LIBPOD_MANIFESTS",
        r"%API_PREFIX_LIBPOD%/manifests",
    ),
    (
        "API_PREFIX_LIBPOD_NETWORKS",
        r"%API_PREFIX_LIBPOD%/networks",
    ),
    ("API_PREFIX_LIBPOD_PING", r"%API_PREFIX_LIBPOD%/_ping"),
    ("API_PREFIX_LIBPOD_PLAY", r"%API_PREFIX_LIBPOD%/play"),
    ("API_PREFIX_LIBPOD_PODS", r"%API_PREFIX_LIBPOD%/pods"),
    ("API_PREFIX_LIBPOD_SECRETS", r"%API_PREFIX_LIBPOD%/secrets"),
    ("API_PREFIX_LIBPOD_SYSTEM", r"%API_PREFIX_LIBPOD%/system"),
    ("API_PREFIX_LIBPOD_VERSION", r"%API_PREFIX_LIBPOD%/version"),
    ("API_PREFIX_LIBPOD_VOLUMES", r"%API_PREFIX_LIBPOD%/volumes"),
    // The values of the others use these.
    ("_API_VERSION", r"(?:/v[0-9]+(?:\.[0-9]+)*)"),
    ("_OBJECT_ID", r"(?:[a-fA-F0-9]+)"),
    ("_OBJECT_NAME", r"(?:[a-zA-Z0-9][a-zA-Z0-9_.-]+)"),
    (
        "_DOMAIN_LABEL",
        r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)",
    ),
];

/// Returns the value of a variable by its name, which is given without the `%`.
#[must_use]
pub(super) fn find_value(name: &str) -> Option<&'static str> {
    VARIABLES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

/// Returns the name of a variable that is similar to a mistyped one.
#[must_use]
pub(super) fn nearest_variable(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    // Users forget the prefix of an API section more often than they mistype a name.
    let section = format!("API_PREFIX_{name}");
    if let Some((known, _)) = VARIABLES.iter().find(|(known, _)| *known == section) {
        return Some(known);
    }
    let (known, distance) = VARIABLES
        .iter()
        .filter(|(known, _)| !known.starts_with('_'))
        .map(|(known, _)| (*known, levenshtein(&name, known)))
        .min_by_key(|(_, distance)| *distance)?;
    (distance <= 2 + name.len() / 3).then_some(known)
}

/// Returns the place and the name of each `%NAME%` of a pattern.
///
/// A `%` that begins no name is literal, as in the zone of an IPv6 address.
pub(super) fn find_variables(
    pattern: &str,
) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + pattern[from..].find('%')?;
            let rest = &pattern[start + 1..];
            let length = rest
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
                .count();
            if length > 0 && rest[length..].starts_with('%') {
                from = start + length + 2;
                return Some((start..from, &rest[..length]));
            }
            from = start + 1;
        }
    })
}

/// Replaces every variable of a pattern by its value, and the variables of that value too. Unknown
/// variables remain.
#[must_use]
pub fn expand(pattern: &str) -> String {
    let mut expanded = String::with_capacity(pattern.len() * 4);
    let mut from = 0;
    for (range, name) in find_variables(pattern) {
        if let Some(value) = find_value(name) {
            expanded.push_str(&pattern[from..range.start]);
            expanded.push_str(&expand(value));
            from = range.end;
        }
    }
    expanded.push_str(&pattern[from..]);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(variable: &str, text: &str) -> bool {
        let pattern = format!(r"\A(?:{})\z", expand(&format!("%{variable}%")));
        regex::Regex::new(&pattern).expect(variable).is_match(text)
    }

    #[test]
    fn all_variables_expand_to_an_expression_that_compiles() {
        assert!(VARIABLES.len() >= 71);
        for (name, _) in VARIABLES {
            let expanded = expand(&format!("%{name}%"));
            assert_eq!(find_variables(&expanded).count(), 0, "{name} → {expanded}");
            regex::Regex::new(&expanded).expect(name);
        }
    }

    #[test]
    fn variables_mean_what_they_say() {
        for (variable, text, want) in [
            ("DOMAIN", "sub.example.test", true),
            ("DOMAIN", "sub.-example.test", false),
            ("DOMAIN", "a..b", false),
            ("IPV4", "10.0.0.1", true),
            ("IPV4", "10.0.0", false),
            ("IPV6", "[::1]", true),
            ("IPV6", "[fe80::1%eth0]", true),
            ("IPV6", "::1", false),
            ("HOST", "registry.test:5000", true),
            ("HOST", "[::1]:5000", true),
            ("HOST", "registry.test:", false),
            ("IMAGE_ID", "0123abcdef", true),
            ("IMAGE_ID", "0123xyz", false),
            (
                "IMAGE_REFERENCE",
                "localhost:5000/library/busybox:latest",
                true,
            ),
            ("IMAGE_REFERENCE", "foo__bar", true),
            ("IMAGE_REFERENCE", "foo___bar", false),
            ("IMAGE_REFERENCE", "foo..bar", false),
            (
                "IMAGE_REFERENCE",
                "b@sha256:09c731d73926315908778730f9e60686",
                true,
            ),
            ("IMAGE_REFERENCE", "b@sha256:short", false),
            ("IMAGE_REFERENCE", "a/b/json", true),
            ("CONTAINER_ID_OR_NAME", "web-1", true),
            ("CONTAINER_ID_OR_NAME", "-web", false),
            ("CONTAINER_ID_OR_NAME", "a/b", false),
            ("CONTAINER_ID_OR_NAME", "a", true),
            ("CONTAINER_NAME", "x", false),
            ("NETWORK_ID_OR_NAME", "any thing", true),
            ("NETWORK_ID_OR_NAME", "a/b", false),
            ("API_PREFIX", "", true),
            ("API_PREFIX", "/v1.43", true),
            ("API_PREFIX", "/v1.43.", false),
            ("API_PREFIX_PING", "/_ping", true),
            ("API_PREFIX_PING", "/v1.43/_ping", true),
            ("API_PREFIX_PING", "/_ping/", false),
            ("API_PREFIX_EXEC", "/exec", true),
            ("API_PREFIX_EXEC", "/v1.43/containers/web/exec", true),
            ("API_PREFIX_EXEC", "/containers/exec", false),
            ("API_PREFIX_EXEC", "/containers/a/b/exec", false),
            ("API_PREFIX_LIBPOD_PING", "/v4.0.0/libpod/_ping", true),
            ("API_PREFIX_LIBPOD_PING", "/libpod/_ping", false),
        ] {
            assert_eq!(matches(variable, text), want, "%{variable}% ~ {text:?}");
        }
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        for (typed, want) in [
            ("API_PREFIX_CONTAINER", Some("API_PREFIX_CONTAINERS")),
            ("API_PREFX_IMAGES", Some("API_PREFIX_IMAGES")),
            ("container_id_or_name", Some("CONTAINER_ID_OR_NAME")),
            ("NOTHING_LIKE_IT_AT_ALL", None),
        ] {
            assert_eq!(nearest_variable(typed), want, "{typed}");
        }
    }
}
