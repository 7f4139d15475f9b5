//! Reject: the workspace has what the source has.

use std::{os::fd::AsFd, sync::Arc};

use sandbar_store::event_insert_in_txn;
use sandbar_types::SandboxId;
use sandbar_workspace::reject::{self, RejectError};

use super::{
    RejectOutcome, RejectParams,
    approve::{diff_changed, refuse_stale, refused},
    end::count_decision,
};
use crate::{
    Engine, Error, ErrorKind, Result, engine::Inner, event::EventPayload, workspace_view::blocking,
};

impl Engine {
    /// Drops changes: the workspace has what the source has. What is there already is left alone, so it can be repeated.
    ///
    /// Dropping the future does not take it back: a reject that was begun is finished.
    ///
    /// # Errors
    /// `diff_changed`, `stale_generation`, `change_not_found`, `state_conflict`.
    pub async fn reject(&self, id: SandboxId, params: RejectParams) -> Result<RejectOutcome> {
        let inner = Arc::clone(&self.inner);
        let rejected = self.inner.tasks.spawn(Box::pin(reject(inner, id, params)));
        rejected.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)))
    }
}

async fn reject(inner: Arc<Inner>, id: SandboxId, params: RejectParams) -> Result<RejectOutcome> {
    let still = inner.changes_still(id).await?;
    if params.diff_id.is_some_and(|seen| seen != still.set.diff_id) {
        return Err(diff_changed(&still.set));
    }
    refuse_stale(params.generation, still.generation)?;
    super::changes::refuse_unmatched(&still.set, &params.selection)?;
    let (view, set) = (Arc::clone(&still.view), Arc::clone(&still.set));
    let done = blocking(move || {
        let source = view.lower.as_ref().map(AsFd::as_fd);
        reject::reject(view.merged.as_fd(), source, &set, &params.selection, view.owner)
    });
    let done = done.await?.map_err(|err| match err {
        RejectError::Refused(why) => refused(why),
        RejectError::Restore { .. } => Error::new(
            ErrorKind::Unavailable,
            "unavailable",
            "a path could not be restored; repeat the reject",
        )
        .because(err),
    })?;
    drop(still);
    let paths = done.rejected.len() as u64;
    if paths > 0 {
        let mut txn = inner.store.begin().await?;
        count_decision(&mut txn, id).await?;
        let payload = EventPayload::Rejected { paths }.to_value();
        let event = event_insert_in_txn(&mut txn, id, inner.config.clock.now(), &payload).await?;
        txn.commit().await?;
        inner.event_written(event);
    }
    Ok(RejectOutcome { rejected: done.rejected })
}
