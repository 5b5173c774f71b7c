//! Compares a call with the rules of a profile (`docs/internals/named-words.md`).
//!
//! A call is refused unless a rule allows it and no rule denies it. Two kinds of call need more
//! than a match: endpoints that hand over or write the contents of files or that are a live channel
//! (the vault), and paths that the endpoint table does not have. A rule opens those only if it
//! names them: `GET /containers(/.*)?` was written to look at containers, not to read the files
//! inside them.
//!
//! The way to a rule: [`decide`] calls [`find_granting_rule`], which asks for a rule that denies,
//! and then [`find_opening_rule`]. That takes the rules whose path fits (`RuleSet::matching` in
//! `rule/matcher.rs`, which compares by the forms of `rule/form.rs`), and looks for one that opens
//! the call ([`opens`]), by its name if [`to_name`] says that it has to.

use std::sync::Arc;

use crate::advice::buildkit;
use crate::advice::exec;
use crate::denial::{Denial, DenialKind, DenialReason};
use crate::endpoint::{self, Endpoint};
use crate::guard::{
    self, Case, Cleared, Duty, EndpointReader, Guard, GuardLevel, Objection, Obligation,
    Surroundings, Use,
};
use crate::identity::profile::{Mode, Profile};
use crate::object::Object;
use crate::pending::Pending;
use crate::replacement::replacement;
use crate::request::call::Call;
use crate::request::method::Method;
use crate::rule::{Rule, RuleSet};
use crate::view::{AnswerFilter, Viewer};

/// The decision of a profile's rules about a call.
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// The rules allow the call.
    Allow(Permit),
    /// The rules refuse the call.
    Deny(Denial),
}

/// Proof that the rules of a profile let a call pass. Only [`decide()`] makes one. Its obligations
/// are the checks that remain: only a [`Cleared`] call may be sent.
#[derive(Debug)]
pub struct Permit {
    pub(crate) call: Call,
    pub(crate) ground: Ground,
    obligation: Option<Obligation>,
    mode: Mode,
    /// The object that the engine has to describe before the rules have decided.
    pub(crate) pending: Option<Box<Pending>>,
}

/// The reason why a call may pass.
#[derive(Debug)]
pub enum Ground {
    /// A rule allows it.
    Rule(Arc<Rule>),
    /// No rule does, and the profile is in audit mode.
    Unenforced {
        /// The kind of the refusal.
        kind: DenialKind,
        /// The message of the refusal.
        text: String,
        /// The rules that would allow it.
        rules: Vec<String>,
    },
}

impl Permit {
    /// Decides about a call by the name of its container instead of the client's word for it.
    pub(crate) fn by_name(by_name: &Call, container: &Object, profile: &Profile) -> Verdict {
        match decide(by_name.clone(), profile) {
            Verdict::Allow(mut permit) => {
                // A call that no answer of the engine can help is held under every name of the
                // container.
                permit
                    .pending
                    .get_or_insert_with(|| Pending::container(&container.name));
                permit.answer(container, profile)
            }
            denied @ Verdict::Deny(_) => denied,
        }
    }

    /// Returns the call that was judged.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Returns the reason why the call may pass.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Returns the call as one that may be sent, unless it still has obligations.
    #[must_use]
    pub fn cleared(&self) -> Option<Cleared> {
        (self.obligation.is_none() && self.pending.is_none()).then_some(Cleared {
            call: None,
            body: None,
            new_volumes: Vec::new(),
            claim: None,
            rewritten: Vec::new(),
        })
    }

    /// Returns the call as one that may be sent against the guard's objection, which only a profile
    /// in audit mode allows. The client's body is sent as it is, but for images that have another
    /// name in this profile: the client looks for them by that name.
    #[must_use]
    pub fn waived(&self, body: &[u8]) -> Option<Cleared> {
        (self.mode == Mode::Audit).then(|| self.with_rewritten_images(body))
    }

    fn with_rewritten_images(&self, body: &[u8]) -> Cleared {
        let mut cleared = Cleared {
            call: None,
            body: None,
            new_volumes: Vec::new(),
            claim: None,
            rewritten: Vec::new(),
        };
        let guard = self.obligation.as_ref().map(|obligation| &obligation.guard);
        if let (Some(guard), Some(endpoint)) = (guard, self.call.endpoint())
            && guard.rewrites_images()
            && let Ok(mut json) = guard::Json::read(body)
        {
            cleared.rewritten = guard.rewrite_images_of_body(endpoint.id, &mut json);
            cleared.body = (!cleared.rewritten.is_empty()).then(|| json.to_string());
        }
        if guard.is_some_and(|guard| guard.withholds_body(&self.call)) {
            cleared.body = Some("{}".to_owned());
        }
        cleared
    }

