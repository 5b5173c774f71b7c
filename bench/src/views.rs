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
/// A view that hides half of the containers, and redacts secrets.
pub(crate) const SCOPED_AND_REDACTED: &[&str] =
    &["--visible", objects::SCOPE, "--redact", "secrets"];
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
    /// Fails if the call is refused, or if its answer ends early.
    pub fn make(self, client: &mut Client) -> Result<(), Failure> {
        // A view must leave about half of the answer, or the row counts something else.
        let (length, least) = match self {
            Self::List(count) => {
                let path = format!("/v1.43/containers/json?all=1&containers={count}");
                (client.get(&path)?, count * 600)
            }
            Self::Inspect => {
                let path = format!("/v1.43/containers/{}/json", objects::INSPECTED);
                (client.get(&path)?, 2_000)
            }
            Self::Events => (client.get(engine::PAST)?, engine::PAST_EVENTS * 300),
            Self::Create => match client.create(&objects::creation())? {
                201 => (0, 0),
                status => return Err(format!("a container is created with {status}").into()),
            },
        };
        if length < least {
            return Err(format!("{self:?} is answered with {length} bytes").into());
        }
        Ok(())
    }

    /// The number of calls that instructions are counted over.
    fn times(self) -> u32 {
        match self {
            Self::List(count) if count >= 1_000 => 2,
            Self::List(count) if count >= 100 => 4,
            Self::Events => 10,
            _ => 500,
        }
    }
}

/// The name of a row, and the options that make its view.
type Row = (&'static str, &'static [&'static str]);

/// The calls, and the views that they are made under.
const ROWS: [(Call, &[Row]); 6] = [
    (
        Call::List(10),
        &[
            ("list of 10, scope", SCOPED),
            ("list of 10, scope and redaction", SCOPED_AND_REDACTED),
        ],
    ),
    (
        Call::List(500),
        &[
            ("list of 500, scope", SCOPED),
            ("list of 500, scope and redaction", SCOPED_AND_REDACTED),
        ],
    ),
    (
        Call::List(5_000),
        &[
            ("list of 5,000, scope", SCOPED),
            ("list of 5,000, scope and redaction", SCOPED_AND_REDACTED),
        ],
    ),
    (Call::Inspect, &[("inspect, redaction", REDACTED)]),
    (Call::Events, &[("1,000 events, scope", SCOPED)]),
    (Call::Create, &[("create, ownership", OWNING)]),
];

/// Counts every row, and returns the table below the machine and the day.
///
/// # Errors
/// Fails if a call fails, or if valgrind is missing, so that it cannot be counted.
pub fn run(binary: &Path) -> Result<String, Failure> {
    if !count::has("valgrind") {
        return Err("valgrind counts: apt-get install valgrind".into());
    }
    Ok(format!("{}\n\n{}", conditions(), table(binary)?))
}

/// Counts every row.
///
/// # Errors
/// Fails if a call fails or cannot be counted.
pub fn table(binary: &Path) -> Result<Table, Failure> {
    let columns = [
        "thousand instructions without a view",
        "with it",
        "ratio",
        "to reading the list as JSON",
        "growth of memory without a view, MiB",
        "with it",
    ];
    let mut table = Table::new(columns.map(str::to_owned));
    let engine = Engine::start()?;
    let plain = contender(binary, &[]);
    for (call, views) in ROWS {
        let before = instructions(&plain, &engine, call)?;
        let growth_before = growth(&plain, &engine, call)?;
        let reading = match call {
            // An unoptimised build of this program would take far too many.
            Call::List(count) if !cfg!(debug_assertions) => {
                Some(count::instructions_of_parsing(count)?)
            }
            _ => None,
        };
        for (name, view) in views {
            let viewing = contender(binary, view);
            let after = instructions(&viewing, &engine, call)?;
            let cells = vec![
                short(before / 1e3),
                short(after / 1e3),
                short(after / before),
                cell(reading.map(|reading| after / reading)),
                short(growth_before),
                short(growth(&viewing, &engine, call)?),
            ];
            eprintln!("{name}: {}", cells.join(", "));
            table.row(*name, cells);
        }
    }
    Ok(table)
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
/// Fails if the call or callgrind fails.
pub fn instructions(contender: &Contender, engine: &Engine, call: Call) -> Result<f64, Failure> {
    count::instructions_of_call(contender, engine, call.times(), |client| call.make(client))
}

/// The highest resident memory during some of the calls, above the memory before them, in MiB.
/// Shorter calls went before, so that code and the buffers of a connection are not counted.
///
/// # Errors
/// Fails if a call fails.
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
/// Fails if the text is not JSON.
pub fn parse(containers: usize, times: usize) -> Result<(), Failure> {
    let elements = objects::elements(containers);
    for element in (0..times).flat_map(|_| &elements) {
        black_box(Json::read(black_box(element.as_bytes()))?);
    }
    Ok(())
}
