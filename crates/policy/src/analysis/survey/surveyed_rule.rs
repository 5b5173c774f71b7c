//! The survey of one rule: the endpoints that it matches, and its relation to other rules.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{CATCH_ALL_THRESHOLD, CallResult, EXAMPLE_OBJECTS, Shapes, call_of_endpoint, try_call};
use crate::endpoint::Endpoint;
use crate::guard::{Duty, duty};
use crate::identity::limit::ClientLimits;
use crate::identity::profile::{Mode, Profile};
use crate::request::call::Call;
use crate::request::method::Method;
use crate::rule::{BUILT_IN_ORIGIN, Language, PRESET_ORIGIN, Rule, RuleSet, WalkTooLong};

/// Returns a profile with only this rule, and with the guard of another profile.
fn profile_with_rule(rule: &Rule, profile: &Profile) -> Profile {
    let (rules, guard) = (RuleSet::new(vec![rule.clone()]), Arc::clone(&profile.guard));
    let rules = if profile.rules.head_follows_get() {
        rules
    } else {
        rules.with_exact_methods()
    };
    Profile {
        name: profile.name.clone(),
        rules,
        limits: ClientLimits::default(),
        guard,
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    }
}

/// A rule, with its effect without the others.
pub(super) struct SurveyedRule<'r> {
    pub(super) rule: &'r Arc<Rule>,
    /// The profile with only this rule.
    alone: Profile,
    /// The endpoints that it matches.
    reach: Arc<Reach>,
}

/// The endpoints that a rule matches, which depend on its text alone.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The endpoints, each with a path.
    endpoints: Vec<(&'static Endpoint, String)>,
    /// The paths that its pattern matches, which take long to compile; `None` for a rule by name.
    language: Option<Language>,
    /// `true` if it may match further endpoints.
    is_unsure: bool,
}

/// The rules that were surveyed, by their text and by whether `GET` covers `HEAD`. Hundreds of
/// profiles may have the same rules, and finding the endpoints of one takes milliseconds.
#[derive(Debug, Default)]
pub(super) struct KnownRules(Mutex<HashMap<(String, bool), Arc<Reach>>>);

/// The most rules that are kept. The automaton of each may take a megabyte.
const KEPT_RULES: usize = 128;

impl KnownRules {
    /// Returns the endpoints that a rule matches. With `follows`, `GET` covers `HEAD`.
    fn reach(&self, rule: &Rule, follows: bool, shapes: &Shapes) -> Arc<Reach> {
        let key = (rule.text().to_owned(), follows);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reach) = known().get(&key) {
            return Arc::clone(reach);
        }
        let reach = Arc::new(Reach::find(rule, follows, shapes));
        let mut known = known();
        if known.len() < KEPT_RULES {
            known.insert(key, Arc::clone(&reach));
        }
        reach
    }
}

impl Reach {
    /// Finds the endpoints that a rule matches. With `follows`, `GET` covers `HEAD`.
    fn find(rule: &Rule, follows: bool, shapes: &Shapes) -> Self {
        let mut reach = Self::default();
        if let Some(endpoints) = rule.endpoints() {
            for (endpoint, path) in endpoints {
                let by_head = Endpoint::find(Method::Head, endpoint.shape)
                    .filter(|other| other.method == Method::Head);
                reach.endpoints.push((endpoint, path.clone()));
                reach.endpoints.extend(
                    by_head
                        .filter(|_| follows && endpoint.method == Method::Get)
                        .map(|by_head| (by_head, path)),
                );
            }
            return reach;
        }
        let Some(language) = rule.language(Method::Get) else {
            return Self {
                is_unsure: true,
                ..reach
            };
        };
        for (endpoint, shape) in shapes {
            // A call with HEAD belongs to the endpoint of GET, or to an endpoint of its own.
            let is_by_head =
                |method| follows && method == Method::Get && endpoint.method == Method::Head;
            let is_about =
                |method| rule.has_method(method) && (endpoint.serves(method) || is_by_head(method));
            if !Method::ALL.into_iter().any(is_about) {
                continue;
            }
            match shape
                .as_ref()
                .map(|shape| language.shortest_common_text(shape))
            {
                Some(Ok(Some(path))) => reach.endpoints.push((endpoint, path)),
                Some(Ok(None)) => {}
                Some(Err(_)) | None => reach.is_unsure = true,
            }
        }
        reach.language = Some(language);
        reach
    }
}

impl<'r> SurveyedRule<'r> {
    /// Finds the endpoints that a rule matches.
    pub(super) fn new(
        rule: &'r Arc<Rule>,
        profile: &Profile,
        known: &KnownRules,
        shapes: &Shapes,
    ) -> Self {
        let follows = rule.denies() || profile.rules.head_follows_get();
        Self {
            rule,
            alone: profile_with_rule(rule, profile),
            reach: known.reach(rule, follows, shapes),
        }
    }

