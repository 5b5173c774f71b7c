//! HTTP/1.1 as the soak's own clients and engine speak it, byte for byte and in pieces.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::trouble::Trouble;

/// The stream below a connection.
pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection, with the bytes that were read ahead.
pub(crate) struct Wire {
    transport: Transport,
    ahead: Vec<u8>,
    at: usize,
}

/// The head of a message: its first line, and its header lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

/// The part of a body that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Length(u64),
    Chunked { left: u64, is_first: bool },
    Done,
}

/// No head of the soak is larger.
const HEAD_LIMIT: usize = 1 << 20;
const ROOM: usize = 32 << 10;

impl Head {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns whether a text stands anywhere in the head.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.line.contains(text)
            || self
                .headers
                .iter()
                .any(|(name, value)| name.contains(text) || value.contains(text))
    }

    /// The status of a response; 0 for what is none.
    pub(crate) fn status(&self) -> u16 {
        self.line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or(0)
    }

    /// The body that follows.
    pub(crate) fn body(&self) -> Body {
        let length = self
            .header("content-length")
            .and_then(|length| length.parse().ok());
        match (self.header("transfer-encoding"), length) {
            (Some(_), _) => Body::Chunked {
                left: 0,
                is_first: true,
            },
            (None, Some(length)) if length > 0 => Body::Length(length),
            (None, _) => Body::Done,
        }
    }
}

impl Wire {
    /// Takes a connection of the engine's.
    pub(crate) fn accepted(stream: UnixStream) -> Self {
        Self {
            transport: Transport::Unix(stream),
            ahead: Vec::new(),
            at: 0,
        }
    }

    /// Connects to a Unix socket.
    pub(crate) fn unix(path: &str, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self::accepted(stream))
    }

    /// Connects to a TCP address from an address of one's own, with TLS if there is a configuration
    /// for it.
    pub(crate) fn tcp(
        source: IpAddr,
        target: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        patience: Duration,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
        // Ports of connections that have just ended can be used again: there are thousands of them.
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&target.into(), patience)?;
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        let transport = match tls {
            None => Transport::Tcp(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                let session =
                    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Transport::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        Ok(Self {
            transport,
            ahead: Vec::new(),
            at: 0,
        })
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Trouble> {
        self.transport.write_all(bytes.as_ref())?;
        Ok(self.transport.flush()?)
    }

    /// Sends no more, and goes on reading.
    pub(crate) fn finish(&mut self) -> Result<(), Trouble> {
        match &mut self.transport {
            Transport::Tcp(stream) => stream.shutdown(Shutdown::Write)?,
            Transport::Unix(stream) => stream.shutdown(Shutdown::Write)?,
            Transport::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
            }
        }
        Ok(())
    }

    /// Reads what comes next, at least a byte; nothing at the end.
    pub(crate) fn read_some(&mut self, most: usize) -> Result<Vec<u8>, Trouble> {
        if self.at == self.ahead.len() {
            self.fill()?;
        }
        let end = self.ahead.len().min(self.at.saturating_add(most));
        let some = self.ahead[self.at..end].to_vec();
        self.at = end;
        Ok(some)
    }

    fn fill(&mut self) -> Result<usize, Trouble> {
        self.ahead.drain(..self.at);
        self.at = 0;
        let before = self.ahead.len();
        self.ahead.resize(before + ROOM, 0);
        let read = loop {
            match self.transport.read(&mut self.ahead[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.ahead.truncate(before + *read.as_ref().unwrap_or(&0));
        Ok(read?)
    }

    /// Reads a line without its end; `None` at the end of the stream.
    fn read_line(&mut self) -> Result<Option<String>, Trouble> {
        let mut scanned = 0;
        loop {
            let there = &self.ahead[self.at..];
            if let Some(end) = there[scanned..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&there[..scanned + end])
                    .trim_end_matches('\r')
                    .to_owned();
                self.at += scanned + end + 1;
                return Ok(Some(line));
            }
            scanned = there.len();
            if scanned > HEAD_LIMIT {
                return Err(Trouble::Wrong("a line without an end".to_owned()));
            }
            if self.fill()? == 0 {
                return match scanned {
                    0 => Ok(None),
                    _ => Err(Trouble::Cut(
                        "the connection ended within a line".to_owned(),
                    )),
                };
            }
        }
    }

    /// Reads a head; `None` where the connection ends before it.
    pub(crate) fn read_head(&mut self) -> Result<Option<Head>, Trouble> {
        let Some(line) = self.read_line()? else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        loop {
            match self.read_line()?.as_deref() {
                None => {
                    return Err(Trouble::Cut(
                        "the connection ended within a head".to_owned(),
                    ));
                }
                Some("") => return Ok(Some(Head { line, headers })),
                Some(line) => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    headers.push((name.to_owned(), value.trim().to_owned()));
                }
            }
        }
    }

    /// Reads more of a body; nothing once it is complete. A body that ends early is a cut.
    pub(crate) fn read_body(&mut self, body: &mut Body) -> Result<Vec<u8>, Trouble> {
        if let Body::Chunked { left: 0, is_first } = *body {
            self.next_chunk(body, is_first)?;
        }
        let left = match body {
            Body::Done => return Ok(Vec::new()),
            Body::Length(left) | Body::Chunked { left, .. } => left,
        };
        let some = self.read_some(usize::try_from(*left).unwrap_or(usize::MAX))?;
        if some.is_empty() {
            return Err(Trouble::Cut(
                "the connection ended within a body".to_owned(),
            ));
        }
        *left -= some.len() as u64;
        if *body == Body::Length(0) {
            *body = Body::Done;
        }
        Ok(some)
    }

    fn next_chunk(&mut self, body: &mut Body, is_first: bool) -> Result<(), Trouble> {
        let mut line = || {
            self.read_line()?
                .ok_or_else(|| Trouble::Cut("the connection ended between chunks".to_owned()))
        };
        if !is_first && !line()?.is_empty() {
            return Err(Trouble::Wrong("a chunk is longer than it says".to_owned()));
        }
        let size = line()?;
        let left = u64::from_str_radix(&size, 16)
            .map_err(|_| Trouble::Wrong(format!("{size:?} is no size of a chunk")))?;
        *body = Body::Chunked {
            left,
            is_first: false,
        };
        if left == 0 {
            if !line()?.is_empty() {
                return Err(Trouble::Wrong(
                    "something stands behind the last chunk".to_owned(),
                ));
            }
            *body = Body::Done;
        }
        Ok(())
    }

    /// Reads the whole of a body that is not long.
    pub(crate) fn read_whole(&mut self, mut body: Body) -> Result<Vec<u8>, Trouble> {
        let mut whole = Vec::new();
        loop {
            match self.read_body(&mut body)? {
                some if some.is_empty() => return Ok(whole),
                some => whole.extend_from_slice(&some),
            }
        }
    }
}

/// A chunk of a chunked body; the last one where there is nothing in it.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

impl Read for Transport {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
