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

mod buildkit;
mod call;
mod client;
mod decide;
mod denial;
pub mod endpoint;
mod excerpt;
mod exec;
pub mod guard;
mod learning;
mod limit;
mod list;
mod malformed;
mod method;
mod object;
mod pattern;
mod pending;
mod plain;
mod preset;
mod profile;
mod replacement;
pub mod rule;
mod suggestion;
mod survey;
mod target;
mod trace;
mod transport;
mod view;

pub use buildkit::BUILD_RULES;
pub use call::{Call, Malformed, Version};
pub use client::{
    COMPOSE_PROJECT, COMPOSE_SERVICE, Certificate, Condition, Container, Kind, Principal, Selector,
    Subject,
};
pub use decide::{Ground, Permit, Verdict, decide};
pub use denial::{Denial, DenialKind, Reason};
pub use excerpt::{Excerpt, carets_below};
pub use exec::exec_rule_beside;
pub use learning::Lesson;
pub use limit::{Limits, Rate};
pub use list::{list_value, split_list};
pub use method::Method;
pub use object::{Detail, Object, Traits};
pub use pattern::Pattern;
pub use preset::Preset;
pub use profile::{Ambiguous, Mode, Profile, Profiles};
pub use survey::{
    CallChange, Care, Closed, Denied, Difference, Open, Survey, Surveyor, Witness, rule_reaches,
    survey,
};
pub use target::{TargetCondition, Targets};
pub use trace::{Attempt, Tried, trace};
pub use view::{
    AnswerFilter, Lookup, Owner, Ownership, Redaction, Scope, ScopeCondition, SessionSource,
    Unfilterable, View, Viewer,
};
