//! The tables as JSON Schema, for editors.
//!
//! Draft 7, which editors' YAML plugins know best. It is made from what the validator checks with, so it refuses nothing
//! that the validator takes without a word; what fields say about each other it mostly cannot say.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    fields,
    form::{Field, Form, NONE, Need, Table, Text, Zero, pattern},
};

/// The schema of version 1, as indented JSON that ends with a line feed.
#[must_use]
pub fn json_schema() -> String {
    let mut root = of_table(&fields::TOP);
    root.schema = Some("http://json-schema.org/draft-07/schema#");
    root.title = Some("sandbox.yaml");
    root.any_of =
        ["web", "workers"].map(|key| Schema { required: vec![key], ..Schema::default() }).into();
    let mut text =
        serde_json::to_string_pretty(&root).expect("a schema holds nothing that JSON cannot say");
    text.push('\n');
    text
}

/// The parts of JSON Schema that are used, in the order in which they are written.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    schema: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(rename = "const", skip_serializing_if = "Option::is_none")]
    constant: Option<u64>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    choices: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unique_items: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<&'static str>,
    #[serde(serialize_with = "in_order", skip_serializing_if = "Vec::is_empty")]
    properties: Vec<(&'static str, Schema)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    property_names: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_properties: Option<Additional>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<Schema>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Kind {
    One(&'static str),
    Any(&'static [&'static str]),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Additional {
    Refused(Never),
    Of(Box<Schema>),
}

/// Written as `false`.
#[derive(Debug)]
struct Never;

impl Serialize for Never {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(false)
    }
}

/// A map in the order of the table, whatever features the JSON library was built with.
fn in_order<S: Serializer>(
    properties: &[(&'static str, Schema)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(properties.len()))?;
    for (key, schema) in properties {
        map.serialize_entry(key, schema)?;
    }
    map.end()
}

/// Numbers and truth values without quotes are texts as well, as they are written.
const TEXT: Kind = Kind::Any(&["string", "number", "boolean"]);

fn of_table(table: &'static Table) -> Schema {
    let required = table
        .fields
        .iter()
        .filter(|field| field.need != Need::Optional)
        .map(|field| field.key)
        .collect();
    Schema {
        description: Some(table.about.to_owned()),
        kind: Some(Kind::One("object")),
        required,
        properties: table.fields.iter().map(|field| (field.key, of_field(field))).collect(),
        additional_properties: Some(Additional::Refused(Never)),
        ..Schema::default()
    }
}

fn of_field(field: &'static Field) -> Schema {
    let mut description = field.about.to_owned();
    if field.need == Need::Optional {
        description.push_str(" Default: ");
        description.push_str(field.default);
        description.push('.');
    }
    Schema { description: Some(description), ..of_form(&field.form) }
}

fn of_form(form: &Form) -> Schema {
    let typed = |kind| Schema { kind: Some(kind), ..Schema::default() };
    let matching = |pattern| Schema { pattern: Some(pattern), ..typed(TEXT) };
    let whole =
        |min, max| Schema { minimum: Some(min), maximum: Some(max), ..typed(Kind::One("integer")) };
    match form {
        Form::Version => Schema { constant: Some(1), ..Schema::default() },
        Form::Text(rule) => of_text(*rule),
        Form::Whole { min, max, zero: Zero::Unset | Zero::Number } => whole(*min, *max),
        Form::Port(Zero::Unset | Zero::Number) => whole(1, u16::MAX.into()),
        Form::Flag => typed(Kind::One("boolean")),
        Form::Word(words) => Schema { choices: words.to_vec(), ..Schema::default() },
        Form::Duration { .. } => {
            Schema { pattern: Some(pattern::DURATION), ..typed(Kind::One("string")) }
        }
        Form::Bytes { .. } => {
            Schema { pattern: Some(pattern::BYTES), ..typed(Kind::Any(&["string", "integer"])) }
        }
        Form::Env => Schema {
            property_names: Some(Box::new(Schema {
                pattern: Some(pattern::ENV_NAME),
                ..Schema::default()
            })),
            additional_properties: Some(Additional::Of(Box::new(typed(Kind::Any(&[
                "string", "number", "boolean", "null",
            ]))))),
            ..typed(Kind::One("object"))
        },
        Form::Names => Schema {
            items: Some(Box::new(matching(pattern::NAME))),
            unique_items: true,
            ..typed(Kind::One("array"))
        },
        Form::Ports => Schema {
            items: Some(Box::new(whole(1, u16::MAX.into()))),
            unique_items: true,
            ..typed(Kind::One("array"))
        },
        Form::Map(table) => of_table(table),
        Form::MapOrNone(table) => Schema {
            any_of: vec![of_table(table), Schema { choices: vec![NONE], ..Schema::default() }],
            ..Schema::default()
        },
        Form::Maps(table) => {
            Schema { items: Some(Box::new(of_table(table))), ..typed(Kind::One("array")) }
        }
    }
}

fn of_text(rule: Text) -> Schema {
    let pattern = match rule {
        Text::Command => Some(pattern::NOT_BLANK),
        Text::CommandOrNone => None,
        Text::Name => Some(pattern::NAME),
        Text::UrlPath => Some(pattern::URL_PATH),
        Text::Directory => Some(pattern::DIRECTORY),
    };
    Schema { kind: Some(TEXT), pattern, ..Schema::default() }
}
