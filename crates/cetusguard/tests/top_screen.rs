//! `cetusguard top` in a terminal: it draws a screen, obeys keys, and leaves the terminal as it
//! found it, however it ends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use cetusguard_testkit::{
    Engine, Proxy, ProxyBuilder, Running, TempDir, eventually, program_without_environment,
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cetusguard");

/// A terminal as far as this program may use it. Any other sequence fails the test.
#[derive(Default)]
struct Emulator {
    width: usize,
    height: usize,
    lines: Vec<String>,
    row: usize,
    column: usize,
    /// Sequences that are not complete yet.
    pending: Vec<u8>,
    is_alternate: bool,
    is_cursor_hidden: bool,
    /// Screens that were drawn.
    frames: usize,
    /// The mistakes that were made.
    mistakes: Vec<String>,
}

impl Emulator {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.lines = vec![String::new(); height];
        (self.row, self.column) = (0, 0);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        // The rest of a character comes with the next bytes.
        let whole = match std::str::from_utf8(&pending) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => pending.len(),
        };
        let text = std::str::from_utf8(&pending[..whole]).expect("UTF-8");
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '\u{1b}' => match self.control(rest) {
                    0 => break,
                    length => length,
                },
                '\r' => {
                    self.column = 0;
                    1
                }
                '\n' => {
                    self.row += 1;
                    1
                }
                c => {
                    self.print(c);
                    c.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        let taken = text.len() - rest.len();
        self.pending = pending[taken..].to_vec();
    }

    /// Obeys a sequence at the beginning of a text; returns its length, or 0 if it is not complete.
    fn control(&mut self, text: &str) -> usize {
        let is_final = |c: char| c.is_ascii_alphabetic();
        let Some(end) = text.find(is_final) else {
            return 0;
        };
        let sequence = &text[1..=end];
        match sequence {
            "[?1049h" => self.is_alternate = true,
            "[?1049l" => self.is_alternate = false,
            "[?25l" => self.is_cursor_hidden = true,
            "[?25h" => self.is_cursor_hidden = false,
            "[H" => (self.row, self.column) = (0, 0),
            "[K" => {
                self.cut_line();
            }
            "[J" => {
                let next = self.row + 1;
                self.lines.iter_mut().skip(next).for_each(String::clear);
                self.frames += 1;
            }
            style if style.ends_with('m') => {}
            other => self
                .mistakes
                .push(format!("an unexpected sequence: {other:?}")),
        }
        end + 1
    }

    /// Cuts the line at the cursor, and returns it.
    fn cut_line(&mut self) -> &mut String {
        let line = self.lines.get_mut(self.row).expect("a line of the screen");
        *line = line.chars().take(self.column).collect();
        line
    }

    fn print(&mut self, c: char) {
        if c.is_control() {
            self.mistakes.push(format!("a control character: {c:?}"));
            return;
        }
        self.cut_line().push(c);
        self.column += 1;
        if self.column >= self.width {
            self.mistakes.push(format!("line {} is too wide", self.row));
        }
    }

    fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// The command in a terminal of its own.
struct Session {
    user: File,
    program: OwnedFd,
    /// The modes before the command.
    modes: String,
    emulator: Arc<Mutex<Emulator>>,
    child: Running,
}

impl Session {
    fn start(address: &str, width: u16, height: u16) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&user).expect("a terminal");
        unlockpt(&user).expect("a terminal");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let program = ioctl_tiocgptpeer(&user, flags).expect("its other end");
        let emulator = Arc::<Mutex<Emulator>>::default();
        let end = || Stdio::from(program.try_clone().expect("a descriptor"));
        let modes = modes(&program);
        set_size(&user, &emulator, width, height);
        // The terminal sends signals for keys to the session that it controls.
        let child = program_without_environment("setsid")
            .args(["-c", PROGRAM, "top", address])
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setsid of util-linux");
        let (shown, mut output) = (
            Arc::clone(&emulator),
            File::from(user.try_clone().expect("it")),
        );
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                shown.lock().expect("no panic").take(&bytes[..length]);
            }
        });
        let session = Self {
            user: user.into(),
            program,
            modes,
            emulator,
            child: Running(child),
        };
        session.waits_for("q quits");
        session
    }

    fn with<T>(&self, look: impl FnOnce(&Emulator) -> T) -> T {
        let emulator = self.emulator.lock().expect("what was drawn is a screen");
        assert_eq!(emulator.mistakes, [""; 0], "{}", emulator.text());
        look(&emulator)
    }

    fn waits_for(&self, part: &str) {
        eventually(part, || self.with(|shown| shown.text().contains(part)));
    }

    fn presses(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).expect("a terminal");
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a process");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }

    fn resize(&self, width: u16, height: u16) {
        set_size(self.user.as_fd(), &self.emulator, width, height);
    }

    /// Returns whether the terminal is as it was before the command.
    fn is_given_back(&self) -> bool {
        let is_plain = self.with(|shown| !shown.is_alternate && !shown.is_cursor_hidden);
        is_plain && modes(&self.program) == self.modes
    }

    /// Waits for the end, which must leave no trace.
    fn ends(mut self) {
        let status = self.child.0.wait().expect("an end");
        assert_eq!(status.code(), Some(0), "{status}");
        eventually("the terminal is given back", || self.is_given_back());
    }
}

