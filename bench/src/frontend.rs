//! Frontends of both kinds, as attackers call them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::time::Duration;

use socket2::SockRef;

use crate::Failure;
use crate::client::connect_from;

/// The time that a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The frontend that is attacked.
#[derive(Clone, Debug)]
pub enum Target {
    /// An address; attackers have addresses of their own.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(String),
}

impl FromStr for Target {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text.strip_prefix("unix://") {
            Some(path) => Ok(Self::Unix(path.to_owned())),
            None => Ok(Self::Tcp(text.trim_start_matches("tcp://").parse()?)),
        }
    }
}

/// A connection to a frontend of either kind.
#[derive(Debug)]
pub enum Link {
    /// One over TCP.
    Tcp(TcpStream),
    /// One over a Unix socket.
    Unix(UnixStream),
}

impl Link {
    /// Connects; over TCP from this address.
    ///
    /// # Errors
    /// Those of the system.
    pub fn connect(target: &Target, source: Ipv4Addr) -> io::Result<Self> {
        match target {
            Target::Tcp(address) => Ok(Self::Tcp(connect_from(source, *address, PATIENCE)?)),
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Unix(stream))
            }
        }
    }

    /// Has the connection end with a reset, which leaves no port in TIME_WAIT.
    ///
    /// # Errors
    /// Those of the system.
    pub fn end_with_reset(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Has reading and writing wait for nothing.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Unix(stream) => stream.set_nonblocking(true),
        }
    }
}

impl Read for Link {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(room),
            Self::Unix(stream) => stream.read(room),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
