//! Checks the addresses to listen on: whether another program has them, and which clients reach
//! them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use cetusguard_config::address::Address;
use cetusguard_config::written::Written;
use cetusguard_config::{plain_error, read_text};
use rustix::fs::{Access, access};

use super::Diagnosis;
use super::holder::PortHolder;
use crate::command::healthcheck::{self, HealthFailure, Unhealthy};
use cetusguard_proxy::{Config, Frontend};

const ABOUT: &str = "frontend";

/// Returns whether this process runs in a container, as far as its environment tells.
pub(super) fn is_in_container(env: &HashMap<String, OsString>) -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    let vars = ["container", "KUBERNETES_SERVICE_HOST"];
    marks.iter().any(|mark| Path::new(mark).exists())
        || vars.iter().any(|var| env.contains_key(*var))
}

/// Returns whether an interface is one end of a pair, as in containers: the numbers of the two ends
/// differ.
fn has_own_network() -> bool {
    let number = |path: &Path| {
        read_text(&path.display().to_string())
            .ok()
            .map(|text| text.trim().to_owned())
    };
    let interfaces = std::fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    interfaces
        .map(|interface| interface.path())
        .any(|interface| {
            // The other ends have such names on the host.
            let is_other_end = interface
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("veth"));
            !is_other_end && number(&interface.join("iflink")) != number(&interface.join("ifindex"))
        })
}

/// Looks at each frontend, then at all of them.
pub(super) fn examine(config: &Config, written: &Written, in_container: bool) -> Vec<Diagnosis> {
    let mut findings: Vec<_> = config
        .frontends
        .iter()
        .map(|frontend| examine_frontend(frontend, written))
        .collect();
    let is_local = |frontend: &Frontend| matches!(&frontend.address, Address::Tcp { host, .. } if is_loopback(host));
    if in_container && config.frontends.iter().all(is_local) {
        let what = "every address is on loopback, which no other container reaches";
        let fix = "set CETUSGUARD_FRONTEND_ADDR=tcp://:2375";
        findings.push(match has_own_network() {
            true => Diagnosis::bad(ABOUT, what, fix),
            false => Diagnosis::warning(
                ABOUT,
                what,
                format!("{fix}, unless this container has the host's network"),
            ),
        });
    }
    for frontend in &config.frontends {
        let Address::Tcp { host, .. } = &frontend.address else {
            continue;
        };
        if !in_container && is_everywhere(host) && frontend.tls.is_none() {
            let what = format!(
                "{} is open to every network of this machine, without TLS",
                frontend.address
            );
            let fix = "listen on 127.0.0.1 or on a bridge's address, or set frontend-tls-cert, \
                -key and -cacert";
            findings.push(Diagnosis::warning(ABOUT, what, fix));
        }
    }
    findings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_everywhere(host: &str) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

fn examine_frontend(frontend: &Frontend, written: &Written) -> Diagnosis {
    let address = &frontend.address;
    match address {
        Address::Tcp { host, port } => {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            match TcpListener::bind((host, *port)) {
                Ok(_) => Diagnosis::good(ABOUT, format!("{address} is free")),
                Err(error) => describe_taken_address(address, *port, &error, written),
            }
        }
        Address::Unix(path) => examine_socket(address, path, written),
        Address::Inherited(_) => Diagnosis::good(ABOUT, "sockets come from systemd"),
    }
}

fn describe_taken_address(
    address: &Address,
    port: u16,
    error: &std::io::Error,
    written: &Written,
) -> Diagnosis {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => describe_served_address(
            address,
            Some(port),
            healthcheck::run(written, Some(&address.to_string())),
        ),
        std::io::ErrorKind::AddrNotAvailable => Diagnosis::bad(
            ABOUT,
            format!("this machine has no address {address}"),
            "choose one of ip -brief address, or tcp://:PORT for all",
        ),
        std::io::ErrorKind::PermissionDenied => Diagnosis::bad(
            ABOUT,
            format!("this user may not listen on port {port}"),
            "choose a port from 1024 on",
        ),
        _ => Diagnosis::bad(
            ABOUT,
            format!("{address} cannot be listened on: {}", plain_error(error)),
            "choose another address",
        ),
    }
}

