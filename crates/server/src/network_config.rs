//! What the operator says about the network of sandboxes: `[network]` of `<data>/config.toml`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sandbar_proxy::egress::{HostPattern, Policy, Target};
use serde::Deserialize;

/// The file, below the data directory.
const FILE: &str = "config.toml";

/// Whom every sandbox may reach, before what its own specification adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkConfig {
    has_defaults: bool,
    allow: Vec<HostPattern>,
    allow_private: Vec<Target>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { has_defaults: true, allow: Vec::new(), allow_private: Vec::new() }
    }
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It is no TOML, or has a field that does not exist; the source has line and column.
    #[error("{path} is not understood", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A rule is none.
    #[error("{path}: `network.{key}`: `{rule}` {what}", path = path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// The list.
        key: &'static str,
        /// The rule.
        rule: String,
        /// What is wrong with it.
        what: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    network: Network,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Network {
    /// Whether the list of public registries and git hosts is allowed.
    defaults: bool,
    allow: Vec<String>,
    allow_private: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { defaults: true, allow: Vec::new(), allow_private: Vec::new() }
    }
}

impl NetworkConfig {
    /// Reads the file of `data_dir`; without one, the defaults.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, ConfigError> {
        let path = data_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::File { path, source }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let wrong = |key, rule: &String, what: String| ConfigError::Rule {
            path: path.to_owned(),
            key,
            rule: rule.clone(),
            what,
        };
        let allow =
            file.network.allow.iter().map(|rule| {
                rule.parse().map_err(|error| wrong("allow", rule, format!("is {error}")))
            });
        let allow_private = file.network.allow_private.iter().map(|rule| {
            Target::parse(rule, None)
                .map_err(|error| wrong("allow_private", rule, format!("is {error}")))
        });
        Ok(Self {
            has_defaults: file.network.defaults,
            allow: allow.collect::<Result<_, _>>()?,
            allow_private: allow_private.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the names of the default list matter.
    pub(crate) const fn has_defaults(&self) -> bool {
        self.has_defaults
    }

    /// The policy that every sandbox's begins with.
    pub(crate) fn policy(&self) -> Policy {
        let policy = if self.has_defaults { Policy::with_defaults() } else { Policy::default() };
        let policy = self.allow.iter().cloned().fold(policy, Policy::allow);
        self.allow_private.iter().cloned().fold(policy, |policy, target| {
            policy.allow(HostPattern::exact(target.clone())).allow_private(target)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NetworkConfig, ConfigError> {
        NetworkConfig::parse(text, Path::new("config.toml"))
    }

    #[test]
    fn nothing_said_is_the_default_list_alone() {
        assert_eq!(parse("").unwrap(), NetworkConfig::default());
        assert_eq!(parse("").unwrap().policy(), Policy::with_defaults());
    }

    #[test]
    fn rules_are_read_and_what_is_wrong_is_named_with_its_place() {
        let config = parse(
            "[network]\ndefaults = false\nallow = [\"*.example.org\"]\nallow_private = [\"db.internal:5432\"]\n",
        );
        let config = config.unwrap();
        assert!(
            !config.has_defaults() && config.allow.len() == 1 && config.allow_private.len() == 1
        );
        let error = parse("[network]\nallow = [\"*.org\"]\n").unwrap_err().to_string();
        assert!(error.contains("config.toml: `network.allow`: `*.org`"), "{error}");
        assert!(parse("[network]\nallow_private = [\"db.internal\"]\n").is_err(), "no port");
        let ConfigError::Malformed { source, .. } = parse("[network]\nalow = []\n").unwrap_err()
        else {
            panic!("not refused as a field that does not exist");
        };
        assert!(source.to_string().contains("line 2"), "{source}");
    }
}
