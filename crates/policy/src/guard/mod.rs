//! The guard: judges the bodies and queries of allowed calls.
//!
//! Rules decide which endpoints a client may call, but a client that may create any container is
//! root on the host. So the bodies and queries of calls with such power are judged here, field by
//! field. The engine receives the judged values, written anew, and never the client's own bytes.

mod allow;
mod build;
mod case;
mod container;
mod creation;
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
mod namespace;
mod network;
mod new_name;
mod objection;
mod other_words;
mod process;
mod query;
mod readers;
mod reading;
mod recreation;
mod reference;
mod restricted;
mod service;
mod short_name;
mod specgen;
mod stamp;
mod subject;
mod surroundings;
mod table;
mod target;
mod visibility;
mod volume;

pub use allow::{Exception, ExceptionKind, KINDS};
pub(crate) use case::Obligation;
pub use case::{Case, Cleared, Missing, Question};
pub use creation::{
    Amount, Claim, CommandPattern, Creation, Excess, ImageDenial, ImageRewrite, LabelPattern,
    ObjectPattern, PortPattern, Quota, RestartPolicy, Unit, Usage, UserPattern, share_of,
};
pub use engine::Engine;
use form::Form;
pub(crate) use json::fold;
pub use json::{Json, MalformedJson};
use judge::{Judge, Step, shortened};
pub(crate) use network::is_predefined;
pub use objection::{Finding, Objection};
use query::Parameter;
pub use recreation::{Defaults, Inspection, Recreation};
pub(crate) use recreation::{Loss, Replacement};
pub use reference::normalised as full_image_name;
pub(crate) use reference::{normalised, pattern as image_pattern};
pub use surroundings::{HostPath, PathResolver, Surroundings};
pub(crate) use table::{Duty, duty};
pub(crate) use target::{Use, may_name_the_proxys};

/// The strictness of the guard. Names and meanings are those of the Kubernetes Pod Security
/// Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuardLevel {
    /// Nothing is judged.
    Privileged,
    /// The known ways to become root on the host are closed; ordinary use works.
    #[default]
    Baseline,
    /// As `Baseline`; containers also run as a user other than root, without capabilities, and
    /// cannot gain any.
    Restricted,
}

impl GuardLevel {
    /// Returns the value of the option.
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
    /// The strictness.
    pub level: GuardLevel,
    /// The exceptions.
    pub allow: Vec<Exception>,
    /// The requirements on objects that clients create. They hold at every level but `privileged`.
    pub creation: Option<Box<Creation>>,
}

/// The way in which the calls of an endpoint are judged.
#[derive(Debug)]
pub(crate) struct EndpointReader {
    /// The parameters that its query may have; any other is refused.
    parameters: &'static [Parameter],
    body: BodyKind,
    /// Looks at the whole body; if the body is not read, at the exceptions of the guard.
    whole: Option<form::Check>,
    /// Looks at the parameters together.
    pairs: Option<query::PairsCheck>,
}

/// The kind of body that an endpoint takes.
#[derive(Debug)]
enum BodyKind {
    /// JSON of this form.
    Json(&'static Form),
    /// No body: the engine reads none, or should not.
    Nothing,
    /// Bytes that are not inspected: an archive.
    Stream,
}

impl EndpointReader {
    /// Returns whether the judgement needs the body.
    pub(crate) fn reads_body(&self) -> bool {
        !matches!(self.body, BodyKind::Stream)
    }
}

impl Guard {
    /// Returns whether the guard restricts images to some: images that it cannot see are then
    /// refused.
    pub(crate) fn binds_images(&self) -> bool {
        self.needs_image_names() || self.rewrites_images()
    }

    /// Returns whether an identifier could stand for an image that the guard does not allow.
    pub(crate) fn needs_image_names(&self) -> bool {
        let is_listed = |exception: &Exception| exception.is("image") || exception.is("registry");
        self.allow.iter().any(is_listed) || self.denies_images()
    }

    /// Returns whether the containers of the clients have to be counted.
    pub(crate) fn counts_containers(&self) -> bool {
        let creation = self.creation.as_deref();
        creation.is_some_and(|creation| creation.quota.counts_containers())
    }

    /// Returns the requirements on objects that clients create, as they are written.
    #[must_use]
    pub fn requirements(&self) -> &[String] {
        let creation = self.creation.as_deref();
        creation.map_or(&[], |creation| creation.written.as_slice())
    }

    /// Returns whether the guard denies some images.
    fn denies_images(&self) -> bool {
        let creation = self.creation.as_deref();
        creation.is_some_and(|creation| !creation.denied_images.is_empty())
    }
}

/// Checks the content type of a body that is forwarded as it is. Go prefers the fields of a form to
/// the parameters of the query, or adds them, and reads types more leniently than it should
/// (`net/http` `ParseForm`): so only known types pass.
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
