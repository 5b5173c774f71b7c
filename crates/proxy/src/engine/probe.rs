//! The question whether the engine can be used: its socket, the permission to open it, its answer and
//! its version.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use cetusguard_config::address::Address;
use cetusguard_policy::guard::Json;

use super::{EngineError, ObjectAnswer, fetch_as};
use crate::engine::backend::Backend;

/// The time that the engine has to answer: users do not wait for a minute.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The version of an engine that can be used.
#[derive(Debug)]
pub struct EngineVersion {
    /// The version of the engine's program.
    pub name: String,
    /// The newest version of the API that the engine speaks.
    pub newest: String,
    /// The oldest one; empty if the engine does not say it.
    pub oldest: String,
}

/// The reason why the engine cannot be used.
#[derive(Debug)]
pub struct UnusableEngine {
    /// The problem.
    pub problem: String,
    /// The next step.
    pub fix: String,
}

impl UnusableEngine {
    fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// Asks the engine for its version, and judges whether the proxy can use it. `limit` is the time
/// that the engine has to answer; `agent` tells its log which command asks.
///
/// # Errors
/// Returns why the engine cannot be used.
pub async fn probe_engine(
    agent: &str,
    backend: &Backend,
    limit: Duration,
) -> Result<EngineVersion, UnusableEngine> {
    let address = backend.address().clone();
    if let Address::Unix(path) = &address {
        // A mount may hang, and requests must not wait for it.
        let path = path.clone();
        if let Ok(Some(finding)) = tokio::task::spawn_blocking(move || examine_socket(&path)).await
        {
            return Err(finding);
        }
    }
    match fetch_as(agent, backend, "/version", limit).await {
        Ok(ObjectAnswer::Answer(version)) => judge_version(&version, &address),
        Ok(ObjectAnswer::Missing(_)) => Err(UnusableEngine::new(
            format!("what listens at {address} is no engine: it has no /version"),
            "correct backend-addr",
        )),
        Err(EngineError::Late(_)) => {
            let what = format!("{address} accepted the request and did not answer");
            Err(UnusableEngine::new(
                what,
                "look into the engine's own log, or restart it",
            ))
        }
        Err(trouble) => Err(report_unreachable(&trouble.to_string(), &address)),
    }
}

/// Reports a socket that is missing, is no socket, or cannot be opened by this user.
fn examine_socket(path: &Path) -> Option<UnusableEngine> {
    let shown = path.display();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fix = format!(
                "start the engine, or mount its socket: -v {shown}:{shown}:ro; or correct \
                backend-addr"
            );
            return Some(UnusableEngine::new(format!("{shown} is not there"), fix));
        }
        Err(error) => {
            return Some(UnusableEngine::new(
                format!("{shown}: {error}"),
                "let this user into its folder",
            ));
        }
    };
    if meta.is_dir() {
        let fix = format!(
            "it was made by mounting a socket that was not there: remove the folder on the host, \
            start the engine, then mount {shown} again"
        );
        return Some(UnusableEngine::new(format!("{shown} is a folder"), fix));
    }
    if !meta.file_type().is_socket() {
        return Some(UnusableEngine::new(
            format!("{shown} is no socket"),
            "correct backend-addr",
        ));
    }
    use rustix::fs::{Access, access};
    let may = access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    let (user, group) = (meta.uid(), meta.gid());
    let fix = format!(
        "in compose: group_add: [\"{group}\"], or user: \"{user}:{group}\"; with docker run: \
        --group-add {group}; with systemd: SupplementaryGroups={group}"
    );
    let own = rustix::process::geteuid().as_raw();
    (!may).then(|| {
        UnusableEngine::new(
            format!(
                "{shown} belongs to user {user} and group {group}, and user {own} may not open it"
            ),
            fix,
        )
    })
}

fn report_unreachable(why: &str, address: &Address) -> UnusableEngine {
    let fix = match address {
        Address::Tcp { .. } => {
            "start the engine with that address, or correct backend-addr; an engine with TLS needs \
            backend-tls-cacert"
        }
        _ => {
            "start the engine; a socket that was mounted before the engine restarted leads \
            nowhere: mount its folder, or restart this container"
        }
    };
    UnusableEngine::new(why, fix)
}

fn judge_version(version: &[u8], address: &Address) -> Result<EngineVersion, UnusableEngine> {
    let version = Json::read(version).unwrap_or(Json::Null);
    let text = |key: &str| {
        version
            .get(key)
            .map(Json::text)
            .unwrap_or_default()
            .to_owned()
    };
    let [name, newest, oldest] = ["Version", "ApiVersion", "MinAPIVersion"].map(text);
    let number = |text: &str| {
        text.split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
    };
    let known: Option<(u32, u32)> = number(&newest);
    match known {
        None => Err(UnusableEngine::new(
            format!("{address} does not say which API it speaks"),
            "does backend-addr point to an engine?",
        )),
        Some(newest) if newest < (1, 24) => {
            let what = format!(
                "version {name} speaks the API up to {}.{} only; what is older than 1.24 is refused",
                newest.0, newest.1
            );
            Err(UnusableEngine::new(what, "upgrade the engine"))
        }
        Some(_) => Ok(EngineVersion {
            name,
            newest,
            oldest,
        }),
    }
}
