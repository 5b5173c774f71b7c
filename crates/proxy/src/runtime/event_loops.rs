//! Event loops: each connection is served by one of them for as long as it lasts.
//!
//! The first loop is the program's own. Each other one has a thread, which starts when the first
//! connection is given to it. A loop has an epoll queue, timers and kept connections to the engine
//! of its own, so that no request waits until another thread is woken. `docs/performance.md` has
//! the processor time of a request with one loop and with two.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// Threads with which a loop looks up the engine's name and reads its large answers.
const BLOCKING_THREADS: usize = 4;

/// Time that blocking threads get when their loop ends.
const PARTING: Duration = Duration::from_millis(100);

/// The event loops that serve connections.
#[derive(Debug)]
pub(crate) struct EventLoops {
    first: Handle,
    loops: Vec<EventLoop>,
    /// Becomes true when the loops that have threads must end.
    ended: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct EventLoop {
    connections: Arc<AtomicUsize>,
    /// Of the loop's thread once it has started; `None` inside if it could not.
    handle: OnceLock<Option<Handle>>,
}

/// A connection's part of a loop: the connection counts there until this is dropped.
#[derive(Debug)]
pub(crate) struct LoopSeat {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

impl EventLoops {
    /// As many loops as `count`. The one that runs the caller is the first.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            first: Handle::current(),
            loops: (0..count.max(1)).map(|_| EventLoop::default()).collect(),
            ended: watch::Sender::new(false),
            threads: Mutex::default(),
        }
    }

    /// Returns the handles of the loops that run.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        let started = self.loops.iter().filter_map(|one| one.handle.get());
        let others = started.flatten().cloned();
        std::iter::once(self.first.clone()).chain(others).collect()
    }

    /// Returns the number of loops.
    pub(crate) fn count(&self) -> usize {
        self.loops.len()
    }

    /// Finds the loop that has the fewest connections for one more.
    pub(crate) fn seat(&self) -> LoopSeat {
        let counts = self.loops.iter().map(|one| one.connections.load(Relaxed));
        let (at, _) = counts
            .enumerate()
            .min_by_key(|(_, count)| *count)
            .unwrap_or_default();
        let chosen = &self.loops[at];
        chosen.connections.fetch_add(1, Relaxed);
        LoopSeat {
            handle: self.handle(at).clone(),
            connections: Arc::clone(&chosen.connections),
        }
    }

    /// Returns the handle of a loop, and starts its thread if it has none. Without the thread, the
    /// first loop does its work: slow service is better than none.
    fn handle(&self, at: usize) -> &Handle {
        if at == 0 {
            return &self.first;
        }
        let started = self.loops[at].handle.get_or_init(|| self.start(at).ok());
        started.as_ref().unwrap_or(&self.first)
    }

    fn start(&self, at: usize) -> io::Result<Handle> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let (handle, mut ended) = (runtime.handle().clone(), self.ended.subscribe());
        let run = move || {
            // The sender lives as long as the program: an error is an end as well.
            let _ = runtime.block_on(ended.wait_for(|ended| *ended));
            runtime.shutdown_timeout(PARTING);
        };
        let thread = thread::Builder::new()
            .name(format!("loop-{at}"))
            .spawn(run)?;
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(handle)
    }

    /// Ends every loop that has a thread, and drops the tasks of its connections, which then write
    /// their records.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A loop that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

impl LoopSeat {
    /// Returns the handle with which the connection's task is spawned on its loop.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for LoopSeat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread::ThreadId;

    use tokio::sync::oneshot;

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(test)
    }

    /// Begins a connection that lasts until the sender is dropped, and returns the thread that
    /// serves it.
    async fn connect(loops: &EventLoops) -> (ThreadId, oneshot::Sender<()>) {
        let (told, thread) = oneshot::channel();
        let (open, closed) = oneshot::channel::<()>();
        let seat = loops.seat();
        seat.handle().clone().spawn(async move {
            let _ = told.send(thread::current().id());
            let _ = closed.await;
            drop(seat);
        });
        (thread.await.expect("a thread"), open)
    }

    #[test]
    fn connections_go_where_the_fewest_are() {
        run(async {
            let loops = EventLoops::new(2);
            let (first, one) = connect(&loops).await;
            assert_eq!(first, thread::current().id());
            let (second, _two) = connect(&loops).await;
            assert_ne!(first, second);
            let (_, _three) = connect(&loops).await;
            drop(one);
            while loops.loops[0].connections.load(Relaxed) > 1 {
                tokio::task::yield_now().await;
            }
            let (_, _four) = connect(&loops).await;
            let counts: Vec<_> = loops
                .loops
                .iter()
                .map(|one| one.connections.load(Relaxed))
                .collect();
            assert_eq!(counts.iter().sum::<usize>(), 3);
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
            loops.end();
        });
    }

    #[test]
    fn one_loop_needs_no_thread() {
        run(async {
            let loops = EventLoops::new(1);
            let (one, _one) = connect(&loops).await;
            let (two, _two) = connect(&loops).await;
            assert_eq!([one, two], [thread::current().id(); 2]);
            assert!(loops.threads.lock().expect("threads").is_empty());
        });
    }

    #[test]
    fn the_end_drops_the_connections() {
        struct LoopReport(Option<oneshot::Sender<()>>);
        impl Drop for LoopReport {
            fn drop(&mut self) {
                self.0.take().map(|told| told.send(()));
            }
        }
        run(async {
            let loops = EventLoops::new(2);
            let (_, _open) = connect(&loops).await;
            let (told, mut dropped) = oneshot::channel();
            let told = LoopReport(Some(told));
            loops.seat().handle().spawn(async move {
                let _told = told;
                std::future::pending::<()>().await;
            });
            loops.end();
            assert_eq!(dropped.try_recv(), Ok(()));
        });
    }
}
