//! The settings of another proxy as they were written: a compose file's service, lines of an environment file, or its own YAML.

use crate::config::yaml::{self, Node, Value};
use crate::config::{Mistake, Mistakes};

/// What was written for the proxy.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The name of its service; clients call it by that.
    pub(super) service: Option<String>,
    /// Environment variables in their order.
    pub(super) vars: Vec<(String, String)>,
    /// Its command line.
    pub(super) args: Vec<String>,
    /// Labels of other services: service, key, value.
    pub(super) labels: Vec<(String, String, String)>,
    /// Keys of its service that are not about the proxy itself: they stay.
    pub(super) kept: Vec<(String, Node)>,
    /// Keys that cannot stay, each with what to do.
    pub(super) dropped: Vec<String>,
    /// Where the engine's socket lies on the host, and in the container.
    pub(super) socket: Option<(String, String)>,
    /// Other services with the same image.
    pub(super) others: Vec<String>,
    /// A configuration file of its own.
    pub(super) own: Option<Node>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The text is none of those, or has no service of the proxy.
    pub(super) fn read(text: &str, service: Option<&str>, images: &[&str]) -> Result<Self, Mistakes> {
        if is_environment(text) {
            let mut settings = Self::default();
            text.lines().filter_map(assignment).for_each(|(name, value)| settings.set(name, value));
            return Ok(settings);
        }
        let wrong = |what: String, fix: &str| Mistakes(vec![Mistake::new(what, fix)]);
        let root = yaml::read(text).map_err(|error| {
            let fix = match error.what.contains("anchors") {
                true => "let Compose resolve them: docker compose config | cetusguard migrate …",
                false => error.fix,
            };
            wrong(format!("line {}: {}", error.at, error.what), fix)
        })?;
        let Some(services) = get(&root, "services") else {
            if get(&root, "environment").is_some() || get(&root, "image").is_some() || get(&root, "command").is_some() {
                return Ok(Self::of_service(&root));
            }
            return match root.value {
                Value::Map(_) => Ok(Self { own: Some(root), ..Self::default() }),
                _ => Err(wrong("this holds no settings".to_owned(), "give it a compose file, or lines of NAME=VALUE")),
            };
        };
        let Value::Map(services) = &services.value else {
            return Err(wrong("services is no mapping".to_owned(), "give it a compose file"));
        };
        let has_image = |node: &Node| {
            let image = get(node, "image").map(plain).unwrap_or_default();
            images.iter().any(|known| image.to_ascii_lowercase().contains(known))
        };
        let is_meant = |name: &str, node: &Node| service.map_or_else(|| has_image(node), |service| name == service);
        let mut found = services.iter().filter(|(name, _, node)| is_meant(name, node));
        let Some((name, _, node)) = found.next() else {
            let names: Vec<_> = services.iter().map(|(name, ..)| name.as_str()).collect();
            let fix = format!("name its service with --service, one of: {}", names.join(", "));
            let what = match service {
                Some(service) => format!("there is no service {service}"),
                None => format!("no service has an image of {}", images.join(" or ")),
            };
            return Err(wrong(what, &fix));
        };
        let others = found.map(|(name, ..)| name.clone()).collect();
        let mut settings = Self { service: Some(name.clone()), others, ..Self::of_service(node) };
        for (other, _, node) in services.iter().filter(|(other, ..)| other != name) {
            let labels = get(node, "labels").map(pairs).unwrap_or_default();
            settings.labels.extend(labels.into_iter().map(|(key, value)| (other.clone(), key, value)));
        }
        Ok(settings)
    }

    fn of_service(node: &Node) -> Self {
        let mut settings = Self::default();
        for (name, value) in get(node, "environment").map(pairs).unwrap_or_default() {
            let value = settings.interpolated(&name, &value);
            settings.set(name, value);
        }
        for word in get(node, "command").map(words).unwrap_or_default() {
            let word = settings.interpolated("command", &word);
            settings.args.push(word);
        }
        let Value::Map(pairs) = &node.value else { return settings };
        for (key, _, value) in pairs {
            match key.as_str() {
                key if OURS.contains(&key) => {}
                "volumes" => settings.volumes(value),
                "env_file" => settings.drop("env_file is not read: its variables are missing"),
                "extends" => settings.drop("extends is not followed: what stands there is missing"),
                key => settings.kept.push((key.to_owned(), value.clone())),
            }
        }
        settings
    }

    /// Takes a variable; of two values of one, the last counts, as it does for Compose and in environment files.
    fn set(&mut self, name: String, value: String) {
        self.vars.retain(|(known, _)| *known != name);
        self.vars.push((name, value));
    }

    /// Notes something that cannot stay, but would be there if Compose had resolved it.
    fn drop(&mut self, what: &str) {
        self.dropped.push(format!("{what}; give migrate the output of docker compose config"));
    }

    /// Finds the engine's socket among the mounts; others stay behind.
    fn volumes(&mut self, node: &Node) {
        let Value::List(items) = &node.value else { return };
        for item in items {
            let short = plain(item);
            let mut parts = short.split(':').map(str::to_owned);
            let (source, target) = match &item.value {
                Value::Map(_) => (get(item, "source").map(plain), get(item, "target").map(plain)),
                _ => (parts.next(), parts.next()),
            };
            match (source, target) {
                (Some(source), Some(target)) if target.ends_with(".sock") => self.socket = Some((source, target)),
                (source, _) => self.dropped.push(format!("the volume {} is left out", source.unwrap_or_default())),
            }
        }
    }

    /// The value of a variable; empty where there is none.
    pub(super) fn var(&self, name: &str) -> &str {
        self.vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Compose puts other variables into a value: what it would put there by default is taken.
    fn interpolated(&mut self, name: &str, value: &str) -> String {
        let (mut out, mut rest) = (String::new(), value);
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(behind) = behind.strip_prefix('$') {
                out.push('$');
                rest = behind;
            } else if let Some((inner, behind)) = behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                match inner.split_once(":-").or_else(|| inner.split_once('-')) {
                    Some((_, default)) => out.push_str(default),
                    None => self.drop(&format!("{name} depends on {inner}, which is taken for empty")),
                }
                rest = behind;
            } else {
                out.push('$');
                rest = behind;
            }
        }
        out + rest
    }
}

