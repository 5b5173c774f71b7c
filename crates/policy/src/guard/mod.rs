//! What an allowed call may ask for.
//!
//! Rules say which endpoints a client may call; but who may create any container is root on the host. So the bodies and queries of
//! the calls that carry such power are judged here, field by field. What is judged goes to the engine as it was judged, written
//! anew from what was read.

mod allow;
mod build;
mod container;
mod exec;
mod form;
mod host_config;
mod image;
mod json;
mod log;
mod mount;
mod network;
mod objection;
mod query;
mod restricted;
mod service;
mod specgen;
mod table;
mod volume;

use crate::call::Call;
pub use allow::{Exception, KINDS, Kind};
use form::{Form, Step, walk};
pub use json::{Json, Malformed};
pub use objection::{Finding, Objection};
use query::Parameter;
pub(crate) use table::{Duty, duty};

/// How closely bodies are judged. The names, and what they mean, are those of the Kubernetes Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    Privileged,
    /// Known ways to become root on the host are closed, ordinary use works.
    #[default]
    Baseline,
    /// Containers also run as other users than root, without capabilities, and cannot gain any.
    Restricted,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// The guard of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// How closely it looks.
    pub level: Level,
    /// What it lets pass all the same.
    pub allow: Vec<Exception>,
}

/// How the calls of an endpoint are judged.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The parameters that its query may have; any other is refused.
    parameters: &'static [Parameter],
    body: Body,
    /// Looks at the whole body; where the body is not read, at what the guard allows.
    whole: Option<form::Check>,
    /// Looks at the parameters together.
    pairs: Option<query::PairsCheck>,
}

/// What a body has to be.
#[derive(Debug)]
enum Body {
    /// JSON of this form.
    Json(&'static Form),
    /// Nothing: the engine reads none, or should not.
    Nothing,
    /// Bytes that are not looked into: an archive.
    Stream,
}

/// A call whose query and body were judged.
#[derive(Debug)]
pub struct Judged {
    /// The call with the query that was judged.
    pub call: Call,
    /// The body that was judged; `None` where the client's own goes on.
    pub body: Option<String>,
    /// Networks that the engine has to be asked about before, by their targets: see [`Permit::judge_network`].
    ///
    /// [`Permit::judge_network`]: crate::Permit::judge_network
    pub networks: Vec<String>,
}

impl Reader {
    /// Whether the body is read to judge the call.
    pub(crate) fn reads_body(&self) -> bool {
        !matches!(self.body, Body::Stream)
    }

    /// Judges the call by the guard. Without a content type, `None` stands for it.
    pub(crate) fn judge(
        &self,
        call: &Call,
        content_type: Option<&str>,
        body: &[u8],
        guard: &Guard,
    ) -> Result<Judged, Objection> {
        let mut judge = Judge::new(guard, "");
        let (call, pairs) = query::judge(&mut judge, call, self.parameters, matches!(self.body, Body::Json(_)));
        if let Some(check) = self.pairs {
            check(&mut judge, &call, &pairs);
        }
        let is_blank = body.iter().all(u8::is_ascii_whitespace);
        let body = match &self.body {
            Body::Stream => {
                check_stream(content_type)?;
                if let Some(whole) = self.whole {
                    whole(&mut judge, &Json::Null);
                }
                None
            }
            Body::Nothing => {
                // Clients send an empty object where nothing is asked for; the engine need not see it.
                if !is_blank && !Json::read(body).map_err(Objection::Malformed)?.is_empty() {
                    judge.refuse("this endpoint takes no body".to_owned(), None);
                }
                Some(String::new())
            }
            Body::Json(form) => {
                // Podman's client does not say what it sends; the engine is told in any case.
                if !is_blank && content_type.is_some() && !is_json(content_type) {
                    return Err(Objection::ContentType("application/json"));
                }
                // The engine takes no body for one that says nothing.
                let body: &[u8] = if is_blank { b"{}" } else { body };
                let mut json = Json::read(body).map_err(Objection::Malformed)?;
                // Go leaves the zero value where it reads `null`.
                if json == Json::Null {
                    json = Json::Map(Vec::new());
                }
                walk(&mut judge, &mut json, form);
                if let Some(whole) = self.whole {
                    whole(&mut judge, &json);
                }
                Some(if is_blank { String::new() } else { json.to_string() })
            }
        };
        let Judge { findings, networks, .. } = judge;
        if !findings.is_empty() {
            return Err(Objection::Findings(findings));
        }
        let networks = networks.iter().map(|network| format!("{}/networks/{network}", call.version_prefix())).collect();
        Ok(Judged { call, body, networks })
    }
}

/// Judges a command that is stored in an engine, by the engine's own words: whoever starts it need not be who made it.
pub(crate) fn judge_stored_exec(answer: &[u8], guard: &Guard) -> Result<(), Objection> {
    let answer = Json::read(answer).map_err(Objection::Malformed)?;
    let process = answer.get("ProcessConfig").cloned().unwrap_or(Json::Null);
    let mut judge = Judge::new(guard, "ProcessConfig");
    exec::stored(&mut judge, &process);
    if judge.findings.is_empty() { Ok(()) } else { Err(Objection::Findings(judge.findings)) }
}

/// Judges a network that a service joins, by the engine's own words.
pub(crate) fn judge_network(answer: &[u8], guard: &Guard) -> Result<(), Objection> {
    let answer = Json::read(answer).map_err(Objection::Malformed)?;
    let mut judge = Judge::new(guard, "Networks");
    if ["Name", "Driver"].into_iter().any(|key| answer.get(key).map(Json::text) == Some("host")) {
        judge.unless_allowed("host-namespace", "network", || "shares the host's network namespace".to_owned());
    }
    if judge.findings.is_empty() { Ok(()) } else { Err(Objection::Findings(judge.findings)) }
}

/// A body that goes on as it comes, with its content type. Go lets the fields of a form go before the parameters of the query, or
/// add to them, and reads types more leniently than it should (`net/http` `ParseForm`): so only known ones pass.
fn check_stream(content_type: Option<&str>) -> Result<(), Objection> {
    let kind = content_type.unwrap_or("application/octet-stream").split(';').next().unwrap_or_default().trim();
    let known = [
        "",
        "application/octet-stream",
        "application/x-tar",
        "application/tar",
        "application/gzip",
        "application/x-gzip",
        "application/x-bzip2",
        "application/x-xz",
        "application/zstd",
        "application/json",
        "text/plain",
    ];
    match known.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        true => Ok(()),
        false => Err(Objection::ContentType(
            "application/x-tar or application/octet-stream: the engine would read a form as parameters",
        )),
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// What a finding may be allowed by. [`Judge::hint`] alone makes one: it must fit the value that was found, and no other.
struct Hint(String);

/// Judges one call.
pub(crate) struct Judge<'g> {
    guard: &'g Guard,
    findings: Vec<Finding>,
    /// Where it is: `HostConfig.Binds[0]`.
    place: String,
    /// Networks that only the engine can tell.
    networks: Vec<String>,
}

/// A service joins no more networks that have to be looked up.
const NETWORKS: usize = 32;

impl<'g> Judge<'g> {
    fn new(guard: &'g Guard, place: &str) -> Self {
        Self { guard, findings: Vec::new(), place: place.to_owned(), networks: Vec::new() }
    }

