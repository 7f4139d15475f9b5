//! What the host has after an approve, and after one that was taken back.

use std::os::fd::BorrowedFd;

use sandbar_types::{ApproveOutcome, Entry};

use super::{Applied, ApplyReport, Expected, Op};
use crate::{
    Approved,
    entry::{self, HostStamp},
    journal::Manifest,
};

/// The stamp of no object at all.
const DRIFTED: HostStamp = HostStamp { ino: 0, ctime_ns: 0 };

pub(super) fn report(source: BorrowedFd<'_>, manifest: &Manifest) -> ApplyReport {
    let applied: Vec<_> = manifest.plan.approved.iter().map(|one| applied(source, one)).collect();
    ApplyReport {
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

/// A path that the host changed since, or that cannot be read, gets the stamp of nothing: it shows as drifted. That is
/// no error here, for everything was written.
fn applied(source: BorrowedFd<'_>, expected: &Expected) -> Applied {
    let host = expected.host.as_ref().map(|entry| {
        let now = entry::identity_below(source, &expected.path).ok().flatten();
        now.filter(|now| now.entry == *entry).map_or(DRIFTED, |now| now.stamp.host())
    });
    Applied {
        path: expected.path.clone(),
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
