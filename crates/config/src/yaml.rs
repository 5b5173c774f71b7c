//! YAML as the configuration file uses it: mappings, lists and scalars, each with its place.
//!
//! Input that two readers could read differently is rejected: a key twice, anchors and aliases,
//! tags, several documents. Values stay text; the caller knows which values are valid.

use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Nothing that we configure is nested deeper.
const DEPTH: usize = 16;

/// A place in the file, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct YamlPlace {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl From<&Marker> for YamlPlace {
    fn from(marker: &Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

impl fmt::Display for YamlPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A node of the file, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The place where it starts.
    pub at: YamlPlace,
    /// The value.
    pub value: YamlValue,
    /// The value is a scalar without quotes, which YAML may take for a number or a truth value.
    pub is_plain: bool,
}

/// The kinds of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlValue {
    /// Nothing behind the colon, `~` or `null`.
    Nothing,
    /// A scalar, and the line on which its text begins: the next one for a block (`|`).
    Text(String, usize),
    /// `- a`, `[a]`.
    List(Vec<Node>),
    /// `a: b`, `{a: b}`; keys in their order.
    Map(Vec<(String, YamlPlace, Node)>),
}

/// The reason why a file cannot be read, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub at: YamlPlace,
    /// The mistake.
    pub what: String,
    /// The correction.
    pub fix: &'static str,
}

/// Reads a file that holds one document. An empty one is [`YamlValue::Nothing`].
///
/// # Errors
/// Returns the first mistake: text behind it may be read wrongly.
pub fn read(text: &str) -> Result<Node, Wrong> {
    let mut events = Parser::new_from_str(text).map(|event| {
        event.map_err(|error| Wrong {
            at: error.marker().into(),
            what: format!("this is not YAML: {}", error.info()),
            fix: "look for a missing colon, quote or blank, or a tab, here or on the line before",
        })
    });
    let mut root = None;
    while let Some(event) = events.next() {
        let (event, span) = event?;
        match event {
            Event::StreamStart
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamEnd
            | Event::Nothing => {}
            _ if root.is_some() => {
                return Err(Wrong {
                    at: (&span.start).into(),
                    what: "a second document starts here".to_owned(),
                    fix: "keep everything in one document, without ---",
                });
            }
            event => root = Some(read_node(event, span, &mut events, 0)?),
        }
    }
    Ok(root.unwrap_or(Node {
        at: YamlPlace { line: 1, column: 1 },
        value: YamlValue::Nothing,
        is_plain: false,
    }))
}

fn read_node<'i>(
    event: Event<'i>,
    span: Span,
    events: &mut impl Iterator<Item = Result<(Event<'i>, Span), Wrong>>,
    depth: usize,
) -> Result<Node, Wrong> {
    let at = YamlPlace::from(&span.start);
    let refuse = |what: &str, fix| {
        Err(Wrong {
            at,
            what: what.to_owned(),
            fix,
        })
    };
    if depth > DEPTH {
        return refuse(
            "this is nested too deeply",
            "no key of the configuration is nested so deeply",
        );
    }
    let (anchor, tag) = match &event {
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
        _ => (0, false),
    };
    if anchor != 0 || tag || matches!(event, Event::Alias(_)) {
        return refuse(
            "anchors, aliases and tags are not read here",
            "write the value out",
        );
    }
    if matches!(event, Event::Scalar(_, ScalarStyle::Folded, ..)) {
        return refuse(
            "a folded block joins lines that belong apart",
            "write | instead of >",
        );
    }
    let is_plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, ..));
    let value = match event {
        Event::Scalar(text, style, ..) => read_scalar(&text, style, at),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            while let Some((event, span)) = events.next().transpose()? {
                if matches!(event, Event::SequenceEnd) {
                    break;
                }
                list.push(read_node(event, span, events, depth + 1)?);
            }
            YamlValue::List(list)
        }
        Event::MappingStart(..) => YamlValue::Map(read_map(events, depth)?),
        _ => YamlValue::Nothing,
    };
    Ok(Node {
        at,
        value,
        is_plain,
    })
}

