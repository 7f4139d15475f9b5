//! Who said what a setting is, when the server was started.

use std::{collections::BTreeMap, fmt};

use toml::{Table, Value};

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `config.toml`.
    File,
    /// A variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("in `config.toml` of the data directory"),
            Self::Environment { variable } => write!(f, "by the variable `{variable}`"),
            Self::CommandLine => f.write_str("on the command line of the server"),
        }
    }
}

/// Who said what, by section and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// All that a file says.
    pub(super) fn of_file(table: &Table) -> Self {
        let keys = table.iter().filter_map(|(section, keys)| match keys {
            Value::Table(keys) => Some(keys.keys().map(move |key| format!("{section}.{key}"))),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => None,
        });
        Self(keys.flatten().map(|key| (key, Origin::File)).collect())
    }

    pub(super) fn set(&mut self, key: String, origin: Origin) {
        self.0.insert(key, origin);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }
}
