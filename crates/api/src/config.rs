//! Bodies of settings and secrets.

use jiff::Timestamp;
use sandbar_types::{ConfigAccess, EnvName, Generation, ProcessName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Secret;

/// A setting or a secret of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigItem {
    /// Its name, and that of the environment variable.
    pub key: EnvName,
    /// Its value; absent for a secret, which nobody can read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it is a secret.
    pub is_sensitive: bool,
    /// Who gets it.
    pub access: ConfigAccess,
    /// Grows with every change; also the `ETag`.
    pub generation: Generation,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Adds a setting or a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigCreateRequest {
    /// Its name: that of an environment variable.
    pub key: EnvName,
    /// Its value, at most 64 KiB.
    pub value: Secret,
    /// Whether it is a secret, which nobody can read again. Default: it is.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub is_sensitive: bool,
    /// Who gets it. Default: `control_plane_only`.
    #[serde(default)]
    pub access: ConfigAccess,
}

const fn yes() -> bool {
    true
}

/// Changes a setting or a secret. What is absent stays as it is, the value too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigUpdateRequest {
    /// Its value, at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
    /// Whether it is a secret. What was one ceases to be only with a new value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_sensitive: Option<bool>,
    /// Who gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<ConfigAccess>,
}

/// What a change does to processes that run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigChangeQuery {
    /// Restart the processes of the app that have the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
}

/// A setting or a secret that was made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigChanged {
    /// What it is now.
    pub item: ConfigItem,
    /// Processes of the app that run on with what was before.
    pub stale_processes: Vec<ProcessName>,
}

/// A setting or a secret that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigRemoved {
    /// Processes of the app that run on with it.
    pub stale_processes: Vec<ProcessName>,
}

/// Secrets under a new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretRotation {
    /// Names the key that seals now.
    pub key: String,
    /// Secrets that were sealed again.
    pub resealed: u64,
    /// Secrets that do not open and were left; with any, the old keys are kept.
    pub left: u64,
}
