//! The canonical request, and the only reader of a raw path.
//!
//! A client bypasses a filter if the filter and the engine read the same bytes differently. So the
//! request line is read once, here: the rules judge the result, and [`Call::target`] writes the
//! request target for the engine from this result alone.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::endpoint::{Captured, Endpoint, ObjectKind};
pub use crate::request::malformed::Malformed;
use crate::request::method::Method;
use crate::request::transport;

/// An API version as the engine compares it: missing parts are 0 (moby `versions/compare.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u16; 3]);

impl Version {
    /// Below this, engines of 2023 and before take a whole `HostConfig` in the body of a start: see
    /// [`Malformed::OldVersion`].
    pub const OLDEST: Self = Self([1, 24, 0]);

    /// The version that skopeo before 1.14.2 and buildah of its time ask for (containers/image
    /// issue 2259).
    pub(crate) const OF_OLD_IMAGE_TOOLS: Self = Self([1, 22, 0]);

    /// From this on, the engine reads `BindOptions.NonRecursive`, and drops it before (moby
    /// `postContainersCreate`).
    pub(crate) const NON_RECURSIVE: Self = Self([1, 40, 0]);

    /// From this on, services have capabilities and a limit of processes (moby
    /// `adjustForAPIVersion`).
    pub(crate) const SERVICE_LIMITS: Self = Self([1, 41, 0]);

    /// From this on, services have `NoNewPrivileges` (moby `adjustForAPIVersion`).
    pub(crate) const SERVICE_PRIVILEGES: Self = Self([1, 44, 0]);

    /// From this on, a new container may join several networks (moby `api/swagger.yaml`, v1.44).
    pub(crate) const SEVERAL_NETWORKS: Self = Self([1, 44, 0]);

    /// Reads the digits behind the `v`: one to three parts of one to four digits. `None` for
    /// anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = [0; 3];
        for (count, part) in text.as_bytes().split(|byte| *byte == b'.').enumerate() {
            if part.is_empty() || part.len() > 4 {
                return None;
            }
            let number = part.iter().try_fold(0, |number, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| 10 * number + u16::from(digit - b'0'))
            });
            *parts.get_mut(count)? = number?;
        }
        Some(Self(parts))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}")?;
        if *patch > 0 {
            write!(f, ".{patch}")
        } else {
            Ok(())
        }
    }
}

/// A request as the rules see it and as the engine will receive it.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    /// Decoded once, cleaned, with its version prefix.
    path: String,
    /// Where the path behind the version prefix starts: at its `/`.
    unversioned: usize,
    version: Option<Version>,
    query: Option<String>,
    endpoint: Option<&'static Endpoint>,
    /// The images of path and query that have other names in the profile, each with the new name.
    rewritten: Vec<(String, String)>,
}

impl Call {
    /// The longest path, decoded, in bytes: no engine has names that long, and matching, refusals
    /// and records stay cheap below it.
    pub const PATH_LIMIT: usize = 4096;

