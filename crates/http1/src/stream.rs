//! The byte streams under HTTP: TCP, Unix sockets and TLS, each as two halves that are used at the
//! same time.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf, ReadHalf, Ready, WriteHalf,
};
use tokio::net::{TcpStream, tcp};
use tokio::task::coop::unconstrained;
use tokio_rustls::TlsStream;

use super::read_budget::ReadBudget;
use super::unix::{self, UnixReader, UnixWriter};

/// A connection to a client or to the engine.
#[derive(Debug)]
pub struct Duplex {
    /// The receiving half.
    pub input: Input,
    /// The sending half.
    pub output: Output,
}

impl Duplex {
    /// Wraps a TCP connection.
    pub fn tcp(stream: TcpStream, budget: &Arc<ReadBudget>) -> Self {
        let (read, write) = stream.into_split();
        Self {
            input: Input::new(ReadSide::Tcp(read), budget),
            output: Output::Tcp(write),
        }
    }

    /// Wraps a non-blocking Unix socket, served by the event loop that runs the caller.
    ///
    /// # Errors
    /// If the kernel refuses to watch the socket.
    pub fn unix(stream: UnixStream, budget: &Arc<ReadBudget>) -> io::Result<Self> {
        let (read, write) = unix::split(stream)?;
        Ok(Self {
            input: Input::new(ReadSide::Unix(read), budget),
            output: Output::Unix(write),
        })
    }

    /// Wraps a TLS connection, with the socket below it: only that one knows whether the peer is
    /// still there.
    pub fn tls(stream: TlsStream<SharedTcp>, socket: SharedTcp, budget: &Arc<ReadBudget>) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            input: Input::new(ReadSide::Tls(read, socket.clone()), budget),
            output: Output::Tls(write, socket),
        }
    }
}

/// The receiving half, with the bytes that were read and not yet used.
#[derive(Debug)]
pub struct Input {
    side: ReadSide,
    budget: Arc<ReadBudget>,
    /// The bytes that have arrived and are not taken yet.
    pub buffer: BytesMut,
    /// The size of the next read, in bytes.
    room: usize,
    /// The end of the stream was read.
    is_over: bool,
}

/// A buffer starts small, doubles whenever a read has filled it, and halves when a read has left
/// most of it empty. The share of the connection bounds it: under load, reads become smaller and
/// memory does not grow.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;

impl Drop for Input {
    fn drop(&mut self) {
        self.budget.remove();
    }
}

impl Input {
    fn new(side: ReadSide, budget: &Arc<ReadBudget>) -> Self {
        budget.add();
        Self {
            side,
            budget: Arc::clone(budget),
            buffer: BytesMut::new(),
            room: SMALL,
            is_over: false,
        }
    }

    /// Returns the memory that all connections share.
    pub(super) fn budget(&self) -> &ReadBudget {
        &self.budget
    }

    /// Waits for bytes and appends them to the buffer; 0 is the end of the stream. Safe to cancel.
    ///
    /// A connection that waits holds no buffer, or a small one over TLS: thousands of silent
    /// streams cost next to nothing.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            if self.side.poll_ready(cx)?.is_pending() {
                self.release_empty();
                return Poll::Pending;
            }
            let share = self.budget.share();
            self.buffer
                .reserve(self.room.min(share.clamp(SMALL, LARGE)));
        } else if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(self.buffer.len().min(LARGE));
        }
        let Poll::Ready(read) = pin!(self.side.read_buf(&mut self.buffer)).poll(cx)? else {
            self.release_empty();
            return Poll::Pending;
        };
        self.is_over |= read == 0;
        if self.buffer.len() == self.buffer.capacity() {
            self.room = (self.room * 2).min(LARGE);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(SMALL);
        }
        Poll::Ready(Ok(read))
    }

    /// Gives back the memory of the last exchange.
    pub fn release_memory(&mut self) {
        self.room = SMALL;
        self.release_empty();
    }

    fn release_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Returns whether a connection that should be silent has bytes, or its end, to read.
    pub fn is_disturbed(&self) -> bool {
        let said = match &self.side {
            // The event loop knows without asking the kernel.
            ReadSide::Tcp(_) | ReadSide::Unix(_) => self.side.is_ready(),
            ReadSide::Tls(_, socket) => poll_once(socket.0.peek(&mut [0])).is_some(),
        };
        said || !self.buffer.is_empty()
    }

    /// Returns whether the kernel has bytes that the event loop need not know of yet. It costs a
    /// system call.
    pub fn is_disturbed_in_kernel(&self) -> bool {
        let descriptor = match &self.side {
            ReadSide::Tcp(side) => side.as_ref().as_fd(),
            ReadSide::Unix(side) => side.as_fd(),
            ReadSide::Tls(_, socket) => socket.0.as_fd(),
        };
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(
            &mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)],
            Some(&at_once),
        ) != Ok(0)
    }

    /// Returns whether the peer is known to send no more, even if earlier bytes of it were not read
    /// yet.
    pub fn is_ended(&self) -> bool {
        self.is_over
            || matches!(self.side.readiness(Interest::READABLE), Some(Ok(ready)) if ready.is_read_closed())
    }

    /// Returns whether the peer is known to have left altogether, as [`Output::is_hung_up`].
    pub fn is_hung_up(&self) -> bool {
        matches!(self.side.readiness(Interest::WRITABLE), Some(Ok(ready)) if ready.is_write_closed())
    }
}