    /// Returns whether the call has obligations before it may be sent.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.obligation.is_some() || self.pending.is_some()
    }

    /// Returns whether the judgement needs the body.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.obligation
            .as_ref()
            .and_then(|obligation| obligation.reader)
            .is_some_and(EndpointReader::reads_body)
    }

    /// Returns whether the guard needs to know the proxy's own container, because the call may name
    /// something that belongs to it.
    #[must_use]
    pub fn needs_proxy(&self) -> bool {
        let is_guarded = self
            .obligation
            .as_ref()
            .is_some_and(|obligation| obligation.guard.level != GuardLevel::Privileged);
        let may_name = |endpoint: &Endpoint| guard::may_name_the_proxys(endpoint.id);
        is_guarded && (self.judges_recreation() || self.call.endpoint().is_some_and(may_name))
    }

    /// Returns whether the call may lose a container whose re-creation is judged first. The
    /// judgement then needs all settings of that container.
    #[must_use]
    pub fn judges_recreation(&self) -> bool {
        self.obligation
            .as_ref()
            .is_some_and(|obligation| obligation.replacement.is_some())
    }

    /// Returns the filter for the answer to the call; `None` if the answer is passed on as it comes.
    /// Audit mode filters nothing.
    #[must_use]
    pub fn answer_filter(&self, viewer: &Arc<Viewer>) -> Option<AnswerFilter> {
        match self.mode {
            Mode::Enforce => AnswerFilter::for_call(&self.call, viewer),
            Mode::Audit => None,
        }
    }

    /// Opens the case: judges query and body, and lists the questions for the engine.
    ///
    /// # Errors
    /// The guard's objection.
    pub fn open<'a>(
        &'a self,
        content_type: Option<&str>,
        body: &'a [u8],
        surroundings: Surroundings<'a>,
    ) -> Result<Case<'a>, Objection> {
        if let Some(pending) = &self.pending {
            return Err(pending.objection());
        }
        match &self.obligation {
            Some(obligation) => obligation.open(&self.call, content_type, body, surroundings),
            None => Ok(Case::nothing_to_judge(self.call.clone())),
        }
    }
}

/// Decides whether the rules of a profile allow a call, whether or not they are enforced.
pub fn decide(call: Call, profile: &Profile) -> Verdict {
    let call = profile.rewrite_images(call);
    match find_granting_rule(&call, profile) {
        Ok((rule, reader)) => {
            let (pending, obligation) = (
                Pending::for_call(&call, &rule, profile),
                obligation(&call, profile, reader),
            );
            Verdict::Allow(Permit {
                call,
                ground: Ground::Rule(rule),
                obligation,
                mode: profile.mode,
                pending,
            })
        }
        Err(reason) => {
            let can_build = buildkit::can_be_opened(&profile.guard);
            let is_closed = matches!(reason, DenialReason::Closed { .. });
            let needs_rule = is_closed && find_opening_rule(&call, profile).is_err();
            let missing_half = exec::find_missing_half(&call, profile);
            Verdict::Deny(Denial {
                call,
                reason,
                can_build,
                needs_rule,
                missing_half,
                profile: profile.name.clone(),
                is_unmatched: false,
            })
        }
    }
}

impl Verdict {
    /// Lets a denied call pass if the profile is in audit mode, with the denial as the ground.
    pub fn unless_enforced(self, profile: &Profile) -> Self {
        let denial = match self {
            Self::Deny(denial) if profile.mode == Mode::Audit => denial,
            decided => return decided,
        };
        let ground = Ground::Unenforced {
            kind: denial.reason.kind(),
            text: denial.to_string(),
            rules: denial.rules_to_add(),
        };
        // The guard is asked as well, since adding a rule might not be enough.
        let reader = match guard::duty(&denial.call, &profile.guard) {
            Duty::Judge(reader) => Some(reader),
            Duty::Pass | Duty::Closed(_) | Duty::Unread => None,
        };
        let obligation = obligation(&denial.call, profile, reader);
        Self::Allow(Permit {
            call: denial.call,
            ground,
            obligation,
            mode: profile.mode,
            pending: None,
        })
    }
}

/// Returns the rule that grants a call, and the reader that judges its query and body.
pub(crate) fn find_granting_rule(
    call: &Call,
    profile: &Profile,
) -> Result<(Arc<Rule>, Option<&'static EndpointReader>), DenialReason> {
    if let Some(rule) = find_denying_rule(&profile.rules, call, &profile.guard) {
        return Err(DenialReason::Denied {
            rule: Arc::clone(rule),
        });
    }
    let by_get = as_get(call, profile);
    let found = match (find_opening_rule(call, profile), &by_get) {
        (Err(by_wildcard), Some(get)) => {
            find_opening_rule(get, profile).map_err(|other| by_wildcard.or(other))
        }
        (found, _) => found,
    };
    let asked = by_get.as_ref().unwrap_or(call);
    match found {
        Ok(rule) => apply_guard(call, asked, profile, rule),
        // No rule can open the endpoint.
        Err(_) if let Duty::Closed(why) = guard::duty(call, &profile.guard) => {
            Err(DenialReason::Closed { why })
        }
        Err(None) => match for_any_name(asked, profile) {
            Some(rule) => apply_guard(call, asked, profile, rule),
            None => Err(DenialReason::NoRule),
        },
        Err(Some(rule)) if call.endpoint().is_some() => Err(DenialReason::Vault { rule }),
        Err(Some(rule)) => Err(DenialReason::Unknown { rule }),
    }
}

/// Returns the first rule that denies the call. Operations that a call includes only on Podman are
/// left to the guard, which asks the engine; without a guard, the denial holds on every engine.
pub(crate) fn find_denying_rule<'r>(
    rules: &'r RuleSet,
    call: &Call,
    guard: &Guard,
) -> Option<&'r Arc<Rule>> {
    let on_podman = || match guard.level {
        GuardLevel::Privileged => rules.denial_on_podman(call),
        GuardLevel::Baseline | GuardLevel::Restricted => None,
    };
    rules.denial(call).or_else(on_podman)
}

/// Returns the call by `GET` whose rules allow this one by `HEAD` as well: the engine answers with
/// a part of its answer to `GET`.
fn as_get(call: &Call, profile: &Profile) -> Option<Call> {
    (call.method() == Method::Head && profile.rules.head_follows_get()).then(|| call.as_get())
}

