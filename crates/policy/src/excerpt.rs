//! The excerpts that errors show: a line of a text with carets under its wrong part.

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
        let carets = carets_below(&self.line[..self.part.start], &self.line[self.part.clone()]);
        writeln!(f, "{margin}--> {}:{number}:{}", self.origin, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.line)?;
        write!(f, "{margin} | {carets}")
    }
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
