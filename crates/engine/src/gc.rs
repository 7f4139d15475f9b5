//! What can be given back, and why. Never what holds changes that nobody decided about.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbar_store::{
    ApproveRow, approve_list_kept, approve_prune_in_txn, event_prune_in_txn,
    idempotency_list_expired, idempotency_remove_in_txn, sandbox_prune_in_txn,
};
use sandbar_types::{SandboxId, SandboxState, TenantId};

use crate::{
    Engine, Error, Result,
    engine::Inner,
    layout,
    review::{end, retention},
    workspace_view::blocking,
};

/// How long a stopped sandbox without changes is left alone: somebody may just have stopped it.
const TERMINAL_AGE: Duration = Duration::from_hours(1);

/// Whether it is done or only said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcMode {
    /// Only said.
    DryRun,
    /// Done.
    Collect,
}

/// One thing that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcAction {
    /// Whose it is.
    pub sandbox_id: Option<SandboxId>,
    /// What it is.
    pub what: String,
    /// Why it may go.
    pub reason: String,
    /// Bytes on disk, where known.
    pub bytes: Option<u64>,
}

/// Everything that is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcReport {
    /// Whether it was done.
    pub mode: GcMode,
    /// What.
    pub actions: Vec<GcAction>,
}

impl Engine {
    /// Gives back what is stopped without changes, empty directories that belong to nothing, what old approves replaced,
    /// and what has expired.
    ///
    /// # Errors
    /// The store failed.
    pub async fn gc(&self, mode: GcMode) -> Result<GcReport> {
        let mut actions = self.gc_terminal(mode).await?;
        actions.extend(self.gc_orphaned(mode).await?);
        actions.extend(self.gc_kept(mode).await?);
        actions.extend(self.gc_keys(mode).await?);
        Ok(GcReport { mode, actions })
    }

    async fn gc_terminal(&self, mode: GcMode) -> Result<Vec<GcAction>> {
        let now = self.inner.config.clock.now();
        let mut actions = Vec::new();
        for sandbox in self.sandbox_list_all() {
            let is_terminal =
                matches!(sandbox.state, SandboxState::Stopped | SandboxState::Failed { .. });
            let is_old = sandbox.updated_at + TERMINAL_AGE <= now;
            if !is_terminal || !is_old {
                continue;
            }
            // What cannot be read may hold changes, and stays.
            let Ok(changes) = self.changes(sandbox.id).await else {
                continue;
            };
            if !changes.set.changes.is_empty() {
                continue;
            }
            let size = self.sandbox_size(sandbox.id).await.ok();
            actions.push(GcAction {
                sandbox_id: Some(sandbox.id),
                what: format!("sandbox `{}`", sandbox.name),
                reason: "stopped for an hour or more, without pending changes".to_owned(),
                bytes: size.map(|size| size.upper_bytes + size.logs_bytes),
            });
            if mode == GcMode::Collect {
                self.sandbox_delete(sandbox.id).await?;
            }
        }
        Ok(actions)
    }

    async fn gc_orphaned(&self, mode: GcMode) -> Result<Vec<GcAction>> {
        let _creating = self.inner.creating.lock().await;
        let mut actions = Vec::new();
        for id in self.inner.layout.sandbox_list().map_err(Error::internal)? {
            let upper = self.inner.layout.sandbox(id).0.join("upper");
            // A directory with files is somebody's work, recorded or not.
            let is_empty = match std::fs::read_dir(upper) {
                Ok(mut entries) => entries.next().is_none(),
                Err(err) => err.kind() == std::io::ErrorKind::NotFound,
            };
            if self.inner.actors().contains_key(&id) || !is_empty {
                continue;
            }
            actions.push(GcAction {
                sandbox_id: Some(id),
                what: "directory of a sandbox".to_owned(),
                reason: "recorded nowhere, and its upper layer is empty".to_owned(),
                bytes: None,
            });
            if mode == GcMode::Collect {
                self.inner.layout.sandbox_discard(id).map_err(Error::internal)?;
                self.inner.trash_nudge.notify_one();
            }
        }
        Ok(actions)
    }

