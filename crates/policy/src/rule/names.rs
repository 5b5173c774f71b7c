//! Rules by name, which list endpoints, families of endpoints and powers in place of methods and a
//! pattern, so that their authors need no paths.

use std::ops::Range;

use strsim::levenshtein;

use super::parse::LineError;
use super::{Effect, parse};
use crate::endpoint::{CallCondition, Endpoint, IncludedOperation, ObjectKind, Risk};
use crate::request::call::Call;
use crate::text::pattern::Pattern;

/// An endpoint in a rule by name, with the objects that the rule is about.
#[derive(Clone, Debug)]
pub(super) struct NamedEndpoint {
    pub(super) endpoint: &'static Endpoint,
    /// `true` if the rule has the endpoint's own name, and not only that of a family or a power.
    pub(super) is_named: bool,
    /// The names of the objects; an empty list stands for any object.
    pub(super) objects: Vec<Pattern>,
    /// The operation that is denied, if the endpoint is denied as an aggregate that does it.
    pub(super) part: Option<IncludedOperation>,
    /// The place of its word, in bytes of the list of names.
    pub(super) at: Range<usize>,
}

impl NamedEndpoint {
    /// Returns the calls of the endpoint that the rule is about.
    pub(super) fn when(&self) -> CallCondition {
        self.part.map_or(CallCondition::Always, |part| part.when)
    }

    /// Returns true if one of the names fits an object.
    pub(super) fn is_about(&self, object: &str) -> bool {
        self.objects.is_empty() || self.objects.iter().any(|pattern| pattern.fits(object))
    }

    /// Returns true if a path without its version is one of the endpoint, and has an object that
    /// the rule is about.
    pub(super) fn matches_path(&self, path: &str) -> bool {
        let is_own = Endpoint::find(self.endpoint.method, path)
            .is_some_and(|found| found.id == self.endpoint.id);
        is_own
            && self
                .endpoint
                .captured(path)
                .is_none_or(|captured| self.is_about(captured.word))
    }

    /// Returns true if a call is one of the endpoint, and has an object that the rule is about.
    pub(super) fn matches(&self, call: &Call) -> bool {
        let is_own = call
            .endpoint()
            .is_some_and(|endpoint| endpoint.id == self.endpoint.id);
        is_own
            && call.method() == self.endpoint.method
            && CallObject::new(call, None, true).is_one_of(&self.objects)
            && self.when().holds_for(call)
    }

    /// Returns an expression for the paths of the endpoint with these objects, in any version.
    pub(super) fn path_expression(&self) -> String {
        let objects = self.objects.iter().map(|pattern| {
            let parts = pattern.as_str().split('*').map(regex_syntax::escape);
            parts.collect::<Vec<_>>().join("[^/]*")
        });
        let object = objects.collect::<Vec<_>>().join("|");
        let mut segments = String::new();
        for segment in self.endpoint.shape[1..].split('/') {
            segments.push('/');
            match segment {
                placeholder
                    if placeholder.starts_with('{')
                        && !object.is_empty()
                        && !segments.contains("(?:") =>
                {
                    segments.push_str(&format!("(?:{object})"));
                }
                many if many.ends_with("*}") => segments.push_str("[^/]+(?:/[^/]+)*"),
                one if one.starts_with('{') => segments.push_str("[^/]+"),
                word => segments.push_str(&regex_syntax::escape(word)),
            }
        }
        format!("{}{segments}", super::expand("%API_PREFIX%"))
    }

    /// Returns the path of the endpoint with an object that the rule is about.
    pub(super) fn example_path(&self) -> String {
        let object = self.objects.first().map_or("some-name", Pattern::as_str);
        self.endpoint.path_with(&object.replace('*', "x"))
    }
}

/// Returns true if the engine tells the name of each object of a kind, and an object has only one
/// name: then a rule can list such objects by their names.
pub(super) const fn is_nameable(kind: ObjectKind) -> bool {
    // An exec has the name of its container. An image or a plugin can have any number of names. The
    // engine composes the name of a task from others, and does not tell it.
    (kind.has_labels() && !matches!(kind, ObjectKind::Task)) || matches!(kind, ObjectKind::Exec)
}

/// Returns the power that has a word as its name.
fn find_power(word: &str) -> Option<Risk> {
    Risk::ALL.into_iter().find(|risk| risk.name() == word)
}

