//! The victim: a client that asks at a steady pace while another one attacks.
//!
//! The pace does not wait for answers: a request that has to wait for the one before it on its
//! connection counts from the time at which it was due.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::client::{Client, connect_from};

/// The address of the victim.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two requests on one connection, and between two new connections: a hundred
/// requests a second in all.
const PACE: Duration = Duration::from_millis(20);
/// The threads that make new connections: one that waits for its answer must not hold back the next
/// one.
const CALLERS: usize = 16;
const LIST: &str = "/v1.43/containers/json?all=1";

/// A client with a pace.
#[derive(Clone)]
pub struct Victim {
    /// The frontend that it calls.
    pub address: SocketAddr,
    /// What it calls.
    pub calls: Calls,
}

/// The requests of a victim.
#[derive(Clone)]
pub enum Calls {
    /// Lists on a kept connection, and pings each on a new one.
    Plain,
    /// The same with TLS.
    Tls(Arc<ClientConfig>),
    /// New containers with bodies of this size, on a kept connection, in this time each.
    Creates(usize, Duration),
}

/// The latencies of a victim's requests.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    sorted: Vec<Duration>,
    /// Requests without the right answer.
    pub failed: usize,
}

trait Wire: Read + Write + Send {}

impl<S: Read + Write + Send> Wire for S {}

impl Victim {
    /// Asks for this time.
    #[must_use]
    pub fn watch(&self, time: Duration) -> Figures {
        let (lists, pings) = (Pace::of(self.every(), time), Pace::of(PACE, time));
        let ping = || pings.follow(|| ask(&mut self.connect()?, "/_ping"));
        std::thread::scope(|scope| {
            let callers = if matches!(self.calls, Calls::Creates(..)) {
                0
            } else {
                CALLERS
            };
            let threads: Vec<_> = (0..callers).map(|_| scope.spawn(ping)).collect();
            let mut figures = self.call_on_one_connection(&lists);
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .for_each(|own| figures.merge(own));
            figures
        })
    }

    fn every(&self) -> Duration {
        if let Calls::Creates(_, every) = self.calls {
            every
        } else {
            PACE
        }
    }

    fn call_on_one_connection(&self, pace: &Pace) -> Figures {
        let mut body = String::new();
        if let Calls::Creates(size, _) = self.calls {
            body = format!(
                "{{\"Image\":\"x\",\"Labels\":{{\"x\":\"{}\"}}}}",
                "x".repeat(size)
            );
        }
        let mut kept = None;
        pace.follow(|| {
            let mut client = match kept.take() {
                Some(client) => client,
                None => self.connect()?,
            };
            match body.as_str() {
                "" => ask(&mut client, LIST)?,
                body => expect(client.create(body)?)?,
            }
            kept = Some(client);
            Ok(())
        })
    }

    fn connect(&self) -> io::Result<Client<Box<dyn Wire>>> {
        let stream = connect_from(SOURCE, self.address, PATIENCE)?;
        let Calls::Tls(config) = &self.calls else {
            return Ok(Client::over(Box::new(stream)));
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Client::over(Box::new(StreamOwned::new(session, stream))))
    }
}

impl fmt::Debug for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Victim").field(&self.address).finish()
    }
}

fn ask(client: &mut Client<Box<dyn Wire>>, path: &str) -> io::Result<()> {
    expect(client.ask("GET", path)?)
}

fn expect(status: u16) -> io::Result<()> {
    if status < 300 {
        Ok(())
    } else {
        Err(io::Error::other(format!("status {status}")))
    }
}

/// The times at which calls are due. Several callers share them.
struct Pace {
    begun: Instant,
    every: Duration,
    count: u32,
    next: AtomicU32,
    /// After this time, calls that are still due have failed.
    patience: Instant,
}

impl Pace {
    fn of(every: Duration, time: Duration) -> Self {
        let begun = Instant::now();
        let count = u32::try_from(time.as_micros() / every.as_micros()).unwrap_or(u32::MAX);
        Self {
            begun,
            every,
            count,
            next: AtomicU32::new(0),
            patience: begun + time + PATIENCE,
        }
    }

    /// Makes calls when they are due, or as soon as the one before is over.
    fn follow(&self, mut call: impl FnMut() -> io::Result<()>) -> Figures {
        let mut figures = Figures::default();
        loop {
            let at = self.next.fetch_add(1, Relaxed);
            if at >= self.count {
                figures.sorted.sort_unstable();
                return figures;
            }
            let (due, now) = (self.begun + self.every * at, Instant::now());
            // A thread that wakes up late is no fault of the proxy's; one that waited for the call
            // before is.
            let from = if now < due {
                std::thread::sleep(due - now);
                Instant::now()
            } else {
                due
            };
            if now < self.patience && call().is_ok() {
                figures.sorted.push(from.elapsed());
            } else {
                figures.failed += 1;
            }
        }
    }
}

impl Figures {
    fn merge(&mut self, other: Self) {
        self.sorted.extend(other.sorted);
        self.sorted.sort_unstable();
        self.failed += other.failed;
    }

    /// The number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.sorted.len() + self.failed
    }

    /// The latency in milliseconds that so many of a hundred requests do not exceed; not a number
    /// where there is none.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> f64 {
        let at = (self.sorted.len() * hundredths / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted
            .get(at)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_latencies() {
        let sorted = (1..=200).map(Duration::from_millis).collect();
        let figures = Figures { sorted, failed: 3 };
        assert_eq!(
            (
                figures.percentile(50),
                figures.percentile(99),
                figures.requests()
            ),
            (101.0, 199.0, 203)
        );
        assert!(Figures::default().percentile(99).is_nan());
    }
}
