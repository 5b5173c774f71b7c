//! The configuration file as it was written: the options under their own names, `frontends` and
//! `profiles` beside them.

use super::Mistake;
use super::document::Document;
use super::keys::{CLIENT_KEYS, FRONTEND_KEYS, Key, PROFILE_KEYS};
use super::name::SettingName;
use super::option::{Many, OPTIONS};
use super::written::Source;
use super::yaml::{Node, YamlValue};

/// A value, and where it was written.
type Scalar = (String, Source);

/// One of `clients`: its conditions, and where it starts.
pub type Client = (Source, Vec<(&'static str, Scalar)>);

/// Keys and their values.
#[derive(Debug)]
pub struct FileEntry {
    /// The name of a profile.
    pub name: String,
    /// The place of its first line.
    pub begins: Source,
    /// Its keys and their values.
    pub values: Vec<(&'static str, Vec<Scalar>)>,
    /// The `clients` of a profile: the keys and values of each.
    pub clients: Vec<Client>,
    /// Set if it has a mistake: a missing value may be one that could not be read.
    pub(crate) is_flawed: bool,
}

impl FileEntry {
    /// Returns every value of a key.
    pub fn all(&self, key: SettingName) -> &[Scalar] {
        self.values
            .iter()
            .find(|(known, _)| *known == key.as_str())
            .map_or(&[], |(_, values)| values)
    }

    /// Returns the value of a key that takes one.
    pub fn one(&self, key: SettingName) -> Option<&Scalar> {
        self.all(key).first()
    }
}

/// A configuration file.
#[derive(Debug)]
pub struct ConfigFile {
    document: Document,
    options: Vec<(&'static str, Vec<Scalar>)>,
    /// The entries of `frontends`.
    pub frontends: Vec<FileEntry>,
    /// The entries of `profiles`.
    pub profiles: Vec<FileEntry>,
}

impl ConfigFile {
    /// Reads a file, and notes every mistake in it up to the first error in the YAML itself.
    pub fn read(path: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let (document, root) = Document::read(path, text);
        let mut file = Self {
            document,
            options: Vec::new(),
            frontends: Vec::new(),
            profiles: Vec::new(),
        };
        match root {
            Ok(root) => file.take(&root, mistakes),
            Err(mistake) => mistakes.push(mistake),
        }
        file
    }

    /// Returns the values that were written for an option.
    pub fn option(&self, name: &str) -> Option<&[Scalar]> {
        self.options
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, values)| values.as_slice())
    }

    fn take(&mut self, root: &Node, mistakes: &mut Vec<Mistake>) {
        let options = OPTIONS
            .iter()
            .filter(|option| !option.is_source())
            .map(|option| option.name);
        let known: Vec<&'static str> = options.chain(["frontends", "profiles"]).collect();
        for (key, node) in self.document.keys(root, &known, mistakes) {
            match key {
                "frontends" => {
                    let bare = bare_texts(node);
                    if !bare.is_empty() {
                        let fix = format!(
                            "write each with its key: - addr: {}",
                            bare.join(", - addr: ")
                        );
                        mistakes.push(self.document.wrong(
                            node,
                            "frontends has addresses without a key",
                            &fix,
                        ));
                        continue;
                    }
                    for item in self.document.items(node, mistakes) {
                        let entry = self.entry(String::new(), item, FRONTEND_KEYS, &[], mistakes);
                        self.frontends.push(entry);
                    }
                }
                "profiles" => {
                    let YamlValue::Map(profiles) = &node.value else {
                        mistakes.push(self.document.wrong(
                            node,
                            "profiles is no mapping",
                            "write a name and a colon for each profile",
                        ));
                        continue;
                    };
                    for (name, at, node) in profiles {
                        let mut entry =
                            self.entry(name.clone(), node, PROFILE_KEYS, &["clients"], mistakes);
                        entry.begins = Source::File(self.document.spot(*at));
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
    ) -> FileEntry {
        let mut entry = FileEntry {
            name,
            begins: Source::File(self.document.spot(node.at)),
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
        for (name, node) in self.document.keys(node, &names, mistakes) {
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
        for item in self.document.items(node, mistakes) {
            if let YamlValue::Text(text, _) = &item.value {
                mistakes.push(self.document.wrong(
                    item,
                    "a client without a key",
                    &with_key(text, &names),
                ));
                continue;
            }
            if matches!(&item.value, YamlValue::Nothing)
                || matches!(&item.value, YamlValue::Map(pairs) if pairs.is_empty())
            {
                let fix = format!("expected one of: {}", names.join(", "));
                mistakes.push(
                    self.document
                        .wrong(item, "a client without a condition", &fix),
                );
            }
            let keys = self.document.keys(item, &names, mistakes).into_iter();
            let conditions = keys.flat_map(|(key, node)| {
                self.values(key, node, Many::No, mistakes)
                    .into_iter()
                    .map(move |value| (key, value))
            });
            clients.push((
                Source::File(self.document.spot(item.at)),
                conditions.collect(),
            ));
        }
        clients
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
            YamlValue::List(items) if !items.is_empty() && many != Many::No => items
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
            self.document.wrong(
                node,
                &format!("{key} has no value"),
                "give it one, or leave it out",
            )
        };
        match &node.value {
            YamlValue::Text(text, line) => {
                let source = Source::File(self.document.text_spot(node, text, *line));
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
            YamlValue::Nothing => {
                mistakes.push(empty());
                Vec::new()
            }
            YamlValue::List(items) if items.is_empty() => {
                mistakes.push(empty());
                Vec::new()
            }
            YamlValue::List(_) | YamlValue::Map(_) => {
                let fix = match many {
                    Many::No => "expected one value",
                    Many::Texts => {
                        "write them as a text: a | behind the key, and a rule a line below it"
                    }
                    Many::Words | Many::Paths => "expected a value, or a list of values",
                };
                mistakes.push(
                    self.document
                        .wrong(node, &format!("{key} is no single value"), fix),
                );
                Vec::new()
            }
        }
    }
}

/// Returns the texts that stand where keys are expected: the value itself, or entries of a list.
fn bare_texts(node: &Node) -> Vec<&str> {
    let nodes = if let YamlValue::List(items) = &node.value {
        items.as_slice()
    } else {
        std::slice::from_ref(node)
    };
    nodes
        .iter()
        .filter_map(|node| {
            if let YamlValue::Text(text, _) = &node.value {
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
            ConfigFile::read("file", text, &mut mistakes);
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
