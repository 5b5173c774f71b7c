//! The settings of the log.

use std::fmt;
use std::path::PathBuf;

/// The severity of a record: syslog's numbers (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are syslog's")]
pub enum Level {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

const NAMES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

impl Level {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// Reads a number from 0 to 7, or a name.
    ///
    /// # Errors
    /// Returns the values that were expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let name = match lower.as_str() {
            "error" => "err",
            "warn" => "warning",
            "critical" => "crit",
            "emergency" => "emerg",
            other => other,
        };
        let index = NAMES
            .iter()
            .position(|known| *known == name)
            .or_else(|| name.parse().ok());
        let level = index.and_then(|index| Self::ALL.get(index)).copied();
        level.ok_or_else(|| {
            "expected a number from 0 to 7, or one of emerg, alert, crit, err, warning, notice, \
            info, debug"
                .to_owned()
        })
    }

    /// The name as it stands in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Returns the beginning of a line of this level, as journald reads it (sd-daemon(3)).
    #[must_use]
    pub const fn priority(self) -> &'static str {
        match self {
            Self::Emergency => "<0>",
            Self::Alert => "<1>",
            Self::Critical => "<2>",
            Self::Error => "<3>",
            Self::Warning => "<4>",
            Self::Notice => "<5>",
            Self::Info => "<6>",
            Self::Debug => "<7>",
        }
    }
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value key="a value"`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Reads the name of a format.
    ///
    /// # Errors
    /// Returns the values that were expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err("expected logfmt or json".to_owned()),
        }
    }
}

/// The lines that begin with their priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriorityPrefix {
    /// If the log goes to journald.
    Auto,
    /// All of them.
    Always,
    /// None.
    Never,
}

impl PriorityPrefix {
    /// Reads the word of an option.
    ///
    /// # Errors
    /// Returns the values that were expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("expected auto, always or never".to_owned()),
        }
    }
}

/// The settings of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The least important level that is written.
    pub level: Level,
    /// The shape of a line.
    pub format: Format,
    /// The lines that begin with their priority.
    pub priority: PriorityPrefix,
    /// The place of the audit log, if there is one.
    pub audit: Option<AuditTarget>,
    /// Standard output is for something else: lines go to standard error.
    pub aside: bool,
}

/// The place of the audit log, as `audit-log` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Among the lines of the log, on standard output.
    Stdout,
    /// A file, which gets lines at its end.
    File(PathBuf),
    /// A Unix stream socket on which a collector listens.
    Socket(PathBuf),
}

impl AuditTarget {
    /// Reads the place of the audit log.
    ///
    /// # Errors
    /// Returns what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_path = |path: &str| path.starts_with('/') && !path.ends_with('/');
        match text.strip_prefix("unix://") {
            Some(path) if is_path(path) => Ok(Self::Socket(path.into())),
            None if text == "stdout" => Ok(Self::Stdout),
            None if is_path(text) => Ok(Self::File(text.into())),
            _ => Err(
                "expected stdout, the absolute path of a file, or unix:///PATH for a socket"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_by_number_and_name() {
        for (text, want) in [
            ("0", Level::Emergency),
            ("7", Level::Debug),
            ("warning", Level::Warning),
            ("WARN", Level::Warning),
            ("error", Level::Error),
        ] {
            assert_eq!(Level::parse(text), Ok(want));
        }
        for text in ["8", "-1", "", "loud"] {
            assert!(Level::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_read_and_written() {
        for (text, want) in [
            ("stdout", AuditTarget::Stdout),
            (
                "/var/log/a b.json",
                AuditTarget::File("/var/log/a b.json".into()),
            ),
            (
                "unix:///run/x.sock",
                AuditTarget::Socket("/run/x.sock".into()),
            ),
        ] {
            assert_eq!(AuditTarget::parse(text), Ok(want.clone()));
            assert_eq!(want.to_string(), text);
        }
        for text in [
            "",
            "stderr",
            "file",
            "log/x",
            "unix://x",
            "unix:///",
            "/var/log/",
            "tcp://x:1",
        ] {
            assert!(AuditTarget::parse(text).is_err(), "{text}");
        }
    }
}