fn modes(terminal: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(terminal).expect("modes"))
}

fn set_size(user: impl std::os::fd::AsFd, emulator: &Mutex<Emulator>, width: u16, height: u16) {
    // The program draws for the old size until it knows the new one.
    let mut emulator = emulator.lock().expect("no panic");
    emulator.resize(width.into(), height.into());
    let size = Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(user, size).expect("a terminal");
}

/// A proxy with an admin listener, and the address of that.
fn proxy(engine: &Engine, folder: &TempDir) -> (Proxy, String) {
    let address = format!("unix://{}", folder.file("admin.sock"));
    let proxy = ProxyBuilder::new(PROGRAM, engine, "GET /_ping")
        .arg("--admin-addr", &address)
        .start();
    (proxy, address)
}

fn refuse(proxy: &Proxy, target: &str) {
    let answer = proxy.client().request(&format!("GET {target}"));
    assert_eq!(answer.status, 403);
}

#[test]
fn the_screen_is_drawn_again_and_fits_the_terminal() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (proxy, address) = proxy(&engine, &folder);
    let session = Session::start(&address, 80, 24);
    assert!(session.with(|shown| shown.is_alternate && shown.is_cursor_hidden));
    let frames = session.with(|shown| shown.frames);
    eventually("two more screens", || {
        session.with(|shown| shown.frames) > frames + 1
    });
    refuse(&proxy, &format!("/{}", "long".repeat(60)));
    session.waits_for("GET /longlong");
    // A larger screen shows what a smaller one cuts.
    session.resize(132, 40);
    session.waits_for("longlonglonglonglonglonglonglong");
    eventually("the last line has the keys", || {
        session.with(|shown| shown.lines[39].starts_with("q quits"))
    });
}

#[test]
fn escape_sequences_of_clients_do_not_reach_the_terminal() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (proxy, address) = proxy(&engine, &folder);
    let mut session = Session::start(&address, 80, 24);
    // The emulator fails the test at a sequence that it does not know.
    refuse(&proxy, "/x%c2%9b%5b2Jy");
    session.waits_for("GET /x\u{fffd}[2Jy");
    // Such a target is no valid one, but the operator has to see that it was sent.
    let answer = proxy.client().request("GET /z%1b%5b2Jy%07");
    assert_eq!(answer.status, 400);
    session.waits_for("GET /z");
    // What is typed does not reach it as it is, either.
    session.presses("f\u{85}\u{202e}");
    session.waits_for("filter: \u{fffd}\u{fffd}_");
}

#[test]
fn keys_filter_and_pause_without_enter() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (proxy, address) = proxy(&engine, &folder);
    let mut session = Session::start(&address, 80, 24);
    refuse(&proxy, "/images/json");
    refuse(&proxy, "/volumes");
    session.waits_for("GET /images/json");
    session.waits_for("GET /volumes");
    session.presses("/IMAGES");
    eventually("the filter holds", || {
        let text = session.with(Emulator::text);
        text.contains("GET /images/json") && !text.contains("GET /volumes")
    });
    session.presses("\r\u{1b}");
    session.waits_for("GET /volumes");
    session.presses("p");
    session.waits_for("(paused)");
    refuse(&proxy, "/networks");
    let frames = session.with(|shown| shown.frames);
    eventually("two more screens", || {
        session.with(|shown| shown.frames) > frames + 1
    });
    assert!(session.with(|shown| !shown.text().contains("GET /networks")));
    session.presses("p");
    session.waits_for("GET /networks");
}

#[test]
fn every_end_gives_the_terminal_back() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (_proxy, address) = proxy(&engine, &folder);
    for keys in ["q", "\u{3}", "f\u{3}"] {
        let mut session = Session::start(&address, 80, 24);
        assert!(!session.is_given_back());
        session.presses(keys);
        session.ends();
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let session = Session::start(&address, 80, 24);
        session.signal(signal);
        session.ends();
    }
}

/// Ctrl-Z lends the terminal to the shell.
#[test]
fn a_stopped_command_gives_the_terminal_back_and_takes_it_again() {
    let (engine, folder) = (Engine::ok(), TempDir::new());
    let (_proxy, address) = proxy(&engine, &folder);
    let mut session = Session::start(&address, 80, 24);
    for _ in 0..2 {
        session.presses("\u{1a}");
        let stops = WaitIdOptions::STOPPED;
        let state = waitid(WaitId::Pid(session.pid()), stops).expect("a child");
        assert!(state.is_some_and(|state| state.stopped()));
        eventually("the terminal is given back", || session.is_given_back());
        let frames = session.with(|shown| shown.frames);
        session.signal(Signal::CONT);
        eventually("the screen is drawn again", || {
            session.with(|shown| shown.frames) > frames
        });
        assert!(session.with(|shown| shown.is_alternate && shown.is_cursor_hidden));
        assert_ne!(modes(&session.program), session.modes);
    }
    session.presses("q");
    session.ends();
}
