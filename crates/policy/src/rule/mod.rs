//! The rule language: which endpoints a client may call.
//!
//! ```text
//! line     = *blank ( rule / comment ) *blank
//! comment  = ( "!" / "#" ) text              ; a whole line
//! rule     = methods 1*blank pattern [ 1*blank "#" text ]
//! methods  = method *( "," method )          ; GET HEAD POST PUT DELETE PATCH OPTIONS
//! pattern  = regular expression with %VARIABLES%, matched with the whole path, version prefix included
//! ```

mod dialect;
mod explain;
mod form;
mod language;
mod matcher;
#[cfg(any(test, fuzzing))]
mod naive;
mod parse;
mod variable;

use std::fmt;
use std::sync::Arc;

use crate::method::Methods;
pub use explain::Miss;
pub use form::Expressions;
use form::Form;
pub(crate) use language::Language;
pub use matcher::RuleSet;
#[cfg(any(test, fuzzing))]
pub use naive::Compared;
pub use parse::{Mistake, parse, parse_sharing};
pub use variable::{VARIABLES, distance, expand};

/// The rules that every profile has unless it asks for none: a client can find out what it talks to.
pub const BUILT_IN: &str = "\
GET,HEAD %API_PREFIX_PING%
GET %API_PREFIX_VERSION%
GET %API_PREFIX_INFO%
GET,HEAD %_API_VERSION%?/libpod/_ping
GET %API_PREFIX_LIBPOD_VERSION%
GET %API_PREFIX_LIBPOD_INFO%
";

/// The origin of the built-in rules.
pub const BUILT_IN_ORIGIN: &str = "built-in";

/// What the origin of a preset's rules begins with; its name follows.
pub const PRESET_ORIGIN: &str = "preset ";

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// A file's path, `--rules`, the name of an environment variable, or `built-in`.
    pub origin: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.line)
    }
}

/// One rule as it was written and as it is matched.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands.
    pub position: Position,
    /// Position and text, as the log shows them with every request.
    label: String,
    /// Where the text starts in it.
    text: usize,
    methods: Methods,
    /// The ways in which its pattern can match.
    forms: Vec<Form>,
}

impl Rule {
    /// Where it stands and what it says: `rules:1: GET /info`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// `METHODS PATTERN`, without the comment.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.label[self.text..]
    }
}

impl Rule {
    /// The methods that it is about.
    pub(crate) fn methods(&self) -> Methods {
        self.methods
    }

    /// Its pattern as it was written, with variables.
    pub(crate) fn pattern(&self) -> &str {
        self.text().split_once([' ', '\t']).map_or("", |(_, pattern)| pattern)
    }

    /// Every path that its pattern matches; `None` where that cannot be told.
    pub(crate) fn language(&self) -> Option<Language> {
        Language::new(&dialect::from_go(&expand(self.pattern())))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
