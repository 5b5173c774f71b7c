//! What our configuration will be, and how it differs from what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cetusguard_policy::guard::{Exception, Guard, Level};
use cetusguard_policy::rule::{BUILT_IN, BUILT_IN_ORIGIN, RuleSet, parse};
use cetusguard_policy::{Care, Limits, Mode, Profile, Survey, survey};
use serde::Serialize;

use super::settings::Settings;
use crate::config::yaml::Node;

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Something that was allowed is refused now.
    Stricter,
    /// It cannot be said here.
    Missing,
    /// It works in another way, or was not clear.
    Different,
}

/// A difference.
#[derive(Debug, Serialize)]
pub(super) struct Note {
    pub(super) kind: Kind,
    pub(super) what: String,
}

/// Rules of one class of clients.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Rules, and what each comes from.
    pub(super) rules: Vec<(String, String)>,
    /// Exceptions of the guard.
    pub(super) guard_allow: Vec<String>,
    /// Rules that would open what the others match by a wildcard only.
    pub(super) closed: Vec<String>,
}

/// A class of clients.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: String,
    /// Entries of `clients`, each with one condition.
    pub(super) clients: Vec<(&'static str, String)>,
    pub(super) rights: Rights,
}

/// Our configuration.
#[derive(Debug)]
pub(super) struct Plan {
    /// The service's name.
    pub(super) service: String,
    /// Of everybody, or of nobody where `profiles` has them.
    pub(super) default: Rights,
    /// Those of others.
    pub(super) profiles: Vec<Class>,
    /// Whether the built-in rules allow nothing that was not allowed before.
    pub(super) built_in: bool,
    /// Other options.
    pub(super) options: Vec<(&'static str, String)>,
    /// The engine's socket in the container.
    pub(super) socket: String,
    /// Where that lies on the host, if it is known.
    pub(super) host_socket: Option<String>,
    /// Keys of the service that stay.
    pub(super) kept: Vec<(String, Node)>,
    pub(super) notes: Vec<Note>,
}

impl Plan {
    /// An empty one.
    pub(super) fn new(settings: &Settings) -> Self {
        let mut plan = Self {
            service: settings.service.clone().unwrap_or_else(|| "cetusguard".to_owned()),
            default: Rights::default(),
            profiles: Vec::new(),
            built_in: false,
            options: Vec::new(),
            socket: settings.socket.as_ref().map_or("/var/run/docker.sock", |(_, target)| target).to_owned(),
            host_socket: settings.socket.as_ref().map(|(source, _)| source.clone()),
            kept: settings.kept.clone(),
            notes: Vec::new(),
        };
        settings.dropped.iter().for_each(|dropped| plan.note(Kind::Missing, dropped.clone()));
        if !settings.others.is_empty() {
            let what = format!("only {} was read; --service reads {}", plan.service, settings.others.join(", "));
            plan.note(Kind::Missing, what);
        }
        plan
    }

    /// Notes a difference.
    pub(super) fn note(&mut self, kind: Kind, what: impl Into<String>) {
        self.notes.push(Note { kind, what: what.into() });
    }

    /// Sets an option.
    pub(super) fn option(&mut self, name: &'static str, value: impl Into<String>) {
        self.options.retain(|(known, _)| *known != name);
        self.options.push((name, value.into()));
    }

    /// Adds a rule of everybody.
    pub(super) fn rule(&mut self, rule: impl Into<String>, from: impl Into<String>) {
        self.default.rules.push((rule.into(), from.into()));
    }

    /// Takes out what is no rule and what reaches nothing, and notes what the rest does not open although it did.
    pub(super) fn compare(&mut self) {
        let mut notes = Vec::new();
        let built_in = self.built_in;
        let profiles = self.profiles.iter_mut().map(|class| &mut class.rights);
        for rights in std::iter::once(&mut self.default).chain(profiles) {
            rights.rules.retain(|(rule, from)| match parse("", rule) {
                Ok(_) => true,
                Err(mistakes) => {
                    let what = format!("{from}: {rule:?} is no rule: {}; {}", mistakes[0].what, mistakes[0].expected);
                    notes.push(Note { kind: Kind::Missing, what });
                    false
                }
            });
            let mut seen = BTreeSet::new();
            rights.rules.retain(|(rule, _)| seen.insert(rule.clone()));
            let found = rights.survey(built_in);
            let idle: Vec<_> = found.idle.iter().map(|rule| rule.text().to_owned()).collect();
            for rule in idle {
                let from = rights.rules.iter().find(|(known, _)| *known == rule).map(|(_, from)| from.clone());
                let what = format!("{} opened no endpoint of a known engine: left out", from.unwrap_or_default());
                notes.push(Note { kind: Kind::Different, what });
                rights.rules.retain(|(known, _)| *known != rule);
            }
            rights.closed = found.closed.iter().filter_map(|closed| closed.rule_to_add.clone()).collect();
            // What another rule allows anyway only makes the list longer.
            let covered: Vec<_> = found.covered.iter().map(|(rule, _)| rule.text().to_owned()).collect();
            rights.rules.retain(|(known, _)| !covered.contains(known));
            notes.extend(stricter(&found));
        }
        for note in notes {
            if !self.notes.iter().any(|known| known.what == note.what) {
                self.notes.push(note);
            }
        }
        self.notes.sort_by_key(|note| note.kind);
    }
}

impl Rights {
    fn survey(&self, built_in: bool) -> Survey {
        let mut rules = Vec::new();
        if built_in {
            rules.extend(parse(BUILT_IN_ORIGIN, BUILT_IN).unwrap_or_default());
        }
        rules.extend(self.rules.iter().flat_map(|(rule, _)| parse("rules", rule).unwrap_or_default()));
        let allow = self.guard_allow.iter().filter_map(|text| Exception::read(text).ok()).collect();
        let guard = Arc::new(Guard { level: Level::Baseline, allow });
        let (rules, limits) = (RuleSet::new(rules), Limits::default());
        let targets = Default::default();
        survey(&Profile { name: String::new(), rules, limits, guard, targets, mode: Mode::Enforce })
    }
}

/// What wildcards do not open, and what the guard judges, by what it lets a client do.
fn stricter(found: &Survey) -> Vec<Note> {
    let closed: BTreeMap<_, _> =
        found.closed.iter().map(|one| (one.endpoint.power, one.rule_to_add.is_some())).collect();
    let mut notes = Vec::new();
    for (power, can_be_opened) in closed {
        let what = match can_be_opened {
            false => format!("nobody can {}: guard: privileged would allow it", power.says()),
            true => {
                format!("a wildcard does not let clients {}; the rules that do stand below as comments", power.says())
            }
        };
        notes.push(Note { kind: Kind::Stricter, what });
    }
    let mut judged: Vec<_> =
        found.open.iter().filter(|open| open.care == Care::Judged).map(|open| open.power).collect();
    judged.sort();
    judged.dedup();
    let ways = judged.iter().filter_map(|power| Some((power.says(), power.way_to_host()?)));
    for (says, way) in ways {
        let what =
            format!("the guard judges whoever would {says}, since {way}; guard-allow has exceptions: docs/guard.md");
        notes.push(Note { kind: Kind::Stricter, what });
    }
    notes
}
