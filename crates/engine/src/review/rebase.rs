//! Bringing paths of a workspace up to date with the host: what is decided in `propose` is written and recorded.
//!
//! Each path for itself, the workspace first: after a crash in between, the next look finds the merge already there, and
//! merging it once more changes nothing.

use std::{os::fd::AsFd, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::{ApprovedPathRow, approved_path_put_in_txn};
use sandbar_types::{Change, ChangeKind, ChangeSet, SandboxId, Selection};
use sandbar_workspace::{
    Approved, entry, put,
    rebase::{Rebase, is_drifted},
    reject::reject,
};

use super::{approve::diff_changed, base::BaseTexts, changes::Still};
use crate::{Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

impl Inner {
    /// Writes `rebases` into the workspace, and makes what the host has at their paths the base of their changes.
    ///
    /// # Errors
    /// `diff_changed` where the host changed one of them again; `unavailable` where the workspace cannot be written.
    pub(super) async fn rebase(&self, still: &Still, rebases: Vec<(Change, Rebase)>) -> Result<()> {
        if rebases.is_empty() {
            return Ok(());
        }
        let (view, set, id) = (Arc::clone(&still.view), Arc::clone(&still.set), still.guard.row.id);
        let texts = BaseTexts::of(&self.layout, id);
        let rows = blocking(move || {
            let one =
                |(change, rebase): &(Change, Rebase)| one(&view, &set, &texts, change, rebase);
            rebases.iter().map(one).collect::<Result<Vec<_>>>()
        });
        let rows = rows.await??;
        self.record(id, &rows).await
    }

    /// Makes what the host has the base of a change that a person looks at, so that what either side does from then on
    /// can be merged. What cannot be remembered costs a merge, and that is all.
    pub(super) async fn remember_base(&self, still: &Still, change: Change) {
        let is_known = still.base.approved.contains_key(&change.path);
        if is_known || is_drifted(&change) || change.kind != ChangeKind::Modified || change.binary {
            return;
        }
        if let Err(err) = self.rebase(still, vec![(change, Rebase::Keep)]).await {
            tracing::debug!(sandbox.id = %still.guard.row.id, error = &err as &dyn std::error::Error, "no base was remembered");
        }
    }

    async fn record(&self, id: SandboxId, rows: &[ApprovedPathRow]) -> Result<()> {
        let mut txn = self.store.begin().await?;
        for row in rows {
            approved_path_put_in_txn(&mut txn, id, row).await?;
        }
        txn.commit().await?;
        Ok(())
    }
}

fn one(
    view: &View,
    set: &ChangeSet,
    texts: &BaseTexts,
    change: &Change,
    rebase: &Rebase,
) -> Result<ApprovedPathRow> {
    let path = &change.path;
    let source = view.lower.as_ref().map(AsFd::as_fd);
    let host = match source {
        Some(source) => entry::identity_below(source, path).map_err(Error::internal)?,
        None => None,
    };
    if host.as_ref().map(|host| &host.entry) != change.old.as_ref() {
        return Err(diff_changed(set));
    }
    let unwritable = |source: std::io::Error| {
        Error::new(
            ErrorKind::Unavailable,
            "unavailable",
            format!("{path:?} cannot be written inside"),
        )
        .because(source)
    };
    match rebase {
        Rebase::Keep => {}
        Rebase::Text(text) => {
            put::text(view.merged.as_fd(), path, text, 0o644, view.owner).map_err(unwritable)?;
        }
        Rebase::Host => {
            let whole = Selection::Paths(vec![path.clone()]);
            reject(view.merged.as_fd(), source, set, &whole, view.owner)
                .map_err(|err| unwritable(std::io::Error::other(err)))?;
        }
    }
    if let Some(source) = source {
        let left = [(path.clone(), change.old.clone())];
        // Without it a later merge needs a person, and that is all.
        drop(texts.keep(source, &left));
    }
    let base = Approved { entry: change.old.clone(), host: host.map(|host| host.stamp.host()) };
    let base = serde_json::to_value(&base).map_err(Error::internal)?;
    Ok(ApprovedPathRow { path: path.clone(), base })
}
