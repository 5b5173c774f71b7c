//! The client of a connection as far as its identity is proven, and the conditions that tell
//! clients apart.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::text::pattern::Pattern;

/// The labels in which Compose keeps the project and the service of a container (compose
/// `pkg/api/labels.go`).
pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
/// See [`COMPOSE_PROJECT`].
pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";

/// The proven facts about a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The frontend that the client uses, by its place in the configuration.
    pub frontend: usize,
    /// The certificate whose key the client has proven to hold.
    pub certificate: Option<Arc<Certificate>>,
    /// User and group of the process at the other end of a Unix socket.
    pub peer: Option<(u32, u32)>,
    /// The container that calls.
    pub container: Option<Arc<Container>>,
    /// The address that calls; IPv4 as such even on a socket for both families.
    pub address: Option<IpAddr>,
}

/// The names in a verified certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject, where there is exactly one.
    pub common_name: Option<String>,
    /// DNS names among its alternative names.
    pub dns: Vec<String>,
    /// IP addresses among its alternative names.
    pub ip: Vec<IpAddr>,
    /// URIs among its alternative names.
    pub uri: Vec<String>,
    /// SHA-256 of its public key (`SubjectPublicKeyInfo`, DER).
    pub pin: [u8; 32],
}

/// The container of a client, as the engine describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The full identifier.
    pub id: String,
    /// The name, without a slash.
    pub name: String,
    /// The labels that selectors ask for, those of the image included.
    pub labels: Vec<(String, String)>,
}

/// The unit that limits count, named by the fact about a client that is hardest to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitSubject {
    /// The owner of a key.
    Key([u8; 32]),
    /// All clients of a Unix frontend.
    Frontend(usize),
    /// A user at the other end of a Unix socket.
    User(u32),
    /// A group at the other end of a Unix socket.
    Group(u32),
    /// A container.
    Container(String),
    /// An IPv4 address, or the /64 network of an IPv6 address, all of which one machine may use.
    Address(IpAddr),
}

