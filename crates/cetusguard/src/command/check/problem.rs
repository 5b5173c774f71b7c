//! Mistakes and warnings about a configuration. `docs/check.md` has a row for each code.

use std::sync::Arc;

use cetusguard_config::Mistake;
use cetusguard_policy::endpoint::{Endpoint, EndpointId, Risk, says};
use cetusguard_policy::guard::GuardLevel;
use cetusguard_policy::rule::{BUILT_IN_ORIGIN, Effect, Rule, parse};
use cetusguard_policy::{Care, Mode, Open, Profile, Survey};
use serde::Serialize;

use super::glob;

/// The severity of a problem: errors keep the program from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::command) enum Severity {
    Warning,
    Error,
}

/// A mistake, or a possible one.
#[derive(Debug, Serialize)]
pub(in crate::command) struct Problem {
    pub(super) severity: Severity,
    /// A word for its kind.
    pub(in crate::command) code: &'static str,
    /// The profile that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::command) profile: Option<String>,
    pub(in crate::command) what: String,
    /// The next step.
    pub(in crate::command) fix: String,
}

/// Every code, in the order of the documentation.
pub const CODES: &[&str] = &[
    "wrong-option",
    "wrong-file",
    "wrong-rule",
    "unknown-option",
    "admin-open",
    "admin-plain",
    "admin-token",
    "certificate-expiry",
    "no-rules",
    "glob",
    "pinned-version",
    "idle-rule",
    "covered-rule",
    "denied-rule",
    "beyond-view",
    "bare-path",
    "catch-all",
    "no-ping",
    "half-allowed",
    "unread-body",
    "guard-off",
    "gives-host",
    "swap-below-default",
    "unprotected-recreation",
    "other-clients",
    "display-secrets",
    "redacted-copies",
    "not-enforced",
];

impl Problem {
    /// Returns whether it keeps the program from starting.
    pub(in crate::command) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the name of the profile, and what is equal in problems that are alike.
    pub(super) fn split(&self) -> (&str, impl Serialize) {
        let name = self.profile.as_deref().unwrap_or_default();
        let is_of_profile = self.profile.is_some();
        (
            name,
            (
                self.severity,
                self.code,
                is_of_profile,
                &self.what,
                &self.fix,
            ),
        )
    }

    /// Returns the place of a mistake: the text before the first colon with a blank.
    pub(super) fn place(&self) -> &str {
        self.what
            .split_once(": ")
            .map_or(self.what.as_str(), |(place, _)| place)
    }

    /// Makes a problem of a mistake that keeps the program from starting.
    pub(super) fn mistake(mistake: &Mistake) -> Self {
        let (code, what, fix) = match mistake {
            Mistake::Option { what, fix } => ("wrong-option", what.clone(), fix.clone()),
            Mistake::File { spot, what, fix } => (
                "wrong-file",
                format!("{}: {what}", spot.place()),
                fix.clone(),
            ),
            Mistake::Rule(wrong) => {
                let place = format!("{}:{}", wrong.position, wrong.column());
                (
                    "wrong-rule",
                    format!("{place}: {}", wrong.what),
                    wrong.expected.clone(),
                )
            }
        };
        Self {
            severity: Severity::Error,
            code,
            profile: None,
            what,
            fix,
        }
    }

    /// Warns of a variable that has no effect.
    pub(super) fn unknown_option(warning: &str) -> Self {
        let fix = "take it out, or look for its name in docs/configuration.md".to_owned();
        Self {
            severity: Severity::Warning,
            code: "unknown-option",
            profile: None,
            what: warning.to_owned(),
            fix,
        }
    }
}

/// Pairs of calls of which the first is of no use without the second.
const PAIRS: &[(EndpointId, EndpointId, &str)] = &[
    (
        EndpointId::ExecCreate,
        EndpointId::ExecStart,
        "commands can be made and not started",
    ),
    (
        EndpointId::ExecStart,
        EndpointId::ExecCreate,
        "commands can be started and not made",
    ),
    (
        EndpointId::ContainerCreate,
        EndpointId::ContainerStart,
        "containers can be created and not started",
    ),
    (
        EndpointId::BuildGrpc,
        EndpointId::BuildSession,
        "BuildKit needs both of its channels",
    ),
    (
        EndpointId::BuildSession,
        EndpointId::BuildGrpc,
        "BuildKit needs both of its channels",
    ),
    (
        EndpointId::ServiceCreate,
        EndpointId::ServiceList,
        "services can be created and not listed",
    ),
];

