//! Limits: the parts of common resources that one client may hold, and the calls under way that
//! count against a quota or hold a name.

pub(crate) mod budget;
pub(crate) mod known_limits;
pub(crate) mod limiter;
pub(crate) mod name_holds;
pub(crate) mod quotas;
pub(crate) mod shares;
pub(crate) mod turns;
