//! The lines that show the state, as many and as wide as there is place for.

use textwrap::core::display_width;

use super::controls::Controls;
use super::events::ShownDecision;
use super::figures::Rates;
use super::screen::Size;
use super::state::{Policy, Poll, RefusedCall, Top, client_name};
use crate::command::page::{Emphasis, count};
use cetusguard_config::printed::harmless;

/// The place for the lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// A text of its own, in which nothing is cut.
    Whole,
    /// A screen.
    Screen(Size),
}

/// Refusals and clients of a text.
const ROWS: usize = 20;
/// Warnings on a screen, which has more to show.
const WARNINGS: usize = 2;
/// Screens that are narrower show no times and clients in the rows of refusals.
const NARROW: usize = 60;
/// The least height of a screen with a line for the keys.
const WITH_KEYS: usize = 6;
/// The beginning of a line that goes on with the state that the line above names.
const INDENT: &str = "          ";
/// The digits of the policy's hash that are shown.
const HASH: usize = 12;

pub(super) type Line = (Emphasis, String);

/// Returns the lines. None has a character that could control a terminal.
pub(super) fn lines(top: &Top, extent: Extent) -> Vec<Line> {
    let mut lines = Vec::new();
    describe_state(top, extent, &mut lines);
    if let Extent::Screen(size) = extent {
        lines = wrap_state(lines, size);
    }
    let (for_refusals, for_clients) = divide(top, extent, lines.len());
    describe_refusals(top, extent, for_refusals, &mut lines);
    describe_clients(top, extent, for_clients, &mut lines);
    for (_, line) in &mut lines {
        *line = harmless(line);
    }
    if let Extent::Screen(size) = extent {
        lines.truncate(size.height);
        for (_, line) in &mut lines {
            // Terminals differ in what they do behind the last column.
            *line = cut(line, size.width.saturating_sub(1));
        }
    }
    lines
}

/// Returns the lines of a screen: what passes the filter, and the keys on the last line.
pub(super) fn screen_lines(top: &Top, size: Size, controls: &Controls) -> Vec<Line> {
    let filter = controls.shown_filter();
    let filtered = (!filter.is_empty()).then(|| top.filtered(filter));
    let top = filtered.as_ref().unwrap_or(top);
    if size.height < WITH_KEYS {
        return lines(top, Extent::Screen(size));
    }
    let Size { width, height } = size;
    let height = height - 1;
    let mut lines = lines(top, Extent::Screen(Size { width, height }));
    lines.resize(height, (Emphasis::Plain, String::new()));
    let keys = cut(&harmless(&controls.line()), width.saturating_sub(1));
    lines.push((Emphasis::Heading, keys));
    lines
}

/// Breaks long lines if they then leave half of the screen to the others; otherwise those that tell
/// of trouble, if they leave a third.
fn wrap_state(lines: Vec<Line>, size: Size) -> Vec<Line> {
    let all = wrap_lines(&lines, size.width, |_| true);
    if all.len() <= size.height / 2 {
        return all;
    }
    let trouble = wrap_lines(&lines, size.width, |look| look == Emphasis::Bad);
    match trouble.len() <= size.height * 2 / 3 {
        true => trouble,
        false => lines,
    }
}

fn wrap_lines(lines: &[Line], width: usize, is_wrapped: impl Fn(Emphasis) -> bool) -> Vec<Line> {
    let options = textwrap::Options::new(width.saturating_sub(1))
        .subsequent_indent(INDENT)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    let mut wrapped = Vec::new();
    for (look, line) in lines {
        let line = harmless(line);
        if is_wrapped(*look) {
            let parts = textwrap::wrap(&line, &options).into_iter();
            wrapped.extend(parts.map(|part| (*look, part.into_owned())));
        } else {
            wrapped.push((*look, line));
        }
    }
    wrapped
}

