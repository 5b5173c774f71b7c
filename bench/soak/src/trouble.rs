//! The ways in which a round of the load can fail.

use std::io;

/// Why a round has not ended as it should.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection ended early, or the proxy answered that the engine is unreachable: right
    /// while the engine restarts, and wrong otherwise.
    Cut(String),
    /// Wrong at any time.
    Wrong(String),
}

impl Trouble {
    /// Returns what happened, with the place where it did.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Self::Cut(why) => Self::Cut(format!("{place}: {why}")),
            Self::Wrong(why) => Self::Wrong(format!("{place}: {why}")),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A peer that is silent for so long has lost the exchange.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::Wrong("nothing moved within the patience".to_owned())
            }
            _ => Self::Cut(error.to_string()),
        }
    }
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}
