//! The excerpts that errors show: a line of a text with carets under its wrong part.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A line of a text, below the place and above carets under a part of the line.
#[derive(Clone, Debug)]
pub struct Excerpt<'t> {
    /// The file, option or variable of the text.
    pub origin: &'t str,
    /// The number of the line, from 1.
    pub number: usize,
    /// The column of the part in its file, in characters from 1.
    pub column: usize,
    /// The line.
    pub line: &'t str,
    /// The part, in bytes of the line; an empty part gets one caret.
    pub part: Range<usize>,
}

impl Excerpt<'_> {
    /// Returns as many blanks as the number of the line has digits, so that more lines can follow.
    #[must_use]
    pub fn margin(&self) -> String {
        " ".repeat(self.number.to_string().len())
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (margin, number) = (self.margin(), self.number);
        let (line, part) = window(self.line, &self.part);
        let carets = carets_below(&line[..part.start], &line[part.clone()]);
        writeln!(f, "{margin}--> {}:{number}:{}", self.origin, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {line}")?;
        write!(f, "{margin} | {carets}")
    }
}

/// The most of a line that is shown before its part, in bytes, and from the part on.
const WINDOW: (usize, usize) = (80, 160);

/// Returns a line with its part, or, of a long line, the surroundings of the part.
fn window<'t>(line: &'t str, part: &Range<usize>) -> (Cow<'t, str>, Range<usize>) {
    let (before, behind) = WINDOW;
    if line.len() <= before + behind {
        return (line.into(), part.clone());
    }
    let start = line.floor_char_boundary(part.start.saturating_sub(before));
    let end = line.floor_char_boundary(line.len().min(part.start + behind));
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    let (head, tail) = (dots(start > 0), dots(end < line.len()));
    let shift = |at: usize| head.len() + at.min(end) - start;
    let shown = format!("{head}{}{tail}", &line[start..end]);
    (shown.into(), shift(part.start)..shift(part.end))
}

/// Returns the carets to print below a line: blanks under the text before a part, and a caret under
/// each character of the part, or one if it is empty.
#[must_use]
pub fn carets_below(before: &str, part: &str) -> String {
    // Tabs stay tabs, so that the carets stand below the part for any width of a tab.
    let blanks = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' });
    let carets = std::iter::repeat_n('^', part.chars().count().max(1));
    blanks.chain(carets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_below_the_part() {
        for (before, part, want) in [
            ("", "", "^"),
            ("", "ab", "^^"),
            ("a: ", "b", "   ^"),
            ("\ta\t", "é€", "\t \t^^"),
            ("é", "", " ^"),
        ] {
            assert_eq!(carets_below(before, part), want, "{before:?} {part:?}");
        }
    }

    #[test]
    fn a_long_line_is_shown_around_its_part() {
        let line = format!("{}éwrong{}", "é".repeat(500), "b".repeat(50_000));
        let start = line.find("wrong").expect("the part");
        let part = start..start + "wrong".len();
        let (shown, at) = window(&line, &part);
        assert_eq!(&shown[at.clone()], "wrong");
        assert!(shown.len() < 300 && shown.starts_with('…') && shown.ends_with('…'));
        let whole = start..line.len();
        let (shown, at) = window(&line, &whole);
        assert!(shown[at].starts_with("wrongb") && shown.len() < 300);
        let end = line.len()..line.len();
        let (shown, at) = window(&line, &end);
        assert_eq!((at.start, at.end), (shown.len(), shown.len()));
    }

    #[test]
    fn an_excerpt_has_the_width_of_its_line_number() {
        let excerpt = Excerpt {
            origin: "a.yaml",
            number: 12,
            column: 7,
            line: "key: value",
            part: 5..10,
        };
        assert_eq!(
            excerpt.to_string(),
            "  --> a.yaml:12:7\n   |\n12 | key: value\n   |      ^^^^^"
        );
    }
}
