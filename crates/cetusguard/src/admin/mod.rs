//! The admin listener: what operators and their monitoring ask about a running proxy.
//!
//! It has a thread and connections of its own, so that clients that fill the proxy do not keep
//! operators out, and a scraper takes no time from clients. Nothing of its requests reaches the
//! engine: `/readyz` sends one fixed question.

mod access;
mod families;
mod pages;
mod policy;
mod readiness;
mod scrape;
mod status;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::config::address::Address;
use crate::config::admin::{AdminSettings, is_local};
use crate::flow::{
    AcceptedStream, Arrival, Bound, Handler, InheritedSockets, Listeners, Proxy, bind,
};
use crate::log::{Level, Log};
pub use families::metrics_reference;
use pages::Site;
pub(crate) use status::{CheckWarning, Status};

/// Connections at the same time. One more ends the oldest, and rather one whose request has not
/// arrived or lacks the token: connections that say nothing keep no operator out.
const CONNECTIONS: usize = 16;
/// The time that a client may take for the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a connection may last. It serves one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
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
        let is_open =
            |one: &&Bound| Address::frontend(&one.name).is_ok_and(|address| !is_local(&address));
        match bound.iter().find(is_open) {
            Some(open) if settings.token.is_none() => Err(format!(
                "admin-addr {} leads to {}, which other hosts may reach; write a loopback address, \
                or set admin-token-file",
                settings.address, open.name
            )),
            _ => Ok(Self(bound)),
        }
    }

    /// Returns the address of each socket, for the log.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|bound| &*bound.name)
    }

    /// Serves the proxy's figures on these sockets. `frontends` are the names of the
    /// frontends that may have TLS.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn serve(
        self,
        proxy: &Arc<Proxy>,
        frontends: Vec<Option<String>>,
        log: &Log,
    ) -> io::Result<AdminListener> {
        let (ended, mut ending) = watch::channel(false);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()?;
        let handle = runtime.handle().clone();
        let run = move || {
            // The sender lives as long as the listener: an error is an end as well.
            let _ = runtime.block_on(ending.wait_for(|ended| *ended));
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        let server = Arc::new(AdminServer {
            site: Arc::new(Site::new(Arc::clone(proxy), frontends)),
            handle,
            connections: Mutex::default(),
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
}

/// A connection of the admin listener.
#[derive(Debug)]
struct AdminConnection {
    task: AbortHandle,
    /// Set once a request has come that is entitled to an answer.
    is_entitled: Arc<AtomicBool>,
}

impl Handler for AdminServer {
    /// Serves a connection on the listener's own thread.
    async fn begin(&self, _: &Bound, arrival: Arrival) {
        let is_entitled = Arc::new(AtomicBool::new(false));
        let task = self.handle.spawn(serve_connection(
            arrival.stream,
            Arc::clone(&self.site),
            Arc::clone(&is_entitled),
        ));
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.retain(|one| !one.task.is_finished());
        if connections.len() >= CONNECTIONS {
            let is_dispensable = |one: &AdminConnection| !one.is_entitled.load(Relaxed);
            let place = connections.iter().position(is_dispensable);
            if let Some(ended) = connections.remove(place.unwrap_or_default()) {
                ended.task.abort();
            }
        }
        connections.push_back(AdminConnection {
            task: task.abort_handle(),
            is_entitled,
        });
    }
}

async fn serve_connection(stream: AcceptedStream, site: Arc<Site>, is_entitled: Arc<AtomicBool>) {
    // A connection that cannot be used, or is late, ends without an answer.
    match stream {
        AcceptedStream::Tcp(stream) => {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve_http(stream, &site, &is_entitled, true).await;
            }
        }
        AcceptedStream::Unix(stream) => {
            if let Ok(stream) = UnixStream::from_std(stream) {
                serve_http(stream, &site, &is_entitled, false).await;
            }
        }
    }
}

/// Serves one request on a connection.
async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: &Site,
    is_entitled: &AtomicBool,
    is_tcp: bool,
) {
    let service = service_fn(|request| async move {
        let response = match site.refuse(&request, is_tcp) {
            Some(refusal) => refusal,
            None => {
                is_entitled.store(true, Relaxed);
                site.answer(&request).await
            }
        };
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(HEAD_LIMIT)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(CONNECTION_TIMEOUT, connection).await;
}
