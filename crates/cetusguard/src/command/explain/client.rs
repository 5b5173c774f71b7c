//! The profile that decides about a call: by its name, or by the marks of a client.

use std::net::IpAddr;
use std::sync::Arc;

use cetusguard_config::clients::condition;
use cetusguard_config::{Mistake, Mistakes};
use serde::Serialize;

use cetusguard_policy::{Ambiguous, Certificate, Condition, Container, Principal, Profile};

use crate::command::Invocation;
use cetusguard_proxy::Config;

/// A profile that does not match the client, by one entry of its `clients`.
#[derive(Debug, Serialize)]
pub(super) struct Mismatch {
    pub(super) profile: String,
    /// All conditions of the entry.
    pub(super) conditions: Vec<String>,
    /// The conditions that do not hold for the known properties of the client.
    pub(super) unmet: Vec<String>,
}

/// Finds the profile that the call is decided by; and if no profile matches the client that was
/// described, how each one misses it.
pub(super) fn find_profile(
    asked: &Invocation,
    config: &Config,
) -> Result<(Arc<Profile>, Vec<Mismatch>), Mistakes> {
    let wrong = |what: String, fix: String| Mistakes(vec![Mistake::new(what, fix)]);
    if let Some(name) = asked.value("profile") {
        return Ok((config.profile(name)?, Vec::new()));
    }
    let mut client = Principal::default();
    let is_described = !asked.values("client").is_empty();
    for mark in asked.values("client") {
        let expected = |expected: &str| wrong(format!("--client is {mark:?}"), expected.to_owned());
        let (key, value) = mark
            .split_once('=')
            .ok_or_else(|| expected("expected KEY=VALUE, as in container=web"))?;
        add_mark(&mut client, key, value, config).map_err(|what| expected(&what))?;
    }
    match config.profiles.of(&client) {
        Ok((profile, None)) if is_described => {
            Ok((Arc::clone(profile), find_mismatches(&client, config)))
        }
        Ok((profile, _)) => Ok((Arc::clone(profile), Vec::new())),
        Err(Ambiguous {
            profiles: [one, other],
        }) => {
            let what = format!(
                "this client is one of profile {one} and of profile {other}, and gets nothing"
            );
            Err(wrong(what, "make their clients distinct".to_owned()))
        }
    }
}

/// Lists the entries that do not match a client, those with the fewest unmet conditions first.
fn find_mismatches(client: &Principal, config: &Config) -> Vec<Mismatch> {
    let mut found: Vec<Mismatch> = Vec::new();
    for profile in config.profiles.all() {
        for selector in config.profiles.selectors_of(profile) {
            found.push(Mismatch {
                profile: profile.name.clone(),
                conditions: selector
                    .conditions()
                    .iter()
                    .map(|one| write_condition(one, config))
                    .collect(),
                unmet: selector
                    .unmet(client)
                    .map(|one| write_condition(one, config))
                    .collect(),
            });
        }
    }
    found.sort_by_key(|mismatch| mismatch.unmet.len());
    found
}

/// Writes a condition as `--client` takes it.
pub(in crate::command) fn write_condition(condition: &Condition, config: &Config) -> String {
    let (key, value) = condition.written();
    let value = match condition {
        Condition::Frontend(place) => config
            .frontends
            .get(*place)
            .map_or(value, |frontend| frontend.address.to_string()),
        _ => value,
    };
    format!("{key}={value}")
}

/// Adds one mark to the description of a client. The keys are those of `clients`, and `frontend`.
pub(in crate::command) fn add_mark(
    client: &mut Principal,
    key: &str,
    value: &str,
    config: &Config,
) -> Result<(), String> {
    if key == "frontend" {
        let mut addresses = config
            .frontends
            .iter()
            .map(|frontend| frontend.address.to_string());
        let place = addresses.position(|address| address == value);
        client.frontend = place
            .ok_or_else(|| "expected an address of frontend-addr, or of frontends".to_owned())?;
        return Ok(());
    }
    let known = cetusguard_config::CLIENT_KEYS
        .iter()
        .map(|known| known.name);
    if !known.clone().any(|known| known == key) {
        let keys: Vec<_> = known.chain(["frontend"]).collect();
        return Err(format!("expected one of: {}", keys.join(", ")));
    }
    let mut certificate = client.certificate.as_deref().cloned().unwrap_or_default();
    let mut container = client.container.as_deref().cloned().unwrap_or_default();
    match condition(key, value)? {
        Condition::CommonName(name) => certificate.common_name = Some(name.as_str().to_owned()),
        Condition::DnsName(name) => certificate.dns.push(name.as_str().to_owned()),
        Condition::IpName(ip) => certificate.ip.push(ip),
        Condition::Uri(uri) => certificate.uri.push(uri.as_str().to_owned()),
        Condition::Pin(pin) => certificate.pin = pin,
        Condition::User(user) => {
            client.peer = Some((user, client.peer.map_or(u32::MAX, |(_, group)| group)))
        }
        Condition::Group(group) => {
            client.peer = Some((client.peer.map_or(u32::MAX, |(user, _)| user), group))
        }
        Condition::Name(name) => container.name = name.as_str().to_owned(),
        Condition::Label(label, text) => container.labels.push((label, text.as_str().to_owned())),
        Condition::Network(network) => {
            let address: IpAddr = network.addr();
            if network.prefix_len() < network.max_prefix_len() {
                return Err("expected one address".to_owned());
            }
            client.address = Some(address);
        }
        Condition::Frontend(place) => client.frontend = place,
    }
    client.certificate = (certificate != Certificate::default()).then(|| Arc::new(certificate));
    client.container = (container != Container::default()).then(|| Arc::new(container));
    Ok(())
}
