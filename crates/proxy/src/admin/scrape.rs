//! The scrape: the figures of the proxy in the text formats of OpenMetrics and of Prometheus.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cetusguard_config::address::Address;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelValue, LabelValueEncoder, NoLabelSet,
};
use prometheus_client::registry::Registry;

use super::families::{self, Family};
use super::policy::PolicyIdentity;
use crate::flow::Proxy;
use crate::outcome::Reason;
use crate::telemetry::metrics::{Metrics, RequestCounters};

/// The content type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the older text format of Prometheus.
pub(super) const PLAIN_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures of a proxy, and of its policy.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) proxy: Arc<Proxy>,
    pub(super) policy: PolicyIdentity,
    /// The addresses of the frontends, by their place.
    frontends: Vec<Address>,
    started: SystemTime,
}

impl Figures {
    /// The figures of a proxy that has just started.
    pub(super) fn new(proxy: Arc<Proxy>, frontends: Vec<Address>) -> Self {
        Self {
            proxy,
            policy: PolicyIdentity::default(),
            frontends,
            started: SystemTime::now(),
        }
    }
}

/// Returns a registry that shows these figures.
pub(super) fn registry(figures: &Arc<Figures>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Arc::clone(figures)));
    registry
}

/// Writes the scrape in OpenMetrics.
pub(super) fn open_metrics(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// Rewrites OpenMetrics as the text format 0.0.4: it names the families of counters and infos after
/// their samples, and knows neither units nor an end.
pub(super) fn plain_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let kinds: HashMap<&str, &str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let suffix_of = |name: &str| match kinds.get(name) {
        Some(&"counter") => "_total",
        Some(&"info") => "_info",
        _ => "",
    };
    for line in open_metrics.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "EOF"] | ["#", "UNIT", ..] => continue,
            ["#", "TYPE", name, "info"] => text.push_str(&format!("# TYPE {name}_info gauge")),
            ["#", word @ ("TYPE" | "HELP"), name, rest] => {
                let suffix = suffix_of(name);
                text.push_str(&format!("# {word} {name}{suffix} {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        self.encode_identity(encoder)?;
        if let Some(metrics) = &self.proxy.metrics {
            encode_requests(metrics, encoder)?;
        }
        self.encode_shares(encoder)?;
        self.encode_engine(encoder)?;
        self.encode_configuration(encoder)
    }
}

impl Figures {
    fn encode_identity(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        families::BUILD
            .begin(encoder)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let (hash, generation) = self.policy.of(&self.proxy);
        families::POLICY.begin(encoder)?.encode_info(&[
            ("hash", hash.as_str()),
            ("generation", &generation.to_string()),
        ])?;
        gauge(
            &families::START_TIME,
            seconds_since_1970(self.started),
            encoder,
        )
    }

    fn encode_shares(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let in_use = self.proxy.shares.in_use();
        let exchanges = in_use.exchanges.unzip();
        for (family, value) in [
            (&families::CONNECTIONS, Some(in_use.connections)),
            (&families::CONNECTIONS_LIMIT, Some(in_use.connections_limit)),
            (&families::CONNECTIONS_WAITING, Some(in_use.waiting)),
            (&families::EXCHANGES, exchanges.0),
            (&families::EXCHANGES_LIMIT, exchanges.1),
            (&families::BODY_MEMORY, Some(in_use.body_bytes)),
            (&families::BODY_MEMORY_LIMIT, Some(in_use.body_bytes_limit)),
        ] {
            let mut samples = family.begin(encoder)?;
            if let Some(value) = value {
                samples.encode_gauge(&value)?;
            }
        }
        counter(&families::CONNECTIONS_REFUSED, in_use.refused, encoder)
    }

    fn encode_engine(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut samples = families::ENGINE_ERRORS.begin(encoder)?;
        if let Some(metrics) = &self.proxy.metrics {
            for reason in Reason::all().filter(|reason| reason.is_engine_fault()) {
                samples
                    .encode_family(&[("reason", Escaped(reason.word()))])?
                    .encode_counter::<NoLabelSet, u64, f64>(&metrics.total(reason), None)?;
            }
        }
        let [lookups, failures] = self.proxy.backend.own_requests();
        counter(&families::LOOKUPS, lookups, encoder)?;
        counter(&families::LOOKUP_FAILURES, failures, encoder)
    }

    fn encode_configuration(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        counter(&families::LOG_LOST, self.proxy.log.lost(), encoder)?;
        let mut audit_lost = families::AUDIT_LOST.begin(encoder)?;
        if let Some(lost) = self.proxy.log.lost_by_audit() {
            audit_lost.encode_counter::<NoLabelSet, u64, f64>(&lost, None)?;
        }
        let status = self.proxy.status.read();
        let mut reloads = families::RELOADS.begin(encoder)?;
        for (result, count) in [("success", status.successes), ("failure", status.failures)] {
            reloads
                .encode_family(&[("result", result)])?
                .encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
        let last = status.last_reload.as_ref();
        let is_success = last.is_none_or(|last| last.is_success());
        families::RELOAD_SUCCESSFUL
            .begin(encoder)?
            .encode_gauge(&u32::from(is_success))?;
        let mut reload_time = families::RELOAD_TIME.begin(encoder)?;
        if let Some(last) = last {
            reload_time.encode_gauge(&seconds_since_1970(last.at))?;
        }
        gauge(
            &families::LOAD_TIME,
            seconds_since_1970(status.loaded),
            encoder,
        )?;
        let settings = self.proxy.settings.get();
        let mut expiries = families::CERTIFICATE_EXPIRY.begin(encoder)?;
        for (address, tls) in self.frontends.iter().zip(&settings.tls) {
            // TLS is spoken over TCP alone.
            let has_tls = !matches!(address, Address::Unix(_));
            let tls = tls.as_ref().filter(|_| has_tls);
            if let Some(expires) = tls.and_then(|tls| tls.expires) {
                expiries
                    .encode_family(&[("frontend", Escaped(&address.to_string()))])?
                    .encode_gauge(&seconds_since_1970(expires))?;
            }
        }
        let mut expiry = families::ADMIN_CERTIFICATE_EXPIRY.begin(encoder)?;
        let access = self.proxy.status.access();
        let tls = access.borrow().tls.clone();
        match tls.and_then(|tls| tls.expires) {
            Some(expires) => expiry.encode_gauge(&seconds_since_1970(expires)),
            None => Ok(()),
        }
    }
}

/// Writes the families that have a sample for each profile. Requests before identification have an
/// empty profile.
fn encode_requests(
    metrics: &Metrics,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let mut requests = families::REQUESTS.begin(encoder)?;
    metrics.for_each(|profile, counters| {
        let mut add = |outcome: &str, count: u64| {
            requests
                .encode_family(&[("profile", Escaped(profile)), ("outcome", Escaped(outcome))])?
                .encode_counter::<NoLabelSet, u64, f64>(&count, None)
        };
        add("served", counters.served())?;
        for reason in Reason::all() {
            if counters.ended(reason) > 0 {
                add(reason.word(), counters.ended(reason))?;
            }
        }
        Ok::<(), fmt::Error>(())
    })?;
    encode_refusals(metrics, encoder)?;
    encode_durations(metrics, encoder)?;
    encode_traffic(metrics, encoder)
}

fn encode_refusals(
    metrics: &Metrics,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    // Refusals show from zero on: without that, an alert would miss the increase to the first.
    let mut refusals = families::REFUSALS.begin(encoder)?;
    metrics.for_each(|profile, counters| {
        Reason::all()
            .filter(|reason| reason.status().is_some())
            .try_for_each(|reason| {
                refusals
                    .encode_family(&[
                        ("profile", Escaped(profile)),
                        ("reason", Escaped(reason.word())),
                    ])?
                    .encode_counter::<NoLabelSet, u64, f64>(&counters.refused(reason), None)
            })
    })?;
    let mut unenforced = families::UNENFORCED.begin(encoder)?;
    metrics.for_each(|profile, counters| {
        Reason::all()
            .map(|reason| (reason, counters.unenforced(reason)))
            .filter(|(_, count)| *count > 0)
            .try_for_each(|(reason, count)| {
                unenforced
                    .encode_family(&[
                        ("profile", Escaped(profile)),
                        ("reason", Escaped(reason.word())),
                    ])?
                    .encode_counter::<NoLabelSet, u64, f64>(&count, None)
            })
    })
}

fn encode_durations(
    metrics: &Metrics,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let mut durations = families::DURATION.begin(encoder)?;
    metrics.for_each(|profile, counters| {
        let read = counters.durations();
        let count = read.buckets.iter().map(|(_, count)| count).sum();
        durations
            .encode_family(&[("profile", Escaped(profile))])?
            .encode_histogram::<NoLabelSet>(read.sum, count, &read.buckets, None)
    })
}

/// Writes the bytes that were passed on, and the streams that are open.
fn encode_traffic(
    metrics: &Metrics,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    for (family, count) in [
        (
            &families::RECEIVED,
            RequestCounters::bytes_in as fn(&RequestCounters) -> u64,
        ),
        (&families::SENT, RequestCounters::bytes_out),
    ] {
        let mut samples = family.begin(encoder)?;
        metrics.for_each(|profile, counters| {
            samples
                .encode_family(&[("profile", Escaped(profile))])?
                .encode_counter::<NoLabelSet, u64, f64>(&count(counters), None)
        })?;
    }
    let mut streams = families::STREAMS.begin(encoder)?;
    metrics.for_each(|profile, counters| {
        streams
            .encode_family(&[("profile", Escaped(profile))])?
            .encode_gauge(&counters.streams())
    })
}

/// The value of a label, in which the characters that would end it are escaped: the crate writes
/// values as they are.
#[derive(Debug)]
struct Escaped<'v>(&'v str);

impl EncodeLabelValue for Escaped<'_> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => encoder.write_str(&format!("\\{c}"))?,
                '\n' => encoder.write_str("\\n")?,
                c => encoder.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn counter(
    family: &'static Family,
    count: u64,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    family
        .begin(encoder)?
        .encode_counter::<NoLabelSet, u64, f64>(&count, None)
}

fn gauge(
    family: &'static Family,
    value: f64,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    family.begin(encoder)?.encode_gauge(&value)
}

fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family as Samples;

    use super::*;

    #[derive(Clone, Debug, Hash, PartialEq, Eq)]
    struct Labels(&'static str);

    impl prometheus_client::encoding::EncodeLabelSet for Labels {
        fn encode(
            &self,
            encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
        ) -> Result<(), fmt::Error> {
            [("name", Escaped(self.0))].encode(encoder)
        }
    }

    #[test]
    fn no_value_of_a_label_forges_a_sample() {
        let (mut registry, samples) = (Registry::default(), Samples::<Labels, Counter>::default());
        registry.register("forged", "Some", samples.clone());
        let _ = samples.get_or_create(&Labels("a\"} 9\nforged_total{name=\"\\"));
        let text = open_metrics(&registry).expect("text");
        let line = r#"forged_total{name="a\"} 9\nforged_total{name=\"\\"} 0"#;
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn the_older_format_names_families_after_their_samples() {
        let open = "\
# HELP a_seconds Some.
# TYPE a_seconds gauge
# UNIT a_seconds seconds
a_seconds 1.5
# HELP b Several words.
# TYPE b counter
b_total{reason=\"x\"} 2
# HELP c Some.
# TYPE c info
c_info{version=\"1\"} 1
# EOF
";
        let plain = "\
# HELP a_seconds Some.
# TYPE a_seconds gauge
a_seconds 1.5
# HELP b_total Several words.
# TYPE b_total counter
b_total{reason=\"x\"} 2
# HELP c_info Some.
# TYPE c_info gauge
c_info{version=\"1\"} 1
";
        assert_eq!(plain_text(open), plain);
    }
}
