//! `cetusguard explain`: what becomes of a call, step by step as the journey takes it; or what the refused lines of a log mean.

mod client;
mod decision;
mod refused;
mod text;

use cetusguard_policy::Call;

use super::page::Page;
use super::{Answer, Asked, Failure};
use crate::config::{Mistake, Mistakes, read_input};
use decision::Decision;

/// Explains a call or a log.
pub(super) fn run(asked: &Asked) -> Result<Answer, Failure> {
    let config = asked.sources.load().1?.config;
    let mut page = Page::new(&asked.sources.env);
    if let Some(path) = asked.value("log") {
        let groups = refused::groups(&read_input(path)?, &config.profiles);
        let text = if asked.wants_json() {
            super::json(&groups)
        } else {
            refused::write(&groups, &mut page);
            page.into_text()
        };
        return Ok(text.into());
    }
    let (method, path) = (asked.value("METHOD").unwrap_or_default(), asked.value("PATH").unwrap_or_default());
    let call = Call::read(method, path).map_err(|malformed| {
        let what = format!("{method} {path} would be refused before anything else: {malformed}");
        Mistakes(vec![Mistake::new(what, "write it as a client sends it")])
    })?;
    let profile = client::profile(asked, &config)?;
    let body = asked.value("body").map(read_input).transpose()?;
    let decision = Decision::of(&call, &profile, body.as_deref());
    let code = u8::from(!decision.allowed);
    let text = if asked.wants_json() {
        super::json(&decision)
    } else {
        text::write(&decision, &mut page);
        page.into_text()
    };
    Ok(Answer { text, code })
}
