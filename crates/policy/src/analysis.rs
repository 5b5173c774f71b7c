//! Analysis of rules and calls for commands. Nothing that serves a request uses it, except that
//! a lesson is noted about a call under `learn`.

pub(crate) mod learning;
pub(crate) mod survey;
pub(crate) mod trace;
