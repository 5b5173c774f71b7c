//! The limits and the guard of a profile: from the written values to their meaning.

use std::time::Duration;

use cetusguard_policy::guard::{Exception, Guard, GuardLevel, Recreation};
use cetusguard_policy::{
    COMPOSE_PROJECT, COMPOSE_SERVICE, ClientLimits, Mode, Pattern, Preset, Rate, TargetCondition,
    Targets,
};

use super::Mistake;
use super::file::FileEntry;
use super::meant::{SettingsReader, read_count};
use super::name::SettingName;
use super::option::nearest;
use super::profiles::DEFAULT;

/// A limit that may be none.
type Limit<T> = Option<T>;

impl SettingsReader<'_> {
    /// Returns the mode of a profile: the one of its entry, or the option's.
    pub(super) fn mode(&mut self, entry: Option<&FileEntry>) -> Mode {
        self.inherited(entry, setting!("mode"), read_mode)
            .unwrap_or_default()
    }

    /// Returns the limits of a profile: those of its entry, and for the rest those of the options.
    pub(super) fn limits(&mut self, entry: Option<&FileEntry>) -> ClientLimits {
        let interval = self
            .inherited(entry, setting!("rate-limit"), read_rate)
            .flatten();
        let burst = self
            .inherited(entry, setting!("rate-burst"), read_number)
            .unwrap_or(1);
        ClientLimits {
            rate: interval.map(|interval| Rate { interval, burst }),
            requests: self
                .inherited(entry, setting!("max-requests"), read_limit)
                .flatten(),
            streams: self
                .inherited(entry, setting!("max-streams"), read_limit)
                .flatten(),
            connections: self.connections(entry),
            origins: self.patterns(entry, setting!("origins")),
            agents: self.patterns(entry, setting!("user-agents")),
            agents_denied: self.patterns(entry, setting!("user-agents-denied")),
        }
    }

    /// Returns the number of connections that one client can have at the same time.
    fn connections(&mut self, entry: Option<&FileEntry>) -> Limit<usize> {
        // A mistake in the total is reported where that option is read.
        let total = self
            .written
            .one(setting!("max-connections"))
            .and_then(|(text, _)| read_count(text).ok())
            .unwrap_or_default();
        match self.inherited(entry, setting!("max-connections-per-client"), read_share)? {
            Share::Auto => Some((total / 8).max(64)),
            Share::Number(number) => Some(number),
            Share::All => None,
        }
    }

    /// Returns the guard of a profile: the level of its entry, or the option's; and the exceptions
    /// of the one or the other.
    pub(super) fn guard(&mut self, entry: Option<&FileEntry>) -> Guard {
        let level = self
            .inherited(entry, setting!("guard"), read_guard)
            .unwrap_or_default();
        let own = entry
            .map(|entry| entry.all(setting!("guard-allow")))
            .unwrap_or_default();
        let is_own = entry.is_none() || !own.is_empty();
        let values = if own.is_empty() {
            self.written.all(setting!("guard-allow"))
        } else {
            own
        };
        let mut allow = Vec::new();
        for (text, source) in values {
            match Exception::read(text) {
                Ok(exception) => {
                    if is_own && let Some(expected) = self.unknown_profile(&exception) {
                        self.mistakes
                            .push(Mistake::value(source, "guard-allow", text, expected));
                    }
                    allow.push(exception);
                }
                Err(expected) if is_own => {
                    self.mistakes
                        .push(Mistake::value(source, "guard-allow", text, expected));
                }
                // The option's own mistakes are reported where the options are read.
                Err(_) => {}
            }
        }
        let creation = self.creation(entry, level);
        Guard {
            level,
            allow,
            creation,
        }
    }

    /// Returns the description of the expected value, for an exception that names an unknown
    /// profile.
    fn unknown_profile(&self, exception: &Exception) -> Option<String> {
        let pattern = exception.profile_pattern()?;
        let entries = self.written.profiles().iter();
        let names = entries.map(|entry| entry.name.as_str()).chain([DEFAULT]);
        if names.clone().any(|name| pattern.fits(name)) {
            return None;
        }
        Some(match nearest(pattern.as_str(), names.clone()) {
            Some(near) => format!("there is no such profile; did you mean profile={near}?"),
            None => format!(
                "there is no such profile; expected one of: {}",
                names.collect::<Vec<_>>().join(", ")
            ),
        })
    }

    /// Returns how the clients of a profile create a container again: the mode of its entry, or of
    /// the option, or the strictest of its presets.
    pub(super) fn recreation(&mut self, entry: Option<&FileEntry>) -> Option<Recreation> {
        self.inherited(entry, setting!("guard-recreation"), read_recreation)
            .flatten()
            .or_else(|| {
                let presets = entry.map_or_else(
                    || self.written.all(setting!("presets")),
                    |entry| entry.all(setting!("presets")),
                );
                let names = presets.iter().flat_map(|(text, _)| text.split([',', ' ']));
                let presets = names.filter_map(Preset::find);
                presets.filter_map(Preset::recreation).max()
            })
    }

    /// Returns the targets of a profile: those of its entry, or those of the options.
    pub(super) fn targets(&mut self, entry: Option<&FileEntry>) -> Targets {
        let own = entry
            .map(|entry| entry.all(setting!("targets")))
            .unwrap_or_default();
        let is_own = entry.is_none() || !own.is_empty();
        let values = if own.is_empty() {
            self.written.all(setting!("targets"))
        } else {
            own
        };
        let mut targets = Vec::new();
        for (text, source) in values {
            match text
                .split_whitespace()
                .map(read_target)
                .collect::<Result<Vec<_>, _>>()
            {
                Ok(conditions) if !conditions.is_empty() => targets.push(conditions),
                Ok(_) => {}
                // The option's own mistakes are reported where the options are read.
                Err(expected) if is_own => self
                    .mistakes
                    .push(Mistake::value(source, "targets", text, expected)),
                Err(_) => {}
            }
        }
        Targets::new(targets)
    }

    fn patterns(&self, entry: Option<&FileEntry>, name: SettingName) -> Vec<Pattern> {
        let own = entry.map(|entry| entry.all(name)).unwrap_or_default();
        let values = if own.is_empty() {
            self.written.all(name)
        } else {
            own
        };
        values.iter().map(|(text, _)| Pattern::new(text)).collect()
    }

    /// Returns the value of a key of an entry, or of the option of that name.
    pub(super) fn inherited<T>(
        &mut self,
        entry: Option<&FileEntry>,
        name: SettingName,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match entry {
            Some(entry) if entry.one(name).is_some() => self.value(entry, name, read),
            // The option's own mistakes are reported once, with the default profile.
            Some(_) => self.written.one(name).and_then(|(text, _)| read(text).ok()),
            None => self.read(name, read),
        }
    }
}

