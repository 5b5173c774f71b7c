//! What the program can be asked to do, one file a command.

mod healthcheck;
mod serve;

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::written::{command, normalise_args};
use crate::config::{Mistakes, Sources, schema};

/// Runs the command that the arguments name, with this environment.
///
/// Messages about the command itself go to standard error; what was asked for goes to standard output.
#[must_use]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks to its user")]
pub fn run(args: impl Iterator<Item = OsString>, env: &HashMap<String, OsString>) -> ExitCode {
    let mut stray = Vec::new();
    let args = normalise_args(args, &mut stray);
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            stray.iter().for_each(|mistake| eprintln!("{mistake}\n"));
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let (asked, flags) = match matches.subcommand() {
        Some((name, flags)) => (name.to_owned(), flags.clone()),
        None => ("serve".to_owned(), matches),
    };
    let address = flags.try_get_one::<String>("address").ok().flatten().cloned();
    let sources = Sources { flags, stray, env: env.clone() };
    let mistaken = |mistakes: Mistakes| {
        eprintln!("{mistakes}");
        ExitCode::from(2)
    };
    let result = match asked.as_str() {
        "version" => {
            println!("cetusguard {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        "schema" => {
            println!("{}", schema());
            Ok(())
        }
        "healthcheck" => match sources.read() {
            (written, _, mistakes) if mistakes.is_empty() => healthcheck::run(&written, address.as_deref()),
            (_, _, mistakes) => return mistaken(Mistakes(mistakes)),
        },
        _ => match sources.load() {
            (read, Ok(loaded)) => serve::run(loaded, &read, sources),
            (_, Err(mistakes)) => return mistaken(mistakes),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("cetusguard: {why}");
            ExitCode::FAILURE
        }
    }
}
