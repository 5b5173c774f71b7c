//! The command `migrate`: reads another proxy's settings, and writes a configuration with the same
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

use cetusguard_config::printed::json;
use cetusguard_config::{Mistakes, Sources, read_input};

use plan::Plan;
use settings::PeerSettings;
use several::Instance;
use switches::SwitchFamily;

/// The proxies whose settings can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerProxy {
    ElevenNotes,
    GoProgram,
    LinuxServer,
    Sockguard,
    Tecnativa,
    Wollomatic,
}

impl PeerProxy {
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

    fn plan(self, settings: &PeerSettings) -> Plan {
        let mut plan = Plan::new(settings);
        match self {
            Self::ElevenNotes => elevennotes::plan(settings, &mut plan),
            Self::GoProgram => goprogram::plan(settings, &mut plan),
            Self::LinuxServer => sections::plan(settings, SwitchFamily::LinuxServer, &mut plan),
            Self::Sockguard => sockguard::plan(settings, &mut plan),
            Self::Tecnativa => sections::plan(settings, SwitchFamily::Tecnativa, &mut plan),
            Self::Wollomatic => wollomatic::plan(settings, &mut plan),
        }
        plan
    }
}

/// The arguments of the command.
#[derive(Clone, Copy, Debug)]
pub struct MigrationRequest<'a> {
    /// The name of the proxy.
    pub proxy: &'a str,
    /// The file of its settings; standard input for `-`.
    pub path: &'a str,
    /// The service of the compose file, if one is named.
    pub service: Option<&'a str>,
    /// The name of the compose project, if it is named.
    pub project: Option<&'a str>,
    /// The file of variables for the compose file.
    pub env_file: Option<&'a str>,
    /// The folder for the result; without one it is printed.
    pub out: Option<&'a str>,
    /// The result is printed as JSON.
    pub wants_json: bool,
}

/// The result of the command.
#[derive(Debug)]
pub struct Migration {
    /// The text for standard output.
    pub text: String,
    /// A note asks for a decision before the result is used.
    pub needs_decision: bool,
}

/// The reason why there is no result.
#[derive(Debug)]
pub enum MigrationFailure {
    /// The settings, or an argument, are wrong.
    Mistakes(Mistakes),
    /// The result cannot be written.
    Why(String),
}

impl From<String> for MigrationFailure {
    fn from(why: String) -> Self {
        Self::Why(why)
    }
}

impl From<Mistakes> for MigrationFailure {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

/// A mistake in the written configuration, or a warning about it.
#[derive(Debug)]
pub struct Problem {
    /// The word for its kind.
    pub code: &'static str,
    /// The profile that it is about.
    pub profile: Option<String>,
    /// The problem.
    pub what: String,
    /// The next step.
    pub fix: String,
    /// The program does not start with it.
    pub is_error: bool,
}

/// Reads the settings of a proxy, and returns the result or writes it into a folder. `check` finds
/// the problems of a configuration, as the command of that name does.
///
/// # Errors
/// The settings cannot be read, or the result cannot be written.
pub fn migrate(
    request: MigrationRequest<'_>,
    check: &dyn Fn(&Sources) -> Vec<Problem>,
) -> Result<Migration, MigrationFailure> {
    let MigrationRequest {
        proxy: name,
        path,
        out,
        ..
    } = request;
    let proxy = PeerProxy::parse(name);
    let given = project::Given {
        file: Some(path).filter(|path| *path != "-"),
        service: request.service,
        project: request.project,
        env_file: request.env_file,
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
        verify::note_problems(&mut instance.plan, check);
    }
    let result = output::MigrationResult::new(instances, out);
    let text = match out {
        Some(folder) => result.write(folder, name, request.wants_json)?,
        None if request.wants_json => json(&result),
        None => result.page(name),
    };
    Ok(Migration {
        text,
        needs_decision: result.needs_decision(),
    })
}
