//! `cetusguard migrate`: another proxy's settings in, a configuration with the same intent out, and a note for each difference.
//!
//! Where an intent is not clear, less is allowed, and a note says which line would allow more.

mod goprogram;
mod plan;
mod sections;
mod settings;
mod sockguard;
mod text;
mod wollomatic;

use super::{Answer, Asked, Failure};
use crate::config::read_input;
use plan::Plan;
use settings::Settings;

/// Reads the settings of one proxy and prints ours.
pub(super) fn run(asked: &Asked) -> Result<Answer, Failure> {
    let proxy = asked.value("PROXY").unwrap_or_default();
    let input = read_input(asked.value("FILE").unwrap_or("-"))?;
    let images: &[&str] = match proxy {
        "tecnativa" => &["tecnativa/docker-socket-proxy"],
        "linuxserver" => &["linuxserver/socket-proxy", "linuxserver.io/socket-proxy"],
        "wollomatic" => &["wollomatic/socket-proxy"],
        "cetusguard" => &["hectorm/cetusguard"],
        _ => &["codeswhat/sockguard"],
    };
    let settings = Settings::read(&input, asked.value("service"), images)?;
    let mut plan = Plan::new(&settings);
    match proxy {
        "tecnativa" => sections::plan(&settings, sections::Gate::Tecnativa, &mut plan),
        "linuxserver" => sections::plan(&settings, sections::Gate::LinuxServer, &mut plan),
        "wollomatic" => wollomatic::plan(&settings, &mut plan),
        "cetusguard" => goprogram::plan(&settings, &mut plan),
        _ => sockguard::plan(&settings, &mut plan),
    }
    plan.compare();
    let text = if asked.wants_json() { super::json(&text::Shown::of(&plan)) } else { text::page(&plan, proxy) };
    Ok(text.into())
}
