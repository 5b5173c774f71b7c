//! The policy as text: a configuration, a file of rules, or JSON.

use std::fmt::Write as _;

use cetusguard_config::printed::{harmless, quoted};
use cetusguard_policy::guard::Exception;

use super::policy::{Allowed, Learned, LearnedPolicy, LearnedRule};
use cetusguard_proxy::time_of_day;

/// Writes the policy; with `risky`, risky rules are in effect instead of in comments.
pub(super) fn text(book: &LearnedPolicy, format: &str, risky: bool) -> String {
    match format {
        "json" => crate::command::json(book),
        "rules" => {
            let profiles = book
                .profiles
                .iter()
                .map(|learned| exceptions_aside(learned) + &write_rules(learned, risky, ""));
            write_header(book) + &profiles.collect::<String>()
        }
        _ => write_yaml(book, risky),
    }
}

fn write_header(book: &LearnedPolicy) -> String {
    let lost = match book.lost {
        0 => String::new(),
        lost => format!("# {lost} requests more were too different from each other to be kept.\n"),
    };
    format!(
        "# Learned from {}; written {}.\n{lost}# Read it before you use it: it covers every \
        call, of any client.\n",
        crate::command::page::count(
            usize::try_from(book.requests).unwrap_or(usize::MAX),
            "request"
        ),
        time_of_day()
    )
}

fn write_yaml(book: &LearnedPolicy, risky: bool) -> String {
    let mut out = write_header(book);
    out.push_str(
        "# It has what clients may call; put the other keys of your configuration beside it.\n",
    );
    let (default, others): (Vec<_>, Vec<_>) = book
        .profiles
        .iter()
        .partition(|learned| learned.name == "default");
    for learned in default {
        write_keys(&mut out, learned, risky, "");
    }
    if !others.is_empty() {
        out.push_str("profiles:\n");
    }
    for learned in others {
        let _ = writeln!(out, "  {}:", learned.name);
        write_clients(&mut out, learned);
        write_keys(&mut out, learned, risky, "    ");
    }
    out
}

fn write_clients(out: &mut String, learned: &Learned) {
    // A frontend has its profile in an entry of frontends.
    let own = learned
        .clients
        .iter()
        .filter(|client| !client.iter().any(|(key, _)| *key == "frontend"));
    for (index, client) in own.enumerate() {
        if index == 0 {
            out.push_str("    clients:\n");
        }
        for (place, (key, value)) in client.iter().enumerate() {
            let mark = if place == 0 { "- " } else { "  " };
            let _ = writeln!(out, "      {mark}{key}: {}", quoted(value));
        }
    }
}

fn write_keys(out: &mut String, learned: &Learned, risky: bool, indent: &str) {
    let _ = writeln!(out, "{indent}guard: {}", learned.guard);
    if learned.no_builtin_rules {
        let _ = writeln!(out, "{indent}no-builtin-rules: true");
    }
    write_exceptions(out, learned, risky, indent);
    let body = write_rules(learned, risky, &format!("{indent}  "));
    if !body.is_empty() {
        // A key without a value is a mistake: where every rule is a comment, so is the key, and
        // they are uncommented together.
        let is_live = body.lines().any(|line| !line.trim_start().starts_with('#'));
        let _ = write!(
            out,
            "{indent}{}rules: |\n{body}",
            if is_live { "" } else { "# " }
        );
    }
}

/// Writes `guard-allow`: exceptions in effect, risky ones as comments that can be uncommented, and
/// those that have to be completed as remarks.
fn write_exceptions(out: &mut String, learned: &Learned, risky: bool, indent: &str) {
    // A hint may be a sentence, or leave out a possible secret.
    let is_whole = |allowed: &&Allowed| {
        !allowed.exception.ends_with('…') && Exception::read_in_list(&allowed.exception).is_ok()
    };
    let (whole, open): (Vec<_>, Vec<_>) = learned.guard_allow.iter().partition(is_whole);
    let is_off = |allowed: &Allowed| allowed.risky.is_some() && !risky;
    if !whole.is_empty() {
        let off = if whole.iter().all(|allowed| is_off(allowed)) {
            "# "
        } else {
            ""
        };
        let _ = writeln!(out, "{indent}{off}guard-allow:");
    }
    let note = |allowed: &Allowed| match allowed.count {
        0 => String::new(),
        count => format!("  # needed {}", count_times(count)),
    };
    for allowed in whole {
        if let Some(why) = allowed.risky {
            let _ = writeln!(out, "{indent}  # risky: {why}");
        }
        let off = if is_off(allowed) { "# " } else { "" };
        let _ = writeln!(
            out,
            "{indent}  {off}- {}{}",
            quoted(&allowed.exception),
            note(allowed)
        );
    }
    for allowed in open {
        let _ = writeln!(
            out,
            "{indent}# to be completed in guard-allow: {}{}",
            quoted(&allowed.exception),
            note(allowed)
        );
    }
}

/// Writes the settings that a file of rules cannot hold, as comments.
fn exceptions_aside(learned: &Learned) -> String {
    let mut out = String::new();
    for allowed in &learned.guard_allow {
        let _ = writeln!(
            out,
            "# It needs beside these rules: --guard-allow {}",
            quoted(&allowed.exception)
        );
    }
    if learned.no_builtin_rules {
        out.push_str("# It needs beside these rules: --no-builtin-rules\n");
    }
    out
}

fn write_rules(learned: &Learned, risky: bool, indent: &str) -> String {
    let mut out = String::new();
    for denial in &learned.denials {
        let _ = writeln!(
            out,
            "{indent}{}  # from the profile as it is",
            one_line(denial)
        );
    }
    for LearnedRule {
        rule,
        count,
        first,
        can,
        risk,
        risky: why,
        refused,
    } in &learned.rules
    {
        if let Some(why) = why {
            let _ = writeln!(out, "{indent}# risky: {}", one_line(why));
        }
        if let Some(refused) = refused {
            let _ = writeln!(out, "{indent}# refused in part: {}", one_line(refused));
        }
        let off = if why.is_some() && !risky { "# " } else { "" };
        let _ = writeln!(
            out,
            "{indent}{off}{}  # {}, first {first}: {can} [{risk}]",
            one_line(rule),
            count_times(*count)
        );
    }
    out
}

fn count_times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

/// Replaces control characters: text of a client must not begin a line of its own.
fn one_line(text: &str) -> String {
    harmless(text)
}
