//! `cetusguard migrate`: reads another proxy's settings, and writes a configuration with the same
//! intent and a note for each difference. The exit code is 1 where a note asks for a decision before
//! the result is used.

use cetusguard_config::Sources;
use cetusguard_migrate::{MigrationFailure, MigrationRequest, Problem};

use super::{CommandFailure, CommandOutput, Invocation, check};

impl From<MigrationFailure> for CommandFailure {
    fn from(failed: MigrationFailure) -> Self {
        match failed {
            MigrationFailure::Mistakes(mistakes) => Self::Mistakes(mistakes),
            MigrationFailure::Why(why) => Self::Why(why),
        }
    }
}

/// Reads the settings of a proxy, and prints the result or writes it into a folder.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    let request = MigrationRequest {
        proxy: asked.value("PROXY").unwrap_or_default(),
        path: asked.value("FILE").unwrap_or("-"),
        service: asked.value("service"),
        project: asked.value("project"),
        env_file: asked.value("env-file"),
        out: asked.value("out"),
        wants_json: asked.wants_json(),
    };
    let done = cetusguard_migrate::migrate(request, &problems)?;
    Ok(CommandOutput {
        text: done.text,
        code: u8::from(done.needs_decision),
    })
}

/// Returns what `check` finds.
fn problems(sources: &Sources) -> Vec<Problem> {
    let found = check::problems(sources).into_iter();
    found
        .map(|problem| Problem {
            is_error: problem.is_error(),
            code: problem.code,
            profile: problem.profile,
            what: problem.what,
            fix: problem.fix,
        })
        .collect()
}
