//! The contenders: the engine itself, Cetusguard, HAProxy as socket proxies ship it, and whatever
//! else is named.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cetusguard_testkit::{Running, TempDir};

use crate::Failure;
use crate::client::Client;

/// The rights that every contender gives: those of the documentation's first rule set, and what the
/// transfers need.
pub(crate) fn rules() -> String {
    format!(
        "{}GET %API_PREFIX_IMAGES%/get\nPOST %API_PREFIX_IMAGES%/load\n",
        crate::rule_sets::SEVEN
    )
}

const HAPROXY: &str = include_str!("../peers/haproxy.cfg");

/// The time in which a contender has to answer its first request. Under callgrind everything is
/// fifty times slower.
const START: Duration = Duration::from_secs(60);

/// A program, or none: then the load goes straight to the engine.
#[derive(Clone, Debug)]
pub struct Contender {
    /// The name in the tables.
    pub name: String,
    /// What runs, for the tables' footnotes.
    pub about: String,
    /// Starts by itself what listens, under callgrind too.
    pub native: bool,
    command: Option<Vec<String>>,
}

/// The engine stand-in, as a process of its own.
#[derive(Debug)]
pub struct Engine {
    _process: Running,
    folder: TempDir,
    tcp: SocketAddr,
}

/// A contender that has answered.
#[derive(Debug)]
pub struct Started {
    process: Option<Running>,
    /// Where clients call.
    pub address: SocketAddr,
}

impl Engine {
    /// Starts this program once more, as the engine.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start() -> Result<Self, Failure> {
        let folder = TempDir::new();
        let tcp = free_address()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["engine", &folder.file("engine.sock"), &tcp.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        let mut engine = Self {
            _process: Running(child),
            folder,
            tcp,
        };
        wait_for_answer(&mut engine._process.0, tcp)?;
        Ok(engine)
    }

    /// Where proxies find it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }
}

impl Contender {
    /// The engine without anything in between.
    #[must_use]
    pub fn direct() -> Self {
        Self {
            name: "direct".to_owned(),
            about: "the engine stand-in itself".to_owned(),
            native: false,
            command: None,
        }
    }

    /// Cetusguard: a binary, and its log level.
    #[must_use]
    pub fn cetusguard(name: &str, binary: &Path, level: &str, more: &[&str]) -> Self {
        let binary = binary.display().to_string();
        let mut command: Vec<String> = [
            &binary,
            "--frontend-addr",
            "tcp://{frontend}",
            "--backend-addr",
            "unix://{backend}",
        ]
        .map(str::to_owned)
        .to_vec();
        // All of a benchmark's clients are one.
        command.extend(
            ["--log-level", level, "--max-connections-per-client", "none"].map(str::to_owned),
        );
        if !more.contains(&"--rules") {
            command.extend(["--rules".to_owned(), rules()]);
        }
        command.extend(more.iter().map(|word| (*word).to_owned()));
        Self {
            name: name.to_owned(),
            about: format!("this tree, log level {level}"),
            native: true,
            command: Some(command),
        }
    }

    /// HAProxy from the path, in one of the two ways to treat connections to the engine.
    #[must_use]
    pub fn haproxy(option: &str) -> Self {
        let config = format!("{{folder}}/{option}.cfg");
        let about = format!(
            "{}, `option {option}`",
            first_line(Command::new("haproxy").arg("-v")).unwrap_or_default()
        );
        let command = Some(
            ["haproxy", "-q", "-db", "-f", &config]
                .map(str::to_owned)
                .to_vec(),
        );
        Self {
            name: format!("HAProxy, {option}"),
            about,
            native: true,
            command,
        }
    }

    /// Any other proxy: a shell command in which `{frontend}` and `{backend}` stand for host:port
    /// and a socket's path.
    #[must_use]
    pub fn peer(name: &str, command: &str) -> Self {
        let command_line = ["sh", "-c", &format!("exec {command}")]
            .map(str::to_owned)
            .to_vec();
        // Where it lies is this machine's own business.
        let shown = command
            .rsplit_once('/')
            .filter(|(path, _)| !path.contains(' '))
            .map_or(command, |(_, name)| name);
        Self {
            name: name.to_owned(),
            about: format!("`{shown}`"),
            native: false,
            command: Some(command_line),
        }
    }

    /// The same with another build of the program, if it is this tree's.
    #[must_use]
    pub fn with_symbols(&self, binary: &Path) -> Self {
        let mut other = self.clone();
        if let Some(command) = other
            .command
            .as_mut()
            .filter(|command| command[0].ends_with("/cetusguard"))
        {
            command[0] = binary.display().to_string();
        }
        other
    }

