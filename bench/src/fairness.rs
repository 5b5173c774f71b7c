//! Fairness: what another client notices while one client attacks.
//!
//! Each row takes its three figures from one run: the victim alone; the victim while the attack
//! hits another instance of the proxy on the same machine, which shows what the machine alone adds;
//! and the victim while the attack hits its own proxy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cetusguard_testkit::{Certs, Docker, Engine as Simulated, Proxy, ProxyBuilder, TempDir};

use crate::contender::{Engine, rules};
use crate::report::{Table, short};
use crate::victim::{Calls, Figures, Victim};
use crate::{Failure, attack, stalled, views};

/// The time for which a victim is watched, each of three times.
const WATCH: Duration = Duration::from_secs(5);
/// The time in which connections and caches are made, and in which an attack ends.
const SETTLE: Duration = Duration::from_secs(1);
/// The goal: a victim's 99th percentile under attack, as a multiple of the quiet one. No request
/// may fail.
const GOAL: f64 = 5.0;

/// Containers of the long list.
const CONTAINERS: usize = 10_000;
/// The time between two events that put the long list in doubt.
const EVENT: Duration = Duration::from_millis(200);
/// The time for which a client asks in vain behind an engine that does not answer its first list.
const PATIENCE: Duration = Duration::from_secs(60);

/// A row, its attack, the connections that the attack holds, and the victim's calls.
type Attacked = (&'static str, &'static str, usize, fn() -> Calls);

/// Attacks on a proxy with default limits.
const ROWS: [Attacked; 13] = [
    (
        "creates of 660 KB with 60,000 unknown keys, two a second",
        "hostile-bodies-slowly",
        0,
        plain,
    ),
    (
        "the same on 4 connections, as fast as they are answered",
        "hostile-bodies",
        0,
        plain,
    ),
    ("4,200 idle connections", "idle", 4_200, plain),
    (
        "40 creates of 9 KiB that never end; the victim creates with 20 KiB",
        "endless-bodies",
        40,
        creates_20_kib,
    ),
    (
        "the same; the victim creates with 780 KB",
        "endless-bodies",
        40,
        creates_780_kb,
    ),
    (
        "16 downloads of 256 MiB that are read as fast as they come",
        "downloads",
        0,
        plain,
    ),
    (
        "100 downloads of 256 MiB that read nothing",
        "unread-downloads",
        100,
        plain,
    ),
    (
        "100 connections that ask for 200 large lists each and read nothing",
        "unread-lists",
        100,
        plain,
    ),
    (
        "64 connections that list as fast as they can",
        "lists",
        0,
        plain,
    ),
    (
        "4 connections that list 10,000 containers (14 MB) as fast as they can",
        "long-lists",
        0,
        plain,
    ),
    (
        "16 connections that are refused as fast as they can",
        "refused",
        0,
        plain,
    ),
    (
        "16 loops of connections that send garbage",
        "garbage",
        0,
        plain,
    ),
    (
        "16 loops of TLS handshakes; the victim uses TLS as well",
        "handshakes",
        0,
        plain,
    ),
];

const VIEWED_LISTS: &str = "4 connections that list 10,000 containers (14 MB) under a view that \
    hides half of them and redacts secrets";
const LONG_LIST: &str =
    "a list of 10,000 containers (20 MiB) in doubt five times a second; clients known by container";
const UNANSWERED: &str = "An engine that never answers its first list; clients known by container";

fn plain() -> Calls {
    Calls::Plain
}

fn creates_20_kib() -> Calls {
    Calls::Creates(20 << 10, Duration::from_millis(20))
}

fn creates_780_kb() -> Calls {
    Calls::Creates(780_000, Duration::from_millis(100))
}

/// A victim's figures from one run.
struct Row {
    quiet: Figures,
    beside: Figures,
    attacked: Figures,
}

