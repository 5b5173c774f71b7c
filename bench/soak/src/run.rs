//! The run: warm-up, load, what is left of it, the end, and the summary.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cetusguard_testkit::Certs;

use crate::client::{Client, Site, Via, head};
use crate::drain::drain;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::load;
use crate::policy::Files;
use crate::proxy::{Failure, Figures, Proxy};
use crate::random::Random;
use crate::settle::{Goal, MARGIN, SWEEPS, settle};
use crate::wire::Wire;
use crate::world::{FORBIDDEN, World};

/// The time in which the proxy sweeps once, and its idle threads end.
const SWEEP: Duration = Duration::from_secs(12);
/// Rounds of each client in the warm-up: enough to bring up everything that the proxy starts on
/// demand and keeps.
const WARMING: u64 = 6;
/// The shortest and the longest time between two restarts of the engine, in milliseconds.
const RESTARTS: (u64, u64) = (8_000, 20_000);

/// Everything that a run is made of.
struct Run {
    world: Arc<World>,
    engine: Arc<Engine>,
    proxy: Arc<Proxy>,
    files: Arc<Files>,
    site: Arc<Site>,
    restarts: Arc<AtomicU64>,
    _certs: Certs,
}

/// Runs the soak for so long; returns whether nothing was wrong.
pub(crate) fn run(binary: &Path, world: &Arc<World>, length: Duration) -> Result<bool, Failure> {
    let begun = Instant::now();
    let run = Run::prepare(binary, world)?;
    let start = run.proxy.figures()?;
    run.warm_up();
    let warm = run.proxy.figures()?;
    let goal = Goal(warm);
    let highest = run.load(length)?;
    let held = run.hold()?;
    let after = settle(world, &run.proxy, &run.engine, &goal)?;
    drop(held);
    let mut last = run.client("end", Via::Tcp);
    if let Err(failure) = drain(&mut last, &run.proxy) {
        world.fail(failure.to_string());
    }
    run.engine.stop();
    run.compare_records();
    run.summary(begun.elapsed(), &[start, warm, highest, after]);
    Ok(world.failures().1 == 0)
}

impl Run {
    fn prepare(binary: &Path, world: &Arc<World>) -> Result<Self, Failure> {
        let certs = Certs::make();
        let engine = Arc::new(Engine::start(world)?);
        let files = Arc::new(Files::write(&engine.path(), &certs, world.patience));
        let proxy = Arc::new(Proxy::start(
            binary,
            &files.config(),
            Via::ALL.len(),
            world,
        )?);
        let site = Site {
            tcp: proxy.address(false)?,
            tls: proxy.address(true)?,
            unix: files.socket(),
            config: certs.client(Some("client")),
        };
        let (site, world) = (Arc::new(site), Arc::clone(world));
        Ok(Self {
            world,
            engine,
            proxy,
            files,
            site,
            restarts: Arc::default(),
            _certs: certs,
        })
    }

    fn client(&self, kind: &'static str, via: Via) -> Client {
        let (world, site) = (Arc::clone(&self.world), Arc::clone(&self.site));
        let random = Random::new(world.seed, kind);
        Client {
            world,
            site,
            via,
            source: IpAddr::V4(Ipv4Addr::new(127, 0, 4, 1)),
            random,
            kind,
        }
    }

    /// Runs a round of each kind, and lets the proxy sweep.
    fn warm_up(&self) {
        // No stream lasts, and no client pauses.
        self.world.stopping.store(true, SeqCst);
        let clients = load::clients(&self.world, &self.site);
        self.join(
            clients
                .into_iter()
                .map(|client| load::run_rounds(client, WARMING))
                .collect(),
        );
        load::judge(&mut self.client("crowds", Via::Tcp), load::crowd::round);
        let begun = Instant::now();
        let is_idle = || begun.elapsed() > SWEEP && self.engine.open() == 0;
        if !self
            .world
            .eventually(SWEEPS.max(self.world.patience), is_idle)
        {
            self.world
                .fail("after the warm-up, connections to the engine are left");
        }
        self.world.stopping.store(false, SeqCst);
    }

