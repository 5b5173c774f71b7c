//! `cetusguard explain`: the decision about a call, step by step in the order of the journey; or
//! the refusals in a log.

pub(super) mod client;
mod decision;
mod judgement;
mod refused;
mod text;

use cetusguard_config::{Mistake, Mistakes, read_input};
use cetusguard_policy::Call;

use super::page::TextPage;
use super::{CommandFailure, CommandOutput, Invocation};
use decision::ExplainedDecision;

/// Explains a call or a log.
pub(super) fn run(asked: &Invocation) -> Result<CommandOutput, CommandFailure> {
    let config = asked.load().1?.config;
    let mut page = TextPage::new(&asked.sources.env);
    if let Some(path) = asked.value("log") {
        let groups = refused::groups(path, &read_input(path)?, &config.profiles)?;
        let text = if asked.wants_json() {
            super::json(&groups)
        } else {
            refused::write(&groups, &mut page);
            page.into_text()
        };
        return Ok(text.into());
    }
    let (method, path) = (
        asked.value("METHOD").unwrap_or_default(),
        asked.value("PATH").unwrap_or_default(),
    );
    let call = Call::read(method, path).map_err(|malformed| {
        let what = format!("{method} {path} would be refused before anything else: {malformed}");
        Mistakes(vec![Mistake::new(what, nearest_call(method, path))])
    })?;
    let (profile, mismatches) = client::find_profile(asked, &config)?;
    let body = asked.value("body").map(read_input).transpose()?;
    let decision = ExplainedDecision {
        mismatches,
        ..ExplainedDecision::of(&call, &profile, &config.profiles, body.as_deref())
    };
    let code = u8::from(!decision.allowed);
    let text = if asked.wants_json() {
        super::json(&decision)
    } else {
        text::write(&decision, &mut page);
        page.into_text()
    };
    Ok(CommandOutput { text, code })
}

/// Returns the call that was probably meant: methods are upper-case, and a request target has no
/// scheme and host.
fn nearest_call(method: &str, path: &str) -> String {
    let upper = method.to_ascii_uppercase();
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => path,
    };
    match Call::read(&upper, path) {
        Ok(_) => format!("did you mean {upper} {path}?"),
        Err(_) => "write it as a client sends it, as in GET /v1.43/containers/json".to_owned(),
    }
}
