//! The comparison of the rules of two profiles: the calls that only one of them allows.
//!
//! A walk through the automata of the rules finds the paths of an endpoint that one set of rules
//! matches and the other does not, for all paths at once. Two spellings of one rule make no
//! difference. Each difference comes with a call, about
//! which both profiles are asked as `serve` asks them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Surveyor;
use super::surveyed_rule::SurveyedRule;
use crate::decide::{Verdict, altered_words, decide};
use crate::endpoint::Endpoint;
use crate::guard::{Duty, duty};
use crate::identity::profile::Profile;
use crate::request::call::Call;
use crate::request::method::Method;
use crate::rule::{Language, Rule, WalkTooLong};

/// An endpoint whose calls two profiles allow differently.
#[derive(Debug)]
pub struct CallChange {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// The method: `HEAD` also reaches endpoints of `GET`.
    pub method: Method,
    /// The difference.
    pub difference: Difference,
}

/// The difference between two profiles in the calls of an endpoint.
#[derive(Debug)]
pub enum Difference {
    /// The second profile allows calls that the first does not.
    Wider(Witness),
    /// The first profile allows calls that the second does not.
    Narrower(Witness),
    /// The rules differ, and which calls that concerns is not known.
    Unknown,
}

/// A call that one of two profiles allows.
#[derive(Debug)]
pub struct Witness {
    /// Its path.
    pub path: String,
    /// A rule that allows it.
    pub rule: Arc<Rule>,
    /// The other profile allows some calls of the endpoint, too.
    pub is_part: bool,
}

impl Surveyor {
    /// Compares the rules of two profiles, as if both were enforced. The result is in the order of
    /// the endpoint table.
    #[must_use]
    pub fn compare_rules(&self, old: &Profile, new: &Profile) -> Vec<CallChange> {
        let [old, new] = [old, new].map(|profile| ComparedRules {
            profile,
            rules: self.survey_rules(profile),
        });
        let mut changes = Vec::new();
        for (endpoint, shape) in &self.shapes {
            let by_head = Endpoint::find(Method::Head, &endpoint.path_with("x"))
                .is_some_and(|other| std::ptr::eq(other, *endpoint));
            let also = (endpoint.method == Method::Get && by_head).then_some(Method::Head);
            let before = changes.len();
            for method in std::iter::once(endpoint.method).chain(also) {
                // The same difference by `HEAD` goes without saying.
                if changes.len() == before {
                    let found = compare_endpoint(endpoint, method, shape.as_ref(), &old, &new);
                    changes.extend(found.into_iter().map(|difference| CallChange {
                        endpoint,
                        method,
                        difference,
                    }));
                }
            }
            if changes.len() == before && reveals_differently(endpoint, &old, &new) {
                changes.push(CallChange {
                    endpoint,
                    method: endpoint.method,
                    difference: Difference::Unknown,
                });
            }
        }
        changes
    }
}

/// The rules of one of the two profiles.
struct ComparedRules<'p> {
    profile: &'p Profile,
    rules: Vec<SurveyedRule<'p>>,
}

/// The paths of one endpoint that a profile allows.
#[derive(Default)]
struct PathSet<'s> {
    /// The rules that open the endpoint, with expressions for their paths.
    allowing: Vec<(&'s Arc<Rule>, String)>,
    /// An expression for the denied paths.
    denied: String,
    /// The rules that can matter, as they are written.
    texts: BTreeSet<&'s str>,
    /// The guard or the view closes the endpoint.
    is_closed: bool,
}

