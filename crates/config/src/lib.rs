//! The configuration in two forms: as it was written, and its meaning. The conversion gathers every
//! mistake.

#[macro_use]
mod name;

pub mod address;
pub mod admin;
mod advice;
pub mod clients;
mod creation;
pub mod document;
pub mod file;
pub mod frontends;
mod grammar;
mod keys;
mod limits;
pub mod log;
mod many;
pub mod meant;
mod option;
pub mod own;
pub mod printed;
mod profile_env;
mod profiles;
mod reference;
mod schema;
mod scope;
mod text_file;
pub mod tls;
mod view;
pub mod written;
pub mod yaml;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::ArgMatches;

pub use grammar::grammar;
pub use grammar::normalise_args;
pub use keys::CLIENT_KEYS;
use meant::Config;
pub use name::SettingName;
pub use option::{OPTIONS, nearest};
pub use reference::reference;
pub use schema::schema;
pub use text_file::{Unreadable, Unwritable, plain_error, read_input, read_text};
use tls::MakeTls;
use written::{Source, Written};

/// The sources of the configuration. They can be read more than once.
#[derive(Debug)]
pub struct Sources {
    /// The flags.
    pub flags: ArgMatches,
    /// The mistakes in the flags themselves.
    pub stray: Vec<Mistake>,
    /// The environment.
    pub env: HashMap<String, OsString>,
    /// The profiles that are learned instead of enforced; all of them if the list is empty.
    pub learned: Option<Vec<String>>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded<T: MakeTls> {
    /// The meaning of the configuration.
    pub config: Config<T>,
    /// The warnings about possible mistakes.
    pub warnings: Vec<String>,
}

/// The files that were read, valid or not.
#[derive(Debug)]
pub struct ReadFiles {
    /// The files.
    pub files: Vec<PathBuf>,
    /// When the first of them was opened, or before.
    pub began: SystemTime,
}

impl Sources {
    /// Reads everything that was written, as it is now.
    pub fn read(&self) -> (Written, Vec<String>, Vec<Mistake>) {
        let (mut mistakes, mut warnings) = (self.stray.clone(), Vec::new());
        written::check_env(&self.env, &mut mistakes, &mut warnings);
        let written = Written::read(&self.flags, &self.env, &mut mistakes);
        (written, warnings, mistakes)
    }

    /// Reads the configuration, or returns every mistake in it.
    pub fn load<T: MakeTls>(&self) -> (ReadFiles, Result<Loaded<T>, Mistakes>) {
        let began = SystemTime::now();
        let (written, warnings, mistakes) = self.read();
        let read = ReadFiles {
            files: written.files(),
            began,
        };
        let asked = written
            .one(setting!("log-level"))
            .is_some_and(|(_, source)| *source != Source::Default);
        let config = Config::mean(&written, mistakes).and_then(|config| match &self.learned {
            Some(names) => config.learn(names, asked),
            None => Ok(config),
        });
        (read, config.map(|config| Loaded { config, warnings }))
    }

    /// Returns whether a flag names the configuration.
    pub fn has_source_flag(&self) -> bool {
        let mut sources = OPTIONS.iter().filter(|option| option.is_source());
        sources.any(|option| self.flags.value_source(option.name).is_some())
    }

    /// Reads the configuration with this file in place of the one that the sources name. The other
    /// flags and the environment count.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn load_file<T: MakeTls>(&self, path: &str) -> Result<Loaded<T>, Mistakes> {
        let (mut mistakes, mut warnings) = (self.stray.clone(), Vec::new());
        written::check_env(&self.env, &mut mistakes, &mut warnings);
        let text = read_text(path).map_err(|why| {
            let what = format!("the configuration {path} cannot be read: {why}");
            Mistakes(vec![Mistake::new(what, why.advice())])
        })?;
        let file = file::ConfigFile::read(path, &text, &mut mistakes);
        let written = Written::beside(Some(file), &self.flags, &self.env, &mut mistakes);
        let config = Config::mean(&written, mistakes)?;
        Ok(Loaded { config, warnings })
    }
}

/// A mistake that keeps the program from starting.
#[derive(Clone, Debug)]
pub enum Mistake {
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
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Option {
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// Makes a mistake at a place of a file.
    pub fn at(spot: &document::Spot, what: impl Into<String>, fix: impl Into<String>) -> Self {
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
    pub fn in_one_line(&self) -> String {
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
pub struct Mistakes(pub Vec<Mistake>);

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
