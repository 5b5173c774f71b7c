//! Unix sockets that are watched for writing only once a write would block.
//!
//! A Unix socket becomes writable each time its peer reads. If the event loop watched for that, it
//! would wake once more for every request, when the engine reads it, and once for every answer,
//! when the client reads that. TCP sockets do not: the kernel reports them only after a write that
//! found no room.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::time::{Sleep, sleep};

use super::stream::poll_once;

/// The most that one read takes, in bytes.
const MOST: usize = 64 << 10;

/// The reading half of a Unix socket.
#[derive(Debug)]
pub(crate) struct UnixReader(Arc<AsyncFd<UnixStream>>);

/// The writing half of a Unix socket.
#[derive(Debug)]
pub struct UnixWriter {
    socket: Arc<AsyncFd<UnixStream>>,
    watch: WriteWatch,
}

/// The state of a write that may have to wait.
#[derive(Debug)]
enum WriteWatch {
    /// No write has to wait.
    Idle,
    /// A duplicate of the descriptor is watched for writing.
    Writable(AsyncFd<OwnedFd>),
    /// There was no descriptor left for a duplicate: the write is tried again after a while.
    Retry(Pin<Box<Sleep>>),
}

/// The time until a write is tried again where no descriptor was left.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Registers a non-blocking socket with the event loop that runs the caller, and splits it.
///
/// # Errors
/// If the kernel refuses to watch the socket.
pub(super) fn split(stream: UnixStream) -> io::Result<(UnixReader, UnixWriter)> {
    let socket = Arc::new(register(stream, Interest::READABLE)?);
    Ok((
        UnixReader(Arc::clone(&socket)),
        UnixWriter {
            socket,
            watch: WriteWatch::Idle,
        },
    ))
}

impl UnixReader {
    /// Waits until a read would not block.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx).map_ok(drop)
    }

    /// Returns the readiness that the event loop knows of, without waiting.
    pub(super) fn readiness(&self, interest: Interest) -> Option<io::Result<Ready>> {
        readiness(&self.0, interest)
    }
}

impl AsFd for UnixReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

thread_local! {
    /// The buffer of every read on this thread; its bytes are then copied to the connection's own
    /// buffer. Safe code can read only into initialised memory, and copying the received bytes
    /// costs less than clearing the whole buffer before each read.
    static ARRIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST].into());
}

impl AsyncRead for UnixReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ARRIVED.with_borrow_mut(|arrived| {
            let room = buf.remaining().min(arrived.len());
            loop {
                let mut guard = ready!(self.0.poll_read_ready(cx))?;
                let Ok(read) = guard.try_io(|socket| socket.get_ref().read(&mut arrived[..room]))
                else {
                    continue;
                };
                let read = read?;
                if 0 < read && read < room {
                    // The socket is empty: the next read waits for an event, and not for a call
                    // that finds nothing.
                    guard.clear_ready();
                }
                buf.put_slice(&arrived[..read]);
                return Poll::Ready(Ok(()));
            }
        })
    }
}

impl UnixWriter {
    /// Stops watching for writing.
    pub(super) fn release_memory(&mut self) {
        self.watch = WriteWatch::Idle;
    }

    /// Returns the readiness that the event loop knows of, without waiting.
    pub(super) fn readiness(&self, interest: Interest) -> Option<io::Result<Ready>> {
        readiness(&self.socket, interest)
    }

    fn begin_watch(&self) -> WriteWatch {
        let duplicate = self.socket.get_ref().as_fd().try_clone_to_owned();
        match duplicate.and_then(|duplicate| register(duplicate, Interest::WRITABLE)) {
            Ok(watch) => WriteWatch::Writable(watch),
            Err(_) => WriteWatch::Retry(Box::pin(sleep(RETRY_AFTER))),
        }
    }

