//! The survey of a profile's rules: the endpoints that its clients can call, those that a wildcard
//! has not opened, and the rules without an effect.

mod comparison;
mod surveyed_rule;

use std::sync::Arc;

use crate::decide::{Ground, Verdict, decide};
use crate::denial::{Denial, DenialKind, DenialReason};
use crate::endpoint::{Endpoint, Power};
use crate::guard::{Duty, Guard, GuardLevel, Use, duty};
use crate::identity::limit::ClientLimits;
use crate::identity::profile::{Mode, Profile};
use crate::request::call::Call;
use crate::rule::{Language, Rule, RuleSet, WalkTooLong};
pub use comparison::{CallChange, Difference, Witness};
use surveyed_rule::{KnownRules, SurveyedRule};

/// The survey of a profile.
#[derive(Debug, Default)]
pub struct Survey {
    /// The endpoints that clients can call, in the order of the endpoint table.
    pub open: Vec<Open>,
    /// The endpoints that a rule matches and does not open.
    pub closed: Vec<Closed>,
    /// The endpoints that a rule would open, and deny rules close for all objects.
    pub denied: Vec<Denied>,
    /// The rules whose calls are all denied, each with a rule that denies one of them.
    pub useless: Vec<(Arc<Rule>, Arc<Rule>)>,
    /// The rules of which the view closes every endpoint, each with one of them and the reason.
    pub beyond_view: Vec<(Arc<Rule>, &'static Endpoint, &'static str)>,
    /// The rules that match no endpoint of a known engine.
    pub idle: Vec<Arc<Rule>>,
    /// The rules that match only paths without a version, which few clients send.
    pub bare: Vec<Arc<Rule>>,
    /// The rules with a pattern that matches more endpoints than any section of the API has.
    pub catch_all: Vec<Arc<Rule>>,
    /// The rules without an effect, each with the rule that covers it.
    pub covered: Vec<(Arc<Rule>, Arc<Rule>)>,
}

/// An endpoint that clients can call.
#[derive(Debug)]
pub struct Open {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// The power that it gives to a client: that of the endpoint, or that of reading contents if
    /// the client may set a parameter that reveals them.
    pub power: Power,
    /// The rule that allows it.
    pub rule: Arc<Rule>,
    /// A path that the rule matches.
    pub example: String,
    /// `true` if it is open only for some objects, such as that of the example.
    pub partly: bool,
    /// The treatment of the query and body of such a call.
    pub care: Care,
    /// The rules that deny it for some objects, or in some versions.
    pub except: Vec<Arc<Rule>>,
}

/// An endpoint that a rule would open, and another rule denies.
#[derive(Debug)]
pub struct Denied {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// The rule that would open it.
    pub rule: Arc<Rule>,
    /// The rule that denies it.
    pub by: Arc<Rule>,
}

/// The treatment of the query and body of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// The call has nothing that the guard could judge.
    Nothing,
    /// The guard judges it.
    Judged,
    /// The call goes to the engine unread, although it has something that the guard could judge.
    Unread,
}

impl Care {
    /// Returns the treatment by a guard of a call that it lets pass.
    pub(crate) fn of_call(call: &Call, guard: &Guard) -> Self {
        match (duty(call, guard), duty(call, &Guard::default())) {
            (Duty::Judge(_), _) => Self::Judged,
            // The call asks for no more than its path says, but its container may hold the host,
            // and the guard inspects the container.
            (Duty::Pass, Duty::Pass) if matches!(Use::of_call(call), Use::Enter | Use::Files) => {
                match guard.level {
                    GuardLevel::Privileged => Self::Unread,
                    GuardLevel::Baseline | GuardLevel::Restricted => Self::Judged,
                }
            }
            (Duty::Unread, _) => Self::Unread,
            (_, Duty::Pass) => Self::Nothing,
            _ => Self::Unread,
        }
    }
}

/// An endpoint that a rule matches and does not open.
#[derive(Debug)]
pub struct Closed {
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// The rule.
    pub rule: Arc<Rule>,
    /// The reason.
    pub kind: DenialKind,
    /// The denial of an example.
    denial: Denial,
}

impl Closed {
    /// Returns the rule to add; `None` if no rule would help. It is made on demand, because it
    /// takes memory that stays allocated.
    #[must_use]
    pub fn rule_to_add(&self) -> Option<String> {
        self.denial.rule_to_add()
    }
}

