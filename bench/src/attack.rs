//! Attacks: one client that takes all that it can. Each runs in a process of its own, for a bounded
//! time, with bounded counts.

use std::fmt::{self, Display};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::Failure;
use crate::client::Client;
use crate::frontend::{Link, Target};

/// The address of the attacker; further attackers have those that follow.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The time between two looks at connections that are held.
const LOOK: Duration = Duration::from_millis(50);

/// Blocks of 16 KiB that a flood sends between two looks, if the proxy takes them.
const FLOOD: usize = 64;

/// An attack by its name.
struct Attack {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    /// So many connections do this again and again, with a pause or as fast as they can.
    Repeat {
        connections: usize,
        every: Duration,
        deed: fn(&mut Attacker) -> io::Result<()>,
    },
    /// Connections that send this and stay.
    Hold(fn() -> Vec<u8>),
    /// Connections that send this, and then as much as the proxy takes.
    Flood(fn() -> Vec<u8>),
}

const ATTACKS: [Attack; 15] = [
    Attack {
        name: "hostile-bodies-slowly",
        kind: repeat(1, Duration::from_millis(500), create),
    },
    Attack {
        name: "hostile-bodies",
        kind: repeat(4, Duration::ZERO, create),
    },
    Attack {
        name: "lists",
        kind: repeat(64, Duration::ZERO, list),
    },
    Attack {
        name: "long-lists",
        kind: repeat(4, Duration::ZERO, list_10_000),
    },
    Attack {
        name: "downloads",
        kind: repeat(16, Duration::ZERO, read_download),
    },
    Attack {
        name: "refused",
        kind: repeat(16, Duration::ZERO, be_refused),
    },
    Attack {
        name: "connections",
        kind: repeat(1, Duration::from_millis(20), connect_and_ping),
    },
    Attack {
        name: "garbage",
        kind: repeat(16, Duration::ZERO, send_garbage),
    },
    Attack {
        name: "handshakes",
        kind: repeat(16, Duration::ZERO, shake_hands),
    },
    Attack {
        name: "idle",
        kind: Kind::Hold(Vec::new),
    },
    Attack {
        name: "endless-bodies",
        kind: Kind::Hold(endless_body),
    },
    Attack {
        name: "unread-downloads",
        kind: Kind::Hold(download),
    },
    Attack {
        name: "unread-lists",
        kind: Kind::Hold(pipelined_lists),
    },
    Attack {
        name: "stdin-floods",
        kind: Kind::Flood(attach),
    },
    Attack {
        name: "stalled-uploads",
        kind: Kind::Flood(upload),
    },
];

const fn repeat(
    connections: usize,
    every: Duration,
    deed: fn(&mut Attacker) -> io::Result<()>,
) -> Kind {
    Kind::Repeat {
        connections,
        every,
        deed,
    }
}

/// The answers that an attack got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    /// Requests that were answered, or streams that were opened.
    pub accepted: usize,
    /// Refusals that name a reason: 4xx, and 503 with `Retry-After`.
    pub refused: usize,
    /// Connections that ended without an answer, or with another one.
    pub broken: usize,
    /// Connections without an answer so far.
    pub waiting: usize,
}

impl Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.accepted, self.refused, self.broken, self.waiting
        )
    }
}

impl FromStr for Answers {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let numbers: Vec<usize> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [accepted, refused, broken, waiting] = numbers[..] else {
            return Err(format!("{text}: no answers").into());
        };
        Ok(Self {
            accepted,
            refused,
            broken,
            waiting,
        })
    }
}

