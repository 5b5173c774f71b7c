//! Every metric, defined once: the scrape and the table of `docs/monitoring.md` are made from these
//! rows.

use std::fmt;
use std::fmt::Write as _;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A family of metrics: one name, with a sample for each combination of labels.
#[derive(Debug)]
pub(super) struct Family {
    /// The name without the suffixes of its unit and its type.
    name: &'static str,
    kind: MetricType,
    unit: Option<Unit>,
    /// The labels of its samples.
    labels: &'static [&'static str],
    /// One sentence, without its full stop.
    help: &'static str,
}

macro_rules! families {
    ($($row:ident: $kind:ident $name:literal $labels:expr, $unit:expr, $help:literal;)*) => {
        $(pub(super) static $row: Family = Family {
            name: $name,
            kind: MetricType::$kind,
            unit: $unit,
            labels: &$labels,
            help: $help,
        };)*

        /// Every family, in the order of the scrape.
        static ALL: &[&Family] = &[$(&$row),*];
    };
}

families! {
    BUILD: Info "cetusguard_build" ["version"], None, "The version of the program";
    POLICY: Info "cetusguard_policy" ["hash", "generation"], None,
        "The policy in force: hosts with the same policy have the same hash, and each reload counts \
        the generation up";
    START_TIME: Gauge "process_start_time" [], Some(Unit::Seconds),
        "The time at which the program started, since 1970";
    REQUESTS: Counter "cetusguard_requests" ["profile", "outcome"], None,
        "Requests that have ended: served, or the reason as in the log";
    REFUSALS: Counter "cetusguard_refusals" ["profile", "reason"], None,
        "Requests that the proxy answered with an error of its own";
    UNENFORCED: Counter "cetusguard_unenforced_refusals" ["profile", "reason"], None,
        "Requests that audit mode forwarded although the profile refuses them";
    DURATION: Histogram "cetusguard_request_duration" ["profile"], Some(Unit::Seconds),
        "Time from the first byte of a request to the last byte of its answer, for served calls that \
        are no streams and no transfers (logs, events, waits, terminals, pulls, builds, archives)";
    RECEIVED: Counter "cetusguard_received" ["profile"], Some(Unit::Bytes),
        "Bytes from clients, counted when a request or stream ends";
    SENT: Counter "cetusguard_sent" ["profile"], Some(Unit::Bytes),
        "Bytes of answers to clients, counted when a request or stream ends";
    STREAMS: Gauge "cetusguard_streams" ["profile"], None,
        "Streams and tunnels that are open";
    CONNECTIONS: Gauge "cetusguard_connections" [], None,
        "Connections of clients that have a place";
    CONNECTIONS_LIMIT: Gauge "cetusguard_connections_limit" [], None,
        "Places for connections: max-connections, or fewer if few open files are allowed";
    CONNECTIONS_WAITING: Gauge "cetusguard_connections_waiting" [], None,
        "Connections of clients that wait for a place";
    EXCHANGES: Gauge "cetusguard_exchanges" [], None,
        "Requests that are under way to the engine; no sample without a memory limit";
    EXCHANGES_LIMIT: Gauge "cetusguard_exchanges_limit" [], None,
        "Requests that may be under way to the engine; no sample without a memory limit";
    BODY_MEMORY: Gauge "cetusguard_body_memory" [], Some(Unit::Bytes),
        "Memory that is set aside for bodies that are inspected";
    BODY_MEMORY_LIMIT: Gauge "cetusguard_body_memory_limit" [], Some(Unit::Bytes),
        "The most memory for bodies that are inspected";
    CONNECTIONS_REFUSED: Counter "cetusguard_connections_refused" [], None,
        "Connections that got no place, since their client or all clients had as many as they may";
    ENGINE_ERRORS: Counter "cetusguard_engine_errors" ["reason"], None,
        "Requests that failed because of the engine";
    LOOKUPS: Counter "cetusguard_engine_lookups" [], None,
        "Requests of the proxy's own to the engine: for objects, containers, events and readiness";
    LOOKUP_FAILURES: Counter "cetusguard_engine_lookup_failures" [], None,
        "Requests of the proxy's own that the engine did not answer";
    LOG_LOST: Counter "cetusguard_log_records_lost" [], None,
        "Lines of the log that were lost because its reader is slow or gone";
    AUDIT_LOST: Counter "cetusguard_audit_records_lost" [], None,
        "Records of the audit log that were lost because they could not be written in time; no \
        sample if it has no file and no socket";
    RELOADS: Counter "cetusguard_config_reloads" ["result"], None,
        "Reloads of the configuration: success or failure";
    RELOAD_SUCCESSFUL: Gauge "cetusguard_config_last_reload_successful" [], None,
        "1 if the last reload took effect or there was none, 0 if the old configuration stays";
    RELOAD_TIME: Gauge "cetusguard_config_last_reload_timestamp" [], Some(Unit::Seconds),
        "The time of the last reload, since 1970; no sample before the first";
    LOAD_TIME: Gauge "cetusguard_config_loaded_timestamp" [], Some(Unit::Seconds),
        "The time at which the policy in force was loaded first, since 1970";
    CERTIFICATE_EXPIRY: Gauge "cetusguard_certificate_expiry_timestamp" ["frontend"],
        Some(Unit::Seconds),
        "The time at which a certificate of the frontend's chain expires first, since 1970";
    ADMIN_CERTIFICATE_EXPIRY: Gauge "cetusguard_admin_certificate_expiry_timestamp" [],
        Some(Unit::Seconds),
        "The time at which a certificate of the admin listener's chain expires first, since 1970; \
        no sample without TLS";
}

impl Family {
    /// Begins the family in a scrape.
    pub(super) fn begin<'e>(
        &'static self,
        encoder: &'e mut DescriptorEncoder<'_>,
    ) -> Result<MetricEncoder<'e>, fmt::Error> {
        encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), self.kind)
    }

    /// Returns the name of its samples.
    fn sample_name(&self) -> String {
        let mut name = self.name.to_owned();
        if let Some(unit) = &self.unit {
            let _ = write!(name, "_{}", unit.as_str());
        }
        match self.kind {
            MetricType::Counter => name.push_str("_total"),
            MetricType::Info => name.push_str("_info"),
            MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => {}
        }
        name
    }
}

/// Returns the table of all metrics, for `docs/monitoring.md`.
#[must_use]
pub fn metrics_reference() -> String {
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for family in ALL {
        let labels: Vec<_> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            family.sample_name(),
            family.kind.as_str(),
            labels.join(", "),
            family.help
        );
    }
    table
}
