//! Writing out what changed while the sandbox still runs.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::FileType;
use sandbar_linux::writeback;

use super::manifest::Manifest;
use crate::{
    beneath,
    entry::Stamp,
    tree::{self, Tree},
};

/// LIMIT: files that are written out before a sandbox is held still.
const WRITTEN_OUT_MAX: usize = 10_000;

/// Writes out what changed in the layer `upper`, which may be in use: so that a capture, while the sandbox is held still,
/// finds little to wait for. What cannot be opened is left to the capture.
pub fn write_out(upper: BorrowedFd<'_>, previous: Option<&Manifest>) {
    let mut begun = Vec::new();
    // What is not possible now is what the capture has to say.
    let _best_effort = begin_to_write(upper, previous, &mut begun);
    // All of them are under way before one is waited for.
    let _best_effort = finish_to_write(upper, &begun);
}

/// Writes the directory and the name of each file that it began with to `begun`.
fn begin_to_write(
    upper: BorrowedFd<'_>,
    previous: Option<&Manifest>,
    begun: &mut Vec<(Vec<u8>, Vec<u8>)>,
) -> io::Result<()> {
    let mut tree = Tree::new(upper)?;
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let Some(dir) = tree.dir(&path)? else {
            continue;
        };
        for name in beneath::list(dir)? {
            let (full, Some(stat)) = (tree::join(&path, &name), beneath::stat(dir, &name)?) else {
                continue;
            };
            let is_same =
                previous.is_some_and(|previous| previous.is_same(&full, &Stamp::of(&stat)));
            match beneath::file_type(&stat) {
                FileType::Directory => pending.push(full),
                FileType::RegularFile
                    if !is_same && stat.st_size > 0 && begun.len() < WRITTEN_OUT_MAX =>
                {
                    writeback::begin(beneath::open_file(dir, &name)?.0.as_fd())?;
                    begun.push((path.clone(), name));
                }
                FileType::RegularFile
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => {}
            }
        }
    }
    Ok(())
}

fn finish_to_write(upper: BorrowedFd<'_>, begun: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
    let mut tree = Tree::new(upper)?;
    for (path, name) in begun {
        if let Some(dir) = tree.dir(path)? {
            writeback::finish(beneath::open_file(dir, name)?.0.as_fd())?;
        }
    }
    Ok(())
}
