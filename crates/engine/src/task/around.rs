//! Checkpoints around a task, what differs between them, and taking that back.

use sandbar_types::{CheckpointId, CheckpointKind, TaskId, TaskResult, TenantId};

use super::run::Run;
use crate::{
    CheckpointMakeParams, CheckpointPoint, Engine, Error, ErrorKind, Result, RevertOutcome,
};

/// What differs between both checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// At most [`TaskResult::FILES_MAX`] paths.
    pub(super) files: Vec<String>,
    /// How many there are.
    pub(super) count: u64,
}

/// Makes the one before the agent begins.
pub(super) async fn before(run: &Run) -> Option<CheckpointId> {
    make(run, CheckpointKind::Before).await
}

/// Makes the one after it has ended.
pub(super) async fn after(run: &Run) -> Option<CheckpointId> {
    make(run, CheckpointKind::After).await
}

/// Without one the task is done all the same: that it cannot be taken back is seen in its result.
async fn make(run: &Run, kind: CheckpointKind) -> Option<CheckpointId> {
    let params = CheckpointMakeParams { kind, task_id: Some(run.row.id), label: None };
    let made = run.engine.checkpoint_make(run.row.sandbox_id, params).await;
    made.map(|checkpoint| checkpoint.id)
        .inspect_err(|err| {
            tracing::warn!(task.id = %run.row.id, error = err as &dyn std::error::Error, "a task has no checkpoint");
        })
        .ok()
}

/// What the task changed; `None` where nobody can tell.
pub(super) async fn difference(
    run: &Run,
    before: CheckpointId,
    after: CheckpointId,
) -> Option<Difference> {
    let points = (CheckpointPoint::Checkpoint(before), CheckpointPoint::Checkpoint(after));
    let compared = run.engine.checkpoint_changes(run.row.sandbox_id, points.0, points.1).await;
    let set = compared
        .inspect_err(|err| {
            tracing::warn!(task.id = %run.row.id, error = err as &dyn std::error::Error, "what a task changed is not known");
        })
        .ok()?;
    let paths = set.changes.iter().take(TaskResult::FILES_MAX);
    Some(Difference {
        files: paths.map(|change| change.path.to_string()).collect(),
        count: set.changes.len() as u64,
    })
}

impl Engine {
    /// Takes back exactly what a task changed, and nothing that came later.
    ///
    /// # Errors
    /// `task_not_found`, `checkpoint_not_found` (it has none, or they were removed), `sandbox_not_found`,
    /// `revert_conflict`, `state_conflict`.
    pub async fn task_revert(&self, tenant: TenantId, id: TaskId) -> Result<RevertOutcome> {
        let task = self.task_fetch(tenant, id).await?;
        let (before, after) = self.task_points(id).await?.ok_or_else(|| {
            let message = "the task has no two checkpoints";
            Error::new(ErrorKind::NotFound, "checkpoint_not_found", message)
                .hint("it has not ended yet, its agent never began, or they were removed")
        })?;
        self.checkpoint_revert(task.sandbox_id, before, after).await
    }
}
