//! What is read of a `package.json`. Whatever has another form than it should is as if it were not there.

use serde_json::{Map, Value};

use crate::{ProjectFiles, Reason};

/// Its name.
pub(super) const FILE: &str = "package.json";

/// The object of a `package.json`.
#[derive(Debug)]
pub(super) struct Package(Map<String, Value>);

impl Package {
    pub(super) fn read(files: &dyn ProjectFiles) -> Option<Self> {
        let text = files.read(FILE)?;
        let value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        match value {
            Value::Object(object) => Some(Self(object)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        }
    }

    /// Why the package `name` is believed to be used.
    pub(super) fn dependency(&self, name: &str) -> Option<Reason> {
        ["dependencies", "devDependencies"]
            .into_iter()
            .find(|kind| self.0.get(*kind).and_then(|all| all.get(name)).is_some())
            .map(|kind| Reason::in_file(FILE, format!("{kind}.{name}")))
    }

    pub(super) fn has_dependencies(&self) -> bool {
        ["dependencies", "devDependencies", "optionalDependencies", "workspaces"].iter().any(
            |kind| {
                self.0.get(*kind).is_some_and(|all| {
                    all.as_object().is_some_and(|all| !all.is_empty()) || all.is_array()
                })
            },
        )
    }

    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.0.get("scripts")?.get(name)?.as_str()
    }

    pub(super) fn main(&self) -> Option<&str> {
        self.0.get("main")?.as_str()
    }

    /// The manager that the project names, its version, and where it does.
    pub(super) fn named_manager(&self) -> Option<(&str, Option<&str>, Reason)> {
        if let Some(text) = self.0.get("packageManager").and_then(Value::as_str) {
            // As in `pnpm@9.1.0+sha512.…`.
            let (name, version) = match text.split_once('@') {
                Some((name, version)) => (name, version.split('+').next()),
                None => (text, None),
            };
            return Some((
                name,
                version,
                Reason::in_file(FILE, format!("packageManager is `{text}`")),
            ));
        }
        let engine = self.0.get("devEngines")?.get("packageManager")?;
        let name = engine.get("name")?.as_str()?;
        let reason = Reason::in_file(FILE, format!("devEngines.packageManager.name is `{name}`"));
        Some((name, engine.get("version").and_then(Value::as_str), reason))
    }
}
