//! Undo: the steps of an approve turned around, against what the host has now. Nothing of the source is touched here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use sandbar_types::{Conflict, ConflictReason, Entry, Sha256, Side, WorkspacePath};
use sha2::Digest;

use super::{
    ApplyError, ApplyPlan, Expected, NEEDS_CONFIRMATION, Op,
    execute::{difference, look_at},
    keep::{self, KEPT_TEXT_BYTES_MAX},
    tree::{self, Tree},
};
use crate::{
    beneath,
    journal::{Journal, State},
    lines,
    merge::merge,
};

/// What undoing one step comes to.
#[derive(Debug, PartialEq, Eq)]
enum Inverse {
    /// The host has what was there before.
    Nothing,
    /// It is as the approve left it.
    Step(Op),
    /// A file that the host changed since.
    Merge(Merge),
    /// The host has something else there.
    Conflict(Vec<Conflict>),
}

/// The three sides of a file, each with its bits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Merge {
    path: WorkspacePath,
    /// What the approve wrote.
    base: FileSide,
    /// What the host has.
    ours: FileSide,
    /// What was there before.
    theirs: FileSide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileSide {
    size: u64,
    mode: u32,
    sha256: Sha256,
}

/// Decides what undoing the approve of `undone` does. What has to be composed is written to `journal`.
pub(super) fn plan(
    source: BorrowedFd<'_>,
    undone: &Journal,
    journal: &Journal,
) -> Result<ApplyPlan, ApplyError> {
    let failed = |error| ApplyError::step("undo.journal", None, error);
    let (manifest, state) = (undone.manifest().map_err(failed)?, undone.state().map_err(failed)?);
    let is_kept = undone.kept().map_err(failed)?.is_some();
    let (Some(manifest), Some(State::Applied { .. }), true) = (manifest, state, is_kept) else {
        return Err(ApplyError::NotKept);
    };
    // What an attempt that was cut off left.
    journal.discard_composed().map_err(failed)?;
    let (mut ops, mut modes, mut conflicts) = (Vec::new(), Vec::new(), Vec::new());
    let mut composed = BTreeSet::new();
    for op in &manifest.plan.ops {
        let failed = |error| ApplyError::step("undo.look", Some(op.path()), error);
        let look = look_at(source, op).map_err(failed)?;
        match invert(op, look.target.as_ref(), look.parent.is_some()) {
            Inverse::Nothing => {}
            Inverse::Step(step @ Op::Mode { .. }) => modes.push(step),
            Inverse::Step(step) => ops.push(step),
            Inverse::Conflict(found) => conflicts.extend(found),
            Inverse::Merge(merge) => match resolve(source, undone, &merge).map_err(failed)? {
                Resolved::Overlap => conflicts.push(merge.conflict()),
                Resolved::Old(new) => ops.extend(merge.step(new)),
                Resolved::Composed(bytes, mode) => {
                    let side = FileSide::of(&bytes, mode);
                    journal.put_composed(side.sha256, &bytes).map_err(failed)?;
                    composed.insert(side.sha256);
                    ops.extend(merge.step(side));
                }
            },
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        return Err(ApplyError::Conflict { conflicts, kept: Vec::new() });
    }
    // The deepest first already, as they were carried out: what is below must stay within reach until it is done.
    ops.append(&mut modes);
    Ok(ApplyPlan {
        ops,
        approved: expected(&manifest.plan),
        skipped: Vec::new(),
        // It was there before, and nobody asked then.
        confirmed: NEEDS_CONFIRMATION.into(),
        limits: manifest.plan.limits,
        composed,
    })
}

/// Turns one step around. Pure.
fn invert(op: &Op, host: Option<&Tree>, has_parent: bool) -> Inverse {
    let conflict = |expected: Option<&Tree>, wanted: Option<&Tree>| {
        Inverse::Conflict(tree::conflicts(op.path(), expected, host, wanted))
    };
    let path = op.path().clone();
    match op {
        Op::Create { new, .. } => match host {
            None => Inverse::Nothing,
            Some(host) if host == new => Inverse::Step(Op::Delete { path, old: new.clone() }),
            Some(_) => conflict(Some(new), None),
        },
        Op::Delete { old, .. } => match host {
            None if has_parent => Inverse::Step(Op::Create { path, new: old.clone() }),
            // The directory that held it is gone as well.
            None => Inverse::Conflict(vec![Conflict {
                path,
                reason: ConflictReason::HostDeleted,
                host: None,
                workspace: Some(old.entry.clone()),
                text: Vec::new(),
            }]),
            Some(host) if host == old => Inverse::Nothing,
            Some(_) => conflict(None, Some(old)),
        },
        Op::Replace { old, new, .. } => match host {
            Some(host) if host == new => {
                Inverse::Step(Op::Replace { path, old: new.clone(), new: old.clone() })
            }
            Some(host) if host == old => Inverse::Nothing,
            Some(host) => match (side(new), side(host), side(old)) {
                (Some(base), Some(ours), Some(theirs)) => {
                    Inverse::Merge(Merge { path, base, ours, theirs })
                }
                (None, _, _) | (_, None, _) | (_, _, None) => conflict(Some(new), Some(old)),
            },
            None => conflict(Some(new), Some(old)),
        },
        Op::Mode { old, new, .. } => {
            let back = Op::Mode { path, old: *new, new: *old };
            match host.map(|tree| &tree.entry) {
                Some(Entry::Directory { mode }) if mode == new => Inverse::Step(back),
                Some(Entry::Directory { mode }) if mode == old => Inverse::Nothing,
                Some(
                    Entry::Directory { .. }
                    | Entry::File { .. }
                    | Entry::Symlink { .. }
                    | Entry::Special { .. },
                )
                | None => Inverse::Conflict(difference(&back, host)),
            }
        }
    }
}

fn side(tree: &Tree) -> Option<FileSide> {
    match tree.entry {
        Entry::File { size, mode, sha256 } => Some(FileSide { size, mode, sha256 }),
        Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. } => None,
    }
}

