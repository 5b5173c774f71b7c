//! The filter of a reader of decisions, from the query of its request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::outcome::Reason;

/// The kind of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecisionKind {
    /// The request may go to the engine, and no error of the proxy's own took the answer's place.
    Allowed,
    /// Audit mode forwards the request although the profile refuses it.
    WouldDeny,
    /// The proxy answers with an error of its own.
    Refused,
    /// The request ended before it was decided.
    Undecided,
}

/// The properties of a decision that a filter compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilteredDecision<'d> {
    pub(crate) kind: DecisionKind,
    /// The reason in the log, if the record has one.
    pub(crate) reason: Option<Reason>,
    /// The name of the profile; empty if the client is not identified.
    pub(crate) profile: &'d str,
    /// The client as the log shows it: its address with its port, or its Unix user.
    pub(crate) peer: &'d str,
    /// The name of the client's container; empty if it is not known.
    pub(crate) container: &'d str,
    /// The common name of the client's certificate; empty if there is none.
    pub(crate) certificate: &'d str,
}

/// The decisions that a reader wants. Values of one parameter are alternatives; a decision must
/// fit every parameter that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecisionFilter {
    profiles: Vec<String>,
    clients: Vec<String>,
    kinds: Vec<DecisionKind>,
    reasons: Vec<Reason>,
}

impl DecisionFilter {
    /// Reads the query of a request: `profile`, `client`, `decision` and `reason`.
    ///
    /// # Errors
    /// Returns the mistake with the correct form.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "profile" => filter.profiles.push(value),
                "client" => filter.clients.push(value),
                "decision" => filter.kinds.push(parse_kind(&value)?),
                "reason" => filter.reasons.push(parse_reason(&value)?),
                _ => {
                    return Err(
                        "the query has an unknown parameter; the parameters are profile, client, \
                        decision and reason"
                            .to_owned(),
                    );
                }
            }
        }
        Ok(filter)
    }

    /// Returns whether the reader wants a decision.
    pub(crate) fn admits(&self, decision: &FilteredDecision<'_>) -> bool {
        let fits_reason = || {
            decision
                .reason
                .is_some_and(|reason| self.reasons.contains(&reason))
        };
        let fits_client = || {
            self.clients
                .iter()
                .any(|client| is_client(client, decision))
        };
        (self.kinds.is_empty() || self.kinds.contains(&decision.kind))
            && (self.reasons.is_empty() || fits_reason())
            && (self.profiles.is_empty()
                || self.profiles.iter().any(|name| name == decision.profile))
            && (self.clients.is_empty() || fits_client())
    }
}

/// Returns whether a word names the client of a decision: the name of its container or of its
/// certificate, its address with or without the port, or its Unix user with or without the rest.
fn is_client(word: &str, decision: &FilteredDecision<'_>) -> bool {
    if word.is_empty() {
        return false;
    }
    let peer = decision.peer;
    let is_part = |separator| {
        peer.strip_prefix(word)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
    };
    let is_peer = if peer.starts_with("unix") {
        is_part(',')
    } else {
        let (address, _) = peer.rsplit_once(':').unwrap_or((peer, ""));
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        [peer, address, bare].contains(&word)
    };
    is_peer || [decision.container, decision.certificate].contains(&word)
}

fn parse_kind(word: &str) -> Result<DecisionKind, String> {
    match word {
        "allowed" => Ok(DecisionKind::Allowed),
        "would_deny" => Ok(DecisionKind::WouldDeny),
        "refused" => Ok(DecisionKind::Refused),
        _ => Err("decision is one of allowed, would_deny and refused".to_owned()),
    }
}

fn parse_reason(word: &str) -> Result<Reason, String> {
    Reason::parse(word)
        .ok_or_else(|| "reason is a word of the key reason in the log, such as no_rule".to_owned())
}

/// Decodes a value of a query (URL Standard, application/x-www-form-urlencoded).
fn decode(value: &str) -> Result<String, String> {
    let value = value.replace('+', " ");
    percent_decode_str(&value)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| "a value of the query is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: FilteredDecision<'_> = FilteredDecision {
        kind: DecisionKind::Refused,
        reason: Some(Reason::Guard),
        profile: "ci jobs",
        peer: "172.18.0.5:40312",
        container: "runner",
        certificate: "",
    };

    #[test]
    fn filters_compare_every_parameter() {
        for (query, want) in [
            ("", true),
            ("&", true),
            ("profile=ci+jobs", true),
            ("profile=ci%20jobs", true),
            ("profile=ci", false),
            ("profile=", false),
            ("profile=other&profile=ci+jobs", true),
            ("decision=refused", true),
            ("decision=allowed", false),
            ("decision=allowed&decision=refused", true),
            ("reason=guard", true),
            ("reason=no_rule", false),
            ("client=172.18.0.5", true),
            ("client=172.18.0.5%3A40312", true),
            ("client=172.18.0", false),
            ("client=runner", true),
            ("client=", false),
            ("client=runner&decision=allowed", false),
            ("profile=ci+jobs&client=runner&reason=guard", true),
        ] {
            let filter = DecisionFilter::parse(query).expect(query);
            assert_eq!(filter.admits(&REFUSED), want, "{query}");
        }
    }

    #[test]
    fn clients_are_named_by_every_part_of_their_peer() {
        for (peer, word, want) in [
            ("[fd00::5]:40312", "fd00::5", true),
            ("[fd00::5]:40312", "[fd00::5]", true),
            ("[fd00::5]:40312", "fd00", false),
            ("unix:uid=0,gid=0,pid=12", "unix:uid=0", true),
            ("unix:uid=0,gid=0,pid=12", "unix:uid=0,gid=0", true),
            ("unix:uid=10,gid=0,pid=12", "unix:uid=1", false),
            ("unix", "unix", true),
        ] {
            let decision = FilteredDecision { peer, ..REFUSED };
            assert_eq!(is_client(word, &decision), want, "{word} {peer}");
        }
    }

    #[test]
    fn a_decision_without_a_reason_fits_no_reason() {
        let filter = DecisionFilter::parse("reason=guard").expect("a filter");
        let allowed = FilteredDecision {
            kind: DecisionKind::Allowed,
            reason: None,
            ..REFUSED
        };
        assert!(!filter.admits(&allowed));
    }

    #[test]
    fn mistakes_in_the_query_are_told() {
        for (query, want) in [
            ("profiles=x", "unknown parameter"),
            ("decision=denied", "one of allowed"),
            ("reason=because", "a word of the key reason"),
            ("client=%ff", "not UTF-8"),
        ] {
            let mistake = DecisionFilter::parse(query).expect_err(query);
            assert!(mistake.contains(want), "{mistake}");
        }
    }
}
