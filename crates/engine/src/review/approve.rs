//! Approve: what a person saw, and nothing else, is written to the source.

use std::{fs::File, os::unix::fs::MetadataExt, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::{ApproveRow, approve_find, approve_insert_in_txn};
use sandbar_types::{
    Actor, ApproveId, ApproveOutcome, ChangeSet, Generation, HostPath, SandboxId, Sha256, Source,
};
use sandbar_workspace::{
    applier::{Reply, Request},
    apply::{self, ApplyError, ApplyLimits, ApplyReport, Refused},
    journal::Journal,
    proposal::Composed,
};
use sha2::Digest;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    ApproveParams,
    applier::ApplierFds,
    end::{end, forget},
    propose::Proposed,
};
use crate::{
    Engine, Error, ErrorKind, Result, engine::Inner, git, metrics::outcome, trace::TRACES,
    workspace_view::blocking,
};

impl Engine {
    /// Writes changes to the source, all or nothing. The same request again has the same result.
    ///
    /// Dropping the future does not take it back: an approve that was begun is finished.
    ///
    /// # Errors
    /// `diff_changed` (with what changed), `stale_generation`, `confirmation_required` (with the paths),
    /// `review_conflict` (with the conflicts), `no_source`, `change_not_found`, `limit_reached`, `state_conflict`.
    pub async fn approve(&self, id: SandboxId, params: ApproveParams) -> Result<ApproveOutcome> {
        self.approve_by(id, params, Actor::Unknown).await
    }

    /// As [`Engine::approve`], and remembers who asked.
    ///
    /// # Errors
    /// As [`Engine::approve`].
    #[tracing::instrument(target = TRACES, name = "approve", skip_all, fields(sandbox.id = %id))]
    pub async fn approve_by(
        &self,
        id: SandboxId,
        params: ApproveParams,
        actor: Actor,
    ) -> Result<ApproveOutcome> {
        let inner = Arc::clone(&self.inner);
        let approved = self.inner.tasks.spawn(Box::pin(approve(inner, id, params, actor)));
        let approved = approved.await.unwrap_or_else(|panicked| Err(Error::internal(panicked)));
        self.inner.metrics.approves.add_one(outcome(&approved));
        approved
    }
}

async fn approve(
    inner: Arc<Inner>,
    id: SandboxId,
    params: ApproveParams,
    actor: Actor,
) -> Result<ApproveOutcome> {
    let sandbox = inner.actor(id)?.row();
    let Source::Directory { path: source } = &sandbox.spec.source else {
        return Err(Error::new(
            ErrorKind::Invalid,
            "no_source",
            "the workspace began empty: there is nowhere to write to",
        )
        .hint("copy files out with `sandbar cp`"));
    };
    if let Some(commit) = &params.commit {
        git::check_commit_spec(commit)?;
    }
    let _source = inner.source_lock(source).await;
    let request_hash = hash(&params)?;
    let still = inner.changes_still(id).await?;
    if still.set.diff_id != params.diff_id {
        // Perhaps this very request was carried out before, and its answer was lost.
        return match approve_find(&mut inner.store.read().await?, id, request_hash).await? {
            Some(ApproveRow { outcome: Some(outcome), .. }) => {
                let outcome = serde_json::from_value(outcome).map_err(Error::internal)?;
                git::replayed(params.commit.as_ref(), outcome)
            }
            Some(_) | None => Err(diff_changed(&still.set)),
        };
    }
    refuse_stale(params.generation, still.generation)?;
    super::changes::refuse_unmatched(&still.set, &params.selection)?;
    let (still, ignored) = still.without_ignored(&params.selection, &params.confirm);
    let proposed = inner.propose(&still, &params.selection, &params.resolutions).await?;
    let Proposed { proposal, selection, rebases } = proposed;
    let mut plan = apply::plan(&proposal.set, &selection, &params.confirm, ApplyLimits::default())
        .map_err(refused)?;
    plan.skipped.extend(ignored);
    plan.composed = proposal.composed.iter().map(|(sha256, _)| sha256).collect();
    let commit = match &params.commit {
        Some(spec) => Some(inner.commit_prepare(&sandbox, spec, &plan).await?),
        None => None,
    };
    // Only now that nothing stands in the way: a refused approve leaves the workspace as it was.
    inner.rebase(&still, rebases).await?;
    let row = ApproveRow {
        id: ApproveId::generate(),
        seq: 0,
        tenant_id: sandbox.tenant_id,
        sandbox_id: id,
        sandbox_name: sandbox.name.clone(),
        actor,
        diff_id: params.diff_id,
        request_hash,
        source: source.clone(),
        outcome: None,
        started_at: inner.config.clock.now(),
        ended_at: None,
        paths: 0,
        undoes: None,
        undone_by: None,
        commit_id: None,
        kept_bytes: None,
    };
    let mut txn = inner.store.begin().await?;
    approve_insert_in_txn(&mut txn, &row).await?;
    txn.commit().await?;
    let fds = open(&inner, &row, Some(&still.view)).await;
    let fds = fds.and_then(|fds| put_composed(fds, &proposal.composed));
    let request = Request::Apply { id: row.id, plan };
    let outcome = carry_out(&inner, &row, fds, request, failed).await?.outcome;
    match commit {
        Some(commit) => inner.commit(&sandbox, commit, outcome).await,
        None => Ok(outcome),
    }
}

