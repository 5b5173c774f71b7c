//! The life of the server: from a checked configuration to the end of the drain.

use std::sync::Arc;
use std::time::Duration;

use cetusguard_config::address::Address;
use cetusguard_config::{ReadFiles, Sources, own};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admin::{AdminSockets, Status};
use crate::advice::{Adviser, Check, CheckInput};
use crate::config::Config;
use crate::config::Loaded;
use crate::engine::backend::Backend;
use crate::engine::reaper::reap;
use crate::engine::{Containers, Objects, Own, follow};
use crate::flow::{
    self, Bound, Gate, InForce, InheritedSockets, Listeners, Proxy, Settings, bind,
    log_refused_connections,
};
use crate::limits::limiter::Limiter;
use crate::limits::name_holds::NameHolds;
use crate::limits::quotas::Quotas;
use crate::limits::shares::{Shares, fitting, open_files};
use crate::reload::{Reload, describe};
use crate::runtime::capacity::Capacity;
use crate::runtime::event_loops::EventLoops;
use crate::runtime::memory::Memory;
use crate::runtime::service_manager::ServiceManager;
use crate::runtime::worker::Worker;
use crate::telemetry::lessons::Lessons;
use crate::telemetry::live::Live;
use crate::telemetry::log::{Level, Log};
use crate::telemetry::metrics::Metrics;
use crate::tls::failed_handshakes::FailedHandshakes;
use cetusguard_http1::ReadBudget;

/// The interval at which idle connections to the engine are closed, and unused memory is returned.
const SWEEP: Duration = Duration::from_secs(10);

/// Threads for work that blocks: a long list of containers, two large answers of the engine, the
/// configuration when it is read again, and look-ups of the engine's name, of which more would not
/// get further. A thread takes some 100 KiB, and ends when idle.
const BLOCKING_THREADS: usize = 8;

/// Serves until SIGTERM or SIGINT, then drains.
///
/// The configuration is read again on SIGHUP, and when one of its files changes. On SIGUSR1, the
/// file of the audit log is opened again. With `learning`, lessons are collected, and SIGUSR1 also
/// writes the policy. `check` finds warnings about each configuration that is used.
///
/// # Errors
/// Returns why the server could not start: a socket, the log, a thread or a signal cannot be used.
pub fn run(
    loaded: Loaded,
    read: &ReadFiles,
    sources: Sources,
    learning: Option<Learning<'_>>,
    check: Check,
) -> Result<(), String> {
    let (log, writer) = Log::start(&loaded.config.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("blocking")
        .build();
    let runtime = runtime.map_err(|error| format!("cannot start the event loop: {error}"))?;
    let result = runtime.block_on(serve(loaded, read, sources, learning, check, log));
    // Requests that outlived the drain end here, and write their records.
    runtime.shutdown_timeout(Duration::from_millis(100));
    writer.join();
    result
}

/// The collected lessons, and the function that writes a policy from them on SIGUSR1.
pub struct Learning<'l> {
    /// The lessons, which the records of requests add to.
    pub lessons: Arc<Lessons>,
    /// Writes the policy.
    pub tell: &'l dyn Fn(),
}

/// Starts the proxy, and works until its drain has ended.
async fn serve(
    loaded: Loaded,
    read: &ReadFiles,
    sources: Sources,
    learning: Option<Learning<'_>>,
    check: Check,
    log: Log,
) -> Result<(), String> {
    let mut signals = Signals::listen()?;
    let Loaded { config, warnings } = loaded;
    let places = raise_file_limit(config.limits.connections, &log);
    let capacity = Capacity::find(config.memory_limit);
    let manager = Arc::new(ServiceManager::find());
    let Opened {
        admin,
        frontends,
        without_ipv6,
    } = open_sockets(&config)?;
    let status = describe_sockets(&frontends);
    log_start(&config, &frontends, &without_ipv6, &log);
    announce_capacity(capacity, &log);

    let (stop, stopping) = watch::channel(false);
    let (alive, mut ended) = mpsc::channel(1);
    let mut reload = Reload::new(sources, config.fixed(), read, Arc::clone(&manager));
    let lessons = learning
        .as_ref()
        .map(|learning| Arc::clone(&learning.lessons));
    let to_check = CheckInput::new(&config, warnings);
    let addresses = config.frontends.iter();
    let addresses = addresses.map(|frontend| frontend.address.clone()).collect();
    let proxy = assemble(config, places, capacity, lessons, stopping, &log);
    tokio::spawn(reap(Arc::clone(&proxy)));
    let gate = Arc::new(Gate::new(Arc::clone(&proxy), alive));
    Listeners::new(frontends).run(&gate, &log, &proxy.stopping);
    drop(gate);
    let adviser = Adviser::begin(check, to_check, &proxy);
    let admin = admin
        .map(|sockets| sockets.serve(&proxy, addresses, &log))
        .transpose()
        .map_err(|error| format!("cannot start the admin listener's thread: {error}"))?;

    manager.note_ready(&status);
    let watched = Arc::clone(&proxy);
    tokio::spawn(Arc::clone(&manager).send_signs_of_life(move || watched.event_loops()));
    let signal = run_until_stop(&mut signals, &mut reload, &adviser, learning, &proxy).await;
    log.send(
        log.line(Level::Info, "stopping: requests may finish, streams end")
            .text("signal", signal),
    );
    manager.note_stop("stopping: requests may finish, streams end");
    // Without anything that listens, there is nothing to stop.
    let _ = stop.send(true);
    tokio::select! {
        drained = timeout(proxy.limits().drain, ended.recv()) => log_drain(drained.is_ok(), &log),
        _ = signals.terminate.recv() => log.say(Level::Warning, ASKED_TWICE),
        _ = signals.interrupt.recv() => log.say(Level::Warning, ASKED_TWICE),
    }
    if let Some(admin) = admin {
        admin.end();
    }
    proxy.loops.end();
    Ok(())
}

