//! A map whose fields were checked against its table.

use std::collections::BTreeMap;

use sandbar_types::{EnvName, ProcessName};

use crate::{finding::Position, form::Table};

/// A checked map.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) table: &'static Table,
    pub(crate) at: Position,
    pub(crate) fields: Vec<Found>,
}

/// A field that is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: &'static str,
    pub(crate) key_at: Position,
    pub(crate) at: Position,
    /// `None` when there is a finding that says what is wrong with it.
    pub(crate) value: Option<Value>,
}

/// A value of the form that its field wants.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    /// A number, or milliseconds, or bytes.
    Number(u64),
    Flag(bool),
    Env(BTreeMap<EnvName, String>),
    Names(Vec<(ProcessName, Position)>),
    Ports(Vec<(u16, Position)>),
    Map(Map),
    Maps(Vec<Map>),
    /// Said to be none.
    Off,
}

impl Found {
    pub(crate) fn is_empty_list(&self) -> bool {
        matches!(&self.value, Some(Value::Maps(maps)) if maps.is_empty())
    }
}

impl Map {
    /// The field, if it was written, rightly or wrongly.
    pub(crate) fn found(&self, key: &str) -> Option<&Found> {
        debug_assert!(self.table.field(key).is_some(), "{} has no `{key}`", self.table.name);
        self.fields.iter().find(|found| found.key == key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.found(key).is_some()
    }

    /// Where the value of a field is; without it, where the map is.
    pub(crate) fn at(&self, key: &str) -> Position {
        self.found(key).map_or(self.at, |found| found.at)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.found(key)?.value.as_ref()
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        if let Some(Value::Text(text)) = self.value(key) { Some(text) } else { None }
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        if let Some(Value::Number(number)) = self.value(key) { Some(*number) } else { None }
    }

    /// A number that the table bounds to what fits.
    pub(crate) fn small<T: TryFrom<u64>>(&self, key: &str) -> Option<T> {
        self.number(key).and_then(|number| T::try_from(number).ok())
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        if let Some(Value::Flag(flag)) = self.value(key) { Some(*flag) } else { None }
    }

    pub(crate) fn env(&self, key: &str) -> BTreeMap<EnvName, String> {
        if let Some(Value::Env(env)) = self.value(key) { env.clone() } else { BTreeMap::new() }
    }

    pub(crate) fn names(&self, key: &str) -> &[(ProcessName, Position)] {
        if let Some(Value::Names(names)) = self.value(key) { names } else { &[] }
    }

    pub(crate) fn ports(&self, key: &str) -> &[(u16, Position)] {
        if let Some(Value::Ports(ports)) = self.value(key) { ports } else { &[] }
    }

    pub(crate) fn map(&self, key: &str) -> Option<&Map> {
        if let Some(Value::Map(map)) = self.value(key) { Some(map) } else { None }
    }

    pub(crate) fn maps(&self, key: &str) -> &[Map] {
        if let Some(Value::Maps(maps)) = self.value(key) { maps } else { &[] }
    }
}