/// Has the recorded approve or undo `row` written, and records how it ended.
pub(super) async fn carry_out(
    inner: &Inner,
    row: &ApproveRow,
    fds: Result<ApplierFds>,
    request: Request,
    failed: fn(ApplyError) -> Error,
) -> Result<ApplyReport> {
    let fds = match fds {
        Ok(fds) => fds,
        Err(err) => {
            end(inner, row, None).await?;
            return Err(err);
        }
    };
    // INVARIANT: whatever the answer is, it is recorded before anything of the approve is forgotten.
    let reply = inner.config.applier.run(fds, request).await;
    match reply.map_err(Error::internal)? {
        Reply::Applied { report } => {
            end(inner, row, Some(&report)).await?;
            forget(inner, row).await;
            Ok(report)
        }
        // Its row stays open: the reconciler ends it from its journal.
        Reply::Failed { error: error @ ApplyError::Unfinished { .. } } => Err(failed(error)),
        Reply::Failed { error } => {
            end(inner, row, None).await?;
            forget(inner, row).await;
            Err(failed(error))
        }
        Reply::Recovered { .. } | Reply::Forgotten { .. } => {
            Err(Error::internal("the applier answered something else"))
        }
    }
}

/// Puts into the journal what the approve writes and no tree has.
fn put_composed(fds: ApplierFds, composed: &Composed) -> Result<ApplierFds> {
    let journal = Journal::from_dir(fds.journal);
    for (sha256, text) in composed.iter() {
        journal.put_composed(sha256, text).map_err(|err| {
            Error::new(ErrorKind::Unavailable, "unavailable", "the journal cannot be written")
                .because(err)
        })?;
    }
    Ok(ApplierFds { journal: journal.into_dir(), ..fds })
}

/// Opens what the applier of `row` works on.
pub(crate) async fn open(
    inner: &Inner,
    row: &ApproveRow,
    view: Option<&Arc<View>>,
) -> Result<ApplierFds> {
    let (source, journals, id) = (row.source.clone(), inner.layout.journal(), row.id);
    let view = view.map(Arc::clone);
    let opened = blocking(move || {
        let source = File::open(&source)?;
        let owner = source.metadata()?;
        let journal = Journal::create(File::open(journals)?, id, (owner.uid(), owner.gid()))?;
        let merged = match &view {
            Some(view) => view.merged.try_clone()?,
            None => source.try_clone()?.into(),
        };
        let journal = journal.dir().try_clone_to_owned()?;
        std::io::Result::Ok(ApplierFds { source: source.into(), merged, journal })
    });
    opened.await?.map_err(|err| {
        Error::new(
            ErrorKind::Unavailable,
            "unavailable",
            "the source or the journal cannot be opened",
        )
        .because(err)
    })
}

impl Inner {
    /// Waits until nobody else of this server writes to `source`.
    pub(crate) async fn source_lock(&self, source: &HostPath) -> OwnedMutexGuard<()> {
        self.source_mutex(source).await.lock_owned().await
    }

