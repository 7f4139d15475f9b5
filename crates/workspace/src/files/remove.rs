//! Moving and removing.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
};
use sandbar_types::WorkspacePath;

use super::{FileKind, Files, FilesError, failed, kind, shown};
use crate::{
    beneath,
    tree::{self, Tree},
};

/// LIMIT: how often a directory is emptied that somebody fills meanwhile.
const ROUNDS_MAX: u32 = 16;

/// Whether a directory is removed with what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only a file, a link, or an empty directory.
    One,
    /// With everything below it.
    Tree,
}

/// Whether what is at the goal of a move is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It is in the way.
    Never,
    /// A file is replaced by a file, an empty directory by a directory.
    Existing,
}

impl Files<'_> {
    /// Moves `from` to `to`. Links at their ends are moved, not followed.
    ///
    /// # Errors
    /// Something is in the way. A directory of the source cannot be moved where the workspace is mounted without
    /// redirects (user mode): the kernel says `EXDEV`.
    pub fn rename(
        &self,
        from: &WorkspacePath,
        to: &WorkspacePath,
        replace: Replace,
    ) -> Result<(), FilesError> {
        let (from_dir, from_name) = self.parent(from).map_err(failed(Some(from)))?;
        let (to_dir, to_name) = self.parent(to).map_err(failed(Some(to)))?;
        let there = beneath::stat(&from_dir, from_name).map_err(failed(Some(from)))?;
        if there.is_none() {
            let path = shown(Some(from));
            return Err(FilesError::NotFound { path });
        }
        let flags = match replace {
            Replace::Never => RenameFlags::NOREPLACE,
            Replace::Existing => RenameFlags::empty(),
        };
        let (old, new) = (beneath::as_path(from_name), beneath::as_path(to_name));
        rustix::fs::renameat_with(&from_dir, old, &to_dir, new, flags)
            .map_err(|errno| failed(Some(to))(errno.into()))
    }

    /// Removes `path`. A link is removed, not what it leads to.
    ///
    /// # Errors
    /// Nothing is there; a directory holds something and `depth` is [`Depth::One`].
    pub fn remove(&self, path: &WorkspacePath, depth: Depth) -> Result<(), FilesError> {
        let failed = failed(Some(path));
        let (dir, name) = self.parent(path).map_err(&failed)?;
        let stat = beneath::stat(&dir, name).map_err(&failed)?;
        let Some(stat) = stat else {
            let path = shown(Some(path));
            return Err(FilesError::NotFound { path });
        };
        match (kind(&stat), depth) {
            (FileKind::Directory, Depth::One) => {
                unlink(dir.as_fd(), name, AtFlags::REMOVEDIR).map_err(&failed)
            }
            (FileKind::Directory, Depth::Tree) => remove_tree(dir.as_fd(), name).map_err(&failed),
            (FileKind::File | FileKind::Symlink | FileKind::Special, _) => {
                unlink(dir.as_fd(), name, AtFlags::empty()).map_err(&failed)
            }
        }
    }
}

/// Removes, and is content where it is gone already.
fn unlink(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, beneath::as_path(name), flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A directory that is being emptied.
struct Emptying {
    path: Vec<u8>,
    /// What it holds that is a directory.
    directories: Vec<Vec<u8>>,
    rounds: u32,
}

/// Removes the directory `name` of `parent` with everything below it, however deep, following nothing.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let mut tree = Tree::new(parent)?;
    let mut stack =
        vec![Emptying { path: name.to_vec(), directories: empty(&mut tree, name)?, rounds: 0 }];
    while let Some(top) = stack.last_mut() {
        if let Some(child) = top.directories.pop() {
            let path = tree::join(&top.path, &child);
            let directories = empty(&mut tree, &path)?;
            stack.push(Emptying { path, directories, rounds: 0 });
            continue;
        }
        tree.forget(&top.path);
        let cut = top.path.iter().rposition(|byte| *byte == b'/');
        let (above, last) = match cut {
            Some(at) => (&top.path[..at], &top.path[at + 1..]),
            None => (&b""[..], &top.path[..]),
        };
        let removed = match tree.dir(above)? {
            Some(dir) => unlink(dir, last, AtFlags::REMOVEDIR),
            None => Ok(()),
        };
        match removed {
            Ok(()) => {
                stack.pop();
            }
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty && top.rounds < ROUNDS_MAX =>
            {
                top.rounds += 1;
                top.directories = empty(&mut tree, &top.path)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes everything from a directory that is no directory itself, and returns the names of the rest.
fn empty(tree: &mut Tree, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let Some(dir) = tree.dir(path)? else {
        return Ok(Vec::new());
    };
    let mut directories = Vec::new();
    for name in beneath::list(dir)? {
        match unlink(dir, &name, AtFlags::empty()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => directories.push(name),
            Err(error) => return Err(error),
        }
    }
    Ok(directories)
}
