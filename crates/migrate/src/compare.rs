//! Judges every endpoint as the other proxy does and as the new rules do. Rules that allow more are
//! narrowed, and each call that they refuse is noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use cetusguard_policy::endpoint::{Endpoint, EndpointId, Power};
use cetusguard_policy::guard::{Exception, Guard, GuardLevel};
use cetusguard_policy::rule::{Rule, RuleSet, parse};
use cetusguard_policy::{
    Call, ClientLimits, DenialKind, Ground, Method, Mode, Profile, Verdict, decide, survey,
};

use super::note::{Note, NoteKind};
use super::plan::{PeerDecisions, Plan, Rights};

/// A call of an endpoint, as clients make it.
#[derive(Clone)]
struct SampleCall {
    endpoint: &'static Endpoint,
    method: Method,
    path: String,
}

/// Names that no rule means, unless it means any.
const NAMES: [&str; 2] = ["some-name", "0123456789ab"];

/// Calls of every endpoint: with a version and without, for two objects, and with HEAD where GET is
/// served.
static SAMPLES: LazyLock<Vec<SampleCall>> = LazyLock::new(|| {
    let endpoints = Endpoint::all().filter(|endpoint| endpoint.shape != "/{path*}");
    let samples = endpoints.flat_map(|endpoint| {
        let versions: &[&str] = if endpoint.is_libpod() {
            &["/v5.0.0"]
        } else {
            &["/v1.43", ""]
        };
        let paths = versions.iter().flat_map(|version| {
            NAMES.map(|name| format!("{version}{}", endpoint_path(endpoint, name)))
        });
        let paths: BTreeSet<String> = paths.collect();
        let methods = if endpoint.method == Method::Get {
            vec![Method::Get, Method::Head]
        } else {
            vec![endpoint.method]
        };
        paths.into_iter().flat_map(move |path| {
            methods.clone().into_iter().map(move |method| SampleCall {
                endpoint,
                method,
                path: path.clone(),
            })
        })
    });
    samples.collect()
});

