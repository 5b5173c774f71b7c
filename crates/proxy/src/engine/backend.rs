//! Connections to the engine: made here and nowhere else, and kept for reuse.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use cetusguard_config::address::Address;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::runtime::capacity::SocketBuffer;
use cetusguard_http1::{Duplex, ReadBudget, SharedTcp};

/// Idle connections that are kept, and for how long.
const POOL_SIZE: usize = 64;
const POOL_AGE: Duration = Duration::from_secs(30);
/// Time between two attempts to connect to an engine whose queue is full.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The engine.
#[derive(Debug)]
pub struct Backend {
    address: Address,
    /// Names this proxy in its requests.
    via: String,
    /// Changes when the configuration is read again.
    tls: RwLock<Option<Arc<ClientConfig>>>,
    connect_limit: Duration,
    buffer: SocketBuffer,
    /// The memory for reading that all connections share.
    budget: Arc<ReadBudget>,
    idle: Mutex<Vec<Idle>>,
    /// Idle connections that are kept for each event loop.
    pool_size: usize,
    /// Counts the changes of the certificates: connections of another time are not kept.
    generation: AtomicU64,
    /// The requests that the proxy itself has made, and those among them that failed.
    own_requests: [AtomicU64; 2],
}

/// A request of the proxy's own. It counts as failed unless its answer was read.
#[derive(Debug)]
pub(crate) struct OwnRequest<'b> {
    failures: &'b AtomicU64,
    is_answered: bool,
}

impl OwnRequest<'_> {
    /// Notes that the engine has answered.
    pub(crate) fn note_answer(mut self) {
        self.is_answered = true;
    }
}

impl Drop for OwnRequest<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.failures.fetch_add(1, Relaxed);
        }
    }
}

#[derive(Debug)]
struct Idle {
    stream: Duplex,
    since: Instant,
    /// The turn of its event loop in which it was kept.
    turn: LoopTurn,
}

/// The engine cannot be reached.
#[derive(Clone, Debug)]
pub struct Unreachable {
    address: Address,
    /// The event that kept the connection from being made.
    pub what: String,
    /// The advice for the operator, if the engine is at the other end.
    advice: String,
    /// The kind of the error; `None` where there was no answer in time.
    pub kind: Option<io::ErrorKind>,
    /// The error of TLS, where the handshake has failed.
    pub tls: Option<Box<rustls::Error>>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the engine at {} cannot be reached: {}{}",
            self.address, self.what, self.advice
        )
    }
}

impl std::error::Error for Unreachable {}

impl Backend {
    /// An engine to which no connection has been made yet.
    pub fn new(address: Address, tls: Option<Arc<ClientConfig>>, connect_limit: Duration) -> Self {
        Self {
            address,
            // The standard library seeds it with random keys: the value tells nothing about this
            // machine.
            via: format!("1.1 cetusguard-{:016x}", RandomState::new().hash_one(())),
            tls: RwLock::new(tls),
            connect_limit,
            buffer: SocketBuffer::default(),
            budget: Arc::default(),
            idle: Mutex::new(Vec::new()),
            pool_size: POOL_SIZE,
            generation: AtomicU64::new(0),
            own_requests: [const { AtomicU64::new(0) }; 2],
        }
    }

    /// The same with other bounds of its sockets' buffers.
    pub(crate) fn with_buffer(self, buffer: SocketBuffer) -> Self {
        Self { buffer, ..self }
    }

    /// The same with a part of the memory for reading that others share.
    pub(crate) fn with_read_budget(self, budget: Arc<ReadBudget>) -> Self {
        Self { budget, ..self }
    }

    /// The same for so many event loops, which have equal parts of the kept connections.
    pub(crate) fn for_event_loops(self, count: usize) -> Self {
        Self {
            pool_size: (POOL_SIZE / count.max(1)).max(1),
            ..self
        }
    }

    /// Where the engine is.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The value of `Via` (RFC 9110 §7.6.3) in every request to the engine. A request that comes to
    /// a frontend with it has gone in a circle.
    pub(crate) fn via(&self) -> &str {
        &self.via
    }

