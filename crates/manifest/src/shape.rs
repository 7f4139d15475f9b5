//! Checks nodes against the tables: keys, types, ranges. Nothing here knows how fields depend on each other.

use std::collections::BTreeMap;

use sandbar_types::{EnvName, ProcessName};

use crate::{
    fields,
    finding::{Code, Findings, quoted},
    form::{Field, Form, NONE, Need, Table, Text, Zero},
    map::{Found, Map, Value},
    quantity,
    yaml::{Content, Entry, Node},
};

mod scalar;

use scalar::Scalar;

/// The whole manifest. `None` when it is no map at all.
pub(crate) fn top(root: &Node, findings: &mut Findings) -> Option<Map> {
    map(&fields::TOP, root, findings)
}

fn map(table: &'static Table, node: &Node, findings: &mut Findings) -> Option<Map> {
    let Content::Map(entries) = &node.content else {
        wrong_type(table.name, "a map, `key: value`", node, findings);
        return None;
    };
    let mut fields = Vec::new();
    for entry in entries {
        match table.field(&entry.key) {
            Some(field) => fields.extend(found(field, entry, findings)),
            None => stranger(table, entry, findings),
        }
    }
    let map = Map { table, at: node.at, fields };
    for field in table.fields {
        if let Need::Required(code, hint) = field.need
            && !map.has(field.key)
        {
            let message = format!("{} has no `{}`", table.name, field.key);
            findings.add(code, map.at, message).hint(hint);
        }
    }
    Some(map)
}

/// A field that is written. One that counts as left out is no more, and said so.
fn found(field: &'static Field, entry: &Entry, findings: &mut Findings) -> Option<Found> {
    if is_unset(&field.form, &entry.node.content) {
        // A required one is reported as missing.
        if field.need == Need::Optional {
            let is = match &entry.node.content {
                Content::Plain(_) => "is 0",
                Content::Quoted(_) => "is empty",
                Content::Null | Content::List(_) | Content::Map(_) => "has no value",
            };
            let message = format!("`{}` {is}, and counts as left out", field.key);
            let hint = format!("left out, it is: {}", field.default);
            findings.add(Code::NoValue, entry.at, message).hint(hint);
        }
        return None;
    }
    let value = value(field, &entry.node, findings);
    if value.is_none() {
        findings.hint_type(|| format!("for example `{}: {}`", field.key, field.example));
    }
    Some(Found { key: field.key, key_at: entry.at, at: entry.node.at, value })
}

fn is_unset(form: &Form, content: &Content) -> bool {
    match content {
        Content::Null => true,
        Content::Plain(text) => {
            let zero_is_unset =
                matches!(form, Form::Port(Zero::Unset) | Form::Whole { zero: Zero::Unset, .. });
            zero_is_unset && text == "0"
        }
        Content::Quoted(text) => {
            let blank_is_unset = matches!(form, Form::Text(rule) if *rule != Text::CommandOrNone);
            blank_is_unset && text.trim().is_empty()
        }
        Content::List(_) | Content::Map(_) => false,
    }
}

fn value(field: &'static Field, node: &Node, findings: &mut Findings) -> Option<Value> {
    let name = format!("`{}`", field.key);
    let mut scalar = Scalar { name: &name, node, findings };
    match field.form {
        Form::Version => scalar.version(),
        Form::Text(rule) => scalar.text(rule).map(Value::Text),
        Form::Whole { min, max, .. } => scalar.whole(min, max).map(Value::Number),
        Form::Port(_) => scalar.port().map(|port| Value::Number(port.into())),
        Form::Flag => scalar.flag().map(Value::Flag),
        Form::Word(words) => scalar.word(words).map(|word| Value::Text(word.to_owned())),
        Form::Duration { min_ms, max_ms } => scalar.duration(min_ms, max_ms).map(Value::Number),
        Form::Bytes { min, max } => scalar.bytes(min, max).map(Value::Number),
        Form::Env => env(&name, node, findings).map(Value::Env),
        Form::Names => list(&name, node, findings, |item, findings| {
            let text = Scalar { name: &name, node: item, findings }.text(Text::Name)?;
            // Checked with its position by the rule of the text.
            text.parse::<ProcessName>().ok().map(|name| (name, item.at))
        })
        .map(Value::Names),
        Form::Ports => list(&name, node, findings, |item, findings| {
            Scalar { name: &name, node: item, findings }.port().map(|port| (port, item.at))
        })
        .map(Value::Ports),
        Form::Map(table) => map(table, node, findings).map(Value::Map),
        Form::MapOrNone(table) => match &node.content {
            Content::Plain(word) | Content::Quoted(word) if word == NONE => Some(Value::Off),
            Content::Null
            | Content::Plain(_)
            | Content::Quoted(_)
            | Content::List(_)
            | Content::Map(_) => map(table, node, findings).map(Value::Map),
        },
        Form::Maps(table) => {
            let maps = list(&name, node, findings, |item, findings| map(table, item, findings))?;
            // Items that are no maps are not the same as no items.
            let is_wrong = maps.is_empty() && node.content != Content::List(Vec::new());
            (!is_wrong).then_some(Value::Maps(maps))
        }
    }
}