/// An attack that goes on in a process of its own. Dropped, it ends.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts an attack. It has the lowest priority: the row is about how the proxy treats the
    /// victim, not about how the kernel shares processor time between the attacker's process and
    /// the victim's.
    ///
    /// # Errors
    /// This program cannot be started.
    pub fn start(
        name: &str,
        target: &str,
        time: Duration,
        count: usize,
        sources: u8,
    ) -> Result<Self, Failure> {
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .args(["attack", name, target]);
        command.args([
            time.as_secs().to_string(),
            count.to_string(),
            sources.to_string(),
        ]);
        Ok(Self(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?,
        ))
    }

    /// Waits for the end of the attack, and returns the answers that it got.
    ///
    /// # Errors
    /// The attack failed.
    pub fn answers(mut self) -> Result<Answers, Failure> {
        let mut text = String::new();
        self.0
            .stdout
            .take()
            .ok_or("no output")?
            .read_to_string(&mut text)?;
        text.parse()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Attacks a frontend for so many seconds, with so many connections that are held, from so many
/// addresses.
///
/// # Errors
/// There is no such attack.
pub fn run(
    name: &str,
    target: &Target,
    time: Duration,
    count: usize,
    sources: u8,
) -> Result<Answers, Failure> {
    let attack = ATTACKS
        .iter()
        .find(|attack| attack.name == name)
        .ok_or_else(|| format!("no attack {name}"))?;
    let until = Instant::now() + time;
    Ok(match attack.kind {
        Kind::Repeat {
            connections,
            every,
            deed,
        } => repeated(target, connections, every, until, deed),
        Kind::Hold(request) => hold(target, count, sources, until, &request(), false),
        Kind::Flood(request) => hold(target, count, sources, until, &request(), true),
    })
}

fn repeated(
    target: &Target,
    connections: usize,
    every: Duration,
    until: Instant,
    deed: fn(&mut Attacker) -> io::Result<()>,
) -> Answers {
    let mut answers = Answers::default();
    std::thread::scope(|scope| {
        let attack = || {
            let (mut attacker, mut done, mut failed) = (Attacker::new(target.clone()), 0, 0);
            while Instant::now() < until {
                match deed(&mut attacker) {
                    Ok(()) => done += 1,
                    Err(_) => {
                        (attacker.kept, failed) = (None, failed + 1);
                        // A proxy that refuses connections is not asked more often than it can
                        // refuse.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                std::thread::sleep(every);
            }
            (done, failed)
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(attack)).collect();
        for (done, failed) in threads.into_iter().filter_map(|thread| thread.join().ok()) {
            (answers.accepted, answers.broken) = (answers.accepted + done, answers.broken + failed);
        }
    });
    answers
}

/// A client that asks again and again.
struct Attacker {
    target: Target,
    kept: Option<Client<Link>>,
    /// Bytes that are made once.
    prepared: String,
    hello: Vec<u8>,
}

impl Attacker {
    fn new(target: Target) -> Self {
        Self {
            target,
            kept: None,
            prepared: String::new(),
            hello: Vec::new(),
        }
    }

    fn client(&mut self) -> io::Result<&mut Client<Link>> {
        let client = match self.kept.take() {
            Some(client) => client,
            None => Client::over(Link::connect(&self.target, SOURCE)?),
        };
        Ok(self.kept.insert(client))
    }

    /// Connects anew. The end of the connection is a reset, which leaves no port in TIME_WAIT.
    fn connect(&self) -> io::Result<Link> {
        let link = Link::connect(&self.target, SOURCE)?;
        link.end_with_reset()?;
        Ok(link)
    }
}

/// A container with 60,000 fields that no engine knows and that say nothing: 660 KB.
fn create(attacker: &mut Attacker) -> io::Result<()> {
    if attacker.prepared.is_empty() {
        let fields: Vec<String> = (0..60_000).map(|at| format!("\"K{at}\":[]")).collect();
        attacker.prepared = format!("{{\"HostConfig\":{{{}}}}}", fields.join(","));
    }
    let body = std::mem::take(&mut attacker.prepared);
    let status = attacker.client()?.create(&body);
    attacker.prepared = body;
    status.map(drop)
}

fn list(attacker: &mut Attacker) -> io::Result<()> {
    attacker
        .client()?
        .ask("GET", "/v1.43/containers/json?all=1")
        .map(drop)
}

/// Asks for a list of 10,000 containers of the usual size: 14 MB.
fn list_10_000(attacker: &mut Attacker) -> io::Result<()> {
    attacker
        .client()?
        .get("/v1.43/containers/json?all=1&containers=10000")
        .map(drop)
}

fn read_download(attacker: &mut Attacker) -> io::Result<()> {
    attacker
        .client()?
        .get("/v1.43/images/get?names=web")
        .map(drop)
}

fn be_refused(attacker: &mut Attacker) -> io::Result<()> {
    attacker
        .client()?
        .ask("DELETE", "/v1.43/containers/web?force=1")
        .map(drop)
}

fn connect_and_ping(attacker: &mut Attacker) -> io::Result<()> {
    Client::over(attacker.connect()?)
        .ask("GET", "/_ping")
        .map(drop)
}

fn send_garbage(attacker: &mut Attacker) -> io::Result<()> {
    let mut link = attacker.connect()?;
    link.write_all(&[0xff; 512])?;
    link.read(&mut [0; 256]).map(drop)
}

/// Sends the first message of a handshake, and leaves when the server has computed its answer.
fn shake_hands(attacker: &mut Attacker) -> io::Result<()> {
    if attacker.hello.is_empty() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .map_err(io::Error::other)?
            .with_root_certificates(RootCertStore::empty());
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::new(config.with_no_client_auth()), name);
        session
            .map_err(io::Error::other)?
            .write_tls(&mut attacker.hello)?;
    }
    let mut link = attacker.connect()?;
    link.write_all(&attacker.hello)?;
    link.read_exact(&mut [0; 5])
}

fn endless_body() -> Vec<u8> {
    let head =
        "POST /v1.43/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n2400\r\n{}",
        "x".repeat(0x2400)
    )
    .into_bytes()
}