    /// Whether there is a proxy at all.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.command.is_some()
    }

    /// The program that runs, found as the shell would find it.
    #[must_use]
    pub fn binary(&self) -> Option<PathBuf> {
        let command = self.command.as_ref()?;
        let name = if command[0] == "sh" {
            command[2].split_whitespace().nth(1)?
        } else {
            &command[0]
        };
        let found = first_line(Command::new("sh").args(["-c", "command -v -- \"$0\"", name]))?;
        std::fs::canonicalize(found).ok()
    }

    /// Starts it and waits for its first answer.
    ///
    /// # Errors
    /// Where it ends, or does not answer.
    pub fn start(&self, engine: &Engine) -> Result<Started, Failure> {
        self.start_under(engine, &[])
    }

    /// Starts it, and names its process.
    ///
    /// # Errors
    /// Where it does not start, or is no process.
    pub fn start_process(&self, engine: &Engine) -> Result<(Started, u32), Failure> {
        let started = self.start(engine)?;
        let pid = started.pid().ok_or("the engine itself is no proxy")?;
        Ok((started, pid))
    }

    /// The same under another program, such as `valgrind`.
    ///
    /// # Errors
    /// Where it ends, or does not answer.
    pub fn start_under(&self, engine: &Engine, tool: &[&str]) -> Result<Started, Failure> {
        let Some(command) = &self.command else {
            return Ok(Started {
                process: None,
                address: engine.tcp,
            });
        };
        let mut started = self.spawn(engine, tool, command)?;
        if let Some(process) = &mut started.process {
            wait_for_answer(&mut process.0, started.address)
                .map_err(|why| format!("{}: {why}", self.name))?;
        }
        Ok(started)
    }

    /// How long it takes from exec to the first answer.
    ///
    /// # Errors
    /// Where it ends, or does not answer.
    pub fn first_answer(&self, engine: &Engine) -> Result<Duration, Failure> {
        let begun = Instant::now();
        self.start(engine).map(|_| begun.elapsed())
    }

    fn spawn(
        &self,
        engine: &Engine,
        tool: &[&str],
        command: &[String],
    ) -> Result<Started, Failure> {
        let address = free_address()?;
        let folder = engine.folder.path().display().to_string();
        let backend = engine.socket().display().to_string();
        for option in ["http-server-close", "http-keep-alive"] {
            let config = HAPROXY
                .replace("{option}", option)
                .replace("{backend}", &backend);
            engine.folder.write(
                &format!("{option}.cfg"),
                &config.replace("{frontend}", &address.to_string()),
            );
        }
        let fill = |word: &str| {
            let word = word.replace("{frontend}", &address.to_string());
            word.replace("{backend}", &backend)
                .replace("{folder}", &folder)
        };
        let words: Vec<String> = tool
            .iter()
            .map(|word| (*word).to_owned())
            .chain(command.iter().map(|w| fill(w)))
            .collect();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .envs(["CONTAINERS", "IMAGES", "EVENTS", "POST"].map(|switch| (switch, "1")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", words[0]))?;
        // Somebody has to read what it logs, as an engine's log driver does.
        for pipe in [
            child.stdout.take().map(boxed),
            child.stderr.take().map(boxed),
        ]
        .into_iter()
        .flatten()
        {
            std::thread::spawn(move || std::io::copy(&mut { pipe }, &mut std::io::sink()));
        }
        Ok(Started {
            process: Some(Running(child)),
            address,
        })
    }
}

fn boxed(pipe: impl std::io::Read + Send + 'static) -> Box<dyn std::io::Read + Send> {
    Box::new(pipe)
}

impl Started {
    /// The process, where there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    /// Ends it as an engine does, and waits for it.
    ///
    /// # Errors
    /// Where it cannot be told.
    pub fn stop(mut self) -> Result<(), Failure> {
        if let Some(process) = &mut self.process {
            Command::new("kill")
                .arg(process.0.id().to_string())
                .status()?;
            process.0.wait()?;
        }
        Ok(())
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Asks until there is an answer, without a pause: the time to the first one is measured with it.
fn wait_for_answer(child: &mut Child, address: SocketAddr) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < START {
        if TcpStream::connect(address).is_ok() && Client::connect(address)?.get("/_ping").is_ok() {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("ended with {status}").into());
        }
        std::thread::yield_now();
    }
    Err("no answer".into())
}

/// The first line that a command prints, where it runs and is content.
#[must_use]
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(str::to_owned)
}
