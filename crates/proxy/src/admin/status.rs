//! The history of the configuration: when it was loaded, how the last reload ended, and the
//! warnings about it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::access::admit_the_same;
use crate::advice::CheckWarning;
use crate::config::AdminAccess;

/// The history of the configuration of a running proxy.
#[derive(Debug)]
pub(crate) struct Status {
    state: Mutex<ConfigurationHistory>,
    /// The conditions that clients of the admin listener must meet. Streams end when they change.
    access: watch::Sender<AdminAccess>,
}

/// The history at one moment.
#[derive(Clone, Debug)]
pub(super) struct ConfigurationHistory {
    /// The time at which the policy in force was loaded first. A reload of an equal one, after which
    /// another host would seem to have an old policy, does not count.
    pub(super) loaded: SystemTime,
    /// The last reload; `None` before the first.
    pub(super) last_reload: Option<LastReload>,
    /// Reloads that replaced the settings.
    pub(super) successes: u64,
    /// Reloads that left the settings as they were.
    pub(super) failures: u64,
    /// The warnings of `check` about the settings in force; `None` until they were checked.
    pub(super) warnings: Option<Vec<CheckWarning>>,
}

/// The last reload.
#[derive(Clone, Debug)]
pub(super) struct LastReload {
    /// Its time.
    pub(super) at: SystemTime,
    /// The event that caused it.
    pub(super) cause: &'static str,
    /// The mistakes because of which the old settings stay; none if it succeeded.
    pub(super) mistakes: Vec<String>,
}

impl Status {
    /// The history of a configuration that was loaded just now.
    pub(crate) fn new(access: AdminAccess) -> Self {
        Self {
            state: Mutex::new(ConfigurationHistory {
                loaded: SystemTime::now(),
                last_reload: None,
                successes: 0,
                failures: 0,
                warnings: None,
            }),
            access: watch::Sender::new(access),
        }
    }

    /// Notes a reload that replaced the settings, and the conditions of the new ones. `is_new` is
    /// `true` if the policy is another one than before.
    pub(crate) fn note_reload(&self, cause: &'static str, access: AdminAccess, is_new: bool) {
        let now = SystemTime::now();
        let mut state = self.lock();
        if is_new {
            state.loaded = now;
        }
        state.successes += 1;
        state.warnings = None;
        state.last_reload = Some(LastReload {
            at: now,
            cause,
            mistakes: Vec::new(),
        });
        drop(state);
        self.access.send_if_modified(|current| {
            let is_new = !admit_the_same(current, &access);
            // A renewed certificate is used, and ends no stream.
            *current = access;
            is_new
        });
    }

    /// Notes a reload that failed because of mistakes.
    pub(crate) fn note_failed_reload(&self, cause: &'static str, mistakes: Vec<String>) {
        let mut state = self.lock();
        state.failures += 1;
        state.last_reload = Some(LastReload {
            at: SystemTime::now(),
            cause,
            mistakes,
        });
    }

    /// Notes the warnings about the settings in force.
    pub(crate) fn note_warnings(&self, warnings: Vec<CheckWarning>) {
        self.lock().warnings = Some(warnings);
    }

    /// Returns the conditions that clients of the admin listener must meet now, and their changes.
    pub(super) fn access(&self) -> watch::Receiver<AdminAccess> {
        self.access.subscribe()
    }

    /// Returns the history as it is now.
    pub(super) fn read(&self) -> ConfigurationHistory {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ConfigurationHistory> {
        // Nothing is done under the lock that could leave half a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastReload {
    /// Returns whether the settings were replaced.
    pub(super) fn is_success(&self) -> bool {
        self.mistakes.is_empty()
    }
}
