//! The values that take the place of redacted ones. Each keeps the type and the form of the value
//! that it replaces: an address stays an address, and an empty text stays empty.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::borrow::Cow;

use super::Redaction;
use super::class::Class;
use super::registry;
use super::shape::PLAIN;
use crate::guard::Json;

/// The text in the place of a redacted one.
pub(super) const REDACTED: &str = "redacted";
/// The path in the place of a redacted one: absolute, as clients expect.
pub(super) const PATH: &str = "/redacted";
/// [`REDACTED`] in base64.
const BASE64: &str = "cmVkYWN0ZWQ=";
const MAC: &str = "00:00:00:00:00:00";

/// The form of a value, which its replacement keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueForm {
    /// Any text.
    Text,
    /// A text, or a number that becomes zero.
    Figure,
    /// A number that becomes one: clients divide by it.
    Count,
    /// Environment: `KEY=value`, an object of values by their names, or objects with both.
    Env,
    /// The test of a health check: its first word says how the others are run.
    Test,
    /// The action of an event: `exec_create: COMMAND`.
    Action,
    /// A path.
    Path,
    /// The source of a mount: a path, or the name of a volume or image, which stays.
    Source,
    /// `SOURCE:DESTINATION:OPTIONS`.
    Bind,
    /// A word, or `KEY=VALUE` where the value is replaced if it holds a path.
    PathOption,
    /// An IP address, a network, or an address with a port.
    Address,
    /// An object whose keys are networks.
    AddressKeys,
    /// `NAME:ADDRESS`, `NAME=ADDRESS`, or a line of `/etc/hosts`.
    HostEntry,
    /// A hardware address.
    Mac,
    /// The options of a driver by their names, or as `KEY=VALUE`.
    Options,
    /// Rows of a key and its value.
    Rows,
    /// Bytes in base64.
    Base64,
    /// The host of a registry, or its address.
    Registry,
    /// An object whose keys are registries.
    RegistryKeys,
    /// A condition on nodes: `node.hostname==NAME`.
    Constraint,
}

/// Replaces a value of this form.
pub(super) fn replace(redaction: &Redaction, form: ValueForm, value: &mut Json<'_>) {
    match form {
        ValueForm::Text => each_text(value, &|_| REDACTED.into()),
        ValueForm::Figure => replace_figures(value, "0"),
        ValueForm::Count => replace_figures(value, "1"),
        ValueForm::Env => replace_env(redaction, value),
        ValueForm::Test => replace_test(value),
        ValueForm::Action => each_text(value, &redact_action),
        ValueForm::Path => each_text(value, &|_| PATH.into()),
        ValueForm::Source => each_text(value, &redact_source),
        ValueForm::Bind => each_text(value, &redact_bind),
        ValueForm::PathOption => each_text(value, &redact_path_option),
        ValueForm::Address => each_text(value, &redact_address),
        ValueForm::AddressKeys => replace_address_keys(redaction, value),
        ValueForm::HostEntry => each_text(value, &redact_host_entry),
        ValueForm::Mac => each_text(value, &|_| MAC.into()),
        ValueForm::Options => replace_options(value),
        ValueForm::Rows => replace_rows(value),
        ValueForm::Base64 => each_text(value, &|_| BASE64.into()),
        ValueForm::Registry => each_text(value, &registry::redact_registry),
        ValueForm::RegistryKeys => registry::redact_keys(value),
        ValueForm::Constraint => each_text(value, &|text| redact_constraint(redaction, text)),
    }
}

/// Rewrites every text at any depth that is not empty; keys stay.
pub(super) fn each_text(value: &mut Json<'_>, rewrite: &dyn Fn(&str) -> Cow<'static, str>) {
    match value {
        Json::Text(text) if !text.is_empty() => {
            let new = rewrite(text);
            if *text != new {
                *text = new;
            }
        }
        Json::List(list) => list.iter_mut().for_each(|value| each_text(value, rewrite)),
        Json::Map(map) => map
            .iter_mut()
            .for_each(|(_, value)| each_text(value, rewrite)),
        _ => {}
    }
}

