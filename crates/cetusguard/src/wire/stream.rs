//! The byte streams under HTTP: TCP, Unix sockets and TLS, each as two halves that are used at the same time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_rustls::TlsStream;

/// A connection to a client or to the engine.
#[derive(Debug)]
pub(crate) struct Duplex {
    /// What arrives.
    pub(crate) input: Input,
    /// What leaves.
    pub(crate) output: Output,
}

impl From<TcpStream> for Duplex {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { input: Input::new(ReadSide::Tcp(read)), output: Output::Tcp(write) }
    }
}

impl From<UnixStream> for Duplex {
    fn from(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self { input: Input::new(ReadSide::Unix(read)), output: Output::Unix(write) }
    }
}

impl From<TlsStream<TcpStream>> for Duplex {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { input: Input::new(ReadSide::Tls(read)), output: Output::Tls(write) }
    }
}

/// The reading half, with what was read and not yet used.
#[derive(Debug)]
pub(crate) struct Input {
    side: ReadSide,
    /// Bytes that arrived and that nobody has taken.
    pub(crate) buffer: BytesMut,
}

/// Room for a head or a small body. A read that fills the buffer makes the next one larger.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;

impl Input {
    fn new(side: ReadSide) -> Self {
        Self { side, buffer: BytesMut::new() }
    }

    /// Waits for bytes and appends them to the buffer; 0 is the end of the stream. Safe to cancel.
    ///
    /// A connection that waits holds no buffer, so that thousands of silent streams cost next to nothing.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        if self.buffer.is_empty() {
            let room = if self.buffer.capacity() > SMALL { LARGE } else { SMALL };
            if !self.side.is_ready() {
                self.buffer = BytesMut::new();
                self.side.ready().await?;
            }
            self.buffer.reserve(room);
        } else if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(LARGE);
        }
        let read = self.side.read_buf(&mut self.buffer).await?;
        if self.buffer.len() == self.buffer.capacity() && self.buffer.capacity() < LARGE {
            // More is waiting: let the next reads be large ones.
            self.buffer.reserve(LARGE - self.buffer.len());
        }
        Ok(read)
    }

    /// Whether a connection that should be silent has something to say: bytes, or its end. Asks the event loop, not the kernel.
    pub(crate) fn is_disturbed(&self) -> bool {
        !self.buffer.is_empty() || self.side.is_ready()
    }
}

/// The reading half of a stream.
#[derive(Debug)]
pub(crate) enum ReadSide {
    /// Plain TCP.
    Tcp(tcp::OwnedReadHalf),
    /// A Unix stream socket.
    Unix(unix::OwnedReadHalf),
    /// TLS over TCP.
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

impl ReadSide {
    /// Waits until a read would not wait. TLS cannot tell, and says yes.
    async fn ready(&self) -> io::Result<()> {
        match self {
            Self::Tcp(side) => side.readable().await,
            Self::Unix(side) => side.readable().await,
            Self::Tls(_) => Ok(()),
        }
    }

    fn is_ready(&self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self {
            Self::Tcp(side) => std::pin::pin!(side.readable()).poll(&mut context).is_ready(),
            Self::Unix(side) => std::pin::pin!(side.readable()).poll(&mut context).is_ready(),
            Self::Tls(_) => false,
        }
    }
}

impl AsyncRead for ReadSide {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(side) => Pin::new(side).poll_read(cx, buf),
            Self::Unix(side) => Pin::new(side).poll_read(cx, buf),
            Self::Tls(side) => Pin::new(side).poll_read(cx, buf),
        }
    }
}

/// The writing half of a stream.
#[derive(Debug)]
pub(crate) enum Output {
    /// Plain TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// A Unix stream socket.
    Unix(unix::OwnedWriteHalf),
    /// TLS over TCP.
    Tls(WriteHalf<TlsStream<TcpStream>>),
}

impl Output {
    /// Whether the peer is known to have left altogether: a Unix socket knows at once, TCP once the peer has answered a
    /// keep-alive probe with a reset. TLS cannot tell.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let writable = tokio::io::Interest::WRITABLE;
        let ready = match self {
            Self::Unix(side) => std::pin::pin!(side.ready(writable)).poll(&mut context),
            Self::Tcp(side) => std::pin::pin!(side.ready(writable)).poll(&mut context),
            Self::Tls(_) => return false,
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_write_closed())
    }
}

macro_rules! each_output {
    ($self:ident, $side:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($side) => $call,
            Self::Unix($side) => $call,
            Self::Tls($side) => $call,
        }
    };
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each_output!(self, side => Pin::new(side).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_output!(self, side => Pin::new(side).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_output!(self, side => Pin::new(side).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_output!(self, side => Pin::new(side).poll_shutdown(cx))
    }
}
