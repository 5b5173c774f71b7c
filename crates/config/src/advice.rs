//! The address to write in place of one that cannot be read.

use std::net::Ipv6Addr;

use super::address::Address;

/// Which end of the proxy an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyEnd {
    /// The address to which clients connect.
    Frontend,
    /// The engine.
    Backend,
    /// The address at which the proxy is watched, which has no usual port.
    Admin,
}

/// The advice for several engines.
pub(super) const ONE_ENGINE: &str =
    "expected one address: a proxy has one engine, so start a proxy for each";

/// The port of engines and of proxies in front of them, without TLS.
const PORT: u16 = 2375;
/// The ports that engines have without TLS and with it.
const ENGINE_PORTS: [&str; 2] = ["2375", "2376"];

/// Returns the address to write, if the text shows which one was meant.
pub(super) fn advice(text: &str, end: ProxyEnd) -> Option<String> {
    let bare = text.trim().trim_matches(['"', '\'']);
    if end == ProxyEnd::Backend
        && bare
            .split([',', ' '])
            .filter(|part| part.contains("://"))
            .count()
            > 1
    {
        return Some(ONE_ENGINE.to_owned());
    }
    if bare.contains("${") || bare.starts_with('$') {
        return Some("variables are not replaced here: write the address itself".to_owned());
    }
    // A colon or a slash of the scheme is missing.
    let broken = ["tcp//", "tcp:"]
        .iter()
        .find_map(|start| bare.strip_prefix(start));
    if let Some(rest) = broken.filter(|_| !bare.contains("://")) {
        return advice(rest.trim_start_matches('/'), end);
    }
    let lower = bare.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").map_or(("", bare), |(scheme, _)| {
        (scheme, &bare[scheme.len() + 3..])
    });
    if let Some(advice) = advise_foreign(scheme, rest, end) {
        return Some(advice);
    }
    let meant = match (scheme, end) {
        ("fd" | "systemd", ProxyEnd::Frontend | ProxyEnd::Admin) => Some("fd://".to_owned()),
        ("unix" | "http+unix", _) => meant_unix(rest),
        ("" | "tcp" | "tcp4" | "tcp6" | "http" | "https" | "docker", _) => match bare
            .strip_prefix("unix:")
        {
            Some(path) => meant_unix(path),
            None if rest.starts_with('/') || rest.starts_with("./") || rest.ends_with(".sock") => {
                meant_unix(rest)
            }
            None => meant_tcp(rest),
        },
        _ => None,
    };
    // A suggestion is an address that can be read.
    let is_address = |meant: &String| meant == "fd://" || Address::read(meant).is_ok();
    let is_guessed = |meant: &String| {
        end == ProxyEnd::Admin && meant.ends_with(":2375") && !bare.ends_with("2375")
    };
    match meant.filter(|meant| is_address(meant) && !is_guessed(meant)) {
        Some(meant) => Some(format!("did you mean {meant}?{}", with_tls(scheme, end))),
        None => has_port(scheme, rest).then(|| {
            let example = if end == ProxyEnd::Admin { 9375 } else { PORT };
            format!(
                "expected a port from 1 to 65535 behind the host, as in tcp://127.0.0.1:{example}"
            )
        }),
    }
}

/// Returns the advice for an address that another program takes, and this one never.
fn advise_foreign(scheme: &str, rest: &str, end: ProxyEnd) -> Option<String> {
    let host = rest.split('/').next().unwrap_or_default();
    Some(match (scheme, end) {
        ("ssh", ProxyEnd::Backend) => format!(
            "Cetusguard does not connect over SSH: forward the socket, as in ssh -N -L \
            /run/engine.sock:/var/run/docker.sock {host}, and name unix:///run/engine.sock"
        ),
        ("ssh", ProxyEnd::Frontend | ProxyEnd::Admin) => {
            "clients that come over SSH connect to a socket of this machine: expected unix:///PATH"
                .to_owned()
        }
        ("npipe", _) => {
            "named pipes are for programs on Windows: expected unix:///var/run/docker.sock, which \
            Docker Desktop has inside containers and WSL"
                .to_owned()
        }
        ("fd", ProxyEnd::Backend) => {
            "fd:// is for frontends: expected unix:///PATH or tcp://HOST:PORT".to_owned()
        }
        _ => return None,
    })
}

/// Returns the options that turn TLS on, for an address that asks for it.
fn with_tls(scheme: &str, end: ProxyEnd) -> &'static str {
    match (scheme, end) {
        ("https", ProxyEnd::Backend) => " backend-tls-cacert turns TLS on",
        ("https", ProxyEnd::Frontend) => " frontend-tls-cert and frontend-tls-key turn TLS on",
        ("https", ProxyEnd::Admin) => " admin-tls-cert and admin-tls-key turn TLS on",
        _ => "",
    }
}

/// Returns whether a host is followed by a port, which may be wrong.
fn has_port(scheme: &str, rest: &str) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.contains([':', '@', '/']);
    scheme == "tcp"
        && rest
            .rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && !port.is_empty())
}

/// Returns the address of a path that lacks slashes at its start.
fn meant_unix(path: &str) -> Option<String> {
    let path = path.trim_start_matches("./").trim_start_matches('/');
    (!path.is_empty()).then(|| format!("unix:///{path}"))
}

