//! The metrics of one poll, and the rates between two.

use std::collections::BTreeMap;
use std::time::Instant;

/// The metrics that are shown.
#[derive(Clone, Debug)]
pub(super) struct ShownFigures {
    at: Instant,
    /// Requests that have ended since the start.
    requests: f64,
    /// Refusals since the start, by reason.
    refusals: BTreeMap<String, f64>,
    /// Refusals that audit mode did not enforce, since the start, by reason.
    unenforced: BTreeMap<String, f64>,
    /// Records of the audit log that were lost since the start.
    audit_lost: f64,
    /// Lines of the log that were lost since the start.
    log_lost: f64,
    /// The values of gauges, of all profiles together.
    gauges: BTreeMap<&'static str, f64>,
}

/// The gauges that are shown.
const GAUGES: [&str; 5] = [
    "cetusguard_streams",
    "cetusguard_connections",
    "cetusguard_connections_limit",
    "cetusguard_exchanges",
    "cetusguard_exchanges_limit",
];

/// Events a second between two polls.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: f64,
    /// By reason, without those that are zero: the highest rate first.
    pub(super) refusals: Vec<(String, f64)>,
    pub(super) unenforced: Vec<(String, f64)>,
}

impl ShownFigures {
    /// Reads the text format of Prometheus (version 0.0.4). Lines that are not understood belong to
    /// metrics that are not shown.
    pub(super) fn read(text: &str, at: Instant) -> Self {
        let mut figures = Self {
            at,
            requests: 0.0,
            refusals: BTreeMap::new(),
            unenforced: BTreeMap::new(),
            audit_lost: 0.0,
            log_lost: 0.0,
            gauges: BTreeMap::new(),
        };
        for sample in text.lines().filter_map(MetricSample::parse) {
            let reason = || sample.label("reason").unwrap_or_default().to_owned();
            match sample.name {
                "cetusguard_requests_total" => figures.requests += sample.value,
                "cetusguard_refusals_total" => {
                    *figures.refusals.entry(reason()).or_default() += sample.value;
                }
                "cetusguard_unenforced_refusals_total" => {
                    *figures.unenforced.entry(reason()).or_default() += sample.value;
                }
                "cetusguard_audit_records_lost_total" => figures.audit_lost += sample.value,
                "cetusguard_log_records_lost_total" => figures.log_lost += sample.value,
                name => {
                    if let Some(gauge) = GAUGES.into_iter().find(|gauge| *gauge == name) {
                        *figures.gauges.entry(gauge).or_default() += sample.value;
                    }
                }
            }
        }
        figures
    }

    /// Returns the number of records that the audit log has lost since the start.
    pub(super) fn audit_lost(&self) -> f64 {
        self.audit_lost
    }

    /// Returns the number of lines that the log has lost since the start.
    pub(super) fn log_lost(&self) -> f64 {
        self.log_lost
    }

    /// Returns the value of a gauge; `None` if it has no sample.
    pub(super) fn gauge(&self, name: &str) -> Option<f64> {
        self.gauges.get(name).copied()
    }

    /// Returns the rates since an earlier poll.
    pub(super) fn since(&self, earlier: &Self) -> Rates {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        if seconds <= 0.0 {
            return Rates::default();
        }
        let by_reason = |now: &BTreeMap<String, f64>, before: &BTreeMap<String, f64>| {
            let rate = |(reason, now): (&String, &f64)| {
                let before = before.get(reason).copied().unwrap_or_default();
                (reason.clone(), growth(*now, before) / seconds)
            };
            let mut rates: Vec<_> = now.iter().map(rate).filter(|(_, r)| *r > 0.0).collect();
            rates.sort_by(|(_, one), (_, other)| other.total_cmp(one));
            rates
        };
        Rates {
            requests: growth(self.requests, earlier.requests) / seconds,
            refusals: by_reason(&self.refusals, &earlier.refusals),
            unenforced: by_reason(&self.unenforced, &earlier.unenforced),
        }
    }
}

/// Returns the growth of a counter, which begins again at zero when the proxy is started again.
fn growth(now: f64, before: f64) -> f64 {
    if now < before { now } else { now - before }
}

/// A line of the text format.
#[derive(Debug)]
struct MetricSample<'t> {
    name: &'t str,
    labels: &'t str,
    value: f64,
}

impl<'t> MetricSample<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (name, value) = line.rsplit_once(' ')?;
        let (name, labels) = match name.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (name, ""),
        };
        let value: f64 = value.parse().ok()?;
        value.is_finite().then_some(Self {
            name,
            labels,
            value,
        })
    }

    /// Returns the value of a label that has no escape, as the words for reasons have none.
    fn label(&self, name: &str) -> Option<&'t str> {
        self.labels.split(',').find_map(|label| {
            let (key, value) = label.split_once('=')?;
            (key == name).then(|| value.trim_matches('"'))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BEFORE: &str = r#"# HELP cetusguard_requests_total Requests that have ended
cetusguard_requests_total{profile="a",outcome="served"} 10
cetusguard_requests_total{profile="b",outcome="no_rule"} 2
cetusguard_refusals_total{profile="b",reason="no_rule"} 2
cetusguard_connections 3
cetusguard_streams{profile="a"} 1
cetusguard_streams{profile="b"} 2
other_metric 5
"#;
    const AFTER: &str = r#"cetusguard_requests_total{profile="a",outcome="served"} 30
cetusguard_requests_total{profile="b",outcome="no_rule"} 6
cetusguard_refusals_total{profile="a",reason="guard"} 6
cetusguard_refusals_total{profile="b",reason="no_rule"} 4
cetusguard_unenforced_refusals_total{profile="b",reason="no_rule"} 1
"#;

    #[test]
    fn rates_are_those_between_two_polls() {
        let start = Instant::now();
        let before = ShownFigures::read(BEFORE, start);
        assert_eq!(before.gauge("cetusguard_connections"), Some(3.0));
        assert_eq!(before.gauge("cetusguard_streams"), Some(3.0));
        assert_eq!(before.gauge("cetusguard_exchanges"), None);
        let after = ShownFigures::read(AFTER, start + Duration::from_secs(2));
        let rates = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
            list.iter()
                .map(|(reason, rate)| ((*reason).to_owned(), *rate))
                .collect()
        };
        assert_eq!(
            after.since(&before),
            Rates {
                requests: 12.0,
                refusals: rates(&[("guard", 3.0), ("no_rule", 1.0)]),
                unenforced: rates(&[("no_rule", 0.5)]),
            }
        );
        assert_eq!(before.since(&before), Rates::default());
    }

    #[test]
    fn counters_of_a_new_process_begin_at_zero() {
        let start = Instant::now();
        let before = ShownFigures::read("cetusguard_requests_total 900\n", start);
        let after = ShownFigures::read(
            "cetusguard_requests_total 4\n",
            start + Duration::from_secs(1),
        );
        let rate = after.since(&before).requests;
        assert!((rate - 4.0).abs() < 1e-9, "{rate}");
    }
}
