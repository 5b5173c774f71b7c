//! The translation of Go's regular expressions, in which existing rule files are written, into the
//! syntax of the `regex` crate.
//!
//! Both descend from RE2. They differ in classes such as `\d`, which Go limits to ASCII, and inside
//! brackets, where the `regex` crate has set operations and Go has none.

/// Translates an expression of Go into one of the `regex` crate.
pub(super) fn translate_go_syntax(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    // Some(true) directly behind the opening bracket, where `]` is a literal.
    let mut class: Option<bool> = None;
    while let Some(c) = chars.next() {
        let at_start = class == Some(true);
        match (c, class.is_some()) {
            ('\\', in_class) => {
                push_escape(&mut out, chars.next(), in_class);
                class = class.map(|_| false);
            }
            ('[', false) => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                class = Some(true);
            }
            ('[', true) if chars.peek() == Some(&':') => {
                out.push('[');
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
                class = Some(false);
            }
            (']', true) if at_start => {
                out.push_str(r"\]");
                class = Some(false);
            }
            (']', true) => {
                out.push(']');
                class = None;
            }
            // Two dashes are a set difference for `regex`, and a range or a character for Go.
            ('-', true) if chars.peek() == Some(&'-') => {
                if at_start {
                    out.push_str(r"\-");
                } else {
                    chars.next();
                    out.push_str(r"-\-");
                }
                class = Some(false);
            }
            ('[' | '&' | '~', true) => {
                out.push('\\');
                out.push(c);
                class = Some(false);
            }
            (_, in_class) => {
                out.push(c);
                class = in_class.then_some(false);
            }
        }
    }
    out
}

/// Adds the translation of a backslash and the character behind it.
fn push_escape(out: &mut String, escaped: Option<char>, in_class: bool) {
    match (escaped, in_class) {
        (Some('d'), true) => out.push_str("0-9"),
        (Some('w'), true) => out.push_str("0-9A-Za-z_"),
        (Some('s'), true) => out.push_str(r"\t\n\f\r "),
        (Some('d'), false) => out.push_str("[0-9]"),
        (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
        (Some('s'), false) => out.push_str(r"[\t\n\f\r ]"),
        (Some('D'), _) => out.push_str("[^0-9]"),
        (Some('W'), _) => out.push_str("[^0-9A-Za-z_]"),
        (Some('S'), _) => out.push_str(r"[^\t\n\f\r ]"),
        (Some('b'), false) => out.push_str(r"(?-u:\b)"),
        (Some('/'), _) => out.push('/'),
        (Some(c), _) => {
            out.push('\\');
            out.push(c);
        }
        (None, _) => out.push('\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_expressions_keep_their_meaning() {
        for (go, text, want) in [
            (r"/v1\.\d+/x", "/v1.43/x", true),
            (r"/v1\.\d+/x", "/v1.٣/x", false),
            (r"[\d.]+", "1.2", true),
            (r"[\w-]+", "a_b-c", true),
            (r"\w+", "é", false),
            (r"[^\d]+", "ab", true),
            (r"[\D]+", "ab", true),
            (r"[]a]+", "]a", true),
            (r"[^]a]+", "bc", true),
            (r"[a&&b]+", "&", true),
            (r"[a&&b]+", "a", true),
            (r"[[:alpha:]_]+", "ab_", true),
            (r"[[]+", "[", true),
            (r"\/containers\/json", "/containers/json", true),
            (r"[+--]+", "+,-", true),
            (r"[+--]+", "x", false),
            (r"[^+--]+", ",", false),
            (r"[--/]+", "-./", true),
            (r"/.", "/é", true),
            (r"/\Sx", "/ax", true),
            (r"/a\b.*", "/a-b", true),
            (r"(?i)/ABC", "/abc", true),
            (r"\[x\]", "[x]", true),
        ] {
            assert!(
                super::super::parse("test", &format!("GET {go}")).is_ok(),
                "{go} is a rule's pattern"
            );
            let regex =
                regex::Regex::new(&format!(r"\A(?:{})\z", translate_go_syntax(go))).expect(go);
            assert_eq!(regex.is_match(text), want, "{go} ~ {text}");
        }
    }
}
