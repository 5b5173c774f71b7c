//! The settings of one proxy as they were written, wherever they stood.

use std::rc::Rc;

use cetusguard_config::read_text;

use super::mount::{self, Mount};
use super::note::{Note, NoteKind};
use super::project::Project;
use super::words;
use super::yaml::ComposeValue;

/// The settings of one proxy.
#[derive(Debug, Default)]
pub(super) struct PeerSettings {
    /// The name of its service; clients call it by that.
    pub(super) service: Option<String>,
    /// Environment variables in their order.
    pub(super) vars: Vec<(String, String)>,
    /// The command line.
    pub(super) args: Vec<String>,
    /// The keys of the service.
    pub(super) keys: Vec<(String, ComposeValue)>,
    /// The mounts of the container.
    pub(super) mounts: Vec<Mount>,
    /// A configuration file of its own.
    pub(super) own: Option<ComposeValue>,
    /// Notes on the parts that could not be read.
    pub(super) notes: Vec<Note>,
    /// The compose file that it stood in.
    pub(super) project: Rc<Project>,
}

impl PeerSettings {
    /// Makes settings of variables alone.
    pub(super) fn of_variables(vars: Vec<(String, String)>) -> Self {
        Self {
            vars,
            ..Self::default()
        }
    }

    /// Makes settings of a configuration file of the proxy's own.
    pub(super) fn of_own(own: ComposeValue) -> Self {
        Self {
            own: Some(own),
            ..Self::default()
        }
    }

    /// Reads the settings of a service of a compose file.
    pub(super) fn of_service(
        name: Option<String>,
        service: &ComposeValue,
        project: Rc<Project>,
    ) -> Self {
        let mut settings = Self {
            service: name,
            project,
            ..Self::default()
        };
        let service = &settings.project.substituted(service);
        settings.keys = service.pairs().to_vec();
        settings.read_env_files(service.get("env_file"));
        for (name, value) in settings.environment(service.get("environment")) {
            settings.set(name, value);
        }
        match service.get("command") {
            Some(ComposeValue::Scalar { text, .. }) => {
                let text = settings.interpolated("command", text);
                settings.args = words::split(&text);
            }
            Some(list) => {
                let texts: Vec<String> = list.texts().into_iter().map(str::to_owned).collect();
                settings.args = texts
                    .iter()
                    .map(|text| settings.interpolated("command", text))
                    .collect();
            }
            None => {}
        }
        for item in service
            .get("volumes")
            .map(ComposeValue::items)
            .unwrap_or_default()
        {
            settings.mounts.extend(mount::parse_mount(item));
        }
        settings
    }

    /// Sets a variable. Of two values, the last counts, as it does for Compose and in environment
    /// files.
    fn set(&mut self, name: String, value: String) {
        self.vars.retain(|(known, _)| *known != name);
        self.vars.push((name, value));
    }

    /// Notes something that could not be read and that may restrict clients.
    pub(super) fn lost(&mut self, what: String) {
        self.notes.push(Note::new(NoteKind::Lost, what));
    }

    /// Reads `env_file`: a path, or a list of paths, in the long form too.
    fn read_env_files(&mut self, node: Option<&ComposeValue>) {
        let items = match node {
            Some(ComposeValue::List(items)) => items.clone(),
            Some(item) => vec![item.clone()],
            None => Vec::new(),
        };
        for item in items {
            let written = item.get("path").unwrap_or(&item).plain();
            let path = self.interpolated("env_file", written);
            let read = self
                .project
                .path(&path)
                .ok_or_else(|| "the folder of the compose file is not known".to_owned());
            let read = read
                .and_then(|path| read_text(&path.to_string_lossy()).map_err(|why| why.to_string()));
            let known = &self.project.variables;
            let is_raw = item
                .get("format")
                .is_some_and(|format| format.plain() == "raw");
            let parse = |text: String| match is_raw {
                true => words::raw_environment_file(&text),
                false => words::environment_file(&text, known),
            };
            match read.map(parse) {
                Ok(Ok(pairs)) => pairs
                    .into_iter()
                    .for_each(|(name, value)| self.set(name, value)),
                Ok(Err(line)) => self.lost(format!(
                    "env_file {path} is not read, since line {line} is not NAME=VALUE"
                )),
                Err(why) => self.lost(format!(
                    "env_file {path} cannot be read ({why}), so its variables are missing: run \
                    migrate on the compose file beside it, or on the output of docker compose \
                    config"
                )),
            }
        }
    }

