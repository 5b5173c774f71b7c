//! The engines' API as one table: method and path shape → how the answer comes, and whether a wildcard may open it.
//!
//! A call that no row describes is not forwarded on the word of a wildcard either: see [`crate::decide()`].

mod docker;
mod libpod;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::call::{Call, Method};

/// How an endpoint answers. It decides which time limit applies and what a shut-down does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The head comes at once, and a missing one means that the engine hangs.
    Quick,
    /// The engine may work for minutes before its head: stop, commit, prune.
    Slow,
    /// A body of any size that ends by itself: pull, build, archive.
    Transfer,
    /// May stay open and silent for days: events, logs, stats, wait.
    Follow,
    /// The connection stops being HTTP after the answer's head.
    Tunnel(Protocol),
}

/// What a hijacked connection asks for in `Upgrade`.
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
    /// The value of the `Upgrade` header.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::H2c => "h2c",
            Self::WebSocket => "websocket",
        }
    }
}

/// One route of an engine.
#[derive(Debug)]
pub struct Endpoint {
    /// The method that the engine registers.
    pub method: Method,
    /// The path without its version; `{x}` is one segment, `{x*}` one or more.
    pub shape: &'static str,
    /// How the answer comes.
    pub answer: Answer,
    /// Hands over or writes file contents, or is a live channel: only a rule that names it opens it.
    pub vault: bool,
    /// A query parameter with which the call hands over the contents of the object: only a rule that names the very object
    /// opens that.
    pub reveals: Option<&'static str>,
}

const fn row(method: Method, shape: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method, shape, answer, vault: false, reveals: None }
}

const fn vault(method: Method, shape: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method, shape, answer, vault: true, reveals: None }
}

const fn revealing(method: Method, shape: &'static str, answer: Answer, parameter: &'static str) -> Endpoint {
    Endpoint { method, shape, answer, vault: false, reveals: Some(parameter) }
}

impl Endpoint {
    /// The endpoint that a call reaches, where the table has one.
    ///
    /// `HEAD` is looked up as `GET` where the engine has no route of its own for it, so that it never has more rights.
    #[must_use]
    pub fn of(call: &Call) -> Option<&'static Self> {
        let path = call.unversioned_path();
        find(call.method(), path).or_else(|| if call.method() == Method::Head { find(Method::Get, path) } else { None })
    }

    /// Every row, Docker's first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        docker::ROUTES.iter().chain(libpod::ROUTES)
    }

    /// Whether the shape describes the path (both without a version).
    fn describes(&self, path: &str) -> bool {
        fits(self.shape.split('/').skip(1), path.split('/').skip(1))
    }

    /// The last literal word of the shape: what tells the endpoint from its neighbours.
    pub(crate) fn word(&self) -> &'static str {
        self.shape.rsplit('/').find(|segment| !is_placeholder(segment) && !segment.is_empty()).unwrap_or_default()
    }

    /// `OPTIONS` answers on any path at all.
    pub(crate) fn is_catch_all(&self) -> bool {
        self.shape == CATCH_ALL
    }

    fn literals(&self) -> usize {
        self.shape.split('/').filter(|segment| !is_placeholder(segment)).count()
    }
}

/// Whether some endpoint of an engine starts with this word (`containers`, `libpod` …).
pub(crate) fn is_section(word: &str) -> bool {
    Endpoint::all().any(|endpoint| endpoint.shape.split('/').nth(1) == Some(word))
}

/// The one shape that is nothing but a placeholder.
const CATCH_ALL: &str = "/{path*}";

/// Rows by their first segment, the more literal ones first: engines register those first, or refuse the others.
static BY_SECTION: LazyLock<HashMap<&'static str, Vec<&'static Endpoint>>> = LazyLock::new(|| {
    let mut sections: HashMap<_, Vec<_>> = HashMap::new();
    for endpoint in Endpoint::all() {
        sections.entry(section(endpoint.shape)).or_default().push(endpoint);
    }
    for rows in sections.values_mut() {
        rows.sort_by_key(|row| std::cmp::Reverse(row.literals()));
    }
    sections
});

/// The segment that the table is split by: the first, or the second of Podman's.
fn section(path: &str) -> &str {
    let path = path.strip_prefix("/libpod").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    path.split('/').nth(1).unwrap_or_default()
}

fn find(method: Method, path: &str) -> Option<&'static Endpoint> {
    let rows = |key: &str| BY_SECTION.get(key).into_iter().flatten().copied();
    rows(section(path)).chain(rows(&CATCH_ALL[1..])).find(|row| row.method == method && row.describes(path))
}

fn is_placeholder(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Matches a shape's segments with a path's; `{x*}` takes as many as the rest leaves it, the last words decide.
fn fits<'a>(mut shape: impl Iterator<Item = &'a str> + Clone, mut path: impl Iterator<Item = &'a str> + Clone) -> bool {
    loop {
        match (shape.next(), path.next()) {
            (None, None) => return true,
            (Some(word), Some(_)) if word.ends_with("*}") => {
                if fits(shape.clone(), path.clone()) {
                    return true;
                }
                while path.next().is_some() {
                    if fits(shape.clone(), path.clone()) {
                        return true;
                    }
                }
                return false;
            }
            (Some(word), Some(segment)) if word == segment || is_placeholder(word) && !segment.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(method: &str, target: &str) -> Option<&'static str> {
        Endpoint::of(&Call::read(method, target).expect(target)).map(|endpoint| endpoint.shape)
    }

    #[test]
    fn calls_find_their_endpoint() {
        for (method, target, want) in [
            ("GET", "/v1.43/containers/json", "/containers/json"),
            ("HEAD", "/containers/json", "/containers/json"),
            ("HEAD", "/_ping", "/_ping"),
            ("GET", "/containers/web/json", "/containers/{container}/json"),
            ("GET", "/images/ghcr.io/a/b:tag/json", "/images/{image*}/json"),
            ("GET", "/images/json", "/images/json"),
            ("GET", "/images/get", "/images/get"),
            ("GET", "/images/get/get", "/images/{image*}/get"),
            ("GET", "/images/a/get/json", "/images/{image*}/json"),
            ("DELETE", "/images/a/b", "/images/{image*}"),
            ("GET", "/networks/", "/networks/"),
            ("GET", "/networks/n", "/networks/{network}"),
            ("GET", "/v4.0.0/libpod/containers/stats", "/libpod/containers/stats"),
            ("POST", "/v4.0.0/libpod/manifests/a/b/registry/c/d", "/libpod/manifests/{id*}/registry/{destination*}"),
            ("POST", "/v4.0.0/libpod/manifests/a/b", "/libpod/manifests/{id*}"),
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
            ("GET", "/containers/a/b/json"),
            ("DELETE", "/containers/a/b"),
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
            let target = row.shape.replace("*}", "}").replace('{', "x-").replace('}', "");
            let found = Endpoint::of(&Call::read(row.method.as_str(), &target).expect("a plain path"));
            assert_eq!(found.map(|found| found.shape), Some(row.shape), "{} {target}", row.method);
        }
    }

    #[test]
    fn no_row_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for row in Endpoint::all() {
            assert!(seen.insert((row.method, row.shape)), "{} {}", row.method, row.shape);
        }
    }
}
