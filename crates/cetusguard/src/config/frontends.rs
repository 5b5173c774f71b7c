//! Where to listen, from the options and from the file's `frontends`.

use super::Mistake;
use super::address::Address;
use super::file::Entry;
use super::meant::{Frontend, Reader, SocketRights, read_group, read_mode, read_user};
use super::written::Source;
use crate::tls;

/// A frontend, and the profile that it names.
pub(super) type Named<'w> = (Frontend, Option<(&'w str, &'w Source)>);

/// Why there may be an address that nobody wrote.
const IMAGE: &str = "the image sets CETUSGUARD_FRONTEND_ADDR, and an empty CETUSGUARD_FRONTEND_ADDR= takes that back";

/// The paths of TLS files, as far as they are written.
type Files<'w> = [Option<&'w str>; 3];

impl<'w> Reader<'w> {
    /// Every frontend: those of `frontend-addr`, then those of the file. One that stands in both is the file's, which says more;
    /// the default stands only where there is no other.
    pub(super) fn frontends(&mut self) -> Vec<Named<'w>> {
        let own = ["frontend-tls-cacert", "frontend-tls-cert", "frontend-tls-key"].map(|name| self.path(name));
        let own = own.map(|file| file.map(|(path, _)| path));
        let tls = self.frontend_tls(own, "frontend-tls-");
        let mode = self.read("frontend-socket-mode", read_mode).unwrap_or_default();
        let owner = self.read("frontend-socket-owner", read_user);
        let rights = SocketRights { mode, owner, group: self.read("frontend-socket-group", read_group) };
        let entries = self.written.file().map(|file| file.frontends.as_slice()).unwrap_or_default();
        let mut of_file: Vec<Named<'w>> = Vec::new();
        for entry in entries {
            let Some((address, source)) = self.address_of(entry) else { continue };
            let frontend = self.frontend(entry, address, (tls.clone(), own), rights);
            if is_among(&frontend.address, &of_file) {
                self.mistakes.push(Mistake::value(
                    source,
                    "addr",
                    &frontend.address.to_string(),
                    "expected each address once",
                ));
            }
            of_file.push((frontend, entry.one("profile").map(|(name, source)| (name.as_str(), source))));
        }
        let mut all: Vec<Named<'w>> = Vec::new();
        for (value, source) in self.written.all("frontend-addr") {
            let expected = match Address::frontend(value) {
                _ if *source == Source::Default && !entries.is_empty() => continue,
                Ok(address) if is_among(&address, &of_file) => continue,
                // Two lists of doors: one that was forgotten would stay open.
                Ok(_) if !entries.is_empty() => {
                    format!("expected it as an entry of frontends, or not at all; {IMAGE}")
                }
                Ok(address) if is_among(&address, &all) => "expected each address once".to_owned(),
                Ok(address) => {
                    all.push((Frontend { address, tls: tls.clone(), rights }, None));
                    continue;
                }
                Err(expected) => expected,
            };
            self.mistakes.push(Mistake::value(source, "frontend-addr", value, expected));
        }
        let of_file_too = self.written.file().and_then(|file| file.option("frontend-addr")?.first());
        if let Some((value, source)) = of_file_too
            && self.written.one("frontend-addr").is_some_and(|(_, used)| matches!(used, Source::Env(_)))
        {
            let expected = format!("expected it here or in the environment, not in both; {IMAGE}");
            self.mistakes.push(Mistake::value(source, "frontend-addr", value, expected));
        }
        all.extend(of_file);
        all
    }

    fn address_of(&mut self, entry: &'w Entry) -> Option<(Address, &'w Source)> {
        let Some((text, source)) = entry.one("addr") else {
            self.mistakes.push(Mistake::at(&entry.spot, "a frontend without addr", "say where it listens"));
            return None;
        };
        let address = Address::frontend(text);
        address
            .map_err(|expected| self.mistakes.push(Mistake::value(source, "addr", text, expected)))
            .ok()
            .map(|a| (a, source))
    }

    /// What the entry says, and for the rest what the options say.
    fn frontend(
        &mut self,
        entry: &Entry,
        address: Address,
        (tls, of_options): (Option<tls::Server>, Files<'_>),
        mut rights: SocketRights,
    ) -> Frontend {
        let (is_tcp, is_unix) = (matches!(address, Address::Tcp { .. }), matches!(address, Address::Unix(_)));
        for (key, has_no_use) in [
            ("tls-cacert", !is_tcp),
            ("tls-cert", !is_tcp),
            ("tls-key", !is_tcp),
            ("socket-mode", !is_unix),
            ("socket-group", !is_unix),
            ("socket-owner", !is_unix),
        ] {
            if let Some((value, source)) = entry.one(key).filter(|_| has_no_use) {
                let expected = if is_tcp {
                    "expected none: it is for unix://"
                } else {
                    "expected none here: it is for tcp://, or for unix://"
                };
                self.mistakes.push(Mistake::value(source, key, value, expected));
            }
        }
        let files = ["tls-cacert", "tls-cert", "tls-key"].map(|key| entry.one(key).map(|(path, _)| path.as_str()));
        let tls = match files {
            [None, None, None] => tls,
            // A certificate of its own does not take back that clients have to show one.
            [cacert, cert, key] => {
                let [of_cacert, of_cert, of_key] = of_options;
                self.frontend_tls([cacert.or(of_cacert), cert.or(of_cert), key.or(of_key)], "tls-")
            }
        };
        if let Some(mode) = self.value(entry, "socket-mode", read_mode) {
            rights.mode = mode;
        }
        rights.owner = self.value(entry, "socket-owner", read_user).or(rights.owner);
        rights.group = self.value(entry, "socket-group", read_group).or(rights.group);
        Frontend { address, tls, rights }
    }

    fn frontend_tls(&mut self, files: Files<'_>, prefix: &str) -> Option<tls::Server> {
        match files {
            [None, None, None] => None,
            [cacert, Some(cert), Some(key)] => {
                let fix = format!("{prefix}* name PEM files that fit together");
                tls::server(cert, key, cacert).map_err(|what| self.mistakes.push(Mistake::new(what, fix))).ok()
            }
            _ => {
                let fix = format!(
                    "set both {prefix}cert and {prefix}key, and {prefix}cacert beside them for client certificates"
                );
                self.mistakes.push(Mistake::new("the TLS files of the frontend are incomplete", fix));
                None
            }
        }
    }
}

/// The system chooses another port for each `:0`.
fn is_among(address: &Address, known: &[Named<'_>]) -> bool {
    !matches!(address, Address::Tcp { port: 0, .. }) && known.iter().any(|(known, _)| known.address == *address)
}
