//! Carrying a plan out, step by step, so that it can be repeated from the beginning at any moment, or taken back.
//!
//! A step is one rename, and where it stands can be seen from the outside: what the slot holds tells whether the
//! rename happened, what the target holds tells whether the host was faster.
//!
//! ```text
//! slot holds        target holds
//! new               old            pending    rename
//! new               else           blocked    the host changed it: take everything back
//! old               anything       done       a later edit by the host is just that
//! else              anything       displaced  the host changed it between our look and our rename: take it back
//! ```

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, RenameFlags},
    io::Errno,
};
use sandbar_types::{Conflict, ConflictReason, Entry, WorkspacePath};

use super::{
    Op, failpoint,
    stage::{self, Stage},
    tree::{self, Tree},
};
use crate::{beneath, entry};

/// The plan, the source and the stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution<'a> {
    pub(super) source: BorrowedFd<'a>,
    pub(super) stage: &'a Stage,
    pub(super) ops: &'a [Op],
}

/// Why it stopped before the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The host got in the way.
    Conflict(Vec<Conflict>),
    /// A step failed.
    Failed { step: &'static str, path: Option<WorkspacePath>, source: io::Error },
}

/// Where one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Blocked,
    Done,
    Displaced,
}

/// What the target and the slot of one step hold.
pub(super) struct Look {
    /// The directory that holds the target; `None` where there is no such directory.
    pub(super) parent: Option<OwnedFd>,
    pub(super) target: Option<Tree>,
    pub(super) slot: Option<Tree>,
}

