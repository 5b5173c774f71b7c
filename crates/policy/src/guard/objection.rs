//! What the guard has against a call, and what would let it pass.

use std::collections::BTreeSet;
use std::fmt;

use super::Malformed;

/// Something that a body or a query asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands: `HostConfig.Binds[0]`, or `?networkmode` of a query.
    pub field: String,
    /// What is wrong with it, and what would be right where nothing allows it.
    pub what: String,
    /// What allows it, as `guard-allow` has it.
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

/// Why a judged call does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The body is not JSON that every reader reads alike.
    Malformed(Malformed),
    /// The content type is not one that the endpoint is judged by.
    ContentType(&'static str),
    /// What it asks for; at least one.
    Findings(Vec<Finding>),
    /// What stands in the way of creating a container again that the call would lose; at least one.
    Unrecreatable {
        /// The name of the container.
        container: String,
        /// What does not happen to it: `is not deleted`.
        prevented: &'static str,
        /// What the guard objects to in its settings.
        findings: Vec<Finding>,
    },
}

impl Objection {
    /// What the guard objects to, field by field; nothing where the body cannot be judged.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Findings(findings) | Self::Unrecreatable { findings, .. } => findings,
            Self::Malformed(_) | Self::ContentType(_) => &[],
        }
    }

    /// The exceptions that would let the call pass, as far as any would; each once.
    #[must_use]
    pub fn exceptions(&self) -> BTreeSet<&str> {
        self.findings()
            .iter()
            .filter_map(|finding| finding.allow.as_deref())
            .collect()
    }

    /// Rules with which the client does not need the call at all.
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

    /// Something that no exception would let pass.
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

    /// The first of the findings alone, and how many more there are, where there are several.
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

    /// What a refusal says before the findings.
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

/// Findings that a message names; a client can ask for thousands.
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
