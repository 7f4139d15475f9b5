//! From what a person selected to what an approve writes: merges where the host moved on, hunks where only some were
//! picked. Nothing is written here.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::{
    Change, ChangeKind, Conflict, Entry, Resolution, Selection, Side, Take, WorkspacePath,
};
use sandbar_workspace::{
    ChangeLimits,
    apply::is_never_applied,
    diff::{self, Contents},
    proposal::{Composed, NarrowError, Proposal, narrow},
    rebase::{self, Decision, Rebase, decide, is_drifted},
};

use super::{approve::conflict, base::BaseTexts, changes::Still};
use crate::{
    Error, ErrorKind, Result,
    engine::Inner,
    workspace_view::{blocking, layers},
};

/// What a person says about paths that the host changed as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolutions {
    /// Path by path.
    pub paths: Vec<Resolution>,
    /// What counts at every other one; `None` refuses the approve.
    pub otherwise: Option<Side>,
}

impl Resolutions {
    fn take(&self, path: &WorkspacePath) -> Option<Take> {
        let otherwise = || {
            Some(match self.otherwise? {
                Side::Ours => Take::Ours,
                Side::Theirs => Take::Theirs,
            })
        };
        rebase::take_of(&self.paths, path).cloned().or_else(otherwise)
    }
}

/// What an approve of a selection writes, and what the workspace has to become before.
pub(super) struct Proposed {
    pub(super) proposal: Proposal,
    /// Every path of the proposal that was selected.
    pub(super) selection: Selection,
    /// The selected paths that the host changed, each with what the workspace has to become there.
    pub(super) rebases: Vec<(Change, Rebase)>,
}

impl Inner {
    /// Decides about every selected path that the host changed, then narrows the selection to the picked hunks.
    ///
    /// # Errors
    /// `review_conflict` with every path that needs a person; `invalid_value` for picks and resolutions that fit nothing.
    pub(super) async fn propose(
        self: &Arc<Self>,
        still: &Still,
        selection: &Selection,
        resolutions: &Resolutions,
    ) -> Result<Proposed> {
        let (proposal, rebases) = self.up_to_date(still, selection, resolutions).await?;
        let (view, marks, selection) = (Arc::clone(&still.view), self.marks(), selection.clone());
        blocking(move || {
            let limits = ChangeLimits::default();
            let proposal =
                narrow(&layers(&view, marks), &proposal, &selection, &limits).map_err(unfit)?;
            let selected = proposal.set.changes.iter().map(|change| &change.path);
            let selected = selected.filter(|path| diff::is_selected(path, &selection)).cloned();
            let selection = Selection::Paths(selected.collect());
            Ok(Proposed { proposal, selection, rebases })
        })
        .await?
    }

    /// Decides about every selected path that the host changed.
    ///
    /// # Errors
    /// As [`Inner::propose`].
    pub(super) async fn up_to_date(
        self: &Arc<Self>,
        still: &Still,
        selection: &Selection,
        resolutions: &Resolutions,
    ) -> Result<(Proposal, Vec<(Change, Rebase)>)> {
        let drifted = self.drifted(still, selection).await?;
        refuse_aimless(&drifted, resolutions)?;
        let takes: Vec<_> = drifted.iter().map(|one| resolutions.take(&one.change.path)).collect();
        let (view, marks, set) = (Arc::clone(&still.view), self.marks(), Arc::clone(&still.set));
        blocking(move || {
            let layers = layers(&view, marks);
            let contents = Contents { layers: &layers, composed: &Composed::default() };
            let rebases = rebases(contents, drifted, &takes)?;
            Ok((merged(Proposal::of((*set).clone()), &rebases), rebases))
        })
        .await?
    }

    /// The selected changes that the host moved under, each with the text that both sides began with, where it is known.
    pub(super) async fn drifted(
        self: &Arc<Self>,
        still: &Still,
        selection: &Selection,
    ) -> Result<Vec<Drifted>> {
        // What is never applied stays pending, whatever the host does: a commit on the host moves most of `.git`.
        let is_meant = |change: &&Change| {
            is_drifted(change)
                && !is_never_applied(change)
                && diff::is_selected(&change.path, selection)
        };
        let changes: Vec<Change> = still.set.changes.iter().filter(is_meant).cloned().collect();
        let texts = BaseTexts::of(&self.layout, still.guard.row.id);
        let recorded: BTreeMap<WorkspacePath, Entry> = changes
            .iter()
            .filter_map(|change| {
                let entry = still.base.approved.get(&change.path)?.entry.clone()?;
                Some((change.path.clone(), entry))
            })
            .collect();
        let approved = Arc::clone(&still.base);
        let mut drifted: Vec<Drifted> = blocking(move || {
            let with_base = |change: Change| {
                let entry = recorded.get(&change.path);
                let base = entry.and_then(|entry| texts.find(&change.path, entry));
                Drifted { change, base }
            };
            changes.into_iter().map(with_base).collect()
        })
        .await?;
        // What was decided about since is no longer what it was at the beginning.
        let is_first = |one: &&Drifted| {
            one.change.kind == ChangeKind::Modified
                && !approved.approved.contains_key(&one.change.path)
        };
        let first: Vec<_> =
            drifted.iter().filter(is_first).map(|one| one.change.path.clone()).collect();
        let mut beginning = self.blobs_at_beginning(still.guard.row.id, &first).await?;
        for one in &mut drifted {
            one.base = one.base.take().or_else(|| beginning.remove(&one.change.path));
        }
        Ok(drifted)
    }
}

