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
        let Self { field, what, allow, instead } = self;
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

/// Why a judged call does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The body is not JSON that every reader reads alike.
    Malformed(Malformed),
    /// The content type is not one that the endpoint is judged by.
    ContentType(&'static str),
    /// What it asks for; at least one.
    Findings(Vec<Finding>),
}

impl Objection {
    /// The exceptions that would let the call pass, as far as any would; each once.
    #[must_use]
    pub fn exceptions(&self) -> BTreeSet<&str> {
        let findings = if let Self::Findings(findings) = self { findings.as_slice() } else { &[] };
        findings.iter().filter_map(|finding| finding.allow.as_deref()).collect()
    }

    /// Rules with which the client does not need the call at all.
    #[must_use]
    pub fn instead(&self) -> &'static [&'static str] {
        let findings = if let Self::Findings(findings) = self { findings.as_slice() } else { &[] };
        findings.iter().map(|finding| finding.instead).find(|rules| !rules.is_empty()).unwrap_or_default()
    }

    /// Something that no exception would let pass.
    #[must_use]
    pub fn hopeless(&self) -> Option<String> {
        match self {
            Self::Findings(findings) => {
                let hopeless = |finding: &&Finding| finding.allow.is_none() && finding.instead.is_empty();
                findings.iter().find(hopeless).map(ToString::to_string)
            }
            Self::Malformed(_) | Self::ContentType(_) => Some(self.to_string()),
        }
    }

    /// The first of the findings alone, and how many more there are, where there are several.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        match self {
            Self::Findings(findings) if findings.len() > 1 => {
                Some(format!("{} | and {} more", findings[0], findings.len() - 1))
            }
            _ => None,
        }
    }
}

/// Findings that a message names; a client can ask for thousands.
const SHOWN: usize = 8;

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the body cannot be read in one way only: {malformed}"),
            Self::ContentType(expected) => write!(f, "the body of this endpoint has to be {expected}"),
            Self::Findings(findings) => {
                for (index, finding) in findings.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{finding}", if index > 0 { " | " } else { "" })?;
                }
                match findings.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " | and {more} more"),
                }
            }
        }
    }
}