/// Reads one condition on a target.
pub(super) fn read_target(text: &str) -> Result<TargetCondition, String> {
    let expected = "expected name, label, compose-project, compose-service or image, as in \
        name=web-* or label=tier=low";
    let (key, value) = text
        .split_once('=')
        .filter(|(_, value)| !value.is_empty())
        .ok_or(expected)?;
    Ok(match (key, value.split_once('=')) {
        ("name", _) => TargetCondition::Name(Pattern::new(value.trim_start_matches('/'))),
        ("label", Some((label, value))) => {
            TargetCondition::Label(label.to_owned(), Pattern::new(value))
        }
        ("compose-project", _) => {
            TargetCondition::Label(COMPOSE_PROJECT.to_owned(), Pattern::new(value))
        }
        ("compose-service", _) => {
            TargetCondition::Label(COMPOSE_SERVICE.to_owned(), Pattern::new(value))
        }
        ("image", _) => TargetCondition::image(value),
        _ => return Err(expected.to_owned()),
    })
}

fn read_guard(text: &str) -> Result<GuardLevel, String> {
    let levels = [
        GuardLevel::Privileged,
        GuardLevel::Baseline,
        GuardLevel::Restricted,
    ];
    let level = levels.into_iter().find(|level| level.name() == text);
    level.ok_or_else(|| "expected privileged, baseline or restricted".to_owned())
}

/// Reads the mode of re-creation; `auto` leaves it to the presets.
fn read_recreation(text: &str) -> Result<Option<Recreation>, String> {
    let known = Recreation::ALL
        .into_iter()
        .find(|known| known.name() == text);
    match known {
        None if text != "auto" => Err("expected auto, off, declared, copied or updater".to_owned()),
        known => Ok(known),
    }
}

fn read_mode(text: &str) -> Result<Mode, String> {
    match text {
        "enforce" => Ok(Mode::Enforce),
        "audit" => Ok(Mode::Audit),
        _ => Err("expected enforce or audit".to_owned()),
    }
}

/// Reads a rate into the time between two requests.
fn read_rate(text: &str) -> Result<Limit<Duration>, String> {
    if text == "none" {
        return Ok(None);
    }
    let expected =
        || "expected a number and a unit, as in 20/s, 600/m or 5000/h, or none".to_owned();
    let (count, unit) = text.split_once('/').ok_or_else(expected)?;
    let unit = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(expected()),
    };
    Ok(Some(unit / read_number(count).map_err(|_| expected())?))
}

/// A part of all connections.
enum Share {
    Auto,
    Number(usize),
    All,
}

fn read_share(text: &str) -> Result<Share, String> {
    match text {
        "auto" => Ok(Share::Auto),
        "none" => Ok(Share::All),
        number => read_count(number)
            .map(Share::Number)
            .map_err(|expected| format!("{expected}, auto or none")),
    }
}

fn read_limit(text: &str) -> Result<Limit<u32>, String> {
    if text == "none" {
        Ok(None)
    } else {
        read_number(text)
            .map(Some)
            .map_err(|expected| format!("{expected}, or none"))
    }
}

fn read_number(text: &str) -> Result<u32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "expected a number from 1 to 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_unit() {
        for (text, want) in [
            ("20/s", Some(Some(50_000))),
            ("600/m", Some(Some(100_000))),
            ("3600/h", Some(Some(1_000_000))),
            ("none", Some(None)),
            ("20", None),
            ("0/s", None),
            ("20/d", None),
            ("-1/s", None),
            ("1.5/s", None),
            ("", None),
        ] {
            let read = read_rate(text)
                .ok()
                .map(|rate| rate.map(|interval| interval.as_micros()));
            assert_eq!(read, want, "{text}");
        }
    }
}
