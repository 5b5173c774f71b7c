//! `bench compare BINARY BINARY-WITH-SYMBOLS`, `bench check BINARY`, and `bench engine SOCKET HOST:PORT`, which they start.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a tool")]

use std::path::Path;
use std::process::ExitCode;

use cetusguard_bench::{Failure, check, compare, engine};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["compare", binary, symbols] => compare::run(Path::new(binary), Path::new(symbols)).map(|report| {
            print!("{report}");
            true
        }),
        ["check", binary] => check::run(Path::new(binary)),
        ["engine", unix, tcp] => engine::serve(Path::new(unix), tcp).map(|()| true).map_err(Failure::from),
        _ => Err("usage: bench compare BINARY BINARY-WITH-SYMBOLS | check BINARY | engine SOCKET HOST:PORT".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::from(2)
        }
    }
}
