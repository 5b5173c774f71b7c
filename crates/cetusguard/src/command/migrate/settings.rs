//! The settings of one proxy as they were written, wherever they stood.

use std::rc::Rc;

use super::mount::{self, Mount};
use super::note::{Kind, Note};
use super::project::Project;
use super::words;
use super::yaml::Value;
use crate::config::read_text;

/// What was written for one proxy.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The name of its service; clients call it by that.
    pub(super) service: Option<String>,
    /// Environment variables in their order.
    pub(super) vars: Vec<(String, String)>,
    /// Its command line.
    pub(super) args: Vec<String>,
    /// The keys of its service.
    pub(super) keys: Vec<(String, Value)>,
    /// What is mounted into its container.
    pub(super) mounts: Vec<Mount>,
    /// A configuration file of its own.
    pub(super) own: Option<Value>,
    /// What has to be told about the reading of all this.
    pub(super) notes: Vec<Note>,
    /// Whether a file with settings could not be read.
    pub(super) is_incomplete: bool,
    /// The compose file that it stood in.
    pub(super) project: Rc<Project>,
}

impl Settings {
    /// Settings that are variables alone.
    pub(super) fn of_variables(vars: Vec<(String, String)>) -> Self {
        Self {
            vars,
            ..Self::default()
        }
    }

    /// Settings that are a configuration file of the proxy's own.
    pub(super) fn of_own(own: Value) -> Self {
        Self {
            own: Some(own),
            ..Self::default()
        }
    }

    /// The settings of a service of a compose file.
    pub(super) fn of_service(name: Option<String>, service: &Value, project: Rc<Project>) -> Self {
        let mut settings = Self {
            service: name,
            project,
            ..Self::default()
        };
        settings.keys = service.pairs().to_vec();
        settings.read_env_files(service.get("env_file"));
        for (name, value) in settings.environment(service.get("environment")) {
            settings.set(name, value);
        }
        match service.get("command") {
            Some(Value::Scalar { text, .. }) => {
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
        for item in service.get("volumes").map(Value::items).unwrap_or_default() {
            settings
                .mounts
                .extend(mount::read(item, &settings.project.variables));
        }
        settings
    }

    /// Takes a variable; of two values of one, the last counts, as it does for Compose and in
    /// environment files.
    fn set(&mut self, name: String, value: String) {
        self.vars.retain(|(known, _)| *known != name);
        self.vars.push((name, value));
    }

    /// Notes something that could not be read, although it may say what clients may do.
    pub(super) fn lack(&mut self, what: String) {
        self.notes.push(Note::new(Kind::Missing, what));
        self.is_incomplete = true;
    }

    /// Reads `env_file`: a path, or a list of paths, in the long form too.
    fn read_env_files(&mut self, node: Option<&Value>) {
        let items = match node {
            Some(Value::List(items)) => items.clone(),
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
            match read.as_deref().map(words::environment) {
                Ok(Some(pairs)) => pairs
                    .into_iter()
                    .for_each(|(name, value)| self.set(name, value)),
                Ok(None) => self.lack(format!(
                    "env_file {path} has lines that are not NAME=VALUE: \
                    it is not read"
                )),
                Err(why) => self.lack(format!(
                    "env_file {path} cannot be read ({why}), so its variables are missing: run \
                    migrate on the compose file beside it, or on the output of docker compose \
                    config"
                )),
            }
        }
    }

    /// Reads `environment`: a mapping, or a list of `NAME=VALUE`; a name alone takes its value from
    /// the project's variables.
    fn environment(&mut self, node: Option<&Value>) -> Vec<(String, String)> {
        let pairs: Vec<(String, Option<String>)> = match node {
            Some(Value::Map(pairs)) => pairs
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        (*value != Value::Null).then(|| value.plain().to_owned()),
                    )
                })
                .collect(),
            Some(Value::List(items)) => items
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
        for name in unknown {
            let what = format!(
                "{of} depends on {name}, which is not set here and counts as empty: write it into \
                .env beside the compose file, or give migrate the output of docker compose config"
            );
            self.notes.push(Note::new(Kind::Missing, what));
        }
        out
    }

    /// Returns the value of a variable; empty where there is none.
    pub(super) fn var(&self, name: &str) -> &str {
        self.vars
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    /// Returns a key of the service.
    pub(super) fn key(&self, name: &str) -> Option<&Value> {
        self.keys
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Returns the name of its container.
    pub(super) fn container_name(&self) -> Option<&str> {
        self.key("container_name").map(Value::plain)
    }

    /// Reads a file at a path in the container: from what is mounted there, or from the project's
    /// `configs`.
    ///
    /// # Errors
    /// Why that does not work, as the rest of a sentence.
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
