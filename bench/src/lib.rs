//! What Cetusguard costs, beside what a user would pick instead.
//!
//! The deciding figures are counts: system calls, instructions, allocations, memory. Times are
//! shown as a ratio of medians of runs that take turns, because the machines that run this are
//! noisy.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a tool: it waits, reads /proc, and prints"
)]

pub mod attack;
pub mod cgroup;
pub mod check;
pub mod client;
pub mod compare;
pub mod contender;
pub mod count;
pub mod engine;
pub mod fairness;
pub mod frontend;
pub mod load;
pub mod objects;
pub mod process;
pub mod report;
pub mod rule_sets;
pub mod stalled;
pub mod victim;
pub mod views;

/// What went wrong, for a person to read.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