fn read_scalar(text: &str, style: ScalarStyle, at: YamlPlace) -> YamlValue {
    match style {
        ScalarStyle::Plain if matches!(text, "" | "~" | "null" | "Null" | "NULL") => {
            YamlValue::Nothing
        }
        // A block starts behind its mark, blank lines included.
        ScalarStyle::Literal => {
            let blank = text.bytes().take_while(|byte| *byte == b'\n').count();
            YamlValue::Text(text.to_owned(), at.line - blank.min(at.line - 1))
        }
        _ => YamlValue::Text(text.to_owned(), at.line),
    }
}

/// Keys are text, and stand once.
fn read_map<'i>(
    events: &mut impl Iterator<Item = Result<(Event<'i>, Span), Wrong>>,
    depth: usize,
) -> Result<Vec<(String, YamlPlace, Node)>, Wrong> {
    let mut map: Vec<(String, YamlPlace, Node)> = Vec::new();
    while let Some((event, span)) = events.next().transpose()? {
        if matches!(event, Event::MappingEnd) {
            break;
        }
        let key = read_node(event, span, events, depth + 1)?;
        let YamlValue::Text(name, _) = key.value else {
            let what = "a key that is no text".to_owned();
            return Err(Wrong {
                at: key.at,
                what,
                fix: "expected a name and a colon",
            });
        };
        if let Some((_, first, _)) = map.iter().find(|(known, ..)| *known == name) {
            let what = format!("the key {name} stands twice, first on line {}", first.line);
            return Err(Wrong {
                at: key.at,
                what,
                fix: "write it once",
            });
        }
        let Some((event, span)) = events.next().transpose()? else {
            break;
        };
        map.push((name, key.at, read_node(event, span, events, depth + 1)?));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe_node(node: &Node) -> String {
        match &node.value {
            YamlValue::Nothing => "-".to_owned(),
            YamlValue::Text(text, line) => format!("{text:?}@{line}"),
            YamlValue::List(list) => {
                format!(
                    "[{}]",
                    list.iter().map(describe_node).collect::<Vec<_>>().join(" ")
                )
            }
            YamlValue::Map(map) => {
                let pairs = map
                    .iter()
                    .map(|(key, at, node)| format!("{key}@{at}={}", describe_node(node)));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn files_are_read_with_their_places() {
        for (text, want) in [
            ("", "-"),
            ("# nothing\n", "-"),
            ("a: 1\nb: 'x'\n", "{a@1:1=\"1\"@1 b@2:1=\"x\"@2}"),
            ("a:\n  - x\n  - y: z\n", "{a@1:1=[\"x\"@2 {y@3:5=\"z\"@3}]}"),
            ("a: [x, y]\n", "{a@1:1=[\"x\"@1 \"y\"@1]}"),
            (
                "a: |\n  GET /x\n  GET /y\nb: ~\n",
                "{a@1:1=\"GET /x\\nGET /y\\n\"@2 b@4:1=-}",
            ),
            ("a: |\n\n  GET /x\n", "{a@1:1=\"\\nGET /x\\n\"@2}"),
            ("a:\nb: \"\"\n", "{a@1:1=- b@2:1=\"\"@2}"),
            ("a: on\nb: 0660\n", "{a@1:1=\"on\"@1 b@2:1=\"0660\"@2}"),
        ] {
            assert_eq!(describe_node(&read(text).expect(text)), want, "{text}");
        }
    }

    #[test]
    fn what_could_be_misread_is_refused_with_its_place() {
        for (text, at, what) in [
            ("a: 1\nb: 2\na: 3\n", "3:1", "stands twice, first on line 1"),
            ("a: >\n  GET /x\n", "", "folded"),
            ("a: &x 1\nb: *x\n", "1:4", "anchors"),
            ("a: !!int 1\n", "1:4", "tags"),
            ("a: 1\n---\nb: 2\n", "3:1", "second document"),
            ("a: 1\n b: 2\n", "2:3", "not YAML"),
            ("a: [1\n", "", "not YAML"),
            ("a: \"x\n", "", "not YAML"),
            ("? [a]\n: b\n", "1:3", "no text"),
        ] {
            let wrong = read(text).expect_err(text);
            assert!(wrong.what.contains(what), "{text}: {}", wrong.what);
            assert!(
                at.is_empty() || wrong.at.to_string() == at,
                "{text}: {} instead of {at}",
                wrong.at
            );
        }
        let deep = "[".repeat(200);
        assert!(read(&format!("a: {deep}")).is_err());
    }
}
