//! HTTP/1.1 on bytes: heads, the length of bodies, and the streams that carry them.
//!
//! Heads and chunk sizes are the smuggler's ground, so this module reads strictly: whatever two
//! readers could take for two things ends the connection. It decides nothing about endpoints.

mod body;
mod head;
mod headers;
mod read_budget;
mod stream;
mod unix;

pub(crate) use body::{Body, Framing, PumpError, pump, read_content, send_head};
pub(crate) use head::{
    HeadError, RequestHead, ResponseHead, read_request_head, read_response_head, request_framing,
    response_framing,
};
#[cfg(fuzzing)]
pub(crate) use head::{cut_head, parse_request_head, parse_response_head};
pub(crate) use headers::{Headers, Known};
pub(crate) use read_budget::ReadBudget;
pub(crate) use stream::{Duplex, Input, Output, SharedTcp};