    /// Reads the method and the target of a request line.
    ///
    /// The path is decoded once; `//`, `.` and `..` are resolved, and one trailing slash stays. The
    /// query keeps its bytes, but for those that RFC 3986 does not allow there: real clients send
    /// `"` and `{` raw, and they are escaped.
    ///
    /// # Errors
    /// Returns [`Malformed`] if two readers could read the line differently.
    pub fn read(method: &str, target: &str) -> Result<Self, Malformed> {
        let method = Method::parse(method).ok_or_else(|| Malformed::Method(method.to_owned()))?;
        if !target.starts_with('/') {
            return Err(Malformed::NotOriginForm);
        }
        if target.as_bytes().contains(&b'#') {
            return Err(Malformed::Fragment);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(read_query(query)?)),
            None => (target, None),
        };
        let path = read_path(path)?;
        let (version, unversioned) = read_version(&path)?;
        let in_query = || transport_in_query(&path, query.as_deref().unwrap_or_default());
        if let Some(transport) = transport::in_path(&path).or_else(in_query) {
            return Err(Malformed::ImageOfHost(transport));
        }
        let endpoint = Endpoint::find(method, &path[unversioned..]);
        let captured = endpoint.and_then(|endpoint| endpoint.captured(&path[unversioned..]));
        let image = captured.filter(|captured| captured.kind == ObjectKind::Image);
        if let Some(transport) = image.and_then(|image| transport::to_a_path(image.word)) {
            return Err(Malformed::ImageOfHost(transport));
        }
        Ok(Self {
            method,
            path,
            unversioned,
            version,
            query,
            endpoint,
            rewritten: Vec::new(),
        })
    }

    /// Reads a path that is decoded already, and no query.
    ///
    /// # Errors
    /// As [`Call::read`].
    pub fn from_path(method: Method, path: &str) -> Result<Self, Malformed> {
        Self::read(
            method.as_str(),
            &utf8_percent_encode(path, PATH_ESCAPES).to_string(),
        )
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the path that rules are matched with: decoded, cleaned, version prefix included.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the path without its version prefix.
    #[must_use]
    pub fn unversioned_path(&self) -> &str {
        &self.path[self.unversioned..]
    }

    /// Returns the path's version prefix with its slash (`/v1.43`), which may be empty.
    pub(crate) fn version_prefix(&self) -> &str {
        &self.path[..self.unversioned]
    }

    /// Returns the version that the path names.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Returns the query without its `?`, still encoded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns a pattern of the rule language for this very path, in any version.
    pub(crate) fn literal_pattern(&self) -> String {
        format!("%API_PREFIX%{}", literal(self.unversioned_path()))
    }

    /// Returns the endpoint of the call, if the table has it.
    #[must_use]
    pub fn endpoint(&self) -> Option<&'static Endpoint> {
        self.endpoint
    }

    /// Returns the object that the path names; `None` if it names none, or if no endpoint is known.
    #[must_use]
    pub fn captured(&self) -> Option<Captured<'_>> {
        self.endpoint?.captured(self.unversioned_path())
    }

    /// Returns the call with this word in place of the object that its path names.
    pub(crate) fn with_captured(&self, word: &str) -> Self {
        let Some(captured) = self.captured() else {
            return self.clone();
        };
        let start = self.unversioned + captured.start;
        let end = start + captured.word.len();
        Self {
            path: format!("{}{word}{}", &self.path[..start], &self.path[end..]),
            ..self.clone()
        }
    }

    /// Returns the call with another name for the object of its path. The endpoint is found anew:
    /// the engine reads the path that is sent.
    pub(crate) fn with_named_object(&self, name: &str) -> Self {
        let call = self.with_captured(name);
        Self {
            endpoint: Endpoint::find(call.method, call.unversioned_path()),
            ..call
        }
    }

    /// Returns the call with a note of the images that have other names in it.
    pub(crate) fn with_rewritten_images(self, rewritten: Vec<(String, String)>) -> Self {
        Self { rewritten, ..self }
    }

    /// Returns the images of path and query that have other names in the profile: each as the
    /// client has written it, with the name that is judged and sent.
    #[must_use]
    pub fn rewritten_images(&self) -> &[(String, String)] {
        &self.rewritten
    }

    /// Returns the object that the call is about, which the query names if a container is
    /// committed; `None` if it names none, or more than one.
    pub(crate) fn object(&self) -> Option<(ObjectKind, Cow<'_, str>)> {
        match self.captured() {
            Some(captured) => Some((captured.kind, captured.word.into())),
            None if self.endpoint?.id.is_commit() => {
                // Engines take a slash before the name of a container.
                let container = self
                    .only_parameter("container")?
                    .trim_start_matches('/')
                    .to_owned();
                Some((ObjectKind::Container, container.into()))
            }
            None => None,
        }
    }

    /// Returns the call with this word for the object that it is about.
    pub(crate) fn with_object(&self, word: &str) -> Self {
        match self.captured() {
            Some(_) => self.with_captured(word),
            None if self
                .endpoint
                .is_some_and(|endpoint| endpoint.id.is_commit()) =>
            {
                self.with_parameter("container", word)
            }
            None => self.clone(),
        }
    }

    /// Returns the call by `GET`, for one by `HEAD`.
    pub(crate) fn as_get(&self) -> Self {
        Self {
            method: Method::Get,
            endpoint: Endpoint::find(Method::Get, self.unversioned_path()),
            ..self.clone()
        }
    }

    /// Returns whether the query may name this parameter (lower case), in any spelling that an
    /// engine takes for it.
    ///
    /// Podman matches names by Unicode case folding (gorilla/schema), which takes U+017F for s and
    /// U+212A for k.
    pub(crate) fn may_ask_for(&self, parameter: &str) -> bool {
        let Some(query) = &self.query else {
            return false;
        };
        let decoded = percent_decode_str(query).decode_utf8_lossy();
        decoded
            .to_lowercase()
            .replace('\u{17f}', "s")
            .contains(parameter)
    }

    /// Returns whether the query may turn this switch on (lower case): the query has the parameter
    /// in a spelling that an engine accepts, unless it occurs exactly once, with a value that means
    /// off.
    pub(crate) fn turns_on(&self, switch: &str) -> bool {
        // moby `httputils.BoolValue`; docker-py writes `False`.
        let is_off = |value: String| {
            let value = value.trim().to_ascii_lowercase();
            matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
        };
        match self.parameters() {
            Some(pairs) => {
                let mut names = pairs.iter().map(|(name, _)| crate::guard::fold(name));
                names.any(|name| name == switch) && !self.only_parameter(switch).is_some_and(is_off)
            }
            None => self.may_ask_for(switch),
        }
    }

    /// Returns the parameters of the query in their order, decoded as a form is; `None` if one is
    /// not UTF-8.
    pub(crate) fn parameters(&self) -> Option<Vec<(String, String)>> {
        let pairs = self
            .query
            .as_deref()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text)
                .decode_utf8()
                .ok()
                .map(Cow::into_owned)
        };
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect()
    }

    /// Returns the value of a parameter that occurs exactly once, in this spelling: of several,
    /// Docker takes the first, and Podman the last in any letter case.
    pub(crate) fn only_parameter(&self, name: &str) -> Option<String> {
        let mut found = self
            .parameters()?
            .into_iter()
            .filter(|(known, _)| crate::guard::fold(known) == name);
        let (known, value) = found.next()?;
        (known == name && found.next().is_none()).then_some(value)
    }

    /// Returns the call with this value for a parameter.
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let mut pairs = self.parameters().unwrap_or_default();
        for (_, own) in pairs.iter_mut().filter(|(known, _)| known == name) {
            value.clone_into(own);
        }
        self.with_parameters(&pairs)
    }

    /// Returns the call with a query of these parameters.
    pub(crate) fn with_parameters(&self, pairs: &[(String, String)]) -> Self {
        let encode = |text| utf8_percent_encode(text, PARAMETER_ESCAPES);
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        Self {
            query: (!pairs.is_empty()).then(|| pairs.join("&")),
            ..self.clone()
        }
    }

    /// Returns the call with the parameters of these names alone, in this spelling.
    pub(crate) fn with_parameters_of(&self, names: &[&str]) -> Self {
        let pairs = self.query.as_deref().unwrap_or_default().split('&');
        let kept: Vec<_> = pairs
            .filter(|pair| names.contains(&pair.split('=').next().unwrap_or_default()))
            .collect();
        Self {
            query: (!kept.is_empty()).then(|| kept.join("&")),
            ..self.clone()
        }
    }

    /// Returns the request target for the engine, made from the judged path and query.
    #[must_use]
    pub fn target(&self) -> String {
        let mut target =
            String::with_capacity(self.path.len() + self.query.as_ref().map_or(0, String::len) + 8);
        target.extend(utf8_percent_encode(&self.path, PATH_ESCAPES));
        if let Some(query) = &self.query {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

impl crate::Object {
    /// Escapes the client's word for an object as one segment of a path, or as several if it has
    /// slashes in it.
    #[must_use]
    pub fn escaped(word: &str) -> String {
        utf8_percent_encode(word, PATH_ESCAPES).to_string()
    }
}

/// Returns a pattern that matches a text alone. Blanks end a pattern, percent signs begin
/// variables, and characters that are neither letters nor digits nor ASCII may be invisible, or
/// reverse the text.
pub(crate) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            ' ' | '%' => pattern.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_ascii() || c.is_alphanumeric() => {
                pattern.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])))
            }
            c => pattern.push_str(&format!("\\x{{{:x}}}", c as u32)),
        }
    }
    pattern
}