    async fn gc_kept(&self, mode: GcMode) -> Result<Vec<GcAction>> {
        let mut actions = Vec::new();
        for (row, reason) in releasable(&self.inner).await? {
            actions.push(GcAction {
                sandbox_id: Some(row.sandbox_id),
                what: format!("what {} replaced", row.id),
                reason: reason.text().to_owned(),
                bytes: row.kept_bytes,
            });
            if mode == GcMode::Collect {
                release(&self.inner, &row).await?;
            }
        }
        Ok(actions)
    }

    async fn gc_keys(&self, mode: GcMode) -> Result<Vec<GcAction>> {
        let now = self.inner.config.clock.now();
        let expired = idempotency_list_expired(&mut self.inner.store.read().await?, now).await?;
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        if mode == GcMode::Collect {
            remove_keys(&self.inner, &expired).await?;
        }
        Ok(vec![GcAction {
            sandbox_id: None,
            what: format!("{} idempotency keys", expired.len()),
            reason: "expired".to_owned(),
            bytes: None,
        }])
    }
}

async fn remove_keys(inner: &Inner, expired: &[(TenantId, String, String)]) -> Result<()> {
    let mut txn = inner.store.begin().await?;
    for (tenant, route, key) in expired {
        idempotency_remove_in_txn(&mut txn, *tenant, route, key).await?;
    }
    Ok(txn.commit().await?)
}

/// What is kept for an undo, and need not be.
async fn releasable(inner: &Inner) -> Result<Vec<(ApproveRow, retention::Reason)>> {
    let now = inner.config.clock.now();
    let mut kept = approve_list_kept(&mut inner.store.read().await?).await?;
    let mut released: BTreeMap<_, _> = retention::releasable(&kept, now).into_iter().collect();
    kept.retain(|row| released.contains_key(&row.id));
    let with_reason = |row: ApproveRow| {
        let reason = released.remove(&row.id)?;
        Some((row, reason))
    };
    Ok(kept.into_iter().filter_map(with_reason).collect())
}

/// Drops what `row` keeps, unless somebody is at its source just now: perhaps to undo it.
async fn release(inner: &Inner, row: &ApproveRow) -> Result<()> {
    let Ok(_source) = inner.source_mutex(&row.source).await.try_lock_owned() else {
        return Ok(());
    };
    // Looked at again: what was undone since may have made this one the last.
    let is_still = releasable(inner).await?.iter().any(|(still, _)| still.id == row.id);
    if is_still { end::release(inner, row.id).await } else { Ok(()) }
}

/// What expires by itself: keys, the history of what was deleted or approved long ago, what old approves replaced.
pub(crate) async fn expire(inner: &Arc<Inner>) {
    let now = inner.config.clock.now();
    let expired = async {
        for (row, _reason) in releasable(inner).await? {
            release(inner, &row).await?;
        }
        let keys = idempotency_list_expired(&mut inner.store.read().await?, now).await?;
        if !keys.is_empty() {
            remove_keys(inner, &keys).await?;
        }
        let mut txn = inner.store.begin().await?;
        sandbox_prune_in_txn(&mut txn, now - inner.config.history_ttl).await?;
        event_prune_in_txn(&mut txn, now - inner.config.event_ttl).await?;
        let before = now - retention::PROVENANCE_AGE_MAX;
        approve_prune_in_txn(&mut txn, before, retention::PROVENANCE_PATHS_MAX).await?;
        Ok::<_, Error>(txn.commit().await?)
    };
    if let Err(err) = expired.await {
        tracing::warn!(
            error = &err as &dyn std::error::Error,
            "what has expired could not be removed"
        );
    }
}

/// Removes what lies in the trash, at the start and whenever something is added, until the server leaves.
pub(crate) async fn empty_trash(inner: Arc<Inner>) {
    loop {
        let listed = inner.layout.trash_list().unwrap_or_default();
        for path in listed {
            if inner.leaving.is_cancelled() {
                return;
            }
            let shown = path.display().to_string();
            match blocking(move || layout::remove_tree(&path)).await {
                Ok(Ok(())) => {}
                Ok(Err(err)) => {
                    tracing::warn!(path = shown, error = %err, "trash could not be removed");
                }
                Err(err) => tracing::warn!(
                    path = shown,
                    error = &err as &dyn std::error::Error,
                    "trash could not be removed"
                ),
            }
        }
        tokio::select! {
            () = inner.leaving.cancelled() => return,
            () = inner.trash_nudge.notified() => {}
        }
    }
}
