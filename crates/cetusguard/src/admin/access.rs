//! Which requests the admin listener answers: those with its token, and those of no web page.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};

use crate::browser::{is_foreign_name, is_own_page};
use crate::config::admin::AdminToken;

/// The header in which browsers say how a page's site and the asked one belong together.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns whether a request carries the token, as `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
pub(super) fn has_token(headers: &HeaderMap, token: &AdminToken) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    match value.as_bytes().split_at_checked("Bearer ".len()) {
        Some((scheme, sent)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            token.matches(sent.trim_ascii())
        }
        _ => false,
    }
}

/// Returns why a request seems to be that of a web page of another site.
///
/// A page can have a name of its own lead to a loopback address (DNS rebinding). `Host` then has
/// that name, and no other header tells. A page cannot know the token, so that names are free where
/// one is needed; and no page reaches a Unix socket.
pub(super) fn foreign_page(headers: &HeaderMap, checks_host: bool) -> Option<&'static str> {
    let hosts: Vec<&str> = headers
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default())
        .collect();
    if checks_host && (hosts.len() != 1 || hosts.iter().any(|host| is_foreign_name(host))) {
        return Some(
            "Host is not an address or a name of this machine (DNS rebinding); ask for the \
            address, or set admin-token-file",
        );
    }
    let own = hosts.first().copied().unwrap_or_default();
    if headers
        .get_all(ORIGIN)
        .iter()
        .any(|origin| !is_own_page(origin.as_bytes(), own))
    {
        return Some("a web page of another site sent it (Origin)");
    }
    let is_cross = headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    is_cross.then_some("a web page of another site sent it (Sec-Fetch-Site)")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn pages_of_other_sites_are_told_from_other_requests() {
        for (lines, checks_host, is_foreign) in [
            (&[("host", "127.0.0.1:9100")][..], true, false),
            (&[("host", "localhost:9100")], true, false),
            (&[("host", "[::1]:9100")], true, false),
            (&[("host", "evil.example:9100")], true, true),
            (&[("host", "proxy.example:9100")], false, false),
            (&[], true, true),
            (&[("host", "a"), ("host", "b")], true, true),
            (
                &[("host", "127.0.0.1:1"), ("origin", "http://evil.example")],
                true,
                true,
            ),
            (
                &[("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")],
                true,
                false,
            ),
            (
                &[("host", "p.example"), ("origin", "http://evil.example")],
                false,
                true,
            ),
            (
                &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
                true,
                true,
            ),
            (
                &[("host", "localhost"), ("sec-fetch-site", "none")],
                true,
                false,
            ),
        ] {
            let found = foreign_page(&headers(lines), checks_host);
            assert_eq!(found.is_some(), is_foreign, "{lines:?} {found:?}");
        }
    }
}
