//! The refused calls of a log, grouped, with the rules or exceptions that would allow them.

use std::collections::{BTreeMap, BTreeSet};

use cetusguard_config::Mistakes;
use cetusguard_policy::guard::Exception;
use cetusguard_policy::{
    BUILD_RULES, Call, Denial, DenialKind, Method, Profiles, Verdict, decide, exec_rule_beside,
    split_list,
};
use serde::Serialize;

use crate::command::log_lines::{LogLine, requests};
use crate::command::page::{Emphasis, TextPage, count};
use cetusguard_proxy::{Reason, RecordMessage};

/// Requests that were refused for the same reason.
#[derive(Debug, Serialize)]
pub(super) struct RefusalGroup {
    pub(super) count: usize,
    pub(super) profile: String,
    /// The endpoint, or the path where there is none.
    pub(super) call: String,
    pub(super) reason: String,
    /// Set if audit mode forwarded the request.
    pub(super) forwarded: bool,
    /// Containers, certificates or addresses.
    pub(super) clients: BTreeSet<String>,
    pub(super) first: String,
    pub(super) last: String,
    /// The message that the first of them got.
    pub(super) detail: String,
    /// Rules or exceptions that would allow it.
    pub(super) to_allow: BTreeSet<String>,
    /// Set if the given configuration allows the call now.
    pub(super) allowed_now: bool,
}

/// Clients that a group names.
const CLIENTS: usize = 8;

/// Gathers the refused requests of a log, the most frequent first.
///
/// # Errors
/// The text has no line that this program logs.
pub(super) fn groups(
    path: &str,
    log: &str,
    profiles: &Profiles,
) -> Result<Vec<RefusalGroup>, Mistakes> {
    let mut groups: BTreeMap<[String; 4], RefusalGroup> = BTreeMap::new();
    for line in requests(path, log)? {
        let forwarded = line.is_unenforced();
        if !forwarded && line.message() != Some(RecordMessage::Refused) {
            continue;
        }
        let call = Method::parse(line.get("method"))
            .and_then(|method| Call::from_path(method, line.get("path")).ok());
        let shown = match call.as_ref().and_then(Call::endpoint) {
            Some(endpoint) => format!("{} {}", line.get("method"), endpoint.shape),
            None => format!("{} {}", line.get("method"), line.get("path")),
        };
        let [profile, reason, time] =
            ["profile", "reason", "time"].map(|key| line.get(key).to_owned());
        let group = groups
            .entry([
                profile.clone(),
                shown.clone(),
                reason.clone(),
                cause_of_refusal(&line),
            ])
            .or_insert_with(|| RefusalGroup {
                count: 0,
                profile,
                call: shown,
                reason,
                forwarded,
                clients: BTreeSet::new(),
                first: time.clone(),
                last: String::new(),
                detail: line.get("detail").to_owned(),
                to_allow: BTreeSet::new(),
                allowed_now: call
                    .as_ref()
                    .is_some_and(|call| is_allowed(call, &line, profiles)),
            });
        group.count += 1;
        group.last = time;
        if group.clients.len() < CLIENTS {
            group.clients.insert(client_name(&line));
        }
        group.to_allow.extend(to_allow(&line, call.as_ref()));
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(groups)
}

/// Returns the cause of a refusal by the guard: two bodies may be refused for different causes, and
/// each cause has exceptions of its own. Rules refuse every call of an endpoint for one cause.
fn cause_of_refusal(line: &LogLine) -> String {
    match (line.reason(), line.get("guard_allow")) {
        (Some(Reason::Guard), exceptions) if !exceptions.is_empty() => exceptions.to_owned(),
        // The detail names the container that is kept.
        (Some(Reason::Guard | Reason::NotRecreatable), _) => line.get("detail").to_owned(),
        _ => String::new(),
    }
}

/// Returns whether the rules of the given configuration allow a call that was refused. The guard
/// cannot decide again without the body.
fn is_allowed(call: &Call, line: &LogLine, profiles: &Profiles) -> bool {
    let profile = profiles
        .all()
        .find(|profile| profile.name == line.get("profile"));
    let is_by_rule = matches!(line.reason(), Some(Reason::Denied(kind)) if !matches!(kind, DenialKind::ClosedEndpoint | DenialKind::BeyondView));
    let allowed = |verdict| matches!(verdict, Verdict::Allow(_));
    is_by_rule && profile.is_some_and(|profile| allowed(decide(call.clone(), profile)))
}

/// Returns the name of a client that is hardest to change: its container, its certificate, or its
/// address.
fn client_name(line: &LogLine) -> String {
    let [container, certificate, address] =
        ["container", "certificate", "client"].map(|key| line.get(key));
    let address = address
        .rsplit_once(':')
        .map_or(address, |(address, _)| address);
    let known = [container, certificate, address];
    known
        .into_iter()
        .find(|known| !known.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// Returns the rules or exceptions that would allow a call. They are made from the call itself,
/// because the detail of a line repeats the client's words.
fn to_allow(line: &LogLine, call: Option<&Call>) -> Vec<String> {
    let is_by_rule = line.reason().is_some_and(Reason::is_mended_by_rule);
    let rule = call
        .filter(|_| is_by_rule && named_build_rules(line).next().is_none())
        .and_then(Call::rule_to_add);
    let other_half = call.filter(|_| is_by_rule).and_then(exec_rule_beside);
    let exceptions = split_list(line.get("guard_allow"), |_| false).into_iter();
    let exceptions = exceptions
        .filter_map(|exception| Exception::read(&exception).ok())
        .map(|exception| format!("guard-allow {exception}"));
    named_build_rules(line)
        .map(str::to_owned)
        .chain(rule)
        .chain(other_half.filter(|rule| names_rule(line, rule)))
        .chain(exceptions)
        .collect()
}

/// Returns whether a line names a rule, which other rules may stand beside.
fn names_rule(line: &LogLine, rule: &str) -> bool {
    line.get("add_rules").split(", ").any(|one| one == rule)
}

/// Returns the rules for builds that a line names.
fn named_build_rules(line: &LogLine) -> impl Iterator<Item = &'static str> {
    let named = |rule: &&str| names_rule(line, rule);
    BUILD_RULES.iter().copied().filter(named)
}

/// Returns the detail without the rules at its end, which are printed on lines of their own.
fn without_rule<'d>(detail: &'d str, rules: &BTreeSet<String>) -> &'d str {
    let all: Vec<_> = rules.iter().cloned().collect();
    let mut ends = std::iter::once(Denial::advice(&all)).chain(
        rules
            .iter()
            .map(|rule| Denial::advice(std::slice::from_ref(rule))),
    );
    ends.find_map(|end| detail.strip_suffix(&end))
        .filter(|_| !rules.is_empty())
        .unwrap_or(detail)
}

