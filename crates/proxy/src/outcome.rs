//! Outcomes: every way in which a request can end, as one enum. Its reason, its message and its
//! record are exhaustive matches, so that a new outcome cannot be forgotten in one of them.

mod reason;
pub(crate) mod refusal;

use cetusguard_policy::Unfilterable;

use crate::outcome::refusal::Refusal;
use crate::telemetry::log::Level;
pub use reason::Reason;

/// The value of `decision` in a record about a request that audit mode forwarded although the
/// profile refuses it.
pub const WOULD_DENY: &str = "would_deny";

/// The way in which a request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The client received the complete answer of the engine.
    Served,
    /// The proxy answered with an error of its own.
    Refused(Refusal),
    /// The client closed the connection before the answer was complete.
    ClientDisconnected,
    /// The client read nothing of the answer for too long.
    ClientStalled,
    /// The request body became invalid after the answer had begun.
    MalformedBody,
    /// The engine broke off its answer, or broke its framing.
    EngineDisconnected,
    /// The engine's answer cannot be filtered, and a part of it was sent.
    UnfilterableAnswer(Unfilterable),
    /// The proxy shuts down.
    ShuttingDown,
    /// The frontend's certificate authorities have changed since the client connected.
    OutdatedCertificate,
    /// The task of the request panicked.
    Panicked,
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The progress of a request when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The call was not approved yet.
    Undecided,
    /// The proxy allowed the request.
    Allowed,
    /// The engine received the beginning of a request that can change something, and has not
    /// answered.
    Uncertain,
}

/// The message of a record about a request: `msg` in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordMessage {
    /// A stream or tunnel has begun; its other record follows at its end.
    StreamStarted,
    /// The request was allowed, and has ended.
    Allowed,
    /// The proxy refused the request.
    Refused,
    /// The request failed because of the engine or of the proxy.
    Failed,
    /// The request ended before it was decided.
    Abandoned,
    /// The proxy broke off a request that was partly forwarded.
    RequestCut,
    /// The answer broke off.
    AnswerCut,
}

impl RecordMessage {
    const ALL: [Self; 7] = [
        Self::StreamStarted,
        Self::Allowed,
        Self::Refused,
        Self::Failed,
        Self::Abandoned,
        Self::RequestCut,
        Self::AnswerCut,
    ];

    /// Returns the message.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::StreamStarted => "stream started",
            Self::Allowed => "request allowed",
            Self::Refused => "request refused",
            Self::Failed => "request failed",
            Self::Abandoned => "request abandoned",
            Self::RequestCut => "request cut",
            Self::AnswerCut => "answer cut",
        }
    }

    /// Reads the message of a log line.
    pub fn parse(message: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.text() == message)
    }
}

