//! `cetusguard serve`: from a checked configuration to a drained end.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::backend::Backend;
use crate::config::meant::Config;
use crate::flow::{Bound, Listeners, Proxy, bind};
use crate::log::{Level, Log};
use crate::memory::Memory;
use crate::wire;

/// How often idle connections to the engine are looked through, and memory that nobody needs any more.
const SWEEP: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT, then drains.
pub(super) fn run(config: Config, warnings: &[String]) -> Result<(), String> {
    let (log, writer) = Log::start(config.log).map_err(|error| format!("cannot start the log's thread: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the event loop: {error}"))?;
    for warning in warnings {
        log.say(Level::Warning, warning);
    }
    let result = runtime.block_on(serve(config, log));
    // Requests that outlived the drain end here, and write their records.
    runtime.shutdown_timeout(Duration::from_millis(100));
    writer.join();
    result
}

async fn serve(config: Config, log: Log) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    raise_file_limit(config.limits.connections, &log);
    let (sockets, warnings) = bind(&config.frontends).map_err(|errors| errors.join("\ncetusguard: "))?;
    announce(&config, &sockets, &warnings, &log);

    let (stop, stopping) = watch::channel(false);
    let (alive, mut ended) = mpsc::channel(1);
    let backend = Backend::new(config.backend, config.backend_tls, config.limits.connect);
    let proxy =
        Arc::new(Proxy { backend, profiles: config.profiles, limits: config.limits, log: log.clone(), stopping });
    Listeners::new(sockets).run(&proxy, &alive);
    drop(alive);

    let mut memory = Memory::default();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = sweep.tick() => {
                proxy.backend.sweep();
                memory.look(wire::connections(), wire::peak_connections());
            }
        }
    };
    log.send(log.line(Level::Info, "stopping: requests may finish, streams end").text("signal", asked));
    // Nobody listening is no reason not to stop.
    let _ = stop.send(true);
    tokio::select! {
        drained = timeout(config.limits.drain, ended.recv()) => match drained {
            Ok(_) => log.say(Level::Info, "stopped"),
            Err(_) => log.say(Level::Warning, "stopped with requests still running: drain-timeout is over"),
        },
        _ = terminate.recv() => log.say(Level::Warning, "stopped with requests still running: asked twice"),
        _ = interrupt.recv() => log.say(Level::Warning, "stopped with requests still running: asked twice"),
    }
    Ok(())
}

fn announce(config: &Config, sockets: &[Bound], warnings: &[String], log: &Log) {
    for warning in warnings {
        log.say(Level::Warning, warning);
    }
    for profile in config.profiles.all() {
        for rule in profile.rules.rules() {
            let line = log.line(Level::Debug, "rule").text("profile", &profile.name);
            log.send(line.text("position", &rule.position.to_string()).text("rule", rule.text()));
        }
    }
    let line = log.line(Level::Info, "starting").text("version", env!("CARGO_PKG_VERSION"));
    let rules = config.profiles.all().map(|profile| profile.rules.rules().len() as u64).sum();
    log.send(line.text("backend", &config.backend.to_string()).number("rules", rules));
    // The default one is what the line above is about, where there is no other.
    for profile in config.profiles.all().skip(1) {
        let line = log.line(Level::Info, "profile").text("profile", &profile.name);
        log.send(line.number("rules", profile.rules.rules().len() as u64));
    }
    for bound in sockets {
        let tls = if bound.speaks_tls() { "on" } else { "off" };
        log.send(log.line(Level::Info, "listening").text("address", &bound.name).text("tls", tls));
    }
}

/// Every client may need two descriptors. The soft limit is often 1,024 for no better reason than `select`.
fn raise_file_limit(connections: usize, log: &Log) {
    let needed = 2 * connections as u64 + 128;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= needed) {
        return;
    }
    let reachable = now.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: now.maximum });
    if raised.is_err() || reachable < needed {
        let line = log
            .line(Level::Warning, "few open files are allowed: lower max-connections or raise the limit (ulimit -n)");
        log.send(line.number("allowed", reachable).number("needed", needed));
    }
}