/// Keys of the service that ours has in its own way.
const OURS: &[&str] = &[
    "image",
    "build",
    "environment",
    "command",
    "entrypoint",
    "healthcheck",
    "privileged",
    "read_only",
    "cap_add",
    "cap_drop",
    "security_opt",
    "mem_limit",
    "tmpfs",
    "user",
    "pull_policy",
];

/// The value of a key of a mapping.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(pairs) = &node.value else { return None };
    pairs.iter().find(|(name, ..)| name == key).map(|(.., node)| node)
}

/// The text of a scalar; empty for anything else.
pub(super) fn plain(node: &Node) -> String {
    if let Value::Text(text, _) = &node.value { text.clone() } else { String::new() }
}

/// The entries of a list, or the words of a line.
pub(super) fn words(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Text(text, _) => text.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// `NAME: VALUE` or `- NAME=VALUE`, as compose takes both.
fn pairs(node: &Node) -> Vec<(String, String)> {
    match &node.value {
        Value::Map(pairs) => pairs.iter().map(|(name, _, node)| (name.clone(), plain(node))).collect(),
        Value::List(items) => items.iter().filter_map(|item| plain(item).split_once('=').map(owned)).collect(),
        _ => Vec::new(),
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Whether every line is an assignment, as in a file for `--env-file`.
fn is_environment(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    lines.peek().is_some() && lines.all(|line| assignment(line).is_some())
}

fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = ["export ", "-e ", "--env "].iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = value.trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let value = unquoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim_end());
    is_name.then(|| owned((name, value)))
}
