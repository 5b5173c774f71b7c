//! Addresses and log of proxies that are HAProxy underneath.

use cetusguard_config::address::Address;

use super::note::NoteKind;
use super::plan::{Plan, PlannedFrontend};
use super::settings::PeerSettings;
use cetusguard_config::log::Level;

/// Plans for socket, addresses and log.
pub(super) fn plan(settings: &PeerSettings, plan: &mut Plan) {
    add_frontends(settings, plan);
    set_backend(settings.var("SOCKET_PATH"), plan);
    let level = settings.var("LOG_LEVEL");
    match Level::parse(level) {
        _ if level.is_empty() => {}
        Ok(_) => plan.option("log-level", level),
        Err(_) => plan.note(
            NoteKind::Different,
            format!("LOG_LEVEL={level} is no level: the log has the default one"),
        ),
    }
    if !settings.var("TZ").is_empty() {
        plan.note(NoteKind::Different, "TZ: the log is in UTC");
    }
    plan.unneeded.extend(
        [
            "/usr/local/etc/haproxy",
            "/templates",
            "/run/haproxy.pid",
            "/var/lib/haproxy",
        ]
        .map(str::to_owned),
    );
    let its_own = ["/usr/local/etc/haproxy", "/templates"];
    for mount in settings.mounts.iter().filter(|mount| {
        its_own
            .iter()
            .any(|own| super::mount::is_within(&mount.target, own))
    }) {
        plan.lost(format!(
            "{} takes the place of the proxy's own configuration, which is not read: compare its \
            rules with those below by hand",
            mount.source
        ));
    }
    if !settings.args.is_empty() {
        plan.lost(
            "its command names a configuration of its own, which is not read: compare its \
            rules with those below by hand",
        );
    }
}

fn add_frontends(settings: &PeerSettings, plan: &mut Plan) {
    let written = settings.var("BIND_CONFIG");
    if written.is_empty() {
        let is_ipv4 = ["1", "true", "yes"]
            .contains(&settings.var("DISABLE_IPV6").to_ascii_lowercase().as_str());
        plan.frontends.push(PlannedFrontend::at(if is_ipv4 {
            "tcp://0.0.0.0:2375"
        } else {
            "tcp://:2375"
        }));
        return;
    }
    let mut words = written.split_whitespace();
    for address in words.next().unwrap_or_default().split(',') {
        let text = frontend_address(address);
        match Address::frontend(&text) {
            Ok(_) => plan.frontends.push(PlannedFrontend::at(text)),
            Err(expected) => plan.note(
                NoteKind::Missing,
                format!("BIND_CONFIG {address:?} is no address here: {expected}"),
            ),
        }
    }
    if plan.frontends.is_empty() {
        // Every other address could be wider than the one that cannot be read.
        plan.frontends
            .push(PlannedFrontend::at("tcp://127.0.0.1:2375"));
    }
    set_bind_options(words, plan);
}

/// Returns the address of a frontend for one of HAProxy's.
fn frontend_address(address: &str) -> String {
    let address = ["unix@", "ipv4@"]
        .iter()
        .find_map(|prefix| address.strip_prefix(prefix))
        .unwrap_or(address);
    let port = ["*:", "[::]:", ":::"]
        .iter()
        .find_map(|prefix| address.strip_prefix(prefix));
    match port {
        _ if address.starts_with('/') => format!("unix://{address}"),
        Some(port) => format!("tcp://:{port}"),
        None if address.starts_with(':') => format!("tcp://0.0.0.0{address}"),
        None => format!("tcp://{address}"),
    }
}

/// Carries over the words behind the addresses of `bind`.
fn set_bind_options<'w>(mut words: impl Iterator<Item = &'w str>, plan: &mut Plan) {
    while let Some(word) = words.next() {
        let key = match word {
            "v4v6" => continue,
            "v6only" => {
                plan.lost(
                    "BIND_CONFIG has v6only, and the result listens on IPv4 too: name one IPv6 \
                    address in frontend-addr"
                        .to_owned(),
                );
                continue;
            }
            "mode" => "socket-mode",
            "user" | "uid" => "socket-owner",
            "group" | "gid" => "socket-group",
            word => {
                plan.lost(format!(
                    "BIND_CONFIG has {word}, which is left out with all words behind it: for TLS, \
                    set frontend-tls-cert, frontend-tls-key and frontend-tls-cacert"
                ));
                break;
            }
        };
        // The words hold for every address of the line.
        if let Some(value) = words.next() {
            for socket in plan
                .frontends
                .iter_mut()
                .filter(|frontend| frontend.socket().is_some())
            {
                socket.keys.push((key, value.to_owned()));
            }
        }
    }
}

fn set_backend(path: &str, plan: &mut Plan) {
    let path = path.strip_prefix("unix@").unwrap_or(path);
    let path = ["ipv4@", "ipv6@"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))
        .unwrap_or(path);
    let text = match path {
        "" => "unix:///var/run/docker.sock".to_owned(),
        path if path.starts_with('/') => format!("unix://{path}"),
        address => format!("tcp://{address}"),
    };
    match Address::backend(&text) {
        Ok(_) => plan.backend = text,
        Err(expected) => {
            plan.note(
                NoteKind::Missing,
                format!("SOCKET_PATH {path:?} is no address of an engine here: {expected}"),
            );
            plan.backend = "unix:///var/run/docker.sock".to_owned();
        }
    }
}
