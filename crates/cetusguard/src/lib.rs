//! Cetusguard: a filtering proxy in front of a container engine's API socket.
//!
//! The library is the program; it exists so that tests can reach the tables from which help and
//! documentation are made. The server is the crate `cetusguard-proxy`.

pub mod command;
#[cfg(fuzzing)]
pub mod fuzzing;
