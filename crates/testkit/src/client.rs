//! A client that sends any byte it is told to.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::patience;

/// A connection to the proxy.
pub struct Client {
    stream: BufReader<Stream>,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A response as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code; 0 where the connection ended without a response.
    pub status: u16,
    /// The head without the empty line.
    pub head: String,
    /// The body, chunks joined.
    pub body: String,
}

impl Response {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl Client {
    /// Connects to `tcp://HOST:PORT` or `unix:///PATH`.
    ///
    /// # Panics
    /// If no listener is there.
    #[must_use]
    pub fn connect(address: &str) -> Self {
        let stream = match address.strip_prefix("unix://") {
            Some(path) => {
                let stream = UnixStream::connect(path).expect(address);
                stream.set_read_timeout(Some(patience())).expect("a limit");
                Stream::Unix(stream)
            }
            None => Stream::Tcp(tcp(address)),
        };
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Connects to `tcp://HOST:PORT` from an address of one's own, such as another one of
    /// 127.0.0.0/8.
    ///
    /// # Panics
    /// If no listener is there.
    #[must_use]
    pub fn connect_from(source: &str, address: &str) -> Self {
        let (source, target): (IpAddr, SocketAddr) = (
            source.parse().expect("an address"),
            address
                .trim_start_matches("tcp://")
                .parse()
                .expect("an address and a port"),
        );
        let socket =
            Socket::new(Domain::for_address(target), Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::new(source, 0).into())
            .expect("an address of this machine");
        socket.connect(&target.into()).expect(address);
        Self {
            stream: BufReader::new(Stream::Tcp(tuned(socket.into()))),
        }
    }

    /// Connects with TLS; the handshake happens with the first byte that is sent.
    ///
    /// # Panics
    /// If no listener is there.
    #[must_use]
    pub fn connect_tls(address: &str, config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(config, name).expect("a session");
        Self {
            stream: BufReader::new(Stream::Tls(Box::new(StreamOwned::new(
                session,
                tcp(address),
            )))),
        }
    }

    /// Sends bytes as they are; `false` where the proxy takes no more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a request without a body and reads the response.
    pub fn request(&mut self, line: &str) -> Response {
        self.send(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        self.read_response_to(line.starts_with("HEAD"))
    }

    /// Sends a request with a body and reads the response.
    pub fn request_with(&mut self, line: &str, body: &str) -> Response {
        let length = body.len();
        self.send(format!(
            "{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \
            {length}\r\n\r\n{body}"
        ));
        self.read_response()
    }

    /// Reads a response with its body.
    pub fn read_response(&mut self) -> Response {
        self.read_response_to(false)
    }

    fn read_response_to(&mut self, to_head: bool) -> Response {
        let mut response = self.read_head();
        let body = match (
            response.header("content-length"),
            response.header("transfer-encoding"),
        ) {
            _ if to_head || matches!(response.status, 0 | 101 | 204 | 304) => Vec::new(),
            (Some(length), _) => self.read_bytes(length.parse().unwrap_or(0)),
            (None, Some(_)) => self.read_chunks(),
            (None, None) => self.read_to_end().into_bytes(),
        };
        response.body = String::from_utf8_lossy(&body).into_owned();
        response
    }

    /// Reads as far as the end of a head; status 0 where the connection ends before.
    pub fn read_head(&mut self) -> Response {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(self.stream.read_line(&mut head), Ok(1..)) {
                return Response {
                    status: 0,
                    head,
                    body: String::new(),
                };
            }
        }
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Response {
            status,
            head: head.trim_end().to_owned(),
            body: String::new(),
        }
    }

    /// Reads so many bytes, or as many as come.
    pub fn read(&mut self, count: usize) -> String {
        String::from_utf8_lossy(&self.read_bytes(count)).into_owned()
    }

    fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = (&mut self.stream)
            .take(count as u64)
            .read_to_end(&mut bytes);
        bytes
    }

    /// Reads one chunk of a chunked body; empty at its end.
    pub fn read_chunk(&mut self) -> String {
        let mut size = String::new();
        let _ = self.stream.read_line(&mut size);
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let chunk = self.read(size);
        self.read(2);
        chunk
    }

    fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.read_chunk();
            if chunk.is_empty() {
                return body;
            }
            body.extend_from_slice(chunk.as_bytes());
        }
    }

    /// Reads until the proxy closes.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Counts the bytes until the proxy closes.
    pub fn drain(&mut self) -> u64 {
        io::copy(&mut self.stream, &mut io::sink()).unwrap_or(0)
    }

    /// Returns whether the proxy closes without sending anything more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0)) || self.is_reset()
    }

    fn is_reset(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
    }

    /// The writing end of a TCP connection, for another thread.
    ///
    /// # Panics
    /// Where it is none, or no descriptor is left.
    #[must_use]
    pub fn writer(&self) -> TcpStream {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.try_clone().expect("a descriptor"),
            Stream::Unix(_) | Stream::Tls(_) => panic!("no TCP connection"),
        }
    }

    /// Closes the writing half.
    pub fn finish(&mut self) {
        let _ = match self.stream.get_mut() {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
        };
    }
}

fn tcp(address: &str) -> TcpStream {
    tuned(TcpStream::connect(address.trim_start_matches("tcp://")).expect(address))
}

fn tuned(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(patience())).expect("a limit");
    stream.set_nodelay(true).expect("no delay");
    stream
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
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
