//! The memory that the read buffers of all connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most that all read buffers together may have, in bytes.
const TOGETHER: usize = 4 << 20;

/// The number of request heads that may exceed the common size at the same time.
const LARGE_HEADS: usize = 128;

/// Counts the connections that share the memory for reading, to clients and to the engine, and
/// bounds the part of each.
#[derive(Debug)]
pub struct ReadBudget {
    connections: AtomicUsize,
    /// The most connections since [`Self::take_peak`] was called.
    peak: AtomicUsize,
    /// The places for large request heads.
    large_heads: Arc<Semaphore>,
}

impl Default for ReadBudget {
    fn default() -> Self {
        Self {
            connections: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            large_heads: Arc::new(Semaphore::new(LARGE_HEADS)),
        }
    }
}

impl ReadBudget {
    /// Counts one more connection.
    pub(super) fn add(&self) {
        self.peak
            .fetch_max(self.connections.fetch_add(1, Relaxed) + 1, Relaxed);
    }

    /// Counts one connection less.
    pub(super) fn remove(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Returns the memory of one connection at this moment, in bytes.
    pub(super) fn share(&self) -> usize {
        TOGETHER / self.connections().max(1)
    }

    /// Takes a place for a large request head; `None` if all are taken.
    pub(super) fn take_large_head(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.large_heads).try_acquire_owned().ok()
    }

    /// Returns the number of connections at this moment.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Returns the most connections since the last call.
    pub fn take_peak(&self) -> usize {
        self.peak.swap(self.connections(), Relaxed)
    }
}
