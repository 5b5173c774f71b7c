//! The users of containers and of commands.

use std::fmt;

use super::{Creation, allows, find};
use crate::guard::json::Json;
use crate::guard::{Judge, Step};
use crate::text::pattern::Pattern;

/// A pattern for `USER[:GROUP]`. A part with a star matches numbers alone, and never root: a name
/// may stand for any number in the image. Any other part matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPattern {
    user: Pattern,
    group: Option<Pattern>,
}

impl UserPattern {
    /// Reads `USER` or `USER:GROUP`.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let (user, group) = text
            .split_once(':')
            .map_or((text, None), |(user, group)| (user, Some(group)));
        let is_part = |part: &str| {
            !part.is_empty() && !part.contains(':') && !part.contains(char::is_whitespace)
        };
        if !is_part(user) || !group.is_none_or(is_part) {
            return Err("expected USER or USER:GROUP, as in 1000:1000 or 10*:10*".to_owned());
        }
        Ok(Self {
            user: Pattern::new(user),
            group: group.map(Pattern::new),
        })
    }

    fn fits(&self, text: &str) -> bool {
        let (user, group) = text
            .split_once(':')
            .map_or((text, None), |(user, group)| (user, Some(group)));
        let is_group = match (&self.group, group) {
            (None, None) => true,
            (Some(pattern), Some(group)) => fits_part(pattern, group),
            _ => false,
        };
        fits_part(&self.user, user) && is_group
    }
}

impl fmt::Display for UserPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.user.as_str())?;
        match &self.group {
            Some(group) => write!(f, ":{}", group.as_str()),
            None => Ok(()),
        }
    }
}

fn fits_part(pattern: &Pattern, part: &str) -> bool {
    if !pattern.as_str().contains('*') {
        return pattern.as_str() == part;
    }
    // Engines read other spellings of zero (`00`, `+0`) as root, and numbers beyond their range as
    // names.
    let is_plain = part.bytes().all(|byte| byte.is_ascii_digit()) && !part.starts_with('0');
    is_plain && part.parse::<i32>().is_ok() && pattern.fits(part)
}

/// Judges the user of a container. Without one, it would run as the image's own, which may be root.
pub(super) fn container(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    if let Some(allowed) = &creation.users {
        let user = find(body, path).map(Json::text).unwrap_or_default();
        judge.within(Step::Field(path), |judge| {
            one_of(judge, "allow-users", allowed, user)
        });
    }
}

/// Judges the user of a command. Without one, it runs as its container does: only
/// `allow-exec-users` asks for more.
pub(super) fn of_command(judge: &mut Judge<'_>, creation: &Creation, user: &str) {
    match (&creation.exec_users, &creation.users) {
        (Some(allowed), _) => one_of(judge, "allow-exec-users", allowed, user),
        (None, Some(allowed)) if !user.is_empty() => one_of(judge, "allow-users", allowed, user),
        (None, _) => {}
    }
}

fn one_of(judge: &mut Judge<'_>, key: &str, allowed: &[UserPattern], user: &str) {
    if allowed.iter().any(|pattern| pattern.fits(user)) {
        return;
    }
    match user {
        "" => judge.unmet(
            key,
            "names no user, so that one counts that is not known here",
            allows(allowed),
        ),
        user => judge.unmet(
            key,
            format!("{:?} is not among the users", crate::guard::shortened(user)),
            allows(allowed),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_fits_no_star() {
        for (pattern, user, want) in [
            ("1000", "1000", true),
            ("1000", "1000:1000", false),
            ("1000:1000", "1000:1000", true),
            ("1000:1000", "1000:0", false),
            ("1000:1000", "1000", false),
            ("1000:*", "1000:0", false),
            ("1000:*", "1000:root", false),
            ("1000:*", "1000:50", true),
            ("*", "1000", true),
            ("*", "0", false),
            ("*", "00", false),
            ("*", "+0", false),
            ("*", "-0", false),
            ("*", "root", false),
            ("*", "toor", false),
            ("*", "", false),
            ("*", "4294967296", false),
            ("10*", "1099", true),
            ("10*", "2000", false),
            ("app", "app", true),
            ("app", "app ", false),
            ("app:app", "app:app:0", false),
            ("root", "root", true),
        ] {
            let read = UserPattern::read(pattern).expect(pattern);
            assert_eq!(read.fits(user), want, "{pattern} and {user}");
        }
        for text in ["", ":", "a:", ":a", "a:b:c", "a b"] {
            assert!(UserPattern::read(text).is_err(), "{text}");
        }
    }
}