    /// Counts a request of the proxy's own.
    pub(crate) fn begin_own_request(&self) -> OwnRequest<'_> {
        let [requests, failures] = &self.own_requests;
        requests.fetch_add(1, Relaxed);
        OwnRequest {
            failures,
            is_answered: false,
        }
    }

    /// Returns the number of the proxy's own requests since the start, and of those that failed.
    pub(crate) fn own_requests(&self) -> [u64; 2] {
        self.own_requests
            .each_ref()
            .map(|count| count.load(Relaxed))
    }

    /// Takes a connection that the caller's event loop has kept and that shows no sign of trouble,
    /// the one used last first. A connection of another loop would wake that loop's thread for each
    /// answer.
    pub(crate) fn take_kept(&self) -> Option<Duplex> {
        let now = LoopTurn::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(at) = idle.iter().rposition(|kept| kept.turn.thread == now.thread) {
            let kept = idle.remove(at);
            // An engine that closed the connection, or sent bytes without a request, has disturbed
            // its input.
            if kept.since.elapsed() >= POOL_AGE || kept.stream.input.is_disturbed() {
                continue;
            }
            // If it was kept in this very turn, the loop has not polled since, so the kernel is
            // asked here.
            if kept.turn != now || !kept.stream.input.is_disturbed_in_kernel() {
                return Some(kept.stream);
            }
        }
        None
    }

    /// The number of the certificates that connections are made with now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Keeps a connection whose exchange is finished on both sides, and that was made with the
    /// certificates of this number.
    pub(crate) fn keep_connection(&self, mut stream: Duplex, generation: u64) {
        stream.output.release_memory();
        let turn = LoopTurn::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = idle
            .iter()
            .filter(|kept| kept.turn.thread == turn.thread)
            .count()
            < self.pool_size;
        if has_room && stream.input.buffer.is_empty() && generation == self.generation() {
            idle.push(Idle {
                stream,
                since: Instant::now(),
                turn,
            });
        }
    }

    /// From now on, connections are made with these certificates; kept ones were made with others
    /// and go.
    pub(crate) fn replace_tls(&self, tls: Option<Arc<ClientConfig>>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls;
        self.generation.fetch_add(1, Relaxed);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Closes connections that were not used for a while.
    pub(crate) fn close_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < POOL_AGE && !kept.stream.input.is_disturbed());
    }

    /// Makes a new connection. A Unix socket is opened by its path each time: a restarted engine
    /// has made another one.
    ///
    /// # Errors
    /// The engine cannot be reached before the deadline, or TLS with it fails.
    pub async fn connect(&self) -> Result<Duplex, Unreachable> {
        let (what, advice, kind, tls) = match timeout(self.connect_limit, self.dial()).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                let (what, advice) = self.explain(&error);
                (
                    what,
                    advice,
                    Some(error.kind()),
                    tls_error(&error).cloned().map(Box::new),
                )
            }
            Err(_) => {
                let limit = humantime::format_duration(self.connect_limit);
                (
                    format!("no connection within {limit}"),
                    String::new(),
                    None,
                    None,
                )
            }
        };
        Err(Unreachable {
            address: self.address.clone(),
            what,
            advice,
            kind,
            tls,
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that connects upstream"
    )]
    async fn dial(&self) -> io::Result<Duplex> {
        match &self.address {
            Address::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
                self.buffer.bound(&SockRef::from(&socket))?;
                // A Unix socket is connected at once, or not at all. Without room in the engine's
                // queue, it is busy, not gone.
                let path = SockAddr::unix(path)?;
                while let Err(error) = socket.connect(&path) {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        return Err(error);
                    }
                    sleep(BUSY_PAUSE).await;
                }
                Duplex::unix(OwnedFd::from(socket).into(), &self.budget)
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                tune_socket(SockRef::from(&stream), self.buffer)?;
                let tls = self
                    .tls
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let Some(tls) = tls else {
                    return Ok(Duplex::tcp(stream, &self.budget));
                };
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let socket = SharedTcp::from(stream);
                let stream = TlsConnector::from(tls)
                    .connect(name, socket.clone())
                    .await?;
                Ok(Duplex::tls(stream.into(), socket, &self.budget))
            }
            Address::Inherited(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn explain(&self, error: &io::Error) -> (String, String) {
        let (what, advice) = match (error.kind(), &self.address) {
            (io::ErrorKind::NotFound, _) => (
                "no such socket",
                "; is the engine running, and is its socket mounted into the container?",
            ),
            (io::ErrorKind::ConnectionRefused, _) => {
                ("nothing listens there", "; is the engine running?")
            }
            (io::ErrorKind::PermissionDenied, Address::Unix(path)) => {
                let advice = std::fs::metadata(path).map_or_else(
                    |_| "; run as a user who may open it".to_owned(),
                    |meta| {
                        format!(
                            "; run as its owner (user {}), or add its group: group_add: [\"{}\"]",
                            meta.uid(),
                            meta.gid()
                        )
                    },
                );
                return ("permission denied".to_owned(), advice);
            }
            _ => return (error.to_string(), String::new()),
        };
        (what.to_owned(), advice.to_owned())
    }
}

/// Returns the error of TLS that has ended a connection.
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}

/// A turn of an event loop. Between two turns, the loop asks the kernel which sockets have
/// something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoopTurn {
    /// The thread that runs the loop.
    thread: ThreadId,
    /// The times that the loop has waited for the kernel.
    number: u64,
}

impl LoopTurn {
    /// Returns the turn in which the caller is. Every event loop of the program has one thread.
    fn now() -> Self {
        Self {
            thread: thread::current().id(),
            number: Handle::current().metrics().worker_park_count(0),
        }
    }
}

/// Bounds the buffers of a TCP socket, sends small writes without delay, and probes for peers that
/// died without a word.
pub(crate) fn tune_socket(socket: SockRef<'_>, buffer: SocketBuffer) -> io::Result<()> {
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&probes)?;
    // Bytes that the peer does not take yet wait in the program, where they can be dropped, and not
    // in the kernel.
    socket.set_tcp_notsent_lowat(u32::try_from(buffer.size()).unwrap_or(u32::MAX))?;
    buffer.bound(&socket)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn backend() -> Backend {
        Backend::new(
            Address::Unix("/nowhere".into()),
            None,
            Duration::from_secs(1),
        )
    }

    /// A connection with both of its ends.
    fn pair() -> (Duplex, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("not blocking");
        (
            Duplex::unix(ours, &Arc::default()).expect("a stream"),
            theirs,
        )
    }

    #[test]
    fn a_connection_that_says_anything_is_not_used_again() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let backend = backend();
            for (surplus, waits) in [
                (&b""[..], false),
                (b"", true),
                (b"HTTP/1.1 200 OK\r\n", false),
                (b"x", true),
            ] {
                let (stream, mut engine) = pair();
                // Any sleep has the event loop look once: it has seen the silence of the new
                // connection.
                sleep(Duration::from_millis(1)).await;
                backend.keep_connection(stream, 0);
                engine.write_all(surplus).expect("room");
                if waits {
                    sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(
                    backend.take_kept().is_some(),
                    surplus.is_empty(),
                    "{surplus:?}, {waits}"
                );
            }
            let (stream, engine) = pair();
            backend.keep_connection(stream, 0);
            drop(engine);
            assert!(backend.take_kept().is_none(), "it was closed");
        });
    }
}
