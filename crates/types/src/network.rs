//! Whom a sandbox may reach.

use serde::{Deserialize, Serialize};

/// Where the way out listens on the loopback inside: what `HTTP_PROXY` and its like name.
pub const EGRESS_PORT: u16 = 3128;

/// What happens to a host that no rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Nothing is reached at all.
    None,
    /// It is refused; package registries and git hosts are named by default.
    #[default]
    AllowList,
    /// It is reached, unless its address is private.
    Open,
}

/// Whom a sandbox may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// What happens to a host that no rule names.
    pub mode: NetworkMode,
    /// Hosts that may be reached beside those of the server's list: `example.org`, `*.example.org`, `example.org:8443`.
    pub allow: Vec<String>,
}

impl NetworkSpec {
    /// LIMIT: rules of one sandbox.
    pub const ALLOW_MAX: usize = 256;
}
