//! What is done to a workspace as a whole: written down before it begins, and done to its end whatever happens.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_store::{SandboxRow, checkpoint_list};
use sandbar_types::{ChangeSet, CheckpointId, SandboxId, WorkspacePath};
use sandbar_workspace::checkpoint::{BringError, Deed, bring};
use serde::{Deserialize, Serialize};

use super::{
    CheckpointPoint,
    changes::{Compared, merged},
    place::Place,
    points::Opened,
    revert,
};
use crate::{
    Error, ErrorKind, Result,
    engine::Inner,
    event::EventPayload,
    workspace_view::{StillGuard, blocking},
};

/// What is under way. `kept` is what was there when it began, from which it can be decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(super) enum Intent {
    /// The workspace becomes what a checkpoint has.
    Restore {
        /// Which.
        to: CheckpointId,
        kept: CheckpointId,
    },
    /// What differs between two checkpoints is taken back.
    Revert { before: CheckpointId, after: CheckpointId, kept: CheckpointId },
}

/// What has to be written, and where it is taken from.
pub(super) struct Written {
    pub(super) deeds: BTreeMap<WorkspacePath, Deed>,
    pub(super) from: Arc<Opened>,
}

impl Intent {
    fn kept(self) -> CheckpointId {
        match self {
            Self::Restore { kept, .. } | Self::Revert { kept, .. } => kept,
        }
    }

    /// Whether everything that it is decided from is there.
    fn is_possible(self, place: &Place) -> bool {
        let needed = match self {
            Self::Restore { to, kept } => vec![to, kept],
            Self::Revert { before, after, kept } => vec![before, after, kept],
        };
        needed.into_iter().all(|id| place.has(id))
    }

    fn event(self, paths: u64) -> EventPayload {
        match self {
            Self::Restore { to: checkpoint_id, kept } => {
                EventPayload::CheckpointRestored { checkpoint_id, kept, paths }
            }
            Self::Revert { before, after, kept } => {
                EventPayload::CheckpointReverted { before, after, kept, paths }
            }
        }
    }
}

impl Written {
    /// All of `set`, as `from` has it.
    fn all(set: &ChangeSet, from: Arc<Opened>) -> Self {
        let deeds = set.changes.iter().map(|change| (change.path.clone(), Deed::Take)).collect();
        Self { deeds, from }
    }
}

impl Inner {
    /// What has to be written for a workspace that is as `kept`, or on its way from there, to become as `to`.
    pub(super) async fn way_to(
        &self,
        row: &SandboxRow,
        (to, kept): (CheckpointId, CheckpointId),
    ) -> Result<Written> {
        let Compared { old, set, .. } = self.compare_two(row, [to, kept]).await?;
        Ok(Written::all(&set, old))
    }

    /// What has to be written over `now`, whatever it is, for it to become as `kept`.
    async fn way_back(
        &self,
        row: &SandboxRow,
        kept: CheckpointId,
        now: &Arc<Opened>,
    ) -> Result<Written> {
        let kept = Arc::new(self.point(row, CheckpointPoint::Checkpoint(kept)).await?);
        let Compared { old, set, .. } = self.compare(kept, Arc::clone(now)).await?;
        Ok(Written::all(&set, old))
    }

    /// Does `written` to the workspace `now`, which is held still, under `intent`: all of it, or nothing.
    pub(super) async fn carry_out(
        &self,
        still: &StillGuard,
        now: &Arc<Opened>,
        intent: Intent,
        written: Written,
    ) -> Result<()> {
        let (id, paths) = (still.row.id, written.deeds.len() as u64);
        let place = Place::of(&self.layout, id);
        let intending = place.clone();
        blocking(move || intending.intend(&intent)).await?.map_err(Error::internal)?;
        if let Err(err) = write(now, written).await? {
            // What was there is put back; should that fail as well, the intent is carried out later.
            let back = self.way_back(&still.row, intent.kept(), now).await?;
            if write(now, back).await?.is_err() {
                return Err(unwritten(err, "it is tried again"));
            }
            blocking(move || place.intended()).await?.map_err(Error::internal)?;
            return Err(unwritten(err, "the workspace is as it was"));
        }
        blocking(move || place.intended()).await?.map_err(Error::internal)?;
        self.event_append(id, &intent.event(paths)).await;
        Ok(())
    }
}

