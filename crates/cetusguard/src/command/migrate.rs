//! `cetusguard migrate`: reads another proxy's settings, and writes a configuration with the same
//! intent and a note for each difference.
//!
//! If an intent is not clear, less is allowed. Notes on calls that are refused come from judging
//! every endpoint as both proxies do, not from assumptions.

mod bodies;
mod compare;
mod compose;
mod container;
mod docker_run;
mod elevennotes;
mod globs;
mod goprogram;
mod haproxy;
mod health;
mod lines;
mod losses;
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
mod verify;
mod wollomatic;
mod words;
mod yaml;

use cetusguard_config::read_input;

use super::{Answer, Asked, Failure};
use plan::Plan;
use settings::Settings;
use several::Instance;
use switches::Gate;

/// The proxies whose settings can be read.
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
    fn parse(name: &str) -> Self {
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

/// Reads the settings of a proxy, and prints the result or writes it into a folder. The exit code
/// is 1 where a note asks for a decision before the result is used.
pub(super) fn run(asked: &Asked) -> Result<Answer, Failure> {
    let name = asked.value("PROXY").unwrap_or_default();
    let proxy = Proxy::parse(name);
    let path = asked.value("FILE").unwrap_or("-");
    let given = project::Given {
        file: Some(path).filter(|path| *path != "-"),
        service: asked.value("service"),
        project: asked.value("project"),
        env_file: asked.value("env-file"),
    };
    let all = project::read_settings(&read_input(path)?, given, proxy)?;
    let instances = all
        .into_iter()
        .map(|settings| Instance {
            plan: proxy.plan(&settings),
            settings,
        })
        .collect();
    let mut instances = several::join_known_clients(instances);
    for instance in &mut instances {
        instance.plan.compare();
        health::plan(&instance.settings, &mut instance.plan);
        several::note_clients(&instance.settings, &mut instance.plan);
        verify::note_problems(&mut instance.plan);
    }
    let result = output::Output::new(instances, asked.value("out"));
    let text = match asked.value("out") {
        Some(folder) => result.write(folder, name, asked.wants_json())?,
        None if asked.wants_json() => super::json(&result),
        None => result.page(name),
    };
    Ok(Answer {
        text,
        code: u8::from(result.needs_decision()),
    })
}