impl LimitSubject {
    /// Returns the name of the session that the client is by itself.
    #[must_use]
    pub fn session_name(&self) -> String {
        match self {
            Self::Key(pin) => {
                let digits: String = pin[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("key-{digits}")
            }
            Self::Frontend(index) => format!("frontend-{index}"),
            Self::User(user) => format!("user-{user}"),
            Self::Group(group) => format!("group-{group}"),
            Self::Container(id) => format!("container-{}", id.get(..12).unwrap_or(id)),
            Self::Address(address) => format!("address-{address}").replace(':', "-"),
        }
    }
}

impl Principal {
    /// Returns the unit that limits count for a client whose profile this selector has found.
    ///
    /// On a Unix socket it is the fact that the selector used, since root in a container can run as
    /// any user.
    #[must_use]
    pub fn subject(&self, found_by: Option<&Selector>) -> LimitSubject {
        match (&self.certificate, &self.container, self.address) {
            (Some(certificate), _, _) => LimitSubject::Key(certificate.pin),
            (None, Some(container), _) => LimitSubject::Container(container.id.clone()),
            (None, None, Some(IpAddr::V6(address))) => {
                let [a, b, c, d, ..] = address.segments();
                LimitSubject::Address(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            (None, None, Some(address)) => LimitSubject::Address(address),
            (None, None, None) => {
                let conditions = found_by
                    .map(|selector| selector.conditions.as_slice())
                    .unwrap_or_default();
                let users = conditions.iter().find_map(|condition| match condition {
                    Condition::User(user) => Some(LimitSubject::User(*user)),
                    _ => None,
                });
                let groups = conditions.iter().find_map(|condition| match condition {
                    Condition::Group(group) => Some(LimitSubject::Group(*group)),
                    _ => None,
                });
                users
                    .or(groups)
                    .unwrap_or(LimitSubject::Frontend(self.frontend))
            }
        }
    }
}

/// One fact that a client must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The client uses this frontend.
    Frontend(usize),
    /// The common name of its certificate.
    CommonName(Pattern),
    /// A DNS name of its certificate.
    DnsName(Pattern),
    /// An IP address of its certificate.
    IpName(IpAddr),
    /// A URI of its certificate.
    Uri(Pattern),
    /// The SHA-256 of its public key.
    Pin([u8; 32]),
    /// The client runs as this user.
    User(u32),
    /// The client runs with this group.
    Group(u32),
    /// The name of its container.
    Name(Pattern),
    /// A label of its container, with the value of that label.
    Label(String, Pattern),
    /// The client calls from this network.
    Network(IpNet),
}

/// The fact that a condition is about. Selectors are asked in this order: facts that are harder to
/// forge come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// The socket that the client uses.
    Frontend,
    /// The certificate that the client shows.
    Certificate,
    /// The process at the other end of a Unix socket.
    Peer,
    /// The container behind its address.
    Container,
    /// The address.
    Address,
}

impl Condition {
    /// Returns the kind of fact that the condition is about.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Frontend(_) => FactKind::Frontend,
            Self::CommonName(_)
            | Self::DnsName(_)
            | Self::IpName(_)
            | Self::Uri(_)
            | Self::Pin(_) => FactKind::Certificate,
            Self::User(_) | Self::Group(_) => FactKind::Peer,
            Self::Name(_) | Self::Label(..) => FactKind::Container,
            Self::Network(_) => FactKind::Address,
        }
    }

    /// Returns key and value as the configuration file has them; a frontend has its place there
    /// instead of an address.
    #[must_use]
    pub fn written(&self) -> (&'static str, String) {
        match self {
            Self::Frontend(place) => ("frontend", format!("#{}", place + 1)),
            Self::CommonName(name) => ("cert-cn", name.as_str().to_owned()),
            Self::DnsName(name) => ("cert-dns", name.as_str().to_owned()),
            Self::IpName(ip) => ("cert-ip", ip.to_string()),
            Self::Uri(uri) => ("cert-uri", uri.as_str().to_owned()),
            Self::Pin(pin) => (
                "cert-sha256",
                pin.iter().map(|byte| format!("{byte:02x}")).collect(),
            ),
            Self::User(user) => ("user", user.to_string()),
            Self::Group(group) => ("group", group.to_string()),
            Self::Name(name) => ("container", name.as_str().to_owned()),
            Self::Label(key, value) if key == COMPOSE_PROJECT => {
                ("compose-project", value.as_str().to_owned())
            }
            Self::Label(key, value) if key == COMPOSE_SERVICE => {
                ("compose-service", value.as_str().to_owned())
            }
            Self::Label(key, value) => ("label", format!("{key}={}", value.as_str())),
            Self::Network(network) => ("address", network.to_string()),
        }
    }

    fn holds_for(&self, client: &Principal) -> bool {
        let shown =
            |holds: &dyn Fn(&Certificate) -> bool| client.certificate.as_deref().is_some_and(holds);
        let runs =
            |holds: &dyn Fn(&Container) -> bool| client.container.as_deref().is_some_and(holds);
        match self {
            Self::Frontend(frontend) => client.frontend == *frontend,
            Self::CommonName(name) => {
                shown(&|own| own.common_name.as_deref().is_some_and(|own| name.fits(own)))
            }
            // Names of hosts are the same in both cases (RFC 4343).
            Self::DnsName(name) => shown(&|own| {
                own.dns
                    .iter()
                    .any(|own| name.fits(&own.to_ascii_lowercase()))
            }),
            Self::IpName(ip) => shown(&|own| own.ip.contains(ip)),
            Self::Uri(uri) => shown(&|own| own.uri.iter().any(|own| uri.fits(own))),
            Self::Pin(pin) => shown(&|own| own.pin == *pin),
            Self::User(user) => client.peer.is_some_and(|(own, _)| own == *user),
            Self::Group(group) => client.peer.is_some_and(|(_, own)| own == *group),
            Self::Name(name) => runs(&|own| name.fits(&own.name)),
            Self::Label(key, value) => {
                runs(&|own| own.labels.iter().any(|(k, v)| k == key && value.fits(v)))
            }
            Self::Network(network) => client
                .address
                .is_some_and(|address| network.contains(&address)),
        }
    }

    /// Returns whether one client can meet both conditions with the same value. `None` if they are
    /// about different facts.
    fn meets(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::CommonName(one), Self::CommonName(other))
            | (Self::DnsName(one), Self::DnsName(other))
            | (Self::Uri(one), Self::Uri(other))
            | (Self::Name(one), Self::Name(other)) => Some(one.meets(other)),
            (Self::Label(one, _), Self::Label(other, _)) if one != other => None,
            (Self::Label(_, one), Self::Label(_, other)) => Some(one.meets(other)),
            (Self::Network(one), Self::Network(other)) => {
                Some(one.contains(other) || other.contains(one))
            }
            (one, other) if core::mem::discriminant(one) == core::mem::discriminant(other) => {
                Some(one == other)
            }
            _ => None,
        }
    }
}

