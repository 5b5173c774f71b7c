//! The configuration of Cetusguard before it is written.

use std::fmt;
use std::rc::Rc;

use cetusguard_policy::Method;

use super::note::{Note, NoteKind};
use super::settings::PeerSettings;

/// Decides about a call, by its method and its path, as the other proxy does.
type Decision = Rc<dyn Fn(Method, &str) -> bool>;

/// The other proxy's own decisions, with which those of the new rules are compared.
///
/// Settings do not always tell which version they were written for. Calls that one version allows
/// and another refuses are closed and noted.
#[derive(Clone)]
pub(super) struct PeerDecisions {
    loosest: Decision,
    strictest: Decision,
}

impl PeerDecisions {
    /// Makes a peer whose versions agree.
    pub(super) fn new(decision: impl Fn(Method, &str) -> bool + 'static) -> Self {
        let decision: Decision = Rc::new(decision);
        Self {
            loosest: Rc::clone(&decision),
            strictest: decision,
        }
    }

    /// Makes a peer with an older version that allowed more.
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

    /// Returns a peer with the rights of both.
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

impl Default for PeerDecisions {
    fn default() -> Self {
        Self::new(|_, _| false)
    }
}

impl fmt::Debug for PeerDecisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

/// Rules of one class of clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    /// The rules, each with the setting that it comes from.
    pub(super) rules: Vec<(String, String)>,
    /// Exceptions of the guard.
    pub(super) guard_allow: Vec<String>,
    /// Rules for the calls that the peer allowed and these rules refuse.
    pub(super) closed: Vec<String>,
    /// The peer's decisions for such clients.
    pub(super) peer: PeerDecisions,
}

/// A class of clients.
#[derive(Clone, Debug)]
pub(super) struct ClientClass {
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

/// An address at which clients connect.
#[derive(Clone, Debug, Default)]
pub(super) struct PlannedFrontend {
    pub(super) addr: String,
    /// The profile of all clients that connect there.
    pub(super) profile: Option<String>,
    /// Other keys of an entry of `frontends`.
    pub(super) keys: Vec<(&'static str, String)>,
}

impl PlannedFrontend {
    /// Makes a frontend whose clients are told apart by their profiles.
    pub(super) fn at(addr: impl Into<String>) -> Self {
        Self {
            addr: addr.into(),
            profile: None,
            keys: Vec::new(),
        }
    }

    /// Returns the path, if the address is a socket.
    pub(super) fn socket(&self) -> Option<&str> {
        self.addr.strip_prefix("unix://")
    }

    /// Returns the port, if the address has one.
    pub(super) fn port(&self) -> Option<&str> {
        self.addr
            .strip_prefix("tcp://")?
            .rsplit_once(':')
            .map(|(_, port)| port)
    }
}

/// One instance of Cetusguard.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The rights of clients without a profile.
    pub(super) default: Rights,
    /// The profiles.
    pub(super) profiles: Vec<ClientClass>,
    pub(super) frontends: Vec<PlannedFrontend>,
    /// The engine's address.
    pub(super) backend: String,
    /// Other options.
    pub(super) options: Vec<(&'static str, String)>,
    /// The user that the other proxy's image runs as, unless that is root.
    pub(super) user: Option<&'static str>,
    /// Paths in the container that only the other proxy needed.
    pub(super) unneeded: Vec<String>,
    /// The address of the health check, if that is not the first frontend.
    pub(super) healthcheck: Option<String>,
    pub(super) notes: Vec<Note>,
}

impl Plan {
    /// Makes an empty plan with the notes of the settings.
    pub(super) fn new(settings: &PeerSettings) -> Self {
        Self {
            notes: settings.notes.clone(),
            ..Self::default()
        }
    }

    /// Notes a difference.
    pub(super) fn note(&mut self, kind: NoteKind, what: impl Into<String>) {
        self.notes.push(Note::new(kind, what));
    }

    /// Notes a restriction that the result does not have, or may not have.
    pub(super) fn lost(&mut self, what: impl Into<String>) {
        self.note(NoteKind::Lost, what);
    }

    /// Sets an option.
    pub(super) fn option(&mut self, name: &'static str, value: impl Into<String>) {
        self.options.retain(|(known, _)| *known != name);
        self.options.push((name, value.into()));
    }

    /// Adds a rule for clients without a profile.
    pub(super) fn rule(&mut self, rule: impl Into<String>, from: impl Into<String>) {
        self.default.rules.push((rule.into(), from.into()));
    }
}
