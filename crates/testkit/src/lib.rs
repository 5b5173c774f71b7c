//! What the tests of the whole program are made of: an engine that records every byte it gets, a client that sends any byte
//! it is told to, and the proxy between them as a process of its own.
//!
//! Everything is blocking and on threads, so that it shares no code and no habit with what it tests.

#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failed expectation ends a test, and only tests run this"
)]

mod certs;
mod client;
mod docker;
mod engine;
mod proxy;
pub mod simulator;
mod temp;

pub use certs::Certs;
pub use client::{Client, Response};
pub use docker::Docker;
pub use engine::{Engine, Exchange, Link};
pub use proxy::{Proxy, ProxyBuilder, Running};
pub use temp::TempDir;

use std::time::{Duration, Instant};

/// How long anything in a test may take before it counts as not happening.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When it never is.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
