//! A YAML file with the places of its values, for mistakes that point at them: the configuration,
//! and files of expected decisions.

use std::fmt;
use std::sync::Arc;

use cetusguard_policy::Excerpt;

use super::Mistake;
use super::option::nearest;
use super::yaml::{self, Node, YamlPlace, YamlValue};

/// A place in a file, with the line that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    path: Arc<str>,
    at: YamlPlace,
    pub(super) line: Arc<str>,
    /// The line on which the text of the value begins.
    begins: usize,
    /// The number of characters before each line of that text.
    indent: usize,
}

impl Spot {
    /// Returns the line on which the text of a value begins, from 1: that of a block is the line
    /// below its key.
    pub fn begins(&self) -> usize {
        self.begins
    }

    /// Returns the number of characters before each line of that text.
    pub fn indent(&self) -> usize {
        self.indent
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Spot {
    /// Returns file, line and column in the form of compilers and editors.
    pub fn place(&self) -> String {
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

/// The text of a file, by lines.
#[derive(Debug)]
pub struct Document {
    path: Arc<str>,
    lines: Vec<Arc<str>>,
}

impl Document {
    /// Takes the text of a file.
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            lines: lines(text).map(Arc::from).collect(),
        }
    }

    /// Reads a text as YAML.
    ///
    /// # Errors
    /// The first error in the YAML itself.
    pub fn read(path: &str, text: &str) -> (Self, Result<Node, Mistake>) {
        let document = Self::new(path, text);
        let root = yaml::read(text)
            .map_err(|wrong| Mistake::at(&document.spot(wrong.at), wrong.what, wrong.fix));
        (document, root)
    }

    /// Returns the spot of a place. A place behind the last line, where YAML misses the end of a
    /// quote or a bracket, becomes the end of that line.
    pub fn spot(&self, at: YamlPlace) -> Spot {
        let last = self.lines.len().max(1);
        let text = self.lines.get(at.line.min(last) - 1);
        let line = text.cloned().unwrap_or_else(|| "".into());
        let at = if at.line > last {
            YamlPlace {
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

    /// Returns the known keys of a mapping; the others are mistakes.
    pub fn keys<'n>(
        &self,
        node: &'n Node,
        known: &[&'static str],
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<(&'static str, &'n Node)> {
        let pairs = match &node.value {
            YamlValue::Map(pairs) => pairs,
            YamlValue::Nothing => return Vec::new(),
            YamlValue::Text(..) | YamlValue::List(_) => {
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

    /// Returns the entries of a list.
    pub fn items<'n>(&self, node: &'n Node, mistakes: &mut Vec<Mistake>) -> &'n [Node] {
        match &node.value {
            YamlValue::List(items) => items,
            YamlValue::Nothing => &[],
            YamlValue::Text(..) | YamlValue::Map(_) => {
                let fix = "write each entry behind a dash, on a line of its own";
                mistakes.push(self.wrong(node, "this is no list", fix));
                &[]
            }
        }
    }

    /// Returns the spot of a text that begins on this line.
    pub(super) fn text_spot(&self, node: &Node, text: &str, line: usize) -> Spot {
        Spot {
            begins: line,
            indent: self.indent(text, line),
            ..self.spot(node.at)
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

    /// Makes a mistake at a value.
    pub fn wrong(&self, node: &Node, what: &str, fix: &str) -> Mistake {
        Mistake::at(&self.spot(node.at), what, fix)
    }
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
