//! Reject: making the workspace at the selected paths what the source is.
//!
//! It writes through the merged view, which may be in use: the upper layer below it is never touched directly.
//! Each path is brought to its end state for itself, so repeating a reject, after a crash too, finishes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, Timespec, Timestamps},
    io::Errno,
};
use sandbar_types::{Change, ChangeKind, ChangeSet, Entry, Selection, WorkspacePath};

use crate::{
    apply::{Refused, select},
    beneath, entry,
    put::{Put, Restored, TEMPORARY},
};

/// What a reject did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Paths that are now what the source has, ordered.
    pub rejected: Vec<WorkspacePath>,
    /// Paths that could not be: a directory that something else was put into, or a device that the source has.
    pub left: Vec<WorkspacePath>,
}

/// Why a reject did not happen, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum RejectError {
    /// The selection does not fit the changes. Nothing was touched.
    #[error("the selection cannot be rejected")]
    Refused(#[source] Refused),
    /// A path could not be restored. Those before it were; repeating the reject goes on.
    #[error("failed to restore `{path}`")]
    Restore {
        /// Which.
        path: WorkspacePath,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Brings the selected paths of `merged` back to what `source` has; `None` for a workspace that began empty.
///
/// Any change can be rejected, the protected ones too. What is restored belongs to `owner`, a user and a group of the
/// host, where it is not so by itself.
///
/// # Errors
/// See [`RejectError`].
pub fn reject(
    merged: BorrowedFd<'_>,
    source: Option<BorrowedFd<'_>>,
    set: &ChangeSet,
    selection: &Selection,
    owner: (u32, u32),
) -> Result<Rejected, RejectError> {
    let selected = select(set, selection).map_err(RejectError::Refused)?;
    let restore = Restore { merged, source, put: Put { owner } };
    let selected = with_parents(set, selected).map_err(RejectError::Refused)?;
    let mut left = BTreeSet::new();
    // What is only in the workspace goes first, the deepest first, so that a directory is empty when it goes.
    for change in selected.values().rev() {
        let removed = restore
            .clear(change)
            .map_err(|source| RejectError::Restore { path: change.path.clone(), source })?;
        if removed == Restored::Left {
            left.insert(change.path.clone());
        }
    }
    // Then what the source has, parents first.
    for change in selected.values() {
        let filled = restore
            .fill(change)
            .map_err(|source| RejectError::Restore { path: change.path.clone(), source })?;
        if filled == Restored::Left {
            left.insert(change.path.clone());
        }
    }
    // The bits of directories last: they might have kept us out.
    for change in selected.values().rev() {
        restore
            .finish(change)
            .map_err(|source| RejectError::Restore { path: change.path.clone(), source })?;
    }
    let rejected = selected.into_keys().filter(|path| !left.contains(*path));
    Ok(Rejected { rejected: rejected.cloned().collect(), left: left.into_iter().collect() })
}

/// Adds the deleted directories that must be there again, and asks for those that something else has the place of.
fn with_parents<'a>(
    set: &'a ChangeSet,
    selected: BTreeMap<&'a WorkspacePath, &'a Change>,
) -> Result<BTreeMap<&'a WorkspacePath, &'a Change>, Refused> {
    let table: BTreeMap<_, _> = set.changes.iter().map(|change| (&change.path, change)).collect();
    let mut all = selected.clone();
    let mut missing = BTreeSet::new();
    for (path, change) in &selected {
        // What the source does not have needs no parent to go back to.
        if change.old.is_none() {
            continue;
        }
        for parent in std::iter::successors(path.parent(), WorkspacePath::parent) {
            let Some(above) = table.get(&parent) else {
                continue;
            };
            if above.new.is_none() {
                all.insert(&above.path, above);
            } else if !is_directory(above.new.as_ref()) && !selected.contains_key(&parent) {
                missing.insert(parent);
            }
        }
    }
    if missing.is_empty() {
        return Ok(all);
    }
    Err(Refused::Requires { missing: missing.into_iter().collect() })
}

#[derive(Debug, Clone, Copy)]
struct Restore<'a> {
    merged: BorrowedFd<'a>,
    source: Option<BorrowedFd<'a>>,
    put: Put,
}

