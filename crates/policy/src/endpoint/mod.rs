//! The engines' API as one table. A row maps method and path shape to the kind of answer, the power
//! that the call gives a client, and whether a wildcard may open it.
//!
//! A call without a row is not forwarded because of a wildcard either: see [`crate::decide()`].

mod aggregate;
mod deed;
mod missing;
mod name;
mod object;
mod power;
mod table;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::request::method::Method;
pub(crate) use aggregate::{CallCondition, IncludedOperation};
pub use deed::says;
pub use missing::StandInCall;
pub use object::{Captured, ObjectKind};
pub use power::{Power, Risk};
pub use table::EndpointId;

/// The way in which an endpoint answers. It decides which time limit applies, and how a shut-down
/// ends the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The head comes at once; without it, the engine hangs.
    Quick,
    /// The engine may work for minutes before its head: stop, commit, prune.
    Slow,
    /// The body has any size and ends by itself: pull, build, archive.
    Transfer,
    /// The answer may stay open and silent for days: events, logs, stats, wait.
    Follow,
    /// The connection stops being HTTP after the answer's head.
    Tunnel(Protocol),
}

/// The protocol that a client asks for in `Upgrade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Raw bytes, or frames of stdout and stderr: attach and exec.
    Tcp,
    /// HTTP/2 in clear: BuildKit's sessions.
    H2c,
    /// RFC 6455.
    WebSocket,
}

impl Protocol {
    /// Returns the value of the `Upgrade` header.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::H2c => "h2c",
            Self::WebSocket => "websocket",
        }
    }
}

/// The kind of rule that opens an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wildcard {
    /// Any rule that matches opens it.
    Open,
    /// Only a rule that names the endpoint: it hands over or writes the contents of files or
    /// credentials, or is a live channel.
    Named,
    /// As `Open`, unless the query has this parameter, which hands over the contents of the object:
    /// then only a rule that names that very object.
    NamedWith(&'static str),
}

/// One route of an engine.
#[derive(Debug)]
pub struct Endpoint {
    /// The identity of the endpoint.
    pub id: EndpointId,
    /// The method that the engine registers.
    pub method: Method,
    /// The path without its version prefix; `{x}` is one segment, `{x*}` one or more.
    pub shape: &'static str,
    /// The way in which it answers.
    pub answer: Answer,
    /// The power that it gives a client.
    pub power: Power,
    /// The kind of rule that opens it.
    pub wildcard: Wildcard,
}

