//! The end of an approve: it is recorded, and only then what it replaced is dropped.
//!
//! Until then the stage, a directory in the user's own tree, holds what was replaced; after it, nothing of ours is there.
//! A crash in between leaves a journal whose approve has ended, which the reconciler finds.

use std::fs::File;

use sandbar_store::{
    ApproveRow, ApprovedPathRow, Update, WriteTxn, approve_end_in_txn, approved_path_put_in_txn,
    event_insert_in_txn, sandbox_fetch, sandbox_update_review_in_txn,
};
use sandbar_types::{SandboxId, WorkspacePath};
use sandbar_workspace::{
    applier::{Reply, Request},
    apply::{Applied, ApplyReport},
    journal::Journal,
};

use super::{approve::open, base::BaseTexts};
use crate::{Error, Result, engine::Inner, event::EventPayload, workspace_view::blocking};

/// Records what became of an approve. With a report, what it wrote is the base from now on; without one, what it took
/// back is, for an old file that was moved away and back has another ctime than before.
pub(crate) async fn end(
    inner: &Inner,
    row: &ApproveRow,
    report: Option<&ApplyReport>,
) -> Result<()> {
    let restored = match report {
        Some(_) => Vec::new(),
        None => restored(inner, row).await?,
    };
    if let Some(report) = report {
        keep_base_texts(inner, row, report).await;
    }
    let now = inner.config.clock.now();
    let mut txn = inner.store.begin().await?;
    let outcome = match report {
        Some(report) => Some(serde_json::to_value(&report.outcome).map_err(Error::internal)?),
        None => None,
    };
    approve_end_in_txn(&mut txn, row.id, outcome.as_ref(), now).await?;
    for applied in report.map_or(&restored, |report| &report.applied) {
        let base = serde_json::to_value(&applied.base).map_err(Error::internal)?;
        let path = applied.path.clone();
        approved_path_put_in_txn(&mut txn, row.sandbox_id, &ApprovedPathRow { path, base }).await?;
    }
    let mut event = None;
    if let Some(report) = report {
        count_decision(&mut txn, row.sandbox_id).await?;
        let paths = report.outcome.applied.len() as u64;
        let payload = EventPayload::Approved { approve_id: row.id, paths };
        event =
            Some(event_insert_in_txn(&mut txn, row.sandbox_id, now, &payload.to_value()).await?);
    }
    txn.commit().await?;
    event.into_iter().for_each(|event| inner.event_written(event));
    Ok(())
}

/// Keeps what host and sandbox have in common now. Without it a later merge needs a person, and that is all.
async fn keep_base_texts(inner: &Inner, row: &ApproveRow, report: &ApplyReport) {
    let texts = BaseTexts::of(&inner.layout, row.sandbox_id);
    let left: Vec<_> =
        report.applied.iter().map(|one| (one.path.clone(), one.entry.clone())).collect();
    let source = row.source.clone();
    let kept = blocking(move || texts.keep(&File::open(source)?, &left));
    if let Ok(Err(err)) = kept.await {
        tracing::warn!(sandbox.id = %row.sandbox_id, error = &err as &dyn std::error::Error, "what was approved could not be kept for later merges");
    }
}

/// Counts one more decision. Within the one transaction that writes, nobody can have counted in between.
pub(super) async fn count_decision(txn: &mut WriteTxn, id: SandboxId) -> Result<()> {
    let Some(row) = sandbox_fetch(txn, id).await? else {
        return Ok(());
    };
    match sandbox_update_review_in_txn(txn, id, row.review_generation).await? {
        Update::Applied(_) => Ok(()),
        Update::Stale => Err(Error::internal("a decision was counted within another transaction")),
    }
}

async fn restored(inner: &Inner, row: &ApproveRow) -> Result<Vec<Applied>> {
    let (journals, id) = (inner.layout.journal(), row.id);
    let read = blocking(move || match Journal::open(File::open(journals)?, id)? {
        Some(journal) => journal.restored(),
        None => Ok(Vec::new()),
    });
    read.await?.map_err(Error::internal)
}

/// Drops what the recorded approve `row` replaced, and its journal. The source must be held.
///
/// What cannot be dropped now is found by the reconciler; what somebody wrote to late is kept, and said so once.
pub(crate) async fn forget(inner: &Inner, row: &ApproveRow) {
    let kept = match try_forget(inner, row).await {
        Ok(kept) => kept,
        Err(err) => {
            tracing::warn!(approve.id = %row.id, error = &err as &dyn std::error::Error, "what an approve replaced could not be dropped yet");
            return;
        }
    };
    let is_news = !kept.is_empty() && inner.kept.lock().await.insert(row.id);
    if is_news {
        tracing::warn!(approve.id = %row.id, paths = kept.len(), "files were written to while they were replaced; what was written is kept beside the source");
        let payload = EventPayload::ApproveKept { approve_id: row.id, paths: kept };
        inner.event_append(row.sandbox_id, &payload).await;
    }
}

async fn try_forget(inner: &Inner, row: &ApproveRow) -> Result<Vec<WorkspacePath>> {
    let fds = open(inner, row, None).await?;
    let reply = inner.config.applier.run(fds, Request::Forget).await.map_err(Error::internal)?;
    let forgotten = match reply {
        Reply::Forgotten { forgotten } => forgotten,
        Reply::Failed { error } => return Err(Error::internal(error)),
        Reply::Applied { .. } | Reply::Recovered { .. } => {
            return Err(Error::internal("the applier answered something else"));
        }
    };
    if forgotten.written_late.is_empty() {
        let (journals, id) = (inner.layout.journal(), row.id);
        let removed = blocking(move || Journal::remove(File::open(journals)?, id));
        removed.await?.map_err(Error::internal)?;
    }
    Ok(forgotten.written_late)
}
