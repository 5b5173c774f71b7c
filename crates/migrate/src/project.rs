//! Finds the settings of each proxy in the user's input: a compose file or a part of one, a command
//! line of `docker run`, lines of variables, or a configuration file of the proxy's own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cetusguard_config::{Mistake, Mistakes, Unreadable, read_text};

use super::PeerProxy;
use super::docker_run::{self, CommandLine};
use super::mount;
use super::note::{Note, NoteKind};
use super::settings::PeerSettings;
use super::words;
use super::yaml::{self, ComposeValue};

/// Services that extend each other form no longer chains.
pub(super) const CHAIN: usize = 8;

/// The names of the files that Compose reads, and merges with their override files, if it is given
/// none.
const DEFAULT_NAMES: [&str; 2] = ["compose", "docker-compose"];

/// The conditions of one client: all of them hold.
pub(super) type Conditions = Vec<(&'static str, String)>;

/// The arguments of the command that are about the input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given<'a> {
    /// The path of the input, unless it is standard input.
    pub(super) file: Option<&'a str>,
    /// The one service to read.
    pub(super) service: Option<&'a str>,
    /// The name of the Compose project.
    pub(super) project: Option<&'a str>,
    /// The file with variables that Compose reads in place of `.env`.
    pub(super) env_file: Option<&'a str>,
}

/// A compose file.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// The name of the project.
    pub(super) name: Option<String>,
    /// The services by their names.
    pub(super) services: Vec<(String, ComposeValue)>,
    /// The other keys at the top of the file.
    pub(super) top: Vec<(String, ComposeValue)>,
    /// The folder that its paths are relative to.
    pub(super) folder: Option<PathBuf>,
    /// Variables that Compose puts into it.
    pub(super) variables: HashMap<String, String>,
    /// True if there is no other variable: the file was read, or its folder has none.
    pub(super) knows_variables: bool,
    /// Notes on the parts that could not be read.
    pub(super) notes: Vec<Note>,
}

/// Reads the settings of each proxy in a text.
///
/// # Errors
/// The text is none of those, no service has the proxy's image, or the file with variables cannot
/// be read.
pub(super) fn read_settings(
    text: &str,
    given: Given<'_>,
    proxy: PeerProxy,
) -> Result<Vec<PeerSettings>, Mistakes> {
    if let Some(vars) = words::environment(text).filter(|vars| !vars.is_empty()) {
        return Ok(vec![PeerSettings::of_variables(vars)]);
    }
    if let Some(line) = docker_run::parse_command_line(text) {
        return of_command_line(line, given).map(|settings| vec![settings]);
    }
    let root = yaml::parse_document(text)?;
    let project = Project::of_file(&root, given)?;
    if !project.services.is_empty() {
        return of_services(Rc::new(project), proxy, given.service);
    }
    let is_part = ["environment", "command", "image"]
        .iter()
        .any(|key| root.get(key).is_some());
    let is_variables = |(name, value): &(String, ComposeValue)| {
        words::is_name(name)
            && !name.chars().any(char::is_lowercase)
            && matches!(value, ComposeValue::Scalar { .. } | ComposeValue::Null)
    };
    let is_own = |(key, _): &(String, ComposeValue)| proxy.own_keys().contains(&key.as_str());
    match root.pairs() {
        [] => {}
        _ if is_part => {
            return Ok(vec![PeerSettings::of_service(
                None,
                &root,
                Rc::new(project),
            )]);
        }
        pairs if pairs.iter().all(is_variables) => {
            let service = ComposeValue::Map(vec![("environment".to_owned(), root)]);
            return Ok(vec![PeerSettings {
                keys: Vec::new(),
                ..PeerSettings::of_service(None, &service, Rc::new(project))
            }]);
        }
        pairs if pairs.iter().any(is_own) => return Ok(vec![PeerSettings::of_own(root)]),
        _ => {}
    }
    let fix = "give migrate a compose file, one service of it, a command line of docker run, or \
        lines of NAME=VALUE";
    let what = format!("this holds no settings of {}", proxy.images().join(" or "));
    Err(Mistakes(vec![Mistake::new(what, fix)]))
}