impl Endpoint {
    /// Finds the endpoint of a path without its version prefix, if the table has one.
    ///
    /// `HEAD` falls back to `GET` if the engine has no route of its own for it, so that it never
    /// has more rights.
    pub(crate) fn find(method: Method, path: &str) -> Option<&'static Self> {
        let mut segments: Vec<&[u8]> = Vec::with_capacity(8);
        segments.extend(path.as_bytes()[1..].split(|byte| *byte == b'/'));
        let section = match segments.as_slice() {
            [b"libpod", section, ..] => section,
            [section, ..] => section,
            [] => return None,
        };
        let look = |section: &[u8], method| {
            let at = BY_SECTION
                .binary_search_by_key(&section, |(name, _)| *name)
                .ok()?;
            let mut rows = BY_SECTION[at].1.iter();
            rows.find(|row| row.is_for(method, &segments))
                .map(|row| row.endpoint)
        };
        match look(section, method) {
            None if method == Method::Head => look(section, Method::Get),
            None => look(CATCH_ALL_SECTION, method),
            found => found,
        }
    }

    /// Returns every row, Docker's first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        table::TABLE.iter()
    }

    /// Returns the row of an identity.
    #[must_use]
    pub fn of(id: EndpointId) -> &'static Self {
        &table::TABLE[id as usize]
    }

    /// Returns whether only a rule that names the endpoint opens it.
    #[must_use]
    pub fn is_named_only(&self) -> bool {
        self.wildcard == Wildcard::Named
    }

    /// Returns the query parameter that hands over the contents of the object.
    #[must_use]
    pub fn reveals(&self) -> Option<&'static str> {
        if let Wildcard::NamedWith(parameter) = self.wildcard {
            Some(parameter)
        } else {
            None
        }
    }

    /// Returns whether the endpoint looks at one object, by any word that a client may have for it.
    pub(crate) fn inspects(&self) -> bool {
        let verb = self.id.name().rsplit('.').next().unwrap_or_default();
        matches!(verb, "inspect" | "inspect_short" | "exists")
    }

    /// Returns whether the endpoint belongs to Podman's own API.
    #[must_use]
    pub fn is_libpod(&self) -> bool {
        self.shape.starts_with("/libpod/")
    }

    /// Finds the object that the path names; `None` if it names none.
    pub(crate) fn captured<'p>(&self, path: &'p str) -> Option<Captured<'p>> {
        object::captured(self.shape, path)
    }

    /// Returns a pattern of the rule language for any object of its kind.
    #[must_use]
    pub fn pattern(&self) -> String {
        let shape = self.shape;
        let (prefix, rest) = match shape.strip_prefix("/libpod/") {
            Some(rest) => ("API_PREFIX_LIBPOD", rest),
            None => ("API_PREFIX", &shape[1..]),
        };
        let (section, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let variable = format!(
            "{prefix}_{}",
            section.trim_start_matches('_').to_uppercase()
        );
        let start = match crate::rule::VARIABLES
            .iter()
            .any(|(name, _)| *name == variable)
        {
            true => format!("%{variable}%"),
            false => format!("%{prefix}%/{}", regex_syntax::escape(section)),
        };
        let rest = rest.split('/').map(|segment| match segment {
            "{container}" | "{container*}" => "%CONTAINER_ID_OR_NAME%".to_owned(),
            "{image}" | "{image*}" => "%IMAGE_ID_OR_REFERENCE%".to_owned(),
            "{volume}" | "{volume*}" => "%VOLUME_ID_OR_NAME%".to_owned(),
            "{network}" | "{network*}" => "%NETWORK_ID_OR_NAME%".to_owned(),
            "{plugin*}" => "%PLUGIN_ID_OR_NAME%".to_owned(),
            "{exec*}" => "[^/]+".to_owned(),
            placeholder if placeholder.ends_with("*}") => ".+".to_owned(),
            placeholder if placeholder.starts_with('{') => "[^/]+".to_owned(),
            literal => regex_syntax::escape(literal),
        });
        format!("{start}{}", rest.collect::<Vec<_>>().join("/"))
    }

    /// Returns a pattern of the rule language for any object, with any characters in its name.
    pub(crate) fn loose_pattern(&self) -> String {
        let segments = self.shape[1..].split('/').map(|segment| match segment {
            placeholder if is_placeholder(placeholder) => "/.+".to_owned(),
            word => format!("/{}", regex_syntax::escape(word)),
        });
        format!("%API_PREFIX%{}", segments.collect::<String>())
    }

    /// Returns a regular expression for its paths, with and without a version of the engine's kind.
    pub(crate) fn expression(&self) -> String {
        let version = match self.shape.starts_with("/libpod/") {
            true => r"/v[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}",
            // Version 1.24 and later, in every spelling that is read as such.
            false => {
                r"(?:/v0*(?:1\.0*(?:2[4-9]|[3-9][0-9]|[1-9][0-9]{2})(?:\.[0-9]{1,3})?|(?:[2-9]|[1-9][0-9]{1,2})(?:\.[0-9]{1,3}){0,2}))?"
            }
        };
        let segments = self.shape[1..].split('/').map(|segment| match segment {
            many if many.ends_with("*}") => "/[^/]+(?:/[^/]+)*".to_owned(),
            one if is_placeholder(one) => "/[^/]+".to_owned(),
            word => format!("/{}", regex_syntax::escape(word)),
        });
        format!("{version}{}", segments.collect::<String>())
    }

    /// Returns a path of the endpoint, with this word for each placeholder.
    pub(crate) fn path_with(&self, word: &str) -> String {
        let version = if self.shape.starts_with("/libpod/") {
            "/v5.0.0"
        } else {
            ""
        };
        let segments = self.shape[1..].split('/').map(|segment| {
            if is_placeholder(segment) {
                word
            } else {
                segment
            }
        });
        format!("{version}/{}", segments.collect::<Vec<_>>().join("/"))
    }

    /// Returns whether a call with this method can reach the endpoint.
    pub(crate) fn serves(&self, method: Method) -> bool {
        self.method == method || (self.method == Method::Get && method == Method::Head)
    }

    /// Returns the last literal word of the shape, which tells the endpoint from its neighbours.
    pub(crate) fn word(&self) -> &'static str {
        self.shape
            .rsplit('/')
            .find(|segment| !is_placeholder(segment) && !segment.is_empty())
            .unwrap_or_default()
    }

    /// Returns whether the endpoint answers on any path at all, as `OPTIONS` does.
    pub(crate) fn is_catch_all(&self) -> bool {
        self.shape == CATCH_ALL
    }

    fn literals(&self) -> usize {
        self.shape
            .split('/')
            .filter(|segment| !is_placeholder(segment))
            .count()
    }
}

