//! The directories of one tree, opened by path, with few descriptors however deep it is.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use crate::beneath;

/// LIMIT: directories held open; the deepest ones of the last walk.
const OPEN_MAX: usize = 32;

/// Opens directories by path and keeps the last ones open, so that a walk opens each by one name.
#[derive(Debug)]
pub(crate) struct Tree {
    top: OwnedFd,
    /// Each lies below the one before.
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Tree {
    pub(crate) fn new(root: BorrowedFd<'_>) -> io::Result<Self> {
        let top = beneath::open_dir(root, b"")?;
        Ok(Self { top, open: Vec::new() })
    }

    /// The directory `path`; the empty path is the top. `None` where there is no directory.
    pub(crate) fn dir(&mut self, path: &[u8]) -> io::Result<Option<BorrowedFd<'_>>> {
        if path.is_empty() {
            return Ok(Some(self.top.as_fd()));
        }
        while self.open.last().is_some_and(|(at, _)| !is_at_or_below(path, at)) {
            self.open.pop();
        }
        // The last steps one by one, so that their directories are open when a walk comes back up.
        let mut ends: Vec<usize> = path
            .iter()
            .enumerate()
            .rev()
            .filter_map(|(at, byte)| (*byte == b'/').then_some(at))
            .take(OPEN_MAX - 1)
            .collect();
        ends.reverse();
        ends.push(path.len());
        for end in ends {
            if self.open.last().is_some_and(|(at, _)| at.len() >= end) {
                continue;
            }
            if !self.step(&path[..end])? {
                return Ok(None);
            }
        }
        Ok(self.open.last().map(|(_, dir)| dir.as_fd()))
    }

    /// Opens one directory below the last one that is open; `false` where there is none.
    fn step(&mut self, path: &[u8]) -> io::Result<bool> {
        let (base, rest) = match self.open.last() {
            Some((at, dir)) => (dir.as_fd(), &path[at.len() + 1..]),
            None => (self.top.as_fd(), path),
        };
        let dir = match beneath::open_dir(base, rest) {
            Ok(dir) => dir,
            Err(error) if beneath::is_absent(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push((path.to_vec(), dir));
        Ok(true)
    }

    /// Forgets what is open at and below `path`: it was moved or removed.
    pub(crate) fn forget(&mut self, path: &[u8]) {
        self.open.retain(|(at, _)| !is_at_or_below(at, path));
    }
}

fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.starts_with(ancestor) && matches!(path.get(ancestor.len()), None | Some(b'/'))
}

/// The path of `name` in the directory `dir`, which is empty for the top.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    path.extend_from_slice(dir);
    if !dir.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
