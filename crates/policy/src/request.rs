//! The request: its method and its target, read once for the rules and for the engine.

pub(crate) mod call;
pub(crate) mod malformed;
pub(crate) mod method;
pub(crate) mod transport;
