//! The addresses to listen on, from the options and from the file's `frontends`.

use super::Mistake;
use super::address::Address;
use super::file::FileEntry;
use super::meant::{Frontend, SettingsReader, SocketRights, read_group, read_mode, read_user};
use super::tls::{ListenerFiles, MakeTls, WrongFiles};
use super::written::{Source, Written};

/// A frontend, and the profile that it names.
pub(super) type Named<'w, T> = (Frontend<T>, Option<(&'w str, &'w Source)>);

/// The explanation of an address that the operator did not write.
const IMAGE: &str = "the image sets CETUSGUARD_FRONTEND_ADDR, and an empty \
    CETUSGUARD_FRONTEND_ADDR= takes that back";

/// The paths of TLS files that are set: of the CA, the certificate, and its key.
pub type Files<'w> = [Option<&'w str>; 3];

/// A frontend as it was written: its own keys, and for the rest the options. Every command that
/// needs a frontend's address or its certificate takes it from here.
#[derive(Debug)]
pub struct WrittenFrontend<'w> {
    /// The address on which it listens.
    pub address: Address,
    /// Its TLS files.
    pub files: Files<'w>,
    /// Its entry of the configuration file, unless it is one of `frontend-addr`.
    entry: Option<&'w FileEntry>,
}

impl Written {
    /// Returns the TLS files of the frontends that name none of their own.
    pub fn frontend_files(&self) -> Files<'_> {
        [
            setting!("frontend-tls-cacert"),
            setting!("frontend-tls-cert"),
            setting!("frontend-tls-key"),
        ]
        .map(|name| self.one(name).map(|(path, _)| path))
    }

    /// Returns every frontend: those of `frontend-addr`, then those of the file. If an address is
    /// in both, the entry of the file counts, which says more; the default counts only if there is
    /// no other.
    pub fn frontends(&self, mistakes: &mut Vec<Mistake>) -> Vec<WrittenFrontend<'_>> {
        let of_file = self.frontends_of_file(mistakes);
        let has_entries = self.file().is_some_and(|file| !file.frontends.is_empty());
        let mut all: Vec<WrittenFrontend<'_>> = Vec::new();
        for (value, source) in self.all(setting!("frontend-addr")) {
            let expected = match Address::frontend(value) {
                _ if *source == Source::Default && has_entries => continue,
                Ok(address) if is_among(&address, &of_file) => continue,
                // Two lists of doors: one that was forgotten would stay open.
                Ok(_) if has_entries => {
                    format!("expected it as an entry of frontends, or not at all; {IMAGE}")
                }
                Ok(address) if is_among(&address, &all) => "expected each address once".to_owned(),
                Ok(address) => {
                    all.push(WrittenFrontend {
                        address,
                        files: self.frontend_files(),
                        entry: None,
                    });
                    continue;
                }
                Err(expected) => expected,
            };
            mistakes.push(Mistake::value(source, "frontend-addr", value, expected));
        }
        let of_file_too = self
            .file()
            .and_then(|file| file.option("frontend-addr")?.first());
        if let Some((value, source)) = of_file_too
            && self
                .one(setting!("frontend-addr"))
                .is_some_and(|(_, used)| matches!(used, Source::Env(_)))
        {
            let expected = format!("expected it here or in the environment, not in both; {IMAGE}");
            mistakes.push(Mistake::value(source, "frontend-addr", value, expected));
        }
        all.extend(of_file);
        all
    }

    fn frontends_of_file(&self, mistakes: &mut Vec<Mistake>) -> Vec<WrittenFrontend<'_>> {
        let mut known: Vec<WrittenFrontend<'_>> = Vec::new();
        for entry in self
            .file()
            .map(|file| file.frontends.as_slice())
            .unwrap_or_default()
        {
            let Some((text, source)) = entry.one(setting!("addr")) else {
                if !entry.is_flawed {
                    let fix = "say where it listens, as in addr: tcp://:2375";
                    mistakes.push(Mistake::about(
                        &entry.begins,
                        "a frontend without addr",
                        fix,
                    ));
                }
                continue;
            };
            let address = match Address::frontend(text) {
                Ok(address) => address,
                Err(expected) => {
                    mistakes.push(Mistake::value(source, "addr", text, expected));
                    continue;
                }
            };
            if is_among(&address, &known) {
                mistakes.push(Mistake::value(
                    source,
                    "addr",
                    text,
                    "expected each address once",
                ));
            }
            let own = [
                setting!("tls-cacert"),
                setting!("tls-cert"),
                setting!("tls-key"),
            ]
            .map(|key| entry.one(key).map(|(path, _)| path.as_str()));
            // A certificate of its own does not take back that clients have to show one.
            let [cacert, cert, key] = own;
            let [of_cacert, of_cert, of_key] = self.frontend_files();
            let files = [cacert.or(of_cacert), cert.or(of_cert), key.or(of_key)];
            known.push(WrittenFrontend {
                address,
                files,
                entry: Some(entry),
            });
        }
        known
    }
}

