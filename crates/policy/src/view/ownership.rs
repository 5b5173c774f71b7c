//! Ownership: the labels that mark the objects that the clients of a profile have created.

use std::fmt;

use crate::endpoint::ObjectKind;
use crate::object::Object;

/// The label whose value is the profile that owns an object.
pub(crate) const OWNER_LABEL: &str = "cetusguard.owner";
/// The label whose value is the session that owns an object, within the profile.
pub(crate) const SESSION_LABEL: &str = "cetusguard.session";

/// The label of an image that a client has built or committed: `PROFILE` or `PROFILE/SESSION`. It
/// has a name of its own, since a container gets the labels of its image: a client that runs the
/// image would give its container away.
pub(crate) const IMAGE_OWNER_LABEL: &str = "cetusguard.image-owner";

/// The longest name of a session, in bytes.
const SESSION_LIMIT: usize = 63;

/// The ownership of the objects that the clients of a profile create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The value of the label with the owner: the name of the profile.
    pub owner: String,
    /// The source of the session that a client belongs to.
    pub session: SessionSource,
    /// The time after which objects of the profile are removed, in seconds; `None` keeps them.
    pub lifetime: Option<u64>,
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("owns what it creates, and changes nothing else")?;
        match self.session {
            SessionSource::Profile => {}
            SessionSource::Header => f.write_str("; each X-Cetusguard-Session is an owner")?,
            SessionSource::Client => f.write_str("; each client is an owner")?,
        }
        match self.lifetime {
            Some(seconds) if seconds % 3600 == 0 => {
                write!(f, "; removed after {} h", seconds / 3600)
            }
            Some(seconds) => write!(f, "; removed after {seconds} s"),
            None => Ok(()),
        }
    }
}

/// The source of the session that a client belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionSource {
    /// All clients of the profile own the same objects.
    #[default]
    Profile,
    /// The request header `X-Cetusguard-Session` names the session.
    Header,
    /// Each client is a session of its own.
    Client,
}

/// The owner of an object: a profile, and a session within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    profile: String,
    /// The session; `None` if the profile has none.
    session: Option<String>,
}

impl Owner {
    /// Builds the owner of all objects of a profile.
    #[must_use]
    pub fn profile(profile: &str) -> Self {
        Self {
            profile: profile.to_owned(),
            session: None,
        }
    }

    /// Builds the owner for one session of a profile; `None` if the text cannot be the name of a
    /// session: letters, digits, dashes, dots and underscores, at most 63.
    #[must_use]
    pub fn session(profile: &str, session: &str) -> Option<Self> {
        let is_name = (1..=SESSION_LIMIT).contains(&session.len())
            && session
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        is_name.then(|| Self {
            profile: profile.to_owned(),
            session: Some(session.to_owned()),
        })
    }

    /// Returns the labels that mark its objects.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, &str)> {
        let session = self.session.as_deref();
        std::iter::once((OWNER_LABEL, self.profile.as_str()))
            .chain(session.map(|session| (SESSION_LABEL, session)))
            .collect()
    }

    /// Returns the value of the label that marks the images of this owner.
    pub(crate) fn image_mark(&self) -> String {
        match &self.session {
            Some(session) => format!("{}/{session}", self.profile),
            None => self.profile.clone(),
        }
    }

    /// Returns whether an image has the label of this owner, or of a session of it.
    pub(crate) fn has_stamped_image(&self, image: &Object) -> bool {
        self.has_image_mark(image.label(IMAGE_OWNER_LABEL))
    }

    /// Returns whether the value of `IMAGE_OWNER_LABEL` is that of this owner, or of a session of
    /// it.
    #[must_use]
    pub fn has_image_mark(&self, mark: &str) -> bool {
        let own = self.image_mark();
        mark == own
            || (self.session.is_none()
                && mark
                    .strip_prefix(own.as_str())
                    .is_some_and(|rest| rest.starts_with('/')))
    }

    /// Returns the label filter that only images of this owner pass. Those of its sessions do not.
    #[must_use]
    pub fn image_filter(&self) -> String {
        format!("{IMAGE_OWNER_LABEL}={}", self.image_mark())
    }

    /// Returns the label filters for a list with all objects of one kind that this owner has. Images
    /// of other owners may pass them.
    #[must_use]
    pub fn list_filters(&self, kind: ObjectKind) -> Vec<String> {
        match (kind, &self.session) {
            (ObjectKind::Image, None) => vec![IMAGE_OWNER_LABEL.to_owned()],
            (ObjectKind::Image, Some(_)) => vec![self.image_filter()],
            _ => self.filters(),
        }
    }

    /// Returns whether an object has the labels of this owner. Those of an image say nothing about
    /// its container.
    #[must_use]
    pub fn has_stamped(&self, object: &Object) -> bool {
        self.has_labels(object.label(OWNER_LABEL), object.label(SESSION_LABEL))
    }

    /// Returns whether these values of `OWNER_LABEL` and `SESSION_LABEL` are those of this owner,
    /// or of a session of it.
    #[must_use]
    pub fn has_labels(&self, owner: &str, session: &str) -> bool {
        owner == self.profile && self.session.as_deref().is_none_or(|own| own == session)
    }

    /// Returns the label filters that only objects of this owner pass, as the engine takes them.
    #[must_use]
    pub fn filters(&self) -> Vec<String> {
        self.labels()
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}
