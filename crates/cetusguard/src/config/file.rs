//! The configuration file as it was written: the options under their own names, `frontends` and
//! `profiles` beside them.

use std::fmt;
use std::sync::Arc;

use cetusguard_policy::Excerpt;

use super::Mistake;
use super::keys::{CLIENT_KEYS, FRONTEND_KEYS, Key, PROFILE_KEYS};
use super::option::{Many, OPTIONS, nearest};
use super::written::Source;
use super::yaml::{self, Node, Place, Value};

/// A place in a file, with the line that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    path: Arc<str>,
    at: Place,
    line: Arc<str>,
    begins: usize,
    indent: usize,
}

impl Spot {
    /// Returns the line on which the text of a value begins, from 1: that of a block is the line
    /// below its key.
    pub(crate) fn begins(&self) -> usize {
        self.begins
    }

    /// Returns the number of characters before each line of that text.
    pub(crate) fn indent(&self) -> usize {
        self.indent
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl Spot {
    /// Returns file, line and column in the form of compilers and editors.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path, self.at)
    }
}

impl fmt::Display for Spot {
    /// Writes the place, the line and a caret under it, as mistakes in rules show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.line.char_indices().nth(self.at.column - 1);
        let start = before.map_or(self.line.len(), |(start, _)| start);
        let excerpt = Excerpt {
            origin: &self.path,
            number: self.at.line,
            column: self.at.column,
            line: &self.line,
            part: start..start,
        };
        write!(f, "{excerpt}")
    }
}

/// A value, and where it was written.
type Scalar = (String, Source);