/// Returns the settings of a command line of `docker run`, whose networks and volumes exist
/// already.
fn of_command_line(line: CommandLine, given: Given<'_>) -> Result<PeerSettings, Mistakes> {
    let mut project = Project::beside(given)?;
    if given.env_file.is_none() {
        // The shell had put the variables in, and it does not read the file of Compose.
        project.variables.clear();
        project.knows_variables = false;
    }
    let volumes = line.service.get("volumes").map(ComposeValue::items);
    let mounts = volumes
        .unwrap_or_default()
        .iter()
        .filter_map(mount::parse_mount);
    let volumes: Vec<_> = mounts
        .filter_map(|mount| mount.volume().map(str::to_owned))
        .collect();
    project.top = vec![
        ("networks".to_owned(), external_definitions(&line.networks)),
        ("volumes".to_owned(), external_definitions(&volumes)),
    ];
    project.name = given.project.map(str::to_owned);
    let notes = line.notes();
    let mut settings = PeerSettings::of_service(line.name, &line.service, Rc::new(project));
    settings.notes.extend(notes);
    Ok(settings)
}

/// Defines networks or volumes that exist already.
fn external_definitions(names: &[String]) -> ComposeValue {
    let is_external = ComposeValue::Scalar {
        text: "true".to_owned(),
        is_quoted: false,
    };
    let external = ComposeValue::Map(vec![("external".to_owned(), is_external)]);
    ComposeValue::Map(
        names
            .iter()
            .map(|name| (name.clone(), external.clone()))
            .collect(),
    )
}

