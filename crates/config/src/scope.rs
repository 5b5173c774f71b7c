//! From `visible` and `own` to the objects that the clients of a profile see and own.

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::GuardLevel;
use cetusguard_policy::{Ownership, Preset, Scope, ScopeCondition, SessionSource};

use super::Mistake;
use super::file::FileEntry;
use super::limits::read_target;
use super::meant::{SettingsReader, read_time};

impl SettingsReader<'_> {
    /// Returns the objects that exist for the clients of a profile: those of its entry, or those of
    /// the options.
    pub(super) fn scope(&mut self, entry: Option<&FileEntry>, level: GuardLevel) -> Scope {
        let own = entry
            .map(|entry| entry.all(setting!("visible")))
            .unwrap_or_default();
        let is_own = entry.is_none() || !own.is_empty();
        let values = if own.is_empty() {
            self.written.all(setting!("visible"))
        } else {
            own
        };
        let mut entries = Vec::new();
        for (text, source) in values {
            let read = text
                .split_whitespace()
                .map(read_condition)
                .collect::<Result<Vec<_>, _>>()
                .and_then(|conditions| match level {
                    GuardLevel::Privileged => Err(NEEDS_GUARD.to_owned()),
                    GuardLevel::Baseline | GuardLevel::Restricted => Ok(conditions),
                });
            match read {
                // A profile takes the option back.
                _ if text.trim() == ALL => {}
                Ok(conditions) if !conditions.is_empty() => entries.push(conditions),
                Ok(_) => {}
                // The option's own mistakes are reported where the options are read.
                Err(expected) if is_own => self
                    .mistakes
                    .push(Mistake::value(source, "visible", text, expected)),
                Err(_) => {}
            }
        }
        Scope::new(entries)
    }

    /// Returns the ownership of the objects that the clients of a profile create.
    pub(super) fn ownership(
        &mut self,
        entry: Option<&FileEntry>,
        profile: &str,
        level: GuardLevel,
    ) -> Option<Ownership> {
        let read = |text: &str| match (read_ownership(text, profile)?, level) {
            (Some(_), GuardLevel::Privileged) => Err(NEEDS_GUARD.to_owned()),
            (ownership, _) => Ok(ownership),
        };
        let is_written = entry.is_some_and(|entry| entry.one(setting!("own")).is_some())
            || self.written.one(setting!("own")).is_some();
        let clients_create = level != GuardLevel::Privileged && self.presets_own(entry);
        let default = || {
            clients_create.then(|| Ownership {
                owner: profile.to_owned(),
                session: SessionSource::Profile,
                lifetime: None,
            })
        };
        match is_written {
            true => self.inherited(entry, setting!("own"), read).flatten(),
            false => default(),
        }
    }

    /// Returns whether a profile has presets, and the clients of all of them need no other objects
    /// than those that they create.
    fn presets_own(&self, entry: Option<&FileEntry>) -> bool {
        let named = entry.map_or_else(
            || self.written.all(setting!("presets")),
            |entry| entry.all(setting!("presets")),
        );
        let mut presets = named
            .iter()
            .flat_map(|(text, _)| text.split([',', ' ']))
            .filter_map(Preset::find)
            .peekable();
        presets.peek().is_some() && presets.all(Preset::owns)
    }
}

/// The value of `visible` that shows all objects.
const ALL: &str = "all";

/// The bodies of calls name objects, and only a guard reads them.
const NEEDS_GUARD: &str = "expected it in a profile with guard: baseline or restricted, which read \
    the bodies that name objects";

/// Reads one condition on a visible object.
fn read_condition(text: &str) -> Result<ScopeCondition, String> {
    let expected = "expected kind, name, label, compose-project, compose-service or image, as in \
        name=web-*, label=tier=* or !label=tier=high; or all";
    let (is_negated, condition) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match condition.split_once('=') {
        Some(("kind", word)) => {
            let has_objects =
                |kind: &ObjectKind| !matches!(kind, ObjectKind::Exec | ObjectKind::Task);
            let kind = ObjectKind::named(word).filter(has_objects);
            let kinds = ObjectKind::ALL.into_iter().filter(has_objects);
            kind.map(|kind| ScopeCondition::kind(kind, is_negated))
                .ok_or_else(|| {
                    let names: Vec<_> = kinds.map(ObjectKind::name).collect();
                    format!("expected kind= and one of: {}", names.join(", "))
                })
        }
        _ => read_target(condition)
            .map(|condition| ScopeCondition::object(condition, is_negated))
            .map_err(|_| expected.to_owned()),
    }
}

/// Reads `own`: `true`, `false`, or settings of the ownership.
fn read_ownership(text: &str, profile: &str) -> Result<Option<Ownership>, String> {
    let expected = "expected true or false, or session=header, session=client and lifetime=TIME, as \
        in session=header lifetime=12h";
    let mut ownership = Ownership {
        owner: profile.to_owned(),
        session: SessionSource::Profile,
        lifetime: None,
    };
    if text == "false" {
        return Ok(None);
    }
    for word in text.split_whitespace().filter(|word| *word != "true") {
        match word.split_once('=') {
            Some(("session", "header")) => ownership.session = SessionSource::Header,
            Some(("session", "client")) => ownership.session = SessionSource::Client,
            Some(("lifetime", time)) => {
                ownership.lifetime = Some(read_time(time)?.as_secs().max(1));
            }
            _ => return Err(expected.to_owned()),
        }
    }
    Ok(Some(ownership))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_shown_alike() {
        for (text, want) in [
            ("kind=image", Ok("kind=image")),
            ("!kind=volume", Ok("!kind=volume")),
            ("name=web-*", Ok("name=web-*")),
            ("!label=tier=high", Ok("!label=tier=high")),
            (
                "compose-project=shop",
                Ok("label=com.docker.compose.project=shop"),
            ),
            ("kind=exec", Err("one of: container, image")),
            ("kind=", Err("one of: container, image")),
            ("web", Err("expected kind, name")),
            ("!", Err("expected kind, name")),
        ] {
            match (read_condition(text), want) {
                (Ok(condition), Ok(want)) => assert_eq!(condition.to_string(), want),
                (Err(found), Err(want)) => assert!(found.contains(want), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn ownership_is_read() {
        let read = |text| read_ownership(text, "ci");
        assert_eq!(read("false"), Ok(None));
        let whole = read("session=header lifetime=12h")
            .expect("valid")
            .expect("owned");
        let want = (SessionSource::Header, Some(12 * 3600), "ci");
        assert_eq!((whole.session, whole.lifetime, whole.owner.as_str()), want);
        let plain = read("true").expect("valid").expect("owned");
        assert_eq!(
            (plain.session, plain.lifetime),
            (SessionSource::Profile, None)
        );
        let both = read("true lifetime=1h").expect("valid").expect("owned");
        assert_eq!(both.lifetime, Some(3600));
        for text in ["yes", "session=", "session=x", "lifetime=12", "lifetime="] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
