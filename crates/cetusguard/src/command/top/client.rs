//! The requests of the command to the admin listener.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cetusguard_config::address::Address;
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::events::EventReader;
use super::figures::ShownFigures;
use super::state::{Poll, ProxyNews};
use cetusguard_http1::{Body, Duplex, read_content, read_response_head, response_framing};
use cetusguard_proxy::{Backend, Unreachable};

/// The time for all answers of one poll.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest answer that is read: 200 clients with 50 streams each fit.
const LARGEST: usize = 16 << 20;
/// The longest wait for a part of the stream of decisions: the proxy sends a comment every ten
/// seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// The pause before the stream of decisions is asked for again.
const PAUSE: Duration = Duration::from_secs(2);
/// Decisions that are shown: allowed calls are counted by the metrics alone.
const DECISIONS: &str = "/decisions?decision=refused&decision=would_deny";

/// A client of an admin listener.
pub(super) struct AdminClient {
    address: Address,
    /// The end to connect to, which is no engine.
    listener: Backend,
    /// Every request carries it, if there is one.
    token: Option<String>,
    speaks_tls: bool,
}

/// The reason why there is no usable answer of the admin listener.
#[derive(Debug)]
pub(super) struct Unavailable {
    address: Address,
    speaks_tls: bool,
    has_token: bool,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// There is no connection.
    Unreachable(Unreachable),
    /// There is no complete answer in time.
    Late,
    /// The connection broke, or the answer is not HTTP.
    Broken(String),
    /// Another status than 200 answers this path, with this text.
    Status(u16, &'static str, String),
    /// The answer to this path has another form.
    Strange(&'static str, String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.why {
            Why::Unreachable(unreachable) => self.write_unreachable(f, unreachable),
            Why::Late => write!(
                f,
                "the admin listener at {address} did not answer within {} s; does the proxy run, \
                and is it the address of its admin-addr?",
                DEADLINE.as_secs()
            ),
            Why::Broken(what) if self.speaks_tls => write!(
                f,
                "the admin listener at {address} does not answer: {what}; if its clients need \
                certificates, give one that admin-tls-cacert has signed: --tls-cert FILE --tls-key \
                FILE"
            ),
            Why::Broken(what) if matches!(address, Address::Tcp { .. }) => write!(
                f,
                "the admin listener at {address} does not answer in HTTP: {what}; if it has TLS, \
                name the file of its CA: --tls-cacert FILE"
            ),
            Why::Broken(what) => write!(
                f,
                "the admin listener at {address} broke off its answer: {what}; does the proxy \
                still run, and is it the socket of its admin-addr?"
            ),
            Why::Status(401, ..) if self.has_token => write!(
                f,
                "the admin listener at {address} refuses the token; give the one of its \
                admin-token-file: --token-file FILE"
            ),
            Why::Status(401, ..) => write!(
                f,
                "the admin listener at {address} needs a token; give the one of its \
                admin-token-file: --token-file FILE"
            ),
            Why::Status(status, path, text) => write!(
                f,
                "{address} answered {status} to {path}: {text}; is it the address of admin-addr, \
                and not of a frontend?"
            ),
            Why::Strange(path, what) => write!(
                f,
                "the answer of {address} to {path} cannot be read: {what}; is it the admin \
                listener of a proxy of this version?"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

impl Unavailable {
    fn write_unreachable(
        &self,
        f: &mut fmt::Formatter<'_>,
        unreachable: &Unreachable,
    ) -> fmt::Result {
        let (address, what) = (&self.address, &unreachable.what);
        let advice = match (unreachable.kind, address) {
            (Some(io::ErrorKind::PermissionDenied), _) => {
                "run this command as the user of the proxy, or let others in with admin-socket-mode"
            }
            (Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused), _) => {
                "start the proxy with admin-addr, or name the address that it has: cetusguard top \
                ADDR"
            }
            _ if self.speaks_tls => {
                "name the file of the CA that signed its certificate: --tls-cacert FILE; the \
                certificate of the configuration has to be the one that the proxy has read"
            }
            _ => "name the address of admin-addr of a proxy that runs: cetusguard top ADDR",
        };
        write!(
            f,
            "the admin listener at {address} cannot be reached: {what}; {advice}"
        )
    }
}

impl AdminClient {
    pub(super) fn new(
        address: Address,
        tls: Option<Arc<ClientConfig>>,
        token: Option<String>,
    ) -> Self {
        Self {
            speaks_tls: tls.is_some(),
            listener: Backend::new(address.clone(), tls, DEADLINE),
            address,
            token,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Asks for everything that is shown. The admin listener answers one request on a connection.
    pub(super) async fn poll(&self) -> Result<Box<Poll>, Unavailable> {
        let asked = async {
            let metrics = self.get_ok("/metrics").await?;
            let figures = ShownFigures::read(&metrics, Instant::now());
            let clients = parse(&self.get_ok("/clients").await?, "/clients")?;
            let policy = parse(&self.get_ok("/policy").await?, "/policy")?;
            let unready = match self.get("/readyz").await? {
                (200, _) => None,
                (503, why) => Some(why),
                (status, text) => return Err(Why::Status(status, "/readyz", text)),
            };
            Ok(Box::new(Poll {
                figures,
                clients,
                policy,
                unready,
            }))
        };
        timeout(DEADLINE, asked)
            .await
            .unwrap_or(Err(Why::Late))
            .map_err(|why| self.unavailable(why))
    }

    fn unavailable(&self, why: Why) -> Unavailable {
        Unavailable {
            address: self.address.clone(),
            speaks_tls: self.speaks_tls,
            has_token: self.token.is_some(),
            why,
        }
    }

    /// Sends a request on a new connection, and reads the head of its answer.
    async fn request(&self, path: &str) -> Result<(u16, Duplex, Body), Why> {
        let mut stream = self.listener.connect().await.map_err(Why::Unreachable)?;
        let token = match &self.token {
            Some(token) => format!("Authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cetusguard-top\r\n{token}\r\n"
        );
        let sent = async {
            stream.output.write_all(request.as_bytes()).await?;
            stream.output.flush().await
        };
        sent.await.map_err(broken)?;
        let head = read_response_head(&mut stream.input)
            .await
            .map_err(broken)?;
        let framing = response_framing(&head, false).map_err(broken)?;
        Ok((head.status, stream, Body::new(framing)))
    }

    /// Returns the status and the text of an answer.
    async fn get(&self, path: &'static str) -> Result<(u16, String), Why> {
        let (status, mut stream, body) = self.request(path).await?;
        Ok((status, read_text(&mut stream, body, path).await?))
    }

    /// Returns the text of an answer that has to be 200.
    async fn get_ok(&self, path: &'static str) -> Result<String, Why> {
        match self.get(path).await? {
            (200, text) => Ok(text),
            (status, text) => Err(Why::Status(status, path, text.trim().to_owned())),
        }
    }

    /// Asks for the stream of decisions.
    async fn open_decisions(&self) -> Result<(Duplex, Body), Why> {
        let asked = async {
            match self.request(DECISIONS).await? {
                (200, stream, body) => Ok((stream, body)),
                (status, mut stream, body) => {
                    let text = read_text(&mut stream, body, "/decisions").await?;
                    Err(Why::Status(status, "/decisions", text.trim().to_owned()))
                }
            }
        };
        timeout(DEADLINE, asked).await.unwrap_or(Err(Why::Late))
    }

    /// Reports refusals until the stream ends; returns why it ended.
    async fn follow(&self, reports: &mpsc::Sender<ProxyNews>) -> Result<(), Why> {
        let (mut stream, mut body) = self.open_decisions().await?;
        if reports.send(ProxyNews::Following).await.is_err() {
            return Ok(());
        }
        let mut reader = EventReader::default();
        loop {
            let mut content = Vec::new();
            let part = read_content(&mut stream.input, &mut body, &mut content);
            match timeout(SILENCE, part).await {
                Err(_) => return Err(Why::Late),
                Ok(Err(error)) => return Err(broken(error)),
                Ok(Ok(false)) => {
                    return Err(Why::Broken("the stream of decisions ended".to_owned()));
                }
                Ok(Ok(true)) => {}
            }
            let events = reader.push(&content);
            for event in events.map_err(|why| Why::Strange("/decisions", why))? {
                if reports.send(ProxyNews::Event(event)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// Reports refusals until the receiver is gone, and asks again for a stream that has ended.
pub(super) async fn follow_refusals(client: Arc<AdminClient>, reports: mpsc::Sender<ProxyNews>) {
    while let Err(why) = client.follow(&reports).await {
        let why = client.unavailable(why).to_string();
        if reports.send(ProxyNews::NotFollowing(why)).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

fn broken(error: impl fmt::Display) -> Why {
    Why::Broken(error.to_string())
}

async fn read_text(stream: &mut Duplex, mut body: Body, path: &'static str) -> Result<String, Why> {
    let mut answer = Vec::new();
    while read_content(&mut stream.input, &mut body, &mut answer)
        .await
        .map_err(broken)?
    {
        if answer.len() > LARGEST {
            let size = LARGEST >> 20;
            return Err(Why::Strange(path, format!("it is larger than {size} MiB")));
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse<T: DeserializeOwned>(text: &str, path: &'static str) -> Result<T, Why> {
    serde_json::from_str(text).map_err(|error| Why::Strange(path, error.to_string()))
}