/// Returns the output of a future that is ready without waiting.
pub(super) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    // A task that has used up its turn would be told to wait, which is not an answer.
    match pin!(unconstrained(future)).poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A TCP socket below TLS, which its owner can ask things as well.
#[derive(Clone, Debug)]
pub struct SharedTcp(Arc<TcpStream>);

impl From<TcpStream> for SharedTcp {
    fn from(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }
}

impl AsyncRead for SharedTcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SharedTcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}

/// The reading half of a stream.
#[derive(Debug)]
pub(crate) enum ReadSide {
    /// Plain TCP.
    Tcp(tcp::OwnedReadHalf),
    /// A Unix stream socket.
    Unix(UnixReader),
    /// TLS over TCP, and the socket below it.
    Tls(ReadHalf<TlsStream<SharedTcp>>, SharedTcp),
}

impl ReadSide {
    /// Waits until a read would not wait. TLS cannot tell, and says yes.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(side) => side.as_ref().poll_read_ready(cx),
            Self::Unix(side) => side.poll_ready(cx),
            Self::Tls(..) => Poll::Ready(Ok(())),
        }
    }

    /// Returns the readiness of the socket, as the event loop knows it.
    fn readiness(&self, interest: Interest) -> Option<io::Result<Ready>> {
        match self {
            Self::Tcp(side) => poll_once(side.ready(interest)),
            Self::Unix(side) => side.readiness(interest),
            Self::Tls(_, socket) => poll_once(socket.0.ready(interest)),
        }
    }

    /// Returns whether a read would not wait, as far as the event loop knows. Only for a connection
    /// on which no task waits.
    fn is_ready(&self) -> bool {
        poll_once(poll_fn(|cx| self.poll_ready(cx))).is_some()
    }
}

impl AsyncRead for ReadSide {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(side) => Pin::new(side).poll_read(cx, buf),
            Self::Unix(side) => Pin::new(side).poll_read(cx, buf),
            Self::Tls(side, _) => Pin::new(side).poll_read(cx, buf),
        }
    }
}

/// The writing half of a stream.
#[derive(Debug)]
pub enum Output {
    /// Plain TCP.
    Tcp(tcp::OwnedWriteHalf),
    /// A Unix stream socket.
    Unix(UnixWriter),
    /// TLS over TCP, and the socket below it.
    Tls(WriteHalf<TlsStream<SharedTcp>>, SharedTcp),
}

impl Output {
    /// Gives back the memory of the last exchange.
    pub fn release_memory(&mut self) {
        if let Self::Unix(side) = self {
            side.release_memory();
        }
    }

    /// Makes the kernel discard the bytes that the peer has not read when the connection closes; it
    /// would keep it for minutes otherwise.
    pub fn forget_unsent(&self) {
        let at_once = Some(std::time::Duration::ZERO);
        // Without it, the memory is free later.
        let _ = match self {
            Self::Tcp(side) => {
                socket2::SockRef::from(AsRef::<TcpStream>::as_ref(side)).set_linger(at_once)
            }
            Self::Tls(_, socket) => socket2::SockRef::from(&*socket.0).set_linger(at_once),
            // The peer already has all bytes that were sent.
            Self::Unix(_) => Ok(()),
        };
    }

    /// Returns whether the peer is known to have left altogether: a Unix socket knows at once, TCP
    /// once the peer has answered a keep-alive probe with a reset.
    pub fn is_hung_up(&self) -> bool {
        let writable = Interest::WRITABLE;
        let ready = match self {
            Self::Unix(side) => side.readiness(writable),
            Self::Tcp(side) => poll_once(side.ready(writable)),
            Self::Tls(_, socket) => poll_once(socket.0.ready(writable)),
        };
        matches!(ready, Some(Ok(ready)) if ready.is_write_closed())
    }
}

macro_rules! each_output {
    ($self:ident, $side:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($side) => $call,
            Self::Unix($side) => $call,
            Self::Tls($side, _) => $call,
        }
    };
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
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

#[cfg(test)]
mod tests {
    use tokio::task::coop::{consume_budget, has_budget_remaining};

    use super::*;

    /// A look at a kept connection of the engine would else miss what arrived there, and give it to
    /// the next client.
    #[test]
    fn a_look_sees_what_arrived_although_the_task_has_used_up_its_turn() {
        let look = async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            sender.send("surplus").expect("a receiver");
            while has_budget_remaining() {
                let _ = pin!(consume_budget()).poll(&mut Context::from_waker(Waker::noop()));
            }
            poll_once(receiver.recv())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        assert_eq!(runtime.block_on(look), Some(Some("surplus")));
    }
}
