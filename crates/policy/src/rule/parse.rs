//! The parser of rules, whose errors show the wrong part of a line and say how to write it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex_syntax::ast;

use super::form::{Expressions, PathForm};
use super::{Effect, Position, Rule, RuleBody, names, to_regex_syntax, variable};
use crate::request::method::{Method, Methods};
use crate::text::excerpt::Excerpt;

/// An error in a line of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMistake {
    /// The place of the line.
    pub position: Position,
    /// The error, in one sentence.
    pub what: String,
    /// The advice, in one sentence.
    pub expected: String,
    /// The whole line.
    text: String,
    /// The wrong part, in bytes of `text`.
    at: Range<usize>,
    /// The number of characters before `text` in the line of its file.
    indent: usize,
}

impl RuleMistake {
    /// Returns the column of the wrong part in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.indent + self.text[..self.at.start].chars().count() + 1
    }

    /// Returns the error for a text that is indented by a number of characters in its file.
    #[must_use]
    pub fn indented(self, by: usize) -> Self {
        Self {
            indent: self.indent + by,
            ..self
        }
    }

    /// Returns the error as one line for the log.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        format!(
            "{}:{}: {}; {}",
            self.position,
            self.column(),
            self.what,
            self.expected
        )
    }
}

impl fmt::Display for RuleMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let excerpt = Excerpt {
            origin: &self.position.origin,
            number: self.position.line,
            column: self.column(),
            line: &self.text,
            part: self.at.clone(),
        };
        let margin = excerpt.margin();
        write!(f, "{}\n{excerpt}\n{margin} = {}", self.what, self.expected)
    }
}

impl std::error::Error for RuleMistake {}

/// Parses a text with one rule a line.
///
/// # Errors
/// Returns every mistake in the text; a text with one gives no rules.
pub fn parse(origin: &str, text: &str) -> Result<Vec<Rule>, Vec<RuleMistake>> {
    parse_sharing(&mut Expressions::default(), origin, 1, text)
}

