//! Keeping what an approve replaced, so that it can be undone: out of the stage, into the journal.
//!
//! ```text
//! stage/n<i>  ──rename, or copy──►  journal/kept/old/<path>     then kept.json, and only then the stage goes
//! source/<path> ──copy──►  journal/kept/new/<path>              of texts: the base of a merge with a later host edit
//! ```
//! Until `kept.json` is there the stage has what the journal has not; it may be repeated from wherever it was.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, RenameFlags},
    io::Errno,
};
use sandbar_types::{Entry, WorkspacePath};
use serde::{Deserialize, Serialize};

use super::{
    Op, failpoint,
    plan::size_of,
    stage::{self, Stage},
    tree::Tree,
};
use crate::{
    beneath,
    journal::{Journal, Manifest},
};

/// LIMIT: bytes of a replaced text up to which it is kept as it was written, and can be merged with later edits.
pub const KEPT_TEXT_BYTES_MAX: u64 = 4 << 20;
/// Where old content is, below the journal's directory.
pub(super) const OLD: &str = "kept/old";
/// Where new content is.
pub(super) const NEW: &str = "kept/new";

/// What is kept of one approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Bytes of content.
    pub bytes: u64,
}

/// Moves what was replaced from the stage to the journal. Every slot was compared with what it must hold.
pub(super) fn keep(
    source: BorrowedFd<'_>,
    stage: &Stage,
    journal: &Journal,
    manifest: &Manifest,
) -> io::Result<Kept> {
    failpoint("keep.begin")?;
    make(journal.dir(), "kept")?;
    let old = Stage::at(make(journal.dir(), OLD)?);
    let new = Stage::at(make(journal.dir(), NEW)?);
    let mut bytes = 0;
    for (index, op) in manifest.plan.ops.iter().enumerate() {
        if let Some(tree) = op.before() {
            keep_old(stage, index, &old, op.path(), tree)?;
            bytes += tree.entries().map(size_of).sum::<u64>();
        }
        if let Some(size) = mergeable(op) {
            keep_new(source, &new, op, size)?;
            bytes += size;
        }
    }
    failpoint("keep.sync")?;
    sync(journal, &manifest.plan.ops)?;
    rustix::fs::fsync(stage.dir())?;
    let kept = Kept { bytes };
    journal.write_kept(kept)?;
    Ok(kept)
}

