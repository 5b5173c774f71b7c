//! What the system knows of a process.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// Time on a processor that all threads of a process have had.
///
/// # Errors
/// Where the process is gone.
pub fn cpu(pid: u32) -> Result<Duration, Failure> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(task?.path().join("schedstat"))?;
        total += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// Resident memory in bytes, now and at its highest.
///
/// # Errors
/// Where the process is gone.
pub fn memory(pid: u32) -> Result<(u64, u64), Failure> {
    Ok((status(pid, "VmRSS")? << 10, status(pid, "VmHWM")? << 10))
}

/// Has the highest resident memory count from now on.
///
/// # Errors
/// Fails if the process is gone, or belongs to another user.
pub fn reset_peak(pid: u32) -> Result<(), Failure> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// Resident memory in bytes that no file backs: heap and stacks. The kernel can reclaim the rest.
///
/// # Errors
/// Where the process is gone.
pub fn private_memory(pid: u32) -> Result<u64, Failure> {
    Ok(status(pid, "RssAnon")? << 10)
}

/// Resident memory in bytes once it has stopped falling.
///
/// # Errors
/// Where the process is gone.
pub fn settled_memory(pid: u32) -> Result<u64, Failure> {
    let begun = Instant::now();
    let mut lowest = memory(pid)?.0;
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) && begun.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(100));
        let now = memory(pid)?.0;
        if now + (64 << 10) < lowest {
            (lowest, since) = (now, Instant::now());
        }
    }
    Ok(memory(pid)?.0)
}

/// Waits until Cetusguard has surveyed its rules, which it does once after its start on a thread of
/// its own. Other programs have no such thread.
///
/// # Errors
/// If the process has ended, or if the survey takes more than two minutes.
pub fn wait_for_survey(pid: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
        // A thread may be gone by now.
        let mut names = tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        if !names.any(|name| name.trim_end() == "check") {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(120) {
            return Err("the survey of the rules does not end".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether every thread of the process is being traced.
#[must_use]
pub fn is_traced(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    tasks.flatten().all(|task| {
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        field(&text, "TracerPid").is_some_and(|tracer| tracer != 0)
    })
}

/// A file's size in bytes.
#[must_use]
pub fn size(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|meta| meta.len())
}

fn status(pid: u32, name: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    field(&text, name).ok_or_else(|| format!("no {name} of process {pid}").into())
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
