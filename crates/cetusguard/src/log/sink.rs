//! The end of the log: a descriptor that may take nothing for a while, or half of a line.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::line::Line;
use super::{Format, Level, Settings};

/// Standard output or standard error, with the state of failed writes.
#[derive(Debug)]
pub(super) struct Sink<W = File> {
    /// Not the standard library's stream: that one keeps bytes that could not be written, and
    /// writes them later.
    output: W,
    format: Format,
    /// Records that were lost because of this error, and are not yet told of.
    failed: u64,
    error: String,
    /// The last thing written was the beginning of a line.
    is_cut: bool,
}

impl Sink {
    /// The output that the settings ask for.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub(super) fn new(settings: Settings) -> io::Result<Self> {
        let (out, err) = (io::stdout(), io::stderr());
        let descriptor = if settings.aside {
            err.as_fd()
        } else {
            out.as_fd()
        };
        Ok(Self::over(
            descriptor.try_clone_to_owned()?.into(),
            settings.format,
        ))
    }
}

impl<W: Write> Sink<W> {
    fn over(output: W, format: Format) -> Self {
        Self {
            output,
            format,
            failed: 0,
            error: String::new(),
            is_cut: false,
        }
    }

    /// Writes records, each with its line end, and a line that `dropped` later ones did not fit
    /// into the queue. What cannot be written is counted, and told as soon as something can:
    /// requests go on. Returns the number of these records that could not be written.
    pub(super) fn write(&mut self, records: &[u8], dropped: u64) -> u64 {
        if self.failed > 0 {
            let line = self.lost("log records lost: they could not be written", self.failed);
            let line = line.text("detail", &self.error).finish();
            if self.write_lines(line.as_bytes()).is_err() {
                self.failed += count(records) + dropped;
                return count(records);
            }
            self.failed = 0;
        }
        if let Err(left) = self.write_lines(records) {
            self.failed += left + dropped;
            return left;
        }
        if dropped > 0 {
            let line = self
                .lost(
                    "log records lost: the reader of the log is too slow",
                    dropped,
                )
                .finish();
            if self.write_lines(line.as_bytes()).is_err() {
                self.failed += dropped;
            }
        }
        0
    }

    fn lost(&self, message: &str, number: u64) -> Line {
        Line::new(self.format, Level::Warning, message).number("count", number)
    }

    /// Writes whole lines. The error is the number of those that are missing, or not whole.
    fn write_lines(&mut self, lines: &[u8]) -> Result<(), u64> {
        let mut left = lines;
        if self.is_cut {
            // So that nothing is taken for the rest of that line.
            self.write_some(b"\n").map_err(|()| count(lines))?;
        }
        while !left.is_empty() {
            // A record that lacks nothing but its line end gets that with the next one.
            let whole = u64::from(left.starts_with(b"\n"));
            let written = self.write_some(left).map_err(|()| count(left) - whole)?;
            left = &left[written..];
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let error = loop {
            match self.output.write(bytes) {
                Ok(written @ 1..) => {
                    self.is_cut = bytes[written - 1] != b'\n';
                    return Ok(written);
                }
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        self.error = error.to_string();
        Err(())
    }
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    #[derive(Debug, Default)]
    struct Disk {
        room: usize,
        bytes: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.bytes.extend_from_slice(&bytes[..taken]);
            if taken == 0 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(taken)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_record_is_there_or_counted() {
        // Wherever the disk is full, within a record or between two.
        for room in 0..=15 {
            let mut sink = Sink::over(
                Disk {
                    room,
                    ..Disk::default()
                },
                Format::Logfmt,
            );
            sink.write(b"one\ntwo\nthree\n", 0);
            sink.write(b"four\n", 2);
            assert!(
                sink.output.bytes.len() <= room,
                "nothing has been written since"
            );
            sink.output.room = 1 << 10;
            sink.write(b"five\n", 0);
            let text = String::from_utf8(sink.output.bytes).expect("text");
            let whole = ["one", "two", "three", "four"]
                .iter()
                .filter(|record| text.lines().any(|line| line == **record))
                .count();
            let lost = format!(
                "msg=\"log records lost: they could not be written\" count={}",
                4 + 2 - whole
            );
            let mut last = text.lines().rev();
            assert_eq!(last.next(), Some("five"), "{text}");
            assert!(
                last.next()
                    .is_some_and(|line| line.starts_with("time=") && line.contains(&lost)),
                "{text}"
            );
        }
    }

    #[test]
    fn records_without_a_place_are_told_behind_the_others() {
        let mut sink = Sink::over(
            Disk {
                room: 1 << 10,
                ..Disk::default()
            },
            Format::Logfmt,
        );
        sink.write(b"one\n", 3);
        sink.write(b"two\n", 0);
        let text = String::from_utf8(sink.output.bytes).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.len() == 3 && lines[1].contains("reader of the log is too slow\" count=3"),
            "{text}"
        );
    }
}
