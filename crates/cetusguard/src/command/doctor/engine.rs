//! Checks the engine: its socket, the permission to open it, its answer, its version, and its
//! clock.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use cetusguard_config::address::Address;
use cetusguard_policy::guard::Json;

use super::Finding;
use crate::backend::Backend;
use crate::config::Config;
use crate::engine::{Asked, Trouble, fetch, fetch_as};

const ABOUT: &str = "engine";

/// The time that the engine has to answer: users do not wait for a minute.
pub(in crate::command) const PATIENCE: Duration = Duration::from_secs(5);

/// Clocks that differ by more disagree about certificates sooner or later.
const CLOCK_LIMIT: Duration = Duration::from_secs(60);

/// Asks the engine for its version, and for its time.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let backend = Backend::new(
        config.backend.clone(),
        config.backend_tls.clone(),
        config.limits.connect,
    );
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Finding::bad(
                ABOUT,
                format!("cannot be asked: {error}"),
                "raise the limits of this process",
            )];
        }
    };
    let limit = config.limits.answer.min(PATIENCE);
    let mut findings = match runtime.block_on(version("cetusguard doctor", &backend, limit)) {
        Ok(finding) => vec![finding],
        Err(finding) => return vec![finding],
    };
    if let Ok(Asked::Answer(info)) =
        runtime.block_on(async { fetch(&backend, "/info", limit).await })
    {
        findings.extend(compare_clocks(&info));
    }
    findings
}

/// Looks whether there is an engine that answers, and that is new enough.
///
/// # Errors
/// Returns a finding that says why the engine cannot be used.
pub(in crate::command) async fn version(
    agent: &str,
    backend: &Backend,
    limit: Duration,
) -> Result<Finding, Finding> {
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
        Ok(Asked::Answer(version)) => judge_version(&version, &address),
        Ok(Asked::Missing(_)) => Err(Finding::bad(
            ABOUT,
            format!("what listens at {address} is no engine: it has no /version"),
            "correct backend-addr",
        )),
        Err(Trouble::Late(_)) => {
            let what = format!("{address} accepted the request and did not answer");
            Err(Finding::bad(
                ABOUT,
                what,
                "look into the engine's own log, or restart it",
            ))
        }
        Err(trouble) => Err(report_unreachable(&trouble.to_string(), &address)),
    }
}

/// Reports a socket that is missing, is no socket, or cannot be opened by this user.
fn examine_socket(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fix = format!(
                "start the engine, or mount its socket: -v {shown}:{shown}:ro; or correct \
                backend-addr"
            );
            return Some(Finding::bad(ABOUT, format!("{shown} is not there"), fix));
        }
        Err(error) => {
            return Some(Finding::bad(
                ABOUT,
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
        return Some(Finding::bad(ABOUT, format!("{shown} is a folder"), fix));
    }
    if !meta.file_type().is_socket() {
        return Some(Finding::bad(
            ABOUT,
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
        Finding::bad(
            ABOUT,
            format!(
                "{shown} belongs to user {user} and group {group}, and user {own} may not open it"
            ),
            fix,
        )
    })
}

fn report_unreachable(why: &str, address: &Address) -> Finding {
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
    Finding::bad(ABOUT, why, fix)
}

fn judge_version(version: &[u8], address: &Address) -> Result<Finding, Finding> {
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
        None => Err(Finding::bad(
            ABOUT,
            format!("{address} does not say which API it speaks"),
            "does backend-addr point to an engine?",
        )),
        Some(newest) if newest < (1, 24) => {
            let what = format!(
                "version {name} speaks the API up to {}.{} only; what is older than 1.24 is refused",
                newest.0, newest.1
            );
            Err(Finding::bad(ABOUT, what, "upgrade the engine"))
        }
        Some(_) if oldest.is_empty() => Ok(Finding::good(
            ABOUT,
            format!("version {name} answers at {address}, API up to {newest}"),
        )),
        Some(_) => Ok(Finding::good(
            ABOUT,
            format!("version {name} answers at {address}, API {oldest} to {newest}"),
        )),
    }
}

/// Returns the engine's time, if the engine gives it in UTC.
fn compare_clocks(info: &[u8]) -> Option<Finding> {
    let info = Json::read(info).ok()?;
    let time = humantime::parse_rfc3339(info.get("SystemTime")?.text()).ok()?;
    let now = SystemTime::now();
    let apart = now
        .duration_since(time)
        .or_else(|_| time.duration_since(now))
        .ok()?;
    let seconds = apart.as_secs();
    Some(match apart > CLOCK_LIMIT {
        true => Finding::warning(
            "clock",
            format!("the engine's differs by {seconds} s"),
            "let both set their clocks by NTP: certificates are valid by the clock",
        ),
        false => Finding::good("clock", "agrees with the engine's"),
    })
}
