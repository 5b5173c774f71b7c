//! A scripted container engine that records every request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{TempDir, patience};

/// The bytes that one connection to the engine has received.
type Received = Arc<Mutex<Vec<u8>>>;
type Script = dyn Fn(&Exchange, &mut Link) + Send + Sync;

/// The user agent of the probe of a start.
const PROBE: &str = "cetusguard start";

/// The requests of the proxy itself that a script does not see, and that are not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    /// All that ask about an object, or for the version.
    Own,
    /// The probe of a start.
    Probe,
    /// None.
    Nothing,
}

/// An engine on a Unix socket. Dropped, it stops listening; its connections end with their scripts.
pub struct Engine {
    folder: TempDir,
    state: Arc<State>,
    hidden: Hidden,
}

#[derive(Default)]
struct State {
    connections: Mutex<Vec<Received>>,
    open: AtomicUsize,
    over: AtomicBool,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.state.over.store(true, SeqCst);
        // Wakes the thread that accepts, and with it goes the socket.
        let _ = UnixStream::connect(self.path());
    }
}

/// One request as the engine has read it.
#[derive(Debug)]
pub struct Exchange {
    /// `METHOD TARGET`.
    pub line: String,
    /// Header lines without their line ends.
    pub headers: Vec<String>,
    /// The body, where its length is declared; a chunked one is left to the script.
    pub body: Vec<u8>,
}

impl Exchange {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// The engine's end of a connection.
pub struct Link {
    reader: BufReader<Recorder>,
    writer: UnixStream,
}

struct Recorder {
    stream: UnixStream,
    received: Received,
}

impl Read for Recorder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buf)?;
        self.received
            .lock()
            .expect("no test panics here")
            .extend_from_slice(&buf[..read]);
        Ok(read)
    }
}

impl Engine {
    /// Starts an engine that answers every request of a client by the script. The connection is
    /// kept alive.
    ///
    /// What the proxy itself asks about objects is answered with plain objects, and not recorded:
    /// see [`Engine::scripted`].
    pub fn start(script: impl Fn(&Exchange, &mut Link) + Send + Sync + 'static) -> Self {
        Self::listening(Arc::new(script), Hidden::Own)
    }

    /// An engine whose script answers the proxy's own requests as well, except for the probe of a
    /// start: that one gets a plain answer, and is not recorded.
    pub fn scripted(script: impl Fn(&Exchange, &mut Link) + Send + Sync + 'static) -> Self {
        Self::listening(Arc::new(script), Hidden::Probe)
    }

    /// An engine whose script answers everything, the probe of a start as well.
    pub fn probed(script: impl Fn(&Exchange, &mut Link) + Send + Sync + 'static) -> Self {
        Self::listening(Arc::new(script), Hidden::Nothing)
    }

    fn listening(script: Arc<Script>, hidden: Hidden) -> Self {
        let engine = Self {
            folder: TempDir::new(),
            state: Arc::default(),
            hidden,
        };
        engine.listen(script, hidden);
        engine
    }

    /// An engine that answers every request with 200 and two bytes.
    #[must_use]
    pub fn ok() -> Self {
        Self::start(|_, link| link.answer(200, "OK"))
    }