/// The conditions that a client must meet to get a profile: one or more of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    kind: FactKind,
    conditions: Vec<Condition>,
}

impl Selector {
    /// Builds a selector from conditions. `None` if there are none, or if they are of several
    /// kinds.
    #[must_use]
    pub fn new(conditions: Vec<Condition>) -> Option<Self> {
        let kind = conditions.first()?.kind();
        conditions
            .iter()
            .all(|condition| condition.kind() == kind)
            .then_some(Self { kind, conditions })
    }

    /// Returns the kind of fact that the selector is about.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        self.kind
    }

    /// Returns the conditions, all of which a client must meet.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Returns the conditions as text, as in `user 1000 and group 100`.
    #[must_use]
    pub fn written(&self) -> String {
        let conditions = self.conditions.iter().map(|condition| {
            let (key, value) = condition.written();
            format!("{key} {value}")
        });
        conditions.collect::<Vec<_>>().join(" and ")
    }

    /// Returns whether the client meets all conditions.
    #[must_use]
    pub fn matches(&self, client: &Principal) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds_for(client))
    }

    /// Returns the conditions that do not hold for this client.
    pub fn unmet<'s>(&'s self, client: &'s Principal) -> impl Iterator<Item = &'s Condition> {
        self.conditions
            .iter()
            .filter(|condition| !condition.holds_for(client))
    }

    /// Returns the place in the order in which selectors are asked: by kind, then more conditions
    /// first, then the user before the group.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (
            self.kind,
            Reverse(self.conditions.len()),
            matches!(self.conditions[..], [Condition::Group(_)]),
        )
    }

    /// Returns whether neither selector has precedence and one client can certainly meet both.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        let meets = |one: &Condition| {
            other
                .conditions
                .iter()
                .any(|other| one.meets(other) == Some(true))
        };
        self.rank() == other.rank() && self.conditions.iter().all(meets)
    }
}

