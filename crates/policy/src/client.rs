//! Who is calling, as far as it is proven, and what tells one client from another.

use core::net::IpAddr;

use ipnet::IpNet;

/// What is known of a client once it has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The frontend that it used, by its place in the configuration.
    pub frontend: usize,
    /// User and group of the process at the other end of a Unix socket.
    pub peer: Option<(u32, u32)>,
    /// Where it calls from, IPv4 as such even on a socket for both families.
    pub address: Option<IpAddr>,
}

/// What a client has to be or to have for a profile to be its own. The order is the one in which they are asked: what is
/// harder to come by goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// It uses this frontend.
    Frontend(usize),
    /// It runs as this user.
    User(u32),
    /// It runs with this group.
    Group(u32),
    /// It calls from this network.
    Network(IpNet),
}

impl Selector {
    /// Whether it is about this client.
    #[must_use]
    pub fn matches(&self, client: &Principal) -> bool {
        match self {
            Self::Frontend(frontend) => client.frontend == *frontend,
            Self::User(user) => client.peer.is_some_and(|(own, _)| own == *user),
            Self::Group(group) => client.peer.is_some_and(|(_, own)| own == *group),
            Self::Network(network) => client.address.is_some_and(|address| network.contains(&address)),
        }
    }

    /// Whether both are of one kind, so that neither goes before the other, and about one client.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(one), Self::Network(other)) => one.contains(other) || other.contains(one),
            (one, other) => one == other,
        }
    }
}
