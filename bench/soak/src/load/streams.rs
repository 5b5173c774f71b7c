//! Events and logs, open for the whole run: every numbered event must come, once and in order.

use crate::client::{Client, head, order};
use crate::tally::Count;
use crate::trouble::Trouble;

pub(super) fn round(client: &mut Client) -> Result<(), Trouble> {
    let mut wire = client.connect()?;
    let mut ticket = client.ticket();
    let line = match client.random.one_in(2) {
        true => "GET /events".to_owned(),
        false => format!(
            "GET /containers/soak-{}/logs?follow=1&stdout=1",
            ticket.number
        ),
    };
    wire.send(head(
        &ticket,
        &line,
        &order(client.random.next(), 0, 0, "stream"),
    ))?;
    let answer = client.head(&mut wire, &mut ticket, 200)?;
    let mut body = answer.body();
    let mut order = Order::new(ticket.number);
    let mut line = Vec::new();
    loop {
        let some = wire.read_body(&mut body)?;
        if some.is_empty() {
            break;
        }
        client.count(Count::Bytes, some.len() as u64);
        for part in some.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.ends_with(b"\n") {
                order.take(&String::from_utf8_lossy(&line))?;
                line.clear();
            }
        }
    }
    order.finish()?;
    ticket.whole(200);
    Ok(())
}

/// The order of a stream's events.
struct Order {
    stream: u64,
    next: u64,
    is_over: bool,
}

impl Order {
    fn new(stream: u64) -> Self {
        Self {
            stream,
            next: 0,
            is_over: false,
        }
    }

    /// Takes a line: the number of the stream, and that of the event or of all events.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let stream = words.next().and_then(|word| word.parse().ok());
        if stream != Some(self.stream) {
            return Err(format!(
                "stream {} got a line of stream {stream:?}",
                self.stream
            ));
        }
        let word = words.next();
        let number = if word == Some("end") {
            words.next()
        } else {
            word
        };
        let number: Option<u64> = number.and_then(|word| word.parse().ok());
        if number != Some(self.next) || self.is_over {
            return Err(format!(
                "stream {}: event {number:?} came where {} was next",
                self.stream, self.next
            ));
        }
        self.is_over = word == Some("end");
        self.next += 1;
        Ok(())
    }

    fn finish(&self) -> Result<(), String> {
        if self.is_over {
            Ok(())
        } else {
            Err(format!(
                "stream {} ended after {} events as if it were whole",
                self.stream, self.next
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(lines: &[&str]) -> Result<(), String> {
        let mut order = Order::new(7);
        lines.iter().try_for_each(|line| order.take(line))?;
        order.finish()
    }

    #[test]
    fn a_lost_a_doubled_and_a_foreign_event_are_found() {
        assert_eq!(judge(&["7 0 xx\n", "7 1\n", "7 end 2\n"]), Ok(()));
        for lines in [
            &["7 0", "7 2", "7 end 3"][..],
            &["7 0", "7 0", "7 end 1"],
            &["7 0", "8 1", "7 end 2"],
            &["7 0", "7 end 2"],
            &["7 0", "7 1"],
            &["7 end 0", "7 1"],
        ] {
            assert!(judge(lines).is_err(), "{lines:?}");
        }
    }
}