/// Runs every attack whose row has this in its name, and returns the report.
///
/// # Errors
/// A proxy does not start, or an attack cannot be made.
pub fn run(binary: &Path, part: &str) -> Result<String, Failure> {
    let binary = binary.display().to_string();
    let columns = [
        "quiet p50, ms",
        "quiet p99, ms",
        "p99 beside it, ms",
        "p99 attacked, ms",
        "worst, ms",
        "× quiet",
        "failed",
        "goal",
    ];
    let mut table = Table::new(columns.map(str::to_owned));
    for (what, attack, count, calls) in ROWS.into_iter().filter(|(what, ..)| what.contains(part)) {
        eprintln!("fairness: {what}");
        let row = if attack == "handshakes" {
            with_tls(&binary, attack)
        } else {
            row(&binary, &[], attack, count, calls())
        };
        row.map_err(|why| format!("{what}: {why}"))?
            .push(what, &mut table);
    }
    if VIEWED_LISTS.contains(part) {
        eprintln!("fairness: {VIEWED_LISTS}");
        let view = views::SCOPED_AND_REDACTED;
        row(&binary, view, "long-lists", 0, plain())?.push(VIEWED_LISTS, &mut table);
    }
    if LONG_LIST.contains(part) {
        eprintln!("fairness: {LONG_LIST}");
        long_list(&binary)?.push(LONG_LIST, &mut table);
    }
    let mut report = table.to_string();
    if UNANSWERED.contains(part) {
        eprintln!("fairness: {UNANSWERED}");
        report.push_str(&format!("\n{UNANSWERED}: {}\n", unanswered_list(&binary)?));
    }
    report.push_str("\n### Stalled streams in 64 MiB\n\n");
    report.push_str(&stalled::run(&binary, part)?);
    Ok(report)
}

impl Row {
    fn push(&self, what: &str, table: &mut Table) {
        let Self {
            quiet,
            beside,
            attacked,
        } = self;
        let ratio = attacked.percentile(99) / quiet.percentile(99);
        let is_kept = ratio <= GOAL && attacked.failed == 0;
        let failed = format!("{} of {}", attacked.failed, attacked.requests());
        let mut cells: Vec<String> = [
            quiet.percentile(50),
            quiet.percentile(99),
            beside.percentile(99),
            attacked.percentile(99),
            attacked.percentile(100),
            ratio,
        ]
        .map(short)
        .to_vec();
        cells.extend([
            failed,
            if is_kept {
                "kept".to_owned()
            } else {
                "missed".to_owned()
            },
        ]);
        eprintln!("    {}", cells.join(" | "));
        table.row(what, cells);
    }
}

fn start(binary: &str, engine: &Engine, options: &[&str]) -> Proxy {
    let backend = format!("unix://{}", engine.socket().display());
    let proxy = ProxyBuilder::bare(binary)
        .arg("--backend-addr", &backend)
        .arg("--rules", &rules())
        .frontend("tcp://127.0.0.1:0");
    let with_options = options
        .iter()
        .fold(proxy, |proxy, option| proxy.word(option));
    with_options.start()
}

fn victim(proxy: &Proxy, calls: Calls) -> Result<Victim, Failure> {
    Ok(Victim {
        address: proxy.address().trim_start_matches("tcp://").parse()?,
        calls,
    })
}

fn row(
    binary: &str,
    options: &[&str],
    attack: &str,
    count: usize,
    calls: Calls,
) -> Result<Row, Failure> {
    let engine = Engine::start()?;
    let [own, other] = [(); 2].map(|()| start(binary, &engine, options));
    measure(
        &victim(&own, calls)?,
        [&other, &own].map(Proxy::address),
        |target| attack::Running::start(attack, target, WATCH + SETTLE, count, 1),
    )
}

fn with_tls(binary: &str, attack: &str) -> Result<Row, Failure> {
    let (engine, certs) = (Engine::start()?, Certs::make());
    let start = || {
        let backend = format!("unix://{}", engine.socket().display());
        let proxy = ProxyBuilder::bare(binary)
            .arg("--backend-addr", &backend)
            .arg("--rules", &rules());
        let proxy = proxy.arg("--frontend-tls-cert", &certs.file("server.pem"));
        proxy
            .arg("--frontend-tls-key", &certs.file("server.key"))
            .frontend("tcp://127.0.0.1:0")
            .start()
    };
    let (own, other) = (start(), start());
    let calls = Calls::Tls(certs.client(None));
    measure(
        &victim(&own, calls)?,
        [&other, &own].map(Proxy::address),
        |target| attack::Running::start(attack, target, WATCH + SETTLE, 0, 1),
    )
}

/// Watches the victim alone, then while each of two targets is attacked: another proxy, and its
/// own.
fn measure<A>(
    victim: &Victim,
    [other, own]: [&str; 2],
    attack: impl Fn(&str) -> Result<A, Failure>,
) -> Result<Row, Failure> {
    // Connections to the engine are there, and caches are filled.
    let _ = victim.watch(SETTLE);
    let quiet = victim.watch(WATCH);
    let under = |target: &str| {
        let running = attack(target)?;
        let figures = victim.watch(WATCH);
        drop(running);
        // What the attack has left behind is not the next one's.
        std::thread::sleep(SETTLE);
        Ok::<_, Failure>(figures)
    };
    let beside = under(other)?;
    Ok(Row {
        quiet,
        beside,
        attacked: under(own)?,
    })
}

