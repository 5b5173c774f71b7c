//! Rules to add for a refused call. Each is tried against the call before it is shown: a rule that
//! would not help sends its reader in a circle.

use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use crate::decide::{ToName, opens, reveals, shortened, to_name};
use crate::endpoint::Endpoint;
use crate::request::call::{Call, literal};
use crate::rule::{Expressions, Rule, parse, parse_sharing};

/// The origin of suggested rules.
const ORIGIN: &str = "suggestion";

/// The rule for all objects of each endpoint, by the number of the endpoint.
static OF_ENDPOINTS: LazyLock<Vec<OnceLock<Option<Rule>>>> =
    LazyLock::new(|| Endpoint::all().map(|_| OnceLock::new()).collect());

/// The expressions that these rules have in common: they stay for good, and with expressions of
/// their own the rules would take three megabytes.
static IN_COMMON: LazyLock<Mutex<Expressions>> = LazyLock::new(Mutex::default);

/// The longest pattern that a message shows, in bytes.
const LENGTH: usize = 256;

impl Call {
    /// Returns the narrowest rule that would allow the call on any object of its kind, or else on
    /// this one. `None` if each would count as a wildcard.
    #[must_use]
    pub fn rule_to_add(&self) -> Option<String> {
        if matches!(to_name(self), ToName::Unnameable) {
            return None;
        }
        let endpoint = self
            .endpoint()
            .filter(|endpoint| !endpoint.is_catch_all() && !reveals(self, endpoint));
        let general = endpoint.and_then(|endpoint| {
            let rule = format!("{} {}", self.method(), endpoint.pattern());
            // Nearly every suggestion is one of these, and clients cause any number of refusals.
            let helps = match endpoint.method == self.method() {
                true => OF_ENDPOINTS[endpoint.id as usize]
                    .get_or_init(|| {
                        let mut in_common =
                            IN_COMMON.lock().unwrap_or_else(PoisonError::into_inner);
                        parse_sharing(&mut in_common, ORIGIN, 1, &rule).ok()?.pop()
                    })
                    .as_ref()
                    .is_some_and(|own| own.helps(self)),
                false => self.is_helped_by(&rule),
            };
            helps.then_some(rule)
        });
        general.or_else(|| self.rule_for_itself()).or_else(|| {
            // Names that no variable covers, and too long to be written down.
            let rule = format!("{} {}", self.method(), endpoint?.loose_pattern());
            self.is_helped_by(&rule).then_some(rule)
        })
    }

    /// Returns the rule for this very path.
    fn rule_for_itself(&self) -> Option<String> {
        let path = self.unversioned_path();
        let rule = format!("{} %API_PREFIX%{}", self.method(), literal(shortened(path)));
        (path.len() <= LENGTH && self.is_helped_by(&rule)).then_some(rule)
    }

    /// Returns the rule of [`Call::rule_to_add`] by the name of the endpoint; `None` if a name
    /// would not help.
    #[must_use]
    pub fn name_to_add(&self) -> Option<String> {
        let rule = format!("ALLOW {}", self.endpoint()?.id.name());
        self.is_helped_by(&rule).then_some(rule)
    }

    fn is_helped_by(&self, rule: &str) -> bool {
        read(rule).is_some_and(|rule| rule.helps(self))
    }
}

impl Rule {
    /// Returns whether a profile with this rule allows a call, as far as its rules are asked.
    fn helps(&self, call: &Call) -> bool {
        self.matches(call) && opens(self, call, &to_name(call))
    }
}

fn read(rule: &str) -> Option<Rule> {
    parse(ORIGIN, rule).ok()?.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_helps() {
        let long = format!("/containers/{}/json", "x_".repeat(200));
        let odd = format!("/containers/_{}/json", "%20".repeat(300));
        for (method, target, want) in [
            (
                "GET",
                "/containers/json",
                Some("GET %API_PREFIX_CONTAINERS%/json"),
            ),
            (
                "POST",
                "/containers/web/restart",
                Some("POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/restart"),
            ),
            // The variable wants two characters, or no slash.
            (
                "POST",
                "/containers/x/restart",
                Some("POST %API_PREFIX%/containers/x/restart"),
            ),
            (
                "POST",
                "/v1.43/containers/web/db/restart",
                Some("POST %API_PREFIX%/containers/web/db/restart"),
            ),
            (
                "GET",
                "/v1.43/containers/ghcr.io/a/b:tag/json",
                Some("GET %API_PREFIX%/containers/ghcr\\.io/a/b:tag/json"),
            ),
            (
                "GET",
                &long,
                Some("GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json"),
            ),
            ("GET", &odd, Some("GET %API_PREFIX%/containers/.+/json")),
            (
                "GET",
                "/libpod/containers/json",
                Some("GET %API_PREFIX%/libpod/containers/json"),
            ),
            (
                "HEAD",
                "/containers/json",
                Some("HEAD %API_PREFIX_CONTAINERS%/json"),
            ),
            ("GET", "/containers/web/_", None),
        ] {
            let call = Call::read(method, target).expect(target);
            assert_eq!(call.rule_to_add().as_deref(), want, "{method} {target}");
        }
    }

    #[test]
    fn names_are_suggested_where_they_help() {
        for (method, target, want) in [
            (
                "GET",
                "/v1.43/containers/x/logs",
                Some("ALLOW container.logs"),
            ),
            (
                "GET",
                "/containers/web/archive",
                Some("ALLOW container.archive_get"),
            ),
            (
                "POST",
                "/v5.0.0/libpod/kube/play",
                Some("ALLOW libpod.kube.play"),
            ),
            ("GET", "/secrets/db?showsecret=1", None),
            ("GET", "/future", None),
        ] {
            assert_eq!(
                Call::read(method, target)
                    .expect(target)
                    .name_to_add()
                    .as_deref(),
                want,
                "{method} {target}"
            );
        }
    }
}
