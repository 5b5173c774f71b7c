//! Names of options and keys. Our own code writes them in many places: each is compared with the
//! tables when the code is compiled.

use super::keys::{CLIENT_KEYS, FRONTEND_KEYS, Key, PROFILE_KEYS};
use super::option::{OPTIONS, Opt};

/// The name of an option, or of a key of the configuration file, that a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingName(&'static str);

impl SettingName {
    /// Returns a name. Use [`setting!`](crate::setting), by which a name that no table has does not
    /// compile.
    #[doc(hidden)]
    #[must_use]
    pub const fn known(name: &'static str) -> Self {
        assert!(is_in_a_table(name), "no option and no key has this name");
        Self(name)
    }

    /// Returns the name of an option.
    #[must_use]
    pub const fn of_option(option: &Opt) -> Self {
        Self(option.name)
    }

    /// Returns the name of a key.
    #[must_use]
    pub const fn of_key(key: &Key) -> Self {
        Self(key.name)
    }

    /// Returns the name as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Names an option or a key. A misspelt name does not compile:
///
/// ```
/// assert_eq!(cetusguard_config::setting!("backend-addr").as_str(), "backend-addr");
/// ```
///
/// ```compile_fail
/// cetusguard_config::setting!("backend-adr");
/// ```
#[macro_export]
macro_rules! setting {
    ($name:literal) => {
        const { $crate::SettingName::known($name) }
    };
}

const fn is_in_a_table(name: &str) -> bool {
    let mut at = 0;
    while at < OPTIONS.len() {
        if are_equal(OPTIONS[at].name, name) {
            return true;
        }
        at += 1;
    }
    has_key(FRONTEND_KEYS, name) || has_key(PROFILE_KEYS, name) || has_key(CLIENT_KEYS, name)
}

const fn has_key(keys: &[Key], name: &str) -> bool {
    let mut at = 0;
    while at < keys.len() {
        if are_equal(keys[at].name, name) {
            return true;
        }
        at += 1;
    }
    false
}

/// Compares two texts in a constant, where `==` cannot.
const fn are_equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