const BY_CONTAINER: &str = "frontend-addr: tcp://127.0.0.1:0
rules: GET %API_PREFIX_CONTAINERS%/json
profiles:
  a: {rules: GET %API_PREFIX_CONTAINERS%/json, clients: [{container: a-*}]}
";

fn by_container(binary: &str, engine: &Simulated, folder: &TempDir) -> Proxy {
    let file = folder.write("config.yaml", BY_CONTAINER);
    ProxyBuilder::bare(binary)
        .arg("--config", &file)
        .arg("--backend-addr", &engine.address())
        .expect_frontend()
        .start()
}

/// A container of a list, with labels of two kilobytes.
fn listed(id: &str, name: &str, address: &str) -> String {
    let text = "x".repeat(200);
    let labels: Vec<String> = (0..10)
        .map(|label| format!("\"label-{label}\":\"{text}\""))
        .collect();
    let networks = format!("{{\"bridge\":{{\"NetworkID\":\"n\",\"IPAddress\":\"{address}\"}}}}");
    let labels = labels.join(",");
    format!(
        "{{\"Id\":\"{id}\",\"Names\":[\"/{name}\"],\"Labels\":{{{labels}}},\"NetworkSettings\":{{\"Networks\":{networks}}}}}"
    )
}

/// An engine with 10,000 containers; those of the attacker and of the victim are among them.
fn populous(docker: &Docker) -> Simulated {
    let (attacker, victim) = (
        attack::SOURCE.to_string(),
        crate::victim::SOURCE.to_string(),
    );
    docker.list("a77ac4e", "a-1", &attacker, &[]);
    docker.list("71c714", "a-2", &victim, &[]);
    let mut containers = vec![
        listed("a77ac4e", "a-1", &attacker),
        listed("71c714", "a-2", &victim),
    ];
    let other = |at: usize| {
        listed(
            &format!("{at:064x}"),
            &format!("c-{at}"),
            &format!("10.0.{}.{}", at / 250, at % 250),
        )
    };
    containers.extend((containers.len()..CONTAINERS).map(other));
    let list = format!("[{}]", containers.join(","));
    let docker = docker.clone();
    Simulated::scripted(move |exchange, link| match exchange.line.as_str() {
        "GET /containers/json" => link.answer(200, &list),
        _ => docker.answer(exchange, link),
    })
}

/// Events about a container put the list in doubt again and again. Dropped, they end.
struct Doubts(Arc<AtomicBool>);

impl Doubts {
    fn start(docker: &Docker) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (docker, over) = (docker.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            while !over.load(Relaxed) {
                docker.tell("container", "restart", "a77ac4e");
                std::thread::sleep(EVENT);
            }
        });
        Self(is_over)
    }
}

impl Drop for Doubts {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A client restarts its container and connects anew, again and again, which has long lists read.
fn long_list(binary: &str) -> Result<Row, Failure> {
    let folder = TempDir::new();
    let dockers = [Docker::default(), Docker::default()];
    let engines = dockers.each_ref().map(populous);
    let [other, own] = engines
        .each_ref()
        .map(|engine| by_container(binary, engine, &folder));
    measure(
        &victim(&own, Calls::Plain)?,
        [&other, &own].map(Proxy::address),
        |target| {
            let docker = if target == own.address() {
                &dockers[1]
            } else {
                &dockers[0]
            };
            Ok((
                Doubts::start(docker),
                attack::Running::start("connections", target, WATCH + SETTLE, 0, 1)?,
            ))
        },
    )
}

/// The time after which clients that are known by container are served, although the engine never
/// answers its first list.
fn unanswered_list(binary: &str) -> Result<String, Failure> {
    let (folder, docker) = (TempDir::new(), Docker::default());
    docker.list("71c714", "a-2", &crate::victim::SOURCE.to_string(), &[]);
    let is_first = AtomicBool::new(true);
    let engine = Simulated::scripted(move |exchange, link| {
        if exchange.line == "GET /containers/json" && is_first.swap(false, Relaxed) {
            link.drain();
        } else {
            docker.answer(exchange, link);
        }
    });
    let proxy = by_container(binary, &engine, &folder);
    let address = proxy.address().trim_start_matches("tcp://").parse()?;
    let (begun, mut refused) = (Instant::now(), 0);
    while begun.elapsed() < PATIENCE {
        let stream = crate::client::connect_from(crate::victim::SOURCE, address, PATIENCE)?;
        if crate::client::Client::over(stream)
            .ask("GET", "/_ping")
            .is_ok_and(|status| status == 200)
        {
            let seconds = short(begun.elapsed().as_secs_f64());
            return Ok(format!(
                "served after {seconds} s, with {refused} requests refused before."
            ));
        }
        refused += 1;
    }
    Ok(format!(
        "{refused} requests were refused in a minute, and none served."
    ))
}
