//! The schema says what the validator says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{EVERY_FIELD, found, root, schema_rules::refusal};
use crate::{
    fields,
    finding::Findings,
    form::{Form, Table},
    json_schema, read, yaml,
    yaml::{Content, Node},
};

/// What the schema has against a manifest, if anything.
pub(super) fn refused_by_schema(text: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let root = yaml::parse(text, &mut Findings::default()).unwrap();
    refusal(&schema, &as_editors_read(&root))
}

/// A node as JSON, by the rules that editors take types with.
fn as_editors_read(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Quoted(text) => json!(text),
        Content::Plain(text) => match text.as_str() {
            "true" | "True" | "TRUE" => json!(true),
            "false" | "False" | "FALSE" => json!(false),
            text => {
                let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
                let whole =
                    text.strip_prefix('+').unwrap_or(text).parse::<i64>().ok().map(Value::from);
                let number = is_number.then(|| text.parse::<f64>().ok().map(Value::from)).flatten();
                whole.or(number).unwrap_or_else(|| json!(text))
            }
        },
        Content::List(items) => items.iter().map(as_editors_read).collect(),
        Content::Map(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), as_editors_read(&entry.node))).collect()
        }
    }
}

#[test]
fn good_manifests_pass_the_schema() {
    for text in [
        EVERY_FIELD,
        "version: 1\nweb: {}\n",
        "version: 1\nworkers: [{name: 1, command: true, env: {A: 1.5, B: ~}}]\n",
        "version: 1\nweb: {ready: none, health: none}\nbuild: {command: ''}\n",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
        assert_eq!(refused_by_schema(text), None, "{text}");
    }
}

#[test]
fn editors_see_what_one_field_has_wrong() {
    for text in [
        "web: {}",
        "version: 2\nweb: {}",
        "version: '1'\nweb: {}",
        "version: 1",
        "version: 1\nweb: {prot: 1}",
        "version: 1\nweb: {}\nservices: {}",
        "version: 1\nweb: {port: 65536}",
        "version: 1\nweb: {port: '3000'}",
        "version: 1\nweb: {ports: [1, 1]}",
        "version: 1\nweb: {restart_after_task: yes}",
        "version: 1\nweb: {ready: {interval: 5}}",
        "version: 1\nweb: {log: {size: 1MB}}",
        "version: 1\nweb: {ready: off}",
        "version: 1\nweb: {ready: {notify: {fd: 2}}}",
        "version: 1\nweb: {ready: {notify: {}}}",
        "version: 1\nweb: {health: {notify: {fd: 3}}}",
        "version: 1\nweb: {stop: {signal: SIGTREM}}",
        "version: 1\nweb: {restart: no}",
        "version: 1\nweb: {health_path: up}",
        "version: 1\nweb: {cwd: a/../..}",
        "version: 1\nweb: {cwd: ..}",
        "version: 1\nweb: {env: {1A: x}}",
        "version: 1\nweb: {env: {A: []}}",
        "version: 1\nworkers: [{name: x}]",
        "version: 1\nworkers: [{command: x}]",
        "version: 1\nworkers: [{name: .., command: x}]",
        "version: 1\nworkers: [{name: x, command: ' '}]",
    ] {
        assert!(!read(text).is_valid(), "{text}");
        assert!(refused_by_schema(text).is_some(), "{text}");
    }
}

/// The keys of every map of a table, by their paths.
fn of_table(table: &'static Table, path: &str, all: &mut BTreeSet<String>) {
    for field in table.fields {
        let path = format!("{path}/{}", field.key);
        match field.form {
            Form::Map(table) | Form::MapOrNone(table) | Form::Maps(table) => {
                of_table(table, &path, all);
            }
            Form::Version
            | Form::Text(_)
            | Form::Whole { .. }
            | Form::Port(_)
            | Form::Flag
            | Form::Word(_)
            | Form::Duration { .. }
            | Form::Bytes { .. }
            | Form::Env
            | Form::Names
            | Form::Ports => {}
        }
        all.insert(path);
    }
}

fn of_schema(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    for inner in schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items")) {
        of_schema(inner, path, all);
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        of_schema(inner, &path, all);
        all.insert(path);
    }
}

#[test]
fn schema_and_validator_know_the_same_fields() {
    let (mut table, mut schema) = (BTreeSet::new(), BTreeSet::new());
    of_table(&fields::TOP, "", &mut table);
    of_schema(&serde_json::from_str(&json_schema()).unwrap(), "", &mut schema);
    assert_eq!(table, schema);
    assert!(table.contains("/workers/ready/notify/fd"), "{table:?}");
}

/// Every copy of `node` that lacks one key somewhere, with the path of that key.
fn without_one(node: &Node, path: &str) -> Vec<(String, Node)> {
    let mut copies = Vec::new();
    match &node.content {
        Content::Map(entries) => {
            for (place, entry) in entries.iter().enumerate() {
                let path = format!("{path}/{}", entry.key);
                let mut rest = entries.clone();
                rest.remove(place);
                copies.push((path.clone(), Node { at: node.at, content: Content::Map(rest) }));
                for (path, inner) in without_one(&entry.node, &path) {
                    let mut changed = entries.clone();
                    changed[place].node = inner;
                    copies.push((path, Node { at: node.at, content: Content::Map(changed) }));
                }
            }
        }
        Content::List(items) => {
            for (place, item) in items.iter().enumerate() {
                for (path, inner) in without_one(item, path) {
                    let mut changed = items.clone();
                    changed[place] = inner;
                    copies.push((path, Node { at: node.at, content: Content::List(changed) }));
                }
            }
        }
        Content::Null | Content::Plain(_) | Content::Quoted(_) => {}
    }
    copies
}

/// The app of a node, and how many findings there are.
fn app_of(node: &Node) -> (sandbar_types::AppSpec, usize) {
    let mut findings = Findings::default();
    let top = crate::shape::top(node, &mut findings).unwrap();
    let app = crate::app::app(&top, &mut findings);
    (app, findings.finish("").len())
}

#[test]
fn every_field_means_something() {
    let whole = root(EVERY_FIELD);
    let with_all = app_of(&whole);
    let mut seen = BTreeSet::new();
    for (path, without) in without_one(&whole, "") {
        assert_ne!(app_of(&without), with_all, "{path} has no effect");
        seen.insert(path);
    }
    let mut known = BTreeSet::new();
    of_table(&fields::TOP, "", &mut known);
    let untried: Vec<_> = known.difference(&seen).collect();
    // Alternatives of what the example has; the tests of checks try them.
    let probes = ["command", "http", "tcp", "notify"];
    assert!(
        untried.iter().all(|path| probes.iter().any(|probe| path.contains(&format!("/{probe}")))),
        "{untried:?}"
    );
}
