//! From `redact` to the values that the clients of a profile do not see.

use cetusguard_policy::rule::{Effect, Rule, RuleSet};
use cetusguard_policy::{Call, Preset, Profile, Redaction, Verdict, decide};

use super::Mistake;
use super::file::FileEntry;
use super::meant::SettingsReader;

/// The calls by which a client writes back settings that it has read: a copy of a redacted
/// container would run with the word `redacted` for its passwords.
const WRITING_BACK: &[(&str, &str)] = &[
    ("POST", "/containers/create"),
    ("POST", "/v5.0.0/libpod/containers/create"),
    ("POST", "/services/create"),
    ("POST", "/services/x/update"),
];

impl SettingsReader<'_> {
    /// Returns the redaction of a profile: that of its entry, or of the option, or of its presets.
    pub(super) fn redaction(&mut self, entry: Option<&FileEntry>, rules: &RuleSet) -> Redaction {
        let own = entry
            .map(|entry| entry.all(setting!("redact")))
            .unwrap_or_default();
        let is_own = entry.is_none() || !own.is_empty();
        let values = if own.is_empty() {
            self.written.all(setting!("redact"))
        } else {
            own
        };
        if values.is_empty() {
            return self.redaction_of_presets(entry, rules);
        }
        match Redaction::read(values.iter().map(|(text, _)| text.as_str())) {
            Ok(redaction) => redaction,
            Err(wrong) => {
                // The option's own mistakes are reported where the options are read.
                for (text, expected) in wrong.into_iter().filter(|_| is_own) {
                    if let Some((_, source)) = values.iter().find(|(value, _)| value == text) {
                        self.mistakes
                            .push(Mistake::value(source, "redact", text, expected));
                    }
                }
                Redaction::default()
            }
        }
    }

    /// Returns the redaction that all presets of a profile have in common. A preset without one is
    /// for a client that needs all values, and so is a profile whose clients write values back.
    fn redaction_of_presets(&self, entry: Option<&FileEntry>, rules: &RuleSet) -> Redaction {
        let named = entry.map_or_else(
            || self.written.all(setting!("presets")),
            |entry| entry.all(setting!("presets")),
        );
        let names = named.iter().flat_map(|(text, _)| text.split([',', ' ']));
        let mut presets = names.filter_map(Preset::find).map(Preset::redaction);
        let Some(first) = presets.next() else {
            return Redaction::default();
        };
        let common = presets.fold(first, |common, preset| common.in_common(&preset));
        if common.is_empty() || writes_back(rules) {
            Redaction::default()
        } else {
            common
        }
    }
}

/// Returns whether the rules let a client write back settings that it has read, even if only to one
/// object or in one version of the API.
fn writes_back(rules: &RuleSet) -> bool {
    let profile = Profile {
        rules: rules.clone(),
        ..Profile::default()
    };
    let is_open = |(method, target): &(&str, &str)| {
        Call::read(method, target)
            .is_ok_and(|call| matches!(decide(call, &profile), Verdict::Allow(_)))
    };
    let is_about = |rule: &Rule, words: [&str; 2]| {
        let text = rule.text().to_ascii_lowercase();
        rule.effect() == Effect::Allow && words.iter().all(|word| text.contains(word))
    };
    WRITING_BACK.iter().any(is_open)
        || rules.rules().iter().any(|rule| {
            is_about(rule, ["container", "create"]) || is_about(rule, ["service", "update"])
        })
}
