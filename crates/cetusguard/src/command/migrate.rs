//! `cetusguard migrate`: another proxy's settings in, a configuration with the same intent out, and
//! a note for each difference.
//!
//! Where an intent is not clear, less is allowed. What is allowed less is not assumed but found, by
//! judging calls as both do.

mod bodies;
mod compare;
mod container;
mod docker_run;
mod elevennotes;
mod globs;
mod goprogram;
mod haproxy;
mod health;
mod lines;
mod mount;
mod note;
mod output;
mod patterns;
mod plan;
mod project;
mod sections;
mod settings;
mod several;
mod sockguard;
mod switches;
mod text;
mod wollomatic;
mod words;
mod yaml;

use super::{Answer, Asked, Failure};
use crate::config::read_input;
use plan::Plan;
use settings::Settings;
use several::Instance;
use switches::Gate;

/// Whose settings they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    ElevenNotes,
    GoProgram,
    LinuxServer,
    Sockguard,
    Tecnativa,
    Wollomatic,
}

impl Proxy {
    fn of(name: &str) -> Self {
        match name {
            "11notes" => Self::ElevenNotes,
            "cetusguard" => Self::GoProgram,
            "linuxserver" => Self::LinuxServer,
            "sockguard" => Self::Sockguard,
            "tecnativa" => Self::Tecnativa,
            _ => Self::Wollomatic,
        }
    }

    /// Returns the names of its image, without registry and tag.
    fn images(self) -> &'static [&'static str] {
        match self {
            Self::ElevenNotes => &["11notes/socket-proxy"],
            Self::GoProgram => &["hectorm/cetusguard"],
            Self::LinuxServer => &["linuxserver/socket-proxy", "linuxserver.io/socket-proxy"],
            Self::Sockguard => &["codeswhat/sockguard"],
            Self::Tecnativa => &["tecnativa/docker-socket-proxy"],
            Self::Wollomatic => &["wollomatic/socket-proxy"],
        }
    }

    /// Returns the keys of a configuration file of its own.
    fn own_keys(self) -> &'static [&'static str] {
        if self == Self::Sockguard {
            sockguard::KEYS
        } else {
            &[]
        }
    }

    fn plan(self, settings: &Settings) -> Plan {
        let mut plan = Plan::new(settings);
        match self {
            Self::ElevenNotes => elevennotes::plan(settings, &mut plan),
            Self::GoProgram => goprogram::plan(settings, &mut plan),
            Self::LinuxServer => sections::plan(settings, Gate::LinuxServer, &mut plan),
            Self::Sockguard => sockguard::plan(settings, &mut plan),
            Self::Tecnativa => sections::plan(settings, Gate::Tecnativa, &mut plan),
            Self::Wollomatic => wollomatic::plan(settings, &mut plan),
        }
        plan
    }
}

/// Reads the settings of one proxy, and prints ours or writes them into a folder. The exit code is
/// 1 where settings that may have kept clients from something are missing in the result.
pub(super) fn run(asked: &Asked) -> Result<Answer, Failure> {
    let name = asked.value("PROXY").unwrap_or_default();
    let proxy = Proxy::of(name);
    let path = asked.value("FILE").unwrap_or("-");
    let file = Some(path).filter(|path| *path != "-");
    let all = project::read(&read_input(path)?, file, proxy, asked.value("service"))?;
    let instances = all
        .into_iter()
        .map(|settings| Instance {
            plan: proxy.plan(&settings),
            settings,
        })
        .collect();
    let mut instances = several::joined(instances);
    for instance in &mut instances {
        instance.plan.compare();
        health::plan(&instance.settings, &mut instance.plan);
    }
    let is_incomplete = instances.iter().any(|instance| instance.plan.is_incomplete);
    let result = output::Output::of(instances, asked.value("out"));
    let text = match asked.value("out") {
        Some(folder) => result.write(folder, name, asked.wants_json())?,
        None if asked.wants_json() => super::json(&result),
        None => result.page(name),
    };
    Ok(Answer {
        text,
        code: u8::from(is_incomplete),
    })
}
