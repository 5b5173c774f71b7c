//! A call that the rules do not allow: the reason, and the rules that would allow it.

use std::fmt;
use std::sync::Arc;

use crate::advice::buildkit::{BUILD_RULES, BuildStep};
use crate::advice::exec;
use crate::decide::{Permit, Verdict, shortened};
use crate::endpoint::{EndpointId, ObjectKind};
use crate::identity::profile::Profile;
use crate::object::Object;
use crate::request::call::Call;
use crate::rule::Rule;

/// A call that the rules do not allow.
#[derive(Debug)]
pub struct Denial {
    /// The call.
    pub call: Call,
    /// The reason of the refusal.
    pub reason: DenialReason,
    pub(crate) profile: String,
    /// `true` if rules can open the channels of BuildKit for this client.
    pub(crate) can_build: bool,
    /// `true` if no rule would let the call pass under a guard that judges nothing.
    pub(crate) needs_rule: bool,
    /// The endpoint of the other half of a command in a container, if no rule opens it.
    pub(crate) missing_half: Option<EndpointId>,
    /// `true` if the client has its profile because no other profile matches it.
    pub(crate) is_unmatched: bool,
}

/// The reason why the rules refuse a call.
#[derive(Debug)]
pub enum DenialReason {
    /// No rule matches method and path.
    NoRule,
    /// The rule denies the call; allow rules do not change that.
    Denied {
        /// The first such rule.
        rule: Arc<Rule>,
    },
    /// The rule matches, by a wildcard, an endpoint that only a rule that names it opens.
    Vault {
        /// The first such rule.
        rule: Arc<Rule>,
    },
    /// The rule matches, by a wildcard, a path that no known engine serves.
    Unknown {
        /// The first such rule.
        rule: Arc<Rule>,
    },
    /// The rule matches, by a wildcard, a call whose body the guard cannot inspect.
    Unread {
        /// The rule.
        rule: Arc<Rule>,
    },
    /// The clients of the profile see a part of the engine, and this call goes beyond it.
    BeyondView {
        /// The reason.
        why: &'static str,
    },
    /// The guard refuses such calls of every client under any rules.
    Closed {
        /// The reason.
        why: &'static str,
    },
}

/// The kinds of [`DenialReason`], without the rule or the sentence that belongs to one denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenialKind {
    /// No rule matches method and path.
    NoRule,
    /// A `DENY` rule matches.
    DenyRule,
    /// Only a wildcard matches an endpoint that a rule has to name.
    Wildcard,
    /// Only a wildcard matches a path that no known engine serves.
    UnknownEndpoint,
    /// Only a wildcard matches a call whose body the guard cannot inspect.
    UninspectedBody,
    /// The guard rejects every call of this endpoint.
    ClosedEndpoint,
    /// The call goes beyond the part of the engine that the profile sees.
    BeyondView,
}

impl DenialKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::NoRule,
        Self::DenyRule,
        Self::Wildcard,
        Self::UnknownEndpoint,
        Self::UninspectedBody,
        Self::ClosedEndpoint,
        Self::BeyondView,
    ];

    /// Returns the word that stands for the kind in the log, in `check` and in `migrate`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::DenyRule => "deny_rule",
            Self::Wildcard => "wildcard",
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::UninspectedBody => "uninspected_body",
            Self::ClosedEndpoint => "closed_endpoint",
            Self::BeyondView => "beyond_view",
        }
    }

    /// Returns whether adding an allow rule that names the endpoint lets the call pass.
    #[must_use]
    pub const fn is_mended_by_rule(self) -> bool {
        match self {
            Self::NoRule | Self::Wildcard | Self::UnknownEndpoint | Self::UninspectedBody => true,
            Self::DenyRule | Self::ClosedEndpoint | Self::BeyondView => false,
        }
    }
}

impl DenialReason {
    /// Returns the kind of the reason.
    #[must_use]
    pub const fn kind(&self) -> DenialKind {
        match self {
            Self::NoRule => DenialKind::NoRule,
            Self::Denied { .. } => DenialKind::DenyRule,
            Self::Vault { .. } => DenialKind::Wildcard,
            Self::Unknown { .. } => DenialKind::UnknownEndpoint,
            Self::Unread { .. } => DenialKind::UninspectedBody,
            Self::Closed { .. } => DenialKind::ClosedEndpoint,
            Self::BeyondView { .. } => DenialKind::BeyondView,
        }
    }
}

