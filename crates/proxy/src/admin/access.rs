//! Which requests the admin listener answers: those with its token, and those of no web page.

use std::sync::Arc;

use cetusguard_config::admin::AdminToken;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use rustls::pki_types::CertificateDer;

use crate::browser::{is_foreign_name, is_own_page};
use crate::config::AdminAccess;

/// The header in which browsers say how a page's site and the asked one belong together.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The header in which browsers say how they ask: as a page's script, or for a link.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The header in which browsers say where they show the answer: in a tab, a frame, an image.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The authorities that may sign the certificates of clients.
pub(super) type Signers = Arc<Vec<CertificateDer<'static>>>;

/// Returns the authorities that may sign the certificates of clients, if clients have to show one.
pub(super) fn signers(access: &AdminAccess) -> Option<&Signers> {
    access.tls.as_ref()?.clients.as_ref()
}

/// Returns whether both admit the same clients.
pub(super) fn admit_the_same(one: &AdminAccess, other: &AdminAccess) -> bool {
    one.token == other.token && signers(one) == signers(other)
}

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

/// The properties of a request, beside its headers, that decide who may send it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdminRequest {
    /// The request came over TCP.
    pub(super) is_tcp: bool,
    /// No page of another host name can send the request: it has to carry a token, or it came over
    /// TLS, whose certificate names this host alone.
    pub(super) has_proven_name: bool,
    /// The request is for the page, which holds no data.
    pub(super) is_page: bool,
}

/// Returns why a request seems to be that of a web page of another site.
///
/// A page can have a name of its own lead to a loopback address (DNS rebinding). `Host` then has
/// that name, and no other header tells. A page cannot know the token, so that names are free where
/// one is needed. Browsers reach a Unix socket if a port is forwarded to it, as `ssh -L` does.
pub(super) fn foreign_page(headers: &HeaderMap, asked: AdminRequest) -> Option<&'static str> {
    let hosts: Vec<&str> = headers
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().unwrap_or_default())
        .collect();
    // Browsers always send it; simple clients of a Unix socket do not.
    let is_missing = hosts.is_empty() && asked.is_tcp;
    let is_foreign = hosts.len() > 1 || hosts.iter().any(|host| is_foreign_name(host));
    if !asked.has_proven_name && (is_missing || is_foreign) {
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
    // A link of another site leads to the page, but its script does not see the page.
    let is_link = asked.is_page
        && has_value(headers, SEC_FETCH_MODE, b"navigate")
        && has_value(headers, SEC_FETCH_DEST, b"document");
    (is_cross && !is_link).then_some("a web page of another site sent it (Sec-Fetch-Site)")
}

/// Returns whether a header is there once, with this value.
fn has_value(headers: &HeaderMap, name: HeaderName, value: &[u8]) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_some_and(|first| first.as_bytes() == value) && values.next().is_none()
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
            let asked = AdminRequest {
                is_tcp: true,
                has_proven_name: !checks_host,
                is_page: false,
            };
            let found = foreign_page(&headers(lines), asked);
            assert_eq!(found.is_some(), is_foreign, "{lines:?} {found:?}");
        }
    }

    #[test]
    fn a_name_of_another_site_is_refused_on_a_unix_socket_as_well() {
        for (lines, is_foreign) in [
            (&[][..], false),
            (&[("host", "localhost")], false),
            (&[("host", "evil.example:9100")], true),
            (&[("host", "a"), ("host", "b")], true),
        ] {
            let asked = AdminRequest {
                is_tcp: false,
                has_proven_name: false,
                is_page: true,
            };
            let found = foreign_page(&headers(lines), asked);
            assert_eq!(found.is_some(), is_foreign, "{lines:?} {found:?}");
        }
    }

    #[test]
    fn a_link_of_another_site_leads_to_the_page_alone() {
        let (host, site) = (("host", "localhost"), ("sec-fetch-site", "cross-site"));
        let (mode, dest) = (
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        );
        for (lines, is_page, is_foreign) in [
            (&[host, site, mode, dest][..], true, false),
            (&[host, site, mode, dest], false, true),
            (&[host, site, mode], true, true),
            (
                &[host, site, mode, ("sec-fetch-dest", "iframe")],
                true,
                true,
            ),
            (
                &[host, site, ("sec-fetch-mode", "no-cors"), dest],
                true,
                true,
            ),
            (
                &[host, site, mode, dest, ("origin", "http://evil.example")],
                true,
                true,
            ),
            (&[("host", "evil.example"), site, mode, dest], true, true),
        ] {
            let asked = AdminRequest {
                is_tcp: true,
                has_proven_name: false,
                is_page,
            };
            let found = foreign_page(&headers(lines), asked);
            assert_eq!(found.is_some(), is_foreign, "{lines:?} {found:?}");
        }
    }
}
