//! What one class of client may do.

use crate::rule::RuleSet;

/// A named set of rights.
#[derive(Debug)]
pub struct Profile {
    /// The name that logs and refusals show.
    pub name: String,
    /// The endpoints that a client of this profile may call.
    pub rules: RuleSet,
}
