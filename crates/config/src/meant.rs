//! The meaning of the configuration: every value read, every file opened, every contradiction
//! found.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use cetusguard_policy::rule::Expressions;
use cetusguard_policy::{Profile, Profiles};

use super::address::Address;
use super::admin::AdminSettings;
use super::file::FileEntry;
use super::frontends::Named;
use super::log;
use super::name::SettingName;
use super::own;
use super::profiles;
use super::tls::{EngineFiles, MakeTls, WrongFiles};
use super::written::{Source, Written};
use super::{Mistake, Mistakes};

/// The settings of a running instance.
#[derive(Debug)]
pub struct Config<T: MakeTls> {
    /// The addresses to listen on; at least one.
    pub frontends: Vec<Frontend<T>>,
    /// The engine.
    pub backend: Address,
    /// The proxy's own container, as the option names it.
    pub proxy_container: String,
    /// TLS towards the engine.
    pub backend_tls: Option<T::Engine>,
    /// The rights of every client.
    pub profiles: Profiles,
    /// The bounds in time and number.
    pub limits: Limits,
    /// The event loops that serve connections.
    pub workers: usize,
    /// The memory that the process may have.
    pub memory_limit: MemoryLimit,
    /// The settings of the log.
    pub log: log::LogSettings,
    /// The admin listener, if there is one.
    pub admin: Option<AdminSettings<T>>,
}

/// An address on which the proxy listens, with the settings of its socket.
#[derive(Clone, Debug)]
pub struct Frontend<T: MakeTls> {
    /// The address of the socket.
    pub address: Address,
    /// The TLS settings, for TCP only.
    pub tls: Option<T::Listener>,
    /// The mode and the owner of a Unix socket.
    pub rights: SocketRights,
}

/// Mode, owner and group of the Unix sockets that are listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRights {
    /// Permission bits.
    pub mode: u32,
    /// The user id; `None` keeps that of the process.
    pub owner: Option<u32>,
    /// The group id; `None` keeps that of the process.
    pub group: Option<u32>,
}

/// Bounds in time and number.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections of clients at the same time.
    pub connections: usize,
    /// The most connections of one client whose profile is not known yet.
    pub per_client: ClientBound,
    /// The time for a TLS handshake, and for the head of a request.
    pub head: Duration,
    /// The time between two requests of a connection.
    pub idle: Duration,
    /// The time for which a client may take no byte of an answer that waits for it.
    pub progress: Duration,
    /// The time between the signal to stop and the end of the program.
    pub drain: Duration,
    /// The time for a connection to the engine.
    pub connect: Duration,
    /// The time for the head of an answer that the engine can give at once.
    pub answer: Duration,
}

impl<T: MakeTls> Config<T> {
    /// Reads the meaning of the written configuration.
    ///
    /// # Errors
    /// Every mistake, not just the first.
    pub fn mean(written: &Written, mut mistakes: Vec<Mistake>) -> Result<Self, Mistakes> {
        let config = SettingsReader {
            written,
            mistakes: &mut mistakes,
            expressions: Expressions::default(),
        }
        .config();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes(mistakes)),
        }
    }

    /// Replaces the named profiles, or all if none is named, by profiles that are learned. The log
    /// is then about errors alone, unless its level `was_asked` for.
    ///
    /// # Errors
    /// There is no such profile.
    pub fn learn(mut self, names: &[String], log_was_asked: bool) -> Result<Self, Mistakes> {
        for name in names {
            self.profile(name)?;
        }
        let is_learned = |profile: &Profile| names.is_empty() || names.contains(&profile.name);
        self.profiles = self
            .profiles
            .replaced(|profile| is_learned(profile).then(|| profile.learner()));
        self.log.aside = true;
        if !log_was_asked {
            self.log.level = log::Level::Error;
        }
        Ok(self)
    }

    /// Returns the profile of this name.
    ///
    /// # Errors
    /// Returns a mistake if there is no such profile.
    pub fn profile(&self, name: &str) -> Result<Arc<Profile>, Mistakes> {
        let found = self
            .profiles
            .all()
            .find(|profile| profile.name == name)
            .cloned();
        found.ok_or_else(|| {
            let names: Vec<_> = self
                .profiles
                .all()
                .map(|profile| profile.name.as_str())
                .collect();
            let fix = format!("expected one of: {}", names.join(", "));
            Mistakes(vec![Mistake::new(
                format!("there is no profile {name}"),
                fix,
            )])
        })
    }

    /// Returns every address on which the program listens.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        let frontends = self.frontends.iter().map(|frontend| &frontend.address);
        frontends.chain(self.admin.iter().map(|admin| &admin.address))
    }

    /// Returns the settings that a running program cannot change, by option as text: sockets are
    /// bound, and threads and pools are made, once.
    pub fn fixed(&self) -> Vec<(&'static str, String)> {
        let frontends = self.frontends.iter().map(
            |Frontend {
                 address, rights, ..
             }| format!("{address} {rights:?}"),
        );
        let admin = self.admin.as_ref().map(AdminSettings::fixed);
        vec![
            ("admin-addr", admin.unwrap_or_default()),
            ("frontends", frontends.collect::<Vec<_>>().join(", ")),
            ("backend-addr", self.backend.to_string()),
            ("max-connections", self.limits.connections.to_string()),
            ("workers", self.workers.to_string()),
            ("memory-limit", format!("{:?}", self.memory_limit)),
            ("proxy-container", self.proxy_container.clone()),
            ("connect-timeout", format!("{:?}", self.limits.connect)),
            ("log-format", format!("{:?}", self.log.format)),
            ("log-priority", format!("{:?}", self.log.priority)),
            ("audit-log", format!("{:?}", self.log.audit)),
        ]
    }
}