impl ComparedRules<'_> {
    /// Returns the paths of an endpoint that the profile allows with a method.
    fn paths(&self, endpoint: &'static Endpoint, method: Method) -> PathSet<'_> {
        let mut set = PathSet {
            allowing: Vec::new(),
            denied: String::new(),
            texts: BTreeSet::new(),
            is_closed: self.closes(endpoint),
        };
        let mut denied = Vec::new();
        for known in &self.rules {
            let follows = known.rule.denies() || self.profile.rules.head_follows_get();
            let is_conditional = known.rule.denies_in_part(endpoint);
            let expression = known.rule.expression_for(endpoint, method, follows);
            if expression.is_none() && !is_conditional {
                continue;
            }
            let Some(expression) = expression else {
                set.texts.insert(known.rule.text());
                continue;
            };
            if known.path_of(endpoint).is_none() && !known.is_unsure() {
                continue;
            }
            set.texts.insert(known.rule.text());
            if known.rule.denies() {
                denied.push(expression);
            } else if !set.is_closed && opens(known, endpoint, method) {
                set.allowing.push((known.rule, expression));
            }
        }
        set.denied = denied.join("|");
        set
    }

    /// Returns whether no rule can open the endpoint.
    fn closes(&self, endpoint: &Endpoint) -> bool {
        let call = Call::from_path(endpoint.method, &endpoint.path_with("x"));
        let is_closed = |call: &Call| {
            let guard = &self.profile.guard;
            let by_guard = matches!(duty(call, guard), Duty::Closed(_));
            by_guard || self.profile.view.closes(call, guard).is_some()
        };
        call.is_ok_and(|call| is_closed(&call))
    }

    /// Returns whether a match is not enough to open an endpoint: a rule has to name it.
    fn wants_name(&self, endpoint: &Endpoint) -> bool {
        let call = Call::from_path(endpoint.method, &endpoint.path_with("x"));
        endpoint.is_named_only()
            || call.is_ok_and(|call| matches!(duty(&call, &self.profile.guard), Duty::Unread))
    }

    fn allows(&self, endpoint: &Endpoint, method: Method, path: &str) -> Option<bool> {
        let call = Call::from_path(method, path).ok()?;
        let is_own = call
            .endpoint()
            .is_some_and(|found| std::ptr::eq(found, endpoint));
        is_own.then(|| matches!(decide(call, self.profile), Verdict::Allow(_)))
    }

    /// Returns whether a pattern may name the endpoint for some objects, and match it by a wildcard
    /// for others.
    fn names_in_part(&self, endpoint: &'static Endpoint, texts: &BTreeSet<&str>) -> bool {
        if !self.wants_name(endpoint) {
            return false;
        }
        let word = endpoint.word();
        let altered: Vec<_> = altered_words(word)
            .map(|word| regex_syntax::escape(&word))
            .collect();
        let own = format!("/{}", regex_syntax::escape(word));
        let others = endpoint
            .expression()
            .replace(&own, &format!("/(?:{})", altered.join("|")));
        let Some(others) = Language::new(&others) else {
            return true;
        };
        self.rules.iter().any(|known| {
            let is_mixed = known.rule.pattern().contains('|') && texts.contains(known.rule.text());
            is_mixed
                && known.path_of(endpoint).is_some()
                && known
                    .rule
                    .expression_for(endpoint, endpoint.method, true)
                    .and_then(|expression| Language::new(&expression))
                    .is_none_or(|language| language.shortest_common_text(&others) != Ok(None))
        })
    }

    /// Returns the rules that decide whether a client may set the parameter that reveals contents.
    /// Without a rule that allows it, no denial matters.
    fn revealing_rules(&self, endpoint: &'static Endpoint) -> BTreeSet<&str> {
        let Some(parameter) = endpoint.reveals() else {
            return BTreeSet::new();
        };
        let (mut found, mut is_open) = (BTreeSet::new(), false);
        for known in &self.rules {
            let Some(path) = known.path_of(endpoint) else {
                continue;
            };
            let target = |call: Call| format!("{}?{parameter}=1", call.target());
            let call = Call::from_path(endpoint.method, path)
                .and_then(|call| Call::read(endpoint.method.as_str(), &target(call)));
            let allows =
                call.is_ok_and(|call| matches!(decide(call, known.alone()), Verdict::Allow(_)));
            is_open |= allows;
            if allows || known.rule.denies() {
                found.insert(known.rule.text());
            }
        }
        if is_open { found } else { BTreeSet::new() }
    }
}

/// Returns whether a rule alone opens an endpoint for a method.
fn opens(known: &SurveyedRule<'_>, endpoint: &Endpoint, method: Method) -> bool {
    let Some(path) = known.path_of(endpoint) else {
        return known.is_unsure();
    };
    Call::from_path(method, path)
        .is_ok_and(|call| matches!(decide(call, known.alone()), Verdict::Allow(_)))
}

