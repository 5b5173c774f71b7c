//! Named sets of rules for well-known clients, as data: `presets/NAME.rules`.

use crate::guard::Recreation;
use crate::view::Redaction;

/// The rules that one client needs, and no more.
#[derive(Debug)]
pub struct Preset {
    /// The name, as `presets` takes it.
    pub name: &'static str,
    /// The file of rules; its first lines describe the client.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal)*) => {
        &[$(Preset { name: $name, text: include_str!(concat!("../../presets/", $name, ".rules")) },)*]
    };
}

/// The way in which the clients of presets create containers again, for presets that may delete and
/// create them. A preset whose rules, those in comments included, allow both needs a row.
const RECREATIONS: &[(&str, Recreation)] = &[
    // It deletes its own sandboxes.
    ("ai-agent", Recreation::Off),
    // A changed container is stopped and deleted before it is created from the task's own
    // parameters.
    ("ansible", Recreation::Declared),
    // Updates replace containers by copies.
    ("arcane", Recreation::Copied),
    // Containers of changed volumes and networks are deleted before they are created again.
    ("compose", Recreation::Declared),
    // The command that replaces an existing container deletes it first.
    ("devcontainers", Recreation::Declared),
    // It runs compose.
    ("dockge", Recreation::Declared),
    // Updates replace containers by copies.
    ("dockhand", Recreation::Copied),
    // Its update deletes the container before it creates the copy.
    ("dozzle", Recreation::Copied),
    // These delete the containers of their own jobs.
    ("drone", Recreation::Off),
    ("forgejo-runner", Recreation::Off),
    ("github-actions-runner", Recreation::Off),
    ("gitlab-runner", Recreation::Off),
    // Each deployment deletes the container before it runs the new one, and stacks are those of
    // compose.
    ("komodo", Recreation::Declared),
    // It deletes the old container after the new one has started, and rolls back where that fails.
    ("portainer", Recreation::Off),
    // These delete the containers of their own tests and jobs.
    ("renovate", Recreation::Off),
    ("testcontainers", Recreation::Off),
    // Its updates stop and delete the container before they create the copy.
    ("watchtower", Recreation::Updater),
    ("woodpecker", Recreation::Off),
    // Its trigger deletes the container before it creates the copy.
    ("wud", Recreation::Copied),
];

impl Preset {
    /// Returns every preset, by name.
    pub const ALL: &'static [Self] = presets![
        "ai-agent" "ansible" "arcane" "autoheal" "beszel" "caddy-docker-proxy" "cadvisor" "compose" "crowdsec"
        "ctop" "devcontainers" "diun" "docker-build" "docker-cli-readonly" "dockge" "dockhand" "dozzle"
        "drone" "forgejo-runner" "github-actions-runner" "gitlab-runner" "glances" "homarr" "home-assistant"
        "homepage" "komodo" "lazydocker" "netdata" "nginx-proxy" "oxker" "podman-readonly" "portainer"
        "portainer-readonly" "prometheus-sd" "promtail" "read-only" "renovate" "sablier" "telegraf"
        "testcontainers" "traefik" "traefik-swarm" "uptime-kuma" "vector" "watchtower" "woodpecker" "wud"
        "zabbix-agent2"
    ];

    /// Returns the preset of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|preset| preset.name == name)
    }

    /// Returns the way in which its client creates a deleted container again; `None` if it does not
    /// delete and create any.
    #[must_use]
    pub fn recreation(&self) -> Option<Recreation> {
        RECREATIONS
            .iter()
            .find(|(name, _)| *name == self.name)
            .map(|(_, recreation)| *recreation)
    }

    /// Returns the title, in one line.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("# ")
    }

    /// Returns a field of its header, such as `Client`, in one line.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        let header = self.text.lines().take_while(|line| line.starts_with('#'));
        let mut lines = header.skip_while(|line| !line.starts_with(&format!("# {name}:")));
        let first = lines.next().map(|line| &line[name.len() + 3..]);
        let more = lines
            .take_while(|line| line.starts_with("#   "))
            .map(|line| &line[1..]);
        first
            .into_iter()
            .chain(more)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Returns the values that its client does not need to see; empty if it needs all, or writes
    /// back settings that it has read.
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        let field = self.field("Redact");
        let values = field.split(',').map(str::trim).filter(|v| !v.is_empty());
        // A test reads the field of every preset.
        Redaction::read(values).unwrap_or_default()
    }

    /// Returns whether its client needs no other objects than those that it creates.
    #[must_use]
    pub fn owns(&self) -> bool {
        // A test reads the field of every preset.
        self.field("Own") == "true"
    }

    /// Returns whether the preset is safe only if the targets of the profile bound the objects of
    /// its calls.
    #[must_use]
    pub fn needs_targets(&self) -> bool {
        self.field("Needs").starts_with("targets")
    }
}
