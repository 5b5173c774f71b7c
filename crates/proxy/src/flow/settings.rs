//! The settings that a reload replaces.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use std::sync::{Arc, PoisonError, RwLock};

use cetusguard_config::meant::Limits;
use cetusguard_policy::Profiles;

use crate::config::Config;
use crate::tls;

/// The part of the configuration that a reload replaces. A request keeps the settings with which it
/// began.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The rights of every client.
    pub(crate) profiles: Profiles,
    /// Bounds in time and size.
    pub(crate) limits: Limits,
    /// The TLS settings of each frontend that has TLS.
    pub(crate) tls: Vec<Option<tls::FrontendTls>>,
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        let tls = config
            .frontends
            .into_iter()
            .map(|frontend| frontend.tls)
            .collect();
        Self {
            profiles: config.profiles,
            limits: config.limits,
            tls,
        }
    }
}

/// The settings in force.
#[derive(Debug)]
pub(crate) struct InForce {
    settings: RwLock<Arc<Settings>>,
    /// The number of replacements so far. A connection compares it with the number that it saw, at
    /// the price of one load.
    generation: AtomicU64,
}

impl From<Settings> for InForce {
    fn from(settings: Settings) -> Self {
        Self {
            settings: RwLock::new(Arc::new(settings)),
            generation: AtomicU64::new(0),
        }
    }
}

impl InForce {
    /// The settings at this moment.
    pub(crate) fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bounds in time and size, as they are at this moment.
    pub(super) fn limits(&self) -> Limits {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .limits
    }

    /// The generation of the settings. Read it before the settings: they are then of this
    /// generation or of a later one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Replaces the settings for every request that begins from now on.
    pub(super) fn replace(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.generation.fetch_add(1, Release);
    }
}