/// The settings for a command that asks the engine about the objects of one profile.
#[derive(Debug)]
pub struct EngineSettings<T: MakeTls> {
    /// The engine.
    pub backend: Address,
    /// TLS towards the engine.
    pub backend_tls: Option<T::Engine>,
    /// The time for a connection to the engine.
    pub connect: Duration,
    /// The names of all profiles, each with whether its clients own what they create.
    pub owners: Vec<(String, bool)>,
}

impl<T: MakeTls> EngineSettings<T> {
    /// Reads these settings alone: mistakes elsewhere in the configuration do not matter.
    ///
    /// # Errors
    /// Every mistake in the settings of the engine.
    pub fn read(written: &Written) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut reader = SettingsReader {
            written,
            mistakes: &mut mistakes,
            expressions: Expressions::default(),
        };
        let backend = reader.read(setting!("backend-addr"), Address::backend);
        let backend_tls = reader.backend_tls::<T>(backend.as_ref());
        let connect = reader.read(setting!("connect-timeout"), read_time);
        match (backend, connect) {
            (Some(backend), Some(connect)) if mistakes.is_empty() => Ok(Self {
                backend,
                backend_tls,
                connect,
                owners: read_owners(written),
            }),
            _ => Err(Mistakes(mistakes)),
        }
    }
}

/// Returns every profile with whether its clients own what they create, as far as that can be read.
fn read_owners(written: &Written) -> Vec<(String, bool)> {
    let mut reader = SettingsReader {
        written,
        mistakes: &mut Vec::new(),
        expressions: Expressions::default(),
    };
    let entries = std::iter::once(None).chain(written.profiles().iter().map(Some));
    let owner = |entry: Option<&FileEntry>| {
        let name = entry.map_or(profiles::DEFAULT, |entry| entry.name.as_str());
        let level = reader.guard(entry).level;
        let owns = reader.ownership(entry, name, level).is_some();
        (name.to_owned(), owns)
    };
    entries.map(owner).collect()
}

pub(super) struct SettingsReader<'a> {
    pub(super) written: &'a Written,
    pub(super) mistakes: &'a mut Vec<Mistake>,
    /// The expressions that the rules of all profiles share.
    pub(super) expressions: Expressions,
}

impl<'a> SettingsReader<'a> {
    /// Reads the whole configuration. All of it is read before the first wrong value ends the
    /// function, so that every mistake is noted.
    fn config<T: MakeTls>(&mut self) -> Option<Config<T>> {
        let frontends = self.frontends::<T>();
        let backend = self.read(setting!("backend-addr"), Address::backend);
        if let Some(backend) = &backend {
            self.refuse_own(backend, &frontends);
        }
        let backend_tls = self.backend_tls::<T>(backend.as_ref());
        let limits = self.bounds();
        let log = self.log();
        let proxy_container = self
            .read(setting!("proxy-container"), |name| Ok(name.to_owned()))
            .unwrap_or_default();
        let workers = self.read(setting!("workers"), read_workers).unwrap_or(1);
        let memory_limit = self
            .read(setting!("memory-limit"), read_memory)
            .unwrap_or(MemoryLimit::Auto);
        let admin = self.admin(&frontends, backend.as_ref());
        let profiles = self.profiles(&frontends);
        let per_client = bound_per_client(&profiles);
        let frontends = frontends.into_iter().map(|(frontend, _)| frontend);
        Some(Config {
            frontends: frontends.collect(),
            backend: backend?,
            proxy_container,
            backend_tls,
            profiles,
            workers,
            memory_limit,
            limits: Limits {
                per_client,
                ..limits?
            },
            log: log?,
            admin,
        })
    }

