//! A set of rules that is indexed so that matching a call costs nearly the same for any number of
//! rules.
//!
//! Nearly every form of a pattern fixes the first segment of its paths. The index keeps these forms
//! by that segment, rules by name by their endpoint, and tests the few remaining forms for each
//! call.

use std::collections::HashMap;
use std::sync::Arc;

use super::form::PathForm;
use super::names::CallObject;
use super::{Rule, RuleBody};
use crate::endpoint::{CallCondition, Endpoint, ObjectKind};
use crate::request::call::Call;
use crate::request::method::{Method, Methods};
use crate::text::pattern::Pattern;

/// The rules of a profile, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    allowing: Index,
    denying: Index,
    names_objects: bool,
    exact_methods: bool,
}

/// The rules of one effect, grouped by the property of a call that selects them.
#[derive(Clone, Debug, Default)]
struct Index {
    by_segment: HashMap<Box<str>, Vec<IndexEntry>>,
    others: Vec<IndexEntry>,
    /// Entries by the number of the endpoint; empty if no rule names an endpoint.
    by_endpoint: Vec<Vec<IndexEntry>>,
}

/// One way in which a rule can match, with the index of the rule.
#[derive(Clone, Debug)]
struct IndexEntry {
    rule: usize,
    methods: Methods,
    condition: EntryCondition,
}

/// The condition under which an entry matches a call that has one of its methods.
#[derive(Clone, Debug)]
enum EntryCondition {
    /// The path has this form.
    PathForm(PathForm),
    /// The object has one of these names, where an empty list stands for any object; and the call
    /// is one of those for which the denial of a part holds.
    Objects(Vec<Pattern>, CallCondition),
}

impl RuleSet {
    /// Builds the index of some rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut set = Self {
            rules: rules.into_iter().map(Arc::new).collect(),
            ..Self::default()
        };
        set.names_objects = set
            .rules
            .iter()
            .any(|rule| !rule.denies() && may_name_a_container(rule));
        for (index, rule) in set.rules.iter().enumerate() {
            match rule.denies() {
                true => set.denying.add_rule(index, rule),
                false => set.allowing.add_rule(index, rule),
            }
        }
        set
    }

    /// Returns the same rules, with `HEAD` allowed only by rules for `HEAD`.
    #[must_use]
    pub fn with_exact_methods(self) -> Self {
        Self {
            exact_methods: true,
            ..self
        }
    }

    /// Returns true if `HEAD` is allowed where a rule allows `GET`.
    #[must_use]
    pub fn head_follows_get(&self) -> bool {
        !self.exact_methods
    }

    /// Returns true if any of these rules may be about containers of certain names only. If a
    /// client uses a container's identifier, the proxy must then ask the engine for the name.
    #[must_use]
    pub fn name_objects(&self) -> bool {
        self.names_objects
    }

    /// Returns the rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Returns the rules that allow the call's method on its path, in their order.
    pub(crate) fn matching<'r>(&'r self, call: &'r Call) -> impl Iterator<Item = &'r Arc<Rule>> {
        self.allowing
            .matching_rules(call, CallObject::new(call, None, true))
            .map(|index| &self.rules[index])
    }

    /// Returns the rules that allow the call if its object has this name, in their order.
    pub(crate) fn matching_object<'r>(
        &'r self,
        call: &'r Call,
        name: &'r str,
    ) -> impl Iterator<Item = &'r Arc<Rule>> {
        self.allowing
            .matching_rules(call, CallObject::new(call, Some(name), true))
            .map(|index| &self.rules[index])
    }

    /// Returns the first rule that denies the call.
    pub(crate) fn denial(&self, call: &Call) -> Option<&Arc<Rule>> {
        let first = self
            .denying
            .matching_rules(call, CallObject::new(call, None, false))
            .next();
        first.map(|index| &self.rules[index])
    }

    /// Returns the first rule that denies the call if the engine is Podman, which does more for it
    /// than Docker. The guard judges calls of guarded clients, and asks the engine.
    pub(crate) fn denial_on_podman(&self, call: &Call) -> Option<&Arc<Rule>> {
        let does_more = |entry: &&IndexEntry| match &entry.condition {
            EntryCondition::Objects(_, when) => when.holds_on_podman_for(call),
            EntryCondition::PathForm(_) => false,
        };
        let mut named = self.denying.candidates_by_endpoint(call).iter();
        named.find(does_more).map(|entry| &self.rules[entry.rule])
    }

    /// Returns the first rule by name that denies the call if its object has this name.
    pub(crate) fn denial_of_object(&self, call: &Call, name: &str) -> Option<&Arc<Rule>> {
        let first = self
            .denying
            .matching_rules_by_name(call, CallObject::new(call, Some(name), false))
            .next();
        first.map(|index| &self.rules[index])
    }

    /// Returns true if a rule allows the call, or could allow it about another object.
    pub(crate) fn may_allow_any_object(&self, call: &Call) -> bool {
        self.matching(call).next().is_some() || self.allowing.depends_on_object(call)
    }

    /// Returns true if a rule could deny the call if the client had used another name or
    /// identifier for the same object.
    pub(crate) fn may_deny_object(&self, call: &Call) -> bool {
        self.denying.depends_on_object(call)
    }
}

