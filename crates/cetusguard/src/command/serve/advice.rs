//! The warnings of `check` and the state of the engine in the log: at the start, and at a reload if
//! they are new.
//!
//! A survey of the rules takes a moment, and an engine may not answer: both happen beside the
//! requests, which do not wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admin::{CheckWarning, Status};
use crate::backend::Backend;
use crate::command::check::{Problem, surveyed, warnings};
use crate::command::doctor::engine;
use crate::flow::Proxy;
use crate::log::{Level, Log};
use crate::memory::give_back;
use crate::reload::Reloaded;

/// Logs the warnings of the configuration that is used.
#[derive(Debug)]
pub(super) struct Adviser {
    log: Log,
    /// The history of the configuration, which keeps the warnings.
    status: Arc<Status>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The warnings of the last configuration.
    told: BTreeSet<Warning>,
    /// The configuration that is still to be looked at.
    next: Option<Reloaded>,
    /// Set while a thread looks at a configuration.
    is_busy: bool,
}

/// A warning, by its code, its profile and its text.
type Warning = (&'static str, Option<String>, String);

impl Adviser {
    /// Looks at the first configuration, and asks the engine once.
    pub(super) fn begin(configuration: Reloaded, proxy: &Proxy) -> Self {
        let log = &proxy.log;
        tokio::spawn(probe_engine(Arc::clone(&proxy.backend), log.clone()));
        let adviser = Self {
            log: log.clone(),
            status: Arc::clone(&proxy.status),
            state: Arc::default(),
        };
        adviser.look_at(configuration);
        adviser
    }

    /// Checks a configuration on a thread of its own, and logs the warnings that the last one did
    /// not have. If several configurations wait, only the newest is checked.
    pub(super) fn look_at(&self, configuration: Reloaded) {
        let mut state = lock_state(&self.state);
        state.next = Some(configuration);
        if std::mem::replace(&mut state.is_busy, true) {
            return;
        }
        drop(state);
        let (log, shared) = (self.log.clone(), Arc::clone(&self.state));
        let status = Arc::clone(&self.status);
        let look = move || {
            // A survey of many rules takes seconds of a processor: requests go first. On Linux,
            // this is about the thread alone.
            let _ = rustix::process::nice(19);
            while let Some(next) = take_next(&shared) {
                status.note_warnings(log_warnings(&next, &shared, &log));
                give_back();
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(look)
        {
            lock_state(&self.state).is_busy = false;
            let line = self.log.line(
                Level::Warning,
                "the configuration cannot be checked: no thread can be started",
            );
            self.log.send(
                line.text("detail", &error.to_string())
                    .text("hint", "run: cetusguard check"),
            );
        }
    }
}

fn lock_state(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing is done under the lock that could leave half a state.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the configuration that waits; without one, the thread is about to end.
fn take_next(state: &Mutex<State>) -> Option<Reloaded> {
    let mut state = lock_state(state);
    let next = state.next.take();
    state.is_busy = next.is_some();
    next
}

/// Checks a configuration, and logs the warnings that the last one did not have. Returns all.
fn log_warnings(configuration: &Reloaded, state: &Mutex<State>, log: &Log) -> Vec<CheckWarning> {
    // A profile that is learned has no rights of its own yet.
    let profiles = &configuration.profiles;
    let enforced = profiles.all().filter(|profile| !profile.is_learner());
    let (strangers, admin) = (&configuration.strangers, configuration.admin.as_ref());
    let shown = &configuration.shown_certificates;
    let found = warnings(strangers, profiles, &surveyed(enforced), admin, shown);
    let name = |problem: &Problem| (problem.code, problem.profile.clone(), problem.what.clone());
    let now: BTreeSet<Warning> = found.iter().map(name).collect();
    let told = std::mem::replace(&mut lock_state(state).told, now);
    for problem in found
        .iter()
        .filter(|problem| !told.contains(&name(problem)))
    {
        let line = log
            .line(Level::Warning, "check warns of this configuration")
            .text("warning", problem.code);
        let line = line.maybe("profile", problem.profile.as_deref().unwrap_or_default());
        log.send(
            line.text("detail", &problem.what)
                .text("hint", &problem.fix),
        );
    }
    let keep = |problem: Problem| CheckWarning {
        code: problem.code,
        profile: problem.profile,
        detail: problem.what,
        hint: problem.fix,
    };
    found.into_iter().map(keep).collect()
}

/// Asks the engine once, and logs why it cannot be used. It may start later than the proxy, which
/// goes on in any case.
async fn probe_engine(backend: Arc<Backend>, log: Log) {
    if let Err(finding) = engine::version("cetusguard start", &backend, engine::PATIENCE).await {
        let line = log
            .line(Level::Warning, "the engine cannot be used now")
            .text("backend", &backend.address().to_string());
        log.send(
            line.text("detail", &finding.what)
                .maybe("hint", finding.fix.as_deref().unwrap_or_default()),
        );
    }
}
