//! The places where lines go: a descriptor, a file that can be opened again, or a socket.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cetusguard_config::log::AuditTarget;
use cetusguard_config::{Unwritable, plain_error};
use rustix::fs::OFlags;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// Opens the place of the audit log; `None` for standard output, where the log's own lines go.
///
/// # Errors
/// Returns a message if it cannot be written.
pub(super) fn open_audit(target: &AuditTarget) -> Result<Option<LogOutput>, String> {
    let opened = match target {
        AuditTarget::Stdout => return Ok(None),
        AuditTarget::File(path) => open_file(path).map(|file| LogOutput::Named {
            file,
            path: path.clone(),
        }),
        AuditTarget::Socket(path) => connect_to_collector(path).map(|stream| LogOutput::Socket {
            stream: Some(stream),
            path: path.clone(),
            tried: Instant::now(),
        }),
    };
    opened.map(Some).map_err(|error| match target {
        AuditTarget::Socket(_) => {
            let (why, advice) = (plain_error(&error), socket_advice(&error));
            format!("cannot write the audit log {target}: {why}; {advice}")
        }
        AuditTarget::Stdout | AuditTarget::File(_) => {
            let why = Unwritable::from(error);
            let advice = why.advice(&target.to_string());
            format!("cannot write the audit log {target}: {why}; {advice}")
        }
    })
}

/// Returns the next step after an error at the socket of a collector.
fn socket_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "start the program that listens there first"
        }
        io::ErrorKind::WouldBlock => {
            "the program that listens there accepts no connections: restart it"
        }
        _ if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
            "let the collector listen on a stream socket"
        }
        _ => "check the path, and who may write to the socket",
    }
}

/// Opens a file for lines at its end, and makes it if it is missing.
///
/// A symbolic link is not followed: someone who may write into the folder could lead the lines into
/// a file that only the proxy may write. A FIFO or a device is no place for them either, and not to
/// wait keeps the opening of a FIFO from hanging.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// Connects to a collector. Neither this nor a later write waits for longer than `STUCK`.
fn connect_to_collector(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The kernel bounds the wait for a place in the collector's queue by the same time.
    socket.set_write_timeout(Some(STUCK))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(OwnedFd::from(socket).into())
}

/// A place that takes lines.
pub(super) trait Destination: Write {
    /// Makes the place ready for lines. Returns whether it is a new one: nothing precedes them.
    ///
    /// # Errors
    /// Lines cannot be written now.
    fn prepare(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    /// Returns whether a write failed because its time was over, so that it may be tried again.
    fn is_late(&self, _: &io::Error) -> bool {
        false
    }
}

/// The place of a running program's lines.
#[derive(Debug)]
pub(super) enum LogOutput {
    /// Standard output or standard error. Not the standard library's stream: that one keeps bytes
    /// that could not be written, and writes them later.
    Standard(File),
    /// A file, with the path at which it is opened again.
    Named { file: File, path: PathBuf },
    /// A connection to a collector; `None` until it can be made again.
    Socket {
        stream: Option<UnixStream>,
        path: PathBuf,
        /// The time of the last attempt to connect.
        tried: Instant,
    },
}

/// The time between two attempts to connect to a collector that does not listen.
const RETRY: Duration = Duration::from_secs(1);
/// The time after which a write to a collector that reads nothing returns without success. The
/// writer then looks whether it is wanted elsewhere.
const STUCK: Duration = Duration::from_secs(1);

impl LogOutput {
    /// Standard output, or standard error.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn standard(is_error: bool) -> io::Result<Self> {
        let (out, err) = (io::stdout(), io::stderr());
        let descriptor = if is_error { err.as_fd() } else { out.as_fd() };
        Ok(Self::Standard(descriptor.try_clone_to_owned()?.into()))
    }

    /// Opens the file at the path again, or the connection. Lines go on to the old file if that
    /// fails.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(_) => {}
            Self::Named { file, path } => *file = open_file(path)?,
            Self::Socket { stream, tried, .. } => {
                *stream = None;
                *tried = Instant::now().checked_sub(RETRY).unwrap_or(*tried);
            }
        }
        Ok(())
    }

    /// Returns the descriptor of standard output or standard error.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Standard(file) => Some(file.as_fd()),
            Self::Named { .. } | Self::Socket { .. } => None,
        }
    }
}

impl Destination for LogOutput {
    fn prepare(&mut self) -> io::Result<bool> {
        let Self::Socket {
            stream: stream @ None,
            path,
            tried,
        } = self
        else {
            return Ok(false);
        };
        if tried.elapsed() < RETRY {
            return Err(io::ErrorKind::NotConnected.into());
        }
        *tried = Instant::now();
        *stream = Some(connect_to_collector(path)?);
        Ok(true)
    }

    fn is_late(&self, error: &io::Error) -> bool {
        matches!(self, Self::Socket { .. }) && error.kind() == io::ErrorKind::WouldBlock
    }
}

impl Write for LogOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(file) | Self::Named { file, .. } => file.write(bytes),
            Self::Socket { stream, .. } => {
                let Some(open) = stream else {
                    return Err(io::ErrorKind::NotConnected.into());
                };
                let written = open.write(bytes);
                let is_broken = match &written {
                    Ok(written) => *written == 0,
                    Err(error) => !matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ),
                };
                if is_broken {
                    *stream = None;
                }
                written
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