    /// Has the engine asked about a network, whose identifier it is made of letters and digits alone.
    fn look_up_network(&mut self, network: &str) {
        match self.networks.len() < NETWORKS && !network.is_empty() && network.len() <= 64 {
            true => self.networks.push(network.to_owned()),
            false => self.refuse("is no network, or one too many".to_owned(), None),
        }
    }

    /// Judges within a value.
    fn within(&mut self, step: Step<'_>, judge: impl FnOnce(&mut Self)) {
        let length = self.place.len();
        match step {
            Step::Field(name) if self.place.is_empty() => self.place.push_str(shown(name)),
            Step::Field(name) => self.place.extend([".", shown(name)]),
            Step::Key(key) => self.place.push_str(&format!("[{:?}]", shown(key))),
            Step::Index(index) => self.place.push_str(&format!("[{index}]")),
        }
        judge(self);
        self.place.truncate(length);
    }

    /// How much was found so far.
    fn count(&self) -> usize {
        self.findings.len()
    }

    /// Notes something of which nobody can say what the engine makes of it.
    fn malformed(&mut self, what: String) {
        self.refuse(what, None);
    }

    /// Notes something that is not allowed, and what would allow it.
    fn refuse(&mut self, what: String, allow: Option<Hint>) {
        // A body of a megabyte may hold a hundred thousand of them.
        if self.findings.len() < 64 {
            let allow = allow.map(|Hint(allow)| allow);
            self.findings.push(Finding { field: self.place.clone(), what, allow });
        }
    }

    /// Whether an exception of this kind covers the value.
    fn allows(&self, kind: &str, value: &str) -> bool {
        self.guard.allow.iter().any(|exception| exception.covers(kind, value))
    }

    /// Whether an exception of this kind covers the path.
    fn allows_path(&self, kind: &str, path: &str, is_read_only: bool) -> bool {
        self.guard.allow.iter().any(|exception| exception.covers_path(kind, path, is_read_only))
    }

    /// Whether there is any exception of this kind.
    fn has(&self, kind: &str) -> bool {
        self.guard.allow.iter().any(|exception| exception.is(kind))
    }

    /// Notes the value, unless an exception of this kind covers it.
    fn unless_allowed(&mut self, kind: &str, value: &str, what: impl FnOnce() -> String) {
        if !self.allows(kind, value) {
            let allow = self.hint(kind, value);
            self.refuse(what(), allow);
        }
    }

    /// The exception that would open a value; nothing where it cannot be written down. Values that may hold a secret are left out:
    /// passwords stand in options of volumes and in URLs.
    fn hint(&self, kind: &str, value: &str) -> Option<Hint> {
        let known = KINDS.iter().find(|known| known.name == kind)?;
        // A star of the client's would be a pattern of ours.
        if value.contains('*') {
            return None;
        }
        let hint = match (known.value, value.split_once('=')) {
            ("", _) => kind.to_owned(),
            ("NAME=PATTERN", Some((name, _))) => format!("{kind}={}=…", shown(name)),
            _ if matches!(kind, "build-remote" | "import-url") => format!("{kind}=…"),
            _ if kind == "security-opt" && value.contains('{') => return None,
            _ => format!("{kind}={value}"),
        };
        let is_whole = hint.len() <= 160 && !hint.contains(char::is_control);
        (is_whole && (hint.ends_with('…') || Exception::read(&hint).is_ok())).then_some(Hint(hint))
    }

    fn is_restricted(&self) -> bool {
        self.guard.level >= Level::Restricted
    }
}

/// As much of a client's word as anybody wants to read.
fn shown(word: &str) -> &str {
    &word[..word.floor_char_boundary(96)]
}
