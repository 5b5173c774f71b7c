//! The syntax that a shell or Compose reads before the proxy sees a text: words in quotes,
//! variables, lines of environment files.

use std::collections::HashMap;

/// Splits a line into words as a shell does, with quotes, backslashes and comments. Text between
/// backquotes is left out, since command lines in documentation have comments there.
pub(super) fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            '#' if !begun => while chars.next_if(|c| *c != '\n').is_some() {},
            '`' => while chars.next().is_some_and(|c| c != '`') {},
            '\\' if chars.peek() == Some(&'\r') => {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
            }
            '\\' => {
                if let Some(next) = chars.next().filter(|next| *next != '\n') {
                    word.push(next);
                    begun = true;
                }
            }
            '\'' | '"' => {
                begun = true;
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    let escaped =
                        chars.next_if(|next| c == '"' && inner == '\\' && "\\\"$`".contains(*next));
                    word.push(escaped.unwrap_or(inner));
                }
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// A part of a text that Compose interpolates.
enum Piece<'t> {
    /// Text without a meaning of its own.
    Text(&'t str),
    /// `$$`, which stands for a dollar sign.
    Dollar,
    /// `$NAME` or `${NAME…}`.
    Variable(Expression<'t>),
}

/// A variable in a text, with its operator and operand if it has any.
struct Expression<'t> {
    /// The whole expression as it was written.
    written: &'t str,
    name: &'t str,
    /// A colon makes an empty value count as none.
    colon: bool,
    /// `-`, `+` or `?`, if any.
    operator: Option<char>,
    operand: &'t str,
}

impl<'t> Expression<'t> {
    fn parse(written: &'t str, inner: &'t str) -> Self {
        let end = inner.find(|c: char| !is_of_name(c)).unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let (colon, rest) = rest
            .strip_prefix(':')
            .map_or((false, rest), |rest| (true, rest));
        let operator = rest.chars().next().filter(|c| "-+?".contains(*c));
        Self {
            written,
            name,
            colon,
            operator,
            operand: operator.map_or("", |_| &rest[1..]),
        }
    }

    /// Returns the value that the expression takes for set.
    fn value<'k>(&self, known: &'k HashMap<String, String>) -> Option<&'k String> {
        known
            .get(self.name)
            .filter(|value| !self.colon || !value.is_empty())
    }

    /// Returns the expression with another operand.
    fn with_operand(&self, operand: &str) -> String {
        let colon = if self.colon { ":" } else { "" };
        let operator = self.operator.map(String::from).unwrap_or_default();
        format!("${{{}{colon}{operator}{operand}}}", self.name)
    }
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('$') {
        pieces.push(Piece::Text(&rest[..at]));
        let expression = &rest[at..];
        let behind = &expression[1..];
        let end = behind
            .find(|c: char| !is_of_name(c))
            .unwrap_or(behind.len());
        let (piece, length) = if behind.starts_with('$') {
            (Piece::Dollar, 2)
        } else if let Some((inner, _)) = behind.strip_prefix('{').and_then(split_at_brace) {
            let length = inner.len() + 3;
            let parsed = Expression::parse(&expression[..length], inner);
            (Piece::Variable(parsed), length)
        } else if is_name(&behind[..end]) {
            let parsed = Expression::parse(&expression[..=end], &behind[..end]);
            (Piece::Variable(parsed), end + 1)
        } else {
            (Piece::Text(&expression[..1]), 1)
        };
        pieces.push(piece);
        rest = &expression[length..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Puts variables into a text as Compose does, and names those that are not known: they count as
/// empty.
pub(super) fn interpolate(
    text: &str,
    known: &HashMap<String, String>,
    unknown: &mut Vec<String>,
) -> String {
    let mut out = String::new();
    for piece in pieces(text) {
        let variable = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Dollar => {
                out.push('$');
                continue;
            }
            Piece::Variable(variable) => variable,
        };
        match (variable.operator, variable.value(known)) {
            (Some('-'), None) | (Some('+'), Some(_)) => {
                out.push_str(&interpolate(variable.operand, known, unknown));
            }
            (Some('+'), None) => {}
            (_, Some(value)) => out.push_str(value),
            (_, None) => unknown.push(variable.name.to_owned()),
        }
    }
    out
}

/// Puts the known variables into a text that Compose interpolates once more. Expressions about
/// other variables stay as they are.
pub(super) fn substitute(text: &str, known: &HashMap<String, String>) -> String {
    let mut out = String::new();
    for piece in pieces(text) {
        let variable = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Dollar => {
                out.push_str("$$");
                continue;
            }
            Piece::Variable(variable) => variable,
        };
        let is_known = known.contains_key(variable.name);
        let operand = || substitute(variable.operand, known);
        match (variable.operator, variable.value(known)) {
            (Some('+'), Some(_)) => out.push_str(&operand()),
            (Some('+'), None) if is_known => {}
            (_, Some(value)) => out.push_str(&value.replace('$', "$$")),
            (Some('-'), None) if is_known => out.push_str(&operand()),
            (Some('-' | '+'), None) => out.push_str(&variable.with_operand(&operand())),
            (None | Some(_), None) => out.push_str(variable.written),
        }
    }
    out
}

