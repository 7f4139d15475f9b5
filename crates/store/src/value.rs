//! Values on their way in and out: what both dialects can hold. A truth is 0 or 1, a time is microseconds.

use std::sync::Arc;

/// A value for a place `$n` of a statement. Its type is known even when it is NULL: PostgreSQL cannot always guess it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// A number; `BIGINT` or `INTEGER`.
    Int(Option<i64>),
    /// `TEXT`.
    Text(Option<String>),
    /// `BYTEA` or `BLOB`.
    Bytes(Option<Vec<u8>>),
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row of an answer.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[Box<str>]>,
    values: Vec<Value>,
}

impl Row {
    /// A row with `values` for `columns`, which all rows of an answer share.
    #[must_use]
    pub fn new(columns: Arc<[Box<str>]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of a column.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|column| **column == *name)?;
        self.values.get(at)
    }
}

macro_rules! params {
    ($($from:ty => $variant:ident, $convert:expr;)+) => {$(
        impl From<$from> for Param {
            fn from(value: $from) -> Self {
                Self::$variant(Some($convert(value)))
            }
        }

        impl From<Option<$from>> for Param {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map($convert))
            }
        }
    )+};
}

params! {
    i64 => Int, i64::from;
    u32 => Int, i64::from;
    bool => Int, i64::from;
    String => Text, String::from;
    &str => Text, str::to_owned;
    &String => Text, String::clone;
    Vec<u8> => Bytes, Vec::from;
    &[u8] => Bytes, <[u8]>::to_vec;
}

impl From<&Option<String>> for Param {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// A type that a column is read as.
pub(crate) trait FromValue<'r>: Sized {
    /// What it is called when something else is found.
    const EXPECTED: &'static str;

    /// Reads it; `None` where the value is of another type.
    fn from_value(value: &'r Value) -> Option<Self>;
}

impl FromValue<'_> for i64 {
    const EXPECTED: &'static str = "a number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Text(_) | Value::Bytes(_) => None,
        }
    }
}

impl FromValue<'_> for u32 {
    const EXPECTED: &'static str = "a number of 32 bits";

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl FromValue<'_> for bool {
    const EXPECTED: &'static str = "0 or 1";

    fn from_value(value: &Value) -> Option<Self> {
        match i64::from_value(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<'r> FromValue<'r> for &'r str {
    const EXPECTED: &'static str = "a text";

    fn from_value(value: &'r Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Int(_) | Value::Bytes(_) => None,
        }
    }
}

impl<'r> FromValue<'r> for String {
    const EXPECTED: &'static str = "a text";

    fn from_value(value: &'r Value) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'r> FromValue<'r> for &'r [u8] {
    const EXPECTED: &'static str = "bytes";

    fn from_value(value: &'r Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &'r Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::Int(_) | Value::Text(_) | Value::Bytes(_) => T::from_value(value).map(Some),
        }
    }
}
