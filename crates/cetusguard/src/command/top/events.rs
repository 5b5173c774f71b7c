//! The stream of decisions: server-sent events (HTML Standard, section 9.2), as the admin listener
//! writes them.

use serde::Deserialize;

/// The largest event that is read. The proxy cuts the long values of a decision.
const LARGEST: usize = 1 << 20;

/// An event of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamEvent {
    /// A call was refused, or would have been.
    Refused(Box<ShownDecision>),
    /// So many decisions were lost.
    Lost(u64),
}

/// The part of a decision that is shown.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct ShownDecision {
    pub(super) time: String,
    pub(super) decision: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) client: String,
    pub(super) container: String,
    pub(super) certificate: String,
    pub(super) profile: String,
    pub(super) reason: String,
    pub(super) add_rules: String,
    pub(super) guard_allow: String,
}

#[derive(Deserialize)]
struct LostEvents {
    count: u64,
}

/// Cuts a stream into its events.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// The beginning of the next event.
    waiting: Vec<u8>,
}

impl EventReader {
    /// Takes the next bytes of the stream, and returns the events that are now complete.
    ///
    /// # Errors
    /// Returns why the stream cannot be read any further.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<StreamEvent>, String> {
        self.waiting.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut begin = 0;
        let waiting = &self.waiting;
        while let Some(length) = memchr::memmem::find(&waiting[begin..], b"\n\n") {
            let text = String::from_utf8_lossy(&waiting[begin..begin + length]);
            events.extend(parse_event(&text)?);
            begin += length + 2;
        }
        self.waiting.drain(..begin);
        if self.waiting.len() > LARGEST {
            return Err(format!("an event is larger than {} MiB", LARGEST >> 20));
        }
        Ok(events)
    }
}

/// Parses the lines of one event; returns `None` for a comment, and for a kind of event that this
/// version does not know.
fn parse_event(text: &str) -> Result<Option<StreamEvent>, String> {
    let (mut kind, mut data) = ("message", "");
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", value)) => kind = value,
            Some(("data", value)) => data = value,
            _ => {}
        }
    }
    let wrong = |error: serde_json::Error| error.to_string();
    Ok(match kind {
        _ if data.is_empty() => None,
        "message" => Some(StreamEvent::Refused(
            serde_json::from_str(data).map_err(wrong)?,
        )),
        "lost" => {
            let loss: LostEvents = serde_json::from_str(data).map_err(wrong)?;
            Some(StreamEvent::Lost(loss.count))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_stream_is_cut() {
        let stream = ": decisions from now on\n\ndata: {\"path\":\"/a\",\"status\":403}\n\n:\n\n\
            event: lost\ndata: {\"count\":7}\n\nevent: other\ndata: x\n\n\
            data: {\"path\":\"/b\"}\n\n";
        let path = |path: &str| {
            StreamEvent::Refused(Box::new(ShownDecision {
                path: path.to_owned(),
                ..ShownDecision::default()
            }))
        };
        for size in 1..=stream.len() {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for part in stream.as_bytes().chunks(size) {
                events.extend(reader.push(part).expect("events"));
            }
            assert_eq!(
                events,
                [path("/a"), StreamEvent::Lost(7), path("/b")],
                "{size}"
            );
            assert!(reader.waiting.is_empty());
        }
    }

    #[test]
    fn a_stream_that_is_none_ends_with_a_mistake() {
        assert!(EventReader::default().push(b"data: [\n\n").is_err());
        let mut reader = EventReader::default();
        let endless = vec![b'x'; LARGEST / 2 + 1];
        assert!(reader.push(&endless).is_ok());
        assert!(reader.push(&endless).is_err());
    }
}
