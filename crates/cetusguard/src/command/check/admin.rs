//! The warnings about the admin listener.

use std::os::unix::fs::MetadataExt as _;

use cetusguard_config::address::Address;
use cetusguard_config::admin::is_local;

use super::problem::{Problem, Severity};
use cetusguard_proxy::AdminSettings;

/// The folder of the secrets that an orchestrator mounts, by default for every user of the container.
const SECRETS: &str = "/run/secrets/";

/// Returns the possible mistakes in the settings of the admin listener.
pub(super) fn problems(admin: &AdminSettings) -> Vec<Problem> {
    [
        open_socket(admin),
        plain_token(admin),
        readable_token(admin),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn warn(code: &'static str, what: String, fix: &str) -> Problem {
    Problem {
        severity: Severity::Warning,
        code,
        profile: None,
        what,
        fix: fix.to_owned(),
    }
}

/// Warns of a socket that every user may open, without a token.
fn open_socket(admin: &AdminSettings) -> Option<Problem> {
    let is_socket = matches!(admin.address, Address::Unix(_));
    let is_open = is_socket && admin.access.token.is_none() && admin.mode & 0o002 != 0;
    is_open.then(|| {
        let what = format!(
            "every user may open {} (admin-socket-mode {:04o}), and requests need no token",
            admin.address, admin.mode
        );
        let fix = "set admin-socket-mode to 0660, or admin-token-file";
        warn("admin-open", what, fix)
    })
}

/// Warns of an address at which the token crosses a network as it is.
fn plain_token(admin: &AdminSettings) -> Option<Problem> {
    (!is_local(&admin.address) && admin.access.tls.is_none()).then(|| {
        let what = format!(
            "other hosts may reach {}, and the token crosses the network in clear text",
            admin.address
        );
        let fix = "set admin-tls-cert and admin-tls-key, or use an internal network, a Unix socket \
            or a loopback address";
        warn("admin-plain", what, fix)
    })
}

/// Warns of a file that lets every user have the token.
fn readable_token(admin: &AdminSettings) -> Option<Problem> {
    let path = admin.token_file.as_deref()?;
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    let is_readable = mode & 0o007 != 0 && !path.starts_with(SECRETS);
    is_readable.then(|| {
        let what = format!("every user may read the token in {path} (mode {mode:04o})");
        let fix = "let the user of the proxy alone read it: chown and chmod 0400";
        warn("admin-token", what, fix)
    })
}
