//! What one rule does by itself: the endpoints that it reaches, and how it stands to the other
//! rules.

use std::borrow::Cow;
use std::sync::Arc;

use super::{ANY, Look, MANY, look, read, shapes};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::guard::{Duty, duty};
use crate::limit::Limits;
use crate::method::Method;
use crate::profile::{Mode, Profile};
use crate::rule::{BUILT_IN_ORIGIN, Language, PRESET_ORIGIN, Rule, RuleSet, TooMuch};

/// A profile with this rule alone, and the same guard.
fn alone(rule: &Rule, profile: &Profile) -> Profile {
    let (rules, guard) = (RuleSet::new(vec![rule.clone()]), Arc::clone(&profile.guard));
    let rules = if profile.rules.head_follows_get() {
        rules
    } else {
        rules.with_exact_methods()
    };
    Profile {
        name: profile.name.clone(),
        rules,
        limits: Limits::default(),
        guard,
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
    }
}

/// A rule, and what it does by itself.
pub(super) struct Known<'r> {
    pub(super) rule: &'r Arc<Rule>,
    /// The profile with this rule alone.
    alone: Profile,
    /// Endpoints that it matches, each with a path.
    pub(super) reaches: Vec<(&'static Endpoint, String)>,
    /// The paths that its pattern matches, which take a while to read; `None` for a rule by name.
    language: Option<Language>,
    /// Whether there may be others.
    is_unsure: bool,
}

impl<'r> Known<'r> {
    pub(super) fn new(rule: &'r Arc<Rule>, profile: &Profile) -> Self {
        let mut known = Self {
            rule,
            is_unsure: false,
            alone: alone(rule, profile),
            reaches: Vec::new(),
            language: None,
        };
        let follows = rule.denies() || profile.rules.head_follows_get();
        if let Some(endpoints) = rule.endpoints() {
            for (endpoint, path) in endpoints {
                let by_head = Endpoint::find(Method::Head, endpoint.shape)
                    .filter(|other| other.method == Method::Head);
                known.reaches.push((endpoint, path.clone()));
                known.reaches.extend(
                    by_head
                        .filter(|_| follows && endpoint.method == Method::Get)
                        .map(|by_head| (by_head, path)),
                );
            }
            return known;
        }
        let Some(language) = rule.language(Method::Get) else {
            return Self {
                is_unsure: true,
                ..known
            };
        };
        for (endpoint, shape) in shapes().iter() {
            // What is asked with HEAD is the endpoint of GET, or one of its own.
            let is_by_head =
                |method| follows && method == Method::Get && endpoint.method == Method::Head;
            let is_about =
                |method| rule.has_method(method) && (endpoint.serves(method) || is_by_head(method));
            if !Method::ALL.into_iter().any(is_about) {
                continue;
            }
            match shape.as_ref().map(|shape| language.common(shape)) {
                Some(Ok(Some(path))) => known.reaches.push((endpoint, path)),
                Some(Ok(None)) => {}
                Some(Err(_)) | None => known.is_unsure = true,
            }
        }
        known.language = Some(language);
        known
    }