    /// Reads the bounds in time and number. That of one client's connections follows from the
    /// profiles.
    fn bounds(&mut self) -> Option<Limits> {
        let connections = self.read(setting!("max-connections"), read_count);
        let [head, idle, progress, drain, connect, answer] = [
            setting!("head-timeout"),
            setting!("idle-timeout"),
            setting!("progress-timeout"),
            setting!("drain-timeout"),
            setting!("connect-timeout"),
            setting!("answer-timeout"),
        ]
        .map(|name| self.read(name, read_time));
        Some(Limits {
            connections: connections?,
            per_client: ClientBound::of(None),
            head: head?,
            idle: idle?,
            progress: progress?,
            drain: drain?,
            connect: connect?,
            answer: answer?,
        })
    }

    /// Reads the settings of the log.
    fn log(&mut self) -> Option<log::LogSettings> {
        let level = self.read(setting!("log-level"), log::Level::parse);
        let format = self.read(setting!("log-format"), log::Format::parse);
        let priority = self.read(setting!("log-priority"), log::PriorityPrefix::parse);
        let audit = self.read(setting!("audit-log"), log::AuditTarget::parse);
        Some(log::LogSettings {
            level: level?,
            format: format?,
            priority: priority.unwrap_or(log::PriorityPrefix::Auto),
            audit,
            aside: false,
        })
    }

    /// Returns the value of an option that takes one; `None` if there is none, or if it is wrong,
    /// which is then noted.
    pub(super) fn read<T>(
        &mut self,
        name: SettingName,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (value, source) = self.written.one(name)?;
        read(value)
            .map_err(|expected| {
                self.mistakes
                    .push(Mistake::value(source, name.as_str(), value, expected))
            })
            .ok()
    }

    /// Returns the value of a key of an entry of the file; `None` if there is none, or if it is
    /// wrong, which is then noted.
    pub(super) fn value<T>(
        &mut self,
        entry: &FileEntry,
        key: SettingName,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, source) = entry.one(key)?;
        read(text)
            .map_err(|expected| {
                self.mistakes
                    .push(Mistake::value(source, key.as_str(), text, expected))
            })
            .ok()
    }

    pub(super) fn path(&self, name: SettingName) -> Option<(&'a str, &'a Source)> {
        self.written.one(name)
    }

    /// Notes the mistake of a backend that is one of the frontends.
    fn refuse_own<T: MakeTls>(&mut self, backend: &Address, frontends: &[Named<'_, T>]) {
        let own = frontends
            .iter()
            .map(|(frontend, _)| &frontend.address)
            .find(|own| own::is_own(backend, own));
        if let (Some(own), Some((value, source))) = (own, self.path(setting!("backend-addr"))) {
            let expected = format!(
                "expected the engine, and this is the proxy's own frontend {own}: {}",
                own::ADVICE
            );
            self.mistakes
                .push(Mistake::value(source, "backend-addr", value, expected));
        }
    }

    fn backend_tls<T: MakeTls>(&mut self, backend: Option<&Address>) -> Option<T::Engine> {
        let [cacert, cert, key] = [
            setting!("backend-tls-cacert"),
            setting!("backend-tls-cert"),
            setting!("backend-tls-key"),
        ]
        .map(|name| self.path(name));
        let own = match (cert, key) {
            (Some((cert, _)), Some((key, _))) => Some((cert, key)),
            (None, None) => None,
            _ => {
                self.mistakes.push(Mistake::new(
                    "the TLS files of the backend are incomplete",
                    "set both backend-tls-cert and backend-tls-key, or none",
                ));
                return None;
            }
        };
        let Some((cacert, source)) = cacert else {
            if own.is_some() {
                self.mistakes.push(Mistake::new(
                    "backend-tls-cacert is missing",
                    "name the CA that signed the engine's certificate",
                ));
            }
            return None;
        };
        if let Some(Address::Unix(_)) = backend {
            self.mistakes.push(Mistake::value(
                source,
                "backend-tls-cacert",
                cacert,
                "expected none: the backend is a Unix socket",
            ));
        }
        let wrong = |wrong: WrongFiles| self.mistakes.push(Mistake::new(wrong.what, wrong.fix));
        T::engine(EngineFiles { cacert, own }).map_err(wrong).ok()
    }
}

