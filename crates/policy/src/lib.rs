//! The policy: decides which calls of a container engine's API a client may make.
//!
//! The modules follow the way of a request: a [`Principal`] has a [`Profile`]; a raw request line
//! becomes a [`Call`], the call is looked up in the table of [`endpoint`]s, and [`decide()`]
//! compares it with the rules of the profile. The result is a [`Permit`] or a [`Denial`]; only the
//! decision can make either, so a permit is proof that the rules were asked. The [`guard`] may
//! still have to judge query and body.
//!
//! Nothing here opens a socket, reads a file or asks for the time: the same input always gets the
//! same answer.

#![forbid(unsafe_code)]

mod advice;
mod analysis;
mod decide;
mod denial;
pub mod endpoint;
pub mod guard;
mod identity;
mod object;
mod pending;
mod replacement;
mod request;
pub mod rule;
mod text;
mod view;

pub use advice::buildkit::BUILD_RULES;
pub use advice::exec::exec_rule_beside;
pub use analysis::learning::Lesson;
pub use analysis::survey::{
    CallChange, Care, Closed, Denied, Difference, Open, Survey, Surveyor, Witness, rule_reaches,
    survey,
};
pub use analysis::trace::{Attempt, Tried, trace};
pub use decide::{Ground, Permit, Verdict, decide};
pub use denial::{Denial, DenialKind, DenialReason};
pub use identity::client::{
    COMPOSE_PROJECT, COMPOSE_SERVICE, Certificate, Condition, Container, FactKind, LimitSubject,
    Principal, Selector,
};
pub use identity::limit::{ClientLimits, Rate};
pub use identity::preset::Preset;
pub use identity::profile::{Ambiguous, Mode, Profile, Profiles};
pub use identity::target::{TargetCondition, Targets};
pub use object::{Detail, Object, Traits};
pub use request::call::{Call, Malformed, Version};
pub use request::method::Method;
pub use text::excerpt::{Excerpt, carets_below};
pub use text::list::{list_value, split_list};
pub use text::pattern::Pattern;
pub use view::{
    AnswerFilter, Lookup, Owner, Ownership, Redaction, Scope, ScopeCondition, SessionSource,
    Unfilterable, View, Viewer,
};