    /// Runs everything for so long. Returns the highest figures.
    fn load(&self, length: Duration) -> Result<Figures, Failure> {
        if self.world.makes(Fault::PassedGarbage) {
            let wire = Wire::unix(&self.engine.path(), self.world.patience);
            let _ = wire.map(|mut wire| wire.send(format!("GET /{FORBIDDEN} HTTP/1.1\r\n\r\n")));
        }
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for client in load::clients(&self.world, &self.site) {
            threads.push(load::run(client));
        }
        // As many rounds as end before the others do.
        let rounds = length.as_secs() / (self.world.patience.as_secs() * 3 / 4);
        threads.extend(
            load::slow_clients(&self.world, &self.site)
                .into_iter()
                .map(|client| load::run_rounds(client, rounds)),
        );
        threads.push(load::run((
            self.client("crowds", Via::Tcp),
            load::crowd::round,
        )));
        let (mut client, files, proxy) = (
            self.client("reloads", Via::Tcp),
            Arc::clone(&self.files),
            Arc::clone(&self.proxy),
        );
        threads.push(std::thread::spawn(move || {
            load::reloads::run(&mut client, &files, &proxy)
        }));
        threads.push(self.restarts());
        let deadline = Instant::now() + length;
        let mut highest = self.proxy.figures()?;
        while Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(250).min(deadline - Instant::now()));
            highest = highest.highest(self.proxy.figures()?);
        }
        self.world.stopping.store(true, SeqCst);
        self.join(threads);
        Ok(highest)
    }

    fn restarts(&self) -> JoinHandle<()> {
        let (world, engine, count) = (
            Arc::clone(&self.world),
            Arc::clone(&self.engine),
            Arc::clone(&self.restarts),
        );
        let mut random = Random::new(world.seed, "restarts");
        std::thread::spawn(move || {
            loop {
                world.pause(Duration::from_millis(random.within(RESTARTS.0, RESTARTS.1)));
                if world.is_stopping() {
                    return;
                }
                world.judge(
                    engine
                        .restart()
                        .map_err(|error| format!("the engine does not come back: {error}")),
                );
                count.fetch_add(1, SeqCst);
            }
        })
    }

    /// Waits for clients. Each wait of theirs is bounded, so that one that does not end has lost
    /// its exchange.
    fn join(&self, threads: Vec<JoinHandle<()>>) {
        let has_ended = self.world.eventually(self.world.patience * 2, || {
            threads.iter().all(JoinHandle::is_finished)
        });
        if !has_ended {
            let left = threads
                .iter()
                .filter(|thread| !thread.is_finished())
                .count();
            return self.world.fail(format!("{left} clients do not end"));
        }
        for thread in threads {
            if thread.join().is_err() {
                self.world.fail("a client of the soak has panicked");
            }
        }
    }

    /// Holds connections open where that is the fault to be found.
    fn hold(&self) -> Result<Vec<Wire>, Failure> {
        let (path, via, count) = match &self.world {
            world if world.makes(Fault::HeldConnections) => ("/version", Via::Tcp, 20),
            world if world.makes(Fault::HeldExchanges) => ("/containers/held/json", Via::Tcp, 20),
            world if world.makes(Fault::HeldMemory) => ("/version", Via::Tls, 1000),
            _ => return Ok(Vec::new()),
        };
        let mut client = self.client("held", via);
        let hold = |number: usize| {
            // From several addresses: what one client may hold is bounded.
            client.source = IpAddr::V4(Ipv4Addr::new(127, 0, 5, u8::try_from(number % 50 + 1)?));
            let told = |trouble| format!("{trouble:?}");
            let mut wire = client.connect().map_err(told)?;
            wire.send(head(&client.ticket(), &format!("GET {path}"), ""))
                .map_err(told)?;
            Ok(wire)
        };
        (0..count).map(hold).collect()
    }

    /// Compares the records of the log with what clients got.
    fn compare_records(&self) {
        let world = &self.world;
        world.judge(world.ledger.close());
        let (answers, records) = (
            world.nameless.load(SeqCst),
            self.proxy.nameless() + world.ledger.lost_records(),
        );
        if answers > records {
            world.fail(format!(
                "{answers} requests without a head were answered, and {records} \
                records tell of such"
            ));
        }
    }

    fn summary(&self, took: Duration, figures: &[Figures; 4]) {
        let world = &self.world;
        println!("\n{}", world.tally.table());
        let outcomes: Vec<String> = world
            .ledger
            .outcomes()
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        println!("records: {}", outcomes.join(", "));
        let (lines, _) = self.proxy.lines();
        println!(
            "log: {lines} lines, {} lost; reloads: {} done, {} refused; restarts of the engine: \
            {}; connections to it: {}; {} s\n",
            world.ledger.lost_records(),
            self.proxy.told("configuration reloaded"),
            self.proxy
                .told("configuration not reloaded: the old one stays"),
            self.restarts.load(SeqCst),
            self.engine.accepted(),
            took.as_secs()
        );
        println!(
            "{:<22}{:>12}{:>12}{:>12}{:>12}",
            "the proxy", "start", "warm", "highest", "after"
        );
        let row = |name: &str, figure: fn(&Figures) -> u64| {
            let cells: String = figures
                .iter()
                .map(|one| format!("{:>12}", figure(one)))
                .collect();
            println!("{name:<22}{cells}");
        };
        row("private memory, KiB", |one| one.private);
        row("resident memory, KiB", |one| one.resident);
        row("descriptors", |one| one.descriptors);
        row("threads", |one| one.threads);
        println!(
            "allowed after the load: {MARGIN} KiB of private memory more than warm, descriptors \
            and threads as when warm\n"
        );
        let (failures, count) = world.failures();
        failures
            .iter()
            .for_each(|failure| println!("FAILED: {failure}"));
        match count {
            0 => println!("soak: passed, {} requests", world.ledger.requests()),
            count => println!(
                "soak: {count} failures; SOAK_SEED={} repeats the schedule",
                world.seed
            ),
        }
    }
}
