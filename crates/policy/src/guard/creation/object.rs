//! Labels that created objects must have, and the volumes and networks that containers may use, by
//! name or by label.

use std::fmt;

use super::fields::Api;
use super::{Allowed, Creation, allows, find};
use crate::endpoint::ObjectKind;
use crate::guard::json::Json;
use crate::guard::subject::{Role, Subject};
use crate::guard::target::Use;
use crate::guard::{Judge, Step};
use crate::object::Object;
use crate::text::pattern::Pattern;

/// A label that must be there, and a pattern for its value. An empty value counts as missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelPattern {
    key: String,
    value: Option<Pattern>,
}

impl LabelPattern {
    /// Reads `KEY` or `KEY=PATTERN`.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .map_or((text, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || value == Some("") {
            return Err("expected a label, as in cost-center or team=web-*".to_owned());
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.map(Pattern::new),
        })
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        self.key == key
            && !value.is_empty()
            && self
                .value
                .as_ref()
                .is_none_or(|pattern| pattern.fits(value))
    }
}

impl fmt::Display for LabelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match &self.value {
            Some(value) => write!(f, "={}", value.as_str()),
            None => Ok(()),
        }
    }
}

/// A pattern for volumes or networks: a name, `name=PATTERN`, or `label=KEY[=PATTERN]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectPattern {
    /// Objects of such a name.
    Name(Pattern),
    /// Objects with such a label.
    Label(LabelPattern),
}

impl ObjectPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a name, or label=KEY=PATTERN, as in app-* or label=team=web".to_owned();
        match text.split_once('=') {
            Some(("label", label)) => LabelPattern::read(label)
                .map(Self::Label)
                .map_err(|_| expected()),
            Some(("name", name)) if !name.is_empty() => Ok(Self::Name(Pattern::new(name))),
            None if !text.is_empty() => Ok(Self::Name(Pattern::new(text))),
            _ => Err(expected()),
        }
    }

    fn fits<'l>(&self, name: &str, mut labels: impl Iterator<Item = (&'l str, &'l str)>) -> bool {
        match self {
            Self::Name(pattern) => pattern.fits(name),
            Self::Label(label) => labels.any(|(key, value)| label.fits(key, value)),
        }
    }
}

impl fmt::Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::Label(label) => write!(f, "label={label}"),
        }
    }
}

/// Returns the labels of a map in a body.
fn labels_of<'j>(map: Option<&'j Json<'_>>) -> impl Iterator<Item = (&'j str, &'j str)> {
    let pairs = map.map(Json::map).unwrap_or_default();
    pairs
        .iter()
        .map(|(key, value)| (key.as_ref(), value.text()))
}

