//! The forms that bodies have, and the walk that holds a body against one.
//!
//! A form is what an engine's own type is: fields with their canonical names. A field that the form does not have must be empty;
//! a key in another letter case is the field that the engine takes it for; a value of another type is refused. What is empty and unknown does not go upstream:
//! future engines may give it a meaning.

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
    /// The same, without the keys for which this holds: they go no further.
    MapWithout(&'static Self, fn(&str) -> bool),
    /// An object with fields.
    Struct(&'static [Field]),
    /// An object with the fields of several.
    Parts(&'static [&'static [Field]]),
    /// Anything: no engine reads it, so it goes no further.
    Dropped,
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    form: Form,
    /// Looks at the value, which has its form.
    check: Option<Check>,
}

/// Judges one value; findings are about the place where the judge is.
pub(super) type Check = fn(&mut Judge<'_>, &Json<'_>);

/// A field that can do no harm.
pub(super) const fn field(name: &'static str, form: Form) -> Field {
    Field { name, form, check: None }
}

/// A field that is looked at.
pub(super) const fn judged(name: &'static str, form: Form, check: Check) -> Field {
    Field { name, form, check: Some(check) }
}

/// Holds a value against its form, and drops what says nothing.
pub(super) fn walk(judge: &mut Judge<'_>, value: &mut Json<'_>, form: &Form) {
    match (form, value) {
        (Form::Bool, Json::Bool(_)) | (Form::Number, Json::Number(_)) | (Form::Text | Form::Words, Json::Text(_)) => {}
        (Form::Words, Json::List(list)) => each(judge, list, &Form::Text),
        (Form::List(form), Json::List(list)) => each(judge, list, form),
        (Form::Map(form), Json::Map(map)) => walk_map(judge, map, form),
        (Form::MapWithout(form, is_dropped), Json::Map(map)) => {
            map.retain(|(key, _)| !is_dropped(key));
            walk_map(judge, map, form);
        }
        (Form::Struct(fields), Json::Map(map)) => walk_fields(judge, map, &[fields]),
        (Form::Parts(parts), Json::Map(map)) => walk_fields(judge, map, parts),
        (Form::Dropped, _) => {}
        (form, _) => judge.malformed(format!("expected {}", form.name())),
    }
}

fn each(judge: &mut Judge<'_>, list: &mut [Json<'_>], form: &Form) {
    for (index, value) in list.iter_mut().enumerate() {
        judge.within(Step::Index(index), |judge| walk(judge, value, form));
    }
}

fn walk_map(judge: &mut Judge<'_>, map: &mut [(Cow<'_, str>, Json<'_>)], form: &Form) {
    for (key, value) in map {
        // `null` is the zero value there, as in the ports of an image.
        if !matches!(value, Json::Null) {
            judge.within(Step::Key(key), |judge| walk(judge, value, form));
        }
    }
}

fn walk_fields(judge: &mut Judge<'_>, map: &mut Vec<(Cow<'_, str>, Json<'_>)>, parts: &[&[Field]]) {
    let fields = || parts.iter().copied().flatten();
    let mut seen: Vec<&str> = Vec::new();
    map.retain_mut(|(key, value)| {
        let known = fields().find(|field| field.name == *key).or_else(|| {
            let folded = fold(key);
            fields().find(|field| fold(field.name) == folded)
        });
        let Some(field) = known else {
            if !value.is_empty() {
                judge.within(Step::Unknown(key), |judge| {
                    judge.refuse("the guard does not know this field, so it must be empty".to_owned(), None);
                });
            }
            return false;
        };
        // Go takes keys in any letter case: it is judged as the field that the engine takes it for, and sent as that.
        if *key != field.name {
            *key = Cow::Borrowed(field.name);
        }
        // Go takes it for a field that is not there.
        if matches!(value, Json::Null) || matches!(field.form, Form::Dropped) {
            return false;
        }
        // Two fields of a form may be one for an engine; then only one of them may be there.
        if seen.iter().any(|known| fold(known) == fold(field.name)) {
            judge.within(Step::Field(field.name), |judge| judge.malformed("stands twice, in two spellings".to_owned()));
        }
        seen.push(field.name);
        judge.within(Step::Field(field.name), |judge| {
            let before = judge.count();
            walk(judge, value, &field.form);
            // What has another form cannot be looked at.
            if let (Some(check), true) = (field.check, judge.count() == before) {
                check(judge, value);
            }
        });
        true
    });
}

impl Form {
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
