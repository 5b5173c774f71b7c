//! The server of Cetusguard as a library: it accepts connections, decides on requests, and passes
//! the allowed ones on to the engine.
//!
//! [`serve`] is the program's way in. The other items are what its commands share with the server: the
//! configuration with its TLS settings, requests to the engine, and the words for the ways in which a
//! request ends.

mod admin;
mod advice;
mod backend;
mod browser;
mod budget;
mod capacity;
mod certificate;
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

pub use admin::{hash_policy, metrics_reference};
pub use advice::{Check, CheckInput, CheckWarning};
pub use backend::{Backend, Unreachable, tls_error};
pub use budget::BODY_LIMIT;
pub use config::{AdminAccess, AdminSettings, Config, Frontend, Loaded};
pub use engine::{
    Asked, EngineVersion, Own, Owned, PROBE_PATIENCE, Trouble, UnusableEngine, fetch,
    inspection_target, list_owned, probe_engine, remove_owned,
};
pub use flow::{HEALTH_CHECK, admit_headers, owner_of, viewer_by_header};
pub use lessons::{Lessons, Seen, now};
pub use outcome::{Reason, RecordMessage, WOULD_DENY};
pub use refusal::{Guarded, Limited, Refusal, SIGNATURE, error_body};
pub use serve::{Learning, run as serve};
pub use shares::open_files;
pub use shown_certificates::{ShownCertificate, shown_certificates};
pub use tls::{FrontendTls, Rustls, client_settings, pinned_client_settings};