/// Parses the names behind `ALLOW` or `DENY`, which start at a byte of the line.
pub(super) fn parse_names(
    effect: Effect,
    text: &str,
    start: usize,
) -> Result<Vec<NamedEndpoint>, LineError> {
    let mut endpoints = Vec::new();
    for (at, word) in split_names(text) {
        let resolved = parse_name(effect, at, word).map_err(|error| error.shifted(start))?;
        endpoints.extend(resolved);
    }
    Ok(endpoints)
}

/// Parses one word of the list, whose place in the list is given.
fn parse_name(
    effect: Effect,
    at: Range<usize>,
    word: &str,
) -> Result<Vec<NamedEndpoint>, LineError> {
    if word.is_empty() {
        return Err(LineError {
            at,
            what: "a name is missing".to_owned(),
            expected: "expected names separated by commas, as in container.list, container.inspect"
                .to_owned(),
        });
    }
    let (name, objects) = split_objects(word).map_err(|error| error.shifted(at.start))?;
    resolve_name(effect, name, &objects, &at)
}

/// Splits a list at its commas, except for those in parentheses, and returns each word with its
/// place.
fn split_names(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut from = 0;
    let mut is_done = false;
    std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let mut depth = 0_usize;
        let end = text[from..].find(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        });
        let end = end.map_or(text.len(), |length| from + length);
        is_done = end == text.len();
        let word = text[from..end].trim_matches(parse::BLANK);
        let start =
            from + (text[from..end].len() - text[from..end].trim_start_matches(parse::BLANK).len());
        from = end + 1;
        Some((start..start + word.len(), word))
    })
}

/// Splits a word into its name and the names of objects behind it. The place of an error is in
/// bytes of the word.
fn split_objects(word: &str) -> Result<(&str, Vec<Pattern>), LineError> {
    let Some((name, rest)) = word.split_once('(') else {
        return Ok((word, Vec::new()));
    };
    let Some(inner) = rest
        .strip_suffix(')')
        .filter(|inner| !inner.contains(['(', ')']))
    else {
        return Err(LineError {
            at: name.len()..word.len(),
            what: "the names of objects do not end with their parenthesis".to_owned(),
            expected: format!("expected {name}(NAME), or {name}(NAME, NAME)"),
        });
    };
    let mut objects = Vec::new();
    for object in inner
        .split(',')
        .map(|object| object.trim_matches(parse::BLANK))
    {
        // Engines accept a slash before the name of a container.
        let object = object.trim_start_matches('/');
        if object.is_empty() {
            let expected = format!(
                "expected {name}(NAME), where * stands for any characters, or {name} for any object"
            );
            return Err(LineError {
                at: name.len()..word.len(),
                what: "the name of an object is missing".to_owned(),
                expected,
            });
        }
        objects.push(Pattern::new(object));
    }
    Ok((name.trim_end_matches(parse::BLANK), objects))
}

/// Returns the endpoints that a rule with a name is about, each with those objects that it can be
/// about.
fn resolve_name(
    effect: Effect,
    name: &str,
    objects: &[Pattern],
    at: &Range<usize>,
) -> Result<Vec<NamedEndpoint>, LineError> {
    let error = |what: String, expected: String| LineError {
        at: at.start..at.start + name.len(),
        what,
        expected,
    };
    let (named, is_named) = find_endpoints(name, effect);
    if named.is_empty() {
        let what = format!("{name:?} is no endpoint and no power");
        return Err(error(what, suggest_name(name)));
    }
    let is_power = find_power(name).is_some();
    if !objects.is_empty() && (is_power || !named.iter().any(|one| has_nameable_object(one))) {
        let what = format!("{name} is not about an object that has one name");
        let expected = format!(
            "write {name} alone, or name the endpoint of a container, a volume, a network or a \
            service"
        );
        return Err(error(what, expected));
    }
    let with_objects = |(endpoint, objects, part)| NamedEndpoint {
        endpoint,
        is_named,
        objects,
        part,
        at: at.clone(),
    };
    Ok(match effect {
        Effect::Deny => find_denied_endpoints(&named, objects)
            .into_iter()
            .map(with_objects)
            .collect(),
        Effect::Allow => named
            .into_iter()
            .filter(|endpoint| objects.is_empty() || has_nameable_object(endpoint))
            .map(|endpoint| with_objects((endpoint, objects.to_vec(), None)))
            .collect(),
    })
}

