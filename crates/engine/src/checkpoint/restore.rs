//! Going back to a checkpoint.

use std::sync::Arc;

use sandbar_types::{CheckpointId, SandboxId};

use super::{
    CheckpointPoint, RestoreOutcome,
    intent::{Intent, end_intent},
    make::keep_now,
};
use crate::{Engine, Error, Result, actor::Ordinary, engine::Inner, source};

impl Engine {
    /// The workspace has again what a checkpoint has, whether it runs or not; what is there now is kept as a checkpoint
    /// first. What runs inside is frozen meanwhile, and goes on with the files that it has open.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `checkpoint_not_found`, `state_conflict`, `limit_reached`, `storage_full`.
    pub async fn checkpoint_restore(
        &self,
        id: SandboxId,
        checkpoint: CheckpointId,
    ) -> Result<RestoreOutcome> {
        let inner = Arc::clone(&self.inner);
        let restored = self.inner.tasks.spawn(Box::pin(restore(inner, id, checkpoint)));
        restored.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn restore(inner: Arc<Inner>, id: SandboxId, to: CheckpointId) -> Result<RestoreOutcome> {
    let _alone = inner.checkpoints.alone(id).await;
    inner.actor(id)?;
    // What a crash left half done is ended first.
    end_intent(&inner, id).await?;
    inner.checkpoint_row(id, to).await?;
    let still = inner.hold_still(id).await?;
    source::check(&still.row).await?;
    let kept = keep_now(&inner, &still.row, format!("before {to} was restored")).await?;
    let now = Arc::new(inner.point(&still.row, CheckpointPoint::Now).await?);
    let written = inner.way_to(&still.row, (to, kept)).await?;
    let paths = written.deeds.keys().cloned().collect();
    inner.carry_out(&still, &now, Intent::Restore { to, kept }, written).await?;
    drop(still);
    if let Ok(handle) = inner.actor(id) {
        drop(handle.send(Ordinary::Touch));
    }
    Ok(RestoreOutcome { restored: to, kept, paths })
}
