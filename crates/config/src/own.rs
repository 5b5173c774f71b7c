//! Finds out whether the backend is one of the proxy's own frontends.
//!
//! `DOCKER_HOST` tells clients where the proxy is, and is also a fallback for the backend's
//! address. A proxy that is its own engine would send each request to itself until it has no
//! descriptor left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::address::Address;

/// The advice for a backend that is a frontend.
pub const ADVICE: &str = "name the engine with backend-addr; without it, CONTAINER_HOST or \
    DOCKER_HOST is the engine's address";

/// Returns whether connections to the backend arrive at the frontend, as far as the addresses on
/// this machine show.
///
/// The first request finds a loop over another machine or through another proxy, by the name that
/// the proxy gives itself in `Via`.
pub fn is_own(backend: &Address, frontend: &Address) -> bool {
    match (backend, frontend) {
        (
            Address::Tcp { host, port },
            Address::Tcp {
                host: own,
                port: own_port,
            },
        ) => port == own_port && (host == own || is_own_host(host, own)),
        (Address::Unix(path), Address::Unix(own)) => {
            is_same_file(&link_target(path), &link_target(own))
        }
        _ => false,
    }
}

fn is_own_host(host: &str, own: &str) -> bool {
    let own = resolve_host(own);
    let reaches = |to: IpAddr| {
        let to = reached_address(to);
        own.iter().any(|own| match own {
            IpAddr::V4(own) if own.is_unspecified() => to.is_ipv4() && is_of_this_machine(to),
            // Such a socket takes connections of both families.
            IpAddr::V6(own) if own.is_unspecified() => is_of_this_machine(to),
            own => *own == to,
        })
    };
    resolve_host(host).into_iter().any(reaches)
}

/// Returns the addresses of a host; none if its name is unknown. An empty host is every address.
fn resolve_host(host: &str) -> Vec<IpAddr> {
    if host.is_empty() {
        return vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    }
    let addresses = (host, 0).to_socket_addrs();
    addresses
        .into_iter()
        .flatten()
        .map(|address| address.ip().to_canonical())
        .collect()
}

/// Returns the address at which a connection arrives: Linux takes the unspecified one for loopback.
fn reached_address(to: IpAddr) -> IpAddr {
    match to {
        IpAddr::V4(to) if to.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(to) if to.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        to => to,
    }
}

/// Returns whether an interface of this machine has the address: a socket can be bound to no other,
/// unless the kernel lets sockets be bound to any address, those for documentation (RFC 5737, RFC
/// 3849) among them. Then only loopback is certain.
fn is_of_this_machine(address: IpAddr) -> bool {
    let foreign = match address {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let can_bind = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    address.is_loopback() || (can_bind(address) && !can_bind(foreign))
}

/// The kernel follows no more links.
const LINKS: usize = 40;

/// Returns the path behind the symbolic links of its last part. Neither the socket nor a link's
/// target has to exist yet.
fn link_target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path
}

/// Returns whether two paths lead to one file, or to one name in one folder where there is no file
/// yet.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .ok()
            .map(|meta| (meta.dev(), meta.ino()))
    };
    let is_same = |one: &Path, other: &Path| {
        identity(one).is_some_and(|found| identity(other) == Some(found))
    };
    let is_same_name = one.file_name() == other.file_name()
        && one
            .parent()
            .zip(other.parent())
            .is_some_and(|(one, other)| is_same(one, other));
    one == other || is_same_name || is_same(one, other)
}
