//! The guard's objections to a call, and the exceptions that would let it pass.

use std::collections::BTreeSet;
use std::fmt;

use super::MalformedJson;

/// A value in a body or a query that the guard does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place of the value: `HostConfig.Binds[0]`, or `?networkmode` of a query.
    pub field: String,
    /// The problem, with a value that would be allowed if no exception can help.
    pub what: String,
    /// The exception that allows it, as a list of `guard-allow` has it.
    pub allow: Option<String>,
    /// Rules with which the client does not need the call at all.
    pub instead: &'static [&'static str],
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            what,
            allow,
            instead,
        } = self;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        f.write_str(what)?;
        match allow {
            Some(allow) => write!(f, "; allow it with guard-allow {allow}"),
            None if instead.is_empty() => Ok(()),
            None => write!(f, "; add the rules: {}", instead.join(" and ")),
        }
    }
}

impl std::error::Error for Finding {}

/// The reason why a judged call does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The body is not JSON that every reader reads alike.
    Malformed(MalformedJson),
    /// The content type is not the one by which the endpoint is judged.
    ContentType(&'static str),
    /// The values that are not allowed; at least one.
    Findings(Vec<Finding>),
    /// The reasons why a container could not be created again that the call would lose; at least
    /// one.
    Unrecreatable {
        /// The name of the container.
        container: String,
        /// The act that is prevented: `is not deleted`.
        prevented: &'static str,
        /// The findings in the settings of the container.
        findings: Vec<Finding>,
    },
}

impl Objection {
    /// Returns the findings, field by field; none if the body cannot be judged.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Findings(findings) | Self::Unrecreatable { findings, .. } => findings,
            Self::Malformed(_) | Self::ContentType(_) => &[],
        }
    }

    /// Returns the exceptions that would let the call pass, as far as any would; each once.
    #[must_use]
    pub fn exceptions(&self) -> BTreeSet<&str> {
        self.findings()
            .iter()
            .filter_map(|finding| finding.allow.as_deref())
            .collect()
    }

    /// Returns rules with which the client does not need the call at all.
    #[must_use]
    pub fn instead(&self) -> &'static [&'static str] {
        let findings = if let Self::Findings(findings) = self {
            findings.as_slice()
        } else {
            &[]
        };
        findings
            .iter()
            .map(|finding| finding.instead)
            .find(|rules| !rules.is_empty())
            .unwrap_or_default()
    }

    /// Returns a finding that no exception would let pass.
    #[must_use]
    pub fn hopeless(&self) -> Option<String> {
        match self {
            Self::Findings(findings) | Self::Unrecreatable { findings, .. } => {
                let hopeless =
                    |finding: &&Finding| finding.allow.is_none() && finding.instead.is_empty();
                findings.iter().find(hopeless).map(ToString::to_string)
            }
            Self::Malformed(_) | Self::ContentType(_) => Some(self.to_string()),
        }
    }

    /// Returns the first finding alone, with the number of the others.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        match self.findings() {
            [first, rest @ ..] if !rest.is_empty() => Some(format!(
                "{}{first} | and {} more",
                self.reason(),
                rest.len()
            )),
            _ => None,
        }
    }

    /// Returns the beginning of the refusal, before the findings.
    fn reason(&self) -> String {
        match self {
            Self::Unrecreatable {
                container,
                prevented,
                ..
            } => {
                format!(
                    "the container {container} {prevented}, because this client could not create \
                    it again: "
                )
            }
            _ => String::new(),
        }
    }
}

/// The number of findings that a message shows; a client can cause thousands.
const SHOWN: usize = 8;

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => {
                write!(f, "the body cannot be read in one way only: {malformed}")
            }
            Self::ContentType(expected) => {
                write!(f, "the body of this endpoint has to be {expected}")
            }
            Self::Findings(findings) | Self::Unrecreatable { findings, .. } => {
                f.write_str(&self.reason())?;
                for (index, finding) in findings.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{finding}", if index > 0 { " | " } else { "" })?;
                }
                match findings.len().saturating_sub(SHOWN) {
                    0 => {}
                    more => write!(f, " | and {more} more")?,
                }
                match self {
                    Self::Unrecreatable { .. } => {
                        f.write_str(" | to lose it all the same, set guard-recreation to off")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Objection {}
