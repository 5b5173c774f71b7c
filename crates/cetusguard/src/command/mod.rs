//! The commands of the program, one file each.

mod alike;
mod check;
mod diff;
mod doctor;
mod explain;
mod healthcheck;
mod learn;
pub(crate) mod log_lines;
mod manual;
mod migrate;
mod own;
mod page;
mod preset;
mod serve;
mod test;
mod top;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use cetusguard_config::printed::json;
use cetusguard_config::{Mistake, Mistakes, ReadFiles, Sources, grammar, normalise_args, schema};
use clap::ArgMatches;

use cetusguard_proxy::Loaded;

pub use check::CODES;

/// A command with its arguments and the configuration.
#[derive(Debug)]
struct Invocation {
    /// The arguments of the command alone.
    args: ArgMatches,
    /// The configuration.
    sources: Sources,
}

impl Invocation {
    /// Reads the configuration, or returns every mistake in it.
    fn load(&self) -> (ReadFiles, Result<Loaded, Mistakes>) {
        self.sources.load()
    }

    /// Returns the value of an argument that takes one.
    fn value(&self, name: &str) -> Option<&str> {
        self.args
            .try_get_one::<String>(name)
            .ok()
            .flatten()
            .map(String::as_str)
    }

    /// Returns the values of an argument that takes several.
    fn values(&self, name: &str) -> Vec<&str> {
        let values = self.args.try_get_many::<String>(name).ok().flatten();
        values.into_iter().flatten().map(String::as_str).collect()
    }

    /// Returns whether a switch is set.
    fn flag(&self, name: &str) -> bool {
        self.args
            .try_get_one::<bool>(name)
            .ok()
            .flatten()
            .copied()
            .unwrap_or_default()
    }

    fn wants_json(&self) -> bool {
        self.value("format") == Some("json")
    }

    /// Writes the report of a command in the format that is asked for: as JSON, or as a page.
    fn write_report(
        &self,
        report: &impl serde::Serialize,
        write_page: impl FnOnce(&mut page::TextPage),
    ) -> String {
        if self.wants_json() {
            return json(report);
        }
        let mut page = page::TextPage::new(&self.sources.env);
        write_page(&mut page);
        page.into_text()
    }
}

/// The result of a command.
#[derive(Debug)]
struct CommandOutput {
    /// For standard output.
    text: String,
    /// The exit code.
    code: u8,
}

/// The reason why a command has no result.
#[derive(Debug)]
enum CommandFailure {
    /// The configuration, or an argument of the command, is wrong.
    Mistakes(Mistakes),
    /// The command failed.
    Why(String),
}

impl From<String> for CommandFailure {
    fn from(why: String) -> Self {
        Self::Why(why)
    }
}

impl From<Mistakes> for CommandFailure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl From<String> for CommandOutput {
    fn from(text: String) -> Self {
        Self { text, code: 0 }
    }
}

/// Runs the command that the arguments name, with this environment.
///
/// Messages about the command itself go to standard error; its result goes to standard output.
#[must_use]
pub fn run(args: impl Iterator<Item = OsString>, env: &HashMap<String, OsString>) -> ExitCode {
    let mut stray = Vec::new();
    let grammar = grammar().term_width(page::line_width(env));
    let args = normalise_args(args, &grammar, &mut stray);
    let matches = match grammar.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            stray
                .iter()
                .for_each(|mistake| tell(&format!("{mistake}\n")));
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let (name, args) = match matches.subcommand() {
        Some((name, args)) => (name.to_owned(), args.clone()),
        None => ("serve".to_owned(), matches),
    };
    let sources = Sources {
        flags: args.clone(),
        stray,
        env: env.clone(),
        learned: None,
    };
    match run_command(&name, Invocation { args, sources }) {
        Ok(CommandOutput { text, code }) => {
            // The log's writer may hold standard output, for a reader that does not read.
            if !text.is_empty() {
                // A reader that has seen enough is no failure.
                let _ = std::io::stdout().write_all(text.as_bytes());
            }
            ExitCode::from(code)
        }
        Err(CommandFailure::Mistakes(mistakes)) => {
            let end = if name == "serve" {
                " in the configuration; nothing was started"
            } else {
                ""
            };
            tell(&format!("{mistakes}{end}"));
            ExitCode::from(2)
        }
        Err(CommandFailure::Why(why)) => {
            tell(&format!("cetusguard: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a message to standard error. The exit code tells the rest to a reader that has gone.
fn tell(message: &str) {
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Returns a notice about the first mistake in a configuration of which a command needs a few
/// settings alone, with what may be wrong because of it; `None` if there is no mistake.
fn doubt(mistakes: &[Mistake], consequence: &str) -> Option<String> {
    let first = mistakes.first()?.in_one_line();
    Some(format!(
        "the configuration has a mistake, so that {consequence} ({first})"
    ))
}

fn run_command(name: &str, asked: Invocation) -> Result<CommandOutput, CommandFailure> {
    Ok(match name {
        "version" => format!("cetusguard {}\n", env!("CARGO_PKG_VERSION")).into(),
        "schema" => format!("{}\n", schema()).into(),
        "completions" => manual::completions(asked.value("SHELL").unwrap_or_default()).into(),
        "man" => manual::page().into(),
        "preset" => preset::run(&asked),
        "check" => check::run(&asked)?,
        "explain" => explain::run(&asked)?,
        "doctor" => doctor::run(&asked),
        "test" => test::run(&asked)?,
        "diff" => diff::run(&asked)?,
        "own" => own::run(&asked)?,
        "migrate" => migrate::run(&asked)?,
        "learn" => learn::run(asked)?,
        "top" => top::run(&asked)?,
        "healthcheck" => {
            if !asked.sources.stray.is_empty() {
                return Err(Mistakes(asked.sources.stray).into());
            }
            // A proxy goes on with its policy while its new configuration has mistakes.
            let (written, _, mistakes) = asked.sources.read();
            healthcheck::run(&written, asked.value("ADDR")).map_err(|unhealthy| {
                let doubt = doubt(&mistakes, "this may be the wrong address");
                let doubt = doubt.map(|doubt| format!("; {doubt}"));
                format!("{unhealthy}{}", doubt.unwrap_or_default())
            })?;
            String::new().into()
        }
        _ => {
            let (read, loaded) = asked.load();
            serve::run(loaded?, &read, asked.sources, None)?;
            String::new().into()
        }
    })
}
