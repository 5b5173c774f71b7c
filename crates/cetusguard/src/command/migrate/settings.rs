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
    /// Keys of its service that are copied: networks, ports, expose.
    pub(super) copied: Vec<(&'static str, Vec<String>)>,
    /// A configuration file of its own.
    pub(super) own: Option<Node>,
    /// Values that are not in the file.
    pub(super) unknown: Vec<String>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// The text is none of those, or has no service of the proxy.
    pub(super) fn read(text: &str, service: Option<&str>, images: &[&str]) -> Result<Self, Mistakes> {
        if is_environment(text) {
            return Ok(Self { vars: text.lines().filter_map(assignment).collect(), ..Self::default() });
        }
        let wrong = |what: String, fix: &str| Mistakes(vec![Mistake::new(what, fix)]);
        let root = yaml::read(text).map_err(|error| wrong(format!("line {}: {}", error.at, error.what), error.fix))?;
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
        let found =
            services.iter().find(|(name, _, node)| service.map_or_else(|| has_image(node), |service| name == service));
        let Some((name, _, node)) = found else {
            let names: Vec<_> = services.iter().map(|(name, ..)| name.as_str()).collect();
            let fix = format!("name its service with --service, one of: {}", names.join(", "));
            return Err(wrong(format!("no service has an image of {}", images.join(" or ")), &fix));
        };
        let mut settings = Self { service: Some(name.clone()), ..Self::of_service(node) };
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
            settings.vars.push((name, value));
        }
        for word in get(node, "command").map(words).unwrap_or_default() {
            let word = settings.interpolated("command", &word);
            settings.args.push(word);
        }
        for key in ["networks", "ports", "expose"] {
            let values: Vec<_> = match get(node, key).map(|node| &node.value) {
                Some(Value::List(items)) => items.iter().map(plain).filter(|item| !item.is_empty()).collect(),
                Some(Value::Map(items)) => items.iter().map(|(name, ..)| name.clone()).collect(),
                _ => Vec::new(),
            };
            if !values.is_empty() {
                settings.copied.push((key, values));
            }
        }
        settings
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
                    None => self.unknown.push(format!("{name} depends on {inner}, which is not in this file")),
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