/// The signals that the program acts on. Listening begins before the sockets are open, so that no
/// signal ends the program without a drain.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen =
            |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }
}

/// The sockets on which the program listens.
struct Opened {
    admin: Option<AdminSockets>,
    frontends: Vec<Bound>,
    /// The warnings about addresses on a host without IPv6.
    without_ipv6: Vec<String>,
}

/// Opens every socket, or takes it from the service manager.
fn open_sockets(config: &Config) -> Result<Opened, String> {
    let mut inherited = InheritedSockets::find(config.addresses());
    // First, so that no frontend takes the socket of the admin listener.
    let admin = config
        .admin
        .as_ref()
        .map(|admin| AdminSockets::bind(admin, &mut inherited))
        .transpose()?;
    let (frontends, without_ipv6) =
        bind(&config.frontends, &mut inherited).map_err(|errors| errors.join("\ncetusguard: "))?;
    inherited.refuse_left_over()?;
    refuse_own(config, &frontends)?;
    Ok(Opened {
        admin,
        frontends,
        without_ipv6,
    })
}

/// Acts on signals and on changed files until the program is asked to stop. Returns the name of the
/// signal that asks for it.
async fn run_until_stop(
    signals: &mut Signals,
    reload: &mut Reload,
    adviser: &Adviser,
    learning: Option<Learning<'_>>,
    proxy: &Arc<Proxy>,
) -> &'static str {
    let mut memory = Memory::begin();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return "SIGTERM",
            _ = signals.interrupt.recv() => return "SIGINT",
            _ = signals.hang_up.recv() => reload.read_again("SIGHUP"),
            _ = signals.user.recv() => {
                proxy.log.reopen_audit();
                if let Some(learning) = &learning {
                    (learning.tell)();
                }
            }
            reloaded = reload.go_on(proxy) => {
                if let Some(reloaded) = reloaded {
                    adviser.look_at(reloaded);
                }
            }
            _ = sweep.tick() => {
                proxy.backend.close_idle();
                for told in proxy.shares.unlogged_refusals() {
                    log_refused_connections(&told, proxy);
                }
                proxy.failed_handshakes.write_due_lines(&proxy.log);
                let budget = &proxy.read_budget;
                memory.look(budget.connections(), budget.take_peak());
            }
        }
    }
}

/// Returns the sentence about a running service, for its manager.
fn describe_sockets(sockets: &[Bound]) -> String {
    let names: Vec<&str> = sockets.iter().map(|bound| &*bound.name).collect();
    format!("serving on {}", names.join(", "))
}

/// The end of a drain that a second signal cuts short.
const ASKED_TWICE: &str = "stopped with requests still running: asked twice";

/// Logs whether every request ended within the drain.
fn log_drain(is_drained: bool, log: &Log) {
    if is_drained {
        log.say(Level::Info, "stopped");
    } else {
        log.say(
            Level::Warning,
            "stopped with requests still running: drain-timeout is over",
        );
    }
}

/// Logs how many requests the memory allows, if it is limited.
fn announce_capacity(capacity: Capacity, log: &Log) {
    let (Some(limit), Some(exchanges)) = (capacity.limit, capacity.exchanges) else {
        return;
    };
    let line = log
        .line(
            Level::Info,
            "memory is limited: so many requests may be under way",
        )
        .number("limit", limit);
    log.send(
        line.number("requests", exchanges as u64)
            .number("socket_buffer", capacity.buffer.size() as u64),
    );
}