    /// Reads `environment`: a mapping, or a list of `NAME=VALUE`; a name alone takes its value from
    /// the project's variables.
    fn environment(&mut self, node: Option<&ComposeValue>) -> Vec<(String, String)> {
        let pairs: Vec<(String, Option<String>)> = match node {
            Some(ComposeValue::Map(pairs)) => pairs
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        (*value != ComposeValue::Null).then(|| value.plain().to_owned()),
                    )
                })
                .collect(),
            Some(ComposeValue::List(items)) => items
                .iter()
                .map(|item| match item.plain().split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (item.plain().to_owned(), None),
                })
                .collect(),
            _ => Vec::new(),
        };
        let mut read = Vec::new();
        for (name, value) in pairs {
            match value {
                Some(value) => {
                    let value = self.interpolated(&name, &value);
                    read.push((name, value));
                }
                None => match self.project.variables.get(&name).cloned() {
                    Some(value) => read.push((name, value)),
                    None => {
                        let name = format!("${{{name}}}");
                        self.interpolated("environment", &name);
                    }
                },
            }
        }
        read
    }

    /// Puts the project's variables into a text, and notes those that are not known.
    fn interpolated(&mut self, of: &str, text: &str) -> String {
        let mut unknown = Vec::new();
        let out = words::interpolate(text, &self.project.variables, &mut unknown);
        let next = "write it into .env beside the compose file, name the file with --env-file, or \
            give migrate the output of docker compose config";
        for name in &unknown {
            self.lost(format!(
                "{of} depends on {name}, which is not set here and counts as empty: {next}"
            ));
        }
        if self.project.knows_variables {
            return out;
        }
        let is_open = |name: &&str| {
            !self.project.variables.contains_key(*name)
                && !unknown.iter().any(|known| known == name)
        };
        for name in words::variables(text).into_iter().filter(is_open) {
            let what =
                format!("{of} depends on {name}, of which only the default is known: {next}");
            self.notes.push(Note::new(NoteKind::Lost, what));
        }
        out
    }

    /// Returns the tag of the proxy's image: `latest` where none is written, and nothing where the
    /// image is not known or has a digest alone.
    pub(super) fn image_tag(&self) -> Option<String> {
        let image = self.key("image").map(ComposeValue::plain)?;
        if image.contains('$') && !self.project.knows_variables {
            return None;
        }
        let image = words::interpolate(image, &self.project.variables, &mut Vec::new());
        let (name, has_digest) = match image.split_once('@') {
            Some((name, _)) => (name, true),
            None => (image.as_str(), false),
        };
        let tag = name.rsplit_once(':').map(|(_, tag)| tag);
        match tag.filter(|tag| !tag.contains('/')) {
            None if has_digest || name.is_empty() => None,
            tag => Some(tag.unwrap_or("latest").to_owned()),
        }
    }

    /// Returns the major and the minor number that the image's tag begins with.
    pub(super) fn image_version(&self) -> Option<(u32, Option<u32>)> {
        let tag = self.image_tag()?;
        let mut parts = tag.strip_prefix('v').unwrap_or(&tag).split('.');
        let mut number = || {
            let part = parts.next()?;
            let end = part.find(|c: char| !c.is_ascii_digit());
            part[..end.unwrap_or(part.len())].parse().ok()
        };
        Some((number()?, number()))
    }

    /// Returns the value of a variable, or an empty text.
    pub(super) fn var(&self, name: &str) -> &str {
        self.vars
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// Returns a key of the service.
    pub(super) fn key(&self, name: &str) -> Option<&ComposeValue> {
        self.keys
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Returns the name of its container.
    pub(super) fn container_name(&self) -> Option<&str> {
        self.key("container_name").map(ComposeValue::plain)
    }

    /// Reads a file at a path in the container: from the mounted file or folder, or from the
    /// project's `configs`.
    ///
    /// # Errors
    /// Returns the reason as the rest of a sentence.
    pub(super) fn file_in_container(&self, path: &str) -> Result<String, String> {
        if let Some(text) = self.project.config_at(self.key("configs"), path) {
            return text;
        }
        let on_host = self.mounts.iter().find_map(|mount| mount.host_path(path));
        let on_host = on_host.ok_or_else(|| "nothing of the host is mounted there".to_owned())?;
        let file = self
            .project
            .path(&on_host)
            .ok_or_else(|| format!("the folder that {on_host} is relative to is not known"))?;
        read_text(&file.to_string_lossy()).map_err(|why| format!("{on_host}: {why}"))
    }
}
