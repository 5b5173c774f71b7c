//! The comparison: every contender under every measure, as tables.

use std::path::Path;
use std::time::Duration;

use crate::client::Client;
use crate::contender::{Contender, Engine};
use crate::report::{Samples, Table, cell, conditions, short};
use crate::{Failure, count, engine, fairness, load, process, views};

const LIST: &str = "/v1.43/containers/json?all=1";
const LARGE: &str = "/v1.43/images/json";
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Connections and streams that memory is measured with.
const MANY: usize = 1_000;
/// When memory is looked at again after clients have left.
const AFTERWARDS: Duration = Duration::from_secs(12);
/// How often everything timed takes its turn, and for how long.
const ROUNDS: usize = 7;
const SECONDS: u32 = 1;

/// Runs everything and returns the report.
///
/// # Errors
/// Where a contender that is there does not do what is asked of it.
pub fn run(binary: &Path, with_symbols: &Path) -> Result<String, Failure> {
    let (contenders, absent) = contenders(binary);
    let delay = engine::delay().as_micros();
    let mut report = format!(
        "# Results\n\n{}; an engine that answers after {delay} µs\n\n",
        conditions()
    );
    for contender in &contenders {
        report.push_str(&format!("- {}: {}\n", contender.name, contender.about));
    }
    absent
        .iter()
        .for_each(|line| report.push_str(&format!("- {line}\n")));
    report.push_str("\n## Counted\n\n");
    report.push_str(&counted(&contenders, with_symbols)?.to_string());
    report.push_str("\n## Timed\n\n");
    report.push_str(&timed(&contenders)?.to_string());
    report.push_str("\n## Starting and rules\n\n");
    report.push_str(&starting(binary)?.to_string());
    report.push_str("\n## Views\n\n");
    report.push_str(&views(binary)?);
    report.push_str("\n## Another client, while one attacks\n\n");
    report.push_str(&fairness::run(binary, "")?);
    Ok(report)
}

/// The cost of views, where it can be counted here.
fn views(binary: &Path) -> Result<String, Failure> {
    if count::has("valgrind") {
        Ok(views::table(binary)?.to_string())
    } else {
        Ok("left out: valgrind is absent\n".to_owned())
    }
}

/// Who is here, and a line for each who is not.
fn contenders(binary: &Path) -> (Vec<Contender>, Vec<String>) {
    let mut here = vec![
        Contender::direct(),
        Contender::cetusguard("Cetusguard", binary, "6", &[]),
        Contender::cetusguard("Cetusguard, logging all", binary, "7", &[]),
        Contender::cetusguard("Cetusguard, one worker", binary, "6", &["--workers", "1"]),
    ];
    let mut absent = Vec::new();
    for option in ["http-server-close", "http-keep-alive"] {
        let haproxy = Contender::haproxy(option);
        match haproxy.binary() {
            Some(_) => here.push(haproxy),
            None => absent.push(format!("{}: absent; apt-get install haproxy", haproxy.name)),
        }
    }
    let mut peers: Vec<(String, String)> = std::env::vars()
        .filter_map(|(key, command)| {
            Some((key.strip_prefix("BENCH_PEER_")?.to_lowercase(), command))
        })
        .collect();
    peers.sort();
    here.extend(
        peers
            .iter()
            .map(|(name, command)| Contender::peer(name, command)),
    );
    if peers.is_empty() {
        absent.push(
            "other proxies: none named by BENCH_PEER_<NAME>='command with {frontend} and \
                {backend}'"
                .to_owned(),
        );
    }
    (here, absent)
}

