//! The end of a stream of lines: a destination that may take nothing for a while, or half of a line.

use std::io;

use super::Level;
use super::line::{Line, LineForm};
use super::output::{Destination, LogOutput};

/// A destination, with the state of failed writes.
#[derive(Debug)]
pub(super) struct Sink<D = LogOutput> {
    output: D,
    form: LineForm,
    /// Lines begin with their priority.
    has_priority: bool,
    /// Records that were lost because of this error, and are not yet told of.
    failed: u64,
    error: String,
    /// The last thing written was the beginning of a line.
    is_cut: bool,
}

impl Sink {
    /// Opens the file again, or the connection.
    ///
    /// # Errors
    /// The file cannot be opened, and the old one stays in use.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.output.reopen()?;
        self.is_cut = false;
        Ok(())
    }
}

impl<D: Destination> Sink<D> {
    /// Lines of this form go to a destination.
    pub(super) fn new(output: D, form: LineForm, has_priority: bool) -> Self {
        Self {
            output,
            form,
            has_priority,
            failed: 0,
            error: String::new(),
            is_cut: false,
        }
    }

    /// Returns the number of records that were lost since lines could last be written, and the
    /// error; `None` if they can be written.
    pub(super) fn failure(&self) -> Option<(u64, &str)> {
        (self.failed > 0).then_some((self.failed, self.error.as_str()))
    }

    /// Writes records, each with its line end, and a line that `dropped` later ones did not fit
    /// into the queue. What cannot be written is counted, and told as soon as something can:
    /// requests go on. A destination that takes nothing is waited for while `may_wait` says so.
    /// Returns the number of these records that could not be written.
    pub(super) fn write(
        &mut self,
        records: &[u8],
        dropped: u64,
        may_wait: &dyn Fn() -> bool,
    ) -> u64 {
        match self.output.prepare() {
            Ok(is_new) => self.is_cut &= !is_new,
            Err(error) => {
                self.error = error.to_string();
                self.failed += count_lines(records) + dropped;
                return count_lines(records);
            }
        }
        if self.failed > 0 {
            let line = self.lost("log records lost: they could not be written", self.failed);
            let line = self.finish(line.text("detail", &self.error));
            if self.write_lines(line.as_bytes(), may_wait).is_err() {
                self.failed += count_lines(records) + dropped;
                return count_lines(records);
            }
            self.failed = 0;
        }
        if let Err(left) = self.write_lines(records, may_wait) {
            self.failed += left + dropped;
            return left;
        }
        if dropped > 0 {
            let line = self.finish(self.lost(
                "log records lost: the reader of the log is too slow",
                dropped,
            ));
            if self.write_lines(line.as_bytes(), may_wait).is_err() {
                self.failed += dropped;
            }
        }
        0
    }

    fn lost(&self, message: &str, number: u64) -> Line {
        Line::new(&self.form, Level::Warning, message).number("count", number)
    }

    /// Ends a line, and puts its priority before it if lines have one.
    fn finish(&self, line: Line) -> String {
        let (level, text) = (line.level, line.finish());
        match self.has_priority {
            true => level.priority().to_owned() + &text,
            false => text,
        }
    }

    /// Writes whole lines. The error is the number of those that are missing, or not whole.
    fn write_lines(&mut self, lines: &[u8], may_wait: &dyn Fn() -> bool) -> Result<(), u64> {
        let mut left = lines;
        if self.is_cut {
            // So that nothing is taken for the rest of that line.
            self.write_some(b"\n", may_wait)
                .map_err(|()| count_lines(lines))?;
        }
        while !left.is_empty() {
            // A record that lacks nothing but its line end gets that with the next one.
            let whole = u64::from(left.starts_with(b"\n"));
            let written = self
                .write_some(left, may_wait)
                .map_err(|()| count_lines(left) - whole)?;
            left = &left[written..];
        }
        Ok(())
    }

    fn write_some(&mut self, bytes: &[u8], may_wait: &dyn Fn() -> bool) -> Result<usize, ()> {
        let error = loop {
            match self.output.write(bytes) {
                Ok(written @ 1..) => {
                    self.is_cut = bytes[written - 1] != b'\n';
                    return Ok(written);
                }
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.output.is_late(&error) && may_wait() => {}
                Err(error) => break error,
            }
        };
        self.error = error.to_string();
        Err(())
    }
}

/// Returns the number of records in a text of whole lines.
pub(super) fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::telemetry::log::Format;

    fn sink(disk: Disk) -> Sink<Disk> {
        Sink::new(disk, LineForm::new(Format::Logfmt, ""), false)
    }

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

    impl Destination for Disk {}

    #[test]
    fn every_record_is_there_or_counted() {
        // Wherever the disk is full, within a record or between two.
        for room in 0..=15 {
            let mut sink = sink(Disk {
                room,
                ..Disk::default()
            });
            sink.write(b"one\ntwo\nthree\n", 0, &|| true);
            sink.write(b"four\n", 2, &|| true);
            assert!(
                sink.output.bytes.len() <= room,
                "nothing has been written since"
            );
            sink.output.room = 1 << 10;
            sink.write(b"five\n", 0, &|| true);
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
    fn a_destination_that_takes_nothing_is_given_up_when_that_is_wanted() {
        let waits = std::cell::Cell::new(3);
        let may_wait = || waits.replace(waits.get() - 1) > 1;
        let mut sink = Sink::new(Stuck, LineForm::new(Format::Logfmt, ""), false);
        assert_eq!(sink.write(b"one\ntwo\n", 5, &may_wait), 2);
        assert_eq!(waits.get(), 0);
        assert!(sink.failure().is_some_and(|(lost, _)| lost == 7));
    }

    /// A collector that reads nothing.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Destination for Stuck {
        fn is_late(&self, _: &io::Error) -> bool {
            true
        }
    }

    #[test]
    fn records_without_a_place_are_told_behind_the_others() {
        let mut sink = sink(Disk {
            room: 1 << 10,
            ..Disk::default()
        });
        sink.write(b"one\n", 3, &|| true);
        sink.write(b"two\n", 0, &|| true);
        let text = String::from_utf8(sink.output.bytes).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines.len() == 3 && lines[1].contains("reader of the log is too slow\" count=3"),
            "{text}"
        );
    }
}