    /// Returns whether the rule matches an endpoint.
    pub(super) fn reaches_any(&self) -> bool {
        !self.reach.endpoints.is_empty()
    }

    /// Returns the profile with only this rule.
    pub(super) fn alone(&self) -> &Profile {
        &self.alone
    }

    /// Returns whether the rule may match further endpoints.
    pub(super) fn is_unsure(&self) -> bool {
        self.reach.is_unsure
    }

    /// Returns the paths that the rule matches with a method.
    fn language_with(&self, method: Method) -> Option<Cow<'_, Language>> {
        match &self.reach.language {
            Some(language) => Some(Cow::Borrowed(language)),
            None => self.rule.language(method).map(Cow::Owned),
        }
    }

    /// Returns the path of an endpoint that the rule matches.
    pub(super) fn path_of(&self, endpoint: &Endpoint) -> Option<&str> {
        self.reach
            .endpoints
            .iter()
            .find(|(own, _)| std::ptr::eq(*own, endpoint))
            .map(|(_, path)| path.as_str())
    }

    /// Returns the paths that the rule matches with the method of an endpoint. `HEAD` follows
    /// `GET`.
    fn language(&self, endpoint: &Endpoint) -> Option<Cow<'_, Language>> {
        let method = match endpoint.method {
            Method::Head if !self.rule.has_method(Method::Head) => Method::Get,
            method => method,
        };
        self.rule
            .has_method(method)
            .then(|| self.language_with(method))
            .flatten()
    }

    /// Returns a path of an endpoint that the rule matches and that no deny rule matches; `None` if
    /// there is none. The shape holds all paths of the endpoint.
    ///
    /// # Errors
    /// Fails if the walk reaches its limit, or if a pattern is too large or has assertions.
    pub(super) fn undenied_path(
        &self,
        endpoint: &'static Endpoint,
        shape: Option<&Language>,
        denials: &[&SurveyedRule<'_>],
    ) -> Result<Option<String>, WalkTooLong> {
        if self.path_of(endpoint).is_none() {
            return Ok(None);
        }
        let denied: Vec<String> = denials
            .iter()
            .filter_map(|denial| denial.rule.path_expression(endpoint))
            .collect();
        // The automaton for all names of a rule is large, so that only this endpoint is compiled.
        let own = match self.rule.path_expression(endpoint) {
            Some(own) => Language::new(&own).map(Cow::Owned),
            None => self.language(endpoint),
        };
        match (own, shape, Language::new(&denied.join("|"))) {
            (Some(own), Some(shape), Some(denied)) => {
                own.shortest_common_text_outside(shape, &denied)
            }
            _ => Err(WalkTooLong),
        }
    }

    /// Returns the rule with a rule that denies a part of it, if all of its calls are denied.
    /// Operators cannot change built-in rules and presets, which are never returned.
    pub(super) fn is_useless(
        &self,
        denials: &[&SurveyedRule<'_>],
        shapes: &Shapes,
    ) -> Option<(Arc<Rule>, Arc<Rule>)> {
        let is_ours = self.comes_from(BUILT_IN_ORIGIN) || self.comes_from(PRESET_ORIGIN);
        if denials.is_empty() || self.reach.endpoints.is_empty() || self.reach.is_unsure || is_ours
        {
            return None;
        }
        let mut by = None;
        for (endpoint, path) in &self.reach.endpoints {
            let call = call_of_endpoint(endpoint, path)?;
            by = Some(
                denials
                    .iter()
                    .find(|denial| denial.alone.rules.denial(&call).is_some())?,
            );
            let shape = shapes
                .iter()
                .find(|(own, _)| std::ptr::eq(*own, *endpoint))
                .and_then(|(_, shape)| shape.as_ref());
            if self.undenied_path(endpoint, shape, denials) != Ok(None) {
                return None;
            }
        }
        Some((Arc::clone(self.rule), Arc::clone(by?.rule)))
    }

    /// Returns the rule with one of its endpoints and the reason why the view closes it, if the view
    /// closes all of them. Operators cannot change built-in rules and presets, which are never
    /// returned.
    pub(super) fn is_beyond_view(
        &self,
        profile: &Profile,
    ) -> Option<(Arc<Rule>, &'static Endpoint, &'static str)> {
        let is_ours = self.comes_from(BUILT_IN_ORIGIN) || self.comes_from(PRESET_ORIGIN);
        if self.reach.is_unsure || is_ours {
            return None;
        }
        let mut first = None;
        for (endpoint, path) in &self.reach.endpoints {
            let call = call_of_endpoint(endpoint, path)?;
            let why = profile.view.closes(&call, &profile.guard)?;
            first.get_or_insert((Arc::clone(self.rule), *endpoint, why));
        }
        first
    }

    /// Returns true for a pattern that matches more endpoints than any section of the API has.
    pub(super) fn is_catch_all(&self) -> bool {
        self.reach.endpoints.len() > CATCH_ALL_THRESHOLD && !self.rule.is_by_name()
    }

    /// Returns true if the rule certainly matches no endpoint.
    pub(super) fn is_idle(&self) -> bool {
        self.reach.endpoints.is_empty() && !self.reach.is_unsure
    }

    /// Returns true if the rule matches none of its paths behind a version prefix. Podman's own
    /// paths always have one.
    pub(super) fn is_bare(&self) -> bool {
        let is_versioned = |(endpoint, path): &(&Endpoint, String)| {
            let (prefix, call) = ("/v1.43", Call::from_path(endpoint.method, path));
            call.map_or(true, |call| {
                call.version().is_some()
                    || self
                        .rule
                        .matches_path(&format!("{prefix}{path}"), prefix.len())
            })
        };
        !self.rule.is_by_name()
            && !self.reach.endpoints.is_empty()
            && !self.reach.endpoints.iter().any(is_versioned)
    }

    /// Returns true if a match is enough for every call that the rule allows, so that a wildcard
    /// could replace it. A rule whose last word is unknown may name an endpoint of a future engine.
    fn names_nothing(&self) -> bool {
        let needs_a_name = |endpoint: &Endpoint| {
            let call = Call::from_path(endpoint.method, &endpoint.path_with(EXAMPLE_OBJECTS[0]));
            endpoint.is_named_only()
                || endpoint.reveals().is_some()
                || call.is_ok_and(|call| matches!(duty(&call, &self.alone.guard), Duty::Unread))
        };
        let grants = |(endpoint, path): &(&'static Endpoint, String)| {
            try_call(endpoint, path.clone(), false, &self.alone)
        };
        let named = self
            .reach
            .endpoints
            .iter()
            .filter(|(endpoint, _)| needs_a_name(endpoint));
        let ends = ["(/.*)?", "/.*", "/.+"]
            .iter()
            .find_map(|end| self.rule.pattern().strip_suffix(end));
        // The text before a wildcard at the end may contain an unknown word, but that is never the
        // last word of a path, which a rule must name.
        let is_plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "%_/-.".contains(c))
        };
        let is_known =
            self.rule.is_by_name() || ends.is_some_and(is_plain) || is_plain(self.rule.pattern());
        let is_open = |try_call: CallResult| matches!(try_call, CallResult::Open(_));
        !self.reach.endpoints.is_empty() && is_known && !named.filter_map(grants).any(is_open)
    }

    /// Returns true if the origin of the rule begins with a text.
    fn comes_from(&self, origin: &str) -> bool {
        self.rule.position.origin.starts_with(origin)
    }

    /// Returns true if another rule allows every call that this one allows. Operators cannot change
    /// built-in rules and presets, which are never covered, and need not omit a rule because of a
    /// built-in one.
    pub(super) fn is_covered_by(&self, rival: &Self, budget: &mut usize) -> bool {
        if self.comes_from(BUILT_IN_ORIGIN)
            || self.comes_from(PRESET_ORIGIN)
            || rival.comes_from(BUILT_IN_ORIGIN)
        {
            return false;
        }
        let opens = |profile: &Profile, endpoint: &'static Endpoint, path: &str| {
            matches!(
                try_call(endpoint, path.to_owned(), false, profile),
                Some(CallResult::Open(_))
            )
        };
        let as_open = self.reach.endpoints.iter().all(|(endpoint, path)| {
            !opens(&self.alone, endpoint, path) || opens(&rival.alone, endpoint, path)
        });
        let methods: Vec<_> = Method::ALL
            .into_iter()
            .filter(|method| self.rule.has_method(*method))
            .collect();
        if !as_open
            || !self.names_nothing()
            || !methods.iter().all(|method| rival.rule.has_method(*method))
        {
            return false;
        }
        // The language of a pattern does not depend on the method, so that one method is enough.
        let are_patterns = !self.rule.is_by_name() && !rival.rule.is_by_name();
        let asked = if are_patterns {
            &methods[..1.min(methods.len())]
        } else {
            &methods[..]
        };
        asked.iter().all(|method| {
            let (Some(own), Some(other)) =
                (self.language_with(*method), rival.language_with(*method))
            else {
                return false;
            };
            own.is_within(&other, budget) == Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::survey::Surveyor;
    use crate::rule::parse;

    #[test]
    fn equal_rules_are_surveyed_once() {
        let surveyor = Surveyor::default();
        let profile = Profile::default();
        let reach = |text: &str| {
            let rules = parse("t", text).expect(text);
            let rule = Arc::new(rules.into_iter().next().expect("a rule"));
            SurveyedRule::new(&rule, &profile, &surveyor.known, &surveyor.shapes).reach
        };
        let [one, same, other] = ["GET /info", "GET /info  # why", "GET /version"].map(reach);
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_ne!(one.endpoints[0].1, other.endpoints[0].1);
    }
}
