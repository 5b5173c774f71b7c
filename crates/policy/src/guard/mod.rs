//! What an allowed call may ask for.
//!
//! Rules say which endpoints a client may call; but who may create any container is root on the
//! host. So the bodies and queries of the calls that carry such power are judged here, field by
//! field. What is judged goes to the engine as it was judged, written anew from what was read.

mod allow;
mod build;
mod case;
mod container;
mod engine;
mod exec;
mod forced;
mod form;
mod host;
mod host_config;
mod image;
mod json;
mod judge;
mod kernel;
mod log;
mod mount;
mod network;
mod objection;
mod process;
mod query;
mod readers;
mod recreation;
mod reference;
mod restricted;
mod service;
mod specgen;
mod subject;
mod surroundings;
mod table;
mod target;
mod volume;

pub use allow::{Exception, KINDS, Kind};
pub(crate) use case::Obligation;
pub use case::{Case, Cleared, Missing, Question};
pub use engine::Engine;
use form::Form;
pub(crate) use json::fold;
pub use json::{Json, Malformed};
use judge::{Judge, Step, shown};
pub use objection::{Finding, Objection};
use query::Parameter;
pub use recreation::{Defaults, Inspection, Recreation};
pub(crate) use recreation::{Loss, Replacement};
pub(crate) use reference::{normalised, pattern as image_pattern};
pub use surroundings::Surroundings;
pub(crate) use table::{Duty, duty};
pub(crate) use target::{Use, may_name_the_proxys};

/// How closely bodies are judged. The names, and what they mean, are those of the Kubernetes Pod
/// Security Standards.
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

impl Reader {
    /// Whether the body is read to judge the call.
    pub(crate) fn reads_body(&self) -> bool {
        !matches!(self.body, Body::Stream)
    }
}

impl Guard {
    /// Whether it binds to some images: then images that cannot be seen are refused.
    pub(crate) fn binds_images(&self) -> bool {
        self.allow
            .iter()
            .any(|exception| exception.is("image") || exception.is("registry"))
    }
}

/// A body that goes on as it comes, with its content type. Go lets the fields of a form go before
/// the parameters of the query, or add to them, and reads types more leniently than it should
/// (`net/http` `ParseForm`): so only known ones pass.
fn check_stream(content_type: Option<&str>) -> Result<(), Objection> {
    let kind = content_type
        .unwrap_or("application/octet-stream")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
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
            "application/x-tar or application/octet-stream: the engine would read a form as \
            parameters",
        )),
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let kind = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