    /// Writes at once where there is room, and otherwise begins to watch the socket. `length` is
    /// the number of bytes to write.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        mut write: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let watch = match &mut self.watch {
                WriteWatch::Writable(watch) => watch,
                WriteWatch::Retry(pause) => {
                    ready!(pause.as_mut().poll(cx));
                    self.watch = WriteWatch::Idle;
                    continue;
                }
                WriteWatch::Idle => match write(self.socket.get_ref()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.watch = self.begin_watch();
                        continue;
                    }
                    done => return Poll::Ready(done),
                },
            };
            let mut guard = ready!(watch.poll_write_ready(cx))?;
            let Ok(written) = guard.try_io(|_| write(self.socket.get_ref())) else {
                continue;
            };
            if matches!(written, Ok(written) if 0 < written && written < length) {
                guard.clear_ready();
            }
            return Poll::Ready(written);
        }
    }
}

impl AsyncWrite for UnixWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_with(cx, buf.len(), |mut socket| socket.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        self.get_mut()
            .poll_write_with(cx, length, |mut socket| socket.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

/// Registers a socket with the event loop that runs the caller.
#[expect(
    deprecated,
    reason = "the constructor is unsound for types that do not own their descriptor; these do"
)]
fn register<T: AsRawFd + Into<OwnedFd>>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

fn readiness(socket: &AsyncFd<UnixStream>, interest: Interest) -> Option<io::Result<Ready>> {
    poll_once(socket.ready(interest)).map(|ready| ready.map(|guard| guard.ready()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> ((UnixReader, UnixWriter), (UnixReader, UnixWriter)) {
        let (one, other) = UnixStream::pair().expect("a pair");
        let halves = [one, other].map(|end| {
            end.set_nonblocking(true).expect("not blocking");
            split(end).expect("halves")
        });
        halves.into()
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(test);
    }

    #[test]
    fn a_write_is_watched_only_while_it_has_to_wait() {
        run(async {
            let ((_reader, mut writer), (mut peer, _end)) = pair();
            writer.write_all(b"small").await.expect("room");
            assert!(matches!(writer.watch, WriteWatch::Idle), "there was room");
            let large: Vec<u8> = (0..4 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
            let mut received = Vec::new();
            let receive = async {
                let mut buffer = vec![0; 64 << 10];
                while received.len() < 5 + large.len() {
                    let read = peer.read(&mut buffer).await.expect("bytes");
                    received.extend_from_slice(&buffer[..read]);
                }
            };
            let (sent, ()) = tokio::join!(writer.write_all(&large), receive);
            sent.expect("written");
            assert!(
                matches!(writer.watch, WriteWatch::Writable(_)),
                "there was no room for all of it"
            );
            assert!(received.starts_with(b"small") && received[5..] == large);
            writer.release_memory();
            assert!(matches!(writer.watch, WriteWatch::Idle));
        });
    }

    #[test]
    fn a_write_goes_on_without_a_descriptor_to_watch() {
        run(async {
            let ((_reader, mut writer), (mut peer, _end)) = pair();
            let large = vec![7; 1 << 20];
            // As if no duplicate could be made: the first write has already found no room.
            writer.watch = WriteWatch::Retry(Box::pin(sleep(RETRY_AFTER)));
            let mut received = vec![0; large.len()];
            let (sent, read) =
                tokio::join!(writer.write_all(&large), peer.read_exact(&mut received));
            sent.expect("written");
            read.expect("read");
            assert!(received == large);
        });
    }

    #[test]
    fn a_peer_that_closed_is_known_without_watching_for_writing() {
        run(async {
            let ((reader, mut writer), peer) = pair();
            let is_closed =
                |ready| matches!(ready, Some(Ok(ready)) if Ready::is_write_closed(ready));
            assert!(!is_closed(writer.readiness(Interest::WRITABLE)));
            drop(peer);
            while !is_closed(reader.readiness(Interest::WRITABLE)) {
                tokio::task::yield_now().await;
            }
            assert!(is_closed(writer.readiness(Interest::WRITABLE)));
            assert_eq!(
                writer.write(b"x").await.expect_err("no peer").kind(),
                io::ErrorKind::BrokenPipe
            );
        });
    }

    #[test]
    fn a_write_that_waits_ends_when_its_peer_closes() {
        run(async {
            let ((_reader, mut writer), peer) = pair();
            let write = async { writer.write_all(&vec![0; 16 << 20]).await };
            let leave = async {
                tokio::task::yield_now().await;
                drop(peer);
            };
            let (written, ()) = tokio::join!(write, leave);
            assert!(written.is_err());
        });
    }
}
