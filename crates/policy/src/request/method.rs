//! The methods of requests.

use std::fmt;

/// Methods that may reach an engine. `CONNECT` and `TRACE` are not among them on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
}

impl Method {
    /// Every method, in the order that messages list them.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Patch,
        Self::Options,
    ];

    /// Reads a method as engines do: byte for byte, upper case only (gorilla/mux `methodMatcher`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Returns the method as a request line has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
        }
    }

    /// Returns whether the method only reads, so that a second request does no harm (RFC 9110
    /// §9.2.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Methods(u8);

impl Methods {
    /// Every method.
    pub(crate) const ALL: Self = Self(u8::MAX);

    /// Adds one.
    pub(crate) fn add(&mut self, method: Method) {
        self.0 |= 1 << method as u8;
    }

    /// Returns whether the set has this method.
    pub(crate) fn contain(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }
}
