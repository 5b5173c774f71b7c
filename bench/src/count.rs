//! Counts that do not depend on how busy the machine is: system calls by strace, instructions and
//! allocations by callgrind.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cetusguard_testkit::TempDir;

use crate::client::Client;
use crate::contender::{Contender, Engine, Started, first_line};
use crate::{Failure, process};

/// Requests before the counting starts: buffers have grown, connections are kept.
const WARM: usize = 200;

/// Whether a program that counting needs is there.
#[must_use]
pub fn has(tool: &str) -> bool {
    first_line(Command::new(tool).arg("--version")).is_some()
}

/// Whether wrk is there: it has no option that prints its version and succeeds.
#[must_use]
pub fn has_wrk() -> bool {
    first_line(Command::new("sh").args(["-c", "command -v wrk"])).is_some()
}

/// System calls that all threads of a process make while something is done.
///
/// # Errors
/// Where strace cannot attach, or the deed fails.
pub fn system_calls(pid: u32, deed: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let folder = TempDir::new();
    let table = folder.file("strace");
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-q",
            "-c",
            "-U",
            "calls,name",
            "-o",
            &table,
            "-p",
            &pid.to_string(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    while !process::is_traced(pid) {
        if begun.elapsed() > Duration::from_secs(10) || strace.try_wait()?.is_some() {
            let _ = strace.kill();
            return Err("strace cannot attach".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let done = deed();
    Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status()?;
    strace.wait()?;
    done?;
    let text = fs::read_to_string(table)?;
    let total = text
        .lines()
        .rev()
        .find(|line| line.trim_end().ends_with("total"));
    let calls = total.and_then(|line| line.split_whitespace().next()?.parse().ok());
    calls.ok_or_else(|| format!("strace printed no total: {text}").into())
}

/// System calls of one GET on a kept connection.
///
/// # Errors
/// Where strace or a request fails.
pub fn system_calls_of_get(started: &Started, path: &str) -> Result<f64, Failure> {
    const REQUESTS: u32 = 2_000;
    let Some(pid) = started.pid() else {
        return Err("there is no process".into());
    };
    let mut client = Client::connect(started.address)?;
    ask(&mut client, path, WARM)?;
    let calls = system_calls(pid, || ask(&mut client, path, REQUESTS as usize))?;
    Ok(calls as f64 / f64::from(REQUESTS))
}

/// User-space instructions, and heap allocations where the binary has symbols, of one GET on a kept
/// connection.
///
/// # Errors
/// Where the contender does not run under callgrind.
pub fn instructions_of_get(
    contender: &Contender,
    engine: &Engine,
    path: &str,
) -> Result<(f64, Option<f64>), Failure> {
    const MORE: u32 = 2_000;
    let short = under_callgrind(contender, engine, |client| ask(client, path, WARM))?;
    let long = under_callgrind(contender, engine, |client| {
        ask(client, path, WARM + MORE as usize)
    })?;
    let instructions = long.0.saturating_sub(short.0) as f64 / f64::from(MORE);
    let allocations = long
        .1
        .zip(short.1)
        .map(|(long, short)| long.saturating_sub(short) as f64 / f64::from(MORE));
    Ok((instructions, allocations))
}

/// User-space instructions for one byte of a body with which a container is created, whatever
/// becomes of it.
///
/// # Errors
/// Where the contender does not run under callgrind.
pub fn instructions_of_byte(
    contender: &Contender,
    engine: &Engine,
    body: &str,
) -> Result<f64, Failure> {
    let create = |client: &mut Client| Ok(client.create(body).map(drop)?);
    Ok(instructions_of_call(contender, engine, 4, create)? / body.len() as f64)
}

/// User-space instructions of a call on a kept connection: the average of so many.
///
/// # Errors
/// Fails if the contender does not run under callgrind, or if the call fails.
pub fn instructions_of_call(
    contender: &Contender,
    engine: &Engine,
    times: u32,
    call: impl Fn(&mut Client) -> Result<(), Failure>,
) -> Result<f64, Failure> {
    // Buffers grow with the first calls.
    let warm = times.div_ceil(10);
    let repeat = |client: &mut Client, times| (0..times).try_for_each(|_| call(client));
    let short = under_callgrind(contender, engine, |client| repeat(client, warm))?;
    let long = under_callgrind(contender, engine, |client| repeat(client, warm + times))?;
    Ok(long.0.saturating_sub(short.0) as f64 / f64::from(times))
}

/// User-space instructions that this program takes to read the list of so many containers as JSON,
/// without anything else: the program runs itself under callgrind, as `bench parse`.
///
/// # Errors
/// Fails if it does not run under callgrind.
pub fn instructions_of_parsing(containers: usize) -> Result<f64, Failure> {
    const TIMES: u32 = 2;
    let read = |times: u32| {
        let folder = TempDir::new();
        let out = folder.file("callgrind");
        let status = Command::new("valgrind")
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={out}"))
            .arg(std::env::current_exe()?)
            .args(["parse", &containers.to_string(), &times.to_string()])
            .status()?;
        if !status.success() {
            return Err(Failure::from(format!("bench parse ended with {status}")));
        }
        total(&fs::read_to_string(out)?)
    };
    let (short, long) = (read(0)?, read(TIMES)?);
    Ok(long.saturating_sub(short) as f64 / f64::from(TIMES))
}

/// Instructions and allocations of a whole run in which a client does something.
fn under_callgrind(
    contender: &Contender,
    engine: &Engine,
    deed: impl FnOnce(&mut Client) -> Result<(), Failure>,
) -> Result<(u64, Option<u64>), Failure> {
    let folder = TempDir::new();
    let out = folder.file("callgrind");
    let file = format!("--callgrind-out-file={out}");
    let started =
        contender.start_under(engine, &["valgrind", "--quiet", "--tool=callgrind", &file])?;
    if let Some(pid) = started.pid() {
        process::wait_for_survey(pid)?;
    }
    let mut client = Client::connect(started.address)?;
    deed(&mut client)?;
    drop(client);
    started.stop()?;
    let profile = fs::read_to_string(out)?;
    Ok((total(&profile)?, allocations(&profile)))
}

/// Instructions in a callgrind profile.
fn total(profile: &str) -> Result<u64, Failure> {
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    Ok(total.ok_or("callgrind wrote no summary")?)
}

/// Calls of the C library's allocator in a callgrind profile; `None` where it names no such
/// function.
fn allocations(profile: &str) -> Option<u64> {
    const NAMES: [&str; 8] = [
        "malloc",
        "calloc",
        "realloc",
        "posix_memalign",
        "__libc_malloc",
        "__libc_calloc",
        "__libc_realloc",
        "aligned_alloc",
    ];
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut called = "";
    let mut calls = None;
    for line in profile.lines() {
        if let Some(function) = line
            .strip_prefix("fn=")
            .or_else(|| line.strip_prefix("cfn="))
        {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            called = names.get(id).copied().unwrap_or_default();
        } else if let Some(count) = line.strip_prefix("calls=")
            && NAMES.contains(&called)
        {
            let count: u64 = count.split(' ').next()?.parse().ok()?;
            *calls.get_or_insert(0) += count;
        }
    }
    calls
}

fn ask(client: &mut Client, path: &str, times: usize) -> Result<(), Failure> {
    for _ in 0..times {
        client.get(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn allocations_are_read_off_a_profile() {
        let profile = "fn=(1) main\n1 2\ncfn=(2) malloc\ncalls=3 0\n1 9\ncfn=(3) free\ncalls=3 \
            0\nfn=(4) f\ncfn=(2)\ncalls=4 0\n";
        assert_eq!(super::allocations(profile), Some(7));
        assert_eq!(super::allocations("fn=(1) main\n"), None);
    }
}
