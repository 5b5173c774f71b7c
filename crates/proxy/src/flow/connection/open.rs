//! Open: from an accepted socket to a connection. TLS is spoken where the frontend has it, and the
//! peer tells who it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cetusguard_policy::Certificate;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::unix::UCred;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::super::Proxy;
use super::{Connection, PendingConnection};
use crate::engine::backend::tune_socket;
use crate::flow::listen::AcceptedStream;
use crate::telemetry::live::Live;
use crate::telemetry::log::Level;
use crate::telemetry::tallies::Occurrence;
use crate::tls;
use crate::tls::certificate;
use cetusguard_http1::{Duplex, ReadBudget, SharedTcp};

impl PendingConnection {
    /// Speaks TLS where the frontend has it. Returns `None` if the handshake fails or is late, if
    /// the socket cannot be used, or if the program stops.
    pub(in crate::flow) async fn open(self, proxy: &Proxy) -> Option<Connection> {
        let (mut principal, mut signers) = (self.principal, None);
        let is_tls = self.tls.is_some();
        let stream = match (self.stream, self.tls) {
            (AcceptedStream::Unix(stream), _) => {
                let _ = proxy.buffer.bound(&SockRef::from(&stream));
                Duplex::unix(stream, &proxy.read_budget).map_err(|error| error.to_string())
            }
            (AcceptedStream::Tcp(stream), tls) => {
                // Without these options the connection works all the same.
                let _ = tune_socket(SockRef::from(&stream), proxy.buffer);
                match (TcpStream::from_std(stream), tls) {
                    (Err(error), _) => Err(error.to_string()),
                    (Ok(stream), None) => Ok(Duplex::tcp(stream, &proxy.read_budget)),
                    (Ok(stream), Some(tls)) => {
                        signers.clone_from(&tls.clients);
                        let (budget, limit) = (Arc::clone(&proxy.read_budget), proxy.limits().head);
                        let secured = tokio::select! {
                            // In memory of its own, since connections without TLS do not need it.
                            secured = Box::pin(proxy.handshakes.run_apart(do_handshake(tls, stream, budget, limit))) => secured,
                            () = proxy.stop() => return None,
                        };
                        secured.map(|(stream, shown)| {
                            principal.certificate = shown;
                            stream
                        })
                    }
                }
            }
        };
        let enter = |live: &Arc<Live>| live.roster.enter(&self.peer, self.admission.client());
        match stream {
            Ok(stream) => Some(Connection {
                roster_place: proxy.live.as_ref().map(enter),
                stream,
                peer: self.peer,
                principal,
                identity: None,
                signers,
                seen: None,
                arrived: self.arrived,
                served: false,
                stop: Box::pin(last_call(proxy)),
                request: None,
                is_last: false,
                admission: self.admission,
                _seat: self.seat,
                _alive: self.alive,
            }),
            Err(why) if is_tls => {
                let event = Occurrence {
                    peer: Arc::clone(&self.peer.client),
                    detail: why,
                };
                let frontend = Some(Arc::clone(&self.peer.frontend));
                let client = principal.subject(None);
                proxy
                    .failed_handshakes
                    .note(frontend, client, event, &proxy.log);
                None
            }
            Err(why) => {
                let line = proxy
                    .log
                    .line(Level::Notice, "connection not served")
                    .text("frontend", &self.peer.frontend)
                    .text("client", &self.peer.client);
                proxy.log.send(line.text("detail", &why));
                None
            }
        }
    }
}

/// A connection over TLS, with the certificate that the client has shown, where it had to.
type Secured = (Duplex, Option<Arc<Certificate>>);

/// Does the TLS handshake.
async fn do_handshake(
    tls: tls::FrontendTls,
    stream: TcpStream,
    budget: Arc<ReadBudget>,
    limit: Duration,
) -> Result<Secured, String> {
    let socket = SharedTcp::from(stream);
    let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(socket.clone());
    let stream = match timeout(limit, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("not finished in time".to_owned()),
    };
    let shown = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let read = shown
        .map(|shown| certificate::read_certificate(shown))
        .transpose();
    let certificate = read
        .map_err(|error| format!("the client's certificate cannot be read: {error}"))?
        .map(Arc::new);
    Ok((Duplex::tls(stream.into(), socket, &budget), certificate))
}

/// Returns the IPv4 address of a client that a socket for both families shows as IPv6.
pub(in crate::flow) fn canonical_address(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Describes the process behind a Unix socket, for the log.
pub(in crate::flow) fn describe_peer(peer: Option<UCred>) -> String {
    let Some(peer) = peer else {
        return "unix".to_owned();
    };
    let pid = peer
        .pid()
        .map(|pid| format!(",pid={pid}"))
        .unwrap_or_default();
    format!("unix:uid={},gid={}{pid}", peer.uid(), peer.gid())
}

/// The time in which a client may still send a request after the program was asked to stop: it may
/// have sent one already. The answer says that the connection closes.
const LAST_CALL: Duration = Duration::from_millis(250);

fn last_call(proxy: &Proxy) -> impl Future<Output = ()> + Send + use<> {
    let (stop, time) = (proxy.stop(), LAST_CALL.min(proxy.limits().drain / 2));
    async move {
        stop.await;
        sleep(time).await;
    }
}
