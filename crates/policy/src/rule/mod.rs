//! The rule language: which endpoints a client may call.
//!
//! ```text
//! line     = *blank ( rule / comment ) *blank
//! comment  = ( "!" / "#" ) text              ; a whole line
//! rule     = ( [ effect 1*blank ] methods 1*blank pattern / effect 1*blank names ) [ 1*blank "#" text ]
//! effect   = "ALLOW" / "DENY"
//! methods  = method *( "," method )          ; GET HEAD POST PUT DELETE PATCH OPTIONS
//! pattern  = regular expression with %VARIABLES%, matched with the whole path, version prefix included
//! names    = name *( *blank "," *blank name )
//! name     = ( endpoint / family ) [ "(" object *( "," object ) ")" ] / power
//! endpoint = a name of docs/endpoints.md, as in container.list
//! family   = the beginning of such names, up to a dot, and "*", as in container.*
//! power    = "look" / "secrets" / "change" / "run" / "host"
//! object   = the name of a container, volume, network, …, in which "*" stands for any characters
//! ```

mod dialect;
mod explain;
mod form;
mod language;
mod matcher;
#[cfg(any(test, fuzzing))]
mod naive;
mod names;
mod parse;
mod variable;

use std::fmt;
use std::sync::Arc;

use crate::call::Call;
use crate::endpoint::{Endpoint, EndpointId, When};
use crate::method::{Method, Methods};
pub use explain::Miss;
pub use form::Expressions;
use form::Form;
pub(crate) use language::{Language, TooMuch};
pub use matcher::RuleSet;
#[cfg(any(test, fuzzing))]
pub use naive::Compared;
use names::Scope;
pub use parse::{Mistake, parse, parse_sharing};
pub use variable::{VARIABLES, distance, expand};

/// The rules that every profile has unless it asks for none: a client can find out what it talks
/// to.
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

/// What a rule does about the calls that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows them.
    Allow,
    /// It denies them, whatever else allows them.
    Deny,
}

/// One rule as it was written and as it is matched.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands.
    pub position: Position,
    effect: Effect,
    /// Position and text, as the log shows them with every request.
    label: String,
    /// Where the text starts in it.
    text: usize,
    /// Where in the text the methods or the names start, and the pattern.
    methods_at: usize,
    pattern_at: usize,
    body: Body,
}

/// What a rule matches.
#[derive(Clone, Debug)]
enum Body {
    /// Paths of a pattern.
    Pattern {
        methods: Methods,
        /// The ways in which the pattern can match.
        forms: Vec<Form>,
    },
    /// Endpoints.
    Names(Vec<Scope>),
}

impl Rule {
    /// Where it stands and what it says: `rules:1: GET /info`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What it says, without the comment: `METHODS PATTERN`, `ALLOW NAMES`, `DENY METHODS PATTERN`
    /// or `DENY NAMES`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.label[self.text..]
    }

    /// What it does about the calls that it matches.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Its methods and its pattern as they were written; `None` for a rule by name.
    #[must_use]
    pub fn methods_and_pattern(&self) -> Option<(&str, &str)> {
        let text = self.text();
        let methods = text[self.methods_at..self.pattern_at].trim_end();
        matches!(self.body, Body::Pattern { .. }).then(|| (methods, &text[self.pattern_at..]))
    }
}

impl Rule {
    /// Whether it denies what it matches.
    pub(crate) fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    /// Whether it means endpoints by their names.
    pub(crate) fn is_by_name(&self) -> bool {
        matches!(self.body, Body::Names(_))
    }

    /// Its pattern as it was written, with variables; nothing for a rule by name.
    pub(crate) fn pattern(&self) -> &str {
        self.methods_and_pattern()
            .map_or("", |(_, pattern)| pattern)
    }

    /// Whether it is about a method at all.
    pub(crate) fn has_method(&self, method: Method) -> bool {
        match &self.body {
            Body::Pattern { methods, .. } => methods.contain(method),
            Body::Names(scopes) => scopes.iter().any(|scope| scope.endpoint.method == method),
        }
    }

    /// The endpoints that a rule by name means, each with the path of an object that it is about;
    /// `None` for a pattern.
    pub(crate) fn endpoints(&self) -> Option<impl Iterator<Item = (&'static Endpoint, String)>> {
        let Body::Names(scopes) = &self.body else {
            return None;
        };
        let whole = scopes.iter().filter(|scope| scope.when() == When::Always);
        Some(whole.map(|scope| (scope.endpoint, scope.example())))
    }