/// Makes Compose refuse a text as long as its variables are not set: an unset variable in a
/// published port would be empty, and the port would listen at every address of the host.
/// `has_defaults` keeps the defaults that the text names itself. The names of the variables are
/// added to `unknown`.
pub(super) fn require_variables(
    text: &str,
    has_defaults: bool,
    unknown: &mut Vec<String>,
) -> String {
    let mut out = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push_str("$$"),
            Piece::Variable(variable) => match variable.operator {
                Some('-' | '+') if has_defaults => {
                    let operand = require_variables(variable.operand, has_defaults, unknown);
                    out.push_str(&variable.with_operand(&operand));
                }
                Some('?') => {
                    unknown.push(variable.name.to_owned());
                    out.push_str(variable.written);
                }
                _ => {
                    unknown.push(variable.name.to_owned());
                    let name = variable.name;
                    out.push_str(&format!("${{{name}:?migrate did not know its value}}"));
                }
            },
        }
    }
    out
}

/// Returns the names of all variables in a text, also of those in defaults.
pub(super) fn variables(text: &str) -> Vec<&str> {
    let variables = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Variable(variable) => Some(variable),
        Piece::Text(_) | Piece::Dollar => None,
    });
    variables
        .flat_map(|variable| {
            std::iter::once(variable.name).chain(self::variables(variable.operand))
        })
        .collect()
}

/// Splits at each colon outside of expressions with variables.
pub(super) fn split_at_colons(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for piece in pieces(text) {
        let text = match piece {
            Piece::Text(text) => {
                let mut inner = text.split(':');
                if let (Some(last), Some(first)) = (parts.last_mut(), inner.next()) {
                    last.push_str(first);
                }
                parts.extend(inner.map(str::to_owned));
                continue;
            }
            Piece::Dollar => "$$",
            Piece::Variable(variable) => variable.written,
        };
        if let Some(last) = parts.last_mut() {
            last.push_str(text);
        }
    }
    parts
}

/// Splits behind the brace that closes an expression; others may stand within.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some((&text[..at], &text[at + 1..])),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns whether a text can be the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_of_name)
}

/// Reads a file of variables as Compose does: quotes may hold several lines, and values may use
/// the variables before them and those in `known`. A name alone takes its value from the shell,
/// which is not known here.
///
/// # Errors
/// The number of the first line that is no assignment.
pub(super) fn environment_file(
    text: &str,
    known: &HashMap<String, String>,
) -> Result<Vec<(String, String)>, usize> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut scope = known.clone();
    let mut at = 0;
    while at < text.len() {
        let number = text[..at].matches('\n').count() + 1;
        let end = text[at..]
            .find('\n')
            .map_or(text.len(), |length| at + length);
        let line = text[at..end].trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        at = end + 1;
        if line.is_empty() || line.starts_with('#') || is_name(line.trim_end()) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number)?;
        let name = name.trim_end();
        if !is_name(name) {
            return Err(number);
        }
        let from = end - value.trim_start().len();
        let (value, last) = value_at(text, from, end, &scope).ok_or(number)?;
        at = text[last..]
            .find('\n')
            .map_or(text.len(), |length| last + length + 1);
        all.retain(|(known, _)| known != name);
        scope.insert(name.to_owned(), value.clone());
        all.push((name.to_owned(), value));
    }
    Ok(all)
}

/// Reads a file of variables as `docker run` does: quotes and dollar signs are part of the value.
///
/// # Errors
/// The number of the first line that is no assignment.
pub(super) fn raw_environment_file(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_start();
        // A name alone takes its value from the shell, which is not known here.
        if line.is_empty() || line.starts_with('#') || is_name(line.trim_end()) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number)?;
        if !is_name(name) {
            return Err(number);
        }
        all.retain(|(known, _)| known != name);
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

/// Reads the value that begins at `from`, in a line that ends at `end`, and returns where it ends.
fn value_at(
    text: &str,
    from: usize,
    end: usize,
    scope: &HashMap<String, String>,
) -> Option<(String, usize)> {
    let value = &text[from..end];
    let interpolated = |text: &str| interpolate(text, scope, &mut Vec::new());
    let Some(quote) = value.chars().next().filter(|c| "'\"".contains(*c)) else {
        let plain = value.split(" #").next().unwrap_or_default().trim_end();
        return Some((interpolated(plain), end));
    };
    // The quote that closes it may stand in another line.
    let from = from + 1;
    let length = closing_quote(&text[from..], quote)?;
    let inner = &text[from..from + length];
    let value = if quote == '"' {
        interpolated(&resolve_backslashes(inner))
    } else {
        inner.to_owned()
    };
    Some((value, from + length + 1))
}

/// Finds the quote that ends a text; within double quotes, a backslash takes the next one's
/// meaning away.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Resolves the backslashes of a double-quoted value; an escaped dollar sign stays one for
/// interpolation.
fn resolve_backslashes(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

/// Reads a file of `NAME=VALUE` lines; `None` where a line is none. Of two values of one name the
/// last counts.
pub(super) fn environment(text: &str) -> Option<Vec<(String, String)>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: Vec<_> = lines.map(parse_assignment).collect::<Option<_>>()?;
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }
    Some(all)
}

