//! Learning the needs of a client: a profile that names every endpoint replaces its own, so that
//! each call is judged as it would be if a rule were written for it, and nothing is refused.

use std::sync::{Arc, LazyLock};

use crate::analysis::survey::Care;
use crate::decide::{Ground, Permit, reveals};
use crate::denial::DenialKind;
use crate::endpoint::{Endpoint, Power};
use crate::guard::{Guard, GuardLevel};
use crate::identity::limit::ClientLimits;
use crate::identity::profile::{Mode, Profile};
use crate::request::method::Method;
use crate::rule::{BUILT_IN, BUILT_IN_ORIGIN, RuleSet, parse};

/// The notes about one call, from which rules are written.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// The method.
    pub method: Method,
    /// The pattern that covers the call and similar ones.
    pub pattern: String,
    /// The endpoint, if it is a known one.
    pub endpoint: Option<&'static Endpoint>,
    /// The reason why no rule opens it, if none does.
    pub closed: Option<String>,
    /// The power that it gives a client.
    pub power: Option<Power>,
    /// The guard's part in such calls.
    pub care: Care,
    /// `true` if the built-in rules allow it already.
    pub is_built_in: bool,
}

/// A rule for each endpoint, and one for all other paths.
static ALL: LazyLock<RuleSet> = LazyLock::new(|| {
    let rule = |endpoint: &Endpoint| match endpoint.method {
        Method::Get => format!("GET,HEAD {}\n", endpoint.pattern()),
        method => format!("{method} {}\n", endpoint.pattern()),
    };
    let named: String = Endpoint::all()
        .filter(|endpoint| !endpoint.is_catch_all())
        .map(rule)
        .collect();
    let all = format!(
        "{named}{} {ANYTHING}\n",
        Method::ALL.map(Method::as_str).join(",")
    );
    RuleSet::new(parse(ORIGIN, &all).unwrap_or_default())
});
const ANYTHING: &str = ".*";
const ORIGIN: &str = "learn";

static BUILT_IN_RULES: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::new(parse(BUILT_IN_ORIGIN, BUILT_IN).unwrap_or_default()));

impl Profile {
    /// Returns the profile under which this one is learned: its guard judges at `baseline` or
    /// above, with those exceptions alone that restrict it to images, and nothing is enforced.
    #[must_use]
    pub fn learner(&self) -> Self {
        let allow = self
            .guard
            .allow
            .iter()
            .filter(|exception| exception.is_bound())
            .cloned()
            .collect();
        let guard = Guard {
            level: self.guard.level.max(GuardLevel::Baseline),
            allow,
            creation: self.guard.creation.clone(),
        };
        Self {
            name: self.name.clone(),
            rules: ALL.clone(),
            limits: ClientLimits::default(),
            guard: Arc::new(guard),
            targets: Arc::default(),
            mode: Mode::Audit,
            // The client's calls are learned as they come: its re-creations are not judged.
            recreation: None,
            ..Profile::default()
        }
    }
}

impl Profile {
    /// Returns whether the profile is one under which another is learned.
    #[must_use]
    pub fn is_learner(&self) -> bool {
        self.rules
            .rules()
            .first()
            .is_some_and(|rule| &*rule.position.origin == ORIGIN)
    }
}

