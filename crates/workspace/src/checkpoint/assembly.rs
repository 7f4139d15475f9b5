//! Putting a layer together again from what its capture and those before it hold, by giving each object another name.
//!
//! A path is where it was captured last: in the newest of the captures that has it. A capture that goes hands over what
//! the next one needs of it.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};

use super::{
    capture::CaptureError,
    copy::{self, Attributes},
    manifest::{Held, Manifest, Paths},
    path::split,
};
use crate::{
    beneath,
    tree::{self, Tree},
};

/// Fills the empty directory `into` with the layer of `manifest`, or with what is `wanted` of it; `held` is what its
/// capture holds, and after it those of the captures before, the newest first.
///
/// # Errors
/// See [`CaptureError`]; `NotFound` where a capture is missing.
pub fn assemble(
    manifest: &Manifest,
    wanted: Option<&Paths>,
    held: &[BorrowedFd<'_>],
    into: BorrowedFd<'_>,
) -> Result<(), CaptureError> {
    let objects: Vec<_> = manifest
        .iter()
        .filter(|(path, _)| !path.is_empty() && wanted.is_none_or(|wanted| wanted.contains(path)))
        .collect();
    let mut assembly = Assembly {
        held,
        trees: BTreeMap::new(),
        to: Tree::new(into).map_err(CaptureError::at(b""))?,
        into,
        holders: HashMap::new(),
        names: HashMap::new(),
    };
    assembly.find(&objects)?;
    for (path, held) in &objects {
        assembly.name(path, held).map_err(CaptureError::at(path))?;
    }
    // The deepest first, because filling moves times, and bits may forbid it.
    for (path, held) in objects.iter().rev().filter(|(_, held)| held.is(FileType::Directory)) {
        assembly.dress(path, held).map_err(CaptureError::at(path))?;
    }
    let top = manifest
        .get(b"")
        .ok_or_else(|| CaptureError::at(b"")(io::ErrorKind::InvalidData.into()))?;
    assembly.dress(b"", top).map_err(CaptureError::at(b""))
}

struct Assembly<'a> {
    held: &'a [BorrowedFd<'a>],
    /// Those that something is taken from: of a thousand captures most hold nothing that is wanted.
    trees: BTreeMap<usize, Tree>,
    to: Tree,
    into: BorrowedFd<'a>,
    /// Which of the trees has a path.
    holders: HashMap<&'a [u8], usize>,
    /// Where a file got its first name, by inode.
    names: HashMap<u64, &'a [u8]>,
}

