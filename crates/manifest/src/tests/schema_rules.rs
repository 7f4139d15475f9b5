//! The rules of JSON Schema that ours uses, and no others.
//!
//! A library for all of them is thirty crates for one test; this refuses a rule that it does not know.

use regex::Regex;
use serde_json::Value;

/// What a schema has against a value, if anything.
pub(super) fn refusal(schema: &Value, value: &Value) -> Option<String> {
    let rules = schema.as_object().expect("every schema of ours is a map");
    rules.iter().find_map(|(rule, wanted)| {
        if holds(rule, wanted, schema, value) {
            inner(rule, wanted, schema, value)
        } else {
            Some(format!("{value} against {rule} {wanted}"))
        }
    })
}

/// Whether a rule holds for the value itself. Rules about other types than the value's hold.
fn holds(rule: &str, wanted: &Value, schema: &Value, value: &Value) -> bool {
    let object = value.as_object();
    match rule {
        "$schema" | "title" | "description" => true,
        "type" => match wanted.as_array() {
            Some(types) => types.iter().any(|kind| is_of_type(kind, value)),
            None => is_of_type(wanted, value),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        "pattern" => {
            let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
        "uniqueItems" => value.as_array().is_none_or(|items| {
            items.iter().enumerate().all(|(place, item)| !items[..place].contains(item))
        }),
        "required" => object.is_none_or(|object| {
            wanted.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        "additionalProperties" if wanted == false => object
            .is_none_or(|object| object.keys().all(|key| schema["properties"].get(key).is_some())),
        "anyOf" => wanted.as_array().unwrap().iter().any(|schema| refusal(schema, value).is_none()),
        "items" | "properties" | "propertyNames" | "additionalProperties" => true,
        unknown => panic!("the rule {unknown} is not known here"),
    }
}

/// What is wrong within the value.
fn inner(rule: &str, wanted: &Value, schema: &Value, value: &Value) -> Option<String> {
    let mut items = value.as_array().into_iter().flatten();
    let mut entries = value.as_object().into_iter().flatten();
    match rule {
        "items" => items.find_map(|item| refusal(wanted, item)),
        "properties" => entries
            .find_map(|(key, value)| wanted.get(key).and_then(|schema| refusal(schema, value))),
        "propertyNames" => entries.find_map(|(key, _)| refusal(wanted, &key.as_str().into())),
        "additionalProperties" if wanted.is_object() => entries
            .filter(|(key, _)| schema["properties"].get(key).is_none())
            .find_map(|(_, value)| refusal(wanted, value)),
        _ => None,
    }
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the type {unknown} is not known here"),
    }
}

#[test]
fn the_rules_are_those_of_json_schema() {
    let refuses = |schema: &str, value: &str| {
        refusal(&serde_json::from_str(schema).unwrap(), &serde_json::from_str(value).unwrap())
            .is_some()
    };
    for (schema, good, bad) in [
        (r#"{"type": ["integer", "null"]}"#, "1.0", "1.5"),
        (r#"{"const": 1}"#, "1", "2"),
        (r#"{"enum": ["a", "b"]}"#, r#""a""#, r#""c""#),
        (r#"{"pattern": "^a"}"#, "1", r#""ba""#),
        (r#"{"minimum": 1, "maximum": 2}"#, "2", "3"),
        (r#"{"items": {"type": "string"}, "uniqueItems": true}"#, r#"["a"]"#, r#"["a", "a"]"#),
        (r#"{"required": ["a"]}"#, r#"{"a": 1, "b": 2}"#, r#"{"b": 2}"#),
        (r#"{"properties": {"a": {"const": 1}}}"#, r#"{"b": 2}"#, r#"{"a": 2}"#),
        (
            r#"{"properties": {"a": {}}, "additionalProperties": false}"#,
            r#"{"a": 2}"#,
            r#"{"b": 2}"#,
        ),
        (r#"{"additionalProperties": {"type": "null"}}"#, r#"{"a": null}"#, r#"{"a": 1}"#),
        (r#"{"propertyNames": {"pattern": "^a"}}"#, r#"{"a": 1}"#, r#"{"b": 1}"#),
        (r#"{"anyOf": [{"type": "null"}, {"const": 1}]}"#, "1", "2"),
    ] {
        assert!(!refuses(schema, good), "{schema} {good}");
        assert!(refuses(schema, bad), "{schema} {bad}");
    }
}
