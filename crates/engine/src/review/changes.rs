//! Reading changes: of one instant, complete, and compared with what was approved before.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::{SandboxRow, approved_path_list, sandbox_fetch};
use sandbar_types::{ChangeSet, Generation, SandboxId, Selection, WorkspacePath};
use sandbar_workspace::{
    Base, ChangeLimits, ChangesError,
    diff::{self, DiffError},
};

use super::{Changes, FileHunks};
use crate::{
    Engine, Error, ErrorKind, Result,
    engine::Inner,
    workspace_view::{StillGuard, blocking, layers},
};

/// Changes, with what they were read from; the sandbox is held still as long as this lives.
pub(super) struct Still {
    pub(super) guard: StillGuard,
    pub(super) view: Arc<View>,
    pub(super) set: Arc<ChangeSet>,
    pub(super) generation: Generation,
}

impl Inner {
    pub(super) async fn changes_still(self: &Arc<Self>, id: SandboxId) -> Result<Still> {
        let guard = self.hold_still(id).await?;
        let view = Arc::new(self.view_of(&guard.row).await?);
        let (base, generation) = self.base(&guard.row).await?;
        let (marks, seen) = (self.marks(), Arc::clone(&view));
        let set = blocking(move || {
            sandbar_workspace::changes(&layers(&seen, marks), &base, &ChangeLimits::default())
        });
        let set = Arc::new(set.await?.map_err(unreadable)?);
        Ok(Still { guard, view, set, generation })
    }

    /// What the changes are compared with, and how many decisions were made about them.
    async fn base(&self, row: &SandboxRow) -> Result<(Base, Generation)> {
        let mut conn = self.store.read().await?;
        let rows = approved_path_list(&mut conn, row.id).await?;
        let stored = sandbox_fetch(&mut conn, row.id).await?;
        let mut approved = BTreeMap::new();
        for row in rows {
            approved.insert(row.path, serde_json::from_value(row.base).map_err(Error::internal)?);
        }
        let generation = stored.map_or(row.review_generation, |stored| stored.review_generation);
        let base = Base { created_ns: row.beginning_ns, approved };
        Ok((base, generation))
    }
}

fn unreadable(err: ChangesError) -> Error {
    let message = err.to_string();
    match err {
        ChangesError::TooDeep { .. }
        | ChangesError::TooLarge { .. }
        | ChangesError::TooMany { .. } => {
            Error::new(ErrorKind::LimitReached, "limit_reached", message)
        }
        ChangesError::Top { .. } | ChangesError::Unreadable { .. } => {
            Error::new(ErrorKind::Unavailable, "unavailable", message).because(err)
        }
    }
}

fn undiffable(err: DiffError) -> Error {
    Error::internal(err)
}

pub(super) fn refuse_unmatched(set: &ChangeSet, selection: &Selection) -> Result<()> {
    if let Selection::Parts(parts) = selection
        && parts.iter().any(|part| !part.hunks.is_empty())
    {
        return Err(Error::new(ErrorKind::Invalid, "invalid_field", "hunks cannot be picked yet"));
    }
    let unmatched = diff::unmatched(set, selection);
    let Some(first) = unmatched.first() else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::NotFound, "change_not_found", format!("{first:?} has no change"))
        .hint("`sandbar changes` lists them")
        .details(&serde_json::json!({ "paths": unmatched })))
}

impl Engine {
    /// Every change, at one instant.
    ///
    /// # Errors
    /// `sandbox_not_found`, `state_conflict`.
    pub async fn changes(&self, id: SandboxId) -> Result<Changes> {
        let still = self.inner.changes_still(id).await?;
        let consistency = still.guard.consistency;
        Ok(Changes { set: (*still.set).clone(), generation: still.generation, consistency })
    }

    /// A patch that `git apply` accepts, of what is selected.
    ///
    /// # Errors
    /// As [`Engine::changes`]; `change_not_found`.
    pub async fn diff(&self, id: SandboxId, selection: Selection) -> Result<Vec<u8>> {
        let still = self.inner.changes_still(id).await?;
        refuse_unmatched(&still.set, &selection)?;
        let (view, set, marks) =
            (Arc::clone(&still.view), Arc::clone(&still.set), self.inner.marks());
        let written = blocking(move || {
            let mut out = Vec::new();
            diff::write(&layers(&view, marks), &set, &selection, &ChangeLimits::default(), &mut out)
                .map(|_left_out| out)
        });
        written.await?.map_err(undiffable)
    }

    /// The hunks of one changed text.
    ///
    /// # Errors
    /// As [`Engine::changes`]; `change_not_found`.
    pub async fn hunks(&self, id: SandboxId, path: WorkspacePath) -> Result<FileHunks> {
        let still = self.inner.changes_still(id).await?;
        let Some(change) = still.set.changes.iter().find(|change| change.path == path).cloned()
        else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "change_not_found",
                format!("{path:?} has no change"),
            ));
        };
        let (view, marks) = (Arc::clone(&still.view), self.inner.marks());
        let found =
            blocking(move || diff::hunks(&layers(&view, marks), &change, &ChangeLimits::default()));
        let hunks = match found.await?.map_err(undiffable)? {
            sandbar_types::Hunks::Text { hunks } => hunks,
            sandbar_types::Hunks::Binary
            | sandbar_types::Hunks::TooLarge
            | sandbar_types::Hunks::NoText => Vec::new(),
        };
        Ok(FileHunks { diff_id: still.set.diff_id, path, hunks })
    }
}