fn reveals_differently(
    endpoint: &'static Endpoint,
    old: &ComparedRules<'_>,
    new: &ComparedRules<'_>,
) -> bool {
    endpoint.reveals().is_some() && old.revealing_rules(endpoint) != new.revealing_rules(endpoint)
}

fn compare_endpoint(
    endpoint: &'static Endpoint,
    method: Method,
    shape: Option<&Language>,
    old: &ComparedRules<'_>,
    new: &ComparedRules<'_>,
) -> Vec<Difference> {
    let (before, after) = (old.paths(endpoint, method), new.paths(endpoint, method));
    let wants_name = [old, new].map(|side| side.wants_name(endpoint));
    let is_same = before.texts == after.texts
        && before.is_closed == after.is_closed
        && wants_name[0] == wants_name[1]
        && old.profile.rules.head_follows_get() == new.profile.rules.head_follows_get();
    if is_same {
        return Vec::new();
    }
    let Some(shape) = shape else {
        return vec![Difference::Unknown];
    };
    let nothing = PathSet::default();
    let (mut found, mut is_unknown) = (Vec::new(), false);
    for is_wider in [true, false] {
        let (more, less, sides) = match is_wider {
            true => (&after, &before, (new, old)),
            false => (&before, &after, (old, new)),
        };
        match find_path(more, less, shape) {
            Ok(None) => {}
            Err(WalkTooLong) => is_unknown = true,
            Ok(Some((path, rule))) => {
                let (allows, denies) = (
                    sides.0.allows(endpoint, method, &path),
                    sides.1.allows(endpoint, method, &path),
                );
                if (allows, denies) != (Some(true), Some(false)) {
                    is_unknown = true;
                    continue;
                }
                let witness = Witness {
                    path,
                    rule,
                    is_part: !matches!(find_path(less, &nothing, shape), Ok(None)),
                };
                found.push(match is_wider {
                    true => Difference::Wider(witness),
                    false => Difference::Narrower(witness),
                });
            }
        }
    }
    let changed: BTreeSet<&str> = before
        .texts
        .symmetric_difference(&after.texts)
        .copied()
        .collect();
    let is_conditional = |side: &ComparedRules<'_>| {
        let mut rules = side.rules.iter();
        rules
            .any(|known| changed.contains(known.rule.text()) && known.rule.denies_in_part(endpoint))
    };
    let is_open = !before.allowing.is_empty() && !after.allowing.is_empty();
    is_unknown |= is_open && (is_conditional(old) || is_conditional(new));
    is_unknown |= old.names_in_part(endpoint, &changed) || new.names_in_part(endpoint, &changed);
    if is_unknown && !found.iter().any(|one| matches!(one, Difference::Wider(_))) {
        found.push(Difference::Unknown);
    }
    found
}