/// Returns the refused calls that made a client send this one: buildx asks for a builder of its own
/// after them.
fn earlier_refusals<'g>(group: &RefusalGroup, groups: &'g [RefusalGroup]) -> Vec<&'g RefusalGroup> {
    let is_of_build = BUILD_RULES
        .iter()
        .all(|rule| group.to_allow.contains(*rule));
    let is_channel =
        |group: &RefusalGroup| matches!(group.call.as_str(), "POST /grpc" | "POST /session");
    let related = groups
        .iter()
        .filter(|other| is_channel(other) && other.profile == group.profile);
    related
        .filter(|_| is_of_build && !is_channel(group))
        .collect()
}

/// Writes the groups for people, and the number of their requests.
pub(super) fn write(groups: &[RefusalGroup], page: &mut TextPage) {
    for group in groups {
        write_group(group, groups, page);
        page.gap();
    }
    let total: usize = groups.iter().map(|group| group.count).sum();
    if total == 0 {
        let what = "No request was refused, nor would have been.";
        return page.say(0, Emphasis::Good, what);
    }
    let (requests, kinds) = (count(total, "request"), count(groups.len(), "kind"));
    let what = format!("{requests} of {kinds} refused, or not enforced.");
    page.say(0, Emphasis::Plain, &what);
}

/// Writes one group: its call, its clients, the cause, and the lines that would allow it.
fn write_group(group: &RefusalGroup, groups: &[RefusalGroup], page: &mut TextPage) {
    let RefusalGroup {
        count: number,
        call,
        reason,
        ..
    } = group;
    let what = if group.forwarded {
        "would be refused"
    } else {
        "refused"
    };
    let profile = if group.profile.is_empty() {
        String::new()
    } else {
        format!(" (profile {})", group.profile)
    };
    let heading = format!("{number} × {call} {what}: {reason}{profile}");
    page.say(0, Emphasis::Heading, &heading);
    let times = format!("{} … {}", group.first, group.last);
    page.item(2, "when    ", Emphasis::Faint, &times);
    let clients: Vec<_> = group.clients.iter().map(String::as_str).collect();
    // A Unix socket has no address.
    if clients.iter().any(|client| !client.is_empty()) {
        page.item(2, "who     ", Emphasis::Faint, &clients.join(", "));
    }
    let why = without_rule(&group.detail, &group.to_allow);
    page.item(2, "why     ", Emphasis::Plain, why);
    for cause in earlier_refusals(group, groups) {
        let cause = format!("{} × {} refused", cause.count, cause.call);
        page.item(2, "after   ", Emphasis::Plain, &cause);
    }
    if group.allowed_now {
        return page.item(2, "now     ", Emphasis::Good, "the rules allow it");
    }
    for allow in &group.to_allow {
        page.line(2, Emphasis::Plain, &format!("to allow it: {allow}"));
    }
}
