//! Bodies of `/v1/sandboxes`. The body of a create is [`sandbar_types::SandboxSpec`].

use jiff::Timestamp;
use sandbar_types::{
    AppId, AppStart, EnvName, Expiry, Generation, HostPath, IdlePolicy, IsolationReport, Limits,
    NetworkSpec, SandboxId, SandboxName, SandboxState, Source, StopReason, ToolchainPolicy,
    Visibility, WorkspacePath,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A sandbox as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sandbox {
    /// Names it for ever.
    pub id: SandboxId,
    /// Names it among the sandboxes that live.
    pub name: SandboxName,
    /// The app that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// Grows with each write of the record; also the `ETag`.
    pub generation: Generation,
    /// Where it is in its life.
    #[serde(flatten)]
    pub state: SandboxState,
    /// What its workspace is a view of.
    pub source: Source,
    /// Where the workspace is inside.
    pub workspace_path: HostPath,
    /// The only subtree that may change; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<WorkspacePath>,
    /// Subtrees that no other sandbox may reserve.
    #[serde(default)]
    pub reserve: Vec<WorkspacePath>,
    /// Whether the whole source is reserved.
    #[serde(default)]
    pub reserve_all: bool,
    /// What it may use.
    pub limits: Limits,
    /// Names of the variables that every exec sees. Values are never shown.
    #[serde(default)]
    pub env_names: Vec<EnvName>,
    /// Which toolchains of the caller's home are shown inside.
    pub toolchains: ToolchainPolicy,
    /// Which package caches of the caller's home are read inside; absent: as `toolchains`. What came of it is in
    /// `isolation.caches`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caches: Option<ToolchainPolicy>,
    /// When it ends by itself.
    pub expiry: Expiry,
    /// Whether its app is started with it.
    pub app: AppStart,
    /// What becomes of it when nobody uses it.
    pub idle_policy: IdlePolicy,
    /// Who may see its previews; absent for what its app says, else the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whom it may reach.
    pub network: NetworkSpec,
    /// Why it was stopped last; absent while it runs. One that was stopped as `idle` or for `memory_pressure` sleeps: a
    /// request for its preview starts it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// Until when it does not sleep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub keepalive_until: Option<Timestamp>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the record last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When somebody last used it.
    #[schema(value_type = String, format = DateTime)]
    pub last_active_at: Timestamp,
    /// Bytes of its upper layer, when last measured.
    #[serde(default)]
    pub upper_bytes: u64,
    /// Files of its upper layer, when last measured.
    #[serde(default)]
    pub upper_files: u64,
    /// When its lease ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// What was read back from the kernel when it was launched; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<IsolationReport>,
}

/// The name of a state, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Its steps are being carried out.
    Creating,
    /// Its supervisor answers.
    Running,
    /// Frozen, with its memory kept.
    Paused,
    /// Its processes are being ended.
    Stopping,
    /// Nothing of it runs; its files are kept.
    Stopped,
    /// Something ended it; its files are kept.
    Failed,
    /// It is being removed.
    Deleting,
}

impl StateName {
    /// The name as it is on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

impl From<&SandboxState> for StateName {
    fn from(state: &SandboxState) -> Self {
        match state {
            SandboxState::Creating => Self::Creating,
            SandboxState::Running => Self::Running,
            SandboxState::Paused => Self::Paused,
            SandboxState::Stopping => Self::Stopping,
            SandboxState::Stopped => Self::Stopped,
            SandboxState::Failed { .. } => Self::Failed,
            SandboxState::Deleting => Self::Deleting,
        }
    }
}

/// Which sandboxes to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxListQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only the one with this name.
    #[param(value_type = Option<String>, pattern = "^(?!sb_)[a-z0-9][a-z0-9._-]{0,63}$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<SandboxName>,
    /// Only those in this state.
    #[param(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateName>,
    /// Only those over this directory of the host, which must be absolute.
    #[param(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// How to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopRequest {
    /// Milliseconds between asking and killing, at most 600000; 10000 when absent.
    #[schema(maximum = 600_000)]
    pub grace_ms: Option<u64>,
}
