//! The screen and the keys of a terminal, by the control sequences of ECMA-48 and xterm and the
//! modes of POSIX.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc;

use super::keys::{PressedKey, read_keys};

/// The alternate screen without its cursor: the lines above stay as they were.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
/// Keys that may wait for the program.
const KEYS: usize = 64;
/// The size of a terminal that does not tell its own.
const USUAL: Size = Size {
    width: 80,
    height: 24,
};

/// The characters of a line, and the lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The alternate screen of the terminal, which sends keys without waiting for the end of a line.
/// Dropped, it gives the former screen and the former modes back.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Arc<Mutex<Terminal>>,
}

/// A terminal, with what it has to become again.
#[derive(Debug)]
struct Terminal {
    output: File,
    /// The end that keys come from, and its modes before this program; none if it is no terminal.
    input: Option<(OwnedFd, Termios)>,
    is_open: bool,
}

impl Screen {
    /// Returns whether standard output is a terminal that has a screen.
    pub(super) fn is_possible(env: &HashMap<String, OsString>) -> bool {
        let is_dumb = env
            .get("TERM")
            .is_none_or(|term| term.is_empty() || term == "dumb");
        io::stdout().is_terminal() && !is_dumb
    }

    /// Opens the screen on standard output, with the keys of standard input. A panic closes it
    /// before its message is written.
    pub(super) fn open() -> io::Result<Self> {
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let screen = Self::open_on(output, input)?;
        let terminal = Arc::clone(&screen.terminal);
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            lock(&terminal).close();
            former(panic);
        }));
        Ok(screen)
    }

    fn open_on(output: OwnedFd, input: OwnedFd) -> io::Result<Self> {
        let input = match tcgetattr(&input) {
            Ok(modes) => Some((input, modes)),
            Err(_) => None,
        };
        let screen = Self {
            terminal: Arc::new(Mutex::new(Terminal {
                output: output.into(),
                input,
                is_open: false,
            })),
        };
        // From here on, the end of the value closes the screen, also if not all was written.
        screen.resume()?;
        Ok(screen)
    }

    /// Returns the keys of the terminal; `None` if standard input is no terminal.
    pub(super) fn keys(&self) -> io::Result<Option<mpsc::Receiver<PressedKey>>> {
        let terminal = lock(&self.terminal);
        let Some((input, _)) = &terminal.input else {
            return Ok(None);
        };
        let input = input.try_clone()?;
        let (sender, keys) = mpsc::channel(KEYS);
        // The thread ends with the program: nothing else interrupts its wait.
        thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || send_keys(&input, &sender))?;
        Ok(Some(keys))
    }

    /// Returns the size of the terminal as it is now.
    pub(super) fn size(&self) -> Size {
        let size = terminal_size::terminal_size_of(&lock(&self.terminal).output);
        size.map(|(width, height)| Size {
            width: width.0.into(),
            height: height.0.into(),
        })
        .filter(|size| size.width > 0 && size.height > 0)
        .unwrap_or(USUAL)
    }

    /// Draws lines over the former ones.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        lock(&self.terminal).write(&frame(text))
    }

    /// Gives the terminal back to the shell, and stops the program until it is continued.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        lock(&self.terminal).close();
        Ok(kill_process(getpid(), Signal::STOP)?)
    }

    /// Takes the terminal, also after another program has had it.
    pub(super) fn resume(&self) -> io::Result<()> {
        lock(&self.terminal).open()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        lock(&self.terminal).close();
    }
}

fn lock(terminal: &Mutex<Terminal>) -> MutexGuard<'_, Terminal> {
    terminal.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    fn open(&mut self) -> io::Result<()> {
        self.is_open = true;
        if let Some((input, modes)) = &self.input {
            tcsetattr(input, OptionalActions::Drain, &key_modes(modes.clone()))?;
        }
        self.write(OPEN)
    }

    fn close(&mut self) {
        if !self.is_open {
            return;
        }
        self.is_open = false;
        // A terminal that is gone needs no screen.
        let _ = self.write(CLOSE);
        if let Some((input, modes)) = &self.input {
            // Keys that nobody has read are not for the shell.
            let _ = tcsetattr(input, OptionalActions::Flush, modes);
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }
}

/// Returns modes in which keys come at once and are not shown. Those of signals keep their effect;
/// a read without a key returns at once.
fn key_modes(mut modes: Termios) -> Termios {
    modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
    // Ctrl-S would stop the output, and with it the program.
    modes.input_modes -= InputModes::IXON;
    modes.special_codes[SpecialCodeIndex::VMIN] = 0;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// Reads keys until the terminal is gone, or until nobody waits for them.
fn send_keys(input: &OwnedFd, keys: &mpsc::Sender<PressedKey>) {
    let mut bytes = [0; 256];
    loop {
        let mut ready = [PollFd::new(input, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let is_gone = ready[0]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR);
        match rustix::io::read(input, &mut bytes) {
            Err(Errno::INTR) => {}
            // Another reader was faster.
            Ok(0) if !is_gone => {}
            Ok(0) | Err(_) => return,
            Ok(length) => {
                for key in read_keys(&bytes[..length]) {
                    if keys.blocking_send(key).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Returns the bytes that draw lines: from the top, each cleared to its end, and then the rest of
/// the screen. Nothing is cleared before it is drawn again, so that the screen does not flicker.
fn frame(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    /// Opens a terminal: the end of its user, and that of the program.
    fn open_terminal() -> (File, OwnedFd) {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&user).expect("a terminal");
        unlockpt(&user).expect("a terminal");
        let program = ioctl_tiocgptpeer(&user, OpenptFlags::RDWR | OpenptFlags::NOCTTY);
        (user.into(), program.expect("its other end"))
    }

    fn modes(terminal: &OwnedFd) -> String {
        format!("{:?}", tcgetattr(terminal).expect("modes"))
    }

    #[test]
    fn a_frame_clears_each_line_and_ends_without_a_new_one() {
        assert_eq!(frame("one\ntwo\n"), "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let (mut user, program) = open_terminal();
        let before = modes(&program);
        let ends = [&program; 2].map(|end| end.try_clone().expect("a descriptor"));
        let panicked = panic::catch_unwind(|| {
            let [output, input] = ends;
            let _screen = Screen::open_on(output, input).expect("a screen");
            assert_ne!(modes(&program), before);
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert_eq!(modes(&program), before);
        let mut written = vec![0; OPEN.len() + CLOSE.len()];
        user.read_exact(&mut written).expect("what was written");
        assert_eq!(written, [OPEN, CLOSE].concat().as_bytes());
    }

    #[test]
    fn input_that_is_no_terminal_has_no_keys() {
        let (_user, program) = open_terminal();
        let null = File::open("/dev/null").expect("/dev/null");
        let screen = Screen::open_on(program, null.into()).expect("a screen");
        assert!(screen.keys().expect("no mistake").is_none());
    }
}