/// The characters that are escaped in a path (RFC 3986 §3.3); `%` is one of them, since the judged
/// path is decoded.
const PATH_ESCAPES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The characters that are escaped in a query (RFC 3986 §3.4); its own escapes stay as they are.
/// `/` would be allowed, but Podman looks for `libpod` between the slashes of the whole target,
/// query included (`apiutil.IsLibpodRequest`).
const QUERY_ESCAPES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The characters that are escaped in a name or a value of a query, so that no reader splits it in
/// another way.
const PARAMETER_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn read_query(raw: &str) -> Result<String, Malformed> {
    if raw.bytes().any(|b| b.is_ascii_control()) {
        return Err(Malformed::Control);
    }
    if raw.contains(';') {
        return Err(Malformed::Semicolon);
    }
    check_escapes(raw, "query")?;
    Ok(utf8_percent_encode(raw, QUERY_ESCAPES).to_string())
}

/// Returns the transport before the name of an image in a query. What is decoded is searched a second
/// time, since its reader may decode a value once more.
fn transport_in_query(path: &str, query: &str) -> Option<&'static str> {
    if !query.bytes().any(|byte| matches!(byte, b':' | b'%')) {
        return None;
    }
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    let once = decode(query);
    let twice = decode(&once);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    transport::in_query(path, [&once, &twice], pairs.map(|(_, value)| decode(value)))
}

