//! What our configuration will be.

use std::fmt;
use std::rc::Rc;

use cetusguard_policy::Method;

use super::note::{Kind, Note};
use super::settings::Settings;

/// Decides about a call, by its method and its path, as the other proxy does.
type Decision = Rc<dyn Fn(Method, &str) -> bool>;

/// The other proxy's own decisions, which ours are compared with.
///
/// Settings do not always tell which version they were written for. What one version allows and
/// another does not is closed here, and noted.
#[derive(Clone)]
pub(super) struct Peer {
    loosest: Decision,
    strictest: Decision,
}

impl Peer {
    /// A proxy whose versions agree.
    pub(super) fn new(decision: impl Fn(Method, &str) -> bool + 'static) -> Self {
        let decision: Decision = Rc::new(decision);
        Self {
            loosest: Rc::clone(&decision),
            strictest: decision,
        }
    }

    /// A proxy with an older version that allowed more.
    pub(super) fn with_older(
        strictest: impl Fn(Method, &str) -> bool + 'static,
        loosest: impl Fn(Method, &str) -> bool + 'static,
    ) -> Self {
        Self {
            loosest: Rc::new(loosest),
            strictest: Rc::new(strictest),
        }
    }

    /// Returns whether some version allows a call.
    pub(super) fn may_allow(&self, method: Method, path: &str) -> bool {
        (self.loosest)(method, path)
    }

    /// Returns whether every version allows a call. An answer to HEAD is the head of the answer to
    /// GET, and tells nothing more.
    pub(super) fn allows(&self, method: Method, path: &str) -> bool {
        (self.strictest)(method, path)
            || (method == Method::Head && (self.strictest)(Method::Get, path))
    }

    /// Returns a peer that allows what either of the two allows.
    pub(super) fn or(&self, other: &Self) -> Self {
        let both = |a: &Decision, b: &Decision| -> Decision {
            let (a, b) = (Rc::clone(a), Rc::clone(b));
            Rc::new(move |method, path| a(method, path) || b(method, path))
        };
        Self {
            loosest: both(&self.loosest, &other.loosest),
            strictest: both(&self.strictest, &other.strictest),
        }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self::new(|_, _| false)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

/// Rules of one class of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    /// Rules, and what each comes from.
    pub(super) rules: Vec<(String, String)>,
    /// Exceptions of the guard.
    pub(super) guard_allow: Vec<String>,
    /// Rules that would open what the peer allowed and these rules do not.
    pub(super) closed: Vec<String>,
    /// The peer's decisions for such clients.
    pub(super) peer: Peer,
}

/// A class of clients.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) name: String,
    /// Entries of `clients`, each with its conditions.
    pub(super) clients: Vec<Vec<(&'static str, String)>>,
    pub(super) rights: Rights,
}

/// Makes a name for a profile: of letters, digits, dashes, dots and underscores, and none that has
/// a meaning of its own.
pub(super) fn profile_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if ["allowed", "default", "healthcheck"].contains(&name.as_str()) {
        format!("{name}-service")
    } else {
        name
    }
}

/// Where clients connect.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontend {
    pub(super) addr: String,
    /// The profile of everybody who connects there.
    pub(super) profile: Option<String>,
    /// Other keys of an entry of `frontends`.
    pub(super) keys: Vec<(&'static str, String)>,
}

impl Frontend {
    /// A frontend for clients that their profiles find.
    pub(super) fn at(addr: impl Into<String>) -> Self {
        Self {
            addr: addr.into(),
            profile: None,
            keys: Vec::new(),
        }
    }

    /// Returns the path of its socket, where it is one.
    pub(super) fn socket(&self) -> Option<&str> {
        self.addr.strip_prefix("unix://")
    }

    /// Returns its port, where it has one.
    pub(super) fn port(&self) -> Option<&str> {
        self.addr
            .strip_prefix("tcp://")?
            .rsplit_once(':')
            .map(|(_, port)| port)
    }
}

/// One instance of ours.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The rights of clients that no profile finds.
    pub(super) default: Rights,
    /// Those of others.
    pub(super) profiles: Vec<Class>,
    pub(super) frontends: Vec<Frontend>,
    /// The engine's address.
    pub(super) backend: String,
    /// Other options.
    pub(super) options: Vec<(&'static str, String)>,
    /// The user that the other proxy's image runs as, unless that is root.
    pub(super) user: Option<&'static str>,
    /// Paths in the container that ours does not need: the other proxy's own.
    pub(super) unneeded: Vec<String>,
    /// What its health check asks, where that is not the first frontend.
    pub(super) healthcheck: Option<String>,
    pub(super) notes: Vec<Note>,
    /// Whether a file with settings could not be read.
    pub(super) is_incomplete: bool,
}

impl Plan {
    /// An empty one.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            notes: settings.notes.clone(),
            is_incomplete: settings.is_incomplete,
            ..Self::default()
        }
    }

    /// Notes a difference.
    pub(super) fn note(&mut self, kind: Kind, what: impl Into<String>) {
        self.notes.push(Note::new(kind, what));
    }

    /// Notes something that could not be read, although it may say what clients may do.
    pub(super) fn lack(&mut self, what: impl Into<String>) {
        self.note(Kind::Missing, what);
        self.is_incomplete = true;
    }

    /// Sets an option.
    pub(super) fn option(&mut self, name: &'static str, value: impl Into<String>) {
        self.options.retain(|(known, _)| *known != name);
        self.options.push((name, value.into()));
    }

    /// Adds a rule of clients that no profile finds.
    pub(super) fn rule(&mut self, rule: impl Into<String>, from: impl Into<String>) {
        self.default.rules.push((rule.into(), from.into()));
    }
}