/// The good ones of a list.
fn list<T>(
    name: &str,
    node: &Node,
    findings: &mut Findings,
    mut item: impl FnMut(&Node, &mut Findings) -> Option<T>,
) -> Option<Vec<T>> {
    let Content::List(nodes) = &node.content else {
        wrong_type(name, "a list, each item after `- `", node, findings);
        return None;
    };
    Some(nodes.iter().filter_map(|node| item(node, findings)).collect())
}

fn env(name: &str, node: &Node, findings: &mut Findings) -> Option<BTreeMap<EnvName, String>> {
    let Content::Map(entries) = &node.content else {
        let wanted = "a map, `NAME: value`";
        wrong_type(name, wanted, node, findings);
        return None;
    };
    let mut env = BTreeMap::new();
    for entry in entries {
        let variable = entry.key.parse::<EnvName>();
        if variable.is_err() {
            findings
                .add(
                    Code::BadEnvName,
                    entry.at,
                    format!("{} cannot be the name of a variable", quoted(&entry.key)),
                )
                .hint("letters, digits and `_`, no digit first, at most 256");
        }
        let text = match &entry.node.content {
            // An empty variable is a value like others.
            Content::Null => Some(String::new()),
            Content::Plain(_) | Content::Quoted(_) | Content::List(_) | Content::Map(_) => {
                let name = quoted(&entry.key);
                Scalar { name: &name, node: &entry.node, findings }.text(Text::CommandOrNone)
            }
        };
        if let (Ok(variable), Some(text)) = (variable, text) {
            env.insert(variable, text);
        }
    }
    Some(env)
}

fn stranger(table: &'static Table, entry: &Entry, findings: &mut Findings) {
    let key = quoted(&entry.key);
    if let Some(stranger) = table.strangers.iter().find(|stranger| stranger.key == entry.key) {
        findings
            .add(stranger.code, entry.at, format!("{} has no {key}", table.name))
            .hint(stranger.hint);
        return;
    }
    let known: Vec<&str> = table.fields.iter().map(|field| field.key).collect();
    let hint = match nearest(&entry.key, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it knows {}", choices(&known)),
    };
    findings.add(Code::UnknownKey, entry.at, format!("{} has no {key}", table.name)).hint(hint);
}

/// The word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // LIMIT: longer keys are no slips of the finger, and comparing them costs their length squared.
    const CHARS_MAX: usize = 40;
    if word.len() > CHARS_MAX {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word, known), *known))
        .filter(|(distance, known)| *distance <= 1.max(known.len() / 3))
        .min()
        .map(|(_, known)| known)
}

/// Words for a message: "`a`, `b` and `c`".
fn choices(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

fn wrong_type(name: &str, wanted: &str, node: &Node, findings: &mut Findings) {
    let is = match &node.content {
        Content::Null => "nothing".to_owned(),
        Content::Plain(text) => quoted(text),
        Content::Quoted(text) => format!("the text {}", quoted(text)),
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a map".to_owned(),
    };
    findings.add(Code::WrongType, node.at, format!("{name} is {is}, and should be {wanted}"));
}