fn read_path(raw: &str) -> Result<String, Malformed> {
    check_escapes(raw, "path")?;
    // Most paths have no escapes.
    let decoded = match raw.as_bytes().contains(&b'%') {
        true => percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| Malformed::NotUtf8)?,
        false => Cow::Borrowed(raw),
    };
    if decoded.bytes().any(|b| b.is_ascii_control()) {
        return Err(Malformed::Control);
    }
    if decoded.as_bytes().contains(&b'\\') {
        return Err(Malformed::Backslash);
    }
    if decoded.len() > Call::PATH_LIMIT {
        return Err(Malformed::TooLong);
    }
    Ok(clean(&decoded))
}

/// Checks the escapes: engines refuse a broken one in the path, and drop the whole pair in a query,
/// so that none is forwarded.
fn check_escapes(text: &str, part: &'static str) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    let broken = |(at, _): (usize, &u8)| {
        !(bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit)
            && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit))
    };
    if bytes
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'%')
        .any(broken)
    {
        return Err(Malformed::Escape { part });
    }
    Ok(())
}

/// Resolves `//`, `.` and `..`, never above the root, and keeps one trailing slash.
fn clean(path: &str) -> String {
    let may_need_it = |pair: &[u8]| pair[0] == b'/' && matches!(pair[1], b'/' | b'.');
    if path.starts_with('/') && !path.as_bytes().windows(2).any(may_need_it) {
        return path.to_owned();
    }
    let mut clean = String::with_capacity(path.len());
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => clean.truncate(clean.rfind('/').unwrap_or(0)),
            name => {
                clean.push('/');
                clean.push_str(name);
            }
        }
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// Finds the version prefix and the start of the rest.
///
/// Docker takes `v[0-9.]+` for a version and Podman `v[0-9][0-9A-Za-z.-]*`, while no endpoint
/// starts like that: a segment that looks like a version and is not a plain one is refused instead
/// of being taken for a name.
fn read_version(path: &str) -> Result<(Option<Version>, usize), Malformed> {
    let length = path.bytes().skip(1).position(|byte| byte == b'/');
    let segment = &path[1..length.map_or(path.len(), |length| 1 + length)];
    let Some(digits) = segment
        .strip_prefix('v')
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    else {
        return Ok((None, 0));
    };
    let end = 1 + segment.len();
    let version =
        Version::parse(digits).ok_or_else(|| Malformed::BadVersion(segment.to_owned()))?;
    let rest = &path[end..];
    if rest.is_empty() {
        return Err(Malformed::BadVersion(segment.to_owned()));
    }
    // Podman numbers its own API by its releases, which started at 1.0 again.
    let libpod = rest == "/libpod" || rest.starts_with("/libpod/");
    if version < Version::OLDEST && !libpod {
        return Err(Malformed::OldVersion(version));
    }
    Ok((Some(version), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, Malformed> {
        Call::read("GET", target).map(|call| call.path().to_owned())
    }

    fn sent(target: &str) -> String {
        Call::read("GET", target).expect(target).target()
    }

    #[test]
    fn paths_are_decoded_once_and_cleaned() {
        for (target, want) in [
            ("/containers/json", "/containers/json"),
            ("/%63ontainers/json", "/containers/json"),
            ("/containers/%2563reate", "/containers/%63reate"),
            ("//containers//json", "/containers/json"),
            ("/containers/./json", "/containers/json"),
            ("/x/../containers/create", "/containers/create"),
            ("/x/%2e%2e/containers/create", "/containers/create"),
            ("/x%2f..%2fcontainers%2fcreate", "/containers/create"),
            ("/../../etc", "/etc"),
            ("/v1.43/../secrets", "/secrets"),
            ("/networks/", "/networks/"),
            ("/networks//", "/networks/"),
            ("/", "/"),
            ("/..", "/"),
            (
                "/images/ghcr.io%2Fa%2Fb%3Atag/json",
                "/images/ghcr.io/a/b:tag/json",
            ),
            ("/volumes/caf%C3%A9", "/volumes/café"),
            ("/volumes/a%20b", "/volumes/a b"),
        ] {
            assert_eq!(path(target).as_deref(), Ok(want), "{target}");
        }
    }

    #[test]
    fn what_is_judged_is_what_is_sent() {
        for (target, want) in [
            ("/containers/%2563reate", "/containers/%2563reate"),
            ("/volumes/caf%c3%a9%20%22", "/volumes/caf%C3%A9%20%22"),
            ("/images/a%3Fb%23c/json", "/images/a%3Fb%23c/json"),
            ("/a/../b/?x=1", "/b/?x=1"),
            ("/b?", "/b?"),
            (
                r#"/containers/json?filters={"health":["unhealthy"]}"#,
                "/containers/json?filters=%7B%22health%22:%5B%22unhealthy%22%5D%7D",
            ),
            ("/b?x=%7B%22&y=a+b", "/b?x=%7B%22&y=a+b"),
            ("/build?/libpod/&x=/a", "/build?%2Flibpod%2F&x=%2Fa"),
        ] {
            assert_eq!(sent(target), want, "{target}");
            assert_eq!(
                path(&sent(target)),
                path(target),
                "a second reader sees the same path: {target}"
            );
        }
    }

    #[test]
    fn ambiguous_targets_are_refused() {
        use Malformed::*;
        for (target, want) in [
            ("http://libpod/v1.41/build", NotOriginForm),
            ("localhost:2375", NotOriginForm),
            ("*", NotOriginForm),
            ("", NotOriginForm),
            ("/containers/json#x", Fragment),
            ("/containers/json?x=#", Fragment),
            ("/containers/%zz", Escape { part: "path" }),
            ("/containers/%2", Escape { part: "path" }),
            ("/containers/json?a=%", Escape { part: "query" }),
            ("/containers/json?a=%u0041", Escape { part: "query" }),
            ("/containers/%ff", NotUtf8),
            ("/containers/%c0%ae%c0%ae/json", NotUtf8),
            ("/containers/%00", Control),
            ("/containers/a%0d%0aX:%20y", Control),
            ("/containers/%09", Control),
            ("/containers/%5c..%5ccreate", Backslash),
            ("/containers/json?a=1;b=2", Semicolon),
            (&format!("/{}", "x".repeat(4096)), TooLong),
        ] {
            assert_eq!(path(target), Err(want), "{target}");
        }
    }

    #[test]
    fn versions_are_read_as_the_engine_reads_them() {
        let version = |target: &str| {
            Call::read("GET", target)
                .map(|call| (call.version(), call.unversioned_path().to_owned()))
        };
        for (target, parts, rest) in [
            ("/v1.43/info", [1, 43, 0], "/info"),
            ("/v1.041/info", [1, 41, 0], "/info"),
            ("/v01.41.0/info", [1, 41, 0], "/info"),
            ("/v2/info", [2, 0, 0], "/info"),
            ("/v1.12/libpod/info", [1, 12, 0], "/libpod/info"),
            ("/v4.0.0/libpod/info", [4, 0, 0], "/libpod/info"),
            ("/v1.43/v1.44/info", [1, 43, 0], "/v1.44/info"),
        ] {
            assert_eq!(
                version(target),
                Ok((Some(Version(parts)), rest.to_owned())),
                "{target}"
            );
        }
        for target in [
            "/V1.43/info",
            "/version",
            "/volumes",
            "/v/info",
            "/info/v1.43",
        ] {
            assert_eq!(version(target), Ok((None, target.to_owned())), "{target}");
        }
        for target in [
            "/v1.2.3.4/info",
            "/v1..4/info",
            "/v1.43./info",
            "/v.1/info",
            "/v1.43-rc1/info",
            "/v1.43",
            "/v99999.1/info",
        ] {
            assert!(
                matches!(version(target), Err(Malformed::BadVersion(_))),
                "{target}"
            );
        }
        for target in [
            "/v1.23/info",
            "/v1/containers/json",
            "/v0.9/info",
            "/v1.12/libpodx",
            "/v1.23/libpod/../info",
        ] {
            assert!(
                matches!(version(target), Err(Malformed::OldVersion(_))),
                "{target}"
            );
        }
    }

    /// docker-py writes `False`, and moby takes five words for off.
    #[test]
    fn a_switch_is_off_by_the_words_of_the_engine() {
        for (query, want) in [
            ("", false),
            ("?v=True", false),
            ("?link", false),
            ("?link=False&v=True", false),
            ("?link=%20no", false),
            ("?link=NONE", false),
            ("?link=0", false),
            ("?link=1", true),
            ("?link=True", true),
            ("?link=f", true),
            ("?link=off", true),
            ("?LINK=1", true),
            ("?link=0&link=1", true),
        ] {
            let call = Call::read("DELETE", &format!("/containers/web{query}")).expect("plain");
            assert_eq!(call.turns_on("link"), want, "{query}");
        }
    }

    #[test]
    fn methods_are_exact() {
        for method in ["get", "CONNECT", "TRACE", "PROPFIND", "GETT", ""] {
            assert_eq!(
                Call::read(method, "/_ping").map(|_| ()),
                Err(Malformed::Method(method.to_owned()))
            );
        }
    }
}