impl fmt::Display for Denial {
    /// Writes the refused call, the rule that refuses it, and the line that would allow it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            reason,
            profile,
            ..
        } = self;
        let (method, path) = (call.method(), shortened(call.path()));
        match reason {
            DenialReason::NoRule => {
                write!(f, "no rule of profile {profile} allows {method} {path}")?;
                // The rule to add would open the call for every client that no profile matches.
                if self.is_unmatched {
                    f.write_str(
                        "; this client has that profile because no other profile matches it, and \
                        cetusguard explain --client shows which condition does not hold",
                    )?;
                }
            }
            DenialReason::Denied { rule } if let Some(part) = rule.denied_part(call) => {
                return write!(
                    f,
                    "the rule `{rule}` of profile {profile} denies {part}, which {method} {path} \
                    does as well, whatever other rules say; to allow it, take that rule out or \
                    narrow it"
                );
            }
            DenialReason::Denied { rule } => {
                return write!(
                    f,
                    "the rule `{rule}` of profile {profile} denies {method} {path}, whatever other \
                    rules say; to allow it, take that rule out or narrow it"
                );
            }
            DenialReason::Vault { rule } => write!(
                f,
                "{method} {path} hands over contents or a live channel, which the wildcard of the \
                rule `{rule}` does not open"
            )?,
            DenialReason::Unknown { rule } => {
                write!(
                    f,
                    "{method} {path} is no endpoint of a known engine, and the wildcard of the \
                    rule `{rule}` does not open it"
                )?;
            }
            DenialReason::Unread { rule } => write!(
                f,
                "the guard of profile {profile} cannot judge the body of {method} {path}, so the \
                wildcard of the rule `{rule}` does not open it"
            )?,
            DenialReason::BeyondView { why } => {
                return write!(
                    f,
                    "the view of profile {profile} does not include {method} {path}: {why}; a \
                    profile without visible, own and redact would allow it"
                );
            }
            DenialReason::Closed { why } => {
                write!(
                    f,
                    "the guard of profile {profile} refuses {method} {path} to every client: {why}"
                )?;
                return match self.call.rule_to_add().filter(|_| self.needs_rule) {
                    Some(rule) => write!(
                        f,
                        "; guard: privileged, with the rule `{rule}`, would allow it"
                    ),
                    None => f.write_str("; guard: privileged would allow it"),
                };
            }
        }
        match self.build_step() {
            Some(BuildStep::Channel) => f.write_str(
                "; docker build and docker buildx need both channels of BuildKit, and the guard \
                cannot see what builds ask for",
            )?,
            Some(BuildStep::Builder) => f.write_str(
                "; buildx asks for a builder of its own where POST /grpc or POST /session is \
                refused, and needs none where both are allowed",
            )?,
            None => {}
        }
        f.write_str(&Self::advice(&self.rules_to_add()))
    }
}

impl std::error::Error for Denial {}

impl Denial {
    /// Notes whether the client has its profile because no other profile matches it: then the
    /// refusal says that a condition of another profile may be wrong.
    #[must_use]
    pub fn of_unmatched_client(self, is_unmatched: bool) -> Self {
        Self {
            is_unmatched,
            ..self
        }
    }

    /// Returns the word by which the call names a container, if rules may know that container by
    /// its name: the word is an identifier or the first digits of one, and no rule names it.
    #[must_use]
    pub fn identifier(&self) -> Option<&str> {
        let captured = self
            .call
            .captured()
            .filter(|_| matches!(self.reason, DenialReason::NoRule))?;
        let is_id =
            captured.word.len() <= 64 && captured.word.bytes().all(|byte| byte.is_ascii_hexdigit());
        (captured.kind == ObjectKind::Container && is_id).then_some(captured.word)
    }

    /// Decides once more, by the name of the container. The permitted call has the full identifier,
    /// so that the judged container is the one that the engine acts on.
    pub fn decide_by_name(self, container: &Object, profile: &Profile) -> Verdict {
        if container.id.is_empty() {
            return Verdict::Deny(self);
        }
        let by_name = self.call.with_captured(&container.name);
        match Permit::by_name(&by_name, container, profile) {
            Verdict::Allow(permit) => Verdict::Allow(permit),
            Verdict::Deny(Denial {
                reason: reason @ DenialReason::Denied { .. },
                ..
            }) => Verdict::Deny(Self { reason, ..self }),
            Verdict::Deny(_) => Verdict::Deny(self),
        }
    }

    /// Returns the step of a build that the call is, if rules could let the build pass.
    fn build_step(&self) -> Option<BuildStep> {
        let step = BuildStep::of_call(&self.call)?;
        (self.can_build && !self.is_final()).then_some(step)
    }

    /// Returns the rules that would let the client do its work. A build needs two, whichever of its
    /// calls was refused; a command in a container is created by one call and started by another.
    #[must_use]
    pub fn rules_to_add(&self) -> Vec<String> {
        if self.build_step().is_some() {
            return BUILD_RULES.iter().map(ToString::to_string).collect();
        }
        let other = self.missing_half.filter(|_| !self.is_final());
        let mut rules: Vec<String> = self
            .rule_to_add()
            .into_iter()
            .chain(other.and_then(exec::rule_of))
            .collect();
        // The creation comes first.
        rules.sort();
        rules
    }

    /// Writes the end of a refusal that names the rules to add.
    #[must_use]
    pub fn advice(rules: &[String]) -> String {
        match rules {
            [] => "; no rule can open it".to_owned(),
            [rule] => format!("; to allow it, add the rule: {rule}"),
            rules => format!("; to allow it, add the rules: {}", rules.join(" and ")),
        }
    }

    /// Returns the narrowest rule that would allow the call on any object of its kind; `None` if no
    /// rule would.
    #[must_use]
    pub fn rule_to_add(&self) -> Option<String> {
        if self.is_final() {
            None
        } else {
            self.call.rule_to_add()
        }
    }

    /// Returns the same rule by the name of the endpoint.
    #[must_use]
    pub fn name_to_add(&self) -> Option<String> {
        if self.is_final() || self.build_step().is_some() || self.missing_half.is_some() {
            None
        } else {
            self.call.name_to_add()
        }
    }

    /// Returns whether no additional rule could allow the call.
    fn is_final(&self) -> bool {
        matches!(
            self.reason,
            DenialReason::Closed { .. }
                | DenialReason::BeyondView { .. }
                | DenialReason::Denied { .. }
        )
    }
}
