//! From what the user gives to the settings of each proxy in it: a compose file or a part of one, a
//! command line of `docker run`, lines of variables, or a configuration file of the proxy's own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Proxy;
use super::docker_run;
use super::note::{Kind, Note};
use super::settings::Settings;
use super::words;
use super::yaml::{self, Value};
use crate::config::{Mistake, Mistakes, read_text};

/// Services that extend each other form no longer chains.
const CHAIN: usize = 8;

/// The conditions of one client: all of them hold.
pub(super) type Conditions = Vec<(&'static str, String)>;

/// A compose file.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// The name under which Compose keeps what belongs to it.
    pub(super) name: Option<String>,
    /// Its services.
    pub(super) services: Vec<(String, Value)>,
    /// Its other keys.
    pub(super) top: Vec<(String, Value)>,
    /// The folder that its paths are relative to.
    pub(super) folder: Option<PathBuf>,
    /// Variables that Compose puts into it.
    pub(super) variables: HashMap<String, String>,
}

/// Reads the settings of each proxy in a text. `file` is where it was read from, unless that was
/// standard input.
///
/// # Errors
/// The text is none of those, or no service has the proxy's image.
pub(super) fn read(
    text: &str,
    file: Option<&str>,
    proxy: Proxy,
    service: Option<&str>,
) -> Result<Vec<Settings>, Mistakes> {
    if let Some(vars) = words::environment(text).filter(|vars| !vars.is_empty()) {
        return Ok(vec![Settings::of_variables(vars)]);
    }
    if let Some(line) = docker_run::read(text) {
        let external = Value::Map(vec![(
            "external".to_owned(),
            Value::Scalar {
                text: "true".to_owned(),
                is_quoted: false,
            },
        )]);
        let networks = line
            .networks
            .iter()
            .map(|name| (name.clone(), external.clone()))
            .collect();
        let mut project = Project {
            top: vec![("networks".to_owned(), Value::Map(networks))],
            ..Project::beside(file)
        };
        project.name = None;
        let mut settings = Settings::of_service(line.name, &line.service, Rc::new(project));
        if !line.left_out.is_empty() {
            let what = format!(
                "left out of the command line, since the service below says it in another way or \
                not at all: {}",
                line.left_out.join(", ")
            );
            settings.notes.push(Note::new(Kind::Different, what));
        }
        return Ok(vec![settings]);
    }
    let root = yaml::read(text)?;
    let project = Project::of_file(&root, file);
    if !project.services.is_empty() {
        return of_services(Rc::new(project), proxy, service);
    }
    let is_part = ["environment", "command", "image"]
        .iter()
        .any(|key| root.get(key).is_some());
    let is_variables = |(name, value): &(String, Value)| {
        words::is_name(name)
            && !name.chars().any(char::is_lowercase)
            && matches!(value, Value::Scalar { .. } | Value::Null)
    };
    let is_own = |(key, _): &(String, Value)| proxy.own_keys().contains(&key.as_str());
    match root.pairs() {
        [] => {}
        _ if is_part => return Ok(vec![Settings::of_service(None, &root, Rc::new(project))]),
        pairs if pairs.iter().all(is_variables) => {
            let service = Value::Map(vec![("environment".to_owned(), root)]);
            return Ok(vec![Settings {
                keys: Vec::new(),
                ..Settings::of_service(None, &service, Rc::new(project))
            }]);
        }
        pairs if pairs.iter().any(is_own) => return Ok(vec![Settings::of_own(root)]),
        _ => {}
    }
    let fix = "give migrate a compose file, one service of it, a command line of docker run, or \
        lines of NAME=VALUE";
    let what = format!("this holds no settings of {}", proxy.images().join(" or "));
    Err(Mistakes(vec![Mistake::new(what, fix)]))
}

