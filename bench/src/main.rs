//! `bench compare BINARY BINARY-WITH-SYMBOLS`, `bench check BINARY`, `bench views BINARY` and `bench
//! fairness BINARY [PART OF A ROW'S NAME]`.
//!
//! These start `bench engine SOCKET HOST:PORT`, `bench attack NAME FRONTEND SECONDS CONNECTIONS
//! CLIENTS` and `bench parse CONTAINERS TIMES` themselves.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a tool")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cetusguard_bench::{Failure, attack, check, compare, engine, fairness, views};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done =
        match words.as_slice() {
            ["compare", binary, symbols] => compare::run(Path::new(binary), Path::new(symbols))
                .map(|report| {
                    print!("{report}");
                    true
                }),
            ["check", binary] => check::run(Path::new(binary)),
            ["views", binary] => views::run(Path::new(binary)).map(|report| {
                print!("{report}");
                true
            }),
            ["fairness", binary, part @ ..] => fairness::run(Path::new(binary), &part.join(" "))
                .map(|report| {
                    print!("{report}");
                    true
                }),
            ["attack", name, target, numbers @ ..] => attacked(name, target, numbers),
            ["parse", containers, times] => parse(containers, times),
            ["engine", unix, tcp] => engine::serve(Path::new(unix), tcp)
                .map(|()| true)
                .map_err(Failure::from),
            _ => Err(
                "usage: bench compare BINARY BINARY-WITH-SYMBOLS | check BINARY | views BINARY | \
                fairness BINARY [PART OF A ROW'S NAME]"
                    .into(),
            ),
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

fn parse(containers: &str, times: &str) -> Result<bool, Failure> {
    views::parse(containers.parse()?, times.parse()?)?;
    Ok(true)
}

fn attacked(name: &str, target: &str, numbers: &[&str]) -> Result<bool, Failure> {
    let [seconds, count, sources] = numbers else {
        return Err("usage: bench attack NAME FRONTEND SECONDS CONNECTIONS CLIENTS".into());
    };
    let time = Duration::from_secs(seconds.parse()?);
    println!(
        "{}",
        attack::run(
            name,
            &target.parse()?,
            time,
            count.parse()?,
            sources.parse()?
        )?
    );
    Ok(true)
}