impl Index {
    /// Adds an entry for each way in which a rule can match.
    fn add_rule(&mut self, index: usize, rule: &Rule) {
        let denies = rule.denies();
        match &rule.body {
            RuleBody::Pattern { methods, forms } => {
                let mut methods = *methods;
                // HEAD returns a part of the answer to GET, so that a rule against GET must
                // deny it too.
                if denies && methods.contain(Method::Get) {
                    methods.add(Method::Head);
                }
                for form in forms {
                    let entry = IndexEntry {
                        rule: index,
                        methods,
                        condition: EntryCondition::PathForm(form.clone()),
                    };
                    match form.first_segment() {
                        Some(segment) => self
                            .by_segment
                            .entry(segment.into())
                            .or_default()
                            .push(entry),
                        None => self.others.push(entry),
                    }
                }
            }
            RuleBody::Names(named) => {
                if self.by_endpoint.is_empty() {
                    self.by_endpoint = vec![Vec::new(); Endpoint::all().count()];
                }
                for named_endpoint in named {
                    // The engine serves an endpoint by more than one method, so that a denial
                    // holds for all of them.
                    let mut methods = if denies {
                        Methods::ALL
                    } else {
                        Methods::default()
                    };
                    methods.add(named_endpoint.endpoint.method);
                    let entry = IndexEntry {
                        rule: index,
                        methods,
                        condition: EntryCondition::Objects(
                            named_endpoint.objects.clone(),
                            named_endpoint.when(),
                        ),
                    };
                    self.by_endpoint[named_endpoint.endpoint.id as usize].push(entry);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.by_segment.is_empty() && self.others.is_empty() && self.by_endpoint.is_empty()
    }

    /// Returns the entries that can match a call: two lists of forms, and one of endpoints.
    fn candidates(&self, call: &Call) -> [&[IndexEntry]; 3] {
        let segment = call.unversioned_path()[1..]
            .split('/')
            .next()
            .unwrap_or_default();
        let known = self
            .by_segment
            .get(segment)
            .map(Vec::as_slice)
            .unwrap_or_default();
        [known, &self.others, self.candidates_by_endpoint(call)]
    }

    /// Returns the entries for the endpoint of a call.
    fn candidates_by_endpoint(&self, call: &Call) -> &[IndexEntry] {
        // Most profiles have no rule by name, and their index has no list of endpoints.
        if self.by_endpoint.is_empty() {
            return &[];
        }
        call.endpoint()
            .map(|endpoint| self.by_endpoint[endpoint.id as usize].as_slice())
            .unwrap_or_default()
    }

    /// Returns the indices of the rules that match a call about an object, in their order.
    fn matching_rules<'i>(
        &'i self,
        call: &'i Call,
        object: CallObject<'i>,
    ) -> impl Iterator<Item = usize> {
        let candidates = if self.is_empty() {
            [&[][..]; 3]
        } else {
            self.candidates(call)
        };
        matching_indices(merge_in_rule_order(candidates), call, object)
    }

    /// Returns the indices of the rules by name that match a call about an object, in their order.
    fn matching_rules_by_name<'i>(
        &'i self,
        call: &'i Call,
        object: CallObject<'i>,
    ) -> impl Iterator<Item = usize> {
        matching_indices(self.candidates_by_endpoint(call).iter(), call, object)
    }

    /// Returns true if the answer, which of these rules match, may depend on the name or identifier
    /// that the client uses for the object of the call.
    fn depends_on_object(&self, call: &Call) -> bool {
        if self.is_empty() {
            return false;
        }
        let [known, others, named] = self.candidates(call);
        let has_objects = |entry: &IndexEntry| match &entry.condition {
            EntryCondition::Objects(objects, _) => !objects.is_empty(),
            EntryCondition::PathForm(_) => false,
        };
        if named.iter().any(has_objects) {
            return true;
        }
        // An exec has no name that a pattern could contain. Volumes have only a name, but Podman
        // also finds a volume by the beginning of it.
        let Some(captured) = call
            .captured()
            .filter(|captured| captured.kind.has_labels())
        else {
            return false;
        };
        let unversioned = call.version_prefix().len();
        let start = unversioned + captured.start;
        let (before, after) = (
            &call.path()[..start],
            &call.path()[start + captured.word.len()..],
        );
        known.iter().chain(others).any(|entry| {
            entry.methods.contain(call.method())
                && match &entry.condition {
                    EntryCondition::PathForm(form) => {
                        form.may_match_around(before, after, unversioned)
                    }
                    EntryCondition::Objects(..) => false,
                }
        })
    }
}

/// Returns the index of each rule that has a matching entry, once. Entries of one rule must be
/// adjacent.
fn matching_indices<'i>(
    entries: impl Iterator<Item = &'i IndexEntry>,
    call: &'i Call,
    object: CallObject<'i>,
) -> impl Iterator<Item = usize> {
    let (path, unversioned, method) = (call.path(), call.version_prefix().len(), call.method());
    let mut last = None;
    entries
        .filter(move |entry| {
            entry.methods.contain(method)
                && match &entry.condition {
                    EntryCondition::PathForm(form) => form.matches_path(path, unversioned),
                    EntryCondition::Objects(objects, when) => {
                        object.is_one_of(objects) && when.holds_for(call)
                    }
                }
        })
        // A rule may match in two ways and is still returned once.
        .filter(move |entry| last.replace(entry.rule) != Some(entry.rule))
        .map(|entry| entry.rule)
}

