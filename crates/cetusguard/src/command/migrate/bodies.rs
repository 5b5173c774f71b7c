//! What sockguard lets bodies ask for, as far as the guard has an exception for it.

use super::plan::Plan;
use super::yaml::Value;

/// Returns the exceptions for `request_body`. A restriction that the guard does not know is noted
/// as missing.
pub(super) fn exceptions(body: &Value, plan: &mut Plan) -> Vec<String> {
    let mut all = Vec::new();
    for (group, options) in body.pairs() {
        for (key, option) in options.pairs() {
            match exception(group, key, option) {
                Some(exceptions) => all.extend(exceptions),
                None if restricts(key, option) => plan.lack(format!(
                    "request_body.{group}.{key} has no counterpart in guard-allow: what it kept \
                    clients from may pass here: docs/guard.md"
                )),
                None => plan.note(
                    super::note::Kind::Missing,
                    format!(
                        "request_body.{group}.{key} has no counterpart in guard-allow: the \
                        guard judges such calls as it always does"
                    ),
                ),
            }
        }
    }
    all
}

/// Returns whether an option makes the proxy refuse more than it would without it.
fn restricts(key: &str, option: &Value) -> bool {
    let is_on = option.plain() == "true"
        || !option
            .texts()
            .iter()
            .all(|text| text.is_empty() || *text == "false");
    let is_restriction = ["require", "deny_", "allowed_"]
        .iter()
        .any(|start| key.starts_with(start));
    is_restriction && is_on
}

fn exception(group: &str, key: &str, option: &Value) -> Option<Vec<String>> {
    let is_on = option.plain() == "true";
    let list = |kind: &str, tail: &str| {
        let texts = option.texts().into_iter().filter(|text| !text.is_empty());
        Some(
            texts
                .map(|text| format!("{kind}={}{tail}", text.trim_end_matches('/')))
                .collect(),
        )
    };
    let one = |text: &str| Some(vec![text.to_owned()]);
    match (group, key) {
        ("container_create", "allow_privileged") if is_on => one("privileged"),
        ("container_create", "allow_host_network") if is_on => one("host-namespace=network"),
        ("container_create", "allow_host_pid") if is_on => one("host-namespace=pid"),
        ("container_create", "allow_host_ipc") if is_on => one("host-namespace=ipc"),
        ("container_create", "allow_host_userns") if is_on => one("host-namespace=user"),
        ("container_create", "allowed_bind_mounts") => list("bind", "/**"),
        ("container_create", "allowed_devices") => list("device", ""),
        ("container_create", "allowed_capabilities") => list("capability", ""),
        ("container_create", "allow_all_capabilities") if is_on => one("capability=ALL"),
        ("container_create", "allowed_runtimes") => list("runtime", ""),
        ("exec", "allow_privileged") if is_on => one("exec-privileged"),
        (_, key) if key.starts_with("allow_") && !is_on => Some(Vec::new()),
        _ => None,
    }
}
