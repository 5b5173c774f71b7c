//! The warnings of `check` and the state of the engine in the log: at the start, and at a reload if
//! they are new.
//!
//! A survey of the rules takes a moment, and an engine may not answer: both happen beside the
//! requests, which do not wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cetusguard_policy::Profiles;

use crate::admin::Status;
use crate::config::{AdminSettings, Config};
use crate::engine::backend::Backend;
use crate::engine::{PROBE_PATIENCE, probe_engine};
use crate::flow::Proxy;
use crate::runtime::memory::give_back;
use crate::telemetry::log::{Level, Log};
use crate::tls::shown_certificates::{ShownCertificate, shown_certificates};

/// The parts of a configuration about which `check` may warn.
#[derive(Debug)]
pub struct CheckInput {
    /// Its profiles.
    pub profiles: Profiles,
    /// Warnings about unknown variables of the environment.
    pub unknown_variables: Vec<String>,
    /// Its admin listener.
    pub admin: Option<AdminSettings>,
    /// The certificates of its listeners.
    pub shown_certificates: Vec<ShownCertificate>,
}

impl CheckInput {
    /// Takes these parts of a configuration, and the warnings that its reading gave.
    pub fn new(config: &Config, unknown_variables: Vec<String>) -> Self {
        Self {
            profiles: config.profiles.clone(),
            unknown_variables,
            admin: config.admin.clone(),
            shown_certificates: shown_certificates(config),
        }
    }
}

/// A warning of `check`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckWarning {
    /// Its code.
    pub code: &'static str,
    /// The profile that it is about, if it is about one.
    pub profile: Option<String>,
    /// The finding.
    pub detail: String,
    /// The next step.
    pub hint: String,
}

/// Finds the warnings about a configuration. A survey of the rules may take seconds. It is passed in,
/// since the part that serves requests does not depend on the part that analyses rules.
pub type Check = fn(&CheckInput) -> Vec<CheckWarning>;

/// Logs the warnings of the configuration that is used.
#[derive(Debug)]
pub(crate) struct Adviser {
    check: Check,
    log: Log,
    /// The history of the configuration, which keeps the warnings.
    status: Arc<Status>,
    state: Arc<Mutex<AdviceState>>,
}

#[derive(Debug, Default)]
struct AdviceState {
    /// The warnings of the last configuration.
    told: BTreeSet<CheckWarning>,
    /// The configuration that is still to be looked at.
    next: Option<CheckInput>,
    /// Set while a thread looks at a configuration.
    is_busy: bool,
}

impl Adviser {
    /// Looks at the first configuration, and asks the engine once.
    pub(crate) fn begin(check: Check, configuration: CheckInput, proxy: &Proxy) -> Self {
        let log = &proxy.log;
        tokio::spawn(log_unusable_engine(Arc::clone(&proxy.backend), log.clone()));
        let adviser = Self {
            check,
            log: log.clone(),
            status: Arc::clone(&proxy.status),
            state: Arc::default(),
        };
        adviser.look_at(configuration);
        adviser
    }

    /// Checks a configuration on a thread of its own, and logs the warnings that the last one did
    /// not have. If several configurations wait, only the newest is checked.
    pub(crate) fn look_at(&self, configuration: CheckInput) {
        let mut state = lock_state(&self.state);
        state.next = Some(configuration);
        if std::mem::replace(&mut state.is_busy, true) {
            return;
        }
        drop(state);
        let (log, shared) = (self.log.clone(), Arc::clone(&self.state));
        let (check, status) = (self.check, Arc::clone(&self.status));
        let look = move || {
            // A survey of many rules takes seconds of a processor: requests go first. On Linux,
            // this is about the thread alone.
            let _ = rustix::process::nice(19);
            while let Some(next) = take_next(&shared) {
                let warnings = check(&next);
                log_new_warnings(&warnings, &shared, &log);
                status.note_warnings(warnings);
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

fn lock_state(state: &Mutex<AdviceState>) -> MutexGuard<'_, AdviceState> {
    // Nothing is done under the lock that could leave half a state.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the configuration that waits; without one, the thread is about to end.
fn take_next(state: &Mutex<AdviceState>) -> Option<CheckInput> {
    let mut state = lock_state(state);
    let next = state.next.take();
    state.is_busy = next.is_some();
    next
}

/// Logs the warnings that the last configuration did not have.
fn log_new_warnings(warnings: &[CheckWarning], state: &Mutex<AdviceState>, log: &Log) {
    let now: BTreeSet<CheckWarning> = warnings.iter().cloned().collect();
    let told = std::mem::replace(&mut lock_state(state).told, now);
    for warning in warnings.iter().filter(|warning| !told.contains(warning)) {
        let line = log
            .line(Level::Warning, "check warns of this configuration")
            .text("warning", warning.code);
        let line = line.maybe("profile", warning.profile.as_deref().unwrap_or_default());
        log.send(
            line.text("detail", &warning.detail)
                .text("hint", &warning.hint),
        );
    }
}

/// Asks the engine once, and logs why it cannot be used. It may start later than the proxy, which
/// goes on in any case.
async fn log_unusable_engine(backend: Arc<Backend>, log: Log) {
    let probed = probe_engine("cetusguard start", &backend, PROBE_PATIENCE).await;
    if let Err(unusable) = probed {
        let line = log
            .line(
                Level::Warning,
                "the engine cannot be reached, or answers as no engine does: requests fail until \
                it does",
            )
            .text("backend", &backend.address().to_string());
        log.send(
            line.text("detail", &unusable.problem)
                .text("hint", &unusable.fix),
        );
    }
}
