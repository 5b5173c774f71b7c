//! Cetusguard: a filtering proxy in front of a container engine's API socket.
//!
//! The library is the program; it exists so that tests can reach the tables from which help and documentation are made.

mod backend;
pub mod command;
pub mod config;
mod flow;
mod log;
mod memory;
mod refusal;
mod tls;
mod wire;
