//! The program under test, as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::{Client, Engine, eventually, patience};

/// A process that is killed when dropped, also by a test that fails.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the command for a program that inherits no environment variable of the tests. The only
/// exception is the file in which a program that was built for `scripts/coverage` counts its lines.
#[must_use]
pub fn program_without_environment(program: &str) -> Command {
    const COUNTERS: &str = "LLVM_PROFILE_FILE";
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(std::env::var_os(COUNTERS).map(|file| (COUNTERS, file)));
    command
}

/// A running proxy. Dropped, it is killed.
#[derive(Debug)]
pub struct Proxy {
    child: Running,
    log: Arc<Mutex<Vec<String>>>,
    /// The threads that read its two outputs.
    readers: Vec<JoinHandle<()>>,
    addresses: Vec<String>,
}

/// The settings with which the proxy starts.
#[derive(Debug)]
pub struct ProxyBuilder {
    command: Command,
    frontends: usize,
}

impl ProxyBuilder {
    /// The program in front of an engine, with these rules, on a free port, at debug level.
    #[must_use]
    pub fn new(program: &str, engine: &Engine, rules: &str) -> Self {
        let builder = Self::bare(program)
            .arg("--backend-addr", &engine.address())
            .arg("--log-level", "7");
        builder.arg("--rules", rules).frontend("tcp://127.0.0.1:0")
    }

    /// The program without any option.
    #[must_use]
    pub fn bare(program: &str) -> Self {
        let mut command = program_without_environment(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            frontends: 0,
        }
    }

    /// Adds an option.
    #[must_use]
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// Adds one word to the command line.
    #[must_use]
    pub fn word(mut self, word: &str) -> Self {
        self.command.arg(word);
        self
    }

    /// Adds an address to listen on.
    #[must_use]
    pub fn frontend(mut self, address: &str) -> Self {
        self.frontends += 1;
        self.arg("--frontend-addr", address)
    }

    /// Waits for one more address, which a file names.
    #[must_use]
    pub fn expect_frontend(mut self) -> Self {
        self.frontends += 1;
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it listens. Unless a test chooses another `head-timeout`, it waits
    /// for its clients as long as the test waits for it: the test may be slow to send.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    pub fn start(mut self) -> Proxy {
        self.command.env(
            "CETUSGUARD_HEAD_TIMEOUT",
            format!("{}s", patience().as_secs()),
        );
        let frontends = self.frontends;
        let mut proxy = self.spawn();
        eventually("the proxy listens", || {
            if let Ok(Some(status)) = proxy.child.0.try_wait() {
                panic!("the proxy ended with {status}: {:?}", proxy.log());
            }
            proxy.addresses = proxy
                .log()
                .iter()
                .filter(|line| line.contains("listening"))
                .filter_map(|line| address_in(line))
                .collect();
            proxy.addresses.len() >= frontends
        });
        proxy
    }

    /// Starts it without waiting for anything.
    ///
    /// # Panics
    /// Where the program is missing.
    #[must_use]
    pub fn spawn(mut self) -> Proxy {
        let mut child = self.command.spawn().expect("the program");
        let log = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            gather(child.stdout.take(), &log),
            gather(child.stderr.take(), &log),
        ];
        let readers = readers.into_iter().flatten().collect();
        Proxy {
            child: Running(child),
            log,
            readers,
            addresses: Vec::new(),
        }
    }

    /// Runs it to its end: the exit code, standard output and standard error.
    ///
    /// # Panics
    /// Where the program is missing.
    #[must_use]
    pub fn run(mut self) -> (Option<i32>, String, String) {
        let output = self.command.output().expect("the program");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

fn gather(
    stream: Option<impl std::io::Read + Send + 'static>,
    log: &Arc<Mutex<Vec<String>>>,
) -> Option<JoinHandle<()>> {
    let (stream, log) = (stream?, Arc::clone(log));
    Some(std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock().expect("no test panics here").push(line);
        }
    }))
}

