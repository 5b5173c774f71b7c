//! Commands in running containers: their words, variables and users.

use std::fmt;

use super::{Creation, allows, allows_patterns, find, user};
use crate::guard::host_config::words;
use crate::guard::json::Json;
use crate::guard::{Judge, Step};
use crate::text::pattern::Pattern;

/// A pattern for a command, word by word: `*` stands for any characters within a word, and `**` at
/// the end for any further words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPattern {
    words: Vec<Pattern>,
    is_open: bool,
}

impl CommandPattern {
    /// Reads a pattern whose words are separated by blanks.
    ///
    /// # Errors
    /// The text that was expected instead.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let is_open = words.last() == Some(&"**");
        if is_open {
            words.pop();
        }
        if words.is_empty() || words.contains(&"**") {
            return Err(
                "expected a command, as in ls /data/*, with ** at its end for any further words"
                    .to_owned(),
            );
        }
        Ok(Self {
            words: words.into_iter().map(Pattern::new).collect(),
            is_open,
        })
    }

    fn fits(&self, words: &[&str]) -> bool {
        let is_long_enough = match self.is_open {
            true => words.len() >= self.words.len(),
            false => words.len() == self.words.len(),
        };
        is_long_enough
            && self
                .words
                .iter()
                .zip(words)
                .all(|(pattern, word)| fits_word(pattern, word))
    }
}

/// Returns whether a word fits a pattern. A star stands for no `..`, with which a word leaves the
/// folder that the pattern names, as in `/var/log/../../etc/shadow`; a star alone names no folder.
fn fits_word(pattern: &Pattern, word: &str) -> bool {
    let parents = |text: &str| text.split('/').filter(|segment| *segment == "..").count();
    let text = pattern.as_str();
    pattern.fits(word) && (text == "*" || parents(word) <= parents(text))
}

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(Pattern::as_str).collect();
        f.write_str(&words.join(" "))?;
        f.write_str(if self.is_open { " **" } else { "" })
    }
}

fn one_of(judge: &mut Judge<'_>, allowed: &[CommandPattern], command: &[&str]) {
    if !allowed.iter().any(|pattern| pattern.fits(command)) {
        // Further words may hold a password, and the message is logged.
        let program = crate::guard::shortened(command.first().copied().unwrap_or_default());
        let what = format!(
            "the command {program:?} is not allowed with its {} words",
            command.len()
        );
        judge.unmet("allow-exec", what, allows(allowed));
    }
}

/// Judges a command that is created in a running container.
pub(super) fn exec(judge: &mut Judge<'_>, creation: &Creation, body: &Json<'_>) {
    if let Some(allowed) = &creation.exec {
        let command: Vec<&str> = find(body, "Cmd")
            .map(|it| words(it).collect())
            .unwrap_or_default();
        judge.within(Step::Field("Cmd"), |judge| one_of(judge, allowed, &command));
    }
    // Another folder changes what the relative words of an allowed command are: ./tool, or the
    // Makefile of make.
    let folder = find(body, "WorkingDir").map(Json::text).unwrap_or_default();
    if let (Some(allowed), false) = (&creation.exec, folder.is_empty()) {
        let what = "commands run in the container's own working directory; leave this field out";
        judge.unmet_at("WorkingDir", "allow-exec", what, allows(allowed));
    }
    // A variable such as PATH or LD_PRELOAD changes what an allowed command does.
    let none = creation.exec.as_ref().map(|_| Vec::new());
    if let Some(allowed) = creation.exec_env.as_ref().or(none.as_ref()) {
        let variables = find(body, "Env").map(Json::list).unwrap_or_default();
        for (index, variable) in variables.iter().enumerate() {
            let name = variable.text().split('=').next().unwrap_or_default();
            if !allowed.iter().any(|pattern| pattern.fits(name)) {
                judge.within(Step::Field("Env"), |judge| {
                    judge.within(Step::Index(index), |judge| {
                        let shown = crate::guard::shortened(name);
                        let what = format!("the variable {shown:?} is not among the allowed ones");
                        judge.unmet("allow-exec-env", what, allows_patterns(allowed));
                    });
                });
            }
        }
    }
    judge.within(Step::Field("User"), |judge| {
        let name = find(body, "User").map(Json::text).unwrap_or_default();
        user::of_command(judge, creation, name);
    });
}

/// Judges a command that is stored in the engine and is started: another client may have made it.
pub(in crate::guard) fn stored(judge: &mut Judge<'_>, user: &str, command: &[String]) {
    let Some(creation) = judge.guard.creation.as_deref() else {
        return;
    };
    if let Some(allowed) = &creation.exec {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        judge.within(Step::Field("entrypoint"), |judge| {
            one_of(judge, allowed, &command)
        });
    }
    judge.within(Step::Field("user"), |judge| {
        user::of_command(judge, creation, user)
    });
}

/// Judges the command of a health check, which the engine runs in the container as it runs any
/// other.
pub(super) fn health(
    judge: &mut Judge<'_>,
    creation: &Creation,
    body: &Json<'_>,
    path: &'static str,
) {
    let (Some(allowed), Some(test)) = (&creation.exec, find(body, path)) else {
        return;
    };
    let test: Vec<&str> = words(test).collect();
    let command = match test.as_slice() {
        [] | ["" | "NONE", ..] => return,
        ["CMD", command @ ..] => command.to_vec(),
        ["CMD-SHELL", rest @ ..] => [&["/bin/sh", "-c"], rest].concat(),
        // Podman takes a test without such a word for a command of the shell, or for its words.
        other => other.to_vec(),
    };
    judge.within(Step::Field(path), |judge| one_of(judge, allowed, &command));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_compared_word_by_word() {
        for (pattern, command, want) in [
            ("ls", &["ls"][..], true),
            ("ls", &["ls", "-l"], false),
            ("ls", &[], false),
            ("ls *", &["ls", "-l"], true),
            ("ls *", &["ls -l"], false),
            ("ls *", &["ls"], false),
            ("ls **", &["ls"], true),
            ("ls **", &["ls", "-l", "/a b"], true),
            ("ls **", &["lsof"], false),
            ("cat /var/log/*", &["cat", "/var/log/a.log"], true),
            (
                "cat /var/log/*",
                &["cat", "/var/log/a", "/etc/shadow"],
                false,
            ),
            ("sh -c *", &["sh", "-c", "rm -rf /"], true),
            ("sh -c *", &["sh", "-c", "ls /a/../b"], true),
            (
                "cat /var/log/*",
                &["cat", "/var/log/../../etc/shadow"],
                false,
            ),
            ("cat /var/log/*", &["cat", "/var/log/a/.."], false),
            ("cat /var/log/*", &["cat", "/var/log/a..b"], true),
            ("cat ../log/*", &["cat", "../log/a"], true),
            ("cat ../log/*", &["cat", "../log/../a"], false),
            ("/opt/*", &["/opt/../bin/sh"], false),
            (
                "tail --file=/var/log/*",
                &["tail", "--file=/var/log/../x"],
                false,
            ),
        ] {
            let read = CommandPattern::read(pattern).expect(pattern);
            assert_eq!(read.fits(command), want, "{pattern}: {command:?}");
            assert_eq!(read.to_string(), pattern);
        }
        for text in ["", "  ", "**", "ls ** x"] {
            assert!(CommandPattern::read(text).is_err(), "{text}");
        }
    }
}