impl<'w> SettingsReader<'w> {
    /// Opens the files of every frontend.
    pub(super) fn frontends<T: MakeTls>(&mut self) -> Vec<Named<'w, T>> {
        let of_options = self.written.frontend_files();
        let tls = self.server_tls::<T>(of_options, "frontend-tls-", "the frontend");
        let mode = self
            .read(setting!("frontend-socket-mode"), read_mode)
            .unwrap_or_default();
        let owner = self.read(setting!("frontend-socket-owner"), read_user);
        let rights = SocketRights {
            mode,
            owner,
            group: self.read(setting!("frontend-socket-group"), read_group),
        };
        let mut all = Vec::new();
        for WrittenFrontend {
            address,
            files,
            entry,
        } in self.written.frontends(self.mistakes)
        {
            let Some(entry) = entry else {
                all.push((
                    Frontend {
                        address,
                        tls: tls.clone(),
                        rights,
                    },
                    None,
                ));
                continue;
            };
            let tls = if files == of_options {
                tls.clone()
            } else {
                self.server_tls::<T>(files, "tls-", "the frontend")
            };
            let frontend = self.frontend(
                entry,
                Frontend {
                    address,
                    tls,
                    rights,
                },
            );
            all.push((
                frontend,
                entry
                    .one(setting!("profile"))
                    .map(|(name, source)| (name.as_str(), source)),
            ));
        }
        all
    }

    /// Gives a frontend the rights of its entry, and notes keys that have no use there.
    fn frontend<T: MakeTls>(
        &mut self,
        entry: &FileEntry,
        Frontend {
            address,
            tls,
            mut rights,
        }: Frontend<T>,
    ) -> Frontend<T> {
        let (is_tcp, is_unix) = (
            matches!(address, Address::Tcp { .. }),
            matches!(address, Address::Unix(_)),
        );
        for (key, has_no_use) in [
            (setting!("tls-cacert"), !is_tcp),
            (setting!("tls-cert"), !is_tcp),
            (setting!("tls-key"), !is_tcp),
            (setting!("socket-mode"), !is_unix),
            (setting!("socket-group"), !is_unix),
            (setting!("socket-owner"), !is_unix),
        ] {
            if let Some((value, source)) = entry.one(key).filter(|_| has_no_use) {
                let expected = if is_tcp {
                    "expected none: it is for unix://"
                } else {
                    "expected none here: it is for tcp://, or for unix://"
                };
                self.mistakes
                    .push(Mistake::value(source, key.as_str(), value, expected));
            }
        }
        if let Some(mode) = self.value(entry, setting!("socket-mode"), read_mode) {
            rights.mode = mode;
        }
        rights.owner = self
            .value(entry, setting!("socket-owner"), read_user)
            .or(rights.owner);
        rights.group = self
            .value(entry, setting!("socket-group"), read_group)
            .or(rights.group);
        Frontend {
            address,
            tls,
            rights,
        }
    }

    /// Reads the TLS files of a listener, whose options begin with a prefix; `None` if it has none,
    /// or if they are wrong, which is then noted.
    pub(super) fn server_tls<T: MakeTls>(
        &mut self,
        files: Files<'_>,
        prefix: &str,
        listener: &str,
    ) -> Option<T::Listener> {
        match files {
            [None, None, None] => None,
            [cacert, Some(cert), Some(key)] => {
                let wrong =
                    |wrong: WrongFiles| self.mistakes.push(Mistake::new(wrong.what, wrong.fix));
                T::listener(ListenerFiles { cert, key, cacert })
                    .map_err(wrong)
                    .ok()
            }
            _ => {
                let fix = format!(
                    "set both {prefix}cert and {prefix}key, and {prefix}cacert beside them for \
                    client certificates"
                );
                let what = format!("the TLS files of {listener} are incomplete");
                self.mistakes.push(Mistake::new(what, fix));
                None
            }
        }
    }
}

/// Returns whether an address is among others. The system chooses another port for each `:0`.
fn is_among(address: &Address, known: &[WrittenFrontend<'_>]) -> bool {
    !matches!(address, Address::Tcp { port: 0, .. })
        && known.iter().any(|known| known.address == *address)
}
