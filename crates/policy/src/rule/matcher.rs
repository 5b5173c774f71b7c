//! Finds the rules that match a call, at a cost that hardly grows with the number of rules.
//!
//! Nearly every form of a rule knows the first segment of its paths: those are kept by that
//! segment, the few others are always asked.

use std::collections::HashMap;
use std::sync::Arc;

use super::form::Form;
use super::names::Subject;
use super::{Body, Rule};
use crate::call::Call;
use crate::endpoint::{Endpoint, ObjectKind, When};
use crate::method::{Method, Methods};
use crate::pattern::Pattern;

/// The rules of a profile, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    allowing: Index,
    denying: Index,
    names_objects: bool,
    exact_methods: bool,
}

/// Rules of one effect, by what a call needs to have for them to be asked.
#[derive(Clone, Debug, Default)]
struct Index {
    by_segment: HashMap<Box<str>, Vec<Entry>>,
    others: Vec<Entry>,
    /// By the number of the endpoint; empty where no rule names one.
    by_endpoint: Vec<Vec<Entry>>,
}

/// One way in which a rule matches, what it needs to be asked, and the index of its rule.
#[derive(Clone, Debug)]
struct Entry {
    rule: usize,
    methods: Methods,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// The path has a form.
    Form(Form),
    /// The object has one of these names, or is any where there are none; and the call is one of
    /// those for which a denial of a part holds.
    Objects(Vec<Pattern>, When),
}

impl RuleSet {
    /// Sorts rules into their places.
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
                true => set.denying.add(index, rule),
                false => set.allowing.add(index, rule),
            }
        }
        set
    }

    /// The same rules, where `HEAD` is allowed by rules for `HEAD` alone.
    #[must_use]
    pub fn with_exact_methods(self) -> Self {
        Self {
            exact_methods: true,
            ..self
        }
    }

    /// Whether `HEAD` is allowed where a rule allows `GET`.
    #[must_use]
    pub fn head_follows_get(&self) -> bool {
        !self.exact_methods
    }

    /// Whether any of these rules may be about containers of some names alone: then a container
    /// that is called by its identifier is worth a question to the engine.
    #[must_use]
    pub fn name_objects(&self) -> bool {
        self.names_objects
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that allow this method on the call's path, in their order.
    pub(crate) fn matching<'r>(&'r self, call: &'r Call) -> impl Iterator<Item = &'r Arc<Rule>> {
        self.allowing
            .matching(call, Subject::new(call, None, true))
            .map(|index| &self.rules[index])
    }

    /// The rules that allow the call where the object that it is about has this name, in their
    /// order.
    pub(crate) fn matching_object<'r>(
        &'r self,
        call: &'r Call,
        name: &'r str,
    ) -> impl Iterator<Item = &'r Arc<Rule>> {
        self.allowing
            .matching(call, Subject::new(call, Some(name), true))
            .map(|index| &self.rules[index])
    }

    /// The first rule that denies the call.
    pub(crate) fn denial(&self, call: &Call) -> Option<&Arc<Rule>> {
        let first = self
            .denying
            .matching(call, Subject::new(call, None, false))
            .next();
        first.map(|index| &self.rules[index])
    }

    /// Returns the first rule that denies the call where the engine is Podman, which does more for
    /// it than Docker. Calls of guarded clients are judged by the guard, which asks the engine.
    pub(crate) fn denial_on_podman(&self, call: &Call) -> Option<&Arc<Rule>> {
        let does_more = |entry: &&Entry| matches!(&entry.way, Way::Objects(_, when) if when.holds_on_podman_for(call));
        let first = self.denying.of_endpoint(call).iter().find(does_more);
        first.map(|entry| &self.rules[entry.rule])
    }

    /// The first rule by name that denies the call where the object that it is about has this name.
    pub(crate) fn denial_of_object(&self, call: &Call, name: &str) -> Option<&Arc<Rule>> {
        let first = self
            .denying
            .matching_endpoint(call, Subject::new(call, Some(name), false))
            .next();
        first.map(|index| &self.rules[index])
    }

    /// Whether a rule that does not deny the call by the client's word for its object might by
    /// another word for the same object.
    pub(crate) fn may_deny_object(&self, call: &Call) -> bool {
        self.denying.depends_on_object(call)
    }
}

