//! The configuration with the TLS settings of this program.

use crate::tls::Rustls;

/// The settings of a running instance.
pub type Config = cetusguard_config::meant::Config<Rustls>;
/// The settings for a command that asks the engine about the objects of one profile.
pub type EngineSettings = cetusguard_config::meant::EngineSettings<Rustls>;
/// An address on which the proxy listens.
pub type Frontend = cetusguard_config::meant::Frontend<Rustls>;
/// The settings of the admin listener.
pub type AdminSettings = cetusguard_config::admin::AdminSettings<Rustls>;
/// The conditions that clients of the admin listener must meet.
pub type AdminAccess = cetusguard_config::admin::AdminAccess<Rustls>;
/// A configuration that can be used.
pub type Loaded = cetusguard_config::Loaded<Rustls>;