impl Restore<'_> {
    /// What the source has now at `path`, with the directory that holds it.
    fn wanted(self, path: &WorkspacePath) -> io::Result<Option<(OwnedFd, Entry)>> {
        let Some(source) = self.source else {
            return Ok(None);
        };
        beneath::in_parent(source, path, |dir, name| {
            let Some(entry) = entry::read(dir, name)? else {
                return Ok(None);
            };
            Ok(Some((dir.try_clone_to_owned()?, entry)))
        })
    }

    /// Removes what the workspace has where the source has nothing, or something of another type.
    fn clear(self, change: &Change) -> io::Result<Restored> {
        let wanted = self.wanted(&change.path)?.map(|(_, entry)| entry);
        let (dir, name) = match beneath::open_parent(self.merged, &change.path) {
            Ok(found) => found,
            Err(error) if beneath::is_absent(&error) => return Ok(Restored::Done),
            Err(error) => return Err(error),
        };
        let Some(stat) = beneath::stat(&dir, name)? else {
            return Ok(Restored::Done);
        };
        let has_directory = beneath::file_type(&stat) == FileType::Directory;
        // What is no directory is replaced in one rename later.
        if wanted.is_some() && is_directory(wanted.as_ref()) == has_directory {
            return Ok(Restored::Done);
        }
        let flags = if has_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(&dir, beneath::as_path(name), flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(Restored::Done),
            // Somebody put something into it since it was looked at. Nobody said that this may go.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(Restored::Left),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Writes what the source has.
    fn fill(self, change: &Change) -> io::Result<Restored> {
        let Some((from, wanted)) = self.wanted(&change.path)? else {
            return Ok(Restored::Done);
        };
        let (dir, name) = match beneath::open_parent(self.merged, &change.path) {
            Ok(found) => found,
            Err(error) if beneath::is_absent(&error) => return Ok(Restored::Left),
            Err(error) => return Err(error),
        };
        // Extended attributes are no part of an entry: only a new file is rid of them.
        let is_whole = change.kind != ChangeKind::XattrChanged;
        if is_whole && entry::read(&dir, name)?.as_ref() == Some(&wanted) {
            return Ok(Restored::Done);
        }
        match &wanted {
            Entry::Directory { .. } => self.fill_directory(&dir, name),
            Entry::File { mode, .. } => self.fill_file(&from, &dir, name, *mode),
            Entry::Symlink { target } => self.fill_link(&dir, name, &target.0),
            Entry::Special { what } => self.fill_special(&dir, name, what),
        }
    }

    fn fill_directory(self, dir: &OwnedFd, name: &[u8]) -> io::Result<Restored> {
        let path = beneath::as_path(name);
        match rustix::fs::mkdirat(dir, path, Mode::RWXU) {
            Ok(()) => self.put.own(dir, name)?,
            Err(Errno::EXIST) => {
                let is_directory = beneath::stat(dir, name)?
                    .is_some_and(|stat| beneath::file_type(&stat) == FileType::Directory);
                if !is_directory {
                    return Ok(Restored::Left);
                }
            }
            Err(errno) => return Err(errno.into()),
        }
        Ok(Restored::Done)
    }

    fn fill_file(
        self,
        from: &OwnedFd,
        dir: &OwnedFd,
        name: &[u8],
        mode: u32,
    ) -> io::Result<Restored> {
        let (mut source, stat) = beneath::open_file(from, name)?;
        let target = self.put.file(dir, mode, |target| io::copy(&mut source, target).map(drop))?;
        let time =
            |tv_sec, tv_nsec: u64| Timespec { tv_sec, tv_nsec: tv_nsec.try_into().unwrap_or(0) };
        // The time too, or a build inside would think that it changed.
        let times = Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
        };
        rustix::fs::futimens(&target, &times)?;
        drop(target);
        self.put.finish(dir, name)
    }

    fn fill_link(self, dir: &OwnedFd, name: &[u8], target: &[u8]) -> io::Result<Restored> {
        self.put.discard(dir)?;
        let temporary = beneath::as_path(TEMPORARY);
        rustix::fs::symlinkat(beneath::as_path(target), dir, temporary)?;
        self.put.own(dir, TEMPORARY)?;
        self.put.finish(dir, name)
    }

    /// A fifo can be made again by anybody; a device or a socket cannot.
    fn fill_special(self, dir: &OwnedFd, name: &[u8], what: &str) -> io::Result<Restored> {
        if what != "fifo" {
            return Ok(Restored::Left);
        }
        self.put.discard(dir)?;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(dir, beneath::as_path(TEMPORARY), FileType::Fifo, mode, 0)?;
        self.put.own(dir, TEMPORARY)?;
        self.put.finish(dir, name)
    }

    /// Gives a directory the bits that it has in the source.
    fn finish(self, change: &Change) -> io::Result<()> {
        let Some((_, Entry::Directory { mode })) = self.wanted(&change.path)? else {
            return Ok(());
        };
        let (dir, name) = match beneath::open_parent(self.merged, &change.path) {
            Ok(found) => found,
            Err(error) if beneath::is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(stat) = beneath::stat(&dir, name)? else {
            return Ok(());
        };
        if beneath::file_type(&stat) == FileType::Directory && stat.st_mode & 0o7777 != mode {
            let opened = beneath::open_dir(&dir, name)?;
            rustix::fs::fchmod(opened, Mode::from_raw_mode(mode))?;
        }
        Ok(())
    }
}

fn is_directory(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Directory { .. }))
}
