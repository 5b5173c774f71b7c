//! The configuration in two forms: as it was written, and its meaning. The conversion gathers every
//! mistake.

pub(crate) mod address;
pub(crate) mod admin;
mod advice;
pub(crate) mod clients;
mod creation;
pub(crate) mod document;
pub(crate) mod file;
pub(crate) mod frontends;
mod grammar;
mod keys;
mod limits;
mod many;
pub(crate) mod meant;
mod option;
pub(crate) mod own;
mod profile_env;
mod profiles;
mod reference;
mod schema;
mod scope;
mod view;
pub(crate) mod written;
pub(crate) mod yaml;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::ArgMatches;

pub use grammar::grammar;
pub(crate) use grammar::normalise_args;
pub(crate) use keys::CLIENT_KEYS;
use meant::Config;
pub(crate) use option::{OPTIONS, nearest};
pub use reference::reference;
pub use schema::schema;
use written::{Source, Written};

/// The sources of the configuration. They can be read more than once.
#[derive(Debug)]
pub(crate) struct Sources {
    /// The flags.
    pub(crate) flags: ArgMatches,
    /// The mistakes in the flags themselves.
    pub(crate) stray: Vec<Mistake>,
    /// The environment.
    pub(crate) env: HashMap<String, OsString>,
    /// The profiles that are learned instead of enforced; all of them if the list is empty.
    pub(crate) learned: Option<Vec<String>>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The meaning of the configuration.
    pub(crate) config: Config,
    /// The warnings about possible mistakes.
    pub(crate) warnings: Vec<String>,
}

/// The files that were read, valid or not.
#[derive(Debug)]
pub(crate) struct Read {
    /// The files.
    pub(crate) files: Vec<PathBuf>,
    /// When the first of them was opened, or before.
    pub(crate) began: SystemTime,
}

impl Sources {
    /// Reads everything that was written, as it is now.
    pub(crate) fn read(&self) -> (Written, Vec<String>, Vec<Mistake>) {
        let (mut mistakes, mut warnings) = (self.stray.clone(), Vec::new());
        written::check_env(&self.env, &mut mistakes, &mut warnings);
        let written = Written::read(&self.flags, &self.env, &mut mistakes);
        (written, warnings, mistakes)
    }

    /// Reads the configuration, or returns every mistake in it.
    pub(crate) fn load(&self) -> (Read, Result<Loaded, Mistakes>) {
        let began = SystemTime::now();
        let (written, warnings, mistakes) = self.read();
        let read = Read {
            files: written.files(),
            began,
        };
        let asked = written
            .one("log-level")
            .is_some_and(|(_, source)| *source != Source::Default);
        let config = Config::mean(&written, mistakes).and_then(|config| match &self.learned {
            Some(names) => config.learn(names, asked),
            None => Ok(config),
        });
        (read, config.map(|config| Loaded { config, warnings }))
    }

    /// Returns whether a flag names the configuration.
    pub(crate) fn has_source_flag(&self) -> bool {
        let mut sources = OPTIONS.iter().filter(|option| option.is_source());
        sources.any(|option| self.flags.value_source(option.name).is_some())
    }

    /// Reads the configuration with this file in place of the one that the sources name. The other
    /// flags and the environment count.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn load_file(&self, path: &str) -> Result<Loaded, Mistakes> {
        let (mut mistakes, mut warnings) = (self.stray.clone(), Vec::new());
        written::check_env(&self.env, &mut mistakes, &mut warnings);
        let text = read_text(path).map_err(|why| {
            let what = format!("the configuration {path} cannot be read: {why}");
            Mistakes(vec![Mistake::new(what, why.advice())])
        })?;
        let file = file::File::read(path, &text, &mut mistakes);
        let written = Written::beside(Some(file), &self.flags, &self.env, &mut mistakes);
        let config = Config::mean(&written, mistakes)?;
        Ok(Loaded { config, warnings })
    }
}

/// A mistake that keeps the program from starting.
#[derive(Clone, Debug)]
pub(crate) enum Mistake {
    /// A wrong option, value or file.
    Option {
        /// The mistake.
        what: String,
        /// The correction.
        fix: String,
    },
    /// A mistake in the configuration file.
    File {
        /// Where.
        spot: Box<document::Spot>,
        /// The mistake.
        what: String,
        /// The correction.
        fix: String,
    },
    /// A wrong line of rules.
    Rule(Box<cetusguard_policy::rule::RuleMistake>),
}

