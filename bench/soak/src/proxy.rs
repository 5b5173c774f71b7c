//! The program under test, as a process: its log, read as it comes, and its figures in `/proc`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use cetusguard_testkit::Running;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::world::World;

/// A failure of the soak itself.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Mutex<Running>,
    pid: u32,
    log: Arc<Mutex<Seen>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

/// The log's records so far.
#[derive(Debug, Default)]
struct Seen {
    messages: HashMap<String, u64>,
    listening: Vec<(String, bool)>,
    last: String,
    lines: u64,
    /// Records about requests whose head could not be read.
    nameless: u64,
}

/// Figures of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Memory that no file backs, in KiB.
    pub(crate) private: u64,
    /// Resident memory in KiB.
    pub(crate) resident: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Figures {
    /// The higher of each figure.
    pub(crate) fn highest(self, other: Self) -> Self {
        Self {
            private: self.private.max(other.private),
            resident: self.resident.max(other.resident),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

impl Proxy {
    /// Starts the program and waits until it listens at so many addresses.
    pub(crate) fn start(
        binary: &Path,
        config: &str,
        frontends: usize,
        world: &Arc<World>,
    ) -> Result<Self, Failure> {
        let mut command = Command::new("sh");
        let before = if world.makes(Fault::Panic) {
            "echo 'thread panicked' >&2; "
        } else {
            ""
        };
        command
            .arg("-c")
            .arg(format!("{before}exec \"$0\" --config \"$1\""))
            .arg(binary)
            .arg(config)
            .env_clear();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(Seen::default()));
        let readers = read_both(&mut child, &log, world);
        let pid = child.id();
        let proxy = Self {
            child: Mutex::new(Running(child)),
            pid,
            log,
            readers: Mutex::new(readers),
        };
        let listens =
            world.eventually(world.patience, || proxy.seen().listening.len() >= frontends);
        if listens {
            Ok(proxy)
        } else {
            Err(format!("the proxy does not start: {:?}", world.failures().0).into())
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The TCP address of the frontend with TLS, or of that without.
    pub(crate) fn address(&self, tls: bool) -> Result<SocketAddr, Failure> {
        let seen = self.seen();
        let mut found = seen.listening.iter().filter(|(_, has_tls)| *has_tls == tls);
        let address = found
            .find_map(|(address, _)| address.strip_prefix("tcp://"))
            .ok_or("a frontend is missing")?;
        Ok(address.parse()?)
    }

    /// The number of lines with this message.
    pub(crate) fn told(&self, message: &str) -> u64 {
        self.seen().messages.get(message).copied().unwrap_or(0)
    }

    /// The number of all lines, and the last one's message.
    pub(crate) fn lines(&self) -> (u64, String) {
        let seen = self.seen();
        (seen.lines, seen.last.clone())
    }

    /// The number of records about requests whose head could not be read.
    pub(crate) fn nameless(&self) -> u64 {
        self.seen().nameless
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Reads the figures of the process.
    pub(crate) fn figures(&self) -> Result<Figures, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let figure = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .ok_or(format!("no {name} in /proc"))
        };
        Ok(Figures {
            private: figure("RssAnon")?,
            resident: figure("VmRSS")?,
            threads: figure("Threads")?,
            descriptors: std::fs::read_dir(format!("/proc/{}/fd", self.pid))?.count() as u64,
        })
    }

    /// Waits until the process ends and its log is read; `None` where it does not end.
    pub(crate) fn wait(&self, world: &World) -> Option<ExitStatus> {
        let mut status = None;
        world.eventually(world.patience, || {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            status = child.0.try_wait().ok().flatten();
            status.is_some()
        });
        if status.is_some() {
            for reader in self
                .readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .drain(..)
            {
                let _ = reader.join();
            }
        }
        status
    }
}

/// Reads standard output, which is the log, and standard error, on which a program that serves says
/// nothing.
fn read_both(child: &mut Child, log: &Arc<Mutex<Seen>>, world: &Arc<World>) -> Vec<JoinHandle<()>> {
    let (log, logging) = (Arc::clone(log), Arc::clone(world));
    let output = child
        .stdout
        .take()
        .map(|stream| each_line(stream, move |line| read_line(&line, &log, &logging)));
    let world = Arc::clone(world);
    let error = child.stderr.take().map(|stream| {
        each_line(stream, move |line| {
            world.fail(format!("the proxy says on standard error: {line}"))
        })
    });
    output.into_iter().chain(error).collect()
}

fn each_line(
    stream: impl Read + Send + 'static,
    mut then: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            match line {
                Ok(line) => then(line),
                Err(error) => then(format!("a line that is no text: {error}")),
            }
        }
    })
}

fn read_line(line: &str, log: &Mutex<Seen>, world: &World) {
    let fields: Map<String, Value> = match serde_json::from_str(line) {
        Ok(fields) => fields,
        Err(error) => {
            return world.fail(format!("a line of the log is no record ({error}): {line}"));
        }
    };
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| fields.get(key).and_then(Value::as_u64).unwrap_or(0);
    if ["time", "level", "msg"]
        .iter()
        .any(|key| text(key).is_empty())
    {
        world.fail(format!("a record without time, level or message: {line}"));
    }
    let mut seen = log.lock().unwrap_or_else(PoisonError::into_inner);
    let message = text("msg");
    seen.lines += 1;
    seen.last = message.to_owned();
    *seen.messages.entry(message.to_owned()).or_default() += 1;
    if message == "listening" {
        seen.listening.push((
            text("address").to_owned(),
            fields.get("tls").and_then(Value::as_bool) == Some(true),
        ));
    }
    if message.starts_with("log records lost") {
        world.ledger.lost(number("count"));
    }
    if text("reason") == "internal" {
        world.fail(format!("the proxy has panicked: {line}"));
    }
    // A stream has a line for its beginning, and one for its end, which tells of its bytes.
    if !fields.contains_key("bytes_in") {
        return;
    }
    match text("user_agent")
        .strip_prefix("soak/")
        .and_then(|number| number.parse().ok())
    {
        None => seen.nameless += 1,
        Some(request) => record(
            request,
            u16::try_from(number("status")).unwrap_or(0),
            text("reason"),
            world,
        ),
    }
}

fn record(request: u64, status: u16, reason: &str, world: &World) {
    if world.makes(Fault::LostRecord) && request.is_multiple_of(50) {
        return;
    }
    world.judge(world.ledger.recorded(request, status, reason));
    if world.makes(Fault::DoubledRecord) && request.is_multiple_of(50) {
        world.judge(world.ledger.recorded(request, status, reason));
    }
}
