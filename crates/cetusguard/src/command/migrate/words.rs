//! Texts that a shell or Compose would read before the proxy sees them: words in quotes, variables,
//! lines of environment files.

use std::collections::HashMap;

/// Splits a line into words as a shell does: quotes, backslashes, comments; what stands between
/// backquotes is left out, as command lines in documentation have comments there.
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

/// Puts variables into a text as Compose does, and names those that are not known: they count as
/// empty.
pub(super) fn interpolate(
    text: &str,
    known: &HashMap<String, String>,
    unknown: &mut Vec<String>,
) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        rest = behind;
        if let Some(behind) = rest.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some((inner, behind)) = rest.strip_prefix('{').and_then(braced) {
            out.push_str(&expression(inner, known, unknown));
            rest = behind;
        } else {
            let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            match &rest[..end] {
                name if is_name(name) => out.push_str(&expression(name, known, unknown)),
                text => {
                    out.push('$');
                    out.push_str(text);
                }
            }
            rest = &rest[end..];
        }
    }
    out + rest
}

/// Splits behind the brace that closes an expression; others may stand within.
fn braced(text: &str) -> Option<(&str, &str)> {
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

/// `NAME`, and `NAME` with `:-`, `-`, `:+`, `+`, `:?` or `?` and another text.
fn expression(inner: &str, known: &HashMap<String, String>, unknown: &mut Vec<String>) -> String {
    let end = inner.find(|c: char| !is_of_name(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let (colon, rest) = rest
        .strip_prefix(':')
        .map_or((false, rest), |rest| (true, rest));
    let value = known.get(name).filter(|value| !colon || !value.is_empty());
    match (rest.chars().next(), value) {
        (Some('-'), None) | (Some('+'), Some(_)) => interpolate(&rest[1..], known, unknown),
        (Some('+'), None) => String::new(),
        (_, Some(value)) => value.clone(),
        (_, None) => {
            unknown.push(name.to_owned());
            String::new()
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns whether a text can be the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_of_name)
}

/// Reads a file of `NAME=VALUE` lines; `None` where a line is none. Of two values of one name the
/// last counts.
pub(super) fn environment(text: &str) -> Option<Vec<(String, String)>> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: Vec<_> = lines.map(assignment).collect::<Option<_>>()?;
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in pairs {
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }
    Some(all)
}

/// `NAME=VALUE`, also behind `export`, `-e` or a dash, with a comment behind it or quotes around
/// it.
fn assignment(line: &str) -> Option<(String, String)> {
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
}
