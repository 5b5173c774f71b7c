//! What the program can be asked to do, one file a command.

mod healthcheck;
mod serve;

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::Mistakes;
use crate::config::meant::Config;
use crate::config::written::{Written, check_env, command, normalise_args};

/// Runs the command that the arguments name, with this environment.
///
/// Messages about the command itself go to standard error; what was asked for goes to standard output.
#[must_use]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks to its user")]
pub fn run(args: impl Iterator<Item = OsString>, env: &HashMap<String, OsString>) -> ExitCode {
    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    let args = normalise_args(args, &mut mistakes);
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            mistakes.iter().for_each(|mistake| eprintln!("{mistake}\n"));
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if matches.subcommand_name() == Some("version") {
        println!("cetusguard {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    check_env(env, &mut mistakes, &mut warnings);
    let (asked, values) = match matches.subcommand() {
        Some((name, values)) => (name, values),
        None => ("serve", &matches),
    };
    let written = Written::read(values, env, &mut mistakes);
    let result = match asked {
        "healthcheck" if !mistakes.is_empty() => {
            eprintln!("{}", Mistakes(mistakes));
            return ExitCode::from(2);
        }
        "healthcheck" => healthcheck::run(&written, values.get_one::<String>("address").map(String::as_str)),
        _ => match Config::mean(&written, mistakes) {
            Ok(config) => serve::run(config, &warnings),
            Err(mistakes) => {
                eprintln!("{mistakes}");
                return ExitCode::from(2);
            }
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