impl Mistake {
    /// Makes a mistake with its correction.
    pub(crate) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Option {
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// Makes a mistake at a place of a file.
    pub(crate) fn at(
        spot: &document::Spot,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::File {
            spot: Box::new(spot.clone()),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// Makes a mistake about a value of this source.
    fn about(source: &Source, what: impl Into<String>, fix: impl Into<String>) -> Self {
        match source {
            Source::File(spot) => Self::at(spot, what, fix),
            Source::Env(name) => Self::new(format!("{name}: {}", what.into()), fix),
            Source::Flag(_) | Source::Default => Self::new(what, fix),
        }
    }

    /// Makes a mistake of a value that its option does not take.
    fn value(source: &Source, name: &str, value: &str, expected: impl Into<String>) -> Self {
        match source {
            Source::Env(env) => Self::new(format!("{env} is {value:?}"), expected),
            Source::File(spot) => Self::at(spot, format!("{name} is {value:?}"), expected),
            Source::Flag(_) | Source::Default => {
                Self::new(format!("--{name} is {value:?}"), expected)
            }
        }
    }
}

impl Mistake {
    /// Writes the mistake in one line, for the log.
    pub(crate) fn in_one_line(&self) -> String {
        match self {
            Self::Option { what, fix } => format!("{what}; {fix}"),
            Self::File { spot, what, fix } => format!("{}: {what}; {fix}", spot.place()),
            Self::Rule(wrong) => wrong.in_one_line(),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { what, fix } => write!(f, "error: {what}\n  = {fix}"),
            Self::File { spot, what, fix } => write!(f, "error: {what}\n{spot}\n  = {fix}"),
            Self::Rule(wrong) => write!(f, "error: {wrong}"),
        }
    }
}

impl std::error::Error for Mistake {}

/// Every mistake that keeps the program from starting, found in one run.
#[derive(Debug)]
pub(crate) struct Mistakes(pub(crate) Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}\n")?;
        }
        let count = self.0.len();
        write!(
            f,
            "{count} {}",
            if count == 1 { "mistake" } else { "mistakes" }
        )
    }
}

impl std::error::Error for Mistakes {}

/// Reads the input of a command: a text file or a log, of any size, or standard input for `-`.
#[expect(
    clippy::disallowed_methods,
    reason = "the user names the file, and waits for it"
)]
pub(crate) fn read_input(path: &str) -> Result<String, Mistakes> {
    let read = match path {
        "-" => std::io::read_to_string(std::io::stdin().lock()),
        path => std::fs::read_to_string(path),
    };
    let wrong = |why| {
        Mistake::new(
            format!("{path} cannot be read: {why}"),
            "name a text file that is there, or - and pipe it in",
        )
    };
    read.map_err(|why| Mistakes(vec![wrong(why)]))
}

/// More is no list of rules and no certificate.
const FILE_LIMIT: u64 = 4 << 20;

/// The reason why a text file cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// There is no such file.
    Missing,
    /// This user may not read it.
    Forbidden,
    /// The path is a folder.
    Folder,
    /// The path is a device, a pipe or a socket.
    NotRegular,
    /// The file is larger than any file that is read here.
    TooLarge,
    /// The file is not UTF-8.
    NotText,
    /// Another error.
    Other(std::io::Error),
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Forbidden,
            std::io::ErrorKind::InvalidData => Self::NotText,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Forbidden => f.write_str("this user may not read it"),
            Self::Folder => f.write_str("it is a folder"),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::TooLarge => f.write_str("it is larger than 4 MiB"),
            Self::NotText => f.write_str("it is not text in UTF-8"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    /// Returns the next step.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Missing => {
                "name a file that is there; in a container, mount the folder that holds it"
                    .to_owned()
            }
            Self::Forbidden => {
                let user = rustix::process::geteuid().as_raw();
                format!(
                    "let user {user} read the file and enter its folder (chmod, chown), or add \
                    that user to its group (group_add)"
                )
            }
            Self::Folder => {
                "name a file; Docker makes a folder where a file that is to be mounted is missing"
                    .to_owned()
            }
            Self::NotRegular | Self::TooLarge | Self::NotText | Self::Other(_) => {
                "name another file".to_owned()
            }
        }
    }
}

/// Reads a small text file.
pub(crate) fn read_text(path: &str) -> Result<String, Unreadable> {
    let check = |meta: std::io::Result<std::fs::Metadata>| match meta {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(meta) if meta.is_dir() => Err(Unreadable::Folder),
        Ok(_) => Err(Unreadable::NotRegular),
        Err(error) => Err(error.into()),
    };
    // Opening a device may have effects, and opening a FIFO waits for its writer, also for one that
    // was put there since the look.
    check(std::fs::metadata(path))?;
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(not_waiting)
        .open(path)?;
    check(file.metadata())?;
    let mut text = String::new();
    let read = file.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_LIMIT {
        Err(Unreadable::TooLarge)
    } else {
        Ok(text)
    }
}
