//! The admin listener: its address, and the token that its requests have to carry.

use std::fmt;
use std::net::IpAddr;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::address::Address;
use super::frontends::Named;
use super::meant::{Frontend, SettingsReader, SocketRights, read_mode};
use super::tls::{ListenerTls as _, MakeTls};
use super::{own, read_text};

/// The shortest token that is accepted. A shorter one could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// The advice for a token that is missing or cannot be used.
const MAKE_TOKEN: &str = "make one: openssl rand -hex 32 > FILE";

/// The settings of the admin listener.
#[derive(Clone, Debug)]
pub struct AdminSettings<T: MakeTls> {
    /// The address on which it listens.
    pub address: Address,
    /// The mode of its Unix socket.
    pub mode: u32,
    /// The conditions that its clients must meet.
    pub access: AdminAccess<T>,
    /// The file of the token.
    pub token_file: Option<String>,
}

/// The conditions that clients of the admin listener must meet.
#[derive(Clone, Debug)]
pub struct AdminAccess<T: MakeTls> {
    /// The token that every request must carry; `None` if none is needed.
    pub token: Option<AdminToken>,
    /// The TLS settings of its TCP sockets, if it has TLS.
    pub tls: Option<T::Listener>,
}

impl<T: MakeTls> Default for AdminAccess<T> {
    fn default() -> Self {
        Self {
            token: None,
            tls: None,
        }
    }
}

impl<T: MakeTls> AdminAccess<T> {
    /// Returns whether a client must prove who it is, wherever it is.
    pub fn is_protected(&self) -> bool {
        self.token.is_some() || self.tls.as_ref().is_some_and(T::Listener::asks_clients)
    }
}

/// The digest of a secret token. Comparing digests of one length tells nothing about the length of
/// the token, and the token itself does not stay in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    fn new(token: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    /// Compares a token with this one, in a time that does not depend on where they differ.
    pub fn matches(&self, token: &[u8]) -> bool {
        self.0.ct_eq(&Self::new(token).0).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

impl<T: MakeTls> AdminSettings<T> {
    /// Returns the part that only a new start can change, as text.
    pub(super) fn fixed(&self) -> String {
        format!("{} {:o}", self.address, self.mode)
    }

    /// Returns the address and its protection, as a sentence.
    pub fn sentence(&self) -> String {
        let token = match self.access.token {
            Some(_) => "requests need the token of admin-token-file",
            None => "requests need no token",
        };
        let who = match &self.address {
            Address::Unix(_) => format!("those who may open the socket, mode {:04o}", self.mode),
            address if is_local(address) => {
                "every process of this machine, or container".to_owned()
            }
            _ => "every host that can reach it".to_owned(),
        };
        let tls = match &self.access.tls {
            Some(tls) if tls.asks_clients() => {
                ", and clients show a certificate of admin-tls-cacert"
            }
            Some(_) => ", over TLS",
            None => "",
        };
        format!("{}, for {who}; {token}{tls}", self.address)
    }

    /// Returns the address as one to listen on.
    pub fn listener(&self) -> Frontend<T> {
        Frontend {
            address: self.address.clone(),
            tls: None,
            rights: SocketRights {
                mode: self.mode,
                owner: None,
                group: None,
            },
        }
    }
}

/// Returns whether only processes of this machine, or of this container, can connect to an address.
pub fn is_local(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp { host, .. } => {
            host == "localhost" || host.parse().is_ok_and(|host: IpAddr| host.is_loopback())
        }
        Address::Inherited(_) => false,
    }
}

