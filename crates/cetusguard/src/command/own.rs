//! `cetusguard own`: the objects that the clients of a profile own, to look at and to remove.

use std::time::Duration;

use cetusguard_config::Mistakes;
use cetusguard_config::address::Address;
use cetusguard_policy::Owner;
use serde::Serialize;

use super::page::{Emphasis, TextPage, count};
use super::{CommandFailure, CommandOutput, Invocation, doubt, tell};
use cetusguard_proxy::{Backend, EngineError, EngineSettings, Owned, list_owned, remove_owned};

/// An object, and the consequence of the command for it.
#[derive(Debug, Serialize)]
struct OwnedRow {
    kind: &'static str,
    name: String,
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    /// The reason why it is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
}

impl OwnedRow {
    fn new(owned: &Owned) -> Self {
        let created = owned.created.map(humantime::format_rfc3339_seconds);
        Self {
            kind: owned.kind.name(),
            name: owned.name.clone(),
            id: owned.id.clone(),
            session: owned.session.clone(),
            created: created.map(|time| time.to_string()),
            kept: None,
        }
    }
}

/// Lists or removes the objects of a profile, or of one of its sessions. Exits with 1 if an object
/// could not be removed.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    let Some((action, args)) = asked.args.subcommand() else {
        return Ok(String::new().into());
    };
    let removes = action == "remove";
    let (written, _, mistakes) = asked.sources.read();
    // What is removed cannot be had back, and a mistake may hide which engine is meant.
    if removes && !mistakes.is_empty() || !asked.sources.stray.is_empty() {
        return Err(Mistakes(mistakes).into());
    }
    if let Some(doubt) = doubt(&mistakes, "this may be the wrong engine or profile") {
        tell(&format!("cetusguard: {doubt}"));
    }
    let settings = EngineSettings::read(&written)?;
    let text = |name: &str| args.get_one::<String>(name).map(String::as_str);
    let profile = text("PROFILE").unwrap_or_default();
    check_profile(profile, &settings.owners)?;
    let owner = match text("SESSION") {
        None => Owner::profile(profile),
        Some(session) => Owner::session(profile, session).ok_or_else(|| {
            format!(
                "{session:?} is no name of a session: 1 to 63 letters, digits, dashes, dots and \
                underscores"
            )
        })?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let address = settings.backend.clone();
    let backend = Backend::new(settings.backend, settings.backend_tls, settings.connect);
    let rows = runtime
        .block_on(async {
            let listed = list_and_remove(&owner, removes, &backend);
            with_notice(listed, &address).await
        })
        .map_err(|trouble| trouble.to_string())?;
    let code = u8::from(rows.iter().any(|row| row.kept.is_some()));
    let text = if text("format") == Some("json") {
        super::json(&rows)
    } else {
        let mut page = TextPage::new(&asked.sources.env);
        write_rows(&rows, removes, &mut page);
        page.into_text()
    };
    Ok(CommandOutput { text, code })
}

/// The time after which the user is told what the command waits for.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits for the engine, and says so if it takes long.
async fn with_notice<T>(work: impl Future<Output = T>, engine: &Address) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(SILENCE, &mut work).await {
        return done;
    }
    tell(&format!("cetusguard: waiting for the engine at {engine} …"));
    work.await
}

/// Refuses a profile that does not exist, or that owns nothing.
fn check_profile(name: &str, owners: &[(String, bool)]) -> Result<(), String> {
    match owners.iter().find(|(known, _)| known == name) {
        Some((_, true)) => Ok(()),
        Some((_, false)) => Err(format!(
            "the clients of the profile {name} own nothing; own: true in the profile would have \
            them own what they create"
        )),
        None => {
            let names: Vec<_> = owners.iter().map(|(known, _)| known.as_str()).collect();
            Err(format!(
                "there is no profile {name:?}; expected one of: {}",
                names.join(", ")
            ))
        }
    }
}

async fn list_and_remove(
    owner: &Owner,
    removes: bool,
    backend: &Backend,
) -> Result<Vec<OwnedRow>, EngineError> {
    let mut rows = Vec::new();
    for owned in list_owned(owner, backend).await? {
        let mut row = OwnedRow::new(&owned);
        if removes {
            let removed = remove_owned(&owned, backend).await;
            row.kept = removed.err().map(|trouble| trouble.to_string());
        }
        rows.push(row);
    }
    Ok(rows)
}

fn write_rows(rows: &[OwnedRow], removes: bool, page: &mut TextPage) {
    for row in rows {
        let session = if row.session.is_empty() {
            String::new()
        } else {
            format!(" of session {}", row.session)
        };
        let created = row.created.as_deref().unwrap_or("an unknown time");
        let (kind, name) = (row.kind, &row.name);
        let text = format!("{kind} {name}{session}, created at {created}");
        match &row.kept {
            Some(why) => page.item(0, "KEPT     ", Emphasis::Bad, &format!("{text}: {why}")),
            None if removes => page.item(0, "removed  ", Emphasis::Good, &text),
            None => page.say(0, Emphasis::Plain, &text),
        }
    }
    let total = count(rows.len(), "object");
    page.say(0, Emphasis::Faint, &total);
}
