//! Reads arguments and environment, runs the command, exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect();
    cetusguard::command::run(std::env::args_os(), &env)
}