/// Returns the address that was probably meant by a host, a port, or both.
fn meant_tcp(rest: &str) -> Option<String> {
    let rest = rest.split('/').next()?.trim();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if rest.is_empty() || rest.contains(['@', ' ', '*']) {
        return rest
            .strip_prefix("*:")
            .filter(|port| is_port(port))
            .map(|port| format!("tcp://:{port}"));
    }
    if is_port(rest) {
        return Some(format!("tcp://:{rest}"));
    }
    let bare = |host: &str| {
        host.trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned()
    };
    let is_ipv6 = |host: &str| bare(host).parse::<Ipv6Addr>().is_ok();
    match rest.rsplit_once(':') {
        // Without brackets, the last group may be the port: the ports of engines are.
        Some((host, port))
            if is_ipv6(host)
                && is_port(port)
                && (host.ends_with(']') || ENGINE_PORTS.contains(&port)) =>
        {
            Some(format!("tcp://[{}]:{port}", bare(host)))
        }
        _ if is_ipv6(rest) => Some(format!("tcp://[{}]:{PORT}", bare(rest))),
        Some((host, port)) if is_ipv6(host) && is_port(port) => {
            Some(format!("tcp://[{}]:{port}", bare(host)))
        }
        Some((host, _)) if host.contains(':') => None,
        Some((host, "")) => Some(format!("tcp://{host}:{PORT}")),
        Some((host, port)) if is_port(port) => Some(format!("tcp://{host}:{port}")),
        Some(_) => None,
        None => Some(format!("tcp://{rest}:{PORT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No client asks the admin listener at the port of engines.
    #[test]
    fn no_port_is_guessed_for_the_admin_listener() {
        for (text, want) in [
            ("foo", None),
            ("tcp://foo", None),
            ("foo:", None),
            ("::1", None),
            ("foo:9100", Some("did you mean tcp://foo:9100?")),
            ("foo:2375", Some("did you mean tcp://foo:2375?")),
            ("/run/x.sock", Some("did you mean unix:///run/x.sock?")),
            (
                "tcp://foo:http",
                Some("expected a port from 1 to 65535 behind the host, as in tcp://127.0.0.1:9375"),
            ),
        ] {
            assert_eq!(advice(text, ProxyEnd::Admin).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn what_was_meant_is_offered() {
        for (text, want) in [
            ("127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            (":2375", "did you mean tcp://:2375?"),
            ("2375", "did you mean tcp://:2375?"),
            ("*:2375", "did you mean tcp://:2375?"),
            ("localhost", "did you mean tcp://localhost:2375?"),
            ("tcp://127.0.0.1", "did you mean tcp://127.0.0.1:2375?"),
            ("tcp://127.0.0.1:", "did you mean tcp://127.0.0.1:2375?"),
            ("tcp://::1:2375", "did you mean tcp://[::1]:2375?"),
            ("::1", "did you mean tcp://[::1]:2375?"),
            ("tcp://[::1]", "did you mean tcp://[::1]:2375?"),
            ("[::]:2375", "did you mean tcp://[::]:2375?"),
            ("tcp://fd00::1:2376", "did you mean tcp://[fd00::1]:2376?"),
            (
                "http://127.0.0.1:2375",
                "did you mean tcp://127.0.0.1:2375?",
            ),
            ("http://proxy:2375/", "did you mean tcp://proxy:2375?"),
            (
                "tcp://127.0.0.1:2375/",
                "did you mean tcp://127.0.0.1:2375?",
            ),
            ("TCP://127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            (
                "\"tcp://127.0.0.1:2375\"",
                "did you mean tcp://127.0.0.1:2375?",
            ),
            (
                "https://engine:2376",
                "did you mean tcp://engine:2376? frontend-tls-cert and frontend-tls-key turn TLS on",
            ),
            (
                "/var/run/docker.sock",
                "did you mean unix:///var/run/docker.sock?",
            ),
            (
                "unix:/var/run/docker.sock",
                "did you mean unix:///var/run/docker.sock?",
            ),
            (
                "unix://var/run/docker.sock",
                "did you mean unix:///var/run/docker.sock?",
            ),
            (
                "tcp:///var/run/docker.sock",
                "did you mean unix:///var/run/docker.sock?",
            ),
            ("fd://3", "did you mean fd://?"),
            ("fd:///run/x.sock", "did you mean fd://?"),
            ("tcp//host:2375", "did you mean tcp://host:2375?"),
            ("tcp:127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            ("tcp:/127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            (
                "http+unix:///run/x.sock",
                "did you mean unix:///run/x.sock?",
            ),
            ("tcp://*:2375", "did you mean tcp://:2375?"),
            (
                "tcp://x:abc",
                "expected a port from 1 to 65535 behind the host, as in tcp://127.0.0.1:2375",
            ),
            (
                "ssh://me@host",
                "clients that come over SSH connect to a socket of this machine: expected \
                unix:///PATH",
            ),
            (
                "$FRONTEND",
                "variables are not replaced here: write the address itself",
            ),
        ] {
            assert!(Address::frontend(text).is_err(), "{text}");
            assert_eq!(
                advice(text, ProxyEnd::Frontend).as_deref(),
                Some(want),
                "{text}"
            );
        }
        for (text, want) in [
            (
                "ssh://me@host",
                "forward the socket, as in ssh -N -L /run/engine.sock:/var/run/docker.sock me@host,",
            ),
            (
                "npipe:////./pipe/docker_engine",
                "expected unix:///var/run/docker.sock",
            ),
            ("tcp://a:2375,tcp://b:2375", ONE_ENGINE),
            ("unix:///a.sock, unix:///b.sock", ONE_ENGINE),
            (
                "https://engine:2376",
                "tcp://engine:2376? backend-tls-cacert turns TLS on",
            ),
            ("fd://", "fd:// is for frontends"),
        ] {
            let told = Address::backend(text).expect_err(text);
            assert!(told.contains(want), "{text}: {told}");
        }
        for text in ["", "tcp://", "gopher://x", "tcp://user@host:1", "unix://"] {
            assert_eq!(advice(text, ProxyEnd::Frontend), None, "{text}");
        }
    }
}