/// Finds a path that one set has and the other has not, with the rule that allows it.
fn find_path(
    more: &PathSet<'_>,
    less: &PathSet<'_>,
    shape: &Language,
) -> Result<Option<(String, Arc<Rule>)>, WalkTooLong> {
    let language = |expressions: &[&str]| {
        let given = expressions.iter().filter(|one| !one.is_empty());
        let given: Vec<_> = given.map(|one| format!("(?:{one})")).collect();
        Language::new(&given.join("|")).ok_or(WalkTooLong)
    };
    let allowed: Vec<_> = less.allowing.iter().map(|(_, one)| one.as_str()).collect();
    let without: Vec<_> = allowed
        .iter()
        .copied()
        .chain([more.denied.as_str()])
        .collect();
    for (rule, own) in &more.allowing {
        let own = language(&[own])?;
        // Paths that no rule of the other set allows.
        if let Some(path) = Language::shortest_text_of_all(&[&own, shape], &language(&without)?)? {
            return Ok(Some((path, Arc::clone(rule))));
        }
        // Paths that the other set denies.
        if !less.denied.is_empty() {
            let denied = language(&[&less.denied])?;
            let without = language(&[&more.denied])?;
            let found = Language::shortest_text_of_all(&[&own, shape, &denied], &without)?;
            if let Some(path) = found {
                return Ok(Some((path, Arc::clone(rule))));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{RuleSet, parse};

    fn profile(rules: &str) -> Profile {
        Profile {
            name: "p".to_owned(),
            rules: RuleSet::new(parse("t", rules).expect(rules)),
            ..Profile::default()
        }
    }

    /// Shows each difference by a sign, the method and the endpoint's shape.
    fn differences(old: &str, new: &str) -> Vec<String> {
        let changes = Surveyor::default().compare_rules(&profile(old), &profile(new));
        let shown = changes.iter().map(|change| {
            let sign = match &change.difference {
                Difference::Wider(_) => "+",
                Difference::Narrower(_) => "-",
                Difference::Unknown => "?",
            };
            format!("{sign} {} {}", change.method, change.endpoint.shape)
        });
        shown.collect()
    }

    #[test]
    fn rules_that_mean_the_same_show_nothing() {
        for (old, new) in [
            (
                "GET %API_PREFIX_CONTAINERS%/json",
                "GET %API_PREFIX%/containers/(json)",
            ),
            ("GET,HEAD %API_PREFIX%/info", "GET %API_PREFIX%/info"),
            (
                "GET %API_PREFIX%/info\nGET %API_PREFIX%/version",
                "GET %API_PREFIX%/(version|info)",
            ),
            (
                "GET %API_PREFIX%/info\nDENY GET %API_PREFIX%/info",
                "DENY system.info",
            ),
            ("GET .*", "GET /.*"),
            // No rule names a secret, so that a denial takes nothing away.
            (
                "GET %API_PREFIX%/info",
                "GET %API_PREFIX%/info\nDENY GET .*json\nDENY secret.inspect",
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/.*",
                "GET %API_PREFIX_CONTAINERS%/.*\nDENY GET %API_PREFIX_SECRETS%/.+",
            ),
        ] {
            assert_eq!(differences(old, new), Vec::<String>::new(), "{old} | {new}");
        }
    }

    #[test]
    fn each_difference_is_found_in_its_direction() {
        for (old, new, want) in [
            ("", "GET %API_PREFIX%/info", &["+ GET /info"][..]),
            ("GET %API_PREFIX%/info", "", &["- GET /info"]),
            (
                "GET %API_PREFIX%/info",
                "HEAD %API_PREFIX%/info",
                &["- GET /info"],
            ),
            ("", "HEAD %API_PREFIX%/info", &["+ HEAD /info"]),
            (
                "POST %API_PREFIX_CONTAINERS%/web/stop",
                "POST %API_PREFIX_CONTAINERS%/%CONTAINER_NAME%/stop",
                &["+ POST /containers/{container*}/stop"],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/web/stop",
                "POST %API_PREFIX_CONTAINERS%/db/stop",
                &[
                    "+ POST /containers/{container*}/stop",
                    "- POST /containers/{container*}/stop",
                ],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/.*/stop\nDENY POST %API_PREFIX_CONTAINERS%/db/stop",
                "POST %API_PREFIX_CONTAINERS%/.*/stop",
                &["+ POST /containers/{container*}/stop"],
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/%CONTAINER_NAME%/(json|archive)",
                "GET %API_PREFIX_CONTAINERS%/%CONTAINER_NAME%/(json|export)",
                &[
                    "- GET /containers/{container*}/archive",
                    // `GET` in a rule allows `HEAD` as well.
                    "- HEAD /containers/{container*}/archive",
                    "+ GET /containers/{container*}/export",
                ],
            ),
        ] {
            let mut found = differences(old, new);
            let mut want: Vec<String> = want.iter().map(|one| (*one).to_owned()).collect();
            found.sort();
            want.sort();
            assert_eq!(found, want, "{old} | {new}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let found = differences("GET /in.*\\bfo", "GET %API_PREFIX%/info");
        assert!(
            found
                .iter()
                .any(|one| one == "? GET /info" || one == "+ GET /info"),
            "{found:?}"
        );
    }
}