    /// The paths that it matches with a method.
    fn language_with(&self, method: Method) -> Option<Cow<'_, Language>> {
        match &self.language {
            Some(language) => Some(Cow::Borrowed(language)),
            None => self.rule.language(method).map(Cow::Owned),
        }
    }

    /// The path of an endpoint that it matches.
    pub(super) fn path_of(&self, endpoint: &Endpoint) -> Option<&str> {
        self.reaches
            .iter()
            .find(|(own, _)| std::ptr::eq(*own, endpoint))
            .map(|(_, path)| path.as_str())
    }

    /// The paths that it matches with the method of an endpoint. `HEAD` follows `GET`.
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

    /// A path of an endpoint that it matches and that none of these rules denies; `None` where
    /// there is none.
    ///
    /// # Errors
    /// It cannot be told.
    pub(super) fn path_beside(
        &self,
        endpoint: &'static Endpoint,
        denials: &[&Known<'_>],
    ) -> Result<Option<String>, TooMuch> {
        if self.path_of(endpoint).is_none() {
            return Ok(None);
        }
        let shapes = shapes();
        let shape = shapes
            .iter()
            .find(|(own, _)| std::ptr::eq(*own, endpoint))
            .and_then(|(_, shape)| shape.as_ref());
        let denied: Vec<String> = denials
            .iter()
            .filter_map(|denial| denial.rule.expression(endpoint))
            .collect();
        // Of a rule by name, the part about this endpoint alone: all of it is large.
        let own = match self.rule.expression(endpoint) {
            Some(own) => Language::new(&own).map(Cow::Owned),
            None => self.language(endpoint),
        };
        match (own, shape, Language::new(&denied.join("|"))) {
            (Some(own), Some(shape), Some(denied)) => own.common_without(shape, &denied),
            _ => Err(TooMuch),
        }
    }

    /// Whether every call that it opens is denied, and a rule that does so. Built-in rules and
    /// presets are what they are.
    pub(super) fn is_useless(&self, denials: &[&Known<'_>]) -> Option<(Arc<Rule>, Arc<Rule>)> {
        let is_ours = self.comes_from(BUILT_IN_ORIGIN) || self.comes_from(PRESET_ORIGIN);
        if denials.is_empty() || self.reaches.is_empty() || self.is_unsure || is_ours {
            return None;
        }
        let mut by = None;
        for (endpoint, path) in &self.reaches {
            let call = read(endpoint, path)?;
            by = Some(
                denials
                    .iter()
                    .find(|denial| denial.alone.rules.denial(&call).is_some())?,
            );
            if self.path_beside(endpoint, denials) != Ok(None) {
                return None;
            }
        }
        Some((Arc::clone(self.rule), Arc::clone(by?.rule)))
    }

    /// Whether it is a pattern that matches more endpoints than any section of the API has.
    pub(super) fn is_catch_all(&self) -> bool {
        self.reaches.len() > MANY && !self.rule.is_by_name()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.reaches.is_empty() && !self.is_unsure
    }

    /// Whether none of its paths is matched behind a version too. Podman's own paths always have
    /// one.
    pub(super) fn is_bare(&self) -> bool {
        let is_versioned = |(endpoint, path): &(&Endpoint, String)| {
            let (prefix, call) = ("/v1.43", Call::from_path(endpoint.method, path));
            call.map_or(true, |call| {
                call.version().is_some()
                    || self.rule.covers(&format!("{prefix}{path}"), prefix.len())
            })
        };
        !self.rule.is_by_name()
            && !self.reaches.is_empty()
            && !self.reaches.iter().any(is_versioned)
    }

    /// Whether a match is all that it takes, for whatever this rule matches: then a wildcard may be
    /// as good as the rule is. What is known of are endpoints that have to be named, and words that
    /// no engine knows, which a rule of literals could mean.
    fn names_nothing(&self) -> bool {
        let needs_a_name = |endpoint: &Endpoint| {
            let call = Call::from_path(endpoint.method, &endpoint.path_with(ANY[0]));
            endpoint.is_named_only()
                || endpoint.reveals().is_some()
                || call.is_ok_and(|call| matches!(duty(&call, &self.alone.guard), Duty::Unread))
        };
        let grants = |(endpoint, path): &(&'static Endpoint, String)| {
            look(endpoint, path.clone(), false, &self.alone)
        };
        let named = self
            .reaches
            .iter()
            .filter(|(endpoint, _)| needs_a_name(endpoint));
        let ends = ["(/.*)?", "/.*", "/.+"]
            .iter()
            .find_map(|end| self.rule.pattern().strip_suffix(end));
        // What stands before a wildcard at the end may be a word that is unknown, but not the last
        // one.
        let is_plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "%_/-.".contains(c))
        };
        let is_known =
            self.rule.is_by_name() || ends.is_some_and(is_plain) || is_plain(self.rule.pattern());
        let is_open = |look: Look| matches!(look, Look::Open(_));
        !self.reaches.is_empty() && is_known && !named.filter_map(grants).any(is_open)
    }

    fn comes_from(&self, origin: &str) -> bool {
        self.rule.position.origin.starts_with(origin)
    }

    /// Whether everything that it allows the other one allows too. Built-in rules and presets are
    /// what they are: nobody has to tidy them up, nor to leave a rule out because of a built-in
    /// one.
    pub(super) fn is_covered_by(&self, rival: &Self, budget: &mut usize) -> bool {
        if self.comes_from(BUILT_IN_ORIGIN)
            || self.comes_from(PRESET_ORIGIN)
            || rival.comes_from(BUILT_IN_ORIGIN)
        {
            return false;
        }
        let opens = |profile: &Profile, endpoint: &'static Endpoint, path: &str| {
            matches!(
                look(endpoint, path.to_owned(), false, profile),
                Some(Look::Open(_))
            )
        };
        let as_open = self.reaches.iter().all(|(endpoint, path)| {
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
        // A pattern is the same for each of its methods.
        let is_alike = !self.rule.is_by_name() && !rival.rule.is_by_name();
        let asked = if is_alike {
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
