//! The admin listener: what operators and their monitoring ask about a running proxy.
//!
//! It has a thread and connections of its own, so that clients that fill the proxy do not keep
//! operators out, and a scraper takes no time from clients. Nothing of its requests reaches the
//! engine: `/readyz` sends one fixed question.

mod access;
mod body;
mod clients;
mod families;
mod page;
mod pages;
mod policy;
mod readiness;
mod scrape;
mod status;
mod stream;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::backend::tune_socket;
use crate::config::address::Address;
use crate::config::admin::{AdminSettings, is_local};
use crate::flow::{
    AcceptedStream, Arrival, Bound, Handler, InheritedSockets, Listeners, Proxy, bind,
};
use crate::live::READERS;
use crate::log::{Level, Log};
pub use families::metrics_reference;
use pages::{ConnectionKind, Site};
pub(crate) use status::{CheckWarning, Status};

/// Connections at the same time. One more ends the oldest, and rather one whose request has not
/// arrived or lacks the token: connections that say nothing keep no operator out.
const CONNECTIONS: usize = 16;
/// The time that a client may take for the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a connection may last, unless it streams decisions. It serves one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The time in which a peer must acknowledge bytes, so that a stream ends if its peer is cut off.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that streams have for their last events when the listener ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// Streams that the end of the listener waits for: those of all readers, and of some that have just
/// lost their places.
const STREAMS: u32 = 4 * READERS as u32;
/// The largest head of a request, in bytes.
const HEAD_LIMIT: usize = 16 << 10;
/// The most headers of a request.
const HEADERS: usize = 64;

/// The running admin listener.
#[derive(Debug)]
pub(crate) struct AdminListener {
    /// Becomes true when the listener and its thread must end.
    ended: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// The sockets of an admin listener that has not started yet.
#[derive(Debug)]
pub(crate) struct AdminSockets(Vec<Bound>);

impl AdminSockets {
    /// Listens on the address of the admin listener.
    ///
    /// # Errors
    /// Returns a message if the address cannot be listened on, or if other hosts can reach it
    /// although requests need no token: a name may lead to another address than it seems to.
    pub(crate) fn bind(
        settings: &AdminSettings,
        inherited: &mut InheritedSockets,
    ) -> Result<Self, String> {
        let (bound, warnings) = bind(&[settings.listener()], inherited)
            .map_err(|errors| errors.join("\ncetusguard: "))?;
        if bound.is_empty() {
            return Err(warnings.join("\ncetusguard: "));
        }
        // Only now it is known which sockets systemd has passed.
        let has_no_tls = |one: &&Bound| one.name.starts_with("unix://");
        if let Some(plain) = bound.iter().find(has_no_tls)
            && settings.access.tls.is_some()
        {
            return Err(format!(
                "admin-addr {} is the Unix socket {}, and admin-tls-cert is for TCP: let systemd pass \
                a TCP socket, or leave the admin-tls options out",
                settings.address, plain.name
            ));
        }
        let is_open =
            |one: &&Bound| Address::frontend(&one.name).is_ok_and(|address| !is_local(&address));
        match bound.iter().find(is_open) {
            Some(open) if !settings.access.is_protected() => Err(format!(
                "admin-addr {} leads to {}, which other hosts may reach; write a loopback address, \
                or set admin-token-file or admin-tls-cacert",
                settings.address, open.name
            )),
            _ => Ok(Self(bound)),
        }
    }

    /// Returns the address of each socket, for the log.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|bound| &*bound.name)
    }

    /// Serves the proxy's figures on these sockets. `frontends` are the addresses of the
    /// frontends, by their place.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn serve(
        self,
        proxy: &Arc<Proxy>,
        frontends: Vec<Address>,
        log: &Log,
    ) -> io::Result<AdminListener> {
        let (ended, mut ending) = watch::channel(false);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()?;
        let handle = runtime.handle().clone();
        let streams = Arc::new(Semaphore::new(STREAMS as usize));
        let all_streams = Arc::clone(&streams);
        let run = move || {
            runtime.block_on(async {
                // The sender lives as long as the listener: an error is an end as well.
                let _ = ending.wait_for(|ended| *ended).await;
                let _ = timeout(FAREWELL, all_streams.acquire_many(STREAMS)).await;
            });
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        let server = Arc::new(AdminServer {
            site: Arc::new(Site::new(Arc::clone(proxy), frontends, ended.subscribe())),
            handle,
            connections: Mutex::default(),
            streams,
        });
        for name in self.names() {
            log.send(
                log.line(Level::Info, "the admin listener is ready")
                    .text("address", name),
            );
        }
        Listeners::new(self.0).run(&server, log, &ended.subscribe());
        Ok(AdminListener { ended, thread })
    }
}

impl AdminListener {
    /// Ends the listener and its connections.
    pub(crate) fn end(self) {
        self.ended.send_replace(true);
        // A thread that panicked has ended as well.
        let _ = self.thread.join();
    }
}

