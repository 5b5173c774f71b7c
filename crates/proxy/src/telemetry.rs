//! Telemetry: the log, the counters, the lessons and the live state, which the record of each request
//! feeds.

pub(crate) mod lessons;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod request_id;
pub(crate) mod tallies;
pub(crate) mod trace_context;
