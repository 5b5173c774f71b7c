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
mod places;
mod policy;
mod readiness;
mod scrape;
mod status;
mod stream;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cetusguard_config::address::Address;
use cetusguard_config::admin::is_local;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::config::AdminSettings;
use crate::engine::backend::tune_socket;
use crate::flow::{
    AcceptedStream, Arrival, Bound, Handler, InheritedSockets, Listeners, Proxy, bind,
};
use crate::telemetry::live::READERS;
use crate::telemetry::log::{Level, Log};
use crate::telemetry::tallies::Occurrence;
pub use families::metrics_reference;
use pages::{ConnectionKind, Site};
use places::{AdminConnection, ConnectionStanding, Places};
pub use policy::hash_policy;
pub(crate) use status::Status;

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
        if settings.access.token.is_none() && matches!(settings.address, Address::Inherited(_)) {
            bound.iter().try_for_each(refuse_open_socket)?;
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
            places: Mutex::default(),
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

/// Refuses a Unix socket of systemd that every user may connect to. Its mode is that of its unit,
/// which is 0666 by default, and an abstract name has none.
fn refuse_open_socket(bound: &Bound) -> Result<(), String> {
    let Some(path) = bound.name.strip_prefix("unix://") else {
        return Ok(());
    };
    let advice = "set SocketMode=0600 and a path as ListenStream= in its .socket unit, or set \
        admin-token-file";
    if path.is_empty() {
        return Err(format!(
            "the admin listener's socket of systemd has an abstract name, to which every process \
            of this machine may connect, and requests need no token; {advice}"
        ));
    }
    match fs::metadata(path) {
        Ok(file) if file.mode() & 0o002 == 0 => Ok(()),
        Ok(file) => Err(format!(
            "every user may connect to the admin listener's socket of systemd, {path} (mode \
            {:04o}), and requests need no token; {advice}",
            file.mode() & 0o7777
        )),
        Err(error) => Err(format!(
            "who may connect to the admin listener's socket of systemd, {path}, is not known \
            ({error}), and requests need no token; {advice}"
        )),
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
    places: Mutex<Places>,
    /// A permit is taken by each connection that streams decisions.
    streams: Arc<Semaphore>,
}

impl Handler for AdminServer {
    /// Serves a connection on the listener's own thread.
    async fn begin(&self, _: &Bound, arrival: Arrival) {
        let standing = Arc::<ConnectionStanding>::default();
        let client = arrival.client();
        let task = self.handle.spawn(serve_connection(
            arrival,
            Arc::clone(&self.site),
            Arc::clone(&standing),
            Arc::clone(&self.streams),
        ));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.give(AdminConnection {
            client,
            task: task.abort_handle(),
            standing,
        });
    }
}

async fn serve_connection(
    arrival: Arrival,
    site: Arc<Site>,
    standing: Arc<ConnectionStanding>,
    streams: Arc<Semaphore>,
) {
    let (client, peer) = (arrival.client(), arrival.peer());
    // A connection that cannot be used, or is late, ends without an answer.
    match arrival.stream {
        AcceptedStream::Tcp(stream) => {
            // Without these options the connection works all the same.
            let _ = tune_socket(SockRef::from(&stream), site.proxy().buffer);
            let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(ACKNOWLEDGE_TIMEOUT));
            if let Ok(stream) = TcpStream::from_std(stream)
                && let Err(detail) = serve_tcp(stream, &site, &standing, &streams).await
            {
                let (proxy, event) = (site.proxy(), Occurrence { peer, detail });
                let failed = &proxy.failed_handshakes;
                failed.note(None, client, event, &proxy.log);
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
///
/// # Errors
/// Returns why the TLS handshake failed.
async fn serve_tcp(
    stream: TcpStream,
    site: &Site,
    standing: &ConnectionStanding,
    streams: &Semaphore,
) -> Result<(), String> {
    let mut kind = ConnectionKind {
        is_tcp: true,
        ..ConnectionKind::default()
    };
    let tls = site.proxy().status.access().borrow().tls.clone();
    let Some(tls) = tls else {
        serve_http(stream, site, standing, streams, kind).await;
        return Ok(());
    };
    let accepting = TlsAcceptor::from(tls.config).accept(stream);
    match timeout(HEAD_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => {
            (kind.is_tls, kind.signers) = (true, tls.clients);
            serve_http(stream, site, standing, streams, kind).await;
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("not finished in time".to_owned()),
    }
}

/// Serves one request on a connection.
async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: &Site,
    standing: &ConnectionStanding,
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
