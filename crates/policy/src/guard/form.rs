//! The forms of bodies, and the walk that compares a body with one.
//!
//! A form describes an engine's own type: fields with their canonical names. A field without an
//! entry must be empty; a key in another letter case is the field that the engine takes it for; a
//! value of another type is refused. Empty unknown fields are dropped: future engines may give them
//! a meaning.

use std::borrow::Cow;

use super::json::{Json, fold};
use super::{Judge, Step};

/// The form of a value.
#[derive(Debug)]
pub(super) enum Form {
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list of texts; engines before 29 take one text for a list of one.
    Words,
    /// A list.
    List(&'static Self),
    /// An object with keys of the client's choice.
    Map(&'static Self),
    /// An object with keys of the client's choice, without those for which this holds: they are
    /// dropped.
    MapWithout(&'static Self, fn(&str) -> bool),
    /// An object with fields.
    Struct(&'static [Field]),
    /// An object with the fields of several.
    Parts(&'static [&'static [Field]]),
    /// Anything: no engine reads it, so it is dropped.
    Dropped,
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    /// The canonical name, in ASCII as all names of engines are.
    name: &'static str,
    form: Form,
    /// The check of the value, which has its form.
    check: Option<Check>,
}

/// The check of one value; findings are about the judge's current place.
pub(super) type Check = fn(&mut Judge<'_>, &Json<'_>);

/// Returns a field that can do no harm.
pub(super) const fn field(name: &'static str, form: Form) -> Field {
    Field {
        name,
        form,
        check: None,
    }
}

/// Returns a field whose value is judged.
pub(super) const fn judged(name: &'static str, form: Form, check: Check) -> Field {
    Field {
        name,
        form,
        check: Some(check),
    }
}

/// Compares a value with its form, and drops empty parts.
pub(super) fn walk(judge: &mut Judge<'_>, value: &mut Json<'_>, form: &Form) {
    match (form, value) {
        (form, value) if form.takes(value) => {}
        (Form::Words, Json::List(list)) => each(judge, list, &Form::Text),
        (Form::List(form), Json::List(list)) => each(judge, list, form),
        (Form::Map(form), Json::Map(map)) => walk_map(judge, map, form),
        (Form::MapWithout(form, is_dropped), Json::Map(map)) => {
            map.retain(|(key, _)| !is_dropped(key));
            walk_map(judge, map, form);
        }
        (Form::Struct(fields), Json::Map(map)) => walk_fields(judge, map, &[fields]),
        (Form::Parts(parts), Json::Map(map)) => walk_fields(judge, map, parts),
        (form, _) => judge.malformed(format!("expected {}", form.name())),
    }
}

fn each(judge: &mut Judge<'_>, list: &mut [Json<'_>], form: &Form) {
    for (index, value) in list
        .iter_mut()
        .enumerate()
        .filter(|(_, value)| !form.takes(value))
    {
        judge.within(Step::Index(index), |judge| walk(judge, value, form));
    }
}

fn walk_map(judge: &mut Judge<'_>, map: &mut [(Cow<'_, str>, Json<'_>)], form: &Form) {
    for (key, value) in map {
        // `null` is the zero value there, as in the ports of an image.
        if !matches!(value, Json::Null) && !form.takes(value) {
            judge.within(Step::Key(key), |judge| walk(judge, value, form));
        }
    }
}

fn walk_fields(judge: &mut Judge<'_>, map: &mut Vec<(Cow<'_, str>, Json<'_>)>, parts: &[&[Field]]) {
    let fields = || parts.iter().copied().flatten();
    let count = parts.iter().map(|part| part.len()).sum();
    // At most one entry a field: the walk must not take longer the more spellings of a field a body
    // has.
    let mut seen: Vec<&str> = Vec::new();
    map.retain_mut(|(key, value)| {
        if judge.is_full() {
            return false;
        }
        judge.step(count);
        let known = fields().find(|field| field.name == *key).or_else(|| {
            let folded = fold(key);
            fields().find(|field| field.name.eq_ignore_ascii_case(&folded))
        });
        let Some(field) = known else {
            if !value.is_empty() {
                judge.within(Step::Unknown(key), |judge| {
                    judge.refuse(
                        "the guard does not know this field, so it must be empty".to_owned(),
                        None,
                    );
                });
            }
            return false;
        };
        // Go takes keys in any letter case: the key is judged as the field that the engine takes it
        // for, and sent in that field's spelling.
        if *key != field.name {
            *key = Cow::Borrowed(field.name);
        }
        if matches!(field.form, Form::Dropped) {
            return false;
        }
        // Two fields of a form may be one for an engine; then only one of them may be there. A
        // `null` counts: Go lets the last one empty a list or an object that came before.
        if seen
            .iter()
            .any(|known| known.eq_ignore_ascii_case(field.name))
        {
            judge.within(Step::Field(field.name), |judge| {
                judge.malformed("stands twice, in two spellings".to_owned())
            });
        } else {
            seen.push(field.name);
        }
        // Go treats it as a missing field.
        if matches!(value, Json::Null) {
            return false;
        }
        judge.within(Step::Field(field.name), |judge| {
            let before = judge.count();
            walk(judge, value, &field.form);
            // A value of another form is not judged further.
            if let (Some(check), true) = (field.check, judge.count() == before) {
                check(judge, value);
            }
        });
        true
    });
}

impl Form {
    /// Returns whether a value without parts has this form: then there is nothing to walk.
    const fn takes(&self, value: &Json<'_>) -> bool {
        matches!(
            (self, value),
            (Self::Bool, Json::Bool(_))
                | (Self::Number, Json::Number(_))
                | (Self::Text | Self::Words, Json::Text(_))
                | (Self::Dropped, _)
        )
    }

    /// Returns whether an object of this form has a field of this canonical name.
    pub(super) fn has_field(&self, name: &str) -> bool {
        match self {
            Self::Struct(fields) => fields.iter().any(|field| field.name == name),
            Self::Parts(parts) => parts
                .iter()
                .copied()
                .flatten()
                .any(|field| field.name == name),
            _ => false,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Words | Self::List(_) => "a list",
            Self::Map(_) | Self::MapWithout(..) | Self::Struct(_) | Self::Parts(_) => "an object",
            Self::Dropped => "anything",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Targets;
    use crate::guard::{
        Exception, Guard, Surroundings, container, network, service, specgen, volume,
    };

    /// The text of one of many parts of a body.
    type Part = fn(usize) -> String;

    /// Judges a body with many exceptions; returns how many comparisons that took, and how many
    /// findings there are.
    fn judged_with(form: &Form, body: &str) -> (usize, usize) {
        let allow = [
            "annotation=*",
            "capability=*",
            "bind=/srv/**:ro",
            "network-option=*=*",
            "volume-option=*=*",
        ];
        let allow = allow.map(|text| Exception::read(text).expect(text));
        let (guard, targets) = (
            Guard {
                allow: allow.to_vec(),
                ..Guard::default()
            },
            Targets::default(),
        );
        let mut judge = Judge::new(&guard, &targets, Surroundings::default());
        let mut json = Json::read(body.as_bytes()).expect(body);
        walk(&mut judge, &mut json, form);
        (judge.steps, judge.count())
    }

    /// An object or a list of many parts that differ.
    fn many(count: usize, [start, end]: [&str; 2], part: impl Fn(usize) -> String) -> String {
        let parts: Vec<String> = (0..count).map(part).collect();
        format!("{start}{}{end}", parts.join(","))
    }

    /// A key in a spelling of its own, which is one and the same field for engines.
    fn spelling(number: usize) -> String {
        let in_case = |(place, c): (usize, char)| match number >> place & 1 {
            0 => c.to_ascii_lowercase(),
            _ => c.to_ascii_uppercase(),
        };
        "NetworkDisabled".chars().enumerate().map(in_case).collect()
    }

    #[test]
    fn twice_as_much_takes_twice_as_long() {
        const HOST: [&str; 2] = ["{\"HostConfig\":{", "}}"];
        let bodies: [(&Form, [&str; 2], Part); 14] = [
            (&container::CREATE, HOST, |at| format!("\"{at}\":{{}}")),
            (&container::CREATE, HOST, |at| {
                format!("\"\u{212a}{at}X\":null")
            }),
            (&container::CREATE, HOST, |at| format!("\"{at}\":1")),
            (&container::CREATE, ["{", "}"], |at| {
                format!("\"{}\":true", spelling(at))
            }),
            (&container::CREATE, ["{\"Env\":[", "]}"], |at| {
                format!("\"A{at}=x\"")
            }),
            (&container::CREATE, ["{\"Env\":[", "]}"], |at| {
                at.to_string()
            }),
            (&container::CREATE, ["{\"Labels\":{", "}}"], |at| {
                format!("\"{at}\":\"x\"")
            }),
            (
                &container::CREATE,
                ["{\"HostConfig\":{\"Annotations\":{", "}}}"],
                |at| format!("\"{at}\":\"x\""),
            ),
            (
                &container::CREATE,
                ["{\"HostConfig\":{\"CapAdd\":[", "]}}"],
                |at| format!("\"NET_{at}\""),
            ),
            (
                &container::CREATE,
                ["{\"HostConfig\":{\"Binds\":[", "]}}"],
                |at| format!("\"/srv/{at}:/x:ro\""),
            ),
            (&network::CREATE, ["{\"Options\":{", "}}"], |at| {
                format!("\"{at}\":\"x\"")
            }),
            (&volume::CREATE, ["{\"DriverOpts\":{", "}}"], |at| {
                format!("\"{at}\":\"x\"")
            }),
            (
                &service::SPEC,
                ["{\"TaskTemplate\":{\"ContainerSpec\":{\"Mounts\":[", "]}}}"],
                |at| format!("{{\"type\":\"tmpfs\",\"TARGET\":\"/{at}\"}}"),
            ),
            (&specgen::CREATE, ["{\"devices\":[", "]}"], |at| {
                format!("{{\"path\":\"/dev/null:{at}\",\"x\":[]}}")
            }),
        ];
        for (form, around, part) in bodies {
            let [(once, found), (twice, _)] =
                [2_000, 4_000].map(|count| judged_with(form, &many(count, around, part)));
            let example = part(0);
            assert!(found <= 64, "{example}: {found} findings");
            assert!(
                twice <= 2 * once,
                "{example}: {once} comparisons, and {twice} for twice as many"
            );
            assert!(once <= 2_000 * 120, "{example}: {once} comparisons");
        }
    }

    #[test]
    fn the_walk_ends_at_the_last_finding() {
        let findings_at = |count: usize| {
            judged_with(
                &container::CREATE,
                &many(count, ["{", "}"], |at| format!("\"{at}\":1")),
            )
        };
        let enough = findings_at(64);
        assert_eq!(enough.1, 64);
        assert_eq!(findings_at(60_000), enough);
    }

    /// The bounds of the body's own size leave room for many exceptions.
    #[test]
    fn a_judgement_ends_whatever_the_exceptions() {
        let allow = vec![Exception::read("annotation=*-no").expect("one"); 1_000];
        let allow = [allow, vec![Exception::read("annotation=*").expect("one")]].concat();
        let (guard, targets) = (
            Guard {
                allow,
                ..Guard::default()
            },
            Targets::default(),
        );
        let body = many(
            60_000,
            ["{\"HostConfig\":{\"Annotations\":{", "}}}"],
            |at| format!("\"{at}\":\"x\""),
        );
        let mut judge = Judge::new(&guard, &targets, Surroundings::default());
        walk(
            &mut judge,
            &mut Json::read(body.as_bytes()).expect("JSON"),
            &container::CREATE,
        );
        assert_eq!(judge.findings.len(), 1);
        assert_eq!(
            judge.findings[0].what,
            "has more to judge than any client needs"
        );
    }
}
