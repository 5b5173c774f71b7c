//! Loads: wrk for throughput, and what no tool from a package does — connections that idle,
//! streams, transfers, hijacks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::contender::Started;
use crate::{Failure, process};

/// What a run of wrk says, and what it cost the contender.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Requests a second.
    pub rate: f64,
    /// Median latency in microseconds.
    pub latency: f64,
    /// Processor time a request in microseconds; none where there is no process.
    pub cpu: Option<f64>,
}

/// Clients in a closed loop on kept connections.
///
/// # Errors
/// Where wrk is missing, or any request fails.
pub fn closed_loop(
    started: &Started,
    path: &str,
    clients: usize,
    seconds: u32,
) -> Result<Run, Failure> {
    let before = started.pid().map(process::cpu).transpose()?;
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{clients}"),
            &format!("-d{seconds}s"),
            "--latency",
        ])
        .args([
            "-H",
            "User-Agent: docker-sdk-python/7.0.0",
            "-H",
            "Accept-Encoding: gzip, deflate",
            "-H",
            "Accept: */*",
        ])
        .arg(format!("http://{}{path}", started.address))
        .output()?;
    let after = started.pid().map(process::cpu).transpose()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("requests failed: {text}").into());
    }
    let find = |start: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(start));
        line.map(|rest| rest.trim().to_owned())
            .ok_or_else(|| format!("wrk printed no {start}: {text}"))
    };
    let requests = text.lines().find_map(|line| {
        line.trim()
            .split_once(" requests in ")?
            .0
            .parse::<f64>()
            .ok()
    });
    let requests = requests.ok_or("wrk printed no number of requests")?;
    let cpu = before
        .zip(after)
        .map(|(before, after)| (after - before).as_secs_f64() * 1e6 / requests);
    Ok(Run {
        rate: find("Requests/sec:")?.parse()?,
        latency: microseconds(&find("50%")?)?,
        cpu,
    })
}

/// A time as wrk prints it.
fn microseconds(text: &str) -> Result<f64, Failure> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    Err(format!("{text} is no time").into())
}

/// Connections that have asked once and now wait.
///
/// # Errors
/// Where one is refused.
pub fn idle(address: SocketAddr, count: usize) -> Result<Vec<Client>, Failure> {
    let connect = || {
        let mut client = Client::connect(address)?;
        client.get("/_ping")?;
        Ok(client)
    };
    (0..count).map(|_| connect()).collect()
}

/// Open streams of events, read as they come by a thread of their own.
#[derive(Debug)]
pub struct Streams {
    received: Arc<AtomicU64>,
    reader: JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

impl Streams {
    /// Opens them all and waits until each has had its head.
    ///
    /// # Errors
    /// Where one is refused.
    pub fn open(address: SocketAddr, count: usize) -> Result<Self, Failure> {
        let open = || {
            let stream = Client::connect(address)?.follow("/v1.43/events")?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let streams = (0..count)
            .map(|_| open())
            .collect::<Result<Vec<_>, Failure>>()?;
        let received = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (leave, left) = oneshot::channel();
        let count = Arc::clone(&received);
        let reader = std::thread::spawn(move || {
            runtime.block_on(async move {
                for stream in streams {
                    tokio::spawn(read_on(stream, Arc::clone(&count)));
                }
                // The sender is gone as well when the streams are to be left.
                let _ = left.await;
            });
        });
        Ok(Self {
            received,
            reader,
            leave,
        })
    }

    /// Events so far, on all streams together.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Leaves all of them.
    ///
    /// # Errors
    /// Where reading them went wrong.
    pub fn close(self) -> Result<(), Failure> {
        drop(self.leave);
        self.reader
            .join()
            .map_err(|_| "the reader of the streams failed".into())
    }
}

async fn read_on(stream: TcpStream, received: Arc<AtomicU64>) {
    let Ok(mut stream) = tokio::net::TcpStream::from_std(stream) else {
        return;
    };
    let mut room = [0; 1024];
    while let Ok(1..) = stream.read(&mut room).await {
        received.fetch_add(1, Relaxed);
    }
}

/// MiB a second from the engine, as `docker save`.
///
/// # Errors
/// Where it breaks off.
pub fn download(address: SocketAddr) -> Result<f64, Failure> {
    let mut client = Client::connect(address)?;
    let begun = Instant::now();
    let bytes = client.get("/v1.43/images/get?names=web")?;
    Ok(bytes as f64 / begun.elapsed().as_secs_f64() / f64::from(1 << 20))
}

/// MiB a second to the engine, as `docker load`.
///
/// # Errors
/// Where it breaks off.
pub fn upload(address: SocketAddr) -> Result<f64, Failure> {
    let mut client = Client::connect(address)?;
    let begun = Instant::now();
    client.post("/v1.43/images/load", crate::engine::TRANSFER)?;
    Ok(crate::engine::TRANSFER as f64 / begun.elapsed().as_secs_f64() / f64::from(1 << 20))
}

/// Median round trip in microseconds of one byte through a hijacked connection.
///
/// # Errors
/// Where it breaks off.
pub fn round_trip(address: SocketAddr) -> Result<f64, Failure> {
    const TRIPS: usize = 2_000;
    let mut stream: TcpStream = Client::connect(address)?.hijack()?;
    let mut times = Vec::with_capacity(TRIPS);
    for _ in 0..TRIPS {
        let begun = Instant::now();
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[TRIPS / 2].as_secs_f64() * 1e6)
}
