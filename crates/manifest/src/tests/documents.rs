//! The documentation is that of the code.

use std::{fmt::Write, fs};

use crate::{
    Code, Severity, fields,
    form::{Form, Need, Table},
    json_schema,
};

/// Fails when a committed file is not what it should be; with `UPDATE_DOCS=1` it is written first.
fn compare(name: &str, expected: impl FnOnce(&str) -> String) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&committed);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(
        committed == expected,
        "docs/{name} is not up to date: run the tests of this crate with UPDATE_DOCS=1"
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    compare("sandbox.schema.json", |_| json_schema());
}

#[test]
fn the_documented_tables_are_those_of_the_code() {
    compare("manifest.md", |text| {
        let mut text = text.to_owned();
        for (name, table) in tables() {
            text = with_block(&text, name, &fields_of(table));
        }
        with_block(&text, "findings", &findings())
    });
}

#[test]
fn the_documented_example_is_good() {
    let text = include_str!("../../../../docs/manifest.md");
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        super::good(example);
    }
}

fn tables() -> Vec<(&'static str, &'static Table)> {
    let mut tables = vec![("top", &fields::TOP)];
    let mut at = 0;
    while let Some((_, table)) = tables.get(at) {
        for field in table.fields {
            let inner = match field.form {
                Form::Map(inner) | Form::MapOrNone(inner) | Form::Maps(inner) => inner,
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
                | Form::Ports => continue,
            };
            if !tables.iter().any(|(key, _)| *key == field.key) {
                tables.push((field.key, inner));
            }
        }
        at += 1;
    }
    tables
}

fn fields_of(table: &Table) -> String {
    let mut out =
        String::from("| Field | Type | Default | Meaning | Example |\n|---|---|---|---|---|\n");
    for field in table.fields {
        let default = match field.need {
            Need::Optional => field.default,
            Need::Required(..) => "**must be there**",
        };
        let row = format!(
            "| `{}` | {} | {default} | {} | `{}` |",
            field.key,
            kind(&field.form),
            field.about,
            field.example
        );
        writeln!(out, "{row}").unwrap();
    }
    out
}

fn kind(form: &Form) -> String {
    use crate::quantity::{show_bytes, show_ms};
    match form {
        Form::Version => "1".to_owned(),
        Form::Text(_) => "text".to_owned(),
        Form::Whole { min, max, .. } => format!("number, {min} to {max}"),
        Form::Port(_) => "port, 1 to 65535".to_owned(),
        Form::Flag => "`true`, `false`".to_owned(),
        Form::Word(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Form::Duration { min_ms, max_ms } => {
            format!("duration, {} to {}", show_ms(*min_ms), show_ms(*max_ms))
        }
        Form::Bytes { min, max } => format!("size, {} to {}", show_bytes(*min), show_bytes(*max)),
        Form::Env => "map of texts".to_owned(),
        Form::Names => "list of names".to_owned(),
        Form::Ports => "list of ports".to_owned(),
        Form::Map(_) => "map".to_owned(),
        Form::MapOrNone(_) => "map, or `none`".to_owned(),
        Form::Maps(_) => "list of maps".to_owned(),
    }
}

fn findings() -> String {
    let mut out = String::from("| Code | Severity | Meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        let severity = match code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "| `{}` | {severity} | {} |", code.as_str(), code.meaning()).unwrap();
    }
    out
}

/// `text` with what stands between the marks of `name` replaced.
fn with_block(text: &str, name: &str, block: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) =
        text.split_once(&begin).unwrap_or_else(|| panic!("docs/manifest.md lacks {begin}"));
    let (_, after) =
        rest.split_once(&end).unwrap_or_else(|| panic!("docs/manifest.md lacks {end}"));
    format!("{before}{begin}{block}{end}{after}")
}
