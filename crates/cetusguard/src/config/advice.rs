//! What to write in place of an address that cannot be read.

use std::net::Ipv6Addr;

use super::address::Address;

/// Which end of the proxy an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Where clients connect.
    Frontend,
    /// The engine.
    Backend,
}

/// The advice for several engines.
pub(super) const ONE_ENGINE: &str = "expected one address: a proxy has one engine, so start a proxy for each";

/// The port of engines and of proxies in front of them, without TLS.
const PORT: u16 = 2375;
/// The ports that engines have without TLS and with it.
const ENGINE_PORTS: [&str; 2] = ["2375", "2376"];

/// Returns what to write, where the text tells what was meant.
pub(super) fn advice(text: &str, end: End) -> Option<String> {
    let text = text.trim();
    let bare = text.trim_matches(['"', '\'']);
    if end == End::Backend && bare.split([',', ' ']).filter(|part| part.contains("://")).count() > 1 {
        return Some(ONE_ENGINE.to_owned());
    }
    if bare.contains("${") || bare.starts_with('$') {
        return Some("variables are not replaced here: write the address itself".to_owned());
    }
    let lower = bare.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").map_or(("", bare), |(scheme, _)| (scheme, &bare[scheme.len() + 3..]));
    let meant = match (scheme, end) {
        ("ssh", End::Backend) => {
            return Some(format!(
                "Cetusguard does not connect over SSH: forward the socket, as in ssh -N -L /run/engine.sock:/var/run/docker.sock \
                 {}, and name unix:///run/engine.sock",
                rest.split('/').next().unwrap_or_default()
            ));
        }
        ("npipe", _) => {
            return Some(
                "named pipes are for programs on Windows: expected unix:///var/run/docker.sock, which Docker Desktop has inside \
                 containers and WSL"
                    .to_owned(),
            );
        }
        ("https", _) => {
            let tls = match end {
                End::Backend => "backend-tls-cacert turns TLS on",
                End::Frontend => "frontend-tls-cert and frontend-tls-key turn TLS on",
            };
            return meant_tcp(rest).map(|meant| format!("did you mean {meant}? {tls}"));
        }
        ("fd", End::Backend) => {
            return Some("fd:// is for frontends: expected unix:///PATH or tcp://HOST:PORT".to_owned());
        }
        ("fd" | "systemd", End::Frontend) => Some("fd://".to_owned()),
        ("unix", _) => {
            Some(format!("unix:///{}", rest.trim_start_matches('/'))).filter(|_| !rest.trim_matches('/').is_empty())
        }
        ("" | "tcp" | "tcp4" | "tcp6" | "http" | "docker", _) => match bare.strip_prefix("unix:") {
            Some(path) => Some(format!("unix:///{}", path.trim_start_matches('/'))),
            None if rest.starts_with('/') || rest.starts_with("./") || rest.ends_with(".sock") => {
                Some(format!("unix:///{}", rest.trim_start_matches("./").trim_start_matches('/')))
            }
            None => meant_tcp(rest),
        },
        _ => None,
    };
    // What is offered can be read.
    let is_address = |meant: &String| meant == "fd://" || Address::read(meant).is_ok();
    meant.filter(is_address).map(|meant| format!("did you mean {meant}?"))
}

/// Returns the address that a host, a port, or both were probably meant to be.
fn meant_tcp(rest: &str) -> Option<String> {
    let rest = rest.split('/').next()?.trim();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if rest.is_empty() || rest.contains(['@', ' ', '*']) {
        return rest.strip_prefix("*:").filter(|port| is_port(port)).map(|port| format!("tcp://:{port}"));
    }
    if is_port(rest) {
        return Some(format!("tcp://:{rest}"));
    }
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_ipv6 = |host: &str| bare(host).parse::<Ipv6Addr>().is_ok();
    match rest.rsplit_once(':') {
        // Without brackets, the last group may be the port: the ports of engines are.
        Some((host, port))
            if is_ipv6(host) && is_port(port) && (host.ends_with(']') || ENGINE_PORTS.contains(&port)) =>
        {
            Some(format!("tcp://[{}]:{port}", bare(host)))
        }
        _ if is_ipv6(rest) => Some(format!("tcp://[{}]:{PORT}", bare(rest))),
        Some((host, port)) if is_ipv6(host) && is_port(port) => Some(format!("tcp://[{}]:{port}", bare(host))),
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
            ("http://127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            ("http://proxy:2375/", "did you mean tcp://proxy:2375?"),
            ("tcp://127.0.0.1:2375/", "did you mean tcp://127.0.0.1:2375?"),
            ("TCP://127.0.0.1:2375", "did you mean tcp://127.0.0.1:2375?"),
            ("\"tcp://127.0.0.1:2375\"", "did you mean tcp://127.0.0.1:2375?"),
            (
                "https://engine:2376",
                "did you mean tcp://engine:2376? frontend-tls-cert and frontend-tls-key turn TLS on",
            ),
            ("/var/run/docker.sock", "did you mean unix:///var/run/docker.sock?"),
            ("unix:/var/run/docker.sock", "did you mean unix:///var/run/docker.sock?"),
            ("unix://var/run/docker.sock", "did you mean unix:///var/run/docker.sock?"),
            ("tcp:///var/run/docker.sock", "did you mean unix:///var/run/docker.sock?"),
            ("fd://3", "did you mean fd://?"),
            ("$FRONTEND", "variables are not replaced here: write the address itself"),
        ] {
            assert!(Address::frontend(text).is_err(), "{text}");
            assert_eq!(advice(text, End::Frontend).as_deref(), Some(want), "{text}");
        }
        for (text, want) in [
            ("ssh://me@host", "forward the socket, as in ssh -N -L /run/engine.sock:/var/run/docker.sock me@host,"),
            ("npipe:////./pipe/docker_engine", "expected unix:///var/run/docker.sock"),
            ("tcp://a:2375,tcp://b:2375", ONE_ENGINE),
            ("unix:///a.sock, unix:///b.sock", ONE_ENGINE),
            ("https://engine:2376", "tcp://engine:2376? backend-tls-cacert turns TLS on"),
            ("fd://", "fd:// is for frontends"),
        ] {
            let told = Address::backend(text).expect_err(text);
            assert!(told.contains(want), "{text}: {told}");
        }
        for text in ["", "tcp://", "tcp://x:99999", "gopher://x", "tcp://user@host:1", "unix://"] {
            assert_eq!(advice(text, End::Frontend), None, "{text}");
        }
    }
}
