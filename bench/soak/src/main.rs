//! `soak BINARY`: everything at once for `SOAK_SECONDS`, with every byte and every record checked.
//! See `scripts/soak`.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a tool: it waits, reads /proc, and prints"
)]

mod client;
mod drain;
mod engine;
mod fault;
mod ledger;
mod load;
mod payload;
mod policy;
mod proxy;
mod random;
mod run;
mod settle;
mod tally;
mod trouble;
mod wire;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fault::Fault;
use proxy::Failure;
use world::World;

fn main() -> ExitCode {
    match soak() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("soak: {why}");
            ExitCode::from(2)
        }
    }
}

fn soak() -> Result<bool, Failure> {
    let binary = std::env::args().nth(1).ok_or("usage: soak BINARY")?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = number("SOAK_SEED", time.as_secs())?;
    let length = Duration::from_secs(number("SOAK_SECONDS", 120)?);
    let patience = Duration::from_secs(number("SOAK_PATIENCE", 60)?.max(8));
    let fault = std::env::var("SOAK_FAULT")
        .ok()
        .map(|name| Fault::read(&name))
        .transpose()?;
    println!(
        "SOAK_SEED={seed} SOAK_SECONDS={} SOAK_PATIENCE={}",
        length.as_secs(),
        patience.as_secs()
    );
    run::run(
        Path::new(&binary),
        &Arc::new(World::new(seed, patience, fault)),
        length,
    )
}

fn number(name: &str, default: u64) -> Result<u64, Failure> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .map_err(|_| format!("{name}={text} is no number").into()),
        _ => Ok(default),
    }
}
