//! Checkpoints as a person sees them.

use jiff::Timestamp;
use sandbar_store::CheckpointRow;
use sandbar_types::{CheckpointId, CheckpointKind, SandboxId, TaskId, WorkspacePath};

/// A point of a workspace's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its id; later ones sort after earlier ones.
    pub id: CheckpointId,
    /// Of which sandbox.
    pub sandbox_id: SandboxId,
    /// Around which task.
    pub task_id: Option<TaskId>,
    /// Why it was made.
    pub kind: CheckpointKind,
    /// What somebody called it.
    pub label: Option<String>,
    /// What it alone held on disk when it was made.
    pub bytes: u64,
    /// Sockets and devices that it does not hold.
    pub left_out: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl From<CheckpointRow> for Checkpoint {
    fn from(row: CheckpointRow) -> Self {
        Self {
            id: row.id,
            sandbox_id: row.sandbox_id,
            task_id: row.task_id,
            kind: row.kind,
            label: row.label,
            bytes: row.bytes,
            left_out: row.left_out,
            created_at: row.created_at,
        }
    }
}

/// What a checkpoint is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointMakeParams {
    /// Why.
    pub kind: CheckpointKind,
    /// Around which task.
    pub task_id: Option<TaskId>,
    /// What it is called; what is called something is never removed by itself.
    pub label: Option<String>,
}

impl CheckpointMakeParams {
    /// LIMIT: bytes of a label.
    pub const LABEL_BYTES_MAX: usize = 200;
}

/// A state of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointPoint {
    /// As a checkpoint has it.
    Checkpoint(CheckpointId),
    /// As it is.
    Now,
    /// As it was when nothing was changed in it: the source.
    Source,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// Which checkpoint the workspace is as.
    pub restored: CheckpointId,
    /// What was there before.
    pub kept: CheckpointId,
    /// Paths that were written or removed.
    pub paths: Vec<WorkspacePath>,
}

/// What a revert did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertOutcome {
    /// What was there before; `None` where there was nothing to do.
    pub kept: Option<CheckpointId>,
    /// Paths that were written or removed.
    pub paths: Vec<WorkspacePath>,
    /// Of these, the texts into which later edits were merged.
    pub merged: Vec<WorkspacePath>,
}
