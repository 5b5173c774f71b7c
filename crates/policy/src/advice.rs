//! Advice in refusals: the rules that a client lacks, and those that go together.

pub(crate) mod buildkit;
pub(crate) mod exec;
pub(crate) mod suggestion;
