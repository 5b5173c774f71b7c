//! The JSON Schema of the configuration file, from the same tables as the help and the reference
//! page: editors complete and check by it.

use cetusguard_policy::guard::KINDS;
use cetusguard_policy::{Preset, Redaction};
use serde_json::{Map, Value, json};

use super::keys::{CLIENT_KEYS, CLIENTS, FRONTEND_KEYS, Key, PROFILE_KEYS};
use super::option::{Many, OPTIONS};

/// Returns the schema as JSON text.
#[must_use]
pub fn schema() -> String {
    let mut properties = Map::new();
    for option in OPTIONS.iter().filter(|option| !option.is_source()) {
        let mut value = describe_value(
            option.value.unwrap_or("BOOL"),
            option.many != Many::No,
            option.help,
        );
        if !option.default.is_empty() {
            value["default"] = option.default.into();
        }
        properties.insert(option.name.to_owned(), value);
    }
    properties.insert(
        "frontends".to_owned(),
        json!({
            "type": "array",
            "description": "Where to listen: each entry says what holds for it alone.",
            "items": object_schema(FRONTEND_KEYS, &["addr"]),
        }),
    );
    let mut profile = object_schema(PROFILE_KEYS, &[]);
    let client = json!({ "type": "object", "minProperties": 1, "properties": key_schemas(CLIENT_KEYS), "additionalProperties": false });
    profile["properties"]["clients"] =
        json!({ "type": "array", "description": CLIENTS, "items": client });
    properties.insert(
        "profiles".to_owned(),
        json!({
            "type": "object",
            "description": "Rights of clients that are not the default ones, by name.",
            "propertyNames": { "pattern": "^[A-Za-z0-9._-]+$", "not": { "const": "default" } },
            "additionalProperties": profile,
        }),
    );
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Cetusguard's configuration file",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    format!("{schema:#}")
}

fn object_schema(known: &[Key], required: &[&str]) -> Value {
    json!({ "type": "object", "properties": key_schemas(known), "required": required, "additionalProperties": false })
}

fn key_schemas(known: &[Key]) -> Value {
    known
        .iter()
        .map(|key| {
            (
                key.name.to_owned(),
                describe_value(key.value, key.many, key.help),
            )
        })
        .collect::<Map<_, _>>()
        .into()
}

fn describe_value(word: &str, many: bool, help: &str) -> Value {
    let one = value_form(word);
    let mut value = if many {
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    } else {
        one
    };
    value["description"] = help.into();
    value
}

/// Returns the form of a value, by its placeholder in the help.
fn value_form(word: &str) -> Value {
    let none = json!({ "const": "none" });
    match word {
        "BOOL" => json!({ "type": "boolean" }),
        "N" => json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, none] }),
        "RATE" => json!({ "anyOf": [{ "type": "string", "pattern": "^[0-9]+/[smh]$" }, none] }),
        "TIME" => json!({ "type": "string", "pattern": "^([0-9]+ ?[a-z]+ ?)+$" }),
        "BITS" => json!({ "type": ["string", "integer"], "pattern": "^(0o?)?[0-7]{1,3}$" }),
        "GROUP" | "USER" => json!({ "type": ["string", "integer"] }),
        "FORMAT" => json!({ "enum": ["logfmt", "json"] }),
        "enforce|audit" | "privileged|baseline|restricted" => {
            json!({ "enum": word.split('|').collect::<Vec<_>>() })
        }
        "MODE" => json!({ "enum": ["auto", "off", "declared", "copied", "updater"] }),
        "EXCEPTION" => {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            json!({ "type": "string", "pattern": format!("^({})(=.*)?$", names.join("|")) })
        }
        "CLASS" => {
            let values: Vec<_> = Redaction::VALUES
                .iter()
                .map(|(value, _)| value.replace("PATTERN", ".+"))
                .collect();
            json!({ "type": "string", "pattern": format!("^({})([,\\n].*)?$", values.join("|")) })
        }
        "PRESET" => {
            json!({ "enum": Preset::ALL.iter().map(|preset| preset.name).collect::<Vec<_>>() })
        }
        "LEVEL" => json!({ "type": ["integer", "string"], "minimum": 0, "maximum": 7 }),
        "KEY=PATTERN" => json!({ "type": "string", "pattern": "=" }),
        _ => json!({ "type": "string" }),
    }
}