impl Outcome {
    /// Returns the reason; `None` if the client received the complete answer.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Served => None,
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::ClientDisconnected => Some(Reason::ClientDisconnected),
            Self::ClientStalled => Some(Reason::ClientStalled),
            Self::MalformedBody => Some(Reason::MalformedBody),
            Self::EngineDisconnected => Some(Reason::EngineDisconnected),
            Self::UnfilterableAnswer(_) => Some(Reason::UnfilterableAnswer),
            Self::ShuttingDown => Some(Reason::ShuttingDown),
            Self::OutdatedCertificate => Some(Reason::OutdatedCertificate),
            Self::Panicked => Some(Reason::Internal),
        }
    }

    /// Returns the level of the record.
    pub(crate) fn level(&self) -> Level {
        self.reason().map_or(Level::Debug, Reason::level)
    }

    /// Returns the message of the record.
    pub(crate) fn record_message(&self, progress: Progress) -> RecordMessage {
        match (self, progress) {
            (Self::EngineDisconnected | Self::UnfilterableAnswer(_) | Self::ClientStalled, _) => {
                RecordMessage::AnswerCut
            }
            (Self::MalformedBody | Self::OutdatedCertificate, _) => RecordMessage::RequestCut,
            (Self::Panicked, _) => RecordMessage::Failed,
            (Self::Refused(refusal), _) if refusal.reason().level() == Level::Error => {
                RecordMessage::Failed
            }
            (Self::Refused(_), Progress::Uncertain) => RecordMessage::RequestCut,
            (Self::Refused(_), Progress::Undecided | Progress::Allowed) => RecordMessage::Refused,
            (Self::Served | Self::ClientDisconnected | Self::ShuttingDown, Progress::Undecided) => {
                RecordMessage::Abandoned
            }
            (
                Self::Served | Self::ClientDisconnected | Self::ShuttingDown,
                Progress::Allowed | Progress::Uncertain,
            ) => RecordMessage::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_and_messages_are_unique_and_can_be_parsed() {
        let words: BTreeSet<_> = Reason::all().map(Reason::word).collect();
        assert_eq!(words.len(), Reason::all().count());
        for reason in Reason::all() {
            assert_eq!(Reason::parse(reason.word()), Some(reason));
        }
        let places: Vec<usize> = Reason::all().map(Reason::index).collect();
        assert_eq!(places, (0..Reason::COUNT).collect::<Vec<_>>());
        assert_eq!(Reason::parse("no such word"), None);
        assert_eq!(Reason::parse("unrecreatable"), Some(Reason::NotRecreatable));
        for message in RecordMessage::ALL {
            assert_eq!(RecordMessage::parse(message.text()), Some(message));
        }
    }

    #[test]
    fn faults_of_the_engine_are_errors() {
        for reason in Reason::all() {
            let is_named = reason.word().starts_with("engine_");
            assert!(!is_named || reason.is_engine_fault(), "{reason:?}");
            assert!(!reason.is_engine_fault() || reason.level() == Level::Error);
        }
    }

    #[test]
    fn only_outcomes_without_a_response_have_no_status() {
        let others = [
            Outcome::ClientDisconnected,
            Outcome::ClientStalled,
            Outcome::EngineDisconnected,
            Outcome::ShuttingDown,
            Outcome::OutdatedCertificate,
            Outcome::Panicked,
        ];
        let others: BTreeSet<_> = others.iter().filter_map(Outcome::reason).collect();
        let without_status = |reason: &Reason| reason.status().is_none();
        assert_eq!(
            Reason::all()
                .filter(without_status)
                .collect::<BTreeSet<_>>(),
            others
        );
    }

    #[test]
    fn troubleshooting_explains_every_reason_with_its_status() {
        let page = include_str!("../../../docs/troubleshooting.md");
        for reason in Reason::all() {
            let word = reason.word();
            let wanted = match reason.status() {
                Some(status) => format!("| {status} | `{word}` |"),
                None => format!("`reason={word}`"),
            };
            assert!(page.contains(&wanted), "no row with {wanted}");
        }
    }

    #[test]
    fn the_page_about_the_log_explains_every_message_and_level() {
        let page = include_str!("../../../docs/log.md");
        for message in RecordMessage::ALL {
            let row = format!("| `{}` | ", message.text());
            assert_eq!(page.matches(&row).count(), 1, "{row}");
        }
        for level in (0..8).map(|number| Level::parse(&number.to_string())) {
            let name = level.expect("a level").name();
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn the_message_follows_from_the_outcome_and_the_progress() {
        use Progress::{Allowed, Uncertain, Undecided};
        let malformed = || Outcome::Refused(Refusal::MalformedBody);
        let closed = || Outcome::Refused(Refusal::EngineClosed);
        for (outcome, progress, want) in [
            (Outcome::Served, Allowed, RecordMessage::Allowed),
            (
                Outcome::ClientDisconnected,
                Undecided,
                RecordMessage::Abandoned,
            ),
            (
                Outcome::ClientDisconnected,
                Uncertain,
                RecordMessage::Allowed,
            ),
            (Outcome::ShuttingDown, Undecided, RecordMessage::Abandoned),
            (malformed(), Undecided, RecordMessage::Refused),
            (malformed(), Allowed, RecordMessage::Refused),
            (malformed(), Uncertain, RecordMessage::RequestCut),
            (closed(), Uncertain, RecordMessage::Failed),
            (Outcome::MalformedBody, Allowed, RecordMessage::RequestCut),
            (
                Outcome::EngineDisconnected,
                Allowed,
                RecordMessage::AnswerCut,
            ),
            (Outcome::Panicked, Allowed, RecordMessage::Failed),
        ] {
            assert_eq!(
                outcome.record_message(progress),
                want,
                "{outcome:?} {progress:?}"
            );
        }
    }
}