    pub(crate) async fn source_mutex(&self, source: &HostPath) -> Arc<Mutex<()>> {
        let mut sources = self.sources.lock().await;
        // Those that nobody holds or waits for are only in this table.
        sources.retain(|_, mutex| Arc::strong_count(mutex) > 1);
        Arc::clone(sources.entry(source.clone()).or_default())
    }
}

fn hash(params: &ApproveParams) -> Result<Sha256> {
    let asked = serde_json::to_vec(&(
        params.diff_id,
        &params.selection,
        &params.confirm,
        &params.resolutions.paths,
        params.resolutions.otherwise,
        &params.commit,
    ))
    .map_err(Error::internal)?;
    Ok(Sha256(sha2::Sha256::digest(asked).into()))
}

pub(super) fn refuse_stale(sent: Option<Generation>, current: Generation) -> Result<()> {
    match sent {
        Some(sent) if sent != current => Err(Error::new(
            ErrorKind::Stale,
            "stale_generation",
            format!("the changes were decided about since: generation is {current}, not {sent}"),
        )
        .hint("look at the changes again")
        .details(&serde_json::json!({ "generation": current }))),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn diff_changed(set: &ChangeSet) -> Error {
    Error::new(ErrorKind::Stale, "diff_changed", "the changes are not those that were reviewed")
        .hint("look at the changes again: `sandbar changes`")
        .details(&serde_json::json!({ "diff_id": set.diff_id, "changes": set.changes.len() }))
}

pub(super) fn refused(refused: Refused) -> Error {
    let message = refused.to_string();
    match refused {
        Refused::Unchanged { paths } => {
            Error::new(ErrorKind::NotFound, "change_not_found", message)
                .details(&serde_json::json!({ "paths": paths }))
        }
        Refused::Requires { missing } => Error::new(ErrorKind::Invalid, "invalid_value", message)
            .hint("select these paths as well")
            .details(&serde_json::json!({ "missing": missing })),
        Refused::Unconfirmed { changes } => {
            let changes: Vec<_> = changes
                .into_iter()
                .map(|(path, flag)| serde_json::json!({ "path": path, "flag": flag }))
                .collect();
            Error::new(ErrorKind::Conflict, "confirmation_required", message)
                .hint("look at them, then say yes to their flags")
                .details(&serde_json::json!({ "changes": changes }))
        }
        Refused::TooLarge { path, size, limit } => {
            Error::new(ErrorKind::LimitReached, "limit_reached", message).details(
                &serde_json::json!({ "path": path, "size_bytes": size, "limit_bytes": limit }),
            )
        }
        Refused::Conflict { conflicts } => {
            conflict(message, &serde_json::json!({ "conflicts": conflicts }))
        }
    }
}

pub(super) fn conflict(message: String, details: &serde_json::Value) -> Error {
    Error::new(ErrorKind::Conflict, "review_conflict", message)
        .hint("say whose version counts (`--ours`, `--theirs`, or the text), or approve the other paths")
        .details(details)
}

pub(super) fn failed(error: ApplyError) -> Error {
    let message = error.to_string();
    match &error {
        ApplyError::Conflict { conflicts, kept } => {
            conflict(message, &serde_json::json!({ "conflicts": conflicts, "kept": kept }))
        }
        ApplyError::WorkspaceChanged { path } => {
            Error::new(ErrorKind::Stale, "diff_changed", message)
                .details(&serde_json::json!({ "paths": [path] }))
        }
        ApplyError::LinkLeavesTree { path } => {
            Error::new(ErrorKind::Conflict, "confirmation_required", message).details(
                &serde_json::json!({ "changes": [{ "path": path, "flag": "symlink_external" }] }),
            )
        }
        ApplyError::NoSpace { needed, free } => {
            Error::new(ErrorKind::Unavailable, "storage_full", message)
                .details(&serde_json::json!({ "needed_bytes": needed, "free_bytes": free }))
        }
        ApplyError::ExchangeUnsupported => {
            Error::new(ErrorKind::Invalid, "source_unsupported", message)
        }
        ApplyError::NotKept => Error::new(ErrorKind::Conflict, "undo_expired", message),
        ApplyError::Busy => Error::new(ErrorKind::Unavailable, "unavailable", message),
        ApplyError::Step { .. } | ApplyError::Unfinished { .. } => {
            Error::new(ErrorKind::Internal, "internal", message).because(error)
        }
    }
}