impl Index {
    fn add(&mut self, index: usize, rule: &Rule) {
        let denies = rule.denies();
        match &rule.body {
            Body::Pattern { methods, forms } => {
                let mut methods = *methods;
                // What is denied by GET is denied by HEAD, which asks for a part of the same
                // answer.
                if denies && methods.contain(Method::Get) {
                    methods.add(Method::Head);
                }
                for form in forms {
                    let entry = Entry {
                        rule: index,
                        methods,
                        way: Way::Form(form.clone()),
                    };
                    match form.segment() {
                        Some(segment) => self
                            .by_segment
                            .entry(segment.into())
                            .or_default()
                            .push(entry),
                        None => self.others.push(entry),
                    }
                }
            }
            Body::Names(scopes) => {
                if self.by_endpoint.is_empty() {
                    self.by_endpoint = vec![Vec::new(); Endpoint::all().count()];
                }
                for scope in scopes {
                    // A denial holds for every method that reaches the endpoint.
                    let mut methods = if denies {
                        Methods::ALL
                    } else {
                        Methods::default()
                    };
                    methods.add(scope.endpoint.method);
                    let entry = Entry {
                        rule: index,
                        methods,
                        way: Way::Objects(scope.objects.clone(), scope.when()),
                    };
                    self.by_endpoint[scope.endpoint.id as usize].push(entry);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.by_segment.is_empty() && self.others.is_empty() && self.by_endpoint.is_empty()
    }

    /// The entries that are asked about a call: two lists of forms, and one of endpoints.
    fn entries(&self, call: &Call) -> [&[Entry]; 3] {
        let segment = call.unversioned_path()[1..]
            .split('/')
            .next()
            .unwrap_or_default();
        let known = self
            .by_segment
            .get(segment)
            .map(Vec::as_slice)
            .unwrap_or_default();
        [known, &self.others, self.of_endpoint(call)]
    }

    fn of_endpoint(&self, call: &Call) -> &[Entry] {
        // Most profiles name no endpoint.
        if self.by_endpoint.is_empty() {
            return &[];
        }
        call.endpoint()
            .map(|endpoint| self.by_endpoint[endpoint.id as usize].as_slice())
            .unwrap_or_default()
    }

    /// The indices of the rules that match a call about this subject, in their order.
    fn matching<'i>(&'i self, call: &'i Call, subject: Subject<'i>) -> impl Iterator<Item = usize> {
        let entries = if self.is_empty() {
            [&[][..]; 3]
        } else {
            self.entries(call)
        };
        matching(merged(entries), call, subject)
    }

    /// The same for rules by name alone.
    fn matching_endpoint<'i>(
        &'i self,
        call: &'i Call,
        subject: Subject<'i>,
    ) -> impl Iterator<Item = usize> {
        matching(self.of_endpoint(call).iter(), call, subject)
    }

    /// Whether it may depend on the object of a call, by any word for it, which of these rules
    /// match.
    fn depends_on_object(&self, call: &Call) -> bool {
        if self.is_empty() {
            return false;
        }
        let [known, others, named] = self.entries(call);
        let has_objects =
            |entry: &Entry| matches!(&entry.way, Way::Objects(objects, _) if !objects.is_empty());
        if named.iter().any(has_objects) {
            return true;
        }
        // No rule can mean the name of a command. Podman finds a volume by the beginning of its
        // name as well.
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
        let mut forms = known
            .iter()
            .chain(others)
            .filter(|entry| entry.methods.contain(call.method()));
        forms.any(|entry| matches!(&entry.way, Way::Form(form) if form.may_match_around(before, after, unversioned)))
    }
}

/// The indices of the rules of which an entry matches, each once.
fn matching<'i>(
    entries: impl Iterator<Item = &'i Entry>,
    call: &'i Call,
    subject: Subject<'i>,
) -> impl Iterator<Item = usize> {
    let (path, unversioned, method) = (call.path(), call.version_prefix().len(), call.method());
    let mut last = None;
    entries
        .filter(move |entry| {
            entry.methods.contain(method)
                && match &entry.way {
                    Way::Form(form) => form.matches(path, unversioned),
                    Way::Objects(objects, when) => {
                        subject.is_one_of(objects) && when.holds_for(call)
                    }
                }
        })
        // A rule that matches in two ways is still one rule.
        .filter(move |entry| last.replace(entry.rule) != Some(entry.rule))
        .map(|entry| entry.rule)
}

/// Whether a rule may be about containers of some names alone.
fn may_name_a_container(rule: &Rule) -> bool {
    match &rule.body {
        Body::Pattern { .. } => names_a_container(rule.pattern()),
        Body::Names(scopes) => scopes.iter().any(|scope| {
            !scope.objects.is_empty() && scope.endpoint.object_kind() == Some(ObjectKind::Container)
        }),
    }
}

/// Whether a pattern has something else than a variable or a wildcard where the name of a container
/// stands. A pattern that is taken for such a one costs a question, and grants nothing by itself.
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

/// Three lists, each in the order of rules, as one in that order.
fn merged<'a>(mut lists: [&'a [Entry]; 3]) -> impl Iterator<Item = &'a Entry> {
    std::iter::from_fn(move || {
        let rule_of = |list: &&'a [Entry]| list.first().map_or(usize::MAX, |entry| entry.rule);
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
    use crate::method::Method;
    use crate::rule::{Compared, VARIABLES, parse};

    /// Rules of every kind, and what users write around variables.
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

    /// The fast way and the naive way must agree on every rule and path.
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

    /// The same for patterns that nobody would write: pieces put together at random, the same ones
    /// in every run.
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
