//! Taking steps back, the last first, without hiding anything that the host did meanwhile.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{fs::RenameFlags, io::Errno};
use sandbar_types::WorkspacePath;

use super::{
    Op,
    execute::{Execution, Look, Standing, set_mode, standing},
    failpoint, stage,
};
use crate::beneath;

impl Execution<'_> {
    /// Takes back whatever was done, in reverse, and makes that last.
    ///
    /// Returns the paths that the host changed after they were written. They stay as the host has them: going back would
    /// hide its work. What they replaced is in their slots.
    pub(super) fn roll_back(self) -> io::Result<Vec<WorkspacePath>> {
        let mut kept = Vec::new();
        for (index, op) in self.ops.iter().enumerate().rev() {
            failpoint("rollback.look")?;
            let look = self.look(index, op)?;
            let undone = match standing(op, &look) {
                Standing::Pending | Standing::Blocked => true,
                Standing::Done | Standing::Displaced => self.undo(index, op, &look)?,
            };
            if !undone {
                kept.push(op.path().clone());
            }
        }
        kept.reverse();
        self.sync()?;
        Ok(kept)
    }

    /// Takes one executed step back; `false` where the host has changed what it left.
    fn undo(self, index: usize, op: &Op, look: &Look) -> io::Result<bool> {
        if let Op::Mode { old, .. } = op {
            let Some(parent) = &look.parent else {
                return Ok(false);
            };
            failpoint("rollback.mode")?;
            set_mode(parent.as_fd(), op.path().name(), *old)?;
            return Ok(true);
        }
        let Some(parent) = &look.parent else {
            return Ok(false);
        };
        if look.target.as_ref() != op.after() {
            return Ok(false);
        }
        failpoint("rollback.rename")?;
        match self.rename_back(index, op, parent.as_fd()) {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        failpoint("rollback.check")?;
        if self.slot(index)?.as_ref() == op.after() {
            return Ok(true);
        }
        // The host changed the new version after we looked: put its work back where it was.
        match self.rename(index, op, parent.as_fd()) {
            Ok(()) | Err(Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn rename_back(self, index: usize, op: &Op, parent: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let slot = stage::slot(index);
        let name = beneath::as_path(op.path().name());
        let stage = self.stage.dir();
        match op {
            Op::Create { .. } => {
                rustix::fs::renameat_with(parent, name, stage, &slot, RenameFlags::NOREPLACE)
            }
            Op::Replace { .. } => {
                rustix::fs::renameat_with(stage, &slot, parent, name, RenameFlags::EXCHANGE)
            }
            Op::Delete { .. } => {
                rustix::fs::renameat_with(stage, &slot, parent, name, RenameFlags::NOREPLACE)
            }
            Op::Mode { old, .. } => set_mode(parent, op.path().name(), *old),
        }
    }
}
