//! A body as the engine reads it, and what must not be in one that the guard passed.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fields that name a namespace to join.
pub(crate) const MODES: &[&str] = &[
    "NetworkMode",
    "PidMode",
    "IpcMode",
    "UTSMode",
    "UsernsMode",
    "CgroupnsMode",
];

/// Reads as `encoding/json` does into a struct: keys by simple folding, all that mean one field
/// merged, `null` for nothing.
pub(crate) fn as_go_reads(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut merged: BTreeMap<String, Value> = BTreeMap::new();
            for (key, value) in map {
                let folded: String = key
                    .chars()
                    .flat_map(|c| {
                        match c {
                            '\u{17f}' => 's',
                            '\u{212a}' => 'k',
                            c => c,
                        }
                        .to_lowercase()
                    })
                    .collect();
                if !value.is_null() {
                    merged.insert(folded, as_go_reads(value));
                }
            }
            merged.into_iter().collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(as_go_reads).collect(),
        value => value.clone(),
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .chain([value])
        .filter_map(Value::as_str)
        .collect()
}

/// What must not be in it, at the top level, where old engines read it, or in `HostConfig`.
pub(crate) fn dangers(host: &Value) -> Option<String> {
    let mut found = Vec::new();
    if host["privileged"] == true {
        found.push("privileged".to_owned());
    }
    found.extend(
        texts(&host["binds"])
            .into_iter()
            .filter(|bind| bind.starts_with(['/', '.']) && bind.contains(':'))
            .map(str::to_owned),
    );
    for name in MODES {
        let mode = text(host, &name.to_lowercase());
        // The network of a harmless container, which this one is, can be joined.
        if mode.eq_ignore_ascii_case("host")
            || (mode.starts_with("container:") && *name != "NetworkMode")
        {
            found.push(mode.to_owned());
        }
    }
    found.extend(
        texts(&host["capadd"])
            .into_iter()
            .filter(|name| !is_default_capability(name))
            .map(str::to_owned),
    );
    found.extend(
        texts(&host["securityopt"])
            .into_iter()
            .filter(|option| weakens(option))
            .map(str::to_owned),
    );
    for key in ["devices", "volumesfrom"] {
        found.extend(
            host[key]
                .as_array()
                .filter(|list| !list.is_empty())
                .map(|_| key.to_owned()),
        );
    }
    let unmasked = host["maskedpaths"]
        .as_array()
        .filter(|list| !list.iter().any(|path| path == "/proc/kcore"));
    found.extend(unmasked.map(|_| "maskedpaths".to_owned()));
    found.extend(
        Some(text(host, "cgroupparent"))
            .filter(|parent| !parent.is_empty())
            .map(str::to_owned),
    );
    for mount in host["mounts"].as_array().into_iter().flatten() {
        let options = &mount["volumeoptions"]["driverconfig"]["options"];
        if !matches!(text(mount, "type"), "volume" | "tmpfs")
            || text(mount, "source").starts_with(['/', '.'])
        {
            found.push(mount.to_string());
        }
        if options
            .as_object()
            .is_some_and(|options| !options.is_empty())
        {
            found.push(options.to_string());
        }
        if text(&mount["bindoptions"], "propagation") == "rshared" {
            found.push("rshared".to_owned());
        }
    }
    found.into_iter().next()
}

/// Returns whether containers have the capability anyway (moby `oci/caps/defaults.go`), in either
/// spelling.
fn is_default_capability(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let defaults = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ];
    defaults.contains(&name.strip_prefix("CAP_").unwrap_or(&name))
}

/// Returns whether a security option takes a wall away (moby `parseSecurityOpt`).
fn weakens(option: &str) -> bool {
    option.split_once(['=', ':']).is_some_and(|(name, value)| {
        matches!(name, "seccomp" | "apparmor" | "label" | "systempaths")
            && matches!(value, "unconfined" | "disable")
    })
}