/// The warnings about one profile, in the order in which they are found.
struct Warnings<'p> {
    profile: &'p Profile,
    found: Vec<Problem>,
}

impl Warnings<'_> {
    fn warn(&mut self, code: &'static str, what: String, fix: impl Into<String>) {
        let (profile, fix) = (Some(self.profile.name.clone()), fix.into());
        self.found.push(Problem {
            severity: Severity::Warning,
            code,
            profile,
            what,
            fix,
        });
    }
}

/// Warns if no profile has rules of its own. A profile without rules beside others with rules
/// refuses its clients on purpose.
pub(super) fn without_rules<'p>(profiles: impl Iterator<Item = &'p Profile>) -> Option<Problem> {
    let is_own = |rule: &Arc<Rule>| &*rule.position.origin != BUILT_IN_ORIGIN;
    let (mut has_built_in, mut count) = (false, 0);
    for profile in profiles {
        if profile.mode == Mode::Audit
            || profile.is_learner()
            || profile.rules.rules().iter().any(is_own)
        {
            return None;
        }
        has_built_in |= !profile.rules.rules().is_empty();
        count += 1;
    }
    let passes = if has_built_in {
        "only _ping, version and info pass"
    } else {
        "nothing passes"
    };
    let what = format!("{passes}: there are no rules");
    let fix = "set rules, rules-file or presets (CETUSGUARD_RULES, CETUSGUARD_RULES_FILE, \
        CETUSGUARD_PRESETS); cetusguard preset list shows the presets, and cetusguard learn writes \
        rules from what clients ask for";
    (count > 0).then(|| Problem {
        severity: Severity::Warning,
        code: "no-rules",
        profile: None,
        what,
        fix: fix.to_owned(),
    })
}

/// Returns the possible mistakes in a profile.
pub(super) fn problems(profile: &Profile, survey: &Survey) -> Vec<Problem> {
    let mut warnings = Warnings {
        profile,
        found: Vec::new(),
    };
    about_rules(survey, &mut warnings);
    about_calls(survey, &mut warnings);
    if profile.guard.level == GuardLevel::Privileged {
        without_guard(survey, &mut warnings);
    } else {
        about_guard(survey, &mut warnings);
    }
    about_swap(&mut warnings);
    warnings
        .found
        .extend(super::recreation::problem(profile, survey));
    warnings
        .found
        .extend(super::redaction::problem(profile, survey));
    about_display(profile, survey, &mut warnings);
    if profile.mode == Mode::Audit {
        let fix = "set mode to enforce once the log has no decision=would_deny";
        warnings.warn(
            "not-enforced",
            "nothing is refused (mode: audit)".to_owned(),
            fix,
        );
    }
    warnings.found
}

/// Warns of rules that do something else than they seem to.
fn about_rules(survey: &Survey, warnings: &mut Warnings<'_>) {
    about_notation(warnings);
    about_effects(survey, warnings);
    about_reach(survey, warnings);
}

/// Warns of patterns that are written for another tool, or for one version of the API.
fn about_notation(warnings: &mut Warnings<'_>) {
    for rule in warnings.profile.rules.rules() {
        if let Some(hint) = glob::of_shell(rule) {
            let what = format!(
                "{} has a pattern of the shell, and patterns are regular expressions",
                rule.label()
            );
            warnings.warn("glob", format!("{what}: {}", hint.why), hint.fix);
        }
        if let Some(hint) = glob::with_version(rule) {
            let what = format!(
                "{} is about {} alone, and clients ask for the version that they know",
                rule.label(),
                hint.why
            );
            warnings.warn("pinned-version", what, hint.fix);
        }
    }
}

/// Warns of rules without an effect: they match no endpoint, or others close every call of theirs.
fn about_effects(survey: &Survey, warnings: &mut Warnings<'_>) {
    let has_no_glob = |rule: &&Arc<Rule>| glob::of_shell(rule).is_none();
    // A warning about the glob tells the reason already.
    for rule in survey.idle.iter().filter(has_no_glob) {
        warnings.warn(
            "idle-rule",
            format!("{} matches no endpoint of a known engine", rule.label()),
            suggest_rule(rule),
        );
    }
    for (rule, by) in &survey.useless {
        let what = format!(
            "{} allows nothing: {} denies all of it",
            rule.label(),
            by.label()
        );
        let fix = "take one of the two out, or narrow the denial";
        warnings.warn("denied-rule", what, fix);
    }
    for (rule, endpoint, why) in &survey.beyond_view {
        let what = format!(
            "{} lets nothing pass: visible, own or redact of the profile closes {} {}: {why}",
            rule.label(),
            endpoint.method,
            endpoint.shape
        );
        let fix = "take it out, or give the call to a profile that sees the whole engine";
        warnings.warn("beyond-view", what, fix);
    }
}

