//! The simulated engine: it knows what every answer should be, checks what it gets, and can be
//! restarted.

mod answers;
mod streams;

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cetusguard_testkit::TempDir;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::wire::Wire;
use crate::world::World;

pub(crate) use answers::{environment, list};

/// The duration of a restart.
const DOWN: Duration = Duration::from_secs(1);
/// More than the clients of the soak open while the engine's thread waits for the processor.
const BACKLOG: i32 = 4096;

/// An engine on a Unix socket.
#[derive(Debug)]
pub(crate) struct Engine {
    folder: TempDir,
    state: Arc<State>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct State {
    world: Arc<World>,
    connections: Mutex<HashMap<u64, UnixStream>>,
    accepted: AtomicU64,
    is_down: AtomicBool,
}

impl Engine {
    /// Starts it.
    pub(crate) fn start(world: &Arc<World>) -> io::Result<Self> {
        let state = State {
            world: Arc::clone(world),
            connections: Mutex::default(),
            accepted: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
        };
        let engine = Self {
            folder: TempDir::new(),
            state: Arc::new(state),
            accepting: Mutex::default(),
        };
        engine.listen()?;
        Ok(engine)
    }

    /// The path of its socket.
    pub(crate) fn path(&self) -> String {
        self.folder.file("engine.sock")
    }

    /// The number of connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.state.connections().len()
    }

    /// The number of connections since the start.
    pub(crate) fn accepted(&self) -> u64 {
        self.state.accepted.load(SeqCst)
    }

    fn listen(&self) -> io::Result<()> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(self.path())?)?;
        socket.listen(BACKLOG)?;
        let listener: UnixListener = socket.into();
        let state = Arc::clone(&self.state);
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if state.is_down.load(SeqCst) {
                    return;
                }
                State::serve(&state, stream);
            }
        });
        *self
            .accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(accepting);
        Ok(())
    }

    /// Cuts every connection, is gone for a while, and comes back.
    pub(crate) fn restart(&self) -> io::Result<()> {
        self.state.world.turn();
        self.stop();
        std::thread::park_timeout(DOWN);
        self.state.is_down.store(false, SeqCst);
        self.listen()?;
        self.state.world.turn();
        Ok(())
    }

    /// Cuts every connection, and listens no more.
    pub(crate) fn stop(&self) {
        self.state.is_down.store(true, SeqCst);
        // Wakes the thread that accepts.
        let _ = UnixStream::connect(self.path());
        if let Some(accepting) = self
            .accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            let _ = accepting.join();
        }
        let _ = std::fs::remove_file(self.path());
        for stream in self.state.connections().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(state: &Arc<Self>, stream: UnixStream) {
        let number = state.accepted.fetch_add(1, SeqCst);
        let Ok(copy) = stream.try_clone() else {
            return state.world.fail("the engine has no descriptor left");
        };
        state.connections().insert(number, copy);
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            // Also where a check panics, which would be the soak's own fault.
            let _gone = Gone {
                state: &state,
                number,
            };
            if let Ok(second) = stream.try_clone() {
                let mut link = answers::Link {
                    wire: Wire::accepted(stream),
                    second,
                    world: &state.world,
                };
                link.serve();
            }
        });
    }
}

/// Forgets a connection once it has ended.
struct Gone<'s> {
    state: &'s State,
    number: u64,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.state.connections().remove(&self.number) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
