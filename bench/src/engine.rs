//! The engine stand-in: answers from memory, after the time that a real engine takes.
//!
//! Its heads look like Docker's, which proxies read and pass on. It listens on a Unix socket, where
//! proxies find it, and on TCP, where the load tools find it without one.
//!
//! A real engine reads a request at once and answers some 200 µs later. In that time the proxy's
//! socket becomes writable again, which wakes a proxy that waits for it: an engine without a delay
//! hides that system call. A timer of tokio counts in milliseconds, so each connection has a thread
//! that sleeps in the kernel (`clock_nanosleep`), and spends no processor time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::objects;

/// Bytes of the list of containers.
pub const SMALL_LIST: usize = 2 << 10;
/// Bytes of the list of images.
pub const LARGE_LIST: usize = 200 << 10;
/// Bytes of a transfer.
pub const TRANSFER: usize = 256 << 20;

/// The delay of an answer that is no stream; `BENCH_ENGINE_DELAY` names another one, in
/// microseconds.
pub const DELAY: Duration = Duration::from_micros(200);
/// The container whose input the engine never reads.
pub const STALLED: &str = "stalled";
/// The upload that the engine never reads.
pub const STALLED_LOAD: &str = "/v1.43/images/load?quiet=1";
/// The call for the events of a past time: [`PAST_EVENTS`] of them, and then the stream ends.
pub const PAST: &str = "/v1.43/events?since=1&until=2";
/// The number of events of a past time.
pub const PAST_EVENTS: usize = 1_000;
/// Connections whose threads are started with little stack: thousands of them are streams.
const STACK: usize = 128 << 10;

/// How often a stream carries an event.
pub const EVENT_EVERY: Duration = Duration::from_millis(500);

const HEAD: &str = "Api-Version: 1.43\r\nDocker-Experimental: false\r\nOstype: linux\r\n\
    Server: Docker/24.0.7 (linux)\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n";

static PING: LazyLock<Vec<u8>> = LazyLock::new(|| sized("text/plain; charset=utf-8", b"OK"));
static CONTAINERS: LazyLock<Vec<u8>> =
    LazyLock::new(|| sized("application/json", &list(SMALL_LIST)));
/// As Docker sends what does not fit its buffer: one chunk that holds it all.
static IMAGES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut answer = chunked("application/json");
    push_chunk(&mut answer, &list(LARGE_LIST));
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
});
static EVENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut chunk = Vec::new();
    let line = format!(
        "{{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"{}\"}}}}\n",
        "0".repeat(64)
    );
    push_chunk(&mut chunk, line.as_bytes());
    chunk
});

static HISTORY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut answer = chunked("application/json");
    for event in objects::events(PAST_EVENTS) {
        push_chunk(&mut answer, event.as_bytes());
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
});
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let body = format!(
        "{{\"Id\":\"sha256:{}\",\"RepoTags\":[\"nginx:1.27\"],\"Config\":{{\"Labels\":null}}}}\n",
        "1".repeat(64)
    );
    sized("application/json", body.as_bytes())
});
static NETWORK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let body = format!(
        "{{\"Id\":\"{}\",\"Name\":\"bridge\",\"Driver\":\"bridge\",\"Labels\":{{}}}}\n",
        "2".repeat(64)
    );
    sized("application/json", body.as_bytes())
});
static INSPECTION: LazyLock<Vec<u8>> =
    LazyLock::new(|| sized("application/json", &objects::inspection()));
static CREATED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let body = format!("{{\"Id\":\"{}\",\"Warnings\":[]}}\n", "c".repeat(64));
    with_status("201 Created", "application/json", body.as_bytes())
});

fn sized(kind: &str, body: &[u8]) -> Vec<u8> {
    with_status("200 OK", kind, body)
}

fn with_status(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{HEAD}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{HEAD}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
        .into_bytes()
}

fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// A JSON list of exactly this many bytes.
fn list(length: usize) -> Vec<u8> {
    const ITEM: &str =
        "{\"Id\":\"sha256:0123456789abcdef\",\"Names\":[\"/web\"],\"State\":\"running\"},";
    let mut list = String::from("[");
    while list.len() + ITEM.len() + 2 <= length {
        list.push_str(ITEM);
    }
    list.pop();
    list.push_str(&" ".repeat(length - list.len() - 1));
    list.push(']');
    list.into_bytes()
}

const UPGRADED: &[u8] =
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
    Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// The engine's end of a connection.
trait Link: Send + Sync + 'static {
    /// Limits the time that reading waits.
    fn set_read_limit(&self, limit: Duration) -> io::Result<()>;
}

impl Link for TcpStream {
    fn set_read_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
}

impl Link for UnixStream {
    fn set_read_limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }
}

/// The delay that the environment names, or else the usual one.
#[must_use]
pub fn delay() -> Duration {
    let named = std::env::var("BENCH_ENGINE_DELAY")
        .ok()
        .and_then(|delay| delay.parse().ok());
    named.map_or(DELAY, Duration::from_micros)
}

/// Serves until the process is killed.
///
/// # Errors
/// It cannot listen, or cannot accept.
pub fn serve(unix: &Path, tcp: &str) -> io::Result<()> {
    // The kernel may delay the end of a sleep by 50 µs to save power. Threads inherit a shorter
    // time from this one.
    std::fs::write("/proc/self/timerslack_ns", "1000")?;
    let delay = delay();
    let (unix, tcp) = (UnixListener::bind(unix)?, TcpListener::bind(tcp)?);
    std::thread::spawn(move || {
        for stream in unix.incoming().map_while(Result::ok) {
            spawn(stream, delay)?;
        }
        Ok::<(), io::Error>(())
    });
    for stream in tcp.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        spawn(stream, delay)?;
    }
    Ok(())
}

fn spawn<S: Link>(stream: S, delay: Duration) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    // An error is the end of the connection.
    let serve = move || drop(connection(&stream, delay));
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(serve)
        .map(drop)
}

/// Serves one connection; it ends when either side has gone.
fn connection<S: Link>(stream: &S, delay: Duration) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let (mut read, mut write) = (stream, stream);
    let mut buffer = Vec::with_capacity(4 << 10);
    while let Some(head) = read_head(&mut read, &mut buffer)? {
        let mut words = head.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let path = unversioned(target.split('?').next().unwrap_or_default());
        match (method, path) {
            ("GET", "/events") if target != PAST => return events(stream),
            ("POST", path) if path.ends_with("/attach") && path.contains(STALLED) => {
                return stall(&mut write);
            }
            ("POST", path) if path.ends_with("/attach") => return echo(&mut read, &mut write),
            ("POST", _) if target == STALLED_LOAD => return forget(),
            _ => drain(&mut read, &mut buffer, &head)?,
        }
        std::thread::sleep(delay);
        match (method, path) {
            ("GET", "/containers/json") => match number_of_containers(target) {
                Some(count) => write.write_all(&containers(count))?,
                None => write.write_all(&CONTAINERS)?,
            },
            ("GET", "/events") => write.write_all(&HISTORY)?,
            ("POST", "/containers/create") => write.write_all(&CREATED)?,
            ("GET", "/images/json") => write.write_all(&IMAGES)?,
            ("GET", "/images/get") => download(&mut write)?,
            ("GET", path) => match inspected(path) {
                Some(objects::INSPECTED) => write.write_all(&INSPECTION)?,
                None if path.starts_with("/networks/") => write.write_all(&NETWORK)?,
                None if path.starts_with("/images/") && path.ends_with("/json") => {
                    write.write_all(&IMAGE)?;
                }
                Some(name) => write.write_all(&container(name))?,
                None => write.write_all(&PING)?,
            },
            _ => write.write_all(&PING)?,
        }
    }
    Ok(())
}

fn unversioned(path: &str) -> &str {
    match path.strip_prefix("/v1.") {
        Some(rest) => rest.find('/').map_or(path, |at| &rest[at..]),
        None => path,
    }
}

