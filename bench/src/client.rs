//! A client that keeps its connection, counts nothing and allocates little.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kept connection.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

/// Connects from an address of the client's own, such as another one of 127.0.0.0/8: the proxy
/// tells clients apart by it.
///
/// # Errors
/// Those of the system.
pub fn connect_from(
    source: Ipv4Addr,
    target: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&target.into(), patience)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))?;
    Ok(socket.into())
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::over(stream))
    }
}

impl<S: Read + Write> Client<S> {
    /// Wraps a connection that is there.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
        }
    }

    /// Asks, and reads the answer to its end. Returns the body's length, chunk heads included.
    ///
    /// # Errors
    /// Where the answer is not a 200 or ends early.
    pub fn get(&mut self, path: &str) -> io::Result<usize> {
        self.send_head("GET", path, "")?;
        self.read_answer()
    }

    /// Sends a request without a body, reads the answer to its end, and returns its status.
    ///
    /// # Errors
    /// Where the answer ends early.
    pub fn ask(&mut self, method: &str, path: &str) -> io::Result<u16> {
        self.send_head(method, path, "")?;
        self.read_status()
    }

    /// Sends a body of this length, and reads the answer.
    ///
    /// # Errors
    /// Where the answer is not a 200 or ends early.
    pub fn post(&mut self, path: &str, length: usize) -> io::Result<usize> {
        self.send_head(
            "POST",
            path,
            &format!("Content-Type: application/x-tar\r\nContent-Length: {length}\r\n"),
        )?;
        let block = vec![b'x'; 64 << 10];
        let mut left = length;
        while left > 0 {
            let part = left.min(block.len());
            self.stream.write_all(&block[..part])?;
            left -= part;
        }
        self.read_answer()
    }

    /// Creates a container with this body, reads the answer to its end, and returns its status.
    ///
    /// # Errors
    /// Where the answer ends early.
    pub fn create(&mut self, body: &str) -> io::Result<u16> {
        let length = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.send_head("POST", "/v1.43/containers/create", &length)?;
        self.stream.write_all(body.as_bytes())?;
        self.read_status()
    }

    /// Asks for a stream of events and returns its connection once its head is there.
    ///
    /// # Errors
    /// Where the answer is not a 200.
    pub fn follow(mut self, path: &str) -> io::Result<S> {
        self.send_head("GET", path, "")?;
        self.read_head(" 200 ")?;
        Ok(self.stream)
    }

    /// Attaches to a container and returns the raw connection.
    ///
    /// # Errors
    /// Where the answer is not a 101.
    pub fn hijack(mut self) -> io::Result<S> {
        let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n";
        self.send_head(
            "POST",
            "/v1.43/containers/web/attach?stream=1&stdin=1&stdout=1",
            upgrade,
        )?;
        self.read_head(" 101 ")?;
        Ok(self.stream)
    }

    /// What the Docker CLI and docker-py send, in length.
    fn send_head(&mut self, method: &str, path: &str, more: &str) -> io::Result<()> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:2375\r\nUser-Agent: \
            docker-sdk-python/7.0.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n{more}\r\n"
        );
        self.stream.write_all(head.as_bytes())
    }

    /// Leaves in the buffer what came behind the head; returns the head.
    fn read_head(&mut self, status: &str) -> io::Result<String> {
        self.buffer.clear();
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                if !head
                    .lines()
                    .next()
                    .is_some_and(|line| line.contains(status))
                {
                    return Err(io::Error::other(head));
                }
                self.buffer.drain(..end + 4);
                return Ok(head);
            }
            self.fill()?;
        }
    }

    fn read_status(&mut self) -> io::Result<u16> {
        let head = self.read_head("HTTP/1.1 ")?;
        self.read_body(&head)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::other(head))
    }

    fn read_answer(&mut self) -> io::Result<usize> {
        let head = self.read_head(" 200 ")?;
        self.read_body(&head)
    }

    fn read_body(&mut self, head: &str) -> io::Result<usize> {
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let mut total = self.buffer.len();
        match length {
            Some(length) => {
                while total < length {
                    self.buffer.clear();
                    total += self.fill()?;
                }
            }
            // The stand-in's chunks hold no such bytes, so this is where they end.
            None => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    let keep = self.buffer.len().saturating_sub(6);
                    self.buffer.drain(..keep);
                    total += self.fill()?;
                }
            }
        }
        Ok(total)
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut room = [0; 64 << 10];
        match self.stream.read(&mut room)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&room[..read]);
                Ok(read)
            }
        }
    }
}
