//! The syntax of values: one, or a list of them.

use cetusguard_policy::split_list;

use super::option::OPTIONS;

/// The number of values that an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// One value; given twice, it is a mistake.
    No,
    /// Several values, separated by blanks, commas or line ends.
    Words,
    /// Several texts, which may hold anything: rules have commas and line ends in them.
    Texts,
    /// Several values, separated by commas or line ends: paths and names may hold blanks.
    Paths,
}

impl Many {
    /// Splits the value of an option, alike in a flag, in a variable and in the file.
    pub fn split(self, text: &str) -> Vec<String> {
        match self {
            Self::No => split_one(text),
            Self::Texts => vec![text.to_owned()],
            Self::Words => split_list(text, |c| c.is_ascii_whitespace()),
            Self::Paths => split_list(text, |c| c == '\n'),
        }
    }

    /// Says how several values are written.
    pub fn help(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Texts => " May be repeated.",
            Self::Words => {
                " May be repeated, and hold several, separated by blanks, commas or line ends."
            }
            Self::Paths => " May be repeated, and hold several, separated by commas or line ends.",
        }
    }

    /// Returns the syntax of the values of a key in the file, which is that of the option of its
    /// name.
    pub(crate) fn of_key(name: &str) -> Self {
        OPTIONS
            .iter()
            .find(|option| option.name == name)
            .map_or(Self::Paths, |option| option.many)
    }
}

/// Returns the one value without the blanks around it.
fn split_one(text: &str) -> Vec<String> {
    let value = text.trim();
    if value.is_empty() {
        Vec::new()
    } else {
        vec![value.to_owned()]
    }
}