fn address_in(line: &str) -> Option<String> {
    let rest = line
        .split_once("address=")
        .or_else(|| line.split_once("\"address\":\""))?
        .1;
    Some(rest.split([' ', '"']).next()?.to_owned())
}

impl Proxy {
    /// The address of the first frontend.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// The addresses of all frontends.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// A new connection to the first frontend.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Every line of the log so far.
    ///
    /// # Panics
    /// Never in a passing test.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test panics here").clone()
    }

    /// Waits for a line of the log that holds all of these.
    #[must_use]
    pub fn logged(&self, parts: &[&str]) -> String {
        let mut found = None;
        eventually(
            &format!("a log line with {parts:?} in {:#?}", self.log()),
            || {
                found = self
                    .log()
                    .into_iter()
                    .find(|line| parts.iter().all(|part| line.contains(part)));
                found.is_some()
            },
        );
        found.unwrap_or_default()
    }

    /// The address of the admin listener, whose port the system may have chosen.
    #[must_use]
    pub fn admin_address(&self) -> String {
        let line = self.logged(&["the admin listener is ready", "address="]);
        let address = line
            .split_once("address=")
            .map(|(_, address)| address.trim());
        address.unwrap_or_default().to_owned()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Returns the number of its open file descriptors.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("/proc")
            .count()
    }

    /// Returns the number of open descriptors without clients, once every event loop has started:
    /// each has some of its own.
    ///
    /// # Panics
    /// Where there is no `/proc`, or where connections are not accepted.
    #[must_use]
    pub fn descriptors_at_rest(&self) -> usize {
        // More than the loops that a proxy starts by itself: a connection goes to the loop that has
        // the fewest.
        const IDLE: usize = 7;
        let idle: Vec<Client> = (0..IDLE).map(|_| self.client()).collect();
        // Connections are accepted in their order, so that its answer tells that all are accepted.
        let mut last = self.client();
        last.send("no request\r\n\r\n");
        assert_eq!(last.read_response().status, 400);
        let open = self.descriptors();
        drop((idle, last));
        eventually("the clients have left", || {
            self.descriptors() + IDLE <= open
        });
        self.descriptors()
    }

    /// A figure of `/proc/PID/status` in KiB, such as `VmRSS` and `VmHWM`.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn memory(&self, figure: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc");
        let line = status
            .lines()
            .find(|line| line.starts_with(figure))
            .unwrap_or_default();
        line.split_whitespace()
            .nth(1)
            .and_then(|figure| figure.parse().ok())
            .unwrap_or(0)
    }

    /// Waits until the survey of the rules at the start is over, and has the kernel count the peak
    /// of the memory (`VmHWM`) anew from then on: the survey takes memory of its own.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn settle(&self) {
        eventually("the rules are surveyed", || !self.has_thread("check"));
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("/proc");
    }

    /// Returns whether a thread of this name runs in the process.
    fn has_thread(&self, name: &str) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc");
        // A thread may be gone by now.
        let mut names = threads
            .flatten()
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.any(|one| one.trim_end() == name)
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// Where there is no shell.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.pid())])
            .status();
        assert!(status.expect("a shell").success());
    }

    /// Returns whether the process is still there.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }

    /// Stops the process, calls `act`, and lets the process go on. It then finds everything that
    /// `act` has done at once, so that none of its deadlines can pass in between.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn while_stopped<T>(&self, act: impl FnOnce() -> T) -> T {
        self.signal("STOP");
        eventually("the process stands still", || {
            let stat =
                std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("/proc");
            stat.rsplit(") ")
                .next()
                .is_some_and(|state| state.starts_with('T'))
        });
        let done = act();
        self.signal("CONT");
        done
    }

    /// Waits for its end. From then on the log is complete.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the proxy ends", || {
            status = self.child.0.try_wait().expect("a child");
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().expect("no test panics here");
        }
        status.expect("it was there")
    }

    /// Returns whether it still answers, which is what matters after everything that was done to
    /// it.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.client().request("GET /_ping").status == 200
    }
}
