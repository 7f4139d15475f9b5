//! What the host has after an approve, and after one that was taken back.

use std::{collections::BTreeMap, os::fd::BorrowedFd};

use sandbar_types::{ApproveOutcome, Entry, WorkspacePath};

use super::{Applied, ApplyReport, Expected, Op, tree::Tree};
use crate::{
    Approved,
    entry::{self, HostStamp},
    journal::Manifest,
};

/// The stamp of no object at all.
const DRIFTED: HostStamp = HostStamp { ino: 0, ctime_ns: 0 };

pub(super) fn report(source: BorrowedFd<'_>, manifest: &Manifest) -> ApplyReport {
    let (before, after) = sides(&manifest.plan.ops);
    let applied = manifest.plan.approved.iter().map(|one| {
        let mut applied = applied(source, one);
        // Of a path that no step is about the host had already what was approved.
        if let Some(top) = step_above(&manifest.plan.ops, &one.path) {
            applied.before = before.get(&one.path).cloned();
            if !matches!(top, Op::Mode { .. }) {
                applied.entry = after.get(&one.path).cloned();
            }
        } else {
            applied.before = one.host.clone();
        }
        applied
    });
    let applied: Vec<_> = applied.collect();
    ApplyReport {
        composed: manifest.plan.composed_paths().cloned().collect(),
        outcome: ApproveOutcome {
            id: manifest.id,
            applied: applied.iter().map(|one| one.path.clone()).collect(),
            skipped: manifest.plan.skipped.clone(),
            commit: None,
            commit_branch: None,
            commit_ignored: Vec::new(),
        },
        applied,
    }
}

/// The step that is about `path` or what holds it.
fn step_above<'a>(ops: &'a [Op], path: &WorkspacePath) -> Option<&'a Op> {
    ops.iter().find(|op| match op {
        Op::Mode { path: at, .. } => at == path,
        Op::Create { .. } | Op::Replace { .. } | Op::Delete { .. } => path.is_within(op.path()),
    })
}

/// What the steps find and what they leave, by path.
fn sides(ops: &[Op]) -> (BTreeMap<WorkspacePath, Entry>, BTreeMap<WorkspacePath, Entry>) {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for op in ops {
        if let Op::Mode { path, old, new } = op {
            before.insert(path.clone(), Entry::Directory { mode: *old });
            after.insert(path.clone(), Entry::Directory { mode: *new });
            continue;
        }
        let paths = |tree: &Tree| -> Vec<_> {
            tree.paths(op.path()).map(|(path, entry)| (path, entry.clone())).collect()
        };
        before.extend(op.before().into_iter().flat_map(paths));
        after.extend(op.after().into_iter().flat_map(paths));
    }
    (before, after)
}

/// A path that the host changed since, or that cannot be read, gets the stamp of nothing: it shows as drifted. That is
/// no error here, for everything was written.
fn applied(source: BorrowedFd<'_>, expected: &Expected) -> Applied {
    let host = expected.host.as_ref().map(|entry| {
        let now = entry::identity_below(source, &expected.path).ok().flatten();
        now.filter(|now| now.entry == *entry).map_or(DRIFTED, |now| now.stamp.host())
    });
    Applied {
        path: expected.path.clone(),
        before: None,
        entry: expected.host.clone(),
        base: Approved { entry: expected.workspace.clone(), host },
    }
}

/// What the steps that were taken back left: the tops of what was moved, whose ctime is new.
pub(super) fn restored(source: BorrowedFd<'_>, ops: &[Op]) -> Vec<Applied> {
    let olds = ops.iter().filter_map(|op| {
        let old = match op {
            Op::Create { .. } => return None,
            Op::Replace { old, .. } | Op::Delete { old, .. } => old.entry.clone(),
            Op::Mode { old, .. } => Entry::Directory { mode: *old },
        };
        Some(Expected { path: op.path().clone(), workspace: Some(old.clone()), host: Some(old) })
    });
    let restored = olds.map(|old| applied(source, &old));
    restored.filter(|one| one.base.host != Some(DRIFTED)).collect()
}