/// The number of containers that a call asks this engine for: `limit`, which real engines have, would
/// not do, since a proxy that filters lists counts by itself.
fn number_of_containers(target: &str) -> Option<usize> {
    let (_, query) = target.split_once('?')?;
    let mut pairs = query.split('&');
    pairs.find_map(|pair| pair.strip_prefix("containers=")?.parse().ok())
}

/// The list of so many containers of the usual size, in one chunk. The last one is kept: an engine
/// that made it anew for each call would itself be the bottleneck.
fn containers(count: usize) -> Arc<Vec<u8>> {
    static LAST: Mutex<Option<(usize, Arc<Vec<u8>>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, answer)) = &*last
        && *of == count
    {
        return Arc::clone(answer);
    }
    let mut answer = chunked("application/json");
    push_chunk(&mut answer, &objects::list(count));
    answer.extend_from_slice(b"0\r\n\r\n");
    let answer = Arc::new(answer);
    *last = Some((count, Arc::clone(&answer)));
    answer
}

/// The name of the container that a path inspects.
fn inspected(path: &str) -> Option<&str> {
    path.strip_prefix("/containers/")?.strip_suffix("/json")
}

/// A container whose identifier is its name, so that a proxy that calls it by its identifier is
/// understood.
fn container(name: &str) -> Vec<u8> {
    sized(
        "application/json",
        format!("{{\"Id\":\"{name}\",\"Name\":\"/{name}\"}}").as_bytes(),
    )
}

/// The next head, without what follows it; `None` at the end of the connection.
fn read_head(read: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut room = [0; 4 << 10];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = String::from_utf8_lossy(&std::mem::replace(buffer, rest)).into_owned();
            return Ok(Some(head));
        }
        match read.read(&mut room)? {
            0 => return Ok(None),
            some => buffer.extend_from_slice(&room[..some]),
        }
    }
}

/// Reads a request's body of a known length: proxies and loads of this bench send no other.
fn drain(read: &mut impl Read, buffer: &mut Vec<u8>, head: &str) -> io::Result<()> {
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let mut left: usize = length.unwrap_or(0);
    let here = left.min(buffer.len());
    buffer.drain(..here);
    left -= here;
    let mut room = if left == 0 {
        Vec::new()
    } else {
        vec![0; left.min(256 << 10)]
    };
    while left > 0 {
        match read.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            some => left = left.saturating_sub(some),
        }
    }
    Ok(())
}

/// Chunks of the size that Go's copy makes.
fn download(write: &mut impl Write) -> io::Result<()> {
    const CHUNK: usize = 32 << 10;
    let mut chunk = Vec::new();
    push_chunk(&mut chunk, &[b'x'; CHUNK]);
    write.write_all(&chunked("application/x-tar"))?;
    for _ in 0..TRANSFER / CHUNK {
        write.write_all(&chunk)?;
    }
    write.write_all(b"0\r\n\r\n")
}

/// Sends an event again and again, until the client has left.
fn events<S: Link>(stream: &S) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let (mut read, mut write) = (stream, stream);
    stream.set_read_limit(EVENT_EVERY)?;
    write.write_all(&chunked("application/json"))?;
    loop {
        write.write_all(&EVENT)?;
        match read.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
            _ => return Ok(()),
        }
    }
}

fn echo(read: &mut impl Read, write: &mut impl Write) -> io::Result<()> {
    write.write_all(UPGRADED)?;
    let mut room = [0; 16 << 10];
    loop {
        match read.read(&mut room)? {
            0 => return Ok(()),
            some => write.write_all(&room[..some])?,
        }
    }
}

/// Attaches a client, and reads nothing of its input.
fn stall(write: &mut impl Write) -> io::Result<()> {
    write.write_all(UPGRADED)?;
    forget()
}

/// Keeps the connection open for as long as the process lives.
fn forget() -> io::Result<()> {
    loop {
        std::thread::park();
    }
}
