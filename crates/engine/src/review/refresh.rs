//! Refresh: the host's newer state comes into a sandbox, by the merge that an approve would make.
//!
//! Only paths that the sandbox changed need it: everything else it sees as the host has it.

use std::sync::Arc;

use sandbar_store::event_insert_of_sandbox_in_txn;
use sandbar_types::{Change, Confirmed, Generation, SandboxId, Selection, WorkspacePath};
use sandbar_workspace::rebase::Rebase;

use super::{Resolutions, approve::refuse_stale, changes::refuse_unmatched, end::count_decision};
use crate::{Engine, Error, Result, engine::Inner, event::EventPayload};

/// What a refresh is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshParams {
    /// Which changes.
    pub selection: Selection,
    /// What counts where host and sandbox collide.
    pub resolutions: Resolutions,
    /// The generation that the person saw, where they sent one.
    pub generation: Option<Generation>,
}

/// What a refresh did, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefreshOutcome {
    /// Both were merged, or a text was sent.
    pub merged: Vec<WorkspacePath>,
    /// The sandbox has what the host has.
    pub ours: Vec<WorkspacePath>,
    /// The sandbox keeps what it had, as a change against what the host has now.
    pub theirs: Vec<WorkspacePath>,
}

impl Engine {
    /// Brings the host's newer state into a sandbox, at every selected path that both changed. All or nothing.
    ///
    /// # Errors
    /// `review_conflict` with the conflicts, `change_not_found`, `invalid_value`, `stale_generation`, `state_conflict`.
    pub async fn refresh(&self, id: SandboxId, params: RefreshParams) -> Result<RefreshOutcome> {
        let inner = Arc::clone(&self.inner);
        let refreshed = self.inner.tasks.spawn(Box::pin(refresh(inner, id, params)));
        refreshed.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn refresh(
    inner: Arc<Inner>,
    id: SandboxId,
    params: RefreshParams,
) -> Result<RefreshOutcome> {
    let still = inner.changes_still(id).await?;
    refuse_stale(params.generation, still.generation)?;
    refuse_unmatched(&still.set, &params.selection)?;
    let (still, _left_out) = still.without_ignored(&params.selection, &Confirmed::default());
    let (_, rebases) = inner.up_to_date(&still, &params.selection, &params.resolutions).await?;
    let outcome = outcome(&rebases);
    let paths = rebases.len() as u64;
    inner.rebase(&still, rebases).await?;
    drop(still);
    if paths > 0 {
        let mut txn = inner.store.begin().await?;
        count_decision(&mut txn, id).await?;
        let payload = EventPayload::Refreshed { paths }.to_value();
        let event =
            event_insert_of_sandbox_in_txn(&mut txn, id, inner.config.clock.now(), &payload)
                .await?;
        txn.commit().await?;
        inner.event_written(event);
    }
    Ok(outcome)
}

fn outcome(rebases: &[(Change, Rebase)]) -> RefreshOutcome {
    let mut outcome = RefreshOutcome::default();
    for (change, rebase) in rebases {
        let list = match rebase {
            Rebase::Text(_) => &mut outcome.merged,
            Rebase::Host => &mut outcome.ours,
            Rebase::Keep => &mut outcome.theirs,
        };
        list.push(change.path.clone());
    }
    outcome
}
