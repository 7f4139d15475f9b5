//! Who of a sandbox gets a setting or a secret.

use serde::{Deserialize, Serialize};

use crate::principal::words;

/// Into whose environment a value is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfigAccess {
    /// Nobody's: it does not leave the server.
    #[default]
    ControlPlaneOnly,
    /// That of commands: agents, shells and whatever else is started on request.
    AgentAccess,
    /// That of the processes that the manifest declares.
    RuntimeAccess,
    /// That of both.
    Both,
}

words!(
    ConfigAccess,
    "control_plane_only, agent_access, runtime_access, both",
    ControlPlaneOnly = "control_plane_only",
    AgentAccess = "agent_access",
    RuntimeAccess = "runtime_access",
    Both = "both"
);

impl ConfigAccess {
    /// Whether commands get it.
    #[must_use]
    pub const fn reaches_agent(self) -> bool {
        match self {
            Self::AgentAccess | Self::Both => true,
            Self::ControlPlaneOnly | Self::RuntimeAccess => false,
        }
    }

    /// Whether the processes of the app get it.
    #[must_use]
    pub const fn reaches_runtime(self) -> bool {
        match self {
            Self::RuntimeAccess | Self::Both => true,
            Self::ControlPlaneOnly | Self::AgentAccess => false,
        }
    }
}
