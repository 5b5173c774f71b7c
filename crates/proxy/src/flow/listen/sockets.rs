//! Making the sockets that are listened on.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cetusguard_config::address::Address;
use cetusguard_config::plain_error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::umask;
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::net::{TcpListener, UnixListener};

use super::inherited::InheritedSockets;
use crate::config::Frontend;
use cetusguard_config::meant::SocketRights;

/// The listening end of a socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP, with TLS where the frontend has it.
    Tcp(TcpListener),
    /// A Unix stream socket.
    Unix(UnixListener),
}

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) struct Bound {
    // The file goes first: while the proxy listens on it, no other instance takes it for a stale
    // one and makes another in its place.
    _file: Option<SocketFile>,
    pub(super) socket: Socket,
    /// A time before the first connection to it.
    pub(super) opened: SystemTime,
    /// The frontend that it belongs to, by its place.
    pub(crate) frontend: usize,
    /// Its address with the port that the system chose, for the log.
    pub(crate) name: Arc<str>,
}

/// The file of a Unix socket, removed when dropped, if it is still the one that we made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    made: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            made: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.made) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The device and inode, which distinguish a file from another of the same name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on every address.
///
/// An IPv6 address on a host without IPv6 is left out, as long as another one is listened on:
/// returned second, as warnings.
///
/// # Errors
/// One message an address that cannot be listened on.
pub(crate) fn bind(
    frontends: &[Frontend],
    inherited: &mut InheritedSockets,
) -> Result<(Vec<Bound>, Vec<String>), Vec<String>> {
    let (mut bound, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let begun = SystemTime::now();
    for (
        index,
        Frontend {
            address, rights, ..
        },
    ) in frontends.iter().enumerate()
    {
        let made = match address {
            Address::Tcp { host, port } => tcp(host, *port),
            Address::Unix(path) => unix(path, *rights).map(|one| vec![one]),
            Address::Inherited(name) => inherited.take(name.as_deref()),
        };
        let opened = if matches!(address, Address::Inherited(_)) {
            UNIX_EPOCH
        } else {
            begun
        };
        match made {
            Ok(made) => bound.extend(made.into_iter().map(|socket| Bound {
                frontend: index,
                opened,
                ..socket
            })),
            Err(error) if is_without_ipv6(address, &error) => {
                warnings.push(format!("{address}: this host has no IPv6: {error}"))
            }
            Err(error) => errors.push(explain(address, &error)),
        }
    }
    if bound.is_empty() {
        errors.append(&mut warnings);
    }
    if errors.is_empty() {
        Ok((bound, warnings))
    } else {
        Err(errors)
    }
}

/// Says why an address cannot be listened on, and what to do.
fn explain(address: &Address, error: &io::Error) -> String {
    let why = plain_error(error);
    let (why, advice) = match address {
        // A sentence about rights has its advice.
        Address::Unix(_) if error.kind() == io::ErrorKind::Other => {
            return format!("cannot listen on {address}: {why}");
        }
        Address::Unix(path) => explain_path(path, error).unwrap_or((why, "choose another path")),
        Address::Tcp { host, port } => {
            let advice = advise_on_port(host, *port, error);
            return format!("cannot listen on {address}: {why}; {advice}");
        }
        Address::Inherited(_) => return format!("cannot listen on {address}: {why}"),
    };
    format!("cannot listen on {address}: {why}; {advice}")
}

/// Returns the reason why there can be no socket at a path, and the next step; `None` if the reason
/// is that of the operating system.
fn explain_path(path: &Path, error: &io::Error) -> Option<(String, &'static str)> {
    let (why, advice) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "the address is in use",
            "another program listens there: stop it, or choose another path",
        ),
        io::ErrorKind::AlreadyExists => (
            "another file or a folder has this path, and it was left as it is",
            "remove it, or choose another path; Docker makes a folder where a file that is to be \
            mounted is missing",
        ),
        io::ErrorKind::PermissionDenied => (
            "this user may not make a socket there",
            "choose a path where this user may make and open files",
        ),
        io::ErrorKind::NotFound => (
            "its folder is missing",
            "make its folder first; in a container, mount one there",
        ),
        io::ErrorKind::NotADirectory => (
            "a part of its path is a file, where a folder should be",
            "correct the path",
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            "the file system there is read-only",
            "mount a folder or a tmpfs for writing there",
        ),
        io::ErrorKind::InvalidInput => {
            let length = path.as_os_str().len();
            let why =
                format!("its path has {length} bytes, and that of a socket has 107 at the most");
            return Some((why, "choose a shorter path"));
        }
        _ => return None,
    };
    Some((why.to_owned(), advice))
}

