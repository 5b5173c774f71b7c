//! The rule language, in which a profile says which endpoints its clients may call.
//!
//! ```text
//! line     = *blank ( rule / comment ) *blank
//! comment  = ( "!" / "#" ) text              ; a whole line
//! rule     = ( by-path / by-name ) [ 1*blank "#" text ]
//! by-path  = [ effect 1*blank ] methods 1*blank pattern
//! by-name  = effect 1*blank names
//! effect   = "ALLOW" / "DENY"
//! methods  = method *( "," method )          ; GET HEAD POST PUT DELETE PATCH OPTIONS
//! pattern  = regular expression with %VARIABLES%, which matches the whole path with its version
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

use crate::endpoint::{CallCondition, Endpoint, EndpointId};
use crate::request::call::Call;
use crate::request::method::{Method, Methods};
pub use explain::Miss;
pub use form::Expressions;
use form::PathForm;
pub(crate) use language::{Language, WalkTooLong};
pub use matcher::RuleSet;
#[cfg(any(test, fuzzing))]
pub use naive::Compared;
use names::NamedEndpoint;
pub use parse::{RuleMistake, parse, parse_sharing};
pub use variable::{VARIABLES, expand};

/// The rules that every profile has unless `no-builtin-rules` is set. With them a client can find
/// out which engine it talks to.
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

/// The beginning of the origin of a preset's rules, before the name of the preset.
pub const PRESET_ORIGIN: &str = "preset ";

/// The place where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The path of a file, `--rules`, the name of an environment variable, or `built-in`.
    pub origin: Arc<str>,
    /// The number of the line, from 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.line)
    }
}

/// The effect of a rule on the calls that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The rule allows them.
    Allow,
    /// The rule denies them, even if other rules allow them.
    Deny,
}

/// A rule, with its text and in the form in which it is matched.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The place of the rule.
    pub position: Position,
    effect: Effect,
    /// Position and text, prepared because the log shows them with each request.
    label: String,
    /// The start of the text in the label.
    text_at: usize,
    /// The starts, in the text, of the methods or names, and of the pattern.
    methods_at: usize,
    pattern_at: usize,
    body: RuleBody,
}

/// The condition of a rule: a pattern or names.
#[derive(Clone, Debug)]
enum RuleBody {
    /// Methods, and a pattern for the path.
    Pattern {
        methods: Methods,
        /// The pattern as its forms, of which one has to match.
        forms: Vec<PathForm>,
    },
    /// Endpoints, by their names, families or powers.
    Names(Vec<NamedEndpoint>),
}

impl Rule {
    /// Returns the position and the text of the rule: `rules:1: GET /info`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the text without its comment: `METHODS PATTERN`, `ALLOW NAMES`, `DENY METHODS
    /// PATTERN` or `DENY NAMES`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.label[self.text_at..]
    }

    /// Returns the effect of the rule on the calls that it matches.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Returns the methods and the pattern as they were written; `None` for a rule by name.
    #[must_use]
    pub fn methods_and_pattern(&self) -> Option<(&str, &str)> {
        let text = self.text();
        let methods = text[self.methods_at..self.pattern_at].trim_end();
        matches!(self.body, RuleBody::Pattern { .. }).then(|| (methods, &text[self.pattern_at..]))
    }
}

impl Rule {
    /// Returns true for a deny rule.
    pub(crate) fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    /// Returns true for a rule that lists names instead of a pattern.
    pub(crate) fn is_by_name(&self) -> bool {
        matches!(self.body, RuleBody::Names(_))
    }

    /// Returns the pattern as it was written, with variables; an empty text for a rule by name.
    pub(crate) fn pattern(&self) -> &str {
        self.methods_and_pattern()
            .map_or("", |(_, pattern)| pattern)
    }

    /// Returns true if the rule can match a call with this method.
    pub(crate) fn has_method(&self, method: Method) -> bool {
        match &self.body {
            RuleBody::Pattern { methods, .. } => methods.contain(method),
            RuleBody::Names(names) => names.iter().any(|name| name.endpoint.method == method),
        }
    }

    /// Returns the endpoints of a rule by name, each with the path of an object that the rule is
    /// about; `None` for a pattern.
    pub(crate) fn endpoints(&self) -> Option<impl Iterator<Item = (&'static Endpoint, String)>> {
        let RuleBody::Names(names) = &self.body else {
            return None;
        };
        let whole = names
            .iter()
            .filter(|name| name.when() == CallCondition::Always);
        Some(whole.map(|name| (name.endpoint, name.example_path())))
    }

    /// Returns true if a rule by name has the endpoint's own name in it, and not only that of a
    /// family or a power.
    pub(crate) fn names_endpoint(&self, id: EndpointId) -> bool {
        let RuleBody::Names(names) = &self.body else {
            return false;
        };
        names
            .iter()
            .any(|name| name.is_named && name.endpoint.id == id)
    }

    /// Returns true if a rule by name has both the endpoint's own name and the object's whole name
    /// in it, without a star.
    pub(crate) fn names_object(&self, id: EndpointId, object: &str) -> bool {
        let RuleBody::Names(names) = &self.body else {
            return false;
        };
        let has_name = |name: &NamedEndpoint| {
            name.objects
                .iter()
                .any(|pattern| pattern.as_str() == object)
        };
        !object.contains('*')
            && names
                .iter()
                .any(|name| name.is_named && name.endpoint.id == id && has_name(name))
    }

