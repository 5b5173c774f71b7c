//! An event loop on a thread of its own, for work that would hold up every client of the loop that
//! serves its connection.
//!
//! A TLS handshake takes about a millisecond, and one burst of them could hold up the clients of an
//! event loop for half a second. Judging a large body takes longer than a millisecond, and it also
//! waits for the engine. It is a task here: a thread of the blocking pool for each would be held
//! while the engine is asked, and how many there are would be up to the clients. One thread is
//! enough: all judgements together then take no more than one processor, and the bodies that wait
//! for their turn have the bound of all bodies in memory.
//!
//! The thread starts when the first such work comes, and costs nothing before. Its stack takes the
//! pages that it touches, some 100 KiB.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

/// More bytes than this are judged on the worker: the worst body of this size takes 6 million
/// instructions, some two milliseconds.
const LARGE: usize = 32 << 10;

/// Threads that look up the engine's name and read its large answers for the worker.
const BLOCKING_THREADS: usize = 4;

/// The event loop for such work.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    /// `None` where the thread could not be started.
    handle: OnceLock<Option<Handle>>,
}

impl Worker {
    /// Returns the handle of the loop, if its thread runs.
    pub(crate) fn handle(&self) -> Option<&Handle> {
        self.handle.get()?.as_ref()
    }

    /// Does work on so many bytes: here where they are few, and otherwise on the worker's thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        if bytes > LARGE {
            self.run_apart(work).await
        } else {
            work.await
        }
    }

    /// Does work on the worker's thread. Where that cannot be started, slow service is better than
    /// none.
    pub(crate) async fn run_apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(handle) = self.handle.get_or_init(start) else {
            return work.await;
        };
        let mut task = AbortOnDrop(handle.spawn(work));
        match (&mut task.0).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // A task that is still awaited is cancelled only when the program ends.
                Err(_) => pending().await,
            },
        }
    }
}

/// A task that ends when this is dropped, so that a client that has left holds neither the thread
/// nor a socket.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the thread. It runs until the program ends.
fn start() -> Option<Handle> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .ok()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(pending::<()>());
    thread::Builder::new()
        .name("worker".to_owned())
        .spawn(run)
        .ok()
        .map(|_| handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    #[test]
    fn large_work_is_done_on_another_thread() {
        let worker = Worker::default();
        let at = |bytes| run(worker.run(bytes, async { thread::current().id() }));
        assert_eq!([at(0), at(LARGE)], [thread::current().id(); 2]);
        assert!(
            worker.handle.get().is_none(),
            "the thread is not started before it is needed"
        );
        let other = at(LARGE + 1);
        assert_ne!(other, thread::current().id());
        assert_eq!(at(LARGE + 1), other, "there is one");
    }

    #[test]
    fn work_that_is_awaited_no_longer_ends() {
        let (held, released) = std::sync::mpsc::channel::<()>();
        run(async {
            let worker = Worker::default();
            let work = worker.run_apart(async move {
                let _held = held;
                pending::<()>().await;
            });
            let _ = tokio::time::timeout(std::time::Duration::from_millis(1), work).await;
            assert!(released.recv().is_err(), "the work was dropped");
        });
    }

    #[test]
    fn a_panic_ends_the_one_who_waits_and_nothing_else() {
        let worker = Worker::default();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(worker.run(LARGE + 1, async { panic!("it fails") }));
        }));
        assert!(failed.is_err());
        assert_eq!(run(worker.run(LARGE + 1, async { 1 })), 1);
    }
}