/// The handler of the admin listener's sockets.
#[derive(Debug)]
struct AdminServer {
    site: Arc<Site>,
    /// The event loop of the listener's own thread.
    handle: Handle,
    /// The connections, the oldest first.
    connections: Mutex<VecDeque<AdminConnection>>,
    /// A permit is taken by each connection that streams decisions.
    streams: Arc<Semaphore>,
}

/// A connection of the admin listener.
#[derive(Debug)]
struct AdminConnection {
    task: AbortHandle,
    standing: Arc<Standing>,
}

/// The progress of a connection, which decides about its place.
#[derive(Debug, Default)]
struct Standing {
    /// A request has come that is entitled to an answer.
    is_entitled: AtomicBool,
    /// The connection streams decisions. It then has a place among the readers of decisions, and
    /// none among the connections.
    is_stream: AtomicBool,
}

impl Handler for AdminServer {
    /// Serves a connection on the listener's own thread.
    async fn begin(&self, _: &Bound, arrival: Arrival) {
        let standing = Arc::<Standing>::default();
        let task = self.handle.spawn(serve_connection(
            arrival.stream,
            Arc::clone(&self.site),
            Arc::clone(&standing),
            Arc::clone(&self.streams),
        ));
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.retain(|one| !one.task.is_finished());
        let has_place = |one: &AdminConnection| !one.standing.is_stream.load(Relaxed);
        if connections.iter().filter(|one| has_place(one)).count() >= CONNECTIONS {
            let is_dispensable =
                |one: &AdminConnection| has_place(one) && !one.standing.is_entitled.load(Relaxed);
            let place = connections.iter().position(is_dispensable);
            let place = place.or_else(|| connections.iter().position(has_place));
            if let Some(ended) = place.and_then(|place| connections.remove(place)) {
                ended.task.abort();
            }
        }
        connections.push_back(AdminConnection {
            task: task.abort_handle(),
            standing,
        });
    }
}

async fn serve_connection(
    stream: AcceptedStream,
    site: Arc<Site>,
    standing: Arc<Standing>,
    streams: Arc<Semaphore>,
) {
    // A connection that cannot be used, or is late, ends without an answer.
    match stream {
        AcceptedStream::Tcp(stream) => {
            // Without these options the connection works all the same.
            let _ = tune_socket(SockRef::from(&stream), site.proxy().buffer);
            let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(ACKNOWLEDGE_TIMEOUT));
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve_tcp(stream, &site, &standing, &streams).await;
            }
        }
        AcceptedStream::Unix(stream) => {
            let _ = site.proxy().buffer.bound(&SockRef::from(&stream));
            if let Ok(stream) = UnixStream::from_std(stream) {
                let kind = ConnectionKind::default();
                serve_http(stream, &site, &standing, &streams, kind).await;
            }
        }
    }
}

/// Serves a TCP connection, over TLS if the listener has it now.
async fn serve_tcp(stream: TcpStream, site: &Site, standing: &Standing, streams: &Semaphore) {
    let mut kind = ConnectionKind {
        is_tcp: true,
        ..ConnectionKind::default()
    };
    let tls = site.proxy().status.access().borrow().tls.clone();
    let Some(tls) = tls else {
        return serve_http(stream, site, standing, streams, kind).await;
    };
    let peer = stream.peer_addr().map(|peer| peer.to_string());
    let accepting = TlsAcceptor::from(tls.config).accept(stream);
    let why = match timeout(HEAD_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => {
            (kind.is_tls, kind.signers) = (true, tls.clients);
            return serve_http(stream, site, standing, streams, kind).await;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "not finished in time".to_owned(),
    };
    let log = &site.proxy().log;
    let line = log.line(Level::Notice, "TLS handshake failed");
    log.send(
        line.text("client", &peer.unwrap_or_default())
            .text("detail", &why),
    );
}

/// Serves one request on a connection.
async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: &Site,
    standing: &Standing,
    streams: &Semaphore,
    kind: ConnectionKind,
) {
    let kind = &kind;
    // Set if the answer is a stream of decisions.
    let subscription = &OnceLock::new();
    let service = service_fn(|request| async move {
        let answer = match site.admit(&request, kind) {
            Err(refusal) => *refusal,
            Ok(admission) => {
                standing.is_entitled.store(true, Relaxed);
                site.answer(&request, admission).await
            }
        };
        if let Some(end) = answer.subscription {
            standing.is_stream.store(true, Relaxed);
            let _ = subscription.set((end, streams.try_acquire().ok()));
        }
        Ok::<_, Infallible>(answer.response)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .keep_alive(false)
            .max_buf_size(HEAD_LIMIT)
            .max_headers(HEADERS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let is_late = timeout(CONNECTION_TIMEOUT, connection.as_mut())
        .await
        .is_err();
    if let Some((end, _)) = subscription.get().filter(|_| is_late) {
        tokio::select! {
            _ = connection => {}
            // Its peer reads nothing, and another reader has its place.
            () = end.wait() => {}
        }
    }
}
