//! Reading that may block: on a thread of its own, and with an end to the patience.
//!
//! No call reads a file or resolves a name with a deadline, and a thread that hangs in the kernel
//! cannot be ended. So the event loop waits for the result, and after a while goes on without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Threads that may hang at a time. Most likely they all hang in the same place.
const HANGING: usize = 4;

/// One reading at a time, each given up after the same time.
#[derive(Debug)]
pub(super) struct Readings<T> {
    current: Option<Current<T>>,
    patience: Duration,
    threads: Arc<Semaphore>,
}

#[derive(Debug)]
struct Current<T> {
    cause: &'static str,
    /// `None` where no thread is left for it.
    thread: Option<JoinHandle<T>>,
    deadline: Instant,
}

/// Why a reading has no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The reading took longer than the patience.
    Late,
    /// Too many earlier ones still hang.
    Hanging,
    /// The reading panicked.
    Bug(String),
}

impl<T: Send + 'static> Readings<T> {
    /// No reading yet; `patience` is how long each one is waited for.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            current: None,
            patience,
            threads: Arc::new(Semaphore::new(HANGING)),
        }
    }

    /// Returns whether one is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Begins a reading, in place of the one that is under way.
    pub(super) fn begin(&mut self, cause: &'static str, read: impl FnOnce() -> T + Send + 'static) {
        let thread = Arc::clone(&self.threads)
            .try_acquire_owned()
            .ok()
            .map(|permit| {
                tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    read()
                })
            });
        self.current = Some(Current {
            cause,
            thread,
            deadline: Instant::now() + self.patience,
        });
    }

    /// Waits for the end of the reading that is under way, for ever if there is none; returns its
    /// cause and its result. Safe to cancel.
    pub(super) async fn done(&mut self) -> (&'static str, Result<T, Failed>) {
        let Some(Current {
            cause,
            thread,
            deadline,
        }) = &mut self.current
        else {
            return std::future::pending().await;
        };
        let cause = *cause;
        let result = match thread {
            None => Err(Failed::Hanging),
            Some(thread) => match timeout_at(*deadline, thread).await {
                Ok(Ok(read)) => Ok(read),
                Ok(Err(error)) => Err(Failed::Bug(error.to_string())),
                Err(_) => Err(Failed::Late),
            },
        };
        self.current = None;
        (cause, result)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_hangs_is_given_up_and_the_next_one_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let (releases, hanging): (Vec<_>, Vec<_>) =
            (0..HANGING).map(|_| mpsc::channel::<()>()).unzip();
        runtime.block_on(async {
            let mut readings = Readings::new(Duration::from_millis(1));
            for released in hanging {
                readings.begin("test", move || _ = released.recv());
                assert!(readings.is_busy());
                assert_eq!(readings.done().await, ("test", Err(Failed::Late)));
                assert!(!readings.is_busy());
            }
            // No more threads than that, whatever asks for them.
            readings.begin("too many", || ());
            assert_eq!(readings.done().await, ("too many", Err(Failed::Hanging)));
            // They come back.
            drop(releases);
            readings.patience = cetusguard_testkit::patience();
            while readings.threads.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
            readings.begin("again", || ());
            assert_eq!(readings.done().await, ("again", Ok(())));
        });
    }
}