/// A measure and what came out, where it can be counted here.
type Count = (&'static str, Option<f64>);

fn counted(contenders: &[Contender], with_symbols: &Path) -> Result<Table, Failure> {
    let proxies: Vec<&Contender> = contenders
        .iter()
        .filter(|contender| contender.is_proxy())
        .collect();
    let mut table = Table::new(proxies.iter().map(|contender| contender.name.clone()));
    let engine = Engine::start()?;
    let mut columns: Vec<Vec<Count>> = Vec::new();
    for contender in proxies {
        eprintln!("counting: {}", contender.name);
        let mut column = of_a_request(contender, &engine, with_symbols)?;
        column.extend(of_connections(contender, &engine)?);
        column.extend(of_streams(contender, &engine)?);
        column.extend(of_lists(contender, &engine)?);
        column.push((
            "binary, MiB",
            contender
                .binary()
                .and_then(|file| process::size(&file))
                .map(mib),
        ));
        columns.push(column);
    }
    let measures = columns.first().map(|column| {
        column
            .iter()
            .map(|(measure, _)| *measure)
            .collect::<Vec<_>>()
    });
    for (at, measure) in measures.unwrap_or_default().into_iter().enumerate() {
        table.row(
            measure,
            columns.iter().map(|column| cell(column[at].1)).collect(),
        );
    }
    Ok(table)
}

fn of_a_request(
    contender: &Contender,
    engine: &Engine,
    with_symbols: &Path,
) -> Result<Vec<Count>, Failure> {
    let strace = count::has("strace");
    let calls = strace
        .then(|| count::system_calls_of_get(&contender.start(engine)?, LIST))
        .transpose()?;
    let (mut instructions, mut allocations) = (None, None);
    if contender.native && count::has("valgrind") {
        instructions = Some(count::instructions_of_get(contender, engine, LIST)?.0);
        allocations =
            count::instructions_of_get(&contender.with_symbols(with_symbols), engine, LIST)?.1;
    }
    Ok(vec![
        ("system calls a GET of 2 KB", calls),
        ("user instructions a GET", instructions),
        ("heap allocations a GET", allocations),
    ])
}

fn of_connections(contender: &Contender, engine: &Engine) -> Result<Vec<Count>, Failure> {
    let (started, pid) = contender.start_process(engine)?;
    let idle = process::settled_memory(pid)?;
    let connections = load::idle(started.address, MANY)?;
    let with_connections = process::memory(pid)?.0;
    drop(connections);
    let open_and_close = || {
        load::idle(started.address, 200)?;
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    };
    let calls = count::has("strace")
        .then(|| count::system_calls(pid, open_and_close))
        .transpose()?;
    Ok(vec![
        ("resident, idle, MiB", Some(mib(idle))),
        (
            "resident, 1,000 idle connections, MiB",
            Some(mib(with_connections)),
        ),
        (
            "KiB an idle connection",
            Some(kib_each(with_connections, idle)),
        ),
        (
            "system calls to open, ping and close",
            calls.map(|calls| calls as f64 / 200.0),
        ),
    ])
}

fn of_streams(contender: &Contender, engine: &Engine) -> Result<Vec<Count>, Failure> {
    let (started, pid) = contender.start_process(engine)?;
    let idle = process::settled_memory(pid)?;
    let streams = load::Streams::open(started.address, MANY)?;
    std::thread::sleep(crate::engine::EVENT_EVERY * 4);
    let with_streams = process::memory(pid)?.0;
    let before = streams.received();
    let watch = || {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    };
    let calls = count::has("strace")
        .then(|| count::system_calls(pid, watch))
        .transpose()?;
    let events = streams.received() - before;
    streams.close()?;
    std::thread::sleep(AFTERWARDS);
    Ok(vec![
        (
            "resident, 1,000 event streams, MiB",
            Some(mib(with_streams)),
        ),
        ("KiB an open stream", Some(kib_each(with_streams, idle))),
        (
            "system calls an event",
            calls.map(|calls| calls as f64 / events as f64),
        ),
        (
            "resident, after the streams, MiB",
            Some(mib(process::memory(pid)?.0)),
        ),
    ])
}

fn of_lists(contender: &Contender, engine: &Engine) -> Result<Vec<Count>, Failure> {
    let (started, pid) = contender.start_process(engine)?;
    let peak = if count::has_wrk() {
        load::closed_loop(&started, LARGE, 64, 3)?;
        Some(mib(process::memory(pid)?.1))
    } else {
        None
    };
    std::thread::sleep(AFTERWARDS);
    Ok(vec![
        ("peak, 64 clients reading 200 KB lists, MiB", peak),
        (
            "resident, after them, MiB",
            Some(mib(process::memory(pid)?.0)),
        ),
    ])
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn kib_each(bytes: u64, base: u64) -> f64 {
    bytes.saturating_sub(base) as f64 / 1024.0 / MANY as f64
}

/// Everything timed, as parts of Cetusguard's median.
fn timed(contenders: &[Contender]) -> Result<Table, Failure> {
    let mut table = Table::new(contenders.iter().map(|contender| contender.name.clone()));
    if !count::has_wrk() {
        table.row(
            "skipped: no wrk; apt-get install wrk",
            vec![String::new(); contenders.len()],
        );
        return Ok(table);
    }
    for clients in CLIENTS {
        let [mut rates, mut latencies, mut cpus] =
            [(); 3].map(|()| vec![Samples::default(); contenders.len()]);
        take_turns(contenders, &format!("{clients} clients"), |at, started| {
            let run = load::closed_loop(started, LIST, clients, SECONDS)?;
            rates[at].push(run.rate);
            latencies[at].push(run.latency);
            run.cpu.into_iter().for_each(|cpu| cpus[at].push(cpu));
            Ok(())
        })?;
        push(
            &mut table,
            &format!("requests a second, {clients} clients"),
            "/s",
            &rates,
        );
        push(
            &mut table,
            &format!("median latency, {clients} clients"),
            "µs",
            &latencies,
        );
        push(
            &mut table,
            &format!("processor time a request, {clients} clients"),
            "µs",
            &cpus,
        );
    }
    for (measure, unit, time) in [
        (
            "download of 256 MiB (`docker save`)",
            "MiB/s",
            load::download as fn(_) -> _,
        ),
        ("upload of 256 MiB (`docker load`)", "MiB/s", load::upload),
        (
            "round trip through a hijacked stream",
            "µs",
            load::round_trip,
        ),
    ] {
        let mut samples = vec![Samples::default(); contenders.len()];
        take_turns(contenders, measure, |at, started| {
            samples[at].push(time(started.address)?);
            Ok(())
        })?;
        push(&mut table, measure, unit, &samples);
    }
    Ok(table)
}

/// A B A B: each contender in each round, all of them running all the time.
fn take_turns(
    contenders: &[Contender],
    what: &str,
    mut measure: impl FnMut(usize, &crate::contender::Started) -> Result<(), Failure>,
) -> Result<(), Failure> {
    eprintln!("timing: {what}");
    let engine = Engine::start()?;
    let started = contenders
        .iter()
        .map(|contender| contender.start(&engine))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..ROUNDS {
        for (at, started) in started.iter().enumerate() {
            measure(at, started)
                .map_err(|why| format!("{}, {what}: {why}", contenders[at].name))?;
        }
    }
    Ok(())
}

/// Cetusguard's own column in units, the others as multiples of it.
fn push(table: &mut Table, measure: &str, unit: &str, samples: &[Samples]) {
    const OURS: usize = 1;
    let base = samples[OURS].median();
    let cells = samples.iter().enumerate();
    let cells = cells.map(|(at, own)| {
        if at == OURS {
            format!("{} {unit}", own.absolute())
        } else {
            own.relative_to(base).replace(' ', "× ")
        }
    });
    table.row(measure, cells.collect());
}

/// Start-up with rule sets of several sizes, and the memory that they take.
fn starting(binary: &Path) -> Result<Table, Failure> {
    let sets = crate::rule_sets::all();
    let mut table = Table::new(sets.iter().map(|(name, _)| name.clone()));
    let engine = Engine::start()?;
    let contenders: Vec<Contender> = sets
        .iter()
        .map(|(name, rules)| Contender::cetusguard(name, binary, "6", &["--rules", rules]))
        .collect();
    let mut times = vec![Samples::default(); sets.len()];
    for _ in 0..15 {
        for (at, contender) in contenders.iter().enumerate() {
            times[at].push(contender.first_answer(&engine)?.as_secs_f64() * 1e3);
        }
    }
    table.row(
        "exec to first answer, ms",
        times.iter().map(Samples::absolute).collect(),
    );
    let mut resident = Vec::new();
    for contender in &contenders {
        let (started, pid) = contender.start_process(&engine)?;
        let mut client = Client::connect(started.address)?;
        // Matching fills caches that count as well.
        for path in crate::rule_sets::PATHS
            .iter()
            .filter(|path| !path.ends_with("/events"))
            .cycle()
            .take(500)
        {
            client.ask("GET", path)?;
        }
        resident.push(mib(process::memory(pid)?.0));
    }
    table.row(
        "resident after 500 requests, MiB",
        resident.iter().map(|mib| short(*mib)).collect(),
    );
    Ok(table)
}