/// An endpoint that a denial is about, the objects for which it is denied, and the operation that
/// it does as a part of its own, if that is the reason.
type DeniedEndpoint = (&'static Endpoint, Vec<Pattern>, Option<IncludedOperation>);

/// Returns the endpoints that a denial of some endpoints for some objects closes: those with the
/// same operation on another path, and the aggregates that include the operation. An endpoint that
/// does not name exactly one object is denied for all, since its objects cannot be told from the
/// call.
fn find_denied_endpoints(named: &[&'static Endpoint], objects: &[Pattern]) -> Vec<DeniedEndpoint> {
    let is_any = objects.is_empty();
    // A family with objects is about those of its endpoints that have objects.
    let operations: Vec<_> = named
        .iter()
        .filter(|one| is_any || has_nameable_object(one) || one.names_objects_in_query())
        .map(|one| one.operation())
        .collect();
    let mut denied: Vec<DeniedEndpoint> = Vec::new();
    for endpoint in Endpoint::all() {
        if operations.contains(&endpoint.operation()) {
            let own = match has_nameable_object(endpoint) {
                true => objects.to_vec(),
                false => Vec::new(),
            };
            let is_whole = own.is_empty();
            denied.push((endpoint, own, None));
            if is_whole {
                continue;
            }
        }
        let mut parts: Vec<IncludedOperation> = endpoint
            .parts()
            .filter(|part| operations.contains(&part.operation))
            .collect();
        // One reason is enough for calls that are denied in any case.
        let denies_all = |part: &&IncludedOperation| {
            part.when == CallCondition::Always && (is_any || !part.is_to_same_object)
        };
        if let Some(part) = parts.iter().find(denies_all) {
            parts = vec![*part];
        }
        denied.extend(parts.into_iter().map(|part| {
            let own = match part.is_to_same_object {
                true => objects.to_vec(),
                false => Vec::new(),
            };
            (endpoint, own, Some(part))
        }));
    }
    denied
}

/// Returns the endpoints of a name, a power or a family, and `true` for the name of an endpoint.
fn find_endpoints(name: &str, effect: Effect) -> (Vec<&'static Endpoint>, bool) {
    if let Some(endpoint) = Endpoint::named(name) {
        return (vec![endpoint], true);
    }
    let all = Endpoint::all();
    let family = name
        .strip_suffix('*')
        .filter(|family| family.ends_with('.') && !family.contains('*'));
    let group = match (find_power(name), family) {
        (Some(risk), _) => all
            .filter(|endpoint| endpoint.power.risk() == risk)
            .collect(),
        (None, Some(family)) => all
            .filter(|endpoint| {
                let name = endpoint.id.name();
                // A denial holds in both APIs, also for endpoints that only Podman has.
                let twin = name
                    .strip_prefix("libpod.")
                    .filter(|_| effect == Effect::Deny);
                name.starts_with(family) || twin.is_some_and(|twin| twin.starts_with(family))
            })
            .collect(),
        (None, None) => Vec::new(),
    };
    (group, false)
}

/// Returns true if rules can list the objects of an endpoint by their names.
fn has_nameable_object(endpoint: &Endpoint) -> bool {
    endpoint.object_kind().is_some_and(is_nameable)
}

/// Words of command lines, with the verbs of the endpoints that they call.
const SYNONYMS: [(&str, &str); 11] = [
    ("rm", "remove"),
    ("delete", "remove"),
    ("ps", "list"),
    ("ls", "list"),
    ("run", "create"),
    ("pull", "create"),
    ("show", "inspect"),
    ("exec", "create"),
    ("cp", "archive_get"),
    ("df", "df"),
    ("import", "create"),
];

/// Returns the endpoint that a name in the words of a command line means.
fn translate(name: &str) -> Option<&'static str> {
    let (family, verb) = name.rsplit_once('.')?;
    let (_, own) = SYNONYMS.iter().find(|(known, _)| *known == verb)?;
    let family = if verb == "exec" { "exec" } else { family };
    let wanted = format!("{family}.{own}");
    let mut names = Endpoint::all().map(|endpoint| endpoint.id.name());
    names.find(|known| *known == wanted)
}

/// Returns a suggestion for a name that no endpoint, family or power has. A verb that is near by its
/// letters alone may be another right: `image.push` is none for `image.pull`.
fn suggest_name(name: &str) -> String {
    if let Some(meant) = translate(name) {
        return format!("did you mean {meant}?");
    }
    let powers = Risk::ALL.map(Risk::name);
    let known = || {
        Endpoint::all()
            .map(|endpoint| endpoint.id.name())
            .chain(powers)
    };
    let nearest = known()
        .filter(|known| is_near(name, known))
        .map(|known| (levenshtein(name, known), known))
        .min();
    if let Some((_, nearest)) = nearest {
        return format!("did you mean {nearest}?");
    }
    let last = name
        .trim_end_matches(".*")
        .rsplit('.')
        .next()
        .unwrap_or_default();
    let alike: Vec<_> = known()
        .filter(|known| !last.is_empty() && known.split('.').any(|part| part == last))
        .take(4)
        .collect();
    if !alike.is_empty() {
        return format!("did you mean one of {}?", alike.join(", "));
    }
    format!(
        "docs/endpoints.md lists the endpoints; the powers are {}",
        powers.join(", ")
    )
}

/// Returns whether a name is a misspelling of a known one: in its family, its verb, or both.
fn is_near(name: &str, known: &str) -> bool {
    let parts = |name: &str| {
        let (family, verb) = name.rsplit_once('.').unwrap_or(("", name));
        (family.to_owned(), verb.to_owned())
    };
    let ((family, verb), (known_family, known_verb)) = (parts(name), parts(known));
    let fits = |own: &str, known: &str| levenshtein(own, known) <= 1.max(known.len() / 4);
    fits(&family, &known_family) && fits(&verb, &known_verb)
}

impl CallCondition {
    /// Returns true if a call of the aggregate does the part, as far as its rules can tell.
    pub(super) fn holds_for(self, call: &Call) -> bool {
        match self {
            Self::Always => true,
            Self::With(switch) => call.turns_on(switch),
            Self::WithOnPodman(_) => false,
        }
    }

    /// Returns true if a call does the part if the engine is Podman.
    pub(super) fn holds_on_podman_for(self, call: &Call) -> bool {
        matches!(self, Self::WithOnPodman(switch) if call.turns_on(switch))
    }
}

/// The object of a call, as rules by name see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallObject<'c> {
    call: &'c Call,
    /// The name of the object, if the engine has told it.
    name: Option<&'c str>,
    /// The answer of [`Self::is_one_of`] if the call does not tell its object, as in the container
    /// of an exec.
    if_unknown: bool,
}

