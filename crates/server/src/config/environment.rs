//! Variables of the environment over the file: `SANDBAR_PREVIEW_DOMAIN` is `domain` of `[preview]`.

use toml::{Table, Value};

use super::{Config, ConfigError};

/// What their names begin with.
const PREFIX: &str = "SANDBAR_";

/// Sets what a variable says, if its name is that of a section and a key; returns them then.
///
/// Other variables that begin with `SANDBAR_` are the command line's.
pub(super) fn set(
    table: &mut Table,
    name: &str,
    text: &str,
) -> Result<Option<String>, ConfigError> {
    let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|rest| {
        let rest = rest.to_ascii_lowercase();
        let (section, key) = rest.split_once('_')?;
        let defaults = Table::try_from(Config::default()).expect("every section is a table");
        defaults.contains_key(section).then(|| (section.to_owned(), key.to_owned()))
    }) else {
        return Ok(None);
    };
    let wrong = |what: String| ConfigError::Variable { name: name.to_owned(), what };
    let value = read(text);
    // Alone first, so that what is wrong is told of this variable.
    let alone = Table::from_iter([(
        section.clone(),
        Value::Table(Table::from_iter([(key.clone(), value.clone())])),
    )]);
    alone.try_into::<Config>().map_err(|error| wrong(error.message().to_owned()))?;
    let told = format!("{section}.{key}");
    let of_section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(of_section) = of_section {
        of_section.insert(key, value);
    }
    Ok(Some(told))
}

/// A number, a truth value or a list as in the file; anything else is a text, without quotes.
fn read(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    parsed
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .filter(|value| !matches!(value, Value::Datetime(_) | Value::Table(_)))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