/// A change that the host moved under.
pub(super) struct Drifted {
    pub(super) change: Change,
    pub(super) base: Option<Vec<u8>>,
}

fn refuse_aimless(drifted: &[Drifted], resolutions: &Resolutions) -> Result<()> {
    let is_aimless =
        |resolution: &&Resolution| !drifted.iter().any(|one| one.change.path == resolution.path);
    match resolutions.paths.iter().find(is_aimless) {
        None => Ok(()),
        Some(resolution) => Err(Error::new(
            ErrorKind::Invalid,
            "invalid_value",
            format!("{:?} is resolved, but the host did not change it", resolution.path),
        )
        .hint("leave the resolution out")),
    }
}

fn rebases(
    contents: Contents<'_>,
    drifted: Vec<Drifted>,
    takes: &[Option<Take>],
) -> Result<Vec<(Change, Rebase)>> {
    let mut rebases = Vec::with_capacity(drifted.len());
    let mut conflicts: Vec<Conflict> = Vec::new();
    for (Drifted { change, base }, take) in drifted.into_iter().zip(takes) {
        let limits = ChangeLimits::default();
        let decision = decide(contents, &change, base.as_deref(), take.as_ref(), &limits);
        match decision.map_err(Error::internal)? {
            Decision::Rebase(rebase) => rebases.push((change, rebase)),
            Decision::Conflict(conflict) => conflicts.push(conflict),
            Decision::Unresolved => return Err(unresolved(&change)),
        }
    }
    if conflicts.is_empty() {
        return Ok(rebases);
    }
    let message = match conflicts.len() {
        1 => "the host and the sandbox both changed a selected path".to_owned(),
        n => format!("the host and the sandbox both changed {n} of the selected paths"),
    };
    Err(conflict(message, &serde_json::json!({ "conflicts": conflicts })))
}

fn unresolved(change: &Change) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "invalid_value",
        format!("the text for {:?} still has the marks of a conflict", change.path),
    )
    .hint("edit them away, then send it again")
}

/// The proposal once the workspace is brought up to date.
pub(super) fn merged(mut proposal: Proposal, rebases: &[(Change, Rebase)]) -> Proposal {
    for (change, rebase) in rebases {
        let at = proposal.set.changes.binary_search_by(|one| one.path.cmp(&change.path));
        let at = at.expect("a rebase is of a change of the set");
        match rebase {
            Rebase::Host => {
                proposal.set.changes.remove(at);
                continue;
            }
            Rebase::Keep => {}
            Rebase::Text(text) => {
                let mode = file_mode(change.new.as_ref()).unwrap_or(0o644);
                let new = proposal.composed.add(text.clone(), mode);
                if change.old.as_ref() == Some(&new) {
                    proposal.set.changes.remove(at);
                    continue;
                }
                proposal.set.changes[at].new = Some(new);
            }
        }
        proposal.set.changes[at].flags.remove(&sandbar_types::ChangeFlag::BaseDrifted);
    }
    proposal
}

fn file_mode(entry: Option<&Entry>) -> Option<u32> {
    match entry? {
        Entry::File { mode, .. } => Some(*mode),
        Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. } => None,
    }
}

pub(super) fn unfit(err: NarrowError) -> Error {
    let message = err.to_string();
    match err {
        NarrowError::Unchanged { path } => {
            Error::new(ErrorKind::NotFound, "change_not_found", message)
                .details(&serde_json::json!({ "paths": [path] }))
        }
        NarrowError::Pick { path, .. } => {
            Error::new(ErrorKind::NotFound, "hunk_not_found", message)
                .hint("look at the hunks again: `sandbar changes --hunks`")
                .details(&serde_json::json!({ "path": path }))
        }
        NarrowError::NoHunks { path, .. } => Error::new(ErrorKind::Invalid, "no_hunks", message)
            .hint("decide about the whole of it")
            .details(&serde_json::json!({ "path": path })),
        NarrowError::Covered { path } => Error::new(ErrorKind::Invalid, "invalid_value", message)
            .details(&serde_json::json!({ "path": path })),
        NarrowError::Read(err) => Error::internal(err),
    }
}
