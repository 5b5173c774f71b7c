//! Listen: the sockets of the frontends, and the connections that arrive there.

mod accept;
mod gate;
mod inherited;
mod sockets;

pub(crate) use accept::{AcceptedStream, Arrival, Handler, Listeners};
pub(crate) use gate::{Gate, log_refused_connections};
pub(crate) use inherited::InheritedSockets;
pub(crate) use sockets::{Bound, bind};