async fn write(now: &Arc<Opened>, written: Written) -> Result<Result<(), BringError>> {
    let now = Arc::clone(now);
    blocking(move || bring(merged(&now.view), merged(&written.from.view), &written.deeds)).await
}

fn unwritten(err: BringError, what_then: &str) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};

    let message = format!("`{}` could not be written; {what_then}", err.path);
    let is_full = matches!(err.source.kind(), StorageFull | QuotaExceeded);
    let code = if is_full { "storage_full" } else { "unavailable" };
    Error::new(ErrorKind::Unavailable, code, message).because(err)
}

/// Removes what a killed server left of checkpoints, and ends what it had begun. Before anybody is served.
pub(crate) async fn recover_all(inner: &Arc<Inner>) {
    let ids: Vec<SandboxId> = inner.actors().keys().copied().collect();
    for id in ids {
        if let Err(err) = sweep(inner, id).await {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "torn checkpoints could not be removed yet");
        }
        if let Err(err) = recover(inner, id).await {
            // The reconciler comes back for it.
            tracing::error!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an interrupted restore could not be ended");
        }
    }
}

async fn sweep(inner: &Inner, id: SandboxId) -> Result<()> {
    let rows = checkpoint_list(&mut inner.store.read().await?, id).await?;
    let known: Vec<_> = rows.into_iter().map(|row| row.id).collect();
    let place = Place::of(&inner.layout, id);
    let kept = known.clone();
    let there = blocking(move || place.sweep(&kept)).await?.map_err(Error::internal)?;
    // A database that is older than the files, or newer: what has no files is no checkpoint.
    for lost in known.into_iter().filter(|id| !there.contains(id)) {
        let mut txn = inner.store.begin().await?;
        sandbar_store::checkpoint_remove_in_txn(&mut txn, lost).await?;
        txn.commit().await?;
    }
    Ok(())
}

/// Ends what was begun in the workspace of `id`, unless somebody is at it now.
pub(crate) async fn recover(inner: &Arc<Inner>, id: SandboxId) -> Result<()> {
    match inner.checkpoints.try_alone(id) {
        Some(_alone) => end_intent(inner, id).await,
        None => Ok(()),
    }
}

/// Ends what was begun in the workspace of `id`. Whoever asks is alone there.
pub(super) async fn end_intent(inner: &Arc<Inner>, id: SandboxId) -> Result<()> {
    let place = Place::of(&inner.layout, id);
    let looked = place.clone();
    let Some(intent) = blocking(move || looked.intent()).await?.map_err(Error::internal)? else {
        return Ok(());
    };
    if !intent.is_possible(&place) {
        // Somebody removed by hand what it needs; nobody can end it any more.
        tracing::error!(sandbox.id = %id, "an interrupted restore cannot be ended: a checkpoint that it needs is gone");
        return blocking(move || place.intended()).await?.map_err(Error::internal);
    }
    let still = inner.hold_still(id).await?;
    let now = Arc::new(inner.point(&still.row, CheckpointPoint::Now).await?);
    let written = match intent {
        Intent::Restore { to, kept } => inner.way_to(&still.row, (to, kept)).await?,
        Intent::Revert { before, after, kept } => {
            let kept = CheckpointPoint::Checkpoint(kept);
            let kept = Arc::new(inner.point(&still.row, kept).await?);
            revert::decide(inner, &still.row, (before, after), &kept).await?.0
        }
    };
    inner.carry_out(&still, &now, intent, written).await?;
    tracing::info!(sandbox.id = %id, "ended a restore that was interrupted");
    Ok(())
}
