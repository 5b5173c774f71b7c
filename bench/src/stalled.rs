//! Stalled streams in a container of 64 MiB: the kernel's buffers count against its limit, and
//! beyond it the OOM killer ends the streams of all clients.

use std::time::Duration;

use cetusguard_testkit::{Proxy, ProxyBuilder, TempDir};

use crate::Failure;
use crate::attack::{Answers, Running};
use crate::cgroup::MemoryGroup;
use crate::contender::{Engine, rules};
use crate::report::{Table, short};
use crate::victim::{Calls, Figures, Victim};

/// The memory limit of the shipped compose file.
pub const LIMIT: u64 = 64 << 20;
/// The time in which streams are opened and fill their buffers; a victim is watched in the
/// meantime.
const TIME: Duration = Duration::from_secs(5);
/// The time for which the victim is watched before.
const QUIET: Duration = Duration::from_secs(2);

/// The kinds of stalled streams: what they are, and the attack that opens them.
pub const ATTACKS: [(&str, &str); 3] = [
    ("floods of standard input through attach", "stdin-floods"),
    ("uploads to an engine that reads nothing", "stalled-uploads"),
    ("downloads that read nothing", "unread-downloads"),
];
/// Streams, and the addresses that they come from.
const CROWDS: [(usize, u8); 3] = [(350, 1), (1_000, 1), (1_000, 8)];

/// The outcome of one attack.
#[derive(Debug)]
pub struct Outcome {
    /// The process is there, within its limit.
    pub lives: bool,
    /// The most memory that was charged to the container, in bytes.
    pub peak: u64,
    /// The answers that the streams got.
    pub answers: Answers,
    quiet: Figures,
    attacked: Figures,
}

/// Runs every attack whose row has this in its name, on both kinds of frontends, and returns a
/// table, or the reason for which there is none.
///
/// # Errors
/// A proxy does not start, or an attack cannot be made.
pub fn run(binary: &str, part: &str) -> Result<String, Failure> {
    if let Err(why) = MemoryGroup::make(LIMIT) {
        return Ok(format!(
            "Skipped, since a control group with a memory limit cannot be made: {why}.\n"
        ));
    }
    let columns = [
        "proxy",
        "peak, MiB",
        "streams",
        "refused politely",
        "broken",
        "requests failed",
        "quiet p99, ms",
        "p99 attacked, ms",
    ];
    let mut table = Table::new(columns.map(str::to_owned));
    for (what, attack) in ATTACKS {
        for (count, sources) in CROWDS {
            for is_unix in [false, true] {
                if is_unix && sources > 1 {
                    continue;
                }
                let clients = if sources > 1 {
                    format!(" of {sources} clients")
                } else {
                    String::new()
                };
                let what = format!(
                    "{count} {what}{clients}, {}",
                    if is_unix { "Unix socket" } else { "TCP" }
                );
                if !what.contains(part) {
                    continue;
                }
                eprintln!("stalled: {what}");
                let outcome = outcome(binary, attack, count, sources, is_unix);
                table.row(
                    what.clone(),
                    outcome.map_err(|why| format!("{what}: {why}"))?.cells(),
                );
            }
        }
    }
    Ok(table.to_string())
}

/// Attacks a proxy in a group of its own.
///
/// # Errors
/// The group cannot be made, or the attack cannot.
pub fn outcome(
    binary: &str,
    attack: &str,
    count: usize,
    sources: u8,
    is_unix: bool,
) -> Result<Outcome, Failure> {
    let (engine, folder) = (Engine::start()?, TempDir::new());
    let group = MemoryGroup::make(LIMIT)?;
    let mut proxy = start(binary, &engine, &group, &folder);
    // Of the two frontends, the one that a victim on another address uses is always that of TCP.
    let tcp = proxy
        .addresses()
        .iter()
        .find(|address| address.starts_with("tcp://"))
        .ok_or("no TCP frontend")?;
    let target = if is_unix {
        format!("unix://{}", folder.file("front.sock"))
    } else {
        tcp.clone()
    };
    let victim = Victim {
        address: tcp.trim_start_matches("tcp://").parse()?,
        calls: Calls::Plain,
    };
    let quiet = victim.watch(QUIET);
    let running = Running::start(
        attack,
        &target,
        TIME + Duration::from_secs(1),
        count,
        sources,
    )?;
    let attacked = victim.watch(TIME);
    let (answers, peak) = (running.answers()?, group.peak()?);
    let lives = proxy.is_running() && peak <= LIMIT;
    drop(proxy);
    Ok(Outcome {
        lives,
        peak,
        answers,
        quiet,
        attacked,
    })
}

fn start(binary: &str, engine: &Engine, group: &MemoryGroup, folder: &TempDir) -> Proxy {
    let proxy = ProxyBuilder::bare("sh")
        .word("-c")
        .word(&group.entrance())
        .word(binary);
    let proxy = proxy
        .arg(
            "--backend-addr",
            &format!("unix://{}", engine.socket().display()),
        )
        .arg("--rules", &rules());
    proxy
        .frontend("tcp://127.0.0.1:0")
        .frontend(&format!("unix://{}", folder.file("front.sock")))
        .start()
}

impl Outcome {
    fn cells(&self) -> Vec<String> {
        let Answers {
            accepted,
            refused,
            broken,
            waiting,
        } = self.answers;
        let cells = vec![
            if self.lives {
                "lives".to_owned()
            } else {
                "killed".to_owned()
            },
            short(self.peak as f64 / f64::from(1 << 20)),
            // An upload has its answer when it is over.
            (accepted + waiting).to_string(),
            refused.to_string(),
            broken.to_string(),
            format!("{} of {}", self.attacked.failed, self.attacked.requests()),
            short(self.quiet.percentile(99)),
            short(self.attacked.percentile(99)),
        ];
        eprintln!("    {}", cells.join(" | "));
        cells
    }
}