/// `NAME=VALUE`, also behind `export`, `-e` or a dash, with a comment behind it or quotes around
/// it.
fn parse_assignment(line: &str) -> Option<(String, String)> {
    let prefixes = ["export ", "-e ", "--env ", "- "];
    let line = prefixes
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line);
    let line = line.strip_suffix('\\').unwrap_or(line).trim();
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
    let inner = quote
        .and_then(|quote| value[1..].split_once(quote))
        .map(|(inner, _)| inner);
    let value = inner.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim_end());
    is_name(name.trim_end()).then(|| (name.trim_end().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_shells() {
        for (text, want) in [
            ("a  b\tc", &["a", "b", "c"] as &[_]),
            (
                "-allowGET='/v1\\..{1,2}/x' \"a b\"",
                &["-allowGET=/v1\\..{1,2}/x", "a b"],
            ),
            ("a \\\n  b `#optional` c # d", &["a", "b", "c"]),
            ("a\\ b '' \"\\$x\"", &["a b", "", "$x"]),
            ("a#b", &["a#b"]),
        ] {
            assert_eq!(split(text), want, "{text}");
        }
    }

    #[test]
    fn variables_are_composes() {
        let known = HashMap::from([
            ("A".to_owned(), "1".to_owned()),
            ("E".to_owned(), String::new()),
        ]);
        for (text, want, lacks) in [
            ("x${A}y$A", "x1y1", &[] as &[_]),
            ("$$A ${A:-z} ${E:-z} ${E-z} ${B:-${A}}", "$A 1 z  1", &[]),
            ("${A:+set}${B:+set}${A?e}", "set1", &[]),
            ("${B}|${B:?e}|$B", "||", &["B", "B", "B"]),
            ("/v1\\..{2}$", "/v1\\..{2}$", &[]),
            ("cost 5$ ${", "cost 5$ ${", &[]),
        ] {
            let mut unknown = Vec::new();
            assert_eq!(interpolate(text, &known, &mut unknown), want, "{text}");
            assert_eq!(unknown, lacks, "{text}");
        }
    }

    #[test]
    fn environment_files() {
        let text = "# c\nA=1 # x\nexport B='a # b'\n-e C=\"d\" \\\nA=2\n- D=a=b\nE=\n";
        let pairs = environment(text).expect("lines");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(pairs, ["B=a # b", "C=d", "A=2", "D=a=b", "E="]);
        assert!(environment("A=1\nwords").is_none() && environment("a-b=1").is_none());
    }
    #[test]
    fn environment_files_are_composes() {
        let known = HashMap::from([("K".to_owned(), "k".to_owned())]);
        let text = "# c\nA=1 # x\r\nexport B='a $A\n# b'\nC=\"x\\n${A}\\$A\" # \
            c\nSHELL\nD=${A}-$K-$NO\nE=\nF=a#b\n";
        let pairs = environment_file(text, &known).expect("assignments");
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let want = ["A=1", "B=a $A\n# b", "C=x\n1$A", "D=1-k-", "E=", "F=a#b"];
        assert_eq!(pairs, want);
        assert_eq!(environment_file("A=1\n\nwords here\n", &known), Err(3));
        assert_eq!(environment_file("A='1\n", &known), Err(1));
    }

    #[test]
    fn known_variables_are_put_in_and_unknown_ones_refuse_to_start() {
        let known = HashMap::from([
            ("A".to_owned(), "127.0.0.1".to_owned()),
            ("D".to_owned(), "a$b".to_owned()),
            ("E".to_owned(), String::new()),
        ]);
        let refused = "${B:?migrate did not know its value}";
        for (text, has_defaults, want) in [
            ("$A:2375", true, "127.0.0.1:2375".to_owned()),
            ("${A:-0.0.0.0}", false, "127.0.0.1".to_owned()),
            ("${E:-x}${E-y}${E:+z}", true, "x".to_owned()),
            ("$D $$c", true, "a$$b $$c".to_owned()),
            ("$B:2375", true, format!("{refused}:2375")),
            ("${B:-${A}}", true, "${B:-127.0.0.1}".to_owned()),
            ("${B:-0.0.0.0}", false, refused.to_owned()),
            (
                "${B-${C}}",
                true,
                "${B-${C:?migrate did not know its value}}".to_owned(),
            ),
            ("${B:+$A}", true, "${B:+127.0.0.1}".to_owned()),
            ("${B:?set it}", true, "${B:?set it}".to_owned()),
        ] {
            let text = substitute(text, &known);
            let mut unknown = Vec::new();
            assert_eq!(require_variables(&text, has_defaults, &mut unknown), want);
        }
    }

    #[test]
    fn variables_are_found_at_every_depth() {
        assert_eq!(variables("$A $$B ${C:-x${D}} 5$"), ["A", "C", "D"]);
    }

    #[test]
    fn colons_of_expressions_split_nothing() {
        assert_eq!(split_at_colons("${A:-b}:c:$$d"), ["${A:-b}", "c", "$$d"]);
    }
}
