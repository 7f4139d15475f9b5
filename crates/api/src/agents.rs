//! The coding agents that a task may be given to.

use sandbar_types::{AgentName, EnvName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An agent that a task may be given to, and what of it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownAgent {
    /// What it is called.
    pub name: AgentName,
    /// What people call it.
    pub label: String,
    /// Its program; absent where the task says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The environment variables that take a key of it, the usual one first; none where nothing is known.
    pub env: Vec<EnvName>,
    /// Where its program is on the host, as the user of the server finds it, or in the toolbox; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// Whether there is a credential for it.
    pub is_connected: bool,
}
