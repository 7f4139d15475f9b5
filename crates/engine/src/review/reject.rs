//! Reject: the workspace has what the source has.

use std::{collections::BTreeMap, os::fd::AsFd, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::event_insert_of_sandbox_in_txn;
use sandbar_types::{ChangeSet, Part, SandboxId, Selection, WorkspacePath};
use sandbar_workspace::{
    ChangeLimits, diff,
    proposal::{Left, without},
    put,
    reject::{self, RejectError},
};

use super::{
    RejectOutcome, RejectParams, Resolutions,
    approve::{diff_changed, refuse_stale, refused},
    changes::Still,
    declined::REASON_BYTES_MAX,
    end::count_decision,
    propose::unfit,
};
use crate::{
    Engine, Error, ErrorKind, Result,
    engine::Inner,
    event::EventPayload,
    workspace_view::{blocking, layers},
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
    refuse_long(params.reason.as_deref())?;
    let shown = inner.shown(&still, &params.selection).await?;
    let patch = inner.patch_of(&still, shown, &params.selection).await?;
    let dropped = drop_hunks(&inner, &still, &params.selection).await?;
    let (view, set) = (Arc::clone(&still.view), Arc::clone(&still.set));
    let done = blocking(move || {
        let source = view.lower.as_ref().map(AsFd::as_fd);
        let whole = Selection::Paths(dropped.whole);
        let done = reject::reject(view.merged.as_fd(), source, &set, &whole, view.owner)?;
        Ok((done, dropped.parts))
    });
    let (done, parts) = done.await?.map_err(|err| match err {
        RejectError::Refused(why) => refused(why),
        RejectError::Restore { .. } => unrestored(err),
    })?;
    let decided: Vec<_> = done.rejected.iter().chain(&parts).cloned().collect();
    let paths = decided.len() as u64;
    if paths > 0 {
        inner.decline(&still, params.reason, decided, &patch).await;
    }
    drop(still);
    if paths > 0 {
        let mut txn = inner.store.begin().await?;
        count_decision(&mut txn, id).await?;
        let payload = EventPayload::Rejected { paths }.to_value();
        let event =
            event_insert_of_sandbox_in_txn(&mut txn, id, inner.config.clock.now(), &payload)
                .await?;
        txn.commit().await?;
        inner.event_written(event);
    }
    Ok(RejectOutcome { rejected: done.rejected, parts })
}

fn refuse_long(reason: Option<&str>) -> Result<()> {
    match reason {
        Some(reason) if reason.len() > REASON_BYTES_MAX => Err(Error::new(
            ErrorKind::Invalid,
            "invalid_value",
            format!("the reason has {} bytes; at most {REASON_BYTES_MAX} are kept", reason.len()),
        )),
        Some(_) | None => Ok(()),
    }
}

/// What is left of a reject once the picked hunks are dropped.
struct Dropped {
    /// Paths to be made what the source has.
    whole: Vec<WorkspacePath>,
    /// Paths of which hunks were dropped.
    parts: Vec<WorkspacePath>,
}

/// Drops the picked hunks. A path that the host changed meanwhile is brought up to date first, for its hunks are those of
/// the merge.
async fn drop_hunks(inner: &Arc<Inner>, still: &Still, selection: &Selection) -> Result<Dropped> {
    let picked: Vec<Part> = match selection {
        Selection::All | Selection::Paths(_) => Vec::new(),
        Selection::Parts(parts) => {
            parts.iter().filter(|part| !part.hunks.is_empty()).cloned().collect()
        }
    };
    let whole = whole(&still.set, selection, &picked);
    if picked.is_empty() {
        return Ok(Dropped { whole, parts: Vec::new() });
    }
    let paths = Selection::Paths(picked.iter().map(|part| part.path.clone()).collect());
    let (proposal, rebases) = inner.up_to_date(still, &paths, &Resolutions::default()).await?;
    // Everything that was selected is looked at, so that a path which is selected twice is refused.
    let (view, marks, selection) = (Arc::clone(&still.view), inner.marks(), selection.clone());
    let left = blocking(move || {
        without(&layers(&view, marks), &proposal, &selection, &ChangeLimits::default())
    });
    let left = left.await?.map_err(unfit)?;
    inner.rebase(still, rebases).await?;
    let view = Arc::clone(&still.view);
    blocking(move || put(&view, left, whole)).await?
}

/// The selected paths of which no hunks are picked, each change by itself.
fn whole(set: &ChangeSet, selection: &Selection, picked: &[Part]) -> Vec<WorkspacePath> {
    let paths = set.changes.iter().map(|change| &change.path);
    let is_whole = |path: &&WorkspacePath| {
        diff::is_selected(path, selection) && !picked.iter().any(|part| part.path == **path)
    };
    paths.filter(is_whole).cloned().collect()
}

fn put(
    view: &View,
    left: BTreeMap<WorkspacePath, Left>,
    mut whole: Vec<WorkspacePath>,
) -> Result<Dropped> {
    let mut parts = Vec::new();
    for (path, left) in left {
        match left {
            Left::Source => whole.push(path),
            Left::Text { text, mode } => {
                put::text(view.merged.as_fd(), &path, &text, mode, view.owner)
                    .map_err(unrestored)?;
                parts.push(path);
            }
        }
    }
    Ok(Dropped { whole, parts })
}

fn unrestored(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "unavailable",
        "a path could not be restored; repeat the reject",
    )
    .because(err)
}
