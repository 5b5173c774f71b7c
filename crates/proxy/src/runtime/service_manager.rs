//! Messages to systemd about the state of the service (sd_notify(3)), and its watchdog.
//!
//! A message is one datagram. It is sent without waiting: a manager that takes none must not hold
//! up an event loop.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

/// The manager of the service, if there is one that waits for messages.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// The time after which the manager ends a process that sends no sign of life.
    patience: Option<Duration>,
}

impl ServiceManager {
    /// Finds the manager in the environment of the process.
    pub(crate) fn find() -> Self {
        let text = |name| env::var(name).unwrap_or_default();
        Self {
            socket: env::var_os("NOTIFY_SOCKET").and_then(|path| connect(&path)),
            patience: read_patience(&text("WATCHDOG_USEC"), &text("WATCHDOG_PID")),
        }
    }

    /// Tells that the program listens, or uses its new configuration; `status` is one sentence.
    pub(crate) fn note_ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Tells that the configuration is read again. [`ServiceManager::note_ready`] ends the reload.
    pub(crate) fn note_reload(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Tells that the program stops.
    pub(crate) fn note_stop(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// Sends signs of life for as long as every event loop runs a task that is given to it. `loops`
    /// returns the loops that have started.
    pub(crate) async fn send_signs_of_life(self: Arc<Self>, loops: impl Fn() -> Vec<Handle>) {
        let Some(patience) = self.patience.filter(|_| self.socket.is_some()) else {
            return;
        };
        // Half of the time, as sd_watchdog_enabled(3) advises.
        let mut ticks = interval(patience / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let _ = ticks.tick().await;
            let tasks: Vec<_> = loops().iter().map(|one| one.spawn(async {})).collect();
            for task in tasks {
                // An error means that the loop has ended, as loops do at the end of the program.
                let _ = task.await;
            }
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket {
            // Without the message, the service is no worse.
            let _ = socket.send(message.as_bytes());
        }
    }
}

/// Connects to the manager; `None` if its address is of no known kind, or it is gone.
fn connect(address: &OsStr) -> Option<UnixDatagram> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
        [b'/', ..] => SocketAddr::from_pathname(address).ok()?,
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Returns the patience of the watchdog; `None` if there is none, or if it watches another process.
fn read_patience(micros: &str, process: &str) -> Option<Duration> {
    let is_other = !process.is_empty() && process.parse() != Ok(std::process::id());
    let micros = micros
        .parse()
        .ok()
        .filter(|micros| *micros > 1 && !is_other)?;
    Some(Duration::from_micros(micros))
}

/// Returns a text without line ends, each of which would begin another message.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_watches_this_process() {
        let own = std::process::id();
        let second = Some(Duration::from_secs(1));
        for (micros, process, want) in [
            ("1000000", String::new(), second),
            ("1000000", own.to_string(), second),
            ("1000000", (own + 1).to_string(), None),
            ("1000000", "x".to_owned(), None),
            ("0", String::new(), None),
            ("", String::new(), None),
            ("soon", String::new(), None),
        ] {
            assert_eq!(read_patience(micros, &process), want, "{micros} {process}");
        }
    }

    #[test]
    fn a_status_forges_no_message() {
        assert_eq!(one_line("a\nSTOPPING=1\r"), "a STOPPING=1 ");
    }

    #[test]
    fn an_abstract_address_is_reached() {
        let name = format!("cetusguard-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        let service = ServiceManager {
            socket: connect(OsStr::new(&format!("@{name}"))),
            patience: None,
        };
        service.note_ready("serving");
        let mut message = [0; 64];
        let length = manager.recv(&mut message).expect("a message");
        assert_eq!(&message[..length], b"READY=1\nSTATUS=serving");
        for unknown in ["", "relative", "vsock:1:2"] {
            assert!(connect(OsStr::new(unknown)).is_none(), "{unknown}");
        }
    }
}
