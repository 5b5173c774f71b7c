//! The guard against sliding back: the counted figures of this tree, each with the most that it may
//! be.

use std::path::Path;
use std::time::Duration;

use crate::cgroup::MemoryGroup;
use crate::contender::{Contender, Engine};
use crate::report::short;
use crate::{Failure, count, load, objects, process, stalled, views};

const LIST: &str = "/v1.43/containers/json?all=1";

/// The counted figures and their limits: the figures that were reached, and a margin. The engine
/// takes 200 µs for an answer.
///
/// The kernel maps the pages of a program in groups, so that another order of the same code changes
/// what is resident by a third of a MiB. Private memory has no such noise, and the tighter limits.
const LIMITS: [(&str, f64); 16] = [
    ("system calls a GET at log level 6", 6.25),
    ("system calls a GET with every request logged", 6.75),
    ("user instructions a GET at log level 6", 34_000.0),
    (
        "user instructions a GET with every request logged",
        41_000.0,
    ),
    (
        "user instructions a GET with the admin listener on",
        34_250.0,
    ),
    (
        "user instructions a byte of a body of 40,000 unknown fields that say nothing",
        220.0,
    ),
    (
        "user instructions a byte of a body of 40,000 spellings of one field",
        75.0,
    ),
    ("private memory, idle, MiB", 2.4),
    ("private memory, 200 event streams, MiB", 4.25),
    ("private memory, 12 s after the streams, MiB", 2.5),
    ("resident, idle, MiB", 9.5),
    ("resident, 200 event streams, MiB", 11.25),
    ("resident, 12 s after the streams, MiB", 9.25),
    ("binary, MiB", 9.75),
    (
        "user instructions a byte of a list of 500 containers, scope and redaction",
        50.0,
    ),
    (
        "growth of memory with a list of 5,000 containers, scope and redaction, MiB",
        8.0,
    ),
];

/// Stalled streams of one client.
const STREAMS: usize = 1_000;

/// Counts, prints, and returns whether every figure keeps its limit.
///
/// # Errors
/// Where something cannot be counted: strace and valgrind have to be there.
pub fn run(binary: &Path) -> Result<bool, Failure> {
    if !(count::has("strace") && count::has("valgrind")) {
        return Err("strace and valgrind count: apt-get install strace valgrind".into());
    }
    let mut kept = true;
    for ((measure, limit), value) in LIMITS.iter().zip(values(binary)?) {
        let verdict = if value <= *limit { "ok" } else { "TOO MUCH" };
        println!(
            "{:>10} of at most {:>8}  {verdict:<8}  {measure}",
            short(value),
            short(*limit)
        );
        kept &= value <= *limit;
    }
    Ok(stalled(binary)? && kept)
}

/// Stalls streams in a container of 64 MiB. The process must live, and each stream must be served
/// or refused with a reason.
fn stalled(binary: &Path) -> Result<bool, Failure> {
    let mut kept = true;
    for (what, attack) in stalled::ATTACKS {
        for is_unix in [false, true] {
            let kind = if is_unix { "Unix socket" } else { "TCP" };
            let what = format!("{STREAMS} {what} in 64 MiB, {kind}");
            if let Err(why) = MemoryGroup::make(stalled::LIMIT) {
                println!(
                    "skipped: {what}: a control group with a memory limit cannot be made: {why}"
                );
                continue;
            }
            let outcome =
                stalled::outcome(&binary.display().to_string(), attack, STREAMS, 1, is_unix)?;
            let is_kept = outcome.lives && outcome.answers.broken == 0;
            let (verdict, broken) = (
                if is_kept { "ok" } else { "TOO MUCH" },
                outcome.answers.broken,
            );
            println!(
                "{broken:>10} of at most {:>8}  {verdict:<8}  streams broken of {what}",
                0
            );
            kept &= is_kept;
        }
    }
    Ok(kept)
}

/// A body with 40,000 such fields, half a megabyte and more: what is costly to judge beside its
/// size.
fn hostile(field: impl Fn(usize) -> String) -> String {
    let fields: Vec<String> = (0..40_000).map(field).collect();
    format!("{{\"HostConfig\":{{{}}}}}", fields.join(","))
}

/// A name of a field in one of its many spellings.
fn spelling(number: usize) -> String {
    let in_case = |(place, c): (usize, char)| match number >> place & 1 {
        0 => c.to_ascii_lowercase(),
        _ => c.to_ascii_uppercase(),
    };
    "MemorySwappiness"
        .chars()
        .enumerate()
        .map(in_case)
        .collect()
}

/// In the order of [`LIMITS`].
fn values(binary: &Path) -> Result<[f64; 16], Failure> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let engine = Engine::start()?;
    // As many on every machine: each takes some memory.
    let workers = ["--workers", "2"];
    let quiet = Contender::cetusguard("quiet", binary, "6", &workers);
    let logging = Contender::cetusguard("logging", binary, "7", &workers);
    let [workers, count] = workers;
    let counted = [workers, count, "--admin-addr", "tcp://127.0.0.1:0"];
    let counting = Contender::cetusguard("counting", binary, "6", &counted);

    let (viewing, list) = (views::scoped_and_redacted(binary), views::Call::List(500));

    let (started, pid) = quiet.start_process(&engine)?;
    let (idle, idle_private) = (process::settled_memory(pid)?, process::private_memory(pid)?);
    let streams = load::Streams::open(started.address, 200)?;
    std::thread::sleep(crate::engine::EVENT_EVERY * 4);
    let (with_streams, private_with_streams) =
        (process::memory(pid)?.0, process::private_memory(pid)?);
    streams.close()?;
    std::thread::sleep(Duration::from_secs(12));
    let (after, private_after) = (process::memory(pid)?.0, process::private_memory(pid)?);
    Ok([
        count::system_calls_of_get(&started, LIST)?,
        count::system_calls_of_get(&logging.start(&engine)?, LIST)?,
        count::instructions_of_get(&quiet, &engine, LIST)?.0,
        count::instructions_of_get(&logging, &engine, LIST)?.0,
        count::instructions_of_get(&counting, &engine, LIST)?.0,
        count::instructions_of_byte(&quiet, &engine, &hostile(|at| format!("\"K{at}\":[]")))?,
        count::instructions_of_byte(
            &quiet,
            &engine,
            &hostile(|at| format!("\"{}\":true", spelling(at))),
        )?,
        mib(idle_private),
        mib(private_with_streams),
        mib(private_after),
        mib(idle),
        mib(with_streams),
        mib(after),
        mib(process::size(binary).ok_or("no binary")?),
        views::instructions(&viewing, &engine, list)? / objects::list(500).len() as f64,
        views::growth(&viewing, &engine, views::Call::List(5_000))?,
    ])
}