/// Puts the proxy together, with places for so many connections, and begins to follow the engine.
fn assemble(
    config: Config,
    places: usize,
    capacity: Capacity,
    lessons: Option<Arc<Lessons>>,
    stopping: watch::Receiver<bool>,
    log: &Log,
) -> Arc<Proxy> {
    let backend = Backend::new(
        config.backend.clone(),
        config.backend_tls.clone(),
        config.limits.connect,
    );
    let loops = EventLoops::new(config.workers);
    let read_budget = Arc::new(ReadBudget::default());
    let backend = Arc::new(
        backend
            .with_buffer(capacity.buffer)
            .with_read_budget(Arc::clone(&read_budget))
            .for_event_loops(loops.count()),
    );
    let containers = Arc::new(Containers::default());
    let own = Own::find(&config.proxy_container);
    match own.word() {
        Some(word) => log.send(
            log.line(Level::Info, "protecting the proxy's own container")
                .text("container", word),
        ),
        None => log.say(
            Level::Info,
            "no container of the proxy's own to protect; proxy-container can name one",
        ),
    }
    let metrics = begin_counting(&config);
    let live = config.admin.is_some().then(Arc::<Live>::default);
    let access = config.admin.as_ref().map(|admin| admin.access.clone());
    let settings = Settings::from(config);
    containers.want(&settings.profiles);
    let objects = Arc::new(Objects::new(Arc::clone(&containers)));
    tokio::spawn(follow(
        Arc::clone(&containers),
        Arc::clone(&objects),
        Arc::clone(&backend),
        log.clone(),
    ));
    Arc::new(Proxy {
        backend,
        read_budget,
        containers,
        objects,
        own,
        loops,
        worker: Worker::default(),
        large_answers: Semaphore::new(flow::LARGE_ANSWERS),
        handshakes: Worker::default(),
        host_paths: Arc::default(),
        limiter: Limiter::default(),
        quotas: Quotas::default(),
        name_holds: NameHolds::default(),
        shares: Arc::new(Shares::new(places, capacity.exchanges)),
        failed_handshakes: FailedHandshakes::default(),
        buffer: capacity.buffer,
        log: log.clone(),
        lessons,
        metrics,
        live,
        status: Arc::new(Status::new(access.unwrap_or_default())),
        stopping,
        settings: InForce::from(settings),
    })
}

/// Returns the counters of requests, if there is an admin listener that shows them.
fn begin_counting(config: &Config) -> Option<Arc<Metrics>> {
    let metrics = config.admin.is_some().then(Arc::<Metrics>::default)?;
    metrics.expect_profiles(&config.profiles);
    Some(metrics)
}

/// Refuses a backend that is one of the sockets: only now it is known which ones systemd has
/// passed, and which ports the system has chosen.
fn refuse_own(config: &Config, sockets: &[Bound]) -> Result<(), String> {
    let is_own = |bound: &&Bound| {
        Address::frontend(&bound.name).is_ok_and(|own| own::is_own(&config.backend, &own))
    };
    match sockets.iter().find(is_own) {
        Some(own) => {
            let (backend, advice) = (&config.backend, own::ADVICE);
            Err(format!(
                "the backend {backend} is the proxy's own frontend {}: {advice}",
                own.name
            ))
        }
        None => Ok(()),
    }
}

/// Logs the settings of the start: the backend and the number of rules.
fn log_start(config: &Config, sockets: &[Bound], warnings: &[String], log: &Log) {
    for warning in warnings {
        log.say(Level::Warning, warning);
    }
    let line = log
        .line(Level::Info, "starting")
        .text("version", env!("CARGO_PKG_VERSION"));
    let rules = config
        .profiles
        .all()
        .map(|profile| profile.rules.rules().len() as u64)
        .sum();
    log.send(
        line.text("backend", &config.backend.to_string())
            .number("rules", rules),
    );
    describe(&config.profiles, log);
    for bound in sockets {
        let has_tls = bound.is_tcp()
            && config
                .frontends
                .get(bound.frontend)
                .is_some_and(|one| one.tls.is_some());
        log.send(
            log.line(Level::Info, "listening")
                .text("address", &bound.name)
                .flag("tls", has_tls),
        );
    }
}

/// Raises the soft limit of open files, which is often 1,024 for no better reason than `select`.
/// Returns how many connections fit.
fn raise_file_limit(connections: usize, log: &Log) -> usize {
    let needed = open_files(connections);
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= needed) {
        return connections;
    }
    let reachable = now.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(reachable),
            maximum: now.maximum,
        },
    );
    let allowed = if raised.is_ok() {
        reachable
    } else {
        now.current.unwrap_or(reachable)
    };
    let places = fitting(connections, allowed);
    if places < connections {
        let message = "few open files are allowed, so that fewer connections than max-connections \
            have a place; raise the limit (ulimit -n)";
        let line = log
            .line(Level::Warning, message)
            .number("allowed", allowed)
            .number("needed", needed);
        log.send(line.number("connections", places as u64));
    }
    places
}
