//! What may be wrong with a configuration that is read without a mistake. `docs/check.md` has a paragraph for each code.

use cetusguard_policy::endpoint::Endpoint;
use cetusguard_policy::guard::Level;
use cetusguard_policy::rule::Rule;
use cetusguard_policy::{Care, Mode, Profile, Survey, distance};
use serde::Serialize;

use crate::config::Mistake;

/// Whether it keeps the program from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::command) enum Severity {
    Warning,
    Error,
}

/// Something that is wrong, or may be.
#[derive(Debug, Serialize)]
pub(in crate::command) struct Problem {
    pub(super) severity: Severity,
    /// A word for its kind.
    pub(super) code: &'static str,
    /// The profile that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<String>,
    pub(in crate::command) what: String,
    /// What to do about it.
    pub(in crate::command) fix: String,
}

/// Every code, in the order of the documentation.
pub const CODES: &[&str] = &[
    "wrong-option",
    "wrong-file",
    "wrong-rule",
    "unknown-option",
    "idle-rule",
    "covered-rule",
    "bare-path",
    "catch-all",
    "no-ping",
    "half-allowed",
    "unread-body",
    "guard-off",
    "gives-host",
    "not-enforced",
];

impl Problem {
    /// What keeps the program from starting.
    pub(super) fn mistake(mistake: &Mistake) -> Self {
        let (code, what, fix) = match mistake {
            Mistake::Option { what, fix } => ("wrong-option", what.clone(), fix.clone()),
            Mistake::File { spot, what, fix } => ("wrong-file", format!("{}: {what}", spot.place()), fix.clone()),
            Mistake::Rule(wrong) => {
                let place = format!("{}:{}", wrong.position, wrong.column());
                ("wrong-rule", format!("{place}: {}", wrong.what), wrong.expected.clone())
            }
        };
        Self { severity: Severity::Error, code, profile: None, what, fix }
    }

    /// A variable that has no effect.
    pub(super) fn unknown_option(warning: &str) -> Self {
        let fix = "take it out, or look for its name in docs/configuration.md".to_owned();
        Self { severity: Severity::Warning, code: "unknown-option", profile: None, what: warning.to_owned(), fix }
    }
}

/// Calls that are of no use without another: the first begins what the second goes on with.
const PAIRS: &[(&str, &str, &str)] = &[
    ("/containers/{container}/exec", "/exec/{id}/start", "commands can be made and not started"),
    ("/exec/{id}/start", "/containers/{container}/exec", "commands can be started and not made"),
    ("/containers/create", "/containers/{container}/start", "containers can be created and not started"),
    ("/grpc", "/session", "BuildKit needs both of its channels"),
    ("/session", "/grpc", "BuildKit needs both of its channels"),
    ("/services/create", "/services", "services can be created and not listed"),
];

/// Looks for what may be wrong with a profile.
pub(in crate::command) fn problems(profile: &Profile, survey: &Survey) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn = |code: &'static str, what: String, fix: String| {
        found.push(Problem { severity: Severity::Warning, code, profile: Some(profile.name.clone()), what, fix });
    };
    for rule in &survey.idle {
        warn("idle-rule", format!("{} matches no endpoint of a known engine", rule.label()), mend(rule));
    }
    for rule in &survey.bare {
        let what = format!("{} matches paths without a version alone, and most clients send /v1.NN/…", rule.label());
        warn("bare-path", what, "begin the pattern with %API_PREFIX%, as in %API_PREFIX_CONTAINERS%/json".to_owned());
    }
    for rule in &survey.catch_all {
        let what = format!("{} opens whatever the engine has, sections that nobody thought of among it", rule.label());
        warn("catch-all", what, "write a rule for each section that the client needs, or take a preset".to_owned());
    }
    for (rule, by) in &survey.covered {
        warn(
            "covered-rule",
            format!("{} allows nothing that {} does not", rule.label(), by.label()),
            "take it out".to_owned(),
        );
    }
    let is_open = |shape: &str| survey.open.iter().any(|open| open.endpoint.shape == shape);
    if !is_open("/_ping") && !survey.open.is_empty() {
        let fix = "add the rule: GET,HEAD %API_PREFIX_PING%";
        warn("no-ping", "clients cannot ask which version the engine speaks, and guess".to_owned(), fix.to_owned());
    }
    for (shape, other, what) in PAIRS {
        if is_open(shape) && !is_open(other) {
            let missing = Endpoint::all().find(|endpoint| endpoint.shape == *other);
            let rule =
                missing.map(|endpoint| format!("{} {}", endpoint.method, endpoint.pattern())).unwrap_or_default();
            warn("half-allowed", (*what).to_owned(), format!("add the rule: {rule}"));
        }
    }
    if profile.guard.level == Level::Privileged {
        let unread = survey.open.iter().find(|open| open.care == Care::Unread && open.power.way_to_host().is_some());
        if let Some(open) = unread {
            let power = open.power;
            let what = format!(
                "nobody judges bodies (guard: privileged), and the client can {}: {}",
                power.says(),
                power.way_to_host().unwrap_or_default()
            );
            warn("guard-off", what, "set guard to baseline, and guard-allow to what the client needs".to_owned());
        }
    } else {
        for open in survey.open.iter().filter(|open| open.care == Care::Unread) {
            let what = format!("{} {} is open, and nobody can judge it", open.endpoint.method, open.endpoint.shape);
            warn(
                "unread-body",
                what,
                format!("take its rule out where the client does without: {}", open.rule.label()),
            );
        }
        let judges = survey.open.iter().any(|open| open.care == Care::Judged);
        for exception in profile.guard.allow.iter().filter(|_| judges) {
            if let Some(why) = exception.gives_host() {
                let fix = "allow less, or give it to a profile of the one client that needs it".to_owned();
                warn("gives-host", format!("guard-allow {exception} gives the host away: {why}"), fix);
            }
        }
    }
    if profile.mode == Mode::Audit {
        let what = "nothing is refused (mode: audit)".to_owned();
        warn("not-enforced", what, "set mode to enforce once the log has no decision=would_deny".to_owned());
    }
    found
}

/// What a rule that reaches nothing was probably meant to be.
fn mend(rule: &Rule) -> String {
    let (methods, pattern) = rule.text().split_once(' ').unwrap_or_default();
    let pattern = pattern.trim();
    if let Some((path, _)) = pattern.split_once("\\?").or_else(|| pattern.split_once("?all=")) {
        return format!("rules never see the query: write {methods} {path}");
    }
    if pattern.contains("API_PREFIX") && pattern.matches('%').count() % 2 == 1 {
        return "a variable stands between two %, as in %API_PREFIX_CONTAINERS%/json".to_owned();
    }
    if let Some((folder, _)) = pattern.split_once("/**") {
        return format!("patterns are regular expressions: write {methods} {folder}(/.*)?");
    }
    let shapes = Endpoint::all()
        .flat_map(|endpoint| [endpoint.pattern(), endpoint.shape.to_owned()].map(|shape| (shape, endpoint)));
    let nearest =
        shapes.map(|(shape, endpoint)| (distance(pattern, &shape), endpoint)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((0, endpoint)) => format!("its endpoint takes {}, not {methods}", endpoint.method),
        Some((distance, endpoint)) if distance <= 2 + pattern.len() / 12 => {
            format!("did you mean {} {}?", endpoint.method, endpoint.pattern())
        }
        _ => "take it out, or look into docs/rules.md: its method or its path may be misspelt".to_owned(),
    }
}
