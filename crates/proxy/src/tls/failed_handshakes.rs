//! TLS handshakes that fail. A client can make them fail as fast as it connects, so that the log
//! gets one line for each client and minute.

use std::sync::Arc;

use cetusguard_policy::LimitSubject;

use crate::telemetry::log::{Level, Log};
use crate::telemetry::tallies::{DueTally, Occurrence, Tallies};

/// The listener of a handshake: the address of a frontend; `None` is the admin listener.
type Listener = Option<Arc<str>>;

/// The failed handshakes that the log does not know yet.
#[derive(Debug, Default)]
pub(crate) struct FailedHandshakes(Tallies<(Listener, LimitSubject)>);

impl FailedHandshakes {
    /// Notes a failed handshake of a client, and writes a line if one is due.
    pub(crate) fn note(
        &self,
        listener: Listener,
        client: LimitSubject,
        event: Occurrence,
        log: &Log,
    ) {
        if let Some(told) = self.0.note((listener, client), event) {
            write_line(&told, log);
        }
    }

    /// Writes the lines that have become due without another failure.
    pub(crate) fn write_due_lines(&self, log: &Log) {
        for told in self.0.unlogged() {
            write_line(&told, log);
        }
    }
}

fn write_line(told: &DueTally<(Listener, LimitSubject)>, log: &Log) {
    let mut line = log.line(Level::Notice, "TLS handshake failed");
    if let Some(frontend) = &told.key.0 {
        line = line.text("frontend", frontend);
    }
    line = line
        .text("client", &told.last.peer)
        .text("detail", &told.last.detail);
    log.send(line.number("failed", told.count));
}
