//! The process: its event loops, its memory, and the service manager that started it.

pub(crate) mod capacity;
pub(crate) mod event_loops;
pub(crate) mod host_paths;
pub(crate) mod memory;
pub(crate) mod service_manager;
pub(crate) mod worker;