impl From<Condition> for Selector {
    fn from(condition: Condition) -> Self {
        Self {
            kind: condition.kind(),
            conditions: vec![condition],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, labels: &[(&str, &str)]) -> Principal {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let container = Container {
            id: "0".repeat(64),
            name: name.to_owned(),
            labels,
        };
        Principal {
            container: Some(Arc::new(container)),
            ..Principal::default()
        }
    }

    fn named(name: &str) -> Condition {
        Condition::Name(Pattern::new(name))
    }

    fn label(key: &str, value: &str) -> Condition {
        Condition::Label(key.to_owned(), Pattern::new(value))
    }

    /// A session owns objects: two clients with one name would share them.
    #[test]
    fn each_client_is_a_session_of_its_own() {
        let address = |text: &str| LimitSubject::Address(text.parse().expect("an address"));
        let names = [
            (LimitSubject::Key([0xab; 32]), "key-abababababababab"),
            (LimitSubject::Frontend(1), "frontend-1"),
            (LimitSubject::User(1), "user-1"),
            (LimitSubject::Group(1), "group-1"),
            (
                LimitSubject::Container("0123456789abcdef".repeat(4)),
                "container-0123456789ab",
            ),
            (LimitSubject::Container("web".to_owned()), "container-web"),
            (address("10.0.0.1"), "address-10.0.0.1"),
            (address("2001:db8::"), "address-2001-db8--"),
        ];
        for (subject, name) in names {
            assert_eq!(subject.session_name(), name, "{subject:?}");
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let both = Selector::new(vec![named("web-*"), label("tier", "low")]).expect("one kind");
        assert!(both.matches(&container("web-1", &[("a", "b"), ("tier", "low")])));
        assert!(!both.matches(&container("web-1", &[("tier", "high")])));
        assert!(!both.matches(&container("db", &[("tier", "low")])));
        assert!(!both.matches(&Principal::default()));
        assert!(Selector::new(vec![named("x"), Condition::User(1)]).is_none());
        assert!(Selector::new(vec![]).is_none());
    }

    #[test]
    fn certificates_are_told_by_what_they_say() {
        let certificate = Certificate {
            common_name: Some("ci-7".to_owned()),
            dns: vec!["CI.example.com".to_owned()],
            ip: vec!["10.0.0.7".parse().expect("an address")],
            uri: vec!["spiffe://example.com/ci".to_owned()],
            pin: [7; 32],
        };
        let client = Principal {
            certificate: Some(Arc::new(certificate)),
            ..Principal::default()
        };
        let pattern = Pattern::new;
        for (condition, want) in [
            (Condition::CommonName(pattern("ci-*")), true),
            (Condition::CommonName(pattern("ci")), false),
            (Condition::DnsName(pattern("*.example.com")), true),
            (Condition::DnsName(pattern("example.com")), false),
            (
                Condition::IpName("10.0.0.7".parse().expect("an address")),
                true,
            ),
            (
                Condition::IpName("10.0.0.70".parse().expect("an address")),
                false,
            ),
            (Condition::Uri(pattern("spiffe://example.com/*")), true),
            (Condition::Uri(pattern("spiffe://example.com")), false),
            (Condition::Pin([7; 32]), true),
            (Condition::Pin([8; 32]), false),
        ] {
            assert_eq!(
                Selector::from(condition.clone()).matches(&client),
                want,
                "{condition:?}"
            );
            assert!(!Selector::from(condition).matches(&Principal::default()));
        }
    }

    #[test]
    fn collisions_are_seen_where_they_can_be() {
        let selector =
            |conditions: &[Condition]| Selector::new(conditions.to_vec()).expect("one kind");
        let net = |text: &str| Condition::Network(text.parse().expect(text));
        for (one, other, want) in [
            (vec![named("web")], vec![named("web")], true),
            (vec![named("web-*")], vec![named("*-1")], true),
            (vec![named("web")], vec![named("db")], false),
            // More conditions go first.
            (
                vec![named("web")],
                vec![named("web"), label("a", "b")],
                false,
            ),
            (
                vec![named("web"), label("a", "*")],
                vec![label("a", "b"), named("*")],
                true,
            ),
            (
                vec![named("web"), label("a", "c")],
                vec![label("a", "b"), named("*")],
                false,
            ),
            // Nothing tells before a client meets both.
            (vec![named("web")], vec![label("a", "b")], false),
            (vec![label("a", "b")], vec![label("b", "b")], false),
            (vec![net("10.0.0.0/8")], vec![net("10.1.0.0/16")], true),
            (vec![net("10.0.0.0/8")], vec![net("11.0.0.0/8")], false),
            (vec![Condition::User(1)], vec![Condition::User(1)], true),
            (vec![Condition::User(1)], vec![Condition::Group(1)], false),
        ] {
            assert_eq!(
                selector(&one).collides_with(&selector(&other)),
                want,
                "{one:?} {other:?}"
            );
            assert_eq!(
                selector(&other).collides_with(&selector(&one)),
                want,
                "{other:?} {one:?}"
            );
        }
    }

    #[test]
    fn limits_count_what_is_hard_to_change() {
        let at = |text: &str| Principal {
            address: text.parse().ok(),
            ..Principal::default()
        };
        let alone = |client: Principal| client.subject(None);
        assert_eq!(alone(at("fd00::1")), alone(at("fd00::2")));
        assert_ne!(alone(at("fd00::1")), alone(at("fd00:0:0:1::1")));
        assert_ne!(alone(at("10.0.0.1")), alone(at("10.0.0.2")));
        let moved = Principal {
            address: at("10.0.0.1").address,
            ..container("web", &[])
        };
        assert_eq!(alone(moved), alone(container("web", &[])));
        let socket = |frontend, user, group| Principal {
            frontend,
            peer: Some((user, group)),
            ..Principal::default()
        };
        let by = |condition: Condition| Selector::from(condition);
        for (one, other, found_by, same) in [
            // Root in a container can run as any user: the fact by which its profile was found
            // counts.
            (
                socket(1, 0, 0),
                socket(1, 1, 1),
                by(Condition::Frontend(1)),
                true,
            ),
            (
                socket(1, 0, 0),
                socket(2, 0, 0),
                by(Condition::Frontend(1)),
                false,
            ),
            (
                socket(1, 7, 0),
                socket(2, 7, 1),
                by(Condition::User(7)),
                true,
            ),
            (
                socket(1, 7, 9),
                socket(1, 8, 9),
                by(Condition::Group(9)),
                true,
            ),
        ] {
            let subjects = [one, other].map(|client| client.subject(Some(&found_by)));
            assert_eq!(subjects[0] == subjects[1], same, "{subjects:?}");
        }
    }
}