    /// Whether a rule by name means an endpoint by the endpoint's own name, of some objects alone
    /// or of any.
    pub(crate) fn names_endpoint(&self, id: EndpointId) -> bool {
        let Body::Names(scopes) = &self.body else {
            return false;
        };
        scopes
            .iter()
            .any(|scope| scope.is_named && scope.endpoint.id == id)
    }

    /// Whether a rule by name means this very object of an endpoint: by its whole name, and not by
    /// a star.
    pub(crate) fn names_object(&self, id: EndpointId, object: &str) -> bool {
        let Body::Names(scopes) = &self.body else {
            return false;
        };
        let has_name = |scope: &Scope| {
            scope
                .objects
                .iter()
                .any(|pattern| pattern.as_str() == object)
        };
        !object.contains('*')
            && scopes
                .iter()
                .any(|scope| scope.is_named && scope.endpoint.id == id && has_name(scope))
    }

    /// Whether a rule by name matches a call only because of the object that the call is about.
    pub(crate) fn depends_on_object(&self, call: &Call) -> bool {
        let (Body::Names(scopes), Some(endpoint)) = (&self.body, call.endpoint()) else {
            return false;
        };
        let mut own = scopes
            .iter()
            .filter(|scope| scope.endpoint.id == endpoint.id)
            .peekable();
        own.peek().is_some() && own.all(|scope| !scope.objects.is_empty())
    }

    /// Returns the operation that a denial by name is about, where the call does it as a part of
    /// another one.
    pub(crate) fn denied_part(&self, call: &Call) -> Option<&'static str> {
        let endpoint = call.endpoint().filter(|_| self.denies())?;
        let Body::Names(scopes) = &self.body else {
            return None;
        };
        let own = || {
            scopes
                .iter()
                .filter(|scope| scope.endpoint.id == endpoint.id)
        };
        if own().any(|scope| scope.part.is_none() && scope.matches(call)) {
            return None;
        }
        let is_done = |when: When| when.holds_for(call) || when.holds_on_podman_for(call);
        own()
            .filter_map(|scope| scope.part)
            .find(|part| is_done(part.when))
            .map(|part| part.operation)
    }

    /// Whether this rule matches a path, whatever the method; `unversioned` is where it starts
    /// behind its version.
    pub(crate) fn covers(&self, path: &str, unversioned: usize) -> bool {
        match &self.body {
            Body::Pattern { forms, .. } => forms.iter().any(|form| form.matches(path, unversioned)),
            Body::Names(scopes) => scopes
                .iter()
                .any(|scope| scope.covers(&path[unversioned..])),
        }
    }

    /// Whether this rule matches a call.
    pub(crate) fn matches(&self, call: &Call) -> bool {
        match &self.body {
            Body::Pattern { methods, .. } => {
                methods.contain(call.method())
                    && self.covers(call.path(), call.version_prefix().len())
            }
            Body::Names(scopes) => scopes.iter().any(|scope| scope.matches(call)),
        }
    }

    /// Every path that it matches with a method; `None` where that cannot be told.
    pub(crate) fn language(&self, method: Method) -> Option<Language> {
        match &self.body {
            Body::Pattern { .. } => Language::new(&dialect::from_go(&expand(self.pattern()))),
            Body::Names(scopes) => {
                let own = scopes
                    .iter()
                    .filter(|scope| scope.endpoint.method == method)
                    .map(Scope::expression);
                Language::new(&own.collect::<Vec<_>>().join("|"))
            }
        }
    }

    /// An expression for the paths that the rule denies with the method of an endpoint; `None`
    /// where it denies none.
    pub(crate) fn expression(&self, endpoint: &Endpoint) -> Option<String> {
        match &self.body {
            Body::Pattern { methods, .. } => {
                let by_get = endpoint.method == Method::Head && methods.contain(Method::Get);
                let expression = || format!("(?:{})", dialect::from_go(&expand(self.pattern())));
                (by_get || methods.contain(endpoint.method)).then(expression)
            }
            Body::Names(scopes) => {
                let own = scopes.iter().filter(|scope| {
                    scope.endpoint.id == endpoint.id && scope.when() == When::Always
                });
                let own: Vec<_> = own.map(Scope::expression).collect();
                (!own.is_empty()).then(|| own.join("|"))
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