impl FileSide {
    fn of(bytes: &[u8], mode: u32) -> Self {
        let sha256 = Sha256(sha2::Sha256::digest(bytes).into());
        Self { size: bytes.len() as u64, mode, sha256 }
    }

    fn entry(self) -> Entry {
        Entry::File { size: self.size, mode: self.mode, sha256: self.sha256 }
    }
}

impl Merge {
    fn step(&self, new: FileSide) -> Option<Op> {
        let (old, new) = (Tree::leaf(self.ours.entry()), Tree::leaf(new.entry()));
        (old != new).then(|| Op::Replace { path: self.path.clone(), old, new })
    }

    fn conflict(&self) -> Conflict {
        Conflict {
            path: self.path.clone(),
            reason: ConflictReason::HostModified,
            host: Some(self.ours.entry()),
            workspace: Some(self.theirs.entry()),
            text: Vec::new(),
        }
    }

    /// The bits that both sides can agree to.
    fn mode(&self) -> Option<u32> {
        let (base, ours, theirs) = (self.base.mode, self.ours.mode, self.theirs.mode);
        if ours == base || ours == theirs { Some(theirs) } else { (theirs == base).then_some(ours) }
    }
}

enum Resolved {
    /// Both changed the same, or it is nothing that can be merged.
    Overlap,
    /// The old content, perhaps with other bits.
    Old(FileSide),
    /// Content that nobody has yet.
    Composed(Vec<u8>, u32),
}

fn resolve(source: BorrowedFd<'_>, undone: &Journal, sides: &Merge) -> std::io::Result<Resolved> {
    let Some(mode) = sides.mode() else {
        return Ok(Resolved::Overlap);
    };
    if sides.ours.sha256 == sides.base.sha256 {
        return Ok(Resolved::Old(FileSide { mode, ..sides.theirs }));
    }
    let Some(ours) = read(source, &sides.path, sides.ours)? else {
        return Ok(Resolved::Overlap);
    };
    if sides.theirs.sha256 == sides.base.sha256 {
        return Ok(Resolved::Composed(ours, mode));
    }
    let kept = |name: &str, side| match undone.tree(name)? {
        Some(root) => read(root.as_fd(), &sides.path, side),
        None => Ok(None),
    };
    let (Some(base), Some(theirs)) = (kept(keep::NEW, sides.base)?, kept(keep::OLD, sides.theirs)?)
    else {
        return Ok(Resolved::Overlap);
    };
    if ![&base, &ours, &theirs].into_iter().all(|side| lines::is_text(side)) {
        return Ok(Resolved::Overlap);
    }
    let merged = merge(&base, &ours, &theirs, Side::Ours);
    Ok(if merged.conflicts.is_empty() {
        Resolved::Composed(merged.text, mode)
    } else {
        Resolved::Overlap
    })
}

/// Reads one side of a text; `None` where it is too large, or not what it was.
fn read(
    root: BorrowedFd<'_>,
    path: &WorkspacePath,
    side: FileSide,
) -> std::io::Result<Option<Vec<u8>>> {
    if side.size > KEPT_TEXT_BYTES_MAX {
        return Ok(None);
    }
    let opened =
        beneath::open_parent(root, path).and_then(|(dir, name)| beneath::open_file(dir, name));
    let file = match opened {
        Ok((file, _)) => file,
        Err(error) if beneath::is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(KEPT_TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((FileSide::of(&bytes, side.mode) == side).then_some(bytes))
}

/// What the host has at each path of `plan` once it is undone: what the sandbox is compared with from then on.
///
/// Of a path that was merged this is what was there before, which it is not: it then shows as drifted, as it should.
fn expected(plan: &ApplyPlan) -> Vec<Expected> {
    let mut before = BTreeMap::new();
    let mut is_changed = BTreeSet::new();
    for op in &plan.ops {
        if let Op::Mode { path, old, .. } = op {
            before.insert(path.clone(), Entry::Directory { mode: *old });
            continue;
        }
        is_changed.insert(op.path());
        let paths = op.before().into_iter().flat_map(|tree| tree.paths(op.path()));
        before.extend(paths.map(|(path, entry)| (path, entry.clone())));
    }
    let is_of_a_step = |path: &WorkspacePath| {
        let mut at = Some(path.clone());
        std::iter::from_fn(|| {
            let here = at.take()?;
            at = here.parent();
            Some(here)
        })
        .any(|at| is_changed.contains(&at))
    };
    let expect = |one: &Expected| {
        let host = match before.get(&one.path) {
            Some(entry) => Some(entry.clone()),
            None if is_of_a_step(&one.path) => None,
            None => one.host.clone(),
        };
        Expected { path: one.path.clone(), workspace: host.clone(), host }
    };
    plan.approved.iter().map(expect).collect()
}