/// Returns how many lines refusals and clients may have, behind those that are there.
fn divide(top: &Top, extent: Extent, used: usize) -> (usize, usize) {
    let Extent::Screen(size) = extent else {
        return (usize::MAX, ROWS);
    };
    // Both have a blank line and a heading; that of clients names the columns.
    let free = size.height.saturating_sub(used + 4);
    let connected = top
        .poll
        .as_ref()
        .map_or(0, |poll| poll.clients.clients.len());
    let for_clients = connected.min((free / 3).max(2)).min(free);
    (free - for_clients, for_clients)
}

fn describe_state(top: &Top, extent: Extent, lines: &mut Vec<Line>) {
    if let Some(poll) = &top.poll {
        let policy = &poll.policy;
        let hash: String = policy.hash.chars().take(HASH).collect();
        lines.push((
            Emphasis::Heading,
            format!(
                "cetusguard {} at {}, policy {hash}, generation {}",
                policy.version, top.address, policy.generation
            ),
        ));
        lines.push(match &poll.unready {
            None => (Emphasis::Good, "engine    ready".to_owned()),
            Some(why) => (Emphasis::Bad, format!("engine    {}", why.trim())),
        });
        describe_rates(top.rates.as_ref(), lines);
        lines.push((Emphasis::Plain, describe_places(poll)));
        describe_policy(policy, extent, lines);
        describe_lost_records(poll, lines);
    }
    if top.lost > 0 {
        let text = format!("lost      {} refusals came too fast to be shown", top.lost);
        lines.push((Emphasis::Warning, text));
    }
    if let Some(why) = &top.no_poll {
        lines.push((
            Emphasis::Bad,
            format!("problem   these figures are old: {why}"),
        ));
    }
    // A listener that is away is told once.
    if let Some(why) = top.not_following.as_ref().filter(|_| top.no_poll.is_none()) {
        lines.push((
            Emphasis::Bad,
            format!("problem   refusals are not followed: {why}"),
        ));
    }
}

fn describe_rates(rates: Option<&Rates>, lines: &mut Vec<Line>) {
    let Some(rates) = rates else {
        lines.push((Emphasis::Plain, "requests  …".to_owned()));
        return;
    };
    let text = format!("requests  {:.1} a second", rates.requests);
    lines.push((Emphasis::Plain, text));
    let look = match rates.refusals.is_empty() {
        true => Emphasis::Plain,
        false => Emphasis::Bad,
    };
    lines.push((look, describe_reasons("refusals", &rates.refusals)));
    if !rates.unenforced.is_empty() {
        let text = describe_reasons("audited", &rates.unenforced);
        lines.push((Emphasis::Warning, format!("{text} (not enforced)")));
    }
}

/// Describes the refusals a second: all together, and by reason.
fn describe_reasons(name: &str, reasons: &[(String, f64)]) -> String {
    // The sum of no numbers would be -0.0.
    let sum = reasons.iter().fold(0.0, |sum, (_, rate)| sum + rate);
    let each: Vec<_> = reasons
        .iter()
        .map(|(reason, rate)| format!("{reason} {rate:.1}"))
        .collect();
    let colon = if each.is_empty() { "" } else { ": " };
    format!("{name:<10}{sum:.1} a second{colon}{}", each.join(", "))
}

fn describe_places(poll: &Poll) -> String {
    let share = |name: &str, limit: &str| {
        let used = poll.figures.gauge(name)?;
        let limit = poll.figures.gauge(limit);
        Some(limit.map_or(format!("{used}"), |limit| format!("{used} of {limit}")))
    };
    let connections = share("cetusguard_connections", "cetusguard_connections_limit");
    let exchanges = share("cetusguard_exchanges", "cetusguard_exchanges_limit");
    let streams = poll.figures.gauge("cetusguard_streams").unwrap_or_default();
    let mut text = format!(
        "open      {} connections, {}",
        connections.unwrap_or_default(),
        count_of(streams, "stream")
    );
    if let Some(exchanges) = exchanges {
        text.push_str(&format!(", {exchanges} requests under way to the engine"));
    }
    text
}

