//! The strict reader of JSON takes a part of what `serde_json` takes, finds the same values, and
//! writes them so that they are read the same again. What it refuses beyond that is what engines
//! read in different ways.
#![no_main]

use cetusguard_policy::guard::Json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::from_slice;

/// What is JSON and refused all the same.
const STRICTER: [&str; 4] = [
    "a number out of range",
    "more values or deeper ones than any engine takes",
    "a key that stands twice",
    "a NUL in a text",
];

fuzz_target!(|body: &[u8]| {
    match Json::read(body) {
        Ok(json) => {
            let written = json.to_string();
            assert_eq!(Json::read(written.as_bytes()).as_ref(), Ok(&json));
            let value = from_slice(body).expect("JSON");
            assert!(is_same(&json, &value), "{json} is not {value}");
        }
        Err(wrong) => {
            let wrong = wrong.to_string();
            let is_stricter = STRICTER.iter().any(|known| wrong.starts_with(known));
            assert!(
                is_stricter || from_slice::<Value>(body).is_err(),
                "JSON is refused: {wrong}"
            );
        }
    }
});

fn is_same(json: &Json<'_>, value: &Value) -> bool {
    match (json, value) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(one), Value::Bool(other)) => one == other,
        (Json::Number(digits), Value::Number(_)) => {
            serde_json::from_str(digits).ok().as_ref() == Some(value)
        }
        (Json::Text(one), Value::String(other)) => one == other,
        (Json::List(list), Value::Array(values)) => {
            list.len() == values.len()
                && list
                    .iter()
                    .zip(values)
                    .all(|(one, other)| is_same(one, other))
        }
        (Json::Map(pairs), Value::Object(map)) => {
            let has = |(key, one): &(_, Json<'_>)| {
                map.get(AsRef::<str>::as_ref(key))
                    .is_some_and(|other| is_same(one, other))
            };
            pairs.len() == map.len() && pairs.iter().all(has)
        }
        _ => false,
    }
}
