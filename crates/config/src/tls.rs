//! The TLS files of listeners and of connections to the engine, and the trait by which the server
//! makes its settings from them.
//!
//! The configuration knows which files belong together. Their content is read and understood by an
//! implementation of [`MakeTls`], while the configuration is read: so its mistakes are reported
//! with all others, and no file is loaded twice.

use std::fmt;

/// The TLS files of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenerFiles<'a> {
    /// The certificate with its chain.
    pub cert: &'a str,
    /// The key of the certificate.
    pub key: &'a str,
    /// The authorities that sign the certificates of clients, if clients have to show one.
    pub cacert: Option<&'a str>,
}

/// The TLS files of connections to the engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineFiles<'a> {
    /// The authorities that sign the engine's certificate.
    pub cacert: &'a str,
    /// The proxy's own certificate and its key, if the engine asks for one.
    pub own: Option<(&'a str, &'a str)>,
}

/// Makes TLS settings from files.
pub trait MakeTls: Clone + fmt::Debug {
    /// The settings of a listener.
    type Listener: ListenerTls;
    /// The settings of connections to the engine.
    type Engine: Clone + fmt::Debug;

    /// Makes the settings of a listener.
    ///
    /// # Errors
    /// The files cannot be read, or do not fit together.
    fn listener(files: ListenerFiles<'_>) -> Result<Self::Listener, WrongFiles>;

    /// Makes the settings of connections to the engine.
    ///
    /// # Errors
    /// The files cannot be read, or do not fit together.
    fn engine(files: EngineFiles<'_>) -> Result<Self::Engine, WrongFiles>;
}

/// The TLS settings of a listener.
pub trait ListenerTls: Clone + fmt::Debug {
    /// Returns whether clients have to show a certificate.
    fn asks_clients(&self) -> bool;
}

/// The reason why TLS files cannot be used, with the advice for the operator.
#[derive(Debug)]
pub struct WrongFiles {
    /// The fault.
    pub what: String,
    /// The correct form.
    pub fix: String,
}

impl WrongFiles {
    /// Makes an error with its advice.
    pub fn new(what: String, fix: impl Into<String>) -> Self {
        Self {
            what,
            fix: fix.into(),
        }
    }
}

impl fmt::Display for WrongFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl std::error::Error for WrongFiles {}