/// The budget of all comparisons of rules with each other, in steps; all of it takes about a
/// second.
const COMPARISON_BUDGET: usize = 60_000;

/// A number of endpoints that is larger than any section of the API.
const CATCH_ALL_THRESHOLD: usize = 50;

/// A name and an identifier. Rules for any object match at least one of them.
const EXAMPLE_OBJECTS: [&str; 2] = ["some-name", "0123456789ab"];

/// The endpoints that a rule can open, each with its paths; `None` if the paths are too many to
/// compile.
type Shapes = Vec<(&'static Endpoint, Option<Language>)>;

/// A surveyor of several profiles, with the compiled paths of all endpoints.
///
/// Compiling them takes time, and they take much memory. `serve` surveys once when it starts and
/// drops the surveyor.
#[derive(Debug)]
pub struct Surveyor {
    shapes: Shapes,
    known: KnownRules,
}

impl Default for Surveyor {
    fn default() -> Self {
        let endpoints = Endpoint::all().filter(|endpoint| !endpoint.is_catch_all());
        let shapes = endpoints
            .map(|endpoint| (endpoint, Language::new(&endpoint.expression())))
            .collect();
        Self {
            shapes,
            known: KnownRules::default(),
        }
    }
}

impl Surveyor {
    /// Surveys every endpoint and every rule of a profile, as if it were enforced.
    #[must_use]
    pub fn survey(&self, profile: &Profile) -> Survey {
        let known = self.survey_rules(profile);
        let (denials, rules): (Vec<&SurveyedRule<'_>>, Vec<&SurveyedRule<'_>>) =
            known.iter().partition(|known| known.rule.denies());
        let mut survey = Survey::default();
        for (endpoint, shape) in &self.shapes {
            match survey_endpoint(endpoint, shape.as_ref(), &rules, &denials, profile) {
                Some(CallResult::Open(open)) => survey.open.push(*open),
                Some(CallResult::Closed(closed)) => survey.closed.push(closed),
                Some(CallResult::Denied(denied)) => survey.denied.push(denied),
                None => {}
            }
            survey
                .open
                .extend(find_revealed_contents(endpoint, &rules, profile));
        }
        survey.bare = rules_that(known.iter(), |rule| rule.is_bare());
        survey.idle = rules_that(known.iter(), |rule| rule.is_idle());
        survey.catch_all = rules_that(rules.iter().copied(), |rule| rule.is_catch_all());
        let useless = |rule: &&SurveyedRule<'_>| rule.is_useless(&denials, &self.shapes);
        survey.useless = rules.iter().filter_map(useless).collect();
        let beyond_view = |rule: &&SurveyedRule<'_>| rule.is_beyond_view(profile);
        survey.beyond_view = rules.iter().filter_map(beyond_view).collect();
        survey.covered = find_covered_rules(&rules);
        survey
    }

    /// Surveys each rule of a profile without the others.
    fn survey_rules<'p>(&self, profile: &'p Profile) -> Vec<SurveyedRule<'p>> {
        let rules = profile.rules.rules().iter();
        rules
            .map(|rule| SurveyedRule::new(rule, profile, &self.known, &self.shapes))
            .collect()
    }
}

/// Surveys every endpoint and every rule of one profile, as if it were enforced.
#[must_use]
pub fn survey(profile: &Profile) -> Survey {
    Surveyor::default().survey(profile)
}

/// Returns the rules that have a property.
fn rules_that<'s, 'r: 's>(
    known: impl Iterator<Item = &'s SurveyedRule<'r>>,
    has_property: impl Fn(&SurveyedRule<'_>) -> bool,
) -> Vec<Arc<Rule>> {
    let chosen = known.filter(|rule| has_property(rule));
    chosen.map(|rule| Arc::clone(rule.rule)).collect()
}

/// Returns the rules without an effect, each with one that covers it.
fn find_covered_rules(rules: &[&SurveyedRule<'_>]) -> Vec<(Arc<Rule>, Arc<Rule>)> {
    let mut budget = COMPARISON_BUDGET;
    let mut covers =
        |rule: &SurveyedRule<'_>, rival: &SurveyedRule<'_>| rule.is_covered_by(rival, &mut budget);
    let mut covered = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let covering = rules.iter().enumerate().find(|(other, rival)| {
            // Of two rules with the same effect, the first stays.
            *other != index && covers(rule, rival) && (*other < index || !covers(rival, rule))
        });
        covered.extend(covering.map(|(_, rival)| (Arc::clone(rule.rule), Arc::clone(rival.rule))));
    }
    covered
}

