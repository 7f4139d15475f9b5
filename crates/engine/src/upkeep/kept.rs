//! Approves: those that a crash interrupted are ended, and what old ones replaced is dropped.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_store::{ApproveRow, approve_list_kept, approve_list_open};

use super::plan::{Deed, Planned};
use crate::{
    Result,
    engine::Inner,
    review::{end, retention},
};

pub(super) async fn find_interrupted(inner: &Arc<Inner>) -> Result<Vec<Planned>> {
    let open = approve_list_open(&mut inner.store.read().await?).await?;
    let mut planned = Vec::new();
    for row in open {
        // Somebody of this server writes there just now: perhaps this very approve.
        if inner.source_mutex(&row.source).await.try_lock().is_err() {
            continue;
        }
        planned.push(Planned {
            sandbox_id: Some(row.sandbox_id),
            what: format!("approve {}", row.id),
            reason: "a crash interrupted it".to_owned(),
            bytes: None,
            deed: Deed::EndApprove(Box::new(row)),
        });
    }
    Ok(planned)
}

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let planned = releasable(inner).await?.into_iter().map(|(row, reason)| Planned {
        sandbox_id: Some(row.sandbox_id),
        what: format!("what {} replaced", row.id),
        reason: reason.text().to_owned(),
        bytes: row.kept_bytes,
        deed: Deed::Release(Box::new(row)),
    });
    Ok(planned.collect())
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
pub(super) async fn release(inner: &Inner, row: &ApproveRow) -> Result<()> {
    let Ok(_source) = inner.source_mutex(&row.source).await.try_lock_owned() else {
        return Ok(());
    };
    // Looked at again: what was undone since may have made this one the last.
    let is_still = releasable(inner).await?.iter().any(|(still, _)| still.id == row.id);
    if is_still { end::release(inner, row.id).await } else { Ok(()) }
}