/// Tells of records that no reader of the logs will see.
fn describe_lost_records(poll: &Poll, lines: &mut Vec<Line>) {
    let (audit, log) = (poll.figures.audit_lost(), poll.figures.log_lost());
    if audit > 0.0 {
        let records = count_of(audit, "record");
        let what =
            format!("audit     {records} lost since the start: its file or its reader fails");
        lines.push((Emphasis::Bad, what));
    }
    if log > 0.0 {
        let log_lines = count_of(log, "line");
        let what = format!("log       {log_lines} lost since the start: its reader is too slow");
        lines.push((Emphasis::Bad, what));
    }
}

fn describe_policy(policy: &Policy, extent: Extent, lines: &mut Vec<Line>) {
    if let Some(reload) = policy
        .last_reload
        .as_ref()
        .filter(|last| last.result != "success")
    {
        let mistakes = reload.mistakes.join("; ");
        let text = format!(
            "reload    failed at {}, the policy stays as it was: {mistakes}",
            reload.time
        );
        lines.push((Emphasis::Bad, text));
    }
    let warnings = policy.warnings.as_deref().unwrap_or_default();
    if warnings.is_empty() {
        return;
    }
    let shown = match extent {
        Extent::Whole => warnings.len(),
        Extent::Screen(_) => WARNINGS,
    };
    let number = count(warnings.len(), "warning");
    lines.push((Emphasis::Warning, format!("policy    {number} of check")));
    for warning in warnings.iter().take(shown) {
        let profile = warning.profile.as_ref();
        let profile = profile.map_or(String::new(), |name| format!("profile {name}: "));
        let text = format!("{INDENT}{profile}{}; {}", warning.detail, warning.hint);
        lines.push((Emphasis::Warning, text));
    }
}

/// Writes a number of the metrics with its noun.
fn count_of(number: f64, one: &str) -> String {
    let is_one = (number - 1.0).abs() < f64::EPSILON;
    format!("{number} {one}{}", if is_one { "" } else { "s" })
}

/// Adds a blank line, a heading, and the newest refusals with the lines that would allow them.
fn describe_refusals(top: &Top, extent: Extent, place: usize, lines: &mut Vec<Line>) {
    lines.push((Emphasis::Plain, String::new()));
    lines.push((Emphasis::Heading, "Last refusals".to_owned()));
    if top.refusals.is_empty() {
        lines.push((Emphasis::Faint, "none since this view began".to_owned()));
        return;
    }
    let width = match extent {
        Extent::Whole => usize::MAX,
        Extent::Screen(size) => size.width,
    };
    let shown: Vec<&RefusedCall> = top.refusals.iter().take(ROWS.min(place)).collect();
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|refused| refusal_row(refused, width))
        .collect();
    let mut left = place;
    for (refused, row) in shown.iter().zip(align(&rows, width)) {
        let remedies = remedies(&refused.decision);
        // A row whose lines have no place would be a riddle, but the first is shown in any case.
        if left < 1 + remedies.len() && left < place {
            return;
        }
        let look = match is_enforced(&refused.decision) {
            true => Emphasis::Plain,
            false => Emphasis::Warning,
        };
        let new = std::iter::once((look, row)).chain(remedies);
        lines.extend(new.take(left));
        left = left.saturating_sub(1 + self::remedies(&refused.decision).len());
    }
}

fn is_enforced(decision: &ShownDecision) -> bool {
    decision.decision != "would_deny"
}

