//! The identity of a client, and what its profile says beside the rules: limits, targets, presets.

pub(crate) mod client;
pub(crate) mod limit;
pub(crate) mod preset;
pub(crate) mod profile;
pub(crate) mod target;
