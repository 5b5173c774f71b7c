//! The cost of views: a call under a scope, a redaction or an ownership, beside the same call of a
//! profile without any.

use std::hint::black_box;
use std::path::Path;

use cetusguard_policy::guard::Json;

use crate::client::Client;
use crate::contender::{Contender, Engine};
use crate::report::{Table, cell, conditions, short};
use crate::{Failure, count, engine, objects, process};

const SCOPED: &[&str] = &["--visible", objects::SCOPE];
const REDACTED: &[&str] = &["--redact", "secrets"];
const SCOPED_AND_REDACTED: &[&str] = &["--visible", objects::SCOPE, "--redact", "secrets"];
const OWNING: &[&str] = &["--own", "true"];

/// Calls before memory is looked at: their code and the buffers of the connection are resident.
const WARM: usize = 20;
/// Calls during which memory is looked at.
const WATCHED: usize = 5;

/// A call whose cost is compared.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// The list of so many containers.
    List(usize),
    /// The inspection of a container.
    Inspect,
    /// The events of a past time.
    Events,
    /// The creation of a container.
    Create,
}

impl Call {
    /// Makes the call, and reads its answer.
    ///
    /// # Errors
    /// Where it is refused, or its answer ends early.
    pub fn make(self, client: &mut Client) -> Result<(), Failure> {
        match self {
            Self::List(count) => client.get(&format!("/v1.43/containers/json?all=1&limit={count}")),
            Self::Inspect => client.get(&format!("/v1.43/containers/{}/json", objects::INSPECTED)),
            Self::Events => client.get(engine::PAST),
            Self::Create => match client.create(&objects::creation())? {
                201 => Ok(0),
                status => return Err(format!("a container is created with {status}").into()),
            },
        }
        .map(drop)
        .map_err(Failure::from)
    }

    /// The number of calls that instructions are counted over.
    fn times(self) -> u32 {
        match self {
            Self::List(count) if count >= 1_000 => 2,
            Self::List(count) if count >= 100 => 10,
            Self::Events => 10,
            _ => 500,
        }
    }
}

/// The calls, and the views that they are made under.
const ROWS: [(&str, Call, &[&str]); 9] = [
    ("list of 10, scope", Call::List(10), SCOPED),
    (
        "list of 10, scope and redaction",
        Call::List(10),
        SCOPED_AND_REDACTED,
    ),
    ("list of 500, scope", Call::List(500), SCOPED),
    (
        "list of 500, scope and redaction",
        Call::List(500),
        SCOPED_AND_REDACTED,
    ),
    ("list of 5,000, scope", Call::List(5_000), SCOPED),
    (
        "list of 5,000, scope and redaction",
        Call::List(5_000),
        SCOPED_AND_REDACTED,
    ),
    ("inspect, redaction", Call::Inspect, REDACTED),
    ("1,000 events, scope", Call::Events, SCOPED),
    ("create, ownership", Call::Create, OWNING),
];

/// Counts every row, and returns the table.
///
/// # Errors
/// Where a call fails, or cannot be counted: valgrind has to be there.
pub fn run(binary: &Path) -> Result<String, Failure> {
    if !count::has("valgrind") {
        return Err("valgrind counts: apt-get install valgrind".into());
    }
    let columns = [
        "thousand instructions without a view",
        "with it",
        "ratio",
        "to parsing the list once",
        "growth of memory without a view, MiB",
        "with it",
    ];
    let mut table = Table::new(columns.map(str::to_owned));
    let engine = Engine::start()?;
    let plain = contender(binary, &[]);
    let mut last: Option<(usize, f64)> = None;
    for (name, call, view) in ROWS {
        eprintln!("counting: {name}");
        let viewing = contender(binary, view);
        let (before, after) = (
            instructions(&plain, &engine, call)?,
            instructions(&viewing, &engine, call)?,
        );
        let parsing = match call {
            // An unoptimised build of this program would take far too many.
            Call::List(count) if !cfg!(debug_assertions) => Some(match last {
                Some((known, parsing)) if known == count => parsing,
                _ => count::instructions_of_parsing(count)?,
            }),
            _ => None,
        };
        if let (Call::List(count), Some(parsing)) = (call, parsing) {
            last = Some((count, parsing));
        }
        table.row(
            name,
            vec![
                short(before / 1e3),
                short(after / 1e3),
                short(after / before),
                cell(parsing.map(|parsing| after / parsing)),
                short(growth(&plain, &engine, call)?),
                short(growth(&viewing, &engine, call)?),
            ],
        );
    }
    Ok(format!("{}\n\n{table}", conditions()))
}

/// Cetusguard under a view.
#[must_use]
pub fn contender(binary: &Path, view: &[&str]) -> Contender {
    let more = [&["--workers", "2"], view].concat();
    Contender::cetusguard("view", binary, "6", &more)
}

/// Cetusguard under a scope and a redaction.
#[must_use]
pub fn scoped_and_redacted(binary: &Path) -> Contender {
    contender(binary, SCOPED_AND_REDACTED)
}

/// User instructions of a call on a kept connection.
///
/// # Errors
/// Where the call fails, or callgrind does.
pub fn instructions(contender: &Contender, engine: &Engine, call: Call) -> Result<f64, Failure> {
    count::instructions_of_call(contender, engine, call.times(), |client| call.make(client))
}

/// The highest resident memory during some of the calls, above the memory before them, in MiB.
/// Shorter calls went before, so that code and the buffers of a connection are not counted.
///
/// # Errors
/// Where a call fails.
pub fn growth(contender: &Contender, engine: &Engine, call: Call) -> Result<f64, Failure> {
    let (started, pid) = contender.start_process(engine)?;
    process::wait_for_survey(pid)?;
    let mut client = Client::connect(started.address)?;
    let warm = match call {
        Call::List(_) => Call::List(10),
        other => other,
    };
    (0..WARM).try_for_each(|_| warm.make(&mut client))?;
    let (before, _) = process::memory(pid)?;
    process::reset_peak(pid)?;
    (0..WATCHED).try_for_each(|_| call.make(&mut client))?;
    let (_, peak) = process::memory(pid)?;
    Ok(peak.saturating_sub(before) as f64 / f64::from(1 << 20))
}

/// Reads the list of so many containers as JSON, so many times: each element by itself, as views do,
/// since the whole list has more values than a single text may have.
///
/// # Errors
/// Where it is no JSON.
pub fn parse(containers: usize, times: usize) -> Result<(), Failure> {
    let elements = objects::elements(containers);
    for element in (0..times).flat_map(|_| &elements) {
        black_box(Json::read(black_box(element.as_bytes()))?);
    }
    Ok(())
}
