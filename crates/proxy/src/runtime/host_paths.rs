//! Resolves symbolic links of host paths, with a limit in time.
//!
//! The kernel may take for ever to answer about a path, as on a network file system whose server is
//! gone. So a thread asks it, and the event loop waits for this thread for half a second. Four threads
//! may hang: together, they cost the event loop two seconds, and later questions cost none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use cetusguard_policy::guard::{HostPath, PathResolver};

/// The time for which the caller waits. A file system that works answers within a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most threads that may wait for a file system. A thread that hangs stays until the file system
/// answers.
const MAX_WAITING_THREADS: usize = 4;

/// Asks the kernel where paths of the host lead.
#[derive(Debug)]
pub(crate) struct HostPaths {
    ask: fn(&str) -> HostPath,
    waiting: Arc<AtomicUsize>,
}

impl Default for HostPaths {
    fn default() -> Self {
        Self {
            ask: resolve_now,
            waiting: Arc::default(),
        }
    }
}

impl PathResolver for HostPaths {
    /// Returns where a path leads. Blocks the caller for at most half a second, and not at all while
    /// several earlier questions hang.
    fn resolve(&self, path: &str) -> HostPath {
        if self.waiting.fetch_add(1, SeqCst) >= MAX_WAITING_THREADS {
            self.waiting.fetch_sub(1, SeqCst);
            return HostPath::Unknown;
        }
        let (sender, answer) = sync_channel(1);
        let (waiting, ask, path) = (Arc::clone(&self.waiting), self.ask, path.to_owned());
        let thread = thread::Builder::new().name("host-path".to_owned());
        let started = thread.spawn(move || {
            let resolved = ask(&path);
            waiting.fetch_sub(1, SeqCst);
            // The caller may have stopped waiting.
            let _ = sender.send(resolved);
        });
        match started {
            Ok(_) => answer.recv_timeout(PATIENCE).unwrap_or(HostPath::Unknown),
            Err(_) => {
                self.waiting.fetch_sub(1, SeqCst);
                HostPath::Unknown
            }
        }
    }
}

fn resolve_now(path: &str) -> HostPath {
    match std::fs::canonicalize(path).map(|found| found.into_os_string().into_string()) {
        Ok(Ok(found)) => HostPath::LeadsTo(found),
        // A name that is not UTF-8 cannot be judged.
        Ok(Err(_)) => HostPath::Unknown,
        Err(_) => HostPath::Missing,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    static IS_HUNG: AtomicBool = AtomicBool::new(true);

    fn hang(path: &str) -> HostPath {
        while path == "/hung" && IS_HUNG.load(SeqCst) {
            thread::yield_now();
        }
        HostPath::LeadsTo(path.to_owned())
    }

    #[test]
    fn a_file_system_that_hangs_is_not_waited_for() {
        let paths = HostPaths {
            ask: hang,
            ..HostPaths::default()
        };
        let leads = HostPath::LeadsTo("/srv".to_owned());
        for waiting in 0..MAX_WAITING_THREADS {
            assert_eq!(paths.waiting.load(SeqCst), waiting);
            assert_eq!(paths.resolve("/srv"), leads);
            assert_eq!(paths.resolve("/hung"), HostPath::Unknown);
        }
        // No more threads are started until one has returned.
        assert_eq!(paths.resolve("/srv"), HostPath::Unknown);
        assert_eq!(paths.waiting.load(SeqCst), MAX_WAITING_THREADS);
        IS_HUNG.store(false, SeqCst);
        while paths.waiting.load(SeqCst) > 0 {
            thread::yield_now();
        }
        assert_eq!(paths.resolve("/srv"), leads);
    }

    #[test]
    fn links_are_followed() {
        let paths = HostPaths::default();
        let exe = std::fs::read_link("/proc/self/exe").expect("a link");
        let exe = HostPath::LeadsTo(exe.to_str().expect("UTF-8").to_owned());
        assert_eq!(paths.resolve("/proc/self/exe"), exe);
        assert_eq!(paths.resolve("/nonexistent/path"), HostPath::Missing);
    }
}