/// Returns the next step where a port cannot be listened on.
fn advise_on_port(host: &str, port: u16, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            return format!(
                "this user may not listen on that port: choose one above 1023, in a container with \
                ports: [\"{port}:2375\"]"
            );
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address: choose one of ip -brief address, or tcp://:PORT for all"
        }
        _ if host.starts_with("fe80:") => {
            "a link-local address does not tell which container is calling: choose another one of \
            ip -brief address"
        }
        _ if !host.is_empty() && host.parse::<IpAddr>().is_err() => {
            "no address of this host has that name: name one of ip -brief address, or tcp://:PORT \
            for all"
        }
        _ => "choose another address",
    };
    advice.to_owned()
}

/// Returns whether an IPv6 address cannot be had because there is no IPv6; any other that cannot be
/// had is a mistake.
fn is_without_ipv6(address: &Address, error: &io::Error) -> bool {
    let Address::Tcp { host, .. } = address else {
        return false;
    };
    let Ok(literal) = host.parse::<Ipv6Addr>() else {
        return false;
    };
    is_missing_family(error)
        && (literal.is_loopback() || literal.is_unspecified() || is(error, Errno::AFNOSUPPORT))
}

fn is_missing_family(error: &io::Error) -> bool {
    is(error, Errno::AFNOSUPPORT) || is(error, Errno::ADDRNOTAVAIL)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn tcp(host: &str, port: u16) -> io::Result<Vec<Bound>> {
    let listener = if host.is_empty() {
        // One socket for both families; on a host without IPv6, for the one it has.
        match listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
            Err(error) if is_missing_family(&error) => {
                listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?
            }
            listener => listener?,
        }
    } else {
        let address = (host, port)
            .to_socket_addrs()?
            .next()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        listen(address)?
    };
    Ok(vec![Bound::tcp(listener)?])
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn unix(path: &Path, rights: SocketRights) -> io::Result<Bound> {
    remove_stale(path)?;
    // Other users must not connect before mode and group are set.
    let before = umask(Mode::from_raw_mode(0o177));
    let listener = std::os::unix::net::UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    let file = SocketFile::new(path)?;
    give_rights(path, rights)?;
    Bound::unix(listener, format!("unix://{}", path.display()), Some(file))
}

fn give_rights(path: &Path, rights: SocketRights) -> io::Result<()> {
    if let Some(group) = rights.group {
        std::os::unix::fs::chown(path, None, Some(group)).map_err(|error| {
            let why = plain_error(&error);
            let advice = format!(
                "cannot give the socket to group {group}: {why}; add that group to the process"
            );
            io::Error::other(format!(
                "{advice}, in a container with group_add: [\"{group}\"]"
            ))
        })?;
    }
    if let Some(owner) = rights.owner {
        std::os::unix::fs::chown(path, Some(owner), None).map_err(|error| {
            let why = plain_error(&error);
            io::Error::other(format!(
                "cannot give the socket to user {owner}: {why}; run as that user, or with the \
                capability CHOWN"
            ))
        })?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(rights.mode))
}

/// Removes a socket without a listener. Any other file stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

impl Socket {
    /// Returns whether no connection waits in the kernel's queue. A socket that cannot be asked
    /// counts as one with a queue.
    pub(super) fn is_queue_empty(&self) -> bool {
        let descriptor = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        };
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(
            &mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)],
            Some(&at_once),
        ) == Ok(0)
    }
}

impl Bound {
    pub(super) fn tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let name = format!("tcp://{}", listener.local_addr()?).into();
        Ok(Self {
            _file: None,
            socket: Socket::Tcp(TcpListener::from_std(listener)?),
            opened: UNIX_EPOCH,
            frontend: 0,
            name,
        })
    }

    pub(super) fn unix(
        listener: std::os::unix::net::UnixListener,
        name: String,
        file: Option<SocketFile>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            _file: file,
            socket: Socket::Unix(UnixListener::from_std(listener)?),
            opened: UNIX_EPOCH,
            frontend: 0,
            name: name.into(),
        })
    }

    /// Returns whether it is a TCP socket: TLS is spoken over no other.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }
}