/// Warns of rules that match fewer calls than clients send, or more than they need.
fn about_reach(survey: &Survey, warnings: &mut Warnings<'_>) {
    for rule in &survey.bare {
        let effect = if rule.effect() == Effect::Deny {
            "denies"
        } else {
            "matches"
        };
        let what = format!(
            "{} {effect} paths without a version alone, and most clients send /v1.NN/…",
            rule.label()
        );
        let fix = "begin the pattern with %API_PREFIX%, as in %API_PREFIX_CONTAINERS%/json";
        warnings.warn("bare-path", what, fix);
    }
    for rule in &survey.catch_all {
        let what = format!(
            "{} opens every endpoint of the engine, unknown sections included",
            rule.label()
        );
        let fix = "write a rule for each section that the client needs, or take a preset";
        warnings.warn("catch-all", what, fix);
    }
    for (rule, by) in &survey.covered {
        let what = format!(
            "{} allows nothing that {} does not",
            rule.label(),
            by.label()
        );
        warnings.warn("covered-rule", what, "take it out");
    }
}

/// Calls without which others are of no use.
fn about_calls(survey: &Survey, warnings: &mut Warnings<'_>) {
    let is_open = |id: EndpointId| survey.open.iter().any(|open| open.endpoint.id == id);
    if !is_open(EndpointId::SystemPing) && !survey.open.is_empty() {
        let what = "clients cannot ask which version the engine speaks, and guess".to_owned();
        let denied = survey
            .denied
            .iter()
            .find(|denied| denied.endpoint.id == EndpointId::SystemPing);
        let fix = match denied {
            Some(denied) => format!("narrow the denial: {}", denied.by.label()),
            None => "add the rule: GET,HEAD %API_PREFIX_PING%".to_owned(),
        };
        warnings.warn("no-ping", what, fix);
    }
    for (_, other, what) in PAIRS
        .iter()
        .filter(|(id, other, _)| is_open(*id) && !is_open(*other))
    {
        let missing = Endpoint::of(*other);
        let fix = match survey
            .denied
            .iter()
            .find(|denied| denied.endpoint.id == *other)
        {
            Some(denied) => format!("narrow the denial: {}", denied.by.label()),
            None => format!("add the rule: {} {}", missing.method, missing.pattern()),
        };
        warnings.warn("half-allowed", (*what).to_owned(), fix);
    }
}

/// Endpoints of the power `look` whose answers may hold secrets, with the redaction of these.
const REVEALING: &[(&[EndpointId], &str, &str)] = &[
    (
        &[EndpointId::SystemEvents, EndpointId::LibpodSystemEvents],
        "commands",
        "events carry the command lines of exec, and passwords with them",
    ),
    (
        &[
            EndpointId::VolumeList,
            EndpointId::VolumeInspect,
            EndpointId::LibpodVolumeList,
            EndpointId::LibpodVolumeInspect,
        ],
        "tokens",
        "volumes show their options, which hold passwords of CIFS mounts",
    ),
];

/// Warns if a profile that only looks at names, states and figures also sees possible secrets,
/// because a rule opens the whole power or a whole section. A rule that names the endpoint was
/// written on purpose, and causes no warning.
fn about_display(profile: &Profile, survey: &Survey, warnings: &mut Warnings<'_>) {
    let is_display = |open: &Open| open.power.risk() == Risk::Look;
    if !survey.open.iter().all(is_display) {
        return;
    }
    let is_redacted = |class: &str| {
        let mut values = profile.view.redaction.values();
        values.any(|value| value == class)
    };
    for (endpoints, class, what) in REVEALING {
        if is_redacted(class) {
            continue;
        }
        let is_revealing = |open: &&Open| endpoints.contains(&open.endpoint.id);
        let broad = survey
            .open
            .iter()
            .filter(is_revealing)
            .find(|open| opens_more_than(&open.rule, endpoints, survey));
        if let Some(open) = broad {
            let what = format!(
                "{} opens more than names, states and figures: {what}",
                open.rule.label()
            );
            let names: Vec<_> = endpoints.iter().map(|id| id.name()).collect();
            let fix = format!(
                "set redact: {class}, or add the rule: DENY {}",
                names.join(", ")
            );
            warnings.warn("display-secrets", what, fix);
        }
    }
}

