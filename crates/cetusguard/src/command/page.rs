//! The output of commands: lines as wide as the terminal, with colour there. Colour only repeats
//! the words.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::ops::RangeInclusive;

use anstyle::{AnsiColor, Style};
use cetusguard_config::printed::harmless;

/// Characters of a line where there is no terminal, unless a single word is longer.
const WIDTH: usize = 100;
/// Lines that are much longer are hard to read, and much shorter ones hold no sentence.
const WIDTHS: RangeInclusive<usize> = 40..=120;

/// Returns how many characters a line on standard output may have: as many as the terminal has, or
/// `COLUMNS` says.
pub(super) fn line_width(env: &HashMap<String, OsString>) -> usize {
    let named = env
        .get("COLUMNS")
        .and_then(|columns| columns.to_str()?.parse().ok());
    let shown = || {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
    };
    let width = named.or_else(shown).filter(|width| *width > 0);
    width.map_or(WIDTH, |width: usize| {
        width.clamp(*WIDTHS.start(), *WIDTHS.end())
    })
}

/// The emphasis of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emphasis {
    Plain,
    Heading,
    Good,
    Bad,
    Warning,
    Faint,
}

/// A text in the making.
#[derive(Debug)]
pub(super) struct TextPage {
    text: String,
    colour: bool,
    width: usize,
}

impl TextPage {
    /// Makes an empty page. Colour is for terminals whose user has not switched it off
    /// (no-color.org).
    pub(super) fn new(env: &HashMap<String, OsString>) -> Self {
        let is_off = env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env.get("TERM").is_none_or(|term| term == "dumb");
        let colour = !is_off && !is_dumb && std::io::stdout().is_terminal();
        Self {
            text: String::new(),
            colour,
            width: line_width(env),
        }
    }

    /// Returns everything that was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Writes an empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Writes a line without wrapping it: code, or carets under code.
    pub(super) fn line(&mut self, indent: usize, look: Emphasis, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{}", "", self.shown(look, text));
    }

    /// Writes a paragraph; its further lines are indented a little.
    pub(super) fn say(&mut self, indent: usize, look: Emphasis, text: &str) {
        self.item(indent, "", look, text);
    }

    /// Writes a paragraph behind a mark, such as a dash.
    pub(super) fn item(&mut self, indent: usize, mark: &str, look: Emphasis, text: &str) {
        let first = format!("{:indent$}{mark}", "");
        let rest = " ".repeat(if mark.is_empty() {
            indent + 2
        } else {
            first.chars().count()
        });
        let options = textwrap::Options::new(self.width)
            .initial_indent(&first)
            .subsequent_indent(&rest)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false);
        for line in textwrap::wrap(text, options) {
            let _ = writeln!(self.text, "{}", self.shown(look, &line));
        }
    }

    fn shown(&self, look: Emphasis, text: &str) -> String {
        let text = harmless(text);
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let style = match look {
            _ if !self.colour => Style::new(),
            Emphasis::Plain => Style::new(),
            Emphasis::Heading => Style::new().bold(),
            Emphasis::Good => colour(AnsiColor::Green),
            Emphasis::Bad => colour(AnsiColor::Red).bold(),
            Emphasis::Warning => colour(AnsiColor::Yellow),
            Emphasis::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Writes a number with its noun: `1 rule`, `2 rules`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
