//! A reader and a writer for the YAML of compose files, which has anchors, aliases, merge keys,
//! tags and folded blocks. The program's own configuration refuses these.
//!
//! A scalar remembers whether it was quoted, so that it is written back with the same type.

use std::collections::HashMap;
use std::fmt::Write as _;

use cetusguard_config::printed::quoted;
use cetusguard_config::{Mistake, Mistakes};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Compose files are not nested more deeply.
const DEPTH: usize = 64;

/// Aliases of aliases can stand for billions of values; no compose file has as many as this.
const VALUES: usize = 100_000;

/// A value of a compose file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ComposeValue {
    /// Nothing behind the colon, `~` or `null`.
    Null,
    /// Text, a number or a truth value.
    Scalar {
        /// Without its quotes.
        text: String,
        /// A number in quotes or in a block is a text.
        is_quoted: bool,
    },
    /// `- a`, `[a]`.
    List(Vec<Self>),
    /// `a: b`, `{a: b}`; keys in their order.
    Map(Vec<(String, Self)>),
}

impl ComposeValue {
    /// Makes a text.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Scalar {
            text: text.into(),
            is_quoted: true,
        }
    }

    /// Returns the value of a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.pairs()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Returns the pairs of a mapping; none of anything else.
    pub(super) fn pairs(&self) -> &[(String, Self)] {
        if let Self::Map(pairs) = self {
            pairs
        } else {
            &[]
        }
    }

    /// Returns the items of a list; none of anything else.
    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self {
            items
        } else {
            &[]
        }
    }

    /// Returns the text of a scalar; empty for anything else.
    pub(super) fn plain(&self) -> &str {
        if let Self::Scalar { text, .. } = self {
            text
        } else {
            ""
        }
    }

    /// Returns the keys of a mapping or the texts of a list, as `networks` takes both.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Map(pairs) => pairs.iter().map(|(name, _)| name.as_str()).collect(),
            Self::List(items) => items.iter().map(Self::plain).collect(),
            Self::Null | Self::Scalar { .. } => Vec::new(),
        }
    }

    /// Returns every text in it: of scalars, not of keys.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Null => Vec::new(),
            Self::Scalar { text, .. } => vec![text],
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(_, value)| value.texts()).collect(),
        }
    }

    /// Returns the value with each text of its scalars changed; keys stay.
    pub(super) fn with_texts(&self, change: &mut dyn FnMut(&str) -> String) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::Scalar { text, is_quoted } => Self::Scalar {
                text: change(text),
                is_quoted: *is_quoted,
            },
            Self::List(items) => {
                Self::List(items.iter().map(|item| item.with_texts(change)).collect())
            }
            Self::Map(pairs) => {
                let changed =
                    |(key, value): &(String, Self)| (key.clone(), value.with_texts(change));
                Self::Map(pairs.iter().map(changed).collect())
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Null | Self::Scalar { .. } => 1,
            Self::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Self::Map(pairs) => 1 + pairs.iter().map(|(_, value)| value.count()).sum::<usize>(),
        }
    }
}

/// Reads a text of one document.
///
/// # Errors
/// The first thing that is no YAML, or that two readers would take for two things.
pub(super) fn parse_document(text: &str) -> Result<ComposeValue, Mistakes> {
    let mut reader = ComposeReader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        budget: VALUES,
    };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamEnd
            | Event::Nothing => {}
            _ if root.is_some() => {
                return Err(mistake_at(
                    span,
                    "a second document starts here",
                    "give migrate one document",
                ));
            }
            event => root = Some(reader.value(event, span, 0)?),
        }
    }
    Ok(root.unwrap_or(ComposeValue::Null))
}

fn mistake_at(span: Span, what: &str, fix: &str) -> Mistakes {
    Mistakes(vec![Mistake::new(
        format!("line {}: {what}", span.start.line().max(1)),
        fix,
    )])
}

struct ComposeReader<'i> {
    parser: Parser<'i, saphyr_parser::StrInput<'i>>,
    anchors: HashMap<usize, ComposeValue>,
    /// The number of values that aliases may still stand for.
    budget: usize,
}

impl<'i> ComposeReader<'i> {
    fn next(&mut self) -> Result<Option<(Event<'i>, Span)>, Mistakes> {
        let next = self.parser.next().transpose();
        next.map_err(|error| {
            let line = error.marker().line().max(1);
            let fix =
                "look for a missing colon, quote or blank, or a tab, here or on the line before";
            Mistakes(vec![Mistake::new(
                format!("line {line}: this is not YAML: {}", error.info()),
                fix,
            )])
        })
    }

    fn value(
        &mut self,
        event: Event<'i>,
        span: Span,
        depth: usize,
    ) -> Result<ComposeValue, Mistakes> {
        if depth > DEPTH {
            return Err(mistake_at(
                span,
                "this is nested too deeply",
                "give migrate the service alone",
            ));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar_value(&text, style), anchor),
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let value = known.ok_or_else(|| {
                    mistake_at(span, "an alias of nothing", "name an anchor before it")
                })?;
                self.budget = self.budget.checked_sub(value.count()).ok_or_else(|| {
                    mistake_at(
                        span,
                        "aliases stand for too many values",
                        "write out what they stand for",
                    )
                })?;
                (value, 0)
            }
            _ => (ComposeValue::Null, 0),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<ComposeValue, Mistakes> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.value(event, span, depth + 1)?);
        }
        Ok(ComposeValue::List(items))
    }

    /// Reads a mapping. Mappings that are merged into it (`<<`) fill in keys that it does not have
    /// itself, the first mapping first.
    fn map(&mut self, depth: usize) -> Result<ComposeValue, Mistakes> {
        let (mut pairs, mut merged) = (Vec::<(String, ComposeValue)>::new(), Vec::new());
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let ComposeValue::Scalar { text: key, .. } = self.value(event, span, depth + 1)? else {
                return Err(mistake_at(
                    span,
                    "a key that is no text",
                    "write a name and a colon",
                ));
            };
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.value(event, span, depth + 1)?;
            match value {
                ComposeValue::List(sources) if is_merge => merged.extend(sources),
                source if is_merge => merged.push(source),
                _ if pairs.iter().any(|(known, _)| *known == key) => {
                    return Err(mistake_at(
                        span,
                        &format!("the key {key} stands twice"),
                        "write it once",
                    ));
                }
                value => pairs.push((key, value)),
            }
        }
        for source in merged {
            let ComposeValue::Map(source) = source else {
                continue;
            };
            let others = source
                .into_iter()
                .filter(|(key, _)| !pairs.iter().any(|(known, _)| known == key));
            let others: Vec<_> = others.collect();
            pairs.extend(others);
        }
        Ok(ComposeValue::Map(pairs))
    }
}