/// Decides calls of an endpoint: about any object, and about those that rules name. Returns the
/// result for the endpoint; `None` if no rule matches any of the calls.
fn survey_endpoint(
    endpoint: &'static Endpoint,
    shape: Option<&Language>,
    rules: &[&SurveyedRule<'_>],
    denials: &[&SurveyedRule<'_>],
    profile: &Profile,
) -> Option<CallResult> {
    let any = EXAMPLE_OBJECTS
        .map(|word| (endpoint.path_with(word), false))
        .into_iter();
    let reached = rules
        .iter()
        .filter_map(|rule| Some((rule.path_of(endpoint)?.to_owned(), true)));
    let (mut closed, mut denied) = (None, None);
    for (path, partly) in any.chain(reached) {
        match try_call(endpoint, path, partly, profile) {
            Some(CallResult::Open(mut open)) => {
                add_exceptions(&mut open, denials);
                return Some(CallResult::Open(open));
            }
            Some(CallResult::Closed(found)) => closed = closed.or(Some(found)),
            Some(CallResult::Denied(found)) => denied = denied.or(Some(found)),
            None => {}
        }
    }
    let Some(denied) = denied else {
        return closed.map(CallResult::Closed);
    };
    // The denial may be about the objects of these examples only.
    for rule in rules {
        let found = match rule.undenied_path(endpoint, shape, denials) {
            Ok(Some(path)) => try_call(endpoint, path, true, profile),
            Ok(None) => None,
            // The survey must not call an endpoint closed that may be open.
            Err(WalkTooLong) => rule
                .path_of(endpoint)
                .map(|path| CallResult::Open(Box::new(assume_open(endpoint, path, rule, profile)))),
        };
        if let Some(CallResult::Open(mut open)) = found {
            add_exceptions(&mut open, denials);
            return Some(CallResult::Open(open));
        }
    }
    Some(CallResult::Denied(denied))
}

/// Returns the entry of an endpoint that may be open: the walk reached its limit before an answer.
fn assume_open(
    endpoint: &'static Endpoint,
    path: &str,
    rule: &SurveyedRule<'_>,
    profile: &Profile,
) -> Open {
    let care = call_of_endpoint(endpoint, path)
        .map_or(Care::Unread, |call| Care::of_call(&call, &profile.guard));
    let (rule, example) = (Arc::clone(rule.rule), path.to_owned());
    Open {
        endpoint,
        power: endpoint.power,
        rule,
        example,
        partly: true,
        care,
        except: Vec::new(),
    }
}

/// Adds the rules that deny the endpoint in part.
fn add_exceptions(open: &mut Open, denials: &[&SurveyedRule<'_>]) {
    let about = denials
        .iter()
        .filter(|denial| denial.path_of(open.endpoint).is_some());
    open.except
        .extend(about.map(|denial| Arc::clone(denial.rule)));
}

/// Returns true if a rule matches an endpoint of a known engine. Rules whose paths are unknown
/// count as rules that match none.
#[must_use]
pub fn rule_reaches(rule: &Rule) -> bool {
    let (name, limits, guard) = (String::new(), ClientLimits::default(), Arc::default());
    let rules = RuleSet::default();
    let profile = Profile {
        name,
        rules,
        limits,
        guard,
        targets: Arc::default(),
        mode: Mode::Enforce,
        recreation: None,
        ..Profile::default()
    };
    let surveyor = Surveyor::default();
    let rule = Arc::new(rule.clone());
    SurveyedRule::new(&rule, &profile, &surveyor.known, &surveyor.shapes).reaches_any()
}

/// Returns an entry for the contents that an endpoint reveals with a parameter, if a rule names an
/// object so that clients may set it.
fn find_revealed_contents(
    endpoint: &'static Endpoint,
    rules: &[&SurveyedRule<'_>],
    profile: &Profile,
) -> Option<Open> {
    let parameter = endpoint.reveals()?;
    rules
        .iter()
        .filter_map(|rule| rule.path_of(endpoint))
        .find_map(|path| {
            let call = Call::read(
                endpoint.method.as_str(),
                &format!(
                    "{}?{parameter}=1",
                    call_of_endpoint(endpoint, path)?.target()
                ),
            )
            .ok()?;
            let Verdict::Allow(permit) = decide(call, profile) else {
                return None;
            };
            let Ground::Rule(rule) = permit.ground() else {
                return None;
            };
            let (rule, example, except) = (Arc::clone(rule), path.to_owned(), Vec::new());
            Some(Open {
                endpoint,
                power: Power::ReadConfigs,
                rule,
                example,
                partly: true,
                care: Care::Nothing,
                except,
            })
        })
}

/// The result of the rules for one call, or for all calls of an endpoint.
enum CallResult {
    Open(Box<Open>),
    Closed(Closed),
    Denied(Denied),
}

/// Decides a call of an endpoint; `None` if no rule matches it, or its path is of another endpoint.
fn try_call(
    endpoint: &'static Endpoint,
    path: String,
    partly: bool,
    profile: &Profile,
) -> Option<CallResult> {
    let call = call_of_endpoint(endpoint, &path)?;
    let care = Care::of_call(&call, &profile.guard);
    let matching = profile.rules.matching(&call).next().cloned();
    match decide(call, profile) {
        Verdict::Allow(permit) => {
            let Ground::Rule(rule) = permit.ground() else {
                return None;
            };
            let (power, rule, except) = (endpoint.power, Arc::clone(rule), Vec::new());
            // The rule may be about some objects only.
            let partly = partly || rule.depends_on_object(permit.call());
            Some(CallResult::Open(Box::new(Open {
                endpoint,
                power,
                rule,
                example: path,
                partly,
                care,
                except,
            })))
        }
        Verdict::Deny(denial) => {
            let (kind, rule) = (denial.reason.kind(), matching?);
            Some(match &denial.reason {
                DenialReason::Denied { rule: by } => CallResult::Denied(Denied {
                    endpoint,
                    rule,
                    by: Arc::clone(by),
                }),
                _ => CallResult::Closed(Closed {
                    endpoint,
                    rule,
                    kind,
                    denial,
                }),
            })
        }
    }
}

/// Returns the call of a path, if it is one of this endpoint and not of another.
fn call_of_endpoint(endpoint: &'static Endpoint, path: &str) -> Option<Call> {
    let call = Call::from_path(endpoint.method, path).ok()?;
    call.endpoint()
        .is_some_and(|found| std::ptr::eq(found, endpoint))
        .then_some(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::method::Method;
    use crate::rule::{BUILT_IN, BUILT_IN_ORIGIN, parse};

    fn of(rules: &str) -> Survey {
        let mut all = parse(BUILT_IN_ORIGIN, BUILT_IN).expect("built-in");
        all.extend(parse("t", rules).expect(rules));
        let (rules, limits, guard) = (RuleSet::new(all), ClientLimits::default(), Arc::default());
        let (name, targets) = ("p".to_owned(), Arc::default());
        survey(&Profile {
            name,
            rules,
            limits,
            guard,
            targets,
            mode: Mode::Audit,
            recreation: None,
            ..Profile::default()
        })
    }

    fn lines<'a>(rules: impl Iterator<Item = &'a Arc<Rule>>) -> Vec<usize> {
        rules.map(|rule| rule.position.line).collect()
    }

    #[test]
    fn what_is_open_and_what_is_not() {
        let found = of(
            "GET,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET %API_PREFIX_CONTAINERS%/web/archive\nGET \
            /v1\\.4[0-9]/images/json",
        );
        let open = |shape: &str, method: Method| {
            found
                .open
                .iter()
                .find(|open| open.endpoint.shape == shape && open.endpoint.method == method)
        };
        let list = open("/containers/json", Method::Get).expect("open");
        assert_eq!(
            (list.partly, list.care, list.rule.position.line),
            (false, Care::Nothing, 1)
        );
        assert_eq!(
            open("/containers/create", Method::Post).expect("open").care,
            Care::Judged
        );
        let archive = open("/containers/{container*}/archive", Method::Get).expect("named");
        assert_eq!(
            (archive.partly, archive.example.as_str()),
            (true, "/containers/web/archive")
        );
        let images = open("/images/json", Method::Get).expect("of one version");
        assert_eq!(
            (images.partly, images.example.as_str()),
            (true, "/v1.40/images/json")
        );
        assert!(open("/containers/{container*}", Method::Delete).is_none());
        let closed: Vec<_> = found
            .closed
            .iter()
            .map(|closed| (closed.endpoint.shape, closed.kind.word()))
            .collect();
        assert!(
            closed.contains(&("/containers/{container*}/export", "wildcard")),
            "{closed:?}"
        );
        assert!(
            !closed.contains(&("/containers/{container*}/archive", "wildcard")),
            "{closed:?}"
        );
        assert!(
            found.idle.is_empty() && found.covered.is_empty(),
            "{found:?}"
        );
        // Podman hands the contents of a secret over to whoever may name it.
        let reads = |rules: &str| {
            of(rules)
                .open
                .iter()
                .any(|open| open.power == Power::ReadConfigs)
        };
        assert!(reads("GET %API_PREFIX_SECRETS%/db") && !reads("GET %API_PREFIX_SECRETS%(/.*)?"));
    }

    #[test]
    fn rules_that_are_not_what_they_seem() {
        let found = of(
            "GET /containers/json\nGET /v1.43/info\nGET %API_PREFIX%/events\nGET .*\nGET \
            %API_PREFIX_CONTAINERS%(/.*)?",
        );
        assert_eq!(lines(found.bare.iter()), [1]);
        assert_eq!(lines(found.catch_all.iter()), [4]);
    }

    #[test]
    fn rules_that_do_nothing() {
        for (rules, idle, covered) in [
            (
                "GET %API_PREFIX_BUILD%(/.*)?\nPOST %API_PREFIX_BUILD%(/.*)?",
                &[1][..],
                &[][..],
            ),
            (
                "GET /containers/jsn\nPATCH .*\nHEAD /info\nGET /x\\b.*",
                &[1, 2],
                &[],
            ),
            (
                "GET /containers/json\nGET %API_PREFIX_CONTAINERS%/.*",
                &[],
                &[1],
            ),
            ("GET /info\nGET /events\nGET /events", &[], &[3]),
            ("GET,HEAD /events\nGET %API_PREFIX%/.*", &[], &[]),
            ("GET /events\nGET,HEAD %API_PREFIX%/.*", &[], &[1]),
            // A wildcard does not do what a rule by name does.
            ("GET %API_PREFIX_IMAGES%/get\nGET .*", &[], &[]),
            ("POST %API_PREFIX_LIBPOD%/kube/play\nPOST .*", &[], &[]),
            (
                "GET /containers/[^/]+/(json|future)\nGET /containers/.*",
                &[],
                &[],
            ),
            (
                "GET /containers/[a-b]/archive\nGET /containers/(a/archive|b/.*)",
                &[],
                &[],
            ),
            (
                "GET %API_PREFIX_SECRETS%/db\nGET %API_PREFIX_SECRETS%/.*",
                &[],
                &[],
            ),
            (
                "GET %API_PREFIX_VOLUMES%(/.*)?\nGET %API_PREFIX%/vol.*",
                &[],
                &[1],
            ),
            ("GET %API_PREFIX_PING%", &[], &[]),
        ] {
            let found = of(rules);
            assert_eq!(lines(found.idle.iter()), idle, "{rules}");
            assert_eq!(
                lines(found.covered.iter().map(|(rule, _)| rule)),
                covered,
                "{rules}"
            );
        }
    }

    #[test]
    fn what_is_denied_is_not_open() {
        let found = |rules: &str| {
            let found = of(rules);
            let name = |endpoint: &Endpoint| endpoint.id.name();
            let open = |id: &str| {
                let open = found.open.iter().find(|open| name(open.endpoint) == id);
                open.map(|open| (open.partly, lines(open.except.iter())))
            };
            let is_denied = |id: &str| {
                found
                    .denied
                    .iter()
                    .any(|denied| name(denied.endpoint) == id)
            };
            let useless = lines(found.useless.iter().map(|(rule, _)| rule));
            let row =
                ["container.stop", "libpod.container.stop"].map(|id| (open(id), is_denied(id)));
            (row, useless)
        };
        const OPEN: (Option<(bool, Vec<usize>)>, bool) = (Some((false, Vec::new())), false);
        const DENIED: (Option<(bool, Vec<usize>)>, bool) = (None, true);
        const NOTHING: (Option<(bool, Vec<usize>)>, bool) = (None, false);
        let except = |partly| (Some((partly, vec![2])), false);
        for (rules, want, useless) in [
            ("POST .*", [OPEN, OPEN], &[][..]),
            ("POST .*\nDENY container.stop", [DENIED, DENIED], &[]),
            ("POST .*\nDENY change", [DENIED, DENIED], &[]),
            (
                "POST .*\nDENY POST %API_PREFIX_CONTAINERS%/.*/stop",
                [DENIED, OPEN],
                &[],
            ),
            (
                "POST .*\nDENY POST %API_PREFIX_CONTAINERS%/db/stop",
                [except(false), OPEN],
                &[],
            ),
            (
                "POST .*\nDENY container.stop(db)",
                [except(false), except(false)],
                &[],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/.*/stop\nDENY container.stop",
                [DENIED, NOTHING],
                &[1],
            ),
            (
                "ALLOW container.stop, container.start\nDENY container.stop",
                [DENIED, NOTHING],
                &[],
            ),
            (
                "ALLOW container.stop\nDENY POST %API_PREFIX_CONTAINERS%/.*/stop",
                [DENIED, NOTHING],
                &[1],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/(db|web)/stop\nDENY container.stop(db)",
                [except(true), NOTHING],
                &[],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/(aa|web)/stop\nDENY container.stop(aa)",
                [except(true), NOTHING],
                &[],
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/aa/stop\nDENY container.stop(a*)",
                [DENIED, NOTHING],
                &[1],
            ),
            (
                "ALLOW container.stop(db)",
                [(Some((true, vec![])), false), NOTHING],
                &[],
            ),
            ("DENY container.stop", [NOTHING, NOTHING], &[]),
        ] {
            assert_eq!(found(rules), (want, useless.to_vec()), "{rules}");
        }
    }

    #[test]
    fn rules_by_name_cover_others_and_are_covered() {
        for (rules, idle, covered) in [
            (
                "ALLOW container.list\nGET %API_PREFIX_CONTAINERS%/json",
                &[][..],
                &[2][..],
            ),
            ("GET %API_PREFIX_CONTAINERS%/json\nALLOW look", &[], &[1]),
            ("ALLOW container.list\nALLOW look", &[], &[1]),
            ("ALLOW container.list(x)".trim_end_matches("(x)"), &[], &[]),
            (
                "ALLOW container.inspect(web)\nALLOW container.inspect",
                &[],
                &[1],
            ),
            (
                "ALLOW container.inspect(web-1)\nALLOW container.inspect(web-*)",
                &[],
                &[1],
            ),
            (
                "ALLOW container.inspect\nGET %API_PREFIX_CONTAINERS%/.*",
                &[],
                &[1],
            ),
            // A name opens what a wildcard does not.
            ("ALLOW container.archive_get\nGET .*", &[], &[]),
            ("ALLOW image.list, image.save\nALLOW image.*", &[], &[]),
            (
                "GET %API_PREFIX_IMAGES%/json\nPOST %API_PREFIX_IMAGES%/load\nALLOW image.list",
                &[],
                &[3],
            ),
            (
                "DENY GET /containers/jsn\nGET %API_PREFIX_EVENTS%",
                &[1],
                &[],
            ),
        ] {
            let found = of(rules);
            assert_eq!(lines(found.idle.iter()), idle, "{rules}");
            assert_eq!(
                lines(found.covered.iter().map(|(rule, _)| rule)),
                covered,
                "{rules}"
            );
        }
        assert_eq!(
            lines(
                of("GET %API_PREFIX_EVENTS%\nDENY POST /containers/db/stop")
                    .bare
                    .iter()
            ),
            [2]
        );
    }

    /// Every version that a path may name is looked at.
    #[test]
    fn odd_versions_are_versions_too() {
        for rule in [
            "/v1\\.12/libpod/containers/.*",
            "/v3\\.0\\.0/containers/create",
            "/v01.41.0/containers/create",
            "/v2/containers/.*",
        ] {
            let found = of(&format!("POST {rule}"));
            let creates = found
                .open
                .iter()
                .any(|open| open.power == Power::CreateContainers);
            assert!(creates && found.idle.is_empty(), "{rule}: {found:?}");
        }
    }

    /// What can be called is what [`decide()`] allows, for every endpoint: the survey has no
    /// opinion of its own.
    #[test]
    fn every_shape_is_found_by_its_own_paths() {
        for (endpoint, shape) in &Surveyor::default().shapes {
            let paths = EXAMPLE_OBJECTS.map(|word| endpoint.path_with(word));
            assert!(
                paths
                    .iter()
                    .all(|path| call_of_endpoint(endpoint, path).is_some()),
                "{} {paths:?}",
                endpoint.shape
            );
            let shape = shape.as_ref().expect(endpoint.shape);
            let all = Language::new(".*").expect("plain");
            let path = shape
                .shortest_common_text(&all)
                .expect("short")
                .expect("not empty");
            assert!(Call::from_path(endpoint.method, &path).is_ok(), "{path}");
        }
    }
}