/// One of `clients`: its conditions, and where it starts.
pub(crate) type Client = (Source, Vec<(&'static str, Scalar)>);

/// Keys and their values.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name of a profile.
    pub(crate) name: String,
    /// The place of its first line.
    pub(crate) begins: Source,
    /// Its keys and their values.
    pub(crate) values: Vec<(&'static str, Vec<Scalar>)>,
    /// The `clients` of a profile: the keys and values of each.
    pub(crate) clients: Vec<Client>,
    /// Set if it has a mistake: a missing value may be one that could not be read.
    pub(crate) is_flawed: bool,
}

impl Entry {
    /// Returns every value of a key.
    pub(crate) fn all(&self, key: &str) -> &[Scalar] {
        self.values
            .iter()
            .find(|(known, _)| *known == key)
            .map_or(&[], |(_, values)| values)
    }

    /// Returns the value of a key that takes one.
    pub(crate) fn one(&self, key: &str) -> Option<&Scalar> {
        self.all(key).first()
    }
}

/// A configuration file.
#[derive(Debug)]
pub(crate) struct File {
    path: Arc<str>,
    lines: Vec<Arc<str>>,
    options: Vec<(&'static str, Vec<Scalar>)>,
    /// The entries of `frontends`.
    pub(crate) frontends: Vec<Entry>,
    /// The entries of `profiles`.
    pub(crate) profiles: Vec<Entry>,
}

impl File {
    /// Reads a file, and notes every mistake in it up to the first error in the YAML itself.
    pub(crate) fn read(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let lines = lines(text).map(Arc::from).collect();
        let mut file = Self {
            path: path.into(),
            lines,
            options: Vec::new(),
            frontends: Vec::new(),
            profiles: Vec::new(),
        };
        match yaml::read(text) {
            Ok(root) => file.take(&root, mistakes),
            Err(wrong) => mistakes.push(Mistake::at(&file.spot(wrong.at), wrong.what, wrong.fix)),
        }
        file
    }

    /// Returns the values that were written for an option.
    pub(crate) fn option(&self, name: &str) -> Option<&[Scalar]> {
        self.options
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, values)| values.as_slice())
    }

    /// Returns the spot of a place. A place behind the last line, where YAML misses the end of a
    /// quote or a bracket, becomes the end of that line.
    fn spot(&self, at: Place) -> Spot {
        let last = self.lines.len().max(1);
        let text = self.lines.get(at.line.min(last) - 1);
        let line = text.cloned().unwrap_or_else(|| "".into());
        let at = if at.line > last {
            Place {
                line: last,
                column: line.chars().count() + 1,
            }
        } else {
            at
        };
        Spot {
            path: Arc::clone(&self.path),
            at,
            line,
            begins: at.line,
            indent: 0,
        }
    }

    fn take(&mut self, root: &Node, mistakes: &mut Vec<Mistake>) {
        let options = OPTIONS
            .iter()
            .filter(|option| !option.is_source())
            .map(|option| option.name);
        let known: Vec<&'static str> = options.chain(["frontends", "profiles"]).collect();
        for (key, node) in self.keys(root, &known, mistakes) {
            match key {
                "frontends" => {
                    let bare = bare_texts(node);
                    if !bare.is_empty() {
                        let fix = format!(
                            "write each with its key: - addr: {}",
                            bare.join(", - addr: ")
                        );
                        mistakes.push(self.wrong(
                            node,
                            "frontends has addresses without a key",
                            &fix,
                        ));
                        continue;
                    }
                    for item in self.items(node, mistakes) {
                        let entry = self.entry(String::new(), item, FRONTEND_KEYS, &[], mistakes);
                        self.frontends.push(entry);
                    }
                }
                "profiles" => {
                    let Value::Map(profiles) = &node.value else {
                        mistakes.push(self.wrong(
                            node,
                            "profiles is no mapping",
                            "write a name and a colon for each profile",
                        ));
                        continue;
                    };
                    for (name, at, node) in profiles {
                        let mut entry =
                            self.entry(name.clone(), node, PROFILE_KEYS, &["clients"], mistakes);
                        entry.begins = Source::File(self.spot(*at));
                        self.profiles.push(entry);
                    }
                }
                option => {
                    let values = self.values(option, node, Many::of_key(option), mistakes);
                    self.options.push((option, values));
                }
            }
        }
    }

    /// Reads keys with values; `also` names those that hold more than that.
    fn entry(
        &self,
        name: String,
        node: &Node,
        known: &[Key],
        also: &[&'static str],
        mistakes: &mut Vec<Mistake>,
    ) -> Entry {
        let mut entry = Entry {
            name,
            begins: Source::File(self.spot(node.at)),
            values: Vec::new(),
            clients: Vec::new(),
            is_flawed: false,
        };
        let before = mistakes.len();
        let names: Vec<_> = known
            .iter()
            .map(|key| key.name)
            .chain(also.iter().copied())
            .collect();
        for (name, node) in self.keys(node, &names, mistakes) {
            match known.iter().find(|key| key.name == name) {
                Some(key) => {
                    let many = if key.many {
                        Many::of_key(name)
                    } else {
                        Many::No
                    };
                    entry
                        .values
                        .push((name, self.values(name, node, many, mistakes)));
                }
                None => entry.clients = self.clients(node, mistakes),
            }
        }
        entry.is_flawed = mistakes.len() > before;
        entry
    }

    fn clients(&self, node: &Node, mistakes: &mut Vec<Mistake>) -> Vec<Client> {
        let names: Vec<_> = CLIENT_KEYS.iter().map(|key| key.name).collect();
        let mut clients = Vec::new();
        for item in self.items(node, mistakes) {
            if let Value::Text(text, _) = &item.value {
                mistakes.push(self.wrong(item, "a client without a key", &with_key(text, &names)));
                continue;
            }
            if matches!(&item.value, Value::Nothing)
                || matches!(&item.value, Value::Map(pairs) if pairs.is_empty())
            {
                let fix = format!("expected one of: {}", names.join(", "));
                mistakes.push(self.wrong(item, "a client without a condition", &fix));
            }
            let keys = self.keys(item, &names, mistakes).into_iter();
            let conditions = keys.flat_map(|(key, node)| {
                self.values(key, node, Many::No, mistakes)
                    .into_iter()
                    .map(move |value| (key, value))
            });
            clients.push((Source::File(self.spot(item.at)), conditions.collect()));
        }
        clients
    }

    /// Returns the known keys of a mapping; the others are mistakes.
    fn keys<'n>(
        &self,
        node: &'n Node,
        known: &[&'static str],
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<(&'static str, &'n Node)> {
        let pairs = match &node.value {
            Value::Map(pairs) => pairs,
            Value::Nothing => return Vec::new(),
            Value::Text(..) | Value::List(_) => {
                let fix = format!(
                    "expected keys, as in {}: …",
                    known.first().copied().unwrap_or_default()
                );
                mistakes.push(self.wrong(node, "this is no mapping", &fix));
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for (name, at, node) in pairs {
            match known.iter().find(|known| *known == name) {
                Some(known) => found.push((*known, node)),
                None => {
                    // Variables of the environment have the names of the options as well.
                    let option = name
                        .strip_prefix("CETUSGUARD_")
                        .unwrap_or(name)
                        .to_lowercase()
                        .replace('_', "-");
                    let fix = match nearest(&option, known.iter().copied()) {
                        Some(near) => format!("did you mean {near}?"),
                        None if name == "services" => {
                            "this is a compose file: name the file that has Cetusguard's own \
                            options, or set them in the service's environment"
                                .to_owned()
                        }
                        None => format!("expected one of: {}", known.join(", ")),
                    };
                    mistakes.push(Mistake::at(
                        &self.spot(*at),
                        format!("unknown key {name}"),
                        fix,
                    ));
                }
            }
        }
        found
    }

    fn items<'n>(&self, node: &'n Node, mistakes: &mut Vec<Mistake>) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Nothing => &[],
            Value::Text(..) | Value::Map(_) => {
                let fix = "write each entry behind a dash, on a line of its own";
                mistakes.push(self.wrong(node, "this is no list", fix));
                &[]
            }
        }
    }

    /// Returns the value of a key, or its values if it takes several: in a list, or in one text.
    fn values(
        &self,
        key: &str,
        node: &Node,
        many: Many,
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<Scalar> {
        match &node.value {
            Value::List(items) if !items.is_empty() && many != Many::No => items
                .iter()
                .flat_map(|item| self.scalar(key, item, many, mistakes))
                .collect(),
            _ => self.scalar(key, node, many, mistakes),
        }
    }

    /// Reads one text into one value or several.
    fn scalar(
        &self,
        key: &str,
        node: &Node,
        many: Many,
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<Scalar> {
        let empty = || {
            self.wrong(
                node,
                &format!("{key} has no value"),
                "give it one, or leave it out",
            )
        };
        match &node.value {
            Value::Text(text, line) => {
                let indent = self.indent(text, *line);
                let source = Source::File(Spot {
                    begins: *line,
                    indent,
                    ..self.spot(node.at)
                });
                let values = if many == Many::No {
                    vec![text.clone()]
                } else {
                    many.split(text)
                };
                if values.is_empty() {
                    mistakes.push(empty());
                }
                values
                    .into_iter()
                    .map(|value| (value, source.clone()))
                    .collect()
            }
            Value::Nothing => {
                mistakes.push(empty());
                Vec::new()
            }
            Value::List(items) if items.is_empty() => {
                mistakes.push(empty());
                Vec::new()
            }
            Value::List(_) | Value::Map(_) => {
                let fix = match many {
                    Many::No => "expected one value",
                    Many::Texts => {
                        "write them as a text: a | behind the key, and a rule a line below it"
                    }
                    Many::Words | Many::Paths => "expected a value, or a list of values",
                };
                mistakes.push(self.wrong(node, &format!("{key} is no single value"), fix));
                Vec::new()
            }
        }
    }

    /// Returns the indentation of a text. The lines of a block are indented, and its first may be
    /// empty.
    fn indent(&self, text: &str, begins: usize) -> usize {
        let mut rows = text.lines().zip(self.lines.iter().skip(begins - 1));
        let found = rows
            .find(|(own, _)| !own.is_empty())
            .and_then(|(own, line)| Some(&line[..line.find(own)?]));
        found.map_or(0, |before| before.chars().count())
    }

    fn wrong(&self, node: &Node, what: &str, fix: &str) -> Mistake {
        Mistake::at(&self.spot(node.at), what, fix)
    }
}

/// Returns the texts that stand where keys are expected: the value itself, or entries of a list.
fn bare_texts(node: &Node) -> Vec<&str> {
    let nodes = if let Value::List(items) = &node.value {
        items.as_slice()
    } else {
        std::slice::from_ref(node)
    };
    nodes
        .iter()
        .filter_map(|node| {
            if let Value::Text(text, _) = &node.value {
                Some(text.as_str())
            } else {
                None
            }
        })
        .collect()
}

/// Adds the probable key to a condition that has none.
fn with_key(text: &str, known: &[&str]) -> String {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) if known.contains(&key) => (key, value),
        Some(_) => ("label", text),
        None if text.parse::<ipnet::IpNet>().is_ok()
            || text.parse::<std::net::IpAddr>().is_ok() =>
        {
            ("address", text)
        }
        None => ("container", text),
    };
    format!("write it with its key: - {key}: {value}")
}

/// Returns the lines of a text as YAML ends them (YAML 1.2.2 §5.4): with LF, CR LF or CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, behind) = rest.split_at_checked(end).filter(|_| !rest.is_empty())?;
        rest = behind
            .strip_prefix("\r\n")
            .or_else(|| behind.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_point_at_a_line_of_the_file() {
        for (text, want) in [
            ("rules: [a", "file:1:10: "),
            ("log-level: 1\nrules: [a\n", "file:2:10: "),
            ("log-level: 1\n\nx: 1\n", "file:3:1: "),
            ("log-level: 1\r\n\r\nx: 1", "file:3:1: "),
            ("log-level: 1\rx: 1\rlog-format: json\r", "file:2:1: "),
        ] {
            let mut mistakes = Vec::new();
            File::read("file", text, &mut mistakes);
            let told = mistakes
                .iter()
                .map(Mistake::in_one_line)
                .collect::<Vec<_>>()
                .join("\n");
            assert!(
                told.starts_with(want) && mistakes.len() == 1,
                "{text:?}: {told}"
            );
            let Mistake::File { spot, .. } = &mistakes[0] else {
                panic!("{told}")
            };
            assert!(!spot.line.is_empty(), "{text:?}: {told}");
        }
    }
}