impl<'c> CallObject<'c> {
    pub(super) fn new(call: &'c Call, name: Option<&'c str>, if_unknown: bool) -> Self {
        Self {
            call,
            name,
            if_unknown,
        }
    }

    /// Returns true if the object has one of these names, or if there are none.
    pub(super) fn is_one_of(&self, objects: &[Pattern]) -> bool {
        let fits = |word: &str| objects.iter().any(|pattern| pattern.fits(word));
        if objects.is_empty() {
            return true;
        }
        match (self.name, self.call.object()) {
            (Some(name), _) => fits(name),
            (None, Some((ObjectKind::Exec, _)) | None) => self.if_unknown,
            (None, Some((_, word))) => fits(&word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(effect: Effect, text: &str) -> Vec<String> {
        let endpoints =
            parse_names(effect, text, 0).unwrap_or_else(|error| panic!("{text}: {}", error.what));
        let shown = |named: &NamedEndpoint| {
            let objects: Vec<_> = named.objects.iter().map(Pattern::as_str).collect();
            let object = if objects.is_empty() {
                String::new()
            } else {
                format!("({})", objects.join(", "))
            };
            format!("{}{object}", named.endpoint.id.name())
        };
        endpoints.iter().map(shown).collect()
    }

    #[test]
    fn names_mean_endpoints() {
        assert_eq!(
            names(Effect::Allow, "container.list , container.inspect"),
            ["container.list", "container.inspect"]
        );
        assert_eq!(
            names(
                Effect::Allow,
                "container.stop(db, web-*),events.x(".trim_end_matches(",events.x(")
            ),
            ["container.stop(db, web-*)"]
        );
        assert_eq!(
            names(Effect::Allow, "exec.*"),
            ["exec.create", "exec.start", "exec.resize", "exec.inspect"]
        );
        assert_eq!(
            names(Effect::Deny, "volume.inspect"),
            ["volume.inspect", "libpod.volume.inspect"]
        );
        assert_eq!(
            names(Effect::Deny, "volume.remove(data)"),
            [
                "volume.prune",
                "volume.remove(data)",
                "libpod.system.prune",
                "libpod.kube.down_old",
                "libpod.kube.down",
                "libpod.volume.prune",
                "libpod.volume.remove(data)"
            ],
            "what does it as a part is denied"
        );
        assert_eq!(
            names(Effect::Deny, "container.stats(db)"),
            [
                "container.stats(db)",
                "libpod.container.stats(db)",
                "libpod.container.stats_many",
                "libpod.pod.stats"
            ],
            "what takes several at once is denied whole"
        );
        assert_eq!(
            names(Effect::Deny, "container.commit(/db)"),
            ["container.commit(db)", "libpod.container.commit(db)"]
        );
        let family = names(Effect::Allow, "container.*(db)");
        assert!(
            family.contains(&"container.stop(db)".to_owned()),
            "{family:?}"
        );
        assert!(
            !family.iter().any(|name| name.starts_with("container.list")),
            "{family:?}"
        );
    }

    /// A power holds what its risk says, and nothing else: a new endpoint is in it once its row
    /// says so.
    #[test]
    fn powers_mean_endpoints_of_their_risk() {
        for risk in Risk::ALL {
            let all = names(Effect::Allow, risk.name());
            let want = Endpoint::all()
                .filter(|endpoint| endpoint.power.risk() == risk)
                .count();
            assert_eq!(all.len(), want, "{}", risk.name());
        }
        let look = names(Effect::Allow, "look");
        for name in [
            "container.list",
            "libpod.container.list",
            "system.events",
            "image.inspect",
        ] {
            assert!(look.contains(&name.to_owned()), "{name}");
        }
        for name in [
            "container.inspect",
            "container.logs",
            "swarm.inspect",
            "container.stop",
        ] {
            assert!(!look.contains(&name.to_owned()), "{name}");
        }
    }

    #[test]
    fn names_that_are_none_are_told_with_what_is_near() {
        for (text, at, what, expected) in [
            (
                "container.lst",
                0..13,
                "\"container.lst\" is no endpoint and no power",
                "did you mean container.list?",
            ),
            (
                "look, containers.list",
                6..21,
                "\"containers.list\" is no endpoint",
                "did you mean container.list?",
            ),
            (
                "container.exec",
                0..14,
                "is no endpoint",
                "did you mean exec.create?",
            ),
            (
                "image.pull",
                0..10,
                "is no endpoint",
                "did you mean image.create?",
            ),
            (
                "container.delete",
                0..16,
                "is no endpoint",
                "did you mean container.remove?",
            ),
            (
                "container.stopp",
                0..15,
                "is no endpoint",
                "did you mean container.stop?",
            ),
            (
                "container.burn",
                0..14,
                "is no endpoint",
                "docs/endpoints.md lists the endpoints",
            ),
            (
                "loook",
                0..5,
                "\"loook\" is no endpoint",
                "did you mean look?",
            ),
            (
                "nothing-like-it-at-all",
                0..22,
                "is no endpoint",
                "docs/endpoints.md lists the endpoints",
            ),
            ("look,", 5..5, "a name is missing", "separated by commas"),
            (
                "look,,change",
                5..5,
                "a name is missing",
                "separated by commas",
            ),
            ("*", 0..1, "\"*\" is no endpoint", "docs/endpoints.md"),
            (
                "container.*.*",
                0..13,
                "is no endpoint",
                "did you mean one of container.list",
            ),
            (
                "container.stop(db",
                14..17,
                "do not end",
                "expected container.stop(NAME)",
            ),
            (
                "container.stop()",
                14..16,
                "the name of an object is missing",
                "container.stop for any object",
            ),
            (
                "container.list(db)",
                0..14,
                "not about an object",
                "write container.list alone",
            ),
            (
                "image.remove(busybox)",
                0..12,
                "not about an object that has one name",
                "write image.remove alone",
            ),
            ("look(db)", 0..4, "not about an object", "write look alone"),
        ] {
            let wrong = parse_names(Effect::Allow, text, 0).expect_err(text);
            assert_eq!(wrong.at, at, "{text}");
            assert!(wrong.what.contains(what), "{text}: {}", wrong.what);
            assert!(
                wrong.expected.contains(expected),
                "{text}: {}",
                wrong.expected
            );
        }
    }
}