fn download() -> Vec<u8> {
    b"GET /v1.43/images/get?names=web HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()
}

/// Two hundred large lists, asked for at once.
fn pipelined_lists() -> Vec<u8> {
    b"GET /v1.43/images/json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200)
}

fn attach() -> Vec<u8> {
    let path = format!(
        "/v1.43/containers/{}/attach?stream=1&stdin=1",
        crate::engine::STALLED
    );
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \
        tcp\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn upload() -> Vec<u8> {
    let head = "Content-Type: application/x-tar\r\nContent-Length: 1000000000";
    format!(
        "POST {} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n",
        crate::engine::STALLED_LOAD
    )
    .into_bytes()
}

fn hold(
    target: &Target,
    count: usize,
    sources: u8,
    until: Instant,
    request: &[u8],
    floods: bool,
) -> Answers {
    let (mut held, mut answers) = (Vec::new(), Answers::default());
    for at in 0..count {
        let number = u8::try_from(at % usize::from(sources.max(1))).unwrap_or_default();
        let source = Ipv4Addr::new(127, 0, 0, SOURCE.octets()[3] + number);
        match Held::open(target, source, request) {
            Ok(one) => held.push(one),
            Err(_) => answers.broken += 1,
        }
        if Instant::now() > until {
            break;
        }
    }
    while Instant::now() < until {
        for one in &mut held {
            one.look(floods);
        }
        std::thread::sleep(LOOK);
    }
    for one in &held {
        match one.answer {
            Some(Answer::Accepted) => answers.accepted += 1,
            Some(Answer::Refused) => answers.refused += 1,
            Some(Answer::Broken) => answers.broken += 1,
            None => answers.waiting += 1,
        }
    }
    answers
}

/// A connection that stays.
struct Held {
    link: Link,
    answer: Option<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    Accepted,
    Refused,
    Broken,
}

impl Held {
    fn open(target: &Target, source: Ipv4Addr, request: &[u8]) -> io::Result<Self> {
        let mut link = Link::connect(target, source)?;
        // A proxy that refuses a connection may have closed it already, with an answer that is
        // still there to be read.
        let _ = link.write_all(request);
        link.set_nonblocking()?;
        Ok(Self { link, answer: None })
    }

    /// Reads as much of an answer as tells its kind, and sends what the proxy takes.
    fn look(&mut self, floods: bool) {
        if self.answer.is_none() {
            let mut room = [0; 1024];
            self.answer = match self.link.read(&mut room) {
                Ok(0) => Some(Answer::Broken),
                Ok(read) => Some(Answer::of(&String::from_utf8_lossy(&room[..read]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(_) => Some(Answer::Broken),
            };
        }
        let is_open = !matches!(self.answer, Some(Answer::Refused | Answer::Broken));
        if is_open && floods {
            let block = [b'x'; 16 << 10];
            let _ = (0..FLOOD).try_for_each(|_| self.link.write(&block).map(drop));
        }
    }
}

impl Answer {
    fn of(text: &str) -> Self {
        let status = text.split(' ').nth(1).unwrap_or_default();
        match status {
            "101" | "200" | "201" => Self::Accepted,
            "503" if text.to_ascii_lowercase().contains("\nretry-after: ") => Self::Refused,
            status if status.starts_with('4') => Self::Refused,
            _ => Self::Broken,
        }
    }
}