impl<'a> Assembly<'a> {
    /// Finds who holds each of `objects`.
    fn find(&mut self, objects: &[(&'a [u8], &'a Held)]) -> Result<(), CaptureError> {
        let wanted: HashMap<&[u8], (&'a [u8], &Held)> =
            objects.iter().map(|(path, held)| (*path, (*path, *held))).collect();
        for (at, held) in self.held.iter().enumerate() {
            if self.holders.len() == wanted.len() {
                break;
            }
            let mut tree = Tree::new(*held).map_err(CaptureError::at(b""))?;
            let mut pending = vec![Vec::new()];
            while let Some(path) = pending.pop() {
                let Some(dir) = tree.dir(&path).map_err(CaptureError::at(&path))? else {
                    continue;
                };
                for name in beneath::list(dir).map_err(CaptureError::at(&path))? {
                    let full = tree::join(&path, &name);
                    // What the layer did not have any more is of no use to it.
                    let Some((known, held)) = wanted.get(&*full) else {
                        continue;
                    };
                    self.holders.entry(known).or_insert(at);
                    if held.is(FileType::Directory) {
                        pending.push(full);
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives one object a name in the layer.
    fn name(&mut self, path: &'a [u8], held: &Held) -> io::Result<()> {
        let (parent, name) = split(path);
        let to = self.to.dir(parent)?.ok_or(Errno::NOENT)?;
        if held.is(FileType::Directory) {
            return Ok(rustix::fs::mkdirat(to, beneath::as_path(name), Mode::RWXU)?);
        }
        if held.is(FileType::RegularFile)
            && let Some(first) = self.names.insert(held.stamp.ino, path)
        {
            let (dir, first) = split(first);
            let dir = beneath::open_dir(self.into, dir)?;
            if copy::link((dir.as_fd(), first), (to, name))? {
                return Ok(());
            }
        }
        let holder = *self.holders.get(path).ok_or(Errno::NOENT)?;
        let from = tree_of(&mut self.trees, self.held, holder)?.dir(parent)?;
        link_or_copy((from.ok_or(Errno::NOENT)?, name), (to, name))
    }

    fn dress(&mut self, path: &[u8], held: &Held) -> io::Result<()> {
        // Every capture has the top.
        let holder =
            if path.is_empty() { 0 } else { *self.holders.get(path).ok_or(Errno::NOENT)? };
        let from = tree_of(&mut self.trees, self.held, holder)?.dir(path)?.ok_or(Errno::NOENT)?;
        let to = self.to.dir(path)?.ok_or(Errno::NOENT)?;
        let mut stat = rustix::fs::fstat(from)?;
        // What the holder got since has moved its own time.
        copy::set_modified(&mut stat, held.stamp.mtime_ns);
        copy::dress((from, b"."), (to, b"."), &stat, Attributes::Raw)
    }
}

fn tree_of<'t>(
    trees: &'t mut BTreeMap<usize, Tree>,
    held: &[BorrowedFd<'_>],
    holder: usize,
) -> io::Result<&'t mut Tree> {
    match trees.entry(holder) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(place) => Ok(place.insert(Tree::new(held[holder])?)),
    }
}

/// Gives `to`, the next capture after `from` and what it holds, everything that its layer `manifest` needs of `from`.
/// It can be repeated; once it is done and on the disk, nothing reads `from` for `to` any more.
///
/// # Errors
/// See [`CaptureError`].
pub fn hand_over(
    from: BorrowedFd<'_>,
    (to, manifest): (BorrowedFd<'_>, &Manifest),
) -> Result<(), CaptureError> {
    let top = CaptureError::at(b"");
    let (mut old, mut new) = match (Tree::new(from), Tree::new(to)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(source), _) | (_, Err(source)) => return Err(top(source)),
    };
    let mut made = Vec::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let dir = old.dir(&path).map_err(CaptureError::at(&path))?;
        let names = dir.map_or_else(|| Ok(Vec::new()), beneath::list);
        for name in names.map_err(CaptureError::at(&path))? {
            let full = tree::join(&path, &name);
            let Some(held) = manifest.get(&full) else {
                continue;
            };
            let is_new = hand_over_one((&mut old, &mut new), (&path, &name), held);
            let is_new = is_new.map_err(CaptureError::at(&full))?;
            if held.is(FileType::Directory) {
                if is_new {
                    made.push(full.clone());
                }
                pending.push(full);
            }
        }
    }
    for path in made.iter().rev() {
        let dressed = (|| {
            let from = old.dir(path)?.ok_or(Errno::NOENT)?;
            let to = new.dir(path)?.ok_or(Errno::NOENT)?;
            copy::dress((from, b"."), (to, b"."), &rustix::fs::fstat(from)?, Attributes::Raw)
        })();
        dressed.map_err(CaptureError::at(path))?;
    }
    Ok(())
}

/// Whether it was handed over: `new` had nothing there.
fn hand_over_one(
    (old, new): (&mut Tree, &mut Tree),
    (parent, name): (&[u8], &[u8]),
    held: &Held,
) -> io::Result<bool> {
    let from = old.dir(parent)?.ok_or(Errno::NOENT)?;
    // Something else than a directory above it: then the layer has nothing of ours below.
    let Some(to) = new.dir(parent)? else {
        return Ok(false);
    };
    if beneath::stat(to, name)?.is_some() {
        return Ok(false);
    }
    if held.is(FileType::Directory) {
        rustix::fs::mkdirat(to, beneath::as_path(name), Mode::RWXU)?;
    } else {
        link_or_copy((from, name), (to, name))?;
    }
    Ok(true)
}

fn link_or_copy(
    (from, name): (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
) -> io::Result<()> {
    if copy::link((from, name), to)? { Ok(()) } else { copy::object((from, name), to) }
}
