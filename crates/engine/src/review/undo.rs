//! Undo: the last approve of a source is taken back, as an approve of its own.

use std::{fs::File, sync::Arc};

use sandbar_store::{ApproveRow, approve_fetch, approve_insert_in_txn, approve_last};
use sandbar_types::{Actor, ApproveId, TenantId, UndoOutcome};
use sandbar_workspace::{
    applier::Request,
    apply::{ApplyError, ApplyReport},
    journal::Journal,
};

use super::{
    applier::ApplierFds,
    approve::{self, carry_out},
    end::{self, forget, written},
};
use crate::{
    Engine, Error, ErrorKind, Result, engine::Inner, metrics::outcome, reconcile,
    workspace_view::blocking,
};

impl Engine {
    /// Takes the approve `id` of `tenant` back, all or nothing; its sandbox may be gone. The same undo again has the same result.
    ///
    /// Only the last approve of a source that was not undone can be. What the host changed since is merged where it is
    /// text and lies apart. Dropping the future does not stop it.
    ///
    /// # Errors
    /// `approve_not_found`, `not_undoable`, `undo_not_last`, `undo_expired`, `undo_conflict` (with the conflicts).
    pub async fn undo(&self, tenant: TenantId, id: ApproveId, actor: Actor) -> Result<UndoOutcome> {
        if fetch(&self.inner, id).await?.tenant_id != tenant {
            return Err(not_found(id));
        }
        let inner = Arc::clone(&self.inner);
        let undone = self.inner.tasks.spawn(Box::pin(undo(inner, id, actor)));
        let undone = undone.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)));
        self.inner.metrics.undos.add_one(outcome(&undone));
        undone
    }
}

async fn undo(inner: Arc<Inner>, id: ApproveId, actor: Actor) -> Result<UndoOutcome> {
    let source = fetch(&inner, id).await?.source;
    // What a crash left half done is ended first: perhaps this very undo.
    reconcile::approve::recover_all(&inner).await;
    let _source = inner.source_lock(&source).await;
    let mut undone = fetch(&inner, id).await?;
    if let Some(undo) = undone.undone_by {
        return earlier(&inner, undo).await;
    }
    require_last(&inner, &undone).await?;
    if undone.kept_bytes.is_none() {
        // Its stage is still in the source, because whoever would have moved it died.
        forget(&inner, &undone).await;
        undone = fetch(&inner, id).await?;
    }
    if undone.kept_bytes.is_none() {
        return Err(expired());
    }
    let row = ApproveRow {
        id: ApproveId::generate(),
        actor,
        outcome: None,
        started_at: inner.config.clock.now(),
        ended_at: None,
        paths: 0,
        undoes: Some(id),
        undone_by: None,
        commit_id: None,
        kept_bytes: None,
        ..undone.clone()
    };
    let mut txn = inner.store.begin().await?;
    approve_insert_in_txn(&mut txn, &row).await?;
    txn.commit().await?;
    let fds = open(&inner, &row, id).await;
    let request = Request::Undo { id: row.id };
    let report = Box::pin(carry_out(&inner, &row, fds, request, failed)).await?;
    if let Err(err) = end::release(&inner, id).await {
        // The reconciler comes back for it.
        tracing::warn!(approve.id = %id, error = &err as &dyn std::error::Error, "what an undone approve had kept could not be removed yet");
    }
    Ok(undo_outcome(&row, id, &report))
}

/// What an undo says that it did.
pub(super) fn undo_outcome(
    row: &ApproveRow,
    undone: ApproveId,
    report: &ApplyReport,
) -> UndoOutcome {
    UndoOutcome {
        id: row.id,
        undone,
        source: row.source.clone(),
        restored: written(report).map(|applied| applied.path.clone()).collect(),
        merged: report.composed.clone(),
    }
}

async fn fetch(inner: &Inner, id: ApproveId) -> Result<ApproveRow> {
    approve_fetch(&mut inner.store.read().await?, id).await?.ok_or_else(|| not_found(id))
}

pub(super) fn not_found(id: ApproveId) -> Error {
    Error::new(ErrorKind::NotFound, "approve_not_found", format!("there is no approve {id}"))
        .hint("`sandbar log` lists them")
}

async fn earlier(inner: &Inner, undo: ApproveId) -> Result<UndoOutcome> {
    let outcome = fetch(inner, undo).await?.outcome.ok_or_else(expired)?;
    serde_json::from_value(outcome).map_err(Error::internal)
}

async fn require_last(inner: &Inner, row: &ApproveRow) -> Result<()> {
    if row.undoes.is_some() {
        return Err(Error::new(
            ErrorKind::Conflict,
            "not_undoable",
            "it is an undo itself, and an undo is not undone",
        )
        .hint("approve the changes again; the sandbox shows them as pending"));
    }
    if row.outcome.is_none() {
        let message = match row.ended_at {
            Some(_) => "it wrote nothing",
            None => "it has not ended",
        };
        return Err(Error::new(ErrorKind::Conflict, "not_undoable", message));
    }
    let last = approve_last(&mut inner.store.read().await?, &row.source).await?;
    match last {
        Some(last) if last.tenant_id != row.tenant_id => Err(Error::new(
            ErrorKind::Conflict,
            "undo_not_last",
            "somebody else approved to the same directory since",
        )),
        Some(last) if last.id != row.id => Err(Error::new(
            ErrorKind::Conflict,
            "undo_not_last",
            format!("{} was approved to the same directory since", last.id),
        )
        .hint("undo the later ones first, the last one before the others")
        .details(&serde_json::json!({ "last": last.id }))),
        Some(_) | None => Ok(()),
    }
}

fn expired() -> Error {
    Error::new(ErrorKind::Conflict, "undo_expired", "what it replaced is no longer kept")
        .hint("the last approve of a directory is kept always, the ones before it for a while")
}

/// Opens what the applier works on: the journal of what is undone takes the place of the merged view.
async fn open(inner: &Inner, row: &ApproveRow, undone: ApproveId) -> Result<ApplierFds> {
    let fds = approve::open(inner, row, None).await?;
    let journals = inner.layout.journal();
    let opened = blocking(move || match Journal::open(File::open(journals)?, undone)? {
        Some(journal) => journal.dir().try_clone_to_owned().map(Some),
        None => Ok(None),
    });
    let merged = opened.await?.map_err(Error::internal)?.ok_or_else(expired)?;
    Ok(ApplierFds { merged, ..fds })
}

fn failed(error: ApplyError) -> Error {
    let message = error.to_string();
    match &error {
        ApplyError::Conflict { conflicts, kept } => Error::new(
            ErrorKind::Conflict,
            "undo_conflict",
            format!("{message} since it was approved; nothing was undone"),
        )
        .hint("move your later changes of these paths away, then undo again")
        .details(&serde_json::json!({ "conflicts": conflicts, "kept": kept })),
        // Of an undo this is what was kept: somebody wrote to it there.
        ApplyError::WorkspaceChanged { path } => Error::new(
            ErrorKind::Conflict,
            "undo_expired",
            "what it replaced was written to after it was replaced",
        )
        .details(&serde_json::json!({ "paths": [path] })),
        ApplyError::NotKept => expired(),
        ApplyError::LinkLeavesTree { .. }
        | ApplyError::NoSpace { .. }
        | ApplyError::ExchangeUnsupported
        | ApplyError::Busy
        | ApplyError::Step { .. }
        | ApplyError::Unfinished { .. } => approve::failed(error),
    }
}
