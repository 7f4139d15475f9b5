//! Taking one piece of work back, and nothing that came later.

use std::sync::Arc;

use sandbar_store::SandboxRow;
use sandbar_types::{CheckpointId, SandboxId, WorkspacePath};
use sandbar_workspace::{
    ChangeLimits,
    checkpoint::{RevertError, revert as plan},
};

use super::{
    CheckpointPoint, RevertOutcome,
    changes::{Compared, merged},
    intent::{Intent, Written, end_intent},
    make::keep_now,
    points::Opened,
};
use crate::{
    Engine, Error, ErrorKind, Result, actor::Ordinary, engine::Inner, source,
    workspace_view::blocking,
};

impl Engine {
    /// Takes back exactly what differs between two checkpoints, all or nothing. Later edits of the same texts are merged
    /// where they lie apart. What is there now is kept as a checkpoint first. What is back already is left alone, so it
    /// can be repeated.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `checkpoint_not_found`, `revert_conflict` (with the paths), `state_conflict`,
    /// `limit_reached`, `storage_full`.
    pub async fn checkpoint_revert(
        &self,
        id: SandboxId,
        before: CheckpointId,
        after: CheckpointId,
    ) -> Result<RevertOutcome> {
        let inner = Arc::clone(&self.inner);
        let reverted = self.inner.tasks.spawn(Box::pin(revert(inner, id, (before, after))));
        reverted.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn revert(
    inner: Arc<Inner>,
    id: SandboxId,
    (before, after): (CheckpointId, CheckpointId),
) -> Result<RevertOutcome> {
    let _alone = inner.checkpoints.alone(id).await;
    inner.actor(id)?;
    // What a crash left half done is ended first: perhaps this very revert.
    end_intent(&inner, id).await?;
    for point in [before, after] {
        inner.checkpoint_row(id, point).await?;
    }
    let still = inner.hold_still(id).await?;
    source::check(&still.row).await?;
    let now = Arc::new(inner.point(&still.row, CheckpointPoint::Now).await?);
    let (written, merged) = decide(&inner, &still.row, (before, after), &now).await?;
    let paths: Vec<_> = written.deeds.keys().cloned().collect();
    if paths.is_empty() {
        return Ok(RevertOutcome { kept: None, paths, merged });
    }
    // Only now that nothing stands in the way.
    let label = format!("before {before} to {after} was taken back");
    let kept = keep_now(&inner, &still.row, label).await?;
    inner.carry_out(&still, &now, Intent::Revert { before, after, kept }, written).await?;
    drop(still);
    if let Ok(handle) = inner.actor(id) {
        drop(handle.send(Ordinary::Touch));
    }
    Ok(RevertOutcome { kept: Some(kept), paths, merged })
}

/// What has to be written over `now` to take back what differs between two checkpoints.
pub(super) async fn decide(
    inner: &Inner,
    row: &SandboxRow,
    (before, after): (CheckpointId, CheckpointId),
    now: &Arc<Opened>,
) -> Result<(Written, Vec<WorkspacePath>)> {
    let Compared { old, new, set } = inner.compare_two(row, [before, after]).await?;
    let (now, before) = (Arc::clone(now), Arc::clone(&old));
    let decided = blocking(move || {
        let points = (merged(&old.view), merged(&new.view));
        plan(points, merged(&now.view), &set, &ChangeLimits::default())
    });
    let plan = decided.await?.map_err(refused)?;
    Ok((Written { deeds: plan.deeds, from: before }, plan.merged))
}

fn refused(err: RevertError) -> Error {
    let message = err.to_string();
    match err {
        RevertError::Conflict { paths } => {
            Error::new(ErrorKind::Conflict, "revert_conflict", message)
                .hint("restore a checkpoint from before, or edit these paths by hand")
                .details(&serde_json::json!({ "paths": paths }))
        }
        RevertError::Unreadable { .. } => {
            Error::new(ErrorKind::Unavailable, "unavailable", message).because(err)
        }
    }
}