/// Returns the columns of a refusal: the call is the last one, and takes the rest of the line.
fn refusal_row(refused: &RefusedCall, width: usize) -> Vec<String> {
    let decision = &refused.decision;
    // The time of the day, of 2026-11-27T12:00:01.123Z.
    let time = decision.time.get(11..19).unwrap_or_default();
    let client = client_name(&decision.container, &decision.certificate, &decision.client);
    let call = match (decision.method.as_str(), decision.path.as_str()) {
        ("", "") => "(unreadable)".to_owned(),
        (method, path) => format!("{method} {path}"),
    };
    let call = match refused.count {
        1 => call,
        times => format!("({times} times) {call}"),
    };
    let reason = match is_enforced(decision) {
        true => decision.reason.clone(),
        false => format!("{} (not enforced)", decision.reason),
    };
    let profile = decision.profile.clone();
    match width < NARROW {
        true => vec![reason, profile, call],
        false => vec![time.to_owned(), reason, profile, client.to_owned(), call],
    }
}

/// Returns the lines of a policy that would allow a call.
fn remedies(decision: &ShownDecision) -> Vec<Line> {
    // No rule has a blank behind a comma.
    let rules = decision
        .add_rules
        .split(", ")
        .filter(|rule| !rule.is_empty());
    let rules = rules.map(|rule| format!("  = rules: {rule}"));
    let exception = Some(&decision.guard_allow).filter(|list| !list.is_empty());
    let exception = exception.map(|list| format!("  = guard-allow: {list}"));
    rules
        .chain(exception)
        .map(|line| (Emphasis::Faint, line))
        .collect()
}

/// Adds a blank line, a heading, and the clients with the most connections.
fn describe_clients(top: &Top, extent: Extent, place: usize, lines: &mut Vec<Line>) {
    let Some(poll) = &top.poll else { return };
    let width = match extent {
        Extent::Whole => usize::MAX,
        Extent::Screen(size) => size.width,
    };
    let mut clients: Vec<_> = poll.clients.clients.iter().collect();
    clients.sort_by_key(|client| std::cmp::Reverse((client.connections, client.streams())));
    let all = clients.len() + poll.clients.clients_left_out;
    let mut rows = vec![
        ["Clients", "profile", "connections", "streams"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for client in clients.iter().take(place) {
        let name = client_name(
            client.container.as_deref().unwrap_or_default(),
            client.certificate.as_deref().unwrap_or_default(),
            &client.client,
        );
        rows.push(vec![
            name.to_owned(),
            client.profile.clone().unwrap_or_else(|| "-".to_owned()),
            client.connections.to_string(),
            client.streams().to_string(),
        ]);
    }
    let hidden = all - (rows.len() - 1);
    lines.push((Emphasis::Plain, String::new()));
    for (at, mut row) in align(&rows, width).into_iter().enumerate() {
        if at == 0 && hidden > 0 {
            row.push_str(&format!("  ({hidden} more)"));
        }
        lines.push((
            if at == 0 {
                Emphasis::Heading
            } else {
                Emphasis::Plain
            },
            row,
        ));
    }
}

/// Joins columns with two blanks. Where there is little place, a column takes at most a part of the
/// width, except the last one.
fn align(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let most = (width / 6).max(8);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| display_width(&harmless(cell))).max();
        widest.unwrap_or_default().min(most)
    };
    let widths: Vec<usize> = (0..columns).map(width_of).collect();
    let join = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = harmless(cell);
            if column + 1 == row.len() {
                line.push_str(&cell);
            } else {
                let cell = cut(&cell, *width);
                let blanks = width - display_width(&cell).min(*width) + 2;
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        line
    };
    rows.iter().map(join).collect()
}

