//! The end of an approve: it is recorded, and only then what it replaced leaves the source.
//!
//! Until then the stage, a directory in the user's own tree, holds what was replaced; after it, the journal does.
//! A crash in between leaves a journal whose approve has ended, which the reconciler finds.

use std::{collections::BTreeMap, fs::File};

use sandbar_store::{
    ApprovePathRow, ApproveRow, ApprovedPathRow, Update, WriteTxn, approve_end_in_txn,
    approve_path_insert_in_txn, approve_set_kept_in_txn, approve_set_undone_in_txn,
    approved_path_list, approved_path_put_in_txn, event_insert_of_sandbox_in_txn, sandbox_fetch,
    sandbox_update_review_in_txn,
};
use sandbar_types::{ApproveId, SandboxId, WorkspacePath};
use sandbar_workspace::{
    Approved,
    applier::{Reply, Request},
    apply::{Applied, ApplyReport},
    journal::Journal,
};

use super::{approve::open, base::BaseTexts, undo::undo_outcome};
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
    let outcome = report.map(|report| outcome(row, report)).transpose()?;
    approve_end_in_txn(&mut txn, row.id, outcome.as_ref(), now).await?;
    // The history outlives the sandbox; what its changes are compared with does not.
    let sandbox = sandbox_fetch(&mut txn, row.sandbox_id).await?;
    if sandbox.as_ref().is_some_and(|sandbox| sandbox.deleted_at.is_none()) {
        let applied = report.map_or(&restored, |report| &report.applied);
        rebase(&mut txn, row, applied, report.is_some()).await?;
    }
    let mut event = None;
    if let Some(report) = report {
        record(&mut txn, row, report).await?;
        count_decision(&mut txn, row.sandbox_id).await?;
        let paths = report.outcome.applied.len() as u64;
        let payload = match row.undoes {
            None => EventPayload::Approved { approve_id: row.id, paths },
            Some(undone) => EventPayload::Undone { approve_id: row.id, undone, paths },
        };
        if sandbox.is_some() {
            let payload = payload.to_value();
            event = Some(
                event_insert_of_sandbox_in_txn(&mut txn, row.sandbox_id, now, &payload).await?,
            );
        }
    }
    txn.commit().await?;
    event.into_iter().for_each(|event| inner.event_written(event));
    Ok(())
}

fn outcome(row: &ApproveRow, report: &ApplyReport) -> Result<serde_json::Value> {
    match row.undoes {
        None => serde_json::to_value(&report.outcome),
        Some(undone) => serde_json::to_value(undo_outcome(row, undone, report)),
    }
    .map_err(Error::internal)
}

/// Records what the sandbox is compared with from now on.
async fn rebase(
    txn: &mut WriteTxn,
    row: &ApproveRow,
    applied: &[Applied],
    is_applied: bool,
) -> Result<()> {
    // An undo that was taken back leaves what was approved approved: only the file on the host is a new one.
    let approved: BTreeMap<WorkspacePath, Approved> = match row.undoes {
        Some(_) if !is_applied => approved_path_list(txn, row.sandbox_id)
            .await?
            .into_iter()
            .map(|row| Ok((row.path, serde_json::from_value(row.base).map_err(Error::internal)?)))
            .collect::<Result<_>>()?,
        Some(_) | None => BTreeMap::new(),
    };
    for applied in applied {
        let entry = approved.get(&applied.path).map(|approved| approved.entry.clone());
        let host = applied.base.host;
        let base = Approved { entry: entry.unwrap_or_else(|| applied.base.entry.clone()), host };
        let base = serde_json::to_value(&base).map_err(Error::internal)?;
        let path = applied.path.clone();
        approved_path_put_in_txn(txn, row.sandbox_id, &ApprovedPathRow { path, base }).await?;
    }
    Ok(())
}

/// Records the history: each path, and of an undo what it took back.
async fn record(txn: &mut WriteTxn, row: &ApproveRow, report: &ApplyReport) -> Result<()> {
    let paths: Vec<_> = written(report)
        .map(|applied| ApprovePathRow {
            path: applied.path.clone(),
            before: applied.before.clone(),
            after: applied.entry.clone(),
        })
        .collect();
    approve_path_insert_in_txn(txn, row.id, &paths).await?;
    if let Some(undone) = row.undoes {
        approve_set_undone_in_txn(txn, undone, row.id).await?;
    }
    Ok(())
}

/// What really changed: the source may have had already what was approved.
pub(super) fn written(report: &ApplyReport) -> impl Iterator<Item = &Applied> {
    report.applied.iter().filter(|applied| applied.before != applied.entry)
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

/// Moves what the recorded approve `row` replaced out of the source, into its journal; the journal of one that wrote
/// nothing, or that was undone, goes. The source must be held.
///
/// What cannot be moved now is found by the reconciler; what somebody wrote to late is kept, and said so once.
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
    match forgotten.kept.filter(|_| row.undone_by.is_none()) {
        Some(kept) => {
            let mut txn = inner.store.begin().await?;
            approve_set_kept_in_txn(&mut txn, row.id, Some(kept.bytes)).await?;
            txn.commit().await?;
        }
        None if forgotten.written_late.is_empty() => journal_remove(inner, row.id).await?,
        None => {}
    }
    Ok(forgotten.written_late)
}

/// Drops what the journal of `id` keeps: from then on it cannot be undone.
pub(crate) async fn release(inner: &Inner, id: ApproveId) -> Result<()> {
    // INVARIANT: the record first. What a crash leaves in the journal is found there; the other way round an undo would
    // be promised that cannot be.
    let mut txn = inner.store.begin().await?;
    approve_set_kept_in_txn(&mut txn, id, None).await?;
    txn.commit().await?;
    journal_remove(inner, id).await
}

async fn journal_remove(inner: &Inner, id: ApproveId) -> Result<()> {
    let journals = inner.layout.journal();
    let removed = blocking(move || Journal::remove(File::open(journals)?, id));
    removed.await?.map_err(Error::internal)
}