fn replace_figures(value: &mut Json<'_>, figure: &'static str) {
    match value {
        Json::Number(digits) => *digits = figure,
        Json::Text(text) if !text.is_empty() => *text = REDACTED.into(),
        Json::List(list) => {
            for value in list {
                replace_figures(value, figure);
            }
        }
        Json::Map(map) => {
            for (_, value) in map {
                replace_figures(value, figure);
            }
        }
        _ => {}
    }
}

fn replace_env(redaction: &Redaction, value: &mut Json<'_>) {
    let concerns = |name: &str| {
        redaction.has(Class::Env) || (redaction.has(Class::Proxies) && is_proxy_variable(name))
    };
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) if !value.is_empty() && concerns(name) => {
            format!("{name}={REDACTED}").into()
        }
        _ => text.to_owned().into(),
    };
    match value {
        Json::List(list) => {
            for value in list {
                replace_env(redaction, value);
            }
        }
        Json::Map(map) if is_plugin_variable(map) => {
            let name = map.iter().find(|(key, _)| key == "Name");
            if name.is_some_and(|(_, name)| concerns(name.text())) {
                for (_, value) in map.iter_mut().filter(|(key, _)| key == "Value") {
                    each_text(value, &|_| REDACTED.into());
                }
            }
        }
        Json::Map(map) => {
            for (_, value) in map.iter_mut().filter(|(name, _)| concerns(name)) {
                each_text(value, &|_| REDACTED.into());
            }
        }
        value => each_text(value, &pair),
    }
}

/// Returns whether an object describes a variable of a plugin, and does not hold several variables.
fn is_plugin_variable(map: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    const MEMBERS: [&str; 4] = ["Description", "Name", "Settable", "Value"];
    let has = |key: &str| map.iter().any(|(known, _)| known == key);
    has("Name") && has("Value") && map.iter().all(|(key, _)| MEMBERS.contains(&&**key))
}

/// Returns whether programs take their HTTP proxy from this variable.
fn is_proxy_variable(name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "all_proxy",
        "no_proxy",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn replace_test(value: &mut Json<'_>) {
    let rest = match value {
        Json::List(list) => match list.split_first_mut() {
            Some((first, rest)) if matches!(first.text(), "CMD" | "CMD-SHELL" | "NONE") => rest,
            _ => list,
        },
        value => return each_text(value, &|_| REDACTED.into()),
    };
    for value in rest {
        each_text(value, &|_| REDACTED.into());
    }
}

/// Keeps the name of the action, and the state in `health_status: healthy`.
pub(super) fn redact_action(text: &str) -> Cow<'static, str> {
    let name = text.split(':').next().unwrap_or_default();
    let is_plain = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    match text.strip_prefix("health_status: ") {
        Some(state) if is_plain(state) => text.to_owned().into(),
        _ if !is_plain(name) => REDACTED.into(),
        _ if name.len() == text.len() => text.to_owned().into(),
        _ => format!("{name}: {REDACTED}").into(),
    }
}

fn redact_source(text: &str) -> Cow<'static, str> {
    let is_drive = text.as_bytes().get(1) == Some(&b':');
    let is_name = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-:/@".contains(&b));
    match is_name && !is_drive {
        true => text.to_owned().into(),
        false => PATH.into(),
    }
}

fn redact_bind(text: &str) -> Cow<'static, str> {
    // Podman takes colons in a source. The destination is absolute and has none.
    let (source, rest) = match text.rfind(":/") {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let is_name = source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let source = if is_name { source } else { PATH };
    match rest.split_once(':') {
        _ if rest.is_empty() => source.to_owned().into(),
        None => format!("{source}:{rest}").into(),
        Some((destination, options)) => {
            // A path alone would read as the destination.
            let redact = |option| match redact_path_option(option) {
                option if option == PATH => REDACTED.into(),
                option => option,
            };
            let options: Vec<_> = options.split(',').map(redact).collect();
            format!("{source}:{destination}:{}", options.join(",")).into()
        }
    }
}

fn redact_path_option(text: &str) -> Cow<'static, str> {
    let has_path = |text: &str| text.contains(['/', '\\']);
    match text.split_once('=') {
        Some((key, value)) if !has_path(key) && has_path(value) => format!("{key}={PATH}").into(),
        Some((key, _)) if !has_path(key) => text.to_owned().into(),
        _ if has_path(text) => PATH.into(),
        _ => text.to_owned().into(),
    }
}