    /// Returns true if a rule by name lists objects for each of its names of the call's endpoint,
    /// so that it matches the call only because of its object.
    pub(crate) fn depends_on_object(&self, call: &Call) -> bool {
        let (RuleBody::Names(names), Some(endpoint)) = (&self.body, call.endpoint()) else {
            return false;
        };
        let mut own = names
            .iter()
            .filter(|name| name.endpoint.id == endpoint.id)
            .peekable();
        own.peek().is_some() && own.all(|name| !name.objects.is_empty())
    }

    /// Returns the operation that a denial by name is about, if the call does it as a part of
    /// another one.
    pub(crate) fn denied_part(&self, call: &Call) -> Option<&'static str> {
        let endpoint = call.endpoint().filter(|_| self.denies())?;
        let RuleBody::Names(names) = &self.body else {
            return None;
        };
        let own = || names.iter().filter(|name| name.endpoint.id == endpoint.id);
        if own().any(|name| name.part.is_none() && name.matches(call)) {
            return None;
        }
        let is_done = |when: CallCondition| when.holds_for(call) || when.holds_on_podman_for(call);
        own()
            .filter_map(|name| name.part)
            .find(|part| is_done(part.when))
            .map(|part| part.operation)
    }

    /// Returns true if the rule matches a path with any of its methods. The version prefix of the
    /// path ends at `unversioned`.
    pub(crate) fn matches_path(&self, path: &str, unversioned: usize) -> bool {
        match &self.body {
            RuleBody::Pattern { forms, .. } => forms
                .iter()
                .any(|form| form.matches_path(path, unversioned)),
            RuleBody::Names(names) => names
                .iter()
                .any(|name| name.matches_path(&path[unversioned..])),
        }
    }

    /// Returns true if the rule matches a call.
    pub(crate) fn matches(&self, call: &Call) -> bool {
        match &self.body {
            RuleBody::Pattern { methods, .. } => {
                methods.contain(call.method())
                    && self.matches_path(call.path(), call.version_prefix().len())
            }
            RuleBody::Names(names) => names.iter().any(|name| name.matches(call)),
        }
    }

    /// Returns the paths that the rule matches with a method; `None` if the pattern is too large or
    /// has assertions.
    pub(crate) fn language(&self, method: Method) -> Option<Language> {
        match &self.body {
            RuleBody::Pattern { .. } => Language::new(&to_regex_syntax(self.pattern())),
            RuleBody::Names(names) => {
                let own = names
                    .iter()
                    .filter(|name| name.endpoint.method == method)
                    .map(NamedEndpoint::path_expression);
                Language::new(&own.collect::<Vec<_>>().join("|"))
            }
        }
    }

    /// Returns an expression for the paths that the rule matches with a method, at least those of an
    /// endpoint; `None` if there are none. With `follows`, rules for `GET` match `HEAD` as well.
    pub(crate) fn expression_for(
        &self,
        endpoint: &Endpoint,
        method: Method,
        follows: bool,
    ) -> Option<String> {
        let is_asked = |own: &dyn Fn(Method) -> bool| {
            own(method) || (follows && method == Method::Head && own(Method::Get))
        };
        match &self.body {
            RuleBody::Pattern { methods, .. } => {
                let expression = || format!("(?:{})", to_regex_syntax(self.pattern()));
                is_asked(&|method| methods.contain(method)).then(expression)
            }
            RuleBody::Names(names) => {
                let own = names.iter().filter(|name| {
                    name.endpoint.shape == endpoint.shape
                        && name.when() == CallCondition::Always
                        && is_asked(&|method| name.endpoint.method == method)
                });
                let own: Vec<_> = own.map(NamedEndpoint::path_expression).collect();
                (!own.is_empty()).then(|| own.join("|"))
            }
        }
    }

    /// Returns true for a denial by name of an operation that some calls of an endpoint do as a part
    /// of another one.
    pub(crate) fn denies_in_part(&self, endpoint: &Endpoint) -> bool {
        let RuleBody::Names(names) = &self.body else {
            return false;
        };
        let is_part = |name: &NamedEndpoint| {
            name.endpoint.id == endpoint.id && name.when() != CallCondition::Always
        };
        self.denies() && names.iter().any(is_part)
    }

    /// Returns an expression for the paths that the rule, as a deny rule, matches with the method
    /// of an endpoint; `None` if there are none.
    pub(crate) fn path_expression(&self, endpoint: &Endpoint) -> Option<String> {
        match &self.body {
            RuleBody::Pattern { methods, .. } => {
                let by_get = endpoint.method == Method::Head && methods.contain(Method::Get);
                let expression = || format!("(?:{})", to_regex_syntax(self.pattern()));
                (by_get || methods.contain(endpoint.method)).then(expression)
            }
            RuleBody::Names(names) => {
                let own = names.iter().filter(|name| {
                    name.endpoint.id == endpoint.id && name.when() == CallCondition::Always
                });
                let own: Vec<_> = own.map(NamedEndpoint::path_expression).collect();
                (!own.is_empty()).then(|| own.join("|"))
            }
        }
    }
}

/// Expands the variables of a pattern, and writes it in the syntax of the `regex` crate.
fn to_regex_syntax(pattern: &str) -> String {
    dialect::translate_go_syntax(&expand(pattern))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
