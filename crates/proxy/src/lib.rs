//! The server of Cetusguard as a library: it accepts connections, decides on requests, and passes
//! the allowed ones on to the engine.
//!
//! [`serve()`] is the program's way in. The other items are what its commands share with the server: the
//! configuration with its TLS settings, requests to the engine, and the words for the ways in which a
//! request ends.

mod admin;
mod advice;
mod browser;
mod config;
mod engine;
mod flow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
mod outcome;
mod reload;
mod runtime;
mod serve;
mod telemetry;
mod tls;

pub use admin::{hash_policy, metrics_reference};
pub use advice::{Check, CheckInput, CheckWarning};
pub use config::{AdminAccess, AdminSettings, Config, EngineSettings, Frontend, Loaded};
pub use engine::backend::{Backend, Unreachable, tls_error};
pub use engine::{
    EngineError, EngineVersion, MissingAnswer, ObjectAnswer, Own, Owned, PROBE_PATIENCE,
    UnusableEngine, fetch, inspection_target, list_owned, probe_engine, remove_owned,
};
pub use flow::{HEALTH_CHECK, admit_headers, owner_of, viewer_by_header};
pub use limits::budget::BODY_LIMIT;
pub use limits::shares::open_files;
pub use outcome::refusal::{Guarded, Limited, Refusal, SIGNATURE, error_body};
pub use outcome::{Reason, RecordMessage, WOULD_DENY};
pub use serve::{Learning, run as serve};
pub use telemetry::lessons::{Lessons, Seen, time_of_day};
pub use tls::shown_certificates::{ShownCertificate, shown_certificates};
pub use tls::{FrontendTls, Rustls, client_settings, pinned_client_settings};