/// Returns whether the shape of some endpoint starts with this word (`containers`, `libpod` …).
pub(crate) fn is_section(word: &str) -> bool {
    Endpoint::all().any(|endpoint| endpoint.shape.split('/').nth(1) == Some(word))
}

/// The only shape that is a placeholder alone, and its key in [`BY_SECTION`].
const CATCH_ALL: &str = "/{path*}";
const CATCH_ALL_SECTION: &[u8] = b"{path*}";

/// A row with its shape in parts.
struct Route {
    shape: Vec<ShapePart>,
    /// `true` if it has a [`ShapePart::Many`], and so matches paths of several lengths.
    stretches: bool,
    endpoint: &'static Endpoint,
}

impl Route {
    fn is_for(&self, method: Method, path: &[&[u8]]) -> bool {
        let is_as_long = || match self.stretches {
            true => path.len() >= self.shape.len(),
            false => path.len() == self.shape.len(),
        };
        self.endpoint.method == method && is_as_long() && fits(&self.shape, path)
    }
}

/// A segment of a shape.
enum ShapePart {
    Word(&'static [u8]),
    /// Any one segment that is not empty.
    One,
    /// One segment or more.
    Many,
}

impl ShapePart {
    fn read(segment: &'static str) -> Self {
        match segment {
            many if many.ends_with("*}") => Self::Many,
            one if is_placeholder(one) => Self::One,
            word => Self::Word(word.as_bytes()),
        }
    }
}

/// Rows by their first segment (the second of Podman's), more literal ones first: engines register
/// those first, or refuse the others.
static BY_SECTION: LazyLock<Vec<(&'static [u8], Vec<Route>)>> = LazyLock::new(|| {
    let mut rows: Vec<_> = Endpoint::all().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.literals()));
    let mut sections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for endpoint in rows {
        let own = endpoint
            .shape
            .strip_prefix("/libpod")
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(endpoint.shape);
        let section = own[1..].split('/').next().unwrap_or_default();
        let shape: Vec<ShapePart> = endpoint.shape[1..]
            .split('/')
            .map(ShapePart::read)
            .collect();
        let stretches = shape.iter().any(|part| matches!(part, ShapePart::Many));
        sections.entry(section.as_bytes()).or_default().push(Route {
            shape,
            stretches,
            endpoint,
        });
    }
    sections.into_iter().collect()
});

