//! The certificates that listeners show to clients, and when they expire.

use std::time::SystemTime;

use crate::config::Config;

/// A certificate that a listener shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The listener, in words.
    pub listener: String,
    /// The time at which the first certificate of the chain expires.
    pub expires: SystemTime,
}

/// Returns the certificates of all listeners, as far as their ends can be read.
pub fn shown_certificates(config: &Config) -> Vec<ShownCertificate> {
    let frontends = config.frontends.iter().map(|frontend| {
        let name = format!("the frontend {}", frontend.address);
        (name, frontend.tls.as_ref())
    });
    let admin = config.admin.iter().map(|admin| {
        let name = format!("the admin listener {}", admin.address);
        (name, admin.access.tls.as_ref())
    });
    let shown = frontends.chain(admin).filter_map(|(listener, tls)| {
        let expires = tls?.expires?;
        Some(ShownCertificate { listener, expires })
    });
    shown.collect()
}