impl Execution<'_> {
    /// Compares every target with what must be there. Touches nothing.
    pub(super) fn verify(self) -> Result<(), Stop> {
        let mut conflicts = Vec::new();
        for op in self.ops {
            failpoint("verify").map_err(|error| stop("verify", op, error))?;
            let look = look_at(self.source, op).map_err(|error| stop("verify", op, error))?;
            let target = look.target;
            conflicts.extend(difference(op, target.as_ref()));
        }
        if conflicts.is_empty() { Ok(()) } else { Err(Stop::Conflict(conflicts)) }
    }

    /// Carries out what is not done yet, and makes it last.
    pub(super) fn run(self) -> Result<(), Stop> {
        for (index, op) in self.ops.iter().enumerate() {
            self.step(index, op)?;
        }
        let last = self.ops.last();
        self.sync().map_err(|source| Stop::Failed {
            step: "execute.sync",
            path: last.map(|op| op.path().clone()),
            source,
        })
    }

    fn step(self, index: usize, op: &Op) -> Result<(), Stop> {
        let failed = |error| stop("execute", op, error);
        failpoint("execute.look").map_err(failed)?;
        let look = self.look(index, op).map_err(failed)?;
        match standing(op, &look) {
            Standing::Done => return Ok(()),
            Standing::Blocked | Standing::Displaced => return Err(interference(op, &look)),
            Standing::Pending => {}
        }
        failpoint("execute.rename").map_err(failed)?;
        let parent = look.parent.as_ref().ok_or(Errno::NOENT).map_err(|e| failed(e.into()))?;
        match self.rename(index, op, parent.as_fd()) {
            Ok(()) => {}
            // The host put something there, or took it away, since we looked.
            Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => {
                let look = self.look(index, op).map_err(failed)?;
                return Err(interference(op, &look));
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        failpoint("execute.check").map_err(failed)?;
        // INVARIANT: after the rename, not only before. A look cannot hold the host off; what was displaced is proof.
        let slot = self.slot(index).map_err(failed)?;
        if slot.as_ref() == op.before() {
            return Ok(());
        }
        let look = Look { parent: None, target: slot, slot: None };
        Err(interference(op, &look))
    }

    /// The one call that changes the source.
    pub(super) fn rename(
        self,
        index: usize,
        op: &Op,
        parent: BorrowedFd<'_>,
    ) -> rustix::io::Result<()> {
        let slot = stage::slot(index);
        let name = beneath::as_path(op.path().name());
        let stage = self.stage.dir();
        match op {
            Op::Create { .. } => {
                rustix::fs::renameat_with(stage, &slot, parent, name, RenameFlags::NOREPLACE)
            }
            Op::Replace { .. } => {
                rustix::fs::renameat_with(stage, &slot, parent, name, RenameFlags::EXCHANGE)
            }
            Op::Delete { .. } => {
                rustix::fs::renameat_with(parent, name, stage, &slot, RenameFlags::NOREPLACE)
            }
            Op::Mode { new, .. } => set_mode(parent, op.path().name(), *new),
        }
    }

    /// Makes every rename last: each distinct directory once, or the file system where they are many.
    pub(super) fn sync(self) -> io::Result<()> {
        let parents: BTreeSet<_> = self.ops.iter().map(|op| op.path().parent()).collect();
        failpoint("execute.sync")?;
        if parents.len() > stage::SYNC_EACH_MAX {
            rustix::fs::syncfs(self.stage.dir())?;
        } else {
            for parent in parents {
                let path = parent.as_ref().map_or(&b""[..], WorkspacePath::as_bytes);
                match beneath::open_dir(self.source, path) {
                    Ok(dir) => rustix::fs::fsync(dir)?,
                    Err(error) if beneath::is_absent(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            for op in self.ops.iter().filter(|op| matches!(op, Op::Mode { .. })) {
                if let Ok(dir) = beneath::open_dir(self.source, op.path().as_bytes()) {
                    rustix::fs::fsync(dir)?;
                }
            }
        }
        failpoint("execute.sync_stage")?;
        rustix::fs::fsync(self.stage.dir())?;
        failpoint("execute.synced")
    }

    /// What the slot of step `index` holds.
    pub(super) fn slot(self, index: usize) -> io::Result<Option<Tree>> {
        tree::read(self.stage.dir(), stage::slot(index).as_bytes())
    }

    pub(super) fn look(self, index: usize, op: &Op) -> io::Result<Look> {
        let look = look_at(self.source, op)?;
        Ok(Look { slot: self.slot(index)?, ..look })
    }
}

/// What the target of a step holds, and the directory that it is in; nothing of the slot.
pub(super) fn look_at(source: BorrowedFd<'_>, op: &Op) -> io::Result<Look> {
    let parent = parent(source, op)?;
    let target = match &parent {
        Some(parent) => read_target(parent.as_fd(), op)?,
        None => None,
    };
    Ok(Look { parent, target, slot: None })
}

fn stop(step: &'static str, op: &Op, source: io::Error) -> Stop {
    Stop::Failed { step, path: Some(op.path().clone()), source }
}

fn parent(source: BorrowedFd<'_>, op: &Op) -> io::Result<Option<OwnedFd>> {
    match beneath::open_parent(source, op.path()) {
        Ok((parent, _)) => Ok(Some(parent)),
        Err(error) if beneath::is_absent(&error) || is_other_mount(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_other_mount(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
}

/// Of a change of bits only the directory itself, whatever is in it.
fn read_target(parent: BorrowedFd<'_>, op: &Op) -> io::Result<Option<Tree>> {
    let name = op.path().name();
    let read = match op {
        Op::Mode { .. } => entry::read(parent, name).map(|entry| entry.map(Tree::leaf)),
        Op::Create { .. } | Op::Replace { .. } | Op::Delete { .. } => tree::read(parent, name),
    };
    match read {
        // Something is mounted on it, which nobody saw when the changes were made.
        Err(error) if is_other_mount(&error) => Ok(None),
        other => other,
    }
}

pub(super) fn standing(op: &Op, look: &Look) -> Standing {
    if let Op::Mode { old, new, .. } = op {
        return match look.target.as_ref().map(|tree| &tree.entry) {
            Some(Entry::Directory { mode }) if mode == new => Standing::Done,
            Some(Entry::Directory { mode }) if mode == old => Standing::Pending,
            Some(
                Entry::Directory { .. }
                | Entry::File { .. }
                | Entry::Symlink { .. }
                | Entry::Special { .. },
            )
            | None => Standing::Blocked,
        };
    }
    let (slot, target) = (look.slot.as_ref(), look.target.as_ref());
    if slot == op.after() {
        if target == op.before() && look.parent.is_some() {
            Standing::Pending
        } else {
            Standing::Blocked
        }
    } else if slot == op.before() {
        Standing::Done
    } else {
        Standing::Displaced
    }
}

/// Where the target of a step that was not carried out differs from what must be there.
pub(super) fn difference(op: &Op, target: Option<&Tree>) -> Vec<Conflict> {
    let Op::Mode { path, old, new } = op else {
        return tree::conflicts(op.path(), op.before(), target, op.after());
    };
    let tree = |mode: u32| Tree::leaf(Entry::Directory { mode });
    tree::conflicts(path, Some(&tree(*old)), target, Some(&tree(*new)))
}

/// The conflict of a change that the host made after everything was verified.
fn interference(op: &Op, look: &Look) -> Stop {
    let mut conflicts = difference(op, look.target.as_ref());
    if conflicts.is_empty() {
        conflicts.push(Conflict {
            path: op.path().clone(),
            reason: ConflictReason::ChangedDuringApprove,
            host: look.target.as_ref().map(|tree| tree.entry.clone()),
            workspace: op.after().map(|tree| tree.entry.clone()),
            text: Vec::new(),
        });
    }
    for conflict in &mut conflicts {
        conflict.reason = ConflictReason::ChangedDuringApprove;
    }
    Stop::Conflict(conflicts)
}

pub(super) fn set_mode(parent: BorrowedFd<'_>, name: &[u8], mode: u32) -> rustix::io::Result<()> {
    let dir = match beneath::open_dir(parent, name) {
        Ok(dir) => dir,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or_default();
            return Err(Errno::from_raw_os_error(errno));
        }
    };
    rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))
}
