//! Lists in one text: values separated by commas or line ends. A comma that belongs to a value is
//! written `\,`.

/// Splits a list at commas, and at characters that separate as well. Blanks around a value do not
/// belong to it, and empty values are none.
#[must_use]
pub fn split_list(text: &str, separates_too: impl Fn(char) -> bool) -> Vec<String> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&',').is_some() => value.push(','),
            c if c == ',' || separates_too(c) => values.push(std::mem::take(&mut value)),
            c => value.push(c),
        }
    }
    values.push(value);
    let values = values
        .iter()
        .map(|value| value.trim())
        .filter(|value| !value.is_empty());
    values.map(str::to_owned).collect()
}

/// Writes a value so that it is one value of a list.
#[must_use]
pub fn list_value(value: &str) -> String {
    value.replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_and_values_kept() {
        let newline = |c| c == '\n';
        for (text, want) in [
            ("a", &["a"][..]),
            ("a,b", &["a", "b"]),
            (" a , b\nc d,,\n", &["a", "b", "c d"]),
            ("a\\,b,c", &["a,b", "c"]),
            ("c:\\x", &["c:\\x"]),
            (" , \n", &[]),
            ("", &[]),
        ] {
            assert_eq!(split_list(text, newline), want, "{text:?}");
        }
        for value in ["a", "a,b", ",", "a\\,b", "\\", "a, b"] {
            assert_eq!(
                split_list(&list_value(value), newline),
                [value],
                "{value:?}"
            );
        }
        assert_eq!(split_list("a b\tc", char::is_whitespace), ["a", "b", "c"]);
    }
}
