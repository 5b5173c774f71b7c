//! The victim: a client that asks at a steady pace while another one attacks.
//!
//! The pace does not wait for answers: a request that has to wait for the one before it counts from the time at which it was due.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::client::{Client, connect_from};

/// The address of the victim.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two requests on one connection, and between two new connections: a hundred requests a second in all.
const PACE: Duration = Duration::from_millis(20);
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
        let (mut kept, mut body) = (None, String::new());
        let (every, pings) = match self.calls {
            Calls::Creates(size, every) => {
                body = format!("{{\"Image\":\"x\",\"Labels\":{{\"x\":\"{}\"}}}}", "x".repeat(size));
                (every, false)
            }
            _ => (PACE, true),
        };
        std::thread::scope(|scope| {
            let fresh = pings.then(|| scope.spawn(|| pace(PACE, time, || ask(&mut self.connect()?, "/_ping"))));
            let mut figures = pace(every, time, || {
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
            });
            if let Some(fresh) = fresh.and_then(|thread| thread.join().ok()) {
                figures.merge(fresh);
            }
            figures
        })
    }

    fn connect(&self) -> io::Result<Client<Box<dyn Wire>>> {
        let stream = connect_from(SOURCE, self.address, PATIENCE)?;
        let Calls::Tls(config) = &self.calls else { return Ok(Client::over(Box::new(stream))) };
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
    if status < 300 { Ok(()) } else { Err(io::Error::other(format!("status {status}"))) }
}

/// Makes calls at a pace that does not wait for them.
fn pace(every: Duration, time: Duration, mut call: impl FnMut() -> io::Result<()>) -> Figures {
    let (begun, mut figures) = (Instant::now(), Figures::default());
    let count = u32::try_from(time.as_micros() / every.as_micros()).unwrap_or(u32::MAX);
    for at in 0..count {
        let (due, now) = (begun + every * at, Instant::now());
        if now > begun + time + PATIENCE {
            figures.failed += (count - at) as usize;
            break;
        }
        // A thread that wakes up late is no fault of the proxy's; one that waited for the call before is.
        let from = if now < due {
            std::thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        match call() {
            Ok(()) => figures.sorted.push(from.elapsed()),
            Err(_) => figures.failed += 1,
        }
    }
    figures.sorted.sort_unstable();
    figures
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

    /// The latency in milliseconds that so many of a hundred requests do not exceed; not a number where there is none.
    #[must_use]
    pub fn percentile(&self, hundredths: usize) -> f64 {
        let at = (self.sorted.len() * hundredths / 100).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_latencies() {
        let sorted = (1..=200).map(Duration::from_millis).collect();
        let figures = Figures { sorted, failed: 3 };
        assert_eq!((figures.percentile(50), figures.percentile(99), figures.requests()), (101.0, 199.0, 203));
        assert!(Figures::default().percentile(99).is_nan());
    }
}