/// Returns the first rule that opens a call, or else the first one that matches by a wildcard and
/// does not open it.
fn find_opening_rule(call: &Call, profile: &Profile) -> Result<Arc<Rule>, Option<Arc<Rule>>> {
    let to_name = to_name(call);
    let mut by_wildcard = None;
    for rule in profile.rules.matching(call) {
        if opens(rule, call, &to_name) {
            return Ok(Arc::clone(rule));
        }
        by_wildcard.get_or_insert_with(|| Arc::clone(rule));
    }
    Err(by_wildcard)
}

/// Returns the rule that grants a call if its object has this name.
pub(crate) fn find_rule_for_object(
    call: &Call,
    name: &str,
    profile: &Profile,
) -> Option<Arc<Rule>> {
    let granted = |call: &Call| {
        let to_name = to_name(call);
        profile
            .rules
            .matching_object(call, name)
            .find(|rule| opens(rule, call, &to_name))
            .cloned()
    };
    granted(call).or_else(|| granted(&as_get(call, profile)?))
}

/// Returns whether a match of the rule is enough to open the call.
pub(crate) fn opens(rule: &Rule, call: &Call, to_name: &ToName) -> bool {
    match to_name {
        ToName::Nothing => true,
        _ if rule.is_by_name() => names_endpoint_or_object(rule, call),
        ToName::Word(word) => names_word(rule, call, word),
        ToName::Unnameable => false,
    }
}

/// Returns whether a rule by name has the name of the call's endpoint. If the call reveals the
/// contents of an object, the rule needs the name of that object.
fn names_endpoint_or_object(rule: &Rule, call: &Call) -> bool {
    let Some(endpoint) = call.endpoint() else {
        return false;
    };
    match reveals(call, endpoint) {
        true => call
            .captured()
            .is_some_and(|captured| rule.names_object(endpoint.id, captured.word)),
        false => rule.names_endpoint(endpoint.id),
    }
}

/// Two names without a common letter, which no real object has.
pub(crate) const STRANGERS: [&str; 2] = ["cetusguard-any-name-1", "any_other.name-2"];

/// Returns the rule that lets a client look at any object of a kind, for a call whose word cannot
/// name such an object: `docker inspect` asks for the container `ghcr.io/a/b:tag` before it asks
/// for the image, and expects the engine's 404.
fn for_any_name(call: &Call, profile: &Profile) -> Option<Arc<Rule>> {
    let endpoint = call
        .endpoint()
        .filter(|endpoint| endpoint.inspects() && !reveals(call, endpoint))?;
    let is_about_any = |rule: &&Arc<Rule>| {
        STRANGERS.iter().all(|name| {
            let other = call.with_captured(name);
            rule.matches_path(other.path(), other.version_prefix().len())
        })
    };
    endpoint.captured(call.unversioned_path())?;
    let other = call.with_captured(STRANGERS[0]);
    profile.rules.matching(&other).find(is_about_any).cloned()
}

/// Applies the guard's duty to a call that a rule grants: returns the reader that judges the call,
/// or the reason of a refusal. `asked` is the call whose rules decide.
fn apply_guard(
    call: &Call,
    asked: &Call,
    profile: &Profile,
    rule: Arc<Rule>,
) -> Result<(Arc<Rule>, Option<&'static EndpointReader>), DenialReason> {
    if let Some(why) = profile.view.closes(call, &profile.guard) {
        return Err(DenialReason::BeyondView { why });
    }
    match guard::duty(call, &profile.guard) {
        Duty::Pass => Ok((rule, None)),
        Duty::Judge(reader) => Ok((rule, Some(reader))),
        Duty::Closed(why) => Err(DenialReason::Closed { why }),
        Duty::Unread => {
            // Unknown endpoints, and those that have to be named, are already granted by name only.
            let Some(endpoint) = call.endpoint().filter(|endpoint| !endpoint.is_named_only())
            else {
                return Ok((rule, None));
            };
            let word = Word::find(call.unversioned_path(), endpoint.word());
            let naming = word.and_then(|word| {
                profile
                    .rules
                    .matching(asked)
                    .find(|rule| names_word(rule, asked, &word))
            });
            naming
                .map(|rule| (Arc::clone(rule), None))
                .ok_or(DenialReason::Unread { rule })
        }
    }
}

/// Returns the obligation of a permit for this call; `None` if its path alone decides.
fn obligation(
    call: &Call,
    profile: &Profile,
    reader: Option<&'static EndpointReader>,
) -> Option<Obligation> {
    let is_guarded = profile.guard.level != GuardLevel::Privileged;
    let acts = !call.method().is_safe() || Use::of_call(call) != Use::Look;
    let is_due = reader.is_some()
        || (is_guarded && acts)
        || !profile.targets.is_empty()
        || profile.view.concerns(call)
        || profile.guard.judges_look(call);
    let (guard, targets) = (&profile.guard, &profile.targets);
    is_due.then(|| {
        let replacement = replacement(call, profile).map(Box::new);
        Obligation {
            reader,
            guard: Arc::clone(guard),
            targets: Arc::clone(targets),
            replacement,
        }
    })
}

/// The word that a rule has to name if a match alone is not enough.
pub(crate) enum ToName {
    /// None: a match is enough.
    Nothing,
    /// A word of the path.
    Word(Word),
    /// A word that no rule can name.
    Unnameable,
}

/// The longest word that can name an endpoint, in bytes.
const WORD_LIMIT: usize = 64;