/// Returns the address of the same kind that stands for any.
pub(super) fn redact_address(text: &str) -> Cow<'static, str> {
    let nowhere = |address: IpAddr| match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let read = |text: &str| {
        let without_zone = text.split('%').next().unwrap_or_default();
        without_zone.parse::<IpAddr>().ok().map(nowhere)
    };
    if let Some(address) = read(text) {
        return address.to_string().into();
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return SocketAddr::new(nowhere(address.ip()), address.port())
            .to_string()
            .into();
    }
    if let Some((address, bits)) = text.split_once('/')
        && bits.bytes().all(|b| b.is_ascii_digit())
        && let Some(address) = read(address)
    {
        return format!("{address}/0").into();
    }
    match text.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => format!("{REDACTED}:{port}").into(),
        _ => REDACTED.into(),
    }
}

fn redact_host_entry(text: &str) -> Cow<'static, str> {
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        let mut words = text.split_ascii_whitespace();
        let address = words.next().map(redact_address).unwrap_or_default();
        let names = words.map(|_| REDACTED);
        let all: Vec<&str> = std::iter::once(&*address).chain(names).collect();
        return all.join(" ").into();
    }
    match text.find([':', '=']) {
        Some(at) if &text[at + 1..] == "host-gateway" => {
            format!("{REDACTED}{}", &text[at..]).into()
        }
        Some(at) => {
            let separator = &text[at..=at];
            format!("{REDACTED}{separator}{}", redact_address(&text[at + 1..])).into()
        }
        None => REDACTED.into(),
    }
}

/// Renames networks: clients read the keys as such, and no two may be alike.
fn replace_address_keys(redaction: &Redaction, value: &mut Json<'_>) {
    let Json::Map(map) = value else {
        return redaction.walk(&PLAIN, value);
    };
    for (index, (key, value)) in map.iter_mut().enumerate() {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        *key = if key.contains(':') {
            format!("{}/128", Ipv6Addr::from(u128::from(number))).into()
        } else {
            format!("{}/32", Ipv4Addr::from(number)).into()
        };
        redaction.walk(&PLAIN, value);
    }
}

/// The options of drivers that hold no address, path or credential.
const HARMLESS_OPTIONS: &[&str] = &[
    "Backing Filesystem",
    "cache-disabled",
    "compress",
    "driver",
    "driver-type",
    "env",
    "env-regex",
    "gid",
    "isolate",
    "labels",
    "labels-regex",
    "max-buffer-size",
    "max-file",
    "max-size",
    "metric",
    "mode",
    "mtu",
    "Native Overlay Diff",
    "no_default_route",
    "nr_inodes",
    "size",
    "Supports d_type",
    "Supports shifting",
    "Supports volatile",
    "syslog-facility",
    "syslog-format",
    "tag",
    "type",
    "uid",
    "userxattr",
    "Using metacopy",
    "vlan",
];

fn is_harmless_option(key: &str) -> bool {
    HARMLESS_OPTIONS.contains(&key)
        || (key.starts_with("com.docker.network.")
            && !key.contains("ipv")
            && !key.contains("sysctl"))
}

fn replace_options(value: &mut Json<'_>) {
    match value {
        Json::Map(map) => {
            for (_, value) in map.iter_mut().filter(|(key, _)| !is_harmless_option(key)) {
                each_text(value, &redact_option);
            }
        }
        Json::List(list) => list.iter_mut().for_each(replace_options),
        value => each_text(value, &|text| match text.split_once('=') {
            Some((key, value)) if value.is_empty() || is_harmless_option(key) => {
                text.to_owned().into()
            }
            Some((key, value)) if !key.contains('/') => {
                format!("{key}={}", redact_option(value)).into()
            }
            None if !text.contains(['/', ':', '@']) => text.to_owned().into(),
            _ => redact_option(text),
        }),
    }
}

fn redact_option(text: &str) -> Cow<'static, str> {
    match text.starts_with('/') {
        true => PATH.into(),
        false if text.parse::<IpAddr>().is_ok() => redact_address(text),
        false => REDACTED.into(),
    }
}