fn scalar_value(text: &str, style: ScalarStyle) -> ComposeValue {
    match style {
        ScalarStyle::Plain if matches!(text, "" | "~" | "null" | "Null" | "NULL") => {
            ComposeValue::Null
        }
        _ => ComposeValue::Scalar {
            text: text.to_owned(),
            is_quoted: style != ScalarStyle::Plain,
        },
    }
}

/// Writes a value behind its key or its dash, in block style.
pub(super) fn write_value(out: &mut String, value: &ComposeValue, indent: usize) {
    match value {
        ComposeValue::Null => out.push('\n'),
        ComposeValue::Scalar { text, is_quoted } => {
            let _ = writeln!(out, " {}", scalar_text(text, *is_quoted));
        }
        ComposeValue::List(items) if items.is_empty() => out.push_str(" []\n"),
        ComposeValue::Map(pairs) if pairs.is_empty() => out.push_str(" {}\n"),
        ComposeValue::List(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                // The first key of a mapping stands behind the dash.
                let mut inner = String::new();
                write_value(&mut inner, item, indent + 2);
                match item {
                    ComposeValue::Map(pairs) if !pairs.is_empty() => {
                        let _ = write!(out, " {}", inner.trim_start());
                    }
                    _ => out.push_str(&inner),
                }
            }
        }
        ComposeValue::Map(pairs) => {
            out.push('\n');
            write_pairs(out, pairs, indent);
        }
    }
}

/// Writes the pairs of a mapping, one below the other.
pub(super) fn write_pairs(out: &mut String, pairs: &[(String, ComposeValue)], indent: usize) {
    for (key, value) in pairs {
        let _ = write!(out, "{:indent$}{}:", "", scalar_text(key, false));
        write_value(out, value, indent + 2);
    }
}

/// A plain scalar stays one, unless it could not be read back as such: it may stem from a longer
/// one, or be a key.
fn scalar_text(text: &str, is_quoted: bool) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.=-+".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "/_.".contains(c));
    match !is_quoted && starts_well && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => quoted_scalar(text),
    }
}

/// Words that YAML or an older reader of it takes for something else than text.
fn quoted_scalar(text: &str) -> String {
    let plain = quoted(text);
    let is_word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        .contains(&plain.to_lowercase().as_str());
    if is_word {
        format!("\"{plain}\"")
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let mut out = String::new();
        write_pairs(&mut out, parse_document(text).expect(text).pairs(), 0);
        out
    }

    #[test]
    fn what_people_write_by_hand_is_resolved() {
        for (text, want) in [
            ("a: &x 1\nb: *x\n", "a: 1\nb: 1\n"),
            (
                "a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n",
                "a:\n  k: 1\n  l: 2\nb:\n  l: 3\n  k: 1\n",
            ),
            (
                "a: &x {k: 1}\nb: &y {k: 2, m: 4}\nc: {<<: [*x, *y]}\n",
                "a:\n  k: 1\nb:\n  k: 2\n  m: 4\nc:\n  k: 1\n  m: 4\n",
            ),
            ("a: >\n  x\n  y\n", "a: \"x y\\n\"\n"),
            ("a: !override [x]\n", "a:\n  - x\n"),
            (
                "a:\n  - b: 1\n    c: 2\n  - [d]\n",
                "a:\n  - b: 1\n    c: 2\n  -\n    - d\n",
            ),
            ("a: ~\nb: []\nc: {}\n", "a:\nb: []\nc: {}\n"),
        ] {
            assert_eq!(rewritten(text), want, "{text}");
        }
    }

    /// Values are written as they were read, with their types.
    #[test]
    fn types_survive() {
        let text = "a: true\nb: \"true\"\nc: 0660\nd: \"2375:2375\"\ne: \"x: y # z\"\nf: \
            \"${A:-b}\"\n\"g h\": \"1\"\ni: \"\"\n";
        assert_eq!(rewritten(text), text);
        assert_eq!(
            parse_document(&rewritten(text)).expect("ours"),
            parse_document(text).expect("theirs")
        );
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for (text, want) in [
            ("a: 1\na: 2\n", "stands twice"),
            ("a: *x\n", "line 1"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("a: [1\n", "this is not YAML"),
        ] {
            let told = parse_document(text).expect_err(text).to_string();
            assert!(told.contains(want), "{told}");
        }
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, n| {
            let last = n - 1;
            text + &format!("a{n}: &a{n} [*a{last}, *a{last}, *a{last}, *a{last}]\n")
        });
        assert!(
            parse_document(&bomb)
                .expect_err("a bomb")
                .to_string()
                .contains("too many")
        );
        assert!(parse_document(&("[".repeat(200))).is_err());
    }
}
