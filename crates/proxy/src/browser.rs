//! Web pages: a browser sends requests for any page, to any address that it can reach.
//!
//! A page cannot take headers away that the browser adds by itself (Fetch, section "HTTP
//! extensions"): `Origin` names the page's own site, and `Sec-Fetch-Site` says how that site and
//! the proxy's belong together. A page that has the name of its site point to a loopback address
//! (DNS rebinding) is of the proxy's own site for the browser; `Host` then has that name.

use std::net::{IpAddr, Ipv6Addr};

use cetusguard_policy::ClientLimits;

use cetusguard_http1::{Headers, Known};

/// Why a request is taken for that of a web page.
pub(crate) fn foreign_page(
    headers: &Headers,
    limits: &ClientLimits,
    is_loopback: bool,
) -> Option<String> {
    // Nearly all requests are of no browser.
    let speaks_of_pages = headers.has_any(&[Known::Origin, Known::SecFetchSite]);
    if speaks_of_pages && let Some(why) = other_page(headers, limits) {
        return Some(why);
    }
    let is_admitted = || {
        headers
            .all(Known::Origin)
            .any(|origin| limits.admits_origin(origin))
    };
    // Outside of secure contexts, browsers add neither header to a page's request for its own site.
    // They always add `Accept-Language`, which a page can change and cannot take away; in some, a
    // page can change `User-Agent` too.
    let is_browser = || {
        headers.has_any(&[Known::AcceptLanguage])
            || headers
                .all(Known::UserAgent)
                .any(|agent| agent.starts_with(b"Mozilla/"))
    };
    // Most clients send an address or one word: then there is nothing to think about.
    let is_foreign = |host: &&[u8]| {
        host.contains(&b'.')
            && !is_plain_address(host)
            && is_foreign_name(&String::from_utf8_lossy(host))
    };
    if let Some(host) = headers.all(Known::Host).find(is_foreign)
        && (is_loopback || is_browser())
        && !is_admitted()
    {
        let host = shown(host);
        return Some(format!(
            "it asks for the host {host}, a name that its owner can have lead here (DNS rebinding)"
        ));
    }
    None
}

/// A page of another site, by the headers that browsers add.
fn other_page(headers: &Headers, limits: &ClientLimits) -> Option<String> {
    for origin in headers.all(Known::Origin) {
        let host = headers.get(Known::Host).unwrap_or_default();
        if !limits.admits_origin(origin) && !is_own_page(origin, host) {
            return Some(format!(
                "a web page of {:?} sent it (Origin)",
                shown(origin)
            ));
        }
    }
    let is_cross = |site: &[u8]| !matches!(site, b"none" | b"same-origin");
    let is_admitted = || {
        headers
            .all(Known::Origin)
            .any(|origin| limits.admits_origin(origin))
    };
    if let Some(site) = headers
        .all(Known::SecFetchSite)
        .find(|site| is_cross(site))
        .filter(|_| !is_admitted())
    {
        return Some(format!(
            "a web page of another site sent it (Sec-Fetch-Site: {})",
            shown(site)
        ));
    }
    None
}

/// Returns whether the page comes from the address to which the request goes: clients of WebSockets
/// that are no browsers send that. A name of the public DNS could be made to lead here; an address,
/// or a name of one word, could not.
pub(crate) fn is_own_page(origin: &[u8], host: &str) -> bool {
    let Some((_, authority)) = std::str::from_utf8(origin)
        .ok()
        .and_then(|origin| origin.split_once("://"))
    else {
        return false;
    };
    authority.eq_ignore_ascii_case(host) && !host.is_empty() && !is_foreign_name(host)
}

/// Returns whether it is an IPv4 address, with a port or without.
fn is_plain_address(host: &[u8]) -> bool {
    host.iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b':'))
}

/// Returns whether a name may be one of the public DNS, which its owner can have lead anywhere.
pub(crate) fn is_foreign_name(host: &str) -> bool {
    let name = without_port(host)
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let is_local = [".localhost", ".internal"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    name.contains('.') && !is_local && !is_address(&name)
}

fn is_address(name: &str) -> bool {
    let six = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    name.parse::<IpAddr>().is_ok() || six.is_some_and(|six| six.parse::<Ipv6Addr>().is_ok())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(128)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_own_are_told_from_the_machines_own() {
        for (host, want) in [
            ("127.0.0.1:2375", false),
            ("[::1]:2375", false),
            ("localhost:2375", false),
            ("docker", false),
            ("cetusguard:2375", false),
            ("host.docker.internal:2375", false),
            ("a.localhost", false),
            ("evil.example:2375", true),
            ("evil.example.", true),
            ("127.0.0.1.evil.example", true),
            ("", false),
        ] {
            assert_eq!(is_foreign_name(host), want, "{host}");
        }
    }

    #[test]
    fn a_page_of_the_address_itself_is_no_stranger() {
        for (origin, host, want) in [
            ("http://127.0.0.1:2375", "127.0.0.1:2375", true),
            ("http://localhost:2375", "localhost:2375", true),
            ("http://127.0.0.1:8080", "127.0.0.1:2375", false),
            ("http://evil.example", "evil.example", false),
            ("null", "127.0.0.1:2375", false),
            ("", "", false),
        ] {
            assert_eq!(
                is_own_page(origin.as_bytes(), host),
                want,
                "{origin} {host}"
            );
        }
    }
}
