//! Addresses of frontends and of the backend.

use std::fmt;
use std::path::PathBuf;

use super::advice;

/// An address to listen on or to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `tcp://HOST:PORT`; an empty host is every address of the machine.
    Tcp {
        /// A name or an address, IPv6 without its brackets.
        host: String,
        /// 0 lets the system choose.
        port: u16,
    },
    /// `unix:///PATH`.
    Unix(PathBuf),
    /// `fd://NAME`: the listening sockets that systemd passes under a name; `fd://` for those that
    /// no other address names.
    Inherited(Option<String>),
}

impl Address {
    /// Reads an address to listen on.
    ///
    /// # Errors
    /// Returns what was expected.
    pub fn frontend(text: &str) -> Result<Self, String> {
        Self::read_listener(text, advice::ProxyEnd::Frontend)
    }

    /// Reads the address of an admin listener.
    ///
    /// # Errors
    /// Returns what was expected.
    pub fn admin(text: &str) -> Result<Self, String> {
        Self::read_listener(text, advice::ProxyEnd::Admin)
    }

    /// Reads an address to listen on.
    fn read_listener(text: &str, end: advice::ProxyEnd) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("fd://").filter(|name| is_fd_name(name)) {
            let name = Some(name.to_owned()).filter(|name| !name.is_empty());
            return Ok(Self::Inherited(name));
        }
        let expected = match end {
            advice::ProxyEnd::Admin => {
                "expected the address of an admin listener: unix:///PATH or tcp://HOST:PORT"
            }
            _ => "expected tcp://HOST:PORT, unix:///PATH, fd:// or fd://NAME",
        };
        Self::read(text)
            .map_err(|()| advice::advice(text, end).unwrap_or_else(|| expected.to_owned()))
    }

    /// Reads an address to connect to.
    ///
    /// # Errors
    /// Returns what was expected.
    pub fn backend(text: &str) -> Result<Self, String> {
        match Self::read(text) {
            Ok(Self::Tcp { host, port }) if host.is_empty() => {
                Err(format!("expected a host, as in tcp://127.0.0.1:{port}"))
            }
            Ok(Self::Tcp { port: 0, .. }) => Err("expected a port from 1 to 65535".to_owned()),
            // Two addresses in one text would be one path with a comma in it.
            Ok(Self::Unix(path)) if path.to_string_lossy().contains("://") => {
                Err(advice::ONE_ENGINE.to_owned())
            }
            Ok(address) => Ok(address),
            Err(()) => {
                let expected = "expected unix:///PATH or tcp://HOST:PORT";
                Err(advice::advice(text, advice::ProxyEnd::Backend)
                    .unwrap_or_else(|| expected.to_owned()))
            }
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, ()> {
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') && path.len() > 1 {
                Ok(Self::Unix(path.into()))
            } else {
                Err(())
            };
        }
        let rest = text.strip_prefix("tcp://").ok_or(())?;
        let (host, port) = rest.rsplit_once(':').ok_or(())?;
        let port = port.parse().map_err(drop)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host
                .strip_suffix(']')
                .filter(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
                .ok_or(())?,
            None if host.contains([':', '/', '@', ' ', '*', ',']) => return Err(()),
            None => host,
        };
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
        })
    }
}

/// Returns whether a text can name sockets of systemd, or is empty. Dockerd takes numbers of
/// descriptors here; they are refused, since a unit numbers its sockets by their order.
fn is_fd_name(text: &str) -> bool {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    !is_number
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b":/,".contains(&byte))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Inherited(name) => write!(f, "fd://{}", name.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "tcp://:2375",
            "tcp://127.0.0.1:0",
            "tcp://[::1]:2375",
            "tcp://engine.test:2376",
            "unix:///run/x y.sock",
            "fd://",
            "fd://admin",
            "fd://cetusguard.socket",
        ] {
            assert_eq!(Address::frontend(text).expect(text).to_string(), text);
        }
        for text in [
            "",
            "tcp://",
            "tcp://x",
            "tcp://x:99999",
            "tcp://::1:2375",
            "unix://x",
            "unix:///",
            "/run/x",
            "http://x:1",
            "tcp://x:1/base",
            "fd://3",
            "fd://a:b",
            "fd:///run/x.sock",
        ] {
            assert!(Address::frontend(text).is_err(), "{text}");
        }
        for text in [
            "tcp://:2375",
            "tcp://x:0",
            "fd://",
            "ssh://x",
            "npipe:////./pipe/docker_engine",
        ] {
            assert!(Address::backend(text).is_err(), "{text}");
        }
    }
}
