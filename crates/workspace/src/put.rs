//! Putting something into a workspace: through the merged view, whole or not at all, and owned as the sandbox expects.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
    process::{Gid, Uid},
};
use sandbar_types::WorkspacePath;

use crate::beneath;

/// Where something lies until it is whole: next to where it will be, under a protected name.
pub(crate) const TEMPORARY: &[u8] = b".sandbar-restore";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    Done,
    /// Something that nobody said may go has the name.
    Left,
}

/// Puts things for `owner`, a user and a group of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    pub(crate) owner: (u32, u32),
}

impl Put {
    /// Makes the temporary file with what `fill` writes; [`Put::finish`] gives it its name.
    pub(crate) fn file(
        self,
        dir: &OwnedFd,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<File> {
        self.discard(dir)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let bits = Mode::RUSR | Mode::WUSR;
        let mut target =
            File::from(beneath::openat2(dir, TEMPORARY, flags, bits, beneath::RESOLVE)?);
        fill(&mut target)?;
        self.own(dir, TEMPORARY)?;
        // After the owner, whose change takes the set-user-id bit away.
        rustix::fs::fchmod(&target, Mode::from_raw_mode(mode))?;
        Ok(target)
    }

    /// Removes what an interrupted one left.
    pub(crate) fn discard(self, dir: &OwnedFd) -> io::Result<()> {
        match rustix::fs::unlinkat(dir, beneath::as_path(TEMPORARY), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives what was made its name, in the place of whatever is no directory with something in it.
    pub(crate) fn finish(self, dir: &OwnedFd, name: &[u8]) -> io::Result<Restored> {
        let temporary = beneath::as_path(TEMPORARY);
        match rustix::fs::renameat(dir, temporary, dir, beneath::as_path(name)) {
            Ok(()) => Ok(Restored::Done),
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.discard(dir)?;
                Ok(Restored::Left)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    pub(crate) fn own(self, dir: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let Some(stat) = beneath::stat(dir, name)? else {
            return Ok(());
        };
        if (stat.st_uid, stat.st_gid) == self.owner {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
        let path = beneath::as_path(name);
        rustix::fs::chownat(dir.as_fd(), path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}

/// Makes the directory `path` of `merged` for `owner`, where there is none.
///
/// # Errors
/// What the kernel says; `AlreadyExists` where something else has the name.
pub fn directory(
    merged: BorrowedFd<'_>,
    path: &WorkspacePath,
    owner: (u32, u32),
) -> io::Result<()> {
    let (dir, name) = beneath::open_parent(merged, path)?;
    match rustix::fs::mkdirat(&dir, beneath::as_path(name), Mode::from_raw_mode(0o755)) {
        Ok(()) => Put { owner }.own(&dir, name),
        Err(Errno::EXIST) => beneath::open_dir(&dir, name).map(drop),
        Err(errno) => Err(errno.into()),
    }
}

/// Puts a text in the place of the file at `path` of `merged`, or where nothing is, for `owner`.
///
/// The file keeps its permission bits; a new one gets `mode`. Repeating it, after a crash too, finishes it.
///
/// # Errors
/// What the kernel says; `AlreadyExists` where a directory has the name, `NotFound` where the directory above is gone.
pub fn text(
    merged: BorrowedFd<'_>,
    path: &WorkspacePath,
    text: &[u8],
    mode: u32,
    owner: (u32, u32),
) -> io::Result<()> {
    let put = Put { owner };
    let (dir, name) = beneath::open_parent(merged, path)?;
    let mode = beneath::stat(&dir, name)?.map_or(mode, |stat| stat.st_mode & 0o777);
    drop(put.file(&dir, mode, |file| file.write_all(text))?);
    match put.finish(&dir, name)? {
        Restored::Done => Ok(()),
        Restored::Left => Err(io::ErrorKind::AlreadyExists.into()),
    }
}
