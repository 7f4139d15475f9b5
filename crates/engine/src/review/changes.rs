//! Reading changes: of one instant, complete, and compared with what was approved before.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_runtime::View;
use sandbar_store::{SandboxRow, approved_path_list, sandbox_fetch};
use sandbar_types::{
    Change, ChangeSet, Confirmed, Generation, Hunks, MergeConflict, SandboxId, Selection, Skipped,
    Take, WorkspacePath,
};
use sandbar_workspace::{
    Base, ChangeLimits, ChangesError, Layers,
    diff::{self, Contents},
    leave_ignored,
    proposal::{Composed, Proposal, narrow},
    rebase::{Decision, Rebase, decide},
};

use super::{
    Changes, FileHunks, MergeState,
    propose::{Drifted, merged, unfit},
};
use crate::{
    Engine, Error, ErrorKind, Result,
    engine::Inner,
    source,
    workspace_view::{StillGuard, blocking, layers},
};

/// Changes, with what they were read from; the sandbox is held still as long as this lives.
pub(super) struct Still {
    pub(super) guard: StillGuard,
    pub(super) view: Arc<View>,
    pub(super) set: Arc<ChangeSet>,
    /// What they were compared with.
    pub(super) base: Arc<Base>,
    pub(super) generation: Generation,
}

impl Inner {
    pub(super) async fn changes_still(self: &Arc<Self>, id: SandboxId) -> Result<Still> {
        let guard = self.hold_still(id).await?;
        source::check(&guard.row).await?;
        let view = Arc::new(self.view_of(&guard.row).await?);
        let (base, generation) = self.base(&guard.row).await?;
        let base = Arc::new(base);
        let (marks, seen, from) = (self.marks(), Arc::clone(&view), Arc::clone(&base));
        let set = blocking(move || {
            sandbar_workspace::changes(&layers(&seen, marks), &from, &ChangeLimits::default())
        });
        let set = Arc::new(set.await?.map_err(unreadable)?);
        Ok(Still { guard, view, set, base, generation })
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

impl Still {
    /// The same less what is ignored and not meant, and what of the selection that leaves out.
    pub(super) fn without_ignored(
        self,
        selection: &Selection,
        confirmed: &Confirmed,
    ) -> (Self, Vec<Skipped>) {
        let (set, skipped) = leave_ignored(&self.set, selection, confirmed);
        (Self { set: Arc::new(set), ..self }, skipped)
    }
}

pub(crate) fn unreadable(err: ChangesError) -> Error {
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

pub(super) fn refuse_unmatched(set: &ChangeSet, selection: &Selection) -> Result<()> {
    let unmatched = diff::unmatched(set, selection);
    let Some(first) = unmatched.first() else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::NotFound, "change_not_found", format!("{first:?} has no change"))
        .hint("`sandbar changes` lists them")
        .details(&serde_json::json!({ "paths": unmatched })))
}

impl Inner {
    /// What is shown of the selected changes: merged where the host moved on and nobody has to be asked.
    pub(super) async fn shown(
        self: &Arc<Self>,
        still: &Still,
        selection: &Selection,
    ) -> Result<Proposal> {
        let drifted = self.drifted(still, selection).await?;
        let (view, marks, set) = (Arc::clone(&still.view), self.marks(), Arc::clone(&still.set));
        blocking(move || {
            let (layers, limits) = (layers(&view, marks), ChangeLimits::default());
            let contents = Contents { layers: &layers, composed: &Composed::default() };
            let mut rebases = Vec::new();
            for Drifted { change, base } in drifted {
                let decision = decide(contents, &change, base.as_deref(), None, &limits);
                if let Decision::Rebase(rebase) = decision.map_err(Error::internal)? {
                    rebases.push((change, rebase));
                }
            }
            Ok(merged(Proposal::of((*set).clone()), &rebases))
        })
        .await?
    }
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

    /// A patch that `git apply` accepts, of what is selected: what an approve of it would write. Where the host moved
    /// on and edits do not overlap, that is the merge; where they do, what the sandbox has.
    ///
    /// # Errors
    /// As [`Engine::changes`]; `change_not_found`, `hunk_not_found`, `no_hunks`.
    pub async fn diff(&self, id: SandboxId, selection: Selection) -> Result<Vec<u8>> {
        let still = self.inner.changes_still(id).await?;
        refuse_unmatched(&still.set, &selection)?;
        let (still, _left_out) = still.without_ignored(&selection, &Confirmed::default());
        let proposal = self.inner.shown(&still, &selection).await?;
        let (view, marks) = (Arc::clone(&still.view), self.inner.marks());
        let written = blocking(move || {
            let (layers, limits, mut out) =
                (layers(&view, marks), ChangeLimits::default(), Vec::new());
            let proposal = narrow(&layers, &proposal, &selection, &limits).map_err(unfit)?;
            let _left_out = diff::write(&layers, &proposal, &selection, &limits, &mut out)
                .map_err(Error::internal)?;
            Ok(out)
        });
        written.await?
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
        let looked_at = change.clone();
        let selection = Selection::Paths(vec![path.clone()]);
        let drifted = self.inner.drifted(&still, &selection).await?;
        let drifted = drifted.into_iter().find(|one| one.change.path == path);
        let (view, marks) = (Arc::clone(&still.view), self.inner.marks());
        let seen = blocking(move || {
            let layers = layers(&view, marks);
            hunks_of(&layers, change, drifted.as_ref())
        });
        let (hunks, merge, conflicts) = seen.await??;
        self.inner.remember_base(&still, looked_at).await;
        let hunks = match hunks {
            Hunks::Text { hunks } => hunks,
            Hunks::Binary | Hunks::TooLarge | Hunks::NoText => Vec::new(),
        };
        Ok(FileHunks { diff_id: still.set.diff_id, path, hunks, merge, conflicts })
    }
}

type SeenHunks = (Hunks, MergeState, Vec<MergeConflict>);

/// The hunks of one change. Of one that the host moved under, those of the merge; at conflicts, with the sandbox's lines.
fn hunks_of(
    layers: &Layers<'_>,
    mut change: Change,
    drifted: Option<&Drifted>,
) -> Result<SeenHunks> {
    let limits = ChangeLimits::default();
    let mut composed = Composed::default();
    let mut state = (MergeState::None, Vec::new());
    if let Some(Drifted { base, .. }) = drifted {
        let contents = Contents { layers, composed: &Composed::default() };
        let decided = |take: Option<&Take>| {
            decide(contents, &change, base.as_deref(), take, &limits).map_err(Error::internal)
        };
        let mut decision = decided(None)?;
        state.0 = MergeState::Clean;
        if let Decision::Conflict(conflict) = decision {
            let is_known = !conflict.text.is_empty();
            state =
                (if is_known { MergeState::Conflict } else { MergeState::NoBase }, conflict.text);
            decision = decided(Some(&Take::Theirs))?;
        }
        if let Decision::Rebase(Rebase::Text(text)) = decision {
            change.new = Some(composed.add(text, 0o644));
        }
    }
    let contents = Contents { layers, composed: &composed };
    let hunks = diff::hunks(contents, &change, &limits).map_err(Error::internal)?;
    Ok((hunks, state.0, state.1))
}