/// Returns true if a rule may be about containers of certain names only.
fn may_name_a_container(rule: &Rule) -> bool {
    match &rule.body {
        RuleBody::Pattern { .. } => names_a_container(rule.pattern()),
        RuleBody::Names(named) => named.iter().any(|named| {
            !named.objects.is_empty() && named.endpoint.object_kind() == Some(ObjectKind::Container)
        }),
    }
}

/// Returns true if a pattern has neither a variable nor a wildcard in the place of a container's
/// name. A wrong `true` costs a request to the engine, and grants nothing by itself.
fn names_a_container(pattern: &str) -> bool {
    let behind = ["CONTAINERS%/", "containers/"]
        .iter()
        .find_map(|section| pattern.split_once(section));
    let Some((_, rest)) = behind else {
        return false;
    };
    let is_list = [
        "json",
        "create",
        "prune",
        "%CONTAINER",
        "%_OBJECT",
        ".*",
        "[^/]",
    ]
    .iter()
    .any(|word| rest.starts_with(word));
    !is_list
}

/// Merges three lists, each in the order of the rules, into one in that order.
fn merge_in_rule_order<'a>(
    mut lists: [&'a [IndexEntry]; 3],
) -> impl Iterator<Item = &'a IndexEntry> {
    std::iter::from_fn(move || {
        let rule_of = |list: &&'a [IndexEntry]| list.first().map_or(usize::MAX, |entry| entry.rule);
        let [one, other, named] = [rule_of(&lists[0]), rule_of(&lists[1]), rule_of(&lists[2])];
        let first = if one <= other && one <= named {
            0
        } else if other <= named {
            1
        } else {
            2
        };
        let (entry, rest) = lists[first].split_first()?;
        lists[first] = rest;
        Some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::method::Method;
    use crate::rule::{Compared, VARIABLES, parse};

    /// Returns rules of every kind, and every variable with the text that users write around it.
    fn rules() -> String {
        let mut text = String::from(
            "GET .*\nGET /v1.43/containers/.*\nGET /containers/json|/info\nGET \
            %API_PREFIX%/(containers|images)/json\nGET /conta.*\nPOST \
            %API_PREFIX_EXEC%(/.*)?\nGET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET \
            ^/containers/json$\nGET /containers\nGET \
            %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/json\nGET %API_PREFIX%.*json\nGET \
            %API_PREFIX%/v1\nGET %API_PREFIX%/v?1\nGET %API_PREFIX%/(v|w)(1|2)/.*\nGET \
            (/v1.43)?(/a|/b)?/?\nGET (%API_PREFIX%)?/info\nGET %_API_VERSION%/(a|info)?\nGET \
            /.*\\bjson\nALLOW look\nALLOW container.inspect(a), secrets\nDENY container.list, \
            container.top(a*)\nDENY GET %API_PREFIX%/info\nDENY POST .*/json\nDENY libpod.*\nALLOW \
            container.*, image.list\nGET (?i)/INFO\nGET \
            /(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)(a|b|c|d|e|f|g)\nGET /a(/a)*\nGET /a/.*a/a\nGET \
            (|/a|/a/)\nGET /é.?/a\n",
        );
        for (name, _) in VARIABLES {
            text.push_str(&format!(
                "GET %{name}%\nGET %{name}%/json\nGET /images/%{name}%/json\nGET \
                %API_PREFIX%/a/%{name}%(/a)?\n"
            ));
        }
        text
    }

    /// The index must find the same rules as the naive matcher, for each rule and path.
    #[test]
    fn parts_agree_with_the_whole_expression() {
        let rules = parse("t", &rules()).expect("valid");
        let rules = Compared::new(rules).expect("small");
        let words = [
            "",
            "/",
            "/v1.43",
            "/v1",
            "/v",
            "/w1",
            "/containers",
            "/json",
            "/info",
            "/a",
            "/aa",
            "/images",
            "/exec",
            "/libpod",
            "/0123abcdef",
            "/a:b",
            "/é",
            "/INFO",
            "a",
        ];
        let mut targets: Vec<String> = vec![
            "/images/docker.io/library/x@sha256:09c731d73926315908778730f9e60686/json".to_owned(),
        ];
        for one in words {
            for two in words {
                for three in words {
                    targets.extend(["", "/json"].map(|four| format!("{one}{two}{three}{four}")));
                }
            }
        }
        let mut asked = 0;
        for target in targets.iter().map(|target| target.replace('é', "%C3%A9")) {
            for method in [Method::Get, Method::Head, Method::Post] {
                let Ok(call) = Call::read(method.as_str(), &target) else {
                    continue;
                };
                let [parts, whole] = rules.matching_lines(&call);
                assert_eq!(parts, whole, "{method} {target}");
                asked += 1;
            }
        }
        assert!(asked > 5_000, "{asked}");
    }

    /// Compares the two for unusual patterns: random sequences of pieces, the same in every run.
    #[test]
    fn parts_agree_with_the_whole_expression_for_any_pattern() {
        const PIECES: [&str; 24] = [
            "/a",
            "/aa",
            "a",
            "/",
            "/v",
            "1",
            ".43",
            "/v1.43",
            "%API_PREFIX%",
            "%_API_VERSION%",
            "/libpod",
            "/é",
            "(/.*)?",
            ".*",
            "[a-z]+",
            "[^/]+",
            "(?i)A",
            "\\b",
            "^",
            "$",
            "?",
            "+",
            "{2}",
            "%CONTAINER_ID_OR_NAME%",
        ];
        const WORDS: [&str; 12] = [
            "/a", "/aa", "/a/a", "a", "/", "/v1.43", "/v1", "/libpod", "/%C3%A9", "1", "A", "/ab.c",
        ];
        // Knuth's MMIX generator.
        let mut state: u64 = 42;
        let mut any = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut matched, mut asked) = (0, 0);
        for _ in 0..4_000 {
            let mut pattern = String::new();
            for _ in 0..1 + any(6) {
                match any(5) {
                    0 => pattern = format!("({pattern}|{})", PIECES[any(PIECES.len())]),
                    1 => pattern = format!("({pattern})?{}", PIECES[any(PIECES.len())]),
                    _ => pattern.push_str(PIECES[any(PIECES.len())]),
                }
            }
            let Ok(rules) = parse("t", &format!("GET {pattern}")) else {
                continue;
            };
            let rules = Compared::new(rules).expect(&pattern);
            for _ in 0..30 {
                let target: String = (0..1 + any(4)).map(|_| WORDS[any(WORDS.len())]).collect();
                let Ok(call) = Call::read("GET", &target) else {
                    continue;
                };
                let [parts, whole] = rules.matching_lines(&call);
                assert_eq!(parts, whole, "{pattern} ← {}", call.path());
                (matched, asked) = (matched + parts.0.len(), asked + 1);
            }
        }
        assert!(asked > 20_000 && matched > 1_000, "{matched} of {asked}");
    }
}
