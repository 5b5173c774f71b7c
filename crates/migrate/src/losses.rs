//! The settings of sockguard, beside its rules and its limits on bodies, that restrict clients and
//! have no counterpart.

use cetusguard_policy::Method;
use cetusguard_policy::endpoint::Endpoint;

use super::note::NoteKind;
use super::plan::{Plan, Rights};
use super::sockguard::SockguardSettings;

/// Parts of answers that are hidden unless the setting is off, each with the value of `redact` that
/// hides at least as much.
const REDACTIONS: &[(&str, &str)] = &[
    ("redact_container_env", "env"),
    ("redact_mount_paths", "host-paths"),
    ("redact_network_topology", "addresses"),
    ("redact_sensitive_data", "secrets"),
];

/// Sections of the API whose answers are redacted.
const REDACTED: &[&str] = &[
    "/configs",
    "/containers",
    "/info",
    "/libpod",
    "/networks",
    "/nodes",
    "/plugins",
    "/secrets",
    "/services",
    "/swarm",
    "/system",
    "/tasks",
    "/volumes",
];

/// Settings that restrict clients if they are on or have entries, with their meaning.
const RESTRICTIONS: &[(&str, &str)] = &[
    ("response.visible_resource_labels", "hides other objects"),
    ("response.name_patterns", "hides other objects"),
    ("response.image_patterns", "hides other objects"),
    ("clients.global_concurrency", "limits all requests together"),
    ("mutations", "changes what clients ask for"),
    ("policy_bundle.enabled", "accepts signed settings alone"),
];

/// Variables that begin with one of these are read, or restrict no client.
const READ_VARIABLES: &[&str] = &[
    "ADMIN_",
    "CLIENTS_ALLOWED_CIDRS",
    "CLIENTS_CONTAINER_LABELS",
    "CLIENTS_PROFILES",
    "CONFIG",
    "HEALTH_",
    "INSECURE_",
    "LISTEN_",
    "LOG_",
    "METRICS_",
    "OWNERSHIP_",
    "RELOAD_",
    "REQUEST_BODY_",
    "RESPONSE_",
    "UPSTREAM_",
];

/// Keys at the top of the file that are read, or restrict no client.
const READ_KEYS: &[&str] = &[
    "admin",
    "clients",
    "health",
    "insecure_accept_opaque_buildkit_tunnels",
    "insecure_allow_body_blind_writes",
    "insecure_allow_read_exfiltration",
    "listen",
    "listeners",
    "log",
    "metrics",
    "mutations",
    "ownership",
    "policy_bundle",
    "reload",
    "request_body",
    "response",
    "rules",
    "upstream",
];

/// Notes the settings without a counterpart. `rights` are those of its rules.
pub(super) fn note_losses(written: &SockguardSettings<'_>, rights: &Rights, plan: &mut Plan) {
    note_redactions(written, rights, plan);
    for (key, meaning) in RESTRICTIONS {
        if written.restricts(key) {
            plan.lost(format!(
                "{key} {meaning} there, which has no counterpart: bound the calls with targets \
                (docs/guard.md), or take rules out"
            ));
        }
    }
    if !written.value("ownership.owner").is_empty() {
        plan.lost(
            "ownership lets clients act on their own objects alone; here they can act on all: \
            bound the calls with targets (docs/guard.md)",
        );
    }
    for (key, what) in [
        ("metrics.enabled", "metrics"),
        ("admin.enabled", "the admin endpoints"),
    ] {
        if written.is_on(key) {
            plan.note(
                NoteKind::Missing,
                format!("{what} have no counterpart: {key}"),
            );
        }
    }
    for key in [
        "upstream.request_timeout",
        "upstream.hijack_inactivity_timeout",
    ] {
        if !written.value(key).is_empty() {
            plan.note(
                NoteKind::Different,
                format!("{key} has no counterpart: left out"),
            );
        }
    }
    if written.is_on("log.audit.enabled") {
        let what = "log.audit: every decision stands in the log itself";
        plan.note(NoteKind::Different, what);
    }
    note_unknown_settings(written, plan);
}

fn note_redactions(written: &SockguardSettings<'_>, rights: &Rights, plan: &mut Plan) {
    let reads = |endpoint: &Endpoint| {
        let section = |section: &&str| endpoint.shape.starts_with(*section);
        endpoint.method == Method::Get && REDACTED.iter().any(section)
    };
    let open = rights.open_endpoints();
    if !Endpoint::all().any(|endpoint| reads(endpoint) && open.contains(&endpoint.id)) {
        return;
    }
    let path = |key: &str| format!("response.{key}");
    let on = REDACTIONS
        .iter()
        .filter(|(key, _)| written.value(&path(key)) != "false");
    let host =
        Some(("redact_host_topology", "host")).filter(|(key, _)| written.restricts(&path(key)));
    let on: Vec<_> = on.copied().chain(host).collect();
    if on.is_empty() {
        return;
    }
    let values: Vec<_> = on.iter().map(|(_, value)| *value).collect();
    plan.option("redact", values.join(", "));
    let keys: Vec<_> = on.iter().map(|(key, _)| path(key)).collect();
    plan.note(
        NoteKind::Different,
        format!(
            "redact stands for {}: values are replaced, keys stay, and endpoints whose answers cannot \
            be redacted are closed; docs/redaction.md lists both",
            keys.join(", ")
        ),
    );
}

fn note_unknown_settings(written: &SockguardSettings<'_>, plan: &mut Plan) {
    let variables = written.settings.vars.iter();
    let variables = variables.filter_map(|(name, _)| {
        let rest = name.strip_prefix("SOCKGUARD_")?;
        let is_read = READ_VARIABLES.iter().any(|read| rest.starts_with(read));
        (!is_read).then_some(name)
    });
    let keys = written.file.iter().flat_map(|file| file.pairs());
    let keys = keys
        .map(|(key, _)| key)
        .filter(|key| !READ_KEYS.contains(&key.as_str()));
    for name in variables.chain(keys) {
        plan.lost(format!("{name} has no counterpart here"));
    }
}
