//! The configuration as it was written: flags and environment, with where each value comes from.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use clap::ArgMatches;

use super::Mistake;
use super::document::Spot;
use super::file::{ConfigFile, FileEntry};
use super::keys::{FRONTEND_KEYS, PROFILE_KEYS};
use super::name::SettingName;
use super::option::{Many, OPTIONS, Opt, nearest};
use super::profile_env;

/// The place where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `--name`.
    Flag(&'static str),
    /// An environment variable.
    Env(String),
    /// A place in the configuration file.
    File(Spot),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File(spot) => f.write_str(spot.path()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The values that were written for every option.
#[derive(Debug, Default)]
pub struct Written {
    values: HashMap<&'static str, Vec<(String, Source)>>,
    file: Option<ConfigFile>,
    /// Those of the file, completed by the environment, and those of the environment alone.
    profiles: Vec<FileEntry>,
}

impl Written {
    /// Reads flags, environment and the file that they name. The flag goes before the environment,
    /// that before the file, and that before the default.
    #[must_use]
    pub fn read(
        matches: &ArgMatches,
        env: &HashMap<String, OsString>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let sources = OPTIONS.iter().filter(|option| option.is_source());
        let named: Vec<_> = sources
            .map(|option| (option.name, read(option, matches, env, None, mistakes)))
            .collect();
        let mut places = named
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| (*name, value)));
        let first = places.next();
        if let (Some((_, (_, source))), Some((_, (_, other)))) = (first, places.next()) {
            let what = format!("{other} gives a configuration beside that of {source}");
            mistakes.push(Mistake::new(
                what,
                "keep one of the two: a configuration is written in one place",
            ));
        }
        let file = match first {
            Some(("config", (path, source))) => match super::read_text(path) {
                Ok(text) => Some(ConfigFile::read(path, &text, mistakes)),
                Err(why) => {
                    mistakes.push(Mistake::value(
                        source,
                        "config",
                        path,
                        format!("expected a readable file: {why}; {}", why.advice()),
                    ));
                    None
                }
            },
            Some((_, (text, source))) => {
                Some(ConfigFile::read(&source.to_string(), text, mistakes))
            }
            None => None,
        };
        let mut written = Self::beside(file, matches, env, mistakes);
        written.values.extend(named);
        written
    }

    /// Reads flags and environment beside a file that was read already, whose own name is not among
    /// them.
    pub fn beside(
        mut file: Option<ConfigFile>,
        matches: &ArgMatches,
        env: &HashMap<String, OsString>,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let options = OPTIONS.iter().filter(|option| !option.is_source());
        let values = options
            .map(|option| {
                (
                    option.name,
                    read(option, matches, env, file.as_ref(), mistakes),
                )
            })
            .collect();
        let of_file = file
            .as_mut()
            .map(|file| std::mem::take(&mut file.profiles))
            .unwrap_or_default();
        let profiles = profile_env::complete(of_file, env, mistakes);
        Self {
            values,
            file,
            profiles,
        }
    }

    /// Returns every file that the configuration names, and the configuration file itself.
    pub fn files(&self) -> Vec<PathBuf> {
        let options = OPTIONS.iter().filter(|option| option.value == Some("FILE"));
        let mut paths: Vec<_> = options
            .flat_map(|option| self.all(SettingName::of_option(option)))
            .map(|(path, _)| path.into())
            .collect();
        let frontends = self
            .file
            .as_ref()
            .map(|file| file.frontends.as_slice())
            .unwrap_or_default();
        for (entries, keys) in [(frontends, FRONTEND_KEYS), (&self.profiles, PROFILE_KEYS)] {
            let names = keys
                .iter()
                .filter(|key| key.value == "FILE")
                .map(SettingName::of_key);
            let values =
                names.flat_map(|name| entries.iter().flat_map(move |entry| entry.all(name)));
            paths.extend(values.map(|(path, _)| PathBuf::from(path)));
        }
        paths
    }

    /// Returns the configuration file, if there is one.
    pub fn file(&self) -> Option<&ConfigFile> {
        self.file.as_ref()
    }

    /// Returns every profile beside the default one.
    pub fn profiles(&self) -> &[FileEntry] {
        &self.profiles
    }

    /// Returns every value of an option, in the order of writing; the default if nothing was
    /// written.
    pub fn all(&self, name: SettingName) -> &[(String, Source)] {
        self.values.get(name.as_str()).map_or(&[], Vec::as_slice)
    }

    /// Returns the value of an option that takes one, unless it has none.
    pub fn one(&self, name: SettingName) -> Option<(&str, &Source)> {
        self.all(name)
            .first()
            .map(|(value, source)| (value.as_str(), source))
    }
}