fn of_services(
    project: Rc<Project>,
    proxy: PeerProxy,
    service: Option<&str>,
) -> Result<Vec<PeerSettings>, Mistakes> {
    let is_meant = |name: &str, node: &ComposeValue| {
        service.map_or_else(|| project.has_image(node, proxy), |service| name == service)
    };
    let services = project
        .services
        .iter()
        .map(|(name, _)| (name.clone(), project.extended(name, CHAIN)));
    let found = services.filter(|(name, (node, _))| is_meant(name, node));
    let found: Vec<_> = found
        .map(|(name, (node, notes))| {
            let mut settings = PeerSettings::of_service(Some(name), &node, Rc::clone(&project));
            notes.into_iter().for_each(|what| settings.lost(what));
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
    /// Makes a project without services, in the folder of the input, with its variables.
    fn beside(given: Given<'_>) -> Result<Self, Mistakes> {
        let folder = given.file.and_then(|file| {
            std::fs::canonicalize(file)
                .ok()?
                .parent()
                .map(Path::to_owned)
        });
        let of_folder = folder
            .as_ref()
            .map(|folder| folder.join(".env").to_string_lossy().into_owned());
        let path = given.env_file.map(str::to_owned).or(of_folder);
        let mut project = Self {
            folder,
            knows_variables: path.is_some(),
            ..Self::default()
        };
        let read = path.as_ref().map(|path| read_text(path));
        match read {
            Some(Ok(text)) => project.read_variables(&text, path.as_deref().unwrap_or_default()),
            Some(Err(why)) if given.env_file.is_some() => {
                let advice = why.advice();
                return Err(Mistakes(vec![Mistake::new(
                    format!("{} cannot be read: {why}", path.unwrap_or_default()),
                    format!("{advice}; --env-file takes a file with lines of NAME=VALUE"),
                )]));
            }
            Some(Err(Unreadable::Missing)) | None => {}
            Some(Err(why)) => {
                let what = format!(
                    "{} cannot be read ({why}), so its variables are not known",
                    path.unwrap_or_default()
                );
                project.knows_variables = false;
                project.notes.push(Note::new(NoteKind::Lost, what));
            }
        }
        Ok(project)
    }

    fn read_variables(&mut self, text: &str, path: &str) {
        match words::environment_file(text, &HashMap::new()) {
            Ok(pairs) => self.variables = pairs.into_iter().collect(),
            Err(line) => {
                self.knows_variables = false;
                let what = format!("{path} is not read, since line {line} is not NAME=VALUE");
                self.notes.push(Note::new(NoteKind::Lost, what));
            }
        }
    }

    /// Returns a value with the known variables put into its texts.
    pub(super) fn substituted(&self, value: &ComposeValue) -> ComposeValue {
        value.with_texts(&mut |text| words::substitute(text, &self.variables))
    }

    /// Reads a compose file, also one of the first version, whose services stand at the top.
    fn of_file(root: &ComposeValue, given: Given<'_>) -> Result<Self, Mistakes> {
        let mut project = Self::beside(given)?;
        let root = &project.substituted(root);
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
                let is_service = |(_, node): &&(String, ComposeValue)| {
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
            .and_then(|folder| Some(normalised_name(folder.file_name()?.to_str()?)));
        project.note_other_files(given);
        project.name = given
            .project
            .map(str::to_owned)
            .or(named)
            .or(of_env)
            .or(of_folder)
            .filter(|name| !name.is_empty());
        Ok(project)
    }

    /// Notes other files that Compose would merge with this one, and that are not read.
    fn note_other_files(&mut self, given: Given<'_>) {
        let name = given.file.map(Path::new).and_then(Path::file_stem);
        let is_default = name.is_some_and(|name| DEFAULT_NAMES.iter().any(|known| name == *known));
        let found = self.folder.iter().flat_map(|folder| {
            let names = DEFAULT_NAMES
                .iter()
                .flat_map(|name| ["yaml", "yml"].map(|ending| format!("{name}.override.{ending}")));
            names.filter(|name| is_default && folder.join(name).exists())
        });
        let mut found: Vec<_> = found.collect();
        if let Some(files) = self.variables.get("COMPOSE_FILE") {
            found.push(format!("the files of COMPOSE_FILE ({files})"));
        }
        if !found.is_empty() {
            let what = format!(
                "{} may change what this file says, and is not read: run migrate on the output of \
                docker compose config",
                found.join(", ")
            );
            self.notes.push(Note::new(NoteKind::Lost, what));
        }
    }

    /// Returns whether a service runs an image of the proxy, from any registry.
    fn has_image(&self, node: &ComposeValue, proxy: PeerProxy) -> bool {
        let image = node
            .get("image")
            .map(ComposeValue::plain)
            .unwrap_or_default();
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

    /// Returns a service merged with those that it extends, and notes on those that cannot be read.
    pub(super) fn extended(&self, name: &str, chain: usize) -> (ComposeValue, Vec<String>) {
        let service = self
            .services
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, node)| node.clone());
        let service = service.unwrap_or(ComposeValue::Map(Vec::new()));
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
                Some((_, known)) => *known = merged_values(key, known, value),
                None => pairs.push((key.clone(), value.clone())),
            }
        }
        (ComposeValue::Map(pairs), notes)
    }

    /// Returns the conditions of the clients that another proxy looked up by this name: the service
    /// of that name or with that container. A name that is not in the file may be either.
    pub(super) fn clients(&self, name: &str) -> Vec<Conditions> {
        let is_meant = |(service, node): &&(String, ComposeValue)| {
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

    /// Returns whether a network exists beside the project, so that other projects may use it.
    pub(super) fn is_external(&self, network: &str) -> bool {
        let networks = self.top.iter().find(|(key, _)| key == "networks");
        let external = networks.and_then(|(_, all)| all.get(network)?.get("external"));
        external.is_some_and(|external| external.plain() != "false")
    }

    /// Returns the labels of a service.
    pub(super) fn labels(&self, service: &ComposeValue) -> Vec<(String, String)> {
        let labels = service.get("labels").map(|labels| match labels {
            ComposeValue::Map(pairs) => pairs
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
        configs: Option<&ComposeValue>,
        path: &str,
    ) -> Option<Result<String, String>> {
        let configs = configs.map(ComposeValue::items).unwrap_or_default();
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

/// Merges a service's own value with that of the service which it extends: mappings and lists hold
/// both.
fn merged_values(key: &str, base: &ComposeValue, own: &ComposeValue) -> ComposeValue {
    match (key, base, own) {
        ("command" | "entrypoint", _, _) => own.clone(),
        (_, ComposeValue::List(base), ComposeValue::List(own)) => {
            let others = base.iter().filter(|item| !own.contains(item)).cloned();
            ComposeValue::List(others.chain(own.iter().cloned()).collect())
        }
        (_, ComposeValue::Map(base), ComposeValue::Map(own)) => {
            let is_own = |key: &str| own.iter().any(|(known, _)| known == key);
            let others = base.iter().filter(|(key, _)| !is_own(key)).cloned();
            ComposeValue::Map(others.chain(own.iter().cloned()).collect())
        }
        ("environment", base, own) => ComposeValue::List([as_list(base), as_list(own)].concat()),
        _ => own.clone(),
    }
}

/// A mapping as a list of `NAME=VALUE`.
fn as_list(value: &ComposeValue) -> Vec<ComposeValue> {
    match value {
        ComposeValue::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| match value {
                ComposeValue::Null => ComposeValue::text(name.clone()),
                value => ComposeValue::text(format!("{name}={}", value.plain())),
            })
            .collect(),
        value => value.items().to_vec(),
    }
}

/// A folder's name as Compose makes a project's name of it.
fn normalised_name(name: &str) -> String {
    let name = name.to_lowercase();
    let kept: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ['-', '_'].contains(c))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