/// The memory that the process may have, as the option has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// That of its control group.
    Auto,
    /// So many bytes.
    Bytes(u64),
    /// Any amount.
    None,
}

/// The connections that one client may have at a time. `None` is no bound.
#[derive(Clone, Copy, Debug)]
pub struct ClientBound {
    /// Of all its connections: while its profile is not known, the most that any profile allows.
    pub total: Option<usize>,
    /// Of those whose profile is not known yet, so that a client without a profile does not get the
    /// bound of another's.
    pub unconfirmed: Option<usize>,
}

impl ClientBound {
    /// The bound of a client whose profile is known.
    #[must_use]
    pub fn of(limit: Option<usize>) -> Self {
        Self {
            total: limit,
            unconfirmed: limit,
        }
    }
}

/// Returns the bound of the connections of a client whose profile is not known yet: the largest of
/// all profiles, and until then that of the default profile.
fn bound_per_client(profiles: &Profiles) -> ClientBound {
    let bounds: Vec<_> = profiles
        .all()
        .map(|profile| profile.limits.connections)
        .collect();
    let all = bounds.iter().copied().collect::<Option<Vec<_>>>();
    ClientBound {
        // A profile without a bound leaves all without one.
        total: all.and_then(|bounds| bounds.into_iter().max()),
        // The default profile is the first.
        unconfirmed: bounds.first().copied().flatten(),
    }
}

pub(super) fn read_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => {
            Err("expected a time longer than zero, as in 500ms, 10s or 2m".to_owned())
        }
        Ok(time) => Ok(time),
        Err(_) => Err("expected a time with its unit, as in 500ms, 10s or 2m".to_owned()),
    }
}

pub(super) fn read_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))
        .ok_or_else(|| "expected a number from 1 to 1000000".to_owned())
}

/// Event loops beyond this number are no faster: one engine is behind them.
const AUTO_WORKERS: usize = 4;
/// More event loops than this are refused, because each has a thread and an epoll queue.
const MOST_WORKERS: usize = 64;

fn read_workers(text: &str) -> Result<usize, String> {
    if text == "auto" {
        return Ok(std::thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(AUTO_WORKERS));
    }
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=MOST_WORKERS).contains(number));
    number.ok_or_else(|| format!("expected a number from 1 to {MOST_WORKERS}, or auto"))
}

fn read_memory(text: &str) -> Result<MemoryLimit, String> {
    match text {
        "auto" => return Ok(MemoryLimit::Auto),
        "none" => return Ok(MemoryLimit::None),
        _ => {}
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    let number = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift));
    let size = number.filter(|size| *size >= 16 << 20);
    size.map(MemoryLimit::Bytes)
        .ok_or_else(|| "expected a size of 16MiB or more, as in 64MiB, auto or none".to_owned())
}

pub(super) fn read_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "expected permission bits in octal, as in 0660".to_owned())
}

pub(super) fn read_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// Reads a number, or a name of `/etc/group`: a container image need not have that file.
pub(super) fn read_group(text: &str) -> Result<u32, String> {
    look_up_id(text, "/etc/group")
        .ok_or_else(|| "expected a group of /etc/group, or its number".to_owned())
}

/// Reads a number, or a name of `/etc/passwd`: a container image need not have that file.
pub(super) fn read_user(text: &str) -> Result<u32, String> {
    look_up_id(text, "/etc/passwd")
        .ok_or_else(|| "expected a user of /etc/passwd, or its number".to_owned())
}

/// Looks up a name in `/etc/passwd` or `/etc/group`, whose first three fields are name, password
/// and number.
fn look_up_id(text: &str, table: &str) -> Option<u32> {
    if let Ok(id) = text.parse() {
        return Some(id);
    }
    let table = super::read_text(table).unwrap_or_default();
    let mut rows = table
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    rows.find(|row| row[0] == text)?.get(2)?.parse().ok()
}
