//! Patterns for names, with stars.

/// A text in which `*` stands for any characters, also none, and every other character for itself.
/// It matches whole names: `web` does not match `web-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Makes a pattern of a text; every text is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the pattern matches the whole name. Takes time in proportion to the name.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
            return false;
        };
        let Some(tail) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            // The first place leaves the most text for the parts that follow.
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(tail)
    }

    /// Returns whether there is a name that both patterns match.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (one, other): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), other.0.chars().collect());
        let stars = |rest: &[char]| rest.iter().all(|c| *c == '*');
        // `true` if the rest of `one` from the row on and the rest of `other` from the column on
        // match a common text.
        let mut below: Vec<bool> = (0..=other.len())
            .map(|column| stars(&other[column..]))
            .collect();
        for row in (0..one.len()).rev() {
            let mut line = vec![false; other.len() + 1];
            line[other.len()] = stars(&one[row..]);
            for column in (0..other.len()).rev() {
                line[column] = match (one[row], other[column]) {
                    ('*', _) | (_, '*') => below[column] || line[column + 1],
                    (a, b) => a == b && below[column + 1],
                };
            }
            below = line;
        }
        below[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_fit() {
        for (pattern, name, want) in [
            ("web", "web", true),
            ("web", "web-2", false),
            ("web", "a-web", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("*", "anything", true),
            ("web-*", "web-", true),
            ("web-*", "web", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "axexample.com", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a*b*c", "aXbYbZc", true),
            ("a**c", "ac", true),
            ("é*", "état", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), want, "{pattern} ← {name}");
        }
    }

    #[test]
    fn patterns_with_a_name_in_common_meet() {
        for (one, other, want) in [
            ("web", "web", true),
            ("web", "wob", false),
            ("*", "", true),
            ("*", "web", true),
            ("web-*", "*-1", true),
            ("web-*", "db-*", false),
            ("a*b", "b*a", false),
            ("a*", "*b", true),
            ("a*c", "ab*", true),
            ("*x*", "abc", false),
            ("**", "*", true),
            ("", "x", false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(
                    Pattern::new(one).meets(&Pattern::new(other)),
                    want,
                    "{one} and {other}"
                );
            }
        }
    }

    /// Every pattern and name of three letters, against all names up to four.
    #[test]
    fn meeting_is_having_a_name_in_common() {
        let words = |letters: &str, longest: usize| {
            let mut all = vec![String::new()];
            for _ in 0..longest {
                let more: Vec<_> = all
                    .iter()
                    .flat_map(|word| letters.chars().map(move |c| format!("{word}{c}")))
                    .collect();
                all.extend(more);
            }
            all
        };
        let names = words("ab", 4);
        let patterns: Vec<Pattern> = words("ab*", 2).into_iter().map(Pattern::new).collect();
        for one in &patterns {
            for other in &patterns {
                let common = names.iter().any(|name| one.fits(name) && other.fits(name));
                assert_eq!(one.meets(other), common, "{one:?} {other:?}");
            }
        }
    }
}
