//! Bodies of checkpoints: points of a sandbox's past.

use jiff::Timestamp;
use sandbar_types::{ChangeSet, CheckpointId, CheckpointKind, SandboxId, TaskId, WorkspacePath};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A point of a sandbox's past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Its id; later ones sort after earlier ones.
    pub id: CheckpointId,
    /// Of which sandbox.
    pub sandbox_id: SandboxId,
    /// The task that it is before or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Why it was made.
    pub kind: CheckpointKind,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it alone held on disk when it was made; what it shares with the one before does not count.
    pub bytes: u64,
    /// Sockets and devices, which it does not hold.
    pub left_out: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointCreateRequest {
    /// What it is called, 1 to 200 bytes; what is called something is not removed by itself.
    #[schema(min_length = 1, max_length = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What to compare a checkpoint with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointDiffQuery {
    /// The later point: `now`, `source`, or a checkpoint; `now` when absent.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Everything that differs between two points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointChanges {
    /// The earlier point.
    pub from: CheckpointId,
    /// The later point, as it was asked for.
    pub to: String,
    /// The changes, ordered by path.
    #[serde(flatten)]
    pub set: ChangeSet,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointRestored {
    /// The workspace has again what this one has.
    pub restored: CheckpointId,
    /// What was there before.
    pub kept: CheckpointId,
    /// Paths that were written or removed.
    pub paths: Vec<WorkspacePath>,
}

/// What to take back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevertRequest {
    /// The checkpoint before the work.
    pub before: CheckpointId,
    /// The checkpoint after it.
    pub after: CheckpointId,
}

/// What a revert did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reverted {
    /// What was there before; absent where there was nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<CheckpointId>,
    /// Paths that were written or removed.
    pub paths: Vec<WorkspacePath>,
    /// Of these, the texts into which later edits were merged.
    pub merged: Vec<WorkspacePath>,
}
