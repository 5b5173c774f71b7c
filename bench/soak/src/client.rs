//! A client of the soak: it makes requests through one of the frontends and notes what it got.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::ledger::Seen;
use crate::random::Random;
use crate::tally::Count;
use crate::trouble::Trouble;
use crate::wire::{Head, Wire};
use crate::world::World;

/// The way to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Tcp,
    Tls,
    Unix,
}

impl Via {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Unix];
}

/// The addresses on which the proxy listens.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) unix: String,
    pub(crate) config: Arc<ClientConfig>,
}

/// A client, and the schedule that it follows.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) world: Arc<World>,
    pub(crate) site: Arc<Site>,
    pub(crate) via: Via,
    /// Its own address on the loopback network, so that each has its own share.
    pub(crate) source: IpAddr,
    pub(crate) random: Random,
    pub(crate) kind: &'static str,
}

/// A request that was opened in the ledger. Dropped, it tells what its client got.
#[derive(Debug)]
pub(crate) struct Ticket {
    world: Arc<World>,
    pub(crate) number: u64,
    seen: Seen,
}

impl Ticket {
    /// Notes that the whole answer has come, or will not be asked for more.
    pub(crate) fn whole(&mut self, status: u16) {
        self.seen = Seen::Whole(status);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.world
            .judge(self.world.ledger.seen(self.number, self.seen));
    }
}

impl Client {
    /// Connects to the proxy, which listens all the time.
    pub(crate) fn connect(&self) -> Result<Wire, Trouble> {
        let patience = self.world.patience;
        let connected = match self.via {
            Via::Unix => Wire::unix(&self.site.unix, patience),
            Via::Tcp => Wire::tcp(self.source, self.site.tcp, None, patience),
            Via::Tls => Wire::tcp(
                self.source,
                self.site.tls,
                Some(&self.site.config),
                patience,
            ),
        };
        connected.map_err(|error| {
            Trouble::Wrong(format!("the proxy does not accept a connection: {error}"))
        })
    }

    /// Opens a request.
    pub(crate) fn ticket(&self) -> Ticket {
        self.count(Count::Requests, 1);
        Ticket {
            world: Arc::clone(&self.world),
            number: self.world.ledger.open(),
            seen: Seen::Nothing,
        }
    }

    /// Adds to a count of its kind.
    pub(crate) fn count(&self, count: Count, number: u64) {
        self.world.tally.add(self.kind, count, number);
    }

    /// Reads the head of an answer of this status. The engine's absence is a cut; every other
    /// answer is wrong.
    pub(crate) fn head(
        &self,
        wire: &mut Wire,
        ticket: &mut Ticket,
        wanted: u16,
    ) -> Result<Head, Trouble> {
        let head = wire
            .read_head()?
            .ok_or_else(|| Trouble::Cut("closed without an answer".to_owned()))?;
        let status = head.status();
        ticket.seen = Seen::Part(status);
        if status == wanted {
            return Ok(head);
        }
        let body = wire.read_whole(head.body()).unwrap_or_default();
        let why = format!(
            "request {} got {status} instead of {wanted}: {}",
            ticket.number,
            String::from_utf8_lossy(&body)
        );
        if matches!(status, 502 | 504) {
            ticket.whole(status);
            return Err(Trouble::Cut(why));
        }
        Err(Trouble::Wrong(why))
    }

    /// Reads an answer whose body is short.
    pub(crate) fn answer(
        &self,
        wire: &mut Wire,
        ticket: &mut Ticket,
        wanted: u16,
    ) -> Result<Vec<u8>, Trouble> {
        let head = self.head(wire, ticket, wanted)?;
        let body = wire.read_whole(head.body())?;
        ticket.whole(wanted);
        Ok(body)
    }

    /// Reads an answer that must carry the request's own number.
    pub(crate) fn own_answer(
        &self,
        wire: &mut Wire,
        ticket: &mut Ticket,
        wanted: u16,
    ) -> Result<(), Trouble> {
        let body = self.answer(wire, ticket, wanted)?;
        let body: serde_json::Value =
            serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let number = body["number"].as_u64();
        if number == Some(ticket.number) {
            return Ok(());
        }
        Err(Trouble::Wrong(format!(
            "request {} got the answer of {number:?}",
            ticket.number
        )))
    }
}

/// Writes a head: the request line without its version, and more header lines, each with its end.
pub(crate) fn head(ticket: &Ticket, line: &str, more: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: soak\r\nUser-Agent: soak/{}\r\n{more}\r\n",
        ticket.number
    )
}

/// Writes the header that tells the engine what the client wants.
pub(crate) fn order(seed: u64, length: u64, back: u64, mode: &str) -> String {
    format!("X-Soak: {seed} {length} {back} {mode}\r\n")
}
