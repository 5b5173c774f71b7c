//! HTTP/1.1 for a proxy that filters: heads, framing, bodies, and the streams that carry them.
//!
//! Request smuggling begins with heads and chunk sizes that two parsers read in different ways.
//! This crate rejects all of those, and the connection ends. It passes bytes on unchanged, and
//! knows nothing about endpoints or policy.

mod body;
mod head;
mod headers;
mod read_budget;
mod stream;
mod unix;

pub use body::{Body, Framing, PumpError, pump, read_content, send_head};
pub use head::{
    HeadError, RequestHead, ResponseHead, cut_head, parse_request_head, parse_response_head,
    read_request_head, read_response_head, request_framing, response_framing,
};
pub use headers::{Headers, Known};
pub use read_budget::ReadBudget;
pub use stream::{Duplex, Input, Output, SharedTcp};