/// Cuts a text to so many columns, and marks where it was cut.
fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut left = width.saturating_sub(display_width("…"));
    for c in text.chars() {
        let taken = display_width(c.encode_utf8(&mut [0; 4]));
        if taken > left {
            break;
        }
        left -= taken;
        cut.push(c);
    }
    if width >= display_width("…") {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::command::top::events::StreamEvent;
    use crate::command::top::figures::ShownFigures;
    use crate::command::top::state::ProxyNews;
    use cetusguard_config::address::Address;

    const METRICS: &str = r#"cetusguard_requests_total{profile="a",outcome="no_rule"} 4
cetusguard_refusals_total{profile="a",reason="no_rule"} 3
cetusguard_refusals_total{profile="a",reason="guard"} 1
cetusguard_unenforced_refusals_total{profile="b",reason="no_rule"} 2
cetusguard_connections 5
cetusguard_connections_limit 64
cetusguard_streams{profile="a"} 1
cetusguard_exchanges 2
cetusguard_audit_records_lost_total 12
cetusguard_log_records_lost_total 1
"#;

    fn policy() -> Policy {
        let warning = |number| {
            format!(
                r#"{{"code": "c", "profile": "a", "detail": "warning {number}", "hint": "fix it"}}"#
            )
        };
        let text = format!(
            r#"{{"version": "9.9.9", "hash": "0123456789abcdef", "generation": 3,
            "last_reload": {{"time": "T", "cause": "c", "result": "failure",
            "mistakes": ["line 3: \u001b[2J"]}}, "warnings": [{}, {}, {}]}}"#,
            warning(1),
            warning(2),
            warning(3)
        );
        serde_json::from_str(&text).expect("a policy")
    }

    fn poll(metrics: &str, at: Instant, clients: usize) -> Box<Poll> {
        let client = |number: usize| {
            format!(
                r#"{{"client": "10.0.0.{number}", "container": null, "certificate": null,
                "profile": null, "connections": {number}, "streams": [{{"path": "/events"}}],
                "streams_left_out": 0}}"#
            )
        };
        let clients: Vec<_> = (1..=clients).map(client).collect();
        let clients = format!(
            r#"{{"clients": [{}], "clients_left_out": 0}}"#,
            clients.join(",")
        );
        Box::new(Poll {
            figures: ShownFigures::read(metrics, at),
            clients: serde_json::from_str(&clients).expect("clients"),
            policy: policy(),
            unready: Some("not ready: the engine is away\n".to_owned()),
        })
    }

    fn refusal(path: &str, decision: &str) -> ProxyNews {
        ProxyNews::Event(StreamEvent::Refused(Box::new(ShownDecision {
            time: "2026-11-27T12:34:56.789Z".to_owned(),
            decision: decision.to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            client: "10.0.0.1:5".to_owned(),
            profile: "a-profile".to_owned(),
            reason: "no_rule".to_owned(),
            add_rules: format!("GET {path}, GET .*"),
            guard_allow: "privileged".to_owned(),
            ..ShownDecision::default()
        })))
    }

    fn busy() -> Top {
        let start = Instant::now();
        let mut top = Top::new(&Address::Unix("/run/admin.sock".into()));
        top.note_poll(poll("", start, 0));
        top.note_poll(poll(METRICS, start + Duration::from_secs(2), 30));
        for number in 0..30 {
            top.note(refusal(&format!("/{number}/漢字/\u{1b}[2J\u{202e}"), ""));
        }
        top.note(refusal("/audited", "would_deny"));
        top.note(refusal("/twice", ""));
        top.note(refusal("/twice", ""));
        top.note(ProxyNews::Event(StreamEvent::Lost(7)));
        top.note(ProxyNews::NotFollowing("four others read".to_owned()));
        top
    }

    fn text(top: &Top, extent: Extent) -> String {
        let lines = lines(top, extent).into_iter();
        lines.map(|(_, line)| line + "\n").collect()
    }

    #[test]
    fn a_text_shows_everything() {
        let text = text(&busy(), Extent::Whole);
        for line in [
            "cetusguard 9.9.9 at unix:///run/admin.sock, policy 0123456789ab, generation 3",
            "engine    not ready: the engine is away",
            "requests  2.0 a second",
            "refusals  2.0 a second: no_rule 1.5, guard 0.5",
            "audited   1.0 a second: no_rule 1.0 (not enforced)",
            "open      5 of 64 connections, 1 stream, 2 requests under way to the engine",
            "reload    failed at T, the policy stays as it was: line 3: \u{fffd}[2J",
            "policy    3 warnings of check",
            "          profile a: warning 3; fix it",
            "audit     12 records lost since the start: its file or its reader fails",
            "log       1 line lost since the start: its reader is too slow",
            "lost      7 refusals came too fast to be shown",
            "problem   refusals are not followed: four others read",
            "12:34:56  no_rule                 a-profile  10.0.0.1  (2 times) GET /twice",
            "12:34:56  no_rule (not enforced)  a-profile  10.0.0.1  GET /audited",
            "  = rules: GET /twice",
            "  = rules: GET .*",
            "  = guard-allow: privileged",
            "Clients    profile  connections  streams  (10 more)",
            "10.0.0.30  -        30           1",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line:?} is missing in:\n{text}"
            );
        }
        assert!(text.contains("/29/漢字/\u{fffd}[2J\u{fffd}\n"), "{text}");
    }

    #[test]
    fn a_screen_is_never_larger_than_the_terminal() {
        let (busy, fresh) = (busy(), Top::new(&Address::Inherited(None)));
        for width in [1, 2, 3, 10, 40, 59, 60, 80, 132, 300] {
            for height in [1, 2, 8, 10, 15, 24, 50, 200] {
                let extent = Extent::Screen(Size { width, height });
                for top in [&busy, &fresh] {
                    let filtered = Controls {
                        filter: "漢\u{1b}[2J".to_owned(),
                        ..Controls::default()
                    };
                    let all = lines(top, extent);
                    let with_keys = screen_lines(top, Size { width, height }, &filtered);
                    assert!(all.len() <= height, "{width}x{height}");
                    assert!(with_keys.len() <= height, "{width}x{height}");
                    for (_, line) in all.into_iter().chain(with_keys) {
                        assert!(display_width(&line) < width, "{width}x{height}: {line}");
                        assert_eq!(line, harmless(&line));
                    }
                }
            }
        }
    }

    #[test]
    fn a_usual_screen_has_place_for_refusals_and_clients() {
        let extent = Extent::Screen(Size {
            width: 80,
            height: 24,
        });
        let text = text(&busy(), extent);
        for part in [
            "GET /twice",
            "= rules: GET /twice",
            "10.0.0.30",
            "10.0.0.29",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
        assert!(!text.contains("warning 3"), "{text}");
        let narrow = Extent::Screen(Size {
            width: 50,
            height: 24,
        });
        let text = self::text(&busy(), narrow);
        assert!(text.contains("GET /twice"), "{text}");
        assert!(!text.contains("12:34:56"), "{text}");
    }

    #[test]
    fn reasons_are_broken_into_lines_where_there_is_place() {
        let mut top = Top::new(&Address::Inherited(None));
        top.note(ProxyNews::NoPoll(format!("{}end", "word ".repeat(20))));
        let shown = |height| text(&top, Extent::Screen(Size { width: 40, height }));
        assert!(shown(24).contains("\n          word"), "{}", shown(24));
        assert!(shown(24).contains("end\n"), "{}", shown(24));
        assert!(shown(4).contains("…\n"), "{}", shown(4));
    }

    #[test]
    fn old_figures_are_told() {
        let mut top = busy();
        top.note(ProxyNews::NoPoll("no answer".to_owned()));
        let text = text(&top, Extent::Whole);
        assert!(text.contains("these figures are old: no answer"), "{text}");
        assert!(text.contains("requests  …\n"), "{text}");
    }

    #[test]
    fn texts_are_cut_by_their_width() {
        for (text, width, want) in [
            ("abc", 3, "abc"),
            ("abcdef", 4, "ab…"),
            ("漢字漢字", 6, "漢字…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, width), want);
        }
    }
}