fn endpoint_path(endpoint: &Endpoint, name: &str) -> String {
    let segments = endpoint.shape.split('/').map(|segment| {
        if segment.starts_with('{') {
            name
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The decision of the new rules about a sample.
enum JudgedSample {
    /// A permission: the text of the rule that gives it. The guard may still judge the body.
    Allowed { rule: String, is_judged: bool },
    /// A refusal: the word for its reason, and the rule that would allow the call.
    Refused {
        kind: DenialKind,
        rule_to_add: Option<String>,
    },
}

impl Plan {
    /// Leaves out rules that cannot be read or reach nothing, narrows those that allow more than
    /// the peer did, and notes the calls that are refused although some version of the peer
    /// allowed them.
    pub(super) fn compare(&mut self) {
        let mut notes = Vec::new();
        let is_podman = self.is_podman();
        let profiles = self.profiles.iter_mut().map(|class| &mut class.rights);
        for rights in std::iter::once(&mut self.default).chain(profiles) {
            rights.drop_mistakes(&mut notes);
            rights.narrow();
            rights.tidy(&mut notes);
            rights.note_differences(is_podman, &mut notes);
        }
        for note in notes {
            match self.notes.iter_mut().find(|known| known.what == note.what) {
                Some(known) => known.endpoints.extend(note.endpoints),
                None => self.notes.push(note),
            }
        }
        for note in &mut self.notes {
            note.endpoints.sort_unstable();
            note.endpoints.dedup();
        }
        self.notes.sort_by_key(|note| note.kind);
    }
}

impl Plan {
    /// Returns whether the engine may serve Podman's own API, as far as the settings tell.
    fn is_podman(&self) -> bool {
        let all =
            std::iter::once(&self.default).chain(self.profiles.iter().map(|class| &class.rights));
        let mut rules = all.flat_map(|rights| &rights.rules);
        self.backend.contains("podman")
            || rules.any(|(rule, _)| rule.to_lowercase().contains("libpod"))
    }
}

impl Rights {
    /// Returns whether clients may ask for `/_ping`, which the health check does.
    pub(super) fn allows_ping(&self) -> bool {
        let profile = self.profile();
        Call::read("GET", "/_ping")
            .is_ok_and(|call| matches!(decide(call, &profile), Verdict::Allow(_)))
    }

    /// Returns the endpoints of which some call passes the rules.
    pub(super) fn open_endpoints(&self) -> BTreeSet<EndpointId> {
        let profile = self.profile();
        let passes = |sample: &&SampleCall| {
            matches!(sample.judge(&profile), Some(JudgedSample::Allowed { .. }))
        };
        let open = SAMPLES.iter().filter(passes);
        open.map(|sample| sample.endpoint.id).collect()
    }

    fn drop_mistakes(&mut self, notes: &mut Vec<Note>) {
        let mut seen = BTreeSet::new();
        self.rules.retain(|(rule, from)| {
            let why = match parse("", rule) {
                // A text with the end of a line would be two rules.
                Ok(parsed) if parsed.len() == 1 && !rule.contains(['\n', '\r']) => {
                    return seen.insert(rule.clone());
                }
                Ok(_) => "it is not one line".to_owned(),
                Err(mistakes) => format!("{}; {}", mistakes[0].what, mistakes[0].expected),
            };
            let from = if from.is_empty() { "a rule" } else { from };
            notes.push(Note::new(
                NoteKind::Missing,
                format!("{from}: {rule:?} is no rule here, and left out: {why}"),
            ));
            false
        });
    }

    /// Replaces each rule that allows a call which some version of the peer refuses: by rules for
    /// the endpoints that it may open.
    fn narrow(&mut self) {
        let profile = self.profile();
        let mut too_wide: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in SAMPLES.iter() {
            if let Some(JudgedSample::Allowed { rule, .. }) = sample.judge(&profile)
                && !self.peer.allows(sample.method, &sample.path)
            {
                too_wide.entry(rule).or_default();
            }
        }
        if too_wide.is_empty() {
            return;
        }
        for sample in SAMPLES.iter() {
            let Some(JudgedSample::Allowed { rule, .. }) = sample.judge(&profile) else {
                continue;
            };
            if let Some(lines) = too_wide.get_mut(&rule)
                && !sample.is_refused_by_some_twin(&self.peer)
            {
                lines.insert(format!("{} {}", sample.method, sample.endpoint.pattern()));
            }
        }
        let rules = std::mem::take(&mut self.rules);
        self.rules = rules
            .into_iter()
            .flat_map(|(rule, from)| match too_wide.get(&rule) {
                Some(lines) => lines
                    .iter()
                    .map(|line| (line.clone(), from.clone()))
                    .collect(),
                None => vec![(rule, from)],
            })
            .collect();
    }

    /// Leaves out rules that reach nothing, and those that another one covers.
    fn tidy(&mut self, notes: &mut Vec<Note>) {
        let found = survey(&self.profile());
        for idle in &found.idle {
            let from = self
                .rules
                .iter()
                .find(|(known, _)| known == idle.text())
                .map(|(_, from)| from.clone());
            let from = from
                .filter(|from| !from.is_empty())
                .unwrap_or_else(|| format!("{:?}", idle.text()));
            notes.push(Note::new(
                NoteKind::Different,
                format!("{from} opened no endpoint of a known engine: left out"),
            ));
            self.rules.retain(|(known, _)| known != idle.text());
        }
        let covered: Vec<_> = found
            .covered
            .iter()
            .map(|(rule, _)| rule.text().to_owned())
            .collect();
        self.rules.retain(|(known, _)| !covered.contains(known));
    }

    fn note_differences(&mut self, is_podman: bool, notes: &mut Vec<Note>) {
        let profile = self.profile();
        let mut refused: BTreeMap<(DenialKind, Power), EndpointGroup> = BTreeMap::new();
        let mut judged = EndpointGroup::default();
        let served = SAMPLES
            .iter()
            .filter(|sample| is_podman || !sample.endpoint.is_libpod());
        for sample in served.filter(|sample| self.peer.may_allow(sample.method, &sample.path)) {
            // A refused HEAD says nothing new where GET is refused.
            let is_twin = sample.method == Method::Head && sample.endpoint.method == Method::Get;
            match sample.judge(&profile) {
                Some(JudgedSample::Refused { kind, rule_to_add }) => {
                    let group = refused.entry((kind, sample.endpoint.power)).or_default();
                    group.is_of_older |= !self.peer.allows(sample.method, &sample.path);
                    group.endpoints.insert(sample.endpoint.id);
                    group.rules.extend(rule_to_add.filter(|_| !is_twin));
                }
                Some(JudgedSample::Allowed {
                    is_judged: true, ..
                }) => {
                    judged.endpoints.insert(sample.endpoint.id);
                }
                _ => {}
            }
        }
        for ((kind, power), group) in refused {
            self.closed.extend(
                group
                    .rules
                    .iter()
                    .filter(|rule| !self.closed.contains(rule))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            notes.push(group.note(refusal_note(kind, power, group.is_of_older)));
        }
        if !judged.endpoints.is_empty() {
            let what = "the guard judges what these calls ask for, and refuses what gives the host \
                away; guard-allow opens it (docs/guard.md)";
            notes.push(judged.note(what.to_owned()));
        }
    }

    fn profile(&self) -> Profile {
        let rules = self
            .rules
            .iter()
            .flat_map(|(rule, _)| parse("rules", rule).unwrap_or_default())
            .collect();
        let allow = self
            .guard_allow
            .iter()
            .filter_map(|text| Exception::read(text).ok())
            .collect();
        profile_of(
            rules,
            Guard {
                level: GuardLevel::Baseline,
                allow,
                ..Guard::default()
            },
        )
    }
}

/// Makes a profile that rules and a guard describe in full.
pub(super) fn profile_of(rules: Vec<Rule>, guard: Guard) -> Profile {
    Profile {
        name: String::new(),
        rules: RuleSet::new(rules).with_exact_methods(),
        limits: ClientLimits::default(),
        guard: Arc::new(guard),
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    }
}

/// Returns whether one of the rules matches a call, even if a wildcard cannot open the endpoint.
pub(super) fn is_matched(profile: &Profile, method: Method, path: &str) -> bool {
    let Ok(call) = Call::from_path(method, path) else {
        return false;
    };
    match decide(call, profile) {
        Verdict::Allow(_) => true,
        Verdict::Deny(denial) => denial.reason.kind() != DenialKind::NoRule,
    }
}

impl SampleCall {
    fn call(&self) -> Option<Call> {
        Call::from_path(self.method, &self.path).ok()
    }

    fn judge(&self, profile: &Profile) -> Option<JudgedSample> {
        // Docker has no such call, or another endpoint takes it.
        let call = self.call().filter(|call| {
            call.endpoint()
                .is_some_and(|found| found.id == self.endpoint.id)
        })?;
        Some(match decide(call, profile) {
            Verdict::Allow(permit) => {
                let Ground::Rule(rule) = permit.ground() else {
                    return None;
                };
                JudgedSample::Allowed {
                    rule: rule.text().to_owned(),
                    is_judged: permit.is_judged(),
                }
            }
            Verdict::Deny(denial) => JudgedSample::Refused {
                kind: denial.reason.kind(),
                rule_to_add: denial.rule_to_add(),
            },
        })
    }

    /// Returns whether the peer refuses the same endpoint for another object or with another
    /// version: a rule for it would allow these too.
    fn is_refused_by_some_twin(&self, peer: &PeerDecisions) -> bool {
        let twins = SAMPLES
            .iter()
            .filter(|twin| twin.endpoint.id == self.endpoint.id && twin.method == self.method);
        twins
            .into_iter()
            .any(|twin| !peer.allows(twin.method, &twin.path))
    }
}

/// Endpoints with the same answer.
#[derive(Default)]
struct EndpointGroup {
    endpoints: BTreeSet<EndpointId>,
    rules: BTreeSet<String>,
    is_of_older: bool,
}

impl EndpointGroup {
    fn note(&self, what: String) -> Note {
        Note {
            kind: NoteKind::Stricter,
            what,
            endpoints: self.endpoints.iter().copied().collect(),
        }
    }
}

fn refusal_note(kind: DenialKind, power: Power, is_of_older: bool) -> String {
    let says = power.says();
    let there = if is_of_older {
        "in versions without a switch for it"
    } else {
        "there"
    };
    match kind {
        DenialKind::ClosedEndpoint | DenialKind::BeyondView => {
            format!("clients could {says} {there}; the guard refuses that, whatever the rules say")
        }
        DenialKind::NoRule => format!(
            "clients could {says} {there}; if they need it, uncomment its rules in cetusguard.yaml"
        ),
        DenialKind::DenyRule
        | DenialKind::Wildcard
        | DenialKind::UnknownEndpoint
        | DenialKind::UninspectedBody => format!(
            "clients could {says} {there}, which no wildcard opens here; if they need it, \
            uncomment its rules in cetusguard.yaml"
        ),
    }
}
