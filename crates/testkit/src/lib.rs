//! The parts of the tests of the whole program: an engine that records every byte it gets, a client
//! that sends any byte it is told to, and the proxy between them as a process of its own.
//!
//! Everything is blocking and on threads, so that it shares no code and no habit with the program
//! that it tests.

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
pub use proxy::{Proxy, ProxyBuilder, Running, program_without_environment};
pub use temp::TempDir;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The environment variable that sets [`patience`], in seconds.
pub const PATIENCE_VARIABLE: &str = "CETUSGUARD_TEST_PATIENCE";

/// Returns how long a test waits for anything before it fails. Every wait of the tests derives from
/// it, so that a slow machine needs one variable and no change of a test. A test that passes never
/// waits for so long.
///
/// # Panics
/// If the variable is set and is no number of seconds.
#[must_use]
pub fn patience() -> Duration {
    static PATIENCE: OnceLock<Duration> = OnceLock::new();
    *PATIENCE.get_or_init(|| {
        let seconds = std::env::var(PATIENCE_VARIABLE).unwrap_or_else(|_| "60".to_owned());
        Duration::from_secs(
            seconds
                .parse()
                .expect("CETUSGUARD_TEST_PATIENCE is a number of seconds"),
        )
    })
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// When it never is.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < patience(), "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
