//! The screen of a terminal, by the control sequences of ECMA-48 and xterm.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

/// The alternate screen without its cursor: the lines above stay as they were.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
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

/// The alternate screen of the terminal. Dropped, it gives the former one back.
#[derive(Debug)]
pub(super) struct Screen;

impl Screen {
    /// Returns whether standard output is a terminal that has a screen.
    pub(super) fn is_possible(env: &HashMap<String, OsString>) -> bool {
        let is_dumb = env
            .get("TERM")
            .is_none_or(|term| term.is_empty() || term == "dumb");
        io::stdout().is_terminal() && !is_dumb
    }

    /// Returns the size of the terminal as it is now.
    pub(super) fn size() -> Size {
        let size = terminal_size::terminal_size_of(io::stdout());
        size.map(|(width, height)| Size {
            width: width.0.into(),
            height: height.0.into(),
        })
        .filter(|size| size.width > 0 && size.height > 0)
        .unwrap_or(USUAL)
    }

    pub(super) fn open() -> io::Result<Self> {
        // From here on, the end of the value closes the screen, also if not all was written.
        let screen = Self;
        write(OPEN)?;
        Ok(screen)
    }

    /// Draws lines over the former ones.
    pub(super) fn draw(&mut self, text: &str) -> io::Result<()> {
        write(&frame(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no screen.
        let _ = write(CLOSE);
    }
}

/// Returns the bytes that draw lines: from the top, each cleared to its end, and then the rest of
/// the screen. Nothing is cleared before it is drawn again, so that the screen does not flicker.
fn frame(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_clears_each_line_and_ends_without_a_new_one() {
        assert_eq!(frame("one\ntwo\n"), "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J");
    }
}
