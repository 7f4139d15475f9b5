//! Which checkpoints there are, and removing them.

use std::sync::Arc;

use sandbar_store::{
    CheckpointRow, checkpoint_fetch, checkpoint_list, checkpoint_list_of_task,
    checkpoint_remove_in_txn,
};
use sandbar_types::{CheckpointId, CheckpointKind, SandboxId, TaskId};

use super::{Checkpoint, place::Place};
use crate::{Engine, Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

impl Engine {
    /// Lists the checkpoints of a sandbox, the newest first.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn checkpoint_list(&self, id: SandboxId) -> Result<Vec<Checkpoint>> {
        self.inner.actor(id)?;
        let rows = checkpoint_list(&mut self.inner.store.read().await?, id).await?;
        Ok(rows.into_iter().map(Checkpoint::from).collect())
    }

    /// Looks at one of them.
    ///
    /// # Errors
    /// `sandbox_not_found`, `checkpoint_not_found`.
    pub async fn checkpoint_fetch(
        &self,
        id: SandboxId,
        checkpoint: CheckpointId,
    ) -> Result<Checkpoint> {
        self.inner.actor(id)?;
        Ok(self.inner.checkpoint_row(id, checkpoint).await?.into())
    }

    /// Removes one of them; those that share files with it keep them. One that is gone already is not found.
    ///
    /// # Errors
    /// `sandbox_not_found`, `checkpoint_not_found`.
    pub async fn checkpoint_delete(&self, id: SandboxId, checkpoint: CheckpointId) -> Result<()> {
        self.inner.actor(id)?;
        let inner = Arc::clone(&self.inner);
        let removed = self.inner.tasks.spawn(async move {
            let _alone = inner.checkpoints.alone(id).await;
            inner.checkpoint_row(id, checkpoint).await?;
            remove_files_last(&inner, id, checkpoint).await
        });
        removed.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }

    /// The checkpoints before and after a task; `None` where one of them is not there, or not any more.
    ///
    /// # Errors
    /// The store failed.
    pub async fn task_points(&self, task: TaskId) -> Result<Option<(CheckpointId, CheckpointId)>> {
        let rows = checkpoint_list_of_task(&mut self.inner.store.read().await?, task).await?;
        let of = |kind| rows.iter().filter(move |row| row.kind == kind).map(|row| row.id);
        let (before, after) =
            (of(CheckpointKind::Before).next(), of(CheckpointKind::After).next_back());
        Ok(before.zip(after))
    }
}

impl Inner {
    pub(super) async fn checkpoint_row(
        &self,
        id: SandboxId,
        checkpoint: CheckpointId,
    ) -> Result<CheckpointRow> {
        let found = checkpoint_fetch(&mut self.store.read().await?, id, checkpoint).await?;
        found.ok_or_else(|| not_found(checkpoint))
    }
}

pub(super) fn not_found(id: CheckpointId) -> Error {
    let message = format!("the sandbox has no checkpoint {id}");
    Error::new(ErrorKind::NotFound, "checkpoint_not_found", message)
        .hint("`sandbar checkpoint ls` lists them")
}

/// Removes a checkpoint that upkeep found, unless somebody is at the sandbox's now: it comes again.
pub(crate) async fn remove(inner: &Inner, row: &CheckpointRow) -> Result<()> {
    let Some(_alone) = inner.checkpoints.try_alone(row.sandbox_id) else {
        return Ok(());
    };
    remove_files_last(inner, row.sandbox_id, row.id).await
}

/// INVARIANT: the record first. Files without a record are swept at the next start; a record without files promises
/// what is not there.
async fn remove_files_last(inner: &Inner, id: SandboxId, checkpoint: CheckpointId) -> Result<()> {
    let mut txn = inner.store.begin().await?;
    checkpoint_remove_in_txn(&mut txn, checkpoint).await?;
    txn.commit().await?;
    let place = Place::of(&inner.layout, id);
    blocking(move || place.remove(checkpoint)).await?.map_err(Error::internal)
}
