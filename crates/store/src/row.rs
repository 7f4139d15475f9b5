//! From columns to values and back; where a stored value is checked once.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Row, StoreError, value::FromValue};

fn wrong(
    column: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Row { column, source: source.into() }
}

/// A column that is not there, or holds a value of another type.
#[derive(Debug, thiserror::Error)]
#[error("it is not {expected}")]
struct Unexpected {
    expected: &'static str,
}

/// Reads a column as the database keeps it.
pub(crate) fn column<'r, T: FromValue<'r>>(
    row: &'r Row,
    name: &'static str,
) -> Result<T, StoreError> {
    row.value(name)
        .and_then(T::from_value)
        .ok_or_else(|| wrong(name, Unexpected { expected: T::EXPECTED }))
}

/// Reads a column that holds the text of a value, for example an id.
pub(crate) fn parsed<T>(row: &Row, name: &'static str) -> Result<T, StoreError>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    column::<&str>(row, name)?.parse().map_err(|err| wrong(name, err))
}

/// Reads a column that holds the text of a value or nothing.
pub(crate) fn parsed_opt<T>(row: &Row, name: &'static str) -> Result<Option<T>, StoreError>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    column::<Option<&str>>(row, name)?
        .map(|text| text.parse().map_err(|err| wrong(name, err)))
        .transpose()
}

/// Reads a column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row, name: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(column::<&str>(row, name)?).map_err(|err| wrong(name, err))
}

/// Reads a column that holds JSON or nothing.
pub(crate) fn json_opt<T: DeserializeOwned>(
    row: &Row,
    name: &'static str,
) -> Result<Option<T>, StoreError> {
    column::<Option<&str>>(row, name)?
        .map(|text| serde_json::from_str(text).map_err(|err| wrong(name, err)))
        .transpose()
}

/// Reads a time.
pub(crate) fn time(row: &Row, name: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(column(row, name)?).map_err(|err| wrong(name, err))
}

/// Reads a time or nothing.
pub(crate) fn time_opt(row: &Row, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    column::<Option<i64>>(row, name)?
        .map(|us| Timestamp::from_microsecond(us).map_err(|err| wrong(name, err)))
        .transpose()
}

/// Reads a number that is never negative.
pub(crate) fn count(row: &Row, name: &'static str) -> Result<u64, StoreError> {
    u64::try_from(column::<i64>(row, name)?).map_err(|err| wrong(name, err))
}

/// Reads a number that is never negative, or nothing.
pub(crate) fn count_opt(row: &Row, name: &'static str) -> Result<Option<u64>, StoreError> {
    column::<Option<i64>>(row, name)?
        .map(|value| u64::try_from(value).map_err(|err| wrong(name, err)))
        .transpose()
}

/// Writes a value as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own values have string keys and no failing serializer")
}

/// Writes a number; what a database cannot hold is its largest.
pub(crate) fn to_int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