/// Parses one of several texts, whose rules share their compiled expressions. The text begins in a
/// line of its origin.
///
/// # Errors
/// Returns every mistake in the text; a text with one gives no rules.
pub fn parse_sharing(
    expressions: &mut Expressions,
    origin: &str,
    first_line: usize,
    text: &str,
) -> Result<Vec<Rule>, Vec<RuleMistake>> {
    let origin: Arc<str> = origin.into();
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    for (index, line) in text.split('\n').enumerate() {
        let position = Position {
            origin: Arc::clone(&origin),
            line: first_line + index,
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        match parse_line(expressions, line) {
            Ok(None) => {}
            Ok(Some(ParsedLine {
                effect,
                text,
                methods_at,
                pattern_at,
                body,
            })) => {
                let label = format!("{position}: {text}");
                let text_at = label.len() - text.len();
                rules.push(Rule {
                    position,
                    effect,
                    label,
                    text_at,
                    methods_at,
                    pattern_at,
                    body,
                });
            }
            Err(LineError { at, what, expected }) => mistakes.push(RuleMistake {
                position,
                what,
                expected,
                text: line.to_owned(),
                at,
                indent: 0,
            }),
        }
    }
    if mistakes.is_empty() {
        Ok(rules)
    } else {
        Err(mistakes)
    }
}

/// An error in a line whose position is not known yet.
pub(super) struct LineError {
    /// The wrong part, in bytes of the line.
    pub(super) at: Range<usize>,
    pub(super) what: String,
    pub(super) expected: String,
}

impl LineError {
    /// Returns the error for a line in which the parsed part begins at a byte.
    pub(super) fn shifted(self, by: usize) -> Self {
        Self {
            at: by + self.at.start..by + self.at.end,
            ..self
        }
    }
}

pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// The parsed text of a rule, which has no position yet.
struct ParsedLine {
    effect: Effect,
    text: String,
    methods_at: usize,
    pattern_at: usize,
    body: RuleBody,
}

/// The words that can stand before methods, and must stand before names.
const EFFECTS: [(&str, Effect); 2] = [("ALLOW", Effect::Allow), ("DENY", Effect::Deny)];

/// Parses a line; `None` if it has no rule.
fn parse_line(expressions: &mut Expressions, line: &str) -> Result<Option<ParsedLine>, LineError> {
    let start = line.len() - line.trim_start_matches(BLANK).len();
    let body = strip_comment(line[start..].trim_end_matches(BLANK));
    if body.is_empty() || body.starts_with(['!', '#']) {
        return Ok(None);
    }
    let word = first_word(body);
    let Some((_, effect)) = EFFECTS.into_iter().find(|(name, _)| *name == word) else {
        return parse_call(expressions, Effect::Allow, "", body, start).map(Some);
    };
    let rest = body[word.len()..].trim_start_matches(BLANK);
    let at = start + body.len() - rest.len();
    match first_word(rest) {
        "" => {
            let expected = format!(
                "expected names or a call behind it, as in: {word} container.stop, or {word} POST \
                /build"
            );
            Err(LineError {
                at: at..at,
                what: "the rule names nothing".to_owned(),
                expected,
            })
        }
        next if next.chars().all(|c| c.is_ascii_uppercase() || c == ',') => {
            parse_call(expressions, effect, &format!("{word} "), rest, at).map(Some)
        }
        next if next.starts_with(['/', '%', '^']) => {
            let expected = format!("expected methods before the pattern, as in: {word} GET {next}");
            Err(LineError {
                at: at..at + next.len(),
                what: "the pattern has no methods".to_owned(),
                expected,
            })
        }
        _ => {
            let names = names::parse_names(effect, rest, at)?;
            let methods_at = word.len() + 1;
            let text = format!("{word} {rest}");
            Ok(Some(ParsedLine {
                effect,
                pattern_at: text.len(),
                text,
                methods_at,
                body: RuleBody::Names(names),
            }))
        }
    }
}

/// Returns the text up to the first blank.
fn first_word(text: &str) -> &str {
    &text[..text.find(BLANK).unwrap_or(text.len())]
}

/// Parses methods and a pattern, which start at a byte of the line. The text of the rule gets
/// `before` in front of them.
fn parse_call(
    expressions: &mut Expressions,
    effect: Effect,
    before: &str,
    body: &str,
    start: usize,
) -> Result<ParsedLine, LineError> {
    let methods = first_word(body);
    let parsed = parse_methods(methods, start)?;
    let pattern = body[methods.len()..].trim_start_matches(BLANK);
    if pattern.is_empty() {
        let end = start + methods.len();
        return Err(LineError {
            at: end..end,
            what: "the rule has no pattern".to_owned(),
            expected: "expected blanks and a pattern behind the methods, as in: GET \
                %API_PREFIX_CONTAINERS%/json"
                .to_owned(),
        });
    }
    let forms = parse_pattern(expressions, pattern, start + body.len() - pattern.len())?;
    let methods_at = before.len();
    let pattern_at = methods_at + methods.len() + 1;
    let text = format!("{before}{methods} {pattern}");
    Ok(ParsedLine {
        effect,
        text,
        methods_at,
        pattern_at,
        body: RuleBody::Pattern {
            methods: parsed,
            forms,
        },
    })
}

/// Removes a comment, which begins with a `#` behind a blank. A `#` in a word belongs to the
/// pattern.
fn strip_comment(body: &str) -> &str {
    match body.find(" #").into_iter().chain(body.find("\t#")).min() {
        Some(at) => body[..at].trim_end_matches(BLANK),
        None => body,
    }
}

/// Parses methods, which start at a byte of the line.
fn parse_methods(text: &str, start: usize) -> Result<Methods, LineError> {
    let mut methods = Methods::default();
    let mut from = start;
    for word in text.split(',') {
        let at = from..from + word.len();
        from = at.end + 1;
        let Some(method) = Method::parse(word) else {
            let known = Method::ALL.map(Method::as_str).join(", ");
            let upper = word.to_ascii_uppercase();
            let expected = match Method::parse(&upper) {
                Some(method) => format!("methods are written in upper case: {method}"),
                None if EFFECTS.iter().any(|(name, _)| *name == upper) => {
                    format!("it is written in upper case: {upper}")
                }
                // The name of an endpoint or of a power.
                None if names::parse_names(Effect::Allow, word, 0).is_ok() => {
                    format!("names stand behind a word of their own: ALLOW {word}, or DENY {word}")
                }
                None => format!("expected methods separated by commas without blanks: {known}"),
            };
            let what = if word.is_empty() {
                "a method is missing".to_owned()
            } else {
                format!("{word:?} is not a method")
            };
            return Err(LineError { at, what, expected });
        };
        methods.add(method);
    }
    Ok(methods)
}

/// Parses a pattern, which starts at a byte of the line.
fn parse_pattern(
    expressions: &mut Expressions,
    pattern: &str,
    start: usize,
) -> Result<Vec<PathForm>, LineError> {
    for (range, name) in variable::find_variables(pattern) {
        if variable::find_value(name).is_none() {
            let expected = match variable::nearest_variable(name) {
                Some(nearest) => format!("the nearest variable is %{nearest}%"),
                None => "docs/rules.md lists the variables".to_owned(),
            };
            let error = LineError {
                at: range,
                what: format!("unknown variable %{name}%"),
                expected,
            };
            return Err(error.shifted(start));
        }
    }
    if let Some(range) = find_percent_escape(pattern) {
        let error = LineError {
            at: range,
            what: "the pattern holds a percent-escape, and would never match".to_owned(),
            expected: "patterns see the decoded path: write the character itself".to_owned(),
        };
        return Err(error.shifted(start));
    }
    parse_expression(expressions, pattern).map_err(|error| error.shifted(start))
}

/// Returns the place of the first percent-escape, such as `%2F`, that is not part of a variable.
fn find_percent_escape(pattern: &str) -> Option<Range<usize>> {
    let masked = mask_variables(pattern);
    let hex = |at: usize| masked.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    masked
        .match_indices('%')
        .map(|(at, _)| at)
        .find(|at| hex(at + 1) && hex(at + 2))
        .map(|at| at..at + 3)
}

/// Compiles a pattern. If that fails, the pattern is parsed again with each variable replaced by as
/// many letters, so that the place of the error is one of the line.
fn parse_expression(
    expressions: &mut Expressions,
    pattern: &str,
) -> Result<Vec<PathForm>, LineError> {
    expressions
        .take_apart(&to_regex_syntax(pattern))
        .map_err(|reason| {
            let masked = mask_variables(pattern);
            let at = |span: &ast::Span| {
                span.start.offset.min(pattern.len())..span.end.offset.min(pattern.len())
            };
            let (at, what) = match ast::parse::Parser::new().parse(&masked) {
                Err(error) => (at(error.span()), error.kind().to_string()),
                // The syntax is correct, but the pattern has a class that needs Unicode tables, or
                // is too large.
                Ok(_) => (0..pattern.len(), reason),
            };
            LineError {
                at,
                what,
                expected: "expected a regular expression that matches the whole path".to_owned(),
            }
        })
}

/// Replaces each variable of a pattern by as many letters.
fn mask_variables(pattern: &str) -> String {
    let mut masked = pattern.to_owned();
    for (range, _) in variable::find_variables(pattern) {
        let length = range.len();
        masked.replace_range(range, &"x".repeat(length));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rules: &str) -> Vec<String> {
        parse("test", rules)
            .unwrap_or_else(|m| panic!("{}", m[0]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn mistake(line: &str) -> String {
        parse("rules.list", line).expect_err(line)[0].to_string()
    }

    #[test]
    fn rules_are_read_with_comments_of_all_three_kinds() {
        assert_eq!(
            texts(
                "! old style\n# new style\n\n  \t\r\n \t GET,HEAD \t %API_PREFIX_PING%  \r\nPOST \
                /a#b   # why # really\nGET /x\t#y\n  # indented"
            ),
            ["GET,HEAD %API_PREFIX_PING%", "POST /a#b", "GET /x"]
        );
        assert_eq!(
            texts(
                "ALLOW  container.list , look # why\nDENY\tPOST  /x\nALLOW GET /x\n  DENY \
                container.stop(db)"
            ),
            [
                "ALLOW container.list , look",
                "DENY POST /x",
                "ALLOW GET /x",
                "DENY container.stop(db)"
            ]
        );
    }

    #[test]
    fn positions_count_every_line() {
        let rules = parse("CETUSGUARD_RULES", "\n# x\nGET /a\n").expect("valid");
        assert_eq!(rules[0].position.to_string(), "CETUSGUARD_RULES:3");
    }

    #[test]
    fn mistakes_point_at_their_place() {
        for (line, column, what) in [
            ("%API_PREFIX%/x", 1, "\"%API_PREFIX%/x\" is not a method"),
            ("GET,HEAD, /x", 10, "a method is missing"),
            (", /x", 1, "a method is missing"),
            ("GET", 4, "the rule has no pattern"),
            ("GET # /x", 4, "the rule has no pattern"),
            ("  get /x", 3, "\"get\" is not a method"),
            ("GET,FETCH /x", 5, "\"FETCH\" is not a method"),
            ("CONNECT /x", 1, "\"CONNECT\" is not a method"),
            (
                "GET %API_PREFIX_CONTAINER%/json",
                5,
                "unknown variable %API_PREFIX_CONTAINER%",
            ),
            (
                "GET %API_PREFIX%/[9-0]+/x",
                19,
                "invalid character class range, the start must be <= the end",
            ),
            ("GET /(a", 6, "unclosed group"),
            (
                "GET /images/.*%2F.*",
                15,
                "the pattern holds a percent-escape, and would never match",
            ),
            ("GET /é/(a", 8, "unclosed group"),
            (
                "GET /a{1000}{1000}{1000}",
                5,
                "the expression is too large once compiled",
            ),
            ("ALLOW", 6, "the rule names nothing"),
            ("DENY # x", 5, "the rule names nothing"),
            ("DENY /x", 6, "the pattern has no methods"),
            ("DENY GET", 9, "the rule has no pattern"),
            ("  DENY GET,FETCH /x", 12, "\"FETCH\" is not a method"),
            ("DENY\tGET /é/(a", 13, "unclosed group"),
            (
                "ALLOW container.list,  container.lst",
                24,
                "\"container.lst\" is no endpoint and no power",
            ),
            ("deny container.stop", 1, "\"deny\" is not a method"),
            ("container.stop", 1, "\"container.stop\" is not a method"),
        ] {
            let mistakes = parse("rules.list", line).expect_err(line);
            assert_eq!(
                (mistakes[0].column(), mistakes[0].what.as_str()),
                (column, what),
                "{line}"
            );
        }
    }

    #[test]
    fn a_mistake_reads_well() {
        assert_eq!(
            mistake("GET /ok\nGET,HEAD %API_PREFIX_CONTAINER%/json"),
            "unknown variable %API_PREFIX_CONTAINER%\n \
             --> rules.list:2:10\n  \
             |\n\
             2 | GET,HEAD %API_PREFIX_CONTAINER%/json\n  \
             |          ^^^^^^^^^^^^^^^^^^^^^^\n  \
             = the nearest variable is %API_PREFIX_CONTAINERS%"
        );
    }

    #[test]
    fn a_misspelt_name_reads_well() {
        assert_eq!(
            mistake("GET /ok\nDENY container.stop, container.remov"),
            "\"container.remov\" is no endpoint and no power\n \
             --> rules.list:2:22\n  \
             |\n\
             2 | DENY container.stop, container.remov\n  \
             |                      ^^^^^^^^^^^^^^^\n  \
             = did you mean container.remove?"
        );
        for (line, want) in [
            ("deny container.stop", "= it is written in upper case: DENY"),
            (
                "container.stop",
                "= names stand behind a word of their own: ALLOW container.stop, or DENY \
                container.stop",
            ),
            ("look", "ALLOW look"),
        ] {
            assert!(mistake(line).contains(want), "{}", mistake(line));
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        assert_eq!(
            parse("r", "GET\nPOST /(\nget /x\nGET /fine")
                .expect_err("three")
                .len(),
            3
        );
    }
}
