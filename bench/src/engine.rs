//! The engine stand-in: answers from memory, so that what is measured is the way to it.
//!
//! Its heads look like Docker's, which proxies read and pass on. It listens on a Unix socket, where proxies find it, and on
//! TCP, where the load tools find it without one.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{MissedTickBehavior, interval};

/// Bytes of the list of containers.
pub const SMALL_LIST: usize = 2 << 10;
/// Bytes of the list of images.
pub const LARGE_LIST: usize = 200 << 10;
/// Bytes of a transfer.
pub const TRANSFER: usize = 256 << 20;

/// How often a stream carries an event.
pub const EVENT_EVERY: Duration = Duration::from_millis(500);

const HEAD: &str = "Api-Version: 1.43\r\nDocker-Experimental: false\r\nOstype: linux\r\n\
    Server: Docker/24.0.7 (linux)\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n";

static PING: LazyLock<Vec<u8>> = LazyLock::new(|| sized("text/plain; charset=utf-8", b"OK"));
static CONTAINERS: LazyLock<Vec<u8>> = LazyLock::new(|| sized("application/json", &list(SMALL_LIST)));
/// As Docker sends what does not fit its buffer: one chunk that holds it all.
static IMAGES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut answer = chunked("application/json");
    push_chunk(&mut answer, &list(LARGE_LIST));
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
});
static EVENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut chunk = Vec::new();
    let line = format!("{{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"{}\"}}}}\n", "0".repeat(64));
    push_chunk(&mut chunk, line.as_bytes());
    chunk
});

fn sized(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{HEAD}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn chunked(kind: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{HEAD}Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes()
}

fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// A JSON list of exactly this many bytes.
fn list(length: usize) -> Vec<u8> {
    const ITEM: &str = "{\"Id\":\"sha256:0123456789abcdef\",\"Names\":[\"/web\"],\"State\":\"running\"},";
    let mut list = String::from("[");
    while list.len() + ITEM.len() + 2 <= length {
        list.push_str(ITEM);
    }
    list.pop();
    list.push_str(&" ".repeat(length - list.len() - 1));
    list.push(']');
    list.into_bytes()
}

/// Serves until the process is killed.
pub async fn serve(unix: &Path, tcp: &str) -> std::io::Result<()> {
    let unix = UnixListener::bind(unix)?;
    let tcp = TcpListener::bind(tcp).await?;
    loop {
        tokio::select! {
            accepted = unix.accept() => {
                let (read, write) = accepted?.0.into_split();
                tokio::spawn(connection(read, write));
            }
            accepted = tcp.accept() => {
                let stream = accepted?.0;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                tokio::spawn(connection(read, write));
            }
        }
    }
}

/// One connection; it ends when either side has gone.
async fn connection(mut read: impl AsyncRead + Unpin, mut write: impl AsyncWrite + Unpin) {
    let mut buffer = Vec::with_capacity(4 << 10);
    while let Ok(Some(head)) = read_head(&mut read, &mut buffer).await {
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split('?').next().unwrap_or_default();
        let answered = match (method, unversioned(path)) {
            ("GET", "/containers/json") => write.write_all(&CONTAINERS).await,
            ("GET", "/images/json") => write.write_all(&IMAGES).await,
            ("GET", "/events") => return events(read, write).await,
            ("GET", "/images/get") => download(&mut write).await,
            ("POST", "/images/load") => match drain(&mut read, &mut buffer, &head).await {
                Ok(()) => write.write_all(&PING).await,
                error => error,
            },
            ("POST", path) if path.ends_with("/attach") => return echo(read, write).await,
            _ => write.write_all(&PING).await,
        };
        if answered.is_err() {
            return;
        }
    }
}

fn unversioned(path: &str) -> &str {
    match path.strip_prefix("/v1.") {
        Some(rest) => rest.find('/').map_or(path, |at| &rest[at..]),
        None => path,
    }
}

/// The next head, without what follows it; `None` at the end of the connection.
async fn read_head(read: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = String::from_utf8_lossy(&std::mem::replace(buffer, rest)).into_owned();
            return Ok(Some(head));
        }
        if read.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A request's body of a known length: proxies and loads of this bench send no other.
async fn drain(read: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, head: &str) -> std::io::Result<()> {
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut left: usize = length.unwrap_or(0);
    left -= left.min(buffer.len());
    buffer.clear();
    let mut room = vec![0; 256 << 10];
    while left > 0 {
        match read.read(&mut room).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            some => left = left.saturating_sub(some),
        }
    }
    Ok(())
}

/// Chunks of the size that Go's copy makes.
async fn download(write: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    const CHUNK: usize = 32 << 10;
    let mut chunk = Vec::new();
    push_chunk(&mut chunk, &[b'x'; CHUNK]);
    write.write_all(&chunked("application/x-tar")).await?;
    for _ in 0..TRANSFER / CHUNK {
        write.write_all(&chunk).await?;
    }
    write.write_all(b"0\r\n\r\n").await
}

async fn events(mut read: impl AsyncRead + Unpin, mut write: impl AsyncWrite + Unpin) {
    let mut ticks = interval(EVENT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if write.write_all(&chunked("application/json")).await.is_err() {
        return;
    }
    let mut gone = [0; 1];
    loop {
        tokio::select! {
            _ = ticks.tick() => if write.write_all(&EVENT).await.is_err() { return },
            _ = read.read(&mut gone) => return,
        }
    }
}

async fn echo(mut read: impl AsyncRead + Unpin, mut write: impl AsyncWrite + Unpin) {
    let head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    if write.write_all(head).await.is_ok() {
        // The end of either side is the end of the echo.
        let _ = tokio::io::copy(&mut read, &mut write).await;
    }
}