pub(crate) fn to_name(call: &Call) -> ToName {
    let endpoint = call.endpoint();
    if endpoint.is_some_and(|endpoint| !endpoint.is_named_only() && !reveals(call, endpoint)) {
        return ToName::Nothing;
    }
    let path = call.unversioned_path();
    let mut segments = path[1..].split('/').filter(|segment| !segment.is_empty());
    let (Some(first), last) = (segments.next(), segments.next_back()) else {
        return ToName::Nothing;
    };
    let last = last.unwrap_or(first);
    let text = match endpoint {
        Some(endpoint) if endpoint.is_named_only() => endpoint.word(),
        Some(_) => last,
        // In a section that the table does not have, the rule must name the section; in a known
        // section, the last word.
        None if endpoint::is_section(first) => last,
        None => first,
    };
    match Word::find(path, text) {
        // A word without a letter or a digit cannot be told from a wildcard.
        Some(word) if text.len() <= WORD_LIMIT && altered_words(text).next().is_some() => {
            ToName::Word(word)
        }
        _ => ToName::Unnameable,
    }
}

/// Returns whether the call asks for the contents of an object.
pub(crate) fn reveals(call: &Call, endpoint: &Endpoint) -> bool {
    endpoint
        .reveals()
        .is_some_and(|parameter| call.may_ask_for(parameter))
}

/// A segment of the unversioned path.
pub(crate) struct Word {
    text: String,
    start: usize,
}

impl Word {
    /// Finds the last segment with this text: the engine's routes are decided by the last ones as
    /// well.
    fn find(path: &str, text: &str) -> Option<Self> {
        let at = path.rmatch_indices(text).map(|(at, _)| at).find(|at| {
            path[..*at].ends_with('/')
                && matches!(path.as_bytes().get(at + text.len()), None | Some(b'/'))
        })?;
        Some(Self {
            text: text.to_owned(),
            start: at,
        })
    }
}

/// Returns whether a rule names this very word: it stops matching if any letter of the word is
/// changed.
fn names_word(rule: &Rule, call: &Call, word: &Word) -> bool {
    if rule.is_by_name() {
        return names_endpoint_or_object(rule, call);
    }
    let path = call.unversioned_path();
    let (before, behind) = (&path[..word.start], &path[word.start + word.text.len()..]);
    let prefix = call.version_prefix();
    let another = |stranger| format!("{prefix}{before}{stranger}{behind}");
    !altered_words(&word.text).any(|stranger| rule.matches_path(&another(stranger), prefix.len()))
}

/// Returns the word with one letter replaced by the next or the previous one, for each letter. A
/// wildcard that matches the word matches one of these too, wherever it stands in the word, as in
/// `a.*`, `.*ive`, `a.*e`, `[a-z]{7}` and `[0-9a-f]+`.
pub(crate) fn altered_words(word: &str) -> impl Iterator<Item = String> {
    word.char_indices().flat_map(move |(at, c)| {
        let (before, behind) = (&word[..at], &word[at + c.len_utf8()..]);
        [neighbouring_character(c, 1), neighbouring_character(c, -1)]
            .into_iter()
            .flatten()
            .map(move |turned| format!("{before}{turned}{behind}"))
    })
}

/// Returns the next character of the same kind in this direction, and wraps around at the ends.
fn neighbouring_character(c: char, by: i32) -> Option<char> {
    let (first, count) = match c {
        'a'..='z' => ('a', 26),
        'A'..='Z' => ('A', 26),
        '0'..='9' => ('0', 10),
        _ => return None,
    };
    let offset = (c as i32 - first as i32 + by).rem_euclid(count);
    char::from_u32(u32::try_from(first as i32 + offset).ok()?)
}