/// Returns whether a rule opens other endpoints beside these, and names none of these.
fn opens_more_than(rule: &Arc<Rule>, endpoints: &[EndpointId], survey: &Survey) -> bool {
    let is_by_name = rule.methods_and_pattern().is_none();
    let names_one = is_by_name && endpoints.iter().any(|id| rule.text().contains(id.name()));
    let is_other =
        |open: &Open| Arc::ptr_eq(&open.rule, rule) && !endpoints.contains(&open.endpoint.id);
    !names_one && survey.open.iter().any(is_other)
}

/// Warns of the first call that leads to root on the host without a guard: one is enough.
fn without_guard(survey: &Survey, warnings: &mut Warnings<'_>) {
    let unread = survey.open.iter().filter(|open| open.care == Care::Unread);
    if let Some((open, way)) = unread
        .filter_map(|open| Some((open, open.power.way_to_host()?)))
        .next()
    {
        let says = says(open.power, &[open.endpoint.id]);
        let what =
            format!("bodies are not judged (guard: privileged), and the client can {says}: {way}");
        warnings.warn(
            "guard-off",
            what,
            "set guard to baseline, and guard-allow to what the client needs",
        );
    }
}

/// Warns of calls and exceptions that the guard does not stop.
fn about_guard(survey: &Survey, warnings: &mut Warnings<'_>) {
    for open in survey.open.iter().filter(|open| open.care == Care::Unread) {
        let what = format!(
            "{} {} is open, and the guard cannot judge it",
            open.endpoint.method, open.endpoint.shape
        );
        let fix = format!(
            "take its rule out where the client does without: {}",
            open.rule.label()
        );
        warnings.warn("unread-body", what, fix);
    }
    let judges = survey.open.iter().any(|open| open.care == Care::Judged);
    let profile = warnings.profile;
    for exception in profile.guard.allow.iter().filter(|_| judges) {
        if let Some(why) = exception.gives_host() {
            let what = format!("guard-allow {exception} gives the host away: {why}");
            warnings.warn(
                "gives-host",
                what,
                "allow less, or give it to a profile of the one client that needs it",
            );
        }
    }
}

/// Warns of a limit of swap that refuses every container whose client sets no memory limit.
fn about_swap(warnings: &mut Warnings<'_>) {
    let Some(creation) = warnings.profile.guard.creation.as_deref() else {
        return;
    };
    if let (Some(default), Some(swap)) = (&creation.default_memory, &creation.max_memory_swap)
        && default.twice_exceeds(swap)
    {
        let what = format!(
            "a container whose client sets no memory limit gets default-memory {default}, with \
            which Docker allows twice as much memory and swap together, which max-memory-swap \
            {swap} refuses"
        );
        let fix =
            "set max-memory-swap to twice default-memory or more, or a smaller default-memory";
        warnings.warn("swap-below-default", what, fix);
    }
}

/// Returns the rule that the author of a rule without endpoints probably meant.
fn suggest_rule(rule: &Rule) -> String {
    let Some((methods, pattern)) = rule.methods_and_pattern() else {
        return "take it out, or look for the name in docs/endpoints.md".to_owned();
    };
    if !pattern.contains(['/', '%']) && parse("", &format!("ALLOW {pattern}")).is_ok() {
        return format!("names stand behind ALLOW or DENY, without methods: ALLOW {pattern}");
    }
    if let Some((path, _)) = pattern
        .split_once("\\?")
        .or_else(|| pattern.split_once("?all="))
    {
        return format!("rules never see the query: write {methods} {path}");
    }
    if pattern.contains("API_PREFIX") && pattern.matches('%').count() % 2 == 1 {
        return "a variable stands between two %, as in %API_PREFIX_CONTAINERS%/json".to_owned();
    }
    let shapes = Endpoint::all().flat_map(|endpoint| {
        [endpoint.pattern(), endpoint.shape.to_owned()].map(|shape| (shape, endpoint))
    });
    let limit = 2 + pattern.len() / 12;
    // Counting letters is faster than comparing them.
    let length = pattern.chars().count();
    let nearest = shapes
        .filter(|(shape, _)| shape.chars().count().abs_diff(length) <= limit)
        .map(|(shape, endpoint)| (strsim::levenshtein(pattern, &shape), endpoint))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((0, endpoint)) => format!("its endpoint takes {}, not {methods}", endpoint.method),
        Some((distance, endpoint)) if distance <= limit => {
            format!("did you mean {} {}?", endpoint.method, endpoint.pattern())
        }
        _ => "take it out, or look into docs/rules.md: its method or its path may be misspelt"
            .to_owned(),
    }
}