/// Judges the labels that a client gives what it creates. Each place must have all of them: those
/// of a service, for instance, are not those of its containers.
pub(super) fn labels(
    judge: &mut Judge<'_>,
    required: &[LabelPattern],
    body: &Json<'_>,
    paths: &[&'static str],
) {
    // Podman has two fields for the labels of a volume, and joins them.
    let is_joined = paths == ["Label", "Labels"];
    let places: Vec<&[&'static str]> = match is_joined {
        true => vec![paths],
        false => paths.chunks(1).collect(),
    };
    for place in places {
        let has = |label: &LabelPattern| {
            place
                .iter()
                .flat_map(|path| labels_of(find(body, path)))
                .any(|(key, value)| label.fits(key, value))
        };
        for label in required.iter().filter(|label| !has(label)) {
            let path = place.last().copied().unwrap_or_default();
            let what = format!("the label {} is missing, or has another value", label.key);
            judge.unmet_at(path, "require-labels", what, format!("asks for {label}"));
        }
    }
}

/// Judges the name of a volume or a network that is created.
pub(super) fn created(
    judge: &mut Judge<'_>,
    key: &'static str,
    allowed: &Allowed<ObjectPattern>,
    body: &Json<'_>,
    labels: &[&'static str],
) {
    let Some(allowed) = allowed else { return };
    let name = find(body, "Name").map(Json::text).unwrap_or_default();
    let own = || labels.iter().flat_map(|path| labels_of(find(body, path)));
    if !allowed.iter().any(|pattern| pattern.fits(name, own())) {
        let what = match name {
            "" => "is missing, so that the engine chooses a name".to_owned(),
            name => format!("{:?} is not among the names", crate::guard::shortened(name)),
        };
        judge.unmet_at("Name", key, what, allows(allowed));
    }
}

impl Judge<'_> {
    /// Judges a volume or a network that a container uses, if the profile allows only some.
    pub(in crate::guard) fn uses_allowed(&mut self, subject: &Subject, object: Option<&Object>) {
        match subject.role {
            Role::Mounted
            | Role::MountedToWrite
            | Role::Network
            | Role::Joined
            | Role::Target(Use::Join) => {
                used(self, subject.kind, &subject.word, object);
            }
            Role::Namespace("network") => {
                if let Some(object) = object {
                    shared_network(self, &object.name);
                }
            }
            _ => {}
        }
    }
}

/// Judges a volume or a network that a container uses, as the engine describes it; `None` stands
/// for an object that the engine does not have, or of which only the word is known.
fn used(judge: &mut Judge<'_>, kind: ObjectKind, word: &str, object: Option<&Object>) {
    let Some(creation) = judge.guard.creation.as_deref() else {
        return;
    };
    let (key, allowed) = match kind {
        ObjectKind::Volume => ("allow-volumes", &creation.volumes),
        _ => ("allow-networks", &creation.networks),
    };
    let name = object.map_or(word, |object| object.name.as_str());
    let labels = object
        .map(|object| object.labels.as_slice())
        .unwrap_or_default();
    let labels = || {
        labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    };
    // Podman's default network has a second name.
    let alias = object.and_then(Object::alias).unwrap_or(name);
    let fits = |pattern: &ObjectPattern| {
        pattern.fits(name, labels()) || pattern.fits(alias, std::iter::empty())
    };
    if let Some(allowed) = allowed
        && !allowed.iter().any(fits)
    {
        let what = format!(
            "the {} {:?} is not among the allowed ones",
            kind.name(),
            crate::guard::shortened(name)
        );
        judge.unmet(key, what, allows(allowed));
    }
    if kind == ObjectKind::Volume && object.is_none() && !creation.labels.is_empty() {
        let what = format!(
            "the engine would create the volume {:?} without labels; create it first",
            crate::guard::shortened(word)
        );
        judge.unmet(
            "require-labels",
            what,
            format!("asks for {}", creation.labels[0]),
        );
    }
}

/// Judges a container that shares the network of another container, whose networks it then has.
fn shared_network(judge: &mut Judge<'_>, container: &str) {
    let word = format!("container:{container}");
    let Some(creation) = judge.guard.creation.as_deref() else {
        return;
    };
    let Some(allowed) = &creation.networks else {
        return;
    };
    let fits = |pattern: &ObjectPattern| {
        matches!(pattern, ObjectPattern::Name(name)
            if name.as_str().starts_with("container:") && name.fits(&word))
    };
    if !allowed.iter().any(fits) {
        let what = format!("shares the network of the container {container}");
        judge.unmet("allow-networks", what, allows(allowed));
    }
}

/// Judges networks that are no objects of the engine: those of programs that Podman starts for the
/// container alone, and the host's.
pub(super) fn own_network(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>, api: Api) {
    let path = match api {
        Api::Docker => "HostConfig.NetworkMode",
        Api::Libpod => "netns.nsmode",
        Api::Service => return,
    };
    let mode = find(body, path).map(Json::text).unwrap_or_default();
    if creation.networks.is_some() && matches!(mode, "slirp4netns" | "pasta" | "host") {
        judge.within(Step::Field(path), |judge| {
            used(judge, ObjectKind::Network, mode, None)
        });
    }
}