fn of_services(
    project: Rc<Project>,
    proxy: Proxy,
    service: Option<&str>,
) -> Result<Vec<Settings>, Mistakes> {
    let is_meant = |name: &str, node: &Value| {
        service.map_or_else(|| project.has_image(node, proxy), |service| name == service)
    };
    let services = project
        .services
        .iter()
        .map(|(name, _)| (name.clone(), project.extended(name, CHAIN)));
    let found = services.filter(|(name, (node, _))| is_meant(name, node));
    let found: Vec<_> = found
        .map(|(name, (node, notes))| {
            let mut settings = Settings::of_service(Some(name), &node, Rc::clone(&project));
            notes.into_iter().for_each(|what| settings.lack(what));
            settings
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names: Vec<_> = project
        .services
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let fix = format!(
        "name its service with --service, one of: {}",
        names.join(", ")
    );
    let what = match service {
        Some(service) => format!("there is no service {service}"),
        None => format!("no service has an image of {}", proxy.images().join(" or ")),
    };
    Err(Mistakes(vec![Mistake::new(what, fix)]))
}

impl Project {
    /// A project without services, in the folder of a file.
    fn beside(file: Option<&str>) -> Self {
        let folder = file.and_then(|file| {
            std::fs::canonicalize(file)
                .ok()?
                .parent()
                .map(Path::to_owned)
        });
        let env = folder
            .as_ref()
            .and_then(|folder| read_text(&folder.join(".env").to_string_lossy()).ok());
        let variables = env
            .and_then(|text| words::environment(&text))
            .unwrap_or_default()
            .into_iter()
            .collect();
        Self {
            folder,
            variables,
            ..Self::default()
        }
    }

    /// Reads a compose file, also one of the first version, whose services stand at the top.
    fn of_file(root: &Value, file: Option<&str>) -> Self {
        let mut project = Self::beside(file);
        match root.get("services") {
            Some(services) => {
                project.services = services.pairs().to_vec();
                project.top = root
                    .pairs()
                    .iter()
                    .filter(|(key, _)| key != "services")
                    .cloned()
                    .collect();
            }
            None if root.get("image").is_none() => {
                let is_service = |(_, node): &&(String, Value)| {
                    node.get("image").is_some() || node.get("build").is_some()
                };
                project.services = root.pairs().iter().filter(is_service).cloned().collect();
            }
            None => {}
        }
        let named = project
            .top
            .iter()
            .find(|(key, _)| key == "name")
            .map(|(_, name)| name.plain());
        let named = named.map(|name| words::interpolate(name, &project.variables, &mut Vec::new()));
        let of_env = project.variables.get("COMPOSE_PROJECT_NAME").cloned();
        let of_folder = project
            .folder
            .as_ref()
            .and_then(|folder| Some(normal(folder.file_name()?.to_str()?)));
        project.name = named
            .or(of_env)
            .or(of_folder)
            .filter(|name| !name.is_empty());
        project
    }

    /// Returns whether a service runs an image of the proxy, from whatever registry.
    fn has_image(&self, node: &Value, proxy: Proxy) -> bool {
        let image = node.get("image").map(Value::plain).unwrap_or_default();
        let image =
            words::interpolate(image, &self.variables, &mut Vec::new()).to_ascii_lowercase();
        let image = image.split('@').next().unwrap_or_default();
        let tag = image
            .rfind(':')
            .filter(|colon| !image[*colon..].contains('/'));
        let name = &image[..tag.unwrap_or(image.len())];
        proxy
            .images()
            .iter()
            .any(|known| name == *known || name.ends_with(&format!("/{known}")))
    }

    /// Returns a service with what it extends, and what could not be read of that.
    fn extended(&self, name: &str, chain: usize) -> (Value, Vec<String>) {
        let service = self
            .services
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, node)| node.clone());
        let service = service.unwrap_or(Value::Map(Vec::new()));
        let Some(extends) = service.get("extends") else {
            return (service, Vec::new());
        };
        let base = extends.get("service").unwrap_or(extends).plain().to_owned();
        if extends.get("file").is_some() || chain == 0 {
            let what = format!(
                "{name} extends {base}, whose settings are not read: give migrate the output of \
                docker compose config"
            );
            return (service, vec![what]);
        }
        let (base, notes) = self.extended(&base, chain - 1);
        let mut pairs: Vec<_> = base.pairs().to_vec();
        for (key, value) in service.pairs().iter().filter(|(key, _)| key != "extends") {
            match pairs.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known = merged(key, known, value),
                None => pairs.push((key.clone(), value.clone())),
            }
        }
        (Value::Map(pairs), notes)
    }

    /// Returns the clients, each by its conditions, of which one is meant that another proxy looked
    /// up by this name: the service of that name or with that container. A name that is not in the
    /// file may be either.
    pub(super) fn clients(&self, name: &str) -> Vec<Conditions> {
        let is_meant = |(service, node): &&(String, Value)| {
            service == name
                || node
                    .get("container_name")
                    .is_some_and(|own| own.plain() == name)
        };
        match self.services.iter().find(is_meant) {
            Some((service, _)) => vec![self.service(service)],
            // The service may be another file's.
            None => vec![
                vec![("compose-service", name.to_owned())],
                vec![("container", name.to_owned())],
            ],
        }
    }

    /// Returns the conditions by which a service of this project is found. Without the project, a
    /// service of that name in any other one would be found as well.
    pub(super) fn service(&self, name: &str) -> Conditions {
        let project = self
            .name
            .clone()
            .map(|project| ("compose-project", project));
        [("compose-service", name.to_owned())]
            .into_iter()
            .chain(project)
            .collect()
    }

    /// Returns the labels of a service.
    pub(super) fn labels(&self, service: &Value) -> Vec<(String, String)> {
        let labels = service.get("labels").map(|labels| match labels {
            Value::Map(pairs) => pairs
                .iter()
                .map(|(key, value)| (key.clone(), value.plain().to_owned()))
                .collect(),
            labels => labels
                .texts()
                .into_iter()
                .filter_map(|text| text.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect::<Vec<_>>(),
        });
        let text = |text: &str| words::interpolate(text, &self.variables, &mut Vec::new());
        labels
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, text(&value)))
            .collect()
    }

    /// Returns the path of the host that a path in the file means.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        match Path::new(path) {
            path if path.is_absolute() => Some(path.to_owned()),
            _ if path.starts_with('~') => None,
            path => Some(
                self.folder
                    .as_ref()?
                    .join(path.strip_prefix("./").unwrap_or(path)),
            ),
        }
    }

    /// Reads the config of the project that a service has at this path.
    pub(super) fn config_at(
        &self,
        configs: Option<&Value>,
        path: &str,
    ) -> Option<Result<String, String>> {
        let configs = configs.map(Value::items).unwrap_or_default();
        let found = configs.iter().find_map(|config| {
            let name = config.get("source").unwrap_or(config).plain();
            let target = config
                .get("target")
                .map_or_else(|| format!("/{name}"), |target| target.plain().to_owned());
            (target == path).then_some(name)
        })?;
        let all = self
            .top
            .iter()
            .find(|(key, _)| key == "configs")
            .map(|(_, configs)| configs)?;
        let config = all.get(found)?;
        Some(match (config.get("content"), config.get("file")) {
            (Some(content), _) => Ok(words::interpolate(
                content.plain(),
                &self.variables,
                &mut Vec::new(),
            )),
            (None, Some(file)) => match self.path(file.plain()) {
                Some(path) => read_text(&path.to_string_lossy())
                    .map_err(|why| format!("{}: {why}", file.plain())),
                None => Err(format!(
                    "the folder that {} is relative to is not known",
                    file.plain()
                )),
            },
            (None, None) => Err(format!("the config {found} is not in the compose file")),
        })
    }
}

/// What a service's own value and that of the service which it extends come to: mappings and lists
/// hold both.
fn merged(key: &str, base: &Value, own: &Value) -> Value {
    match (key, base, own) {
        ("command" | "entrypoint", _, _) => own.clone(),
        (_, Value::List(base), Value::List(own)) => {
            let others = base.iter().filter(|item| !own.contains(item)).cloned();
            Value::List(others.chain(own.iter().cloned()).collect())
        }
        (_, Value::Map(base), Value::Map(own)) => {
            let is_own = |key: &str| own.iter().any(|(known, _)| known == key);
            let others = base.iter().filter(|(key, _)| !is_own(key)).cloned();
            Value::Map(others.chain(own.iter().cloned()).collect())
        }
        ("environment", base, own) => Value::List([as_list(base), as_list(own)].concat()),
        _ => own.clone(),
    }
}

/// A mapping as a list of `NAME=VALUE`.
fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| match value {
                Value::Null => Value::text(name.clone()),
                value => Value::text(format!("{name}={}", value.plain())),
            })
            .collect(),
        value => value.items().to_vec(),
    }
}

/// A folder's name as Compose makes a project's name of it.
fn normal(name: &str) -> String {
    let name = name.to_lowercase();
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ['-', '_'].contains(c))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
