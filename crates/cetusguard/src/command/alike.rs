//! Groups of findings that differ in the name of a profile and in places alone: with hundreds of
//! profiles, each group is printed once.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

/// Findings that are alike: the first one, and the others.
#[derive(Debug, PartialEq)]
pub(super) struct Alike<'f, F> {
    pub(super) first: &'f F,
    pub(super) others: Vec<&'f F>,
}

/// Groups of up to so many findings are printed one by one.
const PRINTED: usize = 3;

/// The most names that a line about the others has.
const NAMED: usize = 3;

/// Stands for the name of the profile in a key: no name can have this character.
const OWN_NAME: &str = "\u{0}";

/// Groups findings in the order of their first ones. `split` returns the name of the profile and the
/// part of the finding that has to be equal.
pub(super) fn group_alike<'f, F, P: Serialize>(
    findings: &'f [F],
    split: impl Fn(&'f F) -> (&'f str, P),
) -> Vec<Alike<'f, F>> {
    let mut groups: Vec<Vec<(usize, &F)>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, finding) in findings.iter().enumerate() {
        let (name, part) = split(finding);
        let place = *places
            .entry(key_without_places(&part, name))
            .or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
        groups[place].push((index, finding));
    }
    let (mut many, few): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.len() > PRINTED);
    many.extend(few.into_iter().flatten().map(|one| vec![one]));
    many.sort_by_key(|group| group[0].0);
    let alike = |group: Vec<(usize, &'f F)>| Alike {
        first: group[0].1,
        others: group[1..].iter().map(|(_, finding)| *finding).collect(),
    };
    many.into_iter().map(alike).collect()
}

/// Returns `… and in 496 more profiles: a, b, c, …`; `None` if there are no others.
pub(super) fn describe_others<'n>(
    what: &str,
    others: impl ExactSizeIterator<Item = &'n str>,
) -> Option<String> {
    let count = others.len();
    let mut names: Vec<_> = others.take(NAMED).collect();
    if count > NAMED {
        names.push("…");
    }
    (count > 0)
        .then(|| format!("… and {what}: {}", names.join(", ")).replace("{}", &count.to_string()))
}

/// Returns a text that is equal for findings which differ in the name of the profile, and in the
/// lines of the configuration, alone.
fn key_without_places(part: &impl Serialize, name: &str) -> String {
    let mut value = serde_json::to_value(part).unwrap_or_default();
    remove_places(&mut value, name);
    value.to_string()
}

fn remove_places(value: &mut Value, name: &str) {
    match value {
        Value::String(text) => *text = without_name(&without_lines(text), name),
        Value::Array(all) => all.iter_mut().for_each(|one| remove_places(one, name)),
        Value::Object(all) => all.values_mut().for_each(|one| remove_places(one, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a text without the lines and columns of places: `file:3:16: text` and `file:3,4`.
fn without_lines(text: &str) -> String {
    let is_number = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_ascii_digit() || c == ',')
    };
    let parts: Vec<&str> = text.split(':').collect();
    let last = parts.len() - 1;
    let is_kept = |(index, part): &(usize, &&str)| {
        // Behind a place stands a colon with a blank, or nothing.
        let rest = &parts[*index + 1..];
        let mut behind = rest.iter().skip_while(|part| is_number(part));
        let is_at_end = *index == last || behind.next().is_none_or(|part| part.starts_with(' '));
        *index == 0 || !(is_number(part) && is_at_end)
    };
    let kept = parts.iter().enumerate().filter(is_kept);
    kept.map(|(_, part)| *part).collect::<Vec<_>>().join(":")
}

/// Returns a text with a mark in place of a name, where the name is a whole word.
fn without_name(text: &str, name: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, behind) = (&rest[..at], &rest[at + name.len()..]);
        let is_word = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let is_whole = is_word(before.chars().next_back()) && is_word(behind.chars().next());
        result.push_str(before);
        result.push_str(if is_whole { OWN_NAME } else { name });
        rest = behind;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_make_no_difference() {
        for (text, want) in [
            ("a.yaml:3:16: unknown key x", "a.yaml: unknown key x"),
            ("a.yaml:3", "a.yaml"),
            ("a.yaml:3,14", "a.yaml"),
            (
                "listens at tcp://host:2375 there",
                "listens at tcp://host:2375 there",
            ),
            (
                "a:1: GET /x allows nothing that a:22: GET .* does not",
                "a: GET /x allows nothing that a: GET .* does not",
            ),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(without_lines(text), want);
        }
        for (text, want) in [
            ("/containers/web/logs", "/containers/\u{0}/logs"),
            ("webs and web", "webs and \u{0}"),
            ("none", "none"),
        ] {
            assert_eq!(without_name(text, "web"), want);
        }
    }

    #[test]
    fn many_are_one_group_and_few_are_none() {
        let findings: Vec<(String, String)> = (0..9)
            .map(|number| {
                let what = if number % 3 == 0 { "few" } else { "many" };
                (format!("p{number}"), format!("f:{number}: {what}"))
            })
            .collect();
        let groups = group_alike(&findings, |(name, what)| (name.as_str(), what));
        let shown: Vec<_> = groups
            .iter()
            .map(|group| (group.first.0.as_str(), group.others.len()))
            .collect();
        assert_eq!(shown, [("p0", 0), ("p1", 5), ("p3", 0), ("p6", 0)]);
        let names = groups[1].others.iter().map(|other| other.0.as_str());
        assert_eq!(
            describe_others("in {} more profiles", names).as_deref(),
            Some("… and in 5 more profiles: p2, p4, p5, …")
        );
        assert_eq!(describe_others("x", std::iter::empty()), None);
    }
}
