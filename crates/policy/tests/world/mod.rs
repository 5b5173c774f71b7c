//! A world for tests: what an engine answers about the objects that calls name.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod reading;

use cetusguard_policy::endpoint::ObjectKind;
use cetusguard_policy::guard::{Cleared, Engine, Objection, Question, Surroundings};
use cetusguard_policy::{Object, Permit};
use serde_json::Value;

/// What an engine of today says of itself.
pub(crate) const RECENT: &str =
    r#"{"ApiVersion":"1.51","KernelVersion":"6.1.0","Components":[{"Name":"Engine"}]}"#;

/// An object of no importance, which is called by its identifier.
pub(crate) fn plain(kind: ObjectKind, word: &str) -> Option<Object> {
    let word = Value::from(word);
    let answer = match kind {
        // A volume that no client has created yet.
        ObjectKind::Volume => return None,
        ObjectKind::Container | ObjectKind::Network | ObjectKind::Pod => {
            format!("{{\"Id\":{word},\"Name\":{word}}}")
        }
        ObjectKind::Exec => format!("{{\"ID\":{word},\"ContainerID\":\"c0ffee\"}}"),
        _ => format!("{{\"ID\":{word},\"Spec\":{{\"Name\":{word}}}}}"),
    };
    Some(Object::read(kind, answer.as_bytes()).expect("JSON"))
}

/// What becomes of a permitted call in a world of plain objects, in front of an engine of today.
pub(crate) fn settle(
    permit: &Permit,
    kind: Option<&str>,
    body: &[u8],
) -> Result<Cleared, Objection> {
    settle_in(permit, kind, body, Surroundings::default(), &plain, RECENT)
}

/// What becomes of a permitted call in a world of these objects. A call about an object that is
/// missing is one that passes: the engine answers it.
pub(crate) fn settle_in(
    permit: &Permit,
    kind: Option<&str>,
    body: &[u8],
    surroundings: Surroundings<'_>,
    world: &dyn Fn(ObjectKind, &str) -> Option<Object>,
    engine: &str,
) -> Result<Cleared, Objection> {
    let mut case = permit.open(kind, body, surroundings)?;
    while let Some(question) = case.question() {
        match question {
            Question::Object { kind, word } => {
                let object = world(kind, word);
                case.answer(object.as_ref())
                    .expect("an object that is there");
            }
            // Without settings, nothing is created again: tests/recreation.rs has worlds with
            // settings.
            Question::Inspection { word, .. } => {
                let object = world(ObjectKind::Container, word);
                case.answer(object.as_ref())
                    .expect("an object that is there");
            }
            Question::Engine => case.answer_engine(&Engine::read(engine.as_bytes()).expect("JSON")),
        }
    }
    case.close()
}