fn read(
    option: &Opt,
    matches: &ArgMatches,
    env: &HashMap<String, OsString>,
    file: Option<&ConfigFile>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Source)> {
    if let Ok(Some(flags)) = matches.try_get_many::<String>(option.name) {
        return read_flags(option, &flags.collect::<Vec<_>>(), mistakes);
    }
    let mut variables = option.env().filter_map(|name| {
        let value = env.get(&name).filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    if let Some((name, value)) = variables.next() {
        return read_variable(option, name, value, mistakes);
    }
    if let Some(values) = file.and_then(|file| file.option(option.name)) {
        return values.to_vec();
    }
    if option.default.is_empty() {
        Vec::new()
    } else {
        vec![(option.default.to_owned(), Source::Default)]
    }
}

/// Reads the flags that name an option.
fn read_flags(
    option: &Opt,
    given: &[&String],
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Source)> {
    let parts = |value: &String| match option.many {
        Many::No if value.is_empty() => Vec::new(),
        // A value that is not split keeps its blanks.
        Many::No => vec![value.clone()],
        many => many.split(value),
    };
    let values: Vec<_> = given
        .iter()
        .flat_map(|value| parts(value))
        .map(|value| (value, Source::Flag(option.name)))
        .collect();
    if (option.many == Many::No || option.is_source()) && values.len() > 1 {
        mistakes.push(Mistake::new(
            format!("--{} is given {} times", option.name, values.len()),
            "give it once",
        ));
    }
    let is_empty = |value: &&String| option.many.split(value).is_empty();
    if option.many != Many::Texts && given.iter().any(is_empty) {
        mistakes.push(Mistake::new(
            format!("--{} is empty", option.name),
            "give it a value or leave it out",
        ));
    }
    values
}

/// Reads the variable of the environment that names an option.
fn read_variable(
    option: &Opt,
    name: String,
    value: &OsStr,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Source)> {
    let Some(value) = value.to_str() else {
        mistakes.push(Mistake::new(
            format!("{name} is not valid UTF-8"),
            "write it in UTF-8",
        ));
        return Vec::new();
    };
    let values: Vec<_> = option
        .many
        .split(value)
        .into_iter()
        .map(|part| (part, Source::Env(name.clone())))
        .collect();
    if values.is_empty() {
        mistakes.push(Mistake::new(
            format!("{name} is {value:?}, which holds no value"),
            "give it one, or leave it empty",
        ));
    }
    values
}

/// Variables that start like ours and are none: misspelt ones are mistakes, others get a warning.
pub(crate) fn check_env(
    env: &HashMap<String, OsString>,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<String>,
) {
    let known: Vec<String> = OPTIONS.iter().flat_map(Opt::env).collect();
    let mut strangers: Vec<_> = env
        .keys()
        .filter(|name| name.starts_with("CETUSGUARD_") && !known.contains(name))
        .collect();
    // Those of profiles are read with the profiles.
    strangers.retain(|name| !profile_env::is_one(name));
    strangers.sort();
    for name in strangers {
        // Kubernetes sets these for a service of the name cetusguard.
        let rest = &name["CETUSGUARD_".len()..];
        if rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_") {
            continue;
        }
        // Their common beginning says nothing about the intended name.
        let ours = known
            .iter()
            .filter_map(|known| known.strip_prefix("CETUSGUARD_"));
        match nearest(rest, ours) {
            Some(near) => mistakes.push(Mistake::new(
                format!("unknown environment variable {name}"),
                format!("did you mean CETUSGUARD_{near}?"),
            )),
            None => warnings.push(format!(
                "the environment variable {name} is not one of Cetusguard's and has no effect"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar;
    use super::*;

    /// Returns the values of an option from a flag, a variable or a file, or the mistakes.
    fn values(name: &'static str, flags: &[&str], env: &str, file: &str) -> Vec<String> {
        let args = flags.iter().map(|value| format!("--{name}={value}"));
        let matches = grammar()
            .try_get_matches_from(std::iter::once("cetusguard".to_owned()).chain(args))
            .expect("flags");
        let option = OPTIONS
            .iter()
            .find(|option| option.name == name)
            .expect(name);
        let variable = option.env().next().expect("a variable");
        let env = HashMap::from([(variable, OsString::from(env))]);
        let mut mistakes = Vec::new();
        let file = (!file.is_empty()).then(|| ConfigFile::read("file", file, &mut mistakes));
        let written = Written::beside(file, &matches, &env, &mut mistakes);
        let told: Vec<_> = mistakes.iter().map(Mistake::in_one_line).collect();
        if told.is_empty() {
            written
                .all(SettingName::known(name))
                .iter()
                .map(|(value, _)| value.clone())
                .collect()
        } else {
            told
        }
    }

    /// A list is one list wherever it is written: in a flag, in several, in a variable, and in the
    /// file in both of its forms.
    #[test]
    fn lists_have_one_grammar() {
        let mut count = 0;
        for option in OPTIONS
            .iter()
            .filter(|option| matches!(option.many, Many::Words | Many::Paths))
        {
            let name = option.name;
            let texts = ["a,b\\,c", "a, b\\,c", "a\nb\\,c", " a ,\n b\\,c,"];
            for text in texts {
                let block = text.replace('\n', "\n  ");
                let quoted = format!("{name}: {}\n", serde_json::Value::from(text));
                for found in [
                    values(name, &[text], "", ""),
                    values(name, &[], text, ""),
                    values(name, &[], "", &quoted),
                    values(name, &[], "", &format!("{name}: |\n  {block}\n")),
                    values(
                        name,
                        &[],
                        "",
                        &format!("{name}:\n- {}\n", serde_json::Value::from(text)),
                    ),
                ] {
                    assert_eq!(found, ["a", "b,c"], "{name}: {text:?}");
                }
            }
            assert_eq!(values(name, &["a", "b\\,c"], "", ""), ["a", "b,c"]);
            assert_eq!(
                values(name, &[], "", &format!("{name}: [a, \"b\\\\,c\"]\n")),
                ["a", "b,c"]
            );
            let blanks = values(name, &["a b"], "", "");
            assert_eq!(
                blanks.len(),
                if option.many == Many::Words { 2 } else { 1 },
                "{name}"
            );
            for nothing in [
                values(name, &[" , "], "", ""),
                values(name, &[], " , ", ""),
                values(name, &[], "", &format!("{name}: ','\n")),
            ] {
                assert!(
                    nothing.len() == 1 && nothing[0].ends_with("leave it out")
                        || nothing[0].contains("holds no value"),
                    "{nothing:?}"
                );
            }
            count += 1;
        }
        assert!(count >= 8, "{count}");
        // Rules have commas in them, and are one text.
        let rules = "GET,HEAD /a, b\nPOST /c";
        for found in [
            values("rules", &[rules], "", ""),
            values("rules", &[], rules, ""),
            values("rules", &[], "", "rules: |-\n  GET,HEAD /a, b\n  POST /c\n"),
        ] {
            assert_eq!(found, [rules]);
        }
    }

    /// The keys of a profile that take several values are written as the options of their names.
    #[test]
    fn lists_of_profiles_are_those_of_options() {
        for key in PROFILE_KEYS.iter().filter(|key| key.many) {
            let option = OPTIONS
                .iter()
                .find(|option| option.name == key.name)
                .expect(key.name);
            assert_eq!(
                (Many::of_key(key.name), option.value),
                (option.many, Some(key.value))
            );
            let text = format!("profiles:\n  web:\n    {}: a,b\n", key.name);
            let mut mistakes = Vec::new();
            let file = ConfigFile::read("file", &text, &mut mistakes);
            let count = if option.many == Many::Texts { 1 } else { 2 };
            assert_eq!(
                (
                    file.profiles[0].all(SettingName::of_key(key)).len(),
                    mistakes.len()
                ),
                (count, 0),
                "{}",
                key.name
            );
        }
    }
}
