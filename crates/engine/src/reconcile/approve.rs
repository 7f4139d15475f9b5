//! Approves that a crash interrupted: each is carried to its end or taken back, as its journal says.

use std::sync::Arc;

use sandbar_store::{ApproveRow, approve_fetch, approve_list_open};
use sandbar_workspace::{
    applier::{Reply, Request},
    apply::Recovered,
    journal::Journal,
};

use crate::{
    Error, Result,
    engine::Inner,
    event::EventPayload,
    review::{approve, end},
    workspace_view::blocking,
};

/// Ends everything that is open and that nobody of this server is at.
pub(crate) async fn recover_all(inner: &Arc<Inner>) {
    let open = async {
        let mut conn = inner.store.read().await?;
        approve_list_open(&mut conn).await
    };
    let open = match open.await {
        Ok(open) => open,
        Err(err) => {
            tracing::error!(
                error = &err as &dyn std::error::Error,
                "interrupted approves could not be listed"
            );
            return;
        }
    };
    for row in open {
        if let Err(err) = recover(inner, &row).await {
            // Its journal keeps it; the next round comes back for it.
            tracing::error!(approve.id = %row.id, error = &err as &dyn std::error::Error, "an interrupted approve could not be ended");
        }
    }
}

pub(crate) async fn recover(inner: &Arc<Inner>, row: &ApproveRow) -> Result<()> {
    let Ok(_source) = inner.source_mutex(&row.source).await.try_lock_owned() else {
        // Somebody of this server writes there just now: perhaps this very approve.
        return Ok(());
    };
    let still_open = approve_fetch(&mut inner.store.read().await?, row.id).await?;
    if still_open.is_none_or(|row| row.ended_at.is_some()) {
        return Ok(());
    }
    let fds = approve::open(inner, row, None).await?;
    let reply = inner.config.applier.run(fds, Request::Recover).await.map_err(Error::internal)?;
    let is_applied = match reply {
        Reply::Recovered { recovered: Recovered::Applied { report } } => {
            end::end(inner, row, Some(&report)).await?;
            true
        }
        Reply::Recovered { recovered: Recovered::Conflict { .. } | Recovered::Aborted { .. } } => {
            end::end(inner, row, None).await?;
            false
        }
        Reply::Failed { error } => return Err(Error::internal(error)),
        Reply::Applied { .. } | Reply::Forgotten { .. } => {
            return Err(Error::internal("the applier answered something else"));
        }
    };
    let payload = EventPayload::ApproveRecovered { approve_id: row.id, is_applied };
    inner.event_append(row.sandbox_id, &payload).await;
    end::forget(inner, row).await;
    tracing::info!(approve.id = %row.id, is_applied, "ended an approve that was interrupted");
    Ok(())
}

/// Moves what approves replaced out of their sources where a crash came in between, and drops what nobody can undo.
pub(crate) async fn forget_all(inner: &Arc<Inner>) {
    if let Err(err) = forget_each(inner).await {
        tracing::warn!(error = &err as &dyn std::error::Error, "old journals could not be removed");
    }
}

pub(crate) async fn forget_each(inner: &Arc<Inner>) -> Result<()> {
    let journals = inner.layout.journal();
    let listed = blocking(move || Journal::list(std::fs::File::open(journals)?));
    for id in listed.await?.map_err(Error::internal)? {
        // Kept for what somebody wrote to it, which was said already.
        if inner.kept.lock().await.contains(&id) {
            continue;
        }
        let Some(row) = approve_fetch(&mut inner.store.read().await?, id).await? else {
            continue;
        };
        // Where it belongs, until it may go.
        if row.kept_bytes.is_some() && row.undone_by.is_none() {
            continue;
        }
        let Ok(_source) = inner.source_mutex(&row.source).await.try_lock_owned() else {
            continue;
        };
        // Looked at again, for an approve that was under way may have ended and been forgotten meanwhile.
        let row = approve_fetch(&mut inner.store.read().await?, id).await?;
        // Without its source there is nothing to remove: it may be a disk that is mounted again later.
        let is_there = |row: &ApproveRow| std::fs::exists(&row.source).unwrap_or(false);
        if let Some(row) = row.filter(|row| row.ended_at.is_some() && is_there(row)) {
            end::forget(inner, &row).await;
            if row.undone_by.is_some() {
                end::release(inner, row.id).await?;
            }
        }
    }
    Ok(())
}