impl SettingsReader<'_> {
    /// Reads the settings of the admin listener; `None` if there is none.
    pub(super) fn admin<T: MakeTls>(
        &mut self,
        frontends: &[Named<'_, T>],
        backend: Option<&Address>,
    ) -> Option<AdminSettings<T>> {
        let mode = self.read(setting!("admin-socket-mode"), read_mode);
        let access = AdminAccess {
            token: self.admin_token(),
            tls: self.admin_tls::<T>(),
        };
        let is_protected = [setting!("admin-token-file"), setting!("admin-tls-cacert")]
            .into_iter()
            .any(|name| self.written.one(name).is_some());
        let has_tls = self.written.one(setting!("admin-tls-cert")).is_some();
        // The system chooses another port for each `:0`.
        let listening = |address: &Address| {
            let is_same = |own: &Address| own == address || own::is_own(address, own);
            !matches!(address, Address::Tcp { port: 0, .. })
                && frontends
                    .iter()
                    .any(|(frontend, _)| is_same(&frontend.address))
        };
        let address = self.read(setting!("admin-addr"), |text| {
            let address = Address::admin(text)?;
            if address == Address::Inherited(None) {
                return Err("expected unix:///PATH, tcp://HOST:PORT or fd://NAME".to_owned());
            }
            let is_named = matches!(address, Address::Inherited(_));
            if listening(&address) {
                return Err("expected an address that is no frontend: choose another".to_owned());
            }
            if backend.is_some_and(|backend| own::is_own(backend, &address)) {
                return Err("expected an address that is not the engine's".to_owned());
            }
            if has_tls && matches!(address, Address::Unix(_)) {
                return Err("expected tcp://HOST:PORT, since admin-tls-cert is set".to_owned());
            }
            // Only at the start it is known which address a socket of systemd has.
            if !is_named && !is_local(&address) && !is_protected {
                return Err(format!(
                    "expected unix:///PATH or a loopback address, since other hosts may reach \
                    this one; for this one, set admin-tls-cacert, or set admin-token-file to a \
                    file with a token; {MAKE_TOKEN}"
                ));
            }
            Ok(address)
        })?;
        let token_file = self.written.one(setting!("admin-token-file"));
        Some(AdminSettings {
            address,
            mode: mode?,
            access,
            token_file: token_file.map(|(path, _)| path.to_owned()),
        })
    }

    /// Reads the TLS files; `None` if there are none, or if they are wrong, which is then noted.
    fn admin_tls<T: MakeTls>(&mut self) -> Option<T::Listener> {
        let files = [
            setting!("admin-tls-cacert"),
            setting!("admin-tls-cert"),
            setting!("admin-tls-key"),
        ]
        .map(|name| self.written.one(name).map(|(path, _)| path));
        self.server_tls::<T>(files, "admin-tls-", "the admin listener")
    }

    /// Reads the token; `None` if there is no file, or if the file is wrong, which is then noted.
    fn admin_token(&mut self) -> Option<AdminToken> {
        self.read(setting!("admin-token-file"), |path| {
            let text = read_text(path)
                .map_err(|why| format!("expected a readable file: {why}; {}", why.advice()))?;
            let token = text.trim();
            let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
            if token.len() < SHORTEST_TOKEN || !is_plain {
                return Err(format!(
                    "expected a file with one token of at least {SHORTEST_TOKEN} letters, digits \
                    and signs; {MAKE_TOKEN}"
                ));
            }
            Ok(AdminToken::new(token.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        for (text, want) in [
            ("unix:///run/admin.sock", true),
            ("tcp://127.0.0.1:9100", true),
            ("tcp://127.8.9.1:9100", true),
            ("tcp://[::1]:9100", true),
            ("tcp://localhost:9100", true),
            ("tcp://:9100", false),
            ("tcp://0.0.0.0:9100", false),
            ("tcp://[::]:9100", false),
            ("tcp://10.0.0.1:9100", false),
            ("tcp://localhost.example:9100", false),
        ] {
            let address = Address::frontend(text).expect(text);
            assert_eq!(is_local(&address), want, "{text}");
        }
    }

    #[test]
    fn a_token_matches_itself_alone_and_is_not_shown() {
        let token = AdminToken::new(b"0123456789abcdef");
        assert!(token.matches(b"0123456789abcdef"));
        for other in [&b"0123456789abcdeF"[..], b"0123456789abcdef ", b""] {
            assert!(!token.matches(other));
        }
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
    }
}
