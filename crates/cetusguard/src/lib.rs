//! Cetusguard: a filtering proxy in front of a container engine's API socket.
//!
//! The library is the program; it exists so that tests can reach the tables from which help and
//! documentation are made.

pub mod admin;
mod advice;
mod backend;
mod browser;
mod budget;
mod capacity;
mod certificate;
pub mod command;
mod config;
mod engine;
mod event_loops;
mod failed_handshakes;
mod flow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lessons;
mod limiter;
mod live;
mod log;
mod memory;
mod metrics;
mod name_holds;
mod outcome;
mod quotas;
mod reaper;
mod refusal;
mod reload;
mod request_id;
mod serve;
mod service_manager;
mod shares;
mod shown_certificates;
mod tallies;
mod tls;
mod trace_context;
mod worker;