fn replace_rows(value: &mut Json<'_>) {
    let Json::List(rows) = value else {
        return each_text(value, &|_| REDACTED.into());
    };
    for row in rows {
        let cells = match row {
            Json::List(cells) => match cells.split_first_mut() {
                Some((key, _)) if is_harmless_option(key.text()) => continue,
                Some((_, cells)) => cells,
                None => continue,
            },
            row => std::slice::from_mut(row),
        };
        for cell in cells {
            each_text(cell, &redact_option);
        }
    }
}

fn redact_constraint(redaction: &Redaction, text: &str) -> Cow<'static, str> {
    let subject = text.trim_start();
    let is_concerned = if subject.starts_with("node.hostname") {
        redaction.has(Class::Host)
    } else if subject.starts_with("node.ip") {
        redaction.has(Class::Addresses)
    } else {
        let key = ["node.labels.", "engine.labels."]
            .iter()
            .find_map(|prefix| subject.strip_prefix(prefix));
        key.is_some_and(|rest| {
            let key = rest.split(['=', '!']).next().unwrap_or_default().trim();
            super::label::replacement(redaction, key).is_some()
        })
    };
    let operator = ["==", "!="]
        .iter()
        .filter_map(|operator| text.find(operator))
        .min();
    match operator {
        Some(at) if is_concerned => format!("{}{REDACTED}", &text[..at + 2]).into(),
        None if is_concerned => REDACTED.into(),
        _ => text.to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(values: &str, form: ValueForm, json: &str) -> String {
        let redaction = Redaction::read([values]).expect("values");
        let mut value = Json::read(json.as_bytes()).expect("JSON");
        replace(&redaction, form, &mut value);
        let once = value.to_string();
        replace(&redaction, form, &mut value);
        assert_eq!(value.to_string(), once, "twice is as once: {json}");
        once
    }

    #[test]
    fn each_form_keeps_its_form() {
        for (form, json, want) in [
            (
                ValueForm::Text,
                r#"["a","",{"k":"b"},1,null]"#,
                r#"["redacted","",{"k":"redacted"},1,null]"#,
            ),
            (
                ValueForm::Figure,
                r#"{"a":12,"b":"x"}"#,
                r#"{"a":0,"b":"redacted"}"#,
            ),
            (ValueForm::Count, "8", "1"),
            (
                ValueForm::Env,
                r#"["A=b=c","B=","C"]"#,
                r#"["A=redacted","B=","C"]"#,
            ),
            (ValueForm::Env, r#"{"A":"b"}"#, r#"{"A":"redacted"}"#),
            (
                ValueForm::Env,
                r#"[{"Name":"A","Settable":["value"],"Value":"b"}]"#,
                r#"[{"Name":"A","Settable":["value"],"Value":"redacted"}]"#,
            ),
            (
                ValueForm::Test,
                r#"["CMD-SHELL","curl -u a:b"]"#,
                r#"["CMD-SHELL","redacted"]"#,
            ),
            (
                ValueForm::Test,
                r#"["curl","NONE"]"#,
                r#"["redacted","redacted"]"#,
            ),
            (ValueForm::Test, r#"["NONE"]"#, r#"["NONE"]"#),
            (ValueForm::Action, r#""start""#, r#""start""#),
            (
                ValueForm::Action,
                r#""exec_create: sh -c x""#,
                r#""exec_create: redacted""#,
            ),
            (
                ValueForm::Action,
                r#""health_status: healthy""#,
                r#""health_status: healthy""#,
            ),
            (
                ValueForm::Action,
                r#""health_status: a b""#,
                r#""health_status: redacted""#,
            ),
            (ValueForm::Action, r#""a command""#, r#""redacted""#),
            (
                ValueForm::Path,
                r#"["/srv","a:b",""]"#,
                r#"["/redacted","/redacted",""]"#,
            ),
            (
                ValueForm::Source,
                r#"["/srv","data","ghcr.io/a/b:c"]"#,
                r#"["/redacted","data","ghcr.io/a/b:c"]"#,
            ),
            (
                ValueForm::Source,
                r#"["C:/data","./x","\\\\.\\pipe"]"#,
                r#"["/redacted","/redacted","/redacted"]"#,
            ),
            (ValueForm::Bind, r#""/srv/a:/b:ro""#, r#""/redacted:/b:ro""#),
            (ValueForm::Bind, r#""data:/b:ro,z""#, r#""data:/b:ro,z""#),
            (ValueForm::Bind, r#""/a:/b:/c""#, r#""/redacted:/c""#),
            (
                ValueForm::Bind,
                r#""/a:/c:O,upperdir=/up""#,
                r#""/redacted:/c:O,upperdir=/redacted""#,
            ),
            (ValueForm::Bind, r#""C:\\a""#, r#""/redacted""#),
            (
                ValueForm::PathOption,
                r#"["seccomp=/etc/x.json","label=disable","no-new-privileges"]"#,
                r#"["seccomp=/redacted","label=disable","no-new-privileges"]"#,
            ),
            (
                ValueForm::Address,
                r#"["172.17.0.2","172.17.0.2/16",""]"#,
                r#"["0.0.0.0","0.0.0.0/0",""]"#,
            ),
            (
                ValueForm::Address,
                r#"["fe80::1%eth0","fd00::/8"]"#,
                r#"["::","::/0"]"#,
            ),
            (
                ValueForm::Address,
                r#"["10.0.0.1:2377","[fd00::1]:2377","node-1:2377","node-1"]"#,
                r#"["0.0.0.0:2377","[::]:2377","redacted:2377","redacted"]"#,
            ),
            (
                ValueForm::AddressKeys,
                r#"{"10.0.0.0/8":{"IPsInUse":4},"10.1.0.0/16":{},"fd00::/8":{}}"#,
                r#"{"0.0.0.0/32":{"IPsInUse":4},"0.0.0.1/32":{},"::2/128":{}}"#,
            ),
            (
                ValueForm::HostEntry,
                r#"["db:10.0.0.1","db=fd00::1","gw:host-gateway","10.0.0.1 db db.local"]"#,
                r#"["redacted:0.0.0.0","redacted=::","redacted:host-gateway","0.0.0.0 redacted redacted"]"#,
            ),
            (
                ValueForm::Mac,
                r#""02:42:ac:11:00:02""#,
                r#""00:00:00:00:00:00""#,
            ),
            (
                ValueForm::Options,
                r#"{"type":"nfs","device":"/x","o":"addr=1.2.3.4","com.docker.network.bridge.name":"b"}"#,
                r#"{"type":"nfs","device":"/redacted","o":"redacted","com.docker.network.bridge.name":"b"}"#,
            ),
            (
                ValueForm::Options,
                r#"["rbind","mode=755","upperdir=/x","password=x","//server/x"]"#,
                r#"["rbind","mode=755","upperdir=/redacted","password=redacted","/redacted"]"#,
            ),
            (
                ValueForm::Rows,
                r#"[["Backing Filesystem","extfs"],["Root Dir","/x"]]"#,
                r#"[["Backing Filesystem","extfs"],["Root Dir","/redacted"]]"#,
            ),
            (ValueForm::Base64, r#""c2VjcmV0""#, r#""cmVkYWN0ZWQ=""#),
            (
                ValueForm::Registry,
                r#"["https://mirror.example/","10.0.0.0/8","hub.example:5000"]"#,
                r#"["https://redacted.invalid/","0.0.0.0/0","redacted.invalid"]"#,
            ),
            (
                ValueForm::RegistryKeys,
                r#"{"docker.io":{"Name":"docker.io","Secure":true},"a.b:5":{"Name":"a.b:5"}}"#,
                r#"{"docker.io":{"Name":"docker.io","Secure":true},"registry-1.invalid":{"Name":"redacted.invalid"}}"#,
            ),
            (
                ValueForm::Constraint,
                r#"["node.hostname==a","node.role == manager","node.labels.zone!=b"]"#,
                r#"["node.hostname==redacted","node.role == manager","node.labels.zone!=redacted"]"#,
            ),
        ] {
            assert_eq!(replaced("all", form, json), want, "{form:?}");
        }
    }

    #[test]
    fn proxies_are_variables_as_well() {
        let json = r#"["HTTP_PROXY=http://a:b@c","no_proxy=x","PASSWORD=y"]"#;
        let want = r#"["HTTP_PROXY=redacted","no_proxy=redacted","PASSWORD=y"]"#;
        assert_eq!(replaced("proxies", ValueForm::Env, json), want);
    }
}