fn is_placeholder(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Matches the parts of a shape with the segments of a path. [`ShapePart::Many`] takes as many segments
/// as the rest leaves; the last words decide.
fn fits(shape: &[ShapePart], path: &[&[u8]]) -> bool {
    match (shape, path) {
        ([], []) => true,
        ([ShapePart::Word(word), shape @ ..], [segment, path @ ..]) => {
            word == segment && fits(shape, path)
        }
        ([ShapePart::One, shape @ ..], [segment, path @ ..]) => {
            !segment.is_empty() && fits(shape, path)
        }
        ([ShapePart::Many, shape @ ..], [_, path @ ..]) => {
            (0..=path.len()).any(|taken| fits(shape, &path[taken..]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::call::Call;

    fn shape(method: &str, target: &str) -> Option<&'static str> {
        Call::read(method, target)
            .expect(target)
            .endpoint()
            .map(|endpoint| endpoint.shape)
    }

    #[test]
    fn calls_find_their_endpoint() {
        for (method, target, want) in [
            ("GET", "/v1.43/containers/json", "/containers/json"),
            ("HEAD", "/containers/json", "/containers/json"),
            ("HEAD", "/_ping", "/_ping"),
            (
                "GET",
                "/containers/web/json",
                "/containers/{container*}/json",
            ),
            (
                "GET",
                "/images/ghcr.io/a/b:tag/json",
                "/images/{image*}/json",
            ),
            ("GET", "/images/json", "/images/json"),
            ("GET", "/images/get", "/images/get"),
            ("GET", "/images/get/get", "/images/{image*}/get"),
            ("GET", "/images/a/get/json", "/images/{image*}/json"),
            ("DELETE", "/images/a/b", "/images/{image*}"),
            ("GET", "/networks/", "/networks/"),
            ("GET", "/networks/n", "/networks/{network*}"),
            (
                "GET",
                "/v4.0.0/libpod/containers/stats",
                "/libpod/containers/stats",
            ),
            (
                "POST",
                "/v4.0.0/libpod/manifests/a/b/registry/c/d",
                "/libpod/manifests/{manifest*}/registry/{destination*}",
            ),
            (
                "POST",
                "/v4.0.0/libpod/manifests/a/b",
                "/libpod/manifests/{manifest*}",
            ),
            (
                "GET",
                "/containers/ghcr.io/a/b:tag/json",
                "/containers/{container*}/json",
            ),
            (
                "POST",
                "/containers/web/db/exec",
                "/containers/{container*}/exec",
            ),
            ("DELETE", "/containers/a/b", "/containers/{container*}"),
            (
                "DELETE",
                "/containers/a/checkpoints/b",
                "/containers/{container}/checkpoints/{checkpoint}",
            ),
            ("GET", "/volumes/a/b", "/volumes/{volume*}"),
            ("OPTIONS", "/anything/at/all", "/{path*}"),
        ] {
            assert_eq!(shape(method, target), Some(want), "{method} {target}");
        }
    }

    #[test]
    fn what_no_engine_knows_has_no_endpoint() {
        for (method, target) in [
            ("GET", "/containersXYZ"),
            ("GET", "/containers"),
            ("GET", "/containers/json/"),
            ("POST", "/containers/create;x"),
            ("GET", "/v4.0.0/libpod/containers/a/b/json"),
            ("DELETE", "/v4.0.0/libpod/containers/a/b"),
            ("POST", "/containers/json"),
            ("GET", "/libpodx/info"),
            ("GET", "/containers/a/jsonx"),
            ("GET", "/"),
        ] {
            assert_eq!(shape(method, target), None, "{method} {target}");
        }
    }

    #[test]
    fn every_row_finds_itself() {
        for row in Endpoint::all() {
            let target = row
                .shape
                .replace("*}", "}")
                .replace('{', "x-")
                .replace('}', "");
            let found = Call::read(row.method.as_str(), &target)
                .expect("a plain path")
                .endpoint();
            assert_eq!(
                found.map(|found| found.shape),
                Some(row.shape),
                "{} {target}",
                row.method
            );
        }
    }

    #[test]
    fn no_row_stands_twice() {
        let (mut rows, mut names) = (
            std::collections::HashSet::new(),
            std::collections::HashSet::new(),
        );
        for row in Endpoint::all() {
            assert!(
                rows.insert((row.method, row.shape)),
                "{} {}",
                row.method,
                row.shape
            );
            assert!(names.insert(row.id.name()), "{}", row.id.name());
            assert!(std::ptr::eq(Endpoint::of(row.id), row), "{}", row.id.name());
            assert_eq!(
                row.is_libpod(),
                row.id.name().starts_with("libpod."),
                "{}",
                row.id.name()
            );
        }
    }
}