    /// Returns an engine whose address has no listener.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            folder: TempDir::new(),
            state: Arc::default(),
            hidden: Hidden::Own,
        }
    }

    fn listen(&self, script: Arc<Script>, hidden: Hidden) {
        let listener = UnixListener::bind(self.folder.path().join("engine.sock"))
            .expect("a socket in a temporary folder");
        let state = Arc::clone(&self.state);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if state.over.load(SeqCst) {
                    return;
                }
                let received = Received::default();
                state
                    .connections
                    .lock()
                    .expect("no test panics here")
                    .push(Arc::clone(&received));
                let (state, script) = (Arc::clone(&state), Arc::clone(&script));
                state.open.fetch_add(1, SeqCst);
                std::thread::spawn(move || {
                    // The proxy's own questions are nothing that a test counts.
                    let forget = || {
                        let mut connections =
                            state.connections.lock().expect("no test panics here");
                        connections.retain(|known| !Arc::ptr_eq(known, &received));
                        state.open.fetch_sub(1, SeqCst);
                    };
                    if !serve(stream, &received, &*script, hidden, forget) {
                        state.open.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
    }

    /// The path of its socket.
    #[must_use]
    pub fn path(&self) -> String {
        self.folder.file("engine.sock")
    }

    /// Its address for `--backend-addr`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.path())
    }

    /// Returns the bytes that each connection has received so far, without empty ones.
    ///
    /// # Panics
    /// Never in a passing test.
    #[must_use]
    pub fn received(&self) -> Vec<String> {
        let connections = self.state.connections.lock().expect("no test panics here");
        let texts = connections.iter().map(|one| {
            String::from_utf8_lossy(&one.lock().expect("no test panics here")).into_owned()
        });
        // The probe of a start may not be forgotten yet, nor have said anything.
        let is_probe = |text: &String| self.hidden != Hidden::Nothing && text.contains(PROBE);
        texts
            .filter(|text| !text.is_empty() && !is_probe(text))
            .collect()
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.state.open.load(SeqCst)
    }
}

/// Serves a connection. The proxy uses one for each question of its own, which is forgotten.
/// Returns whether it was such a one.
fn serve(
    stream: UnixStream,
    received: &Received,
    script: &Script,
    hidden: Hidden,
    forget: impl Fn(),
) -> bool {
    let Ok(writer) = stream.try_clone() else {
        return false;
    };
    let mut link = Link {
        reader: BufReader::new(Recorder {
            stream,
            received: Arc::clone(received),
        }),
        writer,
    };
    let mut is_own = false;
    while let Ok(Some(exchange)) = link.read_exchange() {
        let agent = exchange.header("user-agent");
        let is_probe = hidden != Hidden::Nothing && agent == Some(PROBE);
        let asks = is_probe
            || (hidden == Hidden::Own && agent == Some("cetusguard") && Link::knows(&exchange));
        if asks && !std::mem::replace(&mut is_own, true) {
            forget();
        }
        if !(asks && link.tell(&exchange)) {
            script(&exchange, &mut link);
        }
    }
    let _ = link.writer.shutdown(Shutdown::Both);
    is_own
}

impl Link {
    /// Returns whether the request is one that [`Link::tell`] answers.
    fn knows(exchange: &Exchange) -> bool {
        let path = exchange.line.strip_prefix("GET ").unwrap_or_default();
        let section = path
            .trim_start_matches("/v4.0.0/libpod")
            .split(['/', '?'])
            .nth(1)
            .unwrap_or_default();
        let sections = [
            "pods", "networks", "exec", "volumes", "version", "info", "services", "nodes",
            "secrets", "configs", "events",
        ];
        sections.contains(&section) || (section == "containers" && path.matches('/').count() == 3)
    }

    /// Answers the proxy's own requests about an object: a plain one has the identifier by which it
    /// is asked for. `false` where the request is about something else.
    pub fn tell(&mut self, exchange: &Exchange) -> bool {
        let path = exchange.line.strip_prefix("GET ").unwrap_or_default();
        let path = path.strip_prefix("/v4.0.0/libpod").unwrap_or(path);
        let segments: Vec<&str> = path
            .split('?')
            .next()
            .unwrap_or_default()
            .split('/')
            .skip(1)
            .collect();
        match segments.as_slice() {
            ["containers", id, "json"] => {
                let settings = "\"Config\":{\"Image\":\"busybox\"},\"HostConfig\":{}";
                self.answer(
                    200,
                    &format!("{{\"Id\":\"{id}\",\"Name\":\"{id}\",{settings}}}"),
                );
            }
            ["pods", id, "json"] | ["networks", id] => {
                self.answer(200, &format!("{{\"Id\":\"{id}\",\"Name\":\"{id}\"}}"));
            }
            ["exec", id, "json"] => {
                self.answer(
                    200,
                    &format!(
                        "{{\"ID\":\"{id}\",\"ContainerID\":\"c0ffee\",\"ProcessConfig\":{{}}}}"
                    ),
                );
            }
            ["volumes", name] => self.answer(
                404,
                &format!("{{\"message\":\"get {name}: no such volume\"}}"),
            ),
            ["info"] => self.answer(
                200,
                "{\"LoggingDriver\":\"json-file\",\"DefaultRuntime\":\"runc\"}",
            ),
            ["version"] => {
                self.answer(200, "{\"ApiVersion\":\"1.51\",\"KernelVersion\":\"6.1.0\"}")
            }
            ["services" | "nodes" | "secrets" | "configs", id] => {
                self.answer(
                    200,
                    &format!("{{\"ID\":\"{id}\",\"Spec\":{{\"Name\":\"{id}\"}}}}"),
                );
            }
            ["events"] => {
                self.write(
                    "HTTP/1.1 200 OK\r\nContent-Type: \
                    application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                self.drain();
            }
            _ => return false,
        }
        true
    }

    fn read_exchange(&mut self) -> io::Result<Option<Exchange>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
        let mut exchange = Exchange {
            line,
            headers: lines,
            body: Vec::new(),
        };
        let length = exchange
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        // Gigabytes are for the script to read, not to gather here.
        if length <= 1 << 20 {
            exchange.body = vec![0; length];
            self.reader.read_exact(&mut exchange.body)?;
        }
        Ok(Some(exchange))
    }

    /// Writes bytes as they are. Errors are left alone: the other side may have left, which is the
    /// test's business.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.writer.write_all(bytes.as_ref()).is_ok()
    }

    /// Writes a whole answer.
    pub fn answer(&mut self, status: u16, body: &str) {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: \
            {length}\r\n\r\n{body}"
        ));
    }

    /// Reads until so many bytes are there; `None` at the end of the stream.
    pub fn read(&mut self, count: usize) -> Option<String> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads to the end of the stream and says how many bytes came.
    pub fn drain(&mut self) -> u64 {
        io::copy(&mut self.reader, &mut io::sink()).unwrap_or(0)
    }

    /// Waits until the peer has closed, at the most as long as [`patience`].
    pub fn wait_for_close(&mut self) -> bool {
        let _ = self.writer.set_read_timeout(Some(patience()));
        let mut byte = [0];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// The writing end, for another thread.
    ///
    /// # Panics
    /// Where no descriptor is left.
    #[must_use]
    pub fn writer(&self) -> UnixStream {
        self.writer.try_clone().expect("a descriptor")
    }

    /// Closes the writing half.
    pub fn finish(&mut self) {
        let _ = self.writer.shutdown(Shutdown::Write);
    }

    /// Closes both halves.
    pub fn close(&mut self) {
        let _ = self.writer.shutdown(Shutdown::Both);
    }

    /// Gives up on a peer that takes nothing for this long.
    pub fn set_write_limit(&mut self, limit: Duration) {
        let _ = self.writer.set_write_timeout(Some(limit));
    }
}