/// Describes an address on which a process listens already: the proxy that doctor is about, or
/// another program.
fn describe_served_address(
    address: &Address,
    port: Option<u16>,
    answered: Result<(), Unhealthy>,
) -> Diagnosis {
    let holder = port.and_then(PortHolder::of);
    let by = holder
        .as_ref()
        .map(|holder| format!("{} (process {})", holder.name, holder.process))
        .unwrap_or_default();
    if holder.as_ref().is_some_and(|holder| !holder.is_cetusguard) {
        return Diagnosis::bad(
            ABOUT,
            format!("{address} is taken by {by}"),
            "end that program, or choose another address",
        );
    }
    let served = match by.as_str() {
        "" => format!("{address} is served already"),
        by => format!("{address} is served already by {by}"),
    };
    match answered {
        Ok(()) => Diagnosis::good(ABOUT, format!("{served}, and answers /_ping")),
        Err(Unhealthy::Failed {
            why: HealthFailure::WantsCertificate,
            ..
        }) => Diagnosis::good(
            ABOUT,
            format!("{served}, and asks clients for a certificate"),
        ),
        Err(Unhealthy::Failed {
            why: HealthFailure::Refused(status, why),
            ..
        }) => describe_refused_ping(&served, &status, &why),
        Err(failed) if holder.is_some() => Diagnosis::warning(
            ABOUT,
            format!("{served}, and this check got no answer: {failed}"),
            "run doctor with the flags, the environment and the file of that process",
        ),
        Err(failed) => describe_stranger(address, port, &failed),
    }
}

/// Describes a proxy that refuses the ping of this check.
fn describe_refused_ping(served: &str, status: &str, why: &str) -> Diagnosis {
    let fix = if status.starts_with('5') {
        "see what is said about the engine"
    } else {
        "nothing for clients that do not need /_ping; a health check at this address would fail"
    };
    let what = format!("{served}: Cetusguard answers this check with {status}: {why}");
    Diagnosis::warning(ABOUT, what, fix)
}

/// Describes an address that a program has which is not Cetusguard, and whose name this user cannot
/// see.
fn describe_stranger(address: &Address, port: Option<u16>, failed: &Unhealthy) -> Diagnosis {
    let find = port
        .map(|port| format!(" (as root, ss -ltnp 'sport = :{port}' names it)"))
        .unwrap_or_default();
    Diagnosis::bad(
        ABOUT,
        format!("{address} is taken by a program that does not answer as Cetusguard: {failed}"),
        format!("end the program that has it{find}, or choose another address"),
    )
}

/// Looks whether a Unix socket can be made, or is served already.
fn examine_socket(address: &Address, path: &Path, written: &Written) -> Diagnosis {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            let fix = "remove it, or choose another path";
            return Diagnosis::bad(
                ABOUT,
                format!("another file or a folder has the path {}", path.display()),
                fix,
            );
        }
        Ok(_) => {}
        Err(_) => return examine_folder(path),
    }
    match healthcheck::run(written, Some(&address.to_string())) {
        // A new socket takes the place of one that was left behind.
        Err(Unhealthy::Failed {
            why: HealthFailure::NothingListens(_),
            ..
        }) => examine_folder(path),
        answered => describe_served_address(address, None, answered),
    }
}

fn examine_folder(path: &Path) -> Diagnosis {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let shown = folder.display();
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Diagnosis::good(ABOUT, format!("unix://{} can be made", path.display())),
        Err(rustix::io::Errno::NOENT) => Diagnosis::bad(
            ABOUT,
            format!("the folder {shown} is not there"),
            "make it, or mount a volume there",
        ),
        Err(rustix::io::Errno::NOTDIR) => Diagnosis::bad(
            ABOUT,
            format!("a part of the path {shown} is a file, where a folder should be"),
            "correct the path",
        ),
        Err(rustix::io::Errno::ROFS) => Diagnosis::bad(
            ABOUT,
            format!("the folder {shown} is read-only"),
            "mount a volume there for writing",
        ),
        Err(error) => Diagnosis::bad(
            ABOUT,
            format!(
                "no socket can be made in {shown}: {}",
                plain_error(&error.into())
            ),
            "let this user write there",
        ),
    }
}
