//! The live state of the proxy, for the admin listener: the decisions as they are made, and the
//! connections of clients.

mod decisions;
mod filter;

use std::sync::Arc;

use crate::flow::Roster;
pub(crate) use decisions::{Decisions, READERS, Subscription, SubscriptionEnd};
pub(crate) use filter::{DecisionFilter, DecisionKind, FilteredDecision};

/// The live state of a proxy that has an admin listener.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The readers of decisions.
    pub(crate) decisions: Arc<Decisions>,
    /// The connections of clients.
    pub(crate) roster: Arc<Roster>,
}