impl Permit {
    /// Returns the notes about a call that was decided under [`Profile::learner`].
    #[must_use]
    pub fn lesson(&self) -> Lesson {
        let call = self.call();
        let (pattern, closed) = match self.ground() {
            Ground::Rule(rule) if rule.pattern() != ANYTHING => (rule.pattern().to_owned(), None),
            Ground::Rule(_) => (call.literal_pattern(), None),
            Ground::Unenforced {
                kind: DenialKind::ClosedEndpoint | DenialKind::BeyondView,
                text,
                ..
            } => (call.literal_pattern(), Some(text.clone())),
            Ground::Unenforced { .. } => (call.literal_pattern(), None),
        };
        let is_built_in = BUILT_IN_RULES.matching(call).next().is_some();
        let care = Care::of_call(call, &Guard::default());
        let power = call
            .endpoint()
            .map(|endpoint| match reveals(call, endpoint) {
                true => Power::ReadConfigs,
                false => endpoint.power,
            });
        Lesson {
            method: call.method(),
            pattern,
            endpoint: call.endpoint(),
            power,
            closed,
            care,
            is_built_in,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Verdict, decide};
    use crate::request::call::Call;

    fn lesson(method: &str, target: &str) -> Lesson {
        static LEARNER: LazyLock<Profile> = LazyLock::new(learner);
        let call = Call::read(method, target).expect(target);
        match decide(call, &LEARNER).unless_enforced(&LEARNER) {
            Verdict::Allow(permit) => permit.lesson(),
            Verdict::Deny(denial) => panic!("{denial}"),
        }
    }

    fn learner() -> Profile {
        let (rules, limits, guard) = (RuleSet::default(), ClientLimits::default(), Arc::default());
        let (name, targets) = ("p".to_owned(), Arc::default());
        let profile = Profile {
            name,
            rules,
            limits,
            guard,
            targets,
            mode: Mode::Enforce,
            recreation: None,
            ..Profile::default()
        };
        profile.learner()
    }

    #[test]
    fn calls_are_generalised_to_their_endpoint() {
        for (method, target, want) in [
            (
                "GET",
                "/v1.43/containers/web/json?size=1",
                "%API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json",
            ),
            (
                "HEAD",
                "/containers/0123/archive",
                "%API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive",
            ),
            (
                "DELETE",
                "/images/ghcr.io/a/b:1",
                "%API_PREFIX_IMAGES%/%IMAGE_ID_OR_REFERENCE%",
            ),
            ("POST", "/exec/abc/start", "%API_PREFIX_EXEC%/[^/]+/start"),
            ("GET", "/volumes/a%20b", "%API_PREFIX%/volumes/a\\x20b"),
            (
                "GET",
                "/volumes/%25IMAGE_REFERENCE%25",
                "%API_PREFIX%/volumes/\\x25IMAGE_REFERENCE\\x25",
            ),
            ("GET", "/volumes/x%20", "%API_PREFIX%/volumes/x\\x20"),
            (
                "GET",
                "/volumes/x%EF%BB%BF%E2%80%AEé%23",
                "%API_PREFIX%/volumes/x\\x{feff}\\x{202e}é\\#",
            ),
            ("GET", "/future/thing.x", "%API_PREFIX%/future/thing\\.x"),
            ("GET", "/v5.0.0/libpod/info", "%API_PREFIX_LIBPOD_INFO%"),
        ] {
            let found = lesson(method, target);
            assert_eq!(
                (found.pattern.as_str(), found.closed),
                (want, None),
                "{method} {target}"
            );
            let rules = parse("t", &format!("{method} {}", found.pattern)).expect("a rule");
            assert_eq!(
                rules[0].miss(&Call::read(method, target).expect(target)),
                None,
                "{target}"
            );
        }
        assert_eq!(
            lesson("GET", "/secrets/db?showsecret=1").power,
            Some(Power::ReadConfigs)
        );
        assert!(lesson("POST", "/swarm/init").closed.is_some());
        assert!(
            lesson("GET", "/v1.43/version").is_built_in && !lesson("GET", "/events").is_built_in
        );
    }

    #[test]
    fn every_endpoint_has_a_rule_of_its_own() {
        for endpoint in Endpoint::all().filter(|endpoint| !endpoint.is_catch_all()) {
            let found = lesson(endpoint.method.as_str(), &endpoint.path_with("some-name"));
            assert!(
                found.closed.is_some() || found.pattern == endpoint.pattern(),
                "{} {found:?}",
                endpoint.shape
            );
        }
    }
}
