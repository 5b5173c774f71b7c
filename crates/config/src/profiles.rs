//! From the frontends and profiles of the file to the profiles with their selectors.

use std::sync::Arc;

use cetusguard_policy::rule::{self, RuleSet};
use cetusguard_policy::{Condition, Preset, Profile, Profiles, Selector, View};

use super::Mistake;
use super::clients::{self, Doors};
use super::file::FileEntry;
use super::frontends::Named;
use super::meant::{SettingsReader, read_bool};
use super::name::SettingName;
use super::option::nearest;
use super::tls::MakeTls;
use super::written::Source;

/// The name of the profile of clients that no selector matches.
pub(super) const DEFAULT: &str = "default";

/// A profile in the making.
struct Draft<'f> {
    entry: &'f FileEntry,
    selectors: Vec<(Selector, Source)>,
}

impl SettingsReader<'_> {
    /// Returns the profiles of the file, and the default profile that the options make.
    pub(super) fn profiles<T: MakeTls>(&mut self, frontends: &[Named<'_, T>]) -> Profiles {
        let entries = self.written.profiles();
        let doors = Doors::of(frontends);
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for entry in entries {
            let read = entry
                .clients
                .iter()
                .filter_map(|client| clients::read(client, doors, self.mistakes));
            drafts.push(Draft {
                entry,
                selectors: read.collect(),
            });
        }
        let mut also = Vec::new();
        for (index, (_, named)) in frontends.iter().enumerate() {
            let Some((name, source)) = named else {
                continue;
            };
            match drafts.iter_mut().find(|draft| draft.entry.name == *name) {
                Some(draft) => draft
                    .selectors
                    .push((Condition::Frontend(index).into(), (*source).clone())),
                None if *name == DEFAULT => also.push(Condition::Frontend(index).into()),
                None => {
                    let known = entries
                        .iter()
                        .map(|entry| entry.name.as_str())
                        .chain([DEFAULT]);
                    let fix = format!("expected one of: {}", known.collect::<Vec<_>>().join(", "));
                    self.mistakes
                        .push(Mistake::value(source, "profile", name, fix));
                }
            }
        }
        self.check(&drafts);
        let bare = self
            .read(setting!("no-builtin-rules"), read_bool)
            .unwrap_or_default();
        let default = self.profile(None, bare);
        let mut others = Vec::new();
        for draft in drafts {
            let selectors = draft
                .selectors
                .into_iter()
                .map(|(selector, _)| selector)
                .collect();
            others.push((self.profile(Some(draft.entry), bare), selectors));
        }
        Profiles::new(default, also, others)
    }

    fn profile(&mut self, entry: Option<&FileEntry>, bare: bool) -> Profile {
        let name = entry
            .map_or(DEFAULT, |entry| entry.name.as_str())
            .to_owned();
        let (rules, limits, mode) = (
            self.rules(entry, bare),
            self.limits(entry),
            self.mode(entry),
        );
        let targets = Arc::new(self.targets(entry));
        if targets.is_empty() {
            self.refuse_presets_without_targets(entry, &name);
        }
        let (mut guard, recreation) = (self.guard(entry), self.recreation(entry));
        let view = Arc::new(View {
            scope: self.scope(entry, guard.level),
            ownership: self.ownership(entry, &name, guard.level),
            redaction: self.redaction(entry, &rules),
        });
        if view.ownership.is_none() {
            self.drop_quota(entry, &name, &mut guard);
        }
        let guard = Arc::new(guard);
        Profile {
            name,
            rules,
            limits,
            guard,
            targets,
            mode,
            recreation,
            view,
        }
    }

    /// Refuses presets whose clients would reach every object of the engine without targets.
    fn refuse_presets_without_targets(&mut self, entry: Option<&FileEntry>, profile: &str) {
        let named = entry.map_or_else(
            || self.written.all(setting!("presets")),
            |entry| entry.all(setting!("presets")),
        );
        for (name, source) in named
            .iter()
            .filter(|(name, _)| Preset::find(name).is_some_and(Preset::needs_targets))
        {
            let fix = format!(
                "add targets to the profile {profile}, such as name=agent-*: without them its \
                clients reach every container; cetusguard preset show {name} says more"
            );
            self.mistakes
                .push(Mistake::value(source, "presets", name, fix));
        }
    }

    /// Reports profiles that no client can reach, and clients that match two profiles.
    fn check(&mut self, drafts: &[Draft<'_>]) {
        let mut seen: Vec<(&Selector, &str)> = Vec::new();
        for draft in drafts {
            let name = draft.entry.name.as_str();
            let mut wrong = |what: String, fix: &str| {
                self.mistakes
                    .push(Mistake::about(&draft.entry.begins, what, fix))
            };
            if name == DEFAULT {
                let fix = "the rules of the profile default are those of the options: rules and \
                    rules-file";
                wrong("the profile default is made by the options".to_owned(), fix);
            } else if !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            {
                let fix = "expected letters, digits, dashes, dots and underscores";
                wrong(format!("{name:?} is no name of a profile"), fix);
            } else if draft.selectors.is_empty()
                && draft.entry.clients.is_empty()
                && !draft.entry.is_flawed
            {
                let fix = "give it clients, or name it in an entry of frontends";
                wrong(format!("nothing reaches the profile {name}"), fix);
            }
            for (selector, source) in &draft.selectors {
                if let Some((_, other)) =
                    seen.iter().find(|(known, _)| known.collides_with(selector))
                {
                    let whose = if *other == name {
                        "twice this profile's".to_owned()
                    } else {
                        format!("the profile {other}'s as well")
                    };
                    let fix = "each client has one profile: take one of the two out, or make them \
                        distinct";
                    let what = format!("these clients are {whose}");
                    self.mistakes.push(Mistake::about(source, what, fix));
                }
                seen.push((selector, name));
            }
        }
    }

    /// Returns the rules of one profile, or of the options: built-in rules, then those of presets,
    /// then those written, then those of files. `bare` is the option's value for the built-in ones.
    fn rules(&mut self, entry: Option<&FileEntry>, bare: bool) -> RuleSet {
        let own =
            entry.and_then(|entry| self.value(entry, setting!("no-builtin-rules"), read_bool));
        let all =
            |key: SettingName| entry.map_or_else(|| self.written.all(key), |entry| entry.all(key));
        // Each text with its first line, and its indentation.
        let mut texts: Vec<(String, (usize, usize), String)> = Vec::new();
        if !own.unwrap_or(bare) {
            texts.push((
                rule::BUILT_IN_ORIGIN.to_owned(),
                (1, 0),
                rule::BUILT_IN.to_owned(),
            ));
        }
        for (name, source) in all(setting!("presets")) {
            match Preset::find(name) {
                Some(preset) => {
                    texts.push((
                        format!("{}{name}", rule::PRESET_ORIGIN),
                        (1, 0),
                        preset.text.to_owned(),
                    ));
                }
                None => {
                    let fix = match nearest(name, Preset::ALL.iter().map(|preset| preset.name)) {
                        Some(near) => format!("did you mean {near}?"),
                        None => "cetusguard preset list shows them".to_owned(),
                    };
                    self.mistakes
                        .push(Mistake::value(source, "presets", name, fix));
                }
            }
        }
        for (text, source) in all(setting!("rules")) {
            let first = if let Source::File(spot) = source {
                (spot.begins(), spot.indent())
            } else {
                (1, 0)
            };
            texts.push((source.to_string(), first, text.clone()));
        }
        for (path, source) in all(setting!("rules-file")) {
            match super::read_text(path) {
                Ok(text) => texts.push((path.clone(), (1, 0), text)),
                Err(why) => {
                    let expected =
                        format!("expected a readable file of rules: {why}; {}", why.advice());
                    self.mistakes
                        .push(Mistake::value(source, "rules-file", path, expected));
                }
            }
        }
        let mut rules = Vec::new();
        for (origin, (line, indent), text) in texts {
            match rule::parse_sharing(&mut self.expressions, &origin, line, &text) {
                Ok(parsed) => rules.extend(parsed),
                Err(wrong) => {
                    let wrong = wrong
                        .into_iter()
                        .map(|wrong| Mistake::Rule(Box::new(wrong.indented(indent))));
                    self.mistakes.extend(wrong);
                }
            }
        }
        let rules = RuleSet::new(rules);
        match self.inherited(entry, setting!("head-follows-get"), read_bool) {
            Some(false) => rules.with_exact_methods(),
            _ => rules,
        }
    }
}