/// Moves one slot. What an earlier attempt left is replaced, and a slot that is gone was moved by it.
fn keep_old(
    stage: &Stage,
    index: usize,
    old: &Stage,
    path: &WorkspacePath,
    tree: &Tree,
) -> io::Result<()> {
    let slot = stage::slot(index);
    if beneath::stat(stage.dir(), slot.as_bytes())?.is_none() {
        return Ok(());
    }
    let (parent, name) = make_parent(old.dir(), path)?;
    failpoint("keep.clear")?;
    stage::remove_tree(parent.as_fd(), name)?;
    failpoint("keep.rename")?;
    let name = beneath::as_path(name);
    match rustix::fs::renameat_with(stage.dir(), &slot, &parent, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Another file system, or another mount of the same one.
        Err(Errno::XDEV) => copy(stage.dir(), &slot, old, path, tree),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies a tree. Bits are not copied: an undo takes them from its plan.
fn copy(
    from: BorrowedFd<'_>,
    slot: &str,
    to: &Stage,
    path: &WorkspacePath,
    tree: &Tree,
) -> io::Result<()> {
    for (at, entry) in tree.paths(path) {
        let rest = &at.as_bytes()[path.as_bytes().len()..];
        let slot = WorkspacePath::parse([slot.as_bytes(), rest].concat());
        let slot = slot.map_err(io::Error::other)?;
        failpoint("keep.copy")?;
        match entry {
            Entry::Directory { .. } => to.make_directory(&at)?,
            Entry::File { size, sha256, .. } => {
                let copied = to.copy_below(from, &slot, &at, *size)?;
                if copied.is_none_or(|(_, hash)| hash != *sha256) {
                    return Err(io::Error::other("what was replaced changed while it was copied"));
                }
            }
            Entry::Symlink { target } => {
                let (dir, name) = beneath::open_parent(to.dir(), &at)?;
                let target = beneath::as_path(&target.0);
                rustix::fs::symlinkat(target, dir, beneath::as_path(name))?;
            }
            // A plan never replaces one.
            Entry::Special { .. } => return Err(Errno::INVAL.into()),
        }
    }
    Ok(())
}

/// The size of what a step wrote, where a later edit of it can be merged with the undo.
fn mergeable(op: &Op) -> Option<u64> {
    let (Some(Entry::File { .. }), Some(Entry::File { size, .. })) =
        (op.before().map(|tree| &tree.entry), op.after().map(|tree| &tree.entry))
    else {
        return None;
    };
    (*size <= KEPT_TEXT_BYTES_MAX).then_some(*size)
}

/// Copies what was written, unless the host has changed it already: without it, that edit cannot be merged.
fn keep_new(source: BorrowedFd<'_>, new: &Stage, op: &Op, size: u64) -> io::Result<()> {
    let path = op.path();
    let Some(Entry::File { sha256, .. }) = op.after().map(|tree| &tree.entry) else {
        return Ok(());
    };
    let (parent, name) = make_parent(new.dir(), path)?;
    stage::remove_tree(parent.as_fd(), name)?;
    failpoint("keep.new")?;
    let copied: Option<(File, _)> = match new.copy_below(source, path, path, size) {
        // A mount, or a link, is where the file was.
        Err(error) if is_elsewhere(&error) => None,
        copied => copied?,
    };
    if copied.is_none_or(|(_, hash)| hash != *sha256) {
        stage::remove_tree(parent.as_fd(), name)?;
    }
    Ok(())
}

fn is_elsewhere(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::XDEV, Errno::LOOP].iter().any(|one| errno == Some(one.raw_os_error()))
}

/// Makes what is kept last: path by path where that is little, else the file system as a whole.
fn sync(journal: &Journal, ops: &[Op]) -> io::Result<()> {
    let before = || ops.iter().filter_map(|op| Some((op.path(), op.before()?)));
    let is_little =
        before().count() <= stage::SYNC_EACH_MAX && before().all(|(_, tree)| tree.below.is_empty());
    if !is_little {
        return Ok(rustix::fs::syncfs(journal.dir())?);
    }
    let new = ops.iter().filter(|op| mergeable(op).is_some()).map(Op::path);
    let paths = before().map(|(path, _)| (OLD, path)).chain(new.map(|path| (NEW, path)));
    let mut directories = BTreeSet::from([b"kept".to_vec(), OLD.into(), NEW.into()]);
    for (tree, path) in paths {
        let full = [tree.as_bytes(), b"/", path.as_bytes()].concat();
        let full = WorkspacePath::parse(full).map_err(io::Error::other)?;
        let (dir, name) = beneath::open_parent(journal.dir(), &full)?;
        // A link has no content of its own, and a text that the host changed is not kept.
        if beneath::stat(&dir, name)?
            .is_some_and(|stat| beneath::file_type(&stat) == FileType::RegularFile)
        {
            beneath::open_file(&dir, name)?.0.sync_all()?;
        }
        let above = std::iter::successors(full.parent(), WorkspacePath::parent);
        directories.extend(above.map(|path| path.as_bytes().to_vec()));
    }
    for path in directories {
        rustix::fs::fsync(beneath::open_dir(journal.dir(), &path)?)?;
    }
    Ok(())
}

/// Makes the directory `path` of one of our own trees, if need be.
pub(super) fn make(root: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(root, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => beneath::open_dir(root, path.as_bytes()),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes the directories above `path` in one of our own trees, and opens the last.
pub(super) fn make_parent<'a>(
    root: BorrowedFd<'_>,
    path: &'a WorkspacePath,
) -> io::Result<(OwnedFd, &'a [u8])> {
    let mut dir = beneath::open_dir(root, b"")?;
    let mut components = path.components();
    let name = components.next_back().expect("a path has a last component");
    for component in components {
        match rustix::fs::mkdirat(&dir, beneath::as_path(component), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        dir = beneath::open_dir(&dir, component)?;
    }
    Ok((dir, name))
}