/// Returns a path, cut to a length that a message can show.
pub(crate) fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(256)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{BUILT_IN, RuleSet, parse};

    fn profile(rules: &str) -> Profile {
        let rules = parse("test", rules).unwrap_or_else(|mistakes| panic!("{}", mistakes[0]));
        let limits = crate::identity::limit::ClientLimits::default();
        let guard = Arc::default();
        let (name, targets) = ("default".to_owned(), Arc::default());
        Profile {
            name,
            rules: RuleSet::new(rules),
            limits,
            guard,
            targets,
            mode: Mode::Enforce,
            recreation: None,
            ..Profile::default()
        }
    }

    fn verdict(rules: &str, request: &str) -> &'static str {
        let (method, target) = request.split_once(' ').expect("METHOD TARGET");
        match decide(Call::read(method, target).expect(target), &profile(rules)) {
            Verdict::Allow(_) => "allow",
            Verdict::Deny(denial) => denial.reason.kind().word(),
        }
    }

    const BASIC: &str = "GET %API_PREFIX_EVENTS%\nGET,HEAD,POST \
        %API_PREFIX_EXEC%(/.*)?\nGET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET,HEAD \
        %API_PREFIX_IMAGES%(/.*)?\nGET,HEAD %API_PREFIX_VOLUMES%(/.*)?\nGET,HEAD \
        %API_PREFIX_NETWORKS%(/.*)?\nGET,HEAD %API_PREFIX_BUILD%(/.*)?";

    #[test]
    fn each_letter_and_digit_of_a_word_has_two_neighbours() {
        for (word, want) in [
            ("b", &["c", "a"][..]),
            ("a", &["b", "z"]),
            ("Z", &["A", "Y"]),
            ("9", &["0", "8"]),
            ("x-1", &["y-1", "w-1", "x-2", "x-0"]),
            ("-._", &[]),
        ] {
            assert_eq!(altered_words(word).collect::<Vec<_>>(), want, "{word}");
        }
    }

    #[test]
    fn a_word_is_a_whole_segment() {
        for (path, want) in [
            ("/containers/web/archive", Some(16)),
            ("/containers/archive/archive", Some(20)),
            ("/archive/x", Some(1)),
            ("/containers/myarchive", None),
            ("/containers/archive2/json", None),
            ("/containers/my-archive-2", None),
        ] {
            let found = Word::find(path, "archive").map(|word| word.start);
            assert_eq!(found, want, "{path}");
        }
    }

    #[test]
    fn facts_of_the_rule_language() {
        const READ: &str = "GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?";
        const NAMED: &str = "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive";
        for (rules, request, want) in [
            // The documentation's four checks.
            (BASIC, "GET /v1.43/containers/json", "allow"),
            (BASIC, "POST /v1.43/containers/web/start", "allow"),
            (BASIC, "DELETE /v1.43/containers/web", "no_rule"),
            (BASIC, "POST /v1.43/images/create?fromImage=x", "no_rule"),
            // What it lists as allowed and as blocked.
            (BASIC, "GET /events?filters={}", "allow"),
            (BASIC, "POST /containers/web/exec", "allow"),
            (BASIC, "POST /exec/0123/start", "allow"),
            (BASIC, "POST /containers/create?name=x", "allow"),
            (BASIC, "POST /containers/web/attach", "allow"),
            (BASIC, "GET /images/ghcr.io/a/b/json", "allow"),
            (BASIC, "PUT /containers/web/archive?path=/", "no_rule"),
            (BASIC, "POST /images/x/push", "no_rule"),
            (BASIC, "POST /build", "no_rule"),
            (BASIC, "POST /volumes/create", "no_rule"),
            // Anchoring and normal form.
            (
                "GET /containers/json|/info",
                "GET /containers/json/x",
                "no_rule",
            ),
            ("GET /containers/json|/info", "GET /x/info", "no_rule"),
            (READ, "GET /containersXYZ", "no_rule"),
            (READ, "GET /x/../containers/json", "allow"),
            (READ, "POST /containers/json", "no_rule"),
            (
                "GET %API_PREFIX_CONTAINERS%/json(\\?.*)?",
                "GET /containers/json?all=1",
                "allow",
            ),
            (
                "POST %API_PREFIX_CONTAINERS%/create",
                "POST /containers/%2563reate",
                "no_rule",
            ),
            (BUILT_IN, "HEAD /_ping", "allow"),
            (BUILT_IN, "GET /v1.41/_ping", "allow"),
            (BUILT_IN, "GET /libpod/_ping", "allow"),
            (BUILT_IN, "GET /v4.0.0/libpod/_ping", "allow"),
            // HEAD follows GET.
            (BUILT_IN, "HEAD /version", "allow"),
            (BUILT_IN, "POST /version", "no_rule"),
            (NAMED, "HEAD /containers/web/archive", "allow"),
            ("GET .*", "HEAD /containers/web/archive", "wildcard"),
            ("GET .*", "HEAD /secrets/db?showsecret=1", "wildcard"),
            ("HEAD .*", "GET /version", "no_rule"),
            // Names.
            (
                "ALLOW container.list, image.list",
                "GET /v1.43/containers/json?all=1",
                "allow",
            ),
            (
                "ALLOW container.list, image.list",
                "GET /images/json",
                "allow",
            ),
            (
                "ALLOW container.list",
                "GET /containers/web/json",
                "no_rule",
            ),
            (
                "ALLOW container.list",
                "GET /v4.0.0/libpod/containers/json",
                "no_rule",
            ),
            ("ALLOW container.list", "POST /containers/json", "no_rule"),
            ("ALLOW container.list", "HEAD /containers/json", "allow"),
            ("ALLOW container.list", "GET /%63ontainers//json", "allow"),
            (
                "ALLOW container.inspect",
                "GET /containers/web%2Fdb/json",
                "allow",
            ),
            (
                "ALLOW container.inspect(web)",
                "GET /containers/web/json",
                "allow",
            ),
            (
                "ALLOW container.inspect(web)",
                "GET /containers/web-2/json",
                "no_rule",
            ),
            ("ALLOW look", "GET /containers/json", "allow"),
            ("ALLOW look", "GET /v4.0.0/libpod/containers/json", "allow"),
            ("ALLOW look", "GET /containers/web/json", "no_rule"),
            ("ALLOW look, secrets", "GET /containers/web/json", "allow"),
            // A power and a family are wildcards; a name is none.
            ("ALLOW secrets", "GET /containers/web/archive", "wildcard"),
            (
                "ALLOW container.*",
                "GET /containers/web/archive",
                "wildcard",
            ),
            (
                "ALLOW container.archive_get",
                "GET /containers/web/archive",
                "allow",
            ),
            (
                "ALLOW container.archive_get",
                "HEAD /containers/web/archive",
                "allow",
            ),
            (
                "ALLOW container.archive_stat",
                "GET /containers/web/archive",
                "no_rule",
            ),
            (
                "ALLOW host",
                "POST /v5.0.0/libpod/kube/play",
                "uninspected_body",
            ),
            (
                "ALLOW libpod.kube.play",
                "POST /v5.0.0/libpod/kube/play",
                "allow",
            ),
            ("ALLOW plugin.pull", "POST /plugins/pull", "closed_endpoint"),
            ("ALLOW look", "GET /secrets/db?showsecret=1", "wildcard"),
            ("ALLOW secret.inspect", "GET /secrets/db", "allow"),
            (
                "ALLOW secret.inspect",
                "GET /secrets/db?showsecret=1",
                "wildcard",
            ),
            (
                "ALLOW secret.inspect(*)",
                "GET /secrets/db?showsecret=1",
                "wildcard",
            ),
            (
                "ALLOW secret.inspect(db)",
                "GET /secrets/db?showsecret=1",
                "allow",
            ),
            // Denials.
            (
                "DENY container.stop\nPOST .*",
                "POST /v1.43/containers/web/stop",
                "deny_rule",
            ),
            (
                "POST .*\nDENY container.stop",
                "POST /v5.0.0/libpod/containers/web/stop",
                "deny_rule",
            ),
            (
                "POST .*\nDENY libpod.container.stop",
                "POST /containers/web/stop",
                "deny_rule",
            ),
            (
                "POST .*\nDENY change",
                "POST /containers/web/stop",
                "deny_rule",
            ),
            (
                "POST .*\nDENY container.stop",
                "POST /containers/web/start",
                "allow",
            ),
            (
                "POST .*\nDENY POST %API_PREFIX_CONTAINERS%/.*/stop",
                "POST /v1.43/containers/web/stop",
                "deny_rule",
            ),
            (
                "POST .*\nDENY POST %API_PREFIX_CONTAINERS%/.*/stop",
                "POST /v5.0.0/libpod/containers/web/stop",
                "allow",
            ),
            (
                "GET .*\nDENY GET %API_PREFIX_VERSION%",
                "HEAD /version",
                "deny_rule",
            ),
            (
                "GET .*\nDENY HEAD %API_PREFIX_VERSION%",
                "GET /version",
                "allow",
            ),
            (
                "GET,HEAD .*\nDENY system.version",
                "HEAD /v1.43/version",
                "deny_rule",
            ),
            (
                "GET,HEAD .*\nDENY container.archive_get",
                "HEAD /containers/web/archive",
                "deny_rule",
            ),
            (
                "GET .*\nDENY GET .*/future",
                "GET /containers/web/future",
                "deny_rule",
            ),
            (
                "DENY container.stop",
                "POST /containers/web/stop",
                "deny_rule",
            ),
            ("DENY plugin.*\nPOST .*", "POST /plugins/pull", "deny_rule"),
            // A wildcard never opens the vault.
            (BASIC, "GET /containers/web/export", "wildcard"),
            (
                BASIC,
                "GET /v1.43/containers/web/archive?path=/etc",
                "wildcard",
            ),
            (BASIC, "GET /containers/web/attach/ws", "wildcard"),
            (BASIC, "GET /images/x/get", "wildcard"),
            (BASIC, "GET /images/get?names=x", "wildcard"),
            (BASIC, "POST /containers/web/checkpoints", "wildcard"),
            (READ, "GET /containers/archive/archive", "wildcard"),
            ("GET .*", "GET /swarm/unlockkey", "wildcard"),
            ("POST .*", "POST /session", "wildcard"),
            ("POST %API_PREFIX%/(grpc|session)", "POST /session", "allow"),
            (
                "GET /containers/[^/]+/a.*",
                "GET /containers/web/archive",
                "wildcard",
            ),
            (
                "GET /containers/[^/]+/[a-z]{7}",
                "GET /containers/web/archive",
                "wildcard",
            ),
            (
                "GET /containers/[^/]+/.*ive",
                "GET /containers/web/archive",
                "wildcard",
            ),
            (
                "GET /containers/[^/]+/.{6,}",
                "GET /containers/web/archive",
                "wildcard",
            ),
            (
                "GET /containers/[^/]+/a[a-z]*e",
                "GET /containers/web/archive",
                "wildcard",
            ),
            ("HEAD .*", "HEAD /containers/web/archive", "wildcard"),
            // Podman's own parameter, in every spelling that it takes.
            ("GET .*", "GET /secrets/db", "allow"),
            ("GET .*", "GET /secrets/db?showsecret=1", "wildcard"),
            (
                "GET %API_PREFIX_SECRETS%(/.*)?",
                "GET /v1.41/secrets/db?SHOW%53ecret=true",
                "wildcard",
            ),
            (
                "GET %API_PREFIX_SECRETS%/.*",
                "GET /secrets/db?show%C5%BFecret=true",
                "wildcard",
            ),
            (
                "GET %API_PREFIX_SECRETS%/db",
                "GET /secrets/db?showsecret=1",
                "allow",
            ),
            (
                "GET /containers/[^/]+/(archive|logs)",
                "GET /containers/web/archive",
                "allow",
            ),
            (
                "GET /containers/.*archive",
                "GET /containers/web/archive",
                "allow",
            ),
            (NAMED, "GET /containers/web/archive", "allow"),
            (NAMED, "GET /v1.43/containers/archive/archive", "allow"),
            (NAMED, "GET /containers/web/export", "no_rule"),
            (
                "GET .*\nGET %API_PREFIX_IMAGES%/get",
                "GET /images/get",
                "allow",
            ),
            // What no engine knows.
            (BASIC, "POST /containers/create;x", "unknown_endpoint"),
            (BASIC, "GET /containers/web/future", "unknown_endpoint"),
            ("GET .*", "GET /future/thing", "unknown_endpoint"),
            ("GET .*", "GET /containers/x/y/_", "unknown_endpoint"),
            ("GET .*", "GET /%C3%A9", "unknown_endpoint"),
            ("GET .*", "GET /secrets/%C3%A9?showsecret=1", "wildcard"),
            (
                "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID%(/.*)?",
                "GET /containers/0123abcdef",
                "unknown_endpoint",
            ),
            (
                "GET %API_PREFIX%/future/.*",
                "GET /v1.99/future/thing",
                "allow",
            ),
            (
                "GET %API_PREFIX_CONTAINERS%/.*/future",
                "GET /containers/web/future",
                "allow",
            ),
            ("GET .*", "GET /", "allow"),
        ] {
            assert_eq!(verdict(rules, request), want, "{rules} ← {request}");
        }
    }

    #[test]
    fn head_is_a_method_of_its_own_where_it_does_not_follow() {
        for (rules, request, want) in [
            (BUILT_IN, "HEAD /version", "no_rule"),
            (
                "GET %API_PREFIX_CONTAINERS%/[^/]+/archive",
                "HEAD /containers/web/archive",
                "no_rule",
            ),
            ("ALLOW container.list", "HEAD /containers/json", "no_rule"),
            ("ALLOW system.ping_head", "HEAD /_ping", "allow"),
            (
                "GET,HEAD .*\nDENY GET %API_PREFIX_VERSION%",
                "HEAD /version",
                "deny_rule",
            ),
        ] {
            let mut profile = profile(rules);
            profile.rules = profile.rules.with_exact_methods();
            let (method, target) = request.split_once(' ').expect("METHOD TARGET");
            let code = match decide(Call::read(method, target).expect(target), &profile) {
                Verdict::Allow(_) => "allow",
                Verdict::Deny(denial) => denial.reason.kind().word(),
            };
            assert_eq!(code, want, "{rules} ← {request}");
        }
    }

    #[test]
    fn a_refusal_by_denial_names_the_rule() {
        let call = Call::read("POST", "/v1.43/containers/web/stop").expect("plain");
        let Verdict::Deny(denial) = decide(call, &profile("POST .*\nDENY container.stop")) else {
            panic!("allowed")
        };
        assert_eq!(
            denial.to_string(),
            "the rule `DENY container.stop` of profile default denies POST \
            /v1.43/containers/web/stop, whatever other rules say; to allow it, take that rule out \
            or narrow it"
        );
        assert_eq!((denial.rule_to_add(), denial.name_to_add()), (None, None));
    }

    #[test]
    fn no_rule_is_promised_that_would_not_help() {
        for target in [
            "/containers/web/_",
            "/%C3%A9",
            &format!("/containers/web/{}", "x".repeat(65)),
        ] {
            let Verdict::Deny(denial) =
                decide(Call::read("GET", target).expect("plain"), &profile(""))
            else {
                panic!("{target}")
            };
            assert!(
                denial.to_string().ends_with("; no rule can open it"),
                "{denial}"
            );
        }
    }

    #[test]
    fn the_rule_to_add_for_a_revealing_call_names_the_object() {
        let call = Call::read("GET", "/v1.41/secrets/db?showsecret=1").expect("plain");
        let Verdict::Deny(denial) = decide(call, &profile("GET .*")) else {
            panic!("allowed")
        };
        assert_eq!(
            denial.rule_to_add().as_deref(),
            Some("GET %API_PREFIX%/secrets/db")
        );
        assert_eq!(
            verdict(
                &denial.rule_to_add().expect("one"),
                "GET /v1.41/secrets/db?showsecret=1"
            ),
            "allow"
        );
    }

    /// Asking whether a rule means a word must not cost more the longer the word is, nor take a
    /// class of digits for a name.
    #[test]
    fn long_words_are_not_asked_about() {
        let rules = "GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID%(/.*)?";
        let target = format!("/containers/{}", "f".repeat(4000));
        assert_eq!(verdict(rules, &format!("GET {target}")), "unknown_endpoint");
        let call = Call::read("GET", &target).expect("plain");
        assert!(
            matches!(to_name(&call), ToName::Unnameable),
            "no rule is asked about it"
        );
    }

    /// Each half of a command in a container is of no use without the other.
    #[test]
    fn both_rules_for_a_command_are_named() {
        let create = "POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/exec";
        for (rules, line, want) in [
            ("GET /info", "POST /containers/web/exec", 2),
            ("GET /info", "POST /exec/0123456789ab/start", 2),
            ("GET /info", "POST /v5.0.0/libpod/containers/web/exec", 2),
            ("GET /info", "POST /v5.0.0/libpod/exec/0123/start", 2),
            (create, "POST /exec/0123456789ab/start", 1),
            // A rule for one container is enough to create a command.
            (
                "POST %API_PREFIX_CONTAINERS%/web/exec",
                "POST /exec/0123456789ab/start",
                1,
            ),
            ("ALLOW exec.create(web)", "POST /exec/0123456789ab/start", 1),
            ("ALLOW exec.start", "POST /containers/web/exec", 1),
            ("GET /info", "POST /containers/web/start", 1),
        ] {
            let rules = RuleSet::new(parse("t", rules).expect(rules));
            let profile = Profile {
                rules,
                ..Profile::default()
            };
            let (method, target) = line.split_once(' ').expect("METHOD TARGET");
            let call = || Call::read(method, target).expect(line);
            let Verdict::Deny(denial) = decide(call(), &profile) else {
                panic!("{line} is allowed");
            };
            let added = denial.rules_to_add();
            assert_eq!(added.len(), want, "{line}: {added:?}");
            assert!(denial.to_string().ends_with(&Denial::advice(&added)));
            let rules = RuleSet::new(parse("t", &added.join("\n")).expect(line));
            let profile = Profile {
                rules,
                ..Profile::default()
            };
            assert!(matches!(decide(call(), &profile), Verdict::Allow(_)));
        }
    }

    /// The guard's level alone opens no endpoint: the message names the rule as well.
    #[test]
    fn what_opens_a_closed_endpoint_is_named() {
        for (rules, with_rule) in [
            ("GET /info", true),
            ("POST .*", false),
            ("POST %API_PREFIX%/plugins/pull", false),
        ] {
            let mut profile = Profile {
                rules: RuleSet::new(parse("t", rules).expect(rules)),
                ..Profile::default()
            };
            let call = || Call::read("POST", "/plugins/pull").expect("a call");
            let Verdict::Deny(denial) = decide(call(), &profile) else {
                panic!("{rules} allows it");
            };
            let text = denial.to_string();
            let rule = denial.call.rule_to_add().expect("a rule");
            assert_eq!(text.contains(&rule), with_rule, "{text}");
            assert!(text.ends_with(" would allow it"), "{text}");
            profile.guard = Arc::new(Guard {
                level: GuardLevel::Privileged,
                ..Guard::default()
            });
            assert_eq!(
                matches!(decide(call(), &profile), Verdict::Allow(_)),
                !with_rule,
                "{rules}"
            );
            profile.rules = RuleSet::new(parse("t", &rule).expect("a rule"));
            assert!(matches!(decide(call(), &profile), Verdict::Allow(_)));
        }
    }

    #[test]
    fn the_rule_to_add_allows_the_call() {
        for endpoint in Endpoint::all() {
            let target = endpoint
                .shape
                .replace("*}", "}")
                .replace('{', "x-")
                .replace('}', "");
            let target = if target.starts_with("/libpod") {
                format!("/v5.0.0{target}")
            } else {
                target
            };
            let request = format!("{} {target}", endpoint.method);
            let call = Call::read(endpoint.method.as_str(), &target).expect("plain");
            let Verdict::Deny(denial) = decide(call, &profile("")) else {
                panic!("{request}")
            };
            let closed = [
                "/swarm/init",
                "/swarm/join",
                "/swarm/update",
                "/swarm/unlock",
            ]
            .contains(&endpoint.shape);
            if closed
                || (endpoint.method == crate::request::method::Method::Post
                    && endpoint.shape.starts_with("/plugins/"))
            {
                assert!(
                    denial
                        .to_string()
                        .contains("guard: privileged, with the rule"),
                    "{denial}"
                );
                continue;
            }
            let rule = denial.rule_to_add().expect("one");
            assert_eq!(verdict(&rule, &request), "allow", "{request} with {rule}");
        }
    }

    /// What nobody here can judge passes where a rule names it, or where nothing is judged.
    #[test]
    fn a_wildcard_does_not_open_what_cannot_be_judged() {
        for (rules, request, want) in [
            (
                "POST %API_PREFIX_LIBPOD%(/.*)?",
                "POST /v5.0.0/libpod/kube/play",
                "uninspected_body",
            ),
            (
                "POST .*\nPOST %API_PREFIX_LIBPOD%/kube/play",
                "POST /v5.0.0/libpod/kube/play",
                "allow",
            ),
            ("POST .*", "POST /containers/create", "allow"),
            (
                "POST .*",
                "POST /v5.0.0/libpod/pods/create",
                "uninspected_body",
            ),
            (
                "POST %API_PREFIX_LIBPOD%/pods/create",
                "POST /v5.0.0/libpod/pods/create",
                "allow",
            ),
            ("POST .*", "POST /plugins/pull", "closed_endpoint"),
            (
                "POST %API_PREFIX_PLUGINS%/pull",
                "POST /plugins/pull",
                "closed_endpoint",
            ),
        ] {
            assert_eq!(verdict(rules, request), want, "{rules}: {request}");
            let mut open = profile(rules);
            open.guard = Arc::new(guard::Guard {
                level: GuardLevel::Privileged,
                ..guard::Guard::default()
            });
            let (method, target) = request.split_once(' ').expect("a request line");
            assert!(
                matches!(
                    decide(Call::read(method, target).expect("plain"), &open),
                    Verdict::Allow(_)
                ),
                "{request}"
            );
        }
    }

    #[test]
    fn what_is_not_enforced_passes_and_says_why_it_would_not() {
        let profile = Profile {
            mode: Mode::Audit,
            ..profile("GET /events")
        };
        for (target, want) in [("/events", None), ("/info", Some("no_rule"))] {
            let verdict = decide(Call::read("GET", target).expect("plain"), &profile)
                .unless_enforced(&profile);
            let Verdict::Allow(permit) = verdict else {
                panic!("{target} is refused")
            };
            assert_eq!(permit.call().path(), target);
            match permit.ground() {
                Ground::Rule(_) => assert_eq!(want, None, "{target}"),
                Ground::Unenforced { kind, text, rules } => {
                    assert_eq!(Some(kind.word()), want, "{target}");
                    assert!(text.contains("to allow it, add the rule"), "{text}");
                    assert!(text.ends_with(&rules.join(" ")), "{rules:?}");
                }
            }
        }
    }

    #[test]
    fn a_denial_says_what_to_do() {
        let call = Call::read("GET", "/v1.43/containers/web/logs").expect("plain");
        let Verdict::Deny(denial) = decide(call, &profile("")) else {
            panic!("allowed")
        };
        assert_eq!(
            denial.to_string(),
            "no rule of profile default allows GET /v1.43/containers/web/logs; \
             to allow it, add the rule: GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/logs"
        );
    }
}
